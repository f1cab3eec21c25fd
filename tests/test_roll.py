"""Loops over scalars: a program keeps them as a few array entries and loops, and its bits are those of the one-shot call."""
import itertools
import random

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

import fasttape as ft
from fasttape._core.keep import kept

settings = hypothesis.settings(max_examples=400, deadline=None, derandomize=True, database=None,
                               suppress_health_check=list(hypothesis.HealthCheck))


def entries(f, *example):
    return kept(ft.trace(f, *example))[0]


def leaves(tree):
    return [leaf for part in tree for leaf in leaves(part)] if isinstance(tree, tuple) else [tree]


def same(found, wanted):
    for a, b in zip(leaves(found), leaves(wanted), strict=True):
        a, b = np.asarray(a), np.asarray(b)
        assert a.dtype == b.dtype and a.shape == b.shape
        # a nan's sign and payload are nobody's promise
        assert np.where(np.isnan(a), 0.0, a).tobytes() == np.where(np.isnan(b), 0.0, b).tobytes(), (a, b)
        np.testing.assert_array_equal(np.isnan(a), np.isnan(b))


def replays(f, *points):
    """Programs of f and of its gradient, traced at the first point, give the one-shot's bits at each; the gradient's."""
    g = ft.value_and_grad(f, argnum=tuple(range(len(points[0]))))
    p, q = ft.trace(g, *points[0]), ft.trace(f, *points[0])
    for point in (*points, points[0]):
        wanted = g(*point)
        same(p(*point), wanted)
        same(q(*point), wanted[0])
    return p


# ---- a family of programs

OPERATORS = ["+", "-", "*"]
RANGES = ["range(n)", "range(n)", "range(n)", "reversed(range(n))"]


def body_of(rng, place):
    """Lines of a loop's body: scalar operations on carried values, elements, numbers and an earlier loop's results."""
    values = ["a", "b", "c", "p", f"x[{place}]", "x[i]", "x[i+1]", "0.3", "0.1*i", "(old[i] if len(old) > i else 0.25)"]
    made, lines = [], []
    for k in range(rng.randint(2, 9)):
        a, b = rng.choice(values + made), rng.choice(values + made)
        form = rng.choices([f"{a} {rng.choice(OPERATORS)} {b}", f"np.sin({a})", f"{a} / (2.0 + np.cos({b}))",
                            f"np.maximum({a}, {b})"], [12, 3, 2, 3])[0]
        lines.append(f"t{k} = {form}")
        made.append(f"t{k}")
    for carry in "abc":
        if rng.random() < 0.5:
            lines.append(f"{carry} = {rng.choice(made)} * 0.5 {rng.choice(['+ ' + carry, '', '- ' + carry])}")
    if rng.random() < 0.6:
        lines.append(f"total = total + {rng.choice(made)}")
    if rng.random() < 0.6:
        lines.append(f"new.append({rng.choice(made)})")
    return lines


def source_of(seed):
    rng = random.Random(seed)
    lines = ["def f(x, p):", "    total, a, b, c, old = 0.0, x[0], p, 0.5, []"]
    for _ in range(rng.randint(1, 3)):
        lines += [f"    n, new = {rng.choice([5, 9, 12, 20, 33])}, []", f"    for i in {rng.choice(RANGES)}:"]
        lines += ["        " + line for line in body_of(rng, rng.choice(["i", "n-1-i", "2*i", "i+1"]))]
        lines.append("    old = new or old")
    return "\n".join([*lines, "    return total + a * b + c"])


def member(seed):
    """A function of the family and its arguments."""
    names = {"np": np}
    exec(source_of(seed), names)
    rng = np.random.default_rng(seed)
    return names["f"], rng.normal(size=80).astype(np.float32 if seed % 5 == 0 else np.float64), np.float64(rng.normal())


@settings
@hypothesis.given(st.integers(0, 10**9))
def test_replay_is_one_shot_bit_for_bit(seed):
    f, x, p = member(seed)
    with np.errstate(all="ignore"):
        replays(f, (x, p), ((x * 1.1).astype(x.dtype), p * 0.9))


@settings
@hypothesis.given(st.integers(0, 10**9))
def test_second_derivative_too(seed):
    f, x, p = member(seed)
    g = ft.grad(lambda x, p: (ft.grad(f)(x, p) * x).sum(), argnum=(0, 1))
    program = ft.trace(g, x, p)
    for point in ((x, p), ((x * 0.9).astype(x.dtype), -p)):
        same(program(*point), g(*point))


def test_the_family_is_rolled():
    """Guards the family itself: programs that are left as they are would test nothing."""
    loops = lanes = 0
    for seed in range(200):
        f, x, p = member(seed)
        names = entries(f, x, p)
        loops += "loop" in names
        lanes += "view" in names
    assert loops > 100 and lanes > 80


# ---- that loops are found

def rosenbrock(x):
    total = 0.0
    for i in range(len(x) - 1):
        total = total + 100.0 * (x[i + 1] - x[i] ** 2) ** 2 + (1.0 - x[i]) ** 2
    return total


def rosenbrock_unpacked(x):
    return sum(100.0 * (b - a**2) ** 2 + (1.0 - a) ** 2 for a, b in itertools.pairwise(x))


def rosenbrock_downwards(x):
    total = 0.0
    for i in reversed(range(len(x) - 1)):
        total = total + (x[i] - 1.0) ** 2 + 100.0 * (x[i + 1] - x[i] ** 2) ** 2
    return total


def recurrence(x):
    a = x[0]
    for i in range(len(x)):
        a = a * 0.5 + np.sin(a * x[i])
    return a


def fibonacci(x):
    """Two values are carried, one of them for two iterations."""
    a, b = x[0], x[1]
    for i in range(2, len(x)):
        a, b = b, 0.5 * (a + b) * x[i]
    return a + b


def lanes(x):
    """Apart from the sum, iterations know nothing of each other."""
    total = 0.0
    for i in range(len(x)):
        total = total + np.exp(np.sin(x[i]) * 0.5)
    return total


def down(x):
    total = 0.0
    for i in reversed(range(len(x) - 1)):
        total = total + x[i] * x[i + 1]
    return total


def even_and_odd(x):
    total = 0.0
    for i in range(0, len(x) - 1, 2):
        total = total + np.sin(x[i]) * x[i + 1]
    return total


def with_numbers(x):
    total = 0.0
    for i in range(len(x)):
        total = total + np.cos(0.1 * i * i) * x[i] * x[i]
    return total


def two_loops(x):
    """The second reads, lane by lane, what the first made."""
    made = [np.sin(x[i]) for i in range(len(x))]
    total = 0.0
    for i in range(len(x)):
        total = total + made[i] * x[i]
    return total


def two_loops_and_back(x):
    made = [np.sin(x[i]) for i in range(len(x))]
    total = 0.0
    for i, v in enumerate(reversed(made)):
        total = total * 0.9 + v * x[i]
    return total


ROLLED = [rosenbrock, rosenbrock_unpacked, rosenbrock_downwards, recurrence, fibonacci, lanes, down, even_and_odd,
          with_numbers, two_loops, two_loops_and_back]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("f", ROLLED)
def test_entries_do_not_grow_with_the_loop(f, dtype):
    counts = {}
    for n in (40, 400):
        x = np.random.default_rng(n).uniform(-1.0, 1.0, n).astype(dtype)
        program = replays(f, (x,), ((0.7 * x).astype(dtype),))
        counts[n] = len(kept(program)[0])
    assert counts[400] <= counts[40] + 4 < 160      # a few where the shorter is not worth a loop of its own


def test_memory_is_a_few_arrays():
    n = 10**5
    names, size = kept(ft.trace(ft.value_and_grad(rosenbrock), np.linspace(-1.0, 1.0, n)))
    assert len(names) < 120
    assert size < 8 * 8 * n             # x, the gradient, arrays of residuals; 300000 entries would take 96 n bytes


@pytest.mark.parametrize("count", range(1, 14))
def test_short_loops_are_left(count):
    """A loop of fewer than eight iterations costs more than it saves."""
    def f(x):
        total = 0.0
        for i in range(count):
            total = total + np.sin(x[i]) * x[i + 1]
        return total

    x = np.linspace(0.3, 1.7, 20)
    replays(f, (x,), (-x,))
    assert ("loop" in entries(f, x)) == (count >= 10)


def test_only_the_inner_of_two_loops_is_rolled():
    """A limit: the outer one is left on the tape, iteration by iteration."""
    def f(x, outer=12):
        total = x[0]
        for _ in range(outer):
            for j in range(30):
                total = total * 0.5 + np.sin(total + x[j])
            total = total * total
        return total

    x = np.linspace(0.3, 1.7, 30)
    replays(f, (x,), (-x,))
    names = entries(f, x)
    assert names.count("loop") >= 12 and len(names) < 12 * 20


def test_a_loop_that_a_guard_ends():
    def f(x):
        total = 0.0
        for i in range(len(x)):
            if x[i] > 3.0:
                break
            total = total + x[i] * x[i] * np.sin(x[i])
        return total

    x = np.linspace(0.0, 5.0, 100)
    program = replays(f, (x,), (x * 0.999,))
    names = entries(f, x)
    assert "loop" in names and names.count("sin") < 10
    for k in (3, 50, 59):
        other = x.copy()
        other[k] = 4.0
        with pytest.raises(ft.GuardError):
            program(other)
    compiled = ft.compile(f)
    for y in (x, other, x * 0.5, x):
        same(compiled(y), ft.vjp(f, y)[0])


def test_a_loop_within_a_branch_of_values():
    def f(x):
        total = 0.0
        for i in range(1, len(x)):
            total = total + (x[i] - x[i - 1]) ** 2
        return np.sqrt(total) if total > 1.0 else total

    for scale in (1.0, 1e-3):
        x = scale * np.random.default_rng(0).normal(size=50)
        replays(f, (x,), (x * 1.01,))


def test_period_that_starts_late_and_wraps():
    """Elements are read in steps of one until the index wraps: each stretch is a loop."""
    def f(x):
        total = 0.0
        for i in range(600):
            total = total * 0.5 + np.sin(x[i % 50] + total)
        return total

    x = np.linspace(0.3, 1.7, 50)
    replays(f, (x,), (-x,))
    assert len(entries(f, x)) < 600


def test_body_of_a_hundred_thousand_entries():
    """Its tables are larger than what malloc hands out itself."""
    def f(x):
        values = [x[k] for k in range(12)]
        for _ in range(11):
            for k in range(100_000):
                values[k % 12] = np.tanh(values[k * 7 % 12]) if k % 5 == 0 else values[k * 7 % 12] - 0.5 * values[k * 5 % 11]
        return sum(np.tanh(v) for v in values)

    x = np.linspace(0.3, 1.7, 12)
    program = ft.trace(f, x)
    same(program(-x), ft.vjp(f, -x)[0])


@pytest.mark.parametrize("seed", range(4))
def test_nothing_repeats(seed):
    rng = random.Random(seed)
    steps = [(rng.randrange(3), rng.randrange(20), rng.randrange(20)) for _ in range(2000)]

    def f(x):
        values = [x[k] for k in range(20)]
        for k, (op, i, j) in enumerate(steps):
            values[k % 20] = (values[i] * values[j], values[i] - 0.5 * values[j], np.sin(values[i]))[op]
        return sum(values)

    x = np.linspace(0.3, 1.7, 20)
    replays(f, (x,), (-x,))
