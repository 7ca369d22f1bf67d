"""How far the columns of a design are combinations of each other, and what that costs.

The variance inflation of a coefficient, Eq. (12.14), is how many times larger its variance is than
if its column were orthogonal to the others. Condition indices and the proportions of variance that
belong to them say which columns are collinear together (Belsley, Kuh and Welsch, *Regression
Diagnostics*, 1980, chapter 3). All comes from the triangle of the design; no rows are needed.
"""

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mlreg.errors import InvalidInput
from mlreg.inference.render import align
from mlreg.linalg.triangle import select, solve_upper, unit_columns

if TYPE_CHECKING:  # a fit comes after inference, not the other way round
    from mlreg.estimate import Fit

__all__ = ["Collinearity", "collinearity"]

F64 = NDArray[np.float64]

WEAK = 10.0
"""Condition index from which on a dependence is shown."""


@dataclass(frozen=True, eq=False)
class Collinearity:
    """Variance inflation, condition indices and variance proportions of the p columns of a design.

    Attributes
    ----------
    names : tuple of str
        Names of the columns that were kept; without the constant one where they were centred.
    centred : bool
        Whether indices and proportions are those of the centred columns.
    constant : bool
        Whether there is a constant column: the inflation is then that of the centred columns.
    vif : ndarray, shape (p,)
        1/(1 − R²) of each column on the others, Eq. (12.14); NaN for the constant one.
    terms : tuple of str, length p
        The term of the formula that a column belongs to; its own name without a formula.
    gvif : ndarray, shape (p,)
        Generalised inflation of its term, det C₁ det C₂/det C with the correlations C of all
        columns, C₁ of those of the term and C₂ of the others (Fox and Monette, 1992): the area of
        the confidence ellipse, squared, over that of orthogonal terms. Of a single column: `vif`.
    condition_indices : ndarray, shape (p,)
        Largest singular value of the columns, at unit length, over each; ascending.
    proportions : ndarray, shape (p, p)
        Entry (k, j): part of the variance of coefficient j that belongs to condition index k.
    """

    names: tuple[str, ...]
    centred: bool
    constant: bool
    vif: F64
    terms: tuple[str, ...]
    gvif: F64
    condition_indices: F64
    proportions: F64

    @property
    def term_df(self) -> NDArray[np.intp]:
        """Number of columns of each column's term, shape (p,)."""
        return np.array([self.terms.count(term) for term in self.terms], dtype=np.intp)

    def __str__(self) -> str:
        about = "the mean" if self.constant else "zero: there is no constant column"
        grouped = len(set(self.terms)) < len(self.terms)
        head = ("", "VIF", "R² on the others", *(["GVIF^(1/2df) of the term"] * grouped))
        table = [head]
        for j, name in enumerate(self.names):
            if math.isnan(self.vif[j]):
                continue
            root = self.gvif[j] ** (0.5 / self.term_df[j])
            cells = (f"{self.vif[j]:.4g}", f"{1 - 1 / self.vif[j]:.6g}")
            table.append((name, *cells, *([f"{root:.4g}"] * grouped)))
        lines = [f"variance inflation, about {about}", *align(table)]
        largest = self.condition_indices.max(initial=1.0)
        how = "centred columns" if self.centred else "columns as they are"
        lines.append(f"largest condition index, of {how} at unit length: {largest:.4g}")
        for index, parts in zip(self.condition_indices, self.proportions, strict=True):
            high = np.flatnonzero(parts > 0.5)
            if index >= WEAK and len(high):
                shown = ", ".join(f"{self.names[j]} ({parts[j]:.0%})" for j in high)
                lines.append(f"  at {index:.4g} most of the variance of {shown}")
        return "\n".join(lines)


def collinearity(fit: "Fit", *, centred: bool = False) -> Collinearity:
    """See `Fit.collinearity`."""
    if fit.rank_report.rank < len(fit.rank_report.kept):
        raise InvalidInput(
            "the columns are dependent, and only the prior tells them apart: their variance "
            "inflation is infinite. Leave columns out to see that of the others"
        )
    kept = [fit.names[j] for j in fit.rank_report.kept]
    c = fit.constant
    others = [j for j in range(len(kept)) if j != c]
    first = [] if c is None else [c]
    R = select(fit.R, [*first, *others]).R[: len(kept), : len(kept)]
    R = R if c is None else R[1:, 1:]  # a constant column before them takes out their means
    correlated, _ = unit_columns(R)
    inflation = _inflation(correlated)
    formula = hasattr(fit.design, "formula")
    term = [re.sub(r"\[[^][]*\]", "", name) if formula else name for name in kept]
    vif, gvif = np.full(len(kept), math.nan), np.full(len(kept), math.nan)
    vif[others] = inflation
    for name in set(term):
        columns = [i for i, j in enumerate(others) if term[j] == name]
        gvif[[others[i] for i in columns]] = _generalised(correlated, columns, inflation)
    shown = others if centred else list(range(len(kept)))
    whole = unit_columns(fit.R.R[:-1, :-1])[0]
    indices, proportions = _proportions(correlated if centred else whole)
    names = tuple(kept[j] for j in shown)
    terms = tuple(term[j] for j in shown)
    return Collinearity(
        names, centred, c is not None, vif[shown], terms, gvif[shown], indices, proportions
    )


def _inflation(unit: F64) -> F64:
    """Squared lengths of the rows of the inverse of a triangle of unit columns, Eq. (12.14)."""
    inverse = solve_upper(unit, np.eye(len(unit)))
    return np.asarray(np.square(np.linalg.norm(inverse, axis=1)))


def _generalised(unit: F64, columns: list[int], inflation: F64) -> F64 | float:
    """The generalised inflation of some of the columns."""
    if len(columns) < 2:
        return inflation[columns]
    rest = [j for j in range(len(unit)) if j not in columns]

    def log_volume(of: list[int]) -> float:
        return float(np.sum(np.log(np.abs(np.diagonal(np.linalg.qr(unit[:, of], mode="r"))))))

    all_columns = list(range(len(unit)))
    return math.exp(2 * (log_volume(columns) + log_volume(rest) - log_volume(all_columns)))


def _proportions(unit: F64) -> tuple[F64, F64]:
    """Condition indices of columns at unit length, and the parts of variance of each."""
    if not len(unit):
        return np.zeros(0), np.zeros((0, 0))
    _, size, V = np.linalg.svd(unit)
    parts = np.square(V / size[:, None])
    return size[0] / size, parts / parts.sum(axis=0)
