"""The triangular factor of a tall matrix, block by block.

For a matrix A with k columns, A = QR with Q orthonormal and R upper triangular.
R carries every inner product of the columns (RᵀR = AᵀA) with the relative
accuracy of A itself, where AᵀA formed directly would lose half of the digits.
Putting rows together needs only the triangles: that of [A; B] is that of the two
triangles one above the other (Eq. (2.7)). That is `merge`, and `fold` of many.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack, solve_triangular

__all__ = [
    "Triangle",
    "empty",
    "fold",
    "merge",
    "norm",
    "of",
    "qr_triangle",
    "scale_columns",
    "select",
    "solve_upper",
    "unit_columns",
]

F64 = NDArray[np.float64]


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
        A relative error per column that the fold stays below: (16k + rows per
        block + blocks)·u, a worst case.
    """

    R: F64
    exponent: NDArray[np.int64]
    n_rows: int = 0
    n_blocks: int = 0
    block_rows: int = 0

    @property
    def epsilon(self) -> float:
        """Bound on the columnwise relative backward error (see class)."""
        k = len(self.R)
        return float((16 * k + self.block_rows + self.n_blocks) * 2.0**-53)


def select(triangle: Triangle, columns: Sequence[int]) -> Triangle:
    """Triangle of some of the columns, in the order given; no data is needed."""
    keep = list(columns)
    return _triangle(
        triangle.R[:, keep],
        triangle.exponent[keep],
        triangle.n_rows,
        triangle.n_blocks + 1,
        triangle.block_rows,
    )


def empty(k: int) -> Triangle:
    """The triangle of a matrix with k columns and no rows."""
    return Triangle(np.zeros((k, k)), np.full(k, -5000))


def of(block: F64) -> Triangle:
    """Triangle of a block of rows, shape (m, k), finite."""
    largest = np.abs(block).max(axis=0, initial=0.0)
    exponent = np.where(largest > 0, np.frexp(largest)[1], -5000).astype(np.int64)
    return _triangle(scale_columns(block, -exponent), exponent, len(block), 1, len(block))


def merge(a: Triangle, b: Triangle) -> Triangle:
    """Triangle of the rows of both, Eq. (2.7)."""
    if not a.n_rows or not b.n_rows:
        return a if a.n_rows else b
    exponent = np.maximum(a.exponent, b.exponent)
    rows = [scale_columns(t.R, t.exponent - exponent) for t in (a, b)]
    return _triangle(
        np.concatenate(rows),
        exponent,
        a.n_rows + b.n_rows,
        a.n_blocks + b.n_blocks,
        max(a.block_rows, b.block_rows),
    )


def fold(blocks: Iterable[F64], k: int) -> Triangle:
    """Triangle of all rows of some blocks, each of shape (m, k), finite: Eq. (2.7), repeated.

    Equal numbers of blocks are merged with each other, as in a knock-out: a row
    then goes through log₂(blocks) merges and not through all of them, and rounding
    grows as slowly. (Folded one after the other, a million rows blur a repeated
    column by 3·10⁻¹³, this way by 10⁻¹⁴.)
    """
    waiting: list[Triangle] = []
    for block in blocks:
        waiting.append(of(block))
        while len(waiting) > 1 and waiting[-1].n_blocks >= waiting[-2].n_blocks:
            b, a = waiting.pop(), waiting.pop()
            waiting.append(merge(a, b))
    total = empty(k)
    while waiting:
        total = merge(waiting.pop(), total)
    # a column of zeros has no size: none is taken out of it
    return replace(total, exponent=np.where(total.R.any(axis=0), total.exponent, 0))


def _triangle(
    scaled: F64, exponent: NDArray[np.int64], n_rows: int, n_blocks: int, block_rows: int
) -> Triangle:
    k = len(exponent)
    R = np.zeros((k, k))
    factor = qr_triangle(scaled)
    R[: len(factor)] = factor
    return Triangle(R, exponent, n_rows, n_blocks, block_rows)


def scale_columns(a: F64, exponent: NDArray[np.int64]) -> F64:
    """Columns (or entries) of ``a`` times ``2**exponent``: exact, short of over- and underflow."""
    half = exponent // 2  # in two steps: 2**1075 itself would overflow
    with np.errstate(over="ignore", under="ignore"):
        return np.asarray(np.ldexp(np.ldexp(a, half), exponent - half))


def norm(a: F64) -> float:
    """Euclidean norm without over- or underflow on the way."""
    largest = float(np.abs(a).max(initial=0.0))
    if not 0 < largest < np.inf:
        return largest
    with np.errstate(over="ignore"):
        return float(largest * np.linalg.norm(a / largest))


def qr_triangle(a: F64) -> F64:
    """R of the Householder QR of a (m, k), its diagonal not negative; shape (min(m, k), k)."""
    if 0 in a.shape:
        return np.zeros((0, a.shape[1]))
    qr, _, _, info = lapack.dgeqrf(np.asfortranarray(a))
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
    x: Any = solve_triangular(R, b, trans=1 if transpose else 0, check_finite=False)
    return np.asarray(x)
