"""The faces of a summary, and the page: complete, escaped, self-contained, whole or not there."""

import base64
import dataclasses
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest

import mlreg as ml
from mlreg.inference.render import Table
from mlreg.inference.summary import summarize
from mlreg.reports import page

HOSTILE = "<script>alert(1)</script>|*a*_b_`&amp;\"'\nnext"
RNG = np.random.default_rng(0)
X = RNG.standard_normal((60, 2))
Y = X @ [1, 2] + RNG.standard_normal(60)


def hostile():
    return ml.fit(X, Y, names=[HOSTILE, "x" * 80], optimizer=ml.SGD(0.03))


def perfect():
    data = ml.datasets.wampler1()
    return ml.fit(data.formula, data)


FITS = {
    "hostile names": hostile,
    "perfect": perfect,
    "no residual degree of freedom": lambda: ml.fit(X[:3], Y[:3]),
    "scale design": lambda: ml.fit(X, Y, noise=ml.Logistic(), scale="~ x1"),
    "prior": lambda: ml.fit(X, Y, prior=ml.NormalPrior(1.0)),
    "robust": lambda: ml.fit(X, Y).with_covariance("HC3"),
    "dropped": lambda: ml.fit(np.column_stack([X, X[:, 0]]), Y, rank_deficient="drop"),
    "kinks": lambda: ml.fit(X, Y, noise=ml.Laplace()),
    "transform": lambda: ml.fit(X, np.exp(Y), transform="log"),
    "statistics": lambda: ml.fit(ml.SufficientStatistics().update(X, Y)),
}


class Page(HTMLParser):
    """Tags, text and attributes; every element that is opened is closed in order."""

    VOID = ("meta", "br", "img")

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.tags, self.attributes, self.words, self.open = set(), [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += attrs
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


def texts(summary):
    """Every text that a summary holds."""
    for value in vars(summary).values():
        yield from _texts(value)


def _texts(value):
    if isinstance(value, str):
        yield value
    else:
        parts = (value.header, value.rows) if isinstance(value, Table) else value
        for part in parts:
            yield from _texts(part)


@pytest.mark.parametrize("name", FITS)
def test_each_face_says_all_that_the_summary_says(name):
    fit = FITS[name]()
    summary = summarize(fit, 0.9)
    said = {" ".join(text.split()) for text in texts(summary)}
    assert len(said) > 20
    plain = " ".join(fit.summary(0.9).split())
    shown = Page(fit.summary(0.9, format="html"))
    marked = re.sub(r"\\(.)", r"\1", fit.summary(0.9, format="markdown"))
    for text in said:
        assert text in plain
        assert text in shown.text
        assert text in marked
    tags = {"div", "style", "p", "ul", "li", "dl", "dt", "dd"}
    assert shown.tags == tags | {"table", "thead", "tbody", "tr", "th", "td"}


def test_the_notebook_and_str_show_the_same_summary():
    fit = hostile()
    assert fit._repr_html_() == fit.summary(format="html")
    assert str(fit) == fit.summary(format="text") == fit.summary()


def test_markdown_keeps_its_cells_and_its_markup():
    lines = hostile().summary(format="markdown").splitlines()
    rows = [line for line in lines if line.startswith("|")]
    assert len(rows) == 5
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {8}
    (name,) = [row for row in rows if "alert" in row]
    assert not re.search(r"(?<!\\)[<>*_`&]", name)


def test_rich_draws_every_number_whole_and_reads_no_markup():
    console = pytest.importorskip("rich.console")
    fit = ml.fit(X, Y, names=["[red]a[/red]", "[/b]"])

    def drawn(width):
        made = console.Console(width=width, file=None, record=True, color_system=None)
        with made.capture() as capture:
            made.print(fit)
        return capture.get()

    flat = " ".join(drawn(200).split())
    for text in texts(summarize(fit, 0.95)):
        assert " ".join(text.split()) in flat
    assert "…" not in drawn(40)  # a number that is cut off is another number


def test_an_unknown_format_is_refused():
    with pytest.raises(ml.InvalidInput, match="format must be one of 'text', 'html', 'markdown'"):
        ml.fit(X, Y).summary(format="latex")


@pytest.mark.parametrize("name", FITS)
def test_a_page_is_complete_and_loads_and_runs_nothing(name):
    fit = FITS[name]()
    text = page(fit, 0.9)
    shown = Page(text)
    assert "script" not in shown.tags
    for said in texts(summarize(fit, 0.9)):
        assert " ".join(said.split()) in shown.text
    for key, value in shown.attributes:
        assert not key.startswith("on")
        assert key not in ("href", "srcset", "action")
        assert key != "src" or value.startswith("data:image/svg+xml;base64,")
    assert "default-src 'none'" in text
    assert "http:" not in text
    assert "https:" not in text
    for finding in fit.diagnose().findings:
        assert finding.about in shown.text
    assert page(fit, 0.9) == text


def test_the_figures_are_svg_and_stand_by_themselves():
    shown = Page(page(hostile()))
    sources = [value for key, value in shown.attributes if key == "src"]
    assert len(sources) == 3  # residuals, coefficients and the descent
    for source in sources:
        svg = ElementTree.fromstring(base64.b64decode(source.split(",")[1]))
        assert svg.tag == "{http://www.w3.org/2000/svg}svg"
        links = [v for e in svg.iter() for k, v in e.attrib.items() if k.endswith("href")]
        assert all(link.startswith("#") for link in links)


def test_a_loaded_fit_has_a_page_that_says_what_it_lacks(tmp_path):
    fit = ml.fit(X, Y)
    fit.save(tmp_path / "fit.json")
    loaded = ml.load(tmp_path / "fit.json")
    loaded.report(tmp_path / "page.html", 0.8)
    text = (tmp_path / "page.html").read_text("utf-8")
    assert text == page(loaded, 0.8)
    assert "this fit is without its rows" in Page(text).text
    assert Page(text).text.count("10 %") == 1


def test_level_and_order_of_time_reach_the_page():
    fit = ml.fit(X, Y)
    assert "durbin-watson" in Page(page(fit, time_ordered=True)).text
    assert "durbin-watson" not in Page(page(fit)).text
    with pytest.raises(ml.InvalidInput, match="level"):
        page(fit, 95)


@pytest.mark.parametrize(
    ("module", "extra"), [("matplotlib", "mlreg[plots]"), ("statsmodels", "mlreg[diagnostics]")]
)
def test_without_an_extra_the_page_says_how_to_get_it(tmp_path, module, extra):
    program = (
        f"import sys; sys.modules[{module!r}] = None; import mlreg as ml; "
        "d = ml.datasets.norris(); "
        "ml.fit(d.X, d.y, optimizer=ml.Scipy('BFGS')).report('page.html')"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=tmp_path)
    assert extra in Page((tmp_path / "page.html").read_text("utf-8")).text


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError("disk full")])
def test_an_interruption_leaves_the_older_page(tmp_path, monkeypatch, error):
    path = tmp_path / "page.html"
    path.write_text("older")

    def fail(*_):
        raise error

    monkeypatch.setattr("mlreg.reports.page", fail)
    with pytest.raises((KeyboardInterrupt, OSError)):
        ml.fit(X, Y).report(path)
    assert path.read_text() == "older"
    assert list(tmp_path.iterdir()) == [path]


def test_a_page_has_a_place():
    fit = ml.fit(X, Y)
    with pytest.raises(ml.InvalidInput, match="does not exist"):
        fit.report("no/such/folder/page.html")
    with pytest.raises(ml.InvalidInput, match="is a folder"):
        fit.report(".")
    with pytest.raises(ml.InvalidInput, match="is a device"):
        fit.report(os.devnull)


def test_a_link_stays_one(tmp_path):
    there, link = tmp_path / "there.html", tmp_path / "link.html"
    there.write_text("older")
    link.symlink_to(there)
    ml.fit(X, Y).report(link)
    assert link.is_symlink()
    assert there.read_text("utf-8").startswith("<!doctype html>")


def test_the_content_of_a_summary_is_data():
    summary = summarize(ml.fit(X, Y), 0.95)
    assert dataclasses.is_dataclass(summary)
    rows = {row[0]: row[1:] for row in summary.coefficients.rows}
    fit = ml.fit(X, Y)
    assert {name: float(cells[0]) for name, cells in rows.items()} == {
        name: float(f"{value:.10g}") for name, value in zip(fit.names, fit.params, strict=True)
    }


def test_a_page_says_where_rows_are_counted_without_those_left_out(tmp_path):
    path = tmp_path / "d.csv"
    path.write_text("y,x\n" + "".join(f"{(7 * i) % 11},{i if i else ''}\n" for i in range(30)))
    out_of_core = ml.fit("y ~ x", ml.read(path), missing="drop")
    assert "numbered from 0 among those in use" in page(out_of_core)
    assert "numbered from 0 among" not in page(ml.fit("y ~ x", path, missing="drop"))
