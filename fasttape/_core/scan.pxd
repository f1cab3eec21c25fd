# Loops and their reversals, as what is called.
from libc.stdint cimport int32_t, int64_t

from fasttape._core.callee cimport Call
from fasttape._core.program cimport Program
from fasttape._core.state cimport State
from fasttape._core.sweep cimport Sweep, Swept
from fasttape._core.tape cimport Tape
from fasttape._core.vm cimport *

cdef extern from "scan.h" nogil:
    enum:
        FT_P_STATE, FT_P_SWEEP, FT_P_DATA, FT_P_SLICE, FT_P_PLACE, FT_P_NONE
    ctypedef struct ft_port:
        int32_t kind, narrow
        int64_t at, size
    ctypedef struct ft_body:
        ft_call *call
        const ft_port *inp "in"
        const ft_port *out
        int64_t work
    ctypedef struct ft_store:
        char *state
        int64_t cap, length
    ctypedef struct ft_scan:
        int64_t length
        ft_body step, back
        const ft_port *first
        const ft_port *last
        int64_t n_first, n_last, state_size, sweep_size, place_of_store
        ft_store store
        char *state[2]
        char *sweep[2]
    ft_drive ft_scan_forward, ft_scan_reverse
    void ft_scan_drop(ft_scan *)

# A plan of a loop.
cdef class ScanCall(Call):
    cdef ft_scan s
    cdef list lent                  # (program, its State)
    cdef list memory                # what s points into

# Records: where the parts of what is handed on lie.
cdef class Layout:
    cdef list at, sizes
    cdef int64_t size

cdef class Scan(Swept):
    cdef Program body               # of constants, carry, slices; returns carry, slices
    cdef int64_t n_constant, n_carry, n_x, n_y, length
    cdef Layout state
    cdef list outcome, idle
    cdef dict derived
    cdef Program advancing          # the body without its slices

    cdef Program advance(self)
    cdef list inputs(self)
    cdef list carry_ports(self)
    cdef list first_ports(self)

cdef class Reversal(Swept):
    cdef Scan loop
    cdef Program back               # of the body's arguments, cotangents of the carry, sums, cotangents of slices;
                                    # returns cotangents of the carry, sums, cotangents of slices
    cdef tuple constants, carry, xs, ys     # which of the loop's these are of
    cdef int64_t lanes
    cdef Layout sweep
    cdef list outcome, idle

# Sweeps through them. Set by scan_sweeps.pyx.
ctypedef int (*scan_rule)(Scan loop, Tape tape, Sweep *s, int32_t i) except -1
ctypedef int (*reversal_rule)(Reversal r, Tape tape, Sweep *s, int32_t i) except -1
cdef scan_rule pull_scan, push_scan
cdef reversal_rule pull_reversal, push_reversal

cdef list parts_of(Program p, int64_t first, int64_t n)
cdef tuple stacked(int64_t length, part)
cdef Scan new_scan(Program body, int64_t n_constant, int64_t n_carry, int64_t n_x, int64_t length, str name)
