# Programs as the plans that call them know them.
from libc.stdint cimport int64_t

from fasttape._core.vm cimport ft_call

cdef class Call:
    cdef ft_call c
    cdef int64_t work

cdef class Callee:
    cdef Call begin(self)
    cdef int end(self, Call call) except -1
