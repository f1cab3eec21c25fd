"""The actions of schedules, and their rows."""
import itertools
import operator
from typing import NamedTuple

import numpy as np

# Rows of int64: kind, start or step, stop, slot, flags, 0. Of ADVANCE and REVERSE the steps start .. stop - 1.
ADVANCE, SNAPSHOT, RESTORE, TURN, REVERSE = range(5)
KEEP, DISK, DATA, FREE = 1, 2, 4, 8
COLUMNS = 6


class Advance(NamedTuple):
    """Run the steps start .. stop - 1, from state `start`; with `keep`, keep their dependency data."""

    start: int
    stop: int
    keep: bool


class Snapshot(NamedTuple):
    """Copy state `step`, the current one, into a slot; with `data`, move the dependency data of that step there."""

    step: int
    slot: int
    disk: bool
    data: bool


class Restore(NamedTuple):
    """Make the snapshot of `step` the current state (with `data`: the kept data); with `free`, forget the snapshot."""

    step: int
    slot: int
    disk: bool
    data: bool
    free: bool


class Turn(NamedTuple):
    """The forward sweep is over: the current state is the last."""


class Reverse(NamedTuple):
    """Reverse the steps stop - 1 down to start, whose dependency data is kept, and forget that."""

    stop: int
    start: int


def action(row):
    """The action that a row stands for."""
    kind, start, stop, slot, flags, _ = row
    if kind == ADVANCE:
        return Advance(start, stop, bool(flags & KEEP))
    if kind == SNAPSHOT:
        return Snapshot(start, slot, bool(flags & DISK), bool(flags & DATA))
    if kind == RESTORE:
        return Restore(start, slot, bool(flags & DISK), bool(flags & DATA), bool(flags & FREE))
    return Turn() if kind == TURN else Reverse(stop, start)


def advance(start, stop, keep=False):
    return ADVANCE, start, stop, 0, KEEP if keep else 0, 0


def snapshot(step, slot, flags=0):
    return SNAPSHOT, step, 0, slot, flags, 0


def restore(step, slot, flags=0):
    return RESTORE, step, 0, slot, flags, 0


def turn():
    return TURN, 0, 0, 0, 0, 0


def reverse(start, stop):
    return REVERSE, start, stop, 0, 0, 0


def block(rows):
    """Rows as an array."""
    return np.array(rows, np.int64).reshape(-1, COLUMNS)


def blocks_of(rows, size=4096):
    """An iterator of rows as one of arrays of at most `size` rows."""
    rows = iter(rows)
    while some := list(itertools.islice(rows, size)):
        yield block(some)


def count(number, what):
    """A positive whole number, or an error that says what it should be."""
    try:
        if isinstance(number, (bool, np.bool_)):
            raise TypeError
        number = operator.index(number)
    except TypeError:
        raise TypeError(f"{what} must be a whole number, got {number!r}") from None
    if number < 1:
        raise ValueError(f"{what} must be positive, got {number}")
    return number


class Schedule:
    """What all schedules offer. A subclass says its `blocks`, and its parameters in `_parameters`."""

    _parameters: tuple[str, ...] = ()

    def blocks(self, length):
        """The rows for a loop of so many steps, as an iterator of int64 arrays of six columns (see actions.py)."""
        raise NotImplementedError

    def actions(self, length):
        """The actions for a loop of so many steps, as an iterator."""
        for rows in self.blocks(length):
            yield from (action(row) for row in rows.tolist())

    def steps(self, length):
        """How many forward steps are run in all."""
        return sum(int((rows[:, 2] - rows[:, 1])[rows[:, 0] == ADVANCE].sum()) for rows in self.blocks(length))

    def slots(self, length):
        """How many slots are used at most: (of memory, of the disk)."""
        raise NotImplementedError

    def _values(self):
        return tuple(getattr(self, name) for name in self._parameters)

    def __repr__(self):
        values = ", ".join(f"{name}={getattr(self, name)}" for name in self._parameters)
        return f"{type(self).__name__}({values})"

    def __eq__(self, other):
        return type(self) is type(other) and self._values() == other._values()

    def __hash__(self):
        return hash((type(self), self._values()))
