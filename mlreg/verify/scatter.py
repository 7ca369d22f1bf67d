"""What least squares promises of the estimates of many data sets: how they scatter about the truth.

Both laws are sums of squares of normal variables, so the bands are exact: of chi-squared.
"""

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from mlreg.verify.kit import Promise, promise
from mlreg.verify.subject import Regressor, unless_least_squares, unless_says

__all__ = ["REPLICATES", "ROWS", "SCATTER", "detectable_ratio"]

F64 = NDArray[np.float64]

SCATTER: list[Promise] = []
"""The laws of estimates in the mean, of a regressor."""

FALSE_ALARM = 1e-9
POWER = 0.999
REPLICATES = 2000
ROWS = 10
SUMS = 9  # sums of squares of three coefficients, of their pairs, and of their means


def detectable_ratio(df: int, sums: int) -> tuple[float, float]:
    """Variances over the true one, below and above, that are noticed in 999 of 1000 cases."""
    law, (low, high) = stats.chi2(df), _band(df, sums)
    return float(low / law.ppf(POWER)), float(high / law.ppf(1 - POWER))


def _band(df: int, sums: int) -> tuple[float, float]:
    law, tail = stats.chi2(df), FALSE_ALARM / sums / 2
    return float(law.ppf(tail)), float(law.isf(tail))


def _design(seed: int) -> F64:
    """A constant, a trend, and a column some way from zero."""
    shifted = 2 + np.random.default_rng([seed, 3]).standard_normal(ROWS)
    return np.column_stack([np.ones(ROWS), np.linspace(-1.0, 1.0, ROWS), shifted])


@lru_cache(maxsize=1)  # both laws ask for the same
def _replicates(subject: Regressor, seed: int) -> tuple[F64, F64]:
    """Errors of coefficients, whitened, shape (REPLICATES, 3), and σ̂²/σ², shape (REPLICATES,)."""
    X, rng = _design(seed), np.random.default_rng([seed, 4])
    R = np.linalg.qr(X)[1]
    beta, sigma = np.array([1.0, -2.0, 0.5]), 3.0
    errors, squares = [], []
    for _ in range(REPLICATES):
        y = X @ beta + sigma * rng.standard_normal(ROWS)
        fitted = subject.fit(X, y, intercept=subject.modes[0])
        errors.append(R @ (fitted.params - beta) / sigma)
        squares.append(np.nan if fitted.sigma is None else (fitted.sigma / sigma) ** 2)
    return np.array(errors), np.array(squares)


def _stopped_short(subject: Regressor, seed: int) -> float:
    """How far an iterative solver may leave whitened errors, in σ; s is hardly ever above 2σ."""
    if subject.solver != "iterative":
        return 0.0
    X = _design(seed)
    spread = np.sqrt(np.diagonal(np.linalg.inv(X.T @ X)))
    return 2 * subject.tolerance * float(np.linalg.norm(X, axis=0) @ spread)


def _within(squares: Any, df: int, sums: int, tolerance: float = 0.0) -> F64:
    """Distance of sums of squares from the middle of the band, over half its width, as roots."""
    low, high = np.sqrt(_band(df, sums)) + np.sqrt(df) * tolerance * np.array([-1.0, 1.0])
    return np.asarray(np.abs(np.sqrt(squares) - (low + high) / 2) / ((high - low) / 2))


@promise(
    "stochastic", "2.11", "12.4", mathematics="E β̂ = β, Cov(β̂) = σ²G", into=SCATTER,
    why_not=unless_least_squares, false_alarm=FALSE_ALARM,
)  # fmt: skip
def estimates_scatter_as_they_must(subject: Regressor, seed: int) -> Any:
    """Estimates scatter about the truth with the covariance that no unbiased one can go below."""
    u, _ = _replicates(subject, seed)
    pairs = [(u[:, i] + u[:, j]) / np.sqrt(2) for i, j in ((0, 1), (0, 2), (1, 2))]
    each = (np.column_stack([u, *pairs]) ** 2).sum(axis=0)
    off = _stopped_short(subject, seed)
    mean = np.abs(u.sum(axis=0)) / np.sqrt(len(u))
    limit = stats.norm.isf(FALSE_ALARM / SUMS / 2) + np.sqrt(len(u)) * off
    return np.append(_within(each, len(u), SUMS, off), mean / limit)


@promise(
    "stochastic", "2.10", "12.3", mathematics="nσ̂²/σ² ~ χ²(n − p): E σ̂² = σ²(n − p)/n",
    into=SCATTER, why_not=unless_says("sigma", "sigma, the MLE of the noise scale"),
    false_alarm=FALSE_ALARM,
)  # fmt: skip
def the_mle_of_the_scale_is_short(subject: Regressor, seed: int) -> Any:
    """The maximum-likelihood estimate of σ² is (n − p)/n of it in the mean, and no other part."""
    u, squares = _replicates(subject, seed)
    n, p = ROWS, u.shape[1]
    off = _stopped_short(subject, seed)
    return _within(n * squares.sum(), len(squares) * (n - p), 1, off)
