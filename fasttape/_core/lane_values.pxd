# Values over lanes.
from libc.stdint cimport int32_t, int64_t

from fasttape._core.tape cimport Tape

cdef enum:
    ALIKE, LAST, FIRST              # a value is the same in all lanes; has its lanes last; first

cdef class LaneValues:
    cdef Tape old, tape
    cdef int64_t lanes
    cdef int32_t *to                # by entry of the record: its node
    cdef int32_t *shapes            # by shape of the record: that of the tape, or -1
    cdef list way                   # by entry of the record: how its lanes lie
    cdef list well_read             # by argument: whether it is turned around before it is read
    cdef dict seen, programs        # views of what lies otherwise; places of the tape's programs

    cdef int32_t shape(self, int32_t shape) except -1
    cdef int32_t view(self, int32_t view, int way=*) except -1
    cdef int32_t element(self, int32_t base, int64_t place, int way=*) except -1
    cdef int32_t last(self, int32_t i) except -1
    cdef int32_t first(self, int32_t node) except -1
    cdef int32_t with_lanes_first(self, int32_t i) except -1
    cdef int32_t operand(self, int32_t i) except -1
    cdef int32_t whole(self, int32_t i, int32_t shape) except -1
    cdef int32_t root(self, int32_t i, int32_t shape) except -1
    cdef list pieces(self, int32_t i, int64_t offset)
    cdef int32_t woven(self, int32_t i) except -1

cdef int check_axes(int ndim) except -1
