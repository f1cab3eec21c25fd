"""The table of snapshots against memory and time."""
from collections import namedtuple

import numpy as np
import pytest

import fasttape as ft
from fasttape.schedules import Revolve

Pair = namedtuple("Pair", "a b")


def step(c, x):
    return c * np.cos(c) + (0.0 if x is None else x), None


def test_points():
    points = ft.tradeoff(step, np.ones(100), 400, snapshots=[200, 20, 2, 1], seconds=0.5)
    assert [point.snapshots for point in points] == [None, 200, 20, 2, 1]
    assert [point.steps for point in points] == [400] + [Revolve(s).steps(400) for s in (200, 20, 2, 1)]
    memory = [point.memory for point in points]
    assert memory == sorted(memory, reverse=True)
    assert memory[1] - memory[2] == pytest.approx(180 * 800, rel=0.05)      # states of 100 numbers, at cache lines
    predicted = [point.predicted for point in points]
    assert predicted == sorted(predicted)
    assert all(0 < point.measured < 100 * point.predicted for point in points[:3])
    assert repr(points).splitlines()[0].split() == ["snapshots", "memory", "forward", "steps", "predicted", "measured"]
    assert len(repr(points).splitlines()) == 6


@pytest.mark.parametrize("carry", [1.0, (np.ones(3), 2.0), {"a": [np.ones(2)], "b": 0.5}, Pair(1.0, np.ones(2))])
def test_trees(carry):
    points = ft.tradeoff(lambda c, x: (c, None), carry, 5, seconds=0.0)
    assert points[0].snapshots is None and points[-1].snapshots == 1 and points[-1].measured is None


def test_arrays_that_are_walked_over():
    assert ft.tradeoff(step, np.ones(4), None, np.linspace(0.0, 1.0, 9), snapshots=[3])[1].steps == Revolve(3).steps(9)


def test_errors():
    with pytest.raises(ValueError, match="steps must be positive"):
        ft.tradeoff(step, 1.0, 0)
    with pytest.raises(ValueError, match="number of snapshots must be positive"):
        ft.tradeoff(step, 1.0, 10, snapshots=[0])
    with pytest.raises(TypeError, match=r"must return \(carry, y\)"):
        ft.tradeoff(lambda c, x: c, 1.0, 10)


def test_plot(tmp_path):
    pytest.importorskip("matplotlib")
    ft.tradeoff(step, np.ones(10), 50).plot(tmp_path / "t.svg")
    assert (tmp_path / "t.svg").stat().st_size > 1000
