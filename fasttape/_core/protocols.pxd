# NumPy's protocols over tracers.
cdef int opcode(object ufunc) except -2
cdef object apply_ufunc(int op, tuple inputs)
cdef object uncommon_ufunc(object ufunc, str method, tuple inputs, object out, object axis, object keepdims, list extras)
cdef object call_function(object func, tuple args, dict kwargs)
