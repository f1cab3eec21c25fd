/* vmath: elementary functions in plain C that a compiler can vectorise.
 *
 * For every NAME, NumPy's:
 *   double ft_NAME(x)        right for every double, by libm where the argument is rare;
 *   int    ft_NAME_easy(x)   whether ft_NAME_core is right for x; the constant 1 for most;
 *   double ft_NAME_core(x)   branch-free: a loop over it vectorises, and it gives the bits of ft_NAME.
 *
 * Unary:  exp exp2 expm1 log log2 log10 log1p sin cos tan arcsin arccos arctan sinh cosh tanh
 *         arcsinh arccosh arctanh cbrt erf erfc ndtr sigmoid softplus sinc
 * Binary: power arctan2 hypot logaddexp logaddexp2
 *
 * Rare are: |x| > 2^22 in sin, cos and tan; what is not normal, positive and finite in log; subnormal,
 * zero or infinite a and |b| >= 2^51 in power, and all of power without a fused multiply-add; in hypot
 * results beyond 2^510 or below 2^-480, but for 0.
 *
 * Errors are at most 2 ulp, mostly below 1.5, with and without a fused multiply-add; tests/test_vmath.py
 * has them against mpmath.  Exceptions: logaddexp and logaddexp2 near 0, where their terms cancel
 * (2 ulp of the larger).  Bits differ between a processor with a fused multiply-add and one without, but
 * not between vector and scalar code of one.
 *
 * Compile with -O3 -fno-math-errno -fno-trapping-math -ffp-contract=off, never with -ffast-math.
 */
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

#endif
