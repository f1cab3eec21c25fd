"""Products: @, matmul, dot, inner, outer, vdot over vectors, matrices and stacks of them, of every layout;
values are NumPy's, derivatives those of differences and the closed forms d(AB) = dA B + A dB."""
import numpy as np
import pytest
from table import check, close, direction, layouts, numerical_jacobian, traced

import fasttape as ft


def arrays(*shapes):
    rng = np.random.default_rng([3, *map(len, shapes)])
    return [rng.uniform(-1.5, 1.5, shape) for shape in shapes]


MATMUL = [((3,), (3,)), ((1,), (1,)), ((2, 3), (3,)), ((2,), (2, 3)), ((2, 3), (3, 2)), ((1, 3), (3, 1)),
          ((3, 1), (1, 2)), ((1, 1), (1, 1)),
          ((2, 2, 3), (2, 3, 1)), ((2, 2, 3), (3, 2)), ((2, 3), (2, 3, 2)), ((2, 1, 2, 3), (3, 3, 1)),
          ((1, 2, 2), (3, 2, 1)), ((3, 1, 2), (1, 2, 2)),
          ((3,), (2, 3, 2)), ((2, 2, 3), (3,)), ((2, 1, 1, 2), (2, 2, 1)), ((1, 1, 2), (2,))]
EMPTY = [((0,), (0,)), ((0, 3), (3,)), ((0, 3), (3, 2)), ((2, 0), (0, 3)), ((2, 0), (0,)), ((0,), (0, 3)),
         ((2, 3), (3, 0)), ((0, 2, 3), (3, 2)),
         ((1, 2, 3), (0, 3, 2)), ((2, 2, 0), (2, 0, 3)), ((0, 0), (0, 0)), ((3,), (3, 0)), ((3, 0), (4, 0)),
         ((0,), (2, 0)),
         ((3, 0), (2, 0, 4))]


@pytest.mark.parametrize("a, b", MATMUL)
def test_matmul(a, b):
    x, y = arrays(a, b)
    check(lambda x, y: x @ y, x, y)
    check(np.matmul, x, y, second=False)
    check(lambda x: x @ y, x, second=False)         # one operand is a constant
    check(lambda y: x @ y, y, second=False)
    check(lambda x: x @ y.tolist(), x, second=False)
    check(lambda y: x.tolist() @ y, y, second=False)
    check(lambda x: (x @ y) * np.sum(x), x, second=False)


@pytest.mark.parametrize("a, b", MATMUL)
def test_second_derivative_in_one_operand(a, b):
    x, y = arrays(a, b)
    check(lambda x: np.sin(x) @ y, x)
    check(lambda y: x @ (y * y), y)


@pytest.mark.parametrize("shape", [(2, 2), (3, 3), (2, 2, 2)])
def test_matrix_times_itself(shape):
    x, = arrays(shape)
    check(lambda x: x @ x, x)
    check(lambda x: x @ x.swapaxes(-1, -2), x)
    check(lambda x: x.swapaxes(-1, -2) @ x @ x, x)
    check(lambda x: x[..., 0, :] @ x, x)


@pytest.mark.parametrize("a, b", EMPTY)
@pytest.mark.parametrize("f", [np.matmul, np.dot, np.inner, np.outer, np.vdot])
def test_empty(f, a, b):
    x, y = np.ones(a), np.ones(b)
    try:
        wanted = f(x, y)
    except ValueError:
        for call in (lambda: ft.vjp(f, x, y), lambda: ft.vjp(lambda x: f(x, y), x),
                     lambda: ft.vjp(lambda y: f(x, y), y)):
            with pytest.raises(ValueError):
                call()
        return
    value, pull = ft.vjp(f, x, y)
    np.testing.assert_array_equal(value, wanted)    # a sum of nothing is 0
    assert [g.shape for g in pull(wanted)] == [a, b] and not any(g.any() for g in pull(wanted))
    assert ft.jvp(f, (x, y), (x, y))[1].shape == np.shape(wanted)
    for mode in ("forward", "reverse"):
        blocks = ft.jacobian(f, (0, 1), mode=mode)(x, y)
        assert [j.shape for j in blocks] == [np.shape(wanted) + a, np.shape(wanted) + b]


OTHERS = [(np.dot, (3,), (3,)), (np.dot, (2, 3), (3,)), (np.dot, (3,), (3, 2)), (np.dot, (2, 3), (3, 2)),
          (np.dot, (2, 2, 3), (3,)),
          (np.dot, (2, 2, 3), (3, 2)), (np.dot, (2, 3), (2, 3, 2)), (np.dot, (3,), (2, 3, 1)),
          (np.dot, (2, 1, 3), (2, 3, 2)), (np.dot, (2,), ()),
          (np.dot, (), (2, 2)), (np.dot, (), ()),
          (np.inner, (3,), (3,)), (np.inner, (2, 3), (3,)), (np.inner, (3,), (2, 3)), (np.inner, (2, 3), (4, 3)),
          (np.inner, (2, 2, 3), (2, 3)),
          (np.inner, (2, 3), (2, 1, 3)), (np.inner, (), (3,)), (np.inner, (2, 2), ()), (np.inner, (), ()),
          (np.outer, (3,), (2,)), (np.outer, (2, 2), (3,)), (np.outer, (2,), (2, 1, 2)), (np.outer, (), (3,)),
          (np.outer, (1,), ()), (np.outer, (), ()),
          (np.vdot, (3,), (3,)), (np.vdot, (2, 3), (3, 2)), (np.vdot, (2, 3), (6,)), (np.vdot, (), ())]


@pytest.mark.parametrize("f, a, b", OTHERS)
def test_dot_inner_outer_vdot(f, a, b):
    x, y = arrays(a, b)
    check(f, x, y)
    check(lambda x: f(x, y), x, second=False)
    check(lambda y: f(x, y), y, second=False)
    check(lambda x: f(x, y.tolist()), x, second=False)
    check(lambda y: f(x.tolist(), y), y, second=False)
    if f is np.dot and np.ndim(x):
        check(lambda x, y: x.dot(y), x, y, second=False)


# ---- layouts

def test_layouts():
    """(4, 6) by (6, 4): every layout of the one against every layout of the other."""
    x, y = arrays((4, 6), (4, 6))
    for way, a in layouts(x).items():
        for other, b in layouts(y).items():
            value, pull = ft.vjp(lambda a, b: a @ b.T, a, b)
            close(value, np.array(a, float) @ np.array(b, float).T, 1e-14, what=f"{way}, {other}")
            w = direction(value)
            close(pull(w)[0], w @ np.array(b, float), 1e-14, what=f"{way}, {other}")
            close(pull(w)[1], w.T @ np.array(a, float), 1e-14, what=f"{way}, {other}")
            close(ft.grad(lambda a: np.sum(w * (a @ b.T)))(a), w @ np.array(b, float), 1e-14, what=f"{way}, {other}")


VIEWS = [lambda x: x[::2, 1:], lambda x: x[::-1, ::-1][:3, :5], lambda x: x.T[:3, :5] * 1.0,
         lambda x: x[1:4, ::-1][:, :5], lambda x: x.T[1:4].T[:5].T,
         lambda x: np.broadcast_to(x[0, :5], (3, 5)), lambda x: x[:3, 0:1] + np.zeros(5),
         lambda x: x.reshape(-1)[3:18].reshape(3, 5),
         lambda x: x[None, :3, None, 1:][0, :, 0],
         lambda x: x.reshape(4, 3, 3)[::-1, ::-2, 1][:, :1].T[:, [0, 1, 2, 3, 0]][[0, 0, 0]]]


@pytest.mark.parametrize("i", range(len(VIEWS)))
def test_views(i):
    """Regions of one traced array, with every kind of stride."""
    x, = arrays((6, 6))
    for other in VIEWS:
        check(lambda x: VIEWS[i](x) @ other(x).T, x, second=False)
    check(lambda x: VIEWS[i](x) @ x[0, 1:], x, second=False)
    check(lambda x: x[::-2, 2] @ VIEWS[i](x), x, second=False)


def test_views_of_stacks():
    x, y = arrays((2, 3, 4), (3, 2, 4))
    check(lambda x, y: x[:, ::2, ::-1] @ y.transpose(1, 2, 0)[::-1], x, y)
    check(lambda x, y: np.moveaxis(x, 0, -1) @ y.transpose(0, 1, 2)[:, :, :3], x, y)
    check(lambda x, y: x[:, None, :, 1:3] @ y[None, :, :, ::2][:, :, ::-1], x, y)


def test_large_enough_for_blocks():
    x, y, z = arrays((70, 130), (130, 90), (5, 90, 40))
    v = [direction(a, k) for k, a in enumerate((x, y, z))]
    value, tangent = ft.jvp(lambda x, y, z: x @ y @ z, (x, y, z), tuple(v))
    close(value, x @ y @ z, 1e-13)
    close(tangent, v[0] @ y @ z + x @ v[1] @ z + x @ y @ v[2], 1e-13)
    w = direction(value, 4)
    gx, gy, gz = ft.vjp(lambda x, y, z: x @ y @ z, x, y, z)[1](w)
    close(gx, np.einsum("kil,jm,kml->ij", w, y, z, optimize=True), 1e-12)
    close(gy, np.einsum("kil,ij,kml->jm", w, x, z, optimize=True), 1e-12)
    close(gz, np.einsum("kil,ij,jm->kml", w, x, y, optimize=True), 1e-12)


# ---- dtypes

@pytest.mark.parametrize("f, a, b", [(np.matmul, (2, 3), (3, 2)), (np.matmul, (3,), (3,)), (np.matmul, (2, 2, 3), (3,)),
                                     (np.dot, (2, 3), (2, 3, 2)),
                                     (np.inner, (2, 3), (2, 3)), (np.outer, (2,), (3,)), (np.vdot, (2, 2), (4,))])
def test_float32(f, a, b):
    x, y = arrays(a, b)
    exact = [numerical_jacobian(lambda x: f(x, y), x), numerical_jacobian(lambda y: f(x, y), y)]
    for dx, dy in ((np.float32, np.float32), (np.float32, np.float64), (np.float64, np.float32)):
        p, q = x.astype(dx), y.astype(dy)
        value, pull = ft.vjp(f, p, q)
        assert value.dtype == f(p, q).dtype and ft.jvp(f, (p, q), (p, q))[1].dtype == f(p, q).dtype
        close(value, f(x, y), 1e-6)
        assert [g.dtype for g in pull(np.ones(np.shape(value), value.dtype))] == [dx, dy]
        for k, found in enumerate(ft.jacobian(f, (0, 1), mode="reverse")(p, q)):
            assert found.dtype == (dx, dy)[k]
            close(found, exact[k], 1e-6)
        assert traced(lambda p: f(p, y.round().astype(int)), p).dtype == f(p, y.round().astype(int)).dtype
        assert traced(lambda q: f(x > 0, q), q).dtype == f(x > 0, q).dtype


def test_inf_and_nan_pass_through():
    x, y = np.array([[np.inf, 1.0], [0.0, np.nan]]), np.array([[1.0, 0.0], [2.0, 3.0]])
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(ft.vjp(np.matmul, x, y)[0], x @ y)
        np.testing.assert_array_equal(ft.jvp(lambda y: x @ y, y, y)[1], x @ y)


# ---- what does not fit

MISFITS = [((3,), (4,)), ((2, 3), (2,)), ((3,), (2, 3)), ((2, 3), (2, 3)), ((2, 2, 3), (3, 3, 2)),
           ((2, 2, 3), (2, 2, 3)), ((2, 0), (3, 2)), ((1, 3), (1, 3))]


@pytest.mark.parametrize("a, b", MISFITS)
def test_shapes_that_do_not_fit(a, b):
    x, y = np.ones(a), np.ones(b)
    with pytest.raises(ValueError):
        x @ y
    for call in (lambda: ft.vjp(np.matmul, x, y), lambda: ft.vjp(lambda x: x @ y, x),
                 lambda: ft.vjp(lambda y: x @ y, y)):
        with pytest.raises(ValueError, match="matmul") as caught:
            call()
        assert all(str(s) in str(caught.value) for s in (a, b) if len(s) > 1), str(caught.value)


@pytest.mark.parametrize("f, a, b", [(np.dot, (3,), (4,)), (np.dot, (2, 3), (2, 4, 2)), (np.inner, (2, 3), (2, 4)),
                                     (np.inner, (3,), (2, 2)), (np.vdot, (3,), (2, 2)),
                                     (np.matmul, (), (3,)), (np.matmul, (2, 2), ()), (np.matmul, (), ())])
def test_others_that_do_not_fit(f, a, b):
    x, y = np.ones(a), np.ones(b)
    for call in (lambda: f(x, y), lambda: ft.vjp(f, x, y), lambda: ft.vjp(lambda x: f(x, y), x),
                 lambda: ft.vjp(lambda y: f(x, y), y)):
        with pytest.raises(ValueError):
            call()


@pytest.mark.parametrize("call", [lambda x: np.dot(x, x, out=np.zeros(())),
                                  lambda x: np.outer(x, x, out=np.zeros((3, 3))),
                                  lambda x: np.matmul(x, x, out=np.zeros(())),
                                  lambda x: x @ np.ones(3, complex), lambda x: x @ "abc", lambda x: x @ None])
def test_refused(call):
    with pytest.raises((TypeError, ValueError)):
        ft.vjp(call, np.ones(3))
