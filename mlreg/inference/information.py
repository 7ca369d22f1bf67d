"""The expected information at an estimate, as a triangle: what its standard errors come from."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mlreg.likelihood.linear import LinearLikelihood
from mlreg.linalg.triangle import Triangle, plain, qr_triangle, scale_columns, solve_upper

__all__ = ["Information", "information"]

F64 = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Information:
    """Expected information of (β, γ), Eq. (9.5); it is block diagonal, as all noises are symmetric.

    Attributes
    ----------
    triangle : Triangle
        Of [√w X, √w y], Eq. (2.6): β below is in its scaled units.
    R : ndarray, shape (p, p)
        Upper; RᵀR is the information of β, scaled, with the precision of the prior, if any,
        Eq. (10.11).
    S : ndarray, shape (q, q)
        Upper; SᵀS is the information of γ.
    n_rows : int
        Number of observations.
    effective_df : float
        Trace of (information)⁻¹ · (information without the prior), Eq. (10.7): p without a prior.
    """

    triangle: Triangle
    R: F64
    S: F64
    n_rows: int
    effective_df: float

    @cached_property
    def _inverse(self) -> F64:
        if not np.isfinite(self.R).all():  # σ is zero, or as good as
            return np.full_like(self.R, math.nan)
        return solve_upper(self.R, np.eye(len(self.R)))

    def _unscale(self, beta: F64) -> F64:
        exponent = self.triangle.exponent
        return scale_columns(beta, exponent[-1] - exponent[:-1])

    @property
    def std_errors(self) -> F64:
        """Of β in the units of the data, shape (p,), Eq. (2.11)."""
        return self._unscale(np.linalg.norm(self._inverse, axis=1))

    @property
    def scale_std_errors(self) -> F64:
        """Of γ, shape (q,), Eq. (9.5)."""
        if not np.isfinite(self._inverse).all():
            return np.full(len(self.S), math.nan)
        return np.asarray(np.linalg.norm(solve_upper(self.S, np.eye(len(self.S))), axis=1))

    @property
    def covariance(self) -> F64:
        """Of β, in the units of the products of its entries, shape (p, p)."""
        rows = np.array([self._unscale(column) for column in self._inverse.T]).T
        with np.errstate(over="ignore"):
            return np.asarray(rows @ rows.T)


def information(likelihood: LinearLikelihood, theta: F64) -> Information:
    """The expected information at θ = (β, γ); one pass over the data with a scale design.

    Parameters
    ----------
    likelihood : LinearLikelihood
        Of symmetric noise.
    theta : ndarray, shape (p + q,)
        An estimate.
    """
    p, gamma = likelihood.n_params, theta[likelihood.n_params :]
    location, _, scale = likelihood.noise.fisher
    triangle, by_scale = plain(likelihood.triangle), likelihood.scale_triangle
    S = math.sqrt(scale) * scale_columns(by_scale.R, by_scale.exponent)
    nan = np.full((p, p), math.nan)
    nowhere = Information(triangle, nan, S, likelihood.n_rows, math.nan)
    if not np.isfinite(gamma).all():
        return nowhere
    log_unit = int(triangle.exponent[-1]) * math.log(2)
    with np.errstate(over="ignore", invalid="ignore"):  # a σ as good as zero
        if likelihood.scale_names:
            spread = likelihood.spread_triangle(gamma)
            R = scale_columns(spread.R, spread.exponent - triangle.exponent) * np.exp(log_unit)
        else:
            R = triangle.R * np.exp(log_unit - gamma[0])
        R = math.sqrt(location) * R[:p, :p]
    if not np.isfinite(R).all():
        return nowhere
    effective = float(p)
    if likelihood.prior is not None:
        unit = np.ldexp(1.0, triangle.exponent[-1] - triangle.exponent[:-1])
        below = np.diag(np.sqrt(likelihood.prior_precision) * unit)
        data, R = R, qr_triangle(np.vstack([R, below]))
        effective = float(np.linalg.norm(solve_upper(R, data.T, transpose=True)) ** 2)
    return Information(triangle, R, S, likelihood.n_rows, effective)
