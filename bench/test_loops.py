"""Loops: against C by hand, against themselves with everything stored, and within budgets."""

import functools
import time

import loops
import numpy as np
import pytest
import workloads
from cases import CASES, assert_same
from memory_probe import growth_of
from report import Finding

import fasttape as ft
from fasttape import schedules

SCANS = {
    "Lotka-Volterra, 1000 RK4 steps": (loops.lotka_volterra, 3.0),
    "ADBench LSTM, 2 layers, 1024 steps": (loops.lstm, 1.3),
    "Burgers 512 cells, 1000 steps, new arrays": (loops.burgers, None),
}


@pytest.mark.usefixtures("need_compiler")
@pytest.mark.parametrize("workload", SCANS)
def test_scan_against_c(race, workload):
    case, (function, target) = CASES[workload](), SCANS[workload]
    compiled = ft.compile(ft.value_and_grad(function))

    def replay():
        return compiled(*case.inputs)

    replay()
    case.check(replay)
    race(
        f"{workload}, scan, compiled vs C",
        ours=replay,
        yardstick=case.yardstick,
        expected=case.by_hand,
        target=target,
    )


def test_burgers_within_eight_megabytes(race, record, quick):
    steps, u = 10_000 if quick else 100_000, workloads.burgers_start()
    all_stored = ft.compile(ft.value_and_grad(lambda u: loops.burgers(u, steps)))
    within = ft.compile(ft.value_and_grad(lambda u: loops.burgers(u, steps, memory="8 MB")))
    assert_same(within(u), all_stored(u))
    race(
        f"Burgers, {steps:.0e} steps, scan within 8 MB vs all stored",
        ours=lambda: within(u),
        yardstick=lambda: all_stored(u),
        expected=all_stored(u),
        target=3.5,
    )
    grown = growth_of("burgers_by_scan", steps, "8 MB")
    record(Finding(f"Burgers, {steps:.0e} steps, scan within 8 MB, memory", grown / 1e6, 10.0, "MB"))


def test_a_python_loop_within_a_budget(race, record, quick):
    steps, x = 200 if quick else 2000, np.linspace(0.1, 1.0, 100_000)
    budget = "60 MB" if quick else "200 MB"
    function = functools.partial(loops.shifted, steps=steps)
    all_stored, within = ft.value_and_grad(function), ft.value_and_grad(function, memory=budget)
    assert_same(within(x), all_stored(x))
    race(
        f"{steps} array steps in Python within {budget} vs all stored",
        ours=lambda: within(x),
        yardstick=lambda: all_stored(x),
        expected=all_stored(x),
        target=2.0,
    )
    grown, limit = growth_of("shifted", steps, budget), float(budget.split()[0])
    record(Finding(f"{steps} array steps in Python within {budget}, memory", grown / 1e6, limit, "MB"))


def median_seconds(function, rounds):
    function()
    times = []
    for _ in range(rounds):
        begun = time.perf_counter()
        function()
        times.append(time.perf_counter() - begun)
    return float(np.median(times))


def test_a_million_steps(record, quick):
    """The whole gradient, against its forward steps and reverse steps at what each takes when all
    are stored; the step is one of Burgers' on 64 cells, so that a schedule's own cost shows."""
    steps, snapshots, rounds = 10_000 if quick else 1_000_000, 100, 1 if quick else 3
    u = np.sin(np.linspace(0.0, 6.0, 64)) + 2.0
    schedule, few = schedules.Revolve(snapshots), 10_000

    def gradient(steps, schedule):
        f = ft.trace(ft.value_and_grad(lambda u: loops.burgers(u, steps, schedule=schedule)), u)
        return lambda: f(u)

    value = ft.trace(lambda u: loops.burgers(u, few), u)
    forward = median_seconds(lambda: value(u), 9) / few
    both = median_seconds(gradient(few, schedules.StoreAll()), 9) / few
    whole = median_seconds(gradient(steps, schedule), rounds)
    model = schedule.steps(steps) * forward + steps * (both - forward)
    name = f"Revolve({snapshots}), {steps:.0e} steps"
    record(Finding(f"{name}, vs its steps alone", whole / model, 1.15, "x", whole, model))

    begun = time.perf_counter()
    rows = sum(len(block) for block in schedule.blocks(steps))
    spent = (time.perf_counter() - begun) / rows
    record(Finding(f"{name}, the schedule, each action", spent * 1e9, 200.0, "ns"))
