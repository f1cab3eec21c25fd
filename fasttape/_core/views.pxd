# Views, and writing through them.
from libc.stdint cimport int32_t, int64_t

from fasttape._core.index cimport Region
from fasttape._core.tracer cimport Tracer

cdef int whole(Tracer x, Region *r) except -1
cdef Tracer view_tracer(Tracer x, Region *r)
cdef Tracer number_at(Tracer x, Region *r)
cdef Tracer reshaped(Tracer x, tuple shape)
cdef Tracer raveled(Tracer x)
cdef Tracer transposed(Tracer x, tuple axes)
cdef Tracer broadcasted(Tracer x, int ndim, const int64_t *dims)
cdef object in_place(Tracer x, object y)
cdef int is_readonly() except -1
cdef int store(Tracer base, int32_t view, int32_t value) except -1
