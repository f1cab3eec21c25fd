/* Loop bodies: short straight lines of scalar ops that are run for a range of iterations, by an
 * interpreter (loop/interpret.h, one per instruction set) or as machine code (loop/emit.c).
 *
 * Both give the bits of the scalar loop of vm.c, but for the bits of a nan. Neither knows a tape.
 */
#ifndef FT_LOOP_H
#define FT_LOOP_H
#include <stdint.h>

struct ft_vm;

/* Op k of a body defines value n_constant + n_carry + k, which FT_L_STORE leaves undefined. It is an
 * elementwise opcode (operands are earlier values), FT_L_LOAD (a: stream), FT_L_STORE (a: stream,
 * b: value) or FT_L_CAST (a). The result is rounded to float32 where f32 is set. */
typedef struct {
    uint8_t op, f32;
    uint16_t unused;
    int32_t a, b, c;
} ft_loop_op;

typedef struct {
    int32_t n_constant, n_carry, n_op, n_stream;
    const double *constant;     /* values 0 .. n_constant - 1 */
    const int32_t *next;        /* carry j, value n_constant + j, is value next[j] in the next iteration */
    const ft_loop_op *op;
    const int64_t *stride;      /* of a stream: bytes an iteration, of any sign; 0: one element for all */
    const uint8_t *stream_f32;  /* of a stream: float32 elements, not float64 */
} ft_loop;

/* Iterations [from, to). Element i of stream k is at stream[k] + i * stride[k]. The carries are read at
 * the start and written back at the end, so that a long loop may be run in chunks. Loads and stores are in
 * program order, except in vector code: there a stored element may be loaded only by its own iteration. */
typedef void (*ft_loop_fn)(int64_t from, int64_t to, char *const *stream, double *carry);

/* The interpreter; `values` is scratch of n_constant + n_carry + n_op doubles. */
void ft_loop_run(const struct ft_vm *, const ft_loop *, int64_t from, int64_t to, char *const *stream, double *carry,
                 double *values);

/* Machine code while it is being written. All zero is empty. */
typedef struct {
    uint8_t *bytes;
    int64_t n, cap;
} ft_code;

/* Machine code that can be called. */
typedef struct {
    uint8_t *bytes;
    int64_t size;
} ft_sealed;

enum { FT_NO_CODE = -1, FT_CODE_NO_MEMORY = -2 };

/* 0: this processor has no emitter. Otherwise the elements of a vector. */
int ft_loop_lanes(void);

/* Whether there are instructions for an op, so that vector code may have it. */
int ft_loop_native(int op);

/* Appends a function's code and returns where it begins; FT_NO_CODE where the loop cannot be emitted.
 * lanes is 1, or ft_loop_lanes() for vector code: no carry, native ops alone, loads of stride 0 or the
 * element size, stores of the element size. */
int64_t ft_emit(ft_code *, const struct ft_vm *, const ft_loop *, int lanes);

/* Bytes are first written, then executable, never both. 0, or -1 where the system refuses. */
int ft_seal(const ft_code *, ft_sealed *);
void ft_free_sealed(ft_sealed *);
void ft_free_code(ft_code *);
#endif
