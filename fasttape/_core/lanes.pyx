"""A recorded tape over lanes: each entry that depends on an argument of which every lane has its own becomes one entry for
all lanes.

A batched value lies with its lanes last: a number is a row of them, an array has a row for each of its elements. So what is
elementwise goes on along contiguous rows, and elements, regions and axes are found where they were. Arguments lie with
their lanes first, as the caller has them, and are read there; so do products of matrices, and what they are made of.

A lane gets the bits that the record gives it alone: sums are added up in the same order. Only products of matrices
(BLAS) may differ in the last place.
"""
import numpy as np

cimport numpy as cnp

from fasttape._core.calls cimport emit_call, input_like
from fasttape._core.frozen cimport splice, splice_entry
from fasttape._core.keep cimport array_input, keep
from fasttape._core.lane_values cimport ALIKE, FIRST, LAST, LaneValues, check_axes
from fasttape._core.optimise cimport optimise
from fasttape._core.program cimport Program
from fasttape._core.record cimport *
from fasttape._core.signature cimport form_of_result
from fasttape._core.sweep cimport align
from fasttape._core.trace cimport current, enter_own, leave

cnp.import_array()

cdef enum:
    IN_PARTS = 16                   # elements from which on a sum is added up in interleaved parts (kernels/reduce.h)


cdef class Lanes(LaneValues):
    """The record's entries, appended one by one."""

    cdef int set(self, int32_t i, int32_t node, int way) except -1:
        self.to[i] = node
        self.way[i] = way
        return 0

    cdef int add(self, int32_t i) except -1:
        """Append what entry i becomes."""
        cdef ft_entry e = self.old.t.entry[i]
        cdef Reads o = reads_of(self.old, &e)
        cdef int k, j
        cdef int32_t node
        cdef bint alike = True
        for k in range(o.n):
            if o.at[k * o.step] >= 0 and self.way[o.at[k * o.step]] != ALIKE:
                alike = False
        if alike:
            self.as_it_is(i)
        elif e.op == OP_program:
            self.call(i)
        elif e.op < FT_N_MAP or e.op == OP_cast:
            self.elementwise(i, &e)
        elif e.op == OP_view or e.op == OP_get:
            j = LAST if e.a < <int64_t>len(self.well_read) and self.well_read[e.a] else self.way[e.a]
            node = self.last(e.a) if j == LAST else self.to[e.a]
            k = self.view(e.aux, j) if e.op == OP_view else self.element(shape_of(self.old, e.a), e.aux, j)
            self.set(i, look(self.tape, node, k), LAST)
        elif e.op == OP_sum or e.op == OP_max or e.op == OP_min:
            self.reduction(i, &e)
        elif e.op == OP_matmul:
            self.product(i, &e)
        elif e.op == OP_assemble or e.op == OP_pack:
            self.assembly(i, &e)
        else:
            self.structure(i, &e)
        return 0

    cdef int as_it_is(self, int32_t i) except -1:
        """An entry that is the same in all lanes, as it is."""
        cdef int32_t first = i
        splice_entry(self.old, self.tape, i, self.to, self.shapes, self.programs)
        while i < self.old.t.n and group_of(self.old, i) == first:
            self.way[i] = ALIKE
            i += 1
        return 0

    cdef int elementwise(self, int32_t i, ft_entry *e) except -1:
        cdef int arity = rows[e.op].arity if e.op < FT_N_MAP else 1
        cdef int32_t a = self.operand(e.a), b = 0, c = 0, shape = self.shape(e.shape)
        cdef int flags = 0
        if arity > 1:
            b = self.operand(e.b)
        if arity > 2:
            c = self.operand(e.aux)
        if e.op == OP_cast or active_operands[e.op] & 1:
            flags |= self.tape.t.entry[a].flags
        if arity > 1 and active_operands[e.op] & 2:
            flags |= self.tape.t.entry[b].flags
        if arity > 2 and active_operands[e.op] & 4:
            flags |= self.tape.t.entry[c].flags
        return self.set(i, emit(self.tape, e.op, e.dtype, flags & FT_ACTIVE if e.dtype < FT_B64 else 0, shape, a, b, c), LAST)

    cdef bint in_rows(self, ft_entry *e) except -1:
        """Whether each lane's numbers are added up one after the other, as they are along rows of lanes."""
        cdef int64_t strides[FT_MAX_DIMS]
        cdef int64_t offset, n = 1
        cdef int ndim = ndim_of(self.old, e.a), k, gone = 0
        cdef bint contiguous = layout(self.old, e.a, strides, &offset)
        cdef int64_t *dims = dims_of(self.old, e.a)
        if e.op != OP_sum:
            return True
        if not e.aux & 1 and dims[ndim - 1] > 1 and strides[ndim - 1] == 1:
            return True
        for k in range(ndim):
            if e.aux >> (ndim - 1 - k) & 1 and dims[k] != 1:
                n *= dims[k]
                gone += 1
        return n < IN_PARTS and (gone <= 1 or (contiguous and e.aux & (e.aux + 1) == 0))

    cdef int reduction(self, int32_t i, ft_entry *e) except -1:
        cdef int32_t a = self.last(e.a), y
        cdef int64_t strides[FT_MAX_DIMS]
        cdef int axes[FT_MAX_DIMS]
        cdef int64_t offset
        cdef int k, ndim = ndim_of(self.tape, a)
        if e.op == OP_sum and not self.in_rows(e):
            axes[0] = ndim - 1
            for k in range(1, ndim):
                axes[k] = k - 1
            y = reduce(self.tape, e.op, permute(self.tape, a, axes), e.aux)
            return self.set(i, y, FIRST if ndim_of(self.tape, y) > 1 else LAST)
        layout(self.tape, a, strides, &offset)
        if strides[ndim - 1] != 1:
            a = owner(self.tape, a)
        return self.set(i, reduce(self.tape, e.op, a, <int64_t>e.aux << 1), LAST)

    cdef int product(self, int32_t i, ft_entry *e) except -1:
        """One product for all lanes where they share a matrix, else one in each."""
        cdef int32_t a, b, y
        cdef int swap[3]
        cdef int ndim = self.old.t.shape[e.shape].ndim
        cdef tuple dims = shape_tuple(self.old, e.shape)
        cdef int64_t m = dims[ndim - 2], n = dims[ndim - 1], k
        swap[:] = [1, 0, 2]
        if ndim == 2 and self.way[e.a] == ALIKE:
            k = dims_of(self.old, e.b)[0]
            b = reshape(self.tape, self.last(e.b), shape_from(self.tape, (k, n * self.lanes)))
            y = matmul(self.tape, self.to[e.a], b)
            return self.set(i, reshape(self.tape, y, self.shape(e.shape)), LAST)
        if ndim == 2 and self.way[e.b] == ALIKE:
            k = dims_of(self.old, e.a)[1]
            a = permute(self.tape, self.last(e.a), swap)
            a = reshape(self.tape, a, shape_from(self.tape, (k, m * self.lanes)))
            y = matmul(self.tape, transposed(self.tape, self.to[e.b]), a)
            y = permute(self.tape, reshape(self.tape, y, shape_from(self.tape, (n, m, self.lanes))), swap)
            return self.set(i, owner(self.tape, y), LAST)
        a, b = self.with_lanes_first(e.a), self.with_lanes_first(e.b)
        if self.way[e.a]:
            a = align(self.tape, self.lanes, a, ndim)
        if self.way[e.b]:
            b = align(self.tape, self.lanes, b, ndim)
        return self.set(i, matmul(self.tape, a, b), FIRST)

    cdef int assembly(self, int32_t i, ft_entry *e) except -1:
        cdef int32_t node, view, place, base = self.shape(e.shape)
        cdef int64_t at, k, n, offset
        cdef int64_t dims[FT_MAX_DIMS]
        cdef int64_t strides[FT_MAX_DIMS]
        cdef ft_view w
        cdef int ndim, flags = 0
        cdef list pieces = self.pieces(i, 0)
        n = len(pieces)
        at = new_args(self.tape, 1 + 2 * n)
        self.tape.t.args[at] = <int32_t>n
        for k, (node, view, offset) in enumerate(pieces):
            ndim = 0
            if view >= 0:
                w = self.old.t.view[view]
                ndim = self.old.t.shape[w.shape].ndim
                for j in range(ndim):
                    dims[j] = self.old.t.dims[self.old.t.shape[w.shape].at + j]
                    strides[j] = self.old.t.dims[w.at + j] * self.lanes
            dims[ndim], strides[ndim] = self.lanes, 1
            place = intern_view(self.tape, base, ndim + 1, dims, strides, offset * self.lanes)
            if node >= 0:
                node = self.whole(node, self.tape.t.view[place].shape)
                flags |= self.tape.t.entry[node].flags
            self.tape.t.args[at + 1 + 2 * k] = node
            self.tape.t.args[at + 2 + 2 * k] = place
        return self.set(i, emit(self.tape, OP_assemble, e.dtype, flags & FT_ACTIVE, base, 0, 0, <int32_t>at), LAST)

    cdef int structure(self, int32_t i, ft_entry *e) except -1:
        """What puts something into an array, or takes rows out of it."""
        cdef int32_t shape = self.shape(e.shape), a, b = -1, view = e.aux
        cdef int op = e.op
        cdef int64_t row = <int64_t>e.aux * self.lanes
        if op == OP_take or op == OP_put_add:
            if row > 0x7fffffff:
                raise NotImplementedError("vmap: rows of 2**31 elements or more, those of all lanes, cannot be gathered")
            a = self.root(e.a, self.shape(shape_of(self.old, e.a)))
            return self.set(i, structural(self.tape, op, shape, a, self.to[e.b], <int32_t>row), LAST)
        if op == OP_pad:
            return self.set(i, structural(self.tape, op, shape, self.last(e.a), -1, self.view(view)), LAST)
        if op not in (OP_add_region, OP_update, OP_add_at, OP_set_at):
            raise NotImplementedError(f"vmap: the op {e.op} is not there yet for lanes")
        a = self.root(e.a, shape)
        view = self.view(view) if op == OP_add_region or op == OP_update else self.element(e.shape, view)
        b = self.whole(e.b, self.tape.t.view[view].shape)
        op = OP_add_region if op == OP_add_region or op == OP_add_at else OP_update
        return self.set(i, structural(self.tape, op, shape, a, b, view), LAST)

    cdef int call(self, int32_t i) except -1:
        """The call of a program becomes that of the program over lanes."""
        cdef int32_t *args = self.old.t.args + self.old.t.entry[i].aux
        cdef int32_t y
        cdef int64_t k, n = args[1]
        callee = self.old.programs[args[0]]
        old = [args[2 + k] for k in range(n)]
        batched = tuple([node >= 0 and self.way[node] != ALIKE for node in old])
        nodes = [self.with_lanes_first(node) if node >= 0 else -1 for node in old]
        if isinstance(callee, Program):
            y = emit_call(self.tape, batched_program(callee, batched, self.lanes), nodes)
            made = range(y, y + (<Program>callee).n_output)
        else:
            made = loop_over_lanes(callee, self.tape, nodes, batched, self.lanes, self.old.programs)
        for k, node in enumerate(made):
            self.set(<int32_t>(i + k), node, ALIKE if is_store(self.old, <int32_t>(i + k)) else
                     FIRST if self.old.t.entry[i + k].shape else LAST)
        return 0


cdef list well_read(Tape old, int64_t n):
    """Which of the first n entries, arguments, are worth turning around as a whole: small ones, of which half is read element
    by element."""
    cdef int64_t i
    cdef ft_entry *e
    cdef list reads = [0] * n
    for i in range(old.t.n):
        e = old.t.entry + i
        if (e.op == OP_get or e.op == OP_view) and e.a < n:
            reads[e.a] += size_of(old, <int32_t>i)
    return [1 < size_of(old, <int32_t>i) <= FT_MOST_COLUMNS and 2 * count >= size_of(old, <int32_t>i) for i, count in enumerate(reads)]


loop_over_lanes = None              # set by scan_lanes.pyx: the results of a loop or a reversal, called over lanes


cdef int32_t transposed(Tape tape, int32_t a) except -1:
    cdef int axes[2]
    axes[:] = [1, 0]
    return permute(tape, a, axes)


cdef list over_one_lane(Tape old, Tape tape, list inputs, list batched, const int32_t *outputs, int64_t n):
    """As the record is, without the axis: along one of extent 1 sums would be added up in another order."""
    cdef int32_t i
    cdef int64_t k
    for k in range(<int64_t>len(inputs)):
        if batched[k]:
            i = inputs[k]
            inputs[k] = owner(tape, reshape(tape, i, shape_from(tape, shape_tuple(tape, shape_of(tape, i))[1:])))
    return [owner(tape, reshape(tape, i, shape_from(tape, (1, *shape_tuple(tape, shape_of(tape, i))))))
            for i in splice(old, tape, inputs, outputs, n)]


cdef list over_lanes(Tape old, Tape tape, list inputs, list batched, const int32_t *outputs, int64_t n, int64_t lanes):
    """Append a frozen record, its inputs being nodes there, over lanes; those of which every lane has its own are stacked
    along a first axis, or along a last one where `batched` says IN_COLUMNS. Returns the nodes of the outputs, stacked along
    a first one."""
    cdef Lanes made
    cdef int64_t i, k
    cdef int32_t node
    cdef list out = []
    if lanes == 1:
        return over_one_lane(old, tape, list(inputs), batched, outputs, n)
    made = Lanes(old, tape, lanes)
    made.well_read = well_read(old, len(inputs))
    for i in range(<int64_t>len(inputs)):
        check_axes(ndim_of(old, <int32_t>i))
        made.to[i] = owner(tape, inputs[i]) if batched[i] else inputs[i]
        made.way[i] = ALIKE if not batched[i] else LAST if batched[i] == IN_COLUMNS or shape_of(old, <int32_t>i) == 0 else FIRST
    for i in range(<int64_t>len(inputs), old.t.n):
        if group_of(old, <int32_t>i) == i:
            made.add(<int32_t>i)
    for k in range(n):
        node = outputs[k]
        if made.way[node] == ALIKE:
            node = made.to[node]
            dims = (lanes, *shape_tuple(tape, shape_of(tape, node)))
            out.append(spread(tape, node, shape_from(tape, dims)))
        else:
            out.append(made.with_lanes_first(node))
    return out


cdef tuple optimised(Program p):
    """What one lane computes, optimised: elements that are written and read one by one have become numbers. The tape, an
    array of the nodes of its outputs, and which arguments are `well_read`."""
    cdef Tape outer, tape, old
    cdef cnp.ndarray outputs
    cdef int32_t *at
    if "lane" not in p.derived:
        old = p.record.tape()
        outer = current()
        tape = enter_own()
        try:
            inputs = [input_like(tape, old, k, 0) for k in range(p.n_input)]
            outputs = np.array(splice(old, tape, inputs, p.record_outputs, p.n_output), np.int32)
            at = <int32_t *>cnp.PyArray_DATA(outputs)
            old = optimise(tape, p.n_input, at, p.n_output, True)
            p.derived["lane"] = old, outputs, well_read(old, p.n_input)
        finally:
            leave(tape, outer)
    return p.derived["lane"]


cdef int32_t lane_input(Tape tape, Tape old, int32_t k, int batched, int64_t lanes) except -1:
    """An input of a tape over lanes, like one of a record."""
    cdef tuple dims
    if batched != IN_COLUMNS:
        return input_like(tape, old, k, lanes if batched else 0)
    dims = (*shape_tuple(old, shape_of(old, k)), lanes)
    return array_input(tape, np.zeros(dims, np.float32 if old.t.entry[k].dtype & 1 else np.float64))


cdef Program batched_program(Program p, tuple batched, int64_t lanes, bint swept=True):
    """The program of many calls of p at once: of the arguments that are batched there is one for each lane, stacked along a
    first axis, and so are the results. What is recorded of it, where it is to be `swept` through, is what p recorded;
    else it is made from what of that is left to be done."""
    cdef Program q
    cdef Tape outer, tape, old
    cdef cnp.ndarray nodes
    cdef list inputs, out
    cdef const int32_t *outputs = p.record_outputs
    key = "swept lanes" if swept else "lanes", batched, lanes
    if key in p.derived:
        return p.derived[key]
    if swept:
        old = p.record.tape()
    else:
        old, nodes, _ = optimised(p)
        outputs = <const int32_t *>cnp.PyArray_DATA(nodes)
    q = Program.__new__(Program)
    q.name = f"{p.name} over {lanes} lanes"
    outer = current()
    tape = enter_own()
    try:
        inputs = [lane_input(tape, old, k, batched[k], lanes) for k in range(p.n_input)]
        out = over_lanes(old, tape, inputs, list(batched), outputs, p.n_output, lanes)
        keep(q, tape, len(inputs), out, [])
    finally:
        leave(tape, outer)
    q.result = form_of_result((0.0,) * p.n_output, q.name)
    p.derived[key] = q
    return q
