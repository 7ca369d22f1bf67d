"""What every optimizer returns."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from mlreg.certificate import (
    Certificate,
    LeastSquares,
    certificate,
    judge_locally,
    least_squares,
    nowhere,
)
from mlreg.errors import InvalidInput
from mlreg.likelihood.linear import LinearLikelihood
from mlreg.likelihood.noise import Noise
from mlreg.linalg.triangle import norm
from mlreg.optimizers.path import Path
from mlreg.scoring import Point, Whitened, whitened

__all__ = ["History", "Optimizer", "Solution", "Status"]

F64 = NDArray[np.float64]
Code = Literal["converged", "stopped", "diverged", "perfect-fit", "unbounded"]


@dataclass(frozen=True)
class Status:
    """Why an optimizer stopped.

    Attributes
    ----------
    code : str
        ``converged``: within 0.1 standard errors of the MLE. ``stopped``: not
        there. ``diverged``: the steps grew without limit. ``perfect-fit``: the
        residuals are rounding, σ̂ is zero and no standard error exists. ``unbounded``: the
        likelihood grows without end as σ goes to zero, Eq. (8.6), and has no maximum.
    message : str
        What happened, with numbers, and what to do.
    """

    code: Code
    message: str

    @property
    def ok(self) -> bool:
        """Whether the estimate is the MLE for all practical purposes."""
        return self.code in ("converged", "perfect-fit")

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


@dataclass(frozen=True, eq=False)
class History:
    """The way of an optimizer.

    Attributes
    ----------
    unit : str
        What one step is: ``epoch``, ``iteration`` or ``solve``.
    mean_nll : ndarray, shape (steps + 1,)
        NLL of all rows divided by n, σ profiled, Eq. (2.9), at the start and after each step. For
        noise that is not Gaussian, at the σ that the optimizer had there.
    distance : ndarray, shape (steps + 1,)
        Distance from the MLE in standard errors, Eq. (5.1), at the same points; what the
        loss can show of it: Eq. (5.9). For noise that is not Gaussian, the distance from the end
        of the way, at the scale there, and the certified distance of that end added; in a history
        of epochs, the distance from where Newton's step from the end of the way leads.
    params : ndarray, shape (steps + 1, p), or None
        The coefficients there, where the optimizer keeps them.
    """

    unit: str
    mean_nll: F64
    distance: F64
    params: F64 | None = None


@dataclass(frozen=True, eq=False)
class Solution:
    """Result of an optimizer.

    Attributes
    ----------
    theta : ndarray, shape (p + q,)
        (β, γ): the coefficients, and log σ or the coefficients of the scale design.
    noise : Noise
        The noise of the likelihood.
    status : Status
        Why it stopped.
    certificate : Certificate
        How far it is from the MLE.
    history : History
        The way there.
    reads : float
        Passes over the data, those for the certificate included; a pass that was broken off
        counts as the share of the rows that were read.
    n_shape : int
        Number of shape parameters of the noise that were estimated: one for a t's df.
    reads_by : mapping of str to float
        What the reads were for, where the optimizer says so; their sum is `reads`.
    path : Path or None
        Of one pass of `SGD` whose iterates are all averaged: what random scaling needs.
    """

    theta: F64
    noise: Noise
    status: Status
    certificate: Certificate
    history: History
    reads: float
    n_shape: int = 0
    reads_by: Mapping[str, float] = field(default_factory=dict)
    path: Path | None = None


class Optimizer(Protocol):
    """A frozen configuration that minimises the NLL of a likelihood."""

    def minimize(self, likelihood: LinearLikelihood, start: F64 | None = None) -> Solution:
        """Minimise from coefficients ``start``, shape (p,); a numerical failure is a `Status`."""
        ...


def check_noise(likelihood: LinearLikelihood, what: str, instead: str = "") -> None:
    """Raise for noise that is not Gaussian; ``what`` needs it to be, ``instead`` a smooth one."""
    noise, more = likelihood.noise, ""
    if likelihood.exact:
        return
    if likelihood.scale_names:
        more = f" and a scale design ({', '.join(likelihood.scale_names)})"
    if likelihood.prior is not None:
        more += f" and the prior {likelihood.prior}"
    can = f". {instead}" if instead and noise.smooth else ""
    raise InvalidInput(
        f"{what} for Gaussian noise of one scale only: this likelihood has {noise}{more}{can}"
    )


def check_start(likelihood: LinearLikelihood, start: F64 | None) -> F64:
    """The start as an array of p finite numbers; zeros by default."""
    p = likelihood.n_params
    if start is None:
        return np.zeros(p)
    array = np.array(start, dtype=np.float64)
    if array.shape != (p,) or not np.isfinite(array).all():
        raise InvalidInput(
            f"start must be {p} finite numbers, one for each of "
            f"{', '.join(likelihood.source.names)}; it has shape {array.shape}"
        )
    return array


def finish(
    likelihood: LinearLikelihood,
    ls: LeastSquares,
    params: F64,
    way: Sequence[F64],
    unit: str,
    reads: float,
    status: Status | None = None,
) -> Solution:
    """Certify ``params`` and wrap them up; ``way`` are the points of the history.

    ``status`` is what the optimizer has to say where the certificate does not say converged.
    """
    judged = certificate(likelihood, params)
    errors = [norm(ls.contrast(point)) for point in way]
    known = 0.5 * likelihood.log_precision + likelihood.log_jacobian
    constant = 0.5 * math.log(2 * math.pi) - known / ls.n_rows
    history = History(
        unit,
        np.array([ls.log_sigma(e) + constant + 0.5 for e in errors]),
        np.array([_distance(ls, e) for e in errors]),
        np.array(way),
    )
    # what the distance is measured from is known to rounding only
    far = max(judged.distance, judged.rounding.max(initial=0.0))
    if ls.perfect and judged.distance == 0:
        status = perfect(ls)
    elif judged.converged and (status is None or status.code != "diverged"):
        status = Status(
            "converged",
            f"every linear contrast is within {far:.2g} standard errors of the MLE",
        )
    elif status is None:
        status = Status("stopped", f"{judged.distance:.3g} standard errors from the MLE")
    end = errors[-1] if way[-1] is params else norm(ls.contrast(params))
    # of a perfect fit; no scale design has an estimate there
    gamma = [ls.log_sigma(end)] if not likelihood.scale_names else [-math.inf] * likelihood.n_scale
    theta = np.append(params, gamma)
    return Solution(theta, likelihood.noise, status, judged, history, likelihood.reads - reads)


def _distance(ls: LeastSquares, error: float) -> float:
    if ls.perfect:
        return 0.0 if error <= ls.residual_bound else math.inf
    return error / ls.s


def perfect(ls: LeastSquares) -> Status:
    """Status of a fit whose residuals are rounding."""
    if ls.df_resid <= 0:
        why = (
            f"{ls.n_rows} rows determine {len(ls.beta)} coefficients without residual: the noise "
            "cannot be estimated. Add rows or remove columns"
        )
    else:
        why = (
            "the residuals are within their rounding bound: sigma is as computed, the NLL is -inf "
            "and standard errors mean nothing"
        )
    return Status("perfect-fit", why)


def finish_locally(
    likelihood: LinearLikelihood,
    history: Sequence[tuple[F64, float]],
    gamma: F64 | None,
    reads: float,
    *,
    why: str = "",
    where: str = "",
    point: Point | None = None,
    space: Whitened | None = None,
) -> Solution:
    """`finish` for any smooth noise.

    ``history`` are the points and their NLLs, ``gamma`` the γ at the last one, None where the
    likelihood has no maximum. ``why`` says what ended the way, for the case that it is not at its
    goal; ``where`` what the goal is, if it may not be the MLE. ``point`` is the last one, and
    ``space`` the coordinates, if known.
    """
    way, (params, _) = [point for point, _ in history], history[-1]
    if likelihood.exact:
        ls = least_squares(likelihood)
        stopped = Status("stopped", why) if why else None
        return finish(likelihood, ls, params, way, "iteration", reads, stopped)
    space = whitened(likelihood) if space is None else space
    values = np.array([value for _, value in history]) / likelihood.n_rows
    if point is None or not point.bounded:
        point = space.at(space.scale(params), np.zeros(space.q) if gamma is None else gamma)
    likelihood.memo["end"] = point
    judged = nowhere(likelihood) if gamma is None else judge_locally(space, point)
    if gamma is None:
        status = _unbounded(space, point.exact)
        # a t's with just enough of them falls to a limit, which no sigma reaches
        many = bool(likelihood.scale_names) or math.isinf(space.limit)
        many |= max(point.exact, space.p) > space.just_enough
        values[-1], gamma = -math.inf if many else math.nan, np.full(space.q, -math.inf)
    else:
        status = _judged(judged, why, where)
    apart = [space.apart(point, space.scale(before)) for before in way[:-1]]
    distance = np.append(apart, 0.0) + judged.distance
    return Solution(
        np.append(params, gamma),
        likelihood.noise,
        status,
        judged,
        History("iteration", values, distance, np.array(way)),
        likelihood.reads - reads,
    )


def _judged(judged: Certificate, why: str, where: str) -> Status:
    """Status of a point that a local certificate has judged."""
    far = max(judged.distance, judged.rounding.max(initial=0.0))
    goal = where or ("the posterior mode" if judged.posterior else "the MLE")
    unit = "posterior standard deviations" if judged.posterior else "standard errors"
    if judged.converged:
        told = f"within {far:.2g} {unit} of {goal}"
        return Status("converged", told if where else f"every linear contrast is {told}")
    if not judged.definite:
        told = "the observed Hessian is not positive definite: this is no minimum"
    elif np.isinf(judged.rounding).any():
        told = "rounding has no bound, for the columns are nearly collinear: drop one"
    else:
        told = f"{max(judged.distance, judged.sigma_distance):.3g} {unit} from {goal}"
    return Status("stopped", f"{told}. {why}" if why else told)


def _unbounded(space: Whitened, exact: float) -> Status:
    """Status of a likelihood without a maximum, so many rows being fitted exactly, Eq. (8.6)."""
    noise = space.noise
    if space.likelihood.scale_names:
        return Status(
            "unbounded",
            "the likelihood has no maximum: the scale design singles out rows that the columns fit "
            "exactly, and sigma of these goes to zero. Remove columns of the scale design, or join "
            "groups of few rows",
        )
    if space.likelihood.prior is not None:
        return Status(
            "unbounded",
            "the posterior has no mode: the columns fit so many rows exactly that its density "
            "grows without end as sigma goes to zero. Add rows, or remove columns",
        )
    exact = max(exact, space.p)
    others = max(space.n - exact, 1e-300)
    return Status(
        "unbounded",
        f"the likelihood of {noise} has no maximum: {exact:g} of the {space.n} rows are fitted "
        f"exactly, to rounding, and with {math.ceil(space.just_enough)} or more the NLL falls "
        "without end as sigma goes to zero. Add rows, remove columns, or take lighter tails: "
        f"StudentT(df) with df above {exact / others:.3g}, or Logistic()",
    )
