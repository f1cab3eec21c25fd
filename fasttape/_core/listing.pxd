# Programs written out.
from fasttape._core.state cimport State

cdef dict runs_of(State s)
