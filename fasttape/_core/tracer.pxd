# What every traced value is: a node of a tape, by reference. The hottest steps are inline here.
cimport cython

from cpython.ref cimport Py_TYPE, PyObject, PyTypeObject
from libc.stdint cimport int32_t, uint32_t

from fasttape._core.tape cimport Tape


@cython.no_gc                       # it refers to no tracer but its base, which refers to none; said here for array.pyx
cdef class Tracer:
    cdef Tape tape
    cdef uint32_t generation
    cdef int32_t node
    cdef Tracer base                # the tracer that this one is a view of, never itself a view
    cdef int32_t base_node          # the base's node when `node` was taken from it
    cdef int32_t view               # the region of the base
    cdef bint listed
    cdef bint lent                  # stands for a value of an enclosing trace, which it must not change
    cdef bint readonly              # or what is broadcast, or a view of it: not to be written to
    cdef void *next                 # live tracers of the tape
    cdef void *prev

cdef PyTypeObject *scalar_type      # array.Scalar; NULL until `adopt`

cdef int adopt(type array, type scalar) except -1
cdef object new_tracer(PyTypeObject *kind)
cdef Tracer wrap(Tape tape, int32_t node)
cdef Tracer wrap_array(Tape tape, int32_t node)
cdef int cannot_use(Tracer x) except -1
cdef int32_t follow_base(Tracer x) except -1
cdef int forget_now(Tape tape) except -1
cdef int32_t operand(Tape tape, object x, int like) except -1
cdef Tape innermost(Tape tape, Tracer x)
cdef int force(Tape tape, int32_t node) except -1
cdef object value_of(Tape tape, int32_t node)
cdef object concrete(Tracer x)
cdef object observed(Tracer x, object how)
cdef object looked_at(object how, object value)
cdef object place()
cdef object inactive_value(Tracer x, str what, str remedy)

cdef extern from "Python.h":
    unsigned long PyThread_get_thread_ident() nogil

cdef extern from *:
    """
    static inline PyObject *ft_revive(PyObject *o) {
        _Py_NewReference(o);
        return o;
    }
    """
    object ft_revive(PyObject *)

# Dead numbers wait here, with no tape and no base, to be used again: a traced loop makes and drops one
# per operation.
cdef struct Dead:
    int n
    PyObject *at[1024]

cdef Dead dead

cdef inline bint is_scalar(object x) noexcept:
    return Py_TYPE(x) == scalar_type

cdef inline bint is_tracer(object x) noexcept:
    return is_scalar(x) or isinstance(x, Tracer)

cdef inline Tracer blank_scalar():
    cdef int last = dead.n - 1      # read once: the next operation waits for it
    if last >= 0:
        dead.n = last
        return <Tracer>ft_revive(dead.at[last])
    return <Tracer>new_tracer(scalar_type)

cdef inline Tracer new_scalar(Tape tape, int32_t node):
    """A tracer for a known number on a tape that forgets nothing: it need not be listed."""
    cdef Tracer x = blank_scalar()
    x.tape = tape
    x.generation = tape.generation
    x.node = node
    x.listed = False
    return x

cdef inline Tracer scalar_beside(Tracer x, int32_t node):
    """As `new_scalar`, on the tape of x."""
    cdef Tracer y = blank_scalar()
    y.tape = x.tape
    y.generation = x.generation
    y.node = node
    y.listed = False
    return y

cdef inline int32_t node_of(Tracer x) except -1:
    """The node that x stands for now."""
    if x.tape is None or x.generation != x.tape.generation or x.tape.broken \
            or x.tape.thread != PyThread_get_thread_ident():    # no variable for x.tape, which would be counted
        cannot_use(x)
    if x.base is not None and x.base.node != x.base_node:
        return follow_base(x)
    return x.node

cdef inline int after_record(Tape tape) except -1:
    if tape.forgets and tape.depth == 1 and tape.t.n > 1024:
        forget_now(tape)
    return 0
