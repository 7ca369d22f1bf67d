"""Where a descent with minibatches comes to rest: not at the MLE, but hovering about it.

The gradient of a minibatch is noisy, and a constant learning rate turns that noise into a distance
from the MLE that more epochs do not shorten, Eq. (13.4). Averages of iterates shorten it,
Eqs. (13.5) and (13.6). The predictions here need the triangle of the data alone: they take the
noise of the rows to be as large everywhere, their frequencies to be equal, and products of four
regressors to be those of normal ones.
"""

import math

import numpy as np
from numpy.typing import NDArray

from mlreg.checks import positive
from mlreg.errors import InvalidInput
from mlreg.likelihood.linear import LinearLikelihood
from mlreg.optimizers.stability import Sampling, eigenvalues

__all__ = ["epochs_to_average", "plateau", "predicted_plateau", "rate_for"]

F64 = NDArray[np.float64]


def predicted_plateau(
    likelihood: LinearLikelihood,
    learning_rate: float,
    *,
    batch_size: int = 32,
    sampling: Sampling = "reshuffle",
    average_over: int = 0,
) -> float:
    """Distance from the MLE at which `SGD` with a constant rate comes to rest, in standard errors.

    Parameters
    ----------
    likelihood : LinearLikelihood
        Its triangle is all that is used; one pass over the rows if it is not known.
    learning_rate : float
        η.
    batch_size, sampling
        As of `SGD`; rows in order are taken to lie in a random one.
    average_over : int
        Epochs whose iterates are averaged, after it has come to rest; 0: the last iterate.

    Returns
    -------
    float
        Root of the mean square of `Certificate.distance`, to first order in η: Eqs. (13.4),
        (13.5), (13.6). Infinite where the descent does not come to rest. For noise with kinks the
        rows are taken to be drawn with replacement: crossing a kink changes what they add up to.

    Raises
    ------
    InvalidInput
        A rate or a size that no descent has; averages under noise with kinks, which are the
        minimum of a smoothed loss.

    Examples
    --------
    >>> import numpy as np, mlreg as ml
    >>> X = np.random.default_rng(0).standard_normal((1000, 3))
    >>> likelihood = ml.LinearLikelihood(X, X.sum(axis=1))
    >>> plateaus = [predicted_plateau(likelihood, rate) for rate in (0.01, 0.04)]
    >>> plateaus[0] < plateaus[1]
    True
    """
    positive(learning_rate, "learning_rate")
    rows = likelihood.triangle.n_rows
    if not 1 <= batch_size <= rows:
        raise InvalidInput(f"batch_size must be from 1 to the {rows} rows, not {batch_size!r}")
    if not likelihood.noise.smooth:
        if average_over:
            raise InvalidInput(f"no formula for averages under {likelihood.noise}, which has kinks")
        sampling = "replacement"
    values = eigenvalues(likelihood) * likelihood.noise.fisher[0]
    counted = math.sqrt(likelihood.n_rows / rows)  # a row of frequency k is worth k
    return counted * plateau(values, rows, learning_rate, batch_size, sampling, average_over)


def plateau(
    values: F64, rows: int, rate: float, size: int, sampling: Sampling, average_over: int = 0
) -> float:
    """`predicted_plateau` for a Hessian of the mean loss with these eigenvalues."""
    if rate * float(values.max()) < 1e-100:  # it does not move
        return 0.0
    with np.errstate(all="ignore"):
        # Eq. (13.4): of rows drawn anew; also what the slopes' own noise adds to that of the rows
        share = rate / size * values / (2 - rate * values * (1 + 1 / size))
        K = float(share.sum()) if (share >= 0).all() else math.inf
        if not K < 1:
            return math.inf
        steps = rows / size
        if sampling == "replacement":
            each = share / (1 - K)
            if average_over:
                each = each * _averaged(rate * values, steps * average_over)
            return math.sqrt(rows * float(each.sum()))
        fixed = sampling == "in-order"
        own = rows / size * float(_each_once(rate * values, steps, average_over, fixed).sum())
        if not average_over:
            return math.sqrt(own / (1 - K))
        # what the slopes add does not sum to zero over an epoch; in one order it is always the same
        return math.sqrt(own + (len(values) + 1) * K / (1 - K) / (1 if fixed else average_over))


def _averaged(pace: F64, count: float) -> F64:
    """Variance of the mean of so many steps x ← (1 − pace)x + noise, over one's, Eq. (13.5)."""
    n = max(1.0, count)
    forgot = _forgot(pace, n)
    sums = np.where(n * pace < 1e-6, (n - 1) / 2, (1 - pace) / pace * (1 - forgot / (n * pace)))
    return np.asarray((1 + 2 * sums) / n)


def _each_once(pace: F64, steps: float, average_over: int, fixed: bool) -> F64:
    """λV|𝓑|/s² of each direction at the end of an epoch, Eq. (13.6), or of a mean of epochs.

    The noise of an epoch's minibatches sums to zero: a row that has been drawn is not drawn again.
    So what counts of the weights aₜ that an iterate gives to the steps is how they vary over the
    epoch. ``fixed`` is for epochs that are all in one order, a random one.
    """
    T = max(2, round(steps))
    q = 1 - pace
    forgot = _forgot(pace, T)
    whole, varied = 1 - forgot, _varied(pace, T, forgot)
    if fixed:  # the mean of a cycle has equal weights
        return np.zeros_like(pace) if average_over else (pace / forgot) ** 2 * varied
    last = varied / (forgot * (2 - forgot))
    if not average_over:
        return np.asarray(pace**2 * last)
    # the mean of an epoch: its start counts (1/T) Σ qᵗ, and each step all that comes after it
    start, after = q * forgot / (T * pace), q / (T * pace)
    own = start**2 * last + after**2 * varied
    next_start = start * whole * last - after * varied
    k = average_over
    later = start * _pairs(forgot, k) * next_start
    return np.asarray(pace**2 * (k * own + 2 * later) / k**2)


def _pairs(g: F64, k: int) -> F64:
    """Σ (k − l)(1 − g)^(l − 1) over the lags l from 1 to k − 1."""
    fell = _forgot(g, k)
    first = k * (k - 1) / 2 * (1 - (k - 2) * g / 3)  # terms of its series, where the rest cancels
    return np.asarray(np.where(k * g < 1e-3, first, (k * g - fell) / g**2))


def _forgot(g: F64, count: float) -> F64:
    """1 − (1 − g)ᵏ, to all digits where g is small."""
    return np.asarray(np.where(g < 1, -np.expm1(count * np.log1p(-g)), 1 - (1 - g) ** count))


def _varied(pace: F64, T: int, forgot: F64) -> F64:
    """Σ (aₜ − ā)² of the weights aₜ = (1 − pace)ᵗ of T steps; ``forgot`` is 1 − (1 − pace)ᵀ."""
    x = T * pace
    direct = forgot * (2 - forgot) / (pace * (2 - pace)) - forgot**2 / (pace * x)
    # where they hardly vary the difference cancels: the first terms of its series
    return np.asarray(np.where(x < 1e-3, x**2 / 12 * (T - 1 / T) * (1 - x + 2 * pace), direct))


def rate_for(values: F64, rows: int, size: int, sampling: Sampling, goal: float) -> float:
    """The learning rate whose plateau is ``goal``, by bisection on its logarithm."""
    steepest = float(values.max())
    if not 1e-290 < steepest < 1e290:  # no rate has meaning in these units
        return 0.0
    low, high = 1e-12 / steepest, 2.0 / steepest
    for _ in range(60):
        middle = math.sqrt(low * high)
        if plateau(values, rows, middle, size, sampling) <= goal:
            low = middle
        else:
            high = middle
    return low


def epochs_to_average(
    values: F64, rows: int, rate: float, size: int, sampling: Sampling, goal: float
) -> int | None:
    """Epochs whose average is within ``goal``; None where even ten thousand are too few."""
    count = 1
    while count <= 16_384:
        if plateau(values, rows, rate, size, sampling, count) <= goal:
            break
        count *= 2
    else:
        return None
    low, high = count // 2, count
    while high - low > 1:
        middle = (low + high) // 2
        if plateau(values, rows, rate, size, sampling, middle) <= goal:
            high = middle
        else:
            low = middle
    return high
