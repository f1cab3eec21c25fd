"""The tape: contiguous arrays of entries, interned shapes and views, pooled buffers.

It stores; it knows no derivative, no plan and no tracer. All arrays keep their capacity from one
trace to the next, so that a hot transform asks the system for no memory.
"""
from libc.stdlib cimport free
from libc.string cimport memcmp, memset

cimport cython

cdef extern from "memory.h" nogil:
    void *ft_grow_array(void *, size_t, size_t)
    void ft_free_array(void *, size_t)
    void *ft_allocate(size_t)
    void ft_count(int64_t *, int64_t)
    int64_t ft_counted(int64_t *)
    void ft_raise(int64_t *, int64_t)
    long long ft_rigged

cdef int64_t KEPT_ENTRIES = 1 << 20         # a tape that grew beyond is trimmed when it is reset
cdef int64_t KEPT_BYTES = 64 << 20
cdef int64_t KEPT_SHAPES = 4096
cdef int64_t MOST_BYTES = <int64_t>1 << 48  # beyond any machine's memory

cdef enum:
    SMALL = 2048                    # bytes of the largest buffer that is cut from a slab
    SMALL_CLASSES = 24              # as size_class counts them
    SLAB = 1 << 18

cdef int64_t live_bytes = 0                 # of buffers and entries, all tapes, for peak_memory()
cdef int64_t peak_bytes = 0


cdef void *allocate(size_t size) noexcept nogil:
    return ft_allocate(size)


def rig_allocation(k):
    """For tests: make the k-th allocation from now fail. Returns how many the last rigging still waited for."""
    global ft_rigged
    left = ft_rigged
    ft_rigged = k
    return left


cdef int no_memory() except -1 nogil:
    with gil:
        raise MemoryError("fasttape: no memory for the tape or its buffers")


cdef int resize(void **array, int64_t *cap, int64_t want, int64_t size) except -1 nogil:
    """Grow an array by doubling to at least `want` items of `size` bytes."""
    cdef int64_t new = cap[0] * 2 if cap[0] else 64
    cdef void *p
    if want <= cap[0]:
        return 0
    if new < want:
        new = want
    p = ft_grow_array(array[0], cap[0] * size, new * size)
    if p == NULL:
        return no_memory()
    array[0] = p
    cap[0] = new
    return 0


cdef void drop(void **array, int64_t *cap, int64_t size) noexcept nogil:
    """Give up an array that `resize` made."""
    ft_free_array(array[0], cap[0] * size)
    array[0] = NULL
    cap[0] = 0


cdef void drop_entries(Tape tape) noexcept nogil:
    """Give up the arrays that grow with the number of entries."""
    drop(<void **>&tape.t.entry, &tape.cap_entry, sizeof(ft_entry))
    drop(<void **>&tape.t.val, &tape.cap_val, sizeof(ft_value))
    drop(<void **>&tape.t.last, &tape.cap_last, sizeof(int32_t))
    tape.t.cap = 0
    drop(<void **>&tape.active, &tape.cap_active, 1)
    drop(<void **>&tape.ct, &tape.cap_ct, sizeof(int32_t))
    drop(<void **>&tape.tangent, &tape.cap_tangent, sizeof(int32_t))
    drop(<void **>&tape.again, &tape.cap_again, sizeof(int32_t))
    drop(<void **>&tape.origin, &tape.cap_origin, sizeof(int32_t))
    drop(<void **>&tape.t.args, &tape.t.cap_args, sizeof(int32_t))
    drop(<void **>&tape.instr, &tape.cap_instr, sizeof(ft_instr))
    drop(<void **>&tape.step, &tape.cap_step, sizeof(ft_step))
    drop(<void **>&tape.member, &tape.cap_member, sizeof(int32_t))
    drop(<void **>&tape.dying, &tape.cap_dying, sizeof(void *))


cdef int grow(Tape tape, int64_t more) except -1 nogil:
    cdef int64_t want = tape.t.n + more
    if want > 0x7fffff00:
        with gil:
            raise MemoryError("fasttape: a tape holds at most 2**31 entries; wrap repeated parts in checkpoint()")
    if want <= tape.t.cap:
        return 0
    resize(<void **>&tape.t.last, &tape.cap_last, want, sizeof(int32_t))
    resize(<void **>&tape.t.val, &tape.cap_val, want, sizeof(ft_value))
    resize(<void **>&tape.t.entry, &tape.cap_entry, want, sizeof(ft_entry))
    tape.t.cap = min(tape.cap_last, tape.cap_val, tape.cap_entry)
    return 0


cdef void note_memory(Tape tape) noexcept nogil:
    """Let peak_memory() see this tape as it stands."""
    ft_raise(&peak_bytes, ft_counted(&live_bytes)
             + tape.t.n * <int64_t>(sizeof(ft_entry) + sizeof(ft_value) + sizeof(int32_t)))


def reset_peak():
    """Start a new measurement; returns the bytes held now."""
    global peak_bytes
    peak_bytes = ft_counted(&live_bytes)
    return peak_bytes


def read_peak():
    """The most bytes held by tapes and buffers since reset_peak()."""
    return ft_counted(&peak_bytes)


# ---- shapes and views

cdef uint64_t mix(uint64_t h, uint64_t x) noexcept nogil:
    h = (h ^ x) * <uint64_t>0x9E3779B97F4A7C15
    return h ^ (h >> 29)


cdef uint64_t hash_ints(uint64_t h, int n, const int64_t *x) noexcept nogil:
    cdef int i
    for i in range(n):
        h = mix(h, <uint64_t>x[i])
    return h


cdef uint64_t hash_shape(Tape tape, int32_t id) noexcept nogil:
    return hash_ints(tape.t.shape[id].ndim, tape.t.shape[id].ndim, tape.t.dims + tape.t.shape[id].at)


cdef uint64_t hash_view(Tape tape, int32_t id) noexcept nogil:
    cdef ft_view *w = tape.t.view + id
    return hash_ints(mix(mix(w.base, w.shape), <uint64_t>w.offset), tape.t.shape[w.shape].ndim,
                     tape.t.dims + w.at)


cdef int rehash(Tape tape, Table *table, bint of_views) except -1 nogil:
    cdef int64_t size = table.size * 2 if table.size else 64
    cdef int32_t *slot = <int32_t *>ft_allocate(size * sizeof(int32_t))
    cdef int64_t i, k, n = tape.t.n_view if of_views else tape.t.n_shape
    if slot == NULL:
        return no_memory()
    memset(slot, 0xff, size * sizeof(int32_t))
    for i in range(n):
        k = (hash_view(tape, i) if of_views else hash_shape(tape, i)) & (size - 1)
        while slot[k] >= 0:
            k = (k + 1) & (size - 1)
        slot[k] = <int32_t>i
    free(table.slot)
    table.slot = slot
    table.size = size
    return 0


cdef int too_large() except -1 nogil:
    with gil:
        raise ValueError("fasttape: an array of this shape would have more than 2**45 elements")


cdef int32_t intern_shape(Tape tape, int ndim, const int64_t *dims) except -1 nogil:
    """The id of a shape; equal shapes have equal ids, and () is 0."""
    cdef int64_t k, size = 1
    cdef int32_t id
    cdef int i
    cdef ft_shape *s
    for i in range(ndim):
        if dims[i] == 0:
            size = 0
    for i in range(ndim):
        if size > 0 and dims[i] > MOST_BYTES // 8 // size:
            too_large()
        size *= dims[i]
    if tape.t.n_shape * 2 >= tape.shapes.size:
        rehash(tape, &tape.shapes, False)
    k = hash_ints(ndim, ndim, dims) & (tape.shapes.size - 1)
    while tape.shapes.slot[k] >= 0:
        id = tape.shapes.slot[k]
        s = tape.t.shape + id
        if s.ndim == ndim and (ndim == 0 or memcmp(tape.t.dims + s.at, dims, ndim * sizeof(int64_t)) == 0):
            return id
        k = (k + 1) & (tape.shapes.size - 1)
    resize(<void **>&tape.t.shape, &tape.t.cap_shape, tape.t.n_shape + 1, sizeof(ft_shape))
    resize(<void **>&tape.t.dims, &tape.t.cap_dims, tape.t.n_dims + ndim, sizeof(int64_t))
    id = <int32_t>tape.t.n_shape
    s = tape.t.shape + id
    s.ndim = ndim
    s.at = <int32_t>tape.t.n_dims
    for i in range(ndim):
        tape.t.dims[tape.t.n_dims + i] = dims[i]
    s.size = size
    tape.t.n_dims += ndim
    tape.t.n_shape += 1
    tape.shapes.slot[k] = id
    return id


cdef int32_t intern_view(Tape tape, int32_t base, int ndim, const int64_t *dims,
                         const int64_t *strides, int64_t offset) except -1 nogil:
    """The id of the region of a contiguous base that has these extents, strides and offset."""
    cdef int32_t shape = intern_shape(tape, ndim, dims), id
    cdef int64_t k, step = 1
    cdef int i
    cdef ft_view *w
    if tape.t.n_view * 2 >= tape.views.size:
        rehash(tape, &tape.views, True)
    k = hash_ints(mix(mix(base, shape), <uint64_t>offset), ndim, strides) & (tape.views.size - 1)
    while tape.views.slot[k] >= 0:
        id = tape.views.slot[k]
        w = tape.t.view + id
        if w.base == base and w.shape == shape and w.offset == offset and \
                (ndim == 0 or memcmp(tape.t.dims + w.at, strides, ndim * sizeof(int64_t)) == 0):
            return id
        k = (k + 1) & (tape.views.size - 1)
    resize(<void **>&tape.t.view, &tape.t.cap_view, tape.t.n_view + 1, sizeof(ft_view))
    resize(<void **>&tape.t.dims, &tape.t.cap_dims, tape.t.n_dims + ndim, sizeof(int64_t))
    id = <int32_t>tape.t.n_view
    w = tape.t.view + id
    w.base = base
    w.shape = shape
    w.offset = offset
    w.at = <int32_t>tape.t.n_dims
    w.contiguous = 1
    for i in range(ndim - 1, -1, -1):
        tape.t.dims[tape.t.n_dims + i] = strides[i]
        if dims[i] != 1 and strides[i] != step:
            w.contiguous = 0
        step *= dims[i]
    tape.t.n_dims += ndim
    tape.t.n_view += 1
    tape.views.slot[k] = id
    return id


cdef int32_t broadcast(Tape tape, int32_t a, int32_t b) except -2 nogil:
    """The shape of an elementwise result; -1 where the two do not broadcast."""
    cdef int k = (a * 7 + b) & (CONSTANT_CACHE - 1), i, ia, ib, ndim
    cdef int64_t dims[FT_MAX_DIMS]
    cdef int64_t da, db
    cdef ft_shape *sa
    cdef ft_shape *sb
    if a == b or b == 0:
        return a
    if a == 0:
        return b
    if tape.pair_a[k] == a and tape.pair_b[k] == b:
        return tape.pair_shape[k]
    sa = tape.t.shape + a
    sb = tape.t.shape + b
    ndim = max(sa.ndim, sb.ndim)
    for i in range(ndim):
        ia = i - (ndim - sa.ndim)
        ib = i - (ndim - sb.ndim)
        da = tape.t.dims[sa.at + ia] if ia >= 0 else 1
        db = tape.t.dims[sb.at + ib] if ib >= 0 else 1
        if da != db and da != 1 and db != 1:
            return -1
        dims[i] = db if da == 1 else da
    tape.pair_shape[k] = intern_shape(tape, ndim, dims)
    tape.pair_a[k] = a
    tape.pair_b[k] = b
    return tape.pair_shape[k]


cdef int32_t new_constant(Tape tape, double value, int dtype, int slot) except -1 nogil:
    cdef int32_t node = emit(tape, OP_constant, dtype, FT_DONE, 0, 0, 0, 0)
    tape.t.val[node].f = value
    tape.constant_at[slot] = node
    return node


cdef int64_t new_args(Tape tape, int64_t n) except -1 nogil:
    """Room for n operands of an op that takes any number; returns their place in `args`."""
    cdef int64_t at = tape.t.n_args
    if at + n > 0x7fffff00:
        return no_memory()
    resize(<void **>&tape.t.args, &tape.t.cap_args, at + n, sizeof(int32_t))
    tape.t.n_args += n
    return at


# ---- buffers, in classes of four sizes per power of two

cdef int size_class(int64_t size, int64_t *capacity) noexcept nogil:
    cdef int64_t step = 16
    cdef int k = 0
    while step * 8 < size:
        step *= 2
        k += 4
    # here size <= 8 * step, and size > 4 * step unless step is the smallest
    capacity[0] = ((size + step - 1) // step) * step
    if capacity[0] == 0:
        capacity[0] = step
    return k + <int>(capacity[0] // step) - 1


cdef inline int64_t capacity_of(int64_t k) noexcept nogil:
    """The bytes of a buffer of class k, for the small classes: 1 to 8 times 16, then 5 to 8 times 32, ..."""
    return (k + 1) * 16 if k < 8 else (5 + (k & 3)) << (k // 4 + 3)


cdef void *new_small(Tape tape, int64_t capacity) except NULL nogil:
    cdef char *p
    if tape.slab_in_use == 0 or tape.slab_at + capacity + 16 > SLAB:
        if tape.slab_in_use == tape.n_slab:
            resize(<void **>&tape.slab, &tape.cap_slab, tape.n_slab + 1, sizeof(void *))
            tape.slab[tape.n_slab] = ft_allocate(SLAB)
            if tape.slab[tape.n_slab] == NULL:
                no_memory()
                return NULL
            tape.n_slab += 1
        tape.slab_in_use += 1
        tape.slab_at = 0
    p = <char *>tape.slab[tape.slab_in_use - 1] + tape.slab_at + 16
    tape.slab_at += capacity + 16
    return p


cdef void *new_large(Tape tape, int64_t capacity) except NULL nogil:
    cdef void *raw = ft_allocate(capacity + 128)
    cdef Block *b
    if raw == NULL:
        no_memory()
        return NULL
    b = <Block *>((<size_t>raw + 63) & ~<size_t>63)
    b.raw = raw
    b.capacity = capacity
    return <char *>b + 64


cdef void note_passing(Tape tape, void *data, int64_t size) noexcept nogil:
    cdef Passing *p = tape.passing + tape.n_passing
    p.data = data
    p.size = size
    p.at = tape.n_instr
    tape.n_passing += 1


cdef void *take_buffer(Tape tape, int64_t size) except NULL nogil:
    """A buffer of at least `size` bytes, from the tape's pool or the system."""
    cdef int64_t capacity
    cdef int k
    cdef void *data
    cdef Block *b
    if size > MOST_BYTES:
        no_memory()
        return NULL
    k = size_class(size, &capacity)
    data = tape.free_list[k]
    if capacity <= SMALL:
        if data != NULL:
            tape.free_list[k] = (<void **>data - 2)[0]
        else:
            data = new_small(tape, capacity)
            (<int64_t *>data - 1)[0] = k
    else:
        if data != NULL:
            tape.free_list[k] = (<Block *>(<char *>data - 64)).next
            tape.bytes_pooled -= capacity
        else:
            data = new_large(tape, capacity)
        b = <Block *>(<char *>data - 64)
        b.size_class = k
        b.next = tape.in_use.next
        b.prev = &tape.in_use
        if b.next != NULL:
            b.next.prev = b
        tape.in_use.next = b
        note_memory(tape)
    tape.bytes_out += capacity
    ft_count(&live_bytes, capacity)
    if tape.noting:                 # here is made room for when it is given back, too
        tape.n_taken += 1
        resize(<void **>&tape.passing, &tape.cap_passing, 2 * tape.n_taken, sizeof(Passing))
        note_passing(tape, data, size)
    return data


cdef void give_buffer(Tape tape, void *data) noexcept nogil:
    """Back to the pool, never to the system: a plan gives back what its instructions still use."""
    cdef int64_t k = (<int64_t *>data - 1)[0], capacity
    cdef Block *b
    if k < SMALL_CLASSES:
        capacity = capacity_of(k)
        (<void **>data - 2)[0] = tape.free_list[k]    # not in the data: instructions still use it
    else:
        note_memory(tape)
        b = <Block *>(<char *>data - 64)
        capacity = b.capacity
        b.prev.next = b.next
        if b.next != NULL:
            b.next.prev = b.prev
        b.next = <Block *>tape.free_list[k]
        tape.bytes_pooled += capacity
    tape.free_list[k] = data
    tape.bytes_out -= capacity
    ft_count(&live_bytes, -capacity)
    if tape.noting:
        note_passing(tape, data, -1)


cdef void give_all(Tape tape) noexcept nogil:
    """Every buffer back to the pool: the small ones by starting again at the first slab."""
    while tape.in_use.next != NULL:
        give_buffer(tape, <char *>tape.in_use.next + 64)
    ft_count(&live_bytes, -tape.bytes_out)
    tape.bytes_out = 0
    memset(tape.free_list, 0, SMALL_CLASSES * sizeof(void *))
    tape.slab_in_use = tape.slab_at = 0


cdef void trim_pool(Tape tape, int64_t most) noexcept nogil:
    """Return memory to the system, the largest free buffers first, until the pool holds no more than
    `most` bytes in large buffers and as many in slabs. Nothing is in use."""
    cdef int k = N_CLASSES - 1
    cdef Block *b
    while tape.bytes_pooled > most and k >= SMALL_CLASSES:
        if tape.free_list[k] == NULL:
            k -= 1
            continue
        b = <Block *>(<char *>tape.free_list[k] - 64)
        tape.free_list[k] = b.next
        tape.bytes_pooled -= b.capacity
        free(b.raw)
    while tape.n_slab * SLAB > most:
        tape.n_slab -= 1
        free(tape.slab[tape.n_slab])


cdef class Tape:
    def __cinit__(self):
        self.keep = []
        self.locked = []
        self.captured = {}
        self.regions = []
        self.recomputed = []
        self.loops = []
        self.copies = {}
        self.programs = []
        self.calls = []
        grow(self, 256)
        self.clear_tables()

    cdef int clear_tables(self) except -1:
        cdef int64_t none = 0
        self.t.n_shape = self.t.n_view = self.t.n_dims = 0
        free(self.shapes.slot)
        free(self.views.slot)
        self.shapes.slot = self.views.slot = NULL
        self.shapes.size = self.views.size = 0
        memset(self.pair_a, 0xff, sizeof(self.pair_a))
        intern_shape(self, 0, &none)
        return 0

    def __dealloc__(self):
        self.noting = False
        give_all(self)
        trim_pool(self, 0)
        drop_entries(self)
        drop(<void **>&self.t.shape, &self.t.cap_shape, sizeof(ft_shape))
        drop(<void **>&self.t.view, &self.t.cap_view, sizeof(ft_view))
        drop(<void **>&self.t.dims, &self.t.cap_dims, sizeof(int64_t))
        drop(<void **>&self.t.watch, &self.t.cap_watch, sizeof(ft_watch))
        drop(&self.scratch, &self.cap_scratch, 1)
        drop(<void **>&self.passing, &self.cap_passing, sizeof(Passing))
        drop(<void **>&self.slab, &self.cap_slab, sizeof(void *))
        free(self.shapes.slot)
        free(self.views.slot)

    cdef int index_tables(self) except -1:
        """Find again the shapes and views that were copied in."""
        self.shapes.size = self.views.size = 64
        while self.shapes.size < 2 * self.t.n_shape:
            self.shapes.size *= 2
        while self.views.size < 2 * self.t.n_view:
            self.views.size *= 2
        rehash(self, &self.shapes, False)       # which doubles
        rehash(self, &self.views, True)
        return 0

    cdef int reset(self) except -1:
        """Forget the trace; keep the memory, unless it grew beyond what is worth keeping."""
        note_memory(self)
        give_all(self)
        trim_pool(self, KEPT_BYTES)
        with cython.critical_section(self):     # a tracer may be dying in another thread
            self.generation += 1
            self.tracers = NULL
        self.t.n = self.t.n_args = self.t.n_watch = 0
        self.depth = 0
        self.budget = self.n_again = 0
        self.pushed = self.lanes = self.n_origin = 0
        self.forgets = self.defers = self.broken = self.reversing = self.pushing = self.bodily = False
        self.parent = None
        self.replay = None
        self.imports = None
        self.imported = None
        self.lots = None
        if self.keep:
            self.keep.clear()
        if self.captured:
            self.captured.clear()
        if self.regions:
            self.regions.clear()
        if self.recomputed:
            self.recomputed.clear()
        if self.copies:
            self.copies = {}
        if self.programs:
            self.programs = []
            self.calls = []
        if self.t.n_shape > KEPT_SHAPES or self.t.n_view > KEPT_SHAPES:
            self.clear_tables()
        if self.t.cap > KEPT_ENTRIES:
            drop_entries(self)
            grow(self, 256)
        return 0
