"""The two sweeps. They walk entries and append derivative entries; they compute no numbers.

    push    t_k = f_k'(s_{k-1}) t_{k-1}       tangents, in the order of the tape
    pull    r_k = r_{k+1} f_{k+1}'(s_k)       cotangents, against it, added up at shared nodes

Elementwise ops take their partials from csrc/ops.h; the structural ops have one rule each below.
With `lanes` seeds at once, every tangent and cotangent has a first axis of that extent, which the
rules do not notice: axes are counted from the end, and operands of the primal broadcast against it.

A cotangent may stand unspread, of a shape that broadcasts to its node's: the gradient of a sum is a
scalar until something needs it otherwise. `fit` spreads it.
"""
from libc.string cimport memcpy, memset

from fasttape._core.record cimport *
from fasttape._core.tape cimport *
from fasttape._core.vm cimport *


# ---- lanes and shapes

cdef int32_t lift_shape(Tape tape, int64_t lanes, int32_t shape) except -1 nogil:
    cdef int64_t dims[FT_MAX_DIMS]
    cdef ft_shape *s = tape.t.shape + shape
    if lanes == 0:
        return shape
    dims[0] = lanes
    memcpy(dims + 1, tape.t.dims + s.at, s.ndim * sizeof(int64_t))
    return intern_shape(tape, s.ndim + 1, dims)


cdef int32_t lift_view(Tape tape, int64_t lanes, int32_t view) except -1 nogil:
    """The same region in every lane."""
    cdef int64_t dims[FT_MAX_DIMS]
    cdef int64_t strides[FT_MAX_DIMS]
    cdef ft_view w = tape.t.view[view]
    cdef int ndim = tape.t.shape[w.shape].ndim
    if lanes == 0:
        return view
    dims[0] = lanes
    strides[0] = tape.t.shape[w.base].size
    memcpy(dims + 1, tape.t.dims + tape.t.shape[w.shape].at, ndim * sizeof(int64_t))
    memcpy(strides + 1, tape.t.dims + w.at, ndim * sizeof(int64_t))
    return intern_view(tape, lift_shape(tape, lanes, w.base), ndim + 1, dims, strides, w.offset)


cdef int32_t element_view(Tape tape, int32_t base, int64_t place) except -1 nogil:
    cdef int64_t none = 0
    return intern_view(tape, base, 0, &none, &none, place)


cdef int32_t align(Tape tape, int64_t lanes, int32_t g, int ndim) except -1 nogil:
    """Put axes of extent 1 behind the lane axis until g has ndim axes after it."""
    cdef int64_t dims[FT_MAX_DIMS]
    cdef int own = ndim_of(tape, g), k
    if lanes == 0 or own - 1 >= ndim:
        return g
    dims[0] = lanes
    for k in range(ndim):
        dims[1 + k] = 1 if k < ndim - (own - 1) else dims_of(tape, g)[1 + k - (ndim - (own - 1))]
    return reshape(tape, g, intern_shape(tape, ndim + 1, dims))


cdef int32_t fit(Tape tape, int64_t lanes, int32_t g, int32_t shape) except -1 nogil:
    """g spread to exactly the lanes of a shape."""
    cdef int32_t want
    if lanes == 0:
        return spread(tape, g, shape)
    want = lift_shape(tape, lanes, shape)
    if shape_of(tape, g) == want:
        return g
    return spread(tape, align(tape, lanes, g, tape.t.shape[shape].ndim), want)


cdef int32_t unbroadcast(Tape tape, int64_t lanes, int32_t g, int32_t shape) except -1 nogil:
    """Sum g over the axes along which a node of the given shape was broadcast."""
    cdef int32_t want = lift_shape(tape, lanes, shape)
    cdef int ndim = tape.t.shape[shape].ndim, own = ndim_of(tape, g) - (lanes > 0), j
    cdef int64_t mask = 0
    if shape_of(tape, g) == want:
        return g
    for j in range(own):
        if j >= ndim:
            mask |= <int64_t>1 << j
        elif tape.t.dims[tape.t.shape[shape].at + ndim - 1 - j] == 1 and \
                dims_of(tape, g)[ndim_of(tape, g) - 1 - j] != 1:
            mask |= <int64_t>1 << j
    return reshape(tape, reduce(tape, OP_sum, g, mask), want)


# ---- the partials of ops.h

cdef inline bint is_one(Tape tape, int32_t a, int32_t b) noexcept nogil:
    """a is the constant 1, so that scale(a, b) is b, to the bit."""
    return tape.t.entry[a].op == OP_constant and tape.t.val[a].f == 1.0 \
        and not (tape.t.entry[a].dtype ^ tape.t.entry[b].dtype) & 1 and tape.t.entry[b].dtype < FT_B64


cdef int32_t partial(Tape tape, const uint8_t *code, ft_entry *e, int32_t y, int32_t d) except -1 nogil:
    """Append what a partial column says; returns its node."""
    cdef int32_t stack[16]
    cdef int n = 0, w, arity
    cdef int dtype = tape.t.entry[d].dtype & 1
    while code[0] != FT_W_END:
        w = code[0]
        code += 1
        if w < FT_N_MAP:
            arity = rows[w].arity
            n -= arity
            if arity == 1:
                stack[n] = map1(tape, w, stack[n])
            elif arity == 2:
                if (w == OP_scale or w == OP_scale_both) and is_one(tape, stack[n], stack[n + 1]):
                    stack[n] = stack[n + 1]
                else:
                    stack[n] = map2(tape, w, stack[n], stack[n + 1])
            else:
                stack[n] = map3(tape, w, stack[n], stack[n + 1], stack[n + 2])
        elif w == FT_W_D:
            stack[n] = d
        elif w == FT_W_A:
            stack[n] = e.a
        elif w == FT_W_B:
            stack[n] = e.b
        elif w == FT_W_C:
            stack[n] = e.aux
        elif w == FT_W_Y:
            stack[n] = y
        else:
            stack[n] = constant(tape, constants[w - FT_W_CONSTANT], dtype)
        n += 1
    return stack[0]


# ---- pull

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


cdef int give_region(Tape tape, Sweep *s, int32_t root, int32_t g, int32_t view) except -1 nogil:
    """Add g into a region of the root's cotangent; nothing of the root's full size is made for it."""
    cdef int32_t c, lifted
    cdef int32_t shape = tape.t.view[view].shape
    if not wanted(tape, s, root):
        return 0
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
    nodes[0] = e.a
    nodes[1] = e.b
    nodes[2] = e.aux
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


cdef int32_t extremes(Tape tape, int32_t a, int32_t y, int64_t mask) except -1 nogil:
    """1/n where an element is one of the n that attain the maximum or minimum y, else 0."""
    cdef int ndim = ndim_of(tape, a)
    cdef int32_t hit = map2(tape, OP_equal, a, keep_axes(tape, y, mask, ndim))
    cdef int32_t count = keep_axes(tape, reduce(tape, OP_sum, hit, mask), mask, ndim)
    return map2(tape, OP_divide, hit, count)     # nan throughout where the extreme is nan


cdef int32_t part(Tape tape, Sweep *s, int32_t g, int32_t view) except -1 nogil:
    """A region of a cotangent or tangent."""
    return look(tape, owner(tape, g), lift_view(tape, s.lanes, view))


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
        give(tape, s, e.a, map2(tape, OP_scale, extremes(tape, e.a, i, e.aux), g))
    elif e.op == OP_matmul:
        if wanted(tape, s, e.a):
            give(tape, s, e.a, unbroadcast(tape, s.lanes, matmul(tape, d, swap_last(tape, e.b)), shape_of(tape, e.a)))
        if wanted(tape, s, e.b):
            give(tape, s, e.b, unbroadcast(tape, s.lanes, matmul(tape, swap_last(tape, e.a), d), shape_of(tape, e.b)))
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
    cdef int arity, k
    cdef int32_t *args
    if e.op < FT_N_MAP:
        arity = active_operands[e.op]
        return (arity & 1 and wanted(tape, s, e.a)) or (arity & 2 and wanted(tape, s, e.b)) or \
            (arity & 4 and wanted(tape, s, e.aux))
    if e.op == OP_input or e.op == OP_constant or e.op == OP_call:
        return False
    if e.op == OP_assemble or e.op == OP_pack:
        args = tape.t.args + e.aux
        arity = 2 if e.op == OP_assemble else 1
        for k in range(args[0]):
            if args[1 + arity * k] >= 0 and wanted(tape, s, args[1 + arity * k]):
                return True
        return False
    if wanted(tape, s, e.a):
        return True
    return e.op in (OP_add_region, OP_update, OP_add_at, OP_set_at, OP_matmul) and wanted(tape, s, e.b)


cdef int pull_begin(Tape tape, Sweep *s, const int32_t *inputs, int64_t n) except -1 nogil:
    """Mark what depends on the inputs among the entries [start, end)."""
    cdef int64_t i, size = s.end - s.start
    cdef ft_entry *e
    resize(<void **>&tape.active, &tape.cap_active, size, 1)
    resize(<void **>&tape.ct, &tape.cap_ct, size, sizeof(int32_t))
    memset(tape.active, 0, size)
    memset(tape.ct, 0xff, size * sizeof(int32_t))
    for i in range(n):
        tape.active[inputs[i] - s.start] = 1
    for i in range(s.start, s.end):
        e = tape.t.entry + i
        if e.flags & FT_ACTIVE and (e.op == OP_call or reaches(tape, s, e)):
            tape.active[i - s.start] = 1
    return 0


cdef int64_t pull(Tape tape, Sweep *s, int64_t i) except -2 nogil:
    """Pull from entry i down. Returns the `call` entry it stopped at, for the caller to pull through,
    or -1 at the end."""
    cdef ft_entry e
    cdef int32_t d
    while i >= s.start:
        if tape.active[i - s.start]:
            e = tape.t.entry[i]
            if e.op == OP_call:
                return i
            d = tape.ct[i - s.start]
            if d >= 0:
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


# ---- push

cdef int push_begin(Tape tape, int64_t begin, int64_t end) except -1 nogil:
    """The nodes [begin, end) have no tangent yet."""
    resize(<void **>&tape.tangent, &tape.cap_tangent, end, sizeof(int32_t))
    memset(tape.tangent + begin, 0xff, (end - begin) * sizeof(int32_t))
    return 0


cdef inline int32_t tangent_of(Tape tape, Sweep *s, int32_t node) noexcept nogil:
    return tape.tangent[node] if node >= s.start else -1


cdef inline int32_t tangent_or_zeros(Tape tape, Sweep *s, int32_t node) except -1 nogil:
    if tangent_of(tape, s, node) >= 0:
        return tape.tangent[node]
    return fill(tape, 0.0, tape.t.entry[node].dtype, lift_shape(tape, s.lanes, shape_of(tape, node)))


cdef int32_t sum_of(Tape tape, int32_t a, int32_t b) except -2 nogil:
    if a < 0:
        return b
    if b < 0:
        return a
    return map2(tape, OP_add, a, b)


cdef int32_t push_elementwise(Tape tape, Sweep *s, int32_t i, ft_entry *e) except -2 nogil:
    cdef int32_t nodes[3]
    cdef int k
    cdef int32_t t = -1, d
    cdef const uint8_t *code
    nodes[0] = e.a
    nodes[1] = e.b
    nodes[2] = e.aux
    for k in range(rows[e.op].arity):
        d = tangent_of(tape, s, nodes[k])
        if d < 0 or not active_operands[e.op] >> k & 1:
            continue
        code = rows[e.op].partial[k]
        d = align(tape, s.lanes, d, tape.t.shape[e.shape].ndim)
        if t >= 0 and code[0] == FT_W_D and code[1] == OP_negative:
            t = map2(tape, OP_subtract, t, d)
        else:
            t = sum_of(tape, t, partial(tape, code, e, i, d))
    return fit(tape, s.lanes, t, e.shape) if t >= 0 else -1


cdef int32_t push_structural(Tape tape, Sweep *s, int32_t i, ft_entry *e) except -2 nogil:
    cdef int32_t ta = -1, tb = -1, shape, g
    cdef int k, n, step
    cdef int64_t at
    cdef bint any_active = False
    cdef bint scalars = e.op == OP_pack and s.lanes == 0
    shape = lift_shape(tape, s.lanes, e.shape)
    if e.op == OP_assemble or e.op == OP_pack:
        n = tape.t.args[e.aux]
        step = 2 if e.op == OP_assemble else 1
        for k in range(n):
            g = tape.t.args[e.aux + 1 + step * k]
            any_active = any_active or (g >= 0 and tangent_of(tape, s, g) >= 0)
        if not any_active:
            return -1
        at = new_args(tape, 1 + n * (1 if scalars else 2))
        tape.t.args[at] = n
        for k in range(n):
            g = tape.t.args[e.aux + 1 + step * k]
            if scalars:
                tape.t.args[at + 1 + k] = tangent_or_zeros(tape, s, g)
                continue
            tape.t.args[at + 1 + 2 * k] = tangent_of(tape, s, g) if g >= 0 else -1
            g = tape.t.args[e.aux + 2 + 2 * k] if e.op == OP_assemble else element_view(tape, e.shape, k)
            g = lift_view(tape, s.lanes, g)
            tape.t.args[at + 2 + 2 * k] = g
        return emit(tape, OP_pack if scalars else OP_assemble, e.dtype, FT_ACTIVE, shape, 0, 0, <int32_t>at)
    ta = tangent_of(tape, s, e.a)
    if e.op in (OP_add_region, OP_update, OP_add_at, OP_set_at, OP_matmul):
        tb = tangent_of(tape, s, e.b)
    if ta < 0 and tb < 0:
        return -1
    if e.op == OP_view:
        return part(tape, s, ta, e.aux)
    if e.op == OP_get:
        return part(tape, s, ta, element_view(tape, shape_of(tape, e.a), e.aux))
    if e.op == OP_cast:
        return cast(tape, ta, e.dtype)
    if e.op == OP_sum:
        return reduce(tape, OP_sum, ta, e.aux)
    if e.op == OP_max or e.op == OP_min:
        return reduce(tape, OP_sum, map2(tape, OP_scale, extremes(tape, e.a, i, e.aux), ta), e.aux)
    if e.op == OP_pad:
        return structural(tape, OP_pad, shape, ta, -1, lift_view(tape, s.lanes, e.aux))
    if e.op == OP_take or e.op == OP_put_add:
        return structural(tape, e.op, shape, ta, e.b, e.aux)
    if e.op == OP_matmul:
        g = -1
        if ta >= 0:
            g = matmul(tape, align(tape, s.lanes, ta, tape.t.shape[e.shape].ndim), e.b)
        if tb >= 0:
            g = sum_of(tape, g, matmul(tape, e.a, align(tape, s.lanes, tb, tape.t.shape[e.shape].ndim)))
        return g
    ta = owner(tape, tangent_or_zeros(tape, s, e.a))
    if e.op == OP_add_region or e.op == OP_update:
        g = lift_view(tape, s.lanes, e.aux)
    else:
        g = lift_view(tape, s.lanes, element_view(tape, e.shape, e.aux))
    if e.op == OP_add_region or e.op == OP_add_at:
        if tb < 0:
            return ta
        if e.op == OP_add_at and s.lanes == 0:
            return structural(tape, OP_add_at, shape, ta, tb, e.aux)
        return structural(tape, OP_add_region, shape, ta, fit(tape, s.lanes, tb, tape.t.view[e.aux].shape)
                          if e.op == OP_add_region else tb, g)
    if tb < 0:
        tb = constant(tape, 0.0, e.dtype & 1)
    elif e.op == OP_update and s.lanes:
        tb = fit(tape, s.lanes, tb, tape.t.view[e.aux].shape)
    if e.op == OP_set_at and s.lanes == 0:
        return structural(tape, OP_set_at, shape, ta, tb, e.aux)
    return structural(tape, OP_update, shape, ta, tb, g)


cdef int push(Tape tape, Sweep *s, int64_t begin, int64_t end) except -1 nogil:
    """Push tangents through the entries [begin, end). Appending may go on behind them."""
    cdef int64_t i
    cdef int32_t t
    cdef ft_entry e
    for i in range(begin, end):
        e = tape.t.entry[i]
        if not e.flags & FT_ACTIVE or e.op == OP_input or e.op == OP_constant or e.op == OP_call:
            continue
        if tape.tangent[i] >= 0:
            continue
        if e.op < FT_N_MAP:
            t = push_elementwise(tape, s, <int32_t>i, &e)
        else:
            t = push_structural(tape, s, <int32_t>i, &e)
        if t >= 0 and (tape.t.entry[t].dtype ^ e.dtype) & 1:
            t = cast(tape, t, e.dtype)
        tape.tangent[i] = t
    return 0
