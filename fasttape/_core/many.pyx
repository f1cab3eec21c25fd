"""Lanes outside of a trace: what is wanted of them, filled path by path and chunk by chunk.

Chunks are for executors, and for whoever asks for them; within one go stretches (stretches.pyx).
"""
import numpy as np

cimport numpy as cnp

from fasttape._core.listing cimport result_text
from fasttape._core.lots cimport Lots
from fasttape._core.program cimport Program
from fasttape._core.record cimport *
from fasttape._core.signature cimport *
from fasttape._core.stretches cimport add_rows, part_of

from fasttape._core.compiled import program_of
from fasttape._core.executors import Here, Sent, check_executor, ordered, workers_of
from fasttape._core.lots import Gathered
from fasttape._core.program import GuardError
from fasttape._core.stretches import Sums, new_results, run_lanes, sum_lanes

cnp.import_array()

SINGLE, DOUBLE = np.dtype(np.float32), np.dtype(np.float64)

cdef enum:
    PER_WORKER = 4                  # chunks, where nobody says how long one is
    SPARSE = 32                     # numbers in an array for each lane that reads of it, beyond which few of its rows are read


class Way:
    """How lanes are run: in how many threads, by which executor, in chunks of how many. Where there is something to be done
    `meanwhile`, meanwhile(program, arrays) may be called by the caller's thread once others are at work on what comes into these."""

    def __init__(self, threads, executor, chunk, who, meanwhile=None):
        self.threads, self.executor, self.who, self.meanwhile = whole(threads, "threads", who), executor, who, meanwhile
        self.chunk = None if chunk is None else whole(chunk, "chunk", who)
        check_executor(executor, who)

    def bounds(self, n):
        """Bounds of the chunks; None where all lanes are one."""
        if self.chunk is None and self.executor is None:
            return None
        chunk = self.chunk or -(-n // (PER_WORKER * workers_of(self.executor)))
        return [*range(0, n, chunk), n]

    def run(self, function, jobs):
        """Yield function(*job, threads) in order."""
        jobs = ((*job, self.threads) for job in jobs)
        return ordered(self.executor, function, jobs, self.who) if self.executor is not None else (function(*job) for job in jobs)


def whole(n, name, who):
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1:
        raise ValueError(f"{who}: {name} must be a positive whole number, got {n!r}")
    return min(int(n), 1 << 62)


# ---- results of every lane

cdef void reach(cnp.ndarray a, char **low, char **high) noexcept:
    """From where to where the elements of an array lie; nothing if it has none."""
    cdef int k
    cdef ssize_t step
    low[0] = high[0] = <char *>cnp.PyArray_DATA(a)
    if cnp.PyArray_SIZE(a) == 0:
        return
    high[0] += a.itemsize
    for k in range(cnp.PyArray_NDIM(a)):
        step = (cnp.PyArray_DIM(a, k) - 1) * cnp.PyArray_STRIDE(a, k)
        if step < 0:
            low[0] += step
        else:
            high[0] += step


cdef bint overlap(cnp.ndarray a, cnp.ndarray b) noexcept:
    """Whether arrays may share memory, by where they begin and end."""
    cdef char *a_low
    cdef char *a_high
    cdef char *b_low
    cdef char *b_high
    reach(a, &a_low, &a_high)
    reach(b, &b_low, &b_high)
    return a_low < b_high and b_low < a_high


cdef int check_out(str who, list given, list results, int64_t n, list leaves) except -1:
    """Whether arrays can hold the results of n lanes; `results` has the dtype and shape of one."""
    cdef int64_t k, j
    for k in range(<int64_t>len(given)):
        x, (code, dims) = given[k], results[k]
        if type(x) is not np.ndarray or x.dtype != (SINGLE if code & 1 else DOUBLE) or x.shape != (n, *dims):
            raise TypeError(f"{who}: out must hold an array of shape {(n, *dims)} and dtype {SINGLE if code & 1 else DOUBLE} for each "
                            f"result, got "
                            f"{f'one of shape {x.shape} and dtype {x.dtype}' if isinstance(x, np.ndarray) else type(x).__name__}")
        if not cnp.PyArray_ISCARRAY(x):
            raise ValueError(f"{who}: the arrays of out must be C-contiguous, aligned and writeable")
        for other in leaves:
            other = other.array if isinstance(other, Gathered) else other
            if isinstance(other, np.ndarray) and overlap(x, other):
                raise ValueError(f"{who}: an array of out shares memory with an argument")
    for k in range(<int64_t>len(given)):
        for j in range(k):
            if overlap(given[k], given[j]):
                raise ValueError(f"{who}: two arrays of out share memory")
    return 0


def values_of(here, sent, batched, leaves, n, threads):
    """A chunk: its results, where they are not in place already; and which lanes take another path."""
    into = new_results(sent.program, n) if here is None else here.into
    other = run_lanes(sent.program, batched, leaves, into, n, threads, here or Here())
    return None if here is not None else into, other


class Values:
    """The results of every lane. `begin` is told the first path's program; `run` runs n lanes by one path's program, `lanes`
    being their numbers if they are not all, and returns which of them take another path; then there is a `result`."""

    def __init__(self, Lots lots, out):
        self.who, self.leaves, self.batched, self.n, self.out = lots.who, lots.leaves, lots.batched, lots.n, out

    def begin(self, Program p):
        cdef list given = []
        self.form, self.into = p.result, given
        if self.out is None:
            self.into = new_results(p, self.n)
            return
        gather(form_of_result(self.out, self.who), self.out, given)
        if len(given) != p.n_result:
            raise TypeError(f"{self.who}: out must hold {p.n_result} arrays, got {len(given)}")
        check_out(self.who, given, p.results(), self.n, self.leaves)

    def run(self, Program p, leaves, n, lanes, way):
        into = self.into if lanes is None else new_results(p, n)
        if way.bounds(n) is None:
            other = run_lanes(p, self.batched, leaves, into, n, way.threads, Here(), way.meanwhile if lanes is None else None)
        else:
            other = self.run_chunks(p, leaves, n, into, way)
        if lanes is not None:
            done = slice(None) if other is None else ~other
            for x, y in zip(self.into, into):
                x[lanes[done]] = y[done]
        return other

    def run_chunks(self, p, leaves, n, into, way):
        bounds, sent, other = way.bounds(n), Sent(p), np.zeros(n, bool)
        pairs = [slice(at, end) for at, end in zip(bounds, bounds[1:])]
        jobs = ((Here([x[part] for x in into]), sent, self.batched, part_of(leaves, self.batched, part), part.stop - part.start)
                for part in pairs)
        for part, (found, mask) in zip(pairs, way.run(values_of, jobs)):
            for x, y in zip(into, found or ()):
                x[part] = y
            if mask is not None:
                other[part] = mask
        return other if other.any() else None

    def result(self):
        return rebuilt(self.form, self.into) if self.out is None else self.out


# ---- sums over them

def sums_of(here, sent, batched, moving, leaves, n, threads):
    """A chunk: its sums; their derivatives by leaf, with the rows that the array has here; and which lanes take another
    path."""
    sums, other = sum_lanes(sent.program, batched, moving, leaves, n, threads, here or Here())
    return sums.values, {k: (getattr(leaves[k], "rows", None), x) for k, x in sums.slopes.items()}, other


class Totals:
    """The sum of each result over the lanes, or its mean, and its derivatives with respect to the leaves `moving`. See
    `Values`."""

    def __init__(self, Lots lots, reduce, moving):
        self.who, self.leaves, self.batched, self.n = lots.who, lots.leaves, lots.batched, lots.n
        self.mean, self.moving = reduce == "mean", moving
        if self.mean and self.n == 0:
            raise ValueError(f"{self.who}: there is no mean of no lanes")

    def begin(self, Program p):
        self.form, self.narrow = p.result, [dtype & 1 for dtype, _ in p.results()]
        if self.moving and (p.n_result != 1 or p.results()[0][1] != () or (<Form>p.result).kind > PYTHON_FLOAT):
            raise TypeError(f"{self.who}: the program returns {result_text(p)}, but must return one number")
        self.sums = Sums(p, self.batched, self.moving, self.leaves, self.n)

    def run(self, Program p, leaves, n, lanes, way):
        bounds = way.bounds(n)
        if bounds is None:
            sums, other = sum_lanes(p, self.batched, self.moving, leaves, n, way.threads, Here())
            self.add(sums.values, {k: (None, x) for k, x in sums.slopes.items()}, slice(None) if lanes is None else lanes)
            return other
        sent, other = Sent(p), np.zeros(n, bool)
        pairs = [slice(at, end) for at, end in zip(bounds, bounds[1:])]
        jobs = ((Here(), sent, self.batched, self.moving, self.part(leaves, part), part.stop - part.start) for part in pairs)
        for part, (values, slopes, mask) in zip(pairs, way.run(sums_of, jobs)):
            self.add(values, slopes, part if lanes is None else lanes[part])
            if mask is not None:
                other[part] = mask
        return other if other.any() else None

    def part(self, leaves, lanes):
        """Some of the lanes. A chunk has derivatives for all rows of an array that it has, which are to be no more than it needs, and
        whose numbers are those in the array that is here, though that may have come from elsewhere itself."""
        leaves = part_of(leaves, self.batched, lanes)
        for k in self.moving:
            if isinstance(leaves[k], Gathered):
                x = Gathered(leaves[k].array, leaves[k].index)
                leaves[k] = x.compact() if x.array.size > SPARSE * len(x) else x
        return leaves

    def add(self, values, slopes, lanes):
        for total, x in zip(self.sums.values, values):
            total += x
        for k, (rows, x) in slopes.items():
            if rows is not None:
                add_rows(self.sums.slopes[k], rows, x)
            elif self.batched[k] and not isinstance(self.leaves[k], Gathered):
                self.sums.slopes[k][lanes] = x
            else:
                self.sums.slopes[k] += x

    def of_all(self, x, narrow):
        """A sum as it is returned."""
        return (x / self.n if self.mean else x).astype(np.float32 if narrow else np.float64)[()]

    def result(self):
        return rebuilt(self.form, [self.of_all(x, narrow) for x, narrow in zip(self.sums.values, self.narrow)])


# ---- path by path

cdef int check_alike(Program p, Program first, str who) except -1:
    if p.result.key() != first.result.key() or p.results()[:p.n_result] != first.results()[:first.n_result]:
        raise TypeError(f"{who}: the function returns results of different shapes or types in different lanes")
    return 0


cdef int off_the_path(Program p) except -1:
    raise GuardError(f"{p.name}: what decides a lane's path lies in a program that was traced before, which has only one; make the "
                     f"batch of the function itself, by vmap")


cdef object run_plain(object paths, Program p, Program guess, Lots lots, wanted, way):
    """What is `wanted` of all lanes. `p` is a program that the first of them may take, or None; then there may be a guess, which
    is taken back where the first lane takes another path: by that one all others are measured."""
    cdef list leaves = lots.leaves
    cdef Program first = None
    cdef int64_t n
    lanes = None
    if p is None and lots.n:
        p = guess
    traced = p is None                  # for the first of the lanes that are to be run
    if not traced and not lots.fits:
        args, kwargs = lots.lane(leaves, 0)
        if not p.takes(args, kwargs, [], True):
            p.leaves_of(args, kwargs)   # a TypeError if it is of another form
    while True:
        if p is None:
            args, kwargs = lots.lane(leaves, 0)
            p = program_of(paths, args, kwargs, lanes is None)
            traced = True
        n = lots.n if lanes is None else len(lanes)
        if first is None:
            first = p
            wanted.begin(p)
        else:
            check_alike(p, first, lots.who)
        other = wanted.run(p, leaves, n, lanes, way) if n else None
        if other is None:
            return wanted.result()
        if traced and other[0]:
            off_the_path(p)
        if p is guess and lanes is None and other[0]:
            p = guess = first = None
            continue
        left = np.flatnonzero(other)
        leaves = part_of(leaves, lots.batched, left)
        lanes = left if lanes is None else lanes[left]
        p = None
