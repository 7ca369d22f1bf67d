"""How well a model foretells single rows: their log densities, and the PIT.

u = F((y − location)/σ), the probability-integral transform (PIT), is uniform on (0, 1) where y has
the distribution that the model says. It may then be called calibrated.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlreg.likelihood.noise import Noise

__all__ = ["Scores", "ks_test", "log_density", "pit"]

F64 = NDArray[np.float64]
BACK = 1e-9
"""Relative difference up to which two responses are one, transformed and back by rounding."""


def log_density(noise: Noise, y: F64, location: F64, log_sigma: F64) -> F64:
    """−ρ(z) − log σ with z = (y − location)/σ, of each row, shape (m,), Eq. (1.4).

    For a response that a transform g turned into y, add log g′ for the density on its own scale.
    """
    return np.asarray(-noise.rho(_standardised(y, location, log_sigma)) - log_sigma)


def pit(noise: Noise, y: F64, location: F64, log_sigma: F64) -> F64:
    """F((y − location)/σ) of each row, shape (m,)."""
    return np.asarray(noise.cdf(_standardised(y, location, log_sigma)))


def _standardised(y: F64, location: F64, log_sigma: F64) -> F64:
    with np.errstate(all="ignore"):  # a σ of zero
        return np.asarray((y - location) * np.exp(-log_sigma))


def ks_test(u: F64, frequency: F64) -> tuple[float, float]:
    """Kolmogorov and Smirnov's distance of u from uniform, and its p value.

    Parameters
    ----------
    u : ndarray, shape (m,)
        Values between 0 and 1.
    frequency : ndarray, shape (m,)
        How many observations each stands for.
    """
    from scipy.stats import kstwo  # takes its time to load

    if np.isnan(u).any():
        return np.nan, np.nan
    order = np.argsort(u)
    u, below = u[order], np.cumsum(frequency[order])
    n = float(below[-1])
    distance = max(np.max(below / n - u), np.max(u - (below - frequency[order]) / n))
    return float(distance), float(kstwo.sf(distance, n))


@dataclass(frozen=True, eq=False)
class Scores:
    """Rows as one model sees them; all of shape (m,).

    Attributes
    ----------
    y : ndarray
        Responses on their own scale.
    frequency : ndarray
        How many observations each stands for.
    log_density : ndarray
        Of y on its own scale, natural logarithm.
    pit : ndarray
        Probability-integral transform.
    """

    y: F64
    frequency: F64
    log_density: F64
    pit: F64

    @property
    def n(self) -> int:
        """Observations."""
        return int(self.frequency.sum())

    def mean(self, values: F64) -> float:
        """Mean over observations."""
        return float(np.sum(self.frequency * values) / self.n)

    def mean_and_error(self, values: F64) -> tuple[float, float]:
        """Mean over observations, and its standard error; NaN of one observation."""
        mean = self.mean(values)
        with np.errstate(all="ignore"):
            squares = np.sum(self.frequency * (values - mean) ** 2)
            return mean, float(np.sqrt(squares / (self.n - np.float64(1)) / self.n))

    def same_rows(self, other: Any) -> bool:
        """Whether another's responses and frequencies are these, in this order."""
        return bool(
            np.array_equal(self.frequency, other.frequency)
            and np.allclose(self.y, other.y, rtol=BACK, atol=BACK * float(np.ptp(self.y)))
        )
