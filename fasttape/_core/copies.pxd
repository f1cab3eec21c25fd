# Copies of tapes.
from fasttape._core.tape cimport *

cdef int copy_tables(Tape old, Tape new) except -1
cdef int copy_tape(Tape old, Tape new) except -1
