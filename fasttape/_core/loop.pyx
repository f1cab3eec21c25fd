"""Loop bodies as the rest of the core sees them: interpreted, or machine code where this machine has an emitter."""
import os
from time import perf_counter

import numpy as np

from cpython.mem cimport PyMem_Free, PyMem_Malloc

from fasttape._core cimport vm
from fasttape._core.vm cimport FT_L_CAST, FT_L_LOAD, FT_L_STORE, FT_N_MAP

cdef extern from "loop.h" nogil:
    void ft_loop_run(const ft_vm *, const ft_loop *, int64_t, int64_t, char * const *, double *, double *)
    int ft_loop_lanes()
    int ft_loop_native(int)
    int64_t ft_emit(ft_code *, const ft_vm *, const ft_loop *, int)
    int ft_seal(const ft_code *, ft_sealed *)
    void ft_free_sealed(ft_sealed *)
    void ft_free_code(ft_code *)

cdef extern from "loop/code.h" nogil:
    long long ft_rig_code(long long)

cdef int lanes = 0 if os.environ.get("FASTTAPE_NO_CODE", "") not in ("", "0") else ft_loop_lanes()


cdef class Code:
    def __dealloc__(self):
        ft_free_sealed(&self.sealed)

    cdef ft_loop_fn at(self, int64_t start) noexcept:
        return <ft_loop_fn><void *>(self.sealed.bytes + start)


cdef void interpret(const ft_loop *loop, int64_t start, int64_t stop, char * const *stream, double *carry,
                    double *values) noexcept nogil:
    ft_loop_run(vm.machine, loop, start, stop, stream, carry, values)


cdef bint native(int op) noexcept nogil:
    return lanes and ft_loop_native(op)


cdef int64_t emit_lanes(ft_code *code, const ft_loop *loop, int n) except -2:
    if lanes == 0:
        return -1
    cdef int64_t start = ft_emit(code, vm.machine, loop, n)
    if start == -2:
        raise MemoryError("fasttape: no memory for the code of a loop")
    return start


cdef int64_t emit(ft_code *code, const ft_loop *loop, bint vector) except -2:
    return emit_lanes(code, loop, lanes if vector else 1)


cdef Code seal(ft_code *code):
    cdef Code made = Code.__new__(Code)
    cdef int refused = ft_seal(code, &made.sealed)
    ft_free_code(code)
    return None if refused else made


cdef void drop(ft_code *code) noexcept:
    ft_free_code(code)


def available():
    """The ways in which loops can be run here, best first."""
    return ["vector", "sequential", "interpreted"] if lanes else ["interpreted"]


def rig_allocation(k):
    """Let the k-th request for memory from now fail (k of 0: none); return how many were left. For tests."""
    return ft_rig_code(k)


cdef class Body:
    """A loop whose every index has been checked, and the arrays that it points to. For tests and benchmarks."""
    cdef ft_loop loop
    cdef object held
    cdef ft_loop_op *ops

    def __dealloc__(self):
        PyMem_Free(self.ops)

    def __init__(self, ops, constants, next, strides, narrow):
        cdef ft_loop_op *o
        cdef Py_ssize_t k
        cdef double[::1] constant = np.append(np.asarray(constants, np.float64), 0.0)
        cdef int32_t[::1] after = np.append(np.asarray(next, np.int32), np.int32(0))
        cdef int64_t[::1] stride = np.append(np.asarray(strides, np.int64), 0)
        cdef uint8_t[::1] f32 = np.append(np.asarray(narrow, np.uint8), np.uint8(0))
        self.held = (constant, after, stride, f32)
        self.loop.n_constant, self.loop.n_carry = len(constants), len(next)
        self.loop.n_op, self.loop.n_stream = len(ops), len(strides)
        if len(narrow) != len(strides):
            raise ValueError(f"{len(strides)} strides for {len(narrow)} streams")
        self.loop.constant, self.loop.next = &constant[0], &after[0]
        self.loop.stride, self.loop.stream_f32 = &stride[0], &f32[0]
        self.ops = <ft_loop_op *>PyMem_Malloc((len(ops) + 1) * sizeof(ft_loop_op))
        if self.ops == NULL:
            raise MemoryError
        self.loop.op = self.ops
        codes = {vm.rows[k].name.decode(): (k, vm.rows[k].arity) for k in range(FT_N_MAP)}
        codes.update(load=(FT_L_LOAD, 1), store=(FT_L_STORE, 2), cast=(FT_L_CAST, 1))
        first = len(constants) + len(next)
        undefined = set()
        for k, (name, narrow_result, *operands) in enumerate(ops):
            o = &self.ops[k]
            code, arity = codes[name]
            if len(operands) != arity:
                raise ValueError(f"{name} takes {arity} operands, got {len(operands)}")
            values = operands
            if name in ("load", "store"):
                if not 0 <= operands[0] < len(strides):
                    raise IndexError(f"op {k}: no stream {operands[0]}")
                values = operands[1:]
            self.check(values, first + k, undefined)
            if name == "store":
                undefined.add(first + k)
            operands = [*operands, 0, 0]
            o.op, o.f32, o.unused = code, bool(narrow_result), 0
            o.a, o.b, o.c = operands[0], operands[1], operands[2]
        self.check(next, first + len(ops), undefined)

    cdef int check(self, values, below, undefined) except -1:
        for v in values:
            if not 0 <= v < below or v in undefined:
                raise IndexError(f"no value {v} yet: there are {below}, stores aside")
        return 0


cdef int check_streams(Body body, streams, int64_t start, int64_t stop) except -1:
    for k, (array, offset) in enumerate(streams):
        size, stride = array.itemsize, body.loop.stride[k]
        if not array.flags.c_contiguous or not array.flags.writeable or not array.dtype.isnative:
            raise TypeError("a stream is a contiguous writeable array")
        ends = [int(offset) + int(i) * int(stride) for i in (start, stop - 1)] if start < stop else []
        if any(e < 0 or e + size > array.nbytes for e in ends) or offset % size or stride % size:
            raise IndexError(f"stream {k} leaves its array: bytes {ends} of {array.nbytes}")
    return 0


def run(ops, constants, next, streams, strides, span, carry, how, repeat=1):
    """Run a loop body for the iterations `span` and return the carries. For tests.

    `ops` has (name, round to float32, *operands) each, `streams` (array, byte offset) each, and `how` is
    "interpreted", "sequential", "vector" or "vector4". None: this body has no such code, or the system refuses it.
    """
    cdef int64_t start = span[0], stop = span[1], at, _, times = repeat
    cdef double[::1] state = np.append(np.asarray(carry, np.float64), 0.0)
    cdef ft_code code
    cdef ft_loop_fn function
    cdef Code made
    streams = list(streams)
    for array, _offset in streams:
        if not isinstance(array, np.ndarray) or array.dtype not in (np.float64, np.float32):
            raise TypeError("a stream is an array of float64 or float32")
    cdef Body body = Body(ops, constants, next, strides, [array.dtype == np.float32 for array, _offset in streams])
    if len(carry) != len(next):
        raise ValueError(f"{len(carry)} carries, but {len(next)} that come next")
    check_streams(body, streams, start, stop)
    cdef double[::1] values = np.empty(len(constants) + len(next) + len(ops) + 1)
    cdef int64_t[::1] pointers = np.array([*(array.ctypes.data + offset for array, offset in streams), 0], np.int64)
    cdef char **pointer = <char **>&pointers[0]
    if how == "interpreted":
        with nogil:
            for _ in range(times):
                interpret(&body.loop, start, stop, pointer, &state[0], &values[0])
        return np.array(state[:len(next)])
    widths = {"sequential": 1, "vector": lanes, "vector4": 4}
    if how not in widths:
        raise ValueError(f"run: no way {how!r}")
    code.bytes, code.n, code.cap = NULL, 0, 0
    try:
        at = emit_lanes(&code, &body.loop, widths[how])
    except MemoryError:
        drop(&code)
        raise
    if at < 0:
        drop(&code)
        return None
    made = seal(&code)
    if made is None:
        return None
    function = made.at(at)
    with nogil:
        for _ in range(times):
            function(start, stop, pointer, &state[0])
    return np.array(state[:len(next)])


def code_of(ops, constants, next, strides, narrow, how="sequential", repeat=1):
    """The bytes of a body's machine code, to be read by a disassembler, where it begins, and the seconds that each
    of `repeat` emissions took; None where there is none."""
    cdef Body body = Body(ops, constants, next, strides, narrow)
    cdef ft_code code
    code.bytes, code.n, code.cap = NULL, 0, 0
    cdef int64_t at = -1
    cdef int n = 1 if how == "sequential" else lanes if how == "vector" else 4
    try:
        begun = perf_counter()
        for _ in range(repeat):
            code.n = 0
            at = emit_lanes(&code, &body.loop, n)
        return None if at < 0 else (code.bytes[:code.n], at, (perf_counter() - begun) / repeat)
    finally:
        drop(&code)
