"""Iterative refinement of a least-squares solution, in twice the precision.

The triangle R of a design knows the solution up to its own rounding errors. One
step of refinement evaluates what the normal equations leave over at the solution,
g = Xᵀ(y − Xβ), far more accurately than R was computed, and moves β by
R⁻¹R⁻ᵀg. Each step shrinks the error by a factor that R's accuracy bounds, so
that the size of the last step is a bound on what is left: a bound from what was
found, and not from the worst case. The factor is known beforehand, from the worst
case of R's own rounding, or measured on the rows.

Numbers of double-double precision are pairs of float64, a value and a remainder;
their sums and products are exact, Eq. (7.7), and follow Dekker and Knuth.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlreg.linalg.triangle import norm

__all__ = ["Refined", "contraction", "doubled_residual", "measured_contraction", "refine"]

F64 = NDArray[np.float64]
Pair = tuple[F64, F64]
Part = tuple[F64, F64, Sequence[F64]]  # X (m, p), y (m,), factors of the weights (m,)
Rows = Callable[[], Iterable[Part]]
U = 2.0**-53
SHORT = 32  # terms that are summed at once where double precision has to do
STEPS = 40  # at most; one or two are usual, eight where columns are all but dependent
AT_ONCE = 10**6  # numbers that a measurement holds at once, a few times over


@dataclass(frozen=True, eq=False)
class Refined:
    """A refined solution, Eq. (7.5), and a bound on what is left of its error, Eq. (7.6).

    Attributes
    ----------
    beta : ndarray, shape (p,)
        The coefficients, rounded to float64.
    low : ndarray, shape (p,)
        What that rounding left out of them.
    norm_r : float
        Norm of the residual at the minimum.
    bound : ndarray, shape (p,)
        Bound on the error of each coefficient, in units of the triangle's √Gⱼⱼ, the last
        rounding included.
    spread : ndarray, shape (p,), optional
        √Gⱼⱼ, G = (XᵀX)⁻¹, where these were refined too.
    """

    beta: F64
    low: F64
    norm_r: float
    bound: F64
    spread: F64 | None = None


def contraction(R: F64, inverse: F64, epsilon: float) -> float:
    """Factor by which a step with this triangle shrinks an error, Eq. (7.5); infinite beyond ½.

    R is exact for columns changed by a relative ``epsilon``, so that RᵀR differs
    from XᵀX by at most ρ = 2κ + κ² in R's own metric, κ = ε√p‖R⁻¹‖ at unit columns.
    """
    lengths = np.sqrt((R * R).sum(axis=0))
    kappa = epsilon * math.sqrt(len(R)) * norm(lengths[:, None] * inverse)
    rho = kappa * (2 + kappa)
    return rho if rho < 0.5 else math.inf


def measured_contraction(rows: Rows, R: F64, inverse: F64) -> float:
    """The same factor as the rows have it, Eq. (7.9), in twice the precision; infinite beyond ½.

    It is nearly as large as it has to be, where that of the worst case is a hundred times
    larger or more; and costs p times as much as a step.
    """
    p = len(R)
    gram, count = np.zeros((p, p)), 0
    for X, y, weights in _cut(rows(), max(1, AT_ONCE // (p * p))):
        columns, zero = np.ascontiguousarray(X.T)[:, None], np.zeros((p, len(y)))
        whitened = np.add(*_residual(columns, zero, inverse, np.zeros((p, p))))  # −(XV)ᵀ
        gram += math.prod(weights, start=whitened) @ whitened.T
        count += len(y)
    of_rows = norm(np.eye(p) - gram) + (count + p + 8) * U * float(np.trace(gram))
    # V is multiplied by in float64, as if its entries were off by (p + 2)u
    rho = of_rows + contraction(R, inverse, (p + 2) * U) * (1 + of_rows)
    return rho if rho < 0.5 else math.inf


def refine(
    rows: Rows,
    R: F64,
    inverse: F64,
    beta: F64,
    norm_y: float,
    epsilon: float,
    *,
    doubled: bool,
    spread: bool = False,
    rho: float | None = None,
) -> Refined | None:
    """Refine a solution, Eq. (7.5), until its last step is below its rounding; or None.

    Parameters
    ----------
    rows : callable
        Gives the rows, block by block, every time it is called: X, y, and the
        factors that the weight of a row is the product of.
    R, inverse : ndarray, shape (p, p)
        Triangle of X, and R⁻¹.
    beta : ndarray, shape (p,)
        The solution by R.
    norm_y : float
        Norm of the response.
    epsilon : float
        Columnwise relative error of R.
    doubled : bool
        In double-double precision, else in double precision with short sums: one
        step, at little more than the cost of reading the data.
    spread : bool
        Refine √Gⱼⱼ of Eq. (2.11), too, in double-double precision: (XᵀX)⁻¹ is what solves the
        same equations with the columns of I for Xᵀy.
    rho : float, optional
        Contraction factor, if it is known better than by ``epsilon``.

    Returns
    -------
    Refined or None
        None where the triangle is not accurate enough for a step to help.
    """
    rho, p = contraction(R, inverse, epsilon) if rho is None else rho, len(R)
    if not math.isfinite(rho):
        return None
    G, roots = inverse @ inverse.T, np.sqrt((inverse * inverse).sum(axis=1))  # √Gⱼⱼ
    high = np.column_stack([beta, G]) if spread else beta[:, None]
    low = np.zeros(high.shape)
    lengths = np.sqrt((R * R).sum(axis=0))
    for _ in range(STEPS if doubled else 2):
        g, squares, count = _normal_residual(rows(), high, low, doubled=doubled)
        size = norm_y + float(lengths @ np.abs(high[:, 0]))
        # what rounding can do to g: to its sums over rows, and, through r, along the columns' span
        sums = min(SHORT, count) + min(SHORT, count // SHORT + 1)
        unit = 4 * U * U * (count + p) if doubled else (sums + 4) * U
        along = unit * math.sqrt(squares) * lengths
        within = (4 * U * U if doubled else U) * (p + 4) * size
        noise = np.abs(G) @ along + within * roots
        whitened = inverse.T @ g
        change = inverse @ whitened
        high, low = _fast_two_sum(*_two_sum(high, change), low)
        step = norm(whitened[:, 0])
        left = rho / (1 - rho) * step
        # rounding does a hundredth of what it can: another step may gain until then
        known = np.maximum(0.25 * U * np.abs(high[:, 0]), noise / 64)
        spread_left = rho * np.abs(np.diagonal(change, 1))
        if not doubled or (
            (left * roots <= known).all() and (spread_left <= 0.25 * U * np.diagonal(high, 1)).all()
        ):
            break
    norm_r = math.sqrt(max(squares - step * step, 0.0))
    if not (np.isfinite(high).all() and math.isfinite(norm_r)):
        return None
    # what rounding did to the last step, it may have hidden of the distance
    left += rho / (1 - rho) * (norm(np.abs(inverse.T) @ along) + within)
    last = np.maximum(U * np.abs(high[:, 0]), np.finfo(float).tiny)
    bound = left + (noise + last) / roots
    found = np.sqrt(np.diagonal(high, 1)) if spread else None
    return Refined(high[:, 0], low[:, 0], norm_r, bound, found)


def _normal_residual(
    parts: Iterable[Part], high: F64, low: F64, *, doubled: bool
) -> tuple[F64, float, int]:
    """XᵀWr, rᵀWr and the number of rows, for r = y − X(high + low).

    ``high`` and ``low`` are of shape (p, 1), for the coefficients, or (p, 1 + p) with (XᵀX)⁻¹
    beside them. For its columns y is zero, and I is added to XᵀWr.
    """
    count, squares = 0, [0.0]
    total, rest = np.eye(len(high), high.shape[1], k=1), np.zeros(high.shape)
    for X, y, weights in _cut(parts, 4096 if doubled else SHORT * SHORT):
        if doubled:
            columns = np.ascontiguousarray(X.T)[:, None]
            responses = np.zeros((high.shape[1], len(y)))
            responses[0] = y
            r, tail = _residual(columns, responses, high, low)
            weighted, left = r, tail
            for weight in weights:
                weighted, error = _two_product(weighted, weight)
                left = error + left * weight
            columns = np.concatenate([columns, r[None, :1]])  # the residual is one more column
            product, error = _two_product(columns, weighted)
            error += columns * left
            error[-1, 0] += tail[0] * weighted[0]
            g, more = _sum_along(product, error)
            squares += [float(g[-1, 0]), float(more[-1, 0])]
            g, more = g[:-1], more[:-1]
        else:
            r = y - X @ high[:, 0]
            weighted = math.prod(weights, start=r)
            g, more = _by_short_sums(X, weighted)[:, None], np.zeros(high.shape)
            squares.append(float((r * weighted).sum()))
        total, error = _two_sum(total, g)
        rest += error + more
        count += len(y)
    return total + rest, math.fsum(squares), count


def doubled_residual(X: F64, y: F64, high: F64, low: F64) -> Pair:
    """y − X(high + low) in twice the precision, shape (m,), for coefficients of shape (p,)."""
    columns = np.ascontiguousarray(X.T)[:, None]
    r, rest = _residual(columns, y[None], high[:, None], low[:, None])
    return r[0], rest[0]


def _cut(parts: Iterable[Part], most: int) -> Iterator[Part]:
    """The same rows in parts of no more than so many."""
    for X, y, weights in parts:
        for start in range(0, len(y), most):
            few = slice(start, start + most)
            yield X[few], y[few], [w[few] for w in weights]


def _by_short_sums(X: F64, r: F64) -> F64:
    """Xᵀr of no more than SHORT² rows, as a sum of SHORT sums of SHORT terms."""
    whole = len(r) - len(r) % SHORT
    several = X[:whole].reshape(-1, SHORT, X.shape[1])
    sums = np.matmul(r[:whole].reshape(-1, 1, SHORT), several)[:, 0]
    return np.asarray(sums.sum(axis=0) + r[whole:] @ X[whole:])


def _residual(columns: F64, y: F64, high: F64, low: F64) -> Pair:
    """y − X(high + low), shape (q, m) like y, from the columns of X, shape (p, 1, m)."""
    products, errors = _two_product(columns, -high[:, :, None])
    tail = (errors - columns * low[:, :, None]).sum(axis=0)
    r = y
    for product in products:
        r, error = _two_sum(r, product)
        tail += error
    return _two_sum(r, tail)


def _sum_along(values: F64, rest: F64) -> Pair:
    """Sums over the last axis, of up to 2**12 terms.

    The leading digits of all terms, cut at one place, add up without rounding; so do those of
    what is cut off. What is left then is below u² of the largest term (Rump, Ogita and Oishi).
    """
    total, error = np.zeros(values.shape[:-1]), rest.sum(axis=-1)
    room = values.shape[-1].bit_length() + 1
    for _ in range(2):
        largest = np.abs(values).max(axis=-1, initial=0.0)
        grid = np.ldexp(1.0, np.frexp(largest)[1] + room)[..., None]
        leading = (grid + values) - grid
        values = values - leading
        total, more = _two_sum(total, leading.sum(axis=-1))
        error = error + more
    return total, error + values.sum(axis=-1)


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
