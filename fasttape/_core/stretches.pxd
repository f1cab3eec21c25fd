# Lanes run.
from libc.stdint cimport int64_t

cdef object met(object how, object seen, object column, int64_t n)
cdef int64_t helpers_for(int64_t n, int64_t threads) noexcept
cdef list part_of(list leaves, tuple batched, object lanes)
cdef int add_rows(object total, object index, object rows) except -1
