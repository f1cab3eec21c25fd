"""Arrays from outside that change while a function is traced: a right answer or an error, never a
wrong number; and the caller's arrays are as writeable afterwards as before."""
import threading

import numpy as np
import pytest

import fasttape as ft

LARGE = 100_000
SMALL = 10


def test_large_array_refuses_to_be_written_at_the_users_line():
    a = np.ones(LARGE)

    def f(x):
        y = np.sum(x * a)
        a[5] = 2.0
        return y

    with pytest.raises(ValueError, match="read-only"):
        ft.grad(f)(1.5)
    assert a.flags.writeable and a[5] == 1.0
    a[5] = 3.0
    assert ft.grad(lambda x: np.sum(x * a))(1.5) == LARGE + 2


@pytest.mark.parametrize("place", [0, 1, 77, 50_001, LARGE - 1])
@pytest.mark.parametrize("argument", [False, True])
def test_writing_through_an_earlier_view_is_never_wrong(place, argument):
    a = np.ones(LARGE)
    view = a[:]

    def f(x, b):
        y = np.sum(x * x * b)
        view[place] = 1000.0
        return y

    try:
        if argument:
            g = ft.grad(f, argnum=(0, 1))(1.5, a)[0]
        else:
            g = ft.grad(lambda x: f(x, a))(1.5)
    except RuntimeError as error:
        assert "changed during the trace" in str(error)
    else:
        assert g == pytest.approx(3.0 * LARGE)
    assert a.flags.writeable


CHANGES = {
    "one element": lambda v: v.__setitem__((517, 311), np.nextafter(v[517, 311], 9.0)),
    "exchange": lambda v: v.__setitem__([5, 900], v[[900, 5]]),
    "double": lambda v: np.multiply(v, 2.0, out=v),
    "negate": lambda v: np.negative(v, out=v),
    "shift": lambda v: np.add(v, 1.0, out=v),
    "clear": lambda v: v.fill(0.0),
    "sort": lambda v: v.sort(axis=0),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("use", ["product", "transposed", "elementwise"])
@pytest.mark.parametrize("content", ["random", "ones"])
def test_large_matrix_that_is_changed_through_an_earlier_view(change, use, content):
    """8 MB, of a power of two elements, whose checksum is partly taken by the products that read it."""
    rows = np.random.default_rng(0).normal(size=(1024, 1024)) if content == "random" else np.ones((1024, 1024))
    view = rows[:]
    x = np.random.default_rng(1).normal(size=1024)

    def f(x):
        y = {"product": lambda: rows @ x, "transposed": lambda: x @ rows, "elementwise": lambda: rows * x}[use]()
        CHANGES[change](view)
        return np.sum(y * y)

    ft.grad(lambda x: np.sum((rows @ x) ** 2))(x)                # undisturbed it passes
    before = rows.copy()
    if content == "ones" and change in ("exchange", "sort"):     # which change nothing
        ft.grad(f)(x)
        return
    with pytest.raises(RuntimeError, match="changed during the trace"):
        ft.grad(f)(x)
    assert not np.array_equal(rows, before) and rows.flags.writeable


def test_checksum_of_a_product_that_fails_is_still_taken():
    rows = np.ones((1000, 300))

    def f(x):
        with pytest.raises(ValueError, match="matmul"):
            rows @ np.concatenate([x, x])
        return np.sum(rows @ x)

    np.testing.assert_allclose(ft.grad(f)(np.ones(300)), np.full(300, 1000.0))


@pytest.mark.parametrize("change", [lambda a: a.__setitem__(0, 7.0), lambda a: a.sort(), lambda a: a.fill(0.0),
                                    lambda a: np.multiply(a, 2.0, out=a)])
def test_small_array_is_copied(change):
    a = np.arange(SMALL, 0.0, -1.0)
    before = a.copy()

    def f(x):
        y = np.sum(x * a)
        change(a)
        return y

    np.testing.assert_array_equal(ft.grad(f)(np.ones(SMALL)), before)
    assert not np.array_equal(a, before)


def test_argument_that_is_changed_during_the_trace():
    x = np.ones(SMALL)

    def f(y):
        x[0] = 100.0
        return np.sum(y * y)

    np.testing.assert_array_equal(ft.grad(f)(x), 2.0 * np.ones(SMALL))


@pytest.mark.parametrize("size", [3, LARGE])
def test_index_array_that_is_changed_during_the_trace(size):
    places = np.arange(size)

    def f(x):
        y = x[places]
        places[0] = 2
        return np.sum(y * np.arange(1.0, size + 1.0))

    try:
        g = ft.grad(f)(np.ones(size))
    except (RuntimeError, ValueError):
        pass
    else:
        np.testing.assert_array_equal(g, np.arange(1.0, size + 1.0))
    assert places.flags.writeable


def test_index_array_that_would_point_outside():
    places = np.array([0, 1])

    def f(x):
        y = x[places]
        places[0] = 10**12
        return np.sum(y)

    np.testing.assert_array_equal(ft.grad(f)(np.ones(3)), [1.0, 1.0, 0.0])


def test_mask_that_is_changed_during_the_trace():
    mask = np.array([True, False, True])

    def f(x):
        y = np.sum(x[mask]) + np.sum(np.where(mask, x, 0.0))
        mask[:] = False
        return y

    np.testing.assert_array_equal(ft.grad(f)(np.ones(3)), [2.0, 0.0, 2.0])


@pytest.mark.parametrize("failure", [ZeroDivisionError, KeyboardInterrupt, MemoryError])
def test_writeable_again_after_an_exception(failure):
    a = np.ones(LARGE)
    base = np.ones((2, LARGE))
    part = base[1]

    def f(x):
        y = np.sum(x * a * part)
        assert not a.flags.writeable and not base.flags.writeable
        raise failure
        return y

    with pytest.raises(failure):
        ft.grad(f)(1.0)
    assert a.flags.writeable and base.flags.writeable and part.flags.writeable


def test_read_only_array_stays_read_only():
    a = np.ones(LARGE)
    a.flags.writeable = False
    assert ft.grad(lambda x: np.sum(x * a))(1.0) == LARGE
    assert not a.flags.writeable


def test_two_traces_that_hold_the_same_array():
    a = np.ones(LARGE)
    _, pull = ft.vjp(lambda x: np.sum(x * a), 1.0)
    a[0] = 5.0                          # the pullback keeps what it needs; the array is the caller's again

    def f(x):
        inner = ft.grad(lambda y: np.sum(y * a))(2.0)
        assert not a.flags.writeable
        return np.sum(x * a) * inner

    assert ft.grad(f)(1.0) == pytest.approx((LARGE + 4.0) ** 2)
    assert a.flags.writeable
    assert pull(1.0)[0] == LARGE


def test_two_threads_that_hold_the_same_array():
    a = np.ones(LARGE)
    entered, go_on = threading.Event(), threading.Event()
    found = []

    def slow(x):
        y = np.sum(x * a)
        entered.set()
        go_on.wait(10)
        return y

    thread = threading.Thread(target=lambda: found.append(ft.grad(slow)(1.0)))
    thread.start()
    assert entered.wait(10)
    assert ft.grad(lambda x: np.sum(x * a))(1.0) == LARGE
    assert not a.flags.writeable        # the other trace still holds it
    go_on.set()
    thread.join()
    assert found == [LARGE]
    assert a.flags.writeable


def test_result_shares_no_memory_with_the_input():
    x = np.ones(LARGE)
    g = ft.grad(lambda x: 0.5 * np.sum(x * x))(x)
    g[0] = 9.0
    assert x[0] == 1.0
    value, tangent = ft.jvp(lambda x: x, x, x)
    assert not np.shares_memory(value, x) and not np.shares_memory(tangent, x) and not np.shares_memory(value, tangent)
    a, b = ft.grad(lambda x, y: np.sum(x + y), argnum=(0, 1))(x, x)
    assert not np.shares_memory(a, b)
    (a, b) = ft.vjp(lambda x, y: x + y, x, x)[1](x)
    assert not np.shares_memory(a, b) and not np.shares_memory(a, x)


@pytest.mark.parametrize("layout", ["F", "strided", "reversed", "unaligned", "swapped", "broadcast", "transposed 3d"])
def test_layouts_of_captured_and_differentiated_arrays(layout):
    rng = np.random.default_rng(0)
    base = rng.normal(size=(60, 70))
    if layout == "F":
        a = np.asfortranarray(base)
    elif layout == "strided":
        a = rng.normal(size=(120, 140))[::2, ::2]
    elif layout == "reversed":
        a = base[::-1, ::-1]
    elif layout == "unaligned":
        raw = np.zeros(base.nbytes + 1, np.uint8)
        a = raw[1:].view(np.float64).reshape(60, 70)
        a[:] = base
    elif layout == "swapped":
        a = base.astype(">f8")
    elif layout == "broadcast":
        a = np.broadcast_to(base[0], (60, 70))
    else:
        a = rng.normal(size=(7, 10, 60)).reshape(70, 60).T
    weight = rng.normal(size=(60, 70))
    want = np.array(a, dtype=float)
    np.testing.assert_allclose(ft.grad(lambda x: np.sum(x * a * weight))(np.ones((60, 70))), want * weight)
    np.testing.assert_allclose(ft.grad(lambda x: np.sum(x * x * weight))(a), 2 * want * weight)
    np.testing.assert_allclose(ft.grad(lambda x: np.sum((x @ a) ** 2))(np.ones(60)), 2 * want @ (want.T @ np.ones(60)))


def test_results_that_are_no_views_of_what_they_were_made_from():
    """As in NumPy: a reduction along an axis of one element is a copy, a reshape of a strided view may be a view."""
    def products(x):
        y = 1.0 * x
        p = np.prod(y, axis=0)
        p[0] = 100.0
        q = np.sum(y, axis=0)
        q[1] = 200.0
        return y

    def reshaped(x):
        y = 1.0 * x
        v = y.reshape(2, 1)[:, 0].reshape(1, 2)
        v[0, 0] = 100.0
        w = np.stack([y, y], axis=1)
        w[:, 0].reshape(2, 1)[:] = 0.0
        return np.concatenate([np.ravel(y), np.ravel(w)])

    for f, x in ((products, np.array([[1.0, 2.0]])), (reshaped, np.array([1.0, 2.0]))):
        np.testing.assert_array_equal(ft.jvp(f, x, x)[0], f(x))
