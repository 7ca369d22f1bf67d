"""How large a learning rate may be."""

import math
from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mlreg.likelihood.blocks import Block, to_numpy
from mlreg.likelihood.linear import LinearLikelihood
from mlreg.likelihood.noise import Noise
from mlreg.linalg.triangle import scale_columns

__all__ = [
    "Sampling",
    "eigenvalues",
    "squares_of_longest",
    "stable_learning_rate",
    "steepest",
]

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
        Its rows are read once, unless their lengths are known.
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
    with np.errstate(all="ignore"):
        if batch_size == "full":
            return float(2 / eigenvalues(likelihood)[0])
        # first, for its pass makes the triangle, too, if there has been none
        longest = squares_of_longest(likelihood, batch_size)
        longest = longest * (likelihood.triangle.n_rows / likelihood.n_rows)
        if sampling != "replacement":
            return float(2 * batch_size / longest.sum())
        lambda_max = eigenvalues(likelihood)[0]
        return float(2 * batch_size / (longest[-1] + (batch_size - 1) * lambda_max))


def squares_of_longest(likelihood: LinearLikelihood, count: int) -> F64:
    """kw‖x‖² of the longest rows, Eq. (4.5), ascending; by the first pass, or another."""
    known: F64 | None = likelihood.memo.get("longest")
    if known is None or (len(known) < count and len(known) < likelihood.triangle.n_rows):
        found = np.zeros(0)

        def watched() -> Iterator[Block]:
            nonlocal found
            for block in likelihood.blocks():
                X = to_numpy(block.X)
                with np.errstate(all="ignore"):
                    squares = np.einsum("ij,ij->i", X, X)
                    for weight in (block.precision, block.frequency):
                        if weight is not None:
                            squares = squares * to_numpy(weight)
                found = np.append(found, squares)
                if len(found) > count:
                    found = np.partition(found, len(found) - count)[-count:]
                yield block

        likelihood.exhaust(watched())
        known = likelihood.memo["longest"] = np.sort(found)
    return known[-count:]


def steepest(noise: Noise) -> float:
    """The largest ψ′: what a row's pull can lose in a step, as a share of what Gaussian noise does.

    Found on a grid; zero for noise with kinks, whose pull is bounded, and which cannot diverge.
    """
    return float(np.max(noise.dpsi(np.linspace(-10, 10, 2001)))) if noise.smooth else 0.0


def eigenvalues(likelihood: LinearLikelihood) -> F64:
    """Eigenvalues of XᵀX/n, Eq. (4.4), rows weighted, falling; infinite where they overflow."""
    if "eigenvalues" not in likelihood.memo:
        likelihood.memo["eigenvalues"] = _eigenvalues(likelihood)
    known: F64 = likelihood.memo["eigenvalues"]
    return known


def _eigenvalues(likelihood: LinearLikelihood) -> F64:
    triangle, p = likelihood.triangle, likelihood.n_params
    R = scale_columns(triangle.R[:p, :p], triangle.exponent[:p])
    if not np.isfinite(R).all():
        return np.full(p, np.inf)
    with np.errstate(all="ignore"):
        roots = np.linalg.svd(R / math.sqrt(likelihood.n_rows), compute_uv=False)
        return np.asarray(np.square(roots))
