"""Programs, and the bodies of what they call, as nodes and edges. Which of them are drawn, and how, is for others to say.

A sheet has the nodes of one program, operands before their readers. The results of a loop or a call are one node;
constants and views stand in their readers' texts, as in the listing.
"""
import numpy as np

from libc.stdint cimport int8_t

from fasttape._core.entries cimport called_text, is_labelled, operand_text, operands_of, type_text
from fasttape._core.listing cimport *
from fasttape._core.loops cimport Loop
from fasttape._core.program cimport Program
from fasttape._core.record cimport *
from fasttape._core.scan cimport *
from fasttape._core.sheet cimport Sheet, inside_of_loop
from fasttape._core.state cimport State

from fasttape._core.sheet import COMMUTE, KINDS, NAMES

__all__ = ["KINDS", "entries", "sheet"]

cdef enum:
    ROLES = 8                       # operands of a call beyond which edges do not say which they are

cdef set REDUCE = {OP_sum, OP_max, OP_min, OP_matmul}


# ---- a program

cdef class ProgramSheet(Sheet):
    cdef Program p
    cdef int32_t[::1] at            # by node: its entry, the first of its results
    cdef int32_t[::1] number        # by entry: k of s_k
    cdef list inputs                # what the arguments are called

    cdef dict labels_for(self, list entries):
        cdef int32_t i
        return {i: f"s{self.number[i]}" for i in entries if is_labelled(self.p.tape, i)}

    cdef dict labels_of(self, int32_t i):
        """What is needed to write entry i down."""
        cdef int32_t k, n = self.p.tape.t.entry[i].b if group_op(self.p.tape, i) else 1
        return self.labels_for([i + k for k in range(n)] + [root_of(self.p.tape, k) for k in operands_of(self.p.tape, i)])

    cdef object callee_of(self, int32_t k):
        cdef ft_entry *e = self.p.tape.t.entry + self.at[k]
        place = self.p.tape.t.args[e.aux]
        return self.p.tape.loops[place] if e.op == OP_loop else self.p.tape.programs[place]

    def words(self, int32_t k):
        cdef Tape tape = self.p.tape
        cdef int32_t i = self.at[k], j
        cdef dict label = self.labels_of(i)
        if not group_op(tape, i):
            return label[i], operation_text(self.p, i, label, self.inputs), type_text(tape, i), ()
        results = [i + j for j in range(tape.t.entry[i].b) if not is_store(tape, i + j)]
        types = [type_text(tape, j) for j in results]
        return series([label[j] for j in results]), called_text(tape, i, label), series(types), (steps_text(self.callee_of(k)),)

    def role(self, int32_t k, int32_t operand):
        cdef Tape tape = self.p.tape
        cdef ft_entry *e = tape.t.entry + self.at[k]
        if e.op == OP_program:
            n = tape.t.args[e.aux + 1]
            return roles_of(self.callee_of(k))[operand] if n <= ROLES else ""
        if NAMES[e.op] in COMMUTE or e.op == OP_pack or e.op == OP_assemble or e.op == OP_loop:
            return ""
        nodes = operands_of(tape, self.at[k])
        return "abc"[operand] if sum([tape.t.entry[root_of(tape, o)].op != OP_constant for o in nodes]) > 1 else ""

    def callee(self, int32_t k):
        cdef Loop loop
        if not group_op(self.p.tape, self.at[k]):
            return None
        x = self.callee_of(k)
        if isinstance(x, Loop):
            loop = <Loop>x
            return x, loop.code.n_op + loop.code.n_carry
        x = body_of(x)
        return x, (<Program>x).tape.t.n

    def inside(self, int32_t k):
        x = self.callee_of(k)
        if isinstance(x, Loop):
            return inside_of_loop(self.p.tape, self.at[k], x, self.labels_of(self.at[k]))
        if isinstance(x, Program):
            return inside_of_program(x)
        if isinstance(x, Scan):
            return inside_of_scan(x)
        return inside_of_reversal(x, self.reads_store(k))

    cdef bint reads_store(self, int32_t k):
        """Whether a reversal is left something by its loop."""
        cdef Tape tape = self.p.tape
        cdef int32_t store = tape.t.args[tape.t.entry[self.at[k]].aux + 2 + (<Reversal>self.callee_of(k)).loop.n_input]
        cdef int64_t j
        for j in range(len(self.at)):
            if store >= 0 and self.at[j] == group_of(tape, store):
                return True
        return False


cdef inline bint group_op(Tape tape, int32_t i) noexcept nogil:
    return tape.t.entry[i].op == OP_loop or tape.t.entry[i].op == OP_program


cdef str series(list texts):
    """Several of a kind."""
    return ", ".join(texts) if len(texts) <= 3 else f"{texts[0]}, {texts[1]}, ... {texts[len(texts) - 1]}"


cdef str steps_text(callee):
    cdef Scan f
    if isinstance(callee, Loop):
        return times_text(callee)
    if isinstance(callee, Program):
        return "a program"
    f = callee if isinstance(callee, Scan) else (<Reversal>callee).loop
    steps = f"{f.length:,} steps" if f.go < 0 else "as many steps as it takes"
    return steps if f.schedule is None else f"{steps}, {f.schedule!r}"


cdef Program body_of(callee):
    if isinstance(callee, Program):
        return callee
    return (<Scan>callee).body if isinstance(callee, Scan) else (<Reversal>callee).back


cdef int kind_of(Tape tape, int32_t i, int64_t n_input) noexcept:
    op = tape.t.entry[i].op
    if op == OP_input:
        return 0 if i < n_input else 1
    if op < FT_N_MAP or op == OP_cast:
        return 2
    if op in REDUCE:
        return 3
    return 5 if op == OP_loop else 6 if op == OP_program else 4


cdef int place_nodes(ProgramSheet sheet, Tape plan, int32_t[::1] node_of, int32_t[::1] at):
    """Which entries are nodes; how many there are."""
    cdef Program p = sheet.p
    cdef int32_t i, first, n = 0, number = 0
    for i in range(p.tape.t.n):
        sheet.number[i] = number
        number += is_labelled(p.tape, i)
        if i < p.n_input or p.tape.t.entry[i].op == OP_input or (plan.t.entry[i].flags & FT_NEED and is_labelled(p.tape, i)):
            first = group_of(p.tape, i)
            if node_of[first] < 0:
                node_of[first] = n
                at[n] = first
                n += 1
    return n


cdef int32_t edges_of(ProgramSheet sheet, int32_t[::1] node_of, int32_t[:, ::1] out):
    """Write the edges, if there is room; returns how many there are."""
    cdef Tape tape = sheet.p.tape
    cdef int32_t m = 0, k, j, o, first
    cdef Reads reads
    for k in range(<int32_t>len(sheet.at)):
        reads = reads_of(tape, tape.t.entry + sheet.at[k])
        for j in range(reads.n):
            o = reads.at[j * reads.step]
            if o < 0:
                continue
            o = root_of(tape, o)
            first = group_of(tape, o)
            if node_of[first] < 0:                      # a constant, or what is not computed
                continue
            if out is not None:
                out[m, 0], out[m, 1], out[m, 2], out[m, 3] = node_of[first], o - first, k, j
            m += 1
    return m


cdef tuple source_of(Tape tape, int32_t node, int32_t[::1] node_of):
    """(producer, which of its results)."""
    cdef int32_t o = root_of(tape, node)
    return node_of[group_of(tape, o)], o - group_of(tape, o)


cdef ProgramSheet sheet_of(Program p, list inputs, list outputs):
    cdef ProgramSheet sheet = ProgramSheet.__new__(ProgramSheet)
    cdef State s = p.begin()
    cdef Tape tape = p.tape
    cdef int32_t k, i
    cdef int8_t[::1] kind
    cdef int32_t[::1] op, run, node_of
    cdef int64_t n
    try:
        sheet.p, sheet.inputs, sheet.names = p, inputs, NAMES
        node_of = np.full(tape.t.n + 1, -1, np.int32)
        sheet.number = np.zeros(tape.t.n + 1, np.int32)
        at = np.zeros(tape.t.n + 1, np.int32)
        n = place_nodes(sheet, s.tape, node_of, at)
        sheet.at = at[:n].copy()
        sheet.kind, sheet.op, sheet.run = np.zeros(n, np.int8), np.zeros(n, np.int32), np.full(n, -1, np.int32)
        kind, op, run = sheet.kind, sheet.op, sheet.run
        for k in range(n):
            kind[k], op[k] = kind_of(tape, sheet.at[k], p.n_input), tape.t.entry[sheet.at[k]].op
        for i, number in runs_of(s).items():
            if node_of[i] >= 0:
                run[node_of[i]] = number
    finally:
        p.end(s)
    sheet.edges = np.zeros((edges_of(sheet, node_of, None), 4), np.int32)
    edges_of(sheet, node_of, sheet.edges)
    sheet.ends, sheet.guards = [], []
    for k in range(p.n_output):
        i = p.outputs[k]
        label = sheet.labels_for([root_of(tape, i)])
        if k < len(outputs):
            sheet.ends.append((outputs[k], operand_text(tape, i, label), *source_of(tape, i, node_of)))
        else:
            file, line = p.guards[k - p.n_result][2]
            sheet.guards.append((guard_text(p, k - p.n_result, label), f"{file}:{line}", *source_of(tape, i, node_of)))
    return sheet


cdef list names_of_results(Program p):
    cdef list out = []
    name_leaves(p.result, "result", out)
    return out


def sheet(Program p, list positions):
    """The sheet of a program, whose positional arguments are called so, as far as there are names."""
    return sheet_of(p, input_names(p, positions), names_of_results(p))


def entries(Program p):
    """How many entries it has."""
    return p.tape.t.n


# ---- what is called

cdef list numbered(str name, int64_t n):
    cdef int64_t k
    return [name if n == 1 else f"{name} {k}" for k in range(n)]


cdef list roles_of(callee):
    """What the operands of a call are."""
    cdef Scan f
    cdef Reversal r
    if isinstance(callee, Program):
        p = <Program>callee
        return input_names(p, []) if p.arguments is not None else numbered("argument", p.n_input)
    if isinstance(callee, Scan):
        f = callee
        return numbered("constant", f.n_constant) + numbered("carry", f.n_carry) + numbered("x", f.n_x)
    r = callee
    return roles_of(r.loop) + ["store"] + sums_of(r) + numbered("cotangent of y", len(r.ys))


cdef list sums_of(Reversal r):
    return numbered("cotangent of the carry", len(r.carry)) + numbered("sum for a constant", len(r.constants))


cdef tuple inside_of_program(Program p):
    cdef int64_t k
    names = names_of_results(p) + numbered("guarded value", p.n_output - p.n_result) if p.result is not None \
        else numbered("result", p.n_output)
    inner = sheet_of(p, roles_of(p), names)
    return inner, [[k] for k in range(p.n_input)], list(range(p.n_output))


cdef tuple inside_of_scan(Scan f):
    cdef int64_t k
    names = numbered("next carry", f.n_carry) + numbered("y", f.n_y)
    inner = sheet_of(f.body, roles_of(f), names)
    inner.ends.append(("store", "left for the reversal", -1, 0))
    inner.handed_on = [(k, f.n_constant + k) for k in range(f.n_carry)]
    return inner, [[k] for k in range(f.n_input)], list(range(f.n_output))


cdef tuple inside_of_reversal(Reversal r, bint store):
    """Without a store the loop is run again, from the carry that it began with."""
    cdef Scan f = r.loop
    cdef int64_t k, place, n = len(r.ports)
    cdef list names = [], kept = [], into = [[] for _ in range(r.n_input)], before = roles_of(f)
    for k, (kind, _, place, _) in enumerate(r.ports):
        if kind == FT_P_PLACE or kind == FT_P_SLICE:
            names.append(before[place])
            into[place].append(k)
            continue
        names.append("carry before the step" if r.data.light else "kept of the step")
        kept.append(k)
    names += sums_of(r) + numbered("cotangent of y", len(r.ys))
    for k in range(n, r.back.n_input):
        into[f.n_input + 1 + k - n].append(k)
    if kept:
        for place in [f.n_input] if store else range(f.n_input):
            into[place].append(kept[0] if len(kept) == 1 else -1)
    inner = sheet_of(r.back, names, sums_of(r) + numbered("cotangent of x", len(r.xs)))
    inner.kept = kept
    inner.handed_on = [(k, n + k) for k in range(len(r.sweep.at))]
    return inner, into, list(range(r.n_output))
