"""Linear combinations Lβ of the coefficients, and what their covariance is, without cancelling.

The covariance of Lβ is HHᵀ with H = L R⁻¹C: R the triangle of the design, or of the information,
and C the root of the covariance in coordinates in which the columns are orthonormal: s times the
identity, one, or what is robust. H comes by substitution. LVLᵀ, of the covariance V itself, would
cancel where columns are nearly collinear, as a year and a constant are.
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mlreg.errors import InvalidInput
from mlreg.linalg.triangle import qr_triangle, scale_columns, solve_upper

if TYPE_CHECKING:  # a fit comes after inference, not the other way round
    from mlreg.estimate import Fit

__all__ = ["combined", "joint_root", "lengths", "standard_errors", "whitened"]

F64 = NDArray[np.float64]

LOST = 1e-12
"""Part of a combination that the others do not determine, below which it is one of theirs."""


def whitened(R: F64, exponent: NDArray[np.int64], L: F64) -> F64:
    """L R⁻¹ of Eq. (5.2), shape (m, p): L in the data's units, R with exponents taken out."""
    return np.asarray(solve_upper(R, scale_columns(L, -exponent).T, transpose=True).T)


def lengths(H: F64) -> F64:
    """Euclidean length of each row, shape (m,), where squares could overflow too."""
    largest = np.abs(H).max(axis=1, initial=0.0)
    unit = np.where((largest > 0) & np.isfinite(largest), largest, 1.0)
    with np.errstate(over="ignore"):
        return np.asarray(np.linalg.norm(H / unit[:, None], axis=1) * unit)


def combined(fit: "Fit", L: F64) -> tuple[F64, F64 | None]:
    """W = L R⁻¹ in units of y, and C, Eq. (12.2): W C is H. C is None where it is the identity.

    Parameters
    ----------
    fit : Fit
        Its triangle and covariance.
    L : ndarray, shape (m, rank)
        Combinations of the coefficients that were kept.
    """
    exponent = fit.R.exponent
    of_y = int(exponent[-1])
    if fit.information is None:
        ls = fit.least_squares
        assert ls is not None
        W = whitened(ls.R, exponent[:-1], L)
        W = W if fit.robust is not None else W * (ls.s or np.nan)
    else:
        W = whitened(fit.information.R, exponent[:-1], L)
    with np.errstate(over="ignore"):
        return np.ldexp(W, of_y), None if fit.robust is None else fit.robust.root


def joint_root(W: F64, C: F64 | None) -> F64:
    """Lower triangle K, KKᵀ the covariance of q combinations in Eq. (12.2), shape (q, q).

    Raises
    ------
    InvalidInput
        A combination that the others determine; fewer clusters, or rows, than combinations.
    """
    size = lengths(W)
    if not (np.isfinite(size) & (size > 0)).all():
        return np.full((len(W),) * 2, np.nan)
    q, p = W.shape
    if q > p:
        raise InvalidInput(f"{q} combinations of {p} coefficients: some follow from the others")
    Q, T = np.linalg.qr((W / size[:, None]).T)
    if (np.abs(np.diagonal(T)) <= LOST).any():
        raise InvalidInput("some combinations follow from the others, or contradict them")
    inner = np.eye(q) if C is None else qr_triangle((Q.T @ C).T)
    if len(inner) < q or np.linalg.cond(inner) > 1 / LOST:
        raise InvalidInput(
            f"the covariance of {q} combinations is singular: there are fewer clusters, or rows "
            "with a residual, than combinations; test fewer of them"
        )
    return np.asarray(qr_triangle(inner @ T).T * size[:, None])


def standard_errors(fit: "Fit", L: F64) -> F64:
    """Standard errors of Lβ, shape (m,), in the units of Lβ; L as of `combined`."""
    W, C = combined(fit, L)
    return lengths(W if C is None else W @ C)
