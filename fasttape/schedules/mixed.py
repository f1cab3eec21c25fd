"""Slots that hold either a state or the dependency data of a step."""
import numpy as np

from fasttape.schedules.actions import DATA, FREE, Schedule, advance, blocks_of, count, restore, reverse, snapshot, turn


class Mixed(Schedule):
    """The fewest forward steps where a slot may also hold the dependency data of one step: Maddison 2024, "On the
    implementation of checkpointing with high-level algorithmic differentiation".

    Data spares the step from being run again, a state does not, but lets one begin anew. Which is kept where follows
    from the fewest steps for every shorter loop, found one after the other: time and memory grow as snapshots times
    length squared, and length times snapshots.

    Parameters
    ----------
    snapshots : int
        Slots, at most.

    Examples
    --------
    >>> Mixed(2).steps(10), Mixed(10).steps(100)
    (26, 237)
    """

    _parameters = ("snapshots",)

    def __init__(self, snapshots):
        self.snapshots = count(snapshots, "Mixed: the number of snapshots")
        self._known = {}

    def _choices(self, length):
        """(steps, distance) by (slots, length): where distance is 0, the data of the first step is kept."""
        length = count(length, "Mixed: the length")
        s = min(self.snapshots, max(length - 1, 1))
        for known, table in self._known.items():
            if known >= length and table[0].shape[0] > s:
                return table
        never = np.iinfo(np.int64).max // 4
        steps = np.full((s + 1, length + 1), never)
        distance = np.zeros((s + 1, length + 1), np.int64)
        steps[:, 0], steps[:, 1] = 0, 1
        for k in range(1, s + 1):
            for n in range(2, length + 1):
                m = np.arange(1, n)
                state = m + steps[k - 1, n - m] + steps[k, m]
                best = int(np.argmin(state))
                data = 1 + steps[k - 1, n - 1]
                if data <= state[best]:
                    steps[k, n] = data
                else:
                    steps[k, n], distance[k, n] = state[best], m[best]
        self._known = {length: (steps, distance)}
        return steps, distance

    def steps(self, length):
        steps, _ = self._choices(length)
        return int(steps[min(self.snapshots, max(length - 1, 1)), length])

    def slots(self, length):
        return min(self.snapshots, count(length, "Mixed: the length") - 1), 0

    def blocks(self, length):
        _, distance = self._choices(length)
        return blocks_of(self._rows(0, length, min(self.snapshots, max(length - 1, 1)), 0, distance, True))

    def _rows(self, first, length, s, slot, distance, turns):
        """Reverse `length` steps from state `first`, the current one, with s slots from `slot` on."""
        while length > 1:
            m = int(distance[s, length])
            if m == 0:
                yield advance(first, first + 1, True)
                yield snapshot(first, slot, DATA)
                yield from self._rows(first + 1, length - 1, s - 1, slot + 1, distance, turns)
                yield restore(first, slot, DATA | FREE)
                yield reverse(first, first + 1)
                return
            yield snapshot(first, slot)
            yield advance(first, first + m)
            yield from self._rows(first + m, length - m, s - 1, slot + 1, distance, turns)
            turns = False
            yield restore(first, slot, FREE)
            length = m
        yield advance(first, first + 1, True)
        if turns:
            yield turn()
        yield reverse(first, first + 1)
