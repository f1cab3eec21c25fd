# Copies of tapes.
from libc.stdint cimport int32_t

from fasttape._core.tape cimport *

cdef int copy_tables(Tape old, Tape new) except -1
cdef int copy_tape(Tape old, Tape new) except -1
cdef int own_operands(Tape old, Tape new, ft_entry *e) except -1
cdef int32_t emit_group(Tape old, Tape new, int32_t i, ft_entry *e) except -1
