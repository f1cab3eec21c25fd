"""Schedules of snapshots at binomial distances: the fewest steps for a number of snapshots.

With s snapshots and no step run more than r times before it is reversed, beta(s, r) = C(s + r, s) steps can be reversed;
l steps, beta(s, r - 1) < l <= beta(s, r), take l + r l - C(s + r, s + 1) forward steps in all, the fewest there can be
(Griewank and Walther 2000, "Algorithm 799: revolve"). The state that the loop begins with is one of the snapshots.
"""
from math import comb

import numpy as np

from fasttape.schedules.actions import (
    ADVANCE,
    DISK,
    FREE,
    RESTORE,
    SNAPSHOT,
    Schedule,
    advance,
    block,
    blocks_of,
    count,
    restore,
    reverse,
    snapshot,
    turn,
)
from fasttape.schedules.stretch import Stretch


def beta(s, r):
    """How many steps s snapshots serve if none is run more than r times."""
    return comb(s + r, s)


def repetitions(length, s):
    """The least r with length <= beta(s, r)."""
    r, reach = 0, 1
    while reach < length:
        r += 1
        reach = reach * (s + r) // r
    return r


def fewest(length, s):
    """Forward steps in all."""
    r = repetitions(length, s)
    return length + r * length - comb(s + r, s + 1)


class Revolve(Schedule):
    """The fewest forward steps for so many snapshots in memory: Griewank and Walther 2000.

    Parameters
    ----------
    snapshots : int
        States that are kept at once, at most; the one that the loop begins with is among them.

    Examples
    --------
    >>> Revolve(5).steps(100), Revolve(10).steps(100)
    (416, 322)
    """

    _parameters: tuple[str, ...] = ("snapshots",)

    def __init__(self, snapshots):
        self.snapshots = count(snapshots, f"{type(self).__name__}: the number of snapshots")

    def blocks(self, length):
        length = count(length, f"{type(self).__name__}: the length")
        return Stretch(length, 0, range(min(self.snapshots, max(length - 1, 1))), True)

    def steps(self, length):
        return fewest(count(length, f"{type(self).__name__}: the length"), self.snapshots)

    def slots(self, length):
        return min(self.snapshots, count(length, f"{type(self).__name__}: the length") - 1), 0


class Recompute(Revolve):
    """Keep the first state alone, and run from there to each step: l (l + 1) / 2 forward steps."""

    _parameters = ()

    def __init__(self):
        super().__init__(1)


class Multistage(Revolve):
    """The snapshots of `Revolve`, those with the most traffic in memory, the others on disk: Stumm and Walther 2009,
    "MultiStage approaches for optimal offline checkpointing".

    Parameters
    ----------
    ram, disk : int
        Snapshots in memory and on disk, at most.
    """

    _parameters = ("ram", "disk")

    def __init__(self, ram, disk):
        self.ram, self.disk = count(ram, "Multistage: the number in memory"), count(disk, "Multistage: the number on disk")
        super().__init__(self.ram + self.disk)

    def _places(self, length):
        """Of each slot of `Revolve`, the number of its place, and whether that is on disk."""
        traffic = np.zeros(min(self.snapshots, max(length - 1, 1)), np.int64)
        for rows in super().blocks(length):
            used = rows[(rows[:, 0] == SNAPSHOT) | (rows[:, 0] == RESTORE), 3]
            traffic += np.bincount(used, minlength=len(traffic))
        order = np.argsort(-traffic, kind="stable")
        on_disk, place = np.zeros(len(traffic), bool), np.zeros(len(traffic), np.int64)
        on_disk[order[self.ram:]] = True
        place[order[:self.ram]] = np.arange(len(order[:self.ram]))
        place[order[self.ram:]] = np.arange(len(order[self.ram:]))
        return place, on_disk

    def blocks(self, length):
        length = count(length, "Multistage: the length")
        place, on_disk = self._places(length)
        for rows in super().blocks(length):
            stored = (rows[:, 0] == SNAPSHOT) | (rows[:, 0] == RESTORE)
            slot = rows[stored, 3]
            rows[stored, 3] = place[slot]
            rows[stored, 4] += DISK * on_disk[slot]
            yield rows

    def slots(self, length):
        used = super().slots(length)[0]
        return min(used, self.ram), max(used - self.ram, 0)


class Online(Schedule):
    """For loops whose length is not known before they end.

    Every state is kept at first. When the slots are full, a snapshot gives way to a newer one where the steps between its
    neighbours can still be reversed with none run more than r times, r being the least for which that is so. As long as
    there are at most (s + 1)(s + 2) / 2 steps the forward steps are as few as those of `Revolve`, which knows the length
    (Stumm and Walther 2010, "New algorithms for optimal online checkpointing", have the bound).

    Parameters
    ----------
    snapshots : int
        States that are kept at once, at most; the one that the loop begins with is among them.
    """

    _parameters = ("snapshots",)

    def __init__(self, snapshots):
        self.snapshots = count(snapshots, "Online: the number of snapshots")

    def forward(self):
        """The rows of the forward sweep, without end, as an iterator of arrays.

        They are single steps, and snapshots of the state before the last of them: that it is worth keeping is known when
        the loop goes on after it.
        """
        return blocks_of(self._forward(), 256)

    def _forward(self):
        held = []                       # (step, slot), in order
        r, step, s = 1, 0, self.snapshots
        while True:
            yield advance(step, step + 1)
            if len(held) < s:
                held.append((step, len(held)))
                yield snapshot(step, len(held) - 1)
            else:
                gone = self._superfluous(held, step, r)
                while gone is None and not self._reach(held, step + 2, r):
                    r += 1
                    gone = self._superfluous(held, step, r)
                if gone is not None:
                    _, slot = held.pop(gone)
                    held.append((step, slot))
                    yield snapshot(step, slot)
            step += 1

    def _reach(self, held, length, r):
        """Whether the loop, if it ends at `length`, can be reversed with no step run more than r times again."""
        free = self.snapshots - len(held) + 1
        if length - 1 - held[-1][0] > beta(free, r - 1):
            return False
        for later, earlier in zip(held[:0:-1], held[-2::-1], strict=True):
            free += 1
            if later[0] - earlier[0] > beta(free, r - 1):
                return False
        return True

    def _superfluous(self, held, step, r):
        """Which snapshot may give way to one of `step`: the first that may, or None."""
        k = len(held)
        for j in range(1, len(held)):
            before = held[j - 1][0]
            after = held[j + 1][0] if j + 1 < len(held) else step
            if after - before <= beta(k - j + 1, r - 1):
                return j if self._reach(held[:j] + held[j + 1:] + [(step, 0)], step + 2, r) else None
        return None

    def backward(self, length, held):
        """The rows from the turn on, `held` being slot -> step of the snapshots; the data of the last step is kept."""
        return self._backward(length, sorted((step, slot) for slot, step in held.items()))

    def _backward(self, length, held):
        free = sorted(set(range(self.snapshots)) - {slot for _, slot in held})
        yield block([turn(), reverse(length - 1, length)])
        end = length - 1
        while held:
            first, slot = held.pop()
            if end == first:            # not needed any more
                yield block([restore(first, slot, FREE)])
            elif end - first == 1:
                yield block([restore(first, slot, FREE), advance(first, end, True), reverse(first, end)])
            else:
                yield block([restore(first, slot)])
                yield from Stretch(end - first, first, [slot, *free], False, True)
            free.append(slot)
            end = first

    def blocks(self, length):
        """The rows for a loop that ends after so many steps, as an iterator of arrays."""
        length = count(length, "Online: the length")
        held = {}
        yield from blocks_of(self._before_turn(length, held))
        yield from self._backward(length, sorted((step, slot) for slot, step in held.items()))

    def _before_turn(self, length, held):
        before = None
        for row in self._forward():
            if row[0] == SNAPSHOT:
                held[row[3]] = row[1]
                yield row               # of a known length it can be taken in its turn
            elif before is not None:
                yield before
            if row[0] == ADVANCE:
                if row[2] == length:
                    break
                before = row
            else:
                yield before
                before = None
        yield advance(length - 1, length, True)

    def slots(self, length):
        return min(self.snapshots, count(length, "Online: the length") - 1), 0
