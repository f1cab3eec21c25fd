# Tapes that come from a file, checked before anything is made of them.
from libc.stdint cimport int32_t, int64_t

from fasttape._core.tape cimport Tape

cdef int check_tape(Tape tape, int64_t n_input, list inputs_of) except -1
cdef int check_outputs(Tape tape, const int32_t *outputs, int64_t n) except -1
cdef int check_view(Tape tape, int32_t view) except -1 nogil
