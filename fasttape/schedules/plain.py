"""Schedules that need no theory."""
from fasttape.schedules.actions import FREE, Schedule, advance, block, blocks_of, count, restore, reverse, snapshot, turn


class StoreAll(Schedule):
    """Keep the dependency data of all steps: no step is run again, memory grows with their number."""

    def blocks(self, length):
        length = count(length, "StoreAll: the length")
        yield block([advance(0, length, True), turn(), reverse(0, length)])

    def slots(self, length):
        return 0, 0


class Periodic(Schedule):
    """Keep the state before every so many steps, and run each stretch again, keeping its data, to reverse it.

    Every step but those of the last stretch is run twice. Memory is least, for equal sizes of state and data, where the
    period is the square root of the length.

    Parameters
    ----------
    period : int
        Steps from snapshot to snapshot.
    """

    _parameters = ("period",)

    def __init__(self, period):
        self.period = count(period, "Periodic: the period")

    def blocks(self, length):
        yield from blocks_of(self._rows(count(length, "Periodic: the length")))

    def _rows(self, length):
        starts = range(0, length, self.period)
        for slot, start in enumerate(starts[:-1]):
            yield snapshot(start, slot)
            yield advance(start, start + self.period)
        yield advance(starts[-1], length, True)
        yield turn()
        yield reverse(starts[-1], length)
        for slot in range(len(starts) - 2, -1, -1):
            start = starts[slot]
            yield restore(start, slot, FREE)
            yield advance(start, start + self.period, True)
            yield reverse(start, start + self.period)

    def slots(self, length):
        return (count(length, "Periodic: the length") - 1) // self.period, 0

    def steps(self, length):
        length = count(length, "Periodic: the length")
        return length + (length - 1) // self.period * self.period
