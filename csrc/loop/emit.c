/* Machine code for loop bodies, on x86-64 with AVX2 and the System V convention; elsewhere there is none.
 *
 * A function is a prologue, the invariants, the body once, and a jump back. Registers: rbx counts, r12 has
 * the pointers of the streams, r13 the carries, rax and r11 are scratch, the others hold stream pointers. */
#include "../vm.h"
#include "code.h"

void ft_loop_run(const ft_vm *vm, const ft_loop *l, int64_t from, int64_t to, char *const *stream, double *carry,
                 double *values) {
    vm->loop(l, from, to, stream, carry, values);
}

#if !defined(__x86_64__) || !defined(__GNUC__) || defined(_WIN32)

int ft_loop_lanes(void) { return 0; }

int ft_loop_native(int op) {
    (void)op;
    return 0;
}

int64_t ft_emit(ft_code *code, const ft_vm *vm, const ft_loop *l, int lanes) {
    (void)code; (void)vm; (void)l; (void)lanes;
    return FT_NO_CODE;
}

#else

#include "words.h"

enum { MOST_FRAME = 1 << 18, TOUCHED = 4096, SAVED = 40 };     /* bytes; SAVED: of registers below rbp */

int ft_loop_lanes(void) {
    if (!__builtin_cpu_supports("avx2")) return 0;
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl") ? 8 : 4;
}

/* Streams share the integer registers: strides that are no power of two first, then pointers. */
static void place_streams(emitter *e) {
    static const int8_t with_calls[] = {R14, R15}, without[] = {R14, R15, RCX, RDX, RSI, RDI, R8, R9, R10};
    const ft_loop *l = e->b.loop;
    const int8_t *pool = e->b.n_call ? with_calls : without;
    int left = e->b.n_call ? 2 : 9, n_offset = 0;
    for (int32_t k = 0; k < e->b.n_op; k++) {
        const step *s = e->b.step + k;
        if ((s->op == FT_L_LOAD || s->op == FT_L_STORE) && !s->dead)
            e->stream[e->b.value[e->b.first + k].stream].used = 1;
    }
    for (int32_t k = 0; k < l->n_stream; k++) {
        stream_access *s = e->stream + k;
        int64_t stride = l->stride[k];
        if (!s->used || stride == 0) continue;
        if (stride == 1 || stride == 2 || stride == 4 || stride == 8) {
            s->index = RBX;
            s->scale = (int8_t)stride;
            continue;
        }
        for (int32_t j = 0; j < k && j < 64; j++)       /* most streams of a loop have one of a few strides */
            if (e->stream[j].used && l->stride[j] == stride) {
                s->index = e->stream[j].index;
                s->offset = e->stream[j].offset;
                s->used = 2;                            /* the other steps on */
                break;
            }
        if (s->used == 2) continue;
        if (n_offset < 2 && left > 1) {
            s->index = *pool++;
            left--;
            n_offset++;
        } else {
            s->index = -2;
            s->offset = new_slot(e);
        }
    }
    for (int32_t k = 0; k < l->n_stream && left; k++)
        if (e->stream[k].used) {
            e->stream[k].base = *pool++;
            left--;
        }
}

static void load_streams(emitter *e) {
    const ft_loop *l = e->b.loop;
    for (int32_t k = 0; k < l->n_stream; k++) {
        const stream_access *s = e->stream + k;
        if (s->used && s->base >= 0) x86_load(&e->x, s->base, x86_at(R12, 8 * k));
        if (s->used != 1 || l->stride[k] == 0 || s->index == RBX) continue;
        x86_constant(&e->x, RAX, l->stride[k]);
        x86_multiply(&e->x, RAX, RBX);
        if (s->index >= 0) x86_load(&e->x, s->index, x86_reg(RAX));
        else x86_store(&e->x, slot_at(e, s->offset), RAX);
    }
}

static void step_on(emitter *e) {
    const ft_loop *l = e->b.loop;
    x86_address(&e->x, RBX, x86_at(RBX, e->lanes));
    for (int32_t k = 0; k < l->n_stream; k++) {
        const stream_access *s = e->stream + k;
        int64_t stride = l->stride[k];
        if (s->used != 1 || stride == 0 || s->index == RBX) continue;
        x86_rm to = s->index >= 0 ? x86_reg(s->index) : slot_at(e, s->offset);
        if (stride == (int32_t)stride) x86_immediate(&e->x, 0, to, (int32_t)stride);
        else {
            x86_constant(&e->x, RAX, stride);
            x86_word(&e->x, 0x01, RAX, to, 0);
        }
    }
}

/* The constants, before the code: a double each, or a vector of one. */
static void write_pool(emitter *e) {
    const ft_loop *l = e->b.loop;
    ft_code *code = e->x.code;
    int64_t n = (int64_t)l->n_constant + N_OWN, padding = -code->n & 63;
    if (ft_code_room(code, padding + n * e->width + 128) != 0) {
        e->x.failed = 1;
        return;
    }
    memset(code->bytes + code->n, 0, (size_t)padding);
    code->n += padding;
    e->pool = code->n;
    for (int32_t k = 0; k < n; k++) {
        double d = k < l->n_constant ? l->constant[k] : own_constant(k - l->n_constant);
        for (int i = 0; i < e->lanes; i++, code->n += 8) memcpy(code->bytes + code->n, &d, 8);
    }
    memset(code->bytes + code->n, 0, 16);               /* 16 bytes are read at the last one */
    code->n += 16;
    while (code->n & 63) code->bytes[code->n++] = 0x90;
}

/* Loads that are the same in every iteration leave the body. */
static void hoist(emitter *e) {
    const ft_loop *l = e->b.loop;
    if (e->lanes == 1 && e->b.n_store) return;          /* a store might change them */
    for (int32_t k = 0; k < e->b.n_op; k++) {
        step *s = e->b.step + k;
        value *y = e->b.value + e->b.first + k;
        if (s->op != FT_L_LOAD || s->dead || l->stride[y->stream] != 0) continue;
        s->dead = 1;
        y->from = HOISTED;
        y->place = new_slot(e);
    }
}

/* Where registers are left over, they hold the most used invariants through the loop. */
static void pin(emitter *e) {
    int32_t best[32];
    int room = e->n_register - e->b.live - SPARE, n = 0;
    if (e->b.n_call || room <= 0) return;
    for (int32_t v = 0; v < e->b.n_value; v++) {
        const value *y = e->b.value + v;
        if ((y->from != IN_POOL && y->from != HOISTED) || y->uses == 0) continue;
        if (n == room && e->b.value[best[n - 1]].uses >= y->uses) continue;
        int at = n < room ? n++ : n - 1;
        for (; at > 0 && e->b.value[best[at - 1]].uses < y->uses; at--) best[at] = best[at - 1];
        best[at] = v;
    }
    for (int i = 0; i < n; i++) {
        int r = lowest(e->free & ~e->kept);
        e->free &= ~(1u << r);
        e->pinned |= 1u << r;
        e->holder[r] = best[i];
        e->b.value[best[i]].reg = (int8_t)r;
    }
}

static void choose_carries(emitter *e) {
    const ft_loop *l = e->b.loop;
    int left = e->b.n_call ? 0 : e->n_register - 6;
    for (int32_t j = 0; j < l->n_carry; j++) {
        value *y = e->b.value + l->n_constant + j;
        e->carry_register[j] = -1;
        if (y->next == NEVER || left == 0) {
            y->place = -2 - j;
            continue;
        }
        int r = e->n_register - left--;
        e->carry_register[j] = y->reg = (int8_t)r;
        e->holder[r] = l->n_constant + j;
        e->when[r] = y->next;
        e->free &= ~(1u << r);
        e->kept |= 1u << r;
    }
}

static void load_invariants(emitter *e) {
    const ft_loop *l = e->b.loop;
    for (int32_t k = 0; k < e->b.n_op; k++) {
        int32_t v = e->b.first + k;
        value *y = e->b.value + v;
        if (y->from != HOISTED) continue;
        int r = y->reg >= 0 ? y->reg : lowest(~(e->pinned | e->kept));
        x86_rm m = stream_at(e, y->stream);
        load_element(e, r, m, l->stream_f32[y->stream], 1);
        if (e->b.step[k].f32) round_f32(e, r, r);
        if (y->reg < 0) move_out(e, slot_at(e, y->place), r);
    }
    for (int r = 0; r < e->n_register; r++)
        if (e->pinned >> r & 1 && e->b.value[e->holder[r]].from == IN_POOL) move_in(e, r, memory_of(e, e->holder[r]));
    for (int32_t j = 0; j < l->n_carry; j++)
        if (e->carry_register[j] >= 0) move_in(e, e->carry_register[j], x86_at(R13, 8 * j));
}

static const int8_t saved[] = {RBX, R12, R13, R14, R15};

static int64_t enter(emitter *e) {
    x86_out *x = &e->x;
    x86_push(x, RBP);
    x86_load(x, RBP, x86_reg(RSP));
    for (int i = 0; i < 5; i++) x86_push(x, saved[i]);
    x86_load(x, RBX, x86_reg(RDI));
    x86_load(x, R12, x86_reg(RDX));
    x86_load(x, R13, x86_reg(RCX));
    x86_constant(x, RAX, 0);                            /* the frame's size, which is not known yet */
    int64_t at = x->code->n - 8, top = x->code->n;
    x86_immediate(x, 5, x86_reg(RSP), TOUCHED);         /* page by page, so that the guard page is met */
    x86_store(x, x86_at(RSP, 0), RAX);
    x86_immediate(x, 5, x86_reg(RAX), TOUCHED);
    x86_land(x, x86_jump(x, 0xf), top);
    x86_immediate(x, 4, x86_reg(RSP), -64);
    x86_store(x, slot_at(e, 0), RSI);
    return at;
}

static void restore(emitter *e) {
    x86_address(&e->x, RSP, x86_at(RBP, -SAVED));
    for (int i = 4; i >= 0; i--) x86_pop(&e->x, saved[i]);
    x86_pop(&e->x, RBP);
}

static int64_t write_function(emitter *e, int64_t remainder) {
    x86_out *x = &e->x;
    const ft_loop *l = e->b.loop;
    e->n_slot = 1;                                      /* slot 0: where to stop */
    hoist(e);
    place_streams(e);
    choose_carries(e);
    pin(e);
    write_pool(e);
    if (x->failed) return FT_CODE_NO_MEMORY;
    int64_t start = x->code->n, frame = enter(e), none, top;
    x86_address(x, RAX, x86_at(RBX, e->lanes - 1));
    x86_compare(x, RAX, slot_at(e, 0));
    none = x86_jump(x, 0xd);
    load_streams(e);
    load_invariants(e);
    while (x->code->n & 31) x86_raw(x, "\x90", 1);
    top = x->code->n;
    for (int32_t k = 0; k < e->b.n_op; k++)
        if (!e->b.step[k].dead) write_op(e, k);
    e->now = NULL;
    rescue_carries(e);
    carry_in_memory(e);
    carry_in_registers(e);
    step_on(e);
    x86_address(x, RAX, x86_at(RBX, e->lanes - 1));
    x86_compare(x, e->lanes == 1 ? RBX : RAX, slot_at(e, 0));
    x86_land(x, x86_jump(x, 0xc), top);
    for (int32_t j = 0; j < l->n_carry; j++)
        if (e->carry_register[j] >= 0) move_out(e, x86_at(R13, 8 * j), e->carry_register[j]);
    x86_land(x, none, x->code->n);
    x86_raw(x, "\xc5\xf8\x77", 3);                      /* vzeroupper */
    if (remainder >= 0) {
        x86_load(x, RDI, x86_reg(RBX));
        x86_load(x, RSI, slot_at(e, 0));
        x86_load(x, RDX, x86_reg(R12));
        x86_load(x, RCX, x86_reg(R13));
    }
    restore(e);
    if (remainder >= 0) x86_land(x, x86_jump(x, -1), remainder);
    else x86_raw(x, "\xc3", 1);
    if (x->failed) return FT_CODE_NO_MEMORY;
    int64_t size = ((int64_t)e->n_slot * e->width + 64 + TOUCHED - 1) / TOUCHED * TOUCHED;
    memcpy(x->code->bytes + frame, &size, 8);
    return size > MOST_FRAME || e->stuck ? FT_NO_CODE : start;
}

static int can_be_vector(const body *b) {
    const ft_loop *l = b->loop;
    if (l->n_carry || b->n_call) return 0;
    for (int32_t k = 0; k < b->n_op; k++) {
        const step *s = b->step + k;
        if (s->dead || (s->op != FT_L_LOAD && s->op != FT_L_STORE)) continue;
        int32_t at = b->value[b->first + k].stream;
        if (l->stride[at] != (l->stream_f32[at] ? 4 : 8) && (l->stride[at] != 0 || s->op == FT_L_STORE)) return 0;
    }
    return 1;
}

static int64_t emit_one(ft_code *code, const ft_vm *vm, const ft_loop *l, int lanes, int64_t remainder) {
    emitter e;
    memset(&e, 0, sizeof e);
    e.x.code = code;
    e.x.evex = lanes == 8;
    e.vm = vm;
    e.lanes = lanes;
    e.width = 8 * lanes;
    e.length = lanes == 1 ? 0 : lanes == 4 ? 1 : 2;
    e.n_register = e.x.evex ? 32 : 16;
    e.free = e.x.evex ? ~0u : 0xffffu;
    for (int r = 0; r < 32; r++) e.holder[r] = NOBODY;
    void *values = prepare(&e.b, l);
    if (!values) return FT_CODE_NO_MEMORY;
    if (lanes > 1 && !can_be_vector(&e.b)) {
        ft_code_release(values);
        return FT_NO_CODE;
    }
    size_t streams = (size_t)l->n_stream * sizeof(stream_access), slots = ((size_t)e.b.n_value + 8) * sizeof(int32_t);
    char *places = ft_code_scratch((int64_t)(streams + slots + (size_t)l->n_carry));
    if (!places) {
        ft_code_release(values);
        return FT_CODE_NO_MEMORY;
    }
    e.stream = (stream_access *)places;
    for (int32_t k = 0; k < l->n_stream; k++) e.stream[k] = (stream_access){-1, -1, 1, 0, 0};
    e.spare = (int32_t *)(places + streams);
    e.carry_register = (int8_t *)(places + streams + slots);
    int64_t start = write_function(&e, remainder);
    ft_code_release(places);
    ft_code_release(values);
    return start;
}

int ft_loop_native(int op) {
    return is_native(op) || op == OP_positive || op == OP_square || op == OP_reciprocal || op == OP_fabs ||
           op == OP_sqrt0 || op == OP_stop_gradient;
}

int64_t ft_emit(ft_code *code, const ft_vm *vm, const ft_loop *l, int lanes) {
    if (!ft_loop_lanes() || (lanes != 1 && lanes != ft_loop_lanes() && lanes != 4)) return FT_NO_CODE;
    int64_t before = code->n, start = emit_one(code, vm, l, 1, -1);
    if (lanes > 1 && start >= 0) start = emit_one(code, vm, l, lanes, start);
    if (start < 0) code->n = before;
    return start;
}
#endif
