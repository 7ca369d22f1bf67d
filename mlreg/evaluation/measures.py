"""What unseen rows say of a fit: mean NLL, RMSE, R-squared and coverage, with standard errors."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlreg.data.design import ArrayDesign
from mlreg.estimate import Fit
from mlreg.inference.calibration import log_density
from mlreg.inference.predict import predict
from mlreg.inference.prediction import Prediction
from mlreg.likelihood.blocks import Block, to_numpy, weights
from mlreg.likelihood.transform import Transform

__all__ = [
    "NAMES",
    "Measure",
    "Measures",
    "RowScores",
    "join",
    "mean_of",
    "measures",
    "score",
    "table_of",
]

F64 = NDArray[np.float64]
NAMES = ("nll", "mse", "rmse", "r_squared", "coverage")


class Measure(NamedTuple):
    """A number that was estimated from rows.

    Attributes
    ----------
    value : float
        The estimate.
    std_error : float
        Its standard error; NaN where one observation, or one fold, tells none.
    """

    value: float
    std_error: float


@dataclass(frozen=True)
class Measures:
    """What rows say of fits that have not seen them.

    Attributes
    ----------
    nll : Measure
        Mean NLL per observation, Eq. (13.14), of the response on its own scale: the log score.
    mse, rmse : Measure
        Mean squared difference between y and `Fit.predict`, in units of y², and its root; each
        square times the row's precision weight.
    r_squared : Measure
        1 − MSE over the mean square of y about the mean of these rows: negative where that mean
        foretells them better; NaN of a constant response.
    coverage : Measure
        Share of observations inside their prediction interval.
    """

    nll: Measure
    mse: Measure
    rmse: Measure
    r_squared: Measure
    coverage: Measure


@dataclass(frozen=True, eq=False)
class RowScores:
    """Rows as a fit that has not seen them finds them; all of shape (m,).

    Attributes
    ----------
    frequency, precision : ndarray
        Weights.
    y : ndarray
        Responses on their own scale.
    nll : ndarray
        −log density of each, on that scale.
    error : ndarray
        y less its prediction.
    covered : ndarray
        1 inside the prediction interval, 0 outside, NaN where there is none.
    """

    frequency: F64
    precision: F64
    y: F64
    nll: F64
    error: F64
    covered: F64

    @property
    def n(self) -> int:
        """Observations."""
        return int(self.frequency.sum())


def join(parts: Sequence[RowScores]) -> RowScores:
    """The rows of all parts, in order."""
    names = ("frequency", "precision", "y", "nll", "error", "covered")
    return RowScores(*(np.concatenate([getattr(p, name) for p in parts]) for name in names))


def score(fit: Fit, blocks: Iterable[Block], level: float) -> RowScores:
    """Score rows of the fit's own design, all its columns, in blocks.

    Parameters
    ----------
    fit : Fit
        Of any noise, scale, prior and transform g; the y of the blocks is g(y) already.
    blocks : iterable of Block
        The rows.
    level : float
        Probability of the prediction intervals.
    """
    scale = ArrayDesign(fit.scale_names, False) if fit.scale_names else None
    # the rows are made already: the design that predict sees has nothing left to do
    plain = replace(fit, design=ArrayDesign(fit.names, False, fit.design.response, scale))
    with np.errstate(all="ignore"):  # a fit that diverged may be anything
        return join([_score(plain, block, level, fit.design.transform) for block in blocks])


def _score(fit: Fit, block: Block, level: float, transform: Transform | None) -> RowScores:
    X, t = to_numpy(block.X), to_numpy(block.y)
    k, w = weights(block)
    Z = None if block.Z is None else to_numpy(block.Z)
    limits = predict(fit, X, "prediction", level, "transformed", Z, np.sqrt(w))
    assert isinstance(limits, Prediction)
    scale_rows: F64 = np.ones((len(t), 1)) if Z is None else Z
    log_sigma = scale_rows @ fit.scale_params - 0.5 * np.log(w)
    nll = -log_density(fit.noise, t, limits.mean, log_sigma)
    if fit.status.code in ("perfect-fit", "unbounded"):
        nll = np.full(len(t), math.nan)  # a sigma of zero gives rows no density
    inside = (limits.lower <= t) & (t <= limits.upper)
    covered = np.where(np.isnan(limits.upper - limits.lower), math.nan, inside)
    y, location = t, limits.mean
    if transform is not None:
        nll = nll - transform.log_slope(t)
        y, location = transform.inverse(t), transform.inverse(location)
    return RowScores(k, w, y, nll, y - location, covered)


def measures(rows: RowScores, fold: NDArray[np.int64] | None = None) -> Measures:
    """Means over observations, and their standard errors, Eq. (13.14).

    Parameters
    ----------
    rows : RowScores
        The rows.
    fold : integer array, shape (m,), optional
        Fold of each row. Errors of rows of a fold are those of one fit, and rows of a fold may be
        alike: the standard errors are then from the differences of the folds, and not of the rows.

    Notes
    -----
    The root and the ratio have the standard errors of their linear terms: of RMSE = √MSE that of
    the MSE over 2·RMSE; of A/B that of the mean of (a − b·A/B)/B.
    """

    def measure(values: F64, value: float | None = None) -> Measure:
        found = mean_of(rows, values, fold)
        return found if value is None else Measure(value, found.std_error)

    with np.errstate(all="ignore"):
        squares = rows.precision * rows.error**2
        mse = measure(squares)
        root = math.sqrt(mse.value)
        w = rows.frequency * rows.precision
        about = rows.precision * (rows.y - np.sum(w * rows.y) / np.sum(w)) ** 2
        total = mean_of(rows, about).value if np.ptp(rows.y) > 0 else math.nan
        ratio = mse.value / total
        return Measures(
            nll=measure(rows.nll),
            mse=mse,
            rmse=Measure(root, float(np.float64(mse.std_error) / (2 * root)) if root else 0.0),
            r_squared=measure((squares - about * ratio) / total, 1 - ratio),
            coverage=measure(rows.covered),
        )


def mean_of(rows: RowScores, values: F64, fold: NDArray[np.int64] | None = None) -> Measure:
    """Mean of ``values``, shape (m,), over observations, and its standard error, Eq. (13.14).

    Over n observations √(Σ(v − v̄)²/(n(n − 1))); over K folds √(K/(K − 1)·Σₖ(Σᵢ∈ₖ(v − v̄)/n)²).
    """
    k, n = rows.frequency, rows.n
    with np.errstate(all="ignore"):
        mean = float(np.sum(k * values) / n)
        off = k * (values - mean)
        if fold is None:
            return Measure(mean, float(np.sqrt(np.sum(off**2 / k) / n / np.float64(n - 1))))
        count = np.float64(len(np.unique(fold)))
        squares = np.sum(np.bincount(fold, weights=off) ** 2)
        return Measure(mean, float(np.sqrt(count / (count - 1) * squares) / n))


def table_of(found: Measures, level: float) -> list[str]:
    """Lines of text: each measure and its standard error."""
    names = ["mean NLL", "MSE", "RMSE", "R-squared", f"coverage of {100 * level:g} % intervals"]
    width = max(map(len, names))
    lines = [f"{'':<{width}}{'estimate':>12}{'std. error':>12}"]
    for label, name in zip(names, NAMES, strict=True):
        value, error = getattr(found, name)
        lines.append(f"{label:<{width}}{value:>12.5g}{error:>12.2g}")
    return lines
