# Forward mode's sweep.
from libc.stdint cimport int64_t

from fasttape._core.sweep cimport Sweep
from fasttape._core.tape cimport Tape

cdef int push(Tape tape, Sweep *s, int64_t begin, int64_t end) except -1 nogil
cdef int push_begin(Tape tape, int64_t begin, int64_t end) except -1 nogil
