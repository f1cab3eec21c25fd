"""The record of a long tape, packed: repetitive as loops leave it, it shrinks to a hundredth.

An entry's operands are predicted: those of the last entry before which the same ops stood, as far as eight back. In a
loop what is then left is the same in every iteration, whichever way its operands run, and zlib finds that.
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
    FIELDS = 4                      # shape, a, b, aux


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


cdef inline int64_t slot_after(uint64_t *context, int op) noexcept nogil:
    """The slot of the eight ops that end with this one."""
    context[0] = context[0] << 8 | <uint64_t>op
    return <int64_t>(context[0] * <uint64_t>0x9E3779B97F4A7C15 >> 50)


cdef Record keep_record(Tape tape):
    """A record of a frozen tape, whose entries may go with it."""
    cdef Record r = Record.__new__(Record)
    cdef Tape rest
    cdef int64_t i, k, n = tape.t.n, n_value = 0
    cdef int32_t j
    cdef uint64_t context = 0
    cdef ft_entry *e
    cdef ft_entry *f
    cdef cnp.ndarray kinds, fields, table, values
    cdef int32_t *field
    cdef int32_t *last
    cdef uint32_t *kind
    cdef double *value
    r.rest = tape
    if n < LONG:
        return r
    kinds = np.empty(n, np.uint32)
    fields = np.empty((FIELDS, n), np.int32)
    table = np.full(SLOTS, -1, np.int32)
    values = np.empty(n, np.float64)
    kind = <uint32_t *>cnp.PyArray_DATA(kinds)
    field = <int32_t *>cnp.PyArray_DATA(fields)
    last = <int32_t *>cnp.PyArray_DATA(table)
    value = <double *>cnp.PyArray_DATA(values)
    for i in range(n):
        e = tape.t.entry + i
        memcpy(kind + i, e, 4)                      # op, dtype, flags
        k = slot_after(&context, e.op)
        j = last[k]
        last[k] = <int32_t>i
        f = tape.t.entry + max(j, 0)
        field[i] = e.shape if j < 0 else e.shape - f.shape
        field[n + i] = e.a if j < 0 else e.a - f.a
        field[2 * n + i] = e.b if j < 0 else e.b - f.b
        field[3 * n + i] = e.aux if j < 0 else e.aux - f.aux
        if e.op == OP_constant:
            value[n_value] = tape.t.val[i].f
            n_value += 1
    rest = Tape()
    copy_tables(tape, rest)
    copy_args(tape, rest)
    rest.keep = tape.keep
    rest.programs = tape.programs
    r.n = n
    r.packed = zlib.compress(kinds, 1), zlib.compress(fields, 1), zlib.compress(values[:n_value], 1)
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
    cdef int64_t i, k, n = r.n, n_value = 0
    cdef int32_t j
    cdef uint64_t context = 0
    cdef ft_entry *e
    cdef ft_entry *f
    cdef cnp.ndarray kinds, fields, table, values
    cdef int32_t *field
    cdef int32_t *last
    cdef uint32_t *kind
    cdef double *value
    kinds = np.frombuffer(zlib.decompress(r.packed[0]), np.uint32)
    fields = np.frombuffer(zlib.decompress(r.packed[1]), np.int32)
    values = np.frombuffer(zlib.decompress(r.packed[2]), np.float64)
    table = np.full(SLOTS, -1, np.int32)
    kind = <uint32_t *>cnp.PyArray_DATA(kinds)
    field = <int32_t *>cnp.PyArray_DATA(fields)
    last = <int32_t *>cnp.PyArray_DATA(table)
    value = <double *>cnp.PyArray_DATA(values)
    copy_tables(r.rest, tape)
    copy_args(r.rest, tape)
    grow(tape, n)
    tape.t.n = n
    tape.keep = r.rest.keep
    tape.programs = r.rest.programs
    for i in range(n):
        e = tape.t.entry + i
        memcpy(e, kind + i, 4)
        k = slot_after(&context, e.op)
        j = last[k]
        last[k] = <int32_t>i
        f = tape.t.entry + max(j, 0)
        e.shape = field[i] if j < 0 else field[i] + f.shape
        e.a = field[n + i] if j < 0 else field[n + i] + f.a
        e.b = field[2 * n + i] if j < 0 else field[2 * n + i] + f.b
        e.aux = field[3 * n + i] if j < 0 else field[3 * n + i] + f.aux
        tape.t.val[i].p = NULL
        if e.op == OP_constant:
            tape.t.val[i].f = value[n_value]
            n_value += 1
        elif e.op == OP_input and e.b > 0:
            tape.t.val[i].p = cnp.PyArray_DATA(tape.keep[e.b - 1])
    return tape
