# What a step of a loop leaves for its reversal.
from libc.stdint cimport int64_t

from fasttape._core.scan cimport Reversal
from fasttape._core.tape cimport Tape

cdef int set_data(Reversal r, Tape tape, int64_t end, int64_t n_input, list results, list outputs) except -1
