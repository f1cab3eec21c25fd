"""A compiled function: its programs by signature and, within each, by the path that Python took.

Two paths of one function are the same up to the first guard that sees something else. So when a run's guard k is
unmet, the programs that may fit are those with the same outcomes before k, and this one at k; if none does, the
function is traced again. Each program checks all its guards: what is looked up here decides only which one is tried.

Any number of threads may call at once. What is kept is swapped whole, each time under the lock of its owner (which is
nothing where there is a GIL), and no lock is held while the function is traced: two threads may then trace the same
path, and the second program is dropped.
"""
import functools
import warnings

cimport cython
from libc.stdint cimport int64_t

from fasttape._core.keep cimport record
from fasttape._core.program cimport Program, Unmet, mark_after, name_of
from fasttape._core.signature cimport *
from fasttape._core.tracer cimport Tracer, concrete

from fasttape._core.calls import call_traced

cdef enum:
    WARN_AT = 32                    # paths, or signatures: more than programs ought to have


cdef object result_of(Program p, list leaves, bint traced):
    return call_traced(p, leaves) if traced else p.run(leaves)


cdef bint bodily(list leaves) except -1:
    """A value is one of a loop's body, which has none."""
    for x in leaves:
        if isinstance(x, Tracer) and (<Tracer>x).tape is not None and (<Tracer>x).tape.bodily:
            return True
    return False


cdef class Paths:
    """The programs of one signature, the one that was used last first."""
    cdef Form arguments
    cdef list programs              # never changed, but replaced
    cdef int64_t traced
    cdef bint forgotten             # by `clear`, perhaps while a call was using them

    @cython.critical_section
    cdef list kept(self):
        return self.programs

    @cython.critical_section
    cdef int put_first(self, Program p) except -1:
        """Let this program be the first that is tried."""
        if p in self.programs and self.programs[0] is not p:
            self.programs = [p] + [q for q in self.programs if q is not p]
        return 0

    @cython.critical_section
    cdef Program enter(self, Program p, int64_t limit):
        """Keep a new program, unless another thread has traced the same path meanwhile: then that one is returned."""
        cdef Program q
        for q in self.programs:
            if q.marks == p.marks:
                return q
        self.traced += 1
        self.programs = [p] + self.programs[:limit - 1]
        return p


cdef class Compiled:
    """What `compile` returns: the function, traced where it has to be and run where it can be."""
    cdef object function, static
    cdef type kind                  # of its programs
    cdef str name
    cdef Program last               # the program of the last call
    cdef dict signatures            # form's key -> Paths
    cdef Form newest                # of the signatures
    cdef int64_t budget             # of memory in bytes, or 0
    cdef int64_t limit              # programs of one signature, and signatures, that are kept
    cdef int64_t traced             # signatures
    cdef bint warned
    cdef dict __dict__

    def __init__(self, kind, f, static, limit, budget=0):
        self.kind = kind
        self.function = f
        self.static = static
        self.limit = limit
        self.budget = budget
        self.name = name_of(f)
        self.signatures = {}
        functools.update_wrapper(self, f)

    def __get__(self, instance, owner):
        return self if instance is None else functools.partial(self, instance)

    def __repr__(self):
        return f"<compiled {self.name}: {len(self.programs)} programs>"

    @property
    def programs(self):
        """The programs that are kept, by signature, the one used last first."""
        return [program for paths in self.signatures.copy().values() for program in (<Paths>paths).kept()]

    def clear(self):
        """Forget all programs, also those that calls under way are tracing."""
        self.forget()
        self.signatures.clear()

    @cython.critical_section
    cdef int forget(self) except -1:
        cdef Paths paths
        for paths in self.signatures.copy().values():
            paths.forgotten = True
        self.last = None
        return 0

    @cython.critical_section
    cdef Program get_last(self):
        return self.last

    @cython.critical_section
    cdef int set_last(self, Program p, Paths paths) except -1:
        if not paths.forgotten:
            self.last = p
        return 0

    @cython.critical_section
    cdef bint warns(self, bint now):
        """Whether to warn, which is done once."""
        now = now and not self.warned
        self.warned |= now
        return now

    def __call__(self, *args, **kwargs):
        cdef list leaves = []
        cdef Program p = self.get_last()
        if p is not None:
            if p.takes(args, kwargs, leaves, p.any_float):
                out = p.run(leaves)
                if type(out) is not Unmet:
                    return out
                return self.other_path(args, kwargs, leaves, p, <Unmet>out)
            leaves.clear()
        return self.other_signature(args, kwargs, leaves)

    cdef object other_signature(self, tuple args, dict kwargs, list leaves):
        cdef Form form = form_of_call(args, kwargs, self.name, self.static)
        cdef Paths paths
        cdef Program p
        cdef bint traced
        cdef list programs
        key = form.key()
        gather(form, (args, kwargs), leaves)
        traced = has_traced(leaves)
        if traced and bodily(leaves):   # there are no values to trace a path for: as if it were not compiled
            return self.function(*args, **kwargs)
        paths = self.signatures.get(key)
        if paths is None:
            paths = self.enter(key, form)
        programs = paths.kept()
        if not programs:
            return self.new_path(leaves, traced, paths, None, None)
        p = programs[0]
        out = result_of(p, leaves, traced)
        if type(out) is not Unmet:
            self.set_last(p, paths)
            return out
        return self.find_path(leaves, traced, paths, p, <Unmet>out)

    cdef object other_path(self, tuple args, dict kwargs, list leaves, Program p, Unmet unmet):
        cdef Paths paths = self.signatures.get(p.arguments.key())
        if paths is None:           # forgotten meanwhile
            leaves.clear()
            return self.other_signature(args, kwargs, leaves)
        return self.find_path(leaves, False, paths, p, unmet)

    cdef object find_path(self, list leaves, bint traced, Paths paths, Program p, Unmet unmet):
        """Run the program whose path these arguments take; trace it if there is none."""
        cdef Program q
        cdef set tried = {p}
        while True:
            wanted = mark_after(p.marks[unmet.k], unmet.outcome)
            for q in paths.kept():
                if unmet.k + 1 < len(q.marks) and q.marks[unmet.k + 1] == wanted and q not in tried:
                    break
            else:
                return self.new_path(leaves, traced, paths, p, unmet)
            tried.add(q)
            out = result_of(q, leaves, traced)
            if type(out) is not Unmet:
                paths.put_first(q)
                self.set_last(q, paths)
                return out
            p = q
            unmet = out

    cdef object new_path(self, list leaves, bint traced, Paths paths, Program p, Unmet unmet):
        values = [concrete(<Tracer>x) if isinstance(x, Tracer) else x for x in leaves] if traced else leaves
        cdef Program q = record(self.kind, self.function, paths.arguments, values, self.static, self.name, self.budget)
        out = result_of(q, leaves, traced)
        if type(out) is Unmet:
            _, seen, (file, line) = q.guards[(<Unmet>out).k]
            raise RuntimeError(f"{self.name}: the function does not do the same when its values are the same: at "
                               f"{file}:{line} it saw {seen!r}, and then {(<Unmet>out).outcome!r}")
        kept = paths.enter(q, self.limit)
        self.set_last(kept, paths)
        if kept is q and unmet is not None and self.warns(paths.traced == WARN_AT):
            file, line = p.guards[unmet.k][2]
            warnings.warn(f"{self.name}: {WARN_AT} paths of this function have been traced, the last because of what "
                          f"Python saw at {file}:{line}. Each new one costs a trace. Where values there decide nothing, "
                          f"use np.where and its like in place of if, and keep int() and float() out",
                          RuntimeWarning)
        return out

    @cython.critical_section
    cdef bint keeps(self, object key, Paths paths, list before):
        """Keep the paths of a new signature, unless another thread has entered it meanwhile. The form of the one
        before is appended to `before`."""
        if self.signatures.setdefault(key, paths) is not paths:
            return False
        if len(self.signatures) > self.limit:
            self.signatures.pop(list(self.signatures)[0], None)
        self.traced += 1
        before.append(self.newest)
        self.newest = paths.arguments
        return True

    cdef Paths enter(self, object key, Form form):
        cdef Paths paths = Paths.__new__(Paths)
        cdef list before = []
        paths.arguments = form
        paths.programs = []
        if not self.keeps(key, paths, before):
            return self.signatures.get(key, paths)
        if self.warns(self.traced == WARN_AT):
            warnings.warn(f"{self.name}: {WARN_AT} signatures of this function have been traced, the last because "
                          f"{unlike_call(before[0], form)}. Each new one costs a trace. Whole numbers, truth values and "
                          f"objects are fixed when a function is traced; pass as floats what varies and is computed with",
                          RuntimeWarning)
        return paths


def last_program(paths):
    """The program of the last call, if Python's floats and NumPy's are the same to it; else None."""
    cdef Program p = (<Compiled>paths).get_last() if isinstance(paths, Compiled) else None
    return p if p is not None and p.any_float else None


def program_of(Compiled self, tuple args, dict kwargs, bint last=False):
    """The program that a call with these plain arguments takes; as that of the last call, if it shall be."""
    cdef list leaves = []
    cdef Form form = form_of_call(args, kwargs, self.name, self.static)
    cdef Paths paths
    cdef Program p
    key = form.key()
    gather(form, (args, kwargs), leaves)
    paths = self.signatures.get(key)
    if paths is None:
        paths = self.enter(key, form)
    for p in paths.kept():
        if type(p.run(leaves)) is not Unmet:
            break
    else:
        p = paths.enter(record(self.kind, self.function, paths.arguments, leaves, self.static, self.name, self.budget), self.limit)
    if last:
        self.set_last(p, paths)
    return p
