"""The memory of one gradient by three modes, drawn: heat that spreads over a ring, 100 steps."""
import numpy as np

import fasttape as ft

STEPS, SNAPSHOTS, CELLS = 100, 10, 1000


def step(u, _):
    """An explicit step; each mean of neighbours is an array of its own."""
    return u + 0.2 * np.tanh(np.concatenate((u[1:], u[:1])) - 2.0 * u + np.concatenate((u[-1:], u[:-1]))), None


def roughness(u, schedule=None):
    u, _ = ft.scan(step, u, length=STEPS, schedule=schedule)
    return np.sum(u * u)


def programs():
    """By mode: the program of a directional derivative alone, of a gradient, and of one by a schedule with few snapshots."""
    u = np.sin(np.linspace(0.0, 2.0 * np.pi, CELLS))
    few = ft.schedules.Revolve(SNAPSHOTS)
    return {"forward": ft.trace(lambda u: ft.jvp(roughness, u, u)[1], u), "reverse": ft.trace(ft.grad(roughness), u),
            "checkpointed": ft.trace(ft.grad(lambda u: roughness(u, few)), u)}


def draw(file):
    """Draw the three curves to `file`."""
    ft.plot_memory(programs(), file=file)
