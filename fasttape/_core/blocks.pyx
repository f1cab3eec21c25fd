"""The places of dense blocks in a sparse matrix."""
import numpy as np

cimport numpy as cnp
from libc.stdint cimport int32_t, int64_t
from libc.string cimport memcpy

cnp.import_array()

ctypedef fused place:
    int32_t
    int64_t


cdef void fill(place *out, int64_t lanes, int64_t rows, int64_t columns, int64_t n, const int64_t *part) noexcept nogil:
    """Column numbers, lane by lane, whose rows have the same ones. Of each of the n parts: where its numbers begin, how many a
    lane has, and the address of the first of each lane's, or 0."""
    cdef int64_t lane, j, k, size
    cdef place first
    cdef place *row
    for lane in range(lanes):
        row = out
        for j in range(n):
            first = <place>part[3 * j]
            size = part[3 * j + 1]
            if part[3 * j + 2]:
                first += <place>(<const int64_t *><size_t>part[3 * j + 2])[lane]
            for k in range(size):
                row[k] = first + <place>k
            row += size
        for k in range(1, rows):
            memcpy(out + k * columns, out, columns * sizeof(place))
        out += rows * columns


def columns_of_blocks(int64_t lanes, int64_t rows, int64_t columns, list parts, kind):
    """The column number of each element of `lanes` blocks. See `sparse.of_blocks`."""
    cdef cnp.ndarray out = np.empty(lanes * rows * columns, kind), table = np.zeros((len(parts), 3), np.int64)
    cdef int64_t offset = 0, n = len(parts)
    cdef bint is_narrow = kind is np.int32
    cdef int32_t *narrow = <int32_t *>cnp.PyArray_DATA(out)
    cdef int64_t *wide = <int64_t *>cnp.PyArray_DATA(out)
    cdef const int64_t *part = <const int64_t *>cnp.PyArray_DATA(table)
    kept = []
    for k, (size, whole, first) in enumerate(parts):
        table[k, :2] = offset, size
        if first is not None:
            first = np.ascontiguousarray(first, np.int64)
            kept.append(first)
            table[k, 2] = first.ctypes.data
        offset += whole
    if rows:
        with nogil:
            if is_narrow:
                fill(narrow, lanes, rows, columns, n, part)
            else:
                fill(wide, lanes, rows, columns, n, part)
    return out
