# What is drawn of a program or of a loop's body.
from libc.stdint cimport int32_t

from fasttape._core.loops cimport Loop
from fasttape._core.tape cimport Tape

cdef class Sheet:
    cdef readonly object kind, op, run, edges
    cdef readonly list names, ends, guards, kept, handed_on

cdef tuple inside_of_loop(Tape tape, int32_t i, Loop loop, dict label)
