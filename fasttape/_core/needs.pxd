# What a plan's outputs need.
from libc.stdint cimport int32_t, int64_t

from fasttape._core.tape cimport *

cdef int32_t mark_needs(Tape tape, const int32_t *outputs, int64_t n, int32_t *top) noexcept nogil
cdef int settle(Tape tape, int32_t first, int32_t top) noexcept nogil
