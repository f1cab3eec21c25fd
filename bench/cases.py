"""Workloads that have a yardstick in C: what is differentiated, at what, and what must come out."""

import pathlib
from typing import Any, NamedTuple

import native
import numpy as np
import objectives
import pytest
import workloads

import fasttape as ft

ADBENCH = pathlib.Path(__file__).resolve().parent.parent / "tests" / "data" / "adbench"


class Case(NamedTuple):
    """`gradient` takes the inputs; it and the yardstick return (value, gradient)."""

    gradient: Any
    inputs: tuple
    yardstick: native.Native
    by_hand: tuple

    def check(self, function):
        """Compare `function` and the yardstick with the derivative by hand."""
        assert_same(self.yardstick(), self.by_hand)
        assert_same(function(), self.yardstick())


def normal(n):
    return np.random.default_rng(0).normal(size=n)


def rosenbrock():
    x = normal(1000)
    return Case(
        ft.value_and_grad(workloads.rosenbrock),
        (x,),
        native.Native("rosenbrock", [x], sizes=[1000]),
        workloads.rosenbrock_by_hand(x),
    )


def lotka_volterra():
    f, floats = workloads.lotka_volterra, list(workloads.LOTKA_VOLTERRA_PARAMETERS)
    x = np.array(floats)
    return Case(
        ft.value_and_grad(f),
        (x,),
        native.Native("lotka_volterra", [x], sizes=[1000], history=8 * 1000),
        (f(floats), workloads.complex_step(f, floats)),
    )


def black_scholes():
    option = workloads.CALL_OPTION
    return Case(
        ft.value_and_grad(workloads.black_scholes, argnum=tuple(range(5))),
        option,
        native.Native("black_scholes", [option], sizes=[]),
        workloads.black_scholes_by_hand(*option),
    )


def chain(n):
    x = normal(n)
    return Case(
        ft.value_and_grad(workloads.chain),
        (x,),
        native.Native("chain", [x], sizes=[n]),
        workloads.chain_by_hand(x),
    )


def logistic_regression():
    inputs = workloads.logistic_inputs()
    return Case(
        ft.value_and_grad(workloads.logistic_loss),
        inputs,
        native.Native("logistic", inputs, sizes=inputs[1].shape),
        workloads.logistic_by_hand(*inputs),
    )


def burgers(f, steps=1000):
    u = workloads.burgers_start()
    return Case(
        ft.value_and_grad(f),
        (u,),
        native.Native("burgers", [u], [u.size, steps], history=(steps + 2) * u.size),
        workloads.burgers_by_hand(u, steps),
    )


def lstm():
    z = np.load(ADBENCH / "lstm_l2_c1024.npz")
    (rows, columns), state, sequence = z["main_params"].shape, z["state"], z["sequence"]
    steps, width = len(sequence) - 1, state.shape[1]
    parameters = np.concatenate((np.ravel(z["main_params"]), np.ravel(z["extra_params"])))

    def f(parameters, state, sequence):
        main, extra = parameters[: rows * columns], parameters[rows * columns :]
        main, extra = np.reshape(main, (rows, columns)), np.reshape(extra, (3, width))
        return objectives.lstm_objective(main, extra, state, sequence)

    inputs = (parameters, state, sequence)
    history = (7 * (rows // 2) + 1) * width * steps
    return Case(
        ft.value_and_grad(f),
        inputs,
        native.Native("lstm", inputs, sizes=[len(sequence)], history=history),
        (z["F"], z["J"]),
    )


CASES = {
    "Rosenbrock of 1000 scalars": rosenbrock,
    "Lotka-Volterra, 1000 RK4 steps": lotka_volterra,
    "Black-Scholes, one option": black_scholes,
    "elementwise chain, n = 1,000": lambda: chain(10**3),
    "elementwise chain, n = 1,000,000": lambda: chain(10**6),
    "logistic regression 10000 x 100": logistic_regression,
    "Burgers 512 cells, 1000 steps, new arrays": lambda: burgers(workloads.burgers),
    "Burgers 512 cells, 1000 steps, in place": lambda: burgers(workloads.burgers_in_place),
    "ADBench LSTM, 2 layers, 1024 steps": lstm,
}


def assert_same(found, expected):
    """To 1e-12, or where a sum cancels to 1e-14 of the largest element."""
    (value, gradient), (expected_value, by_hand) = found, expected
    assert value == pytest.approx(expected_value, rel=1e-12)
    largest = np.max(np.abs(by_hand))
    np.testing.assert_allclose(gradient, by_hand, rtol=1e-12, atol=1e-14 * largest)
