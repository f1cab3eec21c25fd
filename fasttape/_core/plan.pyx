"""The plan: needs, runs, buffers; then the virtual machine runs it.

One walk back marks what the outputs need and each node's last reader. One walk forward groups
neighbouring elementwise entries of one shape into runs, whose inner values live in scratch rows, and
gives every other value a buffer that is free again after its last reader. Scalars need no
instruction of their own: the scalar loop runs over the tape.

At most one run is open at a time. It is emitted when it closes, so an entry that does not read it may
be emitted before it; whatever would disturb what the open run still has to read closes it first.
"""
from libc.string cimport memset

from fasttape._core.tape cimport *
from fasttape._core.vm cimport *

cdef extern from "Python.h":
    int PyErr_CheckSignals() except -1

cdef enum:
    LOADS = 16                      # strided or spread operands that an open run remembers
    CASCADE_BYTES = 528
    SMALL = 1 << 14                 # element-ops below which releasing the GIL costs more than it gives

cdef struct Run:                    # the open run
    int32_t shape                   # -1: none is open
    int64_t size
    int n_load, next_load
    int n_evicted                   # rows of forgotten loads, which the member in work may still read
    int32_t evicted[4]
    int64_t row_bytes
    int32_t load_node[LOADS]
    int32_t load_row[LOADS]
    int n_row, n_free               # scratch rows in all; those not in use
    int32_t *free_row

cdef struct Plan:
    Run run
    int64_t row_bytes
    int64_t work
    int32_t free_rows[1024]


# ---- needs

cdef inline int64_t touch(Tape tape, int32_t o, int32_t reader) noexcept nogil:
    """Entry `reader` needs node o. Returns how many entries this makes newly needed."""
    cdef ft_entry *e = tape.t.entry + o
    cdef int64_t fresh = 0
    if e.op == OP_view:
        o = e.a
        e = tape.t.entry + o
    if not e.flags & (FT_DONE | FT_NEED):
        e.flags |= FT_NEED
        tape.t.last[o] = reader
        fresh = 1
    return fresh


cdef int64_t touch_operands(Tape tape, int32_t i) noexcept nogil:
    cdef ft_entry *e = tape.t.entry + i
    cdef int32_t *args
    cdef int64_t fresh = 0
    cdef int k
    if e.op < FT_N_MAP:
        fresh = touch(tape, e.a, i)
        k = rows[e.op].arity
        if k > 1:
            fresh += touch(tape, e.b, i)
            if k > 2:
                fresh += touch(tape, e.aux, i)
    elif e.op == OP_assemble:
        args = tape.t.args + e.aux
        for k in range(args[0]):
            if args[1 + 2 * k] >= 0:
                fresh += touch(tape, args[1 + 2 * k], i)
    elif e.op == OP_pack:
        args = tape.t.args + e.aux
        for k in range(args[0]):
            fresh += touch(tape, args[1 + k], i)
    elif e.op != OP_input and e.op != OP_constant and e.op != OP_call:
        fresh = touch(tape, e.a, i)
        if e.op in (OP_add_region, OP_update, OP_add_at, OP_set_at, OP_matmul, OP_take, OP_put_add):
            fresh += touch(tape, e.b, i)
    return fresh


cdef int32_t mark_needs(Tape tape, const int32_t *outputs, int64_t n, int32_t *top) noexcept nogil:
    """Mark what the outputs need; returns the first needed entry, and the last in `top`."""
    cdef int64_t pending = 0, k
    cdef int32_t i = -1, o
    for k in range(n):
        o = root_of(tape, outputs[k])
        pending += touch(tape, o, MASK_OF_ALL)
        if o > i and tape.t.entry[o].flags & FT_NEED:
            i = o
    top[0] = i
    while pending > 0:
        if tape.t.entry[i].flags & FT_NEED:
            pending += touch_operands(tape, i) - 1
        i -= 1
    return i + 1


# ---- buffers and instructions

cdef inline void *data_of(Tape tape, int32_t root) noexcept nogil:
    return &tape.t.val[root].f if tape.t.entry[root].shape == 0 else tape.t.val[root].p


cdef int release(Tape tape, Plan *plan, int32_t node, int32_t reader) except -1 nogil:
    """Entry `reader` has been emitted: give back the operand's buffer if nothing else reads it. While
    a run is open its buffers are still to be read, so nothing is given back before it closes."""
    cdef int32_t r = root_of(tape, node)
    cdef ft_entry *e = tape.t.entry + r
    if e.flags & FT_OWNED and not e.flags & FT_DONE and tape.t.last[r] == reader:
        e.flags &= ~FT_OWNED
        discard(tape, plan, tape.t.val[r].p)
    return 0


cdef int discard(Tape tape, Plan *plan, void *buffer) except -1 nogil:
    if plan.run.shape < 0:
        give_buffer(tape, buffer)
        return 0
    resize(<void **>&tape.dying, &tape.cap_dying, tape.n_dying + 1, sizeof(void *))
    tape.dying[tape.n_dying] = buffer
    tape.n_dying += 1
    return 0


cdef int new_buffer(Tape tape, int32_t i) except -1 nogil:
    """Memory for node i, unless its place is given."""
    cdef ft_entry *e = tape.t.entry + i
    if e.shape == 0 or e.flags & FT_FIXED:
        return 0
    tape.t.val[i].p = take_buffer(tape, tape.t.shape[e.shape].size * itemsize(e.dtype))
    e.flags |= FT_OWNED
    return 0


cdef ft_instr *new_instr(Tape tape, int op, int32_t node) except NULL nogil:
    cdef ft_instr *ins
    resize(<void **>&tape.instr, &tape.cap_instr, tape.n_instr + 1, sizeof(ft_instr))
    ins = tape.instr + tape.n_instr
    memset(ins, 0, sizeof(ft_instr))
    ins.op = op
    ins.node = node
    ins.view_a = ins.view_b = -1
    tape.n_instr += 1
    return ins


cdef ft_step *new_step(Tape tape) except NULL nogil:
    cdef ft_step *s
    resize(<void **>&tape.step, &tape.cap_step, tape.n_step + 1, sizeof(ft_step))
    s = tape.step + tape.n_step
    memset(s, 0, sizeof(ft_step))
    tape.n_step += 1
    return s


cdef inline bint in_run(Tape tape, int32_t node) noexcept nogil:
    return tape.t.entry[root_of(tape, node)].flags & FT_INRUN


cdef int32_t view_of(Tape tape, int32_t node) noexcept nogil:
    return tape.t.entry[node].aux if tape.t.entry[node].op == OP_view else -1


# ---- runs

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
    while plan.run.n_evicted:
        plan.run.n_evicted -= 1
        give_row(plan, plan.run.evicted[plan.run.n_evicted])
    new_step(tape)[0] = s
    return 0


cdef int close_run(Tape tape, Plan *plan, int32_t end) except -1 nogil:
    """Emit the open run; entries from `end` on are its outside."""
    cdef ft_instr *ins
    cdef int64_t k, first = tape.n_step
    cdef int32_t i
    cdef ft_entry *e
    if plan.run.shape < 0:
        return 0
    plan.run.row_bytes = (min(plan.run.size, <int64_t>FT_BLOCK) * 8 + 63) & ~63
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
    return join_run(tape, plan, i, e.shape)


# ---- the rest

cdef int plan_scalar(Tape tape, Plan *plan, int32_t i) except -1 nogil:
    """Leave entry i to the scalar loop, which takes consecutive entries in one instruction."""
    cdef ft_instr *ins
    tape.t.entry[i].flags |= FT_EXEC
    plan.work += 1
    if tape.n_instr and tape.instr[tape.n_instr - 1].op == FT_I_SCALARS:
        tape.instr[tape.n_instr - 1].hi = i + 1
        return 0
    ins = new_instr(tape, FT_I_SCALARS, i)
    ins.lo = i
    ins.hi = i + 1
    return 0


cdef int copy_in(Tape tape, Plan *plan, int32_t node, const void **data, int32_t *view) except -1 nogil:
    """Where a contiguous copy of the operand lies; the operand itself if it is contiguous."""
    cdef int32_t root = root_of(tape, node)
    cdef int size = itemsize(tape.t.entry[node].dtype)
    cdef ft_instr *ins
    cdef void *copy
    view[0] = view_of(tape, node)
    data[0] = data_of(tape, root)
    if view[0] < 0:
        return 0
    if tape.t.view[view[0]].contiguous:
        data[0] = <char *>data[0] + tape.t.view[view[0]].offset * size
        return 0
    copy = take_buffer(tape, tape.t.shape[tape.t.entry[node].shape].size * size)
    ins = new_instr(tape, FT_I_COPY, node)
    ins.y = copy
    ins.a = data[0]
    ins.view_a = view[0]
    data[0] = copy
    return 1


cdef int change_in_place(Tape tape, Plan *plan, int32_t i) except -1 nogil:
    """Give entry i the buffer of its operand a, whose last reader it is, or else a copy of it."""
    cdef ft_entry *e = tape.t.entry + i
    cdef int32_t a = e.a
    cdef ft_instr *ins
    close_run(tape, plan, i)
    e = tape.t.entry + i
    if tape.t.entry[a].op != OP_view and tape.t.entry[a].flags & FT_OWNED and \
            not tape.t.entry[a].flags & FT_DONE and tape.t.last[a] == i and not e.flags & FT_FIXED \
            and (e.op == OP_add_at or e.op == OP_set_at or root_of(tape, e.b) != a):
        tape.t.entry[a].flags &= ~FT_OWNED
        tape.t.val[i].p = tape.t.val[a].p
        e.flags |= FT_OWNED
        return 0
    new_buffer(tape, i)
    ins = new_instr(tape, FT_I_COPY, i)
    ins.y = tape.t.val[i].p
    ins.a = data_of(tape, root_of(tape, a))
    ins.view_a = view_of(tape, a)
    plan.work += tape.t.shape[tape.t.entry[i].shape].size
    return 0


cdef int plan_update(Tape tape, Plan *plan, int32_t i) except -1 nogil:
    """pad, add_region and update: the operand `piece` goes into a region of the result."""
    cdef ft_entry e = tape.t.entry[i]
    cdef int32_t piece = e.a if e.op == OP_pad else e.b, view
    cdef const void *data
    cdef ft_instr *ins
    cdef int copied
    if in_run(tape, piece):
        close_run(tape, plan, i)
    if e.op == OP_pad:
        new_buffer(tape, i)
    else:
        change_in_place(tape, plan, i)
    copied = copy_in(tape, plan, piece, &data, &view)
    ins = new_instr(tape, e.op, i)
    ins.y = tape.t.val[i].p
    ins.view_b = e.aux
    if e.op == OP_pad:
        ins.a = data
        ins.shape_a = tape.t.entry[piece].shape
    else:
        ins.b = data
        ins.shape_b = tape.t.entry[piece].shape
    if copied:
        discard(tape, plan, <void *>data)
    release(tape, plan, piece, i)
    if e.op != OP_pad:
        release(tape, plan, e.a, i)
    plan.work += tape.t.shape[tape.t.entry[piece].shape].size
    return 0


cdef int plan_instruction(Tape tape, Plan *plan, int32_t i) except -1 nogil:
    """Reductions, products and gathers: their operands are read where they lie, strided or not."""
    cdef ft_entry e = tape.t.entry[i]
    cdef bint two = e.op == OP_matmul or e.op == OP_take or e.op == OP_put_add
    cdef ft_instr *ins
    cdef const void *a
    cdef const void *b = NULL
    cdef int32_t view_a, view_b = -1
    cdef int copied = 0
    if in_run(tape, e.a) or (two and in_run(tape, e.b)):
        close_run(tape, plan, i)
    new_buffer(tape, i)
    if e.op == OP_take or e.op == OP_put_add:
        copied = copy_in(tape, plan, e.a, &a, &view_a)
        b = tape.t.val[e.b].p
    else:
        a = data_of(tape, root_of(tape, e.a))
        view_a = view_of(tape, e.a)
        if two:
            b = data_of(tape, root_of(tape, e.b))
            view_b = view_of(tape, e.b)
    ins = new_instr(tape, e.op, i)
    ins.y = data_of(tape, i)
    ins.a = a
    ins.b = b
    ins.view_a = view_a
    ins.view_b = view_b
    ins.shape_a = tape.t.entry[e.a].shape
    ins.shape_b = tape.t.entry[e.b].shape if two else 0
    if copied:
        discard(tape, plan, <void *>a)
    release(tape, plan, e.a, i)
    if two:
        release(tape, plan, e.b, i)
    plan.work += tape.t.shape[ins.shape_a].size + tape.t.shape[e.shape].size
    return 0


cdef int plan_assemble(Tape tape, Plan *plan, int32_t i) except -1 nogil:
    cdef ft_entry e = tape.t.entry[i]
    cdef int32_t n = tape.t.args[e.aux], k, node, view
    cdef int64_t first, j
    cdef int copied
    cdef const void *data
    cdef ft_step *s
    cdef ft_instr *ins
    cdef bint holes = False
    for k in range(n):
        node = tape.t.args[e.aux + 1 + 2 * k]
        if node < 0:
            holes = True
        elif in_run(tape, node):
            close_run(tape, plan, i)
    new_buffer(tape, i)
    if holes:
        ins = new_instr(tape, FT_I_ZERO, i)
        ins.y = tape.t.val[i].p
    first = tape.n_step
    for k in range(n):
        node = tape.t.args[e.aux + 1 + 2 * k]
        if node < 0:
            continue
        copied = copy_in(tape, plan, node, &data, &view)
        s = new_step(tape)
        s.at[1] = <char *>data
        s.step[1] = copied
        s.kind = tape.t.entry[node].shape == 0
        s.view = tape.t.args[e.aux + 2 + 2 * k]
    ins = new_instr(tape, OP_assemble, i)
    ins.lo = first
    ins.hi = tape.n_step
    ins.y = tape.t.val[i].p
    for j in range(first, tape.n_step):
        if tape.step[j].step[1]:
            discard(tape, plan, tape.step[j].at[1])
    for k in range(n):
        node = tape.t.args[e.aux + 1 + 2 * k]
        if node >= 0:
            release(tape, plan, node, i)
    plan.work += tape.t.shape[e.shape].size
    return 0


cdef int plan_pack(Tape tape, Plan *plan, int32_t i) except -1 nogil:
    cdef ft_entry e = tape.t.entry[i]
    cdef ft_instr *ins
    cdef int32_t k
    for k in range(tape.t.args[e.aux]):
        if in_run(tape, tape.t.args[e.aux + 1 + k]):
            close_run(tape, plan, i)
            break
    new_buffer(tape, i)
    ins = new_instr(tape, OP_pack, i)
    ins.y = tape.t.val[i].p
    plan.work += tape.t.shape[e.shape].size
    return 0


cdef int plan_entry(Tape tape, Plan *plan, int32_t i) except -1 nogil:
    cdef ft_entry *e = tape.t.entry + i
    cdef int arity
    if e.op < FT_N_MAP or e.op == OP_cast:
        if e.shape != 0:
            return plan_elementwise(tape, plan, i)
        if plan.run.shape >= 0:
            arity = rows[e.op].arity if e.op < FT_N_MAP else 1
            if in_run(tape, e.a) or (arity > 1 and in_run(tape, e.b)) or (arity > 2 and in_run(tape, e.aux)):
                close_run(tape, plan, i)
        return plan_scalar(tape, plan, i)
    if e.op == OP_get:
        if plan.run.shape >= 0 and in_run(tape, e.a):
            close_run(tape, plan, i)
        plan_scalar(tape, plan, i)
        release(tape, plan, e.a, i)
        return 0
    if e.op == OP_add_at or e.op == OP_set_at:
        change_in_place(tape, plan, i)
        plan_scalar(tape, plan, i)
        release(tape, plan, tape.t.entry[i].a, i)
        return 0
    if e.op == OP_pad or e.op == OP_add_region or e.op == OP_update:
        return plan_update(tape, plan, i)
    if e.op == OP_assemble:
        return plan_assemble(tape, plan, i)
    if e.op == OP_pack:
        return plan_pack(tape, plan, i)
    if e.op == OP_sum and e.shape == 0 and plan.run.shape >= 0 and tape.t.entry[e.a].flags & FT_INRUN \
            and tape.t.entry[e.a].shape == plan.run.shape and plan.run.size > 0:
        return join_run(tape, plan, i, plan.run.shape)
    return plan_instruction(tape, plan, i)


cdef int build(Tape tape, Plan *plan, int32_t first, int32_t top) except -1 nogil:
    cdef int32_t i
    cdef int64_t k, j
    cdef ssize_t scratch
    tape.n_instr = tape.n_step = tape.n_member = tape.n_dying = 0
    plan.run.shape = -1
    plan.row_bytes = 0
    plan.work = 0
    for i in range(first, top + 1):
        if tape.t.entry[i].flags & FT_NEED:
            plan_entry(tape, plan, i)
    close_run(tape, plan, top + 1)
    if plan.row_bytes:              # not from the pool, whose buffers serve other instructions
        resize(&tape.scratch, &tape.cap_scratch, plan.row_bytes + 64, 1)
        scratch = (<ssize_t>tape.scratch + 63) & ~63
        for k in range(tape.n_step):
            if tape.step[k].rows:
                for j in range(4):
                    if tape.step[k].rows >> j & 1:
                        tape.step[k].at[j] += scratch
    return 0


cdef int settle(Tape tape, int32_t first, int32_t top) noexcept nogil:
    """After a run: what is kept is done, the marks of the plan go."""
    cdef int32_t i
    cdef ft_entry *e
    for i in range(first, top + 1):
        e = tape.t.entry + i
        if e.flags & FT_NEED:
            if e.shape == 0 or tape.t.last[i] == MASK_OF_ALL:
                e.flags |= FT_DONE
            e.flags &= ~(FT_NEED | FT_EXEC | FT_INRUN)
    return 0


cdef int evaluate(Tape tape, const int32_t *outputs, int64_t n) except -1:
    """Compute the outputs (and what they need), and mark them done."""
    cdef Plan plan
    cdef int32_t top, first = mark_needs(tape, outputs, n, &top)
    cdef ft_run run
    cdef int more = 1
    if top < 0:
        return 0
    try:
        with nogil:
            build(tape, &plan, first, top)
        memset(&run, 0, sizeof(ft_run))
        run.instr = tape.instr
        run.n_instr = tape.n_instr
        run.step = tape.step
        if plan.work < SMALL:
            more = machine.run(&tape.t, &library, &run)
        while more:
            with nogil:
                more = machine.run(&tape.t, &library, &run)
            if more:
                PyErr_CheckSignals()
    except BaseException:
        tape.broken = True
        raise
    settle(tape, first, top)
    return 0
