"""What is to be said of a descent when it has ended."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mlreg.certificate import CONVERGED, LeastSquares
from mlreg.likelihood.linear import LinearLikelihood
from mlreg.optimizers.plateau import epochs_to_average, plateau, rate_for
from mlreg.optimizers.schedules import rates_at
from mlreg.optimizers.solution import Status
from mlreg.optimizers.stability import eigenvalues, stable_learning_rate, steepest

if TYPE_CHECKING:  # a configuration calls this module
    from mlreg.optimizers.sgd import SGD

__all__ = ["Course", "Outlook", "general", "outlook", "rates_of", "squared", "status"]

F64 = NDArray[np.float64]

STEADY, FALLEN = 0.98, 0.75
"""Pace per epoch above which nothing descends, unless all the second half took that share off."""

SAFE = 0.6
"""Share of the distance that counts as converged at which a plateau is aimed: it is a mean."""

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
    counted : float
        Root of the mean frequency of a row, by which standard errors are shorter.
    largest, last : float
        Largest learning rate of the run, and the last.
    reach : float
        How often the error in the flattest direction has shrunk by a factor e: λ_min Σ η.
    pace : float
        The same for one epoch at the last rate, Eq. (13.15).
    plateau : float
        Where the last rate comes to rest, in standard errors; 0 for full batches, NaN where that
        is not known.
    """

    values: F64
    rows: int
    size: int
    counted: float
    largest: float
    last: float
    reach: float
    pace: float
    plateau: float


def rates_of(config: "SGD", per_epoch: int, epochs: int) -> F64:
    """Learning rates of all steps of so many epochs; evenly spaced ones, if they are too many."""
    steps = epochs * per_epoch
    count = min(steps, 100_000)
    return rates_at(config.schedule, 0, np.floor(np.linspace(0, steps - 1, count)), per_epoch)


def outlook(config: "SGD", likelihood: LinearLikelihood, size: int, epochs: int) -> Outlook:
    """The `Outlook` of so many epochs."""
    rows = likelihood.triangle.n_rows
    steps = 1 if config.batch_size == "full" else math.ceil(rows / size)
    rates = rates_of(config, steps, epochs)
    last, height, counted = float(rates[-1]), 0.0, math.sqrt(likelihood.n_rows / rows)
    with np.errstate(all="ignore"):
        values = eigenvalues(likelihood) * likelihood.noise.fisher[0]
        reach = float(values[-1] * rates.mean()) * epochs * steps or 1e-300
        pace = float(values[-1] * last) * steps or 1e-300
    if config.batch_size != "full" and last > 0:
        over = {"none": 0, "all": epochs, "tail": epochs - epochs // 2}[config.average]
        # Kinks move when an iterate crosses them: what a pass adds up to is not zero, and the mean
        # of a restless path is the minimum of a smoothed loss.
        sampling = config.sampling if likelihood.noise.smooth else "replacement"
        height = counted * plateau(values, rows, last, size, sampling, over)
        height = height if likelihood.noise.smooth or not over else math.nan
    return Outlook(values, rows, size, counted, float(rates.max()), last, reach, pace, height)


@dataclass(frozen=True, eq=False)
class Course:
    """How a descent went.

    Attributes
    ----------
    errors : list of float
        Errors of the start and after each epoch, in one unit, Eq. (5.1).
    unit : float
        A standard error in that unit; 0 if the data fit perfectly.
    overflow : bool
        Whether the next epoch left floating point.
    grew, past : bool
        Whether the loss grew, and by more than residuals twice as large would do.
    goal : str
        What the errors are measured from.
    """

    errors: list[float]
    unit: float
    overflow: bool
    grew: bool
    past: bool
    goal: str = "the MLE"


def squared(ls: LeastSquares, errors: list[float], overflow: bool) -> Course:
    """The course of a descent on squared loss, ``errors`` being ‖RΔ‖ of Eq. (5.1), scaled.

    Growth may be the noise of minibatches, which has a limit. Divergence goes on, past the length
    of the residuals.
    """
    half = errors[len(errors) // 2 - 1]
    past = errors[-1] == max(errors) and errors[-1] > max(2 * half, ls.norm_r)
    return Course(errors, 0.0 if ls.perfect else ls.s, overflow, errors[-1] > errors[0], past)


def general(
    likelihood: LinearLikelihood, values: list[float], distances: list[float], overflow: bool
) -> Course:
    """The same under other noise: NLLs, and distances in standard errors."""
    rise = (values[-1] - min(values)) / likelihood.n_rows
    grew, goal = values[-1] > values[0], "the MLE"
    if not likelihood.noise.log_concave:
        goal = "a stationary point (reached from one start)"
    return Course(distances, 1.0, overflow, grew, grew and rise > math.log(2), goal)


def status(config: "SGD", likelihood: LinearLikelihood, course: Course, size: int) -> Status:
    """How a descent with minibatches of ``size`` rows ended."""
    noiseless, errors = config.batch_size == "full", course.errors
    seen = outlook(config, likelihood, size, max(1, len(errors) - 1))
    half, count = errors[len(errors) // 2 - 1], len(errors) - len(errors) // 2
    diverged = _diverged(config, likelihood, course, seen)
    if diverged is not None:
        return diverged
    if not course.unit > 0:
        return Status("stopped", "the data fit perfectly, and the descent is not there yet")
    distance = errors[-1] / course.unit
    told = f"after {config.epochs} epochs {distance:.3g} standard errors from {course.goal}"
    if distance <= CONVERGED:
        return Status("stopped", told)  # the certificate will say converged
    # What the second half took off: on a plateau nothing, and the last point is not the best.
    kept = errors[-1] / half if half else 1.0
    arrived = not noiseless and distance <= NEARLY * seen.plateau
    enough = 1.0 if noiseless else max(STEADY**count, FALLEN)
    falls = errors[-1] <= min(errors) and kept < enough and not arrived
    # Even without noise the flattest direction has not had the time to come in.
    slow = seen.reach < 1 or (not arrived and seen.pace * count < 0.5)
    if slow and (noiseless or not falls):
        return Status("stopped", f"{told}: {_too_slow(config, seen, distance)}")
    if falls:
        return Status(
            "stopped", f"{told} and still descending: {_to_go(config, likelihood, seen, course)}"
        )
    told += " and no longer descending: "
    if noiseless and not likelihood.noise.smooth:
        why = "steps of this length jump over the kinks of the loss. Lower the learning rate, or"
        return Status("stopped", f"{told}{why} take Exact()")
    if noiseless:
        return Status("stopped", f"{told}rounding holds it there")
    told += (
        f"the noise of minibatches of {size} at learning rate {_said(seen.last)} holds it there"
        f"{_heights(config, seen, course)}"
    )
    return Status("stopped", told + _remedy(config, likelihood, seen, config.epochs))


def _diverged(
    config: "SGD", likelihood: LinearLikelihood, course: Course, seen: Outlook
) -> Status | None:
    """The status of a descent that grows without end; None of another."""
    noiseless, explicit = config.batch_size == "full", config.update == "explicit"
    if not course.overflow and not (explicit and (noiseless or course.grew)):
        return None
    bound = stable_learning_rate(likelihood, batch_size=config.batch_size, sampling=config.sampling)
    steep = steepest(likelihood.noise)
    bound = bound / steep if steep else 0.0  # kinks: σψ grows with σ, and σ with the residuals
    if course.overflow:
        how = f"the steps overflowed in epoch {len(course.errors)} (returned: before it)"
    elif course.past and seen.largest > bound:
        how = "the loss grew"
    elif noiseless and seen.last * seen.values[0] > 2:
        how = "the loss grew" if course.grew else "the loss will grow"
    else:
        return None
    return Status("diverged", _divergence(config, seen, how, bound if steep else None))


def _too_slow(config: "SGD", seen: Outlook, distance: float) -> str:
    """Of a learning rate that has not moved the flattest direction, or no longer moves it."""
    decayed = seen.last < 0.5 * seen.largest
    pace = seen.pace if decayed else seen.reach / config.epochs
    more = math.log(max(distance / CONVERGED, 2)) / pace
    rate = f"the learning rate {_said(seen.last)} "
    if decayed:
        rate = f"the learning rate, now {_said(seen.last)}, "
    remedy = "Let it fall more slowly" if decayed else "Raise it"
    return (
        f"{rate}is too small for this data, of the order of {more:.2g} more epochs are needed. "
        f"{remedy}, or standardise the columns of X"
    )


def _to_go(config: "SGD", likelihood: LinearLikelihood, seen: Outlook, course: Course) -> str:
    """Epochs that are left to do, Eq. (13.15), and what will come in between."""
    errors = course.errors
    far = errors[-1] / course.unit / CONVERGED
    if config.average == "all":  # an average forgets its start like 1/t, Eq. (13.3)
        more = math.ceil(config.epochs * (far - 1))
    else:
        half, count = errors[len(errors) // 2 - 1], len(errors) - len(errors) // 2
        more = math.ceil(math.log(far) * count / math.log(half / errors[-1]))
    then = f"at this pace at least {max(1, more)} more epochs to come within 0.1"
    if seen.plateau > CONVERGED:
        then += (
            f", which the noise of minibatches of {seen.size} does not let it: it will rest at "
            f"about {seen.plateau:.2g}"
            f"{_remedy(config, likelihood, seen, config.epochs + max(1, more))}"
        )
    return then


def _heights(config: "SGD", seen: Outlook, course: Course) -> str:
    """The plateau as it is and as it should be."""
    errors = np.array(course.errors) / course.unit
    late = errors[max(1, len(errors) // 2) :] if config.average == "none" else errors[-1:]
    observed = float(np.sqrt(np.mean(late * late)))
    where = " in the second half of the epochs" if len(late) > 1 else ""
    if math.isnan(seen.plateau):
        return f", at {observed:.2g}{where}"
    if math.isinf(seen.plateau):
        return f", at {observed:.2g}{where}; the formula knows no rest at this rate"
    told = f", at {observed:.2g}{where}, {seen.plateau:.2g} by the formula"
    if observed > 2 * seen.plateau:
        told += ", which is for rows of equal noise and of no unusual length"
    return told


def _remedy(config: "SGD", likelihood: LinearLikelihood, seen: Outlook, epochs: int) -> str:
    """What would bring the plateau, reached after so many epochs, below 0.1 standard errors."""
    found = []
    smooth, goal = likelihood.noise.smooth, SAFE * CONVERGED / seen.counted
    sampling = config.sampling if smooth else "replacement"
    rate = rate_for(seen.values, seen.rows, seen.size, sampling, goal)
    height = min(seen.plateau, 1e6) if seen.plateau >= 0 else 1.0
    far = max(height, 2 * CONVERGED) / CONVERGED
    pace = rate * float(seen.values[-1]) * math.ceil(seen.rows / seen.size)
    if 0 < rate < seen.last and pace > 1e-6:
        more = math.ceil(math.log(10 * far) / pace)
        found.append(
            f"go on from there for {more} epochs at a learning rate of {_said(rate)}, by "
            f"ml.schedules.Piecewise([{_said(seen.last)}, {_said(rate)}], [{epochs}])"
        )
    if smooth and config.average != "tail":
        count = epochs_to_average(seen.values, seen.rows, seen.last, seen.size, sampling, goal)
        if count is not None:
            total = 2 * max(count, epochs if epochs > config.epochs else 0)
            found.append(f"average the second half of {total} epochs, by average='tail'")
    solver = "Exact()" if likelihood.exact or not smooth else "Newton()"
    reads = ", which needs one read" if likelihood.exact and config.epochs == 1 else ""
    found.append(f"take {solver}{reads}")
    return f". To come within 0.1: {'; or '.join(found)}"


def _said(rate: float) -> str:
    return f"{rate:.3g}"


def _divergence(config: "SGD", seen: Outlook, how: str, bound: float | None) -> str:
    told = f"{how}: learning_rate={_said(seen.largest)} is too large for "
    if bound is None:
        return f"{told}this data. Lower it; or standardise the columns of X"
    if not bound > 0:
        return f"{how}. No learning rate is safe in these units: rescale the columns of X"
    if not math.isfinite(bound):
        return f"{told}floating point"
    return (
        f"{told}this data. Up to {_round_down(bound):.3g} it cannot diverge"
        f"{' in mean square' if config.sampling == 'replacement' else ''}"
        "; or standardise the columns of X"
    )


def _round_down(value: float) -> float:
    """To three digits, never up: a bound that is printed must still be one."""
    unit = 10.0 ** (math.floor(math.log10(value)) - 2)
    return math.floor(value / unit) * unit
