"""The environment of a benchmark run, its options and its table.

NumPy reads the environment when it is imported, so nothing here may import it before that is set.
"""

import os
import sys

import pytest
from report import table

ONE_THREAD = dict.fromkeys(
    (
        "OPENBLAS_NUM_THREADS",
        "OMP_NUM_THREADS",
        "MKL_NUM_THREADS",
        "BLIS_NUM_THREADS",
        "VECLIB_MAXIMUM_THREADS",
    ),
    "1",
)
DETUNING = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")  # other kernels than the processor's own
FINDINGS = pytest.StashKey[list]()


def prepare_environment():
    if "numpy" in sys.modules:
        if any(os.environ.get(name) != value for name, value in ONE_THREAD.items()):
            settings = " ".join(f"{name}={value}" for name, value in ONE_THREAD.items())
            raise pytest.UsageError(f"NumPy was imported before bench/conftest.py: set {settings}")
        if any(name in os.environ for name in DETUNING):
            raise pytest.UsageError(f"NumPy was imported with BLAS detuned: unset {DETUNING}")
    os.environ.update(ONE_THREAD)
    for name in DETUNING:
        os.environ.pop(name, None)


prepare_environment()


def pytest_addoption(parser):
    group = parser.getgroup("fasttape")
    group.addoption("--quick", action="store_true", help="few rounds: a smoke run, noisy figures")
    group.addoption("--fail-on-miss", action="store_true", help="a missed target fails its test")


def pytest_configure(config):
    config.stash[FINDINGS] = []


def pytest_report_header(config):
    import numpy as np

    exp = np.lib.introspect.opt_func_info(func_name="^exp$", signature="float64")
    kernels = exp.get("exp", {}).get("dd", {}).get("current", "unknown")
    pace = ", quick: figures are noisy" if config.option.quick else ""
    return f"bench: NumPy {np.__version__} with {kernels} kernels, one thread{pace}"


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter, config):
    if config.stash[FINDINGS]:
        terminalreporter.section("medians against their yardsticks")
        for line in table(config.stash[FINDINGS]):
            terminalreporter.line(line)


@pytest.fixture
def quick(request):
    return request.config.option.quick


@pytest.fixture
def need_compiler():
    import native

    if native.compiler() is None:
        pytest.skip("no gcc to compile bench/native")


@pytest.fixture
def record(request):
    """Return the function that enters a finding in the table."""

    def enter(finding):
        request.config.stash[FINDINGS].append(finding)
        if finding.verdict == "MISS" and request.config.option.fail_on_miss:
            pytest.fail(f"{finding.workload}: {finding.measured:.3g}, at most {finding.target:g}")

    return enter


@pytest.fixture
def race(benchmark, record, quick):
    """Return `measure.race` with its result recorded."""
    import measure

    def run(workload, **sides):
        finding = measure.race(benchmark, workload, budget=0.4 if quick else 4.0, **sides)
        if finding is not None:
            record(finding)

    return run
