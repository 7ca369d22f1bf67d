"""Derivatives of Student's t in its degrees of freedom, in κ = 1/df.

In κ the family is smooth up to its end, the normal noise at κ = 0, and nothing is a difference of
large numbers there. For df itself, ∂/∂df = −κ²·∂/∂κ.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["ByKappa", "by_kappa", "shape_information"]

F64 = NDArray[np.float64]

CLIMB = 50
"""df/2 from which on Stirling's series has all digits."""

SMALL = 1e-4
"""κz² up to which a difference of two numbers near one is taken from its series."""


class ByKappa(NamedTuple):
    """∂ρ/∂κ, ∂²ρ/∂κ² and ∂ψ/∂κ of Eq. (8.5) at each z, shape (m,)."""

    rho: F64
    rho_twice: F64
    psi: F64


def by_kappa(kappa: float, z: F64) -> ByKappa:
    """Derivatives of ρ and ψ of Eq. (8.5) in κ = 1/df.

    Parameters
    ----------
    kappa : float
        1/df; zero for normal noise, of which ∂ρ/∂κ is −(z⁴ − 2z² − 1)/4.
    z : ndarray, shape (m,)
        Standardised residuals.

    Examples
    --------
    >>> by_kappa(0.0, np.array([0.0, 1.0, 2.0])).rho.tolist()
    [0.25, 0.5, -1.75]
    """
    slope, _, bend = _of_constant(kappa)
    with np.errstate(all="ignore"):  # of the branches that are not chosen
        square = z * z
        q = kappa * square
        shrunk = z / (1 + q)
        v = z * shrunk
        # −L′ for L = log1p(q)/κ is (log1p(q) − q/(1 + q))/κ². Of small q with t = q/(2 + q): the
        # logarithm is 2 atanh(t), and all terms of the difference are positive
        t = q / (2 + q)
        t2 = t * t
        series = t2 * (
            1 / 5 + t2 * (1 / 7 + t2 * (1 / 9 + t2 * (1 / 11 + t2 * (1 / 13 + t2 / 15))))
        )
        near = 2 * (1 / (1 + t) + t * (1 / 3 + series)) * (square / (2 + q)) ** 2
        fall = np.where(q > 0.25, (np.log1p(q) - kappa * v) / np.float64(kappa) ** 2, near)
        near = square**3 * (2 / 3 - q * (1.5 - 2.4 * q))
        bent = np.where(q > SMALL, (2 * fall - v * v) / np.float64(kappa), near)  # L″
        psi = shrunk * ((1 - square) / (1 + q))
    return ByKappa(0.5 * (v - fall) + slope, 0.5 * (bent - v * v) + bend, psi)


def shape_information(kappa: float) -> F64:
    """Expected information of one observation in (log σ, κ) at σ = 1, shape (2, 2).

    [[2/(1 + 3κ), 2/((1 + κ)(1 + 3κ))], [., E[(∂ρ/∂κ)²]]]: log σ as in Eq. (8.12). The
    coefficients share none with either, by symmetry. At κ = 0 it is [[2, 2], [2, 7/2]].
    """
    _, excess, bend = _of_constant(kappa)
    one, three = 1 + kappa, 1 + 3 * kappa
    both = 2 / (one * three)
    return np.array(
        [
            [2 / three, both],
            [both, (7 + 3 * kappa) / (2 * one * three) + bend + 2 * excess],
        ]
    )


def _of_constant(kappa: float) -> tuple[float, float, float]:
    """Of the logarithm of the constant, Eq. (8.4): the slope in κ, (slope − ¼)/κ, and the bend.

    With a = df/2 the slope is 2a²D(a), where D(a) = digamma(a + ½) − digamma(a) − 1/(2a); and
    D(a) is D(a + 1) and a positive number, so that it is climbed to where its series converges.
    """
    if kappa <= 0.5 / CLIMB:
        s = kappa * kappa
        excess = -kappa * (1 / 8 - s * (1 / 4 - s * (17 / 16 - s * 31 / 4)))
        bend = -kappa * (1 / 4 - s * (1 - s * (51 / 8 - s * 62)))
        return 0.25 + kappa * excess, excess, bend
    a = 0.5 / kappa
    climb = max(0, int(CLIMB - a) + 1)
    x = a + np.arange(climb)
    b = a + climb
    i = 1 / (b * b)
    D = i * (1 / 8 - i * (1 / 64 - i * (1 / 128 - i * 17 / 2048)))
    bent = -i / b * (1 / 4 - i * (1 / 16 - i * (3 / 64 - i * 17 / 256)))  # D′
    terms = 1 / (4 * x * (x + 0.5) * (x + 1))
    D += float(terms.sum())
    bent -= float(np.sum(terms * (1 / x + 1 / (x + 0.5) + 1 / (x + 1))))
    slope = 2 * a * a * D
    return slope, (slope - 0.25) / kappa, -4 * a**3 * (2 * D + a * bent)
