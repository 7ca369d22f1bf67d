"""Student's t noise, and the distribution function that its tails ask for.

SciPy's ``stdtr`` and ``stdtrit`` lose digits next to zero (an absolute error of 1e-9 at
z = 1e-8) and all of them beyond z = 1e154. The same from incomplete beta functions, in
whichever of two complementary variables is small, keeps them.
"""

import math
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from scipy.special import betainc, betaincc, betainccinv, betaincinv

from mlreg.errors import InvalidInput
from mlreg.likelihood.noise import (
    HALF_LOG_2PI,
    by_scipy,
    cdf_by_half,
    positive,
    quantile_by_half,
    real,
)

__all__ = ["StudentT"]

Array = Any
POWER_LAW = 1e-9
"""Below this √df/|z| the tail is its leading power: the next term is smaller than rounding."""


@dataclass(frozen=True, repr=False)
class StudentT:
    """Student's t: f₀(z) proportional to (1 + z²/df)^(−(df + 1)/2), Eq. (8.4).

    Parameters
    ----------
    df : float, optional
        Degrees of freedom ν, positive. One is Cauchy's noise; the larger, the closer to the normal.
        Without it they are to be estimated: then this is a family of noises and no density yet, of
        which optimizers find the best member.
    at_least : float
        The smallest df that an estimate may be. Where df is small, the likelihood tends to have no
        bound, Eq. (8.6).

    Raises
    ------
    InvalidInput
        df or at_least not positive, NaN or infinite; both given; df needed, and not given.

    Notes
    -----
    Not log-concave: the NLL may have several minima, Eq. (3.13), and it has no bound below where
    the columns fit too many of the rows exactly, Eq. (8.6).

    Examples
    --------
    >>> import numpy as np
    >>> StudentT(1).psi(np.array([0.5, 1.0, 100.0])).round(2).tolist()
    [0.8, 1.0, 0.02]
    """

    df: float | None = None
    at_least: float = field(default=1.0, kw_only=True)

    smooth: ClassVar[bool] = True
    log_concave: ClassVar[bool] = False
    symmetric: ClassVar[bool] = True

    def __post_init__(self) -> None:
        limits = "for infinitely many degrees of freedom, normal noise, use Gaussian()"
        object.__setattr__(self, "at_least", positive("at_least", self.at_least, limits))
        if self.df is not None:
            object.__setattr__(self, "df", positive("df", self.df, limits))
            if self.at_least != 1:
                raise InvalidInput("at_least is for a df that is estimated, and df is given")

    def __repr__(self) -> str:
        if self.df is not None:
            return f"StudentT(df={self.df})"
        return "StudentT()" if self.at_least == 1 else f"StudentT(at_least={self.at_least})"

    def __str__(self) -> str:
        """For reading: an estimated df in six digits."""
        return repr(self if self.df is None else StudentT(float(f"{self.df:.6g}")))

    @property
    def _nu(self) -> float:
        if self.df is None:
            raise InvalidInput(
                f"{self} has no degrees of freedom yet: an optimizer estimates them, as Newton() "
                "does; or give them, as StudentT(4)"
            )
        return self.df

    @property
    def log_constant(self) -> float:
        """log of √df times Euler's B(½, df/2): what makes the area one, Eq. (8.4)."""
        # √(2πa) Γ(a)/Γ(a + ½) with a = df/2. Γ(a)/Γ(a + ½) is (a + ½)/a times the same at a + 1:
        # so climb to where Stirling's series converges. (SciPy's beta loses two digits on the way,
        # and the difference of two log gammas all of them.)
        a, log_a = self._nu / 2, math.log(self._nu) - math.log(2)
        climb = 50 if a < 50 else 0
        b = a + climb
        steps = [math.log1p(0.5 / (a + j)) for j in range(1, climb)]
        if climb:  # the first step, of which a may be as small as a number can be
            steps += [math.log(a + 0.5) - log_a, 0.5 * log_a, -0.5 * math.log(b)]
        series = 1 / 8 - (1 / 192 - (1 / 640 - 17 / 14336 / (b * b)) / (b * b)) / (b * b)
        return math.fsum([HALF_LOG_2PI, series / b, *steps])

    @property
    def fisher(self) -> tuple[float, float, float]:
        """((df + 1)/(df + 3), 0, 2 df/(df + 3)), Eq. (8.12)."""
        return ((self._nu + 1) / (self._nu + 3), 0.0, 2 * self._nu / (self._nu + 3))

    def _ratio(self, z: Array) -> tuple[Any, Array, Array, Array]:
        """Namespace; whether |z| > √df; the larger of the two; s = their ratio, at most one.

        In s no square overflows: 1 + z²/df is 1 + s², times max(z²/df, 1).
        """
        xp, z = real(z)
        root = math.sqrt(self._nu) * xp.ones_like(z)
        far = xp.abs(z) > root
        larger = xp.where(far, z, root)
        return xp, far, larger, xp.where(far, root, z) / larger

    def rho(self, z: Array) -> Array:
        """(df + 1)/2 · log(1 + z²/df), and the logarithm of the constant, Eq. (8.5)."""
        xp, far, larger, s = self._ratio(z)
        # of a large z, log(z²/df) by difference: the quotient itself can overflow
        excess = xp.where(far, xp.log(xp.abs(larger)) - 0.5 * math.log(self._nu), 0 * s)
        return (self._nu + 1) * (excess + 0.5 * xp.log1p(s * s)) + self.log_constant

    def psi(self, z: Array) -> Array:
        """(df + 1) z/(df + z²), Eq. (8.5): far residuals pull ever less."""
        _, _, _, s = self._ratio(z)
        return (self._nu + 1) / math.sqrt(self._nu) * (s / (1 + s * s))

    def dpsi(self, z: Array) -> Array:
        """(df + 1)(df − z²)/(df + z²)², Eq. (8.5): negative beyond √df."""
        xp, far, _, s = self._ratio(z)
        bend = (1 - s) * (1 + s) / ((1 + s * s) * (1 + s * s))
        return (self._nu + 1) / self._nu * xp.where(far, -s * s * bend, bend)

    def cdf(self, z: Array) -> Array:
        """Distribution function (by SciPy, on the CPU), of full relative accuracy below."""
        return by_scipy(lambda a: cdf_by_half(self._lower, a), z)

    def quantile(self, q: Array) -> Array:
        """Inverse of `cdf` (by SciPy, on the CPU); ±inf at 0 and 1, NaN outside."""
        return by_scipy(lambda a: quantile_by_half(self._lower_quantile, a), q)

    def sample(self, size: int | tuple[int, ...], rng: np.random.Generator) -> Any:
        """Independent draws: a standard normal over the root of a mean of df squares of others."""
        return rng.standard_t(self._nu, size)

    def mgf(self, s: Array) -> Array:
        """E exp(s·ε), Eq. (9.14): one at s = 0, elsewhere infinite, for the tails are powers."""
        xp, s = real(s)
        return xp.where(s == 0, xp.ones_like(s), xp.abs(s) + math.inf)

    def _lower(self, xp: Any, t: Any) -> Any:
        """P(ε ≤ t) for t ≤ 0."""
        half_df = self._nu / 2
        _, far, _, s = self._ratio(t)
        x, y = np.where(far, [s * s, np.ones_like(s)], [np.ones_like(s), s * s]) / (1 + s * s)
        middle = betainc(0.5, half_df, y)  # P(|ε| < |t|); x = 1 − y, with the digits of its own
        outside = np.where(far, betainc(half_df, 0.5, x), betaincc(0.5, half_df, y))
        half = np.where(middle < 0.5, 1 - middle, outside) / 2
        power = np.abs(s) ** self._nu * (math.exp(-self.log_constant) / math.sqrt(self._nu))
        return np.where(far & (np.abs(s) < POWER_LAW), power, half)

    def _lower_quantile(self, xp: Any, p: Any) -> Any:
        """Inverse of `_lower`, for p in (0, ½]: by inverse beta functions, then Newton's method."""
        half_df, root = self._nu / 2, math.sqrt(self._nu)
        with np.errstate(all="ignore"):  # of the branches that are not chosen
            s = np.exp((np.log(p) + 0.5 * math.log(self._nu) + self.log_constant) / self._nu)
            y = np.where(
                p > 0.25, betaincinv(0.5, half_df, 1 - 2 * p), betainccinv(0.5, half_df, 2 * p)
            )
            x = betaincinv(half_df, 0.5, 2 * p)
            t = -root * np.where(y < 0.5, np.sqrt(y / (1 - y)), np.sqrt((1 - x) / x))
            for _ in range(2):  # in log p, which is nearly straight in the tail
                found = self._lower(xp, t)
                step = np.log(found / p) * (found * np.exp(self.rho(t)))
                t = np.where(np.isfinite(step), t - step, t)
            return np.where(s < POWER_LAW, -root / s, t)
