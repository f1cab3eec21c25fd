"""The push: tangents, in the order of the tape, from which it may go on as the tape grows."""
from libc.string cimport memset

from fasttape._core.record cimport *
from fasttape._core.sweep cimport *
from fasttape._core.tape cimport *
from fasttape._core.vm cimport *


cdef enum:
    PIECE = 64                      # entries whose stacked tangents stand together


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


cdef bint notes_origins(Tape tape, Sweep *s, int64_t begin, int64_t end) noexcept nogil:
    """Not where the tape forgets its past anyway, nor for stacked tangents of a function of numbers: they would be in
    the way of the loops that its numbers are rolled into, which hold little."""
    cdef int64_t i, arrays = 0, numbers = 0
    if tape.forgets or s.lanes == 0:
        return not tape.forgets
    for i in range(begin, end):
        if tape.t.entry[i].flags & FT_ACTIVE:
            arrays += tape.t.entry[i].shape != 0
            numbers += tape.t.entry[i].shape == 0
    return arrays >= numbers


cdef int note_origin(Tape tape, Sweep *s, int64_t before, int64_t i, int64_t end) except -1 nogil:
    """What was appended from `before` on, pushing through entry i, may stand behind it (interleave.pyx). Stacked
    tangents have another shape than their primals: in turns with them, each would break the other's runs."""
    cdef int64_t k, origin = i if s.lanes == 0 else min(i | (PIECE - 1), end - 1)
    if before == tape.t.n:
        return 0
    resize(<void **>&tape.origin, &tape.cap_origin, tape.t.n, sizeof(int32_t))
    for k in range(min(tape.n_origin, before), tape.t.n):
        tape.origin[k] = <int32_t>origin if k >= before else -1
    tape.n_origin = tape.t.n
    return 0


cdef int push(Tape tape, Sweep *s, int64_t begin, int64_t end) except -1 nogil:
    """Push tangents through the entries [begin, end). Appending may go on behind them."""
    cdef int64_t i, before
    cdef int32_t t
    cdef ft_entry e
    cdef bint noting = notes_origins(tape, s, begin, end)
    for i in range(begin, end):
        e = tape.t.entry[i]
        before = tape.t.n
        if not e.flags & FT_ACTIVE or e.op == OP_input or e.op == OP_constant or e.op == OP_call:
            continue
        if tape.tangent[i] >= 0:
            continue
        if e.op == OP_program:
            if e.a == 0:
                with gil:
                    (<Swept>tape.programs[tape.t.args[e.aux]]).push(tape, s, <int32_t>i)
                if noting:
                    note_origin(tape, s, before, i, end)
            continue
        if e.op < FT_N_MAP:
            t = push_elementwise(tape, s, <int32_t>i, &e)
        else:
            t = push_structural(tape, s, <int32_t>i, &e)
        if t >= 0 and (tape.t.entry[t].dtype ^ e.dtype) & 1:
            t = cast(tape, t, e.dtype)
        tape.tangent[i] = t
        if noting:
            note_origin(tape, s, before, i, end)
    return 0
