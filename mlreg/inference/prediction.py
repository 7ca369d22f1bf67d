"""Predictions and their intervals."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlreg.linalg.triangle import Triangle, scale_columns, solve_upper

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


def leverage_root(triangle: Triangle, X: F64) -> F64:
    """Standard error of each row's mean in units of σ: ‖R⁻ᵀx‖, Eq. (5.2), shape (m,).

    Parameters
    ----------
    triangle : Triangle
        Of [X y], from which the design's part is taken.
    X : ndarray, shape (m, p)
        New rows of the design.
    """
    scaled = scale_columns(X, -triangle.exponent[:-1])
    whitened = solve_upper(triangle.R[:-1, :-1], scaled.T, transpose=True)
    largest = np.abs(whitened).max(axis=0, initial=0.0)  # taken out: a square could overflow
    unit = np.where((largest > 0) & np.isfinite(largest), largest, 1.0)
    with np.errstate(over="ignore"):
        return np.asarray(np.linalg.norm(whitened / unit, axis=0) * unit)
