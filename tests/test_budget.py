"""Budgets of memory: the same gradient to the bit, within what the process is given."""
import pathlib
import subprocess
import sys
import textwrap

import numpy as np
import pytest

import fasttape as ft
from fasttape import schedules
from fasttape.schedules.budget import bytes_of

HERE = pathlib.Path(__file__).parent       # not the checkout, whose ./fasttape may not be built
X = np.linspace(0.1, 1.0, 20000)


def stencil(x, steps=60):
    """Each step is stored: a shift ends a fused span."""
    for _ in range(steps):
        x = x + 0.01 * np.concatenate((x[1:], x[:1])) * np.sin(x)
    return (x * x).sum()


def in_place(x, steps=40):
    x = x.copy()
    for _ in range(steps):
        x[1:-1] = x[1:-1] + 0.1 * (x[2:] - 2.0 * x[1:-1] + x[:-2]) * x[1:-1]
    return np.sum(x * x)


def branching(x):
    for k in range(40):
        x = np.concatenate((x[1:], x[:1])) * 1.01
        if x.sum() > 1e4 and k % 2:
            x = np.tanh(x)
    return x.sum()


def network(x, w):
    x = np.reshape(x[:6400], (100, 64))
    for _ in range(60):
        x = np.tanh(x @ w) + 0.1 * x
    return (x**2).sum()


def loops_within(x):
    for _ in range(10):
        x = np.concatenate((x[1:], x[:1])) * np.cos(x)
        x, _ = ft.scan(lambda c, _: (np.concatenate((c[1:], c[:1])) * 0.9 + np.sin(c), None), x, length=50)
    return x.sum()


W = np.random.default_rng(0).normal(size=(64, 64)) / 8
CASES = {"stencil": (stencil, (X,), "6 MB"), "in place": (in_place, (X,), "6 MB"), "branching": (branching, (X,), "9 MB"),
         "network": (network, (X, W), "5 MB"), "float32": (stencil, (X.astype(np.float32),), "4 MB"),
         "loops": (loops_within, (X,), "60 MB"), "numbers": (lambda x: np.sin(x) * np.exp(x), (0.3,), "2 MB")}


def same(a, b):
    return all(np.array_equal(x, y) and x.dtype == y.dtype for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("how", [lambda f: f, ft.compile], ids=["one-shot", "compiled"])
def test_the_gradient_is_the_same(name, how):
    f, args, memory = CASES[name]
    argnum = tuple(range(len(args)))
    value, gradient = ft.value_and_grad(f, argnum=argnum)(*args)
    with_budget = how(ft.value_and_grad(f, argnum=argnum, memory=memory))
    for _ in range(2):
        again, cut = with_budget(*args)
        assert value == again and same(gradient, cut)
    assert same(how(ft.grad(f, argnum=argnum, memory=memory))(*args), gradient)
    if how is ft.compile:
        value, cut = ft.compile(ft.value_and_grad(f, argnum=argnum), memory=memory)(*args)
        assert value == again and same(gradient, cut)


def test_the_budget_of_a_program():
    """It is that of its gradient and of its loops; what else it computes must fit."""
    f = ft.compile(ft.value_and_grad(stencil), memory="6 MB")
    f(X)
    assert f.programs[0].stats().buffer_bytes < 6e6 < ft.trace(ft.value_and_grad(stencil), X).stats().buffer_bytes

    @ft.compile(memory="5 MB")
    def slope(x):
        return ft.jacobian(lambda a: ft.scan(lambda c, _: (np.sin(c) * a, None), x, length=200)[0].sum(), mode="reverse")(0.9)
    assert slope(X) == ft.jacobian(lambda a: ft.scan(lambda c, _: (np.sin(c) * a, None), X, length=200)[0].sum(), mode="reverse")(0.9)

    both = ft.compile(lambda x: (ft.grad(stencil)(x), ft.grad(stencil, memory="6 MB")(x)), memory="14 MB")
    assert same(both(X), [ft.grad(stencil)(X)] * 2)
    with pytest.raises(ValueError, match=r"compile: .* takes [\d.]+ MB, of 2.00 MB that it may take; grad"):
        ft.compile(lambda x: ft.vjp(stencil, x)[1](1.0)[0], memory="2 MB")(X)
    with pytest.raises(ValueError, match="too little for this function; the least that would do is"):
        ft.compile(ft.grad(stencil), memory="1.2 MB")(X)
    assert ft.compile(lambda x: x * 2.0, memory=1000)(3.0) == 6.0


def test_budgets_within_transforms_and_around_them():
    def f(x):
        return (np.sin(x * np.linspace(0.0, 1.0, 1000)) ** 2).sum()

    wanted = ft.grad(ft.grad(f))(0.3)
    assert ft.grad(ft.grad(f, memory="3 MB"))(0.3) == wanted
    assert ft.grad(ft.grad(f), memory="3 MB")(0.3) == wanted
    assert ft.jacobian(ft.grad(f, memory="3 MB"))(0.3) == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("name", ["stencil", "network", "in place"])
def test_the_least_that_is_named_would_do(name):
    f, args, _ = CASES[name]
    with pytest.raises(ValueError, match=r"the least that would do is [\d.]+ MB") as error:
        ft.grad(f, memory="1.2 MB")(*args)
    least = str(error.value).split("would do is ")[1].split(" MB")[0] + " MB"
    assert np.array_equal(ft.grad(f, memory=least)(*args), ft.grad(f)(*args))


def growth(code):
    """MB by which the resident memory of a new process grows over `run()`, which `code` defines."""
    program = textwrap.dedent("""
        import numpy as np, fasttape as ft
        def resident():
            with open("/proc/self/status") as f:
                return next(int(line.split()[1]) / 1000 for line in f if line.startswith("VmHWM"))
        def stencil(x, steps):
            for _ in range(steps):
                x = x + 0.01 * np.concatenate((x[1:], x[:1])) * np.sin(x)
            return (x * x).sum()
        def looped(x, steps, **how):
            step = lambda c, _: (c + 0.01 * np.concatenate((c[1:], c[:1])) * np.sin(c), None)
            return (ft.scan(step, x, length=steps, **how)[0] ** 2).sum()
        x = np.linspace(0.1, 1.0, 50000)
        for f in (stencil, looped):
            ft.compile(ft.value_and_grad(lambda x: f(x, 2)))(x)
    """) + textwrap.dedent(code) + textwrap.dedent("""
        with open("/proc/self/clear_refs", "w") as f:
            f.write("5")
        before = resident()
        run()
        print(resident() - before)
    """)
    done = subprocess.run([sys.executable, "-c", program], cwd=HERE, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return float(done.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("call", ["ft.value_and_grad(lambda x: stencil(x, 300), memory='{}')(x)",
                                  "ft.compile(ft.value_and_grad(lambda x: stencil(x, 300), memory='{}'))(x)",
                                  "ft.compile(ft.value_and_grad(lambda x: stencil(x, 300)), memory='{}')(x)",
                                  "ft.compile(ft.value_and_grad(lambda x: looped(x, 300, memory='{}')))(x)",
                                  "ft.compile(ft.value_and_grad(lambda x: looped(x, 300)), memory='{}')(x)",
                                  "ft.value_and_grad(lambda x: looped(x, 300), memory='{}')(x)"])
def test_the_process_stays_within(call):
    """Storing all takes 120 MB of states at least."""
    for budget in (60, 40):
        assert growth(f"run = lambda: {call.format(f'{budget} MB')}") <= budget
    assert growth("run = lambda: ft.value_and_grad(lambda x: stencil(x, 300))(x)") > 120


# ---- texts

@pytest.mark.parametrize("text, size", [("64 MB", 64 * 10**6), ("1.5 GiB", 3 * 2**29), ("100kb", 10**5), (" 7 B ", 7), (12345, 12345),
                                        (np.int64(9), 9), (".5 kib", 512)])
def test_bytes(text, size):
    assert bytes_of(text, "grad") == size


@pytest.mark.parametrize("memory, error", [("lots", ValueError), ("64", ValueError), ("-1 MB", ValueError), (0, ValueError),
                                           (-5, ValueError), (True, TypeError), (1e6, TypeError), ("1 PB", ValueError)])
def test_bad_budgets(memory, error):
    for make in (lambda: ft.grad(np.sum, memory=memory), lambda: ft.value_and_grad(np.sum, memory=memory),
                 lambda: ft.scan(lambda c, x: (c, None), 1.0, length=3, memory=memory), lambda: ft.compile(memory=memory)(np.sum), lambda: schedules.Budget(memory)):
        with pytest.raises(error, match="memory must be"):
            make()


def test_a_schedule_and_a_budget():
    with pytest.raises(TypeError, match="not both"):
        ft.scan(lambda c, x: (c, None), 1.0, length=3, memory="1 MB", schedule=schedules.StoreAll())


def test_a_loop_that_does_not_fit():
    def f(x):
        return ft.scan(lambda c, _: (np.sin(c), None), x, length=10, memory="1 kB")[0].sum()

    with pytest.raises(ValueError, match=r"1 kB is too small for this loop; the least that would do is [\d.]+ [kM]B"):
        ft.grad(f)(X)


def test_a_long_trace_of_numbers():
    def f(x):
        for _ in range(200000):
            x = x * 0.99999
        return x

    with pytest.raises(ValueError, match=r"trace of this function alone, of 20000. operations.*scan"):
        ft.grad(f, memory="10 MB")(1.0)
