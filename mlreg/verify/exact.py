"""Least squares in rational arithmetic: the reference that no rounding touches.

Every float64 is a rational number, so the normal equations of a float64 design
have an exact solution. It costs a few milliseconds for a few dozen rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

__all__ = ["Rational", "least_squares"]


@dataclass(frozen=True)
class Rational:
    """Exact least-squares solution.

    Attributes
    ----------
    params : tuple of Fraction
        The coefficients β̂.
    rss : Fraction
        Residual sum of squares Σ k w (y − xᵀβ̂)².
    inverse : tuple of tuple of Fraction
        G = (XᵀWX)⁻¹.
    """

    params: tuple[Fraction, ...]
    rss: Fraction
    inverse: tuple[tuple[Fraction, ...], ...]

    def squared_distance(self, params: Sequence[float], X: Any) -> Fraction:
        """‖X(params − β̂)‖², exactly."""
        off = [Fraction(b) - e for b, e in zip(params, self.params, strict=True)]
        total = Fraction(0)
        for row in np.asarray(X).tolist():
            total += sum((Fraction(a) * d for a, d in zip(row, off, strict=True)), Fraction(0)) ** 2
        return total


def least_squares(X: Any, y: Any, weights: Any = None) -> Rational:
    """Solve XᵀWXβ = XᵀWy exactly.

    Parameters
    ----------
    X : array, shape (n, p)
        Design matrix of full column rank.
    y : array, shape (n,)
        Responses.
    weights : array, shape (n,), optional
        The product of frequency and precision weights.

    Raises
    ------
    ZeroDivisionError
        The columns are linearly dependent.
    """
    A = [[Fraction(v) for v in row] for row in np.asarray(X).tolist()]
    b = [Fraction(v) for v in np.asarray(y).tolist()]
    w = [Fraction(1)] * len(b) if weights is None else [Fraction(v) for v in weights]
    p = len(A[0])
    columns, zero = range(p), Fraction(0)
    gram = [[_sum(w, A, A, i, j) for j in columns] for i in columns]
    right = [
        sum((k * row[i] * v for k, row, v in zip(w, A, b, strict=True)), zero) for i in columns
    ]
    inverse = _invert(gram)
    params = [sum((g * r for g, r in zip(row, right, strict=True)), zero) for row in inverse]
    residuals = [
        v - sum(a * c for a, c in zip(row, params, strict=True))
        for row, v in zip(A, b, strict=True)
    ]
    rss = sum((k * r * r for k, r in zip(w, residuals, strict=True)), Fraction(0))
    return Rational(tuple(params), rss, tuple(map(tuple, inverse)))


def _sum(w: Sequence[Fraction], A: Any, B: Any, i: int, j: int) -> Fraction:
    return sum((k * a[i] * b[j] for k, a, b in zip(w, A, B, strict=True)), Fraction(0))


def _invert(matrix: list[list[Fraction]]) -> list[list[Fraction]]:
    """Gauss-Jordan elimination with the first non-zero pivot."""
    p = len(matrix)
    work = [row[:] + [Fraction(int(i == j)) for j in range(p)] for i, row in enumerate(matrix)]
    for j in range(p):
        pivot = next((i for i in range(j, p) if work[i][j]), None)
        if pivot is None:
            raise ZeroDivisionError("the columns are linearly dependent")
        work[j], work[pivot] = work[pivot], work[j]
        work[j] = [v / work[j][j] for v in work[j]]
        for i in range(p):
            if i != j and work[i][j]:
                factor = work[i][j]
                work[i] = [a - factor * c for a, c in zip(work[i], work[j], strict=True)]
    return [row[p:] for row in work]
