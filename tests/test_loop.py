"""Loop bodies: machine code, interpreter and block kernels give one element the same bits, whatever the body."""
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fasttape._core import loop, vm

HERE = pathlib.Path(__file__).parent
SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, np.inf, -np.inf, np.nan, 5e-324, -2e-310, 1.7e308, -1e300, 2.0**-1030, 3.0, 1e-40]
ARITY = {name: arity for name, arity, *_ in vm.table()}
NATIVE = """add subtract multiply divide negative positive absolute fabs square reciprocal sqrt sqrt0 scale ratio
add_scaled scale_both maximum minimum less less_equal greater greater_equal equal not_equal where share floor ceil rint
trunc logical_and logical_or logical_not isnan copysign stop_gradient""".split()
SIGN_OF_NAN = {"copysign": 1, "signbit": 0}         # the operand of which even a nan's sign is seen
CODE = [how for how in loop.available() if how != "interpreted"]
needs_code = pytest.mark.skipif(not CODE, reason="no emitter for this processor")


class Body:
    """A random body: what loop.run takes."""

    def __init__(self, seed, n_op=None, names=None, carries=True, item_strides=False, span=None):
        r = self.r = np.random.default_rng(seed)
        self.names = names or (NATIVE if r.random() < 0.5 else list(ARITY))
        self.constants = [1.0, *(self.number() for _ in range(r.integers(0, 12)))]
        self.carry = [self.number() for _ in range(r.choice([0, 1, 2, 5, 20]) if carries else 0)]
        n = int(span if span is not None else r.choice([0, 1, 2, 3, 7, 16, 33]))
        self.start = int(r.integers(-5, 6))
        self.span = (self.start, self.start + n)
        self.streams, self.strides, self.stored = [], [], []
        for _ in range(r.integers(0, 15)):
            self.add_stream(n, item_strides)
        self.ops = []
        self.values = list(range(len(self.constants) + len(self.carry)))
        for _ in range(int(n_op or r.integers(1, 60))):
            self.add_op(item_strides)
        self.next = [int(r.choice(self.values)) if r.random() < 0.8 else len(self.constants) + int(r.integers(len(self.carry)))
                     for _ in self.carry]

    def number(self):
        return float(self.r.choice(SPECIAL) if self.r.random() < 0.5 else self.r.normal() * 3)

    def add_stream(self, n, item_strides):
        dtype = self.r.choice([np.float64, np.float32])
        size = np.dtype(dtype).itemsize
        stride = int(self.r.choice([0, 1] if item_strides else [0, 1, 1, 1, 2, -1, -3, 17, 40]))
        at = [i * stride for i in (self.start, self.start + max(n, 1) - 1)]
        with np.errstate(over="ignore"):
            array = np.array([self.number() for _ in range(max(at) - min(at) + 1)]).astype(dtype)
        self.streams.append((array, -min(at) * size))
        self.strides.append(stride * size)

    def add_op(self, item_strides):
        r, kind = self.r, self.r.random()
        result = len(self.constants) + len(self.carry) + len(self.ops)
        f32 = bool(r.random() < 0.2)
        if kind < 0.15 and self.streams:
            self.ops.append(("load", f32, int(r.integers(len(self.streams)))))
        elif kind < 0.25 and self.streams:
            k = int(r.integers(len(self.streams)))
            if item_strides and (self.strides[k] == 0 or k in self.stored):
                return
            self.stored.append(k)
            self.ops.append(("store", False, k, self.operand()))
            return
        elif kind < 0.3:
            self.ops.append(("cast", f32, self.operand()))
        else:
            name = str(r.choice(self.names))
            operands = [self.operand() for _ in range(ARITY[name])]
            if name in SIGN_OF_NAN:         # which is not ours to promise
                x = operands[SIGN_OF_NAN[name]]
                self.ops += [("equal", False, x, x), ("where", False, result, x, 0)]
                operands[SIGN_OF_NAN[name]] = result + 1
                result += 2
            if name == "sinc_slope":        # whose second operand is a small order
                operands[1] = 0
            self.ops.append((name, f32, *operands))
        self.values.append(result)

    def operand(self):
        near = self.values[-6:] if self.r.random() < 0.6 else self.values
        return int(self.r.choice(near))

    def run(self, how, chunk=None):
        """The carries, and the streams' contents, or None."""
        arrays = [(array.copy(), at) for array, at in self.streams]
        carry, (start, stop) = self.carry, self.span
        chunk = chunk or max(stop - start, 1)
        for at in range(start, max(stop, start + 1), chunk):
            carry = loop.run(self.ops, self.constants, self.next, arrays, self.strides, (at, min(at + chunk, stop)), carry, how)
            if carry is None:
                return None
        return [np.array(carry), *(array for array, _ in arrays)]

    def modelled(self):
        """The same by the block kernels, an element at a time."""
        arrays, carry = [array.copy() for array, _ in self.streams], list(self.carry)
        for i in range(*self.span):
            values = [*self.constants, *carry]
            for name, f32, *operands in self.ops:
                if name in ("load", "store"):
                    k = operands[0]
                    at = (self.streams[k][1] + i * self.strides[k]) // arrays[k].itemsize
                if name == "load":
                    y = float(arrays[k][at])
                elif name == "store":
                    with np.errstate(over="ignore"):
                        arrays[k][at] = values[operands[1]]
                    y = 0.0
                elif name == "cast":
                    y = values[operands[0]]
                else:
                    y = float(vm.evaluate(name, *(np.array([values[v]]) for v in operands))[0])
                with np.errstate(over="ignore"):
                    values.append(float(np.float32(y)) if f32 else y)
            carry = [values[v] for v in self.next]
        return [np.array(carry), *arrays]


def same(found, wanted, body):
    assert found is not None
    for a, b in zip(found, wanted):
        a, b = np.atleast_1d(a), np.atleast_1d(b)
        bits = a.view(f"u{a.itemsize}") == b.view(f"u{a.itemsize}")
        assert (bits | (np.isnan(a) & np.isnan(b))).all(), (body.ops, a, b)


@needs_code
@pytest.mark.parametrize("first", range(0, 1500, 100))
def test_code_gives_the_bits_of_the_interpreter(first):
    for seed in range(first, first + 100):
        body = Body(seed)
        same(body.run("sequential"), body.run("interpreted"), body)


@needs_code
@pytest.mark.parametrize("how", ["vector", "vector4"])
@pytest.mark.parametrize("first", range(0, 500, 100))
def test_vector_code_gives_the_bits_of_the_interpreter(how, first):
    for seed in range(first, first + 100):
        body = Body(seed, names=NATIVE, carries=False, item_strides=True, span=seed % 41)
        same(body.run(how), body.run("interpreted"), body)


@pytest.mark.parametrize("first", range(0, 100, 25))
def test_the_interpreter_gives_the_bits_of_the_kernels(first):
    for seed in range(first, first + 25):
        body = Body(seed, span=seed % 4)
        same(body.run("interpreted"), body.modelled(), body)


@given(seed=st.integers(1 << 20, 1 << 40), n_op=st.integers(1, 200))
@settings(max_examples=150, deadline=None)
def test_any_body(seed, n_op):
    body = Body(seed, n_op=n_op)
    for how in CODE[-1:]:
        same(body.run(how), body.run("interpreted"), body)


@needs_code
@pytest.mark.parametrize("name", [name for name in ARITY if name not in SIGN_OF_NAN])
@pytest.mark.parametrize("f32", [False, True])
def test_each_op_at_special_values(name, f32):
    """Every operand in turn a stream, a constant, and a value in a register."""
    grid = np.array([*SPECIAL, 0.1, -7.5, 100.0, 1e-3])
    a, b, c = (x.ravel().copy() for x in np.meshgrid(grid, grid if name != "sinc_slope" else [0.0, 1.0, 2.0], grid[::3]))
    y = [np.zeros_like(a) for _ in range(2)]
    arity, wanted = ARITY[name], vm.evaluate(name, *(a, b, c)[:ARITY[name]])
    with np.errstate(over="ignore"):
        wanted = wanted.astype(np.float32).astype(np.float64) if f32 else wanted
    ops = [("load", False, k) for k in range(3)] + [(name, f32, 1, 2, 3), ("store", False, 3, 4)]
    ops[3] = ops[3][:2 + arity]
    streams = [(x, 0) for x in (a, b, c)]
    for how in ["interpreted", *CODE]:
        for held in (False, True):
            body = ops if not held else [*ops, *(("store", False, 4, 1 + k) for k in range(3))]
            y[0][:] = 7
            found = loop.run(body, [1.0], [], [*streams, (y[0], 0), (y[1], 0)], [8] * 5, (0, a.size), [], how)
            if found is None:
                assert how == "vector" and name not in NATIVE
                continue
            assert ((y[0].view("u8") == wanted.view("u8")) | (np.isnan(y[0]) & np.isnan(wanted))).all(), how
    for k in range(arity):                                  # operand k a constant
        for x in grid if name != "sinc_slope" else [2.0]:
            loads = [v for v in range(3) if v != k]
            operands = [0 if v == k else 1 + loads.index(v) for v in range(arity)]
            body = [*(("load", False, v) for v in loads), (name, f32, *operands), ("store", False, 3, 3)]
            some = slice(int(np.argmax((a, b, c)[k] == x)), None, 97)
            columns = [np.ascontiguousarray(z[some]) for z in (a, b, c)]
            columns[k][:] = x
            wanted = vm.evaluate(name, *columns[:arity])
            with np.errstate(over="ignore"):
                wanted = wanted.astype(np.float32).astype(np.float64) if f32 else wanted
            for how in CODE:
                out = np.zeros_like(columns[0])
                loop.run(body, [x], [], [*((z, 0) for z in columns), (out, 0)], [8] * 4, (0, out.size), [], how)
                if how == "sequential" or name in NATIVE:
                    assert ((out.view("u8") == wanted.view("u8")) | (np.isnan(out) & np.isnan(wanted))).all(), (how, x)


def test_chunks_are_the_whole():
    for seed in range(2000, 2060):
        body = Body(seed, span=33)
        for how in ["interpreted", *CODE[-1:]]:
            for chunk in (1, 7, 32):
                same(body.run(how, chunk), body.run("interpreted"), body)


@needs_code
@pytest.mark.parametrize("names", [NATIVE, None, ["add", "multiply"], ["sin", "add"]])
@pytest.mark.parametrize("seed", range(3))
def test_thousands_of_ops(names, seed):
    body = Body(9000 + seed, n_op=4000, names=names, span=5)
    body.next = body.values[-len(body.next):] if body.next else []
    same(body.run("sequential"), body.run("interpreted"), body)
    body = Body(9100 + seed, n_op=3000, names=NATIVE, carries=False, item_strides=True, span=21)
    for how in ("vector", "vector4"):
        same(body.run(how), body.run("interpreted"), body)


@needs_code
def test_all_values_alive_at_once():
    """The frame is larger than a page: each value is read first in order, then in reverse."""
    n = 3000
    ops = [("add", False, k, 0) for k in range(1, n)]
    ops += [("add_scaled", False, n - k, 0, n + k - 1) for k in range(n - 1)]
    for how in CODE[-1:]:
        found = loop.run(ops, [0.5], [2 * n - 2], [], [], (0, 3), [1.0], how)
        assert found == loop.run(ops, [0.5], [2 * n - 2], [], [], (0, 3), [1.0], "interpreted")


@needs_code
@pytest.mark.parametrize("name", ["share", "maximum", "where", "add_scaled", "scale_both", "copysign"])
def test_operands_that_are_constants_leave_registers_to_work_in(name):
    constants = [0.5 * k for k in range(40)]
    for n in range(2, 40):
        ops = [("add", False, k, 40 + k - 1 if k else 39) for k in range(n)] + [("add", False, k, 39 + n) for k in range(n)]
        ops.append((name, False, *[1, 0, 2][:ARITY[name]]))
        ops.append(("add", False, 40 + len(ops) - 1, 40 + len(ops) - 2))
        x = [np.zeros(9), np.zeros(9)]
        ops.append(("store", False, 0, 40 + len(ops) - 1))
        for y, how in zip(x, ("interpreted", "sequential")):
            loop.run(ops, constants, [], [(y, 0)], [8], (0, 9), [], how)
        np.testing.assert_array_equal(*x)
        assert loop.run(ops, constants, [], [(x[1], 0)], [8], (0, 9), [], "vector") is not None
        np.testing.assert_array_equal(*x)


@needs_code
def test_parallel_copies():
    for n in (2, 3, 9, 10, 11, 25):
        for shift in (1, n - 1, 2):
            next = [(j + shift) % n for j in range(n)]
            found = loop.run([], [], next, [], [], (0, 5), list(range(n)), "sequential")
            np.testing.assert_array_equal(found, [(j + 5 * shift) % n for j in range(n)])


def test_streams_that_overlap_are_as_written():
    for how in ["interpreted", *CODE[-1:]]:
        x = np.ones(12)                                     # x[i + 2] = x[i] + x[i + 1]
        ops = [("load", False, 0), ("load", False, 1), ("add", False, 0, 1), ("store", False, 2, 2)]
        loop.run(ops, [], [], [(x, 0), (x, 8), (x, 16)], [8] * 3, (0, 10), [], how)
        np.testing.assert_array_equal(x, [1, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144])
        total = np.zeros(1)                                 # a load between two stores to its element
        ops = [("store", False, 0, 0), ("load", False, 0), ("add", False, 3, 1), ("store", False, 0, 4)]
        loop.run(ops, [2.0, 3.0], [], [(total, 0)], [0], (0, 4), [], how)
        assert total == 5.0


@needs_code
def test_the_system_may_refuse():
    body = Body(3, n_op=2000)
    k, refused, out_of_memory = 1, 0, 0
    while True:
        loop.rig_allocation(k)
        try:
            found = body.run("sequential", 100)
        except MemoryError:
            found, out_of_memory = "MemoryError", out_of_memory + 1
        if loop.rig_allocation(0) != 0:
            break
        refused += found is None
        assert found is None or isinstance(found, str)
        k += 1
    assert refused == 1 and out_of_memory >= 3
    same(body.run("sequential"), body.run("interpreted"), body)


def test_code_can_be_turned_off():
    code = "from fasttape._core import loop; print(loop.available(), loop.run([], [], [], [], [], (0, 1), [], 'sequential'))"
    done = subprocess.run([sys.executable, "-c", code], cwd=HERE, capture_output=True, text=True, timeout=60,
                          env={**os.environ, "FASTTAPE_NO_CODE": "1"})
    assert done.stdout.strip() == "['interpreted'] None", done.stderr


@needs_code
@pytest.mark.parametrize("isa", vm.available())
def test_code_calls_the_functions_of_the_instruction_set(isa):
    before = vm.isa()
    try:
        vm.use(isa)
        for seed in range(5000, 5050):
            body = Body(seed, names=list(ARITY))
            same(body.run("sequential"), body.run("interpreted"), body)
    finally:
        vm.use(before)


BAD = {
    "value": ([("add", False, 0, 1)], [1.0], [], [], []),
    "own value": ([("negative", False, 1)], [1.0], [], [], []),
    "negative": ([("negative", False, -1)], [1.0], [], [], []),
    "stream": ([("load", False, 1)], [], [], [(np.zeros(4), 0)], [8]),
    "next": ([], [], [1], [], []),
    "a store's value": ([("store", False, 0, 0), ("negative", False, 1)], [1.0], [], [(np.zeros(4), 0)], [8]),
    "bounds": ([("load", False, 0)], [], [], [(np.zeros(3), 0)], [8]),
    "below": ([("load", False, 0)], [], [], [(np.zeros(4), 0)], [-8]),
    "alignment": ([("load", False, 0)], [], [], [(np.zeros(9), 4)], [8]),
    "huge stride": ([("load", False, 0)], [], [], [(np.zeros(9), 0)], [2**62]),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_is_refused(name):
    ops, constants, next, streams, strides = BAD[name]
    with pytest.raises(IndexError):
        loop.run(ops, constants, next, streams, strides, (0, 4), [0.0] * len(next), "interpreted")
