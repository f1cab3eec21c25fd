"""Types of what sparse.py is built of."""
from typing import Any

import numpy as np

def columns_of_blocks(lanes: int, rows: int, columns: int, parts: list[Any], kind: type) -> np.ndarray[Any, np.dtype[Any]]: ...
