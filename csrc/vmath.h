/* vmath: elementary functions as branch-free inline C that a compiler can vectorise. */
#ifndef FT_VMATH_H
#define FT_VMATH_H

#include "vmath/arc.h"
#include "vmath/erf.h"
#include "vmath/exp.h"
#include "vmath/hyper.h"
#include "vmath/log.h"
#include "vmath/power.h"
#include "vmath/root.h"
#include "vmath/trig.h"

static inline double ft_libm_sigmoid(double x) { double e = exp(-fabs(x)); return (x < 0 ? e : 1.0) / (1.0 + e); }
static inline double ft_libm_softplus(double x) { return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x)); }
static inline double ft_libm_ndtr(double x) { return 0.5 * erfc(-0.70710678118654752440 * x); }
static inline double ft_libm_sinc(double x)
{
    double y = 3.14159265358979323846 * x;
    return x == 0 ? 1.0 : sin(y) / y;
}
static inline double ft_libm_logaddexp(double a, double b)
{
    double d = a - b;
    if (a == b) return a + 0.69314718055994530942;
    return d > 0 ? a + log1p(exp(-d)) : d <= 0 ? b + log1p(exp(d)) : d;
}
static inline double ft_libm_logaddexp2(double a, double b)
{
    double d = a - b;
    if (a == b) return a + 1.0;
    return d > 0 ? a + 1.44269504088896340736 * log1p(exp2(-d))
         : d <= 0 ? b + 1.44269504088896340736 * log1p(exp2(d)) : d;
}

#define FT_LIBM1(name, f)                                                       \
    static inline int    ft_##name##_easy(double x) { (void)x; return 1; }      \
    static inline double ft_##name##_core(double x) { return f(x); }            \
    static inline double ft_##name(double x)        { return f(x); }
#define FT_LIBM2(name, f)                                                       \
    static inline int    ft_##name##_easy(double a, double b) { (void)a; (void)b; return 1; } \
    static inline double ft_##name##_core(double a, double b) { return f(a, b); } \
    static inline double ft_##name(double a, double b)        { return f(a, b); }


#endif
