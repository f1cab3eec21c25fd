# Records over lanes.
from libc.stdint cimport int32_t, int64_t

from fasttape._core.program cimport Program
from fasttape._core.tape cimport Tape

cdef enum:
    IN_COLUMNS = 2                  # among the flags `batched`: the lanes of an argument are along its last axis

cdef list over_lanes(Tape old, Tape tape, list inputs, list batched, const int32_t *outputs, int64_t n, int64_t lanes)
cdef tuple optimised(Program p)
cdef Program batched_program(Program p, tuple batched, int64_t lanes, bint swept=*)
