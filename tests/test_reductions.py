"""sum, mean, prod, max, min, var, std, argmax, argmin, any, all: over every choice of axes, of every kind of
array; values are NumPy's, derivatives those of differences or closed forms."""
import itertools
import warnings

import numpy as np
import pytest
from table import check, close, direction, layouts, numerical_jacobian, traced

import fasttape as ft

SMOOTH = ["sum", "mean", "prod", "max", "min", "var", "std"]
READING = ["argmax", "argmin", "any", "all"]
SHAPES = [(1,), (5,), (3, 4), (2, 3, 2), (1, 3, 1)]


def axes_of(ndim):
    """None, no axis, every axis from either end, every set of two or more axes, some of them from the end."""
    several = [c for n in range(2, ndim + 1) for c in itertools.combinations(range(ndim), n)]
    mixed = [(c[-1] - ndim, *c[:-1]) for c in several]
    return [None, (), *range(-ndim, ndim), *[(k,) for k in range(ndim)], *several, *mixed]


CASES = [(shape, axis) for shape in SHAPES for axis in axes_of(len(shape))]


def spread_out(shape, dtype=np.float64):
    """No two elements nearer than 0.1, none at 0, within the range where table.check bends x monotonely."""
    n = int(np.prod(shape))
    return (np.random.default_rng([7, n]).permutation(n) * 0.17 - 0.08 * n + 0.03).reshape(shape).astype(dtype)


def over_one(name, shape, axis):
    """var and std of single elements are constantly 0, and std has no slope there."""
    gone = range(len(shape)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    return name == "std" and np.prod([shape[k] for k in gone]) == 1


# ---- numbers

@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("shape, axis", CASES)
def test_every_axis(shape, axis, keepdims):
    x = spread_out(shape)
    for name in SMOOTH:
        if not over_one(name, shape, axis):
            f = lambda x: getattr(np, name)(x, axis=axis, keepdims=keepdims)
            check(f, x, second=keepdims)
            close(traced(lambda x: getattr(x, name)(axis=axis, keepdims=keepdims), x), f(x), 1e-13)


@pytest.mark.parametrize("name", SMOOTH)
def test_second_derivatives(name):
    for shape, axis in [((4,), None), ((2, 3), 0), ((2, 3), (-1,)), ((2, 2, 2), (0, -1))]:
        check(lambda x: getattr(np, name)(x, axis=axis, keepdims=True) * x, spread_out(shape), second=True)


@pytest.mark.parametrize("name", SMOOTH)
def test_forward_is_the_transpose_of_reverse(name):
    """On more elements than a block, and rows and columns of every remainder."""
    for shape, axis in [((1037,), None), ((300, 7), 0), ((300, 7), 1), ((3, 41, 9), (0, 2)), ((3, 41, 9), 1),
                        ((2, 600), (0, 1))]:
        f = lambda x: getattr(np, name)(np.sin(x), axis=axis)
        x, v = spread_out(shape) / 300, direction(np.empty(shape), 2)
        value, tangent = ft.jvp(f, x, v)
        close(value, f(x), 1e-12)
        w = direction(value, 3)
        assert np.sum(w * tangent) == pytest.approx(np.sum(ft.vjp(f, x)[1](w)[0] * v), rel=1e-11, abs=1e-12)


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("shape, axis", CASES)
def test_what_is_only_read(shape, axis, keepdims):
    x = spread_out(shape)
    for name in READING:
        if name.startswith("arg") and isinstance(axis, tuple):
            continue
        for values in (x, np.where(x > 0.2, x, 0.0), np.round(x), np.where(x < x.mean(), np.nan, x)):
            wanted = getattr(np, name)(values, axis=axis, keepdims=keepdims)
            for f in (lambda x: getattr(np, name)(x, axis=axis, keepdims=keepdims),
                      lambda x: getattr(x, name)(axis=axis, keepdims=keepdims)):
                found = traced(f, values)
                assert found.dtype == wanted.dtype
                np.testing.assert_array_equal(found, wanted)


def test_numbers():
    """A 0-d array and a float are reduced to themselves."""
    for x in (2.5, np.array(2.5), np.float32(2.5)):
        for axis in (None, ()):
            for name in SMOOTH[:5]:
                f = lambda x: getattr(np, name)(x, axis=axis) * 3.0
                assert traced(f, x) == 7.5
                assert ft.grad(f)(x) == 3.0 and ft.jvp(f, x, x)[1] == 7.5
            assert traced(lambda x: np.var(x, axis=axis), x) == 0 == ft.grad(lambda x: np.var(x, axis=axis))(x)
        assert traced(np.any, x) == np.True_ == traced(np.all, x) and traced(np.argmax, x) == 0 == traced(np.argmin, x)


@pytest.mark.parametrize("name", SMOOTH)
def test_a_number_has_axis_0_and_minus_1(name):
    """To NumPy's ufuncs; not to its mean, var and std, nor has it any other."""
    f = getattr(np, name)
    for axis in (0, -1):
        if name in ("mean", "var", "std"):
            for call in (lambda: f(2.5, axis=axis), lambda: traced(lambda x: f(x, axis=axis), 2.5)):
                with pytest.raises(np.exceptions.AxisError):
                    call()
        else:
            assert traced(lambda x: f(x, axis=axis), 2.5) == f(2.5, axis=axis)
            assert ft.grad(lambda x: f(x, axis=axis) * 3.0)(2.5) == 3.0
    for axis in (1, -2, (0,)):
        with pytest.raises(np.exceptions.AxisError):
            traced(lambda x: f(x, axis=axis), 2.5)


# ---- empty arrays

@pytest.mark.parametrize("shape, axis", [((0,), None), ((0,), 0), ((0, 3), 0), ((0, 3), 1), ((0, 3), None),
                                         ((2, 0, 3), 1), ((2, 0, 3), (0, 2)),
                                         ((2, 0, 3), (1, 2)), ((3, 0), -1), ((3, 0), ())])
def test_empty(shape, axis):
    x = np.zeros(shape)
    for name, keepdims in itertools.product(SMOOTH, (False, True)):
        f = lambda x: getattr(np, name)(x, axis=axis, keepdims=keepdims)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                wanted = f(x)
            except ValueError:
                with pytest.raises(ValueError, match=f"{name}.*no identity"):
                    ft.vjp(f, x)
                continue
        found, pull = ft.vjp(f, x)
        np.testing.assert_array_equal(found, wanted)            # nan too
        assert np.shape(found) == np.shape(wanted) and pull(np.ones(np.shape(wanted)))[0].shape == shape
        assert ft.jvp(f, x, x)[1].shape == np.shape(wanted)
        for mode in ("forward", "reverse"):
            assert ft.jacobian(f, mode=mode)(x).shape == np.shape(wanted) + shape


# ---- kinks and zeros

TIED = [([2.0, 2.0, 1.0], 2.0, [0.5, 0.5, 0]), ([1.0, 1.0, 1.0, 1.0], 1.0, [0.25] * 4),
        ([0.0, -0.0, -3.0], 0.0, [0.5, 0.5, 0]),
        ([np.inf, 1.0, np.inf], np.inf, [0.5, 0, 0.5]), ([3.0], 3.0, [1.0])]


@pytest.mark.parametrize("x, most, share", TIED)
def test_ties_are_split_evenly(x, most, share):
    x, share, v = np.array(x), np.array(share), np.array([3.0, 5.0, 7.0, 11.0])[:len(x)]
    for f, sign in ((np.max, 1.0), (np.min, -1.0)):
        assert ft.value_and_grad(f)(sign * x)[0] == sign * most
        np.testing.assert_array_equal(ft.grad(f)(sign * x), share)
        assert ft.jvp(f, sign * x, v)[1] == share @ v
        for mode in ("forward", "reverse"):
            np.testing.assert_array_equal(ft.jacobian(f, mode=mode)(sign * x), share)
        rows = np.stack([sign * x, sign * x + 1.0])
        for axis, keepdims in ((1, False), (-1, True)):
            np.testing.assert_array_equal(ft.grad(lambda x: np.sum(f(x, axis=axis, keepdims=keepdims)))(rows)[0], share)


def without(x, *drop):
    return np.prod(np.delete(x, drop))


@pytest.mark.parametrize("x", [[0.0, 2.0, 3.0], [0.0, 0.0, 3.0], [0.0, 0.0, 0.0], [2.0, 0.0, 3.0, 4.0, 5.0],
                               [1.0, -0.0, 2.0, 0.0, 7.0, 3.0, 5.0], [0.0]])
def test_product_with_zeros_is_exact(x):
    x = np.array(x)
    n = len(x)
    first = np.array([without(x, i) for i in range(n)])
    second = np.array([[0.0 if i == j else without(x, i, j) for j in range(n)] for i in range(n)])
    np.testing.assert_array_equal(ft.grad(np.prod)(x), first)
    np.testing.assert_array_equal(ft.jacobian(np.prod, mode="forward")(x), first)
    np.testing.assert_array_equal(ft.hessian(np.prod)(x), second)
    np.testing.assert_array_equal(ft.jacobian(ft.grad(np.prod), mode="reverse")(x), second)
    np.testing.assert_array_equal(ft.grad(lambda x: np.sum(np.prod(x, axis=0)))(np.stack([x, x[::-1]], axis=1))[:, 0],
                                  first)


def test_product_of_the_textbook():
    np.testing.assert_array_equal(ft.grad(np.prod)(np.array([0.0, 2.0, 3.0])), [6, 0, 0])


@pytest.mark.parametrize("n, constant", [(1, 0.7), (2, 0.7), (3, 0.75), (7, -1.5), (100, 0.0), (3, 0.7), (100, 0.7),
                                         (1000, 1e300), (1000, -1e-300)])
def test_std_of_a_constant_is_flat(n, constant):
    x = np.full(n, constant)
    for mode in ("forward", "reverse"):
        np.testing.assert_array_equal(ft.jacobian(np.std, mode=mode)(x), np.zeros(n))
    table = np.stack([x, x + np.arange(n)], axis=1)
    np.testing.assert_array_equal(ft.grad(lambda x: np.std(x, axis=0)[0] + np.std(x, axis=0)[1])(table)[:, 0],
                                  np.zeros(n))


def test_std_slope_is_the_deviation_over_n_std():
    x = np.array([1.0, 4.0, -2.0, 0.5])
    for ddof in (0, 1):
        wanted = (x - x.mean()) / ((4 - ddof) * x.std(ddof=ddof))
        close(ft.grad(lambda x: np.std(x, ddof=ddof))(x), wanted, 1e-14)


# ---- arguments

@pytest.mark.parametrize("ddof", [0, 1, 2, -1, 0.5])
@pytest.mark.parametrize("axis", [None, 0, 1, (0, 1)])
def test_ddof(ddof, axis):
    for f in (np.var, np.std):
        check(lambda x: f(x, axis=axis, ddof=ddof, keepdims=True) * x, spread_out((3, 4)), second=False)


def test_ddof_beyond_the_number_of_elements():
    x = np.array([1.0, 4.0, -2.0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert traced(lambda x: np.var(x, ddof=5), x) == np.var(x, ddof=5)


@pytest.mark.parametrize("name", SMOOTH + READING)
def test_bad_axes(name):
    f = getattr(np, name)
    for shape, axis, error in [((3,), 1, np.exceptions.AxisError), ((3,), -2, np.exceptions.AxisError),
                               ((2, 3), (0, 2), np.exceptions.AxisError),
                               ((2, 3), (0, 0), ValueError), ((2, 3), (1, -1), ValueError)]:
        if name.startswith("arg") and isinstance(axis, tuple):
            error = TypeError
        for call in (lambda: f(np.ones(shape), axis=axis), lambda: traced(lambda x: f(x, axis=axis), np.ones(shape))):
            with pytest.raises(error):
                call()


@pytest.mark.parametrize("axis", [1.5, "x", [0]])
def test_axes_that_are_no_whole_numbers(axis):
    with pytest.raises(TypeError):
        np.sum(np.ones((2, 3)), axis=axis)
    with pytest.raises(TypeError):
        traced(lambda x: np.sum(x, axis=axis), np.ones((2, 3)))


@pytest.mark.parametrize("name", READING)
def test_out_is_written_or_refused(name):
    x, out = np.array([1.0, 3.0, 2.0]), np.array(7, np.intp if name.startswith("arg") else bool)
    out[...] = not getattr(np, name)(x)
    try:
        traced(lambda x: getattr(np, name)(x, out=out), x)
    except TypeError:
        return
    assert out == getattr(np, name)(x)


@pytest.mark.parametrize("ufunc", [np.add, np.multiply, np.maximum, np.minimum])
def test_reduce_of_a_ufunc(ufunc):
    for axis in (0, 1, None, -1):
        check(lambda x: ufunc.reduce(x, axis=axis), spread_out((3, 4)), second=False)
        check(lambda x: ufunc.reduce(x, axis=axis, keepdims=True), spread_out((3, 4)), second=False)
    check(ufunc.reduce, spread_out((3, 4)), second=False)       # over the first axis


# ---- layouts and dtypes

@pytest.mark.parametrize("name", SMOOTH)
def test_layouts(name):
    for way, x in layouts(spread_out((4, 6))).items():
        plain = np.ascontiguousarray(x, np.float64)
        for axis in (None, 0, 1, (1, 0)):
            f = lambda x: getattr(np, name)(x, axis=axis)
            close(ft.vjp(f, x)[0], f(plain), 1e-13, what=way)
            if way != "one row repeated":               # ties
                close(ft.jacobian(f)(x), numerical_jacobian(f, plain), what=way)
    check(lambda x: getattr(np, name)(x.T[::-2], axis=1), spread_out((4, 6)), second=False)


@pytest.mark.parametrize("name", SMOOTH)
def test_float32(name):
    x = spread_out((3, 4), np.float32)
    for axis in (None, 0, (0, 1)):
        f = lambda x: getattr(np, name)(x, axis=axis)
        value, pull = ft.vjp(f, x)
        assert value.dtype == f(x).dtype == np.float32
        close(value, f(x.astype(float)), 1e-6)
        w = np.ones(np.shape(value), np.float32)
        gradient = pull(w)[0]
        assert gradient.dtype == np.float32 and ft.jvp(f, x, x)[1].dtype == np.float32
        close(gradient, np.tensordot(w, numerical_jacobian(f, x.astype(float)), np.ndim(w)), 1e-5)


def test_float32_sums_of_many():
    x = np.full(3_000_001, 0.1, np.float32)
    assert ft.value_and_grad(np.sum)(x)[0] == pytest.approx(np.sum(x.astype(float)), rel=1e-7)
    assert ft.value_and_grad(np.mean)(x)[0] == pytest.approx(float(np.float32(0.1)), rel=1e-7)
