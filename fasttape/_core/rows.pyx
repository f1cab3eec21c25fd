"""Where a member of the open run finds its operands and leaves its result: in scratch rows of one block, or in memory.

An operand that does not lie in memory element for element as the run goes is loaded into a row first.
"""
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
