/* erf erfc ndtr. */
#ifndef FT_VMATH_ERF_H
#define FT_VMATH_ERF_H

#include "exp.h"

/* |x| < 1: x + x·P(x²).  Beyond: 1 - exp(P(|x|)) with P near log(erfc), whose error counts only as much as
 * erfc <= 0.16 does.  Rounds to 1 from 5.92 on. */
FT_INLINE double ft_erf_core(double x)
{
    double a = fabs(x), z = a * a, u, t, r, c, p, q, small, large;
    /* error 2^-56.9 */
    p = ft_poly11(z, 0x1.06eba8214db68p-3, -0x1.812746b0379bdp-2, 0x1.ce2f21a040d0ep-4, -0x1.b82ce311fa73cp-6,
                  0x1.565bccf926fc2p-8, -0x1.c02db03d33100p-11, 0x1.f9a2ba9968dcfp-14, -0x1.f4ca4c7c08731p-17,
                  0x1.b97fca561db17p-20, -0x1.5c06ebd8fe82bp-23, 0x1.d71970bc19c99p-27, -0x1.aba963ba1cba4p-31);
    small = FT_FMA(a, p, a);
    /* error 2^-57 */
    u = a - 1.0;
    q = ft_poly17(u, -0x1.d97fbf27aa2a1p+0, -0x1.51c9b0006c21ep+1, -0x1.afabc11a2aceep-1, -0x1.5477f099ef805p-5,
                  0x1.48c9d38899752p-7, -0x1.033f5ae412a51p-9, 0x1.f1b07c5ea5f50p-13, 0x1.b929d03603e37p-16,
                  -0x1.c84b4a114f1dcp-16, 0x1.4470f703ad0c2p-17, -0x1.1dd9b5c45ad27p-19, 0x1.b4834f39145e6p-23,
                  0x1.f929095319d4cp-25, -0x1.215f1f08ddaeap-25, 0x1.2758a8ae4bc8ap-27, -0x1.6e3bb4486e838p-30,
                  0x1.0960f316734c2p-33, -0x1.5ab80c7af67a5p-38);
    ft_exp_parts(q, -0.0, &t, &r, &c);
    large = 1.0 - (1.0 + (r + c)) * ft_power_of_two(t, 0);
    large = a > 5.95 ? 1.0 : large;
    return ft_with_sign(a < 1.0 ? small : large, x);
}
FT_TOTAL1(erf)

/* exp(-s - ds)·Q/(1 + b) for Q = A + B and b >= ½.  With exp(-s) = 2^k·(1 + w) the product is
 * n = A + (B + Q·w); the quotient is corrected for what it, n and 1 + b lost in rounding. */
FT_INLINE double ft_exp_times(double s, double ds, double A, double B, double b)
{
    double t, r, c, m, n, p, y, rest;
    double d = 1.0 + b, inverse = 1.0 / d, lost = (b - d) + 1.0;
    ft_exp_parts(-s, -ds, &t, &r, &c);
    m = FT_FMA(A, r, FT_FMA(B, r, FT_FMA(A + B, c, B)));
    n = A + m;
    y = n * inverse;
    p = y * d;
    rest = ((n - p) - ft_product_rest(y, d, p)) + ((A - n) + m);
    return ft_scale(FT_FMA(FT_FMA(-y, lost, rest), inverse, y), t);
}

/* erfc(a) = exp(-a²)·Q(u)/(1 + 2a) with u = (a - 4)/(a + 4), after Shepherd and Laframboise (Math. Comp. 36,
 * 1981); near 0 it is 1 - erf(a), for x < 0 2 - erfc(|x|). */
FT_INLINE double ft_erfc_core(double x)
{
    double a = fabs(x), z = a * a, u, p, q, inner, y;
    u = (a - 4.0) / (a + 4.0);
    /* Q - 1.25 on [0.37, 27.3]; error 2^-58.5 of Q */
    q = ft_poly21(u, -0x1.169ba4580a04cp-6, -0x1.1df1ad154a28fp-3, 0x1.f7f5df66fd503p-7, 0x1.16ecefcfa545ap-4,
                  -0x1.9ddb23c3e79dfp-4, 0x1.7fee004e1088ap-4, -0x1.0fb06dfe6f380p-4, 0x1.3079edf6bbfc3p-5,
                  -0x1.0962387d020f7p-6, 0x1.49c6727834a02p-8, -0x1.8d4aa1ed40a5ap-11, -0x1.a1df1f3bfc27cp-13,
                  0x1.3be0dcdc0719cp-13, -0x1.9959457492dbep-16, -0x1.78a4966613562p-17, 0x1.7f1e814738520p-18,
                  0x1.41c6cc07a8a2fp-22, -0x1.b9d90d5c15f6ap-21, 0x1.1f8f41c83cc38p-24, 0x1.c791712e8641cp-24,
                  -0x1.a37c8353f72b1p-27, -0x1.6ce6cd993ad34p-27);
    y = ft_exp_times(z, ft_product_rest(a, a, z), 1.25, q, 2 * a);
    y = a > 27.5 ? 0.0 : y;
    y = x < 0 ? 2.0 - y : y;
    /* erf(x)/x - 1 on |x| <= ½; error 2^-57.8 */
    p = ft_poly8(z, 0x1.06eba8214db68p-3, -0x1.812746b0379b3p-2, 0x1.ce2f21a03d55ep-4,
                 -0x1.b82ce30f149e1p-6, 0x1.565bcbf3228d3p-8, -0x1.c02d4dd83bbeap-11,
                 0x1.f98d7538c25bap-14, -0x1.f21fefa8dfb43p-17, 0x1.8b2292a175649p-20);
    inner = 1.0 - FT_FMA(x, p, x);
    return a < 0.5 ? inner : y;
}
FT_TOTAL1(erfc)

/* The same for the normal distribution: ndtr(-a) = exp(-a²/2)·Q(u)/(1 + a), u = (a - 5)/(a + 5). */
FT_INLINE double ft_ndtr_core(double x)
{
    double a = fabs(x), z = a * a, u, p, q, inner, y;
    u = (a - 5.0) / (a + 5.0);
    /* Q - 0.4375 on [0.53, 38.6]; error 2^-59 of Q */
    q = ft_poly21(u, 0x1.8979b0f2b39d7p-6, -0x1.76ff86859eb15p-4, 0x1.fc66cc64a141ep-6, 0x1.47c1d03054dcfp-7,
                  -0x1.b08e0007b5d31p-6, 0x1.92037bab40bc8p-6, -0x1.f11aab02d51e1p-7, 0x1.ab6d038f281dfp-8,
                  -0x1.b75f4f96716f2p-10, 0x1.05717c53e2ed2p-17, 0x1.7e61e62578775p-13, -0x1.c1b18d0a7ad4cp-15,
                  -0x1.4c0f53f8bf34ep-17, 0x1.30001306ec662p-17, -0x1.2cd5a4c27834ap-24, -0x1.5eec4243e03e1p-20,
                  0x1.10efad6ab1961p-23, 0x1.a3b3cadbe105ap-23, -0x1.b031446d65b71p-26, -0x1.fb35f614c9d02p-26,
                  0x1.7a9a069359466p-29, 0x1.bce58b4e5a091p-29);
    y = ft_exp_times(0.5 * z, 0.5 * ft_product_rest(a, a, z), 0.4375, q, a);
    y = a > 38.7 ? 0.0 : y;
    y = x < 0 ? y : 1.0 - y;
    /* (ndtr(x) - ½)/x on |x| <= 0.5625; error 2^-57.9 */
    p = ft_poly7(z, 0x1.9884533d43650p-2, -0x1.1058377e2cc7ep-4, 0x1.46d0429734566p-7,
                 -0x1.37403f4ad870bp-10, 0x1.e42af7b559cffp-14, -0x1.3ce4eeebc71c6p-17,
                 0x1.64aca9387c56bp-21, -0x1.48d7d47ecd724p-25);
    inner = FT_FMA(x, p, 0.5);
    return a < 0.5625 ? inner : y;
}
FT_TOTAL1(ndtr)

#endif
