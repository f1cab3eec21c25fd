"""checkpoint(f, policy=): what is kept, in every kind of trace; the derivative is that of f, bit for bit."""
import numpy as np
import pytest

import fasttape as ft

N = 60
RNG = np.random.default_rng(3)
X, W = RNG.normal(size=(N, N)), RNG.normal(size=(6, N, N)) / N**0.5
POLICIES = "nothing", "everything", "dots"


def plain(f):
    return f


def with_policy(policy):
    return lambda f: ft.checkpoint(f, policy=policy)


def block(x, w):
    """Two products, and values between them that are worth forgetting."""
    for _ in range(2):
        x = np.tanh(np.concatenate((x[1:], x[:1])) @ w) * 1.1 + np.sin(x)
        x = np.concatenate((x[1:], x[:1])) * np.cos(x)
    return x


def network(cp):
    layer = cp(block)

    def f(x, w):
        for k in range(len(w)):
            x = layer(x, w[k])
        return (x * x).sum()
    return f


def nested(cp):
    """Regions in regions, of which one is all of another."""
    layer = cp(cp(block))
    pair = cp(lambda x, a, b: layer(layer(x, a), b) + layer(x, b))

    def f(x, w):
        for k in range(0, len(w), 2):
            x = pair(x, w[k], w[k + 1]) * 0.5
        return (x * x).sum()
    return f


def around(cp):
    """The regions use a traced value that is no argument of theirs."""
    def f(x, w):
        for k in range(len(w)):
            x = cp(lambda y, k=k: block(y, w[k]))(x)
        return (x * x).sum()
    return f


def looped(cp):
    layer = cp(block)
    return lambda x, w: (ft.scan(lambda c, w: (layer(c, w), None), x, w)[0] ** 2).sum()


def branching(cp):
    def step(x, w):
        return block(x, w) if np.sum(x) > 0 else np.tanh(x @ w)
    step = cp(step)

    def f(x, w):
        for k in range(len(w)):
            x = step(x, w[k])
        return (x * x).sum()
    return f


def several(cp):
    """Results in a tuple, one of them an argument; a list; nothing recorded at all."""
    step = cp(lambda x, w: (np.tanh(x @ w), x, np.sin(x)))

    def f(x, w):
        for k in range(len(w)):
            a, b, c = step(x, w[k])
            x = cp(lambda a: a)(a * b) + cp(lambda a: [a * a, 3.0])(c)[0]
        return (x * x).sum()
    return f


NETS = [network, nested, around, looped, branching, several]
WAYS = {
    "one-shot": lambda f: ft.grad(f, (0, 1))(X, W),
    "compiled": lambda f: ft.compile(ft.grad(f, (0, 1)))(X, W),
    "of a program": lambda f: ft.trace(f, X, W).grad((0, 1))(X, W),
    "vjp": lambda f: ft.vjp(f, X, W)[1](1.5),
    "within a budget": lambda f: ft.grad(f, (0, 1), memory="30 MB")(X, W),
    "jvp": lambda f: ft.jvp(f, (X, W), (np.cos(X), np.sin(W))),
    "hvp": lambda f: (ft.hvp(lambda x: f(x, W), X, np.cos(X)),),
    "compiled hvp": lambda f: (ft.compile(lambda x, v: ft.hvp(lambda x: f(x, W), x, v))(X, np.cos(X)),),
    "gradient of a gradient": lambda f: (ft.grad(lambda x: (ft.grad(f)(x, W) * np.cos(X)).sum())(X),),
}


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("net", NETS)
def test_bit_for_bit(net, way, policy):
    for a, b in zip(WAYS[way](net(with_policy(policy))), WAYS[way](net(plain)), strict=True):
        if way == "gradient of a gradient" or (net in (around, nested) and way == "one-shot"):   # added in another order
            np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-11 * np.abs(b).max())
        else:
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("wrap", [plain, ft.compile])
def test_jacobian_in_reverse(wrap, policy):
    def f(cp):
        step = cp(lambda y, w: np.tanh(y @ w) * np.sin(y))
        return lambda x: step(step(x, W[0]), W[1])[:7]
    found, right = (wrap(ft.jacobian(f(cp), mode="reverse"))(X[0]) for cp in (with_policy(policy), plain))
    np.testing.assert_array_equal(found, right)


def stats(net, cp):
    return ft.trace(ft.grad(net(cp), (0, 1)), X, W).stats()


@pytest.mark.parametrize("net", [network, nested])
def test_what_is_kept_and_what_is_computed_again(net):
    """Every layer has 7 values that its pull reads, two of them products; a product takes 10 times as long as all else."""
    full, none, dots = (stats(net, with_policy(policy)) for policy in ("everything", "nothing", "dots"))
    assert full == stats(net, plain)
    assert none.buffer_bytes < 0.6 * full.buffer_bytes
    assert none.buffer_bytes < dots.buffer_bytes < 0.9 * full.buffer_bytes
    assert none.flops > 1.25 * full.flops
    assert dots.flops < 1.2 * full.flops


def test_memory_falls_as_regions_are_nested():
    """l steps: all of them, sqrt(l) and log(l) of them stay."""
    def chain(cp, depth, width):
        if depth == 0:
            return lambda x: np.sin(np.concatenate((x[1:], x[:1]))) * x
        part = chain(cp, depth - 1, width)

        def run(x):
            for _ in range(width):
                x = part(x)
            return x
        return cp(run)

    x = np.linspace(0.1, 1.0, 2000)
    found = {}
    for name, cp, depth, width in (("all", plain, 1, 64), ("two", ft.checkpoint, 2, 8), ("six", ft.checkpoint, 6, 2)):
        f = chain(cp, depth, width)
        program = ft.trace(ft.grad(lambda x: f(x).sum()), x)
        found[name] = program(x), program.stats().buffer_bytes / x.nbytes
    for gradient, _ in found.values():
        np.testing.assert_array_equal(gradient, found["all"][0])
    assert found["all"][1] > 64 and found["two"][1] < 40 and found["six"][1] < 30


def test_in_a_program_whose_branch_changes():
    """Each trace marks regions of its own."""
    f = ft.compile(ft.grad(branching(ft.checkpoint)))
    g = ft.grad(branching(plain))
    for x in (X, -X, X + 1.0, X):
        np.testing.assert_array_equal(f(x, W), g(x, W))


def test_as_decorator():
    @ft.checkpoint(policy="dots")
    def layer(x, w, *, gain=1.0):
        """What it does."""
        return np.tanh(x @ w) * gain

    assert layer.__doc__ == "What it does." and layer.__name__ == "layer"
    found = ft.grad(lambda w: layer(X, w, gain=2.0).sum())(W[0])
    np.testing.assert_array_equal(found, ft.grad(lambda w: (np.tanh(X @ w) * 2.0).sum())(W[0]))

    @ft.checkpoint
    def bare(x):
        return x * x
    assert ft.grad(bare)(3.0) == 6.0


@pytest.mark.parametrize("policy", ["all", None, 3, "dots_saveable", ["dots"]])
def test_unknown_policies(policy):
    with pytest.raises(ValueError, match="checkpoint: policy must be one of 'nothing', 'everything', 'dots', got"):
        ft.checkpoint(np.sin, policy=policy)


@pytest.mark.parametrize("policy", POLICIES)
def test_an_error_in_the_region_leaves_nothing_behind(policy):
    def bad(x):
        raise ZeroDivisionError
    for transform in (ft.grad, ft.hessian, lambda f: ft.compile(ft.grad(f))):
        with pytest.raises(ZeroDivisionError):
            transform(lambda x: ft.checkpoint(bad, policy=policy)(np.sin(x)).sum())(X[0])
    np.testing.assert_array_equal(ft.grad(lambda x: (x * x).sum())(X), 2 * X)


def test_an_error_that_is_caught_around_a_region():
    def bad(x):
        np.sin(x) * x
        raise ValueError

    def f(x):
        try:
            x = ft.checkpoint(bad, policy="dots")(x)
        except ValueError:
            x = ft.checkpoint(np.cos, policy="dots")(x)
        return x.sum()
    np.testing.assert_allclose(ft.grad(f)(X), -np.sin(X), rtol=1e-14)


def test_stubborn_arguments():
    """Plain arrays, outside any trace; nothing to differentiate."""
    for policy in POLICIES:
        f = ft.checkpoint(block, policy=policy)
        np.testing.assert_array_equal(f(X, W[0]), block(X, W[0]))
        assert ft.grad(lambda x, f=f: x + f(X, W[0])[0, 0] * 0)(2.0) == 1.0
