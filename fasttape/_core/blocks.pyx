"""The places of dense blocks in a sparse matrix."""
import numpy as np

from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport free, malloc

cimport numpy as cnp

from fasttape._core.vm cimport ft_part, machine

cnp.import_array()


def columns_of_blocks(int64_t lanes, int64_t rows, list parts, kind=None):
    """Where the numbers of dense blocks stand in the sparse matrix that has a block of `rows` rows for each of the lanes.

    Parameters
    ----------
    parts : list of (int, int, index)
        For each argument, in the order of the columns: the numbers that a lane has of it; those that there are in all;
        which of the runs of so many a lane has: an array of int64, C-contiguous, or the range of the lanes, or None where all
        have the first.
    kind : {None, numpy.int32, numpy.int64}
        None: what is wide enough.

    Returns
    -------
    (indices, indptr, width)
        As SciPy has it: the column of each number, where each row begins among them, and how many columns there are.
    """
    cdef int64_t n = len(parts), columns = 0, width = 0, k
    cdef ft_part *part = <ft_part *>malloc((n + 1) * sizeof(ft_part))
    cdef cnp.ndarray indices, starts, index
    cdef bint wide
    try:
        if part == NULL:
            raise MemoryError
        for k, (size, total, which) in enumerate(parts):
            part[k].begin, part[k].size, part[k].index, part[k].step = width, size, NULL, isinstance(which, range)
            if isinstance(which, np.ndarray):
                index = which
                part[k].index = <const int64_t *>cnp.PyArray_DATA(index)
            width += total
            columns += size
        if kind is None:
            kind = np.int32 if max(width, lanes * rows * columns) < 1 << 31 else np.int64
        indices, starts, wide = np.empty(lanes * rows * columns, kind), np.empty(lanes * rows + 1, kind), kind is np.int64
        with nogil:
            machine.columns(wide, cnp.PyArray_DATA(indices), lanes, rows, part, n)
            count_up(wide, cnp.PyArray_DATA(starts), lanes * rows + 1, columns)
    finally:
        free(part)
    return indices, starts, width


cdef void count_up(bint wide, void *to, int64_t n, int64_t step) noexcept nogil:
    cdef int32_t *narrow = <int32_t *>to
    cdef int64_t k
    for k in range(n):
        if wide:
            (<int64_t *>to)[k] = k * step
        else:
            narrow[k] = <int32_t>k * <int32_t>step
