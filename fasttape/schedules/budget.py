"""The schedule that makes the most of a number of bytes."""
import re

import numpy as np

from fasttape.schedules.actions import Schedule
from fasttape.schedules.binomial import Online, Revolve

_UNITS = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12, "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}
_SLACK = 5 << 17                    # what allocators, traces and plans take beside what is counted


def bytes_of(memory, who):
    """A number of bytes, from a number or a text such as ``"64 MB"`` or ``"1.5 GiB"`` (MB are 10**6, MiB 2**20)."""
    if isinstance(memory, str):
        match = re.fullmatch(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([a-z]+)\s*", memory, re.IGNORECASE)
        if not match or match[2].lower() not in _UNITS:
            raise ValueError(f'{who}: memory must be bytes, or a text such as "64 MB" or "1.5 GiB", got {memory!r}')
        memory = int(float(match[1]) * _UNITS[match[2].lower()])
    if isinstance(memory, (bool, np.bool_)) or not isinstance(memory, (int, np.integer)):
        raise TypeError(f'{who}: memory must be bytes, or a text such as "64 MB", got {memory!r}')
    if memory < 1:
        raise ValueError(f"{who}: memory must be positive, got {memory}")
    return int(memory)


def text_of(size):
    """Bytes in a unit that makes them readable, rounded up: a budget of it is enough."""
    for unit in ("GB", "MB", "kB"):
        if size >= _UNITS[unit.lower()]:
            tenths = -(-10 * size // _UNITS[unit.lower()])
            return f"{tenths / 10:g} {unit}"
    return f"{size} B"


class Budget(Schedule):
    """All states where they fit into so many bytes, else as many snapshots of `Revolve` (or of `Online`) as do.

    Parameters
    ----------
    memory : int or str
        Bytes, or a text such as ``"64 MB"``. They bound what the loop adds to the memory of the process: states, the data of
        a step, what is handed on, and the room that its steps compute in; arguments and results are not counted.
    """

    _parameters = ("memory",)

    def __init__(self, memory):
        self.memory = bytes_of(memory, "Budget")

    def choose(self, length, state, data, fixed):
        """The schedule for a loop of so many steps (None: nobody knows); None where all states fit. A state takes `state`
        bytes, the data of a step `data`, and `fixed` is taken in any case."""
        room = self.memory - fixed - _SLACK
        if length is not None and (length + 1) * state <= room:
            return None
        snapshots = (room - data) // max(state, 1)
        if snapshots < 1:
            raise ValueError(f"a budget of {text_of(self.memory)} is too small for this loop; the least that would do is "
                             f"{text_of(fixed + _SLACK + data + state)}")
        return Online(snapshots) if length is None else Revolve(min(snapshots, length))
