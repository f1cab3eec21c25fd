# Sweeps: differentiate a tape by appending to it.
from libc.stdint cimport int32_t, int64_t, uint8_t

from fasttape._core.callee cimport Callee
from fasttape._core.tape cimport Tape
from fasttape._core.vm cimport ft_entry

cdef struct Sweep:
    int64_t start, end              # the stretch that is differentiated
    int64_t stop                    # of a pull: it goes no further for now than this entry
    int64_t lanes                   # stacked seeds, along a new first axis; 0: one seed, no such axis

# What is called, and differentiated: sweeps through a call, whose first result is entry i.
cdef class Swept(Callee):
    cdef int pull(self, Tape tape, Sweep *s, int32_t i) except -1
    cdef int push(self, Tape tape, Sweep *s, int32_t i) except -1

cdef int32_t lift_shape(Tape tape, int64_t lanes, int32_t shape) except -1 nogil
cdef int32_t lift_view(Tape tape, int64_t lanes, int32_t view) except -1 nogil
cdef int32_t element_view(Tape tape, int32_t base, int64_t place) except -1 nogil
cdef int32_t align(Tape tape, int64_t lanes, int32_t g, int ndim) except -1 nogil
cdef int32_t fit(Tape tape, int64_t lanes, int32_t g, int32_t shape) except -1 nogil
cdef int32_t unbroadcast(Tape tape, int64_t lanes, int32_t g, int32_t shape) except -1 nogil
cdef bint is_one(Tape tape, int32_t a, int32_t b) noexcept nogil
cdef int32_t partial(Tape tape, const uint8_t *code, ft_entry *e, int32_t y, int32_t d) except -1 nogil
cdef int32_t extremes(Tape tape, int32_t a, int32_t y, int64_t mask) except -1 nogil
cdef int32_t part(Tape tape, Sweep *s, int32_t g, int32_t view) except -1 nogil
