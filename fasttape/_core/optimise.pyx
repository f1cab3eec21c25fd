"""A recorded tape made over into one that is worth keeping: what is dead, known or repeated goes.

The entries that the outputs need are copied in their order to a new tape, each as what it amounts to:
an entry that depends on no input becomes a constant; one that equals an earlier entry is that entry (so
that a derivative shares the sub-results of its primal); x*1, x - 0, -(-x) and their like are x. All of
it is exact in floating point: the numbers are, bit for bit, those of the recorded tape.
"""
from cpython.ref cimport PyObject
from libc.stdlib cimport free
from libc.string cimport memset

from fasttape._core.copies cimport copy_tables, emit_group, own_operands
from fasttape._core.distinct cimport Distinct, close_distinct, new_distinct, number, unique
from fasttape._core.elements cimport Variable, Variables
from fasttape._core.frozen cimport find_varying, known_array
from fasttape._core.needs cimport mark_needs
from fasttape._core.plan cimport evaluate
from fasttape._core.record cimport *

cdef struct Rewrite:
    int32_t *to                     # the new node of an old one
    uint8_t *varies                 # an old node depends on an input
    int32_t *last_use               # the last needed entry that reads an old node, itself or a region of it
    int32_t *chain                  # of an old array that has been changed: the first change of it; or -1
    uint8_t *mixed                  # by that: it is not only added to
    int32_t *variable               # of an old array that is changed element by element: which one it is; or -1
    int64_t cap_to, cap_varies, cap_last_use, cap_chain, cap_mixed, cap_variable
    bint packs                      # arrays of numbers, whatever is done to them
    Distinct made                   # the new entries
    PyObject *variables             # Variables


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

cdef inline bint is_fill(Tape old, int32_t i) noexcept nogil:
    """A spread number: cheaper to make than to keep."""
    return old.t.entry[i].op == OP_positive and old.t.entry[i].shape != 0 and old.t.entry[old.t.entry[i].a].shape == 0


cdef int64_t note_fixed(Tape old, Rewrite *r, int32_t o, int32_t *fixed, int64_t n) noexcept nogil:
    o = root_of(old, o)
    if is_store(old, o):
        return n
    if not r.varies[o] and is_fill(old, o):
        o = old.t.entry[o].a        # the number is what is kept
    if not r.varies[o] and not old.t.entry[o].flags & FT_DONE and r.to[o] != -2:
        r.to[o] = -2
        fixed[n] = o
        n += 1
    return n


cdef int64_t find_fixed(Tape old, Rewrite *r, int32_t first, int32_t top, int32_t *fixed) noexcept nogil:
    """What varying entries read that can be computed once and for all."""
    cdef int32_t i
    cdef int64_t n = 0
    cdef int k
    cdef Reads o
    for i in range(first, top + 1):
        if not old.t.entry[i].flags & FT_NEED:
            continue
        if not r.varies[i]:             # read by outputs alone, or by another that does not vary
            if old.t.last[i] == MASK_OF_ALL:
                n = note_fixed(old, r, i, fixed, n)
            continue
        o = reads_of(old, old.t.entry + i)
        for k in range(o.n):
            if o.at[k * o.step] >= 0:
                n = note_fixed(old, r, o.at[k * o.step], fixed, n)
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


# ---- arrays that are changed element by element

cdef int note_changes(Tape old, Rewrite *r, int32_t first, int32_t top, const int32_t *outputs, int64_t n) noexcept nogil:
    """Note who reads what last, and which chains of changes do more than add: sums into an array that nobody looks at
    on the way are regions as they are (roll.pyx)."""
    cdef int32_t i, node
    cdef int64_t k
    cdef Reads o
    cdef ft_entry *e
    for i in range(first, top + 1):
        e = old.t.entry + i
        if not e.flags & FT_NEED:
            continue
        if e.op == OP_set_at or e.op == OP_add_at:
            r.chain[i] = r.chain[e.a] if r.chain[e.a] >= 0 else i
            r.mixed[r.chain[i]] |= e.op == OP_set_at or r.packs
        elif e.op == OP_get and r.chain[e.a] >= 0:
            r.mixed[r.chain[e.a]] = True
        o = reads_of(old, old.t.entry + i)
        for k in range(o.n):
            node = o.at[k * o.step]
            if node >= 0:
                r.last_use[root_of(old, node)] = i
    for k in range(n):
        r.last_use[root_of(old, outputs[k])] = MASK_OF_ALL
    return 0


cdef int32_t variable_of(Tape old, Tape new, Rewrite *r, int32_t i) except -2:
    """The variable that entry i, a set_at or add_at, changes; -1 if there is none."""
    cdef int32_t a = old.t.entry[i].a, k = r.variable[a]
    if k >= 0 and r.last_use[a] == i:
        r.variable[a] = -1              # and nobody asks for it any more
    else:
        k = (<Variables>r.variables).new(new, moved(old, new, r, a), old.t.n)
    return k


cdef int32_t element(Tape new, Rewrite *r, int32_t k, int64_t place) except -1:
    """The node of an element of a variable."""
    cdef Variable *v = (<Variables>r.variables).at + k
    cdef ft_entry e = new.t.entry[v.base]
    cdef double value
    if v.known[place] >= 0:
        return v.known[place]
    if e.op == OP_positive and new.t.entry[e.a].shape == 0:
        v.known[place] = e.a
    elif e.op == OP_input and e.b > 0:                  # a known array
        value = (<float *>new.t.val[v.base].p)[place] if e.dtype & 1 else (<double *>new.t.val[v.base].p)[place]
        v.known[place] = number(new, &r.made, value, e.dtype)
    else:
        e.op = OP_get
        e.flags = 0
        e.shape = 0
        e.a = v.base
        e.b = 0
        e.aux = <int32_t>place
        v.known[place] = unique(new, &r.made, &e)
    return v.known[place]


cdef bint change_element(Tape old, Tape new, Rewrite *r, int32_t i) except -1:
    """Let entry i, a set_at or add_at, change a variable. False where it does not."""
    cdef ft_entry e = old.t.entry[i]
    cdef int32_t k, y, node
    if e.dtype >= FT_B64 or not r.mixed[r.chain[i]]:
        return False
    k = variable_of(old, new, r, i)
    if k < 0:
        return False
    y = moved(old, new, r, e.b)
    if new.t.entry[y].dtype != e.dtype:
        if new.t.entry[y].dtype >= FT_B64:
            return False
        y = of_elements(new, r, OP_cast, e.dtype, y, 0)
    if e.op == OP_add_at:
        node = element(new, r, k, e.aux)
        y = of_elements(new, r, OP_add, e.dtype, node, y)
    (<Variables>r.variables).set(k, e.aux, y)
    r.variable[i] = k
    return True


cdef int32_t of_elements(Tape new, Rewrite *r, int op, int dtype, int32_t a, int32_t b) except -1:
    cdef ft_entry e
    cdef int32_t y
    memset(&e, 0, sizeof(ft_entry))
    e.op = <uint8_t>op
    e.dtype = <uint8_t>dtype
    e.a = a
    e.b = b
    y = simpler(new, &e)
    return y if y >= 0 else unique(new, &r.made, &e)


cdef int32_t packed(Tape new, Rewrite *r, int32_t k) except -1:
    """The array of a variable, made of its elements."""
    cdef Variables variables = <Variables>r.variables
    cdef int32_t base = variables.at[k].base
    cdef ft_entry e = new.t.entry[base]
    cdef int64_t n = size_of(new, base), at, place
    for place in range(n):
        element(new, r, k, place)
    at = new_args(new, 1 + n)
    new.t.args[at] = <int32_t>n
    for place in range(n):
        new.t.args[at + 1 + place] = variables.at[k].known[place]
    variables.at[k].base = emit(new, OP_pack, e.dtype, 0, e.shape, 0, 0, <int32_t>at)
    return variables.at[k].base


# ---- from one tape to the other

cdef int32_t moved(Tape old, Tape new, Rewrite *r, int32_t o) except -1:
    """The new node of an operand."""
    cdef ft_entry e
    if r.to[o] >= 0:
        return r.to[o]
    e = old.t.entry[o]
    if r.variable[o] >= 0:
        r.to[o] = packed(new, r, r.variable[o]) if r.packs else (<Variables>r.variables).written(new, r.variable[o])
    elif e.op == OP_view:
        e.a = moved(old, new, r, e.a)
        r.to[o] = unique(new, &r.made, &e)
    elif e.shape == 0:                  # known: a constant
        r.to[o] = number(new, &r.made, old.t.val[o].f, e.dtype)
    elif e.flags & FT_DONE:
        r.to[o] = known_array(old, new, o)
    else:                               # a spread number
        e.a = moved(old, new, r, e.a)
        r.to[o] = unique(new, &r.made, &e)
    return r.to[o]


cdef int32_t move_entry(Tape old, Tape new, Rewrite *r, int32_t i) except -1:
    """Entry i of the old tape, on the new one."""
    cdef ft_entry e = old.t.entry[i]
    cdef Reads o
    cdef int k, n
    cdef int32_t y
    if group_of(old, i) != i:
        return r.to[group_of(old, i)] + e.a
    if e.op == OP_get and r.variable[e.a] >= 0:
        return element(new, r, r.variable[e.a], e.aux)
    own_operands(old, new, &e)
    n = reads_of(new, &e).n
    for k in range(n):
        o = reads_of(new, &e)
        if o.at[k * o.step] >= 0:
            y = moved_store(old, r.to, o.at[k]) if is_store(old, o.at[k * o.step]) else moved(old, new, r, o.at[k * o.step])
            o = reads_of(new, &e)
            o.at[k * o.step] = y
    if e.op == OP_assemble or e.op == OP_pack or e.op == OP_loop or e.op == OP_program:
        return emit_group(old, new, i, &e)
    if e.op < FT_N_MAP and rows[e.op].arity < 2:
        e.aux = 0                       # a plan's
    y = simpler(new, &e)
    return y if y >= 0 else unique(new, &r.made, &e)


cdef int rewrite(Tape old, Tape new, Rewrite *r, int64_t n_input, int32_t *outputs, int64_t n) except -1:
    cdef int64_t i
    cdef ft_entry e
    cdef int32_t top, first
    memset(r.to, 0xff, old.t.n * sizeof(int32_t))
    memset(r.variable, 0xff, old.t.n * sizeof(int32_t))
    memset(r.chain, 0xff, old.t.n * sizeof(int32_t))
    memset(r.mixed, 0, old.t.n)
    memset(r.varies, 0, old.t.n)
    memset(r.varies, 1, n_input)
    find_varying(old, r.varies)
    for i in range(n_input, old.t.n):
        if r.varies[i]:
            old.t.entry[i].flags &= ~FT_DONE
    for i in range(n_input):
        e = old.t.entry[i]
        r.to[i] = emit(new, OP_input, e.dtype, FT_DONE | (e.flags & FT_ACTIVE), e.shape, 0, 0, 0)
    fold(old, r, outputs, n)
    first = mark_needs(old, outputs, n, &top)
    note_changes(old, r, first, top, outputs, n)
    for i in range(first, top + 1):
        if old.t.entry[i].flags & FT_NEED:
            old.t.entry[i].flags &= ~FT_NEED
            if not r.varies[i]:
                continue
            if (old.t.entry[i].op == OP_set_at or old.t.entry[i].op == OP_add_at) and change_element(old, new, r, <int32_t>i):
                continue
            r.to[i] = move_entry(old, new, r, <int32_t>i)
    for i in range(n):
        outputs[i] = moved(old, new, r, outputs[i])
    return 0


cdef Tape optimise(Tape old, int64_t n_input, int32_t *outputs, int64_t n, bint packs=False):
    """A new tape with what the outputs need; its first nodes are the inputs, which are the first of the
    old one. The outputs are replaced by their new nodes. The old tape is of no use afterwards. Where it `packs`, arrays
    that are changed element by element are packed from numbers."""
    cdef Tape new = Tape()
    cdef Rewrite r
    variables = Variables()
    memset(&r, 0, sizeof(Rewrite))
    r.variables = <PyObject *>variables
    r.packs = packs
    copy_tables(old, new)
    new.programs = old.programs
    new.kept = True
    try:
        resize(<void **>&r.to, &r.cap_to, old.t.n, sizeof(int32_t))
        resize(<void **>&r.varies, &r.cap_varies, old.t.n, 1)
        resize(<void **>&r.last_use, &r.cap_last_use, old.t.n, sizeof(int32_t))
        resize(<void **>&r.chain, &r.cap_chain, old.t.n, sizeof(int32_t))
        resize(<void **>&r.mixed, &r.cap_mixed, old.t.n, 1)
        resize(<void **>&r.variable, &r.cap_variable, old.t.n, sizeof(int32_t))
        new_distinct(&r.made, old.t.n)
        rewrite(old, new, &r, n_input, outputs, n)
    finally:
        drop(<void **>&r.to, &r.cap_to, sizeof(int32_t))
        drop(<void **>&r.varies, &r.cap_varies, 1)
        drop(<void **>&r.last_use, &r.cap_last_use, sizeof(int32_t))
        drop(<void **>&r.chain, &r.cap_chain, sizeof(int32_t))
        drop(<void **>&r.mixed, &r.cap_mixed, 1)
        drop(<void **>&r.variable, &r.cap_variable, sizeof(int32_t))
        close_distinct(&r.made)
    return new
