"""Programs and compiled functions called from many threads at once, from forked processes and from coroutines. Every
result must have the bits of a one-shot call."""
import asyncio
import multiprocessing
import os
import sys
import threading
import time
import warnings

import numpy as np
import pytest

import fasttape as ft
from fasttape._core.crew import Crew
from fasttape._core.executors import Here

THREADS, CALLS = 8, 10_000
POINTS = np.linspace(-1.9, 2.1, 23)
ARRAYS = [np.cos(np.arange(40.0) + k) for k in range(11)]


def together(work, threads=THREADS):
    """Run work(k) for each k in threads that start at once; raises what any of them raised."""
    gate, failures = threading.Barrier(threads), []

    def run(k):
        try:
            gate.wait()
            work(k)
        except BaseException as failure:
            failures.append(failure)

    pool = [threading.Thread(target=run, args=(k,)) for k in range(threads)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)                 # with a GIL, let threads meet everywhere
    try:
        for thread in pool:
            thread.start()
        for thread in pool:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    if failures:
        raise failures[0]


def bits(y):
    return tuple(np.asarray(part).tobytes() for part in (y if isinstance(y, tuple) else (y,)))


def check(f, inputs, wanted, calls=CALLS):
    """Each thread calls f for all inputs, beginning with another one, `calls` times in all."""
    def work(k):
        for n in range(calls):
            i = (n * (2 * k + 1) + k) % len(inputs)
            assert bits(f(*inputs[i])) == wanted[i]

    together(work)


def scalar(x):
    y = 0.0
    for k in range(1, 5):
        y = y + np.sin(k * x) / k
    return y * y


def array(x):
    return (np.exp(-x * x) * np.sin(x[::-1])).sum()


def branching(x):
    n = 0
    while x < 2.0:
        x = x * 1.5 if x > 0.5 else x + 1.0
        n += 1
    return x**2 + n


def rolled(x):
    y = x[0]
    for k in range(1, len(x)):
        y = y * 0.5 + x[k] * x[k - 1]
    return y


def linear(x):
    return np.tanh(MATRIX @ x).sum()


MATRIX = np.sin(np.arange(120.0 * 40)).reshape(120, 40)      # large enough to be held, not copied
NUMBERS, VECTORS = [(float(x),) for x in POINTS], [(a,) for a in ARRAYS]
FUNCTIONS = {"scalar": (scalar, NUMBERS), "array": (array, VECTORS), "rolled": (rolled, VECTORS),
             "linear": (linear, VECTORS), "branching": (branching, NUMBERS),
             "signatures": (lambda x: (x * x).sum(), [(np.arange(1.0, n),) for n in range(2, 14)])}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_one_compiled_function_in_many_threads_has_the_bits_of_one_shot_calls(name):
    f, inputs = FUNCTIONS[name]
    transform = ft.value_and_grad(f)
    check(ft.compile(transform), inputs, [bits(transform(*x)) for x in inputs])


@pytest.mark.parametrize("name", ["scalar", "array", "rolled", "linear"])
def test_one_program_in_many_threads(name):
    f, inputs = FUNCTIONS[name]
    transform = ft.value_and_grad(f)
    program = ft.trace(transform, *inputs[0])
    check(program, inputs, [bits(transform(*x)) for x in inputs])
    assert program.stats().states <= THREADS


def test_large_programs_run_while_others_do():
    """They release the GIL, so that states are in use at the same time."""
    x = np.linspace(0, 1, 60000)

    def f(x):
        return (np.sin(x) * np.exp(x) + np.tanh(x)).sum()

    inputs = [(x + k,) for k in range(3)]
    transform = ft.value_and_grad(f)
    program = ft.trace(transform, x)
    check(program, inputs, [bits(transform(*x)) for x in inputs], calls=60)


def test_first_calls_race_to_trace_and_keep_one_program_a_path():
    inputs = NUMBERS
    wanted = [bits(branching(*x)) for x in inputs]
    alone = ft.compile(branching)
    for x in inputs:
        alone(*x)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(20):
            f = ft.compile(branching)
            check(f, inputs, wanted, calls=len(inputs))
            assert len(f.programs) == len(alone.programs)


def test_clear_while_others_call():
    f = ft.compile(branching)
    wanted = [bits(branching(*x)) for x in NUMBERS]

    def work(k):
        for n in range(300):
            i = (n + 5 * k) % len(NUMBERS)
            assert bits(f(*NUMBERS[i])) == wanted[i]
            if k == 0 and n % 10 == 0:
                f.clear()
                len(f.programs)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        together(work)


def test_clear_forgets_what_is_being_traced_too():
    scale, fresh = [2.0], []

    @ft.compile
    def f(x):
        if fresh:
            fresh.pop()
            f.clear()               # as another thread might
        return x * scale[0]

    for first in [], [5.0]:         # in a function's first call, and in one that finds other programs
        f.clear()
        if first:
            f(np.ones(3))
        fresh.append(True)
        assert f(1.5) == 1.5 * scale[0]
        scale[0] += 1.0
        assert f(1.5) == 1.5 * scale[0]


def test_one_shot_transforms_and_traces_beside_programs():
    """The pool of tapes, and an array that several traces hold at once."""
    big = np.linspace(-1, 1, 5000)

    def f(x):
        return (np.sin(big * x[0]) * big).sum() + x[1] * (x[2] if x[0] > 0 else 1.0)

    x = np.array([0.3, 0.5, 0.7])
    wanted = ft.grad(f)(x).tobytes()

    def work(k):
        for n in range(200):
            if (n + k) % 3 == 0:
                assert ft.trace(ft.grad(f), x)(x).tobytes() == wanted
            else:
                assert ft.grad(f)(x).tobytes() == wanted

    together(work)
    assert big.flags.writeable
    big[0] = -1.0


def test_tracers_that_die_in_another_thread():
    """They leave their tape's list there, while the trace that made them goes on."""
    def f(x):
        made, y = [], x
        for k in range(60):
            y = np.sin(y) + k
            made.append(y * 2.0)
        thread = threading.Thread(target=made.clear)
        thread.start()
        for _ in range(60):
            y = y * 0.5 + x
            if y[0] > 1e9:
                break
        thread.join()
        return y.sum()

    x = np.linspace(0, 1, 5)
    wanted = ft.grad(f)(x).tobytes()
    together(lambda k: [ft.grad(f)(x).tobytes() == wanted or pytest.fail("other bits") for _ in range(25)])


def test_a_traced_value_in_another_thread_is_refused():
    def f(x):
        seen = []

        def use():
            try:
                np.sin(x)
            except ft.TraceError as error:
                seen.append(error)

        thread = threading.Thread(target=use)
        thread.start()
        thread.join()
        assert "another thread" in str(seen[0])
        return x

    assert ft.trace(f, 1.0)(2.0) == 2.0


def test_one_pullback_in_many_threads_is_right_or_refuses():
    x = np.linspace(0, 1, 30000)
    _, pull = ft.vjp(lambda x: np.sin(x) * x, x)
    wanted = bits(pull(x))
    refused, done = [], []

    def work(k):
        for _ in range(40):
            try:
                done.append(bits(pull(x)) == wanted)
            except RuntimeError as error:
                refused.append(str(error))

    together(work)
    assert all(done) and done
    assert all("in use in another thread" in text for text in refused)


# ---- processes

def in_child(inputs, wanted, queue):
    try:
        for x, y in zip(inputs, wanted):
            assert bits(COMPILED(*x)) == y
        assert bits(ft.compile(branching)(*inputs[0])) == bits(branching(*inputs[0]))
        queue.put("fine")
    except BaseException as failure:
        queue.put(repr(failure))


COMPILED = ft.compile(ft.value_and_grad(scalar))


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_programs_work_in_a_forked_child():
    wanted = [bits(ft.value_and_grad(scalar)(*x)) for x in NUMBERS]
    check(COMPILED, NUMBERS, wanted, calls=200)
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    children = [context.Process(target=in_child, args=(NUMBERS, wanted, queue)) for _ in range(3)]
    for child in children:
        child.start()
    assert [queue.get(timeout=60) for _ in children] == ["fine"] * 3
    for child in children:
        child.join(60)
        assert child.exitcode == 0
    check(COMPILED, NUMBERS, wanted, calls=200)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_fork_in_the_middle_of_a_trace():
    """The child's copy of the trace goes on."""
    def f(x):
        y = np.sin(x)
        pid = os.fork()
        if pid == 0:
            children.append(True)
        else:
            assert os.waitpid(pid, 0)[1] == 0
        return (y * x).sum()

    children = []
    x = np.linspace(0, 1, 4)
    try:
        same = ft.grad(f)(x).tobytes() == ft.grad(lambda x: (np.sin(x) * x).sum())(x).tobytes()
    finally:
        if children:
            os._exit(not same)
    assert same


# ---- coroutines and generators

def test_interleaved_coroutines():
    f = ft.compile(ft.value_and_grad(branching))
    wanted = [bits(ft.value_and_grad(branching)(*x)) for x in NUMBERS]

    async def caller(k):
        for n in range(50):
            i = (n * 3 + k) % len(NUMBERS)
            assert bits(f(*NUMBERS[i])) == wanted[i]
            await asyncio.sleep(0)

    async def everyone():
        await asyncio.gather(*(caller(k) for k in range(10)))

    asyncio.run(everyone())


def test_interleaved_generators():
    f = ft.compile(scalar)

    def results(x):
        while True:
            yield f(x)

    wanted = {x: ft.value_and_grad(scalar)(*x)[0] for x in NUMBERS}
    makers = [results(*x) for x in NUMBERS]
    for _ in range(3):
        for x, maker in zip(NUMBERS, makers):
            assert next(maker) == wanted[x]


# ---- jobs of one process

class Broken(Exception):
    pass


def crew(function, jobs, threads, most=100, here=None):
    return Crew(function, jobs, threads, most, here or Here()).in_order()


@pytest.mark.parametrize("threads", [2, 3, 50])
def test_results_come_in_order_whatever_takes_how_long(threads):
    def square(k):
        time.sleep(0.01 * (k % 3 == 0))
        return k * k

    assert list(crew(square, ((k,) for k in range(40)), threads)) == [k * k for k in range(40)]
    assert list(crew(square, iter(()), threads)) == []
    assert list(crew(square, [(3,)], threads, 1)) == [9]


@pytest.mark.parametrize("where", ["job", "jobs"])
def test_an_error_comes_when_its_turn_has_come_and_nothing_runs_any_more(where):
    running, most = [], []

    def job(k):
        running.append(k)
        most.append(len(running))
        time.sleep(0.002)
        running.remove(k)
        if where == "job" and k == 5:
            raise Broken
        return k

    def jobs():
        for k in range(1000):
            if where == "jobs" and k == 5:
                raise Broken
            yield (k,)

    found = []
    with pytest.raises(Broken):
        for k in crew(job, jobs(), 3):
            found.append(k)
    assert found == [0, 1, 2, 3, 4]
    assert running == [] and 1 <= max(most) <= 3 and len(most) < 20


def test_who_wants_no_more_waits_for_what_runs():
    ended = []

    def job(k):
        time.sleep(0.05)
        ended.append(k)

    results = crew(job, ((k,) for k in range(1000)), 2)
    next(results)
    results.close()
    n = len(ended)
    assert n < 10
    time.sleep(0.2)
    assert len(ended) == n


def test_what_runs_is_told_to_stop():
    """By an error, or by who wants no more; not at the end."""
    here = Here()

    def job(k):
        if k == 0:
            raise Broken
        while not here.stop:
            time.sleep(0.001)

    with pytest.raises(Broken):
        list(crew(job, [(0,), (1,)], 2, here=here))
    here = Here()
    assert list(crew(lambda k: k, [(0,), (1,)], 2, here=here)) == [0, 1] and not here.stop
    results = crew(lambda k: k, [(0,), (1,), (2,)], 2, here=here)
    next(results)
    results.close()
    assert here.stop


def test_control_c_does_not_wait_for_its_turn():
    here, caller, slow = Here(), threading.get_ident(), threading.Event()

    def job(k):
        if threading.get_ident() != caller:     # until it is told to stop
            slow.set()
            while not here.stop:
                time.sleep(0.001)
            return k
        slow.wait(5.0)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(crew(job, ((k,) for k in range(100)), 2, here=here))


def test_one_thread_does_it_where_there_are_no_more(monkeypatch):
    def none(*_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("fasttape._core.crew.start_new_thread", none)
    assert list(crew(lambda k: k * k, ((k,) for k in range(9)), 4)) == [k * k for k in range(9)]
    x = np.linspace(0.0, 1.0, 100_000)
    program = ft.trace(np.sin, 0.5)
    np.testing.assert_array_equal(program.batch(x, threads=4), program.batch(x))
