"""What people see of a program: its listing, its table, its statistics. Figures are counted by hand, derivatives are
NumPy's or those of one-shot calls."""
import re

import numpy as np
import pytest

import fasttape as ft

X = np.linspace(0.1, 1.0, 1000)


def chain(x, y):
    for _ in range(200):
        x, y = x + 0.01 * (x - x * y), y + 0.01 * (x * y - y)
    return {"x": x, "both": [y, 2]}


def branch(x):
    return np.sin(x) if x.sum() > 0 else x


# ---- print

def test_repr_is_one_line_and_str_begins_with_the_same_heading():
    p = ft.trace(lambda x, n: (np.sin(x) * x).sum() * n, X, 3)
    assert repr(p) == "<program <lambda>(float64[1000], 3) -> float64: 5 entries>".replace("5", str(p.stats().entries))
    assert str(p).splitlines()[0] == "<lambda>(float64[1000], 3) -> float64"


def test_entries_with_their_shapes_and_runs():
    lines = str(ft.trace(lambda x: (np.sin(x[1:]) * x[:-1]).sum() * 3.0, X)).splitlines()
    words = [" ".join(line.split()) for line in lines[1:]]
    assert words == ["s0 = argument 0 float64[1000]", "run 0 | s1 = sin(s0[1:]) float64[999]",
                     "run 0 | s2 = s1 * s0[:999] float64[999]", "run 0 | s3 = sum(s2) float64",
                     "s4 = s3 * 3 float64", "returns s4"]


def test_forms_of_arguments_and_results():
    p = ft.trace(lambda w, *, scale: ({"y": w["a"] * scale}, w["b"] + np.float32(1)),
                 {"a": np.zeros((2, 3)), "b": np.zeros(4, np.float32)}, scale=2.0)
    assert str(p).splitlines()[0] == \
        "<lambda>({'a': float64[2, 3], 'b': float32[4]}, scale=float) -> ({'y': float64[2, 3]}, float32[4])"
    assert "argument 0['a']" in str(p) and "argument scale" in str(p)


def test_loops_are_shown_with_their_bodies_and_counts():
    text = str(ft.trace(chain, 1.0, 2.0))
    assert text.splitlines()[0] == "chain(float, float) -> {'x': float64, 'both': [float64, 2]}"
    loop = re.search(r"result 0 of loop 0, (\d+) times", text)
    assert 190 < int(loop.group(1)) <= 200
    assert re.search(r"c0 = s\d+ at first, then v\d+", text) and re.search(r"v\d+ = v\d+ \* v\d+|v\d+ = c\d+ \* ", text)


def test_guards_name_what_they_must_see_and_where():
    text = str(ft.trace(branch, X))
    assert re.search(r"guard bool\(s\d+\) must be True, .*test_inspect\.py:\d+", text)


def test_long_listings_leave_out_the_middle():
    def f(x):
        for k in range(1, 400):
            x = np.sin(x) * k if k % 7 in (1, 2, 4) else np.cos(x) + k
        return x.sum()

    p = ft.trace(f, X)
    lines = str(p).splitlines()
    assert p.stats().entries > 400 and len(lines) < 80
    left_out = [line for line in lines if "more entries" in line]
    assert len(left_out) == 1
    shown = len([line for line in lines if re.search(r" s\d+ = ", line)])
    last = max(int(k) for k in re.findall(r" s(\d+) = ", lines[-2]))
    assert int(left_out[0].split()[1]) + shown == last + 1


@pytest.mark.parametrize("index", ["[1]", "[:, 2]", "[1:, ::2]", ".T", "[2, :0:-1]", "[::-1]", "[0, 1:4:2]",
                                   ".reshape(2, 6)", "[2:0:-1, 3::-2]", "[:1]", "[2:, 3:]"])
def test_regions_mean_what_numpy_means_by_them(index):
    m = np.arange(12.0).reshape(3, 4)
    text = str(ft.trace(lambda x: np.sin(eval(f"x{index}")), m))
    shown = re.search(r"sin\(s0(.*?)\)  ", text).group(1)
    assert "region" not in shown
    np.testing.assert_array_equal(eval(f"m{shown}"), eval(f"m{index}"))


# ---- the table

def test_table_of_a_number_is_that_of_the_function():
    def f(x):
        return np.sin(x) * x + x**2

    for row, other in zip(ft.trace(f, 0.3).table(1.7), ft.table(f, 1.7), strict=True):
        assert row == other
    rows = ft.trace(f, 0.3).table(1.7)
    assert rows[0].r == ft.grad(f)(1.7) == pytest.approx(rows[-1].t, rel=1e-15)


def test_table_of_arrays_has_the_gradient_and_the_directional_derivative():
    def f(w, x):
        return np.tanh(w @ x).sum() * x[0]

    rng = np.random.default_rng(0)
    w, x, dw, dx = rng.normal(size=(3, 4)), rng.normal(size=4), rng.normal(size=(3, 4)), rng.normal(size=4)
    rows = ft.trace(f, w, x).table(w, x, tangents=[dw, dx], cotangents=[2.0])
    gw, gx = ft.grad(f, argnum=(0, 1))(w, x)
    np.testing.assert_allclose(rows[0].r, 2 * gw, rtol=1e-14)
    np.testing.assert_allclose(rows[1].r, 2 * gx, rtol=1e-14)
    value, tangent = ft.jvp(f, (w, x), (dw, dx))
    assert rows[-1].s == value
    assert rows[-1].t == pytest.approx(tangent, rel=1e-14)
    for row in rows:                # the inner-product identity holds across each single node of a chain
        assert np.shape(row.s) == np.shape(row.t) == np.shape(row.r)


def test_table_of_several_results_and_of_a_loop_unrolled():
    rows = ft.trace(chain, 1.0, 2.0).table(1.1, 1.9, tangents=[1.0, 0.0], cotangents=[0.0, 1.0])
    assert len(rows) > 1000
    slope = ft.grad(lambda x, y: chain(x, y)["both"][0], argnum=1)(1.1, 1.9)
    assert rows[1].r == pytest.approx(slope, rel=1e-13)
    assert chain(1.1, 1.9)["x"] in [row.s for row in rows]


def test_table_of_a_derivative_has_second_derivatives():
    p = ft.trace(ft.grad(lambda x: x**3), 1.0)
    assert p.table(2.0)[0].r == pytest.approx(12.0, rel=1e-15)


def test_table_refuses_what_a_call_refuses():
    p = ft.trace(branch, X)
    with pytest.raises(ft.GuardError):
        p.table(-X)
    with pytest.raises(TypeError, match="other arguments"):
        p.table(1.0)
    with pytest.raises(ValueError, match="2 tangents for 1"):
        p.table(X, tangents=[X, X])
    with pytest.raises(ValueError, match=r"cotangents\[0\] has shape \(3,\); it must be \(1000,\)"):
        p.table(X, cotangents=[np.ones(3)])


# ---- statistics

def stats(f, *x):
    return ft.trace(f, *x).stats()


def test_flops_and_bytes_of_a_run():
    s = stats(lambda x, y: (np.sin(x) * y + x).sum(), X, X)
    assert (s.runs, s.instructions, s.loops) == (1, 1, 0)
    assert s.flops == 4 * 1000                          # sin, *, +, sum
    assert s.bytes_read == 2 * 8000                     # x once, although it is read twice
    assert s.bytes_written == 8
    assert s.constant_bytes == s.guards == 0


def test_flops_and_bytes_of_a_product_and_a_float32_sum():
    a, b = np.ones((3, 5)), np.ones((5, 7))
    s = stats(lambda a, b: a @ b, a, b)
    assert (s.flops, s.bytes_read, s.bytes_written) == (2 * 3 * 5 * 7, 8 * (15 + 35), 8 * 21)
    s = stats(lambda x: x.sum(axis=0), np.ones((10, 4), np.float32))
    assert (s.flops, s.bytes_read, s.bytes_written) == (40, 160, 16)


def test_flops_and_bytes_of_elements():
    s = stats(lambda x: x[0] * x[3], np.ones(4))
    assert s.flops == 1
    assert s.bytes_read == 2 * 8 + 2 * 8                # two elements, then both numbers
    assert s.bytes_written == 2 * 8 + 8


def test_flops_and_bytes_of_a_loop():
    def f(x):
        y = 0.0
        for k in range(500):
            y = y * 0.5 + x[k]
        return y

    s = stats(f, np.linspace(1, 2, 500))
    assert s.loops == 1
    assert abs(s.flops - 2 * 500) <= 2                  # the first product is with 0.0
    assert 8 * 480 <= s.bytes_read <= 8 * 520           # each element once; the first ones are not of the loop
    assert s.bytes_written < 8 * 20
    assert 1500 <= s.kept <= s.recorded < 1510 and s.entries < 20


def test_buffers_constants_guards_and_states():
    c = np.linspace(0, 1, 3000)

    def f(x):
        y = np.sin(x) @ MATRIX                          # the sine goes through memory
        return (y * c).sum() if y[0] > -1e9 else y.sum()

    p = ft.trace(f, np.ones(40))
    s = p.stats()
    assert s.buffers >= 2 and s.buffer_bytes >= 8 * (40 + 3000)
    assert s.constant_bytes >= MATRIX.nbytes + c.nbytes
    assert s.guards == 1 and s.states == 1


MATRIX = np.cos(np.arange(120000.0)).reshape(40, 3000)


def test_looking_changes_nothing():
    p = ft.trace(ft.value_and_grad(lambda x: (np.sin(x) * x).sum()), X)
    before = p(X)
    for look in (str, repr, lambda p: p.stats(), lambda p: p.table(X)):
        look(p)
        after = p(X)
        assert before[0] == after[0]
        np.testing.assert_array_equal(before[1], after[1])


def test_a_reversal_that_is_left_nothing_is_listed():
    """What a loop leaves for its reversal may be nothing; the listing once looked for the entry before the first."""
    scan = ft.trace(ft.grad(lambda x: ft.fori_loop(0, 5, lambda i, c: c + x, x)), 0.7)
    kept = ft.trace(ft.grad(lambda x: ft.fori_loop(0, 5, lambda i, c: c * x, x, schedule=ft.schedules.Revolve(2))), 0.7)
    assert "nothing" in str(scan) + str(kept)
