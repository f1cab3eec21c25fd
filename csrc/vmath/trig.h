/* sin cos tan sinc.
 *
 * x = k·pi/2 + r with |r| <= pi/4, Cody and Waite's way.  pi is cut so that all products k·P but the last
 * are exact for k < 2^22, or, with a fused multiply-add, need not be: x - k·P1 is a double, as both are
 * multiples of 2^-53 there.  Larger arguments are left to libm.
 */
#ifndef FT_VMATH_TRIG_H
#define FT_VMATH_TRIG_H

#include "poly.h"

/* No double below it comes so near a multiple of pi/2 that what is cut off pi would show. */
#define FT_TRIG_LIMIT 0x1p22

/* r + lo = x - k·pi/2; lo holds what rounding r lost. */
FT_INLINE double ft_subtract_half_pi(double x, double k, double *lo)
{
#if FT_HAS_FMA
    const double P1 = 0x1.921fb54442d18p0, P2 = 0x1.1a62633000000p-54, P3 = 0x1.45c06e0e68948p-86;
    double a = FT_FMA(-k, P1, x);
    double r = FT_FMA(-k, P2, a);
    *lo = FT_FMA(-k, P3, FT_FMA(-k, P2, a - r));
    return r;
#else
    const double P1 = 0x1.921fb54p0, P2 = 0x1.10b46118p-30,
                 P3 = 0x1.313198ap-61, P4 = 0x1.701b839a25205p-92;
    double a = x - k * P1;
    double b = a - k * P2;
    double c = ((a - b) - k * P2) - k * P3;
    double r = b + c;
    *lo = ((b - r) + c) - k * P4;
    return r;
#endif
}

/* sin(x + quarter·pi/2) */
FT_INLINE double ft_sin_shifted(double x, uint64_t quarter)
{
    double lo, t = FT_FMA(x, 0x1.45f306dc9c883p-1, FT_ROUND);
    double r = ft_subtract_half_pi(x, t - FT_ROUND, &lo);
    double z = r * r;
    uint64_t n = ft_bits(t) + quarter;
    /* (sin(r) - r) / r³, error 2^-57.9 of sin(r);  (cos(r) - 1 + r²/2) / r⁴, error 2^-64 */
    double p = ft_poly5(z, -0x1.5555555555548p-3, 0x1.111111110f7c9p-7, -0x1.a01a019bfd0d6p-13,
                        0x1.71de35670951ap-19, -0x1.ae5e59eef37b2p-26, 0x1.5d8fa1579eab9p-33);
    double q = ft_poly5(z, 0x1.555555555554bp-5, -0x1.6c16c16c14f8ap-10, 0x1.a01a019c83939p-16,
                        -0x1.27e4f7ea39575p-22, 0x1.1ee9d753af332p-29, -0x1.8fa4667aacf72p-37);
    double s = r + FT_FMA(z * r, p, lo);
    double c = FT_FMA(z, FT_FMA(z, q, -0.5), 1.0);
    return ft_double(ft_bits(ft_select(0 - (n & 1), c, s)) ^ (n & 2) << 62);
}

FT_INLINE int ft_sin_easy(double x) { return !(fabs(x) > FT_TRIG_LIMIT); }
FT_INLINE double ft_sin_core(double x) { return x == 0 ? x : ft_sin_shifted(x, 0); }
FT_PARTLY1(sin, sin)

FT_INLINE int ft_cos_easy(double x) { return !(fabs(x) > FT_TRIG_LIMIT); }
FT_INLINE double ft_cos_core(double x) { return ft_sin_shifted(x, 1); }
FT_PARTLY1(cos, cos)

/* tan(r) for even k, -1/tan(r) for odd k. */
FT_INLINE int ft_tan_easy(double x) { return !(fabs(x) > FT_TRIG_LIMIT); }
FT_INLINE double ft_tan_core(double x)
{
    double lo, t = FT_FMA(x, 0x1.45f306dc9c883p-1, FT_ROUND);
    double r = ft_subtract_half_pi(x, t - FT_ROUND, &lo);
    double z = r * r, y;
    /* (tan(r) - r) / r³; error 2^-56.2 of tan(r) */
    double p = ft_poly13(z, 0x1.55555555554f1p-2, 0x1.111111111834dp-3, 0x1.ba1ba1b46672cp-5,
                         0x1.664f49a94b94bp-6, 0x1.226e124316651p-7, 0x1.d6d936e6769cbp-9,
                         0x1.7d5b36ee861e2p-10, 0x1.37fbc155c107fp-11, 0x1.d262b99336f1fp-13,
                         0x1.1e45a5e0af90cp-13, -0x1.ba3704b2be024p-16, 0x1.771574a486184p-14,
                         -0x1.7856a7d1fe295p-15, 0x1.5df9387f266f2p-16);
    uint64_t odd = 0 - (ft_bits(t) & 1);
    y = r + FT_FMA(z * r, p, FT_FMA(z, lo, lo));
    y = ft_select(odd, -1.0, y) / ft_select(odd, y, 1.0);
    return x == 0 ? x : y;
}
FT_PARTLY1(tan, tan)

/* sin(pi x)/(pi x), correct at integers too (NumPy's sin(fl(pi x)) is 4e-17 there).
 * |x| = k + r: (-1)^k·q·(1 + w), q = r/|x| and w = sin(pi r)/(pi r) - 1, in which pi cancels. */
FT_INLINE double ft_sinc_core(double x)
{
    double a = fabs(x), t = a + 0x1p52, r = a - (t - 0x1p52), inverse = 1.0 / a, z, p, w, q, rest, y;
    r = a < 0x1p52 ? r : 0.0 * a;
    z = r * r;
    /* w/r²; error 2^-61.6 of 1 + w */
    p = ft_poly6(z, 0x1.9f9cb402bc3f2p-1, -0x1.86a8e4720892cp-3, 0x1.ac6805cbd95cdp-6, -0x1.3381696c5b7e3p-9,
                 0x1.37469589b5004p-13, -0x1.d3e3283469b92p-18, 0x1.070e5fbfa1dfdp-22);
    w = ft_product_plus(z, -0x1.a51a6625307d3p+0, z * z * p);
    q = r * inverse;
    p = q * a;
    rest = ((r - p) - ft_product_rest(q, a, p)) * inverse;
    y = q + ft_product_plus(q, w, rest);
    y = ft_double(ft_bits(y) ^ ft_bits(t) << 63);
    return a < 0x1p-30 ? 1.0 : y;
}
FT_TOTAL1(sinc)

/* The n-th derivative of sinc. With z = pi x and j(z) = sin(z)/z, z j⁽ⁿ⁾ + n j⁽ⁿ⁻¹⁾ = sin(z + n pi/2), which is
 * stable upward where z > n; below, the Taylor series. Not for the vectoriser: only derivatives need it. */
static double ft_sinc_slope(double x, double n)
{
    double a = fabs(x), z = a * 0x1.921fb54442d18p+1, y, k;
    if (z > 3 && z > n) {
        double r = a - 2 * rint(a / 2), s = sin(r * 0x1.921fb54442d18p+1), c = cos(r * 0x1.921fb54442d18p+1), t;
        for (y = s / z, k = 1; k <= n; k++) {
            t = s;
            s = c;
            c = -t;
            y = (s - k * y) / z;
        }
    } else {
        double p = fmod(n, 2), term = p ? z : 1, m = n + p, sign = fmod(m, 4) ? -1 : 1;    /* m = 2k, p = 2k - n */
        for (y = 0; fabs(term) > 1e-18 * fabs(y) && p < 400; m += 2) {
            y += sign * term / (m + 1);
            sign = -sign;
            term *= z / (p + 1) * (z / (p + 2));
            p += 2;
        }
        y = x != x ? x : y;
    }
    for (k = 0; k < n; k++) y *= 0x1.921fb54442d18p+1;
    return x < 0 && fmod(n, 2) ? -y : y;
}

#endif
