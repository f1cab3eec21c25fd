# Lanes outside of a trace.
from fasttape._core.lots cimport Lots
from fasttape._core.program cimport Program

cdef int check_alike(Program p, Program first, str who) except -1
cdef int off_the_path(Program p) except -1
cdef object run_plain(object paths, Program p, Program guess, Lots lots, object wanted, object way)
