"""Graphs of programs. What is drawn is read back from the DOT text; what must be drawn follows from the program alone, and
which result depends on which input is found by moving the inputs."""
import graphlib
import html
import os
import re
import shutil
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import hypothesis
import numpy as np
import pytest
from test_programs import PROGRAMS, run, settings

import fasttape as ft

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
import fuzz  # noqa: E402

V = np.linspace(0.1, 0.9, 5)
HOW = [{}, {"fold": True}, {"fold": False}, {"most": 8}, {"fold": True, "most": 8}]


class Drawn:
    """A graph, read back."""

    def __init__(self, program, **how):
        self.dot = str(program.graph(**how))
        found = re.findall(r"^ *(n\d+) \[class=(\w+), label=<(.*)>, tooltip=(\".*?\"), ", self.dot, re.M)
        self.kind = {name: kind for name, kind, _, _ in found}
        self.text = {name: html.unescape(re.sub(r"<.*?>", " ", label)) for name, _, label, _ in found}
        self.edges = re.findall(r"^ *(n\d+) -> (n\d+)", self.dot, re.M)
        assert len(self.kind) == len(found) and {name for edge in self.edges for name in edge} <= set(self.kind)
        self.clusters = self.dot.count("subgraph")
        self.outside = re.findall(r"^  (n\d+) \[", self.dot, re.M)

    def of(self, kind):
        return [name for name in self.outside if self.kind[name] == kind]

    def is_acyclic(self):
        sorter = graphlib.TopologicalSorter(dict.fromkeys(self.kind, ()))
        for tail, head in self.edges:
            sorter.add(head, tail)
        return len(list(sorter.static_order())) == len(self.kind)

    def reached(self, name):
        todo, seen = [name], {name}
        heads = {}
        for tail, head in self.edges:
            heads.setdefault(tail, []).append(head)
        while todo:
            for head in heads.get(todo.pop(), ()):
                if head not in seen:
                    seen.add(head)
                    todo.append(head)
        return seen


def words(program, **how):
    drawn = Drawn(program, **how)
    return [(drawn.kind[name], " ".join(text.split())) for name, text in drawn.text.items()]


# ---- small programs

def test_a_function_of_one_number():
    p = ft.trace(lambda x: x + x**2, 3.0)
    assert words(p) == [("input", "s0 = x float64"), ("elementwise", "s1 = square(s0) float64"),
                        ("elementwise", "s2 = s0 + s1 float64"), ("result", "result = s2")]
    assert Drawn(p).edges == [("n0", "n1"), ("n0", "n2"), ("n1", "n2"), ("n2", "n3")]
    graph = p.graph()
    assert (graph.nodes, graph.edges) == (4, 4) and str(graph) == graph.dot
    assert repr(graph) == "<graph of <lambda>(float) -> float64: 4 nodes, 4 edges>"


def test_nodes_say_what_the_listing_says():
    p = ft.trace(lambda x: (np.sin(x[1:]) * x[:-1]).sum() * 3.0, np.ones(1000)).grad()
    listed = {" ".join(line.split("|")[-1].split()) for line in str(p).splitlines()[1:] if " = " in line}
    drawn = {text.replace("= x ", "= argument 0 ") for kind, text in words(p, fold=False) if kind != "result"}
    assert drawn == listed


def test_edges_say_which_operand_where_the_order_matters():
    p = ft.trace(lambda x, y: (x - y) * (y + x) - 2.0, 1.0, 2.0)
    labels = re.findall(r"(n\d+) -> (n\d+)(?: \[headlabel=<(\w)>)?", p.graph().dot)
    assert labels == [("n0", "n2", "a"), ("n1", "n2", "b"), ("n1", "n3", ""), ("n0", "n3", ""), ("n2", "n4", ""), ("n3", "n4", ""),
                      ("n4", "n5", ""), ("n5", "n6", "")]


def test_names_of_arguments_and_results():
    def f(w, /, rates, *more, scale):
        return {"y": w * scale, "z": [rates["a"], more[0]]}

    p = ft.trace(f, 1.0, {"a": 2.0, 3: 3.0}, 4.0, scale=5.0)
    texts = [text for _, text in words(p)]
    assert [text.split(" = ")[1] for text in texts[:5]] == \
        ["w float64", "rates['a'] float64", "rates[3] float64", "argument 2 float64", "argument scale float64"]
    assert texts[-3:] == ["result['y'] = s5", "result['z'][0] = s1", "result['z'][1] = s3"]
    assert words(ft.trace(lambda a: a * a, 1.0).grad())[0] == ("input", "s0 = a float64")


@pytest.mark.parametrize("how", HOW)
def test_programs_of_little(how):
    assert words(ft.trace(lambda: 1.0), **how) == [("result", "result = 1")]
    assert words(ft.trace(lambda x: (), 1.0), **how) == [("input", "s0 = x float64")]
    assert Drawn(ft.trace(lambda: np.ones(2)), **how).of("known")
    drawn = Drawn(ft.trace(lambda x: (x * 2, x.sum(), x[:0]), np.zeros((0, 3))), **how)
    assert len(drawn.of("result")) in (1, 3) and drawn.is_acyclic()


def test_results_that_are_inputs_repeated_views_and_constants():
    drawn = Drawn(ft.trace(lambda x, y: (y, x, y, 2.0, y[1:]), 1.0, np.ones((2, 3))))
    results = drawn.of("result")
    assert [" ".join(drawn.text[name].split()) for name in results] == \
        ["result[0] = s1", "result[1] = s0", "result[2] = s1", "result[3] = 2", "result[4] = s1[1:]"]
    assert sorted(drawn.edges) == sorted([("n1", results[0]), ("n0", results[1]), ("n1", results[2]), ("n1", results[4])])


def test_guards_are_drawn_with_their_lines():
    p = ft.trace(lambda x: np.sin(x) if x.sum() > 0 else x, V)
    drawn = Drawn(p)
    guard, = drawn.of("guard")
    assert re.search(r"bool\(s\d+\) must be True .*test_graph\.py:\d+", drawn.text[guard])
    assert guard in drawn.reached("n0")


def test_hundreds_of_guards_results_and_inputs_are_folded():
    def f(*x):
        return [value * k if value > 0 else value for k, value in enumerate(x, 2)]

    p = ft.trace(f, *[1.0] * 300)
    drawn = Drawn(p)
    assert len(drawn.kind) <= 100
    assert [drawn.text[name].split()[:2] for name in (*drawn.of("guard"), *drawn.of("result"))] == [["300", "guards"], ["300", "results"]]
    assert "300 inputs" in " ".join(drawn.text.values())
    whole = Drawn(p, fold=False)
    assert (len(whole.of("input")), len(whole.of("guard")), len(whole.of("result"))) == (300, 300, 300)


# ---- runs, loops, calls

def test_runs_are_drawn_around_or_folded():
    p = ft.trace(lambda x: (np.sin(x) * x + 1.0).sum(), np.ones(1000))
    assert Drawn(p).clusters == 1 and "run 0" in Drawn(p).dot
    kind, text = words(p, fold=True)[1]
    assert kind == "run" and text.startswith("run 0: 4 operations s1 ... s4 ")


def test_loops_of_the_optimiser():
    def f(x, y):
        for _ in range(100):
            x, y = x + 0.01 * (x - x * y), y - 0.01 * y * x
        return x

    p = ft.trace(f, 1.0, 2.0)
    drawn, folded = Drawn(p, fold=False), Drawn(p, fold=True)
    assert drawn.clusters == 1 and re.search(r"loop 0, 9\d times", drawn.dot)
    assert "carry" in drawn.kind.values() and re.search(r"next c0 = <b>v\d+", drawn.dot)
    assert len(folded.of("loop")) == 1 and len(folded.kind) < len(drawn.kind)


def loops():
    for schedule in (None, ft.schedules.Revolve(2)):
        yield ft.trace(lambda a, x: ft.scan(lambda c, x: (np.tanh(c * a + x), (c * 2.0, x)), a * 1.0, x, schedule=schedule), 0.3, V)
        yield ft.trace(lambda x: ft.fori_loop(0, 5, lambda i, c: ft.fori_loop(0, 3, lambda j, d: np.sin(d * c) + x, c) + 1.0, x,
                                              schedule=schedule), 0.5)
    yield ft.trace(lambda x: ft.while_loop(lambda c: c < 10.0, lambda c: c * 1.5 + x, x), 0.5)


def programs():
    """Loops, calls and runs, and derivatives of them, to the second order."""
    inner = ft.trace(lambda x, y: (np.sin(x) * y, x), 1.0, 2.0)
    yield ft.trace(lambda u: inner(u, 2.0)[0] + inner(u * u, u)[0], 0.5), (0.5,)
    yield ft.trace(ft.value_and_grad(lambda u: inner(u, 2.0)[0] + inner(u * u, u)[0]), 0.5), (0.5,)
    for p in loops():
        args = (0.3, V) if "float64[5]" in repr(p) else (0.5,)
        yield p, args
        if len(args) == 1:
            yield p.jvp(0), (*args, 1.0)
            yield p.grad(), args
            yield p.value_and_grad(), args
            yield p.hessian(), args
        else:
            f = ft.trace(lambda a, x, p=p: p(a, x)[0] * p(a, x)[1][0].sum(), *args)
            yield f.value_and_grad((0, 1)), args
            yield ft.trace(ft.value_and_grad(f.function, (0, 1)), *args), args
            yield f.hessian(), args
    w = np.cos(np.arange(20.0)).reshape(5, 4)
    mlp = ft.trace(lambda w, x: (np.tanh(x @ w)**2).sum(), w, V)
    yield mlp, (w, V)
    yield mlp.value_and_grad((0, 1)), (w, V)


def leaves(y):
    if isinstance(y, dict):
        return [leaf for part in y.values() for leaf in leaves(part)]
    return [leaf for part in y for leaf in leaves(part)] if isinstance(y, (tuple, list)) else [np.asarray(y)]


def dependence(p, args):
    """By input the results that change with it, wherever one of its numbers is moved."""
    base, out = leaves(p(*args)), []
    for k, x in enumerate(args):
        changed = set()
        for at in range(np.size(x)):
            moved = np.array(x, float)
            moved.flat[at] += 1e-3
            moved = moved if np.ndim(x) else float(moved)
            try:
                y = leaves(p(*args[:k], moved, *args[k + 1:]))
            except ft.GuardError:
                continue
            changed |= {j for j, (a, b) in enumerate(zip(base, y)) if not np.array_equal(a, b, equal_nan=True)}
        out.append(changed)
    return out


def check(p, args, **how):
    """Edges make no cycle, and from each input there is a way to what depends on it."""
    drawn = Drawn(p, **how)
    assert drawn.is_acyclic()
    inputs, results = drawn.of("input"), drawn.of("result")
    for k, changed in enumerate(dependence(p, args)):
        reached = drawn.reached(inputs[k] if len(inputs) == len(args) else inputs[0])
        for j in changed:
            assert results[j if len(results) > 1 else 0] in reached, (k, j, how, drawn.dot)
    return drawn


def test_results_can_be_reached_from_what_they_depend_on():
    for p, args in programs():
        for how in HOW:
            check(p, args, **how)


def test_guards_of_what_is_called():
    inner = ft.trace(lambda x: np.sin(x) if x > 0.2 else x, 1.0)
    p = ft.trace(lambda x: inner(x * 2.0), 1.0)
    for how in HOW:
        drawn = check(p, (1.0,), **how)
        guard, = drawn.of("guard")
        assert guard in drawn.reached("n0") and "store" not in drawn.kind.values()


def test_what_depends_on_an_input_by_earlier_steps_alone():
    p = ft.trace(lambda x: ft.scan(lambda c, x: (x, c), 0.0, x)[1], V)
    assert "by earlier steps" in Drawn(p).dot
    check(p, (V,))


def test_bodies_are_shown_once_each_and_folded_where_asked():
    inner = ft.trace(lambda x: np.sin(x) * x, 1.0)
    p = ft.trace(lambda x: inner(x) + inner(x + 1.0), 1.0)
    assert Drawn(p, fold=False).clusters == 1 and list(Drawn(p).kind.values()).count("call") == 1
    assert Drawn(p, fold=True).clusters == 0 and len(Drawn(p, fold=True).of("call")) == 2
    for _ in range(40):             # 2**40 calls
        p = ft.trace(lambda x, q=p: q(x) + q(x * 2.0), 1.0)
    assert Drawn(p, fold=False).clusters == 41
    assert len(Drawn(p).kind) <= 100


def test_what_a_loop_leaves_for_its_reversal_is_drawn_where_it_does():
    def f(a):
        y, ys = ft.scan(lambda c, x: (np.tanh(c * a + x), c), a * 1.0, V)
        return y * ys.sum()

    drawn = Drawn(ft.trace(f, 0.3).value_and_grad())
    assert drawn.clusters == 2 and "left for the reversal" in drawn.dot and "carry before the step" in drawn.dot
    assert "store" not in Drawn(ft.trace(f, 0.3)).kind.values()


# ---- random programs

@hypothesis.given(PROGRAMS)
@settings
def test_random_programs(program):
    x, y = np.linspace(-1, 1, 12).reshape(3, 4), np.linspace(0.5, 1.5, 3)
    with np.errstate(all="ignore"):
        p = ft.trace(lambda x, y: run(program, (x, y)), x, y)
        check(p, (x, y))
        check(p, (x, y), fold=True, most=8)
        q = p.vjp()
    for how in HOW:
        assert Drawn(q, **how).is_acyclic()


def test_programs_from_files(tmp_path):
    for data in fuzz.corpus():
        (tmp_path / "p").write_bytes(data)
        p = ft.load(tmp_path / "p")
        for how in HOW:
            if how.get("fold") is not False or p.stats().entries < 5000:
                drawn = Drawn(p, **how)
                assert drawn.is_acyclic() and (how.get("fold") is False or len(drawn.kind) <= 100)


# ---- large ones

def irregular(n):
    def f(x, y):
        rng = np.random.default_rng(0)
        values = [x, y]
        for kind, back in zip(rng.integers(0, 3, n).tolist(), rng.integers(1, 9, n).tolist()):
            a, b = values[-1], values[-min(back, len(values))]
            values.append(a * 0.5 + b if kind == 0 else np.sin(a) - b if kind == 1 else a * b + 0.25)
        return values[-1]
    return f


def irregular_arrays(x, n=3000):
    for k in range(n):
        x = np.sin(x) * k if k % 7 in (1, 2, 4) else np.cos(x[::-1]) + k if k % 11 == 3 else x @ MATRIX if k % 97 == 5 else x * 0.5 + x
    return x.sum()


MATRIX = np.cos(np.arange(100.0)).reshape(10, 10)


@pytest.mark.parametrize("most", [8, 30, 80, 200])
@pytest.mark.parametrize("make", [lambda: ft.trace(irregular(5000), 0.3, 0.7), lambda: ft.trace(irregular(5000), 0.3, 0.7).grad((0, 1)),
                                  lambda: ft.trace(irregular_arrays, np.ones(10)), lambda: ft.trace(irregular_arrays, np.ones(10)).grad()])
def test_large_programs_have_small_graphs(make, most):
    p = make()
    for how in ({}, {"fold": True}):
        drawn = Drawn(p, most=most, **how)
        assert drawn.is_acyclic() and most // 8 <= len(drawn.kind) <= 1.25 * most + 4
        for name in drawn.of("input"):
            assert set(drawn.of("result")) <= drawn.reached(name)
        counts = [int(n.replace(",", "")) for text in drawn.text.values() for n in re.findall(r"([\d,]+) operations", text)]
        assert sum(counts) > 0.9 * len(Drawn(p, fold=False).of("elementwise")) or "arrays" in p.__name__


def test_a_million_entries_take_seconds():
    p = ft.trace(irregular(500_000), 0.3, 0.7)
    assert p.stats().entries > 10**6
    start = time.perf_counter()
    drawn = Drawn(p)
    assert time.perf_counter() - start < 10.0
    assert 20 < len(drawn.kind) <= 100 and drawn.is_acyclic()


def test_folded_operations_are_counted():
    p = ft.trace(irregular(3000), 0.3, 0.7)
    whole, folded = Drawn(p, fold=False), Drawn(p)
    counts = [int(n.replace(",", "")) for text in folded.text.values() for n in re.findall(r"([\d,]+) operations", text)]
    single = sum(kind == "elementwise" for kind in folded.kind.values())
    assert sum(counts) + single == list(whole.kind.values()).count("elementwise")
    edges = [edge for edge in folded.edges if folded.kind[edge[1]] == "stretch"]
    assert len(edges) == len(set(edges))


# ---- DOT

HOSTILE = ['a"b', "back\\slash", "new\nline", "<b>&amp;</b>", "]]>", "-->", "\\N\\G", "\x00\x1b\x7f", "\ud800", "ü☃\U0001d518", "\u202e",
           "x" * 500, "", " ", "{}|", "&", "graph", "\ufffe\uffff"]


def hostile():
    return ft.trace(lambda **named: {name: value * 2.0 for name, value in named.items()}, **dict.fromkeys(HOSTILE, 1.0))


def test_names_may_be_anything():
    drawn = Drawn(hostile(), fold=False)
    assert len(drawn.of("input")) == len(drawn.of("result")) == len(HOSTILE)
    drawn.dot.encode()
    assert "a&quot;b" in drawn.dot and "&lt;b&gt;&amp;amp;&lt;/b&gt;" in drawn.dot
    hostile()._repr_html_()
    for label in re.findall(r"label=<(.*?)>[,\]]", drawn.dot):
        ElementTree.fromstring(f"<p>{label}</p>")


def test_another_parser_reads_the_text():
    pydot = pytest.importorskip("pydot")
    for p in (hostile(), ft.trace(lambda x: np.sin(x) if x.sum() > 0 else x, V), *[p for p, _ in programs()][5:8]):
        for how in ({}, {"fold": True}):
            graph, = pydot.graph_from_dot_data(str(p.graph(**how)))
            drawn = Drawn(p, **how)
            assert len(graph.get_edges()) == len(drawn.edges) and len(graph.get_subgraphs()) <= drawn.clusters
            assert {node.get_name() for node in graph.get_nodes()} - {"node", "edge", "graph"} == set(drawn.outside)


@pytest.mark.skipif(shutil.which("dot") is None, reason="graphviz is not installed")
def test_graphviz_draws_it_without_a_word(tmp_path):
    for p in (hostile(), *[p for p, _ in programs()]):
        picture = ElementTree.fromstring(p.graph().svg())
        assert picture.tag.endswith("svg")
        nodes = [x for x in picture.iter() if "node" in x.get("class", "").split()]
        assert len(nodes) == p.graph().nodes
    shown = "".join(ElementTree.fromstring(hostile().graph(fold=False).svg()).itertext())
    for name in ('a"b', "back\\slash", "<b>&amp;</b>", "]]>", "ü☃\U0001d518"):
        assert name in shown.replace("\xa0", " "), name


# ---- files, graphviz, notebooks

@pytest.fixture
def graphviz(monkeypatch, tmp_path):
    """Put a `dot` on the path that does as a script of the shell's says; None for none."""
    if sys.platform == "win32":
        pytest.skip("needs a shell")
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def install(script):
        path = folder / "dot"
        path.unlink(missing_ok=True)
        if script is not None:
            path.write_text(f"#!/bin/sh\n{script}\n")
            path.chmod(0o755)
    return install


P = [lambda x: x + x**2, 3.0]


def test_svg_without_graphviz_says_what_to_install(graphviz):
    graphviz(None)
    p = ft.trace(*P)
    with pytest.raises(RuntimeError, match="apt install graphviz"):
        p.graph().svg()
    assert p.graph()._repr_svg_() is p._repr_svg_() is None


def test_graphviz_that_fails_or_hangs_or_is_none(graphviz):
    p = ft.trace(*P)
    graphviz("echo bad syntax >&2; exit 3")
    with pytest.raises(RuntimeError, match="status 3; it said: bad syntax"):
        p.graph().svg()
    assert p._repr_svg_() is None and "<table" in p._repr_html_()
    graphviz("exit 0")
    with pytest.raises(RuntimeError, match="it said: nothing"):
        p.graph().svg()
    graphviz("exec /bin/sleep 60")
    start = time.perf_counter()
    with pytest.raises(RuntimeError, match=r"longer than 0\.2 s"):
        p.graph().svg(timeout=0.2)
    assert time.perf_counter() - start < 20
    graphviz("/bin/sleep 60")       # its child keeps the pipe open
    start = time.perf_counter()
    with pytest.raises(RuntimeError, match=r"longer than 0\.2 s"):
        p.graph().svg(timeout=0.2)
    assert time.perf_counter() - start < 20
    graphviz(None)
    (Path(os.environ["PATH"]) / "dot").write_text("no program")
    (Path(os.environ["PATH"]) / "dot").chmod(0o755)
    with pytest.raises(RuntimeError, match="graphviz"):
        p.graph().svg()


def test_graphviz_is_given_the_text_and_asked_for_svg(graphviz, tmp_path):
    graphviz(f"echo $* > {tmp_path}/how; /bin/cat > {tmp_path}/given; echo '<svg>ü</svg>'")
    p = ft.trace(lambda x: x * 3.5, 1.0)
    assert p.graph().svg() == "<svg>ü</svg>\n"
    assert (tmp_path / "given").read_text() == str(p.graph()) and "-Tsvg" in (tmp_path / "how").read_text()
    p.graph().save(tmp_path / "p.svg")
    assert (tmp_path / "p.svg").read_text(encoding="utf-8") == "<svg>ü</svg>\n"
    assert p._repr_svg_() == p.graph()._repr_svg_() == "<svg>ü</svg>\n"
    assert p._repr_html_() is p.graph()._repr_html_() is None       # it would be preferred to the picture


def test_files(graphviz, tmp_path):
    graphviz(None)
    graph = ft.trace(*P).graph()
    for name in ("p.dot", "p.gv", "P.DOT"):
        graph.save(tmp_path / name)
        assert (tmp_path / name).read_text(encoding="utf-8") == graph.dot
    with pytest.raises(ValueError, match=r"\.dot, \.gv or \.svg"):
        graph.save(tmp_path / "p.png")
    with pytest.raises(RuntimeError, match="install graphviz"):
        graph.save(tmp_path / "p.svg")
    assert not (tmp_path / "p.svg").exists() and not (tmp_path / "p.png").exists()


def test_the_table_that_notebooks_show_without_graphviz(graphviz):
    graphviz(None)
    p = ft.trace(lambda x, y: (np.sin(x) * x).sum() if x[0] < 2 else y, V, 1.0)
    for shown in (p._repr_html_(), p.graph()._repr_html_()):
        table = ElementTree.fromstring(shown.replace("<br>", "<br/>"))
        rows = [["".join(cell.itertext()) for cell in row] for row in table.iter("tr")]
        assert rows[0] == ["run", "node", "operation", "type"]
        assert rows[1] == ["", "s0", "x", "float64[5]"]
        listed = [line.split(" = ", 1)[1].split() for line in str(p).splitlines() if " = " in line]
        assert len(rows) - 1 == len(listed)
        for row, line in zip(rows[3:], listed[2:]):
            assert " ".join(row[2:]).split() == line
    large = ft.trace(irregular(3000), 0.3, 0.7)._repr_html_()
    assert large.count("<tr>") < 60 and "more entries" in large
    ElementTree.fromstring(hostile()._repr_html_().replace("<br>", "<br/>"))


def test_large_programs_are_not_drawn_unasked(graphviz):
    graphviz("echo '<svg/>'")
    p = ft.trace(irregular(60_000), 0.3, 0.7)
    assert p._repr_svg_() is None and "<table" in p._repr_html_()
    assert p.graph()._repr_svg_()


def test_ipython_shows_the_picture_or_the_table(graphviz):
    formatters = pytest.importorskip("IPython.core.formatters")
    p = ft.trace(*P)
    graphviz("echo '<svg></svg>'")
    for x in (p, p.graph()):
        shown, _ = formatters.DisplayFormatter().format(x)
        assert set(shown) == {"image/svg+xml", "text/plain"}
    graphviz(None)
    for x in (p, p.graph()):
        shown, _ = formatters.DisplayFormatter().format(x)
        assert set(shown) == {"text/html", "text/plain"}


def test_bad_arguments():
    p = ft.trace(*P)
    for fold in ("all", None, 1, "True", 0.0):
        with pytest.raises(ValueError, match="fold must be 'auto', True or False"):
            p.graph(fold=fold)
    for most in (True, 8.0, "80"):
        with pytest.raises(TypeError, match="most must be a whole number"):
            p.graph(most=most)
    with pytest.raises(ValueError, match="at least 8"):
        p.graph(most=7)
    assert p.graph(most=np.int64(10)).nodes == 4


def test_drawing_changes_nothing_and_may_be_done_by_threads():
    p = ft.trace(ft.value_and_grad(lambda x: (np.sin(x) * x).sum()), V)
    before, text = p(V), str(p)
    from concurrent.futures import ThreadPoolExecutor
    with ThreadPoolExecutor(4) as pool:
        drawn = set(pool.map(lambda _: p.graph().dot, range(40)))
    assert len(drawn) == 1 and str(p) == text
    np.testing.assert_array_equal(p(V)[1], before[1])
