# Records of long tapes, packed.
from libc.stdint cimport int64_t, uint8_t

from fasttape._core.tape cimport Tape

cdef class Record:
    cdef Tape rest                  # the tape; where it is packed, all of it but the entries
    cdef int64_t n
    cdef tuple packed               # kinds, operands, constants; or None

    cdef Tape tape(self)

cdef Record keep_record(Tape tape)
cdef Tape unpacked(Record r, const uint8_t *code)
