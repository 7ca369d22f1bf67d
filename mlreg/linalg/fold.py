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

from mlreg.linalg.pieces import Pieces
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
LEAST = 1e-4  # eigenvalue of WᵀW at unit diagonal, down to which W is well conditioned
FEW = 256  # rows from which on a product is worth its overhead
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
        self._waiting: list[Pieces] = []
        self._closed = empty(k)  # what is in no Gram matrix
        self._gram: _Gram | None = None

    def add(self, block: F64 | Pieces) -> None:
        """Fold the rows of a block, shape (m, k), finite; it is kept for a while, not changed."""
        self._waiting.append(block if isinstance(block, Pieces) else Pieces([block]))
        begun = self._gram or self._closed.n_rows
        if sum(map(len, self._waiting)) >= (FEW if begun else max(2 * self.k, FEW)):
            if not begun:
                self._begin()
            self._flush()

    def triangle(self) -> Triangle:
        """Triangle of all rows so far."""
        self._flush()
        return normalise(self._total())

    def _begin(self) -> None:
        """Make a T of the first rows, or their triangle."""
        rows = _joined(self._waiting).array
        self._gram = _Gram.of_rows(rows[: max(2 * self.k, FEW)])
        if self._gram is None:
            enough = 4 * self.k  # more by QR would only cost time
            self._closed, self._waiting = of(rows[:enough]), [Pieces([rows[enough:]])]

    def _flush(self) -> None:
        blocks, self._waiting = self._waiting, []
        if blocks and min(map(len, blocks)) < FEW:
            blocks = [_joined(blocks)]
        for block in filter(len, blocks):
            if self._gram is None and self._closed.n_rows >= 4 * self.k:
                self._gram = _Gram.on(self._closed)
            if self._gram is None or not self._gram.add(block):
                self._closed, self._gram = merge(self._total(), of(block.array)), None

    def _total(self) -> Triangle:
        return self._gram.triangle() if self._gram and self._gram.n_calls else self._closed


def fold(blocks: Iterable[F64 | Pieces], k: int) -> Triangle:
    """Triangle of all rows of some blocks, each of shape (m, k), finite: Eqs. (2.7) and (7.3)."""
    folding = Fold(k)
    for block in blocks:
        folding.add(block)
    return folding.triangle()


def _joined(blocks: list[Pieces]) -> Pieces:
    return blocks[0] if len(blocks) == 1 else Pieces([np.concatenate([b.array for b in blocks])])


class _Gram:
    """WᵀW of W = A T⁻¹, on top of what a triangle contributes."""

    def __init__(self, base: Triangle, T: F64, exponent: NDArray[np.int64], G: F64) -> None:
        self.base, self.T, self.exponent, self.G = base, T, exponent, G
        self.light = len(T) > 1 and bool((np.diagonal(T) == 1).all())
        self.light = self.light and not np.triu(T[1:-1, 1:-1], 1).any()
        self.n_rows = self.n_calls = self.longest = 0
        self._trusted = np.full(len(T), -1.0)
        self._work, self._spare = np.empty(0), np.zeros_like(G)

    @classmethod
    def of_rows(cls, rows: F64) -> "_Gram | None":
        """Begin with a T that centres, made of some rows; None where that is not enough."""
        k = rows.shape[1]
        if k < 2 or not (np.abs(np.frexp(np.abs(rows).max(axis=0))[1]) < EXTREME).all():
            return None
        mean = np.zeros(k - 1)
        if rows[0, 0] and (rows[:, 0] == rows[0, 0]).all():
            mean = rows[:, 1:].mean(axis=0) / rows[0, 0]
        none = np.zeros(k, dtype=np.int64)
        gram = cls(empty(k), _centring(mean), none, np.zeros((k, k), order="F"))
        unit, size = _unit(_square(gram._whiten(Pieces([rows])), gram._spare))
        if eigenvalue_bound(unit[:-1, :-1]) < LEAST:
            return None
        _, found, _ = lapack.dposv(unit[:-1, :-1], unit[:-1, -1])
        gram.T = _centring(mean, found * size[-1] / size[:-1])
        return gram

    @classmethod
    def on(cls, base: Triangle) -> "_Gram | None":
        """Begin with the rows of a triangle; None where no T makes them well conditioned."""
        raw = np.abs(base.exponent).max(initial=0) < EXTREME
        exponent = np.zeros_like(base.exponent) if raw else base.exponent
        R = scale_columns(base.R, base.exponent - exponent)
        for T in (_light(R), _full(R, base.blur)):
            with np.errstate(all="ignore"):
                M = blas.dtrsm(1.0, T, R, side=1)
                G = _square(M, np.zeros_like(M))
            gram = cls(base, T, exponent, G)
            if gram._accept(G):
                return gram
        return None

    def add(self, block: F64 | Pieces) -> bool:
        """Add rows; False, and nothing changed, where that would lose digits."""
        block = block if isinstance(block, Pieces) else Pieces([block])
        with np.errstate(all="ignore"):
            if self.exponent.any():
                block = Pieces([scale_columns(block.array, -self.exponent)])
            W = self._whiten(block)
            np.copyto(self._spare, self.G)
            G = _square(W, self._spare)
        squares = np.diagonal(G)
        tiny = squares < math.ldexp(1.0, -2 * EXTREME)  # zero, or did a square underflow?
        if not self._accept(G) or (tiny.any() and W[:, tiny].any()):
            return False
        self.G, self._spare = G, self.G
        self.n_rows += len(block)
        self.n_calls += 1
        self.longest = max(self.longest, len(block))
        return True

    def _accept(self, G: F64) -> bool:
        """Whether a Gram matrix (its upper half) is safe to take the root of.

        More rows only add to it. So the least eigenvalue at unit diagonal falls by no more than
        the largest growth of the diagonal, and until that matters no other look is needed.
        """
        squares = np.diagonal(G)
        if (squares <= self._trusted).all():
            return True
        with np.errstate(all="ignore"):
            least = eigenvalue_bound(_unit(G)[0])
            if least >= LEAST:
                # finite, for then no infinity passes
                self._trusted = np.minimum(squares * (least / LEAST), np.finfo(np.float64).max)
        return least >= LEAST

    def triangle(self) -> Triangle:
        """The triangle of everything added, its base included."""
        unit, size = _unit(self.G)
        root, _ = lapack.dpotrf(unit)
        smallest = eigenvalue_bound(unit)  # λ of Eq. (7.4), from below
        R = blas.dtrmm(1.0, self.T, np.triu(root * (size * (np.diagonal(self.G) > 0))), side=1)
        k = len(R)
        # Eq. (7.4): what the solve and the product lose, and what the Gram matrix does
        solve = 2 * k * math.sqrt(k / smallest) * U
        gram = k * (self.longest + self.n_calls + k + 3) * U / (2 * smallest)
        return Triangle(
            R,
            self.exponent,
            self.base.n_rows + self.n_rows,
            float(self.base.epsilon + solve + gram),
            float(self.base.blur + solve),
        )

    def _whiten(self, block: Pieces) -> F64:
        """W = A T⁻¹, in the order of the block: by rows, or by columns."""
        shape, by_columns = (len(block), block.width), block.by_columns
        if self._work.size < math.prod(shape):
            self._work = np.empty(shape).reshape(-1)
        W = self._work[: math.prod(shape)].reshape(shape, order="F" if by_columns else "C")
        if not self.light:
            block.minus(np.zeros(block.width), W)
            if by_columns:
                return np.asarray(blas.dtrsm(1.0, self.T, W, side=1, overwrite_b=1))
            return np.asarray(blas.dtrsm(1.0, self.T, W.T, trans_a=1, overwrite_b=1)).T
        centre = np.concatenate(([0.0], self.T[0, 1:-1], [0.0]))
        first = block.first if centre.any() else 1.0
        if isinstance(first, float):  # an intercept
            block.minus(first * centre, W)
        else:
            np.subtract(block.array, np.outer(first, centre), out=W)
        b = np.append(-self.T[:-1, -1], 1.0)
        W[:, -1] = blas.dgemv(1.0, W, b) if by_columns else blas.dgemv(1.0, W.T, b, trans=1)
        return W


def _square(W: F64, G: F64) -> F64:
    """WᵀW + G, its upper half, in the place of G."""
    if W.flags.f_contiguous:
        return np.asarray(blas.dsyrk(1.0, W, beta=1.0, c=G, trans=1, overwrite_c=1))
    return np.asarray(blas.dsyrk(1.0, W.T, beta=1.0, c=G, overwrite_c=1))


def _centring(mean: F64, beta: F64 | None = None) -> F64:
    """T that takes multiples of column 0 out of the others, and then these out of the last."""
    T = np.eye(len(mean) + 1)
    T[0, 1:] = mean
    if beta is not None:
        T[:-1, -1] += beta
    return T


def _light(R: F64) -> F64:
    """T that centres, and takes what it can of the regressors out of y, from a triangle."""
    if not np.diagonal(R)[:-1].all():
        return _centring(R[0, 1:] / (R[0, 0] or 1.0))
    with np.errstate(all="ignore"):
        beta = solve_upper(R[1:-1, 1:-1], R[1:-1, -1])
    beta = np.append(0.0, beta if np.isfinite(beta).all() else 0.0 * beta)
    return _centring(R[0, 1:] / R[0, 0], beta)


def _full(R: F64, blur: float) -> F64:
    """R itself, with pivots that are rounding replaced by the length of their column."""
    T, norms = R.copy(), np.linalg.norm(R, axis=0)
    lost = np.abs(np.diagonal(R)) <= blur * norms
    T[lost, lost] = norms[lost]
    zero = np.diagonal(T) == 0
    T[zero, zero] = 1.0
    return T


def eigenvalue_bound(unit: F64) -> float:
    """Lower bound on the smallest eigenvalue of a Gram matrix at unit diagonal; 0 for no bound.

    Inverse iteration comes near it, from above. That a number is not above it is proved by
    Cholesky's method, which goes through for the matrix less that number, but for its own rounding.
    """
    k = len(unit)
    root, info = lapack.dpotrf(unit)
    if info or not np.isfinite(root).all():
        return 0.0
    v = np.random.default_rng(0).standard_normal(k)
    for _ in range(4):
        v, _ = lapack.dpotrs(root, v / np.linalg.norm(v))
    bound, rounding = 1 / float(np.linalg.norm(v)), k * (k + 1) * U
    while bound > 2 * rounding:
        bound *= 0.7
        if not lapack.dpotrf(unit - bound * np.eye(k))[1]:
            return bound - rounding
    return 0.0


def _unit(G: F64) -> tuple[F64, F64]:
    """G at unit diagonal, and the roots of its diagonal; those of a zero column are 1."""
    squares = np.diagonal(G)
    size = np.sqrt(np.where(squares == 0, 1.0, squares))
    unit = G / size / size[:, None]
    np.fill_diagonal(unit, np.where(squares == 0, 1.0, np.diagonal(unit)))
    return unit, size
