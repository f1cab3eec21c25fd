# Operators of tracers.
from libc.stdint cimport int32_t

from fasttape._core.tape cimport Tape
from fasttape._core.tracer cimport Tracer

cdef object binary(int op, object x, object y)
cdef object unary(int op, Tracer x)
cdef object power(object x, object y, object modulo)
cdef object copy_of(Tracer x)
cdef object product(object x, object y)
cdef object need_truth(object x)
cdef int32_t beside_other(Tape tape, int32_t a, int dtype) except -1
cdef int make_strong(object y) except -1
cdef object strong(object x)

# For the type slots of array.pyx: either operand may be the traced one.
cdef object add(object x, object y)
cdef object subtract(object x, object y)
cdef object multiply(object x, object y)
cdef object divide(object x, object y)
