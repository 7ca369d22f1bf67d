"""The Python of these pages: run, and its output written below it.

``python docs/pages.py`` brings the output up to date; a test fails where it is not.
"""

import contextlib
import io
import re
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

PAGES = sorted(Path(__file__).resolve().parent.glob("**/*.md"))
# A block of Python; with the text below it, if any, which is what it prints.
BLOCK = re.compile(r"^```python\n(.*?)^```$(?:\n\n^```text\n(.*?)^```$)?", re.M | re.S)

# A number that is zero but for rounding; its digits are the machine's own.
ROUNDING = re.compile(r"\b\d(?:\.\d+)?e-(?:09|[1-9]\d)\b")


def same(told: str, out: str) -> bool:
    """Whether two outputs agree, but for the size of rounding errors."""
    return ROUNDING.sub("tiny", told) == ROUNDING.sub("tiny", out)


def run(page: Path, folder: Path) -> Iterator[tuple[re.Match[str], str]]:
    """Run a page's blocks, in order and in one namespace, and say what each of them prints.

    ``folder`` is where they write their files.
    """
    namespace: dict[str, object] = {}
    for block in BLOCK.finditer(page.read_text("utf-8")):
        out = io.StringIO()
        with contextlib.chdir(folder), contextlib.redirect_stdout(out), warnings.catch_warnings():
            warnings.simplefilter("error")
            exec(compile(block[1], page.name, "exec"), namespace)
        yield block, re.sub(r" +$", "", out.getvalue(), flags=re.M)


def draw(page: Path) -> None:
    """Put the figures that a page draws beside it."""
    with tempfile.TemporaryDirectory() as folder:
        for _ in run(page, Path(folder)):
            pass
        for figure in Path(folder).glob("*.svg"):
            (page.parent / figure.name).write_bytes(figure.read_bytes())


def update(page: Path) -> None:
    """Write what blocks print into the fences of text that stand below them."""
    text = page.read_text("utf-8")
    with tempfile.TemporaryDirectory() as folder:
        for block, out in run(page, Path(folder)):
            if block[2] is not None and not same(block[2], out):
                told = f"```python\n{block[1]}```\n\n```text\n{out}```"
                text = text.replace(block[0], told, 1)
    page.write_text(text, "utf-8")


if __name__ == "__main__":
    for path in PAGES:
        try:
            update(path)
        except ModuleNotFoundError as error:
            print(f"{path.name} is left as it is: {error}")
