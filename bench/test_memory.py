"""What grows with a tape: memory and the cost of an entry; what must not: a forward trace."""

import os
import pathlib
import subprocess
import sys

import numpy as np
import workloads
from measure import assert_agree, seconds_per_entry
from report import Finding

import fasttape as ft

PROBE = pathlib.Path(__file__).with_name("memory_probe.py")


def peak_of(workload, size):
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(filter(None, sys.path)))
    command = [sys.executable, str(PROBE), workload, str(size)]
    return int(subprocess.check_output(command, env=environment))


def test_forward_mode_memory_is_constant_in_the_steps(record):
    u, h = workloads.burgers_start(), 1e-30
    stepped = workloads.burgers(u + 1j * h)
    answer = ft.jvp(workloads.burgers, (u,), (np.ones_like(u),))
    assert_agree(tuple(answer), (stepped.real, stepped.imag / h))

    growth = peak_of("jvp_of_burgers", 10_000) - peak_of("jvp_of_burgers", 1000)
    record(Finding("jvp of Burgers, 1000 to 10000 steps, peak", growth / 1e6, 5.0, "MB"))


def test_bytes_per_tape_entry(record, quick):
    """Entries are the operations that the function performs; what the sweep appends is in the
    bytes, and not in the count."""
    few, many = 10**3, 10**6 if quick else 10**7
    growth = peak_of("gradient_of_oscillator", many) - peak_of("gradient_of_oscillator", few)
    record(Finding(f"memory per entry, {many:.0e} entries", growth / (many - few), 80.0, "B"))


def oscillator_gradient(entries):
    steps, start = entries // workloads.OSCILLATOR_OPERATIONS, np.array([1.0, 0.0, 1e-3])
    return lambda: ft.value_and_grad(lambda p: workloads.oscillator(p, steps))(start)


def test_time_per_tape_entry_is_constant(benchmark, record, quick):
    """Record, sweep and run; the sizes take turns."""
    start, h = [1.0, 0.0, 1e-3], 1e-30
    stepped = [
        workloads.oscillator([v + 1j * h * (k == j) for j, v in enumerate(start)], 250)
        for k in range(3)
    ]
    gradient = np.array([y.imag / h for y in stepped])
    assert_agree(oscillator_gradient(1000)(), (stepped[0].real, gradient))

    sizes = [10**k for k in range(3, 7 if quick else 8)]
    functions = {size: oscillator_gradient(size) for size in sizes}
    times = seconds_per_entry(benchmark, functions, rounds=3 if quick else 7)
    if times is None:
        return
    worst, best = max(times.values()), min(times.values())
    record(
        Finding(
            f"time per entry, {sizes[0]:.0e} to {sizes[-1]:.0e} entries, worst to best",
            measured=worst / best,
            target=1.5,
            ours=worst,
            yardstick=best,
        )
    )
