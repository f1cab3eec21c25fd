# Loops on a tape: what they read, what they compute in order, what they leave.
from libc.stdint cimport int32_t, int64_t, uint8_t

from fasttape._core.loop cimport Code, ft_loop, ft_loop_fn
from fasttape._core.tape cimport *

cdef class Loop:
    cdef ft_loop code
    cdef int64_t count
    cdef object memory              # what `code` points into
    cdef int32_t *stream            # by stream: the node it reads, or ~result it writes
    cdef int32_t *first             # by carry: the node it begins as
    cdef int32_t *last              # by carry: the result that it ends as, or -1
    cdef int64_t n_value
    cdef ft_loop_fn function        # machine code for it, or NULL
    cdef Code machine_code          # what holds that

cdef int make_code(list loops) except -1

cdef class LoopMaker:
    cdef Tape tape
    cdef int64_t count
    cdef list constants, streams, strides, narrow, firsts, lasts, nexts, ops, results
    cdef dict constant_of, load_of, last_of

    cdef int stream(self, int32_t node, int64_t stride, bint narrow) except -1
    cdef int result(self, int dtype, int32_t shape) except -1
    cdef int64_t number(self, int64_t value) noexcept
    cdef int64_t constant(self, double value) except? -1
    cdef int64_t carry(self, int32_t node) except? -1
    cdef int64_t load(self, int32_t node) except? -1
    cdef int64_t op(self, int op, int f32, list operands) except? -1
    cdef int64_t store(self, int64_t value, int dtype) except -1
    cdef int64_t last(self, int64_t value, int dtype) except -1
    cdef int next(self, int64_t carry, int64_t value) except -1
    cdef Loop build(self)
    cdef list finish(self)
