"""What is put together from rows of lanes and is to lie lane by lane: its elements are the columns, which one
instruction weaves. Knows regions, not where the rows come from."""
from fasttape._core.record cimport *


cdef int put_columns(Tape tape, list columns, int32_t x, Tape old, int32_t view, int64_t offset, int64_t lanes) except -1:
    """Put a piece in its places among the columns: those of the region `view` of the tape `old`, or the one at the offset
    where view is -1. A piece is a number or -1 for zeros, or has the region's axes, and then that of the lanes if it differs
    in them."""
    cdef int64_t at[FT_MAX_DIMS]
    cdef int64_t strides[FT_MAX_DIMS]
    cdef int64_t place, start, begin = 0, size = 1, _
    cdef int64_t *own = NULL            # extents and strides of the region
    cdef int64_t *steps = NULL
    cdef int j, ndim = 0, moves = 0
    if view >= 0:
        own = old.t.dims + old.t.shape[old.t.view[view].shape].at
        steps = old.t.dims + old.t.view[view].at
        ndim = old.t.shape[old.t.view[view].shape].ndim
        size = old.t.shape[old.t.view[view].shape].size
    if x < 0:
        x = constant(tape, 0.0, 0)
    if shape_of(tape, x):
        layout(tape, x, strides, &begin)
        moves = ndim_of(tape, x) - ndim
    for j in range(ndim):
        at[j] = 0
    for _ in range(size):
        place, start = offset, begin
        for j in range(ndim):
            place += at[j] * steps[j]
            start += at[j] * strides[j]
        columns[place] = x if shape_of(tape, x) == 0 else region(tape, x, moves, &lanes, strides + ndim, start)
        for j in range(ndim - 1, -1, -1):
            at[j] += 1
            if at[j] < own[j]:
                break
            at[j] = 0
    return 0


cdef int32_t weave(Tape tape, list columns, int32_t shape, int dtype, int64_t lanes) except -1:
    """An array of a shape with its lanes first, from its columns: rows of lanes, or numbers."""
    cdef int64_t n = len(columns), stride = n, at = new_args(tape, 1 + 2 * n), k
    cdef int32_t node, view
    cdef int flags = 0
    tape.t.args[at] = <int32_t>n
    for k in range(n):
        node = columns[k]
        view = intern_view(tape, shape, 1, &lanes, &stride, k)
        flags |= tape.t.entry[node].flags
        tape.t.args[at + 1 + 2 * k] = node
        tape.t.args[at + 2 + 2 * k] = view
    return emit(tape, OP_assemble, dtype, flags & FT_ACTIVE, shape, 0, 0, <int32_t>at)
