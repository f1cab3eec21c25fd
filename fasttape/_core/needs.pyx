"""What the outputs of a plan need, and which entry reads each node last. One walk back; it stops at what is
done already. Knows neither runs nor buffers."""
from fasttape._core.vm cimport *


cdef inline int64_t touch(Tape tape, int32_t o, int32_t reader) noexcept nogil:
    """Entry `reader` needs node o. Returns how many entries this makes newly needed."""
    cdef ft_entry *e = tape.t.entry + o
    cdef int64_t fresh = 0
    if is_store(tape, o):
        e.flags |= FT_EXEC              # wanted, if its loop is run
        return 0
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
    cdef Reads o
    cdef int64_t fresh
    cdef int k
    if e.op < FT_N_MAP:             # nearly all
        fresh = touch(tape, e.a, i)
        k = rows[e.op].arity
        if k > 1:
            fresh += touch(tape, e.b, i)
            if k > 2:
                fresh += touch(tape, e.aux, i)
        return fresh
    o = reads_of(tape, e)
    fresh = 0
    if group_of(tape, i) != i:
        return touch(tape, group_of(tape, i), i)
    for k in range(o.n):
        if o.at[k * o.step] >= 0:
            fresh += touch(tape, o.at[k * o.step], i)
    return fresh


cdef int32_t keep_all_results(Tape tape, int32_t i) noexcept nogil:
    """Where a program is called once, what it computes is all kept: it need not be called again for another of
    its results. Returns the last of them."""
    cdef int32_t k, n = tape.t.entry[i].b
    for k in range(i, i + n):
        if not is_store(tape, k):
            tape.t.entry[k].flags |= FT_NEED
            tape.t.last[k] = MASK_OF_ALL
    return i + n - 1


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
            if tape.t.entry[i].op == OP_program and not tape.kept and tape.t.entry[i].a == 0:
                top[0] = max(top[0], keep_all_results(tape, i))
        i -= 1
    return i + 1


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
