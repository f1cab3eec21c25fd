"""Jacobians: many seeds in one sweep, stacked along a new first axis.

Of n inputs and m outputs, n tangents are pushed or m cotangents pulled, whichever is fewer.
"""
import numpy as np

from fasttape._core.capture cimport capture_array
from fasttape._core.forward cimport push_through
from fasttape._core.recompute cimport run_pull
from fasttape._core.record cimport *
from fasttape._core.pull cimport give
from fasttape._core.push cimport push, push_begin
from fasttape._core.sweep cimport Sweep, lift_shape
from fasttape._core.trace cimport (begin_pull, current, enter, finish, leave, named_once, output_node, replace_inputs, values)
from fasttape._core.tracer cimport wrap

cdef enum:
    LANE_BYTES = 1 << 27            # a pass carries as many seeds as keep an array of lanes below this
    MOST_AT_ONCE = 64               # tangents that go forward together, while the trace is forgotten


def jacobian(f, tuple args, dict kwargs, tuple argnums, str mode, str who):
    """One block per argument, of shape (output's shape) + (argument's shape)."""
    cdef int64_t k, n = len(args)
    cdef tuple each = named_once(argnums, n)
    blocks = jacobian_of_each(f, args, kwargs, each, mode, who)
    if len(each) < len(argnums):
        return [blocks[each.index(k + n if k < 0 else k)] * 1.0 for k in argnums]
    return blocks


cdef list jacobian_of_each(f, tuple args, dict kwargs, tuple argnums, str mode, str who):
    cdef Tape outer = current(), tape = enter(args)
    cdef list inputs = [], nodes = [], call_args = list(args), made
    cdef int64_t n, m, start, end, largest
    cdef int32_t y, t, node
    try:
        start = tape.t.n
        n = sum([np.size(args[k]) for k in argnums if -len(args) <= k < len(args)])
        tape.forgets = tape.forgets or (tape.depth == 1 and 0 < n and
                                        (n == 1 if mode == "auto" else mode == "forward" and n <= MOST_AT_ONCE))
        replace_inputs(tape, call_args, argnums, who, inputs, nodes)
        if tape.depth == 1 and tape.forgets:
            made = [wrap(tape, capture_array(tape, seeds(tape, node, 0, n, first), True))
                    for node, first in placed(tape, nodes)]
            sizes = sizes_of(tape, nodes)
            y, t = push_through(tape, start, f, call_args, kwargs, inputs, made, n, who)
            out_shape = shape_tuple(tape, shape_of(tape, y))
            return blocks_of(values(tape, [t])[0], sizes, out_shape)
        was = tape.reversing
        tape.reversing = was or (tape.depth == 1 and mode == "reverse")
        result = f(*call_args, **kwargs)
        tape.reversing = was
        y = output_node(tape, result, who)
        end = tape.t.n
        m = size_of(tape, y)
        largest = 1
        for i in range(start, end):
            largest = max(largest, tape.t.shape[tape.t.entry[i].shape].size)
        largest = max(1, LANE_BYTES // (8 * largest))
        if mode == "forward" or (mode == "auto" and n <= m):
            return columns(tape, nodes, y, start, end, n, largest)
        return rows_of(tape, nodes, y, start, end, m, largest)
    finally:
        leave(tape, outer)


cdef object seeds(Tape tape, int32_t node, int64_t first, int64_t lanes, int64_t offset):
    """Rows first..first+lanes of the identity, restricted to a node whose elements start at offset."""
    cdef int64_t size = size_of(tape, node), k
    e = np.zeros((lanes, size), np.float32 if tape.t.entry[node].dtype & 1 else np.float64)
    for k in range(max(first, offset), min(first + lanes, offset + size)):
        e[k - first, k - offset] = 1.0
    return e.reshape((lanes,) + shape_tuple(tape, shape_of(tape, node)))


cdef object join(list passes):
    """The passes' stacks of lanes one after the other."""
    if len(passes) == 1:
        return passes[0]
    return np.concatenate(passes, axis=0)


cdef list rows_of(Tape tape, list nodes, int32_t y, int64_t start, int64_t end, int64_t m, int64_t most):
    cdef Sweep s
    cdef int64_t first
    cdef list passes = []
    out_shape = shape_tuple(tape, shape_of(tape, y))
    if m == 0:
        return [np.zeros(out_shape + shape, dtype) for _, shape, dtype in sizes_of(tape, nodes)]
    for first in range(0, m, most):
        s.start = start
        s.end = end
        s.lanes = min(most, m - first)
        begin_pull(tape, &s, nodes)
        give(tape, &s, y, capture_array(tape, seeds(tape, y, first, s.lanes, 0), True))
        run_pull(tape, &s)
        passes.append(finish(tape, &s, nodes, []))
    return [join([p[k] for p in passes]).reshape(out_shape + shape_tuple(tape, shape_of(tape, node)))
            for k, node in enumerate(nodes)]


cdef list columns(Tape tape, list nodes, int32_t y, int64_t start, int64_t end, int64_t n, int64_t most):
    cdef Sweep s
    cdef int64_t first
    cdef int32_t node, t
    cdef list passes = []
    out_shape = shape_tuple(tape, shape_of(tape, y))
    for first in range(0, n, most):
        s.start = start
        s.end = end
        s.lanes = min(most, n - first)
        push_begin(tape, start, end)
        made = [capture_array(tape, seeds(tape, node, first, s.lanes, off), True) for node, off in placed(tape, nodes)]
        push_begin(tape, start, end)
        for node, t in zip(nodes, made):
            tape.tangent[node] = t
        with nogil:
            push(tape, &s, start, end)
        t = tape.tangent[y] if y >= start else -1
        if t < 0:
            t = fill(tape, 0.0, tape.t.entry[y].dtype, lift_shape(tape, s.lanes, shape_of(tape, y)))
        passes.append(values(tape, [t])[0] if tape.depth == 1 else wrap(tape, t))
    sizes = sizes_of(tape, nodes)
    if n == 0:
        return [np.zeros(out_shape + shape, dtype) for _, shape, dtype in sizes]
    return blocks_of(join(passes), sizes, out_shape)


cdef list sizes_of(Tape tape, list nodes):
    """Size, shape and dtype of each input."""
    return [(size_of(tape, node), shape_tuple(tape, shape_of(tape, node)),
             np.float32 if tape.t.entry[<int32_t>node].dtype & 1 else np.float64) for node in nodes]


cdef list blocks_of(object stack, list sizes, tuple out_shape):
    """The block of each argument, in its dtype, from the tangents of its elements, one after the other."""
    cdef list blocks = []
    cdef int64_t first = 0
    m = int(np.prod(out_shape))
    for size, shape, dtype in sizes:
        part = stack[first:first + size].reshape((size, m)).astype(dtype, copy=False)
        blocks.append(np.transpose(part).reshape(out_shape + shape))
        first += size
    return blocks


cdef list placed(Tape tape, list nodes):
    """Each node with the number of elements before it."""
    offset = 0
    out = []
    for node in nodes:
        out.append((node, offset))
        offset += size_of(tape, node)
    return out
