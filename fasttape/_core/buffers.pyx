"""Memory for the nodes of a plan, and room for its instructions and steps.

A buffer is given back after its last reader; while a run is open its buffers are still to be read, so what
is given back waits in `dying`. Which instruction an entry becomes is `plan.pyx`'s to say.
"""
from libc.string cimport memset

from fasttape._core.vm cimport *


cdef int discard(Tape tape, Plan *plan, void *buffer) except -1 nogil:
    if plan.run.shape < 0:
        give_buffer(tape, buffer)
        return 0
    resize(<void **>&tape.dying, &tape.cap_dying, tape.n_dying + 1, sizeof(void *))
    tape.dying[tape.n_dying] = buffer
    tape.n_dying += 1
    return 0


cdef int new_buffer(Tape tape, int32_t i) except -1 nogil:
    """Memory for node i, unless its place is given."""
    cdef ft_entry *e = tape.t.entry + i
    if e.shape == 0 or e.flags & FT_FIXED:
        return 0
    tape.t.val[i].p = take_buffer(tape, tape.t.shape[e.shape].size * itemsize(e.dtype))
    e.flags |= FT_OWNED
    return 0


cdef ft_instr *new_instr(Tape tape, int op, int32_t node) except NULL nogil:
    cdef ft_instr *ins
    resize(<void **>&tape.instr, &tape.cap_instr, tape.n_instr + 1, sizeof(ft_instr))
    ins = tape.instr + tape.n_instr
    memset(ins, 0, sizeof(ft_instr))
    ins.op = op
    ins.node = node
    ins.view_a = ins.view_b = -1
    tape.n_instr += 1
    return ins


cdef ft_step *new_step(Tape tape) except NULL nogil:
    cdef ft_step *s
    resize(<void **>&tape.step, &tape.cap_step, tape.n_step + 1, sizeof(ft_step))
    s = tape.step + tape.n_step
    memset(s, 0, sizeof(ft_step))
    tape.n_step += 1
    return s
