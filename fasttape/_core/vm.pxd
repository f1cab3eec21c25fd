# What Cython sees of csrc/tape.h and csrc/vm.h.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

cdef extern from "tape.h" nogil:
    ctypedef struct ft_entry:
        uint8_t op, dtype
        uint16_t flags
        int32_t shape, a, b, aux
    enum:
        FT_DONE, FT_ACTIVE, FT_NEED, FT_EXEC, FT_INRUN, FT_OWNED, FT_FIXED, FT_WEAK
    enum:
        FT_F64, FT_F32, FT_B64, FT_B32, FT_I64
    ctypedef union ft_value:
        double f
        void *p
    ctypedef struct ft_shape:
        int64_t size
        int32_t ndim, at
    ctypedef struct ft_view:
        int64_t offset
        int32_t shape, base, at, contiguous
    ctypedef struct ft_watch:
        const char *data
        int64_t size, at
        uint64_t sum[32]
    ctypedef struct ft_tape:
        ft_entry *entry
        ft_value *val
        int32_t *last
        int64_t n, cap
        ft_shape *shape
        int64_t n_shape, cap_shape
        ft_view *view
        int64_t n_view, cap_view
        int64_t *dims
        int64_t n_dims, cap_dims
        int32_t *args
        int64_t n_args, cap_args
        ft_watch *watch
        int64_t n_watch, cap_watch

cdef extern from "vm.h" nogil:
    enum:
        FT_L_LOAD, FT_L_STORE, FT_L_CAST
    enum:
        FT_N_MAP, FT_N_OPS, FT_BLOCK, FT_WHOLE, FT_LONG, FT_MAX_DIMS
        FT_K_SPLAT, FT_K_CAST, FT_K_SINCOS
        FT_STEP_MAP, FT_STEP_LOAD, FT_STEP_SUM, FT_STEP_CODE, FT_STEP_STREAM, FT_STREAMS
        FT_I_SCALARS, FT_I_RUN, FT_I_COPY, FT_I_ZERO, FT_I_WEAVE, FT_MOST_COLUMNS
        FT_W_END, FT_W_D, FT_W_A, FT_W_B, FT_W_C, FT_W_Y, FT_W_CONSTANT
    enum:
        OP_add, OP_subtract, OP_multiply, OP_divide, OP_negative, OP_positive, OP_absolute
        OP_square, OP_sin, OP_cos, OP_sqrt, OP_reciprocal, OP_power, OP_remainder, OP_floor_divide, OP_equal
        OP_not_equal, OP_rint, OP_ldexp, OP_less, OP_scale, OP_scale_both, OP_add_scaled, OP_ratio, OP_sqrt0
        OP_logical_and, OP_logical_or, OP_logical_xor, OP_logical_not, OP_where, OP_greater, OP_greater_equal, OP_less_equal
        OP_input, OP_constant, OP_cast, OP_view, OP_get, OP_pad, OP_add_region, OP_update
        OP_add_at, OP_set_at, OP_sum, OP_max, OP_min, OP_matmul, OP_take, OP_put_add
        OP_assemble, OP_pack, OP_loop, OP_program, OP_call
        OP_sign, OP_maximum, OP_minimum, OP_fmax, OP_fmin, OP_stop_gradient
    ctypedef void (*ft_kernel)(ssize_t, void *, const void *, const void *, const void *) noexcept nogil
    ctypedef struct ft_step:
        ft_kernel kernel
        void *code
        char *at[4]
        int32_t step[4]
        int32_t kind, view, rows
    ctypedef struct ft_instr:
        int32_t op, node
        int64_t lo, hi
        void *y
        const void *a
        const void *b
        int32_t view_a, view_b, shape_a, shape_b
        int64_t n, block
    ctypedef void (*ft_gufunc_loop)(char **, const ssize_t *, const ssize_t *, void *) noexcept nogil
    ctypedef struct ft_library:
        ft_gufunc_loop matmul[2]
        void *matmul_data[2]
    ctypedef struct ft_run:
        const ft_instr *instr
        int64_t n_instr, next, entry, block
        const ft_step *step
    ctypedef struct ft_field:
        char **at
        ssize_t delta
    ctypedef void (*ft_drive)() noexcept nogil
    ctypedef struct ft_call:
        ft_drive drive
        void *self
        const ft_tape *tape
        ft_run run
        int64_t n_input, n_output
        const int32_t *output
        const uint8_t *moves
        const int64_t *first
        const ft_field *field
    void ft_lay(const ft_call *, int64_t, int32_t, char *)
    ctypedef struct ft_part:
        int64_t begin, size
        const int64_t *index
        int64_t step
    ctypedef struct ft_vm:
        const char *name
        double (*scalar)(int, double, double, double) noexcept nogil
        int (*run)(const ft_tape *, const ft_library *, ft_run *) noexcept nogil
        ft_kernel (*kernel)(int, int, int) noexcept nogil
        void (*copy)(const ft_tape *, int, int, const void *, void *) noexcept nogil
        void (*pick)(int, void *, const void *, const int64_t *, int64_t, int64_t) noexcept nogil
        int (*places)(int64_t *, const int64_t *, int64_t, int64_t) noexcept nogil
        int (*unlike)(int, const void *, int, int64_t) noexcept nogil
        void (*columns)(int, void *, int64_t, int64_t, const ft_part *, int64_t) noexcept nogil
        void (*check)(ft_watch *, int64_t) noexcept nogil
    ctypedef struct ft_row:
        const char *name
        const char *doc
        const char *domain[3]
        int arity, truth
        const uint8_t *partial[3]

# The copy of the virtual machine in use, and the op table. Pointers, since a C array of another
# extension module cannot be imported.
cdef const ft_vm *machine
cdef ft_library library
cdef const ft_row *rows
cdef const double *constants
