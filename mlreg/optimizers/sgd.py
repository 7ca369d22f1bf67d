"""Minibatch stochastic gradient descent, as the textbook writes it."""

import math
import warnings
from dataclasses import KW_ONLY, dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mlreg.certificate import certificate, least_squares
from mlreg.checks import whole
from mlreg.errors import InvalidInput, NumericalWarning
from mlreg.likelihood.blocks import to_numpy, weights
from mlreg.likelihood.linear import LinearLikelihood
from mlreg.likelihood.noise import Laplace, Noise
from mlreg.linalg.triangle import norm
from mlreg.optimizers import sgd_status
from mlreg.optimizers.descent import Descent, profiled
from mlreg.optimizers.minibatch import Kernel
from mlreg.optimizers.proximal import require_proximal
from mlreg.optimizers.schedules import Schedule, as_schedule
from mlreg.optimizers.solution import (
    History,
    Solution,
    Status,
    check_noise,
    check_start,
    finish,
    finish_locally,
)
from mlreg.optimizers.stability import Sampling, stable_learning_rate, steepest
from mlreg.scoring import whitened
from mlreg.subgradient import least_absolute

__all__ = ["SGD"]

F64 = NDArray[np.float64]
CHOICES = {
    "sampling": ("reshuffle", "replacement", "in-order"),
    "update": ("explicit", "implicit"),
    "average": ("none", "all", "tail"),
    "kernel": ("auto", "numpy", "numba"),
}


@dataclass(frozen=True)
class SGD:
    """Minibatch SGD on the average loss.

    Sample a minibatch of fixed size, take the derivative of the average loss on
    it, multiply by the learning rate, subtract:

        β ← β − (η/|𝓑|) Σ_{i ∈ 𝓑} xᵢ (xᵢᵀβ − yᵢ)                    Eq. (4.2)

    that is, for the intercept and the slopes, Eq. (4.9). σ does not enter; it is
    profiled at the end.

    For other noise the residual in it is replaced by σψ((y − xᵀβ)/σ), which for Gaussian noise it
    is, Eq. (3.5): under Laplace noise σ times a sign. σ is that of some rows, profiled anew after
    each epoch; the one that is reported is profiled at the end, with all rows.

    Parameters
    ----------
    learning_rate : float or Schedule
        η, positive; in units of 1/x², so that it depends on the units of X. Or one that changes,
        of `mlreg.optimizers.schedules` (``ml.schedules``), Eq. (13.1).
    batch_size : int or "full"
        |𝓑|: 1 is stochastic gradient descent, Eq. (4.8), ``"full"`` gradient
        descent, Eq. (4.7).
    epochs : int
        Passes over the data (as many minibatches as a pass takes, with replacement).
    sampling : "reshuffle", "replacement" or "in-order"
        Each row once per epoch in a new random order, or every minibatch drawn
        anew from all rows; its gradient then varies as in Eq. (4.11) or (4.10). In order, the rows
        come as they lie: nothing is random, nothing is copied, and nothing is promised where their
        order means something: of rows sorted by y the last minibatches decide. Files are
        reshuffled as rows in memory are, each order as likely as another; where they take more
        than 64 MB, by temporary files. The last minibatch of an epoch may be short; its sum is
        divided by |𝓑|
        all the same, so that no row weighs more than another, Eq. (13.8).
    update : "explicit" or "implicit"
        Whether the gradient is taken before the step, or where the step ends, Eq. (13.2): that is
        stable at any rate. Not with ``"full"``.
    average : "none", "all" or "tail"
        Whether the last iterate is the result, the average of all, or of those of the second half
        of the epochs, Eq. (13.3).
    kernel : "auto", "numpy" or "numba"
        The loop in Python, or the compiled one (extra ``fast``); by itself it takes the latter
        where it is installed, knows the noise, and the descent is long enough to be worth it.
        Both agree to rounding.
    checkpoint : path, optional
        A file that is written after each epoch. Where it is there already, the descent goes on from
        it, to the same numbers as if it had not been interrupted; a file of other data, or of
        another configuration, is refused. More ``epochs`` go further.
    seed : int
        Replays a run bit for bit on the same machine, with the same kernel.

    Notes
    -----
    With weights the loss (4.1) is the weighted average Σ k w ½(y − xᵀβ)² / Σ k;
    minibatches are drawn from the distinct rows, each row carrying its weight.

    An epoch is one read of the data. Before the first, one finds the MLE that the result is
    measured from; noise that is not Gaussian takes some more at the end, for the loss of all
    epochs together and for the certificate.

    Rows that can be read only once are descended in that one read, under Gaussian noise.

    Examples
    --------
    >>> import numpy as np, mlreg as ml
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(1000, 2))
    >>> y = X @ [2, -3.4] + 4.2 + rng.normal(scale=0.01, size=1000)
    >>> fit = ml.fit(X, y, optimizer=ml.SGD(0.03, batch_size=32, epochs=3))
    >>> fit.status.code
    'stopped'
    """

    learning_rate: float | Schedule
    _: KW_ONLY
    batch_size: int | Literal["full"] = 32
    epochs: int = 3
    sampling: Sampling = "reshuffle"
    update: Literal["explicit", "implicit"] = "explicit"
    average: Literal["none", "all", "tail"] = "none"
    kernel: Kernel = "auto"
    checkpoint: str | Path | None = field(default=None, repr=False)
    seed: int = 0

    def __post_init__(self) -> None:
        as_schedule(self.learning_rate)
        if self.batch_size != "full":
            whole(self.batch_size, "batch_size", 1, ", or 'full'")
        whole(self.epochs, "epochs", 1)
        whole(self.seed, "seed", 0)
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                told = ", ".join(map(repr, choices[:-1]))
                raise InvalidInput(
                    f"{name} must be {told} or {choices[-1]!r}, not {getattr(self, name)!r}"
                )
        if self.batch_size == "full" and self.update == "implicit":
            raise InvalidInput(
                "an implicit step of all rows is as dear as the MLE: take a batch_size, or Exact()"
            )

    @property
    def schedule(self) -> Schedule:
        """The learning rate as a function of time."""
        return as_schedule(self.learning_rate)

    def minimize(self, likelihood: LinearLikelihood, start: F64 | None = None) -> Solution:
        """Descend from ``start``, shape (p,), zeros by default.

        Raises
        ------
        InvalidInput
            A scale design or a prior; noise with kinks other than Laplace's; a minibatch larger
            than the data; ``sampling="replacement"`` from a source that cannot pick rows; an
            implicit step that the noise does not have; a checkpoint of something else.
        RankDeficient
            Where there is no unique MLE to be measured against.
        """
        if likelihood.scale_names or likelihood.prior is not None:
            check_noise(likelihood, "SGD() follows the average loss,", "Newton() minimises its NLL")
        require_known(likelihood.noise)
        if self.update == "implicit" and self.batch_size != "full":
            require_proximal(likelihood.noise, self.batch_size)
        before = likelihood.reads
        params = check_start(likelihood, start)
        descent = Descent(self, likelihood, params)
        if not likelihood.source.rereadable and "summary" not in vars(likelihood):
            descent.run_once()
            ls = least_squares(likelihood)
        else:
            self._warn(likelihood)
            ls = least_squares(likelihood)
            descent.run()
            if not likelihood.exact and not ls.perfect:
                return self._any_noise(likelihood, descent, before)
        way, overflow = descent.way, descent.overflow
        with np.errstate(all="ignore"):
            judged = [norm(ls.contrast(point)) for point in way]
        while not judged[-1] < 1e150 and len(way) > 1:  # the loss, its square, overflows
            overflow = True
            way.pop()
            judged.pop()
        course = sgd_status.squared(ls, judged, overflow)
        status = sgd_status.status(self, likelihood, course, descent.size)
        found = finish(likelihood, ls, way[-1], way, "epoch", before, status)
        return replace(found, path=descent.path)

    def _warn(self, likelihood: LinearLikelihood) -> None:
        """Before the first step: whether the learning rate may be too large."""
        if self.update == "implicit":
            return
        steep = steepest(likelihood.noise)
        if not steep:  # kinks: the pull of a row is bounded
            return
        # Reshuffled rows are safe by the bound for any order, too: the larger, if one row is long.
        known: tuple[Sampling, ...] = ("replacement", "in-order")
        by = {
            stable_learning_rate(likelihood, batch_size=self.batch_size, sampling=kind): kind
            for kind in known
            if self.sampling in ("reshuffle", kind)
        }
        bound = max(by) / steep
        rows = likelihood.triangle.n_rows
        per_epoch = 1 if self.batch_size == "full" else math.ceil(rows / self.batch_size)
        largest = float(sgd_status.rates_of(self, per_epoch, self.epochs).max())
        if not largest > bound:
            return
        how = "(4.5)" if by[max(by)] == "in-order" else "(4.6), in mean square"
        how = "(4.4)" if self.batch_size == "full" else how
        limit = f"up to {bound:.3g} it cannot diverge, by Eq. {how}. Lower it, or standardise"
        if not bound > 0:
            limit = "none is safe in these units. Rescale"
        warnings.warn(
            f"the learning rate {largest:.3g} may be too large for this data: {limit} the columns "
            "of X",
            NumericalWarning,
            stacklevel=4,
        )

    def _any_noise(self, likelihood: LinearLikelihood, descent: Descent, before: float) -> Solution:
        """What became of a descent under noise that is not Gaussian."""
        way, overflow = descent.way, descent.overflow
        values = _nlls(likelihood, way, descent.log_sigmas)
        while not math.isfinite(values[-1]) and len(way) > 1:
            overflow = True
            way.pop()
            values.pop()
        found = replace(finish_descent(likelihood, way, values, before), path=descent.path)
        far = found.history.distance.tolist()
        known = np.isfinite([*far, *found.certificate.rounding]).all()
        if found.status.code not in ("converged", "stopped") or not (known or overflow):
            return found
        course = sgd_status.general(likelihood, values, far, overflow)
        status = sgd_status.status(self, likelihood, course, descent.size)
        if found.status.ok and status.code != "diverged":
            status = found.status
        elif not found.certificate.definite and "no longer" in status.message:
            told = f"{status.message}; the observed Hessian there is not positive definite"
            status = replace(status, message=told)
        return replace(found, status=status, reads=likelihood.reads - before)


def _nlls(likelihood: LinearLikelihood, way: list[F64], log_sigmas: list[float]) -> list[float]:
    """NLLs at several points, at the σ given with each; one pass over the data."""
    p, gamma = np.array(way).T, np.array(log_sigmas)
    totals = np.zeros(len(way))
    with np.errstate(all="ignore"):  # an overflow is an outcome
        for block in likelihood.blocks():
            X, y = to_numpy(block.X), to_numpy(block.y)
            k, w = weights(block)
            z = np.sqrt(w)[:, None] * (y[:, None] - X @ p) * np.exp(-gamma)
            totals += k @ np.asarray(likelihood.noise.rho(z.ravel())).reshape(z.shape)
        totals += likelihood.n_rows * gamma
    return (totals - 0.5 * likelihood.log_precision - likelihood.log_jacobian).tolist()  # type: ignore[no-any-return]


def require_known(noise: Noise) -> None:
    """Raise for noise that is no density yet, or whose certificate this package does not know."""
    _ = noise.fisher
    if not noise.smooth and type(noise) is not Laplace:
        raise InvalidInput(f"{noise} has kinks, and SGD() knows only those of Laplace()")


def finish_descent(
    likelihood: LinearLikelihood, way: list[F64], values: list[float], reads: float
) -> Solution:
    """Certify the end of a way, ``values`` being the NLLs along it, of noise not Gaussian."""
    gamma = profiled(likelihood, way[-1])
    if not likelihood.noise.smooth:
        judged = certificate(likelihood, way[-1])
        found = least_absolute(likelihood, way[-1])
        far = np.array([math.inf if found is None else found.distance(point) for point in way])
        told = f"{judged.distance:.3g} standard errors from the MLE"
        status = Status("converged" if judged.converged else "stopped", told)
        past = History("epoch", np.array(values) / likelihood.n_rows, far, np.array(way))
        theta = np.append(way[-1], gamma)
        return Solution(theta, likelihood.noise, status, judged, past, likelihood.reads - reads)
    history = list(zip(way, values, strict=True))
    end = np.array([gamma]) if math.isfinite(gamma) else None
    where = "" if likelihood.noise.log_concave else "a stationary point, reached from one start"
    solution = finish_locally(likelihood, history, end, reads, where=where)
    past = replace(solution.history, unit="epoch")
    space, point = whitened(likelihood), likelihood.memo["end"]
    if end is not None and point.finite:
        goal = space.move(point, point.step)[0]
        apart = [norm(point.R @ (space.scale(before) - goal)) for before in way[:-1]]
        past = replace(past, distance=np.append(apart, solution.certificate.distance))
    return replace(solution, history=past)
