# Kept traces.
from libc.stdint cimport int8_t, int32_t, int64_t

from fasttape._core.signature cimport Form
from fasttape._core.state cimport State
from fasttape._core.tape cimport Tape

cdef class Unmet:
    cdef int64_t k
    cdef object outcome

cdef class Program:
    cdef Tape tape
    cdef readonly object function
    cdef str name
    cdef Form arguments, result
    cdef tuple flat                 # forms of the positional arguments, where they are numbers and arrays alone
    cdef int32_t *outputs           # nodes: of the result's leaves, then of the guards
    cdef int64_t n_input, n_result, n_output
    cdef list guards                # (how, seen, place)
    cdef int8_t *truth              # of each guard: the truth value it must see, -1 where it sees something else
    cdef list marks                 # k: of the outcomes of the first k guards
    cdef list states                # that no call is using
    cdef int64_t recorded, kept     # entries that the trace had, and that the optimiser left

    cdef bint takes(self, tuple args, dict kwargs, list leaves) except -1
    cdef list leaves_of(self, tuple args, dict kwargs)
    cdef State take_state(self)
    cdef int give_state(self, State s) except -1
    cdef object run(self, list leaves)

cdef Program record(type kind, object f, tuple args, dict kwargs, Form arguments, str name, bint rolls=*)
cdef int64_t mark_after(int64_t before, object outcome)
cdef str name_of(object f)
