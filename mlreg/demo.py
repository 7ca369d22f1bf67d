"""The textbook's chapter on linear regression, replayed in a terminal: ``mlreg demo``.

Every number is computed while it is told. Each part names its equation in `derivations/`.
"""

import itertools
import math
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

import mlreg as ml
from mlreg.checks import whole
from mlreg.likelihood import gaussian

__all__ = ["demo"]

F64 = NDArray[np.float64]

TRUTH, SIGMA, ROWS, EPOCHS = (4.2, 2.0, -3.4), 0.01, 1000, 10
BARS = " ▁▂▃▄▅▆▇█"


def demo(
    *, seed: int = 0, save: str | Path | None = None, color: bool = False, out: TextIO | None = None
) -> list[Path]:
    """Tell the chapter; the files that were written are returned.

    Parameters
    ----------
    seed : int
        Of the data and of the descents.
    save : path, optional
        A folder for the figures (extra ``plots``); it is made if need be.
    color : bool
        Whether headings are coloured.
    out : text stream, optional
        stdout by default.

    Raises
    ------
    InvalidInput
        A seed that is none.
    MissingDependency
        Figures are wanted, and matplotlib is not installed.
    """
    whole(seed, "seed", 0)
    if save is not None:
        ml.plots.style.require_matplotlib()  # before anything is told
    tell = _Teller(sys.stdout if out is None else out, color)
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((ROWS, 2))
    y = X @ TRUTH[1:] + TRUTH[0] + SIGMA * rng.standard_normal(ROWS)
    _data(tell, X, y)
    _noise(tell, X, y)
    exact = _likelihood(tell, X, y)
    _descents(tell, X, y, seed)
    _certificate(tell, X, y, seed)
    _unseen(tell, exact, rng)
    _heavy(tell, rng, seed)
    written = [] if save is None else _figures(tell, X, y, seed, Path(save))
    tell("", "More: mlreg fit norris; mlreg fit --help; the pages of derivations/.")
    return written


class _Teller:
    def __init__(self, out: TextIO, color: bool) -> None:
        self.out, self.color, self.part = out, color, 0

    def __call__(self, *lines: str) -> None:
        """Lines as they are where they are indented; others are put together and wrapped."""
        for prose, part in itertools.groupby(lines, lambda line: line[:1] not in ("", " ")):
            text = "\n".join(part)
            if prose:
                text = textwrap.fill(" ".join(text.split()), 79)
            print(text, file=self.out)

    def heading(self, text: str, where: str) -> None:
        self.part += 1
        title = f"{self.part}. {text}"
        line = f"{title}{where:>{max(1, 79 - len(title))}}"
        print(
            "",
            f"\033[1;36m{line}\033[0m" if self.color else line,
            "-" * 79,
            sep="\n",
            file=self.out,
        )


def _data(tell: _Teller, X: F64, y: F64) -> None:
    tell.heading("The data", "Eq. (1.1)")
    tell(
        "A thousand rows of y = b + Xw + noise, with b = 4.2, w = (2, -3.4) and noise of standard",
        "deviation 0.01. We shall pretend not to know these numbers. The first rows:",
        "",
        f"  {'x1':>9} {'x2':>9} {'y':>9}",
    )
    for (a, b), c in zip(X[:3], y[:3], strict=True):
        tell(f"  {a:9.4f} {b:9.4f} {c:9.4f}")


def _noise(tell: _Teller, X: F64, y: F64) -> None:
    tell.heading("What is assumed", "Eqs. (1.2), (1.6)")
    mean = TRUTH[0] + float(X[0] @ TRUTH[1:])
    z = (float(y[0]) - mean) / SIGMA
    by_hand = -0.5 * math.log(2 * math.pi) - math.log(SIGMA) - 0.5 * z * z
    found = float(gaussian.log_density(y[:1], np.array([mean]), SIGMA)[0])
    tell(
        "The noise is normal. So each row has a density: high where the line passes near it.",
        "For the first row, at the true line,",
        "",
        f"  z = (y - mean)/sigma = {z:.4f}",
        "  log density = -log(2 pi)/2 - log(sigma) - z^2/2",
        f"              = {by_hand:.6f} by hand, {found:.6f} by mlreg.likelihood.gaussian",
    )


def _likelihood(tell: _Teller, X: F64, y: F64) -> ml.Fit:
    tell.heading("Its negative logarithm is a squared loss", "Eqs. (1.4), (2.1)")
    X1 = np.column_stack([np.ones(ROWS), X])
    exact = ml.fit(X, y)
    tell(
        "The densities of all rows multiplied are the likelihood. Its negative logarithm (NLL)",
        "adds",
        "up; but for constants it is the sum of squared residuals over 2 sigma^2. So the most",
        "probable line is that of least squares, whatever sigma is:",
        "",
        f"  {'line':<24} {'sum of squares':>16} {'NLL at sigma 0.01':>18} {'at 0.05':>12}",
    )
    lines = [("b = 0, w = 0", np.zeros(3)), ("the true one", np.array(TRUTH))]
    for name, params in [*lines, ("least squares", exact.params)]:
        rss = float(np.sum((y - X1 @ params) ** 2))
        nlls = [gaussian.nll(params, sigma, X1, y) for sigma in (0.01, 0.05)]
        tell(f"  {name:<24} {rss:16.6f} {float(nlls[0]):18.3f} {float(nlls[1]):12.3f}")
    tell(
        "", "The maximum-likelihood estimate (MLE), with what the data leave open, Eq. (2.11):", ""
    )
    for name, value, error in zip(exact.names, exact.params, exact.std_errors, strict=True):
        tell(f"  {name:<10} {value:10.5f} give or take {error:.5f}")
    tell(f"  {'sigma':<10} {exact.sigma:10.5f}")
    return exact


def _descents(tell: _Teller, X: F64, y: F64, seed: int) -> None:
    tell.heading("Downhill, with all rows or with a few", "Eqs. (4.2), (4.7), (4.8)")
    tell(
        "Where no formula gives the MLE one goes downhill. Three ways, at the same learning rate,",
        f"0.03, for {EPOCHS} passes over the data. The bars are the logarithm of the distance",
        "from the",
        "MLE in standard errors, after each pass:",
        "",
        f"  {'rows in a step':<16} {'loss':>12} {'distance':>10}   start to end",
    )
    for name, size in (("all (1000)", "full"), ("one", 1), ("32", 32)):
        run = ml.SGD(0.03, batch_size=size, epochs=EPOCHS, seed=seed)  # type: ignore[arg-type]
        fit = ml.fit(X, y, optimizer=run)
        loss = 0.5 * fit.rss / ROWS
        bars = _bars(np.log10(fit.history.distance), -1, 5)
        tell(f"  {name:<16} {loss:12.3g} {fit.history.distance[-1]:10.3g}   {bars}")
    tell(
        "",
        "All rows: a step a pass, hardly begun. One row: there at once, and then it hovers,",
        "for each",
        "row pulls its own way. Some rows: nearly as fast, and it hovers lower.",
    )


def _certificate(tell: _Teller, X: F64, y: F64, seed: int) -> None:
    tell.heading("Are we there?", "Eqs. (5.1), (13.4)")
    book = ml.fit(X, y, optimizer=ml.SGD(0.03, batch_size=32, epochs=3, seed=seed))
    likelihood = ml.LinearLikelihood(np.column_stack([np.ones(ROWS), X]), y)
    rest = ml.predicted_plateau(likelihood, 0.03, batch_size=32)
    tail = ml.fit(X, y, optimizer=ml.SGD(0.03, epochs=40, average="tail", seed=seed))
    tell(
        "The textbook stops after three epochs of minibatches of 32. Its R-squared is",
        f"{book.r_squared:.4f}, and its loss curve is flat. The certificate says:",
        "",
        *(f"  {line}" for line in str(book.certificate).splitlines()[:2]),
        "",
        "so that it is no estimate yet: 0.1 is near enough, and 1 as bad again as the data",
        "leave it.",
        f"At this rate and batch size it will come to rest at {rest:.2g}, says a formula. The",
        "average of",
        f"the last twenty of forty epochs goes on to {tail.certificate.distance:.2g}:",
        f"{tail.status.code}.",
    )


def _unseen(tell: _Teller, exact: ml.Fit, rng: np.random.Generator) -> None:
    tell.heading("And on rows that it has not seen?", "Eqs. (13.13), (13.14)")
    X = rng.standard_normal((ROWS, 2))
    y = X @ TRUTH[1:] + TRUTH[0] + SIGMA * rng.standard_normal(ROWS)
    found = ml.evaluate(exact, (X, y))
    expected = SIGMA * math.sqrt(1 + len(exact.params) / (ROWS - len(exact.params) - 1))
    tell(
        "A thousand fresh rows, foretold by the MLE of the first thousand:",
        "",
        f"  root mean squared error  {found.rmse.value:.6f} "
        f"give or take {found.rmse.std_error:.6f}",
        f"  expected by theory       {expected:.6f} = 0.01 sqrt(1 + p/(n - p - 1)), p = 3",
        f"  95 % intervals cover     {100 * found.coverage.value:.1f} % of them",
        "",
        "Of three coefficients and a thousand rows there is nothing to overfit.",
        "mlreg.learning_curve",
        "shows how that changes with fewer rows.",
    )


def _heavy(tell: _Teller, rng: np.random.Generator, seed: int) -> None:
    tell.heading("Heavy tails, odd units, nothing to tune", "Eqs. (8.5), (13.7), (11.8)")
    units = np.array([1e-4, 1.0, 1e4])
    X = rng.standard_normal((50_000, 3)) * units + 100 * units
    y = X @ (1 / units) + rng.standard_t(4, 50_000)
    fit = ml.fit(X, y, noise=ml.StudentT(4), optimizer=ml.AutoSGD(seed=seed))
    by = ", ".join(f"{what} {n:.2f}" for what, n in fit.solution.reads_by.items() if n)
    tell(
        "Fifty thousand rows, columns of size 0.0001, 1 and 10 000 far from zero, noise of",
        "Student's t",
        "with four degrees of freedom: squared loss is not its NLL, and no learning rate fits all",
        "columns. AutoSGD preconditions its minibatches by a sample and stops when it has arrived:",
        "",
        f"  {fit.status.code}, {fit.certificate.distance:.2g} standard errors from the MLE",
        f"  reads of the data: {fit.solution.reads:.2f} ({by})",
    )


def _figures(tell: _Teller, X: F64, y: F64, seed: int, folder: Path) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    runs = ml.plots.textbook_runs(X, y, passes=5, seed=seed)
    drawn: dict[str, Any] = {
        "loss-epochs.png": ml.plots.loss(*runs),
        "loss-seconds.png": ml.plots.loss(*runs, against="seconds"),
        "path.png": ml.plots.path(*runs),
        "distance.png": ml.plots.distance(*runs),
    }
    tell("", "Figures of gradient descent and of steps of 1, 10 and 100 rows:")
    written = []
    for name, axes in drawn.items():
        target = folder / name
        axes.figure.savefig(target, dpi=150)
        written.append(target)
        tell(f"  {target}")
    return written


def _bars(values: Sequence[float] | F64, low: float, high: float) -> str:
    """A bar for each value, from ``low`` or less (none) to ``high`` or more (a full one)."""
    place = np.clip((np.asarray(values) - low) / (high - low), 0, 1) * (len(BARS) - 1)
    return "".join(BARS[int(i)] for i in np.round(place))
