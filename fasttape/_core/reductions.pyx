"""Sums, means and extrema over axes, and what NumPy's `axis` argument means."""
from cpython.number cimport PyNumber_Index

import numpy as np

from fasttape._core.record cimport *
from fasttape._core.tracer cimport *

from fasttape._core.protocols import FUNCTIONS
from fasttape._core.tracer import Look


cdef int64_t axes_mask(object axis, int ndim, str name) except -1:
    """The mask of the axes that NumPy's `axis` argument names; bit j is axis -1-j."""
    cdef int64_t mask = 0
    cdef int k
    if axis is None:
        return ((<int64_t>1) << ndim) - 1
    if ndim == 0 and not isinstance(axis, tuple) and -1 <= PyNumber_Index(axis) <= 0:
        return 0                    # a number has these two, as in NumPy
    for a in (axis if isinstance(axis, tuple) else (axis,)):
        k = PyNumber_Index(a)
        if k < -ndim or k >= ndim:
            raise np.exceptions.AxisError(k, ndim)
        k = ndim - 1 - (k + ndim if k < 0 else k)
        if mask >> k & 1:
            raise ValueError(f"{name}: duplicate value in 'axis'")
        mask |= (<int64_t>1) << k
    return mask


cdef bint empty_along(Tape tape, int32_t a, int64_t mask):
    cdef int k, ndim = ndim_of(tape, a)
    for k in range(ndim):
        if mask >> (ndim - 1 - k) & 1 and dims_of(tape, a)[k] == 0:
            return True
    return False


cdef int32_t reduced(Tracer x, int op, object axis, bint keepdims, str name) except -1:
    cdef Tape tape = x.tape
    cdef int32_t a = node_of(x), y
    cdef int ndim = ndim_of(tape, a)
    cdef int64_t mask = axes_mask(axis, ndim, name)
    cdef int dtype = tape.t.entry[a].dtype
    if dtype >= FT_B64 and op == OP_sum:
        a = cast(tape, a, FT_F64)   # a count
    if op != OP_sum and empty_along(tape, a, mask):
        raise ValueError(f"{name}: zero-size array to reduction operation which has no identity")
    if ndim == 0:
        return a
    y = reduce(tape, op, a, mask)
    if dtype >= FT_B64 and op != OP_sum and y != a:
        tape.t.entry[y].dtype = dtype
    return keep_axes(tape, y, mask, ndim) if keepdims else y


cdef int64_t count_along(Tracer x, object axis) except -1:
    cdef int ndim = ndim_of(x.tape, node_of(x)), k
    cdef int64_t mask = axes_mask(axis, ndim, "mean"), n = 1
    if ndim == 0 and axis is not None and not isinstance(axis, tuple):
        raise np.exceptions.AxisError(axis, 0)      # as NumPy, which lets sum, prod, max and min pass
    for k in range(ndim):
        if mask >> (ndim - 1 - k) & 1:
            n *= dims_of(x.tape, x.node)[k]
    return n


cdef int no_extras(str name, tuple extras) except -1:
    """The arguments of NumPy's that are not supported must have their defaults."""
    for key, value, default in extras:
        if value is not default:
            raise TypeError(f"fasttape: {name} of a traced value does not take {key}=")
    return 0


cdef object read(Tracer x, str name, object axis, object out, object keepdims):
    """A reduction that has no derivative."""
    no_extras(name, (("out", out, None),))
    return observed(x, Look("reduce", name, axis, keepdims))


cdef Tracer shifted(Tracer x, object axis):
    """x less its first element along the axes, held constant. The variance does not feel the shift, and of equal
    elements it makes zeros, which the rounded mean does not."""
    cdef Tape tape = x.tape
    cdef int32_t a = node_of(x)
    cdef int64_t strides[FT_MAX_DIMS]
    cdef int64_t dims[FT_MAX_DIMS]
    cdef int64_t offset, mask
    cdef int k, ndim = ndim_of(tape, a)
    mask = axes_mask(axis, ndim, "var")
    if tape.t.entry[a].dtype >= FT_B64:
        a = cast(tape, a, FT_F64)
    layout(tape, a, strides, &offset)
    for k in range(ndim):
        dims[k] = dims_of(tape, a)[k]
        if mask >> (ndim - 1 - k) & 1:
            dims[k] = min(dims[k], 1)
    first = region(tape, a, ndim, dims, strides, offset) if ndim else a
    x = wrap(tape, map2(tape, OP_subtract, a, map1(tape, OP_stop_gradient, first)))
    after_record(tape)
    return x


cdef object multiplied(object x, object axis, object keepdims):
    """The product, by halves: n - 1 multiplications, whose product rule is exact where factors are 0."""
    if (<Tracer>x).tape.t.entry[node_of(<Tracer>x)].dtype >= FT_B64:
        x = x.astype(np.float64)
    ndim = x.ndim
    mask = axes_mask(axis, ndim, "prod")
    kept = [k for k in range(ndim) if not mask >> (ndim - 1 - k) & 1]
    gone = [k for k in range(ndim) if mask >> (ndim - 1 - k) & 1]
    shape = x.shape
    x = x.transpose(gone + kept) if ndim > 1 else x
    x = x.reshape((-1,) + tuple([shape[k] for k in kept])) if 0 not in shape else \
        x.reshape((int(np.prod([shape[k] for k in gone])),) + tuple([shape[k] for k in kept]))
    n = x.shape[0]
    if n == 0:
        x = FUNCTIONS[np.ones_like](x.sum(axis=0))
    else:
        while n > 1:
            half = n // 2
            y = x[:half] * x[half:2 * half]
            if n % 2:
                rest = x[2 * half:]
                y[:1] *= rest
            x, n = y, half
        x = +x[0]                   # a product of one factor is no view of it
    if keepdims:
        x = x.reshape(tuple([1 if k in gone else shape[k] for k in range(ndim)]))
    return x
