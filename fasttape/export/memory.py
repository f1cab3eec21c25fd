"""Where arrays lie: in the results, or in the workspace, given back after their last reader. Doubles and floats have each their
own part of it, so that no memory is read as what it was not written as."""
import bisect

from fasttape.export.tape import EVER, IN_PLACE, size_of


class Pool:
    """First fit among what has been given back. Offsets in elements."""

    def __init__(self):
        self.size, self.free = 0, []            # (offset, size), in order, none beside another

    def take(self, n):
        n = max(n, 1)
        for k, (at, size) in enumerate(self.free):
            if size >= n:
                self.free[k:k + 1] = [(at + n, size - n)] if size > n else []
                return at
        at = self.size
        if self.free and sum(self.free[-1]) == at:
            at, _ = self.free.pop()
        self.size = at + n
        return at

    def give(self, at, n):
        n = max(n, 1)
        k = bisect.bisect(self.free, (at, n))
        if k < len(self.free) and self.free[k][0] == at + n:
            n += self.free.pop(k)[1]
        if k and sum(self.free[k - 1]) == at:
            k -= 1
            at, n = self.free[k][0], self.free[k][1] + n
            self.free.pop(k)
        self.free.insert(k, (at, n))


def may_be_in_place(t, i):
    """Whether entry i may change its operand where it lies, being the last to read it."""
    a = t.a[i]
    return t.op[a] not in ("view", "input") and t.last[a] == i and (t.op[i] in ("add_at", "set_at") or t.root(t.b[i]) != a)


class Memory:
    """Of each array that is computed, the memory: that of the first of those which are changed into it."""

    def __init__(self, t, result_names):
        self.t, self.doubles, self.floats, self.calls, self.slots = t, Pool(), Pool(), 0, 0
        self.first = {}                         # entry -> the one whose memory it has
        self.result = {}                        # first -> the name of a result that it is
        self.at = {}                            # first -> offset
        for i in range(t.n):
            if t.needed[i] and t.op[i] in IN_PLACE and may_be_in_place(t, i):
                self.first[i] = self.first.get(t.a[i], t.a[i])
        for i, name in zip(t.outputs, result_names, strict=False):
            first = self.of(i)
            if name and t.dims[i] and t.op[i] not in ("view", "input") and first not in self.result:
                self.result[first] = name

    def of(self, i):
        return self.first.get(i, i)

    def in_place(self, i):
        return i in self.first

    def pool(self, narrow):
        return self.floats if narrow else self.doubles

    def place(self, i):
        """Let an array begin to be."""
        if i not in self.first and i not in self.result:
            self.at[i] = self.pool(self.t.narrow[i]).take(size_of(self.t.dims[i]))

    def release(self, i):
        """An array has had its last reader."""
        first = self.of(i)
        if first in self.at and not any(self.t.last[k] == EVER for k in (i,)):
            self.pool(self.t.narrow[first]).give(self.at[first], size_of(self.t.dims[first]))

    # the workspace: doubles, floats, numbers that parts hand on, what calls take

    def after_arrays(self):
        return self.doubles.size + (self.floats.size + 1) // 2

    def words(self):
        """Doubles that the function needs, its calls included."""
        return self.after_arrays() + self.slots + self.calls

    def pointer(self, name, at, narrow):
        """The declaration of a pointer into it."""
        if narrow:
            return f"float *const {name} = (float *)(void *)(work + {self.doubles.size}) + {at};"
        return f"double *const {name} = work + {at};"

    def declaration(self, first, name):
        return self.pointer(name, self.at[first], self.t.narrow[first])

    def slot_at(self, k):
        return self.after_arrays() + k

    def call_place(self):
        return f"work + {self.after_arrays() + self.slots}"
