"""Reading x[i] with every kind of index, and writing x[i] = v and x[i] += v with basic ones."""
import numpy as np
import pytest
from table import check, close

import fasttape as ft

X = {1: np.linspace(-1.2, 1.7, 7), 2: np.linspace(-1.4, 1.9, 20).reshape(4, 5) ** 3 + 0.3,
     3: np.cos(np.arange(24.0)).reshape(2, 3, 4)}
N = np.newaxis

BASIC = {
    1: [0, -1, 3, np.int64(2), slice(None), slice(1, -1), slice(None, None, 2), slice(None, None, -1), slice(5, 1, -2),
        slice(-3, None), slice(2, 2), slice(4, 1), slice(-100, 100), slice(100, -100, -3), Ellipsis, N, (),
        (N, slice(1, 3), N),
        (Ellipsis, 2), (2, Ellipsis), (Ellipsis, N), (slice(3, 4),), slice(None, None, 100),
        slice(np.int64(1), np.int32(4))],
    2: [0, -2, (1, 2), (-1, -1), (slice(1, 3), 2), (slice(None), 0), (Ellipsis, -1), (1, Ellipsis),
        (slice(None, None, -1),),
        (slice(None, None, -2), slice(None, None, 3)), (slice(3, None, -1), slice(4, 0, -2)), (N, 1), (1, N),
        (slice(None), N),
        (N, slice(1, 2), N, slice(2, 4), N), (Ellipsis, N), (slice(0, 0), slice(None)), (slice(None), slice(3, 3)),
        (slice(2, 3), slice(1, 2)), (Ellipsis, slice(1, None, 2)), (2, slice(None)), N, (N, N)],
    3: [1, (0, 2), (0, 1, -2), (Ellipsis, 1), (slice(None), 1),
        (slice(None, None, -1), Ellipsis, slice(None, None, -1)),
        (1, Ellipsis, 0), (N, Ellipsis, N, 0), (slice(1, 2), slice(None, None, 2), slice(3, 0, -1)),
        (0, N, slice(1, 3), N, 1),
        (Ellipsis, slice(1, 1), slice(None)), (slice(None), N, 0)],
}
CASES = [(n, i) for n, indices in BASIC.items() for i in indices]


def label(x):
    return repr(x).replace("slice", "").replace("None", "_") if not isinstance(x, np.ndarray) else f"{x.dtype}{x.shape}"


@pytest.mark.parametrize("n, index", CASES, ids=label)
def test_basic_index(n, index):
    check(lambda x: x[index], X[n])


@pytest.mark.parametrize("n, index", CASES, ids=label)
def test_basic_index_of_a_result(n, index):
    """Of what is no input, read twice, and beside itself."""
    check(lambda x: (lambda y: y[index] * 2.0 + np.sum(y) - y[index] * y[index])(np.sin(x)), X[n], second=False)


CHAINS = [
    (1, [slice(1, None), slice(None, None, 2)]), (1, [slice(None, None, -1), slice(1, 4), -1]),
    (1, [slice(None, None, 2), slice(None, None, -2), slice(1, None)]), (1, [N, 0, slice(2, 5), N, (0, 1)]),
    (1, [slice(5, 0, -1), slice(None, None, -2), slice(0, 0)]),
    (2, [slice(1, 4), (slice(None), slice(None, None, 2)), 1]),
    (2, [(slice(None, None, -1), slice(1, 4)), (slice(1, None), slice(None, None, -1)), (0, 2)]),
    (2, [1, slice(1, 4), slice(None, None, -1)]), (2, [(slice(None), 2), slice(1, 3)]),
    (2, [(N, slice(2), N), (0, slice(None), 0, 1)]),
    (3, [1, (slice(None), slice(1, 3)), slice(None, None, -1), (2, 1)]),
    (3, [(Ellipsis, 0), (slice(None), slice(None, None, -1)), 1]),
]


@pytest.mark.parametrize("n, chain", CHAINS)
def test_slices_of_slices(n, chain):
    def f(x):
        for index in chain:
            x = x[index]
        return x
    check(f, X[n])


@pytest.mark.parametrize("n, first, second", [(2, 0, slice(1, 3)), (2, slice(None, None, 2), (slice(None), -1)),
                                              (3, (slice(None), 1), 0)])
def test_index_of_rearranged(n, first, second):
    """Indexing what transpose, reshape or broadcasting made."""
    check(lambda x: x.T[first], X[n])
    check(lambda x: x[first].T, X[n])
    check(lambda x: x.reshape(-1)[1::3].reshape(-1, 1)[1:], X[n])
    check(lambda x: np.broadcast_to(x, (2,) + x.shape)[1][second], X[n], second=False)


# ---- integer arrays and masks

GATHERS = [
    (1, [0, 2, 2, 1]), (1, np.array([-1, 0, -7, 6])), (1, np.array([[0, 1], [1, 1], [-2, 3]])), (1, np.array([], int)),
    (1, np.array(3)), (1, np.zeros((2, 0), int)), (1, np.arange(7, dtype=np.uint8)), (1, np.array([5, 1], np.int16)),
    (1, X[1] > 0), (1, np.zeros(7, bool)), (1, np.ones(7, bool)), (1, [True, False] * 3 + [True]),
    (1, (np.array([1, 1]),)),
    (2, [3, 0, 0]), (2, np.array([[1, -1], [0, 0]])), (2, np.array([], int)), (2, X[2] > 0.3),
    (2, np.array([True, False, True, True])),
    (2, (np.array([0, 1, 1]), np.array([4, 0, 0]))), (2, (np.array([[0], [3]]), np.array([1, 1, 2]))),
    (2, (slice(None), [0, 0, -1])),
    (2, (slice(1, 3), np.array([2, 2]))), (2, ([1, 1], slice(None, None, 2))), (2, (1, [0, 3, 3])), (2, ([0, 2, 2], 1)),
    (2, (Ellipsis, [1, 0])), (2, (N, [1, 0, 1])), (2, (slice(None), np.array([True, False, False, True, True]))),
    (2, np.ix_([0, 2], [1, 1, 3])), (2, ([1, -1], N, [0, 0])), (3, [1, 1, 0]), (3, (slice(None), [0, 2, 2])),
    (3, ([0, 1], slice(None), [1, 1])), (3, (0, [1, 1], slice(1, 3))), (3, X[3] > 0), (3, (1, X[3][1] > 0)),
]


@pytest.mark.parametrize("n, index", GATHERS, ids=label)
def test_gather(n, index):
    check(lambda x: x[index], X[n])
    check(lambda x: np.sin(x)[index] * x[index], X[n], second=False)


@pytest.mark.parametrize("rows", [[0, 3, 3], np.array([[1, 1], [-1, 0]]), []])
def test_gather_of_rows_of_views(rows):
    rows = np.asarray(rows, int)
    check(lambda x: x[:, ::-1][rows], X[2])
    check(lambda x: x.T[:4][rows], X[2])
    check(lambda x: x[:, 1][rows], X[2])


def test_index_computed_from_traced_values():
    x = np.array([0.4, -1.0, 2.5, 0.1, -0.3])
    check(lambda x: x[x > 0], x)
    check(lambda x: x[(x > 0) & (x < 2)], x)
    check(lambda x: x[~(x > 0)] * x[np.argmax(x)], x)
    check(lambda x: x[np.argmin(x):np.argmax(x) + 1], x)
    check(lambda x: x[np.nonzero(x > 0)], x)
    check(lambda x: x[int(x[2]):], x)
    check(lambda x: np.stack([x, x * x])[np.array([0, 1, 0]), np.array([1, 1, 2])], x)


@pytest.mark.parametrize("n, index", [(1, 7), (1, -8), (1, (0, 0)), (2, (0, 0, 0)), (2, (4, 0)), (1, [7]),
                                      (1, np.array([-8])), (2, ([4], [0])),
                                      (1, (Ellipsis, Ellipsis)), (1, np.zeros(6, bool)), (1, 1.5), (1, "a")], ids=label)
def test_errors_are_numpy_s(n, index):
    with pytest.raises(IndexError):
        np.zeros(X[n].shape)[index]
    with pytest.raises(IndexError):
        ft.grad(lambda x: np.sum(x[index]))(X[n])


# ---- writing

def changed(index, value, start=lambda x: 1.0 * x):
    def f(x, v):
        y = start(x)
        y[index] = value(v)
        return y
    return f


@pytest.mark.parametrize("n, index", CASES, ids=label)
def test_set(n, index):
    shape = X[n][index].shape
    v = np.sin(1 + np.arange(np.prod(shape, dtype=int))).reshape(shape)[()]
    check(changed(index, lambda v: v), X[n], v)
    check(changed(index, lambda v: 2.5), X[n], v, second=False)
    check(changed(index, lambda v: v * v, np.zeros_like), X[n], v, second=False)


@pytest.mark.parametrize("n, index", [(n, i) for n, i in CASES if np.ndim(X[n][i])], ids=label)
def test_set_spreads_the_value(n, index):
    shape = X[n][index].shape
    if 0 not in shape:
        check(changed(index, lambda v: v), X[n], np.float64(0.7), second=False)
    check(changed(index, lambda v: v), X[n], np.linspace(1, 2, max(1, shape[-1]))[:shape[-1]], second=False)
    check(changed(index, lambda v: v[None, None]), X[n], np.linspace(1, 2, max(1, shape[-1]))[:shape[-1]], second=False)


@pytest.mark.parametrize("n, index", CASES, ids=label)
def test_augmented(n, index):
    shape = X[n][index].shape
    v = 1.3 + np.sin(np.arange(np.prod(shape, dtype=int))).reshape(shape)[()]

    def f(x, v):
        y = np.sin(x)
        y[index] += v
        y[index] *= y[index] if np.ndim(v) else v
        y[index] -= 0.5
        y[index] /= v + 1.0
        return y
    check(f, X[n], v, second=n < 3)


def test_overlapping_updates():
    """Source and destination are regions of one array: the value is read before anything is written."""
    x = X[1]

    def forward(x):
        y = 1.0 * x
        y[1:] = y[:-1]
        return y

    def backward(x):
        y = 1.0 * x
        y[:-1] = y[1:]
        y[::-1] = y
        return y

    def added(x):
        y = 1.0 * x
        y[1:-1] += y[2:] - 2.0 * y[1:-1] + y[:-2]
        y[1:] += y[:-1]
        return y

    def square(x):
        y = 1.0 * x
        y[:] = y.T
        y[0] += y[:, 1]
        y[1:, ::-1] = y[:-1]
        y.T[...] = y
        return y

    for f in (forward, backward, added):
        check(f, x)
    check(square, X[2][:, :4])


def test_update_in_a_loop():
    def f(x):
        y = np.zeros_like(x)
        y[0] = x[0]
        for i in range(1, len(x)):
            y[i] = 0.5 * y[i - 1] * x[i] + np.sin(x[i - 1])
        for i in range(len(x)):
            y[i] += y[-1 - i] ** 2
        return y
    check(f, X[1])


def test_old_values_survive_an_update():
    def f(x):
        y = np.sin(x)
        old, total = y * 1.0, np.sum(y * y)
        y[2] = total
        z = y * old
        y[1:4] = z[:3]
        return np.stack([y, z, old])
    check(f, X[1])


@pytest.mark.parametrize("index, value", [(slice(0, 3), np.zeros(4)), (0, np.zeros(2)), (slice(0, 2), np.zeros((3, 2))),
                                          ((0, 0), 1.0)], ids=label)
def test_what_does_not_fit_is_refused(index, value):
    with pytest.raises((ValueError, IndexError)):
        np.zeros(7)[index] = value

    def f(x):
        y = 1.0 * x
        y[index] = value * np.sum(x)
        return np.sum(y)
    with pytest.raises((ValueError, IndexError)):
        ft.grad(f)(X[1])


def test_the_argument_is_not_written_to():
    x = X[1].copy()

    def f(x):
        x[0] = 5.0
        x *= 2.0
        return np.sum(x * x)
    close(ft.grad(f)(x), np.where(np.arange(7) == 0, 0, 8 * X[1]), 1e-14)
    np.testing.assert_array_equal(x, X[1])
