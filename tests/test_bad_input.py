"""What bad input gets: an error that names the function and the remedy, and a next call that is well."""
import math
import pathlib
import pickle
import subprocess
import sys
import threading

import numpy as np
import pytest

import fasttape as ft

HERE = pathlib.Path(__file__).parent       # not the checkout, whose ./fasttape may not be built

X = np.array([0.5, -1.0, 2.0])


@pytest.fixture(autouse=True)
def the_next_call_is_unaffected():
    yield
    np.testing.assert_array_equal(ft.grad(lambda x: np.sum(x * x))(X), 2 * X)
    assert ft.jvp(lambda x: x * x, 3.0, 1.0) == (9.0, 6.0)


def plain_item(x):
    a = np.zeros(3)
    a[0] = x[0]
    return np.sum(a)


def plain_slice(x):
    a = np.zeros(3)
    a[:] = x
    return np.sum(a)


def plain_in_place(x):
    a = np.zeros(3)
    a += x
    return np.sum(a)


def np_array_of(x):
    return np.sum(np.array([x[0], x[1]]))


REFUSED = [     # function of X, the error, words of its message
    (lambda x: x * 2, TypeError, ["grad", "(3,)", "jacobian"]),
    (lambda x: x[:1], TypeError, ["grad", "(1,)", "jacobian"]),
    (lambda x: None, TypeError, ["grad", "None", "return"]),
    (lambda x: "1.5", TypeError, ["grad", "str"]),
    (lambda x: (x[0], x[1]), TypeError, ["grad", "tuple"]),
    (lambda x: x[0] > 0, TypeError, ["grad", "truth"]),
    (lambda x: {"loss": x[0]}, TypeError, ["grad", "dict"]),
    (lambda x: (v for v in x), TypeError, ["grad", "generator"]),
    (lambda x: 1j, TypeError, ["grad", "complex"]),
    (lambda x: np.sum(x + np.ones(4)), ValueError, ["add", "(3,)", "(4,)"]),
    (lambda x: np.sum(np.where(x > 0, x, np.ones(4))), ValueError, ["where", "(3,)", "(4,)"]),
    (lambda x: np.sum(x @ np.ones((4, 2))), ValueError, ["matmul", "(4, 2)"]),
    (lambda x: np.sum(x.reshape(2, 2)), ValueError, ["reshape", "3", "(2, 2)"]),
    (lambda x: x[3], IndexError, ["3", "out of bounds"]),
    (lambda x: x[0, 0], IndexError, ["too many indices"]),
    (lambda x: np.sum(x, axis=1), np.exceptions.AxisError, ["axis 1"]),
    (lambda x: np.sum(np.concatenate([x, np.ones((2, 2))])), ValueError, ["concatenate", "(3,)", "(2, 2)"]),
    (lambda x: np.sum(np.unwrap(x)), TypeError, ["numpy.unwrap", "not supported", "stop_gradient"]),
    (lambda x: np.linalg.svd(np.outer(x, x))[1][0], TypeError, ["linalg.svd", "not supported", "stop_gradient"]),
    (lambda x: np.sum(np.spacing(x)), TypeError, ["np.spacing", "not supported", "stop_gradient"]),
    (lambda x: np.multiply.outer(x, x)[0, 0], TypeError, ["np.multiply.outer", "not supported"]),
    (lambda x: np.sum(np.sin(x, out=np.zeros(3))), TypeError, ["np.sin", "out="]),
    (lambda x: math.sin(x[0]), TypeError, ["math.sin", "np.sin", "derivative"]),
    (lambda x: float(x[0]) * 2.0, TypeError, ["float(x)", "derivative", "stop_gradient"]),
    (lambda x: complex(x[0]), TypeError, ["real"]),
    (lambda x: [1, 2, 3][x[0]], TypeError, ["index", "int(x)"]),
    (plain_item, (TypeError, ValueError), []),
    (plain_slice, TypeError, ["plain array", "fasttape.numpy"]),
    (plain_in_place, TypeError, ["plain array", "np.zeros_like"]),
    (np_array_of, TypeError, ["plain array", "np.stack"]),
    (lambda x: x[0] + "a", TypeError, ["str"]),
    (lambda x: x[0] * None, TypeError, ["NoneType"]),
    (lambda x: x[0] * 1j, TypeError, ["complex"]),
    (lambda x: np.sum(x * np.ones(3, complex)), TypeError, ["complex128", "float64"]),
    (lambda x: np.sum(x * np.array(["a", "b", "c"])), TypeError, ["<U1"]),
    (lambda x: {x[0]: 1}, TypeError, ["unhashable"]),
    (lambda x: pickle.dumps(x), TypeError, ["pickled"]),
    (lambda x: np.sum(x) if x > 0 else 0.0, ValueError, ["truth value", "ambiguous"]),
    (lambda x: x[0].__setitem__(0, 1.0), TypeError, ["item assignment"]),
    (lambda x: x & 1, TypeError, ["compare"]),
    (lambda x: round(x[0], 1) * 2.0, TypeError, ["round"]),
]


@pytest.mark.parametrize("k", range(len(REFUSED)))
def test_refused_with_words_that_help(k):
    f, error, words = REFUSED[k]
    with pytest.raises(error) as caught:
        ft.grad(f)(X)
    for word in words:
        assert word in str(caught.value)


def test_assigning_into_a_plain_array_says_what_to_do():
    """NumPy raises its own error from ours: the remedy is in the chain."""
    with pytest.raises((TypeError, ValueError)) as caught:
        ft.grad(plain_item)(X)
    assert "plain array" in str(caught.value) or "plain array" in str(caught.value.__cause__)


def test_shapes_that_do_not_fit_fail_at_the_users_line():
    def f(x):
        y = np.sin(x)
        z = y + np.ones(5)              # here
        return np.sum(z)

    with pytest.raises(ValueError) as caught:
        ft.grad(f)(X)
    mine = [entry.lineno + 1 for entry in caught.traceback if entry.frame.code.raw is f.__code__]
    assert mine == [f.__code__.co_firstlineno + 2]


@pytest.mark.parametrize("x, words", [
    (3, ["argument 0", "int", "float"]), (np.arange(3), ["argument 0", "int64", "astype(float)"]),
    (True, ["bool", "float"]),
    (np.ones(3, bool), ["bool"]), ([1.0, 2.0], ["argument 0", "list"]), ("a", ["str"]), (None, ["NoneType"]),
    (np.ones(3, complex), ["complex128", "float64"]), (np.ones(3, np.float16), ["float16", "float64"]),
    (np.ones(3, np.longdouble), ["float64"]), (np.array([1.0, 2.0], object), ["object"]), (1 + 1j, ["complex"])])
@pytest.mark.parametrize("transform", ["grad", "value_and_grad", "jacobian", "hessian"])
def test_arguments_that_are_no_floats(x, words, transform):
    with pytest.raises(TypeError) as caught:
        getattr(ft, transform)(lambda x: x)(x)
    assert all(word in str(caught.value) for word in words)
    if not isinstance(x, (int, np.ndarray)):
        assert "astype" not in str(caught.value)


def test_calls_of_the_transforms_themselves():
    for call, error, words in [
            (lambda: ft.grad(3), TypeError, ["grad", "function", "int"]),
            (lambda: ft.grad(np.sin, argnum="x"), TypeError, ["grad", "argnum"]),
            (lambda: ft.grad(np.sin, argnum=True), TypeError, ["argnum"]),
            (lambda: ft.grad(np.sin, argnum=[0]), TypeError, ["argnum"]),
            (lambda: ft.grad(np.sin, argnum=2)(1.0), TypeError, ["argnum 2"]),
            (lambda: ft.grad(np.sin, argnum=-2)(1.0), TypeError, ["argnum -2"]),
            (lambda: ft.grad(np.sin)(), TypeError, ["argnum 0"]),
            (lambda: ft.jacobian(np.sin, mode="fwd"), ValueError, ["mode", "'fwd'", "'forward'"]),
            (lambda: ft.jvp(np.sin, X, np.ones(2)), ValueError, ["jvp", "(2,)", "(3,)"]),
            (lambda: ft.jvp(np.sin, (X,), (X, X)), ValueError, ["jvp", "2 tangents", "1 argument"]),
            (lambda: ft.vjp(np.sin, X)[1](np.ones(2)), ValueError, ["vjp", "(2,)", "(3,)"]),
            (lambda: ft.hvp(np.sum, X, np.ones(2)), ValueError, ["(2,)", "(3,)"]),
            (lambda: ft.hessian(np.sin)(X), TypeError, ["(3,)"]),
            (lambda: ft.checkpoint(3), TypeError, ["checkpoint", "int"]),
            (lambda: ft.Array(), TypeError, ["transforms"])]:
        with pytest.raises(error) as caught:
            call()
        assert all(word in str(caught.value) for word in words), str(caught.value)


def test_nan_and_inf_pass_through():
    x = np.array([np.nan, np.inf, -np.inf, 1.0])
    np.testing.assert_array_equal(ft.grad(lambda x: np.sum(x * x))(x), 2 * x)
    value, slope = ft.jvp(lambda x: x * 2.0, x, np.ones(4))
    np.testing.assert_array_equal(value, 2 * x)
    np.testing.assert_array_equal(slope, 2 * np.ones(4))


# ---- escapes

def test_traced_values_that_escape():
    kept = []

    def f(x):
        kept.extend([x, x[0], x[1:], x * 2.0, x > 0])
        return np.sum(x)

    for call in (lambda: ft.grad(f)(X), lambda: ft.jvp(f, X, X), lambda: ft.vjp(f, X), lambda: ft.jacobian(f)(X),
                 lambda: ft.grad(ft.checkpoint(f))(X), lambda: ft.hessian(f)(X)):
        kept.clear()
        held = call()                   # a pullback keeps its tape
        for leaked in kept:
            for use in (lambda: leaked + 1.0, lambda: leaked.shape, lambda: np.sin(leaked), lambda: ft.value(leaked),
                        lambda: ft.grad(lambda y: np.sum(y * leaked))(X), lambda: ft.grad(np.sum)(leaked)):
                with pytest.raises(ft.TraceError, match="ended|leaked|another trace"):
                    use()
            assert "ended" in repr(leaked)
        del held


def test_traced_value_in_another_thread():
    def f(x):
        found = []

        def work():
            try:
                found.append(x * 2.0)
            except ft.TraceError as error:
                found.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        raise found[0]

    with pytest.raises(ft.TraceError, match="thread"):
        ft.grad(f)(1.0)


def test_more_axes_than_there_is_room_for():
    code = """
import numpy as np, fasttape as ft
for n in (32, 33, 34, 35, 48, 64):
    x = np.ones((1,) * n)
    for call in (lambda: ft.grad(lambda x: (x * x).sum())(x), lambda: ft.jacobian(lambda x: (x * x).sum())(x),
                 lambda: ft.grad(lambda y: (x * y).sum())(2.0),
                 lambda: ft.grad(lambda y: np.broadcast_to(y, x.shape).sum())(2.0),
                 lambda: ft.grad(lambda x: x[(None,) * 20].sum())(x), lambda: ft.jacobian(lambda x: x * x)(x)):
        try:
            call()
        except (ValueError, NotImplementedError, IndexError):
            assert n + 20 > 32
"""
    done = subprocess.run(cwd=HERE, args=[sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
