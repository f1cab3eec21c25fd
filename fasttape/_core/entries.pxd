# Entries written out, for people.
from libc.stdint cimport int32_t, int64_t

from fasttape._core.tape cimport Tape

cdef list operands_of(Tape tape, int32_t i)
cdef str type_text(Tape tape, int32_t node)
cdef str operand_text(Tape tape, int32_t node, dict label)
cdef str applied_text(int op, list texts)
cdef str entry_text(Tape tape, int32_t i, dict label)
