"""Checkpoints: a region of a trace that is forgotten, and recorded again when the pull reaches it.

The region is recorded on a tape of its own. The first time it runs in pieces and keeps only its
outputs; on the outer tape it is one `call` entry per output. The pull through it records it once
more, from the same inputs, and pulls through that. A value of the outer trace that the function uses
without taking it as an argument is imported: it becomes an input too, the k-th import of the second
recording being that of the first.

Where derivatives of derivatives are wanted (a transform inside another), in a trace that is kept, and where the
products of matrices are not to be forgotten, the region stays on the outer tape, marked as a segment that a pull
computes again (recompute.pyx).
"""
from libc.string cimport memcpy

from fasttape._core.array cimport Array
from fasttape._core.plan cimport evaluate
from fasttape._core.recompute cimport run_pull
from fasttape._core.record cimport *
from fasttape._core.pull cimport cotangent, give
from fasttape._core.sweep cimport Sweep
from fasttape._core.trace cimport begin_pull, current, enter_own, leave, output_node
from fasttape._core.tracer cimport force, node_of, wrap

from fasttape._core import recompute, tracer


cdef class Region:
    cdef object f
    cdef tuple args                 # with None where the argument is traced
    cdef dict kwargs
    cdef list nodes                 # on the outer tape: what the traced arguments stand for, each once
    cdef list places                # of the traced arguments: position, which of the nodes
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


cdef int32_t unknown(Tape tape, Tape outer, int32_t node) except -1:
    """An input of `tape` that stands for a node of the outer tape, whatever its value."""
    cdef ft_entry e = outer.t.entry[node]
    if e.op == OP_constant:
        return constant(tape, outer.t.val[node].f, e.dtype)
    return emit(tape, OP_input, e.dtype, e.flags & (FT_ACTIVE | FT_WEAK), borrow_shape(tape, outer, e.shape), 0, 0, 0)


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
    cdef int32_t node, node_of_parent
    cdef Array y
    while outer is not None and outer is not x.tape:
        outer = outer.parent
    if outer is None:
        raise tracer.TraceError("fasttape: values of two different traces were combined; call the inner transform "
                                "with the outer trace's values as arguments")
    if tape.parent is not x.tape:
        x = import_value(tape.parent, x)
    node = owner(tape.parent, node_of(x))
    if node not in tape.imports:        # the k-th import of a second recording is that of the first
        if tape.replay is not None:
            if len(tape.imported) >= len(tape.replay):
                unlike_before()
            tape.imported.append(tape.replay[len(tape.imported)])
        else:
            tape.imported.append(node)
        node_of_parent = <int32_t>tape.imported[len(tape.imported) - 1]
        y = wrap(tape, unknown(tape, tape.parent, node_of_parent) if tape.bodily else lend(tape, tape.parent, node_of_parent))
        y.lent = True
        tape.imports[node] = y
    return tape.imports[node]


tracer.importer = import_value


cdef int unlike_before() except -1:
    raise RuntimeError("checkpoint: the function did something else when it was run again for the backward sweep; "
                       "it must depend on its arguments alone")


cdef object record(Tape tape, Tape outer, Region r, list inputs):
    """Run the region's function on its own tape. `inputs` receives a tracer for each of r.nodes."""
    cdef list args = list(r.args)
    cdef Array x
    cdef int place
    tape.parent = outer
    tape.imports = {}
    tape.imported = []
    for node in r.nodes:
        x = wrap(tape, lend(tape, outer, node))
        x.lent = True
        inputs.append(x)
        tape.imports[node] = x
    for place, k in r.places:
        args[place] = inputs[k]
    return r.f(*args, **r.kwargs)


cdef object in_place(f, tuple args, dict kwargs, Tape tape, bint keeps_products):
    """f(*args), recorded as a segment that a pull will compute again (recompute.pyx)."""
    cdef int64_t start = tape.t.n
    y = f(*args, **kwargs)
    if start < tape.t.n and not tape.forgets:
        tape.recomputed.append((start, tape.t.n, keeps_products))
    return y


def call(f, tuple args, dict kwargs, bint keeps_products):
    """f(*args), recorded as a checkpointed region."""
    cdef Tape outer = current(), tape
    cdef Region r
    cdef list results, inputs = []
    cdef int32_t y
    cdef int k
    if outer is None or outer.forgets:
        return f(*args, **kwargs)
    if keeps_products or outer.depth != 1 or not outer.reversing:
        return in_place(f, args, kwargs, outer, keeps_products)
    r = Region.__new__(Region)
    r.f = f
    r.kwargs = kwargs
    r.nodes = []
    r.places = []
    for k, x in enumerate(args):
        if isinstance(x, Array):
            y = owner(outer, node_of(x))
            if y not in r.nodes:
                r.nodes.append(y)
            r.places.append((k, r.nodes.index(y)))
    r.args = tuple([None if isinstance(x, Array) else x for x in args])
    tape = enter_own()
    try:
        tape.forgets = True
        result = record(tape, outer, r, inputs)
        tape.forgets = False
        results = list(result) if isinstance(result, (tuple, list)) else [result]
        r.outputs = [k for k, y_ in enumerate(results) if isinstance(y_, Array)]
        nodes = [output_node(tape, results[k], "checkpoint") for k in r.outputs]    # may import, which records outside
        r.imported = tape.imported
        r.first = <int32_t>outer.t.n
        outer.regions.append(r)
        made = [take_over(outer, tape, y, OP_call, tape.t.entry[<int32_t>y].flags & FT_ACTIVE,
                          <int32_t>(len(outer.regions) - 1)) for y in nodes]
        for k, y in zip(r.outputs, made):
            results[k] = wrap(outer, y)
        inputs.clear()
    finally:
        leave(tape, outer)
    if isinstance(result, tuple):
        return tuple(results) if type(result) is tuple else type(result)(*results)
    return results if isinstance(result, list) else results[0]


cdef int32_t lend_cotangent(Tape tape, Tape outer, Sweep *so, int32_t node) except -1:
    """A node of `tape` with a cotangent of the outer pull."""
    cdef int32_t ct = owner(outer, cotangent(outer, so, node))
    outer.ct[node - so.start] = ct
    force(outer, ct)
    return lend(tape, outer, ct)


def pull_through(Tape outer, int64_t i, int64_t start, int64_t end, int64_t lanes):
    """Pull through the region whose `call` entry is i: at its first entry, all cotangents are known."""
    cdef Region r = outer.regions[outer.t.entry[i].aux]
    cdef Sweep so, s
    cdef Tape tape
    cdef list nodes, inputs = [], targets, made
    cdef int32_t node, target
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
        tape.replay = r.imported
        s.start = 0
        result = record(tape, outer, r, inputs)
        tape.reversing = False
        results = list(result) if isinstance(result, (tuple, list)) else [result]
        if [k for k, y_ in enumerate(results) if isinstance(y_, Array)] != r.outputs:
            unlike_before()
        made = [output_node(tape, results[k], "checkpoint") for k in r.outputs]
        if len(tape.imported) != len(r.imported):
            unlike_before()
        targets = r.nodes + r.imported
        nodes = [(<Array>x).node for x in inputs]
        nodes += [(<Array>x).node for x in list(tape.imports.values())[len(r.nodes):]]
        s.end = tape.t.n
        s.lanes = lanes
        begin_pull(tape, &s, nodes)
        for node, target in zip(nodes, targets):    # go on adding where the outer pull stands
            if target >= start and outer.active[target - start] and outer.ct[target - start] >= 0:
                give(tape, &s, node, lend_cotangent(tape, outer, &so, target))
        for k in range(n):
            if cts[k] >= 0:
                give(tape, &s, made[k], lend_cotangent(tape, outer, &so, <int32_t>(i + k)))
        run_pull(tape, &s)
        for node, target in zip(nodes, targets):
            if target < start or not outer.active[target - start] or tape.ct[node] < 0:
                continue
            outer.ct[target - start] = take_over(outer, tape, cotangent(tape, &s, node), OP_input, 0, 0)
        inputs.clear()
    finally:
        leave(tape, outer)


recompute.pull_call = pull_through
