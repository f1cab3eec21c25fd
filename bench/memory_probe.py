"""Run one workload of a given length and print the process's peak memory in bytes.

    python memory_probe.py jvp_of_burgers 1000

A process of its own, because a peak is never forgotten.
"""

import re
import sys

import numpy as np
import workloads

import fasttape as ft


def jvp_of_burgers(steps):
    u = workloads.burgers_start()
    ft.jvp(lambda u: workloads.burgers(u, steps), (u,), (np.ones_like(u),))


def gradient_of_oscillator(operations):
    steps = operations // workloads.OSCILLATOR_OPERATIONS
    ft.value_and_grad(lambda p: workloads.oscillator(p, steps))(np.array([1.0, 0.0, 1e-3]))


def peak_bytes():
    try:
        with open("/proc/self/status") as status:
            # not ru_maxrss: on Linux a child starts with the peak of its parent
            return 1024 * int(re.search(r"VmHWM:\s+(\d+) kB", status.read())[1])
    except FileNotFoundError:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS


if __name__ == "__main__":
    {"jvp_of_burgers": jvp_of_burgers, "gradient_of_oscillator": gradient_of_oscillator}[
        sys.argv[1]
    ](int(sys.argv[2]))
    print(peak_bytes())
