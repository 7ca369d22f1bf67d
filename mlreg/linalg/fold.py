"""The triangle of rows that pass by block by block, at nearly the speed of a Gram matrix.

A Gram matrix AᵀA is the fastest way to fold rows together, and loses half of the
digits where the columns are nearly collinear. Here the columns are made nearly
orthogonal first: with a triangle T that is known from the first rows, W = A T⁻¹
is well conditioned, and then WᵀW loses nothing. Its Cholesky factor times T is
the triangle of A, Eq. (7.3). A block that breaks the condition is folded by QR, and T is
made anew.
"""

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import blas, lapack

from mlreg.linalg.triangle import (
    Triangle,
    empty,
    merge,
    normalise,
    of,
    scale_columns,
    solve_upper,
)

__all__ = ["Fold", "fold"]

F64 = NDArray[np.float64]
U = 2.0**-53
WELL_CONDITIONED = 1e-2  # reciprocal condition, by LAPACK's trcon, down to which W is trusted
EXTREME = 400  # binary exponents beyond which squares could leave floating point


class Fold:
    """Fold blocks of rows into a triangle.

    Parameters
    ----------
    k : int
        Number of columns, the response last.
    """

    def __init__(self, k: int) -> None:
        self.k = k
        self._waiting: list[F64] = []
        self._closed = empty(k)  # what is in no Gram matrix
        self._gram: _Gram | None = None

    def add(self, block: F64) -> None:
        """Fold the rows of a block, shape (m, k), finite; it is kept for a while, not changed."""
        self._waiting.append(block)
        if sum(map(len, self._waiting)) >= 4 * self.k:
            self._flush()

    def triangle(self) -> Triangle:
        """Triangle of all rows so far."""
        if self._waiting:
            self._flush()
        return normalise(self._total())

    def _flush(self) -> None:
        block = self._waiting[0] if len(self._waiting) == 1 else np.concatenate(self._waiting)
        self._waiting = []
        enough = 4 * self.k  # rows that T is made of: more by QR would only cost time
        if len(block) > enough and not self._closed.n_rows:
            self._closed, block = of(block[:enough]), block[enough:]
        if self._gram is None and self._closed.n_rows >= enough:
            self._gram = _Gram.on(self._closed)
        if len(block) and (self._gram is None or not self._gram.add(block)):
            self._closed, self._gram = merge(self._total(), of(block)), None

    def _total(self) -> Triangle:
        return self._gram.triangle() if self._gram and self._gram.n_calls else self._closed


def fold(blocks: Iterable[F64], k: int) -> Triangle:
    """Triangle of all rows of some blocks, each of shape (m, k), finite: Eqs. (2.7) and (7.3)."""
    folding = Fold(k)
    for block in blocks:
        folding.add(block)
    return folding.triangle()


class _Gram:
    """WᵀW of W = A T⁻¹, on top of what a triangle contributes."""

    def __init__(self, base: Triangle, T: F64, exponent: NDArray[np.int64], G: F64) -> None:
        self.base, self.T, self.exponent, self.G = base, T, exponent, G
        self.light = not np.triu(T[1:-1, 1:-1], 1).any()
        self.n_rows = self.n_calls = self.longest = 0

    @classmethod
    def on(cls, base: Triangle) -> "_Gram | None":
        """Begin with the rows of a triangle; None where no T makes them well conditioned."""
        raw = np.abs(base.exponent).max(initial=0) < EXTREME
        exponent = np.zeros_like(base.exponent) if raw else base.exponent
        R = scale_columns(base.R, base.exponent - exponent)
        for T in (_light(R), _full(R, base.blur)):
            with np.errstate(all="ignore"):
                M = blas.dtrsm(1.0, T, R, side=1)
                G = np.asfortranarray(M.T @ M)
            if _well_conditioned(G):
                return cls(base, T, exponent, G)
        return None

    def add(self, block: F64) -> bool:
        """Add rows; False, and nothing changed, where that would lose digits."""
        with np.errstate(all="ignore"):
            if self.exponent.any():
                block = scale_columns(block, -self.exponent)
            W = self._light_solve(block) if self.light else _full_solve(block, self.T)
            G = blas.dsyrk(1.0, W, beta=1.0, c=self.G)
        if not _well_conditioned(G):
            return False
        self.G = G
        self.n_rows += len(block)
        self.n_calls += 1
        self.longest = max(self.longest, len(block))
        return True

    def triangle(self) -> Triangle:
        """The triangle of everything added, its base included."""
        G, size, there = _unit(self.G)
        root, _ = lapack.dpotrf(G)
        inverse, _ = lapack.dtrtri(root)
        # λ of Eq. (7.4), from below: ‖A‖₂² is at most the product of the 1- and the ∞-norm
        smallest = 1 / (np.linalg.norm(inverse, 1) * np.linalg.norm(inverse, np.inf))
        R = np.triu(root * (size * there)) @ self.T
        k = len(R)
        # Eq. (7.4): what the solve and the product lose, and what the Gram matrix does
        solve = 2 * k * np.sqrt(k / smallest) * U
        gram = k * (self.longest + self.n_calls + k + 3) * U / smallest
        return Triangle(
            R,
            self.exponent,
            self.base.n_rows + self.n_rows,
            float(self.base.epsilon + solve + gram),
            float(self.base.blur + solve),
        )

    def _light_solve(self, block: F64) -> F64:
        """(A T⁻¹)ᵀ for a T that centres and scales the regressors: no more than two passes."""
        T, scale, W = self.T, np.diagonal(self.T), np.empty(block.shape)
        first = block[:, 0] / scale[0]
        if (first == first[0]).all():  # an intercept
            np.subtract(block[:, 1:], first[0] * T[0, 1:], out=W[:, 1:])
        else:
            np.subtract(block[:, 1:], np.outer(first, T[0, 1:]), out=W[:, 1:])
        W[:, 0] = first
        W[:, 1:] /= scale[1:]
        W[:, -1] -= W[:, 1:-1] @ (T[1:-1, -1] / scale[-1])
        return np.asarray(W.T)


def _full_solve(block: F64, T: F64) -> F64:
    """(A T⁻¹)ᵀ, in the order that BLAS likes."""
    rows = np.array(block, order="C")
    return np.asarray(blas.dtrsm(1.0, T, rows.T, side=0, trans_a=1, overwrite_b=1))


def _light(R: F64) -> F64:
    """T that centres by column 0 and scales, and takes what it can of the regressors out of y."""
    T = np.diag(np.linalg.norm(R[1:], axis=0))
    T[0] = R[0]
    _mend(T)
    if np.diagonal(R)[:-1].all():
        with np.errstate(all="ignore"):
            beta = solve_upper(R[:-1, :-1], R[:-1, -1])
            T[:-1, -1] = T[:-1, :-1] @ beta if np.isfinite(beta).all() else 0.0
    T[-1, -1] = abs(R[-1, -1]) or 1.0
    return T


def _full(R: F64, blur: float) -> F64:
    """R itself, with pivots that are rounding replaced by the length of their column."""
    T, norms = R.copy(), np.linalg.norm(R, axis=0)
    lost = np.abs(np.diagonal(R)) <= blur * norms
    T[lost, lost] = norms[lost]
    return _mend(T)


def _mend(T: F64) -> F64:
    zero = np.diagonal(T) == 0
    T[zero, zero] = 1.0
    return T


def _unit(G: F64) -> tuple[F64, F64, F64]:
    """G at unit diagonal, the roots of its diagonal, and which of them are not zero."""
    size = np.sqrt(np.diagonal(G))
    there = size > 0
    size = np.where(there, size, 1.0)
    unit = G / size / size[:, None]
    unit[~there, ~there] = 1.0
    return unit, size, there.astype(float)


def _well_conditioned(G: F64) -> bool:
    """Whether a Gram matrix (its upper half) is safe to take the root of."""
    with np.errstate(all="ignore"):
        unit, _, _ = _unit(G)
    if not np.isfinite(np.triu(unit)).all():
        return False
    root, info = lapack.dpotrf(unit)
    if info:
        return False
    rcond, _ = lapack.dtrcon(root)
    # in the 1-norm, which a factor √k may separate from the 2-norm
    return bool(rcond >= min(WELL_CONDITIONED, 0.1 / math.sqrt(len(G))))
