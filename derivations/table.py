"""Which function computes an equation, and which law tests it:  python derivations/table.py

Writes the table in README.md anew: from the headings of the pages, the docstrings that cite an
equation, the functions that fail its check when they are made wrong (faults.py), and the laws of
``mlreg.verify``. The tests fail where the table is not up to date.
"""

import ast
import re
import runpy
from collections.abc import Iterator
from pathlib import Path

from mlreg.verify.laws import LAWS

HERE = Path(__file__).resolve().parent
PACKAGE = HERE.parent / "mlreg"
HEADING = re.compile(r"^### \((\d+\.\d+)\) (.+)$", re.MULTILINE)
CITATION = re.compile(r"Eqs?\. ((?:\(\d+\.\d+\)(?:,? and |, |–)?)+)")
NUMBER = re.compile(r"\d+\.\d+")
START, END = "<!-- the table: python derivations/table.py -->", "<!-- end of the table -->"


def pages() -> list[Path]:
    """The pages, in the order of their numbers."""
    return sorted(HERE.glob("[0-9]*-*.md"), key=lambda page: int(page.name.split("-")[0]))


def citations(text: str) -> list[str]:
    """The numbers that a text cites."""
    return [n for cited in CITATION.findall(text) for n in NUMBER.findall(cited)]


def docstrings() -> Iterator[tuple[str, str, bool]]:
    """(name, docstring, whether public) of everything in the package."""

    def within(node: ast.AST, name: str, public: bool) -> Iterator[tuple[str, str, bool]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, (ast.FunctionDef, ast.ClassDef)):
                inner = f"{name}.{child.name}"
                shown = public and not child.name.startswith("_")
                yield inner, ast.get_docstring(child) or "", shown
                yield from within(child, inner, shown)

    for path in sorted(PACKAGE.rglob("*.py")):
        module = path.relative_to(PACKAGE).with_suffix("").as_posix().replace("/", ".")
        yield from within(ast.parse(path.read_text("utf-8")), module, True)


def anchor(number: str, title: str) -> str:
    """What a code-hosting page makes of the heading."""
    kept = re.sub(r"[^\w\- ]", "", f"({number}) {title}".lower())
    return kept.replace(" ", "-")


def rows() -> Iterator[str]:
    """One line for each equation, in the order of the pages."""
    code = runpy.run_path(str(HERE / "faults.py"))["CODE"]
    cited = [(name, citations(text)) for name, text, public in docstrings() if public]
    for page in pages():
        for number, title in HEADING.findall(page.read_text("utf-8")):
            functions = {name for name, numbers in cited if number in numbers}
            functions |= {name for n, name in code if n == number and "._" not in name}
            laws = [f"`{law.name}`" for law in LAWS.values() if number in law.equations]
            link = f"[({number})]({page.name}#{anchor(number, title)}) {title}"
            named = " ".join(f"`{name}`" for name in sorted(functions))
            yield f"| {link} | {named or '–'} | {' '.join(laws) or '–'} |"


def table() -> str:
    """Everything between the two marks."""
    head = ["| equation | computed by `mlreg.` | law in `mlreg.verify.laws` |", "|---|---|---|"]
    return "\n".join([START, "", *head, *rows(), "", END])


def written(text: str) -> str:
    """The README with the table of today."""
    return text[: text.index(START)] + table() + text[text.index(END) + len(END) :]


if __name__ == "__main__":
    readme = HERE / "README.md"
    readme.write_text(written(readme.read_text("utf-8")), "utf-8")
