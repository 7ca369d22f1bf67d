"""Nested models side by side: what each added column buys."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mlreg.errors import InvalidInput
from mlreg.inference.intervals import f_test
from mlreg.linalg.triangle import scale_columns, select

if TYPE_CHECKING:  # a fit comes after inference, not the other way round
    from mlreg.estimate import Fit

__all__ = ["Anova", "anova", "kept_names", "same_columns"]

F64 = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Anova:
    """Nested Gaussian models, from the smallest to the largest.

    Attributes
    ----------
    added : tuple of tuple of str
        Columns of the first model; then those that each model has beyond the one before.
    df_resid : ndarray of int, shape (k,)
        Residual degrees of freedom.
    rss : ndarray, shape (k,)
        Residual sums of squares.
    log_likelihood, aic, bic : ndarray, shape (k,)
        At the estimates; sigma counts as a parameter.
    f_statistic, p_value : ndarray, shape (k,)
        F test of each model against the one before, with the residual mean square of
        the largest (as R's ``anova``); NaN for the first.
    """

    added: tuple[tuple[str, ...], ...]
    df_resid: NDArray[np.int64]
    rss: F64
    log_likelihood: F64
    aic: F64
    bic: F64
    f_statistic: F64
    p_value: F64

    def __str__(self) -> str:
        head = f"{'df':>8}{'RSS':>14}{'F':>11}{'p value':>10}{'AIC':>13}{'BIC':>13}  columns"
        lines = [head]
        for i, columns in enumerate(self.added):
            f = "" if i == 0 else f"{self.f_statistic[i]:.4g}"
            p = "" if i == 0 else f"{self.p_value[i]:.3g}"
            names = ("+ " if i else "") + ", ".join(columns)
            lines.append(
                f"{self.df_resid[i]:>8}{self.rss[i]:>14.7g}{f:>11}{p:>10}"
                f"{self.aic[i]:>13.7g}{self.bic[i]:>13.7g}  {names}"
            )
        return "\n".join(lines)


def anova(*fits: "Fit") -> Anova:
    """Compare nested fits of the same rows, the smallest first.

    Parameters
    ----------
    *fits : Fit
        Least-squares fits; each has the columns of the one before, and more.

    Returns
    -------
    Anova
        F tests, AIC and BIC.

    Raises
    ------
    InvalidInput
        Fewer than two fits; fits that are not nested, not of the same rows, or not the MLE.

    Examples
    --------
    >>> import mlreg as ml
    >>> longley = ml.datasets.longley()
    >>> stats = ml.SufficientStatistics().update(longley.X, longley.y)
    >>> table = ml.anova(ml.fit(stats, columns=["x6"]), ml.fit(stats))
    >>> round(float(table.f_statistic[1]), 3)
    20.703
    """
    if len(fits) < 2:
        raise InvalidInput("give two fits or more, the smallest first")
    for i, fit in enumerate(fits):
        if not hasattr(fit, "least_squares"):
            raise InvalidInput(f"fit {i} is no Fit but {type(fit).__name__}")
        if not fit.exact:
            raise InvalidInput(
                f"fit {i} is none of least squares (Gaussian noise of one scale, no prior): F "
                "tests are for those. Take likelihood_ratio or compare"
            )
        if fit.status.code != "converged":
            raise InvalidInput(
                f"fit {i} is not the MLE or fits perfectly ({fit.status.code}): its sum of squares "
                "compares with none"
            )
        if fit.robust is not None:
            raise InvalidInput(
                f"the standard errors of fit {i} are {fit.robust.label}: they do not believe in "
                "the sums of squares that are compared here. Test the columns that the larger fit "
                'adds, as fit.test("x2 = x3 = 0"), or take fit.with_covariance("expected")'
            )
    added: list[tuple[str, ...]] = [fits[0].names]
    for i, (smaller, larger) in enumerate(pairwise(fits)):
        missing = [name for name in smaller.names if name not in larger.names]
        if missing or larger.rank <= smaller.rank:
            raise InvalidInput(
                f"fit {i + 1} does not contain fit {i}"
                + (f": it lacks {', '.join(missing)}" if missing else ": it has no more columns")
                + ". Give nested fits, the smallest first"
            )
        if smaller.design.transform != larger.design.transform:
            raise InvalidInput(
                f"the responses of fits {i} and {i + 1} are transformed differently: neither model "
                "is within the other. Compare their AIC or BIC, with compare()"
            )
        if smaller.n_rows != larger.n_rows or not same_columns(smaller, larger):
            raise InvalidInput(
                f"fits {i} and {i + 1} are of other rows, another response, or other columns by "
                f"the same name ({smaller.n_rows} and {larger.n_rows} observations)"
            )
        added.append(tuple(name for name in larger.names if name not in smaller.names))
    last, tests = fits[-1], []
    for smaller, larger in pairwise(fits):
        with np.errstate(all="ignore"):  # in units of the last residual sum of squares
            ratios = [np.square(np.float64(fit.sigma) / last.sigma) for fit in (smaller, larger)]
        more = larger.rank - smaller.rank
        tests.append(f_test(float(ratios[0] - ratios[1]), 1.0, more, last.df_resid))
    return Anova(
        tuple(added),
        np.array([fit.df_resid for fit in fits]),
        _each(fits, "rss"),
        _each(fits, "log_likelihood"),
        _each(fits, "aic"),
        _each(fits, "bic"),
        np.array([np.nan, *(t.statistic for t in tests)]),
        np.array([np.nan, *(t.p_value for t in tests)]),
    )


def _each(fits: Sequence["Fit"], name: str) -> F64:
    return np.array([getattr(fit, name) for fit in fits], dtype=np.float64)


def same_columns(smaller: "Fit", larger: "Fit") -> bool:
    """Whether the columns of both fits have the same inner products, to rounding."""
    parts = []
    names = [name for name in kept_names(smaller) if name in kept_names(larger)]
    for fit in (smaller, larger):
        kept = kept_names(fit)
        parts.append(select(fit.R, [*(kept.index(name) for name in names), len(kept)]))
    a, b = parts
    exponent = np.maximum(a.exponent, b.exponent)
    A, B = (scale_columns(t.R, t.exponent - exponent) for t in parts)
    lengths = np.linalg.norm(A, axis=0)
    slack = 4 * (a.epsilon + b.epsilon) * np.outer(lengths, lengths)
    return bool((np.abs(A.T @ A - B.T @ B) <= slack).all())


def kept_names(fit: "Fit") -> list[str]:
    """Names of the columns of which coefficients were estimated."""
    return [fit.names[j] for j in fit.rank_report.kept]
