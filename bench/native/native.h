/* The one signature of the yardsticks, so that one binding serves all.

   A workload's file defines value_and_grad: it returns the value and overwrites the gradient. It
   owns no memory: what its reverse sweep must remember goes to `history`, which the caller keeps
   from call to call. Sizes, inputs and history are those of the workload's row in native.py. */

#ifndef NATIVE_H
#define NATIVE_H

#include <stdint.h>
#include <time.h>

/* noipa: a repeated call is a whole call, not hoisted, inlined or specialised. */
__attribute__((noinline, noipa)) double value_and_grad(
    const int64_t *sizes, const double *const *inputs, double *gradient, double *history);

/* Timed here, as most workloads are shorter than a call through ctypes. */
double seconds_per_call(int64_t calls, const int64_t *sizes, const double *const *inputs,
                        double *gradient, double *history)
{
    struct timespec start, end;
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (int64_t k = 0; k < calls; k++)
        value_and_grad(sizes, inputs, gradient, history);
    clock_gettime(CLOCK_MONOTONIC, &end);
    return ((end.tv_sec - start.tv_sec) + 1e-9 * (end.tv_nsec - start.tv_nsec)) / calls;
}

#endif
