/* The drivers of loops and of their reversal. */
#include "memory.h"
#include "scan.h"
#include "scan/steps.h"
#include "scan/slots.h"

enum { LIMIT = 1 << 26 };       /* element-ops between two looks for signals */

typedef struct {                /* who runs */
    const ft_vm *vm;
    const ft_library *library;
    const ft_step *place;
    int64_t work;               /* left until the next look for signals */
} runner;

static int64_t steps_run, held, most_held;

int64_t ft_steps_run(void) { return ft_counted(&steps_run); }

int64_t ft_snapshots_held(int64_t *most) {
    *most = ft_counted(&most_held);
    ft_count(&most_held, ft_counted(&held) - *most);
    return ft_counted(&held);
}

static void hold(ft_slot *slot, int what) {
    if (what && !slot->holds) {
        ft_count(&held, 1);
        ft_raise(&most_held, ft_counted(&held));
    }
    if (!what && slot->holds) ft_count(&held, -1);
    slot->holds = what;
}

static int fail(ft_store *e, int error, int64_t step) {
    e->error = error;
    e->error_step = step;
    return -1;
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

static char *other_state(const ft_store *e) { return e->now == e->state[0] ? e->state[1] : e->state[0]; }

static char *data_of(const ft_store *e, int64_t step) {
    return e->work + (step - e->from) * (e->light ? e->state_size : e->data_size);
}

/* ---- rows. Each returns as ft_vm's run, and goes on where it stopped when it is called again. */

/* Steps whose data is the state before them: each leaves its result where the data of the next belongs. */
static int advance_light(ft_store *e, const ft_scan *s, runner *r, int64_t start, int64_t stop) {
    const ft_body *b = &s->step;
    if (e->k == 0) {
        if (grow(&e->work, &e->cap_work, (e->n_work + stop - start + 1) * e->state_size)) return fail(e, FT_E_MEMORY, start);
        memcpy(data_of(e, start), e->now, (size_t)e->state_size);
    }
    if (s->keep.steps.loop) {
        int64_t count = at_once(&s->keep.steps, stop - start - e->k, LIMIT);
        run_steps(&s->keep.steps, r->vm, r->place, data_of(e, start + e->k + 1), start + e->k, count, e->now);
        e->k += count;
        ft_count(&steps_run, count);
        if (start + e->k < stop) return 1;
    } else for (; start + e->k < stop; e->k++) {
        if (r->work <= 0 && !e->inside) return 1;
        char *from[FT_RECORDS] = {data_of(e, start + e->k)}, *to[FT_RECORDS] = {data_of(e, start + e->k + 1)};
        int more = run_body(b, r->vm, r->library, r->place, from, to, start + e->k, &e->inside);
        if (more) return more;
        ft_count(&steps_run, 1);
        r->work -= b->work + 16;
    }
    if (!s->keep.steps.loop) memcpy(e->now, data_of(e, stop), (size_t)e->state_size);
    return 0;
}

static int advance(ft_store *e, const ft_scan *s, runner *r, int64_t start, int64_t stop, int keep) {
    const ft_body *b = keep ? &s->keep : &s->step;
    if (keep && e->k == 0 && grow(&e->work, &e->cap_work, (e->n_work + stop - start) * e->data_size))
        return fail(e, FT_E_MEMORY, start);
    if (b->steps.loop) {
        int64_t count = at_once(&b->steps, stop - start - e->k, LIMIT);
        run_steps(&b->steps, r->vm, r->place, keep ? data_of(e, start + e->k) : NULL, start + e->k, count, e->now);
        r->work -= count * b->steps.loop->n_op;
        e->k += count;
        ft_count(&steps_run, count);
        return start + e->k < stop;
    }
    for (; start + e->k < stop; e->k++) {
        if (r->work <= 0 && !e->inside) return 1;
        char *from[FT_RECORDS] = {e->now, NULL, NULL};
        char *to[FT_RECORDS] = {other_state(e), NULL, keep ? data_of(e, start + e->k) : NULL};
        int more = run_body(b, r->vm, r->library, r->place, from, to, start + e->k, &e->inside);
        if (more) return more;
        e->now = to[0];
        ft_count(&steps_run, 1);
        r->work -= b->work + 16;
    }
    return 0;
}

/* Steps of a loop whose end shows itself. It keeps the states of all, or the data of the last, since any may be it. */
static int advance_open(ft_store *e, const ft_scan *s, runner *r, int64_t start, int64_t stop, int all) {
    int last = !all && s->scheduled;
    const ft_body *b = last ? &s->keep : &s->step;
    int64_t size = all ? e->state_size : e->data_size;
    for (; start + e->k < stop; e->k++) {
        if (!e->inside) {
            if (*(const double *)(e->now + e->go) == 0) break;
            if (b->steps.loop && last) memcpy(other_state(e), e->now, (size_t)e->state_size);
            if (r->work <= 0) return 1;
            int64_t want = (all ? e->k + 1 : last) * size;
            if (want > e->cap_work && grow(&e->work, &e->cap_work, want < 2 * e->cap_work ? 2 * e->cap_work : want))
                return fail(e, FT_E_MEMORY, start + e->k);
            if (all) memcpy(e->work + e->k * size, e->now, (size_t)size);
        }
        char *from[FT_RECORDS] = {e->now}, *to[FT_RECORDS] = {other_state(e), NULL, e->work};
        if (b->steps.loop) run_steps(&b->steps, r->vm, r->place, e->work, start + e->k, 1, e->now);
        else {
            int more = run_body(b, r->vm, r->library, r->place, from, to, start + e->k, &e->inside);
            if (more) return more;
            e->now = to[0];
        }
        ft_count(&steps_run, 1);
        r->work -= b->work + 16;
    }
    e->at = start + e->k;
    e->steps += e->k;
    if (e->k > 0 && s->scheduled) {
        e->n_work = all ? e->k : 1;
        e->from = all ? start : e->at - 1;
    }
    e->open = *(const double *)(e->now + e->go) != 0;
    if (!e->open) {
        e->length = e->at;
        e->next = e->n_row = 0;
        if (s->scheduled && e->feed(e, FT_ENDED)) return fail(e, FT_E_FEED, e->at);
    }
    return 0;
}

static int reverse(ft_store *e, ft_scan *s, runner *r, int64_t start, int64_t stop) {
    const ft_body *b = &s->back;
    if (b->steps.loop) {
        int64_t count = at_once(&b->steps, stop - start - e->k, LIMIT);
        run_steps(&b->steps, r->vm, r->place, data_of(e, stop - 1 - e->k), stop - 1 - e->k, count, s->behind);
        r->work -= count * b->steps.loop->n_op;
        e->k += count;
        return start + e->k < stop;
    }
    for (; start + e->k < stop; e->k++) {
        if (r->work <= 0 && !e->inside) return 1;
        int64_t step = stop - 1 - e->k;
        char *next = s->behind == s->sweep[0] ? s->sweep[1] : s->sweep[0];
        char *from[FT_RECORDS] = {data_of(e, step), s->behind, data_of(e, step)}, *to[FT_RECORDS] = {NULL, next};
        int more = run_body(b, r->vm, r->library, r->place, from, to, step, &e->inside);
        if (more) return more;
        s->behind = next;
        r->work -= b->work + 16;
    }
    return 0;
}

static int snapshot(ft_store *e, int64_t step, int64_t number, int disk, int data) {
    ft_slot *slot = slot_at(e, disk, number);
    const char *from = data ? data_of(e, step) : step == e->at ? e->now : other_state(e);
    int64_t size = data ? e->data_size : e->state_size;
    if (!slot) return fail(e, FT_E_MEMORY, step);
    if (disk) {
        if (write_slot(e, number, step, from, size)) return fail(e, FT_E_WRITE, step);
    } else {
        if (grow(&slot->p, &slot->cap, size)) return fail(e, FT_E_MEMORY, step);
        memcpy(slot->p, from, (size_t)size);
    }
    hold(slot, data ? 2 : 1);
    slot->step = step;
    if (data) e->n_work = 0;
    return 0;
}

static int restore(ft_store *e, int64_t step, int64_t number, int disk, int data, int done_with) {
    ft_slot *slot = slot_at(e, disk, number);
    int64_t size = data ? e->data_size : e->state_size;
    if (data && grow(&e->work, &e->cap_work, size)) return fail(e, FT_E_MEMORY, step);
    char *to = data ? e->work : e->now;
    if (disk) {
        int wrong = read_slot(e, number, step, to, size);
        if (wrong) return fail(e, wrong, step);
    } else memcpy(to, slot->p, (size_t)size);
    if (data) {
        e->from = step;
        e->n_work = 1;
    } else e->at = step;
    if (done_with) {
        hold(slot, 0);
        if (disk) remove_slot(e, number);
    }
    return 0;
}

/* Whether a row asks for what can be done. Schedules may be anybody's. */
static int makes_sense(const ft_store *e, const int64_t *row) {
    int64_t start = row[1], stop = row[2], number = row[3], flags = row[4];
    int disk = (flags & FT_DISK) != 0, holds = flags & FT_DATA ? 2 : 1;
    switch (row[0]) {
    case FT_ADVANCE:
        return start == e->at && start < stop && stop <= e->length &&
               (!(flags & FT_KEEP) || e->n_work == 0 || start == e->from + e->n_work);
    case FT_SNAPSHOT:
        return number >= 0 && number < MOST_SLOTS && (!disk || e->folder) &&
               (holds == 1 ? start == e->at || (e->open && start == e->at - 1) : !e->light && e->n_work == 1 && start == e->from);
    case FT_RESTORE:
        return number >= 0 && number < e->n_slot[disk] && e->slot[disk][number].holds == holds &&
               e->slot[disk][number].step == start && (holds == 1 || e->n_work == 0);
    case FT_TURN: return e->at == e->length && e->back_to < 0;
    case FT_REVERSE:
        return stop == e->back_to && start < stop && e->n_work > 0 && start >= e->from && stop == e->from + e->n_work;
    }
    return 0;
}

/* Rows until the turn, or until none is left. */
static int follow(ft_store *e, ft_scan *s, runner *r) {
    for (;;) {
        if (e->next == e->n_row) {
            e->next = e->n_row = 0;
            if (e->feed(e, FT_GO_ON)) return fail(e, FT_E_FEED, e->at);
            if (e->n_row == 0) return e->back_to == 0 ? 0 : fail(e, FT_E_ROW, e->at);
        }
        const int64_t *row = e->row + FT_ROW * e->next;
        int64_t start = row[1], stop = row[2], flags = row[4];
        if (e->k == 0 && !e->inside && !makes_sense(e, row)) return fail(e, FT_E_ROW, start);
        int more = 0, keep = (flags & FT_KEEP) != 0;
        switch (row[0]) {
        case FT_ADVANCE:
            if (e->open) {
                more = advance_open(e, s, r, start, stop, keep);
                if (more) return more;
                if (!e->open) {         /* other rows have come */
                    e->k = 0;
                    continue;
                }
                break;
            }
            if (keep && e->n_work == 0) e->from = start;
            more = keep && e->light ? advance_light(e, s, r, start, stop) : advance(e, s, r, start, stop, keep);
            if (more) return more;
            e->at = stop;
            e->steps += stop - start;
            if (keep) e->n_work += stop - start;
            break;
        case FT_SNAPSHOT: more = snapshot(e, start, row[3], (flags & FT_DISK) != 0, (flags & FT_DATA) != 0); break;
        case FT_RESTORE:
            more = restore(e, start, row[3], (flags & FT_DISK) != 0, (flags & FT_DATA) != 0, (flags & FT_FREE) != 0);
            break;
        case FT_TURN:
            e->back_to = e->length;
            e->turned = 1;
            e->next++;
            return 0;
        case FT_REVERSE:
            more = reverse(e, s, r, start, stop);
            if (more) return more;
            e->back_to = start;
            e->n_work = start - e->from;
            break;
        }
        if (more) return more;
        e->k = 0;
        e->next++;
        if (r->work <= 0) return 1;
    }
}

static int begin(ft_store *e, const ft_scan *s, runner *r) {
    ft_store_clear(e);
    e->now = e->state[0];
    e->at = e->k = e->inside = e->turned = e->n_work = e->next = e->n_row = e->steps = 0;
    e->back_to = -1;
    e->error = 0;
    load_records(s, r->place, FT_P_STATE, e->now);
    e->open = e->go >= 0;
    if (e->open) e->length = INT64_MAX;
    return e->feed(e, FT_RESTART) ? fail(e, FT_E_FEED, 0) : 0;
}

/* ---- the drivers */

/* Where nobody wants the store, the steps are all that there is to be run. */
static int run_all(ft_store *e, ft_scan *s, runner *r) {
    int more = e->open ? advance_open(e, s, r, 0, INT64_MAX, 0) : advance(e, s, r, 0, e->length, 0);
    if (more) return more;
    e->steps = e->at = e->length;
    e->k = 0;
    return 0;
}

int ft_scan_forward(ft_call *c, const ft_vm *vm, const ft_library *library, const ft_step *place, int begun) {
    ft_scan *s = c->self;
    ft_store *e = &s->store, **wanted = (ft_store **)place_at(place, s->place_of_store);
    runner r = {vm, library, place, LIMIT};
    if (!begun) {
        s->scheduled = wanted != NULL;
        lay_fixed(&s->step, place);
        if (wanted && s->keep.call) lay_fixed(&s->keep, place);
        if (wanted) *wanted = NULL;
        if (wanted && begin(e, s, &r)) return -1;
        if (!wanted) {
            e->now = e->state[0];
            e->k = e->inside = e->turned = e->error = 0;
            e->steps = e->n_work = 0;
            e->open = e->go >= 0;
            load_records(s, place, FT_P_STATE, e->now);
        }
    }
    int more = wanted ? follow(e, s, &r) : run_all(e, s, &r);
    if (more) return more;
    save_records(s, place, c->n_input, FT_P_STATE, e->now);
    if (wanted) *wanted = e;
    return 0;
}

int ft_scan_reverse(ft_call *c, const ft_vm *vm, const ft_library *library, const ft_step *place, int begun) {
    ft_scan *s = c->self;
    runner r = {vm, library, place, LIMIT};
    if (!begun) {
        ft_store **given = (ft_store **)place_at(place, s->place_of_store);
        s->used = given && *given && (*given)->turned && (*given)->tag == s->store.tag ? *given : &s->store;
        s->phase = s->used != &s->store;
        s->scheduled = 1;
        lay_fixed(&s->back, place);
        lay_fixed(&s->step, place);
        if (s->keep.call) lay_fixed(&s->keep, place);
        if (s->phase == 0 && begin(s->used, s, &r)) return -1;
    }
    ft_store *e = s->used;
    int more;
    if (s->phase == 0) {
        more = follow(e, s, &r);
        if (more) return more;
        s->phase = 1;
    }
    if (s->phase == 1) {
        s->behind = s->sweep[0];
        load_records(s, place, FT_P_SWEEP, s->behind);
        load_records(s, place, FT_P_SUM, s->sums);
        e->turned = 0;
        s->phase = 2;
    }
    more = follow(e, s, &r);
    if (more) return more;
    save_records(s, place, c->n_input, FT_P_SWEEP, s->behind);
    save_records(s, place, c->n_input, FT_P_SUM, s->sums);
    return 0;
}

void ft_store_clear(ft_store *e) {
    for (int64_t k = 0; k < e->n_slot[0]; k++) hold(e->slot[0] + k, 0);
    for (int64_t k = 0; k < e->n_slot[1]; k++) {
        if (e->slot[1][k].holds) remove_slot(e, k);
        hold(e->slot[1] + k, 0);
    }
}

void ft_store_drop(ft_store *e) {
    ft_store_clear(e);
    for (int64_t k = 0; k < e->n_slot[0]; k++)
        if (e->slot[0][k].p) ft_free_array(e->slot[0][k].p, (size_t)e->slot[0][k].cap);
    for (int disk = 0; disk < 2; disk++) {
        free(e->slot[disk]);
        e->slot[disk] = NULL;
        e->n_slot[disk] = 0;
    }
    if (e->work) ft_free_array(e->work, (size_t)e->cap_work);
    e->work = NULL;
    e->cap_work = 0;
}
