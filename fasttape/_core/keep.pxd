# From a trace to a program.
from libc.stdint cimport int32_t, int64_t

from fasttape._core.program cimport Program
from fasttape._core.signature cimport Form
from fasttape._core.tape cimport Tape

cdef int32_t number_input(Tape tape, int dtype, int flags, double value) except -1
cdef int32_t array_input(Tape tape, object a) except -1
cdef int32_t input_of(Tape tape, Form form, object x) except -1
cdef int keep(Program p, Tape tape, int64_t n_input, list nodes, list guards) except -1
cdef Program record(type kind, object f, Form arguments, list leaves, object static, str name, int64_t budget=*)
cdef list examples_of(Form form)
