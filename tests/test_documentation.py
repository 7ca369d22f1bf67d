"""What is written for readers runs: README's code, its output, and the docstrings' examples."""

import doctest
import importlib
import importlib.util
import pkgutil
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import mlreg

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"

spec = importlib.util.spec_from_file_location("docs_pages", ROOT / "docs/pages.py")
pages = importlib.util.module_from_spec(spec)
spec.loader.exec_module(pages)


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


@pytest.mark.parametrize("heading", ["## Run", "## Test", "## Documentation"])
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


@pytest.mark.parametrize("page", pages.PAGES, ids=lambda page: page.stem)
def test_page_runs_and_prints_what_it_says(page, tmp_path):
    if "import torch" in page.read_text("utf-8"):
        pytest.importorskip("torch")
    for block, out in pages.run(page, tmp_path):
        if block[2] is not None:
            assert pages.same(block[2], out), f"not what this prints:\n{block[0]}\nbut\n{out}"


def test_output_may_differ_by_rounding_only():
    assert pages.same("3.52e-13 standard errors", "1e-16 standard errors")
    assert not pages.same("3.52e-13 standard errors", "3.52e-3 standard errors")
    assert not pages.same("slope 2.001", "slope 2.002")


def test_all_python_of_the_pages_is_run():
    for page in pages.PAGES:
        text = page.read_text("utf-8")
        opened = re.findall(r"^ *(?:```|~~~) *py", text, re.M)
        assert len(opened) == len(pages.BLOCK.findall(text)), page


def test_reference_has_every_public_name():
    from mlreg import plots, verify
    from mlreg.likelihood import gaussian
    from mlreg.optimizers import schedules
    from mlreg.verify import laws

    modules = {"datasets", "likelihood", "plots", "schedules", "verify"}
    names = {f"mlreg.{name}" for name in set(mlreg.__all__) - modules}
    names |= {f"mlreg.plots.{name}" for name in plots.__all__}
    names |= {f"mlreg.likelihood.gaussian.{name}" for name in gaussian.__all__}
    own = set(schedules.__all__) - {"as_schedule", "rates_at"}
    names |= {f"mlreg.schedules.{name}" for name in own}
    names |= {"mlreg.datasets", "mlreg.sklearn.MaximumLikelihoodRegressor"}
    names |= {f"mlreg.verify.{name}" for name in set(verify.__all__) - {"laws"}}
    text = (ROOT / "docs/reference/index.md").read_text("utf-8")
    assert sorted(re.findall(r"^   (mlreg\.\S+)$", text, re.M)) == sorted(names)
    text = (ROOT / "docs/reference/laws.md").read_text("utf-8")
    functions = re.findall(r"autofunction:: mlreg\.verify\.\w+\.(\w+)", text)
    assert sorted(functions) == sorted(laws.LAWS)


class Links(HTMLParser):
    """What a page of the site leads to, what it loads, and where it can be entered."""

    def __init__(self, page):
        super().__init__()
        self.leads, self.loads, self.ids = [], [], set()
        self.feed(page.read_text("utf-8"))

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.ids |= {found[key] for key in ("id", "name") if found.get(key)}
        if tag == "a" and found.get("href"):
            self.leads.append(found["href"])
        elif tag == "link" and found.get("href"):
            self.loads.append(found["href"])
        elif tag not in ("a", "link"):
            self.loads += [found[key] for key in ("src", "srcset", "data") if found.get(key)]


@pytest.mark.slow
def test_site_is_built_strictly_and_is_whole(tmp_path):
    pytest.importorskip("furo")
    site = tmp_path / "site"
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-c", "docs"]
    doctrees = ["-d", str(tmp_path / "doctrees")]
    subprocess.run([*command, *doctrees, ".", str(site)], cwd=ROOT, check=True)

    found = {page: Links(page) for page in site.rglob("*.html")}
    for page in [*pages.PAGES, *(ROOT / "derivations").glob("*.md")]:
        assert site / page.relative_to(ROOT).with_suffix(".html") in found
    for page, links in found.items():
        for address in links.loads:  # the site needs nothing from elsewhere
            parts = urlsplit(address)
            assert parts.scheme in ("", "data"), (page, address)
            assert not parts.netloc, (page, address)
            assert parts.scheme or (page.parent / unquote(parts.path)).exists(), (page, address)
        for address in links.leads:
            parts = urlsplit(address)
            if parts.scheme:
                continue
            to = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            assert to.exists(), (page, address)
            if parts.fragment and to.suffix == ".html":
                assert unquote(parts.fragment) in found[to].ids, (page, address)
    elsewhere = re.compile(r"(@import|url\()[\s\"']*(https?:)?//")
    for style in site.rglob("*.css"):
        assert not elsewhere.search(style.read_text("utf-8")), style
    page = (site / "derivations/5-certificate.html").read_text("utf-8")
    assert page.count("<math") > 100
    assert r"\frac" not in page
