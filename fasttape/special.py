"""Special functions that NumPy lacks, for plain and for traced values."""
import numpy as np

from fasttape._core import vm
from fasttape._core.build import apply
from fasttape._core.tracer import is_traced


def _unary(name, doc):
    def function(x):
        if is_traced(x):
            return apply(name, x)
        x = np.asarray(x, dtype=np.float32 if getattr(x, "dtype", None) == np.float32 else np.float64)
        return vm.evaluate(name, x.reshape(-1)).reshape(x.shape)[()]
    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return function


erf = _unary("erf", "Error function, 2/sqrt(pi) times the integral of exp(-t**2) from 0 to x.")
erfc = _unary("erfc", "Complementary error function 1 - erf(x), precise where that is small.")
ndtr = _unary("ndtr", "Cumulative distribution function of the standard normal distribution.")
sigmoid = _unary("sigmoid", "Logistic sigmoid 1 / (1 + exp(-x)).")
softplus = _unary("softplus", "log(1 + exp(x)), without overflow.")
expit = sigmoid


def stop_gradient(x):
    """x, taken as a constant: its derivative is zero.

    >>> import fasttape as ft
    >>> ft.grad(lambda x: x * stop_gradient(x))(3.0)
    np.float64(3.0)
    """
    return apply("stop_gradient", x) if is_traced(x) else x
