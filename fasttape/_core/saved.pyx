"""Programs as arrays and plain values, and back: what saving.py puts into a file.

Of a program its record goes out, and the tape that is planned and run, so that neither tracing nor optimising is done
again; of a loop its body; of a reversal what it was made from. Coming in, everything is built by the functions that build
it when it is recorded, or checked (verify.pyx).
"""
import dataclasses
from collections import OrderedDict

import numpy as np

from libc.stdint cimport int8_t
from libc.string cimport memcpy

cimport numpy as cnp

from fasttape._core.callee cimport Callee
from fasttape._core.loop cimport ft_loop_op
from fasttape._core.loops cimport Loop, make_code
from fasttape._core.packed cimport Record, keep_record, unpacked
from fasttape._core.program cimport Program, mark_after
from fasttape._core.record cimport *
from fasttape._core.scan cimport *
from fasttape._core.scan_sweeps cimport reversal_of
from fasttape._core.signature cimport *
from fasttape._core.verify cimport check_outputs, check_tape, check_view

from fasttape._core import vm
from fasttape._core.calls import inlined
from fasttape._core.fuse import new_codes

cnp.import_array()

cdef enum:                          # ops of a loop's body that are not elementwise, in a file
    LOAD_OUT = 253, STORE_OUT, CAST_OUT
    NO_OP = 252
    PER_BYTE = 64                   # entries for each byte of a packed record, at most
    PACKED_FREELY = 1 << 22         # entries that need none

cdef int64_t MOST_BYTES = <int64_t>1 << 50          # of the arguments and results of a program

NAMES = vm.names()
LOOP_PARTS = (("constants", np.float64), ("next", np.int32), ("ops", np.uint8), ("strides", np.int64), ("narrow", np.uint8),
              ("streams", np.int32), ("first", np.int32), ("last", np.int32))       # as in Loop.memory


# ---- what a tape is made of

cdef cnp.ndarray items(const void *data, int64_t n, dtype):
    """An array of n items."""
    cdef cnp.ndarray out = np.empty(n, dtype)
    if n:
        memcpy(cnp.PyArray_DATA(out), data, cnp.PyArray_NBYTES(out))
    return out


cdef dict tables_out(Tape tape):
    """Shapes (of each its axes and extents), views (of each base, shape, offset and strides), operand lists."""
    cdef list shapes = [], views = []
    cdef int64_t k
    cdef int j
    cdef ft_shape *s
    cdef ft_view *w
    for k in range(tape.t.n_shape):
        s = tape.t.shape + k
        shapes.append(s.ndim)
        shapes += [tape.t.dims[s.at + j] for j in range(s.ndim)]
    for k in range(tape.t.n_view):
        w = tape.t.view + k
        views += [w.base, w.shape, w.offset]
        views += [tape.t.dims[w.at + j] for j in range(tape.t.shape[w.shape].ndim)]
    return {"shapes": np.array(shapes, np.int64), "views": np.array(views, np.int64),
            "args": items(tape.t.args, tape.t.n_args, np.int32)}


cdef tuple sizes_of(head):
    """Items of each part of a loop."""
    _, n_constant, n_carry, n_op, n_stream = head
    return n_constant, n_carry, n_op * <int>sizeof(ft_loop_op), n_stream, n_stream, n_stream, n_carry, n_carry


cdef dict loops_out(list loops):
    """One after the other; of each, in `head`, how many steps, constants, carries, ops and streams it has."""
    cdef Loop loop
    cdef cnp.ndarray ops
    cdef ft_loop_op *op
    cdef int64_t k
    head = np.array([(loop.count, loop.code.n_constant, loop.code.n_carry, loop.code.n_op, loop.code.n_stream) for loop in loops],
                    np.int64).reshape(len(loops), 5)
    out = {"head": head}
    for place, (name, dtype) in enumerate(LOOP_PARTS):
        out[name] = np.concatenate([np.zeros(0, dtype)] + [loop.memory[place][:sizes_of(head[k])[place]] for k, loop in enumerate(loops)])
    ops = out["ops"]
    op = <ft_loop_op *>cnp.PyArray_DATA(ops)
    for k in range(cnp.PyArray_SIZE(ops) // <int64_t>sizeof(ft_loop_op)):
        if op[k].op == FT_L_LOAD:
            op[k].op = LOAD_OUT
        elif op[k].op == FT_L_STORE:
            op[k].op = STORE_OUT
        elif op[k].op == FT_L_CAST:
            op[k].op = CAST_OUT
    return out


cdef dict entries_out(Tape tape):
    cdef cnp.ndarray entries = items(tape.t.entry, tape.t.n * sizeof(ft_entry), np.uint8)
    cdef ft_entry *e = <ft_entry *>cnp.PyArray_DATA(entries)
    cdef int64_t i
    cdef list constants = []
    for i in range(tape.t.n):
        e[i].flags = 0
        if e[i].op == OP_constant:
            constants.append(tape.t.val[i].f)
    return {"n": tape.t.n, "entries": entries, "constants": np.array(constants, np.float64)}


def tape_out(Tape tape):
    """A tape as a dict of arrays; `arrays` are those that it knows, `callees` what it calls."""
    out = tables_out(tape)
    out.update(entries_out(tape))
    out["arrays"], out["callees"], out["marks"] = list(tape.keep), list(tape.programs), [list(mark) for mark in tape.recomputed]
    out["loops"] = loops_out(tape.loops) if tape.loops else None
    return out


def record_out(Program p):
    """The record, packed where it is and may be."""
    cdef Record r = p.record
    if r.packed is None or r.n > PACKED_FREELY + PER_BYTE * r.bytes:
        return tape_out(r.tape())
    out = tables_out(r.rest)
    out["n"], out["packed"] = r.n, [np.frombuffer(part, np.uint8) for part in r.packed]
    out["arrays"], out["callees"], out["marks"] = list(r.rest.keep), list(r.rest.programs), [list(mark) for mark in r.rest.recomputed]
    return out


# ---- and back

cdef int shapes_in(Tape tape, cnp.ndarray numbers) except -1:
    cdef int64_t *at = <int64_t *>cnp.PyArray_DATA(numbers)
    cdef int64_t n = cnp.PyArray_SIZE(numbers), k = 0, count = 0
    while k < n:
        if not 0 <= at[k] <= FT_MAX_DIMS - 1 or k + 1 + at[k] > n or min([at[k + 1 + j] for j in range(at[k])], default=0) < 0 \
                or intern_shape(tape, <int>at[k], at + k + 1) != count:
            raise ValueError(f"shape {count} is none, or there twice")
        k += 1 + at[k]
        count += 1
    if count != tape.t.n_shape:
        raise ValueError("there are no shapes")
    return 0


cdef int views_in(Tape tape, cnp.ndarray numbers) except -1:
    cdef int64_t *at = <int64_t *>cnp.PyArray_DATA(numbers)
    cdef int64_t n = cnp.PyArray_SIZE(numbers), k = 0, count = 0
    cdef ft_shape s
    cdef int64_t dims[FT_MAX_DIMS]
    cdef int j
    while k < n:
        if k + 3 > n or not 0 <= at[k] < tape.t.n_shape or not 0 <= at[k + 1] < tape.t.n_shape:
            raise ValueError(f"view {count} has no shape")
        s = tape.t.shape[at[k + 1]]
        for j in range(s.ndim):
            dims[j] = tape.t.dims[s.at + j]
        if k + 3 + s.ndim > n or intern_view(tape, <int32_t>at[k], s.ndim, dims, at + k + 3, at[k + 2]) != count:
            raise ValueError(f"view {count} is cut off, or there twice")
        check_view(tape, <int32_t>count)
        k += 3 + s.ndim
        count += 1
    return 0


cdef int loops_in(Tape tape, dict parts, cnp.ndarray codes) except -1:
    cdef Loop loop
    cdef int64_t k
    cdef ft_loop_op *op
    cdef const uint8_t *code = <const uint8_t *>cnp.PyArray_DATA(codes)
    cdef cnp.ndarray a
    at = {name: 0 for name, _ in LOOP_PARTS}
    for sizes in parts["head"].tolist():
        count, n_constant, n_carry, n_op, n_stream = sizes
        if min(count, n_constant, n_carry, n_op, n_stream) < 0 or max(n_constant, n_carry, n_op, n_stream) > 1 << 28:
            raise ValueError("a loop of no length")
        loop = Loop.__new__(Loop)
        memory = []
        for (name, _), size in zip(LOOP_PARTS, sizes_of(sizes)):
            piece = parts[name][at[name]:at[name] + size]
            if len(piece) != size:
                raise ValueError("a loop is cut off")
            at[name] += size
            memory.append(np.append(piece, np.zeros(8, piece.dtype)))
        loop.memory = tuple(memory)
        loop.count = count
        loop.code.n_constant, loop.code.n_carry, loop.code.n_op, loop.code.n_stream = n_constant, n_carry, n_op, n_stream
        loop.n_value = n_constant + n_carry + n_op
        a = memory[0]
        loop.code.constant = <const double *>cnp.PyArray_DATA(a)
        a = memory[1]
        loop.code.next = <const int32_t *>cnp.PyArray_DATA(a)
        a = memory[2]
        op = <ft_loop_op *>cnp.PyArray_DATA(a)
        loop.code.op = op
        a = memory[3]
        loop.code.stride = <const int64_t *>cnp.PyArray_DATA(a)
        a = memory[4]
        loop.code.stream_f32 = <const uint8_t *>cnp.PyArray_DATA(a)
        a = memory[5]
        loop.stream = <int32_t *>cnp.PyArray_DATA(a)
        a = memory[6]
        loop.first = <int32_t *>cnp.PyArray_DATA(a)
        a = memory[7]
        loop.last = <int32_t *>cnp.PyArray_DATA(a)
        for k in range(<int64_t>n_op):
            op[k].op = FT_L_LOAD if op[k].op == LOAD_OUT else FT_L_STORE if op[k].op == STORE_OUT else FT_L_CAST if op[k].op == CAST_OUT \
                else code[op[k].op] if code[op[k].op] < FT_N_MAP else NO_OP
        for k in range(<int64_t>n_stream):
            if loop.code.stream_f32[k] > 1:
                raise ValueError("a loop's stream is of no dtype")
        tape.loops.append(loop)
    return 0


cdef int constants_in(Tape tape, cnp.ndarray constants, cnp.ndarray codes) except -1:
    """Values of the constants, in their order; and the ops' numbers as they are here."""
    cdef const double *value = <const double *>cnp.PyArray_DATA(constants)
    cdef const uint8_t *code = <const uint8_t *>cnp.PyArray_DATA(codes)
    cdef int64_t i, n = 0, most = cnp.PyArray_SIZE(constants)
    cdef ft_entry *e
    with nogil:
        for i in range(tape.t.n):
            e = tape.t.entry + i
            e.op = code[e.op]
            tape.t.val[i].p = NULL
            if e.op == OP_constant:
                if n < most:
                    tape.t.val[i].f = value[n]
                n += 1
    if n != most:
        raise ValueError(f"there are {most} constants for {n} entries")
    return 0


cdef Tape tables_in(dict parts):
    cdef Tape tape = Tape()
    cdef cnp.ndarray args = parts["args"]
    shapes_in(tape, parts["shapes"])
    views_in(tape, parts["views"])
    resize(<void **>&tape.t.args, &tape.t.cap_args, max(cnp.PyArray_SIZE(args), 1), sizeof(int32_t))
    memcpy(tape.t.args, cnp.PyArray_DATA(args), cnp.PyArray_NBYTES(args))
    tape.t.n_args = cnp.PyArray_SIZE(args)
    tape.keep = list(parts["arrays"])
    tape.programs = list(parts["callees"])
    return tape


cdef int marks_in(Tape tape, list marks) except -1:
    cdef int64_t start, end
    for start, end, keeps_products in marks:
        if not 0 <= start < end <= tape.t.n:
            raise ValueError("a marked segment is none")
        tape.recomputed.append((start, end, bool(keeps_products)))
    return 0


cdef list types_of(Callee callee):
    """Dtypes and shapes of the arguments of what is called; None for a store."""
    cdef Program p
    cdef Scan f
    cdef Reversal r
    cdef list parts
    if isinstance(callee, Program):
        p = callee
        return parts_of(p, 0, p.n_input)
    if isinstance(callee, Scan):
        f = callee
        parts = parts_of(f.body, 0, f.n_input)
        return [stacked(f.length, part) if k >= f.n_constant + f.n_carry else part for k, part in enumerate(parts)]
    r = callee
    f = r.loop
    parts = parts_of(r.back, len(r.ports), r.back.n_input - <int64_t>len(r.ports))
    n = len(r.carry) + len(r.constants)
    return types_of(f) + [None] + parts[:n] + [stacked(f.length, part) for part in parts[n:]]


cdef Tape entries_in(dict parts, cnp.ndarray codes):
    cdef Tape tape = tables_in(parts)
    cdef cnp.ndarray entries = parts["entries"]
    cdef int64_t n = cnp.PyArray_SIZE(entries) // <int64_t>sizeof(ft_entry)
    if n * <int64_t>sizeof(ft_entry) != cnp.PyArray_SIZE(entries):
        raise ValueError("the last entry is cut off")
    grow(tape, n + 1)
    if n:
        memcpy(tape.t.entry, cnp.PyArray_DATA(entries), n * sizeof(ft_entry))
    tape.t.n = n
    if parts["loops"] is not None:
        loops_in(tape, parts["loops"], codes)
    constants_in(tape, parts["constants"], codes)
    return tape


cdef tuple record_in(dict parts, int64_t n_input, cnp.ndarray codes):
    """The record of a program, checked, and its tape."""
    cdef Record r = Record.__new__(Record)
    cdef Tape tape
    cdef int64_t n
    if parts.get("packed") is None:
        tape = r.rest = entries_in(parts, codes)
    else:
        n, packed = parts["n"], parts["packed"]
        if not 0 <= n <= PACKED_FREELY + PER_BYTE * <int64_t>sum([len(part) for part in packed]):
            raise ValueError("a packed record of no such length")
        r.rest = tables_in(parts)
        r.n, r.packed = n, tuple([part.tobytes() for part in packed])
        tape = unpacked(r, <const uint8_t *>cnp.PyArray_DATA(codes))
    check_tape(tape, n_input, [types_of(callee) for callee in tape.programs])
    marks_in(tape, parts["marks"])
    if r.packed is not None:
        r.rest.recomputed = tape.recomputed
        if not (codes[:len(NAMES)] == np.arange(len(NAMES))).all():     # it is packed by other numbers
            r = keep_record(tape)
    if tape.loops:
        raise ValueError("a record has no loops")
    return r, tape


cdef bint has_float32(Tape tape) noexcept nogil:
    cdef int64_t i
    for i in range(tape.t.n):
        if tape.t.entry[i].dtype == FT_F32 or tape.t.entry[i].dtype == FT_B32:
            return True
    return False


cdef int32_t *nodes_in(Tape tape, cnp.ndarray nodes) except NULL:
    cdef int32_t *at = <int32_t *>allocate(cnp.PyArray_NBYTES(nodes) + 8)
    if at == NULL:
        raise MemoryError
    memcpy(at, cnp.PyArray_DATA(nodes), cnp.PyArray_NBYTES(nodes))
    return at


cdef int check_ends(Program p, Tape record) except -1:
    """What goes into a program and comes out of it is the same in the record and in what is run."""
    cdef Tape run = p.tape
    cdef int64_t k, total = 0
    cdef int32_t a, b
    check_outputs(run, p.outputs, p.n_output)
    check_outputs(record, p.record_outputs, p.n_output)
    for k in range(p.n_input + p.n_output):
        a, b = (<int32_t>k, <int32_t>k) if k < p.n_input else (p.outputs[k - p.n_input], p.record_outputs[k - p.n_input])
        if run.t.entry[a].dtype != record.t.entry[b].dtype \
                or shape_tuple(run, shape_of(run, a)) != shape_tuple(record, shape_of(record, b)):
            raise ValueError("the record has other arguments or results than what is run")
        total += size_of(run, a) * 8
        if total > MOST_BYTES:
            raise ValueError("arguments and results are larger than any memory")
    return 0


def program_out(Program p):
    """The arrays and numbers of a program."""
    cdef int64_t n = p.n_output
    return {"name": p.name, "n_input": p.n_input, "n_result": p.n_result, "record": record_out(p), "run": tape_out(p.tape),
            "outputs": items(p.outputs, n, np.int32), "record_outputs": items(p.record_outputs, n, np.int32),
            "recorded": p.recorded, "kept": p.kept}


def program_in(type kind, dict parts, codes):
    """A program of class `kind`, which its first call will plan."""
    cdef Program p = kind.__new__(kind)
    cdef Tape record
    cdef cnp.ndarray outputs = parts["outputs"], record_outputs = parts["record_outputs"]
    p.name, p.n_input, p.n_output, p.n_result = parts["name"], parts["n_input"], cnp.PyArray_SIZE(outputs), parts["n_result"]
    if not 0 <= p.n_result <= p.n_output or cnp.PyArray_SIZE(record_outputs) != p.n_output:
        raise ValueError("a program's results are not as many as it says")
    p.recorded, p.kept = parts["recorded"], parts["kept"]
    p.guards, p.marks, p.states, p.derived, p.reusable = [], [0], [], {}, True
    p.record, record = record_in(parts["record"], p.n_input, codes)
    p.tape = entries_in(parts["run"], codes)
    check_tape(p.tape, p.n_input, [types_of(callee) for callee in p.tape.programs])
    p.outputs = nodes_in(p.tape, outputs)
    p.record_outputs = nodes_in(p.tape, record_outputs)
    check_ends(p, record)
    p.any_float = not has_float32(record)
    p.tape.kept = True
    make_code(p.tape.loops)
    p.tape.codes = new_codes()
    return p


# ---- what is around a program that users hold

cdef tuple tree_of(Form form):
    return (form.kind, form.dtype, form.shape, form.value, form.type, form.names,
            None if form.parts is None else [tree_of(part) for part in form.parts])


cdef bint fits_kind(int kind, type_) except -1:
    """The class of a tree is one of those that forms have."""
    if kind == TUPLE:
        return type_ is tuple or (issubclass(type_, tuple) and hasattr(type_, "_fields"))
    if kind == RECORD:
        return dataclasses.is_dataclass(type_)
    return type_ is list if kind == LIST else type_ is dict or type_ is OrderedDict


cdef Form form_of_tree(tree):
    cdef Form form
    kind, dtype, shape, value, type_, names, parts = tree
    if not NUMBER64 <= kind <= RECORD:
        raise ValueError("an argument or result of no form")
    form = blank(kind)
    if kind == ARRAY:
        form.dtype, form.shape = dtype, shape           # None in what a function returned
        form.ndim = 0 if shape is None else len(shape)
    elif kind == FIXED or kind == FIXED_ARRAY:
        if (kind == FIXED_ARRAY) != isinstance(value, np.ndarray):
            raise ValueError("a fixed argument of no form")
        form.value = value
    elif kind > FIXED:
        if not isinstance(type_, type) or not fits_kind(kind, type_) or (kind in (DICT, RECORD)) != (names is not None) or parts is None:
            raise ValueError("a tree of no form")
        form.type = type_
        form.names = None if names is None else tuple(names)
        form.parts = tuple([form_of_tree(part) for part in parts])
        if form.names is not None and (len(form.names) != len(form.parts) or len(set(form.names)) != len(form.names)):
            raise ValueError("a tree with names that do not fit")
        if kind == TUPLE and type_ is not tuple and len(type_._fields) != len(form.parts):
            raise ValueError("a named tuple with other fields")
    return form


def ends_out(Program p):
    """The forms of the arguments and the result, which positions are fixed, and the guards."""
    return tree_of(p.arguments), tree_of(p.result), p.static, list(p.guards)


cdef int check_leaves(Program p, Form form, int64_t first, const int32_t *nodes, int64_t n, bint typed) except -1:
    """The numbers and arrays of a form are those of these nodes; the shapes and dtypes of results are not in their form."""
    cdef list forms = []
    cdef Form part
    cdef int64_t k
    cdef ft_entry *e
    leaf_forms(form, forms)
    if <int64_t>len(forms) != n:
        raise ValueError("the form of the arguments or results has another number of leaves")
    for k, part in enumerate(forms):
        if not typed:
            continue
        e = p.tape.t.entry + (first + k)
        if (part.kind == ARRAY) != (e.shape != 0) or e.dtype != (part.dtype if part.kind == ARRAY else part.kind == NUMBER32) \
                or (part.kind == ARRAY and part.shape != shape_tuple(p.tape, e.shape)):
            raise ValueError("an argument is of another form than the program takes")
    return 0


def set_ends(Program p, arguments, result, static, guards):
    """What makes a program one that is called."""
    cdef int64_t k, path = 0
    cdef Form form
    p.arguments, p.result, p.static = form_of_tree(arguments), form_of_tree(result), static
    form = p.arguments
    if form.kind != TUPLE or len(form.parts) != 2 or (<Form>form.parts[0]).kind != TUPLE or (<Form>form.parts[1]).kind != DICT:
        raise ValueError("the arguments have no form")
    check_leaves(p, p.arguments, 0, NULL, p.n_input, True)
    check_leaves(p, p.result, 0, p.outputs, p.n_result, False)
    if not (<Form>form.parts[1]).parts and all([(<Form>part).kind <= ARRAY for part in (<Form>form.parts[0]).parts]):
        p.flat = (<Form>form.parts[0]).parts
    if <int64_t>len(guards) != p.n_output - p.n_result:
        raise ValueError("there are other guards than outcomes")
    p.truth = <int8_t *>allocate(len(guards) + 8)
    if p.truth == NULL:
        raise MemoryError
    for k, (how, seen, place) in enumerate(guards):
        p.truth[k] = seen if how is bool and type(seen) is bool and p.tape.t.entry[p.outputs[p.n_result + k]].shape == 0 else -1
        p.guards.append((how, seen, place))
        path = mark_after(path, seen)
        p.marks.append(path)
    p.function = inlined(p)


# ---- loops

def scan_out(Scan f):
    return {"name": f.name, "n_constant": f.n_constant, "n_carry": f.n_carry, "n_x": f.n_x, "length": f.length, "go": f.go,
            "shares": f.shares}, f.body, f.schedule, f.folder


def scan_in(dict parts, body, schedule, folder):
    cdef Scan f
    cdef Program p
    cdef int64_t c, n, x, length, go
    cdef list taken, given
    if not isinstance(body, Program):
        raise ValueError("the body of a loop is no program")
    p = body
    c, n, x, length, go = parts["n_constant"], parts["n_carry"], parts["n_x"], parts["length"], parts["go"]
    if min(c, n, x) < 0 or max(c, n, x) > p.n_input or c + n + x != p.n_input or p.n_output < n or p.n_result != p.n_output \
            or not -1 <= go < n or (go < 0 and not 1 <= length < 1 << 48) or (go >= 0 and (x or p.n_output != n)):
        raise ValueError("a loop of another form than its body")
    taken, given = parts_of(p, c, n), p.results()[:n]
    if [(dtype & 1, dims) for dtype, dims in taken] != [(dtype & 1, dims) for dtype, dims in given] or (go >= 0 and given[go][1] != ()):
        raise ValueError("the body of a loop returns another carry than it takes")
    f = new_scan(p, c, n, x, length, go, parts["name"], schedule, folder)
    f.shares = bool(parts["shares"])
    for part in types_of(f) + f.outcome[:f.n_output - 1]:
        if len(part[1]) > FT_MAX_DIMS - 1:
            raise ValueError("an array has too many axes")
        size = 1
        for extent in part[1]:
            size *= extent
        if size > MOST_BYTES // 8:
            raise ValueError("what a loop stacks is larger than any memory")
    return f


def reversal_out(Reversal r):
    """The loop, and what its reversal was made for."""
    cdef Scan f = r.loop
    cdef int64_t c = f.n_constant, x = c + f.n_carry, k
    return {"moving": sorted([*r.constants, *[c + k for k in r.carry], *[x + k for k in r.xs]]), "ys": list(r.ys), "lanes": r.lanes}, f


def reversal_bodies(Reversal r):
    """The loop, the body of its reversal, the program of a step that leaves what that reads (None: it is the state before the
    step), and a number that says whose data this is. Files have none of it: it is made again."""
    cdef Scan f = r.loop
    return f, r.back, None if r.data.light else r.data.keep_slices, r.data.tag


def reversal_in(dict parts, loop):
    cdef Scan f
    if not isinstance(loop, Scan):
        raise ValueError("the reversal of what is no loop")
    f = loop
    moving, ys, lanes = parts["moving"], parts["ys"], parts["lanes"]
    if moving != sorted(set(moving)) or ys != sorted(set(ys)) or not all([0 <= k < f.n_input for k in moving]) \
            or not all([0 <= k < f.n_y for k in ys]) or not 0 <= lanes < 1 << 24:
        raise ValueError("a reversal for arguments that its loop has not")
    return reversal_of(f, tuple(moving), tuple(ys), lanes)


def kind_of(callee):
    return "loop" if isinstance(callee, Scan) else "reversal" if isinstance(callee, Reversal) else "program"


def codes_of(list names):
    """By an op's number in a file: its number here, or 252 where there is none."""
    codes = np.full(256, NO_OP, np.uint8)
    place = {name: k for k, name in enumerate(NAMES)}
    for k, name in enumerate(names[:NO_OP]):
        codes[k] = place.get(name, NO_OP)
    if names == NAMES:
        codes = np.arange(256, dtype=np.uint8)
    return codes
