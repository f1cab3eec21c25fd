/* Price of one European call with respect to spot, strike, rate, volatility and maturity.

   Reverse mode as a tool with no knowledge of finance would have it: the closed forms' famous
   cancellation (spot φ(d₁) = strike discount φ(d₂)) is not used. What limits it: the C library's
   log, sqrt, erfc twice and exp three times. */

#include <math.h>

#include "native.h"

static double ndtr(double x) { return 0.5 * erfc(-M_SQRT1_2 * x); }

static double density(double x) { return 0.5 * M_SQRT1_2 * M_2_SQRTPI * exp(-0.5 * x * x); }

double value_and_grad(const int64_t *sizes, const double *const *inputs, double *restrict gradient,
                      double *history)
{
    double spot = inputs[0][0], strike = inputs[0][1], rate = inputs[0][2];
    double volatility = inputs[0][3], maturity = inputs[0][4];

    double root = sqrt(maturity), deviation = volatility * root, inverse = 1.0 / deviation;
    double drift = rate + 0.5 * volatility * volatility;
    double d1 = (log(spot / strike) + drift * maturity) * inverse, d2 = d1 - deviation;
    double n1 = ndtr(d1), n2 = ndtr(d2), discount = exp(-rate * maturity);

    double ct_discount = -strike * n2;
    double ct_d2 = -strike * discount * density(d2);
    double ct_d1 = spot * density(d1) + ct_d2;
    double ct_top = ct_d1 * inverse;               /* of log moneyness + drift maturity */
    double ct_deviation = -ct_d2 - ct_top * d1;
    double ct_drift = ct_top * maturity, ct_exponent = ct_discount * discount;

    gradient[0] = n1 + ct_top / spot;
    gradient[1] = -discount * n2 - ct_top / strike;
    gradient[2] = ct_drift - ct_exponent * maturity;
    gradient[3] = ct_deviation * root + ct_drift * volatility;
    gradient[4] = ct_top * drift + 0.5 * ct_deviation * volatility / root - ct_exponent * rate;
    return spot * n1 - strike * discount * n2;
}
