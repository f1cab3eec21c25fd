"""Loops follow their schedules: steps are counted where they are run, snapshots where they are held; disks fail."""
import os
import signal
import sys
import threading
import time
from math import comb

import numpy as np
import pytest

import fasttape as ft
from fasttape import schedules
from fasttape._core.feed import snapshots_held, steps_run
from fasttape.schedules import Mixed, Multistage, Online, Periodic, Recompute, Revolve, StoreAll

X = np.linspace(0.1, 1.0, 6)


def numbers(x, length, **how):
    (a, b), _ = ft.scan(lambda c, _: ((np.sin(c[0]) + c[1] * x, c[0] * 0.5), None), (x, 1.0), length=length, **how)
    return a * b


def arrays(x, length, **how):
    return ft.scan(lambda c, _: (np.sin(c) + c[::-1] * x, None), x, length=length, **how)[0].sum()


def run_for(f, *args, **how):
    before = steps_run()
    f(*args, **how)
    return steps_run() - before


def closed_form(length, s):
    r = 0
    while comb(s + r, s) < length:
        r += 1
    return length + r * length - comb(s + r, s + 1)


# ---- counts of the real loop

PAIRS = [(length, s) for length in (1, 2, 3, 5) for s in range(1, 7)] + [(10, s) for s in range(2, 10)] \
    + [(100, s) for s in range(1, 100)] + [(250, s) for s in range(25, 226, 25)]


@pytest.mark.parametrize("f, x", [(numbers, 0.3), (arrays, X)], ids=["numbers", "arrays"])
def test_steps_and_snapshots_of_the_real_loop(f, x):
    """Steps by the closed form; of the snapshots, never more than s at a time, and none in the end."""
    for length, s in PAIRS:
        snapshots_held()
        steps = run_for(ft.grad(f), x, length, schedule=Revolve(s))
        assert steps == closed_form(length, s), (length, s)
        held, most = snapshots_held()
        assert held == 0 and (length > 1) <= most <= s, (length, s)


@pytest.mark.parametrize("length", range(100, 10000, 900))
def test_the_loop_takes_the_steps_of_the_closed_form(length):
    for s in (3, 10, 100):
        if closed_form(length, s) < 30 * length:
            assert run_for(ft.grad(numbers), 0.3, length, schedule=Revolve(s)) == closed_form(length, s)


@pytest.mark.parametrize("schedule, most", [
    (Mixed(10), 10), (Multistage(3, 7), 10), (Online(13), 13), (Periodic(10), 10), (Recompute(), 1), (StoreAll(), 0)], ids=repr)
def test_snapshots_of_other_schedules(schedule, most):
    snapshots_held()
    compiled = ft.compile(ft.grad(lambda x: numbers(x, 100, schedule=schedule)))
    for _ in range(2):
        compiled(0.3)
        held, found = snapshots_held()
        assert held == 0 and (found == most if not isinstance(schedule, Periodic) else found <= most)


@pytest.mark.parametrize("f, x", [(numbers, 0.3), (arrays, X)], ids=["numbers", "arrays"])
@pytest.mark.parametrize("schedule, length, steps", [
    (Revolve(3), 10, 25), (Revolve(5), 100, 416), (Revolve(10), 100, 322), (Revolve(10), 1000, 4636), (Revolve(100), 1000, 2898),
    (Mixed(2), 10, 26), (Mixed(10), 100, 237), (Mixed(25), 250, 486), (Multistage(3, 7), 100, 322), (StoreAll(), 50, 50),
    (Recompute(), 20, 210), (Periodic(10), 100, 190), (Online(13), 105, closed_form(105, 13))], ids=repr)
def test_published_counts(f, x, schedule, length, steps):
    assert run_for(ft.value_and_grad(f), x, length, schedule=schedule) == steps
    compiled = ft.compile(ft.value_and_grad(lambda x: f(x, length, schedule=schedule)))
    compiled(x)
    assert run_for(compiled, x) == steps


def test_an_online_loop_is_as_good_as_one_that_knows_its_length():
    def f(x, n, schedule):
        c = ft.while_loop(lambda c: c[1] < n, lambda c: (np.sin(c[0]) * 1.1, c[1] + 1.0), (x, 0.0), schedule=schedule)
        return c[0]
    for s in (1, 2, 3, 5):
        for length in range(1, (s + 1) * (s + 2) // 2 + 1):
            assert run_for(ft.grad(f), 0.3, float(length), Online(s)) == closed_form(length, s)


def test_values_alone_take_each_step_once():
    assert run_for(lambda: ft.jvp(lambda x: numbers(x, 100, schedule=Revolve(3)), 0.3, 1.0)) <= 200
    assert run_for(numbers, 0.3, 100, schedule=Revolve(3)) == 100


# ---- schedules that are wrong

class Rows:
    def __init__(self, *rows, slots=(9, 0)):
        self.rows, self.used = rows, slots

    def slots(self, length):
        return self.used

    def blocks(self, length):
        for row in self.rows:
            if isinstance(row, Exception):
                raise row
            yield np.array(row) if row is not None else None

    def __repr__(self):
        return "Rows"


TURN, KEEP = [3, 0, 0, 0, 0, 0], [0, 0, 4, 0, 1, 0]
WRONG = {
    "nothing": [],
    "turn too early": [[TURN]],
    "no turn": [[KEEP, [4, 0, 4, 0, 0, 0]]],
    "two turns": [[KEEP, TURN, TURN]],
    "steps beyond the end": [[[0, 0, 5, 0, 1, 0]]],
    "steps backwards": [[[0, 0, -1, 0, 0, 0]]],
    "no steps": [[[0, 0, 0, 0, 0, 0]]],
    "from another state": [[[0, 1, 4, 0, 0, 0]]],
    "data that is not kept": [[[0, 0, 4, 0, 0, 0], TURN, [4, 3, 4, 0, 0, 0]]],
    "half of it": [[KEEP, TURN, [4, 2, 4, 0, 0, 0]]],
    "order": [[KEEP, TURN, [4, 0, 2, 0, 0, 0]]],
    "more than there is": [[KEEP, TURN, [4, -1, 4, 0, 0, 0]]],
    "an empty slot": [[[2, 0, 0, 0, 0, 0]]],
    "slots that are none": [[[1, 0, 0, -1, 0, 0]]],
    "too many slots": [[[1, 0, 0, 1 << 40, 0, 0]]],
    "another state": [[[1, 2, 0, 0, 0, 0]]],
    "another step": [[[1, 0, 0, 0, 0, 0], [0, 0, 2, 0, 0, 0], [2, 1, 0, 0, 0, 0]]],
    "data for a state": [[[1, 0, 0, 0, 0, 0], [2, 0, 0, 0, 4, 0]]],
    "data of none": [[[1, 0, 0, 0, 4, 0]]],
    "data of many": [[KEEP, [1, 0, 0, 0, 4, 0]]],
    "a disk without a folder": [[[1, 0, 0, 0, 2, 0]]],
    "no such action": [[[9, 0, 0, 0, 0, 0]]],
    "huge numbers": [[[0, 0, 1 << 62, 0, 0, 0]]],
}


@pytest.mark.parametrize("f, x", [(numbers, 0.3), (arrays, X)], ids=["numbers", "arrays"])
@pytest.mark.parametrize("name", WRONG)
def test_wrong_rows(name, f, x):
    with pytest.raises(ValueError, match="scan: the schedule Rows asks for what cannot be done"):
        ft.grad(f)(x, 4, schedule=Rows(*WRONG[name]))
    assert np.all(ft.grad(f)(x, 4, schedule=Revolve(2)) == ft.grad(f)(x, 4))


@pytest.mark.parametrize("rows, error", [([[[0, 0]]], ValueError), ([[1, 2, 3]], ValueError), ([ZeroDivisionError("mine")], ZeroDivisionError),
                                         ([["a"]], ValueError), ([None], (TypeError, ValueError))])
def test_rows_that_are_none(rows, error):
    with pytest.raises(error):
        ft.grad(arrays)(X, 4, schedule=Rows(*rows))
    compiled = ft.compile(ft.grad(lambda x: arrays(x, 4, schedule=Rows(*rows))))
    for _ in range(2):
        with pytest.raises(error):
            compiled(X)


# ---- the disk

def files(folder):
    return [os.path.join(root, name) for root, _, names in os.walk(folder) for name in names]


class Meddling(Multistage):
    """Does something to the files when the forward sweep is over."""

    def __init__(self, folder, meddle):
        super().__init__(1, 3)
        self.folder, self.meddle = folder, meddle

    def blocks(self, length):
        rows = np.concatenate(list(super().blocks(length)))
        turn = int(np.flatnonzero(rows[:, 0] == 3)[0])
        yield rows[:turn]
        for file in files(self.folder):
            self.meddle(file)
        yield rows[turn:]


def flip(file):
    with open(file, "r+b") as f:
        f.seek(-3, 2)
        byte = f.read(1)
        f.seek(-3, 2)
        f.write(bytes([byte[0] ^ 1]))


def shorten(file):
    with open(file, "r+b") as f:
        f.truncate(20)


def lengthen(file):
    with open(file, "ab") as f:
        f.write(b"x")


@pytest.mark.parametrize("f, x", [(numbers, 0.3), (arrays, X)], ids=["numbers", "arrays"])
def test_snapshots_on_disk(tmp_path, f, x):
    seen = []
    schedule = Meddling(tmp_path, seen.append)
    wanted = ft.value_and_grad(f)(x, 30)
    got = ft.value_and_grad(f)(x, 30, schedule=schedule, folder=tmp_path)
    assert got[0] == wanted[0] and np.all(got[1] == wanted[1])
    assert len(seen) == 3 and not os.listdir(tmp_path)


@pytest.mark.parametrize("meddle, error, text", [(flip, RuntimeError, "is not what was written"), (shorten, RuntimeError, "is not what"),
                                                 (lengthen, RuntimeError, "is not what"), (os.remove, OSError, "could not be read")])
def test_snapshots_that_change(tmp_path, meddle, error, text):
    compiled = ft.compile(ft.grad(lambda x: arrays(x, 30, schedule=Meddling(tmp_path, meddle), folder=tmp_path)))
    for call in (lambda: compiled(X), lambda: ft.grad(arrays)(X, 30, schedule=Meddling(tmp_path, meddle), folder=tmp_path)):
        for _ in range(2):
            with pytest.raises(error, match=f"scan: the snapshot of step .*{text}"):
                call()
            assert not os.listdir(tmp_path)


def test_folders_that_are_none(tmp_path):
    with pytest.raises(OSError):
        ft.grad(arrays)(X, 30, schedule=Multistage(1, 2), folder=tmp_path / "missing")
    assert ft.grad(arrays)(X, 30, schedule=Multistage(1, 2), folder=tmp_path).shape == X.shape


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits the size of files")
def test_a_full_disk(tmp_path):
    import resource
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    was = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(OSError, match="could not be written"):
            ft.grad(arrays)(np.ones(1000), 30, schedule=Multistage(1, 3), folder=tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, was)
    assert not os.listdir(tmp_path)
    assert ft.grad(arrays)(np.ones(1000), 30, schedule=Multistage(1, 3), folder=tmp_path).shape == (1000,)


# ---- interrupts

@pytest.mark.parametrize("call", [
    lambda folder: ft.grad(numbers)(0.3, 10**9, schedule=Recompute()),
    lambda folder: ft.grad(arrays)(X, 10**8, schedule=Revolve(2)),
    lambda folder: ft.grad(arrays)(X, 10**7, schedule=Multistage(1, 3), folder=folder),
    lambda folder: ft.while_loop(lambda c: c > -1.0, lambda c: c * 0.5, 1.0),
    lambda folder: ft.while_loop(lambda c: c.sum() > -1.0, lambda c: c * 0.5, X),
    lambda folder: ft.scan(lambda c, _: (ft.scan(lambda d, _: (np.sin(d), None), c, length=10**6)[0], None), X, length=10**6),
], ids=["numbers", "arrays", "disk", "while", "while arrays", "nested"])
def test_ctrl_c(tmp_path, call):
    done = []

    def interrupt():
        time.sleep(0.3)
        done.append(time.perf_counter())
        signal.raise_signal(signal.SIGINT)
    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        call(tmp_path)
    took = time.perf_counter() - done[0]
    thread.join()
    assert took < 1.0                   # 0.1 s on a machine with nothing else to do
    assert not os.listdir(tmp_path)
    assert ft.grad(numbers)(0.3, 10) == ft.grad(numbers)(0.3, 10, schedule=Revolve(2))


# ---- bad input

@pytest.mark.parametrize("call, error, text", [
    (lambda: ft.scan(lambda c, x: (c, None), 1.0), ValueError, "give xs or length"),
    (lambda: ft.scan(lambda c, x: (c, None), 1.0, length=0), ValueError, "steps must be positive, got 0"),
    (lambda: ft.scan(lambda c, x: (c, None), 1.0, length=-3), ValueError, "steps must be positive, got -3"),
    (lambda: ft.scan(lambda c, x: (c, None), 1.0, np.ones((0, 2))), ValueError, "steps must be positive, got 0"),
    (lambda: ft.scan(lambda c, x: (c, None), 1.0, length=2.0), TypeError, "length must be a whole number"),
    (lambda: ft.scan(lambda c, x: (c, None), 1.0, length=True), TypeError, "length must be a whole number"),
    (lambda: ft.scan(lambda c, x: (c, None), 1.0, (np.ones(2), np.ones(3))), ValueError, r"one extent, got \[2, 3\]"),
    (lambda: ft.scan(lambda c, x: (c, None), 1.0, np.ones(2), 3), ValueError, "length is 3, but the first axis of xs has extent 2"),
    (lambda: ft.scan(lambda c, x: (c, None), 1.0, [1.0, 2.0]), TypeError, "xs must be arrays"),
    (lambda: ft.scan(lambda c, x: (c, None), 1.0, np.array(1.0)), ValueError, "xs holds a number"),
    (lambda: ft.scan(3, 1.0, length=2), TypeError, "the step must be a function, got int"),
    (lambda: ft.scan(lambda c, x: c, 1.0, length=2), TypeError, r"must return \(carry, y\)"),
    (lambda: ft.scan(lambda c, x: (np.stack([c, c]), None), 1.0, length=2), TypeError, r"is float64\[2\], and was float64"),
    (lambda: ft.scan(lambda c, x: (c.astype(np.float32), None), np.ones(2), length=2), TypeError, r"is float32\[2\], and was float64\[2\]"),
    (lambda: ft.scan(lambda c, x: ((c, c), None), 1.0, length=2), TypeError, "and was a number or an array"),
    (lambda: ft.scan(lambda c, x: ((c[0], c[1] + 1), None), (1.0, 3), length=2), TypeError, "it.1. is 4, and was 3; whole numbers"),
    (lambda: ft.scan(lambda c, x: ({"b": c["a"]}, None), {"a": 1.0}, length=2), TypeError, "'b'.*and was"),
    (lambda: ft.scan(lambda c, x: (c > 0, None), 1.0, length=2), TypeError, "truth values"),
    (lambda: ft.scan(lambda c, x: (c if c > 0 else -c, None), 1.0, length=2), TypeError, r"looks at a value \(bool\).*test_loop_schedules.py:\d+"),
    (lambda: ft.scan(lambda c, x: (c + float(c), None), 1.0, length=2), TypeError, "float|looks at a value"),
    (lambda: ft.scan(lambda c, x: (print(c) or c, None), 1.0, length=2), TypeError, "looks at a value"),
    (lambda: ft.scan(lambda c, x: (c[c > 0], None), np.ones(3), length=2), TypeError, "looks at a value"),
    (lambda: ft.scan(lambda c, x: (1 / 0, None), 1.0, length=2), ZeroDivisionError, "division"),
    (lambda: ft.scan(lambda c, x: (c, None), 1.0, length=2, schedule=3), TypeError, "schedule must be a schedule"),
    (lambda: ft.while_loop(lambda c: c < 3.0, lambda c: c + 1.0, 1.0, schedule=Revolve(3)), TypeError, "unknown length.*Online"),
    (lambda: ft.while_loop(lambda c: c, lambda c: c + 1.0, np.ones(2)), TypeError, "one truth value"),
    (lambda: ft.while_loop(3, lambda c: c, 1.0), TypeError, "condition must be a function"),
    (lambda: ft.fori_loop(0.0, 3, lambda i, c: c, 1.0), TypeError, "bound of the loop must be a whole number"),
    (lambda: Revolve(0), ValueError, "must be positive"),
])
def test_bad_input(call, error, text):
    with pytest.raises(error, match=text):
        call()
    assert ft.scan(lambda c, x: (c + x, c), 0.0, np.ones(3))[0] == 3.0


def test_what_leaks_out_of_a_body_is_an_error():
    kept = []
    ft.scan(lambda c, x: (kept.append(c) or c, None), 1.0, length=2)
    with pytest.raises(ft.TraceError, match="after its trace had ended"):
        kept[0] + 1.0


def test_too_many_states_for_memory():
    with pytest.raises(MemoryError, match="use a schedule with fewer snapshots"):
        ft.grad(lambda x: ft.scan(lambda c, _: (np.sin(c), None), x, length=10**13)[0].sum())(np.ones(1000))
    assert schedules.Budget("1 MB").memory == 10**6
