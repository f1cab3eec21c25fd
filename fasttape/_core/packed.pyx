"""The record of a long tape, packed: repetitive as loops leave it, it shrinks to a hundredth.

An entry is predicted from the sixty-four ops before it. Where these stood last, some entry followed, whose operands had moved
by so much since the time before: so it will be again. In a loop it is, whichever way its operands run. What comes as
predicted takes a bit; the rest is kept as it is.
"""
import zlib

import numpy as np

from libc.string cimport memcpy

cimport numpy as cnp

from fasttape._core.copies cimport copy_tables
from fasttape._core.tape cimport *

cnp.import_array()

cdef enum:
    LONG = 1 << 14                  # entries from which packing is worth its time
    SLOTS = 1 << 14

cdef struct Guess:                  # what followed the ops of a slot last, and how far its operands had moved
    ft_entry entry
    int32_t step[4]                 # of shape, a, b, aux


cdef class Record:
    """A frozen tape that is kept and seldom read."""

    cdef Tape tape(self):
        """The tape, which is not to be changed."""
        return self.rest if self.packed is None else unpacked(self)

    @property
    def bytes(self):
        """The memory of its entries."""
        if self.packed is None:
            return self.rest.t.n * (sizeof(ft_entry) + sizeof(ft_value))
        return sum([len(part) for part in self.packed])


cdef inline uint64_t after(uint64_t ops, int op) noexcept nogil:
    """What is remembered of the last 64 ops."""
    return ops << 1 ^ <uint64_t>(op + 1) * <uint64_t>0x9E3779B97F4A7C15


cdef inline int64_t slot_of(uint64_t ops) noexcept nogil:
    return <int64_t>(ops >> 50)


cdef inline void predict(const Guess *g, ft_entry *e) noexcept nogil:
    e[0] = g.entry
    e.shape += g.step[0]
    e.a += g.step[1]
    e.b += g.step[2]
    e.aux += g.step[3]


cdef inline void learn(Guess *g, const ft_entry *e) noexcept nogil:
    g.step[0] = e.shape - g.entry.shape
    g.step[1] = e.a - g.entry.a
    g.step[2] = e.b - g.entry.b
    g.step[3] = e.aux - g.entry.aux
    g.entry = e[0]


cdef inline bint as_predicted(const ft_entry *e, const ft_entry *p) noexcept nogil:
    return e.op == p.op and e.dtype == p.dtype and e.flags == p.flags and e.shape == p.shape and e.a == p.a \
        and e.b == p.b and e.aux == p.aux


cdef Record keep_record(Tape tape):
    """A record of a frozen tape, whose entries may go with it."""
    cdef Record r = Record.__new__(Record)
    cdef Tape rest
    cdef int64_t i, n = tape.t.n, n_odd = 0, n_value = 0
    cdef uint64_t ops = 0
    cdef ft_entry *e
    cdef ft_entry guess
    cdef Guess *g
    cdef cnp.ndarray table, bits, odd, values
    cdef uint8_t *bit
    cdef ft_entry *exception
    cdef double *value
    r.rest = tape
    if n < LONG:
        return r
    table = np.zeros(SLOTS * sizeof(Guess), np.uint8)
    bits = np.zeros(n // 8 + 1, np.uint8)
    odd = np.empty(n * sizeof(ft_entry), np.uint8)
    values = np.empty(n, np.float64)
    bit = <uint8_t *>cnp.PyArray_DATA(bits)
    exception = <ft_entry *>cnp.PyArray_DATA(odd)
    value = <double *>cnp.PyArray_DATA(values)
    with nogil:
        for i in range(n):
            e = tape.t.entry + i
            g = <Guess *>cnp.PyArray_DATA(table) + slot_of(ops)
            predict(g, &guess)
            if as_predicted(e, &guess):
                bit[i >> 3] |= 1 << (i & 7)
            else:
                exception[n_odd] = e[0]
                n_odd += 1
            learn(g, e)
            ops = after(ops, e.op)
            if e.op == OP_constant:
                value[n_value] = tape.t.val[i].f
                n_value += 1
    rest = Tape()
    copy_tables(tape, rest)
    copy_args(tape, rest)
    rest.keep = tape.keep
    rest.programs = tape.programs
    r.n = n
    r.packed = zlib.compress(bits, 1), zlib.compress(odd[:n_odd * sizeof(ft_entry)], 1), zlib.compress(values[:n_value], 1)
    r.rest = rest
    return r


cdef int copy_args(Tape old, Tape new) except -1:
    if old.t.n_args:
        resize(<void **>&new.t.args, &new.t.cap_args, old.t.n_args, sizeof(int32_t))
        memcpy(new.t.args, old.t.args, old.t.n_args * sizeof(int32_t))
    new.t.n_args = old.t.n_args
    return 0


cdef Tape unpacked(Record r):
    cdef Tape tape = Tape()
    cdef int64_t i, n = r.n, n_odd = 0, n_value = 0
    cdef uint64_t ops = 0
    cdef ft_entry *e
    cdef Guess *g
    cdef cnp.ndarray table, bits, odd, values
    cdef uint8_t *bit
    cdef ft_entry *exception
    cdef double *value
    bits = np.frombuffer(zlib.decompress(r.packed[0]), np.uint8)
    odd = np.frombuffer(zlib.decompress(r.packed[1]) or b"\0", np.uint8)
    values = np.frombuffer(zlib.decompress(r.packed[2]) or bytes(8), np.float64)
    table = np.zeros(SLOTS * sizeof(Guess), np.uint8)
    bit = <uint8_t *>cnp.PyArray_DATA(bits)
    exception = <ft_entry *>cnp.PyArray_DATA(odd)
    value = <double *>cnp.PyArray_DATA(values)
    copy_tables(r.rest, tape)
    copy_args(r.rest, tape)
    grow(tape, n)
    tape.t.n = n
    tape.keep = r.rest.keep
    tape.programs = r.rest.programs
    for i in range(n):
        e = tape.t.entry + i
        g = <Guess *>cnp.PyArray_DATA(table) + slot_of(ops)
        if bit[i >> 3] >> (i & 7) & 1:
            predict(g, e)
        else:
            e[0] = exception[n_odd]
            n_odd += 1
        learn(g, e)
        ops = after(ops, e.op)
        tape.t.val[i].p = NULL
        if e.op == OP_constant:
            tape.t.val[i].f = value[n_value]
            n_value += 1
        elif e.op == OP_input and e.b > 0:
            tape.t.val[i].p = cnp.PyArray_DATA(tape.keep[e.b - 1])
    return tape
