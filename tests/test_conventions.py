"""The conventions at the edges (section 12 of the design): each in forward and reverse mode, on numbers, arrays and
lanes, in regions run again, and to second order where there is a second derivative."""
import itertools

import numpy as np
import pytest

import fasttape as ft

INF, NAN, PI = np.inf, np.nan, np.pi
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


FIRST = {
    "grad": lambda f: ft.grad(f),
    "vjp": lambda f: lambda x: ft.vjp(f, x)[1](1.0)[0],
    "jvp": lambda f: lambda x: ft.jvp(f, x, 1.0)[1],
    "columns": lambda f: ft.jacobian(f, mode="forward"),
    "rows": lambda f: ft.jacobian(f, mode="reverse"),
    "checkpoint": lambda f: ft.grad(ft.checkpoint(f)),
    "0-d": lambda f: lambda x: ft.grad(f)(np.array(x)),
    "of an array": lambda f: lambda x: ft.grad(lambda a: np.sum(f(a)))(np.array([0.7, x, 1.3]))[1],
    "of an array, pushed": lambda f: lambda x: ft.jvp(f, np.array([0.7, x, 1.3]), np.ones(3))[1][1],
    "of an array, columns": lambda f: lambda x: ft.jacobian(f, mode="forward")(np.array([0.7, x, 1.3]))[1, 1],
    "of an array, rows": lambda f: lambda x: ft.jacobian(f, mode="reverse")(np.array([0.7, x, 1.3]))[1, 1],
    "of an element": lambda f: lambda x: ft.grad(lambda a: f((1.0 * a)[1]))(np.array([0.7, x, 1.3]))[1],
    "of an element, pushed": lambda f: lambda x: ft.jvp(lambda a: f((1.0 * a)[1]), np.array([0.7, x, 1.3]),
                                                        np.array([0.0, 1.0, 0.0]))[1],
    "float32": lambda f: lambda x: float(ft.grad(f)(np.float32(x))),
}
SECOND = {
    "hessian": lambda f: ft.hessian(f),
    "grad of grad": lambda f: ft.grad(ft.grad(f)),
    "jvp of jvp": lambda f: lambda x: ft.jvp(lambda y: ft.jvp(f, y, 1.0)[1], x, 1.0)[1],
    "grad of jvp": lambda f: ft.grad(lambda y: ft.jvp(f, y, 1.0)[1]),
    "hvp": lambda f: lambda x: ft.hvp(f, x, 1.0),
    "rows of columns": lambda f: ft.jacobian(ft.jacobian(f, mode="forward"), mode="reverse"),
    "of an array": lambda f: lambda x: ft.hessian(lambda a: np.sum(f(a)))(np.array([0.7, x, 1.3]))[1, 1],
    "of an array, reverse": lambda f: lambda x: ft.grad(
        lambda a: ft.grad(lambda b: np.sum(f(b)))(a)[1])(np.array([0.7, x, 1.3]))[1],
}

POINTS = {          # name: function of a number, the point, first and second derivative (None: not defined)
    "abs": (abs, 0.0, 0, 0), "np.abs": (np.abs, -0.0, 0, 0), "fabs": (np.fabs, 0.0, 0, 0),
    "abs * abs": (lambda x: abs(x) * abs(x), 0.0, 0, None),
    "sign": (np.sign, 0.0, 0, 0), "sign away from 0": (np.sign, -1.5, 0, 0),
    "x * sign(x)": (lambda x: x * np.sign(x), 0.0, 0, 0),
    "maximum tie": (lambda x: np.maximum(x, 0.5), 0.5, 0.5, 0),
    "minimum tie": (lambda x: np.minimum(0.5, x), 0.5, 0.5, 0), "fmax tie": (lambda x: np.fmax(x, 0.5), 0.5, 0.5, 0),
    "fmin tie": (lambda x: np.fmin(x, 0.5), 0.5, 0.5, 0),
    "maximum tie of zeros": (lambda x: np.maximum(x, -0.0), 0.0, 0.5, 0),
    "maximum with itself": (lambda x: np.maximum(x, x), 0.3, 1, 0),
    "maximum tie of slopes 3 and 5": (lambda x: np.maximum(3 * x, 5 * x), 0.0, 4, 0),
    "minimum tie of inf": (lambda x: np.minimum(x, INF), INF, 0.5, 0),
    "maximum tie of curves": (lambda x: np.maximum(x * x, x), 1.0, 1.5, 1),
    "relu squared": (lambda x: np.maximum(x, 0.0) ** 2, 0.0, 0, None),
    "sqrt": (np.sqrt, 0.0, INF, None), "power 0.5": (lambda x: x**0.5, 0.0, INF, None),
    "where of sqrt": (lambda x: np.where(x > 0, np.sqrt(x), 0.0), 0.0, 0, 0),
    "where of log": (lambda x: np.where(x > 0, np.log(x), 0.0), 0.0, 0, 0),
    "where of 1/x": (lambda x: np.where(x != 0, 1 / x, 5.0), 0.0, 0, 0),
    "where of x/x": (lambda x: np.where(x == 0, 1.0, x / x), 0.0, 0, 0),
    "where of sqrt, reversed": (lambda x: np.where(x <= 0, x * x, np.sqrt(x)), 0.0, 0, 2),
    "where of inf": (lambda x: np.where(x > 0, x * INF, 2 * x), 0.0, 2, 0),
    "where of power": (lambda x: np.where(x > 0, x**-1.5, 3 * x), 0.0, 3, 0),
    "where of arctan2": (lambda x: np.where(x > 0, np.arctan2(x, x), x), 0.0, 1, 0),
    "where of exp": (lambda x: np.where(x < 700, np.exp(x), x), 800.0, 1, 0),
    "x**0": (lambda x: x**0, 0.0, 0, 0), "x**0.0": (lambda x: x**0.0, 0.0, 0, 0),
    "x**-0.0": (lambda x: x**-0.0, 0.0, 0, 0), "x**1": (lambda x: x**1, 0.0, 1, 0), "x**2": (lambda x: x**2, 0.0, 0, 2),
    "x**3": (lambda x: x**3, 0.0, 0, 0), "x**4.0": (lambda x: x**4.0, 0.0, 0, 0),
    "power 2": (lambda x: np.power(x, 2.0), 0.0, 0, 2), "x**array": (lambda x: np.power(x, np.array(2.0)), 0.0, 0, 2),
    "x**0 at inf": (lambda x: x**0, INF, 0, 0), "(-2)**2": (lambda x: x**2, -2.0, -4, 2),
    "(-2)**3": (lambda x: x**3, -2.0, 12, -12), "x**-1": (lambda x: x**-1, -2.0, -0.25, -0.25),
    "2**x at 0": (lambda x: 2.0**x, 0.0, np.log(2), np.log(2) ** 2), "0**x": (lambda x: 0.0**x, 2.0, 0, 0),
    "exponent of -2": (lambda x: (-2.0) ** x, 2.0, NAN, NAN),
    "hypot": (lambda x: np.hypot(x, 0.0), 0.0, 0, None),
    "hypot of both": (lambda x: np.hypot(3 * x, 4 * x), 0.0, 0, None),
    "hypot of 0 and 1": (lambda x: np.hypot(x, 1.0), 0.0, 0, 1),
    "sinc": (np.sinc, 0.0, 0, -(PI**2) / 3), "sinc at -0": (np.sinc, -0.0, 0, -(PI**2) / 3),
    "sinc at 1": (np.sinc, 1.0, -1, 2),
    "std of (x, x)": (lambda x: np.std(np.stack([x, x]), axis=0), 0.5, 0, 0),
    "std of (x, 2x) at 0": (lambda x: np.std(np.stack([x, 2 * x]), axis=0), 0.0, 0, None),
    "arctan2 dy": (lambda x: np.arctan2(x, 0.0), 0.0, NAN, None),
    "arctan2 dx": (lambda x: np.arctan2(0.0, x), 0.0, NAN, None),
    "arctan2 at (0, 1)": (lambda x: np.arctan2(x, 1.0), 0.0, 1, 0),
    "arctan2 at (0, -1)": (lambda x: np.arctan2(x, -1.0), 0.0, -1, 0),
    "logaddexp of -inf": (lambda x: np.logaddexp(x, -INF), -INF, NAN, NAN),
    "logaddexp of -inf and 0": (lambda x: np.logaddexp(x, -INF), 0.0, 1, 0),
    "logaddexp2 of -inf": (lambda x: np.logaddexp2(-INF, x), -INF, NAN, NAN),
    "clip at low": (lambda x: np.clip(x, 0.0, 1.0), 0.0, 1, 0),
    "clip at high": (lambda x: np.clip(x, 0.0, 1.0), 1.0, 1, 0),
    "clip below": (lambda x: np.clip(x, 0.0, 1.0), -1.0, 0, 0),
    "clip at both": (lambda x: np.clip(x, 1.0, 1.0), 1.0, 1, 0),
    "clip by itself": (lambda x: np.clip(5.0, x, 9.0), 5.0, 0, 0),
    "clip to itself": (lambda x: np.clip(5.0, x, 9.0), 6.0, 1, 0),
    "clip at inf": (lambda x: np.clip(x, -INF, INF), INF, 1, 0),
    "clip squared at low": (lambda x: np.clip(x, 0.5, 1.0) ** 2, 0.5, 1, 2),
    "maximum with nan": (lambda x: np.maximum(x, NAN), 1.0, NAN, None),
    "minimum with nan": (lambda x: np.minimum(NAN, x), 1.0, NAN, None),
    "fmax with nan": (lambda x: np.fmax(x, NAN), 1.0, 1, 0),
    "fmin with nan": (lambda x: np.fmin(NAN, x), 1.0, 1, 0), "floor": (np.floor, 1.0, 0, 0),
    "rint": (np.rint, 0.5, 0, 0), "heaviside": (lambda x: np.heaviside(x, 0.5), 0.0, 0, 0),
    "remainder": (lambda x: x % 2.0, 4.0, 1, 0), "copysign": (lambda x: np.copysign(x, -1.0), 2.0, -1, 0),
    "log at 0": (np.log, 0.0, INF, -INF), "cbrt at 0": (np.cbrt, 0.0, INF, None),
    "log1p at 0": (np.log1p, 0.0, 1, -1), "expm1 at 0": (np.expm1, 0.0, 1, 1),
    "arcsin at 1": (np.arcsin, 1.0, INF, None), "arctanh at 1": (np.arctanh, 1.0, INF, None),
    "tanh at inf": (np.tanh, INF, 0, 0),
    "exp at -inf": (np.exp, -INF, 0, 0), "x * nan": (lambda x: x * NAN, 0.0, NAN, 0),
    "reciprocal at 0": (lambda x: 1 / x, 0.0, -INF, INF), "0 * x at inf": (lambda x: 0.0 * x, INF, 0, 0),
}

SECOND_ORDER = [(point, way) for point, row in POINTS.items() if row[3] is not None for way in SECOND]


@pytest.mark.parametrize("point", POINTS)
def test_first_derivative(point):
    f, x, first, _ = POINTS[point]
    for way, derivative in FIRST.items():
        np.testing.assert_allclose(float(derivative(f)(x)), first, rtol=1e-6 if way == "float32" else 1e-14, atol=1e-15,
                                   err_msg=way)


@pytest.mark.parametrize("point, way", SECOND_ORDER)
def test_second_derivative(point, way):
    f, x, _, second = POINTS[point]
    np.testing.assert_allclose(float(SECOND[way](f)(x)), second, rtol=1e-14, atol=1e-15)


# ---- of arrays

ARRAYS = {          # function, where, its gradient, its Hessian
    "max over tied elements": (np.max, [2.0, 1.0, 2.0], [0.5, 0, 0.5], np.zeros((3, 3))),
    "min over tied elements, squared": (lambda x: np.min(x) ** 2, [3.0, 3.0], [3, 3], np.full((2, 2), 0.5)),
    "max with nan": (np.max, [1.0, NAN], [NAN, NAN], None),
    "prod with a zero": (np.prod, [0.0, 2.0, 3.0], [6, 0, 0], [[0, 3, 2], [3, 0, 0], [2, 0, 0]]),
    "prod with two": (np.prod, [0.0, 0.0, 3.0], [0, 0, 0], [[0, 3, 0], [3, 0, 0], [0, 0, 0]]),
    "std of a constant": (np.std, [0.5, 0.5, 0.5], [0, 0, 0], None),
    "one square root of two": (lambda x: np.sqrt(x)[1], [0.0, 4.0], [0, 0.25], None),
    "a square root that is overwritten": (lambda x: overwritten(np.sqrt(x)), [0.0, 4.0], [0, 0.25], None),
    "a masked sum": (lambda x: np.sum(np.where(x > 0, np.log(x), 0.0)), [0.0, 2.0], [0, 0.5], None),
    "hypot of two zeros": (lambda x: np.hypot(x[0], x[1]), [0.0, 0.0], [0, 0], None),
    "arctan2 of two zeros": (lambda x: np.arctan2(x[0], x[1]), [0.0, 0.0], [NAN, NAN], None),
    "logaddexp of two -inf": (lambda x: np.logaddexp(x[0], x[1]), [-INF, -INF], [NAN, NAN], None),
    "base and exponent": (lambda x: x[0] ** x[1], [-2.0, 2.0], [-4, NAN], None),
    "base 0 and exponent": (lambda x: x[0] ** x[1], [0.0, 2.0], [0, 0], None),
    "base 0 to the 0": (lambda x: x[0] ** np.where(x[1] > 5, x[1], 0.0), [0.0, 0.0], [0, 0], None),
    "three-way tie of maximum": (lambda x: np.maximum(np.maximum(x[0], x[1]), x[2]), [1.0, 1.0, 1.0], [0.25, 0.25, 0.5],
                                 np.zeros((3, 3))),
    "clip with bounds at x": (lambda x: np.clip(x[0], x[1], x[2]), [1.0, 1.0, 1.0], [1, 0, 0], np.zeros((3, 3))),
}


def overwritten(y):
    y[0] = 1.0
    return y[0] * y[1]


@pytest.mark.parametrize("case", ARRAYS)
def test_of_arrays(case):
    f, x, gradient, hessian = ARRAYS[case]
    x = np.array(x)
    np.testing.assert_array_equal(ft.grad(f)(x), gradient)
    np.testing.assert_array_equal(ft.grad(ft.checkpoint(f))(x), gradient)
    for mode in ("forward", "reverse"):
        np.testing.assert_array_equal(ft.jacobian(f, mode=mode)(x), gradient)
    pushed = [ft.jvp(f, x, v)[1] for v in np.eye(len(x))]
    np.testing.assert_array_equal(pushed, gradient)
    if hessian is not None:
        np.testing.assert_array_equal(ft.hessian(f)(x), hessian)
        for inner in ("forward", "reverse"):
            for outer in ("forward", "reverse"):
                np.testing.assert_array_equal(ft.jacobian(ft.jacobian(f, mode=inner), mode=outer)(x), hessian)


THIRD = {           # by hand, at (1, 1), where the cotangent of the product or quotient is 0 and its slope is not
    "(x y - 1)**2": (lambda x: (x[0] * x[1] - 1.0) ** 2, [0, 4, 4, 0]),
    "(x / y - 1)**2": (lambda x: (x[0] / x[1] - 1.0) ** 2, [0, -4, 8, -12]),
}


@pytest.mark.parametrize("case", THIRD)
@pytest.mark.parametrize("modes", [*itertools.product(("forward", "reverse"), repeat=3)], ids="-".join)
def test_third_derivative_through_a_factor_that_vanishes(case, modes):
    """The strong zero is of the value: it must not take the slope of what happens to be 0."""
    f, (xxx, xxy, xyy, yyy) = THIRD[case]
    for mode in modes:
        f = ft.jacobian(f, mode=mode)
    found = f(np.array([1.0, 1.0]))
    np.testing.assert_array_equal(found, [[[xxx, xxy], [xxy, xyy]], [[xxy, xyy], [xyy, yyy]]])
