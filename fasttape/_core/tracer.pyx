"""Tracers: `Array`, and `Scalar` for shape (). Operators, NumPy's protocols, indexing, aliasing.

A tracer names a node of a tape. An operation on it appends an entry and returns a new tracer; the
mutating ones (x[i] = v, x += y) append too, and rebind the tracer to the new node. A view is a tracer
that knows its base and region: it reads through the base as it is now, and writes through it.
"""
import numpy as np

from cpython.ref cimport PyObject
from libc.string cimport memcpy

cimport cython
cimport numpy as cnp

from fasttape._core.capture cimport begin_watch, capture, capture_places
from fasttape._core.index cimport Region, is_basic, restride, select
from fasttape._core.plan cimport evaluate
from fasttape._core.record cimport *

cnp.import_array()

cdef extern from "Python.h":
    unsigned long PyThread_get_thread_ident() nogil
    double PyLong_AsDouble(object) except? -1

cdef type np_float64 = np.float64
cdef tuple OPERANDS = (int, np.ndarray, np.generic, list, tuple)    # looked up once
cdef dict UFUNCS = {}               # ufunc -> opcode, filled from the table below
cdef dict REDUCTIONS = {}           # ufunc -> the method that is its reduce
FUNCTIONS = {}                      # function of NumPy's that is no ufunc -> our own; see functions.py
forget = None                       # set by trace.pyx: what a forward trace does when its tape is long


class TraceError(RuntimeError):
    """A traced value was used where it has no meaning: after its trace, or in another thread."""


# ---- making and reading tracers

cdef inline bint is_tracer(object x) noexcept:
    return type(x) is Scalar or isinstance(x, Array)


cdef extern from *:
    """
    /* Dead numbers wait here, with no tape and no base, to be used again: a traced loop makes and
     * drops one per operation. Not for free-threaded Python, where two threads could take the same. */
    #ifdef Py_GIL_DISABLED
    #define FT_DEAD 0
    #else
    #define FT_DEAD 1024
    #endif
    static PyObject *ft_dead[FT_DEAD + 1];
    static int ft_n_dead = 0;
    static inline PyObject *ft_revive(void) {
        PyObject *o = ft_dead[--ft_n_dead];
        _Py_NewReference(o);
        return o;
    }
    """
    enum:
        FT_DEAD
    PyObject *ft_dead[1]
    int ft_n_dead
    object ft_revive()


cdef inline Scalar new_scalar(Tape tape, int32_t node):
    """A tracer for a known number on a tape that forgets nothing: it need not be listed."""
    cdef Scalar x
    if ft_n_dead > 0:
        x = <Scalar>ft_revive()
    else:
        x = <Scalar>Scalar.__new__(Scalar)
    x.tape = tape
    x.generation = tape.generation
    x.node = node
    x.listed = False
    return x


cdef Array wrap(Tape tape, int32_t node):
    """A tracer for a node. It joins the tape's list of live tracers if it may have to be computed or
    renamed: a number that is known, on a tape that forgets nothing, will not."""
    cdef Array x
    cdef ft_entry *e = tape.t.entry + node
    if e.shape == 0:
        x = <Array>new_scalar(tape, node)
        if e.flags & FT_DONE and not tape.forgets:
            return x
    else:
        x = <Array>Array.__new__(Array)
        x.tape = tape
        x.generation = tape.generation
        x.node = node
    x.listed = True
    x.prev = NULL
    x.next = tape.tracers
    if tape.tracers != NULL:
        (<Array><PyObject *>tape.tracers).prev = <void *>x
    tape.tracers = <void *>x
    return x


cdef int cannot_use(Array x) except -1:
    if x.tape is None or x.generation != x.tape.generation:
        raise TraceError("fasttape: a traced value was used after its trace had ended. It leaked out of the traced "
                         "function, through a global, an attribute or a list; return it from the function instead")
    if x.tape.broken:
        raise TraceError("fasttape: this trace cannot go on, since running it failed before")
    raise TraceError("fasttape: a traced value was used in another thread than the one that traces it; "
                     "call the transform in each thread")


cdef int32_t node_of(Array x) except -1:
    """The node that x stands for now."""
    cdef Tape tape = x.tape
    if tape is None or x.generation != tape.generation or tape.broken or tape.thread != PyThread_get_thread_ident():
        cannot_use(x)
    if x.base is not None and x.base.node != x.base_node:
        x.base.node = owner(tape, x.base.node)
        x.base_node = x.base.node
        x.node = look(tape, x.base_node, x.view)
    return x.node


cdef int after_record(Tape tape) except -1:
    if tape.forgets and tape.depth == 1 and tape.t.n > 1024:
        forget(tape)
    return 0


cdef int32_t operand(Tape tape, object x, int like) except -1:
    """The node of any operand that stands beside a traced value of dtype `like`."""
    if isinstance(x, Array):
        if (<Array>x).tape is not tape:
            if (<Array>x).tape is None or (<Array>x).generation != (<Array>x).tape.generation:
                cannot_use(<Array>x)
            return import_node(tape, <Array>x)
        return node_of(<Array>x)
    if type(x) is float:
        return constant(tape, <double>x, like & 1)
    return capture(tape, x, like)


importer = None                     # set by checkpoint.pyx: brings a value of an enclosing trace in


cdef int32_t import_node(Tape tape, Array x) except -1:
    if importer is None:
        raise TraceError("fasttape: values of two different traces were combined")
    return (<Array>importer(tape, x)).node


cdef Tape innermost(Tape tape, Array x):
    """Of a tape and that of x, the one that records inside the other (a checkpointed region's)."""
    cdef Tape t = x.tape
    if tape is None:
        return t
    while t is not None:
        if t is tape:
            return x.tape
        t = t.parent
    return tape


cdef int force(Tape tape, int32_t node) except -1:
    """Compute a node, and what live tracers stand for, since what is read next is among it."""
    cdef Array x
    cdef void *p
    cdef int64_t n = 1, at
    cdef int32_t *outputs
    if tape.t.entry[root_of(tape, node)].flags & FT_DONE:
        return 0
    p = tape.tracers
    while p != NULL:
        n += 1
        p = (<Array><PyObject *>p).next
    at = new_args(tape, n)
    outputs = tape.t.args + at
    outputs[0] = node
    n = 1
    p = tape.tracers
    while p != NULL:
        x = <Array><PyObject *>p
        if x.base is None:              # a view's base is alive too
            outputs[n] = x.node
            n += 1
        p = x.next
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
        return np.float32(tape.t.val[node].f) if f32 else np.float64(tape.t.val[node].f)
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


cdef object concrete(Array x):
    """The value of a tracer, whatever depends on it."""
    cdef int32_t node = node_of(x)
    force(x.tape, node)
    return value_of(x.tape, node)


cdef object inactive_value(Array x, str what, str remedy):
    if x.tape is not None and x.tape.t.entry[node_of(x)].flags & FT_ACTIVE:
        raise TypeError(f"fasttape: {what} would drop the derivative of a traced value; {remedy}")
    return concrete(x)


# ---- operators

cdef inline double arithmetic(int op, double a, double b) noexcept:
    """The table's values of the four commonest ops, without a call."""
    if op == OP_add:
        return a + b
    if op == OP_multiply:
        return a * b
    if op == OP_subtract:
        return a - b
    return a / b if op == OP_divide else machine.scalar(op, a, b, 0.0)


cdef inline bint plain_number(Tape tape, int32_t node) noexcept:
    """A known float64."""
    return tape.t.entry[node].shape == 0 and tape.t.entry[node].flags & FT_DONE and tape.t.entry[node].dtype == FT_F64


cdef object binary_numbers(int op, Tape tape, int32_t a, int32_t b):
    """The path of a loop over scalars: float64 operands whose values are known."""
    cdef int32_t y
    cdef int flags = FT_DONE | ((tape.t.entry[a].flags | tape.t.entry[b].flags) & FT_ACTIVE
                                if active_operands[op] == 3 else 0)
    y = emit(tape, op, FT_B64 if truth_ops[op] else FT_F64, flags, 0, a, b, 0)
    tape.t.val[y].f = arithmetic(op, tape.t.val[a].f, tape.t.val[b].f)
    return new_scalar(tape, y)


cdef object binary(int op, object x, object y):
    cdef Tape tape
    cdef int32_t a, b
    cdef Array z
    if type(x) is Scalar:
        tape = (<Scalar>x).tape
        if not tape.forgets and (active_operands[op] == 3 or truth_ops[op]):
            a = node_of(<Scalar>x)
            if plain_number(tape, a):
                if type(y) is float:
                    return binary_numbers(op, tape, a, constant(tape, <double>y, FT_F64))
                if type(y) is Scalar and (<Scalar>y).tape is tape and (<Scalar>y).generation == tape.generation \
                        and plain_number(tape, (<Scalar>y).node):
                    return binary_numbers(op, tape, a, (<Scalar>y).node)
    elif type(x) is float and type(y) is Scalar:
        tape = (<Scalar>y).tape
        if not tape.forgets and (active_operands[op] == 3 or truth_ops[op]):
            b = node_of(<Scalar>y)
            if plain_number(tape, b):
                return binary_numbers(op, tape, constant(tape, <double>x, FT_F64), b)
    if is_tracer(x):
        tape = (<Array>x).tape
        a = node_of(<Array>x)
        if type(y) is float:
            b = constant(tape, <double>y, tape.t.entry[a].dtype & 1)
        elif is_tracer(y):
            if (<Array>y).tape is not tape:
                tape = innermost(tape, y)
                a = operand(tape, x, 0)
            b = operand(tape, y, 0)
        elif type(y) is int:
            b = constant(tape, PyLong_AsDouble(y), tape.t.entry[a].dtype & 1)
        elif isinstance(y, OPERANDS):
            b = operand(tape, y, tape.t.entry[a].dtype)
        else:
            return NotImplemented
    else:
        tape = (<Array>y).tape
        b = node_of(<Array>y)
        if type(x) is float:
            a = constant(tape, <double>x, tape.t.entry[b].dtype & 1)
        elif type(x) is int:
            a = constant(tape, PyLong_AsDouble(x), tape.t.entry[b].dtype & 1)
        elif isinstance(x, OPERANDS):
            a = operand(tape, x, tape.t.entry[b].dtype)
        else:
            return NotImplemented
    z = wrap(tape, map2(tape, op, a, b))
    after_record(tape)
    return z


cdef object unary(int op, Array x):
    cdef Array y = wrap(x.tape, map1(x.tape, op, node_of(x)))
    after_record(x.tape)
    return y


cdef object power(object x, object y):
    cdef double p
    if is_tracer(x) and (type(y) is int or type(y) is float or type(y) is np_float64):
        p = PyLong_AsDouble(y) if type(y) is int else y
        if p == 2.0:
            return unary(OP_square, x)
        if p == 1.0:
            return unary(OP_positive, x)
        if p == 0.5:
            return unary(OP_sqrt, x)
        if p == -1.0:
            return unary(OP_reciprocal, x)
    return binary(OP_power, x, y)


cdef object in_place(Array x, object y):
    """x takes the value y, as an ndarray does in x += ...: seen through x's base and views."""
    cdef Tape tape = x.tape
    cdef int32_t value
    if y is NotImplemented:
        return y
    if x.lent or (x.base is not None and x.base.lent):
        changes_lent()
    value = node_of(<Array>y)
    node_of(x)
    if shape_of(tape, value) != shape_of(tape, x.node):
        raise ValueError(f"fasttape: non-broadcastable output operand with shape {x.shape} doesn't match the "
                         f"broadcast shape {y.shape}")
    value = cast(tape, value, tape.t.entry[x.node].dtype)
    if x.base is not None:
        store(x.base, x.view, value)
    else:
        x.node = value
    return x


cdef int changes_lent() except -1:
    raise TypeError("checkpoint: the function changes an array of the trace around it, which a function that is run "
                    "again must not; let it work on a copy, x.copy(), and return it")


cdef int store(Array base, int32_t view, int32_t value) except -1:
    """Write a node into a region of a tracer: record the update and rebind it."""
    cdef Tape tape = base.tape
    cdef int32_t a = owner(tape, base.node), shape = tape.t.view[view].shape
    if base.lent:
        changes_lent()
    if shape == 0:
        base.node = structural(tape, OP_set_at, shape_of(tape, a), a, value, <int32_t>tape.t.view[view].offset)
        return 0
    if shape_of(tape, value) != shape and shape_of(tape, value) != 0:
        while ndim_of(tape, value) > tape.t.shape[shape].ndim and dims_of(tape, value)[0] == 1:
            value = drop_first_axis(tape, value)
        if broadcast(tape, shape_of(tape, value), shape) != shape:
            raise ValueError(f"could not broadcast input array from shape {shape_tuple(tape, shape_of(tape, value))} "
                             f"into shape {shape_tuple(tape, shape)}")
        value = spread(tape, value, shape)
    base.node = structural(tape, OP_update, shape_of(tape, a), a, value, view)
    return 0


cdef int32_t drop_first_axis(Tape tape, int32_t a) except -1:
    cdef int64_t dims[FT_MAX_DIMS]
    cdef int k, ndim = ndim_of(tape, a)
    for k in range(1, ndim):
        dims[k - 1] = dims_of(tape, a)[k]
    return reshape(tape, a, intern_shape(tape, ndim - 1, dims))


# ---- indexing

cdef int whole(Array x, Region *r) except -1:
    """The region of x in its base, or in itself."""
    cdef Tape tape = x.tape
    cdef int k
    cdef ft_view *w
    cdef int64_t step = 1
    r.ndim = ndim_of(tape, x.node)
    r.offset = 0
    for k in range(r.ndim):
        r.dims[k] = dims_of(tape, x.node)[k]
    if x.base is not None:
        w = tape.t.view + x.view
        r.offset = w.offset
        for k in range(r.ndim):
            r.strides[k] = tape.t.dims[w.at + k]
    else:
        for k in range(r.ndim - 1, -1, -1):
            r.strides[k] = step
            step *= r.dims[k]
    return 0


cdef Array view_tracer(Array x, Region *r):
    """A tracer for a region of x's base."""
    cdef Tape tape = x.tape
    cdef Array base = x if x.base is None else x.base
    cdef Array y
    cdef int32_t node, view
    base.node = owner(tape, base.node)
    if r.ndim == 0:                 # an element is a number: it keeps its value, as in NumPy
        return wrap(tape, get(tape, base.node, r.offset))
    view = intern_view(tape, shape_of(tape, base.node), r.ndim, r.dims, r.strides, r.offset)
    node = base.node if tape.t.view[view].shape == shape_of(tape, base.node) and tape.t.view[view].contiguous \
        and r.offset == 0 else emit(tape, OP_view, tape.t.entry[base.node].dtype,
                                    tape.t.entry[base.node].flags & FT_ACTIVE, tape.t.view[view].shape, base.node, 0, view)
    y = wrap(tape, node)
    y.base = base
    y.base_node = base.node
    y.view = view
    return y


cdef bint has_traced(tuple index):
    for i in index:
        if isinstance(i, Array):
            return True
    return False


cdef object plain_index(object index):
    """An index whose traced parts (masks, whole numbers) are replaced by their values."""
    if isinstance(index, Array):
        value = concrete(index)
        return value if value.dtype.kind == "b" else np.asarray(value).astype(np.intp)
    if type(index) is tuple:
        return tuple([plain_index(i) for i in index])
    return index


cdef Array take(Array x, object index):
    """Integer-array and boolean indexing: a gather, of rows where only the first axis is indexed."""
    cdef Tape tape = x.tape
    cdef int32_t a = owner(tape, node_of(x)), places, shape
    cdef int64_t dims[FT_MAX_DIMS]
    cdef int64_t row = 1
    cdef int k, n
    first = index[0] if type(index) is tuple and len(index) == 1 else index
    if isinstance(first, (list, np.ndarray)):
        first = np.asarray(first)
    if isinstance(first, np.ndarray) and first.dtype.kind in "iu":
        length = dims_of(tape, a)[0]
        if first.size and (first.min() < -length or first.max() >= length):
            bad = first.min() if first.min() < -length else first.max()
            raise IndexError(f"index {bad} is out of bounds for axis 0 with size {length}")
        places = capture_places(tape, np.where(first < 0, first + length, first) if first.size and first.min() < 0 else first)
        n = first.ndim
        for k in range(n):
            dims[k] = first.shape[k]
        for k in range(1, ndim_of(tape, a)):
            dims[n] = dims_of(tape, a)[k]
            row *= dims[n]
            n += 1
        shape = intern_shape(tape, n, dims)
    else:
        flat = np.arange(size_of(tape, a)).reshape(shape_tuple(tape, shape_of(tape, a)))[index]
        places = capture_places(tape, flat)
        for k in range(flat.ndim):
            dims[k] = flat.shape[k]
        shape = intern_shape(tape, flat.ndim, dims)
        if flat.ndim == 0:
            return wrap(tape, get(tape, a, int(flat)))
    if row > 0x7fffffff:
        raise NotImplementedError("fasttape: rows of 2**31 elements or more cannot be gathered")
    if shape == 0:
        return wrap(tape, get(tape, a, int(np.asarray(first)) * row))
    return wrap(tape, emit(tape, OP_take, tape.t.entry[a].dtype, tape.t.entry[a].flags & FT_ACTIVE, shape, a, places,
                           <int32_t>row))


# ---- axes

cdef int64_t axes_mask(object axis, int ndim, str name) except -1:
    """The mask of the axes that NumPy's `axis` argument names; bit j is axis -1-j."""
    cdef int64_t mask = 0
    cdef int k
    if axis is None:
        return ((<int64_t>1) << ndim) - 1
    for a in (axis if isinstance(axis, tuple) else (axis,)):
        k = a.__index__()
        if k < -ndim or k >= ndim:
            raise np.exceptions.AxisError(k, ndim)
        k = ndim - 1 - (k + ndim if k < 0 else k)
        if mask >> k & 1:
            raise ValueError(f"{name}: duplicate value in 'axis'")
        mask |= (<int64_t>1) << k
    return mask


cdef bint empty_along(Tape tape, int32_t a, int64_t mask):
    cdef int k, ndim = ndim_of(tape, a)
    for k in range(ndim):
        if mask >> (ndim - 1 - k) & 1 and dims_of(tape, a)[k] == 0:
            return True
    return False


cdef int32_t reduced(Array x, int op, object axis, bint keepdims, str name) except -1:
    cdef Tape tape = x.tape
    cdef int32_t a = node_of(x), y
    cdef int ndim = ndim_of(tape, a)
    cdef int64_t mask = axes_mask(axis, ndim, name)
    if tape.t.entry[a].dtype >= FT_B64:
        a = cast(tape, a, FT_F32 if tape.t.entry[a].dtype == FT_B32 else FT_F64)
    if op != OP_sum and empty_along(tape, a, mask):
        raise ValueError(f"{name}: zero-size array to reduction operation which has no identity")
    if ndim == 0:
        return a
    y = reduce(tape, op, a, mask)
    return keep_axes(tape, y, mask, ndim) if keepdims else y


cdef int64_t count_along(Array x, object axis) except -1:
    cdef int ndim = ndim_of(x.tape, node_of(x)), k
    cdef int64_t mask = axes_mask(axis, ndim, "mean"), n = 1
    for k in range(ndim):
        if mask >> (ndim - 1 - k) & 1:
            n *= dims_of(x.tape, x.node)[k]
    return n


cdef int no_extras(str name, tuple extras) except -1:
    """The arguments of NumPy's that are not supported must have their defaults."""
    for key, value, default in extras:
        if value is not default:
            raise TypeError(f"fasttape: {name} of a traced value does not take {key}=")
    return 0


cdef int32_t as_matrix(Tape tape, int32_t a, bint first) except -1:
    cdef int64_t dims[2]
    dims[0] = 1 if first else dims_of(tape, a)[0]
    dims[1] = dims_of(tape, a)[0] if first else 1
    return reshape(tape, a, intern_shape(tape, 2, dims))


cdef object product(object x, object y):
    """x @ y. A large array that enters the tape here is read once, for its checksum and the product."""
    cdef Array traced = x if isinstance(x, Array) else y
    cdef Tape tape = traced.tape
    cdef int32_t z, root
    if isinstance(y, Array):
        tape = innermost(tape, y)
    tape.defers = True
    try:
        z = product_node(tape, x, y, tape.t.entry[node_of(traced)].dtype)
        root = root_of(tape, z)
        if tape.t.n_watch and tape.t.watch[tape.t.n_watch - 1].at == 0 and \
                tape.t.entry[root_of(tape, tape.t.entry[root].a)].flags & \
                tape.t.entry[root_of(tape, tape.t.entry[root].b)].flags & FT_DONE:
            evaluate(tape, &root, 1)
    finally:
        begin_watch(tape)
    result = wrap(tape, z)
    after_record(tape)
    return result


cdef int32_t product_node(Tape tape, object x, object y, int like) except -1:
    """x @ y as NumPy's matmul: vectors are rows on the left and columns on the right."""
    cdef int32_t a = operand(tape, x, like), b = operand(tape, y, like), z
    cdef bint left = ndim_of(tape, a) == 1, right = ndim_of(tape, b) == 1
    cdef int64_t dims[FT_MAX_DIMS]
    cdef int k, n = 0, ndim
    if ndim_of(tape, a) == 0 or ndim_of(tape, b) == 0:
        raise ValueError("matmul: an operand is a scalar; use * instead")
    if tape.t.entry[a].dtype >= FT_B64:
        a = cast(tape, a, tape.t.entry[a].dtype & 1)
    if tape.t.entry[b].dtype >= FT_B64:
        b = cast(tape, b, tape.t.entry[b].dtype & 1)
    if left:
        a = as_matrix(tape, a, True)
    if right:
        b = as_matrix(tape, b, False)
    z = matmul(tape, a, b)
    if left or right:
        ndim = ndim_of(tape, z)
        for k in range(ndim):
            if not (left and k == ndim - 2) and not (right and k == ndim - 1):
                dims[n] = dims_of(tape, z)[k]
                n += 1
        z = reshape(tape, z, intern_shape(tape, n, dims))
    return z


# ---- the classes

@cython.freelist(256)
@cython.no_gc                       # a tracer refers to no tracer but its base, which refers to none
cdef class Array:
    """A traced array. It behaves as the NumPy array whose value it stands for."""

    __array_priority__ = 1000

    def __init__(self):
        raise TypeError("fasttape: traced arrays are made by the transforms, not by hand")

    # -- arithmetic
    def __add__(x, y): return binary(OP_add, x, y)
    def __radd__(x, y): return binary(OP_add, y, x)
    def __sub__(x, y): return binary(OP_subtract, x, y)
    def __rsub__(x, y): return binary(OP_subtract, y, x)
    def __mul__(x, y): return binary(OP_multiply, x, y)
    def __rmul__(x, y): return binary(OP_multiply, y, x)
    def __truediv__(x, y): return binary(OP_divide, x, y)
    def __rtruediv__(x, y): return binary(OP_divide, y, x)
    def __floordiv__(x, y): return binary(OP_floor_divide, x, y)
    def __rfloordiv__(x, y): return binary(OP_floor_divide, y, x)
    def __mod__(x, y): return binary(OP_remainder, x, y)
    def __rmod__(x, y): return binary(OP_remainder, y, x)
    def __divmod__(x, y): return binary(OP_floor_divide, x, y), binary(OP_remainder, x, y)
    def __rdivmod__(x, y): return binary(OP_floor_divide, y, x), binary(OP_remainder, y, x)
    def __pow__(x, y, modulo): return power(x, y)
    def __rpow__(x, y, modulo): return binary(OP_power, y, x)
    def __matmul__(x, y): return product(x, y)
    def __rmatmul__(x, y): return product(y, x)
    def __neg__(self): return unary(OP_negative, self)
    def __pos__(self): return unary(OP_positive, self)
    def __abs__(self): return unary(OP_absolute, self)

    def __iadd__(self, y): return in_place(self, binary(OP_add, self, y))
    def __isub__(self, y): return in_place(self, binary(OP_subtract, self, y))
    def __imul__(self, y): return in_place(self, binary(OP_multiply, self, y))
    def __itruediv__(self, y): return in_place(self, binary(OP_divide, self, y))
    def __ifloordiv__(self, y): return in_place(self, binary(OP_floor_divide, self, y))
    def __imod__(self, y): return in_place(self, binary(OP_remainder, self, y))
    def __ipow__(self, y, modulo): return in_place(self, power(self, y))

    # -- truth values
    def __lt__(self, y): return binary(OP_less, self, y)
    def __le__(self, y): return binary(OP_less_equal, self, y)
    def __gt__(self, y): return binary(OP_greater, self, y)
    def __ge__(self, y): return binary(OP_greater_equal, self, y)
    def __eq__(self, y): return binary(OP_equal, self, y)
    def __ne__(self, y): return binary(OP_not_equal, self, y)
    def __and__(x, y): return binary(OP_logical_and, need_truth(x), need_truth(y))
    def __rand__(x, y): return binary(OP_logical_and, need_truth(y), need_truth(x))
    def __or__(x, y): return binary(OP_logical_or, need_truth(x), need_truth(y))
    def __ror__(x, y): return binary(OP_logical_or, need_truth(y), need_truth(x))
    def __xor__(x, y): return binary(OP_logical_xor, need_truth(x), need_truth(y))
    def __rxor__(x, y): return binary(OP_logical_xor, need_truth(y), need_truth(x))
    def __invert__(self): return unary(OP_logical_not, need_truth(self))

    def __hash__(self):
        raise TypeError("unhashable type: a traced array")

    def __bool__(self):
        return bool(concrete(self))

    def __int__(self):
        return int(concrete(self))

    def __float__(self):
        return float(inactive_value(self, "float(x), which is also what math.sin(x) and writing x into a plain array "
                                    "call,", "use np.sin and its like, keep x as it is, or make the array with "
                                    "fasttape.numpy; stop_gradient(x) gives a constant"))

    def __index__(self):
        value = inactive_value(self, "using x as an index", "use int(x)")
        return value.__index__()

    def __array__(self, dtype=None, copy=None):
        value = inactive_value(self, "making a plain array of x", "use np.stack, np.concatenate or fasttape.numpy.array, "
                               "which keep it traced, or stop_gradient(x) for its value")
        return np.asarray(value, dtype)

    def __complex__(self):
        raise TypeError("fasttape: traced values are real; complex(x) is not supported")

    def __repr__(self):
        if self.tape is None or self.generation != self.tape.generation:
            return "<a traced value whose trace has ended>"
        return f"traced {concrete(self)!r}"

    def __str__(self):
        return str(concrete(self)) if self.tape is not None and self.generation == self.tape.generation else repr(self)

    def __format__(self, spec):
        return format(concrete(self), spec)

    def __round__(self, n=None):
        if n is not None:
            raise TypeError("fasttape: round(x, n) of a traced value is not supported; write np.rint(x * 10**n) / 10**n")
        return round(concrete(self).item())

    def __floor__(self): return int(np.floor(concrete(self)))
    def __ceil__(self): return int(np.ceil(concrete(self)))
    def __trunc__(self): return int(np.trunc(concrete(self)))

    def __copy__(self): return unary(OP_positive, self)
    def __deepcopy__(self, memo): return unary(OP_positive, self)

    def __reduce__(self):
        raise TypeError("fasttape: a traced value cannot be pickled; return its value from the traced function")

    # -- shape
    @property
    def shape(self):
        return shape_tuple(self.tape, shape_of(self.tape, node_of(self)))

    @property
    def ndim(self):
        return ndim_of(self.tape, node_of(self))

    @property
    def size(self):
        return size_of(self.tape, node_of(self))

    @property
    def dtype(self):
        cdef int d = self.tape.t.entry[node_of(self)].dtype
        return np.dtype(np.float64) if d == FT_F64 else np.dtype(np.float32) if d == FT_F32 else np.dtype(np.bool_)

    @property
    def itemsize(self):
        return self.dtype.itemsize

    @property
    def nbytes(self):
        return self.size * self.itemsize

    @property
    def T(self):
        return self.transpose()

    @property
    def mT(self):
        if self.ndim < 2:
            raise ValueError("matrix transpose with ndim < 2 is undefined")
        return self.swapaxes(-1, -2)

    @property
    def real(self):
        return self

    @property
    def flat(self):
        return iter(self.ravel())

    def __len__(self):
        if ndim_of(self.tape, node_of(self)) == 0:
            raise TypeError("len() of unsized object")
        return dims_of(self.tape, self.node)[0]

    def __iter__(self):
        cdef int64_t i
        if ndim_of(self.tape, node_of(self)) == 0:
            raise TypeError("iteration over a 0-d array")
        return iter([self[i] for i in range(dims_of(self.tape, self.node)[0])])

    def __contains__(self, value):
        return bool(np.any(concrete(self) == value))

    def __getitem__(self, index):
        cdef Region r
        cdef Array y
        cdef Py_ssize_t i
        cdef int32_t node = node_of(self)
        cdef Tape tape = self.tape
        if type(index) is int and self.base is None and ndim_of(tape, node) == 1:
            i = index
            if -dims_of(tape, node)[0] <= i < dims_of(tape, node)[0]:
                if i < 0:
                    i += dims_of(tape, node)[0]
                if tape.t.entry[node].op == OP_view:
                    self.node = node = owner(tape, node)
                y = wrap(tape, get(tape, node, i))
                after_record(tape)
                return y
        if isinstance(index, Array) or (type(index) is tuple and has_traced(<tuple>index)):
            index = plain_index(index)
        if not is_basic(index):
            y = take(self, index)
        else:
            whole(self, &r)
            select(&r, index)
            y = view_tracer(self, &r)
        after_record(self.tape)
        return y

    def __setitem__(self, index, value):
        cdef Region r
        cdef Tape tape = self.tape
        cdef Array base
        cdef int32_t view, v
        node_of(self)
        if isinstance(index, Array) or (type(index) is tuple and has_traced(<tuple>index)):
            index = plain_index(index)
        if not is_basic(index):
            raise NotImplementedError("fasttape: x[index] = v with integer arrays or masks is not supported yet; "
                                      "use np.where(mask, v, x), or slices and whole numbers")
        whole(self, &r)
        select(&r, index)
        base = self if self.base is None else self.base
        view = intern_view(tape, shape_of(tape, base.node), r.ndim, r.dims, r.strides, r.offset)
        if isinstance(value, Array) and (<Array>value).base is base and (<Array>value).view == view \
                and (<Array>value).base_node == base.node:
            return                      # x[i] += v: the view has been changed in place already
        v = operand(tape, value, tape.t.entry[base.node].dtype)
        v = cast(tape, v, tape.t.entry[base.node].dtype)
        if r.ndim == 0 and shape_of(tape, v) != 0:
            if size_of(tape, v) != 1:
                raise ValueError("setting an array element with a sequence")
            v = reshape(tape, v, 0)
        store(base, view, v)
        after_record(tape)

    def item(self, *args):
        if args:
            return self.ravel()[args[0]] if len(args) == 1 else self[args]
        if self.size != 1:
            raise ValueError("can only convert an array of size 1 to a Python scalar")
        return wrap(self.tape, reshape(self.tape, self.node, 0))

    def reshape(self, *shape, order="C"):
        cdef int64_t dims[FT_MAX_DIMS]
        cdef int64_t known = 1, size = self.size
        cdef int k, unknown = -1, n
        cdef Region r
        if order != "C":
            raise NotImplementedError(f"fasttape: reshape with order={order!r} is not supported; use order='C'")
        if len(shape) == 1 and not hasattr(shape[0], "__index__"):
            shape = tuple(shape[0])
        n = len(shape)
        if n > 32:
            raise ValueError(f"reshape: at most 32 axes, got {n}")
        for k in range(n):
            dims[k] = shape[k].__index__()
            if dims[k] == -1 and unknown < 0:
                unknown = k
            elif dims[k] < 0:
                raise ValueError("reshape: can only specify one unknown dimension, and none below -1")
            else:
                known *= dims[k]
        if unknown >= 0 and (known == 0 or size % known):
            raise ValueError(f"cannot reshape array of size {size} into shape {shape}")
        if unknown >= 0:
            dims[unknown] = size // known
            known *= dims[unknown]
        if known != size:
            raise ValueError(f"cannot reshape array of size {size} into shape {shape}")
        whole(self, &r)
        if n and r.ndim and restride(&r, n, dims):
            return view_tracer(self, &r)
        return wrap(self.tape, reshape(self.tape, self.node, intern_shape(self.tape, n, dims)))

    def ravel(self, order="C"): return self.reshape(-1, order=order)
    def flatten(self, order="C"): return unary(OP_positive, self.reshape(-1, order=order))
    def copy(self, order="C"): return unary(OP_positive, self)

    def transpose(self, *axes):
        cdef Region r, out
        cdef int k, a
        node_of(self)
        whole(self, &r)
        if len(axes) == 1 and (axes[0] is None or not hasattr(axes[0], "__index__")):
            axes = () if axes[0] is None else tuple(axes[0])
        order = [a.__index__() for a in axes] or list(range(r.ndim))[::-1]
        order = [a + r.ndim if a < 0 else a for a in order]
        if sorted(order) != list(range(r.ndim)):
            raise ValueError(f"transpose: axes {axes} do not match an array of {r.ndim} axes")
        if r.ndim < 2:
            return self
        out = r
        for k in range(r.ndim):
            a = order[k]
            out.dims[k] = r.dims[a]
            out.strides[k] = r.strides[a]
        return view_tracer(self, &out)

    def swapaxes(self, a, b):
        order = list(range(self.ndim))
        order[a], order[b] = order[b], order[a]
        return self.transpose(order)

    def squeeze(self, axis=None):
        shape = self.shape
        mask = axes_mask(axis, len(shape), "squeeze")
        if axis is None:
            return self[tuple([0 if n == 1 else slice(None) for n in shape])] if 1 in shape else self
        index = []
        for k, n in enumerate(shape):
            drop = mask >> (len(shape) - 1 - k) & 1
            if drop and n != 1:
                raise ValueError("squeeze: cannot select an axis to squeeze out which has size not equal to one")
            index.append(0 if drop else slice(None))
        return self[tuple(index)]

    def astype(self, dtype, copy=True):
        dtype = np.dtype(dtype)
        if dtype == np.float64 or dtype == np.float32:
            return wrap(self.tape, cast(self.tape, node_of(self), FT_F32 if dtype == np.float32 else FT_F64))
        if dtype == np.bool_:
            return self != 0
        if dtype.kind in "iu":
            return concrete(self).astype(dtype)
        raise TypeError(f"fasttape: a traced value cannot become {dtype}; supported are float64, float32, bool and integers")

    # -- reductions
    def sum(self, axis=None, dtype=None, out=None, keepdims=False, initial=None, where=None):
        no_extras("sum", (("dtype", dtype, None), ("out", out, None), ("initial", initial, None), ("where", where, None)))
        cdef Array y = wrap(self.tape, reduced(self, OP_sum, axis, keepdims, "sum"))
        after_record(self.tape)
        return y

    def mean(self, axis=None, dtype=None, out=None, keepdims=False, where=None):
        no_extras("mean", (("dtype", dtype, None), ("out", out, None), ("where", where, None)))
        n = count_along(self, axis)
        return self.sum(axis=axis, keepdims=keepdims) / (<double>n)

    def max(self, axis=None, out=None, keepdims=False, initial=None, where=None):
        no_extras("max", (("out", out, None), ("initial", initial, None), ("where", where, None)))
        return wrap(self.tape, reduced(self, OP_max, axis, keepdims, "max"))

    def min(self, axis=None, out=None, keepdims=False, initial=None, where=None):
        no_extras("min", (("out", out, None), ("initial", initial, None), ("where", where, None)))
        return wrap(self.tape, reduced(self, OP_min, axis, keepdims, "min"))

    def var(self, axis=None, dtype=None, out=None, ddof=0, keepdims=False):
        no_extras("var", (("dtype", dtype, None), ("out", out, None)))
        deviation = self - self.mean(axis=axis, keepdims=True)
        return (deviation * deviation).sum(axis=axis, keepdims=keepdims) / (<double>(count_along(self, axis) - ddof))

    def std(self, axis=None, dtype=None, out=None, ddof=0, keepdims=False):
        no_extras("std", (("dtype", dtype, None), ("out", out, None)))
        return unary(OP_sqrt0, self.var(axis=axis, ddof=ddof, keepdims=keepdims))

    def prod(self, axis=None, dtype=None, out=None, keepdims=False):
        """The product, by halves: n - 1 multiplications, whose product rule is exact where factors are 0."""
        no_extras("prod", (("dtype", dtype, None), ("out", out, None)))
        ndim = self.ndim
        mask = axes_mask(axis, ndim, "prod")
        kept = [k for k in range(ndim) if not mask >> (ndim - 1 - k) & 1]
        gone = [k for k in range(ndim) if mask >> (ndim - 1 - k) & 1]
        shape = self.shape
        x = self.transpose(gone + kept) if ndim > 1 else self
        x = x.reshape((-1,) + tuple([shape[k] for k in kept])) if 0 not in shape else \
            x.reshape((int(np.prod([shape[k] for k in gone])),) + tuple([shape[k] for k in kept]))
        n = x.shape[0]
        if n == 0:
            x = FUNCTIONS[np.ones_like](x.sum(axis=0))
        else:
            while n > 1:
                half = n // 2
                y = x[:half] * x[half:2 * half]
                if n % 2:
                    rest = x[2 * half:]
                    y[:1] *= rest
                x, n = y, half
            x = +x[0]                   # a product of one factor is no view of it
        if keepdims:
            x = x.reshape(tuple([1 if k in gone else shape[k] for k in range(ndim)]))
        return x

    def argmax(self, axis=None, out=None, *, keepdims=False): return concrete(self).argmax(axis, keepdims=keepdims)
    def argmin(self, axis=None, out=None, *, keepdims=False): return concrete(self).argmin(axis, keepdims=keepdims)
    def any(self, axis=None, out=None, keepdims=False): return concrete(self).any(axis, keepdims=keepdims)
    def all(self, axis=None, out=None, keepdims=False): return concrete(self).all(axis, keepdims=keepdims)
    def tolist(self): return [x.tolist() if x.ndim else x for x in self] if self.ndim else self
    def dot(self, other): return FUNCTIONS[np.dot](self, other)
    def clip(self, min=None, max=None): return FUNCTIONS[np.clip](self, min, max)
    def fill(self, value): self[...] = value

    # -- NumPy's protocols
    def __array_ufunc__(self, ufunc, method, *inputs, out=None, where=True, axis=0, keepdims=False, dtype=None,
                        casting=None, order=None, subok=None, initial=None, signature=None, axes=None):
        op = UFUNCS.get(ufunc)
        if op is not None and method == "__call__" and out is None and where is True and dtype is None \
                and signature is None and axes is None:
            return apply_ufunc(op, inputs)
        extras = [key for key, value, default in (("where", where, True), ("dtype", dtype, None), ("axes", axes, None),
                                                  ("initial", initial, None), ("signature", signature, None))
                  if value is not default]
        return uncommon_ufunc(ufunc, method, inputs, out, axis, keepdims, extras)

    def __array_function__(self, func, types, args, kwargs):
        own = FUNCTIONS.get(func)
        if own is None:
            name = getattr(func, "__name__", str(func))
            module = getattr(func, "__module__", "numpy")
            raise TypeError(f"fasttape: {module}.{name} of a traced value is not supported yet; compose it of supported "
                            f"functions (fasttape.numpy lists them), or apply it to stop_gradient(x) if no derivative "
                            f"is wanted")
        return own(*args, **kwargs)


@cython.no_gc
cdef class Scalar(Array):
    """A traced number: shape (). It is immutable, as NumPy's and Python's numbers are."""

    def __iadd__(self, y): return binary(OP_add, self, y)
    def __isub__(self, y): return binary(OP_subtract, self, y)
    def __imul__(self, y): return binary(OP_multiply, self, y)
    def __itruediv__(self, y): return binary(OP_divide, self, y)
    def __ifloordiv__(self, y): return binary(OP_floor_divide, self, y)
    def __imod__(self, y): return binary(OP_remainder, self, y)
    def __ipow__(self, y, modulo): return power(self, y)

    def __getitem__(self, index):
        if index == () or index is Ellipsis:
            return self
        if index is None:
            return self.reshape(1)
        raise IndexError("invalid index to scalar variable.")

    def __setitem__(self, index, value):
        raise TypeError("fasttape: a traced number does not support item assignment")

    def __bool__(self):
        cdef int32_t node = node_of(self)
        if not self.tape.t.entry[node].flags & FT_DONE:
            force(self.tape, node)
        return self.tape.t.val[node].f != 0


# The classes have no __dealloc__, which Cython would wrap in saving and restoring the error state: the
# deallocator that it generates is wrapped here instead.
ctypedef void (*destructor)(PyObject *) noexcept

cdef extern from "Python.h":
    ctypedef struct PyTypeObject:
        destructor tp_dealloc

cdef destructor free_array = (<PyTypeObject *>Array).tp_dealloc
cdef destructor free_scalar = (<PyTypeObject *>Scalar).tp_dealloc


cdef inline void leave_list(PyObject *o) noexcept:
    """Take a tracer that dies out of its tape's list. It has no references left, and none may be taken."""
    if (<Array>o).generation == (<Array>o).tape.generation:
        if (<Array>o).prev != NULL:
            (<Array>(<PyObject *>(<Array>o).prev)).next = (<Array>o).next
        else:
            (<Array>o).tape.tracers = (<Array>o).next
        if (<Array>o).next != NULL:
            (<Array>(<PyObject *>(<Array>o).next)).prev = (<Array>o).prev


cdef void dealloc_array(PyObject *o) noexcept:
    if (<Array>o).listed:
        leave_list(o)
    free_array(o)


cdef void dealloc_scalar(PyObject *o) noexcept:
    if (<Array>o).listed:
        leave_list(o)
    if ft_n_dead < FT_DEAD and (<Array>o).base is None:
        (<Array>o).tape = None
        ft_dead[ft_n_dead] = o
        (&ft_n_dead)[0] += 1
        return
    free_scalar(o)


(<PyTypeObject *>Array).tp_dealloc = dealloc_array
(<PyTypeObject *>Scalar).tp_dealloc = dealloc_scalar


cdef object need_truth(object x):
    if isinstance(x, Array):
        if (<Array>x).tape.t.entry[node_of(<Array>x)].dtype < FT_B64:
            raise TypeError("fasttape: & | ^ ~ of traced floats are not defined; compare first, as in (x > 0) & (x < 1)")
    elif np.asarray(x).dtype != np.bool_:
        raise TypeError("fasttape: & | ^ combine truth values only")
    return x


# ---- ufuncs

cdef object apply_ufunc(int op, tuple inputs):
    cdef Array x
    cdef int32_t node
    if op == FT_N_OPS:
        return product(inputs[0], inputs[1])
    if rows[op].arity == 1:
        x = inputs[0]
        node = node_of(x)
        if x.tape.t.entry[node].dtype >= FT_B64 and op != OP_logical_not:
            node = cast(x.tape, node, x.tape.t.entry[node].dtype & 1)
        x = wrap(x.tape, map1(x.tape, op, node))
        after_record(x.tape)
        return x
    if op == OP_power:
        return power(inputs[0], inputs[1])
    return binary(op, inputs[0], inputs[1])


cdef object uncommon_ufunc(object ufunc, str method, tuple inputs, object out, object axis, object keepdims, list extras):
    name = ufunc.__name__
    if extras:
        raise TypeError(f"fasttape: np.{name} of a traced value does not take {', '.join(extras)}=; "
                        f"use np.where or astype instead")
    if method == "reduce" and ufunc in REDUCTIONS and out is None:
        return getattr(inputs[0], REDUCTIONS[ufunc])(axis=axis, keepdims=keepdims)
    if method != "__call__":
        raise TypeError(f"fasttape: np.{name}.{method} of a traced value is not supported; write it with the "
                        f"operators and np.sum")
    if ufunc not in UFUNCS:
        raise TypeError(f"fasttape: np.{name} of a traced value is not supported; compose it of supported functions "
                        f"(fasttape.numpy lists them), or apply it to stop_gradient(x) if no derivative is wanted")
    if not isinstance(out[0], Array):
        raise TypeError(f"fasttape: np.{name} cannot write a traced result into a plain array (out=); "
                        f"leave out= away, or make the array with np.zeros_like(x)")
    return in_place(out[0], apply_ufunc(UFUNCS[ufunc], inputs))


cdef int fill_tables() except -1:
    cdef int i
    for i in range(FT_N_MAP):
        found = getattr(np, rows[i].name.decode(), None)
        if isinstance(found, np.ufunc):
            UFUNCS[found] = i
    for ufunc, name in ((np.radians, "deg2rad"), (np.degrees, "rad2deg"), (np.conjugate, "positive"), (np.float_power, "power")):
        for i in range(FT_N_MAP):
            if rows[i].name == name.encode():
                UFUNCS[ufunc] = i
    UFUNCS[np.matmul] = FT_N_OPS
    REDUCTIONS.update({np.add: "sum", np.multiply: "prod", np.maximum: "max", np.minimum: "min",
                       np.logical_or: "any", np.logical_and: "all"})
    return 0


fill_tables()

cdef dict OPCODES = {rows[i].name.decode(): i for i in range(FT_N_MAP)}


# ---- for functions.py: ops by name, and the two that take any number of operands

def is_traced(x):
    """Whether x is a traced value."""
    return isinstance(x, Array)


def value(x):
    """The value of a traced array or number, as a plain one."""
    return concrete(x)


def apply(str name, *operands):
    """Append op `name`; at least one operand is traced."""
    cdef int op = OPCODES[name], like = -1
    cdef Tape tape = None
    cdef Array y
    for x in operands:
        if isinstance(x, Array):
            tape = innermost(tape, x)
            if like < 0 or (<Array>x).tape.t.entry[node_of(<Array>x)].dtype < FT_B64:
                like = (<Array>x).tape.t.entry[(<Array>x).node].dtype
    nodes = [operand(tape, x, like) for x in operands]
    if rows[op].arity == 1:
        y = wrap(tape, map1(tape, op, nodes[0]))
    elif rows[op].arity == 2:
        y = wrap(tape, map2(tape, op, nodes[0], nodes[1]))
    else:
        y = wrap(tape, map3(tape, op, nodes[0], nodes[1], nodes[2]))
    after_record(tape)
    return y


cdef int check_axes(tuple shape) except -1:
    if len(shape) > 32:
        raise ValueError(f"fasttape: a shape has {len(shape)} axes; at most 32 are supported")
    return 0


def broadcast_to(Array x, shape):
    """x spread to a shape; a copy, unlike NumPy's read-only view."""
    cdef int64_t dims[FT_MAX_DIMS]
    cdef int k
    cdef int32_t id
    shape = (shape,) if hasattr(shape, "__index__") else tuple(shape)
    check_axes(shape)
    for k in range(len(shape)):
        dims[k] = shape[k]
    id = intern_shape(x.tape, len(shape), dims)
    if broadcast(x.tape, shape_of(x.tape, node_of(x)), id) != id:
        raise ValueError(f"broadcast_to: operands could not be broadcast together with remapped shapes {x.shape} and {shape}")
    return wrap(x.tape, spread(x.tape, x.node, id))


def full(Array like, shape, double value, dtype=None):
    """An array of one value on the tape of `like`."""
    cdef int64_t dims[FT_MAX_DIMS]
    cdef int k, code = like.tape.t.entry[node_of(like)].dtype & 1
    if dtype is not None:
        code = np.dtype(dtype) == np.float32
    check_axes(shape)
    for k in range(len(shape)):
        dims[k] = shape[k]
    return wrap(like.tape, fill(like.tape, value, code, intern_shape(like.tape, len(shape), dims)))


cdef int unlike(str name, int axis, int k, object a, object b) except -1:
    raise ValueError(f"{name}: along axis {axis}, array 0 has shape {a} and array {k} has shape {b}; they must agree "
                     f"in all other axes")


def join(list pieces, object axis, bint stacked, str name):
    """Concatenate along an axis, or stack along a new one. At least one piece is traced."""
    cdef Tape tape = None
    cdef int like = FT_F64, f32 = 1, flags = 0, ndim, own, k, j, place
    cdef int64_t n = len(pieces), at, i, end = 0, step = 1, step_at_axis
    cdef int32_t node, id, view
    cdef int64_t dims[FT_MAX_DIMS]
    cdef int64_t strides[FT_MAX_DIMS]
    cdef int64_t extent[FT_MAX_DIMS]
    cdef int64_t along[FT_MAX_DIMS]
    cdef int64_t *own_dims
    cdef bint scalars
    cdef Array y
    for x in pieces:
        if isinstance(x, Array):
            tape = innermost(tape, x)
            like = (<Array>x).tape.t.entry[node_of(<Array>x)].dtype & 1
    scalars = stacked
    at = new_args(tape, 1 + 2 * n)
    for i in range(n):
        node = operand(tape, pieces[i], like)
        if tape.t.entry[node].dtype >= FT_B64:
            node = cast(tape, node, tape.t.entry[node].dtype & 1)
        f32 &= tape.t.entry[node].dtype & 1
        scalars = scalars and shape_of(tape, node) == 0
        tape.t.args[at + 1 + 2 * i] = node
    own = ndim_of(tape, tape.t.args[at + 1])
    ndim = own + stacked
    if ndim == 0:
        raise ValueError("zero-dimensional arrays cannot be concatenated")
    place = axis.__index__()
    if place < -ndim or place >= ndim:
        raise np.exceptions.AxisError(place, ndim)
    if place < 0:
        place += ndim
    for i in range(n):              # what all share, and the extent along the axis
        node = tape.t.args[at + 1 + 2 * i]
        if not f32 and tape.t.entry[node].dtype & 1:
            node = tape.t.args[at + 1 + 2 * i] = cast(tape, node, FT_F64)
        flags |= tape.t.entry[node].flags
        own_dims = dims_of(tape, node)
        if ndim_of(tape, node) != own:
            unlike(name, place, i, shape_tuple(tape, shape_of(tape, tape.t.args[at + 1])), shape_tuple(tape, shape_of(tape, node)))
        j = 0
        for k in range(ndim):
            if k == place:
                end += 1 if stacked else own_dims[j]
                j += not stacked
                continue
            if i == 0:
                dims[k] = own_dims[j]
            elif dims[k] != own_dims[j]:
                unlike(name, place, i, shape_tuple(tape, shape_of(tape, tape.t.args[at + 1])), shape_tuple(tape, shape_of(tape, node)))
            j += 1
    dims[place] = end
    id = intern_shape(tape, ndim, dims)
    if scalars:
        for i in range(n):
            tape.t.args[at + 1 + i] = tape.t.args[at + 1 + 2 * i]
    else:
        for k in range(ndim - 1, -1, -1):
            strides[k] = step
            step *= dims[k]
        step_at_axis = strides[place]
        end = 0
        for i in range(n):
            node = tape.t.args[at + 1 + 2 * i]
            j = 0
            for k in range(ndim):
                if k == place and stacked:
                    continue
                extent[j] = dims_of(tape, node)[j]
                along[j] = strides[k]
                j += 1
            view = intern_view(tape, id, own, extent, along, end * step_at_axis)
            tape.t.args[at + 2 + 2 * i] = view
            end += 1 if stacked else extent[place]
    tape.t.args[at] = <int32_t>n
    y = wrap(tape, emit(tape, OP_pack if scalars else OP_assemble, f32, flags & FT_ACTIVE, id, 0, 0, <int32_t>at))
    after_record(tape)
    return y
