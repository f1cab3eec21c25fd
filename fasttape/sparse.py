"""Sparse Jacobians, put together from the dense blocks of which they are made."""
from typing import NamedTuple

import numpy as np


class CSR(NamedTuple):
    """A matrix in compressed sparse rows, where SciPy is not installed: `data[k]` stands in column `indices[k]`, and row r
    has the places from `indptr[r]` to `indptr[r + 1]`."""

    data: np.ndarray
    indices: np.ndarray
    indptr: np.ndarray
    shape: tuple


def of_blocks(blocks, pattern):
    """The matrix of a block of rows for each lane.

    Parameters
    ----------
    blocks : array of shape (lanes, rows, columns)
        Of each lane the derivatives of its results to its arguments; what they are may be told later, there.
    pattern : (indices, indptr, width)
        The column of each number, where each row begins, and how many columns there are.
    """
    indices, indptr, width = pattern
    data, shape = blocks.reshape(-1), (len(blocks) * blocks.shape[1], width)
    try:
        from scipy.sparse import csr_array
    except ImportError:
        return CSR(data, indices, indptr, shape)
    matrix = csr_array((data, indices, indptr), shape=shape)
    matrix.data = data              # itself, whatever SciPy makes of it
    return matrix
