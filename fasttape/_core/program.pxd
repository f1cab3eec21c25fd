# Kept traces.
from libc.stdint cimport int8_t, int32_t, int64_t

from fasttape._core.packed cimport Record
from fasttape._core.signature cimport Form
from fasttape._core.state cimport State
from fasttape._core.sweep cimport Sweep, Swept
from fasttape._core.tape cimport Tape

cdef class Unmet:
    cdef int64_t k
    cdef object outcome

cdef class Program(Swept):
    cdef Tape tape                  # what is planned and run; its first nodes are the inputs
    cdef Record record              # what was recorded, for sweeps
    cdef readonly object function
    cdef object static              # positions and names of arguments that are fixed
    cdef Form arguments, result
    cdef tuple flat                 # forms of the positional arguments, where they are numbers and arrays alone
    cdef int32_t *outputs           # nodes: of the result's leaves, then of the guards
    cdef int32_t *record_outputs    # the same, in the record
    cdef int64_t n_result           # of the outputs; the others are the guards
    cdef list guards                # (how, seen, place)
    cdef int8_t *truth              # of each guard: the truth value it must see, -1 where it sees something else
    cdef list marks                 # k: of the outcomes of the first k guards
    cdef bint any_float             # no float32 in it: Python's floats and NumPy's are the same to it
    cdef list states                # that no call is using
    cdef dict derived               # programs of its tangents and cotangents (calls.pyx)
    cdef list outcome               # dtype and shape of each output
    cdef list places                # of a derived program's results: which of the tangents or cotangents each is
    cdef int64_t recorded, kept     # entries that the trace had, and that the optimiser left
    cdef bint planned               # a state has been made

    cdef State plan(self)
    cdef bint takes(self, tuple args, dict kwargs, list leaves, bint loose) except -1
    cdef list leaves_of(self, tuple args, dict kwargs)
    cdef object run(self, list leaves, list into=*)

# Sweeps through a program's call. Set by calls.pyx.
ctypedef int (*program_rule)(Program p, Tape tape, Sweep *s, int32_t i) except -1
cdef program_rule pull_program, push_program

cdef bint same(object a, object b)
cdef int64_t mark_after(int64_t before, object outcome)
cdef str name_of(object f)
