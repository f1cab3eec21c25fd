"""A program: a trace that is kept, planned once and run any number of times.

A program is data that does not change. What changes while it runs is a `State`: a copy of the tape with a plan of
its own. Each call takes one that no other call is using, so any number of threads may call one program.
Arrays are read and written where they lie: a state knows the places in its plan that point to each, and
points them elsewhere for the next call.
"""
import numpy as np

from libc.stdlib cimport free
from libc.string cimport memcpy, memset

cimport numpy as cnp

from fasttape._core.buffers cimport Plan
from fasttape._core.fuse cimport finish_codes
from fasttape._core.loops cimport make_code
from fasttape._core.needs cimport mark_needs
from fasttape._core.optimise cimport optimise
from fasttape._core.plan cimport build
from fasttape._core.record cimport *
from fasttape._core.roll cimport roll
from fasttape._core.signature cimport *
from fasttape._core.trace cimport current, enter_own, leave, output_node
from fasttape._core.tracer cimport Tracer, node_of, value_of, wrap

from fasttape._core.fuse import new_codes

cnp.import_array()

cdef extern from "Python.h":
    int PyErr_CheckSignals() except -1

cdef enum:
    SMALL = 1 << 14                 # element-ops below which releasing the GIL costs more than it gives


import os
ROLL = not os.environ.get('NOROLL')


class GuardError(RuntimeError):
    """A program was called with values on which the traced function would have taken another path."""


cdef struct Field:                  # a place in the plan that points into an array
    char **at
    ssize_t delta


cdef class State:
    """A plan of a program's tape, and the numbers of one run. Its places are the inputs, then the outputs."""
    cdef Tape tape
    cdef list homes                 # where input and output arrays lie while they lie nowhere else, or None
    cdef uint8_t *moves             # by place: an array that lies elsewhere at each call
    cdef int64_t *first             # by place: its first field; then the end
    cdef Field *field
    cdef int64_t cap_moves, cap_first, n_field, cap_field
    cdef int64_t work

    def __dealloc__(self):
        free(self.field)
        free(self.first)
        free(self.moves)


cdef int note_fields(State s, char *lo, ssize_t size, char **at, int64_t n, ssize_t stride) except -1:
    """Note which of the n pointers from `at` on, `stride` bytes apart, point into [lo, lo + size)."""
    cdef int64_t k
    cdef char **p
    for k in range(n):
        p = <char **>(<char *>at + k * stride)
        if lo <= p[0] < lo + size:
            resize(<void **>&s.field, &s.cap_field, s.n_field + 1, sizeof(Field))
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


cdef inline void lay(State s, int64_t place, int32_t node, char *data) noexcept nogil:
    """Let the array of this place lie at `data`."""
    cdef int64_t k
    s.tape.t.val[node].p = data
    for k in range(s.first[place], s.first[place + 1]):
        s.field[k].at[0] = data + s.field[k].delta


cdef class Program:
    """A traced function that is run without Python. Made by `trace` and `compile`."""
    cdef Tape tape
    cdef readonly object function
    cdef Form arguments, result
    cdef tuple flat                 # forms of the positional arguments, where they are numbers and arrays alone
    cdef int32_t *outputs           # nodes: of the result's leaves, then of the guards
    cdef int64_t n_input, n_result, n_output
    cdef list guards                # (how, seen, place)
    cdef list states

    def __dealloc__(self):
        free(self.outputs)

    cdef State new_state(self):
        cdef State s = State.__new__(State)
        cdef Tape tape = Tape(), p = self.tape
        cdef int64_t i, k, n = self.n_output
        cdef int32_t top, first, node
        cdef int32_t *nodes
        cdef ft_entry *e
        cdef Plan plan
        cdef cnp.ndarray home
        copy_tape(p, tape)
        s.tape = tape
        s.homes = []
        for i in range(self.n_input):
            s.homes.append(new_home(tape, <int32_t>i))
        for i in range(n):
            node = self.outputs[i]
            e = tape.t.entry + node
            if e.shape == 0 or e.op == OP_view or e.op == OP_input or e.flags & FT_FIXED:
                s.homes.append(None)
            else:
                s.homes.append(new_home(tape, node))
                tape.t.entry[node].flags |= FT_FIXED
        i = new_args(tape, n)
        nodes = tape.t.args + i
        for k in range(n):
            nodes[k] = self.outputs[k]
        first = mark_needs(tape, nodes, n, &top)
        for k in range(n):
            keep_in_place(tape, nodes[k])
        with nogil:
            build(tape, &plan, first, top)
        if tape.codes is not None and not finish_codes(tape):
            p.codes = None
            return self.new_state()
        s.work = plan.work
        find_fields(s)
        return s

    def __call__(self, *args, **kwargs):
        return self.call(args, kwargs)

    cdef object call(self, tuple args, dict kwargs):
        cdef list leaves = []
        cdef int k
        if self.flat is not None and not kwargs and len(args) == len(self.flat):
            for k in range(len(self.flat)):
                if not fits(<Form>self.flat[k], args[k], leaves):
                    self.refuse(args, kwargs)
        elif not fits(self.arguments, (args, kwargs), leaves):
            self.refuse(args, kwargs)
        for k in range(len(leaves)):
            if isinstance(leaves[k], Tracer):
                return self.function(*args, **kwargs)
        out = self.run(leaves)
        if type(out) is int:
            how, seen, (file, line) = self.guards[out]
            raise GuardError(f"fasttape: this program took the path on which the value at {file}:{line} is {seen!r}; "
                             f"with these arguments it is not. Use compile, which traces the other path too")
        return out

    def plan(self):
        from fasttape._core import vm
        names = vm.names() + ["SCALARS", "RUN", "COPY", "ZERO"]
        cdef State s = self.states[0]
        t = s.tape
        return [(names[t.instr[i].op], t.instr[i].node, t.instr[i].lo, t.instr[i].hi, t.instr[i].n,
                 [(t.step[k].kind, t.step[k].view) for k in range(t.instr[i].lo, t.instr[i].hi)] if names[t.instr[i].op] == "RUN" else 0)
                for i in range(t.n_instr)]

    def dump(self):
        from fasttape._core import vm
        names = vm.names()
        t = self.tape
        return [(i, names[t.t.entry[i].op], t.t.entry[i].shape, t.t.entry[i].a, t.t.entry[i].b, t.t.entry[i].aux) for i in range(t.t.n)]

    cdef int refuse(self, tuple args, dict kwargs) except -1:
        raise TypeError("fasttape: the arguments are not of the form that the program was traced with; trace it "
                        "again, or use compile, which does")

    cdef object run(self, list leaves):
        """The result, or the number of the first guard that does not hold."""
        cdef State s = self.states.pop() if self.states else self.new_state()
        cdef Tape tape = s.tape
        cdef ft_run run
        cdef int more = 1
        cdef int64_t k
        cdef int32_t node
        cdef cnp.ndarray a
        cdef list out = []
        for k in range(self.n_input):
            if not s.moves[k]:
                tape.t.val[k].f = leaves[k]
                continue
            a = leaves[k]
            if not cnp.PyArray_ISCARRAY_RO(a):
                a = np.array(a, order="C", dtype=a.dtype.newbyteorder("="))
                leaves[k] = a
            lay(s, k, <int32_t>k, <char *>cnp.PyArray_DATA(a))
        for k in range(self.n_output):
            if s.moves[self.n_input + k]:
                node = self.outputs[k]
                a = new_array(tape, node)
                lay(s, self.n_input + k, node, <char *>cnp.PyArray_DATA(a))
                out.append(a)
            else:
                out.append(None)
        memset(&run, 0, sizeof(ft_run))
        run.instr = tape.instr
        run.n_instr = tape.n_instr
        run.step = tape.step
        if s.work < SMALL:
            more = machine.run(&tape.t, &library, &run)
        while more:
            with nogil:
                more = machine.run(&tape.t, &library, &run)
            if more:
                PyErr_CheckSignals()
        for k in range(self.n_output):
            if out[k] is None:
                out[k] = value_of(tape, self.outputs[k])
        self.states.append(s)
        for k in range(self.n_result, self.n_output):
            how, seen, _ = self.guards[k - self.n_result]
            if not same(out[k] if how is None else how(out[k]), seen):
                return k - self.n_result
        return assembled(self.result, out)


cdef object assembled(Form form, list out):
    """The result: the commonest forms without a detour."""
    cdef int k
    cdef Form part
    if form.kind <= ARRAY:
        return out[0]
    if form.kind == TUPLE and form.type is tuple and len(form.parts) == len(out):
        for k in range(len(out)):
            part = form.parts[k]
            if part.kind > ARRAY:
                return rebuilt(form, iter(out))
        return tuple(out)
    return rebuilt(form, iter(out))


cdef bint same(object a, object b):
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        return a.shape == b.shape and a.tobytes() == b.tobytes()
    return a == b or (a != a and b != b)


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


cdef int copy_tape(Tape old, Tape new) except -1:
    """A copy of an optimised tape, to be planned."""
    cdef int64_t i
    grow(new, old.t.n)
    memcpy(new.t.entry, old.t.entry, old.t.n * sizeof(ft_entry))
    memcpy(new.t.val, old.t.val, old.t.n * sizeof(ft_value))
    new.t.n = old.t.n
    resize(<void **>&new.t.shape, &new.t.cap_shape, old.t.n_shape, sizeof(ft_shape))
    resize(<void **>&new.t.view, &new.t.cap_view, max(old.t.n_view, 1), sizeof(ft_view))
    resize(<void **>&new.t.dims, &new.t.cap_dims, max(old.t.n_dims, 1), sizeof(int64_t))
    resize(<void **>&new.t.args, &new.t.cap_args, max(old.t.n_args, 1), sizeof(int32_t))
    memcpy(new.t.shape, old.t.shape, old.t.n_shape * sizeof(ft_shape))
    if old.t.n_dims:
        memcpy(new.t.dims, old.t.dims, old.t.n_dims * sizeof(int64_t))
    if old.t.n_view:
        memcpy(new.t.view, old.t.view, old.t.n_view * sizeof(ft_view))
    if old.t.n_args:
        memcpy(new.t.args, old.t.args, old.t.n_args * sizeof(int32_t))
    new.t.n_shape = old.t.n_shape
    new.t.n_view = old.t.n_view
    new.t.n_dims = old.t.n_dims
    new.t.n_args = old.t.n_args
    new.index_tables()
    new.keep = old.keep
    new.loops = old.loops
    new.codes = old.codes
    return 0


cdef int32_t program_input(Tape tape, Form form, object x) except -1:
    cdef int32_t node
    cdef cnp.ndarray a
    cdef int64_t dims[FT_MAX_DIMS]
    cdef int k
    if form.kind != ARRAY:
        node = emit(tape, OP_input, FT_F32 if form.kind == NUMBER32 else FT_F64, FT_DONE, 0, 0, 0, 0)
        tape.t.val[node].f = x
        return node
    a = np.array(x, order="C", copy=None, dtype=np.float32 if form.dtype else np.float64)
    for k in range(cnp.PyArray_NDIM(a)):
        dims[k] = cnp.PyArray_DIM(a, k)
    tape.keep.append(a)
    node = emit(tape, OP_input, form.dtype, FT_DONE, intern_shape(tape, cnp.PyArray_NDIM(a), dims), 0,
                <int32_t>len(tape.keep), 0)
    tape.t.val[node].p = cnp.PyArray_DATA(a)
    return node


cdef int leaf_forms(Form form, list out) except -1:
    if form.kind <= ARRAY:
        out.append(form)
    elif form.parts is not None:
        for part in form.parts:
            leaf_forms(part, out)
    return 0


cdef object output_leaves(Form form, object y, list out):
    """The numbers and arrays of a result."""
    if form.kind <= ARRAY:
        out.append(y)
    elif form.parts is not None:
        for part, x in zip(form.parts, y.values() if form.kind == DICT else y):
            output_leaves(part, x, out)


def record(f, tuple args, dict kwargs):
    """The Program of f as it runs with these arguments."""
    cdef Tape outer = current(), tape
    cdef Program p = Program.__new__(Program)
    cdef list leaves = [], forms = [], traced = [], results = []
    cdef int64_t k
    p.function = f
    p.arguments = form_of((args, kwargs))
    fits(p.arguments, (args, kwargs), leaves)
    leaf_forms(p.arguments, forms)
    if not kwargs and all([(<Form>part).kind <= ARRAY for part in (<Form>p.arguments.parts[0]).parts]):
        p.flat = (<Form>p.arguments.parts[0]).parts
    p.n_input = len(leaves)
    p.states = []
    tape = enter_own()
    tape.guards = []
    try:
        for form, x in zip(forms, leaves):
            traced.append(wrap(tape, program_input(tape, form, x)))
        traced_args, traced_kwargs = rebuilt(p.arguments, iter(traced))
        result = f(*traced_args, **traced_kwargs)
        p.result = form_of(result)
        output_leaves(p.result, result, results)
        p.n_result = len(results)
        nodes = [output_node(tape, y, "trace") for y in results] + [node for node, _, _, _ in tape.guards]
        p.guards = [(how, seen, place) for _, how, seen, place in tape.guards]
        p.n_output = len(nodes)
        p.outputs = <int32_t *>allocate(p.n_output * sizeof(int32_t) + 8)
        if p.outputs == NULL:
            raise MemoryError
        for k in range(p.n_output):
            p.outputs[k] = nodes[k]
        p.tape = optimise(tape, p.n_input, p.outputs, p.n_output)
        if ROLL:
            p.tape = roll(p.tape, p.n_input, p.outputs, p.n_output)
        make_code(p.tape)
        p.tape.codes = new_codes()
    finally:
        tape.guards = None
        leave(tape, outer)
    p.states.append(p.new_state())
    return p
