"""Tangents put behind what they are tangents of, on a recorded tape.

A push appends the tangents of a whole function when the function has ended. In that order all its values would be held
until their tangents come, as in reverse mode. In turns, a value and its tangent are done with when the next step is:
memory does not grow with the number of steps, as the recurrence of forward mode promises. The push has noted the
origin of what it appended; nothing else changes its place, and no entry changes.
"""
from libc.string cimport memcpy

from fasttape._core.copies cimport own_operands
from fasttape._core.record cimport *


cdef int find_keys(Tape tape, int64_t n_input, int32_t *key) noexcept nogil:
    """By node: one that it is to stand at or behind. An operand's is never greater."""
    cdef int64_t i
    cdef int k
    cdef Reads o
    cdef ft_entry *e
    for i in range(tape.t.n):
        e = tape.t.entry + i
        key[i] = <int32_t>i
        if group_of(tape, <int32_t>i) != i:
            key[i] = key[group_of(tape, <int32_t>i)]
        elif i >= n_input and (e.op == OP_constant or e.op == OP_input):
            key[i] = <int32_t>max(n_input - 1, 0)       # a late one may serve the tangent of an early entry
        elif i < tape.n_origin and tape.origin[i] >= 0:
            key[i] = key[tape.origin[i]]
            o = reads_of(tape, e)
            for k in range(o.n):
                if o.at[k * o.step] >= 0:
                    key[i] = max(key[i], key[o.at[k * o.step]])
    return 0


cdef int sort_by_key(const int32_t *key, int64_t n, int32_t *to, int32_t *start) noexcept nogil:
    """By node: its new place. Equal keys keep their order."""
    cdef int64_t i
    for i in range(n + 1):
        start[i] = 0
    for i in range(n):
        start[key[i] + 1] += 1
    for i in range(n):
        start[i + 1] += start[i]
    for i in range(n):
        to[i] = start[key[i]]
        start[key[i]] += 1
    return 0


cdef int move(Tape tape, const int32_t *to, ft_entry *entries, ft_value *values) except -1:
    cdef int64_t i
    cdef int k
    cdef ft_entry e
    cdef Reads o
    for i in range(tape.t.n):
        e = tape.t.entry[i]
        if group_of(tape, <int32_t>i) == i:
            own_operands(tape, tape, &e)
            o = reads_of(tape, &e)
            for k in range(o.n):
                if o.at[k * o.step] >= 0:
                    o.at[k * o.step] = to[o.at[k * o.step]]
        else:
            e.aux = entries[to[i - e.a]].aux
        entries[to[i]] = e
        values[to[i]] = tape.t.val[i]
    memcpy(tape.t.entry, entries, tape.t.n * sizeof(ft_entry))
    memcpy(tape.t.val, values, tape.t.n * sizeof(ft_value))
    tape.copies = {to[<int64_t>node]: copy for node, copy in tape.copies.items()}
    return 0


cdef int interleave(Tape tape, int64_t n_input, int32_t *outputs, int64_t n) except -1:
    """Reorder a tape whose first nodes are its inputs; the outputs are replaced by their new nodes."""
    cdef int32_t *key = NULL
    cdef int32_t *to = NULL
    cdef int32_t *start = NULL
    cdef ft_entry *entries = NULL
    cdef ft_value *values = NULL
    cdef int64_t i, cap_key = 0, cap_to = 0, cap_start = 0, cap_entries = 0, cap_values = 0
    if tape.n_origin == 0:
        return 0
    try:
        resize(<void **>&key, &cap_key, tape.t.n, sizeof(int32_t))
        resize(<void **>&to, &cap_to, tape.t.n, sizeof(int32_t))
        resize(<void **>&start, &cap_start, tape.t.n + 1, sizeof(int32_t))
        resize(<void **>&entries, &cap_entries, tape.t.n, sizeof(ft_entry))
        resize(<void **>&values, &cap_values, tape.t.n, sizeof(ft_value))
        find_keys(tape, n_input, key)
        sort_by_key(key, tape.t.n, to, start)
        move(tape, to, entries, values)
        for i in range(n):
            outputs[i] = to[outputs[i]]
    finally:
        drop(<void **>&key, &cap_key, sizeof(int32_t))
        drop(<void **>&to, &cap_to, sizeof(int32_t))
        drop(<void **>&start, &cap_start, sizeof(int32_t))
        drop(<void **>&entries, &cap_entries, sizeof(ft_entry))
        drop(<void **>&values, &cap_values, sizeof(ft_value))
    tape.n_origin = 0
    return 0
