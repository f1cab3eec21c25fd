"""checkpoint(f): the gradient of f itself, bit for bit, at any nesting and whatever f does."""
import numpy as np
import pytest

import fasttape as ft

X = np.random.default_rng(0).normal(size=50)


def same(function_of_checkpoint, *x, argnum=0, around=False):
    """The gradient with checkpoints, which must be that without, bit for bit; where the region uses values
    from around it, contributions may be added in another order."""
    plain = ft.value_and_grad(function_of_checkpoint(lambda f: f), argnum)(*x)
    found = ft.value_and_grad(function_of_checkpoint(ft.checkpoint), argnum)(*x)
    assert plain[0] == found[0]
    for a, b in zip(*(g if isinstance(g, tuple) else (g,) for g in (plain[1], found[1]))):
        np.testing.assert_allclose(a, b, rtol=1e-13 if around else 0, atol=1e-15 if around else 0)
    return found[1]


def test_chain_of_steps():
    same(lambda cp: lambda x: np.sum(step_n(cp(lambda y: np.tanh(y * 1.1) + 0.1 * np.sin(y)), x, 6)), X)


def step_n(step, x, n):
    for _ in range(n):
        x = step(x)
    return x


def test_traced_value_from_around():
    def program(cp):
        def f(x, w):
            for _ in range(5):
                x = cp(lambda y: np.tanh(y * w + w * w * 0.3 + w))(x) * w
            return np.sum(x)
        return f
    same(program, X, np.sin(X), argnum=(0, 1), around=True)


def test_value_from_around_that_is_rebound_later():
    """The recomputation must see what the first run saw."""
    def program(cp):
        def f(x):
            w = x * 1.5
            for _ in range(3):
                x = cp(lambda y: y * w)(x)
                w = w * 2.0
            return np.sum(x)
        return f
    same(program, X)


def test_array_from_around_that_is_assigned_to_later():
    def program(cp):
        def f(x):
            w = x * 1.5
            a = cp(lambda y: np.sum(y * w * w))(x)
            w[0] = 100.0
            return a + np.sum(w)
        return f
    same(program, X)


def test_region_that_changes_its_argument():
    """Either as without the checkpoint, or refused."""
    def step(u):
        u[0] = 0.0
        return u * 2.0

    def program(cp):
        def f(x):
            x = 1.0 * x
            y = cp(step)(x)
            return np.sum(x * x) + np.sum(y * y)
        return f

    try:
        same(program, X)
    except (TypeError, ValueError, RuntimeError) as error:
        assert "checkpoint" in str(error)


@pytest.mark.parametrize("of", [lambda x: x, lambda x: x[1:], lambda x: x[1, ...]])
def test_region_that_changes_an_array_around_it_in_place(of):
    def f(x):
        y = of(1.0 * x)

        def region(z):
            nonlocal y
            y += z
            return np.sum(y) * z

        return ft.checkpoint(region)(x[0])

    with pytest.raises(TypeError, match="checkpoint"):
        ft.grad(f)(X)


def test_checkpoint_in_checkpoint():
    def program(cp):
        inner = cp(lambda y, w: np.sin(y * w) + y)
        middle = cp(lambda y, w: inner(inner(y, w), w * 2.0))
        outer = cp(lambda y, w: middle(y, w) * inner(y, y))
        return lambda x, w: np.sum(outer(outer(x, w), w))
    same(program, X, X[::-1] * 0.5, argnum=(0, 1))


def test_value_imported_through_two_levels():
    def program(cp):
        def f(x):
            w = np.cos(x)
            return np.sum(cp(lambda y: y + cp(lambda z: np.sin(z * w) * x)(y * w))(x))
        return f
    same(program, X)


@pytest.mark.parametrize("kind", [tuple, list])
def test_several_results(kind):
    def program(cp):
        def f(x):
            a, b, c = cp(lambda y: kind((np.sin(y), np.sum(y * y), 3.0)))(x)
            d, e = cp(lambda y, s: kind((y, y * s)))(a, b)
            return np.sum(a * d) * c + np.sum(e)
        return f
    same(program, X)


def test_unused_and_repeated_results():
    def program(cp):
        def f(x):
            y = x * 2.0
            a, b = cp(lambda u: (u * u, np.exp(u)))(y)
            p, q = cp(lambda u: (u, u))(a)
            return np.sum(p * q)
        return f
    same(program, X)


def test_same_argument_twice_and_in_containers():
    def program(cp):
        f = cp(lambda a, b, pair, *, scale: a * b + pair[0] * pair[1] * scale)
        return lambda x: np.sum(f(x, x, [x, np.sin(x)], scale=x))
    same(program, X, around=True)


def test_scalars():
    def program(cp):
        step = cp(lambda t, y: y + 0.1 * np.sin(y) * t)
        def f(t):
            y = t
            for _ in range(20):
                y = step(t, y)
            return y
        return f
    same(program, 0.7)


def test_branches_and_assignments_in_the_region():
    def step(y):
        y = 1.0 * y
        if y[0] > 0:
            y[1:] = y[:-1] * y[1:]
        else:
            y[::2] *= 0.5
        while np.max(np.abs(y)) > 2.0:
            y = y * 0.7
        return y

    def program(cp):
        return lambda x: np.sum(np.cos(step_n(cp(step), x, 4)))
    same(program, X)
    same(program, -X)


@pytest.mark.parametrize("mode", ["forward", "reverse", "auto"])
def test_jacobian(mode):
    def program(cp):
        step = cp(lambda y, w: np.tanh(y * w) + y)
        return lambda x: step(step(x, x * 0.5), x)
    x = X[:7]
    plain = ft.jacobian(program(lambda f: f), mode=mode)(x)
    np.testing.assert_array_equal(ft.jacobian(program(ft.checkpoint), mode=mode)(x), plain)


def test_other_transforms_and_higher_order():
    def program(cp):
        step = cp(lambda y: np.tanh(y) * y)
        return lambda x: np.sum(step(step(x)))
    plain, f = program(lambda f: f), program(ft.checkpoint)
    x, v = X[:6], X[6:12]
    np.testing.assert_array_equal(ft.hessian(f)(x), ft.hessian(plain)(x))
    np.testing.assert_array_equal(ft.hvp(f, x, v), ft.hvp(plain, x, v))
    np.testing.assert_array_equal(ft.grad(lambda x: ft.grad(f)(x) @ v)(x), ft.grad(lambda x: ft.grad(plain)(x) @ v)(x))
    np.testing.assert_array_equal(ft.jvp(f, x, v)[1], ft.jvp(plain, x, v)[1])
    np.testing.assert_array_equal(ft.vjp(f, x)[1](1.0)[0], ft.vjp(plain, x)[1](1.0)[0])
    assert f(x) == plain(x)


def test_transform_inside_a_region():
    def program(cp):
        step = cp(lambda y: y - 0.1 * ft.grad(lambda z: np.sum(z**4))(y))
        return lambda x: np.sum(np.sin(step_n(step, x, 3)))
    same(program, X)


def test_transform_of_an_outer_value_inside_a_region():
    def program(cp):
        def f(x):
            w = x * 2.0
            a = np.sin(w) * w
            g = cp(lambda y: y * ft.grad(lambda t: np.sum(t**3))(w))
            return np.sum(g(x) + a * g(a))
        return f
    same(program, X)


def test_transform_inside_a_region_that_mixes_both():
    def program(cp):
        def f(x):
            w = x * 2.0
            return np.sum(cp(lambda y: ft.grad(lambda t: np.sum(y * t**3))(w))(x))
        return f
    same(program, X)


@pytest.mark.parametrize("when", [1, 2, 3, 4])
def test_exception_in_the_region_leaves_nothing_behind(when):
    calls = [0]

    def fragile(y):
        calls[0] += 1
        if calls[0] == when:            # the 1st and 2nd run forward, the 3rd and 4th again
            raise ZeroDivisionError
        return np.sin(y)

    step = ft.checkpoint(fragile)
    with pytest.raises(ZeroDivisionError):
        ft.grad(lambda x: np.sum(step(step(x))))(X)
    assert calls[0] == when
    np.testing.assert_allclose(ft.grad(lambda x: np.sum(x * x))(X), 2 * X)
    np.testing.assert_allclose(ft.grad(lambda x: np.sum(step(x)))(X), np.cos(X))


def test_exception_caught_around_a_region():
    def bad(y):
        raise ValueError("no")

    def program(cp):
        def f(x):
            try:
                x = cp(bad)(x)
            except ValueError:
                x = cp(np.sin)(x)
            return np.sum(x)
        return f
    same(program, X)


def test_region_that_does_something_else_the_second_time():
    calls = [0]

    def fickle(y):
        calls[0] += 1
        return (y, y) if calls[0] > 1 else (y, 1.0)

    with pytest.raises(RuntimeError, match="something else"):
        ft.grad(lambda x: np.sum(ft.checkpoint(fickle)(x)[0]))(X)
    np.testing.assert_allclose(ft.grad(lambda x: np.sum(x * x))(X), 2 * X)


def test_value_of_a_region_kept_in_a_global_is_refused():
    leaked = []

    def region(y):
        leaked.append(np.sin(y))
        return y * 2.0

    def f(x):
        y = ft.checkpoint(region)(x)
        return np.sum(y * leaked[0])

    with pytest.raises(ft.TraceError):
        ft.grad(f)(X)


def test_inactive_arguments_and_float32():
    def program(cp):
        f = cp(lambda y, n, name, flag: y * n if flag and name == "a" else y)
        return lambda x: np.sum(f(x, 3, "a", True)) + np.sum(f(x, 2, "b", True))
    same(program, X)
    assert same(program, X.astype(np.float32)).dtype == np.float32


@pytest.mark.parametrize("region, wanted", [(lambda x: lambda a: (2.0 * x)[1:], [0.0, 2.0, 20.0]),
                                            (lambda x: lambda a: x[::-1], [100.0, 10.0, 1.0]),
                                            (lambda x: lambda a: (a * a, (3.0 * x)[::-1])[1], [300.0, 30.0, 3.0])])
def test_region_whose_result_is_a_value_of_the_trace_around_it(region, wanted):
    """It is brought in only when the region has ended, and is a view at that."""
    def f(x):
        x = x * 1.0
        y = ft.checkpoint(region(x))(x)
        return np.sum(y * np.array([1.0, 10.0, 100.0])[:y.size])

    np.testing.assert_array_equal(ft.grad(f)(np.array([1.0, 2.0, 3.0])), wanted)
