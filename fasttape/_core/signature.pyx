"""The form of an argument or result: a tree of tuples, lists and dicts, its leaves numbers, arrays, or fixed.

Floats and arrays of floats are what a program computes with. All else is fixed: whole numbers, truth values,
strings, None, functions, and arrays of integers or truth values. A call with other fixed values is another
signature.
"""
import numpy as np

cimport cython
cimport numpy as cnp

from cpython.float cimport PyFloat_CheckExact

from fasttape._core.capture cimport refuse_kin
from fasttape._core.tape cimport Tape
from fasttape._core.record cimport shape_tuple, shape_of
from fasttape._core.tracer cimport Tracer, node_of
from fasttape._core.vm cimport FT_F32, FT_F64, FT_B64

cnp.import_array()


@cython.final
cdef class Form:
    """What one argument looks like."""

    cdef object key(self):
        """What distinguishes this form, hashable."""
        if self.kind <= NUMBER32:
            return self.kind
        if self.kind == ARRAY:
            return self.kind, self.dtype, self.shape
        if self.kind == FIXED_ARRAY:
            return self.kind, self.value.dtype.str, self.value.shape, self.value.tobytes()
        if self.kind == FIXED:
            try:
                hash(self.value)
            except TypeError:
                return self.kind, type(self.value), id(self.value)
            return self.kind, type(self.value), self.value
        return self.kind, self.type, self.names, tuple([(<Form>part).key() for part in self.parts])


cdef Form blank(int kind):
    cdef Form form = Form.__new__(Form)
    form.kind = kind
    return form


cdef Form form_of(object x):
    """The form of a value."""
    cdef Form form
    cdef cnp.ndarray a
    if isinstance(x, Tracer):
        return form_of_traced(x)
    if isinstance(x, cnp.ndarray):
        refuse_kin(x)
        a = x
        kind = a.dtype.kind
        if kind == "f" and a.dtype.itemsize in (4, 8):
            if cnp.PyArray_NDIM(a) == 0:
                return blank(NUMBER64 if a.dtype.itemsize == 8 else NUMBER32)
            form = blank(ARRAY)
            form.dtype = FT_F64 if a.dtype.itemsize == 8 else FT_F32
            form.ndim = cnp.PyArray_NDIM(a)
            form.shape = (<object>a).shape
            return form
        form = blank(FIXED_ARRAY)
        form.value = np.array(a, copy=True)
        return form
    if isinstance(x, float) or (isinstance(x, np.floating) and x.dtype.itemsize <= 4):
        return blank(NUMBER32 if isinstance(x, np.float32) else NUMBER64)
    if isinstance(x, (tuple, list, dict)):
        form = blank(TUPLE if isinstance(x, tuple) else LIST if isinstance(x, list) else DICT)
        form.type = type(x)
        if form.kind == DICT:
            form.names = tuple(x)
            x = list(x.values())
        form.parts = tuple([form_of(part) for part in x])
        return form
    form = blank(FIXED)
    form.value = x
    return form


cdef Form form_of_traced(Tracer x):
    cdef Tape tape = x.tape
    node = node_of(x)
    cdef int dtype = tape.t.entry[<int>node].dtype
    cdef Form form
    if shape_of(tape, node) == 0:
        return blank(NUMBER32 if dtype & 1 else NUMBER64)
    form = blank(ARRAY)
    form.dtype = dtype & 1
    form.shape = shape_tuple(tape, shape_of(tape, node))
    form.ndim = len(form.shape)
    return form


cdef bint same_fixed(object a, object b):
    if a is b:
        return True
    if type(a) is not type(b):
        return False
    try:
        return bool(a == b)
    except Exception:
        return False


cdef bint fits(Form form, object x, list leaves) except -1:
    """Whether x has this form; its numbers and arrays are appended to `leaves`."""
    cdef int k
    cdef tuple shape
    cdef cnp.ndarray a
    if form.kind == NUMBER64:
        if not PyFloat_CheckExact(x) and (isinstance(x, Tracer) or not isinstance(x, float)) \
                and form_of(x).kind != NUMBER64:
            return False
        leaves.append(x)
        return True
    if form.kind == ARRAY:
        if cnp.PyArray_CheckExact(x):
            a = x
            if cnp.PyArray_NDIM(a) != form.ndim or cnp.PyArray_TYPE(a) != \
                    (cnp.NPY_FLOAT if form.dtype else cnp.NPY_DOUBLE):
                return False
            shape = form.shape
            for k in range(form.ndim):
                if cnp.PyArray_DIM(a, k) != <cnp.npy_intp>shape[k]:
                    return False
        elif not isinstance(x, (Tracer, np.ndarray)) or form_of(x).key() != form.key():
            return False
        leaves.append(x)
        return True
    if form.kind == NUMBER32:
        if form_of(x).kind != NUMBER32:
            return False
        leaves.append(x)
        return True
    if form.kind == FIXED:
        return same_fixed(form.value, x)
    if form.kind == FIXED_ARRAY:
        return isinstance(x, np.ndarray) and x.dtype == form.value.dtype and x.shape == form.value.shape \
            and bool((x == form.value).all())
    if type(x) is not form.type or len(x) != len(form.parts):
        return False
    if form.kind == DICT:
        if tuple(x) != form.names:
            return False
        x = list(x.values())
    for k in range(len(form.parts)):
        if not fits(<Form>form.parts[k], x[k], leaves):
            return False
    return True


cdef object rebuilt(Form form, object leaves):
    """A value of this form, its numbers and arrays taken from an iterator."""
    if form.kind <= ARRAY:
        return next(leaves)
    if form.kind == FIXED:
        return form.value
    if form.kind == FIXED_ARRAY:
        return form.value.copy()
    parts = [rebuilt(part, leaves) for part in form.parts]
    if form.kind == LIST:
        return parts
    if form.kind == DICT:
        return dict(zip(form.names, parts))
    return tuple(parts) if form.type is tuple else form.type(*parts)
