"""Types of the transforms.

A function of annotated arguments keeps them: its derivative takes the same arguments, and its
gradient with respect to the first has the type of the first. Of a lambda nothing is known, and the
results are Any.
"""
from collections.abc import Callable
from typing import Any, Concatenate, Literal, ParamSpec, TypeVar, overload

_P = ParamSpec("_P")
_X = TypeVar("_X")                      # an argument: a float or an array
_Y = TypeVar("_Y")                      # what the function returns
_Argnum = int | tuple[int, ...]
_Mode = Literal["auto", "forward", "reverse"]
_Policy = Literal["nothing", "everything", "dots"]

@overload
def grad(  # type: ignore[overload-overlap]
    f: Callable[Concatenate[_X, _P], Any], argnum: Literal[0] = 0, *, memory: int | str | None = None
) -> Callable[Concatenate[_X, _P], _X]: ...
@overload
def grad(f: Callable[_P, Any], argnum: int, *, memory: int | str | None = None) -> Callable[_P, Any]: ...
@overload
def grad(f: Callable[_P, Any], argnum: tuple[int, ...], *, memory: int | str | None = None) -> Callable[_P, tuple[Any, ...]]: ...
@overload
def value_and_grad(  # type: ignore[overload-overlap]
    f: Callable[Concatenate[_X, _P], _Y], argnum: Literal[0] = 0, *, memory: int | str | None = None
) -> Callable[Concatenate[_X, _P], tuple[_Y, _X]]: ...
@overload
def value_and_grad(f: Callable[_P, _Y], argnum: int, *, memory: int | str | None = None) -> Callable[_P, tuple[_Y, Any]]: ...
@overload
def value_and_grad(
    f: Callable[_P, _Y], argnum: tuple[int, ...], *, memory: int | str | None = None
) -> Callable[_P, tuple[_Y, tuple[Any, ...]]]: ...
def jvp(f: Callable[..., _Y], primals: Any, tangents: Any, argnum: _Argnum | None = None) -> tuple[_Y, _Y]: ...
def vjp(
    f: Callable[..., _Y], *primals: Any, argnum: _Argnum | None = None
) -> tuple[_Y, Callable[[Any], tuple[Any, ...]]]: ...
@overload
def jacobian(f: Callable[_P, Any], argnum: int = 0, mode: _Mode = "auto") -> Callable[_P, Any]: ...
@overload
def jacobian(f: Callable[_P, Any], argnum: tuple[int, ...], mode: _Mode = "auto") -> Callable[_P, tuple[Any, ...]]: ...
@overload
def hessian(f: Callable[_P, Any], argnum: int = 0) -> Callable[_P, Any]: ...
@overload
def hessian(f: Callable[_P, Any], argnum: tuple[int, ...]) -> Callable[_P, tuple[tuple[Any, ...], ...]]: ...
@overload
def hvp(f: Callable[..., Any], primals: Any, tangents: Any, argnum: int = 0) -> Any: ...
@overload
def hvp(f: Callable[..., Any], primals: Any, tangents: Any, argnum: tuple[int, ...]) -> tuple[Any, ...]: ...
@overload
def checkpoint(f: Callable[_P, _Y], *, policy: _Policy = "nothing") -> Callable[_P, _Y]: ...
@overload
def checkpoint(f: None = None, *, policy: _Policy = "nothing") -> Callable[[Callable[_P, _Y]], Callable[_P, _Y]]: ...
