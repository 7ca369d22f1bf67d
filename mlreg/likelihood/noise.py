"""The noise ε in its standardised form: a density f₀ of z = (y − Xβ)/σ.

A noise is a location-scale family: y = Xβ + σ·ε with ε of density f₀. With
ρ(z) = −log f₀(z), ψ = ρ′ and ψ′ everything else follows: the chain rule to
(β, log σ) is written once, in `mlreg.likelihood.linear`.
"""

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
from array_api_compat import device
from scipy.special import ndtr, ndtri

from mlreg.likelihood.blocks import namespace, to_numpy

__all__ = ["Gaussian", "Noise"]

Array = Any
HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


class Noise(Protocol):
    """What a noise has to say of itself.

    Attributes
    ----------
    smooth, log_concave, symmetric : bool
        Whether ρ is twice differentiable, convex (so that the NLL is, Eq. (3.13)), even.
    fisher : tuple of float
        Fisher information at σ = 1 of one observation, in (location, log scale):
        E[ψ²], E[ψ(zψ − 1)], E[(zψ − 1)²], Eq. (3.6).
    """

    smooth: ClassVar[bool]
    log_concave: ClassVar[bool]
    symmetric: ClassVar[bool]

    @property
    def fisher(self) -> tuple[float, float, float]:
        """E[ψ²], E[ψ(zψ − 1)], E[(zψ − 1)²]."""
        ...

    def rho(self, z: Array) -> Array:
        """−log f₀(z), constants kept; (m,) -> (m,), like the others."""
        ...

    def psi(self, z: Array) -> Array:
        """ρ′(z)."""
        ...

    def dpsi(self, z: Array) -> Array:
        """ρ″(z)."""
        ...

    def cdf(self, z: Array) -> Array:
        """P(ε ≤ z)."""
        ...

    def quantile(self, q: Array) -> Array:
        """Inverse of `cdf`."""
        ...

    def sample(self, size: int | tuple[int, ...], rng: np.random.Generator) -> Any:
        """Independent draws of ε, as a NumPy array."""
        ...


@dataclass(frozen=True)
class Gaussian:
    """Standard normal noise: f₀(z) = exp(−z²/2)/√(2π), Eq. (1.2).

    Examples
    --------
    >>> import numpy as np
    >>> Gaussian().cdf(np.array([0.0])).tolist()
    [0.5]
    """

    smooth: ClassVar[bool] = True
    log_concave: ClassVar[bool] = True
    symmetric: ClassVar[bool] = True

    @property
    def fisher(self) -> tuple[float, float, float]:
        """(1, 0, 2): E[z²], E[z(z² − 1)] and E[(z² − 1)²]."""
        return (1.0, 0.0, 2.0)

    def rho(self, z: Array) -> Array:
        """z²/2 + ½ log 2π, Eq. (1.2)."""
        return 0.5 * z * z + HALF_LOG_2PI

    def psi(self, z: Array) -> Array:
        """Identity: each residual pulls in proportion to its size."""
        return z

    def dpsi(self, z: Array) -> Array:
        """One, everywhere."""
        return 0 * z + 1

    def cdf(self, z: Array) -> Array:
        """Standard normal distribution function (by SciPy, on the CPU)."""
        return _by_scipy(ndtr, z)

    def quantile(self, q: Array) -> Array:
        """Standard normal quantile (by SciPy, on the CPU); ±inf at 0 and 1."""
        return _by_scipy(ndtri, q)

    def sample(self, size: int | tuple[int, ...], rng: np.random.Generator) -> Any:
        """Independent standard normal draws."""
        return rng.standard_normal(size)


def _by_scipy(function: Any, a: Array) -> Array:
    xp = namespace(a)
    return xp.asarray(function(np.asarray(to_numpy(a), dtype=np.float64)), device=device(a))
