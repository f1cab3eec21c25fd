"""The places of dense blocks in a sparse matrix."""
import numpy as np

from libc.stdint cimport int64_t
from libc.stdlib cimport free, malloc

cimport numpy as cnp

from fasttape._core.vm cimport ft_part, machine

cnp.import_array()


def columns_of_blocks(int64_t lanes, int64_t rows, list parts, kind):
    """The column number of each element of `lanes` blocks. See `sparse.of_blocks`."""
    cdef int64_t n = len(parts), columns = 0, begin = 0
    cdef ft_part *part = <ft_part *>malloc((n + 1) * sizeof(ft_part))
    cdef ft_part *p = part
    cdef cnp.ndarray out, index
    cdef bint wide = kind is np.int64
    if part == NULL:
        raise MemoryError
    try:
        for size, whole, which in parts:
            p.begin, p.size, p.index, p.step = begin, size, NULL, isinstance(which, range)
            if isinstance(which, np.ndarray):
                index = which
                p.index = <const int64_t *>cnp.PyArray_DATA(index)
            begin += whole
            columns += size
            p += 1
        out = np.empty(lanes * rows * columns, kind)
        with nogil:
            machine.columns(wide, cnp.PyArray_DATA(out), lanes, rows, part, n)
    finally:
        free(part)
    return out
