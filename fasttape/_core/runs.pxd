# The open run of a plan.
from libc.stdint cimport int32_t

from fasttape._core.buffers cimport *

cdef int close_run(Tape tape, Plan *plan, int32_t end) except -1 nogil
cdef int join_run(Tape tape, Plan *plan, int32_t i, int32_t shape) except -1 nogil
cdef int plan_elementwise(Tape tape, Plan *plan, int32_t i) except -1 nogil
