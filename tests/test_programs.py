"""A family of random programs, differentiated in every mode and compared.

A program is a list of instructions, four small whole numbers each, that work on a growing list of
values. What an instruction cannot do to the values it names it leaves, so every list is a program.
NumPy says what the values are; central differences, the inner-product identity <w, J v> = <J'w, v>
and the modes among each other say what the derivatives are.
"""
import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

import fasttape as ft

CONSTANTS = [np.linspace(-1, 1, 3), np.linspace(-0.7, 1.1, 12).reshape(3, 4), np.linspace(0.2, 1, 4),
             np.linspace(-1, 0.5, 3).reshape(3, 1), np.float64(0.3), 0.7, -1]
UNARY = [np.sin, np.cos, np.tanh, np.arctan, lambda x: np.exp(-x * x), lambda x: x / (1 + x * x), lambda x: -x,
         lambda x: np.sqrt(1 + x**2), lambda x: np.log1p(x * x), abs, lambda x: x**3 * 0.1, ft.special.erf,
         lambda x: np.clip(x, -0.6, 0.8), lambda x: 1.0 * x, np.square, lambda x: 1 / (2 + np.cos(x))]
BINARY = [lambda x, y: x + y, lambda x, y: x - y, lambda x, y: x * y, lambda x, y: x / (1.5 + y * y), np.maximum,
          np.minimum, lambda x, y: np.arctan2(x, 2.0 + y * y), np.hypot, lambda x, y: np.where(x > y, x * y, y), lambda x, y: y - x * 0.5,
          lambda x, y: np.where(y < 0.1, 0.3 * y, x), np.logaddexp]
SLICES = [slice(1, None), slice(None, -1), slice(None, None, -1), slice(None, None, 2), slice(1, 3), slice(0, 2), 0, -1,
          slice(-2, None), slice(None), slice(2, None, -1), None, Ellipsis, slice(0, 0), slice(3, 0, -2), 1]
GATHERS = [np.array([0, 2, 2, 1]), np.array([[-1, 0], [1, 1]]), [2, 0], np.array([True, False, True])]
SHAPES = [(-1,), (3, -1), (-1, 3), (2, -1), (-1, 2), (1, -1), (4, 3), (2, 2, -1), (-1, 1, 3)]


def shape_of(x):
    return np.shape(x)


def slices(k, m, ndim):
    """A basic index of an array of ndim axes."""
    first, second = SLICES[k % len(SLICES)], SLICES[m % len(SLICES)]
    if ndim < 2 or m % 3 == 0 or (first is Ellipsis and second is Ellipsis):
        return first
    return (first, second)


def select(values, i):
    return values[-1 - i % len(values)]


def instruction(values, op, i, j, k, checkpoint):
    """The value that an instruction makes, or None where it makes none."""
    x, y = select(values, i), select(values, j)
    ndim = len(shape_of(x))
    if op == 0:
        return UNARY[k % len(UNARY)](x)
    if op == 1:
        return BINARY[k % len(BINARY)](x, y)
    if op == 2:
        return BINARY[k % len(BINARY)](CONSTANTS[j % len(CONSTANTS)], x)
    if op == 3:
        return BINARY[k % len(BINARY)](x, CONSTANTS[j % len(CONSTANTS)])
    if op == 4 and ndim:
        return x[slices(k, j, ndim)]
    if op in (5, 6, 8) and ndim:        # an element takes a number only; NumPy's versions differ on arrays of one
        source = x[slices(j, k, ndim)] if op == 8 else y
        if shape_of(x[slices(k, j, ndim)]) == () != shape_of(source):
            return None
    if op == 5 and ndim:
        made = 1.0 * x
        made[slices(k, j, ndim)] = y
        return made
    if op == 6 and ndim:                # writes into what earlier values may be views of
        x[slices(k, j, ndim)] = y
        return None
    if op == 7 and ndim:
        x[slices(k, j, ndim)] *= 0.5
        return None
    if op == 8 and ndim:                # of an array with itself: source and destination overlap
        x[slices(k, j, ndim)] = x[slices(j, k, ndim)]
        return None
    if op == 9 and ndim:
        part = x[slices(k, j, ndim)]
        part += y
        return None
    if op == 10 and ndim:
        axis = (None, 0, -1, tuple(range(ndim)))[k % 4]
        reduction = (np.sum, np.mean, np.max, np.min, np.var, np.prod)[k // 4 % 6]
        return reduction(x, axis=axis, keepdims=j % 2 == 1)
    if op == 11 and ndim and len(shape_of(y)):
        return x @ y
    if op == 12 and ndim:
        pieces = [(x, y), (x, x), (x, CONSTANTS[j % 5], y), (y, x, x)][k % 4]
        return np.concatenate(pieces, axis=k // 4 % 2)
    if op == 13:
        return np.stack([x, y], axis=k % 2)
    if op == 14 and ndim:
        return (x.T, x.reshape(SHAPES[j % len(SHAPES)]), np.ravel(x), np.expand_dims(x, 0), np.squeeze(x))[k % 5]
    if op == 15 and ndim:
        return x[GATHERS[k % len(GATHERS)]]
    if op == 16:                        # control flow on values
        if np.sum(x) > 0.1:
            return np.sin(x) * 0.5 + y
        return y * 0.25 - x
    if op == 17:
        return checkpoint(lambda a, b: BINARY[k % len(BINARY)](np.sin(a) * b, a * y))(x, y)
    if op == 18:
        return checkpoint(lambda a: instruction([a, 1.0 * x], k % 6, j, i, j, checkpoint))(x)
    if op == 19:
        return np.broadcast_to(x, (3, 4)) * 1.0
    return None


def run(program, inputs, checkpoint=lambda f: f):
    """What the program makes of its inputs: its last values, joined."""
    values = [1.0 * x for x in inputs]
    for op, i, j, k in program:
        try:
            made = instruction(values, op, i, j, k, checkpoint)
        except (ValueError, IndexError, np.exceptions.AxisError):
            continue
        if made is not None and 0 < np.size(made) <= 200:
            values.append(made)
    tail = [np.ravel(v) if np.ndim(v) else np.reshape(v, (1,)) for v in values[-4:]]
    return np.concatenate(tail, axis=0)


PROGRAMS = st.lists(st.tuples(st.integers(0, 19), st.integers(0, 7), st.integers(0, 15), st.integers(0, 23)),
                    min_size=1, max_size=14)
settings = hypothesis.settings(max_examples=120, deadline=None, derandomize=True, database=None,
                               suppress_health_check=list(hypothesis.HealthCheck))


def start(seed):
    rng = np.random.default_rng(seed)
    inputs = (rng.normal(size=3), rng.normal(size=(3, 4)), float(rng.normal()))
    return inputs, tuple(rng.normal(size=np.shape(x)) for x in inputs)


def total(program, checkpoint=lambda f: f):
    """The program as a scalar function with a known weight for every output."""
    def f(*inputs):
        y = run(program, inputs, checkpoint)
        return np.sum(y * np.cos(np.arange(float(y.shape[0]))))
    return f


def slope(f, x, v, h):
    up, down = (f(*(a + s * b for a, b in zip(x, v))) for s in (h, -h))
    return (up - down) / (2 * h)


@settings
@hypothesis.given(PROGRAMS, st.integers(0, 10**6))
def test_modes_agree(program, seed):
    x, v = start(seed)
    want = run(program, x)
    hypothesis.assume(np.all(np.isfinite(want)) and np.abs(want).max() < 1e3)
    value, tangent = ft.jvp(lambda *a: run(program, a), x, v)
    np.testing.assert_allclose(value, want, rtol=1e-12, atol=1e-12)
    value, pull = ft.vjp(lambda *a: run(program, a), *x)
    np.testing.assert_allclose(value, want, rtol=1e-12, atol=1e-12)
    w = np.random.default_rng(seed + 1).normal(size=want.shape)
    scale = 1 + np.abs(tangent).max()
    pulled = sum(np.sum(a * b) for a, b in zip(pull(w), v))
    assert w @ tangent == pytest.approx(pulled, rel=1e-9, abs=1e-9 * scale)
    again = pull(w)
    assert all(np.array_equal(a, b) for a, b in zip(again, pull(w)))


@settings
@hypothesis.given(PROGRAMS, st.integers(0, 10**6))
def test_gradient_agrees_with_central_difference(program, seed):
    x, v = start(seed)
    f = total(program)
    hypothesis.assume(np.isfinite(f(*x)) and abs(f(*x)) < 1e3)
    g = ft.grad(f, argnum=(0, 1, 2))(*x)
    found = sum(np.sum(a * b) for a, b in zip(g, v))
    wide, narrow = slope(f, x, v, 1e-5), slope(f, x, v, 3e-6)
    # at a kink, or where a higher derivative is large, differences say nothing
    hypothesis.assume(abs(wide - narrow) <= 1e-6 * (1 + abs(wide)))
    assert found == pytest.approx(wide, rel=1e-5, abs=1e-5)


@settings
@hypothesis.given(PROGRAMS, st.integers(0, 10**6))
def test_checkpointed_gradient_is_the_same(program, seed):
    """To rounding: the regions use values from around them, whose contributions are added in another order."""
    x, _ = start(seed)
    hypothesis.assume(np.isfinite(total(program)(*x)))
    plain = ft.value_and_grad(total(program), argnum=(0, 1, 2))(*x)
    again = ft.value_and_grad(total(program, ft.checkpoint), argnum=(0, 1, 2))(*x)
    assert plain[0] == again[0]
    for a, b in zip(plain[1], again[1]):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13 * (1.0 + np.abs(a).max()))


@settings
@hypothesis.given(PROGRAMS, st.integers(0, 10**6), st.sampled_from(["nothing", "dots"]))
def test_a_kept_trace_computes_regions_again(program, seed, policy):
    x, v = start(seed)

    def checkpoint(f):
        return ft.checkpoint(f, policy=policy)
    plain, found = (ft.trace(ft.grad(total(program, *how), argnum=(0, 1, 2)), *x)(*x) for how in ((), (checkpoint,)))
    for a, b in zip(plain, found):
        np.testing.assert_array_equal(a, b)
    pushed = [ft.trace(lambda *a: ft.jvp(ft.grad(total(program, *how)), a, v)[1], *x)(*x) for how in ((), (checkpoint,))]
    np.testing.assert_allclose(*pushed, rtol=1e-9, atol=1e-9 * (1 + np.abs(pushed[0]).max()))


@settings
@hypothesis.given(PROGRAMS, st.integers(0, 10**6))
def test_jacobian_by_columns_is_that_by_rows(program, seed):
    x, v = start(seed)

    def f(*inputs):
        return run(program, inputs)

    hypothesis.assume(np.all(np.isfinite(f(*x))) and np.abs(f(*x)).max() < 1e3)
    columns = ft.jacobian(f, argnum=(0, 1, 2), mode="forward")(*x)
    rows = ft.jacobian(f, argnum=(0, 1, 2), mode="reverse")(*x)
    tangent = ft.jvp(f, x, v)[1]
    total = 0.0
    for a, b, u in zip(columns, rows, v):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9 * (1 + np.abs(b).max()))
        total = total + np.tensordot(a, u, axes=np.ndim(u))
    np.testing.assert_allclose(total, tangent, rtol=1e-9, atol=1e-9 * (1 + np.abs(tangent).max()))


@settings
@hypothesis.given(PROGRAMS, st.integers(0, 10**6))
def test_second_derivative_is_symmetric_and_agrees_with_differences(program, seed):
    x, v = start(seed)
    f = total(program)
    hypothesis.assume(np.isfinite(f(*x)) and abs(f(*x)) < 1e3)
    u = tuple(np.random.default_rng(seed + 2).normal(size=np.shape(a)) for a in x)
    product = ft.hvp(f, x, v, argnum=(0, 1, 2))
    other = ft.hvp(f, x, u, argnum=(0, 1, 2))
    left = sum(np.sum(a * b) for a, b in zip(product, u))
    right = sum(np.sum(a * b) for a, b in zip(other, v))
    scale = 1 + sum(np.sum(np.abs(a)) for a in product) + sum(np.sum(np.abs(a)) for a in other)
    assert left == pytest.approx(right, rel=1e-9, abs=1e-9 * scale)
    nested = ft.grad(lambda *a: ft.jvp(f, a, v)[1], argnum=(0, 1, 2))(*x)
    for a, b in zip(product, nested):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9 * scale)
    g = ft.grad(f, argnum=(0, 1, 2))

    def along(*a):
        return sum(np.sum(p * q) for p, q in zip(g(*a), u))

    wide, narrow = slope(along, x, v, 1e-5), slope(along, x, v, 3e-6)
    hypothesis.assume(abs(wide - narrow) <= 1e-6 * (1 + abs(wide)))
    assert left == pytest.approx(wide, rel=1e-4, abs=1e-4)


def test_every_instruction_does_something():
    """Guards the family itself: an op whose every use is skipped would test nothing."""
    rng = np.random.default_rng(0)
    for op in range(20):
        worked = 0
        for _ in range(60):
            values = [rng.normal(size=3), rng.normal(size=(3, 4)), rng.normal(size=4), 0.5, rng.normal(size=(4, 3))]
            before = [np.array(v) for v in values]
            try:
                made = instruction(values, op, *rng.integers(0, 24, 3).tolist(), lambda f: f)
            except (ValueError, IndexError, np.exceptions.AxisError):
                continue
            worked += made is not None or any(not np.array_equal(a, b) for a, b in zip(before, values))
        assert worked > 5, op


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("n", [7, 300, 1000])
def test_sine_and_cosine_of_one_operand_have_the_bits_of_each_alone(n, dtype):
    """They are computed together, in either order, kept or not, also where an argument is huge."""
    x = np.linspace(-30.0, 30.0, n).astype(dtype)
    x[n // 2] = 1e9
    y = 1.5 * x
    sines, cosines = (ft.vjp(f, y)[0] for f in (np.sin, np.cos))
    for f, wanted in ((lambda x: (lambda z: np.sin(z) + 0.25 * np.cos(z))(1.5 * x), sines + 0.25 * cosines),
                      (lambda x: (lambda z: 0.25 * np.cos(z) + np.sin(z))(1.5 * x), 0.25 * cosines + sines),
                      (lambda x: (lambda z: np.stack([np.sin(z), np.cos(z), np.sin(z) * np.sin(z)]))(1.5 * x),
                       np.stack([sines, cosines, sines * sines]))):
        np.testing.assert_array_equal(ft.vjp(f, x)[0], wanted)
    np.testing.assert_array_equal(ft.grad(lambda x: np.sum(np.sin(x)))(y), cosines)
    np.testing.assert_array_equal(ft.grad(lambda x: np.sum(np.cos(x) + np.sin(x)))(y), cosines - sines)
