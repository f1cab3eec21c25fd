"""What a benchmark found, and the table of it. Knows nothing of how it was measured."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Finding:
    """One row: a measured figure and the most that it may be (None: for orientation only)."""

    workload: str
    measured: float
    target: float | None
    unit: str = "x"
    ours: float | None = None  # seconds, medians
    yardstick: float | None = None

    @property
    def verdict(self):
        if self.target is None:
            return ""
        return "ok" if self.measured <= self.target else "MISS"


def seconds(duration):
    if duration is None:
        return ""
    for scale, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if duration >= scale:
            return f"{duration / scale:.3g} {unit}"
    return f"{duration / 1e-9:.3g} ns"


def figure(value, unit):
    return "" if value is None else f"{value:.3f}{unit}" if unit == "x" else f"{value:.1f} {unit}"


def table(findings):
    """Return the lines of an aligned table, a heading first."""
    rows = [("workload", "ours", "yardstick", "measured", "at most", "")]
    for found in findings:
        rows.append(
            (
                found.workload,
                seconds(found.ours),
                seconds(found.yardstick),
                figure(found.measured, found.unit),
                figure(found.target, found.unit),
                found.verdict,
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if k in (0, 5) else cell.rjust(width)
            for k, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
