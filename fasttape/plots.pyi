from collections.abc import Mapping
from os import PathLike
from typing import Any

from fasttape.inspect import MemoryProfile
from fasttape.program import Program
from fasttape.tradeoff import Tradeoff

def plot_memory(
    programs: Mapping[str, Program[..., Any] | MemoryProfile], *, file: str | PathLike[str] | None = None
) -> Any: ...
def plot_tradeoff(points: Tradeoff, file: str | PathLike[str] | None = None) -> Any: ...
