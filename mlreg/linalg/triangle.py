"""The triangular factor of a tall matrix, block by block.

For a matrix A with k columns, A = QR with Q orthonormal and R upper triangular.
R carries every inner product of the columns (RᵀR = AᵀA) with the relative
accuracy of A itself, where AᵀA formed directly would lose half of the digits.
Putting rows together needs only the triangles: that of [A; B] is that of the two
triangles one above the other (Eq. (2.7)). That is `merge`; see `mlreg.linalg.fold`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack

__all__ = [
    "Triangle",
    "empty",
    "merge",
    "norm",
    "normalise",
    "of",
    "plain",
    "qr_triangle",
    "scale_columns",
    "select",
    "solve_upper",
    "unit_columns",
]

F64 = NDArray[np.float64]
U = 2.0**-53
PLAIN = 100  # see `plain`
ZERO = -5000  # exponent of a column without rows: below that of any number


@dataclass(frozen=True, eq=False)
class Triangle:
    """Upper triangular R of a matrix whose column j is ``2**exponent[j]`` times that of R.

    The powers of two are exact; they keep columns of 1e±300 from overflowing.

    Attributes
    ----------
    R : ndarray, shape (k, k)
        Upper triangular factor of the scaled columns; a diagonal entry is not negative.
    exponent : ndarray of int, shape (k,)
        Binary exponents that were taken out of the columns.
    n_rows : int
        Rows folded in.
    epsilon : float
        Bound on the relative change of each column that rounding amounts to: R is the
        exact triangle of columns that differ from those given by no more: a generous
        rule for one QR, Eq. (7.4) for what follows.
    blur : float
        Below it a pivot, relative to its column, may be all rounding.
    """

    R: F64
    exponent: NDArray[np.int64]
    n_rows: int = 0
    epsilon: float = 0.0
    blur: float = 0.0


def select(triangle: Triangle, columns: Sequence[int]) -> Triangle:
    """Triangle of some of the columns, in the order given, Eq. (7.8); no data is needed."""
    keep = list(columns)
    return _of_triangles([triangle], triangle.exponent[keep], [triangle.R[:, keep]])


def empty(k: int) -> Triangle:
    """The triangle of a matrix with k columns and no rows."""
    return Triangle(np.zeros((k, k)), np.full(k, ZERO))


def of(block: F64) -> Triangle:
    """Triangle of a block of rows, shape (m, k), finite, by Householder QR, Eq. (7.1)."""
    m, k = block.shape
    largest = np.abs(block).max(axis=0, initial=0.0)
    exponent = np.where(largest > 0, np.frexp(largest)[1], ZERO).astype(np.int64)
    epsilon = (16 * k + m) * U
    return Triangle(_factor(scale_columns(block, -exponent)), exponent, m, epsilon, epsilon)


def merge(a: Triangle, b: Triangle) -> Triangle:
    """Triangle of the rows of both, Eq. (2.7)."""
    if not a.n_rows or not b.n_rows:
        return a if a.n_rows else b
    exponent = np.maximum(a.exponent, b.exponent)
    return _of_triangles(
        [a, b], exponent, [scale_columns(t.R, t.exponent - exponent) for t in (a, b)]
    )


def _of_triangles(parts: list[Triangle], exponent: NDArray[np.int64], rows: list[F64]) -> Triangle:
    k = len(exponent)
    more = 16 * k * U  # what the QR of at most two triangles adds
    return Triangle(
        _factor(np.concatenate(rows)),
        exponent,
        sum(t.n_rows for t in parts),
        max(t.epsilon for t in parts) + more,
        max(t.blur for t in parts) + more,
    )


def normalise(triangle: Triangle) -> Triangle:
    """The same with the sizes of the columns in their exponents; a column of zeros has none."""
    largest = np.abs(triangle.R).max(axis=0, initial=0.0)
    shift = np.where(largest > 0, np.frexp(largest)[1], 0).astype(np.int64)
    exponent = np.where(largest > 0, triangle.exponent + shift, 0)
    return replace(triangle, R=scale_columns(triangle.R, -shift), exponent=exponent)


def plain(triangle: Triangle) -> Triangle:
    """The same without exponents, where they are moderate: squares and products are safe then."""
    exponent = triangle.exponent
    if np.abs(exponent).max(initial=0) > PLAIN:
        return triangle
    R = scale_columns(triangle.R, exponent)
    return replace(triangle, R=R, exponent=np.zeros_like(exponent))


def _factor(scaled: F64) -> F64:
    k = scaled.shape[1]
    R = np.zeros((k, k))
    factor = qr_triangle(scaled)
    R[: len(factor)] = factor
    return R


def scale_columns(a: F64, exponent: NDArray[np.int64]) -> F64:
    """Columns (or entries) of ``a`` times ``2**exponent``: exact, short of over- and underflow."""
    if not exponent.any():
        return a
    with np.errstate(over="ignore", under="ignore"):
        if np.abs(exponent).max(initial=0) < 1000:  # a product takes a fraction of the time
            return np.asarray(a * np.ldexp(1.0, exponent))
        half = exponent // 2  # in two steps: 2**1075 itself would overflow
        return np.asarray(np.ldexp(np.ldexp(a, half), exponent - half))


def norm(a: F64) -> float:
    """Euclidean norm without over- or underflow on the way."""
    if a.size < 64:
        return math.hypot(*a.ravel().tolist())
    largest = float(np.abs(a).max(initial=0.0))
    if not 0 < largest < np.inf:
        return largest
    with np.errstate(over="ignore"):
        return float(largest * np.linalg.norm(a / largest))


def qr_triangle(a: F64) -> F64:
    """R of the Householder QR of a (m, k), its diagonal not negative; shape (min(m, k), k)."""
    if 0 in a.shape:
        return np.zeros((0, a.shape[1]))
    # its default work space is for one column at a time: several times slower
    qr, _, _, info = lapack.dgeqrf(np.asfortranarray(a), lwork=64 * a.shape[1])
    if info:  # pragma: no cover - only for arguments that LAPACK refuses
        raise RuntimeError(f"LAPACK dgeqrf returned info = {info}")
    R = np.triu(qr[: min(a.shape)])
    signs = np.where(np.diagonal(R) < 0, -1.0, 1.0)
    return np.asarray(R * signs[:, None] + 0.0)


def unit_columns(R: F64) -> tuple[F64, F64]:
    """Columns divided by their norms, and the norms; a zero column stays, with norm 1."""
    norms = np.linalg.norm(R, axis=0)
    norms[norms == 0] = 1.0
    return R / norms, norms


def solve_upper(R: F64, b: F64, *, transpose: bool = False) -> F64:
    """Solve R x = b, or Rᵀ x = b with ``transpose``, by substitution; R upper triangular."""
    if not len(R):
        return np.asarray(b, dtype=np.float64)
    # LAPACK itself: SciPy's solve_triangular may wait for threads that a small system never needs
    x, info = lapack.dtrtrs(R, b, trans=1 if transpose else 0)
    if info:
        raise np.linalg.LinAlgError(f"pivot {info} of the triangle is zero")
    return np.asarray(x)
