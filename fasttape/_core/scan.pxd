# Loops and their reversals, as what is called.
from libc.stdint cimport int32_t, int64_t

from fasttape._core.callee cimport Call
from fasttape._core.feed cimport Feed, ft_store
from fasttape._core.loop cimport ft_loop, ft_loop_fn
from fasttape._core.loops cimport Loop
from fasttape._core.program cimport Program
from fasttape._core.sweep cimport Sweep, Swept
from fasttape._core.tape cimport Tape
from fasttape._core.vm cimport *

cdef extern from "scan.h" nogil:
    enum:
        FT_P_STATE, FT_P_SWEEP, FT_P_DATA, FT_P_SUM, FT_P_SLICE, FT_P_PLACE, FT_P_NONE, FT_RECORDS
    ctypedef struct ft_port:
        int32_t kind, narrow
        int64_t at, size
    ctypedef struct ft_steps:
        const ft_loop *loop
        ft_loop_fn code
        const ft_port *stream
        double *values
    ctypedef struct ft_patch:
        char **at
        int64_t delta, size
        int32_t base, place
    ctypedef struct ft_body:
        ft_call *call
        const ft_port *inp "in"
        const ft_port *out
        const ft_patch *patch
        const int32_t *number
        const int32_t *copied
        int64_t n_record_patch, n_patch, n_number, n_copied
        int64_t work
        ft_steps steps
    ctypedef struct ft_scan:
        ft_body step, keep, back
        const ft_port *first
        const ft_port *last
        int64_t n_first, n_last, sweep_size, place_of_store
        ft_store store
        char *sweep[2]
        char *sums
        ft_store *used

# A plan of a loop.
cdef class ScanCall(Call):
    cdef ft_scan s
    cdef Feed feed                  # of its store
    cdef list lent                  # (program, its State)
    cdef list memory                # what s points into

# Records: where the parts of what is handed on lie.
cdef class Layout:
    cdef list at, sizes
    cdef int64_t size

# What a reversal needs of a step, and the bodies that leave it.
cdef class Data:
    cdef bint light                 # the state before the step, and nothing else
    cdef object schedule            # None: everything is kept
    cdef Layout layout
    cdef Program keep               # of the body's arguments; returns carry, data
    cdef Program keep_slices        # returns carry, slices, data
    cdef int64_t tag

cdef class Scan(Swept):
    cdef Program body               # of constants, carry, slices; returns carry, slices
    cdef int64_t n_constant, n_carry, n_x, n_y, length
    cdef int64_t go                 # which of the carry ends an open loop, whose length is unknown; -1: none does
    cdef object schedule            # None: all states are stored
    cdef bint shares                # its schedule is a share of the budget of the transform around it
    cdef object folder              # where files go, None: the system's place for them
    cdef Layout state
    cdef list outcome, idle
    cdef dict derived
    cdef Program advancing          # the body without its slices
    cdef dict coded                 # bodies of numbers alone, as loops over steps
    cdef Data data                  # what its latest reversal needs

    cdef Program advance(self)
    cdef list inputs(self)
    cdef list carry_ports(self)
    cdef list first_ports(self)

cdef class Reversal(Swept):
    cdef Scan loop
    cdef Data data
    # Of the loop's constants, state or data, slices; then cotangents of the carry, sums, cotangents of slices. Returns
    # cotangents of the carry, sums, cotangents of slices.
    cdef Program back
    cdef list ports                 # of the first of these arguments
    cdef tuple constants, carry, xs, ys     # which of the loop's these are of
    cdef int64_t lanes
    cdef Layout sweep
    cdef list outcome, idle
    cdef dict coded

# Sweeps through them. Set by scan_sweeps.pyx and reversal_sweeps.pyx.
ctypedef int (*scan_rule)(Scan loop, Tape tape, Sweep *s, int32_t i) except -1
ctypedef int (*reversal_rule)(Reversal r, Tape tape, Sweep *s, int32_t i) except -1
cdef scan_rule pull_scan, push_scan
cdef reversal_rule pull_reversal, push_reversal

cdef bint numbers_alone(Program p) noexcept
cdef list parts_of(Program p, int64_t first, int64_t n)
cdef tuple stacked(int64_t length, part)
cdef tuple record_port(int kind, Layout layout, int64_t k)
cdef tuple slice_port(int64_t place, part)
cdef Scan new_scan(Program body, int64_t n_constant, int64_t n_carry, int64_t n_x, int64_t length, int64_t go, str name, schedule,
                   folder)
