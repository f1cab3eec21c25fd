"""Operators: two operands, or one, become an entry and a tracer for it.

A loop over Python numbers spends its time here, so float64 scalars whose values are known have a path of
their own: one entry, one number. Shapes are `record.pyx`'s; writing in place is `views.pyx`'s.
"""
import numpy as np

from fasttape._core.capture cimport begin_watch
from fasttape._core.plan cimport evaluate
from fasttape._core.record cimport *
from fasttape._core.tracer cimport *

cdef extern from "Python.h":
    double PyLong_AsDouble(object) except? -1

cdef type np_float64 = np.float64
cdef tuple OPERANDS = (int, np.ndarray, np.generic, list, tuple)    # looked up once


cdef inline double arithmetic(int op, double a, double b) noexcept:
    """The table's values of the four commonest ops, without a call."""
    if op == OP_add:
        return a + b
    if op == OP_multiply:
        return a * b
    if op == OP_subtract:
        return a - b
    return a / b if op == OP_divide else machine.scalar(op, a, b, 0.0)


cdef inline bint plain_number(Tape tape, int32_t node) noexcept:
    """A known float64."""
    return tape.t.entry[node].shape == 0 and tape.t.entry[node].flags & FT_DONE and tape.t.entry[node].dtype == FT_F64


cdef object binary_numbers(int op, Tape tape, int32_t a, int32_t b):
    """The path of a loop over scalars: float64 operands whose values are known."""
    cdef int32_t y
    cdef int flags = FT_DONE | ((tape.t.entry[a].flags | tape.t.entry[b].flags) & FT_ACTIVE
                                if active_operands[op] == 3 else 0)
    y = emit(tape, op, FT_B64 if truth_ops[op] else FT_F64, flags, 0, a, b, 0)
    tape.t.val[y].f = arithmetic(op, tape.t.val[a].f, tape.t.val[b].f)
    return new_scalar(tape, y)


cdef object binary(int op, object x, object y):
    cdef Tape tape
    cdef int32_t a, b
    cdef Tracer z
    if is_scalar(x):
        tape = (<Tracer>x).tape
        if not tape.forgets and (active_operands[op] == 3 or truth_ops[op]):
            a = node_of(<Tracer>x)
            if plain_number(tape, a):
                if type(y) is float:
                    return binary_numbers(op, tape, a, constant(tape, <double>y, FT_F64))
                if is_scalar(y) and (<Tracer>y).tape is tape and (<Tracer>y).generation == tape.generation \
                        and plain_number(tape, (<Tracer>y).node):
                    return binary_numbers(op, tape, a, (<Tracer>y).node)
    elif type(x) is float and is_scalar(y):
        tape = (<Tracer>y).tape
        if not tape.forgets and (active_operands[op] == 3 or truth_ops[op]):
            b = node_of(<Tracer>y)
            if plain_number(tape, b):
                return binary_numbers(op, tape, constant(tape, <double>x, FT_F64), b)
    if is_tracer(x):
        tape = (<Tracer>x).tape
        a = node_of(<Tracer>x)
        if type(y) is float:
            b = constant(tape, <double>y, tape.t.entry[a].dtype & 1)
        elif is_tracer(y):
            if (<Tracer>y).tape is not tape:
                tape = innermost(tape, y)
                a = operand(tape, x, 0)
            b = operand(tape, y, 0)
        elif type(y) is int:
            b = constant(tape, PyLong_AsDouble(y), tape.t.entry[a].dtype & 1)
        elif isinstance(y, OPERANDS):
            b = operand(tape, y, tape.t.entry[a].dtype)
        else:
            return NotImplemented
    else:
        tape = (<Tracer>y).tape
        b = node_of(<Tracer>y)
        if type(x) is float:
            a = constant(tape, <double>x, tape.t.entry[b].dtype & 1)
        elif type(x) is int:
            a = constant(tape, PyLong_AsDouble(x), tape.t.entry[b].dtype & 1)
        elif isinstance(x, OPERANDS):
            a = operand(tape, x, tape.t.entry[b].dtype)
        else:
            return NotImplemented
    z = wrap(tape, map2(tape, op, a, b))
    after_record(tape)
    return z


cdef object unary(int op, Tracer x):
    cdef Tracer y = wrap(x.tape, map1(x.tape, op, node_of(x)))
    after_record(x.tape)
    return y


cdef object power(object x, object y):
    cdef double p
    if is_tracer(x) and (type(y) is int or type(y) is float or type(y) is np_float64):
        p = PyLong_AsDouble(y) if type(y) is int else y
        if p == 2.0:
            return unary(OP_square, x)
        if p == 1.0:
            return unary(OP_positive, x)
        if p == 0.5:
            return unary(OP_sqrt, x)
        if p == -1.0:
            return unary(OP_reciprocal, x)
    return binary(OP_power, x, y)


cdef object need_truth(object x):
    if isinstance(x, Tracer):
        if (<Tracer>x).tape.t.entry[node_of(<Tracer>x)].dtype < FT_B64:
            raise TypeError("fasttape: & | ^ ~ of traced floats are not defined; compare first, as in (x > 0) & (x < 1)")
    elif np.asarray(x).dtype != np.bool_:
        raise TypeError("fasttape: & | ^ combine truth values only")
    return x


# ---- @

cdef int32_t as_matrix(Tape tape, int32_t a, bint first) except -1:
    cdef int64_t dims[2]
    dims[0] = 1 if first else dims_of(tape, a)[0]
    dims[1] = dims_of(tape, a)[0] if first else 1
    return reshape(tape, a, intern_shape(tape, 2, dims))


cdef object product(object x, object y):
    """x @ y. A large array that enters the tape here is read once, for its checksum and the product."""
    cdef Tracer traced = x if isinstance(x, Tracer) else y
    cdef Tape tape = traced.tape
    cdef int32_t z, root
    if isinstance(y, Tracer):
        tape = innermost(tape, y)
    tape.defers = True
    try:
        z = product_node(tape, x, y, tape.t.entry[node_of(traced)].dtype)
        root = root_of(tape, z)
        if tape.t.n_watch and tape.t.watch[tape.t.n_watch - 1].at == 0 and \
                tape.t.entry[root_of(tape, tape.t.entry[root].a)].flags & \
                tape.t.entry[root_of(tape, tape.t.entry[root].b)].flags & FT_DONE:
            evaluate(tape, &root, 1)
    finally:
        begin_watch(tape)
    result = wrap(tape, z)
    after_record(tape)
    return result


cdef int32_t product_node(Tape tape, object x, object y, int like) except -1:
    """x @ y as NumPy's matmul: vectors are rows on the left and columns on the right."""
    cdef int32_t a = operand(tape, x, like), b = operand(tape, y, like), z
    cdef bint left = ndim_of(tape, a) == 1, right = ndim_of(tape, b) == 1
    cdef int64_t dims[FT_MAX_DIMS]
    cdef int k, n = 0, ndim
    if ndim_of(tape, a) == 0 or ndim_of(tape, b) == 0:
        raise ValueError("matmul: an operand is a scalar; use * instead")
    if tape.t.entry[a].dtype >= FT_B64:
        a = cast(tape, a, tape.t.entry[a].dtype & 1)
    if tape.t.entry[b].dtype >= FT_B64:
        b = cast(tape, b, tape.t.entry[b].dtype & 1)
    if left:
        a = as_matrix(tape, a, True)
    if right:
        b = as_matrix(tape, b, False)
    z = matmul(tape, a, b)
    if left or right:
        ndim = ndim_of(tape, z)
        for k in range(ndim):
            if not (left and k == ndim - 2) and not (right and k == ndim - 1):
                dims[n] = dims_of(tape, z)[k]
                n += 1
        z = reshape(tape, z, intern_shape(tape, n, dims))
    return z
