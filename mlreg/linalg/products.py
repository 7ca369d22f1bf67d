"""Products with tall blocks of rows, all by one BLAS.

NumPy and SciPy each bring a BLAS with threads of its own, and the threads of one go on spinning
for a while where the other is called: a product of a millisecond then takes thirty.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import blas

__all__ = ["gram", "square", "times", "times_transposed", "whiten"]

F64 = NDArray[np.float64]


def times(A: F64, b: F64) -> F64:
    """A b, for A of shape (m, k) and b of shape (k,)."""
    if not A.size:
        return np.zeros(len(A))
    by_columns = A.flags.f_contiguous
    return np.asarray(blas.dgemv(1.0, A, b) if by_columns else blas.dgemv(1.0, A.T, b, trans=1))


def times_transposed(A: F64, k: F64) -> F64:
    """Aᵀk, for A of shape (m, k) and k of shape (m,)."""
    if not A.size:
        return np.zeros(A.shape[1])
    by_columns = A.flags.f_contiguous
    return np.asarray(blas.dgemv(1.0, A, k, trans=1) if by_columns else blas.dgemv(1.0, A.T, k))


def gram(A: F64, weight: F64, B: F64) -> F64:
    """AᵀWB with W the diagonal matrix of the weights, shape (m,)."""
    if not (A.size and B.size):
        return np.zeros((A.shape[1], B.shape[1]))
    weighted = weight[:, None] * B
    if A.flags.f_contiguous and weighted.flags.f_contiguous:
        return np.asarray(blas.dgemm(1.0, A, weighted, trans_a=1))
    return np.asarray(blas.dgemm(1.0, A.T, weighted.T, trans_b=1))


def square(A: F64, weight: F64) -> F64:
    """AᵀWA with W the diagonal matrix of the weights, shape (m,), of which few are negative."""
    below = weight < 0
    upper = _upper_square(A * np.sqrt(np.maximum(weight, 0))[:, None])
    if below.any():
        upper -= _upper_square(A[below] * np.sqrt(-weight[below])[:, None])
    return upper + np.triu(upper, 1).T


def _upper_square(A: F64) -> F64:
    """Upper half of AᵀA, zeros below."""
    if not A.size:
        return np.zeros((A.shape[1],) * 2)
    by_columns = A.flags.f_contiguous
    return np.asarray(blas.dsyrk(1.0, A, trans=1) if by_columns else blas.dsyrk(1.0, A.T))


def whiten(R: F64, A: F64) -> F64:
    """A R⁻¹ by substitution, R upper triangular."""
    if not A.size:
        return A
    if A.flags.f_contiguous:
        return np.asarray(blas.dtrsm(1.0, R, A, side=1))
    return np.asarray(blas.dtrsm(1.0, R, A.T, trans_a=1)).T
