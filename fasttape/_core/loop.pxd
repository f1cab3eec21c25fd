# What Cython sees of csrc/loop.h.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t

from fasttape._core.vm cimport ft_vm

cdef extern from "loop.h" nogil:
    ctypedef struct ft_loop_op:
        uint8_t op, f32
        uint16_t unused
        int32_t a, b, c
    ctypedef struct ft_loop:
        int32_t n_constant, n_carry, n_op, n_stream
        const double *constant
        const int32_t *next
        const ft_loop_op *op
        const int64_t *stride
        const uint8_t *stream_f32
    ctypedef void (*ft_loop_fn)(int64_t, int64_t, char * const *, double *) noexcept nogil
    ctypedef struct ft_code:
        uint8_t *bytes
        int64_t n, cap
    ctypedef struct ft_sealed:
        uint8_t *bytes
        int64_t size

# Code that can be called, freed with the object that holds it.
cdef class Code:
    cdef ft_sealed sealed
    cdef ft_loop_fn at(self, int64_t start) noexcept

# Runs iterations by the interpreter; `values` is scratch of n_constant + n_carry + n_op doubles.
cdef void interpret(const ft_loop *loop, int64_t start, int64_t stop, char * const *stream, double *carry,
                    double *values) noexcept nogil

# Whether vector code may have an op.
cdef bint native(int op) noexcept nogil

# Appends a loop's code: where it begins, or -1 where it cannot be emitted (then it is interpreted).
cdef int64_t emit(ft_code *code, const ft_loop *loop, bint vector) except -2

# The code, callable, or None where the system refuses. `code` is left empty.
cdef Code seal(ft_code *code)

# Forgets code that will not be sealed.
cdef void drop(ft_code *code) noexcept
