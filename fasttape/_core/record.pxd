# Appending one op to a tape: its shape rule, its dtype, whether it is active, and, where all of it is
# known already, a scalar's value.
from libc.stdint cimport int32_t, int64_t, uint8_t

from fasttape._core.tape cimport *
from fasttape._core.vm cimport *

cdef uint8_t active_operands[256]   # bit k: operand k of an elementwise op has a partial

cdef int32_t map1(Tape tape, int op, int32_t a) except -1 nogil
cdef int32_t map2(Tape tape, int op, int32_t a, int32_t b) except -1 nogil
cdef int32_t map3(Tape tape, int op, int32_t a, int32_t b, int32_t c) except -1 nogil
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

cdef inline int32_t shape_of(Tape tape, int32_t a) noexcept nogil:
    return tape.t.entry[a].shape

cdef inline int ndim_of(Tape tape, int32_t a) noexcept nogil:
    return tape.t.shape[tape.t.entry[a].shape].ndim

cdef inline int64_t *dims_of(Tape tape, int32_t a) noexcept nogil:
    return tape.t.dims + tape.t.shape[tape.t.entry[a].shape].at

cdef inline int64_t size_of(Tape tape, int32_t a) noexcept nogil:
    return tape.t.shape[tape.t.entry[a].shape].size
