"""The degrees of freedom of Student's t, by the profile of the likelihood over them.

For each df the optimizer finds the best θ. Of the NLL that is left, a function of κ = 1/df, the
derivative is that with θ held, for θ is a minimum; its root is found by Newton's method in a
bracket. In κ the range is finite, from the normal noise at 0 to 1/at_least, and nothing happens
at its lower end: whether any t fits better than the normal is the sign of the derivative there.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mlreg.certificate import least_squares
from mlreg.errors import InvalidInput, RankDeficient
from mlreg.likelihood.linear import LinearLikelihood
from mlreg.likelihood.noise import Gaussian, Noise
from mlreg.likelihood.student_t import StudentT
from mlreg.likelihood.student_t_df import by_kappa
from mlreg.linalg.products import times, times_transposed
from mlreg.optimizers.exact import Exact
from mlreg.optimizers.solution import Solution, Status
from mlreg.optimizers.start import Start, sample
from mlreg.scoring import HUGE, Point, Whitened, whitened

__all__ = ["Member", "Profile", "fit_df", "has_free_df"]

F64 = NDArray[np.float64]
Minimize = Callable[[LinearLikelihood, Start | None], Solution]

GRID = (1.0, 2.0, 4.0, 8.0, 16.0, 64.0, math.inf)
"""df, over the smallest one, among which the best is looked for first."""

CLOSE = 1e-5
"""Standard errors of κ from the root of the derivative at which it is found."""

SAMPLED = 0.1
"""The same on a sample, which is to say where to start."""

GOOD_ENOUGH = 0.01
"""The same, above which the fit does not count as converged."""

SAME = 1e-6
"""Difference of NLLs up to which two minima are the same."""

MOST = 20
"""Steps to the root, at most."""


@dataclass(frozen=True, eq=False)
class Member:
    """The best fit with κ = 1/df given, and the derivatives of the least NLL in κ.

    Attributes
    ----------
    kappa : float
        1/df; zero is normal noise.
    solution : Solution
        The fit.
    nll : float
        With the penalty of the prior, if there is one; −inf where the likelihood has no maximum.
    slope, curvature : float
        d/dκ and d²/dκ² of it.
    drift : ndarray, shape (p + q,)
        dθ/dκ of the best θ.
    """

    kappa: float
    solution: Solution
    nll: float
    slope: float
    curvature: float
    drift: F64

    @property
    def off(self) -> float:
        """Distance of κ from the root of the slope in its standard errors, by the local model."""
        return abs(self.slope) / math.sqrt(self.curvature) if self.curvature > 0 else math.inf

    @property
    def std_error_log_df(self) -> float:
        """Standard error of log df, by the curvature of the profile; NaN for normal noise."""
        if not (self.curvature > 0 and self.kappa):
            return math.nan
        return 1 / (math.sqrt(self.curvature) * self.kappa)


class Profile:
    """The least NLL for each df: a callable, with warm starts from what it has found before.

    Parameters
    ----------
    likelihood : LinearLikelihood
        Its noise is of no concern.
    minimize : callable
        ``minimize(likelihood, start)``, as `Newton.minimize_from` is.

    Examples
    --------
    >>> import mlreg as ml
    >>> data = ml.datasets.norris()
    >>> profile = Profile(ml.LinearLikelihood(data.X, data.y), ml.Newton().minimize_from)
    >>> profile(3.0) < profile(1.0)
    True
    """

    def __init__(
        self, likelihood: LinearLikelihood, minimize: Minimize, name: str = "the fit of another df"
    ) -> None:
        self.likelihood, self.minimize, self.name = likelihood, minimize, name
        self.members: list[Member] = []
        if likelihood.prior is None:
            least_squares(likelihood)  # which all members share

    def __call__(self, df: float) -> float:
        """The NLL at ``df``, which may be infinite, least over θ."""
        if not df > 0:
            raise InvalidInput(f"df must be positive, not {df!r}")
        return self.at(1 / df).nll

    def at(self, kappa: float, start: Start | None = None, *, fresh: bool = False) -> Member:
        """The member at κ, from ``start``; by default from the one nearest to it.

        With ``fresh``, from where the optimizer starts by itself.
        """
        if start is None and not fresh:
            start = self._warm(kappa)
        noise: Noise = StudentT(1 / kappa) if kappa else Gaussian()
        likelihood = self.likelihood.with_noise(noise)
        if likelihood.exact:
            solution = Exact().minimize(likelihood)
        else:
            solution = self.minimize(likelihood, start)
        if solution.status.code in ("unbounded", "perfect-fit"):
            nothing = np.full(len(solution.theta), math.nan)
            found = Member(kappa, solution, -math.inf, math.nan, math.nan, nothing)
        else:
            found = _member(likelihood, kappa, solution)
        self.likelihood.reads = likelihood.reads
        self.members.append(found)
        return found

    def _warm(self, kappa: float) -> Start | None:
        """The nearest member, moved along its drift where that is not far."""
        known = [m for m in self.members if m.nll > -math.inf]
        if not known:
            return None
        near = min(known, key=lambda m: abs(m.kappa - kappa))
        theta, step, p = near.solution.theta, kappa - near.kappa, self.likelihood.n_params
        if abs(step) <= 0.5 * max(kappa, near.kappa) and np.isfinite(near.drift).all():
            theta = theta + step * near.drift
        return Start(self.name, theta[:p], theta[p:])


def _member(likelihood: LinearLikelihood, kappa: float, solution: Solution) -> Member:
    """The derivatives of the profile at a solution; one pass over the data, or two.

    With c = ∂²ℓ/∂θ∂κ the best θ drifts by −H⁻¹c, and the curvature is ∂²ℓ/∂κ² − cᵀH⁻¹c. What is
    left of the way to the minimum moves the slope to first order, and is taken into account.
    """
    space, p = whitened(likelihood), likelihood.n_params
    point: Point | None = likelihood.memo.get("end")
    if point is None:
        theta = solution.theta
        point = space.at(space.scale(theta[:p]), theta[p:], bounds=False)
    slope, twice, cross = _sums(space, point, kappa)
    move = -point.solve(cross) if point.definite else -cross
    beta, gamma = space.move(point, move)
    drift = np.append(space.unscale(beta - point.beta), gamma - point.gamma)
    slope += float(cross @ point.step)
    return Member(kappa, solution, point.nll, slope, twice + float(cross @ move), drift)


def _sums(space: Whitened, point: Point, kappa: float) -> tuple[float, float, F64]:
    """∂ℓ/∂κ, ∂²ℓ/∂κ² and ∂²ℓ/∂θ∂κ in (u, v), with θ held; one pass over the data."""
    slope, twice, by_x, by_v = 0.0, 0.0, np.zeros(space.p), np.zeros(space.q)
    with np.errstate(all="ignore"):  # overflow is an outcome, seen where it is used
        for rows in space.rows():
            A, b, k, Z = rows
            shrink = np.exp(-space.log_sigma(rows, point.gamma))
            z = np.clip((b - times(A, point.beta)) * shrink, -HUGE, HUGE)
            rho, rho_twice, psi = by_kappa(kappa, z)
            slope += float(k @ rho)
            twice += float(k @ rho_twice)
            by_x -= times_transposed(A, k * psi * shrink)
            by_v -= (np.ones((len(k), 1)) if Z is None else Z).T @ (k * z * psi)
        v = space.S_inverse.T @ by_v / space.root_b
        return slope, twice, np.append(point.inverse.T @ by_x, v)


def has_free_df(noise: Noise) -> bool:
    """Whether it is a Student's t whose df is to be estimated."""
    return isinstance(noise, StudentT) and noise.df is None


def fit_df(
    likelihood: LinearLikelihood, minimize: Minimize, start: Start | None = None
) -> Solution:
    """Minimise over θ and df, for a likelihood whose noise is ``StudentT()``.

    The noise of the solution is the t that was found, or `Gaussian` where none fits better.

    Parameters
    ----------
    likelihood : LinearLikelihood
        Its noise says how small df may be.
    minimize : callable
        ``minimize(likelihood, start)``, which finds the best θ for a given noise.
    start : Start, optional
        Where it starts from; by default ``minimize`` knows that.

    Notes
    -----
    A grid of df brackets the best; at that df ``minimize`` starts anew, lest a better minimum in θ
    was missed. Of many rows, a sample answers both, and all rows are asked from there.
    """
    before = likelihood.reads
    assert isinstance(likelihood.noise, StudentT)
    top = 1 / likelihood.noise.at_least
    profile = Profile(likelihood, minimize)
    guess = _of_sample(likelihood, minimize, top) if start is None else None
    if guess is None:
        best = _search(profile, top, start, CLOSE)
    else:
        profile.name, kappa, near = guess
        best = _descend(profile, top, profile.at(kappa, Start(profile.name, *near)), CLOSE)
    return _told(best, likelihood, top, likelihood.reads - before)


def _search(profile: Profile, top: float, start: Start | None, close: float) -> Member:
    """The best of the grid, and from there to the root."""
    best = profile.at(top, start, fresh=start is None)
    for times_df in GRID[1:]:
        if best.nll == -math.inf:  # at the smallest df, and so on the whole
            return best
        best = min(best, profile.at(top / times_df), key=lambda m: m.nll)
    for _ in range(3):
        best = _descend(profile, top, best, close)
        if best.nll == -math.inf or best.kappa == 0:
            break
        again = profile.at(best.kappa, start, fresh=start is None)
        if again.nll >= best.nll - SAME:
            same = again.nll <= best.nll + SAME and again.solution.status.ok
            return again if same else best
        best = again  # a better minimum in θ was missed
    return best


def _descend(profile: Profile, top: float, at: Member, close: float) -> Member:
    """From a member to the root of the slope: Newton's method, kept within a bracket."""
    seen = {m.kappa for m in profile.members}
    low = max((kappa for kappa in seen if kappa < at.kappa), default=0.0)
    high = min((kappa for kappa in seen if kappa > at.kappa), default=top)
    for _ in range(MOST):
        if not math.isfinite(at.slope) or _at_end(at, top) or at.off <= close:
            break
        low, high = (low, at.kappa) if at.slope > 0 else (at.kappa, high)
        to = at.kappa - at.slope / at.curvature if at.curvature > 0 else math.nan
        if not low < to < high:
            end = low if at.slope > 0 else high
            to = (low + high) / 2 if end in seen else end
        if to in (low, high) and to in seen:
            break
        at = profile.at(to)
        seen.add(to)
    return at


def _at_end(at: Member, top: float) -> bool:
    """Whether the NLL falls towards the end of the range that it is at."""
    return (at.kappa == 0 and at.slope >= 0) or (at.kappa == top and at.slope <= 0)


def _of_sample(
    likelihood: LinearLikelihood, minimize: Minimize, top: float
) -> tuple[str, float, tuple[F64, F64]] | None:
    """Name, κ and θ of the best on a sample of the rows, where these are many."""
    some = sample(likelihood)
    if some is None:
        return None
    try:
        best = _search(Profile(some, minimize), top, None, SAMPLED)
    except (InvalidInput, RankDeficient):  # the sample lacks something, a rare level say
        return None
    if best.solution.status.code != "converged":
        return None
    theta, p = best.solution.theta, likelihood.n_params
    name = f"the best of a sample of {some.triangle.n_rows} rows"
    return name, best.kappa, (theta[:p], theta[p:])


def _told(best: Member, likelihood: LinearLikelihood, top: float, reads: float) -> Solution:
    """The solution of a member, which says how df was found."""
    status, noise, least = best.solution.status, best.solution.noise, 1 / top
    code, df = status.code, 1 / best.kappa if best.kappa else math.inf
    profile = "profile " + ("likelihood" if likelihood.prior is None else "posterior")
    if code == "perfect-fit":
        say = "There is nothing to estimate df from"
    elif code == "unbounded":
        say = (
            f"df was to be estimated, from {least:g} up, and where it is small it pays to call "
            "most rows outliers: raise at_least, or give df"
        )
    elif code != "converged":
        say = f"The best df so far is {df:.4g}"
    elif best.kappa == 0 and best.slope >= 0:
        say = (
            "No finite df fits better than normal noise, for the tails of the residuals are no "
            "heavier: df is estimated as infinite, and counts as a parameter all the same"
        )
    elif best.kappa == top and best.slope <= 0:
        noise = StudentT(least)
        say = (
            f"df = {least:g} is the smallest allowed, and the {profile} still rises towards "
            "smaller ones, where it tends to have no bound: at_least sets the limit"
        )
    elif best.off <= GOOD_ENOUGH:
        say = (
            f"df = {df:.4g}, estimated, is {best.off:.1g} standard errors from the top of its "
            f"{profile}; the standard error of log df is {best.std_error_log_df:.2g}. Standard "
            "errors of the others hold df fixed: right for the coefficients, which share no "
            "expected information with df, and too small for the scale"
        )
    else:
        code = "stopped"
        say = (
            f"df = {df:.4g} is {best.off:.2g} standard errors from the top of its {profile}, and "
            "no step gets nearer: give df, or another start"
        )
    status = Status(code, f"{status.message}. {say}")
    return replace(best.solution, noise=noise, status=status, reads=reads, n_shape=1)
