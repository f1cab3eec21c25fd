"""NumPy, with the creation functions that cannot dispatch made traceable.

    import fasttape.numpy as np

is NumPy in all but `array`, `asarray`, `zeros`, `ones`, `full`, `empty` and `eye`, which here accept
traced values. Plain ``import numpy as np`` serves everything else.
"""
import numpy as _np

from fasttape._core.protocols import FUNCTIONS
from fasttape._core.tracer import is_traced
from fasttape.functions import full_like, stack


def array(object, dtype=None, **kwargs):
    """An array of numbers, arrays and nested lists, any of which may be traced."""
    if is_traced(object):
        return object.copy() if dtype is None else object.astype(dtype)
    if not _holds_traced(object):
        return _np.array(object, dtype, **kwargs)
    made = stack([array(x) for x in object])
    return made if dtype is None else made.astype(dtype)


def asarray(a, dtype=None, **kwargs):
    """Like `array`, without a copy where none is needed."""
    if is_traced(a) and dtype is None:
        return a
    return array(a, dtype, **kwargs) if _holds_traced(a) or is_traced(a) else _np.asarray(a, dtype, **kwargs)


def _holds_traced(x):
    return isinstance(x, (list, tuple)) and any(is_traced(y) or _holds_traced(y) for y in x)


def _creator(name, plain_like):
    plain = getattr(_np, name)

    def create(shape, dtype=None, order="C", *, like=None):
        if like is not None and is_traced(like):
            return FUNCTIONS[plain_like](like, dtype, shape=shape)
        return plain(shape, dtype, order)

    create.__name__ = create.__qualname__ = name
    create.__doc__ = f"NumPy's {name}; with ``like=`` a traced value, a traced array that x[i] = v can change."
    return create


zeros = _creator("zeros", _np.zeros_like)
ones = _creator("ones", _np.ones_like)
empty = _creator("empty", _np.empty_like)


def full(shape, fill_value, dtype=None, order="C", *, like=None):
    """NumPy's full, whose value or `like` may be traced."""
    if is_traced(fill_value) or is_traced(like):
        return full_like(fill_value if like is None else like, fill_value, dtype, shape=shape)
    return _np.full(shape, fill_value, dtype, order)


def supported():
    """Names of the NumPy functions that take traced values.

    >>> "concatenate" in supported()
    True
    """
    from fasttape._core.vm import table

    names = {f.__name__ for f in FUNCTIONS} | {row[0] for row in table() if hasattr(_np, row[0])} | {"matmul"}
    return sorted(names)


def __getattr__(name):
    return getattr(_np, name)
