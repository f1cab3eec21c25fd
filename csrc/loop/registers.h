/* Which value is in which register: one walk forward over a straight line, where the value whose next use
 * is furthest leaves (Belady 1966). What is spilled is stored once. Knows values and places, no op. */
#ifndef FT_LOOP_REGISTERS_H
#define FT_LOOP_REGISTERS_H
#include "body.h"
#include "x86.h"

enum { NOWHERE = -1 };          /* places: >= 0 slots of the frame, <= -2 what the caller calls carry[-2 - place] */
enum { NOBODY = -1 };
enum { SPARE = 8 };             /* no op needs more registers at once: two operands, five temporaries, a result */

typedef struct {                /* where a stream's elements are */
    int8_t base;                /* the register that holds its pointer, or -1 */
    int8_t index;               /* -1: always the same element; -2: i * stride is in slot `offset` */
    int8_t scale, used;
    int32_t offset;
} stream_access;

typedef struct {
    x86_out x;
    body b;
    const struct ft_vm *vm;
    int lanes, width, length;   /* width in bytes; length as x86_simd's */
    int n_register;
    int32_t holder[32];
    int32_t when[32];           /* the next use of what is held */
    uint32_t free, locked, pinned, temporary;
    uint32_t kept;              /* the registers that hold carries when an iteration begins */
    int8_t *carry_register;     /* -1: its place is the caller's array */
    int32_t *spare;             /* slots that are free again */
    int32_t n_spare, n_slot;
    int64_t pool;               /* where the constants are */
    stream_access *stream;
    const step *now;
    int stuck;                  /* an op needs more registers than there are */
    int n_mask;                 /* of this op: mask registers taken */
} emitter;

static int lowest(uint32_t bits) { return __builtin_ctz(bits); }

static x86_rm slot_at(const emitter *e, int32_t slot) { return x86_at(RSP, slot * e->width); }

static int32_t new_slot(emitter *e) { return e->n_spare ? e->spare[--e->n_spare] : e->n_slot++; }

static x86_rm stream_at(emitter *e, int32_t k) {
    const stream_access *s = e->stream + k;
    x86_rm m = {-1, s->base, s->index, s->scale, 0};
    if (s->base < 0) {
        x86_load(&e->x, RAX, x86_at(R12, 8 * k));
        m.base = RAX;
    }
    if (s->index == -2) {
        x86_load(&e->x, R11, slot_at(e, s->offset));
        m.index = R11;
    }
    return m;
}

static x86_rm memory_of(emitter *e, int32_t v) {
    const value *y = e->b.value + v;
    if (y->from == IN_POOL) {
        int32_t k = v < e->b.own ? v : v - e->b.own + e->b.loop->n_constant;
        return x86_at(RIP, (int32_t)e->pool + k * e->width);
    }
    if (y->from == IN_STREAM) return stream_at(e, y->stream);
    return y->place >= 0 ? slot_at(e, y->place) : x86_at(R13, -8 * (y->place + 2));
}

/* Loads, stores and moves of whole vectors, or of one double. */
static void move_in(emitter *e, int reg, x86_rm m) {
    x86_simd(&e->x, e->lanes == 1 ? PP_F2 : PP_66, MAP_0F, 1, e->length, 0x10, reg, 0, m, e->width, 0);
}
static void move_out(emitter *e, x86_rm m, int reg) {
    x86_simd(&e->x, e->lanes == 1 ? PP_F2 : PP_66, MAP_0F, 1, e->length, 0x11, reg, 0, m, e->width, 0);
}
static void move_across(emitter *e, int to, int from) {
    if (to != from) x86_simd(&e->x, PP_66, MAP_0F, 1, e->length, 0x28, to, 0, x86_reg(from), 1, 0);
}

static void leave(emitter *e, int r) {
    if (e->holder[r] >= 0) e->b.value[e->holder[r]].reg = -1;
    e->holder[r] = NOBODY;
    e->free |= 1u << r;
}

static int is_read_now(const emitter *e, int32_t v) {
    return e->now && (e->now->v[0] == v || e->now->v[1] == v || e->now->v[2] == v);
}

/* Gives a value that is only in a register a place in memory. */
static void spill(emitter *e, int32_t v) {
    value *y = e->b.value + v;
    if (y->from == IN_POOL || y->from == HOISTED || y->from == IN_STREAM || y->place != NOWHERE) return;
    int32_t first_carry = e->b.loop->n_constant;
    if (y->from == CARRIED) y->place = -2 - (v - first_carry);
    else if (y->carry >= 0 && e->carry_register[y->carry] < 0 && e->b.value[first_carry + y->carry].next == NEVER &&
             !is_read_now(e, first_carry + y->carry))
        y->place = -2 - y->carry;               /* where it has to be in the end */
    else y->place = new_slot(e);
    move_out(e, memory_of(e, v), y->reg);
}

/* A register for this op alone, unless it is bound. `wish` is taken if it is free. */
static int take(emitter *e, int wish) {
    int r;
    if (wish >= 0 && e->free >> wish & 1) r = wish;
    else if (e->free & ~e->kept) r = lowest(e->free & ~e->kept);
    else if (e->free) r = lowest(e->free);
    else {
        int64_t furthest = -1;                  /* next use and register in one number: no branch to mispredict */
        uint32_t fixed = e->locked | e->pinned;
        for (int k = 0; k < e->n_register; k++) {
            int64_t next = fixed >> k & 1 ? -1 : (int64_t)e->when[k] << 5 | k;
            furthest = next > furthest ? next : furthest;
        }
        if (furthest < 0) {                     /* SPARE says that this cannot be */
            e->stuck = 1;
            return 0;
        }
        r = (int)(furthest & 31);
        spill(e, e->holder[r]);
        leave(e, r);
    }
    e->free &= ~(1u << r);
    e->locked |= 1u << r;
    e->temporary |= 1u << r;
    return r;
}

static void bind(emitter *e, int r, int32_t v) {
    e->holder[r] = v;
    e->temporary &= ~(1u << r);
    e->b.value[v].reg = (int8_t)r;
    e->when[r] = e->b.value[v].next;
}

static int in_register(emitter *e, int32_t v) {
    value *y = e->b.value + v;
    if (y->reg < 0) {
        int r = take(e, -1);
        move_in(e, r, memory_of(e, v));
        if (v < e->b.own) bind(e, r, v);
        else return r;                          /* of the emitter's own: their next uses are not known */
    }
    e->locked |= 1u << y->reg;
    return y->reg;
}

/* The operand in a register or, where that costs nothing, in memory. `whole`: the instruction reads 16 bytes
 * though its value has 8, which the pool alone has room for. */
static x86_rm anywhere(emitter *e, int32_t v, int whole) {
    const value *y = e->b.value + v;
    int32_t later = NEVER;
    for (int i = 0; i < e->now->arity; i++)
        if (e->now->v[i] == v) later = e->now->after[i];
    if (y->reg >= 0 || (later != NEVER && e->free & ~e->kept) || (whole && e->lanes == 1 && y->from != IN_POOL))
        return x86_reg(in_register(e, v));
    return memory_of(e, v);
}

static x86_rm own(emitter *e, int k) { return anywhere(e, e->b.own + k, 1); }

/* From here on registers of operands that are read no more may become the result's: the op's last
 * instruction alone may still read them. Their memory is theirs until the op ends. */
static void retire(emitter *e) {
    for (int i = 0; i < e->now->arity; i++) {
        value *y = e->b.value + e->now->v[i];
        y->next = e->now->after[i];
        if (y->reg >= 0) e->when[y->reg] = y->next;
    }
    for (int i = 0; i < e->now->arity; i++) {
        value *y = e->b.value + e->now->v[i];
        if (y->next != NEVER) continue;
        if (y->reg >= 0 && !(e->pinned >> y->reg & 1)) leave(e, y->reg);
    }
}

/* A register for the result: an operand's, if that is read no more. */
static int define(emitter *e, int32_t v) {
    const value *y = e->b.value + v;
    int r = take(e, y->carry >= 0 ? e->carry_register[y->carry] : -1);
    bind(e, r, v);
    return r;
}

static void end_of_op(emitter *e) {
    for (int i = 0; e->now && i < e->now->arity; i++) {
        value *y = e->b.value + e->now->v[i];
        if (y->next != NEVER || y->place < 0 || y->from == HOISTED) continue;
        e->spare[e->n_spare++] = y->place;
        y->place = NOWHERE;
    }
    for (uint32_t left = e->temporary; left; left &= left - 1) leave(e, lowest(left));
    e->temporary = e->locked = 0;
    e->n_mask = 0;
}

/* ---- the end of an iteration: carries move, all at once */

/* Carries whose place is about to be written, but that others are to become: copied out of the way. */
static void rescue_carries(emitter *e) {
    const ft_loop *l = e->b.loop;
    for (int32_t j = 0; j < l->n_carry; j++) {
        value *y = e->b.value + l->n_constant + j;
        if (e->carry_register[j] >= 0 || y->next == NEVER || e->b.same[l->next[j]] == l->n_constant + j) continue;
        int r = in_register(e, l->n_constant + j);
        y->place = new_slot(e);
        move_out(e, slot_at(e, y->place), r);
        end_of_op(e);
    }
}

static void carry_in_memory(emitter *e) {
    const ft_loop *l = e->b.loop;
    for (int32_t j = 0; j < l->n_carry; j++) {
        int32_t v = e->b.same[l->next[j]];
        if (e->carry_register[j] >= 0 || v == l->n_constant + j || e->b.value[v].place == -2 - j) continue;
        move_out(e, x86_at(R13, 8 * j), in_register(e, v));
        end_of_op(e);
    }
}

static void carry_in_registers(emitter *e) {
    const ft_loop *l = e->b.loop;
    int8_t from[32];
    uint32_t pending = 0, bounced = 0;
    int32_t slot = -1;
    for (int32_t j = 0; j < l->n_carry; j++) {
        int to = e->carry_register[j], reg = e->b.value[e->b.same[l->next[j]]].reg;
        if (to < 0 || reg < 0 || reg == to) continue;
        from[to] = (int8_t)reg;
        pending |= 1u << to;
    }
    while (pending) {
        uint32_t read = 0, ready;
        for (uint32_t left = pending & ~bounced; left; left &= left - 1) read |= 1u << from[lowest(left)];
        ready = pending & ~read;
        if (ready) {
            int to = lowest(ready);
            if (bounced >> to & 1) move_in(e, to, slot_at(e, slot));
            else move_across(e, to, from[to]);
            bounced &= ~(1u << to);
            pending &= ~(1u << to);
        } else {                /* cycles alone are left: one value waits in memory */
            int to = lowest(pending);
            slot = slot < 0 ? new_slot(e) : slot;
            move_out(e, slot_at(e, slot), from[to]);
            bounced = 1u << to;
        }
    }
    for (int32_t j = 0; j < l->n_carry; j++) {
        int32_t v = e->b.same[l->next[j]];
        if (e->carry_register[j] >= 0 && e->b.value[v].reg < 0) move_in(e, e->carry_register[j], memory_of(e, v));
    }
}
#endif
