/* Prices and five greeks of many European calls: spot, strike, rate, volatility and maturity in arrays
   of their own, and so the greeks.

   The reverse mode of black_scholes.c in a loop that vectorises, its elementary functions those of the
   vector C library (libmvec). What limits it: two erfc and three exp per option. */

#include <math.h>

#include "native.h"

static inline double ndtr(double x) { return 0.5 * erfc(-M_SQRT1_2 * x); }

static inline double density(double x) { return 0.5 * M_SQRT1_2 * M_2_SQRTPI * exp(-0.5 * x * x); }

/* inputs: five arrays of sizes[0]; gradient: five arrays; history: the prices. Returns the first price. */
double value_and_grad(const int64_t *sizes, const double *const *inputs, double *restrict gradient,
                      double *restrict price)
{
    int64_t n = sizes[0];
    const double *restrict spots = inputs[0], *restrict strikes = spots + n, *restrict rates = spots + 2 * n;
    const double *restrict volatilities = spots + 3 * n, *restrict maturities = spots + 4 * n;
    double *restrict g0 = gradient, *restrict g1 = g0 + n, *restrict g2 = g1 + n, *restrict g3 = g2 + n;
    double *restrict g4 = g3 + n;
#pragma GCC ivdep
    for (int64_t i = 0; i < n; i++) {
        double spot = spots[i], strike = strikes[i], rate = rates[i];
        double volatility = volatilities[i], maturity = maturities[i];
        double root = sqrt(maturity), deviation = volatility * root, inverse = 1.0 / deviation;
        double drift = rate + 0.5 * volatility * volatility;
        double d1 = (log(spot / strike) + drift * maturity) * inverse, d2 = d1 - deviation;
        double n1 = ndtr(d1), n2 = ndtr(d2), discount = exp(-rate * maturity);
        double ct_discount = -strike * n2;
        double ct_d2 = -strike * discount * density(d2);
        double ct_d1 = spot * density(d1) + ct_d2;
        double ct_top = ct_d1 * inverse;
        double ct_deviation = -ct_d2 - ct_top * d1;
        double ct_drift = ct_top * maturity, ct_exponent = ct_discount * discount;
        g0[i] = n1 + ct_top / spot;
        g1[i] = -discount * n2 - ct_top / strike;
        g2[i] = ct_drift - ct_exponent * maturity;
        g3[i] = ct_deviation * root + ct_drift * volatility;
        g4[i] = ct_top * drift + 0.5 * ct_deviation * volatility / root - ct_exponent * rate;
        price[i] = spot * n1 - strike * discount * n2;
    }
    return price[0];
}
