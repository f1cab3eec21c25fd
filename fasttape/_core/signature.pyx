"""The form of an argument or result: a tree of tuples, lists, dicts and dataclasses, its leaves numbers, arrays, or
fixed.

Floats and arrays of floats are what a program computes with. All else is fixed: whole numbers, truth values,
strings, None, functions, and arrays of integers or truth values. A call with other fixed values is another
signature. A Python float and a float64 are two forms, since the former takes the dtype of a float32 beside it.
"""
import dataclasses
import struct
from collections import OrderedDict

import numpy as np

from cpython.ref cimport Py_INCREF
from cpython.tuple cimport PyTuple_New, PyTuple_SET_ITEM
from libc.stdint cimport int64_t

cimport cython
cimport numpy as cnp

from fasttape._core.capture cimport few_axes, refuse_kin
from fasttape._core.record cimport *
from fasttape._core.tracer cimport Tracer, node_of

cnp.import_array()

cdef extern from "Python.h":
    bint PyFloat_Check(object)
    bint PyFloat_CheckExact(object)
    int Py_EnterRecursiveCall(const char *)
    void Py_LeaveRecursiveCall()

cdef object FLOAT = struct.Struct("d")


cdef inline int go_deeper() except -1:
    """Into a tree, which may hold itself. To be followed by Py_LeaveRecursiveCall, if it does not raise."""
    return -1 if Py_EnterRecursiveCall(b" in a tree of arguments or results") else 0


cdef object fixed_key(object x):
    """What tells fixed values apart: of floats the bits, so that 0.0 is not -0.0 and nan is itself."""
    if isinstance(x, float):
        return type(x), "nan" if x != x else FLOAT.pack(x)
    if isinstance(x, (complex, np.inexact)):
        return type(x), repr(x)
    if isinstance(x, (tuple, frozenset)):           # equal ones may differ in such parts
        return type(x), x, repr(x)
    if type(x) is slice:                            # not hashable before Python 3.12
        return slice, x.start, x.stop, x.step
    return type(x), x


@cython.final
cdef class Form:
    """What one argument looks like."""

    cdef object key(self, bint loose=False):
        """What distinguishes this form, hashable; `loose` is that Python's floats and NumPy's are the same."""
        if self.kind < ARRAY:
            return NUMBER64 if loose and self.kind == PYTHON_FLOAT else self.kind
        if self.kind == ARRAY:
            return self.kind, self.dtype, self.shape
        if self.kind == FIXED_ARRAY:
            return self.kind, self.value.dtype, self.value.shape, self.value.tobytes()
        if self.kind == FIXED:
            return self.kind, fixed_key(self.value)
        return self.kind, self.type, self.names, tuple([(<Form>part).key(loose) for part in self.parts])


cdef Form blank(int kind):
    cdef Form form = Form.__new__(Form)
    form.kind = kind
    return form


# ---- of a value

cdef Form form_of_array(cnp.ndarray a, str where):
    cdef Form form
    refuse_kin(a)
    few_axes(cnp.PyArray_NDIM(a))
    kind = a.dtype.kind
    if kind == "f" and a.dtype.itemsize in (4, 8):
        if cnp.PyArray_NDIM(a) == 0:
            return blank(NUMBER64 if a.dtype.itemsize == 8 else NUMBER32)
        form = blank(ARRAY)
        form.dtype = FT_F64 if a.dtype.itemsize == 8 else FT_F32
        form.ndim = cnp.PyArray_NDIM(a)
        form.shape = (<object>a).shape
        return form
    if kind not in "biu":
        raise TypeError(f"{where} is an array of dtype {a.dtype}; pass float64 or float32, or integers or truth values, "
                        f"which are fixed when the function is traced")
    form = blank(FIXED_ARRAY)
    form.value = np.array(a, copy=True)
    return form


cdef Form form_of_tree(object x, str where, bint static):
    """The form of a tuple, list, dict or dataclass, of which all is fixed where `static`; None for anything else."""
    cdef Form form
    kind = type(x)
    if kind is tuple or (isinstance(x, tuple) and hasattr(kind, "_fields")):
        form = blank(TUPLE)
        parts, steps = x, [f"[{k}]" for k in range(len(x))]
    elif kind is list:
        form = blank(LIST)
        parts, steps = x, [f"[{k}]" for k in range(len(x))]
    elif kind is dict or kind is OrderedDict:
        form = blank(DICT)
        form.names = tuple(x)
        parts, steps = list(x.values()), [f"[{name!r}]" for name in x]
    elif dataclasses.is_dataclass(kind):
        form = blank(RECORD)
        form.names = tuple([field.name for field in dataclasses.fields(kind)])
        parts, steps = [getattr(x, name) for name in form.names], [f".{name}" for name in form.names]
    else:
        return None
    form.type = kind
    go_deeper()
    try:
        form.parts = tuple([form_of_static(part, where + step) if static else form_of(part, where + step)
                            for part, step in zip(parts, steps)])
    finally:
        Py_LeaveRecursiveCall()
    return form


cdef Form form_of_traced(Tracer x, str where):
    cdef int32_t node = node_of(x)
    cdef ft_entry *e = x.tape.t.entry + node
    cdef Form form
    if e.dtype != FT_F64 and e.dtype != FT_F32:
        raise TypeError(f"{where} is a traced array of truth values; pass np.where(mask, 1.0, 0.0), or use it in the traced "
                        f"function alone")
    if e.shape == 0:
        return blank(NUMBER32 if e.dtype == FT_F32 else PYTHON_FLOAT if e.flags & FT_WEAK else NUMBER64)
    form = blank(ARRAY)
    form.dtype = e.dtype
    form.shape = shape_tuple(x.tape, e.shape)
    form.ndim = len(form.shape)
    return form


cdef Form form_of(object x, str where):
    """The form of a value; `where` it stands, for error messages."""
    cdef Form form
    if isinstance(x, Tracer):
        return form_of_traced(x, where)
    if isinstance(x, cnp.ndarray):
        return form_of_array(x, where)
    if type(x) is float:
        return blank(PYTHON_FLOAT)
    if isinstance(x, (float, np.float32)):          # a class made from float is float64's, as in NumPy
        return blank(NUMBER32 if isinstance(x, np.float32) else NUMBER64)
    if isinstance(x, (np.inexact, complex)):
        raise TypeError(f"{where} is a {type(x).__name__}; pass a float")
    form = form_of_tree(x, where, False)
    if form is not None:
        return form
    try:
        hash(fixed_key(x))
    except TypeError:
        raise TypeError(f"{where} is a {type(x).__name__}, which may change without notice: it is neither a float or an "
                        f"array, nor a tuple, list, dict or dataclass of them, nor hashable") from None
    form = blank(FIXED)
    form.value = x
    return form


cdef Form form_of_static(object x, str where):
    """The form of an argument that is fixed although it is, or holds, floats."""
    cdef Form form
    if isinstance(x, np.ndarray):
        refuse_kin(x)
        if x.dtype.hasobject:
            raise TypeError(f"{where} is an array of Python objects, which may change without notice")
        form = blank(FIXED_ARRAY)
        form.value = np.array(x, copy=True)
        return form
    if isinstance(x, (float, complex, np.inexact)):
        form = blank(FIXED)
        form.value = x
        return form
    form = form_of_tree(x, where, True)
    return form_of(x, where) if form is None else form


cdef Form form_of_call(tuple args, dict kwargs, str who, object static):
    """The form of (args, kwargs). `static` holds positions and names of arguments that are fixed."""
    cdef Form form = blank(TUPLE), positional = blank(TUPLE), named = blank(DICT)
    positional.type = form.type = tuple
    named.type = dict
    named.names = tuple(kwargs)
    n = len(args)
    positional.parts = tuple([form_of_static(args[k], f"{who}: argument {k}")
                              if static is not None and (k in static or k - n in static)
                              else form_of(args[k], f"{who}: argument {k}") for k in range(n)])
    named.parts = tuple([form_of_static(x, f"{who}: argument {name}=") if static is not None and name in static
                         else form_of(x, f"{who}: argument {name}=") for name, x in kwargs.items()])
    form.parts = positional, named
    return form


cdef Form form_of_result(object y, str who):
    """The form of what a traced function returned: a tree of traced and plain values."""
    cdef Form form
    if isinstance(y, Tracer):
        node = node_of(<Tracer>y)
        return blank(ARRAY if shape_of((<Tracer>y).tape, node) else NUMBER64)
    if isinstance(y, np.ndarray):
        return form_of_array(y, f"{who}: the function returned what")
    if isinstance(y, float) or isinstance(y, np.float32):
        return blank(NUMBER64)
    if isinstance(y, (bool, int, str, bytes, np.integer, np.bool_)) or y is None:
        form = blank(FIXED)
        form.value = y
        return form
    kind = type(y)
    if kind is tuple or kind is list or (isinstance(y, tuple) and hasattr(kind, "_fields")):
        form = blank(LIST if kind is list else TUPLE)
        parts = y
    elif kind is dict or kind is OrderedDict:
        form = blank(DICT)
        form.names = tuple(y)
        parts = y.values()
    elif dataclasses.is_dataclass(kind):
        form = blank(RECORD)
        form.names = tuple([field.name for field in dataclasses.fields(kind)])
        parts = [getattr(y, name) for name in form.names]
    else:
        raise TypeError(f"{who}: the function returned a {kind.__name__}; a program's results are numbers and arrays, in "
                        f"tuples, lists, dicts and dataclasses")
    form.type = kind
    go_deeper()
    try:
        form.parts = tuple([form_of_result(part, who) for part in parts])
    finally:
        Py_LeaveRecursiveCall()
    return form


# ---- a value of a form

cdef bint same_fixed(object a, object b):
    if a is b:
        return True
    if type(a) is not type(b):
        return False
    try:
        return bool(fixed_key(a) == fixed_key(b))
    except Exception:
        return False


cdef bint fits(Form form, object x, list leaves, bint loose) except -1:
    """Whether x has this form, as far as can be told at a glance; its numbers and arrays are appended to
    `leaves`. What is unusual (a subclass, an array of no axes) does not fit, and is looked at by `form_of`."""
    cdef int k
    cdef tuple shape
    cdef cnp.ndarray a
    if form.kind == PYTHON_FLOAT:
        if not PyFloat_CheckExact(x) and not (loose and PyFloat_Check(x)):
            return False
        leaves.append(x)
        return True
    if form.kind == NUMBER64:
        if not PyFloat_Check(x) or (PyFloat_CheckExact(x) and not loose):
            return False
        leaves.append(x)
        return True
    if form.kind == ARRAY:
        if not cnp.PyArray_CheckExact(x):
            return False
        a = x
        if cnp.PyArray_NDIM(a) != form.ndim or cnp.PyArray_TYPE(a) != \
                (cnp.NPY_FLOAT if form.dtype else cnp.NPY_DOUBLE):
            return False
        shape = form.shape
        for k in range(form.ndim):
            if cnp.PyArray_DIM(a, k) != <cnp.npy_intp>shape[k]:
                return False
        leaves.append(x)
        return True
    if form.kind == NUMBER32:
        if not isinstance(x, np.float32):
            return False
        leaves.append(x)
        return True
    if form.kind == FIXED:
        return same_fixed(form.value, x)
    if form.kind == FIXED_ARRAY:
        if not cnp.PyArray_CheckExact(x) or x.dtype != form.value.dtype or x.shape != form.value.shape:
            return False
        return x.tobytes() == form.value.tobytes() if x.dtype.kind not in "biu" else bool((x == form.value).all())
    if type(x) is not form.type:
        return False
    if form.kind == RECORD:
        x = [getattr(x, name) for name in form.names]
    elif form.kind == DICT:
        if tuple(x) != form.names:
            return False
        x = list(x.values())
    if len(x) != len(form.parts):
        return False
    for k in range(len(form.parts)):
        if not fits(<Form>form.parts[k], x[k], leaves, loose):
            return False
    return True


cdef object parts_of(Form form, object x):
    """The parts of a tree of this form."""
    if form.kind == DICT:
        return x.values()
    return [getattr(x, name) for name in form.names] if form.kind == RECORD else x


cdef int gather(Form form, object x, list leaves) except -1:
    """Append the numbers and arrays of x, which has this form."""
    if form.kind <= ARRAY:
        leaves.append(x)
    elif form.parts is not None:
        for part, y in zip(form.parts, parts_of(form, x)):
            gather(part, y, leaves)
    return 0


cdef int leaf_forms(Form form, list out) except -1:
    if form.kind <= ARRAY:
        out.append(form)
    elif form.parts is not None:
        for part in form.parts:
            leaf_forms(part, out)
    return 0


cdef object rebuilt(Form form, list leaves):
    """A value of this form, its numbers and arrays taken from a list."""
    cdef int64_t at = 0
    return rebuilt_from(form, leaves, &at)


cdef object rebuilt_from(Form form, list leaves, int64_t *at):
    cdef tuple made_tuple
    cdef int64_t k, n
    if form.kind <= ARRAY:
        at[0] += 1
        return leaves[at[0] - 1]
    if form.kind == FIXED:
        return form.value
    if form.kind == FIXED_ARRAY:
        return form.value.copy()
    if form.type is tuple:
        n = len(form.parts)
        made_tuple = PyTuple_New(n)
        for k in range(n):
            part = rebuilt_from(<Form>form.parts[k], leaves, at)
            Py_INCREF(part)
            PyTuple_SET_ITEM(made_tuple, k, part)
        return made_tuple
    parts = [rebuilt_from(part, leaves, at) for part in form.parts]
    if form.kind == LIST:
        return parts
    if form.kind == DICT:
        return form.type(zip(form.names, parts))
    if form.kind == RECORD:
        made = object.__new__(form.type)            # not by __init__, which may check or make its own
        for name, part in zip(form.names, parts):
            object.__setattr__(made, name, part)
        return made
    return form.type._make(parts)


cdef bint has_traced(object x) except -1:
    """Whether x is a traced value or a tree with one in it."""
    if isinstance(x, Tracer):
        return True
    if isinstance(x, dict):
        x = list(x.values())
    elif dataclasses.is_dataclass(x) and not isinstance(x, type):
        x = [getattr(x, field.name) for field in dataclasses.fields(x)]
    elif not isinstance(x, (tuple, list)):
        return False
    go_deeper()
    try:
        for part in x:
            if has_traced(part):
                return True
    finally:
        Py_LeaveRecursiveCall()
    return False


# ---- for people

cdef str written(Form form):
    """A few words on a form: float64[3, 4]."""
    if form.kind < ARRAY:
        return "float32" if form.kind == NUMBER32 else "float64" if form.kind == NUMBER64 else "float"
    if form.kind == ARRAY:
        return f"{'float32' if form.dtype else 'float64'}{list(form.shape)}"
    if form.kind == FIXED_ARRAY:
        return f"{form.value.dtype}{list(form.value.shape)} fixed"
    if form.kind == FIXED:
        text = repr(form.value)
        return text if len(text) <= 40 else text[:37] + "..."
    parts = [written(part) for part in form.parts]
    if form.kind == DICT:
        return "{" + ", ".join([f"{name!r}: {part}" for name, part in zip(form.names, parts)]) + "}"
    if form.kind == LIST:
        return f"[{', '.join(parts)}]"
    if form.type is tuple:
        return f"({', '.join(parts)}{',' if len(parts) == 1 else ''})"
    names = form.names if form.kind == RECORD else form.type._fields
    return f"{form.type.__name__}({', '.join([f'{name}={part}' for name, part in zip(names, parts)])})"


cdef str unlike(Form form, Form other, str where):
    """What of `other`, which stands at `where`, is not as `form` has it: the first difference, or None."""
    cdef int k
    if form.key(True) == other.key(True):
        return None
    if form.parts is None or form.type is not other.type:
        if form.kind == FIXED_ARRAY and written(form) == written(other):
            return f"{where} is {written(other)}, of other elements"
        return f"{where} is {written(other)}, and was {written(form)}"
    if form.names != other.names:
        return f"{where} has the names {list(other.names)}, and had {list(form.names)}"
    if len(form.parts) != len(other.parts):
        return f"{where} has {len(other.parts)} parts, and had {len(form.parts)}"
    for k in range(len(form.parts)):
        step = f"[{k}]" if form.kind in (TUPLE, LIST) else f"[{form.names[k]!r}]" if form.kind == DICT else f".{form.names[k]}"
        different = unlike(form.parts[k], other.parts[k], where + step)
        if different is not None:
            return different
    return None


cdef str unlike_call(Form form, Form other):
    """What of a call's arguments is not as this form has it: the first difference."""
    cdef Form positional = form.parts[0], named = form.parts[1], others = other.parts[0], other_named = other.parts[1]
    cdef int k
    if len(others.parts) != len(positional.parts):
        return f"there are {len(others.parts)} positional arguments, and were {len(positional.parts)}"
    if other_named.names != named.names:
        return f"the keywords are {list(other_named.names)}, and were {list(named.names)}"
    for k in range(len(positional.parts)):
        different = unlike(positional.parts[k], others.parts[k], f"argument {k}")
        if different is not None:
            return different
    for k in range(len(named.parts)):
        different = unlike(named.parts[k], other_named.parts[k], f"argument {named.names[k]}=")
        if different is not None:
            return different
    return "they are of the same form"
