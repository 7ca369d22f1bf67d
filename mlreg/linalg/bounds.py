"""How far rounding can have moved a least-squares solution, in its own standard errors.

A QR fold returns the exact triangle of columns that are each changed by a
relative ε at most (columnwise backward error). To first order the coefficients
then move by no more than Eq. (5.7), which does not depend on the columns' units.
"""

import numpy as np
from numpy.typing import NDArray

from mlreg.linalg.triangle import solve_upper

__all__ = ["coefficient_bound", "residual_bound"]

F64 = NDArray[np.float64]


def residual_bound(R: F64, beta: F64, norm_y: float, epsilon: float) -> float:
    """Largest ‖Δr‖ that rounding can cause: εS = ε(‖y‖ + Σ ‖xₖ‖|βₖ|), Eq. (5.7)."""
    return float(epsilon * (norm_y + np.linalg.norm(R, axis=0) @ np.abs(beta)))


def coefficient_bound(
    R: F64,
    beta: F64,
    norm_y: float,
    norm_r: float,
    epsilon: float,
    inverse: F64 | None = None,
) -> F64:
    """A-priori bound on the rounding error of each coefficient, in units of √Gⱼⱼ, Eq. (5.7).

    Parameters
    ----------
    R : ndarray, shape (p, p)
        Nonsingular triangle of the design; G = (RᵀR)⁻¹.
    beta : ndarray, shape (p,)
        The least-squares coefficients.
    norm_y, norm_r : float
        Euclidean norms of the response and of the residual.
    epsilon : float
        Columnwise relative backward error of the triangle.
    inverse : ndarray, shape (p, p), optional
        R⁻¹, where it is known.

    Returns
    -------
    ndarray, shape (p,)
        ε [S + Σₖ |Gⱼₖ| ‖xₖ‖ ‖r‖ / √Gⱼⱼ] / (1 − κ) with S = ‖y‖ + Σ ‖xₖ‖|βₖ|, so that
        dividing by the residual standard error gives standard errors. κ = ε√p‖R⁻¹‖ at
        unit columns allows for higher orders; from ½ on the bound is infinite.
    """
    p, lengths = len(R), np.linalg.norm(R, axis=0)
    inverse = solve_upper(R, np.eye(p)) if inverse is None else inverse
    inverse = lengths[:, None] * inverse  # of the columns at unit norm: units cancel below
    contraction = epsilon * np.linalg.norm(inverse) * np.sqrt(p)
    if not contraction < 0.5:
        return np.full(p, np.inf)
    G = inverse @ inverse.T
    cross = np.abs(G).sum(axis=1) / np.sqrt(np.diagonal(G)) * norm_r
    total = residual_bound(R, beta, norm_y, epsilon) + epsilon * cross
    return np.asarray(total / (1 - contraction))
