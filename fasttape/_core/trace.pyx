"""A trace: a tape opened, a function recorded on it, results copied out, the tape given back.

State is kept per trace. A transform that is called inside a traced function records on the same tape,
so that the outer transform sees through it; otherwise it takes a tape from a pool, whose memory is
warm. Nothing here knows a derivative rule or a plan.
"""
import numpy as np

from cpython.ref cimport PyObject
from libc.stdlib cimport free

cimport cython
cimport numpy as cnp

from fasttape._core.array cimport Array
from fasttape._core.capture cimport capture_array, refuse_kin, unlock, watch_again
from fasttape._core.plan cimport evaluate
from fasttape._core.record cimport *
from fasttape._core.pull cimport cotangent, pull_begin
from fasttape._core.push cimport push, push_begin
from fasttape._core.sweep cimport Sweep
from fasttape._core.tracer cimport Tracer, node_of, value_of, wrap

from fasttape._core import tracer as tracers

cnp.import_array()

cdef extern from *:
    """
    #if defined(_MSC_VER)
    static __declspec(thread) PyObject *ft_current;
    #else
    static _Thread_local PyObject *ft_current;
    #endif
    """
    PyObject *ft_current            # the innermost open tape of this thread, or NULL

cdef extern from "Python.h":
    unsigned long PyThread_get_thread_ident()

cdef list pool = []                 # tapes that are not in use


# ---- open and close

cdef Tape current():
    return None if ft_current == NULL else <Tape>ft_current


cdef int set_current(Tape tape) except -1:
    global ft_current
    ft_current = NULL if tape is None else <PyObject *>tape
    return 0


cdef Tape enter_own():
    """A tape of its own for a new trace of this thread."""
    global ft_current
    cdef Tape tape
    try:
        tape = pool.pop()           # asked first, it might be empty by now: another thread takes tapes too
    except IndexError:
        tape = Tape()
    tape.thread = PyThread_get_thread_ident()
    tape.depth = 1
    ft_current = <PyObject *>tape
    return tape


cdef Tape enter(object args):
    """The tape that a transform of these arguments records on: that of the traced function that calls
    it, or of a traced argument, or else a new one."""
    global ft_current
    cdef Tape tape = current()
    for x in args:
        if isinstance(x, Array):
            node_of(<Array>x)
            if tape is None:
                tape = (<Array>x).tape
    if tape is None:
        return enter_own()
    tape.depth += 1
    ft_current = <PyObject *>tape
    return tape


cdef int leave(Tape tape, Tape outer) except -1:
    """The transform ends. The last one to leave a tape ends its trace."""
    global ft_current
    ft_current = NULL if outer is None else <PyObject *>outer
    tape.depth -= 1
    if tape.depth == 0:
        try:
            if tape.locked:
                unlock(tape, None)
        finally:
            tape.reset()
            if len(pool) < 16:
                pool.append(tape)
    return 0


# ---- inputs and outputs

cdef int bad_input(object x, str who, object position) except -1:
    what = f"{type(x).__name__} of dtype {x.dtype}" if isinstance(x, (np.ndarray, np.generic)) else type(x).__name__
    if isinstance(x, (int, np.integer)) or getattr(getattr(x, "dtype", None), "kind", "?") in "iub":
        raise TypeError(f"{who}: argument {position} is {what}, but derivatives are taken with respect to floats; "
                        f"pass it as float, for example x.astype(float) or 3.0 instead of 3")
    raise TypeError(f"{who}: argument {position} is {what}; derivatives are taken with respect to float64 or float32 "
                    f"arrays and Python floats. Choose the argument with argnum=")


cdef Array new_input(Tape tape, object x, str who, object position):
    """A fresh active node for an argument to differentiate with respect to."""
    cdef int32_t node = -1
    cdef cnp.ndarray a
    if isinstance(x, Array):
        if (<Array>x).tape is not tape:
            x = tracers.importer(tape, x)
        node = node_of(<Array>x)
        if tape.t.entry[node].dtype >= FT_B64:
            bad_input(x, who, position)
        node = map1(tape, OP_positive, node)
    elif isinstance(x, cnp.ndarray) and cnp.PyArray_NDIM(x):
        if not cnp.PyArray_CheckExact(x):
            refuse_kin(x)
        a = x
        if cnp.PyArray_TYPE(a) != cnp.NPY_DOUBLE and cnp.PyArray_TYPE(a) != cnp.NPY_FLOAT:
            bad_input(x, who, position)
        if not cnp.PyArray_ISNOTSWAPPED(a):
            x = x.astype(x.dtype.newbyteorder("="))
        node = capture_array(tape, x, True)
    elif isinstance(x, float) or (isinstance(x, (np.ndarray, np.floating)) and x.dtype.kind == "f" and x.dtype.itemsize in (4, 8)):
        refuse_kin(x)
        node = emit(tape, OP_input, FT_F32 if getattr(x, "itemsize", 8) == 4 else FT_F64, FT_DONE, 0, 0, 0, 0)
        tape.t.val[node].f = x
    else:
        bad_input(x, who, position)
    tape.t.entry[node].flags |= FT_ACTIVE
    return wrap(tape, node)


cdef int32_t output_node(Tape tape, object y, str who) except -1:
    """The node of what a traced function returned; a plain number or array becomes a constant."""
    if isinstance(y, Array):
        if (<Array>y).tape is not tape:
            y = tracers.importer(tape, y)
        node = node_of(<Array>y)
        if tape.t.entry[node].dtype >= FT_B64:
            raise TypeError(f"{who}: the function returned truth values; it must return real numbers")
        return node
    refuse_kin(y)
    try:
        if y is None or isinstance(y, (str, bytes)):
            raise TypeError
        a = np.asarray(y, dtype=None if isinstance(y, (np.ndarray, np.generic)) else np.float64)
        if a.dtype.kind not in "fiub":
            raise TypeError
    except (TypeError, ValueError):
        raise TypeError(f"{who}: the function returned {describe(y)}; it must return real numbers or an array of them") from None
    if a.dtype not in (np.float64, np.float32):
        a = a.astype(np.float64)
    if a.ndim == 0:
        return constant(tape, float(a), a.dtype == np.float32)
    return capture_array(tape, np.ascontiguousarray(a), False)


def describe(y):
    """A few words on what a function returned, for error messages."""
    if isinstance(y, (Array, np.ndarray)):
        return f"an array of shape {y.shape} and dtype {y.dtype}"
    return "None (is a return missing?)" if y is None else f"a {type(y).__name__}"


cdef object in_place_output(Tape tape, int32_t node):
    """A NumPy array that the node will be computed into, or None where it must be copied out."""
    cdef ft_entry *e = tape.t.entry + node
    cdef ft_shape *s = tape.t.shape + e.shape
    cdef cnp.npy_intp dims[FT_MAX_DIMS]
    cdef cnp.ndarray y
    cdef int k
    if e.shape == 0 or e.op == OP_view or e.op == OP_input or e.flags & (FT_DONE | FT_FIXED):
        return None
    for k in range(s.ndim):
        dims[k] = tape.t.dims[s.at + k]
    y = cnp.PyArray_EMPTY(s.ndim, dims, cnp.NPY_FLOAT if e.dtype & 1 else cnp.NPY_DOUBLE, 0)
    tape.t.val[node].p = cnp.PyArray_DATA(y)
    e.flags |= FT_FIXED
    return y


cdef list values(Tape tape, list nodes):
    """Compute nodes, after the traced function has ended; their values as NumPy arrays and scalars,
    owned by the caller."""
    cdef int32_t few[8]
    cdef int32_t *outputs = few
    cdef int64_t n = len(nodes), k
    cdef list out = [None] * n
    if n > 8:
        outputs = <int32_t *>allocate(n * sizeof(int32_t))
        if outputs == NULL:
            raise MemoryError
    try:
        for k in range(n):
            outputs[k] = nodes[k]
            out[k] = in_place_output(tape, outputs[k])
        watch_again(tape)
        evaluate(tape, outputs, n)
        for k in range(n):
            if out[k] is None:
                out[k] = value_of(tape, outputs[k])
    finally:
        if outputs != few:
            free(outputs)
    return out


cdef list finish(Tape tape, Sweep *s, list nodes, list first):
    """Cotangents of the input nodes, after the nodes of `first`: arrays at the outermost transform,
    traced values inside another."""
    cdef list out = first + [cotangent(tape, s, <int32_t>node) for node in nodes]
    if tape.depth == 1:
        return values(tape, out)
    return [wrap(tape, node) for node in out]


cdef tuple named_once(tuple argnums, int64_t n):
    """Of n positional arguments those that are named, each once, counted from the first; others are left as they are."""
    return tuple(dict.fromkeys([k + n if -n <= k < 0 else k for k in argnums]))


cdef int replace_inputs(Tape tape, list call_args, tuple argnums, str who, list inputs, list nodes) except -1:
    cdef int k
    cdef Array x
    for k in argnums:
        if k < -len(call_args) or k >= len(call_args):
            raise TypeError(f"{who}: argnum {k} names an argument that was not given; there are {len(call_args)} "
                            f"positional arguments")
        if k < 0:
            k += len(call_args)
        x = new_input(tape, call_args[k], who, k)
        call_args[k] = x
        inputs.append(x)
        nodes.append(x.node)
    return 0


cdef int begin_pull(Tape tape, Sweep *s, list nodes) except -1:
    cdef int64_t n = len(nodes), at = new_args(tape, n), k
    for k in range(n):
        tape.t.args[at + k] = nodes[k]
    pull_begin(tape, s, tape.t.args + at, n)
    tape.t.n_args = at
    return 0


# ---- forward traces run in pieces and drop their past

cdef int forget_past(Tape tape) except -1:
    """Run what has been recorded, keep what live tracers stand for, and drop the rest of the tape."""
    cdef Sweep s
    cdef void *p
    cdef int32_t node, t, new
    cdef int64_t i, at
    cdef dict renamed = {}
    cdef list kept = [], keep = []
    cdef ft_entry *e
    cdef ft_entry *entries
    cdef ft_value *vals
    tape.recomputed.clear()
    s.start = 0
    s.lanes = tape.lanes
    with cython.critical_section(tape):
        p = tape.tracers
        while p != NULL:
            if (<Tracer><PyObject *>p).base is None:
                (<Tracer><PyObject *>p).node = owner(tape, (<Tracer><PyObject *>p).node)
            p = (<Tracer><PyObject *>p).next
    if tape.pushing:
        s.end = tape.t.n
        push_begin(tape, tape.pushed, s.end)
        with nogil:
            push(tape, &s, tape.pushed, s.end)
    with cython.critical_section(tape):
        p = tape.tracers
        while p != NULL:
            node = (<Tracer><PyObject *>p).node
            if (<Tracer><PyObject *>p).base is None and node not in renamed:
                renamed[node] = len(kept)
                t = -1
                if tape.pushing and tape.tangent[node] >= 0:
                    t = owner(tape, tape.tangent[node])
                kept.append((node, t))
            p = (<Tracer><PyObject *>p).next
    nodes = [pair[0] for pair in kept] + [pair[1] for pair in kept if pair[1] >= 0]
    at = new_args(tape, len(nodes))
    for i in range(<int64_t>len(nodes)):
        tape.t.args[at + i] = nodes[i]
    evaluate(tape, tape.t.args + at, len(nodes))
    # the kept nodes become the inputs of what follows
    at = len(kept)
    entries = <ft_entry *>allocate((2 * at + 1) * sizeof(ft_entry))
    vals = <ft_value *>allocate((2 * at + 1) * sizeof(ft_value))
    if entries == NULL or vals == NULL:
        free(entries)
        free(vals)
        raise MemoryError
    new = <int32_t>at
    moved = {}
    for i in range(at):
        node, t = kept[i]
        entries[i] = tape.t.entry[node]
        vals[i] = tape.t.val[node]
        moved[node] = i
    tangents = []
    for i in range(at):
        t = kept[i][1]
        if t >= 0 and t not in moved:
            entries[new] = tape.t.entry[t]
            vals[new] = tape.t.val[t]
            moved[t] = new
            new += 1
        tangents.append(moved[t] if t >= 0 else -1)
    for node in moved:
        tape.t.entry[node].flags &= ~FT_OWNED
    for i in range(tape.t.n):
        if tape.t.entry[i].flags & FT_OWNED:
            give_buffer(tape, tape.t.val[i].p)
    for i in range(new):
        e = entries + i
        if e.op == OP_input and e.b > 0:
            keep.append(tape.keep[e.b - 1])
            e.b = <int32_t>len(keep)
        elif e.op != OP_constant:
            e.op = OP_input
            e.b = 0
        tape.t.entry[i] = e[0]
        tape.t.val[i] = vals[i]
    free(entries)
    free(vals)
    note_memory(tape)
    tape.keep = keep
    tape.captured.clear()
    if tape.locked:
        unlock(tape, keep)
    tape.t.n = new
    tape.t.n_args = 0
    if tape.pushing:
        push_begin(tape, 0, new)
        for i in range(at):
            tape.tangent[i] = tangents[i]
    tape.pushed = new
    with cython.critical_section(tape):
        p = tape.tracers
        while p != NULL:
            if (<Tracer><PyObject *>p).base is None:
                (<Tracer><PyObject *>p).node = renamed[(<Tracer><PyObject *>p).node]
            else:
                (<Tracer><PyObject *>p).base_node = -1
            p = (<Tracer><PyObject *>p).next
    return 0


tracers.forget = lambda Tape tape: forget_past(tape)
