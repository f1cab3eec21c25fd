"""README's and the docstrings' examples do what they print."""
import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import numpy as np
import pytest

import fasttape as ft

README = Path(__file__).parents[1] / "README.md"
MODULES = ["fasttape", *(module.name for module in pkgutil.walk_packages(ft.__path__, "fasttape."))]


def failures(examples):
    """Run doctests; return what failed, as doctest reports it."""
    report = []
    runner = doctest.DocTestRunner(verbose=False)
    for example in examples:
        runner.run(example, out=report.append)
    return "".join(report)


def examples_of(name):
    module = importlib.import_module(name)
    return [example for example in doctest.DocTestFinder().find(module, extraglobs={"np": np})
            if example.examples]


def test_readme(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)                     # it saves a program
    text = re.sub(r"(?m)^```.*$", "", README.read_text(encoding="utf-8"))
    examples = doctest.DocTestParser().get_doctest(text, {}, "README.md", str(README), 0)
    assert examples.examples
    assert not failures([examples])


@pytest.mark.parametrize("name", [name for name in MODULES if not name.endswith("__main__")])
def test_docstrings(name):
    if name.endswith(".plots"):
        pytest.importorskip("matplotlib")
    assert not failures(examples_of(name))


@pytest.mark.parametrize("name", ["grad", "value_and_grad", "jvp", "vjp", "jacobian", "hessian", "hvp",
                                  "checkpoint"])
def test_every_transform_has_an_example(name):
    assert any(example.name == f"fasttape.transforms.{name}" for example in examples_of("fasttape.transforms"))
