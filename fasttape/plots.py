"""Pictures of programs. Asks for matplotlib only when it draws."""
from collections.abc import Mapping

import numpy as np

from fasttape import inspect

_POINTS = 250                       # of a curve: where there are more instructions, the highest of several is drawn


def plot_memory(programs, *, file=None):
    """Draw the memory of programs over their runs, side by side on one scale.

    Parameters
    ----------
    programs : mapping of str to Program or MemoryProfile
        By the titles of the pictures, for example "forward", "reverse" and "checkpointed".
    file : str or path, optional
        Where to save the figure; the ending says how (.svg, .png, .pdf). An existing file is overwritten.

    Returns
    -------
    matplotlib.figure.Figure
        Live bytes against the number of the instruction, as `Program.memory_profile` tells them. Of long programs the
        highest of neighbouring instructions is drawn.

    Raises
    ------
    ImportError
        If matplotlib is missing: ``pip install fasttape[plot]``.
    TypeError
        If `programs` is no mapping of programs or profiles.
    ValueError
        If there is none, or if matplotlib does not write files with this ending.

    Examples
    --------
    >>> import fasttape as ft
    >>> p = ft.trace(lambda x: np.sin(x[::-1]).sum(), np.ones(100))
    >>> figure = plot_memory({"forward": p.jvp(), "reverse": p.grad()})
    """
    profiles = _profiles(programs)
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError("plot_memory needs matplotlib: pip install fasttape[plot]") from None
    name, unit = inspect.unit_of(max(profile.peak for profile in profiles.values()))
    figure = Figure(figsize=(0.6 + 2.6 * len(profiles), 2.6), layout="constrained")
    panels = figure.subplots(1, len(profiles), sharey=True, squeeze=False)[0]
    for axes, (title, profile) in zip(panels, profiles.items(), strict=True):
        _draw(axes, title, profile, unit)
    panels[0].set_ylabel(f"live, {name}")
    panels[0].set_ylim(bottom=0.0)
    if file is not None:
        with rc_context({"svg.hashsalt": "fasttape", "svg.fonttype": "none"}):  # small, and the same for the same picture
            figure.savefig(file, dpi=150, metadata={"Date": None} if str(file).lower().endswith(".svg") else None)
    return figure


def _profiles(programs):
    if not isinstance(programs, Mapping):
        raise TypeError(f"plot_memory: the first argument must be a dict of programs by title, got "
                        f"{type(programs).__name__}; write {{'reverse': trace(f, x).grad()}}")
    if not programs:
        raise ValueError("plot_memory: there is no program to draw; give at least one")
    profiles = {}
    for title, program in programs.items():
        if not isinstance(program, inspect.MemoryProfile):
            if not hasattr(program, "memory_profile"):
                raise TypeError(f"plot_memory: {title!r} is {type(program).__name__}, but must be a Program, as trace "
                                f"makes it, or what its memory_profile() returns")
            program = program.memory_profile()
        profiles[title] = program
    return profiles


def _draw(axes, title, profile, unit):
    """One filled curve with its peak written in the title."""
    width = -(-len(profile.bytes) // _POINTS) or 1
    starts = np.arange(0, len(profile.bytes), width)
    edges = np.append(profile.instruction[starts], profile.instruction[-1:] + 1)
    highest = np.maximum.reduceat(profile.bytes, starts) / unit if starts.size else np.zeros(0)
    axes.stairs(highest, edges, fill=True, facecolor="tab:green")
    axes.set(title=f"{title}: peak {inspect.size_text(profile.peak)}", xlabel="instruction", xlim=(0, edges[-1] or 1))


def plot_tradeoff(points, file=None):
    """Draw the points of `tradeoff`; see `Tradeoff.plot`."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError("plotting needs matplotlib: pip install fasttape[plot]") from None
    name, unit = inspect.unit_of(max(point.memory for point in points))
    figure = Figure(figsize=(4.5, 3.2), layout="constrained")
    axes = figure.subplots()
    axes.loglog([point.memory / unit for point in points], [point.predicted for point in points], "-", label="predicted")
    measured = [(point.memory / unit, point.measured) for point in points if point.measured is not None]
    axes.loglog(*zip(*measured, strict=True), "o", label="measured")
    axes.set_xlabel(f"memory, {name}")
    axes.set_ylabel("value and gradient, s")
    axes.legend(frameon=False)
    if file is not None:
        figure.savefig(file, dpi=150)
    return figure
