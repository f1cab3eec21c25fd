"""Views read and write through, as NumPy's do: the same statements on plain arrays say what the values are,
complex steps and differences what the derivatives are."""
import numpy as np
import pytest
from table import check

import fasttape as ft

A = np.cos(np.arange(12.0)).reshape(3, 4) + 0.1
V = np.linspace(-1.1, 1.7, 6)
TURN = np.array([[0.0, 1.0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [1, 0, 0, 0]])


# ---- statements that change x through something else

def view_of_a_slice(x):
    x[1:][0] = x[0] * 2.0
    x[::-1][:2][0] = 3.0


def views_of_views(x):
    a = x[1:]
    b = a[:, ::-1] if x.ndim > 1 else a[::-1]
    c = b[1:]
    c[0] = 100.0 * x[0]
    a[0] = 50.0
    x += 1.0
    b *= c[0]
    a -= b


def transposed(x):
    y = x.T
    y[1:] = y[:-1] * 2.0
    y += x.T
    x.T[0] = 4.0
    y[-1] *= y[0]


def reshaped(x):
    y = x.reshape(2, -1)
    y[1] = y[0] * x.reshape(-1)[-1]
    y.reshape(3, 2, -1)[0] += 1.0
    np.reshape(x, (-1, 2))[1:, 0] *= 0.5


def reshaped_where_numpy_copies(x):
    y = (x[:, 1:3] if x.ndim > 1 else x[::2]).reshape(-1)
    y[0] = 9.0
    z = x[:, :1].reshape(-1) if x.ndim > 1 else x[:4].reshape(2, 2)[:, 0]
    z *= 3.0
    x.T.reshape(-1)[0] = 7.0
    x[-1] += y[0] * z[0]


def raveled(x):
    y = np.ravel(x)
    y[3] = y[0]
    y *= 2.0
    x.ravel()[1:3] -= x.ravel()[0:2]
    x.flatten()[0] = 5.0


def squeezed_and_expanded(x):
    np.squeeze(x[None])[1] = 50.0 * x[0]
    y = np.expand_dims(x, 0)
    y[0, 1] *= x[2]
    y += y
    x[..., None][:, ..., 0] -= 1.0
    np.atleast_1d(x)[0] = x[1]


def swapped(x):
    if x.ndim > 1:
        x.swapaxes(0, 1)[1:] *= 2.0
        y = np.moveaxis(x, 0, 1)
        x[0] = 7.0
        y[0] = y[1] * y[2]
    x[0], x[1] = x[1], x[0]


def view_taken_before(x):
    y = x[1:3]
    x *= 2.0
    x[1] = x[0] * x[2]
    x[-1] = y[0] + y[1]
    y[:] = y[::-1]


def rows(x):
    for row in x.reshape(2, -1):
        row[0] = row[1] * 2.0
        row *= x[0] if x.ndim == 1 else 1.5
    for i, row in enumerate(x.reshape(3, -1)):
        if i:
            row += x.reshape(3, -1)[i - 1]


def into_itself(x):
    x += x[::-1]
    x[1:] += x[:-1]
    x[:-1] *= x[1:]
    x[...] = np.sin(x)[::-1]
    x[:] = x


def results_written_to_an_operand(x):
    y = x[1:]
    np.multiply(y, 2.0, out=y)
    np.sin(y, out=y)
    z = np.add(y, x[:-1], y)
    z[0] = 8.0
    np.maximum(x, -0.3, out=x)


def every_in_place_operator(x):
    y = x[1:]
    y **= 2
    y /= 1.5
    y -= x[:-1]
    y *= y
    y //= 10.0
    y += x[0]
    y %= 0.7


def filled(x):
    x[1:3].fill(4.0)
    x.T[1:2].fill(np.sum(x))
    x[0] *= x[1]


def copies_stay_apart(x):
    for y in (x.copy(), np.copy(x), +x, x * 1.0, x[[0, 1]], x[x > 0], np.where(x > 9, 0.0, x), np.concatenate([x]),
              np.stack([x]), x**1,
              x.astype(float), np.sum(x, axis=()), np.max(x[:1], axis=0, keepdims=True),
              np.prod(x[:1], axis=0, keepdims=True), abs(x)):
        y[0] = 99.0
        y += 1.0
    total = x[0] * 1.0
    x[0] = 5.0
    x[1] = total


def name_rebound(x):
    y = x[1:]
    x = x * 2.0
    y[0] = 5.0
    x[1] = 3.0
    y += x[1:]


def elements_are_numbers(x):
    a = x.reshape(-1)[1]
    x.reshape(-1)[1] = 9.0
    a += 1.0
    x[0] *= a


def elements_that_follow_the_array(x):
    """What has no axes but was not named by whole numbers alone is no number: it reads and writes through."""
    a = x.reshape(-1)[1, ...]
    b = x.reshape(-1)[:1].reshape(())
    c = np.squeeze(x.reshape(-1)[2:3])
    x.reshape(-1)[1] = 9.0
    a += b * c
    b *= 2.0
    c -= a
    a[...] = b + a
    d = a[()]
    a[()] = 3.0
    x.reshape(-1)[-1] = d + a.reshape(1)[0]
    a.reshape(1, 1)[:] *= 2.0
    a[None][0] += 1.0
    np.sin(c, out=c)
    x.reshape(-1)[3, ...] += c


def iterated(x):
    """NumPy reads an element when the loop comes to it."""
    for i, v in enumerate(x.reshape(-1)):
        if i + 1 < x.size:
            x.reshape(-1)[i + 1] += v
    for i, v in enumerate(x.T.flat):
        if i:
            x[0] += 0.1 * v
    for v in x.flat:
        x[-1] += 0.1 * v


def raveled_of_strides(x):
    y = np.ravel(x[::2])
    y[0] = 5.0
    x[::-1].ravel()[:] = 3.0
    x[1:].ravel()[0] = 2.0
    x[:1].T.ravel()[0] = 7.0


def multiplied_in_place(x):
    y = x.reshape(-1)[:4].reshape(1, 4)
    y @= TURN


def broadcast(x):
    """A view: it shows what becomes of the array."""
    y = np.broadcast_to(x, (2,) + x.shape)
    x[0] = 5.0
    x[1:] = np.array(0.0) + y[1, :1]
    z = y[:, ::-1][1:].reshape(x.shape)
    x *= z
    x[0] += np.sum(y) + np.max(y, axis=(0, 1)) + np.sum(y * y, axis=0)[0]


def broadcast_along_an_inner_axis(x):
    y = np.broadcast_to(x.reshape(2, 1, -1), (2, 3, x.size // 2))
    z = np.swapaxes(y, 0, 2)[1:, ::-1]
    x.reshape(-1)[:2] = x.reshape(-1)[-2:] * 2.0
    x.reshape(-1)[0] += np.sum(np.sin(y) @ np.swapaxes(y, 1, 2)) + np.sum(z[0] @ y[:, :, 0]) + np.sum(y.ravel()[2:4])
    x -= y[1, 2, 0] * np.broadcast_to(x[:1, ...], x.shape) + np.broadcast_to(x.reshape(-1)[0, ...], x.shape)


def broadcast_together(x):
    y, z = np.broadcast_arrays(x, np.ones((2,) + x.shape))
    x[0] = 5.0
    x[1:] = np.array(0.0) + y[1, :1] + z[0, :1]
    y, z = np.broadcast_arrays(x, np.ones(x.shape))
    x += y * z


def cast_without_a_copy(x):
    y = x.astype(x.dtype, copy=False)
    y[0] = 5.0
    x.astype(x.dtype)[1] = 7.0


def empty_views(x):
    y = x[3:3]
    y += 1.0
    y[:] = 5.0
    x[2:2] = np.zeros((0,) + x.shape[1:])
    x[:, ][3:].T[...] = 3.0
    x *= x


STATEMENTS = [view_of_a_slice, views_of_views, transposed, reshaped, reshaped_where_numpy_copies, raveled,
              squeezed_and_expanded, swapped, view_taken_before,
              rows, into_itself, results_written_to_an_operand, every_in_place_operator, filled, copies_stay_apart,
              name_rebound, elements_are_numbers, elements_that_follow_the_array, iterated, raveled_of_strides,
              multiplied_in_place, broadcast, broadcast_along_an_inner_axis, broadcast_together, cast_without_a_copy,
              empty_views]


def done(change):
    """The array that `change` changes, after it, with something of its old value."""
    def f(x):
        y = 1.0 * x
        change(y)
        return y * 2.0 + 0.1 * x
    return f


@pytest.mark.parametrize("x", [A, V], ids=["matrix", "vector"])
@pytest.mark.parametrize("change", STATEMENTS)
def test_statements(change, x):
    check(done(change), x)


@pytest.mark.parametrize("change", STATEMENTS)
def test_an_argument_is_changed_for_the_function_only(change):
    x = A.copy()

    def f(x):
        change(x)
        return np.sum(x * x)

    y = A.copy()
    assert ft.value_and_grad(f)(x)[0] == pytest.approx(f(y), rel=1e-14)
    assert ft.jvp(f, x, x)[0] == pytest.approx(f(A.copy()), rel=1e-14)
    np.testing.assert_array_equal(x, A)


def test_overlapping_strides():
    """As if the right-hand side were copied first. NumPy itself reads here what it has just written."""
    def f(x):
        y = 1.0 * x
        y[::2] = y[:3]
        y[:3] = y[None, 1::2]
        return y
    wanted = np.array([V[1], V[3], V[5], V[3], V[2], V[5]])
    np.testing.assert_array_equal(ft.vjp(f, V)[0], wanted)
    np.testing.assert_array_equal(ft.jacobian(f, mode="forward")(V), np.eye(6)[[1, 3, 5, 3, 2, 5]])
    np.testing.assert_array_equal(ft.jacobian(f, mode="reverse")(V), np.eye(6)[[1, 3, 5, 3, 2, 5]])


@pytest.mark.parametrize("of", [lambda x: np.broadcast_to(x, (2, 6)), lambda x: np.broadcast_to(x, (6,)),
                                lambda x: np.broadcast_to(x[0], (6,)),
                                lambda x: np.broadcast_to(x, (2, 6))[:, 1:].T,
                                lambda x: np.broadcast_to(x, (1, 6)).reshape(-1),
                                lambda x: np.broadcast_to(x, (2, 6))[0, 0, ...]])
@pytest.mark.parametrize("write", [lambda y: y.fill(0.0), lambda y: y.__setitem__(..., 1.0), lambda y: y.__iadd__(1.0),
                                   lambda y: np.sin(y, out=y)])
def test_what_is_broadcast_is_read_only(of, write):
    with pytest.raises(ValueError, match="read-only"):
        write(of(1.0 * V))
    with pytest.raises(ValueError, match="read-only"):
        ft.vjp(lambda x: write(of(1.0 * x)), V)


def test_copies_of_what_is_broadcast_are_not():
    def f(x):
        y = np.broadcast_to(x, (2, 6)).copy()
        z = np.broadcast_to(x, (2, 6)).reshape(12)
        y[0] = 1.0
        z[1] = 2.0
        return y * z.reshape(2, 6)
    check(f, V)


@pytest.mark.parametrize("result", [np.sin, lambda x: x * 2.0, np.zeros_like])
def test_results_lie_in_c_order(result):
    """Unlike NumPy's, which lie as the operands: so reshape gives a view of them, where NumPy copies. See views.pyx."""
    def f(x):
        y = result(x.T)
        y.reshape(-1)[1] = 9.0
        return y * 1.0
    wanted = np.ascontiguousarray(result(A.T))
    wanted[0, 1] = 9.0
    np.testing.assert_allclose(ft.vjp(f, A)[0], wanted, rtol=1e-15)
