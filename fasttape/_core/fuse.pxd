# Members of a run as one step of machine code.
from libc.stdint cimport int32_t, int64_t

from fasttape._core.buffers cimport *

cdef bint is_native(int op) noexcept nogil
cdef int64_t fused(Tape tape, Plan *plan, int64_t k, int32_t end) except -1 nogil
cdef int finish_codes(Tape tape) except -1
cdef object own_codes(object shared)
