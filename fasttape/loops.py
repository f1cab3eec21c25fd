"""Loops whose body is traced once: `scan`, `fori_loop`."""
import numpy as np

from fasttape._core import scanning as _scanning


def _leaves(tree):
    if isinstance(tree, (tuple, list)):
        return [leaf for part in tree for leaf in _leaves(part)]
    if isinstance(tree, dict):
        return [leaf for part in tree.values() for leaf in _leaves(part)]
    return [tree]


def scan(step, carry, xs=None, length=None, *, schedule=None, folder=None):
    """Run ``carry, y = step(carry, x)`` for every x of `xs`, handing the carry on; return the last carry and all ys."""
    lengths = {np.shape(leaf)[0] for leaf in _leaves(xs) if leaf is not None}
    if length is None:
        length, = lengths
    return _scanning.scan(step, carry, xs, length, schedule, folder, "scan")
