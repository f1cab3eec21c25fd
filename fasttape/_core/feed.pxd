# The rows of a schedule, as a loop asks for them.
from libc.stdint cimport int64_t

from fasttape._core.vm cimport ft_drive

cdef extern from "scan.h" nogil:
    enum:
        FT_ADVANCE, FT_SNAPSHOT, FT_RESTORE, FT_TURN, FT_REVERSE, FT_ROW
        FT_KEEP, FT_DISK, FT_DATA, FT_FREE
        FT_E_NONE, FT_E_MEMORY, FT_E_FEED, FT_E_ROW, FT_E_WRITE, FT_E_READ, FT_E_DAMAGED
        FT_GO_ON, FT_RESTART, FT_ENDED
    ctypedef struct ft_slot:
        int64_t step
        int holds
    ctypedef struct ft_store:
        int64_t length, state_size, data_size, go
        int light
        char *state[2]
        const char *folder
        const int64_t *row
        int64_t n_row, next
        int (*feed)(ft_store *, int) noexcept nogil
        void *feeder
        ft_slot *slot[2]
        int64_t n_slot[2]
        int64_t tag, at, steps
        int open
        int error, os_error
        int64_t error_step

cdef class Feed:
    cdef object schedule            # None: everything is kept
    cdef object directory
    cdef str name                   # of the loop
    cdef object folder, path        # of this run's files; its name in bytes
    cdef object rows, block         # an iterator; what it gave last
    cdef object failure

    cdef int begin(self, ft_store *e) except -1
    cdef int end(self, ft_store *e) except -1
    cdef int go_on(self, ft_store *e) except -1
    cdef int complain(self, ft_store *e) except -1
    cdef int clean(self, ft_store *e) except -1

# The drivers of csrc/scan.c, by pointers, since a C function of another extension module cannot be imported.
cdef ft_drive scan_forward, scan_reverse
cdef void drop_store(ft_store *e) noexcept
cdef int feed_rows(ft_store *e, int what) noexcept nogil
