# Entries of a tape, each once.
from libc.stdint cimport int32_t, int64_t

from fasttape._core.tape cimport *

cdef struct Distinct:               # hash tables of nodes; -1 is empty
    int32_t *near
    int32_t *far
    int64_t cap_near, cap_far, n_far

cdef int new_distinct(Distinct *d, int64_t n) except -1 nogil
cdef void close_distinct(Distinct *d) noexcept nogil
cdef int32_t unique(Tape tape, Distinct *d, ft_entry *e) except -1 nogil
cdef int32_t number(Tape tape, Distinct *d, double value, int dtype) except -1 nogil
