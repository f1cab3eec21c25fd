# From entries to numbers: what is needed, how it is grouped, where it lives, and the running of it.
from libc.stdint cimport int32_t, int64_t
from fasttape._core.buffers cimport Plan
from fasttape._core.tape cimport Tape

cdef int build(Tape tape, Plan *plan, int32_t first, int32_t top) except -1 nogil
cdef int evaluate(Tape tape, const int32_t *outputs, int64_t n) except -1
