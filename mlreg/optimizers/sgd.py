"""Minibatch stochastic gradient descent, as the textbook writes it."""

import math
from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mlreg.certificate import CONVERGED, LeastSquares, certificate, least_squares
from mlreg.errors import InvalidInput
from mlreg.likelihood.blocks import Block, to_numpy
from mlreg.likelihood.linear import LinearLikelihood
from mlreg.likelihood.noise import Laplace, Noise
from mlreg.linalg.triangle import norm, scale_columns
from mlreg.optimizers.solution import (
    History,
    Solution,
    Status,
    check_noise,
    check_start,
    finish,
    finish_locally,
)
from mlreg.scoring import whitened

__all__ = ["SGD", "stable_learning_rate"]

F64 = NDArray[np.float64]
Sampling = Literal["reshuffle", "replacement"]


@dataclass(frozen=True)
class SGD:
    """Minibatch SGD on the average loss, with a constant learning rate.

    Sample a minibatch of fixed size, take the derivative of the average loss on
    it, multiply by the learning rate, subtract:

        β ← β − (η/|𝓑|) Σ_{i ∈ 𝓑} xᵢ (xᵢᵀβ − yᵢ)                    Eq. (4.2)

    that is, for the intercept and the slopes, Eq. (4.9). σ does not enter; it is
    profiled at the end.

    For other noise the residual in it is replaced by σψ((y − xᵀβ)/σ), which for Gaussian noise it
    is, Eq. (3.5): under Laplace noise σ times a sign. σ is profiled anew before each epoch.

    Parameters
    ----------
    learning_rate : float
        η, positive; in units of 1/x², so that it depends on the units of X.
    batch_size : int or "full"
        |𝓑|: 1 is stochastic gradient descent, Eq. (4.8), ``"full"`` gradient
        descent, Eq. (4.7).
    epochs : int
        Passes over the data (as many minibatches as a pass takes, with replacement).
    sampling : "reshuffle" or "replacement"
        Each row once per epoch in a new random order, or every minibatch drawn
        anew from all rows; its gradient then varies as in Eq. (4.11) or (4.10). The
        last minibatch of a reshuffled epoch may be short; its sum is divided by |𝓑|
        all the same, so that no row weighs more than another.
    seed : int
        Replays a run bit for bit on the same machine.

    Notes
    -----
    With weights the loss (4.1) is the weighted average Σ k w ½(y − xᵀβ)² / Σ k;
    minibatches are drawn from the distinct rows, each row carrying its weight.

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

    learning_rate: float
    _: KW_ONLY
    batch_size: int | Literal["full"] = 32
    epochs: int = 3
    sampling: Sampling = "reshuffle"
    seed: int = 0

    def __post_init__(self) -> None:
        rate = self.learning_rate
        if not (_is_real(rate) and 0 < rate < math.inf):
            raise InvalidInput(f"learning_rate must be positive and finite, not {rate!r}")
        if self.batch_size != "full" and not (_is_int(self.batch_size) and self.batch_size >= 1):
            raise InvalidInput(
                f"batch_size must be a whole number of at least 1, or 'full', "
                f"not {self.batch_size!r}"
            )
        if not (_is_int(self.epochs) and self.epochs >= 1):
            raise InvalidInput(f"epochs must be a whole number of at least 1, not {self.epochs!r}")
        if self.sampling not in ("reshuffle", "replacement"):
            raise InvalidInput(
                f"sampling must be 'reshuffle' or 'replacement', not {self.sampling!r}"
            )
        if not (_is_int(self.seed) and self.seed >= 0):
            raise InvalidInput(f"seed must be a whole number, not negative; not {self.seed!r}")

    def minimize(self, likelihood: LinearLikelihood, start: F64 | None = None) -> Solution:
        """Descend from ``start``, shape (p,), zeros by default.

        Raises
        ------
        InvalidInput
            A scale design or a prior; noise with kinks other than Laplace's; a minibatch larger
            than the data; ``sampling="replacement"`` from a source that cannot pick rows.
        RankDeficient
            Where there is no unique MLE to be measured against.
        """
        if likelihood.scale_names or likelihood.prior is not None:
            check_noise(likelihood, "SGD() follows the average loss,", "Newton() minimises its NLL")
        require_known(likelihood.noise)
        before = likelihood.reads
        params = check_start(likelihood, start)
        ls = least_squares(likelihood)
        rows = ls.triangle.n_rows
        size = rows if self.batch_size == "full" else self.batch_size
        if size > rows:
            raise InvalidInput(
                f"batch_size={size} is more than the {rows} rows: take at most {rows}, or 'full'"
            )
        if not likelihood.exact and not ls.perfect:
            return self._any_noise(likelihood, params, size, rows, before)
        way, overflow = self._descend(likelihood, params, size, rows)
        with np.errstate(all="ignore"):
            judged = [norm(ls.contrast(point)) for point in way]
        while not judged[-1] < 1e150 and len(way) > 1:  # the loss, its square, overflows
            overflow = True
            way.pop()
            judged.pop()
        status = self._status(likelihood, ls, judged, overflow, size)
        return finish(likelihood, ls, way[-1], way, "epoch", before, status)

    def _descend(
        self, likelihood: LinearLikelihood, params: F64, size: int, rows: int
    ) -> tuple[list[F64], bool]:
        """The start and the end of each epoch with a finite loss; whether the rest overflowed."""
        rng = np.random.default_rng(self.seed)
        # The loss is an average over Σk observations; a minibatch is |𝓑| of the distinct rows.
        step = self.learning_rate / size * (rows / likelihood.n_rows)
        way = [params]
        with np.errstate(all="ignore"):  # an overflow is an outcome, told by the status
            for _ in range(self.epochs):
                for block in self._batches(likelihood, size, rows, rng):
                    # At σ = 1 the NLL's gradient in β is that of the summed squared loss.
                    theta = np.append(params, 0.0)
                    if block is None:
                        gradient = likelihood.gradient(theta)
                    else:
                        gradient = to_numpy(likelihood.term(theta, block)[1])
                    params = params - step * gradient[:-1]
                    if not np.isfinite(params).all():
                        return way, True
                way.append(params)
        return way, False

    def _any_noise(
        self, likelihood: LinearLikelihood, params: F64, size: int, rows: int, before: float
    ) -> Solution:
        """Descend on the loss of noise that is not Gaussian."""
        rng = np.random.default_rng(self.seed)
        step = self.learning_rate / size * (rows / likelihood.n_rows)
        gamma = profiled(likelihood, params)
        way, values = [params], [likelihood.nll(np.append(params, gamma))]
        with np.errstate(all="ignore"):  # an overflow is an outcome, told by the status
            for _ in range(self.epochs):
                variance = math.exp(2 * gamma)  # σ²·(ψ/σ): the gradient of the NLL has 1/σ
                for block in self._batches(likelihood, size, rows, rng):
                    theta = np.append(params, gamma)
                    if block is None:
                        gradient = likelihood.gradient(theta)
                    else:
                        gradient = to_numpy(likelihood.term(theta, block)[1])
                    params = params - step * variance * gradient[:-1]
                gamma = profiled(likelihood, params) if np.isfinite(params).all() else math.nan
                value = (
                    likelihood.nll(np.append(params, gamma)) if math.isfinite(gamma) else math.nan
                )
                if not math.isfinite(value):
                    break
                way.append(params)
                values.append(value)
        overflow = len(way) <= self.epochs
        other = "Newton()" if likelihood.noise.smooth else "Exact()"
        why = (
            f"After {self.epochs} epochs the noise of minibatches of {size} at learning rate "
            f"{self.learning_rate:g} may hold it there: lower it, run more epochs, or take {other}"
        )
        if self.batch_size == "full":
            why = f"Run more than {self.epochs} epochs, raise the learning rate, or take {other}"
        solution = finish_descent(likelihood, way, values, before, why)
        if overflow or values[-1] > values[0]:
            how = "the steps overflowed" if overflow else "the loss grew"
            why = f"{how}: learning_rate={self.learning_rate:g} is too large for this data"
            return replace(solution, status=Status("diverged", why))
        return solution

    def _batches(
        self, likelihood: LinearLikelihood, size: int, rows: int, rng: np.random.Generator
    ) -> Iterator[Block | None]:
        """Minibatches of one epoch; None stands for all rows, which are never in one block."""
        source = likelihood.source
        if self.batch_size == "full":
            yield None
            return
        if self.sampling == "reshuffle":
            yield from likelihood.blocks(size, rng)
            return
        if not hasattr(source, "sample"):
            raise InvalidInput(
                "sampling='replacement' needs a source whose rows can be picked (in memory); "
                "use sampling='reshuffle'"
            )
        likelihood.reads += 1
        for _ in range(math.ceil(rows / size)):
            yield source.sample(size, rng)

    def _status(
        self,
        likelihood: LinearLikelihood,
        ls: LeastSquares,
        errors: list[float],
        overflow: bool,
        size: int,
    ) -> Status:
        half = errors[len(errors) // 2 - 1]
        noiseless = self.batch_size == "full"
        if overflow or noiseless or errors[-1] > errors[0]:
            bound = stable_learning_rate(
                likelihood, batch_size=self.batch_size, sampling=self.sampling
            )
            # Beyond the bound growth may still be the noise of minibatches, which has a limit:
            # divergence goes on, and past the size of the residuals themselves.
            goes_on = errors[-1] == max(errors) and errors[-1] > max(2 * half, ls.norm_r)
            if overflow or (self.learning_rate > bound and (goes_on or noiseless)):
                if overflow:
                    how = f"the steps overflowed in epoch {len(errors)} (returned: before it)"
                else:
                    how = "the loss grew" if errors[-1] > errors[0] else "the loss will grow"
                return Status("diverged", self._divergence(how, bound))
        if ls.perfect:
            return Status("stopped", "the data fit perfectly, and the descent is not there yet")
        distance = errors[-1] / ls.s
        told = f"after {self.epochs} epochs {distance:.3g} standard errors from the MLE"
        if distance <= CONVERGED:
            return Status("stopped", told)  # the certificate will say converged
        # The pace over the second half: on a plateau it is 1, and the last point is not the best.
        pace = (errors[-1] / half) ** (1 / (len(errors) - len(errors) // 2)) if half else 1.0
        reach = self._reach(likelihood, size)
        descending = errors[-1] <= min(errors) and pace < (1.0 if noiseless else 0.98)
        if reach < 1 and (noiseless or not descending):
            # even without noise the slowest direction has not had the time to come in
            more = math.log(max(distance / CONVERGED, 2)) / reach * self.epochs
            return Status(
                "stopped",
                f"{told}: the learning rate {self.learning_rate:g} is too small for this data, "
                f"of the order of {more:.2g} more epochs are needed. Raise it, or standardise "
                "the columns of X",
            )
        if descending:
            more = math.ceil(math.log(distance / CONVERGED) / -math.log(pace))
            return Status(
                "stopped",
                f"{told} and still descending: at this pace at least {more} more epochs to come "
                f"within 0.1{'' if noiseless else ', if the noise of minibatches lets it'}",
            )
        if noiseless:
            return Status("stopped", f"{told} and no longer descending: rounding holds it there")
        return Status(
            "stopped",
            f"{told} and no longer descending: the noise of minibatches of {size} at learning rate "
            f"{self.learning_rate:g} holds it there. Lower the learning rate, raise the batch "
            "size, or use Exact()",
        )

    def _reach(self, likelihood: LinearLikelihood, size: int) -> float:
        """How often the error in the flattest direction has shrunk by a factor e: η λ_min steps."""
        steps = self.epochs * math.ceil(likelihood.triangle.n_rows / size)
        with np.errstate(all="ignore"):
            return float(self.learning_rate * steps * _eigenvalues(likelihood)[-1]) or 1e-300

    def _divergence(self, how: str, bound: float) -> str:
        if not bound > 0:
            return f"{how}. No learning rate is safe in these units: rescale the columns of X"
        if not math.isfinite(bound):
            return f"{how}: learning_rate={self.learning_rate:g} is too large for floating point"
        return (
            f"{how}: learning_rate={self.learning_rate:g} is too large for this data. "
            f"Up to {_round_down(bound):.3g} it cannot diverge"
            f"{' in mean square' if self.sampling == 'replacement' else ''}"
            "; or standardise the columns of X"
        )


def require_known(noise: Noise) -> None:
    """Raise for noise that is no density yet, or whose certificate this package does not know."""
    _ = noise.fisher
    if not noise.smooth and type(noise) is not Laplace:
        raise InvalidInput(f"{noise} has kinks, and SGD() knows only those of Laplace()")


def profiled(likelihood: LinearLikelihood, params: F64) -> float:
    """The log σ that minimises the NLL at the coefficients; −∞ or NaN where there is none."""
    if likelihood.noise.smooth:
        space = whitened(likelihood)
        gamma = space.profile(space.scale(params), tolerance=1e-6)
        return -math.inf if gamma is None else float(gamma[0])
    total = 0.0  # of Laplace noise: the mean of |z| is one, Eq. (8.2)
    for block in likelihood.blocks():
        k = 1.0 if block.frequency is None else to_numpy(block.frequency)
        root = 1.0 if block.precision is None else np.sqrt(to_numpy(block.precision))
        r = to_numpy(block.y) - to_numpy(block.X) @ params
        total += float(np.sum(k * root * np.abs(r)))
    return math.log(total / likelihood.n_rows) if total > 0 else -math.inf


def finish_descent(
    likelihood: LinearLikelihood, way: list[F64], values: list[float], reads: float, why: str
) -> Solution:
    """Certify the end of a way, ``values`` being the NLLs along it, of noise not Gaussian."""
    gamma = profiled(likelihood, way[-1])
    if likelihood.noise.smooth:
        history = list(zip(way, values, strict=True))
        end = np.array([gamma]) if math.isfinite(gamma) else None
        where = "" if likelihood.noise.log_concave else "a stationary point, reached from one start"
        found = finish_locally(likelihood, history, end, reads, why=why, where=where)
        unit = replace(found.history, unit="epoch")
        return replace(found, history=unit)
    judged = [certificate(likelihood, point) for point in way]
    last = judged[-1]
    told = f"{last.distance:.3g} standard errors from the MLE"
    status = Status("converged", told) if last.converged else Status("stopped", f"{told}. {why}")
    mean, distance = np.array(values) / likelihood.n_rows, np.array([c.distance for c in judged])
    theta, past = np.append(way[-1], gamma), History("epoch", mean, distance)
    return Solution(theta, likelihood.noise, status, last, past, likelihood.reads - reads)


def stable_learning_rate(
    likelihood: LinearLikelihood,
    *,
    batch_size: int | Literal["full"] = 32,
    sampling: Sampling = "reshuffle",
) -> float:
    """A learning rate up to which `SGD` cannot diverge on this data: sufficient, not necessary.

    Parameters
    ----------
    likelihood : LinearLikelihood
        Its rows are read once more.
    batch_size, sampling
        As of `SGD`.

    Returns
    -------
    float
        ``"full"``: 2/λ_max, Eq. (4.4), which is also necessary. Reshuffling:
        2 |𝓑| / Σ ‖xᵢ‖² over the |𝓑| longest rows, Eq. (4.5), for any order of
        the rows. Replacement: 2|𝓑|/(R² + (|𝓑| − 1) λ_max) with R² the longest row's
        ‖x‖², Eq. (4.6), in mean square. λ_max belongs to XᵀX/n, rows weighted.
    """
    triangle = likelihood.triangle
    size = triangle.n_rows if batch_size == "full" else batch_size
    with np.errstate(all="ignore"):
        lambda_max = _eigenvalues(likelihood)[0]
        if batch_size == "full":
            return float(2 / lambda_max)
        longest = np.zeros(0)
        for rows in likelihood.rows():
            longest = np.append(longest, np.sum(rows[:, :-1] ** 2, axis=1))
            longest = np.sort(longest)[-size:]
        longest *= triangle.n_rows / likelihood.n_rows
        if sampling == "reshuffle":
            return float(2 * size / longest.sum())
        return float(2 * size / (longest[-1] + (size - 1) * lambda_max))


def _eigenvalues(likelihood: LinearLikelihood) -> F64:
    """Eigenvalues of XᵀX/n, rows weighted, the largest first; infinite where they overflow."""
    triangle, p = likelihood.triangle, likelihood.n_params
    R = scale_columns(triangle.R[:p, :p], triangle.exponent[:p])
    if not np.isfinite(R).all():
        return np.full(p, np.inf)
    with np.errstate(all="ignore"):
        roots = np.linalg.svd(R / math.sqrt(likelihood.n_rows), compute_uv=False)
        return np.asarray(np.square(roots))


def _round_down(value: float) -> float:
    """To three digits, never up: a bound that is printed must still be one."""
    unit = 10.0 ** (math.floor(math.log10(value)) - 2)
    return math.floor(value / unit) * unit


def _is_int(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _is_real(value: object) -> bool:
    return isinstance(value, (int, float, np.floating, np.integer)) and not isinstance(value, bool)
