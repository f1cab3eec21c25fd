# The bodies of loops, traced.
from libc.stdint cimport int64_t

from fasttape._core.program cimport Program
from fasttape._core.tape cimport Tape

cdef class Body:
    cdef Program program            # of the constants, then the arguments
    cdef list constants             # on the tape around it: the nodes of the constants
    cdef list guards                # of a lane: (how, seen, place) of what it saw, the program's last results

cdef Body trace_body(Tape outer, object call, list arguments, str who, lots=*)
cdef Program program_of(Tape tape, str name, int64_t n_input, list nodes)
