# Values from outside on a tape: numbers, arrays, index arrays.
from libc.stdint cimport int32_t
from fasttape._core.tape cimport Tape

cpdef refuse_kin(x)
cdef int32_t capture(Tape tape, object x, int like) except -1
cdef int32_t capture_array(Tape tape, object x, bint argument) except -1
cdef int32_t capture_places(Tape tape, object index) except -1
cdef int unlock(Tape tape, list keep) except -1
cdef int begin_watch(Tape tape) except -1
cdef void watch_again(Tape tape) noexcept nogil
cdef int few_axes(int ndim) except -1
