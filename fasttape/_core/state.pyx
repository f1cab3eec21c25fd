"""A plan of a kept tape, and the numbers of one run.

A kept tape does not change. What changes while it runs is a `State`: a copy of the tape with a plan of its own.
Arrays are read and written where they lie: a state knows the places in its plan that point to each, and points them
elsewhere for the next run.
"""
cimport numpy as cnp

from fasttape._core.buffers cimport Plan
from fasttape._core.copies cimport copy_tape
from fasttape._core.fuse cimport finish_codes, own_codes
from fasttape._core.needs cimport mark_needs
from fasttape._core.plan cimport abandon_calls, build, go_on
from fasttape._core.record cimport *

cnp.import_array()

cdef enum:
    SMALL = 1 << 14                 # element-ops below which releasing the GIL costs more than it gives


cdef class State(Call):
    """A plan of a tape, and the numbers of one run."""

    cdef int complain(self) except -1:
        for _, call in self.tape.calls:
            (<Call>call).complain()
        return 0

    cdef int abandon(self) except -1:
        return abandon_calls(self.tape)

    def __dealloc__(self):
        drop(<void **>&self.field, &self.cap_field, sizeof(ft_field))
        drop(<void **>&self.first, &self.cap_first, sizeof(int64_t))
        drop(<void **>&self.moves, &self.cap_moves, 1)
        drop(<void **>&self.room, &self.cap_room, 1)


cdef State new_state(Tape kept, int64_t n_input, const int32_t *outputs, int64_t n_output, bint coded=True,
                     bint noting=False):
    """A plan of a tape whose first nodes are its inputs. The tape does not change: other threads may plan it too.
    `noting` keeps a note of when buffers are taken and given back (profile.pyx)."""
    cdef State s = State.__new__(State)
    cdef Tape tape = Tape()
    cdef int64_t i, k
    cdef int32_t top, first, node
    cdef int32_t *nodes
    cdef ft_entry *e
    cdef Plan plan
    copy_tape(kept, tape)
    tape.codes = own_codes(kept.codes) if coded else None
    s.tape = tape
    s.homes = []
    for i in range(n_input):
        s.homes.append(new_home(tape, <int32_t>i))
    for i in range(n_output):
        node = outputs[i]
        e = tape.t.entry + node
        if e.shape == 0 or e.op == OP_view or e.op == OP_input or e.flags & FT_FIXED or e.dtype >= FT_B64:
            s.homes.append(None)
        else:
            s.homes.append(new_home(tape, node))
            tape.t.entry[node].flags |= FT_FIXED
    i = new_args(tape, n_output)
    nodes = tape.t.args + i
    for k in range(n_output):
        nodes[k] = outputs[k]
    first = mark_needs(tape, nodes, n_output, &top)
    for k in range(n_output):
        keep_in_place(tape, nodes[k])
    tape.noting = noting
    with nogil:
        build(tape, &plan, first, top)
    tape.noting = False
    if tape.codes is not None and not finish_codes(tape):
        return new_state(kept, n_input, outputs, n_output, False, noting)
    s.work = plan.work
    find_fields(s)
    s.c.tape = &tape.t
    s.c.run.instr = tape.instr
    s.c.run.n_instr = tape.n_instr
    s.c.run.step = tape.step
    s.c.n_input = n_input
    s.c.n_output = n_output
    s.c.output = outputs
    s.c.moves = s.moves
    s.c.first = s.first
    s.c.field = s.field
    return s


cdef int run_state(State s) except -1:
    """Run the plan; signals are looked for on the way."""
    cdef ft_run *run = &s.c.run
    cdef int more = 1
    run.next = run.entry = run.block = 0
    if s.work < SMALL:
        more = machine.run(&s.tape.t, &library, run)
    if more:
        try:
            go_on(s.tape, run, more)
        except BaseException:
            s.abandon()
            raise
    return 0


cdef int note_fields(State s, char *lo, ssize_t size, char **at, int64_t n, ssize_t stride) except -1:
    """Note which of the n pointers from `at` on, `stride` bytes apart, point into [lo, lo + size)."""
    cdef int64_t k
    cdef char **p
    for k in range(n):
        p = <char **>(<char *>at + k * stride)
        if lo <= p[0] < lo + size:
            resize(<void **>&s.field, &s.cap_field, s.n_field + 1, sizeof(ft_field))
            s.field[s.n_field].at = p
            s.field[s.n_field].delta = p[0] - lo
            s.n_field += 1
    return 0


cdef int find_fields(State s) except -1:
    """Note what the plan points to of the arrays at their homes."""
    cdef Tape tape = s.tape
    cdef cnp.ndarray home
    cdef char *lo
    cdef ssize_t size
    cdef int j
    cdef int64_t k, n = len(s.homes)
    cdef list held = [k for k in range(tape.t.n) if tape.t.entry[k].flags & FT_FIXED]
    resize(<void **>&s.moves, &s.cap_moves, n + 1, 1)
    resize(<void **>&s.first, &s.cap_first, n + 1, sizeof(int64_t))
    s.first[0] = 0
    for k in range(n):
        home = s.homes[k]
        s.moves[k] = home is not None
        if home is not None:
            lo = <char *>cnp.PyArray_DATA(home)
            size = cnp.PyArray_NBYTES(home)
            if tape.n_instr:
                note_fields(s, lo, size, <char **>&tape.instr.y, tape.n_instr, sizeof(ft_instr))
                note_fields(s, lo, size, <char **>&tape.instr.a, tape.n_instr, sizeof(ft_instr))
                note_fields(s, lo, size, <char **>&tape.instr.b, tape.n_instr, sizeof(ft_instr))
            if tape.n_step:
                for j in range(4):
                    note_fields(s, lo, size, &tape.step.at[j], tape.n_step, sizeof(ft_step))
            for i in held:
                note_fields(s, lo, size, <char **>&tape.t.val[<int64_t>i].p, 1, 0)
        s.first[k + 1] = s.n_field
    return 0


cdef int keep_in_place(Tape tape, int32_t node) noexcept:
    """Let what is changed step by step into an output lie, from its first step on, where the output does."""
    cdef ft_entry *e = tape.t.entry + node
    cdef ft_entry *a
    while e.flags & FT_FIXED and e.op in (OP_add_at, OP_set_at, OP_add_region, OP_update):
        a = tape.t.entry + e.a
        if a.op == OP_view or not a.flags & FT_NEED or a.flags & FT_FIXED or tape.t.last[e.a] != node \
                or (e.op != OP_add_at and e.op != OP_set_at and root_of(tape, e.b) == e.a):
            break
        a.flags |= FT_FIXED
        tape.t.val[e.a].p = tape.t.val[node].p
        node = e.a
        e = a
    return 0


cdef cnp.ndarray new_array(Tape tape, int32_t node):
    """An empty NumPy array for the value of a node."""
    cdef ft_entry *e = tape.t.entry + node
    cdef ft_shape *s = tape.t.shape + e.shape
    cdef cnp.npy_intp dims[FT_MAX_DIMS]
    cdef int k
    for k in range(s.ndim):
        dims[k] = tape.t.dims[s.at + k]
    return cnp.PyArray_EMPTY(s.ndim, dims, cnp.NPY_FLOAT if e.dtype & 1 else cnp.NPY_DOUBLE, 0)


cdef cnp.ndarray new_home(Tape tape, int32_t node):
    """Memory that the node's value points to; None for a number."""
    cdef cnp.ndarray home
    if tape.t.entry[node].shape == 0:
        return None
    home = new_array(tape, node)
    tape.t.val[node].p = cnp.PyArray_DATA(home)
    return home
