/* Rosenbrock's valley: value and gradient in one pass over x, nothing stored but the gradient.

   Term i touches x[i] and x[i + 1], so element i gathers from terms i - 1 and i. What limits it: the
   sum, one chain of additions. In lanes (gcc -fopenmp-simd) it adds in another order and takes 0.4
   of the time. */

#include "native.h"

double value_and_grad(const int64_t *sizes, const double *const *inputs, double *restrict gradient,
                      double *history)
{
    int64_t last = sizes[0] - 1;
    const double *restrict x = inputs[0];
    double rise = x[1] - x[0] * x[0], miss = 1.0 - x[0];
    double total = 100.0 * rise * rise + miss * miss;
    gradient[0] = -400.0 * x[0] * rise - 2.0 * miss;
#pragma omp simd reduction(+ : total)
    for (int64_t i = 1; i < last; i++) {
        double before = x[i] - x[i - 1] * x[i - 1], after = x[i + 1] - x[i] * x[i];
        double short_of_one = 1.0 - x[i];
        total += 100.0 * after * after + short_of_one * short_of_one;
        gradient[i] = 200.0 * before - 400.0 * x[i] * after - 2.0 * short_of_one;
    }
    gradient[last] = 200.0 * (x[last] - x[last - 1] * x[last - 1]);
    return total;
}
