"""Tapes that come from a file, checked before anything is made of them.

Sweeps, plans and kernels take a tape's word for what it says: that operands stand before their readers, that regions lie
within their bases, that shapes and dtypes fit, that places are those of rows there are. Whoever records sees to it; what a
file says is checked here, entry by entry. What passes can be optimised, differentiated, planned and run, and touches no
memory but its own.
"""

cimport numpy as cnp

from fasttape._core.callee cimport Callee
from fasttape._core.loop cimport ft_loop_op
from fasttape._core.loops cimport Loop
from fasttape._core.record cimport *
from fasttape._core.scan cimport Reversal

cnp.import_array()

cdef enum:
    MOST_AXES = 33                  # NumPy's 32, and one of stacked seeds

cdef int64_t MOST_ELEMENTS = <int64_t>1 << 50      # of all entries of a tape
cdef int64_t MOST_STEPS = <int64_t>1 << 32         # times ops, of one loop: more was never recorded, and it is not interrupted


cdef int wrong(int64_t i, str what) except -1:
    raise ValueError(f"entry {i}: {what}")


cdef int bad(int64_t i, const char *what) except -1 nogil:
    with gil:
        return wrong(i, (<bytes>what).decode())


# ---- shapes and regions

cdef int check_view(Tape tape, int32_t view) except -1 nogil:
    """A region lies within its base."""
    cdef ft_view w = tape.t.view[view]
    cdef ft_shape s = tape.t.shape[w.shape]
    cdef int64_t lo = w.offset, hi = w.offset, size = tape.t.shape[w.base].size, n, step
    cdef int k
    if w.offset < 0 or w.offset > size:
        return bad(view, b"a region begins outside its base")
    if s.size == 0:
        return 0
    for k in range(s.ndim):
        n = tape.t.dims[s.at + k] - 1
        step = tape.t.dims[w.at + k]
        if n == 0:
            continue
        if step > size or step < -size or (step and n > size // (step if step > 0 else -step)):
            return bad(view, b"a region's strides lead out of its base")
        if step > 0:
            hi += n * step
        else:
            lo += n * step
    if lo < 0 or hi >= size:
        return bad(view, b"a region reaches beyond its base")
    return 0


cdef bint spreads(Tape tape, int32_t own, int32_t full) noexcept nogil:
    """A value of the first shape broadcasts to the second."""
    cdef ft_shape a, b
    cdef int k
    if own == full or own == 0:
        return True
    a = tape.t.shape[own]
    b = tape.t.shape[full]
    if a.ndim > b.ndim:
        return False
    for k in range(a.ndim):
        if tape.t.dims[a.at + k] != 1 and tape.t.dims[a.at + k] != tape.t.dims[b.at + b.ndim - a.ndim + k]:
            return False
    return True


cdef bint is_reduced(Tape tape, int32_t whole, int32_t mask, int32_t shape) noexcept nogil:
    """The second shape is the first one without the axes of the mask."""
    cdef ft_shape a = tape.t.shape[whole], y = tape.t.shape[shape]
    cdef int k, n = 0
    if mask <= 0 or a.ndim > 30 or mask >> a.ndim:
        return False
    for k in range(a.ndim):
        if mask >> (a.ndim - 1 - k) & 1:
            continue
        if n >= y.ndim or tape.t.dims[y.at + n] != tape.t.dims[a.at + k]:
            return False
        n += 1
    return n == y.ndim


cdef bint is_product(Tape tape, int32_t left, int32_t right, int32_t shape) noexcept nogil:
    """Arrays of the first two shapes have a product of the third."""
    cdef ft_shape a = tape.t.shape[left], b = tape.t.shape[right], y = tape.t.shape[shape]
    cdef int n = a.ndim if a.ndim > b.ndim else b.ndim, k
    cdef int64_t *dims = tape.t.dims
    cdef int64_t da, db
    if a.ndim < 2 or b.ndim < 2 or y.ndim != n or dims[a.at + a.ndim - 1] != dims[b.at + b.ndim - 2] \
            or dims[y.at + n - 2] != dims[a.at + a.ndim - 2] or dims[y.at + n - 1] != dims[b.at + b.ndim - 1]:
        return False
    for k in range(n - 2):
        da = dims[a.at + k - (n - a.ndim)] if k >= n - a.ndim else 1
        db = dims[b.at + k - (n - b.ndim)] if k >= n - b.ndim else 1
        if (da != db and da != 1 and db != 1) or dims[y.at + k] != (db if da == 1 else da):
            return False
    return True


# ---- entries

cdef inline bint is_there(Tape tape, int64_t i, int32_t node) noexcept nogil:
    """A node that entry i may read: an earlier one, and neither a store nor places."""
    return 0 <= node < i and tape.t.entry[node].dtype < FT_I64


cdef inline bint alike(Tape tape, int32_t a, int32_t b) noexcept nogil:
    """Elements of two nodes have one size."""
    return not (tape.t.entry[a].dtype ^ tape.t.entry[b].dtype) & 1


cdef inline bint is_array(Tape tape, int64_t i, int32_t node) noexcept nogil:
    return is_there(tape, i, node) and tape.t.entry[node].shape != 0 and alike(tape, <int32_t>i, node)


cdef inline bint is_piece(Tape tape, int64_t i, int32_t node, int32_t view, bint numbers) noexcept nogil:
    """A node that fits into a region; a number does if `numbers`."""
    cdef int32_t shape
    if not is_there(tape, i, node) or not alike(tape, <int32_t>i, node):
        return False
    shape = tape.t.entry[node].shape
    return shape == tape.t.view[view].shape if shape else numbers


cdef int check_elementwise(Tape tape, int64_t i, ft_entry *e, int arity) except -1 nogil:
    cdef int32_t nodes[3]
    cdef int k
    nodes[0] = e.a
    nodes[1] = e.b
    nodes[2] = e.aux
    if arity == 1 and e.aux:
        return bad(i, b"an operand too many")
    for k in range(arity):
        if not is_there(tape, i, nodes[k]):
            return bad(i, b"an operand is no value before it")
        if e.op != OP_cast and not alike(tape, <int32_t>i, nodes[k]):
            return bad(i, b"an operand is of another dtype")
        if not spreads(tape, tape.t.entry[nodes[k]].shape, e.shape):
            return bad(i, b"an operand does not broadcast to the result")
    return 0


cdef int check_assembly(Tape tape, int64_t i, ft_entry *e) except -1 nogil:
    cdef int64_t n, k, total = 0
    cdef int32_t *at
    cdef int32_t view
    if e.aux < 0 or e.aux >= tape.t.n_args or e.shape == 0:
        return bad(i, b"no operands")
    at = tape.t.args + e.aux
    n = at[0]
    if n < 0 or e.aux + 1 + n * (2 if e.op == OP_assemble else 1) > tape.t.n_args:
        return bad(i, b"more operands than there are")
    if e.op == OP_pack:
        if tape.t.shape[e.shape].ndim != 1 or tape.t.shape[e.shape].size != n:
            return bad(i, b"another number of operands than of elements")
        for k in range(n):
            if not is_there(tape, i, at[1 + k]) or tape.t.entry[at[1 + k]].shape:
                return bad(i, b"an operand is no number before it")
        return 0
    for k in range(n):
        view = at[2 + 2 * k]
        if view < 0 or view >= tape.t.n_view or tape.t.view[view].base != e.shape:
            return bad(i, b"a region is of another base")
        if at[1 + 2 * k] != -1 and not is_piece(tape, i, at[1 + 2 * k], view, True):
            return bad(i, b"a piece does not fit its region")
        total += tape.t.shape[tape.t.view[view].shape].size
        if total > tape.t.shape[e.shape].size:
            return bad(i, b"pieces overlap")
    if total != tape.t.shape[e.shape].size:
        return bad(i, b"pieces leave holes")
    return 0


cdef int check_places(Tape tape, int64_t i, ft_entry *e) except -1 nogil:
    """Rows that are gathered or scattered, in each lane, are rows there are."""
    cdef ft_entry *b
    cdef int64_t places, row = e.aux, whole, rows_size, lanes, k, large, small
    cdef int32_t all_rows, some_rows
    cdef const int64_t *place
    if not is_array(tape, i, e.a) or e.b < 0 or e.b >= i or e.shape == 0:
        return bad(i, b"an operand is no array before it")
    b = tape.t.entry + e.b
    if b.op != OP_input or b.dtype != FT_I64 or b.b <= 0 or row < 0:
        return bad(i, b"no places")
    places = tape.t.shape[b.shape].size
    all_rows, some_rows = (e.a, <int32_t>i) if e.op == OP_take else (<int32_t>i, e.a)
    whole, rows_size = size_of(tape, all_rows), size_of(tape, some_rows)
    if places == 0 or row == 0:
        return 0 if rows_size == 0 else bad(i, b"rows for no places")
    if row > rows_size or places > rows_size // row or rows_size % (places * row):
        return 0 if rows_size == 0 else bad(i, b"rows of another size")
    small = places * row
    lanes = rows_size // small
    if lanes == 0:
        return 0
    large = whole // lanes
    if whole % lanes or large % row:
        return bad(i, b"rows of another size")
    place = <const int64_t *>tape.t.val[e.b].p
    for k in range(places):
        if place[k] < 0 or place[k] >= large // row:
            return bad(i, b"a place is none of the rows")
    return 0


cdef int check_region(Tape tape, int64_t i, ft_entry *e) except -1 nogil:
    """What reads or writes a region or an element."""
    cdef int32_t view = e.aux
    if e.op == OP_get or e.op == OP_add_at or e.op == OP_set_at:
        if not is_array(tape, i, e.a) or e.aux < 0 or e.aux >= size_of(tape, e.a):
            return bad(i, b"no such element")
        if e.op == OP_get:
            return 0 if e.shape == 0 and tape.t.entry[e.a].op != OP_view else bad(i, b"an element is a number of no region")
        if e.shape != tape.t.entry[e.a].shape or not is_there(tape, i, e.b) or tape.t.entry[e.b].shape or not alike(tape, <int32_t>i, e.b):
            return bad(i, b"an operand does not fit")
        return 0
    if view < 0 or view >= tape.t.n_view:
        return bad(i, b"no such region")
    if e.op == OP_view:
        if not is_array(tape, i, e.a) or tape.t.entry[e.a].op == OP_view or tape.t.view[view].base != tape.t.entry[e.a].shape \
                or tape.t.view[view].shape != e.shape or e.shape == 0 or e.dtype != tape.t.entry[e.a].dtype:
            return bad(i, b"a region of something else")
        return 0
    if e.shape == 0 or tape.t.view[view].base != e.shape:
        return bad(i, b"a region of something else")
    if e.op == OP_pad:
        return 0 if is_piece(tape, i, e.a, view, True) else bad(i, b"a piece does not fit its region")
    if not is_array(tape, i, e.a) or tape.t.entry[e.a].shape != e.shape or not is_piece(tape, i, e.b, view, e.op == OP_update):
        return bad(i, b"a piece does not fit its region")
    return 0


cdef int check_input(Tape tape, int64_t i, ft_entry *e, int64_t n_input) except -1:
    """An argument, or an array that the tape has with it."""
    cdef cnp.ndarray known
    if i < n_input:
        return 0 if e.op == OP_input and e.b == 0 and e.dtype < FT_I64 else bad(i, b"no argument")
    if e.b <= 0 or e.b > <int64_t>len(tape.keep) or e.shape == 0:
        return bad(i, b"no such array")
    known = tape.keep[e.b - 1]
    if cnp.PyArray_NBYTES(known) < size_of(tape, <int32_t>i) * itemsize(e.dtype):
        return bad(i, b"an array that is too short")
    tape.t.val[i].p = cnp.PyArray_DATA(known)
    return 0


cdef int check_entry(Tape tape, int64_t i, int64_t n_input) except -1 nogil:
    cdef ft_entry *e = tape.t.entry + i
    if e.op >= FT_N_OPS or e.dtype > FT_I64 or e.shape < 0 or e.shape >= tape.t.n_shape:
        return bad(i, b"no such op, dtype or shape")
    e.flags = 0
    if e.op == OP_input or i < n_input:
        e.flags = FT_DONE
        with gil:
            return check_input(tape, i, e, n_input)
    if e.dtype == FT_I64 and e.op != OP_program:
        return bad(i, b"whole numbers that nothing computes")
    if e.op < FT_N_MAP:
        return check_elementwise(tape, i, e, rows[e.op].arity)
    if e.op == OP_constant:
        e.flags = FT_DONE
        return 0 if e.shape == 0 else bad(i, b"a constant is a number")
    if e.op == OP_cast:
        return check_elementwise(tape, i, e, 1)
    if e.op in (OP_view, OP_get, OP_pad, OP_add_region, OP_update, OP_add_at, OP_set_at):
        return check_region(tape, i, e)
    if e.op == OP_sum or e.op == OP_max or e.op == OP_min:
        if not is_array(tape, i, e.a) or not is_reduced(tape, tape.t.entry[e.a].shape, e.aux, e.shape):
            return bad(i, b"axes that do not fit")
        if e.op != OP_sum and size_of(tape, e.a) == 0 and tape.t.shape[e.shape].size:
            return bad(i, b"an extreme of nothing")
        return 0
    if e.op == OP_matmul:
        if not is_array(tape, i, e.a) or not is_array(tape, i, e.b) \
                or not is_product(tape, tape.t.entry[e.a].shape, tape.t.entry[e.b].shape, e.shape):
            return bad(i, b"operands of a product that do not fit")
        return 0
    if e.op == OP_take or e.op == OP_put_add:
        return check_places(tape, i, e)
    if e.op == OP_assemble or e.op == OP_pack:
        return check_assembly(tape, i, e)
    return bad(i, b"an op that stands in no program")


cdef int64_t check_entries(Tape tape, int64_t i, int64_t n_input) except -1 nogil:
    """From entry i on; returns where the next loop or call stands, or the end."""
    while i < tape.t.n and (i < n_input or (tape.t.entry[i].op != OP_loop and tape.t.entry[i].op != OP_program)):
        check_entry(tape, i, n_input)
        i += 1
    return i


# ---- loops and calls

cdef int check_group(Tape tape, int64_t i, int64_t others) except -1:
    """The results of a loop or call from its first entry on, and its list of operands, which begins with how many there
    are of `others`."""
    cdef ft_entry *e = tape.t.entry + i
    cdef ft_entry *r
    cdef int64_t k
    if e.a or e.b < 1 or i + e.b > tape.t.n or e.aux < 0 or <int64_t>e.aux + 2 > tape.t.n_args or tape.t.args[e.aux] < 0 \
            or tape.t.args[e.aux] >= others or tape.t.args[e.aux + 1] < 0 or e.aux + 2 + <int64_t>tape.t.args[e.aux + 1] > tape.t.n_args:
        return bad(i, b"no such loop or program")
    for k in range(e.b):
        r = tape.t.entry + i + k
        if r.op != e.op or r.a != k or r.b != e.b or r.aux != e.aux or r.dtype > FT_I64 or r.shape < 0 or r.shape >= tape.t.n_shape:
            return bad(i + k, b"results that do not follow each other")
        r.flags = 0
    return 0


cdef int check_stream(Tape tape, int64_t i, Loop loop, int32_t k) except -1:
    """What a loop reads or writes lies within its array."""
    cdef int32_t node = loop.stream[k]
    cdef int64_t stride = loop.code.stride[k], lo, hi, size, reach
    cdef int64_t strides[FT_MAX_DIMS]
    cdef int64_t offset = 0
    cdef bint narrow = loop.code.stream_f32[k]
    if node < 0:
        if ~node >= tape.t.entry[i].b or tape.t.entry[i + ~node].shape == 0:
            return bad(i, b"a loop writes what is none of its arrays")
        node = <int32_t>i + ~node
    elif not is_there(tape, i, node):
        return bad(i, b"a loop reads what is not before it")
    if tape.t.entry[node].shape == 0:
        return 0 if stride == 0 and not narrow else bad(i, b"a loop steps through a number")
    size = itemsize(tape.t.entry[node].dtype)
    if narrow != (size == 4) or stride % size:
        return bad(i, b"a loop reads another dtype")
    if loop.count == 0:
        return 0
    stride //= size
    size = size_of(tape, root_of(tape, node))
    layout(tape, node, strides, &offset)
    if stride > size or stride < -size or (stride and loop.count - 1 > size // abs(stride)):
        return bad(i, b"a loop leaves its array")
    reach = (loop.count - 1) * stride
    lo = offset + min(reach, 0)
    hi = offset + max(reach, 0)
    return 0 if 0 <= lo and hi < size else bad(i, b"a loop leaves its array")


cdef int check_loop_code(Loop loop, int64_t i) except -1:
    """The ops of a body read values before them, and no store's."""
    cdef int64_t k, j, begin = loop.code.n_constant + loop.code.n_carry, n
    cdef const ft_loop_op *op
    cdef int32_t operands[3]
    for k in range(loop.code.n_op):
        op = loop.code.op + k
        operands[:] = [op.a, op.b, op.c]
        n = 1
        if op.f32 > 1 or op.unused:
            return bad(i, b"a loop's op with flags that there are not")
        if op.op == FT_L_LOAD or op.op == FT_L_STORE:
            if not 0 <= op.a < loop.code.n_stream or (op.op == FT_L_STORE) != (loop.stream[op.a] < 0):
                return bad(i, b"a loop's op has no stream")
            operands[0], n = op.b, op.op == FT_L_STORE
        elif op.op < FT_N_MAP:
            n = rows[op.op].arity
        elif op.op != FT_L_CAST:
            return bad(i, b"a loop has an op that there is not")
        for j in range(n):
            if not 0 <= operands[j] < begin + k or (operands[j] >= begin and loop.code.op[operands[j] - begin].op == FT_L_STORE):
                return bad(i, b"a loop's op reads no value before it")
    for k in range(loop.code.n_carry):
        j = loop.code.next[k]
        if not 0 <= j < begin + loop.code.n_op or (j >= begin and loop.code.op[j - begin].op == FT_L_STORE):
            return bad(i, b"a loop hands on no value")
    return 0


cdef int check_loop(Tape tape, int64_t i) except -1:
    cdef Loop loop
    cdef ft_entry *e = tape.t.entry + i
    cdef int32_t *reads
    cdef int64_t k
    cdef int32_t node
    check_group(tape, i, len(tape.loops))
    loop = tape.loops[tape.t.args[e.aux]]
    reads = tape.t.args + e.aux + 1
    check_loop_code(loop, i)
    if loop.count > MOST_STEPS // (loop.code.n_op + 1):
        return bad(i, b"a loop that takes longer than what was recorded")
    if [reads[1 + k] for k in range(reads[0])] != [node for node in [loop.stream[k] for k in range(loop.code.n_stream)] if node >= 0] \
            + [loop.first[k] for k in range(loop.code.n_carry)]:
        return bad(i, b"a loop reads something else than it says")
    for k in range(loop.code.n_stream):
        check_stream(tape, i, loop, <int32_t>k)
    for k in range(loop.code.n_carry):
        if not is_there(tape, i, loop.first[k]) or tape.t.entry[loop.first[k]].shape:
            return bad(i, b"what a loop begins with is no number before it")
        if loop.last[k] < -1 or loop.last[k] >= e.b or (loop.last[k] >= 0 and tape.t.entry[i + loop.last[k]].shape):
            return bad(i, b"what a loop ends with is no number of its results")
    for k in range(e.b):
        if tape.t.entry[i + k].dtype > FT_F32:
            return bad(i + k, b"a loop's result is of no dtype that it may have")
    return 0


cdef int check_call(Tape tape, int64_t i, list inputs_of) except -1:
    """A call of a program, a loop or a reversal. `inputs_of` says of each callee the dtypes and shapes of its arguments, None
    for a store."""
    cdef ft_entry *e = tape.t.entry + i
    cdef Callee callee
    cdef int32_t node
    cdef int64_t k, place
    cdef list types
    check_group(tape, i, len(tape.programs))
    place = tape.t.args[e.aux]
    callee, types = tape.programs[place], inputs_of[place]
    if tape.t.args[e.aux + 1] != len(types) or e.b != callee.n_output:
        return bad(i, b"a call of something with other arguments or results")
    for k, part in enumerate(types):
        node = tape.t.args[e.aux + 2 + k]
        if part is None:
            check_store(tape, i, node, callee)
        elif not is_there(tape, i, node) or (tape.t.entry[node].dtype ^ <int>part[0]) & 1 \
                or shape_tuple(tape, shape_of(tape, node)) != part[1]:
            return bad(i, b"an argument of a call does not fit")
    for k, part in enumerate(callee.results()):
        if tape.t.entry[i + k].dtype != part[0] or shape_tuple(tape, tape.t.entry[i + k].shape) != part[1]:
            return bad(i + k, b"a result of a call does not fit")
    return 0


cdef int check_store(Tape tape, int64_t i, int32_t node, Reversal r) except -1:
    """What a reversal is given of its loop: nothing, or what the loop left."""
    cdef object callee
    if node == -1:
        return 0
    if not 0 <= node < i or not is_store(tape, node):
        return bad(i, b"a reversal is given what no loop left")
    callee = tape.programs[tape.t.args[tape.t.entry[node].aux]]
    return 0 if callee is r.loop else bad(i, b"a reversal is given what another loop left")


# ---- all of it

cdef int check_tape(Tape tape, int64_t n_input, list inputs_of) except -1:
    """A tape whose shapes, views, arrays, loops and programs are set, its first entries being the arguments. Its flags, and
    where its arrays lie, are set here. `inputs_of`: see check_call."""
    cdef int64_t i = 0, total = 0
    for i in range(tape.t.n_shape):
        if tape.t.shape[i].ndim > MOST_AXES:
            raise ValueError(f"an array has {tape.t.shape[i].ndim} axes")
    if n_input < 0 or n_input > tape.t.n:
        raise ValueError("there are more arguments than entries")
    for i in range(tape.t.n):
        if 0 <= tape.t.entry[i].shape < tape.t.n_shape:
            total += tape.t.shape[tape.t.entry[i].shape].size
        if total > MOST_ELEMENTS:
            raise ValueError("the arrays have more elements than any machine can hold")
    i = 0
    while i < tape.t.n:
        with nogil:
            i = check_entries(tape, i, n_input)
        if i < tape.t.n:
            if tape.t.entry[i].op == OP_loop:
                check_loop(tape, i)
            else:
                check_call(tape, i, inputs_of)
            i += tape.t.entry[i].b
    return 0


cdef int check_outputs(Tape tape, const int32_t *outputs, int64_t n) except -1:
    cdef int64_t k
    for k in range(n):
        if not is_there(tape, tape.t.n, outputs[k]):
            raise ValueError(f"result {k} is no value of the program")
    return 0
