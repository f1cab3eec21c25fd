# Arrays that are changed element by element.
from libc.stdint cimport int32_t, int64_t, uint8_t

from fasttape._core.tape cimport Tape

cdef struct Variable:
    int32_t base                    # the array as it was written last
    int32_t *known                  # by place: the node of the element, or -1
    uint8_t *dirty                  # it has changed since
    int64_t low, high               # the places that are dirty lie between

cdef class Variables:
    cdef Variable *at
    cdef int64_t n, cap, room

    cdef int32_t new(self, Tape tape, int32_t base, int64_t entries) except -2
    cdef int set(self, int32_t k, int64_t place, int32_t node) noexcept nogil
    cdef int32_t written(self, Tape tape, int32_t k) except -1
