"""A pull within a budget of memory.

The stretch that is differentiated is cut into segments, each of which is computed again when the pull reaches it
(recompute.pyx): for one more run of the function, only those values of the first last that cross a cut.

How many segments is tried out: each number is pulled and planned, and the memory that its plan takes is what it takes.
"""
import numpy as np

cimport numpy as cnp

from fasttape._core.buffers cimport Plan
from fasttape._core.callee cimport Callee
from fasttape._core.copies cimport copy_tape
from fasttape._core.needs cimport mark_needs
from fasttape._core.plan cimport build, end_calls
from fasttape._core.pull cimport cotangent, give
from fasttape._core.recompute cimport begin_again, repeat_segment, run_pull
from fasttape._core.record cimport *
from fasttape._core.sweep cimport Sweep
from fasttape._core.trace cimport begin_pull

cnp.import_array()

cdef enum:
    PER_ENTRY = 60                  # bytes of an entry of the tape, with what plans and sweeps note of it
    SLACK = 1 << 20                 # what allocators take beside what is asked of them
    MOST_TRIES = 24


# ---- cuts

cdef object crossing(Tape tape, Sweep *s):
    """By entry of the stretch: the bytes of values from before it that it or later ones read."""
    cdef cnp.ndarray change = np.zeros(s.end - s.start + 1, np.int64), last = np.full(tape.t.n, -1, np.int64)
    cdef int64_t *at = <int64_t *>cnp.PyArray_DATA(change)
    cdef int64_t *until = <int64_t *>cnp.PyArray_DATA(last)
    cdef int64_t i, k, size
    cdef int32_t node
    cdef Reads o
    for i in range(s.start, s.end):
        o = reads_of(tape, tape.t.entry + i)
        for k in range(o.n):
            node = o.at[k * o.step]
            if node >= 0:
                until[root_of(tape, node)] = i
    for i in range(s.start, s.end):
        if until[i] >= 0 and takes_memory(tape, i):
            size = size_of(tape, <int32_t>i) * itemsize(tape.t.entry[i].dtype)
            at[i + 1 - s.start] += size
            at[until[i] + 1 - s.start] -= size
    return np.cumsum(change)


cdef bint takes_memory(Tape tape, int64_t i) noexcept:
    cdef ft_entry *e = tape.t.entry + i
    return e.shape != 0 and e.op != OP_view and not e.flags & FT_DONE


cdef list cuts(Tape tape, Sweep *s, live, int64_t n):
    """The bounds of n segments of about one length, each moved to where the least is live nearby."""
    cdef int64_t length = s.end - s.start, k, lo, hi, cut, reach = max(length // n // 4, 1)
    cdef list out = [s.start]
    for k in range(1, n):
        lo = max(k * length // n - reach, out[len(out) - 1] - s.start + 1)
        hi = min(k * length // n + reach, length)
        if lo < hi:
            cut = group_of(tape, <int32_t>(s.start + lo + int(np.argmin(live[lo:hi]))))
            if cut > out[len(out) - 1]:      # the results of a call stay together
                out.append(cut)
    return out + [s.end]


cdef int pull_segments(Tape tape, Sweep *s, list bounds) except -1:
    cdef int64_t k, n = len(bounds) - 1
    begin_again(tape, s.end)
    try:
        for k in range(n - 1, -1, -1):
            if k < n - 1:
                repeat_segment(tape, bounds[k], bounds[k + 1], tape.t.n, False)
            s.stop = bounds[k]
            run_pull(tape, s, <int64_t>bounds[k + 1] - 1)
    finally:
        tape.n_again = 0
        s.stop = s.start
    return 0


# ---- how many

cdef str in_mb(int64_t size):
    """Rounded up, so that a budget of it is enough."""
    return f"{(size + 99999) // 100000 / 10.0:g} MB"


cdef int64_t planned(Tape tape, list outputs) except -1:
    """The memory of the buffers that a plan of these outputs takes. They are taken, and given back untouched."""
    cdef Tape copy = Tape()
    cdef Plan plan
    cdef cnp.ndarray nodes = np.array(outputs, np.int32)
    cdef int32_t *at = <int32_t *>cnp.PyArray_DATA(nodes)
    cdef int64_t i
    cdef int32_t first, top
    copy_tape(tape, copy)
    copy.kept = False
    copy.calls = []
    for i in range(copy.t.n):
        copy.t.entry[i].flags &= ~FT_OWNED
    first = mark_needs(copy, at, len(outputs), &top)
    if top < 0:
        return 0
    try:
        with nogil:
            build(copy, &plan, first, top)
    finally:
        end_calls(copy)
    return copy.bytes_out + copy.bytes_pooled + copy.cap_scratch


cdef int drop_after(Tape tape, int64_t n) except -1:
    """Forget the entries from n on, none of which has been computed."""
    tape.t.n = n
    return 0


cdef list pull_within(Tape tape, Sweep *s, list nodes, int32_t y, int64_t budget, list first, str who):
    """The nodes of `first`, then the cotangents of `nodes`, from that of y, 1: as a pull that stays within `budget` bytes,
    the tape included."""
    cdef int64_t n = tape.t.n, k = 1, took, entries, least = -1, whole = 0, i
    cdef list out, bounds
    loops = sum([(<Callee>callee).allow(budget) for callee in tape.programs])
    if loops:                           # a share each, and one for all else
        budget //= loops + 1
        for callee in tape.programs:
            (<Callee>callee).allow(budget)
    for i in range(s.start, s.end):
        if takes_memory(tape, i):
            whole += size_of(tape, <int32_t>i) * itemsize(tape.t.entry[i].dtype)
    live = crossing(tape, s)
    entries = PER_ENTRY * (s.end - s.start)
    if 3 * entries + SLACK > budget:
        raise ValueError(f"{who}: the trace of this function alone, of {s.end - s.start} operations, takes {in_mb(3 * entries + SLACK)}, "
                         f"of {in_mb(budget)} that it may take; give more, or let fasttape.scan run its loops")
    if whole > 64 * budget:             # the whole is not worth planning
        k = 4
    for _ in range(MOST_TRIES):
        bounds = cuts(tape, s, live, k)
        begin_pull(tape, s, nodes)
        give(tape, s, y, constant(tape, 1.0, tape.t.entry[y].dtype & 1))
        pull_segments(tape, s, bounds)
        out = first + [cotangent(tape, s, <int32_t>node) for node in nodes]
        took = planned(tape, out) + PER_ENTRY * (tape.t.n - s.start) + SLACK
        if took <= budget:
            return out
        drop_after(tape, n)
        if least >= 0 and took > 2 * least or len(bounds) - 1 < k or k > s.end - s.start:
            break
        least = took if least < 0 else min(least, took)
        k *= 2
    raise ValueError(f"{who}: {in_mb(budget)} are too little for this function; the least that would do is {in_mb(least)}. "
                     f"A long loop by fasttape.scan would need less")
