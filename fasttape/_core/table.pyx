"""Tables: the nodes of a scalar function or of a program, each with its value, tangent and cotangent."""
import numpy as np

cimport numpy as cnp

from fasttape._core.array cimport Array
from fasttape._core.entries cimport entry_text
from fasttape._core.frozen cimport splice
from fasttape._core.keep cimport input_of
from fasttape._core.plan cimport evaluate
from fasttape._core.program cimport Program
from fasttape._core.recompute cimport run_pull
from fasttape._core.record cimport *
from fasttape._core.pull cimport give
from fasttape._core.push cimport push, push_begin
from fasttape._core.signature cimport has_traced, leaf_forms
from fasttape._core.sweep cimport Sweep
from fasttape._core.trace cimport begin_pull, current, enter_own, leave, new_input, output_node
from fasttape._core.tracer cimport value_of

cnp.import_array()


def table(f, x):
    """Rows (k, operation, s, t, r) of a scalar function of one number."""
    cdef Tape outer = current(), tape = enter_own()
    cdef Sweep s
    cdef Array argument
    cdef int32_t y, node
    cdef int64_t i, at
    try:
        argument = new_input(tape, float(x), "table", 0)
        y = output_node(tape, f(argument), "table")
        s.start = 0
        s.end = tape.t.n
        s.lanes = 0
        for i in range(s.end):
            if tape.t.entry[i].shape != 0:
                raise TypeError("table: the function computes with arrays; it must be of scalars alone")
        begin_pull(tape, &s, [argument.node])
        give(tape, &s, y, constant(tape, 1.0, 0))
        run_pull(tape, &s)
        cts = [tape.ct[i] for i in range(s.end)]
        push_begin(tape, 0, s.end)
        tape.tangent[argument.node] = constant(tape, 1.0, 0)
        push(tape, &s, 0, s.end)
        zero = constant(tape, 0.0, 0)
        made, label = [], {}
        for i in range(s.end):
            if tape.t.entry[i].op != OP_constant:
                label[i] = f"s{len(made)}"
                made.append((i, entry_text(tape, <int32_t>i, label), tape.tangent[i], cts[i]))
        wanted = [node if node >= 0 else zero for row in made for node in (row[0], row[2], row[3])]
        at = new_args(tape, len(wanted))
        for i in range(<int64_t>len(wanted)):
            tape.t.args[at + i] = wanted[i]
        evaluate(tape, tape.t.args + at, len(wanted))
        return [(k, row[1], tape.t.val[wanted[3 * k]].f, tape.t.val[wanted[3 * k + 1]].f, tape.t.val[wanted[3 * k + 2]].f)
                for k, row in enumerate(made)]
    finally:
        leave(tape, outer)


# ---- of a program

cdef int32_t given(Tape tape, int32_t like, object value, str what) except -1:
    """A node for a number or array of the shape of another node: what the caller gave, or ones."""
    cdef int dtype = tape.t.entry[like].dtype & 1
    cdef int32_t shape = tape.t.entry[like].shape, y
    cdef cnp.ndarray a
    dims = shape_tuple(tape, shape)
    if value is None:
        value = np.ones(dims)
    if np.shape(value) != dims:
        raise ValueError(f"table: {what} has shape {np.shape(value)}; it must be {dims}")
    if shape == 0:
        return constant(tape, <double>float(value), dtype)
    a = np.array(value, dtype=np.float32 if dtype else np.float64, order="C")
    tape.keep.append(a)
    y = emit(tape, OP_input, dtype, FT_DONE, shape, 0, 0, 0)
    tape.t.val[y].p = cnp.PyArray_DATA(a)
    return y


cdef object plain(Tape tape, int32_t node, int32_t like):
    """The value of a computed node in the shape of another; zeros where there is none."""
    dims = shape_tuple(tape, tape.t.entry[like].shape)
    if tape.t.entry[like].shape == 0:
        return tape.t.val[node].f if node >= 0 else 0.0
    if node < 0:
        return np.zeros(dims, np.float32 if tape.t.entry[like].dtype & 1 else np.float64)
    return np.array(np.broadcast_to(value_of(tape, node), dims))


def of_program(Program p, tuple args, dict kwargs, tangents, cotangents):
    """Rows (k, operation, s, t, r) of a program: of what was recorded."""
    cdef list leaves = [], forms = [], inputs = []
    cdef Tape outer, tape
    cdef Sweep s
    cdef int64_t k, at
    cdef int32_t i, node
    if has_traced((args, kwargs)):
        raise TypeError("table: the arguments must be numbers and arrays, not traced values")
    if not p.takes(args, kwargs, leaves, True):
        leaves = p.leaves_of(args, kwargs)
    p(*args, **kwargs)              # raises GuardError if they are of another path
    for what, wanted, n in ("tangents", tangents, p.n_input), ("cotangents", cotangents, p.n_result):
        if wanted is not None and len(wanted) != n:
            raise ValueError(f"table: {len(wanted)} {what} for {n} numbers and arrays")
    leaf_forms(p.arguments, forms)
    outer = current()
    tape = enter_own()
    try:
        for form, x in zip(forms, leaves):
            node = input_of(tape, form, x)
            tape.t.entry[node].flags |= FT_ACTIVE
            inputs.append(node)
        results = splice(p.record.tape(), tape, inputs, p.record_outputs, p.n_result)
        s.start = 0
        s.end = tape.t.n
        s.lanes = 0
        begin_pull(tape, &s, inputs)
        for k in range(p.n_result):
            node = given(tape, results[k], None if cotangents is None else cotangents[k], f"cotangents[{k}]")
            give(tape, &s, results[k], node)
        run_pull(tape, &s)
        cts = [tape.ct[k] for k in range(s.end)]
        push_begin(tape, 0, s.end)
        for k in range(p.n_input):
            node = given(tape, <int32_t>k, None if tangents is None else tangents[k], f"tangents[{k}]")
            tape.tangent[k] = node
        push(tape, &s, 0, s.end)
        nodes = [i for i in range(s.end) if tape.t.entry[i].op != OP_constant and tape.t.entry[i].op != OP_view]
        trail = [tape.tangent[i] for i in nodes]
        wanted = [node for node in nodes + trail + [cts[i] for i in nodes] if node >= 0]
        at = new_args(tape, len(wanted))
        for k in range(<int64_t>len(wanted)):
            tape.t.args[at + k] = wanted[k]
        evaluate(tape, tape.t.args + at, len(wanted))
        label, out = {}, []
        for k, i in enumerate(nodes):
            label[i] = f"s{k}"
            text = entry_text(tape, i, label) if i < p.n_input or tape.t.entry[i].op != OP_input else "a known array"
            out.append((k, text, plain(tape, i, i), plain(tape, trail[k], i), plain(tape, cts[i], i)))
        return out
    finally:
        leave(tape, outer)
