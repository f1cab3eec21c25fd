from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any

def vmap(
    f: Callable[..., Any],
    in_axes: int | tuple[int | None, ...] | None = 0,
    out_axes: int = 0,
    *,
    threads: int = 1,
    executor: Executor | None = None,
    chunk: int | None = None,
) -> Callable[..., Any]: ...
def gather(array: Any, index: Any) -> Any: ...
