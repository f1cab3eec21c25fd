/* Running a body for one step, or, where it is of numbers alone, for many. */
#ifndef FT_SCAN_STEPS_H
#define FT_SCAN_STEPS_H
#include <string.h>

#include "../scan.h"

static char *place_at(const ft_step *place, int64_t k) { return place[k].at[0]; }

/* Arguments that are the same at every step. */
static void lay_fixed(const ft_body *b, const ft_step *place) {
    ft_call *c = b->call;
    for (int32_t k = 0; k < c->n_input; k++) {
        if (b->in[k].kind != FT_P_PLACE) continue;
        char *at = place_at(place, b->in[k].at);
        if (c->moves[k]) ft_lay(c, k, k, at);
        else c->tape->val[k].f = *(const double *)at;
    }
}

static char *where(const ft_port *p, const ft_step *place, char *const *record, int64_t step) {
    return p->kind == FT_P_SLICE ? place_at(place, p->at) + step * p->size : record[p->kind] + p->at;
}

static void lay_step(const ft_body *b, const ft_step *place, char *const *from, char *const *to, int64_t step) {
    ft_call *c = b->call;
    char *base[2 * FT_RECORDS];
    memcpy(base, from, FT_RECORDS * sizeof *base);
    memcpy(base + FT_RECORDS, to, FT_RECORDS * sizeof *base);
    const ft_patch *p = b->patch, *slices = p + b->n_record_patch, *end = p + b->n_patch;
    for (; p < slices; p++) *p->at = base[p->base] + p->delta;
    for (; p < end; p++) *p->at = place_at(place, p->place) + step * p->size + p->delta;
    for (int64_t k = 0; k < b->n_number; k++) {
        const ft_port *port = b->in + b->number[k];
        const char *at = where(port, place, from, step);
        c->tape->val[b->number[k]].f = port->narrow ? *(const float *)at : *(const double *)at;
    }
    c->run.next = c->run.entry = c->run.block = 0;
}

static void copy_out(const ft_body *b, const ft_vm *vm, const ft_step *place, char *const *to, int64_t step) {
    const ft_call *c = b->call;
    const ft_tape *t = c->tape;
    for (int64_t j = 0; j < b->n_copied; j++) {
        int32_t k = b->copied[j];
        const ft_port *p = b->out + k;
        const ft_entry *e = t->entry + c->output[k];
        char *at = where(p, place, to, step);
        if (e->shape == 0) {
            if (p->narrow) *(float *)at = (float)t->val[c->output[k]].f;
            else *(double *)at = t->val[c->output[k]].f;
        } else if (e->op == OP_view) vm->copy(t, e->aux, e->dtype, t->val[e->a].p, at);
        else memcpy(at, t->val[c->output[k]].p, (size_t)p->size);
    }
}

/* Run a body once. Returns as ft_vm's run. */
static int run_body(const ft_body *b, const ft_vm *vm, const ft_library *library, const ft_step *place, char *const *from,
                    char *const *to, int64_t step, int *inside) {
    if (!*inside) lay_step(b, place, from, to, step);
    *inside = vm->run(b->call->tape, library, &b->call->run);
    if (!*inside) copy_out(b, vm, place, to, step);
    return *inside;
}

/* Steps from `step` on, or, in a reversal, down. The records of states or data that they read or write begin at `side`,
 * and go the same way; those that are handed on are one record. */
static void run_steps(const ft_steps *c, const ft_vm *vm, const ft_step *place, char *side, int64_t step,
                      int64_t count, char *record) {
    char *stream[FT_STREAMS];
    for (int32_t k = 0; k < c->loop->n_stream; k++) {
        const ft_port *p = c->stream + k;
        stream[k] = p->kind == FT_P_PLACE ? place_at(place, p->at)
                    : p->kind == FT_P_SLICE ? place_at(place, p->at) + step * p->size
                                            : side + p->at;
    }
    if (c->code) c->code(0, count, stream, (double *)record);
    else vm->loop(c->loop, 0, count, stream, (double *)record, c->values);
}

static int64_t at_once(const ft_steps *c, int64_t left, int64_t limit) {
    int64_t most = limit / (c->loop->n_op + 1) + 1;
    return left < most ? left : most;
}
#endif
