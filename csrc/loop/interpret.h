/* The interpreter of loop bodies, for a copy of vm.c: one dispatch an op and iteration. It calls the
 * instruction set's own functions, so that a value has the bits of the scalar loop. */

/* Each op as a function of three numbers, for emitted code to call. */
#define FUNCTION(name, value) \
    static double f_##name(double a, double b, double c) { (void)a; (void)b; (void)c; return value; }
#define VEC1(name, ...) FUNCTION(name, s_##name(a))
#define VEC2(name, ...) FUNCTION(name, s_##name(a, b))
#define MAP1(name, value, ...) FUNCTION(name, value)
#define MAP2(name, value, ...) FUNCTION(name, value)
#define MAP3(name, value, ...) FUNCTION(name, value)
#define TEST1(name, value, ...) FUNCTION(name, value)
#define TEST2(name, value, ...) FUNCTION(name, value)
#include "../ops.h"
#undef FUNCTION

static const ft_function functions[FT_N_MAP] = {
#define VEC1(name, ...) f_##name,
#define VEC2(name, ...) f_##name,
#define MAP1(name, ...) f_##name,
#define MAP2(name, ...) f_##name,
#define MAP3(name, ...) f_##name,
#define TEST1(name, ...) f_##name,
#define TEST2(name, ...) f_##name,
#include "../ops.h"
};

#if defined(__GNUC__)
#define BODY_CASE(op) B_##op
#define BODY_DISPATCH goto *label[o->op]
#else
#define BODY_CASE(op) case OP_##op
#define BODY_DISPATCH goto dispatch
#endif
#define BODY_NEXT(value) do { double r_ = (value); if (o->f32) r_ = (float)r_; *y++ = r_; goto next; } while (0)

static void run_loop(const ft_loop *l, int64_t from, int64_t to, char *const *stream, double *carry, double *v) {
#if defined(__GNUC__)
    static const void *const label[FT_N_MAP + 3] = {
#define VEC1(name, ...) &&B_##name,
#define VEC2(name, ...) &&B_##name,
#define MAP1(name, ...) &&B_##name,
#define MAP2(name, ...) &&B_##name,
#define MAP3(name, ...) &&B_##name,
#define TEST1(name, ...) &&B_##name,
#define TEST2(name, ...) &&B_##name,
#include "../ops.h"
        &&load, &&store, &&cast
    };
#endif
    double *const in = v + l->n_constant, *const first = in + l->n_carry;
    const ft_loop_op *const last = l->op + l->n_op, *o;
    if (l->n_constant) memcpy(v, l->constant, (size_t)l->n_constant * sizeof *v);
    if (l->n_carry) memcpy(in, carry, (size_t)l->n_carry * sizeof *v);
    for (int64_t i = from; i < to; i++) {
        double *y = first;
        o = l->op - 1;
next:
        if (++o == last) goto carried;
#if defined(__GNUC__)
        BODY_DISPATCH;
#else
        switch (o->op) {
#endif
#define LOAD_A double a = v[o->a]
#define LOAD_AB double a = v[o->a], b = v[o->b]
#define LOAD_ABC double a = v[o->a], b = v[o->b], c = v[o->c]
#define VEC1(name, ...) BODY_CASE(name): { LOAD_A; BODY_NEXT(s_##name(a)); }
#define VEC2(name, ...) BODY_CASE(name): { LOAD_AB; BODY_NEXT(s_##name(a, b)); }
#define MAP1(name, value, ...) BODY_CASE(name): { LOAD_A; BODY_NEXT(value); }
#define MAP2(name, value, ...) BODY_CASE(name): { LOAD_AB; BODY_NEXT(value); }
#define MAP3(name, value, ...) BODY_CASE(name): { LOAD_ABC; BODY_NEXT(value); }
#define TEST1(name, value, ...) BODY_CASE(name): { LOAD_A; BODY_NEXT(value); }
#define TEST2(name, value, ...) BODY_CASE(name): { LOAD_AB; BODY_NEXT(value); }
#include "../ops.h"
#if !defined(__GNUC__)
        case FT_L_LOAD: goto load;
        case FT_L_STORE: goto store;
        case FT_L_CAST: goto cast;
        }
#endif
load:
        {
            const char *p = stream[o->a] + i * l->stride[o->a];
            BODY_NEXT(l->stream_f32[o->a] ? *(const float *)p : *(const double *)p);
        }
cast:
        BODY_NEXT(v[o->a]);
store:
        {
            char *p = stream[o->a] + i * l->stride[o->a];
            if (l->stream_f32[o->a]) *(float *)p = (float)v[o->b];
            else *(double *)p = v[o->b];
            *y++ = 0;
            goto next;
        }
carried:                        /* all at once: a carry may become another */
        if (l->n_carry == 1) in[0] = v[l->next[0]];
        else {
            for (int32_t j = 0; j < l->n_carry; j++) carry[j] = v[l->next[j]];
            if (l->n_carry) memcpy(in, carry, (size_t)l->n_carry * sizeof *v);
        }
    }
    if (l->n_carry) memcpy(carry, in, (size_t)l->n_carry * sizeof *v);
}
