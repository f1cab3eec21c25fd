"""Yardsticks in C: value and gradient by hand, compiled when first asked for.

Each file of the folder `native` is one workload of `workloads.py`, as a demanding C programmer
would write its reverse mode in an afternoon, and says what limits it. Compiled for the machine at
hand, nothing is kept. Nothing here knows of fasttape.
"""

import ctypes
import functools
import pathlib
import shutil
import subprocess
import tempfile

import numpy as np

FOLDER = pathlib.Path(__file__).resolve().parent / "native"
EXACT = ("-O3", "-march=native")  # sums in the order that is written, as ours are
FAST = ("-Ofast", "-march=native")  # vectorises calls of libm, reorders sums
FLAGS = {
    "rosenbrock": EXACT,
    "lotka_volterra": EXACT,
    "black_scholes": EXACT,
    "bundle": EXACT,
    "burgers": EXACT,
    "lstm": EXACT,
    "chain": FAST,
    "black_scholes_many": FAST,
    "logistic": FAST,
}


def compiler():
    """Path of gcc, None where there is none."""
    return shutil.which("gcc")


@functools.cache
def library(name, flags):
    """Compile one workload and load it."""
    with tempfile.TemporaryDirectory() as folder:
        source, compiled, linked = FOLDER / f"{name}.c", f"{folder}/{name}.o", f"{folder}/{name}.so"
        # Two commands: a library linked with -Ofast may, once loaded, make the whole process flush
        # subnormal numbers to zero.
        for command in (
            [compiler(), *flags, "-Wall", "-fPIC", "-c", source, "-o", compiled],
            [compiler(), "-shared", compiled, "-o", linked, "-lm"],
        ):
            subprocess.run(command, check=True)
        loaded = ctypes.CDLL(linked)  # stays mapped when the file is gone
    loaded.value_and_grad.restype = loaded.seconds_per_call.restype = ctypes.c_double
    return loaded


class Native:
    """One workload bound to its inputs.

    Parameters
    ----------
    name : str
        The file in the folder `native`, without its ending.
    inputs : arrays of float64
        In the order of the Python workload; the first is differentiated.
    sizes : tuple of int
        What the C file calls `sizes`.
    history : int
        How many float64 the reverse sweep remembers.
    """

    def __init__(self, name, inputs, sizes, history=0):
        self.library = library(name, FLAGS[name])
        self.inputs = [np.ascontiguousarray(a, dtype=np.float64) for a in inputs]
        self.gradient, self.history = np.empty_like(self.inputs[0]), np.empty(history)
        self.arguments = (
            (ctypes.c_int64 * len(sizes))(*sizes),
            (ctypes.c_void_p * len(inputs))(*(a.ctypes.data for a in self.inputs)),
            ctypes.c_void_p(self.gradient.ctypes.data),
            ctypes.c_void_p(self.history.ctypes.data),
        )

    def __call__(self):
        """Return the value and a copy of the gradient."""
        return self.library.value_and_grad(*self.arguments), self.gradient.copy()

    def seconds_per_call(self, calls=1):
        """Mean of `calls` calls, made and timed in C."""
        return self.library.seconds_per_call(ctypes.c_int64(calls), *self.arguments)
