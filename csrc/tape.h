/* What a tape is made of, for the Cython that writes it and the virtual machine that runs it.
 *
 * A tape is a list of entries; an entry's index is its node. Nothing here points into another array,
 * since any of them may move when it grows. Layouts only: no function, no op.
 */
#ifndef FT_TAPE_H
#define FT_TAPE_H
#include <stdint.h>

/* One recorded op, 20 bytes. `a`, `b` and, where the op has three operands, `aux` are earlier nodes;
 * otherwise `aux` is a view, a mask of axes, an element's place, or a place in `args`. */
typedef struct {
    uint8_t op, dtype;
    uint16_t flags;
    int32_t shape;              /* 0 is (): the node is a scalar and its value lives in `val` */
    int32_t a, b, aux;
} ft_entry;

enum {                          /* flags of an entry */
    FT_DONE = 1,                /* val holds the value */
    FT_ACTIVE = 2,              /* depends on an input that is being differentiated */
    FT_NEED = 4,                /* the plan in progress wants it */
    FT_EXEC = 8,                /* the scalar loop is to run it */
    FT_INRUN = 16,              /* belongs to the plan's open run */
    FT_OWNED = 32,              /* val.p was taken from the tape's own buffers */
    FT_FIXED = 64,              /* val.p is set before the plan: an output written in place */
    FT_WEAK = 128               /* was a Python number: takes the dtype of what stands beside it */
};

enum { FT_F64, FT_F32, FT_B64, FT_B32, FT_I64 };   /* B: a truth value held as 0.0 or 1.0 */

typedef union {
    double f;
    void *p;
} ft_value;

typedef struct {                /* a shape; its extents are dims[at .. at + ndim) of the tape */
    int64_t size;
    int32_t ndim, at;
} ft_shape;

typedef struct {                /* a region of a contiguous base; strides and offset in elements */
    int64_t offset;
    int32_t shape, base;        /* shape of the region, shape of the base */
    int32_t at;                 /* strides are dims[at .. at + ndim) of the tape */
    int32_t contiguous;
} ft_view;

typedef struct {                /* captured memory that is held, and a checksum of its first `at` bytes */
    const char *data;
    int64_t size, at;
    uint64_t sum[32];
} ft_watch;

typedef struct {
    ft_entry *entry;
    ft_value *val;
    int32_t *last;              /* of the plan in progress: the last needed reader of a node */
    int64_t n, cap;
    ft_shape *shape;
    int64_t n_shape, cap_shape;
    ft_view *view;
    int64_t n_view, cap_view;
    int64_t *dims;
    int64_t n_dims, cap_dims;
    int32_t *args;              /* operand lists of the ops that take any number */
    int64_t n_args, cap_args;
    ft_watch *watch;
    int64_t n_watch, cap_watch;
} ft_tape;

/* The structural ops, after the elementwise ones of ops.h. */
#define FT_STRUCTURAL(X) \
    X(input)      /* val is given */ \
    X(constant)   /* a scalar, val is given */ \
    X(cast)       /* a in another dtype */ \
    X(view)       /* region aux of the root a */ \
    X(get)        /* element aux of the root a, a scalar */ \
    X(pad)        /* zeros of the view's base shape with a in region aux */ \
    X(add_region) /* a with b added into region aux */ \
    X(update)     /* a with region aux replaced by b */ \
    X(add_at)     /* a with the scalar b added at element aux */ \
    X(set_at)     /* a with element aux replaced by the scalar b */ \
    X(sum)        /* over the axes of the mask aux; bit j is axis -1-j */ \
    X(max)        \
    X(min)        \
    X(matmul)     /* matrices over broadcast leading axes */ \
    X(take)       /* rows of aux elements of a at the places b; under lanes, in each lane */ \
    X(put_add)    /* zeros with the rows of a added at the places b: the transpose of take */ \
    X(assemble)   /* args[aux..]: n, then n pairs (node or -1 for zeros, region) that tile the result */ \
    X(pack)       /* args[aux..]: n, then n scalars: a vector */ \
    X(loop)       /* result a of b of the loop args[aux]; what it reads: args[aux+1] nodes follow */ \
    X(program)    /* result a of b of the program args[aux], run on args[aux+1] nodes, which follow */ \
    X(call)       /* a checkpointed region: args[aux..] result number, region number */
#endif
