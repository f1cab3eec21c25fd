# What the arguments and results of a kept program look like.
cdef enum:
    NUMBER64, NUMBER32, PYTHON_FLOAT, ARRAY, FIXED_ARRAY, FIXED, TUPLE, LIST, DICT, RECORD

cdef class Form:
    cdef int kind
    cdef int ndim, dtype
    cdef object shape, value        # of an array; of what is fixed
    cdef tuple parts                # forms
    cdef tuple names                # of a dict, and of a dataclass's fields
    cdef object type                # of a tree: it may be a named tuple or a dataclass

    cdef object key(self, bint loose=*)

cdef Form blank(int kind)
cdef Form form_of(object x, str where)
cdef Form form_of_call(tuple args, dict kwargs, str who, object static)
cdef Form form_of_result(object y, str who)
cdef bint fits(Form form, object x, list leaves, bint loose) except -1
cdef int gather(Form form, object x, list leaves) except -1
cdef int leaf_forms(Form form, list out) except -1
cdef object rebuilt(Form form, list leaves)
cdef bint has_traced(object x) except -1
cdef str unlike_call(Form form, Form other)
cdef str written(Form form)
