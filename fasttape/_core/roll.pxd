# Scalar programs made over into lanes and loops.
from libc.stdint cimport int32_t, int64_t

from fasttape._core.tape cimport *

cdef Tape roll(Tape old, int64_t n_input, int32_t *outputs, int64_t n)
