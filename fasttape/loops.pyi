from collections.abc import Callable
from os import PathLike
from typing import Any, TypeVar

from fasttape.schedules import Online, Schedule

_Carry = TypeVar("_Carry")

def scan(
    step: Callable[[Any, Any], tuple[Any, Any]],
    carry: _Carry,
    xs: Any = None,
    length: int | None = None,
    *,
    schedule: Schedule | None = None,
    memory: int | str | None = None,
    folder: str | PathLike[str] | None = None,
) -> tuple[_Carry, Any]: ...
def fori_loop(
    lower: int,
    upper: int,
    body: Callable[[Any, Any], Any],
    carry: _Carry,
    *,
    schedule: Schedule | None = None,
    memory: int | str | None = None,
    folder: str | PathLike[str] | None = None,
) -> _Carry: ...
def while_loop(
    condition: Callable[[Any], Any],
    body: Callable[[Any], Any],
    carry: _Carry,
    *,
    schedule: Online | None = None,
    memory: int | str | None = None,
) -> _Carry: ...
