"""The plan: which instruction each entry becomes; then the virtual machine runs them.

One walk back (`needs.pyx`) marks what the outputs need and each node's last reader. One walk forward groups
neighbouring elementwise entries of one shape into runs (`runs.pyx`), and gives every other value a buffer
(`buffers.pyx`) and an instruction. Scalars need no instruction of their own: the scalar loop runs over the
tape.
"""
from libc.string cimport memset

from fasttape._core.callee cimport Call, Callee
from fasttape._core.loops cimport Loop
from fasttape._core.needs cimport mark_needs, settle
from fasttape._core.runs cimport *

cdef extern from "Python.h":
    int PyErr_CheckSignals() except -1

cdef enum:
    SMALL = 1 << 14                 # element-ops below which releasing the GIL costs more than it gives


# ---- one entry

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
    if e.flags & tape.t.entry[a].flags & FT_FIXED and tape.t.val[a].p == tape.t.val[i].p:
        return 0
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


cdef bint is_woven(Tape tape, ft_entry *e) noexcept nogil:
    """Whether the pieces are the columns of the result, in order: element k of each row, and nothing left out."""
    cdef int64_t n = tape.t.args[e.aux], k
    cdef int64_t *dims
    cdef ft_view *w
    if n < 2 or n > FT_MOST_COLUMNS or tape.t.shape[e.shape].size == 0 or tape.t.shape[e.shape].size % n:
        return False
    for k in range(n):
        w = tape.t.view + tape.t.args[e.aux + 2 + 2 * k]
        dims = tape.t.dims + tape.t.shape[w.shape].at
        if tape.t.args[e.aux + 1 + 2 * k] < 0 or tape.t.shape[w.shape].ndim != 1 or w.offset != k or tape.t.dims[w.at] != n \
                or dims[0] * n != tape.t.shape[e.shape].size:
            return False
    return True


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
    ins = new_instr(tape, FT_I_WEAVE if is_woven(tape, &e) else OP_assemble, i)
    ins.lo = first
    ins.hi = tape.n_step
    ins.n = tape.t.shape[e.shape].size // max(n, 1)
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


cdef void *begin_of(Tape tape, int32_t node) noexcept nogil:
    """Where the first element that a node reads lies."""
    cdef int32_t root = root_of(tape, node), view = view_of(tape, node)
    if tape.t.entry[root].shape == 0:
        return &tape.t.val[root].f
    return <char *>tape.t.val[root].p + (tape.t.view[view].offset * itemsize(tape.t.entry[root].dtype) if view >= 0 else 0)


cdef int plan_loop(Tape tape, Plan *plan, int32_t i) except -1:
    """The instruction of a loop, where its first result stands."""
    cdef Loop loop = tape.loops[tape.t.args[tape.t.entry[i].aux]]
    cdef int32_t results = tape.t.entry[i].b, node, k
    cdef int32_t *reads = tape.t.args + tape.t.entry[i].aux + 1
    cdef int64_t first
    cdef ft_step *s
    cdef ft_instr *ins
    for k in range(reads[0]):
        if in_run(tape, reads[1 + k]):
            close_run(tape, plan, i)
            break
    for k in range(results):
        new_buffer(tape, i + k)
    first = tape.n_step
    for k in range(loop.code.n_stream):
        s = new_step(tape)
        node = loop.stream[k]
        s.at[0] = <char *>begin_of(tape, node if node >= 0 else i + ~node)
    for k in range(loop.code.n_carry):
        s = new_step(tape)
        s.at[0] = <char *>begin_of(tape, loop.first[k])
        if loop.last[k] >= 0:
            s.at[1] = <char *>&tape.t.val[i + loop.last[k]].f
    ins = new_instr(tape, OP_loop, i)
    ins.lo = first
    ins.hi = tape.n_step
    ins.y = take_buffer(tape, (loop.code.n_carry + loop.code.n_stream + loop.n_value) * 8)
    ins.a = &loop.code
    ins.b = <void *>loop.function
    ins.n = loop.count
    discard(tape, plan, ins.y)
    for k in range(reads[0]):
        release(tape, plan, reads[1 + k], i)
    plan.work += loop.count * loop.code.n_op
    return 0


cdef Call lent(Tape tape, Callee program):
    """The plan for a call; the same, and its memory, for later calls where that may be."""
    if program.reusable:
        for other, call in tape.calls:
            if other is program:
                return call
    call = program.begin()
    tape.calls.append((program, call))
    return call


cdef int plan_program(Tape tape, Plan *plan, int32_t i) except -1:
    """The instruction that calls a program, where its first result stands."""
    cdef Callee program = tape.programs[tape.t.args[tape.t.entry[i].aux]]
    cdef Call call = lent(tape, program)
    cdef int32_t results = tape.t.entry[i].b, n, k, node, view
    cdef int64_t lo
    cdef int copied
    cdef const void *data
    cdef ft_step *s
    cdef ft_instr *ins
    cdef list copies = []
    n = tape.t.args[tape.t.entry[i].aux + 1]
    for k in range(n):
        node = tape.t.args[tape.t.entry[i].aux + 2 + k]
        if node >= 0 and in_run(tape, node):
            close_run(tape, plan, i)
            break
    lo = tape.n_step
    for k in range(n):
        node = tape.t.args[tape.t.entry[i].aux + 2 + k]
        if node < 0 or is_store(tape, node):
            s = new_step(tape)
            if node >= 0 and tape.t.entry[group_of(tape, node)].flags & FT_NEED:
                s.at[0] = <char *>&tape.t.val[node]
            continue
        copied = copy_in(tape, plan, node, &data, &view)
        if copied:
            copies.append(<size_t>data)
        new_step(tape).at[0] = <char *>data
    for k in range(results):
        s = new_step(tape)
        if is_store(tape, i + k):
            if tape.t.entry[i + k].flags & FT_EXEC:
                s.at[0] = <char *>&tape.t.val[i + k]
            tape.t.entry[i + k].flags &= ~FT_EXEC
        elif tape.t.entry[i + k].shape == 0:
            s.at[0] = <char *>&tape.t.val[i + k].f
        elif tape.t.entry[i + k].flags & FT_NEED:
            new_buffer(tape, i + k)
            s.at[0] = <char *>tape.t.val[i + k].p
        else:                           # nobody asks for it, but it must lie somewhere
            data = take_buffer(tape, tape.t.shape[tape.t.entry[i + k].shape].size * itemsize(tape.t.entry[i + k].dtype))
            s.at[0] = <char *>data
            copies.append(<size_t>data)
    ins = new_instr(tape, OP_program, i)
    ins.lo = lo
    ins.hi = tape.n_step
    ins.y = &call.c
    ins.n = call.work
    for copy in copies:
        discard(tape, plan, <void *><size_t>copy)
    for k in range(n):
        node = tape.t.args[tape.t.entry[i].aux + 2 + k]
        if node >= 0:
            release(tape, plan, node, i)
    plan.work += call.work
    return 0


cdef int end_calls(Tape tape) except -1:
    """Give the programs back what was lent."""
    calls = tape.calls
    tape.calls = []
    for program, call in calls:
        (<Callee>program).end(call)
    return 0


cdef int abandon_calls(Tape tape) except -1:
    """What is lent to a plan whose run has been given up."""
    for _, call in tape.calls:
        (<Call>call).abandon()
    return 0


cdef int go_on(Tape tape, ft_run *run, int more) except -1:
    """Run a plan to its end, looking for signals on the way; `more` is what its first piece returned."""
    while more:
        if more < 0:
            for _, call in tape.calls:
                (<Call>call).complain()
            raise MemoryError
        with nogil:
            more = machine.run(&tape.t, &library, run)
        if more > 0:
            PyErr_CheckSignals()
    return 0


# ---- all of them

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
    if e.op == OP_loop:
        if e.a:
            return release(tape, plan, i - e.a, i)
        with gil:
            return plan_loop(tape, plan, i)
    if e.op == OP_program:
        if e.a:
            return release(tape, plan, i - e.a, i)
        with gil:
            return plan_program(tape, plan, i)
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
    memset(plan.run.angle, 0, sizeof(plan.run.angle))
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
        go_on(tape, &run, more)
    except BaseException:
        tape.broken = True
        abandon_calls(tape)
        tape.calls = []
        raise
    if tape.calls:
        end_calls(tape)
    settle(tape, first, top)
    return 0
