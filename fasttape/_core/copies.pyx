"""Copies of tapes."""
from libc.string cimport memcpy

from fasttape._core.record cimport *


cdef int copy_tables(Tape old, Tape new) except -1:
    """Shapes and views, whose ids stay."""
    resize(<void **>&new.t.shape, &new.t.cap_shape, old.t.n_shape, sizeof(ft_shape))
    resize(<void **>&new.t.view, &new.t.cap_view, max(old.t.n_view, 1), sizeof(ft_view))
    resize(<void **>&new.t.dims, &new.t.cap_dims, max(old.t.n_dims, 1), sizeof(int64_t))
    memcpy(new.t.shape, old.t.shape, old.t.n_shape * sizeof(ft_shape))
    if old.t.n_dims:
        memcpy(new.t.dims, old.t.dims, old.t.n_dims * sizeof(int64_t))
    if old.t.n_view:
        memcpy(new.t.view, old.t.view, old.t.n_view * sizeof(ft_view))
    new.t.n_shape = old.t.n_shape
    new.t.n_view = old.t.n_view
    new.t.n_dims = old.t.n_dims
    new.index_tables()
    return 0


cdef int copy_tape(Tape old, Tape new) except -1:
    """Everything, for a plan that is kept: entries, values, what they refer to."""
    grow(new, old.t.n)
    memcpy(new.t.entry, old.t.entry, old.t.n * sizeof(ft_entry))
    memcpy(new.t.val, old.t.val, old.t.n * sizeof(ft_value))
    new.t.n = old.t.n
    copy_tables(old, new)
    resize(<void **>&new.t.args, &new.t.cap_args, max(old.t.n_args, 1), sizeof(int32_t))
    if old.t.n_args:
        memcpy(new.t.args, old.t.args, old.t.n_args * sizeof(int32_t))
    new.t.n_args = old.t.n_args
    new.keep = old.keep
    new.loops = old.loops
    new.programs = old.programs
    new.codes = old.codes
    new.kept = True
    return 0


cdef int own_operands(Tape old, Tape new, ft_entry *e) except -1:
    """Give an entry that came from `old` an operand list of its own on `new`, if it has one."""
    cdef Reads o = reads_of(old, e)
    cdef int64_t n, at
    if e.op != OP_assemble and e.op != OP_pack and e.op != OP_loop and e.op != OP_program:
        return 0
    n = o.n * o.step + (1 if e.op == OP_assemble or e.op == OP_pack else 2)
    at = new_args(new, n)
    memcpy(new.t.args + at, old.t.args + e.aux, n * sizeof(int32_t))
    e.aux = <int32_t>at
    return 0


cdef int32_t emit_group(Tape old, Tape new, int32_t i, ft_entry *e) except -1:
    """Append what entry i of `old` became, with the other results of its loop or program; returns the first."""
    cdef int32_t y = emit(new, e.op, e.dtype, e.flags & FT_ACTIVE, e.shape, e.a, e.b, e.aux), k
    cdef ft_entry *o
    if e.op == OP_loop or e.op == OP_program:
        for k in range(1, e.b):
            o = old.t.entry + i + k
            emit(new, e.op, o.dtype, o.flags & FT_ACTIVE, o.shape, k, e.b, e.aux)
    return y


cdef int carry_marks(Tape old, Tape new, const int32_t *to) except -1:
    """The marked segments of `old`, on `new`, where its entries went in their order; to[i] < 0 is gone."""
    cdef int64_t i, start, end, first, last
    for start, end, keeps_products in old.recomputed:
        first = -1
        for i in range(start, end):
            if to[i] >= 0 and not is_known(new.t.entry + to[i]):
                if first < 0:
                    first = to[i]
                last = to[i]
        if first >= 0:
            new.recomputed.append((first, last + 1, keeps_products))
    return 0
