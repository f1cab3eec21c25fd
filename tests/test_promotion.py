"""A Python float that is an argument of a compiled function stays one: beside a float32 it takes its dtype, as in NumPy
(NEP 50). NumPy's own numbers keep theirs, and so does what NumPy's functions make of a Python float."""
import copy
import operator

import numpy as np
import pytest

import fasttape as ft

VECTOR = np.array([1.1, 2.2, 3.3])
NUMBERS = [1.7, np.float64(1.7), np.float32(1.7), np.array(1.7), np.array(1.7, np.float32)]
BESIDE = [VECTOR.astype(np.float32), VECTOR, np.float32(1.3), np.float64(1.3), 1.3]


class Own(float):
    """A float of the user's own, which NumPy takes as a float64."""


def in_place(a, b):
    b = b * 1
    b += a
    b *= a
    b -= 2.0 * a
    return b


def written(a, b):
    b = np.stack([b, b])
    b[0] = a
    b[1:] += a
    return b


def turned(op):
    return lambda a, b: op(b, a)


def of_it(op, factor=False):
    return (lambda a, b: op(a) * b) if factor else (lambda a, b: op(a))


def compared(op):
    return lambda a, b: op(a, b) * b


OPERATORS = ["add", "sub", "mul", "truediv", "floordiv", "mod", "pow"]
UFUNCS = ["add", "multiply", "power", "maximum", "minimum", "arctan2", "hypot", "logaddexp", "fmod", "copysign", "heaviside",
          "float_power", "remainder", "floor_divide"]
OF_ONE = ["sin", "exp", "sqrt", "abs", "negative", "positive", "square", "reciprocal", "sign", "floor", "rint", "sum", "mean",
          "copy", "ones_like", "ravel"]
CASES = {
    **{f"operator {name}": getattr(operator, name) for name in OPERATORS},
    **{f"operator {name} turned": turned(getattr(operator, name)) for name in OPERATORS},
    **{f"comparison {name}": compared(getattr(operator, name)) for name in ("lt", "le", "gt", "ge", "eq", "ne")},
    **{f"np.{name}": getattr(np, name) for name in UFUNCS},
    **{f"np.{name} turned": turned(getattr(np, name)) for name in UFUNCS},
    **{f"np.{name} of it": of_it(getattr(np, name)) for name in OF_ONE},
    **{f"np.{name} of it, times": of_it(getattr(np, name), True) for name in OF_ONE},
    "where": lambda a, b: np.where(b > 2, a, b), "where turned": lambda a, b: np.where(b > 2, b, a),
    "where of numbers": lambda a, b: np.where(b > 2, a, 1.0), "where, times": lambda a, b: np.where(b > 2, a, 1.0) * b,
    "clip below": lambda a, b: np.clip(b, a, 2.5), "clip above": lambda a, b: np.clip(b, None, a),
    "clip both": lambda a, b: np.clip(b, a, a * 2), "clip it": lambda a, b: np.clip(a, 0.0, 1.0) * b,
    "signs": lambda a, b: -a * +b + abs(a) * b, "powers": lambda a, b: (a**2 - a**0.5 + a**-1 + a**3 + a**1 + 2**a) * b,
    "with itself": lambda a, b: (a + a * a / a - a) * b, "with ints": lambda a, b: (1 - a * 2 + a // 1 + a % 1 + 1 / a) * b,
    "with bools": lambda a, b: (a + True) * b + (a * (a > 1)) * b, "counts": lambda a, b: ((a > 1) + (a < 2)) * a * b,
    "truth ufuncs": lambda a, b: np.add(a > 1, a < 2) * b + np.maximum(a > 1, a < 2) * b,
    "truth operators": lambda a, b: ((a > 1) & (a < 2)) * b + ((a > 1) | (b < 2)) * b,
    "where of it": lambda a, b: np.where(a > 1, b, b * 2) + np.where((a > 1) & (b > 2), a, b), "with float64": lambda a, b: (a / np.float64(2)) * b,
    "with float32": lambda a, b: (a / np.float32(2)) * b, "with an int64": lambda a, b: (a + np.int64(1)) * b,
    "with 0-d": lambda a, b: (a + np.array(2.0, np.float32)) * b, "with ints of an array": lambda a, b: a + np.arange(3) * b,
    "int": lambda a, b: int(a) * b, "float": lambda a, b: float(a) * b, "not": lambda a, b: (not a) * b,
    "and, or": lambda a, b: ((a and 2.0) + (a or 2.0)) * b, "sum of list": lambda a, b: sum([a, a]) * b,
    "max, min": lambda a, b: max(a, 1.0) * min(a, 3.0) * b, "stack": lambda a, b: np.stack([a, a])[0] * b,
    "full_like": lambda a, b: np.full_like(b, a) * b, "copied": lambda a, b: copy.copy(a) * copy.deepcopy(a) * b,
    "stop_gradient": lambda a, b: ft.stop_gradient(a) * b, "in place": in_place, "written": written,
    "norm": lambda a, b: np.sum(b * b) * a, "ufuncs": lambda a, b: np.multiply(a, np.multiply(a, 2.0)) * b,
}


@pytest.mark.parametrize("case", CASES)
def test_promotion_is_numpys(case):
    f = CASES[case]
    with np.errstate(all="ignore"):
        for a in NUMBERS:
            for b in BESIDE:
                wanted, found = f(a, b), ft.compile(f)(a, b)
                wanted = np.asarray(wanted)
                assert (np.asarray(found).dtype, np.shape(found)) == (wanted.dtype, wanted.shape), (type(a), type(b))
                np.testing.assert_allclose(found, wanted, rtol=5e-7 if np.float32 in (wanted.dtype, np.asarray(a).dtype) else 1e-14)


@pytest.mark.parametrize("a", [0.1, 1e300, 1e-320, -0.0, np.inf, np.nan])
def test_a_python_float_is_rounded_where_numpy_rounds_it(a):
    """Exact operations, so that all bits can be asked for: in float64 among numbers, once in float32 beside the array."""
    b = np.float32([0.1, -3.0, 1e-40])
    with np.errstate(all="ignore"):
        for f in (lambda a, b: (a / 3 + a) * b, lambda a, b: b / a, lambda a, b: (a < b) | (a == np.float32(0.1)),
                  lambda a, b: a * np.float32(3) + b, lambda a, b: np.where(b > 0, a, b), lambda a, b: (a * a > 1e300) - b):
            def compiled(a, b, f=f):
                return f(a, b) * np.float32(1)
            np.testing.assert_array_equal(ft.compile(compiled)(a, b), compiled(a, b), strict=True)


def test_a_program_tells_python_floats_from_numpys():
    x = np.ones(2, np.float32)
    f = ft.compile(lambda x, a: x * a)
    assert [f(x, a).dtype for a in (2.0, np.float64(2.0), np.float32(2.0), Own(2.0), np.array(2.0), 2.0)] == \
        [(x * a).dtype for a in (2.0, np.float64(2.0), np.float32(2.0), Own(2.0), np.array(2.0), 2.0)]
    assert len(f.programs) == 3
    program = ft.trace(lambda x, a: x * a, x, np.float64(2.0))
    for a in (2.0, Own(2.0), np.float64(2.0)):              # a bare program takes either as what it was traced with
        assert program(x, a).dtype == np.float64


def test_derivatives_with_respect_to_a_python_float():
    """They are float64, compiled or not."""
    x = np.float32([1.5, 2.0])
    for f in (lambda x, a: np.sum(x * a), lambda x, a: np.sum(x) ** a):
        g = ft.value_and_grad(f, (0, 1))
        (value, slopes), (found, found_slopes) = g(x, 2.0), ft.compile(g)(x, 2.0)
        for p, q in zip((found, *found_slopes), (value, *slopes), strict=True):
            np.testing.assert_array_equal(p, q, strict=True)
        assert ft.compile(ft.grad(f, 1))(x, 2.0).dtype == np.float64
        assert ft.compile(ft.grad(f))(x, 2.0).dtype == np.float32
