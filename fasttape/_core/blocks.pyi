"""Types of what a sparse Jacobian is built of."""
from typing import Any

import numpy as np

_Whole = np.ndarray[Any, np.dtype[Any]]

def columns_of_blocks(lanes: int, rows: int, parts: list[Any], kind: type | None = None) -> tuple[_Whole, _Whole, int]: ...
