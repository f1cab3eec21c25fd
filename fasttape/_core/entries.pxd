# Entries written out, for people.
from libc.stdint cimport int32_t, int64_t

from fasttape._core.tape cimport *

cdef list operands_of(Tape tape, int32_t i)
cdef str type_text(Tape tape, int32_t node)
cdef str operand_text(Tape tape, int32_t node, dict label)
cdef str applied_text(int op, list texts)
cdef str called_text(Tape tape, int32_t i, dict label)
cdef str entry_text(Tape tape, int32_t i, dict label)

cdef inline bint is_labelled(Tape tape, int32_t i) noexcept nogil:
    """Whether an entry is called s_k, with the next k that is free. Constants and views stand in their readers."""
    return tape.t.entry[i].op != OP_constant and tape.t.entry[i].op != OP_view
