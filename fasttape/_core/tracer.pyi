"""Types of what every traced value is."""
from typing import Any

from typing_extensions import disjoint_base

class TraceError(RuntimeError): ...

@disjoint_base
class Tracer:
    def __init__(self, *args: Any, **kwargs: Any) -> None: ...  # refused: the transforms make them

def value(x: Any) -> Any: ...
def __getattr__(name: str) -> Any: ...  # what fasttape alone uses
