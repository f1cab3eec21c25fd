"""Memory of the three ways to differentiate a long loop, and time and memory per recorded operation."""
import resource
import sys

import numpy as np
import pytest

import fasttape as ft


def burgers(u, steps):
    for _ in range(steps):
        flux = 0.5 * u * u
        interior = u[1:-1] - 0.05 * (flux[2:] - flux[:-2]) + 0.01 * (u[2:] - 2.0 * u[1:-1] + u[:-2])
        u = np.concatenate((u[:1], interior, u[-1:]))
    return u


def updates(u, steps):
    """The same kind of loop with assignments into a traced array, a branch and a scalar."""
    u = 1.0 * u
    total = 0.0
    for _ in range(steps):
        u[1:-1] = u[1:-1] + 0.01 * (u[2:] - 2.0 * u[1:-1] + u[:-2])
        u[0] += 0.001
        if u[1] > 0.5:
            total = total + u[1]
    return np.sum(u * u) + total


U = np.sin(np.linspace(0, 3, 128)) + 1.0


def peak(call):
    call()
    with ft.peak_memory() as memory:
        call()
    return memory.bytes


def resident():
    """Bytes of this process in memory, now."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


@pytest.mark.parametrize("step", [burgers, updates])
def test_forward_memory_does_not_grow_with_the_number_of_steps(step):
    few, many = (peak(lambda n=n: ft.jvp(lambda u: step(u, n), U, U)) for n in (300, 3000))
    assert many < 1.1 * few + 1000


@pytest.mark.parametrize("step", [burgers, updates])
def test_memory_of_a_forward_jacobian_does_not_grow_with_the_number_of_steps(step):
    """Many tangents in one pass, which forgets as one tangent's does."""
    def of_rates(rates, n):
        return step(rates[0] * U + rates[1] + 0.1 * rates[2] * U ** 2, n)

    rates = np.array([1.0, 0.1, 0.3])
    few, many = (peak(lambda n=n: ft.jacobian(lambda r: of_rates(r, n), mode="forward")(rates)) for n in (300, 3000))
    assert many < 1.1 * few + 1000
    columns = [ft.jvp(lambda r: of_rates(r, 300), rates, axis)[1] for axis in np.eye(3)]
    np.testing.assert_array_equal(ft.jacobian(lambda r: of_rates(r, 300), mode="forward")(rates), np.stack(columns, -1))
    rows = ft.jacobian(lambda r: of_rates(r, 300), mode="reverse")(rates)
    np.testing.assert_allclose(rows, np.stack(columns, -1), rtol=1e-9, atol=1e-12)


def test_forward_memory_of_a_scalar_loop():
    def f(x, n):
        y = x
        for _ in range(n):
            y = y + 0.001 * np.sin(y)
        return y

    few, many = (peak(lambda n=n: ft.jvp(lambda x: f(x, n), 0.3, 1.0)) for n in (3000, 100_000))
    assert many < 1.1 * few + 1000


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_forward_memory_with_fresh_large_arrays_at_each_step():
    """Each step's array may go when the step is done: 1000 of 0.4 MB must not add up."""
    def f(x, n):
        for _ in range(n):
            x = x * 0.999 + np.full(50_000, 1e-9)
        return np.sum(x)

    ft.jvp(lambda x: f(x, 200), 1.0, 1.0)
    before = resident()
    high = [0]

    def watched(x):
        y = f(x, 1000)
        high[0] = resident()
        return y

    ft.jvp(watched, 1.0, 1.0)
    assert high[0] - before < 150e6


def test_checkpointed_takes_less_than_reverse_and_more_than_forward():
    def loop(u, wrap):
        segment = wrap(lambda u: burgers(u, 60))
        for _ in range(60):
            u = segment(u)
        return np.sum(u * u)

    forward = peak(lambda: ft.jvp(lambda u: loop(u, lambda f: f), U, U))
    plain = peak(lambda: ft.grad(lambda u: loop(u, lambda f: f))(U))
    checkpointed = peak(lambda: ft.grad(lambda u: loop(u, ft.checkpoint))(U))
    assert forward < checkpointed < 0.1 * plain


def test_checkpoints_still_forget_after_an_inner_transform():
    def loop(u, inner):
        scale = 1.0
        if inner:
            scale = 1.0 + 1e-3 * ft.grad(lambda s: s * s)(u[0])
        segment = ft.checkpoint(lambda u: burgers(u, 60))
        for _ in range(60):
            u = segment(u)
        return np.sum(u * u) * scale

    without, with_inner = (peak(lambda k=k: ft.grad(lambda u: loop(u, k))(U)) for k in (False, True))
    assert with_inner < 1.3 * without


def test_reverse_memory_is_given_back_between_calls():
    sizes = []
    for _ in range(5):
        with ft.peak_memory() as memory:
            ft.grad(lambda u: np.sum(burgers(u, 50)))(U)
        sizes.append(memory.bytes)
    assert max(sizes[1:]) <= sizes[0] * 1.01


def test_loop_of_assignments_is_linear_in_its_length():
    """x[i] = ... over n elements costs O(n): one buffer, changed in place, in both sweeps."""
    def fill(x):
        y = np.zeros_like(x)
        y[0] = x[0]
        for i in range(1, len(x)):
            y[i] = 0.5 * y[i - 1] + x[i]
        return np.sum(y)

    def bytes_per_element(n):
        return peak(lambda: ft.grad(fill)(np.ones(n))) / n

    assert bytes_per_element(4000) < 1.3 * bytes_per_element(1000)
    n = 500
    np.testing.assert_allclose(ft.grad(fill)(np.ones(n)), 2.0 - 0.5 ** np.arange(n, 0, -1.0) * 2.0)


def test_branching_on_many_live_values_is_linear():
    """Forcing one value does not walk over all that are alive each time."""
    import time

    def f(x):
        values = list(np.sin(x))
        return sum(v for v in values if v > 0)

    def seconds(n):
        x = np.linspace(0, 10, n)
        times = []
        for _ in range(3):
            start = time.perf_counter()
            ft.grad(f)(x)
            times.append(time.perf_counter() - start)
        return min(times)

    assert seconds(40_000) < 60 * seconds(4_000)


def test_million_scalar_operations_nested_in_one_expression():
    def f(x):
        y = x
        for _ in range(1_000_000):
            y = y * 0.9999999 + 1e-9
        return y

    assert ft.grad(f)(0.5) == pytest.approx(0.9999999**1_000_000, rel=1e-9)
    assert ft.jvp(f, 0.5, 1.0)[1] == pytest.approx(0.9999999**1_000_000, rel=1e-9)


@pytest.mark.parametrize("kind", [ft.Array, ft.Scalar])
def test_the_garbage_collector_does_not_follow_tracers(kind):
    assert not kind.__flags__ & 1 << 14     # Py_TPFLAGS_HAVE_GC: 16 bytes more each, and a visit per collection
