"""Assertions about chance that say how often they are wrong, and what they would see.

Each has a stated probability of a false alarm where the law holds, from an exact law or an
inequality, and a power: how far from the law the truth must be to be noticed nearly always. An
assertion without power is decoration, so `detectable_coverage` and `detectable_distance` say what
would be seen, for a test to assert that it is enough.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from mlreg.errors import InvalidInput

__all__ = [
    "assert_coverage",
    "assert_distribution",
    "assert_mean",
    "coverage_band",
    "coverage_trials",
    "detectable_coverage",
    "detectable_distance",
    "distance",
    "dkw",
]

F64 = NDArray[np.float64]
FALSE_ALARM = 1e-9
POWER = 0.999


def coverage_band(trials: int, level: float, false_alarm: float = FALSE_ALARM) -> tuple[int, int]:
    """Numbers of hits that are accepted, the least and the most: the exact binomial law.

    Each side has half of the false alarms, at most.
    """
    law = stats.binom(trials, _probability("level", level))
    tail = _probability("false_alarm", false_alarm) / 2
    low, high = int(law.ppf(tail)), int(law.isf(tail))
    return low, high


def assert_coverage(hits: int, trials: int, level: float, false_alarm: float = FALSE_ALARM) -> None:
    """Raise unless intervals of a level contained the truth about that often.

    Parameters
    ----------
    hits, trials : int
        How often they did, of how many independent data sets.
    level : float
        How often they should.
    false_alarm : float
        Probability of raising, at most, where they do cover with that probability.

    Raises
    ------
    AssertionError
        With the observed share, and the band.
    """
    low, high = coverage_band(trials, level, false_alarm)
    if not low <= hits <= high:
        raise AssertionError(
            f"{hits} of {trials} intervals of level {level:g} contain the truth, a share of "
            f"{hits / trials:.5f}; {low} to {high} would, but for one case in {1 / false_alarm:.3g}"
        )


def detectable_coverage(
    trials: int, level: float, false_alarm: float = FALSE_ALARM, power: float = POWER
) -> tuple[float, float]:
    """True coverages, below and above the level, that `assert_coverage` notices with a power.

    Returns
    -------
    tuple of float
        The largest below and the smallest above; 0 and 1 where none is far enough.
    """
    low, high = coverage_band(trials, level, false_alarm)
    # P(hits < low) >= power, P(hits > high) >= power: the ends of Clopper and Pearson's intervals
    below = float(stats.beta.ppf(1 - power, low, trials - low + 1)) if low > 0 else 0.0
    above = float(stats.beta.ppf(power, high + 1, trials - high)) if high < trials else 1.0
    return below, above


def coverage_trials(
    level: float, other: float, false_alarm: float = FALSE_ALARM, power: float = POWER
) -> int:
    """How many data sets tell a true coverage ``other`` from ``level``; within one per cent."""
    if other == level:
        raise InvalidInput("no number of trials tells a coverage from itself")
    trials = 16
    while not _noticed(trials, level, other, false_alarm, power):
        trials *= 2
    fewer = trials // 2
    while trials - fewer > max(1, trials // 100):
        middle = (trials + fewer) // 2
        enough = _noticed(middle, level, other, false_alarm, power)
        fewer, trials = (fewer, middle) if enough else (middle, trials)
    return trials


def _noticed(trials: int, level: float, other: float, false_alarm: float, power: float) -> bool:
    below, above = detectable_coverage(trials, level, false_alarm, power)
    return other <= below if other < level else other >= above


def distance(sample: F64, cdf: Callable[[F64], F64]) -> float:
    """Largest distance of the distribution function of a sample, shape (n,), from a ``cdf``."""
    p = np.asarray(cdf(np.sort(sample)))
    steps = np.arange(len(sample) + 1) / len(sample)
    return float(max((p - steps[:-1]).max(), (steps[1:] - p).max()))


def dkw(n: int, false_alarm: float) -> float:
    """Dvoretzky, Kiefer, Wolfowitz and Massart's: that distance is larger so seldom at most."""
    return math.sqrt(math.log(2 / false_alarm) / (2 * n))


def assert_distribution(
    sample: Any, cdf: Callable[[F64], F64], false_alarm: float = FALSE_ALARM
) -> None:
    """Raise unless a sample follows a distribution (Dvoretzky, Kiefer, Wolfowitz and Massart).

    Parameters
    ----------
    sample : array, shape (n,)
        Independent draws.
    cdf : callable
        The distribution function; it need not be continuous.
    false_alarm : float
        Probability of raising, at most, where it does.
    """
    x = np.asarray(sample, dtype=np.float64)
    n = len(x)
    if not n or np.isnan(x).any():
        raise InvalidInput("a sample has one number or more, none of them NaN")
    far, allowed = distance(x, cdf), dkw(n, _probability("false_alarm", false_alarm))
    if not far <= allowed:
        raise AssertionError(
            f"the distribution of {n} draws is {far:.4g} from the one that it should have, where "
            f"{allowed:.4g} is allowed, but for one case in {1 / false_alarm:.3g}"
        )


def detectable_distance(n: int, false_alarm: float = FALSE_ALARM, power: float = POWER) -> float:
    """Distance of distribution functions from which on `assert_distribution` notices n draws.

    By the same inequality: the sample is within its own band with probability `power`.
    """
    return dkw(n, false_alarm) + dkw(n, 1 - power)


def assert_mean(sample: Any, mean: float, std: float, false_alarm: float = FALSE_ALARM) -> None:
    """Raise unless the mean of normal draws, of a known standard deviation, is what it should be.

    Parameters
    ----------
    sample : array, shape (n,)
        Independent normal draws, or so many that their mean is normal.
    mean, std : float
        What they should have.
    """
    x = np.asarray(sample, dtype=np.float64)
    z = float((x.mean() - mean) / (std / math.sqrt(len(x))))
    limit = float(stats.norm.isf(_probability("false_alarm", false_alarm) / 2))
    if not abs(z) <= limit:
        raise AssertionError(
            f"the mean of {len(x)} draws is {x.mean():.6g}, {z:.3g} standard errors from "
            f"{mean:.6g}; {limit:.3g} are allowed, but for one case in {1 / false_alarm:.3g}"
        )


def _probability(name: str, value: float) -> float:
    if not 0 < value < 1:
        raise InvalidInput(f"{name} must be between 0 and 1, not {value!r}")
    return value
