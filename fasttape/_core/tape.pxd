# The tape: storage of entries, shapes, views and buffers. It knows no derivative and no plan.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from fasttape._core.vm cimport *

cdef struct Block:                  # header of a large buffer, 64 bytes before its data
    Block *next
    Block *prev
    int64_t capacity
    void *raw
    int64_t unused[3]
    int64_t size_class              # the last 8 bytes before the data, as in a small buffer

cdef enum:
    N_CLASSES = 200
    CONSTANT_CACHE = 64
    MASK_OF_ALL = 0x7fffffff

cdef struct Passing:                # a buffer that a plan takes, or gives back
    void *data
    int64_t size                    # bytes; -1: it is given back
    int64_t at                      # how many instructions there were

cdef struct Table:                  # open-addressing hash of shape or view ids; -1 is empty
    int32_t *slot
    int64_t size, used

cdef class Tape:
    cdef ft_tape t
    cdef uint32_t generation        # a tracer of an earlier generation has leaked
    cdef int depth                  # transforms that are recording on this tape
    cdef bint forgets               # a forward trace, which runs and drops its past as it goes
    cdef bint broken                # a run failed midway: nothing recorded here can be trusted
    cdef unsigned long thread
    cdef void *tracers              # head of the list of live tracers (tracer.Tracer)
    cdef list keep                  # Python objects that entries point into
    cdef list locked                # captured arrays whose WRITEABLE flag is held down
    cdef bint defers                # their checksums are taken by the product that first reads them
    cdef dict captured              # id of a captured array -> its node
    cdef list guards                # of a trace that is kept: the values that Python saw, None elsewhere
    cdef list loops                 # what `loop` entries refer to
    cdef dict copies                # node -> copy of its array, shared by the tapes made from this one
    cdef list programs              # what `program` entries refer to
    cdef list calls                 # what plans run of them (callee.Call)
    cdef bint kept                  # planned once, and run any number of times
    cdef object codes               # machine code of runs, where the plan is kept; None elsewhere
    cdef list regions               # what `call` entries refer to
    cdef list recomputed            # segments that a pull computes again: start, end, whether products of matrices are kept
    cdef Tape parent                # of a checkpointed region's own tape: the trace around it
    cdef dict imports               # node of the parent -> its tracer here
    cdef list replay                # in a second recording: what the first imported
    cdef list imported              # nodes of the parent, in the order of their first use
    cdef int64_t budget             # of bytes, which the transform that records has been given; or 0
    cdef bint bodily                # the tape of a loop's body, whose inputs have no values
    cdef object lots                # of a lane's tape: (nodes of the arguments on the parent, which are batched, lanes)
    cdef bint reversing             # a one-level reverse trace, in which checkpoints may forget
    cdef bint pushing               # a forward trace pushes tangents before it forgets
    cdef Table shapes, views
    cdef int32_t constant_at[CONSTANT_CACHE]
    cdef int32_t pair_a[CONSTANT_CACHE]
    cdef int32_t pair_b[CONSTANT_CACHE]
    cdef int32_t pair_shape[CONSTANT_CACHE]
    cdef Block in_use               # list head of the buffers that are out
    cdef void *free_list[N_CLASSES]     # by class: large ones linked by their headers, small ones by their data
    cdef void **slab                # small buffers are cut from slabs, and all given up at once
    cdef int64_t n_slab, cap_slab, slab_in_use, slab_at
    cdef int64_t bytes_out, bytes_pooled
    cdef int64_t cap_last, cap_val, cap_entry       # they differ where growing failed half-way; t.cap is the least
    cdef ft_instr *instr            # workspace of the plan
    cdef int64_t n_instr, cap_instr
    cdef ft_step *step
    cdef int64_t n_step, cap_step
    cdef int32_t *member            # entries of the plan's open run
    cdef int64_t n_member, cap_member
    cdef bint noting                # whether takings and givings of buffers are noted, in order
    cdef Passing *passing
    cdef int64_t n_taken, n_passing, cap_passing
    cdef void **dying               # buffers to give back when the open run closes
    cdef int64_t n_dying, cap_dying
    cdef void *scratch              # rows of the runs
    cdef int64_t cap_scratch
    cdef uint8_t *active            # workspace of the sweeps
    cdef int32_t *ct
    cdef int64_t cap_active, cap_ct
    cdef int32_t *tangent           # of a forward trace, by node
    cdef int64_t cap_tangent, pushed, lanes
    cdef int32_t *again             # where the pull reads a node's value, if it is computed again; by node, below n_again
    cdef int64_t cap_again, n_again
    cdef int32_t *origin            # of what pushes appended: a node behind which it may stand; -1 of all else
    cdef int64_t n_origin, cap_origin

    cdef int reset(self) except -1
    cdef int clear_tables(self) except -1
    cdef int index_tables(self) except -1

cdef void *allocate(size_t size) noexcept nogil
cdef int grow(Tape tape, int64_t more) except -1 nogil
cdef int32_t intern_shape(Tape tape, int ndim, const int64_t *dims) except -1 nogil
cdef int32_t intern_view(Tape tape, int32_t base, int ndim, const int64_t *dims,
                         const int64_t *strides, int64_t offset) except -1 nogil
cdef int32_t broadcast(Tape tape, int32_t a, int32_t b) except -2 nogil
cdef int32_t new_constant(Tape tape, double value, int dtype, int slot) except -1 nogil
cdef int64_t new_args(Tape tape, int64_t n) except -1 nogil
cdef void *take_buffer(Tape tape, int64_t size) except NULL nogil
cdef void give_buffer(Tape tape, void *data) noexcept nogil
cdef int resize(void **array, int64_t *cap, int64_t want, int64_t size) except -1 nogil
cdef void drop(void **array, int64_t *cap, int64_t size) noexcept nogil
cdef void note_memory(Tape tape) noexcept nogil

cdef inline int32_t emit(Tape tape, int op, int dtype, int flags, int32_t shape, int32_t a,
                         int32_t b, int32_t aux) except -1 nogil:
    """Append an entry; returns its node. The entries may move: hold indices, not pointers."""
    cdef ft_entry *e
    if tape.t.n >= tape.t.cap:
        grow(tape, 1)
    e = tape.t.entry + tape.t.n
    e.op = <uint8_t>op
    e.dtype = <uint8_t>dtype
    e.flags = <uint16_t>flags
    e.shape = shape
    e.a = a
    e.b = b
    e.aux = aux
    tape.t.n += 1
    return <int32_t>(tape.t.n - 1)

cdef inline int constant_slot(uint64_t bits, int dtype) noexcept nogil:
    return <int>((bits * <uint64_t>0x9E3779B97F4A7C15) >> 58) ^ dtype

cdef inline int32_t constant(Tape tape, double value, int dtype) except -1 nogil:
    """A scalar constant; one that was recorded lately is found again."""
    cdef uint64_t bits = (<uint64_t *>&value)[0]
    cdef int slot = constant_slot(bits, dtype)
    cdef int32_t node = tape.constant_at[slot]
    if node < tape.t.n and tape.t.entry[node].op == OP_constant and tape.t.entry[node].dtype == dtype \
            and (<uint64_t *>&tape.t.val[node])[0] == bits:
        return node
    return new_constant(tape, value, dtype, slot)

cdef inline int32_t beside(Tape tape, double value, int dtype) except -1 nogil:
    """A Python number beside a value of this dtype: rounded to float32 there, float64 beside truth values."""
    return constant(tape, <float>value, FT_F32) if dtype == FT_F32 else constant(tape, value, FT_F64)

cdef inline int itemsize(int dtype) noexcept nogil:
    return 4 if dtype == FT_F32 or dtype == FT_B32 else 8

cdef inline int32_t root_of(Tape tape, int32_t node) noexcept nogil:
    return tape.t.entry[node].a if tape.t.entry[node].op == OP_view else node

cdef struct Reads:               # of an entry: n nodes, each `step` after the one before; not across an append
    int32_t *at
    int32_t n, step

cdef inline Reads reads_of(Tape tape, ft_entry *e) noexcept nogil:
    """The nodes that an entry reads; -1 among them stands for none. The results of a loop or a program are computed
    with the first, which alone has operands."""
    cdef Reads o
    o.at = &e.a
    o.step = 1
    if e.op < FT_N_MAP:
        o.n = rows[e.op].arity
    elif e.op == OP_assemble or e.op == OP_pack:
        o.n = tape.t.args[e.aux]
        o.at = tape.t.args + e.aux + 1
        o.step = 2 if e.op == OP_assemble else 1
    elif e.op == OP_loop or e.op == OP_program:
        o.n = 0 if e.a else tape.t.args[e.aux + 1]
        o.at = tape.t.args + e.aux + 2
    elif e.op == OP_input or e.op == OP_constant or e.op == OP_call:
        o.n = 0
    else:
        o.n = 2 if e.op in (OP_add_region, OP_update, OP_add_at, OP_set_at, OP_matmul, OP_take, OP_put_add) else 1
    return o

cdef inline int32_t again(Tape tape, int32_t node) noexcept nogil:
    """The node where the pull reads the value of a node."""
    return tape.again[node] if node < tape.n_again and tape.again[node] >= 0 else node

cdef inline bint is_store(Tape tape, int32_t node) noexcept nogil:
    """What a loop leaves for its reversal, which takes it where it has been computed and does without where not."""
    return tape.t.entry[node].op == OP_program and tape.t.entry[node].dtype == FT_I64

cdef inline int32_t moved_store(Tape tape, const int32_t *to, int32_t node) noexcept nogil:
    """Where a store is now that its loop's first result has moved; -1 if it has not."""
    cdef int32_t first = to[node - tape.t.entry[node].a]
    return first + tape.t.entry[node].a if first >= 0 else -1

cdef inline int32_t group_of(Tape tape, int32_t i) noexcept nogil:
    """The first of the results of a loop or a program, of which i is one; any other entry itself."""
    return i - tape.t.entry[i].a if tape.t.entry[i].op == OP_loop or tape.t.entry[i].op == OP_program else i
