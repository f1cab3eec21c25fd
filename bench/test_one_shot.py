"""One-shot derivatives, nothing kept between calls, against Python and NumPy.

The yardstick of each is the function's value alone or the value and gradient by hand, as said.
"""

import pathlib

import numpy as np
import objectives
import pytest
import workloads

import fasttape as ft

ADBENCH = pathlib.Path(__file__).resolve().parent.parent / "tests" / "data" / "adbench"


@pytest.mark.parametrize(
    "f, form",
    [(workloads.rosenbrock, "x[i]"), (workloads.rosenbrock_unpacked, "for a, b in pairwise(x)")],
)
def test_rosenbrock_against_floats(race, f, form):
    x = np.random.default_rng(0).normal(size=1000)
    floats = x.tolist()
    race(
        f"Rosenbrock of 1000 scalars, {form} vs floats",
        ours=lambda: ft.value_and_grad(f)(x),
        yardstick=lambda: f(floats),
        expected=workloads.rosenbrock_by_hand(x),
        target=3.5,
    )


def test_lotka_volterra_against_floats(race):
    f = workloads.lotka_volterra
    floats = list(workloads.LOTKA_VOLTERRA_PARAMETERS)
    x = np.array(floats)
    race(
        "Lotka-Volterra, 1000 RK4 steps vs floats",
        ours=lambda: ft.value_and_grad(f)(x),
        yardstick=lambda: f(floats),
        expected=(f(floats), workloads.complex_step(f, floats)),
        target=3.5,
    )


def test_sum_of_three_squares_against_gradient_by_hand(race):
    f, by_hand = workloads.sum_of_squares, workloads.sum_of_squares_by_hand
    x = np.array([1.0, 2.0, 3.0])
    race(
        "sum of 3 squares vs by hand",
        ours=lambda: ft.grad(f)(x),
        yardstick=lambda: by_hand(x),
        expected=by_hand(x)[1],
        target=1.0,
    )


@pytest.mark.parametrize("n, target", [(10**6, 0.5), (10**3, 0.8)])
def test_elementwise_chain_against_value(race, n, target):
    x = np.random.default_rng(0).normal(size=n)
    race(
        f"elementwise chain, n = {n:,} vs value",
        ours=lambda: ft.value_and_grad(workloads.chain)(x),
        yardstick=lambda: workloads.chain(x),
        expected=workloads.chain_by_hand(x),
        target=target,
    )


def test_logistic_regression_against_gradient_by_hand(race):
    inputs = workloads.logistic_inputs()
    race(
        "logistic regression 10000 x 100 vs by hand",
        ours=lambda: ft.value_and_grad(workloads.logistic_loss)(*inputs),
        yardstick=lambda: workloads.logistic_by_hand(*inputs),
        expected=workloads.logistic_by_hand(*inputs),
        target=1.1,
    )


def test_mlp_against_gradient_by_hand(race):
    inputs = workloads.mlp_inputs()
    race(
        "MLP 784-256-128-10, batch 128 vs by hand",
        ours=lambda: ft.value_and_grad(workloads.mlp_loss, argnum=tuple(range(6)))(*inputs),
        yardstick=lambda: workloads.mlp_by_hand(*inputs),
        expected=workloads.mlp_by_hand(*inputs),
        target=1.1,
    )


@pytest.mark.parametrize(
    "f, form",
    [(workloads.burgers, "new arrays"), (workloads.burgers_in_place, "in place")],
)
def test_burgers_against_value(race, f, form):
    u = workloads.burgers_start()
    race(
        f"Burgers 512 cells, 1000 steps, {form} vs value",
        ours=lambda: ft.value_and_grad(f)(u),
        yardstick=lambda: f(u),
        expected=workloads.burgers_by_hand(u),
        target=1.0,
    )


def split(gradient, arrays):
    """Cut a raveled gradient into arrays shaped as the given ones."""
    ends = np.cumsum([a.size for a in arrays])[:-1]
    parts = np.split(gradient, ends)
    return tuple(part.reshape(a.shape) for part, a in zip(parts, arrays, strict=True))


def test_gmm_against_value(race):
    z = np.load(ADBENCH / "gmm_1k_d10_K25.npz")
    parameters = [z[name] for name in ("alphas", "means", "icf")]
    inputs = [*parameters, z["x"], float(z["gamma"]), int(z["m"])]
    race(
        "ADBench GMM, 1000 points, d 10, K 25 vs value",
        ours=lambda: ft.value_and_grad(objectives.gmm_objective, argnum=(0, 1, 2))(*inputs),
        yardstick=lambda: objectives.gmm_objective(*inputs),
        expected=(z["F"], split(z["J"], parameters)),
        target=1.3,
    )


def test_lstm_against_value(race):
    z = np.load(ADBENCH / "lstm_l2_c1024.npz")
    inputs = [z[name] for name in ("main_params", "extra_params", "state", "sequence")]
    race(
        "ADBench LSTM, 2 layers, 1024 steps vs value",
        ours=lambda: ft.value_and_grad(objectives.lstm_objective, argnum=(0, 1))(*inputs),
        yardstick=lambda: objectives.lstm_objective(*inputs),
        expected=(z["F"], split(z["J"], inputs[:2])),
        target=1.0,
    )
