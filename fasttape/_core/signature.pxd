# What the arguments and results of a kept program look like.
cdef enum:
    NUMBER64, NUMBER32, ARRAY, FIXED_ARRAY, FIXED, TUPLE, LIST, DICT

cdef class Form:
    cdef int kind
    cdef int ndim, dtype
    cdef object shape, value        # of an array; of what is fixed
    cdef tuple parts                # forms
    cdef tuple names                # of a dict
    cdef object type                # of a tuple: it may be a named one

    cdef object key(self)

cdef Form form_of(object x)
cdef bint fits(Form form, object x, list leaves) except -1
cdef object rebuilt(Form form, object leaves)
