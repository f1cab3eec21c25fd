# Copies of tapes.
from libc.stdint cimport int32_t

from fasttape._core.tape cimport *

cdef int copy_tables(Tape old, Tape new) except -1
cdef int copy_tape(Tape old, Tape new) except -1
cdef int own_operands(Tape old, Tape new, ft_entry *e) except -1
cdef int32_t emit_group(Tape old, Tape new, int32_t i, ft_entry *e) except -1
cdef int carry_marks(Tape old, Tape new, const int32_t *to) except -1

cdef inline bint is_known(ft_entry *e) noexcept nogil:
    return e.flags & FT_DONE or e.op == OP_input or e.op == OP_constant or e.op == OP_call
