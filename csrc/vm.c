/* The virtual machine's two loops, compiled once per instruction set: csrc/isa/NAME.c defines FT_ISA
 * and includes this file. The loops see the tape; the kernels see pointers, lengths and strides. */
#include "vm.h"

#include "kernels/map.h"
#include "kernels/reduce.h"
#include "kernels/turn.h"
#include "kernels/blocks.h"
#include "kernels/index.h"
#include "kernels/check.h"
#include "kernels/linalg.h"
#include "loop/interpret.h"

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define TEXT_(a) #a
#define TEXT(a) TEXT_(a)

enum { WORK_LIMIT = 1 << 27 };  /* element-ops between two looks for signals: tens of milliseconds */

/* ---- the scalar loop: one dispatch an entry, over the tape itself */

#if defined(__GNUC__)
#define CASE(op) L_##op
#define DISPATCH goto *label[e->op]
#else
#define CASE(op) case OP_##op
#define DISPATCH goto dispatch
#endif
#define NEXT(value) do { double r_ = (value); if (e->dtype & 1) r_ = (float)r_; v[i].f = r_; goto next; } while (0)

static int64_t run_scalars(const ft_tape *t, int64_t i, int64_t end) {
    const ft_entry *entries = t->entry, *e;
    ft_value *v = t->val;
#if defined(__GNUC__)
    static const void *const label[FT_N_OPS] = {
#define VEC1(name, ...) &&L_##name,
#define VEC2(name, ...) &&L_##name,
#define MAP1(name, ...) &&L_##name,
#define MAP2(name, ...) &&L_##name,
#define MAP3(name, ...) &&L_##name,
#define TEST1(name, ...) &&L_##name,
#define TEST2(name, ...) &&L_##name,
#include "ops.h"
#define X(name) &&L_##name,
        FT_STRUCTURAL(X)
#undef X
    };
#endif
    i--;
next:
    do {
        if (++i >= end) return i;
        e = entries + i;
    } while (!(e->flags & FT_EXEC));
#if defined(__GNUC__)
    DISPATCH;
#else
dispatch:
    switch (e->op) {
#endif
#define LOAD1 double a = v[e->a].f
#define LOAD2 double a = v[e->a].f, b = v[e->b].f
#define LOAD3 double a = v[e->a].f, b = v[e->b].f, c = v[e->aux].f
#define VEC1(name, ...) CASE(name): { LOAD1; NEXT(s_##name(a)); }
#define VEC2(name, ...) CASE(name): { LOAD2; NEXT(s_##name(a, b)); }
#define MAP1(name, value, ...) CASE(name): { LOAD1; NEXT(value); }
#define MAP2(name, value, ...) CASE(name): { LOAD2; NEXT(value); }
#define MAP3(name, value, ...) CASE(name): { LOAD3; NEXT(value); }
#define TEST1(name, value, ...) CASE(name): { LOAD1; NEXT(value); }
#define TEST2(name, value, ...) CASE(name): { LOAD2; NEXT(value); }
#include "ops.h"
    CASE(cast): NEXT(v[e->a].f);
    CASE(get): {
        const ft_entry *root = entries + e->a;
        const char *p = v[e->a].p;
        NEXT(root->dtype & 1 ? ((const float *)p)[e->aux] : ((const double *)p)[e->aux]);
    }
    CASE(add_at): {             /* the plan has made val[i].p the buffer to change */
        if (e->dtype & 1) ((float *)v[i].p)[e->aux] += (float)v[e->b].f;
        else ((double *)v[i].p)[e->aux] += v[e->b].f;
        goto next;
    }
    CASE(set_at): {
        if (e->dtype & 1) ((float *)v[i].p)[e->aux] = (float)v[e->b].f;
        else ((double *)v[i].p)[e->aux] = v[e->b].f;
        goto next;
    }
    CASE(input): CASE(constant): CASE(view): CASE(pad): CASE(add_region): CASE(update): CASE(sum):
    CASE(max): CASE(min): CASE(matmul): CASE(take): CASE(put_add): CASE(assemble): CASE(pack): CASE(loop): CASE(program): CASE(call):
        goto next;              /* never marked for this loop */
#if !defined(__GNUC__)
    }
    goto next;
#endif
}

/* ---- the block loop: one dispatch per op and block */

static inline int is_f32(int dtype) { return dtype & 1; }

static void read_view(const ft_tape *t, int view, int f32, const void *from, void *to, int64_t start, int64_t n) {
    const ft_view *w = t->view + view;
    const ft_shape *s = t->shape + w->shape;
    const int64_t *dims = t->dims + s->at, *strides = t->dims + w->at;
    if (f32) read_s(to, (const float *)from + w->offset, s->ndim, dims, strides, start, n);
    else read_d(to, (const double *)from + w->offset, s->ndim, dims, strides, start, n);
}

static void copy_view(const ft_tape *t, int view, int dtype, const void *from, void *to) {
    read_view(t, view, is_f32(dtype), from, to, 0, t->shape[t->view[view].shape].size);
}

static void write_view(const ft_tape *t, int view, int f32, void *to, const void *from, int spread) {
    const ft_view *w = t->view + view;
    const ft_shape *s = t->shape + w->shape;
    const int64_t *dims = t->dims + s->at, *strides = t->dims + w->at;
    if (f32) {
        float v = spread ? (float)*(const double *)from : 0;
        write_s((float *)to + w->offset, spread ? &v : from, spread, s->ndim, dims, strides, s->size);
    } else write_d((double *)to + w->offset, from, spread, s->ndim, dims, strides, s->size);
}

static void add_view(const ft_tape *t, int view, int f32, void *to, const void *from) {
    const ft_view *w = t->view + view;
    const ft_shape *s = t->shape + w->shape;
    const int64_t *dims = t->dims + s->at, *strides = t->dims + w->at;
    if (f32) add_s((float *)to + w->offset, from, s->ndim, dims, strides, s->size);
    else add_d((double *)to + w->offset, from, s->ndim, dims, strides, s->size);
}

enum { FT_FAR = 1 << 14 };      /* elements from which on a stream of them is taken not to be in the second cache */

/* Ask for what a step reads and writes of the block of n elements at `start`, while the one before is computed: processors see
 * the streams of a block end after some lines, and follow few of so many. Rows and numbers stay where they are. */
static void ask_for(const ft_step *s, int64_t start, int64_t n) {
    int operands = s->kind == FT_STEP_MAP ? 4 : s->kind == FT_STEP_STREAM;
    for (int k = 0; k < operands; k++)
        for (int64_t at = 0, end = n * s->step[k]; at < end; at += 64) FT_WILL_TOUCH(s->at[k] + start * s->step[k] + at);
}

static void run_blocks(const ft_tape *t, const ft_run *r, const ft_instr *in, int64_t block, int64_t blocks) {
    const ft_step *first = r->step + in->lo, *last = r->step + in->hi;
    const int64_t size = in->block;
    for (; blocks > 0; block++, blocks--) {
        int64_t start = block * size, n = in->n - start < size ? in->n - start : size, more = in->n - start - n;
        if (more > size) more = size;
        if (in->n < FT_FAR) more = 0;
        for (const ft_step *s = first; s < last; s++) {
            if (more > 0) ask_for(s, start + n, more);
            if (s->kind == FT_STEP_MAP)
                s->kernel(n, s->at[0] + start * s->step[0], s->at[1] + start * s->step[1],
                          s->at[2] + start * s->step[2], s->at[3] + start * s->step[3]);
            else if (s->kind == FT_STEP_LOAD)
                read_view(t, s->view, s->step[2], s->at[1], s->at[0] + start * s->step[0], start, n);
            else if (s->kind == FT_STEP_CODE) {
                char *stream[FT_STREAMS];
                for (int32_t k = 0; k < s->view; k++) {
                    stream[k] = s[1 + k].at[0] + start * s[1 + k].step[0];
                    if (more > 0) ask_for(s + 1 + k, start + n, more);
                }
                s->code(0, n, stream, NULL);
                s += s->view;
            } else {            /* at[0] the result, at[1] the summand, at[2] the cascade */
                ft_cascade *c = (ft_cascade *)s->at[2];
                const char *a = s->at[1] + start * s->step[1];
                if (block == 0) c->blocks = 0;
                for (int64_t i = 0; i < n; i += FT_BLOCK)
                    cascade_add(c, sum_block(a + i * (s->step[2] ? 4 : 8), s->step[2], n - i < FT_BLOCK ? n - i : FT_BLOCK));
                if (start + n == in->n) {
                    double total = cascade_total(c);
                    *(double *)s->at[0] = s->step[2] ? (float)total : total;
                }
            }
        }
    }
}

/* dims and strides of an operand that is a view, or contiguous */
static void layout(const ft_tape *t, int view, int shape, int64_t *strides) {
    const ft_shape *s = t->shape + shape;
    if (view >= 0) {
        memcpy(strides, t->dims + t->view[view].at, (size_t)s->ndim * sizeof(int64_t));
        return;
    }
    int64_t step = 1;
    for (int k = s->ndim - 1; k >= 0; k--) {
        strides[k] = step;
        step *= t->dims[s->at + k];
    }
}

static const char *origin(const ft_tape *t, const void *p, int view, int f32) {
    return (const char *)p + (view < 0 ? 0 : t->view[view].offset * (f32 ? 4 : 8));
}

static void run_matmul(const ft_tape *t, const ft_library *lib, const ft_instr *in, int f32) {
    const ft_shape *y = t->shape + t->entry[in->node].shape;
    const ft_shape *sa = t->shape + in->shape_a, *sb = t->shape + in->shape_b;
    int lead = y->ndim - 2;
    int64_t dims[FT_MAX_DIMS + 1], la[FT_MAX_DIMS], lb[FT_MAX_DIMS], stride_a[FT_MAX_DIMS], stride_b[FT_MAX_DIMS];
    layout(t, in->view_a, in->shape_a, la);
    layout(t, in->view_b, in->shape_b, lb);
    memcpy(dims, t->dims + y->at, (size_t)y->ndim * sizeof(int64_t));
    dims[lead + 2] = dims[lead + 1];
    dims[lead + 1] = t->dims[sa->at + sa->ndim - 1];
    for (int i = 0; i < lead + 2; i++) {       /* line the operands' axes up with the result's */
        int ka = i - (lead + 2 - sa->ndim), kb = i - (lead + 2 - sb->ndim);
        stride_a[i] = ka < 0 || (i < lead && t->dims[sa->at + ka] == 1) ? 0 : la[ka];
        stride_b[i] = kb < 0 || (i < lead && t->dims[sb->at + kb] == 1) ? 0 : lb[kb];
    }
    const char *a = origin(t, in->a, in->view_a, f32), *b = origin(t, in->b, in->view_b, f32);
    if (f32 || lead || !matvec(t->watch, t->n_watch, in->y, (const double *)a, (const double *)b, dims, stride_a,
                                 stride_b))
        matmul(lib, in->y, a, b, f32, lead, dims, stride_a, stride_b);
}

static void run_reduce(const ft_tape *t, const ft_instr *in, int f32) {
    const ft_shape *s = t->shape + in->shape_a;
    const ft_entry *e = t->entry + in->node;
    int64_t strides[FT_MAX_DIMS];
    char *y = in->y;
    layout(t, in->view_a, in->shape_a, strides);
    const char *a = origin(t, in->a, in->view_a, f32);
    if (e->shape) reduce(e->op, y, a, f32, s->ndim, t->dims + s->at, strides, e->aux);
    else {                      /* a scalar result is held in float64 */
        float narrow_result = 0;
        double result = 0;
        reduce(e->op, f32 ? (char *)&narrow_result : (char *)&result, a, f32, s->ndim, t->dims + s->at, strides, e->aux);
        *(double *)y = f32 ? narrow_result : result;
    }
}

static void run_take(const ft_tape *t, const ft_instr *in, int f32) {
    const ft_entry *e = t->entry + in->node;
    int64_t places = t->shape[in->shape_b].size, row = e->aux, size = f32 ? 4 : 8;
    int64_t small = places * row;               /* one lane of the gathered side */
    int put = e->op == OP_put_add;
    const ft_shape *whole = t->shape + (put ? e->shape : in->shape_a);
    const ft_shape *rows = t->shape + (put ? in->shape_a : e->shape);
    char *y = in->y;
    const char *a = in->a;
    if (put) memset(y, 0, (size_t)(whole->size * size));
    if (small == 0) return;
    int64_t lanes = rows->size / small, large = lanes ? whole->size / lanes : 0;
    for (int64_t lane = 0; lane < lanes; lane++) {
        if (put) {
            if (f32) put_add_s((float *)y, (const float *)a, in->b, places, row);
            else put_add_d((double *)y, (const double *)a, in->b, places, row);
        } else {
            if (f32) take_s((float *)y, (const float *)a, in->b, places, row);
            else take_d((double *)y, (const double *)a, in->b, places, row);
        }
        y += (put ? large : small) * size;
        a += (put ? small : large) * size;
    }
}

/* Regions that tile the result; the pieces are given, in order, by the steps [lo, hi). */
static void run_assemble(const ft_tape *t, const ft_run *r, const ft_instr *in, int f32) {
    for (const ft_step *s = r->step + in->lo; s < r->step + in->hi; s++)
        write_view(t, s->view, f32, in->y, s->at[1], s->kind);
}

/* Rows, given in order by the steps [lo, hi), that become columns of the result. */
#define RUN_WEAVE(T, suffix) \
    static void run_weave_##suffix(const ft_run *r, const ft_instr *in) { \
        const ft_step *s = r->step + in->lo; \
        const T *row[FT_MOST_COLUMNS + FT_TILE]; \
        T number[FT_MOST_COLUMNS][FT_TILE]; \
        int64_t move[FT_MOST_COLUMNS + FT_TILE], m = in->hi - in->lo; \
        for (int64_t j = 0; j < m; j++) { \
            row[j] = s[j].kind ? number[j] : (const T *)s[j].at[1]; \
            move[j] = !s[j].kind; \
            if (s[j].kind) for (int k = 0; k < FT_TILE; k++) number[j][k] = (T)*(const double *)s[j].at[1]; \
        } \
        for (int k = 0; k < FT_TILE; k++) row[m + k] = row[0], move[m + k] = move[0]; \
        weave_rows_##suffix(in->y, row, move, m, in->n); \
    }
RUN_WEAVE(double, d)
RUN_WEAVE(float, s)

static void run_pack(const ft_tape *t, const ft_instr *in, int f32) {
    const int32_t *nodes = t->args + t->entry[in->node].aux;
    for (int32_t i = 0, n = *nodes++; i < n; i++) {
        if (f32) ((float *)in->y)[i] = (float)t->val[nodes[i]].f;
        else ((double *)in->y)[i] = t->val[nodes[i]].f;
    }
}

/* Steps [lo, hi): where each stream begins; then where each carry begins, and where it is to end. */
static void run_iterations(const ft_run *r, const ft_instr *in, int64_t from, int64_t to) {
    const ft_loop *l = in->a;
    const ft_step *s = r->step + in->lo;
    double *carry = in->y, *values;
    char **stream = (char **)(carry + l->n_carry);
    values = (double *)(stream + l->n_stream);
    for (int32_t k = 0; k < l->n_stream; k++) stream[k] = (s++)->at[0];
    if (from == 0)
        for (int32_t k = 0; k < l->n_carry; k++) carry[k] = *(const double *)s[k].at[0];
    if (in->b) ((ft_loop_fn)in->b)(from, to, stream, carry);
    else run_loop(l, from, to, stream, carry, values);
    if (to == in->n)
        for (int32_t k = 0; k < l->n_carry; k++)
            if (s[k].at[1]) *(double *)s[k].at[1] = carry[k];
}

static int run_program(const ft_tape *t, const ft_library *lib, ft_run *r);
extern const ft_vm JOIN(ft_vm_, FT_ISA);

/* Steps [lo, hi): where each argument begins, then where each result goes; NULL for a number that nobody asks for.
 * Returns as ft_vm's run. */
static int run_call(const ft_library *lib, const ft_run *r, const ft_instr *in, int begun) {
    ft_call *c = in->y;
    const ft_tape *t = c->tape;
    const ft_step *s = r->step + in->lo;
    if (c->drive) return c->drive(c, &JOIN(ft_vm_, FT_ISA), lib, s, begun);
    if (!begun) {
        for (int32_t k = 0; k < c->n_input; k++) {
            if (c->moves[k]) ft_lay(c, k, k, s[k].at[0]);
            else t->val[k].f = *(const double *)s[k].at[0];
        }
        for (int64_t k = 0; k < c->n_output; k++)
            if (c->moves[c->n_input + k]) ft_lay(c, c->n_input + k, c->output[k], s[c->n_input + k].at[0]);
        c->run.next = c->run.entry = c->run.block = 0;
    }
    int more = run_program(t, lib, &c->run);
    if (more) return more;
    for (int64_t k = 0; k < c->n_output; k++) {
        const ft_entry *e = t->entry + c->output[k];
        void *y = s[c->n_input + k].at[0];
        if (c->moves[c->n_input + k] || !y) continue;
        if (e->shape == 0) *(double *)y = t->val[c->output[k]].f;
        else if (e->op == OP_view) copy_view(t, e->aux, is_f32(e->dtype), t->val[e->a].p, y);
        else memcpy(y, t->val[c->output[k]].p, (size_t)(t->shape[e->shape].size * (is_f32(e->dtype) ? 4 : 8)));
    }
    return 0;
}

static int run_program(const ft_tape *t, const ft_library *lib, ft_run *r) {
    int64_t work = WORK_LIMIT;
    for (; r->next < r->n_instr; r->next++) {
        const ft_instr *in = r->instr + r->next;
        int f32 = is_f32(t->entry[in->node].dtype);
        int64_t size = f32 ? 4 : 8, n = t->shape[t->entry[in->node].shape].size;
        if (work <= 0) return 1;
        switch (in->op) {
        case FT_I_SCALARS: {
            int64_t from = r->entry ? r->entry : in->lo, to = in->hi - from > work ? from + work : in->hi;
            run_scalars(t, from, to);
            work -= (to - from) * 4;
            if (to < in->hi) {
                r->entry = to;
                return 1;
            }
            r->entry = 0;
            break;
        }
        case FT_I_RUN: {
            int64_t steps = in->hi - in->lo + 1, size = in->block, blocks = (in->n + size - 1) / size - r->block;
            int64_t most = work / (steps * size) + 1;
            if (blocks > most) {
                run_blocks(t, r, in, r->block, most);
                r->block += most;
                return 1;
            }
            run_blocks(t, r, in, r->block, blocks);
            work -= blocks * steps * size;
            r->block = 0;
            break;
        }
        case FT_I_COPY:
            if (in->view_a < 0) memcpy(in->y, in->a, (size_t)(n * size));
            else copy_view(t, in->view_a, f32, in->a, in->y);
            work -= n;
            break;
        case FT_I_ZERO:
            memset(in->y, 0, (size_t)(n * size));
            work -= n;
            break;
        case OP_pad:
            memset(in->y, 0, (size_t)(n * size));
            write_view(t, in->view_b, f32, in->y, in->a, in->shape_a == 0);
            work -= n;
            break;
        case OP_add_region:
            add_view(t, in->view_b, f32, in->y, in->b);
            work -= t->shape[in->shape_b].size;
            break;
        case OP_update:
            write_view(t, in->view_b, f32, in->y, in->b, in->shape_b == 0);
            work -= t->shape[in->shape_b].size;
            break;
        case OP_sum: case OP_max: case OP_min:
            run_reduce(t, in, f32);
            work -= t->shape[in->shape_a].size;
            break;
        case OP_matmul: {
            const ft_shape *sa = t->shape + in->shape_a;
            run_matmul(t, lib, in, f32);
            work -= n * t->dims[sa->at + sa->ndim - 1];
            break;
        }
        case OP_take: case OP_put_add:
            run_take(t, in, f32);
            work -= n;
            break;
        case OP_assemble:
            run_assemble(t, r, in, f32);
            work -= n;
            break;
        case FT_I_WEAVE:
            if (f32) run_weave_s(r, in);
            else run_weave_d(r, in);
            work -= n;
            break;
        case OP_loop: {
            int64_t cost = ((const ft_loop *)in->a)->n_op + 1, most = work / cost + 1;
            int64_t to = in->n - r->block > most ? r->block + most : in->n;
            run_iterations(r, in, r->block, to);
            work -= (to - r->block) * cost;
            if (to < in->n) {
                r->block = to;
                return 1;
            }
            r->block = 0;
            break;
        }
        case OP_pack:
            run_pack(t, in, f32);
            work -= n;
            break;
        case OP_program:
            r->block = run_call(lib, r, in, r->block != 0);
            if (r->block) return (int)r->block;
            work -= in->n;
            break;
        }
    }
    return 0;
}

static void pick(int f32, void *y, const void *a, const int64_t *place, int64_t m, int64_t n) {
    if (f32) pick_s(y, a, place, m, n);
    else pick_d(y, a, place, m, n);
}

/* Copy an index of n places, counted from the first of so many rows; whether one of them is not there. */
static int places(int64_t *restrict to, const int64_t *restrict from, int64_t rows, int64_t n) {
    uint64_t out = 0, limit = (uint64_t)rows;
    for (int64_t k = 0; k < n; k++) {
        int64_t place = from[k];
        out |= (uint64_t)place + limit >= 2 * limit;
        to[k] = place + (rows & -(int64_t)(place < 0));
    }
    return out != 0;
}

static void columns(int wide, void *y, int64_t lanes, int64_t rows, const ft_part *part, int64_t n) {
    if (wide) columns_l(y, lanes, rows, part, n);
    else columns_i(y, lanes, rows, part, n);
}

#define UNLIKE(T, suffix) \
    static int unlike_##suffix(const T *x, int seen, int64_t n) { \
        int found = 0; \
        for (int64_t k = 0; k < n; k++) found |= (x[k] != 0) ^ seen; \
        return found; \
    }
UNLIKE(double, d)
UNLIKE(float, s)

static int unlike(int f32, const void *x, int seen, int64_t n) {
    return f32 ? unlike_s(x, seen, n) : unlike_d(x, seen, n);
}

const ft_vm JOIN(ft_vm_, FT_ISA) = {TEXT(FT_ISA), eval_scalar, run_program, find_kernel, copy_view, pick, places, unlike, columns, check_upto,
                                   run_loop, functions};
