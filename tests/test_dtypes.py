"""dtypes: NumPy's promotion in every binary op of the table, derivatives in the dtype of the input, nothing
narrowed in silence; byte orders, alignments, strides and flags of what comes in."""
import operator
import warnings

import numpy as np
import pytest
from table import ROWS, close, direction, in_numpy, layouts, reference, sample, traced

import fasttape as ft

BINARY = [name for name, row in ROWS.items() if row.arity == 2 and in_numpy(name) and name != "ldexp"]
UNARY = [name for name, row in ROWS.items() if row.arity == 1 and in_numpy(name)]
F4, F8 = np.float32, np.float64
X = np.array([0.7, 1.3, 2.9])

ARRAYS = [np.array([1, 2, 3], d) for d in ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u4", "?", ">f4", ">f8",
                                           ">i2")]
NUMBERS = [2, 3.0, True, -1, 0.125, F4(0.1), F8(0.1), np.float16(0.5), np.int8(3), np.int64(3), np.uint16(3),
           np.bool_(True), [1, 2, 3], (0.1, 0.2, 0.3),
           np.array(0.1), np.array(0.1, F4), np.array(3), np.array(True), np.array(0.5, ">f8")]
TRACED = [X, X.astype(F4), X[0], F4(X[0]), X[:1].astype(F4)]


def kind(x):
    return f"{type(x).__name__} {getattr(x, 'dtype', '')}{getattr(x, 'shape', x)}"


@pytest.mark.parametrize("name", BINARY)
def test_promotion_in_every_binary_op(name):
    f = getattr(np, name)
    wrong = []
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for x in TRACED:
            for other in ARRAYS + NUMBERS:
                if name in ("power",) and type(other) is F8 and other in (2, 1, 0.5, -1):
                    continue
                for call in (lambda x: f(x, other), lambda x: f(other, x)):
                    wanted, found = call(x), traced(call, x)
                    if found.dtype != wanted.dtype or np.shape(found) != np.shape(wanted):
                        wrong.append((kind(x), kind(other), found.dtype, wanted.dtype))
                    np.testing.assert_allclose(found * 1.0, wanted * 1.0, rtol=4e-15 if wanted.dtype == F8 else 1e-6,
                                               atol=1e-300)
    assert not wrong


@pytest.mark.parametrize("name", BINARY)
def test_promotion_of_two_traced_operands(name):
    f = getattr(np, name)
    for x in TRACED:
        for y in TRACED:
            assert traced(f, x, y).dtype == f(x, y).dtype, (kind(x), kind(y))


OPERATORS = [lambda x, y: x + y, lambda x, y: x - y, lambda x, y: x * y, lambda x, y: x / y, lambda x, y: x // y,
             lambda x, y: x % y, lambda x, y: x**y,
             lambda x, y: divmod(x, y)[0], lambda x, y: divmod(x, y)[1], lambda x, y: x < y, lambda x, y: x == y]
DIVMOD = (7, 8)                         # divmod(array, traced) is np.divmod, which is refused by name


@pytest.mark.parametrize("i", range(len(OPERATORS)))
def test_promotion_in_operators(i):
    for x in TRACED:
        for other in ARRAYS + NUMBERS + TRACED:
            if isinstance(other, (list, tuple)) and x.ndim == 0:
                continue                # a NumPy number times a list is refused
            for f in (OPERATORS[i], lambda x, y: OPERATORS[i](y, x))[:1 if i in DIVMOD else 2]:
                with np.errstate(all="ignore"):
                    wanted = np.asarray(f(x, other)).dtype
                    assert traced(lambda x: f(x, other), x).dtype == wanted, (kind(x), kind(other))


@pytest.mark.parametrize("p", [2.0, 1.0, 0.5, -1.0])
@pytest.mark.parametrize("f", [np.power, lambda x, p: x**p])
def test_power_of_a_float64_exponent(f, p):
    x = X.astype(F4)
    assert traced(lambda x: f(x, F8(p)), x).dtype == f(x, F8(p)).dtype == F8


def test_power_with_a_modulus_is_refused():
    with pytest.raises(TypeError):
        pow(X, 3, 5)
    with pytest.raises(TypeError):
        traced(lambda x: pow(x, 3, 5), X)


@pytest.mark.parametrize("p", [2.0, 3, F4(1.5), np.array([1, 2, 3], F4)])
def test_float_power_is_float64(p):
    assert traced(lambda x: np.float_power(x, p), X.astype(F4)).dtype == np.float_power(X.astype(F4), p).dtype == F8


@pytest.mark.parametrize("f", [lambda x: x == 0.1, lambda x: 0.1 == x, lambda x: x - 0.1,
                               lambda x: np.where(x != 0.1, 1.0, 2.0), lambda x: x % 0.1, lambda x: x[0] - 0.1])
def test_python_floats_are_rounded_to_float32(f):
    """Else a branch on x == 0.1 is another than NumPy's."""
    x = np.array([0.1, 0.7], F4)
    np.testing.assert_array_equal(traced(f, x), f(x))


@pytest.mark.parametrize("a", [np.array([[1.0, 2.0], [3.0, 4.0]]).view(np.matrix),
                               np.ma.array([[1.0, 2.0], [3.0, 4.0]], mask=[[True, False], [False, False]])])
def test_matrices_and_masked_arrays_are_refused(a):
    x = np.array([[1.0, 2.0], [0.0, 1.0]])
    for f in (lambda x: x * a, lambda x: a * x, lambda x: a @ x, lambda x: np.multiply(a, x), lambda x: np.dot(a, x),
              lambda x: np.concatenate([x, a]), lambda x: np.hstack([a, x]), lambda x: np.where(a > 1, x, 0.0),
              lambda x: np.where(x > 1, a, x), lambda x: np.outer(x, a), lambda x: np.inner(x, a),
              lambda x: operator.iadd(x, a), lambda x: x.__setitem__(..., a), lambda x: np.clip(x, a, 9.0)):
        with pytest.raises(TypeError, match=r"fasttape"):
            traced(f, x)
    for call in (lambda: ft.grad(np.sum)(a), lambda: ft.jvp(np.sin, x, a), lambda: ft.vjp(np.sin, x)[1](a),
                 lambda: ft.vjp(lambda x: a, x), lambda: ft.grad(np.sum)(np.ma.masked)):
        with pytest.raises(TypeError):
            call()


def test_other_subclasses_are_arrays():
    class Labelled(np.ndarray):
        pass

    a = X.view(Labelled)
    np.testing.assert_array_equal(ft.grad(lambda x: np.sum(x * a))(a), X)


@pytest.mark.parametrize("x, n", [(X, np.array([1, 2, -3])), (X.astype(F4), 2),
                                  (X.astype(F4), np.array([1, 2, 3], "i2")), (X, np.int32(4)),
                                  (X.astype(F4), np.array([1, 2, 3])), (X.astype(F4), np.int64(2))])
def test_ldexp(x, n):
    found = traced(lambda x: np.ldexp(x, n), x)
    assert found.dtype == np.ldexp(x, n).dtype
    np.testing.assert_array_equal(found, np.ldexp(x, n))


@pytest.mark.parametrize("name", UNARY)
def test_unary_ops_keep_the_dtype(name):
    for dtype in (F4, F8):
        x, = sample(name, (5,), dtype)
        found, wanted = traced(getattr(np, name), x), reference(name)(x)
        assert found.dtype == wanted.dtype
        close(found, wanted, 1e-6 if dtype == F4 else 1e-14)


THREE = [lambda x: np.where(X > 1, x, 0.0), lambda x: np.where(x > 1, x, F8(1)),
         lambda x: np.where(x.astype(F8) > 1, x, 0), lambda x: np.where(np.array([1, 0, 1]), x, 0.0),
         lambda x: np.where([True, False, True], x, [1, 2, 3]), lambda x: np.where(x, x, F4(1)),
         lambda x: np.where(x > 1, np.ones(3, "i2"), x), lambda x: np.where(x > 1, 1, x),
         lambda x: np.clip(x, 0, 1), lambda x: np.clip(x, F8(0), 1), lambda x: np.clip(x, None, np.ones(3)),
         lambda x: np.clip(x, np.ones(3, "i2"), 2.0), lambda x: x.clip(max=2),
         lambda x: np.concatenate([x, [1.0]]), lambda x: np.concatenate([x, x, np.ones(2, "i2")]),
         lambda x: np.concatenate([x, np.ones(2, F4)]), lambda x: np.stack([x, X]),
         lambda x: np.stack([x, [1, 2, 3]]), lambda x: np.concatenate([x, [True]]), lambda x: x @ np.ones(3),
         lambda x: x @ np.ones(3, "i2"), lambda x: np.outer(x, [1, 2]),
         lambda x: x.mean(), lambda x: x.var(), lambda x: x.std(axis=0), lambda x: np.prod(x), lambda x: x.astype(F8),
         lambda x: x.astype("f4"), lambda x: np.sinc(x),
         lambda x: np.inner(x, np.float64(2)), lambda x: np.copy(x), lambda x: x.T, lambda x: x[1], lambda x: x[[0, 1]],
         lambda x: x.reshape(3, 1) * X]


@pytest.mark.parametrize("i", range(len(THREE)))
def test_other_functions(i):
    for dtype in (F4, F8):
        assert traced(THREE[i], X.astype(dtype)).dtype == THREE[i](X.astype(dtype)).dtype


@pytest.mark.parametrize("f", [lambda x: np.stack([x[0], 1.5]), lambda x: np.stack([x[0], x[1], 2]),
                               lambda x: np.dot(2, x), lambda x: np.inner(x, 2.0)])
def test_python_numbers_where_numpy_takes_arrays(f):
    assert traced(f, X.astype(F4)).dtype == f(X.astype(F4)).dtype == F8


def test_changing_an_array_keeps_its_dtype():
    def f(x):
        y = x * 1
        y += X
        y[0] = F8(0.1)
        y[1:] *= np.arange(2)
        z = np.zeros_like(y)
        z[:] = X
        return np.stack([y, z])
    for dtype in (F4, F8):
        found = traced(f, X.astype(dtype))
        assert found.dtype == dtype
        np.testing.assert_array_equal(found, f(X.astype(dtype)))


# ---- derivatives

FUNCTIONS = [lambda x: np.sum(np.sin(x) * 0.1), lambda x: np.sum(np.sin(x) * X), lambda x: np.sum(x * x.astype(F8)),
             lambda x: np.sum(x.astype(F4) * x), lambda x: np.sum(np.where(x > 1, x, X) ** 3)]


@pytest.mark.parametrize("i", range(len(FUNCTIONS)))
def test_derivatives_have_the_dtype_of_the_input(i):
    f = FUNCTIONS[i]
    for dtype in (F4, F8):
        x = X.astype(dtype)
        value, gradient = ft.value_and_grad(f)(x)
        assert value.dtype == np.asarray(f(x)).dtype and gradient.dtype == dtype
        value, tangent = ft.jvp(f, x, x)
        assert value.dtype == np.asarray(f(x)).dtype == tangent.dtype       # a tangent is of the output's
        assert ft.vjp(f, x)[1](value)[0].dtype == dtype == ft.vjp(f, x)[1](1)[0].dtype
        assert ft.hessian(f)(x).dtype == dtype == ft.hvp(f, x, x).dtype == ft.jacobian(f)(x).dtype
        wanted = [np.cos(X) * 0.1, np.cos(X) * X, 2 * X, 2 * X, np.where(X > 1, 3 * X**2, 0)][i]
        close(gradient, wanted, 1e-6 if dtype == F4 or i == 3 else 1e-14)


@pytest.mark.parametrize("mode", ["reverse", "forward"])
def test_jacobian_has_the_dtype_of_the_input(mode):
    assert ft.jacobian(lambda x: x * X, mode=mode)(X.astype(F4)).dtype == F4
    assert ft.jacobian(lambda x: x.astype(F4), mode=mode)(X).dtype == F8
    assert [j.dtype for j in ft.jacobian(lambda x, y: x * y, (0, 1), mode=mode)(X.astype(F4), X)] == [F4, F8]


def test_nothing_is_rounded_to_float32_on_the_way():
    """A float32 input in float64 company: the gradient is that of float64, rounded once at the end."""
    x = X.astype(F4)
    exact = np.exp(x.astype(F8) * X) * X
    np.testing.assert_array_equal(ft.grad(lambda x: np.sum(np.exp(x * X)))(x), exact.astype(F4))
    close(ft.jvp(lambda x: np.exp(x * X), x, np.ones(3))[1], exact, 1e-15)
    assert ft.grad(lambda x: x * 1.0)(0.1) == 1.0
    assert ft.value_and_grad(lambda x: x + F4(0.1))(0.1)[0] == 0.1 + float(F4(0.1))


# ---- what comes in

@pytest.mark.parametrize("dtype", [F4, F8])
def test_inputs_constants_and_seeds_of_every_layout(dtype):
    x, c, v = (np.round(direction(np.empty((4, 6)), k) * 64) / 64 for k in range(3))        # exact in float32
    ways = [layouts(a) for a in (x, c, v)]
    for way in ways[0]:
        a, b, t = (w[way] for w in ways)
        if dtype == F4:
            a, b, t = (z.astype(">f4" if way == "big-endian" else F4) for z in (a, b, t))
        before, flags = [z.copy() for z in (a, b, t)], [str(z.flags) for z in (a, b, t)]
        p, q, u = (np.array(z, F8) for z in (a, b, t))
        value, tangent = ft.jvp(lambda x: x * x * b, a, t)
        np.testing.assert_array_equal(value, p * p * q)
        np.testing.assert_array_equal(tangent, 2 * p * q * u)
        pulled = ft.vjp(lambda x: x * x * b, a)[1](t)[0]
        np.testing.assert_array_equal(pulled, 2 * p * q * u)
        for made in (value, tangent, pulled):
            assert made.dtype == dtype and made.dtype.isnative
            assert made.flags.c_contiguous and made.flags.writeable and made.flags.owndata
        assert flags == [str(z.flags) for z in (a, b, t)]
        for z, old in zip((a, b, t), before):
            np.testing.assert_array_equal(z, old)


@pytest.mark.parametrize("dtype", ["i8", ">i4", "u1", "?", ">i8", "f2", ">f2", "i2"])
def test_constants_of_every_layout(dtype):
    x = np.cos(np.arange(24.0)).reshape(4, 6)
    for way, c in layouts(np.arange(24.0).reshape(4, 6) % 7).items():
        c = c.astype(dtype, order="K")
        for held in (c, c[::-1, ::2], c.T, c[1]):
            y = x[::-1, ::2] if held.shape == (4, 3) else x.T if held.shape == (6, 4) else x
            np.testing.assert_array_equal(ft.grad(lambda x: np.sum(x * held))(y), np.broadcast_to(held, y.shape), way)


@pytest.mark.parametrize("big", [">f8", ">f4", ">i2"])
def test_big_endian_number_as_a_constant(big):
    assert ft.grad(lambda y: y * np.array(3, big))(2.0) == 3.0


@pytest.mark.parametrize("big", [">f8", ">f4"])
def test_big_endian_number_as_an_argument(big):
    x = np.array(1.5, big)
    assert ft.grad(lambda x: x * x)(x) == 3.0 and ft.grad(lambda x: x * x)(x).dtype == x.dtype.newbyteorder("=")


def test_seeds_of_other_dtypes():
    for seed in ([1, 2, 3], (1.0, 2.0, 3.0), np.array([1, 2, 3]), np.array([1, 2, 3], F4), np.array([1, 2, 3], ">i2"),
                 np.array([1, 2, 3], "f2")):
        tangent = (np.array(seed),) if isinstance(seed, tuple) else seed
        np.testing.assert_array_equal(ft.jvp(lambda x: x * X, X, tangent)[1], X * [1, 2, 3])
        np.testing.assert_array_equal(ft.vjp(lambda x: x * X, X)[1](seed)[0], X * [1, 2, 3])
