/* How x86-64 instructions are spelled in bytes: VEX, EVEX and the few integer ones a loop needs.
 * Knows registers and memory operands, no op and no loop. Source: Intel SDM volume 2. */
#ifndef FT_LOOP_X86_H
#define FT_LOOP_X86_H
#include <string.h>

#include "code.h"

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15, RIP = 64 };
enum { PP_NONE, PP_66, PP_F3, PP_F2 };
enum { MAP_0F = 1, MAP_0F38, MAP_0F3A };
enum { LESS_THAN = 0x11, LESS_EQUAL = 0x12, GREATER_THAN = 0x1e, GREATER_EQUAL = 0x1d, EQUAL = 0, NOT_EQUAL = 4,
       UNORDERED = 3 };         /* predicates of a comparison, none of which raises on a quiet nan */

typedef struct {                /* the operand that may be memory */
    int reg;                    /* -1: memory at base + index * scale + disp */
    int base, index, scale;     /* base RIP: disp is a place in the code; index -1: none */
    int32_t disp;
} x86_rm;

typedef struct {
    ft_code *code;
    int failed;                 /* there was no memory for the bytes; they are written over each other */
    int evex;                   /* encode for 32 registers */
    int mask, zeroing;          /* of the next EVEX instruction */
} x86_out;

static inline x86_rm x86_reg(int reg) { return (x86_rm){reg, 0, -1, 1, 0}; }
static inline x86_rm x86_at(int base, int32_t disp) { return (x86_rm){-1, base, -1, 1, disp}; }

/* Before an instruction: room for the longest. */
static inline void x86_begin(x86_out *x) {
    if (x->code->n + 32 <= x->code->cap) return;
    if (ft_code_room(x->code, 64) != 0) {
        x->failed = 1;
        x->code->n -= x->code->n < 64 ? x->code->n : 64;
    }
}

static inline void x86_byte(x86_out *x, int byte) { x->code->bytes[x->code->n++] = (uint8_t)byte; }

static inline void x86_int(x86_out *x, int64_t value, int size) {
    memcpy(x->code->bytes + x->code->n, &value, (size_t)size);     /* little-endian, as the processor is */
    x->code->n += size;
}

/* The operand bytes. `tail` is how many bytes follow them, `unit` what an 8-bit displacement counts. */
static void x86_operands(x86_out *x, int reg, x86_rm m, int tail, int unit) {
    reg = (reg & 7) << 3;
    if (m.reg >= 0) {
        x86_byte(x, 0xc0 | reg | (m.reg & 7));
        return;
    }
    if (m.base == RIP) {
        x86_byte(x, reg | 5);
        x86_int(x, m.disp - (x->code->n + 4 + tail), 4);
        return;
    }
    int small = m.disp % unit == 0 && m.disp / unit >= -128 && m.disp / unit <= 127;
    int mod = m.disp == 0 && (m.base & 7) != RBP ? 0 : small ? 1 : 2;
    if (m.index >= 0 || (m.base & 7) == RSP) {
        int scale = m.scale == 8 ? 3 : m.scale == 4 ? 2 : m.scale == 2 ? 1 : 0;
        x86_byte(x, mod << 6 | reg | 4);
        x86_byte(x, scale << 6 | ((m.index >= 0 ? m.index : RSP) & 7) << 3 | (m.base & 7));
    } else x86_byte(x, mod << 6 | reg | (m.base & 7));
    if (mod == 1) x86_byte(x, m.disp / unit);
    if (mod == 2) x86_int(x, m.disp, 4);
}

/* A vector or scalar floating-point instruction. length: 0 128 bits or scalar, 1 256 bits, 2 512 bits;
 * unit: bytes of its memory operand; tail: bytes that the caller appends. */
static void x86_simd(x86_out *x, int pp, int map, int wide, int length, int opcode, int reg, int first, x86_rm m,
                     int unit, int tail) {
    int memory = m.reg < 0;
    int b = memory ? (m.base == RIP ? 0 : m.base >> 3 & 1) : m.reg >> 3 & 1;
    int i = memory ? (m.index >= 0 ? m.index >> 3 & 1 : 0) : m.reg >> 4 & 1;
    int r = reg >> 3 & 1;
    x86_begin(x);
    if (x->evex) {
        x86_byte(x, 0x62);
        x86_byte(x, !r << 7 | !i << 6 | !b << 5 | !(reg >> 4 & 1) << 4 | map);
        x86_byte(x, wide << 7 | (~first & 15) << 3 | 4 | pp);
        x86_byte(x, x->zeroing << 7 | length << 5 | !(first >> 4 & 1) << 3 | x->mask);
        x->mask = x->zeroing = 0;
    } else {
        unit = 1;
        if (map == MAP_0F && !b && !i) {
            x86_byte(x, 0xc5);
            x86_byte(x, !r << 7 | (~first & 15) << 3 | length << 2 | pp);
        } else {
            x86_byte(x, 0xc4);
            x86_byte(x, !r << 7 | !i << 6 | !b << 5 | map);
            x86_byte(x, (~first & 15) << 3 | length << 2 | pp);
        }
    }
    x86_byte(x, opcode);
    x86_operands(x, reg, m, tail, unit);
}

/* A 64-bit integer instruction of one opcode byte. */
static void x86_word(x86_out *x, int opcode, int reg, x86_rm m, int tail) {
    int b = m.reg >= 0 ? m.reg >> 3 : m.base == RIP ? 0 : m.base >> 3;
    x86_begin(x);
    x86_byte(x, 0x48 | (reg >> 3) << 2 | (m.reg < 0 && m.index >= 0 ? m.index >> 3 : 0) << 1 | b);
    x86_byte(x, opcode);
    x86_operands(x, reg, m, tail, 1);
}

static inline void x86_load(x86_out *x, int reg, x86_rm m) { x86_word(x, 0x8b, reg, m, 0); }
static inline void x86_store(x86_out *x, x86_rm m, int reg) { x86_word(x, 0x89, reg, m, 0); }
static inline void x86_add(x86_out *x, int reg, x86_rm m) { x86_word(x, 0x03, reg, m, 0); }
static inline void x86_compare(x86_out *x, int reg, x86_rm m) { x86_word(x, 0x3b, reg, m, 0); }
static inline void x86_address(x86_out *x, int reg, x86_rm m) { x86_word(x, 0x8d, reg, m, 0); }

/* group 81: 0 add, 4 and, 5 sub */
static inline void x86_immediate(x86_out *x, int group, x86_rm m, int32_t value) {
    x86_word(x, 0x81, group, m, 4);
    x86_int(x, value, 4);
}

static inline void x86_constant(x86_out *x, int reg, int64_t value) {
    x86_begin(x);
    x86_byte(x, 0x48 | reg >> 3);
    x86_byte(x, 0xb8 | (reg & 7));
    x86_int(x, value, 8);
}

static inline void x86_multiply(x86_out *x, int reg, int by) {
    x86_begin(x);
    x86_byte(x, 0x48 | (reg >> 3) << 2 | by >> 3);
    x86_byte(x, 0x0f);
    x86_byte(x, 0xaf);
    x86_byte(x, 0xc0 | (reg & 7) << 3 | (by & 7));
}

static inline void x86_push(x86_out *x, int reg) {
    x86_begin(x);
    if (reg >= 8) x86_byte(x, 0x41);
    x86_byte(x, 0x50 | (reg & 7));
}

static inline void x86_pop(x86_out *x, int reg) {
    x86_begin(x);
    if (reg >= 8) x86_byte(x, 0x41);
    x86_byte(x, 0x58 | (reg & 7));
}

/* A jump whose target is not known yet: returns the place for x86_land. condition: 0xc less, 0xd not
 * less, 0xe not greater, -1 always. */
static inline int64_t x86_jump(x86_out *x, int condition) {
    x86_begin(x);
    if (condition < 0) x86_byte(x, 0xe9);
    else {
        x86_byte(x, 0x0f);
        x86_byte(x, 0x80 | condition);
    }
    x86_int(x, 0, 4);
    return x->code->n;
}

static inline void x86_land(x86_out *x, int64_t jump, int64_t target) {
    int32_t distance = (int32_t)(target - jump);
    if (!x->failed) memcpy(x->code->bytes + jump - 4, &distance, 4);
}

static inline void x86_call(x86_out *x, int64_t target) {
    x86_constant(x, RAX, target);
    x86_begin(x);
    x86_byte(x, 0xff);
    x86_byte(x, 0xd0);
}

static inline void x86_raw(x86_out *x, const char *bytes, int n) {
    x86_begin(x);
    for (int i = 0; i < n; i++) x86_byte(x, (uint8_t)bytes[i]);
}
#endif
