"""Tracers: what a traced function computes with, before it can do anything.

A tracer names a node of a tape. Here are how one is made, listed and dropped, how it finds its node, how
other values come in beside it, and how its value is read. Nothing is known of operators, of indexing or
of NumPy's protocols: they are `array.pyx`'s, whose two classes are handed in when it is imported.
"""
import sys

import numpy as np

from libc.string cimport memcpy

cimport cython
cimport numpy as cnp

from fasttape._core.capture cimport capture
from fasttape._core.plan cimport evaluate
from fasttape._core.record cimport *

cnp.import_array()

forget = None                       # set by trace.pyx: what a forward trace does when its tape is long
importer = None                     # set by checkpoint.pyx: brings a value of an enclosing trace in
seen_outside = None                 # set by body.pyx: a value of a loop's body as the trace around it has it


class TraceError(RuntimeError):
    """A traced value was used where it has no meaning: after its trace, or in another thread."""


@cython.freelist(256)
@cython.no_gc
cdef class Tracer:
    """A node of a tape, by reference. Its kinds, `Array` and `Scalar`, add methods and no fields."""

    def __init__(self):
        raise TypeError("fasttape: traced arrays are made by the transforms, not by hand")


# ---- birth and death
#
# The classes have no __dealloc__, which Cython would wrap in saving and restoring the error state: the
# deallocator that it generates is wrapped here instead.

cdef extern from *:
    """
    /* Not for free-threaded Python, where two threads could take the same dead number. */
    #ifdef Py_GIL_DISABLED
    #define FT_DEAD 0
    #else
    #define FT_DEAD 1024
    #endif
    """
    enum:
        FT_DEAD

ctypedef void (*destructor)(PyObject *) noexcept

cdef PyTypeObject *array_type = NULL
cdef destructor free_tracer = (<PyTypeObject *>Tracer).tp_dealloc


cdef int adopt(type array, type scalar) except -1:
    """Take the two classes that `wrap` makes tracers of, and see to their end."""
    global array_type, scalar_type
    array_type = <PyTypeObject *>array
    scalar_type = <PyTypeObject *>scalar
    array_type.tp_dealloc = dealloc_array
    scalar_type.tp_dealloc = dealloc_scalar
    return 0


cdef object new_tracer(PyTypeObject *kind):
    return kind.tp_new(<type>kind, <PyObject *>(), NULL)


cdef Tracer wrap(Tape tape, int32_t node):
    """A tracer for a node. It joins the tape's list of live tracers if it may have to be computed or
    renamed: a number that is known, on a tape that forgets nothing, will not."""
    cdef Tracer x
    if tape.t.entry[node].shape != 0:
        return wrap_array(tape, node)
    x = new_scalar(tape, node)
    if not tape.t.entry[node].flags & FT_DONE or tape.forgets:
        join_list(x, tape)
    return x


cdef Tracer wrap_array(Tape tape, int32_t node):
    """A tracer for a node that is no number, or for an element that is still a part of its array."""
    cdef Tracer x = <Tracer>new_tracer(array_type)
    x.tape = tape
    x.generation = tape.generation
    x.node = node
    join_list(x, tape)
    return x


cdef inline void join_list(Tracer x, Tape tape) noexcept:
    x.listed = True
    x.prev = NULL
    with cython.critical_section(tape):
        x.next = tape.tracers
        if tape.tracers != NULL:
            (<Tracer><PyObject *>tape.tracers).prev = <void *>x
        tape.tracers = <void *>x


cdef inline void leave_list(PyObject *o) noexcept:
    """Take a tracer that dies out of its tape's list. It has no references left, and none may be taken; where there is
    no GIL it may die in another thread than its trace's, which therefore takes no reference to what it finds listed."""
    with cython.critical_section((<Tracer>o).tape):
        if (<Tracer>o).generation == (<Tracer>o).tape.generation:
            if (<Tracer>o).prev != NULL:
                (<Tracer>(<PyObject *>(<Tracer>o).prev)).next = (<Tracer>o).next
            else:
                (<Tracer>o).tape.tracers = (<Tracer>o).next
            if (<Tracer>o).next != NULL:
                (<Tracer>(<PyObject *>(<Tracer>o).next)).prev = (<Tracer>o).prev


cdef void dealloc_array(PyObject *o) noexcept:
    if (<Tracer>o).listed:
        leave_list(o)
    free_tracer(o)


cdef void dealloc_scalar(PyObject *o) noexcept:
    if (<Tracer>o).listed:
        leave_list(o)
    if dead.n < FT_DEAD and (<Tracer>o).base is None:
        (<Tracer>o).tape = None
        dead.at[dead.n] = o
        dead.n += 1
        return
    free_tracer(o)


# ---- the node of a tracer

cdef int cannot_use(Tracer x) except -1:
    if x.tape is None or x.generation != x.tape.generation:
        raise TraceError("fasttape: a traced value was used after its trace had ended. It leaked out of the traced "
                         "function, through a global, an attribute or a list; return it from the function instead")
    if x.tape.broken:
        raise TraceError("fasttape: this trace cannot go on, since running it failed before")
    raise TraceError("fasttape: a traced value was used in another thread than the one that traces it; "
                     "call the transform in each thread")


cdef int32_t follow_base(Tracer x) except -1:
    """The base of a view has been written to: look at it as it is now."""
    cdef Tape tape = x.tape
    x.base.node = owner(tape, x.base.node)
    x.base_node = x.base.node
    x.node = look(tape, x.base_node, x.view)
    return x.node


cdef int forget_now(Tape tape) except -1:
    forget(tape)
    return 0


# ---- other values beside it

cdef int32_t operand(Tape tape, object x, int like) except -1:
    """The node of any operand that stands beside a traced value of dtype `like`."""
    if isinstance(x, Tracer):
        if (<Tracer>x).tape is not tape:
            if (<Tracer>x).tape is None or (<Tracer>x).generation != (<Tracer>x).tape.generation:
                cannot_use(<Tracer>x)
            return import_node(tape, <Tracer>x)
        return node_of(<Tracer>x)
    if type(x) is float:
        return beside(tape, <double>x, like)
    return capture(tape, x, like)


cdef int32_t import_node(Tape tape, Tracer x) except -1:
    if importer is None:
        raise TraceError("fasttape: values of two different traces were combined")
    return (<Tracer>importer(tape, x)).node


cdef Tape innermost(Tape tape, Tracer x):
    """Of a tape and that of x, the one that records inside the other (a checkpointed region's)."""
    cdef Tape t = x.tape
    if tape is None:
        return t
    while t is not None:
        if t is tape:
            return x.tape
        t = t.parent
    return tape


# ---- its value

cdef extern from *:
    """
    #include "numpy/arrayscalars.h"
    static PyObject *ft_number64(double value) {
        PyObject *o = PyArrayScalar_New(Double);
        if (o) PyArrayScalar_ASSIGN(o, Double, value);
        return o;
    }
    static PyObject *ft_number32(float value) {
        PyObject *o = PyArrayScalar_New(Float);
        if (o) PyArrayScalar_ASSIGN(o, Float, value);
        return o;
    }
    """
    object ft_number64(double)
    object ft_number32(float)

cdef int force(Tape tape, int32_t node) except -1:
    """Compute a node, and what live tracers stand for, since what is read next is among it."""
    cdef void *p
    cdef int64_t n = 1, at
    cdef int32_t *outputs
    if tape.t.entry[root_of(tape, node)].flags & FT_DONE:
        return 0
    with cython.critical_section(tape):
        p = tape.tracers
        while p != NULL:
            n += 1
            p = (<Tracer><PyObject *>p).next
    at = new_args(tape, n)
    outputs = tape.t.args + at
    outputs[0] = node
    n = 1
    with cython.critical_section(tape):
        p = tape.tracers
        while p != NULL:
            if (<Tracer><PyObject *>p).base is None:    # a view's base is alive too
                outputs[n] = (<Tracer><PyObject *>p).node
                n += 1
            p = (<Tracer><PyObject *>p).next
    evaluate(tape, outputs, n)
    tape.t.n_args = at
    return 0


cdef object value_of(Tape tape, int32_t node):
    """A computed node as a NumPy array or scalar of its own."""
    cdef ft_entry *e = tape.t.entry + node
    cdef int32_t root = root_of(tape, node)
    cdef ft_shape *s = tape.t.shape + e.shape
    cdef cnp.npy_intp dims[FT_MAX_DIMS]
    cdef cnp.ndarray y
    cdef int k, f32 = e.dtype & 1
    if e.shape == 0:
        if e.dtype == FT_B64 or e.dtype == FT_B32:
            return np.bool_(tape.t.val[node].f != 0)
        return ft_number32(<float>tape.t.val[node].f) if f32 else ft_number64(tape.t.val[node].f)
    for k in range(s.ndim):
        dims[k] = tape.t.dims[s.at + k]
    y = cnp.PyArray_EMPTY(s.ndim, dims, cnp.NPY_FLOAT if f32 else cnp.NPY_DOUBLE, 0)
    if e.op == OP_view:
        machine.copy(&tape.t, e.aux, f32, tape.t.val[root].p, cnp.PyArray_DATA(y))
    else:
        memcpy(cnp.PyArray_DATA(y), tape.t.val[root].p, s.size * itemsize(e.dtype))
    if e.dtype == FT_B64 or e.dtype == FT_B32:
        return y != 0
    return y


cdef object concrete(Tracer x):
    """The value of a tracer, whatever depends on it."""
    cdef int32_t node = node_of(x)
    if x.tape.bodily:
        return concrete(seen_outside(x, "value"))
    force(x.tape, node)
    return value_of(x.tape, node)


cdef object observed(Tracer x, object how):
    """What the traced function sees of a value: `how(value)`, or all of it. Where the trace is kept it is a
    guard, which a replay must meet."""
    cdef int32_t node = node_of(x)
    cdef Tape tape = x.tape
    if tape.bodily:
        seen = observed(seen_outside(x, "value" if how is None else getattr(how, "__name__", "value")), how)
        if tape.lots is not None:
            tape.guards.append((node, how, seen, place()))
        return seen
    force(tape, node)
    seen = value_of(tape, node)
    try:
        if how is not None:
            seen = how(seen)
    except Exception as error:
        if tape.guards is not None:
            tape.guards.append((node, how, Raised(repr(error)), place()))
        raise
    if tape.guards is not None:
        tape.guards.append((node, how, seen, place()))
    return seen


cdef object looked_at(object how, object value):
    """What `how` makes of a value. What it raises is an outcome too, since the traced function may catch it."""
    try:
        return value if how is None else how(value)
    except Exception as error:
        return Raised(repr(error))


class Raised(str):
    """An exception, as text."""

    __slots__ = ()
    __repr__ = str.__str__


class Look:
    """A way in which Python looks at a value, by its name: what is kept of a guard can be written to a file."""

    __slots__ = ("name", "args")

    ways = {"round": lambda value: round(value.item()),
            "floor": lambda value: int(np.floor(value)),
            "ceil": lambda value: int(np.ceil(value)),
            "trunc": lambda value: int(np.trunc(value)),
            "astype": lambda value, dtype: value.astype(dtype),
            "index": lambda value: value if value.dtype.kind == "b" else np.asarray(value).astype(np.intp),
            "reduce": lambda value, name, axis, keepdims: getattr(value, name)(axis, keepdims=keepdims)}

    def __init__(self, name, *args):
        self.name, self.args = name, args

    def __call__(self, value):
        return self.ways[self.name](value, *self.args)

    @property
    def __name__(self):
        return self.name


cdef object place():
    """File and line of the user's code that is running."""
    frame = sys._getframe()
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] in ("fasttape", "numpy"):
        frame = frame.f_back
    return frame.f_code.co_filename, frame.f_lineno


cdef object inactive_value(Tracer x, str what, str remedy):
    if x.tape is not None and x.tape.t.entry[node_of(x)].flags & FT_ACTIVE:
        raise TypeError(f"fasttape: {what} would drop the derivative of a traced value; {remedy}")
    return observed(x, None)


def is_traced(x):
    """Whether x is a traced value."""
    return isinstance(x, Tracer)


def value(x):
    """The value of a traced array or number, as a plain one."""
    return observed(x, None)
