/* arcsin arccos arctan arctan2. */
#ifndef FT_VMATH_ARC_H
#define FT_VMATH_ARC_H

#include "poly.h"

#define FT_HALF_PI     0x1.921fb54442d18p0
#define FT_HALF_PI_LO  0x1.1a62633145c07p-54

/* (arcsin(v) - v)/v³ in z = v² <= 1/4; error 2^-59.9 of arcsin(v) */
FT_INLINE double ft_arcsin_poly(double z)
{
    return ft_poly12(z, 0x1.5555555555577p-3, 0x1.333333332e091p-4, 0x1.6db6db7219b3bp-5, 0x1.f1c71a9235fecp-6,
                     0x1.6e8bdf2e48606p-6, 0x1.1c49eacbbdb76p-6, 0x1.ca20157c90b65p-7, 0x1.758119971ebd3p-7,
                     0x1.6155f2849996cp-7, 0x1.e46da1a8498c7p-9, 0x1.641627c9f6670p-6, -0x1.58ad50f7aa2a9p-6,
                     0x1.0b7ed9153ab28p-5);
}

/* Beyond ½: pi/2 - 2·arcsin(v) with v = sqrt((1 - a)/2). */
FT_INLINE double ft_arcsin_core(double x)
{
    double a = fabs(x);
    int beyond = a > 0.5;
    double z = beyond ? FT_FMA(-0.5, a, 0.5) : a * a;
    double v = beyond ? sqrt(z) : a;
    double m = v * z * ft_arcsin_poly(z);
    double w = 0.5 * FT_HALF_PI - v, lost = (0.5 * FT_HALF_PI - w) - v;
    double y = beyond ? 2 * (w - (m - (lost + 0.5 * FT_HALF_PI_LO))) : v + m;
    return ft_with_sign(y, x);
}
FT_TOTAL1(arcsin)

FT_INLINE double ft_arccos_core(double x)
{
    double a = fabs(x);
    int beyond = a > 0.5;
    double z = beyond ? FT_FMA(-0.5, a, 0.5) : a * a;
    double v = beyond ? sqrt(z) : x;
    double m = v * z * ft_arcsin_poly(z);
    double w = (FT_HALF_PI - v) - (m - FT_HALF_PI_LO);
    return beyond ? 2 * (x > 0 ? v + m : w) : w;
}
FT_TOTAL1(arccos)

/* arctan(t) = octant·pi/4 + u + rest for 0 <= t <= 1: u is t, or beyond tan(pi/8) (t - 1)/(t + 1). */
FT_INLINE void ft_arctan_parts(double t, double *octant, double *u, double *rest)
{
    int upper = t > 0.41421356237309503;
    double d = t + 1.0, lost = upper ? (1.0 - d) + t : 0.0, z, p;
    *octant = upper ? 1.0 : 0.0;
    *u = upper ? (t - 1.0) / d : t;
    z = *u * *u;
    /* error 2^-59.4 of arctan(u) */
    p = ft_poly10(z, -0x1.555555555553dp-2, 0x1.99999999957b3p-3, -0x1.24924922a9a3bp-3,
                  0x1.c71c70e4c9e56p-4, -0x1.745cf8bb90e66p-4, 0x1.3b11170547193p-4,
                  -0x1.10eba23e9b567p-4, 0x1.df0e1ef350ce0p-5, -0x1.9ccdc00dddd9dp-5,
                  0x1.37c99b363c294p-5, -0x1.25512cce6fe73p-6);
    /* the rounding of t + 1 moves u by -u·lost/(t + 1) */
    *rest = *u * FT_FMA(z, p, -lost * FT_FMA(-0.5, *u, 0.5));
}

/* octants·pi/4 + sign·(u + rest); small multiples of pi/4 are exact. */
FT_INLINE double ft_arctan_sum(double octants, double sign, double u, double rest)
{
    double low = FT_FMA(octants, 0.5 * FT_HALF_PI_LO, sign * rest);
    return FT_FMA(octants, 0.5 * FT_HALF_PI, FT_FMA(sign, u, low));
}

FT_INLINE double ft_arctan_core(double x)
{
    double a = fabs(x), octant, u, rest;
    int beyond = a > 1.0;
    ft_arctan_parts(beyond ? 1.0 / a : a, &octant, &u, &rest);
    return ft_with_sign(ft_arctan_sum(beyond ? 2.0 - octant : octant, beyond ? -1.0 : 1.0, u, rest), x);
}
FT_TOTAL1(arctan)

/* arctan(min/max), turned by where (x, y) lies: steeper than 45 degrees, left of the axis. */
FT_INLINE double ft_arctan2_core(double y, double x)
{
    double ax = fabs(x), ay = fabs(y), octant, u, rest, turn, sign;
    int steep = ay > ax;
    double low = steep ? ax : ay, high = steep ? ay : ax;
    uint64_t left = 0 - (ft_bits(x) >> 63);
    ft_arctan_parts(low == high ? (high == 0 ? 0.0 : 1.0) : low / high, &octant, &u, &rest);
    turn = ft_select(left, steep ? 2.0 : 4.0, steep ? 2.0 : 0.0);
    sign = ft_double(ft_bits(steep ? -1.0 : 1.0) ^ (left & FT_SIGN));
    return ft_with_sign(fabs(ft_arctan_sum(FT_FMA(sign, octant, turn), sign, u, rest)), y);
}
FT_TOTAL2(arctan2)

#endif
