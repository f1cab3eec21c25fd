"""Batches: each lane as a call alone, to the bit but for products of matrices; in, around and within derivatives."""
import concurrent.futures
import dataclasses
import subprocess
import sys
from pathlib import Path

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
import test_programs

import fasttape as ft
from fasttape import vmap
from fasttape._core.stretches import lengths_kept

RNG = np.random.default_rng(7)
V, M, W, T = RNG.normal(size=5), RNG.normal(size=(4, 5)), RNG.normal(size=(5, 3)), RNG.normal(size=(3, 4, 5))


def set_in_place(x):
    x = x.copy()
    x[1:3] = x[:2] * 2.0
    x[0] = 5.0
    x[4] = x[3] * x[0]
    return x


def called_twice(x, y):
    inner = ft.trace(lambda x, y: np.sin(x) * y, V, 0.5)
    return inner(x, y) * inner(x, 2.0)


EXACT = {
    "number": (lambda x: np.sin(x) * x, (0.3,)),
    "powers": (lambda x, y: x**2 + np.abs(y) ** x - np.arctan2(x, y), (0.3, 0.4)),
    "array": (lambda x: np.sin(x) * x, (V,)),
    "sum": (lambda x: np.sum(np.sin(x) * x), (V,)),
    "long sum": (lambda x: np.sum(np.sin(x) * x), (RNG.normal(size=50),)),
    "very long sum": (lambda x: np.sum(np.sin(x) * x), (RNG.normal(size=3000),)),
    "sum of a view": (lambda x: np.sum(x[::2]) + np.sum(x[1::2] * 2.0), (RNG.normal(size=70),)),
    "sum over columns": (lambda x: np.sum(np.sin(x) * x, axis=0), (RNG.normal(size=(20, 3)),)),
    "sum over rows": (lambda x: np.sum(np.sin(x) * x, axis=1), (RNG.normal(size=(3, 20)),)),
    "sum over two axes": (lambda x: np.sum(np.sin(x) * x, axis=(0, 2)), (T,)),
    "sum of what is transposed": (lambda x: np.sum(x.T, axis=0) + np.sum(x.transpose()[1:], axis=(0, 1)), (M,)),
    "mean and deviation": (lambda x: x.mean() + x.std() * x.var(axis=0), (M,)),
    "largest": (lambda x: x.max() - x.min(axis=0), (M,)),
    "elements": (lambda x: x[0] * x[1] + x[2:].sum(), (V,)),
    "regions": (lambda x: x[::-1][1:4], (V,)),
    "transposed": (lambda x: x.T[1:4] * x[0, 0], (M,)),
    "reshaped": (lambda x: np.reshape(x.T, (2, 10))[1] + np.ravel(x)[:10], (M,)),
    "chosen": (lambda x, y: np.where(x > y, x, y * 2.0), (V, V)),
    "clipped": (lambda x, y: np.clip(x, -0.5, np.abs(y)), (V, 0.4)),
    "joined": (lambda x: np.concatenate((x, x[:2], np.ones(2))), (V,)),
    "packed": (lambda x: np.stack((x[0], x[1] * 2.0, 3.0 * x[3])), (V,)),
    "taken": (lambda x: x[np.array([0, 2, 2])] + x[np.array([True, False, True, False, True])], (V,)),
    "rows taken": (lambda x: x[np.array([[0, 2], [2, 1]])], (M,)),
    "set": (set_in_place, (V,)),
    "broadcast": (lambda x, y: x[:, None] * y[None, :3] + 1.0, (V, V)),
    "a constant": (lambda x: (x, 2.5, np.arange(3.0), 7), (V,)),
    "nothing of the argument": (lambda x: np.ones(2), (V,)),
    "programs": (called_twice, (V, 0.3)),
    "floats": (lambda x: (x * 2.0, x.sum()), (V.astype(np.float32),)),
    "gradient": (ft.grad(lambda x: (np.sin(x) * x.sum()).sum()), (V,)),
    "gradient of elements": (ft.grad(lambda x: x[0] * x[1] + np.prod(x[2:]) + x[np.array([0, 2, 2])].sum()), (V,)),
    "gradient of a maximum": (ft.grad(lambda x: x.std() + x.max()), (V,)),
    "gradient of what was set": (ft.grad(lambda x: (set_in_place(x) * np.cos(x)).sum()), (V,)),
    "jacobian": (ft.jacobian(lambda x: np.sin(x)[:3] * x[0]), (V,)),
    "jacobian in reverse": (ft.jacobian(lambda x: np.sin(x)[:3] * x[0], mode="reverse"), (V,)),
    "hessian": (ft.hessian(lambda x: np.sum(np.exp(x) * x[0])), (V,)),
    "gradient of programs": (ft.grad(lambda x, y: called_twice(x, y).sum(), (0, 1)), (V, 0.3)),
    "loop over numbers": (lambda x: sum((np.sin(x[k]) * x[k + 1] for k in range(19)), 0.0), (RNG.normal(size=20),)),
}
CLOSE = {
    "vector times matrix": (lambda x, w: x @ w, (V, W)),
    "matrix times vector": (lambda x, w: w.T @ x, (V, W)),
    "matrices": (lambda x, w: x @ w, (M, W)),
    "stacks of matrices": (lambda x, w: x @ w, (T, W)),
    "stack of the second": (lambda x, w: w.T @ x.transpose((0, 2, 1)), (T, W)),
    "dot": (lambda x, y: x @ y * x, (V, V)),
    "layer": (lambda x, w: np.sum(np.tanh(x @ w) ** 2), (M, W)),
    "gradient of a layer": (ft.grad(lambda x, w: np.sum(np.tanh(x @ w) ** 2), (0, 1)), (M, W)),
    "hessian of a layer": (ft.hessian(lambda x, w: np.sum(np.tanh(x @ w) ** 2)), (V, W)),
}


def leaves(tree):
    return [leaf for part in tree for leaf in leaves(part)] if isinstance(tree, tuple) else [tree]


def batches(args, n, kinds):
    """Lanes for the arguments, and one lane's arguments."""
    stacked = [a if k is None else (RNG.normal(size=(n, *np.shape(a)))).astype(np.asarray(a).dtype) for a, k in zip(args, kinds)]

    def lane(i):
        return [a if k is None else a[i] for a, k in zip(stacked, kinds)]
    return stacked, lane


def compare(found, f, lane, n, exact):
    for i in range(n):
        one = f(*lane(i))
        for a, b in zip(leaves(found), leaves(one), strict=True):
            a = a[i] if isinstance(a, np.ndarray) else a
            if exact:
                assert np.array_equal(a, b) and np.asarray(a).dtype == np.asarray(b).dtype
            else:
                np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("n", [1, 2, 7, 33])
@pytest.mark.parametrize("name", [*EXACT, *CLOSE])
def test_each_lane_is_a_call_of_its_own(name, n):
    f, args = EXACT.get(name) or CLOSE[name]
    p = ft.trace(f, *args)
    for kinds in ([0] * len(args), [0] + [None] * (len(args) - 1), [None] * (len(args) - 1) + [0]):
        stacked, lane = batches(args, n, kinds)
        compare(p.batch(*stacked, in_axes=tuple(kinds)), p, lane, n, name in EXACT)
        compare(vmap(f, tuple(kinds))(*stacked), p, lane, n, name in EXACT)
        traced = ft.compile(lambda *a, kinds=tuple(kinds): vmap(f, kinds)(*a))(*stacked)
        compare(traced, p, lane, n, name in EXACT)


@pytest.mark.parametrize("name", [name for name in [*EXACT, *CLOSE] if "float" not in name])
def test_derivatives_go_through_a_batch(name):
    """The gradient of a weighted sum over lanes is the sum of those of the lanes."""
    f, args = EXACT.get(name) or CLOSE[name]
    kinds = [0] + [None] * (len(args) - 1)
    stacked, lane = batches(args, 4, kinds)

    def weighed(y, i):
        parts = [part for part in leaves(y) if not isinstance(part, int)]
        return sum((np.sum(part * np.cos(1.0 + k + np.arange(float(np.size(part))).reshape(np.shape(part)) + 3.0 * i))
                    for k, part in enumerate(parts)), 0.0)

    def batched(*a):
        y = vmap(f, tuple(kinds))(*a)
        return sum((weighed(tuple(part if isinstance(part, int) else part[i] for part in leaves(y)), i) for i in range(4)), 0.0)

    def one_by_one(*a):
        return sum((weighed(f(*[x if k is None else x[i] for x, k in zip(a, kinds)]), i) for i in range(4)), 0.0)

    argnum = tuple(range(len(args)))
    right = ft.grad(one_by_one, argnum)(*stacked)
    v = [np.cos(x) for x in stacked]
    for how in (lambda f: f, ft.compile):
        for a, b in zip(how(ft.grad(batched, argnum))(*stacked), right, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(ft.jvp(batched, tuple(stacked), tuple(v))[1], sum(np.sum(a * b) for a, b in zip(right, v)), rtol=1e-9,
                               atol=1e-10)


@test_programs.settings
@hypothesis.given(test_programs.PROGRAMS, st.integers(0, 10**6))
def test_any_program(program, seed):
    x, _ = test_programs.start(seed)
    f = test_programs.total(program)
    rng = np.random.default_rng(seed)
    stacked = [rng.normal(size=(3, *np.shape(a))) for a in x]
    for g in (f, ft.grad(f, (0, 1, 2))):
        one = ft.trace(g, *x)
        try:
            right = [one(*[a[i] for a in stacked]) for i in range(3)]
        except ft.GuardError:
            continue
        for k, found in enumerate(leaves(vmap(g)(*stacked))):
            for i in range(3):
                wanted = leaves(right[i])[k]
                np.testing.assert_allclose(found[i], wanted, rtol=1e-9, atol=1e-9 * (1.0 + np.nan_to_num(np.abs(wanted)).max()))


# ---- branches

def branching(x):
    return np.sin(x) if x > 0 else (x * x if x > -1 else 3.0 * x)


def counting(x):
    total = 0.0
    while total < x:
        total = total + 0.5 * x + 0.1
    return total * int(x * 2.0)


@pytest.mark.parametrize("n", [1, 2, 1000, 70000])
@pytest.mark.parametrize("threads", [1, 2])
def test_lanes_take_their_own_paths(n, threads):
    x = np.random.default_rng(n).normal(size=n) * 2.0
    right = np.where(x > 0, np.array([float(ft.trace(np.sin, 0.5)(v)) for v in x[:1000]] * (n // 1000 or 1))[:n] if n <= 1000 else np.sin(x),
                     np.where(x > -1, x * x, 3.0 * x))
    found = vmap(branching, threads=threads)(x)
    np.testing.assert_allclose(found, right, rtol=1e-15)
    np.testing.assert_array_equal(vmap(ft.grad(branching), threads=threads)(x), ft.grad(lambda x: vmap(branching)(x).sum())(x))


def test_many_paths():
    x = np.random.default_rng(0).uniform(0.0, 4.0, 60)
    np.testing.assert_array_equal(vmap(counting)(x), [counting(float(v)) for v in x])
    np.testing.assert_array_equal(vmap(ft.grad(counting))(x), [ft.grad(counting)(float(v)) for v in x])
    g = ft.compile(ft.grad(lambda x: vmap(counting)(x).sum()))
    for y in (x, x[::-1].copy(), 4.0 - x):
        np.testing.assert_array_equal(g(y), [ft.grad(counting)(float(v)) for v in y])


def test_a_program_made_from_a_program_has_one_path():
    p = ft.trace(branching, 1.0)
    np.testing.assert_array_equal(p.batch(np.array([1.0, -0.5, 2.0])), [p(1.0), 0.25, p(2.0)])
    np.testing.assert_allclose(p.grad().batch(np.array([1.0, 2.0])), np.cos([1.0, 2.0]), rtol=1e-15)
    with pytest.raises(ft.GuardError, match="vmap"):
        p.grad().batch(np.array([1.0, -0.5, 2.0]))


# ---- nesting, closures, trees

def test_batches_nest():
    a, b = RNG.normal(size=(3, 4)), RNG.normal(size=(5, 4))
    table = np.exp(a[:, None] * b).sum(-1)
    np.testing.assert_allclose(vmap(lambda a: vmap(lambda b: np.sum(np.exp(a * b)))(b))(a), table, rtol=1e-14)
    np.testing.assert_allclose(vmap(vmap(lambda a, b: np.sum(np.exp(a * b)), (None, 0)), (0, None))(a, b), table, rtol=1e-14)
    chosen = vmap(lambda a: vmap(lambda b: np.sum(a * b) if np.sum(a) > np.sum(b) else np.sum(b))(b))(a)
    np.testing.assert_allclose(chosen, [[x @ y if x.sum() > y.sum() else y.sum() for y in b] for x in a], rtol=1e-13)


def test_values_from_around():
    x, w = RNG.normal(size=(6, 5)), RNG.normal(size=5)

    def loss(w):
        return vmap(lambda x: np.tanh(x @ w) if x[0] > w[0] else x @ w)(x).sum()

    def by_hand(w):
        return sum((np.tanh(row @ w) if row[0] > w[0] else row @ w for row in x), 0.0)
    np.testing.assert_allclose(ft.grad(loss)(w), ft.grad(by_hand)(w), rtol=1e-12)
    np.testing.assert_allclose(ft.hessian(loss)(w), ft.hessian(by_hand)(w), rtol=1e-11, atol=1e-13)
    compiled = ft.compile(ft.value_and_grad(loss))
    for v in (w, -w, 2.0 * w):
        np.testing.assert_allclose(compiled(v)[1], ft.grad(by_hand)(v), rtol=1e-12)


def test_trees_axes_and_names():
    @dataclasses.dataclass
    class Point:
        x: np.ndarray
        y: np.ndarray

    points = Point(RNG.normal(size=6), RNG.normal(size=(6, 2)))
    found = vmap(lambda d, k, *, shift: {"a": d["p"].x * k + shift, "b": [d["p"].y.sum()], "c": None}, (0, None))({"p": points}, 3.0,
                                                                                                             shift=0.5)
    np.testing.assert_array_equal(found["a"], points.x * 3.0 + 0.5)
    np.testing.assert_array_equal(found["b"][0], points.y[:, 0] + points.y[:, 1])
    assert found["c"] is None
    a = RNG.normal(size=(4, 6, 5))
    for axis in (0, 1, 2, -1):
        lanes = np.moveaxis(a, axis, 0)
        np.testing.assert_array_equal(vmap(lambda x: np.sin(x).T, axis)(a), np.array([np.asarray(ft.trace(lambda x: np.sin(x).T, y)(y))
                                                                                      for y in lanes]))
        out = vmap(lambda x: x * 2.0, axis, out_axes=axis)(a)
        np.testing.assert_array_equal(out, a * 2.0)
        np.testing.assert_array_equal(ft.grad(lambda a, axis=axis: vmap(lambda x: np.sum(x**2), axis)(a).sum())(a), 2.0 * a)


def test_in_a_loop_and_around_its_numbers():
    x = RNG.normal(size=(3, 4))
    found = ft.grad(lambda c: ft.scan(lambda c, x: (c + vmap(lambda a, b: np.sin(a * b))(c, x), None), c, x)[0].sum())(V[:4])
    right = ft.grad(lambda c: ft.scan(lambda c, x: (c + np.sin(c * x), None), c, x)[0].sum())(V[:4])
    np.testing.assert_array_equal(found, right)
    with pytest.raises(TypeError, match="the body of a loop looks at a value"):
        ft.scan(lambda c, _: (vmap(branching)(c), None), V, length=3)


# ---- sizes, memory, threads

@pytest.mark.parametrize("n", [0, 1, 2, 15, 16, 17, 1000, 65536, 131077])
def test_any_number_of_lanes(n):
    p, x = ft.trace(lambda x, y: (np.sin(x) * y, x), 0.5, 0.5), np.random.default_rng(n).normal(size=n)
    for threads in (1, 2):
        found, same = p.batch(x, x, threads=threads)
        np.testing.assert_array_equal(found, ft.trace(lambda x: np.sin(x) * x, x)(x) if n else x)
        np.testing.assert_array_equal(same, x)
        assert found.shape == (n,) and same is not x


def test_few_programs_whatever_the_sizes():
    p = ft.trace(lambda x: x * x, 0.5)
    for n in range(1, 200):
        assert p.batch(np.full(n, 3.0)).tolist() == [9.0] * n
    assert lengths_kept(p) < 60


def test_layouts_of_arguments():
    p, x = ft.trace(lambda x: np.sin(x).sum(), V), RNG.normal(size=(40, 10))
    right = p.batch(np.ascontiguousarray(x[::4, ::2]))
    readonly = x.copy()
    readonly.flags.writeable = False
    for y in (x[::4, ::2], np.asfortranarray(x[::4, ::2]), readonly[::4, ::2], x[::4, ::2].astype(">f8")):
        np.testing.assert_array_equal(p.batch(y), right)


def test_out():
    p = ft.trace(lambda x: (np.sin(x).sum(), {"a": x * 2.0}), V)
    x = RNG.normal(size=(100, 5))
    right = p.batch(x)
    out = np.empty(100), {"a": np.empty((100, 5))}
    assert p.batch(x, out=out) is out
    np.testing.assert_array_equal(out[0], right[0])
    np.testing.assert_array_equal(out[1]["a"], right[1]["a"])
    same = np.empty((100, 5))
    for bad, error, text in [((out[0][:50], out[1]), TypeError, "shape"), (out[0], TypeError, "out must hold 2 arrays, got 1"),
                             ((out[0], {"a": x}), ValueError, "shares memory with an argument"),
                             ((out[0].astype(np.float32), out[1]), TypeError, "dtype"),
                             ((out[0], {"a": np.empty((5, 100)).T}), ValueError, "C-contiguous"),
                             ((np.ndarray(100, buffer=bytearray(801), offset=1), out[1]), ValueError, "aligned"),
                             ((same.reshape(-1)[:100], {"a": same}), ValueError, "share memory"),
                             ((out[0], {"a": [1.0]}), TypeError, "out must hold an array")]:
        with pytest.raises(error, match=text):
            p.batch(x, out=bad)
    with pytest.raises(TypeError, match="within a trace"):
        ft.grad(lambda x: p.batch(x, out=out)[0].sum())(x)


def test_from_many_threads_at_once():
    f, x = vmap(ft.grad(branching)), np.linspace(-3.0, 3.0, 5000)
    right = f(x)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for found in pool.map(f, [x] * 20):
            np.testing.assert_array_equal(found, right)


def test_memory_is_that_of_the_results():
    def walk(x):
        for k in range(60):
            x = np.sin(x) + 0.1 * x * k
        return x
    x = np.linspace(0.0, 1.0, 10**6)
    p = ft.trace(walk, 0.5).value_and_grad()
    p.batch(x[:10])
    with ft.peak_memory() as peak:
        p.batch(x)
    assert peak.bytes < 2 * 2**20


# ---- what is gathered

CAMERAS, POINTS = RNG.normal(size=(5, 7)), RNG.normal(size=(40, 3))
FROM, TO, WEIGHTS = RNG.integers(0, 5, 200), RNG.integers(-40, 40, 200), RNG.normal(size=200)


def sight(camera, point, weight):
    return np.sin(camera[:3] @ point) * weight + camera[6] if camera[0] > 0 else camera[1] * point[2] + weight


def test_gathered_arguments():
    right = np.array([ft.trace(sight, CAMERAS[a], POINTS[b], w)(CAMERAS[a], POINTS[b], w) for a, b, w in zip(FROM, TO, WEIGHTS)])
    args = ft.gather(CAMERAS, FROM), ft.gather(POINTS, TO), WEIGHTS
    np.testing.assert_allclose(vmap(sight)(*args), right, rtol=1e-14)
    p = ft.trace(sight, CAMERAS[0], POINTS[0], 1.0)
    for threads in (1, 2):
        np.testing.assert_allclose(p.batch(*args, threads=threads), right, rtol=1e-14)
    heights = np.array([1.0, 4.0, 9.0])
    np.testing.assert_array_equal(vmap(lambda a, b: b - a)(ft.gather(heights, [0, 1]), ft.gather(heights, [1, -1])), [3.0, 5.0])
    assert vmap(sight)(ft.gather(CAMERAS, FROM[:0]), ft.gather(POINTS, TO[:0]), WEIGHTS[:0]).shape == (0,)


@pytest.mark.parametrize("how", [lambda f: f, ft.compile], ids=["one-shot", "compiled"])
def test_the_gradient_is_scattered(how):
    def total(cameras, points, weights):
        return vmap(sight)(ft.gather(cameras, FROM), ft.gather(points, TO), weights).sum()

    def one_by_one(cameras, points, weights):
        return sum(sight(cameras[a], points[b], weights[k]) for k, (a, b) in enumerate(zip(FROM.tolist(), TO.tolist())))
    for a, b in zip(how(ft.grad(total, (0, 1, 2)))(CAMERAS, POINTS, WEIGHTS), ft.grad(one_by_one, (0, 1, 2))(CAMERAS, POINTS, WEIGHTS)):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-12)


def test_an_index_that_changes_later():
    index = np.array([0, 1, 2])
    rows = ft.gather(POINTS, index)
    index[:] = 10**9
    np.testing.assert_array_equal(vmap(lambda x: x * 2.0)(rows), POINTS[:3] * 2.0)


def as_dense(matrix):
    """Of a SciPy matrix, or of what stands for it."""
    if hasattr(matrix, "toarray"):
        return matrix.toarray()
    out = np.zeros(matrix.shape)
    for row in range(out.shape[0]):
        places = slice(matrix.indptr[row], matrix.indptr[row + 1])
        out[row, matrix.indices[places]] = matrix.data[places]
    return out


def dense(cameras, points, weights, shift):
    rows = []
    for k in range(30):
        first, second = mixed(cameras[FROM[k]], points[TO[k]], weights[k], shift)
        rows += [np.reshape(first, (1,)), second["a"]]
    return np.concatenate(rows)


def mixed(camera, point, weight, shift):
    if weight > 0:
        return np.sin(camera[:3] @ point) * weight + camera[3] * shift, {"a": point * camera[0]}
    return camera[1] * point[0] * weight, {"a": point * shift}


@pytest.mark.parametrize("argnum", [(0, 1, 2, 3), (3, 1), 2, -1, (0,)])
def test_sparse_jacobians(argnum, monkeypatch):
    """Of gathered, batched and shared arguments, of a function that branches, against the dense Jacobian."""
    p = ft.trace(mixed, CAMERAS[0], POINTS[0], 1.0, 0.3)
    args = ft.gather(CAMERAS, FROM[:30]), ft.gather(POINTS, TO[:30]), WEIGHTS[:30], 0.3
    full = CAMERAS, POINTS, WEIGHTS[:30], 0.3
    argnums = tuple(k % 4 for k in (argnum if isinstance(argnum, tuple) else (argnum,)))
    right = np.concatenate([block.reshape(120, -1) for block in ft.jacobian(dense, argnums, mode="reverse")(*full)], axis=1)
    results, matrix = p.batch_jacobian(*args, argnum=argnum, in_axes=(0, 0, 0, None))
    np.testing.assert_allclose(as_dense(matrix), right, rtol=1e-12, atol=1e-13)
    np.testing.assert_array_equal(results[0], p.batch(*args, in_axes=(0, 0, 0, None))[0])
    monkeypatch.setitem(sys.modules, "scipy.sparse", None)
    _, plain = p.batch_jacobian(*args, argnum=argnum, in_axes=(0, 0, 0, None), threads=2)
    assert type(plain).__name__ == "CSR"
    np.testing.assert_array_equal(as_dense(plain), as_dense(matrix))


def test_more_results_than_arguments():
    p, x = ft.trace(lambda a, b: np.sin(np.arange(5.0) * a) * b, 0.5, 1.0), RNG.normal(size=4)
    _, matrix = p.batch_jacobian(x, 2.0, argnum=(0, 1), in_axes=(0, None))
    right = ft.jacobian(lambda x, b: np.ravel(np.sin(np.arange(5.0) * x[:, None]) * b), (0, 1))(x, 2.0)
    np.testing.assert_allclose(as_dense(matrix), np.concatenate((right[0], right[1][:, None]), axis=1), rtol=1e-13)


def test_a_sparse_jacobian_of_no_lanes():
    _, matrix = ft.trace(np.sin, 0.5).batch_jacobian(ft.gather(V, FROM[:0]))
    assert matrix.shape == (0, 5) and len(matrix.data) == 0


# ---- bad input

BAD = [
    (lambda: vmap(3), TypeError, "vmap: the first argument must be a function, got int"),
    (lambda: vmap(np.sin, out_axes="x"), TypeError, "out_axes must be a whole number"),
    (lambda: vmap(np.sin, threads=0), ValueError, "threads must be a positive whole number"),
    (lambda: vmap(np.add)(np.ones(3), np.ones(4)), ValueError, "argument 1 has 4 lanes, those before have 3"),
    (lambda: vmap(np.add)(np.ones(3), 2.0), TypeError, "argument 1 holds a number, which has no axis of lanes"),
    (lambda: vmap(np.add, (0,))(np.ones(3), 2.0), ValueError, "in_axes has 1 entries, but there are 2 positional"),
    (lambda: vmap(np.sin, 1)(np.ones(3)), ValueError, "asks for axis 1 of argument 0, which has an array of shape"),
    (lambda: vmap(np.sin, "0")(np.ones(3)), TypeError, "in_axes must be a whole number or None"),
    (lambda: vmap(np.sin, True)(np.ones(3)), TypeError, "in_axes must be a whole number or None"),
    (lambda: vmap(np.sin, None)(np.ones(3)), ValueError, "no argument has an axis of lanes"),
    (lambda: vmap(np.sin)(), ValueError, "no argument has an axis of lanes"),
    (lambda: vmap(lambda i: 2 * i)(np.arange(3)), TypeError, "argument 0 holds no array of floats"),
    (lambda: vmap(np.sin)("text"), TypeError, "argument 0 holds no array of floats"),
    (lambda: vmap(lambda x: x if x.sum() > 0 else x.sum())(np.array([[1.0], [-1.0]])), TypeError, "different shapes or types"),
    (lambda: ft.grad(lambda x: vmap(lambda x: x if x.sum() > 0 else x.sum())(x).sum())(np.array([[1.0], [-1.0]])), TypeError,
     "different shapes or types"),
    (lambda: vmap(np.sin)(np.ones(3) + 0j), TypeError, "complex"),
    (lambda: vmap(lambda x: "text")(np.ones(3)).x, AttributeError, "x"),
    (lambda: ft.grad(lambda x: vmap(np.sin)(x).sum())(np.ones(0)), ValueError, "must have a lane"),
    (lambda: ft.gather([1.0], [0]), TypeError, "gather: the first argument must be an array of floats, got list"),
    (lambda: ft.gather(np.arange(3), [0]), TypeError, r"must be an array of floats that has rows, got one of shape \(3,\) and dtype int64"),
    (lambda: ft.gather(np.array(1.0), [0]), TypeError, r"floats that has rows, got one of shape \(\) and dtype float64"),
    (lambda: vmap(lambda x: x[0] * x[1])((ft.gather(V, [0]), V[:1])), TypeError, "what gather returns must be a positional argument itself"),
    (lambda: vmap(lambda x, y: x * y)(V[:1], y=ft.gather(V, [0])), TypeError, "what gather returns must be a positional argument itself"),
    (lambda: ft.trace(np.sin, 0.5).batch(V, reduce=np.ones(2)), ValueError, "reduce must be 'sum' or 'mean', got array"),
    (lambda: ft.trace(np.sin, 0.5).batch_value_and_grad(V, reduce=None), ValueError, "reduce must be 'sum' or 'mean', got None"),
    (lambda: ft.gather(np.ones(3), [0.5]), TypeError, "a vector of whole numbers, got an array of shape"),
    (lambda: ft.gather(np.ones(3), [[0]]), TypeError, "a vector of whole numbers"),
    (lambda: ft.gather(np.ones(3), [True]), TypeError, "a vector of whole numbers"),
    (lambda: ft.gather(np.ones(3), [0, 3]), IndexError, "index 3 is out of bounds for 3 rows"),
    (lambda: ft.gather(np.ones(3), [-4]), IndexError, "index -4 is out of bounds for 3 rows"),
    (lambda: vmap(np.sin, 1)(ft.gather(np.ones((3, 2)), [0])), ValueError, "in_axes must be 0 for what is gathered"),
    (lambda: vmap(np.add)(ft.gather(np.ones(3), [0]), np.ones(2)), ValueError, "argument 1 has 2 lanes, those before have 1"),
    (lambda: ft.trace(np.sin, 0.5).batch_jacobian(V, argnum=1), TypeError, "argnum 1 names an argument that was not given"),
    (lambda: ft.trace(lambda d: d["a"], {"a": 0.5}).batch_jacobian({"a": V}), TypeError, "argument 0 is a dict"),
    (lambda: ft.grad(lambda x: ft.trace(np.sin, 0.5).batch_jacobian(x)[0].sum())(V), TypeError, "has no place in a trace"),
    (lambda: ft.trace(np.sin, 0.5).batch(np.ones((3, 2))), TypeError, "traced with other arguments"),
    (lambda: ft.trace(np.sin, 0.5).batch(np.ones(3, np.float32)), TypeError, "traced with other arguments"),
]


def test_no_rows_of_a_sparse_matrix_are_of_the_arguments_dtype():
    for dtype in (np.float64, np.float32):
        x = np.ones((3, 2), dtype)
        values, matrix = ft.trace(lambda x: x[:0] * 2.0, x[0]).batch_jacobian(x)
        assert values.shape == (3, 0) and matrix.shape == (0, 6) and values.dtype == matrix.dtype == dtype


@pytest.mark.parametrize("k", range(len(BAD)))
def test_bad_input(k):
    call, error, text = BAD[k]
    with pytest.raises(error, match=text):
        call()


def test_an_error_in_the_function_leaves_nothing_behind():
    def bad(x):
        raise ZeroDivisionError
    for call in (lambda: vmap(bad)(V), lambda: ft.grad(lambda x: vmap(bad)(x).sum())(V)):
        with pytest.raises(ZeroDivisionError):
            call()
    np.testing.assert_array_equal(vmap(lambda x: 2.0 * x)(V), 2.0 * V)


# ---- stretches in a row

@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_guards_of_many_stretches(dtype, threads):
    """Truth values, and numbers that are taken for one, some lanes of some stretches seeing something else."""
    def f(x, m):
        y = x * 2 if x else x + 1
        return (y, m[0] * y) if m[1] > 0 and not m[2] else (-y, m[1])

    n = 150_000
    x, m = np.ones(n, dtype), np.zeros((n, 3), dtype)
    m[:, 0], m[:, 1] = np.arange(n) % 7, 1.0
    m[[0, 70_000, n - 1], 2] = np.nan
    x[[5, 65_535, 65_536, n - 2]] = 0.0
    m[100_000:100_100, 1] = -1.0
    program = ft.trace(f, x[1], m[1])
    found = program.batch(x, m, threads=threads)
    y = np.where(x != 0, x * 2, x + 1)
    kept = (m[:, 1] > 0) & (m[:, 2] == 0)
    for a, b in zip(found, (np.where(kept, y, -y), np.where(kept, m[:, 0] * y, m[:, 1]))):
        assert a.dtype == dtype
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("n", [2049, 4096, 65_536, 65_537, 200_000])
@pytest.mark.parametrize("threads", [2, 3, 8])
def test_shares_of_threads(n, threads):
    x = np.random.default_rng(n).normal(size=(n, 2))
    program = ft.trace(lambda x: (np.sin(x[0]) * x[1], x * 2.0), x[0])
    alone = program.batch(x)
    for a, b in zip(program.batch(x, threads=threads), alone):
        np.testing.assert_array_equal(a, b)


def doubled(x):
    y = x * 2.0
    return y, y


def looked_at_result(x):
    y = x * 2.0
    if y:
        return y
    return x * 0.0 + 5.0


def looked_at_results(x):
    y = np.stack([x * 2.0, x])
    z = np.maximum(x, 0.0) * 1.0
    if z:
        return z, y, z, y[0], x + 0.0
    return x + 7.0, y, z, y[1], x * 2.0


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("f", [doubled, looked_at_result, looked_at_results, ft.grad(lambda x: np.sin(x + 0.5 * x) * x),
                               ft.jacobian(lambda x: np.stack([x, x + 0.0, 2.0 * x]))])
def test_what_is_returned_twice_or_looked_at_too(f, dtype):
    """Results that are one node, and guards that look at a result."""
    for n in (1, 2, 5, 100, 5000, 30_000):
        x = np.linspace(-3, 3, n, dtype=dtype)
        x[n // 3] = 0.0
        right = [np.stack(column) for column in zip(*[leaves(f(v)) for v in x])]
        for start in (dtype(1.0), dtype(0.0)):
            program = ft.trace(f, start)
            for threads in (1, 2, 3, 1):
                np.full(n, 99.0)
                for y, z in zip(leaves(program.batch(x, threads=threads)), right, strict=True):
                    assert y.dtype == dtype
                    np.testing.assert_array_equal(y, z, err_msg=f"{n} lanes, {threads} threads")


def test_gradients_that_are_one():
    program = ft.trace(ft.grad(lambda x, y: np.sin(x + y), (0, 1)), 0.5, 0.2)
    x = np.linspace(0.0, 2.0, 4000)
    out = np.full(4000, 7.0), np.full(4000, 7.0)
    for threads in (1, 2):
        for found in (program.batch(x, 2 * x, threads=threads), program.batch(x, 2 * x, threads=threads, out=out)):
            for y in found:
                np.testing.assert_allclose(y, np.cos(3 * x), rtol=1e-12, atol=1e-15)


def test_what_came_before_decides_no_form():
    """The first lane does: results of other shapes, or with other fixed values."""
    plus, minus = np.array([1.0, 2.0]), np.array([-1.0, -2.0])
    f = vmap(lambda x: x * 1.0 if x > 0 else np.stack([x, x]))
    g = vmap(lambda x: (x, 1) if x > 0 else (x, 2))
    program = ft.trace(lambda x: x * np.ones(2) if x > 0 else x * np.ones(3), 1.0)
    for x in (plus, minus, plus[:0], minus, plus, minus[:0], plus):
        if len(x):
            assert f(x).shape == ((2,) if x[0] > 0 else (2, 2))
            assert g(x)[1] == (1 if x[0] > 0 else 2)
            assert program.batch_jacobian(x)[1].shape == ((4, 2) if x[0] > 0 else (6, 2))
        else:
            assert f(x).shape == vmap(lambda x: x * 1.0 if x > 0 else np.stack([x, x]))(x).shape
    for sign in (1.0, -1.0, 1.0):
        for threads in (1, 2):              # a matrix is made before it is known that lanes take another path
            values, matrix = program.batch_jacobian(sign * np.linspace(1.0, 2.0, 4000), threads=threads)
            assert matrix.shape == (values.size, 4000)
            np.testing.assert_array_equal(matrix.data, 1.0)
            np.testing.assert_array_equal(matrix.indices, np.repeat(np.arange(4000), values.shape[1]))
    with pytest.raises(TypeError, match="different shapes"):
        f(np.array([1.0, -1.0]))


class Measured(np.ndarray):
    """Is no plain array."""


SHAPES = {"numbers": np.linspace(0.2, 2.0, 9), "rows": np.linspace(0.2, 2.0, 27).reshape(9, 3), "one lane": np.ones((1, 3)), "no lane": np.ones((0, 3))}
KINDS = {"plain": lambda x: x, "narrow": lambda x: x.astype(np.float32), "swapped": lambda x: x.astype(">f8"), "backwards": lambda x: x[::-1],
         "apart": lambda x: np.repeat(x, 2, axis=0)[::2], "frozen": lambda x: np.frombuffer(x.tobytes()).reshape(x.shape),
         "subclass": lambda x: x.view(Measured), "gathered": lambda x: ft.gather(x, np.arange(len(x)) // 2),
         "gathered swapped": lambda x: ft.gather(x.astype(">f8"), np.arange(len(x))), "Fortran": np.asfortranarray}


def test_a_call_is_as_the_first_whatever_came_before():
    """What is seen at a glance of arguments like the last ones is what there is to see."""
    def f(x, y):
        z = x * 2.0 + y.sum() * x if y.ndim == 0 or y[0] > 0.5 else x - y.sum()
        return np.sin(z), z / 3

    used = vmap(f)
    program = ft.trace(f, 1.0, np.ones(3))
    cases = [(x, a, y, b) for x in SHAPES for a in KINDS for y in SHAPES for b in ("plain", "narrow", "swapped", "gathered")
             if len(SHAPES[x]) == len(SHAPES[y])]
    for k in np.random.default_rng(3).permutation(len(cases) * 2) % len(cases):
        x, a, y, b = cases[k]
        args = KINDS[a](SHAPES[x]), KINDS[b](SHAPES[y])
        wanted = vmap(f)(*args)
        for found, right in zip(used(*args), wanted, strict=True):
            assert found.dtype == right.dtype and type(found) is np.ndarray
            np.testing.assert_array_equal(found, right)
        if (x, y) == ("numbers", "rows") and "narrow" not in (a, b):
            for found, right in zip(program.batch(*args), wanted, strict=True):
                np.testing.assert_array_equal(found, right)
        elif (x, y) == ("numbers", "rows"):
            with pytest.raises(TypeError, match="other arguments"):
                program.batch(*args)


def test_control_c_during_many_stretches():
    """In a process of its own, whose batch would take minutes."""
    code = """
import _thread, threading, time, numpy as np, fasttape as ft
def f(x):
    for _ in range(2_000):
        x = np.sin(x)
    return x
p = ft.trace(f, 0.5)
for threads in (1, 2):
    threading.Timer(0.5, _thread.interrupt_main).start()
    start = time.monotonic()
    try:
        p.batch(np.linspace(0.0, 1.0, 30_000_000), threads=threads)
    except KeyboardInterrupt:
        print("interrupted", time.monotonic() - start < 3.0, p.batch(np.array([0.25, 0.5]))[1] == p(0.5))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parent, capture_output=True, text=True, timeout=300)
    assert done.stdout.split("\n")[:2] == ["interrupted True True"] * 2, done.stdout + done.stderr


def test_out_may_lie_beside_an_argument_but_not_in_it():
    space = np.arange(40.0).reshape(4, 10)
    program = ft.trace(lambda x, y: (x * y, x + y), 0.5, 0.5)
    program.batch(space[0], space[1], out=(space[2], space[3]))
    np.testing.assert_array_equal(space[2:], [np.arange(10) * np.arange(10.0, 20), 2 * np.arange(10) + 10.0])
    for x, y, out in [(space[0], space[1], (space[1], space[3])), (space[0], space[1, ::-1], (space[2], space[1])),
                      (space.reshape(-1)[0:20:2], space[3], (space[1], space[2])), (space[0], space[1], (space[2], space[2]))]:
        with pytest.raises(ValueError, match="share"):
            program.batch(x, y, out=out)
    program.batch(space[0, :0], space[1, :0], out=(space[0, :0], space[0, :0]))


def test_an_empty_list_of_places():
    assert ft.trace(lambda x: x * 2.0, V).batch(ft.gather(M, [])).shape == (0, 5)


@pytest.mark.parametrize(("call", "error", "message"), [
    (lambda: vmap(lambda d: d["a"] * d["n"])({"a": np.ones(4), "n": np.arange(4)}), TypeError, "array of int64, which is fixed and the same"),
    (lambda: vmap(lambda p: p[0] * 2.0 if p[1][0] else p[0])((np.ones(2), np.ones(2, bool))), TypeError, "array of bool, which is fixed"),
    (lambda: vmap(np.sin, in_axes=2**70)(V), ValueError, "no array has so many"),
    (lambda: ft.trace(np.sin, 0.5).batch(V, in_axes=-(2**70)), ValueError, "no array has so many"),
])
def test_what_lanes_cannot_have(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_fixed_arrays_beside_the_lanes():
    """As arguments of their own they are what they are in a call."""
    found = vmap(lambda d, n: d["a"] * n, in_axes=(0, None))({"a": np.ones(4), "k": 3}, np.arange(3))
    np.testing.assert_array_equal(found, np.tile(np.arange(3.0), (4, 1)))
