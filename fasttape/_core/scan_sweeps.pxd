# Sweeps through loops.
from libc.stdint cimport int32_t, int64_t

from fasttape._core.scan cimport Reversal, Scan
from fasttape._core.tape cimport Tape

# A loop that was pushed, and its call.
cdef class Pushed:
    cdef Scan scan
    cdef tuple constants, carry, xs, ys     # which of them have tangents
    cdef list nodes                         # what it was called with
    cdef int32_t first                      # its first result on the tape

    cdef int64_t place(self, Scan f, int64_t k)

cdef int32_t steps_first(Tape tape, int64_t lanes, int32_t node) except -1
cdef int32_t lane_of(Tape tape, int32_t node, int64_t lane) except -1
cdef int32_t stack(Tape tape, list nodes) except -1
cdef Reversal reversal_of(Scan f, tuple moving, tuple ys, int64_t lanes)
cdef Pushed push_loop(Tape tape, Scan f, list nodes, dict tangents, int64_t lanes)
cdef dict pull_loop(Tape tape, Scan f, list nodes, int32_t store, tuple moving, dict carry, dict ys, dict sums, int64_t lanes)
