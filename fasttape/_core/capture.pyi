"""Types of what functions.py asks of values from outside."""
from typing import Any

def refuse_kin(x: Any) -> None: ...
def __getattr__(name: str) -> Any: ...  # what _core alone uses
