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
from fasttape._core.frozen cimport freeze
from fasttape._core.program cimport Program
from fasttape._core.record cimport *
from fasttape._core.state cimport State

cnp.import_array()

cdef enum:
    LINE = 64                       # arrays in records begin at a cache line


cdef class ScanCall(Call):
    """A plan of a loop, lent to one caller."""

    def __dealloc__(self):
        ft_scan_drop(&self.s)


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


cdef int set_body(ScanCall call, ft_body *body, Program p, list inputs, list outputs) except -1:
    cdef State s = p.begin()
    call.lent.append((p, s))
    body.call = &s.c
    body.inp = ports(call, inputs)
    body.out = ports(call, outputs)
    body.work = s.work
    return 0


cdef ScanCall new_call(list idle):
    cdef ScanCall call
    try:
        return idle.pop()
    except IndexError:
        call = ScanCall.__new__(ScanCall)
        call.lent = []
        call.memory = []
        memset(&call.s, 0, sizeof(ft_scan))
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
        cdef ScanCall call = new_call(self.idle)
        cdef ft_scan *s = &call.s
        cdef int64_t k, y = self.n_input + self.n_carry
        if call.lent:
            return call
        parts = self.body.results()
        set_body(call, &s.step, self.body, self.inputs(),
                 self.carry_ports() + [slice_port(y + k, parts[self.n_carry + k]) for k in range(self.n_y)])
        s.length = self.length
        s.first = ports(call, self.first_ports())
        s.last = ports(call, self.carry_ports())
        s.n_first, s.n_last = self.n_input, self.n_carry
        s.state_size = self.state.size
        for k in range(2):
            s.state[k] = record(call, self.state.size)
        s.place_of_store = self.n_input + self.n_output - 1
        call.c.drive = ft_scan_forward
        call.c.self = s
        call.c.n_input, call.c.n_output = self.n_input, self.n_output
        call.work = self.length * (s.step.work + 16)
        return call

    cdef int end(self, Call call) except -1:
        self.idle.append(call)
        return 0


cdef Scan new_scan(Program body, int64_t n_constant, int64_t n_carry, int64_t n_x, int64_t length, str name):
    cdef Scan scan = Scan.__new__(Scan)
    cdef list parts = body.results()
    scan.body = body
    scan.name = name
    scan.n_constant, scan.n_carry, scan.n_x, scan.n_y = n_constant, n_carry, n_x, body.n_output - n_carry
    scan.length = length
    scan.leaves = True              # the store
    scan.n_input = n_constant + n_carry + n_x
    scan.n_output = body.n_output + 1
    scan.outcome = parts[:n_carry] + [stacked(length, part) for part in parts[n_carry:]] + [(FT_I64, ())]
    scan.state = Layout(parts[:n_carry])
    scan.idle = []
    scan.derived = {}
    return scan


# ---- its reversal

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
        cdef ScanCall call = new_call(self.idle)
        cdef ft_scan *s = &call.s
        cdef Scan loop = self.loop
        cdef int64_t k, n = loop.n_input, n_sweep = len(self.sweep.at)
        cdef list inputs, outputs, given, parts
        if call.lent:
            return call
        set_body(call, &s.step, loop.advance(), loop.inputs(), loop.carry_ports())
        parts = parts_of(self.back, n + n_sweep, len(self.ys))
        given = [record_port(FT_P_SWEEP, self.sweep, k) for k in range(n_sweep)]
        inputs = loop.inputs() + given + [slice_port(n + 1 + n_sweep + k, part) for k, part in enumerate(parts)]
        parts = self.back.results()[n_sweep:]
        outputs = given + [slice_port(self.n_input + n_sweep + k, part) for k, part in enumerate(parts)]
        set_body(call, &s.back, self.back, inputs, outputs)
        s.length = loop.length
        s.first = ports(call, loop.first_ports() + [(FT_P_NONE, 0, 0, 0)] + given)
        s.last = ports(call, given)
        s.n_first, s.n_last = n + 1 + n_sweep, n_sweep
        s.state_size = loop.state.size
        s.sweep_size = self.sweep.size
        for k in range(2):
            s.sweep[k] = record(call, self.sweep.size)
        s.place_of_store = n
        call.c.drive = ft_scan_reverse
        call.c.self = s
        call.c.n_input, call.c.n_output = self.n_input, self.n_output
        call.work = loop.length * (s.step.work + s.back.work + 32)
        return call

    cdef int end(self, Call call) except -1:
        self.idle.append(call)
        return 0
