# Programs written out.
from libc.stdint cimport int32_t, int64_t

from fasttape._core.loops cimport Loop
from fasttape._core.program cimport Program
from fasttape._core.signature cimport Form
from fasttape._core.state cimport State
from fasttape._core.tape cimport Tape

cdef dict runs_of(State s)
cdef str result_text(Program p)
cdef int name_leaves(Form form, str where, list out) except -1
cdef list input_names(Program p, list positions)
cdef str value_text(Loop loop, int32_t v)
cdef str stream_text(Tape tape, Loop loop, int32_t i, int32_t k, dict label)
cdef str operation_of_loop(Tape tape, Loop loop, int32_t i, int32_t k, dict label)
cdef str times_text(Loop loop)
cdef str operation_text(Program p, int32_t i, dict label, list names)
cdef str guard_text(Program p, int64_t k, dict label)
