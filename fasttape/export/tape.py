"""A program's tape as export reads it: lists by entry, what each reads, what the results need, who reads a value last. It is
the tape that is run, as Program.save writes it."""
import functools
from typing import NamedTuple

import numpy as np

from fasttape._core import saved as _saved
from fasttape._core import vm as _vm

NAMES = _vm.names()
ARITY = {row[0]: row[1] for row in _vm.table()}
ENTRY = np.dtype([("op", "u1"), ("dtype", "u1"), ("flags", "u2"), ("shape", "i4"), ("a", "i4"), ("b", "i4"), ("aux", "i4")])
LOOP_OP = np.dtype([("op", "u1"), ("narrow", "u1"), ("unused", "u2"), ("a", "i4"), ("b", "i4"), ("c", "i4")])
LOAD, STORE, CAST = 253, 254, 255
STORED = 4                          # dtype of what a loop leaves to its reversal
EVER = 1 << 60                      # the last reader of a result
IN_PLACE = {"add_region", "update", "add_at", "set_at"}


class View(NamedTuple):
    base: tuple
    dims: tuple
    offset: int
    strides: tuple


class Loop(NamedTuple):
    """A loop of the optimiser (csrc/loop.h). Strides are in elements."""
    count: int
    constants: list
    next: list
    ops: list
    strides: list
    narrow: list
    streams: list
    first: list
    last: list


def contiguous(dims):
    out, step = [], 1
    for n in reversed(dims):
        out.append(step)
        step *= n
    return tuple(out[::-1])


@functools.cache
def size_of(dims):
    size = 1
    for n in dims:
        size *= n
    return size


def _shapes(numbers):
    out, at = [], 0
    while at < len(numbers):
        out.append(tuple(numbers[at + 1:at + 1 + numbers[at]]))
        at += 1 + numbers[at]
    return out


def _views(numbers, shapes):
    out, at = [], 0
    while at < len(numbers):
        dims = shapes[numbers[at + 1]]
        out.append(View(shapes[numbers[at]], dims, numbers[at + 2], tuple(numbers[at + 3:at + 3 + len(dims)])))
        at += 3 + len(dims)
    return out


def _loops(parts):
    out, at = [], dict.fromkeys(parts, 0)

    def take(name, n):
        at[name] += n
        return parts[name][at[name] - n:at[name]]

    for count, n_constant, n_carry, n_op, n_stream in parts["head"].tolist():
        constants, following = take("constants", n_constant).tolist(), take("next", n_carry).tolist()
        ops = [(op, narrow, (a, b, c)) for op, narrow, _, a, b, c in take("ops", n_op * LOOP_OP.itemsize).view(LOOP_OP).tolist()]
        strides, narrow = take("strides", n_stream).tolist(), take("narrow", n_stream).tolist()
        strides = [stride // (4 if small else 8) for stride, small in zip(strides, narrow, strict=True)]
        out.append(Loop(count, constants, following, ops, strides, narrow, take("streams", n_stream).tolist(),
                        take("first", n_carry).tolist(), take("last", n_carry).tolist()))
    return out


class Tape:
    """`outputs` are the nodes of the results, then of what guards look at."""

    def __init__(self, program):
        parts = _saved.program_out(program)
        run = parts["run"]
        table = run["entries"].view(ENTRY)
        self.n, self.n_input, self.n_result = run["n"], parts["n_input"], parts["n_result"]
        self.outputs = parts["outputs"].tolist()
        self.op = [NAMES[op] for op in table["op"].tolist()]
        self.dtype, self.narrow = table["dtype"].tolist(), (table["dtype"] & 1).tolist()
        self.a, self.b, self.aux = table["a"].tolist(), table["b"].tolist(), table["aux"].tolist()
        shapes = _shapes(run["shapes"].tolist())
        self.dims = [shapes[k] for k in table["shape"].tolist()]
        self.views, self.args = _views(run["views"].tolist(), shapes), run["args"].tolist()
        self.arrays, self.callees = run["arrays"], run["callees"]
        self.loops = _loops(run["loops"]) if run["loops"] is not None else []
        constants = iter(run["constants"].tolist())
        self.constant = {i: next(constants) for i in range(self.n) if self.op[i] == "constant"}
        self._needs()

    def head(self, i):
        """The first result of the loop or call that i is a result of, else i."""
        return i - self.a[i] if self.op[i] in ("loop", "program") else i

    def root(self, i):
        return self.a[i] if self.op[i] == "view" else i

    def is_store(self, i):
        return self.dtype[i] == STORED and self.op[i] == "program"

    def pieces(self, i):
        """Of what is assembled: pairs of a node, -1 for zeros, and a view."""
        at = self.args[self.aux[i] + 1:self.aux[i] + 1 + 2 * self.args[self.aux[i]]]
        return list(zip(at[::2], at[1::2], strict=True))

    def operands(self, i):
        """What an entry reads, -1 where a reversal is given nothing."""
        op, aux = self.op[i], self.aux[i]
        arity = ARITY.get(op)
        if arity is not None:
            return [self.a[i], self.b[i], aux][:arity]
        if op in ("input", "constant"):
            return []
        if op in ("matmul", "take", "put_add") or op in IN_PLACE:
            return [self.a[i], self.b[i]]
        if op == "assemble":
            return [node for node, _ in self.pieces(i) if node >= 0]
        if op == "pack":
            return self.args[aux + 1:aux + 1 + self.args[aux]]
        if op in ("loop", "program"):
            return self.args[aux + 2:aux + 2 + self.args[aux + 1]]
        if op in ("cast", "view", "get", "pad", "sum", "max", "min"):
            return [self.a[i]]
        raise NotImplementedError(f"no C is written for {op!r}")

    def layout(self, i):
        """Offset and strides, in elements of its root, of an array."""
        if self.op[i] == "view":
            view = self.views[self.aux[i]]
            return view.offset, view.strides
        return 0, contiguous(self.dims[i])

    def is_contiguous(self, i):
        strides, dims = self.layout(i)[1], self.dims[i]
        return size_of(dims) <= 1 or all(n == 1 or s == step for n, s, step in zip(dims, strides, contiguous(dims), strict=True))

    def _needs(self):
        """What the results need, by entry; `last` reader of each root, an entry or EVER."""
        self.needed, self.last = bytearray(self.n), [-1] * self.n
        self.kept = set()                       # stores that a reversal asks for
        for i in self.outputs:
            self.needed[self.head(self.root(i))], self.last[self.root(i)] = 1, EVER
        for i in range(self.n - 1, -1, -1):
            if not self.needed[i] or self.head(i) != i:
                continue
            for node in self.operands(i):
                if node < 0:
                    continue
                root = self.root(node)
                if self.is_store(root):
                    self.kept.add((root, i))
                    continue
                self.needed[self.head(root)] = 1
                self.last[root] = max(self.last[root], i)
