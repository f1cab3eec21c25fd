# Sweeps: differentiate a tape by appending to it.
from libc.stdint cimport int32_t, int64_t
from fasttape._core.tape cimport Tape

cdef struct Sweep:
    int64_t start, end              # the stretch that is differentiated
    int64_t lanes                   # stacked seeds, along a new first axis; 0: one seed, no such axis

cdef int pull_begin(Tape tape, Sweep *s, const int32_t *inputs, int64_t n) except -1 nogil
cdef int64_t pull(Tape tape, Sweep *s, int64_t i) except -2 nogil
cdef int give(Tape tape, Sweep *s, int32_t node, int32_t g) except -1 nogil
cdef int32_t cotangent(Tape tape, Sweep *s, int32_t node) except -1 nogil
cdef int push(Tape tape, Sweep *s, int64_t begin, int64_t end) except -1 nogil
cdef int push_begin(Tape tape, int64_t begin, int64_t end) except -1 nogil
cdef int32_t lift_shape(Tape tape, int64_t lanes, int32_t shape) except -1 nogil
