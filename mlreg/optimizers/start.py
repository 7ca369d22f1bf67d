"""Where a search begins, and a sample of the rows on which that is found out."""

import math
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlreg.likelihood.blocks import ArraySource, Block, joined, to_numpy
from mlreg.likelihood.linear import LinearLikelihood
from mlreg.linalg.triangle import plain, scale_columns, solve_upper

__all__ = ["SAMPLE", "Start", "drawn", "of_rows", "sample", "stands_for"]

F64 = NDArray[np.float64]

SAMPLE = 5000
"""Rows of a sample, or a hundred for each parameter; a quarter of the rows at most."""


ALIKE = 2.0
"""Largest singular value, and inverse of the least, of all rows in the coordinates of a sample."""


@dataclass(frozen=True, eq=False)
class Start:
    """A point to start from.

    Attributes
    ----------
    name : str
        What it is, for a message.
    beta : ndarray, shape (p,)
        Coefficients, in the units of the data.
    gamma : ndarray, shape (q,), optional
        log σ or the coefficients of the scale design, if they are known.
    """

    name: str
    beta: F64
    gamma: F64 | None = None


def sample(likelihood: LinearLikelihood) -> LinearLikelihood | None:
    """The likelihood of rows drawn at random, by one pass over the data; None of few rows."""
    size = max(SAMPLE, 100 * (likelihood.n_params + likelihood.n_scale))
    rows = likelihood.triangle.n_rows
    if rows < 4 * size:
        return None
    return drawn(likelihood, size, rows)


def drawn(likelihood: LinearLikelihood, size: int, rows: int) -> LinearLikelihood:
    """The same model of about ``size`` of the rows, drawn at random from each block; one pass."""
    rng, parts = np.random.default_rng(0), []
    for block in likelihood.blocks():
        m = block.y.shape[0]
        some = rng.choice(m, math.ceil(m * size / rows), replace=False)
        parts.append(block.each(partial(_picked, rows=np.sort(some))))
    return of_rows(likelihood, joined(parts))


def _picked(array: Any, rows: NDArray[np.int64]) -> F64:
    picked: F64 = to_numpy(array)[rows]
    return picked


def stands_for(few: LinearLikelihood, likelihood: LinearLikelihood) -> bool:
    """Whether XᵀX/n of a sample of full rank is like that of all rows, Eq. (13.9).

    It is not where one row decides about a coefficient, and is not in the sample.
    """
    p, (part, whole) = likelihood.n_params, (plain(few.triangle), plain(likelihood.triangle))
    R = scale_columns(whole.R[:p, :p], whole.exponent[:p] - part.exponent[:p])
    like = solve_upper(part.R[:p, :p], R.T, transpose=True)
    values = np.linalg.svd(like, compute_uv=False) * math.sqrt(part.n_rows / whole.n_rows)
    return bool(values[0] < ALIKE and values[-1] > 1 / ALIKE)


def of_rows(likelihood: LinearLikelihood, block: Block) -> LinearLikelihood:
    """The same model of some rows of its design."""
    source = ArraySource(
        block.X, block.y, names=likelihood.source.names, frequency=block.frequency,
        precision=block.precision, scale=block.Z, scale_names=likelihood.scale_names or None,
    )  # fmt: skip
    return LinearLikelihood.from_source(source, likelihood.noise, likelihood.prior)
