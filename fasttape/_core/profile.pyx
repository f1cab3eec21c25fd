"""The memory of a program over its run, as its plan has it.

The program is planned once more, and a note is taken of each buffer when the plan takes it and when it gives it back.
A buffer taken when there are k instructions is first written by instruction k; one given back then was last read by
instruction k - 1. What a program calls stands in the place of the call: another program by its instructions, a loop by
its steps, and by the states that it keeps as its schedule says.

A course is (spans, bytes): how many instructions each point stands for, and the most that are live in them.
"""
import numpy as np

from fasttape._core.callee cimport Callee
from fasttape._core.feed cimport FT_ADVANCE, FT_DATA, FT_DISK, FT_FREE, FT_KEEP, FT_RESTORE, FT_REVERSE, FT_SNAPSHOT, FT_TURN
from fasttape._core.program cimport Program
from fasttape._core.record cimport *
from fasttape._core.scan cimport Data, Reversal, Scan
from fasttape._core.state cimport State, new_state


# ---- buffers

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


# ---- loops

cdef class Kept:
    """What a run of a schedule keeps, row by row."""
    cdef object rows                # an iterator
    cdef dict slots                 # in memory: number -> bytes
    cdef int64_t state, data, n_data        # bytes of a state, of the data of a step; the steps whose data is there

    def __init__(self, Scan loop):
        cdef Data data = loop.data
        self.rows = rows_of(loop)
        self.slots = {}
        self.state = loop.state.size
        self.data = self.state if data is None or data.light else data.layout.size

    cdef int64_t held(self) except -1:
        """Two states, which take turns, snapshots and data."""
        return 2 * self.state + sum(self.slots.values()) + self.n_data * self.data

    cdef list follow(self, object step, object keep, object back):
        """The points (steps, instructions, bytes at the first, more at each next) until the turn or the end. A body
        is (instructions, peak)."""
        cdef list out = []
        cdef int64_t kind, start, stop, number, flags
        for kind, start, stop, number, flags, _ in self.rows:
            if kind == FT_TURN:
                break
            if kind == FT_ADVANCE and flags & FT_KEEP:
                out.append((stop - start, keep[0], self.held() + self.data + keep[1], self.data))
                self.n_data += stop - start
            elif kind == FT_ADVANCE:
                out.append((stop - start, step[0], self.held() + step[1], 0))
            elif kind == FT_REVERSE:
                out.append((stop - start, back[0], self.held() + back[1], -self.data))
                self.n_data -= stop - start
            elif kind == FT_SNAPSHOT:
                if not flags & FT_DISK:
                    self.slots[number] = self.data if flags & FT_DATA else self.state
                if flags & FT_DATA:
                    self.n_data = 0
            elif kind == FT_RESTORE:
                if flags & FT_DATA:
                    self.n_data = 1
                if flags & FT_FREE:
                    self.slots.pop(number, None)
        return out


def rows_of(Scan loop):
    schedule = loop.schedule if loop.data is None else loop.data.schedule
    if schedule is None:
        yield from [[FT_ADVANCE, 0, loop.length, 0, FT_KEEP, 0], [FT_TURN, 0, 0, 0, 0, 0], [FT_REVERSE, 0, loop.length, 0, 0, 0]]
    else:
        for block in schedule.blocks(loop.length):
            yield from np.asarray(block).tolist()


cdef tuple body_of(Program p, dict known, int64_t more):
    """(instructions, peak) of a body, `more` bytes being there beside."""
    spans, live = course_of(p, known)
    return max(int(spans.sum()), 1), int(live.max(initial=0)) + more


cdef tuple course_of_points(list points):
    cdef list spans = [np.full(n, span, np.int64) for n, span, _, _ in points]
    cdef list live = [first + more * np.arange(n) for n, _, first, more in points]
    return (np.concatenate(spans), np.concatenate(live)) if points else (np.zeros(0, np.int64), np.zeros(0, np.int64))


cdef tuple course_of_loop(Scan loop, Kept kept, dict known):
    """Forward alone, or up to the turn if it keeps what its reversal reads."""
    cdef Data data = loop.data
    cdef Program keep = loop.body if data is None or data.light else data.keep_slices
    step = body_of(loop.body, known, 0)
    if kept is None:
        return course_of_points([(loop.length, step[0], 2 * loop.state.size + step[1], 0)])
    return course_of_points(kept.follow(step, body_of(keep, known, 0), None))


cdef tuple course_of_reversal(Reversal r, Kept kept, dict known):
    """From the turn on, where the loop kept what it reads; else all of it."""
    cdef Data data = r.data
    cdef list points = []
    step = body_of(r.loop.advance(), known, 2 * r.sweep.size)
    keep = step if data.light else body_of(data.keep, known, 2 * r.sweep.size)
    back = body_of(r.back, known, 2 * r.sweep.size)
    if kept is None:
        kept = Kept(r.loop)
        points = kept.follow(step, keep, back)
    return course_of_points(points + kept.follow(step, keep, back))


# ---- programs

cdef tuple course_of(Program p, dict known):
    cdef State s
    cdef Tape tape
    cdef Callee callee
    cdef Scan loop
    cdef Kept kept
    cdef ft_instr *ins
    cdef int64_t k, done = 0, n
    cdef size_t store
    cdef list spans = [], live = []
    cdef dict stores = {}           # what loops keep until their reversals, by where the plan hands it on
    if id(p) in known:
        return known[id(p)]
    s = new_state(p.tape, p.n_input, p.outputs, p.n_output, True, True)
    tape = s.tape
    own = live_bytes(tape)
    for k in range(tape.n_instr):
        ins = tape.instr + k
        if ins.op != OP_program:
            continue
        callee = tape.programs[tape.t.args[tape.t.entry[ins.node].aux]]
        if isinstance(callee, Program):
            part = course_of(callee, known)
        elif isinstance(callee, Scan) and (<Scan>callee).go < 0:
            loop = callee
            store = <size_t>tape.step[ins.lo + loop.n_input + loop.n_output - 1].at[0]
            kept = Kept(loop) if store else None
            part = course_of_loop(loop, kept, known)
            if store:
                own[k + 1:] += kept.held()
                stores[store] = kept
        elif isinstance(callee, Reversal) and (<Reversal>callee).loop.go < 0:
            kept = stores.pop(<size_t>tape.step[ins.lo + (<Reversal>callee).loop.n_input].at[0], None)
            if kept is not None:
                own[k:] -= kept.held()
            part = course_of_reversal(callee, kept, known)
        else:
            continue
        n = len(part[0])
        if n:
            spans += [np.ones(k - done, np.int64), part[0]]
            live += [own[done:k], own[k] + part[1]]
            done = k + 1
    spans.append(np.ones(tape.n_instr - done, np.int64))
    live.append(own[done:])
    known[id(p)] = np.concatenate(spans), np.concatenate(live)
    for callee, call in tape.calls:
        callee.end(call)
    tape.calls = []
    return known[id(p)]


cdef int64_t bytes_of(Tape tape, int32_t node) except -1:
    return size_of(tape, node) * itemsize(tape.t.entry[node].dtype) if tape.t.entry[node].shape else 0


def course(Program p):
    """(first instruction of each point, live bytes, bytes of the arrays among the arguments, among the results)."""
    cdef int64_t k
    spans, live = course_of(p, {})
    return (np.cumsum(spans) - spans, live, sum([bytes_of(p.tape, <int32_t>k) for k in range(p.n_input)]),
            sum([bytes_of(p.tape, p.outputs[k]) for k in range(p.n_result)]))


def loop_sizes(Program p):
    """Of the loop that a program reverses: bytes of a state, of the data of a step, and of the records that take turns."""
    cdef Reversal r
    for callee in p.tape.programs:
        if isinstance(callee, Reversal):
            r = callee
            return r.loop.state.size, r.loop.state.size if r.data.light else r.data.layout.size, \
                2 * (r.loop.state.size + r.sweep.size)
    raise ValueError("the program reverses no loop")
