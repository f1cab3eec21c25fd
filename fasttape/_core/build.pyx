"""What functions.py is built of: any op by its name, and arrays of given shapes or made of pieces."""
import numpy as np

from cpython.number cimport PyNumber_Index

from fasttape._core.operate cimport beside_other, strong, unary
from fasttape._core.record cimport *
from fasttape._core.tracer cimport *
from fasttape._core.views cimport broadcasted

cdef dict OPCODES = {rows[i].name.decode(): i for i in range(FT_N_MAP)}


def apply(str name, *operands):
    """Append op `name`; at least one operand is traced."""
    cdef int op = OPCODES[name], like = -1
    cdef Tape tape = None
    cdef Tracer y
    for x in operands:
        if isinstance(x, Tracer):
            tape = innermost(tape, x)
            flags = (<Tracer>x).tape.t.entry[node_of(<Tracer>x)].flags
            dtype = (<Tracer>x).tape.t.entry[(<Tracer>x).node].dtype
            if like < 0 or (dtype < FT_B64 and not flags & FT_WEAK):
                like = dtype
    if rows[op].arity == 1:
        return unary(op, operands[0])
    nodes = [beside_other(tape, operand(tape, x, like), like) for x in operands]
    if op != OP_where:
        nodes = [cast(tape, node, FT_F32 if like == FT_F32 else FT_F64) if tape.t.entry[<int32_t>node].dtype >= FT_B64 else node
                 for node in nodes]
    if rows[op].arity == 2:
        y = wrap(tape, map2(tape, op, nodes[0], nodes[1]))
    else:
        y = wrap(tape, map3(tape, op, nodes[0], nodes[1], nodes[2]))
    after_record(tape)
    return y


def as_array(x):
    """x as np.asarray would have it: no number of Python's."""
    return strong(x) if isinstance(x, Tracer) else np.asarray(x)


cdef int check_axes(tuple shape) except -1:
    if len(shape) > 32:
        raise ValueError(f"fasttape: a shape has {len(shape)} axes; at most 32 are supported")
    return 0


def broadcast_to(Tracer x, shape):
    """x in a shape to which it broadcasts: as NumPy's, a view that is not to be written to."""
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
    return broadcasted(x, len(shape), dims)


def full(Tracer like, shape, double value, dtype=None):
    """An array of one value, float64 or float32, on the tape of `like`; a plain one like truth values."""
    cdef int64_t dims[FT_MAX_DIMS]
    cdef int k, code = like.tape.t.entry[node_of(like)].dtype
    check_axes(shape)
    if dtype is not None:
        code = FT_F32 if dtype.itemsize == 4 else FT_F64
    elif code >= FT_B64:
        return np.full(shape, value, np.bool_)
    for k in range(len(shape)):
        dims[k] = shape[k]
    return wrap(like.tape, fill(like.tape, value, code, intern_shape(like.tape, len(shape), dims)))


cdef int unlike(str name, int axis, int k, object a, object b) except -1:
    raise ValueError(f"{name}: along axis {axis}, array 0 has shape {a} and array {k} has shape {b}; they must agree "
                     f"in all other axes")


def join(list pieces, object axis, bint stacked, str name):
    """Concatenate along an axis, or stack along a new one. At least one piece is traced."""
    cdef Tape tape = None
    cdef int like = FT_F64, f32 = 1, truths = 0, dtype, flags = 0, ndim, own, k, j, place
    cdef int64_t n = len(pieces), at, i, end = 0, step = 1, step_at_axis
    cdef int32_t node, id, view
    cdef int64_t dims[FT_MAX_DIMS]
    cdef int64_t strides[FT_MAX_DIMS]
    cdef int64_t extent[FT_MAX_DIMS]
    cdef int64_t along[FT_MAX_DIMS]
    cdef int64_t *own_dims
    cdef bint scalars
    cdef Tracer y
    for x in pieces:
        if isinstance(x, Tracer):
            tape = innermost(tape, x)
            like = (<Tracer>x).tape.t.entry[node_of(<Tracer>x)].dtype & 1
    scalars = stacked
    at = new_args(tape, 1 + 2 * n)
    for i in range(n):
        x = pieces[i]
        node = operand(tape, x, FT_F64 if type(x) is float or type(x) is int else like)     # as an array of one
        if tape.t.entry[node].dtype >= FT_B64:
            truths += 1
        else:
            f32 &= tape.t.entry[node].dtype
        scalars = scalars and shape_of(tape, node) == 0
        tape.t.args[at + 1 + 2 * i] = node
    dtype = FT_B64 if truths == n else FT_F32 if f32 else FT_F64        # truth values among numbers follow them
    own = ndim_of(tape, tape.t.args[at + 1])
    ndim = own + stacked
    if ndim == 0:
        raise ValueError("zero-dimensional arrays cannot be concatenated")
    place = PyNumber_Index(axis)
    if place < -ndim or place >= ndim:
        raise np.exceptions.AxisError(place, ndim)
    if place < 0:
        place += ndim
    for i in range(n):              # what all share, and the extent along the axis
        node = tape.t.args[at + 1 + 2 * i]
        if tape.t.entry[node].dtype != dtype:
            node = tape.t.args[at + 1 + 2 * i] = cast(tape, node, dtype)
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
    y = wrap(tape, emit(tape, OP_pack if scalars else OP_assemble, dtype, flags & FT_ACTIVE, id, 0, 0, <int32_t>at))
    after_record(tape)
    return y
