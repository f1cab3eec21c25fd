"""Statements that alias in NumPy and do not, or otherwise, in fasttape: each is an error in waiting, since the values
differ without a word. What is mended moves to test_aliasing.py."""
import numpy as np
import pytest
from table import check

import fasttape as ft

A = np.cos(np.arange(12.0)).reshape(3, 4) + 0.1
V = np.linspace(-1.1, 1.7, 6)
TURN = np.array([[0.0, 1.0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [1, 0, 0, 0]])


def iterated(x):
    """NumPy reads an element when the loop comes to it."""
    for i, v in enumerate(x.reshape(-1)):
        if i + 1 < x.size:
            x.reshape(-1)[i + 1] += v


def of_no_axes(x):
    y = x[1, ..., 0] if x.ndim > 1 else x[1, ...]
    y += 5.0


def reshaped_to_no_axes(x):
    y = x.reshape(-1)[:1].reshape(())
    y += 5.0


def squeezed_to_no_axes(x):
    y = np.squeeze(x.reshape(-1)[:1])
    y += 5.0


def raveled_of_strides(x):
    y = np.ravel(x[::2])
    y[0] = 5.0


def multiplied_in_place(x):
    y = x.reshape(-1)[:4].reshape(1, 4)
    y @= TURN


def broadcast(x):
    y = np.broadcast_to(x, (2,) + x.shape)
    x[0] = 5.0
    x[1:] = np.array(0.0) + y[1, :1]


def broadcast_together(x):
    y = np.broadcast_arrays(x, np.ones((2,) + x.shape))[0]
    x[0] = 5.0
    x[1:] = np.array(0.0) + y[1, :1]


def cast_without_a_copy(x):
    y = x.astype(x.dtype, copy=False)
    y[0] = 5.0


NOT_YET = {iterated: "__iter__ reads all elements when the loop begins", of_no_axes: "x[i, ...] of no axes is a number here, in NumPy a 0-d view",
           reshaped_to_no_axes: "reshape(()) is a number here, in NumPy a 0-d view", squeezed_to_no_axes: "squeeze to no axes is a number here, in NumPy a 0-d view",
           raveled_of_strides: "ravel is reshape(-1), a view where a regular stride allows; NumPy's copies what is not contiguous",
           multiplied_in_place: "no __imatmul__: y @= a makes a new array, in silence", broadcast: "broadcast_to copies", broadcast_together: "broadcast_arrays copies",
           cast_without_a_copy: "astype takes copy=False and copies"}


@pytest.mark.parametrize("change", [pytest.param(f, marks=pytest.mark.xfail(strict=True, reason=why)) for f, why in NOT_YET.items()])
def test_statements_not_yet(change):
    def f(x):
        y = 1.0 * x
        change(y)
        return y * 2.0
    check(f, V, second=False)


@pytest.mark.xfail(strict=True, reason="what is broadcast can be written to here")
def test_what_is_broadcast_is_read_only():
    for f in (lambda x: np.broadcast_to(x, (2, 6)).fill(0.0), lambda x: np.broadcast_to(x, (2, 6)).__setitem__(0, 1.0)):
        with pytest.raises(ValueError):
            ft.vjp(f, V)


@pytest.mark.xfail(strict=True, reason="results are C-contiguous here, in NumPy laid out as the operands: reshape views the one and copies the other")
@pytest.mark.parametrize("result", [np.sin, lambda x: x * 2.0, np.zeros_like])
def test_reshape_of_a_result_of_transposed_operands(result):
    def f(x):
        y = result(x.T)
        y.reshape(-1)[1] = 9.0
        return y * 1.0
    check(f, A, second=False)
