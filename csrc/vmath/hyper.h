/* tanh sinh cosh arcsinh arccosh arctanh. */
#ifndef FT_VMATH_HYPER_H
#define FT_VMATH_HYPER_H

#include "log.h"

/* tanh(a) is E/(E + 2) with E = expm1(2a), or from a = 0.55 on 1 - 2/(E + 2), whose quotient, at most
 * 1/2, brings in less of its error.  E/d with d = E + 2 is corrected to first order for what the sums
 * n = E and d lost, 1/d being (1 - y)/2.  Rounds to 1 from a = 19.1 on. */
FT_INLINE double ft_tanh_core(double x)
{
    double t, r, c, s, E, n, nlost, d, dlost, y, a = fabs(x);
    ft_exp_parts(ft_at_most(2 * a, 44.0), -0.0, &t, &r, &c);
    s = ft_power_of_two(t, 0);
    E = FT_FMA(s, r, s - 1.0);
    n = FT_FMA(s, c, E);
    nlost = FT_FMA(s, c, E - n);
    d = n + 2.0;
    dlost = (2.0 - d) + n;
    y = (a < 0.55 ? n : -2.0) / d;
    y = a < 0.55 ? FT_FMA(FT_FMA(-y, dlost, nlost), FT_FMA(-0.5, y, 0.5), y) : 1.0 + y;
    return ft_with_sign(y, x);
}
FT_TOTAL1(tanh)

/* |x| = k·ln 2 + r: sinh = D·cosh(r) + M·sinh(r), cosh = M·cosh(r) + D·sinh(r), where
 * D, M = (2^k -+ 2^-k)/2.  All is halved once more, for 2^1024 is no double. */
FT_INLINE void ft_hyper_parts(double a, double *D, double *M, double *r, double *s, double *c)
{
    double t, lo, z, up, down;
    ft_exp_reduce(a, -0.0, &t, r, &lo);
    up = ft_power_of_two(t, -2);
    down = 0x1p-4 / up;
    *D = up - down;
    *M = up + down;
    z = *r * *r;
    /* sinh(r) - r, error 2^-61.7 of sinh(r);  cosh(r) - 1, error 2^-58 */
    *s = FT_FMA(z * *r, ft_poly4(z, 0x1.5555555555559p-3, 0x1.111111110f6a9p-7, 0x1.a01a01afe7d2ep-13,
                                 0x1.71ddf84c3d7f3p-19, 0x1.af5ecce97a1c9p-26), lo);
    *c = z * ft_poly4(z, 0x1.000000000000cp-1, 0x1.555555554ff7cp-5, 0x1.6c16c185c6e0fp-10,
                      0x1.a019964b07f12p-16, 0x1.28b0845c5b04bp-22);
}

FT_INLINE double ft_sinh_core(double x)
{
    double D, M, r, s, c, y, a = fabs(x);
    ft_hyper_parts(a, &D, &M, &r, &s, &c);
    y = 2 * (FT_FMA(M, r, D) + FT_FMA(M, s, D * c));
    y = a > 710.5 ? (double)INFINITY : y;
    return a < 0x1p-28 ? x : ft_with_sign(y, x);
}
FT_TOTAL1(sinh)

FT_INLINE double ft_cosh_core(double x)
{
    double D, M, r, s, c, y, a = fabs(x);
    ft_hyper_parts(a, &D, &M, &r, &s, &c);
    y = 2 * (M + FT_FMA(D, r, FT_FMA(D, s, M * c)));
    return a > 710.5 ? (double)INFINITY : y;
}
FT_TOTAL1(cosh)

/* log1p(w), w = a + a·q, q = a/(1 + sqrt(1 + a²)); beyond 2^60 log(2a). */
FT_INLINE double ft_arcsinh_core(double x)
{
    double a = fabs(x), b = ft_at_most(a, 0x1p60);
    double q = b / (1.0 + sqrt(FT_FMA(b, b, 1.0)));
    double w = FT_FMA(a, q, a), dw = FT_FMA(a, q, a - w);
    int beyond = a > 0x1p60;
    double y = ft_log1p_of_sum(beyond ? a : w, beyond ? 0.0 : dw, beyond ? 1.0 : 0.0);
    return a < 0x1p-28 ? x : ft_with_sign(y, x);
}
FT_TOTAL1(arcsinh)

/* log1p(t + s), t = x - 1, s = sqrt(2t + t²) */
FT_INLINE double ft_arccosh_core(double x)
{
    double t = x - 1.0, b = ft_at_most(t, 0x1p60);
    double s = sqrt(FT_FMA(b, b, 2 * b)), w = s + b, dw = (s - w) + b;
    int beyond = x > 0x1p60;
    double y = ft_log1p_of_sum(beyond ? x : w, beyond ? 0.0 : dw, beyond ? 1.0 : 0.0);
    return x < 1.0 ? (double)NAN : y;
}
FT_TOTAL1(arccosh)

/* ½·log1p(w), w = 2a/d, d = 1 - a; 1/d = 1 + w/2 serves to correct for roundings. */
FT_INLINE double ft_arctanh_core(double x)
{
    double a = fabs(x), d = 1.0 - a, lost = (1.0 - d) - a;
    double w = 2 * a / d, rest, y;
#if FT_HAS_FMA
    rest = FT_FMA(-w, d, 2 * a);
#else
    rest = 0.0;
#endif
    rest = FT_FMA(-w, lost, rest) * FT_FMA(0.5, w, 1.0);
    y = 0.5 * ft_log1p_of_sum(w, rest, 0.0);
    return a < 0x1p-28 ? x : ft_with_sign(y, x);
}
FT_TOTAL1(arctanh)

#endif
