# NumPy's basic indexing as arithmetic on extents, strides and an offset.
from libc.stdint cimport int64_t

cdef struct Region:
    int ndim
    int64_t dims[34]
    int64_t strides[34]
    int64_t offset

cdef bint restride(Region *r, int ndim, const int64_t *dims) noexcept
cdef bint is_basic(object index)
cdef int select(Region *r, object index) except -1
