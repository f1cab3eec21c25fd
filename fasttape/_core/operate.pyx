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


# ---- numbers
#
# Nothing here takes a reference to the tape: each would be a read and a write of one word that the next
# operation waits for.

cdef inline bint plain_number(Tracer x, int32_t node) noexcept:
    """A known float64."""
    return x.tape.t.entry[node].flags & FT_DONE and x.tape.t.entry[node].dtype == FT_F64 \
        and x.tape.t.entry[node].shape == 0


cdef inline int32_t constant_beside(Tracer x, double value) except -1:
    """As `constant`, on the tape of x."""
    cdef uint64_t bits = (<uint64_t *>&value)[0]
    cdef int32_t node = x.tape.constant_at[constant_slot(bits, FT_F64)]
    if node < x.tape.t.n and (<uint64_t *>&x.tape.t.val[node])[0] == bits and \
            x.tape.t.entry[node].op == OP_constant and x.tape.t.entry[node].dtype == FT_F64:
        return node
    return constant(x.tape, value, FT_F64)


cdef inline int numbers(object x, object y, int32_t *a, int32_t *b) except -1:
    """Whether x and y are known float64 numbers, one at least a tracer of a tape that forgets nothing; if so,
    their nodes. 2 where the other is a Python number."""
    if is_scalar(x):
        if (<Tracer>x).tape is None or (<Tracer>x).tape.forgets:
            return False
        a[0] = node_of(<Tracer>x)
        if not plain_number(<Tracer>x, a[0]):
            return False
        if type(y) is float:
            b[0] = constant_beside(<Tracer>x, <double>y)
            return 2
        if type(y) is int:
            b[0] = constant_beside(<Tracer>x, PyLong_AsDouble(y))
            return 2
        if is_scalar(y) and (<PyObject *>(<Tracer>y).tape) == (<PyObject *>(<Tracer>x).tape) \
                and (<Tracer>y).generation == (<Tracer>x).generation:
            b[0] = (<Tracer>y).node
            return plain_number(<Tracer>y, b[0])
        return False
    if is_scalar(y) and (type(x) is float or type(x) is int) and (<Tracer>y).tape is not None \
            and not (<Tracer>y).tape.forgets:
        b[0] = node_of(<Tracer>y)
        if plain_number(<Tracer>y, b[0]):
            a[0] = constant_beside(<Tracer>y, <double>x if type(x) is float else PyLong_AsDouble(x))
            return 2
    return False


cdef inline int weak(int flags_a, int flags_b, bint python) noexcept:
    """FT_WEAK if the result of two numbers is, or what a comparison of them says; one of them a Python number where
    `python`."""
    return ((flags_a | flags_b) if python else (flags_a & flags_b)) & FT_WEAK


cdef inline object of_numbers(int op, Tracer x, int32_t a, int32_t b, double value, int found):
    """Append an entry whose value is known, on the tape of x."""
    cdef ft_entry *e
    cdef int32_t y
    if x.tape.t.n >= x.tape.t.cap:
        grow(x.tape, 1)
    y = <int32_t>x.tape.t.n
    e = x.tape.t.entry + y
    e.op = <uint8_t>op
    e.dtype = FT_B64 if truth_ops[op] else FT_F64
    e.flags = FT_DONE | weak(x.tape.t.entry[a].flags, x.tape.t.entry[b].flags, found == 2) \
        | ((x.tape.t.entry[a].flags | x.tape.t.entry[b].flags) & FT_ACTIVE if not truth_ops[op] else 0)
    e.shape = 0
    e.a = a
    e.b = b
    e.aux = 0
    x.tape.t.val[y].f = value
    x.tape.t.n += 1
    return scalar_beside(x, y)


cdef inline object arithmetic(int op, Tracer x, int32_t a, int32_t b, int found):
    """The four commonest ops, without a call."""
    cdef double v = x.tape.t.val[a].f, w = x.tape.t.val[b].f
    return of_numbers(op, x, a, b, v + w if op == OP_add else v - w if op == OP_subtract
                      else v * w if op == OP_multiply else v / w, found)


cdef inline object arithmetic_or_any(int op, object x, object y):
    cdef int32_t a, b
    cdef int found = numbers(x, y, &a, &b)
    if found:
        return arithmetic(op, <Tracer>x, a, b, found) if is_scalar(x) else arithmetic(op, <Tracer>y, a, b, found)
    return binary(op, x, y)


cdef object add(object x, object y): return arithmetic_or_any(OP_add, x, y)
cdef object subtract(object x, object y): return arithmetic_or_any(OP_subtract, x, y)
cdef object multiply(object x, object y): return arithmetic_or_any(OP_multiply, x, y)
cdef object divide(object x, object y): return arithmetic_or_any(OP_divide, x, y)


# ---- any operands

cdef object binary(int op, object x, object y):
    cdef Tape tape
    cdef int32_t a, b
    cdef Tracer z
    cdef int both_weak
    cdef int found = numbers(x, y, &a, &b) if active_operands[op] == 3 or truth_ops[op] else 0
    if found:
        z = <Tracer>x if is_scalar(x) else <Tracer>y
        return of_numbers(op, z, a, b, machine.scalar(op, z.tape.t.val[a].f, z.tape.t.val[b].f, 0.0), found)
    if is_tracer(x):
        tape = (<Tracer>x).tape
        a = node_of(<Tracer>x)
        if type(y) is float:
            b = beside(tape, <double>y, tape.t.entry[a].dtype)
        elif is_tracer(y):
            if (<Tracer>y).tape is not tape:
                tape = innermost(tape, y)
                a = operand(tape, x, 0)
            b = operand(tape, y, 0)
        elif type(y) is int:
            b = beside(tape, PyLong_AsDouble(y), tape.t.entry[a].dtype)
        elif isinstance(y, OPERANDS):
            b = operand(tape, y, tape.t.entry[a].dtype)
        else:
            return NotImplemented
    else:
        tape = (<Tracer>y).tape
        b = node_of(<Tracer>y)
        if type(x) is float:
            a = beside(tape, <double>x, tape.t.entry[b].dtype)
        elif type(x) is int:
            a = beside(tape, PyLong_AsDouble(x), tape.t.entry[b].dtype)
        elif isinstance(x, OPERANDS):
            a = operand(tape, x, tape.t.entry[b].dtype)
        else:
            return NotImplemented
    both_weak = weak(tape.t.entry[a].flags, tape.t.entry[b].flags, is_python_number(x) or is_python_number(y))
    if (tape.t.entry[a].flags | tape.t.entry[b].flags) & FT_WEAK:
        a = beside_other(tape, a, tape.t.entry[b].dtype)
        b = beside_other(tape, b, tape.t.entry[a].dtype)
    if op == OP_ldexp and tape.t.entry[a].dtype == FT_F32 and not tape.t.entry[b].dtype & 1:
        b = cast(tape, b, FT_F32)   # an exponent, whose own dtype is no matter
    if tape.t.entry[a].dtype >= FT_B64 and tape.t.entry[b].dtype >= FT_B64 and not truth_ops[op] and not both_weak:
        of_truth(tape, &op, &a, &b)
    z = wrap(tape, map2(tape, op, a, b))
    if both_weak:
        keep_weak(z)
    after_record(tape)
    return z


cdef inline bint is_python_number(object x) noexcept:
    return type(x) is float or type(x) is int or type(x) is bool


cdef int32_t beside_other(Tape tape, int32_t a, int dtype) except -1:
    """A number that was a Python float follows the float32 that it stands beside."""
    return cast(tape, a, FT_F32) if dtype == FT_F32 and tape.t.entry[a].flags & FT_WEAK else a


cdef object unary(int op, Tracer x):
    cdef int32_t a = node_of(x)
    cdef Tracer y
    if x.tape.t.entry[a].dtype >= FT_B64 and not truth_ops[op]:
        if op == OP_absolute or op == OP_stop_gradient:
            return copy_of(x)
        if op in (OP_negative, OP_positive, OP_sign):
            no_arithmetic(op)
        a = cast(x.tape, a, FT_F64)
    y = of_one(op, x.tape, a)
    if x.tape.t.entry[a].flags & FT_WEAK and op in (OP_negative, OP_positive, OP_absolute, OP_stop_gradient):
        keep_weak(y)
    return y


cdef inline int keep_weak(Tracer y) except -1:
    y.tape.t.entry[y.node].flags |= FT_WEAK
    return 0


cdef int make_strong(object y) except -1:
    """A ufunc returns NumPy's number, also of Python's."""
    if is_scalar(y):
        (<Tracer>y).tape.t.entry[(<Tracer>y).node].flags &= ~FT_WEAK
    return 0


cdef object strong(object x):
    """x as NumPy's functions have it, to which a Python number is a float64."""
    cdef Tracer y
    if not is_scalar(x) or not (<Tracer>x).tape.t.entry[node_of(<Tracer>x)].flags & FT_WEAK:
        return x
    y = x
    return wrap(y.tape, copied(y.tape, y.node))


cdef inline object of_one(int op, Tape tape, int32_t a):
    cdef Tracer y = wrap(tape, map1(tape, op, a))
    after_record(tape)
    return y


cdef object copy_of(Tracer x):
    cdef Tracer y = wrap(x.tape, copied(x.tape, node_of(x)))
    y.tape.t.entry[y.node].flags |= x.tape.t.entry[x.node].flags & FT_WEAK
    after_record(x.tape)
    return y


cdef object power(object x, object y, object modulo):
    cdef double p
    cdef int32_t a
    cdef int dtype
    cdef Tracer z
    if modulo is not None:
        raise TypeError("fasttape: pow of a traced value does not take a modulus")
    if is_tracer(x) and (type(y) is int or type(y) is float or type(y) is np_float64):
        p = PyLong_AsDouble(y) if type(y) is int else y
        a = node_of(<Tracer>x)
        dtype = (<Tracer>x).tape.t.entry[a].dtype
        if (dtype == FT_F64 or (dtype == FT_F32 and type(y) is not np_float64)) and p in (2.0, 1.0, 0.5, -1.0):
            z = of_one(OP_square if p == 2.0 else OP_positive if p == 1.0 else OP_sqrt if p == 0.5 else OP_reciprocal,
                       (<Tracer>x).tape, a)            # else the result is wider than x
            if (<Tracer>x).tape.t.entry[a].flags & FT_WEAK and type(y) is not np_float64:
                keep_weak(z)
            return z
    return binary(OP_power, x, y)


# ---- truth values

cdef int no_arithmetic(int op) except -1:
    raise TypeError(f"fasttape: {rows[op].name.decode()} of truth values is not defined, as in NumPy; use ~ ^ & | "
                    f"between them, or x.astype(float)")


cdef int of_truth(Tape tape, int *op, int32_t *a, int32_t *b) except -1:
    """What an op is of two truth values: another of their own, refused, or float64's."""
    if op[0] in (OP_add, OP_maximum, OP_fmax):
        op[0] = OP_logical_or
    elif op[0] in (OP_multiply, OP_minimum, OP_fmin):
        op[0] = OP_logical_and
    elif op[0] == OP_subtract:
        no_arithmetic(op[0])
    else:
        a[0] = cast(tape, a[0], FT_F64)
        b[0] = cast(tape, b[0], FT_F64)
    return 0


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
