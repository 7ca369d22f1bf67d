"""Confidence intervals from the profile likelihood.

The profile of a parameter τ is the smallest NLL that the others allow where τ is held. The
interval is where it exceeds the minimum by half the quantile of χ² with one degree of freedom, at
most: the values that a likelihood-ratio test does not reject. Unlike estimate ± z·(standard error)
it follows the likelihood where that is lopsided, and in any coordinates it is the same interval.

For Gaussian noise of one scale it is written down, from Eq. (2.9). Elsewhere its ends are found in
the coordinates of Eq. (3.8), all parameters moving at once: Venzon and Moolgavkar, "A method for
computing profile-likelihood-based confidence intervals", Applied Statistics 37 (1988).
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import chdtri

from mlreg.certificate import least_squares
from mlreg.errors import InvalidInput
from mlreg.inference.information import information
from mlreg.likelihood.blocks import Block, Source, to_numpy
from mlreg.likelihood.linear import LinearLikelihood
from mlreg.likelihood.noise import Laplace
from mlreg.linalg.triangle import norm, scale_columns
from mlreg.optimizers.exact import Exact
from mlreg.optimizers.newton import Newton
from mlreg.optimizers.solution import Solution
from mlreg.scoring import DEFINITE, Point, Whitened, whitened

__all__ = ["profile_df", "profile_interval"]

F64 = NDArray[np.float64]

CLOSE = 1e-9
"""How far the NLL at an end may be from its target, and half the square of what is left to go."""

FARTHEST = 1e15
"""Standard errors beyond which an end is infinite."""

STEPS = 300
"""Passes over the data for one end, at most; a dozen is usual."""


def profile_interval(
    likelihood: LinearLikelihood, solution: Solution, which: str | int, level: float = 0.95
) -> tuple[float, float]:
    """Profile-likelihood confidence interval of one parameter.

    Parameters
    ----------
    likelihood : LinearLikelihood
        Without a prior.
    solution : Solution
        Its MLE.
    which : str or int
        Name of a coefficient or of a column of the scale design; ``"sigma"``, where it is the
        same in every row; or the position of the parameter in θ, for log σ or where two parameters
        have one name.
    level : float
        Probability that the interval covers the parameter, in large samples.

    Returns
    -------
    lower, upper : float
        In the units of the parameter. Infinite where the likelihood never falls so far.

    Raises
    ------
    InvalidInput
        A parameter of no or of two such names; a solution that has not converged, or that is no
        minimum; a prior; under noise with kinks, other than a coefficient or σ of Laplace noise of
        one scale; an end that could not be verified.

    Notes
    -----
    For Gaussian noise of one scale the ends are β̂ⱼ ± σ̂√Gⱼⱼ√(n(exp(q/n) − 1)), q being the quantile
    of χ²: Eqs. (2.9) and (2.11). For other noises they are iterated, and an end is returned only
    where NLL and gradient say that it is one. Where the likelihood has several maxima, the
    profile is that of the one that the solution is at.

    Examples
    --------
    >>> import mlreg as ml
    >>> data = ml.datasets.norris()
    >>> likelihood = ml.LinearLikelihood(data.X, data.y, noise=ml.Logistic())
    >>> solution = ml.Newton().minimize(likelihood)
    >>> lower, upper = profile_interval(likelihood, solution, "sigma")
    >>> bool(lower < np.exp(solution.theta[-1]) < upper)
    True
    """
    j = _position(likelihood, which)
    half = 0.5 * chi2_quantile(level)
    if likelihood.prior is not None:
        raise InvalidInput(
            f"with {likelihood.prior} there is a posterior and no profile likelihood: use the "
            "covariance of kind 'observed'"
        )
    if solution.status.code != "converged":
        raise InvalidInput(f"a profile begins at the MLE, and this fit is {solution.status.code}")
    if not likelihood.scale_names and j == likelihood.n_params:
        closed = _closed_scale(likelihood, solution, half)
    else:
        closed = _closed_coefficient(likelihood, j, half) if likelihood.exact else None
        if type(likelihood.noise) is Laplace and not likelihood.scale_names:
            closed = _absolute_coefficient(likelihood, solution, j, half)
    lower, upper = _Profile.of(likelihood, solution, j).interval(half) if closed is None else closed
    return (math.exp(lower), math.exp(upper)) if which == "sigma" else (lower, upper)


def profile_df(
    minimum: Callable[[float], float], df: float, level: float = 0.95
) -> tuple[float, float]:
    """Profile-likelihood confidence interval of Student's degrees of freedom.

    Parameters
    ----------
    minimum : callable
        The smallest NLL at given degrees of freedom; of infinity, that of Gaussian noise.
    df : float
        Where it is smallest; perhaps infinity.
    level : float
        Probability that the interval covers them, in large samples.

    Returns
    -------
    lower, upper : float
        The upper end is infinite where Gaussian noise is not rejected.

    Raises
    ------
    InvalidInput
        An NLL below that at ``df``, or a lower end below 1e-3.
    """
    least = minimum(df)
    target = least + 0.5 * chi2_quantile(level)

    def excess(log_df: float) -> float:
        value = minimum(math.exp(log_df))
        if not value >= least - 1e-6:
            raise InvalidInput(
                f"the NLL is {value:.6g} at {math.exp(log_df):.4g} degrees of freedom, below the "
                f"{least:.6g} at the {df:.4g} that were taken for the best"
            )
        return value - target

    def end(inside: float, step: float) -> float:
        outside = inside + step
        while excess(outside) < 0:
            inside, outside, step = outside, outside + 2 * step, 2 * step
            if outside < math.log(1e-3):
                raise InvalidInput("the lower end is below 0.001 degrees of freedom")
        return math.exp(brentq(excess, *sorted((inside, outside)), xtol=1e-7, rtol=1e-7))

    if minimum(math.inf) <= target:
        # the inside may be infinite: begin where the t can hardly be told from the normal
        return end(math.log(min(df, 1e6)), -1.0), math.inf
    return end(math.log(df), -0.5), end(math.log(df), 0.5)


def chi2_quantile(level: float) -> float:
    """Quantile of χ² with one degree of freedom."""
    if not (isinstance(level, (int, float, np.floating)) and 0 < level < 1):
        raise InvalidInput(f"level must be between 0 and 1, such as 0.95; not {level!r}")
    return float(chdtri(1, 1 - level))


def _position(likelihood: LinearLikelihood, which: str | int) -> int:
    """Position of a parameter in θ."""
    names = [*likelihood.source.names, *(likelihood.scale_names or ["sigma"])]
    told = f"the parameters are {', '.join(names)}"
    if isinstance(which, (int, np.integer)) and not isinstance(which, bool):
        if 0 <= which < len(names):
            return int(which)
        raise InvalidInput(f"theta has no position {which}: {told}")
    places = [j for j, name in enumerate(names) if name == which]
    if len(places) > 1:
        raise InvalidInput(
            f"{which!r} is the name of two parameters: give the position in theta, "
            f"{' or '.join(map(str, places))}"
        )
    if not places:
        more = "; sigma differs from row to row" if which == "sigma" else ""
        raise InvalidInput(f"no parameter is called {which!r}{more}: {told}")
    return places[0]


# What can be written down


def _closed_coefficient(likelihood: LinearLikelihood, j: int, half: float) -> tuple[float, float]:
    """Of least squares: half-width √(RSS·Gⱼⱼ(exp(2·half/n) − 1)), Eq. (2.9)."""
    ls = least_squares(likelihood)
    width = ls.norm_r * ls.spread * math.sqrt(math.expm1(2 * half / ls.n_rows))
    low = 0.0 if ls.refined is None else ls.refined.low
    lower, upper = (ls.unscale(ls.beta + (low + sign * width))[j] for sign in (-1, 1))
    return float(lower), float(upper)


def _closed_scale(
    likelihood: LinearLikelihood, solution: Solution, half: float
) -> tuple[float, float] | None:
    """Of log σ, where β̂ does not depend on σ; None where it does.

    With x = log(σ/σ̂) the NLL rises by n(x + (exp(−ax) − 1)/a): a = 2 for Gaussian noise, Eq.
    (2.9), and a = 1 for Laplace's, Eq. (8.1).
    """
    if not likelihood.noise.smooth:
        if not isinstance(likelihood.noise, Laplace):
            raise InvalidInput(f"{likelihood.noise} has kinks, and no profile: use the bootstrap")
        at, a = solution.theta[-1], 1
    elif likelihood.exact:
        at, a = least_squares(likelihood).log_sigma(), 2
    else:
        return None
    height = half / likelihood.n_rows

    def rise(x: float) -> float:
        return x + math.expm1(-a * x) / a - height

    ends = (-math.sqrt(2 * height / a), 0.0), (0.0, height + 1 / a)
    lower, upper = (brentq(rise, *pair, xtol=1e-300, rtol=8.9e-16) for pair in ends)
    return float(at + lower), float(at + upper)


def _absolute_coefficient(
    likelihood: LinearLikelihood, solution: Solution, j: int, half: float
) -> tuple[float, float]:
    """Of least absolute deviations: where n log of the loss has risen by ``half``, Eq. (8.2).

    The loss with the coefficient held is that of the other columns for what it leaves of the
    response: a convex function of it, of straight pieces.
    """
    n, least, at = likelihood.n_rows, float(solution.theta[-1]), float(solution.theta[j])
    unit = float(information(likelihood, solution.theta).std_errors[j])

    def rise(steps: float) -> float:
        """Excess of the profile, so many standard errors from the estimate."""
        source = _Held(likelihood.source, j, at + steps * unit)
        return n * (_log_mean_deviation(source, likelihood) - least) - half

    def end(side: float) -> float:
        inside, outside = 0.0, side * math.sqrt(2 * half)
        while rise(outside) < 0:
            inside, outside = outside, 2 * outside
            if abs(outside) > FARTHEST:
                return side * math.inf
        return at + unit * float(brentq(rise, *sorted((inside, outside)), xtol=1e-9))

    return end(-1.0), end(1.0)


def _log_mean_deviation(source: "_Held", likelihood: LinearLikelihood) -> float:
    """The least log of the mean absolute deviation."""
    if source.names:
        return float(Exact().minimize(likelihood.from_source(source, Laplace())).theta[-1])
    total = 0.0
    for block in source.blocks():
        k = 1.0 if block.frequency is None else block.frequency
        w = 1.0 if block.precision is None else np.sqrt(block.precision)
        total += float(np.sum(k * w * np.abs(block.y)))
    return math.log(total / likelihood.n_rows)


class _Held:
    """Rows with one coefficient held: its column times that is taken from the response."""

    checked = True

    def __init__(self, source: Source, j: int, value: float) -> None:
        self.source, self.j, self.value = source, j, value
        self.keep = [i for i in range(len(source.names)) if i != j]
        self.names = tuple(source.names[i] for i in self.keep)
        self.n_rows, self.rereadable = source.n_rows, source.rereadable

    def blocks(
        self, size: int | None = None, rng: np.random.Generator | None = None
    ) -> Iterator[Block]:
        """Blocks of the source, less a column."""
        for block in self.source.blocks(size, rng):
            X, y = to_numpy(block.X), to_numpy(block.y) - self.value * to_numpy(block.X)[:, self.j]
            weights = (
                None if w is None else to_numpy(w) for w in (block.frequency, block.precision)
            )
            yield Block(X[:, self.keep], y, *weights)


# What is iterated


@dataclass(frozen=True, eq=False)
class _Place:
    """NLL and derivatives where the parameter is t standard errors from its estimate.

    Attributes
    ----------
    x : ndarray, shape (p + q,)
        t, and the other coordinates.
    nll : float
        Its excess over the minimum.
    gradient, hessian : ndarray, shapes (p + q,) and (p + q, p + q)
        In x; the Hessian the expected one where the other coordinates have no bowl.
    bowl : bool
        Whether they have one.
    slack : float
        How far the NLL may be from its goal, rounding included.
    """

    x: F64
    nll: float
    gradient: F64
    hessian: F64
    bowl: bool
    slack: float

    @cached_property
    def free(self) -> F64:
        """Newton's step of the other coordinates."""
        return np.asarray(-np.linalg.solve(self.hessian[1:, 1:], self.gradient[1:]))

    @cached_property
    def left(self) -> float:
        """Decrease of the NLL that this step promises."""
        return float(-0.5 * self.gradient[1:] @ self.free)

    @cached_property
    def tangent(self) -> F64:
        """How the other coordinates of the minimum change with t."""
        return np.asarray(-np.linalg.solve(self.hessian[1:, 1:], self.hessian[1:, 0]))

    @cached_property
    def slope(self) -> float:
        """Derivative of the profile."""
        return float(self.gradient[0] + self.hessian[0, 1:] @ self.free)

    @cached_property
    def bend(self) -> float:
        """Second derivative of the profile."""
        return float(self.hessian[0, 0] + self.hessian[0, 1:] @ self.tangent)


class _Profile:
    """The profile of one parameter about a minimum, in the coordinates of a point near it.

    x = (t, a): t along the parameter, a across, in standard errors of the expected information.
    """

    def __init__(self, space: Whitened, point: Point, j: int) -> None:
        self.space, self.point = space, point
        p, q = space.p, space.q
        along = np.zeros(p + q)
        if j < p:
            along[:p] = point.inverse[j]
            unit = space.exponent[-1] - space.exponent[:p]
            self.estimate = float(space.unscale(point.beta)[j])
        else:
            along[p:] = space.S_inverse[j - p] / space.root_b
            self.estimate = float(point.gamma[j - p])
        size = norm(along)
        self.unit = float(scale_columns(np.full(p, size), unit)[j]) if j < p else size
        # an orthonormal basis, of which the first vector is along the parameter
        basis = np.linalg.qr(along[:, None] / size, mode="complete")[0]
        self.basis = basis * np.where(basis[:, 0] @ along > 0, 1.0, -1.0)
        self.start = self.place(np.zeros(p + q))

    @classmethod
    def of(cls, likelihood: LinearLikelihood, solution: Solution, j: int) -> "_Profile":
        """Of parameter j, from the minimum that the solution is near."""
        if not likelihood.noise.smooth:
            raise InvalidInput(
                f"{likelihood.noise} has kinks, and with a scale design its profile is not "
                "followed: use the covariance of kind 'expected', or the bootstrap"
            )
        space, p = whitened(likelihood), likelihood.n_params
        theta = solution.theta
        point = space.at(space.scale(theta[:p]), theta[p:], bounds=False)
        if not (point.definite and norm(point.step) <= 1e-5):
            found = Newton().minimize(likelihood, start=theta[:p])
            if found.status.code != "converged":
                raise InvalidInput(
                    f"a profile begins at the MLE, and there is none: {found.status}"
                )
            theta = found.theta
            point = space.at(space.scale(theta[:p]), theta[p:], bounds=False)
        return cls(space, point, j)

    def place(self, x: F64) -> _Place | None:
        """The place x, by one pass over the data; None where it is out of floating point."""
        space, p = self.space, self.space.p
        there = space.at(*space.move(self.point, self.basis @ x), bounds=False)
        if not there.finite or space.falls(there):
            return None
        to = np.eye(len(x))
        to[:p, :p] = there.R @ self.point.inverse
        to = to @ self.basis
        hessian, expected = to.T @ there.hessian @ to, to.T @ to
        # curvature in units of the expected one, which is small where sigma is large
        bowl = bool(np.linalg.eigvalsh((hessian - DEFINITE * expected)[1:, 1:])[0] > 0)
        return _Place(
            x,
            there.nll - self.point.nll,
            to.T @ there.gradient,
            hessian if bowl else expected,
            bowl,
            CLOSE + 8 * there.noise_of_nll,
        )

    def interval(self, half: float) -> tuple[float, float]:
        """Both ends of the interval in which the profile is below ``half``."""
        return self._end(-1.0, half), self._end(1.0, half)

    def _end(self, side: float, half: float) -> float:
        """One end. Newton's method in √(2·profile), which is nearly straight, within a bracket.

        The other coordinates follow by their tangent and by Newton's step for them. They need not
        be at their minimum before t moves on, only near it beside how far t still is.
        """
        goal = math.sqrt(2 * half)
        low, high = 0.0, math.inf  # of |t|: the profile is below half at low, above it at high
        here = self.start
        assert here is not None
        for _ in range(STEPS):
            if here.nll < -max(1e-6, here.slack):
                raise InvalidInput(
                    f"the NLL is {-here.nll:.3g} below that of this fit where the parameter is "
                    f"{self.estimate + self.unit * here.x[0]:.6g}: the fit is not the MLE. Fit "
                    "again from a start near there"
                )
            t = side * here.x[0]
            rise = here.nll - here.left  # the profile at t, nearly
            height = math.sqrt(max(2 * rise, 0.0))
            near = here.bowl and here.left <= max(CLOSE, 0.005 * min(1.0, (goal - height) ** 2))
            if near and abs(here.nll - half) <= here.slack and here.left <= here.slack and t > 0:
                return float(self.estimate + self.unit * here.x[0])
            if here.nll < half:
                low = max(low, t)
            elif near:
                high = min(high, t)
            if low > FARTHEST:
                return side * math.inf
            to = self._next(here, side, goal, height, low, high) if near else t
            moved = self._step(here, side * (to - t))
            if moved is None:
                break
            here = moved
        raise InvalidInput(
            f"the {'upper' if side > 0 else 'lower'} end of the profile interval could not be "
            "verified: the likelihood is not regular there. Use the covariance of kind 'expected', "
            "or the bootstrap"
        )

    def _next(
        self, here: _Place, side: float, goal: float, height: float, low: float, high: float
    ) -> float:
        """The |t| to go to."""
        t, slope = side * here.x[0], side * here.slope
        if t == 0:
            to = goal / math.sqrt(here.bend) if here.bend > 0 else goal
        elif slope > 0 and height > 0:
            to = t + (goal - height) * height / slope
        else:
            to = math.inf  # over a hump
        to = min(to, 2 * max(t, low) if t else to)
        if not low < to < high:
            to = (low + high) / 2 if high < math.inf else 2 * max(low, 1e-3)
        return to

    def _step(self, here: _Place, by: float) -> _Place | None:
        """The next place: t moves ``by`` and the others with it; None where there is none."""
        share = 1.0
        for _ in range(60):
            change = share * by * here.tangent + (share if by == 0 else 1.0) * here.free
            there = self.place(here.x + np.append(share * by, change))
            if there is not None:
                if by != 0 and there.left <= 2.0:
                    return there
                if by == 0 and there.nll <= here.nll - 1e-4 * 2 * share * here.left:
                    return there
                if by == 0 and here.left <= here.slack and there.left <= 0.5 * here.left:
                    return there
            share /= 2
        return None
