"""Memory over a run: against a walk over the listing, and against what the recurrences of the modes say."""
import re
import sys

import numpy as np
import pytest

import fasttape as ft

SIZE = 50
W = 0.9 * np.eye(SIZE) + 0.01 * np.cos(np.arange(SIZE * SIZE)).reshape(SIZE, SIZE)
X = np.linspace(-1.0, 1.0, SIZE)
ARRAY = X.nbytes


def steps(x, n):
    """n steps, each a product and a run: neither can be part of the other."""
    for _ in range(n):
        x = np.tanh(W @ x)
    return x


def loss(x, n):
    return steps(x, n) @ np.ones(SIZE)


def profile(f, *args):
    return ft.trace(f, *args).memory_profile()


# ---- an independent account

def live_by_listing(program):
    """Bytes of arrays that were computed and are still read, walking over what print shows: a run is one instruction,
    as are numbers that follow each other; what a run alone reads lies in no memory; arguments, known arrays and results
    are the caller's or the program's, but a region that is returned is copied at the end."""
    *lines, returned = str(program).splitlines()[1:]
    assert not any("more entries" in line for line in lines)
    results = {text for text in returned.split(maxsplit=1)[1].split(", ") if re.fullmatch(r"s\d+", text)}
    copied = set(re.findall(r"s\d+", returned)) - results
    made, reads, sizes, instruction, before = {}, [], {}, {}, None
    for line in lines:
        run, name, text, shape = re.match(r"\s*(run \d+ \|)? ?\s*(s\d+) = (.*?)\s+float64(\[[\d, ]*\])?$", line).groups()
        if "argument" in text or "known" in text:
            continue
        group = run or (name if shape else before if before in made and not sizes[before] else name)
        k = instruction.setdefault(group, len(instruction))
        before = group
        made[name] = k
        sizes[name] = 8 * int(np.prod(eval(shape))) if shape else 0
        changed = re.match(r"(s\d+), \[", text)             # where it lies: its memory is the new value's from here on
        reads += [(operand, k - 0.5 * (changed is not None and operand == changed[1])) for operand in re.findall(r"s\d+", text)]
    live = np.zeros(len(instruction), np.int64)
    for name, first in made.items():
        last = max((k for operand, k in reads if operand == name), default=first)
        last = len(live) - 1 if name in copied else last
        if (last > first or name in copied) and name not in results:
            live[first:int(last) + 1] += sizes[name]
    return live


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("mode", ["value", "jvp", "vjp", "grad", "hvp"])
def test_profile_is_that_of_the_values_in_the_listing(mode, n):
    p = ft.trace(lambda x: loss(x, n), X)
    p = {"value": p, "jvp": p.jvp(), "vjp": p.vjp(), "grad": p.grad(),
         "hvp": ft.trace(lambda x, v: ft.hvp(lambda x: loss(x, n), x, v), X, X)}[mode]
    np.testing.assert_array_equal(p.memory_profile().bytes, live_by_listing(p))


def test_arguments_and_results_are_counted_apart():
    m = profile(lambda x, y: (np.sin(x) + y, x.sum()), X, np.zeros(1))
    assert (m.argument_bytes, m.result_bytes) == (ARRAY + 8, ARRAY)
    assert m.bytes.max() < ARRAY + 600                      # the workspace of a sum
    assert repr(m).startswith("<memory of 2 instructions: peak ") and "arguments 408 B, results 400 B" in repr(m)


def test_a_loop_of_numbers_holds_its_workspace_and_the_arrays_that_its_reversal_reads():
    def chain(x):
        for _ in range(500):
            x = x + 0.01 * np.sin(x)
        return x

    p = ft.trace(chain, 0.3)
    assert p.stats().loops == 1 and 0 < p.memory_profile().peak < 200
    assert 500 * 8 <= p.grad().memory_profile().peak < 3 * 500 * 8 + 200
    assert p.jvp().memory_profile().peak < 400              # of one loop for both recurrences


# ---- the theory: forward flat, reverse up and down, checkpointed a saw

@pytest.mark.parametrize("n", [10, 300])
def test_forward_mode_holds_a_constant(n):
    assert profile(steps, X, n).peak == 2 * ARRAY
    assert ft.trace(lambda x: steps(x, n), X).jvp().memory_profile().peak == 4 * ARRAY


def test_forward_jacobians_hold_a_piece_of_the_primal():
    few, many = (profile(ft.jacobian(lambda r, n=n: steps(r[0] * X + r[1], n), mode="forward"), np.ones(2)).peak for n in (100, 1000))
    assert few == many < 100 * ARRAY


@pytest.mark.parametrize("n", [10, 100])
def test_reverse_mode_rises_to_the_turn_and_falls_to_nothing(n):
    live = ft.trace(lambda x: loss(x, n), X).grad().memory_profile().bytes / ARRAY
    turn = int(live.argmax())
    assert abs(turn - len(live) / 2) < 3
    assert n <= live[turn] <= n + 3
    assert np.all(np.diff(live[:turn]) >= 0) and np.all(np.diff(live[turn:]) <= 0)
    assert live[0] == 1 and live[-1] <= 2


def segmented(f, segments):
    def chain(x):
        for _ in range(segments):
            x = f(x)
        return x @ np.ones(SIZE)
    return chain


def test_segments_that_are_computed_again_make_a_saw():
    p = ft.trace(ft.grad(segmented(ft.trace(lambda x: steps(x, 10), X), 8)), X)
    live = p.memory_profile().bytes / ARRAY
    tops = np.flatnonzero(np.diff(np.sign(np.diff(live[np.append(True, np.diff(live) != 0)]))) < 0)
    high = live[np.append(True, np.diff(live) != 0)][tops + 1]
    assert np.sum(high > 10) >= 8                           # a tooth a segment; the first sweep's are of two arrays
    assert live.max() <= 8 + 10 + 4 < profile(ft.grad(lambda x: loss(x, 80)), X).peak / ARRAY / 3
    assert live[-1] <= 4
    np.testing.assert_array_equal(p(X), ft.grad(lambda x: loss(x, 80))(X))      # calls that share one plan


# ---- tangents in turns with values: the order on the tape is another, the numbers are not

def uses_constants_late(x):
    """The tangent of the first step reads numbers that the function first uses in the last."""
    y = x**3 * np.sin(x)
    return np.where(y > 0.0, y, 2.0 * y) * 3.0 + W @ (y / 3.0) + X


def writes(x):
    y = np.zeros_like(x)
    y[1:] = x[1:] * x[:-1]
    y[0] = np.sum(y[1:])
    return y * x


def branches(x):
    return np.sin(x) * x[0] if x.sum() < 100.0 else x


def calls(x):
    return CALLED(x) + CALLED(2.0 * x)


CALLED = ft.trace(lambda x: np.tanh(W @ x) * x, X)


@pytest.mark.parametrize("f", [uses_constants_late, writes, branches, calls, lambda x: steps(x, 7)])
def test_order_changes_no_bit(f):
    x, v = X + 0.1, np.cos(X)

    def twice(x, v):
        return ft.jvp(lambda x: ft.jvp(f, x, v)[1], x, v)

    def over_reverse(x, v):
        return ft.hvp(lambda x: np.sum(f(x) * X), x, v)

    def reverse_over(x, v):
        return ft.grad(lambda x: np.sum(ft.jvp(f, x, v)[1] * X))(x)

    for g in (lambda x, v: ft.jvp(f, x, v), twice, over_reverse, reverse_over, lambda x, v: ft.jacobian(f, mode="forward")(x),
              lambda x, v: ft.hessian(lambda x: np.sum(f(x) * X))(x)):
        for found, expected in zip(np.atleast_1d(ft.compile(g)(x, v)), np.atleast_1d(g(x, v)), strict=True):
            np.testing.assert_array_equal(found, expected)


def test_looking_changes_nothing():
    p = ft.trace(ft.grad(segmented(CALLED, 3)), X)
    before, states = p(X), CALLED.stats().states
    first, second = p.memory_profile(), p.memory_profile()
    np.testing.assert_array_equal(first.bytes, second.bytes)
    np.testing.assert_array_equal(first.instruction, np.arange(len(first.bytes)))
    np.testing.assert_array_equal(p(X), before)
    assert p.stats().states == 1 and CALLED.stats().states <= states + 1


# ---- the picture

def three():
    p = ft.trace(lambda x: loss(x, 30), X)
    return {"forward": p.jvp(), "reverse": p.grad(), "again": p.grad().memory_profile()}


def test_plot_has_a_panel_a_program_on_one_scale(tmp_path):
    pytest.importorskip("matplotlib")
    figure = ft.plot_memory(three(), file=tmp_path / "memory.svg")
    text = (tmp_path / "memory.svg").read_text(encoding="utf-8")
    assert "live, kB" in text and "forward: peak 1.6 kB" in text and "reverse: peak" in text
    assert len({axes.get_ylim() for axes in figure.axes}) == 1 and len(figure.axes) == 3
    ft.plot_memory(three(), file=tmp_path / "memory.png")
    assert (tmp_path / "memory.png").read_bytes().startswith(b"\x89PNG")
    again = tmp_path / "again.svg"
    ft.plot_memory(three(), file=again)
    assert again.read_text(encoding="utf-8") == text


def test_plot_refuses(monkeypatch, tmp_path):
    with pytest.raises(TypeError, match="a dict of programs by title, got Program"):
        ft.plot_memory(CALLED)
    with pytest.raises(TypeError, match="'reverse' is function, but must be a Program"):
        ft.plot_memory({"reverse": loss})
    with pytest.raises(ValueError, match="at least one"):
        ft.plot_memory({})
    if "matplotlib" in sys.modules:
        with pytest.raises(ValueError, match="nonsense"):
            ft.plot_memory(three(), file=tmp_path / "memory.nonsense")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"pip install fasttape\[plot\]"):
        ft.plot_memory(three())


# ---- loops

class Periodic:
    """Snapshots of every k-th state; a segment is run again, its states kept, before it is reversed."""

    def __init__(self, k):
        self.k = k

    def slots(self, length):
        return -(-length // self.k), 0

    def blocks(self, length):
        advance, snapshot, restore, turn, reverse, keep, free = 0, 1, 2, 3, 4, 1, 8
        *cuts, last = range(0, length, self.k)
        rows = []
        for j, step in enumerate(cuts):
            rows += [(snapshot, step, 0, j, 0, 0), (advance, step, step + self.k, 0, 0, 0)]
        rows += [(advance, last, length, 0, keep, 0), (turn, 0, 0, 0, 0, 0), (reverse, last, length, 0, 0, 0)]
        for j, step in reversed(list(enumerate(cuts))):
            rows += [(restore, step, 0, j, free, 0), (advance, step, step + self.k, 0, keep, 0), (reverse, step, step + self.k, 0, 0, 0)]
        yield np.array(rows, np.int64)


def scanned(x, n, schedule=None):
    return ft.scan(lambda c, _: (np.tanh(W @ c), None), x, length=n, schedule=schedule)[0] @ np.ones(SIZE)


def test_loops_are_forward_flat_and_reverse_up_and_down():
    p = ft.trace(lambda x: scanned(x, 100), X)
    few = ft.trace(lambda x: scanned(x, 5), X)
    assert p.memory_profile().peak == few.memory_profile().peak < 6 * ARRAY
    assert p.jvp().memory_profile().peak == few.jvp().memory_profile().peak < 12 * ARRAY
    live = p.grad().memory_profile().bytes / 448            # a state, from one cache line on to another
    turn = int(live.argmax())
    assert len(live) in range(200, 204) and abs(turn - 100) <= 1
    np.testing.assert_allclose(np.diff(live[:100]), 1.0)
    np.testing.assert_allclose(np.diff(live[turn:turn + 100]), -1.0)
    assert 100 < live[turn] < 108 and live[-1] < 8


def test_a_schedule_of_a_loop_makes_a_saw_of_what_it_keeps():
    p = ft.trace(ft.grad(lambda x: scanned(x, 64, Periodic(8))), X)
    m = p.memory_profile()
    live = m.bytes / 448
    tops = np.flatnonzero((live[1:-1] > live[:-2]) & (live[1:-1] > live[2:]))
    assert len(tops) == 8 and 7 + 8 < live.max() < 8 + 8 + 8
    np.testing.assert_allclose(np.diff(live[tops + 1]), -1.0)       # a snapshot less each time
    assert len(m.instruction) == len(live) and np.all(np.diff(m.instruction) > 0)
    np.testing.assert_array_equal(p(X), ft.grad(lambda x: scanned(x, 64))(X))


def test_a_loop_of_unknown_length_is_one_instruction():
    p = ft.trace(lambda x: ft.while_loop(lambda c: c.sum() > 1.0, lambda c: 0.5 * c, x).sum(), np.ones(SIZE))
    assert len(p.grad().memory_profile().bytes) < 20
