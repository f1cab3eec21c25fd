# Appending one op to a tape: its shape rule, its dtype, whether it is active, and, where all of it is
# known already, a scalar's value.
from libc.stdint cimport int32_t, int64_t, uint8_t

from fasttape._core.tape cimport *
from fasttape._core.vm cimport *

cdef uint8_t active_operands[256]   # bit k: operand k of an elementwise op has a partial
cdef uint8_t truth_ops[256]         # the op's result is a truth value

cdef int cannot_broadcast(Tape tape, int op, int32_t a, int32_t b) except -1 nogil
cdef int32_t map3(Tape tape, int op, int32_t a, int32_t b, int32_t c) except -1 nogil
cdef int32_t copied(Tape tape, int32_t a) except -1 nogil
cdef int32_t cast(Tape tape, int32_t a, int dtype) except -1 nogil
cdef int32_t spread(Tape tape, int32_t a, int32_t shape) except -1 nogil
cdef int32_t fill(Tape tape, double value, int dtype, int32_t shape) except -1 nogil
cdef int layout(Tape tape, int32_t a, int64_t *strides, int64_t *offset) noexcept nogil
cdef int32_t region(Tape tape, int32_t a, int ndim, const int64_t *dims, const int64_t *strides,
                    int64_t offset) except -1 nogil
cdef int32_t look(Tape tape, int32_t a, int32_t view) except -1 nogil
cdef int32_t owner(Tape tape, int32_t a) except -1 nogil
cdef int32_t get(Tape tape, int32_t a, int64_t place) except -1 nogil
cdef int32_t reshape(Tape tape, int32_t a, int32_t shape) except -1 nogil
cdef int32_t permute(Tape tape, int32_t a, const int *axes) except -1 nogil
cdef int32_t reduce(Tape tape, int op, int32_t a, int64_t mask) except -1 nogil
cdef int32_t keep_axes(Tape tape, int32_t a, int64_t mask, int ndim) except -1 nogil
cdef int32_t matmul(Tape tape, int32_t a, int32_t b) except -1 nogil
cdef int32_t structural(Tape tape, int op, int32_t shape, int32_t a, int32_t b, int32_t aux) except -1 nogil
cdef object shape_tuple(Tape tape, int32_t shape)
cdef int32_t shape_from(Tape tape, tuple shape) except -1

cdef inline int32_t shape_of(Tape tape, int32_t a) noexcept nogil:
    return tape.t.entry[a].shape

cdef inline int ndim_of(Tape tape, int32_t a) noexcept nogil:
    return tape.t.shape[tape.t.entry[a].shape].ndim

cdef inline int64_t *dims_of(Tape tape, int32_t a) noexcept nogil:
    return tape.t.dims + tape.t.shape[tape.t.entry[a].shape].at

cdef inline int64_t size_of(Tape tape, int32_t a) noexcept nogil:
    return tape.t.shape[tape.t.entry[a].shape].size


cdef inline int result_dtype(int op, int f32) noexcept nogil:
    return (FT_B64 if truth_ops[op] else FT_F64) + f32


cdef inline int32_t append_map(Tape tape, int op, int f32, int flags, bint known, int32_t shape, int32_t a,
                               int32_t b, int32_t c) except -1 nogil:
    cdef int32_t y = emit(tape, op, result_dtype(op, f32), flags, shape, a, b, c)
    cdef double v
    if known and shape == 0:
        v = machine.scalar(op, tape.t.val[a].f, tape.t.val[b].f, tape.t.val[c].f)
        tape.t.val[y].f = <float>v if f32 else v
        tape.t.entry[y].flags |= FT_DONE
    return y


cdef inline int32_t map1(Tape tape, int op, int32_t a) except -1 nogil:
    """Append y = op(a)."""
    cdef ft_entry *e = tape.t.entry + a
    cdef int flags = e.flags & FT_ACTIVE if active_operands[op] else 0
    return append_map(tape, op, e.dtype & 1, flags, e.flags & FT_DONE, e.shape, a, 0, 0)


cdef inline int32_t map2(Tape tape, int op, int32_t a, int32_t b) except -1 nogil:
    """Append y = op(a, b), broadcast; float32 beside float64 is widened."""
    cdef ft_entry *ea = tape.t.entry + a
    cdef ft_entry *eb = tape.t.entry + b
    cdef int flags
    cdef int32_t shape
    if (ea.dtype ^ eb.dtype) & 1:
        if (ea.dtype & 1 and eb.dtype < FT_B64) or ea.dtype >= FT_B64:  # truth values have no width of their own
            a = cast(tape, a, eb.dtype & 1)
        else:
            b = cast(tape, b, ea.dtype & 1)
        ea = tape.t.entry + a
        eb = tape.t.entry + b
    shape = ea.shape
    if shape != eb.shape:
        shape = broadcast(tape, shape, eb.shape)
        if shape < 0:
            cannot_broadcast(tape, op, ea.shape, eb.shape)
    flags = (ea.flags if active_operands[op] & 1 else 0) | (eb.flags if active_operands[op] & 2 else 0)
    return append_map(tape, op, ea.dtype & 1, flags & FT_ACTIVE, ea.flags & eb.flags & FT_DONE, shape, a, b, 0)
