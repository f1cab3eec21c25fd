"""The transforms: arguments, shapes, dtypes, seeds, and what they leave as it was."""
import copy
import pathlib
import subprocess
import sys
import threading

import numpy as np
import pytest

import fasttape as ft

HERE = pathlib.Path(__file__).parent       # not the checkout, whose ./fasttape may not be built

A = np.array([[1.0, -2.0, 0.5], [0.25, 3.0, -1.0]])
X = np.array([0.3, -0.7, 1.9])


def f(x, y, scale=1.0):
    """Of a vector of 3 and a number; its gradients are worked out in `gradients`."""
    return scale * np.sum(x * x * y) + y**3


def gradients(x, y, scale=1.0):
    return scale * 2 * x * y, scale * np.sum(x * x) + 3 * y**2


@pytest.mark.parametrize("argnum", [0, 1, -1, -2, (0,), (1,), (0, 1), (1, 0), (0, -1), (0, 0), ()])
@pytest.mark.parametrize("kwargs", [{}, {"scale": 2.5}])
def test_grad_argnum(argnum, kwargs):
    want = gradients(X, 0.6, **kwargs)
    g = ft.grad(f, argnum)(X, 0.6, **kwargs)
    value, again = ft.value_and_grad(f, argnum)(X, 0.6, **kwargs)
    assert value == pytest.approx(f(X, 0.6, **kwargs))
    assert isinstance(g, tuple) == isinstance(argnum, tuple) == isinstance(again, tuple)
    for found in (g, again):
        found = found if isinstance(argnum, tuple) else (found,)
        wanted = [want[k] for k in (argnum if isinstance(argnum, tuple) else (argnum,))]
        assert len(found) == len(wanted)
        for a, b in zip(found, wanted):
            np.testing.assert_allclose(a, b, rtol=1e-14)
            assert np.shape(a) == np.shape(b)


@pytest.mark.parametrize("mode", ["auto", "forward", "reverse"])
@pytest.mark.parametrize("argnum", [0, 1, -1, (0, 1), (1, 0), (1,), (0, 0), (1, 0, -1), (0, -2, 1, 1), ()])
def test_jacobian_argnum(mode, argnum):
    def g(x, y, shift=0.0):
        return (A @ x) * y + shift

    want = (A * 0.6, A @ X)
    found = ft.jacobian(g, argnum, mode=mode)(X, 0.6, shift=1.0)
    assert isinstance(found, tuple) == isinstance(argnum, tuple)
    for a, k in zip(found if isinstance(argnum, tuple) else (found,),
                    argnum if isinstance(argnum, tuple) else (argnum,)):
        np.testing.assert_allclose(a, want[k], rtol=1e-14)
        assert np.shape(a) == np.shape(want[k])


def test_an_argument_that_is_named_twice_in_forward_mode():
    """Its tangents add up, and it has a block for each time."""
    def f(x, y):
        return np.sum(x**3 * y)

    x, y, u, v = X, 0.6, np.ones_like(X), np.arange(1.0, len(X) + 1)
    for argnums in ((0, 0), (0, -2), (-2, 0)):
        _, t = ft.jvp(f, (x, y), (u, v), argnums)
        assert t == pytest.approx((3 * x**2 * y * (u + v)).sum(), rel=1e-14)
        for found in ft.hvp(f, (x, y), (u, v), argnums):
            np.testing.assert_allclose(found, 6 * x * y * (u + v), rtol=1e-14)
        for row in ft.hessian(f, argnums)(x, y):
            for block in row:
                np.testing.assert_allclose(block, np.diag(6 * x * y), rtol=1e-14, atol=1e-15)
    with pytest.raises(ValueError, match="a tangent has shape"):
        ft.jvp(f, (x, y), (u, 1.0), (0, 0))
    first, second = ft.jacobian(lambda x, y: x * y, (0, 0), "forward")(x, y)
    assert first is not second and not np.shares_memory(first, second)
    outer = ft.grad(lambda x, y: sum((j * j).sum() for j in ft.jacobian(lambda x: x**2 * y, (0, 0), "forward")(x)), (0, 1))(x, y)
    np.testing.assert_allclose(outer[0], 16 * x * y**2, rtol=1e-14)
    np.testing.assert_allclose(outer[1], 16 * (x**2).sum() * y, rtol=1e-14)
    p = ft.trace(lambda x: np.concatenate([x * 3.0, x * x]), np.ones(1))
    for in_axes, a in ((0, np.full((2, 1), 2.0)), (None, np.full(1, 2.0))):
        lanes = (a, 1.0, np.ones(2))
        q = ft.trace(lambda a, b, c: np.concatenate([a * 3.0, a * a]) * c, np.ones(1), 1.0, 1.0)
        _, matrix = q.batch_jacobian(*lanes, argnum=(0, 0), in_axes=(in_axes, None, 0))
        half = matrix.toarray()[:, :matrix.shape[1] // 2]
        np.testing.assert_array_equal(matrix.toarray(), np.hstack([half, half]))
        assert half[0, 0] == 3.0 and half[1, 0] == 4.0
    for found in p.jacobian((0, 0))(np.ones(1)):
        np.testing.assert_array_equal(found, [[3.0], [2.0]])


@pytest.mark.parametrize("mode", ["auto", "forward", "reverse"])
@pytest.mark.parametrize("n, m", [((), ()), ((3,), ()), ((), (3,)), ((2, 2), (2, 2)), ((1,), (1,)), ((2, 3), (3,)),
                                  ((0,), (2,)),
                                  ((2,), (0,)), ((0,), ()), ((1, 1), (1,)), ((2, 1, 2), (2, 1))])
def test_jacobian_shapes(mode, n, m):
    weight = np.random.default_rng(0).normal(size=m + n)

    def g(x):
        if x.ndim == 0:
            return weight * x
        return np.sum(weight * x, axis=tuple(range(len(m), len(m) + len(n))))

    x = np.random.default_rng(1).normal(size=n)
    j = ft.jacobian(g, mode=mode)(x)
    assert j.shape == m + n
    np.testing.assert_allclose(j, weight, rtol=1e-14)


def test_jacobian_in_several_passes():
    """So many seeds that one stack of them would be too large: 3000 inputs, 3000 outputs."""
    x = np.linspace(-1, 1, 3000)
    for mode in ("forward", "reverse"):
        j = ft.jacobian(lambda x: np.sin(x) + x[::-1] * np.sum(x), mode=mode)(x)
        np.testing.assert_allclose(j, np.diag(np.cos(x)) + np.eye(3000)[::-1] * x.sum() + x[::-1, None], atol=1e-12)


def test_jvp_vjp_arguments():
    v = np.array([1.0, 2.0, -0.5])
    dx, dy = gradients(X, 0.6)
    value, slope = ft.jvp(f, (X, 0.6), (v, 0.25))
    assert (value, slope) == (pytest.approx(f(X, 0.6)), pytest.approx(dx @ v + 0.25 * dy))
    assert ft.jvp(f, (X, 0.6), v, argnum=0)[1] == pytest.approx(dx @ v)
    assert ft.jvp(f, (X, 0.6), 0.25, argnum=1)[1] == pytest.approx(0.25 * dy)
    assert ft.jvp(f, (X, 0.6), (0.25,), argnum=(-1,))[1] == pytest.approx(0.25 * dy)
    value, pull = ft.vjp(f, X, 0.6)
    np.testing.assert_allclose(pull(2.0)[0], 2 * dx)
    assert pull(2.0)[1] == pytest.approx(2 * dy)
    assert len(ft.vjp(f, X, 0.6, argnum=1)[1](1.0)) == 1


def test_pullback_many_times_and_while_others_trace():
    value, pull = ft.vjp(lambda x: np.tanh(A @ np.sin(x)), X)
    jacobian = np.diag(1 - value**2) @ A @ np.diag(np.cos(X))
    for k in range(20):
        w = np.random.default_rng(k).normal(size=2)
        np.testing.assert_allclose(pull(w)[0], w @ jacobian, rtol=1e-13)
        ft.grad(lambda x: np.sum(np.sin(A @ x)))(X)
        ft.grad(lambda x: np.sum(pull(np.ones(2))[0] * x))(X)
    other = [ft.vjp(lambda x, k=k: x**k, X)[1] for k in range(1, 6)]
    for k, p in enumerate(other, 1):
        np.testing.assert_allclose(p(np.ones(3))[0], k * X ** (k - 1), rtol=1e-13)
    np.testing.assert_allclose(pull([1, 0])[0], jacobian[0], rtol=1e-13)


def test_pullback_of_large_arrays_lets_them_go():
    x = np.ones(100_000)
    _, pull = ft.vjp(lambda y: y * y * x, x)
    assert x.flags.writeable
    x[:] = 50.0
    np.testing.assert_array_equal(pull(np.ones(100_000))[0], 2.0 * np.ones(100_000))


def test_pullback_shared_by_threads_is_right_or_refused():
    x = np.random.default_rng(0).normal(size=100_000)
    _, pull = ft.vjp(lambda x: np.tanh(np.sin(x) * x), x)
    want, wrong = pull(np.ones_like(x))[0], []

    def work():
        for _ in range(30):
            try:
                if not np.array_equal(pull(np.ones_like(x))[0], want):
                    wrong.append(1)
            except RuntimeError:
                pass

    in_threads(work, 4)
    assert not wrong


def in_threads(work, n):
    threads = [threading.Thread(target=work) for _ in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_threads_differentiate_at_the_same_time():
    wrong = []

    def work():
        rng = np.random.default_rng()
        for k in range(200):
            x = rng.normal(size=(40, 300) if k % 10 == 0 else 30)
            if not np.allclose(ft.grad(lambda x: np.sum(np.sin(x) * x))(x), np.cos(x) * x + np.sin(x)):
                wrong.append(k)
            if ft.jvp(lambda s: s * s, float(k), 1.0)[1] != 2.0 * k:
                wrong.append(k)

    in_threads(work, 4)
    assert not wrong


def test_constants_and_arguments_without_influence():
    np.testing.assert_array_equal(ft.grad(lambda x: 3.0)(X), np.zeros(3))
    assert ft.grad(lambda x, y: y, argnum=(0, 1))(X, 2.0)[1] == 1.0
    np.testing.assert_array_equal(ft.grad(lambda x, y: y, argnum=(0, 1))(X, 2.0)[0], np.zeros(3))
    for mode in ("forward", "reverse"):
        np.testing.assert_array_equal(ft.jacobian(lambda x: np.ones(2), mode=mode)(X), np.zeros((2, 3)))
    value, slope = ft.jvp(lambda x: np.arange(2.0), X, X)
    np.testing.assert_array_equal((value, slope), [[0, 1], [0, 0]])
    np.testing.assert_array_equal(ft.vjp(lambda x: np.arange(2.0), X)[1](np.ones(2))[0], np.zeros(3))
    np.testing.assert_array_equal(ft.hessian(lambda x: np.sum(x))(X), np.zeros((3, 3)))
    np.testing.assert_array_equal(ft.grad(lambda x: np.sum(x) if x is None else 1)(X), np.zeros(3))


def test_hessian_blocks():
    def g(x, y, k=1.0):
        return k * np.sum(x * x) * y + np.sum(x) * y**2

    h = ft.hessian(g, argnum=(0, 1))(X, 0.6, k=2.0)
    np.testing.assert_allclose(h[0][0], 4 * 0.6 * np.eye(3))
    np.testing.assert_allclose(h[0][1], 4 * X + 2 * 0.6)
    np.testing.assert_allclose(h[1][0], 4 * X + 2 * 0.6)
    np.testing.assert_allclose(h[1][1], 2 * X.sum())
    assert [[np.shape(b) for b in row] for row in h] == [[(3, 3), (3,)], [(3,), ()]]
    product = ft.hvp(g, (X, 0.6), (np.ones(3), 2.0), argnum=(0, 1))
    np.testing.assert_allclose(product[0], 2 * 0.6 + 2 * (2 * X + 2 * 0.6))
    np.testing.assert_allclose(product[1], np.sum(2 * X + 2 * 0.6) + 2 * 2 * X.sum())


def test_float32_stays_float32():
    x = X.astype(np.float32)
    assert ft.grad(lambda x: np.sum(np.sin(x) * 0.1))(x).dtype == np.float32
    assert ft.jacobian(lambda x: x * x)(x).dtype == np.float32
    assert [a.dtype for a in ft.jvp(lambda x: x * 0.1, x, x)] == [np.float32] * 2
    assert ft.hessian(lambda x: np.sum(x**3))(x).dtype == np.float32
    assert ft.grad(lambda x: x * x)(np.float32(3)).dtype == np.float32
    g = ft.grad(lambda x, y: np.sum(x * y), argnum=(0, 1))(x, X)
    assert [a.dtype for a in g] == [np.float32, np.float64]


def test_control_flow_on_values():
    def g(x):
        y = x
        while np.sum(y * y) > 1e-2:
            y = y * 0.5 if y[0] > 0 else -y
        if bool(y[1] < 0) and not np.any(np.isnan(y)):
            y = y * 2
        for v in y:
            if v > 0.01:
                y = y + v
        return np.sum(y) + max(y) * len(y) + sum(y)

    x = np.array([-0.9, 0.4, 1.3])
    slope = [(g(x + h) - g(x - h)) / 2e-6 for h in 1e-6 * np.eye(3)]
    np.testing.assert_allclose(ft.grad(g)(x), slope, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(ft.jacobian(g, mode="forward")(x), slope, rtol=1e-6, atol=1e-8)
    assert ft.jvp(g, x, x)[0] == pytest.approx(g(x))


def test_copies_and_generators():
    def g(x):
        y = copy.deepcopy([x, copy.copy(x)])
        y[0] += 1.0
        return np.sum(sum(v * k for k, v in enumerate(y, 1))) + sum(v * v for v in (a + 1.0 for a in x))

    np.testing.assert_allclose(ft.grad(g)(X), 3.0 + 2 * (X + 1))


def test_errors_caught_inside_the_function():
    def g(x):
        try:
            x = x + np.ones(7)
        except ValueError:
            x = x * 2
        try:
            ft.grad(lambda y: y / None)(1.0)
        except TypeError:
            pass
        try:
            ft.grad(lambda y: np.sum(y * x) + 1 / 0)(x)
        except ZeroDivisionError:
            x = x * x
        return np.sum(x)

    np.testing.assert_allclose(ft.grad(g)(X), 8 * X)


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="no fork here")
def test_fork_after_a_trace():
    code = ("import os, numpy as np, fasttape as ft\n"
            "f = lambda x: (np.sin(x) * x).sum()\n"
            "x = np.ones(1000); want = ft.grad(f)(x)\n"
            "v, pull = ft.vjp(lambda x: x * x, x)\n"
            "pid = os.fork()\n"
            "ok = np.array_equal(ft.grad(f)(x), want) and np.array_equal(pull(x)[0], 2 * x)\n"
            "if pid == 0: os._exit(0 if ok else 1)\n"
            "assert ok and os.waitpid(pid, 0)[1] == 0\n")
    subprocess.run(cwd=HERE, args=[sys.executable, "-c", code], check=True, timeout=60)
