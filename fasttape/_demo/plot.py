"""Draws what the demonstration found. Beside `fasttape.plots`, the only file that asks for matplotlib."""
from pathlib import Path

import numpy as np

from . import pelts


def check(option, file):
    """Raise before anything long is run if `file` cannot be drawn.

    Raises
    ------
    ImportError
        If matplotlib is missing.
    ValueError
        If the folder is missing or the ending is not a format that matplotlib writes.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError(f"{option} needs matplotlib: pip install fasttape[plot]") from None
    path = Path(file)
    if not path.parent.is_dir():
        raise ValueError(f"{option} {file}: there is no folder {path.parent}")
    formats = Figure().canvas.get_supported_filetypes()
    if path.suffix.lstrip(".").lower() not in formats:
        raise ValueError(f"{option} {file}: the name must end in one of .{', .'.join(formats)}")


def draw(file, fit, costs, training):
    """Draw the fit over the pelts, the two loss curves and the memory of the modes to `file`."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 7), layout="constrained")
    (populations, memory), (descent, learning) = figure.subplots(2, 2)
    draw_populations(populations, fit)
    draw_memory(memory, costs)
    draw_losses(descent, np.arange(len(fit.losses)), fit.losses)
    descent.set(title="Descent to the fit", xlabel="step", ylabel="negative log posterior")
    draw_losses(learning, 1 + np.arange(len(training.losses)), training.losses)
    learning.set(title=f"Digits: {100 * training.accuracy:.1f} % of test images right",
                 xlabel="epoch", ylabel="training loss", yscale="log")
    figure.savefig(file, dpi=150)


def draw_populations(axes, fit):
    """Points for the pelts, curves for the fitted equations."""
    times, states = pelts.curve(fit.theta)
    species = [("hares", pelts.HARES, "tab:blue"), ("lynxes", pelts.LYNXES, "tab:orange")]
    for i, (name, counts, colour) in enumerate(species):
        axes.plot(pelts.YEARS, counts, "o", color=colour, label=f"{name}, pelts")
        axes.plot(times, states[:, i], color=colour, label=f"{name}, fitted")
    axes.set(title="Hudson Bay pelts", xlabel="year", ylabel="thousands", ylim=(0, 110),
             xticks=pelts.YEARS[::5])
    axes.legend(loc="upper center", ncols=2)


def draw_memory(axes, costs):
    """A bar for the peak memory of each mode, its time written beside it."""
    kilobytes = [cost.bytes / 1e3 for cost in costs]
    bars = axes.barh([cost.mode for cost in costs], kilobytes, color="tab:green")
    axes.bar_label(bars, [f"{1e3 * cost.seconds:.1f} ms" for cost in costs], padding=3)
    axes.set(title="One gradient by three modes", xlabel="peak memory, kB")
    axes.margins(x=0.2)     # room for the times


def draw_losses(axes, counts, losses):
    """A curve of losses over whole steps or epochs."""
    axes.plot(counts, losses, color="tab:red")
    axes.xaxis.get_major_locator().set_params(integer=True)
