"""How large a learning rate may be."""

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mlreg.likelihood.linear import LinearLikelihood
from mlreg.linalg.triangle import scale_columns

__all__ = ["Sampling", "eigenvalues", "stable_learning_rate"]

F64 = NDArray[np.float64]
Sampling = Literal["reshuffle", "replacement", "in-order"]


def stable_learning_rate(
    likelihood: LinearLikelihood,
    *,
    batch_size: int | Literal["full"] = 32,
    sampling: Sampling = "reshuffle",
) -> float:
    """A learning rate up to which `SGD` cannot diverge on this data: sufficient, not necessary.

    Parameters
    ----------
    likelihood : LinearLikelihood
        Its rows are read once more.
    batch_size, sampling
        As of `SGD`.

    Returns
    -------
    float
        ``"full"``: 2/λ_max, Eq. (4.4), which is also necessary. Reshuffling, and in order:
        2 |𝓑| / Σ ‖xᵢ‖² over the |𝓑| longest rows, Eq. (4.5), for any order of
        the rows. Replacement: 2|𝓑|/(R² + (|𝓑| − 1) λ_max) with R² the longest row's
        ‖x‖², Eq. (4.6), in mean square. λ_max belongs to XᵀX/n, rows weighted.
    """
    triangle = likelihood.triangle
    size = triangle.n_rows if batch_size == "full" else batch_size
    with np.errstate(all="ignore"):
        lambda_max = eigenvalues(likelihood)[0]
        if batch_size == "full":
            return float(2 / lambda_max)
        longest = np.zeros(0)
        for rows in likelihood.rows():
            longest = np.append(longest, np.sum(rows[:, :-1] ** 2, axis=1))
            longest = np.sort(longest)[-size:]
        longest *= triangle.n_rows / likelihood.n_rows
        if sampling != "replacement":
            return float(2 * size / longest.sum())
        return float(2 * size / (longest[-1] + (size - 1) * lambda_max))


def eigenvalues(likelihood: LinearLikelihood) -> F64:
    """Eigenvalues of XᵀX/n, Eq. (4.4), rows weighted, from the largest; infinite if they overflow."""
    triangle, p = likelihood.triangle, likelihood.n_params
    R = scale_columns(triangle.R[:p, :p], triangle.exponent[:p])
    if not np.isfinite(R).all():
        return np.full(p, np.inf)
    with np.errstate(all="ignore"):
        roots = np.linalg.svd(R / math.sqrt(likelihood.n_rows), compute_uv=False)
        return np.asarray(np.square(roots))
