"""A recorded tape as it is kept to be differentiated later: what the outputs need, entry by entry as it was recorded.

What a program runs is optimised, and a sweep over that would add cotangents up in another order than a sweep over
what was recorded. So the record is kept beside it, and `splice` appends it to another tape.
"""
import numpy as np

from libc.string cimport memcpy, memset

cimport numpy as cnp

from fasttape._core.copies cimport carry_marks, copy_tables, emit_group, own_operands
from fasttape._core.record cimport *

cnp.import_array()


cdef int find_varying(Tape tape, uint8_t *varies) noexcept nogil:
    """Which entries depend on the inputs, which alone are marked before."""
    cdef int64_t i
    cdef int k
    cdef Reads o
    for i in range(tape.t.n):
        if group_of(tape, <int32_t>i) != i:
            varies[i] = varies[group_of(tape, <int32_t>i)]
            continue
        o = reads_of(tape, tape.t.entry + i)
        for k in range(o.n):
            if o.at[k * o.step] >= 0 and varies[o.at[k * o.step]]:
                varies[i] = True
                break
    return 0


cdef int mark_wanted(Tape tape, const int32_t *outputs, int64_t n, const uint8_t *varies, uint8_t *wanted) noexcept nogil:
    cdef int64_t i
    cdef int k
    cdef Reads o
    for i in range(n):
        wanted[outputs[i]] = True
    for i in range(tape.t.n - 1, -1, -1):
        if not wanted[i]:
            continue
        wanted[group_of(tape, <int32_t>i)] = True
        if not varies[i] and tape.t.entry[i].flags & FT_DONE:
            continue                    # a known value
        o = reads_of(tape, tape.t.entry + i)
        for k in range(o.n):
            if o.at[k * o.step] >= 0 and not is_store(tape, o.at[k * o.step]):
                wanted[o.at[k * o.step]] = True
    return 0


cdef int32_t known_array(Tape old, Tape new, int32_t i) except -1:
    """A copy, on the new tape, of an array that is known on the old one: one copy for all tapes made from it."""
    cdef ft_entry e = old.t.entry[i]
    cdef int64_t size = old.t.shape[e.shape].size * itemsize(e.dtype)
    cdef int32_t y = emit(new, OP_input, e.dtype, FT_DONE, e.shape, 0, 0, 0)
    cdef cnp.ndarray copy = old.copies.get(i)
    if copy is None:
        copy = np.empty(max(size, 1), np.uint8)
        if size:
            memcpy(cnp.PyArray_DATA(copy), old.t.val[i].p, size)
        old.copies[i] = copy
    new.t.val[y].p = cnp.PyArray_DATA(copy)
    new.keep.append(copy)
    new.t.entry[y].b = <int32_t>len(new.keep)
    return y


cdef int freeze_entries(Tape old, Tape new, const uint8_t *varies, const uint8_t *wanted, int32_t *to) except -1:
    cdef int32_t i
    cdef int k
    cdef ft_entry e
    cdef Reads o
    for i in range(old.t.n):
        e = old.t.entry[i]
        if to[i] >= 0 or not wanted[i] or group_of(old, i) != i:
            continue
        if not varies[i] and e.flags & FT_DONE:
            to[i] = known_array(old, new, i) if e.shape else constant(new, old.t.val[i].f, e.dtype)
            continue
        own_operands(old, new, &e)
        o = reads_of(new, &e)
        for k in range(o.n):
            if o.at[k * o.step] >= 0:
                o.at[k * o.step] = to[o.at[k * o.step]]
        e.flags = 0
        to[i] = emit_group(old, new, i, &e)
        if e.op == OP_program:
            for k in range(1, e.b):
                to[i + k] = to[i] + k
    return 0


cdef Tape freeze(Tape old, const int32_t *inputs, int64_t n_input, int32_t *outputs, int64_t n):
    """A new tape with what the outputs need; its first nodes are the inputs, which are the first of the old one where
    `inputs` is NULL. The outputs are replaced by their new nodes."""
    cdef Tape new = Tape()
    cdef uint8_t *varies = NULL
    cdef int32_t *to = NULL
    cdef int32_t node
    cdef int64_t i, cap_varies = 0, cap_to = 0
    try:
        resize(<void **>&varies, &cap_varies, 2 * old.t.n + 1, 1)
        resize(<void **>&to, &cap_to, old.t.n + 1, sizeof(int32_t))
        memset(varies, 0, 2 * old.t.n)
        copy_tables(old, new)
        new.programs = list(old.programs)
        memset(to, 0xff, old.t.n * sizeof(int32_t))
        for i in range(n_input):
            node = <int32_t>i if inputs == NULL else inputs[i]
            varies[node] = True
            to[node] = emit(new, OP_input, old.t.entry[node].dtype, FT_DONE, shape_of(old, node), 0, 0, 0)
        find_varying(old, varies)
        mark_wanted(old, outputs, n, varies, varies + old.t.n)
        freeze_entries(old, new, varies, varies + old.t.n, to)
        carry_marks(old, new, to)
        for i in range(n):
            outputs[i] = to[outputs[i]]
    finally:
        drop(<void **>&varies, &cap_varies, 1)
        drop(<void **>&to, &cap_to, sizeof(int32_t))
    return new


# ---- onto another tape

cdef int32_t moved_shape(Tape old, Tape new, int32_t *shapes, int32_t shape) except -1:
    if shapes[shape] < 0:
        shapes[shape] = intern_shape(new, old.t.shape[shape].ndim, old.t.dims + old.t.shape[shape].at)
    return shapes[shape]


cdef int32_t moved_view(Tape old, Tape new, int32_t *shapes, int32_t view) except -1:
    cdef ft_view w = old.t.view[view]
    cdef ft_shape s = old.t.shape[w.shape]
    return intern_view(new, moved_shape(old, new, shapes, w.base), s.ndim, old.t.dims + s.at, old.t.dims + w.at, w.offset)


cdef int depends_on_active(Tape tape, ft_entry *e) noexcept nogil:
    """FT_ACTIVE if an operand is that has a partial."""
    cdef Reads o = reads_of(tape, e)
    cdef int k, flags = 0
    for k in range(o.n):
        if o.at[k * o.step] >= 0 and (e.op >= FT_N_MAP or active_operands[e.op] >> k & 1):
            flags |= tape.t.entry[o.at[k * o.step]].flags
    return flags & FT_ACTIVE


cdef int splice_entry(Tape old, Tape tape, int32_t i, int32_t *to, int32_t *shapes, dict programs) except -1:
    cdef ft_entry e = old.t.entry[i]
    cdef Reads o
    cdef int k
    cdef int32_t shape = moved_shape(old, tape, shapes, e.shape)
    if e.op == OP_constant:
        to[i] = constant(tape, old.t.val[i].f, e.dtype)
        return 0
    if e.op == OP_input:                # a known array
        tape.keep.append(old.keep[e.b - 1])
        to[i] = emit(tape, OP_input, e.dtype, FT_DONE, shape, 0, <int32_t>len(tape.keep), 0)
        tape.t.val[to[i]] = old.t.val[i]
        return 0
    own_operands(old, tape, &e)
    o = reads_of(tape, &e)
    for k in range(o.n):
        if o.at[k * o.step] >= 0:
            o.at[k * o.step] = to[o.at[k * o.step]]
        if e.op == OP_assemble:
            o.at[k * o.step + 1] = moved_view(old, tape, shapes, o.at[k * o.step + 1])
    if e.op == OP_view or e.op == OP_pad or e.op == OP_add_region or e.op == OP_update:
        e.aux = moved_view(old, tape, shapes, e.aux)
    elif e.op == OP_program:
        program = old.programs[tape.t.args[e.aux]]
        if id(program) not in programs:
            programs[id(program)] = len(tape.programs)
            tape.programs.append(program)
        tape.t.args[e.aux] = programs[id(program)]
    e.flags = depends_on_active(tape, &e)
    to[i] = emit(tape, e.op, e.dtype, e.flags if e.dtype < FT_B64 else 0, shape, e.a, e.b, e.aux)
    if e.op == OP_program:
        for k in range(1, e.b):
            e = old.t.entry[i + k]
            shape = moved_shape(old, tape, shapes, e.shape)
            to[i + k] = emit(tape, OP_program, e.dtype, tape.t.entry[to[i]].flags if e.dtype < FT_B64 else 0, shape, k, e.b,
                             tape.t.entry[to[i]].aux)
    return 0


cdef list splice(Tape old, Tape tape, list inputs, const int32_t *outputs, int64_t n):
    """Append a frozen tape to another, its inputs being nodes there; returns the nodes of the outputs."""
    cdef int32_t *to = NULL
    cdef int32_t *shapes = NULL
    cdef int64_t i, cap_to = 0, cap_shapes = 0
    cdef dict programs = {}
    try:
        resize(<void **>&to, &cap_to, old.t.n + 1, sizeof(int32_t))
        resize(<void **>&shapes, &cap_shapes, old.t.n_shape + 1, sizeof(int32_t))
        memset(shapes, 0xff, old.t.n_shape * sizeof(int32_t))
        for i in range(<int64_t>len(inputs)):
            to[i] = inputs[i]
        for i in range(<int64_t>len(inputs), old.t.n):
            if group_of(old, <int32_t>i) == i:
                splice_entry(old, tape, <int32_t>i, to, shapes, programs)
        carry_marks(old, tape, to)
        return [to[outputs[i]] for i in range(n)]
    finally:
        drop(<void **>&to, &cap_to, sizeof(int32_t))
        drop(<void **>&shapes, &cap_shapes, sizeof(int32_t))
