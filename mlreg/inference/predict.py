"""What a fit says of new rows."""

import math
import warnings
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from mlreg.data.scale import scale_rows
from mlreg.errors import InvalidInput, NumericalWarning
from mlreg.inference.combination import standard_errors
from mlreg.inference.intervals import t_quantile
from mlreg.inference.prediction import Prediction, new_observation
from mlreg.likelihood.student_t import StudentT

if TYPE_CHECKING:  # a fit comes after inference, not the other way round
    from mlreg.estimate import Fit

__all__ = ["Of", "check_dependence", "predict", "predict_scale", "prediction_error"]

F64 = NDArray[np.float64]
Of = Literal["median", "mean", "transformed"]


def predict(
    fit: "Fit",
    X_new: Any,
    interval: str | None,
    level: float,
    of: Of,
    scale: Any,
    root_precision: F64 | float = 1.0,
) -> F64 | Prediction:
    """`Fit.predict`; and for new observations whose noise has the scale σ/√w, Eq. (1.5)."""
    if interval not in (None, "mean", "prediction"):
        raise InvalidInput(f"interval must be None, 'mean' or 'prediction', not {interval!r}")
    if of not in ("median", "mean", "transformed"):
        raise InvalidInput(f"of must be 'median', 'mean' or 'transformed', not {of!r}")
    transform = None if of == "transformed" else fit.design.transform
    if transform is not None and (interval, of) == ("mean", "mean"):
        raise InvalidInput(
            "limits for the mean of a transformed response are not those of the model "
            "transformed back: take of='median', or of='transformed'"
        )
    if of == "mean" and isinstance(fit.noise, StudentT) and (fit.noise.df or 0) <= 1:
        raise InvalidInput(f"{fit.noise} has no mean: take of='median'")
    rows = fit.design.matrix(X_new)
    check_dependence(fit, rows)
    kept = rows[:, list(fit.rank_report.kept)]
    mean = centre = kept @ fit.solution.theta[: fit.rank]
    of_scale = (transform is not None and of == "mean") or (
        interval == "prediction" and not fit.exact
    )
    if of_scale or scale is not None:
        sigma = predict_scale(fit, X_new, scale)
    if transform is not None:
        centre = np.asarray(
            transform.mean(mean, sigma, fit.noise) if of == "mean" else transform.inverse(mean)
        )
    if interval is None:
        return centre
    df = fit.robust.df if fit.robust else fit.df_resid if fit.exact else math.inf
    error, quantile = standard_errors(fit, kept), t_quantile(level, df)
    if interval == "prediction" and fit.exact:
        error = np.hypot(error, _residual_error(fit) / root_precision)
    half = error * quantile
    if interval == "prediction" and not fit.exact:
        half = new_observation(fit.noise, level, error, sigma / root_precision)
    lower, upper = mean - half, mean + half
    if transform is not None:
        lower, upper = (np.asarray(transform.inverse(limit)) for limit in (lower, upper))
    return Prediction(
        centre, lower, upper, "exact" if fit.exact and not fit.robust else "asymptotic"
    )


def predict_scale(fit: "Fit", X_new: Any, scale: Any = None) -> F64:
    """`Fit.predict_scale`."""
    Z = scale_rows(fit.design, X_new, scale)
    if Z is None:
        return np.full(len(fit.design.matrix(X_new)), fit.sigma)
    if not np.isfinite(fit.scale_params).all():
        return np.full(len(Z), math.nan)  # a perfect fit, or an unbounded likelihood
    with np.errstate(over="ignore"):
        return np.asarray(np.exp(Z @ fit.scale_params))


def prediction_error(fit: "Fit", X_new: Any) -> F64:
    """Standard deviation of new observations about their prediction, Eq. (12.13), shape (m,).

    In units of y; NaN for a perfect fit. Gaussian noise of one scale, a prior or none.
    """
    kept = fit.design.matrix(X_new)[:, list(fit.rank_report.kept)]
    noise = _residual_error(fit) if fit.exact else fit.sigma
    return np.asarray(np.hypot(standard_errors(fit, kept), noise))


def _residual_error(fit: "Fit") -> float:
    """Residual standard error of least squares at the MLE, in units of y; NaN: a perfect fit."""
    assert fit.least_squares is not None
    return float(np.ldexp(fit.least_squares.s or math.nan, fit.R.exponent[-1]))


def check_dependence(fit: "Fit", rows: F64) -> None:
    """Warn where columns that were left out are not what they were in the fit."""
    for d in fit.rank_report.dependent:
        parts = np.array([c * rows[:, j] for c, j in d.terms]).reshape(-1, len(rows))
        x = rows[:, d.column]
        scale = np.abs(x) + np.abs(parts).sum(axis=0)
        off = np.abs(x - parts.sum(axis=0)) > 1e-9 * scale
        if off.any():
            warnings.warn(
                f"{int(off.sum())} rows, first row {int(off.argmax())}, do not obey "
                f"{fit.rank_report.describe(fit.names)!r}, which held in the fit: the fit "
                "cannot tell what happens there, and the prediction ignores "
                f"{fit.names[d.column]!r}",
                NumericalWarning,
                stacklevel=4,
            )
