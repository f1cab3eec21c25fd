"""Values from outside on a tape, and what keeps them from changing under it.

Running is late and callers mutate, so an array that enters a tape must not change before the trace
ends. A small one is copied. A large one is held: it, and the arrays that it is a view of, are made
read-only until the trace ends, so that writing to it fails at the user's own line; and its checksum
is compared at the end, so that writing through some other view, made earlier, is found out.
"""
import numpy as np

from libc.string cimport memcpy, memset
from fasttape._core.record cimport *

cimport cython
cimport numpy as cnp

cnp.import_array()

cdef enum:
    COPIED = 16384                  # bytes up to which an array is copied

cdef dict holds = {}                # id of a held array -> [array, how many traces hold it]
cdef object HOLDS = object()        # its lock where there is no GIL: a flag and its count change together


cdef bytes checksum(ft_watch *w):
    """Of all the memory that w watches, going on from where the virtual machine took it already."""
    machine.check(w, w.size)
    return (<char *>w.sum)[:sizeof(w.sum)]


cdef void restart(ft_watch *w) noexcept nogil:
    w.at = 0
    memset(w.sum, 0, sizeof(w.sum))


cdef int begin_watch(Tape tape) except -1:
    """Take the checksums of arrays that are held since `tape.defers`, or of the last one, as far as a
    run has not taken them already. Until the traced function has ended, nothing read counts as checked."""
    cdef int64_t k = tape.t.n_watch - 1
    tape.defers = False
    while k >= 0 and tape.t.watch[k].at >= 0:
        chain, x, _ = tape.locked[k]
        tape.locked[k] = chain, x, checksum(tape.t.watch + k)
        tape.t.watch[k].at = -1
        k -= 1
    return 0


cdef void watch_again(Tape tape) noexcept nogil:
    """The traced function has ended: from now on the virtual machine may take checksums as it reads."""
    cdef int64_t k
    for k in range(tape.t.n_watch):
        restart(tape.t.watch + k)


cdef int hold(Tape tape, cnp.ndarray x) except -1:
    """Make x and the arrays it is a view of read-only until `unlock`."""
    cdef ft_watch *w
    chain = []
    resize(<void **>&tape.t.watch, &tape.t.cap_watch, tape.t.n_watch + 1, sizeof(ft_watch))
    w = tape.t.watch + tape.t.n_watch
    w.data = <const char *>cnp.PyArray_DATA(x)
    w.size = cnp.PyArray_NBYTES(x)
    restart(w)
    tape.locked.append((chain, x, None))
    tape.t.n_watch += 1
    if not tape.defers:
        begin_watch(tape)
    arrays, z = [], x
    while isinstance(z, np.ndarray):
        arrays.append(z)
        z = z.base
    hold_all(HOLDS, arrays, chain)
    return 0


@cython.critical_section
cdef int hold_all(object lock, list arrays, list chain) except -1:
    """Hold arrays; append to `chain` what `release_all` takes."""
    cdef cnp.ndarray y
    for y in arrays:
        entry = holds.get(id(y))
        if entry is not None:
            entry[1] += 1
            chain.append(entry)
        elif cnp.PyArray_ISWRITEABLE(y):
            cnp.PyArray_CLEARFLAGS(y, cnp.NPY_ARRAY_WRITEABLE)
            entry = [y, 1]
            holds[id(y)] = entry
            chain.append(entry)
    return 0


@cython.critical_section
cdef int release_all(object lock, list chain) except -1:
    cdef cnp.ndarray y
    for entry in chain:
        entry[1] -= 1
        if entry[1] == 0:
            del holds[id(entry[0])]
            y = entry[0]
            cnp.PyArray_ENABLEFLAGS(y, cnp.NPY_ARRAY_WRITEABLE)
    return 0


cdef int few_axes(int ndim) except -1:
    if ndim > 32:
        raise ValueError(f"fasttape: an array has {ndim} axes; at most 32 are supported")
    return 0


cdef int unlock(Tape tape, list keep) except -1:
    """Let go of the held arrays but those in `keep`. Raises RuntimeError if one was changed meanwhile."""
    cdef object changed = None
    cdef list still = []
    cdef int64_t k
    kept = set() if keep is None else {id(x) for x in keep}
    for k, (chain, x, before) in enumerate(tape.locked):
        if id(x) in kept:
            tape.t.watch[len(still)] = tape.t.watch[k]
            still.append(tape.locked[k])
            continue
        if tape.t.watch[k].at < 0:
            restart(tape.t.watch + k)
        if checksum(tape.t.watch + k) != before:
            changed = x
        release_all(HOLDS, chain)
    tape.locked = still
    tape.t.n_watch = len(still)
    if changed is not None:
        raise RuntimeError(f"fasttape: an array of shape {changed.shape} that the traced function uses was changed "
                           f"during the trace, through another view of its memory; the result would be wrong. "
                           f"Change it before the trace, or use a copy")
    return 0


cdef int32_t input_node(Tape tape, int dtype, int32_t shape, void *data, object owner) except -1:
    cdef int32_t y = emit(tape, OP_input, dtype, FT_DONE, shape, 0, 0, 0)
    tape.t.val[y].p = data
    if owner is not None:
        tape.keep.append(owner)
        tape.t.entry[y].b = <int32_t>len(tape.keep)
    return y


cdef int32_t copy_contiguous(Tape tape, cnp.ndarray x, int dtype, int32_t shape) except -1:
    """A node with a copy of a contiguous array of floats, in a buffer of the tape."""
    cdef int64_t size = tape.t.shape[shape].size * itemsize(dtype)
    cdef int32_t y
    cdef void *data = take_buffer(tape, size)
    memcpy(data, cnp.PyArray_DATA(x), size)
    y = input_node(tape, dtype, shape, data, None)
    tape.t.entry[y].flags |= FT_OWNED
    return y


cdef int32_t capture_array(Tape tape, object array, bint argument) except -1:
    """A node for a native float64 or float32 array. An argument's node is a contiguous root of its own;
    otherwise one node serves all uses of the same array."""
    cdef cnp.ndarray x = array
    cdef int dtype = FT_F32 if cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT else FT_F64
    cdef int ndim = cnp.PyArray_NDIM(x), k, size = itemsize(dtype)
    cdef int64_t dims[FT_MAX_DIMS]
    cdef int64_t strides[FT_MAX_DIMS]
    cdef int32_t shape, y
    cdef bint contiguous = cnp.PyArray_IS_C_CONTIGUOUS(x)
    cdef bint dense = contiguous or cnp.PyArray_IS_F_CONTIGUOUS(x)
    cdef int64_t nbytes = cnp.PyArray_NBYTES(x)
    few_axes(ndim)
    for k in range(ndim):
        dims[k] = cnp.PyArray_DIMS(x)[k]
        strides[k] = cnp.PyArray_STRIDES(x)[k] // size
    shape = intern_shape(tape, ndim, dims)
    if nbytes <= COPIED or not dense or not cnp.PyArray_ISALIGNED(x) or (argument and not contiguous):
        if not contiguous or not cnp.PyArray_ISALIGNED(x):
            x = np.array(x, order="C", copy=True)
        return copy_contiguous(tape, x, dtype, shape)
    if not argument and id(array) in tape.captured:
        return tape.captured[id(array)]
    hold(tape, x)
    y = input_node(tape, dtype, shape, cnp.PyArray_DATA(x), x)
    if not contiguous:
        y = emit(tape, OP_view, dtype, 0, shape, y, 0, intern_view(tape, shape, ndim, dims, strides, 0))
    if not argument:
        tape.captured[id(array)] = y
    return y


cdef int32_t capture_places(Tape tape, object index) except -1:
    """A node for an int64 array of places that `take` reads."""
    cdef cnp.ndarray x = np.array(index, dtype=np.int64, order="C", copy=True, ndmin=0)
    cdef int64_t dims[FT_MAX_DIMS]
    cdef int k
    few_axes(cnp.PyArray_NDIM(x))
    for k in range(cnp.PyArray_NDIM(x)):
        dims[k] = cnp.PyArray_DIMS(x)[k]
    return input_node(tape, FT_I64, intern_shape(tape, cnp.PyArray_NDIM(x), dims), cnp.PyArray_DATA(x), x)


cpdef refuse_kin(x):
    """Matrices and masked arrays mean other things by * and by their elements than an array would."""
    if type(x) is not np.ndarray and isinstance(x, (np.matrix, np.ma.MaskedArray)):
        raise TypeError(f"fasttape: a {type(x).__name__} cannot be used together with traced values; pass np.asarray(x), "
                        f"and a mask as an array of truth values for np.where")


cdef int32_t capture(Tape tape, object x, int like) except -1:
    """A node for a number or array beside a traced value of dtype `like`. Python's numbers take its
    dtype, as they do in NumPy, or float64 beside truth values; NumPy's own keep theirs."""
    cdef int f32 = like == FT_F32
    if isinstance(x, cnp.ndarray) and not cnp.PyArray_CheckExact(x):
        refuse_kin(x)
    if isinstance(x, cnp.ndarray) and cnp.PyArray_TYPE(x) == cnp.NPY_DOUBLE and cnp.PyArray_ISNOTSWAPPED(x) \
            and cnp.PyArray_NDIM(x):
        return capture_array(tape, x, False)
    if type(x) is float:
        return beside(tape, x, like)
    if isinstance(x, float):        # NumPy's float64, and a class made from float
        x = np.float64(x)
    if isinstance(x, bool):
        return constant(tape, x, FT_B32 if f32 else FT_B64)
    if isinstance(x, int):
        return beside(tape, float(x), like)
    if isinstance(x, (list, tuple)):
        x = np.asarray(x)
    if not isinstance(x, (np.ndarray, np.generic)):
        raise TypeError(f"fasttape: cannot use a {type(x).__name__} together with a traced value; "
                        f"numbers and NumPy arrays of real numbers are supported")
    kind = x.dtype.kind
    if kind == "b":
        if x.ndim == 0:
            return constant(tape, float(x), FT_B32 if f32 else FT_B64)
        y = capture_array(tape, np.ascontiguousarray(x, np.float32 if f32 else np.float64), False)
        tape.t.entry[y].dtype = FT_B32 if f32 else FT_B64
        return y
    if kind not in "fiu" or x.dtype.itemsize > 8:
        raise TypeError(f"fasttape: arrays of dtype {x.dtype} cannot be used together with a traced value; "
                        f"supported are float64, float32, integers and bool")
    dtype = np.float32 if f32 and np.result_type(np.float32, x.dtype) == np.float32 else np.float64
    if kind == "f" and x.dtype.itemsize <= 4:
        dtype = np.float32
    if x.ndim == 0:
        return constant(tape, float(x), FT_F32 if dtype == np.float32 else FT_F64)
    if x.dtype != dtype or not x.dtype.isnative:
        x = x.astype(dtype)
    return capture_array(tape, x, False)
