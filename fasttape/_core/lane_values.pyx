"""Values of a record over lanes: where they are on the tape, and how their lanes lie. Knows nothing of what computes them."""
from libc.stdlib cimport free

from fasttape._core.columns cimport put_columns, weave
from fasttape._core.record cimport *


cdef int check_axes(int ndim) except -1:
    if ndim + 1 >= FT_MAX_DIMS:
        raise ValueError(f"vmap: a value has {ndim} axes, and may have {FT_MAX_DIMS - 2} beside that of the lanes")
    return 0


cdef class LaneValues:
    """The record `old` as it is appended to a tape."""

    def __cinit__(self, Tape old, Tape tape, int64_t lanes):
        cdef int64_t k
        self.old, self.tape, self.lanes = old, tape, lanes
        self.to = <int32_t *>allocate(old.t.n * sizeof(int32_t) + 8)
        self.shapes = <int32_t *>allocate(old.t.n_shape * sizeof(int32_t) + 8)
        if self.to == NULL or self.shapes == NULL:
            raise MemoryError
        for k in range(old.t.n_shape):
            self.shapes[k] = -1
        self.way = [ALIKE] * old.t.n
        self.seen = {}
        self.programs = {}

    def __dealloc__(self):
        free(self.to)
        free(self.shapes)

    # ---- shapes and views

    cdef int32_t shape(self, int32_t shape) except -1:
        """That of a batched value, on the tape."""
        return shape_from(self.tape, (*shape_tuple(self.old, shape), self.lanes))

    cdef int32_t view(self, int32_t view, int way=LAST) except -1:
        """A region of the record, with its lanes last, in a base whose lanes lie so."""
        cdef ft_view w = self.old.t.view[view]
        cdef ft_shape *s = self.old.t.shape + w.shape
        cdef int64_t dims[FT_MAX_DIMS]
        cdef int64_t strides[FT_MAX_DIMS]
        cdef int64_t step = self.lanes if way == LAST else 1
        cdef int k
        check_axes(s.ndim)
        for k in range(s.ndim):
            dims[k] = self.old.t.dims[s.at + k]
            strides[k] = self.old.t.dims[w.at + k] * step
        dims[s.ndim] = self.lanes
        strides[s.ndim] = 1 if way == LAST else self.old.t.shape[w.base].size
        base = shape_tuple(self.old, w.base)
        return intern_view(self.tape, shape_from(self.tape, (*base, self.lanes) if way == LAST else (self.lanes, *base)), s.ndim + 1,
                           dims, strides, w.offset * step)

    cdef int32_t element(self, int32_t base, int64_t place, int way=LAST) except -1:
        """The view of an element of all lanes."""
        cdef int64_t size = self.old.t.shape[base].size, stride = 1 if way == LAST else size
        dims = shape_tuple(self.old, base)
        return intern_view(self.tape, shape_from(self.tape, (*dims, self.lanes) if way == LAST else (self.lanes, *dims)), 1,
                           &self.lanes, &stride, place * (self.lanes if way == LAST else 1))

    # ---- values

    cdef int32_t last(self, int32_t i) except -1:
        """A batched value with its lanes last."""
        cdef int axes[FT_MAX_DIMS]
        cdef int k, ndim
        cdef int32_t node = self.to[i]
        if self.way[i] != FIRST:
            return node
        if i not in self.seen:
            ndim = ndim_of(self.tape, node)
            for k in range(ndim - 1):
                axes[k] = k + 1
            axes[ndim - 1] = 0
            self.seen[i] = permute(self.tape, node, axes) if ndim > 1 else node
            if i < <int64_t>len(self.well_read) and self.well_read[i]:
                self.seen[i] = owner(self.tape, self.seen[i])
        return self.seen[i]

    cdef int32_t first(self, int32_t node) except -1:
        """What has its lanes last, with its lanes first, in memory too."""
        cdef int axes[FT_MAX_DIMS]
        cdef int k, ndim = ndim_of(self.tape, node)
        if ndim == 1:
            return owner(self.tape, node)
        axes[0] = ndim - 1
        for k in range(1, ndim):
            axes[k] = k - 1
        return owner(self.tape, permute(self.tape, node, axes))

    cdef int32_t with_lanes_first(self, int32_t i) except -1:
        cdef int op = self.old.t.entry[i].op
        if self.way[i] != LAST:
            return self.to[i]
        if (op == OP_pack or op == OP_assemble) and 2 <= size_of(self.old, i) <= FT_MOST_COLUMNS:
            return self.woven(i)
        return self.first(self.last(i))

    cdef int32_t operand(self, int32_t i) except -1:
        """What an elementwise op reads: an array that is the same in all lanes has a last axis of extent 1."""
        cdef int32_t node
        if self.way[i] != ALIKE:
            return self.last(i)
        node = self.to[i]
        if shape_of(self.tape, node) == 0:
            return node
        return reshape(self.tape, node, shape_from(self.tape, (*shape_tuple(self.tape, shape_of(self.tape, node)), 1)))

    cdef int32_t whole(self, int32_t i, int32_t shape) except -1:
        """A value in every lane, of a shape of the tape that it broadcasts to."""
        return spread(self.tape, self.operand(i), shape)

    cdef int32_t root(self, int32_t i, int32_t shape) except -1:
        """As `whole`, but no view."""
        return owner(self.tape, self.whole(i, shape))

    # ---- what is put together

    cdef list pieces(self, int32_t i, int64_t offset):
        """What an assembly or pack is made of: nodes of the record, where they go in the memory of what it is part of, and
        their views there. What is only put together for it goes there at once."""
        cdef ft_entry e = self.old.t.entry[i]
        cdef int32_t n = self.old.t.args[e.aux], k, node, view
        cdef ft_view w
        cdef list out = []
        for k in range(n):
            if e.op == OP_pack:
                out.append((self.old.t.args[e.aux + 1 + k], -1, offset + k))
                continue
            node = self.old.t.args[e.aux + 1 + 2 * k]
            view = self.old.t.args[e.aux + 2 + 2 * k]
            w = self.old.t.view[view]
            if node >= 0 and w.contiguous and self.way[node] == LAST and self.old.t.entry[node].op in (OP_pack, OP_assemble):
                out += self.pieces(node, offset + w.offset)
            else:
                out.append((node, view, offset + w.offset))
        return out

    cdef int32_t woven(self, int32_t i) except -1:
        """An assembly or pack with its lanes first."""
        cdef int32_t node, view, x
        cdef int64_t offset
        cdef list columns = [-1] * size_of(self.old, i)
        if i not in self.seen:
            for node, view, offset in self.pieces(i, 0):
                x = -1 if node < 0 else self.to[node] if self.way[node] == ALIKE else self.last(node)
                put_columns(self.tape, columns, x, self.old, view, offset, self.lanes)
            dims = shape_tuple(self.old, shape_of(self.old, i))
            self.seen[i] = weave(self.tape, columns, shape_from(self.tape, (self.lanes, *dims)), self.old.t.entry[i].dtype, self.lanes)
        return self.seen[i]
