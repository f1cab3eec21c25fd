"""The classes `Array`, and `Scalar` for numbers: NumPy's methods and operators, each handed on.

A method's arguments are made sense of here; what it does is told below: in `operate.pyx`, `views.pyx`,
`subscript.pyx`, `reductions.pyx` and `protocols.pyx`.
"""
from cpython.number cimport PyNumber_Index

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from fasttape._core.operate cimport (add, binary, copy_of, divide, multiply, need_truth, power, product, subtract,
                                     unary)
from fasttape._core.protocols cimport apply_ufunc, call_function, opcode, uncommon_ufunc
from fasttape._core.record cimport *
from fasttape._core.reductions cimport axes_mask, count_along, multiplied, no_extras, read, reduced, shifted
from fasttape._core.subscript cimport elements, get_items, set_items
from fasttape._core.tracer cimport *
from fasttape._core.views cimport in_place, raveled, reshaped, transposed

from fasttape._core.protocols import FUNCTIONS
from fasttape._core.tracer import Look

cdef object FLOAT64 = np.dtype(np.float64), FLOAT32 = np.dtype(np.float32), BOOL = np.dtype(np.bool_)


cdef class Array(Tracer):
    """A traced array. It behaves as the NumPy array whose value it stands for. One of no axes, such as x[1, ...],
    is an element that follows its array; any other number is a `Scalar`."""

    __array_priority__ = 1000

    # -- arithmetic
    def __add__(x, y): return add(x, y)
    def __radd__(x, y): return add(y, x)
    def __sub__(x, y): return subtract(x, y)
    def __rsub__(x, y): return subtract(y, x)
    def __mul__(x, y): return multiply(x, y)
    def __rmul__(x, y): return multiply(y, x)
    def __truediv__(x, y): return divide(x, y)
    def __rtruediv__(x, y): return divide(y, x)
    def __floordiv__(x, y): return binary(OP_floor_divide, x, y)
    def __rfloordiv__(x, y): return binary(OP_floor_divide, y, x)
    def __mod__(x, y): return binary(OP_remainder, x, y)
    def __rmod__(x, y): return binary(OP_remainder, y, x)
    def __divmod__(x, y): return binary(OP_floor_divide, x, y), binary(OP_remainder, x, y)
    def __rdivmod__(x, y): return binary(OP_floor_divide, y, x), binary(OP_remainder, y, x)
    def __pow__(x, y, modulo): return power(x, y, modulo)
    def __rpow__(x, y, modulo): return power(y, x, modulo)
    def __matmul__(x, y): return product(x, y)
    def __rmatmul__(x, y): return product(y, x)
    def __neg__(self): return unary(OP_negative, self)
    def __pos__(self): return unary(OP_positive, self)
    def __abs__(self): return unary(OP_absolute, self)

    def __iadd__(self, y): return in_place(self, binary(OP_add, self, y))
    def __isub__(self, y): return in_place(self, binary(OP_subtract, self, y))
    def __imul__(self, y): return in_place(self, binary(OP_multiply, self, y))
    def __itruediv__(self, y): return in_place(self, binary(OP_divide, self, y))
    def __imatmul__(self, y): return in_place(self, product(self, y))
    def __ifloordiv__(self, y): return in_place(self, binary(OP_floor_divide, self, y))
    def __imod__(self, y): return in_place(self, binary(OP_remainder, self, y))
    def __ipow__(self, y, modulo): return in_place(self, power(self, y, modulo))
    def __iand__(self, y): return in_place(self, binary(OP_logical_and, need_truth(self), need_truth(y)))
    def __ior__(self, y): return in_place(self, binary(OP_logical_or, need_truth(self), need_truth(y)))
    def __ixor__(self, y): return in_place(self, binary(OP_logical_xor, need_truth(self), need_truth(y)))

    # -- truth values
    def __lt__(self, y): return binary(OP_less, self, y)
    def __le__(self, y): return binary(OP_less_equal, self, y)
    def __gt__(self, y): return binary(OP_greater, self, y)
    def __ge__(self, y): return binary(OP_greater_equal, self, y)
    def __eq__(self, y): return binary(OP_equal, self, y)
    def __ne__(self, y): return binary(OP_not_equal, self, y)
    def __and__(x, y): return binary(OP_logical_and, need_truth(x), need_truth(y))
    def __rand__(x, y): return binary(OP_logical_and, need_truth(y), need_truth(x))
    def __or__(x, y): return binary(OP_logical_or, need_truth(x), need_truth(y))
    def __ror__(x, y): return binary(OP_logical_or, need_truth(y), need_truth(x))
    def __xor__(x, y): return binary(OP_logical_xor, need_truth(x), need_truth(y))
    def __rxor__(x, y): return binary(OP_logical_xor, need_truth(y), need_truth(x))
    def __invert__(self): return unary(OP_logical_not, need_truth(self))

    def __hash__(self):
        raise TypeError("unhashable type: a traced array")

    def __bool__(self):
        return observed(self, bool)

    def __int__(self):
        return observed(self, int)

    def __float__(self):
        return float(inactive_value(self, "float(x), which is also what math.sin(x) and writing x into a plain array "
                                    "call,", "use np.sin and its like, keep x as it is, or make the array with "
                                    "fasttape.numpy; stop_gradient(x) gives a constant"))

    def __index__(self):
        value = inactive_value(self, "using x as an index", "use int(x)")
        return PyNumber_Index(value)

    def __array__(self, dtype=None, copy=None):
        value = inactive_value(self, "making a plain array of x", "use np.stack, np.concatenate or fasttape.numpy.array, "
                               "which keep it traced, or stop_gradient(x) for its value")
        return np.asarray(value, dtype)

    def __complex__(self):
        raise TypeError("fasttape: traced values are real; complex(x) is not supported")

    def __repr__(self):
        if self.tape is None or self.generation != self.tape.generation:
            return "<a traced value whose trace has ended>"
        return f"traced {concrete(self)!r}"

    def __str__(self):
        return str(concrete(self)) if self.tape is not None and self.generation == self.tape.generation else repr(self)

    def __format__(self, spec):
        return format(concrete(self), spec)

    def __round__(self, n=None):
        if n is not None:
            raise TypeError("fasttape: round(x, n) of a traced value is not supported; write np.rint(x * 10**n) / 10**n")
        return observed(self, Look("round"))

    def __floor__(self): return observed(self, Look("floor"))
    def __ceil__(self): return observed(self, Look("ceil"))
    def __trunc__(self): return observed(self, Look("trunc"))

    def __copy__(self): return copy_of(self)
    def __deepcopy__(self, memo): return copy_of(self)

    def __reduce__(self):
        raise TypeError("fasttape: a traced value cannot be pickled; return its value from the traced function")

    # -- shape
    @property
    def shape(self):
        return shape_tuple(self.tape, shape_of(self.tape, node_of(self)))

    @property
    def ndim(self):
        return ndim_of(self.tape, node_of(self))

    @property
    def size(self):
        return size_of(self.tape, node_of(self))

    @property
    def dtype(self):
        cdef int d = self.tape.t.entry[node_of(self)].dtype
        return FLOAT64 if d == FT_F64 else FLOAT32 if d == FT_F32 else BOOL

    @property
    def itemsize(self):
        return self.dtype.itemsize

    @property
    def nbytes(self):
        return self.size * self.itemsize

    @property
    def T(self):
        return self.transpose()

    @property
    def mT(self):
        if self.ndim < 2:
            raise ValueError("matrix transpose with ndim < 2 is undefined")
        return self.swapaxes(-1, -2)

    @property
    def real(self):
        return self

    @property
    def flat(self):
        line = self.ravel()
        return iter(line) if (<Tracer>line).base is not None else map(self.__getitem__, np.ndindex(self.shape))

    def __len__(self):
        if ndim_of(self.tape, node_of(self)) == 0:
            raise TypeError("len() of unsized object")
        return dims_of(self.tape, self.node)[0]

    def __iter__(self): return elements(self)

    def __contains__(self, value):
        return bool(np.any(self == value))

    def __getitem__(self, index): return get_items(self, index)
    def __setitem__(self, index, value): set_items(self, index, value)

    def item(self, *args):
        if args:
            return self.ravel()[args[0]] if len(args) == 1 else self[args]
        if self.size != 1:
            raise ValueError("can only convert an array of size 1 to a Python scalar")
        return wrap(self.tape, reshape(self.tape, self.node, 0))

    def reshape(self, *shape, order="C"):
        if order != "C":
            raise NotImplementedError(f"fasttape: reshape with order={order!r} is not supported; use order='C'")
        return reshaped(self, shape)

    def ravel(self, order="C"): return self.reshape(-1, order=order) if order != "C" else raveled(self)
    def flatten(self, order="C"): return copy_of(self.reshape(-1, order=order))
    def copy(self, order="C"): return copy_of(self)

    def transpose(self, *axes): return transposed(self, axes)

    def swapaxes(self, a, b):
        order = list(range(self.ndim))
        a, b = (normalize_axis_index(k, len(order)) for k in (a, b))
        order[a], order[b] = order[b], order[a]
        return self.transpose(order)

    def squeeze(self, axis=None):
        shape = self.shape
        mask = axes_mask(axis, len(shape), "squeeze")
        if axis is None:
            return self[tuple([0 if n == 1 else slice(None) for n in shape] + [...])] if 1 in shape else self
        index = []
        for k, n in enumerate(shape):
            drop = mask >> (len(shape) - 1 - k) & 1
            if drop and n != 1:
                raise ValueError("squeeze: cannot select an axis to squeeze out which has size not equal to one")
            index.append(0 if drop else slice(None))
        return self[tuple(index + [...])]

    def astype(self, dtype, copy=True):
        dtype = np.dtype(dtype)
        if not copy and dtype == self.dtype:
            return self
        if dtype == np.float64 or dtype == np.float32:
            return wrap(self.tape, cast(self.tape, node_of(self), FT_F32 if dtype == np.float32 else FT_F64))
        if dtype == np.bool_:
            return self != 0
        if dtype.kind in "iu":
            return observed(self, Look("astype", dtype))
        raise TypeError(f"fasttape: a traced value cannot become {dtype}; supported are float64, float32, bool and integers")

    # -- reductions
    def sum(self, axis=None, dtype=None, out=None, keepdims=False, initial=None, where=None):
        if dtype is not None or out is not None or initial is not None or where is not None:
            no_extras("sum", (("dtype", dtype, None), ("out", out, None), ("initial", initial, None), ("where", where, None)))
        y = wrap(self.tape, reduced(self, OP_sum, axis, keepdims, "sum"))
        after_record(self.tape)
        return y

    def mean(self, axis=None, dtype=None, out=None, keepdims=False, where=None):
        no_extras("mean", (("dtype", dtype, None), ("out", out, None), ("where", where, None)))
        n = count_along(self, axis)
        return self.sum(axis=axis, keepdims=keepdims) / (<double>n)

    def max(self, axis=None, out=None, keepdims=False, initial=None, where=None):
        no_extras("max", (("out", out, None), ("initial", initial, None), ("where", where, None)))
        return wrap(self.tape, reduced(self, OP_max, axis, keepdims, "max"))

    def min(self, axis=None, out=None, keepdims=False, initial=None, where=None):
        no_extras("min", (("out", out, None), ("initial", initial, None), ("where", where, None)))
        return wrap(self.tape, reduced(self, OP_min, axis, keepdims, "min"))

    def var(self, axis=None, dtype=None, out=None, ddof=0, keepdims=False):
        no_extras("var", (("dtype", dtype, None), ("out", out, None)))
        near = shifted(self, axis)
        deviation = near - near.mean(axis=axis, keepdims=True)
        return (deviation * deviation).sum(axis=axis, keepdims=keepdims) / (<double>max(count_along(self, axis) - ddof, 0))

    def std(self, axis=None, dtype=None, out=None, ddof=0, keepdims=False):
        no_extras("std", (("dtype", dtype, None), ("out", out, None)))
        return unary(OP_sqrt0, self.var(axis=axis, ddof=ddof, keepdims=keepdims))

    def prod(self, axis=None, dtype=None, out=None, keepdims=False):
        no_extras("prod", (("dtype", dtype, None), ("out", out, None)))
        return multiplied(self, axis, keepdims)

    def argmax(self, axis=None, out=None, *, keepdims=False): return read(self, "argmax", axis, out, keepdims)
    def argmin(self, axis=None, out=None, *, keepdims=False): return read(self, "argmin", axis, out, keepdims)
    def any(self, axis=None, out=None, keepdims=False): return read(self, "any", axis, out, keepdims)
    def all(self, axis=None, out=None, keepdims=False): return read(self, "all", axis, out, keepdims)
    def tolist(self): return [x.tolist() if x.ndim else x for x in self] if self.ndim else self
    def dot(self, other): return FUNCTIONS[np.dot](self, other)
    def clip(self, min=None, max=None): return FUNCTIONS[np.clip](self, min, max)
    def fill(self, value): self[...] = value

    # -- NumPy's protocols
    def __array_ufunc__(self, ufunc, method, *inputs, out=None, where=True, axis=0, keepdims=False, dtype=None,
                        casting=None, order=None, subok=None, initial=None, signature=None, axes=None):
        cdef int op
        if method == "__call__" and out is None and where is True and dtype is None and signature is None and axes is None:
            op = opcode(ufunc)
            if op >= 0:
                return apply_ufunc(op, inputs)
        extras = [key for key, value, default in (("where", where, True), ("dtype", dtype, None), ("axes", axes, None),
                                                  ("initial", initial, None), ("signature", signature, None))
                  if value is not default]
        return uncommon_ufunc(ufunc, method, inputs, out, axis, keepdims, extras)

    def __array_function__(self, func, types, args, kwargs):
        return call_function(func, args, kwargs)


cdef class Scalar(Array):
    """A traced number: shape (). It is immutable, as NumPy's and Python's numbers are."""

    def __iadd__(self, y): return add(self, y)
    def __isub__(self, y): return subtract(self, y)
    def __imul__(self, y): return multiply(self, y)
    def __itruediv__(self, y): return divide(self, y)
    def __ifloordiv__(self, y): return binary(OP_floor_divide, self, y)
    def __imod__(self, y): return binary(OP_remainder, self, y)
    def __ipow__(self, y, modulo): return power(self, y, modulo)
    def __imatmul__(self, y): return product(self, y)
    def __iand__(self, y): return self & y
    def __ior__(self, y): return self | y
    def __ixor__(self, y): return self ^ y

    def __getitem__(self, index):
        if index == () or index is Ellipsis:
            return self
        if index is None:
            return self.reshape(1)
        raise IndexError("invalid index to scalar variable.")

    def __setitem__(self, index, value):
        raise TypeError("fasttape: a traced number does not support item assignment")

    def __bool__(self):
        cdef int32_t node = node_of(self)
        if self.tape.guards is not None:
            return observed(self, bool)
        if not self.tape.t.entry[node].flags & FT_DONE:
            force(self.tape, node)
        return self.tape.t.val[node].f != 0


adopt(Array, Scalar)


# The commonest operators go straight to theirs, which take their operands either way round, without the
# look at each operand's type with which Cython tells __add__ from __radd__.

ctypedef object (*binaryfunc)(object, object)

cdef extern from "Python.h":
    ctypedef struct PyNumberMethods:
        binaryfunc nb_add, nb_subtract, nb_multiply, nb_true_divide
        binaryfunc nb_inplace_add, nb_inplace_subtract, nb_inplace_multiply, nb_inplace_true_divide

cdef extern from *:
    """
    #define ft_numbers(type) (((PyTypeObject *)(type))->tp_as_number)
    """
    PyNumberMethods *ft_numbers(type)

cdef int take_slots(type kind) except -1:
    ft_numbers(kind).nb_add = add
    ft_numbers(kind).nb_subtract = subtract
    ft_numbers(kind).nb_multiply = multiply
    ft_numbers(kind).nb_true_divide = divide
    return 0

take_slots(Array)
take_slots(Scalar)
ft_numbers(Scalar).nb_inplace_add = add
ft_numbers(Scalar).nb_inplace_subtract = subtract
ft_numbers(Scalar).nb_inplace_multiply = multiply
ft_numbers(Scalar).nb_inplace_true_divide = divide
