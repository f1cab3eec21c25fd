"""One program in two threads against the same number of calls in one: half the time at best."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import fasttape as ft

CALLS = 8  # of each thread, in a round


def elementwise(x):
    return (np.sin(x) * np.exp(-x * x)).sum()


def recurrence(x):
    y = x[0]
    for k in range(1, len(x)):
        y = y * 0.5 + x[k] * x[k - 1]
    return y


@pytest.mark.parametrize("f, n", [(elementwise, 50_000), (recurrence, 20_000)])
def test_two_threads_against_one(race, f, n):
    x = np.linspace(-1, 1, n)
    program = ft.trace(ft.value_and_grad(f), x)

    def several(calls):
        for _ in range(calls):
            y = program(x)
        return y

    def both():
        first, _ = pool.map(several, [CALLS, CALLS])
        return first

    with ThreadPoolExecutor(2) as pool:
        race(
            f"{f.__name__} of {n}, one program in 2 threads vs 1",
            ours=both,
            yardstick=lambda: several(2 * CALLS),
            expected=ft.value_and_grad(f)(x),
            target=0.7,
        )
