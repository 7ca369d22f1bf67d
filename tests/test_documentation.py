"""What is written for readers runs: README's code, its output, and the docstrings' examples."""

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import mlreg

README = Path(__file__).parents[1] / "README.md"


def fences(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README.read_text("utf-8"), re.M | re.S)


def test_readmes_python_runs_and_prints_what_it_says(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    namespace = {}
    for code in fences("python"):
        exec(compile(code, "README.md", "exec"), namespace)
    out = capsys.readouterr().out
    (told,) = fences("text")
    assert told.strip() in out
    assert namespace["fit"].params.shape == (4,)
    ml, X, y = (namespace[k] for k in ("ml", "X", "y"))
    assert str(ml.certify(namespace["sgd"].params, X, y).distance).startswith("1045.01")
    assert round(namespace["sgd"].r_squared, 3) == 0.993
    assert namespace["settled"].status.code == "converged"
    assert namespace["auto"].status.code == "converged"
    assert namespace["auto"].solution.reads < 4


@pytest.mark.parametrize("heading", ["## Run", "## Test"])
def test_readme_has_one_command_line_under_each_heading(heading):
    text = README.read_text("utf-8").split(f"\n{heading}\n")[1].split("\n## ")[0]
    (block,) = re.findall(r"^```bash\n(.*?)^```", text, re.M | re.S)
    assert block.count("\n") == 1


def modules():
    for info in pkgutil.walk_packages(mlreg.__path__, "mlreg."):
        yield info.name


@pytest.mark.parametrize("name", [*modules()])
def test_docstring_examples(name):
    failed, _ = doctest.testmod(importlib.import_module(name))
    assert not failed


def test_there_are_docstring_examples():
    finder = doctest.DocTestFinder()
    found = [
        t for name in modules() for t in finder.find(importlib.import_module(name)) if t.examples
    ]
    assert len(found) >= 7
