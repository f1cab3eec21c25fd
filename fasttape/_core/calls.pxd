# Calls within a trace.
from libc.stdint cimport int32_t, int64_t

from fasttape._core.callee cimport Callee
from fasttape._core.signature cimport Form
from fasttape._core.tape cimport Tape

cdef int32_t emit_call(Tape tape, Callee p, list nodes) except -2
cdef int32_t input_like(Tape tape, Tape old, int32_t node, int64_t lanes) except -1
cdef Tape tape_of(list leaves, Tape tape=*)
cdef list nodes_of(Form arguments, Tape tape, list leaves)
