"""A program: a trace that is kept, planned once and run any number of times.

A program is data that does not change; what changes while it runs is a `State`. Each call takes one that no other
call is using, so any number of threads may call one program. What the traced function saw of the values, it must
see again: these are the guards, which a run computes beside the results and checks before it returns them.
"""
import numpy as np

from libc.stdlib cimport free

cimport numpy as cnp

from fasttape._core.callee cimport Call
from fasttape._core.record cimport *
from fasttape._core.signature cimport *
from fasttape._core.state cimport State, new_array, new_state, run_state
from fasttape._core.tracer cimport looked_at, value_of

cnp.import_array()

call_traced = None                  # set by calls.pyx: a call within a trace


class GuardError(RuntimeError):
    """A program was called with values on which the traced function would have taken another path."""


cdef class Unmet:
    """What a run returns whose guard number `k` saw `outcome`, which is not what the trace saw."""


cdef class Program(Swept):
    """A traced function that is run without Python. Made by `trace` and `compile`."""

    def __init__(self):
        raise TypeError("fasttape: programs are made by trace and compile")

    def __dealloc__(self):
        free(self.outputs)
        free(self.record_outputs)
        free(self.truth)

    def __call__(self, *args, **kwargs):
        cdef list leaves = []
        cdef Unmet unmet
        if not self.takes(args, kwargs, leaves, True):
            leaves = self.leaves_of(args, kwargs)
            if has_traced(leaves):
                out = call_traced(self, leaves)
            else:
                out = self.run(leaves)
        else:
            out = self.run(leaves)
        if type(out) is Unmet:
            unmet = out
            how, seen, (file, line) = self.guards[unmet.k]
            raise GuardError(f"{self.name}: this program took the path on which {what_was_seen(how, seen)} at {file}:{line}; "
                             f"with these arguments it is {unmet.outcome!r}. compile traces the other path too")
        return out

    cdef list results(self):
        cdef int64_t k
        cdef ft_entry *e
        cdef list out
        if self.outcome is None:
            out = []
            for k in range(self.n_output):
                e = self.tape.t.entry + self.outputs[k]
                out.append((e.dtype, shape_tuple(self.tape, e.shape)))
            self.outcome = out          # as a whole: other threads may ask too
        return self.outcome

    cdef int pull(self, Tape tape, Sweep *s, int32_t i) except -1:
        return pull_program(self, tape, s, i)

    cdef int push(self, Tape tape, Sweep *s, int32_t i) except -1:
        return push_program(self, tape, s, i)

    cdef Call begin(self):
        """A state that no other call is using. Nothing is asked before it is popped: another thread may do so too."""
        try:
            return self.states.pop()
        except IndexError:
            return self.plan()

    cdef State plan(self):
        """A new state. The first one compiles the code that the others run."""
        cdef State s = new_state(self.tape, self.n_input, self.outputs, self.n_output)
        if not self.planned:
            self.tape.codes, self.planned = s.tape.codes, True
        return s

    cdef int end(self, Call call) except -1:
        self.states.append(call)
        return 0

    cdef bint takes(self, tuple args, dict kwargs, list leaves, bint loose) except -1:
        """Whether the arguments have the program's form, as far as can be told at a glance; `loose` is that Python's
        floats and NumPy's are the same."""
        cdef int k
        if self.flat is not None:
            if len(args) != len(self.flat) or len(kwargs):
                return False
            for k in range(len(self.flat)):
                if not fits(<Form>self.flat[k], args[k], leaves, loose):
                    return False
            return True
        return fits(self.arguments, (args, kwargs), leaves, loose)

    cdef list leaves_of(self, tuple args, dict kwargs):
        """The numbers and arrays of arguments that are not of the commonest types."""
        cdef list leaves = []
        cdef Form form = form_of_call(args, kwargs, self.name, self.static)
        if form.key(True) != self.arguments.key(True):
            raise TypeError(f"{self.name}: the program was traced with other arguments: "
                            f"{unlike_call(self.arguments, form)}. Trace it again, or use compile, which does")
        gather(form, (args, kwargs), leaves)
        return leaves

    cdef object run(self, list leaves, list into=None):
        """The result; or an `Unmet`, if a guard does not hold. `into` has arrays for the outputs, or None where a new one is
        to be made: C-contiguous ones of the outputs' dtypes and shapes, which share no memory with anything here."""
        cdef State s = self.begin()
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
            ft_lay(&s.c, k, <int32_t>k, <char *>cnp.PyArray_DATA(a))
        for k in range(self.n_output):
            if s.moves[self.n_input + k]:
                node = self.outputs[k]
                a = new_array(tape, node) if into is None or into[k] is None else into[k]
                ft_lay(&s.c, self.n_input + k, node, <char *>cnp.PyArray_DATA(a))
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
            outcome = looked_at(how, out[k])
            if not same(outcome, seen):
                self.end(s)
                unmet = Unmet.__new__(Unmet)
                unmet.k = k - self.n_result
                unmet.outcome = outcome
                return unmet
        for k in range(self.n_result):
            if out[k] is None:
                out[k] = value_of(tape, self.outputs[k])
        self.end(s)
        return rebuilt(self.result, out)


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
    return f"a value was {seen!r}" if how is None else f"{how.__name__ if isinstance(how, type) else 'a look at a value'} gave {seen!r}"


cdef str name_of(object f):
    name = getattr(f, "__name__", None) or type(f).__name__
    if getattr(f, "__module__", None) == "fasttape.transforms" and hasattr(f, "__wrapped__"):
        return f"{name}({name_of(f.__wrapped__)})"
    return name
