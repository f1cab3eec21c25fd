# Indexing of tracers.
from fasttape._core.tracer cimport Tracer

cdef Tracer get_items(Tracer x, object index)
cdef object elements(Tracer x)
cdef int set_items(Tracer x, object index, object value) except -1
