"""A program over lanes run on stretch after stretch of one length, without Python in between.

Arrays are read and written where they lie; rows that are gathered are read into columns first. What needs Python, or lies
otherwise, goes stretch by stretch (stretches.pyx).
"""
import numpy as np

cimport numpy as cnp

from fasttape._core.lanes cimport IN_COLUMNS
from fasttape._core.plan cimport go_on
from fasttape._core.program cimport Program
from fasttape._core.record cimport *
from fasttape._core.state cimport State

from fasttape._core.lots import Gathered

cnp.import_array()

cdef extern from "Python.h":
    int PyErr_CheckSignals() except -1

cdef enum:
    LOOK_EVERY = 1 << 27            # element-ops between two looks for signals: tens of milliseconds


cdef struct Place:                  # an array of the caller's
    char *data                      # at the first lane
    int64_t step                    # bytes a lane; 0: the same for all lanes
    int64_t *index                  # of rows that are gathered, else NULL
    int64_t row                     # numbers in such a row
    char *space                     # where they are read into
    int32_t k                       # argument or result
    int32_t narrow


cdef struct Look:                   # a guard's values, and what they must be
    char *row
    int narrow, seen


cdef bint lies_so(object a) except -1:
    return cnp.PyArray_Check(a) and cnp.PyArray_ISCARRAY_RO(a)


def can_run(Program p, Program q, tuple batched, list leaves):
    """Whether q, p over lanes, can be run so on these arguments."""
    cdef int64_t k
    cdef ft_entry *e
    for k in range(q.n_output):
        e = q.tape.t.entry + q.outputs[k]
        if e.op == OP_view or e.op == OP_input:
            return False
        if k < p.n_result and (e.shape == 0 or e.dtype >= FT_B64):
            return False
        if k >= p.n_result and (p.guards[k - p.n_result][0] is not bool or ndim_of(q.tape, q.outputs[k]) != 1):
            return False
    for x, has_lanes in zip(leaves, batched):
        if isinstance(x, Gathered):
            if has_lanes != IN_COLUMNS or not lies_so(x.array) or not lies_so(x.index) or x.array.dtype.char not in "fd":
                return False
        elif isinstance(x, np.ndarray) and not lies_so(x):
            return False
    return True


cdef class Span:
    """Some lanes that are run so."""
    cdef Program q
    cdef State state
    cdef int64_t size               # lanes of a stretch
    cdef list kept                  # memory that is pointed to
    cdef Place *places
    cdef Look *looks
    cdef int64_t n_in, n_out, n_look

    def __init__(self, Program p, Program q, tuple batched, list leaves, list into, int64_t size):
        cdef int64_t k
        cdef Place *place
        cdef Look *look
        cdef cnp.ndarray a
        cdef int32_t node
        cdef Tape tape
        self.q, self.size, self.kept = q, size, []
        place = self.places = <Place *>self.space((q.n_input + q.n_output + 1) * sizeof(Place))
        look = self.looks = <Look *>self.space((q.n_output - p.n_result + 1) * sizeof(Look))
        self.n_in = self.n_out = self.n_look = 0
        self.state = q.begin()
        tape = self.state.tape
        for k, (x, has_lanes) in enumerate(zip(leaves, batched)):
            if not self.state.moves[k]:
                tape.t.val[k].f = x
                continue
            place.k = <int32_t>k
            if isinstance(x, Gathered):
                a = x.index
                place.index = <int64_t *>cnp.PyArray_DATA(a)
                a = x.array
                place.row = cnp.PyArray_SIZE(a) // max(len(a), 1)
                place.narrow = a.dtype == np.float32
                place.data = <char *>cnp.PyArray_DATA(a)
                place.space = <char *>self.space(place.row * size * a.itemsize)
            else:
                a = x
                place.data = <char *>cnp.PyArray_DATA(a)
                place.step = cnp.PyArray_NBYTES(a) // max(len(a), 1) if has_lanes else 0
            place += 1
            self.n_in += 1
        for k in range(p.n_result):
            a = into[k]
            place.k = <int32_t>(q.n_input + k)
            place.data = <char *>cnp.PyArray_DATA(a)
            place.step = cnp.PyArray_NBYTES(a) // max(len(a), 1)
            place += 1
            self.n_out += 1
        for k in range(p.n_result, q.n_output):
            node = q.outputs[k]
            look.narrow = tape.t.entry[node].dtype & 1
            look.seen = p.guards[k - p.n_result][1]
            if self.state.moves[q.n_input + k]:
                look.row = <char *>self.space(size * itemsize(tape.t.entry[node].dtype))
                ft_lay(&self.state.c, q.n_input + k, node, look.row)
            else:
                look.row = <char *>tape.t.val[node].p
            look += 1
            self.n_look += 1

    cdef void *space(self, int64_t n_bytes) except NULL:
        """Memory, zeros, as long as the span lives."""
        cdef cnp.ndarray a = np.zeros(n_bytes // 8 + 1)
        self.kept.append(a)
        return cnp.PyArray_DATA(a)

    cdef void lay(self, int64_t at) noexcept nogil:
        """Point the plan to the stretch that begins at a lane."""
        cdef Place *place = self.places
        cdef int64_t k
        cdef int32_t node
        cdef char *data
        for k in range(self.n_in + self.n_out):
            data = place.data + at * place.step
            if place.index != NULL:
                machine.pick(place.narrow, place.space, place.data, place.index + at, place.row, self.size)
                data = place.space
            node = place.k if k < self.n_in else self.q.outputs[place.k - self.q.n_input]
            ft_lay(&self.state.c, place.k, node, data)
            place += 1

    cdef int see(self, uint8_t *off) noexcept nogil:
        """Mark the lanes of a stretch whose guards see something else; whether there are any."""
        cdef Look *look = self.looks
        cdef int64_t _, i
        cdef int found = 0
        for _ in range(self.n_look):
            if look.narrow:
                for i in range(self.size):
                    off[i] |= ((<float *>look.row)[i] != 0) != look.seen
            else:
                for i in range(self.size):
                    off[i] |= ((<double *>look.row)[i] != 0) != look.seen
            look += 1
        if self.n_look:
            for i in range(self.size):
                found |= off[i]
        return found

    def run(self, int64_t at, int64_t count, here):
        """Run so many stretches from a lane on, once. Returns which of the lanes take another path, or None."""
        cdef cnp.ndarray off = np.zeros(count * self.size if self.n_look else 0, np.uint8)
        cdef uint8_t *mark = <uint8_t *>cnp.PyArray_DATA(off)
        cdef int64_t j, work = 0
        cdef int more, found = 0
        cdef Tape tape = self.state.tape
        cdef ft_run *run = &self.state.c.run
        cdef bint stop = False
        try:
            with nogil:
                for j in range(count):
                    self.lay(at + j * self.size)
                    run.next = run.entry = run.block = 0
                    more = machine.run(&tape.t, &library, run)
                    work += self.state.work
                    if more or work > LOOK_EVERY:
                        with gil:
                            go_on(tape, run, more)
                            PyErr_CheckSignals()
                            stop = here.stop
                        work = 0
                        if stop:
                            break
                    found |= self.see(mark + j * self.size)
        except BaseException:
            self.state.abandon()
            raise
        self.q.end(self.state)
        return off.view(bool) if found else None
