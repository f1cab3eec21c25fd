"""Run one workload of a given length and print the process's peak memory in bytes; with a budget, by
how much the workload raised it.

    python memory_probe.py jvp_of_burgers 1000
    python memory_probe.py burgers_by_scan 100000 "8 MB"

A process of its own, because a peak is never forgotten.
"""

import os
import re
import subprocess
import sys

import loops
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


def burgers_by_scan(steps, budget):
    f = ft.compile(ft.value_and_grad(lambda u: loops.burgers(u, steps, memory=budget)))
    f(workloads.burgers_start())


def shifted(steps, budget):
    x = np.linspace(0.1, 1.0, 100_000)
    ft.value_and_grad(lambda x: loops.shifted(x, steps), memory=budget)(x)


def growth_of(workload, size, budget):
    """In a process of its own, by how many bytes a workload raises the peak."""
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(filter(None, sys.path)))
    command = [sys.executable, __file__, workload, str(size), budget]
    return int(subprocess.check_output(command, env=environment))


if __name__ == "__main__":
    if len(sys.argv) == 3:
        {"jvp_of_burgers": jvp_of_burgers, "gradient_of_oscillator": gradient_of_oscillator}[sys.argv[1]](int(sys.argv[2]))
        print(peak_bytes())
    else:
        run = {"burgers_by_scan": burgers_by_scan, "shifted": shifted}[sys.argv[1]]
        run(2, sys.argv[3])
        before = peak_bytes()
        run(int(sys.argv[2]), sys.argv[3])
        print(peak_bytes() - before)
