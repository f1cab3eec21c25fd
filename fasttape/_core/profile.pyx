"""The memory of a program over its run, as its plan has it.

The program is planned once more, and a note is taken of each buffer when the plan takes it and when it gives it back.
A buffer taken when there are k instructions is first written by instruction k; one given back then was last read by
instruction k - 1.
"""
import numpy as np

from fasttape._core.callee cimport Callee
from fasttape._core.program cimport Program
from fasttape._core.record cimport *
from fasttape._core.state cimport State, new_state


cdef object live_bytes(Tape tape):
    """By instruction: the bytes of the buffers that hold a value still to be read."""
    cdef dict out = {}              # address -> (size, since when)
    cdef Passing *p
    cdef int64_t k, since, size
    change = np.zeros(tape.n_instr + 1, np.int64)
    for k in range(tape.n_passing):
        p = tape.passing + k
        if p.size >= 0:
            out[<size_t>p.data] = p.size, p.at
            continue
        size, since = out.pop(<size_t>p.data)
        change[max(min(since, p.at - 1), 0)] += size    # a loop's workspace is taken when the loop stands already
        change[p.at] -= size
    for size, since in out.values():                    # results that the caller gets a copy of
        change[since] += size
    return np.cumsum(change)[:tape.n_instr]


cdef object course_of(Program p, dict known):
    """The same, with the instructions of the programs that it calls in the place of the calls."""
    cdef State s
    cdef Tape tape
    cdef Callee callee
    cdef int64_t k, done = 0
    cdef list parts = []
    if id(p) in known:
        return known[id(p)]
    s = new_state(p.tape, p.n_input, p.outputs, p.n_output, True, True)
    tape = s.tape
    own = live_bytes(tape)
    for k in range(tape.n_instr):
        if tape.instr[k].op == OP_program:
            callee = tape.programs[tape.t.args[tape.t.entry[tape.instr[k].node].aux]]
            if isinstance(callee, Program):
                parts += [own[done:k], own[k] + course_of(callee, known)]
                done = k + 1
    known[id(p)] = np.concatenate([*parts, own[done:]])
    for callee, call in tape.calls:
        callee.end(call)
    tape.calls = []
    return known[id(p)]


cdef int64_t bytes_of(Tape tape, int32_t node) except -1:
    return size_of(tape, node) * itemsize(tape.t.entry[node].dtype) if tape.t.entry[node].shape else 0


def course(Program p):
    """(live bytes by instruction, bytes of the arrays among the arguments, of those among the results)."""
    cdef int64_t k
    return (course_of(p, {}), sum([bytes_of(p.tape, <int32_t>k) for k in range(p.n_input)]),
            sum([bytes_of(p.tape, p.outputs[k]) for k in range(p.n_result)]))
