"""Loops as entries of a tape.

A loop is made value by value, and ends as so many entries `loop`, one for each result: an array with a value of every
iteration, or a number, that of the last. Its streams read arrays of which each iteration takes an element, or
numbers; its carries hand a value to the next iteration.
"""
import numpy as np

from libc.string cimport memset

cimport numpy as cnp

from fasttape._core.loop cimport Code, emit as append_code, ft_code, ft_loop_op, seal
from fasttape._core.record cimport *

cnp.import_array()

cdef enum:                          # values while the loop is made: constants are negative, carries from here on
    CARRIES = 1 << 30


cdef class Loop:
    """A loop's code, and the nodes that it reads. It does not change."""


cdef int make_code(list loops) except -1:
    """Machine code for loops, where there can be any; the others are interpreted."""
    cdef ft_code code
    cdef Code sealed
    cdef Loop loop
    memset(&code, 0, sizeof(ft_code))
    starts = [append_code(&code, &(<Loop>x).code, False) for x in loops]
    sealed = seal(&code)
    if sealed is not None:
        for loop, start in zip(loops, starts):
            if start >= 0:
                loop.machine_code = sealed
                loop.function = sealed.at(start)
    return 0


cdef class LoopMaker:
    def __init__(self, Tape tape, int64_t count):
        self.tape = tape
        self.count = count
        self.constants = []
        self.streams = []
        self.strides = []
        self.narrow = []
        self.firsts = []
        self.lasts = []
        self.nexts = []
        self.ops = []
        self.results = []
        self.constant_of = {}
        self.load_of = {}
        self.last_of = {}

    cdef int64_t constant(self, double value) except? -1:
        cdef uint64_t bits = (<uint64_t *>&value)[0]
        if bits not in self.constant_of:
            self.constant_of[bits] = len(self.constants)
            self.constants.append(value)
        return -1 - <int64_t>self.constant_of[bits]

    cdef int64_t carry(self, int32_t node) except? -1:
        """A value that is the node's in the first iteration, and what `next` says after."""
        self.firsts.append(node)
        self.lasts.append(-1)
        self.nexts.append(None)
        return CARRIES + len(self.firsts) - 1

    cdef int stream(self, int32_t node, int64_t stride, bint narrow) except -1:
        self.streams.append(node)
        self.strides.append(stride)
        self.narrow.append(narrow)
        return <int>len(self.streams) - 1

    cdef int64_t load(self, int32_t node) except? -1:
        """A number, or the element of an array of one axis that belongs to the iteration."""
        cdef int64_t strides[FT_MAX_DIMS]
        cdef int64_t offset
        cdef int size = itemsize(self.tape.t.entry[node].dtype)
        if node not in self.load_of:
            if shape_of(self.tape, node) == 0:
                k = self.stream(node, 0, False)         # numbers are held in float64
            else:
                layout(self.tape, node, strides, &offset)
                k = self.stream(node, strides[0] * size, size == 4)
            self.load_of[node] = self.op(FT_L_LOAD, 0, [k])
        return self.load_of[node]

    cdef int64_t op(self, int op, int f32, list operands) except? -1:
        self.ops.append((FT_L_CAST if op == OP_cast else op, f32, operands))
        return len(self.ops) - 1

    cdef int result(self, int dtype, int32_t shape) except -1:
        self.results.append((dtype, shape))
        return <int>len(self.results) - 1

    cdef int64_t store(self, int64_t value, int dtype) except -1:
        """A result with the value of every iteration."""
        cdef int size = itemsize(dtype)
        k = self.result(dtype, intern_shape(self.tape, 1, &self.count))
        self.op(FT_L_STORE, 0, [self.stream(~k, size, size == 4), value])
        return k

    cdef int64_t last(self, int64_t value, int dtype) except -1:
        """A result with the value of the last iteration."""
        cdef int64_t c
        k = self.result(dtype, 0)
        c = self.carry(constant(self.tape, 0.0, FT_F64)) - CARRIES
        self.lasts[c] = k
        self.nexts[c] = value
        return k

    cdef int next(self, int64_t carry, int64_t value) except -1:
        self.nexts[carry - CARRIES] = value
        return 0

    cdef int64_t number(self, int64_t value) noexcept:
        """A value's number in the finished code."""
        if value < 0:
            return -1 - value
        if value >= CARRIES:
            return len(self.constants) + value - CARRIES
        return len(self.constants) + len(self.firsts) + value

    cdef Loop build(self):
        """The loop, as code."""
        cdef Loop loop = Loop.__new__(Loop)
        cdef ft_loop_op *op
        cdef int64_t k, j
        constants = np.array(self.constants, float)
        nexts = np.array([self.number(value) for value in self.nexts], np.int32)
        ops = np.zeros(len(self.ops) * sizeof(ft_loop_op) + 8, np.uint8)
        strides = np.array(self.strides, np.int64)
        narrow = np.array(self.narrow, np.uint8)
        streams = np.array(self.streams, np.int32)
        firsts = np.array(self.firsts, np.int32)
        lasts = np.array(self.lasts, np.int32)
        op = <ft_loop_op *>cnp.PyArray_DATA(ops)
        for k, (opcode, f32, operands) in enumerate(self.ops):
            op[k].op = <uint8_t>opcode
            op[k].f32 = f32
            if opcode == FT_L_LOAD:
                op[k].a = operands[0]
                continue
            if opcode == FT_L_STORE:
                op[k].a = operands[0]
                op[k].b = <int32_t>self.number(operands[1])
                continue
            for j, value in enumerate(operands):
                if j == 0:
                    op[k].a = <int32_t>self.number(value)
                elif j == 1:
                    op[k].b = <int32_t>self.number(value)
                else:
                    op[k].c = <int32_t>self.number(value)
        loop.memory = constants, nexts, ops, strides, narrow, streams, firsts, lasts
        loop.count = self.count
        loop.code.n_constant = <int32_t>len(constants)
        loop.code.n_carry = <int32_t>len(nexts)
        loop.code.n_op = <int32_t>len(self.ops)
        loop.code.n_stream = <int32_t>len(streams)
        loop.code.constant = <const double *>cnp.PyArray_DATA(constants)
        loop.code.next = <const int32_t *>cnp.PyArray_DATA(nexts)
        loop.code.op = op
        loop.code.stride = <const int64_t *>cnp.PyArray_DATA(strides)
        loop.code.stream_f32 = <const uint8_t *>cnp.PyArray_DATA(narrow)
        loop.stream = <int32_t *>cnp.PyArray_DATA(streams)
        loop.first = <int32_t *>cnp.PyArray_DATA(firsts)
        loop.last = <int32_t *>cnp.PyArray_DATA(lasts)
        loop.n_value = loop.code.n_constant + loop.code.n_carry + loop.code.n_op
        return loop

    cdef list finish(self):
        """Append the loop; returns the nodes of its results."""
        cdef int64_t k, at
        cdef int32_t y, node
        loop = self.build()
        self.tape.loops.append(loop)
        nodes = []
        reads = [node for node in self.streams if node >= 0] + self.firsts
        at = new_args(self.tape, 2 + len(reads))
        self.tape.t.args[at] = <int32_t>(len(self.tape.loops) - 1)
        self.tape.t.args[at + 1] = <int32_t>len(reads)
        for k, node in enumerate(reads):
            self.tape.t.args[at + 2 + k] = node
        for dtype, shape in self.results:
            y = emit(self.tape, OP_loop, dtype, 0, shape, <int32_t>len(nodes), <int32_t>len(self.results),
                     <int32_t>at)
            nodes.append(y)
        return nodes
