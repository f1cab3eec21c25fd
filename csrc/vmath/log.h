/* log log1p log2 log10 softplus logaddexp logaddexp2.
 *
 * x = 2^k·(1 + f) with 1 + f in [√½, √2], and fdlibm's log(1 + f) = f - f²/2 + s·(f²/2 + R) with
 * s = f/(2 + f).  The base-2 and base-10 logarithms follow FreeBSD's e_log2.c: f - f²/2 is cut to a high
 * part whose product with 1/log(base) is exact.
 */
#ifndef FT_VMATH_LOG_H
#define FT_VMATH_LOG_H

#include "exp.h"

#define FT_SQRT_HALF 0x3fe6a09e00000000u     /* bits of √½, cut */

/* k and 1 + f of a normal x > 0. */
FT_INLINE void ft_log_split(double x, double *k, double *m)
{
    uint64_t u = ft_bits(x) + (0x3ff0000000000000u - FT_SQRT_HALF);
    *k = ft_double((u >> 52) | ft_bits(0x1p52)) - (0x1p52 + 1023);
    *m = ft_double((u & 0x000fffffffffffffu) + FT_SQRT_HALF);
}

/* The same with subnormal x brought up first. */
FT_INLINE void ft_log_split_any(double x, double *k, double *m)
{
    double up = x < FT_TINY ? 54.0 : 0.0, y = x < FT_TINY ? x * 0x1p54 : x;
    ft_log_split(y, k, m);
    *k -= up;
}

/* s·(f²/2 + R) = log(1 + f) - (f - f²/2); error 2^-59.5 of log(1 + f). */
FT_INLINE double ft_log_rest(double f, double half_square)
{
    double s = f / (2.0 + f), z = s * s;
    double R = z * ft_poly6(z, 0x1.5555555555593p-1, 0x1.999999997fb2ep-2, 0x1.2492494217ad9p-2,
                            0x1.c71c51e7fe06dp-3, 0x1.74664628cf965p-3, 0x1.39a0f58fea4e1p-3,
                            0x1.2f0d87aa98115p-3);
    return s * (half_square + R);
}

/* k·ln 2 + log(1 + f) + d for a small correction d; without one pass -0.0. */
FT_INLINE double ft_log_sum(double k, double f, double d)
{
    double h = 0.5 * f * f;
    double low = FT_FMA(k, FT_LN2_LO, ft_log_rest(f, h) + d);
    return FT_FMA(k, FT_LN2_HI, f - (h - low));
}

/* The logarithm y of x where x is not positive and finite. */
FT_INLINE double ft_log_ends(double y, double x)
{
    y = x < (double)INFINITY ? y : x;
    return x > 0 ? y : (x == 0 ? -(double)INFINITY : (double)NAN);
}

/* Easy is every x that is normal, positive and finite. */
FT_INLINE int ft_log_easy(double x) { return ft_bits(x) - 0x0010000000000000u < 0x7fe0000000000000u; }
FT_INLINE double ft_log_core(double x)
{
    double k, m;
    ft_log_split(x, &k, &m);
    return ft_log_sum(k, m - 1.0, -0.0);
}
FT_INLINE double ft_log_any(double x)
{
    double k, m;
    ft_log_split_any(x, &k, &m);
    return ft_log_ends(ft_log_sum(k, m - 1.0, -0.0), x);
}
FT_PARTLY1(log, ft_log_any)

/* log1p(x + dx), |dx| <= ulp(x).  With k from 1 + x, f = x·2^-k + (2^-k - 1) rounds once, and not at all
 * for k = 0.  The factor is applied as 4·2^-k to x/4, for 2^-1024 is not normal.  extra: added to k. */
FT_INLINE double ft_log1p_of_sum(double x, double dx, double extra)
{
    double k, m, s, f, df, u = 1.0 + x;
    ft_log_split(u, &k, &m);
    s = ft_power_of_two(FT_ROUND - k, 2);
    f = FT_FMA(0.25 * x, s, FT_FMA(0.25, s, -1.0));
    df = 0.25 * dx * s;
    return ft_log_ends(ft_log_sum(k + extra, f, FT_FMA(-df, f, df)), u);
}

FT_INLINE double ft_log1p_core(double x)
{
    double k, m, s, y, u = 1.0 + x;
    ft_log_split(u, &k, &m);
    s = ft_power_of_two(FT_ROUND - k, 2);
    y = ft_log_ends(ft_log_sum(k, FT_FMA(0.25 * x, s, FT_FMA(0.25, s, -1.0)), -0.0), u);
    return fabs(x) < 0x1p-54 ? x : y;                         /* subnormals and -0 */
}
FT_TOTAL1(log1p)

/* hi + lo = f - f²/2 + rest, hi of 21 bits. */
FT_INLINE void ft_log_hi_lo(double f, double *hi, double *lo)
{
    double h = 0.5 * f * f;
    *hi = ft_double(ft_bits(f - h) & 0xffffffff00000000u);
    *lo = (f - *hi) - h + ft_log_rest(f, h);
}

FT_INLINE double ft_log2_core(double x)
{
    const double c = 0x1.715476520p0, c_lo = 0x1.705fc2eefa200p-33;    /* 1/ln 2 */
    double k, m, hi, lo, a, b, y;
    ft_log_split_any(x, &k, &m);
    ft_log_hi_lo(m - 1.0, &hi, &lo);
    a = hi * c;
    b = FT_FMA(lo + hi, c_lo, lo * c);
    y = k + a;
    return ft_log_ends(y + (b + ((k - y) + a)), x);
}
FT_TOTAL1(log2)

FT_INLINE double ft_log10_core(double x)
{
    const double c = 0x1.bcb7b1520p-2, c_lo = 0x1.b9438ca9aadd5p-36;   /* 1/ln 10 */
    const double d = 0x1.34413508p-2,  d_lo = 0x1.f79fef311f12bp-34;   /* log10(2) */
    double k, m, hi, lo, a, b, e, y;
    ft_log_split_any(x, &k, &m);
    ft_log_hi_lo(m - 1.0, &hi, &lo);
    a = hi * c;
    b = FT_FMA(k, d_lo, FT_FMA(lo + hi, c_lo, lo * c));
    e = k * d;
    y = e + a;
    return ft_log_ends(y + (b + ((e - y) + a)), x);
}
FT_TOTAL1(log10)

/* log(1 + e) for 0 <= e <= 1: k is 1 from 0.414 on.  Found by rounding, because gcc would clone the whole
 * of ft_log_sum for the two values of a select. */
FT_INLINE double ft_log1p_unit(double e)
{
    double k = ((e + 0.0859375) + FT_ROUND) - FT_ROUND;
    return ft_log_sum(k, FT_FMA(e, FT_FMA(-0.5, k, 1.0), -0.5 * k), -0.0);
}

FT_INLINE double ft_softplus_core(double x)
{
    double y = ft_log1p_unit(ft_exp_low(-fabs(x)));
    return x > 0 ? x + y : y;
}
FT_TOTAL1(softplus)

/* max(a, b) + log1p(exp(-|a - b|)).  A result near 0 is the difference of larger terms: its error is
 * then 1 ulp of max(a, b). */
FT_INLINE double ft_logaddexp_core(double a, double b)
{
    double d = a == b ? 0.0 : -fabs(a - b);
    return (a > b ? a : b) + ft_log1p_unit(ft_exp_low(d));
}
FT_TOTAL2(logaddexp)

FT_INLINE double ft_logaddexp2_core(double a, double b)
{
    double d = a == b ? 0.0 : -fabs(a - b);
    return (a > b ? a : b) + ft_log1p_unit(ft_exp2_core(d)) * FT_LOG2E;
}
FT_TOTAL2(logaddexp2)

#endif
