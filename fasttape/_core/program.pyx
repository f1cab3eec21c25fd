"""A program: a trace that is kept, planned once and run any number of times.

A program is data that does not change; what changes while it runs is a `State`. Each call takes one that no other
call is using, so any number of threads may call one program. What the traced function saw of the values, it must
see again: these are the guards, which a run computes beside the results and checks before it returns them.
"""
from libc.stdint cimport int8_t
from libc.stdlib cimport free

cimport numpy as cnp

from fasttape._core.loops cimport make_code
from fasttape._core.optimise cimport optimise
from fasttape._core.record cimport *
from fasttape._core.roll cimport roll
from fasttape._core.signature cimport *
from fasttape._core.state cimport State, lay, new_array, new_state, run_state
from fasttape._core.trace cimport current, enter_own, leave, output_node
from fasttape._core.tracer cimport value_of, wrap

import numpy as np

from fasttape._core.fuse import new_codes

cnp.import_array()


class GuardError(RuntimeError):
    """A program was called with values on which the traced function would have taken another path."""


cdef class Unmet:
    """What a run returns whose guard number `k` saw `outcome`, which is not what the trace saw."""


cdef class Program:
    """A traced function that is run without Python. Made by `trace` and `compile`."""

    def __init__(self):
        raise TypeError("fasttape: programs are made by trace and compile")

    def __dealloc__(self):
        free(self.outputs)
        free(self.truth)

    def __call__(self, *args, **kwargs):
        cdef list leaves = []
        cdef Unmet unmet
        if not self.takes(args, kwargs, leaves):
            if has_traced((args, kwargs)):
                return self.function(*args, **kwargs)
            leaves = self.leaves_of(args, kwargs)
        out = self.run(leaves)
        if type(out) is Unmet:
            unmet = out
            how, seen, (file, line) = self.guards[unmet.k]
            raise GuardError(f"{self.name}: this program took the path on which {what_was_seen(how, seen)} at {file}:{line}; "
                             f"with these arguments it is {unmet.outcome!r}. compile traces the other path too")
        return out

    cdef bint takes(self, tuple args, dict kwargs, list leaves) except -1:
        """Whether the arguments have the program's form, as far as can be told at a glance."""
        cdef int k
        if self.flat is not None:
            if len(args) != len(self.flat) or len(kwargs):
                return False
            for k in range(len(self.flat)):
                if not fits(<Form>self.flat[k], args[k], leaves):
                    return False
            return True
        return fits(self.arguments, (args, kwargs), leaves)

    cdef list leaves_of(self, tuple args, dict kwargs):
        """The numbers and arrays of arguments that are not of the commonest types."""
        cdef list leaves = []
        cdef Form form = form_of_call(args, kwargs, self.name, None)
        if form.key() != self.arguments.key():
            raise TypeError(f"{self.name}: the program was traced with other arguments: "
                            f"{unlike_call(self.arguments, args, kwargs)}. Trace it again, or use compile, which does")
        gather(form, (args, kwargs), leaves)
        return leaves

    cdef State take_state(self):
        """A state that no other call is using. Nothing is asked before it is popped: another thread may do so too."""
        try:
            return self.states.pop()
        except IndexError:
            return new_state(self.tape, self.n_input, self.outputs, self.n_output)

    cdef int give_state(self, State s) except -1:
        self.states.append(s)
        return 0

    cdef object run(self, list leaves):
        """The result; or an `Unmet`, if a guard does not hold."""
        cdef State s = self.take_state()
        cdef Tape tape = s.tape
        cdef Unmet unmet
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
        run_state(s)
        for k in range(self.n_result, self.n_output):
            if self.truth[k - self.n_result] == (tape.t.val[self.outputs[k]].f != 0):
                continue                            # a truth value, and the same
            if out[k] is None:
                out[k] = value_of(tape, self.outputs[k])
            how, seen, _ = self.guards[k - self.n_result]
            outcome = out[k] if how is None else how(out[k])
            if not same(outcome, seen):
                self.give_state(s)
                unmet = Unmet.__new__(Unmet)
                unmet.k = k - self.n_result
                unmet.outcome = outcome
                return unmet
        for k in range(self.n_result):
            if out[k] is None:
                out[k] = value_of(tape, self.outputs[k])
        self.give_state(s)
        return assembled(self.result, out, self.n_result)


cdef object assembled(Form form, list out, int64_t n):
    """The result: the commonest forms without a detour."""
    cdef int64_t k
    if form.kind <= ARRAY:
        return out[0]
    if form.kind == TUPLE and form.type is tuple and len(form.parts) == n:
        for k in range(n):
            if (<Form>form.parts[k]).kind > ARRAY:
                return rebuilt(form, iter(out))
        return tuple(out) if len(out) == n else tuple(out[:n])
    return rebuilt(form, iter(out))


# ---- guards

cdef bint same(object a, object b):
    if type(a) is not type(b):
        return False
    if isinstance(a, (np.ndarray, np.generic)):     # bit for bit: 0.0 is not -0.0
        return a.shape == b.shape and a.tobytes() == b.tobytes()
    return a == b


cdef int64_t mark(object outcome):
    """A number for what a guard saw: nearly always another for another outcome."""
    return hash(outcome.tobytes() if isinstance(outcome, (np.ndarray, np.generic)) else outcome)


cdef int64_t mark_after(int64_t before, object outcome):
    """The mark of a path that is `outcome` longer."""
    return hash((before, mark(outcome)))


cdef str what_was_seen(object how, object seen):
    if isinstance(seen, np.ndarray):
        return "an array that the function looked into was another"
    return f"a value was {seen!r}" if how is None else f"{getattr(how, '__name__', 'a value')} gave {seen!r}"


cdef bint is_known(Program p, int32_t node) noexcept:
    """The node is the same in every run."""
    cdef ft_entry *e = p.tape.t.entry + node
    if e.op == OP_view or e.op == OP_positive:
        return is_known(p, e.a)
    return e.op == OP_constant or (e.op == OP_input and node >= p.n_input)


cdef int keep_guards(Program p, list guards) except -1:
    """Note what the guards must see. What is the same in every run, or is guarded already, needs none."""
    cdef int64_t k, n = 0, path = 0
    cdef int32_t node
    cdef set met = set()
    p.truth = <int8_t *>allocate(len(guards) + 8)
    if p.truth == NULL:
        raise MemoryError
    p.guards = []
    p.marks = [0]
    for k in range(<int64_t>len(guards)):
        node = p.outputs[p.n_result + k]
        _, how, seen, place = guards[k]
        if (node, how) in met or is_known(p, node):
            continue
        met.add((node, how))
        p.outputs[p.n_result + n] = node
        p.truth[n] = seen if how is bool and p.tape.t.entry[node].shape == 0 else -1
        p.guards.append((how, seen, place))
        path = mark_after(path, seen)
        p.marks.append(path)
        n += 1
    p.n_output = p.n_result + n
    return 0


# ---- recording

cdef int32_t program_input(Tape tape, Form form, object x) except -1:
    cdef int32_t node
    cdef cnp.ndarray a
    cdef int64_t dims[FT_MAX_DIMS]
    cdef int k
    if form.kind != ARRAY:
        node = emit(tape, OP_input, FT_F32 if form.kind == NUMBER32 else FT_F64,
                    FT_DONE | (FT_WEAK if form.kind == PYTHON_FLOAT else 0), 0, 0, 0, 0)
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


cdef Program record(type kind, object f, tuple args, dict kwargs, Form arguments, str name, bint rolls=True):
    """The Program, of class `kind`, of f as it runs with these arguments, which have this form."""
    cdef Tape outer = current(), tape
    cdef Program p = kind.__new__(kind)
    cdef list leaves = [], forms = [], traced = [], results = []
    cdef State first
    cdef int64_t k
    p.function = f
    p.name = name
    p.arguments = arguments
    gather(arguments, (args, kwargs), leaves)
    leaf_forms(arguments, forms)
    if not kwargs and all([(<Form>part).kind <= ARRAY for part in (<Form>arguments.parts[0]).parts]):
        p.flat = (<Form>arguments.parts[0]).parts
    p.n_input = len(leaves)
    p.states = []
    tape = enter_own()
    tape.guards = []
    try:
        for form, x in zip(forms, leaves):
            traced.append(wrap(tape, program_input(tape, form, x)))
        traced_args, traced_kwargs = rebuilt(arguments, iter(traced))
        result = f(*traced_args, **traced_kwargs)
        p.result = form_of_result(result, name)
        gather(p.result, result, results)
        p.n_result = len(results)
        nodes = [output_node(tape, y, name) for y in results] + [node for node, _, _, _ in tape.guards]
        p.n_output = len(nodes)
        p.outputs = <int32_t *>allocate(p.n_output * sizeof(int32_t) + 8)
        if p.outputs == NULL:
            raise MemoryError
        for k in range(p.n_output):
            p.outputs[k] = nodes[k]
        p.recorded = tape.t.n
        p.tape = optimise(tape, p.n_input, p.outputs, p.n_output)
        p.kept = p.tape.t.n
        if rolls:
            p.tape = roll(p.tape, p.n_input, p.outputs, p.n_output)
        make_code(p.tape)
        p.tape.codes = new_codes()
        keep_guards(p, tape.guards)
    finally:
        tape.guards = None
        leave(tape, outer)
    first = new_state(p.tape, p.n_input, p.outputs, p.n_output)
    p.tape.codes = first.tape.codes     # other states run the same code
    p.states.append(first)
    return p


def trace(kind, f, tuple args, dict kwargs):
    """The Program of f as it runs with these arguments."""
    name = name_of(f)
    return record(kind, f, args, kwargs, form_of_call(args, kwargs, f"trace({name})", None), name)


cdef str name_of(object f):
    return getattr(f, "__name__", None) or type(f).__name__
