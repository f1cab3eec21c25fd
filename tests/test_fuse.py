"""Machine code in the plans of programs, of loops and of runs of array arithmetic: the bits are those without it."""
import hashlib
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

import fasttape as ft
from fasttape._core import loop

HERE = pathlib.Path(__file__).parent
has_code = "vector" in loop.available()


def rosenbrock(x):
    total = 0.0
    for i in range(len(x) - 1):
        total = total + 100.0 * (x[i + 1] - x[i] ** 2) ** 2 + (1.0 - x[i]) ** 2
    return total


def recurrence(x):
    a = x[0]
    for i in range(len(x)):
        a = a * 0.5 + np.maximum(a * x[i], np.sin(a))
    return a


def rational(x):
    """Nothing but what the code computes itself, with more constants and operands than it has registers."""
    y = x
    for k in range(1, 40):
        y = (y * x + k) / (1.0 + y * y) - np.where(x > 0.1 * k, np.abs(y), np.maximum(x, y) * (0.5 * k))
    return np.sum(np.sqrt(y * y + 1.0) * x)


def with_functions(x):
    """Arithmetic around functions, which are steps of their own."""
    return np.sum(np.tanh(np.sin(x) * np.exp(-x * x) + np.log1p(x * x)) * x / (1.0 + x))


def broadcast(x):
    y = np.reshape(x, (-1, 10))
    return np.sum((y - y[:, :1]) * (y - y[:1]) / (2.0 + y[0, 0]))


def heat(x):
    u = x.copy()
    for _ in range(12):
        u[1:-1] += 0.2 * (u[2:] - 2.0 * u[1:-1] + u[:-2]) * u[1:-1]
    return np.sum(u * u)


FUNCTIONS = [rosenbrock, recurrence, rational, with_functions, broadcast, heat]
SPECIAL = [0.0, -0.0, np.inf, -np.inf, np.nan, 5e-324, -2e-310, 1e300, -1.7e308, 1.0]


def inputs(dtype):
    x = np.random.default_rng(0).normal(size=1500)
    yield x[:40].astype(dtype)
    yield x[:1490].astype(dtype)            # blocks, and a rest
    x[::29] = np.resize(SPECIAL, len(x[::29]))
    with np.errstate(over="ignore"):
        yield x[:1490].astype(dtype)


def digest(arrays):
    """Of the bits, but for a nan's sign and payload."""
    seen = hashlib.sha256()
    for a in arrays:
        a = np.asarray(a)
        seen.update(np.where(np.isnan(a), 0.0, a).astype(a.dtype).tobytes() + np.isnan(a).tobytes())
    return seen.hexdigest()


def answers():
    """A line for each function and dtype."""
    lines = []
    for f in FUNCTIONS:
        for dtype in (np.float64, np.float32):
            found = []
            for x in inputs(dtype):
                program = ft.trace(ft.value_and_grad(f), x)
                for y in (x, (0.5 * x).astype(dtype), x):
                    value, gradient = program(y)
                    found += [value, gradient]
            lines.append(f"{f.__name__} {np.dtype(dtype).name} {digest(found)}")
    return lines


def test_the_same_bits_without_code():
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", "import test_fuse; print(*test_fuse.answers(), sep='\\n')"],
                          cwd=HERE, capture_output=True, text=True, timeout=300, env={**os.environ, "FASTTAPE_NO_CODE": "1"})
    assert done.stdout.splitlines() == answers(), done.stderr


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("f", FUNCTIONS)
def test_the_bits_of_one_shot(f, dtype):
    g = ft.value_and_grad(f)
    with np.errstate(all="ignore"):
        for x in inputs(dtype):
            program = ft.trace(g, x)
            for y in (x, (0.5 * x).astype(dtype), x):
                assert digest(program(y)) == digest(g(y))


@pytest.mark.skipif(not has_code, reason="no emitter for this processor")
@pytest.mark.parametrize("f", [rosenbrock, rational, with_functions])
def test_the_system_may_refuse_executable_memory(f):
    """Each request for memory of code fails in turn: the program does without, or there is a MemoryError."""
    g, x = ft.value_and_grad(f), np.linspace(-1.0, 1.3, 700)
    wanted = digest(g(x))
    k, programs = 1, 0
    while True:
        loop.rig_allocation(k)
        try:
            program = ft.trace(g, x)
        except MemoryError:
            program = None
        finally:
            left = loop.rig_allocation(0)
        if program is not None:
            assert digest(program(x)) == wanted
        if left:
            break
        programs += program is not None
        k += 1
    assert programs >= 1 and k >= 3             # at least the pages themselves were refused


# ---- outputs that lie where they go from their first step on

def results(f, *x):
    """What a program returns, first and again, is what the one-shot call does."""
    program = ft.trace(f, *x)
    wanted = ft.vjp(f, *x)[0]
    for _ in range(3):
        np.testing.assert_array_equal(program(*x), wanted)


def smoothed(u):
    u = u.copy()
    for _ in range(5):
        u[1:-1] += 0.25 * (u[2:] - 2.0 * u[1:-1] + u[:-2])
    return u


def replaced(u):
    u = u * 2.0 + 1.0
    for _ in range(5):
        u[1:-1] = 0.5 * (u[2:] + u[:-2]) - u[1:-1]
    return u


def weighted(u):
    """What is written into is itself the result of arithmetic, and read by more of it."""
    y = u * u + u
    z = y * 0.5 - u
    y[2:-2] += z[2:-2] * u[2:-2]
    y[::2] *= 3.0
    return y


def whole(u):
    y = u * 3.0 - 1.0
    y += y * u
    y -= u
    return y


@pytest.mark.parametrize("n", [5, 300, 5000])
@pytest.mark.parametrize("f", [smoothed, replaced, weighted, whole])
def test_outputs_that_are_changed_step_by_step(f, n):
    u = np.sin(np.arange(float(n)))
    results(f, u)
    results(lambda u: f(u) * 1.0, u)
    results(ft.grad(lambda u: np.sum(f(u) * np.cos(u))), u)


@pytest.mark.parametrize("n", [300, 5000])
def test_outputs_that_other_outputs_read(n):
    """A member of a step that is an output, and read by later members of the same step."""
    def f(u, v):
        a = u * v + 1.0
        b = a * a - u
        c = b / (a + 2.0)
        return a, b, c, a + c

    u, v = np.sin(np.arange(float(n))), np.cos(np.arange(float(n)))
    program = ft.trace(f, u, v)
    for x in ((u, v), (v, u), (u, u)):
        for found, wanted in zip(program(*x), f(*x)):
            np.testing.assert_array_equal(found, wanted)
