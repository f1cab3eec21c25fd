"""The places of dense blocks in a sparse matrix."""
import numpy as np

from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport free, malloc

cimport numpy as cnp

from fasttape._core.helpers cimport Team, all_done, call_helper, dismiss, new_team
from fasttape._core.vm cimport ft_part, machine

cnp.import_array()

cdef enum:
    WORTH_IT = 1 << 15              # columns below which another thread does not help
    WAIT = 1000000                  # microseconds


cdef struct Piece:                  # of the lanes
    char *out
    char *starts                    # where each row begins
    int64_t at, end, rows, columns, n
    const ft_part *part
    bint wide


cdef void fill(void *what) noexcept nogil:
    cdef Piece *p = <Piece *>what
    cdef int64_t k
    machine.columns(p.wide, p.out + p.at * p.rows * p.columns * (8 if p.wide else 4), p.at, p.end, p.rows, p.part, p.n)
    if p.wide:
        for k in range(p.at * p.rows, p.end * p.rows):
            (<int64_t *>p.starts)[k + 1] = (k + 1) * p.columns
    else:
        for k in range(p.at * p.rows, p.end * p.rows):
            (<int32_t *>p.starts)[k + 1] = <int32_t>(k + 1) * <int32_t>p.columns


cdef void fill_together(Piece *piece, int64_t threads) noexcept nogil:
    """Fill pieces, each by a thread of its own if there are as many."""
    cdef Team *team = new_team() if threads > 1 else NULL
    cdef int64_t k
    for k in range(1, threads):
        if team == NULL or not call_helper(team, fill, piece + k):
            fill(piece + k)
    fill(piece)
    if team != NULL:
        while not all_done(team, WAIT):
            pass
        dismiss(team)


def columns_of_blocks(int64_t lanes, int64_t rows, list parts, kind, threads=1):
    """The column number of each element of `lanes` blocks, and where each row begins among them. See `sparse.of_blocks`."""
    cdef int64_t n = len(parts), columns = 0, begin = 0, most, k
    cdef ft_part *part = <ft_part *>malloc((n + 1) * sizeof(ft_part))
    cdef Piece *piece = NULL
    cdef Piece whole
    cdef cnp.ndarray out, starts, index
    try:
        if part == NULL:
            raise MemoryError
        for k, (size, total, which) in enumerate(parts):
            part[k].begin, part[k].size, part[k].index, part[k].step = begin, size, NULL, isinstance(which, range)
            if isinstance(which, np.ndarray):
                index = which
                part[k].index = <const int64_t *>cnp.PyArray_DATA(index)
            begin += total
            columns += size
        out, starts = np.empty(lanes * rows * columns, kind), np.empty(lanes * rows + 1, kind)
        starts[0] = 0
        whole.out, whole.starts = <char *>cnp.PyArray_DATA(out), <char *>cnp.PyArray_DATA(starts)
        whole.rows, whole.columns, whole.part, whole.n, whole.wide = rows, columns, part, n, kind is np.int64
        most = max(min(threads, lanes * rows * columns // WORTH_IT), 1)
        piece = <Piece *>malloc(most * sizeof(Piece))
        if piece == NULL:
            raise MemoryError
        for k in range(most):
            piece[k] = whole
            piece[k].at, piece[k].end = lanes * k // most, lanes * (k + 1) // most
        with nogil:
            fill_together(piece, most)
    finally:
        free(part)
        free(piece)
    return out, starts
