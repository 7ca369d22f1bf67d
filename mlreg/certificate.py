"""How far an estimate is from the maximum-likelihood estimate, in standard errors.

For Gaussian noise this is exact, whoever computed the estimate and however: with
Δ = params − β̂ and the triangle R of the design,

    distance = ‖RΔ‖/s,    s² = RSS_min/(n − p)                        Eq. (5.1)

which is the largest error over *all* linear contrasts cᵀβ, each in its own
standard error (Eq. (5.2)). The noise scale at the point that is judged never
enters: with it the distance could not exceed √n, and the worst fits would look
harmless (Eq. (5.6)).

Under Laplace noise it is exact too, for the least absolute deviations can be found
(`mlreg.subgradient`). For other smooth noises it is a local statement, made of the gradient and
the Hessian at the point that is judged: Newton's step to the MLE, in standard errors, Eq. (11.8).
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlreg.errors import InvalidInput, RankDeficient
from mlreg.likelihood.blocks import to_numpy
from mlreg.likelihood.linear import LinearLikelihood
from mlreg.likelihood.noise import Laplace
from mlreg.linalg.bounds import coefficient_bound, residual_bound
from mlreg.linalg.rank import RankReport
from mlreg.linalg.refine import Part, Refined, contraction, measured_contraction, refine
from mlreg.linalg.triangle import Triangle, norm, plain, scale_columns, solve_upper
from mlreg.scoring import Point, Whitened, whitened
from mlreg.subgradient import least_absolute

__all__ = ["Certificate", "LeastSquares", "certificate", "require_full_rank"]

F64 = NDArray[np.float64]

CONVERGED = 0.1
"""Standard errors within which an estimate counts as the MLE.

95 % intervals about an estimate that is off by so much still cover 94.9 % where the
error does not depend on the data, and 93.7 % at least where it does, Eq. (5.8).
"""

SMALL = 10**5
"""Numbers in X up to which a solution is refined as a matter of course."""

TINY = 2000
"""Numbers in X up to which the standard errors are refined too."""

LOSSY = 1e-11
"""Relative error of standard errors, at worst, from which on more of them are refined."""

DOUBTFUL = 0.01
"""Standard errors of rounding, at worst, from which on it is refined whatever it costs."""

U = 2.0**-53


@dataclass(frozen=True, eq=False)
class Certificate:
    """Distance of an estimate from the MLE; every length is in standard errors.

    Attributes
    ----------
    distance : float
        Largest error over all linear contrasts of the coefficients, Eq. (5.2). Infinite,
        or zero, where the data fit perfectly and standard errors vanish.
    per_param : ndarray, shape (p,)
        Error of each coefficient; none exceeds `distance`.
    sigma_distance : float
        Error of σ on the log scale, √(2n)·|log(σ/σ̂)|, Eq. (5.5); with a scale design the
        largest over all linear contrasts of its coefficients.
    log_likelihood_gap : float
        How much log-likelihood is missing, σ being profiled, Eq. (5.4), unless it
        was given to be judged.
    rounding : ndarray, shape (p,)
        Bound on the rounding error of the MLE that these distances are taken
        from, Eqs. (5.7) and (7.6). Infinite where it bounds nothing; NaN for data that
        fit perfectly, whose standard errors are zero.
    refined : bool
        Whether that bound was found, by a refinement pass, and not a worst case.
    exact : bool
        Whether the statement holds at any distance (Gaussian, Laplace), or only near the MLE:
        then a `distance` above one is no distance, but the sign of one.
    names : tuple of str
        Names of the coefficients.
    definite : bool
        Whether the observed Hessian is positive definite, as it is at an isolated minimum. Where
        it is not, the distances are those of the scoring step, and nothing is near.
    posterior : bool
        Whether there is a prior: then the distances are from the mode of the posterior, in its
        standard deviations, and the gap is one of the logarithm of its density.
    """

    distance: float
    per_param: F64
    sigma_distance: float
    log_likelihood_gap: float
    rounding: F64
    refined: bool
    exact: bool
    names: tuple[str, ...]
    definite: bool = True
    posterior: bool = False

    @property
    def converged(self) -> bool:
        """Whether coefficients and σ are within 0.1 standard errors of an MLE that can be known.

        It cannot where rounding has no bound.
        """
        near = self.distance <= CONVERGED and self.sigma_distance <= CONVERGED
        return near and self.definite and not bool(np.isinf(self.rounding).any())

    def __str__(self) -> str:
        unit = "posterior standard deviations" if self.posterior else "standard errors"
        if math.isinf(self.distance) and not self.exact:
            far = "infinite: there is no maximum of the likelihood to measure from here"
        elif not self.exact and not self.distance <= 1:
            far = f"far (the local model says {_three(self.distance)} {unit})"
        elif math.isinf(self.distance):
            far = "infinitely many standard errors (the data fit perfectly; this estimate does not)"
        else:
            far = f"{_three(self.distance)} {unit}"
        goal, kind = "the MLE", "likelihood"
        if self.posterior:
            goal, kind = "the posterior mode (MAP)", "posterior"
        worst = int(np.argmax(self.per_param)) if len(self.per_param) else 0
        lines = [
            f"distance from {goal}: {far}, over all linear contrasts",
            f"  worst coefficient: {self.names[worst]}, {_three(self.per_param[worst])}"
            f"; sigma: {_three(self.sigma_distance)}"
            f"; log-{kind} gap: {_three(self.log_likelihood_gap)}",
        ]
        if not self.definite:
            lines.append("  the observed Hessian is not positive definite: this is no minimum")
        if not np.isnan(self.rounding).any():
            lines.append(
                f"  rounding of the reference: at most {_three(self.rounding.max(initial=0.0))} "
                f"{unit} ({'refined' if self.refined else 'worst case'})"
            )
        return "\n".join(lines)


@dataclass(frozen=True, eq=False)
class LeastSquares:
    """The Gaussian MLE of a triangle, and what a certificate needs of it.

    Everything is in the columns' scaled units: coefficient j of the data is
    ``beta[j] * 2**(exponent[-1] - exponent[j])``.
    """

    triangle: Triangle
    n_rows: int
    beta: F64
    rank: RankReport
    refined: Refined | None = None

    @property
    def R(self) -> F64:
        """Triangle of the design alone, shape (p, p)."""
        return self.triangle.R[:-1, :-1]

    @property
    def norm_r(self) -> float:
        """Norm of the residual at the minimum, √RSS_min: the last pivot, Eq. (2.6), or refined."""
        return float(abs(self.triangle.R[-1, -1])) if self.refined is None else self.refined.norm_r

    @cached_property
    def inverse(self) -> F64:
        """R⁻¹, of which G = R⁻¹R⁻ᵀ is made, Eq. (2.11)."""
        return solve_upper(self.R, np.eye(len(self.beta)))

    @cached_property
    def spread(self) -> F64:
        """√Gⱼⱼ, shape (p,): times s they are the standard errors, Eq. (2.11)."""
        refined = self.refined
        if refined is not None and refined.spread is not None:
            return refined.spread
        return np.asarray(np.linalg.norm(self.inverse, axis=1))

    @property
    def df_resid(self) -> int:
        """Observations less coefficients, n − p."""
        return self.n_rows - len(self.beta)

    @property
    def scale_y(self) -> int:
        """Power of two that the response was divided by."""
        return int(self.triangle.exponent[-1])

    @property
    def residual_bound(self) -> float:
        """Norm of a residual that is rounding: y may have been computed, a rounding for a term."""
        return residual_bound(self.R, self.beta, self.norm_y, (len(self.beta) + 2) * U)

    @cached_property
    def rounding(self) -> F64:
        """Bound on the rounding error of each coefficient in standard errors; NaN: perfect fit."""
        if self.perfect:
            return np.full(len(self.beta), np.nan)
        if self.refined is not None:
            return self.refined.bound / self.s
        size = (self.beta, self.norm_y, self.norm_r)
        if self.norm_r <= residual_bound(self.R, *size[:2], self.triangle.epsilon):
            return np.full(len(self.beta), np.inf)  # the residual itself may be rounding
        return coefficient_bound(self.R, *size, self.triangle.epsilon, self.inverse) / self.s

    @property
    def norm_y(self) -> float:
        """Norm of the response."""
        return float(np.linalg.norm(self.triangle.R[:, -1]))

    @cached_property
    def perfect(self) -> bool:
        """Whether the residuals are no more than rounding, so that σ̂ is no estimate.

        Where the residual is above that and within the worst case of the fold, it is
        not known which; then the certificate's `rounding` is infinite. A residual above
        a millionth of the response is never called perfect.
        """
        limit = min(self.residual_bound, 1e-6 * self.norm_y)
        return self.df_resid <= 0 or self.norm_r <= limit

    @property
    def s(self) -> float:
        """Residual standard error √(RSS_min/(n − p)), Eq. (2.4), scaled; zero for a perfect fit."""
        return 0.0 if self.perfect else self.norm_r / math.sqrt(self.df_resid)

    def error(self, params: F64) -> F64:
        """Δ of Eq. (5.1), scaled, for coefficients in the units of the data."""
        with np.errstate(all="ignore"):  # absurd params overflow: they are infinitely far
            delta = self.scale(params) - self.beta
            return delta if self.refined is None else delta - self.refined.low

    def contrast(self, params: F64) -> F64:
        """RΔ, Eq. (5.1): the error of ``params`` in orthonormal coordinates."""
        with np.errstate(all="ignore"):
            return np.asarray(self.R @ self.error(params))

    @property
    def params(self) -> F64:
        """The MLE of the coefficients in the units of the data, shape (p,)."""
        return self.unscale(self.beta).copy()

    def unscale(self, beta: F64) -> F64:
        """From scaled coefficients to those of the data; infinite where they overflow."""
        return scale_columns(beta, self.scale_y - self.triangle.exponent[:-1])

    def scale(self, params: F64) -> F64:
        """The inverse of `unscale`."""
        return scale_columns(params, self.triangle.exponent[:-1] - self.scale_y)

    def log_sigma(self, error: float = 0.0) -> float:
        """log √(RSS/n), Eq. (2.3), where ‖RΔ‖ is ``error``; in the units of the data."""
        norm = math.hypot(self.norm_r, error)
        if norm == 0:
            return -math.inf
        return math.log(norm) - 0.5 * math.log(self.n_rows) + self.scale_y * math.log(2)


def least_squares(likelihood: LinearLikelihood) -> LeastSquares:
    """Solve the Gaussian model of a likelihood by its triangle, Eq. (2.6); one pass over the data.

    Small problems, and those where rounding could matter, are refined in a second
    pass, if the rows can be read again. What has been found is kept.

    Raises
    ------
    RankDeficient
        Where the coefficients are not unique.
    InvalidInput
        Where a coefficient leaves the range of floating point.
    """
    known: LeastSquares | None = likelihood.memo.get("least_squares")
    if known is not None:
        return known
    triangle = plain(likelihood.triangle)
    report = require_full_rank(likelihood)
    p = likelihood.n_params
    beta = solve_upper(triangle.R[:p, :p], triangle.R[:p, p])
    solution = LeastSquares(triangle, likelihood.n_rows, beta, report)
    if likelihood.source.rereadable:
        solution = _refine(likelihood, solution)
    size = np.abs(solution.params)
    tiny = (size < np.finfo(np.float64).tiny) & (solution.beta != 0)
    for lost, what, why in (
        (~np.isfinite(size), "exceeds the largest", "small"),
        (tiny, "is below the smallest", "large"),
    ):
        if lost.any():
            name = likelihood.source.names[int(lost.argmax())]
            raise InvalidInput(
                f"the coefficient of {name!r} {what} floating-point number: the column is too "
                f"{why} beside the response; change its unit"
            )
    likelihood.memo["least_squares"] = solution
    return solution


def _refine(likelihood: LinearLikelihood, ls: LeastSquares) -> LeastSquares:
    """The solution after refinement, where that is cheap or needed."""
    # precision weights of an extreme size change places with the rows they belong to
    half = round(likelihood.log_precision / ls.n_rows / math.log(4))
    exponent = ls.triangle.exponent - half

    def rows() -> Iterator[Part]:
        for block in likelihood.blocks():
            weights = [] if block.frequency is None else [to_numpy(block.frequency)]
            if block.precision is not None:
                weights.append(np.ldexp(to_numpy(block.precision), -2 * half))
            X = scale_columns(to_numpy(block.X), -exponent[:-1])
            yield X, scale_columns(to_numpy(block.y), -exponent[-1]), weights

    p, epsilon, numbers = len(ls.beta), ls.triangle.epsilon, ls.triangle.n_rows * len(ls.beta)
    small = numbers <= SMALL
    if not (small or _doubtful(ls)):
        return ls

    def given() -> Iterable[Part]:
        return kept if small else rows()

    solved = ls  # keeps its inverse, which a refined copy would make again
    with np.errstate(all="ignore"):  # what overflows is not refined
        kept = list(rows()) if small else []
        rho = contraction(ls.R, solved.inverse, epsilon)
        if small and math.isinf(rho):  # in the worst case; the rows may be better than that
            rho = measured_contraction(given, ls.R, solved.inverse)
        # in less favourable cases standard errors lose digits before the coefficients do
        lossy = numbers * p <= 20 * SMALL and rho > LOSSY
        for doubled in (True,) if small else (False, True):
            if small or _doubtful(ls) or (lossy and ls.refined is not None):
                found = (ls.R, solved.inverse, ls.beta, ls.norm_y, epsilon)
                spread = doubled and (numbers <= TINY or lossy)
                refined = refine(given, *found, doubled=doubled, spread=spread, rho=rho)
                if refined is not None:
                    # in units of the true √Gⱼⱼ, Eq. (7.9)
                    bound = refined.bound * math.sqrt(1 + rho)
                    ls = replace(ls, beta=refined.beta, refined=replace(refined, bound=bound))
    return ls


def _doubtful(ls: LeastSquares) -> bool:
    """Whether rounding may matter."""
    with np.errstate(all="ignore"):
        return ls.perfect or bool(ls.rounding.max(initial=0.0) > DOUBTFUL)


def require_full_rank(likelihood: LinearLikelihood) -> RankReport:
    """Rank report of the design, or `RankDeficient` naming the columns and the combination."""
    report = likelihood.rank_report
    if report.dependent:
        names = likelihood.source.names
        if report.n_rows < len(names):
            why = (
                f"{report.n_rows} row{'s' * (report.n_rows != 1)} cannot determine "
                f"{len(names)} coefficients. Add rows, or remove"
            )
        else:
            why = (
                "the columns of the design are linearly dependent, to rounding, so the "
                f"coefficients are not unique: {report.describe(names)}. Remove"
            )
        raise RankDeficient(f"{why} columns, or use rank_deficient='drop'", report)
    return report


def certificate(
    likelihood: LinearLikelihood, params: F64, sigma: float | None = None
) -> Certificate:
    """Certificate of any coefficients: exact for Gaussian and Laplace noise, else local.

    Parameters
    ----------
    likelihood : LinearLikelihood
        With `Gaussian`, `Laplace`, or any other smooth and symmetric noise.
    params : ndarray, shape (p,)
        The coefficients to judge.
    sigma : float, optional
        The noise scale to judge; profiled at ``params`` by default. Not with a scale design.

    Raises
    ------
    RankDeficient
        The MLE is not unique.
    InvalidInput
        Other noise with kinks, or not symmetric; params of the wrong length, NaN or infinite;
        sigma not positive.

    Notes
    -----
    Under Laplace noise an MLE is found, and its distance taken, in its own standard errors,
    Eq. (8.11). Where the MLE is not unique, the nearest one is meant; of more than two vertices
    the distance is an upper bound.

    For other noise the error is Newton's step H⁻¹g, Eq. (11.1), in the standard
    errors that the expected information gives at the point, Eq. (11.8): with the true distance it
    agrees up to its square, Eq. (11.2). Where the Hessian is not positive definite it is the
    scoring step I⁻¹g, Eq. (11.3). Non-convex likelihoods (Student's t) may have several maxima:
    the nearest is meant.
    """
    params = np.asarray(params, dtype=np.float64)
    names = likelihood.source.names
    if params.shape != (len(names),):
        raise InvalidInput(
            f"params must have one number for each of {', '.join(names)}: shape "
            f"({len(names)},), not {params.shape}"
        )
    if not np.isfinite(params).all():
        bad = names[int(np.flatnonzero(~np.isfinite(params))[0])]
        raise InvalidInput(f"the coefficient of {bad!r} is NaN or infinite: nothing to certify")
    if sigma is not None and not 0 < sigma < math.inf:
        raise InvalidInput(f"sigma must be positive and finite, not {sigma!r}")
    if sigma is not None and likelihood.scale_names:
        raise InvalidInput("sigma differs from row to row: leave sigma out, and it is profiled")
    if type(likelihood.noise) is Laplace and likelihood.prior is None:
        return laplace_certificate(likelihood, params, sigma)
    if not likelihood.exact:
        gamma = None if sigma is None else np.array([math.log(sigma)])
        return local_certificate(likelihood, params, gamma)[0]
    ls = least_squares(likelihood)
    with np.errstate(all="ignore"):  # absurd params may overflow: their distance is then infinite
        return judge(ls, ls.error(params), names, sigma)


def laplace_certificate(
    likelihood: LinearLikelihood, params: F64, sigma: float | None = None
) -> Certificate:
    """Certificate under Laplace noise: the distance from the least absolute deviations."""
    require_full_rank(likelihood)
    names = likelihood.source.names
    ls = least_squares(likelihood)
    if ls.perfect:
        with np.errstate(all="ignore"):
            return judge(ls, ls.error(params), names, sigma)
    gamma = None
    if likelihood.scale_names:  # given the γ that is best at params: near the MLE, that of the MLE
        space = Whitened(likelihood, kinks=True)
        gamma = space.profile(space.scale(params))
        if gamma is None:
            return nowhere(likelihood)
    found = least_absolute(likelihood, ls.params if gamma is None else params, gamma)
    if found is None:
        return replace(nowhere(likelihood), definite=True)
    return Certificate(
        **found.judge(params, sigma)._asdict(),
        rounding=found.rounding,
        refined=bool(np.isfinite(found.rounding).all()),
        exact=gamma is None,
        names=names,
    )


def local_certificate(
    likelihood: LinearLikelihood,
    params: F64,
    gamma: F64 | None = None,
    near: F64 | None = None,
) -> tuple[Certificate, F64]:
    """Certificate for smooth noise, Eq. (11.8), and its γ: profiled, Eq. (11.7), if not given.

    ``near`` is a γ from which the profiled one is not far, if one is known. It is −∞ where
    the NLL falls for ever as σ does.
    """
    if likelihood.noise.smooth and likelihood.prior is None:
        require_full_rank(likelihood)
    space = whitened(likelihood)
    with np.errstate(all="ignore"):  # absurd params may overflow: they are then infinitely far
        if likelihood.prior is None and (ls := least_squares(likelihood)).perfect:
            # for any noise: σ → 0, and all else is infinitely many standard errors
            error, sigma = ls.error(params), None if gamma is None else math.exp(gamma[0])
            end = np.full(space.q, ls.log_sigma(norm(ls.R @ error)))
            return judge(ls, error, likelihood.source.names, sigma), end
        beta = space.scale(params)
        if gamma is None:
            gamma = space.profile(beta, near)
        if gamma is None:
            return nowhere(likelihood), np.full(space.q, -math.inf)
        return judge_locally(space, space.at(beta, gamma)), gamma


def nowhere(likelihood: LinearLikelihood) -> Certificate:
    """Certificate of a point from which there is no maximum of the likelihood to be seen."""
    names, posterior = likelihood.source.names, likelihood.prior is not None
    far, each = math.inf, np.full(len(names), math.inf)
    return Certificate(far, each, far, far, each, False, False, names, False, posterior)


def judge_locally(space: Whitened, point: Point) -> Certificate:
    """Certificate of a point from its whitened derivatives, Eqs. (11.8) and (11.11)."""
    if not point.finite:
        return nowhere(space.likelihood)
    u, v, step = point.step[: space.p], point.step[space.p :], point.step
    if space.contraction < 0.5:
        reach = np.abs(point.inverse) @ point.reach[: space.p]
        rounding = reach / point.spread / (1 - space.contraction)
    else:
        rounding = np.full(space.p, math.inf)
    return Certificate(
        distance=norm(u),
        per_param=np.abs(point.inverse @ u) / point.spread,
        sigma_distance=norm(v),
        log_likelihood_gap=float(-0.5 * (step @ point.gradient)),
        rounding=rounding,
        refined=False,
        exact=False,
        names=space.likelihood.source.names,
        definite=point.definite,
        posterior=space.likelihood.prior is not None,
    )


def judge(
    ls: LeastSquares,
    delta: F64,
    names: tuple[str, ...],
    sigma: float | None = None,
) -> Certificate:
    """Certificate from the error Δ, in scaled units."""
    contrast = ls.R @ delta
    n, p = ls.n_rows, len(ls.beta)
    rounding, known = ls.rounding, ls.refined is not None
    if not np.isfinite(contrast).all():  # beyond floating point, and so beyond any number
        inf = math.inf
        return Certificate(inf, np.full(p, inf), inf, inf, rounding, known, True, names)
    error, each = norm(contrast), np.abs(delta) / ls.spread
    if ls.perfect:
        # Standard errors are zero: any error that is not rounding is infinitely many of them.
        each = np.where(each <= ls.residual_bound, 0.0, np.inf)
        distance = 0.0 if error <= ls.residual_bound else math.inf
        gap = distance if sigma is None else math.inf
        return Certificate(distance, each, gap, gap, rounding, known, True, names)
    ratio = error / ls.norm_r  # RSS/RSS_min = 1 + ratio², Eq. (5.4)
    half_log = 0.5 * math.log1p(ratio * ratio) if ratio < 1e150 else math.log(ratio)
    if sigma is None:
        log_ratio, gap = half_log, n * half_log
    else:  # the NLL at (params, sigma) less that at the MLE
        log_ratio = math.log(sigma) - ls.log_sigma()
        excess = 2 * (half_log - log_ratio)  # log of RSS/(n sigma²)
        gap = n * (log_ratio + 0.5 * math.expm1(excess)) if excess < 700 else math.inf
    return Certificate(
        distance=error / ls.s,
        per_param=each / ls.s,
        sigma_distance=math.sqrt(2 * n) * abs(log_ratio),
        log_likelihood_gap=gap,
        rounding=rounding,
        refined=known,
        exact=True,
        names=names,
    )


def _three(value: Any) -> str:
    """A length in standard errors, to three digits."""
    return f"{float(value):.3g}"
