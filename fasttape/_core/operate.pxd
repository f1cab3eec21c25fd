# Operators of tracers.
from fasttape._core.tracer cimport Tracer

cdef object binary(int op, object x, object y)
cdef object unary(int op, Tracer x)
cdef object power(object x, object y)
cdef object product(object x, object y)
cdef object need_truth(object x)
