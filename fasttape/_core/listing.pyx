"""A tape written out, for people."""
from fasttape._core.array cimport Array
from fasttape._core.plan cimport evaluate
from fasttape._core.record cimport *
from fasttape._core.pull cimport give
from fasttape._core.push cimport push, push_begin
from fasttape._core.sweep cimport Sweep
from fasttape._core.trace cimport begin_pull, current, enter_own, leave, new_input, output_node, run_pull

from fasttape._core import vm

cdef dict INFIX = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/", "power": "**"}


cdef str operation(Tape tape, list names, int32_t i, dict label):
    cdef ft_entry e = tape.t.entry[i]
    name = names[e.op]

    def text(node):
        if tape.t.entry[node].op == OP_constant:
            return f"{tape.t.val[node].f:g}"
        return label.get(node, "?")

    if e.op == OP_input:
        return "x"
    if name in INFIX:
        return f"{text(e.a)} {INFIX[name]} {text(e.b)}"
    arity = rows[e.op].arity if e.op < FT_N_MAP else 1
    return f"{name}({', '.join([text(node) for node in (e.a, e.b, e.aux)[:arity]])})"


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
        made, label, names = [], {}, vm.names()
        for i in range(s.end):
            if tape.t.entry[i].op != OP_constant:
                label[i] = f"s{len(made)}"
                made.append((i, operation(tape, names, <int32_t>i, label), tape.tangent[i], cts[i]))
        wanted = [node if node >= 0 else zero for row in made for node in (row[0], row[2], row[3])]
        at = new_args(tape, len(wanted))
        for i in range(<int64_t>len(wanted)):
            tape.t.args[at + i] = wanted[i]
        evaluate(tape, tape.t.args + at, len(wanted))
        return [(k, row[1], tape.t.val[wanted[3 * k]].f, tape.t.val[wanted[3 * k + 1]].f, tape.t.val[wanted[3 * k + 2]].f)
                for k, row in enumerate(made)]
    finally:
        leave(tape, outer)
