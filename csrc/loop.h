#ifndef FT_LOOP_H
#define FT_LOOP_H
#include <stdint.h>
typedef struct { uint8_t op, f32; uint16_t unused; int32_t a, b, c; } ft_loop_op;
typedef struct {
    int32_t n_constant, n_carry, n_op, n_stream;
    const double *constant;
    const int32_t *next;
    const ft_loop_op *op;
    const int64_t *stride;
    const uint8_t *stream_f32;
} ft_loop;
typedef void (*ft_loop_fn)(int64_t from, int64_t to, char *const *stream, double *carry);
enum { FT_L_LOAD = 250, FT_L_STORE, FT_L_CAST };
#endif
