"""Models side by side: AIC and BIC, the likelihood of rows, and calibration."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mlreg.data.design import ArrayDesign, responses
from mlreg.errors import InvalidInput
from mlreg.inference.calibration import Scores, ks_test, log_density, pit
from mlreg.likelihood.blocks import to_numpy
from mlreg.likelihood.transform import label, refuse_outside
from mlreg.linalg.triangle import norm

if TYPE_CHECKING:  # a fit comes after inference, not the other way round
    from mlreg.estimate import Fit

__all__ = ["Comparison", "compare"]

F64 = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Comparison:
    """Fits of one response, an entry of each array per fit, in the order in which they were given.

    Attributes
    ----------
    labels : tuple of str
        What each fit is called.
    status : tuple of str
        Why each optimizer stopped: only ``converged`` is the MLE of its model.
    n_rows : int
        Observations of each fit.
    n_parameters : ndarray of int, shape (k,)
        Coefficients, parameters of the scale, and shape parameters that were estimated.
    log_likelihood, aic, bic : ndarray, shape (k,)
        Of the rows of the fit, as densities of the response on its own scale. AIC and BIC are NaN
        for the mode of a posterior (``prior=``), which is no maximum of the likelihood.
    n_scored : int
        Observations that all below is about; 0 where there were none, and all below is NaN.
    held_out : bool
        Whether these are other rows than those of the fits.
    mean_log_likelihood : ndarray, shape (k,)
        Mean over observations of their log density.
    difference, std_error : ndarray, shape (k,)
        By how much the mean log density of the `best` fit is greater, and the standard error of
        that: observations are paired.
    pit_counts : ndarray, shape (k, 10)
        How many values F((y − location)/σ), the probability-integral transform, lie in each tenth
        of (0, 1): all the same, but for chance, where the model is right.
    ks_statistic, ks_p_value : ndarray, shape (k,)
        Kolmogorov and Smirnov's test that these values are uniform. On the rows of the fit, whose
        parameters follow the rows, the p value is too large; on held-out rows it is right, up to
        the error of the estimates.
    """

    labels: tuple[str, ...]
    status: tuple[str, ...]
    n_rows: int
    n_parameters: NDArray[np.int64]
    log_likelihood: F64
    aic: F64
    bic: F64
    n_scored: int
    held_out: bool
    mean_log_likelihood: F64
    difference: F64
    std_error: F64
    pit_counts: F64
    ks_statistic: F64
    ks_p_value: F64

    @property
    def order(self) -> list[int]:
        """Positions of the fits, the best first: on held-out rows by their density, else by AIC."""
        return _order(self.held_out, self.mean_log_likelihood, self.aic)[0]

    @property
    def best(self) -> int | None:
        """Position of the best fit; None where nothing tells, as of modes of posteriors alone."""
        return _order(self.held_out, self.mean_log_likelihood, self.aic)[1]

    def __str__(self) -> str:
        width = max(len(text) for text in self.labels)
        head = f"  {'':<{width}} {'params':>6}{'log-lik':>13}{'AIC':>13}{'BIC':>13}"
        if self.n_scored:
            head += f"{'per row':>12}{'behind':>10}{'s.e.':>9}{'KS':>8}{'p value':>10}"
        lines = [head]
        for i in self.order:
            mark = "*" if i == self.best else " "
            line = f"{mark} {self.labels[i]:<{width}} {self.n_parameters[i]:>6}"
            values = (self.log_likelihood[i], self.aic[i], self.bic[i])
            line += "".join(f"{value:>13.7g}" for value in values)
            if self.n_scored:
                line += f"{self.mean_log_likelihood[i]:>12.5g}{self.difference[i]:>10.3g}"
                line += f"{self.std_error[i]:>9.2g}{self.ks_statistic[i]:>8.3f}"
                line += f"{self.ks_p_value[i]:>10.3g}"
            lines.append(line)
        return "\n".join([*lines, *self._notes()])

    def _notes(self) -> list[str]:
        rows = f"{self.n_scored} held-out rows" if self.held_out else "the rows of the fits"
        by = f"mean log density of {rows}" if self.held_out else "AIC"
        notes = [
            f"{'no best' if self.best is None else '* best'} by {by}; {self.n_rows} rows fitted"
        ]
        if self.n_scored:
            notes.append(
                f"per row, behind the best (paired), KS test of calibration: of {rows}"
                + ("" if self.held_out else ", which makes its p values too large")
            )
        modes = [name for name, aic in zip(self.labels, self.aic, strict=True) if np.isnan(aic)]
        notes += [f"{name}: a prior, so no AIC and BIC" for name in modes]
        why = {"converged": "", "perfect-fit": "a perfect fit, of infinite likelihood"}
        said = [why.get(code, f"not the MLE ({code})") for code in self.status]
        notes += [f"{name}: {text}" for name, text in zip(self.labels, said, strict=True) if text]
        return notes


def compare(*fits: "Fit", data: Any = None, names: Sequence[str] | None = None) -> Comparison:
    """Compare fits of one response: other columns, noise, scale, or transform of the response.

    Parameters
    ----------
    *fits : Fit
        Two or more.
    data : (X, y) or table, optional
        Held-out rows, of which the density and the calibration are found; by default those of
        the fits, where they still have them. Columns of a table are taken by name, the response
        too. In (X, y), y is on its own scale, before any transform. They have precision one.
    names : sequence of str, optional
        What the fits are called.

    Returns
    -------
    Comparison

    Raises
    ------
    InvalidInput
        Fewer than two fits; fits of other rows or of another response.

    Notes
    -----
    Densities are of the response on its own scale, Eqs. (9.10) and (9.11): fits of y and, by
    ``transform="log"``, of log y compare; fits of y and of a column that holds log y do not.

    That the responses are the same is seen row by row where all fits have their rows and no data
    are given, and by their sum of squares and their mean otherwise. Then of fits that differ in
    transform or weights it is not seen.

    Examples
    --------
    >>> import mlreg as ml
    >>> longley = ml.datasets.longley()
    >>> small, large = ml.fit(longley.X[:, :1], longley.y), ml.fit(longley.X, longley.y)
    >>> ml.compare(small, large, names=["one column", "all"]).best
    1
    """
    _check(fits, names)
    held_out = data is not None
    scores: list[Scores] = []
    if held_out:
        scores = [_of_data(fit, i, data) for i, fit in enumerate(fits)]
    elif all(fit.source is not None and fit.source.rereadable for fit in fits):
        scores = [_of_fit(fit) for fit in fits]
        for i, other in enumerate(scores):
            if not scores[0].same_rows(other):
                raise InvalidInput(
                    f"fits 0 and {i} are of other responses, or of other rows or weights, or of "
                    "rows in another order: fit all of them to the same data"
                )
    labels = names if names is not None else [_label(i, fit) for i, fit in enumerate(fits)]
    nan = np.full(len(fits), math.nan)
    mean, difference, error, statistic, p_value = (nan.copy() for _ in range(5))
    counts = np.full((len(fits), 10), math.nan)
    n = scores[0].n if scores else 0
    aic = np.array([math.nan if fit.prior is not None else fit.aic for fit in fits])
    if scores:
        mean = np.array([s.mean(s.log_density) for s in scores])
        best = _order(held_out, mean, aic)[1]
        for i, s in enumerate(scores):
            if best is not None:
                ahead = scores[best].log_density - s.log_density
                difference[i], error[i] = s.mean_and_error(ahead)
            counts[i] = np.histogram(s.pit, 10, (0, 1), weights=s.frequency)[0]
            statistic[i], p_value[i] = ks_test(s.pit, s.frequency)
    return Comparison(
        labels=tuple(map(str, labels)),
        status=tuple(fit.status.code for fit in fits),
        n_rows=fits[0].n_rows,
        n_parameters=np.array([fit.n_parameters for fit in fits]),
        log_likelihood=np.array([fit.log_likelihood for fit in fits]),
        aic=aic,
        bic=np.array([math.nan if fit.prior is not None else fit.bic for fit in fits]),
        n_scored=n,
        held_out=held_out,
        mean_log_likelihood=mean,
        difference=difference,
        std_error=error,
        pit_counts=counts,
        ks_statistic=statistic,
        ks_p_value=p_value,
    )


def _order(held_out: bool, mean: F64, aic: F64) -> tuple[list[int], int | None]:
    """Positions, the best first and those without a number last; and the first that has one."""
    loss = -mean if held_out else aic
    order = [int(i) for i in np.argsort(loss, kind="stable")]
    return order, None if np.isnan(loss).all() else order[0]


def _check(fits: Sequence["Fit"], names: Sequence[str] | None) -> None:
    """Raise for what cannot be compared."""
    if len(fits) < 2:
        raise InvalidInput("give two fits or more")
    for i, fit in enumerate(fits):
        if not hasattr(fit, "rank_report"):
            raise InvalidInput(f"fit {i} is no Fit but {type(fit).__name__}")
    if names is not None and (isinstance(names, str) or len(names) != len(fits)):
        raise InvalidInput(f"names must be {len(fits)} names, one for each fit; not {names!r}")
    for (i, one), (j, other) in combinations(enumerate(fits), 2):
        if one.n_rows != other.n_rows:
            raise InvalidInput(
                f"fits {i} and {j} are of {one.n_rows} and {other.n_rows} observations: "
                "likelihoods of other rows do not compare. Fit both to the same rows "
                "(missing='drop' may have left out different ones)"
            )
        alike = one.design.transform == other.design.transform
        if alike and one.log_precision == other.log_precision and not _same_moments(one, other):
            raise InvalidInput(
                f"fits {i} and {j} are of different responses ({one.design.response!r} and "
                f"{other.design.response!r}), by their sums of squares or means: their likelihoods "
                "do not compare. For y and its logarithm use transform='log'"
            )


def _same_moments(one: "Fit", other: "Fit") -> bool:
    """Whether Σy², and Σy where both have a constant, are the same, to rounding, Eq. (2.6)."""
    a, b = one.R, other.R
    unit = max(int(a.exponent[-1]), int(b.exponent[-1]))
    ya, yb = (np.ldexp(t.R[:, -1], int(t.exponent[-1]) - unit) for t in (a, b))
    slack = 4 * (a.epsilon + b.epsilon) * norm(ya)
    pairs = [(norm(ya), norm(yb))]
    if one.constant is not None and other.constant is not None:
        ca, cb = a.R[:, one.constant], b.R[:, other.constant]
        pairs.append((abs(float(ca @ ya)) / norm(ca), abs(float(cb @ yb)) / norm(cb)))
    return all(abs(p - q) <= slack for p, q in pairs)


def _label(i: int, fit: "Fit") -> str:
    by = [name for name in fit.scale_names if name != "Intercept"]
    scale = f", scale by {', '.join(by)}" if by else ""
    what = label(fit.design.transform, fit.design.response)
    return f"{i}: {what}, {fit.noise}, {fit.rank} columns{scale}"


def _of_fit(fit: "Fit") -> Scores:
    """The rows that it was fitted to."""
    assert fit.source is not None
    kept, beta, gamma = list(fit.rank_report.kept), fit.solution.theta[: fit.rank], fit.scale_params
    known = not fit.scale_names or np.isfinite(gamma).all()  # else it has no maximum
    parts = []
    for block in fit.source.blocks():
        t, location = to_numpy(block.y), to_numpy(block.X)[:, kept] @ beta
        Z = np.ones((len(t), 1)) if block.Z is None else to_numpy(block.Z)
        log_sigma = Z @ gamma if known else np.full(len(t), math.nan)
        if block.precision is not None:
            log_sigma = log_sigma - 0.5 * np.log(to_numpy(block.precision))
        k = np.ones(len(t)) if block.frequency is None else to_numpy(block.frequency)
        parts.append((t, location, log_sigma, k))
    return _scores(fit, *(np.concatenate(part) for part in zip(*parts, strict=True)))


def _of_data(fit: "Fit", i: int, data: Any) -> Scores:
    """Rows that it may not have seen."""
    if isinstance(fit.design.scale, ArrayDesign):
        raise InvalidInput(
            f"the scale of fit {i} was given as an array, which held-out rows lack: give it as a "
            "formula, scale='~ ...'"
        )
    X = data[0] if isinstance(data, tuple) and len(data) == 2 else data
    location = fit.predict(X, of="transformed")
    if not len(location):
        raise InvalidInput("the data has no rows: give some, or leave out data=")
    y = responses(fit.design, data, len(location))
    with np.errstate(divide="ignore"):
        log_sigma = np.log(fit.predict_scale(X))
    transform = fit.design.transform
    if transform is not None:
        refuse_outside(transform, y, fit.design.response)
        y = np.asarray(transform.forward(y))
    return _scores(fit, y, location, log_sigma, np.ones(len(y)))


def _scores(fit: "Fit", t: F64, location: F64, log_sigma: F64, frequency: F64) -> Scores:
    transform = fit.design.transform
    density = log_density(fit.noise, t, location, log_sigma)
    y = t
    if transform is not None:
        density, y = density + transform.log_slope(t), np.asarray(transform.inverse(t))
    return Scores(y, frequency, density, pit(fit.noise, t, location, log_sigma))
