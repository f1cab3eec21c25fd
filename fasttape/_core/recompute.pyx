"""What the pull computes again.

Before the pull goes through a segment of the tape that is marked so, or that a budget of memory cuts out, the segment's
entries are appended once more, and the pull reads their values there: these live from then until the pull has passed
the segment, and of the first run only those last that something else reads. The same ops of the same numbers in the same
order: the gradient is that of the plain pull, bit for bit.
"""
from libc.string cimport memset

from fasttape._core.copies cimport is_known, own_operands
from fasttape._core.record cimport *
from fasttape._core.pull cimport pull
from fasttape._core.sweep cimport Sweep

pull_call = None                    # set by checkpoint.pyx: pull through a region that was forgotten


# ---- a segment, once more

cdef int begin_again(Tape tape, int64_t n) except -1:
    """Nothing below n is computed again yet."""
    resize(<void **>&tape.again, &tape.cap_again, n, sizeof(int32_t))
    memset(tape.again, 0xff, n * sizeof(int32_t))
    tape.n_again = n
    return 0


cdef int repeat_segment(Tape tape, int64_t lo, int64_t hi, int64_t salt, bint keeps_products) except -1:
    """Append the entries [lo, hi) again, but for the products of matrices if they are kept. Their salt, where no operand
    stands, tells them from the first ones, with which the optimiser would merge them."""
    cdef int64_t i, k, n
    cdef int32_t node
    cdef ft_entry e
    cdef Reads o
    for i in range(lo, hi):
        e = tape.t.entry[i]
        if is_known(&e) or (keeps_products and e.op == OP_matmul):
            continue
        if group_of(tape, <int32_t>i) != i:
            node = again(tape, group_of(tape, <int32_t>i))
            e.aux = tape.t.entry[node].aux
        else:
            own_operands(tape, tape, &e)
            n = reads_of(tape, &e).n
            o = reads_of(tape, &e)
            for k in range(n):
                if o.at[k * o.step] >= 0:
                    o.at[k * o.step] = again(tape, o.at[k * o.step])
        if e.op == OP_matmul or (e.op < FT_N_MAP and rows[e.op].arity == 2):
            e.aux = <int32_t>salt
        elif e.op in (OP_cast, OP_sum, OP_max, OP_min) or (e.op < FT_N_MAP and rows[e.op].arity == 1):
            e.b = <int32_t>salt
        tape.again[i] = emit(tape, e.op, e.dtype, e.flags & (FT_ACTIVE | FT_WEAK), e.shape, e.a, e.b, e.aux)
    return 0


# ---- the pull

cdef int pull_down(Tape tape, Sweep *s, int64_t i, int64_t stop) except -1:
    """From entry i down to `stop`, through forgotten regions on the way."""
    s.stop = stop
    while True:
        with nogil:
            i = pull(tape, s, i)
        if i < 0:
            return 0
        pull_call(tape, i, s.start, s.end, s.lanes)
        i -= 1


cdef int pull_marked(Tape tape, Sweep *s, int64_t lo, int64_t hi, list marks) except -1:
    """Down over [lo, hi), some of whose segments are marked: in the order of their starts, outer ones before inner ones."""
    cdef int64_t start, end
    cdef list outer = []
    for mark in marks:
        if outer and mark[1] <= outer[len(outer) - 1][0][1]:
            outer[len(outer) - 1][1].append(mark)
        else:
            outer.append((mark, []))
    for (start, end, keeps_products), inner in reversed(outer):
        pull_down(tape, s, hi - 1, end)
        repeat_segment(tape, start, end, tape.t.n, keeps_products)
        pull_marked(tape, s, start, end, inner)
        hi = start
    return pull_down(tape, s, hi - 1, lo)


cdef int run_pull(Tape tape, Sweep *s, int64_t i=-1) except -1:
    """Pull from entry i, the end of the stretch if it is -1, down to s.stop."""
    cdef int64_t hi = (s.end if i < 0 else i + 1), lo = s.stop
    cdef bint whole = tape.n_again == 0
    cdef list marks
    if not tape.recomputed:
        return pull_down(tape, s, hi - 1, lo)
    marks = sorted({mark for mark in tape.recomputed if lo <= mark[0] and mark[1] <= hi}, key=lambda mark: (mark[0], -mark[1]))
    if whole:
        begin_again(tape, s.end)
    try:
        return pull_marked(tape, s, lo, hi, marks)
    finally:
        s.stop = lo
        if whole:
            tape.n_again = 0
