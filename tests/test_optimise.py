"""What a kept tape is spared, and that it is spared nothing that changes a bit.

The yardstick is the one-shot call, which runs the tape as it was recorded.
"""
import itertools
import math
from operator import neg

import numpy as np
import pytest

import fasttape as ft
from fasttape._core.keep import kept

SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, -3.0, math.inf, -math.inf, math.nan, 5e-324, -5e-324, 2.0**-1030, 1e300, -1.7e308]
X = np.array([0.3, -1.2, 0.7])


def entries(f, *example):
    """Names of what the program computes."""
    return [name for name in kept(ft.trace(f, *example))[0] if name not in ("input", "constant", "view")]


def one_shot(f, *x):
    return ft.vjp(f, *x)[0]


def same_bits(a, b):
    a, b = np.asarray(a), np.asarray(b)
    assert a.shape == b.shape and a.dtype == b.dtype
    nan = np.isnan(a)
    np.testing.assert_array_equal(nan, np.isnan(b))
    assert np.where(nan, 0.0, a).tobytes() == np.where(nan, 0.0, b).tobytes(), (a, b)     # a nan's sign is nobody's promise


# ---- algebra that is exact: what goes, by name of the entry

EXACT_OF_ONE = {
    "x * 1": (lambda x: x * 1.0, "multiply"),
    "1 * x": (lambda x: 1.0 * x, "multiply"),
    "x / 1": (lambda x: x / 1.0, "divide"),
    "x - 0": (lambda x: x - 0.0, "subtract"),
    "x + -0": (lambda x: x + -0.0, "add"),
    "-0 + x": (lambda x: -0.0 + x, "add"),
    "+x": (lambda x: +x, "positive"),
    "-(-x)": (lambda x: neg(neg(x)), "negative"),
    "sqrt(-(-(-(-x))))": (lambda x: np.sqrt(neg(neg(neg(neg(x))))), "negative"),
}
EXACT_OF_TWO = {
    "x + (-y)": (lambda x, y: x + (-y), "negative"),
    "(-x) + y": (lambda x, y: (-x) + y, "negative"),
    "x - (-y)": (lambda x, y: x - (-y), "negative"),
}
# What looks as if it might go and does not: each differs from what it resembles at a special value.
INEXACT_OF_ONE = {
    "x * 0": (lambda x: x * 0.0, "multiply"),                   # nan at inf, -0 below zero
    "0 * x": (lambda x: 0.0 * x, "multiply"),
    "x + 0": (lambda x: x + 0.0, "add"),                        # 0 at -0
    "0 + x": (lambda x: 0.0 + x, "add"),
    "x - -0": (lambda x: x - -0.0, "subtract"),                 # 0 at -0
    "0 - x": (lambda x: 0.0 - x, "subtract"),                   # 0 at 0, where -x is -0
    "x - x": (lambda x: x - x, "subtract"),                     # nan at inf
    "x / x": (lambda x: x / x, "divide"),                       # nan at 0 and inf
    "0 / x": (lambda x: 0.0 / x, "divide"),
    "x * 3 / 3": (lambda x: x * 3.0 / 3.0, "divide"),
    "(x + 1) - 1": (lambda x: (x + 1.0) - 1.0, "subtract"),
    "sqrt(x) squared": (lambda x: np.sqrt(x) * np.sqrt(x), "multiply"),
    "log(exp(x))": (lambda x: np.log(np.exp(x)), "log"),
}
INEXACT_OF_TWO = {
    "-(x - y)": (lambda x, y: -(x - y), "negative"),            # -0 where x = y, and y - x is 0
    "-(x + y)": (lambda x, y: -(x + y), "negative"),
    "(x + y) - y": (lambda x, y: (x + y) - y, "subtract"),
    "x * y / y": (lambda x, y: x * y / y, "divide"),
}


def forms(values):
    """Numbers one by one, and all of them as an array of one and of two axes."""
    yield from values
    yield np.array(values)
    yield np.array(values[:12]).reshape(3, 4).astype(np.float32)


@pytest.mark.parametrize("name", [*EXACT_OF_ONE, *INEXACT_OF_ONE])
def test_algebra_of_one_operand(name):
    exact = name in EXACT_OF_ONE
    f, op = (EXACT_OF_ONE if exact else INEXACT_OF_ONE)[name]
    g = ft.grad(lambda x: np.sum(f(x)))
    with np.errstate(all="ignore"):
        for x in forms(SPECIAL):
            program = ft.trace(f, x)
            assert (op in kept(program)[0]) != exact
            same_bits(program(x), one_shot(f, x))
            same_bits(ft.trace(g, x)(x), g(x))


@pytest.mark.parametrize("name", [*EXACT_OF_TWO, *INEXACT_OF_TWO])
def test_algebra_of_two_operands(name):
    exact = name in EXACT_OF_TWO
    f, op = (EXACT_OF_TWO if exact else INEXACT_OF_TWO)[name]
    program = ft.trace(f, 0.5, 0.25)
    assert (op in kept(program)[0]) != exact
    with np.errstate(all="ignore"):
        for x, y in itertools.product(SPECIAL, repeat=2):
            same_bits(program(x, y), one_shot(f, x, y))
        a, b = np.array(list(itertools.product(SPECIAL, repeat=2))).T.copy()
        same_bits(ft.trace(f, a, b)(a, b), one_shot(f, a, b))
        g = ft.grad(lambda a, b: np.sum(f(a, b)), argnum=(0, 1))
        for found, wanted in zip(ft.trace(g, a, b)(a, b), g(a, b)):
            same_bits(found, wanted)


def test_a_seed_of_one_leaves_no_product():
    assert "scale" not in entries(ft.grad(lambda x: np.sin(x)), 0.5)
    assert entries(ft.grad(lambda x: np.sin(x)), 0.5) == ["cos"]


def test_an_operand_of_another_shape_stays():
    """1 * x stands for x only where they are of one shape and dtype."""
    ones = np.ones((4, 3))
    for f, x in ((lambda x: ones * x, X), (lambda x: x * np.float64(1.0), X.astype(np.float32)), (lambda x: 1.0 * x[::2], X),
                 (lambda x: x - np.zeros((2, 3)), X)):
        same_bits(ft.trace(f, x)(x), one_shot(f, x))


# ---- what is dead

def test_what_is_not_returned_is_not_computed():
    def f(x, y):
        np.exp(x) * np.tanh(y)
        return np.sin(x) + 0.0 * y

    names = entries(f, X, X)
    assert "exp" not in names and "tanh" not in names and "sin" in names


def test_cotangents_that_nobody_asked_for_are_not_computed():
    names = entries(ft.grad(lambda x, y: np.sum(np.sin(x) * np.exp(y) * np.tanh(y))), X, X)
    assert names.count("exp") == names.count("tanh") == names.count("cos") == 1 and "sin" not in names


def test_a_gradient_alone_does_not_compute_its_value():
    assert "log" not in entries(ft.grad(lambda x: np.sum(np.log(x))), X)
    assert "log" in entries(ft.value_and_grad(lambda x: np.sum(np.log(x))), X)


# ---- what is the same

SHARED = {
    "sine and cosine": (lambda x: np.sin(x) * np.cos(x), {"sin": 1, "cos": 1}),
    "exponential": (lambda x: np.exp(x) * x, {"exp": 1}),
    "hyperbolic tangent": (lambda x: np.tanh(x) + x, {"tanh": 1}),
    "quotient": (lambda x: 1.0 / (x * x + 2.0), {"divide": 1}),
    "said twice": (lambda x: np.sin(x * x + 1.0) * np.exp(np.sin(x * x + 1.0)), {"sin": 1, "cos": 1, "exp": 1}),
    "root": (lambda x: np.sqrt(x * x + 1.0), {"sqrt": 1}),
}


@pytest.mark.parametrize("x", [0.7, X], ids=["number", "array"])
@pytest.mark.parametrize("name", SHARED)
def test_value_and_gradient_share_what_they_have_in_common(name, x):
    f, most = SHARED[name]
    g = ft.value_and_grad(lambda x: np.sum(f(x)))
    program = ft.trace(g, x)
    names = kept(program)[0]
    for op, count in most.items():
        assert names.count(op) <= count, names
    for found, wanted in zip(program(x), g(x)):
        same_bits(found, wanted)


def test_second_derivatives_share_with_the_first():
    def f(x):
        return np.exp(np.sin(x))

    def both(x):
        return f(x), ft.grad(f)(x), ft.grad(ft.grad(f))(x)

    program = ft.trace(both, 0.7)
    names = kept(program)[0]
    assert names.count("exp") == names.count("sin") == names.count("cos") == 1
    for found, wanted in zip(program(0.7), both(0.7)):
        same_bits(found, wanted)


def test_the_same_op_of_other_operands_is_another():
    names = entries(lambda x, y: np.sin(x) + np.sin(y) + np.sin(x * y), 0.5, 0.25)
    assert names.count("sin") == 3
    a = np.arange(6.0)
    f = lambda a: np.sin(a[:3]) + np.sin(a[3:]) + np.sin(a[::2]) + np.sin(a[:3])
    assert entries(f, a).count("sin") == 3
    same_bits(ft.trace(f, a)(a), one_shot(f, a))


def test_zero_and_minus_zero_are_two_constants():
    f = lambda x: (x * 0.0, x * -0.0, np.copysign(1.0, x * 0.0), np.copysign(1.0, x * -0.0))
    for found, wanted in zip(ft.trace(f, 2.0)(2.0), (0.0, -0.0, 1.0, -1.0)):
        same_bits(found, np.float64(wanted))


def test_many_entries_with_one_operand_in_common():
    """Their places in the tables of what is recorded are beside one another: they must all be found again."""
    n = 300
    order = np.random.default_rng(1).permutation(n)         # in which no loop is to be found

    def f(x):
        total = sum(x[i] for i in range(n))
        once, again = ([np.maximum(x[i], total) for i in order] + [x[i] / total for i in order] for _ in range(2))
        return sum(a * b for a, b in zip(once, again))

    x = np.random.default_rng(0).normal(size=n)
    program = ft.trace(f, x)
    assert kept(program)[0].count("maximum") == kept(program)[0].count("divide") == n
    same_bits(program(x), one_shot(f, x))


# ---- what is known

def test_what_depends_on_no_argument_is_computed_once():
    def f(x):
        slope = ft.grad(lambda z: np.sin(z) * np.exp(z))(0.5)
        weights = np.exp(np.ones_like(x) * 0.5)
        return x * slope + weights

    names = entries(f, X)
    assert not {"sin", "cos", "exp"} & set(names)
    same_bits(ft.trace(f, X)(X), one_shot(f, X))


def test_a_result_that_is_known_is_a_new_array_each_time():
    program = ft.trace(lambda x: np.exp(np.zeros_like(x)), X)
    first = program(X)
    first[:] = 7.0
    np.testing.assert_array_equal(program(X), np.ones(3))


def test_a_result_that_is_an_argument_is_a_new_array():
    program = ft.trace(lambda x: (x * 1.0, x, neg(neg(x))), X)
    x = X.copy()
    for y in program(x):
        y[:] = 7.0
        np.testing.assert_array_equal(x, X)
