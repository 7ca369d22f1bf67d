"""Which columns of a design are linear combinations of the ones before them.

Columns are judged at unit norm, left to right, so that the intercept and the
earlier columns stay (R's rule). The cutoff is what rounding can make of a dependent
column, (16p + rows per block + blocks)·u, and the columns that pass are confirmed
by their smallest singular value. Nothing here reads the data: all
comes from the triangle.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlreg.linalg.triangle import norm, qr_triangle, solve_upper, unit_columns

__all__ = ["Dependence", "RankReport", "rank_report"]

F64 = NDArray[np.float64]


@dataclass(frozen=True)
class Dependence:
    """Column ``column`` equals the combination Σ coefficient · column of earlier ones.

    An empty ``terms`` means a column of zeros.
    """

    column: int
    terms: tuple[tuple[float, int], ...]


@dataclass(frozen=True)
class RankReport:
    """What the columns of a design span.

    Attributes
    ----------
    rank : int
        Number of independent columns.
    kept : tuple of int
        The columns accepted, left to right.
    dependent : tuple of Dependence
        The others, each with its combination of accepted columns.
    smallest : float
        Smallest singular value of the accepted columns at unit norm: 1 for
        orthogonal columns, 0 for dependent ones.
    cutoff : float
        Below it a column counts as dependent.
    n_rows : int
        Rows of the design, with positive weight.
    """

    rank: int
    kept: tuple[int, ...]
    dependent: tuple[Dependence, ...]
    smallest: float
    cutoff: float
    n_rows: int

    @property
    def doubtful(self) -> bool:
        """Whether the accepted columns come within a factor 1000 of the cutoff."""
        return bool(self.kept) and self.smallest < 1000 * self.cutoff

    def describe(self, names: Sequence[str]) -> str:
        """The dependences in words, with the names of the columns."""
        lines = [_sentence(d, names) for d in self.dependent]
        shown = "; ".join(lines[:8])
        return shown + (f"; and {len(lines) - 8} more" if len(lines) > 8 else "")


def rank_report(R: F64, exponent: NDArray[np.int64], n_rows: int, cutoff: float) -> RankReport:
    """Judge the columns of a design by its triangle.

    Parameters
    ----------
    R : ndarray, shape (p, p)
        Upper triangular factor of the design, columns scaled by powers of two.
    exponent : ndarray of int, shape (p,)
        Those powers (see `mlreg.linalg.triangle.Triangle`).
    n_rows : int
        Rows of the design.
    cutoff : float
        Sine of the angle below which a column counts as dependent: the relative
        rounding error of the triangle.
    """
    p = len(R)
    unit, norms = unit_columns(R)
    kept = _accept(unit, cutoff)
    smallest = _smallest(unit[:, kept])
    while kept and smallest <= cutoff:
        # No single pivot is small, and yet the columns are dependent together: the column goes
        # that first makes those up to it so.
        low, high = 1, len(kept)
        while low < high:  # the smallest singular value falls with every column
            middle = (low + high) // 2
            if _smallest(unit[:, kept[:middle]]) <= cutoff:
                high = middle
            else:
                low = middle + 1
        del kept[low - 1]
        smallest = _smallest(unit[:, kept])
    dependent = tuple(
        _combination(unit, norms, exponent, [i for i in kept if i < j], j)
        for j in range(p)
        if j not in kept
    )
    return RankReport(len(kept), tuple(kept), dependent, smallest, cutoff, n_rows)


def _combination(
    unit: F64, norms: F64, exponent: NDArray[np.int64], earlier: list[int], j: int
) -> Dependence:
    """Column j in terms of the accepted columns before it, in the units of the data."""
    if not unit[:, j].any():
        return Dependence(j, ())
    T = qr_triangle(unit[:, [*earlier, j]])  # min over c of ‖A c − x_j‖
    c = solve_upper(T[: len(earlier), : len(earlier)], T[: len(earlier), -1])
    terms = []
    for i, value in zip(earlier, c, strict=True):
        if abs(value) > 1e-9 * np.abs(c).max():  # the others are rounding
            size = value * norms[j] / norms[i]
            terms.append((float(np.ldexp(size, int(exponent[j] - exponent[i]))), i))
    return Dependence(j, tuple(terms))


def _accept(unit: F64, cutoff: float) -> list[int]:
    """Columns that are not within ``cutoff`` of the span of those accepted before them."""
    if (np.abs(np.diagonal(unit)) > cutoff).all():
        return list(range(len(unit)))  # R is triangular: its diagonal are those distances
    work = unit.copy()
    kept: list[int] = []
    for j in range(work.shape[1]):
        k = len(kept)
        v = work[k:, j].copy()
        norm = np.linalg.norm(v) if len(v) else 0.0
        if norm <= cutoff:
            continue
        kept.append(j)
        v[0] += np.copysign(norm, v[0])  # the Householder reflector that clears below row k
        v /= np.linalg.norm(v)
        work[k:, j:] -= np.outer(2 * v, v @ work[k:, j:])
    return kept


def _smallest(columns: F64) -> float:
    """Smallest singular value; 1 without columns. Far from any cutoff, to a few per cent."""
    k = columns.shape[1]
    if not k:
        return 1.0
    if k > 32 and columns.shape[0] == k and np.diagonal(columns).all():
        v: Any = np.random.default_rng(0).standard_normal(k)
        for _ in range(10):  # inverse iteration: never below the smallest, and soon near it
            half = solve_upper(columns, v / norm(v), transpose=True)
            v = solve_upper(columns, half)
        found = 1 / math.sqrt(norm(v))
        if found > 1e-3:
            return found
    return float(np.linalg.svd(columns, compute_uv=False)[-1])


def readable(value: float) -> str:
    """A coefficient as a reader would write it: 2, 1/3, 0.25, 1.609344."""
    if value == 0 or not np.isfinite(value):
        return f"{value:g}"
    for denominator in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 100, 1000):
        near = round(value * denominator)
        if near and abs(near) < 10**4 and abs(value * denominator - near) <= 1e-9 * abs(near):
            fraction = Fraction(near, denominator)
            if fraction.denominator in (1, 3, 6, 7, 9, 12):
                return str(fraction)
            return f"{near / denominator:g}"
    return f"{value:.6g}"


def _sentence(dependence: Dependence, names: Sequence[str]) -> str:
    name = names[dependence.column]
    if not dependence.terms:
        return f"{name} is zero in every row"
    parts = []
    for coefficient, column in dependence.terms:
        sign = "-" if coefficient < 0 else "+"
        size = readable(abs(coefficient))
        other = names[column]
        parts.append((sign, other if size == "1" else f"{size}*{other}"))
    text = " ".join(f"{sign} {term}" for sign, term in parts)
    text = text[2:] if text.startswith("+ ") else "-" + text[2:]
    if len(parts) == 1 and names[dependence.terms[0][1]] == "Intercept":
        return f"{name} is constant, {name} = {text}"
    return f"{name} = {text}"
