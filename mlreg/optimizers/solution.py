"""What every optimizer returns."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from mlreg.certificate import Certificate, LeastSquares, certificate
from mlreg.errors import InvalidInput
from mlreg.likelihood.linear import LinearLikelihood
from mlreg.likelihood.noise import Gaussian, Noise
from mlreg.linalg.triangle import norm

__all__ = ["History", "Optimizer", "Solution", "Status"]

F64 = NDArray[np.float64]
Code = Literal["converged", "stopped", "diverged", "perfect-fit"]


@dataclass(frozen=True)
class Status:
    """Why an optimizer stopped.

    Attributes
    ----------
    code : str
        ``converged``: within 0.1 standard errors of the MLE. ``stopped``: not
        there. ``diverged``: the steps grew without limit. ``perfect-fit``: the
        residuals are rounding, σ̂ is zero and no standard error exists.
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
        NLL of all rows divided by n, σ profiled, Eq. (2.9), at the start and after each step.
    distance : ndarray, shape (steps + 1,)
        Distance from the MLE in standard errors, Eq. (5.1), at the same points; what the
        loss can show of it: Eq. (5.9).
    """

    unit: str
    mean_nll: F64
    distance: F64


@dataclass(frozen=True, eq=False)
class Solution:
    """Result of an optimizer.

    Attributes
    ----------
    theta : ndarray, shape (p + 1,)
        (β, log σ), σ profiled at β.
    noise : Noise
        The noise of the likelihood.
    status : Status
        Why it stopped.
    certificate : Certificate
        How far it is from the MLE.
    history : History
        The way there.
    reads : int
        Passes over the data, those for the certificate included.
    """

    theta: F64
    noise: Noise
    status: Status
    certificate: Certificate
    history: History
    reads: int


class Optimizer(Protocol):
    """A frozen configuration that minimises the NLL of a likelihood."""

    def minimize(self, likelihood: LinearLikelihood, start: F64 | None = None) -> Solution:
        """Minimise from coefficients ``start``, shape (p,); a numerical failure is a `Status`."""
        ...


def check_noise(likelihood: LinearLikelihood, what: str) -> None:
    """Raise for noise that is not Gaussian; ``what`` says what needs it to be."""
    if not isinstance(likelihood.noise, Gaussian):
        raise InvalidInput(
            f"{what}, for Gaussian noise only: this likelihood has {likelihood.noise}"
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
    reads: int,
    status: Status | None = None,
) -> Solution:
    """Certify ``params`` and wrap them up; ``way`` are the points of the history.

    ``status`` is what the optimizer has to say where the certificate does not say converged.
    """
    judged = certificate(likelihood, params)
    errors = [norm(ls.contrast(point)) for point in way]
    constant = 0.5 * math.log(2 * math.pi) - 0.5 * likelihood.log_precision / ls.n_rows
    history = History(
        unit,
        np.array([ls.log_sigma(e) + constant + 0.5 for e in errors]),
        np.array([_distance(ls, e) for e in errors]),
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
    theta = np.append(params, ls.log_sigma(end))
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
