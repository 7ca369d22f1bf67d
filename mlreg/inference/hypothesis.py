"""Tests of linear hypotheses Lβ = c, contrasts, and joint regions."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtri, fdtri

from mlreg.errors import InvalidInput, InvalidType
from mlreg.inference.combination import combined, joint_root, lengths
from mlreg.inference.equations import hypotheses
from mlreg.inference.intervals import FTest, t_interval, t_p_values, t_quantile, wald
from mlreg.linalg.triangle import solve_upper

if TYPE_CHECKING:  # a fit comes after inference, not the other way round
    from mlreg.estimate import Fit

__all__ = ["Contrasts", "Region", "WaldTest", "contrasts", "region", "wald_test"]

F64 = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Contrasts:
    """Linear combinations Lβ of the coefficients.

    Attributes
    ----------
    names : tuple of str
        What they are, in words.
    estimate, std_error : ndarray, shape (q,)
        In the units of Lβ.
    t_value, p_value : ndarray, shape (q,)
        Of the hypothesis that each is zero; with a prior, which is about none, p values are NaN.
    lower, upper : ndarray, shape (q,)
        Limits at `level`, each for itself, or of all together where they are ``simultaneous``.
    level : float
        Probability that they cover.
    simultaneous : bool
        Whether the limits hold for all these, and all their combinations, together, Eq. (12.15).
    """

    names: tuple[str, ...]
    estimate: F64
    std_error: F64
    t_value: F64
    p_value: F64
    lower: F64
    upper: F64
    level: float
    simultaneous: bool

    def __str__(self) -> str:
        kind = " (all together)" if self.simultaneous else ""
        width = max(len(name) for name in (*self.names, "contrast"))
        head = (
            f"{'contrast':<{width}}  {'estimate':>14}  {'std. error':>12}  {'t':>9}  {'p value':>9}"
        )
        lines = [f"{head}  {100 * self.level:g} % limits{kind}"]
        numbers = zip(
            self.estimate, self.std_error, self.t_value, self.p_value, self.lower, self.upper,
            strict=True,
        )  # fmt: skip
        for name, (b, se, t, p, low, high) in zip(self.names, numbers, strict=True):
            lines.append(
                f"{name:<{width}}  {b:>14.7g}  {se:>12.6g}  {t:>9.4g}  {p:>9.3g}  "
                f"{low:.6g} to {high:.6g}"
            )
        return "\n".join(lines)


@dataclass(frozen=True, eq=False)
class WaldTest:
    """Test of linear hypotheses Lβ = c, Eq. (12.2).

    Attributes
    ----------
    hypothesis : tuple of str
        Each of them, as it was understood.
    estimate, std_error : ndarray, shape (q,)
        Of Lβ − c.
    statistic : float
        F.
    df : int
        q, the number of hypotheses.
    df_resid : float
        Of the denominator; infinite: q F is chi-squared.
    p_value : float
        Probability of a larger F where they are true.
    exact : bool
        Whether that holds at any n (Gaussian noise of one scale, the model's own covariance), or
        as it grows.
    """

    hypothesis: tuple[str, ...]
    estimate: F64
    std_error: F64
    statistic: float
    df: int
    df_resid: float
    p_value: float
    exact: bool

    def __str__(self) -> str:
        if math.isinf(self.df_resid):
            what = f"chi-squared = {self.df * self.statistic:.5g} on {self.df} degrees of freedom"
        else:
            what = f"F = {self.statistic:.5g} on {self.df} and {self.df_resid:g} degrees of freedom"
        how = "exact" if self.exact else "as n grows"
        lines = [f"{'; '.join(self.hypothesis)}", f"  {what}, p value {self.p_value:.3g} ({how})"]
        for text, value, error in zip(self.hypothesis, self.estimate, self.std_error, strict=True):
            lines.append(f"  {text}: off by {value:.6g}, standard error {error:.6g}")
        return "\n".join(lines)


@dataclass(frozen=True, eq=False)
class Region:
    """Joint confidence region of some coefficients: an ellipsoid, Eq. (12.15).

    Attributes
    ----------
    names : tuple of str
        The coefficients.
    centre : ndarray, shape (q,)
        Their estimates.
    root : ndarray, shape (q, q)
        Lower triangle K; KKᵀ is their covariance.
    radius : float
        How many standard errors every combination of them may be off: √(q F).
    level : float
        Probability that the region covers the truth.
    """

    names: tuple[str, ...]
    centre: F64
    root: F64
    radius: float
    level: float

    def contains(self, point: Any) -> bool:
        """Whether a point, shape (q,), is in it."""
        point = _numbers(point, "a point, as numbers")
        if point.shape != self.centre.shape:
            raise InvalidInput(f"a point has {len(self.centre)} numbers: {', '.join(self.names)}")
        z = solve_upper(self.root.T, point - self.centre, transpose=True)
        return bool(z @ z <= self.radius**2)

    @property
    def limits(self) -> F64:
        """The box around it, shape (q, 2): the limits of each coefficient, all together."""
        half = self.radius * lengths(self.root)
        return np.column_stack([self.centre - half, self.centre + half])

    def boundary(self, points: int = 200) -> F64:
        """Points on the ellipse of two coefficients, shape (points, 2)."""
        if len(self.centre) != 2:
            raise InvalidInput(f"a boundary is drawn of two coefficients, not {len(self.centre)}")
        angle = np.linspace(0, 2 * np.pi, points)
        circle = np.column_stack([np.cos(angle), np.sin(angle)])
        return np.asarray(self.centre + self.radius * circle @ self.root.T)


def _given(fit: "Fit", what: Any) -> tuple[F64, F64, tuple[str, ...]]:
    """L, c and words of hypotheses in words, or of a matrix L."""
    if isinstance(what, str) or (
        isinstance(what, (list, tuple)) and what and all(isinstance(w, str) for w in what)
    ):
        L, c, said = hypotheses(fit.names, what)
    else:
        L = np.atleast_2d(_numbers(what, "hypotheses in words, or a matrix of numbers"))
        if L.ndim != 2 or L.shape[1] != len(fit.names) or not len(L) or not np.isfinite(L).all():
            raise InvalidInput(
                f"give hypotheses in words, or a matrix of {len(fit.names)} finite columns, one "
                f"for each of {', '.join(fit.names)}; its shape is {L.shape}"
            )
        if not L.any(axis=1).all():
            raise InvalidInput("a row of zeros says nothing about a coefficient")
        c, said = np.zeros(len(L)), tuple(_words(row, fit.names) for row in L)
    kept = list(fit.rank_report.kept)
    lost = [j for j in range(len(fit.names)) if j not in kept and L[:, j].any()]
    if lost:
        raise InvalidInput(
            f"{fit.names[lost[0]]!r} was left out as dependent ("
            f"{fit.rank_report.describe(fit.names)}): nothing can be said of it"
        )
    return L[:, kept], c, said


def _numbers(values: Any, wanted: str) -> F64:
    """An array of real numbers."""
    try:
        array = np.asarray(values)
        if array.dtype.kind in "biuf":
            return array.astype(np.float64)
    except ValueError:  # lists of unequal lengths
        pass
    raise InvalidType(f"give {wanted}; not {values!r}")


def _words(row: F64, names: Sequence[str]) -> str:
    parts = [f"{value:+g}*{name}" for value, name in zip(row, names, strict=True) if value]
    return (
        " ".join(parts).removeprefix("+").replace("+1*", "+").replace("-1*", "-").removeprefix("1*")
    )


def _combined(fit: "Fit", L: F64) -> tuple[F64, F64, F64 | None]:
    """Lβ, and W and C of its covariance."""
    W, C = combined(fit, L)
    if not np.isfinite(W).all():
        raise InvalidInput(f"this fit has no standard errors: {fit.status}")
    return L @ fit.solution.theta[: fit.rank], W, C


def wald_test(fit: "Fit", what: Any) -> WaldTest:
    """`Fit.test`."""
    if fit.prior is not None:
        raise InvalidInput("a posterior is not about a hypothesis: see contrasts and their limits")
    L, c, said = _given(fit, what)
    estimate, W, C = _combined(fit, L)
    said = tuple(s if "=" in s else f"{s} = 0" for s in said)
    K = joint_root(W, C)
    found: FTest = wald(estimate - c, K, fit.df_quantiles)
    exact = fit.exact and fit.robust is None
    return WaldTest(
        said, estimate - c, lengths(K), found.statistic, len(c), found.df_resid,
        found.p_value, exact,
    )  # fmt: skip


def contrasts(fit: "Fit", what: Any, level: float, simultaneous: bool) -> Contrasts:
    """`Fit.contrasts`."""
    L, c, said = _given(fit, what)
    estimate, W, C = _combined(fit, L)
    estimate, error = estimate - c, lengths(W if C is None else W @ C)
    df = fit.df_quantiles
    lower, upper = t_interval(estimate, error, level, df).T
    if simultaneous:
        unit = W / lengths(W)[:, None]  # whose rank no unit of a row or a column changes
        half = _radius(int(np.linalg.matrix_rank(unit)), level, df) * error
        lower, upper = estimate - half, estimate + half
    with np.errstate(divide="ignore", invalid="ignore"):
        t = estimate / error
    names = tuple(s.removesuffix(" = 0").replace("`", "") for s in said)
    # a posterior is not about a hypothesis
    p = t_p_values(t, df) if fit.prior is None else np.full(len(t), np.nan)
    return Contrasts(names, estimate, error, t, p, lower, upper, level, simultaneous)


def _radius(q: int, level: float, df: float) -> float:
    """√(q F) of Eq. (12.15)."""
    t_quantile(level, df)  # an error where it is no level
    if math.isinf(df):
        return math.sqrt(float(chdtri(q, 1 - level)))
    return math.sqrt(q * float(fdtri(q, df, level)))


def region(fit: "Fit", which: Any, level: float) -> Region:
    """`Fit.confidence_region`."""
    names = tuple(which) if isinstance(which, (list, tuple)) else (which,)
    unknown = [name for name in names if name not in fit.names]
    if unknown or not names or len(set(names)) < len(names):
        raise InvalidInput(
            f"name different coefficients out of {', '.join(fit.names)}, not {list(names)!r}"
        )
    L = np.eye(len(fit.names))[[fit.names.index(name) for name in names]]
    estimate, W, C = _combined(fit, _given(fit, L)[0])
    return Region(
        names, estimate, joint_root(W, C), _radius(len(names), level, fit.df_quantiles), level
    )
