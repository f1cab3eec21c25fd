"""A program called with traced values: one entry of their trace for each of its results, computed together.

Sweeps go through such a call by other programs: that of the tangents of its results, or of the cotangents of its
arguments, made from its record when it is first needed. They compute what they need of the primal again.
"""
import numpy as np

from fasttape._core.callee cimport Callee
from fasttape._core.capture cimport capture_array
from fasttape._core.frozen cimport splice
from fasttape._core.keep cimport array_input, keep, number_input
from fasttape._core.program cimport Program, Unmet, pull_program, push_program, same
from fasttape._core.pull cimport cotangent, give
from fasttape._core.push cimport push, push_begin
from fasttape._core.recompute cimport run_pull
from fasttape._core.record cimport *
from fasttape._core.signature cimport *
from fasttape._core.sweep cimport Sweep, fit, lift_shape
from fasttape._core.trace cimport begin_pull, current, enter_own, leave
from fasttape._core.tracer cimport *

from fasttape._core import program, tracer


# ---- the entry

cdef int32_t emit_call(Tape tape, Callee p, list nodes) except -2:
    """Append a call; returns the node of its first result, -1 if it has none. A node of -1 is an argument left out."""
    cdef int64_t at, k, n = len(nodes)
    cdef int32_t y = -1, number = <int32_t>len(tape.programs) - 1, node
    cdef int flags = 0, dtype
    while number >= 0 and tape.programs[number] is not p:
        number -= 1
    if number < 0:
        number = <int32_t>len(tape.programs)
        tape.programs.append(p)
    at = new_args(tape, 2 + n)
    tape.t.args[at] = number
    tape.t.args[at + 1] = <int32_t>n
    for k in range(n):
        node = nodes[k]
        tape.t.args[at + 2 + k] = node
        if node >= 0:
            flags |= tape.t.entry[node].flags
    for k, (dtype, dims) in enumerate(p.results()):
        y = emit(tape, OP_program, dtype, flags & FT_ACTIVE if dtype < FT_B64 else 0, shape_from(tape, dims), <int32_t>k,
                 <int32_t>p.n_output, <int32_t>at)
    return y - <int32_t>p.n_output + 1 if y >= 0 else -1


cdef Tape tape_of(list leaves, Tape tape=None):
    """The tape that a call with these arguments is recorded on; `tape`, or one that records inside it."""
    for x in leaves:
        if isinstance(x, Tracer):
            node_of(<Tracer>x)
            tape = innermost(tape, <Tracer>x)
    return tape


cdef list nodes_of(Form arguments, Tape tape, list leaves):
    cdef list forms = [], nodes = []
    cdef Form form
    leaf_forms(arguments, forms)
    for form, x in zip(forms, leaves):
        if isinstance(x, Tracer):
            nodes.append(operand(tape, x, 0))
        elif form.kind == ARRAY:
            nodes.append(capture_array(tape, np.asarray(x, np.float32 if form.dtype else np.float64), False))
        else:
            nodes.append(constant(tape, x, FT_F32 if form.kind == NUMBER32 else FT_F64))
    return nodes


def call_traced(Program p, list leaves):
    """The result of a call, traced; or an `Unmet`, if a guard does not hold."""
    cdef Tape tape = tape_of(leaves)
    cdef Unmet unmet
    cdef int32_t first = emit_call(tape, p, nodes_of(p.arguments, tape, leaves))
    cdef int64_t k
    cdef Tracer x
    results = [wrap(tape, first + k) for k in range(p.n_result)]
    met = []
    for k, (how, seen, place) in enumerate(p.guards):
        x = wrap(tape, <int32_t>(first + p.n_result + k))
        if tape.bodily:
            x = tracer.seen_outside(x, f"{getattr(how, '__name__', 'value')}, in {p.name}")
        outcome = looked_at(how, concrete(x))
        if not same(outcome, seen):
            unmet = Unmet.__new__(Unmet)
            unmet.k = k
            unmet.outcome = outcome
            return unmet
        met.append((x.tape, (x.node, how, seen, place)))
    for seen_on, guard in met:
        if (<Tape>seen_on).guards is not None:
            (<Tape>seen_on).guards.append(guard)
    after_record(tape)
    return rebuilt(p.result, results)


program.call_traced = call_traced


def inlined(Program p):
    """The function that records what the program recorded, entry by entry, in a trace of its own arguments' forms."""
    def f(*args, **kwargs):
        cdef list leaves = p.leaves_of(args, kwargs)
        cdef Tape tape = tape_of(leaves)
        nodes = splice(p.record.tape(), tape, nodes_of(p.arguments, tape, leaves), p.record_outputs, p.n_output)
        if tape.guards is not None:
            tape.guards.extend([(node, *guard) for node, guard in zip(nodes[p.n_result:], p.guards)])
        return rebuilt(p.result, [wrap(tape, node) for node in nodes[:p.n_result]])
    f.__wrapped__ = p.function                      # whose parameters' names a graph shows
    return f


# ---- sweeps through it

cdef int32_t input_like(Tape tape, Tape old, int32_t node, int64_t lanes) except -1:
    """An input shaped like a node of another tape, stacked if there are lanes. Its value is of no matter."""
    cdef ft_entry *e = old.t.entry + node
    cdef ft_shape *s = old.t.shape + e.shape
    cdef int32_t shape = lift_shape(tape, lanes, intern_shape(tape, s.ndim, old.t.dims + s.at))
    if shape == 0:
        return number_input(tape, e.dtype & 1, 0, 0.5)
    return array_input(tape, np.zeros(shape_tuple(tape, shape), np.float32 if e.dtype & 1 else np.float64))


cdef Program derived(Program p, bint pulls, tuple moving, tuple given, int64_t lanes):
    """The program of the cotangents of the arguments `moving` from those of the results `given`; or of the tangents
    of the results from those of the arguments `moving`. Its arguments are p's, then these seeds."""
    cdef Program q
    cdef Tape outer, tape, old
    cdef list inputs, seeds, results, out = []
    cdef Sweep s
    cdef int32_t node
    key = pulls, moving, given, lanes
    if key in p.derived:
        return p.derived[key]
    old = p.record.tape()
    q = Program.__new__(Program)
    q.name = f"{'pullback' if pulls else 'pushforward'} of {p.name}"
    q.places = []
    outer = current()
    tape = enter_own()
    try:
        s.start = 0
        s.lanes = lanes
        inputs = [input_like(tape, old, node, 0) for node in range(p.n_input)]
        if pulls:
            seeds = [input_like(tape, old, p.record_outputs[<int64_t>k], lanes) for k in given]
        else:
            seeds = [input_like(tape, old, k, lanes) for k in moving]
        for k in moving:
            tape.t.entry[<int32_t>inputs[k]].flags |= FT_ACTIVE
        results = splice(old, tape, inputs, p.record_outputs, p.n_result)
        s.end = tape.t.n
        if pulls:
            begin_pull(tape, &s, [inputs[k] for k in moving])
            for k, node in zip(given, seeds):
                give(tape, &s, results[k], node)
            run_pull(tape, &s)
            for k in moving:
                if tape.ct[<int32_t>inputs[k]] >= 0:
                    q.places.append(k)
                    out.append(cotangent(tape, &s, inputs[k]))
        else:
            push_begin(tape, 0, s.end)
            for k, node in zip(moving, seeds):
                tape.tangent[<int32_t>inputs[k]] = node
            push(tape, &s, 0, s.end)
            for k in range(p.n_result):
                node = tape.tangent[<int32_t>results[k]]
                if node >= 0:
                    q.places.append(k)
                    out.append(fit(tape, lanes, node, shape_of(tape, results[k])))
        keep(q, tape, len(inputs) + len(seeds), out, [])
    finally:
        leave(tape, outer)
    p.derived[key] = q
    return q


cdef int pull_call(Program p, Tape tape, Sweep *s, int32_t i) except -1:
    cdef int64_t at = tape.t.entry[i].aux
    cdef Program q
    cdef int32_t first, k
    arguments = [tape.t.args[at + 2 + k] for k in range(p.n_input)]
    moving = tuple([k for k in range(p.n_input) if arguments[k] >= s.start and tape.active[arguments[k] - s.start]])
    given = tuple([k for k in range(p.n_result) if tape.ct[i + k - s.start] >= 0])
    if not given:
        return 0
    q = derived(p, True, moving, given, s.lanes)
    seeds = [fit(tape, s.lanes, tape.ct[i + k - s.start], shape_of(tape, i + k)) for k in given]
    first = emit_call(tape, q, [again(tape, k) for k in arguments] + seeds)
    for j, place in enumerate(q.places):
        give(tape, s, arguments[place], <int32_t>(first + j))
    return 0


cdef int push_call(Program p, Tape tape, Sweep *s, int32_t i) except -1:
    cdef int64_t at = tape.t.entry[i].aux
    cdef Program q
    cdef int32_t first, k
    arguments = [tape.t.args[at + 2 + k] for k in range(p.n_input)]
    moving = tuple([k for k in range(p.n_input) if arguments[k] >= s.start and tape.tangent[arguments[k]] >= 0])
    if not moving:
        return 0
    q = derived(p, False, moving, (), s.lanes)
    seeds = [fit(tape, s.lanes, tape.tangent[arguments[k]], shape_of(tape, arguments[k])) for k in moving]
    first = emit_call(tape, q, arguments + seeds)
    for j, place in enumerate(q.places):
        tape.tangent[i + <int32_t>place] = <int32_t>(first + j)
    return 0


pull_program = pull_call
push_program = push_call
