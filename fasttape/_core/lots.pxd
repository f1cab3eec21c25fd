# The arguments of a batch.
from libc.stdint cimport int64_t

from fasttape._core.program cimport Program
from fasttape._core.signature cimport Form

cdef class Lots:
    cdef str who
    cdef Form form                  # of the call
    cdef list leaves                # the axis of lanes of each is its first
    cdef tuple batched
    cdef int64_t n
    cdef bint fits                  # they are a program's, which was given

    cdef bint are_plain(self, Program p, tuple args) except -1
    cdef tuple lane(self, list leaves, int64_t i)
    cdef object with_lanes(self, object x, Form form, int axis, int64_t k)
