# A plan in progress: what it holds, and where its nodes live.
from libc.stdint cimport int32_t, int64_t

from fasttape._core.tape cimport *
from fasttape._core.vm cimport *

cdef enum:
    LOADS = 16                      # strided or spread operands that an open run remembers
    PAIRS = 64                      # sines and cosines that may still find the other

cdef struct Run:                    # the open run
    int32_t shape                   # -1: none is open
    int64_t size
    int n_load, next_load
    int n_evicted                   # rows of forgotten loads, which the member in work may still read
    int32_t evicted[256]            # FT_STREAMS: a step of machine code may load as many
    int64_t row_bytes
    int32_t load_node[LOADS]
    int32_t load_row[LOADS]
    int n_row, n_free               # scratch rows in all; those not in use
    int32_t angle[PAIRS]            # the last sine or cosine of an operand, by a hash of it

cdef struct Plan:
    Run run
    int64_t row_bytes
    int64_t work
    int32_t free_rows[1024]

cdef int discard(Tape tape, Plan *plan, void *buffer) except -1 nogil
cdef int new_buffer(Tape tape, int32_t i) except -1 nogil
cdef ft_instr *new_instr(Tape tape, int op, int32_t node) except NULL nogil
cdef ft_step *new_step(Tape tape) except NULL nogil

cdef inline void *data_of(Tape tape, int32_t root) noexcept nogil:
    return &tape.t.val[root].f if tape.t.entry[root].shape == 0 else tape.t.val[root].p

cdef inline int32_t view_of(Tape tape, int32_t node) noexcept nogil:
    return tape.t.entry[node].aux if tape.t.entry[node].op == OP_view else -1

cdef inline bint in_run(Tape tape, int32_t node) noexcept nogil:
    return tape.t.entry[root_of(tape, node)].flags & FT_INRUN

cdef inline int release(Tape tape, Plan *plan, int32_t node, int32_t reader) except -1 nogil:
    """Entry `reader` has been emitted: give back the operand's buffer if nothing else reads it. While
    a run is open its buffers are still to be read, so nothing is given back before it closes."""
    cdef int32_t r = root_of(tape, node)
    cdef ft_entry *e = tape.t.entry + r
    if e.flags & FT_OWNED and not e.flags & FT_DONE and tape.t.last[r] == reader:
        e.flags &= ~FT_OWNED
        discard(tape, plan, tape.t.val[r].p)
    return 0
