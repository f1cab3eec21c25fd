"""Rearranging, joining, selecting and creating: shapes and values are NumPy's, derivatives those of
differences, errors of NumPy's kinds."""
import warnings

import numpy as np
import pytest
from table import check, close, direction, layouts, numerical_jacobian, traced

import fasttape as ft

A = {(): np.float64(0.7), (1,): np.array([0.4]), (6,): np.linspace(-1, 1.6, 6),
     (3, 4): np.cos(np.arange(12.0)).reshape(3, 4),
     (2, 3, 2): np.sin(1 + np.arange(12.0)).reshape(2, 3, 2), (1, 3, 1): np.array([[[0.3], [-1.0], [2.0]]]),
     (0,): np.zeros(0), (0, 3): np.zeros((0, 3)), (2, 0, 3): np.zeros((2, 0, 3)), (1, 1): np.array([[1.5]])}

REARRANGED = [      # function, of arrays of which shapes
    (lambda x: x.reshape(-1), [*A]), (lambda x: np.reshape(x, (-1,)), [*A]),
    (lambda x: x.reshape(2, -1), [(6,), (3, 4), (2, 3, 2)]),
    (lambda x: x.reshape((3, 2, -1)), [(6,), (3, 4), (2, 3, 2)]), (lambda x: x.reshape(()), [(), (1,), (1, 1)]),
    (lambda x: x.reshape([1, 1]), [(), (1,), (1, 1)]),
    (lambda x: x.reshape(1, -1, 1, 2)[..., ::-1], [(6,), (3, 4)]), (lambda x: np.reshape(x, x.shape), [*A]),
    (lambda x: x.reshape(np.int64(3), -1), [(6,), (3, 4)]),
    (lambda x: x.reshape(0, 5), [(0,), (0, 3)]), (lambda x: x.reshape(7, 0, 2), [(0,), (2, 0, 3)]),
    (np.transpose, [*A]), (lambda x: np.asarray(x).T if isinstance(x, float) else x.T, [*A]),
    (lambda x: x.transpose(1, 0), [(3, 4), (0, 3), (1, 1)]),
    (lambda x: np.transpose(x, (2, 0, -2)), [(2, 3, 2), (1, 3, 1), (2, 0, 3)]),
    (lambda x: x.transpose([0, 2, 1]), [(2, 3, 2)]), (lambda x: x.transpose(None), [(6,), (3, 4)]),
    (lambda x: x.T.reshape(-1), [(3, 4), (2, 3, 2), (0, 3)]), (lambda x: x.T.T[1:].reshape(-1, 2), [(3, 4)]),
    (lambda x: x.mT, [(3, 4), (2, 3, 2)]),
    (np.ravel, [*A]), (lambda x: x.ravel(), [*A]), (lambda x: x.flatten(), [*A]),
    (lambda x: np.ravel(x.T), [(3, 4), (2, 3, 2)]),
    (np.squeeze, [*A]), (lambda x: x.squeeze(0), [(1,), (1, 3, 1), (1, 1)]),
    (lambda x: np.squeeze(x, (0, -1)), [(1, 3, 1), (1, 1)]), (lambda x: np.squeeze(x, ()), [(6,), (1, 1)]),
    (lambda x: np.expand_dims(x, 0), [*A]), (lambda x: np.expand_dims(x, -1), [*A]),
    (lambda x: np.expand_dims(x, (0, 2)), [(6,), (3, 4), (0, 3)]),
    (lambda x: np.expand_dims(x, [0, -1]), [*A]), (lambda x: np.expand_dims(x, (-1, -3)), [(6,), (1,)]),
    (lambda x: np.expand_dims(x, np.int64(1)), [(6,), (3, 4)]),
    (lambda x: np.moveaxis(x, 0, -1), [(6,), (3, 4), (2, 3, 2), (2, 0, 3)]),
    (lambda x: np.moveaxis(x, [0, 2], [1, 0]), [(2, 3, 2), (1, 3, 1)]),
    (lambda x: np.moveaxis(x, (0, 1), (-1, -2)), [(2, 3, 2), (3, 4)]),
    (lambda x: np.moveaxis(x, np.int64(-1), 0), [(3, 4), (2, 3, 2)]), (lambda x: np.moveaxis(x, (), ()), [(3, 4), ()]),
    (lambda x: np.swapaxes(x, 0, -1), [(6,), (3, 4), (2, 3, 2), (0, 3)]),
    (lambda x: x.swapaxes(1, 2), [(2, 3, 2), (2, 0, 3)]),
    (lambda x: np.broadcast_to(x, (2, 3, 4)), [(), (1,), (3, 4), (1, 1)]),
    (lambda x: np.broadcast_to(x, (6,)), [(), (1,), (6,)]), (lambda x: np.broadcast_to(x, 3), [(), (1,)]),
    (lambda x: np.broadcast_to(x, (0, 3)), [(), (1,), (0, 3)]), (lambda x: np.broadcast_to(x, (4, 3, 2)), [(1, 3, 1)]),
    (lambda x: np.broadcast_to(x, ()), [()]),
    (lambda x: np.broadcast_arrays(x, np.ones((2, 1, 1)))[0], [*A]),
    (lambda x: np.broadcast_arrays(np.ones(4), x, 2.0)[1], [(), (1,), (3, 4), (1, 1)]),
    (np.atleast_1d, [*A]), (lambda x: np.atleast_1d(2.0, x)[1], [*A]), (lambda x: np.copy(x), [*A]),
    (lambda x: np.sinc(x), [*A]),
]


@pytest.mark.parametrize("i", range(len(REARRANGED)))
def test_rearranged(i):
    f, shapes = REARRANGED[i]
    for shape in shapes:
        check(f, A[shape], second=len(shape) < 3)
        check(lambda x: f(np.sin(x) * 2.0) * f(x), A[shape], second=False)      # of a result, beside itself


@pytest.mark.parametrize("i", range(len(REARRANGED)))
def test_rearranged_layouts(i):
    f, shapes = REARRANGED[i]
    if (3, 4) in shapes:
        for x in layouts(np.sin(np.arange(24.0)).reshape(4, 6)).values():
            part, plain = x[:3, 1:5], np.array(x[:3, 1:5], float)
            value, pull = ft.vjp(f, part)
            close(value, f(plain), 1e-15)
            w = direction(value)
            close(pull(w)[0], np.tensordot(w, numerical_jacobian(f, plain), w.ndim), 1e-11)


JOINED = [          # function of x and y, their shapes
    (lambda x, y: np.concatenate([x, y]), [((6,), (1,)), ((0,), (6,)), ((3, 4), (3, 4)), ((0, 3), (0, 3)),
                                           ((2, 0, 3), (2, 0, 3))]),
    (lambda x, y: np.concatenate((x, 2 * np.ones((3, 2)), y, x), axis=1), [((3, 4), (3, 4))]),
    (lambda x, y: np.concatenate([y, x, y], axis=-1), [((2, 3, 2), (2, 3, 2))]),
    (lambda x, y: np.concatenate([x, y], axis=None), [((3, 4), (6,)), ((2, 3, 2), (1, 1)), ((0, 3), (1,)), ((), (6,))]),
    (lambda x, y: np.concatenate([x]) * y, [((6,), ())]),
    (lambda x, y: np.concatenate([x[::-1], y.T, x[1:2]]), [((6,), (6,))]),
    (lambda x, y: np.concatenate(x) * y, [((3, 4), ())]),
    (lambda x, y: np.stack([x, y]), [((6,), (6,)), ((), ()), ((0, 3), (0, 3)), ((1,), (1,))]),
    (lambda x, y: np.stack([x, y, x, 0 * y], axis=1), [((6,), (6,)), ((2, 3, 2), (2, 3, 2))]),
    (lambda x, y: np.stack((y, x), axis=-1), [((), ()), ((3, 4), (3, 4)), ((2, 0, 3), (2, 0, 3))]),
    (lambda x, y: np.stack([x, 3.0, y, 2]), [((), ())]),
    (lambda x, y: np.stack([x, [0, 1, 2, 3, 4, 5]], 1) * y, [((6,), ())]),
    (lambda x, y: np.vstack([x, y]), [((6,), (6,)), ((), ()), ((3, 4), (3, 4)), ((0, 3), (0, 3)), ((1,), (1, 1))]),
    (lambda x, y: np.vstack([x, np.ones((2, 4)), y[0]]), [((3, 4), (3, 4))]),
    (lambda x, y: np.hstack([x, y]), [((6,), (1,)), ((), ()), ((), (6,)), ((3, 4), (3, 4)), ((0,), (1,))]),
    (lambda x, y: np.hstack([1.0, x, [2, 3], y]), [((6,), ())]),
    (lambda x, y: np.where(x > 0, x, y), [((6,), (6,)), ((3, 4), ()), ((), (3, 4)), ((1,), (6,)), ((), ()),
                                          ((0, 3), (0, 3))]),
    (lambda x, y: np.where([True, False, True, True], x * y, 1.0), [((3, 4), ())]),
    (lambda x, y: np.where(np.arange(3)[:, None], 2, x) - y, [((3, 4), (1, 1))]),
    (lambda x, y: np.where(True, x, y), [((6,), (1,))]), (lambda x, y: np.where(y > 0, 1.0, 2.0) * x, [((6,), (6,))]),
    (lambda x, y: np.broadcast_arrays(x, y)[0] * np.broadcast_arrays(x, y)[1],
     [((3, 4), (1, 1)), ((), (2, 3, 2)), ((1, 3, 1), (1,))]),
]


@pytest.mark.parametrize("i", range(len(JOINED)))
def test_joined(i):
    f, pairs = JOINED[i]
    for a, b in pairs:
        x, y = A[a], A[b] * 0.7 - 0.123
        check(f, x, y, second=np.size(f(x, y)) < 20)
        check(lambda x: f(x, np.asarray(y)), x, second=False)       # one a constant


# ---- creating

LIKE = [lambda x: np.zeros_like(x), lambda x: np.ones_like(x), lambda x: np.full_like(x, 2.5),
        lambda x: np.zeros_like(x, shape=(2, 3)),
        lambda x: np.ones_like(x, shape=4), lambda x: np.full_like(x, -1, shape=()),
        lambda x: np.zeros_like(x, dtype=np.float32), lambda x: np.ones_like(x, dtype="f8"),
        lambda x: np.full_like(x, np.nan), lambda x: np.full_like(x, np.float64(1e300)),
        lambda x: np.ones_like(x, shape=(0, 2)), lambda x: np.full_like(x, 3)]


@pytest.mark.parametrize("i", range(len(LIKE)))
def test_like(i):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for shape in A:
            for x in (np.asarray(A[shape]), np.asarray(A[shape], np.float32)):
                found, wanted = traced(LIKE[i], x), LIKE[i](x)
                assert found.dtype == wanted.dtype and found.shape == wanted.shape
                np.testing.assert_array_equal(found, wanted)
                assert not ft.grad(lambda x: np.sum(LIKE[i](x)) * 1.0)(x).any()


def test_full_like_of_a_traced_value():
    check(lambda x: np.full_like(x, x[1]) * x, A[6,])
    check(lambda x: np.full_like(x, np.sum(x), shape=(2, 2)), A[6,])
    check(lambda x: np.full_like(x, x[0]) * x, A[3, 4])


@pytest.mark.parametrize("f", [lambda x: np.zeros_like(x, dtype=int), lambda x: np.ones_like(x, dtype=bool),
                               lambda x: np.full_like(x, 2, dtype=np.int32),
                               lambda x: np.zeros_like(x > 0), lambda x: np.ones_like(x > 0)])
def test_like_of_other_dtypes(f):
    assert traced(f, A[6,]).dtype == f(A[6,]).dtype


@pytest.mark.parametrize("f", [lambda x: np.full_like(x, x.astype(np.float64)[0]),
                               lambda x: np.full_like(x, x[0], dtype=np.float64),
                               lambda x: np.full_like(x, [1, 2, 3, 4, 5, 6])])
def test_full_like_of_values_of_another_dtype(f):
    x = A[6,].astype(np.float32)
    found, wanted = traced(f, x), f(x)
    assert found.dtype == wanted.dtype
    np.testing.assert_array_equal(found, wanted)


# ---- what a shape is asked for

ASKED = [lambda x: x.shape, lambda x: x.ndim, lambda x: x.size, lambda x: np.shape(x), lambda x: np.ndim(x),
         lambda x: np.size(x), lambda x: x.nbytes, lambda x: x.itemsize,
         lambda x: str(x.dtype), lambda x: len(x), lambda x: np.size(x, 0), lambda x: np.size(x, -1),
         lambda x: [r.shape for r in x], lambda x: len(list(x)),
         lambda x: x.T.shape, lambda x: (x > 0).dtype, lambda x: np.size(x, 5), lambda x: [np.shape(v) for v in x.flat]]


@pytest.mark.parametrize("i", range(len(ASKED)))
def test_asked(i):
    def answer(x):
        try:
            return ASKED[i](x)
        except TypeError:
            return TypeError
        except IndexError:              # an AxisError is one
            return IndexError

    for x in [np.asarray(a, d) for a in A.values() for d in (np.float64, np.float32)]:
        found = []
        ft.vjp(lambda x: found.append(answer(x)) or 0.0, x)
        assert found == [answer(x)]


def test_iteration():
    check(lambda x: sum(v * k for k, v in enumerate(x)), A[6,])
    check(lambda x: sum(v * w for row in x for v, w in zip(row, row[::-1])), A[3, 4])
    check(lambda x: np.stack([v * 2 for v in x.flat]), A[3, 4])
    check(lambda x: (lambda a, b, c: a * b - c)(*x), A[3, 4])
    assert traced(lambda x: list(x) == [] and list(x.flat) == [], A[0, 3])


def test_printed():
    for x in (A[6,], A[3, 4], A[0, 3], A[()], A[6,].astype(np.float32), A[1, 1]):
        assert traced(lambda x: repr(x), x) == f"traced {x!r}" and traced(lambda x: str(x), x) == str(x)
        assert traced(lambda x: repr(x > 0), x) == f"traced {x > 0!r}"
    assert traced(lambda x: f"{x:.3f}", 0.12345) == "0.123"


# ---- bad arguments

AXIS = np.exceptions.AxisError
BAD = [(lambda x: x.reshape(5, 2), ValueError), (lambda x: x.reshape(-1, -1), ValueError),
       (lambda x: x.reshape(5, -1), ValueError),
       (lambda x: x.reshape(0, -1), ValueError), (lambda x: x.transpose(0), ValueError),
       (lambda x: x.transpose(0, 0), ValueError), (lambda x: x.transpose(0, 2), ValueError),
       (lambda x: np.squeeze(x, 0), ValueError), (lambda x: np.squeeze(x, 2), AXIS),
       (lambda x: np.expand_dims(x, 3), AXIS), (lambda x: np.expand_dims(x, (0, 0)), ValueError),
       (lambda x: np.expand_dims(x, -4), AXIS),
       (lambda x: np.moveaxis(x, 2, 0), AXIS), (lambda x: np.moveaxis(x, 0, -3), AXIS),
       (lambda x: np.moveaxis(x, (0, 0), (0, 1)), ValueError), (lambda x: np.moveaxis(x, (0, 1), 0), ValueError),
       (lambda x: np.broadcast_to(x, (4, 3)), ValueError), (lambda x: np.broadcast_to(x, (4,)), ValueError),
       (lambda x: np.broadcast_to(x, (-1, 3, 4)), ValueError),
       (lambda x: np.broadcast_arrays(x, np.ones(3)), ValueError),
       (lambda x: np.concatenate([x, np.ones((3, 3))]), ValueError), (lambda x: np.concatenate([x, x], axis=2), AXIS),
       (lambda x: np.concatenate([x[0, 0], x[0, 0]]), ValueError), (lambda x: np.concatenate([x, x[0]]), ValueError),
       (lambda x: np.concatenate(x[0]), ValueError), (lambda x: np.stack([x, x[0]]), ValueError),
       (lambda x: np.stack([x, x], axis=3), AXIS), (lambda x: np.stack([x, x], axis=-4), AXIS),
       (lambda x: np.vstack([x, x[:, :2]]), ValueError), (lambda x: np.hstack([x, x[:2]]), ValueError),
       (lambda x: np.hstack([x, x[0]]), ValueError), (lambda x: np.where(x > 0, x, np.ones(3)), ValueError),
       (lambda x: np.where(np.ones(3), x, 1.0), ValueError), (lambda x: np.where(x > 0, x), (TypeError, ValueError)),
       (lambda x: np.zeros_like(x, shape=-1), ValueError), (lambda x: len(x[0, 0]), TypeError),
       (lambda x: list(x[0, 0]), TypeError), (lambda x: x.item(), ValueError), (lambda x: x[0].mT, ValueError)]


@pytest.mark.parametrize("i", range(len(BAD)))
def test_bad_arguments(i):
    f, error = BAD[i]
    for call in (f, lambda x: ft.vjp(f, x)):
        with pytest.raises(error):
            call(A[3, 4])


@pytest.mark.parametrize("shape", [(2.0, 6), ("a",)])
def test_shapes_that_are_no_whole_numbers(shape):
    with pytest.raises(TypeError):
        ft.vjp(lambda x: x.reshape(*shape), A[3, 4])


def test_axes_of_swapaxes():
    with pytest.raises(AXIS):
        ft.vjp(lambda x: np.swapaxes(x, 0, 2), A[3, 4])
