# Programs written out.
from fasttape._core.program cimport Program
from fasttape._core.state cimport State

cdef dict runs_of(State s)
cdef str result_text(Program p)
