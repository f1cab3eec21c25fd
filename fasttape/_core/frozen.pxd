# Records that are kept to be differentiated later.
from libc.stdint cimport int32_t, int64_t, uint8_t

from fasttape._core.tape cimport *

cdef int find_varying(Tape tape, uint8_t *varies) noexcept nogil
cdef int32_t known_array(Tape old, Tape new, int32_t i) except -1
cdef Tape freeze(Tape old, const int32_t *inputs, int64_t n_input, int32_t *outputs, int64_t n)
cdef list splice(Tape old, Tape tape, list inputs, const int32_t *outputs, int64_t n)
cdef int splice_entry(Tape old, Tape tape, int32_t i, int32_t *to, int32_t *shapes, dict programs) except -1
