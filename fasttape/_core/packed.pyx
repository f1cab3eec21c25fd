"""The record of a long tape, packed: repetitive as loops leave it, it shrinks to a hundredth.

An entry is predicted from the sixty-four ops before it. Where these stood last, some entry followed, whose operands had moved
by so much since the time before: so it will be again. In a loop it is, whichever way its operands run. What comes as
predicted takes a bit; the rest is kept by how far back its operands lie, in about six bytes.
"""
import zlib

import numpy as np

from libc.string cimport memcpy, memset

cimport numpy as cnp

from fasttape._core.copies cimport copy_tables
from fasttape._core.tape cimport *

cnp.import_array()

cdef enum:
    LONG = 1 << 14                  # entries from which packing is worth its time
    SLOTS = 1 << 14
    MOST = 24                       # bytes of an entry that was not predicted, at most; what follows the last one

cdef struct Guess:                  # what followed the ops of a slot last, and how far its operands had moved
    ft_entry entry
    int32_t step[4]                 # of shape, a, b, aux


cdef class Record:
    """A frozen tape that is kept and seldom read."""

    cdef Tape tape(self):
        """The tape, which is not to be changed."""
        return self.rest if self.packed is None else unpacked(self, NULL)

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


cdef inline int put_near(uint8_t **at, int64_t i, int32_t x) noexcept nogil:
    """Write a number that may be a node before i; returns its width: 0 is zero, 1 and 2 are bytes of i - 1 - x, 3 is x."""
    cdef int64_t back = i - 1 - x
    if x == 0:
        return 0
    if 0 <= back < 256:
        at[0][0] = <uint8_t>back
        at[0] += 1
        return 1
    if 0 <= back < 65536:
        at[0][0] = back & 255
        at[0][1] = <uint8_t>(back >> 8)
        at[0] += 2
        return 2
    memcpy(at[0], &x, 4)
    at[0] += 4
    return 3


cdef inline int32_t take_near(const uint8_t **at, int64_t i, int width) noexcept nogil:
    cdef const uint8_t *p = at[0]
    cdef int32_t x = 0
    if width == 1:
        x = <int32_t>(i - 1 - p[0])
        at[0] += 1
    elif width == 2:
        x = <int32_t>(i - 1 - (p[0] | p[1] << 8))
        at[0] += 2
    elif width == 3:
        memcpy(&x, p, 4)
        at[0] += 4
    return x


cdef inline void put_entry(uint8_t **at, int64_t i, const ft_entry *e) noexcept nogil:
    """Its op, its dtype and whether it has flags, the widths of its four numbers, the flags, the numbers."""
    cdef uint8_t *head = at[0]
    cdef int widths
    head[0] = e.op
    head[1] = e.dtype | (128 if e.flags else 0)
    at[0] += 3
    if e.flags:
        memcpy(at[0], &e.flags, 2)
        at[0] += 2
    widths = put_near(at, i, e.shape)
    widths |= put_near(at, i, e.a) << 2
    widths |= put_near(at, i, e.b) << 4
    widths |= put_near(at, i, e.aux) << 6
    head[2] = widths


cdef inline void take_entry(const uint8_t **at, int64_t i, ft_entry *e) noexcept nogil:
    cdef const uint8_t *head = at[0]
    cdef int widths = head[2]
    e.op = head[0]
    e.dtype = head[1] & 127
    e.flags = 0
    at[0] += 3
    if head[1] & 128:
        memcpy(&e.flags, at[0], 2)
        at[0] += 2
    e.shape = take_near(at, i, widths & 3)
    e.a = take_near(at, i, widths >> 2 & 3)
    e.b = take_near(at, i, widths >> 4 & 3)
    e.aux = take_near(at, i, widths >> 6)


cdef Record keep_record(Tape tape):
    """A record of a frozen tape, whose entries may go with it."""
    cdef Record r = Record.__new__(Record)
    cdef Tape rest
    cdef int64_t i, n = tape.t.n, n_value = 0
    cdef uint64_t ops = 0
    cdef ft_entry *e
    cdef ft_entry guess
    cdef Guess *g
    cdef cnp.ndarray table, bits, odd, values
    cdef uint8_t *bit
    cdef uint8_t *begin
    cdef uint8_t *at
    cdef double *value
    r.rest = tape
    if n < LONG:
        return r
    table = np.zeros(SLOTS * sizeof(Guess), np.uint8)
    bits = np.zeros(n // 8 + 1, np.uint8)
    odd = np.empty((n + 1) * MOST, np.uint8)
    values = np.empty(n, np.float64)
    bit = <uint8_t *>cnp.PyArray_DATA(bits)
    begin = at = <uint8_t *>cnp.PyArray_DATA(odd)
    value = <double *>cnp.PyArray_DATA(values)
    with nogil:
        for i in range(n):
            e = tape.t.entry + i
            g = <Guess *>cnp.PyArray_DATA(table) + slot_of(ops)
            predict(g, &guess)
            if as_predicted(e, &guess):
                bit[i >> 3] |= 1 << (i & 7)
            else:
                put_entry(&at, i, e)
            learn(g, e)
            ops = after(ops, e.op)
            if e.op == OP_constant:
                value[n_value] = tape.t.val[i].f
                n_value += 1
        memset(at, 0, MOST)
    rest = Tape()
    copy_tables(tape, rest)
    copy_args(tape, rest)
    rest.keep = tape.keep
    rest.programs = tape.programs
    r.n = n
    r.packed = deflated(bits), deflated(odd[:at - begin + MOST]), deflated(values[:n_value])
    r.rest = rest
    return r


cdef bytes deflated(cnp.ndarray part):
    """Without the checksum of zlib's own format, which would be computed and compared for nothing."""
    stream = zlib.compressobj(1, zlib.DEFLATED, -15)
    return stream.compress(part) + stream.flush()


cdef cnp.ndarray inflated(bytes part, int64_t most):
    """At most so many bytes."""
    stream = zlib.decompressobj(-15)
    try:
        out = stream.decompress(part, max(most, 1))
    except zlib.error as error:
        raise ValueError(f"a packed record is damaged: {error}") from None
    if not stream.eof or len(out) > most:
        raise ValueError("a packed record is not of its size")
    return np.frombuffer(out, np.uint8)


cdef int copy_args(Tape old, Tape new) except -1:
    if old.t.n_args:
        resize(<void **>&new.t.args, &new.t.cap_args, old.t.n_args, sizeof(int32_t))
        memcpy(new.t.args, old.t.args, old.t.n_args * sizeof(int32_t))
    new.t.n_args = old.t.n_args
    return 0


cdef Tape unpacked(Record r, const uint8_t *code):
    """The tape; `code`, where it is not NULL, has the numbers of the ops here by those that they were packed with. A record
    that was not packed here raises ValueError if it does not hold r.n entries."""
    cdef Tape tape = Tape()
    cdef int64_t i, n = r.n, n_value = 0, most_values
    cdef uint64_t ops = 0
    cdef ft_entry *e
    cdef Guess *g
    cdef cnp.ndarray table, bits = inflated(r.packed[0], n // 8 + 1), odd = inflated(r.packed[1], (n + 1) * MOST), \
        values = inflated(r.packed[2], n * 8)
    cdef const uint8_t *bit = <uint8_t *>cnp.PyArray_DATA(bits)
    cdef const uint8_t *at = <uint8_t *>cnp.PyArray_DATA(odd)
    cdef const uint8_t *last = at + (cnp.PyArray_SIZE(odd) - MOST)
    cdef const double *value = <double *>cnp.PyArray_DATA(values)
    cdef bint cut = cnp.PyArray_SIZE(bits) != n // 8 + 1 or cnp.PyArray_SIZE(odd) < MOST
    cdef int op
    most_values = cnp.PyArray_SIZE(values) // 8
    table = np.zeros(SLOTS * sizeof(Guess), np.uint8)
    copy_tables(r.rest, tape)
    copy_args(r.rest, tape)
    grow(tape, n)
    tape.t.n = n
    tape.keep = r.rest.keep
    tape.programs = r.rest.programs
    with nogil:
        for i in range(0 if cut else n):
            e = tape.t.entry + i
            g = <Guess *>cnp.PyArray_DATA(table) + slot_of(ops)
            if bit[i >> 3] >> (i & 7) & 1:
                predict(g, e)
            elif at < last:
                take_entry(&at, i, e)
            else:
                cut = True
                break
            learn(g, e)
            ops = after(ops, e.op)
            tape.t.val[i].p = NULL
            op = e.op if code == NULL else code[e.op]
            if op == OP_constant:
                if n_value == most_values:
                    cut = True
                    break
                tape.t.val[i].f = value[n_value]
                n_value += 1
            elif op == OP_input and e.b > 0:
                set_known(tape, i, e.b)
        if code != NULL and not cut:            # not before: what came before was remembered by these numbers
            for i in range(n):
                tape.t.entry[i].op = code[tape.t.entry[i].op]
    if cut:
        tape.t.n = 0
        raise ValueError("a packed record is cut off")
    return tape


cdef int set_known(Tape tape, int64_t i, int32_t place) except -1 nogil:
    with gil:
        if place <= len(tape.keep):
            tape.t.val[i].p = cnp.PyArray_DATA(tape.keep[place - 1])
    return 0
