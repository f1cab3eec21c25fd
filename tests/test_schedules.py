"""Schedules: one simulation holds every one of them to its promises, and their counts to the theory."""
import functools
from math import comb

import numpy as np
import pytest

from fasttape import schedules
from fasttape.schedules import Advance, Foreign, Mixed, Multistage, Online, Periodic, Recompute, Restore, Revolve, Snapshot, StoreAll, Turn

LENGTHS = [1, 2, 3, 5, *range(20, 100, 10), *range(100, 10000, 100)]


class Simulation:
    """Executes actions on whole numbers: a state is its number, the data of a step the step's."""

    def __init__(self, schedule, length):
        self.length, self.at, self.kept, self.slots = length, 0, [], {}
        self.steps, self.back_to, self.peak = 0, None, [0, 0]
        for action in schedule.actions(length):
            getattr(self, type(action).__name__.lower())(action)
        assert self.back_to == 0, "not all steps were reversed"
        assert not self.slots, "snapshots remain"
        assert not self.kept, "data remains"

    def advance(self, action):
        assert action.start == self.at < action.stop <= self.length, action
        self.steps += action.stop - action.start
        self.at = action.stop
        if action.keep:
            self.kept += range(action.start, action.stop)

    def snapshot(self, action):
        if action.data:
            assert self.kept == [action.step], (action, self.kept)
            self.kept = []
        else:
            assert action.step == self.at, (action, self.at)
        self.slots[action.disk, action.slot] = action.step, action.data
        for disk in range(2):
            self.peak[disk] = max(self.peak[disk], sum(place[0] == disk for place in self.slots))

    def restore(self, action):
        assert self.slots[action.disk, action.slot] == (action.step, action.data), action
        if action.data:
            assert not self.kept
            self.kept = [action.step]
        else:
            self.at = action.step
        if action.free:
            del self.slots[action.disk, action.slot]

    def turn(self, action):
        assert self.at == self.length and self.back_to is None
        self.back_to = self.length

    def reverse(self, action):
        assert action.stop == self.back_to, action
        assert self.kept[action.start - action.stop:] == list(range(action.start, action.stop)), (action, self.kept)
        del self.kept[action.start - action.stop:]
        self.back_to = action.start


def simulated(schedule, length):
    s = Simulation(schedule, length)
    ram, disk = schedule.slots(length)
    assert s.peak[0] <= ram and s.peak[1] <= disk, (s.peak, ram, disk)
    assert s.steps == schedule.steps(length)
    return s


def closed_form(length, s):
    """Griewank and Walther's: l steps, then r l - C(s + r, s + 1) that are run again."""
    r = 0
    while comb(s + r, s) < length:
        r += 1
    return length + r * length - comb(s + r, s + 1)


@functools.cache
def fewest(length, s):
    """The fewest forward steps with s snapshots, the one at the beginning among them: by trying all."""
    if length == 1:
        return 1
    if s == 0:
        return 10**9
    return min(m + fewest(length - m, s - 1) + fewest(m, s) for m in range(1, length))


@functools.cache
def fewest_mixed(length, s):
    if length == 1:
        return 1
    if s == 0:
        return 10**9
    state = min(m + fewest_mixed(length - m, s - 1) + fewest_mixed(m, s) for m in range(1, length))
    return min(state, 1 + fewest_mixed(length - 1, s - 1))


# ---- all of them

ALL = [StoreAll(), Recompute(), Revolve(1), Revolve(2), Revolve(3), Revolve(7), Multistage(1, 1), Multistage(3, 7), Mixed(1),
       Mixed(2), Mixed(5), Periodic(1), Periodic(4), Periodic(1000), Online(1), Online(2), Online(3), Online(8)]


@pytest.mark.parametrize("schedule", ALL, ids=repr)
def test_promises(schedule):
    for length in [*range(1, 30), 57, 100]:
        simulated(schedule, length)


@pytest.mark.parametrize("schedule", ALL, ids=repr)
def test_rows(schedule):
    rows = np.concatenate(list(schedule.blocks(23)))
    assert rows.dtype == np.int64 and rows.shape[1] == 6 and len(rows) == len(list(schedule.actions(23)))


@pytest.mark.parametrize("schedule", ALL, ids=repr)
def test_repr_makes_an_equal_one(schedule):
    again = eval(repr(schedule), vars(schedules))
    assert again == schedule and hash(again) == hash(schedule)
    assert schedule != Revolve(4) and schedule != 3


# ---- Revolve

def snapshots_for(length):
    return sorted({s for s in (1, 2, 3, 4, 7, 10, 25, 60, 100) if s < length and closed_form(length, s) < 40 * length})


@pytest.mark.parametrize("length", LENGTHS)
def test_revolve_takes_the_steps_of_the_closed_form(length):
    for s in snapshots_for(length):
        assert Revolve(s).steps(length) == closed_form(length, s)
    for s in snapshots_for(length)[::3]:
        counted = sum(int((rows[:, 2] - rows[:, 1])[rows[:, 0] == 0].sum()) for rows in Revolve(s).blocks(length))
        assert counted == closed_form(length, s)


@pytest.mark.parametrize("s", [25, 50, 75, 100, 125, 150, 175, 200, 225])
def test_revolve_of_250_steps(s):
    assert simulated(Revolve(s), 250).steps == closed_form(250, s)


@pytest.mark.parametrize("length, s, steps", [(10, 3, 25), (100, 5, 416), (100, 10, 322), (1000, 10, 4636), (1000, 100, 2898)])
def test_published_counts(length, s, steps):
    assert simulated(Revolve(s), length).steps == steps


def test_a_million_steps():
    assert Revolve(100).steps(10**6) == 10**6 + 3817896
    steps = rows = 0
    for block in Revolve(100).blocks(10**6):
        assert len(block) <= 1 << 16
        rows += len(block)
        steps += int((block[:, 2] - block[:, 1])[block[:, 0] == 0].sum())
    assert steps == 10**6 + 3817896


@pytest.mark.parametrize("s", range(1, 6))
def test_revolve_and_mixed_are_optimal(s):
    for length in range(1, 25):
        assert Revolve(s).steps(length) == fewest(length, s)
        assert Mixed(s).steps(length) == fewest_mixed(length, s)


# ---- the others

@pytest.mark.parametrize("length, s, steps", [(10, 2, 26), (100, 10, 237), (250, 25, 486)])
def test_published_counts_of_mixed(length, s, steps):
    assert simulated(Mixed(s), length).steps == steps


def test_multistage_keeps_in_memory_what_is_used_most():
    assert simulated(Multistage(3, 7), 100).steps == 322
    use = {}
    for action in Multistage(3, 7).actions(100):
        if isinstance(action, (Snapshot, Restore)):
            use[action.disk, action.slot] = use.get((action.disk, action.slot), 0) + 1
    assert sorted(place[0] for place in use) == [False] * 3 + [True] * 7
    assert min(n for (disk, _), n in use.items() if not disk) >= max(n for (disk, _), n in use.items() if disk)


@pytest.mark.parametrize("s", range(1, 13))
def test_online_is_as_good_as_offline_while_it_can_be(s):
    for length in range(1, (s + 1) * (s + 2) // 2 + 1):
        assert simulated(Online(s), length).steps == closed_form(length, s)


@pytest.mark.parametrize("length, s", [(300, 5), (1000, 10), (1000, 30), (3000, 20)])
def test_online_beyond_is_within_an_eighth(length, s):
    assert simulated(Online(s), length).steps <= 1.125 * closed_form(length, s)


@pytest.mark.parametrize("length", [1, 2, 3, 7, 40])
def test_online_row_by_row(length):
    """As a loop follows it that does not know its length: it stops after some step, and reverses from what is held."""
    for s in (1, 2, 3, 6):
        online, held, last = Online(s), {}, None
        for row in (row for block in online.forward() for row in block.tolist()):
            kind, start, stop, slot, flags, _ = row
            if kind == 0:
                assert stop == start + 1 and flags == 0 and (last is None or start == last + 1)
                last = start
                if stop == length:
                    break
            else:
                assert kind == 1 and start == last, "a snapshot is of the state before the last step"
                held[slot] = start
        rows = np.concatenate(list(online.backward(length, held)))
        assert rows[0, 0] == 3
        again = length + int((rows[:, 2] - rows[:, 1])[rows[:, 0] == 0].sum())
        assert again == online.steps(length)


def test_turn_comes_once():
    for schedule in ALL:
        assert [type(action) for action in schedule.actions(9)].count(Turn) == 1


def test_forward_sweep_keeps_the_last_step_alone():
    kept = [action for action in Revolve(3).actions(10) if isinstance(action, Advance) and action.keep]
    assert kept[0] == Advance(9, 10, True)


# ---- of another package

def foreign():
    package = pytest.importorskip("checkpoint_schedules")
    return {
        "revolve": (lambda n: package.Revolve(n, 4), 4),
        "multistage": (lambda n: package.MultistageCheckpointSchedule(n, 2, 2), 4),
        "mixed": (lambda n: package.MixedCheckpointSchedule(n, 4, storage=package.StorageType.RAM), None),
        "all": (lambda n: package.SingleMemoryStorageSchedule(), None),
    }


@pytest.mark.parametrize("name", ["revolve", "multistage", "mixed", "all"])
def test_schedules_of_checkpoint_schedules(name):
    make, s = foreign()[name]
    for length in (2, 5, 10, 30):
        steps = simulated(Foreign(make), length).steps
        if s is not None and length > s:
            assert steps == closed_form(length, s)
        if name == "mixed":
            assert steps == Mixed(4).steps(length)


# ---- bad input

@pytest.mark.parametrize("make", [Revolve, Mixed, Online, Periodic, lambda n: Multistage(n, 1), lambda n: Multistage(1, n)])
@pytest.mark.parametrize("number, error", [(0, ValueError), (-3, ValueError), (2.0, TypeError), ("4", TypeError), (True, TypeError),
                                           (None, TypeError)])
def test_bad_numbers_of_snapshots(make, number, error):
    with pytest.raises(error, match="must be"):
        make(number)


@pytest.mark.parametrize("schedule", ALL, ids=repr)
@pytest.mark.parametrize("length, error", [(0, ValueError), (-1, ValueError), (1.5, TypeError), (False, TypeError)])
def test_bad_lengths(schedule, length, error):
    with pytest.raises(error, match="length must be"):
        list(schedule.actions(length))


def test_foreign_wants_a_function():
    with pytest.raises(TypeError, match="function of the length"):
        Foreign(3)
