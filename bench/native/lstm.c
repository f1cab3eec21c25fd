/* ADBench's LSTM: mean negative log-likelihood of a sequence, and its gradient to all parameters.

   Two layers of 14 diagonal cells. A record of the history is a layer's step: its gates, the states
   after it, and the tanh of its cell; 1.7 MB in all for 1024 steps. Calls of libm stand in loops of
   their own, so that all else vectorises. What limits it: those calls, 154 a step, one after the
   other: four fifths of the time. (-Ofast, by libmvec, takes half the time; tanh by exp saves a third,
   at the price of its relative accuracy near 0.) */

#include <math.h>
#include <string.h>

#include "native.h"

enum { WIDTH = 14, LAYERS = 2 };

typedef double row[WIDTH];
typedef struct { row forget, ingate, outgate, change; } gates;
typedef struct { gates weight, bias; } layer;
typedef struct { layer layer[LAYERS]; row in, out, out_bias; } parameters;
typedef struct { row hidden, cell; } state;
typedef struct { gates gate; state after; row squashed; } record;   /* squashed: tanh of the cell */

/* One step of one layer at input x; what the reverse sweep reads goes to r. */
static inline void step(const layer *restrict p, const double *restrict x, const state *restrict before,
                        record *restrict r)
{
    const gates *w = &p->weight, *b = &p->bias;
    gates *g = &r->gate;
    for (int j = 0; j < WIDTH; j++) {
        g->forget[j] = -(x[j] * w->forget[j] + b->forget[j]);
        g->ingate[j] = -(before->hidden[j] * w->ingate[j] + b->ingate[j]);
        g->outgate[j] = -(x[j] * w->outgate[j] + b->outgate[j]);
        g->change[j] = before->hidden[j] * w->change[j] + b->change[j];
    }
    for (int j = 0; j < WIDTH; j++) {
        g->forget[j] = exp(g->forget[j]);
        g->ingate[j] = exp(g->ingate[j]);
        g->outgate[j] = exp(g->outgate[j]);
        g->change[j] = tanh(g->change[j]);
    }
    for (int j = 0; j < WIDTH; j++) {
        g->forget[j] = 1.0 / (1.0 + g->forget[j]);
        g->ingate[j] = 1.0 / (1.0 + g->ingate[j]);
        g->outgate[j] = 1.0 / (1.0 + g->outgate[j]);
        r->after.cell[j] = before->cell[j] * g->forget[j] + g->ingate[j] * g->change[j];
    }
    for (int j = 0; j < WIDTH; j++)
        r->squashed[j] = tanh(r->after.cell[j]);
    for (int j = 0; j < WIDTH; j++)
        r->after.hidden[j] = g->outgate[j] * r->squashed[j];
}

/* Its pullback: ct, of the states after, becomes that of the states before, ct_x that of x. */
static inline void pull(const layer *restrict p, const double *restrict x, const state *restrict before,
                        const record *restrict r, state *restrict ct, double *restrict ct_x,
                        layer *restrict sums)
{
    const gates *w = &p->weight, *g = &r->gate;
    for (int j = 0; j < WIDTH; j++) {
        double cell = ct->cell[j] + ct->hidden[j] * g->outgate[j] * (1.0 - r->squashed[j] * r->squashed[j]);
        double forget = cell * before->cell[j] * g->forget[j] * (1.0 - g->forget[j]);
        double ingate = cell * g->change[j] * g->ingate[j] * (1.0 - g->ingate[j]);
        double outgate = ct->hidden[j] * r->squashed[j] * g->outgate[j] * (1.0 - g->outgate[j]);
        double change = cell * g->ingate[j] * (1.0 - g->change[j] * g->change[j]);
        sums->weight.forget[j] += forget * x[j];
        sums->weight.ingate[j] += ingate * before->hidden[j];
        sums->weight.outgate[j] += outgate * x[j];
        sums->weight.change[j] += change * before->hidden[j];
        sums->bias.forget[j] += forget;
        sums->bias.ingate[j] += ingate;
        sums->bias.outgate[j] += outgate;
        sums->bias.change[j] += change;
        ct->cell[j] = cell * g->forget[j];
        ct->hidden[j] = ingate * w->ingate[j] + change * w->change[j];
        ct_x[j] = forget * w->forget[j] + outgate * w->outgate[j];
    }
}

/* Log-likelihood of the next symbol given the top layer; its slope to the predicted logits. */
static inline double likelihood(const parameters *restrict p, const double *restrict top,
                                const double *restrict symbol, double *restrict slope)
{
    double total = 2.0, chosen = 0.0, count = 0.0;
    for (int j = 0; j < WIDTH; j++) {
        double predicted = top[j] * p->out[j] + p->out_bias[j];
        chosen += symbol[j] * predicted;
        count += symbol[j];
        slope[j] = exp(predicted);
        total += slope[j];
    }
    for (int j = 0; j < WIDTH; j++)
        slope[j] = symbol[j] - count / total * slope[j];
    return chosen - count * log(total);
}

double value_and_grad(const int64_t *sizes, const double *const *inputs, double *restrict gradient,
                      double *restrict history)
{
    int64_t steps = sizes[0] - 1;
    const parameters p = *(const parameters *)inputs[0];
    const state *first = (const state *)inputs[1];
    const row *sequence = (const row *)inputs[2];
    record(*records)[LAYERS] = (record(*)[LAYERS])history;
    row *slopes = (row *)(records + steps), x, ct_x;
    parameters sums = {0};
    state ct[LAYERS] = {0}, start[LAYERS];
    double total = 0.0;

    /* ADBench's state of a layer is (hidden, cell), as ours. */
    memcpy(start, first, sizeof start);
    for (int64_t t = 0; t < steps; t++) {
        for (int j = 0; j < WIDTH; j++)
            x[j] = sequence[t][j] * p.in[j];
        for (int k = 0; k < LAYERS; k++)
            step(&p.layer[k], k ? records[t][k - 1].after.hidden : x,
                 t ? &records[t - 1][k].after : &start[k], &records[t][k]);
        total += likelihood(&p, records[t][LAYERS - 1].after.hidden, sequence[t + 1], slopes[t]);
    }
    const double seed = -1.0 / (WIDTH * steps);
    for (int64_t t = steps - 1; t >= 0; t--) {
        for (int j = 0; j < WIDTH; j++) {
            double slope = seed * slopes[t][j];
            x[j] = sequence[t][j] * p.in[j];
            sums.out[j] += slope * records[t][LAYERS - 1].after.hidden[j];
            sums.out_bias[j] += slope;
            ct_x[j] = slope * p.out[j];
        }
        for (int k = LAYERS - 1; k >= 0; k--) {
            for (int j = 0; j < WIDTH; j++)
                ct[k].hidden[j] += ct_x[j];
            pull(&p.layer[k], k ? records[t][k - 1].after.hidden : x,
                 t ? &records[t - 1][k].after : &start[k], &records[t][k], &ct[k], ct_x, &sums.layer[k]);
        }
        for (int j = 0; j < WIDTH; j++)
            sums.in[j] += ct_x[j] * sequence[t][j];
    }
    memcpy(gradient, &sums, sizeof sums);
    return seed * total;
}
