"""Reverse mode: value and gradient, and the pullback of `vjp`."""
import numpy as np

cimport cython

from fasttape._core.array cimport Array
from fasttape._core.capture cimport refuse_kin, unlock
from fasttape._core.plan cimport evaluate
from fasttape._core.recompute cimport run_pull
from fasttape._core.record cimport *
from fasttape._core.pull cimport cotangent, give
from fasttape._core.segments cimport pull_within
from fasttape._core.sweep cimport Sweep
from fasttape._core.tracer cimport node_of, wrap
from fasttape._core.trace cimport (current, enter, finish, begin_pull, leave, output_node, replace_inputs,
                                   set_current, values)

from fasttape._core.trace import describe


cdef int not_scalar(str who, object y) except -1:
    raise TypeError(f"{who}: the function returned {describe(y)}, but a gradient is that of a single real number; "
                    f"use jacobian, or reduce the result, for example with .sum()")


def value_and_gradient(f, tuple args, dict kwargs, argnums, bint with_value, str who, int64_t budget=0):
    """(value, gradients) of a scalar function, the value only on request; argnums an int or a tuple; a budget of bytes,
    if it is not 0."""
    cdef Tape outer = current(), tape = enter(args)
    cdef Sweep s
    cdef list inputs = [], nodes = [], call_args = list(args), out
    cdef int32_t y
    cdef bint single = not isinstance(argnums, tuple)
    try:
        s.start = tape.t.n
        replace_inputs(tape, call_args, (argnums,) if single else argnums, who, inputs, nodes)
        if tape.guards is not None and tape.depth == 2:     # the budget of the whole program
            budget = budget or tape.budget
        was, before = tape.reversing, tape.budget
        tape.reversing = was or tape.depth == 1
        tape.budget = budget or before
        result = f(*call_args, **kwargs)
        tape.reversing, tape.budget = was, before
        y = output_node(tape, result, who)
        if shape_of(tape, y) != 0:
            if size_of(tape, y) != 1 or ndim_of(tape, y) != 0:
                not_scalar(who, result)
        s.end = tape.t.n
        s.lanes = 0
        if budget:
            out = pull_within(tape, &s, nodes, y, budget, [y] if with_value else [], who)
            out = values(tape, out) if tape.depth == 1 else [wrap(tape, node) for node in out]
        else:
            begin_pull(tape, &s, nodes)
            give(tape, &s, y, constant(tape, 1.0, tape.t.entry[y].dtype & 1))
            run_pull(tape, &s)
            out = finish(tape, &s, nodes, [y] if with_value else [])
        if with_value:
            return out[0], (out[1] if single else tuple(out[1:]))
        return out[0] if single else tuple(out)
    finally:
        leave(tape, outer)


cdef extern from "Python.h":
    unsigned long PyThread_get_thread_ident()


cdef class Pullback:
    """The linear map from an output's cotangent to the inputs' cotangents, as `vjp` returns it.

    It keeps the tape of its function, and the values on it that it needs, until it is dropped.
    """
    cdef Tape tape
    cdef Tape outer
    cdef Sweep s
    cdef list nodes
    cdef int32_t y
    cdef uint32_t generation
    cdef bint own, busy
    cdef readonly tuple shape

    def __call__(self, ct):
        cdef Tape tape = self.tape
        if tape.generation != self.generation:
            raise RuntimeError("vjp: this pullback's trace has ended; call it inside the traced function that made it")
        if np.shape(ct) != self.shape:
            raise ValueError(f"vjp: the cotangent has shape {np.shape(ct)}, the function's output {self.shape}")
        if not self.begin():
            raise RuntimeError("vjp: this pullback is in use in another thread; make one in each")
        try:
            if tape.broken:
                raise RuntimeError("vjp: this pullback was interrupted while it ran; call vjp again")
            if self.own:
                tape.thread = PyThread_get_thread_ident()
            return self.apply(ct)
        finally:
            self.end()

    @cython.critical_section
    cdef bint begin(self):
        """Whether no other call is under way."""
        free = not self.busy
        self.busy = True
        return free

    @cython.critical_section
    cdef int end(self) except -1:
        self.busy = False
        return 0

    cdef tuple apply(self, object ct):
        cdef Tape tape = self.tape
        cdef int32_t seed
        cdef int64_t n = tape.t.n
        cdef list out
        if isinstance(ct, Array):
            seed = node_of(<Array>ct)
            if (<Array>ct).tape is not tape:
                raise TypeError("vjp: the cotangent is a traced value, but the pullback was made outside its trace; "
                                "call vjp inside the traced function")
        else:
            refuse_kin(ct)
            seed = output_node(tape, np.asarray(ct, dtype=np.float32 if tape.t.entry[self.y].dtype & 1 else np.float64), "vjp")
        try:
            begin_pull(tape, &self.s, self.nodes)
            give(tape, &self.s, self.y, cast(tape, seed, tape.t.entry[self.y].dtype))
            run_pull(tape, &self.s)
            out = [cotangent(tape, &self.s, <int32_t>node) for node in self.nodes]
            if self.own:
                return tuple(values(tape, out))
            return tuple([wrap(tape, node) for node in out])
        finally:
            if self.own:
                unlock(tape, None)
                truncate(tape, n)

    def __dealloc__(self):
        if self.own and self.tape is not None and self.tape.generation == self.generation:
            self.tape.depth = 0
            self.tape.reset()


cdef int truncate(Tape tape, int64_t n) except -1:
    """Drop the entries from n on, and their buffers."""
    cdef int64_t i
    for i in range(n, tape.t.n):
        if tape.t.entry[i].flags & FT_OWNED:
            give_buffer(tape, tape.t.val[i].p)
    tape.t.n = n
    tape.captured.clear()
    return 0


cdef int keep_residuals(Tape tape, Sweep *s, list nodes, int32_t y) except -1:
    """Compute, and keep, what any pull will read of the primal: found by pulling once, symbolically."""
    cdef int64_t end = tape.t.n, i, n = 0, k, at
    cdef Reads o
    begin_pull(tape, s, nodes)
    give(tape, s, y, fill(tape, 1.0, tape.t.entry[y].dtype, shape_of(tape, y)))
    run_pull(tape, s)
    wanted = {y}
    for i in range(end, tape.t.n):
        o = reads_of(tape, tape.t.entry + i)
        for k in range(o.n):
            if 0 <= o.at[k * o.step] < end:
                wanted.add(o.at[k * o.step])
    truncate(tape, end)
    n = len(wanted)
    at = new_args(tape, n)
    for k, node in enumerate(wanted):
        tape.t.args[at + k] = node
    evaluate(tape, tape.t.args + at, n)
    return 0


cdef int own_inputs(Tape tape) except -1:
    """Copy the held arrays that the tape points into, so that they may be let go."""
    cdef int64_t i
    cdef ft_entry *e
    if not tape.locked:
        return 0
    for i in range(tape.t.n):
        e = tape.t.entry + i
        if e.op == OP_input and e.shape != 0 and not e.flags & FT_OWNED and e.dtype != FT_I64:
            x = tape.keep[e.b - 1].copy(order="K")
            tape.keep[e.b - 1] = x
            tape.t.val[i].p = <void *><size_t>x.ctypes.data
    unlock(tape, None)
    tape.captured.clear()
    return 0


def pullback(f, tuple args, tuple argnums, str who):
    """(value, Pullback) of f at args."""
    cdef Tape outer = current(), tape = enter(args)
    cdef Pullback p = Pullback.__new__(Pullback)
    cdef list inputs = [], call_args = list(args)
    cdef bint done = False
    p.nodes = []
    try:
        p.s.start = tape.t.n
        p.s.lanes = 0
        replace_inputs(tape, call_args, argnums, who, inputs, p.nodes)
        p.y = output_node(tape, f(*call_args), who)
        p.s.end = tape.t.n
        p.tape = tape
        p.generation = tape.generation
        p.shape = shape_tuple(tape, shape_of(tape, p.y))
        if tape.depth > 1:
            tape.forgets = False        # the pullback knows its nodes by their numbers
            return wrap(tape, p.y), p
        keep_residuals(tape, &p.s, p.nodes, p.y)
        value = values(tape, [p.y])[0]
        own_inputs(tape)
        with cython.critical_section(tape):
            tape.generation += 1        # the function's traced values end here, though the tape does not
            tape.tracers = NULL
        p.generation = tape.generation
        done = p.own = True
        return value, p
    finally:
        if done:
            set_current(outer)
        else:
            leave(tape, outer)
