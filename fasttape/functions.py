"""Which NumPy function becomes which ops: the functions that are no ufuncs, over traced values.

NumPy calls these through __array_function__; `fasttape.numpy` calls the creation functions, which
NumPy cannot hand over. Each takes NumPy's arguments; what it does not take is refused by name.
"""
import math

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from fasttape._core.build import apply, as_array, broadcast_to, full, join
from fasttape._core.capture import refuse_kin
from fasttape._core.protocols import FUNCTIONS
from fasttape._core.tracer import is_traced, value


def implements(*functions):
    def register(own):
        for function in functions:
            FUNCTIONS[function] = own
        return own
    return register


def _method(name):
    def call(x, *args, **kwargs):
        return getattr(x, name)(*args, **kwargs)
    call.__name__ = name
    return call


for _names, _own in (
        (("sum",), "sum"), (("mean",), "mean"), (("prod",), "prod"), (("max", "amax"), "max"), (("min", "amin"), "min"),
        (("argmax",), "argmax"), (("argmin",), "argmin"), (("var",), "var"), (("std",), "std"), (("any",), "any"),
        (("all",), "all"), (("transpose", "permute_dims"), "transpose"), (("ravel",), "ravel"), (("squeeze",), "squeeze"),
        (("swapaxes",), "swapaxes"), (("copy",), "copy")):
    for _name in _names:
        if hasattr(np, _name):
            FUNCTIONS[getattr(np, _name)] = _method(_own)


# ---- shapes

@implements(np.shape)
def shape(x):
    return x.shape


@implements(np.ndim)
def ndim(x):
    return x.ndim


@implements(np.size)
def size(x, axis=None):
    return x.size if axis is None else math.prod(x.shape[k] for k in (axis if isinstance(axis, tuple) else (axis,)))


@implements(np.reshape)
def reshape(x, /, shape, order="C"):
    return x.reshape(shape, order=order)


@implements(np.expand_dims)
def expand_dims(x, axis):
    axes = tuple(axis) if isinstance(axis, (tuple, list)) else (axis,)
    n = x.ndim + len(axes)
    places = normalize_axis_tuple(axes, n, "axis")
    return x[tuple(None if k in places else slice(None) for k in range(n))] if x.ndim else x.reshape((1,) * n)


@implements(np.moveaxis)
def moveaxis(x, source, destination):
    source = normalize_axis_tuple(source, x.ndim, "source")
    destination = normalize_axis_tuple(destination, x.ndim, "destination")
    if len(source) != len(destination):
        raise ValueError("moveaxis: source and destination must have the same number of elements")
    order = [k for k in range(x.ndim) if k not in source]
    for place, axis in sorted(zip(destination, source, strict=True)):
        order.insert(place, axis)
    return x.transpose(order)


@implements(np.broadcast_to)
def _broadcast_to(x, shape, subok=False):
    return broadcast_to(x, shape)


@implements(np.broadcast_arrays)
def broadcast_arrays(*arrays, subok=False):
    common = np.broadcast_shapes(*(np.shape(x) for x in arrays))
    if all(np.shape(x) == common for x in arrays):
        return tuple(map(_asarray, arrays))
    return tuple(broadcast_to(x, common) if is_traced(x) else np.broadcast_to(x, common) for x in arrays)


@implements(np.atleast_1d)
def atleast_1d(*arrays):
    made = tuple(x.reshape(1) if x.ndim == 0 else x for x in map(_asarray, arrays))
    return made[0] if len(made) == 1 else made


# ---- joining

@implements(np.concatenate)
def concatenate(arrays, axis=0, out=None, *, dtype=None, casting="same_kind"):
    if out is not None or dtype is not None:
        _refuse("concatenate", out=out, dtype=dtype)
    if axis is None:
        return join([np.ravel(_asarray(x)) for x in arrays], 0, False, "concatenate")
    return join(list(arrays), axis, False, "concatenate")


@implements(np.stack)
def stack(arrays, axis=0, out=None, *, dtype=None, casting="same_kind"):
    if out is not None or dtype is not None:
        _refuse("stack", out=out, dtype=dtype)
    return join(list(arrays), axis, True, "stack")


@implements(np.vstack)
def vstack(tup, *, dtype=None, casting="same_kind"):
    return concatenate([x.reshape(1, -1) if np.ndim(x) < 2 else x for x in map(_asarray, tup)], 0)


@implements(np.hstack)
def hstack(tup, *, dtype=None, casting="same_kind"):
    arrays = [x.reshape(1) if np.ndim(x) == 0 else x for x in map(_asarray, tup)]
    return concatenate(arrays, 0 if np.ndim(arrays[0]) == 1 else 1)


def _asarray(x):
    refuse_kin(x)
    return x if is_traced(x) else np.asarray(x)


def _refuse(name, **given):
    for key, argument in given.items():
        if argument is not None:
            raise TypeError(f"fasttape: np.{name} of traced values does not take {key}=")


# ---- selecting

@implements(np.where)
def where(condition, x=None, y=None):
    if x is None and y is None:
        return np.where(value(condition))
    if not is_traced(x) and not is_traced(y) and np.result_type(x, y) not in (np.float64, np.float32):
        return np.where(value(condition), x, y)         # whole numbers and truth values stay such
    return apply("where", condition, x, y)


@implements(np.clip)
def clip(a, a_min=None, a_max=None, out=None, *, min=None, max=None):
    _refuse("clip", out=out)
    low, high = a_min if min is None else min, a_max if max is None else max
    low, high = -np.inf if low is None else low, np.inf if high is None else high
    return apply("clip", as_array(a), low, high)


@implements(np.nonzero)
def nonzero(x):
    return np.nonzero(value(x))


@implements(np.sinc)
def sinc(x):
    return apply("sinc", x)


# ---- products

@implements(np.dot)
def dot(a, b, out=None):
    _refuse("dot", out=out)
    a, b = _asarray(a), _asarray(b)
    if np.ndim(a) == 0 or np.ndim(b) == 0:
        return a * b
    if np.ndim(b) <= 2:
        return a @ b
    rows = a.reshape(math.prod(a.shape[:-1]), a.shape[-1])
    columns = moveaxis(b, -2, 0) if is_traced(b) else np.moveaxis(b, -2, 0)
    return (rows @ columns.reshape(b.shape[-2], math.prod(b.shape[:-2]) * b.shape[-1])).reshape(a.shape[:-1] + b.shape[:-2] + b.shape[-1:])


@implements(np.inner)
def inner(a, b):
    a, b = _asarray(a), _asarray(b)
    if np.ndim(a) == 0 or np.ndim(b) == 0:
        return a * b
    if np.ndim(b) == 1:
        return a @ b
    return (a @ b.reshape(math.prod(b.shape[:-1]), b.shape[-1]).T).reshape(a.shape[:-1] + b.shape[:-1])


@implements(np.outer)
def outer(a, b, out=None):
    _refuse("outer", out=out)
    return _asarray(a).reshape(-1, 1) * _asarray(b).reshape(1, -1)


@implements(np.vdot)
def vdot(a, b):
    return _asarray(a).reshape(-1) @ _asarray(b).reshape(-1)


# ---- creating

@implements(np.zeros_like)
def zeros_like(a, dtype=None, order="K", subok=True, shape=None):
    return _filled(a, 0.0, dtype, shape)


@implements(np.ones_like)
def ones_like(a, dtype=None, order="K", subok=True, shape=None):
    return _filled(a, 1.0, dtype, shape)


@implements(np.empty_like)
def empty_like(prototype, dtype=None, order="K", subok=True, shape=None):
    return zeros_like(prototype, dtype, shape=shape)


@implements(np.full_like)
def full_like(a, fill_value, dtype=None, order="K", subok=True, shape=None):
    return _filled(_asarray(a), fill_value, dtype, shape)


def _filled(like, fill, dtype, shape):
    """An array like another; a plain one where it is of whole numbers or truth values, which have no derivative."""
    shape = like.shape if shape is None else (shape,) if hasattr(shape, "__index__") else tuple(shape)
    if dtype is None and type(fill) is float and is_traced(like):
        return full(like, shape, fill)
    dtype = like.dtype if dtype is None else np.dtype(dtype).newbyteorder("=")
    if dtype.char not in "df":
        return np.full(shape, _value(fill), dtype)
    if is_traced(fill):
        return broadcast_to(fill, shape).astype(dtype).copy()
    if not is_traced(like):
        return np.full(shape, fill, dtype)
    if np.ndim(fill) == 0:
        return full(like, shape, float(fill), dtype)
    made = full(like, shape, 0.0, dtype)
    made[...] = fill
    return made


# ---- reading only

@implements(np.array_equal)
def array_equal(a, b, equal_nan=False):
    return np.array_equal(_value(a), _value(b), equal_nan)


@implements(np.allclose)
def allclose(a, b, *args, **kwargs):
    return np.allclose(_value(a), _value(b), *args, **kwargs)


@implements(np.iscomplexobj)
def iscomplexobj(x):
    return False


@implements(np.isrealobj)
def isrealobj(x):
    return True


@implements(np.array_repr)
def array_repr(arr, *args, **kwargs):
    return repr(arr)


@implements(np.array_str)
def array_str(a, *args, **kwargs):
    return str(a)


def _value(x):
    return value(x) if is_traced(x) else x
