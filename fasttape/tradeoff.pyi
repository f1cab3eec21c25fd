from collections.abc import Callable, Sequence
from os import PathLike
from typing import Any, NamedTuple

class Point(NamedTuple):
    snapshots: int | None
    memory: int
    steps: int
    predicted: float
    measured: float | None

class Tradeoff(list[Point]):
    def plot(self, file: str | PathLike[str] | None = None) -> Any: ...

def tradeoff(
    step: Callable[[Any, Any], tuple[Any, Any]],
    carry: Any,
    length: int,
    xs: Any = None,
    *,
    snapshots: Sequence[int] | None = None,
    seconds: float = 2.0,
) -> Tradeoff: ...
