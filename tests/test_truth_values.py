"""Arrays of truth values made by comparing traced values: with numbers, alone, and written into."""
import operator

import numpy as np
import pytest
from table import traced

import fasttape as ft

F4, F8 = np.float32, np.float64
X = np.array([0.7, 1.3, 2.9])

ALONE = [lambda m, x: m + m, lambda m, x: m * ~m, lambda m, x: m + True,
         lambda m, x: np.multiply(m, np.array([True, False, True])), lambda m, x: np.max(m),
         lambda m, x: np.min(m, axis=0, keepdims=True), lambda m, x: np.stack([m, m]),
         lambda m, x: np.stack([m[0], True, m[1]]), lambda m, x: np.concatenate([m, ~m, [True]]),
         lambda m, x: m.copy(), lambda m, x: m.flatten(), lambda m, x: m[1:].T.copy(), lambda m, x: np.maximum(m, ~m),
         lambda m, x: np.minimum(m, False), lambda m, x: np.fmax(m, ~m), lambda m, x: np.fmin(m, m),
         lambda m, x: np.where(m, m, ~m), lambda m, x: np.where(x > 2, m, True),
         lambda m, x: np.broadcast_to(m, (2, 3)), lambda m, x: np.broadcast_to(m[0], (2, 3)), lambda m, x: abs(m),
         lambda m, x: np.isnan(m), lambda m, x: m[1:][::-1][0], lambda m, x: np.squeeze(m[:1]),
         lambda m, x: operator.iadd(m.copy(), ~m), lambda m, x: operator.imul(m.copy(), False)]
COUNTED = [lambda m, x: m * 2, lambda m, x: np.sum(m), lambda m, x: np.prod(m),
           lambda m, x: np.sum(m, axis=0, keepdims=True), lambda m, x: m + 1, lambda m, x: m // True,
           lambda m, x: m**2, lambda m, x: m**1, lambda m, x: np.square(m)]
SAME = [lambda m, x: m * 1.0, lambda m, x: np.mean(m), lambda m, x: m / 2, lambda m, x: m * x, lambda m, x: x - m,
        lambda m, x: m & True, lambda m, x: ~m, lambda m, x: m[1:], lambda m, x: m.reshape(-1, 1),
        lambda m, x: m[::-1].T, lambda m, x: m == m, lambda m, x: m[[0, 0, 1]], lambda m, x: m[0],
        lambda m, x: np.any(m), lambda m, x: np.where(m, x, 1.0), lambda m, x: x * (m | (x < 0)),
        lambda m, x: m.astype(F4), lambda m, x: m < x, lambda m, x: np.where(m, 0.0, x),
        lambda m, x: np.clip(x, m, 2.0), lambda m, x: x[m], lambda m, x: np.var(m), lambda m, x: m / True,
        lambda m, x: np.concatenate([m, x]), lambda m, x: np.stack([x[0], m[0]]), lambda m, x: np.where(x > 2, m, x),
        lambda m, x: np.stack([m[0], 2.5]), lambda m, x: np.where(m, m, 1.5)]


@pytest.mark.parametrize("dtype", [F4, F8])
@pytest.mark.parametrize("i", range(len(SAME)))
def test_truth_values_with_other_things(i, dtype):
    x = X.astype(dtype)
    found, wanted = traced(lambda x: SAME[i](x > 1, x), x), SAME[i](x > 1, x)
    assert found.dtype == wanted.dtype
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("dtype", [F4, F8])
@pytest.mark.parametrize("i", range(len(ALONE)))
def test_truth_values_alone(i, dtype):
    x = X.astype(dtype)
    found, wanted = traced(lambda x: ALONE[i](x > 1, x), x), ALONE[i](x > 1, x)
    assert found.dtype == wanted.dtype == np.bool_
    np.testing.assert_array_equal(found, wanted)


def test_truth_values_of_either_width():
    """They have none of their own: compared in float64, beside float32, they leave that as it is, as NumPy's do."""
    x, y = X.astype(F4), X[::-1]
    for f in (lambda x, y: x * (y > 1), lambda x, y: (y > 1) - x, lambda x, y: np.where(y > 1, x, y > 2),
              lambda x, y: np.clip(x, y > 1, 2.0), lambda x, y: np.concatenate([x, y > 1]),
              lambda x, y: (x > 1) + (y > 1), lambda x, y: (x > 1) & (y > 1),
              lambda x, y: np.where(x > 1, y > 1, x > 2)):
        found, wanted = traced(f, x, y), f(x, y)
        assert found.dtype == wanted.dtype
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("i", range(len(COUNTED)))
def test_counts_are_float64(i):
    """Where NumPy counts in whole numbers, which are not traced."""
    for x in (X, X.astype(F4)):
        found, wanted = traced(lambda x: COUNTED[i](x > 1, x), x), COUNTED[i](x > 1, x)
        assert found.dtype == F8 and wanted.dtype.kind == "i"
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("f", [lambda m: m - m, lambda m: m - True, lambda m: -m, lambda m: +m, lambda m: np.sign(m),
                               lambda m: operator.iadd(m, 1.0), lambda m: operator.isub(m, m),
                               lambda m: operator.itruediv(m, m), lambda m: operator.iadd(m[1:], 1)])
def test_truth_values_refuse(f):
    with pytest.raises(TypeError):
        f(X > 1)
    with pytest.raises(TypeError):
        traced(lambda x: f(x > 1), X)


def test_truth_values_that_are_assigned_are_truth_values():
    def f(x):
        m = x > 1
        m[:] = x
        n = x > 1
        n[::2] = 1e-300 * x[1:]
        n[1] = np.nan * x[0]
        return np.sum(m * n * x)
    for x in (X, X.astype(F4)):
        assert traced(f, x) == f(x)
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


@pytest.mark.parametrize("change", [lambda n: operator.iand(n, False), lambda n: operator.ior(n, True),
                                    lambda n: operator.ixor(n, True),
                                    lambda n: operator.iadd(n, True), lambda n: operator.imul(n, False)])
def test_in_place_operators_write_through(change):
    def f(x):
        m = x > 1
        change(m[:2])
        return m * 1.0
    np.testing.assert_array_equal(traced(f, X), f(X))
