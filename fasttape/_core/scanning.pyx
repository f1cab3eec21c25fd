"""Loops as they are recorded: the body is traced, the loop becomes one call."""
from fasttape._core.body cimport Body, trace_body
from fasttape._core.calls cimport emit_call
from fasttape._core.capture cimport capture_array
from fasttape._core.record cimport *
from fasttape._core.scan cimport Scan, new_scan
from fasttape._core.signature cimport *
from fasttape._core.trace cimport current, enter_own, leave, values
from fasttape._core.tracer cimport Tracer, after_record, innermost, node_of, operand, wrap

import numpy as np

from fasttape._core import scan_sweeps

scan_sweeps.install()


cdef Tape tape_for(list leaves):
    """The tape that a loop with these arguments is recorded on, or None."""
    cdef Tape tape = current()
    for x in leaves:
        if isinstance(x, Tracer):
            node_of(<Tracer>x)
            tape = innermost(tape, <Tracer>x)
    return tape


cdef list nodes_of(Tape tape, Form form, list leaves):
    cdef list forms = [], nodes = []
    cdef Form part
    leaf_forms(form, forms)
    for part, x in zip(forms, leaves):
        if isinstance(x, Tracer):
            nodes.append(operand(tape, x, 0))
        elif part.kind == ARRAY:
            nodes.append(capture_array(tape, np.asarray(x, np.float32 if part.dtype else np.float64), False))
        else:
            nodes.append(constant(tape, x, FT_F32 if part.kind == NUMBER32 else FT_F64))
    return nodes


cdef tuple type_of(Tape tape, int32_t node, bint weak):
    cdef ft_entry *e = tape.t.entry + node
    return e.dtype & 1, shape_tuple(tape, e.shape), FT_WEAK if weak else 0


def scan(step, carry, xs, length, schedule, folder, who):
    """What `fasttape.scan` does, its arguments being checked."""
    cdef Form carry_form = form_of(carry, f"{who}: the carry"), xs_form = form_of(xs, f"{who}: xs")
    cdef list carry_leaves = [], xs_leaves = [], made = [], arguments, kinds = [], nodes
    cdef Tape outer, tape
    cdef Body body
    cdef Scan loop
    cdef Form y_form, part
    cdef int32_t first
    cdef int64_t n, m, k
    gather(carry_form, carry, carry_leaves)
    gather(xs_form, xs, xs_leaves)
    leaf_forms(carry_form, kinds)
    n, m = len(carry_leaves), len(xs_leaves)
    outer = current()
    tape = tape_for(carry_leaves + xs_leaves)
    own = tape is None
    if own:
        tape = enter_own()
    try:
        carry_nodes = nodes_of(tape, carry_form, carry_leaves)
        xs_nodes = nodes_of(tape, xs_form, xs_leaves)
        arguments = [type_of(tape, node, part.kind == PYTHON_FLOAT) for node, part in zip(carry_nodes, kinds)]
        for node in xs_nodes:
            dtype, dims, _ = type_of(tape, node, False)
            arguments.append((dtype, dims[1:], 0))
        result = []

        def run(list traced):
            cdef list out = []
            cdef Form form
            returned = step(rebuilt(carry_form, traced[:n]), rebuilt(xs_form, traced[n:]))
            if type(returned) is not tuple or len(returned) != 2:
                raise TypeError(f"{who}: the step must return (carry, y), got {type(returned).__name__}")
            form = form_of_result(returned[0], f"{who}: the carry that the step returns")
            gather(form, returned[0], out)
            result.append(form_of_result(returned[1], f"{who}: the y that the step returns"))
            gather(result[0], returned[1], out)
            return out

        body = trace_body(tape, run, arguments, who)
        loop = new_scan(body.program, len(body.constants), n, m, length, who, schedule, folder)
        first = emit_call(tape, loop, body.constants + carry_nodes + xs_nodes)
        y_form = result[0]
        nodes = [first + k for k in range(loop.n_output - 1)]
        after_record(tape)
        made = values(tape, nodes) if own else [wrap(tape, node) for node in nodes]
    finally:
        if own:
            leave(tape, outer)
    return rebuilt(carry_form, made[:n]), rebuilt(y_form, made[n:])
