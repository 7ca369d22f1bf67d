"""Learning rates that change as a descent goes on, Eq. (13.1).

A schedule is called with the time t, counted in minibatches or in epochs from the start of the
descent, and gives the learning rate there. Decay is what lets stochastic gradients settle: a
constant rate leaves them hovering at a distance that it determines, Eq. (13.4).
"""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mlreg.checks import is_positive, positive
from mlreg.errors import InvalidInput

__all__ = [
    "Constant",
    "Exponential",
    "InverseTime",
    "Piecewise",
    "Polynomial",
    "Schedule",
    "as_schedule",
    "rates_at",
]

F64 = NDArray[np.float64]
Unit = Literal["step", "epoch"]


@runtime_checkable
class Schedule(Protocol):
    """A learning rate as a function of time."""

    @property
    def unit(self) -> Unit:
        """What t counts: minibatches ("step"), or passes over the data ("epoch")."""
        ...

    def __call__(self, t: F64) -> F64:
        """Learning rates at times t ≥ 0, of the same shape; positive and finite."""
        ...


@dataclass(frozen=True)
class Constant:
    """η(t) = η₀, Eq. (13.1).

    Parameters
    ----------
    rate : float
        η₀, positive.
    """

    rate: float
    unit: Unit = "step"

    def __post_init__(self) -> None:
        _check(self, ("rate",))

    def __call__(self, t: F64) -> F64:
        """See `Schedule`."""
        return np.full(np.shape(t), float(self.rate))


@dataclass(frozen=True)
class Piecewise:
    """η(t) = ηᵢ from one boundary to the next, Eq. (13.1).

    Parameters
    ----------
    rates : sequence of float
        η₀, η₁, ..., positive; one more than there are boundaries.
    boundaries : sequence of float
        Times at which the next rate begins, increasing.
    unit : "step" or "epoch"
        What they count.

    Examples
    --------
    >>> Piecewise([0.1, 0.01], [5])(np.array([0.0, 4.9, 5.0]))
    array([0.1 , 0.1 , 0.01])
    """

    rates: tuple[float, ...]
    boundaries: tuple[float, ...]
    _: KW_ONLY
    unit: Unit = "epoch"

    def __init__(
        self, rates: Sequence[float], boundaries: Sequence[float], *, unit: Unit = "epoch"
    ) -> None:
        for name, values in (("rates", rates), ("boundaries", boundaries)):
            object.__setattr__(self, name, tuple(positive(value, name) for value in values))
        object.__setattr__(self, "unit", unit)
        _check(self, ())
        if len(self.rates) != len(self.boundaries) + 1:
            raise InvalidInput(
                f"{len(self.rates)} rates and {len(self.boundaries)} boundaries: a rate before "
                "each boundary, and one after the last"
            )
        rising = all(a < b for a, b in zip((0.0, *self.boundaries), self.boundaries, strict=False))
        if not rising:
            raise InvalidInput(f"boundaries must be positive and increase: {self.boundaries}")

    def __call__(self, t: F64) -> F64:
        """See `Schedule`."""
        return np.array(self.rates)[np.searchsorted(self.boundaries, t, side="right")]


@dataclass(frozen=True)
class Exponential:
    """η(t) = η₀ exp(−λt), Eq. (13.1): it may fall too soon to arrive.

    Parameters
    ----------
    rate, decay : float
        η₀ and λ, positive.
    unit : "step" or "epoch"
        What t counts.
    """

    rate: float
    decay: float
    _: KW_ONLY
    unit: Unit = "epoch"

    def __post_init__(self) -> None:
        _check(self, ("rate", "decay"))

    def __call__(self, t: F64) -> F64:
        """See `Schedule`."""
        return np.asarray(self.rate * np.exp(-self.decay * np.asarray(t, dtype=np.float64)))


@dataclass(frozen=True)
class InverseTime:
    """η(t) = η₀/(1 + λt), Eq. (13.1): the classical decay, of Robbins and Monro.

    Parameters
    ----------
    rate, decay : float
        η₀ and λ, positive.
    unit : "step" or "epoch"
        What t counts.
    """

    rate: float
    decay: float
    _: KW_ONLY
    unit: Unit = "epoch"

    def __post_init__(self) -> None:
        _check(self, ("rate", "decay"))

    def __call__(self, t: F64) -> F64:
        """See `Schedule`."""
        return np.asarray(self.rate / (1 + self.decay * np.asarray(t, dtype=np.float64)))


@dataclass(frozen=True)
class Polynomial:
    """η(t) = η₀(1 + βt)^(−α), Eq. (13.1).

    Parameters
    ----------
    rate, decay : float
        η₀ and β, positive.
    power : float
        α: ½ is the textbook's choice, and with averages of the iterates a good one.
    unit : "step" or "epoch"
        What t counts.
    """

    rate: float
    decay: float
    power: float = 0.5
    _: KW_ONLY
    unit: Unit = "epoch"

    def __post_init__(self) -> None:
        _check(self, ("rate", "decay", "power"))

    def __call__(self, t: F64) -> F64:
        """See `Schedule`."""
        grown = 1 + self.decay * np.asarray(t, dtype=np.float64)
        return np.asarray(self.rate * grown**-self.power)


def as_schedule(rate: Any) -> Schedule:
    """A number as `Constant`; a schedule as it is.

    Raises
    ------
    InvalidInput
        What is neither a positive number nor a schedule.
    """
    if is_positive(rate):
        return Constant(float(rate))
    if callable(rate) and getattr(rate, "unit", None) in ("step", "epoch"):
        found: Schedule = rate
        return found
    raise InvalidInput(
        f"learning_rate must be positive and finite, or a schedule of ml.schedules; not {rate!r}"
    )


def rates_at(schedule: Schedule, epoch: int, step: ArrayLike, per_epoch: int) -> F64:
    """Learning rates of minibatches of an epoch, Eq. (13.1), of the shape of ``step``.

    Parameters
    ----------
    schedule : Schedule
        As a function of minibatches or of epochs.
    epoch : int
        Epochs before this one.
    step : array of int
        Minibatches before each in this epoch, or in later ones, if these go on counting.
    per_epoch : int
        Minibatches in an epoch.

    Raises
    ------
    InvalidInput
        A schedule of one's own that gives no learning rates.
    """
    within = np.asarray(step, dtype=np.float64)
    by_step = schedule.unit == "step"
    t = within + epoch * per_epoch if by_step else epoch + within / per_epoch
    rates = np.asarray(schedule(t), dtype=np.float64)
    if rates.shape != t.shape or not ((rates >= 0) & np.isfinite(rates)).all():
        raise InvalidInput(
            f"{schedule!r} must give a finite learning rate, not negative, for each of "
            f"the times it is given; it gave {rates}"
        )
    return rates


def _check(schedule: Any, numbers: tuple[str, ...]) -> None:
    for name in numbers:
        positive(getattr(schedule, name), name)
    if schedule.unit not in ("step", "epoch"):
        raise InvalidInput(f"unit must be 'step' or 'epoch', not {schedule.unit!r}")
