from collections.abc import Callable
from types import TracebackType
from typing import Any, NamedTuple

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

def table(f: Callable[[Any], Any], x: float) -> list[Row]: ...

class peak_memory:
    bytes: int
    def __enter__(self) -> Self: ...
    def __exit__(
        self, *exception: type[BaseException] | BaseException | TracebackType | None
    ) -> None: ...
