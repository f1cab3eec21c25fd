"""What it takes to get a program from a file."""

import numpy as np
from measure import assert_agree
from report import Finding

import fasttape as ft

KINDS = (
    lambda a, b: a * 0.75 + b * 0.1,
    lambda a, b: np.sin(a) + b,
    lambda a, b: a - b * 0.3,
    lambda a, b: np.tanh(a * b),
    lambda a, b: a / (1.0 + b * b),
)


def shuffled(steps):
    """A function without a pattern: nothing of it is rolled into loops, little of it is packed."""
    rng = np.random.default_rng(0)
    picks, backs = rng.integers(0, 5, steps).tolist(), rng.integers(1, 9, steps).tolist()

    def f(x, y):
        values = [x, y] * 4
        for pick, back in zip(picks, backs, strict=True):
            values.append(KINDS[pick](values[-1], values[-back]))
        return values[-1]

    return f


def test_load(benchmark, record, quick, tmp_path):
    """Read, checked in full, and planned: the next thing is to run it."""
    program = ft.trace(shuffled(400_000), 0.3, 0.7)
    program.save(tmp_path / "program")
    entries = program.stats().recorded
    assert_agree(ft.load(tmp_path / "program")(0.4, 0.6), program(0.4, 0.6), tolerance=0.0)
    benchmark.pedantic(ft.load, (tmp_path / "program",), rounds=5 if quick else 25, warmup_rounds=1)
    if benchmark.stats is not None:
        each = benchmark.stats.stats.median / entries
        record(Finding(f"load, {entries:.0e} entries", each * 1e9, 100.0, "ns"))
