"""Checkpoints: a region of a trace that is forgotten, and recorded again when the pull reaches it.

The region is recorded on a tape of its own. The first time it runs in pieces and keeps only its
outputs; on the outer tape it is one `call` entry per output. The pull through it records it once
more, from the same inputs, and pulls through that. A value of the outer trace that the function uses
without taking it as an argument is imported: it becomes an input too, the k-th import of the second
recording being that of the first.

Where derivatives of derivatives are wanted (a transform inside another), the region is recorded in
place, forgetting nothing.
"""
import numpy as np

from cpython.ref cimport PyObject
from libc.string cimport memcpy

from fasttape._core.plan cimport evaluate
from fasttape._core.record cimport *
from fasttape._core.sweep cimport Sweep, cotangent, give, lift_shape
from fasttape._core.trace cimport begin_pull, current, enter_own, leave, output_node, run_pull
from fasttape._core.tracer cimport Array, force, node_of, wrap

from fasttape._core import trace, tracer


cdef class Region:
    cdef object f
    cdef tuple args                 # with None where the argument is traced
    cdef dict kwargs
    cdef list places, nodes         # of the traced arguments: position, node on the outer tape
    cdef list imported              # nodes on the outer tape
    cdef int32_t first              # the first of its `call` entries
    cdef list outputs               # position of each call entry's value among the results


cdef int32_t lend(Tape tape, Tape outer, int32_t node) except -1:
    """An active input of `tape` with the value of a computed node of the outer tape, not copied."""
    cdef int32_t x
    node = owner(outer, node)
    force(outer, node)
    x = emit(tape, OP_input, outer.t.entry[node].dtype, FT_DONE | (outer.t.entry[node].flags & FT_ACTIVE),
             borrow_shape(tape, outer, outer.t.entry[node].shape), 0, 0, 0)
    tape.t.val[x] = outer.t.val[node]
    return x


cdef int32_t borrow_shape(Tape tape, Tape outer, int32_t shape) except -1:
    return intern_shape(tape, outer.t.shape[shape].ndim, outer.t.dims + outer.t.shape[shape].at)


cdef int32_t take_over(Tape tape, Tape inner, int32_t node, int op, int flags, int32_t aux) except -1:
    """An entry of `tape` with a copy of a computed node of the inner tape."""
    cdef ft_entry e
    cdef int32_t y
    cdef int64_t size
    node = owner(inner, node)
    evaluate(inner, &node, 1)
    e = inner.t.entry[node]
    y = emit(tape, op, e.dtype, flags | FT_DONE, borrow_shape(tape, inner, e.shape), 0, 0, aux)
    if e.shape == 0:
        tape.t.val[y] = inner.t.val[node]
    else:
        size = inner.t.shape[e.shape].size * itemsize(e.dtype)
        tape.t.val[y].p = take_buffer(tape, size)
        tape.t.entry[y].flags |= FT_OWNED
        memcpy(tape.t.val[y].p, inner.t.val[node].p, size)
    return y


def import_value(Tape tape, Array x):
    """A value of an enclosing trace, used in a checkpointed region that does not take it as argument."""
    cdef Tape outer = tape.parent
    cdef int32_t node
    while outer is not None and outer is not x.tape:
        outer = outer.parent
    if outer is None:
        raise tracer.TraceError("fasttape: values of two different traces were combined; call the inner transform "
                                "with the outer trace's values as arguments")
    if tape.parent is not x.tape:
        x = import_value(tape.parent, x)
    node = owner(tape.parent, node_of(x))
    if node not in tape.imports:
        tape.imports[node] = wrap(tape, lend(tape, tape.parent, node))
        tape.imported.append(node)
    return tape.imports[node]


tracer.importer = import_value


cdef object record(Tape tape, Tape outer, Region r, list inputs):
    """Run the region's function on its own tape."""
    cdef list args = list(r.args)
    tape.parent = outer
    tape.imports = {}
    tape.imported = []
    for place, node in zip(r.places, r.nodes):
        x = wrap(tape, lend(tape, outer, node))
        inputs.append(x)
        args[place] = x
    return r.f(*args, **r.kwargs)


def call(f, tuple args, dict kwargs):
    """f(*args), recorded as a checkpointed region where the trace allows it."""
    cdef Tape outer = current(), tape
    cdef Region r
    cdef list results, inputs = []
    cdef int32_t y
    cdef int64_t at
    cdef int k
    if outer is None or outer.depth != 1 or not outer.reversing:
        return f(*args, **kwargs)
    r = Region.__new__(Region)
    r.f = f
    r.kwargs = kwargs
    r.places = [k for k, x in enumerate(args) if isinstance(x, Array)]
    r.nodes = [owner(outer, node_of(args[k])) for k in r.places]
    r.args = tuple([None if isinstance(x, Array) else x for x in args])
    tape = enter_own()
    try:
        tape.forgets = True
        result = record(tape, outer, r, inputs)
        tape.forgets = False
        results = list(result) if isinstance(result, (tuple, list)) else [result]
        r.outputs = [k for k, y_ in enumerate(results) if isinstance(y_, Array)]
        r.imported = tape.imported
        r.first = <int32_t>outer.t.n
        outer.regions.append(r)
        made = []
        for k in r.outputs:
            y = output_node(tape, results[k], "checkpoint")
            made.append(take_over(outer, tape, y, OP_call, tape.t.entry[y].flags & FT_ACTIVE, <int32_t>(len(outer.regions) - 1)))
        for k, y in zip(r.outputs, made):
            results[k] = wrap(outer, y)
        inputs.clear()
    finally:
        leave(tape, outer)
    if isinstance(result, tuple):
        return tuple(results) if type(result) is tuple else type(result)(*results)
    return results if isinstance(result, list) else results[0]


def pull_through(Tape outer, int64_t i, int64_t start, int64_t end, int64_t lanes):
    """Pull through the region whose `call` entry is i: at its first entry, all cotangents are known."""
    cdef Region r = outer.regions[outer.t.entry[i].aux]
    cdef Sweep so, s
    cdef Tape tape
    cdef list nodes, inputs = [], targets
    cdef int32_t ct, g, node, old
    cdef int k
    cdef int64_t n = len(r.outputs)
    if i != r.first:
        return
    so.start = start
    so.end = end
    so.lanes = lanes
    cts = [outer.ct[i - start + k] for k in range(n)]
    if max(cts) < 0:
        return
    tape = enter_own()
    try:
        tape.reversing = True
        s.start = 0
        result = record(tape, outer, r, inputs)
        tape.reversing = False
        results = list(result) if isinstance(result, (tuple, list)) else [result]
        if [k for k, y_ in enumerate(results) if isinstance(y_, Array)] != r.outputs or len(tape.imported) != len(r.imported):
            raise RuntimeError("checkpoint: the function did something else when it was run again for the backward sweep; "
                               "it must depend on its arguments alone")
        targets = r.nodes + r.imported
        nodes = [(<Array>x).node for x in inputs] + [(<Array>tape.imports[node]).node for node in tape.imported]
        s.end = tape.t.n
        s.lanes = lanes
        begin_pull(tape, &s, nodes)
        for k in range(n):
            if cts[k] < 0:
                continue
            ct = cotangent(outer, &so, <int32_t>(i + k))
            ct = owner(outer, ct)
            force(outer, ct)
            g = lend(tape, outer, ct)
            give(tape, &s, output_node(tape, results[r.outputs[k]], "checkpoint"), g)
        run_pull(tape, &s)
        inputs.clear()
        for k in range(len(nodes)):
            if tape.ct[nodes[k] - s.start] < 0 or targets[k] < start:
                continue
            g = take_over(outer, tape, cotangent(tape, &s, nodes[k]), OP_input, 0, 0)
            node = targets[k]
            old = outer.ct[node - start]
            give(outer, &so, node, g)
            if old >= 0 and outer.ct[node - start] != old:
                ct = outer.ct[node - start]
                evaluate(outer, &ct, 1)
    finally:
        leave(tape, outer)


trace.pull_call = pull_through
