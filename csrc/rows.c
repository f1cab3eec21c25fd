/* The op table as data: names, arities, and the partial columns as postfix programs that a sweep
 * interprets. A byte is an opcode, an operand (FT_W_A ...) or a constant (FT_W_CONSTANT + k). */
#include "vm.h"

#define CONSTANTS(X) \
    X(ZERO, 0.0) X(ONE, 1.0) X(THREE, 3.0) X(HALF, 0.5) \
    X(LN2, 0.693147180559945309417) X(LN10, 2.30258509299404568402) \
    X(DEGREE, 0.0174532925199432957692) X(RADIAN, 57.2957795130823208768) \
    X(ERF_SLOPE, 1.12837916709551257390) /* 2/sqrt(pi) */ \
    X(NORMAL_PEAK, 0.398942280401432677940) /* 1/sqrt(2 pi) */

enum {
#define X(name, value) K_##name,
    CONSTANTS(X)
#undef X
};
const double ft_constants[] = {
#define X(name, value) value,
    CONSTANTS(X)
#undef X
};

/* The words. Each expands to a comma-separated run of bytes. */
#define D FT_W_D
#define A FT_W_A
#define B FT_W_B
#define C FT_W_C
#define Y FT_W_Y
#define ZERO (FT_W_CONSTANT + K_ZERO)
#define ONE (FT_W_CONSTANT + K_ONE)
#define THREE (FT_W_CONSTANT + K_THREE)
#define HALF (FT_W_CONSTANT + K_HALF)
#define LN2 (FT_W_CONSTANT + K_LN2)
#define LN10 (FT_W_CONSTANT + K_LN10)
#define DEGREE (FT_W_CONSTANT + K_DEGREE)
#define RADIAN (FT_W_CONSTANT + K_RADIAN)
#define ERF_SLOPE (FT_W_CONSTANT + K_ERF_SLOPE)
#define NORMAL_PEAK (FT_W_CONSTANT + K_NORMAL_PEAK)
#define MUL(x, y) x, y, OP_scale
#define DIV(x, y) x, y, OP_ratio
#define BOTH(x, y) x, y, OP_scale_both
#define TIMES(x, y) x, y, OP_multiply
#define OVER(x, y) x, y, OP_divide
#define ADD(x, y) x, y, OP_add
#define SUB(x, y) x, y, OP_subtract
#define NEG(x) x, OP_negative
#define PICK(m, x, y) m, x, y, OP_where
#define SHARE(x, y) x, y, OP_share
#define FSHARE(x, y) x, y, OP_fshare
#define WITHIN(x, y, z) x, y, z, OP_within
#define LESS(x, y) x, y, OP_less
#define GREATER(x, y) x, y, OP_greater
#define EQUAL(x, y) x, y, OP_equal
#define COPYSIGN(x, y) x, y, OP_copysign
#define LDEXP(x, y) x, y, OP_ldexp
#define HYPOT(x, y) x, y, OP_hypot
#define POW(x, y) x, y, OP_power
#define SIGN(x) x, OP_sign
#define FLOOR(x) x, OP_floor
#define TRUNC(x) x, OP_trunc
#define SQRT(x) x, OP_sqrt
#define EXP(x) x, OP_exp
#define LOG(x) x, OP_log
#define SIN(x) x, OP_sin
#define COS(x) x, OP_cos
#define SINH(x) x, OP_sinh
#define COSH(x) x, OP_cosh
#define SIGMOID(x) x, OP_sigmoid
#define SINC_SLOPE(x, n) x, n, OP_sinc_slope
#define NONE FT_W_END

#define VEC1(name, da, pa, doc) static const uint8_t name##_da[] = {da, FT_W_END};
#define MAP1(name, value, da, pa, doc) static const uint8_t name##_da[] = {da, FT_W_END};
#define VEC2(name, da, db, pa, pb, doc) \
    static const uint8_t name##_da[] = {da, FT_W_END}; \
    static const uint8_t name##_db[] = {db, FT_W_END};
#define MAP2(name, value, da, db, pa, pb, doc) \
    static const uint8_t name##_da[] = {da, FT_W_END}; \
    static const uint8_t name##_db[] = {db, FT_W_END};
#define MAP3(name, value, da, db, dc, pa, pb, pc, doc) \
    static const uint8_t name##_da[] = {da, FT_W_END}; \
    static const uint8_t name##_db[] = {db, FT_W_END}; \
    static const uint8_t name##_dc[] = {dc, FT_W_END};
#define TEST1(name, value, pa, doc)
#define TEST2(name, value, pa, pb, doc)
#include "ops.h"

static const uint8_t none[] = {FT_W_END};

const ft_row ft_rows[FT_N_MAP] = {
#define VEC1(name, da, pa, doc) {#name, doc, {#pa}, 1, 0, {name##_da}},
#define MAP1(name, value, da, pa, doc) {#name, doc, {#pa}, 1, 0, {name##_da}},
#define VEC2(name, da, db, pa, pb, doc) {#name, doc, {#pa, #pb}, 2, 0, {name##_da, name##_db}},
#define MAP2(name, value, da, db, pa, pb, doc) {#name, doc, {#pa, #pb}, 2, 0, {name##_da, name##_db}},
#define MAP3(name, value, da, db, dc, pa, pb, pc, doc) \
    {#name, doc, {#pa, #pb, #pc}, 3, 0, {name##_da, name##_db, name##_dc}},
#define TEST1(name, value, pa, doc) {#name, doc, {#pa}, 1, 1, {none}},
#define TEST2(name, value, pa, pb, doc) {#name, doc, {#pa, #pb}, 2, 1, {none, none}},
#include "ops.h"
};

const char *const ft_op_names[FT_N_OPS] = {
#define VEC1(name, ...) #name,
#define MAP1(name, ...) #name,
#define VEC2(name, ...) #name,
#define MAP2(name, ...) #name,
#define MAP3(name, ...) #name,
#define TEST1(name, ...) #name,
#define TEST2(name, ...) #name,
#include "ops.h"
#define X(name) #name,
    FT_STRUCTURAL(X)
#undef X
};
