"""`compile` as a function and a decorator: of what can be called, within itself, when something fails, and its warnings."""
import contextlib
import functools
import inspect
import math
import signal
import threading
import warnings

import numpy as np
import pytest

import fasttape as ft


def square(x):
    """x times itself."""
    return x * x


class Scaled:
    offset = 1.0

    def __init__(self, a):
        self.a = a

    @ft.compile
    def method(self, x):
        return self.a * x

    @staticmethod
    @ft.compile
    def static(x):
        return x * 3

    @classmethod
    @ft.compile
    def of_class(cls, x):
        return x * cls.offset

    @ft.compile(static="n")
    def repeated(self, x, n=2.0):
        return x * n * self.a

    def __call__(self, x):
        return x - self.a


def test_a_compiled_function_looks_like_the_function():
    f = ft.compile(square)
    assert (f.__name__, f.__qualname__, f.__doc__, f.__module__) == ("square", "square", "x times itself.", __name__)
    assert f.__wrapped__ is square and inspect.signature(f) == inspect.signature(square)
    assert repr(f) == "<compiled square: 0 programs>" and f.programs == []
    f(2.0)
    assert repr(f) == "<compiled square: 1 programs>" and [type(p) for p in f.programs] == [ft.Program]


def test_methods():
    two, three = Scaled(2.0), Scaled(3.0)
    for _ in range(2):
        assert two.method(5.0) == 10 and three.method(5.0) == 15 and Scaled.method(three, 2.0) == 6
        assert two.static(2.0) == Scaled.static(2.0) == 6 and two.of_class(2.0) == Scaled.of_class(2.0) == 2
        assert two.repeated(1.0) == 4 and two.repeated(1.0, 3.0) == 6 and two.repeated(1.0, n=4.0) == 8
    assert len(Scaled.method.programs) == 2 and len(Scaled.repeated.programs) == 3


@pytest.mark.parametrize("f", [square, Scaled(2.0), lambda x: x + 1, functools.partial(np.multiply, 3.0), functools.partial(square, x=2.0),
                               Scaled(2.0).__call__, np.tanh, abs, math.floor, sum, ft.grad(square), ft.compile(square),
                               ft.trace(square, 1.0), Scaled(2.0).method])
def test_what_can_be_called(f):
    args = () if isinstance(f, functools.partial) and f.keywords else ([0.75, 1.5],) if f is sum else (0.75,)
    for call in (ft.compile(f), ft.trace(f, *args), ft.compile(ft.compile(f))):
        for _ in range(2):
            assert call(*args) == pytest.approx(f(*args), rel=1e-15)


@pytest.mark.parametrize("bad", [3, None, "f", [square]])
def test_what_cannot_be_called(bad):
    with pytest.raises(TypeError, match="trace: the first argument must be a function"):
        ft.trace(bad, 1.0)
    if bad is not None:
        with pytest.raises(TypeError, match="compile: the first argument must be a function"):
            ft.compile(bad)
    for static in (1.0, (True,), [None], ({},)):
        with pytest.raises(TypeError, match="static must be"):
            ft.compile(square, static=static)


def test_generators_and_coroutines_are_refused():
    def generator(x):
        yield x

    async def coroutine(x):
        return x
    for f, word in ((generator, "generator"), (coroutine, "coroutine")):
        for call in (ft.compile(f), functools.partial(ft.trace, f)):
            with pytest.raises(TypeError, match=f"returned a {word}"), warnings.catch_warnings():
                warnings.simplefilter("ignore")             # of the coroutine that is never awaited
                call(1.0)


# ---- within itself, and within a trace

def test_recursion():
    @ft.compile
    def power(x, n):
        return x * power(x, n - 1) if n else 1.0

    @ft.compile
    def collatz(x):
        return 0.0 if x <= 1 else 1.0 + collatz(x / 2 if x % 2 == 0 else 3 * x + 1)
    assert [power(x, 3) for x in (2.0, 3.0)] == [8, 27]
    assert [collatz(float(n)) for n in (1, 6, 7, 6)] == [0, 8, 16, 8]


def test_recursion_through_plain_values():
    """The function calls the compiled function, which traces it again, in the middle of its own trace."""
    @ft.compile
    def f(x):
        deeper = f(float(ft.value(x)) - 1) if x > 0 else 0.0
        return x * 2 + deeper
    for _ in range(2):
        assert [f(float(n)) for n in (3, 1, 0, 5)] == [12, 2, 0, 30]


def test_a_look_that_calls_the_compiled_function():
    class Nosy:
        def __init__(self):
            self.called = 0

        def __eq__(self, other):
            self.called += 1
            return self.called < 20 and f(2.0, self) == 4.0 and isinstance(other, Nosy)

        __hash__ = None

    class Hashable(Nosy):
        def __hash__(self):
            return 1

    @ft.compile
    def f(x, n):
        return x * 2 if x > 0 else x
    assert f(2.0, Hashable()) == 4 and f(3.0, Hashable()) == 6 and f(-1.0, Hashable()) == -1


def test_called_with_traced_values():
    @ft.compile
    def branched(x, y):
        return np.sum(x * x * y if y > 0 else -x)
    x = np.array([1.0, -2.0, 3.0])
    for _ in range(2):
        for y in (2.0, -2.0):
            branched(x, y)                                  # or not traced yet
            np.testing.assert_array_equal(ft.grad(branched)(x, y), 2 * x * y if y > 0 else -np.ones(3))
            np.testing.assert_array_equal(ft.hessian(branched)(x, y), 2 * y * np.eye(3) if y > 0 else np.zeros((3, 3)))
            assert ft.jvp(branched, (x, y), (x, 0.0))[1] == (2 * y * x @ x if y > 0 else -x.sum())
            assert ft.compile(ft.grad(branched, 1))(x, y) == (x @ x if y > 0 else 0)
            assert ft.grad(lambda x, y=y: branched([branched(x, y) * x][0], 2.0))(x).shape == (3,)


def test_called_with_plain_values_in_a_trace():
    f = ft.compile(lambda x: x * x if x > 0 else x)
    for outer in (ft.grad, ft.compile, lambda g: lambda x: ft.jacobian(g)(x)):
        assert outer(lambda x: x * f(3.0) + f(-3.0))(2.0) == (15 if outer is ft.compile else 9)
    assert len(f.programs) == 2


def test_a_program_called_with_traced_values():
    program = ft.trace(lambda x: x * x, 1.0)
    assert ft.grad(program)(3.0) == 6 and ft.hessian(program)(3.0) == 2 and ft.compile(lambda x: program(x) + program(2.0))(3.0) == 13


def test_a_traced_value_that_is_closed_over_is_an_error():
    def f(x):
        return ft.compile(lambda y: y * x)(2.0)
    for call in (ft.grad(f), ft.compile(f)):
        with pytest.raises(ft.TraceError, match="two different traces"):
            call(3.0)
    with pytest.raises(TypeError, match="traced value"):
        ft.grad(lambda x: ft.trace(square, x)(x))(3.0)


# ---- when something fails

def test_a_function_that_raises_leaves_nothing():
    calls = []

    @ft.compile
    def f(x, n=0):
        calls.append(n)
        if len(calls) % 2:
            raise KeyError("odd")
        return x * 2
    for _ in range(3):
        f.clear()
        calls.clear()
        with pytest.raises(KeyError, match="odd"):
            f(1.0)
        assert f.programs == [] and f(3.0) == 6 and f(4.0) == 8 and len(calls) == 2
    for n in range(100):                                    # which counts signatures that have no program
        with contextlib.suppress(KeyError), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            f(1.0, n)
    assert f(3.0) == 6


def test_a_path_that_raises_is_not_kept():
    @ft.compile
    def f(x):
        if x < 0:
            raise ValueError(f"negative: {x}")
        return np.sqrt(x)
    for _ in range(3):
        assert f(4.0) == 2
        with pytest.raises(ValueError, match=r"negative: -1\.0"):
            f(-1.0)
        assert len(f.programs) == 1


def interrupted_after(seconds, call):
    """Whether Ctrl-C came through while `call` was running."""
    timer = threading.Timer(seconds, signal.raise_signal, [signal.SIGINT])
    try:
        timer.start()               # which may take longer than that
        call()
    except KeyboardInterrupt:
        return True
    finally:
        timer.join()
    return False


def test_interrupted_in_the_function():
    wait = [True]

    @ft.compile
    def f(x):
        while wait[0]:
            x = x * 1.0
        return x * 2
    assert interrupted_after(0.05, lambda: f(2.0)) and f.programs == []
    wait[0] = False
    assert f(2.0) == 4


def test_interrupted_in_a_run():
    def f(x, y):
        for _ in range(60):
            x = np.tanh(x @ y)
        return x
    compiled, small = ft.compile(f), np.ones((2, 2)) / 2
    x = np.ones((300, 300)) / 300
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        wanted = compiled(x, x)
        for delay in (0.02, 0.05, 0.1):
            assert interrupted_after(delay, lambda: [compiled(x, x) for _ in range(50)])
            np.testing.assert_array_equal(compiled(x, x), wanted)
        np.testing.assert_array_equal(compiled(small, small), ft.vjp(f, small, small)[0])


# ---- warnings

def test_many_paths_warn_once_and_name_the_line():
    @ft.compile
    def f(x):
        return x * int(x)
    line = f.__wrapped__.__code__.co_firstlineno + 2
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        for n in range(31):
            f(float(n))
        assert not seen
        for n in range(100):
            assert f(float(n)) == n * n
    warning, = seen
    assert issubclass(warning.category, RuntimeWarning) and warning.filename == __file__
    assert f"f: 32 paths of this function have been traced, the last because of what Python saw at {__file__}:{line}" in str(warning.message)


@pytest.mark.parametrize("static, argument, text", [((), lambda n: n, "argument 1 is 31, and was 30"),
                                                    ("s", lambda n: float(n), "argument 1 is 31.0, and was 30.0"),
                                                    ((), lambda n: np.zeros(n), r"argument 1 is float64\[31\], and was float64\[30\]"),
                                                    (1, lambda n: [1.0, np.full(2, n)], r"argument 1\[1\] is int64\[2\] fixed, of other")])
def test_many_signatures_warn_once_and_name_the_argument(static, argument, text):
    def f(x, s):
        return x
    f = ft.compile(f, static=1 if static == "s" else static)
    with pytest.warns(RuntimeWarning, match=f"f: 32 signatures of this function have been traced, the last because {text}") as seen:
        for n in range(100):
            f(1.0, argument(n))
    warning, = seen
    assert warning.filename == __file__
    assert len(f.programs) == 100
