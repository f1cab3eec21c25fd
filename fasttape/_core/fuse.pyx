"""Fusing: neighbouring arithmetic of a run becomes one step of machine code, its inner values in registers.

For plans that are kept. Members that need a function (a sine) stay steps of their own, with rows between
them and the code. Steps that do the same share their code.
"""
from libc.string cimport memset

from fasttape._core.loop cimport Code, emit as append_code, ft_code, ft_loop, ft_loop_op, native, seal
from fasttape._core.rows cimport *

cdef enum:
    MOST_OPS = 384                  # of a step, with its loads and stores
    MOST_CONSTANTS = 64


cdef struct Body:                   # a step's code while it is written; values are numbered as `ft_loop` says
    int n_op, n_constant, n_stream
    ft_loop_op op[MOST_OPS]
    double constant[MOST_CONSTANTS]
    int32_t node[FT_STREAMS]        # that a stream reads or writes
    uint8_t written[FT_STREAMS]
    int64_t stride[FT_STREAMS]
    uint8_t narrow[FT_STREAMS]
    int32_t value[FT_STREAMS]       # of a stream that is read: the op that loads it


cdef bint is_native(int op) noexcept nogil:
    return op == OP_cast or (op < FT_N_MAP and native(op))


cdef inline int arity_of(ft_entry *e) noexcept nogil:
    return rows[e.op].arity if e.op < FT_N_MAP else 1


cdef inline int32_t node_at(ft_entry *e, int k) noexcept nogil:
    return e.a if k == 0 else e.b if k == 1 else e.aux


cdef inline ft_loop_op *new_op(Body *b, int op, int f32) noexcept nogil:
    cdef ft_loop_op *o = b.op + b.n_op
    memset(o, 0, sizeof(ft_loop_op))
    o.op = <uint8_t>op
    o.f32 = f32
    b.n_op += 1
    return o


cdef int new_stream(Body *b, int32_t node, int64_t stride, bint narrow, bint written) noexcept nogil:
    cdef int k = b.n_stream
    b.node[k] = node
    b.written[k] = written
    b.stride[k] = stride
    b.narrow[k] = narrow
    b.n_stream += 1
    return k


# Operands while the body is written: ops are 0 and more, constants below.

cdef int32_t value_of(Tape tape, Body *b, int32_t node) noexcept nogil:
    """What an operand from outside the step is: a constant, or an element that is loaded."""
    cdef ft_entry *e = tape.t.entry + node
    cdef int k
    if e.op == OP_constant and b.n_constant < MOST_CONSTANTS:
        for k in range(b.n_constant):
            if (<uint64_t *>b.constant)[k] == (<uint64_t *>&tape.t.val[node].f)[0]:
                return -1 - k
        b.constant[b.n_constant] = tape.t.val[node].f
        b.n_constant += 1
        return -b.n_constant
    for k in range(b.n_stream):
        if b.node[k] == node and not b.written[k]:
            return b.value[k]
    if e.shape == 0:
        k = new_stream(b, node, 0, False, False)
    else:
        k = new_stream(b, node, itemsize(e.dtype), itemsize(e.dtype) == 4, False)
    b.value[k] = b.n_op
    new_op(b, FT_L_LOAD, 0).a = k
    return b.value[k]


cdef int32_t number_of(Tape tape, Body *b, int32_t node) noexcept nogil:
    """The number of the op that a member is. One that lies at a fixed place is written, and noted with that."""
    cdef int k
    if not tape.t.entry[node].flags & FT_FIXED:
        return <int32_t><ssize_t>tape.t.val[node].p
    for k in range(b.n_stream):
        if b.written[k] and b.node[k] == node:
            return b.value[k]
    return -1


cdef int write_member(Tape tape, Plan *plan, Body *b, int32_t i, int32_t first, int32_t last, int32_t end) noexcept nogil:
    """Append the ops of member i of a step that goes from member `first` to `last`. Its op's number is kept in
    val while the body is written, unless it lies at a fixed place."""
    cdef ft_entry *e = tape.t.entry + i
    cdef ft_loop_op *o
    cdef int32_t v[3]
    cdef int k
    cdef int32_t node
    for k in range(arity_of(e)):
        node = node_at(e, k)
        if first <= node < i and tape.t.entry[node].flags & FT_INRUN and tape.t.entry[node].op != OP_view:
            v[k] = number_of(tape, b, node)
        else:
            v[k] = value_of(tape, b, node)
    if not e.flags & FT_FIXED:
        tape.t.val[i].p = <void *><ssize_t>b.n_op
    o = new_op(b, FT_L_CAST if e.op == OP_cast else e.op, itemsize(e.dtype) == 4)
    o.a = v[0]
    if arity_of(e) > 1:
        o.b = v[1]
    if arity_of(e) > 2:
        o.c = v[2]
    if tape.t.last[i] > last:
        k = new_stream(b, i, itemsize(e.dtype), itemsize(e.dtype) == 4, True)
        b.value[k] = b.n_op - 1
        o = new_op(b, FT_L_STORE, 0)
        o.a = k
        o.b = b.n_op - 2
    return 0


cdef int settle_values(Body *b) noexcept nogil:
    """Number the values as the finished code does: constants first."""
    cdef int k, arity
    cdef ft_loop_op *o
    for k in range(b.n_op):
        o = b.op + k
        if o.op == FT_L_LOAD:
            continue
        if o.op == FT_L_STORE:
            o.b = -1 - o.b if o.b < 0 else o.b + b.n_constant
            continue
        arity = rows[o.op].arity if o.op < FT_N_MAP else 1
        o.a = -1 - o.a if o.a < 0 else o.a + b.n_constant
        if arity > 1:
            o.b = -1 - o.b if o.b < 0 else o.b + b.n_constant
        if arity > 2:
            o.c = -1 - o.c if o.c < 0 else o.c + b.n_constant
    return 0


cdef class Codes:
    """Machine code by what it does. What is new since the last `finish` cannot be run yet."""
    cdef dict number_of
    cdef list starts
    cdef list made                  # Code
    cdef list functions             # addresses; None while there is none
    cdef ft_code code

    def __cinit__(self):
        self.number_of = {}
        self.starts = []
        self.made = []
        self.functions = []
        memset(&self.code, 0, sizeof(ft_code))


def new_codes():
    return Codes()


cdef object own_codes(object shared):
    """Codes to plan with: they have what there is, and what is new is theirs. Other threads may run and copy the
    shared ones meanwhile, which do not change."""
    cdef Codes old = shared, new
    if old is None:
        return None
    new = Codes()
    new.number_of.update(old.number_of)
    new.starts.extend(old.starts)
    new.made.extend(old.made)
    new.functions.extend(old.functions)
    return new


cdef int64_t code_number(Tape tape, Body *b) except -2:
    """The number of the code for this body, or -1 where there is none."""
    cdef Codes codes = tape.codes
    cdef ft_loop loop
    cdef int64_t start
    key = ((<char *>b.op)[:b.n_op * sizeof(ft_loop_op)], (<char *>b.constant)[:b.n_constant * 8],
           (<char *>b.stride)[:b.n_stream * 8], (<char *>b.narrow)[:b.n_stream])
    number = codes.number_of.get(key)
    if number is None:
        memset(&loop, 0, sizeof(ft_loop))
        loop.n_constant = b.n_constant
        loop.n_op = b.n_op
        loop.n_stream = b.n_stream
        loop.constant = b.constant
        loop.op = b.op
        loop.stride = b.stride
        loop.stream_f32 = b.narrow
        start = append_code(&codes.code, &loop, True)
        number = -1
        if start >= 0:
            number = len(codes.functions)
            codes.functions.append(None)
            codes.starts.append(start)
        codes.number_of[key] = number
    return number


cdef int64_t fused(Tape tape, Plan *plan, int64_t k, int32_t end) except -1 nogil:
    """Make one step of as many members as there are, from member k on, that machine code can compute. Returns how
    many; 0 where it is not worth it."""
    cdef Body b
    cdef ft_step s[FT_STREAMS]
    cdef int64_t n = 0, number, j
    cdef int32_t first = tape.member[k], last, i, shape = plan.run.shape
    cdef ft_entry *e
    cdef int m
    b.n_op = b.n_constant = b.n_stream = 0
    while k + n < tape.n_member and is_native(tape.t.entry[tape.member[k + n]].op) \
            and 4 * n + 4 <= FT_STREAMS:
        n += 1
    if n < 2:
        return 0
    last = tape.member[k + n - 1]
    for j in range(k, k + n):
        write_member(tape, plan, &b, tape.member[j], first, last, end)
    settle_values(&b)
    with gil:
        number = code_number(tape, &b)
    if number < 0:
        return 0
    memset(s, 0, b.n_stream * sizeof(ft_step))
    for m in range(b.n_stream):
        s[m].kind = FT_STEP_STREAM
        if b.written[m]:
            destination(tape, plan, b.node[m], end, &s[m])
        else:
            operand(tape, plan, b.node[m], shape, b.stride[m] != 0, &s[m], 0)
    for j in range(k, k + n):
        i = tape.member[j]
        e = tape.t.entry + i
        for m in range(arity_of(e)):
            if not first <= node_at(e, m) <= last:
                end_of_row(tape, plan, node_at(e, m), i)
    free_evicted(plan)
    new_step(tape).kind = FT_STEP_CODE
    tape.step[tape.n_step - 1].code = <void *><ssize_t>number
    tape.step[tape.n_step - 1].view = b.n_stream
    for m in range(b.n_stream):
        new_step(tape)[0] = s[m]
    return n


cdef int finish_codes(Tape tape) except -1:
    """Make the code that was appended runnable, and point the plan's steps to it. 0 where the system refuses."""
    cdef Codes codes = tape.codes
    cdef Code made
    cdef int64_t k
    if codes.code.n:
        made = seal(&codes.code)
        if made is None:
            return 0
        codes.made.append(made)
        for k in range(len(codes.functions)):
            if codes.functions[k] is None:
                codes.functions[k] = <size_t><void *>made.at(codes.starts[k])
    for k in range(tape.n_step):
        if tape.step[k].kind == FT_STEP_CODE:
            tape.step[k].code = <void *><size_t>codes.functions[<ssize_t>tape.step[k].code]
    return 1
