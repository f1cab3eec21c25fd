"""NumPy's basic indexing (whole numbers, slices, None, Ellipsis) as arithmetic on extents, strides
and an offset. Knows neither arrays nor tapes."""
from cpython.slice cimport PySlice_Check

cdef extern from "Python.h":
    int PySlice_Unpack(object, Py_ssize_t *, Py_ssize_t *, Py_ssize_t *) except -1
    Py_ssize_t PySlice_AdjustIndices(Py_ssize_t, Py_ssize_t *, Py_ssize_t *, Py_ssize_t)
    bint PyIndex_Check(object)
    Py_ssize_t PyNumber_AsSsize_t(object, object) except? -1


cdef bint restride(Region *r, int ndim, const int64_t *dims) noexcept:
    """Give a region other extents of the same size without moving an element, as NumPy's reshape does
    where it can: each group of new axes must lie within old axes that are one run of memory. Returns
    0, and leaves the region alone, where it cannot."""
    cdef Region out
    cdef int old = 0, new = 0, k, last, after
    cdef int64_t a, b, step = 1
    out.ndim = ndim
    out.offset = r.offset
    for k in range(ndim):
        out.dims[k] = dims[k]
        if dims[k] == 0:                # nothing to read: any strides do
            for last in range(ndim - 1, -1, -1):
                out.dims[last] = dims[last]
                out.strides[last] = step
                step *= dims[last]
            r[0] = out
            return True
    cdef int n = 0
    cdef int64_t extent[34]
    cdef int64_t stride[34]
    for k in range(r.ndim):             # axes of extent 1 do not matter
        if r.dims[k] != 1:
            extent[n] = r.dims[k]
            stride[n] = r.strides[k]
            n += 1
    while new < ndim and old < n:
        a = dims[new]
        b = extent[old]
        after = new + 1
        last = old + 1
        while a != b:                   # the smallest groups of equal size
            if a < b:
                a *= dims[after]
                after += 1
            else:
                b *= extent[last]
                last += 1
        for k in range(old, last - 1):
            if stride[k] != extent[k + 1] * stride[k + 1]:
                return False
        out.strides[after - 1] = stride[last - 1]
        for k in range(after - 1, new, -1):
            out.strides[k - 1] = out.strides[k] * dims[k]
        new = after
        old = last
    for k in range(new, ndim):          # what is left has extent 1
        out.strides[k] = 1
    step = 1
    for k in range(ndim - 1, -1, -1):
        if dims[k] == 1:
            out.strides[k] = step
        else:
            step = out.strides[k] * dims[k]
    r[0] = out
    return True


cdef bint one_is_basic(object i):
    if PySlice_Check(i) or i is None or i is Ellipsis:
        return True
    return PyIndex_Check(i) and not isinstance(i, bool) and not getattr(i, "ndim", 0)


cdef bint is_basic(object index):
    if type(index) is tuple:
        for i in <tuple>index:
            if not one_is_basic(i):
                return False
        return True
    return one_is_basic(index)


cdef int select(Region *r, object index) except -1:
    """Narrow a region by a basic index. Raises IndexError as NumPy does. Returns 1 where the index holds an
    ellipsis, so that a result of no axes is not a number but still a part of the array."""
    cdef int axis = 0, n = 0, k, used = 0, skip
    cdef Py_ssize_t start, stop, step, i
    cdef Region out
    cdef bint dots = False
    items = index if type(index) is tuple else (index,)
    for item in items:
        if item is Ellipsis:
            if dots:
                raise IndexError("an index can only have a single ellipsis ('...')")
            dots = True
        elif item is not None:
            used += 1
    if used > r.ndim:
        raise IndexError(f"too many indices for array: array is {r.ndim}-dimensional, but {used} were indexed")
    skip = r.ndim - used
    out.offset = r.offset
    for item in items + (() if dots else (Ellipsis,)):
        if n >= 32 and not PyIndex_Check(item):
            raise IndexError("number of dimensions must be within [0, 32]")
        if item is None:
            out.dims[n] = 1
            out.strides[n] = 0
            n += 1
        elif item is Ellipsis:
            if n + skip > 32:
                raise IndexError("number of dimensions must be within [0, 32]")
            for _ in range(skip):
                out.dims[n] = r.dims[axis]
                out.strides[n] = r.strides[axis]
                n += 1
                axis += 1
        elif PySlice_Check(item):
            PySlice_Unpack(item, &start, &stop, &step)
            out.dims[n] = PySlice_AdjustIndices(r.dims[axis], &start, &stop, step)
            out.offset += start * r.strides[axis] if out.dims[n] else 0
            out.strides[n] = r.strides[axis] * step
            n += 1
            axis += 1
        else:
            i = PyNumber_AsSsize_t(item, IndexError)
            if i < -r.dims[axis] or i >= r.dims[axis]:
                raise IndexError(f"index {i} is out of bounds for axis {axis} with size {r.dims[axis]}")
            out.offset += (i + r.dims[axis] if i < 0 else i) * r.strides[axis]
            axis += 1
    out.ndim = n
    step = 1
    for k in range(n - 1, -1, -1):      # an axis of extent 1 takes the stride that looks contiguous
        if out.dims[k] == 1:
            out.strides[k] = step
        else:
            step = out.strides[k] * out.dims[k]
    r[0] = out
    return dots
