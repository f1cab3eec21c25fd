# The pull through what is computed again.
from libc.stdint cimport int64_t

from fasttape._core.sweep cimport Sweep
from fasttape._core.tape cimport Tape

cdef int begin_again(Tape tape, int64_t n) except -1
cdef int repeat_segment(Tape tape, int64_t lo, int64_t hi, int64_t salt, bint keeps_products) except -1
cdef int run_pull(Tape tape, Sweep *s, int64_t i=*) except -1
