"""A recorded tape made over into one that is worth keeping: what is dead, known or repeated goes.

The entries that the outputs need are copied in their order to a new tape, each as what it amounts to:
an entry that depends on no input becomes a constant; one that equals an earlier entry is that entry (so
that a derivative shares the sub-results of its primal); x*1, x - 0, -(-x) and their like are x. All of
it is exact in floating point: the numbers are, bit for bit, those of the recorded tape.
"""
import numpy as np

from libc.stdlib cimport free
from libc.string cimport memcpy, memset

cimport numpy as cnp

from fasttape._core.copies cimport copy_tables
from fasttape._core.needs cimport mark_needs
from fasttape._core.plan cimport evaluate
from fasttape._core.record cimport *

cnp.import_array()

cdef struct Rewrite:
    int32_t *to                     # the new node of an old one
    uint8_t *varies                 # an old node depends on an input
    int32_t *slot                   # open-addressing hash of new nodes; -1 is empty
    int64_t slots


# ---- new entries, each once

cdef inline uint64_t mixed(uint64_t h, uint64_t x) noexcept nogil:
    h = (h ^ x) * <uint64_t>0x9E3779B97F4A7C15
    return h ^ (h >> 32)


cdef int32_t unique(Tape tape, Rewrite *r, ft_entry *e) except -1 nogil:
    """The node of this entry on the new tape."""
    cdef uint64_t h = mixed(mixed(e.op | <uint64_t>e.dtype << 8 | <uint64_t>e.shape << 16, <uint32_t>e.a), <uint32_t>e.b)
    cdef int64_t k = mixed(h, <uint32_t>e.aux) & <uint64_t>(r.slots - 1)
    cdef ft_entry *o
    while r.slot[k] >= 0:
        o = tape.t.entry + r.slot[k]
        if o.op == e.op and o.dtype == e.dtype and o.shape == e.shape and o.a == e.a and o.b == e.b and o.aux == e.aux:
            return r.slot[k]
        k = (k + 1) & (r.slots - 1)
    r.slot[k] = emit(tape, e.op, e.dtype, e.flags & FT_ACTIVE, e.shape, e.a, e.b, e.aux)
    return r.slot[k]


cdef int32_t number(Tape tape, Rewrite *r, double value, int dtype) except -1 nogil:
    """The node of a constant: its bits stand in `a` and `b` of its entry."""
    cdef ft_entry e
    cdef int32_t y
    e.op = OP_constant
    e.dtype = <uint8_t>dtype
    e.flags = 0
    e.shape = 0
    memcpy(&e.a, &value, 8)
    e.aux = 0
    y = unique(tape, r, &e)
    tape.t.entry[y].flags = FT_DONE
    tape.t.val[y].f = value
    return y


cdef inline bint is_number(Tape tape, int32_t node, double value) noexcept nogil:
    """The node is this constant, its sign too."""
    return tape.t.entry[node].op == OP_constant and memcmp8(&tape.t.val[node].f, &value)


cdef inline bint memcmp8(const double *a, const double *b) noexcept nogil:
    return (<const uint64_t *>a)[0] == (<const uint64_t *>b)[0]


cdef inline bint as_whole(Tape tape, ft_entry *e, int32_t node) noexcept nogil:
    """The node may stand for e: same shape and dtype, and no view."""
    cdef ft_entry *o = tape.t.entry + node
    return o.shape == e.shape and o.dtype == e.dtype and o.op != OP_view


cdef int32_t simpler(Tape tape, ft_entry *e) noexcept nogil:
    """A node that has the value of e, or -1; or e is changed into something cheaper."""
    cdef ft_entry *o
    if e.op == OP_positive or e.op == OP_cast:
        return e.a if as_whole(tape, e, e.a) else -1
    if e.op == OP_negative:
        o = tape.t.entry + e.a
        return o.a if o.op == OP_negative and as_whole(tape, e, o.a) else -1
    if e.op == OP_multiply or e.op == OP_scale or e.op == OP_scale_both:
        if is_number(tape, e.a, 1.0) and as_whole(tape, e, e.b) and e.op != OP_scale_both:
            return e.b
        if e.op == OP_multiply and is_number(tape, e.b, 1.0) and as_whole(tape, e, e.a):
            return e.a
    elif e.op == OP_divide:
        return e.a if is_number(tape, e.b, 1.0) and as_whole(tape, e, e.a) else -1
    elif e.op == OP_add:
        if is_number(tape, e.b, -0.0) and as_whole(tape, e, e.a):
            return e.a
        if is_number(tape, e.a, -0.0) and as_whole(tape, e, e.b):
            return e.b
        o = tape.t.entry + e.b
        if o.op == OP_negative and o.shape == e.shape:      # a + (-b): the same rounding
            e.op = OP_subtract
            e.b = o.a
        else:
            o = tape.t.entry + e.a
            if o.op == OP_negative and o.shape == e.shape:
                e.op = OP_subtract
                e.a = e.b
                e.b = o.a
    elif e.op == OP_subtract:
        if is_number(tape, e.b, 0.0) and as_whole(tape, e, e.a):
            return e.a
        o = tape.t.entry + e.b
        if o.op == OP_negative and o.shape == e.shape:
            e.op = OP_add
            e.b = o.a
    return -1


# ---- what depends on nothing

cdef bint any_varies(Tape old, Rewrite *r, int32_t i) noexcept nogil:
    cdef ft_entry *e = old.t.entry + i
    cdef int arity, k
    cdef int32_t *args
    if e.op < FT_N_MAP:
        arity = rows[e.op].arity
        return r.varies[e.a] or (arity > 1 and r.varies[e.b]) or (arity > 2 and r.varies[e.aux])
    if e.op == OP_input or e.op == OP_constant:
        return False
    if e.op == OP_assemble or e.op == OP_pack:
        args = old.t.args + e.aux
        arity = 2 if e.op == OP_assemble else 1
        for k in range(args[0]):
            if args[1 + arity * k] >= 0 and r.varies[args[1 + arity * k]]:
                return True
        return False
    return r.varies[e.a] or (e.op in (OP_add_region, OP_update, OP_add_at, OP_set_at, OP_matmul) and r.varies[e.b])


cdef inline bint is_fill(Tape old, int32_t i) noexcept nogil:
    """A spread number: cheaper to make than to keep."""
    return old.t.entry[i].op == OP_positive and old.t.entry[i].shape != 0 and old.t.entry[old.t.entry[i].a].shape == 0


cdef int64_t note_fixed(Tape old, Rewrite *r, int32_t o, int32_t *fixed, int64_t n) noexcept nogil:
    o = root_of(old, o)
    if is_fill(old, o):
        o = old.t.entry[o].a
    if not r.varies[o] and not old.t.entry[o].flags & FT_DONE and r.to[o] != -2:
        r.to[o] = -2
        fixed[n] = o
        n += 1
    return n


cdef int64_t find_fixed(Tape old, Rewrite *r, int32_t first, int32_t top, int32_t *fixed) noexcept nogil:
    """What varying entries read that can be computed once and for all."""
    cdef int32_t i
    cdef int64_t n = 0
    cdef int k, step
    cdef int32_t *args
    cdef ft_entry *e
    for i in range(first, top + 1):
        e = old.t.entry + i
        if not e.flags & FT_NEED:
            continue
        if not r.varies[i]:             # read by outputs alone, or by another that does not vary
            if old.t.last[i] == MASK_OF_ALL:
                n = note_fixed(old, r, i, fixed, n)
        elif e.op < FT_N_MAP:
            n = note_fixed(old, r, e.a, fixed, n)
            if rows[e.op].arity > 1:
                n = note_fixed(old, r, e.b, fixed, n)
            if rows[e.op].arity > 2:
                n = note_fixed(old, r, e.aux, fixed, n)
        elif e.op == OP_assemble or e.op == OP_pack:
            args = old.t.args + e.aux
            step = 2 if e.op == OP_assemble else 1
            for k in range(args[0]):
                if args[1 + step * k] >= 0:
                    n = note_fixed(old, r, args[1 + step * k], fixed, n)
        else:
            n = note_fixed(old, r, e.a, fixed, n)
            if e.op in (OP_add_region, OP_update, OP_add_at, OP_set_at, OP_matmul):
                n = note_fixed(old, r, e.b, fixed, n)
    return n


cdef int fold(Tape old, Rewrite *r, const int32_t *outputs, int64_t n) except -1:
    """Compute, on the old tape, what varying entries and outputs read of what does not vary."""
    cdef int32_t top, first = mark_needs(old, outputs, n, &top)
    cdef int64_t i, count = 0
    cdef int32_t *fixed
    if top < 0:
        return 0
    fixed = <int32_t *>allocate((top - first + 2) * sizeof(int32_t))
    if fixed == NULL:
        raise MemoryError
    try:
        count = find_fixed(old, r, first, top, fixed)
        for i in range(first, top + 1):
            old.t.entry[i].flags &= ~FT_NEED
        for i in range(count):
            r.to[fixed[i]] = -1
        if count:
            evaluate(old, fixed, count)
    finally:
        free(fixed)
    return 0


# ---- from one tape to the other

cdef int32_t known_array(Tape old, Tape new, int32_t i) except -1:
    """A copy, on the new tape, of an array that is known on the old one."""
    cdef ft_entry e = old.t.entry[i]
    cdef int64_t size = old.t.shape[e.shape].size * itemsize(e.dtype)
    cdef int32_t y = emit(new, OP_input, e.dtype, FT_DONE, e.shape, 0, 0, 0)
    cdef cnp.ndarray copy = np.empty(max(size, 1), np.uint8)
    if size:
        memcpy(cnp.PyArray_DATA(copy), old.t.val[i].p, size)
    new.t.val[y].p = cnp.PyArray_DATA(copy)
    new.keep.append(copy)
    new.t.entry[y].b = <int32_t>len(new.keep)
    return y


cdef int32_t moved(Tape old, Tape new, Rewrite *r, int32_t o) except -1:
    """The new node of an operand."""
    cdef ft_entry e
    if r.to[o] >= 0:
        return r.to[o]
    e = old.t.entry[o]
    if e.op == OP_view:
        e.a = moved(old, new, r, e.a)
        r.to[o] = unique(new, r, &e)
    elif e.shape == 0:                  # known: a constant
        r.to[o] = number(new, r, old.t.val[o].f, e.dtype)
    elif e.flags & FT_DONE:
        r.to[o] = known_array(old, new, o)
    else:                               # a spread number
        e.a = moved(old, new, r, e.a)
        r.to[o] = unique(new, r, &e)
    return r.to[o]


cdef int32_t move_entry(Tape old, Tape new, Rewrite *r, int32_t i) except -1:
    """Entry i of the old tape, on the new one."""
    cdef ft_entry e = old.t.entry[i]
    cdef int k, step
    cdef int64_t at
    cdef int32_t y
    if e.op < FT_N_MAP:
        k = rows[e.op].arity
        e.a = moved(old, new, r, e.a)
        e.b = moved(old, new, r, e.b) if k > 1 else 0
        e.aux = moved(old, new, r, e.aux) if k > 2 else 0
    elif e.op == OP_assemble or e.op == OP_pack:
        step = 2 if e.op == OP_assemble else 1
        at = new_args(new, 1 + step * old.t.args[e.aux])
        memcpy(new.t.args + at, old.t.args + e.aux, (1 + step * old.t.args[e.aux]) * sizeof(int32_t))
        for k in range(old.t.args[e.aux]):
            if new.t.args[at + 1 + step * k] >= 0:
                y = moved(old, new, r, new.t.args[at + 1 + step * k])
                new.t.args[at + 1 + step * k] = y
        return emit(new, e.op, e.dtype, e.flags & FT_ACTIVE, e.shape, 0, 0, <int32_t>at)
    else:
        e.a = moved(old, new, r, e.a)
        if e.op in (OP_add_region, OP_update, OP_add_at, OP_set_at, OP_matmul, OP_take, OP_put_add):
            e.b = moved(old, new, r, e.b)
    y = simpler(new, &e)
    return y if y >= 0 else unique(new, r, &e)


cdef int rewrite(Tape old, Tape new, Rewrite *r, int64_t n_input, int32_t *outputs, int64_t n) except -1:
    cdef int64_t i
    cdef ft_entry e
    cdef int32_t top, first
    memset(r.to, 0xff, old.t.n * sizeof(int32_t))
    for i in range(old.t.n):
        r.varies[i] = i < n_input or any_varies(old, r, <int32_t>i)
        if r.varies[i] and i >= n_input:
            old.t.entry[i].flags &= ~FT_DONE
    for i in range(n_input):
        e = old.t.entry[i]
        r.to[i] = emit(new, OP_input, e.dtype, FT_DONE | (e.flags & FT_ACTIVE), e.shape, 0, 0, 0)
    fold(old, r, outputs, n)
    first = mark_needs(old, outputs, n, &top)
    for i in range(first, top + 1):
        if old.t.entry[i].flags & FT_NEED:
            old.t.entry[i].flags &= ~FT_NEED
            if r.varies[i]:
                r.to[i] = move_entry(old, new, r, <int32_t>i)
    for i in range(n):
        outputs[i] = moved(old, new, r, outputs[i])
    return 0


cdef Tape optimise(Tape old, int64_t n_input, int32_t *outputs, int64_t n):
    """A new tape with what the outputs need; its first nodes are the inputs, which are the first of the
    old one. The outputs are replaced by their new nodes. The old tape is of no use afterwards."""
    cdef Tape new = Tape()
    cdef Rewrite r
    memset(&r, 0, sizeof(Rewrite))
    r.slots = 64
    while r.slots < old.t.n * 2:
        r.slots *= 2
    copy_tables(old, new)
    try:
        r.to = <int32_t *>allocate(old.t.n * sizeof(int32_t) + 8)
        r.varies = <uint8_t *>allocate(old.t.n + 8)
        r.slot = <int32_t *>allocate(r.slots * sizeof(int32_t))
        if r.to == NULL or r.varies == NULL or r.slot == NULL:
            raise MemoryError
        memset(r.slot, 0xff, r.slots * sizeof(int32_t))
        rewrite(old, new, &r, n_input, outputs, n)
    finally:
        free(r.to)
        free(r.varies)
        free(r.slot)
    return new
