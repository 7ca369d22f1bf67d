"""Responses on another scale: t = g(y), and the Jacobian that keeps the likelihood one of y.

The linear model is of t: t = Xβ + σ·ε. A density of y is that of t times the slope g'(y), so
that the NLL of y is that of t less the sum of log g'(y), Eq. (9.11). The sum does not depend on the
parameters: the estimate is that of t. But only with it do log-likelihood and AIC compare with
those of another transform, or of none.

Each transform here maps its interval onto all real numbers, or normal noise of t would have some
of its probability where no y is: so there is no square root.

Every function takes arrays of any array-API namespace and computes in double precision.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

import numpy as np
from array_api_compat import array_namespace, device, is_array_api_obj
from numpy.typing import NDArray

from mlreg.errors import InvalidInput, InvalidType

if TYPE_CHECKING:  # which imports the blocks of rows, and these this module
    from mlreg.likelihood.noise import Noise

__all__ = [
    "TRANSFORMS",
    "Arcsinh",
    "Log",
    "Log1p",
    "Transform",
    "as_transform",
    "label",
    "refuse_outside",
]

Array = Any


@dataclass(frozen=True)
class Log:
    """t = log y to the base e, 2 or 10, of positive y.

    Parameters
    ----------
    base : "e", 2 or 10
        Of the logarithm. The model is the same; coefficients and sigma are in other units.

    Attributes
    ----------
    name : str
        "log", "log2" or "log10".
    lower : float
        Only numbers above it have a transform; minus infinity where all have.

    Examples
    --------
    >>> import numpy as np
    >>> Log(10).forward(np.array([1.0, 1000.0])).tolist()
    [0.0, 3.0]
    """

    base: Literal["e", 2, 10] = "e"

    lower: ClassVar[float] = 0.0

    def __post_init__(self) -> None:
        if self.base not in ("e", 2, 10):
            raise InvalidInput(f"base must be 'e', 2 or 10, not {self.base!r}")

    @property
    def name(self) -> str:  # noqa: D102
        return "log" if self.base == "e" else f"log{self.base}"

    @property
    def _unit(self) -> float:
        """Natural logarithm of the base."""
        return 1.0 if self.base == "e" else math.log(self.base)

    def forward(self, y: Array) -> Array:
        """t of y; minus infinity or NaN where y is not positive."""
        xp, y = _real(y)
        with np.errstate(all="ignore"):
            return {"e": xp.log, 2: xp.log2, 10: xp.log10}[self.base](y)

    def inverse(self, t: Array) -> Array:
        """y of t; infinite, without a warning, where y is beyond floating point."""
        xp, t = _real(t)
        with np.errstate(all="ignore"):
            return xp.exp(t) if self.base == "e" else float(self.base) ** t

    def log_slope(self, t: Array) -> Array:
        """log g'(y) as a function of t, Eq. (9.10): −t·log b − log log b, b the base."""
        _, t = _real(t)
        return -self._unit * t - math.log(self._unit)

    def mean(self, mu: Array, sigma: Array, noise: "Noise") -> Array:
        """E y of t = mu + sigma·ε, Eq. (9.14): y at mu times M(sigma·log b), M(s) = E exp(s·ε).

        Parameters
        ----------
        mu, sigma : array or number
            Location and scale of t; they broadcast.
        noise : Noise
            Its `mgf` is M.

        Raises
        ------
        InvalidInput
            The mean is infinite, or the noise has no `mgf`.
        """
        _, mu, sigma = _pair(mu, sigma)
        with np.errstate(all="ignore"):
            return self.inverse(mu) * _mgf(noise, self._unit * sigma)


@dataclass(frozen=True)
class Log1p:
    """t = log(1 + y), of y above −1: for counts and amounts, zero among them.

    Attributes
    ----------
    name, lower
        As of `Log`.
    """

    name: ClassVar[str] = "log1p"
    lower: ClassVar[float] = -1.0

    def forward(self, y: Array) -> Array:
        """t of y; minus infinity or NaN where y is not above −1."""
        xp, y = _real(y)
        with np.errstate(all="ignore"):
            return xp.log1p(y)

    def inverse(self, t: Array) -> Array:
        """y of t; infinite, without a warning, where y is beyond floating point."""
        xp, t = _real(t)
        with np.errstate(all="ignore"):
            return xp.expm1(t)

    def log_slope(self, t: Array) -> Array:
        """log g'(y) as a function of t, Eq. (9.10): −t."""
        return -_real(t)[1]

    def mean(self, mu: Array, sigma: Array, noise: "Noise") -> Array:
        """E y of t = mu + sigma·ε: exp(mu)·M(sigma) − 1, Eq. (9.14); as of `Log`."""
        xp, mu, sigma = _pair(mu, sigma)
        with np.errstate(all="ignore"):
            return xp.exp(mu) * _mgf(noise, sigma) - 1


@dataclass(frozen=True)
class Arcsinh:
    """t = arcsinh y, of every y: about y near zero, log(2|y|) with the sign of y far from it.

    Attributes
    ----------
    name, lower
        As of `Log`.
    """

    name: ClassVar[str] = "arcsinh"
    lower: ClassVar[float] = -math.inf

    def forward(self, y: Array) -> Array:
        """t of y."""
        xp, y = _real(y)
        return xp.asinh(y)

    def inverse(self, t: Array) -> Array:
        """y of t; infinite, without a warning, where y is beyond floating point."""
        xp, t = _real(t)
        with np.errstate(all="ignore"):
            return xp.sinh(t)

    def log_slope(self, t: Array) -> Array:
        """log g'(y) as a function of t, Eq. (9.10): −log cosh t."""
        xp, t = _real(t)
        size = xp.abs(t)
        half = xp.sinh(0.5 * xp.where(size < 20, size, 0 * xp.sign(t)))  # cosh t is 1 + 2 half²
        return xp.where(size < 20, -xp.log1p(2 * half * half), math.log(2) - size)

    def mean(self, mu: Array, sigma: Array, noise: "Noise") -> Array:
        """E y of t = mu + sigma·ε: (exp(mu)·M(sigma) − exp(−mu)·M(−sigma))/2, Eq. (9.14)."""
        xp, mu, sigma = _pair(mu, sigma)
        above, below = _mgf(noise, sigma), _mgf(noise, -sigma)
        with np.errstate(all="ignore"):
            # written so that it does not cancel about mu = 0 where the noise is symmetric
            odd = above - below
            return 0.5 * (
                xp.sinh(mu) * (above + below) + xp.where(odd == 0, odd, xp.cosh(mu) * odd)
            )


Transform: TypeAlias = Log | Log1p | Arcsinh

TRANSFORMS: dict[str, Transform] = {t.name: t for t in (Log(), Log(2), Log(10), Log1p(), Arcsinh())}
"""The transforms, by name."""


def as_transform(value: Any) -> Transform | None:
    """The transform that a name stands for; itself, or None, where it is one already.

    Raises
    ------
    InvalidInput
        Another name, or no transform at all.
    """
    if value is None or isinstance(value, (Log, Log1p, Arcsinh)):
        return value
    if isinstance(value, str) and value in TRANSFORMS:
        return TRANSFORMS[value]
    known = ", ".join(map(repr, TRANSFORMS))
    why = ": a root is never negative, and noise may be" if value == "sqrt" else ""
    raise InvalidInput(f"transform must be one of {known}, not {value!r}{why}")


def label(transform: Transform | None, response: str) -> str:
    """What the model is linear in, such as ``log(y)``."""
    return response if transform is None else f"{transform.name}({response})"


def refuse_outside(
    transform: Transform,
    y: Array,
    response: str,
    rows: NDArray[np.intp] | None = None,
    first: int = 0,
) -> None:
    """Raise where a response has no transform; NaN and infinities are for others to find.

    Parameters
    ----------
    transform : Transform
        What it is to be taken of.
    y : array, shape (m,)
        The responses.
    response : str
        Their name.
    rows : integer array, shape (m,), optional
        Row numbers, where they are not 0, 1, ...
    first : int
        What is added to the row numbers.

    Raises
    ------
    InvalidInput
        With the count, the first row and the remedy.
    """
    xp, y = _real(y)
    outside = xp.isfinite(y) & (y <= transform.lower)
    if not bool(xp.any(outside)):
        return
    i = int(xp.argmax(xp.astype(outside, xp.int64)))
    count = int(xp.sum(xp.astype(outside, xp.int64)))
    zeros = int(xp.sum(xp.astype(outside & (y == 0), xp.int64)))
    if zeros == count:
        remedy = (
            "See what the zeros stand for; if they are amounts like the others, take "
            "transform='log1p' (in a formula, np.log1p)"
        )
    else:
        remedy = (
            "Mend or remove those rows; of numbers of both signs, take transform='arcsinh' (in a "
            "formula, np.arcsinh)"
        )
    raise InvalidInput(
        f"{label(transform, response)} needs {response!r} above {transform.lower:g}: in {count} "
        f"rows it is not, first {float(y[i]):g} at row "
        f"{first + (i if rows is None else int(rows[i]))}. {remedy}"
    )


def _real(a: Array) -> tuple[Any, Array]:
    """Namespace of an array, and the array in float64; numbers and lists are NumPy's."""
    a = a if is_array_api_obj(a) else np.asarray(a)
    xp = array_namespace(a)
    if xp.isdtype(a.dtype, "complex floating"):
        raise InvalidType("a response that is transformed must be real; it is complex")
    return xp, a if a.dtype == xp.float64 else xp.astype(a, xp.float64)


def _pair(mu: Array, sigma: Array) -> tuple[Any, Array, Array]:
    """Namespace of mu, and both as its float64 arrays."""
    xp, mu = _real(mu)
    if not is_array_api_obj(sigma) or isinstance(sigma, np.generic):
        sigma = xp.asarray(float(sigma), dtype=xp.float64, device=device(mu))
    return xp, mu, _real(sigma)[1]


def _mgf(noise: "Noise", s: Array) -> Array:
    """Moment generating function of the noise at s, Eq. (9.14); an error where it is infinite."""
    mgf: Callable[[Array], Array] | None = getattr(noise, "mgf", None)
    if mgf is None:
        raise InvalidInput(
            f"{noise!r} has no method mgf(s), the mean of exp(s·ε), so that the mean of the "
            "response is not known: take the median"
        )
    value = mgf(s)
    xp = array_namespace(value)
    bad = ~xp.isfinite(value)
    if bool(xp.any(bad)):
        at = float(
            xp.reshape(s, (-1,))[int(xp.argmax(xp.astype(xp.reshape(bad, (-1,)), xp.int64)))]
        )
        raise InvalidInput(
            f"the mean of the response does not exist under {noise!r}, or is beyond floating "
            f"point, where sigma is {abs(at):g} on the scale of the logarithm: take the median"
        )
    return value
