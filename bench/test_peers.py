"""JAX's scans on the problems of our loops, where JAX is installed (`pip install jax`): for orientation.

Its compiling is not counted. The yardstick is C by hand, so that any of our rows can be set beside these.
"""

import pytest
from cases import CASES, assert_same, burgers

pytest.importorskip("jax")

import peers
import workloads

pytestmark = pytest.mark.usefixtures("need_compiler")


def check(function, case):
    assert_same(function(), case.yardstick())


@pytest.mark.parametrize("checkpointed", [False, True], ids=["plain", "checkpointed"])
def test_lotka_volterra(race, checkpointed):
    case = CASES["Lotka-Volterra, 1000 RK4 steps"]()
    function = peers.lotka_volterra(*case.inputs, checkpointed=checkpointed)
    check(function, case)
    race(
        f"JAX: Lotka-Volterra, 1000 RK4 steps, scan{' of checkpointed steps' * checkpointed} vs C",
        ours=function,
        yardstick=case.yardstick,
        expected=case.by_hand,
        target=None,
    )


@pytest.mark.parametrize("steps, chunk", [(1000, 25), (100_000, 400)])
def test_burgers(race, steps, chunk):
    case = burgers(workloads.burgers, steps)
    function = peers.burgers(*case.inputs, steps, chunk)
    check(function, case)
    race(
        f"JAX: Burgers 512 cells, {steps:,} steps, checkpointed chunks of {chunk} vs C",
        ours=function,
        yardstick=case.yardstick,
        expected=case.by_hand,
        target=None,
    )
