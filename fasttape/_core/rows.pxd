# Scratch rows of the open run.
from libc.stdint cimport int32_t

from fasttape._core.buffers cimport *

cdef int32_t take_row(Plan *plan) noexcept nogil
cdef int load(Tape tape, Plan *plan, ft_step *s, int32_t node, int32_t shape) except -1 nogil
cdef int is_direct(Tape tape, int32_t node, int32_t shape) noexcept nogil
cdef int operand(Tape tape, Plan *plan, int32_t node, int32_t shape, bint spread, ft_step *out, int k) except -1 nogil
cdef int destination(Tape tape, Plan *plan, int32_t i, int32_t end, ft_step *s) except -1 nogil
cdef void end_of_row(Tape tape, Plan *plan, int32_t node, int32_t reader) noexcept nogil
cdef void free_evicted(Plan *plan) noexcept nogil
