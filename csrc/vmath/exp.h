/* exp exp2 expm1 sigmoid.
 *
 * x = k·ln 2 + r with |r| <= ln(2)/2, so exp(x) = 2^k·exp(r).  2^k is applied as two factors, which reach
 * every double from the subnormals to overflow and round once: no argument is special.  ln 2 is split as
 * in fdlibm (hi has 32 bits, so that k·hi is exact).  The polynomials, here and in all of vmath, are
 * minimax fits of our own; the error beside each is relative to the function named.
 */
#ifndef FT_VMATH_EXP_H
#define FT_VMATH_EXP_H

#include "poly.h"

#define FT_LN2_HI 0x1.62e42feep-1
#define FT_LN2_LO 0x1.a39ef35793c76p-33
#define FT_LOG2E  0x1.71547652b82fep0

/* x + dx = k·ln 2 + r + lo with t = FT_ROUND + k; |x| < 1100, |dx| < 2^-20.  Without dx pass
 * -0.0, which changes no sum. */
FT_INLINE void ft_exp_reduce(double x, double dx, double *t, double *r, double *lo)
{
    double k, hi, v;
    *t = FT_FMA(x, FT_LOG2E, FT_ROUND);
    k = *t - FT_ROUND;
    hi = FT_FMA(-k, FT_LN2_HI, x);
    v = FT_FMA(-k, FT_LN2_LO, dx);
    *r = hi + v;
    *lo = (hi - *r) + v;
}

/* exp(x + dx) = 2^k·(1 + r + c) with |c| < 0.07, whose rounding is then most of the error. */
FT_INLINE void ft_exp_parts(double x, double dx, double *t, double *r, double *c)
{
    double lo, q;
    ft_exp_reduce(x, dx, t, r, &lo);
    /* (exp(r) - 1 - r) / r²; error 2^-55.6 of exp(r) - 1 */
    q = ft_poly9(*r, 0x1.0000000000005p-1, 0x1.5555555555538p-3, 0x1.55555555522b6p-5, 0x1.11111111193d4p-7,
                 0x1.6c16c17edeed3p-10, 0x1.a01a0173d3c55p-13, 0x1.a019a7616b0b5p-16, 0x1.71de8a8452105p-19,
                 0x1.28a1efebcc98fp-22, 0x1.ae68263d42456p-26);
    *c = FT_FMA(*r * *r, q, lo);
}

/* p·2^k for t = FT_ROUND + k and |k| < 2040; a subnormal result is rounded once. */
FT_INLINE double ft_scale(double p, double t)
{
    double half = FT_FMA(t - FT_ROUND, 0.5, FT_ROUND);
    uint64_t rest = (ft_bits(t) - ft_bits(half)) << 52;
    return p * ft_power_of_two(half, 0) * ft_double(rest + ft_bits(1.0));
}

/* exp(x) for x < 1100 or NaN; what comes of x < -746 is discarded. */
FT_INLINE double ft_exp_low(double x)
{
    double t, r, c, y;
    ft_exp_parts(x, -0.0, &t, &r, &c);
    y = ft_scale(1.0 + (r + c), t);
    return x < -746.0 ? 0.0 : y;
}

FT_INLINE double ft_exp_core(double x) { return ft_exp_low(ft_at_most(x, 710.0)); }
FT_TOTAL1(exp)

FT_INLINE double ft_exp2_core(double x)
{
    double t, r, p, y;
    x = ft_at_most(x, 1025.0);
    t = x + FT_ROUND;
    r = x - (t - FT_ROUND);                                   /* exact */
    /* (2^r - 1) / r; error 2^-58 of 2^r */
    p = ft_poly10(r, 0x1.62e42fefa39efp-1, 0x1.ebfbdff82c5a4p-3, 0x1.c6b08d7049fe8p-5, 0x1.3b2ab6fba010dp-7,
                  0x1.5d87fe78cd56ap-10, 0x1.4309130edb4dbp-13, 0x1.ffcbfba9e59e9p-17, 0x1.62bfc797312c8p-20,
                  0x1.b5267c13a708bp-24, 0x1.e61b59e98bf4bp-28, 0x1.e79ce98de762ep-32);
    y = ft_scale(FT_FMA(r, p, 1.0), t);
    return x < -1077.0 ? 0.0 : y;
}
FT_TOTAL1(exp2)

/* 2^k·(1 + r + c) - 1: for k = 0 and 1, where this cancels, 2^k·r + (2^k - 1) is exact. */
FT_INLINE double ft_expm1_core(double x)
{
    double t, r, c, h, y;
    ft_exp_parts(ft_at_most(x, 710.0), -0.0, &t, &r, &c);
    h = ft_power_of_two(t, -1);                               /* half, for 2^1024 is no double */
    y = 2 * FT_FMA(h, c, FT_FMA(h, r, h - 0.5));
    y = x < -40.0 ? -1.0 : y;
    return fabs(x) < 0x1p-54 ? x : y;                         /* subnormals and -0 */
}
FT_TOTAL1(expm1)

/* e/(1 + e) or 1/(1 + e) with e = exp(-|x|), corrected for the rounding of 1 + e. */
FT_INLINE double ft_sigmoid_core(double x)
{
    double e = ft_exp_low(-fabs(x));
    double d = 1.0 + e, lost = (1.0 - d) + e;
    double y = (x < 0 ? e : 1.0) / d;
    return FT_FMA(-y, lost, y);
}
FT_TOTAL1(sigmoid)

#endif
