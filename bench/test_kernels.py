"""Throughput of the elementary functions' block kernels against NumPy's.

The target, a third of NumPy's time, holds where NumPy's own loop calls the scalar libm; where it
has an AVX-512 loop the ratio is for orientation. Started with NPY_DISABLE_CPU_FEATURES="X86_V4
AVX512_ICL AVX512_SPR" (the names are those of NumPy 2.4) it shows the former on any processor.
"""

import math

import numpy as np
import pytest

from fasttape._core import vm

# Ranges that keep out of the special cases: as user code's arguments mostly do.
ARGUMENTS = {
    "exp": (-20.0, 20.0),
    "sin": (-10.0, 10.0),
    "cos": (-10.0, 10.0),
    "tanh": (-3.0, 3.0),
    "log": (1e-3, 1e3),
    "log1p": (-0.9, 10.0),
    "expm1": (-3.0, 3.0),
    "erf": (-3.0, 3.0),
}


def erf_of_libm(x):
    return np.fromiter(map(math.erf, x), float, x.size)


def yardstick_of(name):
    """Return (whose, function): NumPy's, or for erf SciPy's or that of libm."""
    if name != "erf":
        return "NumPy", getattr(np, name)
    try:
        from scipy.special import erf
    except ImportError:
        return "math.erf", erf_of_libm
    return "SciPy", erf


def numpy_is_vectorised(name):
    """NumPy has loops for other processors and functions too, which measured are libm's speed."""
    if name in ("sin", "cos", "erf"):
        return False
    found = np.lib.introspect.opt_func_info(func_name=f"^{name}$", signature="float64")
    current = found.get(name, {}).get("dd", {}).get("current", "")
    return "AVX512" in current or "X86_V4" in current


@pytest.mark.parametrize("name", ARGUMENTS)
def test_elementary_function(race, name):
    x = np.random.default_rng(0).uniform(*ARGUMENTS[name], size=1 << 14)
    whose, yardstick = yardstick_of(name)
    race(
        f"{name} of {x.size:,} vs {whose}",
        ours=lambda: vm.evaluate(name, x),
        yardstick=lambda: yardstick(x),
        expected=yardstick(x),
        target=None if numpy_is_vectorised(name) else 1 / 3,
    )
