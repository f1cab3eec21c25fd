"""A program written out, for people: its entries line by line, as its plan groups them, and its loops with their
bodies."""
import numpy as np

from fasttape._core.entries cimport applied_text, entry_text, is_labelled, operand_text, type_text
from fasttape._core.loops cimport Loop
from fasttape._core.program cimport Program
from fasttape._core.record cimport *
from fasttape._core.signature cimport *
from fasttape._core.state cimport State

cdef enum:
    MOST_LINES = 48                 # of entries, and of a loop's body; beyond, the middle is left out
    HEAD = 28


# ---- what it takes and gives

cdef str call_text(Program p):
    cdef Form positional = p.arguments.parts[0], named = p.arguments.parts[1], part
    texts = [written(part) for part in positional.parts]
    texts += [f"{name}={written(part)}" for name, part in zip(named.names, named.parts)]
    return f"{p.name}({', '.join(texts)})"


cdef Form with_types(Form form, Program p, list at):
    """A copy of the result's form whose leaves say their shape and dtype. `at` counts the leaves."""
    cdef Form copy = Form.__new__(Form)
    cdef ft_entry *e
    copy.kind, copy.value, copy.names, copy.type = form.kind, form.value, form.names, form.type
    if form.kind <= ARRAY:
        e = p.tape.t.entry + p.outputs[<int64_t>at[0]]
        at[0] += 1
        copy.kind = ARRAY if e.shape else NUMBER32 if e.dtype & 1 else NUMBER64
        copy.dtype = e.dtype & 1
        copy.shape = shape_tuple(p.tape, e.shape)
    elif form.parts is not None:
        copy.parts = tuple([with_types(part, p, at) for part in form.parts])
    return copy


cdef str result_text(Program p):
    return written(with_types(p.result, p, [0]))


def heading(Program p):
    """One line: name, forms of the arguments and of the result."""
    return f"{call_text(p)} -> {result_text(p)}"


def line(Program p):
    loops = f", {len(p.tape.loops)} loops" if p.tape.loops else ""
    guards = f", {len(p.guards)} guards" if p.guards else ""
    return f"<program {heading(p)}: {p.tape.t.n} entries{loops}{guards}>"


cdef int name_leaves(Form form, str where, list out) except -1:
    """What each number and array of a tree is called: where it is, from `where` on."""
    if form.kind <= ARRAY:
        out.append(where)
    elif form.parts is not None:
        for k, part in enumerate(form.parts):
            step = f"[{k}]" if form.kind in (TUPLE, LIST) else f"[{form.names[k]!r}]" if form.kind == DICT \
                else f".{form.names[k]}"
            name_leaves(part, where + step, out)
    return 0


cdef list input_names(Program p, list positions):
    """`positions` are what the first of the positional arguments are called."""
    cdef Form positional = p.arguments.parts[0], named = p.arguments.parts[1]
    cdef list out = []
    for k, part in enumerate(positional.parts):
        name_leaves(part, positions[k] if k < len(positions) else f"argument {k}", out)
    for name, part in zip(named.names, named.parts):
        name_leaves(part, f"argument {name}", out)
    return out


# ---- entries

cdef dict labels(Tape tape):
    """What the nodes are called: s0, s1, ... without the constants and the views, which stand in their readers."""
    cdef dict label = {}
    cdef int64_t i
    for i in range(tape.t.n):
        if is_labelled(tape, i):
            label[i] = f"s{len(label)}"
    return label


cdef object shortened(list items, str what):
    """The items, the middle ones of many replaced by a line that says how many they are."""
    if len(items) <= MOST_LINES:
        return items
    left_out = len(items) - MOST_LINES + 1
    return items[:HEAD] + [f"... {left_out} more {what}"] + items[HEAD + left_out:]


cdef dict runs_of(State s):
    """Entry -> the number of the run that computes it."""
    cdef Tape tape = s.tape
    cdef int64_t k
    cdef int32_t i
    cdef set alone = {tape.instr[k].node for k in range(tape.n_instr) if tape.instr[k].op != FT_I_RUN}
    cdef dict out = {}
    first = [tape.instr[k].node for k in range(tape.n_instr) if tape.instr[k].op == FT_I_RUN]
    if not first:
        return out
    # one run is open at a time, and each is named by its first entry
    for i, k in enumerate(np.searchsorted(first, np.arange(tape.t.n), side="right").tolist()):
        op = tape.t.entry[i].op
        if k and tape.t.entry[i].flags & FT_NEED and (
                (tape.t.entry[i].shape and (op < FT_N_MAP or op == OP_cast))
                or (op == OP_sum and not tape.t.entry[i].shape and i not in alone)):
            out[i] = k - 1
    return out


# ---- loops

cdef str value_text(Loop loop, int32_t v):
    """A value of a loop's body: a constant, c0, c1, ... the carries, v0, v1, ... what is computed from them."""
    cdef int first = loop.code.n_constant, begin = loop.code.n_constant + loop.code.n_carry
    return f"{loop.code.constant[v]:g}" if v < first else f"c{v - first}" if v < begin else f"v{v - begin}"


cdef str stream_text(Tape tape, Loop loop, int32_t i, int32_t k, dict label):
    """What stream k of the loop whose first result is entry i reads or writes."""
    cdef int32_t node = loop.stream[k]
    text = operand_text(tape, node, label) if node >= 0 else label[i + ~node]
    step = loop.code.stride[k] // (4 if loop.code.stream_f32[k] else 8)
    if node >= 0 and loop.code.stride[k] == 0:
        return text
    return f"{text}[i]" if step > 0 or node < 0 else f"{text}[i], i downwards"


cdef str operation_of_loop(Tape tape, Loop loop, int32_t i, int32_t k, dict label):
    """What operation k of its body does; of a store, what is stored."""
    op = loop.code.op[k]
    if op.op == FT_L_LOAD:
        return stream_text(tape, loop, i, op.a, label)
    if op.op == FT_L_STORE:
        return value_text(loop, op.b)
    if op.op == FT_L_CAST:
        return f"{'float32' if op.f32 else 'float64'}({value_text(loop, op.a)})"
    return applied_text(op.op, [value_text(loop, v) for v in (op.a, op.b, op.c)[:rows[op.op].arity]])


cdef list loop_lines(Tape tape, int32_t i, dict label):
    """The body of the loop whose first result is entry i."""
    cdef Loop loop = tape.loops[tape.t.args[tape.t.entry[i].aux]]
    cdef int32_t k
    cdef list out = []
    for k in range(loop.code.n_carry):
        text = f"c{k} = {operand_text(tape, loop.first[k], label)} at first, then {value_text(loop, loop.code.next[k])}"
        out.append(text + (f"; {label[i + loop.last[k]]} is the last" if loop.last[k] >= 0 else ""))
    for k in range(loop.code.n_op):
        stores = loop.code.op[k].op == FT_L_STORE
        what = stream_text(tape, loop, i, loop.code.op[k].a, label) if stores else f"v{k}"
        out.append(f"{what} = {operation_of_loop(tape, loop, i, k, label)}")
    return [f"      {text}" for text in shortened(out, "lines")]


cdef str times_text(Loop loop):
    return f"{loop.count} times, {'machine code' if loop.function != NULL else 'interpreted'}"


# ---- lines

cdef str operation_text(Program p, int32_t i, dict label, list names):
    """What entry i is."""
    cdef Tape tape = p.tape
    cdef ft_entry *e = tape.t.entry + i
    if i < p.n_input:
        return names[i]
    if e.op == OP_input:
        return "a known array"
    if e.op == OP_loop:
        loop = <Loop>tape.loops[tape.t.args[e.aux]]
        return f"{entry_text(tape, i, label)}, " + (f"{loop.count} times" if e.a else times_text(loop))
    return entry_text(tape, i, label)


def entries(Program p, list positions=None):
    """(the run that computes it, its label, what it is, its type, the lines of a loop's body) of each entry; or a text, in
    the place of the middle ones of many."""
    cdef State s = p.begin()
    cdef Tape tape = p.tape
    cdef int32_t i
    cdef dict label, run
    cdef list out = []
    try:
        label, run, names = labels(tape), runs_of(s), input_names(p, positions or [])
        nodes = [i for i in label if i < p.n_input or s.tape.t.entry[i].flags & FT_NEED or tape.t.entry[i].op == OP_input]
        for x in shortened(nodes, "entries"):
            if isinstance(x, str):
                out.append(x)
                continue
            i = x
            body = loop_lines(tape, i, label) if tape.t.entry[i].op == OP_loop and tape.t.entry[i].a == 0 else []
            out.append((run.get(i), label[i], operation_text(p, i, label, names), type_text(tape, i), body))
    finally:
        p.end(s)
    return out


cdef str guard_text(Program p, int64_t k, dict label):
    """What guard k must see."""
    how, seen, _ = p.guards[k]
    what = operand_text(p.tape, p.outputs[p.n_result + k], label)
    what = what if how is None else f"{getattr(how, '__name__', 'a function')}({what})"
    outcome = np.array2string(seen, threshold=6) if isinstance(seen, np.ndarray) else repr(seen)
    return f"{what} must be {outcome}"


def text(Program p):
    """The whole listing."""
    cdef int64_t k
    cdef dict label = labels(p.tape)
    out = [heading(p)]
    for entry in entries(p):
        if isinstance(entry, str):
            out.append(f"          {entry}")
            continue
        run, name, what, type, body = entry
        mark = "" if run is None else f"run {run} |"
        left = f"{mark:>9} {name} = {what}"
        out += [f"{left:<60} {type}", *body]
    results = [operand_text(p.tape, p.outputs[k], label) for k in range(p.n_result)]
    out.append(f"  returns {', '.join(shortened(results, 'results'))}")
    for k in range(len(p.guards)):
        file, number = p.guards[k][2]
        out.append(f"  guard {guard_text(p, k, label)}, {file}:{number}")
        if k == MOST_LINES - 1 and len(p.guards) > MOST_LINES:
            out.append(f"  ... {len(p.guards) - MOST_LINES} more guards")
            break
    return "\n".join(out)


def entry_texts(Program p):
    """Of each entry its label, or None, and what it computes, as in the listing; for comments in exported C."""
    cdef Tape tape = p.tape
    cdef int64_t i
    cdef dict label = labels(tape)
    return [(label.get(i), entry_text(tape, <int32_t>i, label) if tape.t.entry[i].shape else None) for i in range(tape.t.n)]
