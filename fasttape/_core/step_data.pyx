"""What a step of a loop leaves for its reversal: the state before it, from which the step is run again, or what its pull
reads, but for what is made again sooner than it is read."""
import numpy as np

from libc.string cimport memset

cimport numpy as cnp

from fasttape._core.body cimport program_of
from fasttape._core.frozen cimport find_varying, freeze
from fasttape._core.program cimport Program
from fasttape._core.record cimport *
from fasttape._core.scan cimport *

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
