# Forward mode on a tape that is open already.
from libc.stdint cimport int64_t

from fasttape._core.tape cimport Tape

cdef tuple push_through(Tape tape, int64_t start, f, list args, dict kwargs, list inputs, list tangents,
                        int64_t lanes, str who)
