"""Arrays of truth values made by comparing traced values: with numbers, alone, and written into."""
import operator

import numpy as np
import pytest
from table import traced

import fasttape as ft

F4, F8 = np.float32, np.float64
X = np.array([0.7, 1.3, 2.9])

MASKED = [lambda m, x: m * 2, lambda m, x: m + m, lambda m, x: np.sum(m), lambda m, x: np.max(m), lambda m, x: np.stack([m, m]),
          lambda m, x: np.concatenate([m, ~m]), lambda m, x: m.copy(), lambda m, x: np.maximum(m, ~m), lambda m, x: np.where(m, m, ~m), lambda m, x: np.broadcast_to(m, (2, 3)),
          lambda m, x: np.prod(m), lambda m, x: abs(m), lambda m, x: np.sum(m, axis=0, keepdims=True)]
SAME = [lambda m, x: m * 1.0, lambda m, x: np.mean(m), lambda m, x: m / 2, lambda m, x: m * x, lambda m, x: x - m, lambda m, x: m & True, lambda m, x: ~m, lambda m, x: m[1:], lambda m, x: m.reshape(-1, 1), lambda m, x: m[::-1].T, lambda m, x: m == m,
        lambda m, x: m[[0, 0, 1]], lambda m, x: m[0], lambda m, x: np.any(m), lambda m, x: np.where(m, x, 1.0), lambda m, x: x * (m | (x < 0)), lambda m, x: m.astype(F4),
        lambda m, x: m < x, lambda m, x: np.where(m, 0.0, x), lambda m, x: np.clip(x, m, 2.0), lambda m, x: x[m]]


@pytest.mark.parametrize("dtype", [F4, F8])
@pytest.mark.parametrize("i", range(len(SAME)))
def test_truth_values_with_other_things(i, dtype):
    x = X.astype(dtype)
    found, wanted = traced(lambda x: SAME[i](x > 1, x), x), SAME[i](x > 1, x)
    assert found.dtype == wanted.dtype
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.xfail(strict=True, reason="what is computed of traced truth values alone is of the float that they are held as")
@pytest.mark.parametrize("i", range(len(MASKED)))
def test_truth_values_alone(i):
    x = X.astype(F4)
    assert traced(lambda x: MASKED[i](x > 1, x), x).dtype == MASKED[i](x > 1, x).dtype


@pytest.mark.xfail(strict=True, reason="- and + of truth values, and += of a float to them, are defined here, against NumPy")
@pytest.mark.parametrize("f", [lambda m: m - m, lambda m: -m, lambda m: +m, lambda m: operator.iadd(m, 1.0)])
def test_truth_values_refuse(f):
    with pytest.raises(TypeError):
        f(X > 1)
    with pytest.raises(TypeError):
        traced(lambda x: f(x > 1), X)


@pytest.mark.xfail(strict=True, reason="tracer.store and in_place: a cast of floats to truth values keeps them as they are, and active")
def test_truth_values_that_are_assigned_are_truth_values():
    def f(x):
        m = x > 1
        m[:] = x
        return np.sum(m * x)
    assert traced(f, X) == f(X) == np.sum(X)
    np.testing.assert_array_equal(ft.grad(f)(X), np.ones(3))


def test_truth_values_are_written_to_as_truth_values():
    """As far as what is written is one."""
    def f(x):
        m = x > 1
        view = m[1:]
        m[0] = True
        m[2] = x[0] > 5
        view[0] = 0
        return np.where(m, x, 0.0) + view[0] * 1.0
    np.testing.assert_array_equal(traced(f, X), f(X))
    np.testing.assert_array_equal(ft.jacobian(f)(X), np.diag([1.0, 0.0, 0.0]))


@pytest.mark.xfail(strict=True, reason="Array has no __iand__, __ior__, __ixor__: a new array takes the name, and the base is not written to")
@pytest.mark.parametrize("change", [lambda n: operator.iand(n, False), lambda n: operator.ior(n, True), lambda n: operator.ixor(n, True)])
def test_in_place_operators_write_through(change):
    def f(x):
        m = x > 1
        change(m[:2])
        return m * 1.0
    np.testing.assert_array_equal(traced(f, X), f(X))
