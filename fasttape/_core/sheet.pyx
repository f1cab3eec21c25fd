"""What is drawn of a program or of a loop's body, and the bodies of the optimiser's loops as such.

Of other bodies, and of programs, `graph.pyx` makes it.
"""
import numpy as np

from fasttape._core.entries cimport operand_text
from fasttape._core.listing cimport *
from fasttape._core.record cimport *

from fasttape._core import vm

NAMES = vm.names()
COMMUTE = {"add", "multiply", "maximum", "minimum", "fmax", "fmin", "equal", "not_equal", "hypot", "logaddexp", "logaddexp2",
           "logical_and", "logical_or", "logical_xor", "scale_both"}
KINDS = ("input", "known", "elementwise", "reduction", "structural", "loop", "call", "carry", "load")


cdef class Sheet:
    """`kind`, `op` and `run` are arrays, by node; `op` numbers the `names`, `run` is -1 where there is none. `edges` has rows
    (producer, which of its results, reader, which of its operands). `ends` are what is returned: (name, text, producer or -1,
    which of its results); `guards` likewise: (text, place, producer or -1, which of its results). `kept` are the nodes of a
    reversal's body that stand for what is known of the step; `handed_on` are pairs (end, node): what one step of a loop hands to
    the next, and what it is there."""

    def __len__(self):
        return len(self.kind)

    def words(self, int32_t k):
        """(label, operation, type, further lines) of a node."""
        raise NotImplementedError

    def role(self, int32_t k, int32_t operand):
        """Which operand it is, where the order matters."""
        return ""

    def callee(self, int32_t k):
        """What a node calls and how many entries that has; None where it calls nothing."""
        return None

    def inside(self, int32_t k):
        """(sheet, inputs, results) of what a node calls: by operand the nodes that it is there, -1 for all that are kept; by
        result the end."""
        raise NotImplementedError


cdef class LoopSheet(Sheet):
    cdef Loop loop
    cdef Tape tape                  # that the loop is on
    cdef int32_t first              # of its results, there
    cdef dict label
    cdef list at                    # by node: ~carry or operation

    def words(self, int32_t k):
        cdef int32_t x = self.at[k]
        if x < 0:
            return f"c{~x}", f"{operand_text(self.tape, self.loop.first[~x], self.label)} at first", "", ()
        op = self.loop.code.op[x]
        return f"v{x}", operation_of_loop(self.tape, self.loop, self.first, x, self.label), "float32" if op.f32 else "", ()

    def role(self, int32_t k, int32_t operand):
        cdef int32_t x = self.at[k]
        if x < 0 or NAMES[self.op[k]] in COMMUTE:
            return ""
        return "abc"[operand] if sum([v >= self.loop.code.n_constant for v in reads_of_op(self.loop, x)]) > 1 else ""


cdef list reads_of_op(Loop loop, int32_t k):
    """The values that an operation reads; of a store, the one stored."""
    op = loop.code.op[k]
    if op.op == FT_L_LOAD:
        return []
    if op.op == FT_L_STORE:
        return [op.b]
    return [op.a] if op.op == FT_L_CAST else [op.a, op.b, op.c][:rows[op.op].arity]


cdef tuple inside_of_loop(Tape tape, int32_t i, Loop loop, dict label):
    """The body of the loop whose first result is entry i, and what its operands and results are there."""
    cdef LoopSheet sheet = LoopSheet.__new__(LoopSheet)
    cdef int32_t k, j, begin = loop.code.n_constant + loop.code.n_carry
    cdef list kind = [], op = [], edges = [], into = [], results = [None] * tape.t.entry[i].b, ends = [], handed_on = []
    cdef dict node = {}             # value -> its node
    sheet.loop, sheet.tape, sheet.first, sheet.label = loop, tape, i, label
    sheet.at, sheet.names, sheet.guards = [], NAMES, []
    read = {v for k in range(loop.code.n_op) for v in reads_of_op(loop, k)} | {loop.code.next[k] for k in range(loop.code.n_carry)}
    for k in range(loop.code.n_carry):
        if loop.code.n_constant + k in read:
            node[loop.code.n_constant + k] = len(sheet.at)
            sheet.at.append(~k)
            kind.append(7)
            op.append(OP_input)
    for k in range(loop.code.n_op):
        if loop.code.op[k].op == FT_L_STORE:
            ends.append((stream_text(sheet.tape, loop, i, loop.code.op[k].a, sheet.label), loop.code.op[k].b))
            results[~loop.stream[loop.code.op[k].a]] = len(ends) - 1
            continue
        node[begin + k] = len(sheet.at)
        for j, v in enumerate(reads_of_op(loop, k)):
            if v in node:
                edges.append((node[v], 0, len(sheet.at), j))
        sheet.at.append(k)
        kind.append(8 if loop.code.op[k].op == FT_L_LOAD else 2)
        op.append(OP_get if loop.code.op[k].op == FT_L_LOAD else OP_cast if loop.code.op[k].op == FT_L_CAST else loop.code.op[k].op)
    for k in range(loop.code.n_carry):
        name = f"next c{k}" if loop.code.n_constant + k in node else ""
        if loop.last[k] >= 0:
            results[loop.last[k]] = len(ends)
            name = f"{name}; the last is {sheet.label[i + loop.last[k]]}" if name else f"{sheet.label[i + loop.last[k]]}, the last"
        if loop.code.n_constant + k in node:
            handed_on.append((len(ends), node[loop.code.n_constant + k]))
        ends.append((name, loop.code.next[k]))
    sheet.handed_on = handed_on
    sheet.ends = [(name, value_text(loop, v), node.get(v, -1), 0) for name, v in ends]
    for k in range(loop.code.n_stream):
        if loop.stream[k] >= 0:
            into.append([node[begin + j] for j in range(loop.code.n_op) if loop.code.op[j].op == FT_L_LOAD and loop.code.op[j].a == k])
    into += [[node[loop.code.n_constant + k]] if loop.code.n_constant + k in node else [] for k in range(loop.code.n_carry)]
    sheet.kind, sheet.op, sheet.run = np.array(kind, np.int8), np.array(op, np.int32), np.full(len(kind), -1, np.int32)
    sheet.edges = np.array(edges, np.int32).reshape(len(edges), 4)
    return sheet, into, results
