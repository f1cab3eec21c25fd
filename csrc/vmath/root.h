/* cbrt hypot. */
#ifndef FT_VMATH_ROOT_H
#define FT_VMATH_ROOT_H

#include "poly.h"

/* |x| = m·8^q with m in [1, 8).  A polynomial gives s = m^(-1/3) to 2^-8.4 and h = 1 - m·s³ its defect:
 * s·(1 - h)^(-1/3) by series is good to 2^-43, and a Newton step on y = m·s² to the last bit. */
FT_INLINE double ft_cbrt_core(double x)
{
    double a = fabs(x), b = a < FT_TINY ? a * 0x1p54 : a;
    double e, t, m, s, h, y, z;
    uint64_t u = ft_bits(b), q;
    e = ft_double((u >> 52) | ft_bits(0x1p52)) - 0x1p52;
    t = FT_FMA(e - 1.0, 1.0 / 3.0, FT_ROUND);
    q = ft_bits(t) << 52;                                     /* in the place of an exponent */
    m = ft_double(u - 3 * q + ((uint64_t)1023 << 52));
    s = ft_poly5(m, 0x1.6cc6359c84b51p+0, -0x1.317f181bca882p-1, 0x1.a16f07b839b71p-3, -0x1.3c4bcec734ea3p-5,
                 0x1.e46e3dc08a3f5p-9, -0x1.24565cb315a61p-13);
    h = FT_FMA(-m * s, s * s, 1.0);
    h = h * ft_poly3(h, 1.0 / 3.0, 2.0 / 9.0, 14.0 / 81.0, 35.0 / 243.0);
    s = FT_FMA(s, h, s);
    y = m * s * s;
    z = y * y;
    y = FT_FMA(FT_FMA(-z, y, m), s * s * (1.0 / 3.0), y);
    y *= ft_power_of_two(t, -341);
    y = a < FT_TINY ? y * 0x1p-18 : y;
    y = a < (double)INFINITY ? y : a;
    return a == 0 ? x : ft_with_sign(y, x);
}
FT_TOTAL1(cbrt)

/* The square of the larger must be 0 or normal and finite. */
FT_INLINE int ft_hypot_easy(double a, double b)
{
    double x = fabs(a), y = fabs(b), m = x > y ? x : y;
    return ((m < 0x1p510) & (m > 0x1p-480)) | (m == 0);
}
FT_INLINE double ft_hypot_core(double a, double b)
{
    double x = fabs(a), y = fabs(b), high = x > y ? x : y, low = x > y ? y : x;
    return sqrt(FT_FMA(high, high, low * low));               /* the same for (b, a) */
}
FT_PARTLY2(hypot, hypot)

#endif
