"""Simultaneous bands for what is made of the residuals of least squares, exact at any n.

Residuals over s do not depend on β and σ, and know nothing of the fitted values, Eq. (12.3). So
their distribution is known from the design alone: residuals are drawn from it, and a band is made
so wide that k of B + 1 such draws, the data's own among them, leave it, Eq. (12.16).
"""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv, gammaln, ndtri, stdtr

from mlreg.errors import InvalidInput

__all__ = [
    "DRAWS",
    "draw_residuals",
    "in_order",
    "many_in_order",
    "order_band",
    "order_level",
    "outside",
    "root_moments",
    "smoother",
]

F64 = NDArray[np.float64]

DRAWS = 999
"""Draws that a band is made from."""


def outside(level: float, draws: int = DRAWS) -> int:
    """k, the number of draws that leave a band of this level: (1 − level)(B + 1), Eq. (12.16)."""
    if not (isinstance(level, (int, float, np.floating)) and 0 < level < 1):
        raise InvalidInput(f"level must be between 0 and 1, such as 0.95; not {level!r}")
    k = math.floor((1 - level) * (draws + 1) + 1e-9)
    if k < 1:
        raise InvalidInput(f"level must be at most {draws / (draws + 1):g}, not {level:g}")
    return k


# Order statistics


def order_band(local: float, i: F64, n: int) -> tuple[F64, F64]:
    """Limits of order statistics of n draws from [0, 1], each of the same level, Eq. (12.16).

    Parameters
    ----------
    local : float
        Probability that one of them is outside its own limits, half of it on either side.
    i : ndarray, shape (m,)
        Which, from 1 to n.
    n : int
        Of how many.

    Returns
    -------
    lower, upper : ndarray, shape (m,)
        Quantiles of Beta(i, n + 1 − i).
    """
    return betaincinv(i, n + 1 - i, local / 2), 1 - betaincinv(n + 1 - i, i, local / 2)


def order_level(draws: F64, i: F64, n: int, level: float) -> float:
    """The largest local level at which no more than k draws leave the band, Eq. (12.16).

    Parameters
    ----------
    draws : ndarray, shape (B, m)
        Draws of the order statistics i of n values, as probabilities.
    i, n
        As of `order_band`.
    level : float
        Probability that all of the data's are inside theirs.
    """
    k = outside(level, len(draws))
    low, high = math.log(1e-9), 0.0
    for _ in range(30):  # to 2e-8 of itself
        middle = (low + high) / 2
        lower, upper = order_band(math.exp(middle), i, n)
        left = int(np.sum(((draws < lower) | (draws > upper)).any(axis=1)))
        low, high = (middle, high) if left < k else (low, middle)
    return math.exp(low)


def in_order(residuals: F64, df: int, chosen: NDArray[np.intp]) -> F64:
    """Chosen order statistics of draws of residuals, as probabilities of t, shape (B, m).

    Parameters
    ----------
    residuals : ndarray, shape (n, B)
        Internally studentised.
    df : int
        n − p, two at least.
    chosen : integer array, shape (m,)
        Which, from 0.
    """
    r = np.sort(residuals, axis=0)[chosen].T
    with np.errstate(divide="ignore"):
        return np.asarray(stdtr(df - 1, r * np.sqrt((df - 1) / np.maximum(df - r**2, 0.0))))


def many_in_order(
    n: int,
    chosen: NDArray[np.intp],
    rng: np.random.Generator,
    fitted: tuple[bool, bool],
    draws: int = DRAWS,
) -> F64:
    """The same of very many rows, without drawing each: as of one sample, less mean and scale.

    Uniform order statistics are sums of exponentials over their total, and the gaps between chosen
    ones are gammas. Their mean and mean square stand for those of all. What the other coefficients
    take off is of the order p/n, and left out: it would make the band narrower.

    Parameters
    ----------
    n : int
        Of how many.
    chosen : integer array, shape (m,)
        Which, from 0, ascending; the first and the last among them.
    rng : Generator
        Where the numbers come from.
    fitted : two of bool
        Whether mean and scale of normal noise were fitted.
    draws : int
        B.
    """
    gaps = np.diff(np.concatenate([[-1], chosen, [n]]))
    sums = np.cumsum(rng.standard_gamma(gaps, size=(draws, len(gaps))), axis=1)
    u = sums[:, :-1] / sums[:, -1:]
    if not any(fitted):
        return np.asarray(u)
    z = ndtri(u)
    share = np.gradient(chosen.astype(float))
    share[[0, -1]] = 0.5 * (1 + np.array([gaps[1], gaps[-2]]))
    share /= share.sum()
    if fitted[0]:
        z -= (z @ share)[:, None]
    if fitted[1]:
        z /= np.sqrt(z**2 @ share)[:, None]
    return np.asarray(stdtr(n, z))


# Draws of residuals


def draw_residuals(
    W: F64, counts: F64, rng: np.random.Generator, draws: int = DRAWS
) -> tuple[F64, F64]:
    """Draws of the mean residuals of groups of rows, in units of σ, and of RSS/σ², Eq. (12.3).

    With u = Wᵀε over all rows a residual is ε − Wu. Summed over a group, only the sum of its ε and
    u matter; what the other directions of the rows add to u is normal, with the covariance that
    WᵀW = I leaves, and what they add to RSS is that and a χ².

    Parameters
    ----------
    W : ndarray, shape (m, p)
        Whitened rows, summed over each group and divided by the root of its count.
    counts : ndarray, shape (m,)
        Rows of each group; one where it is a row.
    rng : Generator
        Where the numbers come from.
    draws : int
        B.

    Returns
    -------
    residuals : ndarray, shape (m, B)
        Means of the groups, times the root of their count.
    squares : ndarray, shape (B,)
    """
    m, p = W.shape
    noise = rng.standard_normal((m, draws))
    u, squares = W.T @ noise, np.sum(noise**2, axis=0)
    values, vectors = np.linalg.eigh(np.eye(p) - W.T @ W)
    rest = values > 1e-9  # directions that the groups do not see whole
    z = rng.standard_normal((int(rest.sum()), draws))
    u += (vectors[:, rest] * np.sqrt(values[rest])) @ z
    squares += np.sum(z**2, axis=0) - np.sum(u**2, axis=0)
    more = int(counts.sum()) - m - len(z)
    if more > 0:
        squares += rng.chisquare(more, draws)
    return noise - W @ u, squares


def root_moments(df: int) -> tuple[float, float]:
    """Mean and variance of the root of |r|, r being an internally studentised residual.

    r²/(n − p) is Beta(½, (n − p − 1)/2): what is left of one of n − p coordinates, Eq. (12.9).
    """

    def moment(k: float) -> float:  # of |r|^k
        log = gammaln((1 + k) / 2) - gammaln(0.5) + gammaln(df / 2) - gammaln((df + k) / 2)
        return math.exp(0.5 * k * math.log(df) + log)

    mean = moment(0.5)
    return mean, moment(1.0) - mean**2


# A smooth


def smoother(x: F64, weight: F64, at: F64, span: float = 0.6) -> F64:
    """Local lines: the matrix that makes a smooth of responses at x, shape (g, m).

    Parameters
    ----------
    x, weight : ndarray, shape (m,)
        Where responses are, and what each counts.
    at : ndarray, shape (g,)
        Where the smooth is wanted.
    span : float
        Share of the weight that a line is fitted to, by the tricube of the distance.
    """
    apart = x - at[:, None]
    distance = np.abs(apart)
    order = np.argsort(distance, axis=1)
    reached = np.cumsum(weight[order], axis=1) >= span * weight.sum()
    far = np.take_along_axis(distance, order, axis=1)
    width = far[np.arange(len(at)), reached.argmax(axis=1)]
    width = np.maximum(1.001 * width, 0.05 * np.ptp(x))[:, None]
    near = weight * np.clip(1 - (distance / width) ** 3, 0, None) ** 3
    scaled = apart / width
    s0, s1, s2 = (np.sum(near * scaled**k, axis=1)[:, None] for k in (0, 1, 2))
    spread = s0 * s2 - s1**2
    line = spread > 1e-6 * s0**2  # else all that is near is at one place: a mean
    lines = near * (s2 - s1 * scaled) / np.where(line, spread, 1.0)
    return np.asarray(np.where(line, lines, near / s0))
