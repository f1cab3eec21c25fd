"""Errors and Ctrl-C in the middle of a trace, a sweep or a run: the error arrives, the next call is right, and
nothing is leaked or left locked."""
import gc
import resource
import signal
import sys
import time

import numpy as np
import pytest

import fasttape as ft
from fasttape._core import tape

X = np.array([0.5, -1.0, 2.0])
TRANSFORMS = [ft.grad, ft.jacobian, lambda f: lambda x: ft.jvp(f, x, x), lambda f: lambda x: ft.vjp(f, x)]


@pytest.fixture(autouse=True)
def the_next_call_is_unaffected():
    gc.collect(1)                       # what is young: the whole heap would take longer than the test
    held = tape.reset_peak()
    yield
    np.testing.assert_array_equal(ft.grad(lambda x: np.sum(x * x))(X), 2 * X)
    assert ft.jvp(lambda x: x * x, 3.0, 1.0) == (9.0, 6.0)
    gc.collect(1)
    assert tape.reset_peak() == held             # bytes in use by tapes that live


# ---- errors

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("transform", TRANSFORMS)
def test_ten_thousand_failures_leak_nothing(transform):
    x, a = np.ones(5000), np.ones((40, 5000))

    def f(x):
        y = a @ (np.sin(x) * x)
        if y[0] > 0:
            raise ZeroDivisionError
        return y

    def fail(n):
        for _ in range(n):
            with pytest.raises(ZeroDivisionError):
                transform(f)(x)

    fail(200)
    gc.collect()
    before = resident()
    fail(2500)
    gc.collect()
    assert resident() - before < 3e6
    assert a.flags.writeable and x.flags.writeable


class Stop(BaseException):
    pass


def stops(x, where):
    """Raises Stop at one of seven places of a trace."""
    def at(k):
        if where == k:
            raise Stop

    def region(z):
        if where in (4, 5) and ran:
            raise Stop                      # when it is run again
        ran.append(1)
        return np.sin(z) * z

    def inner(z):
        at(1)
        return np.sum(z * z * x)

    ran = []
    y = 1.0 * x
    y[0] = y[1] * 2.0
    view = y[1:]
    at(0)
    y = ft.grad(inner)(y) * y
    if np.sum(y) > -1e9:                    # computes what is recorded so far
        at(2)
    value, pull = ft.vjp(lambda z: (z * view[0], at(3))[0], y)
    y = ft.checkpoint(region)(y) if where in (4, 5) else np.sin(y)
    y = pull(np.ones(y.shape))[0] + y
    at(6)
    return np.sum(y)


@pytest.mark.parametrize("where", range(7))
@pytest.mark.parametrize("call", [*TRANSFORMS[:3], ft.hessian, lambda f: ft.grad(ft.checkpoint(f)),
                                  lambda f: lambda x: ft.vjp(f, x)[1](1.0)])
def test_an_error_at_every_place(call, where):
    x = np.ones(20_000) if call is ft.grad else np.array([1.0, 2.0, 3.0])
    count = sys.getrefcount(x)
    for _ in range(3):
        try:
            call(lambda x: stops(x, where))(x)
        except Stop:
            pass
        else:
            assert where in (4, 5), "the error was lost"
    gc.collect(1)
    assert sys.getrefcount(x) == count and x.flags.writeable


def test_ten_thousand_failures_of_every_kind():
    """No object is kept: not the argument, the error, the function or a tape."""
    def closed(x):
        return 1 / 0

    x, big = np.ones(3), np.ones(3000)      # copied, and held read-only
    calls = [lambda: ft.grad(lambda x: x)(x), lambda: ft.grad(closed)(big),
             lambda: ft.grad(lambda x: x + np.ones(5))(x), lambda: ft.jvp(closed, x, np.ones(2)),
             lambda: ft.vjp(lambda x: x * big[:3], x)[1](np.ones(4)), lambda: ft.grad(ft.checkpoint(closed))(big),
             lambda: ft.grad(lambda y: ft.grad(closed)(y))(x),
             lambda: ft.hessian(lambda x: x[5000])(big), lambda: ft.grad(lambda x: float(x[0]))(x),
             lambda: ft.jacobian(lambda x: {"a": x})(big)]

    def fail(n):
        for _ in range(n):
            for call in calls:
                try:
                    call()
                except (TypeError, ValueError, IndexError, ZeroDivisionError):
                    continue
                raise AssertionError("no error")

    fail(20)
    gc.collect()
    counts, objects = [sys.getrefcount(o) for o in (x, big, closed)], len(gc.get_objects())
    fail(1000)
    gc.collect()
    assert counts == [sys.getrefcount(o) for o in (x, big, closed)]
    assert len(gc.get_objects()) - objects < 50
    assert x.flags.writeable and big.flags.writeable


def test_recursion_and_depth():
    def recurse(x):
        return recurse(x * 1.0)

    with pytest.raises(RecursionError):
        ft.grad(recurse)(1.0)

    def f(x):
        for _ in range(1_000_000):
            x = np.sin(x) + 0.5
        return x

    assert np.isfinite(ft.grad(f)(0.3))


# ---- Ctrl-C

def test_interrupt_in_the_function():
    def f(x):
        y = np.sin(x)
        signal.raise_signal(signal.SIGINT)
        return np.sum(y)

    for transform in TRANSFORMS:
        with pytest.raises(KeyboardInterrupt):
            transform(f)(X)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no interval timer here")
def test_interrupt_in_a_long_run():
    def f(x):
        y = x
        for _ in range(400):
            y = np.sin(y) * np.cos(y) + np.exp(-y)
        return np.sum(y)

    def alarm(*_):
        raise KeyboardInterrupt

    x = np.ones(1_000_000)              # seconds of work, recorded in milliseconds
    before = signal.signal(signal.SIGALRM, alarm)
    start = time.perf_counter()
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        with pytest.raises(KeyboardInterrupt):
            ft.grad(f)(x)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert time.perf_counter() - start < 1.5
    assert x.flags.writeable


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no interval timer here")
@pytest.mark.parametrize("transform", [ft.grad, ft.hessian, lambda f: lambda x: ft.jvp(f, x, np.ones(3))[1]])
def test_interrupts_at_any_moment(transform):
    """In the function, a sweep, the plan, a run and the copying out: forty moments of a call of 10 ms."""
    def f(x):
        for _ in range(1500):
            x = np.sin(x) * 0.5 + x[::-1] * 0.4
        return np.sum(x)

    def alarm(*_):
        raise KeyboardInterrupt

    start = time.perf_counter()
    wanted = transform(f)(X)
    whole = time.perf_counter() - start
    before, interrupted = signal.signal(signal.SIGALRM, alarm), 0
    try:
        for k in range(40):
            try:
                signal.setitimer(signal.ITIMER_REAL, whole * (k + 1) / 40)
                transform(f)(X)
                signal.setitimer(signal.ITIMER_REAL, 0)
            except KeyboardInterrupt:
                interrupted += 1
            np.testing.assert_array_equal(transform(f)(X), wanted)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert interrupted > 10
