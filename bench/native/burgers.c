/* Burgers' equation, explicit steps with fixed ends: energy, and its gradient to the first state.

   Each step writes its row of the history; the reverse sweep gathers from neighbouring cotangents,
   so both vectorise, and a step reads and writes a row once. What limits it: vector loads, and the
   history (4 MB for 1000 steps of 512 cells), which outgrows most second-level caches. */

#include "native.h"

static const double DT = 1e-4, VISCOSITY = 0.01;

static inline void step(int64_t n, double advection, double diffusion, const double *restrict u,
                        double *restrict next)
{
    next[0] = u[0];
    for (int64_t i = 1; i < n - 1; i++)
        next[i] = u[i] * (1.0 - 2.0 * diffusion - advection * (u[i + 1] - u[i - 1]))
                  + diffusion * (u[i + 1] + u[i - 1]);
    next[n - 1] = u[n - 1];
}

/* Cotangents of the inner cells before a step from those after it, ct, which is 0 at both ends. */
static inline void pull(int64_t n, double advection, double diffusion, const double *restrict u,
                        const double *restrict ct, double *restrict before)
{
    for (int64_t i = 1; i < n - 1; i++)
        before[i] = ct[i] * (1.0 - 2.0 * diffusion - advection * (u[i + 1] - u[i - 1]))
                    + ct[i + 1] * (diffusion + advection * u[i + 1])
                    + ct[i - 1] * (diffusion - advection * u[i - 1]);
}

double value_and_grad(const int64_t *sizes, const double *const *inputs, double *restrict gradient,
                      double *history)
{
    int64_t n = sizes[0], steps = sizes[1];
    const double advection = 0.5 * DT * n, diffusion = VISCOSITY * DT * n * n;
    const double *u = inputs[0];
    double *ct = history + steps * n, *before = ct + n, total = 0.0;

    for (int64_t k = 0; k < steps; k++) {   /* row k of the history is the state after step k */
        step(n, advection, diffusion, u, history + k * n);
        u = history + k * n;
    }
#pragma omp simd reduction(+ : total)
    for (int64_t i = 0; i < n; i++) {
        total += u[i] * u[i];
        ct[i] = 2.0 / n * u[i];
    }
    double first = ct[0], last = ct[n - 1];   /* the fixed ends', kept apart */
    ct[0] = ct[n - 1] = before[0] = before[n - 1] = 0.0;
    for (int64_t k = steps - 1; k >= 0; k--) {
        u = k > 0 ? history + (k - 1) * n : inputs[0];
        first += ct[1] * (diffusion + advection * u[1]);
        last += ct[n - 2] * (diffusion - advection * u[n - 2]);
        pull(n, advection, diffusion, u, ct, before);
        double *after = ct;
        ct = before, before = after;
    }
    for (int64_t i = 1; i < n - 1; i++)
        gradient[i] = ct[i];
    gradient[0] = first, gradient[n - 1] = last;
    return total / n;
}
