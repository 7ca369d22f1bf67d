"""The report of a fit: one page of HTML that needs nothing else."""

import base64
import html
import io
import os
from collections.abc import Callable, Iterator
from typing import Any

from mlreg._version import __version__
from mlreg.certificate import Certificate
from mlreg.errors import DataNeeded, InvalidInput, MissingDependency
from mlreg.estimate import Fit
from mlreg.files import whole
from mlreg.inference.diagnose import Diagnosis
from mlreg.inference.render import STYLE, Table, html_certificate, html_model, html_table
from mlreg.inference.summary import summarize
from mlreg.likelihood.transform import label

__all__ = ["page", "report"]

# nothing is loaded from elsewhere and nothing runs, whatever a column is called
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"

PAGE_STYLE = """
:root{color-scheme:light}
body{margin:0 auto;max-width:60rem;padding:1rem 1.25rem 3rem;color:#1b1b1b;background:#fff;
font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
h1{font-size:1.6rem;line-height:1.25;margin:.5rem 0;overflow-wrap:anywhere}
h2{font-size:1.2rem;margin:2.2rem 0 .5rem;padding-top:.6rem;border-top:1px solid #ccc}
.state{border-left:.35rem solid;padding:.4rem .8rem;margin:1rem 0;overflow-wrap:anywhere}
.good{border-color:#0072b2;background:#eef6fb}
.bad{border-color:#d55e00;background:#fdf2ea}
.findings li{margin:.6rem 0}
.remedy{color:#555}
figure{margin:1.2rem 0;overflow-x:auto}
figure img{width:100%;min-width:28rem;max-width:44rem;height:auto}
figcaption{color:#555}
footer{margin-top:2.5rem;color:#555;font-size:.9rem;overflow-wrap:anywhere}
""".replace("\n", "")


def report(fit: Fit, path: str | os.PathLike[str], level: float, time_ordered: bool) -> None:
    """See `Fit.report`."""
    with whole(path) as file:
        file.write(page(fit, level, time_ordered))


def page(fit: Fit, level: float = 0.95, time_ordered: bool = False) -> str:
    """The page, as `Fit.report` writes it; the same fit gives the same page.

    Parameters
    ----------
    fit : Fit
        With its rows, or without.
    level, time_ordered
        As of `Fit.report`.
    """
    summary = summarize(fit, level)
    title = html.escape(f"Regression of {label(fit.design.transform, fit.design.response)}")
    kind = "good" if fit.status.ok else "bad"
    parts = [
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f"<style>{PAGE_STYLE}{STYLE}</style></head><body><main class='mlreg'>",
        f"<h1>{title}</h1>",
        f'<p class="state {kind}"><strong>{fit.status.code}:</strong> '
        f"{html.escape(fit.status.message)}</p>",
        _formula(fit),
        f"<h2>Model</h2>{html_model(summary, status=False)}",
        f"<h2>Certificate</h2>{html_certificate(summary)}{_certificate(fit.certificate)}",
        f"<h2>Diagnostics</h2>{''.join(_diagnosis(fit.diagnose(time_ordered=time_ordered)))}",
        f"<h2>Figures</h2>{''.join(_figures(fit))}",
        f"</main><footer>mlreg {__version__}; {html.escape(fit.optimizer)}</footer></body></html>",
    ]
    return "\n".join(parts) + "\n"


def _formula(fit: Fit) -> str:
    formula = getattr(fit.design, "formula", None)
    return "" if formula is None else f"<p><code>{html.escape(formula)}</code></p>"


def _certificate(certificate: Certificate) -> str:
    """What the distance means, and that of each coefficient."""
    unit = "posterior standard deviations" if certificate.posterior else "standard errors"
    goal = "the posterior mode" if certificate.posterior else "the MLE"
    scope = (
        "It holds at any distance."
        if certificate.exact
        else f"It is a statement about the neighbourhood of {goal}; above 1 it only says far."
    )
    numbers = zip(certificate.names, certificate.per_param, certificate.rounding, strict=True)
    rows = tuple((name, f"{far:.3g}", f"{bound:.3g}") for name, far, bound in numbers)
    header = ("", f"from {goal}", "rounding, at most")
    return (
        f"<p>The distance is the largest error over all linear combinations of the coefficients, "
        f"each in its own {unit[:-1]}: up to 0.1 the estimate counts as {goal}. {scope}</p>"
        f"<details><summary>Each coefficient, in {unit}</summary>"
        f"{html_table(Table(header, rows), 'distances')}</details>"
    )


def _diagnosis(diagnosis: Diagnosis) -> Iterator[str]:
    """Findings with their remedies, the tests, and what was not looked at."""
    if diagnosis.ok:
        yield "<p>Nothing wrong was found.</p>"
    else:
        yield '<ol class="findings">'
        for finding in diagnosis.findings:
            what, remedy = str(finding).split("\n", 1)
            yield f'<li>{html.escape(what)}<br><span class="remedy">{html.escape(remedy.strip())}'
            yield "</span></li>"
        yield "</ol>"
    if diagnosis.tests:
        rows = tuple(
            (f"{t.name}: {t.null}", f"{t.statistic:.5g}", f"{t.p_value:.3g}")
            for t in diagnosis.tests
        )
        yield html_table(Table(("hypothesis", "statistic", "p value"), rows), "tests")
        yield (
            "<p>These p values are of each test alone. The findings count all tests: together they "
            f"give a false alarm in at most {diagnosis.level:.2g} of cases.</p>"
        )
    yield f"<p>Looked at: {html.escape(', '.join(diagnosis.looked_at))}.</p>"
    reasons: dict[str, list[str]] = {}
    for what, why in diagnosis.not_looked_at:
        reasons.setdefault(why, []).append(what)
    if reasons:
        lines = (html.escape(f"{', '.join(whats)}: {why}") for why, whats in reasons.items())
        yield f"<p>Not looked at:</p><ul>{''.join(f'<li>{line}</li>' for line in lines)}</ul>"


def _figures(fit: Fit) -> Iterator[str]:
    """Every figure that there is for such a fit, or why there is none."""
    found = list(_drawings(fit))
    if not found:
        yield "<p>There is nothing to draw of this fit.</p>"
    if found and fit.n_missing and not hasattr(fit.source, "row_numbers"):
        yield (
            "<p>Rows are numbered from 0 among those in use: the ones left out for missing values "
            "do not count.</p>"
        )
    for caption, draw in found:
        text = html.escape(caption)
        try:
            image = _svg(draw())
        except (DataNeeded, InvalidInput, MissingDependency) as error:
            yield f"<p>{text}: {html.escape(str(error))}</p>"
        else:
            yield f'<figure><img src="{image}" alt="{text}">'
            yield f"<figcaption>{text}</figcaption></figure>"


def _drawings(fit: Fit) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Captions, and functions that draw a matplotlib Figure."""
    from mlreg import plots

    yield "Residuals", fit.plot
    yield "Coefficients", lambda: plots.coefficients(fit).figure
    if fit.history.unit != "solve":
        name = fit.optimizer.split("(")[0]
        caption = f"Distance after each {fit.history.unit} of {name}"
        yield caption, lambda: plots.distance(fit, labels=[name]).figure


def _svg(figure: Any) -> str:
    """A figure as a data URI, the same each time."""
    import matplotlib

    buffer = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "mlreg"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return f"data:image/svg+xml;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
