from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

class Advance(NamedTuple):
    start: int
    stop: int
    keep: bool

class Snapshot(NamedTuple):
    step: int
    slot: int
    disk: bool
    data: bool

class Restore(NamedTuple):
    step: int
    slot: int
    disk: bool
    data: bool
    free: bool

class Turn(NamedTuple): ...

class Reverse(NamedTuple):
    stop: int
    start: int

class Schedule:
    def blocks(self, length: int) -> Iterator[NDArray[np.int64]]: ...
    def actions(self, length: int) -> Iterator[Advance | Snapshot | Restore | Turn | Reverse]: ...
    def steps(self, length: int) -> int: ...
    def slots(self, length: int) -> tuple[int, int]: ...
    def __eq__(self, other: object) -> bool: ...
    def __hash__(self) -> int: ...

class StoreAll(Schedule): ...

class Periodic(Schedule):
    period: int
    def __init__(self, period: int) -> None: ...

class Revolve(Schedule):
    snapshots: int
    def __init__(self, snapshots: int) -> None: ...

class Recompute(Revolve):
    def __init__(self) -> None: ...

class Multistage(Revolve):
    ram: int
    disk: int
    def __init__(self, ram: int, disk: int) -> None: ...

class Mixed(Schedule):
    snapshots: int
    def __init__(self, snapshots: int) -> None: ...

class Online(Schedule):
    snapshots: int
    def __init__(self, snapshots: int) -> None: ...
    def forward(self) -> Iterator[NDArray[np.int64]]: ...
    def backward(self, length: int, held: Mapping[int, int]) -> Iterator[NDArray[np.int64]]: ...

class Budget(Schedule):
    memory: int
    def __init__(self, memory: int | str) -> None: ...
    def choose(self, length: int | None, state: int, data: int, fixed: int) -> Schedule | None: ...

class Foreign(Schedule):
    make: Callable[[int], Any]
    def __init__(self, make: Callable[[int], Any]) -> None: ...

__all__ = ["Advance", "Budget", "Foreign", "Mixed", "Multistage", "Online", "Periodic", "Recompute", "Restore", "Reverse",
           "Revolve", "Schedule", "Snapshot", "StoreAll", "Turn"]
