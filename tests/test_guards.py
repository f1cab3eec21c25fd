"""Guards: whatever Python saw of a value is met again, or the path is another. Each kind is flipped, one guard at a time."""
import collections
import functools
import gc
import math
import random
import tracemalloc
import warnings

import numpy as np
import pytest

import fasttape as ft
from fasttape._core import compiled
from fasttape.program import Program


def caught_int(x):
    try:
        return int(x)
    except (ValueError, OverflowError) as error:
        return 7 if isinstance(error, ValueError) else 9


def asserted(x):
    try:
        assert x[0] > 0
    except AssertionError:
        return 2
    return 3


def bisected(x):
    low, n = 0.0, 0
    while low < x:
        low, n = low + 0.75, n + 1
    return n


def counted(f):
    """f, and the list of its calls."""
    calls = []

    @functools.wraps(f)
    def counting(*args):
        calls.append(args)
        return f(*args)
    return counting, calls


# of an array of three numbers, what Python sees; and values at which it sees as many different things
LOOKS = {
    "if": (lambda x: 2 if x[0] > 0 else 3, [1, -1]), "nan": (lambda x: 2 if x[0] == x[0] else 3, [1, np.nan]),
    "assert": (asserted, [1, -1]), "while": (lambda x: bisected(x[0]), [0, 0.5, 1, 3]),
    "element": (lambda x: 2 if x[0] else 3, [1, 0]), "int": (lambda x: int(x[0]), [1.5, 2.5, -1.5]),
    "int that may raise": (lambda x: caught_int(x[0]), [1.5, np.nan, np.inf, 2.5]), "round": (lambda x: round(x[0]), [0.4, 0.6, 1.6]),
    "floor": (lambda x: math.floor(x[0]), [0.5, -0.5, 1.5]), "ceil": (lambda x: math.ceil(x[0]), [0.5, -0.5, 1.5]),
    "trunc": (lambda x: math.trunc(x[0]), [0.5, 1.5]), "any": (lambda x: 2 if (x > 2).any() else 3, [1, 3]),
    "all": (lambda x: 2 if np.all(x > 0) else 3, [1, -3]), "value": (lambda x: ft.value(x[0]), [0.0, -0.0, 1, np.nan]),
    "values": (lambda x: float(np.sum(ft.value(x))), [1.5, 2.5]), "argmax": (lambda x: x[np.argmax(x)], [0.25, 3]),
    "argmin": (lambda x: x[x.argmin()], [0.25, 0.75]), "mask": (lambda x: np.sum(x[x > 0.5]), [1, 0.25]),
    "mask by ~": (lambda x: np.sum(x[~(x > 0.5)]), [1, 0.25]), "nonzero": (lambda x: np.sum(x[np.nonzero(x > 0.5)]), [1, 0.25]),
    "where": (lambda x: np.sum(x[np.where(x > 0.5)[0]]), [1, 0.25]), "places": (lambda x: np.sum(x[x.astype(int)]), [1, 2.5, 0.5]),
    "index": (lambda x: x[int(x[0])], [1, 2.5, 0.5]), "slice": (lambda x: np.sum(x[:int(x[0])]), [1, 2.5, 0.5]),
    "chain": (lambda x: 2 if 0 < x[0] < 1 else 3 if 1 <= x[0] < 2 else 4, [0.5, 1.5, 3, -1]),
    "in a list": (lambda x: 2 if x[0] in [1.0, 2.0, 3.0] else 3, [1, 2, 3, 5]), "in an array": (lambda x: 2 if 1.0 in x else 3, [1, 2]),
    "traced, in an array": (lambda x: 2 if x[0] + 0.25 in x else 3, [1, 0.5]),
    "sorted": (lambda x: sorted(x)[0] * 2 + sorted(x)[2], [1, -1, 0.6]), "max": (lambda x: max(x), [1, 0.1]),
    "min": (lambda x: min(x[0], 0.5, x[1]), [1, 0.1]), "not": (lambda x: 2 if not x[0] else 3, [1, 0.0]),
    "and, or": (lambda x: (x[0] and x[1]) or 3, [1, 0.0]), "isnan": (lambda x: 2 if np.isnan(x[0]) else 3, [1, np.nan]),
    "signbit": (lambda x: 2 if np.signbit(x[0]) else 3, [0.0, -0.0]), "float": (lambda x: float(ft.stop_gradient(x[0])), [1, 2, -0.0, 0.0]),
    "math": (lambda x: math.cos(ft.stop_gradient(x[0])), [1, 2]), "range": (lambda x: sum(x[0] for _ in range(int(x[0]))), [1, 3]),
    "key": (lambda x: {True: 2.0, False: 3.0}[bool(x[0] > 0)], [1, -1]), "filter": (lambda x: sum(v for v in x if v > 0.5), [1, 0.25]),
    "array_equal": (lambda x: 2 if np.array_equal(x, [1, 0.75, 0.5]) else 3, [1, 2]), "sign": (lambda x: int(np.sign(x[0])), [1, 0.0, -1]),
    "size": (lambda x: np.ones(int(np.sum(x > 0.6))).sum() + x[0], [1, 0.25]),
}


def looked(look):
    """A function of one look: its value counts in the result, beside the values."""
    def f(x):
        seen = look(x)
        return np.sum(np.sin(x) * seen) + seen
    return f


def at(v):
    return np.array([v, 0.75, 0.5])


def assert_bits(found, wanted):
    found, wanted = np.asarray(found), np.asarray(wanted)
    assert found.dtype == wanted.dtype and found.tobytes() == wanted.tobytes()


def one_shot(f, *x):
    return ft.vjp(f, *x)[0]


@pytest.mark.parametrize("name", LOOKS)
def test_each_look_flipped(name):
    look, values = LOOKS[name]
    f, calls = counted(looked(look))
    wanted = [one_shot(f, at(v)) for v in values]
    g = ft.compile(f)
    calls.clear()
    for count, (v, y) in enumerate(zip(values, wanted)):
        assert_bits(g(at(v)), y)
        assert len(g.programs) == count + 1 <= len(calls)
    calls.clear()
    order = [k % len(values) for k in range(3 * len(values))]
    random.Random(0).shuffle(order)
    for k in order:
        assert_bits(g(at(values[k])), wanted[k])
    assert not calls and len(g.programs) == len(values)


@pytest.mark.parametrize("name", LOOKS)
def test_each_look_flipped_under_derivatives(name):
    look, values = LOOKS[name]
    f = looked(look)
    transforms = [ft.grad(f), ft.value_and_grad(f), ft.hessian(f), ft.jacobian(f, mode="forward"), ft.jacobian(f, mode="reverse"),
                  lambda x: ft.jvp(f, x, x * 2), lambda x: ft.vjp(f, x)[1](2.0), lambda x: ft.hvp(f, x, x), ft.jacobian(ft.grad(f), mode="reverse")]
    for transform in transforms:
        g = ft.compile(transform)
        for v in values + values[::-1]:
            wanted, found = transform(at(v)), g(at(v))
            for a, b in zip(*((y if isinstance(y, tuple) else (y,)) for y in (found, wanted)), strict=True):
                np.testing.assert_array_equal(a, b, strict=True)
        assert len(g.programs) == len(values)


@pytest.mark.parametrize("name", LOOKS)
def test_a_bare_program_names_the_line(name):
    look, values = LOOKS[name]

    def f(x):
        seen = look(x)
        return np.sum(x * seen)
    for k, v in enumerate(values):
        program = ft.trace(f, at(v))
        assert_bits(program(at(v)), one_shot(f, at(v)))
        for other in values[:k] + values[k + 1:]:
            with pytest.raises(ft.GuardError, match=rf"^f: .*{__file__}:(\d+); with these arguments it is") as error:
                program(at(other))
            code = (look.__code__, caught_int.__code__, asserted.__code__, bisected.__code__)
            line = int(str(error.value).partition(__file__ + ":")[2].partition(";")[0])
            assert any(line in [n for _, _, n in c.co_lines()] for c in code)
        assert_bits(program(at(v)), one_shot(f, at(v)))


def branches(x):
    """Eight guards, one a line, each of its own element."""
    y = np.sum(x)
    if x[0] > 0:
        y = y * 2
    if x[1] > 0:
        y = y + x[1]
    y = y - 3 if x[2] > 0 else y * x[2]
    while x[3] > 0:
        y, x = y * 0.5, x - np.array([0, 0, 0, 1.0, 0, 0, 0, 0])
    y = y * (1 if x[4] > 0 else 5)
    y = y + np.sin(y) if x[5] > 0 else y
    y = [y, -y][int(x[6] > 0)]
    return y * 3 if x[7] > 0 else y - 1


LINES = [branches.__code__.co_firstlineno + n for n in (3, 5, 7, 8, 10, 11, 12, 13)]


@pytest.mark.parametrize("k", range(8))
def test_the_guard_that_is_flipped_is_the_one_named(k):
    x = np.full(8, -0.5)
    y = x.copy()
    y[k] = 0.5
    f, calls = counted(branches)
    g, program = ft.compile(f), ft.trace(branches, x)
    assert_bits(g(x), one_shot(branches, x))
    with pytest.raises(ft.GuardError, match=rf"{__file__}:{LINES[k]}; with these arguments it is (True|1)"):
        program(y)
    assert_bits(g(y), one_shot(branches, y))
    assert len(g.programs) == len(calls) == 2
    for v in (x, y, y, x):
        assert_bits(g(v), one_shot(branches, v))
    assert len(calls) == 2
    assert_bits(program(x), one_shot(branches, x))


@pytest.mark.parametrize("f, words", [
    (lambda x: x * int(x), "int gave 1 at .*; with these arguments it is 2"), (lambda x: x if x > 2 else -x, "bool gave False at .* it is True"),
    (lambda x: x * round(x), "a look at a value gave 1 at"), (lambda x: x * ft.value(x), r"a value was np.float64\(1.0\) at"),
    (lambda x: ft.numpy.array([x, 1])[ft.numpy.array([x, 1]) > 1], "an array that the function looked into was another")])
def test_what_a_bare_program_says(f, words):
    with pytest.raises(ft.GuardError, match=f"^<lambda>: this program took the path on which {words}"):
        ft.trace(f, 1.0)(2.5 if "True" in words else 2.0)


def test_what_is_raised_by_a_look_is_an_outcome():
    program = ft.trace(lambda x: x * caught_int(x), 1.5)
    with pytest.raises(ft.GuardError, match="int gave 1 at .*; with these arguments it is ValueError"):
        program(np.nan)
    program = ft.trace(lambda x: x * caught_int(x), np.inf)
    with pytest.raises(ft.GuardError, match="int gave OverflowError.* at .*; with these arguments it is 2"):
        program(2.0)


def test_all_paths():
    f, calls = counted(branches)
    g = ft.compile(f)
    order = list(range(256)) * 2
    random.Random(1).shuffle(order)
    with pytest.warns(RuntimeWarning, match="32 paths"):
        for bits in order:
            x = np.array([0.5 if bits >> k & 1 else -0.5 for k in range(8)])
            assert_bits(g(x), one_shot(branches, x))
    assert len(calls) == len(g.programs) == 256


def test_as_many_traces_as_counts():
    def halved(x):
        n = 0
        while x > 1:
            x, n = x * 0.5, n + 1
        return x + n
    f, calls = counted(halved)
    g = ft.compile(f)
    counts = list(range(51)) * 3
    random.Random(2).shuffle(counts)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for n in counts:
            x = 0.75 * 2.0**n
            assert_bits(g(x), one_shot(halved, x))
    assert len(calls) == len(g.programs) == 51


def test_what_does_not_depend_on_inputs_is_no_guard():
    constant = np.array([1.0, 2.0])

    def f(x):
        y = ft.stop_gradient(x) * 0 + x
        if (ft.numpy.array(constant) > 0).all() and x.shape[0] > 1 and len(x) == 2 and x.ndim == 1 and y.dtype == float:
            return y * 2
        return y
    g = ft.compile(f)
    for v in (1.0, -1.0, np.nan):
        np.testing.assert_array_equal(g(np.full(2, v)), np.full(2, v) * 2 if v == v else np.full(2, np.nan))
    assert len(g.programs) == 1


def test_one_value_is_one_guard():
    """However often it is looked at."""
    def f(x):
        positive = x > 0
        for _ in range(50):
            x = x + 1.0 if positive else x - 1.0
        return x
    g = ft.compile(f)
    assert g(1.0) == 51 and g(-1.0) == -51 and g(2.0) == 52 and len(g.programs) == 2


def limited(f, limit):
    return compiled.Compiled(Program, f, None, limit)


def test_the_number_of_kept_programs_is_bounded():
    def f(x, n=0):
        return x * int(x)
    g = limited(f, 8)
    used = collections.Counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(2):
            for k in range(500):
                assert g(float(k)) == k * k
                assert len(g.programs) <= 8
                used[len(g.programs)] += 1
        gc.collect()
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        for k in range(2000):
            g(float(k))
        for k in range(500):
            g(2.0, k)
            assert len(g.programs) <= 64
        gc.collect()
        after = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
    assert used[8] > 900 and after - before < 200_000


def test_the_program_used_last_is_kept():
    calls = []

    def f(x):
        calls.append(x)
        return x * int(x)
    g = limited(f, 3)
    for v in (1.0, 2.0, 3.0, 1.0, 4.0, 1.0, 5.0, 1.0):      # 1 is used between all others
        assert g(v) == v * v
    assert len(calls) == 5


def test_a_function_that_does_not_do_the_same_is_an_error():
    flip = [0]

    @ft.compile
    def f(x):
        flip[0] += 1
        return x if (x + flip[0] > 100) == (flip[0] % 2 == 0) else -x
    assert f(1.0) == 1 and f(2.0) == 2          # the closure was read when it was traced, once
    assert len(f.programs) == flip[0] == 1
