"""Looking at traces: the table of values, tangents and cotangents, and the memory they take."""
from typing import NamedTuple

import numpy as np

from fasttape._core import table as tables
from fasttape._core import tape


class Row(NamedTuple):
    """One node of a traced function: the operation, its value, tangent and cotangent."""

    k: int
    operation: str
    s: float
    t: float
    r: float


class Node(NamedTuple):
    """One node of a program: the operation, its value, tangent and cotangent, each of the node's shape."""

    k: int
    operation: str
    s: object
    t: object
    r: object


class Stats(NamedTuple):
    """What a program is made of, and what a call of it costs. See `Program.stats`."""

    recorded: int
    kept: int
    entries: int
    instructions: int
    runs: int
    loops: int
    flops: int
    bytes_read: int
    bytes_written: int
    buffers: int
    buffer_bytes: int
    constant_bytes: int
    guards: int
    states: int


class MemoryProfile(NamedTuple):
    """The memory of one run of a program, instruction by instruction. See `Program.memory_profile`."""

    instruction: np.ndarray
    bytes: np.ndarray
    argument_bytes: int
    result_bytes: int

    @property
    def peak(self):
        """The most bytes that are live at once."""
        return int(self.bytes.max(initial=0))

    def __repr__(self):
        where = f" at {self.instruction[self.bytes.argmax()]}" if self.peak else ""
        count = self.instruction[-1] + 1 if len(self.instruction) else 0
        return (f"<memory of {count} instructions: peak {size_text(self.peak)}{where}; "
                f"arguments {size_text(self.argument_bytes)}, results {size_text(self.result_bytes)}>")


def unit_of(size):
    """(name, bytes) of the unit that suits a number of bytes, decimal as disks and RSS are told."""
    for name, unit in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= unit:
            return name, unit
    return "B", 1.0


def size_text(size):
    """A number of bytes in words: ``1.64 MB``."""
    name, unit = unit_of(size)
    return f"{size / unit:.3g} {name}"


def table(f, x):
    """The nodes of a scalar function of one number, with both recurrences worked out.

    Parameters
    ----------
    f : callable
        Maps a float to a real scalar.
    x : float
        Where.

    Returns
    -------
    list of Row
        ``s`` the value, ``t`` the tangent with t = 1 at the input, ``r`` the cotangent with r = 1 at
        the output: ds_k/dx and df/ds_k. The first row's r and the last row's t are the derivative.

    Examples
    --------
    >>> for row in table(lambda x: x + x**2, 3.0): print(row.k, row.operation, row.s, row.t, row.r)
    0 x 3.0 1.0 7.0
    1 square(s0) 9.0 6.0 1.0
    2 s0 + s1 12.0 7.0 1.0
    """
    return [Row(*row) for row in tables.table(f, x)]


class peak_memory:
    """The most bytes that tapes and their buffers hold at once inside a ``with`` block.

    Examples
    --------
    >>> import fasttape as ft
    >>> with peak_memory() as m:
    ...     _ = ft.grad(lambda x: x * x)(3.0)
    >>> m.bytes > 0
    True
    """

    bytes = 0

    def __enter__(self):
        tape.reset_peak()
        return self

    def __exit__(self, *exception):
        self.bytes = tape.read_peak()
