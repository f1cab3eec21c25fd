"""One gradient three ways: what forward, reverse and checkpointed reverse mode cost.

Forward mode pushes a tangent for each of the eight parameters and keeps nothing behind it. Reverse mode
makes one pass whatever their number, but keeps every step until the way back. Checkpointed reverse
mode keeps one state a year and computes the steps of a year anew on the way back.
"""
import time
from typing import NamedTuple

import numpy as np

import fasttape as ft

from . import pelts
from .console import Table, heading, paragraph, say

REPEATS = 5


class Cost(NamedTuple):
    """A mode's gradient, its time in seconds and the peak of the memory it held in bytes."""

    mode: str
    gradient: np.ndarray
    seconds: float
    bytes: int


def checkpointed_loss(theta):
    """The loss of `pelts`, of which reverse mode keeps the state at each new year only."""
    return pelts.loss(theta, year=ft.checkpoint(pelts.year))


GRADIENTS = {
    "forward": ft.jacobian(pelts.loss, mode="forward"),
    "checkpointed": ft.grad(checkpointed_loss),
    "reverse": ft.grad(pelts.loss),
}


def cost(mode, theta):
    """Return the `Cost` of the gradient at `theta`; the time is the best of a few."""
    gradient_of = GRADIENTS[mode]
    with ft.peak_memory() as memory:
        gradient = gradient_of(theta)
    return Cost(mode, gradient, best_time(gradient_of, theta), memory.bytes)


def best_time(f, x):
    """Return the least time of a few calls of `f`, in seconds."""
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        f(x)
        times.append(time.perf_counter() - start)
    return min(times)


def show():
    """Print time and peak memory of the modes and their largest difference; return the costs."""
    theta = pelts.first_guess()
    heading("3. The same gradient by three modes: time against memory")
    paragraph(f"""The gradient of section 2 at its starting point, {len(theta)} components. Memory
              is the most that tapes and buffers held at once.""")
    table = Table("        mode", "time, ms", "peak memory, kB")
    costs = []
    for mode in GRADIENTS:
        costs.append(cost(mode, theta))
        table.row(mode, f"{1e3 * costs[-1].seconds:.2f}", f"{costs[-1].bytes / 1e3:.0f}")
    table.row("loss alone", f"{1e3 * best_time(pelts.loss, theta):.2f}", "-")
    say()
    say(f"   largest difference between any two modes: {disagreement(costs):.1e} of the largest "
        "component")
    return costs


def disagreement(costs):
    """Return the largest difference between two gradients, relative to the largest component."""
    gradients = np.stack([cost.gradient for cost in costs])
    return np.ptp(gradients, axis=0).max() / np.abs(gradients).max()
