"""Memory that runs out: at each allocation in turn, and for arrays larger than any machine. MemoryError, never a crash;
the next call, on the same tape, is right."""
import gc
import pathlib
import subprocess
import sys

import numpy as np
import pytest

import fasttape as ft
from fasttape._core import tape

HERE = pathlib.Path(__file__).parent       # not the checkout, whose ./fasttape may not be built
X, LONG, MATRIX = np.linspace(-1, 1.2, 6), np.linspace(-1, 1, 3000), np.cos(np.arange(6000.0)).reshape(60, 100)


def update_loop(x):
    y = 1.0 * x
    for i in range(5):
        y[i + 1] += y[i] * 0.5              # y_i = sum of x_j / 2**(i - j)
    return np.sum(y)


UPDATE = 2.0 - 0.5 ** np.arange(5.0, -1, -1)


def many_shapes(x):
    return sum(np.sum(np.broadcast_to(x[:1], (n, 2))) + np.sum(x[:n % 6 + 1]) for n in range(1, 40))


MANY = np.array([1560.0, 0, 0, 0, 0, 0]) + [sum(n % 6 >= i for n in range(1, 40)) for i in range(6)]


def joined(x):
    return np.sum(np.concatenate([x, np.stack([x[0], x[1]]), x[[1, 2, 2]]]) ** 2) + np.max(x)


JOINED = 2 * X * [2, 3, 3, 1, 1, 1] + [0, 0, 0, 0, 0, 1]


def network(x):
    return np.sum(np.tanh(MATRIX @ (x[:100] * x[100:200])))


def network_slope():
    back = (1 - np.tanh(MATRIX @ (LONG[:100] * LONG[100:200])) ** 2) @ MATRIX
    return np.concatenate([back * LONG[100:200], back * LONG[:100], np.zeros(2800)])


def long_loop(x):
    y = np.sum(x)
    for _ in range(3000):
        y = y * 0.999
    return y


LOOP = np.full(6, 0.999**3000)
CALLS = {           # a call, what it must return
    "updates": (lambda: ft.grad(update_loop)(X), UPDATE), "shapes": (lambda: ft.grad(many_shapes)(X), MANY),
    "joined": (lambda: ft.grad(joined)(X), JOINED),
    "network": (lambda: ft.grad(network)(LONG), network_slope()), "loop": (lambda: ft.grad(long_loop)(X), LOOP),
    "forward loop": (lambda: ft.jvp(long_loop, X, np.ones(6))[1], LOOP.sum()),
    "forward network": (lambda: ft.jvp(network, LONG, LONG)[1], network_slope() @ LONG),
    "hessian": (lambda: ft.hessian(joined)(X), np.diag([4.0, 6, 6, 2, 2, 2])),
    "columns": (lambda: ft.jacobian(lambda x: x * np.sum(x), mode="forward")(X), np.eye(6) * X.sum() + X[:, None]),
    "rows": (lambda: ft.jacobian(lambda x: np.outer(x, x)[:, 0], mode="reverse")(X),
             np.eye(6) * X[0] + np.outer(X, np.eye(6)[0])),
    "pullback": (lambda: ft.vjp(joined, X)[1](1.0)[0], JOINED),
    "nested": (lambda: ft.grad(lambda x: np.sum(ft.grad(joined)(x) * x))(X),
               4 * X * [2, 3, 3, 1, 1, 1] + [0, 0, 0, 0, 0, 1]),
    "forced": (lambda: ft.grad(lambda x: joined(x) if np.sum(x * x) > 0 else 0.0)(X), JOINED),
    "checkpoint": (lambda: ft.grad(ft.checkpoint(joined))(X), JOINED),
    "large": (lambda: ft.grad(lambda x: np.sum(x * x * x))(np.full(100_000, 2.0)), np.full(100_000, 12.0)),
    "many arguments": (lambda: np.stack(ft.vjp(lambda *a: sum(np.sum(b) for b in a), *[X] * 20)[1](1.0)),
                       np.ones((20, 6))),
}


def runs_out(k, call):
    """Whether there is an allocation k for it to run out at, on a tape that had nothing."""
    held = [ft.vjp(abs, 1.0) for _ in range(17)]        # the tapes of the pool
    tape.rig_allocation(k)
    failed = False
    try:
        call()
    except MemoryError:
        failed = True
    assert failed == (tape.rig_allocation(0) == 0), "an allocation that failed was passed over"
    return failed and len(held) > 0


@pytest.mark.parametrize("name", CALLS)
def test_each_allocation_in_turn(name):
    call, wanted = CALLS[name]
    np.testing.assert_allclose(call(), wanted, rtol=1e-12, atol=1e-14)
    gc.collect(1)
    before, k = tape.reset_peak(), 1
    while runs_out(k, call):
        np.testing.assert_allclose(call(), wanted, rtol=1e-12, atol=1e-14)
        assert LONG.flags.writeable and MATRIX.flags.writeable and tape.reset_peak() == before
        k += 1
    assert k > 8


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="large arrays are mappings on Linux only")
def test_growing_into_a_mapping_may_fail():
    """In a process of its own: a mapping that was taken for malloc's would abort it."""
    code = """
import fasttape as ft
from fasttape._core import tape
def f(x):
    for _ in range(270_000):
        x = x * 1.0
    return x
for k in range(30, 80):
    held = [ft.vjp(abs, 1.0) for _ in range(17)]
    tape.rig_allocation(k)
    try:
        ft.grad(f)(1.0)
    except MemoryError:
        pass
    if tape.rig_allocation(0):
        break
    assert ft.grad(f)(1.0) == 1.0
assert k > 40
"""
    done = subprocess.run(cwd=HERE, args=[sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


HUGE = ["(2**44,)", "(2**54,)", "(2**56,)", "(2**60,)", "(2**61,)", "(2**32, 2**32)", "(6, 3074457345618258603)",
        "(2**31, 2**31, 2**31)"]


@pytest.mark.parametrize("shape", HUGE)
def test_allocation_that_cannot_succeed(shape):
    """In a process of its own: a size that overflows must not become a small buffer."""
    code = f"""
import numpy as np, fasttape as ft
for f in (lambda x: np.broadcast_to(x, {shape}).max(), lambda x: (np.ones_like(x, shape={shape}) * x).min()):
    try:
        print(ft.grad(f)(2.0))
    except (MemoryError, ValueError):
        pass
    else:
        raise SystemExit("no error")
assert ft.grad(lambda x: x * x)(3.0) == 6.0
"""
    done = subprocess.run(cwd=HERE, args=[sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr or done.stdout
