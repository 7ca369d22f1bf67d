"""The rows of a fit as its diagnostics need them: weighted, scaled, with their residuals."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlreg.errors import DataNeeded
from mlreg.likelihood.blocks import Block, to_numpy
from mlreg.likelihood.linear import LinearLikelihood
from mlreg.likelihood.wrapped import SelectedSource
from mlreg.linalg.products import times
from mlreg.linalg.triangle import scale_columns

if TYPE_CHECKING:  # a fit comes after inference, not the other way round
    from mlreg.estimate import Fit

__all__ = ["FittedRows", "fitted_rows", "scaled_rows"]

F64 = NDArray[np.float64]


class FittedRows(NamedTuple):
    """A block of rows, in the scaled units of the fit's triangle.

    ``A`` is √w X, shape (m, p), of the columns that were kept; ``e`` = √w (y − Xβ), shape (m,),
    Eq. (2.8), at the MLE where it is least squares, else at the estimate; ``root_w`` √w and ``k``
    frequencies, or None; ``log_sigma`` the logarithm of each row's scale in units of y, or None
    where it is one; ``first`` the position of the first row among those that are in use.
    """

    A: F64
    e: F64
    root_w: F64 | None
    k: F64 | None
    log_sigma: F64 | None
    first: int


def fitted_rows(fit: "Fit") -> Iterator[FittedRows]:
    """The rows of a fit, block by block; one pass over the data.

    Raises
    ------
    DataNeeded
        The fit is without its rows, or they can be read only once.
    """
    source = fit.source
    if source is None or not source.rereadable:
        why = (
            "is without its rows" if source is None else "read its rows from a stream that is over"
        )
        raise DataNeeded(
            f"this fit {why}: fit the data again, from arrays, a table or what ml.read opens"
        )
    checked = LinearLikelihood.from_source(source).source
    if fit.rank_report.dependent:
        checked = SelectedSource(checked, fit.rank_report.kept)
    exponent = fit.R.exponent
    ls = fit.least_squares
    if ls is None:
        beta, low = (
            scale_columns(fit.solution.theta[: fit.rank], exponent[:-1] - exponent[-1]),
            None,
        )
    else:
        beta, low = ls.beta, None if ls.refined is None else ls.refined.low
    yield from scaled_rows(checked.blocks(), exponent, beta, low, fit.scale_params)


def scaled_rows(
    blocks: Iterable[Block],
    exponent: NDArray[np.int64],
    beta: F64,
    low: F64 | None = None,
    gamma: F64 | None = None,
) -> Iterator[FittedRows]:
    """Blocks of rows beside their residuals, in the scaled units of a triangle.

    Parameters
    ----------
    blocks : iterable of Block
        Of the columns that were kept.
    exponent : ndarray of int, shape (p + 1,)
        Binary exponents that the triangle has taken out of the columns and the response.
    beta, low : ndarray, shape (p,)
        Coefficients, scaled, and what is left of them below the last digit.
    gamma : ndarray, shape (q,)
        Coefficients of the scale, of blocks that have a design of it.
    """
    first = 0
    for block in blocks:
        X, y = to_numpy(block.X), to_numpy(block.y)
        root_w = None
        if block.precision is not None:
            root_w = np.sqrt(to_numpy(block.precision))
            X, y = X * root_w[:, None], y * root_w
        A = scale_columns(X, -exponent[:-1])
        e = scale_columns(y[:, None], -exponent[-1:])[:, 0] - times(A, beta)
        if low is not None:
            e -= times(A, low)
        k = None if block.frequency is None else to_numpy(block.frequency)
        scaled = block.Z is not None and gamma is not None
        log_sigma = to_numpy(block.Z) @ gamma if scaled else None
        yield FittedRows(A, e, root_w, k, log_sigma, first)
        first += len(e)
