"""Newton's method for smooth noises, with scoring where the ground is no bowl."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlreg.certificate import LeastSquares, least_squares
from mlreg.errors import InvalidInput
from mlreg.likelihood.linear import LinearLikelihood
from mlreg.linalg.fold import fold
from mlreg.linalg.pieces import Pieces
from mlreg.linalg.triangle import norm, plain, scale_columns, solve_upper
from mlreg.optimizers.solution import Solution, check_start, finish, finish_locally
from mlreg.scoring import DEFINITE, Whitened, whitened

__all__ = ["Newton"]

F64 = NDArray[np.float64]

ENOUGH = 1e-4
"""Share of the decrease that the slope promises which a step must bring (Armijo's rule)."""

ROBUST = 12
"""Reweighted least-squares steps towards least absolute deviations: a start, not a solution."""

LONGEST = 2.0
"""Change of log σ in one step, at most: that of a scoring step from far above."""


@dataclass(frozen=True)
class Newton:
    """Newton's method in θ = (β, log σ), for every smooth and symmetric noise.

    A step is H⁻¹g where the observed Hessian, Eq. (3.7), is positive definite, and I⁻¹g with
    the expected information, Eq. (3.6), elsewhere (Fisher scoring). Both are computed in the
    whitened coordinates of Eq. (3.8), from the triangle of the design, never from XᵀX. The step
    is halved until the NLL falls by a fixed share of what its slope promises: so the NLL falls
    in every step, and where it is bounded below the gradient goes to zero.

    It starts from least squares, and for noises that are not log-concave, whose NLL may have
    several minima, Eq. (3.13), also from nearly the least absolute deviations, Eq. (8.2); the
    better minimum is returned, and the message says whether the two agree.

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
        tolerance, most = self.tolerance, self.max_iterations
        if not (isinstance(tolerance, (int, float)) and 0 < tolerance < math.inf):
            raise InvalidInput(f"tolerance must be positive and finite, not {tolerance!r}")
        if isinstance(most, bool) or not (isinstance(most, (int, np.integer)) and most >= 1):
            raise InvalidInput(f"max_iterations must be a whole number of at least 1, not {most!r}")

    def minimize(self, likelihood: LinearLikelihood, start: F64 | None = None) -> Solution:
        """Minimise from the coefficients ``start``, shape (p,); by default from those above.

        Raises
        ------
        InvalidInput
            Noise with kinks, or not symmetric.
        RankDeficient
            Where the coefficients are not unique.
        """
        before = likelihood.reads
        given = None if start is None else check_start(likelihood, start)
        if not likelihood.noise.smooth:
            Whitened(likelihood)  # says why not, before the data are read
        ls = least_squares(likelihood)
        space = whitened(likelihood)
        if ls.perfect:  # the NLL has no minimum: σ → 0
            return finish(likelihood, ls, ls.params, [ls.params], "iteration", before)
        starts = self._starts(space, ls, given)
        robust = space.scale(ls.params) if given is not None else starts[-1][1]
        if _most(space) > space.just_enough * (1 + 1e-11):  # p columns fit p rows, Eq. (8.6)
            beta, exact = _through_rows(space, robust)
            if exact > space.just_enough * (1 + 1e-11):
                end = [(space.unscale(beta), math.nan)]
                return finish_locally(likelihood, end, -math.inf, before)
        runs = [_Run(self, space, name, beta) for name, beta in starts]
        fallen = [run for run in runs if run.falls]
        best = fallen[0] if fallen else min(runs, key=lambda run: run.point.nll)
        history = [(space.unscale(b), v) for b, v in zip(best.way, best.values, strict=True)]
        if fallen:
            return finish_locally(likelihood, history, -math.inf, before)
        gamma, why = best.point.gamma + space.log_unit, best.why
        if why and space.falls(space.p):
            why = (
                f"sigma runs to zero: {space.p} columns can fit as many of the {space.n} rows "
                "exactly, which is just enough for that. Add rows, or remove columns"
            )
        said = _agreement(space, best, runs)
        return finish_locally(likelihood, history, gamma, before, why=why, where=said)

    def _starts(
        self, space: Whitened, ls: LeastSquares, given: F64 | None
    ) -> list[tuple[str, F64]]:
        """Names of the starts, and their scaled coefficients."""
        if given is not None:
            return [("the start that was given", space.scale(given))]
        starts = [("least squares", space.scale(ls.params))]
        if not space.noise.log_concave:
            starts.append(("least absolute deviations", _least_absolute(space, starts[0][1])))
        return starts


class _Run:
    """The way from one start: `way`, its NLLs, the last `point`, and `why` it ended there."""

    def __init__(self, config: Newton, space: Whitened, name: str, beta: F64) -> None:
        self.name, self.space, self.why = name, space, ""
        self.falls = False  # whether the NLL falls without end, as σ goes to zero
        self.way, self.values = [beta], [math.nan]
        gamma = space.profile(beta)
        if not math.isfinite(gamma):  # −∞: so many zero residuals, or +∞: they overflow
            self.falls = gamma < 0
            self.why = "the residuals at the start overflow: start nearer"
            self.point = space.at(beta, 0.0)
            return
        self.point = space.at(beta, gamma, bounds=False)
        self.values = [self.point.nll]
        for _ in range(config.max_iterations):
            if space.falls(self.point.exact):
                self.falls = True
                return
            if self.point.definite and norm(self.point.step) <= config.tolerance:
                return
            if not self._advance(config.tolerance):
                self.why = "no step lowers the NLL any more: rounding holds it there"
                return
        self.why = (
            f"{config.max_iterations} iterations were not enough: raise max_iterations, or start "
            "nearer"
        )

    def _advance(self, tolerance: float) -> bool:
        """One step downhill; False where there is none."""
        space, point = self.space, self.point
        if not point.finite:
            return False
        step, bend = point.step, 0.0
        least, along = point.flattest
        if norm(step) <= tolerance and least < -DEFINITE:
            step, bend = along, 0.5 * least  # at a saddle: off to the side that curves down
        step = step * min(1.0, LONGEST * space.root_b / max(abs(float(step[-1])), 1e-300))
        slope = float(step @ point.gradient)
        share = 1.0
        for _ in range(60):
            trial = space.at(*space.move(point, share * step), bounds=False)
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


def _agreement(space: Whitened, best: _Run, runs: list[_Run]) -> str:
    """What is to be said of a minimum where there may be others."""
    if space.noise.log_concave:  # every stationary point is the MLE, Eq. (3.13)
        return ""
    if len(runs) == 1:
        return f"a stationary point, reached from one start ({best.name})"
    (other,) = (run for run in runs if run is not best)
    said = f"a stationary point, reached from {len(runs)} starts"
    apart = space.apart(other.point.beta, best.point.beta, best.point.gamma)
    if apart <= 0.1:
        return f"{said} ({runs[0].name} and {runs[1].name}) that agree"
    return (
        f"the better of two stationary points: from {other.name} it ends {apart:.3g} standard "
        f"errors away, where the NLL is {other.point.nll - best.point.nll:.3g} higher"
    )


def _least_absolute(space: Whitened, beta: F64) -> F64:
    """Near the least absolute deviations, by reweighted least squares, Eq. (8.10)."""
    for count in range(ROBUST):
        total = sum(float(k @ np.abs(r)) for _, _, k, r, _ in space.residuals(beta))
        floor = total / space.n * 10.0 ** -min(count, 8)
        if not 0 < floor < math.inf:
            break

        def rows(beta: F64 = beta, floor: float = floor) -> Iterator[Pieces]:
            for A, b, k, r, _ in space.residuals(beta):
                root = np.sqrt(k / np.maximum(np.abs(r), floor) * floor)
                yield Pieces([np.column_stack([A, b]) * root[:, None]])

        triangle = plain(fold(rows(), space.p + 1))
        R = triangle.R
        if not np.diagonal(R)[:-1].all():
            break
        exponent = triangle.exponent[-1] - triangle.exponent[:-1]
        new = scale_columns(solve_upper(R[:-1, :-1], R[:-1, -1]), exponent)
        if not np.isfinite(new).all():
            break
        beta = new
    return beta


def _most(space: Whitened) -> float:
    """Number of observations in as many rows as there are columns, at most; no pit: zero."""
    if math.isinf(space.limit):
        return 0.0
    most = np.zeros(0)
    for _, _, k in space.rows():
        most = np.sort(np.append(most, k))[-space.p :]
    return float(most.sum())


def _through_rows(space: Whitened, beta: F64) -> tuple[F64, float]:
    """Coefficients that fit as many rows as there are columns, and the observations in them.

    Rows of high frequency first, then those of small residuals. It holds all rows, which are few
    where this is asked for.
    """
    parts = [(A, b, k, np.abs(r)) for A, b, k, r, _ in space.residuals(beta)]
    A, b, k, size = (np.concatenate(part) for part in zip(*parts, strict=True))
    W = solve_upper(space.R, A.T, transpose=True).T
    basis, chosen = np.zeros((0, space.p)), []
    for i in np.lexsort((size, -k)).tolist():
        rest = W[i] - basis.T @ (basis @ W[i])
        if norm(rest) > 1e-6 * norm(W[i]) > 0:
            basis = np.vstack([basis, rest / norm(rest)])
            chosen.append(i)
        if len(chosen) == space.p:
            break
    through = space.inverse @ np.linalg.solve(W[chosen], b[chosen])
    return np.asarray(through), float(k[chosen].sum())
