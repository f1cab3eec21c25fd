# Lanes run.
from libc.stdint cimport int64_t

cdef object met(object how, object seen, object column, int64_t n)
cdef list part_of(list leaves, tuple batched, object lanes)
