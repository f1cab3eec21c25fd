from collections.abc import Callable
from typing import Any

def vmap(
    f: Callable[..., Any], in_axes: int | tuple[int | None, ...] | None = 0, out_axes: int = 0, *, threads: int = 1
) -> Callable[..., Any]: ...
def gather(array: Any, index: Any) -> Any: ...
