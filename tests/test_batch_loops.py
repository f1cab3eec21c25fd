"""Loops over lanes: scans, open loops and their reversals, by any schedule and to the second order."""
import numpy as np
import pytest
from test_van_der_pol import oscillator

import fasttape as ft
from fasttape import schedules, vmap

N = 5
RNG = np.random.default_rng(11)
X, W, XS = RNG.normal(size=N), RNG.normal(size=N), RNG.normal(size=(N, 6))
POSITIVE, RATES = np.abs(X) + 0.1, RNG.uniform(1.1, 2.0, N)
POSITIVE[2] = 11.0              # this lane takes no step


def scanned(x, w, xs=None, **how):
    def step(carry, u):
        a, b = carry
        a = np.sin(a * w) + b.sum() * 0.1 + (0.0 if u is None else u)
        return (a, np.cos(b) * w + 0.01 * a), a * b

    (a, b), ys = ft.scan(step, (x, np.array([1.0, 2.0]) * x), xs, length=6 if xs is None else None, **how)
    return a + b.sum() + ys.sum()


def open_ended(x, w, **how):
    a, b = ft.while_loop(lambda c: c[0] < 10.0, lambda c: (c[0] * w + 0.3, np.sin(c[1]) * c[0]), (x, np.array([1.0, 2.0]) * x), **how)
    return a + b.sum()


def nested(x, w):
    return ft.fori_loop(0, 3, lambda i, c: c * np.cos(i) + scanned(c, w), x)


def numbers(x, w, **how):
    return ft.scan(lambda c, _: (np.sin(c) * w + 0.1, None), x, length=7, **how)[0]


CASES = [(scanned, (0, None), (X, 0.7)), (scanned, (0, 0), (X, W)), (scanned, (None, 0), (0.3, W)), (scanned, (None, None, 0), (0.3, 0.7, XS)),
         (scanned, (0, None, None), (X, 0.7, XS[0])), (scanned, (0, 0, 0), (X, W, XS)), (numbers, (0, 0), (X, W)), (nested, (0, 0), (X, W)),
         (open_ended, (0, None), (POSITIVE, 1.3)), (open_ended, (0, 0), (POSITIVE, RATES)), (open_ended, (None, 0), (0.3, RATES))]


def compare(f, axes, args, rtol=1e-11):
    found = vmap(f, axes)(*args)
    for i in range(N):
        one = f(*[a if k is None else a[i] for a, k in zip(args, axes)])
        for a, b in zip(found if isinstance(found, tuple) else (found,), one if isinstance(one, tuple) else (one,), strict=True):
            np.testing.assert_allclose(a[i], b, rtol=rtol, atol=1e-12)


def schedule_for(f, k):
    if f is nested:
        return {}
    return ({}, {"schedule": schedules.Online(3)}, {"memory": "4 MB"})[k] if f is open_ended else \
        ({}, {"schedule": schedules.Revolve(2)}, {"memory": "4 MB"})[k]


@pytest.mark.parametrize("how", range(3))
@pytest.mark.parametrize("case", range(len(CASES)))
def test_derivatives_inside(case, how):
    f, axes, args = CASES[case]
    how, argnum = schedule_for(f, how), tuple(range(len(args)))

    def g(*a):
        return f(*a, **how)
    compare(g, axes, args)
    compare(ft.value_and_grad(g, argnum) if len(args) == 1 else ft.grad(g, argnum), axes, args)
    compare(lambda *a: ft.jvp(g, a, tuple(np.cos(x) for x in a))[1], axes, args)
    compare(lambda *a: ft.hessian(g)(*a), axes, args, 1e-10)
    compare(lambda *a: ft.jacobian(lambda *b: np.stack((g(*b), g(*b) ** 2)), argnum, mode="reverse")(*a), axes, args)
    compare(lambda *a: ft.grad(lambda *b: ft.grad(g)(*b) ** 2, argnum)(*a) if np.ndim(a[0]) == 0 else (), axes, args, 1e-10)


@pytest.mark.parametrize("case", range(len(CASES)))
def test_derivatives_outside(case):
    f, axes, args = CASES[case]
    argnum = tuple(range(len(args)))

    def batched(*a):
        return vmap(f, axes)(*a).sum()

    def one_by_one(*a):
        return sum(f(*[x if k is None else x[i] for x, k in zip(a, axes)]) for i in range(N))
    right = ft.grad(one_by_one, argnum)(*args)
    for how in (lambda f: f, ft.compile):
        for a, b in zip(how(ft.grad(batched, argnum))(*args), right, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-12)
    v = tuple(np.cos(x) for x in args)
    np.testing.assert_allclose(ft.jvp(batched, args, v)[1], sum(np.sum(a * b) for a, b in zip(right, v)), rtol=1e-10)


def test_batches_of_batches_of_loops():
    found = vmap(lambda x: vmap(lambda w: ft.grad(numbers)(x, w))(W))(X)
    np.testing.assert_allclose(found, [[ft.grad(numbers)(x, w) for w in W] for x in X], rtol=1e-12)


def test_an_integrator_whose_lanes_take_different_numbers_of_steps():
    mu = np.linspace(0.5, 2.5, 4)
    gradient = ft.grad(lambda mu: oscillator(mu, 2.0, 0.1, tolerance=1e-6, schedule=schedules.Online(20)))
    np.testing.assert_allclose(vmap(gradient)(mu), [gradient(m) for m in mu], rtol=1e-9)
