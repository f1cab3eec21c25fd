"""NumPy's own types: what is traceable here has the same arguments."""
from numpy import *

def supported() -> list[str]: ...
