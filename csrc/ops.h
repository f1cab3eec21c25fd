/* THE op table. One row an elementwise op; everything else is generated from it by inclusion:
 * the opcode enum, the names, the arities, the kernels of the block loop, the cases of the scalar
 * loop, the partials that the sweeps append, and the tests.
 *
 *   VEC1(name,        partial,                  domain,            doc)   value is ft_name() of vmath.h
 *   MAP1(name, value, partial,                  domain,            doc)   value is C in a
 *   VEC2(name,        dy/da, dy/db,             domain a, b,       doc)
 *   MAP2(name, value, dy/da, dy/db,             domain a, b,       doc)   value is C in a, b
 *   MAP3(name, value, dy/da, dy/db, dy/dc,      domain a, b, c,    doc)   value is C in a, b, c
 *   TEST1, TEST2(name, value,                   domain,            doc)   a truth value, never active
 *
 * A partial column is what an operand contributes or receives, as an expression in the op vocabulary
 * itself: D is the seed (the operand's tangent in a pushforward, the result's cotangent in a
 * pullback), A B C the operands, Y the result. Every derivative here is diagonal, so one column
 * serves both sweeps. NONE means identically zero: such a result is inactive.
 *
 * The words, and what 0 does to them (an untaken branch must give 0, not inf * 0):
 *   MUL(x, y)  x*y, exactly 0 where x is 0        TIMES(x, y)  plain product
 *   DIV(x, y)  x/y, exactly 0 where x is 0        OVER(x, y)   plain quotient
 *   BOTH(x, y) x*y, exactly 0 where either is 0
 *   PICK(m, x, y)  x where m holds, else y
 *
 * A domain names the sample range of the generated tests (tests/table.py), inside which the op is
 * differentiable: REAL (-3, 3); POSITIVE; NONZERO; UNIT (-1, 1); ABOVE1; SHIFTED (-0.9, ..); WHOLE
 * (integers, held fixed); ORDER (0, 1, 2 .., held fixed); MASK (0 or 1, held fixed); OFF (a jump lies at integers, avoid them).
 */

/* ---- arithmetic */
MAP2(add,         a + b,          D, D,                          REAL, REAL,     "sum")
MAP2(subtract,    a - b,          D, NEG(D),                     REAL, REAL,     "difference")
MAP2(multiply,    a * b,          MUL(D, B), MUL(D, A),          REAL, REAL,     "product")
MAP2(divide,      a / b,          DIV(D, B), NEG(DIV(MUL(D, Y), B)), REAL, NONZERO, "quotient")
MAP2(remainder,   ft_remainder(a, b),    D, NEG(MUL(D, FLOOR(OVER(A, B)))), OFF, WHOLE, "a modulo b, with the sign of b")
MAP2(fmod,        fmod(a, b),     D, NEG(MUL(D, TRUNC(OVER(A, B)))), OFF, WHOLE, "a modulo b, with the sign of a")
MAP2(floor_divide, ft_floor_divide(a, b), NONE, NONE,            OFF, WHOLE,     "largest whole number not above a/b")
MAP1(negative,    -a,             NEG(D),                        REAL,           "minus a")
MAP1(positive,    a,              D,                             REAL,           "a itself; broadcasts a into the result's shape")
MAP1(absolute,    fabs(a),        MUL(SIGN(A), D),               NONZERO,        "absolute value; slope 0 at 0")
MAP1(fabs,        fabs(a),        MUL(SIGN(A), D),               NONZERO,        "absolute value; slope 0 at 0")
MAP1(sign,        a > 0 ? 1 : a < 0 ? -1 : a == 0 ? 0 : a, NONE, NONZERO,        "-1, 0 or 1")
MAP1(square,      a * a,          MUL(D, ADD(A, A)),             REAL,           "a squared")
MAP1(reciprocal,  1 / a,          NEG(MUL(D, MUL(Y, Y))),        NONZERO,        "1/a")
MAP1(sqrt,        sqrt(a),        DIV(D, ADD(Y, Y)),             POSITIVE,       "square root; slope inf at 0")
VEC1(cbrt,                        DIV(D, MUL(THREE, MUL(Y, Y))), NONZERO,        "cube root")
VEC2(power,       PICK(B, MUL(D, MUL(B, POW(A, SUB(B, ONE)))), ZERO), BOTH(D, MUL(Y, LOG(A))), POSITIVE, REAL, "a to the power b")
VEC2(hypot,       MUL(D, DIV(A, Y)), MUL(D, DIV(B, Y)),          NONZERO, NONZERO, "length of (a, b); slope 0 at the origin")

/* ---- exponentials and logarithms */
VEC1(exp,         MUL(D, Y),                                     REAL,           "e to the a")
VEC1(exp2,        MUL(D, MUL(LN2, Y)),                           REAL,           "2 to the a")
VEC1(expm1,       MUL(D, EXP(A)),                                REAL,           "e to the a, minus 1, precise near 0")
VEC1(log,         DIV(D, A),                                     POSITIVE,       "natural logarithm")
VEC1(log2,        DIV(D, MUL(LN2, A)),                           POSITIVE,       "logarithm to base 2")
VEC1(log10,       DIV(D, MUL(LN10, A)),                          POSITIVE,       "logarithm to base 10")
VEC1(log1p,       DIV(D, ADD(ONE, A)),                           SHIFTED,        "log(1 + a), precise near 0")
VEC2(logaddexp,   MUL(D, SIGMOID(SUB(A, B))), MUL(D, SIGMOID(SUB(B, A))), REAL, REAL, "log(exp a + exp b)")
VEC2(logaddexp2,  MUL(D, SIGMOID(MUL(LN2, SUB(A, B)))), MUL(D, SIGMOID(MUL(LN2, SUB(B, A)))), REAL, REAL, "log2(2**a + 2**b)")

/* ---- circular and hyperbolic functions, angles in radians */
VEC1(sin,         MUL(D, COS(A)),                                REAL,           "sine")
VEC1(cos,         NEG(MUL(D, SIN(A))),                           REAL,           "cosine")
VEC1(tan,         MUL(D, ADD(ONE, MUL(Y, Y))),                   UNIT,           "tangent")
VEC1(arcsin,      DIV(D, SQRT(MUL(SUB(ONE, A), ADD(ONE, A)))),   UNIT,           "angle whose sine is a")
VEC1(arccos,      NEG(DIV(D, SQRT(MUL(SUB(ONE, A), ADD(ONE, A))))), UNIT,        "angle whose cosine is a")
VEC1(arctan,      DIV(D, ADD(ONE, MUL(A, A))),                   REAL,           "angle whose tangent is a")
VEC2(arctan2,     MUL(D, OVER(OVER(B, HYPOT(A, B)), HYPOT(A, B))), NEG(MUL(D, OVER(OVER(A, HYPOT(A, B)), HYPOT(A, B)))), NONZERO, NONZERO, "angle of the point (b, a)")
VEC1(sinh,        MUL(D, COSH(A)),                               REAL,           "hyperbolic sine")
VEC1(cosh,        MUL(D, SINH(A)),                               REAL,           "hyperbolic cosine")
VEC1(tanh,        MUL(D, SUB(ONE, MUL(Y, Y))),                   REAL,           "hyperbolic tangent")
VEC1(arcsinh,     DIV(D, HYPOT(ONE, A)),                         REAL,           "inverse hyperbolic sine")
VEC1(arccosh,     DIV(D, MUL(SQRT(SUB(A, ONE)), SQRT(ADD(A, ONE)))), ABOVE1,     "inverse hyperbolic cosine")
VEC1(arctanh,     DIV(D, MUL(SUB(ONE, A), ADD(ONE, A))),         UNIT,           "inverse hyperbolic tangent")
VEC1(sinc,                        MUL(D, SINC_SLOPE(A, ONE)),            REAL,           "sin(pi a)/(pi a)")
MAP1(deg2rad,     a * FT_DEGREE,  MUL(D, DEGREE),                REAL,           "degrees to radians")
MAP1(rad2deg,     a * FT_RADIAN,  MUL(D, RADIAN),                REAL,           "radians to degrees")

/* ---- statistics and learning */
VEC1(erf,         MUL(D, MUL(ERF_SLOPE, EXP(NEG(MUL(A, A))))),   REAL,           "error function")
VEC1(erfc,        NEG(MUL(D, MUL(ERF_SLOPE, EXP(NEG(MUL(A, A)))))), REAL,        "1 - erf(a), precise in the tail")
VEC1(ndtr,        MUL(D, MUL(NORMAL_PEAK, EXP(MUL(HALF, NEG(MUL(A, A)))))), REAL, "normal cumulative distribution")
VEC1(sigmoid,     MUL(D, MUL(Y, SIGMOID(NEG(A)))),               REAL,           "1/(1 + exp(-a))")
VEC1(softplus,    MUL(D, SIGMOID(A)),                            REAL,           "log(1 + exp a)")

/* ---- selections; a tie is split evenly, a branch not taken contributes 0 */
MAP2(maximum,     (a >= b || a != a) ? a : b, MUL(SHARE(A, B), D), MUL(SHARE(B, A), D), REAL, REAL, "the larger; nan if either is")
MAP2(minimum,     (a <= b || a != a) ? a : b, MUL(SHARE(B, A), D), MUL(SHARE(A, B), D), REAL, REAL, "the smaller; nan if either is")
MAP2(fmax,        (a >= b || b != b) ? a : b, MUL(FSHARE(A, B), D), MUL(FSHARE(B, A), D), REAL, REAL, "the larger, ignoring nan")
MAP2(fmin,        (a <= b || b != b) ? a : b, MUL(FSHARE(NEG(A), NEG(B)), D), MUL(FSHARE(NEG(B), NEG(A)), D), REAL, REAL, "the smaller, ignoring nan")
MAP2(heaviside,   a != a ? a : a == 0 ? b : a < 0 ? 0 : 1, NONE, MUL(EQUAL(A, ZERO), D), NONZERO, REAL, "0 below 0, 1 above, b at 0")
MAP2(copysign,    copysign(a, b), MUL(MUL(SIGN(A), COPYSIGN(ONE, B)), D), NONE, NONZERO, NONZERO, "magnitude of a, sign of b")
MAP2(ldexp,       ldexp(a, ft_exponent(b)), LDEXP(D, B), NONE,   REAL, WHOLE,    "a times 2**b")
MAP3(where,       a != 0 ? b : c, NONE, PICK(A, D, ZERO), PICK(A, ZERO, D), MASK, REAL, REAL, "b where a holds, else c")
MAP3(clip,        a != a ? a : b != b ? b : c != c ? c : a < b ? (b > c ? c : b) : a > c ? c : a, PICK(WITHIN(A, B, C), D, ZERO), PICK(LESS(A, B), D, ZERO), PICK(GREATER(A, C), D, ZERO), REAL, LOW, HIGH, "a limited to b..c; slope 1 at a bound")

/* ---- steps: value without slope */
MAP1(floor,       floor(a),       NONE,                          OFF,            "largest whole number not above a")
MAP1(ceil,        ceil(a),        NONE,                          OFF,            "smallest whole number not below a")
MAP1(rint,        rint(a),        NONE,                          OFF,            "nearest whole number, halves to even")
MAP1(trunc,       trunc(a),       NONE,                          OFF,            "a without its fraction")
MAP1(stop_gradient, a,            NONE,                          REAL,           "a, taken as a constant")

/* ---- truth values */
TEST2(less,          a < b,                                      REAL, REAL,     "a < b")
TEST2(less_equal,    a <= b,                                     REAL, REAL,     "a <= b")
TEST2(greater,       a > b,                                      REAL, REAL,     "a > b")
TEST2(greater_equal, a >= b,                                     REAL, REAL,     "a >= b")
TEST2(equal,         a == b,                                     REAL, REAL,     "a == b")
TEST2(not_equal,     a != b,                                     REAL, REAL,     "a != b")
TEST2(logical_and,   (a != 0) & (b != 0),                        REAL, REAL,     "both")
TEST2(logical_or,    (a != 0) | (b != 0),                        REAL, REAL,     "either")
TEST2(logical_xor,   (a != 0) ^ (b != 0),                        REAL, REAL,     "one but not both")
TEST1(logical_not,   a == 0,                                     REAL,           "not a")
TEST1(isnan,         a != a,                                     REAL,           "a is not a number")
TEST1(isfinite,      fabs(a) <= FT_LARGEST,                      REAL,           "a is neither inf nor nan")
TEST1(isinf,         fabs(a) > FT_LARGEST,                       REAL,           "a is inf or -inf")
TEST1(signbit,       copysign(1.0, a) < 0,                       REAL,           "the sign bit of a is set")

/* ---- words of the partials that are not NumPy's */
MAP2(scale,       a == 0 ? 0 : a * b, MUL(D, B), BOTH(D, A),     REAL, REAL,     "a*b, exactly 0 where a is 0")
MAP2(ratio,       a == 0 ? 0 : a / b, DIV(D, B), NEG(DIV(BOTH(D, Y), B)), REAL, NONZERO, "a/b, exactly 0 where a is 0")
MAP3(add_scaled,  c + (a == 0 ? 0 : a * b), MUL(D, B), BOTH(D, A), D, REAL, REAL, REAL, "c plus scale(a, b), rounded twice")
MAP2(scale_both,  ((a == 0) | (b == 0)) ? 0 : a * b, BOTH(D, B), BOTH(D, A), REAL, REAL, "a*b, exactly 0 where a or b is 0")
MAP2(share,       a > b ? 1 : a == b ? 0.5 : a < b ? 0 : a + b, NONE, NONE, REAL, REAL, "1 where a wins, 1/2 where a ties with b")
MAP2(fshare,      (b != b || a > b) ? 1 : a == b ? 0.5 : 0, NONE, NONE, REAL, REAL, "share, a nan always loses")
MAP2(sinc_slope,  ft_sinc_slope(a, b), MUL(D, SINC_SLOPE(A, ADD(B, ONE))), NONE, REAL, ORDER, "derivative of order b of sinc at a")
MAP1(sqrt0,       sqrt(a),        PICK(Y, DIV(D, ADD(Y, Y)), ZERO), POSITIVE,    "square root with slope 0 at 0: norm and std")
MAP3(within,      (a >= b) & (a <= c), NONE, NONE, NONE,         REAL, LOW, HIGH, "b <= a <= c")

#undef VEC1
#undef MAP1
#undef VEC2
#undef MAP2
#undef MAP3
#undef TEST1
#undef TEST2
