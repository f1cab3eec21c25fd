/* power: exp(b·log|a|) with log|a| as the sum of two doubles.
 *
 * The relative error of the result is the absolute error of b·log|a|, which reaches 745: the logarithm
 * must be good to 2^-65.  |a| = 2^k·m, s = (m - 1)/(m + 1), log m = 2s·(1 + z/3 + z²·Q(z)) with z = s² < 0.03:
 * s, z and the sum are pairs of doubles, z²·Q is small enough for one.  A result that is a double is found
 * exactly for |b·log|a|| < 50 or so: before the last rounding the error is below 0.1 ulp.
 */
#ifndef FT_VMATH_POWER_H
#define FT_VMATH_POWER_H

#include "log.h"

/* Finite normal a, and b that can be tested for being an integer.  Without a fused multiply-add the pairs
 * cost more than libm's table. */
FT_INLINE int ft_power_easy(double a, double b)
{
    return FT_HAS_FMA & (fabs(a) >= FT_TINY) & (fabs(a) < (double)INFINITY) & (fabs(b) < 0x1p51);
}

/* h + l = log(x) for a normal x > 0 */
FT_INLINE void ft_log_pair(double x, double *h, double *l)
{
    const double third = 0x1.5555555555555p-2, third_lo = 0x1.5555555555555p-56;
    double k, m, f, d, dl, inverse, s, sl, z, zl, q, w, wl, g, gl, u, ul, p, r;
    ft_log_split(x, &k, &m);
    f = m - 1.0;
    d = m + 1.0;
    dl = m - (d - 1.0);
    inverse = 1.0 / d;
    s = f * inverse;
    p = s * d;
    sl = ((f - p) - ft_product_rest(s, d, p) - s * dl) * inverse;
    z = s * s;
    zl = ft_product_rest(s, s, z) + 2 * s * sl;
    /* Q; error 2^-66 of log m */
    q = z * ft_poly6(z, 0x1.9999999999b33p-3, 0x1.24924924577f5p-3, 0x1.c71c722de4669p-4, 0x1.745ce9b6819afp-4,
                     0x1.3b1ef46a1ea3ap-4, 0x1.0f7f2013bc3c6p-4, 0x1.0e4a3441667f2p-4);
    w = third + q;
    wl = ((third - w) + q) + third_lo;
    g = z * w;
    gl = ft_product_rest(z, w, g) + FT_FMA(z, wl, zl * w);
    u = s * g;
    ul = ft_product_rest(s, g, u) + FT_FMA(s, gl, sl * g);
    p = s + u;
    r = ((s - p) + u) + (ul + sl);
    u = k * FT_LN2_HI;
    *h = u + 2 * p;
    *l = ((u - *h) + 2 * p) + FT_FMA(k, FT_LN2_LO, 2 * r);
}

FT_INLINE double ft_power_core(double a, double b)
{
    double h, l, y, yl, t, r, c, p, integer;
    uint64_t sign;
    ft_log_pair(fabs(a), &h, &l);
    y = b * h;
    yl = FT_FMA(b, l, ft_product_rest(b, h, y));
    ft_exp_parts(y, yl, &t, &r, &c);
    p = 1.0 + r;
    p = ft_scale(p + (((1.0 - p) + r) + c), t);
    p = y > 720.0 ? (double)INFINITY : p;
    p = y < -760.0 ? 0.0 : p;
    integer = b + FT_ROUND;
    sign = (ft_bits(a) & FT_SIGN) & (ft_bits(integer) << 63);
    p = ft_double(ft_bits(p) | sign);
    return ((a < 0) & (integer - FT_ROUND != b)) ? (double)NAN : p;
}
FT_PARTLY2(power, pow)

#endif
