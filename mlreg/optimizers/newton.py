"""Newton's method for smooth noises, with scoring where the ground is no bowl."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlreg.certificate import least_squares
from mlreg.checks import positive, whole
from mlreg.errors import InvalidInput, RankDeficient
from mlreg.likelihood.linear import LinearLikelihood
from mlreg.linalg.products import gram, times_transposed, whiten
from mlreg.linalg.triangle import norm, plain, solve_upper
from mlreg.optimizers.shape import fit_df, has_free_df
from mlreg.optimizers.solution import Solution, check_start, finish, finish_locally
from mlreg.optimizers.start import Start, sample, stands_for
from mlreg.scoring import DEFINITE, Whitened, whitened

__all__ = ["Newton", "Run", "agreement"]

F64 = NDArray[np.float64]

ENOUGH = 1e-4
"""Share of the decrease that the slope promises which a step must bring (Armijo's rule)."""

ROBUST = 12
"""Reweighted least-squares steps towards least absolute deviations: a start, not a solution."""

LONGEST = 2.0
"""Change of log σ in one step, at most: that of a scoring step from far above."""

MANY = 50_000
"""Rows, from which on a Hessian serves for several steps."""


@dataclass(frozen=True)
class Newton:
    """Newton's method in θ = (β, γ), for every smooth and symmetric noise.

    A step is H⁻¹g, Eq. (11.1), where the observed Hessian is positive definite, and I⁻¹g with
    the expected information elsewhere (Fisher scoring), Eq. (11.3). Both are computed in
    whitened coordinates, Eq. (11.4), from the triangle of the design, never from XᵀX. The step
    is halved until the NLL falls by a fixed share of what its slope promises, Eq. (11.5): so the
    NLL falls in every step, and where it is bounded below the gradient goes to zero, Eq. (11.6).
    Where there is a prior, it goes to the mode of the posterior.

    It starts from least squares, and for noises that are not log-concave, whose NLL may have
    several minima, Eq. (11.12), also from nearly the least absolute deviations, Eq. (8.2); the
    better minimum is returned, and the message says whether the two agree. Of many rows, a
    sample of them answers that.

    A Student's t without df gets the df whose best fit has the least NLL, by the profile of the
    likelihood over df (`mlreg.optimizers.shape`); the message says how near that is.

    Parameters
    ----------
    tolerance : float
        Standard errors from the minimum, in all parameters together, at which it stops.
    max_iterations : int
        Steps from each start, at most; each reads the data once, or more if it is halved.

    Examples
    --------
    >>> import mlreg as ml
    >>> data = ml.datasets.norris()
    >>> likelihood = ml.LinearLikelihood(data.X, data.y, noise=ml.StudentT(4))
    >>> ml.Newton().minimize(likelihood).status.code
    'converged'
    """

    tolerance: float = 1e-6
    max_iterations: int = 100

    def __post_init__(self) -> None:
        positive(self.tolerance, "tolerance")
        whole(self.max_iterations, "max_iterations", 1)

    def minimize(self, likelihood: LinearLikelihood, start: F64 | None = None) -> Solution:
        """Minimise from the coefficients ``start``, shape (p,); by default from those above.

        Raises
        ------
        InvalidInput
            Noise with kinks, or not symmetric.
        RankDeficient
            Where the coefficients are not unique.
        """
        given = None
        if start is not None:
            given = Start("the start that was given", check_start(likelihood, start))
        if has_free_df(likelihood.noise):
            return fit_df(likelihood, self.minimize_from, given)
        return self.minimize_from(likelihood, given)

    def minimize_from(self, likelihood: LinearLikelihood, given: Start | None = None) -> Solution:
        """`minimize` for a noise that is given, perhaps from known scale parameters too."""
        before = likelihood.reads
        if not likelihood.noise.smooth:
            Whitened(likelihood)  # says why not, before the data are read
        if likelihood.prior is None:
            ls = least_squares(likelihood)
            if ls.perfect:  # the NLL has no minimum: σ → 0
                return finish(likelihood, ls, ls.params, [ls.params], "iteration", before)
            space = whitened(likelihood)
            first = space.scale(ls.params)
        else:
            space = whitened(likelihood)
            first = _ridge(space)
        if _most(space) > space.just_enough * (1 + 1e-11):  # p columns fit p rows, Eq. (8.6)
            beta, exact = _through_rows(
                space, first if given is not None else _robust(space, first)
            )
            if exact > space.just_enough * (1 + 1e-11):
                return finish_locally(likelihood, [(space.unscale(beta), math.nan)], None, before)
        if given is not None:
            starts = [given]
        elif space.convex:
            starts = [Start("least squares", space.unscale(first))]
        else:
            starts = self._of_sample(space) or _two(space, first)
        runs = [Run(self, space, start) for start in starts]
        best = _best(runs)
        history = [(space.unscale(b), v) for b, v in zip(best.way, best.values, strict=True)]
        if best.falls:
            return finish_locally(likelihood, history, None, before)
        why = best.why
        if why and not likelihood.scale_names and space.too_many(space.p):
            why = (
                f"sigma runs to zero: {space.p} columns can fit as many of the {space.n} rows "
                "exactly, which is just enough for that. Add rows, or remove columns"
            )
        said, end = agreement(space, best, runs), best.point
        return finish_locally(
            likelihood, history, end.gamma, before, why=why, where=said, point=end
        )

    def _of_sample(self, space: Whitened) -> "list[Start]":
        """Where both starts lead to on a sample of the rows, where these are many; else nothing."""
        some = sample(space.likelihood)
        if some is None:
            return []
        try:
            ls = least_squares(some) if some.prior is None else None
            if ls is not None and (ls.perfect or not stands_for(some, space.likelihood)):
                return []
            few = whitened(some)
            first = _ridge(few) if ls is None else few.scale(ls.params)
            runs = [Run(self, few, start) for start in _two(few, first)]
        except (InvalidInput, RankDeficient):  # the sample lacks something, a rare level say
            return []
        best = _best(runs)
        if best.falls or best.why:
            return []
        told = agreement(few, best, runs).replace("a stationary point, reached from ", "")
        name = f"that of a sample of {some.triangle.n_rows} rows: {told}"
        return [Start(name, few.unscale(best.point.beta), best.point.gamma)]


def _two(space: Whitened, first: F64) -> list[Start]:
    """The starts where the objective may have several minima."""
    if space.likelihood.prior is None:
        named = [("least squares", first), ("least absolute deviations", _robust(space, first))]
    else:  # a prior may win with no slopes and much noise, or lose with large ones, Eq. (10.12)
        named = [("ridge regression", first), ("the intercept alone", _constant(space))]
    return [Start(name, space.unscale(beta)) for name, beta in named]


def _best(runs: "list[Run]") -> "Run":
    """The run that fell for ever, or else the one of the smallest NLL."""
    return min(runs, key=lambda run: (not run.falls, run.point.nll))


class Run:
    """The way from one start: `way`, its NLLs, the last `point`, and `why` it ended there.

    Where it is ``judged``, every point is computed as a certificate needs it: with its own
    Hessian, and bounds on rounding.
    """

    def __init__(
        self, config: Newton, space: Whitened, start: Start, *, judged: bool = False
    ) -> None:
        self.name, self.space, self.why = start.name, space, ""
        self.falls = False  # whether the NLL falls without end, as σ goes to zero
        self.borrowed: F64 | None = None  # the Hessian of an earlier point, if it stands for this
        beta = space.scale(start.beta)
        self.way, self.values = [beta], [math.nan]
        # of many rows the mean of the Hessian is good enough for the first step, and the last one
        # computed for the steps after it: a pass for the gradient takes a third of the time
        frugal = space.likelihood.triangle.n_rows > MANY and not judged
        rough = 1e-3 if frugal else 1e-15
        gamma = start.gamma
        if gamma is None:
            gamma = space.profile(beta, tolerance=rough)
        if gamma is None or not np.isfinite(gamma).all():  # zero residuals, or they overflow
            self.falls = gamma is None
            self.why = "the residuals at the start overflow: start nearer"
            self.point = space.at(beta, np.zeros(space.q))
            return
        self.borrowed = np.eye(space.p + space.q) if frugal else None
        self.point = space.at(beta, gamma, bounds=judged, hessian=self.borrowed)
        self.values = [self.point.nll]
        fresh, size = not frugal, math.inf
        for _ in range(config.max_iterations):
            if space.falls(self.point):
                self.falls = True
                return
            size, before = norm(self.point.step), size
            if fresh and self.point.definite and size <= config.tolerance:
                return
            near = (
                fresh
                and self.point.definite
                and size <= min(0.01 * math.sqrt(space.n), 0.1 * before)
            )
            self.borrowed = self.point.hessian if frugal and near else None
            fresh = True
            last = judged or (near and size * size <= config.tolerance)
            if not self._advance(config.tolerance, last=last):
                self.why = "no step lowers the NLL any more: rounding holds it there"
                return
        self.why = (
            f"{config.max_iterations} iterations were not enough: raise max_iterations, or start "
            "nearer"
        )

    def _advance(self, tolerance: float, last: bool) -> bool:
        """One step downhill, the ``last`` perhaps; False where there is none."""
        space, point = self.space, self.point
        if not point.finite:
            return False
        step, bend = point.step, 0.0
        least, along = point.flattest
        if norm(step) <= tolerance and least < -DEFINITE:
            step, bend = along, 0.5 * least  # at a saddle: off to the side that curves down
        # change of log σ, at most and over the rows together
        size = norm(step[space.p :]) / (space.root_b * math.sqrt(space.n))
        step = step * min(1.0, LONGEST / max(size, 1e-300))
        slope = float(step @ point.gradient)
        share = 1.0
        for _ in range(60):
            to = space.move(point, share * step)
            trial = space.at(*to, bounds=last, hessian=self.borrowed)
            promised = share * slope + share * share * bend
            falls = trial.finite and trial.nll <= point.nll + ENOUGH * promised
            if not falls and abs(promised) <= point.noise_of_nll:
                # what is left to gain is less than the rounding of the NLL: judge by the gradient
                falls = trial.finite and norm(trial.gradient) <= 0.5 * norm(point.gradient)
                if not falls:
                    return False
            if falls:
                self.point = trial
                self.way.append(trial.beta)
                self.values.append(trial.nll)
                return True
            share /= 2
        return False


def agreement(space: Whitened, best: Run, runs: list[Run]) -> str:
    """What is to be said of a minimum where there may be others."""
    if space.convex:
        return ""
    kind = "a stationary point" if space.likelihood.prior is None else "a mode of the posterior"
    if len(runs) == 1:
        return f"{kind}, reached from one start ({best.name})"
    (other,) = (run for run in runs if run is not best)
    apart = space.apart(best.point, other.point.beta)
    if apart <= 0.1:
        said = f"reached from {len(runs)} starts ({runs[0].name} and {runs[1].name}) that agree"
        return f"{kind}, {said}"
    return (
        f"the better of two stationary points: from {other.name} it ends {apart:.3g} standard "
        f"errors away, where the NLL is {other.point.nll - best.point.nll:.3g} higher"
    )


def _ridge(space: Whitened) -> F64:
    """The mode for normal noise whose σ is the rough one that the coordinates were made with."""
    triangle = plain(space.likelihood.triangle).R
    R, right = triangle[: space.p, : space.p], triangle[: space.p, -1]
    q = solve_upper(space.base, R.T @ right, transpose=True)
    return solve_upper(space.base, q)


def _constant(space: Whitened) -> F64:
    """The intercept of least squares, if there is one, and no slopes."""
    triangle, c = plain(space.likelihood.triangle).R, space.likelihood.constant
    beta = np.zeros(space.p)
    if c is not None:
        column = triangle[:, c]
        beta[c] = column @ triangle[:, -1] / (column @ column)
    return beta


def _robust(space: Whitened, beta: F64) -> F64:
    """Near the least absolute deviations, by reweighted least squares, Eq. (8.10)."""
    for count in range(ROBUST):
        total = sum(float(rows.k @ np.abs(r)) for rows, r, _ in space.residuals(beta))
        floor = total / space.n * 10.0 ** -min(count, 8)
        if not 0 < floor < math.inf:
            break
        G, right = np.diag(np.zeros(space.p)), np.zeros(space.p)
        for rows, r, _ in space.residuals(beta):
            W = whiten(space.base, rows.A)
            weight = rows.k / np.maximum(np.abs(r), floor) * floor
            G += gram(W, weight, W)
            right += times_transposed(W, weight * r)
        values, vectors = np.linalg.eigh(G)
        if not values[0] > 1e-12 * values[-1]:
            break
        beta = beta + solve_upper(space.base, vectors @ ((vectors.T @ right) / values))
    return beta


def _most(space: Whitened) -> float:
    """Number of observations in as many rows as there are columns, at most; no pit: zero."""
    if math.isinf(space.limit) or space.likelihood.scale_names:
        return 0.0
    if space.likelihood.triangle.n_rows == space.n:  # no frequencies: one in each row
        return float(min(space.p, space.n))
    most = np.zeros(0)
    for rows in space.rows():
        most = np.sort(np.append(most, rows.k))[-space.p :]
    return float(most.sum())


def _through_rows(space: Whitened, beta: F64) -> tuple[F64, float]:
    """Coefficients that fit as many rows as there are columns, and the observations in them.

    Rows of high frequency first, then those of small residuals. It holds all rows, which are few
    where this is asked for.
    """
    parts = [(rows.A, rows.b, rows.k, np.abs(r)) for rows, r, _ in space.residuals(beta)]
    A, b, k, size = (np.concatenate(part) for part in zip(*parts, strict=True))
    W = whiten(space.base, A)
    basis, chosen = np.zeros((0, space.p)), []
    for i in np.lexsort((size, -k)).tolist():
        rest = W[i] - basis.T @ (basis @ W[i])
        if norm(rest) > 1e-6 * norm(W[i]) > 0:
            basis = np.vstack([basis, rest / norm(rest)])
            chosen.append(i)
        if len(chosen) == space.p:
            break
    # with a prior there may be more columns than rows
    through = space.inverse @ np.linalg.lstsq(W[chosen], b[chosen], rcond=None)[0]
    return np.asarray(through), float(k[chosen].sum())
