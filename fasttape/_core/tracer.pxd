# Tracers: what a traced function computes with.
from libc.stdint cimport int32_t, uint32_t
from fasttape._core.tape cimport Tape

cdef class Array:
    cdef Tape tape
    cdef uint32_t generation
    cdef int32_t node
    cdef Array base                 # the tracer that this one is a view of, never itself a view
    cdef int32_t base_node          # the base's node when `node` was taken from it
    cdef int32_t view               # the region of the base
    cdef bint listed
    cdef bint lent                  # stands for a value of an enclosing trace, which it must not change
    cdef void *next                 # live tracers of the tape
    cdef void *prev

cdef class Scalar(Array):
    pass

cdef Array wrap(Tape tape, int32_t node)
cdef int32_t node_of(Array x) except -1
cdef int force(Tape tape, int32_t node) except -1
cdef object value_of(Tape tape, int32_t node)
cdef int after_record(Tape tape) except -1
