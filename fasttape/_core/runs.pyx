"""Runs: neighbouring elementwise entries of one shape, computed block by block, whose inner values live in
scratch rows and never touch memory.

At most one run is open at a time. It is emitted when it closes, so an entry that does not read it may
be emitted before it; whatever would disturb what the open run still has to read closes it first.
"""
from libc.string cimport memset

cdef enum:
    CASCADE_BYTES = 528             # of one ft_cascade, kernels/reduce.h


# ---- rows

cdef int32_t take_row(Plan *plan) noexcept nogil:
    plan.run.n_row += plan.run.n_free == 0
    if plan.run.n_free:
        plan.run.n_free -= 1
        return plan.free_rows[plan.run.n_free]
    return plan.run.n_row - 1


cdef inline void give_row(Plan *plan, int32_t row) noexcept nogil:
    if plan.run.n_free < 1024:
        plan.free_rows[plan.run.n_free] = row
        plan.run.n_free += 1


cdef inline void point_to_row(Plan *plan, ft_step *s, int k, int32_t row) noexcept nogil:
    s.at[k] = <char *>(<ssize_t>row * plan.run.row_bytes)
    s.step[k] = 0
    s.rows |= 1 << k


cdef int32_t find_load(Plan *plan, int32_t node) noexcept nogil:
    cdef int k
    for k in range(plan.run.n_load):
        if plan.run.load_node[k] == node:
            return plan.run.load_row[k]
    return -1


cdef int32_t remember_load(Plan *plan, int32_t node) noexcept nogil:
    """A row that holds a loaded operand until LOADS others have come."""
    cdef int32_t row = take_row(plan)
    cdef int k = plan.run.n_load
    if k < LOADS:
        plan.run.n_load += 1
    else:
        k = plan.run.next_load
        plan.run.next_load = (k + 1) % LOADS
        plan.run.evicted[plan.run.n_evicted] = plan.run.load_row[k]
        plan.run.n_evicted += 1
    plan.run.load_node[k] = node
    plan.run.load_row[k] = row
    return row


# ---- where a member finds its operands

cdef int32_t broadcast_view(Tape tape, int32_t node, int32_t shape) except -1 nogil:
    """The region that reads a node's root as an operand of the given shape."""
    cdef int32_t root = root_of(tape, node), view = view_of(tape, node)
    cdef ft_shape *own = tape.t.shape + tape.t.entry[node].shape
    cdef ft_shape *full = tape.t.shape + shape
    cdef int64_t strides[FT_MAX_DIMS]
    cdef int64_t dims[FT_MAX_DIMS]
    cdef int64_t step = 1, s
    cdef int k, d
    for k in range(full.ndim - 1, -1, -1):
        d = k - (full.ndim - own.ndim)
        dims[k] = tape.t.dims[full.at + k]
        strides[k] = 0
        if d >= 0:
            s = tape.t.dims[tape.t.view[view].at + d] if view >= 0 else step
            step *= tape.t.dims[own.at + d]
            if tape.t.dims[own.at + d] != 1:
                strides[k] = s
    return intern_view(tape, tape.t.entry[root].shape, full.ndim, dims, strides,
                       tape.t.view[view].offset if view >= 0 else 0)


cdef int load(Tape tape, Plan *plan, ft_step *s, int32_t node, int32_t shape) except -1 nogil:
    """Make s the step that brings a strided or broadcast operand into at[0]."""
    cdef int32_t root = root_of(tape, node)
    s.kind = FT_STEP_LOAD
    s.view = broadcast_view(tape, node, shape)
    s.at[1] = <char *>data_of(tape, root)
    s.step[2] = itemsize(tape.t.entry[root].dtype) == 4
    return 0


cdef int is_direct(Tape tape, int32_t node, int32_t shape) noexcept nogil:
    """The operand lies in memory element for element as the run goes."""
    cdef int32_t view = view_of(tape, node)
    return tape.t.entry[node].shape == shape and (view < 0 or tape.t.view[view].contiguous)


cdef int operand(Tape tape, Plan *plan, int32_t node, int32_t shape, bint spread, ft_step *out, int k) except -1 nogil:
    """Say in out.at[k] where a member of the run finds an operand, loading it first if need be.
    Returns 1 where the operand stays a scalar."""
    cdef ft_entry *e = tape.t.entry + node
    cdef int32_t row, root, view
    cdef ft_step *s
    if e.flags & FT_INRUN:
        if e.flags & (FT_OWNED | FT_FIXED):
            out.at[k] = <char *>tape.t.val[node].p
            out.step[k] = itemsize(e.dtype)
        else:
            point_to_row(plan, out, k, <int32_t><ssize_t>tape.t.val[node].p)
        return 0
    if e.shape == 0 and not spread:
        out.at[k] = <char *>&tape.t.val[node].f
        return 1
    if e.shape != 0 and is_direct(tape, node, shape):
        root = root_of(tape, node)
        view = view_of(tape, node)
        out.step[k] = itemsize(e.dtype)
        out.at[k] = <char *>tape.t.val[root].p + (tape.t.view[view].offset * out.step[k] if view >= 0 else 0)
        return 0
    row = find_load(plan, node)
    if row < 0:
        row = remember_load(plan, node)
        s = new_step(tape)
        if e.shape == 0:
            s.kernel = machine.kernel(FT_K_SPLAT, itemsize(e.dtype) == 4, 0)
            s.at[1] = <char *>&tape.t.val[node].f
        else:
            load(tape, plan, s, node, shape)
        point_to_row(plan, s, 0, row)
    point_to_row(plan, out, k, row)
    return 0


# ---- members and their steps

cdef int destination(Tape tape, Plan *plan, int32_t i, int32_t end, ft_step *s) except -1 nogil:
    """Where member i of the run puts its result: memory if something after the run reads it."""
    cdef ft_entry *e = tape.t.entry + i
    cdef int32_t row
    if tape.t.last[i] >= end:
        new_buffer(tape, i)
        e = tape.t.entry + i
        s.at[0] = <char *>tape.t.val[i].p
        s.step[0] = itemsize(e.dtype)
    else:
        row = take_row(plan)
        tape.t.val[i].p = <void *><ssize_t>row
        point_to_row(plan, s, 0, row)
    return 0


cdef void end_of_row(Tape tape, Plan *plan, int32_t node, int32_t reader) noexcept nogil:
    cdef ft_entry *e = tape.t.entry + node
    if e.flags & FT_INRUN and not e.flags & (FT_OWNED | FT_FIXED) and tape.t.last[node] == reader \
            and e.shape == plan.run.shape:
        tape.t.last[node] = -1      # once, also where an entry reads the node twice
        give_row(plan, <int32_t><ssize_t>tape.t.val[node].p)


cdef void free_evicted(Plan *plan) noexcept nogil:
    while plan.run.n_evicted:
        plan.run.n_evicted -= 1
        give_row(plan, plan.run.evicted[plan.run.n_evicted])


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
    cdef int64_t k, first = tape.n_step
    cdef int32_t i
    cdef ft_entry *e
    if plan.run.shape < 0:
        return 0
    plan.run.row_bytes = ((plan.run.size if plan.run.size <= FT_WHOLE else FT_BLOCK) * 8 + 63) & ~63
    plan.run.n_evicted = 0
    plan.run.n_load = plan.run.next_load = plan.run.n_row = plan.run.n_free = 0
    for k in range(tape.n_member):
        plan_member(tape, plan, tape.member[k], end)
    ins = new_instr(tape, FT_I_RUN, tape.member[0])
    ins.lo = first
    ins.hi = tape.n_step
    ins.n = plan.run.size
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
