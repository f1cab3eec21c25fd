/* Lotka-Volterra, `steps` steps of classical Runge-Kutta: populations at the end, summed.

   The forward sweep keeps the point of each of a step's four stages (64 bytes a step); slopes are
   recomputed from it, which costs the reverse sweep no time, as they do not wait for a cotangent.
   What limits it: latency. Both sweeps are one chain of dependent operations, about 50 cycles a
   step each. */

#include "native.h"

static const double DT = 0.02;

typedef struct { double u, v; } pair;
typedef struct { double alpha, beta, gamma, delta; } rates;

static inline pair growth(rates r, pair at)
{
    return (pair){at.u * (r.alpha - r.beta * at.v), at.v * (r.delta * at.u - r.gamma)};
}

static inline pair moved(pair from, double dt, pair slope)
{
    return (pair){from.u + dt * slope.u, from.v + dt * slope.v};
}

/* Growth's pullback: returns the point's cotangent and adds to those of the rates. */
static inline pair pulled(rates r, pair at, pair ct, rates *sums)
{
    double product = at.u * at.v;
    sums->alpha += ct.u * at.u;
    sums->beta -= ct.u * product;
    sums->gamma -= ct.v * at.v;
    sums->delta += ct.v * product;
    return (pair){ct.u * (r.alpha - r.beta * at.v) + ct.v * (r.delta * at.v),
                  ct.v * (r.delta * at.u - r.gamma) - ct.u * (r.beta * at.u)};
}

double value_and_grad(const int64_t *sizes, const double *const *inputs, double *restrict gradient,
                      double *restrict history)
{
    int64_t steps = sizes[0];
    const double *p = inputs[0];
    const double half = 0.5 * DT, sixth = DT / 6.0, third = DT / 3.0;
    rates r = {p[0], p[1], p[2], p[3]}, sums = {0.0, 0.0, 0.0, 0.0};
    pair(*stage)[4] = (pair(*)[4])history, now = {p[4], p[5]};

    for (int64_t k = 0; k < steps; k++) {
        pair k1 = growth(r, stage[k][0] = now);
        pair k2 = growth(r, stage[k][1] = moved(now, half, k1));
        pair k3 = growth(r, stage[k][2] = moved(now, half, k2));
        pair k4 = growth(r, stage[k][3] = moved(now, DT, k3));
        now.u += sixth * (k1.u + 2.0 * (k2.u + k3.u)) + sixth * k4.u;
        now.v += sixth * (k1.v + 2.0 * (k2.v + k3.v)) + sixth * k4.v;
    }
    pair ct = {1.0, 1.0};
    for (int64_t k = steps - 1; k >= 0; k--) {
        pair outer = {sixth * ct.u, sixth * ct.v}, inner = {third * ct.u, third * ct.v};
        pair p4 = pulled(r, stage[k][3], outer, &sums);
        pair p3 = pulled(r, stage[k][2], moved(inner, DT, p4), &sums);
        pair p2 = pulled(r, stage[k][1], moved(inner, half, p3), &sums);
        pair p1 = pulled(r, stage[k][0], moved(outer, half, p2), &sums);
        ct.u = (ct.u + p4.u + p3.u + p2.u) + p1.u;
        ct.v = (ct.v + p4.v + p3.v + p2.v) + p1.v;
    }
    gradient[0] = sums.alpha;
    gradient[1] = sums.beta;
    gradient[2] = sums.gamma;
    gradient[3] = sums.delta;
    gradient[4] = ct.u;
    gradient[5] = ct.v;
    return now.u + now.v;
}
