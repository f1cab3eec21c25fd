"""A compiled function: its programs by signature and, within each, by the path that Python took.

Two paths of one function are the same up to the first guard that sees something else. So when a run's guard k is
unmet, the programs that may fit are those with the same outcomes before k, and this one at k; if none does, the
function is traced again. Each program checks all its guards: what is looked up here decides only which one is tried.
"""
import functools
import warnings

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


cdef class Paths:
    """The programs of one signature, the one that was used last first."""
    cdef Form arguments
    cdef list programs
    cdef int64_t traced


cdef class Compiled:
    """What `compile` returns: the function, traced where it has to be and run where it can be."""
    cdef object function, static
    cdef type kind                  # of its programs
    cdef str name
    cdef Program last               # the program of the last call
    cdef dict signatures            # form's key -> Paths
    cdef Form newest                # of the signatures
    cdef int64_t limit              # programs of one signature, and signatures, that are kept
    cdef int64_t traced             # signatures
    cdef bint warned
    cdef dict __dict__

    def __init__(self, kind, f, static, limit):
        self.kind = kind
        self.function = f
        self.static = static
        self.limit = limit
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
        return [program for paths in list(self.signatures.values()) for program in (<Paths>paths).programs]

    def clear(self):
        """Forget all programs."""
        self.signatures = {}
        self.last = None

    def __call__(self, *args, **kwargs):
        cdef list leaves = []
        cdef Program p = self.last
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
        key = form.key()
        gather(form, (args, kwargs), leaves)
        traced = has_traced(leaves)
        paths = self.signatures.get(key)
        if paths is None:
            paths = Paths.__new__(Paths)
            paths.arguments = form
            paths.programs = []
            self.enter(key, paths)
        if not paths.programs:
            return self.new_path(leaves, traced, paths, None, None)
        p = paths.programs[0]
        out = result_of(p, leaves, traced)
        if type(out) is not Unmet:
            self.last = p
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
            for q in list(paths.programs):
                if unmet.k + 1 < len(q.marks) and q.marks[unmet.k + 1] == wanted and q not in tried:
                    break
            else:
                return self.new_path(leaves, traced, paths, p, unmet)
            tried.add(q)
            out = result_of(q, leaves, traced)
            if type(out) is not Unmet:
                self.use(paths, q)
                return out
            p = q
            unmet = out

    cdef object new_path(self, list leaves, bint traced, Paths paths, Program p, Unmet unmet):
        values = [concrete(<Tracer>x) if isinstance(x, Tracer) else x for x in leaves] if traced else leaves
        cdef Program q = record(self.kind, self.function, paths.arguments, values, self.static, self.name)
        out = result_of(q, leaves, traced)
        if type(out) is Unmet:
            _, seen, (file, line) = q.guards[(<Unmet>out).k]
            raise RuntimeError(f"{self.name}: the function does not do the same when its values are the same: at "
                               f"{file}:{line} it saw {seen!r}, and then {(<Unmet>out).outcome!r}")
        paths.traced += 1
        self.use(paths, q)
        if len(paths.programs) > self.limit:
            paths.programs.pop()
        if paths.traced == WARN_AT and unmet is not None and not self.warned:
            self.warned = True
            file, line = p.guards[unmet.k][2]
            warnings.warn(f"{self.name}: {WARN_AT} paths of this function have been traced, the last because of what "
                          f"Python saw at {file}:{line}. Each new one costs a trace. Where values there decide nothing, "
                          f"use np.where and its like in place of if, and keep int() and float() out",
                          RuntimeWarning)
        return out

    cdef int use(self, Paths paths, Program p) except -1:
        """Let this program be the first that is tried."""
        self.last = p
        programs = [p] + [q for q in paths.programs if q is not p]
        paths.programs = programs
        return 0

    cdef int enter(self, object key, Paths paths) except -1:
        cdef Form before = self.newest
        self.newest = paths.arguments
        if len(self.signatures) >= self.limit:
            self.signatures.pop(next(iter(self.signatures)), None)
        self.signatures[key] = paths
        self.traced += 1
        if self.traced == WARN_AT and not self.warned:
            self.warned = True
            different = unlike_call(before, paths.arguments)
            warnings.warn(f"{self.name}: {WARN_AT} signatures of this function have been traced, the last because "
                          f"{different}. Each new one costs a trace. Whole numbers, truth values and objects are fixed when "
                          f"a function is traced; pass as floats what varies and is computed with",
                          RuntimeWarning)
        return 0
