"""Threads that stay: who gets what lanes, what happens when something goes wrong in one of them, and what is left of them."""
import math
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import fasttape as ft
from fasttape._core import blocks, helpers, processors
from fasttape.schedules import Multistage

N = 20_000
RNG = np.random.default_rng(11)
ROWS, SCALES = RNG.normal(size=(50, 3)), RNG.normal(size=(700, 4))
FROM, TO, WEIGHTS = RNG.integers(-50, 50, N), RNG.integers(0, 700, N), RNG.normal(size=N)


def error(row, scale, w):
    y = (row * scale[:3]).sum() * w
    return np.stack([np.sin(y), y * scale[3]]) if w > -1.5 else np.stack([y, w])


PROGRAM = ft.trace(error, ROWS[0], SCALES[0], 1.0)


def arguments():
    return ft.gather(ROWS, FROM), ft.gather(SCALES, TO), WEIGHTS


def right():
    rows, scales, w = ROWS[FROM], SCALES[TO], WEIGHTS
    y = (rows * scales[:, :3]).sum(axis=1) * w
    return np.where((w > -1.5)[:, None], np.stack([np.sin(y), y * scales[:, 3]], axis=1), np.stack([y, w], axis=1))


@pytest.mark.parametrize("threads", [1, 2, 3, 9])
def test_any_number_of_threads_has_the_bits_of_one(threads):
    alone = PROGRAM.batch(*arguments())
    np.testing.assert_allclose(alone, right(), rtol=1e-12, atol=1e-15)
    for _ in range(20):
        np.testing.assert_array_equal(PROGRAM.batch(*arguments(), threads=threads), alone)
        np.testing.assert_array_equal(PROGRAM.batch(*arguments()), alone)


def test_batches_of_many_threads_share_helpers():
    alone, failures = PROGRAM.batch(*arguments()), []

    def work(k):
        for j in range(40):
            if not np.array_equal(PROGRAM.batch(*arguments(), threads=1 + (k + j) % 4), alone):
                failures.append((k, j))

    callers = [threading.Thread(target=work, args=(k,)) for k in range(6)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert not failures
    assert helpers.count() <= 18


def test_helpers_stay_for_a_while_and_leave():
    before = PROGRAM.batch(*arguments(), threads=3)
    assert helpers.count() >= 1
    for _ in range(100):
        time.sleep(0.1)
        if helpers.count() == 0:
            break
    assert helpers.count() == 0
    np.testing.assert_array_equal(PROGRAM.batch(*arguments(), threads=3), before)
    assert helpers.count() >= 1


@pytest.mark.parametrize("pause", [0.0, 1e-4, 3e-4, 2e-3])
def test_calls_when_helpers_are_about_to_sleep(pause):
    """They sleep after about 0.1 or 2 ms, and must be woken whenever that is."""
    x = np.linspace(0.0, 1.0, 5000)
    program = ft.trace(lambda x: np.sin(x) * x, 0.5)
    alone = program.batch(x)
    for k in range(400):
        np.testing.assert_array_equal(program.batch(x, threads=2), alone)
        end = time.perf_counter() + pause * (0.5 + k % 7 / 6)
        while time.perf_counter() < end:
            pass


def test_helpers_spin_only_where_calls_follow_each_other():
    """What waiting takes of the processors: nearly nothing between calls that are far apart, and soon nothing after others."""
    x = np.linspace(0.0, 1.0, 5000)
    program = ft.trace(lambda x: np.sin(x) * x, 0.5)
    used = 0.0
    for _ in range(40):
        program.batch(x, threads=2)
        begun = time.process_time()
        time.sleep(0.02)
        used += time.process_time() - begun
    assert used < 0.2 * 40 * 0.02
    for _ in range(40):
        program.batch(x, threads=2)
    begun = time.process_time()
    time.sleep(0.2)
    assert time.process_time() - begun < 0.05


def test_the_caller_does_it_alone_where_there_are_no_threads():
    alone = PROGRAM.batch(*arguments())
    before = helpers.allow(0)
    try:
        for _ in range(60):                     # until those that there are have left
            time.sleep(0.1)
            if helpers.count() == 0:
                break
        np.testing.assert_array_equal(PROGRAM.batch(*arguments(), threads=4), alone)
        assert helpers.count() == 0
    finally:
        helpers.allow(before)


def in_child(alone, queue):
    try:
        assert helpers.count() == 0
        for threads in (2, 1, 3):
            np.testing.assert_array_equal(PROGRAM.batch(*arguments(), threads=threads), alone)
        queue.put("fine")
    except BaseException as failure:
        queue.put(repr(failure))


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("at_work", [False, True])
def test_a_forked_process_has_its_own(at_work):
    """Also where it is forked while others run batches: locks may be held."""
    alone, stop = PROGRAM.batch(*arguments(), threads=2), threading.Event()

    def work():
        while not stop.is_set():
            PROGRAM.batch(*arguments(), threads=2)

    other = threading.Thread(target=work)
    if at_work:
        other.start()
    try:
        context = multiprocessing.get_context("fork")
        queue = context.Queue()
        children = [context.Process(target=in_child, args=(alone, queue)) for _ in range(4)]
        for child in children:
            child.start()
        assert [queue.get(timeout=60) for _ in children] == ["fine"] * 4
        for child in children:
            child.join(60)
            assert child.exitcode == 0
    finally:
        stop.set()
        if at_work:
            other.join()
    np.testing.assert_array_equal(PROGRAM.batch(*arguments(), threads=2), alone)


def groups_of(tmp_path, files):
    for name, text in files.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode("latin-1"))
    return processors.allowance(tmp_path / "self", str(tmp_path))


def test_processors_that_control_groups_leave(tmp_path):
    """As Linux has them, of version 2 and 1: a group's own limit, and those of the groups that it is in."""
    assert groups_of(tmp_path, {}) == math.inf
    assert groups_of(tmp_path, {"self": "0::/\n", "cpu.max": "max 100000\n"}) == math.inf
    assert groups_of(tmp_path, {"cpu.max": "150000 100000\n"}) == 1.5
    assert groups_of(tmp_path, {"self": "0::/a/b\n", "a/b/cpu.max": "max 100000\n", "a/cpu.max": "50000 100000"}) == 0.5
    assert groups_of(tmp_path, {"self": "3:cpuset:/\n2:cpu,cpuacct:/docker/1\n0::/\n", "cpu.max": "max 100000",
                                "cpu,cpuacct/cpu.cfs_quota_us": "400000\n", "cpu,cpuacct/cpu.cfs_period_us": "100000\n"}) == 4.0
    assert groups_of(tmp_path, {"cpu,cpuacct/docker/1/cpu.cfs_quota_us": "-1", "cpu,cpuacct/docker/1/cpu.cfs_period_us": "100000"}) == 4.0
    assert groups_of(tmp_path, {"self": "what\nis: this\n\n0::/\xff: \x00/1\n", "cpu.max": "many 0 1"}) == math.inf
    assert groups_of(tmp_path, {"self": "0::/gr\xfcn\n", "cpu.max": "0 0", "cpu/none": ""}) == math.inf
    assert 1 <= processors.processors() <= os.cpu_count()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="a process cannot be bound to a processor here")
def test_a_process_that_is_bound_to_a_processor():
    """Also after the package was imported: there its helpers do not spin."""
    code = """if True:
        import os, time
        import numpy as np, fasttape as ft
        os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
        x, program, used = np.linspace(0.0, 1.0, 5000), ft.trace(np.sin, 0.5), 0.0
        for _ in range(100):
            np.testing.assert_array_equal(program.batch(x, threads=2), np.vectorize(program)(x) if not used else program.batch(x))
            begun = time.process_time()
            time.sleep(0.0015)
            used += time.process_time() - begun
        print(used)
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parent, check=True)
    assert float(done.stdout) < 0.05


# ---- what goes wrong

def stepwise(x, folder):
    return ft.fori_loop(0, 12, lambda k, y: np.sin(y) + 0.1, x, schedule=Multistage(1, 2), folder=folder)


def test_an_error_in_a_helper_is_the_callers(tmp_path):
    """A folder that is not there is seen by whoever runs the lanes; then it is, and all is well."""
    folder = tmp_path / "missing"
    program = ft.trace(ft.grad(lambda x: stepwise(x, folder)), 0.5)
    x = np.linspace(0.0, 1.0, N)
    for threads in (1, 2, 4):
        with pytest.raises(OSError, match="missing"):
            program.batch(x, threads=threads)
    folder.mkdir()
    found = program.batch(x, threads=3)
    y, slope = x, np.ones(N)
    for _ in range(12):
        y, slope = np.sin(y) + 0.1, slope * np.cos(y)
    np.testing.assert_allclose(found, slope, rtol=1e-12)


class Broken(Exception):
    pass


def test_an_error_in_what_is_done_meanwhile(monkeypatch):
    def broken(*_):
        raise Broken

    wanted = PROGRAM.batch_jacobian(*arguments(), argnum=(0, 1), threads=2)
    monkeypatch.setattr("fasttape._core.batch.columns_of_blocks", broken)
    for threads in (1, 2, 3):
        with pytest.raises(Broken):
            PROGRAM.batch_jacobian(*arguments(), argnum=(0, 1), threads=threads)
    monkeypatch.undo()
    for threads in (1, 2):
        found = PROGRAM.batch_jacobian(*arguments(), argnum=(0, 1), threads=threads)
        np.testing.assert_array_equal(found[0], wanted[0])
        for name in ("data", "indices", "indptr"):
            np.testing.assert_array_equal(getattr(found[1], name), getattr(wanted[1], name))


def test_the_pattern_of_a_jacobian_is_found_once(monkeypatch):
    """Whichever way lanes are run, those that take another path included."""
    calls, find = [], blocks.columns_of_blocks
    monkeypatch.setattr("fasttape._core.batch.columns_of_blocks", lambda *x: calls.append(x) or find(*x))
    results = [PROGRAM.batch_jacobian(*arguments(), argnum=(2, 1), threads=threads, chunk=chunk)[1]
               for threads, chunk in [(1, None), (2, None), (2, 3000)]]
    assert len(calls) == 3
    for other in results[1:]:
        for name in ("data", "indices", "indptr"):
            np.testing.assert_array_equal(getattr(other, name), getattr(results[0], name))


@pytest.mark.parametrize("threads", [7, 10**9])
def test_many_threads_are_no_more_than_are_worth_it(threads):
    """Of 3000 lanes that take microseconds two have something to do."""
    before = helpers.count()
    x = np.linspace(0.0, 1.0, 3000)
    program = ft.trace(np.sin, 0.5)
    for _ in range(20):
        np.testing.assert_array_equal(program.batch(x, threads=threads), program.batch(x))
    assert helpers.count() - before <= 1


# ---- in processes of their own

PREPARED = """
import os, random, signal, sys, threading, time
import numpy as np, fasttape as ft

def f(x):
    for _ in range(30):
        x = np.sin(x) + 0.1 * np.cos(x)
    return x

program, x = ft.trace(f, 0.5), np.linspace(0.0, 1.0, 400_000)
right = program.batch(x, threads=2)
"""


def run(code, seconds=60):
    """Beside the tests: from the checkout's own folder it would import the package that is not built."""
    return subprocess.run([sys.executable, "-c", PREPARED + code], cwd=Path(__file__).parent, capture_output=True, text=True, timeout=seconds)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers here")
@pytest.mark.parametrize("how", ["batch", "sum"])
def test_what_a_signal_raises_at_any_time(how):
    """Nothing hangs, no number is wrong, and all goes on. The sum is of jobs in Python, the batch without it."""
    done = run("""
class Broken(Exception):
    pass

def handler(*_):
    if armed:
        raise Broken

signal.signal(signal.SIGALRM, handler)
armed, broken, sum_ = False, 0, program.batch(x, reduce="sum")
random.seed(5)
begin = time.perf_counter()
program.batch(x, threads=2)
once, end = time.perf_counter() - begin, time.monotonic() + 4.0
while time.monotonic() < end:
    try:
        armed = True
        signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-5, 1.5 * once))
        if HOW == "batch":
            found = program.batch(x, threads=random.choice([2, 3, 5]))
        else:
            found = program.batch(x, threads=random.choice([2, 3, 5]), reduce="sum")
        armed = False
        assert np.array_equal(found, right if HOW == "batch" else sum_)
    except Broken:
        broken += 1
    armed = False
    signal.setitimer(signal.ITIMER_REAL, 0)
assert np.array_equal(program.batch(x, threads=2), right)
print("some" if broken > 5 else broken)
""".replace("HOW", repr(how)))
    assert done.stdout == "some\n", done.stdout + done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_handler_that_forks():
    """The child has no helpers: it is told so, and does not wait for them."""
    done = run("""
import warnings
warnings.simplefilter("ignore")
x = np.linspace(0.0, 1.0, 4_000_000)
children = []

def handler(*_):
    children.append(os.fork())

signal.signal(signal.SIGUSR1, handler)
threading.Timer(0.02, lambda: os.kill(os.getpid(), signal.SIGUSR1)).start()
try:
    program.batch(x, threads=2)
except RuntimeError as error:
    os._exit(7 if children[0] == 0 and "forked in the middle" in str(error) else 8)
if children[0] == 0:
    os._exit(9)
print(os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]))
""")
    assert done.stdout in ("7\n", "9\n"), done.stdout + done.stderr        # 9: all was done already


def test_a_process_that_ends_in_the_middle_of_a_batch():
    for _ in range(4):
        done = run("""
def work():
    while True:
        program.batch(x, threads=2)

threading.stack_size(64 << 20)
threading.Thread(target=work, daemon=True).start()
time.sleep(0.05)
""")
        assert done.returncode == 0 and not done.stderr, done.stderr
