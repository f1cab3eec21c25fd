# A plan of a kept tape, and the numbers of one run.
cimport numpy as cnp

from fasttape._core.callee cimport Call
from fasttape._core.tape cimport *

cdef class State(Call):
    cdef Tape tape
    cdef list homes                 # where input and output arrays lie while they lie nowhere else, or None
    cdef uint8_t *moves
    cdef int64_t *first
    cdef ft_field *field
    cdef int64_t cap_moves, cap_first, n_field, cap_field
    cdef uint8_t *room              # for whoever runs it, so that it stays in one processor's cache with the rest
    cdef int64_t cap_room

cdef State new_state(Tape kept, int64_t n_input, const int32_t *outputs, int64_t n_output, bint coded=*,
                     bint noting=*)
cdef int run_state(State s) except -1
cdef cnp.ndarray new_array(Tape tape, int32_t node)
