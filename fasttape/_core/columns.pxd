from fasttape._core.tape cimport *

cdef int put_columns(Tape tape, list columns, int32_t x, Tape old, int32_t view, int64_t offset, int64_t lanes) except -1
cdef int32_t weave(Tape tape, list columns, int32_t shape, int dtype, int64_t lanes) except -1
