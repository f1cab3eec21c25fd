# Reductions of tracers over axes.
from libc.stdint cimport int32_t, int64_t

from fasttape._core.tracer cimport Tracer

cdef int64_t axes_mask(object axis, int ndim, str name) except -1
cdef int32_t reduced(Tracer x, int op, object axis, bint keepdims, str name) except -1
cdef int64_t count_along(Tracer x, object axis) except -1
cdef int no_extras(str name, tuple extras) except -1
cdef object read(Tracer x, str name, object axis, object out, object keepdims)
cdef Tracer shifted(Tracer x, object axis)
cdef object multiplied(object x, object axis, object keepdims)
