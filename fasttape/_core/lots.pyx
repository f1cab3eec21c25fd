"""The arguments of a batch: which of them have an axis of lanes, and rows that are read for each lane."""
from copy import deepcopy

import numpy as np

cimport numpy as cnp

from fasttape._core.program cimport Program
from fasttape._core.signature cimport *
from fasttape._core.trace cimport current
from fasttape._core.tracer cimport Tracer
from fasttape._core.vm cimport machine

cnp.import_array()

cdef enum:
    MOST_AXES = 64                  # as NumPy has it

cdef int64_t MOST_ROWS = <int64_t>1 << 62


class Gathered:
    """Rows of an array, one for each lane, read when the lanes are run. Sent to another process it has those rows alone that
    are read, and `rows` says which they were."""

    __slots__ = ("array", "index", "rows")

    def __init__(self, array, index, rows=None):
        self.array, self.index, self.rows = array, index, rows

    def __reduce__(self):
        some = self.compact()
        return Gathered, (some.array, some.index, some.rows)

    def __copy__(self):
        return Gathered(self.array, self.index)

    def __deepcopy__(self, memo):
        return Gathered(deepcopy(self.array, memo), self.index.copy())

    def compact(self):
        """The same with those rows alone that are read."""
        rows, index = np.unique(self.index, return_inverse=True)
        return Gathered(self.array.take(rows, axis=0), index.reshape(-1), rows if self.rows is None else self.rows[rows])

    def __len__(self):
        return len(self.index)

    def __getitem__(self, lanes):
        """The row of one lane, or some of the lanes."""
        if isinstance(lanes, (int, np.integer)):
            return self.array[self.index[lanes]]
        return Gathered(self.array, self.index[lanes], self.rows)

    def __repr__(self):
        return f"gather(array of shape {tuple(self.array.shape)}, {len(self.index)} rows)"

    @property
    def shape(self):
        return (len(self.index), *self.array.shape[1:])

    @property
    def ndim(self):
        return self.array.ndim

    @property
    def dtype(self):
        return self.array.dtype

    def read(self):
        return self.array.take(self.index, axis=0)

    def columns(self):
        """The rows as columns: the axis of the lanes is the last one."""
        cdef cnp.ndarray a = self.array, places = self.index, out
        cdef bint plain = cnp.PyArray_ISCARRAY_RO(a) and cnp.PyArray_ISCARRAY_RO(places)
        cdef bint narrow = a.dtype == np.float32
        cdef int64_t n = len(places), m = cnp.PyArray_SIZE(a) // max(len(a), 1)
        if not plain or not (narrow or a.dtype == np.float64):
            return np.ascontiguousarray(np.moveaxis(self.read(), 0, -1))
        out = np.empty((*self.array.shape[1:], n), a.dtype)
        with nogil:
            machine.pick(narrow, cnp.PyArray_DATA(out), cnp.PyArray_DATA(a), <const int64_t *>cnp.PyArray_DATA(places), m, n)
        return out


def outside(place, length):
    return IndexError(f"gather: index {place} is out of bounds for {length} rows")


cdef cnp.ndarray own_places(cnp.ndarray index, int64_t length):
    """A copy of an index, which nobody changes, counted from the first row."""
    cdef int64_t n = cnp.PyArray_DIM(index, 0)
    cdef cnp.ndarray given = np.ascontiguousarray(index) if cnp.PyArray_ISALIGNED(index) else index.copy()
    cdef cnp.ndarray out = cnp.PyArray_EMPTY(1, cnp.PyArray_DIMS(given), cnp.NPY_INT64, 0)
    cdef const int64_t *at = <const int64_t *>cnp.PyArray_DATA(given)
    cdef int64_t *to = <int64_t *>cnp.PyArray_DATA(out)
    cdef bint off
    with nogil:
        off = machine.places(to, at, length, n)
    if off:
        raise outside(index[(index < -length) | (index >= length)][0], length)
    return out


def gathered(array, index):
    """What `gather` returns, checked."""
    if not isinstance(array, (np.ndarray, Tracer)):
        raise TypeError(f"gather: the first argument must be an array of floats, got {type(array).__name__}")
    if array.ndim == 0 or array.dtype.kind != "f":
        raise TypeError(f"gather: the first argument must be an array of floats that has rows, got one of shape {tuple(array.shape)} and "
                        f"dtype {array.dtype}")
    index = np.zeros(0, np.int64) if isinstance(index, (list, tuple)) and not index else np.asarray(index)
    if index.dtype.kind not in "iu" or index.ndim != 1:
        raise TypeError(f"gather: the index must be a vector of whole numbers, got an array of shape {index.shape} and dtype {index.dtype}")
    if index.dtype != np.int64:
        if len(index) and index.max() > MOST_ROWS:      # beyond int64 too
            raise outside(index.max(), array.shape[0])
        index = index.astype(np.int64)
    return Gathered(array, own_places(index, array.shape[0]))


cdef tuple ungathered(tuple args, bint traced):
    """Arguments as their form is known: of what is gathered the array, or, in a trace, its rows."""
    return tuple([(x.array[x.index] if traced else x.array) if isinstance(x, Gathered) else x for x in args])


cdef int refuse_gathered(Form form, str who) except -1:
    """What is gathered is an argument; as part of one it would be a fixed value."""
    if form.kind == FIXED and isinstance(form.value, Gathered):
        raise TypeError(f"{who}: what gather returns must be a positional argument itself, not a named one or a part of another")
    for part in form.parts or ():
        refuse_gathered(part, who)
    return 0


cdef int refuse_fixed_arrays(Form form, str who, int64_t k) except -1:
    """An array that is fixed is the same in all lanes, also beside others that have an axis of lanes: say so."""
    if form.kind == FIXED_ARRAY and np.ndim(form.value):
        raise TypeError(f"{who}: argument {k} holds an array of {np.asarray(form.value).dtype}, which is fixed and the same in all lanes, "
                        f"beside what has an axis of them; pass it as an argument of its own, for which in_axes says None, or as floats")
    for part in form.parts or ():
        refuse_fixed_arrays(part, who, k)
    return 0


cdef class Lots:
    """The arguments of a batch: leaves, of which those with an axis have a lane along its extent."""

    def __init__(self, str who, tuple args, dict kwargs, in_axes, static, Program p=None):
        cdef Form form, part
        cdef list forms, leaves
        cdef int64_t k
        self.who = who
        if p is not None and p.flat is not None and type(in_axes) is int and in_axes == 0 and not kwargs and self.are_plain(p, args):
            return
        in_trace = current() is not None or has_traced([x.array if isinstance(x, Gathered) else x for x in args])
        given, args = args, ungathered(args, in_trace)
        self.form = form_of_call(args, kwargs, who, static)
        refuse_gathered(self.form, who)
        self.leaves = []
        self.n = -1
        batched = []
        axes = in_axes if isinstance(in_axes, (tuple, list)) else (in_axes,) * len(args)
        if len(axes) != len(args):
            raise ValueError(f"{who}: in_axes has {len(axes)} entries, but there are {len(args)} positional arguments")
        form = (<Form>self.form).parts[0]
        for k in range(<int64_t>len(args)):
            if axes[k] is not None and (isinstance(axes[k], bool) or not isinstance(axes[k], (int, np.integer))):
                raise TypeError(f"{who}: in_axes must be a whole number or None for each argument, got {axes[k]!r}")
            if axes[k] is not None and not -MOST_AXES <= axes[k] < MOST_AXES:
                raise ValueError(f"{who}: in_axes asks for axis {axes[k]} of argument {k}, and no array has so many")
            forms, leaves = [], []
            leaf_forms(form.parts[k], forms)
            gather(form.parts[k], args[k], leaves)
            if axes[k] is not None and forms:
                refuse_fixed_arrays(form.parts[k], who, k)
            if axes[k] is not None and not forms:
                raise TypeError(f"{who}: argument {k} holds no array of floats that has an axis of lanes; say so by None in in_axes")
            if isinstance(given[k], Gathered):
                if axes[k] is None or axes[k] != 0:
                    raise ValueError(f"{who}: in_axes must be 0 for what is gathered, as argument {k} is, got {axes[k]!r}")
                if not in_trace:
                    leaves = [given[k]]
            for part, x in zip(forms, leaves):
                if axes[k] is not None:
                    x = self.with_lanes(x, part, int(axes[k]), k)
                self.leaves.append(x)
                batched.append(axes[k] is not None)
        forms, leaves = [], []
        gather((<Form>self.form).parts[1], kwargs, self.leaves)
        batched += [False] * (len(self.leaves) - len(batched))
        self.batched = tuple(batched)
        if self.n < 0:
            raise ValueError(f"{who}: no argument has an axis of lanes; give one in in_axes")

    cdef bint are_plain(self, Program p, tuple args) except -1:
        """Whether the arguments are those of p with a first axis more, as is seen at a glance; there is no more to be said of
        them then."""
        cdef int64_t k, j, n = -1
        cdef cnp.ndarray a
        cdef Form form
        cdef tuple shape
        cdef bint narrow
        cdef int kind
        if len(args) != len(p.flat) or current() is not None:
            return False
        for k in range(<int64_t>len(args)):
            form, x = p.flat[k], args[k]
            array = x.array if type(x) is Gathered else x
            if type(array) is not np.ndarray:
                return False
            a = array
            j = cnp.PyArray_NDIM(a)
            narrow = form.kind == NUMBER32 or (form.kind == ARRAY and form.dtype)
            kind = cnp.NPY_FLOAT if narrow else cnp.NPY_DOUBLE
            if j != (form.ndim + 1 if form.kind == ARRAY else 1) or cnp.PyArray_TYPE(a) != kind:
                return False
            if form.kind == ARRAY:
                shape = form.shape
                for j in range(form.ndim):
                    if cnp.PyArray_DIM(a, <int>j + 1) != <cnp.npy_intp>shape[j]:
                        return False
            j = len(x)
            if n < 0:
                n = j
            if j != n:
                return False
        if n < 0:
            return False
        self.n, self.form, self.leaves, self.fits, self.batched = n, p.arguments, list(args), True, (True,) * len(args)
        return True

    cdef object with_lanes(self, x, Form form, int axis, int64_t k):
        cdef int64_t extent
        if form.kind != ARRAY:
            raise TypeError(f"{self.who}: argument {k} holds a number, which has no axis of lanes; let in_axes say None for what is the "
                            f"same in all lanes")
        if not -x.ndim <= axis < x.ndim:
            raise ValueError(f"{self.who}: in_axes asks for axis {axis} of argument {k}, which has an array of shape {tuple(x.shape)}")
        axis += x.ndim if axis < 0 else 0       # an index below 0 is none here
        extent = x.shape[axis]
        if self.n >= 0 and extent != self.n:
            raise ValueError(f"{self.who}: argument {k} has {extent} lanes, those before have {self.n}")
        self.n = extent
        return x if axis == 0 else x.transpose((axis, *[j for j in range(x.ndim) if j != axis]))

    cdef tuple lane(self, list leaves, int64_t i):
        """(args, kwargs) of one lane, plain."""
        cdef list out = []
        for x, has_lanes in zip(leaves, self.batched):
            if has_lanes:
                x = x[i] if len(x) else np.zeros(x.shape[1:], x.dtype)[()]
            out.append(x)
        return rebuilt(self.form, out)
