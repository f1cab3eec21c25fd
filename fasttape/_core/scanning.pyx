"""Loops as they are recorded: the body is traced, the loop becomes one call."""
from fasttape._core.body cimport Body, trace_body
from fasttape._core.calls cimport emit_call, nodes_of, tape_of
from fasttape._core.record cimport *
from fasttape._core.scan cimport Scan, new_scan
from fasttape._core.signature cimport *
from fasttape._core.trace cimport current, enter_own, leave, values
from fasttape._core.tracer cimport Tracer, after_record, operand, wrap

import numpy as np

from fasttape._core import reversal_sweeps, scan_lanes, scan_sweeps
from fasttape._core.trace import describe

scan_sweeps.install()
reversal_sweeps.install()
scan_lanes.install()


cdef tuple type_of(Tape tape, int32_t node, bint weak):
    cdef ft_entry *e = tape.t.entry + node
    return e.dtype & 1, shape_tuple(tape, e.shape), FT_WEAK if weak else 0


cdef class Recording:
    """A loop that is being recorded: what it begins with, and where."""
    cdef str who
    cdef Form carry
    cdef list kinds, carry_nodes
    cdef Tape outer, tape
    cdef bint own                   # a tape of its own, since nobody is tracing

    def __init__(self, str who, carry, list others):
        cdef list leaves = []
        self.who = who
        self.carry = form_of(carry, f"{who}: the carry")
        gather(self.carry, carry, leaves)
        self.kinds = []
        leaf_forms(self.carry, self.kinds)
        self.outer = current()
        self.tape = tape_of(leaves + others, current())
        self.own = self.tape is None
        if self.own:
            self.tape = enter_own()
        try:
            self.carry_nodes = nodes_of(self.carry, self.tape, leaves)
        except BaseException:
            self.close()
            raise

    cdef int close(self) except -1:
        if self.own:
            leave(self.tape, self.outer)
        return 0

    cdef list arguments(self):
        """Types of the carry."""
        cdef Form part
        return [type_of(self.tape, node, part is not None and part.kind == PYTHON_FLOAT)
                for node, part in zip(self.carry_nodes, self.kinds)]

    cdef list returned_carry(self, object carry):
        """The leaves of the carry that a step returns, which must be like the one that it took."""
        cdef Form form = form_of_result(carry, f"{self.who}: the carry that the step returns")
        cdef list out = []
        different = unlike_tree(self.carry, form, "it")
        if different is not None:
            raise TypeError(f"{self.who}: the step must return a carry like the one that it takes: {different}")
        gather(form, carry, out)
        return out

    cdef list finish(self, Scan loop, Body body, list others, share):
        """Append the call; the leaves of its results. `share` makes a schedule of a budget."""
        cdef int32_t first
        cdef Tape around = self.tape
        while around.parent is not None and not around.budget:
            around = around.parent
        if loop.schedule is None and around.budget:
            loop.schedule, loop.shares = share(around.budget), True
        first = emit_call(self.tape, loop, body.constants + self.carry_nodes + others)
        cdef int64_t k
        nodes = [first + k for k in range(loop.n_output - 1)]
        after_record(self.tape)
        return values(self.tape, nodes) if self.own else [wrap(self.tape, node) for node in nodes]


cdef object unlike_tree(Form form, Form other, str where):
    """What of a returned tree is not as it was taken: the first difference, or None. The types of leaves are compared
    when their nodes are known."""
    cdef int k
    if form.kind <= ARRAY:
        return None if other.kind <= ARRAY else f"{where} is {written(other)}, and was a number or an array"
    if form.kind == FIXED or form.kind == FIXED_ARRAY:
        if other.kind == form.kind and form.key() == other.key():
            return None
        return f"{where} is {written(other)}, and was {written(form)}; whole numbers, truth values and other objects are " \
               f"fixed when the step is traced: pass as float what changes"
    if form.type is not other.type or form.names != other.names or len(form.parts) != len(other.parts):
        return f"{where} is {written(other)}, and was {written(form)}"
    for k in range(len(form.parts)):
        step = f"[{k}]" if form.kind in (TUPLE, LIST) else f"[{form.names[k]!r}]" if form.kind == DICT else f".{form.names[k]}"
        different = unlike_tree(form.parts[k], other.parts[k], where + step)
        if different is not None:
            return different
    return None


cdef str type_text(part):
    return f"{'float32' if part[0] & 1 else 'float64'}{list(part[1]) if part[1] else ''}"


cdef object trace_step(Recording r, object run, list others):
    """The body, and True; or, where a Python number that is handed on becomes a float32, False."""
    cdef list arguments = r.arguments()
    cdef Body body = trace_body(r.tape, run, arguments + others, r.who)
    cdef int64_t k, n = len(arguments)
    again = False
    for k, part in enumerate(body.program.results()[:n]):
        dtype, dims, weak = arguments[k]
        if part == (dtype, dims):
            continue
        if weak and part == (FT_F32, ()):
            r.carry_nodes[k] = cast(r.tape, r.carry_nodes[k], FT_F32)
            r.kinds[k] = None
            again = True
            continue
        raise TypeError(f"{r.who}: the step must return a carry like the one that it takes: number {k} of its numbers and "
                        f"arrays is {type_text(part)}, and was {type_text((dtype, dims))}")
    return None if again else body


cdef Body traced_body(Recording r, object run, list others):
    body = None
    while body is None:
        body = trace_step(r, run, others)
    return body


def scan(step, carry, xs, length, schedule, share, folder, who):
    """What `fasttape.scan` does, its arguments being checked."""
    cdef Form xs_form = form_of(xs, f"{who}: xs"), y_form
    cdef list xs_leaves = [], made, others
    cdef Recording r
    cdef Body body
    cdef int64_t n
    gather(xs_form, xs, xs_leaves)
    r = Recording(who, carry, xs_leaves)
    n = len(r.carry_nodes)
    try:
        xs_nodes = nodes_of(xs_form, r.tape, xs_leaves)
        others = []
        for node in xs_nodes:
            dtype, dims, _ = type_of(r.tape, node, False)
            others.append((dtype, dims[1:], 0))
        results = []

        def run(list traced):
            cdef list out
            returned = step(rebuilt(r.carry, traced[:n]), rebuilt(xs_form, traced[n:]))
            if type(returned) is not tuple or len(returned) != 2:
                raise TypeError(f"{who}: the step must return (carry, y), got {type(returned).__name__}; return (carry, None) where "
                                f"there is nothing to stack")
            out = r.returned_carry(returned[0])
            results.append(form_of_result(returned[1], f"{who}: the y that the step returns"))
            gather(results[len(results) - 1], returned[1], out)
            return out

        body = traced_body(r, run, others)
        made = r.finish(new_scan(body.program, len(body.constants), n, len(xs_nodes), length, -1, who, schedule, folder),
                        body, xs_nodes, share)
    finally:
        r.close()
    y_form = results[len(results) - 1]
    return rebuilt(r.carry, made[:n]), rebuilt(y_form, made[n:])


def fori_loop(lower, upper, body_function, carry, schedule, share, folder, who):
    """What `fasttape.fori_loop` does: the counter is handed on beside the carry."""
    cdef Recording r = Recording(who, (float(lower), carry), [])
    cdef list made
    cdef Body body
    cdef int64_t n = len(r.carry_nodes)
    try:
        def run(list traced):
            i, inner = rebuilt(r.carry, traced)
            return r.returned_carry((i + 1.0, body_function(i, inner)))

        body = traced_body(r, run, [])
        made = r.finish(new_scan(body.program, len(body.constants), n, 0, upper - lower, -1, who, schedule, folder), body, [], share)
    finally:
        r.close()
    return rebuilt(r.carry, made[:n])[1]


def while_loop(condition, body_function, carry, schedule, share, folder, who):
    """What `fasttape.while_loop` does: whether to go on is handed on beside the carry, as 1 or 0."""
    cdef Recording r = Recording(who, (0.0, carry), [])
    cdef list made
    cdef Body body
    cdef int64_t n = len(r.carry_nodes)

    def asked(inner):
        go = condition(inner)
        if isinstance(go, (bool, np.bool_)):
            return float(go)
        if not isinstance(go, Tracer) or go.ndim:
            raise TypeError(f"{who}: the condition must return one truth value, got {describe(go)}")
        return np.where(go, 1.0, 0.0)

    try:
        leaves = [wrap(r.tape, node) for node in r.carry_nodes]
        r.carry_nodes[0] = operand(r.tape, asked(rebuilt(r.carry, leaves)[1]), 0)
        leaves.clear()

        def run(list traced):
            inner = body_function(rebuilt(r.carry, traced)[1])
            return r.returned_carry((asked(inner), inner))

        body = traced_body(r, run, [])
        made = r.finish(new_scan(body.program, len(body.constants), n, 0, 0, 0, who, schedule, folder), body, [], share)
    finally:
        r.close()
    return rebuilt(r.carry, made[:n])[1]
