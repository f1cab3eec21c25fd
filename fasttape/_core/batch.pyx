"""Batches: one function of many arguments at once.

The function is traced for one lane; its program is run on stretches of lanes (stretches.pyx), here or, chunk by chunk, by an
executor (many.pyx). What its guards see is a result of every lane: lanes that take another path are run together, by the
program of that path.

Within a trace the record is appended over all lanes at once, and differentiated as anything else.
"""
import numpy as np

from fasttape._core.body cimport Body, trace_body
from fasttape._core.calls cimport tape_of
from fasttape._core.capture cimport capture_array
from fasttape._core.helpers cimport alert, get_ready
from fasttape._core.lanes cimport over_lanes
from fasttape._core.lots cimport Lots
from fasttape._core.many cimport check_alike, off_the_path, run_plain
from fasttape._core.program cimport Program
from fasttape._core.record cimport *
from fasttape._core.signature cimport *
from fasttape._core.stretches cimport helpers_for, met
from fasttape._core.trace cimport current
from fasttape._core.tracer cimport Tracer, after_record, observed, operand, wrap

from fasttape._core.blocks import columns_of_blocks
from fasttape._core.compiled import Compiled, last_program
from fasttape._core.lots import Gathered
from fasttape._core.many import Totals, Values, Way

cdef enum:
    SIGNATURES = 256
    MOST_AWAKE = 1 << 16            # threads

REDUCTIONS = None, "sum", "mean"


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

cdef object paths_of(Program p):
    """The programs of p's function, for lanes that take other paths."""
    if "paths" not in p.derived:
        p.derived["paths"] = Compiled(type(p), p.function, p.static, SIGNATURES)
    return p.derived["paths"]


cdef int wake_helpers(tuple args, threads, executor) except -1:
    """Waking them takes as long as looking at the arguments: do it first, where it seems that there are lanes enough."""
    cdef int64_t n
    if type(threads) is int and threads > 1 and executor is None and current() is None and args:
        if isinstance(args[0], (np.ndarray, Gathered)) and args[0].ndim:
            n = helpers_for(len(args[0]), min(threads, MOST_AWAKE))
            if n > 0:
                get_ready()
                alert(n)
    return 0


def batch(Program p, tuple args, dict kwargs, in_axes, out, reduce, threads, executor, chunk):
    """The results of a program for all lanes, or their sum or mean."""
    if reduce is None:
        wake_helpers(args, threads, executor)
    who = f"{p.name}.batch"
    return run(paths_of(p), p, args, kwargs, in_axes, out, reduce, Way(threads, executor, chunk, who), who)


def value_and_grad(Program p, tuple args, dict kwargs, argnums, in_axes, reduce, threads, executor, chunk):
    """The sum or mean of a program's results over all lanes, and its derivatives with respect to each of `argnums`."""
    cdef Lots lots
    cdef list places = [], slopes = []
    cdef int64_t k, at = 0
    cdef Form form
    who = f"{p.name}.batch_value_and_grad"
    way = Way(threads, executor, chunk, who)
    if reduce is None:
        raise ValueError(f"{who}: reduce must be 'sum' or 'mean', got None")
    checked(reduce, who)
    check_plain(args, who)
    lots = Lots(who, args, kwargs, in_axes, p.static)
    form = lots.form.parts[0]
    for k in range(<int64_t>len(args)):
        forms = []
        leaf_forms(form.parts[k], forms)
        places.append(range(at, at + len(forms)))
        at += len(forms)
    moving = tuple(sorted({j for k in argnums for j in places[k]}))
    if not moving:
        raise TypeError(f"{who}: the arguments that argnum names hold no floats")
    totals = Totals(lots, reduce, moving)
    value = run_plain(paths_of(p), p, None, lots, totals, way)
    axes = in_axes if isinstance(in_axes, (tuple, list)) else (in_axes,) * len(args)
    for k in argnums:
        found = [along(totals, lots, j, axes[k]) for j in places[k]]
        slopes.append(found[0] if isinstance(args[k], Gathered) else rebuilt(form.parts[k], found))
    return value, tuple(slopes)


cdef object along(totals, Lots lots, j, axis):
    """The derivatives with respect to leaf j, as the argument lies."""
    x = totals.of_all(totals.sums.slopes[j], getattr(lots.leaves[j], "dtype", None) == np.float32)
    return np.moveaxis(x, 0, axis) if lots.batched[j] and axis != 0 else x


cdef int check_plain(tuple args, str who) except -1:
    for x in args:
        if isinstance(x, Tracer) or (isinstance(x, Gathered) and isinstance(x.array, Tracer)):
            raise TypeError(f"{who}: it has no place in a trace; call batch there, which is differentiated as anything else")
    if current() is not None:
        raise TypeError(f"{who}: it has no place in a trace; call batch there, which is differentiated as anything else")
    return 0


def checked(reduce, who):
    if reduce is not None and not (isinstance(reduce, str) and reduce in REDUCTIONS):
        raise ValueError(f"{who}: reduce must be 'sum' or 'mean', got {reduce!r}")
    return reduce


def leaves_of(y):
    """The numbers and arrays of what a function returned."""
    cdef list out = []
    gather(form_of_result(y, "batch_jacobian"), y, out)
    return out


class Matrix:
    """A sparse Jacobian. Nothing of it but the numbers themselves has to wait for them: it is made as soon as there is memory
    for these, while other threads run lanes already."""

    def __init__(self, of_blocks, args, argnums, axes):
        self.of_blocks, self.args, self.argnums, self.axes, self.blocks = of_blocks, args, argnums, axes, None

    def __call__(self, Program p, into):
        self.over(into[p.n_result - 1])

    def over(self, blocks):
        """The matrix whose numbers lie, or will, in an array of shape (lanes, rows, columns)."""
        if self.blocks is not blocks:
            self.blocks, self.made = blocks, self.of_blocks(blocks, self.pattern(len(blocks), blocks.shape[1]))
        return self.made

    def pattern(self, lanes, rows):
        """What `columns_of_blocks` returns."""
        parts = []
        for k in self.argnums:
            x = self.args[k]
            n = 1
            for extent in np.shape(x) if not isinstance(x, Gathered) else x.array.shape:
                n *= extent
            if isinstance(x, Gathered):
                parts.append((n // max(len(x.array), 1), n, np.ascontiguousarray(x.index)))
            elif self.axes[k] is None:
                parts.append((n, n, None))
            else:
                parts.append((n // max(lanes, 1), n, range(lanes)))
        return columns_of_blocks(lanes, rows, parts)


def jacobian(Program p, tuple args, dict kwargs, argnums, in_axes, rows, of_blocks, threads, executor, chunk):
    """The results of all lanes; and of each the derivatives that `rows(function, argnums)` gives, as one sparse matrix, which
    `of_blocks` makes of these and of what `columns_of_blocks` returns."""
    wake_helpers(args, threads, executor)
    who = f"{p.name}.batch_jacobian"
    check_plain(args, who)
    key = "rows", argnums
    if key not in p.derived:
        p.derived[key] = Compiled(type(p), rows(p.function, argnums), p.static, SIGNATURES)
    for k in argnums:
        x = args[k]
        if not isinstance(x, (Gathered, np.ndarray, float, np.floating)):
            raise TypeError(f"{who}: argument {k} is a {type(x).__name__}; derivatives are taken with respect to arrays and floats")
    matrix = Matrix(of_blocks, args, argnums, in_axes if isinstance(in_axes, (tuple, list)) else (in_axes,) * len(args))
    way = Way(threads, executor, chunk, who, matrix)
    results, blocks = run(p.derived[key], None, args, kwargs, in_axes, None, None, way, who, p.static)
    return results, matrix.over(blocks)


def run(paths, Program p, tuple args, dict kwargs, in_axes, out, reduce, way, str who, static=None):
    """The results of all lanes, stacked along a first axis, or their sum or mean. `p` is a program that the first of them may
    take, or None."""
    cdef Lots lots
    cdef Tape tape
    checked(reduce, who)
    if out is not None and reduce is not None:
        raise TypeError(f"{who}: out is for the results of all lanes, not for their {reduce}")
    guess = last_program(paths) if p is None and out is None else None
    lots = Lots(who, args, kwargs, in_axes, static if p is None else p.static, guess if p is None else p)
    tape = None if lots.fits else tape_of(lots.leaves, current())
    if tape is None:
        wanted = Values(lots, out) if reduce is None else Totals(lots, reduce, ())
        return run_plain(paths, p, guess if lots.fits else None, lots, wanted, way)
    if out is not None or way.executor is not None:
        raise TypeError(f"{who}: {'out' if out is not None else 'an executor'} cannot be given within a trace")
    results = run_traced(paths.__wrapped__, tape, lots)
    return results if reduce is None else over_all(results, lots.n if reduce == "mean" else 1, who)


cdef object over_all(results, int64_t n, str who):
    """Traced results summed over their first axis, and divided."""
    cdef list leaves = []
    cdef Form form = form_of_result(results, who)
    gather(form, results, leaves)
    return rebuilt(form, [x.sum(axis=0) / n if n != 1 else x.sum(axis=0) for x in leaves])


def moved(tree, axis):
    """The results with their lanes along another axis than the first."""
    cdef list leaves = []
    cdef Form form = form_of_result(tree, "vmap")
    gather(form, tree, leaves)
    return rebuilt(form, [np.moveaxis(x, 0, axis) for x in leaves])
