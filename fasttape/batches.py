"""Batches: a function of one thing becomes one of many, each its own lane."""
import functools

import numpy as np

from fasttape._core import batch as _batch
from fasttape._core import lots as _lots
from fasttape._core import many as _many
from fasttape.program import compile


def vmap(f, in_axes=0, out_axes=0, *, threads=1, executor=None, chunk=None):
    """Return the function that applies `f` to each of many arguments, its results stacked.

    The function is traced once, for one lane, and run on all of them together: a number of `f` becomes a row of numbers.
    Each lane gets the bits that `f` would give it alone; products of matrices may differ in the last place. Where `f`
    branches on values, lanes that take another path are run by another trace. Derivatives go inside (``vmap(grad(f))``)
    and outside (the gradient of a function that calls ``vmap(f)``), and batches nest.

    Parameters
    ----------
    f : callable
        Takes arrays, numbers and trees of them, as `compile` does.
    in_axes : int, None, or a tuple of these
        For each positional argument the axis of its arrays along which the lanes lie; None for what all lanes share.
        Named arguments are shared.
    out_axes : int
        The axis of the results along which the lanes shall lie.
    threads, executor, chunk
        What runs the lanes of a plain call; see `Program.batch`.

    Returns
    -------
    callable
        Takes the arguments of `f`, with an axis more; returns its results, with an axis more. What `f` computes is kept
        for later calls, as by `compile`.

    Raises
    ------
    ValueError
        If arguments differ in their number of lanes, or have no such axis.
    TypeError
        If lanes return results of different shapes.

    Examples
    --------
    >>> vmap(lambda x, y: x @ y)(np.ones((2, 3)), np.array([[1.0, 2.0, 3.0], [0.0, 1.0, 0.0]]))
    array([6., 1.])
    >>> vmap(lambda x, y: x * y, in_axes=(0, None))(np.arange(3.0), 2.0)
    array([0., 2., 4.])
    >>> vmap(lambda x: x if x > 0.0 else -2.0 * x)(np.array([1.0, -1.0, 3.0]))
    array([1., 2., 3.])
    """
    if not callable(f):
        raise TypeError(f"vmap: the first argument must be a function, got {type(f).__name__}")
    if isinstance(out_axes, bool) or not isinstance(out_axes, (int, np.integer)):
        raise TypeError(f"vmap: out_axes must be a whole number, got {out_axes!r}")
    paths, way = compile(f), _many.Way(threads, executor, chunk, "vmap")

    @functools.wraps(f, updated=())
    def mapped(*args, **kwargs):
        out = _batch.run(paths, None, args, kwargs, in_axes, None, None, way, "vmap")
        return out if out_axes == 0 else _batch.moved(out, out_axes)

    return mapped


def gather(array, index):
    """Rows of an array as an argument of a batch: lane k gets ``array[index[k]]``.

    The rows are read as the lanes are run, a stretch of lanes at a time. Within a trace the gradient with respect to
    `array` adds up what the lanes give, row by row.

    Parameters
    ----------
    array : array of shape (rows, ...)
        Floats.
    index : array of shape (lanes,)
        Whole numbers; those below 0 count from the end.

    Raises
    ------
    IndexError
        If there is no such row.

    Examples
    --------
    >>> heights, pairs = np.array([1.0, 4.0, 9.0]), np.array([[0, 1], [1, 2], [0, 2]])
    >>> vmap(lambda a, b: b - a)(gather(heights, pairs[:, 0]), gather(heights, pairs[:, 1]))
    array([3., 5., 8.])
    """
    return _lots.gathered(array, index)
