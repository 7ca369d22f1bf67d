"""The derivations as a whole: nothing unchecked, nothing dangling, every planted fault caught."""

import dataclasses
import functools
import importlib.util
import inspect
import os
import re
import shutil
import string
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path
from pydoc import locate

import pytest
import sympy as sp

from mlreg import certificate
from mlreg.linalg import triangle
from mlreg.verify.laws import LAWS

HERE = Path(__file__).resolve().parent


def load(path):
    """A file of this folder as a module."""
    spec = importlib.util.spec_from_file_location(f"derivations_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


loop, table, faults = (load(HERE / f"{name}.py") for name in ("conftest", "table", "faults"))
PAGES = table.pages()


def number_of(page):
    """9 of 9-scale-and-transform.md."""
    return page.name.split("-")[0]


def sections(text):
    """(number, text) of each equation of a page."""
    _, *parts = loop.HEADING.split(text)
    ends = (re.split(r"^##", part, maxsplit=1, flags=re.MULTILINE)[0] for part in parts[1::2])
    return list(zip(parts[::2], ends, strict=True))


EQUATIONS = {number: page for page in PAGES for number, _ in sections(page.read_text("utf-8"))}


# Bookkeeping


def test_there_are_pages_and_equations():
    numbers = list(range(14))
    assert [number_of(page) for page in PAGES] == list(map(str, numbers))
    assert len(PAGES) >= 10
    assert len(EQUATIONS) >= 50


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_equation_is_displayed_once_and_then_checked(page):
    for number, text in sections(page.read_text("utf-8")):
        fences = re.findall(r"^```(\w+)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        assert [language for language, _ in fences] == ["math", "python"], number
        assert "assert " in fences[1][1], f"({number}) asserts nothing"
        assert re.search(r"\b(agree|near|side|holds)\(", fences[1][1]), number
        assert not re.search(r"\\(tag|operatorname|newcommand)\b", fences[0][1]), number


def test_numbers_are_unique_and_belong_to_their_page():
    numbers = [n for page in PAGES for n, _ in sections(page.read_text("utf-8"))]
    assert [n for n, count in Counter(numbers).items() if count > 1] == []
    for number, page in EQUATIONS.items():
        assert number_of(page) == number.split(".")[0], f"({number}) is in {page.name}"
    for page in PAGES:  # a malformed heading would hide its equation from everything here
        text = page.read_text("utf-8")
        headings = re.findall(r"^###.*", text, re.MULTILINE)
        exercises = re.findall(rf"^### Exercise {number_of(page)}[A-Z]: \S", text, re.MULTILINE)
        assert len(headings) == len(sections(text)) + len(exercises), page.name


def test_each_display_has_a_check_of_its_own():
    """Also outside the numbered equations: in the answers to exercises."""
    for page in PAGES:
        text = page.read_text("utf-8")
        assert "$$" not in text, f"{page.name}: a display that no check reads"
        fences = re.findall(r"^```(math|python)$", text, re.MULTILINE)
        for first, second in pairwise([*fences, None]):
            assert first != "math" or second == "python", page.name


@pytest.mark.parametrize("page", PAGES[1:], ids=lambda page: page.name)
def test_each_page_asks_a_question_shows_it_and_ends_with_exercises(page):
    text = page.read_text("utf-8")
    title, question = text.split("\n\n")[:2]
    assert re.fullmatch(rf"# {number_of(page)}\. .+", title)
    assert re.match(r"\*[^*]*\?[^*]*\*", question)
    assert re.search(r"^!\[[^]]{20,}\]\(figures/[\w-]+\.svg\)$", text, re.MULTILINE), "no picture"
    body, exercises = re.split(r"^## Exercises$", text, flags=re.MULTILINE)
    assert "<details>" not in body
    parts = re.split(r"^### Exercise \d+([A-Z]): ", exercises, flags=re.MULTILINE)
    assert parts[1::2] == list(string.ascii_uppercase[: len(parts) // 2])
    assert len(parts) > 4
    for letter, exercise in zip(parts[1::2], parts[2::2], strict=True):
        asked, answer = exercise.split("<details>\n<summary>Answer</summary>\n\n")
        assert "```" not in asked, letter
        assert answer.rstrip().endswith("\n\n</details>"), letter
        assert "assert " in answer, f"the answer to {letter} is not checked"


def test_every_citation_in_the_code_exists():
    files = sorted((HERE.parent / "mlreg").rglob("*.py"))
    cited = [(f.name, n) for f in files for n in table.citations(f.read_text("utf-8"))]
    cited += [(law.name, n) for law in LAWS.values() for n in law.equations]
    assert len(cited) > 20
    assert [c for c in cited if c[1] not in EQUATIONS] == []
    assert table.citations("Eqs. (1.4) and (9.5); Eq. (2.3)") == ["1.4", "9.5", "2.3"]


def test_every_reference_in_a_page_exists():
    for page in PAGES:
        prose = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
        missing = set(re.findall(r"\((\d+\.\d+)\)", prose)) - set(EQUATIONS)
        assert not missing, f"{page.name}: {missing}"


def test_every_formula_in_a_public_docstring_cites_its_equation():
    formula = re.compile("[√Σ‖∂½]|⁻¹|ᵀ")
    elsewhere = {"linalg.rank.Dependence", "linalg.triangle.solve_upper"}  # names, not derivations
    found = {
        name: bool(table.citations(text))
        for name, text, public in table.docstrings()
        if public and formula.search(text) and not name.startswith(("verify.", "linalg.products."))
    }
    assert len(found) > 20
    assert {name for name, cites in found.items() if not cites} <= elsewhere


def test_the_table_of_the_readme_is_up_to_date():
    readme = (HERE / "README.md").read_text("utf-8")
    assert table.written(readme) == readme, "run  python derivations/table.py"
    assert table.written(readme.replace("LinearLikelihood.nll", "LinearLikelihood.nil")) == readme
    lines = {line.split("|")[1]: line for line in readme.splitlines() if line.startswith("| [(")}
    assert len(lines) == len(EQUATIONS)
    (nll,) = [line for link, line in lines.items() if "[(1.4)]" in link]
    assert "`likelihood.gaussian.nll`" in nll
    assert "`nll_is_minus_log_density`" in nll


def test_every_picture_is_used_and_as_its_code_draws_it(monkeypatch):
    monkeypatch.syspath_prepend(str(HERE / "figures"))
    pytest.importorskip("matplotlib", reason="pictures are drawn with matplotlib (extra dev)")
    draw = load(HERE / "figures" / "draw.py")
    drawn = draw.pictures()
    assert [name for name, picture in drawn.items() if draw.stale(name, picture)] == []
    shown = [
        name
        for page in PAGES
        for name in re.findall(r"\(figures/([\w-]+)\.svg\)", page.read_text("utf-8"))
    ]
    assert sorted(shown) == sorted(drawn) == sorted(p.stem for p in HERE.glob("figures/*.svg"))


# Planted faults: in the display, in the code, in the check


def passes(example, names):
    """Whether a Python fence runs through in this namespace."""
    try:
        exec(compile(str(example.parsed), example.path, "exec"), names)
    except Exception:  # whatever it is, the page fails
        return False
    return True


def checks(page):
    """(name, display, Python fence, namespace before it) of each display, when both have run."""
    shown = None
    for document, example in loop.run_page(page):
        before = dict(document.namespace)
        example.evaluate()
        if example.region.lexemes["arguments"] == "math":
            shown = str(example.parsed)
            heading = re.findall(r"^##.*$", document.text[: example.region.start], re.MULTILINE)[-1]
            number = loop.HEADING.match(heading)
            name = number[1] if number else f"{heading}, line {example.line}"
        elif shown is not None:
            yield name, shown, example, before
            shown = None


def unnoticed_in_display(shown, example, before):
    """The single faults of a display with which its check passes all the same."""
    for fault, at in faults.mutations(shown):
        try:
            read = loop.display(fault)
        except loop.latex.LatexError:
            continue
        if passes(example, before | read):
            yield f"line {example.line}: {shown[:at]}>>{shown[at:]}"


def wrong(value):
    """A value with a relative error of 1e-9, of triangles in R alone."""
    if isinstance(value, triangle.Triangle):
        return dataclasses.replace(value, R=faults.slightly(value.R))
    if isinstance(value, certificate.LeastSquares):
        return dataclasses.replace(value, triangle=wrong(value.triangle))
    return faults.slightly(value)


def plant(monkeypatch, names, owner, name):
    """Make one function or property of the package wrong by 1e-9, wherever it is known."""
    original = inspect.getattr_static(owner, name)
    if isinstance(original, (property, functools.cached_property)):
        fault = property(lambda self: wrong(original.__get__(self)))
    else:
        fault = functools.wraps(original)(lambda *args, **kwargs: wrong(original(*args, **kwargs)))

    monkeypatch.setattr(owner, name, fault)
    for known, value in list(names.items()):
        if value is original:
            monkeypatch.setitem(names, known, fault)


def unnoticed_in_code(number, example, monkeypatch):
    """The functions that can be wrong by 1e-9 without the check of an equation failing."""
    planted = [name for n, name in faults.CODE if n == number]
    assert planted or number not in EQUATIONS, f"no fault for ({number})"
    for path in planted:
        owner, name = locate(f"mlreg.{path.rpartition('.')[0]}"), path.rpartition(".")[2]
        with monkeypatch.context() as patch:
            plant(patch, example.namespace, owner, name)
            if passes(example, example.namespace):
                yield f"({number}) {path}"


@pytest.mark.parametrize("page", PAGES[1:], ids=lambda p: p.name)
def test_a_fault_in_the_display_alone_or_in_the_code_alone_is_caught(page, monkeypatch):
    monkeypatch.setattr(loop, "MOST", 1)  # a fault is seen at one random point as well as at three
    unnoticed = []
    for name, shown, example, before in checks(page):
        assert sum(1 for _ in faults.mutations(shown)) > 1, name
        assert passes(example, before | loop.display(shown)), f"{name} fails without a fault"
        assert passes(example, example.namespace), f"{name} fails when it is run again"
        unnoticed += unnoticed_in_display(shown, example, before)
        unnoticed += unnoticed_in_code(name, example, monkeypatch)
    assert not unnoticed, "\n".join(unnoticed)


def evaluate(page):
    for _, example in loop.run_page(page):
        example.evaluate()


@pytest.mark.parametrize(("page", "old", "new"), faults.CHECKS)
def test_a_fault_in_the_check_alone_is_caught(tmp_path, monkeypatch, page, old, new):
    monkeypatch.setattr(loop, "MOST", 1)
    text = (HERE / page).read_text("utf-8")
    assert text.count(old) == 1
    copy = tmp_path / page
    copy.write_text(text.replace(old, new), "utf-8")
    with pytest.raises(AssertionError):
        evaluate(copy)


def test_pytest_itself_fails_on_a_copy_with_a_sign_turned(tmp_path):
    folder = tmp_path / "derivations"
    shutil.copytree(
        HERE, folder, ignore=shutil.ignore_patterns("test_*", "__pycache__", "[2-9]-*", "1?-*")
    )
    page = folder / "1-gaussian.md"
    text = page.read_text("utf-8")
    fault = text.replace(r"- \log(\sigma) -", r"+ \log(\sigma) -")
    assert fault != text
    page.write_text(fault, "utf-8")
    command = f"-m pytest -q -p no:cacheprovider --import-mode=importlib --rootdir {tmp_path}"
    paths = os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")])
    run = subprocess.run(
        [sys.executable, *command.split(), folder],
        env=os.environ | {"PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert run.returncode == 1, run.stdout + run.stderr
    assert re.search(r"FAILED .*1-gaussian.md::line:", run.stdout)


# The reader of displays


@pytest.mark.parametrize(
    "text",
    [
        r"\frac{1}{2}\log(2\pi) - \frac{y - \mu}{\sigma^2}",
        r"-\frac{1}{2}\log(2\pi) - \log(\sigma) - \frac{1}{2}\left(\frac{y - \mu}{\sigma}\right)^2",
        r"\sqrt{2n}\log\left(\frac{\sigma}{s}\right)",
        r"1 - \frac{\alpha}{2}",
        r"\frac{n}{2}\log\left(1 + \frac{a^2}{b}\right)",
        r"\binom{n - 1}{2} a - b^{-1}",
        r"-a^2 b/c - (a - b) 2 n^{2 n - 1}",
        r"\frac{2 m}{R^2 + (m - 1)\lambda}",
        r"e^{-a^2/2} \cdot \exp(b - c)",
        r"\sum_{i=1}^{3} i^2 a - b",
    ],
)
def test_the_reader_agrees_with_sympys_own(text):
    pytest.importorskip("antlr4", reason="SymPy's LaTeX parser needs antlr4-python3-runtime 4.11")
    from sympy.parsing.latex import parse_latex

    theirs = parse_latex(f"({text})")  # in brackets, for it would drop what it cannot read
    symbols = sorted(theirs.free_symbols, key=str)
    names = {str(s): sp.Rational(i + 3, 2) for i, s in enumerate(symbols)}
    names |= {"n": sp.Integer(5)} if "n" in names else {}
    values = {s: names[str(s)] for s in symbols if str(s) not in ("pi", "e")}
    theirs = theirs.subs({sp.Symbol("pi"): sp.pi, sp.Symbol("e"): sp.E} | values).doit()
    renamed = {f"{k}_" if k == "lambda" else k: v for k, v in names.items()}
    assert abs(sp.N(theirs - loop.latex.side(text, 0, **renamed), 30)) < 1e-25


def test_the_reader_is_strict():
    side, error = loop.latex.side, loop.latex.LatexError
    for text in ("a b", r"\foo{a}", "a + ", "(a", "a)", "a_0", r"\frac{a}", "a ? 2", "x_0", "2_a"):
        with pytest.raises(error):
            side(text, 0, a=sp.Integer(1), x=[1, 2])


def test_the_reader_knows_matrices_indices_and_sizes():
    latex = loop.latex
    A, v = sp.Matrix([[1, -2], [3, 4]]), sp.Matrix([5, -6])
    assert latex.side(r"A^\top v", 0, A=A, v=v) == A.T * v
    assert latex.side(r"v^\top A^{-1} v", 0, A=A, v=v) == (v.T * A.inv() * v)[0]
    assert latex.side(r"A^{-\top}", 0, A=A) == A.inv().T
    assert latex.side(r"[A^\top]_{ij} - v_{j}", 0, A=A, v=v, i=1, j=2) == 3 + 6
    assert latex.side(r"\|v\|^2", 0, v=v) == 61
    assert latex.size(r"A v - v", 0, A=A, v=v) == sp.Matrix([5 + 12 + 5, 15 + 24 + 6])
    assert latex.side(r"\begin{pmatrix} A & 0 \\ v^\top & 7 \end{pmatrix}", 0, A=A, v=v)[1, 2] == 0
    assert latex.holds(r"a \le b < c, \qquad d = a", 1, a=1, b=1, c=2, d=1)
