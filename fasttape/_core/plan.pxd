# From entries to numbers: what is needed, how it is grouped, where it lives, and the running of it.
from libc.stdint cimport int32_t, int64_t
from fasttape._core.buffers cimport Plan
from fasttape._core.tape cimport Tape
from fasttape._core.vm cimport ft_run

cdef int build(Tape tape, Plan *plan, int32_t first, int32_t top) except -1 nogil
cdef int abandon_calls(Tape tape) except -1
cdef int go_on(Tape tape, ft_run *run, int more) except -1
cdef int end_calls(Tape tape) except -1
cdef int evaluate(Tape tape, const int32_t *outputs, int64_t n) except -1
