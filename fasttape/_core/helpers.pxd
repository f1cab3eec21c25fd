# Threads that stay and wait for work without Python.
from libc.stdint cimport int64_t

cdef extern from "pythread.h" nogil:
    ctypedef void *PyThread_type_lock

ctypedef void (*Task)(void *what) noexcept nogil

cdef struct Team:                   # the helpers of one caller
    int64_t busy                    # how many are at work, and whether the caller sleeps
    PyThread_type_lock done
    int64_t process                 # in which it was made
    Team *below

cdef int get_ready() except -1
cdef int alert(int64_t n) noexcept nogil
cdef Team *new_team() noexcept nogil
cdef bint call_helper(Team *team, Task task, void *what) noexcept nogil
cdef bint is_ours(Team *team) noexcept nogil
cdef bint all_done(Team *team, int64_t microseconds) noexcept nogil
cdef void dismiss(Team *team) noexcept nogil
