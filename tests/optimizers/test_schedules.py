"""Learning rates that change: the formulas, their units, and what is refused."""

import dataclasses
import math

import numpy as np
import pytest

import mlreg as ml
from mlreg.optimizers.schedules import Schedule, as_schedule

S = ml.schedules
ALL = [
    S.Constant(0.3),
    S.Piecewise([0.5, 0.25, 0.125], [2, 5]),
    S.Exponential(0.5, 0.25),
    S.InverseTime(0.5, 0.25),
    S.Polynomial(0.5, 3.0),
    S.Polynomial(0.5, 3.0, 2.0, unit="step"),
]


@pytest.mark.parametrize(
    ("schedule", "t", "rate"),
    [
        (S.Constant(0.3), 7, 0.3),
        (S.Piecewise([0.5, 0.25, 0.125], [2, 5]), 1.999, 0.5),
        (S.Piecewise([0.5, 0.25, 0.125], [2, 5]), 2, 0.25),  # a boundary is where the next begins
        (S.Piecewise([0.5, 0.25, 0.125], [2, 5]), 50, 0.125),
        (S.Piecewise([0.5], []), 50, 0.5),
        (S.Exponential(0.5, math.log(2)), 3, 0.0625),
        (S.InverseTime(0.5, 0.25), 4, 0.25),
        (S.Polynomial(0.5, 3.0), 1, 0.25),
        (S.Polynomial(0.5, 3.0, 2.0), 1, 0.03125),
    ],
    ids=repr,
)
def test_rates_are_the_textbooks(schedule, t, rate):
    # one exponential or power, each right to a few units in the last place
    assert abs(float(schedule(np.array(float(t)))) - rate) <= 8 * 2.0**-53 * rate


@pytest.mark.parametrize("schedule", ALL, ids=repr)
def test_schedules_take_arrays_and_never_rise(schedule):
    t = np.linspace(0, 40, 50).reshape(5, 10)
    rates = schedule(t)
    assert rates.shape == t.shape
    assert (rates > 0).all()
    assert (np.diff(rates.ravel()) <= 0).all()
    assert rates.ravel()[3] == float(schedule(t.ravel()[3]))  # element by element
    assert isinstance(schedule, Schedule)
    assert as_schedule(schedule) is schedule
    with pytest.raises(dataclasses.FrozenInstanceError):
        schedule.unit = "step"
    assert eval(repr(schedule), vars(S)) == schedule


def test_a_number_stands_for_a_constant():
    for number in (1, 0.5, np.float32(0.25), np.int64(2)):
        assert as_schedule(number) == S.Constant(float(number))
    assert ml.SGD(0.5).schedule == S.Constant(0.5)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: S.Constant(0), "rate must be positive and finite, not 0"),
        (lambda: S.Constant(math.inf), "rate must be positive"),
        (lambda: S.Constant(True), "rate must be positive"),
        (lambda: S.Constant("fast"), "rate must be positive"),
        (lambda: S.Exponential(0.1, -1), "decay must be positive and finite, not -1"),
        (lambda: S.InverseTime(0.1, math.nan), "decay must be positive"),
        (lambda: S.Polynomial(0.1, 1, 0), "power must be positive"),
        (lambda: S.Polynomial(0.1, 1, unit="minute"), "unit must be 'step' or 'epoch'"),
        (lambda: S.Piecewise([0.1], [3]), "1 rates and 1 boundaries"),
        (lambda: S.Piecewise([0.1, 0.2, 0.3], [3, 3]), "must be positive and increase"),
        (lambda: S.Piecewise([0.1, 0.2], [0]), "boundaries must be positive"),
        (lambda: S.Piecewise([0.1, -0.2], [1]), "rates must be positive"),
        (lambda: ml.SGD(lambda t: t), "or a schedule of ml.schedules"),
        (lambda: ml.SGD([0.1, 0.2]), "or a schedule of ml.schedules"),
    ],
)
def test_what_is_no_schedule_is_refused(build, message):
    with pytest.raises(ml.InvalidInput, match=message):
        build()


@dataclasses.dataclass(frozen=True)
class Wild:
    """A schedule of somebody else's, which gives what it was told to."""

    value: float
    unit: str = "epoch"

    def __call__(self, t):
        return np.full(np.shape(t), self.value)


def test_a_schedule_of_ones_own_works_and_its_rates_are_checked(textbook):
    X, y = textbook
    own, plain = (ml.fit(X, y, optimizer=ml.SGD(rate, epochs=2)) for rate in (Wild(0.03), 0.03))
    assert (own.params == plain.params).all()
    for value in (-0.1, math.nan, math.inf):
        with np.errstate(all="ignore"), pytest.raises(ml.InvalidInput, match="finite learning"):
            ml.fit(X, y, optimizer=ml.SGD(Wild(value)))


@pytest.mark.parametrize("unit", ["step", "epoch"])
@pytest.mark.parametrize(
    "make",
    [
        lambda unit: S.Piecewise([0.05, 0.01], [40 if unit == "step" else 1.25], unit=unit),
        lambda unit: S.Exponential(0.05, 0.7 if unit == "epoch" else 0.02, unit=unit),
    ],
)
def test_the_rate_of_each_minibatch_is_the_schedules(textbook, make, unit):
    """Against a loop in plain NumPy: t is the minibatches, or the share of the epochs, so far."""
    X, y = textbook
    schedule = make(unit)
    D, params, steps = np.column_stack([np.ones(1000), X]), np.zeros(3), 32
    sgd = ml.SGD(schedule, batch_size=32, epochs=3, sampling="in-order")
    for t in range(3 * steps):
        rows = slice(32 * (t % steps), 32 * (t % steps) + 32)
        rate = float(schedule(np.array(t if unit == "step" else t / steps)))
        params = params - rate / 32 * (D[rows] @ params - y[rows]) @ D[rows]
    # each step rounds by a few u of the terms it sums; the steps contract, so errors do not grow
    assert np.abs(ml.fit(X, y, optimizer=sgd).params - params).max() <= 1e-12
