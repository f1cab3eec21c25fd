"""What fewer snapshots cost: memory against time, predicted and measured."""
import time
from functools import partial
from typing import NamedTuple

import numpy as np

from fasttape import loops, plots, transforms
from fasttape._core import profile as _profile
from fasttape.program import trace
from fasttape.schedules import Revolve, StoreAll
from fasttape.schedules.budget import text_of

_POINTS = 12                        # numbers of snapshots that are tried, if none are given


class Point(NamedTuple):
    """One number of snapshots. `snapshots` is None where everything is kept; times are seconds of value and gradient."""

    snapshots: int | None
    memory: int
    steps: int
    predicted: float
    measured: float | None


class Tradeoff(list):
    """The points, from the most memory to the least. Printed, it is a table; `plot` draws it."""

    def __repr__(self):
        rows = [("snapshots", "memory", "forward steps", "predicted", "measured")]
        for point in self:
            measured = "" if point.measured is None else f"{point.measured * 1e3:.3g} ms"
            rows.append(("all" if point.snapshots is None else f"{point.snapshots}", text_of(point.memory), f"{point.steps}",
                         f"{point.predicted * 1e3:.3g} ms", measured))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join("  ".join(text.rjust(width) for text, width in zip(row, widths, strict=True)) for row in rows)

    def plot(self, file=None):
        """Draw time against memory, both on logarithmic axes.

        Parameters
        ----------
        file : str or path, optional
            Where to save the figure; the ending says how (.svg, .png, .pdf).

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        ImportError
            If matplotlib is missing.
        """
        return plots.plot_tradeoff(self, file)


def tradeoff(step, carry, length, xs=None, *, snapshots=None, seconds=2.0):
    """Tabulate what the reversal of a loop costs with fewer and fewer snapshots (`schedules.Revolve`).

    Value and gradient, with respect to the carry, of the sum of all that ``scan(step, carry, xs, length)`` returns as carry
    are compiled and run with everything kept, which gives the times of a step and of its reversal; from these the time
    of a schedule is predicted, and, where it is short enough, measured.

    Parameters
    ----------
    step, carry, xs
        As `scan` takes them.
    length : int
        The number of steps.
    snapshots : sequence of int, optional
        Numbers of snapshots to try; about a dozen, from a half of the length to 1, by default.
    seconds : float
        A schedule whose predicted time is longer is not run.

    Returns
    -------
    Tradeoff
        A list of points ``(snapshots, memory, steps, predicted, measured)``: bytes of snapshots, data and records, forward
        steps in all, seconds. Its first point keeps everything.

    Raises
    ------
    TypeError, ValueError
        As `scan` does.

    Examples
    --------
    >>> t = tradeoff(lambda c, _: (np.sin(c), None), np.ones(100), 1000, snapshots=[100, 10])
    >>> [(point.snapshots, point.steps) for point in t]
    [(None, 1000), (100, 2898), (10, 4636)]
    """
    leaves = loops._leaves(carry)
    length = loops._length(xs, length)

    def last(schedule):
        def f(carry):
            end, _ = loops.scan(step, carry, xs, length, schedule=schedule)
            return sum(np.sum(leaf) for leaf in loops._leaves(end))
        return f

    def gradient(schedule):
        def f(leaf, rest):
            return last(schedule)(_with_first(carry, leaf))
        return trace(transforms.value_and_grad(f), leaves[0], ())

    if snapshots is None:
        snapshots = sorted({int(s) for s in np.geomspace(1, max(length // 2, 1), _POINTS)}, reverse=True)
    value, everything = trace(last(None), carry), gradient(StoreAll())
    forward, both = _seconds(partial(value, carry)), _seconds(partial(everything, leaves[0], ()))
    state, data, fixed = _profile.loop_sizes(everything)
    points = Tradeoff([Point(None, fixed + length * data, length, both, both)])
    for s in snapshots:
        schedule = Revolve(s)
        steps = schedule.steps(length)
        predicted = both + (steps - length) * forward / length
        measured = None
        if predicted <= seconds:
            measured = _seconds(partial(gradient(schedule), leaves[0], ()))
        points.append(Point(s, fixed + data + schedule.slots(length)[0] * state, steps, predicted, measured))
    return points


def _with_first(tree, leaf):
    """The tree, its first number or array replaced."""
    if isinstance(tree, dict):
        key = next(iter(tree))
        return {**tree, key: _with_first(tree[key], leaf)}
    if isinstance(tree, (tuple, list)):
        parts = [_with_first(tree[0], leaf), *tree[1:]]
        return type(tree)(*parts) if hasattr(tree, "_fields") else type(tree)(parts)
    return leaf


def _seconds(function):
    """The median of a few runs."""
    function()
    times = []
    while len(times) < 3 or (sum(times) < 0.05 and len(times) < 50):
        begun = time.perf_counter()
        function()
        times.append(time.perf_counter() - begun)
    return float(np.median(times))
