"""What a type checker makes of fasttape's public names: read by mypy, never run.

A comment `type: ignore[...]` marks a mistake that must be found; mypy reports it if it is not.
"""
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import assert_type

import fasttape as ft
import fasttape.numpy as fnp

Vector = NDArray[np.float64]


def cube(x: float) -> float:
    return x**3


def loss(weights: Vector, inputs: Vector, rate: float) -> np.float64:
    total: np.float64 = ((inputs @ weights) ** 2).sum() * rate
    return total


w, data = np.ones(3), np.ones((2, 3))

# A derivative takes what the function takes; a gradient has the type of its argument.
assert_type(ft.grad(cube)(2.0), float)
assert_type(ft.grad(loss)(w, data, 0.5), Vector)
assert_type(ft.grad(loss, argnum=2)(w, data, 0.5), Any)
assert_type(ft.grad(loss, argnum=(0, 1))(w, data, 0.5), tuple[Any, ...])
assert_type(ft.value_and_grad(loss)(w, data, 0.5), tuple[np.float64, Vector])
assert_type(ft.value_and_grad(loss, argnum=(0, 1))(w, data, 0.5), tuple[np.float64, tuple[Any, ...]])
assert_type(ft.jacobian(loss, mode="forward")(w, data, 0.5), Any)
assert_type(ft.hessian(loss, argnum=(0, 1))(w, data, 0.5), tuple[tuple[Any, ...], ...])
assert_type(ft.jvp(cube, 2.0, 1.0), tuple[float, float])
assert_type(ft.vjp(loss, w, data, 0.5), tuple[np.float64, Callable[[Any], tuple[Any, ...]]])
assert_type(ft.hvp(cube, 2.0, 1.0), Any)
assert_type(ft.checkpoint(cube)(2.0), float)
assert_type(ft.checkpoint(policy="dots")(cube)(2.0), float)
ft.checkpoint(cube, policy="all")               # type: ignore[call-overload]
assert_type(ft.compile(cube, memory="8 MB")(2.0), float)

ft.grad(loss)(w)                                # type: ignore[call-arg]
ft.grad(loss)("w", data, 0.5)                   # type: ignore[arg-type]
ft.grad(cube, argnum="x")                       # type: ignore[call-overload]
ft.grad(3.0)                                    # type: ignore[call-overload]
ft.jacobian(cube, mode="sideways")              # type: ignore[call-overload]
_ = ft.nonsense                                 # type: ignore[attr-defined]

# Of a lambda nothing is known, and nothing is refused.
assert_type(ft.grad(lambda x: (x * x).sum())(w), Any)


# Traced values.
def of_traced(x: ft.Array, k: int) -> ft.Array:
    assert_type(x.shape, tuple[int, ...])
    assert_type(x[k] * 2.0 + np.ones(3) @ x.T - 1, ft.Array)
    assert_type((x > 0) & (x < 1), ft.Array)
    x[1:] += x[:-1]
    x.sum(axis="rows")                          # type: ignore[arg-type]
    return x.sum(axis=0, keepdims=True)


# The rest.
assert_type(ft.table(cube, 3.0)[0].r, float)
assert_type(ft.trace(cube, 3.0)(2.0), float)
assert_type(ft.trace(cube, 3.0).stats(), ft.Stats)
assert_type(ft.trace(cube, 3.0).stats().flops, int)
assert_type(ft.trace(cube, 3.0).table(2.0)[0].operation, str)
assert_type(ft.trace(cube, 3.0).graph(fold=True, most=30), ft.Graph)
assert_type(ft.trace(cube, 3.0).graph().svg(timeout=5.0), str)
ft.trace(cube, 3.0).graph(fold="all")                           # type: ignore[arg-type]
with ft.peak_memory() as memory:
    assert_type(memory.bytes, int)
assert_type(ft.stop_gradient(2.0), float)
assert_type(ft.special.erf(w), Any)
assert_type(fnp.supported(), list[str])
assert_type(fnp.zeros(3).dtype, np.dtype[np.float64])
assert_type(ft.scan(lambda c, x: (c, None), 1.0, length=3)[0], float)
assert_type(ft.fori_loop(0, 3, lambda i, c: c, 2.0), float)
assert_type(ft.while_loop(lambda c: False, lambda c: c, 1.0, schedule=ft.schedules.Online(3)), float)
assert_type(ft.schedules.Revolve(3), ft.schedules.Revolve)
ft.scan(lambda c, x: (c, None), 1.0, length=3, schedule=3)      # type: ignore[arg-type]
assert_type(ft.tradeoff(lambda c, x: (c, None), 1.0, 3)[0].memory, int)
ft.trace(cube, 3.0).save("cube.fasttape")
assert_type(ft.load("cube.fasttape")(2.0), Any)
ft.load(3.5)                                                    # type: ignore[arg-type]
assert_type(ft.trace(cube, 3.0).to_c("cube").source, str)
ft.trace(cube, 3.0).to_c("cube", ".", derivatives=("gradient", "jacobian"), argnum=0)
ft.trace(cube, 3.0).to_c("cube", derivatives="hessian")        # type: ignore[arg-type]

# Many at once.
program = ft.trace(cube, 3.0)
with ThreadPoolExecutor(2) as pool:
    assert_type(program.batch(w, executor=pool, chunk=1, reduce="sum"), Any)
    assert_type(program.batch_value_and_grad(w, argnum=0, reduce="mean", executor=pool), tuple[Any, Any])
    assert_type(program.batch_jacobian(w, executor=pool), tuple[Any, Any])
    ft.vmap(cube, executor=pool)(w)
program.batch(w, reduce="product")                              # type: ignore[arg-type]
program.batch(w, executor="pool")                               # type: ignore[arg-type]
assert_type(ft.gather(w, [0, 0]), Any)
