"""Sparse Jacobians, put together from the dense blocks of which they are made."""
from typing import NamedTuple

import numpy as np

from fasttape._core.blocks import columns_of_blocks


class CSR(NamedTuple):
    """A matrix in compressed sparse rows, where SciPy is not installed: `data[k]` stands in column `indices[k]`, and row r
    has the places from `indptr[r]` to `indptr[r + 1]`."""

    data: np.ndarray
    indices: np.ndarray
    indptr: np.ndarray
    shape: tuple


def of_blocks(blocks, parts, threads=1):
    """The matrix of a block of rows for each lane.

    Parameters
    ----------
    blocks : array of shape (lanes, rows, columns)
        Of each lane the derivatives of its results to its arguments.
    parts : list of (int, int, index)
        For each argument, in the order of the columns: the numbers that a lane has of it; those that there are in all;
        which of the runs of so many a lane has: an array of int64, C-contiguous, or the range of the lanes, or None where all
        have the first.
    threads : int
        That number the columns.
    """
    lanes, rows, columns = blocks.shape
    total = sum(whole for _, whole, _ in parts)
    kind = np.int32 if max(total, blocks.size) < 2**31 else np.int64
    indices, indptr = columns_of_blocks(lanes, rows, parts, kind, threads)
    matrix = CSR(blocks.reshape(-1), indices, indptr, (lanes * rows, total))
    try:
        from scipy.sparse import csr_array
    except ImportError:
        return matrix
    return csr_array(matrix[:3], shape=matrix.shape)
