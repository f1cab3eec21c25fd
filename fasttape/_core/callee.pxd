# What is called, as the plans that call it know it: programs, loops and their reversals.
from libc.stdint cimport int64_t

from fasttape._core.vm cimport ft_call

cdef class Call:
    cdef ft_call c
    cdef int64_t work
    cdef int complain(self) except -1
    cdef int abandon(self) except -1

cdef class Callee:
    cdef str name
    cdef int64_t n_input, n_output
    cdef bint reusable              # a call leaves nothing in its plan: one serves calls that follow each other
    cdef list results(self)
    cdef bint allow(self, int64_t memory) except -1
    cdef Call begin(self)
    cdef int end(self, Call call) except -1
