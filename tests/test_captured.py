"""What a traced function takes from around it: copied when it is traced; a later change is seen when it is traced again.
And static arguments, which are taken from the call in the same way."""
import dataclasses

import numpy as np
import pytest

import fasttape as ft

SCALE = 2.0
TABLE = np.array([1.0, 2.0, 3.0])
X = np.array([1.0, 10.0, 100.0])


def of_globals(x):
    return x * SCALE + TABLE


def test_globals(monkeypatch):
    f, program = ft.compile(of_globals), ft.trace(of_globals, X)
    first = of_globals(X)
    f(X)
    monkeypatch.setitem(globals(), "SCALE", 3.0)
    monkeypatch.setitem(globals(), "TABLE", np.zeros(3))
    for call in (f, program):
        np.testing.assert_array_equal(call(X), first)
    np.testing.assert_array_equal(f(X[:1]), X[:1] * 3.0 + np.zeros(3))      # another signature: traced now
    f.clear()
    np.testing.assert_array_equal(f(X), of_globals(X))
    np.testing.assert_array_equal(program(X), first)


USES = {
    "number": lambda x, c: x * c[1], "operand": lambda x, c: x + c[:3], "turned": lambda x, c: x - c[2::-1], "product": lambda x, c: np.outer(x, c) @ c,
    "written": lambda x, c: ft.numpy.array([x[0], c[0], c[-1]]), "result": lambda x, c: (x, c), "part of a result": lambda x, c: (x, c[::2]),
    "mask": lambda x, c: np.where(c[:3] > 0.5, x, 0.0), "places": lambda x, c: x[c.astype(int) % 3], "whole": lambda x, c: c.astype(int),
    "power": lambda x, c: x ** c[:3], "gradient": lambda x, c: ft.grad(lambda y: np.sum(y * c[:3] + np.sum(c)))(x),
}


@pytest.mark.parametrize("n", [3, 5000])                # copied, or held as long as the trace lasts
@pytest.mark.parametrize("layout", [np.array, lambda c: np.repeat(c, 2)[::2], lambda c: c.astype(">f8"), lambda c: c.astype(np.float32),
                                    lambda c: np.asfortranarray(np.stack([c, c]))[0]])
@pytest.mark.parametrize("use", USES)
def test_arrays_that_are_closed_over(use, layout, n):
    c = layout(np.linspace(0.0, 2.0, n))

    def f(x):
        return USES[use](x, c)

    def same(a, b):
        for p, q in zip(*((y if isinstance(y, tuple) else (y,)) for y in (a, b)), strict=True):
            np.testing.assert_allclose(p, q, rtol=1e-6 if c.dtype == np.float32 else 1e-12)
    compiled, program = ft.compile(f), ft.trace(f, X)
    first = [np.array(y) for y in np.atleast_1d(f(X))] if not isinstance(f(X), tuple) else tuple(np.array(y) for y in f(X))
    first = np.stack(first) if isinstance(first, list) else first
    same(compiled(X), first)
    before = compiled(X)
    c[...] = c[::-1] + 1.0
    for call in (compiled, program):
        same(call(X), first)
        for p, q in zip(*((y if isinstance(y, tuple) else (y,)) for y in (call(X), before)), strict=True):
            np.testing.assert_array_equal(p, q)
    compiled.clear()
    same(compiled(X), f(X))
    assert c.flags.writeable


class Model:
    def __init__(self, w):
        self.w = w

    @ft.compile
    def predict(self, x):
        return x * self.w


@dataclasses.dataclass
class Record:
    w: object

    @ft.compile
    def predict(self, x):
        return x * self.w


def test_attributes_of_self():
    """Of an object they are fixed, as the object is; a dataclass is a tree, whose floats are arguments."""
    Model.predict.clear()
    Record.predict.clear()
    model, record = Model(TABLE.copy()), Record(TABLE.copy())
    for one in (model, record):
        np.testing.assert_array_equal(one.predict(X), X * TABLE)
        one.w = TABLE * 2
    np.testing.assert_array_equal(model.predict(X), X * TABLE)
    np.testing.assert_array_equal(record.predict(X), X * TABLE * 2)
    Model.predict.clear()
    np.testing.assert_array_equal(model.predict(X), X * TABLE * 2)
    np.testing.assert_array_equal(Model(TABLE).predict(X), X * TABLE)       # another object
    assert len(Record.predict.programs) == 1 and len(Model.predict.programs) == 2


def test_what_is_read_by_a_path_is_read_when_that_path_is_traced():
    c = [1.0]
    f = ft.compile(lambda x: x + c[0] if x > 0 else x - c[0])
    assert f(1.0) == 2
    c[0] = 5.0
    assert f(1.0) == 2 and f(-1.0) == -6 and f(2.0) == 3


def test_an_argument_that_is_closed_over_too():
    """As an argument it is what it is now, as a constant what it was."""
    x = np.array([1.0, 2.0])
    f = ft.compile(lambda y: y * 10 + x)
    np.testing.assert_array_equal(f(x), [11, 22])
    x += 1
    np.testing.assert_array_equal(f(x), [21, 32])


def test_a_change_of_what_is_captured_in_the_function_itself():
    """Happens when it is traced, as all of Python's doings."""
    count = [0]

    @ft.compile
    def f(x):
        count[0] += 1
        return x + count[0]
    assert [f(1.0), f(2.0), f(3.0)] == [2, 3, 4] and count == [1]


# ---- static arguments

def scaled(x, a, b=None):
    return x * a if b is None else x * a + b


@pytest.mark.parametrize("static, calls, programs", [
    (1, [((X, 2.0), {}), ((X, 3.0), {}), ((X, 2.0), {})], 2), ("a", [((X,), {"a": 2.0}), ((X,), {"a": 3.0})], 2),
    ((1, "b"), [((X, 2.0), {"b": 1.0}), ((X, 2.0), {"b": 2.0}), ((X, 3.0), {"b": 2.0})], 3), (-1, [((X, 2.0), {}), ((X, 3.0), {})], 2),
    (1, [((X, TABLE), {}), ((X, TABLE * 2), {}), ((X, TABLE + 0), {}), ((X, TABLE.astype(np.float32)), {})], 3),
    (1, [((X, 0.0), {}), ((X, -0.0), {}), ((X, np.nan), {}), ((X, np.float64(0)), {}), ((X, float("nan")), {})], 4),
    (1, [((X, 1.0), {}), ((X, 1), {}), ((X, True), {}), ((X, np.float32(1)), {}), ((X, np.longdouble(1)), {})][:4], 4),
    ((), [((X, 2.0), {}), ((X, 3.0), {}), ((X, -0.0), {})], 1), ([1], [((X, 2.0), {})], 1), ({7, "z"}, [((X, 2.0), {}), ((X, 3.0), {})], 1)])
def test_static_arguments(static, calls, programs):
    f = ft.compile(scaled, static=static)
    for _ in range(2):
        for args, kwargs in calls:
            found, wanted = f(*args, **kwargs), scaled(*args, **kwargs)
            np.testing.assert_array_equal(np.signbit(found), np.signbit(wanted))
            np.testing.assert_array_equal(found, wanted, strict=True)
    assert len(f.programs) == programs


def test_static_arguments_are_plain_values():
    seen = []

    @ft.compile(static=(1, "options"))
    def f(x, n, options):
        seen.append((n, options))
        n[0] += 1.0                             # a copy: the caller's is as it was
        return x * n[0]
    n, options = np.array([1.0, 2.0]), {"w": [1.0, (2.0, None)], "r": Record(3.0), "c": 1j, "l": np.longdouble(1) / 3}
    assert f(1.0, n, options=options) == 2 and f(1.0, n, options=options) == 2
    np.testing.assert_array_equal(n, [1, 2])
    assert len(seen) == 1 and seen[0][1] == options and type(seen[0][1]["r"].w) is float
    f(1.0, n, options={**options, "r": Record(4.0)})
    f(1.0, n, options={**options, "l": np.longdouble(1) / 3 + np.finfo(np.longdouble).eps})
    f(1.0, np.array([1.0, -2.0]), options=options)
    assert len(seen) == 4
    with pytest.raises(TypeError, match="may change without notice"):
        f(1.0, {1.0}, options=options)
    with pytest.raises(TypeError, match="Python objects"):
        f(1.0, np.array([None]), options=options)
