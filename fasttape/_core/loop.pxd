from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t

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
    ctypedef void (*ft_loop_fn)(int64_t, int64_t, char **, double *) noexcept nogil
    enum:
        FT_L_LOAD, FT_L_STORE, FT_L_CAST
