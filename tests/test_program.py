"""What a Program takes and returns: trees, numbers and arrays of every kind; results that belong to the caller."""
import collections
import dataclasses
import math
import operator
from typing import Any, NamedTuple

import numpy as np
import pytest

import fasttape as ft


class Pair(NamedTuple):
    first: Any
    second: Any


@dataclasses.dataclass(frozen=True, slots=True)
class Frozen:
    a: Any
    b: Any = 2.0


@dataclasses.dataclass
class Checked:
    a: Any

    def __post_init__(self):
        assert isinstance(self.a, np.ndarray)


class Kin(np.ndarray):
    pass


X = np.arange(12.0).reshape(3, 4) * 0.5 + 0.25
TREES = {
    "tuple": (1.5, X), "list": [X, [1.5, [X[0]]]], "dict": {"b": X, "a": 2.0, 3: {"c": X[:0]}},
    "ordered": collections.OrderedDict(b=1.0, a=X), "named": Pair(X, Pair(1.0, ())), "frozen": Frozen(X, [Frozen(1.0)]),
    "checked": Checked(X), "empty": ((), [], {}, X[:, :0]), "fixed": (1, True, None, "s", b"b", 1.0),
    "mixed": {"w": [(X, X[0].astype(np.float32)), {"n": 3, "p": Pair(np.float32(2), np.float64(3))}]},
}


def leaves(x):
    """The numbers and arrays of a tree."""
    if dataclasses.is_dataclass(x):
        x = [getattr(x, field.name) for field in dataclasses.fields(x)]
    if isinstance(x, dict):
        x = list(x.values())
    return [leaf for part in x for leaf in leaves(part)] if isinstance(x, (tuple, list)) else [x]


def mapped(f, x):
    """The tree with its floats and float arrays mapped."""
    if dataclasses.is_dataclass(x):
        made = object.__new__(type(x))
        for field in dataclasses.fields(x):
            object.__setattr__(made, field.name, mapped(f, getattr(x, field.name)))
        return made
    if isinstance(x, dict):
        return type(x)((key, mapped(f, part)) for key, part in x.items())
    if isinstance(x, tuple):
        return x._make(mapped(f, part) for part in x) if hasattr(x, "_make") else tuple(mapped(f, part) for part in x)
    if isinstance(x, list):
        return [mapped(f, part) for part in x]
    return f(x) if isinstance(x, (float, np.floating, np.ndarray, ft.Array)) else x


def structure(x):
    """Of a tree, all but its numbers."""
    return mapped(lambda leaf: (np.shape(leaf), np.asarray(leaf).dtype), x)


def assert_same(found, wanted):
    assert structure(found) == structure(wanted)
    for a, b in zip(leaves(found), leaves(wanted), strict=True):
        assert np.array_equal(a, b) if isinstance(b, np.ndarray) else a == b


@pytest.mark.parametrize("name", TREES)
def test_trees(name):
    tree, other = TREES[name], mapped(lambda x: x + 1, TREES[name])
    program = ft.trace(lambda t: (mapped(lambda x: x * 2, t), t), tree)
    for x in (tree, other):
        found = program(x)
        assert_same(found, (mapped(lambda leaf: leaf * 2, x), x))
        assert_same(ft.compile(lambda t: mapped(lambda leaf: leaf * 2, t))(x), mapped(lambda leaf: leaf * 2, x))
        arrays = [leaf for leaf in leaves(found) + leaves(x) if isinstance(leaf, np.ndarray) and leaf.size]
        assert not any(np.shares_memory(a, b) for k, a in enumerate(arrays) for b in arrays[:k] if a is not b
                       and not (any(a is leaf for leaf in leaves(x)) and any(b is leaf for leaf in leaves(x))))


LAYOUTS = {
    "as it is": X, "Fortran": np.asfortranarray(X), "transposed": np.ascontiguousarray(X.T).T, "turned": X[::-1, ::-1].copy()[::-1, ::-1],
    "strided": np.repeat(np.repeat(X, 2, 0), 3, 1)[::2, ::3], "swapped": X.astype(">f8"), "kin": X.view(Kin),
    "unaligned": np.frombuffer(b"\0" + X.tobytes(), np.uint8)[1:].view(np.float64).reshape(3, 4),
    "read-only": np.broadcast_to(X, (1, 3, 4))[0], "broadcast": np.broadcast_to(X[:1], (3, 4)),
}


@pytest.mark.parametrize("traced_with", LAYOUTS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_layouts_are_one_form(traced_with, dtype):
    def f(x):
        x = x * 1.0
        x[1:] += x[:-1]
        return x @ x.T, x.sum(axis=0), x[::-1]
    for layout in (traced_with, "as it is"):
        kept = LAYOUTS[layout] if dtype == np.float64 else LAYOUTS[layout].astype(LAYOUTS[layout].dtype.str.replace("8", "4"))
        program = ft.trace(f, kept)
        for name in LAYOUTS:
            x = LAYOUTS[name] if dtype == np.float64 else LAYOUTS[name].astype(LAYOUTS[name].dtype.str.replace("8", "4"), order="K")
            before, flags = x.tobytes(), x.flags.writeable
            wanted = [ft.vjp(lambda x, k=k: f(x)[k], np.array(x, dtype))[0] for k in range(3)]
            for a, b in zip(program(x), wanted, strict=True):
                assert type(a) is np.ndarray
                np.testing.assert_array_equal(a, b, strict=True)
            assert x.tobytes() == before and x.flags.writeable == flags


@pytest.mark.parametrize("x", [X.view(np.matrix), np.ma.array(X), np.array([1.0, None]), np.zeros(2, np.float16),
                               np.zeros(2, np.longdouble), np.zeros(2, complex), np.array(["a"]), np.zeros(2, "M8[s]"),
                               np.zeros(2, [("a", float)]), np.float16(1), np.longdouble(1), 1j, np.complex64(1), {1.0}, {1.0: {2}},
                               collections.deque(), bytearray(2), collections.Counter("a")],
                         ids=lambda x: f"{type(x).__name__} {getattr(x, 'dtype', '')}")
def test_refused_arguments(x):
    for call in (lambda: ft.trace(lambda x: 1.0, x), lambda: ft.compile(lambda x: 1.0)([{"a": x}]),
                 lambda: ft.trace(lambda x: 1.0, X)(x)):
        with pytest.raises(TypeError):
            call()


def test_a_list_that_holds_itself_is_an_error():
    x = [1.0]
    x.append(x)
    deep = 1.0
    for _ in range(100_000):
        deep = [deep]
    for tree in (x, deep):
        with pytest.raises(RecursionError):
            ft.compile(lambda x: 1.0)(tree)
        with pytest.raises(RecursionError):
            ft.trace(lambda x: tree, 1.0)
    assert ft.compile(lambda x: x)(1.0) == 1.0


def test_what_is_fixed_is_told_apart_by_type_and_bits():
    """Many of these are equal, and hash alike."""
    fixed = [1, True, np.int64(1), np.int32(1), np.True_, "1", b"1", None, 0, False, (1,), (True,), (1.0,), frozenset({1}), frozenset({True}),
             frozenset({0.0}), frozenset({-0.0}), slice(1), slice(0, 1), slice(1, 0), math.sin, math.cos, int, np.array([1]), np.array([True]),
             np.array([1], ">i8"), np.array([1], np.int32), np.array([[1]]), np.array(1), np.array([], int), np.array([], bool)]
    traced = []

    @ft.compile
    def f(x, n):
        traced.append(n)
        return x
    for _ in range(2):
        for n in fixed:
            f(1.0, n)
    assert len(traced) == len(fixed) == len(f.programs)
    for a, b in zip(traced, fixed):
        assert type(a) is type(b) and repr(a) == repr(b) or isinstance(a, tuple)


def test_numbers_of_one_form():
    program = ft.trace(lambda x: x * 3, np.float64(1))
    for x in (np.float64(2), np.array(2.0), np.array(2.0, ">f8")):
        assert program(x) == 6 and type(program(x)) is np.float64
    narrow = ft.trace(lambda x: x * 3, np.float32(1))
    for x in (np.float32(2), np.array(2, np.float32), np.array(2, ">f4")):
        assert narrow(x) == 6 and type(narrow(x)) is np.float32


CAPTURED = np.arange(3.0)
PLACES = np.arange(3)


@pytest.mark.parametrize("f", [
    lambda x: x, lambda x: (x, x), lambda x: [x, x[::-1], x.T, x.reshape(3, 1), x[1:]], lambda x: (x * 2,) * 3, lambda x: CAPTURED,
    lambda x: (CAPTURED, CAPTURED[1:], x * CAPTURED), lambda x: PLACES, lambda x: {"a": PLACES, "b": PLACES}, lambda x: np.ones(3),
    lambda x: (np.array([True, False]), np.array(3)), lambda x: np.zeros(0), lambda x: (lambda y: (y, y[1:], y))(x + 1),
    lambda x: np.broadcast_to(x, (2, 3)), lambda x: ft.grad(lambda x: x.sum())(x), lambda x: ft.grad(lambda x: (x * CAPTURED).sum())(x)])
def test_results_belong_to_the_caller(f):
    """They may be written to, which changes nothing: not each other, nor arguments, captured arrays or later results."""
    x = np.array([1.0, 2.0, 3.0])
    wanted = [np.array(y) for y in leaves(f(x))]
    for call in (ft.trace(f, x), ft.compile(f)):
        for _ in range(3):
            found = [y for y in leaves(call(x)) if isinstance(y, np.ndarray)]
            for a, b in zip(found, wanted, strict=True):
                np.testing.assert_array_equal(a, b, strict=True)
            for k, y in enumerate(found):
                y[...] = 7 + k
            for k, y in enumerate(found):
                assert np.all(y == np.asarray(7 + k).astype(y.dtype))
            np.testing.assert_array_equal(x, [1, 2, 3])
            np.testing.assert_array_equal(CAPTURED, [0, 1, 2])
            np.testing.assert_array_equal(PLACES, [0, 1, 2])


def test_results_that_are_not_traced():
    y = (None, "s", b"b", 3, True, 2.5, np.float32(2), np.int64(3), np.True_, [], (), {}, Pair(1, None), Frozen(None))
    found = ft.trace(lambda x: y, 1.0)(2.0)
    assert found == y and [type(a) for a in found if not isinstance(a, float)] == [type(b) for b in y if not isinstance(b, float)]


@pytest.mark.parametrize("y", [1j, np.float16(1), np.zeros(2, np.float16), {1}, math.sin, np.longdouble(1), ..., np.array([None])])
def test_results_that_are_refused(y):
    with pytest.raises(TypeError, match="the function returned"):
        ft.trace(lambda x: [x, y], 1.0)


def change(x, d, n, items):
    x *= 2
    x[1:] += d["a"][:-1]
    d["a"][0] = x[2]
    d["new"] = x
    n[0] = 5
    items.append(x[0] * n[1])
    return x, d, n, items


def test_arguments_are_never_modified():
    def make():
        return np.array([1.0, 2.0, 3.0]), {"a": np.array([4.0, 5.0, 6.0])}, np.array([1, 2]), [1.0]
    plain = make()
    wanted = change(*plain)
    for call in (ft.trace(change, *make()), ft.compile(change)):
        for _ in range(3):
            x = make()
            assert_same(call(*x), wanted)
            assert_same(x, make())
    x = np.ones(3)                              # one array, twice: as two, of which one is changed
    for _ in range(2):
        np.testing.assert_array_equal(ft.compile(lambda a, b: (operator.iadd(a, 1.0), b)[1])(x, x), x)



@pytest.mark.parametrize("other, message", [
    (((X[0], 1.0),), r"argument 0\[0\] is float64\[4\], and was float64\[3, 4\]"),
    (((X.astype(np.float32), 1.0),), r"argument 0\[0\] is float32\[3, 4\], and was float64\[3, 4\]"),
    (((X, 1),), r"argument 0\[1\] is 1, and was float"), (([X, 1.0],), r"argument 0 is \[.*\], and was \(.*\)"),
    (((X,),), "argument 0 has 1 parts, and had 2"), (((X, "s"),), r"argument 0\[1\] is 's', and was float"),
    (((X, 1.0), 2), "there are 2 positional arguments, and were 1"), ((), "there are 0 positional arguments, and were 1"),
    (((X, None),), r"argument 0\[1\] is None"), (((X, ft),), r"argument 0\[1\] is <module"), (((X, {1}),), r"argument 0\[1\] is a set")])
def test_wrong_positional_arguments(other, message):
    program = ft.trace(lambda t: t[0] * t[1], (X, 1.0))
    with pytest.raises(TypeError, match=message):
        program(*other)


@pytest.mark.parametrize("other, message", [
    ({"b": X}, r"the keywords are \['b'\], and were \['a', 'n'\]"), ({"a": {"x": X}, "n": 3}, r"argument a=\['x'\] is float64"),
    ({"a": {"y": 1.0}, "n": 3}, r"argument a= has the names \['y'\], and had \['x'\]"), ({"a": {"x": 1.0}, "n": 4}, "argument n= is 4, and was 3"),
    ({"a": {"x": 1.0}, "n": np.arange(2)}, r"argument n= is int64\[2\] fixed, and was 3")])
def test_wrong_keyword_arguments(other, message):
    program = ft.trace(lambda a, n: a["x"] * n, a={"x": 1.0}, n=3)
    assert program(a={"x": 2.0}, n=3) == 6.0
    with pytest.raises(TypeError, match=message):
        program(**other)


def test_other_elements_of_a_fixed_array_are_named():
    program = ft.trace(lambda x, i: x[i], X, np.array([0, 2]))
    np.testing.assert_array_equal(program(X, np.array([0, 2])), X[[0, 2]])
    with pytest.raises(TypeError, match=r"argument 1 is int64\[2\] fixed, of other elements"):
        program(X, np.array([0, 1]))
    with pytest.raises(TypeError, match="bool"):
        program(X, np.array([True, False]))
