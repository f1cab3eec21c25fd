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

from libc.string cimport memset

cimport numpy as cnp

from fasttape._core.body cimport program_of
from fasttape._core.calls cimport emit_call, input_like
from fasttape._core.frozen cimport find_varying, freeze, splice
from fasttape._core.program cimport Program
from fasttape._core.pull cimport cotangent, give
from fasttape._core.push cimport push, push_begin
from fasttape._core.recompute cimport run_pull
from fasttape._core.record cimport *
from fasttape._core.scan cimport *
from fasttape._core.sweep cimport Sweep, fit, lift_shape
from fasttape._core.trace cimport begin_pull, current, enter_own, leave

cnp.import_array()

cdef enum:
    MUCH = 1 << 28                  # bytes of data of a loop that are not kept to save time
    QUICK_OPS = 2                   # that make again what is not kept
    FAR = 1 << 20

cdef set CHEAP = {OP_add, OP_subtract, OP_multiply, OP_divide, OP_negative, OP_positive, OP_absolute, OP_square, OP_scale,
                  OP_scale_both, OP_add_scaled, OP_ratio, OP_where, OP_maximum, OP_minimum, OP_less, OP_less_equal, OP_greater,
                  OP_greater_equal, OP_equal, OP_not_equal}

cdef set QUICK = CHEAP - {OP_divide, OP_ratio}

cdef int64_t last_tag = 0            # of the data of reversals, each its own


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
    cdef Scan scan
    cdef tuple constants, carry, xs, ys     # which of them have tangents
    cdef list nodes                         # what it was called with
    cdef int32_t first                      # its first result on the tape

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


# ---- what a step leaves for its reversal

cdef list data_of(Tape tape, Scan f, int64_t end, list outputs):
    """What the pull, the entries from `end` on, reads of the primal: nodes, those of the carry included."""
    cdef cnp.ndarray array = np.zeros(tape.t.n, np.uint8), marks = np.zeros(tape.t.n, np.uint8)
    cdef uint8_t *wanted = <uint8_t *>cnp.PyArray_DATA(array)
    cdef uint8_t *varies = <uint8_t *>cnp.PyArray_DATA(marks)
    cdef int64_t i, k, c = f.n_constant, x = f.n_constant + f.n_carry
    cdef int32_t node
    cdef Reads o
    cdef set out = set()
    memset(varies, 1, f.n_input)
    find_varying(tape, varies)
    for node in outputs:
        wanted[root_of(tape, node)] = True
        if root_of(tape, node) < end:
            out.add(root_of(tape, node))
    for i in range(tape.t.n - 1, end - 1, -1):
        if not wanted[i]:
            continue
        wanted[group_of(tape, <int32_t>i)] = True
        o = reads_of(tape, tape.t.entry + i)
        for k in range(o.n):
            node = o.at[k * o.step]
            if node < 0 or is_store(tape, node):
                continue
            node = root_of(tape, node)
            wanted[node] = True
            if node < end:
                out.add(node)
    return [node for node in sorted(out) if varies[node] and (node >= f.n_input or c <= node < x)]


cdef list without_derived(Tape tape, Scan f, int64_t end, list nodes):
    """Of the data of a step, what the rest of it cannot be made from, with the constants and slices at hand, by a few ops
    that take less time than reading what they make."""
    cdef cnp.ndarray array = np.full(end, FAR, np.int64)
    cdef int64_t *ops = <int64_t *>cnp.PyArray_DATA(array)
    cdef int64_t i, k, n, x = f.n_constant + f.n_carry
    cdef ft_entry *e
    cdef Reads o
    cdef set wanted = set(nodes)
    cdef list out = []
    for i in range(end):
        e = tape.t.entry + i
        if i < f.n_input:
            n = FAR if f.n_constant <= i < x else 0
        elif e.op == OP_constant or e.op == OP_view or e.op < FT_N_MAP and e.op in QUICK:
            n = e.op != OP_constant and e.op != OP_view
            o = reads_of(tape, e)
            for k in range(o.n):
                n += ops[o.at[k * o.step]]
        else:
            n = FAR
        if n > QUICK_OPS and i in wanted:
            out.append(i)
            n = 0
        ops[i] = min(n, FAR)
    return out


cdef Program frozen_program(Tape tape, str name, list inputs, list outputs):
    """The program of these outputs, of these nodes."""
    cdef cnp.ndarray at = np.array(inputs + outputs, np.int32)
    cdef int32_t *nodes = <int32_t *>cnp.PyArray_DATA(at)
    cdef int64_t n = len(inputs), m = len(outputs), k
    cdef Tape frozen = freeze(tape, nodes, n, nodes + n, m)
    return program_of(frozen, name, n, [nodes[n + k] for k in range(m)])


cdef Layout layout_of(Tape tape, list nodes):
    cdef int64_t k
    return Layout([(tape.t.entry[<int32_t>k].dtype, shape_tuple(tape, tape.t.entry[<int32_t>k].shape)) for k in nodes])


cdef int64_t fixed_size(Scan f, Tape tape, int64_t n_input, list outputs) except -1:
    """Bytes that a reversal takes whatever its schedule: the records that take turns, and, at most, the values of a step
    and its pull, each once."""
    cdef int64_t total = 2 * f.state.size + 2 * layout_of(tape, outputs).size, i
    for i in range(n_input, tape.t.n):
        if tape.t.entry[i].op != OP_view and tape.t.entry[i].shape:
            total += size_of(tape, <int32_t>i) * itemsize(tape.t.entry[i].dtype)
    return total


cdef bint worth_keeping(Scan f, Tape tape, list nodes, Layout layout) except -1:
    """Where everything is stored: whether the data of a step takes less time to keep than to compute again from the
    state, by a rule of thumb: what a sine takes, four numbers are written and read again in."""
    cdef cnp.ndarray array = np.zeros(tape.t.n, np.uint8)
    cdef uint8_t *wanted = <uint8_t *>cnp.PyArray_DATA(array)
    cdef int64_t i, k, work = 0
    cdef ft_entry *e
    cdef Reads o
    if layout.size > 4 * f.state.size and f.length * layout.size > MUCH:
        return False
    for i in nodes:
        wanted[i] = True
    for i in range(tape.t.n - 1, f.n_input - 1, -1):
        if not wanted[i]:
            continue
        e = tape.t.entry + i
        if e.op == OP_matmul:
            work += size_of(tape, <int32_t>i) * dims_of(tape, e.a)[ndim_of(tape, e.a) - 1] // 4
        elif e.op < FT_N_MAP and e.op not in CHEAP:
            work += 4 * size_of(tape, <int32_t>i)
        o = reads_of(tape, e)
        for k in range(o.n):
            if o.at[k * o.step] >= 0:
                wanted[o.at[k * o.step]] = True
    return work > layout.size // 8


cdef int set_data(Reversal r, Tape tape, int64_t end, int64_t n_input, list results, list outputs) except -1:
    """The programs of a reversal: `tape` holds a step and its pull, whose first nodes are the loop's and the seeds."""
    cdef Scan f = r.loop
    cdef Data d = Data.__new__(Data)
    cdef int64_t c = f.n_constant, x = f.n_constant + f.n_carry, k
    cdef list nodes, inputs, seeds = list(range(f.n_input, n_input)), steps = list(range(f.n_input))
    global last_tag
    last_tag += 1
    d.tag = last_tag
    r.data = d
    name = f"pullback of {f.body.name}"
    nodes = without_derived(tape, f, end, data_of(tape, f, end, outputs))
    d.layout = layout_of(tape, nodes)
    d.schedule = f.schedule
    if hasattr(d.schedule, "choose"):
        d.schedule = d.schedule.choose(f.length if f.go < 0 else None, f.state.size, d.layout.size,
                                       fixed_size(f, tape, n_input, outputs))
        d.light = d.schedule is None
    elif d.schedule is None:
        d.light = f.go >= 0 or numbers_alone(f.body) or not worth_keeping(f, tape, nodes, d.layout)
    if d.light:
        r.ports = f.inputs()
        r.back = program_of(tape, name, n_input, outputs)
        return 0
    d.keep_slices = frozen_program(tape, f.body.name, steps, results + nodes)
    d.keep = d.keep_slices if f.n_y == 0 else frozen_program(tape, f.body.name, steps, results[:f.n_carry] + nodes)
    inputs = list(range(c)) + nodes + list(range(x, f.n_input)) + seeds
    steps = f.inputs()
    r.ports = steps[:c] + [record_port(FT_P_DATA, d.layout, k) for k in range(<int64_t>len(nodes))] + steps[x:]
    r.back = frozen_program(tape, name, inputs, outputs)
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


# ---- sweeps through a reversal

cdef class Reversed:
    """A call of a reversal: what stands where among its arguments and results."""
    cdef Reversal r
    cdef Scan f
    cdef list nodes                 # its arguments
    cdef list values                # where a pull reads them
    cdef int32_t first              # its first result
    cdef int64_t carry, sums, ys    # the first of these among the arguments

    def __init__(self, Reversal r, Tape tape, int32_t i):
        cdef int64_t at = tape.t.entry[i].aux + 2, k
        self.r, self.f, self.first = r, r.loop, i
        self.nodes = [tape.t.args[at + k] for k in range(r.n_input)]
        self.values = [again(tape, k) if k >= 0 else k for k in self.nodes]
        self.carry = r.loop.n_input + 1
        self.sums = self.carry + len(r.carry)
        self.ys = self.sums + len(r.constants)

    cdef list seeds(self, Tape tape, int64_t lane):
        """Cotangents that it was given: of the carry and of stacked results; one of its lanes, if it has any."""
        cdef int32_t node
        carry = {j: self.lane(tape, self.values[self.carry + k], lane) for k, j in enumerate(self.r.carry)}
        ys = {}
        for k, j in enumerate(self.r.ys):
            node = self.values[self.ys + k]
            node = steps_first(tape, self.r.lanes, node)
            ys[j] = self.lane(tape, node, lane)
        return [carry, ys]

    cdef int32_t lane(self, Tape tape, int32_t node, int64_t lane) except -1:
        return lane_of(tape, node, lane) if self.r.lanes else node

    cdef dict results_by_argument(self):
        """Argument of the loop -> place of its cotangent among the results."""
        cdef dict out = {}
        cdef int64_t c = self.f.n_constant, k = 0
        for j in self.r.carry:
            out[c + j] = k
            k += 1
        for j in self.r.constants:
            out[j] = k
            k += 1
        for j in self.r.xs:
            out[c + self.f.n_carry + j] = k
            k += 1
        return out

    cdef tuple moving(self):
        cdef int64_t c = self.f.n_constant, x = c + self.f.n_carry
        return tuple(sorted([*self.r.constants, *[c + j for j in self.r.carry], *[x + j for j in self.r.xs]]))


cdef dict pull_pushed(Tape tape, Scan f, Pushed p, tuple moving, list values, list tangents, dict sums, int64_t lanes):
    """Of f's arguments `moving`, what the pull of the pushed loop gives: `values` and `tangents` are the cotangents
    (carry, ys) of what f returns and of its tangents."""
    cdef dict carry = dict(values[0]), ys = dict(values[1]), out
    for k, j in enumerate(p.carry):
        if j in tangents[0]:
            carry[f.n_carry + k] = tangents[0][j]
    for k, j in enumerate(p.ys):
        if j in tangents[1]:
            ys[f.n_y + k] = tangents[1][j]
    at = {k: p.place(f, k) for k in moving}
    out = pull_loop(tape, p.scan, p.nodes, p.first + <int32_t>p.scan.n_output - 1, tuple(sorted(at.values())), carry, ys,
                    {at[k]: v for k, v in sums.items()}, lanes)
    return {k: out[at[k]] for k in moving if at[k] in out}


cdef dict push_once(Tape tape, Reversed c, dict tangents):
    """Result of a reversal -> its tangent, from those of its arguments."""
    cdef Scan f = c.f
    cdef Pushed p
    cdef dict out, moved = {k: t for k, t in tangents.items() if k < f.n_input}, sums
    cdef list given, pushed
    cdef int64_t lanes = c.r.lanes
    cdef int32_t node
    given = [{j: c.nodes[c.carry + k] for k, j in enumerate(c.r.carry)}, {}]
    pushed = [{j: tangents[c.carry + k] for k, j in enumerate(c.r.carry) if c.carry + k in tangents}, {}]
    for k, j in enumerate(c.r.ys):
        node = c.nodes[c.ys + k]
        given[1][j] = steps_first(tape, lanes, node)
        if c.ys + k in tangents:
            node = tangents[c.ys + k]
            pushed[1][j] = steps_first(tape, lanes, node)
    sums = {j: tangents[c.sums + k] for k, j in enumerate(c.r.constants) if c.sums + k in tangents}
    if moved:
        p = push_loop(tape, f, c.nodes[:f.n_input], moved, 0)
        out = pull_pushed(tape, f, p, c.moving(), pushed, given, sums, lanes)
    else:
        node = c.nodes[f.n_input]
        out = pull_loop(tape, f, c.nodes[:f.n_input], node, c.moving(), pushed[0], pushed[1], sums, lanes)
    places = c.results_by_argument()
    made = {}
    for k, node in out.items():
        if k >= f.n_constant + f.n_carry:
            node = steps_first(tape, lanes, node)
        made[places[k]] = node
    return made


cdef int push_reversed(Reversal r, Tape tape, Sweep *s, int32_t i) except -1:
    cdef Reversed c = Reversed(r, tape, i)
    cdef int64_t k, lane
    cdef int32_t node
    cdef list made
    tangents = {}
    for k, node in enumerate(c.nodes):
        if k != c.f.n_input and node >= s.start and tape.tangent[node] >= 0:
            tangents[k] = fit(tape, s.lanes, tape.tangent[node], shape_of(tape, node))
    if not tangents:
        return 0
    if s.lanes == 0:
        for k, node in push_once(tape, c, tangents).items():
            tape.tangent[i + <int32_t>k] = node
        return 0
    made = [push_once(tape, c, {k: lane_of(tape, node, lane) for k, node in tangents.items()}) for lane in range(s.lanes)]
    for k in made[0]:
        tape.tangent[i + <int32_t>k] = stack(tape, [fit(tape, 0, one[k], shape_of(tape, i + <int32_t>k)) for one in made])
    return 0


cdef int add_to(Tape tape, dict out, k, int32_t node) except -1:
    out[k] = map2(tape, OP_add, out[k], node) if k in out else node
    return 0


cdef dict pull_once(Tape tape, Reversed c, dict given):
    """Argument of a reversal -> its cotangent, from those of its results."""
    cdef Scan f = c.f
    cdef Pushed p
    cdef dict out = {}, directions, places = c.results_by_argument(), made
    cdef int64_t lanes = c.r.lanes, lane, k, x = f.n_constant + f.n_carry
    cdef int32_t node
    cdef list parts = []
    for k, j in enumerate(c.r.constants):
        if places[j] in given:
            out[c.sums + k] = given[places[j]]
    for lane in range(max(lanes, 1)):
        directions = {}
        for k, place in places.items():
            if place not in given:
                continue
            node = given[place]
            if k >= x:
                node = steps_first(tape, lanes, node)
            directions[k] = c.lane(tape, node, lane)
        p = push_loop(tape, f, c.values[:f.n_input], directions, 0)
        parts.append(p)
        made = pull_pushed(tape, f, p, c.moving(), [{}, {}], c.seeds(tape, lane), {}, 0)
        for k, node in made.items():
            add_to(tape, out, k, node)
    for k, j in enumerate(c.r.carry):
        if j in (<Pushed>parts[0]).carry:
            made_nodes = [(<Pushed>p_).first + f.n_carry + (<Pushed>p_).carry.index(j) for p_ in parts]
            out[c.carry + k] = stack(tape, made_nodes) if lanes else made_nodes[0]
    for k, j in enumerate(c.r.ys):
        if j in (<Pushed>parts[0]).ys:
            made_nodes = [(<Pushed>p_).first + (<Pushed>p_).scan.n_carry + f.n_y + (<Pushed>p_).ys.index(j)
                          for p_ in parts]
            node = stack(tape, made_nodes) if lanes else made_nodes[0]
            out[c.ys + k] = steps_first(tape, lanes, node)
    return out


cdef int pull_reversed(Reversal r, Tape tape, Sweep *s, int32_t i) except -1:
    cdef Reversed c = Reversed(r, tape, i)
    cdef int64_t k, lane
    cdef int32_t node
    cdef list made
    given = {}
    for k in range(r.n_output):
        if tape.ct[i + k - s.start] >= 0:
            given[k] = fit(tape, s.lanes, tape.ct[i + k - s.start], shape_of(tape, i + <int32_t>k))
    if not given:
        return 0
    if s.lanes == 0:
        for k, node in pull_once(tape, c, given).items():
            give(tape, s, c.nodes[k], node)
        return 0
    made = [pull_once(tape, c, {k: lane_of(tape, node, lane) for k, node in given.items()}) for lane in range(s.lanes)]
    for k in made[0]:
        give(tape, s, c.nodes[k], stack(tape, [fit(tape, 0, one[k], shape_of(tape, c.nodes[k])) for one in made]))
    return 0


def install():
    """Let sweeps go through loops."""
    global pull_scan, push_scan, pull_reversal, push_reversal
    pull_scan = pull_through
    push_scan = push_through
    pull_reversal = pull_reversed
    push_reversal = push_reversed
