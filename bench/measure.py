"""How a ratio is measured: the two sides take turns on one thread; median by median.

An answer is checked before it is timed, so that a fast wrong one cannot win.
"""

import statistics
import time

import numpy as np
from native import Native
from report import Finding

SHORTEST_ROUND = 2e-4  # seconds; far above the clock's own cost
MOST_ROUNDS = 2000

# Having freed a block just under its limit of 32 MiB, glibc keeps what NumPy frees. Else some
# yardsticks take twice as long or not, as their temporaries are paged in anew at every call or not,
# which would depend on what ran before.
bytearray(31 << 20)


def race(benchmark, workload, ours, yardstick, expected, target, budget, turn=SHORTEST_ROUND):
    """Time `ours` against `yardstick` for about `budget` seconds, in turns of at least `turn` seconds.

    Returns
    -------
    Finding or None
        None where pytest-benchmark is disabled and only the answer was checked.
    """
    assert_agree(ours(), expected)
    yardstick()
    our_calls, yardstick_calls = calls_per_round(ours, turn), calls_per_round(yardstick, turn)
    yardstick_times = []

    def time_yardstick():
        yardstick_times.append(seconds_per_call(yardstick, yardstick_calls))

    pair = our_calls * seconds_per_call(ours) + yardstick_calls * seconds_per_call(yardstick)
    rounds = min(max(int(budget / pair), 5), MOST_ROUNDS)
    benchmark.pedantic(repeated(ours, our_calls), setup=time_yardstick, rounds=rounds)
    if benchmark.stats is None:
        return None
    our_median = benchmark.stats.stats.median / our_calls
    yardstick_median = statistics.median(yardstick_times)
    ratio = our_median / yardstick_median
    benchmark.extra_info.update(
        workload=workload,
        ratio=ratio,
        target=target,
        yardstick_median=yardstick_median,
        calls_per_round=our_calls,
    )
    return Finding(workload, ratio, target, ours=our_median, yardstick=yardstick_median)


def seconds_per_entry(benchmark, functions, rounds):
    """Median time of each function over its number of entries, by which they are keyed, in order.

    The sizes take turns.

    Returns
    -------
    dict or None
        None where pytest-benchmark is disabled.
    """
    *smaller, largest = functions
    calls = {size: calls_per_round(functions[size], shortest_round=0.01) for size in smaller}
    times = {size: [] for size in smaller}

    def time_smaller():
        for size in smaller:
            times[size].append(seconds_per_call(functions[size], calls[size]) / size)

    benchmark.pedantic(functions[largest], setup=time_smaller, rounds=rounds, warmup_rounds=1)
    if benchmark.stats is None:
        return None
    medians = {size: statistics.median(samples) for size, samples in times.items()}
    medians[largest] = benchmark.stats.stats.median / largest
    benchmark.extra_info["seconds_per_entry"] = medians
    return medians


def seconds_per_call(function, calls=1):
    if isinstance(function, Native):
        return function.seconds_per_call(calls)
    start = time.perf_counter()
    for _ in range(calls):
        function()
    return (time.perf_counter() - start) / calls


def repeated(function, calls):
    """A call of `function`, or many where one is too short for the clock."""
    if calls == 1:
        return function

    def repeat():
        for _ in range(calls):
            function()

    return repeat


def calls_per_round(function, shortest_round=SHORTEST_ROUND):
    return max(1, round(shortest_round / min(seconds_per_call(function) for _ in range(3))))


def leaves(tree):
    return [leaf for part in tree for leaf in leaves(part)] if isinstance(tree, tuple) else [tree]


def assert_agree(found, expected, tolerance=1e-8):
    """Arrays, or tuples of them, agree in every element, the smallest ones by absolute size."""
    for a, b in zip(leaves(found), leaves(expected), strict=True):
        scale = np.max(np.abs(b), initial=0.0)
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=1e-4 * tolerance * scale)
