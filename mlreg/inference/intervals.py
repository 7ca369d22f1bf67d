"""t values, p values and confidence intervals.

Under Gaussian noise (β̂ⱼ − βⱼ)/seⱼ follows Student's t with n − p degrees of freedom, exactly, at
any n (Eq. (2.5)). Under other noise it is normal as n grows: infinitely many degrees of freedom.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc, fdtrc, ndtr, ndtri, stdtr, stdtrit

from mlreg.errors import InvalidInput
from mlreg.linalg.triangle import solve_upper

__all__ = ["FTest", "f_test", "t_interval", "t_p_values", "t_quantile", "wald"]

F64 = NDArray[np.float64]


@dataclass(frozen=True)
class FTest:
    """Test that all coefficients but the constant are zero.

    Attributes
    ----------
    statistic : float
        F, the explained over the residual mean square; NaN where there is
        nothing to test or no residual.
    df_model : int
        Degrees of freedom of the numerator: how many contrasts are tested.
    df_resid : float
        Of the denominator; infinite where the statistic times `df_model` is chi-squared.
    p_value : float
        Probability of a larger F under the hypothesis.
    """

    statistic: float
    df_model: int
    df_resid: float
    p_value: float


def f_test(explained: float, residual: float, df_model: int, df_resid: int) -> FTest:
    """F test from two sums of squares in the same units."""
    if df_model <= 0 or df_resid <= 0 or not residual > 0:
        return FTest(np.nan, df_model, max(df_resid, 0), np.nan)
    statistic = (explained / df_model) / (residual / df_resid)
    p_value = float(fdtrc(df_model, df_resid, statistic)) if statistic >= 0 else 1.0
    return FTest(float(statistic), df_model, df_resid, p_value)


def wald(estimate: F64, K: F64, df: float) -> FTest:
    """F test that some linear contrasts are zero, Eq. (12.2): Wald's, over their number.

    Parameters
    ----------
    estimate : ndarray, shape (q,)
        The contrasts.
    K : ndarray, shape (q, q)
        Lower triangle; KKᵀ is their covariance.
    df : float
        Of the denominator; infinite: q F is chi-squared.
    """
    q = len(estimate)
    if not q or not np.isfinite(K).all():
        return FTest(np.nan, q, df, np.nan)
    statistic = float(np.sum(solve_upper(K.T, estimate, transpose=True) ** 2) / q)
    tail = chdtrc(q, q * statistic) if df == math.inf else fdtrc(q, df, statistic)
    return FTest(statistic, q, df, float(tail))


def t_p_values(t: F64, df: float) -> F64:
    """Two-sided p values, P(|T| ≥ |t|); of a normal T where df is infinite."""
    if df == math.inf:
        return np.asarray(2 * ndtr(-np.abs(t)))
    return np.asarray(2 * stdtr(df, -np.abs(t)))


def t_quantile(level: float, df: float) -> float:
    """Half-width of the central interval of probability ``level``, in standard errors."""
    if not (isinstance(level, (int, float, np.floating)) and 0 < level < 1):
        raise InvalidInput(f"level must be between 0 and 1, such as 0.95; not {level!r}")
    if df == math.inf:
        return float(-ndtri((1 - level) / 2))
    return float(-stdtrit(df, (1 - level) / 2)) if df > 0 else np.nan


def t_interval(estimate: F64, std_error: F64, level: float, df: float) -> F64:
    """Lower and upper limits, shape (p, 2)."""
    half = t_quantile(level, df) * std_error
    return np.column_stack([estimate - half, estimate + half])
