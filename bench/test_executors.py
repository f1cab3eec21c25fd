"""Sums over more lanes than fit into memory, or into a process."""

import multiprocessing
import statistics
import time
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import workloads
from measure import assert_agree
from memory_probe import peak_bytes
from report import Finding

import fasttape as ft

MARKET = 100.0, 0.03, 0.2  # spot, rate, volatility
STEPS, CHUNK = 50, 10**5  # of a path; paths


def mean_over_chunks(greeks, chunks):
    """The mean of the price and its greeks over paths that come chunk by chunk, and the seconds that each chunk took."""
    rng, normals = np.random.default_rng(0), np.empty((CHUNK, STEPS))
    total, seconds = np.zeros(4), []
    for _ in range(chunks):
        rng.standard_normal(out=normals)
        start = time.perf_counter()
        price, slopes = greeks(*MARKET, normals)
        total += (price, *slopes)
        seconds.append(time.perf_counter() - start)
    return total / chunks, seconds


def test_paths_beyond_memory(record, quick):
    """10**7 paths against 10**5: what a path costs, and what memory grows by. The normals of all would be 4 GB."""
    program = ft.trace(workloads.call_on_a_path, *MARKET, np.zeros(STEPS))

    def greeks(*args):
        return program.batch_value_and_grad(*args, argnum=(0, 1, 2), in_axes=(None, None, None, 0), reduce="mean")

    some = np.random.default_rng(1).standard_normal((1000, STEPS))
    assert_agree(greeks(*MARKET, some), workloads.call_on_paths_by_hand(*MARKET, some))
    few = statistics.median(sum(mean_over_chunks(greeks, 1)[1]) for _ in range(5 if quick else 25))
    before, chunks = peak_bytes(), 10 if quick else 100
    mean, seconds = mean_over_chunks(greeks, chunks)
    assert_agree(mean[0], 9.4134, tolerance=0.01)  # Black and Scholes's price
    growth, name = peak_bytes() - before, f"{chunks * CHUNK:.0e} paths of {STEPS} steps, mean and greeks"
    record(Finding(f"{name}, a path vs 1e+05", sum(seconds) / chunks / few, 1.2, ours=sum(seconds) / chunks / CHUNK, yardstick=few / CHUNK))
    record(Finding(f"{name}, peak grows by", growth / 1e6, 1.0, "MB"))


def test_process_pool_against_one_process(race, quick):
    """What is sent is in it: 24 bytes a sample, and the gradient back. It needs a second core that is free."""
    n = 10**5 if quick else 10**6
    parameters, points, heights = workloads.surface(n)
    program = ft.trace(workloads.squared_error, *parameters, points[0], 0.0)

    def gradient(executor=None):
        return program.batch_value_and_grad(
            *parameters, points, heights, argnum=(0, 1, 2, 3, 4), in_axes=(None,) * 5 + (0, 0), executor=executor, chunk=n // 10
        )

    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        race(
            f"gradient of {n:.0e} samples, 2 processes vs 1",
            ours=lambda: gradient(pool),
            yardstick=gradient,
            expected=workloads.squared_errors_by_hand(*parameters, points, heights),
            target=1 / 1.6,
        )
