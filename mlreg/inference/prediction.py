"""Predictions and their intervals."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from mlreg.frames import alongside, data_frame
from mlreg.inference.combination import lengths, whitened
from mlreg.inference.convolution import convolved_quantile
from mlreg.likelihood.noise import Noise

__all__ = ["Prediction", "leverage_root", "new_observation"]

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
    kind : "exact" or "asymptotic"
        Whether they cover with the probability that was asked for at any number of rows, as those
        of Gaussian noise of one scale do, or as it grows. Asymptotic limits of a new observation
        know of the error of its location, which is taken to be normal, and not of that of σ.
    """

    mean: F64
    lower: F64
    upper: F64
    kind: Literal["exact", "asymptotic"]

    def to_frame(self, like: Any = None) -> Any:
        """Columns ``mean``, ``lower`` and ``upper``, a row for each new row.

        Parameters
        ----------
        like : table or array, optional
            The new rows that were given to `Fit.predict`.

        Returns
        -------
        DataFrame of pandas or polars, pyarrow Table, or dict of arrays
            In the kind of ``like`` and with its index; a dict for arrays, lists and dicts. Without
            ``like`` a DataFrame of pandas, numbered.

        Raises
        ------
        InvalidInput
            ``like`` has other rows than were predicted.
        """
        columns = {"mean": self.mean, "lower": self.lower, "upper": self.upper}
        if like is None:
            return data_frame(columns, range(len(self.mean)), "row")
        return alongside(like, columns)


def new_observation(noise: Noise, level: float, error: F64, sigma: F64) -> F64:
    """Half-width of the asymptotic interval for a new observation, shape (m,), in units of y.

    Parameters
    ----------
    noise : Noise
        Symmetric.
    level : float
        Probability.
    error, sigma : ndarray, shape (m,)
        Standard error of each row's location, and scale of its noise.
    """
    tail = (1 - level) / 2
    with np.errstate(all="ignore"):
        ratio = error / sigma
        alone = (ratio > 1e300) | (sigma == 0)  # no noise to speak of: that of the location is all
        half = -convolved_quantile(noise, tail, np.where(alone, 0.0, ratio)) * sigma
        return np.asarray(np.where(alone, -ndtri(tail) * error, half))


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
    return lengths(whitened(R, exponent, X))
