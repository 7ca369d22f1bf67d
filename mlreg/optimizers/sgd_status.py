"""What is to be said of a descent when it has ended."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mlreg.certificate import CONVERGED, LeastSquares
from mlreg.likelihood.linear import LinearLikelihood
from mlreg.optimizers.plateau import epochs_to_average, plateau, rate_for
from mlreg.optimizers.solution import Status
from mlreg.optimizers.stability import eigenvalues, stable_learning_rate

if TYPE_CHECKING:  # a configuration calls this module
    from mlreg.optimizers.sgd import SGD

__all__ = ["Outlook", "outlook", "status"]

F64 = NDArray[np.float64]

STEADY = 0.98
"""Pace per epoch above which nothing descends any more."""

NEARLY = 1.5
"""How far above its plateau a descent counts as arrived there."""


@dataclass(frozen=True, eq=False)
class Outlook:
    """What a configuration can do on some data, by its triangle alone.

    Attributes
    ----------
    values : ndarray
        Eigenvalues of the Hessian of the mean loss, the largest first.
    rows, size : int
        Distinct rows, and those of a minibatch.
    largest, last : float
        Largest learning rate of the run, and the last.
    reach : float
        How often the error in the flattest direction has shrunk by a factor e: λ_min Σ η,
        Eq. (13.15).
    plateau : float
        Where the last rate comes to rest, in standard errors; 0 for full batches.
    """

    values: F64
    rows: int
    size: int
    largest: float
    last: float
    reach: float
    plateau: float


def outlook(config: "SGD", likelihood: LinearLikelihood, size: int, epochs: int) -> Outlook:
    """The `Outlook` of so many epochs."""
    rows, schedule = likelihood.triangle.n_rows, config.schedule
    steps = 1 if config.batch_size == "full" else math.ceil(rows / size)
    count = min(epochs * steps, 100_000)  # points in time, of all steps if they are not too many
    step = np.floor(np.linspace(0, epochs * steps - 1, count))
    rates = np.asarray(schedule(step if schedule.unit == "step" else step / steps))
    with np.errstate(all="ignore"):
        values = eigenvalues(likelihood) * likelihood.noise.fisher[0]
        reach = float(values[-1] * rates.mean()) * epochs * steps or 1e-300
    last, height = float(rates[-1]), 0.0
    if config.batch_size != "full" and last > 0:
        over = {"none": 0, "all": epochs, "tail": epochs - epochs // 2}[config.average]
        height = plateau(values, rows, last, size, config.sampling, over)
    return Outlook(values, rows, size, float(rates.max()), last, reach, height)


def status(
    config: "SGD",
    likelihood: LinearLikelihood,
    ls: LeastSquares,
    errors: list[float],
    overflow: bool,
    size: int,
) -> Status:
    """How a descent on squared loss ended.

    Parameters
    ----------
    config : SGD
        What was run.
    likelihood, ls
        The data, and the MLE.
    errors : list of float
        Errors ‖RΔ‖ of the start and after each epoch, scaled, Eq. (5.1).
    overflow : bool
        Whether the next one left floating point.
    size : int
        Rows of a minibatch.
    """
    noiseless = config.batch_size == "full"
    seen = outlook(config, likelihood, size, max(1, len(errors) - 1))
    half = errors[len(errors) // 2 - 1]
    explicit = config.update == "explicit"
    if overflow or (explicit and (noiseless or errors[-1] > errors[0])):
        bound = stable_learning_rate(
            likelihood, batch_size=config.batch_size, sampling=config.sampling
        )
        # Beyond the bound growth may still be the noise of minibatches, which has a limit:
        # divergence goes on, and past the size of the residuals themselves.
        goes_on = errors[-1] == max(errors) and errors[-1] > max(2 * half, ls.norm_r)
        if overflow or (seen.largest > bound and (goes_on or noiseless)):
            if overflow:
                how = f"the steps overflowed in epoch {len(errors)} (returned: before it)"
            else:
                how = "the loss grew" if errors[-1] > errors[0] else "the loss will grow"
            return Status("diverged", _divergence(config, seen, how, bound))
    if ls.perfect:
        return Status("stopped", "the data fit perfectly, and the descent is not there yet")
    distance = errors[-1] / ls.s
    told = f"after {config.epochs} epochs {distance:.3g} standard errors from the MLE"
    if distance <= CONVERGED:
        return Status("stopped", told)  # the certificate will say converged
    # The pace over the second half: on a plateau it is 1, and the last point is not the best.
    pace = (errors[-1] / half) ** (1 / (len(errors) - len(errors) // 2)) if half else 1.0
    falls = errors[-1] <= min(errors) and pace < (1.0 if noiseless else STEADY)
    if seen.reach < 1 and (noiseless or not falls):
        # even without noise the slowest direction has not had the time to come in
        more = math.log(max(distance / CONVERGED, 2)) / seen.reach * config.epochs
        return Status(
            "stopped",
            f"{told}: the learning rate {_said(seen.last)} is too small for this data, "
            f"of the order of {more:.2g} more epochs are needed. Raise it, or standardise "
            "the columns of X",
        )
    arrived = not noiseless and distance <= NEARLY * seen.plateau
    if falls and not arrived:
        more = max(1, math.ceil(math.log(distance / CONVERGED) / -math.log(pace)))
        then = f"at this pace at least {more} more epochs to come within 0.1"
        if seen.plateau > CONVERGED:
            then += (
                f", which the noise of minibatches of {size} does not let it: it will rest at "
                f"about {seen.plateau:.2g}{_remedy(config, seen, distance)}"
            )
        return Status("stopped", f"{told} and still descending: {then}")
    if noiseless:
        return Status("stopped", f"{told} and no longer descending: rounding holds it there")
    return Status(
        "stopped",
        f"{told} and no longer descending: the noise of minibatches of {size} at learning rate "
        f"{_said(seen.last)} holds it there, at {_observed(errors, ls.s):.2g} in the second half "
        f"of the epochs, {seen.plateau:.2g} by the formula{_remedy(config, seen, distance)}",
    )


def _observed(errors: list[float], s: float) -> float:
    """Root of the mean square of the distances in the second half."""
    late = np.array(errors[max(1, len(errors) // 2) :]) / s
    return float(np.sqrt(np.mean(late * late)))


def _remedy(config: "SGD", seen: Outlook, distance: float) -> str:
    """What would bring the plateau below 0.1 standard errors."""
    found = []
    sampling = config.sampling
    rate = rate_for(seen.values, seen.rows, seen.size, sampling, 0.9 * CONVERGED)
    far = min(distance, 1e9) / CONVERGED
    pace = rate * float(seen.values[-1]) * math.ceil(seen.rows / seen.size)
    if 0 < rate < seen.last and pace > 1e-6:
        more = math.ceil(math.log(10 * far) / pace)
        found.append(
            f"go on for {more} epochs at a learning rate of {_said(rate)}, by "
            f"ml.schedules.Piecewise([{_said(seen.last)}, {_said(rate)}], [{config.epochs}])"
        )
    if config.average != "tail":
        goal = 0.9 * CONVERGED
        count = epochs_to_average(seen.values, seen.rows, seen.last, seen.size, sampling, goal)
        if count is not None:
            found.append(f"average the iterates of {count} epochs, by average='tail'")
    found.append("take Exact()" if config.epochs > 1 else "take Exact(), which needs one read")
    return f". To come within 0.1: {'; or '.join(found)}"


def _said(rate: float) -> str:
    return f"{rate:.3g}"


def _divergence(config: "SGD", seen: Outlook, how: str, bound: float) -> str:
    if not bound > 0:
        return f"{how}. No learning rate is safe in these units: rescale the columns of X"
    if not math.isfinite(bound):
        return f"{how}: learning_rate={_said(seen.largest)} is too large for floating point"
    return (
        f"{how}: learning_rate={_said(seen.largest)} is too large for this data. "
        f"Up to {_round_down(bound):.3g} it cannot diverge"
        f"{' in mean square' if config.sampling == 'replacement' else ''}"
        "; or standardise the columns of X"
    )


def _round_down(value: float) -> float:
    """To three digits, never up: a bound that is printed must still be one."""
    unit = 10.0 ** (math.floor(math.log10(value)) - 2)
    return math.floor(value / unit) * unit
