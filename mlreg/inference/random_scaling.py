"""Intervals from the path of one stream of minibatches, by random scaling, Eq. (13.12).

The average θ̄ of all iterates is nearly normal about the truth, and so are the averages θ̄_s of the
first s of them. How far these stray from θ̄ measures its own variance, up to a factor that is
random but known: of the ratio nothing unknown is left. No covariance is estimated, no row is kept.
"""

import math

from scipy import integrate, optimize

from mlreg.errors import InvalidInput

__all__ = ["critical_value", "upper_tail"]


def upper_tail(t: float) -> float:
    """P(T > t) for t ≥ 0 of T = W(1)/√∫(W(r) − rW(1))²dr, W a Brownian motion.

    W(1) and the bridge below it are independent, so that T is normal given U, the integral. With
    Craig's formula for the normal tail and the Laplace transform E exp(−sU) = √(√(2s)/sinh √(2s))
    it is one integral, Eq. (13.12).
    """

    def integrand(angle: float) -> float:
        root = t / math.sin(angle)  # √(2s) with s = t²/(2 sin²)
        if root < 1e-8:
            return 1.0
        # √(x/sinh x) without overflow
        return math.sqrt(2 * root / -math.expm1(-2 * root)) * math.exp(-root / 2)

    if not t > 0:
        return 0.5
    value, _ = integrate.quad(integrand, 0.0, math.pi / 2, epsabs=1e-13, epsrel=1e-11)
    return float(value / math.pi)


def critical_value(level: float) -> float:
    """c with P(|T| ≤ c) = level, Eq. (13.12): 6.747 at 95 %.

    Raises
    ------
    InvalidInput
        A level that is not between 0 and 1.
    """
    if not 0 < level < 1:
        raise InvalidInput(f"level must be between 0 and 1, not {level!r}")
    tail = (1 - level) / 2
    high = 1.0
    while upper_tail(high) > tail:
        high *= 2
    return float(optimize.brentq(lambda t: upper_tail(t) - tail, 0.0, high, xtol=1e-12))
