"""Compiled gradients, called again and again: against reverse mode by hand in C, or in NumPy.

Calls are plain calls from Python; those of the yardsticks in C are made and timed in C. What
compiling itself takes is told per operation that the function performs, its derivative's not
counted.
"""

import numpy as np
import pytest
import workloads
from cases import CASES, assert_same
from measure import seconds_per_entry
from report import Finding

import fasttape as ft

TARGETS = {
    "Rosenbrock of 1000 scalars": 4.0,
    "Lotka-Volterra, 1000 RK4 steps": 3.5,
    "Black-Scholes, one option": 16.0,
    "elementwise chain, n = 1,000": 1.4,
    "elementwise chain, n = 1,000,000": 1.4,
    "logistic regression 10000 x 100": 1.4,
    "Burgers 512 cells, 1000 steps, new arrays": 4.0,
    "Burgers 512 cells, 1000 steps, in place": 4.0,
    "ADBench LSTM, 2 layers, 1024 steps": None,
}


@pytest.mark.usefixtures("need_compiler")
@pytest.mark.parametrize("workload", CASES)
def test_replay_against_c(race, workload):
    case = CASES[workload]()
    compiled = ft.compile(case.gradient)

    def replay():
        return compiled(*case.inputs)

    replay()
    case.check(replay)
    race(
        f"{workload}, compiled vs C",
        ours=replay,
        yardstick=case.yardstick,
        expected=case.by_hand,
        target=TARGETS[workload],
    )


def test_call_overhead_against_gradient_by_hand(race):
    f, by_hand = workloads.sum_of_squares, workloads.sum_of_squares_by_hand
    compiled, x = ft.compile(ft.value_and_grad(f)), np.array([1.0, 2.0, 3.0])
    race(
        "sum of 3 squares, compiled vs by hand",
        ours=lambda: compiled(x),
        yardstick=lambda: by_hand(x),
        expected=by_hand(x),
        target=0.25,
    )


def test_mlp_against_gradient_by_hand(race):
    inputs = workloads.mlp_inputs()
    compiled = ft.compile(ft.value_and_grad(workloads.mlp_loss, argnum=tuple(range(6))))
    race(
        "MLP 784-256-128-10, batch 128, compiled vs by hand",
        ours=lambda: compiled(*inputs),
        yardstick=lambda: workloads.mlp_by_hand(*inputs),
        expected=workloads.mlp_by_hand(*inputs),
        target=1.0,
    )


def lotka_volterra(operations):
    steps = operations // workloads.LOTKA_VOLTERRA_OPERATIONS
    return lambda parameters: workloads.lotka_volterra(parameters, steps)


def test_compiling_takes_constant_time_per_entry(benchmark, record, quick):
    floats = list(workloads.LOTKA_VOLTERRA_PARAMETERS)
    x = np.array(floats)

    def compiling(operations):
        gradient = ft.value_and_grad(lotka_volterra(operations))
        return lambda: ft.trace(gradient, x)

    f, program = lotka_volterra(10**4), compiling(10**4)()
    assert_same(program(x), (f(floats), workloads.complex_step(f, floats)))
    entries = program.stats().recorded / 10**4  # of the tape, for each operation; the sweep appends

    sizes = [10**k for k in range(3, 6 if quick else 8)]
    times = seconds_per_entry(
        benchmark, {size: compiling(size) for size in sizes}, rounds=3 if quick else 5
    )
    if times is None:
        return
    for size in sizes:
        record(Finding(f"compiling {size:,} operations, each", 1e9 * times[size], None, "ns"))
        finding = 1e9 * times[size] / entries
        record(Finding(f"compiling {size:,} operations, each entry", finding, 500.0, "ns"))
    short = min(times[10**3], times[10**4])
    worst = max(times[size] for size in sizes[2:])
    record(Finding("compiling, an entry of a long tape vs of up to 10,000 operations", worst / short, 1.5))
