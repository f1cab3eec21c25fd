"""Sweeps through loops.

With f the loop as a function of its arguments x, f~(x, t) = (f(x), f'(x) t) the loop of both recurrences, and
R(x, c) = f'(x)^T c its reversal:

    push of f        f~
    pull of f        R
    push of R        d/de R(x + e t, c + e d) = (f''(x) t)^T c + f'(x)^T d: of the pull of f~ with cotangents (d, c), the part for x
    pull of R        of g: for c, f'(x) g, the push of f along g; for x, (f''(x) g)^T c: of the pull of f~, at (x, g), with (0, c)

So derivatives of every order are loops and reversals of loops, whatever stores their states.
"""
import numpy as np

cimport numpy as cnp

from fasttape._core.body cimport program_of
from fasttape._core.calls cimport emit_call, input_like
from fasttape._core.frozen cimport splice
from fasttape._core.program cimport Program
from fasttape._core.pull cimport cotangent, give
from fasttape._core.push cimport push, push_begin
from fasttape._core.recompute cimport run_pull
from fasttape._core.record cimport *
from fasttape._core.scan cimport *
from fasttape._core.step_data cimport set_data
from fasttape._core.sweep cimport Sweep, fit, lift_shape
from fasttape._core.trace cimport begin_pull, current, enter_own, leave

cnp.import_array()

# ---- what depends on what

cdef list reached(Program p, marked):
    """Which results of a body depend, by a partial, on these of its arguments."""
    cdef Tape tape = p.record.tape()
    cdef cnp.ndarray array = np.zeros(tape.t.n, np.uint8)
    cdef uint8_t *mark = <uint8_t *>cnp.PyArray_DATA(array)
    cdef int64_t i, k
    cdef ft_entry *e
    cdef Reads o
    for k in marked:
        mark[k] = True
    for i in range(p.n_input, tape.t.n):
        e = tape.t.entry + i
        if e.dtype >= FT_B64:
            continue
        if group_of(tape, <int32_t>i) != i:
            mark[i] = mark[group_of(tape, <int32_t>i)]
            continue
        o = reads_of(tape, e)
        for k in range(o.n):
            if o.at[k * o.step] >= 0 and mark[o.at[k * o.step]] and (e.op >= FT_N_MAP or active_operands[e.op] >> k & 1):
                mark[i] = True
    return [mark[p.record_outputs[k]] for k in range(p.n_output)]


cdef tuple spread_of(Scan f, moving):
    """Which of the carry, and which stacked results, come to depend on these arguments on the way."""
    cdef int64_t c = f.n_constant, k
    cdef set marked = set(moving)
    while True:
        results = reached(f.body, marked)
        more = {c + k for k in range(f.n_carry) if results[k]} - marked
        if not more:
            carry = tuple([k for k in range(f.n_carry) if c + k in marked])
            return carry, tuple([k for k in range(f.n_y) if results[f.n_carry + k]])
        marked |= more


# ---- axes: a sweep has its lanes first, a loop its steps

cdef int32_t steps_first(Tape tape, int64_t lanes, int32_t node) except -1:
    """Exchange the first two axes, where there are lanes. A node that is no view, so that it lies as it says."""
    cdef int axes[FT_MAX_DIMS]
    cdef int k
    if lanes == 0:
        return node
    for k in range(ndim_of(tape, node)):
        axes[k] = k
    axes[0], axes[1] = 1, 0
    return permute(tape, node, axes)


cdef int32_t lane_of(Tape tape, int32_t node, int64_t lane) except -1:
    """One lane of a stack."""
    cdef int64_t strides[FT_MAX_DIMS]
    cdef int64_t offset
    if shape_of(tape, node) == 0:
        raise AssertionError("a stack has an axis")
    layout(tape, node, strides, &offset)
    return region(tape, node, ndim_of(tape, node) - 1, dims_of(tape, node) + 1, strides + 1, offset + lane * strides[0])


cdef int32_t stack(Tape tape, list nodes) except -1:
    """Nodes of one shape along a new first axis."""
    cdef int64_t dims[FT_MAX_DIMS]
    cdef int64_t strides[FT_MAX_DIMS]
    cdef int32_t node = nodes[0], shape, view
    cdef int ndim = ndim_of(tape, node), k
    cdef int64_t n = len(nodes), size = size_of(tape, node), at, step = 1
    cdef int dtype = tape.t.entry[node].dtype
    for k in range(ndim):
        dims[1 + k] = dims_of(tape, node)[k]
    dims[0] = n
    for k in range(ndim - 1, -1, -1):
        strides[k] = step
        step *= dims[1 + k]
    shape = intern_shape(tape, ndim + 1, dims)
    at = new_args(tape, 1 + 2 * n)
    tape.t.args[at] = <int32_t>n
    for k in range(<int>n):
        view = intern_view(tape, shape, ndim, dims + 1, strides, k * size)
        tape.t.args[at + 1 + 2 * k] = nodes[k]
        tape.t.args[at + 2 + 2 * k] = view
    return emit(tape, OP_assemble, dtype, FT_ACTIVE, shape, 0, 0, <int32_t>at)


# ---- the pushed loop

cdef class Pushed:
    """A loop with the tangents of its arguments `moving`."""

    cdef int64_t place(self, Scan f, int64_t k):
        """Of an argument of f, which argument it is now."""
        if k < f.n_constant:
            return k
        k += len(self.constants)
        if k < f.n_constant + len(self.constants) + f.n_carry:
            return k
        return k + len(self.carry)


cdef Scan pushed_scan(Scan f, tuple constants, tuple carry, tuple xs, tuple ys, int64_t lanes):
    """The loop of both recurrences: its constants, carry and stacked arrays are f's, each followed by the tangents."""
    cdef Tape outer = current(), tape, old = f.body.record.tape()
    cdef Sweep s
    cdef int64_t c = f.n_constant, x = c + f.n_carry, k
    cdef int32_t node
    cdef list inputs, tangents, results, out
    key = "push", constants, carry, xs, ys, lanes
    if key in f.derived:
        return f.derived[key]
    tape = enter_own()
    try:
        s.start = 0
        s.lanes = lanes
        inputs, tangents = [], []
        for first, n, moving in ((0, c, constants), (c, f.n_carry, carry), (x, f.n_x, xs)):
            inputs += [input_like(tape, old, first + k, 0) for k in range(n)]
            tangents += [(first + k, input_like(tape, old, first + k, lanes)) for k in moving]
        n_input = tape.t.n
        for k, _ in tangents:
            tape.t.entry[<int32_t>inputs[k]].flags |= FT_ACTIVE
        results = splice(old, tape, inputs, f.body.record_outputs, f.body.n_output)
        s.end = tape.t.n
        push_begin(tape, 0, s.end)
        for k, node in tangents:
            tape.tangent[<int32_t>inputs[k]] = node
        push(tape, &s, 0, s.end)
        out = []
        for first, n, moving in ((0, f.n_carry, carry), (f.n_carry, f.n_y, ys)):
            out += results[first:first + n]
            for k in moving:
                node = tape.tangent[<int32_t>results[first + k]]
                if node < 0:
                    node = fill(tape, 0.0, tape.t.entry[<int32_t>results[first + k]].dtype, 0)
                out.append(fit(tape, lanes, node, shape_of(tape, results[first + k])))
        f.derived[key] = new_scan(program_of(tape, f"pushforward of {f.body.name}", n_input, out), c + len(constants),
                                  f.n_carry + len(carry), f.n_x + len(xs), f.length, f.go, f"pushforward of {f.name}", f.schedule, f.folder)
        (<Scan>f.derived[key]).shares = f.shares
    finally:
        leave(tape, outer)
    return f.derived[key]


cdef Pushed push_loop(Tape tape, Scan f, list nodes, dict tangents, int64_t lanes):
    """Append the pushed loop. Of the arguments, the nodes and the tangents of those that have one."""
    cdef Pushed p = Pushed.__new__(Pushed)
    cdef int64_t c = f.n_constant, x = c + f.n_carry, k
    cdef int32_t node
    p.carry, p.ys = spread_of(f, tangents)
    p.constants = tuple([k for k in range(c) if k in tangents])
    p.xs = tuple([k - x for k in range(x, f.n_input) if k in tangents])
    p.scan = pushed_scan(f, p.constants, p.carry, p.xs, p.ys, lanes)
    p.nodes = nodes[:c]
    for k in p.constants:
        p.nodes.append(fit(tape, lanes, tangents[k], shape_of(tape, nodes[k])))
    p.nodes += nodes[c:x]
    for k in p.carry:
        node = nodes[c + k]
        if c + k in tangents:
            p.nodes.append(fit(tape, lanes, tangents[c + k], shape_of(tape, node)))
        else:
            p.nodes.append(fill(tape, 0.0, tape.t.entry[node].dtype & 1, lift_shape(tape, lanes, shape_of(tape, node))))
    p.nodes += nodes[x:]
    for k in p.xs:
        p.nodes.append(steps_first(tape, lanes, fit(tape, lanes, tangents[x + k], shape_of(tape, nodes[x + k]))))
    p.first = emit_call(tape, p.scan, p.nodes)
    return p


cdef int push_through(Scan f, Tape tape, Sweep *s, int32_t i) except -1:
    cdef int64_t at = tape.t.entry[i].aux, k
    cdef list nodes = [tape.t.args[at + 2 + k] for k in range(f.n_input)]
    cdef int32_t node
    cdef Pushed p
    tangents = {k: tape.tangent[<int32_t>node] for k, node in enumerate(nodes) if node >= s.start and tape.tangent[<int32_t>node] >= 0}
    if not tangents:
        return 0
    p = push_loop(tape, f, nodes, tangents, s.lanes)
    for k, j in enumerate(p.carry):
        tape.tangent[i + <int32_t>j] = p.first + <int32_t>(f.n_carry + k)
    for k, j in enumerate(p.ys):
        node = p.first + <int32_t>(p.scan.n_carry + f.n_y + k)
        node = steps_first(tape, s.lanes, node)
        tape.tangent[i + <int32_t>(f.n_carry + j)] = node
    return 0


# ---- the reversal of a loop

cdef Reversal reversal_of(Scan f, tuple moving, tuple ys, int64_t lanes):
    """The reversal for these arguments, given cotangents of the carry and of these stacked results."""
    cdef Tape outer, tape, old
    cdef Reversal r
    cdef Sweep s
    cdef int64_t c = f.n_constant, x = c + f.n_carry, k
    cdef int32_t node
    cdef list inputs, carry, sums, stacks, results, of, parts
    key = "pull", moving, ys, lanes
    if key in f.derived:
        r = f.derived[key]
        f.data = r.data
        return r
    outer = current()
    old = f.body.record.tape()
    r = Reversal.__new__(Reversal)
    r.loop, r.lanes = f, lanes
    r.name = f"reversal of {f.name}"
    r.constants = tuple([k for k in moving if k < c])
    r.carry, _ = spread_of(f, moving)
    r.xs = tuple([k - x for k in moving if k >= x])
    r.ys = ys
    tape = enter_own()
    try:
        s.start = 0
        s.lanes = lanes
        inputs = [input_like(tape, old, k, 0) for k in range(f.n_input)]
        carry = [input_like(tape, old, c + k, lanes) for k in r.carry]
        sums = [input_like(tape, old, k, lanes) for k in r.constants]
        stacks = [input_like(tape, old, f.body.record_outputs[f.n_carry + <int64_t>k], lanes) for k in ys]
        n_input = tape.t.n
        of = [inputs[c + k] for k in r.carry] + [inputs[k] for k in r.constants] + [inputs[x + k] for k in r.xs]
        for node in of:
            tape.t.entry[node].flags |= FT_ACTIVE
        results = splice(old, tape, inputs, f.body.record_outputs, f.body.n_output)
        s.end = tape.t.n
        begin_pull(tape, &s, of)
        for k, node in zip(r.constants, sums):
            give(tape, &s, inputs[k], node)
        for k, node in zip(ys, stacks):
            give(tape, &s, results[f.n_carry + k], node)
        for k, node in zip(r.carry, carry):
            give(tape, &s, results[k], node)
        run_pull(tape, &s)
        set_data(r, tape, s.end, n_input, results, [cotangent(tape, &s, node) for node in of])
    finally:
        leave(tape, outer)
    parts = r.back.results()
    n = len(r.carry) + len(r.constants)
    r.sweep = Layout(parts[:n])
    r.outcome = parts[:n] + [stacked(f.length, part) for part in parts[n:]]
    r.n_input = f.n_input + 1 + n + len(ys)
    r.n_output = len(r.outcome)
    r.idle = []
    r.coded = {}
    f.derived[key] = r
    f.data = r.data
    return r


cdef int32_t cotangent_or_nothing(Tape tape, int64_t lanes, dict given, k, part) except -1:
    """The cotangent that is given for a value of this dtype and shape, or one that changes nothing when another is added
    to it."""
    cdef int32_t shape = shape_from(tape, part[1])
    if k in given:
        return fit(tape, lanes, given[k], shape)
    return fill(tape, -0.0, part[0], lift_shape(tape, lanes, shape))


cdef dict pull_loop(Tape tape, Scan f, list nodes, int32_t store, tuple moving, dict carry, dict ys, dict sums, int64_t lanes):
    """Append the reversal of a loop, which left a store. Of its arguments `moving`: the cotangents, those of constants
    added to `sums`."""
    cdef Reversal r = reversal_of(f, moving, tuple(sorted(ys)), lanes)
    cdef int64_t c = f.n_constant, x = c + f.n_carry, k
    cdef int32_t node, y
    cdef list parts = f.results(), constants = parts_of(f.body, 0, c)
    cdef list seeds = [cotangent_or_nothing(tape, lanes, carry, k, parts[k]) for k in r.carry]
    cdef dict out = {}
    seeds += [cotangent_or_nothing(tape, lanes, sums, k, constants[k]) for k in r.constants]
    for k in r.ys:
        node = cotangent_or_nothing(tape, lanes, ys, k, parts[f.n_carry + k])
        seeds.append(steps_first(tape, lanes, node))
    y = emit_call(tape, r, nodes + [store] + seeds)
    for k in r.carry:
        out[c + k] = y
        y += 1
    for k in r.constants:
        out[k] = y
        y += 1
    for k in r.xs:
        out[x + k] = y
        y += 1
    for k in r.xs:
        node = out[x + k]
        out[x + k] = steps_first(tape, lanes, node)
    return out


cdef int pull_through(Scan f, Tape tape, Sweep *s, int32_t i) except -1:
    cdef int64_t at = tape.t.entry[i].aux, k
    cdef list nodes = [tape.t.args[at + 2 + k] for k in range(f.n_input)]
    cdef int32_t node
    cdef tuple moving
    given = {k: tape.ct[i + k - s.start] for k in range(f.n_output - 1) if tape.ct[i + k - s.start] >= 0}
    if not given:
        return 0
    moving = tuple([k for k, node in enumerate(nodes) if node >= s.start and tape.active[node - s.start]])
    carry = {k: node for k, node in given.items() if k < f.n_carry}
    ys = {k - f.n_carry: node for k, node in given.items() if k >= f.n_carry}
    sums = {k: tape.ct[<int32_t>nodes[k] - s.start] for k in moving
            if k < f.n_constant and tape.ct[<int32_t>nodes[k] - s.start] >= 0}
    out = pull_loop(tape, f, [again(tape, node) for node in nodes], again(tape, i) + <int32_t>f.n_output - 1, moving, carry, ys,
                    sums, s.lanes)
    for k, node in out.items():
        if k < f.n_constant:
            tape.ct[<int32_t>nodes[k] - s.start] = node
    for k, node in out.items():
        if k >= f.n_constant:
            give(tape, s, nodes[k], node)
    return 0


def install():
    """Let sweeps go through loops."""
    global pull_scan, push_scan
    pull_scan = pull_through
    push_scan = push_through
