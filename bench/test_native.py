"""One-shot gradients against reverse mode by hand in C; answers against gradients by hand in NumPy.

The ratios are for orientation: nothing is kept between our calls, so recording is in them.
"""

import native
import numpy as np
import pytest
import workloads

import fasttape as ft


def normal(n):
    return np.random.default_rng(0).normal(size=n)


def rosenbrock():
    x = normal(1000)
    ours = ft.value_and_grad(workloads.rosenbrock)
    yardstick = native.Native("rosenbrock", [x], sizes=[1000])
    return lambda: ours(x), yardstick, workloads.rosenbrock_by_hand(x)


def lotka_volterra():
    f, floats = workloads.lotka_volterra, list(workloads.LOTKA_VOLTERRA_PARAMETERS)
    x = np.array(floats)
    ours = ft.value_and_grad(f)
    yardstick = native.Native("lotka_volterra", [x], sizes=[1000], history=8 * 1000)
    return lambda: ours(x), yardstick, (f(floats), workloads.complex_step(f, floats))


def black_scholes():
    option = workloads.CALL_OPTION
    ours = ft.value_and_grad(workloads.black_scholes, argnum=tuple(range(5)))
    yardstick = native.Native("black_scholes", [option], sizes=[])
    return lambda: ours(*option), yardstick, workloads.black_scholes_by_hand(*option)


def chain(n):
    x = normal(n)
    ours = ft.value_and_grad(workloads.chain)
    return lambda: ours(x), native.Native("chain", [x], sizes=[n]), workloads.chain_by_hand(x)


def logistic_regression():
    inputs = workloads.logistic_inputs()
    ours = ft.value_and_grad(workloads.logistic_loss)
    yardstick = native.Native("logistic", inputs, sizes=inputs[1].shape)
    return lambda: ours(*inputs), yardstick, workloads.logistic_by_hand(*inputs)


def burgers():
    u, steps = workloads.burgers_start(), 1000
    ours = ft.value_and_grad(workloads.burgers)
    yardstick = native.Native("burgers", [u], [u.size, steps], history=(steps + 2) * u.size)
    return lambda: ours(u), yardstick, workloads.burgers_by_hand(u, steps)


CASES = {
    "Rosenbrock of 1000 scalars": rosenbrock,
    "Lotka-Volterra, 1000 RK4 steps": lotka_volterra,
    "Black-Scholes, one option": black_scholes,
    "elementwise chain, n = 1,000": lambda: chain(10**3),
    "elementwise chain, n = 1,000,000": lambda: chain(10**6),
    "logistic regression 10000 x 100": logistic_regression,
    "Burgers 512 cells, 1000 steps": burgers,
}


def assert_same(found, expected):
    """To 1e-12, or where a sum cancels to 1e-14 of the largest element."""
    (value, gradient), (expected_value, by_hand) = found, expected
    assert value == pytest.approx(expected_value, rel=1e-12)
    largest = np.max(np.abs(by_hand))
    np.testing.assert_allclose(gradient, by_hand, rtol=1e-12, atol=1e-14 * largest)


@pytest.fixture(autouse=True)
def need_compiler():
    if native.compiler() is None:
        pytest.skip("no gcc to compile bench/native")


@pytest.mark.parametrize("workload", CASES)
def test_one_shot_against_c(race, workload):
    ours, yardstick, expected = CASES[workload]()
    assert_same(yardstick(), expected)
    assert_same(ours(), yardstick())
    race(f"{workload} vs C", ours=ours, yardstick=yardstick, expected=expected, target=None)


def test_loading_leaves_subnormal_numbers_alone():
    native.library("chain", native.FAST)
    assert np.array([5e-324])[0] * np.float64(1.0) > 0.0
