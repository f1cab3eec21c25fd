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
    REVERSE,
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

_SMALL = 1 << 10                    # rows of a stretch that is remembered
_REMEMBERED = 1 << 16               # rows in all
_BLOCK = 1 << 14


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


def split(length, s):
    """How far to the next snapshot, with s snapshots, the one at the beginning among them."""
    if s == 1:
        return length - 1
    r = repetitions(length, s)
    return min(beta(s, r - 1), length - beta(s - 1, r - 1))


def stretch(length, s, first, slots, turns, taken=False):
    """Rows that reverse `length` steps from state `first`, the current one; `turns` where the turn is among them.
    `taken`: the snapshot at the beginning is there already."""
    if length == 1 and not taken:
        yield from last(first, turns)
        return
    if not taken:
        yield snapshot(first, slots[0])
    end = length
    while end > 1:
        distance = split(end, s)
        yield advance(first, first + distance)
        yield from stretch(end - distance, s - 1, first + distance, slots[1:], turns)
        turns = False
        yield restore(first, slots[0], FREE if distance == 1 else 0)
        end = distance
    yield from last(first, turns)


def last(step, turns):
    """One step, run and reversed."""
    yield advance(step, step + 1, True)
    if turns:
        yield turn()
    yield reverse(step, step + 1)


class _Remembered:
    """Rows of stretches, small ones from memory: they recur, further on and in other slots."""

    def __init__(self):
        self.rows, self.size = {}, 0

    def blocks(self, length, s, first, slot, turns):
        """As `stretch`, in arrays of any size."""
        if not turns and length <= _SMALL // 4:
            yield self._moved(length, s, first, slot)
            return
        if length == 1:
            yield block(list(last(first, turns)))
            return
        yield block([snapshot(first, slot)])
        end = length
        while end > 1:
            distance = split(end, s)
            yield block([advance(first, first + distance)])
            yield from self.blocks(end - distance, s - 1, first + distance, slot + 1, turns)
            turns = False
            yield block([restore(first, slot, FREE if distance == 1 else 0)])
            if distance > 1 and distance <= _SMALL // 4:
                yield self._moved(distance, s, first, slot)[1:]
                return
            end = distance
        yield block(list(last(first, turns)))

    def _moved(self, length, s, first, slot):
        """A remembered stretch, where it is wanted."""
        rows = self.rows.get((length, s))
        if rows is None:
            rows = block(list(stretch(length, s, 0, range(s), False)))
            if self.size + len(rows) > _REMEMBERED:
                self.rows.clear()
                self.size = 0
            self.rows[length, s] = rows
            self.size += len(rows)
        return rows + _offsets(rows, first, slot)


def _offsets(rows, first, slot):
    """What moves rows by so many steps and slots."""
    kind = rows[:, 0]
    out = np.zeros_like(rows)
    out[:, 1] = first
    out[(kind == ADVANCE) | (kind == REVERSE), 2] = first
    out[(kind == SNAPSHOT) | (kind == RESTORE), 3] = slot
    return out


def _gathered(arrays):
    """The same rows in arrays of about _BLOCK rows."""
    some, rows = [], 0
    for array in arrays:
        some.append(array)
        rows += len(array)
        if rows >= _BLOCK:
            yield np.concatenate(some)
            some, rows = [], 0
    if some:
        yield np.concatenate(some)


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

    _parameters = ("snapshots",)

    def __init__(self, snapshots):
        self.snapshots = count(snapshots, f"{type(self).__name__}: the number of snapshots")

    def blocks(self, length):
        length = count(length, f"{type(self).__name__}: the length")
        return _gathered(_Remembered().blocks(length, min(self.snapshots, max(length - 1, 1)), 0, 0, True))

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
        return blocks_of(self._backward(length, sorted((step, slot) for slot, step in held.items())))

    def _backward(self, length, held):
        free = sorted(set(range(self.snapshots)) - {slot for _, slot in held})
        yield turn()
        yield reverse(length - 1, length)
        end = length - 1
        while held:
            first, slot = held.pop()
            if end == first:            # not needed any more
                yield restore(first, slot, FREE)
            elif end - first == 1:
                yield restore(first, slot, FREE)
                yield from last(first, False)
            else:
                yield restore(first, slot)
                yield from stretch(end - first, 1 + len(free), first, [slot, *free], False, taken=True)
            free.append(slot)
            end = first

    def blocks(self, length):
        """The rows for a loop that ends after so many steps, as an iterator of arrays."""
        length = count(length, "Online: the length")
        return blocks_of(self._rows(length))

    def _rows(self, length):
        held, before = {}, None
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
        yield from self._backward(length, sorted((step, slot) for slot, step in held.items()))

    def slots(self, length):
        return min(self.snapshots, count(length, "Online: the length") - 1), 0
