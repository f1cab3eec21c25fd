/* Tools of vmath: bit casts, fused multiply-add, and the form of three functions.
 *
 * All of it is straight-line C.  A select is `c ? a : b` on values already computed, integers are only
 * added, shifted and masked, and no int64 is ever converted to double: so the loop around it vectorises
 * down to SSE2.
 */
#ifndef FT_VMATH_TOOLS_H
#define FT_VMATH_TOOLS_H

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(FLT_EVAL_METHOD) && FLT_EVAL_METHOD == 2
#error "vmath: doubles must be computed as doubles; on 32-bit x86 compile with -msse2 -mfpmath=sse"
#endif

#if defined(__GNUC__)
#define FT_INLINE static inline __attribute__((always_inline))
#elif defined(_MSC_VER)
#define FT_INLINE static __forceinline
#else
#define FT_INLINE static inline
#endif

/* a·b + c: one rounding where the processor has it, else two.  FT_HAS_FMA guards what needs one. */
#if defined(__FMA__) || defined(__aarch64__)
#define FT_HAS_FMA 1
#define FT_FMA(a, b, c) __builtin_fma(a, b, c)
#else
#define FT_HAS_FMA 0
#define FT_FMA(a, b, c) ((a) * (b) + (c))
#endif

#define FT_SIGN 0x8000000000000000u
#define FT_TINY 0x1p-1022               /* the least normal double */

/* Adding 3·2^51 rounds |x| < 2^51 to an integer, found in the low bits of the sum. */
#define FT_ROUND 0x1.8p52

FT_INLINE uint64_t ft_bits(double x) { uint64_t u; memcpy(&u, &x, 8); return u; }
FT_INLINE double ft_double(uint64_t u) { double x; memcpy(&x, &u, 8); return x; }

/* Lets a NaN through.  Where the garbage beyond c does no harm, a select at the end is cheaper: gcc clones
 * what follows a select for its constant. */
FT_INLINE double ft_at_most(double x, double c) { return x > c ? c : x; }

FT_INLINE double ft_with_sign(double x, double sign)          /* x >= 0 */
{
    return ft_double(ft_bits(x) | (ft_bits(sign) & FT_SIGN));
}

/* a where mask is all ones, b where it is 0 */
FT_INLINE double ft_select(uint64_t mask, double a, double b)
{
    return ft_double((ft_bits(a) & mask) | (ft_bits(b) & ~mask));
}

/* a·b - p for p = a·b rounded; without a fused multiply-add by Dekker's splitting. */
FT_INLINE double ft_product_rest(double a, double b, double p)
{
#if FT_HAS_FMA
    return FT_FMA(a, b, -p);
#else
    double c = ft_double(ft_bits(a) & 0xfffffffff8000000u), cl = a - c;   /* 26 and 27 bits */
    double d = ft_double(ft_bits(b) & 0xfffffffff8000000u), dl = b - d;
    return (((c * d - p) + c * dl) + cl * d) + cl * dl;
#endif
}

/* a·b + c for a c that is small against a·b, precise also without a fused multiply-add */
FT_INLINE double ft_product_plus(double a, double b, double c)
{
#if FT_HAS_FMA
    return FT_FMA(a, b, c);
#else
    double p = a * b;
    return p + (c + ft_product_rest(a, b, p));
#endif
}

/* 2^(k + e) from t = FT_ROUND + k; the exponent must be that of a normal number. */
FT_INLINE double ft_power_of_two(double t, int e)
{
    return ft_double((ft_bits(t) << 52) + ((uint64_t)(1023 + e) << 52));
}

/* The three functions of a name.  TOTAL: core is right for every input.  PARTLY: where easy says so, and
 * `rest` does the others. */
#define FT_TOTAL1(name)                                                                             \
    static inline int    ft_##name##_easy(double x) { (void)x; return 1; }                          \
    static inline double ft_##name(double x)        { return ft_##name##_core(x); }
#define FT_PARTLY1(name, rest)                                                                      \
    static inline double ft_##name(double x)                                                        \
    {                                                                                               \
        return ft_##name##_easy(x) ? ft_##name##_core(x) : rest(x);                                 \
    }
#define FT_TOTAL2(name)                                                                             \
    static inline int    ft_##name##_easy(double a, double b) { (void)a; (void)b; return 1; }       \
    static inline double ft_##name(double a, double b)        { return ft_##name##_core(a, b); }
#define FT_PARTLY2(name, rest)                                                                      \
    static inline double ft_##name(double a, double b)                                              \
    {                                                                                               \
        return ft_##name##_easy(a, b) ? ft_##name##_core(a, b) : rest(a, b);                        \
    }

#endif
