"""Every row of csrc/ops.h, every operand: value, first and second derivative, shapes, layouts, bits."""
import numpy as np
import pytest
from table import (
    DOMAINS,
    HELD,
    OPERANDS,
    PAIRS,
    ROWS,
    WITHOUT_NUMPY,
    close,
    direction,
    function,
    in_numpy,
    layouts,
    of_operand,
    reference,
    sample,
    slope,
)

import fasttape as ft
from fasttape._core import vm

NAMES = list(ROWS)
DIFFERENTIABLE = [name for name in NAMES if any(ROWS[name].active)]
SHAPES = {1: [[(0,)], [(2, 0, 3)], [(1,)], [(2, 3)], [(1, 2, 1)]],
          2: [[(3, 1), (4,)], [(), (4,)], [(4,), ()], [(2, 3), (3,)], [(1,), (2, 3)], [(0, 1), (4,)], [(), (0,)], [(1, 1), ()]],
          3: [[(3, 1), (4,), ()], [(), (3, 1), (4,)], [(4,), (), (2, 1)], [(2, 3), (3,), (1, 1)], [(0,), (), (1,)]]}


def values(name, *operands):
    """The op's value, traced, all operands being inputs."""
    return ft.vjp(real(name), *operands)[0]


def real(name):
    """The op, its truth values as numbers."""
    f = function(name)
    return (lambda *x: f(*x) * 1.0) if ROWS[name].truth else f


def total(name):
    """The sum of the op's values with weights: a scalar function of its operands."""
    f = function(name)
    return lambda *x: np.sum(f(*x) * direction(np.empty(np.broadcast_shapes(*map(np.shape, x))), 1))


def gradients(name, *operands):
    return ft.grad(total(name), tuple(range(len(operands))))(*operands)


def assert_same_bits(found, wanted, what=""):
    found, wanted = np.asarray(found), np.asarray(wanted)
    assert found.dtype == wanted.dtype and found.shape == wanted.shape, what
    whole = {4: np.uint32, 8: np.uint64, 1: np.uint8}[found.itemsize]
    np.testing.assert_array_equal(np.ascontiguousarray(found).view(whole), np.ascontiguousarray(wanted).view(whole), what)


# ---- coverage: a row cannot escape

def test_every_row_has_a_case():
    assert len(ROWS) == len(vm.table()), "two rows of one name"
    assert {d for row in ROWS.values() for d in row.domains} == set(DOMAINS)
    assert {name for name in NAMES if not in_numpy(name)} == set(WITHOUT_NUMPY)
    assert all(len(row.domains) == len(row.active) == row.arity and row.doc for row in ROWS.values())
    assert vm.names()[:len(NAMES)] == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_samples_are_where_they_should_be(name):
    operands = sample(name, (500,))
    assert np.all(np.isfinite(reference(name)(*operands)))
    for k, x in enumerate(operands):
        for other in operands[:k]:
            assert "MASK" in ROWS[name].domains or np.abs(x - other).min() > 4e-3


# ---- numbers

@pytest.mark.parametrize("name", NAMES)
def test_value(name):
    operands = sample(name, (600,))
    np.testing.assert_allclose(values(name, *operands), reference(name)(*operands) * 1.0, rtol=2e-14, atol=1e-15)


@pytest.mark.parametrize("name, k", OPERANDS)
def test_first_derivative(name, k):
    operands = sample(name, (40,))
    f, v = of_operand(reference(name), operands, k), direction(operands[k])
    if ROWS[name].active[k]:
        wanted = slope(f, operands[k], v)
    else:
        wanted = np.zeros(40)
        if name != "stop_gradient" and ROWS[name].domains[k] not in HELD:
            np.testing.assert_array_equal(f(operands[k] + 1e-3), f(operands[k]))     # flat indeed
    w = direction(operands[k], 1)
    found = ft.grad(of_operand(total(name), operands, k))(operands[k])
    for i in range(40):             # each element on its own: the op is diagonal
        assert found[i] * v[i] == pytest.approx(w[i] * wanted[i], rel=1e-7, abs=1e-9), operands[k][i]
    tangent = ft.jvp(of_operand(real(name), operands, k), operands[k], v)[1]
    assert tangent.dtype == np.float64
    np.testing.assert_allclose(tangent, wanted, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("name, k, m", PAIRS)
def test_second_derivative(name, k, m):
    operands = sample(name, (12,))
    ones = np.ones(12)
    gradient = of_operand(ft.grad(total(name), k), operands, m)
    wanted = slope(gradient, operands[m], ones)
    np.testing.assert_allclose(ft.jvp(gradient, operands[m], ones)[1], wanted, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(ft.grad(lambda x: np.sum(gradient(x)))(operands[m]), wanted, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_forward_is_the_transpose_of_reverse(name):
    operands = sample(name, (50,))
    active = tuple(k for k, on in enumerate(ROWS[name].active) if on)
    v = tuple(direction(operands[k], k) for k in active)
    value, tangent = ft.jvp(function(name), tuple(operands), v, argnum=active)
    same, pull = ft.vjp(function(name), *operands, argnum=active)
    assert_same_bits(value, same)
    w = direction(value, 9)
    assert w @ tangent == pytest.approx(sum(np.sum(a * b) for a, b in zip(pull(w), v)), rel=1e-12)


# ---- shapes and layouts

@pytest.mark.parametrize("name, shapes", [(name, shapes) for name, row in ROWS.items() for shapes in SHAPES[row.arity]])
def test_shapes(name, shapes):
    operands = sample(name, shapes)
    wanted = reference(name)(*operands)
    got = values(name, *operands)
    assert np.shape(got) == np.shape(wanted)
    close(got, wanted * 1.0, 1e-14)
    for k, g in enumerate(gradients(name, *operands)):
        assert g.shape == np.shape(operands[k]) and g.dtype == np.float64
        if not ROWS[name].active[k]:
            assert not g.any()
            continue
        v = direction(operands[k])
        wanted = slope(of_operand(lambda *x: float(total_of_reference(name, *x)), operands, k), operands[k], v)
        assert np.sum(g * v) == pytest.approx(wanted, rel=1e-7, abs=1e-8)


def total_of_reference(name, *x):
    y = reference(name)(*x)
    return np.sum(y * direction(y, 1))


@pytest.mark.parametrize("shape", [(0,), (0, 3), (2, 0, 3)])
@pytest.mark.parametrize("name", NAMES)
def test_empty(name, shape):
    operands = sample(name, shape)
    got = values(name, *operands)
    assert got.shape == shape and got.dtype == np.float64
    assert all(g.shape == shape for g in gradients(name, *operands))
    assert ft.jvp(real(name), tuple(operands), tuple(operands))[1].shape == shape


@pytest.mark.parametrize("name", NAMES)
def test_layouts(name):
    operands = sample(name, (4, 6))
    ways = [layouts(x) for x in operands]
    for way in ways[0]:
        laid = [each[way] for each in ways]
        plain = [np.ascontiguousarray(x, np.float64) for x in laid]
        assert_same_bits(values(name, *laid), values(name, *plain), way)
        for a, b in zip(gradients(name, *laid), gradients(name, *plain)):
            assert_same_bits(a, b, way)
        for k in range(len(laid)):      # the others are constants on the tape
            f = of_operand(total(name), laid, k), of_operand(total(name), plain, k)
            assert_same_bits(ft.grad(f[0])(laid[k]), ft.grad(f[1])(plain[k]), f"{way}, operand {k}")


def test_inner_views_are_operands_too():
    """Regions of one traced array, of every kind of stride, in one elementwise op."""
    x = np.arange(1.0, 25.0).reshape(4, 6)

    def f(x):
        return x[::2, ::-1] * x[1::2] + x.T[:2, :1] / x[-1:, ::-1] - np.sin(x.reshape(6, 4)[2:4, 1:2])

    v = direction(x)
    np.testing.assert_array_equal(ft.vjp(f, x)[0], ft.vjp(lambda x: f(x), x.copy())[0])
    np.testing.assert_allclose(ft.vjp(f, x)[0], f(x), rtol=1e-14)
    np.testing.assert_allclose(ft.jvp(f, x, v)[1], slope(f, x, v), rtol=1e-9)


# ---- the same bits, however a value is reached

@pytest.fixture(params=vm.available())
def isa(request):
    before = vm.isa()
    vm.use(request.param)
    yield request.param
    vm.use(before)


def evaluate_by(name, operands, isa):
    before = vm.isa()
    vm.use(isa)
    try:
        return vm.evaluate(name, *operands)
    finally:
        vm.use(before)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", NAMES)
def test_lengths_and_instruction_sets_give_the_same_bits(name, dtype, isa):
    operands = sample(name, (1100,), dtype)
    whole = vm.evaluate(name, *operands)
    for other in vm.available():
        if "baseline" in (isa, other) and isa != other:     # csrc/vmath.h: it may lack a fused multiply-add
            np.testing.assert_allclose(evaluate_by(name, operands, other), whole, rtol=4 * np.finfo(dtype).eps)
        else:
            assert_same_bits(evaluate_by(name, operands, other), whole, other)
    for n in range(1, 41):
        for start in (0, 3):
            assert_same_bits(vm.evaluate(name, *(x[start:start + n] for x in operands)), whole[start:start + n], f"length {n}")
    assert_same_bits(values(name, *operands), whole.astype(np.float64) if ROWS[name].truth else whole, "a traced array")


@pytest.mark.parametrize("name", NAMES)
def test_numbers_and_arrays_give_the_same_bits(name, isa):
    n = 21
    operands = sample(name, (n,))
    number = real(name)
    whole = values(name, *operands)
    zero_d = [values(name, *(np.asarray(x[i]) for x in operands)) for i in range(n)]
    assert all(type(y) is np.float64 for y in zero_d)
    assert_same_bits(zero_d, whole, "numbers known as they are recorded")
    later = ft.vjp(lambda *x: np.stack([number(*((1.0 * a)[i] for a in x)) for i in range(n)]), *operands)[0]
    assert_same_bits(later, whole, "numbers computed by the scalar loop")
    pushed = [ft.jvp(number, tuple(float(x[i]) for x in operands), (0.0,) * len(operands))[0] for i in range(n)]
    assert_same_bits(pushed, whole, "numbers in a forward trace")
    for k in range(len(operands)):
        summed = ft.grad(lambda x: np.sum(number(*operands[:k], x, *operands[k + 1:])))(operands[k])
        single = [ft.grad(lambda x: number(*(o[i] for o in operands[:k]), x, *(o[i] for o in operands[k + 1:])))(
            float(operands[k][i])) for i in range(n)]
        assert_same_bits(single, summed, f"gradient of operand {k}")


# ---- special values

SPECIAL = np.array([0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 3.0, 1e300, -1e300, 5e-324, np.inf, -np.inf, np.nan])
ZEROS_OF_EITHER_SIGN = {"maximum", "minimum", "fmax", "fmin", "clip"}       # NumPy's depend on the processor


@pytest.mark.parametrize("name", [name for name in NAMES if in_numpy(name) and name != "ldexp"])
def test_special_values_are_numpy_s(name, isa):
    operands = [x.ravel() for x in np.meshgrid(*[SPECIAL] * ROWS[name].arity)]
    with np.errstate(all="ignore"):
        wanted = reference(name)(*operands) * 1.0
        got = values(name, *operands)
    np.testing.assert_allclose(got, wanted, rtol=1e-14, atol=1e-16 if name == "sinc" else 0)    # NumPy's at integers
    if name not in ZEROS_OF_EITHER_SIGN:
        zero = wanted == 0
        np.testing.assert_array_equal(np.signbit(got[zero]), np.signbit(wanted[zero]))
