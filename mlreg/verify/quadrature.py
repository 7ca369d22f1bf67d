"""Adaptive quadrature of functions that take many points at once, and give several numbers."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["KNOTS", "integral", "over_line"]

F64 = NDArray[np.float64]

(_FINE, _BY_FINE), (_ROUGH, _BY_ROUGH) = map(np.polynomial.legendre.leggauss, (21, 10))
_NODES = np.concatenate([_FINE, _ROUGH])[:, None]

RELATIVE = 1e-13
"""Error of each piece, over its integral, at which it is good enough."""

ROUNDING = 50 * np.finfo(np.float64).eps
"""Error that is admitted whatever the rules say, over the integral of |f|."""

HALVINGS, MANY = 60, 1000
"""How often a piece is halved, and into how many parts at once; the rest is admitted as error."""

KNOTS: F64 = np.concatenate([[0.0, 0.5], 2.0 ** np.arange(10), [700.0]])
"""Ends of the pieces of a half-line, in x of z = sinh x, which overflows a little later."""


def integral(f: Callable[[F64], Any], knots: F64, absolute: float) -> tuple[F64, float]:
    """∫ f(x) dx from the first knot to the last, and the error that quadrature admits.

    Parameters
    ----------
    f : callable
        From (m,) to (m,) or (k, m).
    knots : ndarray
        Ends of pieces, each of which is halved until its error is 1e-13 of its integral, or
        ``absolute``.

    Returns
    -------
    total : ndarray, shape (k,)
        Gauss–Legendre sums.
    error : float
        From the difference of two rules, as QUADPACK takes it: the larger power of a small one.
    """
    low, high = knots[:-1], knots[1:]
    piece = np.arange(len(low))
    total: Any = 0.0
    error, sizes = 0.0, np.zeros(len(low))
    for halving in range(HALVINGS + 1):
        half = (high - low) / 2
        x = low + half * (1 + _NODES)
        found, missed, rounding = _rules(half, np.asarray(f(x.ravel())).reshape(-1, *x.shape))
        np.fmax.at(sizes, piece, np.abs(found).max(axis=0))  # of a piece, by its largest part
        wanted = np.maximum(absolute, RELATIVE * sizes[piece])
        again = np.isfinite(missed) & (missed > np.maximum(wanted / 8, rounding))
        if halving == HALVINGS or again.sum() > MANY:
            again[:] = False
        total = total + found[:, ~again].sum(axis=1)
        error += float(missed[~again].sum())
        if not again.any():
            break
        middle = (low + high) / 2
        low = np.concatenate([low[again], middle[again]])
        high = np.concatenate([middle[again], high[again]])
        piece = np.tile(piece[again], 2)
    return np.asarray(total), error


def _rules(half: F64, values: F64) -> tuple[F64, F64, F64]:
    """Integrals (k, m) over m intervals by the fine rule, their errors, and those of rounding."""

    def sums(weights: F64, values: F64) -> F64:
        return np.asarray(half * np.einsum("i,kij->kj", weights, values))

    fine, rough = values[:, : len(_FINE)], values[:, len(_FINE) :]
    with np.errstate(all="ignore"):  # what is no number, or is endless, is told by the error
        found = sums(_BY_FINE, fine)
        apart = np.abs(found - sums(_BY_ROUGH, rough)).max(axis=0)
        varies = sums(_BY_FINE, np.abs(fine - (found / (2 * half))[:, None])).max(axis=0)
        missed = varies * np.minimum(1, (200 * apart / varies) ** 1.5)
        missed = np.where(varies > 0, missed, apart)
        rounding = ROUNDING * sums(_BY_FINE, np.abs(fine)).max(axis=0)
        return found, np.maximum(missed, rounding), rounding


def over_line(
    f: Callable[[F64], Any],
    low: float,
    high: float,
    absolute: float = 1e-300,
    kinks: Sequence[float] = (),
) -> tuple[F64, float]:
    """∫ f(z) dz from low to high, in x of z = sinh x; see `integral`.

    A rule takes functions to be smooth, and at a kink may think too well of itself: a second
    division of the same way, with other nodes, makes other errors, and what they differ by counts.
    """
    start, stop = np.arcsinh([low, high])
    inner = np.concatenate([-KNOTS, KNOTS, np.arcsinh(kinks)])
    knots = np.unique([start, *inner[(inner > start) & (inner < stop)], stop])
    other = np.union1d(knots, knots[:-1] + 0.382 * np.diff(knots))

    def along(x: F64) -> Any:
        return np.cosh(x) * np.asarray(f(np.sinh(x)))

    (total, error), (again, _) = (integral(along, way, absolute) for way in (knots, other))
    return total, error + 2 * float(np.max(np.abs(total - again), initial=0.0))
