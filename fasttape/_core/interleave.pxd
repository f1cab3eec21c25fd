# Tangents put behind what they are tangents of.
from libc.stdint cimport int32_t, int64_t

from fasttape._core.tape cimport Tape

cdef int interleave(Tape tape, int64_t n_input, int32_t *outputs, int64_t n) except -1
