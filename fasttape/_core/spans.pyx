"""A program over lanes run on stretch after stretch of one length, without Python in between, by one thread or more.

Arrays are read and written where they lie; rows that are gathered are read into columns first. What needs Python, or lies
otherwise, goes stretch by stretch (stretches.pyx). Each thread has a plan of its own, and takes the next stretch until there
is none.
"""
import numpy as np

from libc.stdint cimport uint8_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

cimport numpy as cnp

from fasttape._core.helpers cimport Team, all_done, call_helper, dismiss, get_ready, is_ours, new_team
from fasttape._core.lanes cimport IN_COLUMNS
from fasttape._core.plan cimport go_on
from fasttape._core.program cimport Program
from fasttape._core.record cimport *
from fasttape._core.state cimport State

from fasttape._core.lots import Gathered

cnp.import_array()

cdef extern from "Python.h":
    int PyErr_CheckSignals() except -1

cdef extern from "atomic.h" nogil:
    int64_t ft_add(int64_t *, int64_t)
    int64_t ft_swap(int64_t *, int64_t)
    int64_t ft_get(int64_t *)

cdef enum:
    LOOK_EVERY = 1 << 27            # element-ops between two looks for signals: tens of milliseconds
    WAIT = 50000                    # microseconds between two, while others work
    LINE = 64                       # bytes

cdef enum:                          # how the work of a thread ended
    WELL, STOPPED, FAILED


cdef struct Place:                  # an array of the caller's
    char *data                      # at the first lane
    int64_t step                    # bytes a lane; 0: the same for all lanes
    int64_t *index                  # of rows that are gathered, else NULL
    int64_t row                     # numbers in each
    char *space                     # where they are read into
    int64_t place                   # argument or result
    int32_t node
    int32_t narrow


cdef struct Look:                   # a guard's values, and what they must be
    char *row
    int64_t step                    # bytes a lane, where they are a result's and row is where that begins; else 0
    int narrow, seen


cdef struct Twin:                   # a result that is the same as another: a copy
    char *to
    const char *source
    int64_t step                    # bytes a lane


cdef struct Piece:                  # stretches in a row, which one thread begins with; others help when they have done theirs
    int64_t next                    # that nobody has taken
    int64_t end
    int64_t[6] apart                # a line of memory each


cdef struct Share:                  # what threads share
    Piece *piece
    int64_t threads
    int64_t stop
    int64_t at, size                # where the first stretch begins, lanes in each
    uint8_t *mark                   # lanes that take another path


cdef struct Runner:                 # what one of them runs
    Share *share
    ft_call *call
    const ft_tape *tape
    Place *place
    Look *look
    Twin *twin
    int64_t n_place, n_look, n_twin
    int64_t piece, left             # where it takes stretches from, and in how many pieces it will look for them
    int64_t stretch                 # the one at work
    int found                       # whether lanes were marked
    int end


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


# ---- stretches, one after the other

cdef void lay(Runner *r, int64_t at) noexcept nogil:
    """Point the plan to the stretch that begins at a lane."""
    cdef Place *place = r.place
    cdef int64_t _, size = r.share.size
    cdef char *data
    for _ in range(r.n_place):
        data = place.data + at * place.step
        if place.index != NULL:
            machine.pick(place.narrow, place.space, place.data, place.index + at, place.row, size)
            data = place.space
        ft_lay(r.call, place.place, place.node, data)
        place += 1


cdef void end_stretch(Runner *r) noexcept nogil:
    """Copy what is returned twice, and mark the lanes whose guards see something else."""
    cdef Look *look = r.look
    cdef Twin *twin = r.twin
    cdef int64_t i, _, size = r.share.size, at = r.share.at + r.stretch * size
    cdef uint8_t *off = r.share.mark + r.stretch * size
    cdef char *row
    for _ in range(r.n_twin):
        memcpy(twin.to + at * twin.step, twin.source + at * twin.step, size * twin.step)
        twin += 1
    for _ in range(r.n_look):
        row = look.row + at * look.step
        if machine.unlike(look.narrow, row, look.seen, size):
            r.found = 1
            for i in range(size):
                off[i] |= ((<float *>row)[i] != 0 if look.narrow else (<double *>row)[i] != 0) != look.seen
        look += 1


cdef bint begin_next(Runner *r) noexcept nogil:
    """Take the next stretch; False where there is none."""
    cdef Share *share = r.share
    cdef ft_run *run = &r.call.run
    if ft_get(&share.stop):
        return False
    while True:
        r.stretch = ft_add(&share.piece[r.piece].next, 1)
        if r.stretch < share.piece[r.piece].end:
            break
        r.left -= 1
        if r.left == 0:
            return False
        r.piece = (r.piece + 1) % share.threads
    lay(r, share.at + r.stretch * share.size)
    run.next = run.entry = run.block = 0
    return True


cdef void help(void *what) noexcept nogil:
    """What another thread than the caller's does."""
    cdef Runner *r = <Runner *>what
    cdef int more
    while begin_next(r):
        more = 1
        while more > 0 and not ft_get(&r.share.stop):
            more = machine.run(r.tape, &library, &r.call.run)
        if more:
            r.end = FAILED if more < 0 else STOPPED
            ft_swap(&r.share.stop, 1)
            return
        end_stretch(r)


cdef class Span:
    """A plan laid out over the arrays of a batch, for one thread."""
    cdef Program q
    cdef State state
    cdef Runner r
    cdef char *free                 # of the state's room, from here on

    def __cinit__(self, Program q):
        self.q, self.state = q, q.begin()

    cdef int take_memory(self, list leaves, int64_t n_look, int64_t size) except -1:
        """As much as `lay_out` parts among what it needs, a line or less apart."""
        cdef int64_t room = LINE * (5 + 2 * self.q.n_input + self.q.n_output)
        room += (self.q.n_input + self.q.n_output) * (sizeof(Place) + sizeof(Look) + sizeof(Twin)) + n_look * size * sizeof(double)
        for x in leaves:
            if isinstance(x, Gathered):
                room += row_of(x.array) * size * 8
        resize(<void **>&self.state.room, &self.state.cap_room, room, 1)
        self.free = <char *>((<size_t>self.state.room + LINE - 1) & ~<size_t>(LINE - 1))
        return 0

    cdef void *part(self, int64_t n) noexcept:
        cdef char *at = self.free
        self.free += (n + LINE - 1) & ~<int64_t>(LINE - 1)
        return at

    cdef int lay_out(self, Program p, Program q, tuple batched, list leaves, list into, Share *share, int64_t piece) except -1:
        cdef int64_t k, size = share.size
        cdef Place *place
        cdef Look *look
        cdef Twin *twin
        cdef cnp.ndarray a
        cdef int32_t node
        cdef Tape tape = self.state.tape
        self.take_memory(leaves, q.n_output - p.n_result, size)
        self.r.piece, self.r.left = piece, share.threads
        self.r.share, self.r.call, self.r.tape = share, &self.state.c, &tape.t
        place = self.r.place = <Place *>self.part((q.n_input + p.n_result) * sizeof(Place))
        look = self.r.look = <Look *>self.part((q.n_output - p.n_result) * sizeof(Look))
        twin = self.r.twin = <Twin *>self.part(p.n_result * sizeof(Twin))
        for k in range(q.n_input):
            x = leaves[k]
            if not self.state.moves[k]:
                tape.t.val[k].f = x
                continue
            place.place, place.node, place.index, place.step = k, <int32_t>k, NULL, 0
            if isinstance(x, Gathered):
                a = x.index
                place.index = <int64_t *>cnp.PyArray_DATA(a)
                a = x.array
                place.row = row_of(a)
                place.narrow = cnp.PyArray_TYPE(a) == cnp.NPY_FLOAT
                place.space = <char *>self.part(place.row * size * cnp.PyArray_ITEMSIZE(a))
            else:
                a = x
                if batched[k]:
                    place.step = step_of(a)
            place.data = <char *>cnp.PyArray_DATA(a)
            place += 1
        for k in range(p.n_result):
            a = into[k]
            if self.state.moves[q.n_input + k]:
                place.place, place.node, place.index = q.n_input + k, q.outputs[k], NULL
                place.data, place.step = <char *>cnp.PyArray_DATA(a), step_of(a)
                place += 1
            else:
                twin.to, twin.step = <char *>cnp.PyArray_DATA(a), step_of(a)
                a = into[first_of(q, k)]
                twin.source = <char *>cnp.PyArray_DATA(a)
                twin += 1
        self.r.n_place, self.r.n_twin = place - self.r.place, twin - self.r.twin
        for k in range(p.n_result, q.n_output):
            node = q.outputs[k]
            look.narrow = tape.t.entry[node].dtype & 1
            look.seen, look.step = p.truth[k - p.n_result], 0
            if self.state.moves[q.n_input + k]:
                look.row = <char *>self.part(size * sizeof(double))
                ft_lay(&self.state.c, q.n_input + k, node, look.row)
            elif first_of(q, k) < p.n_result:
                a = into[first_of(q, k)]
                look.row, look.step = <char *>cnp.PyArray_DATA(a), step_of(a)
            else:
                look.row = <char *>tape.t.val[node].p
            look += 1
        self.r.n_look = look - self.r.look
        return 0

    cdef int run(self, here) except -1:
        """What the caller's thread does: it also looks for signals."""
        cdef Runner *r = &self.r
        cdef ft_run *run = &r.call.run
        cdef Tape tape = self.state.tape
        cdef int64_t work = 0
        cdef int more
        with nogil:
            while begin_next(r):
                more = machine.run(r.tape, &library, run)
                work += self.state.work
                if more or work > LOOK_EVERY:
                    work = 0
                    with gil:
                        r.end = FAILED
                        go_on(tape, run, more)
                        r.end = WELL
                        look_around(r.share, here)
                end_stretch(r)
        return 0

    cdef int check(self) except -1:
        """Raise what went wrong in another thread."""
        return go_on(self.state.tape, &self.r.call.run, -1) if self.r.end == FAILED else 0

    cdef int end(self, bint well) except -1:
        """Give the plan back, if it is as it was."""
        if well and self.r.end == WELL:
            return self.q.end(self.state)
        return self.state.abandon()


cdef int64_t first_of(Program q, int64_t k) noexcept:
    """The first output that is the same node."""
    cdef int64_t j = 0
    while q.outputs[j] != q.outputs[k]:
        j += 1
    return j


cdef int64_t step_of(cnp.ndarray a) noexcept:
    """Bytes a lane."""
    return cnp.PyArray_NBYTES(a) // max(cnp.PyArray_DIM(a, 0), 1)


cdef int64_t row_of(cnp.ndarray a) noexcept:
    """Numbers in a row."""
    return cnp.PyArray_SIZE(a) // max(cnp.PyArray_DIM(a, 0), 1)


cdef int look_around(Share *share, here) except -1:
    PyErr_CheckSignals()
    if here.stop:
        ft_swap(&share.stop, 1)
    return 0


cdef int wait_for(Team *team, Share *share, here) except -1:
    """Wait until helpers are done, also where it is Ctrl-C that ends it."""
    cdef bint done = False
    error = None
    while not done:
        if not is_ours(team):
            raise RuntimeError("fasttape: the process was forked in the middle of a batch, by a signal's handler, and has not its threads")
        with nogil:
            done = all_done(team, WAIT)
        if not done:
            try:
                look_around(share, here)
            except BaseException as failure:
                error = failure
                ft_swap(&share.stop, 1)
    dismiss(team)
    if error is not None:
        raise error
    return 0


cdef int work_together(list spans, Program p, Program q, tuple batched, list leaves, list into, Share *share, meanwhile, here) except -1:
    """Make a span for each thread, and run them. Each should get the plan that it had before: the caller the one that was given
    back last, helpers those below."""
    cdef Span own = Span(q), span
    cdef Team *team
    cdef int64_t k
    spans.append(own)
    if share.threads > 1:
        get_ready()
    team = new_team() if share.threads > 1 else NULL
    try:
        if team != NULL:
            for k in range(1, share.threads):
                span = Span(q)
                spans.append(span)
                span.lay_out(p, q, batched, leaves, into, share, k)
                if not call_helper(team, help, &span.r):
                    break
        if meanwhile is not None:
            meanwhile()
        own.lay_out(p, q, batched, leaves, into, share, 0)
        own.run(here)
    except BaseException:
        ft_swap(&share.stop, 1)
        raise
    finally:
        if team != NULL:
            wait_for(team, share, here)
    return 0


def run_stretches(Program p, Program q, tuple batched, list leaves, list into, int64_t at, int64_t size, int64_t count, int64_t threads,
                  meanwhile, here):
    """Run q, p over `size` lanes, on so many stretches of them from a lane on, by some threads; this one calls `meanwhile` first,
    if it is given. Returns which of the lanes take another path, or None."""
    cdef Share *share
    cdef Span span
    cdef list spans = []
    cdef int found = 0
    cdef int64_t k
    cdef cnp.ndarray off = np.zeros(count * size if q.n_output > p.n_result else 0, np.uint8)
    threads = min(threads, count)
    share = <Share *>malloc(sizeof(Share) + threads * sizeof(Piece))    # not on the stack, which goes when a daemon's thread does
    if share == NULL:
        raise MemoryError
    share.piece = <Piece *>(share + 1)
    for k in range(threads):
        share.piece[k].next, share.piece[k].end = count * k // threads, count * (k + 1) // threads
    share.threads, share.stop = threads, 0
    share.at, share.size, share.mark = at, size, <uint8_t *>cnp.PyArray_DATA(off)
    try:
        work_together(spans, p, q, batched, leaves, into, share, meanwhile, here)
        for span in spans:
            span.check()
    except BaseException:
        for span in spans:
            span.end(False)
        raise
    finally:
        free(share)
    for span in reversed(spans):
        found |= span.r.found
        span.end(True)
    return off.view(bool) if found else None
