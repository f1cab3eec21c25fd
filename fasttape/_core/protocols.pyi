"""Types of what NumPy's functions are looked up in."""
from collections.abc import Callable
from typing import Any

FUNCTIONS: dict[Callable[..., Any], Callable[..., Any]]
