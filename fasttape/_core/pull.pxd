# Reverse mode's sweep.
from libc.stdint cimport int32_t, int64_t

from fasttape._core.sweep cimport Sweep
from fasttape._core.tape cimport Tape

cdef int pull_begin(Tape tape, Sweep *s, const int32_t *inputs, int64_t n) except -1 nogil
cdef int64_t pull(Tape tape, Sweep *s, int64_t i) except -2 nogil
cdef int give(Tape tape, Sweep *s, int32_t node, int32_t g) except -1 nogil
cdef int32_t cotangent(Tape tape, Sweep *s, int32_t node) except -1 nogil
