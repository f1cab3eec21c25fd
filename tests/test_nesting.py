"""Derivatives of derivatives: closed forms to order 4, and no perturbation confusion."""
import math

import numpy as np
import pytest

import fasttape as ft
from fasttape import grad, hessian, hvp, jacobian, jvp, vjp


def forward(f):
    """The derivative of a function of one number, in forward mode."""
    return lambda x: jvp(f, x, 1.0)[1]


def backward(f):
    return lambda x: vjp(f, x)[1](1.0)[0]


def by_jacobian(f):
    return lambda x: jacobian(f, mode="forward")(x)


OPERATORS = {"grad": grad, "jvp": forward, "vjp": backward, "jacobian": by_jacobian}
FUNCTIONS = [   # function, its derivatives of order 0 to 4, where
    (np.sin, [np.sin, np.cos, lambda x: -np.sin(x), lambda x: -np.cos(x), np.sin], 0.7),
    (np.exp, [np.exp] * 5, -0.3),
    (lambda x: x**5, [lambda x: x**5, lambda x: 5 * x**4, lambda x: 20 * x**3, lambda x: 60 * x**2, lambda x: 120 * x],
     1.3),
    (np.log, [np.log, lambda x: 1 / x, lambda x: -x**-2.0, lambda x: 2 * x**-3.0, lambda x: -6 * x**-4.0], 2.1),
    (lambda x: 1 / x, [lambda x, k=k: (-1)**k * math.factorial(k) * x**(-1.0 - k) for k in range(5)], 1.7),
]
CHAINS = [("grad",) * 4, ("jvp",) * 4, ("vjp",) * 4, ("jacobian",) * 4, ("grad", "jvp", "grad", "jvp"),
          ("jvp", "grad", "jvp", "grad"), ("jvp", "vjp", "jacobian", "grad"), ("jacobian", "grad", "vjp", "jvp")]


@pytest.mark.parametrize("chain", CHAINS, ids="-".join)
@pytest.mark.parametrize("which", range(len(FUNCTIONS)))
def test_orders_one_to_four_agree_with_closed_forms(chain, which):
    f, derivatives, x = FUNCTIONS[which]
    for order in range(1, 5):
        d = f
        for name in chain[:order]:
            d = OPERATORS[name](d)
        assert float(d(x)) == pytest.approx(derivatives[order](x), rel=1e-12)


@pytest.mark.parametrize("chain", CHAINS, ids="-".join)
def test_orders_of_a_loop_with_arrays(chain):
    """x -> sum of cos(a x), written with a stack, an assignment and slices."""
    a = np.array([0.3, -1.1, 2.0])

    def f(x):
        y = np.stack([x, x, x])
        z = np.zeros_like(y)
        z[:] = y * a
        z[1:] += 0.0 * z[:-1]
        return np.sum(np.cos(z))

    d, x = f, 0.4
    for order, name in enumerate(chain, 1):
        d = OPERATORS[name](d)
        want = [np.cos, lambda z: -np.sin(z), lambda z: -np.cos(z), np.sin, np.cos][order]
        assert float(d(x)) == pytest.approx(np.sum(a**order * want(a * x)), rel=1e-12)


# ---- perturbation confusion

@pytest.mark.parametrize("inner", OPERATORS.values(), ids=OPERATORS)
@pytest.mark.parametrize("outer", OPERATORS.values(), ids=OPERATORS)
def test_inner_derivative_keeps_apart_from_outer(inner, outer):
    """Siskind & Pearlmutter, "Nesting forward-mode AD in a functional framework" (2008), section 2."""
    assert outer(lambda x: x * inner(lambda y: x + y)(1.0))(1.0) == 1.0
    assert outer(lambda x: x * inner(lambda y: x * y)(2.0))(3.0) == 6.0
    assert outer(lambda x: inner(lambda y: x * y * y)(x))(3.0) == 12.0
    assert outer(lambda x: x * inner(lambda y: x)(1.0))(1.0) == 0.0


@pytest.mark.parametrize("d", [forward, grad])
def test_higher_order_function_shifts_its_argument(d):
    """Manzyuk, Pearlmutter et al., "Perturbation confusion in forward automatic differentiation of
    higher-order functions" (2019): s(u)(f)(x) = f(x + u); D(s)(0) applied twice is the second derivative."""
    def d_shift(f):
        return lambda x: d(lambda u: f(x + u))(0.0)

    assert float(d_shift(d_shift(np.exp))(1.0)) == pytest.approx(np.exp(1.0), rel=1e-14)
    assert float(d_shift(d_shift(lambda x: x**3))(2.0)) == pytest.approx(12.0, rel=1e-14)


def test_inner_gradient_with_plain_arguments_sees_the_outer_value():
    # h(x) = d/dy [x^2 y^3] at y = 2 = 12 x^2
    h = lambda x: grad(lambda y: x**2 * y**3)(2.0)
    assert h(3.0) == pytest.approx(108.0)
    for outer in OPERATORS.values():
        assert float(outer(h)(3.0)) == pytest.approx(72.0)
        assert float(outer(outer(h))(3.0)) == pytest.approx(24.0)


def test_three_levels_that_share_a_value():
    f = lambda x: grad(lambda y: grad(lambda z: x * y**2 * z**3)(y))(x)     # d/dy (3 x y^4) at y = x: 12 x^4
    assert grad(f)(1.5) == pytest.approx(48 * 1.5**3)
    assert jvp(f, 1.5, 1.0)[1] == pytest.approx(48 * 1.5**3)


def test_arrays_in_the_closure():
    a = np.array([1.0, 2.0, 3.0])

    def outer(x):                       # sum_i d/dy_i sum(x y^2) = 2 sum(x y)
        return grad(lambda y: np.sum(x * y * y))(a).sum() * np.sum(x)

    x = np.array([0.5, -1.0, 2.0])
    want = 2 * a * x.sum() + 2 * np.sum(a * x)
    np.testing.assert_allclose(grad(outer)(x), want)
    np.testing.assert_allclose(jacobian(outer, mode="forward")(x), want)
    np.testing.assert_allclose(hessian(outer)(x), 2 * (a[:, None] + a[None, :]))


# ---- textbook

def test_shared_node_accumulates_in_both_modes():
    f = lambda x: x + x**2
    assert grad(f)(3.0) == 7.0
    assert jvp(f, 3.0, 1.0) == (12.0, 7.0)
    assert [row.r for row in ft.table(f, 3.0)][0] == 7.0
    assert [row.t for row in ft.table(f, 3.0)][-1] == 7.0


# ---- matrices

def cubic(x):
    return np.sum(x**3) + x[0] * x[1] * x[2] + np.sum(x) ** 2


def cubic_hessian(x):
    h = np.diag(6 * x) + 2.0
    for i, j, k in ((0, 1, 2), (0, 2, 1), (1, 2, 0)):
        h[i, j] += x[k]
        h[j, i] += x[k]
    return h


X = np.array([0.5, -1.5, 2.0])


@pytest.mark.parametrize("inner", ["forward", "reverse", "auto"])
@pytest.mark.parametrize("outer", ["forward", "reverse", "auto"])
def test_jacobian_of_jacobian(inner, outer):
    h = jacobian(jacobian(cubic, mode=inner), mode=outer)(X)
    np.testing.assert_allclose(h, cubic_hessian(X), atol=1e-13)
    third = jacobian(jacobian(jacobian(cubic, mode=outer), mode=inner), mode=outer)(X)
    want = np.zeros((3, 3, 3))
    for i in range(3):
        want[i, i, i] = 6
    for order in ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)):
        want[order] += 1
    np.testing.assert_allclose(third, want, atol=1e-13)


def test_hessian_and_products_agree():
    v = np.array([1.0, -2.0, 0.25])
    h = cubic_hessian(X)
    np.testing.assert_allclose(hessian(cubic)(X), h, atol=1e-13)
    np.testing.assert_allclose(hvp(cubic, X, v), h @ v, atol=1e-13)
    np.testing.assert_allclose(grad(lambda x: jvp(cubic, x, v)[1])(X), h @ v, atol=1e-13)
    np.testing.assert_allclose(grad(lambda x: grad(cubic)(x) @ v)(X), h @ v, atol=1e-13)
    np.testing.assert_allclose(vjp(grad(cubic), X)[1](v)[0], h @ v, atol=1e-13)


def test_hessian_of_hessian():
    """Fourth derivatives of sum(x^4) x0 / 24 + (x0 x1)^2 / 4."""
    def f(x):
        return np.sum(x**4) / 24 + (x[0] * x[1]) ** 2 / 4

    fourth = hessian(lambda x: np.sum(hessian(f)(x)))(np.array([0.3, 0.7]))
    # sum of f_ij = (x0^2 + x1^2)/2 + (x0^2 + x1^2)/2 + 2 x0 x1
    np.testing.assert_allclose(fourth, [[2.0, 2.0], [2.0, 2.0]], atol=1e-13)
    full = jacobian(jacobian(hessian(f)))(np.array([0.3, 0.7]))
    assert full.shape == (2, 2, 2, 2)
    assert full[0, 0, 0, 0] == pytest.approx(1.0)
    for place in ((0, 0, 1, 1), (0, 1, 0, 1), (1, 0, 1, 0), (1, 1, 0, 0), (0, 1, 1, 0)):
        assert full[place] == pytest.approx(1.0)
    assert full[0, 0, 0, 1] == pytest.approx(0.0)


def test_implicit_step_inside_newton():
    """A gradient through Newton iterations whose every step takes a gradient: d sqrt(a)/da."""
    def root(a):
        x = 1.0 + 0 * a
        for _ in range(8):
            g = lambda x: x * x - a
            x = x - g(x) / grad(g)(x)
        return x

    for d in OPERATORS.values():
        assert float(d(root)(2.0)) == pytest.approx(0.5 / np.sqrt(2.0), rel=1e-12)
        assert float(d(d(root))(2.0)) == pytest.approx(-0.25 * 2.0**-1.5, rel=1e-10)


def test_pullback_used_later_in_an_outer_forward_trace():
    """The outer trace forgets its past as it goes; what a pullback still needs is none of it."""
    def f(x):
        _, pull = vjp(lambda y: y * y * y, x)
        z = x
        for _ in range(3000):
            z = z * 1.0
        return pull(1.0)[0] + 0.0 * z

    value, tangent = jvp(f, 2.0, 1.0)
    assert (value, tangent) == (12.0, 12.0)
    value, tangent = jvp(lambda x: np.sum(vjp_sum(x)), np.array([2.0, 3.0]), np.ones(2))
    assert (value, tangent) == (39.0, 30.0)


def vjp_sum(x):
    """3 x^2, by a pullback that is called after an array loop has come between."""
    _, pull = vjp(lambda y: np.sum(y * y * y), x)
    z = x
    for _ in range(3000):
        z = z * 1.0
    return pull(1.0)[0] + 0.0 * z
