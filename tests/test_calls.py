"""Programs within traces: a Program called with traced values, and the programs derived from one.

What they must agree with is the function itself, inlined: bit for bit where a program is derived as a whole, to
rounding where its call is one of several uses of a value, whose cotangents are added in another order.
"""
import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
from test_programs import PROGRAMS, run, settings, start, total

import fasttape as ft

ALL = (0, 1, 2)


def bits(result):
    if isinstance(result, tuple):
        return tuple(bits(part) for part in result)
    return np.shape(result), np.asarray(result).dtype, np.asarray(result).tobytes()


def close(a, b, size=1.0):
    np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10 * (size + np.abs(b).max(initial=0.0)))


def finite(program, x):
    y = run(program, x)
    hypothesis.assume(np.all(np.isfinite(y)) and np.abs(y).max() < 1e3)


# ---- derived as a whole

@settings
@hypothesis.given(PROGRAMS, st.integers(0, 10**6))
def test_derived_programs_are_the_transforms_bit_for_bit(program, seed):
    x, v = start(seed)
    finite(program, x)
    f = total(program)
    p = ft.trace(f, *x)
    assert bits(p.grad(ALL)(*x)) == bits(ft.grad(f, ALL)(*x))
    assert bits(p.value_and_grad(1)(*x)) == bits(ft.trace(ft.value_and_grad(f, 1), *x)(*x))
    assert bits(p.jvp()(*x, *v)) == bits(ft.trace(lambda *a: ft.jvp(f, a[:3], a[3:]), *x, *v)(*x, *v))
    close(p.jvp()(*x, *v)[1], ft.jvp(f, x, v)[1])
    for a, b in zip(p.vjp()(*x, 2.0)[1], ft.vjp(f, *x)[1](2.0)):
        close(a, b)


@settings
@hypothesis.given(PROGRAMS, st.integers(0, 10**6))
def test_jacobians_of_a_program(program, seed):
    x, _ = start(seed)
    finite(program, x)

    def f(*a):
        return run(program, a)

    p = ft.trace(f, *x)
    for mode in ("forward", "reverse"):
        for a, b in zip(p.jacobian(ALL, mode)(*x), ft.jacobian(f, ALL, mode)(*x)):
            close(a, b)


def test_second_derivatives_of_a_program():
    x = np.array([0.3, 0.7, 1.1])

    def f(x):
        return np.sum(np.sin(x) * x[::-1]) * x[0] ** 3

    p = ft.trace(f, x)
    assert bits(p.hessian()(x)) == bits(ft.hessian(f)(x))
    assert bits(p.grad().jacobian(mode="forward")(x)) == bits(ft.hessian(f)(x))
    close(p.hessian().jacobian()(x), ft.jacobian(ft.hessian(f))(x))


def test_derived_programs_keep_names_keywords_and_trees():
    def f(params, *, scale):
        return np.sum(params["w"] * scale) * params["b"]

    p = ft.trace(lambda w, *, scale: f({"w": w, "b": 2.0}, scale=scale), np.ones(3), scale=1.5)
    assert bits(p.grad()(np.arange(3.0), scale=0.5)) == bits(np.ones(3))
    assert "grad" in p.grad().__name__
    with pytest.raises(TypeError, match="gradient is that of a single real number"):
        ft.trace(lambda x: x * 2.0, np.ones(3)).grad()
    with pytest.raises(TypeError, match="must return one array or number"):
        ft.trace(lambda x: (x, x), np.ones(3)).vjp()


def test_a_derived_program_has_the_guards_of_its_own():
    def f(x):
        return x * x if x > 1.0 else -x

    p = ft.trace(f, 2.0)
    assert p.grad()(3.0) == 6.0
    with pytest.raises(ft.GuardError, match=r"test_calls\.py"):
        p.grad()(0.5)


def test_a_derived_program_uses_what_was_captured():
    w = np.array([1.0, 2.0])

    def f(x):
        return np.sum(w * x**2)

    p, x = ft.trace(f, w), np.array([3.0, 4.0])
    w *= 100.0
    assert bits(p.grad()(x)) == bits(np.array([6.0, 16.0]))


# ---- one entry of another trace

@settings
@hypothesis.given(PROGRAMS, st.integers(0, 10**6))
def test_a_call_is_what_the_function_is(program, seed):
    x, v = start(seed)
    finite(program, x)

    def inner(*a):
        return run(program, a)

    p = ft.trace(inner, *(np.cos(a) if np.ndim(a) else float(np.cos(a)) for a in x))

    def outer(g):
        def f(*a):
            b = [np.cos(u) for u in a]
            y = g(*b)
            return np.sum(y * np.sin(y)) + np.sum(b[0]) * np.sum(a[1])
        return f

    def value_of(g):
        try:
            return ft.value_and_grad(outer(g), ALL)(*x)
        except ft.GuardError:       # traced from NumPy's cosines, which may differ in the last place
            hypothesis.reject()

    value, gradient = value_of(p)
    wanted, wanted_gradient = value_of(inner)
    close(value, wanted)
    size = max(np.abs(g).max(initial=0.0) for g in wanted_gradient)
    for a, b in zip(gradient, wanted_gradient):
        close(a, b, size)
    close(ft.jvp(outer(p), x, v)[1], ft.jvp(outer(inner), x, v)[1], size)
    for a, b in zip(ft.vjp(outer(p), *x)[1](1.0), gradient):
        close(a, b, size)
    for mode in ("forward", "reverse"):
        for a, b in zip(ft.jacobian(outer(p), ALL, mode)(*x), gradient):
            close(a, b, size)
    assert bits(ft.compile(ft.value_and_grad(outer(p), ALL))(*x)) == bits((value, gradient))


X = np.array([0.3, 0.7, 1.1])
TRANSFORMS = {
    "itself": lambda f: f,
    "grad": ft.grad,
    "hessian": ft.hessian,
    "jacobian forward": lambda f: ft.jacobian(f, mode="forward"),
    "columns of the gradient": lambda f: ft.jacobian(ft.grad(f), mode="forward"),
    "rows of the gradient": lambda f: ft.jacobian(ft.grad(f), mode="reverse"),
    "jvp": lambda f: lambda x: ft.jvp(f, (x,), (np.cos(X),))[1],
    "vjp": lambda f: lambda x: ft.vjp(f, x)[1](2.0)[0],
    "gradient of a gradient": lambda f: ft.grad(lambda x: np.sum(ft.grad(f)(x) ** 2)),
    "third": lambda f: ft.jacobian(ft.hessian(f)),
    "hvp": lambda f: lambda x: ft.hvp(f, x, np.sin(X)),
}


def two_results(x, y):
    """An array and a number, one of them of one argument alone."""
    return np.sin(x) * y, np.sum(x * x)


def caller(g):
    def f(x):
        a, b = g(x, np.exp(x))
        c, d = g(a * b, x[::-1])
        return np.sum(a * c) + b * d + np.sum(g(x, x)[0])
    return f


@pytest.mark.parametrize("name", TRANSFORMS)
@pytest.mark.parametrize("made", [lambda f: ft.trace(f, X, X), ft.compile], ids=["trace", "compile"])
def test_every_transform_through_calls(name, made):
    p = made(two_results)
    inlined = TRANSFORMS[name](caller(two_results))(X)
    found = TRANSFORMS[name](caller(p))(X)
    close(found, inlined)
    assert bits(ft.compile(TRANSFORMS[name](caller(p)))(X)) == bits(found)


def test_a_call_within_a_call():
    inner = ft.compile(lambda x: np.sin(x) * x)
    middle = ft.compile(lambda x: inner(x) + inner(x * 2.0))
    close(ft.hessian(lambda x: np.sum(middle(middle(x))))(X),
          ft.hessian(lambda x: np.sum((lambda f: f(f(x)))(lambda y: np.sin(y) * y + np.sin(2 * y) * 2 * y)))(X))


def test_results_asked_for_one_after_the_other():
    """Looking at one result of a call computes them all, once."""
    calls = []

    @ft.compile
    def p(x):
        calls.append(None)
        return x * 2.0, np.sum(x), x[::-1]

    def f(x):
        doubled, total, reverse = p(x)
        if total > 0.0:
            doubled = doubled * 3.0
        if reverse[0] > 1.0:
            doubled = doubled + reverse
        return np.sum(doubled * x)

    def plain(x):
        doubled = 6.0 * x
        return np.sum((doubled + x[::-1]) * x)

    close(ft.grad(f)(X), ft.grad(plain)(X))
    assert len(calls) == 1


def test_results_that_are_arguments_constants_and_fixed():
    w = np.array([1.0, 2.0, 3.0])
    p = ft.trace(lambda x: (x, x[1:], w, 3, None, x, 2.5), X)

    def f(x):
        a, b, c, three, none, d, e = p(x)
        assert three == 3
        assert none is None
        return np.sum(a * d * c) + np.sum(b) * e * three

    close(ft.grad(f)(X), 2 * X * w + np.array([0.0, 7.5, 7.5]))


def test_float32_stays_float32():
    p = ft.trace(lambda x, s: x * s, np.ones(3, np.float32), 2.0)
    y, (g, h) = ft.value_and_grad(lambda x, s: np.sum(p(x, s)), (0, 1))(np.ones(3, np.float32), 2.0)
    assert y.dtype == g.dtype == np.float32
    assert h == 3.0
    assert ft.jvp(lambda x: p(x, 3.0), np.ones(3, np.float32), np.ones(3, np.float32))[1].dtype == np.float32


def test_strided_arguments_and_unneeded_results():
    p = ft.trace(lambda x, y: (x @ y, np.sum(x), x.T), np.ones((2, 3)), np.ones(3))
    a = np.arange(24.0).reshape(4, 6)

    def f(a):
        return np.sum(p(a[::2, ::-2], a[0, :3])[0])

    def plain(a):
        return np.sum(a[::2, ::-2] @ a[0, :3])

    close(ft.grad(f)(a), ft.grad(plain)(a))
    close(ft.compile(ft.grad(f))(a), ft.grad(plain)(a))


def test_guards_of_a_call():
    def g(x):
        return x * x if x > 1.0 else -x

    p, q = ft.trace(g, 2.0), ft.compile(g)
    assert ft.grad(lambda x: p(x) * 2.0)(3.0) == 12.0
    with pytest.raises(ft.GuardError, match=r"test_calls\.py"):
        ft.grad(lambda x: p(x) * 2.0)(0.5)
    outer = ft.compile(ft.grad(lambda x: q(x) * 2.0))
    assert [outer(x) for x in (3.0, 0.5, 2.0, -1.0)] == [12.0, -2.0, 8.0, -2.0]
    assert len(outer.programs) == 2
    assert len(q.programs) == 2


def test_a_call_in_a_forward_trace_that_forgets():
    p = ft.compile(lambda x: np.sin(x) + 0.5 * x)

    def f(g):
        def run(x):
            for _ in range(3000):
                x = g(x)
            return x
        return run

    close(ft.jvp(f(p), X, X)[1], ft.jvp(f(lambda x: np.sin(x) + 0.5 * x), X, X)[1])


def test_a_call_in_a_checkpointed_region():
    p = ft.compile(lambda x: np.sin(x) * x)
    region = ft.checkpoint(lambda x: p(p(x)) * 2.0)
    plain = ft.grad(lambda x: np.sum((lambda y: np.sin(y) * y)(np.sin(x) * x) * 2.0))(X)
    close(ft.grad(lambda x: np.sum(region(x)))(X), plain)


def test_values_of_an_enclosing_trace_are_refused():
    def f(x):
        return ft.compile(lambda y: x * y)(2.0 * x)

    with pytest.raises(ft.TraceError, match="two different traces"):
        ft.grad(f)(1.0)


def test_truth_values_as_arguments_are_refused():
    p = ft.trace(lambda x: x * 2.0, X)
    with pytest.raises(TypeError, match="truth values"):
        ft.grad(lambda x: np.sum(p(x > 0.5)))(X)


def test_a_traced_example_is_refused():
    with pytest.raises(TypeError, match="traced value"):
        ft.grad(lambda x: ft.trace(np.sin, x)(x))(1.0)


def test_a_long_call_can_be_interrupted():
    """Ctrl-C within the program that is called, not only between the caller's instructions."""
    import signal

    def g(x):
        for _ in range(200):
            x = np.sin(x) * 1.0001
        return x

    p, x = ft.trace(g, np.ones(1_000_000)), np.ones(1_000_000)

    def alarm(*_):
        raise KeyboardInterrupt

    if not hasattr(signal, "setitimer"):
        pytest.skip("no interval timer here")
    was = signal.signal(signal.SIGALRM, alarm)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(KeyboardInterrupt):
            ft.grad(lambda x: np.sum(p(p(x))))(x)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, was)
    close(ft.compile(lambda x: p(x) * 1.0)(x)[:3], g(x[:3]))


# ---- what was recorded, kept for sweeps

def test_the_record_of_a_long_loop_is_small_and_whole():
    """Packed above 16384 entries: what comes out differentiates as what went in."""
    from fasttape._core import keep

    def f(x):
        y, z, total = x[0], x[1], 0.0
        for i in range(3000):
            y, z = y + 0.001 * z * x[i % 5], z - 0.001 * np.sin(y) + 1e-5 * i
            total = total + y * z
        return total

    x = np.linspace(0.1, 1.0, 5)
    p = ft.trace(f, x)
    assert keep.record_bytes(p) < 30_000 * 2            # of 30,000 entries
    assert bits(p.value_and_grad()(x)) == bits(ft.value_and_grad(f)(x))
    close(p.grad().jvp()(x, x)[1], ft.hvp(f, x, x))
