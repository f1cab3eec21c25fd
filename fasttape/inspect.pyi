from collections.abc import Callable
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Self

class Row(NamedTuple):
    k: int
    operation: str
    s: float
    t: float
    r: float

class Node(NamedTuple):
    k: int
    operation: str
    s: Any
    t: Any
    r: Any

class Stats(NamedTuple):
    recorded: int
    kept: int
    entries: int
    instructions: int
    runs: int
    loops: int
    flops: int
    bytes_read: int
    bytes_written: int
    buffers: int
    buffer_bytes: int
    constant_bytes: int
    guards: int
    states: int

class MemoryProfile(NamedTuple):
    instruction: NDArray[np.int64]
    bytes: NDArray[np.int64]
    argument_bytes: int
    result_bytes: int
    @property
    def peak(self) -> int: ...

def unit_of(size: float) -> tuple[str, float]: ...
def size_text(size: float) -> str: ...
def table(f: Callable[[Any], Any], x: float) -> list[Row]: ...

class peak_memory:
    bytes: int
    def __enter__(self) -> Self: ...
    def __exit__(
        self, *exception: type[BaseException] | BaseException | TracebackType | None
    ) -> None: ...
