"""Iterative refinement of a least-squares solution, in twice the precision.

The triangle R of a design knows the solution up to its own rounding errors. One
step of refinement evaluates what the normal equations leave over at the solution,
g = Xᵀ(y − Xβ), far more accurately than R was computed, and moves β by
R⁻¹R⁻ᵀg. Each step shrinks the error by a factor that R's accuracy bounds, so
that the size of the last step is a bound on what is left: a bound from what was
found, and not from the worst case.

Numbers of double-double precision are pairs of float64, a value and a remainder;
their sums and products follow Dekker and Knuth.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlreg.linalg.triangle import norm, solve_upper, unit_columns

__all__ = ["Refined", "contraction", "refine", "refine_spread"]

F64 = NDArray[np.float64]
Pair = tuple[F64, F64]
Part = tuple[F64, F64, Sequence[F64]]  # X (m, p), y (m,), factors of the weights (m,)
Rows = Callable[[], Iterable[Part]]
U = 2.0**-53
SHORT = 64  # rows that are summed at once where double precision has to do
STEPS = 5


@dataclass(frozen=True, eq=False)
class Refined:
    """A refined solution and a bound on what is left of its error.

    Attributes
    ----------
    beta : ndarray, shape (p,)
        The coefficients, rounded to float64.
    low : ndarray, shape (p,)
        What that rounding left out of them.
    norm_r : float
        Norm of the residual at the minimum.
    bound : ndarray, shape (p,)
        Bound on the error of each coefficient, in units of √Gⱼⱼ, the last rounding included.
    spread : ndarray, shape (p,), optional
        √Gⱼⱼ, G = (XᵀX)⁻¹, where these were refined too.
    """

    beta: F64
    low: F64
    norm_r: float
    bound: F64
    spread: F64 | None = None


def contraction(R: F64, epsilon: float) -> float:
    """Factor by which a step with this triangle shrinks an error at least; infinite beyond ½.

    R is exact for columns changed by a relative ``epsilon``, so that RᵀR differs
    from XᵀX by at most ρ = 2κ + κ² in R's own metric, κ = ε√p‖R⁻¹‖ at unit columns.
    """
    unit, _ = unit_columns(R)
    kappa = epsilon * np.sqrt(len(R)) * np.linalg.norm(solve_upper(unit, np.eye(len(R))))
    rho = kappa * (2 + kappa)
    return float(rho) if rho < 0.5 else np.inf


def refine(
    rows: Rows, R: F64, beta: F64, norm_y: float, epsilon: float, *, doubled: bool
) -> Refined | None:
    """Refine a solution until its last step is below its rounding; None where that cannot work.

    Parameters
    ----------
    rows : callable
        Gives the rows, block by block, every time it is called: X, y, and the
        factors that the weight of a row is the product of.
    R : ndarray, shape (p, p)
        Triangle of X.
    beta : ndarray, shape (p,)
        The solution by R.
    norm_y : float
        Norm of the response.
    epsilon : float
        Columnwise relative error of R.
    doubled : bool
        In double-double precision, else in double precision with short sums: one
        step, at little more than the cost of reading the data.
    """
    rho = contraction(R, epsilon)
    if not np.isfinite(rho):
        return None
    high, low = beta.copy(), np.zeros_like(beta)
    inverse = solve_upper(R, np.eye(len(R)))
    G, spread = inverse @ inverse.T, np.linalg.norm(inverse, axis=1)  # √Gⱼⱼ
    lengths = np.linalg.norm(R, axis=0)
    left = np.inf
    for _ in range(STEPS if doubled else 2):
        g, squares, count = _normal_residual(rows(), high, low, doubled=doubled)
        norm_r = np.sqrt(squares)
        size = norm_y + lengths @ np.abs(high)
        # what rounding can do to g: to its sums over rows, and, through r, along the columns' span
        unit = 4 * U * U * (count + len(R)) if doubled else (SHORT + 4) * U
        along = unit * (size if doubled else norm_r) * lengths
        within = 0.0 if doubled else (len(R) + 4) * U * size
        noise = np.abs(G) @ along + within * spread
        whitened = solve_upper(R, g, transpose=True)
        high, low = _fast_two_sum(*_two_sum(high, solve_upper(R, whitened)), low)
        left = rho / (1 - rho) * norm(whitened)
        bound = left * spread + noise
        known = np.maximum(0.25 * U * np.abs(high), noise)
        if not doubled or (left * spread <= known).all():
            break
    step = norm(whitened)
    norm_r = np.sqrt(max(squares - step * step, 0.0)) if step < norm_r else norm_r
    if not (np.isfinite(high).all() and np.isfinite(norm_r)):
        return None
    last = np.maximum(U * np.abs(high), np.finfo(float).tiny)
    return Refined(high, low, float(norm_r), (bound + last) / spread)


def refine_spread(rows: Rows, R: F64, epsilon: float) -> F64 | None:
    """√Gⱼⱼ of G = (XᵀX)⁻¹, shape (p,), refined column by column; None where that cannot work."""
    rho, p = contraction(R, epsilon), len(R)
    if not np.isfinite(rho):
        return None
    inverse = solve_upper(R, np.eye(p))
    high = inverse @ inverse.T
    low = np.zeros_like(high)
    for _ in range(STEPS):
        size = np.abs(np.diagonal(high))
        moved = np.zeros(p)
        for j in range(p):
            g = _normal_residual(rows(), high[:, j], low[:, j], doubled=True, response=False)[0]
            g[j] += 1.0
            step = solve_upper(R, solve_upper(R, g, transpose=True))
            high[:, j], low[:, j] = _fast_two_sum(*_two_sum(high[:, j], step), low[:, j])
            moved[j] = abs(step[j])
        if (moved * rho <= 0.25 * U * size).all():
            break
    return np.asarray(np.sqrt(np.diagonal(high)))


def _normal_residual(
    parts: Iterable[Part], high: F64, low: F64, *, doubled: bool, response: bool = True
) -> tuple[F64, float, int]:
    """XᵀWr, rᵀWr and the number of rows, for r = y − X(high + low), or −X(high + low)."""
    p, count, squares = len(high), 0, 0.0
    total, rest = np.zeros(p), np.zeros(p)
    for X, y, weights in parts if doubled else _short(parts):
        if doubled:
            columns = np.ascontiguousarray(X.T)
            r, tail = _residual(columns, y if response else np.zeros(len(y)), high, low)
            weighted, left = r, tail
            for weight in weights:
                weighted, error = _two_product(weighted, weight)
                left = error + left * weight
            product, error = _two_product(columns, weighted)
            g, more = _sum_along(product, error + columns * left)
            squares += float(r @ weighted + tail @ weighted + r @ left)
        else:
            r = y - X @ high
            weighted = math.prod(weights, start=r)
            g, more = X.T @ weighted, np.zeros(p)
            squares += float(r @ weighted)
        total, error = _two_sum(total, g)
        rest += error + more
        count += len(y)
    return total + rest, squares, count


def _short(parts: Iterable[Part]) -> Iterator[Part]:
    for X, y, weights in parts:
        for start in range(0, len(y), SHORT):
            few = slice(start, start + SHORT)
            yield X[few], y[few], [w[few] for w in weights]


def _residual(columns: F64, y: F64, high: F64, low: F64) -> Pair:
    """y − X(high + low) of some rows, from the columns of X, shape (p, m)."""
    products, errors = _two_product(columns, -high[:, None])
    errors -= columns * low[:, None]
    r, tail = y, np.zeros(len(y))
    for product, error in zip(products, errors, strict=True):
        r, e = _two_sum(r, product)
        tail += e + error
    return _two_sum(r, tail)


def _sum_along(values: F64, rest: F64) -> Pair:
    """Sums over the last axis, by halves."""
    rest = rest.sum(axis=-1)
    while values.shape[-1] > 1:
        half = values.shape[-1] // 2
        odd = values[..., 2 * half :]
        values, error = _two_sum(values[..., :half], values[..., half : 2 * half])
        rest = rest + error.sum(axis=-1)
        values = np.concatenate([values, odd], axis=-1)
    return values[..., 0], rest


def _two_sum(a: F64, b: F64) -> Pair:
    """The float64 sum, and what it leaves out (Knuth)."""
    s = a + b
    back = s - a
    return s, (a - (s - back)) + (b - back)


def _fast_two_sum(a: F64, *smaller: F64) -> Pair:
    """The same for terms that are small beside the first (Dekker)."""
    b = sum(smaller)
    s = a + b
    return s, np.asarray(b - (s - a))


def _two_product(a: F64, b: F64) -> Pair:
    """The float64 product, and what it leaves out (Dekker, by Veltkamp's splitting)."""
    p = a * b
    (a1, a2), (b1, b2) = _split(a), _split(b)
    return p, ((a1 * b1 - p) + a1 * b2 + a2 * b1) + a2 * b2


def _split(a: F64) -> Pair:
    """A float64 as a sum of two of 26 bits."""
    c = 134217729.0 * a  # 2**27 + 1
    high = c - (c - a)
    return high, a - high
