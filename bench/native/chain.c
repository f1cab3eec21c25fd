/* sum(tanh(sin(x) exp(-x²) + log1p(x²))) with -Ofast: every function is a call of glibc's libmvec.

   A block at a time, so that what one loop leaves the next finds in the first-level cache. Two
   loops, for in one gcc would make sin and cos a sincos, which it does not vectorise. tanh by exp
   is a sixth faster than libmvec's. That exp(2 log1p(x²)) is (1 + x²)² would save another fifth and
   is not used: it is a property of this formula. What limits it: the five library calls. */

#include <math.h>

#include "native.h"

enum { BLOCK = 512 };

double value_and_grad(const int64_t *sizes, const double *const *inputs, double *restrict gradient,
                      double *history)
{
    int64_t n = sizes[0];
    double total = 0.0;
    for (int64_t start = 0; start < n; start += BLOCK) {
        int64_t count = n - start < BLOCK ? n - start : BLOCK;
        const double *restrict x = inputs[0] + start;
        double *restrict g = gradient + start;
        for (int64_t i = 0; i < count; i++)
            g[i] = cos(x[i]);
        for (int64_t i = 0; i < count; i++) {
            double square = x[i] * x[i], sine = sin(x[i]), decay = exp(-square);
            double grown = exp(2.0 * (sine * decay + log1p(square)));
            double y = 1.0 - 2.0 / (grown + 1.0); /* tanh: absolute accuracy is enough here */
            double inner = (g[i] - 2.0 * x[i] * sine) * decay + 2.0 * x[i] / (1.0 + square);
            total += y;
            g[i] = (1.0 - y * y) * inner;
        }
    }
    return total;
}
