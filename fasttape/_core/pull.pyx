"""The pull: cotangents, against the order of the tape, added up at shared nodes.

A cotangent may stand unspread, of a shape that broadcasts to its node's: the gradient of a sum is a
scalar until something needs it otherwise. `fit` spreads it.
"""
from libc.string cimport memset

from fasttape._core.record cimport *
from fasttape._core.sweep cimport *
from fasttape._core.tape cimport *
from fasttape._core.vm cimport *


cdef inline bint wanted(Tape tape, Sweep *s, int32_t node) noexcept nogil:
    return node >= s.start and tape.active[node - s.start]


cdef int give(Tape tape, Sweep *s, int32_t node, int32_t g) except -1 nogil:
    """Add g to a node's cotangent: the first contribution is it, later ones are added."""
    cdef int32_t c
    if not wanted(tape, s, node):
        return 0
    if (tape.t.entry[g].dtype ^ tape.t.entry[node].dtype) & 1:
        g = cast(tape, g, tape.t.entry[node].dtype)
    c = tape.ct[node - s.start]
    if c >= 0:
        g = map2(tape, OP_add, c, g)
    tape.ct[node - s.start] = g
    return 0


cdef int32_t add_product(Tape tape, int32_t c, int32_t g) except -1 nogil:
    """c + g, where g, the last entry, is a product that nothing else reads: one entry for both."""
    cdef ft_entry *e = tape.t.entry + g
    if tape.t.entry[c].dtype != e.dtype or tape.t.entry[c].shape != e.shape \
            or tape.t.entry[e.a].shape != e.shape or tape.t.entry[e.b].shape != e.shape \
            or tape.t.entry[e.a].dtype != e.dtype or tape.t.entry[e.b].dtype != e.dtype:
        return map2(tape, OP_add, c, g)
    e.op = OP_add_scaled
    e.aux = c
    e.flags = (e.flags & ~FT_DONE) | (tape.t.entry[c].flags & FT_ACTIVE)
    if e.shape == 0 and tape.t.entry[c].flags & tape.t.entry[e.a].flags & tape.t.entry[e.b].flags & FT_DONE:
        tape.t.val[g].f = machine.scalar(OP_add_scaled, tape.t.val[e.a].f, tape.t.val[e.b].f, tape.t.val[c].f)
        if e.dtype & 1:
            tape.t.val[g].f = <float>tape.t.val[g].f
        e.flags |= FT_DONE
    return g


cdef int give_negative(Tape tape, Sweep *s, int32_t node, int32_t g) except -1 nogil:
    cdef int32_t c = tape.ct[node - s.start]
    if c < 0 or (tape.t.entry[g].dtype ^ tape.t.entry[c].dtype) & 1:
        return give(tape, s, node, map1(tape, OP_negative, g))
    tape.ct[node - s.start] = map2(tape, OP_subtract, c, g)
    return 0


cdef int give_element(Tape tape, Sweep *s, int32_t root, int32_t g, int32_t place) except -1 nogil:
    """Add g into one element of the root's cotangent."""
    cdef int32_t c
    if s.lanes:
        return give_region(tape, s, root, g, element_view(tape, shape_of(tape, root), place))
    if not wanted(tape, s, root):
        return 0
    c = tape.ct[root - s.start]
    if c < 0:
        c = fill(tape, 0.0, tape.t.entry[root].dtype, shape_of(tape, root))
    elif tape.t.entry[c].op != OP_add_at:
        c = owner(tape, fit(tape, 0, c, shape_of(tape, root)))
    tape.ct[root - s.start] = structural(tape, OP_add_at, shape_of(tape, root), c, g, place)
    return 0


cdef int64_t repeated(Tape tape, int32_t view) noexcept nogil:
    """The mask of the axes along which a region repeats one element, as what is broadcast does."""
    cdef ft_view *w = tape.t.view + view
    cdef ft_shape *s = tape.t.shape + w.shape
    cdef int64_t mask = 0
    cdef int k
    for k in range(s.ndim):
        if tape.t.dims[w.at + k] == 0 and tape.t.dims[s.at + k] != 1:
            mask |= <int64_t>1 << (s.ndim - 1 - k)
    return mask


cdef int32_t once(Tape tape, int32_t view, int64_t mask) except -1 nogil:
    """The region without the repetitions."""
    cdef ft_view w = tape.t.view[view]
    cdef ft_shape s = tape.t.shape[w.shape]
    cdef int64_t dims[FT_MAX_DIMS]
    cdef int64_t strides[FT_MAX_DIMS]
    cdef int k
    for k in range(s.ndim):
        dims[k] = 1 if mask >> (s.ndim - 1 - k) & 1 else tape.t.dims[s.at + k]
        strides[k] = tape.t.dims[w.at + k]
    return intern_view(tape, w.base, s.ndim, dims, strides, w.offset)


cdef int give_region(Tape tape, Sweep *s, int32_t root, int32_t g, int32_t view) except -1 nogil:
    """Add g into a region of the root's cotangent; nothing of the root's full size is made for it."""
    cdef int32_t c, lifted
    cdef int32_t shape = tape.t.view[view].shape
    cdef int64_t mask
    if not wanted(tape, s, root):
        return 0
    mask = repeated(tape, view)
    if mask:
        g = fit(tape, s.lanes, g, shape)
        g = keep_axes(tape, reduce(tape, OP_sum, g, mask), mask, ndim_of(tape, g))
        view = once(tape, view, mask)
        shape = tape.t.view[view].shape
    c = tape.ct[root - s.start]
    if c < 0 and shape != 0 and tape.t.view[view].contiguous \
            and tape.t.shape[shape].size == tape.t.shape[tape.t.view[view].base].size:
        tape.ct[root - s.start] = reshape(tape, fit(tape, s.lanes, g, shape),
                                          lift_shape(tape, s.lanes, shape_of(tape, root)))
        return 0
    lifted = lift_view(tape, s.lanes, view)
    g = fit(tape, s.lanes, g, shape)
    if c < 0:
        c = structural(tape, OP_pad, tape.t.view[lifted].base, g, -1, lifted)
    else:
        c = owner(tape, fit(tape, s.lanes, c, shape_of(tape, root)))
        c = structural(tape, OP_add_region, tape.t.view[lifted].base, c, g, lifted)
    tape.ct[root - s.start] = c
    return 0


cdef inline int give_product(Tape tape, Sweep *s, int32_t node, int32_t d, int32_t p) except -1 nogil:
    """Add scale(d, p) to a known number's cotangent, d and p being known too."""
    cdef int32_t c = tape.ct[node - s.start], y
    cdef double v = 0.0 if tape.t.val[d].f == 0 else tape.t.val[d].f * tape.t.val[p].f
    cdef int flags = FT_DONE | ((tape.t.entry[d].flags | tape.t.entry[p].flags) & FT_ACTIVE)
    if c < 0:
        y = emit(tape, OP_scale, FT_F64, flags, 0, d, p, 0)
    else:
        flags |= tape.t.entry[c].flags & FT_ACTIVE
        y = emit(tape, OP_add_scaled, FT_F64, flags, 0, d, p, c)
        v = tape.t.val[c].f + v
    tape.t.val[y].f = v
    tape.ct[node - s.start] = y
    return 0


cdef inline bint known(Tape tape, int32_t node) noexcept nogil:
    return tape.t.entry[node].shape == 0 and tape.t.entry[node].flags & FT_DONE and tape.t.entry[node].dtype == FT_F64


cdef inline bint known_or_none(Tape tape, Sweep *s, int32_t node) noexcept nogil:
    return tape.ct[node - s.start] < 0 or known(tape, tape.ct[node - s.start])


cdef inline int give_known(Tape tape, Sweep *s, int32_t node, int32_t d) except -1 nogil:
    """`give`, where the node and d are known numbers; a cotangent that is not falls back to it."""
    cdef int32_t c, y
    if not wanted(tape, s, node):
        return 0
    c = tape.ct[node - s.start]
    if c < 0:
        tape.ct[node - s.start] = d
        return 0
    if not known(tape, c):
        return give(tape, s, node, d)
    y = emit(tape, OP_add, FT_F64, FT_DONE | ((tape.t.entry[c].flags | tape.t.entry[d].flags) & FT_ACTIVE), 0, c, d, 0)
    tape.t.val[y].f = tape.t.val[c].f + tape.t.val[d].f
    tape.ct[node - s.start] = y
    return 0


cdef int pull_sum(Tape tape, Sweep *s, ft_entry *e, int32_t d) except -1 nogil:
    """add, of known numbers, likewise."""
    if s.lanes or e.shape != 0 or not (known(tape, d) and known(tape, e.a) and known(tape, e.b)):
        return 0
    give_known(tape, s, e.a, d)
    give_known(tape, s, e.b, d)
    return 1


cdef int pull_product(Tape tape, Sweep *s, ft_entry *e, int32_t d) except -1 nogil:
    """multiply, of known numbers: what its row in ops.h says, without the detour. Returns 0 where it
    does not apply."""
    if s.lanes or e.shape != 0 or not (known(tape, d) and known(tape, e.a) and known(tape, e.b)):
        return 0
    if wanted(tape, s, e.a):
        if not known_or_none(tape, s, e.a):
            return 0
        if wanted(tape, s, e.b) and not known_or_none(tape, s, e.b):
            return 0
        give_product(tape, s, e.a, d, e.b)
    elif wanted(tape, s, e.b) and not known_or_none(tape, s, e.b):
        return 0
    if wanted(tape, s, e.b):
        give_product(tape, s, e.b, d, e.a)
    return 1


cdef int pull_elementwise(Tape tape, Sweep *s, int32_t i, ft_entry *e, int32_t d) except -1 nogil:
    cdef int32_t nodes[3]
    cdef int k
    cdef int32_t g, c
    cdef int64_t before
    cdef const uint8_t *code
    cdef ft_entry values
    nodes[0] = e.a
    nodes[1] = e.b
    nodes[2] = e.aux
    if tape.n_again:
        values = e[0]
        values.a = again(tape, e.a)
        if rows[e.op].arity > 1:
            values.b = again(tape, e.b)
            if rows[e.op].arity > 2:
                values.aux = again(tape, e.aux)
        e = &values
        i = again(tape, i)
    for k in range(rows[e.op].arity):
        if not active_operands[e.op] >> k & 1 or not wanted(tape, s, nodes[k]):
            continue
        code = rows[e.op].partial[k]
        if shape_of(tape, nodes[k]) == e.shape:
            if code[0] == FT_W_D and code[1] == FT_W_END:
                give(tape, s, nodes[k], d)
            elif code[0] == FT_W_D and code[1] == OP_negative:
                give_negative(tape, s, nodes[k], d)
            else:
                before = tape.t.n
                g = partial(tape, code, e, i, d)
                c = tape.ct[nodes[k] - s.start]
                if c >= 0 and g >= before and g == tape.t.n - 1 and tape.t.entry[g].op == OP_scale:
                    tape.ct[nodes[k] - s.start] = add_product(tape, c, g)
                else:
                    give(tape, s, nodes[k], g)
        else:
            g = fit(tape, s.lanes, partial(tape, code, e, i, d), e.shape)
            give(tape, s, nodes[k], unbroadcast(tape, s.lanes, g, shape_of(tape, nodes[k])))
    return 0


cdef int32_t swap_last(Tape tape, int32_t a) except -1 nogil:
    cdef int axes[FT_MAX_DIMS]
    cdef int k, ndim = ndim_of(tape, a)
    for k in range(ndim):
        axes[k] = k
    axes[ndim - 1] = ndim - 2
    axes[ndim - 2] = ndim - 1
    return permute(tape, a, axes)


cdef int pull_structural(Tape tape, Sweep *s, int32_t i, ft_entry *e, int32_t d) except -1 nogil:
    cdef int32_t g, view, node
    cdef int k
    if e.op == OP_view:
        return give_region(tape, s, e.a, d, e.aux)
    if e.op == OP_get:
        return give_element(tape, s, e.a, d, e.aux)
    if e.op == OP_cast:
        return give(tape, s, e.a, d)
    if e.op == OP_sum:
        if e.shape != 0 or s.lanes:
            d = fit(tape, s.lanes, d, e.shape)
            d = keep_axes(tape, d, e.aux, ndim_of(tape, e.a) + (s.lanes > 0))
        return give(tape, s, e.a, d)
    d = fit(tape, s.lanes, d, e.shape)
    if e.op == OP_pad:
        give(tape, s, e.a, part(tape, s, d, e.aux))
    elif e.op == OP_add_region:
        give(tape, s, e.a, d)
        if wanted(tape, s, e.b):
            give(tape, s, e.b, part(tape, s, d, e.aux))
    elif e.op == OP_update:
        d = owner(tape, d)
        if wanted(tape, s, e.b):        # read before the region is cleared, so that it is cleared in place
            g = map1(tape, OP_positive, part(tape, s, d, e.aux))
            give(tape, s, e.b, unbroadcast(tape, s.lanes, g, shape_of(tape, e.b)))
        if wanted(tape, s, e.a):
            view = lift_view(tape, s.lanes, e.aux)
            give(tape, s, e.a, structural(tape, OP_update, shape_of(tape, d), d,
                                          constant(tape, 0.0, e.dtype & 1), view))
    elif e.op == OP_add_at or e.op == OP_set_at:
        d = owner(tape, d)
        view = element_view(tape, e.shape, e.aux)
        if wanted(tape, s, e.b):
            g = part(tape, s, d, view)
            give(tape, s, e.b, map1(tape, OP_positive, g) if s.lanes else g)
        if wanted(tape, s, e.a):
            if e.op == OP_set_at:
                view = lift_view(tape, s.lanes, view)
                if s.lanes:
                    d = structural(tape, OP_update, shape_of(tape, d), d, constant(tape, 0.0, e.dtype & 1), view)
                else:
                    d = structural(tape, OP_set_at, e.shape, d, constant(tape, 0.0, e.dtype & 1), e.aux)
            give(tape, s, e.a, d)
    elif e.op == OP_max or e.op == OP_min:
        g = keep_axes(tape, d, e.aux, ndim_of(tape, e.a) + (s.lanes > 0))
        give(tape, s, e.a, map2(tape, OP_scale, extremes(tape, again(tape, e.a), again(tape, i), e.aux), g))
    elif e.op == OP_matmul:
        if wanted(tape, s, e.a):
            give(tape, s, e.a, unbroadcast(tape, s.lanes, matmul(tape, d, swap_last(tape, again(tape, e.b))), shape_of(tape, e.a)))
        if wanted(tape, s, e.b):
            give(tape, s, e.b, unbroadcast(tape, s.lanes, matmul(tape, swap_last(tape, again(tape, e.a)), d), shape_of(tape, e.b)))
    elif e.op == OP_take or e.op == OP_put_add:
        give(tape, s, e.a, structural(tape, OP_put_add if e.op == OP_take else OP_take,
                                      lift_shape(tape, s.lanes, shape_of(tape, e.a)), d, e.b, e.aux))
    elif e.op == OP_assemble:
        d = owner(tape, d)
        for k in range(tape.t.args[e.aux]):
            node = tape.t.args[e.aux + 1 + 2 * k]
            if node >= 0 and wanted(tape, s, node):
                give(tape, s, node, part(tape, s, d, tape.t.args[e.aux + 2 + 2 * k]))
    elif e.op == OP_pack:
        d = owner(tape, d)
        for k in range(tape.t.args[e.aux]):
            node = tape.t.args[e.aux + 1 + k]
            if wanted(tape, s, node):
                give(tape, s, node, part(tape, s, d, element_view(tape, e.shape, k)))
    return 0


cdef bint reaches(Tape tape, Sweep *s, ft_entry *e) noexcept nogil:
    """An operand of the entry depends on the inputs of this sweep."""
    cdef Reads o
    cdef int arity, k
    if e.op < FT_N_MAP:
        arity = active_operands[e.op]
        return (arity & 1 and wanted(tape, s, e.a)) or (arity & 2 and wanted(tape, s, e.b)) or \
            (arity & 4 and wanted(tape, s, e.aux))
    o = reads_of(tape, e)
    for k in range(o.n):
        if o.at[k * o.step] >= 0 and wanted(tape, s, o.at[k * o.step]):
            return True
    return False


cdef int pull_begin(Tape tape, Sweep *s, const int32_t *inputs, int64_t n) except -1 nogil:
    """Mark what depends on the inputs among the entries [start, end)."""
    cdef int64_t i, size = s.end - s.start
    cdef ft_entry *e
    s.stop = s.start
    resize(<void **>&tape.active, &tape.cap_active, size, 1)
    resize(<void **>&tape.ct, &tape.cap_ct, size, sizeof(int32_t))
    memset(tape.active, 0, size)
    memset(tape.ct, 0xff, size * sizeof(int32_t))
    for i in range(n):
        tape.active[inputs[i] - s.start] = 1
    for i in range(s.start, s.end):
        e = tape.t.entry + i
        if not e.flags & FT_ACTIVE:
            continue
        if e.op == OP_program:
            e = tape.t.entry + group_of(tape, <int32_t>i)
        if e.op == OP_call or reaches(tape, s, e):
            tape.active[i - s.start] = 1
    return 0


cdef int64_t pull(Tape tape, Sweep *s, int64_t i) except -2 nogil:
    """Pull from entry i down. Returns the `call` entry it stopped at, for the caller to pull through,
    or -1 at the end."""
    cdef ft_entry e
    cdef int32_t d
    while i >= s.stop:
        if tape.active[i - s.start]:
            e = tape.t.entry[i]
            d = tape.ct[i - s.start]
            if e.op >= OP_program:      # the last ops
                if e.op == OP_call:
                    return i
                if e.a == 0:            # with the first result, when the cotangents of all are known
                    with gil:
                        (<Swept>tape.programs[tape.t.args[e.aux]]).pull(tape, s, <int32_t>i)
            elif d >= 0:
                if e.op < FT_N_MAP:
                    if not ((e.op == OP_multiply and pull_product(tape, s, &e, d))
                            or (e.op == OP_add and pull_sum(tape, s, &e, d))):
                        pull_elementwise(tape, s, <int32_t>i, &e, d)
                elif e.op != OP_input:
                    pull_structural(tape, s, <int32_t>i, &e, d)
        i -= 1
    return -1


cdef int32_t cotangent(Tape tape, Sweep *s, int32_t node) except -1 nogil:
    """The whole cotangent of an input: zeros where the output does not depend on it."""
    cdef int32_t c = tape.ct[node - s.start]
    if c < 0:
        return fill(tape, 0.0, tape.t.entry[node].dtype, lift_shape(tape, s.lanes, shape_of(tape, node)))
    return fit(tape, s.lanes, c, shape_of(tape, node))
