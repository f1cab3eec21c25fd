"""The rows of binomial checkpointing, compiled: a loop of cheap steps would wait for an iterator in Python."""
import numpy as np

from libc.stdint cimport int64_t

cimport cython
cimport numpy as cnp

cnp.import_array()

cdef enum:
    ADVANCE, SNAPSHOT, RESTORE, TURN, REVERSE       # as in actions.py
    COLUMNS = 6
    KEEP = 1
    FREE = 8
    ROWS = 2048                     # of an array
    LONGEST = 38                    # log 2 of a length whose binomials are computed in 64 bits

cdef struct Frame:                  # of the recursion: steps first .. end - 1, with s snapshots, the first in slots[depth]
    int64_t first, end, s, distance


cdef int64_t split(int64_t length, int64_t s) noexcept nogil:
    """How far to the next snapshot. With r the least for which length <= beta(s, r) = C(s + r, s), any distance in
    [beta(s, r - 2), beta(s, r - 1)] that leaves one in [beta(s - 1, r - 1), beta(s - 1, r)] is optimal."""
    cdef int64_t r = 0, reach = 1, before = 1
    while reach < length:
        r += 1
        before = reach
        reach = reach * (s + r) // r
    return min(before, length - before * s // (s + r - 1))


@cython.final
cdef class Stretch:
    """An iterator of arrays of rows that reverse `length` steps from state `first`, the current one.

    Parameters
    ----------
    length, first : int
    slots : sequence of int
        The slots that may be used, the one for the state `first` before the others.
    turns : bool
        Whether the turn is among the rows, after the first run of the last step.
    taken : bool
        Whether the snapshot of state `first` is there already.
    """
    cdef int64_t[::1] slots
    cdef Frame *frame
    cdef object frames              # what holds them
    cdef int64_t depth
    cdef bint turns, opens          # opens: the frame on top has just been entered
    cdef bint waits                 # the frame on top waits for one that is done

    def __init__(self, length, first, slots, bint turns, bint taken=False):
        if length >> LONGEST:
            raise ValueError(f"a loop of {length} steps is too long for binomial checkpointing: at most 2**{LONGEST} - 1")
        self.slots = np.array(list(slots), np.int64)
        cdef int64_t n = self.slots.shape[0]
        cdef cnp.ndarray frames = np.empty((n + 2) * sizeof(Frame), np.uint8)
        self.frames = frames
        self.frame = <Frame *>cnp.PyArray_DATA(frames)
        self.frame[0].first, self.frame[0].end, self.frame[0].s = first, first + length, n
        self.depth = 0
        self.turns = turns
        self.opens = not taken
        self.waits = False

    def __iter__(self):
        return self

    def __next__(self):
        cdef cnp.ndarray rows
        cdef int64_t n
        if self.depth < 0:
            raise StopIteration
        rows = np.empty((ROWS, COLUMNS), np.int64)
        n = self.fill(<int64_t *>cnp.PyArray_DATA(rows), ROWS)
        return rows[:n]

    cdef int64_t fill(self, int64_t *row, int64_t room) noexcept nogil:
        """Write rows until there is no room for those of another turn of the loop; how many."""
        cdef int64_t n = 0, slot
        cdef Frame *f
        while self.depth >= 0 and n + 4 <= room:
            f = self.frame + self.depth
            slot = self.slots[self.depth] if self.depth < self.slots.shape[0] else -1
            if self.waits:
                put(row, &n, RESTORE, f.first, 0, slot, FREE if f.distance == 1 else 0)
                f.end = f.first + f.distance
                self.waits = False
            elif self.opens and f.end - f.first > 1:
                put(row, &n, SNAPSHOT, f.first, 0, slot, 0)
            self.opens = False
            if f.end - f.first == 1:
                put(row, &n, ADVANCE, f.first, f.end, 0, KEEP)
                if self.turns:
                    put(row, &n, TURN, 0, 0, 0, 0)
                    self.turns = False
                put(row, &n, REVERSE, f.first, f.end, 0, 0)
                self.depth -= 1
                self.waits = True
                continue
            f.distance = f.end - f.first - 1 if f.s == 1 else split(f.end - f.first, f.s)
            put(row, &n, ADVANCE, f.first, f.first + f.distance, 0, 0)
            f[1].first, f[1].end, f[1].s = f.first + f.distance, f.end, f.s - 1
            self.depth += 1
            self.opens = True
        return n


cdef inline void put(int64_t *rows, int64_t *n, int64_t kind, int64_t start, int64_t stop, int64_t slot, int64_t flags) noexcept nogil:
    cdef int64_t *row = rows + COLUMNS * n[0]
    row[0], row[1], row[2], row[3], row[4], row[5] = kind, start, stop, slot, flags, 0
    n[0] += 1
