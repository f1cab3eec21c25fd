/* The instructions of each native op, for one double or a vector of them. A comparison leaves a mask: a
 * vector register of ones and zeros, or with EVEX a mask register. Knows no loop around the op. */
#ifndef FT_LOOP_WORDS_H
#define FT_LOOP_WORDS_H
#include "registers.h"

enum { ADD = 0x58, MULTIPLY = 0x59, SUBTRACT = 0x5c, DIVIDE = 0x5e, MINIMUM = 0x5d, MAXIMUM = 0x5f, SQRT = 0x51,
       AND = 0x54, AND_NOT = 0x55, OR = 0x56, XOR = 0x57 };

static void arithmetic(emitter *e, int opcode, int y, int a, x86_rm b) {
    x86_simd(&e->x, e->lanes == 1 ? PP_F2 : PP_66, MAP_0F, 1, e->length, opcode, y, a, b, e->width, 0);
}

static void logic(emitter *e, int opcode, int y, int a, x86_rm b) {
    x86_simd(&e->x, PP_66, MAP_0F, 1, e->length, opcode, y, a, b, e->width, 0);
}

enum { ALL = -1 };              /* no mask */

static int compare(emitter *e, int a, x86_rm b, int predicate, int within) {
    int mask = e->x.evex ? ++e->n_mask : take(e, -1);
    if (e->x.evex && within != ALL) e->x.mask = within;
    x86_simd(&e->x, e->lanes == 1 ? PP_F2 : PP_66, MAP_0F, 1, e->length, 0xc2, mask, a, b, e->width, 1);
    x86_byte(&e->x, predicate);
    if (!e->x.evex && within != ALL) logic(e, AND, mask, mask, x86_reg(within));
    return mask;
}

/* y = mask ? a : 0 */
static void keep(emitter *e, int y, int mask, x86_rm a) {
    if (!e->x.evex) {
        logic(e, AND, y, mask, a);
        return;
    }
    e->x.mask = mask;
    e->x.zeroing = 1;
    x86_simd(&e->x, PP_66, MAP_0F, 1, e->length, 0x10, y, 0, a, e->width, 0);
}

/* y = mask ? a : b */
static void pick(emitter *e, int y, int mask, x86_rm a, int b) {
    if (e->x.evex) {
        e->x.mask = mask;
        x86_simd(&e->x, PP_66, MAP_0F38, 1, e->length, 0x65, y, b, a, e->width, 0);
    } else {
        x86_simd(&e->x, PP_66, MAP_0F3A, 0, e->length, 0x4b, y, b, a, e->width, 1);
        x86_byte(&e->x, mask << 4);
    }
}

/* y = mask ? a op b : 0 */
static void arithmetic_kept(emitter *e, int opcode, int y, int mask, int a, x86_rm b) {
    if (e->x.evex) {
        e->x.mask = mask;
        e->x.zeroing = 1;
    }
    arithmetic(e, opcode, y, a, b);
    if (!e->x.evex) logic(e, AND, y, y, x86_reg(mask));
}

static void widen(emitter *e, int y, x86_rm a) {        /* scalar: the upper bits are those of y */
    if (e->lanes == 1) x86_simd(&e->x, PP_F3, MAP_0F, 0, 0, 0x5a, y, y, a, 4, 0);
    else x86_simd(&e->x, PP_NONE, MAP_0F, 0, e->length, 0x5a, y, 0, a, e->width / 2, 0);
}

static void narrow(emitter *e, int y, int a) {
    if (e->lanes == 1) x86_simd(&e->x, PP_F2, MAP_0F, 1, 0, 0x5a, y, a, x86_reg(a), 8, 0);
    else x86_simd(&e->x, PP_66, MAP_0F, 1, e->length, 0x5a, y, 0, x86_reg(a), e->width, 0);
}

static void round_f32(emitter *e, int y, int a) {
    narrow(e, y, a);
    widen(e, y, x86_reg(y));
}

static void load_element(emitter *e, int y, x86_rm m, int f32, int invariant) {
    if (e->lanes > 1 && invariant) {
        if (f32) {
            x86_simd(&e->x, PP_F3, MAP_0F, 0, 0, 0x10, y, 0, m, 4, 0);
            x86_simd(&e->x, PP_F3, MAP_0F, 0, 0, 0x5a, y, y, x86_reg(y), 4, 0);
        }
        x86_simd(&e->x, PP_66, MAP_0F38, 1, e->length, 0x19, y, 0, f32 ? x86_reg(y) : m, 8, 0);
    } else if (!f32) move_in(e, y, m);
    else if (e->lanes > 1) widen(e, y, m);
    else {
        x86_simd(&e->x, PP_F3, MAP_0F, 0, 0, 0x10, y, 0, m, 4, 0);
        widen(e, y, x86_reg(y));
    }
}

static void write_load(emitter *e, int32_t v) {
    const value *y = e->b.value + v;
    const ft_loop *l = e->b.loop;
    int32_t k = v - e->b.first;
    int f32 = l->stream_f32[y->stream];
    if (y->uses == 1 && y->next < e->b.n_op && e->b.stores[k] == e->b.stores[y->next] && !f32 && !e->now->f32) {
        e->b.value[v].from = IN_STREAM;                 /* its reader loads it */
        return;
    }
    int r = define(e, v);
    load_element(e, r, stream_at(e, y->stream), f32, l->stride[y->stream] == 0);
}

static void write_store(emitter *e, int32_t v) {
    int32_t at = e->b.value[v].stream;
    int a = in_register(e, e->now->v[0]);
    if (!e->b.loop->stream_f32[at]) move_out(e, stream_at(e, at), a);
    else {
        int t = take(e, -1);
        narrow(e, t, a);
        x86_rm m = stream_at(e, at);
        if (e->lanes == 1) x86_simd(&e->x, PP_F3, MAP_0F, 0, 0, 0x11, t, 0, m, 4, 0);
        else x86_simd(&e->x, PP_NONE, MAP_0F, 0, e->length - 1, 0x11, t, 0, m, e->width / 2, 0);
    }
    retire(e);
}

/* A function of the instruction set: whatever is alive waits in memory. */
static void write_call(emitter *e, int32_t v) {
    const step *s = e->now;
    int from[3] = {-1, -1, -1}, left = 0;
    for (int i = 0; i < s->arity; i++) from[i] = e->b.value[s->v[i]].reg;
    retire(e);
    for (int r = 0; r < e->n_register; r++)
        if (e->holder[r] >= 0 && e->b.value[e->holder[r]].next != NEVER) spill(e, e->holder[r]);
    for (int i = 0; i < s->arity; i++) left |= (from[i] >= 0 && from[i] != i) << i;
    while (left) {
        int i, moved = 0;
        for (i = 0; i < 3; i++) {
            int read = 0;
            for (int j = 0; j < 3; j++) read |= j != i && (left >> j & 1) && from[j] == i;
            if (!(left >> i & 1) || read) continue;
            move_across(e, i, from[i]);
            left &= ~(1 << i);
            moved = 1;
        }
        if (!moved) {                                   /* a cycle: none of its members is above 2 */
            i = lowest((uint32_t)left);
            move_across(e, 3, from[i]);
            from[i] = 3;
        }
    }
    for (int i = 0; i < s->arity; i++)
        if (from[i] < 0) move_in(e, i, memory_of(e, s->v[i]));
    for (int r = 0; r < e->n_register; r++)
        if (e->holder[r] >= 0) leave(e, r);
    x86_call(&e->x, (int64_t)(intptr_t)e->vm->function[s->op]);
    int y = take(e, 0);
    bind(e, y, v);
}

static int is_zero(const emitter *e, int32_t v) {
    return is_constant(&e->b, v) && constant(&e->b, v) == 0 && !signbit(constant(&e->b, v));
}

/* Ops of one instruction: a in a register, b anywhere. */
static int write_plain(emitter *e, int32_t v, int opcode, int32_t a, int32_t b) {
    int commutes = opcode == ADD || opcode == MULTIPLY;
    if (commutes && e->b.value[a].reg < 0 && e->b.value[b].reg >= 0) {
        int32_t other = a;
        a = b;
        b = other;
    }
    int first = in_register(e, a);
    x86_rm second = anywhere(e, b, 0);
    retire(e);
    int y = define(e, v);
    arithmetic(e, opcode, y, first, second);
    return y;
}

static int write_round(emitter *e, int32_t v, int mode) {
    int a = in_register(e, e->now->v[0]);
    retire(e);
    int y = define(e, v);
    x86_simd(&e->x, PP_66, MAP_0F3A, 1, e->length, e->lanes == 1 ? 0x0b : 0x09, y, e->lanes == 1 ? a : 0, x86_reg(a),
             e->width, 1);
    x86_byte(&e->x, mode);
    return y;
}

static int write_truth(emitter *e, int32_t v, int32_t a, int32_t b, int predicate) {
    int first = in_register(e, a);
    int mask = compare(e, first, anywhere(e, b, 0), predicate, ALL);
    retire(e);
    int y = define(e, v);
    keep(e, y, mask, own(e, K_ONE));
    return y;
}

static int write_both(emitter *e, int32_t v, int either) {
    const int32_t *of = e->now->v;
    int a = in_register(e, of[0]), b = in_register(e, of[1]);
    int mask = compare(e, a, own(e, K_ZERO), NOT_EQUAL, ALL);
    int other = compare(e, b, own(e, K_ZERO), NOT_EQUAL, either ? ALL : mask);
    if (either && !e->x.evex) logic(e, OR, other, other, x86_reg(mask));
    retire(e);
    int y = define(e, v);
    keep(e, y, other, own(e, K_ONE));
    if (either && e->x.evex) {
        e->x.mask = mask;
        move_in(e, y, own(e, K_ONE));
    }
    return y;
}

static int write_scale(emitter *e, int32_t v, int opcode, int both) {
    const int32_t *of = e->now->v;
    int a = in_register(e, of[0]);
    x86_rm b = both ? x86_reg(in_register(e, of[1])) : anywhere(e, of[1], 0);
    int mask = compare(e, a, own(e, K_ZERO), NOT_EQUAL, ALL);
    if (both) mask = compare(e, b.reg, own(e, K_ZERO), NOT_EQUAL, mask);
    retire(e);
    int y = define(e, v);
    arithmetic_kept(e, opcode, y, mask, a, b);
    return y;
}

static int write_add_scaled(emitter *e, int32_t v) {
    const int32_t *of = e->now->v;
    int a = in_register(e, of[0]), held = e->b.value[of[2]].reg >= 0;
    x86_rm b, c;
    if (held) {                                         /* one operand at most is in memory */
        c = x86_reg(in_register(e, of[2]));
        b = anywhere(e, of[1], 0);
    } else {
        b = x86_reg(in_register(e, of[1]));
        c = anywhere(e, of[2], 0);
    }
    int product = take(e, -1);
    if (is_nonzero(&e->b, of[0])) arithmetic(e, MULTIPLY, product, a, b);
    else arithmetic_kept(e, MULTIPLY, product, compare(e, a, own(e, K_ZERO), NOT_EQUAL, ALL), a, b);
    retire(e);
    int y = define(e, v);
    arithmetic(e, ADD, y, product, c);
    return y;
}

/* The instruction gives its second operand where the two are equal or either is a nan. */
static int write_larger(emitter *e, int32_t v, int opcode) {
    int32_t a = e->now->v[0], b = e->now->v[1];
    if (is_constant(&e->b, b) && constant(&e->b, b) == constant(&e->b, b)) return write_plain(e, v, opcode, b, a);
    if (is_nonzero(&e->b, a) && constant(&e->b, a) == constant(&e->b, a)) return write_plain(e, v, opcode, a, b);
    int first = in_register(e, a), second = in_register(e, b);
    int mask = compare(e, second, x86_reg(second), UNORDERED, ALL), larger = take(e, -1);
    arithmetic(e, opcode, larger, second, x86_reg(first));
    retire(e);
    int y = define(e, v);
    pick(e, y, mask, x86_reg(second), larger);
    return y;
}

static int write_where(emitter *e, int32_t v) {
    const int32_t *of = e->now->v;
    int a = in_register(e, of[0]), y;
    if (is_zero(e, of[2]) || is_zero(e, of[1])) {
        int swapped = !is_zero(e, of[2]);
        x86_rm b = anywhere(e, of[1 + swapped], 1);
        int mask = compare(e, a, own(e, K_ZERO), swapped ? EQUAL : NOT_EQUAL, ALL);
        retire(e);
        y = define(e, v);
        keep(e, y, mask, b);
    } else {
        int c = in_register(e, of[2]);
        x86_rm b = anywhere(e, of[1], 1);
        int mask = compare(e, a, own(e, K_ZERO), NOT_EQUAL, ALL);
        retire(e);
        y = define(e, v);
        pick(e, y, mask, b, c);
    }
    return y;
}

static int write_share(emitter *e, int32_t v) {
    int a = in_register(e, e->now->v[0]), b = in_register(e, e->now->v[1]), t = take(e, -1), y;
    int more = compare(e, a, x86_reg(b), GREATER_THAN, ALL), tie = compare(e, a, x86_reg(b), EQUAL, ALL);
    int nan = compare(e, a, x86_reg(b), UNORDERED, ALL);
    keep(e, t, more, own(e, K_ONE));
    if (e->x.evex) {
        e->x.mask = tie;
        move_in(e, t, own(e, K_HALF));
        e->x.mask = nan;
        arithmetic(e, ADD, t, a, x86_reg(b));
        retire(e);
        y = define(e, v);
        move_across(e, y, t);
    } else {
        keep(e, tie, tie, own(e, K_HALF));
        logic(e, OR, t, t, x86_reg(tie));
        retire(e);
        y = define(e, v);
        logic(e, OR, y, t, x86_reg(nan));               /* all ones is a nan */
    }
    return y;
}

static int write_signs(emitter *e, int32_t v, int opcode, int k) {
    int a = in_register(e, e->now->v[0]);
    retire(e);
    int y = define(e, v);
    logic(e, opcode, y, a, own(e, k));
    return y;
}

static int write_copysign(emitter *e, int32_t v) {
    int a = in_register(e, e->now->v[0]), b = in_register(e, e->now->v[1]), t = take(e, -1);
    logic(e, AND, t, b, own(e, K_SIGN));
    retire(e);
    int y = define(e, v);
    logic(e, AND, y, a, own(e, K_MAGNITUDE));
    logic(e, OR, y, y, x86_reg(t));
    return y;
}

static int write_cast(emitter *e, int32_t v) {
    int a = in_register(e, e->now->v[0]);
    retire(e);
    int y = define(e, v);
    round_f32(e, y, a);
    return y;
}

static int write_root(emitter *e, int32_t v) {
    int a = in_register(e, e->now->v[0]);
    retire(e);
    int y = define(e, v);
    arithmetic(e, SQRT, y, e->lanes == 1 ? a : 0, x86_reg(a));
    return y;
}

static void write_op(emitter *e, int32_t k) {
    const step *s = e->now = e->b.step + k;
    int32_t v = e->b.first + k;
    const int32_t *of = s->v;
    switch (s->op) {
    case FT_L_LOAD: write_load(e, v); break;
    case FT_L_STORE: write_store(e, v); break;
    case FT_L_CAST: write_cast(e, v); break;
    case OP_add: write_plain(e, v, ADD, of[0], of[1]); break;
    case OP_subtract: write_plain(e, v, SUBTRACT, of[0], of[1]); break;
    case OP_multiply: write_plain(e, v, MULTIPLY, of[0], of[1]); break;
    case OP_divide: write_plain(e, v, DIVIDE, of[0], of[1]); break;
    case OP_sqrt: write_root(e, v); break;
    case OP_negative: write_signs(e, v, XOR, K_SIGN); break;
    case OP_absolute: write_signs(e, v, AND, K_MAGNITUDE); break;
    case OP_copysign: write_copysign(e, v); break;
    case OP_scale: write_scale(e, v, MULTIPLY, 0); break;
    case OP_ratio: write_scale(e, v, DIVIDE, 0); break;
    case OP_scale_both: write_scale(e, v, MULTIPLY, 1); break;
    case OP_add_scaled: write_add_scaled(e, v); break;
    case OP_maximum: write_larger(e, v, MAXIMUM); break;
    case OP_minimum: write_larger(e, v, MINIMUM); break;
    case OP_where: write_where(e, v); break;
    case OP_share: write_share(e, v); break;
    case OP_less: write_truth(e, v, of[0], of[1], LESS_THAN); break;
    case OP_less_equal: write_truth(e, v, of[0], of[1], LESS_EQUAL); break;
    case OP_greater: write_truth(e, v, of[0], of[1], GREATER_THAN); break;
    case OP_greater_equal: write_truth(e, v, of[0], of[1], GREATER_EQUAL); break;
    case OP_equal: write_truth(e, v, of[0], of[1], EQUAL); break;
    case OP_not_equal: write_truth(e, v, of[0], of[1], NOT_EQUAL); break;
    case OP_logical_not: write_truth(e, v, of[0], e->b.own + K_ZERO, EQUAL); break;
    case OP_isnan: write_truth(e, v, of[0], of[0], UNORDERED); break;
    case OP_logical_and: write_both(e, v, 0); break;
    case OP_logical_or: write_both(e, v, 1); break;
    case OP_floor: write_round(e, v, 9); break;
    case OP_ceil: write_round(e, v, 10); break;
    case OP_trunc: write_round(e, v, 11); break;
    case OP_rint: write_round(e, v, 12); break;
    default: write_call(e, v);
    }
    int reg = e->b.value[v].reg;
    if (s->f32 && reg >= 0) round_f32(e, reg, reg);
    end_of_op(e);
}
#endif
