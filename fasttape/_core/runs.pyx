"""Runs: neighbouring elementwise entries of one shape, computed block by block, whose inner values live in
scratch rows and never touch memory.

At most one run is open at a time. It is emitted when it closes, so an entry that does not read it may
be emitted before it; whatever would disturb what the open run still has to read closes it first.
"""
from libc.string cimport memset

from fasttape._core.fuse cimport fused
from fasttape._core.rows cimport *

cdef enum:
    CASCADE_BYTES = 528             # of one ft_cascade, kernels/reduce.h
    AT_ONCE = 1 << 20               # elements that are copied between two looks for signals


# ---- members and their steps

cdef void pair_up(Tape tape, Plan *plan, int32_t i) noexcept nogil:
    """The sine and the cosine of one operand are computed together, where the first of them stands. A
    unary entry has no use for its `aux`: while the run is open it names the other one, or is -1."""
    cdef ft_entry *e = tape.t.entry + i
    cdef int32_t *slot = plan.run.angle + (e.a & (PAIRS - 1))
    cdef ft_entry *other = tape.t.entry + slot[0]
    if other.flags & FT_INRUN and (other.op == OP_sin or other.op == OP_cos) and other.op != e.op \
            and other.a == e.a and other.aux == 0:
        other.aux = i
        e.aux = -1
    slot[0] = i


cdef int plan_pair(Tape tape, Plan *plan, int32_t i, int32_t end) except -1 nogil:
    """Append the step for entry i, a sine or cosine, and the other one."""
    cdef int32_t j = tape.t.entry[i].aux, a = tape.t.entry[i].a
    cdef int sine = tape.t.entry[i].op == OP_sin
    cdef ft_step s, other
    memset(&s, 0, sizeof(ft_step))
    memset(&other, 0, sizeof(ft_step))
    s.kernel = machine.kernel(FT_K_SINCOS, itemsize(tape.t.entry[i].dtype) == 4, 0)
    operand(tape, plan, a, tape.t.entry[i].shape, False, &s, 1)
    destination(tape, plan, i if sine else j, end, &s)
    destination(tape, plan, j if sine else i, end, &other)
    s.at[2] = other.at[0]
    s.step[2] = other.step[0]
    s.rows |= (other.rows & 1) << 2
    end_of_row(tape, plan, a, i)
    tape.t.entry[i].aux = 0
    new_step(tape)[0] = s
    return 0


cdef int plan_member(Tape tape, Plan *plan, int32_t i, int32_t end) except -1 nogil:
    """Append the steps of one entry of the run that is closing."""
    cdef ft_entry e = tape.t.entry[i]
    cdef ft_step s
    cdef int32_t nodes[3]
    cdef int arity = rows[e.op].arity if e.op < FT_N_MAP else 1, k, variant = 0
    cdef int f32 = itemsize(e.dtype) == 4
    nodes[0] = e.a
    nodes[1] = e.b
    nodes[2] = e.aux
    memset(&s, 0, sizeof(ft_step))
    if (e.op == OP_sin or e.op == OP_cos) and e.aux:
        if e.aux > 0:
            plan_pair(tape, plan, i, end)
        else:                           # done with the other
            tape.t.entry[i].aux = 0
            end_of_row(tape, plan, e.a, i)
        free_evicted(plan)
        return 0
    if e.op == OP_sum:
        s.kind = FT_STEP_SUM
        operand(tape, plan, e.a, plan.run.shape, False, &s, 1)
        s.at[0] = <char *>&tape.t.val[i].f
        s.at[2] = <char *>take_buffer(tape, CASCADE_BYTES)
        s.step[2] = f32
        discard(tape, plan, s.at[2])
    elif e.op == OP_positive and tape.t.entry[e.a].shape == 0:
        s.kernel = machine.kernel(FT_K_SPLAT, f32, 0)
        s.at[1] = <char *>&tape.t.val[e.a].f
    elif e.op == OP_positive and not tape.t.entry[e.a].flags & FT_INRUN and not is_direct(tape, e.a, e.shape):
        load(tape, plan, &s, e.a, e.shape)
    else:
        if e.op == OP_cast:
            if itemsize(tape.t.entry[e.a].dtype) == itemsize(e.dtype):
                s.kernel = machine.kernel(OP_positive, f32, 0)
            else:
                s.kernel = machine.kernel(FT_K_CAST, f32, 0)
            operand(tape, plan, e.a, e.shape, True, &s, 1)
        else:
            for k in range(arity):
                if tape.t.entry[nodes[k]].shape == 0:
                    variant |= 1 << k
            if variant > 2 or machine.kernel(e.op, f32, variant) == NULL:
                variant = 0
            s.kernel = machine.kernel(e.op, f32, variant)
            for k in range(arity):
                operand(tape, plan, nodes[k], e.shape, not variant >> k & 1, &s, k + 1)
    if e.op == OP_sum:
        end_of_row(tape, plan, e.a, i)
    else:
        destination(tape, plan, i, end, &s)
        for k in range(arity):
            end_of_row(tape, plan, nodes[k], i)
    free_evicted(plan)
    new_step(tape)[0] = s
    return 0


# ---- opening and closing

cdef int close_run(Tape tape, Plan *plan, int32_t end) except -1 nogil:
    """Emit the open run; entries from `end` on are its outside."""
    cdef ft_instr *ins
    cdef int64_t k, n, first = tape.n_step
    cdef int32_t i
    cdef ft_entry *e
    if plan.run.shape < 0:
        return 0
    plan.run.row_bytes = ((plan.run.size if plan.run.size <= FT_WHOLE else FT_BLOCK) * 8 + 63) & ~63
    plan.run.n_evicted = 0
    plan.run.n_load = plan.run.next_load = plan.run.n_row = plan.run.n_free = 0
    k = 0
    while k < tape.n_member:
        n = 0
        if tape.codes is not None:
            n = fused(tape, plan, k, end)
        if n == 0:
            plan_member(tape, plan, tape.member[k], end)
            n = 1
        k += n
    ins = new_instr(tape, FT_I_RUN, tape.member[0])
    ins.lo = first
    ins.hi = tape.n_step
    ins.n = plan.run.size
    ins.block = FT_WHOLE if plan.run.size <= FT_WHOLE else FT_BLOCK
    if plan.run.n_row == 0 and tape.step[first].kind == FT_STEP_CODE and first + 1 + tape.step[first].view == tape.n_step:
        ins.block = FT_LONG
    if plan.run.n_row == 0 and tape.step[first].kind == FT_STEP_LOAD and first + 1 == tape.n_step and ins.n <= AT_ONCE:
        ins.block = max(ins.n, FT_WHOLE)    # a copy in another order, which goes best where it sees all of it
    plan.row_bytes = max(plan.row_bytes, plan.run.n_row * plan.run.row_bytes)
    plan.work += plan.run.size * (tape.n_step - first)
    plan.run.shape = -1
    for k in range(tape.n_member):
        i = tape.member[k]
        e = tape.t.entry + i
        e.flags &= ~FT_INRUN
        release(tape, plan, e.a, i)
        if e.op < FT_N_MAP and rows[e.op].arity > 1:
            release(tape, plan, e.b, i)
            if rows[e.op].arity > 2:
                release(tape, plan, e.aux, i)
    for k in range(tape.n_dying):
        give_buffer(tape, tape.dying[k])
    tape.n_member = tape.n_dying = 0
    return 0


cdef int join_run(Tape tape, Plan *plan, int32_t i, int32_t shape) except -1 nogil:
    plan.run.shape = shape
    plan.run.size = tape.t.shape[shape].size
    resize(<void **>&tape.member, &tape.cap_member, tape.n_member + 1, sizeof(int32_t))
    tape.member[tape.n_member] = i
    tape.n_member += 1
    tape.t.entry[i].flags |= FT_INRUN
    return 0


cdef inline bint joins(Tape tape, Plan *plan, int32_t node) noexcept nogil:
    """An operand does not keep its reader out of the open run: it is a row of it, or outside it."""
    return not in_run(tape, node) or \
        (tape.t.entry[node].op != OP_view and tape.t.entry[node].shape == plan.run.shape)


cdef int plan_elementwise(Tape tape, Plan *plan, int32_t i) except -1 nogil:
    cdef ft_entry *e = tape.t.entry + i
    cdef int arity = rows[e.op].arity if e.op < FT_N_MAP else 1
    if plan.run.shape >= 0 and (
            plan.run.shape != e.shape or not joins(tape, plan, e.a)
            or (arity > 1 and not joins(tape, plan, e.b)) or (arity > 2 and not joins(tape, plan, e.aux))):
        close_run(tape, plan, i)
    join_run(tape, plan, i, tape.t.entry[i].shape)
    if tape.t.entry[i].op == OP_sin or tape.t.entry[i].op == OP_cos:
        pair_up(tape, plan, i)
    return 0
