"""Programs in files: what comes back is the same program; what is no program, or no longer one, raises ValueError."""
import collections
import dataclasses
import os
import pickle
import random
import subprocess
import sys
import typing
import zlib
from pathlib import Path

import numpy as np
import pytest

import fasttape as ft

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
import fuzz  # noqa: E402

OLD = HERE / "data" / "saved"


class Point(typing.NamedTuple):
    x: float
    y: float


@dataclasses.dataclass
class Spring:
    k: np.ndarray
    m: float


Pair = collections.namedtuple("Pair", "value slope")


@pytest.fixture
def back(tmp_path):
    """Save and load: through a file, and through a file of what came from one."""
    def back(program, types=()):
        for name in ("a.fasttape", "b.fasttape"):
            program.save(tmp_path / name)
            program = ft.load(str(tmp_path / name), types=types)
        return program
    return back


def same(a, b):
    """Bit for bit."""
    if isinstance(a, (tuple, list)):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return type(a) is type(b) and list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if dataclasses.is_dataclass(a):
        return type(a) is type(b) and same(dataclasses.astuple(a), dataclasses.astuple(b))
    if isinstance(a, (np.ndarray, np.generic)):
        return type(a) is type(b) and a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    return type(a) is type(b) and (a == b or a != a)


M, V = np.arange(12.0).reshape(4, 3) / 7, np.linspace(0.1, 0.9, 5)
PROGRAMS = {
    "scalar": (lambda x: x + x**2, (3.0,)),
    "sum": (lambda x: (np.sin(x) * x).sum(), (V,)),
    "product": (lambda x, y: x @ y + np.float32(2.0), (M, M.T.copy())),
    "float32": (lambda x: np.where(x > 0.5, x.astype(np.float32), np.float32(1)).sum(), (V,)),
    "regions": (fuzz.regions, (M, np.array([2, 0, 1]))),
    "known": (lambda x: (np.tanh(M * x)[[0, 2, 2]] * np.float32(2)).sum(0), (0.7,)),
    "newton": (fuzz.newton, (2.0,)),
    "rolled": (fuzz.rolled, (0.3, 0.2)),
    "recurrence": (fuzz.recurrence, (0.3, np.linspace(0, 1, 200))),
    "scanned": (fuzz.scanned, (0.3, V)),
    "revolve": (lambda a, xs: ft.scan(lambda c, x: (np.tanh(c * a + x), None), a * 1.0, xs, schedule=ft.schedules.Revolve(2))[0], (0.3, V)),
    "counted": (lambda x: ft.fori_loop(0, 5, lambda i, c: c * x + np.ones(3), x * np.ones(3)).sum(), (0.7,)),
    "irregular": (fuzz.irregular, (0.3, 0.7)),
    "nothing": (lambda x: (), (1.0,)),
    "as it is": (lambda x, y: (y, x, y, 2.0), (1.0, V)),
    "empty": (lambda x: (x * 2, x.sum()), (np.zeros((0, 3)),)),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_what_comes_back_computes_the_same(name, back):
    f, example = PROGRAMS[name]
    program = ft.trace(f, *example)
    again = back(program)
    assert same(again(*example), program(*example))
    assert str(again).split("\n")[1:] == str(program).split("\n")[1:]
    assert again.stats() == program.stats()._replace(states=again.stats().states)


@pytest.mark.parametrize("name", ["scalar", "sum", "float32", "newton", "rolled", "recurrence", "revolve", "counted", "irregular"])
def test_and_has_the_same_derivatives(name, back):
    f, example = PROGRAMS[name]
    again = back(ft.trace(f, *example))
    expected = ft.grad(f)(*example)
    assert same(again.grad()(*example), expected)
    assert same(back(again.grad())(*example), expected)
    assert same(back(again.value_and_grad())(*example)[1], expected)
    direction = np.ones_like(example[0])
    assert same(back(again.jvp(0))(*example, direction), ft.trace(f, *example).jvp(0)(*example, direction))


def test_second_derivatives_of_a_loaded_loop(back):
    f, example = PROGRAMS["revolve"]
    h = 1e-4
    again = back(back(ft.trace(f, *example)).grad())
    curvature = again.grad()(*example)
    assert curvature == pytest.approx((ft.grad(f)(0.3 + h, V) - ft.grad(f)(0.3 - h, V)) / (2 * h), rel=1e-6)
    assert same(back(back(ft.trace(f, *example)).hessian())(*example), curvature)


def test_batches_of_a_loaded_program(back):
    again = back(ft.trace(lambda x, m: np.sin(m @ x).sum(), M[0], M))
    xs = np.random.default_rng(0).uniform(size=(50, 3))
    assert again.batch(xs, M, in_axes=(0, None)) == pytest.approx(np.sin(xs @ M.T).sum(1), rel=1e-13)
    slopes = back(again.grad()).batch(xs, M, in_axes=(0, None))
    assert slopes == pytest.approx(np.cos(xs @ M.T) @ M, rel=1e-13)


def test_guards_come_with_their_lines(back):
    again = back(ft.trace(fuzz.absolute, 1.0))
    assert again(3.0) == 3.0
    with pytest.raises(ft.GuardError, match=r"fuzz\.py:\d+"):
        again(-3.0)


def test_guards_look_as_they_did(back):
    def f(x):
        if (x > 0).all() and round(x[0]) == 0 and int(x[1] * 10) == 3 and x.argmax() == 4:
            return x[int(np.floor(x[2] * 8))]
        return x[0]
    again = back(ft.trace(f, V))
    assert again(V) == V[4]
    for moved in (-V, V + 0.45 * (np.arange(5) == 0), V + 0.1 * (np.arange(5) == 1), V[::-1].copy()):
        with pytest.raises(ft.GuardError):
            again(moved)


def test_trees_of_arguments_and_results(back):
    def f(p, *, spring, w):
        return Pair(p.x * spring.k.sum(), {"a": [p.y * 1.0, w["b"]], ("t", 1): Spring(spring.k * 2, spring.m * 1.0)})
    p, spring, w = Point(1.0, 2.0), Spring(V, 0.5), collections.OrderedDict(b=M)
    program = ft.trace(f, p, spring=spring, w=w)
    again = back(program, types=(Point, Spring, Pair))
    numbers = f(Point(*np.array(p)), spring=Spring(V, np.float64(0.5)), w=w)
    assert same(again(p, spring=spring, w=w), numbers)
    with pytest.raises(TypeError, match="other arguments: argument w="):
        again(p, spring=spring, w={"c": M})


def test_classes_are_found_by_name_or_asked_for(tmp_path):
    program = ft.trace(lambda p: p.x * p.y, Point(1.0, 2.0))
    program.save(tmp_path / "p")
    with pytest.raises(ValueError, match=r"load: .*test_saving\.Point; hand that class to load, as types=\(Point,\)"):
        ft.load(tmp_path / "p")
    with pytest.raises(ValueError, match="Point"):
        ft.load(tmp_path / "p", types=(Spring,))
    other = collections.namedtuple("Point", "x y z")
    with pytest.raises(ValueError, match="fields"):
        ft.load(tmp_path / "p", types=(other,))


def test_fixed_arguments(back):
    f = ft.compile(lambda x, how, k: x * k if how == "times" else x + k, static=("how", 2))
    f(2.0, "times", (1 + 2j).real)
    again = back(f.programs[0])
    assert again(5.0, "times", 1.0) == 5.0
    for value in (3, -2**70, True, None, "ü", b"\0x", 0.1, float("inf"), 2j, np.float32(0.1), np.arange(3), (1, ("a", None)), slice(1, None, 2),
                  Ellipsis, np.dtype("f4"), float, np.int16, frozenset({1, 2})):
        program = ft.compile(lambda x, k: x, static=1)
        program(1.0, value)
        assert back(program.programs[0])(1.0, value) == 1.0


def test_a_fixed_object_goes_into_a_pickle_but_no_file(tmp_path):
    f = ft.compile(lambda x, how: how(x), static=1)
    f(2.0, np.sin)
    with pytest.raises(TypeError, match="<lambda>.save: the program was traced with <ufunc 'sin'>"):
        f.programs[0].save(tmp_path / "p")
    assert not (tmp_path / "p").exists()
    assert pickle.loads(pickle.dumps(f.programs[0]))(0.5, np.sin) == np.sin(0.5)


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("protocol", [2, pickle.HIGHEST_PROTOCOL])
def test_pickles(name, protocol):
    f, example = PROGRAMS[name]
    program = ft.trace(f, *example)
    assert same(pickle.loads(pickle.dumps(program, protocol))(*example), program(*example))


def test_a_pickle_knows_its_classes_and_schedules():
    program = ft.trace(lambda p: Point(p.y, p.x), Point(1.0, 2.0))
    assert same(pickle.loads(pickle.dumps(program))(Point(3.0, 4.0)), Point(np.float64(4.0), np.float64(3.0)))
    scan = ft.trace(lambda x: ft.fori_loop(0, 50, lambda i, c: c * x, x, schedule=ft.schedules.Revolve(3)), 1.01)
    assert pickle.loads(pickle.dumps(scan)).grad()(1.01) == pytest.approx(51 * 1.01**50, rel=1e-13)


def test_a_loaded_program_is_not_traced_and_says_so_in_another_process(tmp_path):
    """The function is not there, and not needed."""
    ft.trace(ft.grad(fuzz.rolled, (0, 1)), 0.3, 0.2).save(tmp_path / "p")
    code = "import sys, fasttape as ft; print(*map(float.hex, map(float, ft.load(sys.argv[1])(0.4, 0.1))))"
    ran = subprocess.run([sys.executable, "-c", code, str(tmp_path / "p")], capture_output=True, text=True, cwd=HERE, check=True)
    assert [float.fromhex(x) for x in ran.stdout.split()] == [float(x) for x in ft.grad(fuzz.rolled, (0, 1))(0.4, 0.1)]


# ---- files of older versions

def test_files_of_version_1_load():
    """Written by fasttape 0.1.0. Expected values are of the mathematics, not of the file."""
    pendulum = ft.load(OLD / "version1-pendulum.fasttape")
    assert pendulum.grad((0, 1))(0.3, -0.1) == pytest.approx(slopes_of_pendulum(0.3, -0.1), rel=1e-8)
    layers = ft.load(OLD / "version1-layers.fasttape")
    w, u, t = np.linspace(-1, 1, 6).reshape(2, 3), np.linspace(0, 1, 3), np.array([0.5, -0.5])
    value, slope = layers(w, u, t)
    error = np.tanh(w @ u) - t
    assert value == pytest.approx((error**2).sum(), rel=1e-14)
    assert slope == pytest.approx(np.outer(2 * error * (1 - np.tanh(w @ u)**2), u), rel=1e-13)


def pendulum(x, v):
    for _ in range(100):
        x, v = x + 0.01 * v, v - 0.01 * np.sin(x)
    return x * x + v * v


def slopes_of_pendulum(x, v):
    """By complex steps."""
    step = 1e-20
    return pendulum(x + 1j * step, v + 0j).imag / step, pendulum(x + 0j, v + 1j * step).imag / step


# ---- bad files

@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "p"
    ft.trace(ft.value_and_grad(lambda x: (np.sin(x) * M[:, 0]).sum()), np.ones(4)).save(path)
    return path.read_bytes()


def load_bytes(data, tmp_path):
    (tmp_path / "bad").write_bytes(data)
    return ft.load(tmp_path / "bad")


def test_every_truncation_is_a_value_error(file, tmp_path):
    for n in [*range(100), *range(100, len(file), 37)]:
        with pytest.raises(ValueError, match="load: "):
            load_bytes(file[:n], tmp_path)


def test_a_file_of_another_version_says_which(file, tmp_path):
    with pytest.raises(ValueError, match="version 2; this fasttape reads version 1"):
        load_bytes(file[:8] + (2).to_bytes(4, "little") + file[12:], tmp_path)


def test_another_file(file, tmp_path):
    for data in (b"", b"fasttape", b"\x80\x04", b"x" * 1000, file[1:]):
        with pytest.raises(ValueError, match="no program|cut off"):
            load_bytes(data, tmp_path)


def test_any_flipped_bit_is_noticed(file, tmp_path):
    rng = random.Random(1)
    for _ in range(300):
        k = rng.randrange(len(file))
        damaged = bytearray(file)
        damaged[k] ^= 1 << rng.randrange(8)
        with pytest.raises(ValueError, match="load: "):
            load_bytes(bytes(damaged), tmp_path)


def test_what_is_no_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        ft.load(tmp_path / "absent")
    with pytest.raises(OSError):
        ft.load(tmp_path)
    with pytest.raises(TypeError):
        ft.load(3.5)


def crafted(file, change):
    header, sections = fuzz.apart(file)
    change(header, sections)
    return fuzz.together(header, sections)


def entries(header, sections, which="run"):
    part = header["parts"][header["main"]][which]
    return np.frombuffer(sections[part["entries"]], np.dtype("u1, u1, <u2, <i4, <i4, <i4, <i4"))


def set_entry(field, value, op=None):
    def change(header, sections):
        table = entries(header, sections)
        k = next(k for k in range(len(table)) if op is None or header["ops"][table["f0"][k]] == op)
        table[field][k] = value
    return change


def set_header(key, value):
    def change(header, sections):
        header[key] = value
    return change


def set_part(key, value, which=None):
    def change(header, sections):
        part = header["parts"][header["main"]]
        (part if which is None else part[which])[key] = value
    return change


def set_numbers(name, dtype, place, value):
    def change(header, sections):
        np.frombuffer(sections[header["parts"][header["main"]]["run"][name]], dtype)[place] = value
    return change


CRAFTED = {
    "an operand that is itself": set_entry("f4", 10**6, "sin"),
    "an operand before the first": set_entry("f4", -1, "sin"),
    "no such op": set_entry("f0", 251, "sin"),
    "an op of another kind": set_entry("f0", 0, "input"),
    "no such shape": set_entry("f3", 77, "sin"),
    "no such dtype": set_entry("f1", 9, "sin"),
    "an axis that there is not": set_entry("f6", 1 << 5, "sum"),
    "no such array": set_entry("f5", 99, "input"),
    "a shape of 2**62": set_numbers("shapes", "<i8", -1, 1 << 62),
    "a shape of many axes": set_numbers("shapes", "<i8", 1, 40),
    "a negative extent": set_numbers("shapes", "<i8", -1, -4),
    "no results": set_part("n_result", 5),
    "more arguments than entries": set_part("n_input", 10**9),
    "fewer arguments": set_part("n_input", 0),
    "no parts": set_header("parts", []),
    "a main that is none": set_header("main", 12),
    "a text for a number": set_header("main", "0"),
    "no arguments": set_header("arguments", [5, 0, None, None, None, None, None]),
    "guards that are not there": set_header("guards", [[None, True, ["f", 1]]]),
    "sections beyond the end": lambda header, sections: sections.clear(),
    "no names of ops": set_header("ops", 3),
    "another's names": set_header("ops", ["os.system"]),
    "a class by pickle": set_header("static", {"other": 0}),
    "arrays that are not there": set_part("arrays", [10**6], "run"),
    "callees that are not there": set_part("callees", [0], "run"),
}


@pytest.mark.parametrize("name", CRAFTED)
def test_crafted_files(file, name, tmp_path):
    data = crafted(file, CRAFTED[name])
    with pytest.raises(ValueError, match="load: "):
        load_bytes(data, tmp_path)


@pytest.mark.parametrize("op, value", [("program", 2**31 - 1), ("program", 2**31 - 2), ("program", -1), ("loop", 2**31 - 1), ("loop", -2**31),
                                       ("assemble", 2**31 - 1), ("pack", 2**31 - 1)])
def test_lists_of_operands_that_are_not_there(op, value, tmp_path):
    """As far beyond the last as numbers go, where the next one would be negative."""
    def called(x):
        return ft.scan(lambda y, _: (np.sin(y), None), x, length=3)[0]

    def rolled(x):
        y = x[0]
        for k in range(1, 40):
            y = np.sin(y) * x[k]
        return y

    f = {"program": called, "loop": rolled, "assemble": lambda x: np.concatenate((x[:2], x[5:])), "pack": lambda x: np.stack((x[0] * 2.0, x[1]))}[op]
    ft.trace(f, np.ones(40)).save(tmp_path / "p")
    with pytest.raises(ValueError, match="load: "):
        load_bytes(crafted((tmp_path / "p").read_bytes(), set_entry("f6", value, op)), tmp_path)


@pytest.mark.parametrize("table", [[3], [[0, 8]], [[0, 2**40]] * 20, [[-64, 64]] * 20, [[8, 8]] * 20, [[0, 1.5]] * 20, None])
def test_sections_that_are_not_there(file, table, tmp_path):
    header, sections = fuzz.apart(file)
    with pytest.raises(ValueError, match="load: "):
        load_bytes(fuzz.together({**header, "sections": table}, sections, table=False), tmp_path)


def test_a_header_that_is_deep(file, tmp_path):
    size = int.from_bytes(file[16:24], "little")
    for text in (b"[" * 100000, b"{" * 10, b"null", b"3", b'{"ops": NaN}', b"\xff\xfe", b'{"a":' * 3000 + b"1" + b"}" * 3000):
        rest = len(text).to_bytes(8, "little") + text + file[24 + size:]
        with pytest.raises(ValueError, match="load: "):
            load_bytes(file[:12] + zlib.crc32(rest).to_bytes(4, "little") + rest, tmp_path)


def test_a_small_file_asks_for_little_memory(tmp_path):
    """A packed record may say that it stands for 2**31 entries, and a section of zeros inflates a thousandfold."""
    ft.trace(fuzz.irregular, 0.3, 0.7).save(tmp_path / "p")
    data = (tmp_path / "p").read_bytes()

    def many(header, sections):
        part = header["parts"][0]["record"]
        part["n"] = 2**31 - 300
        stream = zlib.compressobj(9, zlib.DEFLATED, -15)
        sections[part["packed"][0]] = bytearray(stream.compress(b"\xff" * (2**28 // 8 + 1)) + stream.flush())
    with pytest.raises(ValueError, match="no such length"):
        load_bytes(crafted(data, many), tmp_path)


def test_mutated_files():
    """10**5 of them; more by FASTTAPE_FUZZ=count, others by FASTTAPE_FUZZ_SEED."""
    count, seed = int(os.environ.get("FASTTAPE_FUZZ", 100_000)), int(os.environ.get("FASTTAPE_FUZZ_SEED", 0))
    running = [subprocess.Popen([sys.executable, str(HERE / "fuzz.py"), "--count", str(count // 2), "--seed", str(2 * seed + k)],
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=HERE) for k in (0, 1)]
    for process in running:
        said, _ = process.communicate()
        assert process.returncode == 0 and f"{count // 2} files" in said, said[-3000:]
