"""Types of what sparse.py is built of."""
from typing import Any

import numpy as np

def columns_of_blocks(lanes: int, rows: int, parts: list[Any], kind: type, threads: int = 1) -> np.ndarray[Any, np.dtype[Any]]: ...
