"""The derivations as a whole: nothing unchecked, nothing dangling, and every planted fault caught."""

import importlib.util
import re
import types
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import sympy as sp

HERE = Path(__file__).resolve().parent
PAGES = sorted(HERE.glob("[0-9]-*.md"))
NUMBER = re.compile(r"\d\.\d+")
CITATION = re.compile(r"Eqs?\. ((?:\(\d+\.\d+\)(?:,? and |, |–)?)+)")

_spec = importlib.util.spec_from_file_location("derivations_loop", HERE / "conftest.py")
assert _spec is not None
assert _spec.loader is not None
loop = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(loop)


def sections(text):
    """(number, text) of each equation of a page."""
    _, *parts = loop.HEADING.split(text)
    return list(zip(parts[::2], parts[1::2], strict=True))


EQUATIONS = {number: page for page in PAGES for number, _ in sections(page.read_text("utf-8"))}


# Bookkeeping


def test_there_are_pages_and_equations():
    assert [page.name[0] for page in PAGES] == list("012345")
    assert len(EQUATIONS) == 34


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
        assert page.name.startswith(number[0]), f"({number}) is in {page.name}"
    for page in PAGES:  # a malformed heading would hide its equation from everything here
        headings = re.findall(r"^###.*", page.read_text("utf-8"), re.MULTILINE)
        assert len(headings) == len(sections(page.read_text("utf-8")))


def citations(text):
    """The numbers that a text cites."""
    return [n for cited in CITATION.findall(text) for n in NUMBER.findall(cited)]


def test_every_citation_in_the_code_exists():
    files = sorted((HERE.parent / "mlreg").rglob("*.py"))
    cited = [(f.name, n) for f in files for n in citations(f.read_text("utf-8"))]
    assert len(cited) > 20
    assert [c for c in cited if c[1] not in EQUATIONS] == []
    assert citations("Eqs. (1.4) and (9.5); Eq. (2.3), and (7.7)") == ["1.4", "9.5", "2.3", "7.7"]


def test_every_reference_in_a_page_exists():
    for page in PAGES:
        prose = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
        missing = set(re.findall(r"\((\d\.\d+)\)", prose)) - set(EQUATIONS)
        assert not missing, f"{page.name}: {missing}"


# Planted faults


def mutations(latex):
    """Every sign turned, digit raised, relation reversed, root or logarithm dropped: one each."""
    swaps = {"+": "-", "-": "+", "<": ">", r"\le": r"\ge", r"\sqrt": "", r"\log": "", r"\top": "1"}
    for match in re.finditer(r"\\[A-Za-z]+|[-+<]|\d", latex):
        token = match.group()
        new = str((int(token) + 1) % 10) if token.isdigit() else swaps.get(token)
        if new is not None:
            yield latex[: match.start()] + new + latex[match.end() :], match.start()


def survives(example, namespace, latex):
    """Whether the check passes all the same with another display."""
    names = dict(namespace)
    try:
        names.update(loop.display(latex))
        exec(compile(str(example.parsed), example.path, "exec"), names)
    except Exception:  # whatever it is, the page fails
        return False
    return True


@pytest.mark.parametrize("page", [q for q in PAGES if q.name[0] != "0"], ids=lambda page: page.name)
def test_a_fault_in_the_display_alone_is_caught(page):
    alive, count, waiting = [], 0, None
    for document, example in loop.run_page(page):
        if example.region.lexemes["arguments"] == "math":
            waiting = str(example.parsed)
        elif waiting is not None:
            before = dict(document.namespace)
            assert survives(example, before, waiting), "the page fails as it is"
            for fault, at in mutations(waiting):
                count += 1
                if survives(example, before, fault):
                    alive.append((example.line, waiting[:at] + ">>" + waiting[at:]))
            waiting = None
        example.evaluate()
    assert not alive, "\n".join(f"line {line}: {text}" for line, text in alive)
    assert count > 20


def copy_with(tmp_path, page, old, new):
    """A copy of a page with one text changed, in a folder of its own."""
    text = (HERE / page).read_text("utf-8")
    assert text.count(old) == 1, f"{old!r} occurs {text.count(old)} times"
    copy = tmp_path / page
    copy.write_text(text.replace(old, new), "utf-8")
    return copy


def evaluate(path):
    for _, example in loop.run_page(path):
        example.evaluate()
