# A pull within a budget: the tape is cut into segments that are computed again.
from libc.stdint cimport int32_t, int64_t

from fasttape._core.sweep cimport Sweep
from fasttape._core.tape cimport Tape

cdef list pull_within(Tape tape, Sweep *s, list nodes, int32_t y, int64_t budget, list first, str who)
