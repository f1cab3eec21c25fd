"""Who may know whom: greps of imports and includes, so that the direction is never reversed.

    __init__, __main__ -> transforms, functions, ... -> _core -> csrc -> vmath
"""
import ast
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE, CSRC = ROOT / "fasttape", ROOT / "csrc"

# A module of _core knows those on the lines above its own, not its neighbours on the line.
FLOORS = """
vm sources processors
blocks callee crew executors feed helpers loop tape
buffers needs record
capture columns copies distinct elements entries index loops rows sweep
frozen fuse interleave lane_values packed repeat
runs roll
plan pull push
recompute
optimise state tracer
operate signature views
build protocols subscript
reductions
array
trace
segments
checkpoint forward program reverse
jacobian keep listing
calls lots table
compiled lanes sheet stats
spans
body stretches
many scan
batch verify
graph profile step_data
scan_sweeps
reversal_sweeps saved scan_lanes
scanning
"""
FLOOR = {name: k for k, line in enumerate(FLOORS.split("\n")) for name in line.split()}

# What a module outside _core knows of the package; "_core" is all of that folder.
KNOWN = {
    "__init__": {"batches", "functions", "graph", "inspect", "loops", "numpy", "plots", "program", "schedules", "sparse", "special",
                 "testing", "tradeoff", "transforms", "tree", "_core"},
    "__main__": {"_demo"},
    "transforms": {"schedules", "tree", "_core"},
    "functions": {"_core"},
    "numpy": {"functions", "_core"},
    "plots": {"inspect"},
    "graph": {"_core"},
    "program": {"export", "graph", "inspect", "saving", "schedules", "sparse", "transforms", "_core"},
    "batches": {"program", "_core"},
    "sparse": {"_core"},
    "saving": {"schedules", "_core"},
    "export": {"_core"},
    "loops": {"schedules", "_core"},
    "schedules": set(),
    "tradeoff": {"loops", "plots", "program", "schedules", "transforms", "_core"},
    "tree": set(),
}
CORE_AND_PEERS = {"_core", "functions", "special", "transforms", "tree"}    # of any other module

# (who, what it must not know, why)
FORBIDDEN_IN_C = [
    ("csrc/**/*.[ch]", r"Python\.h|PyObject|numpy/\w+\.h", "C knows neither Python nor NumPy's headers"),
    ("csrc/vmath/*.h", r"ft_(tape|entry|value|shape|view|vm|run|row)\b|\bOP_\w+", "vmath knows nothing of ours"),
    ("csrc/kernels/*.h", r"ft_(tape|entry|value|shape|view|instr|run|step)\b", "kernels see pointers and strides"),
    ("csrc/loop/*.[ch]", r"ft_(tape|entry|value|shape|view|instr|run)\b", "a loop's body is no tape"),
    ("csrc/loop/x86.h", r"ft_(vm|loop)\b|\bOP_\w+", "encodings know no op"),
    ("csrc/tape.h", r'#include "', "layouts alone"),
]
INCLUDES = {                    # folder -> the files of ours that it may include
    "csrc/vmath": r"\w+\.h",
    "csrc/kernels": r"\.\./(vm|vmath|ops)\.h",
    "csrc/loop": r"\.\./(loop|memory|ops|vm)\.h|\w+\.h",
    "csrc/isa": r"\.\./vm\.c",
}


def python_files():
    return sorted(path for path in PACKAGE.rglob("*.py"))


def name_of(path):
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


def imports(path):
    """Yield the dotted names that a Python file imports, relative ones made absolute."""
    package = ["fasttape", *path.relative_to(PACKAGE).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[:len(package) + 1 - node.level] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from ([f"{module}.{alias.name}" for alias in node.names] if module in ("fasttape", "fasttape._core")
                        else [module])


def cython_imports(path):
    """Yield the modules of ours that a Cython file imports or cimports."""
    text = path.read_text(encoding="utf-8")
    for module, names in re.findall(r"^\s*from +(fasttape[\w.]*) +c?import +(\([^)]*\)|.*)", text, re.M):
        if module != "fasttape._core":
            yield module
        else:
            yield from (f"{module}.{name}" for name in re.findall(r"\w+", re.sub(r" as \w+", "", names)))
    for module in re.findall(r"^\s*c?import +(fasttape[\w.]*)", text, re.M):
        yield module


@pytest.mark.parametrize("path", python_files(), ids=name_of)
def test_python_modules_know_whom_they_may(path):
    name = name_of(path)
    if name.startswith("_demo"):
        return
    room = name.split(".")[0]
    ours = {module.split(".")[1] for module in imports(path) if module.startswith("fasttape.")} - {room}
    assert ours <= KNOWN.get(room, CORE_AND_PEERS), f"{name} imports {sorted(ours)}"


def test_the_demonstration_uses_public_names():
    for path in sorted((PACKAGE / "_demo").glob("*.py")):
        for module in imports(path):
            assert not module.startswith("fasttape.") or module.startswith("fasttape._demo"), f"{path.name}: {module}"


@pytest.mark.parametrize("path", python_files(), ids=name_of)
def test_numpy_is_the_only_dependency(path):
    allowed = {"fasttape", "numpy", *sys.stdlib_module_names}
    if name_of(path) in ("_demo.plot", "plots"):
        allowed.add("matplotlib")
    if name_of(path) == "sparse":
        allowed.add("scipy")
    assert {module.split(".")[0] for module in imports(path)} <= allowed


def test_init_has_no_logic():
    for statement in ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8")).body:
        assert isinstance(statement, ast.ImportFrom | ast.Assign | ast.Expr), ast.unparse(statement)
        if isinstance(statement, ast.Assign):
            assert [ast.unparse(target) for target in statement.targets] in (["__version__"], ["__all__"])


@pytest.mark.parametrize("path", sorted(PACKAGE.joinpath("_core").glob("*.p[yx]*")), ids=lambda path: path.name)
def test_core_modules_know_those_below(path):
    if path.suffix not in (".pyx", ".pxd"):
        return
    assert path.stem in FLOOR, f"{path.stem} has no floor in tests/test_house.py"
    for module in cython_imports(path):
        assert module.startswith("fasttape._core."), f"{path.name}: {module} is above _core"
        other = module.split(".")[2]
        assert other == path.stem or FLOOR[other] < FLOOR[path.stem], f"{path.name}: {module} is not below it"


@pytest.mark.parametrize(("files", "pattern", "why"), FORBIDDEN_IN_C, ids=lambda x: x if "/" in x else "")
def test_c_knows_nothing_above_it(files, pattern, why):
    paths = sorted(ROOT.glob(files))
    assert paths
    for path in paths:
        code = re.sub(r"/\*.*?\*/", "", path.read_text(encoding="utf-8"), flags=re.S)
        assert not re.search(pattern, code), f"{path.relative_to(ROOT)}: {why}"


def test_includes_go_down():
    for folder, pattern in INCLUDES.items():
        for path in sorted(ROOT.joinpath(folder).iterdir()):
            for included in re.findall(r'#include "(.*)"', path.read_text(encoding="utf-8")):
                assert re.fullmatch(pattern, included), f"{path.relative_to(ROOT)} includes {included}"


def test_nothing_is_compiled_for_one_processor_or_with_loose_arithmetic():
    flags = ROOT.joinpath("setup.py").read_text(encoding="utf-8")
    assert not re.search(r"-march|-mtune|fast-math|Ofast|/fp:fast", flags)
    assert "-ffp-contract=off" in flags
