"""x[index] and x[index] = v. A basic index, which `index.pyx` reads, names a region; whole numbers in an
array, or a mask, gather."""
import numpy as np

from fasttape._core.capture cimport capture_places
from fasttape._core.index cimport Region, is_basic, select
from fasttape._core.record cimport *
from fasttape._core.tracer cimport *
from fasttape._core.views cimport is_readonly, number_at, store, view_tracer, whole

from fasttape._core.tracer import Look


cdef inline Tracer element(Tape tape, int32_t node, int64_t place):
    cdef Tracer y = wrap(tape, get(tape, node, place))
    after_record(tape)
    return y


cdef Tracer get_items(Tracer x, object index):
    cdef Region r
    cdef Tracer y
    cdef Py_ssize_t i
    cdef int32_t node = node_of(x)
    cdef Tape tape = x.tape
    if type(index) is int and x.base is None and ndim_of(tape, node) == 1:
        i = index
        if -dims_of(tape, node)[0] <= i < dims_of(tape, node)[0]:
            if i < 0:
                i += dims_of(tape, node)[0]
            if tape.t.entry[node].op == OP_view:
                x.node = node = owner(tape, node)
            return element(tape, node, i)
    if isinstance(index, Tracer) or (type(index) is tuple and has_traced(<tuple>index)):
        index = plain_index(index)
    if not is_basic(index):
        y = take(x, index)
    else:
        whole(x, &r)
        y = view_tracer(x, &r) if select(&r, index) or r.ndim else number_at(x, &r)
    after_record(x.tape)
    return y


cdef class Elements:
    """An iterator along the first axis of a traced array: as NumPy's, it reads an element when asked for it."""
    cdef Tracer x
    cdef int64_t at, n

    def __iter__(self):
        return self

    def __next__(self):
        cdef int32_t node
        if self.at >= self.n:
            raise StopIteration
        node = node_of(self.x)
        self.at += 1
        if self.x.base is not None or ndim_of(self.x.tape, node) != 1 or self.x.tape.t.entry[node].op == OP_view:
            return get_items(self.x, self.at - 1)
        return element(self.x.tape, node, self.at - 1)


cdef object elements(Tracer x):
    cdef Elements e = Elements.__new__(Elements)
    if ndim_of(x.tape, node_of(x)) == 0:
        raise TypeError("iteration over a 0-d array")
    e.x = x
    e.n = dims_of(x.tape, x.node)[0]
    return e


cdef int set_items(Tracer x, object index, object value) except -1:
    cdef Region r
    cdef Tape tape = x.tape
    cdef Tracer base
    cdef int32_t view, v
    node_of(x)
    if x.readonly:
        is_readonly()
    if isinstance(index, Tracer) or (type(index) is tuple and has_traced(<tuple>index)):
        index = plain_index(index)
    if not is_basic(index):
        raise NotImplementedError("fasttape: x[index] = v with integer arrays or masks is not supported yet; "
                                  "use np.where(mask, v, x), or slices and whole numbers")
    whole(x, &r)
    select(&r, index)
    base = x if x.base is None else x.base
    view = intern_view(tape, shape_of(tape, base.node), r.ndim, r.dims, r.strides, r.offset)
    if isinstance(value, Tracer) and (<Tracer>value).base is base and (<Tracer>value).view == view:
        return 0                    # x[i] += v: the view has been changed in place, and is what it is to be set to
    v = operand(tape, value, tape.t.entry[base.node].dtype)
    v = cast(tape, v, tape.t.entry[base.node].dtype)
    if r.ndim == 0 and shape_of(tape, v) != 0:
        if size_of(tape, v) != 1:
            raise ValueError("setting an array element with a sequence")
        v = reshape(tape, v, 0)
    store(base, view, v)
    after_record(tape)
    return 0


# ---- what is no basic index

cdef bint has_traced(tuple index):
    for i in index:
        if isinstance(i, Tracer):
            return True
    return False


cdef object plain_index(object index):
    """An index whose traced parts (masks, whole numbers) are replaced by their values."""
    if isinstance(index, Tracer):
        return observed(index, Look("index"))
    if type(index) is tuple:
        return tuple([plain_index(i) for i in index])
    return index


cdef Tracer take(Tracer x, object index):
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
