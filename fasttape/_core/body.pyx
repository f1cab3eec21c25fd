"""The body of a loop, traced once.

It is recorded on a tape of its own, whose inputs have no values: they differ from step to step. A value of the trace
around it that it uses becomes an input too, a constant of the loop. What Python sees of values in the body can only
be of such constants; it is then seen, and guarded, in the trace around it.
"""
import numpy as np

from libc.stdlib cimport free

cimport numpy as cnp

from fasttape._core.capture cimport capture_array
from fasttape._core.frozen cimport find_varying, freeze, splice
from fasttape._core.keep cimport keep
from fasttape._core.lanes cimport over_lanes
from fasttape._core.program cimport Program
from fasttape._core.record cimport *
from fasttape._core.trace cimport enter_own, leave, output_node
from fasttape._core.tracer cimport Tracer, node_of, place, wrap

from fasttape._core import tracer

cnp.import_array()

cdef enum:
    LARGE = 1 << 14                 # bytes from which a captured array is a constant of the loop, and not copied


cdef class Body:
    """A traced body, and what of the trace around it it uses."""


cdef Program program_of(Tape tape, str name, int64_t n_input, list nodes):
    """A program of a recorded tape, called by plans alone: it has no forms of arguments."""
    cdef Program p = Program.__new__(Program)
    p.name = name
    keep(p, tape, n_input, nodes, [])
    return p


cdef Body trace_body(Tape outer, object call, list arguments, str who, lots=None):
    """Trace call(list of traced values), which returns a list of results. Of each argument its dtype, shape and
    flags; of a batch's lane the nodes of the arguments of all lanes, which of them are batched, and how many lanes."""
    cdef Tape tape = enter_own(), frozen
    cdef Body body = Body.__new__(Body)
    cdef list traced = [], inputs, nodes
    cdef int32_t *at = NULL
    cdef int32_t node
    cdef int64_t k, n, m
    cdef Tracer x
    tape.parent = outer
    tape.imports = {}
    tape.imported = []
    tape.bodily = True
    tape.lots = lots
    tape.guards = []
    try:
        for dtype, dims, flags in arguments:
            traced.append(wrap(tape, emit(tape, OP_input, dtype, FT_ACTIVE | <int>flags, shape_from(tape, dims), 0, 0, 0)))
        firsts = [(<Tracer>x).node for x in traced]
        nodes = [output_node(tape, y, who) for y in call(traced)]
        body.guards = [guard[1:] for guard in tape.guards]
        nodes += [guard[0] for guard in tape.guards]
        body.constants = []
        inputs = []
        for k, x in zip(tape.imported, tape.imports.values()):
            if tape.t.entry[x.node].op == OP_input:
                body.constants.append(k)
                inputs.append(x.node)
        for node in range(tape.t.n):
            if tape.t.entry[node].op == OP_input and tape.t.entry[node].b > 0 \
                    and size_of(tape, node) * itemsize(tape.t.entry[node].dtype) > LARGE and tape.t.entry[node].dtype < FT_B64:
                k = capture_array(outer, tape.keep[tape.t.entry[node].b - 1], False)
                body.constants.append(root_of(outer, <int32_t>k))
                inputs.append(node)
        inputs += firsts
        n, m = len(inputs), len(nodes)
        at = <int32_t *>allocate((n + m + 1) * sizeof(int32_t))
        if at == NULL:
            raise MemoryError
        for k in range(n):
            at[k] = inputs[k]
        for k in range(m):
            at[n + k] = nodes[k]
        frozen = freeze(tape, at, n, at + n, m)
        body.program = program_of(frozen, who, n, [at[n + k] for k in range(m)])
    finally:
        free(at)
        tape.guards = None
        traced.clear()
        leave(tape, outer)
    return body


cdef int changes(str what) except -1:
    file, line = place()
    raise TypeError(f"fasttape: the body of a loop looks at a value ({what}) that may differ from step to step, at "
                    f"{file}:{line}. The body is traced once: use np.where and its like instead of if, while_loop for a loop "
                    f"whose end depends on values, in place of x[i] hand x to scan as xs, and return what is to be printed")


def seen_outside(Tracer x, str what):
    """A value of a loop's body that is the same at every step, as the trace around it has it."""
    cdef Tape tape = x.tape, frozen
    cdef int32_t node = node_of(x), k
    cdef list inputs = [], constants = [], made
    cdef cnp.ndarray marks = np.zeros(tape.t.n + 1, np.uint8), at
    cdef uint8_t *varies = <uint8_t *>cnp.PyArray_DATA(marks)
    for k, y in zip(tape.imported, tape.imports.values()):
        if tape.t.entry[(<Tracer>y).node].op == OP_input:
            constants.append(k)
            inputs.append((<Tracer>y).node)
    for k in range(tape.t.n):
        varies[k] = tape.t.entry[k].op == OP_input and not tape.t.entry[k].flags & FT_DONE and k not in inputs
    find_varying(tape, varies)
    at = np.array(inputs + [node], np.int32)
    if varies[root_of(tape, node)]:
        if tape.lots is None:
            changes(what)
        return first_lane(tape, constants, inputs, node)
    frozen = freeze(tape, <int32_t *>cnp.PyArray_DATA(at), len(inputs), <int32_t *>cnp.PyArray_DATA(at) + len(inputs), 1)
    made = splice(frozen, tape.parent, constants, <int32_t *>cnp.PyArray_DATA(at) + len(inputs), 1)
    return wrap(tape.parent, made[0])


cdef Tracer first_lane(Tape tape, list constants, list inputs, int32_t node):
    """A value of a lane as the first one of the batch has it: the others are compared with it when the lane is traced."""
    cdef cnp.ndarray at
    cdef Tape frozen
    cdef int64_t n
    nodes, batched, lanes = tape.lots
    inputs = inputs + list(range(len(nodes)))
    n = len(inputs)
    at = np.array(inputs + [node], np.int32)
    frozen = freeze(tape, <int32_t *>cnp.PyArray_DATA(at), n, <int32_t *>cnp.PyArray_DATA(at) + n, 1)
    made = over_lanes(frozen, tape.parent, constants + nodes, [False] * len(constants) + list(batched),
                      <int32_t *>cnp.PyArray_DATA(at) + n, 1, lanes)
    return wrap(tape.parent, made[0])[0]


tracer.seen_outside = seen_outside
