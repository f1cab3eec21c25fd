"""What the two sweeps share. They walk entries and append derivative entries; they compute no numbers.

    push    t_k = f_k'(s_{k-1}) t_{k-1}       tangents, in the order of the tape: push.pyx
    pull    r_k = r_{k+1} f_{k+1}'(s_k)       cotangents, against it, added up at shared nodes: pull.pyx

Elementwise ops take their partials from csrc/ops.h; the structural ops have one rule each, there.
With `lanes` seeds at once, every tangent and cotangent has a first axis of that extent, which the
rules do not notice: axes are counted from the end, and operands of the primal broadcast against it.
"""
from libc.string cimport memcpy

from fasttape._core.record cimport *
from fasttape._core.tape cimport *
from fasttape._core.vm cimport *


cdef class Swept(Callee):
    """What can be called, and swept through."""

    cdef int pull(self, Tape tape, Sweep *s, int32_t i) except -1:
        """Give the arguments their cotangents, from those of the results."""
        raise NotImplementedError

    cdef int push(self, Tape tape, Sweep *s, int32_t i) except -1:
        """Note the tangents of the results, from those of the arguments."""
        raise NotImplementedError


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

cdef bint is_one(Tape tape, int32_t a, int32_t b) noexcept nogil:
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


# ---- for the rules of structural ops

cdef int32_t extremes(Tape tape, int32_t a, int32_t y, int64_t mask) except -1 nogil:
    """1/n where an element is one of the n that attain the maximum or minimum y, else 0."""
    cdef int ndim = ndim_of(tape, a)
    cdef int32_t hit = map2(tape, OP_equal, a, keep_axes(tape, y, mask, ndim))
    cdef int32_t count = keep_axes(tape, reduce(tape, OP_sum, hit, mask), mask, ndim)
    return map2(tape, OP_divide, hit, count)     # nan throughout where the extreme is nan


cdef int32_t part(Tape tape, Sweep *s, int32_t g, int32_t view) except -1 nogil:
    """A region of a cotangent or tangent."""
    return look(tape, owner(tape, g), lift_view(tape, s.lanes, view))
