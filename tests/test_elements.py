"""Programs of loops that write arrays element by element: replays are, bit for bit, the one-shot results."""
import numpy as np
import pytest

import fasttape as ft

N = 60


def filled(x):
    y = np.zeros_like(x)
    for i in range(len(x)):
        y[i] = np.sin(x[i]) * x[i]
    return y.sum()


def recurrence(x):
    u = x.copy()
    for i in range(1, len(x)):
        u[i] = u[i - 1] * 0.5 + x[i]
    return (u * u).sum()


def from_the_end(x):
    u = x * 1.0
    for i in reversed(range(len(x) - 1)):
        u[i] = u[i + 1] * 0.9 + x[i]
    return u.sum() + u[3]


def stencil(x):
    u = x.copy()
    for _ in range(5):
        v = np.zeros_like(u)
        for i in range(1, len(x) - 1):
            v[i] = u[i] + 0.1 * (u[i - 1] - 2 * u[i] + u[i + 1])
        v[0], v[-1] = u[0], u[-1]
        u = v
    return (u * np.arange(float(len(x)))).sum()


def in_place(x):
    u = x * 1.0
    for _ in range(5):
        for i in range(1, len(x) - 1):
            u[i] += 0.1 * (u[i - 1] - u[i + 1])
    return (u * np.arange(float(len(x)))).sum()


def every_other(x):
    u = np.zeros_like(x)
    for i in range(len(x) // 2):
        u[2 * i] = x[i] ** 2
        u[2 * i + 1] += x[i] - u[2 * i]
    return np.sum(u * x)


def looked_at_now_and_then(x):
    u, s = np.zeros_like(x), 0.0
    for i in range(len(x)):
        u[i] = x[i] ** 2
        if i % 17 == 7:
            s = s + u.sum()
        u[i // 2] += x[i]
    return s + u.max()


def through_a_view(x):
    u = 1.0 * x
    w = u[3:]
    for i in range(len(x) - 3):
        w[i] = u[i] * 0.5
    return np.sum(u * x)


def two_names(x):
    u = 1.0 * x
    before = u.copy()
    for i in range(len(x)):
        u[i] = before[i] * x[-1 - i]
    return np.sum(u * before)


def of_a_constant(x):
    table = np.linspace(0.0, 1.0, len(x))
    u = np.where(x > 1e9, x, table)
    for i in range(len(x)):
        u[i] += x[i] * table[i]
    return np.prod(1.0 + 0.01 * u)


def twice_the_same(x):
    u = np.zeros_like(x)
    for i in range(len(x)):
        u[5] = u[5] + x[i]
        u[6] = x[i]
    return u[5] * u[6]


LOOPS = [filled, recurrence, from_the_end, stencil, in_place, every_other, looked_at_now_and_then, through_a_view, two_names,
         of_a_constant, twice_the_same]


def vector(f):
    return lambda x: f(x) * np.cos(x)


TRANSFORMS = {
    "value and gradient": ft.value_and_grad,
    "gradient of a gradient": lambda f: ft.grad(lambda x: np.sum(ft.grad(f)(x) * x)),
    "hvp": lambda f: lambda x: ft.hvp(f, x, 0.5 * x),
    "rows": lambda f: ft.jacobian(vector(f), mode="reverse"),
    "columns": lambda f: ft.jacobian(vector(f), mode="forward"),
}


def bits(result):
    return [np.asarray(part).tobytes() for part in (result if isinstance(result, tuple) else (result,))]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("f", LOOPS, ids=lambda f: f.__name__)
def test_replay_is_the_one_shot_result(f, transform, dtype):
    g = TRANSFORMS[transform](f)
    x = np.random.default_rng(0).normal(size=N).astype(dtype)
    program = ft.trace(g, x)
    for scale in (1.0, -1.3):
        assert bits(program(x * dtype(scale))) == bits(g(x * dtype(scale)))


@pytest.mark.parametrize("f", LOOPS, ids=lambda f: f.__name__)
def test_gradient_agrees_with_central_difference(f):
    rng = np.random.default_rng(1)
    x, v = rng.normal(size=N), rng.normal(size=N)
    slope = (f(x + 1e-6 * v) - f(x - 1e-6 * v)) / 2e-6
    assert ft.compile(ft.grad(f))(x) @ v == pytest.approx(slope, rel=1e-6, abs=1e-6)
