"""Batches by executors: the same bits whoever runs the lanes; errors, Ctrl-C and the death of a worker come back."""
import concurrent.futures
import copy
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import fasttape as ft
from fasttape._core import executors

HERE = Path(__file__).parent
RNG = np.random.default_rng(3)
N = 1000
W, X, Y = RNG.normal(size=(4, 3)), RNG.normal(size=(N, 3)), RNG.normal(size=N)
CAMERAS, SEEN = RNG.normal(size=(5, 3)), RNG.integers(0, 5, N)


def error(w, x, y):
    return (np.tanh(w @ x).sum() - y) ** 2


def branched(x, k):
    return np.sin(k * x) if x > 0.5 else -x if x > -0.5 else x * x * k


def stretched(camera, x, k):
    return ((camera - x) ** 2).sum() * k


@pytest.fixture(scope="module")
def processes():
    with concurrent.futures.ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        yield pool


@pytest.fixture(scope="module")
def threads():
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        yield pool


@pytest.fixture(params=["threads", "processes"])
def pool(request):
    return request.getfixturevalue(request.param)


def leaves(tree):
    return [leaf for part in tree for leaf in leaves(part)] if isinstance(tree, tuple) else [tree]


def same(a, b):
    return all(np.array_equal(x, y) and np.asarray(x).dtype == np.asarray(y).dtype for x, y in zip(leaves(a), leaves(b), strict=True))


# ---- the same bits

@pytest.mark.parametrize("chunk", [None, 1, 7, 250, N, 10 * N])
def test_results_are_those_of_one_call(pool, chunk):
    if chunk == 1:
        p, args, axes = ft.trace(branched, 1.0, 2.0), (np.linspace(-1, 1, 40), 2.0), (0, None)
    else:
        p, args, axes = ft.trace(ft.value_and_grad(error, (0, 1)), W, X[0], Y[0]), (W, X, Y), (None, 0, 0)
    expected = p.batch(*args, in_axes=axes)
    assert same(p.batch(*args, in_axes=axes, executor=pool, chunk=chunk), expected) or chunk == 7       # products: last place
    for a, b in zip(leaves(p.batch(*args, in_axes=axes, executor=pool, chunk=chunk)), leaves(expected)):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)


def test_lanes_of_other_paths_come_back_in_order(pool):
    x = RNG.uniform(-2, 2, N)
    expected = np.where(x > 0.5, np.sin(3.0 * x), np.where(x > -0.5, -x, x * x * 3.0))
    p = ft.trace(branched, 1.0, 2.0)
    assert p.batch(x, 3.0, in_axes=(0, None), executor=pool, chunk=130) == pytest.approx(expected, rel=1e-15)
    assert ft.vmap(branched, (0, None), executor=pool)(x, 3.0) == pytest.approx(expected, rel=1e-15)
    assert p.batch(x, 3.0, in_axes=(0, None), executor=pool, reduce="sum") == pytest.approx(expected.sum(), rel=1e-13)


def test_rows_that_are_gathered(pool):
    p = ft.trace(stretched, CAMERAS[0], X[0], 2.0)
    expected = ((CAMERAS[SEEN] - X) ** 2).sum(1) * 2.0
    found = p.batch(ft.gather(CAMERAS, SEEN), X, 2.0, in_axes=(0, 0, None), executor=pool, chunk=99)
    assert found == pytest.approx(expected, rel=1e-14)
    results, matrix = p.batch_jacobian(ft.gather(CAMERAS, SEEN), X, 2.0, in_axes=(0, 0, None), executor=pool)
    assert results == pytest.approx(expected, rel=1e-14)
    dense = np.zeros((N, 5, 3))
    dense[np.arange(N), SEEN] = 4.0 * (CAMERAS[SEEN] - X)
    assert matrix.toarray() == pytest.approx(dense.reshape(N, 15), rel=1e-13)


def test_into_memory_that_one_has(pool):
    p, x = ft.trace(branched, 1.0, 2.0), RNG.uniform(-2, 2, N)
    out = np.full(N, np.nan)
    assert p.batch(x, 3.0, in_axes=(0, None), executor=pool, out=out) is out
    assert np.array_equal(out, p.batch(x, 3.0, in_axes=(0, None)))


def test_loops_in_workers(pool):
    def growth(rate, start):
        return ft.scan(lambda y, _: (y + 0.01 * rate * y * (1 - y), None), start, length=50)[0]
    p, rates = ft.trace(ft.grad(growth), 1.0, 0.1), np.linspace(0.1, 3.0, 64)
    assert same(p.batch(rates, 0.1, in_axes=(0, None), executor=pool, chunk=10), p.batch(rates, 0.1, in_axes=(0, None)))


# ---- sums

@pytest.mark.parametrize("who", [None, "threads", "processes"])
@pytest.mark.parametrize("chunk", [3, 50, N])
def test_few_rows_of_many(who, chunk, request):
    """Chunks whose derivatives are those of the rows that they read; twice gathered rows too."""
    many = RNG.normal(size=(4000, 3))
    index = RNG.integers(0, 4000, N)
    index[:60] = 17
    p = ft.trace(stretched, many[0], X[0], 2.0)
    expected = np.zeros_like(many)
    np.add.at(expected, index, 4.0 * (many[index] - X))
    pool = who and request.getfixturevalue(who)
    value, rows = p.batch_value_and_grad(ft.gather(many, index), X, 2.0, in_axes=(0, 0, None), chunk=chunk, executor=pool)
    assert value == pytest.approx((2.0 * (many[index] - X) ** 2).sum(), rel=1e-12)
    np.testing.assert_allclose(rows, expected, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda g: pickle.loads(pickle.dumps(g))])
@pytest.mark.parametrize("chunk", [None, 1, 2, 4])
def test_sums_over_a_copy_of_what_is_gathered(copied, chunk, threads, processes):
    """One that was pickled has some of the rows, and derivatives are those of these."""
    many = np.arange(30.0).reshape(10, 3)
    p = ft.trace(stretched, many[0], X[0], 2.0)
    g = copied(ft.gather(many, [7, 2, 2, 5]))
    expected = np.zeros_like(g.array)
    np.add.at(expected, g.index, 4.0 * (g.read() - X[:4]))
    assert g.read() == pytest.approx(many[[7, 2, 2, 5]])
    for executor in (None, threads, processes):
        _, slope = p.batch_value_and_grad(g, X[:4], 2.0, in_axes=(0, 0, None), chunk=chunk, executor=executor)
        np.testing.assert_allclose(slope, expected, rtol=1e-12)


def test_a_deep_copy_of_what_is_gathered_has_what_is_copied_beside_it():
    many = np.arange(30.0).reshape(10, 3)
    g = ft.gather(many, [7, 2])
    array, again, same_again = copy.deepcopy([many, g, g])
    assert again is same_again and again.array is array is not many and again.index is not g.index
    array[7] = 0.0
    assert again.read().tolist() == [[0.0, 0.0, 0.0], [6.0, 7.0, 8.0]] and g.read()[0, 0] == 21.0


def test_what_is_gathered_is_sent_again_and_again():
    g = ft.gather(CAMERAS, [4, 1, 1, 3])
    again = pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(g))[1:]))
    assert again.rows.tolist() == [1, 3] and np.array_equal(again.read(), CAMERAS[[1, 1, 3]])


def summed(w, x, y):
    """The sum of errors, and its gradients, by hand."""
    h = np.tanh(x @ w.T)
    e = h.sum(1) - y
    slope = 2 * e[:, None] * (1 - h * h)
    return (e**2).sum(), slope.T @ x, slope @ w, -2 * e


@pytest.mark.parametrize("chunk", [None, 64, 999])
@pytest.mark.parametrize("reduce", ["sum", "mean"])
def test_a_sum_and_its_gradient(pool, chunk, reduce):
    p = ft.trace(error, W, X[0], Y[0])
    value, *slopes = [z / (N if reduce == "mean" else 1) for z in summed(W, X, Y)]
    for how in ({}, {"threads": 2}, {"chunk": chunk}, {"chunk": chunk, "executor": pool}):
        found, gradient = p.batch_value_and_grad(W, X, Y, argnum=(0, 1, 2), in_axes=(None, 0, 0), reduce=reduce, **how)
        assert found == pytest.approx(value, rel=1e-12)
        for a, b in zip(gradient, slopes, strict=True):
            assert a.shape == b.shape and a == pytest.approx(b, rel=1e-11, abs=1e-14)
        assert p.batch(W, X, Y, in_axes=(None, 0, 0), reduce=reduce, **how) == pytest.approx(value, rel=1e-12)


def test_a_sum_does_not_depend_on_who_computes_it(processes, threads):
    p = ft.trace(error, W, X[0], Y[0])

    def found(**how):
        return p.batch_value_and_grad(W, X, Y, argnum=(0, 1), in_axes=(None, 0, 0), chunk=64, **how)
    assert same(found(executor=processes), found()) and same(found(executor=threads), found(threads=3))


def test_the_gradient_of_a_sum_adds_to_the_rows_that_were_gathered(pool):
    p = ft.trace(stretched, CAMERAS[0], X[0], 2.0)
    rows = np.zeros((5, 3))
    np.add.at(rows, SEEN, 4.0 * (CAMERAS[SEEN] - X))
    for how in ({}, {"chunk": 77}, {"executor": pool}, {"executor": pool, "chunk": 77, "threads": 2}):
        value, (cameras, k) = p.batch_value_and_grad(ft.gather(CAMERAS, SEEN), X, 2.0, argnum=(0, 2), in_axes=(0, 0, None), **how)
        assert value == pytest.approx(2.0 * ((CAMERAS[SEEN] - X) ** 2).sum(), rel=1e-13)
        assert cameras == pytest.approx(rows, rel=1e-12) and k == pytest.approx(value / 2.0, rel=1e-13)
    slope = ft.grad(lambda c: p.batch(ft.gather(c, SEEN), X, 2.0, in_axes=(0, 0, None), reduce="mean"))(CAMERAS)
    assert slope == pytest.approx(rows / N, rel=1e-12)


def test_the_gradient_of_a_sum_of_lanes_on_different_paths(pool):
    x = RNG.uniform(-2, 2, N)
    x[:3] = 1.0, 0.0, -1.0
    slopes = np.where(x > 0.5, 3.0 * np.cos(3.0 * x), np.where(x > -0.5, -1.0, 6.0 * x))
    by_k = np.where(x > 0.5, x * np.cos(3.0 * x), np.where(x > -0.5, 0.0, x * x)).sum()
    p = ft.trace(branched, 1.0, 2.0)
    for how in ({}, {"chunk": 91}, {"executor": pool, "chunk": 91}):
        _, (found, k) = p.batch_value_and_grad(x, 3.0, argnum=(0, -1), in_axes=(0, None), **how)
        assert found == pytest.approx(slopes, rel=1e-13) and k == pytest.approx(by_k, rel=1e-12)


def test_lanes_off_the_path_do_not_spoil_a_gradient_with_nan():
    p = ft.trace(lambda a, x: np.sqrt(a * x) if x > 0.0 else a * x, 1.0, 1.0)
    x = np.array([4.0, -1.0, 0.0, 9.0])
    value, slope = p.batch_value_and_grad(1.0, x, in_axes=(None, 0))
    assert (value, slope) == (4.0, pytest.approx(2.5 - 1.0))


def test_trees_axes_and_narrow_floats():
    p = ft.trace(lambda d, x: (d["w"] @ x + d["b"]) ** 2, {"w": np.ones(3, np.float32), "b": np.float32(1)}, np.ones(3, np.float32))
    x = RNG.normal(size=(3, 50)).astype(np.float32)
    d = {"w": np.arange(3, dtype=np.float32), "b": np.float32(0.5)}
    value, (of_d, of_x) = p.batch_value_and_grad(d, x, argnum=(0, 1), in_axes=(None, 1))
    e = d["w"].astype(float) @ x + 0.5
    assert value.dtype == of_d["w"].dtype == of_x.dtype == np.float32 and of_x.shape == x.shape
    assert value == pytest.approx((e**2).sum(), rel=1e-6) and of_d["b"] == pytest.approx(2 * e.sum(), rel=1e-5)
    assert of_d["w"] == pytest.approx(2 * x @ e, rel=1e-5) and of_x == pytest.approx(2 * np.outer(d["w"], e), rel=1e-5)


def test_sums_and_means_of_anything_that_a_program_returns():
    p = ft.trace(lambda x: {"a": (x.sum(), x[::2] * 2.0), "b": 7.0}, X[0])
    found = p.batch(X, reduce="mean", chunk=100)
    assert found["a"][0] == pytest.approx(X.sum(1).mean(), rel=1e-12) and found["a"][1] == pytest.approx(2 * X[:, ::2].mean(0), rel=1e-12)
    assert found["b"] == 7.0
    inner = ft.grad(lambda a: p.batch(a * X, reduce="sum")["a"][0])
    assert inner(2.0) == pytest.approx(X.sum(), rel=1e-12)


def test_no_lanes():
    p = ft.trace(error, W, X[0], Y[0])
    assert p.batch(W, X[:0], Y[:0], in_axes=(None, 0, 0), reduce="sum") == 0.0
    value, slope = p.batch_value_and_grad(W, X[:0], Y[:0], in_axes=(None, 0, 0))
    assert value == 0.0 and np.array_equal(slope, np.zeros_like(W))
    with pytest.raises(ValueError, match="no mean of no lanes"):
        p.batch(W, X[:0], Y[:0], in_axes=(None, 0, 0), reduce="mean")
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        assert p.batch(W, X[:0], Y[:0], in_axes=(None, 0, 0), executor=pool).shape == (0,)


def test_memory_of_a_sum_does_not_grow_with_the_lanes():
    p = ft.trace(lambda a, x: np.sin(a * x) ** 2, 1.0, 1.0)
    few, many = np.ones(10**5), np.ones(10**6)
    for x in (few, many):
        p.batch_value_and_grad(2.0, x, in_axes=(None, 0))
    peaks = []
    for x in (few, many):
        with ft.peak_memory() as memory:
            p.batch_value_and_grad(2.0, x, in_axes=(None, 0))
        peaks.append(memory.bytes)
    assert peaks[1] < peaks[0] + 10**5


# ---- what goes wrong

def boom(x):
    if x > 0.0:
        raise ZeroDivisionError("a lane is wrong")
    return x * 2.0


def test_an_error_of_the_function_comes_back_and_the_executor_goes_on(pool):
    p = ft.trace(boom, -1.0)
    with pytest.raises(ZeroDivisionError, match="a lane is wrong"):
        p.batch(np.linspace(-1, 1, 100), executor=pool, chunk=9)
    assert np.array_equal(p.batch(-np.ones(5), executor=pool), -2 * np.ones(5))


class Failing(concurrent.futures.Executor):
    """Runs jobs at once, and fails at one of them."""

    def __init__(self, k, error):
        self.k, self.error = k, error

    def submit(self, function, *args):
        future = concurrent.futures.Future()
        self.k -= 1
        if self.k < 0:
            future.set_exception(self.error)
        else:
            future.set_result(function(*args))
        return future


@pytest.mark.parametrize("error", [MemoryError("none left"), KeyboardInterrupt(), OSError("the wire was cut")])
@pytest.mark.parametrize("k", [0, 1, 5])
def test_an_error_of_a_worker_comes_back(error, k):
    p = ft.trace(boom, -1.0)
    with pytest.raises(type(error)):
        p.batch(-np.ones(100), executor=Failing(k, error), chunk=9)
    assert np.array_equal(p.batch(-np.ones(100), executor=Failing(100, error), chunk=9), -2 * np.ones(100))


def test_an_executor_that_has_been_shut_down():
    p = ft.trace(boom, -1.0)
    for make in (lambda: concurrent.futures.ThreadPoolExecutor(1),
                 lambda: concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))):
        pool = make()
        pool.shutdown()
        for call in (lambda: p.batch(-np.ones(10), executor=pool), lambda: p.batch_value_and_grad(-np.ones(10), executor=pool)):
            with pytest.raises(RuntimeError, match=r"boom\.batch.*the executor takes no work .*shut down"):
                call()


def test_a_worker_that_is_killed():
    """No hang; and it says what happened."""
    p = ft.trace(boom, -1.0)
    with concurrent.futures.ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        p.batch(-np.ones(10), executor=pool)
        pid = pool.submit(os.getpid).result()
        threading.Timer(0.3, os.kill, (pid, signal.SIGKILL)).start()
        slow = ft.trace(lambda x: ft.fori_loop(0, 10**7, lambda i, c: np.sin(c), x), 0.5)
        start = time.monotonic()
        with pytest.raises(concurrent.futures.BrokenExecutor, match="a worker of the executor died"):
            slow.batch(np.linspace(0, 1, 40), executor=pool, chunk=1)
        assert time.monotonic() - start < 60
        with pytest.raises(concurrent.futures.BrokenExecutor, match="make a new executor"):
            p.batch(-np.ones(10), executor=pool)


INTERRUPTED = """
import concurrent.futures, multiprocessing, os, signal, sys, threading, time
import numpy as np, fasttape as ft

if __name__ == "__main__":
    kind = sys.argv[1]
    slow = ft.trace(lambda x: ft.fori_loop(0, 20_000, lambda i, c: np.sin(c), x), 0.5)
    pool = (concurrent.futures.ThreadPoolExecutor(2) if kind == "threads" else
            concurrent.futures.ProcessPoolExecutor(2, multiprocessing.get_context("spawn")))
    with pool:
        slow.batch(np.ones(4), executor=pool)
        threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
        start = time.monotonic()
        try:
            slow.batch(np.ones(2_000_000), executor=pool, chunk=1000)
        except KeyboardInterrupt:
            print("interrupted", time.monotonic() - start < 30, slow.batch(np.ones(4), executor=pool).shape)
"""


@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_control_c_comes_back_and_the_executor_goes_on(kind, tmp_path):
    """On POSIX; the signal goes to this process alone, as from `kill -INT`."""
    if os.name != "posix":
        pytest.skip("no SIGINT to send")
    (tmp_path / "main.py").write_text(INTERRUPTED)
    ran = subprocess.run([sys.executable, str(tmp_path / "main.py"), kind], capture_output=True, text=True, cwd=HERE, timeout=120)
    assert ran.stdout.strip() == "interrupted True (4,)", ran.stderr[-2000:]


def test_jobs_that_run_here_are_over_when_the_error_comes():
    """Nothing writes into `out` afterwards."""
    running, over = threading.Event(), threading.Event()

    def late(here):
        running.set()
        while not here.stop:
            time.sleep(0.01)
        over.set()
        return None, None

    def fail(here):
        running.wait()
        raise OSError("first")

    class Backwards(concurrent.futures.ThreadPoolExecutor):
        """The job that fails is the first in order."""
        jobs = [late, fail]

        def submit(self, function, here, *args):
            return super().submit(self.jobs.pop(), here)

    with Backwards(2) as pool:
        with pytest.raises(OSError, match="first"):
            ft.trace(boom, -1.0).batch(-np.ones(20), executor=pool, chunk=10)
        assert over.is_set()


def test_no_more_is_handed_over_than_is_needed_soon():
    handed, done = [], []

    class Counting(Failing):
        _max_workers = 2

        def submit(self, function, *args):
            handed.append(1)
            assert len(handed) - len(done) <= executors.workers_of(self) * 4
            future = super().submit(function, *args)
            result = future.result
            future.result = lambda: (done.append(1), result())[1]
            return future
    ft.trace(boom, -1.0).batch(-np.ones(1000), executor=Counting(10**9, None), chunk=3)
    assert len(handed) == 334


class Careless(concurrent.futures.Executor):
    """Runs jobs, and forgets to say so."""

    def submit(self, function, *args):
        function(*args)


@pytest.mark.parametrize("call, error, text", [
    (lambda p: p.batch(X[:, 0], executor=Careless()), TypeError, "submit of the executor, a Careless, must return a .*Future, got NoneType"),
    (lambda p: p.batch(X[:, 0], executor=3), TypeError, r"boom\.batch: executor must be a concurrent\.futures\.Executor, got int"),
    (lambda p: p.batch(X[:, 0], chunk=0), ValueError, "chunk must be a positive whole number, got 0"),
    (lambda p: p.batch(X[:, 0], chunk=2.5), ValueError, "chunk must be a positive whole number"),
    (lambda p: p.batch(X[:, 0], reduce="product"), ValueError, "reduce must be 'sum' or 'mean', got 'product'"),
    (lambda p: p.batch(X[:, 0], reduce="sum", out=np.ones(())), TypeError, "out is for the results of all lanes"),
    (lambda p: p.batch_value_and_grad(X[:, 0], argnum=1), TypeError, "argnum 1 names an argument that was not given; there are 1"),
    (lambda p: p.batch_value_and_grad(X[:, 0], argnum="x"), TypeError, "argnum must be a whole number"),
    (lambda p: p.batch_value_and_grad(X[:, 0], argnum=()), TypeError, "argnum must be a whole number"),
    (lambda p: p.batch_value_and_grad(X[:, 0], reduce=None), ValueError, "reduce must be"),
    (lambda p: ft.trace(lambda x: (x, x), 1.0).batch_value_and_grad(X[:, 0]), TypeError, r"returns \(float64, float64\), but must return one"),
    (lambda p: ft.trace(lambda x: x * 2, X[0]).batch_value_and_grad(X), TypeError, "must return one number"),
    (lambda p: ft.grad(lambda x: p.batch_value_and_grad(x)[0])(-X[:, 0]), TypeError, "no place in a trace"),
    (lambda p: ft.vmap(boom, executor="pool"), TypeError, "vmap: executor must be"),
    (lambda p: p.batch(X[:, 0], executor=concurrent.futures.ThreadPoolExecutor), TypeError, "got the class ThreadPoolExecutor"),
])
def test_bad_input(call, error, text):
    with pytest.raises(error, match=text):
        call(ft.trace(boom, -1.0))


def test_an_executor_in_a_trace():
    with concurrent.futures.ThreadPoolExecutor(1) as pool, pytest.raises(TypeError, match="an executor cannot be given within a trace"):
        ft.grad(lambda x: ft.trace(boom, -1.0).batch(x, executor=pool).sum())(-np.ones(3))


def test_a_program_is_pickled_once_and_unpickled_once_by_each_worker(processes, monkeypatch):
    count = []
    p = ft.trace(error, W, X[0], Y[0])
    dumps = executors.pickle.dumps
    monkeypatch.setattr(executors, "pickle", type("pickle", (), {
        "dumps": staticmethod(lambda *args: (count.append(1), dumps(*args))[1]), "HIGHEST_PROTOCOL": 5, "loads": executors.pickle.loads}))
    p.batch(W, X, Y, in_axes=(None, 0, 0), executor=processes, chunk=50)
    assert len(count) == 1


# ---- Dask

@pytest.fixture(scope="module")
def cluster():
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(n_workers=2, processes=True, threads_per_worker=1, dashboard_address=None) as cluster, \
            distributed.Client(cluster) as client:
        yield client


def test_a_dask_cluster_gives_the_same_bits(cluster):
    pool = cluster.get_executor()
    p, x = ft.trace(branched, 1.0, 2.0), RNG.uniform(-2, 2, N)
    assert np.array_equal(p.batch(x, 3.0, in_axes=(0, None), executor=pool, chunk=100), p.batch(x, 3.0, in_axes=(0, None), chunk=100))
    q = ft.trace(error, W, X[0], Y[0])

    def found(**how):
        return q.batch_value_and_grad(W, X, Y, argnum=(0, 1), in_axes=(None, 0, 0), chunk=100, **how)
    assert same(found(executor=pool), found())
    gathered = ft.trace(stretched, CAMERAS[0], X[0], 2.0)
    _, rows = gathered.batch_value_and_grad(ft.gather(CAMERAS, SEEN), X, 2.0, in_axes=(0, 0, None), executor=pool)
    expected = np.zeros((5, 3))
    np.add.at(expected, SEEN, 4.0 * (CAMERAS[SEEN] - X))
    assert rows == pytest.approx(expected, rel=1e-12)


def test_both_dask_workers_work(cluster):
    seen = {cluster.submit(os.getpid, pure=False, workers=[worker]).result() for worker in cluster.scheduler_info()["workers"]}
    assert len(seen) == 2 and os.getpid() not in seen


def test_an_error_comes_back_from_dask(cluster):
    pool = cluster.get_executor()
    p = ft.trace(lambda x: x * 2.0, X[0])
    with pytest.raises(ZeroDivisionError):
        ft.trace(boom, -1.0).batch(np.linspace(-1, 1, 10), executor=pool)
    assert np.array_equal(p.batch(X, executor=pool), 2.0 * X)
    pool.shutdown()
    with pytest.raises(RuntimeError, match="takes no work"):
        p.batch(X, executor=pool)
