"""Predictions and their intervals."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlreg.linalg.triangle import scale_columns, solve_upper

__all__ = ["Prediction", "leverage_root"]

F64 = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Prediction:
    """Predicted means and limits for new rows.

    Attributes
    ----------
    mean : ndarray, shape (m,)
        Xβ̂, in the units of the response; of a transformed response what was asked for, its
        median or its mean.
    lower, upper : ndarray, shape (m,)
        Limits, of the mean (or that median) or of a new observation, as asked for.
    """

    mean: F64
    lower: F64
    upper: F64


def leverage_root(R: F64, exponent: NDArray[np.int64], X: F64) -> F64:
    """‖R⁻ᵀx‖ of each row, Eq. (5.2), shape (m,).

    With R the triangle of the design that is the standard error of the row's mean in units of
    σ; with that of the information, in units of the response.

    Parameters
    ----------
    R : ndarray, shape (p, p)
        Upper triangle, its columns scaled.
    exponent : ndarray of int, shape (p,)
        Binary exponents that were taken out of them.
    X : ndarray, shape (m, p)
        New rows of the design.
    """
    whitened = solve_upper(R, scale_columns(X, -exponent).T, transpose=True)
    largest = np.abs(whitened).max(axis=0, initial=0.0)  # taken out: a square could overflow
    unit = np.where((largest > 0) & np.isfinite(largest), largest, 1.0)
    with np.errstate(over="ignore"):
        return np.asarray(np.linalg.norm(whitened / unit, axis=0) * unit)
