/* Bundle adjustment: both reprojection errors of every observation, and their derivatives to its camera (11),
   point (3) and weight: the values of a sparse matrix, row by row.

   One sweep back for each error, all that they share computed once, as a careful programmer would write it.
   What limits it: sine, cosine and about 330 other operations an observation, most of them one after the other. */

#include <math.h>

#include "native.h"

enum { CAMERA = 11, INPUTS = 15 };

/* inputs: one of the gradient's shape, cameras, points, weights, features, and for each observation its camera and
   point as int64.
   gradient: (observations, 2, 15); history: the errors, and behind them, where sizes[1] says that there are cameras to
   count, the column of each derivative as int32: cameras, points and weights in order. Returns the first error. */
double value_and_grad(const int64_t *sizes, const double *const *inputs, double *restrict gradient,
                      double *restrict errors)
{
    int64_t n = sizes[0], n_camera = sizes[1], n_point = sizes[2];
    int32_t *restrict columns = (int32_t *)(errors + 2 * n);
    const double *cameras = inputs[1], *points = inputs[2], *weights = inputs[3], *features = inputs[4];
    const int64_t *seen = (const int64_t *)inputs[5];
    for (int64_t i = 0; i < n; i++) {
        const double *restrict c = cameras + CAMERA * seen[2 * i], *restrict q = points + 3 * seen[2 * i + 1];
        double weight = weights[i], x[3], w[3], cross[3], y[3], p[2];
        for (int k = 0; k < 3; k++) x[k] = q[k] - c[3 + k];
        double t = sqrt(c[0] * c[0] + c[1] * c[1] + c[2] * c[2]), ct = cos(t), st = sin(t), ti = 1.0 / t;
        for (int k = 0; k < 3; k++) w[k] = c[k] * ti;
        double d = w[0] * x[0] + w[1] * x[1] + w[2] * x[2], along = d * (1.0 - ct);
        cross[0] = w[1] * x[2] - w[2] * x[1];
        cross[1] = w[2] * x[0] - w[0] * x[2];
        cross[2] = w[0] * x[1] - w[1] * x[0];
        for (int k = 0; k < 3; k++) y[k] = x[k] * ct + cross[k] * st + w[k] * along;
        double iy = 1.0 / y[2];
        p[0] = y[0] * iy;
        p[1] = y[1] * iy;
        double rs = p[0] * p[0] + p[1] * p[1], f = c[6], distortion = 1.0 + c[9] * rs + c[10] * rs * rs;
        for (int r = 0; r < 2; r++) {
            double *restrict g = gradient + INPUTS * (2 * i + r);
            double image = p[r] * distortion * f + c[7 + r] - features[2 * i + r];
            errors[2 * i + r] = weight * image;
            double g_distortion = weight * p[r] * f;
            double g_rs = g_distortion * (c[9] + 2.0 * c[10] * rs);
            double gp0 = 2.0 * p[0] * g_rs, gp1 = 2.0 * p[1] * g_rs;
            if (r == 0) gp0 += weight * distortion * f;
            else gp1 += weight * distortion * f;
            double gy[3] = {gp0 * iy, gp1 * iy, -(gp0 * p[0] + gp1 * p[1]) * iy};
            double g_ct = gy[0] * x[0] + gy[1] * x[1] + gy[2] * x[2];
            double g_st = gy[0] * cross[0] + gy[1] * cross[1] + gy[2] * cross[2];
            double g_along = gy[0] * w[0] + gy[1] * w[1] + gy[2] * w[2];
            double gc[3] = {gy[0] * st, gy[1] * st, gy[2] * st};
            double g_d = g_along * (1.0 - ct);
            g_ct -= g_along * d;
            double gw[3] = {gy[0] * along + g_d * x[0] + x[1] * gc[2] - x[2] * gc[1],
                            gy[1] * along + g_d * x[1] + x[2] * gc[0] - x[0] * gc[2],
                            gy[2] * along + g_d * x[2] + x[0] * gc[1] - x[1] * gc[0]};
            double gx[3] = {gy[0] * ct + g_d * w[0] + gc[1] * w[2] - gc[2] * w[1],
                            gy[1] * ct + g_d * w[1] + gc[2] * w[0] - gc[0] * w[2],
                            gy[2] * ct + g_d * w[2] + gc[0] * w[1] - gc[1] * w[0]};
            double g_t = g_st * ct - g_ct * st - (gw[0] * c[0] + gw[1] * c[1] + gw[2] * c[2]) * ti * ti;
            for (int k = 0; k < 3; k++) {
                g[k] = gw[k] * ti + c[k] * (g_t * ti);
                g[3 + k] = -gx[k];
                g[11 + k] = gx[k];
            }
            g[6] = weight * p[r] * distortion;
            g[7] = r == 0 ? weight : 0.0;
            g[8] = r == 1 ? weight : 0.0;
            g[9] = g_distortion * rs;
            g[10] = g_distortion * rs * rs;
            g[14] = image;
            if (n_camera) {
                int32_t *restrict column = columns + INPUTS * (2 * i + r);
                for (int k = 0; k < CAMERA; k++) column[k] = (int32_t)(CAMERA * seen[2 * i] + k);
                for (int k = 0; k < 3; k++) column[11 + k] = (int32_t)(CAMERA * n_camera + 3 * seen[2 * i + 1] + k);
                column[14] = (int32_t)(CAMERA * n_camera + 3 * n_point + i);
            }
        }
    }
    return errors[0];
}
