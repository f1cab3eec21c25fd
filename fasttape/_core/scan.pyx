"""Loops and their reversals, as what is called: their plans, made of the plans of their bodies.

A loop hands its carry from step to step. Its reversal, from the cotangents of what the loop returned, hands those of
the carry back, from the last step to the first, and adds up those of the constants on the way. For a step it needs the
carry that came into it, which the loop leaves in a store, or which is computed again.
"""
import numpy as np

from libc.string cimport memset

cimport numpy as cnp

from fasttape._core.body cimport program_of
from fasttape._core.callee cimport Call
from fasttape._core.feed cimport Feed, drop_store, feed_rows, ft_store, scan_forward, scan_reverse
from fasttape._core.frozen cimport freeze
from fasttape._core.loops cimport LoopMaker, make_code
from fasttape._core.program cimport Program
from fasttape._core.record cimport *
from fasttape._core.state cimport State

cnp.import_array()

cdef enum:
    LINE = 64                       # arrays in records begin at a cache line
    UNKNOWN = 1000                  # steps of an open loop, where a number is wanted


cdef class ScanCall(Call):
    """A plan of a loop, lent to one caller."""

    cdef int complain(self) except -1:
        for _, state in self.lent:
            (<Call>state).complain()
        if self.s.used != NULL and self.s.used.error:
            (<Feed>self.s.used.feeder).complain(self.s.used)
        return self.feed.complain(&self.s.store)

    cdef int abandon(self) except -1:
        for _, state in self.lent:
            (<Call>state).abandon()
        return self.feed.clean(&self.s.store)

    def __dealloc__(self):
        if self.feed is not None:
            self.feed.clean(&self.s.store)
        drop_store(&self.s.store)


cdef class Data:
    """What a reversal needs of a step."""


cdef class Layout:
    """Numbers, each of 8 bytes, and arrays, one after the other."""

    def __init__(self, parts):
        self.at, self.sizes, self.size = [], [], 0
        for dtype, dims in parts:
            size = 8 if dims == () else size_of_part(dtype, dims)
            if size > LINE:
                self.size = (self.size + LINE - 1) // LINE * LINE
            self.at.append(self.size)
            self.sizes.append(size)
            self.size += (size + 7) // 8 * 8
        if self.size > LINE:
            self.size = (self.size + LINE - 1) // LINE * LINE


cdef int64_t size_of_part(int dtype, tuple dims) except -1:
    cdef int64_t n = itemsize(dtype)
    for extent in dims:
        n *= <int64_t>extent
    return n


cdef tuple stacked(int64_t length, part):
    return part[0], (length, *part[1])


# ---- ports

cdef tuple record_port(int kind, Layout layout, int64_t k):
    return kind, 0, layout.at[k], layout.sizes[k]


cdef tuple slice_port(int64_t place, part):
    """A slice, one step's, of a stacked array."""
    dtype, dims = part
    return FT_P_SLICE, dims == () and dtype & 1, place, size_of_part(dtype, dims)


cdef const ft_port *ports(ScanCall call, list of) except NULL:
    cdef cnp.ndarray array = np.zeros(max(len(of), 1) * sizeof(ft_port), np.uint8)
    cdef ft_port *p = <ft_port *>cnp.PyArray_DATA(array)
    cdef int64_t k
    for k, (kind, narrow, at, size) in enumerate(of):
        p[k].kind, p[k].narrow, p[k].at, p[k].size = kind, narrow, at, size
    call.memory.append(array)
    return p


cdef char *record(ScanCall call, int64_t size) except NULL:
    cdef cnp.ndarray array = np.empty(size + LINE, np.uint8)
    call.memory.append(array)
    return <char *>((<size_t>cnp.PyArray_DATA(array) + LINE - 1) // LINE * LINE)


cdef const int32_t *numbers(ScanCall call, list of) except NULL:
    cdef cnp.ndarray array = np.array(of + [0], np.int32)
    call.memory.append(array)
    return <const int32_t *>cnp.PyArray_DATA(array)


cdef int add_patches(State s, int64_t place, int32_t node, port, int records, list out) except -1:
    """What points, in a plan, to an argument or result that lies at a port; its records are numbered from `records`."""
    cdef int64_t k
    kind, _, at, size = port
    base, delta, where = (records + kind, at, 0) if kind < FT_RECORDS else (2 * FT_RECORDS, 0, at)
    out.append((base, <size_t>&s.tape.t.val[node].p, delta, size, where))
    for k in range(s.c.first[place], s.c.first[place + 1]):
        out.append((base, <size_t>s.c.field[k].at, delta + s.c.field[k].delta, size, where))
    return 0


cdef int set_patches(ScanCall call, ft_body *body, State s, list inputs, list outputs) except -1:
    cdef list found = [], number = [], copied = []
    cdef int64_t k
    cdef cnp.ndarray array
    cdef ft_patch *p
    for k in range(<int64_t>len(inputs)):
        if inputs[k][0] == FT_P_PLACE:
            continue
        if inputs[k][0] == FT_P_SUM:
            ft_lay(&s.c, k, <int32_t>k, call.s.sums + <int64_t>inputs[k][2])
        elif s.c.moves[k]:
            add_patches(s, k, <int32_t>k, inputs[k], 0, found)
        else:
            number.append(k)
    for k in range(<int64_t>len(outputs)):
        if outputs[k][0] == FT_P_SUM:
            ft_lay(&s.c, s.c.n_input + k, s.c.output[k], call.s.sums + <int64_t>outputs[k][2])
        elif s.c.moves[s.c.n_input + k]:
            add_patches(s, s.c.n_input + k, s.c.output[k], outputs[k], FT_RECORDS, found)
        else:
            copied.append(k)
    found.sort()
    array = np.zeros((len(found) + 1) * sizeof(ft_patch), np.uint8)
    call.memory.append(array)
    p = <ft_patch *>cnp.PyArray_DATA(array)
    for k, (base, at, delta, size, place) in enumerate(found):
        p[k].at = <char **><size_t>at
        p[k].base, p[k].delta, p[k].size, p[k].place = base, delta, size, place
    body.patch = p
    body.n_record_patch, body.n_patch = sum([patch[0] < 2 * FT_RECORDS for patch in found]), len(found)
    body.number, body.n_number = numbers(call, number), len(number)
    body.copied, body.n_copied = numbers(call, copied), len(copied)
    return 0


cdef int set_body(ScanCall call, ft_body *body, Program p, list inputs, list outputs) except -1:
    cdef State s = p.begin()
    call.lent.append((p, s))
    body.call = &s.c
    set_patches(call, body, s, inputs, outputs)
    body.inp = ports(call, inputs)
    body.out = ports(call, outputs)
    body.work = s.work
    return 0


# ---- bodies of numbers alone

cdef bint numbers_alone(Program p) noexcept:
    cdef int64_t i
    cdef ft_entry *e
    for i in range(p.tape.t.n):
        e = p.tape.t.entry + i
        if e.shape != 0 or not (e.op < FT_N_MAP or e.op == OP_cast or e.op == OP_constant or i < p.n_input):
            return False
    return True


cdef tuple code_of(Program p, list inputs, list outputs, int64_t side_size, bint side):
    """A body as a loop over steps, and its streams; None where it is not of numbers alone. What it hands on, its
    carries, are the parts of one record; those of another are `side_size` bytes from step to step. Where `side`, what is
    handed on is also written there."""
    cdef LoopMaker m
    cdef Loop loop
    cdef list streams = [], value = []
    cdef int64_t i, k
    cdef ft_entry *e
    cdef int carried = FT_P_SWEEP if any([port[0] == FT_P_SWEEP for port in inputs]) else FT_P_STATE
    cdef int64_t way = -1 if carried == FT_P_SWEEP else 1
    if not numbers_alone(p):
        return None, None
    m = LoopMaker(p.tape, 0)
    for i in range(p.tape.t.n):
        e = p.tape.t.entry + i
        if i < p.n_input:
            kind, narrow, at, size = inputs[i]
            if kind == carried:
                value.append(m.carry(0))
                continue
            stride = 0 if kind == FT_P_PLACE else way * size if kind == FT_P_SLICE else way * side_size
            streams.append(inputs[i])
            value.append(m.op(FT_L_LOAD, 0, [m.stream(0, stride, narrow)]))
        elif e.op == OP_constant:
            value.append(m.constant(p.tape.t.val[i].f))
        else:
            operands = [e.a, e.b, e.aux][:rows[e.op].arity if e.op < FT_N_MAP else 1]
            value.append(m.op(e.op, e.dtype & 1, [value[k] for k in operands]))
    carries = [k for k in range(p.n_input) if inputs[k][0] == carried]
    for k in range(p.n_output):
        kind, narrow, at, size = outputs[k]
        result = value[p.outputs[k]]
        if kind == carried:
            m.next(value[carries[k]], result)
        if kind != carried or side:
            streams.append(outputs[k])
            m.op(FT_L_STORE, 0, [m.stream(0, way * (size if kind == FT_P_SLICE else side_size), narrow), result])
    if len(streams) > FT_STREAMS:
        return None, None
    loop = m.build()
    make_code([loop])
    return loop, streams


cdef int set_steps(ScanCall call, ft_body *body, tuple coded) except -1:
    cdef Loop loop
    cdef cnp.ndarray values
    if coded[0] is None:
        return 0
    loop = coded[0]
    values = np.empty(loop.n_value + 1)
    call.memory += [loop, values]
    body.steps.loop = &loop.code
    body.steps.code = loop.function
    body.steps.stream = ports(call, coded[1])
    body.steps.values = <double *>cnp.PyArray_DATA(values)
    return 0


cdef ScanCall new_call(Scan loop, Data data):
    """A plan to be filled in, with a store for this data."""
    cdef ScanCall call = ScanCall.__new__(ScanCall)
    cdef ft_store *e = &call.s.store
    cdef int k
    memset(&call.s, 0, sizeof(ft_scan))
    call.lent = []
    call.memory = []
    call.feed = Feed.__new__(Feed)
    call.feed.directory, call.feed.name = loop.folder, loop.name
    call.feed.schedule = None if data is None else data.schedule
    e.length = loop.length
    e.go = -1 if loop.go < 0 else loop.state.at[loop.go]
    e.state_size = loop.state.size
    e.light = data is None or data.light
    e.data_size = loop.state.size if data is None or data.light else data.layout.size
    e.tag = -1 if data is None else data.tag
    e.feed = feed_rows
    e.feeder = <void *>call.feed
    for k in range(2):
        e.state[k] = record(call, loop.state.size)
    return call


cdef list parts_of(Program p, int64_t first, int64_t n):
    """Dtype and shape of some of its arguments."""
    cdef int64_t k
    return [(p.tape.t.entry[k].dtype, shape_tuple(p.tape, p.tape.t.entry[k].shape)) for k in range(first, first + n)]


cdef Program without_slices(Program body, int64_t n_carry):
    """The program of the first results alone."""
    cdef cnp.ndarray at
    cdef Tape tape
    cdef int64_t k
    at = np.array([body.record_outputs[k] for k in range(n_carry)], np.int32)
    tape = freeze(body.record.tape(), NULL, body.n_input, <int32_t *>cnp.PyArray_DATA(at), n_carry)
    return program_of(tape, body.name, body.n_input, at.tolist())


# ---- a loop

cdef class Scan(Swept):
    """Its arguments are constants, the carry, stacked arrays; its results the carry, stacked arrays, the store."""

    cdef list results(self):
        return self.outcome

    cdef bint allow(self, int64_t memory) except -1:
        if self.shares:
            self.schedule.memory = memory
        return self.shares

    cdef int pull(self, Tape tape, Sweep *s, int32_t i) except -1:
        return pull_scan(self, tape, s, i)

    cdef int push(self, Tape tape, Sweep *s, int32_t i) except -1:
        return push_scan(self, tape, s, i)

    cdef Program advance(self):
        if self.n_y == 0:
            return self.body
        if self.advancing is None:
            self.advancing = without_slices(self.body, self.n_carry)
        return self.advancing

    cdef list inputs(self):
        """The ports of the body's arguments."""
        cdef int64_t k, c = self.n_constant, n = self.n_constant + self.n_carry
        parts = parts_of(self.body, 0, self.body.n_input)
        return [(FT_P_PLACE, 0, k, 0) for k in range(c)] + [record_port(FT_P_STATE, self.state, k) for k in range(self.n_carry)] \
            + [slice_port(k, parts[k]) for k in range(n, n + self.n_x)]

    cdef list carry_ports(self):
        return [record_port(FT_P_STATE, self.state, k) for k in range(self.n_carry)]

    cdef list first_ports(self):
        """By place: what goes into the state at first."""
        return [(FT_P_NONE, 0, 0, 0)] * self.n_constant + self.carry_ports() + [(FT_P_NONE, 0, 0, 0)] * self.n_x

    cdef Call begin(self):
        cdef ScanCall call
        cdef ft_scan *s
        cdef Data data = self.data
        cdef int64_t k, y = self.n_input + self.n_carry, tag = -1 if data is None else data.tag
        cdef list inputs, outputs, parts
        try:
            call = self.idle.pop()
            if call.s.store.tag == tag:
                return call
        except IndexError:
            pass
        call = new_call(self, data)
        s = &call.s
        parts = self.body.results()
        inputs = self.inputs()
        outputs = self.carry_ports() + [slice_port(y + k, parts[self.n_carry + k]) for k in range(self.n_y)]
        if tag not in self.coded:
            self.coded["step"] = self.coded.get("step") or code_of(self.body, inputs, outputs, 0, False)
            self.coded[tag] = code_of(self.body, inputs, outputs, self.state.size, True) if data is None or data.light else \
                code_of(data.keep_slices, inputs, outputs + data_ports(data), data.layout.size, False)
        set_body(call, &s.step, self.body, inputs, outputs)
        set_steps(call, &s.step, self.coded["step"])
        if data is not None and not data.light:
            set_body(call, &s.keep, data.keep_slices, inputs, outputs + data_ports(data))
        set_steps(call, &s.keep, self.coded[tag])
        s.first = ports(call, self.first_ports())
        s.last = ports(call, self.carry_ports())
        s.n_first, s.n_last = self.n_input, self.n_carry
        s.place_of_store = self.n_input + self.n_output - 1
        call.c.drive = scan_forward
        call.c.self = s
        call.c.n_input, call.c.n_output = self.n_input, self.n_output
        call.work = loop_work(self, s.step.work)
        return call

    cdef int end(self, Call call) except -1:
        self.idle.append(call)
        return 0


cdef int64_t loop_work(Scan loop, int64_t step) noexcept:
    return (loop.length if loop.go < 0 else UNKNOWN) * (step + 16)


cdef list data_ports(Data data):
    cdef int64_t k
    return [record_port(FT_P_DATA, data.layout, k) for k in range(<int64_t>len(data.layout.at))]


cdef Scan new_scan(Program body, int64_t n_constant, int64_t n_carry, int64_t n_x, int64_t length, int64_t go, str name, schedule,
                   folder):
    cdef Scan scan = Scan.__new__(Scan)
    cdef list parts = body.results()
    scan.body = body
    scan.name = name
    scan.n_constant, scan.n_carry, scan.n_x, scan.n_y = n_constant, n_carry, n_x, body.n_output - n_carry
    scan.length, scan.go, scan.schedule, scan.folder = length, go, schedule, folder
    scan.n_input = n_constant + n_carry + n_x
    scan.n_output = body.n_output + 1
    scan.outcome = parts[:n_carry] + [stacked(length, part) for part in parts[n_carry:]] + [(FT_I64, ())]
    scan.state = Layout(parts[:n_carry])
    scan.idle = []
    scan.derived = {}
    scan.coded = {}
    return scan


# ---- its reversal

cdef bint adds_to(Program p, int32_t x, int64_t k) noexcept:
    """Whether result k is argument x with something added to it, which nothing else reads: the sum may take its place."""
    cdef int32_t y = p.outputs[k]
    cdef ft_entry *e = p.tape.t.entry + y
    cdef Reads o
    cdef int64_t i, j, n = 0
    if e.op != OP_add and e.op != OP_add_scaled or e.shape == 0 or e.shape != p.tape.t.entry[x].shape \
            or e.dtype != p.tape.t.entry[x].dtype:
        return False
    for i in range(p.tape.t.n):
        o = reads_of(p.tape, p.tape.t.entry + i)
        for j in range(o.n):
            if o.at[j * o.step] == x:
                if i != y:
                    return False
                n += 1
    for i in range(p.n_output):
        n += p.outputs[i] == x or (p.outputs[i] == y and i != k)
    return n == 1


cdef list sweep_kinds(Program p, int64_t n_before, int64_t n):
    """Of what the body of a reversal hands on: whether it takes turns, or is a sum that stays where it is."""
    cdef State s
    cdef int64_t k
    if numbers_alone(p):
        return [FT_P_SWEEP] * n
    s = p.begin()
    try:
        return [FT_P_SUM if s.c.moves[n_before + k] and s.c.moves[s.c.n_input + k] and adds_to(p, <int32_t>(n_before + k), k)
                else FT_P_SWEEP for k in range(n)]
    finally:
        p.end(s)


cdef class Reversal(Swept):
    """Its arguments are the loop's, the store, cotangents of the carry, cotangents so far of the constants, stacked
    cotangents; its results cotangents of the carry, of the constants, stacked ones."""

    cdef list results(self):
        return self.outcome

    cdef int pull(self, Tape tape, Sweep *s, int32_t i) except -1:
        return pull_reversal(self, tape, s, i)

    cdef int push(self, Tape tape, Sweep *s, int32_t i) except -1:
        return push_reversal(self, tape, s, i)

    cdef Call begin(self):
        cdef ScanCall call
        cdef ft_scan *s
        cdef Scan loop = self.loop
        cdef Data data = self.data
        cdef int64_t k, n = loop.n_input, n_sweep = len(self.sweep.at)
        cdef list inputs, outputs, given, parts, steps
        try:
            return self.idle.pop()
        except IndexError:
            pass
        call = new_call(loop, data)
        s = &call.s
        if not self.coded:
            self.coded["kinds"] = sweep_kinds(self.back, len(self.ports), n_sweep)
        given = [record_port(kind, self.sweep, k) for k, kind in enumerate(self.coded["kinds"])]
        parts = parts_of(self.back, len(self.ports) + n_sweep, len(self.ys))
        inputs = self.ports + given + [slice_port(n + 1 + n_sweep + k, part) for k, part in enumerate(parts)]
        parts = self.back.results()[n_sweep:]
        outputs = given + [slice_port(self.n_input + n_sweep + k, part) for k, part in enumerate(parts)]
        steps = loop.inputs()
        if "step" not in self.coded:
            self.coded["step"] = code_of(loop.advance(), steps, loop.carry_ports(), 0, False)
            self.coded["keep"] = code_of(loop.advance(), steps, loop.carry_ports(), loop.state.size, True) if data.light else \
                code_of(data.keep, steps, loop.carry_ports() + data_ports(data), data.layout.size, False)
            self.coded["back"] = code_of(self.back, inputs, outputs, loop.state.size if data.light else data.layout.size, False)
        s.sums = record(call, self.sweep.size)
        set_body(call, &s.step, loop.advance(), steps, loop.carry_ports())
        set_steps(call, &s.step, self.coded["step"])
        if not data.light:
            set_body(call, &s.keep, data.keep, steps, loop.carry_ports() + data_ports(data))
        set_steps(call, &s.keep, self.coded["keep"])
        set_body(call, &s.back, self.back, inputs, outputs)
        set_steps(call, &s.back, self.coded["back"])
        s.first = ports(call, loop.first_ports() + [(FT_P_NONE, 0, 0, 0)] + given)
        s.last = ports(call, given)
        s.n_first, s.n_last = n + 1 + n_sweep, n_sweep
        s.sweep_size = self.sweep.size
        for k in range(2):
            s.sweep[k] = record(call, self.sweep.size)
        s.place_of_store = n
        call.c.drive = scan_reverse
        call.c.self = s
        call.c.n_input, call.c.n_output = self.n_input, self.n_output
        call.work = loop_work(loop, s.step.work + s.back.work)
        return call

    cdef int end(self, Call call) except -1:
        self.idle.append(call)
        return 0
