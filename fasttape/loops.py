"""Loops whose body is traced once: `scan`, `fori_loop`, `while_loop`.

A loop is one entry of its trace, however many steps it has, and running it costs no Python. Its reverse needs the carry
that came into each step: a `schedule` (see `fasttape.schedules`) says which of them are kept, and the others are
computed again. Whatever it says, the derivatives are the same, bit for bit.

The body may use values of the trace around it, which are differentiated too. It may not look at what differs from step
to step: ``if``, ``float`` and printing of such values are errors. Loops nest, and derivatives of any order go through
them.
"""
import operator

import numpy as np

from fasttape._core import scanning as _scanning
from fasttape._core.tracer import is_traced
from fasttape.schedules.budget import Budget, bytes_of


def scan(step, carry, xs=None, length=None, *, schedule=None, memory=None, folder=None):
    """Run ``carry, y = step(carry, x)`` for each x of `xs` in turn; return the last carry and the stacked ys.

    Parameters
    ----------
    step : callable
        Takes the carry and the slice ``x = xs[t]``; returns the next carry, of the same tree, shapes and dtypes, and y,
        a tree of numbers and arrays or None.
    carry : float, array, or a tree of them
        What the first step takes.
    xs : array, or a tree of arrays, optional
        Arrays whose first axis is that of the steps. Without it, step takes None.
    length : int, optional
        The number of steps, at least 1. It may be left out where `xs` says it.
    schedule : schedule, optional
        Which states are kept for the reverse: see `fasttape.schedules`. All of them by default.
    memory : int or str, optional
        In place of a schedule, a budget: bytes, or a text such as ``"64 MB"``. The loop takes the schedule that makes the
        most of it; a budget that is too small is a ValueError, when the loop is differentiated, that names the least.
    folder : path, optional
        Where a schedule that uses the disk makes its temporary folder; by default where the system has such files.

    Returns
    -------
    carry
        As the last step returned it.
    ys
        What the steps returned, each leaf stacked along a new first axis.

    Raises
    ------
    TypeError
        If the step returns a carry of another tree, shape or dtype, or looks at a value that differs from step to step.
    ValueError
        If the length is not positive, or the arrays of `xs` do not agree on it.

    Examples
    --------
    >>> scan(lambda total, x: (total + x, total * x), 0.0, np.array([1.0, 2.0, 3.0]))
    (np.float64(6.0), array([0., 2., 9.]))
    """
    _callable(step, "scan: the step")
    length = _length(xs, length)
    schedule = _schedule(schedule, memory, "scan", "blocks", "slots")
    return _scanning.scan(step, carry, xs, length, schedule, Budget, folder, "scan")


def fori_loop(lower, upper, body, carry, *, schedule=None, memory=None, folder=None):
    """Run ``carry = body(i, carry)`` for i from `lower` to ``upper - 1``; return the last carry.

    Parameters
    ----------
    lower, upper : int
        The loop runs ``upper - lower`` times; where that is not positive, the carry is returned as it is.
    body : callable
        Takes i, a traced float, and the carry; returns the next carry, of the same tree, shapes and dtypes.
    carry, schedule, memory, folder
        As in `scan`.

    Examples
    --------
    >>> fori_loop(1, 6, lambda i, product: product * i, 1.0)
    np.float64(120.0)
    """
    _callable(body, "fori_loop: the body")
    lower, upper = (_whole(bound, "fori_loop: a bound of the loop") for bound in (lower, upper))
    schedule = _schedule(schedule, memory, "fori_loop", "blocks", "slots")
    if upper <= lower:
        return carry
    return _scanning.fori_loop(lower, upper, body, carry, schedule, Budget, folder, "fori_loop")


def while_loop(condition, body, carry, *, schedule=None, memory=None):
    """Run ``carry = body(carry)`` while ``condition(carry)`` holds; return the last carry.

    Parameters
    ----------
    condition : callable
        Takes the carry; returns a truth value.
    body : callable
        Takes the carry; returns the next, of the same tree, shapes and dtypes.
    carry : float, array, or a tree of them
        What the first step takes.
    schedule : schedule, optional
        Which states are kept for the reverse. The number of steps is not known before they have been run, so it must be
        one that can do without: `fasttape.schedules.Online`. All states are kept by default.
    memory : int or str, optional
        As in `scan`.

    Notes
    -----
    The number of steps is that of the values, and taken for constant by the derivative.

    Examples
    --------
    >>> while_loop(lambda x: x < 100.0, lambda x: x * 3.0, 1.0)
    np.float64(243.0)
    """
    _callable(condition, "while_loop: the condition")
    _callable(body, "while_loop: the body")
    schedule = _schedule(schedule, memory, "while_loop", "forward", "backward")
    return _scanning.while_loop(condition, body, carry, schedule, Budget, None, "while_loop")


def _callable(f, what):
    if not callable(f):
        raise TypeError(f"{what} must be a function, got {type(f).__name__}")


def _whole(number, what):
    try:
        if isinstance(number, (bool, np.bool_)):
            raise TypeError
        return operator.index(number)
    except TypeError:
        raise TypeError(f"{what} must be a whole number, got {number!r}") from None


def _schedule(schedule, memory, who, *methods):
    if memory is not None:
        if schedule is not None:
            raise TypeError(f"{who}: give a schedule or memory, not both")
        return Budget(bytes_of(memory, who))
    if isinstance(schedule, Budget):
        return schedule
    if schedule is not None and not all(callable(getattr(schedule, method, None)) for method in methods):
        what = "a schedule for a loop of unknown length, such as schedules.Online(snapshots)" if "forward" in methods \
            else "a schedule, such as schedules.Revolve(snapshots)"
        raise TypeError(f"{who}: schedule must be {what}, got {schedule!r}")
    return schedule


def _leaves(tree):
    if isinstance(tree, (tuple, list)):
        return [leaf for part in tree for leaf in _leaves(part)]
    if isinstance(tree, dict):
        return [leaf for part in tree.values() for leaf in _leaves(part)]
    return [] if tree is None else [tree]


def _length(xs, length):
    extents = set()
    for leaf in _leaves(xs):
        if not is_traced(leaf) and not isinstance(leaf, np.ndarray):
            raise TypeError(f"scan: xs must be arrays, whose first axis is that of the steps, got {type(leaf).__name__}")
        if not leaf.ndim:
            raise ValueError("scan: xs holds a number; each of its arrays needs a first axis, that of the steps")
        extents.add(leaf.shape[0])
    if len(extents) > 1:
        raise ValueError(f"scan: the first axes of xs must have one extent, got {sorted(extents)}")
    if length is not None:
        length = _whole(length, "scan: the length")
        if extents and extents != {length}:
            raise ValueError(f"scan: the length is {length}, but the first axis of xs has extent {extents.pop()}")
    elif not extents:
        raise ValueError("scan: give xs or length, so that the number of steps is known")
    else:
        length = extents.pop()
    if length < 1:
        raise ValueError(f"scan: the number of steps must be positive, got {length}")
    return length
