"""Programs as C: what is exported compiles without a warning and has the program's bits."""
import ctypes
import os
import re
import shutil
import subprocess

import fuzz
import numpy as np
import pytest
import test_programs
from table import ROWS, function, sample
from test_saving import PROGRAMS, M, V

import fasttape as ft
from fasttape._core import batch as _batch
from fasttape._core import vm

COMPILER = shutil.which("gcc") or shutil.which("cc") or shutil.which("clang")
pytestmark = pytest.mark.skipif(COMPILER is None, reason="no C compiler")
STRICT = ("-std=c11", "-Wall", "-Wextra", "-pedantic", "-Werror")
HAS_FMA = vm.isa() != "baseline" or os.uname().machine == "aarch64"


def leaves(tree):
    return _batch.leaves_of(tree)


def built(folder, exports, *flags):
    """Compile some exports into one library."""
    for name, export in exports.items():
        (folder / f"{name}.c").write_text(export.source, encoding="utf-8")
        (folder / f"{name}.h").write_text(export.header, encoding="utf-8")
    no_fma = [] if HAS_FMA else ["-DFASTTAPE_NO_FMA"]
    fast = [] if not HAS_FMA or os.uname().machine != "x86_64" else ["-mfma"]
    names = sorted(exports)
    jobs = [subprocess.Popen([COMPILER, *STRICT, *(flags or ("-O1",)), *no_fma, *fast, "-fPIC", "-c", *[f"{name}.c" for name in names[k::2]]],
                             cwd=folder, stderr=subprocess.PIPE, text=True) for k in range(min(2, len(names)))]
    for job in jobs:
        _, said = job.communicate()
        assert job.returncode == 0, said[:5000]
    target = folder / f"lib{names[0]}.so"
    subprocess.run([COMPILER, "-shared", *[f"{name}.o" for name in names], "-o", target, "-lm"], cwd=folder, check=True)
    return ctypes.CDLL(str(target))


def run(library, export, name, args, results):
    """Call an exported function: the status, and what it wrote, shaped like `results`."""
    function = getattr(library, name)
    size = int(re.search(rf"#define {name.upper()}_WORKSPACE (\d+)", export.header)[1])
    passed, out = [], []
    for x in args:
        if isinstance(x, np.ndarray):
            x = np.ascontiguousarray(x)
            passed.append(x)
        else:
            passed.append((ctypes.c_float if isinstance(x, np.float32) else ctypes.c_double)(x))
    for y in results:
        out.append(np.full(np.shape(y), np.nan, np.asarray(y).dtype))
    work = np.full(size + 2, np.nan)
    work[-1] = work[0] = 12345.0
    given = [ctypes.c_void_p(x.ctypes.data) if isinstance(x, np.ndarray) else x for x in passed]
    status = function(*given, *[ctypes.c_void_p(y.ctypes.data) for y in out], ctypes.c_void_p(work.ctypes.data + 8))
    assert work[-1] == work[0] == 12345.0, "it wrote beyond its workspace"
    return status, out


def same(found, wanted, ulp=0):
    wanted = np.asarray(wanted)
    assert found.shape == wanted.shape and found.dtype == wanted.dtype
    if ulp:
        np.testing.assert_allclose(found, wanted, rtol=1e-13 if wanted.dtype == np.float64 else 1e-5, atol=1e-13 if wanted.dtype == np.float64 else 1e-6)
        return
    nan = np.isnan(wanted)
    assert (np.isnan(found) == nan).all()
    bits = f"u{wanted.dtype.itemsize}"
    assert (np.where(nan, 0, found.view(bits)) == np.where(nan, 0, wanted.view(bits))).all(), (found, wanted)


class Case:
    """A program, arguments to try, and the derivatives to export with it."""

    def __init__(self, f, *examples, kinds=None, argnum=None, ulp=0, program=None):
        self.program = program or ft.trace(f, *examples[0])
        self.examples, self.kinds, self.argnum, self.ulp = examples, kinds, argnum, ulp

    def export(self, name):
        return self.program.to_c(name, derivatives=self.kinds, argnum=self.argnum)

    def check(self, library, export, name):
        made = [(name, self.program)]
        moving = tuple(k for k, x in enumerate(self.examples[0]) if isinstance(x, (float, np.floating)) or
                       (isinstance(x, np.ndarray) and x.dtype.kind == "f")) if self.argnum is None else self.argnum
        if f"int {name}_gradient(" in export.header:
            made.append((f"{name}_gradient", self.program.value_and_grad(moving)))
        if f"int {name}_jacobian(" in export.header:
            made.append((f"{name}_jacobian", self.program.jacobian(moving)))
        for name, program in made:
            for args in self.examples:
                wanted = leaves(program(*args))
                status, found = run(library, export, name, leaves([x for x in args if not fixed(x)]), wanted)
                assert status == 0
                for a, b in zip(found, wanted):
                    same(a, b, self.ulp)


def fixed(x):
    return isinstance(x, (int, str)) or (isinstance(x, np.ndarray) and x.dtype.kind != "f")


def every_op(shape, dtype, variant):
    """All elementwise ops of the table at once."""
    args = [sample(name, shape, dtype) for name in ROWS]
    if variant:                                                 # one operand a number, the other an array
        args = [[x if k % 2 == variant - 1 else np.asarray(x).dtype.type(np.ravel(x)[0]) for k, x in enumerate(xs)] for xs in args]
    return Case(lambda args: [1.0 * function(name)(*xs) if ROWS[name].truth else function(name)(*xs) for name, xs in zip(ROWS, args)],
                (args,), kinds=())


SPECIAL = [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 5e-324, -1e-310, 1e300, -1e300, 1e-300, 4194305.0, -1e9, 0.5, -0.5, 2.0, 3.0, -3.0, 1e16, 710.0,
           -745.0, 1.7976931348623157e308, 0.1]


def special(length):
    """All elementwise ops where they are not easy."""
    a = np.array(SPECIAL)
    args = [[np.roll(np.resize(a, length), 5 * k * length // 24) for k in range(row.arity)] for row in ROWS.values()]
    args[list(ROWS).index("sinc_slope")][1] = np.resize([0.0, 1.0, 2.0], length)
    return Case(lambda args: [1.0 * function(name)(*xs) if ROWS[name].truth else function(name)(*xs) for name, xs in zip(ROWS, args)],
                (args,), kinds=())


def elements(x, v):
    for k in range(5):
        x[k] = v[k] * x[k] + 1.0
        x[k + 1] += x[k]
    return x


def programs():
    rng = np.random.default_rng(0)
    cube = rng.normal(size=(4, 3, 5))
    cases = {f"saved_{name.replace(' ', '_')}": Case(f, args) for name, (f, args) in PROGRAMS.items() if name not in ("newton", "product", "irregular")}
    cases["saved_newton"] = Case(*[fuzz.newton], (2.0,), (9.0,), kinds=())
    cases["saved_product"] = Case(PROGRAMS["product"][0], PROGRAMS["product"][1], ulp=4)
    for name, (shape, dtype, variant) in {"arrays": (7, np.float64, 0), "arrays32": ((2, 3), np.float32, 0), "numbers": ((), np.float64, 0),
                                          "numbers32": ((), np.float32, 0), "mixed": (300, np.float64, 1), "mixed2": (5, np.float32, 2)}.items():
        cases[f"ops_{name}"] = every_op(shape, dtype, variant)
    cases["ops_special"], cases["ops_special_short"] = special(24 * 24), special(15)
    cases["sums"] = Case(lambda x: (x.sum(), x.sum(0), x.sum(1), x.sum(2), x.sum((0, 2)), x.T.sum(), x[::2, ::-1].sum(1), x.max(), x.min(1), x.mean((1, 2)),
                                    x[:, 1].max(0), x.T.sum(0)), (cube,), kinds=())
    cases["sums32"] = Case(lambda x: (x.sum(), x.sum(0), x.sum(1), x.sum(2), x.T.sum(), x[::2, ::-1].sum(1), x.max(), x.min(1)),
                           (cube.astype(np.float32),), kinds=())
    for n in (1, 15, 16, 17, 255, 256, 257, 1000, 4097):
        cases[f"long_sum_{n}"] = Case(lambda x: (np.exp(x) * x).sum() + x[::-1].sum() + (x * x).max(), (rng.normal(size=n),))
    cases["long_rows"] = Case(lambda x: (x.sum(0), x.sum(1), x.T.sum(0), np.tanh(x).sum()), (rng.normal(size=(7, 300)),), kinds=())
    cases["long_sum32"] = Case(lambda x: np.exp(x).sum(), (rng.normal(size=700).astype(np.float32),))
    cases["vectors"] = Case(lambda a, x, y: (a @ x, y @ a, a.T @ y, x @ a.T, y @ y, a[:, ::-1] @ x), (rng.normal(size=(11, 13)), rng.normal(size=13), rng.normal(size=11)),
                            kinds=())
    cases["quadratic"] = Case(lambda a, x: np.tanh(a @ np.tanh(a.T @ x)).sum(), (rng.normal(size=(9, 6)), rng.normal(size=9)), argnum=(1,))
    cases["matrices"] = Case(lambda a, b: (a @ b, (a @ b).T @ a, cube @ b.T[:5, :2]), (rng.normal(size=(4, 3)), rng.normal(size=(3, 6))), kinds=(), ulp=4)
    cases["matrices32"] = Case(lambda a, b: (a @ b, a.T @ a, a @ b[:, 0]), (rng.normal(size=(4, 3)).astype("f"), rng.normal(size=(3, 6)).astype("f")), kinds=(), ulp=4)
    cases["elements"] = Case(elements, (rng.normal(size=6), rng.normal(size=5)))
    cases["views"] = Case(lambda x: (x.T[1], x[::-1, 1:].ravel(), x[2], x[:, :1] * x[1], np.broadcast_to(x[0], (2, 4, 3)) + x, x, x, x[1, 2]),
                          (rng.normal(size=(4, 3)),), kinds=())
    cases["same_twice"] = Case(lambda x, y: (x, x, y * 2.0, y * 2.0, M, 3.0, -0.0, np.inf, y, M.T), (1.5, V), kinds=())
    cases["constants"] = Case(lambda x: x * np.array([np.inf, -np.inf, np.nan, -0.0, 5e-324, 1e-310, 1.7976931348623157e308]), (np.ones(7),), kinds=())
    cases["constants32"] = Case(lambda x: x * np.array([np.inf, -np.inf, np.nan, -0.0, 1e-45, 1e-40, 3.4e38], "f"), (np.ones(7, "f"),), kinds=())
    cases["odd_numbers"] = Case(lambda x: (x * 5e-324, x * -0.0, x + np.inf, x * 1e308, x - np.nan, x * 1e-320), (1.0,), kinds=())
    cases["gathers"] = Case(lambda x: (x[[0, 2, 2, 1]], x[np.array([[-1, 0], [1, 1]])], x[:, [2, 0]] * 2.0, x[:, [1, 1]]), (rng.normal(size=(3, 4)),), kinds=())
    cases["scattered"] = Case(lambda x: (x[[0, 2, 2, 1]] * x[1]).sum(), (rng.normal(size=(3, 4)),))
    cases["no_arguments"] = Case(lambda: (1.0, np.arange(3.0)), ())
    cases["none"] = Case(lambda x: None, (1.0,))
    cases["trees"] = Case(lambda p, k: {"a": [p["x"] * k, p["y"][0]], "b": (p["x"].sum(),)}, ({"x": V, "y": [2.0, V]}, 3.0), kinds=())
    cases["float32_number"] = Case(lambda x, y: x * x * np.float32(0.1) + y, (np.float32(0.3), np.float32(0.7)))
    cases["casts"] = Case(lambda x: (x.astype(np.float32) * np.float32(0.1), x.astype(np.float32).astype(np.float64) * 0.1), (V,), kinds=())
    inner = ft.trace(lambda a, v: (np.sin(a) * v, v.sum() * a), 0.5, V)
    cases["called"] = Case(lambda x, v: inner(x, np.tanh(v))[0].sum() + inner(2.0 * x, v[::-1])[1], (0.3, V))
    cases["called_unread"] = Case(lambda x, v: inner(x, v)[1], (0.3, V))
    cases["pendulum"] = Case(lambda a, v: swing(a, v), (0.5, 0.1))
    cases["lotka"] = Case(lotka, (np.array([0.5, 0.02, 0.4, 0.01]),))
    cases["cells"] = Case(lambda u: heat(u), (np.sin(np.arange(40.0)),))
    cases["long_numbers"] = Case(irregular, (0.3, 0.7))
    cases["long_arrays"] = Case(long_arrays, (V, 0.3))
    for where in ("reverse", "reverse32"):
        cases[f"scan_{where}"] = Case(layers, (rng.normal(size=(3, 3)).astype("f" if where == "reverse32" else "d"), rng.normal(size=(5, 3)).astype("f" if where == "reverse32" else "d")), ulp=4)
    cases["scan_numbers32"] = Case(lambda a, xs: ft.scan(lambda c, x: (np.tanh(c * a + x), c * x), a, xs)[1].sum(), (np.float32(0.3), V.astype("f")))
    cases["scan_arrays"] = Case(lambda a, xs: ft.scan(lambda c, x: (np.tanh(c * a + x), c), V * a, xs)[0].sum(), (0.3, np.linspace(0, 1, 12).reshape(4, 3)[:, :1] * np.ones(5)))
    cases["scan_jacobian"] = Case(lambda a, xs: ft.scan(lambda c, x: (np.tanh(c * a + x), c * 2.0), V * a, xs)[1], (0.3, np.ones((3, 5))), kinds=("jacobian",))
    cases["scan_inside"] = Case(lambda a: ft.fori_loop(0, 4, lambda i, c: ft.fori_loop(0, 3, lambda j, d: np.sin(d) * a, c), a), (0.7,))
    hess = ft.trace(lambda a, xs: ft.scan(lambda c, x: (np.tanh(c * a + x), None), a * 1.0, xs)[0], 0.3, V).hessian()
    cases["scan_second"] = Case(None, (0.3, V), program=hess, kinds=())
    cases["while_arrays"] = Case(lambda x: ft.while_loop(lambda c: c.sum() < 10.0, lambda c: c * 1.5, x), (V,), kinds=())
    batch = ft.trace(ft.vmap(lambda x: np.sin(x) * x[0]), rng.normal(size=(6, 2)))
    cases["lanes"] = Case(None, (rng.normal(size=(6, 2)),), program=batch, kinds=())
    cases["zero_size"] = Case(lambda x, y: (x @ y, x.sum(), x.sum(0), np.sin(x), y[:, :0], (x * 2.0).ravel()), (np.zeros((0, 3)), np.zeros((3, 2))), kinds=())
    cases["keywords"] = Case(lambda register, double_, printf, work, s1, i0, result: register * double_ + printf - work * s1 + i0 * result, (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0))
    cases["large_known"] = Case(lambda x: (x * np.linspace(0, 1, 20000)).sum(), (0.3,), kinds=())
    return cases


def swing(angle, velocity):
    for _ in range(100):
        velocity = velocity - 0.01 * 9.81 * np.sin(angle)
        angle = angle + 0.01 * velocity
    return angle * angle


def lotka(p):
    x, y = 30.0, 4.0
    for _ in range(200):
        x, y = x + 0.01 * (p[0] * x - p[1] * x * y), y + 0.01 * (p[3] * x * y - p[2] * y)
    return x + y


def heat(u):
    for _ in range(5):
        u = u.copy()
        for k in range(1, 39):
            u[k] = u[k] + 0.1 * (u[k - 1] - 2 * u[k] + u[k + 1])
    return (u * u).sum()


def irregular(x, y):
    rng = np.random.default_rng(0)
    values = [x, y]
    for kind, back in zip(rng.integers(0, 3, 1500), rng.integers(1, 9, 1500)):
        a, b = values[-1], values[-min(int(back), len(values))]
        values.append(a * 0.5 + b if kind == 0 else np.sin(a) - b if kind == 1 else a * b + 0.25)
    return values[-1]


def long_arrays(v, a):
    rng = np.random.default_rng(1)
    for k in range(400):
        v = np.sin(v) * a + v[::-1] if rng.random() < 0.5 else v * v.sum() * 0.1
        a = a * 0.9 + v[k % 5]
    return v.sum()


def layers(w, xs):
    return ft.scan(lambda h, x: (np.tanh(w @ h + x), (h * h).sum()), xs[0], xs)[1].sum()


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    cases = programs()
    exports = {name: case.export(name) for name, case in cases.items()}
    return cases, exports, built(folder, exports), folder


NAMES = sorted(programs()) if COMPILER else []


@pytest.mark.parametrize("name", NAMES)
def test_exported_c_has_the_bits_of_the_program(name, exported):
    cases, exports, library, _ = exported
    cases[name].check(library, exports[name], name)


# ---- programs of a random family

def random_case(rng):
    program = [tuple(int(x) for x in rng.integers(0, 40, 4)) for _ in range(rng.integers(3, 14))]
    program = [(op % 20, i, j, k) for op, i, j, k in program]
    dtype = np.float32 if rng.random() < 0.25 else np.float64
    inputs = rng.normal(size=(3, 4)).astype(dtype), rng.normal(size=4).astype(dtype), dtype(rng.normal())
    products = any(op == 11 for op, _, _, _ in program)
    with np.errstate(all="ignore"):
        return Case(lambda *x: test_programs.run(program, x, ft.checkpoint), inputs, kinds=("jacobian",), ulp=4 if products and dtype == np.float64 else 0), \
            products and dtype == np.float32


def test_random_programs(tmp_path):
    """More by FASTTAPE_EXPORT=count."""
    rng, cases = np.random.default_rng(7), {}
    while len(cases) < int(os.environ.get("FASTTAPE_EXPORT", 30)):
        try:
            case, rounded = random_case(rng)
        except (ValueError, IndexError, TypeError):             # no program: NumPy would not have it either
            continue
        if not rounded:                                         # to the rounding of float32 there is nothing to compare
            cases[f"random{len(cases)}"] = case
    exports = {name: case.export(name) for name, case in cases.items()}
    library = built(tmp_path, exports)
    for name, case in cases.items():
        case.check(library, exports[name], name)


# ---- guards

def looks(x, a):
    y = x * a
    if (y > 0.0).all() and not (y > 5.0).any() and y.argmax() == 4 and y[::-1].min() < 0.3 and a > 0.5 and int(y[1] * 10) == 3 and round(y[2] * 4) == 2 and np.floor(a) == 0.0:
        return y[int(y[0] * 4)]
    return y[0]


def masked(x):
    return x[x > 0.2].sum()


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("guarded")
    programs = {"absolute": ft.trace(fuzz.absolute, 1.0), "looks": ft.trace(looks, V, 1.0), "masked": ft.trace(masked, V)}
    exports = {name: program.to_c(name) for name, program in programs.items()}
    return programs, exports, built(folder, exports)


@pytest.mark.parametrize(("name", "args"), [
    ("absolute", (3.0,)), ("absolute", (-3.0,)), ("absolute", (0.0,)), ("absolute", (np.nan,)),
    *[("looks", (x, a)) for x in (V, -V, V + 0.2 * (np.arange(5) == 1), V[::-1].copy(), V + np.nan) for a in (1.0, 0.6, 0.99, 1.01, -1.0)],
    *[("masked", (x,)) for x in (V, V + 0.01, -V, V[::-1].copy(), V * 3)]])
def test_guards_see_what_the_program_sees(name, args, guarded):
    programs, exports, library = guarded
    try:
        wanted = programs[name](*args)
    except ft.GuardError:
        wanted = None
    for kind in ("", "_gradient"):
        results = [np.float64(0), *([] if not kind else args)]
        status, found = run(library, exports[name], name + kind, args, results)
        assert (status == 0) == (wanted is not None)
        if wanted is not None:
            same(found[0], wanted)


def test_the_header_names_the_lines_of_guards(guarded):
    _, exports, _ = guarded
    assert re.search(r"1: bool\(value\) is not True, .*fuzz\.py:\d+", exports["absolute"].header)


def test_ways_to_look_that_have_no_c():
    program = ft.trace(lambda x: x[0] if x.reshape(5, 1).argmax(0)[0] == 4 else x[1], V)
    with pytest.raises(NotImplementedError, match=r"test_export\.py:\d+ in a way that has no C"):
        program.to_c("looked")


# ---- names and files

@pytest.mark.parametrize("name", ["", "2x", "a b", "é", "for", "class", "main", "sin", "ft_x", "_x", "memcpy", "x;", None, 3])
def test_bad_names(name):
    with pytest.raises(ValueError, match="to_c: the name of the C functions must be an identifier"):
        ft.trace(np.sin, 1.0).to_c(name)


def test_other_bad_arguments():
    program = ft.trace(lambda x: (x, x), V)
    with pytest.raises(ValueError, match="derivatives must be"):
        program.to_c("f", derivatives="hessian")
    with pytest.raises(TypeError):
        program.to_c("f", derivatives="gradient")
    with pytest.raises(OSError):
        program.to_c("f", "/no/such/folder")


def test_the_reversal_of_an_open_loop_is_refused():
    program = ft.trace(fuzz.newton, 2.0)
    with pytest.raises(NotImplementedError, match=r"while_loop.*fori_loop or scan"):
        program.to_c("newton")
    assert "while (" in program.to_c("newton", derivatives=()).source


def test_the_example_runs_and_prints_what_the_program_gives(tmp_path):
    def price(*, vol, spot, when):
        return spot * ft.special.ndtr(vol * np.sqrt(when["t"])).sum()
    vol, spot, when = 0.5 + 0.1 * np.arange(5.0), 0.5, {"t": 0.5}
    program = ft.trace(lambda vol, n, spot=1.0: price(vol=vol, spot=spot, when=when) * n, vol, 3, spot)
    export = program.to_c("price", tmp_path)
    assert [(tmp_path / f"price{end}").read_text(encoding="utf-8") for end in (".c", ".h", "_example.c")] == list(export)
    assert "n = 3" in export.header and "double vol" not in export.header and "vol " in export.header
    subprocess.run([COMPILER, *STRICT, "-O2", *([] if HAS_FMA else ["-DFASTTAPE_NO_FMA"]), "price_example.c", "price.c", "-lm", "-o", "example"],
                   cwd=tmp_path, check=True)
    said = subprocess.run([tmp_path / "example"], capture_output=True, text=True, check=True).stdout.split("\n")
    numbers = {line.split()[0]: [float(x) for x in line.split()[1:]] for line in said if line}
    value, (slope, other) = program.value_and_grad((0, 2))(vol, 3, spot)
    assert numbers == {"result": [value], "d_vol": slope.tolist(), "d_spot": [other]}


def test_the_header_is_for_cpp_too(tmp_path):
    plus = shutil.which("g++")
    if plus is None:
        pytest.skip("no C++ compiler")
    ft.trace(lambda x: np.sin(x).sum(), V).to_c("wave", tmp_path)
    (tmp_path / "use.cpp").write_text('#include "wave.h"\n#include "wave.h"\nint main() { double x[5] = {0}, y; return wave(x, &y, nullptr); }\n')
    subprocess.run([COMPILER, *STRICT, "-c", "wave.c"], cwd=tmp_path, check=True)
    subprocess.run([plus, "-Wall", "-Wextra", "-pedantic", "-Werror", "use.cpp", "wave.o", "-lm", "-o", "use"], cwd=tmp_path, check=True)
    subprocess.run([tmp_path / "use"], check=True)


def test_comments_end_where_they_should():
    export = ft.compile(lambda x, how: x * 2.0, static=1)
    export(1.0, "*/ #error /* \\")
    source = export.programs[0].to_c("odd")
    assert "* / #error / *" in source.header and source.header.count("/*") == source.header.count("*/")


def test_loops_stay_loops_and_updates_stay_in_place():
    def writes(x):
        for k in range(400):
            x[k] = x[k] * x[(7 * k * k) % 400] + 1.0
        return x
    assert len(ft.trace(swing, 0.1, 0.2).to_c("swing", derivatives=()).source.split("/* ---- swing")[1].split("\n")) < 40
    body = ft.trace(writes, np.ones(400)).to_c("writes", derivatives=()).source.split("/* ---- writes")[1]
    assert body.count("memcpy") <= 2


def test_with_full_optimisation(tmp_path):
    """Nothing that the compiler may do changes a bit."""
    names = ("sums", "saved_regions", "pendulum", "long_sum_1000", "ops_arrays", "ops_mixed", "vectors", "scan_arrays", "lotka")
    cases = {name: case for name, case in programs().items() if name in names}
    exports = {name: case.export(name) for name, case in cases.items()}
    library = built(tmp_path, exports, "-O3", *(["-march=native"] if os.uname().machine == "x86_64" and HAS_FMA else []))
    for name, case in cases.items():
        case.check(library, exports[name], name)


def test_in_parts(tmp_path, monkeypatch):
    """Every function cut into pieces of a few lines."""
    monkeypatch.setattr("fasttape.export.parts.PART", 4)
    monkeypatch.setattr("fasttape.export.function.PART", 4)
    cases = {name: case for name, case in programs().items() if not name.startswith(("ops", "saved_rolled", "long_"))}
    exports = {name: case.export(name) for name, case in cases.items()}
    assert exports["lotka"].source.count("_part") > 4
    library = built(tmp_path, exports, "-O0")
    for name, case in cases.items():
        case.check(library, exports[name], name)


def test_without_fused_multiply_add(tmp_path):
    """Other last places, and no call of fma."""
    export = ft.trace(lambda x: (np.exp(x) * np.sin(x)).sum(), V).to_c("plain", tmp_path)
    subprocess.run([COMPILER, *STRICT, "-O1", "-DFASTTAPE_NO_FMA", "-fPIC", "-shared", "plain.c", "-lm", "-o", "plain.so"], cwd=tmp_path, check=True)
    status, found = run(ctypes.CDLL(str(tmp_path / "plain.so")), export, "plain", (V,), [np.float64(0)])
    assert status == 0 and found[0] == pytest.approx((np.exp(V) * np.sin(V)).sum(), rel=1e-14)
