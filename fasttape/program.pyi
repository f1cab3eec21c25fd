import os
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Any, Generic, Literal, ParamSpec, TypeVar, overload

from fasttape.export import Export
from fasttape.graph import Graph
from fasttape.inspect import MemoryProfile, Node, Stats

_P = ParamSpec("_P")
_Y = TypeVar("_Y")

class Program(Generic[_P, _Y]):
    @property
    def __name__(self) -> str: ...
    @property
    def function(self) -> Callable[_P, _Y]: ...
    def __call__(self, *args: _P.args, **kwargs: _P.kwargs) -> _Y: ...
    def grad(self, argnum: int | tuple[int, ...] = 0) -> Program[_P, Any]: ...
    def value_and_grad(self, argnum: int | tuple[int, ...] = 0) -> Program[_P, tuple[_Y, Any]]: ...
    def jacobian(
        self, argnum: int | tuple[int, ...] = 0, mode: Literal["auto", "forward", "reverse"] = "auto"
    ) -> Program[_P, Any]: ...
    def hessian(self, argnum: int | tuple[int, ...] = 0) -> Program[_P, Any]: ...
    def jvp(self, argnum: int | tuple[int, ...] | None = None) -> Program[..., tuple[_Y, _Y]]: ...
    def vjp(self, argnum: int | tuple[int, ...] | None = None) -> Program[..., tuple[_Y, tuple[Any, ...]]]: ...
    def batch(
        self,
        *args: Any,
        in_axes: int | tuple[int | None, ...] | None = 0,
        out: Any = None,
        reduce: Literal["sum", "mean"] | None = None,
        threads: int = 1,
        executor: Executor | None = None,
        chunk: int | None = None,
        **named: Any,
    ) -> Any: ...
    def batch_value_and_grad(
        self,
        *args: Any,
        argnum: int | tuple[int, ...] = 0,
        in_axes: int | tuple[int | None, ...] | None = 0,
        reduce: Literal["sum", "mean"] = "sum",
        threads: int = 1,
        executor: Executor | None = None,
        chunk: int | None = None,
        **named: Any,
    ) -> tuple[Any, Any]: ...
    def batch_jacobian(
        self,
        *args: Any,
        argnum: int | tuple[int, ...] = 0,
        in_axes: int | tuple[int | None, ...] | None = 0,
        threads: int = 1,
        executor: Executor | None = None,
        chunk: int | None = None,
        **named: Any,
    ) -> tuple[Any, Any]: ...
    def save(self, path: str | os.PathLike[str]) -> None: ...
    def to_c(
        self,
        name: str,
        folder: str | os.PathLike[str] | None = None,
        *,
        derivatives: Literal["gradient", "jacobian"] | Sequence[Literal["gradient", "jacobian"]] | None = None,
        argnum: int | tuple[int, ...] | None = None,
    ) -> Export: ...
    def table(
        self, *args: Any, tangents: Sequence[Any] | None = None, cotangents: Sequence[Any] | None = None, **named: Any
    ) -> list[Node]: ...
    def graph(self, *, fold: bool | Literal["auto"] = "auto", most: int = 80) -> Graph: ...
    def _repr_svg_(self) -> str | None: ...
    def _repr_html_(self) -> str | None: ...
    def stats(self) -> Stats: ...
    def memory_profile(self) -> MemoryProfile: ...

class _Compiled(Generic[_P, _Y]):
    @property
    def programs(self) -> list[Program[_P, _Y]]: ...
    def clear(self) -> None: ...
    def __call__(self, *args: _P.args, **kwargs: _P.kwargs) -> _Y: ...

def trace(f: Callable[_P, _Y], *example: _P.args, **named: _P.kwargs) -> Program[_P, _Y]: ...
def load(path: str | os.PathLike[str], *, types: Sequence[type] = ()) -> Program[..., Any]: ...
@overload
def compile(
    f: Callable[_P, _Y], *, static: int | str | tuple[int | str, ...] = (), memory: int | str | None = None
) -> _Compiled[_P, _Y]: ...
@overload
def compile(
    f: None = None, *, static: int | str | tuple[int | str, ...] = (), memory: int | str | None = None
) -> Callable[[Callable[_P, _Y]], _Compiled[_P, _Y]]: ...
