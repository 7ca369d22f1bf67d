"""Quantiles of ε + r·N: a new observation's noise, and the error of its estimated location.

The distribution function is E F(t − rN), F that of the noise: an integral over one normal
variable, by Gauss-Legendre quadrature on panels that are halved until halving changes nothing.
That asks nothing of F but continuity: kinks, heavy tails and any r are the same to it.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.polynomial import Chebyshev
from numpy.polynomial.legendre import leggauss
from numpy.typing import NDArray
from scipy.special import ndtri

from mlreg.errors import InvalidInput
from mlreg.likelihood.noise import Gaussian, Noise

__all__ = ["convolved_quantile"]

F64 = NDArray[np.float64]

NODES, WEIGHTS = (a / s for a, s in zip(leggauss(12), (1.0, np.sqrt(2 * np.pi)), strict=True))
SETTLED = 1e-13
"""Relative change of a probability at which panels are halved no more, and Newton's method ends."""
MOST_STEPS = 1200
"""By halving alone, no bracket of two floating-point numbers takes more."""
STRAIGHT = 1e-4
"""Ratio below which the density of ε is slope enough for Newton's method."""
AGREE = 1e-11
"""Difference of two interpolants, of degree k and 2k, at which the second is taken."""
MOST_NODES = 256
"""Degree at which interpolation is given up; ratios to solve for at a time."""


def convolved_quantile(noise: Noise, q: float, ratio: Any) -> F64:
    """Quantile of ε + r·N, with N standard normal and independent of ε.

    Parameters
    ----------
    noise : Noise
        Distribution of ε.
    q : float
        Probability, between 0 and 1.
    ratio : array, shape (m,)
        r ≥ 0: the standard error of each row's location, in units of the row's σ.

    Returns
    -------
    ndarray, shape (m,)
        In units of σ. Its probability is q within a relative 1e-10 of the smaller of q and 1 − q.

    Raises
    ------
    InvalidInput
        q not between 0 and 1; a negative ratio.

    Notes
    -----
    For normal noise it is √(1 + r²) times the quantile of ε. For other noise E F(t − rN) = q is
    solved for t; where there are many ratios, at Chebyshev's nodes between them, and interpolated
    once two interpolants agree to 1e-11.

    Examples
    --------
    >>> convolved_quantile(Gaussian(), 0.975, [0.0, 0.75]).round(3).tolist()
    [1.96, 2.45]
    """
    if not 0 < q < 1:
        raise InvalidInput(f"q must be between 0 and 1, such as 0.975; not {q!r}")
    r = np.asarray(ratio, dtype=np.float64)
    if (r < 0).any():
        raise InvalidInput(
            f"ratio must not be negative; it is {r.min():g} at row {int(r.argmin())}"
        )
    plain = float(noise.quantile(np.array(q)))
    distinct, position = np.unique(r, return_inverse=True)  # NaN comes last, and is one
    found = np.full(distinct.shape, plain)
    found[np.isnan(distinct)] = np.nan
    some = (distinct > 0) & np.isfinite(distinct)
    found[np.isposinf(distinct)] = 0.0 if q == 0.5 else np.copysign(np.inf, q - 0.5)
    if isinstance(noise, Gaussian):
        found[some] = plain * np.hypot(1.0, distinct[some])
    else:
        found[some] = _interpolated(lambda s: _solve(noise, q, s), distinct[some])
    return np.asarray(found[position].reshape(r.shape))


def _interpolated(function: Callable[[F64], F64], r: F64) -> F64:
    """The function at r, ascending; by itself where these are few, or where it is not smooth."""
    degree, before = 8, None
    while 4 * degree < len(r) and degree <= MOST_NODES:
        # over √(1 + r²) it is bounded; in the inverse hyperbolic sine it bends at one pace
        series = Chebyshev.interpolate(
            lambda x: function(np.sinh(x)) / np.cosh(x), degree, domain=np.arcsinh(r[[0, -1]])
        )
        now = series(np.arcsinh(r))
        if before is not None and np.allclose(now, before, rtol=AGREE, atol=AGREE):
            return np.asarray(now * np.hypot(1.0, r))
        degree, before = 2 * degree, now
    parts = [function(r[i : i + MOST_NODES]) for i in range(0, len(r), MOST_NODES)]
    return np.concatenate([r[:0], *parts])


def _solve(noise: Noise, q: float, r: F64) -> Any:
    """Quantile by Newton's method in the logarithm of the probability, inside a bracket."""
    if noise.symmetric and q > 0.5:
        return -_solve(noise, 1 - q, r)  # by the lower tail, which has more digits
    # P(ε ≤ a)P(rN ≤ b) ≤ P(ε + rN ≤ a + b) ≤ P(ε ≤ a) + P(rN ≤ b)
    plain, low, high = (float(noise.quantile(np.array(a))) for a in (q, q / 2, np.sqrt(q)))
    low, high = low + r * ndtri(q / 2), high + r * ndtri(np.sqrt(q))
    found = np.clip(np.copysign(np.hypot(plain, r * ndtri(q)), plain), low, high)
    rows = np.arange(len(r))  # those that are not done
    for _ in range(MOST_STEPS):
        t = found[rows]
        probability, slope = _convolved(noise, t, r[rows])
        gap = np.log(probability / q)
        low[rows] = np.where(gap < 0, t, low[rows])
        high[rows] = np.where(gap < 0, high[rows], t)
        with np.errstate(all="ignore"):
            step = t - gap * probability / slope
        middle = 0.5 * (low + high)[rows]
        inside = (step > low[rows]) & (step < high[rows])
        rest = (np.abs(gap) > SETTLED) & (middle > low[rows]) & (middle < high[rows])
        rows, step = rows[rest], np.where(inside, step, middle)[rest]
        if not len(rows):
            return found
        found[rows] = step
    raise AssertionError("a bracket that is halved closes")  # pragma: no cover


def _convolved(noise: Noise, t: F64, r: F64) -> tuple[F64, F64]:
    """P(ε + rN ≤ t), of relative accuracy 1e-12, and about its derivative in t; shapes (k,)."""
    # what lies beyond `reach` is nothing beside the probability, which is at least F(t)/2
    reach = -ndtri(np.maximum(1e-17 * np.minimum(noise.cdf(t), 0.5), 1e-300))
    most = float(reach.max())
    even = np.linspace(-1, 1, 2 * math.ceil(most / 2) + 1) * reach[:, None]
    # F(t − rn) falls from one to zero in a width 1/r about the centre t/r. Where that is narrow, a
    # wide panel would see nothing of it: from there on, panels grow by a factor.
    centre = t / r
    powers = 4.0 ** np.arange(-1, max(0, math.ceil(math.log(2 * most * float(r.max()), 4))))
    near = centre[:, None] + np.concatenate([-powers, [0.0], powers]) / r[:, None]
    knots = np.clip(np.column_stack([even, near]), -reach[:, None], reach[:, None])
    knots.sort(axis=1)
    row = np.repeat(np.arange(len(t)), knots.shape[1] - 1)
    left, right = knots[:, :-1].ravel(), knots[:, 1:].ravel()
    row, left, right = (a[right > left] for a in (row, left, right))

    def panels(row: Any, left: F64, right: F64) -> F64:
        """∫ φ(n) F(t − rn) dn and ∫ −n φ(n) F(t − rn) dn over panels, shape (2, panels)."""
        half = 0.5 * (right - left)
        n = 0.5 * (left + right)[:, None] + half[:, None] * NODES
        value = np.exp(-0.5 * n * n) * noise.cdf((centre[row, None] - n) * r[row, None])
        return np.array([value @ WEIGHTS, -(value * n) @ WEIGHTS]) * half

    whole = panels(row, left, right)
    size = np.bincount(row, whole[0], len(t))  # about the result
    total = np.zeros((2, len(t)))
    while len(row):
        middle = 0.5 * (left + right)
        halves = np.stack([panels(row, left, middle), panels(row, middle, right)])
        both = halves.sum(axis=0)
        more = (
            (np.abs(both[0] - whole[0]) > SETTLED * size[row]) & (left < middle) & (middle < right)
        )
        total += [np.bincount(row[~more], part[~more], len(t)) for part in both]
        left, right = np.append(left[more], middle[more]), np.append(middle[more], right[more])
        row, whole = np.tile(row[more], 2), np.concatenate(halves[:, :, more], axis=1)
    # E f(t − rN) is −E[N F(t − rN)]/r, by parts; where r is small, that is all rounding
    slope = np.where(r < STRAIGHT, np.exp(-noise.rho(t)), total[1] / r)
    return total[0], slope
