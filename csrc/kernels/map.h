/* Elementwise kernels, generated from ops.h: pointers and lengths in, numbers out.
 *
 * float32 is computed in float64 and rounded once, which is what the scalar loop does too, so an
 * element has the same bits wherever it is computed.
 */
#include <math.h>
#include <string.h>

#include "../vm.h"
#include "../vmath.h"

#if defined(__clang__)
#define FT_LOOP _Pragma("clang loop vectorize(enable)")
#elif defined(__GNUC__)
#define FT_LOOP _Pragma("GCC ivdep")
#else
#define FT_LOOP
#endif

#if defined(__GNUC__)
#define FT_NOINLINE __attribute__((noinline))
#else
#define FT_NOINLINE
#endif

enum { FT_GROUP = 8 };          /* elements that are computed side by side: a vector of AVX-512, two of AVX2 */

#define FT_DEGREE 0.0174532925199432957692
#define FT_RADIAN 57.2957795130823208768
#define FT_LARGEST 1.7976931348623157e308

/* NumPy's floored modulo: exact, the sign of b, nan where b is 0. */
static inline double ft_remainder(double a, double b) {
    double r = fmod(a, b);
    if (b == 0) return r;
    if (r == 0) return copysign(0.0, b);
    return (b < 0) != (r < 0) ? r + b : r;
}

static inline double ft_floor_divide(double a, double b) {
    if (b == 0) return a / b;
    double r = fmod(a, b), q = (a - r) / b;
    if (r != 0 && (b < 0) != (r < 0)) q -= 1;
    if (q == 0) return copysign(0.0, a / b);
    double f = floor(q);
    return q - f > 0.5 ? f + 1 : f;
}

static inline int ft_exponent(double b) {
    return b > 1e6 ? 1000000 : b < -1e6 ? -1000000 : b == b ? (int)b : 0;
}


/* Which operand of a two-operand kernel is a scalar: none, a, or b. */
#define MAP2_KERNELS(T, suffix, name, value) \
    static void name##_##suffix##0(ptrdiff_t n, void *yp, const void *ap, const void *bp, const void *cp) { \
        T *y = yp; const T *pa = ap, *pb = bp; (void)cp; \
        FT_LOOP for (ptrdiff_t i = 0; i < n; i++) { double a = pa[i], b = pb[i]; y[i] = (T)(value); } \
    } \
    static void name##_##suffix##1(ptrdiff_t n, void *yp, const void *ap, const void *bp, const void *cp) { \
        T *y = yp; const double a = *(const double *)ap; const T *pb = bp; (void)cp; \
        FT_LOOP for (ptrdiff_t i = 0; i < n; i++) { double b = pb[i]; y[i] = (T)(value); } \
    } \
    static void name##_##suffix##2(ptrdiff_t n, void *yp, const void *ap, const void *bp, const void *cp) { \
        T *y = yp; const T *pa = ap; const double b = *(const double *)bp; (void)cp; \
        FT_LOOP for (ptrdiff_t i = 0; i < n; i++) { double a = pa[i]; y[i] = (T)(value); } \
    }
#define MAP1_KERNEL(T, suffix, name, value) \
    static void name##_##suffix##0(ptrdiff_t n, void *yp, const void *ap, const void *bp, const void *cp) { \
        T *y = yp; const T *pa = ap; (void)bp; (void)cp; \
        FT_LOOP for (ptrdiff_t i = 0; i < n; i++) { double a = pa[i]; y[i] = (T)(value); } \
    }
#define MAP3_KERNEL(T, suffix, name, value) \
    static void name##_##suffix##0(ptrdiff_t n, void *yp, const void *ap, const void *bp, const void *cp) { \
        T *y = yp; const T *pa = ap, *pb = bp, *pc = cp; \
        FT_LOOP for (ptrdiff_t i = 0; i < n; i++) { double a = pa[i], b = pb[i], c = pc[i]; y[i] = (T)(value); } \
    }
/* The branch-free core where it is right for the whole block, the complete function otherwise. Elements beyond the last
 * whole FT_GROUP are computed in a group with those before them, which come out the same: one after the other they would
 * take most of a short block's time. That group is read first, since y may be a. */
#define VEC1_KERNEL(T, suffix, name) \
    static FT_NOINLINE void name##_##suffix##_group(const T *a, T *y) { \
        FT_LOOP for (ptrdiff_t i = 0; i < FT_GROUP; i++) y[i] = (T)ft_##name##_core(a[i]); \
    } \
    static void name##_##suffix##0(ptrdiff_t n, void *yp, const void *ap, const void *bp, const void *cp) { \
        T *y = yp, last[FT_GROUP]; const T *pa = ap; int hard = 0; (void)bp; (void)cp; \
        const ptrdiff_t whole = n & -FT_GROUP; \
        const int overlap = n > whole && whole; \
        FT_LOOP for (ptrdiff_t i = 0; i < whole; i++) hard |= !ft_##name##_easy(pa[i]); \
        if (overlap) { FT_LOOP for (ptrdiff_t i = n - FT_GROUP; i < n; i++) hard |= !ft_##name##_easy(pa[i]); } \
        else for (ptrdiff_t i = whole; i < n; i++) hard |= !ft_##name##_easy(pa[i]); \
        if (hard) { \
            for (ptrdiff_t i = 0; i < n; i++) y[i] = (T)s_##name(pa[i]); \
            return; \
        } \
        if (overlap) name##_##suffix##_group(pa + n - FT_GROUP, last); \
        FT_LOOP for (ptrdiff_t i = 0; i < whole; i++) y[i] = (T)ft_##name##_core(pa[i]); \
        if (overlap) memcpy(y + n - FT_GROUP, last, sizeof last); \
        else for (ptrdiff_t i = whole; i < n; i++) y[i] = (T)ft_##name##_core(pa[i]); \
    }
#define VEC2_KERNEL(T, suffix, name) \
    static void name##_##suffix##0(ptrdiff_t n, void *yp, const void *ap, const void *bp, const void *cp) { \
        T *y = yp; const T *pa = ap, *pb = bp; int hard = 0; (void)cp; \
        FT_LOOP for (ptrdiff_t i = 0; i < n; i++) hard |= !ft_##name##_easy(pa[i], pb[i]); \
        if (!hard) { FT_LOOP for (ptrdiff_t i = 0; i < n; i++) y[i] = (T)ft_##name##_core(pa[i], pb[i]); } \
        else for (ptrdiff_t i = 0; i < n; i++) y[i] = (T)s_##name(pa[i], pb[i]); \
    }

/* The complete functions, once each: for the scalar loop and for blocks with a hard element. */
#define VEC1(name, ...) static FT_NOINLINE double s_##name(double a) { return ft_##name(a); }
#define VEC2(name, ...) static FT_NOINLINE double s_##name(double a, double b) { return ft_##name(a, b); }
#define MAP1(name, value, ...)
#define MAP2(name, value, ...)
#define MAP3(name, value, ...)
#define TEST1(name, value, ...)
#define TEST2(name, value, ...)
#include "../ops.h"

#define TWO_TYPES(K, name, value) K(double, d, name, value) K(float, s, name, value)
#define VEC1(name, ...) VEC1_KERNEL(double, d, name) VEC1_KERNEL(float, s, name)
#define VEC2(name, ...) VEC2_KERNEL(double, d, name) VEC2_KERNEL(float, s, name)
#define MAP1(name, value, ...) TWO_TYPES(MAP1_KERNEL, name, value)
#define MAP2(name, value, ...) TWO_TYPES(MAP2_KERNELS, name, value)
#define MAP3(name, value, ...) TWO_TYPES(MAP3_KERNEL, name, value)
#define TEST1(name, value, ...) TWO_TYPES(MAP1_KERNEL, name, value)
#define TEST2(name, value, ...) TWO_TYPES(MAP2_KERNELS, name, value)
#include "../ops.h"

/* [op][float32][variant]: 0 all operands are blocks, 1 a is a scalar, 2 b is a scalar. */
static const ft_kernel map_kernels[FT_N_MAP][2][3] = {
#define ONE_VARIANT(name) {{name##_d0}, {name##_s0}},
#define THREE_VARIANTS(name) {{name##_d0, name##_d1, name##_d2}, {name##_s0, name##_s1, name##_s2}},
#define VEC1(name, ...) ONE_VARIANT(name)
#define VEC2(name, ...) ONE_VARIANT(name)
#define MAP1(name, ...) ONE_VARIANT(name)
#define MAP2(name, ...) THREE_VARIANTS(name)
#define MAP3(name, ...) ONE_VARIANT(name)
#define TEST1(name, ...) ONE_VARIANT(name)
#define TEST2(name, ...) THREE_VARIANTS(name)
#include "../ops.h"
};

/* A scalar spread over a block, and the change of dtype. */
static void splat_d(ptrdiff_t n, void *yp, const void *ap, const void *bp, const void *cp) {
    double *y = yp, a = *(const double *)ap;
    (void)bp; (void)cp;
    for (ptrdiff_t i = 0; i < n; i++) y[i] = a;
}
static void splat_s(ptrdiff_t n, void *yp, const void *ap, const void *bp, const void *cp) {
    float *y = yp, a = (float)*(const double *)ap;
    (void)bp; (void)cp;
    for (ptrdiff_t i = 0; i < n; i++) y[i] = a;
}
static void widen(ptrdiff_t n, void *yp, const void *ap, const void *bp, const void *cp) {
    double *y = yp; const float *a = ap;
    (void)bp; (void)cp;
    for (ptrdiff_t i = 0; i < n; i++) y[i] = a[i];
}
static void narrow(ptrdiff_t n, void *yp, const void *ap, const void *bp, const void *cp) {
    float *y = yp; const double *a = ap;
    (void)bp; (void)cp;
    for (ptrdiff_t i = 0; i < n; i++) y[i] = (float)a[i];
}

/* Sine and cosine of one argument, which share all but the last step. */
#define SINCOS_KERNEL(T, suffix) \
    static void sincos_##suffix(ptrdiff_t n, void *yp, const void *ap, const void *bp, const void *cp) { \
        T *sine = yp, *cosine = (T *)bp; const T *pa = ap; int hard = 0; (void)cp; \
        FT_LOOP for (ptrdiff_t i = 0; i < n; i++) hard |= !ft_sin_easy(pa[i]); \
        if (!hard) { FT_LOOP for (ptrdiff_t i = 0; i < n; i++) { \
            double a = pa[i]; \
            sine[i] = (T)ft_sin_core(a); \
            cosine[i] = (T)ft_cos_core(a); \
        } } else for (ptrdiff_t i = 0; i < n; i++) { \
            double a = pa[i]; \
            sine[i] = (T)s_sin(a); \
            cosine[i] = (T)s_cos(a); \
        } \
    }
SINCOS_KERNEL(double, d)
SINCOS_KERNEL(float, s)

static ft_kernel find_kernel(int op, int f32, int variant) {
    if (op < FT_N_MAP) return map_kernels[op][f32][variant];
    if (op == FT_K_SPLAT) return f32 ? splat_s : splat_d;
    if (op == FT_K_SINCOS) return f32 ? sincos_s : sincos_d;
    return f32 ? narrow : widen;      /* FT_K_CAST, named by the result */
}

static double eval_scalar(int op, double a, double b, double c) {
    (void)b; (void)c;
    switch (op) {
#define VEC1(name, ...) case OP_##name: return s_##name(a);
#define VEC2(name, ...) case OP_##name: return s_##name(a, b);
#define MAP1(name, value, ...) case OP_##name: return value;
#define MAP2(name, value, ...) case OP_##name: return value;
#define MAP3(name, value, ...) case OP_##name: return value;
#define TEST1(name, value, ...) case OP_##name: return value;
#define TEST2(name, value, ...) case OP_##name: return value;
#include "../ops.h"
    }
    return NAN;
}
