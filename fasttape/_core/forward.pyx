"""Forward mode: value and tangent together, in memory that does not grow with the number of steps."""
import numpy as np

from fasttape._core.array cimport Array
from fasttape._core.record cimport *
from fasttape._core.push cimport push, push_begin
from fasttape._core.sweep cimport Sweep, lift_shape
from fasttape._core.tracer cimport wrap
from fasttape._core.trace cimport current, enter, leave, named_once, output_node, replace_inputs, values


cdef tuple push_through(Tape tape, int64_t start, f, list args, dict kwargs, list inputs, list tangents,
                        int64_t lanes, str who):
    """(y, t): the nodes of f(*args), and of its tangents, of which `lanes` are stacked, or one if 0. The
    outermost transform's are pushed in pieces as f goes on, on a tape that forgets."""
    cdef Sweep s
    cdef int32_t y, t
    cdef int64_t begin = start
    cdef bint own = tape.depth == 1
    s.lanes = lanes
    s.start = start
    if own:
        begin_tangents(tape, 0, inputs, tangents)
        tape.lanes = lanes
        tape.pushed = tape.t.n
        tape.pushing = True
    result = f(*args, **kwargs)
    if own:
        tape.forgets = tape.pushing = False
    y = output_node(tape, result, who)
    s.end = tape.t.n
    if own:
        begin = tape.pushed
        push_begin(tape, begin, s.end)
    else:
        begin_tangents(tape, start, inputs, tangents)
    with nogil:
        push(tape, &s, begin, s.end)
    t = tape.tangent[y] if y >= start else -1
    if t < 0:
        t = fill(tape, 0.0, tape.t.entry[y].dtype, lift_shape(tape, lanes, shape_of(tape, y)))
    return y, t


cdef int begin_tangents(Tape tape, int64_t start, list inputs, list tangents) except -1:
    push_begin(tape, start, tape.t.n)
    for x, v in zip(inputs, tangents):
        tape.tangent[(<Array>x).node] = (<Array>v).node
    return 0


def value_and_tangent(f, tuple args, tuple tangents, tuple argnums, str who):
    """(value, tangent) of f at args along the tangents of the arguments argnums; those of one that is named twice add up."""
    cdef Tape outer = current(), tape = enter(args + tangents)
    cdef list inputs = [], nodes = [], seeds, call_args = list(args)
    cdef int64_t start = tape.t.n, k, n = len(args)
    cdef tuple each = named_once(argnums, n)
    try:
        if tape.depth == 1:
            tape.forgets = True
        replace_inputs(tape, call_args, each, who, inputs, nodes)
        seeds = [None] * len(each)
        for k, v in zip(argnums, tangents):
            k = each.index(k + n if k < 0 else k)
            v = wrap(tape, seed(tape, nodes[k], v, who))
            seeds[k] = v if seeds[k] is None else seeds[k] + v
        y, t = push_through(tape, start, f, call_args, {}, inputs, seeds, 0, who)
        if tape.depth == 1:
            return tuple(values(tape, [y, t]))
        return wrap(tape, y), wrap(tape, t)
    finally:
        leave(tape, outer)


cdef int32_t seed(Tape tape, int32_t x, object v, str who) except -1:
    """The node of a tangent, which must be shaped like its primal."""
    cdef int32_t t
    t = output_node(tape, v, who)
    if shape_of(tape, t) != shape_of(tape, x):
        raise ValueError(f"{who}: a tangent has shape {np.shape(v)}, but its argument has shape "
                         f"{shape_tuple(tape, shape_of(tape, x))}")
    return cast(tape, t, tape.t.entry[x].dtype)
