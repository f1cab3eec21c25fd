"""csrc/vmath.h against mpmath: error in ulp, special values, and the same bits however a value is reached."""
import math

import numpy as np
import pytest

from fasttape._core import vm

mpmath = pytest.importorskip("mpmath")
mp = mpmath.mp.clone()
mp.dps = 40

LARGEST, LEAST_NORMAL, LEAST = 2.0**1023 * (2 - 2.0**-52), 2.0**-1022, 2.0**-1074
SPECIAL = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, 0.5, -0.5, 2.0, -2.0, 3.0, -3.0, LARGEST, -LARGEST,
                    LEAST_NORMAL, -LEAST_NORMAL, LEAST, -LEAST, 1e10, -1e10, 710.0, -746.0])


def uniform(low, high):
    return lambda rng, n: rng.uniform(low, high, n)


def magnitudes(low, high, signed=True):
    """Powers of two at random exponents between those of low and high, times [1, 2)."""
    a, b = np.log2(low), np.log2(high)

    def draw(rng, n):
        x = np.exp2(rng.uniform(a + 1, b - 1, n)) * rng.uniform(1, 2, n)
        return np.where(rng.random(n) < 0.5, -x, x) if signed else x
    return draw


def beside(*points):
    """The doubles next to each point, and those a few thousand steps away."""
    def draw(rng, n):
        x = rng.choice(np.array(points, float), n)
        return x + np.spacing(x) * np.round(rng.normal(0, 1, n) * 10.0 ** rng.integers(0, 4, n))
    return draw


def near_multiples_of_half_pi(rng, n):
    return np.round(rng.uniform(1, 2.0 ** rng.integers(1, 21, n))) * (np.pi / 2)


def pairs(first, second):
    return lambda rng, n: (first(rng, n), second(rng, n))


def cbrt(x):
    return mp.sign(x) * mp.cbrt(abs(x))


def logaddexp(a, b):
    return mp.log(mp.exp(a) + mp.exp(b))


def logaddexp2(a, b):
    return mp.log(mp.mpf(2)**a + mp.mpf(2)**b) / mp.ln2


TINY = magnitudes(LEAST, 1e-3)
TRIGONOMETRIC = [uniform(-1, 1), uniform(-10, 10), uniform(-2.0**20, 2.0**20), near_multiples_of_half_pi, TINY,
                 magnitudes(1, 1e300)]
LOGARITHMIC = [uniform(0.5, 2), uniform(0.65, 0.75), uniform(1.3, 1.5), beside(1), magnitudes(LEAST, LARGEST, False),
               magnitudes(LEAST, LEAST_NORMAL, False)]

# name: (the function in mpmath, where to try it)
CASES = {
    "exp": (mp.exp, [uniform(-1, 1), uniform(-50, 50), uniform(-746, -708), uniform(700, 710), TINY]),
    "exp2": (lambda x: mp.mpf(2)**x, [uniform(-1, 1), uniform(-50, 50), uniform(-1076, -1020), uniform(1000, 1024),
                                      TINY]),
    "expm1": (mp.expm1, [uniform(-1, 1), uniform(-50, 50), uniform(0.2, 1.5), uniform(-1.5, -0.2), uniform(700, 710),
                         TINY]),
    "log": (mp.log, LOGARITHMIC),
    "log2": (lambda x: mp.log(x) / mp.ln2, LOGARITHMIC),
    "log10": (lambda x: mp.log(x) / mp.ln10, LOGARITHMIC),
    "log1p": (mp.log1p, [uniform(-0.999, 1), uniform(0.3, 0.5), uniform(-0.35, -0.25), uniform(-1, -0.999),
                         magnitudes(1, LARGEST, False), TINY]),
    "sin": (mp.sin, TRIGONOMETRIC),
    "cos": (mp.cos, TRIGONOMETRIC),
    "tan": (mp.tan, TRIGONOMETRIC),
    "arcsin": (mp.asin, [uniform(-1, 1), uniform(0.45, 0.6), uniform(0.8, 0.9), TINY]),
    "arccos": (mp.acos, [uniform(-1, 1), uniform(0.45, 0.6), uniform(0.999, 1), TINY]),
    "arctan": (mp.atan, [uniform(-1, 1), uniform(0.4, 0.5), beside(1), magnitudes(1, LARGEST), TINY]),
    "sinh": (mp.sinh, [uniform(-1, 1), uniform(0.3, 1.5), uniform(-50, 50), uniform(700, 710.5), TINY]),
    "cosh": (mp.cosh, [uniform(-1, 1), uniform(0.3, 1.5), uniform(-50, 50), uniform(700, 710.5), TINY]),
    "tanh": (mp.tanh, [uniform(-1, 1), uniform(0.2, 0.6), uniform(-25, 25), TINY]),
    "arcsinh": (mp.asinh, [uniform(-1, 1), uniform(0.2, 0.6), magnitudes(1, LARGEST), TINY]),
    "arccosh": (mp.acosh, [uniform(1, 2), uniform(1, 1.01), beside(1.0001), magnitudes(1, LARGEST, False)]),
    "arctanh": (mp.atanh, [uniform(-1, 1), uniform(0.1, 0.4), uniform(0.99, 1), TINY]),
    "cbrt": (cbrt, [uniform(-8, 8), magnitudes(LEAST, LARGEST), magnitudes(LEAST, LEAST_NORMAL)]),
    "erf": (mp.erf, [uniform(-1, 1), uniform(0.7, 1.2), uniform(-6, 6), TINY]),
    "erfc": (mp.erfc, [uniform(-1, 1), uniform(0.4, 3), uniform(-6, 6), uniform(5, 27.2), TINY]),
    "ndtr": (mp.ncdf, [uniform(-1, 1), uniform(-3, -0.5), uniform(-9, 9), uniform(-38.4, -5), TINY]),
    "sigmoid": (lambda x: 1 / (1 + mp.exp(-x)), [uniform(-1, 1), uniform(-50, 50), uniform(-745, 0), TINY]),
    "softplus": (lambda x: mp.log1p(mp.exp(x)), [uniform(-1, 1), uniform(-50, 50), uniform(-745, 0), TINY]),
    "sinc": (lambda x: mp.sinpi(x) / (mp.pi * x), [uniform(-1, 1), uniform(-10, 10), beside(1, 2, 3), TINY]),
    "power": (mp.power, [pairs(uniform(0.1, 10), uniform(-5, 5)), pairs(uniform(0.5, 2), uniform(-700, 700)),
                         pairs(uniform(1.3, 1.5), uniform(-1500, 1500)), pairs(beside(1), uniform(-1e13, 1e13)),
                         pairs(magnitudes(1e-300, 1e300, False), uniform(-1, 1))]),
    "arctan2": (mp.atan2, [pairs(uniform(-1, 1), uniform(-1, 1)), pairs(beside(1, -1), beside(1, -1)),
                           pairs(magnitudes(1e-100, 1e100), magnitudes(1e-100, 1e100))]),
    "hypot": (mp.hypot, [pairs(uniform(-1, 1), uniform(-1, 1)), pairs(magnitudes(1e-9, 1e9), magnitudes(1e-9, 1e9)),
                         pairs(magnitudes(LEAST, 1e-150), magnitudes(LEAST, 1e-150)),
                         pairs(magnitudes(1e150, 1e307), magnitudes(1e150, 1e307))]),
    "logaddexp": (logaddexp, [pairs(uniform(0, 2), uniform(0, 2)), pairs(uniform(0, 50), uniform(-50, 50))]),
    "logaddexp2": (logaddexp2, [pairs(uniform(0, 2), uniform(0, 2)), pairs(uniform(0, 50), uniform(-50, 50))]),
}
NAMES = list(CASES)
BINARY = ("power", "arctan2", "hypot", "logaddexp", "logaddexp2")
EACH = 300                                     # points per place
COMMON = {"arccosh": uniform(1, 4), "arcsin": uniform(-1, 1), "arccos": uniform(-1, 1), "arctanh": uniform(-0.99, 0.99),
          "log": uniform(0.1, 9), "log2": uniform(0.1, 9), "log10": uniform(0.1, 9), "log1p": uniform(-0.9, 9)}


@pytest.fixture(params=vm.available())
def isa(request):
    before = vm.isa()
    vm.use(request.param)
    yield request.param
    vm.use(before)


_expected = {}


def expected(name):
    """Arguments for `name`, and mpmath's values at them; computed once for all instruction sets."""
    if name not in _expected:
        rng = np.random.default_rng(len(name) + sum(map(ord, name)))
        function, places = CASES[name]
        if name in BINARY:
            drawn = [draw(rng, EACH) for draw in places]
            arguments = [np.concatenate(side) for side in zip(*drawn)]
        else:
            arguments = [np.concatenate([draw(rng, EACH) for draw in places])]
        values = [function(*map(mp.mpf, map(float, xs))) for xs in zip(*arguments)]
        _expected[name] = arguments, values
    return _expected[name]


def error_in_ulp(y, exact):
    nearest = float(exact)
    if np.isinf(nearest):
        return 0.0 if y == nearest or abs(y) == LARGEST and y * nearest > 0 else np.inf
    return float(abs(mp.mpf(float(y)) - exact) / mp.mpf(float(np.spacing(abs(nearest))))) if np.isfinite(y) else np.inf


def bits(y):
    """The bits of y, with one NaN for all."""
    return np.where(np.isnan(y), np.nan, y).view(np.uint64)


def common_arguments(name, n):
    rng = np.random.default_rng(n)
    if name == "power":
        return rng.uniform(0.1, 9, n), rng.uniform(-3, 3, n)
    draw = COMMON.get(name, uniform(-4, 4))
    return [draw(rng, n) for _ in range(1 + (name in BINARY))]


@pytest.mark.parametrize("name", NAMES)
def test_within_two_ulp_of_mpmath(name, isa):
    arguments, values = expected(name)
    errors = [error_in_ulp(y, exact) for y, exact in zip(vm.evaluate(name, *arguments), values)]
    worst = int(np.argmax(errors))
    assert errors[worst] <= 2, f"{errors[worst]} ulp at {[float(x[worst]).hex() for x in arguments]}"


def kind(y):
    """What a special value is told by: NaN, or an infinity, a zero or neither with its sign."""
    return "nan" if np.isnan(y) else (bool(np.signbit(y)), "inf" if np.isinf(y) else "0" if y == 0 else "finite")


def numpy_or_limit(name):
    """NumPy's function, or for what NumPy lacks the obvious formula."""
    special = {
        "erf": np.vectorize(math.erf),
        "erfc": np.vectorize(math.erfc),
        "ndtr": np.vectorize(lambda x: math.erfc(-x / math.sqrt(2)) / 2),
        "sigmoid": lambda x: np.where(x < 0, np.exp(x), 1) / (1 + np.exp(-np.abs(x))),
        "softplus": lambda x: np.where(x > 0, x, 0) + np.log1p(np.exp(-np.abs(x))),
    }
    return special.get(name) or getattr(np, name)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "sinc"])      # NumPy's is not 0 at integers
def test_special_values_are_numpys(name, isa):
    if name in BINARY:
        arguments = [x.ravel() for x in np.meshgrid(SPECIAL, SPECIAL)]
    else:
        arguments = [SPECIAL]
    with np.errstate(all="ignore"):
        want = numpy_or_limit(name)(*arguments)
    common = common_arguments(name, 11)
    for i, value in enumerate(want):
        xs = [float(x[i]) for x in arguments]
        alone = vm.evaluate(name, *[np.full(9, x) for x in xs])
        among = vm.evaluate(name, *[np.insert(c, 5, x) for c, x in zip(common, xs)])[5]
        assert kind(alone[0]) == kind(value), f"{name}{tuple(xs)} is {alone[0]}, in NumPy {value}"
        assert (bits(alone) == bits(np.full(9, among))).all()


@pytest.mark.parametrize("name", NAMES)
def test_bits_do_not_depend_on_the_neighbours(name, isa):
    arguments = common_arguments(name, 1500)
    whole = bits(vm.evaluate(name, *arguments))
    for n in range(1, 41):
        assert (bits(vm.evaluate(name, *[x[:n] for x in arguments])) == whole[:n]).all()
        assert (bits(vm.evaluate(name, *[x[n:2 * n] for x in arguments])) == whole[n:2 * n]).all()
    for rare in (np.nan, np.inf, 1e300, LEAST, -0.0):      # what may send a block to the complete function
        mixed = [np.insert(x, 3, rare) for x in arguments]
        assert (np.delete(bits(vm.evaluate(name, *mixed)), 3) == whole).all()


@pytest.mark.parametrize("name, sign", [(name, -1) for name in "sin tan arcsin arctan sinh tanh arcsinh arctanh cbrt erf"
                                        .split()] + [("cos", 1), ("cosh", 1)])
def test_odd_and_even(name, sign, isa):
    x = np.abs(common_arguments(name, 300)[0])
    assert (bits(vm.evaluate(name, -x)) == bits(sign * vm.evaluate(name, x))).all()


def test_hypot_is_symmetric(isa):
    a, b = common_arguments("hypot", 300)
    assert (vm.evaluate("hypot", a, b) == vm.evaluate("hypot", b, -a)).all()


def test_results_that_are_doubles_are_exact(isa):
    k = np.arange(-1074.0, 1024)
    assert (vm.evaluate("exp2", k) == np.ldexp(1.0, k.astype(int))).all()
    assert (vm.evaluate("log2", np.ldexp(1.0, k.astype(int))) == k).all()
    a, b = map(np.ravel, np.meshgrid(np.arange(1.0, 33), np.arange(0.0, 10)))
    assert (vm.evaluate("power", a, b) == [float(int(x)**int(y)) for x, y in zip(a, b)]).all()
    assert (vm.evaluate("power", -a, b) == [float((-int(x))**int(y)) for x, y in zip(a, b)]).all()
    assert (vm.evaluate("power", a * a, np.full(a.size, 0.5)) == a).all()
    assert (vm.evaluate("cbrt", a**3) == a).all()
    for name, x, y in [("exp", 0, 1), ("expm1", 0, 0), ("log", 1, 0), ("log10", 1, 0), ("cos", 0, 1), ("cosh", 0, 1),
                       ("arccos", 1, 0), ("erfc", 0, 1), ("ndtr", 0, 0.5), ("sigmoid", 0, 0.5)]:
        assert vm.evaluate(name, np.array([float(x)]))[0] == y


def test_logaddexp_errs_by_at_most_two_ulp_of_the_larger_where_terms_cancel(isa):
    rng = np.random.default_rng(1)
    a, b = rng.uniform(-2, 0, (2, 500))
    for name, function in (("logaddexp", logaddexp), ("logaddexp2", logaddexp2)):
        for x, y, z in zip(a, b, vm.evaluate(name, a, b)):
            exact = function(mp.mpf(float(x)), mp.mpf(float(y)))
            assert abs(float(mp.mpf(float(z)) - exact)) <= 2 * np.spacing(max(abs(x), abs(y), abs(z)))
