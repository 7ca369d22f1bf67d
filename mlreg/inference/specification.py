"""Tests of what least squares assumes, by statsmodels: equal variance, normality, linearity.

Columns and response are centred and scaled before statsmodels sees them. The statistics do not
depend on it, and its pseudo-inverse does not lose the digits that hostile units would cost.
"""

import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc

from mlreg.errors import InvalidInput, MissingDependency
from mlreg.inference.rows import fitted_rows
from mlreg.linalg.products import square, times, whiten

if TYPE_CHECKING:  # a fit comes after inference, not the other way round
    from mlreg.estimate import Fit

__all__ = ["SpecificationKind", "SpecificationTest", "specification_test"]

F64 = NDArray[np.float64]
SpecificationKind = Literal["breusch-pagan", "white", "jarque-bera", "durbin-watson", "reset"]

NUMBERS = 4 * 10**6
"""Numbers that a test holds at once, statsmodels some six times over: of more it takes a sample."""

INDEPENDENT = 1e-6
"""Part of a power of the fitted values that must be left when the columns have explained theirs."""

FEW = 2000
"""Observations up to which the distribution of Jarque and Bera's statistic is simulated."""

DRAWS = 999

NULLS = {
    "breusch-pagan": "the variance of the noise does not change with the columns",
    "white": "the variance of the noise does not change with the columns, squares or products",
    "jarque-bera": "the noise is normal: of skewness 0 and kurtosis 3",
    "durbin-watson": "the noise of a row does not correlate with that of the row before it",
    "reset": "the mean is linear: powers of the fitted values add nothing to the columns",
}


@dataclass(frozen=True)
class SpecificationTest:
    """A test of an assumption.

    Attributes
    ----------
    name : str
        As it was asked for.
    statistic : float
        LM = n·R² (Breusch–Pagan in Koenker's form, White), JB, d (Durbin–Watson), F (RESET).
    df : tuple of int
        Degrees of freedom of its χ² or F distribution; empty for d.
    p_value : float
        Exact for RESET, under normal noise, and for Jarque–Bera of up to 2000 observations, where
        it is the rank among 999 simulated values with the same columns: χ² is far off there. Of d
        two-sided, by the beta distribution on (0, 4) that has its exact mean and variance under
        normal noise. Else by χ², as n grows.
    null : str
        The hypothesis that a small p value speaks against.
    n_used : int
        Observations that it was computed from: all, or a random sample of them.
    details : dict
        For Jarque–Bera ``skewness``, ``kurtosis``, the ``median`` of residuals, less the mean, in
        standard deviations, and ``chi2_p_value``.
    """

    name: str
    statistic: float
    df: tuple[int, ...]
    p_value: float
    null: str
    n_used: int
    details: dict[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        df = f" on {' and '.join(map(str, self.df))} df" if self.df else ""
        more = "".join(f", {k} {v:.4g}" for k, v in self.details.items())
        return (
            f"{self.name}: {self.statistic:.5g}{df}{more}, p value {self.p_value:.3g}, from "
            f"{self.n_used} observations, of the hypothesis that {self.null}"
        )


def specification_test(fit: "Fit", kind: SpecificationKind) -> SpecificationTest:
    """See `Fit.specification_test`."""
    if kind not in get_args(SpecificationKind):
        kinds = ", ".join(map(repr, get_args(SpecificationKind)))
        raise InvalidInput(f"kind must be one of {kinds}; not {kind!r}")
    ls = fit.least_squares
    if ls is None:
        raise InvalidInput(
            f"specification tests are of least squares, and this fit has {fit._kind}: ml.compare "
            "says how well such a model is calibrated"
        )
    if ls.perfect:
        raise InvalidInput("the data fit perfectly: there are no residuals to test")
    if kind == "durbin-watson":
        return _durbin_watson(fit)
    if kind == "jarque-bera":
        return _jarque_bera(fit)
    if fit.rank == (fit.constant is not None):
        raise InvalidInput(
            f"{kind!r} asks what depends on the columns, and there is a constant only"
        )
    return _reset(fit) if kind == "reset" else _of_variance(fit, kind)


def _statsmodels() -> tuple[Any, Any, Any]:
    """Its tests of variance and mean, those of residuals, and OLS."""
    try:
        from statsmodels.regression.linear_model import OLS
        from statsmodels.stats import diagnostic, stattools
    except ImportError as error:
        raise MissingDependency(
            "specification tests are those of statsmodels: pip install 'mlreg[diagnostics]'"
        ) from error
    return diagnostic, stattools, OLS


def _gather(fit: "Fit", width: int, *, design: bool = True) -> tuple[F64, F64, F64]:
    """√w X, √w (y − Xβ) and √w of the observations, scaled, or of a random sample of them.

    ``width`` is how many numbers the test makes of each. The sample is drawn with seed 0.
    """
    n, most = fit.n_rows, NUMBERS // width
    chosen = np.arange(n) if n <= most else np.random.default_rng(0).choice(n, most, replace=False)
    chosen.sort()
    A, e = np.empty((len(chosen), fit.rank if design else 0)), np.empty(len(chosen))
    root_w = np.ones(len(chosen))
    low, seen = 0, 0
    for rows in fitted_rows(fit):
        last = np.arange(1, len(rows.e) + 1) if rows.k is None else np.cumsum(rows.k).astype(int)
        high = int(np.searchsorted(chosen, seen + last[-1]))
        at, out = np.searchsorted(last, chosen[low:high] - seen, side="right"), slice(low, high)
        e[out] = rows.e[at]
        if design:
            A[out] = rows.A[at]
        if rows.root_w is not None:
            root_w[out] = rows.root_w[at]
        low, seen = high, seen + int(last[-1])
    return A, e, root_w


def _of_variance(fit: "Fit", kind: SpecificationKind) -> SpecificationTest:
    """Breusch and Pagan's test in Koenker's form, and White's."""
    white = kind == "white"
    tests = _statsmodels()[0]
    test = tests.het_white if white else tests.het_breuschpagan
    p = fit.rank - (fit.constant is not None)
    width = (p + 1) * (p + 2) // 2 if white else p + 1
    if (most := min(fit.n_rows, NUMBERS // width)) <= width:
        raise InvalidInput(
            f"{kind!r} regresses on {width} columns: {most} rows, all that there are or that it "
            "holds at once, are too few"
        )
    A, e, root_w = _gather(fit, width)
    X = A / root_w[:, None]
    if fit.constant is not None:
        X = np.delete(X, fit.constant, axis=1)
    X -= X.mean(axis=0)
    X /= np.where(spread := np.linalg.norm(X, axis=0), spread, 1.0) / np.sqrt(len(X))
    e /= np.linalg.norm(e) / np.sqrt(len(e))
    exog = np.column_stack([np.ones(len(X)), X])
    with warnings.catch_warnings():  # squares and products that are equal, as those of dummies
        warnings.simplefilter("ignore")
        statistic, p_value, f, _ = test(e, exog)
    n, odds = len(e), statistic / (len(e) - statistic)  # R²/(1 − R²): F has the df that χ² had
    df = round(odds * (n - 1) / (f + odds)) if f > 0 else p
    return _result(kind, statistic, (df,), p_value, n)


def _durbin_watson(fit: "Fit") -> SpecificationTest:
    """Sum of squared differences of successive residuals over that of squares; in one pass.

    With A the matrix of the differences' squares and M that of the residuals, its mean is
    P/(n − p), P = tr MA, and its variance 2(Q − P²/(n − p))/((n − p)(n − p + 2)), Q = tr MAMA
    (Durbin and Watson, 1950): both are sums over rows, by the whitened ones.
    """
    ls, df = fit.least_squares, fit.df_resid
    assert ls is not None
    if df < 3:
        raise InvalidInput(f"'durbin-watson' needs 3 residual degrees of freedom; there are {df}")
    p = fit.rank
    WAW, smooth, total, differences = np.zeros((p, p)), 0.0, 0.0, 0.0
    before, d_before = np.zeros((0, p + 1)), np.zeros((0, p))
    for rows in fitted_rows(fit):
        if rows.k is not None and (rows.k > 1).any():
            raise InvalidInput(
                "'durbin-watson' is about rows in order of time, and rows of frequency weights "
                "above 1 have none: repeat them in their order"
            )
        both = np.vstack([before, np.column_stack([whiten(ls.R, rows.A), rows.e])])
        steps = np.diff(both, axis=0)
        d = steps[:, :p]
        WAW += square(d, np.ones(len(d)))
        edges = d[:1] if not len(d_before) and len(d) else d[:0]
        smooth += (
            np.square(edges).sum() + np.square(np.diff(np.vstack([d_before, d]), axis=0)).sum()
        )
        differences += float(steps[:, p] @ steps[:, p])
        total += float(rows.e @ rows.e)
        before = both[-1:]
        d_before = d[-1:] if len(d) else d_before
    smooth += np.square(d_before).sum()
    n = fit.R.n_rows
    P = 2 * (n - 1) - np.trace(WAW)
    Q = 6 * n - 8 - 2 * smooth + np.square(WAW).sum()
    mean, variance = P / df / 4, 2 * (Q - P**2 / df) / (df * (df + 2)) / 16
    size = mean * (1 - mean) / variance - 1
    statistic = differences / total
    below = float(betainc(mean * size, (1 - mean) * size, min(statistic / 4, 1.0)))
    return _result("durbin-watson", statistic, (), min(1.0, 2 * min(below, 1 - below)), n)


def _jarque_bera(fit: "Fit") -> SpecificationTest:
    """By skewness and kurtosis of the residuals."""
    test, few, ls = _statsmodels()[1].jarque_bera, fit.n_rows <= FEW, fit.least_squares
    assert ls is not None
    A, e, _ = _gather(fit, 1, design=few)
    statistic, by_chi2, skewness, kurtosis = test(e / np.linalg.norm(e))
    p_value = by_chi2
    if few:  # residuals of normal noise and the same columns, whatever β and σ are
        W = whiten(ls.R, A)
        noise = np.random.default_rng(0).standard_normal((len(e), DRAWS))
        simulated = test(noise - W @ (W.T @ noise))[0]
        p_value = (1 + np.sum(simulated >= statistic)) / (1 + DRAWS)
    details = {
        "skewness": float(skewness),
        "kurtosis": float(kurtosis),
        "median": float((np.median(e) - e.mean()) / e.std()),
        "chi2_p_value": float(by_chi2),
    }
    return _result("jarque-bera", statistic, (2,), p_value, len(e), details)


def _reset(fit: "Fit") -> SpecificationTest:
    """Ramsey's: whether squares and cubes of the fitted values explain more than the columns."""
    tests, _, OLS = _statsmodels()
    ls = fit.least_squares
    assert ls is not None
    A, e, root_w = _gather(fit, fit.rank + 3)
    if len(e) - fit.rank < 3:
        raise InvalidInput(f"'reset' needs 3 residual degrees of freedom; there are {fit.df_resid}")
    fitted = times(A, ls.beta)
    if fit.constant is not None:  # a shift of y is one of the intercept
        fitted -= root_w * (root_w @ fitted / (root_w @ root_w))
    unit = np.abs(fitted).max()
    powers = _independent_powers(whiten(ls.R, A), fitted / unit) if unit > 0 else []
    if not powers:
        raise InvalidInput(
            "'reset' has nothing to add: powers of the fitted values are combinations of columns"
        )
    W = whiten(ls.R, A) * np.sqrt(len(A))
    found = tests.linear_reset(OLS((fitted + e) / unit, W).fit(), power=powers, use_f=True)
    df = (int(found.df_num), int(found.df_denom))
    return _result("reset", found.statistic, df, found.pvalue, len(e))


def _independent_powers(W: F64, fitted: F64) -> list[int]:
    """Which of the square and the cube of the fitted values are no combinations of the others."""
    Q = np.linalg.qr(W)[0]
    powers = []
    for power in (2, 3):
        new = fitted**power
        rest = new - Q @ (Q.T @ new)
        rest -= Q @ (Q.T @ rest)
        if np.linalg.norm(rest) > INDEPENDENT * np.linalg.norm(new):
            powers.append(power)
            Q = np.column_stack([Q, rest / np.linalg.norm(rest)])
    return powers


def _result(
    kind: SpecificationKind,
    statistic: float,
    df: tuple[int, ...],
    p_value: float,
    n: int,
    details: dict[str, float] | None = None,
) -> SpecificationTest:
    return SpecificationTest(
        kind, float(statistic), df, float(p_value), NULLS[kind], n, details or {}
    )
