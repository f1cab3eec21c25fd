"""Forward mode: value and tangent together, in memory that does not grow with the number of steps."""
import numpy as np

from fasttape._core.array cimport Array
from fasttape._core.record cimport *
from fasttape._core.sweep cimport Sweep, push, push_begin
from fasttape._core.tracer cimport wrap
from fasttape._core.trace cimport current, enter, leave, output_node, replace_inputs, values


def value_and_tangent(f, tuple args, tuple tangents, tuple argnums, str who):
    """(value, tangent) of f at args along the tangents of the arguments argnums."""
    cdef Tape outer = current(), tape = enter(args + tangents)
    cdef Sweep s
    cdef list inputs = [], nodes = [], seeds = [], call_args = list(args), out
    cdef int32_t y, t
    cdef int64_t begin
    cdef bint own = tape.depth == 1
    try:
        s.lanes = 0
        s.start = tape.t.n
        if own:
            tape.forgets = True
        replace_inputs(tape, call_args, argnums, who, inputs, nodes)
        for x, v in zip(inputs, tangents):
            t = seed(tape, (<Array>x).node, v, who)
            seeds.append(wrap(tape, t))
        if own:
            begin = 0
            s.start = 0
            push_begin(tape, 0, tape.t.n)
            for x, v in zip(inputs, seeds):
                tape.tangent[(<Array>x).node] = (<Array>v).node
            tape.pushed = tape.t.n
            tape.pushing = True
        result = f(*call_args)
        if own:
            tape.forgets = tape.pushing = False
        y = output_node(tape, result, who)
        s.end = tape.t.n
        begin = tape.pushed if own else s.start
        push_begin(tape, begin, s.end)
        if not own:
            for x, v in zip(inputs, seeds):
                tape.tangent[(<Array>x).node] = (<Array>v).node
        with nogil:
            push(tape, &s, begin, s.end)
        t = tape.tangent[y] if y >= s.start else -1
        if t < 0:
            t = fill(tape, 0.0, tape.t.entry[y].dtype, shape_of(tape, y))
        if own:
            out = values(tape, [y, t])
        else:
            out = [wrap(tape, y), wrap(tape, t)]
        return out[0], out[1]
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
