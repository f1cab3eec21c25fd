"""The memory of one gradient by three modes, drawn: heat that spreads over a ring, 100 steps."""
import numpy as np

import fasttape as ft

STEPS, SEGMENTS, CELLS = 100, 10, 1000


def steps(u, n):
    """`n` explicit steps; each mean of neighbours is an array of its own."""
    for _ in range(n):
        u = u + 0.2 * np.tanh(np.concatenate((u[1:], u[:1])) - 2.0 * u + np.concatenate((u[-1:], u[:-1])))
    return u


def roughness(u):
    return np.sum(u * u)


def programs():
    """By mode: the program of a directional derivative, of a gradient, and of one that keeps the ends of segments.

    A segment is a program: what calls it keeps its arguments, and a sweep computes what it needs of it again.
    """
    u = np.sin(np.linspace(0.0, 2.0 * np.pi, CELLS))
    segment = ft.trace(lambda u: steps(u, STEPS // SEGMENTS), u)

    def segmented(u):
        for _ in range(SEGMENTS):
            u = segment(u)
        return roughness(u)

    plain = ft.trace(lambda u: roughness(steps(u, STEPS)), u)
    return {"forward": plain.jvp(), "reverse": plain.grad(), "checkpointed": ft.trace(ft.grad(segmented), u)}


def draw(file):
    """Draw the three curves to `file`."""
    ft.plot_memory(programs(), file=file)
