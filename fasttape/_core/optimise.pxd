# What is done to a tape that is kept, before it is planned.
from libc.stdint cimport int32_t, int64_t

from fasttape._core.tape cimport *

cdef Tape optimise(Tape old, int64_t n_input, int32_t *outputs, int64_t n, bint packs=*)
