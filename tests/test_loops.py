"""Loops: their values and derivatives are those of the same loop in Python, whatever schedule stores their states."""
import dataclasses
import threading
from collections import namedtuple

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

import fasttape as ft
from fasttape import schedules

SCHEDULES = [None, schedules.StoreAll(), schedules.Recompute(), schedules.Revolve(2), schedules.Revolve(5), schedules.Multistage(1, 2),
             schedules.Mixed(3), schedules.Periodic(4), schedules.Online(3), schedules.Budget("2 MB")]
Pair = namedtuple("Pair", "a b")
W = np.random.default_rng(1).normal(size=(5, 5)) / 2
LARGE = np.random.default_rng(2).normal(size=(5, 600))
XS = np.linspace(-1.0, 1.0, 11)
V = np.linspace(0.2, 1.0, 5)


@dataclasses.dataclass
class State:
    a: object
    b: object


def plain_scan(step, carry, xs=None, length=None, **_):
    """What `scan` does, as a loop in Python."""
    ys = []
    for t in range(length if xs is None else len(xs)):
        carry, y = step(carry, None if xs is None else xs[t])
        ys.append(y)
    if ys[0] is None:
        return carry, None
    return carry, np.stack(ys)


def leaves(tree):
    if isinstance(tree, (tuple, list)):
        return [leaf for part in tree for leaf in leaves(part)]
    return [np.asarray(tree)]


def assert_same(a, b, **tolerance):
    a, b = leaves(a), leaves(b)
    assert len(a) == len(b)
    for x, y in zip(a, b, strict=True):
        assert x.shape == y.shape and x.dtype == y.dtype
        if tolerance:
            np.testing.assert_allclose(x, y, **tolerance)
        else:
            np.testing.assert_array_equal(x, y)


# ---- bodies: functions (scan, *arguments) -> a number

def numbers(scan, x, k):
    (a, b), ys = scan(lambda c, t: ((np.sin(c[0]) * c[1] + k * t, np.exp(-c[0] * c[0])), c[0] * c[1]), (x, 0.3), XS)
    return a + b * k + (ys * ys).sum()


def vectors(scan, x, w):
    def step(c, t):
        a, b = c
        new = np.tanh(w @ a) * t + b
        return (new, np.sin(b) * 0.9 + new.sum() * 0.01), new * b
    (a, b), ys = scan(step, (x, 0.3), XS)
    return (a * a).sum() + b + (ys * ys).sum()


def constants_of_many_kinds(scan, x, k):
    outer = np.cos(x)
    def step(c, t):
        return c * 0.5 + outer * k + 0.001 * (LARGE @ LARGE[0]) + LARGE.T[3] * 0.1 + V, (c * outer).sum() * t
    c, ys = scan(step, x, XS)
    return c.sum() + ys.sum()


def swaps(scan, x, k):
    def step(c, t):
        a, b, d = c
        return (b, a * k + t, a), a
    (a, b, d), ys = scan(step, (x, x * 2.0, k), XS)
    return a + 2.0 * b + 3.0 * d + (ys * XS).sum()


def untouched(scan, x, k):
    def step(c, t):
        return (c[0], c[1] + c[0] * t), 1.5
    (a, b), ys = scan(step, (x, k), XS)
    return a * b + ys.sum()


def pieces(scan, x, k):
    def step(u, t):
        inner = u[1:-1] + 0.1 * (u[2:] - 2.0 * u[1:-1] + u[:-2]) * k
        return np.concatenate((u[:1], inner, u[-1:])), inner.max() + u[2]
    u, ys = scan(step, x, XS)
    return np.sum(u * u) + (ys**2).sum()


def written_to(scan, x, k):
    def step(u, t):
        u = u.copy()
        u[1] = u[0] * t + k
        u[2:] *= 0.9
        return u, None
    u, _ = scan(step, x, XS)
    return np.sum(u * u)


def nested(scan, x, k):
    def outer(c, t):
        def inner(d, s):
            return np.sin(d) * k + c * s + t, d * c
        d, ys = scan(inner, c, XS[:4])
        return d, ys.sum()
    c, ys = scan(outer, x, XS)
    return c * ys.sum() + c


def gradient_inside(scan, x, k):
    def step(c, t):
        g = ft.grad(lambda z: (np.sin(z * k) * z).sum())(c)
        return c - 0.1 * g * t, None
    c, _ = scan(step, x, XS)
    return (c * c).sum()


def branches(scan, x, k):
    def step(c, t):
        return np.where(c > 0.4, np.sqrt(np.abs(c)), c * k) + np.maximum(c, t) * 0.1, np.clip(c, -0.2, 0.5)
    c, ys = scan(step, x, XS)
    return c.sum() + (ys * 2.0).sum()


def float32(scan, x, k):
    def step(c, t):
        return np.sin(c) * np.float32(0.5) + k * c, c
    c, ys = scan(step, x.astype(np.float32) if isinstance(x, np.ndarray) else x, XS.astype(np.float32))
    return (c * c).sum() + ys.sum()


CASES = {
    "numbers": (numbers, (0.2, 0.7)), "vectors": (vectors, (V, W)), "constants": (constants_of_many_kinds, (V, 0.4)),
    "swaps": (swaps, (0.3, 0.8)), "untouched": (untouched, (0.3, 0.8)), "pieces": (pieces, (np.linspace(0.0, 1.0, 9), 0.5)),
    "written to": (written_to, (V, 0.5)), "nested": (nested, (0.3, 0.6)), "gradient inside": (gradient_inside, (V, 0.5)),
    "branches": (branches, (V + 0.013, 0.5)), "float32": (float32, (V.astype(np.float32), np.float32(0.3))),
}


@pytest.fixture(params=CASES)
def case(request):
    return CASES[request.param]


def looped(f, schedule=None):
    def g(*args):
        return f(lambda *a, **k: ft.scan(*a, **k, schedule=schedule), *args)
    return g


def in_python(f):
    return lambda *args: f(plain_scan, *args)


# ---- against Python's loop, and against differences

def test_value(case):
    f, args = case
    # a stack of numbers may be added up in another order
    assert_same(looped(f)(*args), in_python(f)(*args), rtol=1e-6 if args[0] is CASES["float32"][1][0] else 1e-13)


def test_gradient_is_that_of_pythons_loop(case):
    f, args = case
    tolerance = {"rtol": 2e-5} if args[0] is CASES["float32"][1][0] else {"rtol": 1e-12, "atol": 1e-14}
    assert_same(ft.grad(looped(f), argnum=(0, 1))(*args), ft.grad(in_python(f), argnum=(0, 1))(*args), **tolerance)


def test_gradient_against_central_differences(case):
    f, args = case
    if args[0] is CASES["float32"][1][0]:
        pytest.skip("too coarse")
    gradient = ft.grad(looped(f), argnum=(0, 1))(*args)
    rng = np.random.default_rng(3)
    for k, g in enumerate(gradient):
        v = rng.normal(size=np.shape(args[k]))
        ends = [in_python(f)(*args[:k], args[k] + h * v, *args[k + 1:]) for h in (1e-6, -1e-6)]
        assert np.sum(g * v) == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=2e-6, abs=1e-8)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
def test_schedules_are_bit_identical(case, schedule):
    f, args = case
    wanted = ft.value_and_grad(looped(f), argnum=(0, 1))(*args)
    assert_same(ft.value_and_grad(looped(f, schedule), argnum=(0, 1))(*args), wanted)
    compiled = ft.compile(ft.value_and_grad(looped(f, schedule), argnum=(0, 1)))
    for _ in range(2):
        assert_same(compiled(*args), wanted)


def test_forward_mode_and_the_inner_product(case):
    f, args = case
    rng = np.random.default_rng(4)
    directions = tuple(rng.normal(size=np.shape(x)).astype(np.asarray(x).dtype)[()] for x in args)
    value, tangent = ft.jvp(looped(f), args, directions)
    gradient = ft.grad(looped(f), argnum=(0, 1))(*args)
    along = sum(np.sum(np.float64(g) * v) for g, v in zip(gradient, directions, strict=True))
    assert tangent == pytest.approx(along, rel=1e-4 if args[0].dtype == np.float32 else 1e-11) if isinstance(args[0], np.ndarray) \
        else tangent == pytest.approx(along, rel=1e-11)
    assert_same(value, looped(f)(*args), rtol=1e-6)


@pytest.mark.parametrize("schedule", [None, schedules.Revolve(3), schedules.Online(2)], ids=repr)
@pytest.mark.parametrize("name", ["numbers", "vectors", "swaps", "nested", "pieces", "branches"])
def test_second_derivatives(name, schedule):
    f, args = CASES[name]
    wanted = ft.hessian(in_python(f))(*args)
    assert_same(ft.hessian(looped(f, schedule))(*args), wanted, rtol=1e-10, atol=1e-11)
    reverse = ft.jacobian(ft.grad(looped(f, schedule)), mode="reverse")(*args)
    assert_same(reverse, wanted, rtol=1e-10, atol=1e-11)
    assert_same(ft.compile(ft.hessian(looped(f, schedule)))(*args), wanted, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("order", [3, 4])
def test_higher_derivatives(order):
    f, (x, k) = CASES["numbers"]
    g, h = looped(f), in_python(f)
    for _ in range(order):
        g, h = ft.grad(g), ft.grad(h)
    assert g(x, k) == pytest.approx(h(x, k), rel=1e-10)


@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_jacobians_with_lanes(mode):
    def f(scan, x):
        c, ys = scan(lambda c, t: (np.tanh(W @ c) + t * c, c * c), x, XS)
        return np.concatenate((c, ys.reshape(-1)[::7]))
    wanted = ft.jacobian(in_python(f), mode=mode)(V)
    assert_same(ft.jacobian(looped(f), mode=mode)(V), wanted, rtol=1e-12, atol=1e-14)
    assert_same(ft.compile(ft.jacobian(looped(f, schedules.Revolve(3)), mode=mode))(V), wanted, rtol=1e-12, atol=1e-14)
    second = ft.jacobian(ft.jacobian(looped(f), mode=mode))(V)
    assert_same(second, ft.jacobian(ft.jacobian(in_python(f), mode=mode))(V), rtol=1e-10, atol=1e-12)


@st.composite
def bodies(draw):
    """A random body of two numbers or vectors, as a list of operations on earlier values."""
    return draw(st.lists(st.tuples(st.sampled_from(["add", "multiply", "sin", "subtract", "tanh", "maximum", "negative"]),
                                   st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=12)), \
        draw(st.tuples(st.integers(0, 30), st.integers(0, 30), st.integers(0, 30))), draw(st.booleans()), draw(st.integers(1, 7))


@hypothesis.settings(max_examples=60, deadline=None)
@hypothesis.given(bodies(), st.sampled_from(SCHEDULES))
def test_random_bodies(body, schedule):
    operations, results, arrays, length = body

    def f(scan, x, k):
        def step(c, t):
            values = [c[0], c[1], t, k, x]
            for name, i, j in operations:
                ufunc = getattr(np, name)
                a, b = values[i % len(values)], values[j % len(values)]
                values.append(ufunc(a) if ufunc.nin == 1 else ufunc(a, b) * 0.7)
            out = [values[r % len(values)] + 0.0 * x for r in results]
            return (out[0], out[1]), out[2]
        (a, b), ys = scan(step, (x, x * 0.5), XS[:length])
        return np.sum(a * b) + np.sum(ys * ys)
    args = (V if arrays else 0.4, 0.6)
    wanted = ft.value_and_grad(in_python(f), argnum=(0, 1))(*args)
    mine = ft.value_and_grad(looped(f, schedule), argnum=(0, 1))(*args)
    assert_same(mine, wanted, rtol=1e-11, atol=1e-12)
    assert_same(ft.compile(ft.value_and_grad(looped(f, schedule), argnum=(0, 1)))(*args), mine)


# ---- trees, lengths, plain calls

def test_trees():
    def step(c, x):
        state = State(c["s"].a * x["t"], c["s"].b + x["u"][0].sum())
        return {"s": state, "p": Pair(c["p"].b, c["p"].a * 2.0)}, [state.a, {"none": None, "two": 2, "v": x["u"][0]}]
    carry = {"s": State(1.0, 2.0), "p": Pair(np.ones(2), np.zeros(2))}
    last, (a, rest) = ft.scan(step, carry, {"t": np.array([2.0, 3.0]), "u": (np.arange(8.0).reshape(2, 4),)})
    assert last["s"] == State(6.0, 30.0)
    assert isinstance(last["p"], Pair) and last["p"].a.tolist() == [2.0, 2.0] and last["p"].b.tolist() == [0.0, 0.0]
    assert a.tolist() == [2.0, 6.0] and rest["none"] is None and rest["two"] == 2 and rest["v"].shape == (2, 4)


def test_a_python_number_becomes_what_stands_beside_it():
    c, ys = ft.scan(lambda c, x: (c * x, c), 1.0, np.array([2.0, 3.0], np.float32))
    assert c.dtype == np.float32 and ys.dtype == np.float32 and ys.tolist() == [1.0, 2.0]


@pytest.mark.parametrize("length", [1, 2, 1000])
def test_lengths(length):
    c, ys = ft.scan(lambda c, _: (c + 1.0, c), 0.0, length=length)
    assert c == length and ys.tolist() == list(range(length))


def test_empty_arrays():
    c, ys = ft.scan(lambda c, x: (c * 2.0, x), np.zeros((0, 3)), np.zeros((4, 0)))
    assert c.shape == (0, 3) and ys.shape == (4, 0)


def test_many_numbers():
    """More than machine code has streams for."""
    n = 300
    def f(scan, x):
        c, _ = scan(lambda c, _: (tuple(c[(k + 1) % n] * 0.99 + c[k] for k in range(n)), None), tuple(x[k] for k in range(n)), XS[:4])
        return sum(c[k] * float(k) for k in range(n))
    x = np.linspace(0.0, 1.0, n)
    assert_same(ft.value_and_grad(looped(f))(x), ft.value_and_grad(in_python(f))(x), rtol=1e-13)


def test_fori_loop():
    def f(loop, x):
        return loop(2, 9, lambda i, c: np.sin(c) * i + x, x)

    def python(lower, upper, body, c):
        for i in range(lower, upper):
            c = body(float(i), c)
        return c
    assert_same(ft.value_and_grad(lambda x: f(ft.fori_loop, x))(0.3), ft.value_and_grad(lambda x: f(python, x))(0.3), rtol=1e-14)
    assert ft.fori_loop(3, 3, lambda i, c: 1 / 0, 7.0) == 7.0 and ft.fori_loop(3, 1, lambda i, c: 1 / 0, 7.0) == 7.0


# ---- loops whose end depends on values

def newton(loop, a, **how):
    """The square root, until it is one."""
    x, _ = loop(lambda c: np.abs(c[0] * c[0] - a) > 1e-10, lambda c: (0.5 * (c[0] + a / c[0]), c[1] + 1.0), (a, 0.0), **how)
    return x


def plain_while(condition, body, carry, schedule=None):
    while condition(carry):
        carry = body(carry)
    return carry


@pytest.mark.parametrize("schedule", [None, schedules.Online(1), schedules.Online(2), schedules.Online(30), schedules.Budget("1 MB")],
                         ids=repr)
def test_while_loop(schedule):
    f = ft.compile(ft.value_and_grad(lambda a: newton(ft.while_loop, a, schedule=schedule)))
    for a in (2.0, 3.0, 1e4, 1.0, 1e-3):
        wanted = ft.value_and_grad(lambda a: newton(ft.while_loop, a))(a)
        assert_same(wanted, ft.value_and_grad(lambda a: newton(plain_while, a))(a), rtol=1e-14)
        assert_same(f(a), wanted)
        assert_same(ft.value_and_grad(lambda a: newton(ft.while_loop, a, schedule=schedule))(a), wanted)
    assert len(f.programs) == 1


def test_derivatives_of_while_loops():
    f, g = lambda a: newton(ft.while_loop, a), lambda a: newton(plain_while, a)
    assert_same(ft.jvp(f, 3.0, 1.0), ft.jvp(g, 3.0, 1.0), rtol=1e-14)
    assert ft.hessian(f)(3.0) == pytest.approx(ft.hessian(g)(3.0), rel=1e-12)
    assert ft.grad(ft.grad(ft.grad(f)))(3.0) == pytest.approx(ft.grad(ft.grad(ft.grad(g)))(3.0), rel=1e-11)


def test_arrays_in_while_loops():
    def f(loop, x, k):
        c = loop(lambda c: (c * c).sum() > 0.01, lambda c: np.tanh(W @ c) * k, x)
        return c.sum()
    for schedule in (None, schedules.Online(3)):
        mine = ft.value_and_grad(lambda x, k: f(lambda *a: ft.while_loop(*a, schedule=schedule), x, k), argnum=(0, 1))(V, 0.7)
        assert_same(mine, ft.value_and_grad(lambda x, k: f(plain_while, x, k), argnum=(0, 1))(V, 0.7), rtol=1e-12, atol=1e-15)


# ---- within traces

def test_no_perturbation_confusion():
    f = lambda loop, x: loop(lambda c, t: (c * x + ft.grad(lambda z: z * z * x * t)(c), None), x, XS)[0]
    assert ft.grad(lambda x: f(ft.scan, x))(0.5) == pytest.approx(ft.grad(lambda x: f(plain_scan, x))(0.5), rel=1e-12)


def test_compiled_functions_and_programs_inside():
    inner = ft.compile(lambda c, k: np.sin(c) * k)
    program = ft.trace(lambda c, k: np.sin(c) * k, 0.5, 0.5)
    for call in (inner, program):
        f = lambda loop, x, k: loop(lambda c, t: (call(c, k) + t, None), x, XS)[0]
        assert_same(ft.grad(lambda x, k: f(ft.scan, x, k), argnum=(0, 1))(0.3, 0.9),
                    ft.grad(lambda x, k: f(plain_scan, x, k), argnum=(0, 1))(0.3, 0.9), rtol=1e-13)


def test_values_seen_before_the_pull():
    def f(x):
        c, _ = ft.scan(lambda c, t: (np.sin(c) + t, None), x, XS)
        return c if c.sum() > 1e6 else c.sum() * 2.0
    g = lambda x: plain_scan(lambda c, t: (np.sin(c) + t, None), x, XS)[0].sum() * 2.0
    assert_same(ft.value_and_grad(f)(V), ft.value_and_grad(g)(V))


def test_a_constant_may_be_looked_at():
    def f(x, k):
        return ft.scan(lambda c, t: (c * k if k > 0.5 else c + k, None), x, XS)[0]
    compiled = ft.compile(f)
    assert compiled(1.0, 0.9) == 0.9 ** 11 or compiled(1.0, 0.9) == pytest.approx(0.9 ** 11)
    assert compiled(1.0, 0.1) == pytest.approx(2.1)
    assert len(compiled.programs) == 2
    assert ft.grad(f, argnum=1)(1.0, 0.9) == pytest.approx(11 * 0.9**10)


def test_a_pullback_may_be_called_again():
    value, pullback = ft.vjp(looped(vectors), V, W, argnum=(0, 1))
    first = pullback(1.0)
    assert_same(pullback(1.0), first)
    assert_same(first, ft.grad(looped(vectors), argnum=(0, 1))(V, W))


def test_programs_of_loops_are_inspected():
    p = ft.trace(looped(vectors), V, W)
    assert "scan" in str(p) and "scan" in str(p.grad()) and p.stats().entries > 0
    assert_same(p.grad()(V, W), ft.grad(looped(vectors))(V, W))
    assert p.table(V, W)
    assert p.grad().memory_profile().peak > 0


def test_threads():
    f = ft.compile(ft.value_and_grad(looped(vectors, schedules.Revolve(2)), argnum=(0, 1)))
    wanted, wrong = f(V, W), []

    def work():
        for _ in range(200):
            got = f(V, W)
            if got[0] != wanted[0] or not np.array_equal(got[1][1], wanted[1][1]):
                wrong.append(got)
    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong
