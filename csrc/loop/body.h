/* A loop body made ready for the emitter: ops that only rename are gone, costly words are simpler where
 * a constant allows, what nobody reads is dead, and each operand knows its next reader. Two passes. */
#ifndef FT_LOOP_BODY_H
#define FT_LOOP_BODY_H
#include <math.h>
#include <string.h>

#include "../vm.h"

enum { NEVER = INT32_MAX };     /* a next use; the end of the iteration is n_op */
enum { IN_POOL, HOISTED, CARRIED, COMPUTED, IN_STREAM };    /* where a value comes from */
enum { K_ONE, K_ZERO, K_HALF, K_SIGN, K_MAGNITUDE, N_OWN }; /* constants of the emitter's own */

typedef struct {
    int32_t next;               /* the op that reads it next */
    int32_t uses;
    int32_t place;              /* its memory: see registers.h */
    int32_t carry;              /* the carry that it will be, or -1 */
    int32_t stream;             /* of a load */
    int8_t reg;                 /* -1: none */
    uint8_t from;
    uint8_t narrow;             /* a float32 holds it */
} value;

typedef struct {
    uint8_t op, f32, dead, arity;
    int32_t v[3];               /* operands */
    int32_t after[3];           /* an operand's next use after this one */
} step;

typedef struct {
    const ft_loop *loop;
    value *value;
    step *step;
    int32_t *same;              /* what a value is another name of */
    int32_t *stores;            /* stores before op k */
    int32_t n_value, own;       /* own: the emitter's first constant */
    int32_t n_op, first;        /* first: the value of op 0 */
    int32_t live;               /* the most values, constants aside, that are alive at once */
    int32_t n_call, n_store;
} body;

static const uint8_t arity_of[FT_N_MAP] = {
#define VEC1(name, ...) 1,
#define MAP1(name, ...) 1,
#define VEC2(name, ...) 2,
#define MAP2(name, ...) 2,
#define MAP3(name, ...) 3,
#define TEST1(name, ...) 1,
#define TEST2(name, ...) 2,
#include "../ops.h"
};

/* What emit.c has instructions for, after simplify(). */
static int is_native(int op) {
    switch (op) {
    case OP_add: case OP_subtract: case OP_multiply: case OP_divide: case OP_negative: case OP_absolute:
    case OP_sqrt: case OP_scale: case OP_ratio: case OP_add_scaled: case OP_scale_both: case OP_maximum:
    case OP_minimum: case OP_less: case OP_less_equal: case OP_greater: case OP_greater_equal: case OP_equal:
    case OP_not_equal: case OP_where: case OP_share: case OP_floor: case OP_ceil: case OP_rint: case OP_trunc:
    case OP_logical_and: case OP_logical_or: case OP_logical_not: case OP_isnan: case OP_copysign:
    case FT_L_LOAD: case FT_L_STORE: case FT_L_CAST:
        return 1;
    }
    return 0;
}

static double own_constant(int k) {
    uint64_t bits = k == K_SIGN ? UINT64_C(1) << 63 : (UINT64_C(1) << 63) - 1;
    double d;
    if (k <= K_HALF) return k == K_ONE ? 1 : k == K_ZERO ? 0 : 0.5;
    memcpy(&d, &bits, 8);
    return d;
}

static int is_constant(const body *b, int32_t v) { return v < b->loop->n_constant || v >= b->own; }

static double constant(const body *b, int32_t v) {
    return v < b->own ? b->loop->constant[v] : own_constant(v - b->own);
}

static int is_nonzero(const body *b, int32_t v) { return is_constant(b, v) && constant(b, v) != 0; }

/* The same bits with less work. Returns the operand that the result is another name of, or -1. */
static int32_t simplify(const body *b, step *s) {
    switch (s->op) {
    case OP_fabs: s->op = OP_absolute; break;
    case OP_sqrt0: s->op = OP_sqrt; break;
    case OP_square:
        s->op = OP_multiply;
        s->arity = 2;
        s->v[1] = s->v[0];
        break;
    case OP_reciprocal:
        s->op = OP_divide;
        s->arity = 2;
        s->v[1] = s->v[0];
        s->v[0] = b->own + K_ONE;
        break;
    case OP_scale_both:
        if (is_nonzero(b, s->v[0])) {
            int32_t nonzero = s->v[0];
            s->v[0] = s->v[1];
            s->v[1] = nonzero;
            s->op = OP_scale;
        } else if (is_nonzero(b, s->v[1])) s->op = OP_scale;
        if (s->op == OP_scale_both || !is_nonzero(b, s->v[0])) break;
        s->op = OP_multiply;
        break;
    case OP_scale: if (is_nonzero(b, s->v[0])) s->op = OP_multiply; break;
    case OP_ratio: if (is_nonzero(b, s->v[0])) s->op = OP_divide; break;
    case OP_positive: case OP_stop_gradient: case FT_L_CAST:
        if (!s->f32 || b->value[s->v[0]].narrow) return s->v[0];
        s->op = FT_L_CAST;
    }
    return -1;
}

static void read_forward(body *b) {
    const ft_loop *l = b->loop;
    int32_t stores = 0;
    for (int32_t v = 0; v < b->n_value; v++) {
        b->value[v] = (value){NEVER, 0, -1, -1, -1, -1, COMPUTED, 0};
        b->same[v] = v;
        if (is_constant(b, v)) b->value[v].from = IN_POOL;
        else if (v < b->first) b->value[v].from = CARRIED;
    }
    for (int32_t k = 0; k < b->n_op; k++) {
        const ft_loop_op *o = l->op + k;
        step *s = b->step + k;
        value *y = b->value + b->first + k;
        *s = (step){o->op, o->f32 != 0, 0, 0, {-1, -1, -1}, {NEVER, NEVER, NEVER}};
        b->stores[k] = stores;
        if (o->op == FT_L_LOAD) {
            y->stream = o->a;
            y->narrow = s->f32 || l->stream_f32[o->a];
            if (l->stream_f32[o->a]) s->f32 = 0;
            continue;
        }
        if (o->op == FT_L_STORE) {
            s->arity = 1;
            s->v[0] = b->same[o->b];
            y->stream = o->a;
            stores++;
            continue;
        }
        s->arity = o->op == FT_L_CAST ? 1 : arity_of[o->op];
        s->v[0] = b->same[o->a];
        if (s->arity > 1) s->v[1] = b->same[o->b];
        if (s->arity > 2) s->v[2] = b->same[o->c];
        int32_t other = simplify(b, s);
        if (other >= 0) {
            b->same[b->first + k] = other;
            s->dead = 1;
        }
        y->narrow = s->f32;
        if (s->op == FT_L_CAST) s->f32 = 0;
    }
    b->n_store = stores;
}

/* Which of the emitter's own constants an op reads: a bit each. */
static int own_of(int op) {
    switch (op) {
    case OP_scale: case OP_ratio: case OP_add_scaled: case OP_scale_both: case OP_where: return 1 << K_ZERO;
    case OP_negative: return 1 << K_SIGN;
    case OP_absolute: return 1 << K_MAGNITUDE;
    case OP_copysign: return 1 << K_SIGN | 1 << K_MAGNITUDE;
    case OP_less: case OP_less_equal: case OP_greater: case OP_greater_equal: case OP_equal: case OP_not_equal:
    case OP_isnan: return 1 << K_ONE;
    case OP_share: return 1 << K_ONE | 1 << K_HALF;
    case OP_logical_and: case OP_logical_or: case OP_logical_not: return 1 << K_ONE | 1 << K_ZERO;
    }
    return 0;
}

static void read_backward(body *b) {
    const ft_loop *l = b->loop;
    int32_t live = 0;
    for (int32_t j = 0; j < l->n_carry; j++) {
        int32_t v = b->same[l->next[j]];
        value *from = b->value + v;
        if (from->next == NEVER && !is_constant(b, v)) live++;
        from->next = b->n_op;
        from->uses++;
        if (from->carry < 0 && v != l->n_constant + j) from->carry = j;
    }
    b->live = live;
    for (int32_t k = b->n_op - 1; k >= 0; k--) {
        step *s = b->step + k;
        value *y = b->value + b->first + k;
        if (s->op != FT_L_STORE && (s->dead || y->next == NEVER)) {
            s->dead = 1;
            continue;
        }
        if (s->op != FT_L_STORE) live--;
        for (int i = s->arity - 1; i >= 0; i--) {
            value *a = b->value + s->v[i];
            if (a->next == NEVER && !is_constant(b, s->v[i])) live++;
            s->after[i] = a->next;
            a->next = k;
            a->uses++;
        }
        if (live > b->live) b->live = live;
        if (!is_native(s->op)) b->n_call++;
        for (int own = own_of(s->op), i = 0; own; own >>= 1, i++) b->value[b->own + i].uses += own & 1;
    }
}

/* Room for the arrays of a body, one allocation; NULL if there is none. */
static void *prepare(body *b, const ft_loop *l) {
    memset(b, 0, sizeof *b);
    b->loop = l;
    b->n_op = l->n_op;
    b->first = l->n_constant + l->n_carry;
    b->own = b->first + l->n_op;
    b->n_value = b->own + N_OWN;
    size_t values = (size_t)b->n_value * sizeof(value), steps = (size_t)b->n_op * sizeof(step);
    size_t names = (size_t)b->n_value * sizeof(int32_t), counts = (size_t)b->n_op * sizeof(int32_t);
    char *p = ft_code_scratch((int64_t)(values + steps + names + counts));
    if (!p) return NULL;
    b->value = (value *)p;
    b->step = (step *)(p + values);
    b->same = (int32_t *)(p + values + steps);
    b->stores = (int32_t *)(p + values + steps + names);
    read_forward(b);
    read_backward(b);
    return p;
}
#endif
