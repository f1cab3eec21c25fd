"""Lanes run, a stretch of them at a time: their results, or the sum of these and its derivatives.

Stretches are as long as caches hold their arrays. They go one after the other, or to threads; what comes back is put
together in their order.
"""
import numpy as np

cimport numpy as cnp

from fasttape._core.calls cimport input_like
from fasttape._core.keep cimport keep
from fasttape._core.lanes cimport IN_COLUMNS, batched_program, optimised, over_lanes
from fasttape._core.program cimport Program, Unmet, same
from fasttape._core.pull cimport cotangent, give
from fasttape._core.recompute cimport run_pull
from fasttape._core.record cimport *
from fasttape._core.signature cimport *
from fasttape._core.sweep cimport Sweep
from fasttape._core.trace cimport begin_pull, current, enter_own, leave
from fasttape._core.tracer cimport looked_at

from fasttape._core.crew import Crew
from fasttape._core.lots import Gathered
from fasttape._core.spans import can_run, run_stretches

cnp.import_array()

cdef enum:
    LONGEST = 1 << 16               # lanes of a stretch
    SHORTEST = 1 << 5
    WORTH_IT = 1 << 10              # lanes below which there is no stretch for another thread
    LINE = 8                        # numbers
    PAGE = 4096                     # bytes
    CACHED = 1 << 19                # numbers in all arrays of a stretch, of which a part lives at a time
    NEAR = 1 << 16                  # the same, where the next stretch costs no Python
    SIZES = 32                      # other than powers of two, for which a program keeps one over lanes


cdef int64_t longest(Program p, int64_t cached=CACHED) except -1:
    """How many lanes at a time: as many as caches hold the arrays of; numbers lie in scratch rows."""
    cdef Tape tape = optimised(p)[0]
    cdef int64_t total = 0, i, n = LONGEST
    for i in range(tape.t.n):
        if shape_of(tape, <int32_t>i) and tape.t.entry[i].op != OP_view:
            total += size_of(tape, <int32_t>i)
    while n > SHORTEST and n * total > cached:
        n //= 2
    return n - LINE if total else n     # rows as long as a page would all lie at one place of a cache


def lengths_kept(Program p, str kind="lanes"):
    """For how many lengths of stretches a program keeps one over lanes."""
    return len([key for key in p.derived.copy() if key[0] == kind])


cdef list stretches(Program p, tuple key, int64_t n, int64_t most):
    """Bounds of what is run at once. Of lengths other than powers of two only a few have a program of their own, which is
    kept by `key` and the length."""
    cdef list out = [0]
    cdef int64_t at = n // most * most, size = most, left = n - at
    out += range(most, at + 1, most)
    if left == 0:
        return out
    if (*key, left) in p.derived or lengths_kept(p, key[0]) < SIZES:
        return out + [n]
    while at < n:
        while size > n - at:
            size //= 2
        at += size
        out.append(at)
    return out


cdef inline int64_t up_to(int64_t n, int64_t unit) noexcept:
    """n, or what is above it, as a multiple of a unit."""
    return (n + unit - 1) // unit * unit


cdef int64_t helpers_for(int64_t n, int64_t threads) noexcept:
    """How many threads besides the caller's can have something to do."""
    return min(threads, n // WORTH_IT) - 1


cdef list shares(Program p, tuple key, int64_t n, int64_t most, int64_t threads):
    """Bounds of stretches of one length, so that threads have equally many of them."""
    cdef int64_t size, parts = max(up_to(n, most) // most, min(threads, n // WORTH_IT))
    if threads == 1 or parts < 2:
        return stretches(p, key, n, most)
    parts = up_to(parts, min(threads, parts))
    size = up_to(up_to(n, parts) // parts, LINE)
    if size * 8 % PAGE == 0:
        size += LINE
    if sum([(*key, k) not in p.derived for k in (size, n % size)]) + lengths_kept(p, key[0]) > SIZES:
        return stretches(p, key, n, most)
    return [*range(0, n, size), n]


cdef list part_of(list leaves, tuple batched, lanes):
    """Some of the lanes, by a slice or by their numbers."""
    return [x[lanes] if has_lanes else x for x, has_lanes in zip(leaves, batched)]


# ---- results

cdef object met(how, seen, column, int64_t n):
    """Which lanes see at a guard what the trace saw."""
    if how is bool and column.ndim == 1:
        return (column != 0) == seen
    return np.array([same(looked_at(how, column[k]), seen) for k in range(n)], bool)


cdef object off_path(Program p, out, int64_t n):
    """Which of n lanes take another path, by what their guards saw; None if none does."""
    cdef object fits = None
    for column, (how, seen, _) in zip(out, p.guards):
        good = met(how, seen, column, n)
        fits = good if fits is None else fits & good
    return None if fits is None or fits.all() else ~fits


cdef list read(list leaves, tuple batched):
    return [x if not isinstance(x, Gathered) else x.columns() if has_lanes == IN_COLUMNS else x.read()
            for x, has_lanes in zip(leaves, batched)]


cdef tuple in_columns(Program p, tuple batched, list leaves):
    """Which leaves have lanes, and of which these are read into columns: what is gathered, and looked at element by element."""
    return tuple([IN_COLUMNS if well_read and isinstance(x, Gathered) else has_lanes
                  for x, has_lanes, well_read in zip(leaves, batched, optimised(p)[2])])


def run_stretch(Program p, tuple batched, list leaves, list into, int64_t n):
    """Run lanes; their results go into arrays. Returns which of them take another path, or None."""
    cdef Program q
    cdef int64_t k
    if n == 1:
        return run_lane(p, [x[0] if has_lanes else x for x, has_lanes in zip(leaves, batched)], into)
    q = batched_program(p, batched, n, False)
    out = q.run(read(leaves, batched), into + [None] * (p.n_output - p.n_result))
    for k in range(p.n_result):
        if out[k] is not into[k]:
            into[k][...] = out[k]
    return off_path(p, out[p.n_result:], n)


cdef object run_lane(Program p, list leaves, list into):
    cdef list found = []
    out = p.run(leaves)
    if type(out) is Unmet:
        return np.ones(1, bool)
    gather(p.result, out, found)
    for array, x in zip(into, found):
        array[0] = x
    return None


def new_results(Program p, int64_t n):
    return [np.empty((n, *dims), np.float32 if dtype & 1 else np.float64) for dtype, dims in p.results()[:p.n_result]]


cdef list near_stretches(Program p, tuple batched, int64_t n, int64_t threads):
    """Bounds of stretches that follow each other without Python; the last ones are kept, as many a batch is like that before."""
    kept = p.derived.get("stretches")
    key = batched, n, threads
    if kept is None or kept[0] != key:
        kept = p.derived["stretches"] = key, shares(p, ("lanes", batched), n, longest(p, NEAR), threads)
    return kept[1]


def run_lanes(Program p, tuple batched, list leaves, list into, int64_t n, int64_t threads, here, meanwhile=None):
    """Run any number of lanes; their results go into arrays. Returns which of them take another path, or None."""
    cdef list bounds
    cdef int64_t at, end
    if n == 0:
        return None
    batched = in_columns(p, batched, leaves)
    bounds = near_stretches(p, batched, n, threads)
    if bounds[1] > 1 and can_run(p, batched_program(p, batched, bounds[1], False), batched, leaves):
        return run_alike(p, batched, leaves, into, bounds, threads, here, meanwhile)
    if len(bounds) > 2:
        bounds = shares(p, ("lanes", batched), n, longest(p), threads)
    jobs = ((p, batched, leaves, into, at, end) for at, end in zip(bounds, bounds[1:]))
    return joined(each_of(run_part, jobs, len(bounds) - 1, threads, here), bounds, n)


def run_part(p, batched, leaves, into, at, end):
    return run_stretch(p, batched, part_of(leaves, batched, slice(at, end)), [x[at:end] for x in into], end - at)


cdef object run_alike(Program p, tuple batched, list leaves, list into, list bounds, int64_t threads, here, meanwhile):
    """The same without Python in between: stretches of one length by all threads, the few that are left by this one, as soon
    as the others are at work."""
    cdef Program q = batched_program(p, batched, bounds[1], False)
    cdef int64_t count = 1
    cdef list rest, found = []
    while count + 1 < <int64_t>len(bounds) and bounds[count + 1] - bounds[count] == bounds[1]:
        count += 1
    rest = bounds[count:]

    def begin():
        if meanwhile is not None:
            meanwhile(p, into)
        for at, end in zip(rest, rest[1:]):
            tail = batched_program(p, batched, end - at, False) if end - at > 1 else None
            if tail is not None and can_run(p, tail, batched, leaves):
                found.append(run_stretches(p, tail, batched, leaves, into, at, end - at, 1, 1, None, here))
            else:
                found.append(run_part(p, batched, leaves, into, at, end))

    found.insert(0, run_stretches(p, q, batched, leaves, into, 0, bounds[1], count, threads, begin, here))
    return joined(found, [0, *rest], rest[len(rest) - 1])


cdef object joined(parts, list bounds, int64_t n):
    """Which of n lanes take another path, from what stretches of them say."""
    other = None
    for k, found in enumerate(parts):
        if found is not None:
            if other is None:
                other = np.zeros(n, bool)
            other[bounds[k]:bounds[k + 1]] = found
    return other


def each_of(function, jobs, int64_t count, threads, here):
    """Yield what function(*job) returns for each of `count` jobs, in order, until `here` says to stop."""
    results = (function(*job) for job in jobs) if threads == 1 or count < 2 else Crew(function, jobs, threads, count, here).in_order()
    try:
        for result in results:
            yield result
            if here.stop:
                return
    finally:
        results.close()


# ---- guards alone

cdef Program guard_program(Program p, tuple batched, int64_t lanes):
    """What the guards of p look at, over lanes."""
    cdef Program q
    cdef Tape outer, tape, old
    cdef cnp.ndarray nodes
    key = "guards", batched, lanes
    if key in p.derived:
        return p.derived[key]
    old, nodes, _ = optimised(p)
    q = Program.__new__(Program)
    q.name = f"guards of {p.name} over {lanes} lanes"
    outer = current()
    tape = enter_own()
    try:
        inputs = [input_like(tape, old, k, lanes if batched[k] else 0) for k in range(p.n_input)]
        keep(q, tape, len(inputs), over_lanes(old, tape, inputs, list(batched), <const int32_t *>cnp.PyArray_DATA(nodes) + p.n_result,
                                              p.n_output - p.n_result, lanes), [])
    finally:
        leave(tape, outer)
    q.result = form_of_result((0.0,) * q.n_output, q.name)
    p.derived[key] = q
    return q


def see_stretch(Program p, tuple batched, list leaves, int64_t n):
    """Which of n lanes take another path, or None."""
    return off_path(p, guard_program(p, batched, n).run(read(leaves, batched)), n)


def see_lanes(Program p, tuple batched, list leaves, int64_t n, int64_t threads, here):
    """Which lanes take another path, or None."""
    cdef list bounds = stretches(p, ("guards", batched), n, longest(p)) if n and p.guards else [0]
    cdef int64_t at, end
    jobs = ((p, batched, part_of(leaves, batched, slice(at, end)), end - at) for at, end in zip(bounds, bounds[1:]))
    return joined(each_of(see_stretch, jobs, len(bounds) - 1, threads, here), bounds, n)


# ---- sums

cdef Program sum_program(Program p, tuple batched, tuple moving, int64_t lanes):
    """The sum of each result of p over lanes, and its derivatives with respect to the leaves `moving`: one for all lanes of what
    they share, else one for each."""
    cdef Program q
    cdef Tape outer, tape, old
    cdef Sweep s
    cdef cnp.ndarray nodes
    cdef list inputs, sums, out
    cdef int32_t node
    cdef const int32_t *outputs = p.record_outputs
    key = "sums", batched, moving, lanes
    if key in p.derived:
        return p.derived[key]
    if moving:
        old = p.record.tape()
    else:
        old, nodes, _ = optimised(p)
        outputs = <const int32_t *>cnp.PyArray_DATA(nodes)
    q = Program.__new__(Program)
    q.name = f"{p.name} summed over {lanes} lanes"
    outer = current()
    tape = enter_own()
    try:
        s.start = s.lanes = 0
        inputs = [input_like(tape, old, k, lanes if batched[k] else 0) for k in range(p.n_input)]
        for k in moving:
            tape.t.entry[<int32_t>inputs[k]].flags |= FT_ACTIVE
        sums = over_lanes(old, tape, inputs, list(batched), outputs, p.n_result, lanes)
        sums = out = [reduce(tape, OP_sum, owner(tape, node), 1 << ndim_of(tape, node) - 1) for node in sums]
        s.end = tape.t.n
        q.places = []
        if moving:
            begin_pull(tape, &s, [inputs[k] for k in moving])
            give(tape, &s, sums[0], constant(tape, 1.0, tape.t.entry[<int32_t>sums[0]].dtype))
            run_pull(tape, &s)
            for k in moving:
                if tape.ct[<int32_t>inputs[k]] >= 0:
                    q.places.append(k)
                    out.append(cotangent(tape, &s, inputs[k]))
        keep(q, tape, len(inputs), out, [])
    finally:
        leave(tape, outer)
    q.result = form_of_result((0.0,) * q.n_output, q.name)
    p.derived[key] = q
    return q


def sum_part(Program p, tuple batched, tuple moving, list leaves, int64_t n):
    """The sums of a stretch, and by leaf its derivatives."""
    cdef Program q = sum_program(p, batched, moving, n)
    cdef list out = list(q.run(read(leaves, batched)))
    return out[:p.n_result], dict(zip(q.places, out[p.n_result:]))


cdef int add_rows(object total, object index, object rows) except -1:
    """Add rows to those of an array that an index names."""
    cdef cnp.ndarray to = total, places = np.ascontiguousarray(index, np.int64), given = np.ascontiguousarray(rows, np.float64)
    cdef double *y = <double *>cnp.PyArray_DATA(to)
    cdef const double *x = <const double *>cnp.PyArray_DATA(given)
    cdef const int64_t *place = <const int64_t *>cnp.PyArray_DATA(places)
    cdef int64_t n = cnp.PyArray_SIZE(places), length = cnp.PyArray_DIM(to, 0), size = cnp.PyArray_SIZE(to) // max(length, 1), k, j
    if n and (cnp.PyArray_SIZE(given) != n * size or places.min() < 0 or places.max() >= length):
        raise IndexError(f"{n} rows of shape {rows.shape} do not go into an array of shape {total.shape}")
    with nogil:
        for k in range(n):
            for j in range(size):
                y[place[k] * size + j] += x[k * size + j]
    return 0


class Sums:
    """The sum over lanes of each result, and its derivatives by leaf: of what all lanes share and of what is gathered their
    sum, else of each lane its own. Summed up in float64."""

    def __init__(self, Program p, batched, moving, leaves, n):
        self.batched, self.moving, self.leaves = batched, moving, leaves
        self.values = [np.zeros(dims) for _, dims in p.results()[:p.n_result]]
        self.slopes = {k: np.zeros(self.shape_of(k, n)) for k in moving}

    def shape_of(self, k, n):
        x = self.leaves[k]
        return x.array.shape if isinstance(x, Gathered) else (n, *x.shape[1:]) if self.batched[k] else np.shape(x)

    def add(self, values, slopes, leaves, lanes):
        """Add what came of some lanes. `leaves` are what was run, `lanes` say which they were, as a slice or by numbers."""
        for total, x in zip(self.values, values):
            total += x
        for k, x in slopes.items():
            leaf = leaves[k]
            if not self.batched[k]:
                self.slopes[k] += x
            elif not isinstance(leaf, Gathered):
                self.slopes[k][lanes] = x
            else:
                add_rows(self.slopes[k], leaf.index, x)


def sum_lanes(Program p, tuple batched, tuple moving, list leaves, int64_t n, int64_t threads, here):
    """The `Sums` of any number of lanes, and which of them take another path and are not in it, or None."""
    cdef list bounds, parts = []
    cdef int64_t at, end
    sums, lanes = Sums(p, batched, moving, leaves, n), None
    other = see_lanes(p, batched, leaves, n, threads, here)
    if other is not None:
        lanes = np.flatnonzero(~other)
        leaves, n = part_of(leaves, batched, lanes), len(lanes)
    bounds = stretches(p, ("sums", batched, moving), n, max(longest(p) // 2, SHORTEST) if moving else longest(p)) if n else [0]
    jobs = part_jobs(p, batched, moving, leaves, bounds, parts)
    for k, (values, slopes) in enumerate(each_of(sum_part, jobs, len(bounds) - 1, threads, here)):
        at, end = bounds[k], bounds[k + 1]
        sums.add(values, slopes, parts[k], slice(at, end) if lanes is None else lanes[at:end])
        parts[k] = None
    return sums, other


def part_jobs(p, batched, moving, leaves, bounds, parts):
    for at, end in zip(bounds, bounds[1:]):
        part = part_of(leaves, batched, slice(at, end))
        parts.append(part)
        yield p, batched, moving, part, end - at
