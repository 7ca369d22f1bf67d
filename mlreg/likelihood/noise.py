"""The noise ε in its standardised form: a density f₀ of z = (y − Xβ)/σ.

A noise is a location-scale family: y = Xβ + σ·ε with ε of density f₀. With
ρ(z) = −log f₀(z), ψ = ρ′ and ψ′ everything else follows: the chain rule to
(β, log σ) is written once, in `mlreg.likelihood.linear`.

The noises are the normal, Laplace's, the logistic and Huber's; Student's t has a
file of its own. Each is written so that no size of z overflows unless its ρ does.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import Any, ClassVar, Protocol

import numpy as np
from array_api_compat import device, is_array_api_obj
from scipy.special import erfinv, ndtr, ndtri

from mlreg.errors import InvalidInput, InvalidType
from mlreg.likelihood.blocks import as_float, namespace, to_numpy

__all__ = ["Gaussian", "Huber", "Laplace", "Logistic", "Noise"]

Array = Any
HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)
ROOT_2PI = math.sqrt(2 * math.pi)


class Noise(Protocol):
    """What a noise has to say of itself.

    Attributes
    ----------
    smooth : bool
        Whether ψ is continuous. Then ψ′, which may jump, integrates back to it, the mean of the
        Hessian is the information, Eq. (3.9), and Newton's method has a curvature to divide by.
    log_concave, symmetric : bool
        Whether ρ is convex (so that the NLL is, Eq. (3.13)), and whether it is even.
    fisher : tuple of float
        Fisher information at σ = 1 of one observation, in (location, log scale):
        E[ψ²], E[ψ(zψ − 1)], E[(zψ − 1)²], Eq. (3.6).

    Notes
    -----
    A noise may also have a method ``mgf(s)``, E exp(s·ε), infinite where that does not exist. The
    mean of a transformed response is made of it, and refused without it.
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
        """ρ″(z), where it exists; elsewhere a value that it has on one side."""
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
        return by_scipy(ndtr, z)

    def quantile(self, q: Array) -> Array:
        """Standard normal quantile (by SciPy, on the CPU); ±inf at 0 and 1."""
        return by_scipy(ndtri, q)

    def sample(self, size: int | tuple[int, ...], rng: np.random.Generator) -> Any:
        """Independent standard normal draws."""
        return rng.standard_normal(size)

    def mgf(self, s: Array) -> Array:
        """E exp(s·ε), Eq. (9.14): exp(s²/2)."""
        xp, s = real(s)
        with np.errstate(over="ignore"):
            return xp.exp(0.5 * s * s)


@dataclass(frozen=True)
class Laplace:
    """Laplace's noise: f₀(z) = exp(−|z|)/2, Eq. (8.1). Its MLE is least absolute deviations.

    Examples
    --------
    >>> import numpy as np
    >>> Laplace().psi(np.array([-3.0, 0.0, 0.1])).tolist()
    [-1.0, 0.0, 1.0]
    """

    smooth: ClassVar[bool] = False
    log_concave: ClassVar[bool] = True
    symmetric: ClassVar[bool] = True

    @property
    def fisher(self) -> tuple[float, float, float]:
        """(1, 0, 1), Eq. (8.11): ψ² is one, and |z| has mean one and variance one."""
        return (1.0, 0.0, 1.0)

    def rho(self, z: Array) -> Array:
        """|z| + log 2, Eq. (8.1)."""
        xp, z = real(z)
        return xp.abs(z) + math.log(2)

    def psi(self, z: Array) -> Array:
        """Sign of z; at the kink 0, the least of the slopes in [−1, 1] that support ρ there."""
        xp, z = real(z)
        return xp.sign(z)

    def dpsi(self, z: Array) -> Array:
        """Zero: all the bend is in the kink."""
        xp, z = real(z)
        return 0 * xp.sign(z)

    def cdf(self, z: Array) -> Array:
        """exp(z)/2 below zero, of full relative accuracy, and one minus exp(−z)/2 above."""
        return cdf_by_half(lambda xp, t: 0.5 * xp.exp(t), z)

    def quantile(self, q: Array) -> Array:
        """log(2q) up to one half, −log(2(1 − q)) above; ±inf at 0 and 1, NaN outside."""
        return quantile_by_half(lambda xp, p: xp.log(2 * p), q)

    def sample(self, size: int | tuple[int, ...], rng: np.random.Generator) -> Any:
        """Independent draws."""
        return rng.laplace(size=size)

    def mgf(self, s: Array) -> Array:
        """E exp(s·ε), Eq. (9.14): 1/(1 − s²) where |s| < 1, elsewhere infinite."""
        xp, s = real(s)
        size = xp.abs(s)
        inside = xp.where(size < 1, size, 0 * xp.sign(s))
        return xp.where(size < 1, 1 / ((1 - inside) * (1 + inside)), size + math.inf)


@dataclass(frozen=True)
class Logistic:
    """Logistic noise: f₀(z) = exp(−z)/(1 + exp(−z))², Eq. (8.7).

    Least squares for small residuals, least absolute deviations for large ones.

    Examples
    --------
    >>> import numpy as np
    >>> Logistic().cdf(np.array([0.0])).tolist()
    [0.5]
    """

    smooth: ClassVar[bool] = True
    log_concave: ClassVar[bool] = True
    symmetric: ClassVar[bool] = True

    @property
    def fisher(self) -> tuple[float, float, float]:
        """(1/3, 0, (3 + π²)/9), Eq. (8.13)."""
        return (1 / 3, 0.0, (3 + math.pi**2) / 9)

    def rho(self, z: Array) -> Array:
        """2 log(exp(z/2) + exp(−z/2)), Eq. (8.7)."""
        xp, z = real(z)
        return 2 * xp.logaddexp(z / 2, -z / 2)

    def psi(self, z: Array) -> Array:
        """tanh(z/2), Eq. (8.7)."""
        xp, z = real(z)
        return xp.tanh(z / 2)

    def dpsi(self, z: Array) -> Array:
        """Twice the density."""
        xp, z = real(z)
        e = xp.exp(-xp.abs(z))
        return 2 * e / ((1 + e) * (1 + e))

    def cdf(self, z: Array) -> Array:
        """1/(1 + exp(−z)), of full relative accuracy in the lower tail."""

        def lower(xp: Any, t: Array) -> Array:
            e = xp.exp(t)
            return e / (1 + e)

        return cdf_by_half(lower, z)

    def quantile(self, q: Array) -> Array:
        """log(q/(1 − q)); ±inf at 0 and 1, NaN outside."""
        # sinh(z/2) = (q − ½)/root(q(1 − q)): unlike the logarithm, accurate about q = ½ too
        return quantile_by_half(lambda xp, p: 2 * xp.asinh((p - 0.5) / xp.sqrt(p * (1 - p))), q)

    def sample(self, size: int | tuple[int, ...], rng: np.random.Generator) -> Any:
        """Independent draws."""
        return rng.logistic(size=size)

    def mgf(self, s: Array) -> Array:
        """E exp(s·ε), Eq. (9.14): πs/sin(πs) where |s| < 1, elsewhere infinite."""
        xp, s = real(s)
        size = xp.abs(s)
        inside = xp.where((size > 0) & (size < 1), size, 0.5 * xp.ones_like(s))
        # sin π(1 − s) is the same, and 1 − s is exact above one half
        sine = xp.sin(math.pi * xp.where(inside > 0.5, 1 - inside, inside))
        value = xp.where(size == 0, xp.ones_like(s), math.pi * inside / sine)
        return xp.where(size < 1, value, size + math.inf)


@dataclass(frozen=True)
class Huber:
    """The noise whose MLE is Huber's: f₀ normal within ±k, exponential outside, Eq. (8.8).

    Parameters
    ----------
    k : float
        Where the parabola of ρ goes over into its tangents, in units of the scale. With the
        default, least squares would be 5 % more efficient if the noise were normal after all,
        Eq. (8.9); the usual price for protection against outliers.

    Raises
    ------
    InvalidInput
        k not positive, NaN or infinite.

    Notes
    -----
    It is a density, normalised: NLL, AIC and scale are comparable with those of other noises.
    σ is the scale of the normal part, estimated as any other parameter.

    Examples
    --------
    >>> import numpy as np
    >>> Huber(1.5).psi(np.array([-9.0, 0.5, 9.0])).tolist()
    [-1.5, 0.5, 1.5]
    """

    k: float = 1.345

    smooth: ClassVar[bool] = True
    log_concave: ClassVar[bool] = True
    symmetric: ClassVar[bool] = True

    def __post_init__(self) -> None:
        limits = "0 would make it Laplace(), in another unit, and infinity Gaussian()"
        object.__setattr__(self, "k", positive("Huber's k", self.k, limits))

    @property
    def _tails(self) -> float:
        """2 exp(−k²/2)/k: the mass outside ±k before normalisation."""
        return 2 * math.exp(-self.k * self.k / 2) / self.k

    @property
    def constant(self) -> float:
        """What makes the area one: √(2π)(2Φ(k) − 1) + 2 exp(−k²/2)/k, Eq. (8.8)."""
        return ROOT_2PI * math.erf(self.k / math.sqrt(2)) + self._tails

    @property
    def fisher(self) -> tuple[float, float, float]:
        """(A, 0, 1 + A − k²(1 − A)) with A the chance to be within ±k, Eq. (8.14)."""
        outside = self._tails / self.constant
        inside = ROOT_2PI * math.erf(self.k / math.sqrt(2)) / self.constant
        return (inside, 0.0, 1 + inside - self.k * (self.k * outside))

    def rho(self, z: Array) -> Array:
        """z²/2 within ±k, k|z| − k²/2 outside; plus log of the constant, Eq. (8.8)."""
        w = self.psi(z)
        return w * (real(z)[1] - 0.5 * w) + math.log(self.constant)

    def psi(self, z: Array) -> Array:
        """Residual z, clipped to ±k."""
        xp, z = real(z)
        return xp.where(xp.abs(z) <= self.k, z, self.k * xp.sign(z))

    def dpsi(self, z: Array) -> Array:
        """One within ±k, the ends included; zero outside."""
        xp, z = real(z)
        return xp.where(xp.abs(z) <= self.k, xp.ones_like(z), 0 * xp.sign(z))

    def cdf(self, z: Array) -> Array:
        """Distribution function (by SciPy, on the CPU), of full relative accuracy below."""
        return by_scipy(lambda a: cdf_by_half(self._lower, a), z)

    def quantile(self, q: Array) -> Array:
        """Inverse of `cdf` (by SciPy, on the CPU); ±inf at 0 and 1, NaN outside."""
        return by_scipy(lambda a: quantile_by_half(self._lower_quantile, a), q)

    def sample(self, size: int | tuple[int, ...], rng: np.random.Generator) -> Any:
        """Independent draws: the lower half's quantiles, with random signs."""
        below = self.quantile(0.5 * (1 - rng.random(size)))  # of (0, ½]: never infinite
        return below * (2 * rng.integers(0, 2, size) - 1)

    def mgf(self, s: Array) -> Array:
        """E exp(s·ε) (by SciPy, on the CPU): infinite where |s| ≥ k."""
        return by_scipy(self._mgf, s)

    def _mgf(self, s: Any) -> Any:
        size, k = np.abs(s), self.k
        inside = np.where(size < k, size, 0.0)
        with np.errstate(over="ignore"):
            slices = (ndtr(k - inside) - ndtr(-k - inside)) * (ROOT_2PI / self.constant)
            above, below = (  # from ±k on the integrand is an exponential
                np.exp(x * k - 0.5 * k * k) / (self.constant * (k - x)) for x in (inside, -inside)
            )
            value = np.exp(0.5 * inside * inside) * slices + above + below
        return np.where(size < k, value, size + math.inf)

    def _lower(self, xp: Any, t: Any) -> Any:
        """P(ε ≤ t) for t ≤ 0: an exponential tail below −k, and normal slices from there on."""
        edge = self._tails / (2 * self.constant)
        with np.errstate(over="ignore"):  # exp(−inf) is what is meant
            tail = edge * np.exp(self.k * np.minimum(t + self.k, 0))
        centre = edge + (ndtr(t) - ndtr(-self.k)) * (ROOT_2PI / self.constant)
        return np.where(t < -self.k, tail, centre)

    def _lower_quantile(self, xp: Any, p: Any) -> Any:
        """Inverse of `_lower`, for p in (0, ½]."""
        edge, slices = self._tails / (2 * self.constant), self.constant / ROOT_2PI
        with np.errstate(all="ignore"):  # of the branches that are not chosen
            tail = np.log(p / edge) / self.k - self.k
            far = ndtri(ndtr(-self.k) + (p - edge) * slices)
            near = -math.sqrt(2) * erfinv((1 - 2 * p) * slices)  # no digit lost about p = ½
        return np.where(p < edge, tail, np.where((1 - 2 * p) * slices > 0.5, far, near))


# What the noises share


def real(z: Array) -> tuple[Any, Array]:
    """Namespace of z, and z as its float64 array; numbers and lists are taken as NumPy's."""
    z = z if is_array_api_obj(z) else np.asarray(z)
    xp = namespace(z)
    z = as_float(xp, z)
    if z.dtype == xp.complex128:
        raise InvalidType("z is complex: a noise other than Gaussian() is for real residuals")
    return xp, z


def positive(name: str, value: Any, limits: str) -> float:
    """The shape parameter as a float; an error that names its limits where it is none."""
    if not isinstance(value, Real):
        raise InvalidType(f"{name} must be a number, not {value!r}")
    number = float(value)
    if not 0 < number < math.inf:
        raise InvalidInput(f"{name} must be positive and finite, not {number:g}: {limits}")
    return number


def cdf_by_half(lower: Callable[[Any, Array], Array], z: Array) -> Array:
    """P(ε ≤ z) for symmetric ε, from ``lower(xp, t)``, which knows it for t ≤ 0.

    So the lower tail never is a difference 1 − (1 − p), which would have no digits.
    """
    xp, z = real(z)
    half = lower(xp, -xp.abs(z))
    return xp.where(z > 0, 1 - half, half)


def quantile_by_half(lower: Callable[[Any, Array], Array], q: Array) -> Array:
    """Quantile for symmetric ε, from ``lower(xp, p)``, which knows it for 0 < p ≤ 0.5.

    Above one half 1 − q is exact, so that nothing is lost by asking for the lower one.
    """
    xp, q = real(q)
    p = xp.where(q > 0.5, 1 - q, q)
    ones = xp.ones_like(p)
    z = lower(xp, xp.where(p > 0, p, 0.5 * ones))
    z = xp.where(p > 0, z, xp.where(p == 0, -math.inf * ones, math.nan * ones))
    return xp.where(q > 0.5, -z, z) + 0.0  # the median is 0, not −0


def by_scipy(function: Any, a: Array) -> Array:
    """Function of float64 NumPy arrays, applied to an array of any namespace."""
    if not is_array_api_obj(a):
        a = np.asarray(a)
    xp = namespace(a)
    return xp.asarray(function(np.asarray(to_numpy(a), dtype=np.float64)), device=device(a))
