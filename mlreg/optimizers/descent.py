"""The epochs of a descent: which rows in which order, at which rate, and what is remembered."""

import math
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from mlreg.errors import InvalidInput
from mlreg.likelihood.blocks import Block, PickedBlock, to_numpy, weights
from mlreg.likelihood.linear import LinearLikelihood
from mlreg.optimizers.compiled import available, known
from mlreg.optimizers.minibatch import Step, Walk, descend
from mlreg.optimizers.path import POINTS, Path
from mlreg.optimizers.schedules import rates_at
from mlreg.optimizers.sgd_state import SGDState, fingerprint, load_state, save_state
from mlreg.optimizers.start import SAMPLE, drawn
from mlreg.scoring import whitened

if TYPE_CHECKING:  # a configuration calls this module
    from mlreg.optimizers.sgd import SGD

__all__ = ["Descent", "profiled"]

F64 = NDArray[np.float64]

CHUNK = 2**20
"""Numbers that are read at a time, about."""

LONG = 50_000
"""Minibatches from which on a compiled loop is worth its start."""


def profiled(likelihood: LinearLikelihood, params: F64) -> float:
    """The log σ that minimises the NLL at the coefficients; −∞ or NaN where there is none."""
    if likelihood.noise.smooth:
        space = whitened(likelihood)
        gamma = space.profile(space.scale(params), tolerance=1e-6)
        return -math.inf if gamma is None else float(gamma[0])
    total = 0.0  # of Laplace noise: the mean of |z| is one, Eq. (8.2)
    for block in likelihood.blocks():
        k, w = weights(block)
        r = to_numpy(block.y) - to_numpy(block.X) @ params
        total += float(np.sum(k * np.sqrt(w) * np.abs(r)))
    return math.log(total / likelihood.n_rows) if total > 0 else -math.inf


class Descent:
    """A run of `SGD`: after it, `way` are the points after each epoch, the start before them.

    Attributes
    ----------
    way : list of ndarray
        The start, and what would be returned after each epoch; only finite points.
    log_sigmas : list of float
        log σ of the steps there, for noise that is not Gaussian.
    overflow : bool
        Whether an epoch left floating point.
    size : int
        Rows of a minibatch.
    path : Path or None
        Of one pass whose iterates are all averaged.
    """

    def __init__(self, config: "SGD", likelihood: LinearLikelihood, start: F64) -> None:
        self.config, self.likelihood = config, likelihood
        self.walk = Walk(start.copy(), np.zeros_like(start))
        self.way, self.log_sigmas, self.overflow = [start], [0.0], False
        self.rng = np.random.default_rng(config.seed)
        self.path: Path | None = None
        self.log_sigma, self.size, self.epoch = 0.0, 0, 0
        self.schedule = config.schedule

    def run(self) -> None:
        """All epochs that are left."""
        config, likelihood = self.config, self.likelihood
        rows = likelihood.triangle.n_rows
        self._set_size(rows)
        self.per_epoch = 1 if config.batch_size == "full" else math.ceil(rows / self.size)
        self.share = rows / likelihood.n_rows
        self.kernel = self._kernel(rows)
        few = None if likelihood.exact else self._few(rows)
        if few is not None:
            self.log_sigma = self._profiled(few)
            self.log_sigmas = [self.log_sigma]
        self._resume()
        with np.errstate(all="ignore"):  # an overflow is an outcome, told by the status
            while self.epoch < config.epochs:
                self._begin_epoch()
                for block in self._chunks(rows):
                    self._take(block)
                if not self._end_epoch(few):
                    return

    def run_once(self) -> None:
        """One epoch over rows that cannot be read again, which is also the pass over them."""
        config, likelihood = self.config, self.likelihood
        if config.epochs > 1 or config.sampling == "replacement" or config.batch_size == "full":
            raise InvalidInput(
                "these rows can be read only once: take epochs=1, a batch_size, and "
                "sampling='reshuffle' or 'in-order'"
            )
        if not likelihood.exact:
            raise InvalidInput(
                f"under {likelihood.noise} sigma is found by further passes, and these rows can be "
                "read only once: Gaussian noise needs one"
            )
        rows = likelihood.source.n_rows
        if rows is None and self.schedule.unit == "epoch":
            raise InvalidInput(
                f"{self.schedule!r} counts epochs, and how many rows make one is not known before "
                "they have been read: take unit='step'"
            )
        self._set_size(None)
        self.per_epoch = math.ceil((rows or 1) / self.size)
        self.kernel = self._kernel(None)
        self._begin_epoch()
        rng = None if config.sampling == "in-order" else self.rng
        seen = counted = 0.0

        def watched() -> Iterator[Block]:
            nonlocal seen, counted
            for block in likelihood.blocks(self._chunk(), rng):
                seen += len(block.y)
                counted += len(block.y) if block.frequency is None else float(block.frequency.sum())
                self.share = seen / counted  # as far as is known
                self._take(block)
                yield block

        with np.errstate(all="ignore"):
            likelihood.exhaust(watched())
            if likelihood.n_rows < self.size:
                raise InvalidInput(
                    f"batch_size={self.size} is more than the {likelihood.n_rows} rows"
                )
            self._end_epoch(None)

    def _set_size(self, rows: int | None) -> None:
        asked = self.config.batch_size
        self.size = int(rows or 0) if asked == "full" else int(asked)
        if rows is not None and self.size > rows:
            raise InvalidInput(
                f"batch_size={self.size} is more than the {rows} rows: take at most {rows}, or "
                "'full'"
            )

    def _kernel(self, rows: int | None) -> Literal["numpy", "numba"]:
        config, noise = self.config, self.likelihood.noise
        if config.kernel != "auto":
            return config.kernel
        fits = known(noise) is not None and config.update == "explicit" and available()
        many = rows is None or config.epochs * rows / self.size >= LONG
        return "numba" if fits and many else "numpy"

    def _chunk(self) -> int:
        points = POINTS if self.path is not None else 1
        n = self.likelihood.source.n_rows or 10**6
        rows = min(CHUNK // max(1, self.likelihood.n_params), max(1, n // points))
        return self.size * max(1, math.ceil(rows / self.size))

    def _chunks(self, rows: int) -> Iterator[Block | None]:
        """The rows of one epoch, many minibatches at a time; None stands for all rows."""
        config, likelihood, chunk = self.config, self.likelihood, self._chunk()
        if config.batch_size == "full":
            yield None
        elif config.sampling == "in-order":
            yield from likelihood.blocks(chunk)
        elif config.sampling == "reshuffle":
            yield from likelihood.blocks(chunk, self.rng)
        else:
            source: Any = likelihood.source
            if not hasattr(source, "sample"):
                raise InvalidInput(
                    "sampling='replacement' needs a source whose rows can be picked (in memory); "
                    "use sampling='reshuffle'"
                )
            likelihood.reads += 1
            left = math.ceil(rows / self.size) * self.size
            while left:
                yield source.sample(min(chunk, left), self.rng)
                left -= min(chunk, left)

    def _begin_epoch(self) -> None:
        config, walk = self.config, self.walk
        tail = config.epochs // 2  # the first epoch of the second half
        self.averaging = config.average == "all" or (
            config.average == "tail" and self.epoch >= tail
        )
        if config.average == "tail" and self.epoch == tail:
            walk.total, walk.averaged = np.zeros_like(walk.total), 0
        if config.average == "all" and config.epochs == 1:
            self.path = Path.begin(walk.params.copy())
        self.step = 0

    def _take(self, block: Block | None) -> None:
        """The steps of a chunk, Eq. (4.2)."""
        walk, likelihood = self.walk, self.likelihood
        step = Step(
            likelihood.noise,
            self.size,
            sigma=math.exp(self.log_sigma),
            update=self.config.update,
            average=self.averaging,
        )
        # The loss is an average over Σk observations; a minibatch is |𝓑| of the distinct rows.
        if block is None:
            rate = float(self._rates(1)[0]) / self.size * self.share
            theta = np.append(walk.params, self.log_sigma)
            gradient = likelihood.gradient(theta)[:-1] * math.exp(2 * self.log_sigma)
            walk.params = walk.params - rate * gradient
            if self.averaging:
                walk.total, walk.averaged = walk.total + walk.params, walk.averaged + 1
            return
        count = math.ceil(_rows_in(block) / self.size)
        descend(walk, block, self._rates(count) * self.share, step, self.kernel)
        if self.path is not None:
            self.path.add(walk.averaged, walk.total)

    def _rates(self, count: int) -> F64:
        """Learning rates of the next minibatches."""
        self.step += count
        steps = np.arange(self.step - count, self.step)
        return rates_at(self.schedule, self.epoch, steps, self.per_epoch)

    def _end_epoch(self, few: LinearLikelihood | None) -> bool:
        """Remember where it is; False where that is nowhere."""
        walk = self.walk
        self.epoch += 1
        point = walk.total / walk.averaged if self.averaging else walk.params
        if not (np.isfinite(point).all() and np.isfinite(walk.params).all()):
            self.overflow = True
            return False
        if few is not None:
            log_sigma = self._profiled(few)
            if not math.isfinite(log_sigma):
                self.overflow = True
                return False
            self.log_sigma = log_sigma
        self.way.append(point.copy())
        self.log_sigmas.append(self.log_sigma)
        self._save()
        return True

    def _few(self, rows: int) -> LinearLikelihood:
        """Some rows drawn at random, or all where they are few, to profile σ with; one pass."""
        size = min(rows, max(SAMPLE, 100 * self.likelihood.n_params))
        return drawn(self.likelihood, size, rows)

    def _profiled(self, few: LinearLikelihood) -> float:
        finite = np.isfinite(self.walk.params).all()
        return profiled(few, self.walk.params) if finite else math.nan

    # Checkpoints

    def _identity(self) -> tuple[dict[str, Any], dict[str, Any]]:
        config, likelihood = self.config, self.likelihood
        what = {
            "learning_rate": repr(self.schedule),
            "batch_size": self.size,
            "noise": repr(likelihood.noise),
            "start": self.way[0].tolist(),
        }
        what |= {name: getattr(config, name) for name in ("sampling", "update", "average", "seed")}
        if config.average == "tail":
            what["epochs"] = config.epochs  # where its second half begins
        return what, fingerprint(likelihood.triangle, likelihood.source.names)

    def _save(self) -> None:
        if self.config.checkpoint is None:
            return
        walk = self.walk
        state = SGDState(
            self.epoch, walk.params, walk.total, walk.averaged, dict(self.rng.bit_generator.state),
            self.log_sigma, np.array(self.way), np.array(self.log_sigmas), self.kernel,
        )  # fmt: skip
        save_state(self.config.checkpoint, state, *self._identity())

    def _resume(self) -> None:
        if self.config.checkpoint is None:
            return
        found = load_state(self.config.checkpoint, *self._identity(), self.config.epochs)
        if found is None:
            return
        if self.config.kernel not in ("auto", found.kernel):
            raise InvalidInput(
                f"{os.fspath(self.config.checkpoint)!r} is the checkpoint of a descent with "
                f"kernel={found.kernel!r}, whose rounding is another: take that one"
            )
        self.kernel = found.kernel
        self.epoch, self.log_sigma = found.epoch, found.log_sigma
        self.walk = Walk(found.params, found.total, found.averaged)
        self.rng.bit_generator.state = found.rng
        self.way, self.log_sigmas = list(found.way), found.log_sigmas.tolist()
        self.averaging = self.config.average != "none"


def _rows_in(block: Block) -> int:
    return len(block.rows) if isinstance(block, PickedBlock) else int(block.y.shape[0])
