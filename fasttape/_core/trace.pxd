# Opening and closing a trace, its inputs and its outputs.
from libc.stdint cimport int32_t, int64_t
from fasttape._core.array cimport Array
from fasttape._core.sweep cimport Sweep
from fasttape._core.tape cimport Tape

cdef Tape enter(object args)
cdef Tape enter_own()
cdef int leave(Tape tape, Tape outer) except -1
cdef Tape current()
cdef Array new_input(Tape tape, object x, str who, object position)
cdef int32_t output_node(Tape tape, object y, str who) except -1
cdef list values(Tape tape, list nodes)
cdef int forget_past(Tape tape) except -1
cdef int set_current(Tape tape) except -1
cdef tuple named_once(tuple argnums, int64_t n)
cdef int replace_inputs(Tape tape, list call_args, tuple argnums, str who, list inputs, list nodes) except -1
cdef int begin_pull(Tape tape, Sweep *s, list nodes) except -1
cdef list finish(Tape tape, Sweep *s, list nodes, list first)
