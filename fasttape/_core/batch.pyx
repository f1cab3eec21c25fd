"""Batches: one function of many arguments at once.

The function is traced for one lane; its program over lanes (lanes.pyx) is run on stretches of the batch, one after the
other or in threads, whose results go where they belong. What its guards see is a result of every lane: lanes that take
another path are run together, by the program of that path.

Within a trace the record is appended over all lanes at once, and differentiated as anything else.
"""
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from fasttape._core.body cimport Body, trace_body
from fasttape._core.calls cimport tape_of
from fasttape._core.capture cimport capture_array
from fasttape._core.lanes cimport batched_program, optimised, over_lanes
from fasttape._core.program cimport Program, Unmet, same
from fasttape._core.record cimport *
from fasttape._core.signature cimport *
from fasttape._core.trace cimport current
from fasttape._core.tracer cimport Tracer, after_record, looked_at, observed, operand, wrap

from fasttape._core.compiled import Compiled, program_of
from fasttape._core.program import GuardError

cdef enum:
    LONGEST = 1 << 16               # lanes of a stretch
    SHORTEST = 1 << 5
    LINE = 8                        # numbers
    CACHED = 1 << 19                # numbers in all arrays of a stretch, of which a part lives at a time
    SIGNATURES = 256
    SIZES = 32                      # other than powers of two, for which a program keeps one over lanes


# ---- arguments

class Gathered:
    """Rows of an array, one for each lane, read when the lanes are run."""

    __slots__ = ("array", "index")

    def __init__(self, array, index):
        self.array, self.index = array, index

    def __len__(self):
        return len(self.index)

    def __getitem__(self, lanes):
        """The row of one lane, or some of the lanes."""
        if isinstance(lanes, (int, np.integer)):
            return self.array[self.index[lanes]]
        return Gathered(self.array, self.index[lanes])

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

    def rows(self):
        return self.array.take(self.index, axis=0)


def gathered(array, index):
    """What `gather` returns, checked."""
    if not isinstance(array, (np.ndarray, Tracer)) or array.ndim == 0 or array.dtype.kind != "f":
        raise TypeError(f"gather: the first argument must be an array of floats, got {type(array).__name__}")
    index = np.asarray(index)
    if index.dtype.kind not in "iu" or index.ndim != 1:
        raise TypeError(f"gather: the index must be a vector of whole numbers, got an array of shape {index.shape} and dtype {index.dtype}")
    length = array.shape[0]
    low, high = (index.min(), index.max()) if len(index) else (0, -1)
    if low < -length or high >= length:
        raise IndexError(f"gather: index {low if low < -length else high} is out of bounds for {length} rows")
    index = index.astype(np.intp)       # a copy, which nobody changes
    if low < 0:
        index[index < 0] += length
    return Gathered(array, index)


cdef tuple ungathered(tuple args, bint traced):
    """Arguments as their form is known: of what is gathered the array, or, in a trace, its rows."""
    return tuple([(x.array[x.index] if traced else x.array) if isinstance(x, Gathered) else x for x in args])


cdef class Lots:
    """The arguments of a batch: leaves, of which those with an axis have a lane along its extent."""
    cdef str who
    cdef Form form                  # of the call
    cdef list leaves                # the axis of lanes of each is its first
    cdef tuple batched
    cdef int64_t n

    def __init__(self, str who, tuple args, dict kwargs, in_axes, static):
        cdef Form form, part
        cdef list forms, leaves
        cdef int64_t k
        self.who = who
        in_trace = current() is not None or has_traced([x.array if isinstance(x, Gathered) else x for x in args])
        given, args = args, ungathered(args, in_trace)
        self.form = form_of_call(args, kwargs, who, static)
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
            forms, leaves = [], []
            leaf_forms(form.parts[k], forms)
            gather(form.parts[k], args[k], leaves)
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


# ---- stretches

cdef int64_t longest(Program p) except -1:
    """How many lanes at a time: as many as caches hold the arrays of; numbers lie in scratch rows."""
    cdef Tape tape = optimised(p)[0]
    cdef int64_t total = 0, i, n = LONGEST
    for i in range(tape.t.n):
        if shape_of(tape, <int32_t>i) and tape.t.entry[i].op != OP_view:
            total += size_of(tape, <int32_t>i)
    while n > SHORTEST and n * total > CACHED:
        n //= 2
    return n - LINE if total else n     # rows as long as a page would all lie at one place of a cache


def lengths_kept(Program p):
    """For how many lengths of stretches a program keeps one over lanes."""
    return len([key for key in p.derived.copy() if key[0] == "lanes"])


cdef list stretches(Program p, tuple batched, int64_t n, int64_t most):
    """Bounds of what is run at once. Of lengths other than powers of two only a few have a program of their own."""
    cdef list out = [0]
    cdef int64_t at = n // most * most, size = most, left = n - at
    out += range(most, at + 1, most)
    if left == 0:
        return out
    if ("lanes", batched, left) in p.derived or lengths_kept(p) < SIZES:
        return out + [n]
    while at < n:
        while size > n - at:
            size //= 2
        at += size
        out.append(at)
    return out


cdef object met(how, seen, column, int64_t n):
    """Which lanes see at a guard what the trace saw."""
    if how is bool and column.ndim == 1:
        return (column != 0) == seen
    return np.array([same(looked_at(how, column[k]), seen) for k in range(n)], bool)


def run_stretch(Program p, tuple batched, list leaves, list into):
    """Run lanes; their results go into arrays. Returns which of them take another path, or None."""
    cdef Program q
    cdef int64_t n = len(into[0]) if into else 0, k
    cdef object fits = None
    for x, has_lanes in zip(leaves, batched):
        if has_lanes:
            n = len(x)
    if n == 1:
        return run_lane(p, [x[0] if has_lanes else x for x, has_lanes in zip(leaves, batched)], into)
    q = batched_program(p, batched, n, False)
    out = q.run([x.rows() if isinstance(x, Gathered) else x for x in leaves], into + [None] * (p.n_output - p.n_result))
    for k in range(p.n_result):
        if out[k] is not into[k]:
            into[k][...] = out[k]
    for k, (how, seen, _) in enumerate(p.guards):
        good = met(how, seen, out[p.n_result + k], n)
        fits = good if fits is None else fits & good
    return None if fits is None or fits.all() else ~fits


cdef object run_lane(Program p, list leaves, list into):
    cdef list found = []
    out = p.run(leaves)
    if type(out) is Unmet:
        return np.ones(1, bool)
    gather(p.result, out, found)
    for array, x in zip(into, found):
        array[0] = x
    return None


cdef object run_lanes(Program p, tuple batched, list leaves, list into, int64_t n, pool):
    cdef list bounds = stretches(p, batched, n, longest(p)), jobs = []
    cdef int64_t k, at, end
    other = None
    if len(bounds) == 2:
        return run_stretch(p, batched, leaves, into)
    for k in range(<int64_t>len(bounds) - 1):
        at, end = bounds[k], bounds[k + 1]
        part = [x[at:end] if has_lanes else x for x, has_lanes in zip(leaves, batched)]
        job = p, batched, part, [x[at:end] for x in into]
        jobs.append(pool.submit(run_stretch, *job) if pool is not None else run_stretch(*job))
    for k, job in enumerate(jobs):
        job = job if pool is None else job.result()
        if job is not None:
            if other is None:
                other = np.zeros(n, bool)
            other[bounds[k]:bounds[k + 1]] = job
    return other


cdef list new_results(Program p, int64_t n):
    return [np.empty((n, *dims), np.float32 if dtype & 1 else np.float64) for dtype, dims in p.results()[:p.n_result]]


cdef int check_out(str who, list given, list like, list leaves) except -1:
    for x, y in zip(given, like):
        if type(x) is not np.ndarray or x.dtype != y.dtype or x.shape != y.shape:
            raise TypeError(f"{who}: out must hold an array of shape {y.shape} and dtype {y.dtype} for each result, got "
                            f"{f'one of shape {x.shape} and dtype {x.dtype}' if isinstance(x, np.ndarray) else type(x).__name__}")
        if not x.flags.c_contiguous or not x.flags.writeable:
            raise ValueError(f"{who}: the arrays of out must be C-contiguous and writeable")
        for other in leaves:
            other = other.array if isinstance(other, Gathered) else other
            if isinstance(other, np.ndarray) and np.may_share_memory(x, other):
                raise ValueError(f"{who}: an array of out shares memory with an argument")
    for k in range(len(given)):
        for j in range(k):
            if np.may_share_memory(given[k], given[j]):
                raise ValueError(f"{who}: two arrays of out share memory")
    return 0


cdef object run_plain(object paths, Program p, Lots lots, out, int64_t threads):
    cdef list into, given = [], leaves = lots.leaves
    cdef Program first = None
    lanes = None
    traced = p is None                  # for the first of the lanes that are to be run
    if not traced:
        args, kwargs = lots.lane(leaves, 0)
        p.leaves_of(args, kwargs)       # a TypeError if it is of another form
    pool = ThreadPoolExecutor(threads) if threads > 1 else None
    try:
        while True:
            if p is None:
                args, kwargs = lots.lane(leaves, 0)
                p = program_of(paths, args, kwargs)
                traced = True
            n = lots.n if lanes is None else len(lanes)
            if first is None:
                first, into = p, None
                if out is None:
                    into = new_results(p, n)
                else:
                    gather(form_of_result(out, lots.who), out, given)
                    into = new_results(p, 0)
                    if len(given) != len(into):
                        raise TypeError(f"{lots.who}: out must hold {len(into)} arrays, got {len(given)}")
                    check_out(lots.who, given, [Like((n, *x.shape[1:]), x.dtype) for x in into], leaves)
                    into = given
                part = into
            else:
                check_alike(p, first, lots.who)
                part = new_results(p, n)
            other = run_lanes(p, lots.batched, leaves, part, n, pool) if n else None
            if lanes is not None:
                done = slice(None) if other is None else ~other
                for x, y in zip(into, part):
                    x[lanes[done]] = y[done]
            if other is None:
                return rebuilt(first.result, into) if out is None else out
            if traced and other[0]:
                off_the_path(p)
            left = np.flatnonzero(other)
            leaves = [x[left] if has_lanes else x for x, has_lanes in zip(leaves, lots.batched)]
            lanes = left if lanes is None else lanes[left]
            p = None
    finally:
        if pool is not None:
            pool.shutdown()


cdef int off_the_path(Program p) except -1:
    raise GuardError(f"{p.name}: what decides a lane's path lies in a program that was traced before, which has only one; make the "
                     f"batch of the function itself, by vmap")


class Like:
    """What a result looks like."""

    def __init__(self, shape, dtype):
        self.shape, self.dtype = shape, dtype


# ---- within a trace

cdef Program trace_lane(f, Tape tape, Lots lots, list leaves, list nodes, int64_t n, list seen, list constants):
    """The program of one lane, traced for the path of the first; what it saw, and what of the trace around it uses."""
    cdef list forms = [], arguments = []
    cdef Form form
    cdef ft_entry *e
    cdef Body body
    cdef int32_t node
    result = []

    def call(traced):
        args, kwargs = rebuilt(lots.form, traced)
        y = f(*args, **kwargs)
        result.append(form_of_result(y, lots.who))
        out = []
        gather(result[0], y, out)
        return out

    leaf_forms(lots.form, forms)
    for form, x, has_lanes in zip(forms, leaves, lots.batched):
        if isinstance(x, Tracer):
            node = operand(tape, x, 0)
        elif isinstance(x, np.ndarray) and x.ndim:
            node = capture_array(tape, x, False)
        else:
            node = constant(tape, x, form.kind == NUMBER32)
        e = tape.t.entry + node
        nodes.append(node)
        arguments.append((e.dtype, shape_tuple(tape, e.shape)[1 if has_lanes else 0:],
                          FT_WEAK if form.kind == PYTHON_FLOAT and not has_lanes else 0))
    body = trace_body(tape, call, arguments, lots.who, (nodes, lots.batched, n))
    seen += body.guards
    constants += body.constants
    body.program.result = result[0]
    body.program.n_result = body.program.n_output - <int64_t>len(seen)
    return body.program


cdef int check_alike(Program p, Program first, str who) except -1:
    if p.result.key() != first.result.key() or p.results()[:p.n_result] != first.results()[:first.n_result]:
        raise TypeError(f"{who}: the function returns results of different shapes or types in different lanes")
    return 0


cdef object run_traced(f, Tape tape, Lots lots):
    cdef list leaves = lots.leaves, parts = [], places = [], nodes, seen, constants
    cdef Program p, first = None
    cdef int64_t n = lots.n, k
    lanes = np.arange(n)
    if n == 0:
        raise ValueError(f"{lots.who}: a batch within a trace must have a lane")
    while True:
        nodes, seen, constants = [], [], []
        n = len(lanes)
        p = trace_lane(f, tape, lots, leaves, nodes, n, seen, constants)
        if first is None:
            first = p
        check_alike(p, first, lots.who)
        nodes = over_lanes(p.record.tape(), tape, constants + nodes, [False] * len(constants) + list(lots.batched),
                           p.record_outputs, p.n_output, n)
        results = [wrap(tape, node) for node in nodes]
        good = np.ones(n, bool)
        for k, (how, outcome, _) in enumerate(seen):
            good &= met(how, outcome, observed(results[p.n_result + k], None), n)
        if not good[0]:
            off_the_path(p)
        kept, left = np.flatnonzero(good), np.flatnonzero(~good)
        if len(left) == 0 and not parts:
            after_record(tape)
            return rebuilt(first.result, results[:p.n_result])
        parts.append([y[kept] for y in results[:p.n_result]])
        places.append(lanes[kept])
        if len(left) == 0:
            break
        leaves = [y[left] if has_lanes else y for y, has_lanes in zip(leaves, lots.batched)]
        lanes = lanes[left]
    order = np.argsort(np.concatenate(places))
    after_record(tape)
    return rebuilt(first.result, [np.concatenate([part[k] for part in parts])[order] for k in range(first.n_result)])


# ---- a call

def batch(Program p, tuple args, dict kwargs, in_axes, out, threads):
    """The results of a program for all lanes."""
    if "paths" not in p.derived:
        p.derived["paths"] = Compiled(type(p), p.function, p.static, SIGNATURES)
    return run(p.derived["paths"], p, args, kwargs, in_axes, out, threads, f"{p.name}.batch")


def leaves_of(y):
    """The numbers and arrays of what a function returned."""
    cdef list out = []
    gather(form_of_result(y, "batch_jacobian"), y, out)
    return out


def jacobian_blocks(Program p, tuple args, dict kwargs, argnums, in_axes, threads, rows):
    """The results of all lanes, and of each the derivatives that `rows(function, argnums)` gives; and for each argument
    `argnums` what `sparse.of_blocks` asks."""
    cdef Lots lots
    cdef list parts = []
    cdef int64_t n, size
    who = f"{p.name}.batch_jacobian"
    for x in args:
        if isinstance(x, Tracer):
            raise TypeError(f"{who}: a sparse matrix is no value of a trace; call it outside")
    if current() is not None:
        raise TypeError(f"{who}: a sparse matrix is no value of a trace; call it outside")
    key = "rows", argnums
    if key not in p.derived:
        p.derived[key] = Compiled(type(p), rows(p.function, argnums), p.static, SIGNATURES)
    lots = Lots(who, args, kwargs, in_axes, p.static)
    axes = in_axes if isinstance(in_axes, (tuple, list)) else (in_axes,) * len(args)
    for k in argnums:
        x = args[k]
        if not isinstance(x, (Gathered, np.ndarray, float, np.floating)):
            raise TypeError(f"{who}: argument {k} is a {type(x).__name__}; derivatives are taken with respect to arrays and floats")
        n = 1
        for extent in np.shape(x) if not isinstance(x, Gathered) else x.array.shape:
            n *= extent
        if isinstance(x, Gathered):
            size = n // max(len(x.array), 1)
            parts.append((size, n, x.index * size))
        elif axes[k] is None:
            parts.append((n, n, None))
        else:
            size = n // max(lots.n, 1)
            parts.append((size, n, np.arange(lots.n) * size))
    results, blocks = run(p.derived[key], None, args, kwargs, in_axes, None, threads, who, p.static)
    return results, blocks, parts


def run(paths, Program p, tuple args, dict kwargs, in_axes, out, threads, str who, static=None):
    """The results of all lanes, stacked along a first axis. `p` is a program that the first of them may take, or None."""
    cdef Lots lots = Lots(who, args, kwargs, in_axes, static if p is None else p.static)
    cdef Tape tape = tape_of(lots.leaves, current())
    if tape is None:
        return run_plain(paths, p, lots, out, threads)
    if out is not None:
        raise TypeError(f"{who}: out cannot be given within a trace")
    return run_traced(paths.__wrapped__, tape, lots)


def thread_count(threads, who):
    if isinstance(threads, bool) or not isinstance(threads, (int, np.integer)) or threads < 1:
        raise ValueError(f"{who}: threads must be a positive whole number, got {threads!r}")
    return int(threads)


def moved(tree, axis):
    """The results with their lanes along another axis than the first."""
    cdef list leaves = []
    cdef Form form = form_of_result(tree, "vmap")
    gather(form, tree, leaves)
    return rebuilt(form, [np.moveaxis(x, 0, axis) for x in leaves])
