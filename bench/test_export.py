"""Exported C, compiled for this machine, against the program that it was exported from and reverse mode by hand in C."""

import ctypes
import re
import statistics
import subprocess

import native
import numpy as np
import pytest
from cases import CASES
from measure import assert_agree
from report import Finding

import fasttape as ft

pytestmark = pytest.mark.usefixtures("need_compiler")

WORKLOADS = [
    "Rosenbrock of 1000 scalars",
    "Lotka-Volterra, 1000 RK4 steps",
    "Black-Scholes, one option",
    "elementwise chain, n = 1,000",
    "Burgers 512 cells, 1000 steps, in place",
]

SHIM = """
#define _POSIX_C_SOURCE 199309L
#include <stdint.h>
#include <time.h>
#include "{name}.h"
int once(const double *x, double *y, double *work) {{ return {call}; }}
double seconds_per_call(int64_t calls, const double *x, double *y, double *work) {{
    struct timespec a, b;
    clock_gettime(CLOCK_MONOTONIC, &a);
    for (int64_t k = 0; k < calls; k++) once(x, y, work);
    clock_gettime(CLOCK_MONOTONIC, &b);
    return ((b.tv_sec - a.tv_sec) + 1e-9 * (b.tv_nsec - a.tv_nsec)) / calls;
}}
"""


class Exported:
    """The value and gradient of a function of one array, or of numbers, as C."""

    def __init__(self, f, inputs, folder, name):
        export = ft.trace(f, *inputs).to_c(name, folder)
        sizes = [np.size(x) for x in inputs]
        places = [sum(sizes[:k]) for k in range(len(sizes))]
        arrays = [f"x + {k}" if np.ndim(x) else f"x[{k}]" for k, x in zip(places, inputs)]
        slopes = [f"y + {1 + k}" for k in places]
        call = f"{name}_gradient({', '.join([*arrays, 'y', *slopes])}, work)"
        (folder / "shim.c").write_text(SHIM.format(name=name, call=call))
        flags = ["-std=c11", "-O3", "-march=native", "-fPIC", "-shared"]
        command = [native.compiler(), *flags, "shim.c", f"{name}.c", "-o", f"{name}.so", "-lm"]
        subprocess.run(command, cwd=folder, check=True)
        self.library = ctypes.CDLL(str(folder / f"{name}.so"))
        self.library.seconds_per_call.restype = ctypes.c_double
        room = int(re.search(rf"#define {name.upper()}_GRADIENT_WORKSPACE (\d+)", export.header)[1])
        self.x, self.y = np.concatenate([np.ravel(x) for x in inputs]), np.empty(1 + sum(sizes))
        self.work = np.empty(room)
        self.pointers = [ctypes.c_void_p(a.ctypes.data) for a in (self.x, self.y, self.work)]

    def __call__(self):
        assert self.library.once(*self.pointers) == 0
        return self.y[0], self.y[1:].copy()

    def seconds_per_call(self, calls):
        return self.library.seconds_per_call(ctypes.c_int64(calls), *self.pointers)


def flat(result):
    value, slope = result
    parts = slope if isinstance(slope, tuple) else (slope,)
    return float(value), np.concatenate([np.ravel(part) for part in parts])


@pytest.mark.parametrize("workload", WORKLOADS)
def test_exported_gradient(workload, record, quick, tmp_path):
    case = CASES[workload]()
    ours = Exported(case.gradient.__wrapped__, case.inputs, tmp_path, "exported")
    program = ft.compile(case.gradient)
    assert_agree(ours(), flat(program(*case.inputs)), tolerance=1e-12)
    assert_agree(ours(), flat(case.yardstick()))
    calls = max(1, round(2e-3 / case.yardstick.seconds_per_call(10)))
    rounds = 10 if quick else 100
    times = [
        (ours.seconds_per_call(calls), case.yardstick.seconds_per_call(calls)) for _ in range(rounds)
    ]
    a, b = (statistics.median(side) for side in zip(*times, strict=True))
    record(Finding(f"{workload}, exported, vs C by hand", a / b, None, ours=a, yardstick=b))
