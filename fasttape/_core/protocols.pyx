"""NumPy's two protocols: which op a ufunc is, and which function of ours stands for one of NumPy's.

The ufuncs are found by name in the op table; the functions are put into FUNCTIONS by `functions.py`. What
is not supported is refused here, by name and with the remedy.
"""
import numpy as np

from fasttape._core.operate cimport binary, make_strong, power, product, strong, unary
from fasttape._core.record cimport *
from fasttape._core.tracer cimport *
from fasttape._core.views cimport in_place

cdef enum:                          # ufuncs that are no row of the table
    MATMUL = FT_N_OPS
    FLOAT_POWER

cdef dict UFUNCS = {}               # ufunc -> opcode, filled from the table below
cdef dict REDUCTIONS = {}           # ufunc -> the method that is its reduce
FUNCTIONS = {}                      # function of NumPy's that is no ufunc -> our own; see functions.py


cdef int fill_tables() except -1:
    cdef int i
    for i in range(FT_N_MAP):
        found = getattr(np, rows[i].name.decode(), None)
        if isinstance(found, np.ufunc):
            UFUNCS[found] = i
    for ufunc, name in ((np.radians, "deg2rad"), (np.degrees, "rad2deg"), (np.conjugate, "positive")):
        for i in range(FT_N_MAP):
            if rows[i].name == name.encode():
                UFUNCS[ufunc] = i
    UFUNCS[np.matmul] = MATMUL
    UFUNCS[np.float_power] = FLOAT_POWER
    REDUCTIONS.update({np.add: "sum", np.multiply: "prod", np.maximum: "max", np.minimum: "min",
                       np.logical_or: "any", np.logical_and: "all"})
    return 0


fill_tables()


cdef int opcode(object ufunc) except -2:
    """The op that a ufunc is, or -1."""
    op = UFUNCS.get(ufunc)
    return -1 if op is None else op


cdef object apply_ufunc(int op, tuple inputs):
    y = applied(op, inputs)
    make_strong(y)
    return y


cdef object applied(int op, tuple inputs):
    if op == MATMUL:
        return product(inputs[0], inputs[1])
    if op == FLOAT_POWER:
        return power(widened(inputs[0]), widened(inputs[1]), None)
    if rows[op].arity == 1:
        return unary(op, inputs[0])
    if op == OP_power:
        return power(inputs[0], inputs[1], None)
    return binary(op, numpys_truth(inputs[0]), numpys_truth(inputs[1]))


cdef object numpys_truth(object x):
    """A truth value as NumPy's, whose sums are truth values too; Python's are whole numbers to its operators."""
    if is_scalar(x) and (<Tracer>x).tape.t.entry[node_of(<Tracer>x)].dtype >= FT_B64:
        return strong(x)
    return x


cdef object widened(object x):
    """An operand in float64."""
    if isinstance(x, Tracer):
        return wrap((<Tracer>x).tape, cast((<Tracer>x).tape, node_of(<Tracer>x), FT_F64))
    return x if isinstance(x, (int, float)) else np.asanyarray(x, np.float64)


cdef object uncommon_ufunc(object ufunc, str method, tuple inputs, object out, object axis, object keepdims, list extras):
    name = ufunc.__name__
    if extras:
        raise TypeError(f"fasttape: np.{name} of a traced value does not take {', '.join(extras)}=; "
                        f"use np.where or astype instead")
    if method == "reduce" and ufunc in REDUCTIONS and out is None:
        return getattr(inputs[0], REDUCTIONS[ufunc])(axis=axis, keepdims=keepdims)
    if method != "__call__":
        raise TypeError(f"fasttape: np.{name}.{method} of a traced value is not supported; write it with the "
                        f"operators and np.sum")
    if ufunc not in UFUNCS:
        raise TypeError(f"fasttape: np.{name} of a traced value is not supported; compose it of supported functions "
                        f"(fasttape.numpy lists them), or apply it to stop_gradient(x) if no derivative is wanted")
    if not isinstance(out[0], Tracer):
        raise TypeError(f"fasttape: np.{name} cannot write a traced result into a plain array (out=); "
                        f"leave out= away, or make the array with np.zeros_like(x)")
    return in_place(out[0], apply_ufunc(UFUNCS[ufunc], inputs))


cdef object call_function(object func, tuple args, dict kwargs):
    own = FUNCTIONS.get(func)
    if own is None:
        name = getattr(func, "__name__", str(func))
        module = getattr(func, "__module__", "numpy")
        raise TypeError(f"fasttape: {module}.{name} of a traced value is not supported yet; compose it of supported "
                        f"functions (fasttape.numpy lists them), or apply it to stop_gradient(x) if no derivative "
                        f"is wanted")
    return strong(own(*args, **kwargs))
