/* The drivers of loops and of their reversal. */
#include "memory.h"
#include "scan.h"

enum { LIMIT = 1 << 26 };       /* element-ops between two looks for signals */

static char *place_at(const ft_step *place, int64_t k) { return place[k].at[0]; }

/* ---- one step */

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

static void lay_step(const ft_body *b, const ft_step *place, char *const *from, char *const *to, int64_t step) {
    ft_call *c = b->call;
    for (int32_t k = 0; k < c->n_input; k++) {
        const ft_port *p = b->in + k;
        if (p->kind >= FT_P_PLACE) continue;
        char *at = p->kind == FT_P_SLICE ? place_at(place, p->at) + step * p->size : from[p->kind] + p->at;
        if (c->moves[k]) ft_lay(c, k, k, at);
        else c->tape->val[k].f = p->narrow ? *(const float *)at : *(const double *)at;
    }
    for (int64_t k = 0; k < c->n_output; k++) {
        const ft_port *p = b->out + k;
        if (!c->moves[c->n_input + k]) continue;
        char *at = p->kind == FT_P_SLICE ? place_at(place, p->at) + step * p->size : to[p->kind] + p->at;
        ft_lay(c, c->n_input + k, c->output[k], at);
    }
    c->run.next = c->run.entry = c->run.block = 0;
}

/* Results that are not computed where they belong. */
static void copy_out(const ft_body *b, const ft_vm *vm, const ft_step *place, char *const *to, int64_t step) {
    const ft_call *c = b->call;
    const ft_tape *t = c->tape;
    for (int64_t k = 0; k < c->n_output; k++) {
        const ft_port *p = b->out + k;
        if (c->moves[c->n_input + k]) continue;
        const ft_entry *e = t->entry + c->output[k];
        char *at = p->kind == FT_P_SLICE ? place_at(place, p->at) + step * p->size : to[p->kind] + p->at;
        if (e->shape == 0) {
            if (p->narrow) *(float *)at = (float)t->val[c->output[k]].f;
            else *(double *)at = t->val[c->output[k]].f;
        } else if (e->op == OP_view) vm->copy(t, e->aux, e->dtype, t->val[e->a].p, at);
        else memcpy(at, t->val[c->output[k]].p, (size_t)p->size);
    }
}

/* Run a body once; 1: to be called again. */
static int run_body(const ft_body *b, const ft_vm *vm, const ft_library *library, const ft_step *place, char *const *from,
                    char *const *to, int64_t step, int *inside) {
    if (!*inside) lay_step(b, place, from, to, step);
    *inside = vm->run(b->call->tape, library, &b->call->run);
    if (!*inside) copy_out(b, vm, place, to, step);
    return *inside;
}

/* ---- records */

static int reserve(char **p, int64_t *cap, int64_t want) {
    if (want <= *cap) return 0;
    char *q = ft_grow_array(*p, (size_t)*cap, (size_t)want);
    if (!q) return -1;
    *p = q;
    *cap = want;
    return 0;
}

static void load_records(const ft_scan *s, const ft_step *place, int kind, char *record) {
    for (int64_t k = 0; k < s->n_first; k++) {
        const ft_port *p = s->first + k;
        if (p->kind == kind) memcpy(record + p->at, place_at(place, k), (size_t)p->size);
    }
}

static void save_records(const ft_scan *s, const ft_step *place, int64_t n_input, int kind, const char *record) {
    for (int64_t k = 0; k < s->n_last; k++) {
        const ft_port *p = s->last + k;
        char *at = place_at(place, n_input + k);
        if (p->kind == kind && at) memcpy(at, record + p->at, (size_t)p->size);
    }
}

static char *state_at(ft_scan *s, ft_store *store, int64_t k) {
    return store ? store->state + k * s->state_size : s->state[k & 1];
}

/* ---- the drivers */

/* Steps k .. length - 1, from the state k; their states are stored if there is a store. 1: to be called again. */
static int advance(ft_scan *s, ft_store *store, const ft_vm *vm, const ft_library *library, const ft_step *place) {
    int64_t work = LIMIT;
    for (; s->k < s->length; s->k++) {
        if (work <= 0 && !s->inside) return 1;
        char *from[FT_RECORDS] = {state_at(s, store, s->k)}, *to[FT_RECORDS] = {state_at(s, store, s->k + 1)};
        if (run_body(&s->step, vm, library, place, from, to, s->k, &s->inside)) return s->inside;
        work -= s->step.work + 16;
    }
    return 0;
}

static int begin_store(ft_scan *s, ft_store *store) {
    store->length = -1;
    return reserve(&store->state, &store->cap, (s->length + 1) * s->state_size);
}

int ft_scan_forward(ft_call *c, const ft_vm *vm, const ft_library *library, const ft_step *place, int begun) {
    ft_scan *s = c->self;
    ft_store **wanted = (ft_store **)place_at(place, s->place_of_store);
    ft_store *store = wanted ? &s->store : NULL;
    if (!begun) {
        s->k = s->inside = 0;
        lay_fixed(&s->step, place);
        if (store && begin_store(s, store)) return -1;
        load_records(s, place, FT_P_STATE, state_at(s, store, 0));
    }
    int more = advance(s, store, vm, library, place);
    if (more) return more;
    save_records(s, place, c->n_input, FT_P_STATE, state_at(s, store, s->length));
    if (store) {
        store->length = s->length;
        *wanted = store;
    }
    return 0;
}

int ft_scan_reverse(ft_call *c, const ft_vm *vm, const ft_library *library, const ft_step *place, int begun) {
    ft_scan *s = c->self;
    int64_t work = LIMIT;
    if (!begun) {
        ft_store **given = (ft_store **)place_at(place, s->place_of_store);
        s->given = given && *given && (*given)->length >= 0 ? *given : NULL;
        s->k = s->inside = s->phase = 0;
        lay_fixed(&s->back, place);
        if (!s->given) {
            lay_fixed(&s->step, place);
            if (begin_store(s, &s->store)) return -1;
            load_records(s, place, FT_P_STATE, s->store.state);
        }
    }
    if (s->phase == 0) {
        if (!s->given) {
            int more = advance(s, &s->store, vm, library, place);
            if (more) return more;
            s->store.length = s->length;
            s->given = &s->store;
        }
        s->phase = 1;
        s->k = 0;
        load_records(s, place, FT_P_SWEEP, s->sweep[0]);
    }
    for (; s->k < s->length; s->k++) {
        if (work <= 0 && !s->inside) return 1;
        int64_t step = s->length - 1 - s->k;
        char *from[FT_RECORDS] = {s->given->state + step * s->state_size, s->sweep[s->k & 1]};
        char *to[FT_RECORDS] = {NULL, s->sweep[(s->k + 1) & 1]};
        if (run_body(&s->back, vm, library, place, from, to, step, &s->inside)) return s->inside;
        work -= s->back.work + 16;
    }
    save_records(s, place, c->n_input, FT_P_SWEEP, s->sweep[s->length & 1]);
    return 0;
}

void ft_scan_drop(ft_scan *s) {
    if (s->store.state) ft_free_array(s->store.state, (size_t)s->store.cap);
    s->store.state = NULL;
    s->store.cap = 0;
}
