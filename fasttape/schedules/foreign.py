"""Schedules of the package checkpoint_schedules, in our actions."""
from fasttape.schedules.actions import (
    DATA,
    DISK,
    FREE,
    RESTORE,
    SNAPSHOT,
    Schedule,
    advance,
    blocks_of,
    count,
    restore,
    reverse,
    snapshot,
    turn,
)


class Foreign(Schedule):
    """A schedule of the package ``checkpoint_schedules`` (Dolci, Maddison, Ham et al. 2024).

    Parameters
    ----------
    make : callable
        Takes the length, returns the package's schedule for it, new each time, since one is used up when it has been
        followed: ``lambda n: checkpoint_schedules.Revolve(n, 5)``.

    Raises
    ------
    ValueError
        When it is followed, if it does something that has no like here, such as keeping data of many steps in one place.
    """

    _parameters = ("make",)

    def __init__(self, make):
        if not callable(make):
            raise TypeError("Foreign: make must be a function of the length that returns a schedule of checkpoint_schedules, "
                            f"got {type(make).__name__}; write lambda n: ...")
        self.make = make

    def blocks(self, length):
        return blocks_of(self._rows(count(length, "Foreign: the length")))

    def slots(self, length):
        used = [0, 0]
        for rows in self.blocks(length):
            for kind, _, _, slot, flags, _ in rows.tolist():
                if kind in (SNAPSHOT, RESTORE):
                    used[bool(flags & DISK)] = max(used[bool(flags & DISK)], slot + 1)
        return tuple(used)

    def _rows(self, length):
        schedule = self.make(length)
        held = _Held()
        for step in schedule:
            kind = type(step).__name__
            if kind == "Forward":
                if step.n0 >= length:
                    raise ValueError(f"Foreign: the schedule goes on to step {step.n0} of a loop of {length}")
                yield from self._forward(step, length, held)
                if step.n1 >= length and schedule.max_n is None:
                    schedule.finalize(length)           # it did not know
            elif kind == "Reverse":
                yield reverse(step.n0, min(step.n1, length))
            elif kind in ("Copy", "Move"):
                yield from self._load(step, kind == "Move", held)
            elif kind == "EndForward":
                yield turn()
            elif kind == "EndReverse":
                return
            else:
                raise ValueError(f"Foreign: the schedule's action {kind} has no like here")

    def _forward(self, step, length, held):
        start, stop = step.n0, min(step.n1, length)
        where = step.storage.name
        if step.write_ics and where in ("RAM", "DISK"):
            slot, disk = held.put(start, where, False)
            yield snapshot(start, slot, disk)
        if not step.write_adj_deps:
            yield advance(start, stop)
        elif where in ("RAM", "DISK"):
            if stop - start != 1:
                raise ValueError("Foreign: data of one step at a time can be kept in a slot, not of "
                                 f"{stop - start}")
            yield advance(start, stop, True)
            slot, disk = held.put(start, where, True)
            yield snapshot(start, slot, disk | DATA)
        else:
            yield advance(start, stop, True)

    def _load(self, step, moves, held):
        where, to = step.from_storage.name, step.to_storage.name
        if to != "WORK":
            raise ValueError(f"Foreign: a snapshot goes from {where} to {to}, but only to WORK can be expressed here")
        slot, disk, data = held.get(step.n, where, moves)
        yield restore(step.n, slot, disk | (DATA if data else 0) | (FREE if moves else 0))


class _Held:
    """Which snapshot lies in which slot."""

    def __init__(self):
        self.at, self.free, self.used = {}, {"RAM": [], "DISK": []}, {"RAM": 0, "DISK": 0}

    def put(self, step, where, data):
        if self.free[where]:
            slot = self.free[where].pop()
        else:
            slot = self.used[where]
            self.used[where] += 1
        self.at[step, where] = slot, data
        return slot, DISK if where == "DISK" else 0

    def get(self, step, where, moves):
        if (step, where) not in self.at:
            raise ValueError(f"Foreign: the schedule restores step {step} from {where}, where it has put nothing")
        slot, data = self.at[step, where]
        if moves:
            del self.at[step, where]
            self.free[where].append(slot)
        return slot, DISK if where == "DISK" else 0, data
