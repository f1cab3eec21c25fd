# A plan of a kept tape, and the numbers of one run.
cimport numpy as cnp

from fasttape._core.tape cimport *

cdef struct Field:                  # a place in the plan that points into an array
    char **at
    ssize_t delta

cdef class State:
    cdef Tape tape
    cdef list homes                 # where input and output arrays lie while they lie nowhere else, or None
    cdef uint8_t *moves             # by place: an array that lies elsewhere at each run
    cdef int64_t *first             # by place: its first field; then the end
    cdef Field *field
    cdef int64_t cap_moves, cap_first, n_field, cap_field
    cdef int64_t work

cdef State new_state(Tape kept, int64_t n_input, const int32_t *outputs, int64_t n_output, bint coded=*)
cdef int run_state(State s) except -1
cdef void lay(State s, int64_t place, int32_t node, char *data) noexcept nogil
cdef cnp.ndarray new_array(Tape tape, int32_t node)
