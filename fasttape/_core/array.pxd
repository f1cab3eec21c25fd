# What a user's function holds: a traced array, and a traced number.
from fasttape._core.tracer cimport Tracer

cdef class Array(Tracer):
    pass

cdef class Scalar(Array):
    pass
