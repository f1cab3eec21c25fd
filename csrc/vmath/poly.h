/* polyN(x, c0, …, cN) = c0 + c1·x + … + cN·x^N for the degrees in use.
 *
 * Horner's rule up to degree 6; beyond, even and odd terms are two chains in x², because the latency of
 * one long chain outlasts what a processor can overlap.
 */
#ifndef FT_VMATH_POLY_H
#define FT_VMATH_POLY_H

#include "tools.h"

FT_INLINE double ft_poly1(double x, double c0, double c1)
{
    return FT_FMA(x, c1, c0);
}

FT_INLINE double ft_poly2(double x, double c0, double c1, double c2)
{
    return FT_FMA(x, ft_poly1(x, c1, c2), c0);
}

FT_INLINE double ft_poly3(double x, double c0, double c1, double c2, double c3)
{
    return FT_FMA(x, ft_poly2(x, c1, c2, c3), c0);
}

FT_INLINE double ft_poly4(double x, double c0, double c1, double c2, double c3, double c4)
{
    return FT_FMA(x, ft_poly3(x, c1, c2, c3, c4), c0);
}

FT_INLINE double ft_poly5(double x, double c0, double c1, double c2, double c3, double c4,
                          double c5)
{
    return FT_FMA(x, ft_poly4(x, c1, c2, c3, c4, c5), c0);
}

FT_INLINE double ft_poly6(double x, double c0, double c1, double c2, double c3, double c4,
                          double c5, double c6)
{
    return FT_FMA(x, ft_poly5(x, c1, c2, c3, c4, c5, c6), c0);
}

FT_INLINE double ft_poly7(double x, double c0, double c1, double c2, double c3, double c4,
                          double c5, double c6, double c7)
{
    double z = x * x;
    return FT_FMA(x, ft_poly3(z, c1, c3, c5, c7),
                  ft_poly3(z, c0, c2, c4, c6));
}

FT_INLINE double ft_poly8(double x, double c0, double c1, double c2, double c3, double c4,
                          double c5, double c6, double c7, double c8)
{
    double z = x * x;
    return FT_FMA(x, ft_poly3(z, c1, c3, c5, c7),
                  ft_poly4(z, c0, c2, c4, c6, c8));
}

FT_INLINE double ft_poly9(double x, double c0, double c1, double c2, double c3, double c4,
                          double c5, double c6, double c7, double c8, double c9)
{
    double z = x * x;
    return FT_FMA(x, ft_poly4(z, c1, c3, c5, c7, c9),
                  ft_poly4(z, c0, c2, c4, c6, c8));
}

FT_INLINE double ft_poly10(double x, double c0, double c1, double c2, double c3, double c4,
                           double c5, double c6, double c7, double c8, double c9, double c10)
{
    double z = x * x;
    return FT_FMA(x, ft_poly4(z, c1, c3, c5, c7, c9),
                  ft_poly5(z, c0, c2, c4, c6, c8, c10));
}

FT_INLINE double ft_poly11(double x, double c0, double c1, double c2, double c3, double c4,
                           double c5, double c6, double c7, double c8, double c9, double c10,
                           double c11)
{
    double z = x * x;
    return FT_FMA(x, ft_poly5(z, c1, c3, c5, c7, c9, c11),
                  ft_poly5(z, c0, c2, c4, c6, c8, c10));
}

FT_INLINE double ft_poly12(double x, double c0, double c1, double c2, double c3, double c4,
                           double c5, double c6, double c7, double c8, double c9, double c10,
                           double c11, double c12)
{
    double z = x * x;
    return FT_FMA(x, ft_poly5(z, c1, c3, c5, c7, c9, c11),
                  ft_poly6(z, c0, c2, c4, c6, c8, c10, c12));
}

FT_INLINE double ft_poly13(double x, double c0, double c1, double c2, double c3, double c4,
                           double c5, double c6, double c7, double c8, double c9, double c10,
                           double c11, double c12, double c13)
{
    double z = x * x;
    return FT_FMA(x, ft_poly6(z, c1, c3, c5, c7, c9, c11, c13),
                  ft_poly6(z, c0, c2, c4, c6, c8, c10, c12));
}

FT_INLINE double ft_poly17(double x, double c0, double c1, double c2, double c3, double c4,
                           double c5, double c6, double c7, double c8, double c9, double c10,
                           double c11, double c12, double c13, double c14, double c15, double c16,
                           double c17)
{
    double z = x * x;
    return FT_FMA(x, ft_poly8(z, c1, c3, c5, c7, c9, c11, c13, c15, c17),
                  ft_poly8(z, c0, c2, c4, c6, c8, c10, c12, c14, c16));
}

FT_INLINE double ft_poly21(double x, double c0, double c1, double c2, double c3, double c4,
                           double c5, double c6, double c7, double c8, double c9, double c10,
                           double c11, double c12, double c13, double c14, double c15, double c16,
                           double c17, double c18, double c19, double c20, double c21)
{
    double z = x * x;
    return FT_FMA(x, ft_poly10(z, c1, c3, c5, c7, c9, c11, c13, c15, c17, c19, c21),
                  ft_poly10(z, c0, c2, c4, c6, c8, c10, c12, c14, c16, c18, c20));
}

#endif
