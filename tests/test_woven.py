"""Arguments and results that lie lane by lane, while rows of lanes are computed: turned around tile by tile."""
import numpy as np
import pytest

import fasttape as ft
from fasttape._core import vm
from fasttape._core.blocks import columns_of_blocks

LANES = [2, 3, 7, 8, 9, 31, 64, 65, 300]
COLUMNS = [1, 2, 3, 5, 8, 11, 16, 30, 257]


@pytest.fixture(params=vm.available())
def isa(request):
    before = vm.isa()
    vm.use(request.param)
    yield request.param
    vm.use(before)


def mixed(x, y):
    """Numbers, constants, pieces of arrays, zeros and what is the same for all lanes, in one array."""
    return np.concatenate((x[::-1], np.stack((2.5, y)), np.zeros(2), 3.0 * x[1:], np.stack((x[0] * y,)), np.arange(3.0) * y))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("m", COLUMNS)
def test_each_lane_has_its_own(m, dtype, isa):
    program = ft.trace(mixed, np.ones(m, dtype), 0.5)
    for n in LANES:
        x = np.random.default_rng(n).normal(size=(n, m)).astype(dtype)
        found = program.batch(x, 0.25, in_axes=(0, None))
        expected = np.stack([program(row, 0.25) for row in x])
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("n", LANES)
def test_pieces_of_several_axes(n, isa):
    def f(x):
        y = np.stack((x.T, 2.0 * x.T, np.ones((3, 4))))         # (3, 3, 4)
        return y, y.transpose(2, 0, 1) * 1.0, np.stack((x[0, 0], x[3, 2])), x

    x = np.random.default_rng(n).normal(size=(n, 4, 3))
    found = ft.trace(f, x[0]).batch(x)
    t = x.transpose(0, 2, 1)
    y = np.stack((t, 2.0 * t, np.ones((n, 3, 4))), axis=1)
    for a, b in zip(found, (y, y.transpose(0, 3, 1, 2), x[:, [0, 3], [0, 2]], x), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("lanes", [0, 1, 2, 8, 100])
def test_the_same_array_in_every_order(lanes, isa):
    """Copies of arrays whose axes are exchanged, empty ones too, in one piece and from within."""
    for shape in [(lanes, 5), (5, lanes), (lanes, 2, 9), (2, lanes, 9), (lanes, 1), (1, lanes), (lanes, 0, 3)]:
        x = np.random.default_rng(0).normal(size=shape)
        order = tuple(range(1, len(shape))) + (0,)
        back = (len(shape) - 1, *range(len(shape) - 1))

        def f(x, order=order, back=back):
            return x.transpose(order) + 0.0, x.transpose(back) + 0.0, np.exp(x.transpose(order)), x.transpose(order).ravel()[3:]

        p = ft.trace(f, x)
        for a, b in zip(p(x), f(x), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-15)


@pytest.mark.parametrize("make", [
    lambda x: x,
    lambda x: x.astype(np.float32),
    lambda x: np.asfortranarray(x),
    lambda x: x[:, ::-1],
    lambda x: np.repeat(x, 2, axis=0)[::2],
    lambda x: x.astype(">f8"),
    lambda x: np.frombuffer(x.tobytes()).reshape(x.shape),      # read-only
    lambda x: np.ndarray(x.shape, x.dtype, bytes(4) + x.tobytes(), 4),      # unaligned
])
@pytest.mark.parametrize("shape", [(7, 1), (7, 3), (7, 11), (7, 16), (7, 2, 3), (7, 300)])
def test_rows_are_picked_whatever_they_lie_in(make, shape, isa):
    """Of a function that looks at the elements, and of one that takes the row as a whole."""
    array = make(np.random.default_rng(2).normal(size=shape))
    plain = np.array(array, np.float32 if array.dtype == np.float32 else np.float64)
    last = tuple(n - 1 for n in shape[1:])
    for f in (lambda x: np.stack([x[tuple(k)] * 2.0 for k in np.ndindex(shape[1:])]), lambda x: x * 2.0, lambda x: x[last] * 2.0):
        program = ft.trace(f, plain[0])
        for n in (1, 2, 8, 13, 200):
            at = np.random.default_rng(n).integers(0, 7, n)
            np.testing.assert_array_equal(program.batch(ft.gather(array, at)), np.stack([program(plain[k]) for k in at]))


def test_picked_rows_on_other_paths(isa):
    def f(x, y):
        return np.stack((x[0] / x[1], y)) if x[0] > x[2] else np.stack((x[1] * y, x[2]))

    array, y = np.random.default_rng(3).normal(size=(50, 3)), np.linspace(0.0, 1.0, 1000)
    at = np.random.default_rng(4).integers(0, 50, 1000)
    program = ft.trace(f, array[at[0]], 0.0)
    np.testing.assert_array_equal(program.batch(ft.gather(array, at), y), np.stack([f(array[k], v) for k, v in zip(at, y, strict=True)]))
    total = program.batch(ft.gather(array, at), y, reduce="sum")
    np.testing.assert_allclose(total, program.batch(ft.gather(array, at), y).sum(0), rtol=1e-12)
    for n in (0, 1, 2):
        assert program.batch(ft.gather(array, at[:n]), y[:n]).shape == (n, 2)


def test_out_is_written_to_its_end_and_not_beyond(isa):
    for m in (2, 5, 8, 30):
        program = ft.trace(lambda x, m=m: np.stack([k * x for k in range(m)]), 1.0)
        for n in (2, 9, 1000):
            space = np.full((n + 2, m), 7.0)
            program.batch(np.arange(n) * 1.0, out=space[1:-1])
            np.testing.assert_array_equal(space[1:-1], np.outer(np.arange(n), np.arange(m)))
            assert (space[0] == 7.0).all() and (space[-1] == 7.0).all()


@pytest.mark.parametrize("kind", [np.int32, np.int64])
def test_columns_of_blocks(isa, kind):
    rng = np.random.default_rng(1)
    for lanes, rows, sizes in [(0, 2, (3,)), (1, 0, (3,)), (5, 1, ()), (7, 3, (11, 3, 1)), (100, 2, (1, 40)), (40, 1, (2,)), (9, 2, (0, 5, 0)),
                               (3000, 2, (11, 3, 1)), (2000, 3, (1, 15, 1, 8, 8)), (500, 1, (7, 100)), (50, 2, (3, 1) * 12), (60, 1, (16, 48))]:
        whiches = [rng.integers(0, 50, lanes), None, range(lanes)]
        parts = [(size, max(50, lanes) * size, whiches[k % 3]) for k, size in enumerate(sizes)]
        expected, offset, at = np.zeros((lanes, rows, sum(sizes)), kind), 0, 0
        for size, whole, which in parts:
            first = np.zeros(lanes, int) if which is None else np.array(which) * size
            expected[:, :, at:at + size] = offset + first[:, None, None] + np.arange(size)
            offset, at = offset + whole, at + size
        found, starts, width = columns_of_blocks(lanes, rows, parts, kind)
        assert found.dtype == starts.dtype == kind and width == offset
        np.testing.assert_array_equal(starts, np.arange(lanes * rows + 1) * sum(sizes))
        np.testing.assert_array_equal(found, expected.reshape(-1))
