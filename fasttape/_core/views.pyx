"""Aliasing: a view is a tracer that knows its base and region. It reads through the base as the base is
now, and writes through it; a write is an update that is recorded, after which the tracer names the new
node. What is broadcast is a view with strides of 0, not to be written to. Knows regions, not what was
written between the brackets: that is `subscript.pyx`'s.

Results of ops lie in C order whatever their operands' layout, where NumPy's keep the operands'. It shows
where a reshape copies and where not: `np.sin(x.T).reshape(-1)` is a view here, in NumPy a copy.
"""
from cpython.number cimport PyNumber_Index

from fasttape._core.index cimport restride
from fasttape._core.record cimport *
from fasttape._core.tracer cimport *


cdef int whole(Tracer x, Region *r) except -1:
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


cdef Tracer view_tracer(Tracer x, Region *r):
    """A tracer for a region of x's base, of no axes too: an element that follows its array."""
    cdef Tape tape = x.tape
    cdef Tracer base = x if x.base is None else x.base
    cdef Tracer y
    cdef int32_t view
    base.node = owner(tape, base.node)
    view = intern_view(tape, shape_of(tape, base.node), r.ndim, r.dims, r.strides, r.offset)
    y = wrap_array(tape, look(tape, base.node, view))
    y.base = base
    y.base_node = base.node
    y.view = view
    y.readonly = x.readonly
    return y


cdef Tracer number_at(Tracer x, Region *r):
    """An element as a number: it keeps its value, whatever becomes of the array."""
    cdef Tracer base = x if x.base is None else x.base
    base.node = owner(x.tape, base.node)
    return wrap(x.tape, get(x.tape, base.node, r.offset))


# ---- the same elements in another order or shape

cdef Tracer reshaped(Tracer x, tuple shape):
    cdef int64_t dims[FT_MAX_DIMS]
    cdef int64_t known = 1, size = size_of(x.tape, node_of(x))
    cdef int k, unknown = -1, n
    cdef Region r
    if len(shape) == 1 and not hasattr(shape[0], "__index__"):
        shape = tuple(shape[0])
    n = len(shape)
    if n > 32:
        raise ValueError(f"reshape: at most 32 axes, got {n}")
    for k in range(n):
        dims[k] = PyNumber_Index(shape[k])
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
    whole(x, &r)
    if (r.ndim or x.base is not None) and restride(&r, n, dims):
        return view_tracer(x, &r)
    return wrap(x.tape, reshape(x.tape, x.node, intern_shape(x.tape, n, dims)))


cdef Tracer raveled(Tracer x):
    """A view where x lies contiguous, else a copy, even where a regular stride would do for `reshaped`."""
    cdef Tracer y = reshaped(x, (-1,))
    return wrap(x.tape, copied(x.tape, y.node)) if y.base is not None and not x.tape.t.view[y.view].contiguous else y


cdef Tracer transposed(Tracer x, tuple axes):
    cdef Region r, out
    cdef int k, a
    node_of(x)
    whole(x, &r)
    if len(axes) == 1 and (axes[0] is None or not hasattr(axes[0], "__index__")):
        axes = () if axes[0] is None else tuple(axes[0])
    order = [PyNumber_Index(a) for a in axes] or list(range(r.ndim))[::-1]
    order = [a + r.ndim if a < 0 else a for a in order]
    if sorted(order) != list(range(r.ndim)):
        raise ValueError(f"transpose: axes {axes} do not match an array of {r.ndim} axes")
    if r.ndim < 2:
        return x
    out = r
    for k in range(r.ndim):
        a = order[k]
        out.dims[k] = r.dims[a]
        out.strides[k] = r.strides[a]
    return view_tracer(x, &out)


cdef Tracer broadcasted(Tracer x, int ndim, const int64_t *dims):
    """x in a shape to which it broadcasts: a view with strides of 0 that is not to be written to."""
    cdef Region r, out
    cdef Tracer y
    cdef int k, new = ndim - ndim_of(x.tape, node_of(x))
    whole(x, &r)
    if r.ndim == 0 and x.base is None:  # a number
        if ndim == 0:
            return x
        y = wrap_array(x.tape, spread(x.tape, x.node, intern_shape(x.tape, ndim, dims)))
    else:
        out.ndim = ndim
        out.offset = r.offset
        for k in range(ndim):
            out.dims[k] = dims[k]
            out.strides[k] = 0 if k < new or r.dims[k - new] != dims[k] else r.strides[k - new]
        y = view_tracer(x, &out)
    y.readonly = True
    return y


# ---- writing

cdef object in_place(Tracer x, object y):
    """x takes the value y, as an ndarray does in x += ...: seen through x's base and views."""
    cdef Tape tape = x.tape
    cdef int32_t value
    if y is NotImplemented:
        return y
    if x.lent or (x.base is not None and x.base.lent) or (<Tracer>y).tape is not tape:
        changes_lent()
    if x.readonly:
        is_readonly()
    value = node_of(<Tracer>y)
    node_of(x)
    if shape_of(tape, value) != shape_of(tape, x.node):
        raise ValueError(f"fasttape: non-broadcastable output operand with shape {x.shape} doesn't match the "
                         f"broadcast shape {y.shape}")
    if tape.t.entry[x.node].dtype >= FT_B64 and tape.t.entry[value].dtype < FT_B64:
        raise TypeError("fasttape: truth values cannot take real numbers in place; write x = x + v, or make x with astype(float)")
    value = cast(tape, value, tape.t.entry[x.node].dtype)
    if x.base is not None:
        store(x.base, x.view, value)
    else:
        x.node = value
    return x


cdef int is_readonly() except -1:
    raise ValueError("assignment destination is read-only: it was broadcast, so that several of its elements are one; "
                     "write to a copy, x.copy()")


cdef int changes_lent() except -1:
    raise TypeError("checkpoint: the function changes an array of the trace around it, which a function that is run "
                    "again must not; let it work on a copy, x.copy(), and return it")


cdef int store(Tracer base, int32_t view, int32_t value) except -1:
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
