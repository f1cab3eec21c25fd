"""Checkpointing schedules: in which order the steps of a loop are run and reversed, and which states are kept.

A reverse sweep needs, of each step, from the last to the first, what the step read: its dependency data. A schedule
lists actions that provide it, ignorant of what a step is:

- `Advance` runs steps, keeping their dependency data or not;
- `Snapshot` copies the current state into a slot, of memory or of the disk; `Restore` brings it back;
- `Turn` is the end of the forward sweep, where the cotangent of the last state becomes known;
- `Reverse` runs the reversal of steps whose dependency data is kept.

All gradients are the same, bit for bit; schedules trade memory for steps that are run again. ``steps(length)`` counts the
forward steps, ``slots(length)`` the slots of memory and disk that are used.

Examples
--------
>>> Revolve(3).steps(10)
25
>>> for action in Revolve(2).actions(3): print(action)
Snapshot(step=0, slot=0, disk=False, data=False)
Advance(start=0, stop=1, keep=False)
Snapshot(step=1, slot=1, disk=False, data=False)
Advance(start=1, stop=2, keep=False)
Advance(start=2, stop=3, keep=True)
Turn()
Reverse(stop=3, start=2)
Restore(step=1, slot=1, disk=False, data=False, free=True)
Advance(start=1, stop=2, keep=True)
Reverse(stop=2, start=1)
Restore(step=0, slot=0, disk=False, data=False, free=True)
Advance(start=0, stop=1, keep=True)
Reverse(stop=1, start=0)
"""
from fasttape.schedules.actions import Advance, Restore, Reverse, Schedule, Snapshot, Turn
from fasttape.schedules.binomial import Multistage, Online, Recompute, Revolve
from fasttape.schedules.budget import Budget
from fasttape.schedules.foreign import Foreign
from fasttape.schedules.mixed import Mixed
from fasttape.schedules.plain import Periodic, StoreAll

__all__ = ["Advance", "Budget", "Foreign", "Mixed", "Multistage", "Online", "Periodic", "Recompute", "Restore", "Reverse", "Revolve",
           "Schedule", "Snapshot", "StoreAll", "Turn"]
