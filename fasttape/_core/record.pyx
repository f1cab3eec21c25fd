"""Recording: append one op, with its shape rule. Used by the tracers and by the sweeps alike.

A node whose entry is a `view` is a region of a root, which is never itself a view. Everything here
takes any node and resolves views itself.
"""
from libc.string cimport memcpy

cdef int fill_active_operands() except -1:
    cdef int i, k
    for i in range(FT_N_MAP):
        truth_ops[i] = rows[i].truth
        for k in range(rows[i].arity):
            if not rows[i].truth and rows[i].partial[k][0] != FT_W_END:
                active_operands[i] |= 1 << k
    return 0


fill_active_operands()


cdef object shape_tuple(Tape tape, int32_t shape):
    cdef ft_shape *s = tape.t.shape + shape
    cdef int k
    return tuple([tape.t.dims[s.at + k] for k in range(s.ndim)])


cdef int32_t shape_from(Tape tape, tuple shape) except -1:
    cdef int64_t dims[FT_MAX_DIMS]
    cdef int k
    for k in range(<int>len(shape)):
        dims[k] = shape[k]
    return intern_shape(tape, <int>len(shape), dims)


cdef int cannot_broadcast(Tape tape, int op, int32_t a, int32_t b) except -1 nogil:
    with gil:
        raise ValueError(f"{rows[op].name.decode()}: operands could not be broadcast together with shapes "
                         f"{shape_tuple(tape, a)} {shape_tuple(tape, b)}")


cdef int32_t map3(Tape tape, int op, int32_t a, int32_t b, int32_t c) except -1 nogil:
    cdef int f32 = tape.t.entry[a].dtype & tape.t.entry[b].dtype & tape.t.entry[c].dtype & 1
    cdef int flags = 0
    cdef int32_t shape, y
    cdef bint truth = False
    if op == OP_where:              # the mask follows the values
        truth = tape.t.entry[b].dtype >= FT_B64 and tape.t.entry[c].dtype >= FT_B64
        if not truth and tape.t.entry[b].dtype >= FT_B64:
            b = cast(tape, b, tape.t.entry[c].dtype)
        elif not truth and tape.t.entry[c].dtype >= FT_B64:
            c = cast(tape, c, tape.t.entry[b].dtype)
        f32 = tape.t.entry[b].dtype & tape.t.entry[c].dtype & 1
        if (tape.t.entry[a].dtype & 1) != f32:
            a = cast(tape, a, FT_B32 if f32 else FT_B64)
    elif not f32 and tape.t.entry[a].dtype & 1:
        a = cast(tape, a, FT_F64)
    if not f32 and tape.t.entry[b].dtype & 1:
        b = cast(tape, b, FT_F64)
    if not f32 and tape.t.entry[c].dtype & 1:
        c = cast(tape, c, FT_F64)
    shape = broadcast(tape, shape_of(tape, a), shape_of(tape, b))
    if shape < 0:
        cannot_broadcast(tape, op, shape_of(tape, a), shape_of(tape, b))
    if broadcast(tape, shape, shape_of(tape, c)) < 0:
        cannot_broadcast(tape, op, shape, shape_of(tape, c))
    shape = broadcast(tape, shape, shape_of(tape, c))
    if active_operands[op] & 1:
        flags |= tape.t.entry[a].flags
    if active_operands[op] & 2:
        flags |= tape.t.entry[b].flags
    if active_operands[op] & 4:
        flags |= tape.t.entry[c].flags
    y = append_map(tape, op, f32, flags & FT_ACTIVE,
                   tape.t.entry[a].flags & tape.t.entry[b].flags & tape.t.entry[c].flags & FT_DONE, shape, a, b, c)
    if truth:
        tape.t.entry[y].dtype += FT_B64
    return y


cdef int32_t cast(Tape tape, int32_t a, int dtype) except -1 nogil:
    cdef int32_t y
    cdef double v
    if tape.t.entry[a].dtype == dtype:
        return a
    if dtype >= FT_B64 and tape.t.entry[a].dtype < FT_B64:
        a = map2(tape, OP_not_equal, a, constant(tape, 0.0, tape.t.entry[a].dtype))
        return cast(tape, a, dtype)
    y = emit(tape, OP_cast, dtype, tape.t.entry[a].flags & FT_ACTIVE, tape.t.entry[a].shape, a, 0, 0)
    if tape.t.entry[a].shape == 0 and tape.t.entry[a].flags & FT_DONE:
        v = tape.t.val[a].f
        tape.t.val[y].f = <float>v if dtype & 1 else v
        tape.t.entry[y].flags |= FT_DONE
    return y


cdef int32_t copied(Tape tape, int32_t a) except -1 nogil:
    """a in an entry of its own."""
    cdef int32_t y = emit(tape, OP_positive, tape.t.entry[a].dtype, tape.t.entry[a].flags & FT_ACTIVE, shape_of(tape, a), a, 0, 0)
    if shape_of(tape, a) == 0 and tape.t.entry[a].flags & FT_DONE:
        tape.t.val[y].f = tape.t.val[a].f
        tape.t.entry[y].flags |= FT_DONE
    return y


cdef int32_t spread(Tape tape, int32_t a, int32_t shape) except -1 nogil:
    """a broadcast to a shape it broadcasts to."""
    if tape.t.entry[a].shape == shape:
        return a
    return emit(tape, OP_positive, tape.t.entry[a].dtype, tape.t.entry[a].flags & FT_ACTIVE, shape, a, 0, 0)


cdef int32_t fill(Tape tape, double value, int dtype, int32_t shape) except -1 nogil:
    return spread(tape, beside(tape, value, dtype & 1), shape)


cdef int32_t structural(Tape tape, int op, int32_t shape, int32_t a, int32_t b, int32_t aux) except -1 nogil:
    """Append a structural op whose result has a's dtype; b < 0 where there is none."""
    cdef int flags = tape.t.entry[a].flags
    if b >= 0:
        flags |= tape.t.entry[b].flags
    return emit(tape, op, tape.t.entry[a].dtype, flags & FT_ACTIVE, shape, a, max(b, 0), aux)


# ---- views

cdef int layout(Tape tape, int32_t a, int64_t *strides, int64_t *offset) noexcept nogil:
    """Strides and offset of a node within its root, in elements. Returns 1 if it is contiguous."""
    cdef ft_shape *s = tape.t.shape + tape.t.entry[a].shape
    cdef ft_view *w
    cdef int64_t step = 1
    cdef int k
    if tape.t.entry[a].op == OP_view:
        w = tape.t.view + tape.t.entry[a].aux
        memcpy(strides, tape.t.dims + w.at, s.ndim * sizeof(int64_t))
        offset[0] = w.offset
        return w.contiguous
    for k in range(s.ndim - 1, -1, -1):
        strides[k] = step
        step *= tape.t.dims[s.at + k]
    offset[0] = 0
    return 1


cdef int32_t region(Tape tape, int32_t a, int ndim, const int64_t *dims, const int64_t *strides,
                    int64_t offset) except -1 nogil:
    """The region of a's root with these extents, strides and offset: a view, or the root itself."""
    cdef int32_t root = root_of(tape, a)
    cdef int32_t view = intern_view(tape, tape.t.entry[root].shape, ndim, dims, strides, offset)
    return look(tape, root, view)


cdef int32_t look(Tape tape, int32_t a, int32_t view) except -1 nogil:
    """The region `view` of a, whose base shape is a's."""
    cdef ft_view *w = tape.t.view + view
    cdef int32_t root
    if w.contiguous and w.shape == w.base and w.offset == 0:
        return a
    if tape.t.shape[w.shape].ndim == 0:
        return get(tape, a, w.offset)
    root = owner(tape, a)
    return emit(tape, OP_view, tape.t.entry[root].dtype, tape.t.entry[root].flags & FT_ACTIVE,
                tape.t.view[view].shape, root, 0, view)


cdef int32_t owner(Tape tape, int32_t a) except -1 nogil:
    """a as a node that is no view: itself, or a copy."""
    return copied(tape, a) if tape.t.entry[a].op == OP_view else a


cdef int32_t get(Tape tape, int32_t a, int64_t place) except -1 nogil:
    """Element `place` of a, counted in C order over a's root (a is no view) or over a."""
    cdef int32_t y
    cdef ft_entry *e
    if place > 0x7fffffff:
        with gil:
            raise NotImplementedError("fasttape: elements beyond the 2**31st of an array cannot be indexed one by one")
    a = owner(tape, a)
    y = emit(tape, OP_get, tape.t.entry[a].dtype, tape.t.entry[a].flags & FT_ACTIVE, 0, a, 0, <int32_t>place)
    e = tape.t.entry + a
    if e.flags & FT_DONE:
        tape.t.val[y].f = (<float *>tape.t.val[a].p)[place] if e.dtype & 1 else (<double *>tape.t.val[a].p)[place]
        tape.t.entry[y].flags |= FT_DONE
    return y


cdef int32_t reshape(Tape tape, int32_t a, int32_t shape) except -1 nogil:
    """a in another shape of the same size; a copy only where a is a strided view."""
    cdef int64_t strides[FT_MAX_DIMS]
    cdef int64_t dims[FT_MAX_DIMS]
    cdef int64_t offset, step = 1
    cdef int k
    cdef ft_shape *s
    if tape.t.entry[a].shape == shape:
        return a
    if shape == 0:
        if tape.t.entry[a].op != OP_view:
            return get(tape, a, 0)
        layout(tape, a, strides, &offset)
        return get(tape, root_of(tape, a), offset)
    if tape.t.entry[a].shape == 0:
        return spread(tape, a, shape)
    if not layout(tape, a, strides, &offset):
        a = owner(tape, a)
        offset = 0
    s = tape.t.shape + shape
    for k in range(s.ndim - 1, -1, -1):
        dims[k] = tape.t.dims[s.at + k]
        strides[k] = step
        step *= dims[k]
    return region(tape, a, s.ndim, dims, strides, offset)


cdef int32_t permute(Tape tape, int32_t a, const int *axes) except -1 nogil:
    cdef int64_t strides[FT_MAX_DIMS]
    cdef int64_t dims[FT_MAX_DIMS]
    cdef int64_t out[FT_MAX_DIMS]
    cdef int64_t offset
    cdef int k, ndim = ndim_of(tape, a)
    layout(tape, a, strides, &offset)
    for k in range(ndim):
        dims[k] = dims_of(tape, a)[axes[k]]
        out[k] = strides[axes[k]]
    return region(tape, a, ndim, dims, out, offset)


# ---- reductions and products

cdef int32_t reduce(Tape tape, int op, int32_t a, int64_t mask) except -1 nogil:
    """Append a reduction over the axes of the mask (bit j is axis -1-j), which it drops."""
    cdef int64_t dims[FT_MAX_DIMS]
    cdef int k, n = 0, ndim = ndim_of(tape, a)
    cdef int32_t shape
    if mask == 0:
        return a
    for k in range(ndim):
        if not mask >> (ndim - 1 - k) & 1:
            dims[n] = dims_of(tape, a)[k]
            n += 1
    shape = intern_shape(tape, n, dims)
    return emit(tape, op, tape.t.entry[a].dtype & 1, tape.t.entry[a].flags & FT_ACTIVE, shape, a, 0, <int32_t>mask)


cdef int32_t keep_axes(Tape tape, int32_t a, int64_t mask, int ndim) except -1 nogil:
    """Put back, with extent 1, the axes that a reduction of an ndim-array dropped."""
    cdef int64_t strides[FT_MAX_DIMS]
    cdef int64_t old[FT_MAX_DIMS]
    cdef int64_t dims[FT_MAX_DIMS]
    cdef int64_t offset
    cdef int k, n = 0
    if ndim_of(tape, a) == 0:
        for k in range(ndim):
            dims[k] = 1
        return spread(tape, a, intern_shape(tape, ndim, dims))
    layout(tape, a, old, &offset)
    for k in range(ndim):
        if mask >> (ndim - 1 - k) & 1:
            dims[k] = 1
            strides[k] = 0
        else:
            dims[k] = dims_of(tape, a)[n]
            strides[k] = old[n]
            n += 1
    cdef int64_t step = 1
    for k in range(ndim - 1, -1, -1):   # an axis of extent 1 takes the stride that looks contiguous
        if dims[k] == 1:
            strides[k] = step
        else:
            step = strides[k] * dims[k]
    return region(tape, a, ndim, dims, strides, offset)


cdef int32_t matmul(Tape tape, int32_t a, int32_t b) except -1 nogil:
    """Append a @ b for operands of two axes or more; leading axes broadcast."""
    cdef int64_t dims[FT_MAX_DIMS]
    cdef int64_t da, db
    cdef int na, nb, n, k
    if (tape.t.entry[a].dtype ^ tape.t.entry[b].dtype) & 1:
        if tape.t.entry[a].dtype & 1:
            a = cast(tape, a, FT_F64)
        else:
            b = cast(tape, b, FT_F64)
    na = ndim_of(tape, a)
    nb = ndim_of(tape, b)
    n = max(na, nb)
    if dims_of(tape, a)[na - 1] != dims_of(tape, b)[nb - 2]:
        mismatch(tape, a, b)
    for k in range(n - 2):
        da = dims_of(tape, a)[k - (n - na)] if k >= n - na else 1
        db = dims_of(tape, b)[k - (n - nb)] if k >= n - nb else 1
        if da != db and da != 1 and db != 1:
            mismatch(tape, a, b)
        dims[k] = db if da == 1 else da
    dims[n - 2] = dims_of(tape, a)[na - 2]
    dims[n - 1] = dims_of(tape, b)[nb - 1]
    return structural(tape, OP_matmul, intern_shape(tape, n, dims), a, b, 0)


cdef int mismatch(Tape tape, int32_t a, int32_t b) except -1 nogil:
    with gil:
        raise ValueError(f"matmul: operands of shapes {shape_tuple(tape, shape_of(tape, a))} and "
                         f"{shape_tuple(tape, shape_of(tape, b))} do not fit: the last axis of the first must "
                         f"equal the last but one of the second, and the axes before must broadcast")
