"""One-shot gradients against reverse mode by hand in C; answers against gradients by hand in NumPy.

The ratios are for orientation: nothing is kept between our calls, so recording is in them.
"""

import native
import numpy as np
import pytest
from cases import CASES

pytestmark = pytest.mark.usefixtures("need_compiler")


@pytest.mark.parametrize("workload", CASES)
def test_one_shot_against_c(race, workload):
    case = CASES[workload]()

    def one_shot():
        return case.gradient(*case.inputs)

    case.check(one_shot)
    race(
        f"{workload} vs C",
        ours=one_shot,
        yardstick=case.yardstick,
        expected=case.by_hand,
        target=None,
    )


def test_loading_leaves_subnormal_numbers_alone():
    native.library("chain", native.FAST)
    assert np.array([5e-324])[0] * np.float64(1.0) > 0.0
