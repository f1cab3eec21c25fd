/* The virtual machine: instructions in, numbers out. No Python, no GIL.
 *
 * One copy of it is compiled per instruction set (csrc/isa); `ft_choose_vm` picks one at import.
 */
#ifndef FT_VM_H
#define FT_VM_H
#include <stddef.h>
#include "loop.h"
#include "tape.h"

enum {
#define VEC1(name, ...) OP_##name,
#define MAP1(name, ...) OP_##name,
#define VEC2(name, ...) OP_##name,
#define MAP2(name, ...) OP_##name,
#define MAP3(name, ...) OP_##name,
#define TEST1(name, ...) OP_##name,
#define TEST2(name, ...) OP_##name,
#include "ops.h"
    FT_N_MAP,
    FT_BEFORE_STRUCTURAL = FT_N_MAP - 1,
#define X(name) OP_##name,
    FT_STRUCTURAL(X)
#undef X
    FT_N_OPS
};

enum { FT_L_LOAD = FT_N_MAP, FT_L_STORE, FT_L_CAST };   /* of a loop body, beside the elementwise opcodes */

enum { FT_BLOCK = 256 };        /* elements of a block: 2 KiB of float64, so that a run of a dozen rows stays in L1 */
enum { FT_WHOLE = 2 * FT_BLOCK };   /* a run of no more elements is one block: half the dispatches */
enum { FT_LONG = 1 << 14 };     /* a block of a run that needs no scratch rows */
enum { FT_MOST_COLUMNS = 256 };  /* that one instruction weaves */
enum { FT_MAX_DIMS = 34 };      /* NumPy allows 32, a stacked seed adds one */
/* Kernels that are no op: a scalar spread, a change of dtype, sin into y and cos into b. */
enum { FT_K_SPLAT = FT_N_OPS, FT_K_CAST, FT_K_SINCOS };

/* A kernel of the block loop over n elements; a scalar operand is a `const double *`. */
typedef void (*ft_kernel)(ptrdiff_t n, void *y, const void *a, const void *b, const void *c);

/* One step of a run. Operand k of block i is at[k] + i * FT_BLOCK * step[k]: step is 0 for a
 * scratch row or a scalar, the item size for memory. */
typedef struct {
    union {
        ft_kernel kernel;
        ft_loop_fn code;
    };
    char *at[4];                /* y, a, b, c */
    int32_t step[4];
    int32_t kind;               /* FT_STEP_... */
    int32_t view;               /* of a load: the strided operand; of code: how many streams follow */
    int32_t rows;               /* bit k: at[k] is an offset into the scratch rows, until the plan ends */
} ft_step;

enum { FT_STEP_MAP, FT_STEP_LOAD, FT_STEP_SUM, FT_STEP_CODE, FT_STEP_STREAM };
enum { FT_STREAMS = 256 };       /* of a step of machine code, at most */

typedef struct {                /* one instruction */
    int32_t op;                 /* FT_I_... or a structural opcode */
    int32_t node;
    int64_t lo, hi;             /* scalars: entries; run, assemble, weave: steps */
    void *y;
    const void *a, *b;
    int32_t view_a, view_b;     /* -1 where the operand is contiguous */
    int32_t shape_a, shape_b;
    int64_t n;                  /* run: elements; loop: iterations; weave: columns */
    int64_t block;              /* run: elements of a block */
} ft_instr;

enum { FT_I_SCALARS = FT_N_OPS, FT_I_RUN, FT_I_COPY, FT_I_ZERO, FT_I_WEAVE };

typedef void (*ft_gufunc_loop)(char **, ptrdiff_t const *, ptrdiff_t const *, void *);

typedef struct {                /* NumPy's inner loops, found at import */
    ft_gufunc_loop matmul[2];   /* float64, float32 */
    void *matmul_data[2];
} ft_library;

/* Where a program stands: what is run next, and what is left of the work it may do before it must
 * let the caller look for signals. */
typedef struct {
    const ft_instr *instr;
    int64_t n_instr, next;
    int64_t entry;              /* the next entry within a scalar instruction; 0 at its start */
    int64_t block;              /* the next block within a run */
    const ft_step *step;
} ft_run;

typedef struct {                /* a pointer of a plan that goes into an array, `delta` bytes from where it begins */
    char **at;
    ptrdiff_t delta;
} ft_field;

struct ft_vm;
struct ft_call;
/* Runs what is no plan; `place` holds a step for each argument and result. Returns as ft_vm's run. */
typedef int (*ft_drive)(struct ft_call *, const struct ft_vm *, const ft_library *, const ft_step *place, int begun);

/* A kept plan, or a loop over one, as its caller sees it. Its places are its arguments, then its results; the
 * arguments of a plan are its tape's first nodes. */
typedef struct ft_call {
    ft_drive drive;             /* NULL: a plan */
    void *self;                 /* what `drive` knows */
    const ft_tape *tape;
    ft_run run;
    int64_t n_input, n_output;
    const int32_t *output;      /* nodes */
    const uint8_t *moves;       /* by place: an array, which lies elsewhere at each call */
    const int64_t *first;       /* by place: its first field; then the end */
    const ft_field *field;
} ft_call;

/* Let the array of this place, whose node is given, lie at `data`. */
static inline void ft_lay(const ft_call *c, int64_t place, int32_t node, char *data) {
    c->tape->val[node].p = data;
    for (int64_t k = c->first[place]; k < c->first[place + 1]; k++) *c->field[k].at = data + c->field[k].delta;
}

typedef double (*ft_function)(double a, double b, double c);

typedef struct {                /* a part of the columns of a matrix of blocks, a block for each lane */
    int64_t begin, size;        /* where it begins, and how many of them a block has */
    const int64_t *index;       /* which of its runs of so many: index[lane], or where that is NULL */
    int64_t step;               /*     lane * step */
} ft_part;

typedef struct ft_vm {
    const char *name;
    double (*scalar)(int op, double a, double b, double c);
    int (*run)(const ft_tape *, const ft_library *, ft_run *);   /* 0 done, 1 call again, -1 no memory */
    ft_kernel (*kernel)(int op, int f32, int variant);           /* variant: bit k, operand k is a scalar */
    void (*copy)(const ft_tape *, int view, int dtype, const void *from, void *to);
    /* m rows of n: element j of each row of m that lies at a place, in row j */
    void (*pick)(int f32, void *y, const void *a, const int64_t *place, int64_t m, int64_t n);
    int (*places)(int64_t *to, const int64_t *from, int64_t rows, int64_t n);    /* of an index; see vm.c */
    int (*unlike)(int f32, const void *x, int seen, int64_t n);                  /* a truth value is not the one seen */
    void (*columns)(int wide, void *y, int64_t lanes, int64_t rows, const ft_part *part, int64_t n);             /* kernels/blocks.h */
    void (*check)(ft_watch *, int64_t upto);                     /* go on with a checksum */
    void (*loop)(const ft_loop *, int64_t from, int64_t to, char *const *stream, double *carry, double *values);
    const ft_function *function;                                 /* of each elementwise op */
} ft_vm;

typedef struct {                /* a row of the table, for the sweeps and the tests */
    const char *name, *doc;
    const char *domain[3];
    int arity, truth;
    const uint8_t *partial[3];  /* in postfix; see rows.c */
} ft_row;

extern const ft_row ft_rows[FT_N_MAP];
extern const char *const ft_op_names[FT_N_OPS];
extern const double ft_constants[];

const ft_vm *ft_vm_named(const char *name);   /* NULL: not in this build or not on this processor */
const ft_vm *ft_choose_vm(void);

enum { FT_W_END = 0xff, FT_W_D = 0xf0, FT_W_A, FT_W_B, FT_W_C, FT_W_Y, FT_W_CONSTANT = 0xe0 };
#endif
