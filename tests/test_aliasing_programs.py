"""Random programs of views and of writes through them, against NumPy doing the same on plain arrays; derivatives
by complex steps, which are exact, since every instruction is analytic."""
import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

import fasttape as ft

A = np.cos(np.arange(12.0)).reshape(3, 4) + 0.1
V = np.linspace(-1.1, 1.7, 6)

VIEWS = [lambda a: a[1:], lambda a: a[::-1], lambda a: a[::2], lambda a: a[:-1], lambda a: a[..., 1:],
         lambda a: a[..., ::-2], lambda a: a[None], lambda a: a[..., None],
         lambda a: a.T, lambda a: a.reshape(-1), lambda a: a.reshape(2, -1), lambda a: a.reshape(-1, 3),
         lambda a: a.reshape(1, -1, 2), lambda a: a[0], lambda a: a[-1],
         lambda a: a[..., 0], np.squeeze, lambda a: np.swapaxes(a, 0, -1), lambda a: np.expand_dims(a, 0),
         lambda a: np.moveaxis(a, -1, 0), lambda a: a[1:1], lambda a: a[:1], np.ravel, lambda a: a[1:, ..., 0],
         lambda a: a[1, ...], lambda a: a[..., -1, ...] if a.ndim < 2 else a[-1, 0, ...],
         lambda a: np.broadcast_to(a, (2,) + a.shape), lambda a: np.broadcast_to(a[:1], a.shape),
         lambda a: np.broadcast_to(a[..., None], a.shape + (2,))]
FRESH = [          # C-contiguous, as all results are here; NumPy's may be laid out as the operands are
         lambda a: a.copy(), lambda a: np.sin(a).copy(), lambda a: np.stack([a, a]).copy(), lambda a: (a * 0.5).copy(),
         lambda a: a.flatten(), lambda a: a[[0, -1]], lambda a: np.zeros(a.shape) + a.copy()]
VALUES = [lambda b: b, lambda b: np.sin(b), lambda b: 0.7, lambda b: b * b, lambda b: np.sum(b) * 0.3,
          lambda b: b[::-1] * 0.5, lambda b: b.T, lambda b: b[:1], lambda b: 1.0 - b]


def value(k, a, b):
    """What is to be written to a. Not a view where a is a vector: NumPy's y[::2] = y[:3] reads what it has written."""
    made = VALUES[k % len(VALUES)](b)
    return made * 1.0 if a.ndim == 1 else made


def step(arrays, op, i, j, k):
    a, b = arrays[-1 - i % len(arrays)], arrays[-1 - j % len(arrays)]
    if op < 3:
        made = VIEWS[k % len(VIEWS)](a)
    elif op == 3:
        made = FRESH[k % len(FRESH)](a) if a.ndim else None        # a copy of no axes is a number here
    else:
        made = None
        if op == 4:
            a[...] = value(k, a, b)
        elif op == 5:
            a[slice(*[(0, 1), (1, None), (None, None, 2), (None, None, -1)][k % 4])] = value(k // 4, a, b)
        elif op == 6:
            a += VALUES[k % len(VALUES)](b)
        elif op == 7:
            a *= VALUES[k % len(VALUES)](b)
        elif op == 8:
            for row in a if a.ndim > 1 else [a]:
                row[:1] = row[-1:] * 0.5
                row -= 0.2
        elif op == 9:
            np.subtract(a, b, out=a)
        elif op == 10:
            a[k % a.shape[0]] = 0.4 if a.ndim > 1 else b.reshape(-1)[0]
        elif op == 11:
            a[k % 2:] = a[:a.shape[0] - k % 2] * 0.9
    if made is not None and not isinstance(made, (np.generic, ft.Scalar)) and made.size <= 48:
        arrays.append(made)


def run(program, x, y, pause=lambda arrays: None):
    arrays = [1.0 * x, 1.0 * y]
    for instruction in program:
        try:
            step(arrays, *instruction)
        except (ValueError, IndexError, ZeroDivisionError, np.exceptions.AxisError):
            pass                        # no such view, or shapes that do not fit
        pause(arrays)
    return np.concatenate([a.reshape(-1) for a in arrays])


def long_pause(arrays):
    """Enough entries for a forward trace to run what it has and forget it."""
    z = np.sum(arrays[0])
    for _ in range(600):
        z = z * 1.0


PROGRAMS = st.lists(st.tuples(st.integers(0, 11), st.integers(0, 5), st.integers(0, 5), st.integers(0, 35)), min_size=2,
                    max_size=14)
settings = hypothesis.settings(max_examples=300, deadline=None, derandomize=True, database=None,
                               suppress_health_check=list(hypothesis.HealthCheck))
DIRECTIONS = [(np.sin(A * 5), np.cos(V * 3)), (np.cos(A * 7), np.sin(V * 4))]


def complex_step(f, x, v):
    return f(*(a + 1e-40j * b for a, b in zip(x, v))).imag / 1e-40


@settings
@hypothesis.given(PROGRAMS)
def test_programs(program):
    x, v = (A, V), DIRECTIONS[0]
    f = lambda x, y: run(program, x, y)
    wanted = f(*x)
    hypothesis.assume(np.abs(wanted).max() < 1e3)
    exact = complex_step(f, x, v)
    atol = 1e-11 * (1 + np.abs(exact).max())
    close = lambda found, wanted: np.testing.assert_allclose(found, wanted, rtol=1e-11, atol=atol)
    for pause in (lambda arrays: None, long_pause):
        value, tangent = ft.jvp(lambda x, y: run(program, x, y, pause), x, v)
        close(value, wanted)
        close(tangent, exact)
    value, pull = ft.vjp(f, *x)
    close(value, wanted)
    for k in range(2):
        w = np.cos(np.arange(float(len(wanted))) * (k + 1))
        close(sum(np.sum(a * b) for a, b in zip(pull(w), v)), w @ exact)


@settings
@hypothesis.given(PROGRAMS)
def test_second_derivatives_of_programs(program):
    def total(x, y):
        z = run(program, x, y)
        return np.sum(z * z * np.cos(np.arange(float(z.shape[0]))))

    x, (v, u) = (A, V), DIRECTIONS
    hypothesis.assume(abs(total(*x)) < 1e3)
    slope = lambda h: complex_step(total, tuple(a + h * b for a, b in zip(x, u)), v)
    wanted = (8 * (slope(1e-3) - slope(-1e-3)) - slope(2e-3) + slope(-2e-3)) / 12e-3
    hypothesis.assume(abs(wanted) < 1e4)
    for first, second in ((u, v), (v, u)):
        product = ft.hvp(total, x, first, argnum=(0, 1))
        assert sum(np.sum(a * b) for a, b in zip(product, second)) == pytest.approx(wanted, rel=1e-7, abs=1e-6)
    pulled = ft.grad(lambda x, y: sum(np.sum(a * b) for a, b in zip(ft.grad(total, (0, 1))(x, y), u)), (0, 1))(*x)
    assert sum(np.sum(a * b) for a, b in zip(pulled, v)) == pytest.approx(wanted, rel=1e-7, abs=1e-6)
