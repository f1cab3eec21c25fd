"""Arrays that are changed element by element, as the numbers that they hold.

A chain of `set_at` and `add_at`, as a loop of `u[i] = ...` leaves it and its pullback, is not copied to a kept tape
while only elements of it are read: a variable knows the node of each element that has been set or read. What else
reads the array reads what is written then: the elements that changed since, in the order of their places.
"""
from libc.stdlib cimport free
from libc.string cimport memset

from fasttape._core.record cimport *

cdef enum:
    ROOM = 1 << 16                  # elements that variables may have in all, however short the tape
    PER_ENTRY = 4                   # and for each entry of it


cdef class Variables:
    def __dealloc__(self):
        cdef int64_t k
        for k in range(self.n):
            free(self.at[k].known)
        drop(<void **>&self.at, &self.cap, sizeof(Variable))

    cdef int32_t new(self, Tape tape, int32_t base, int64_t entries) except -2:
        """A variable that begins as the array `base`; -1 where it would take too much memory."""
        cdef int64_t size = size_of(tape, base)
        cdef Variable *v
        if self.room == 0:
            self.room = max(ROOM, PER_ENTRY * entries)
        if size > self.room:
            return -1
        self.room -= size
        resize(<void **>&self.at, &self.cap, self.n + 1, sizeof(Variable))
        v = self.at + self.n
        v.known = <int32_t *>allocate(size * 5 + 8)
        if v.known == NULL:
            raise MemoryError
        self.n += 1
        v.dirty = <uint8_t *>(v.known + size)
        memset(v.known, 0xff, size * 4)
        memset(v.dirty, 0, size)
        v.base = base
        v.low = size
        v.high = -1
        return <int32_t>(self.n - 1)

    cdef int set(self, int32_t k, int64_t place, int32_t node) noexcept nogil:
        cdef Variable *v = self.at + k
        v.known[place] = node
        v.dirty[place] = True
        v.low = min(v.low, place)
        v.high = max(v.high, place)
        return 0

    cdef int32_t written(self, Tape tape, int32_t k) except -1:
        """The array, with the elements that have changed."""
        cdef Variable *v = self.at + k
        cdef int64_t place
        cdef ft_entry e = tape.t.entry[v.base]
        for place in range(v.low, v.high + 1):
            if v.dirty[place]:
                v.dirty[place] = False
                v.base = emit(tape, OP_set_at, e.dtype, 0, e.shape, v.base, v.known[place], <int32_t>place)
        v.low = size_of(tape, v.base)
        v.high = -1
        return v.base
