"""Descents that are watched between their minibatches, for the figures of `mlreg.plots`."""

import math
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlreg.certificate import LeastSquares, least_squares
from mlreg.checks import whole
from mlreg.errors import InvalidInput, InvalidType
from mlreg.likelihood.blocks import ArraySource, Block
from mlreg.likelihood.linear import LinearLikelihood
from mlreg.linalg.triangle import norm
from mlreg.optimizers.descent import Descent
from mlreg.optimizers.plateau import predicted_plateau
from mlreg.optimizers.schedules import Constant
from mlreg.optimizers.sgd import SGD
from mlreg.optimizers.solution import History, check_start, finish
from mlreg.optimizers.stability import stable_learning_rate

__all__ = ["Run", "textbook_runs", "watch"]

F64 = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Run:
    """A descent under Gaussian noise, looked at many times in each pass.

    Attributes
    ----------
    label : str
        What it is called in a figure.
    optimizer : SGD
        The configuration that ran.
    names : tuple of str
        Names of the coefficients.
    passes : ndarray, shape (m,)
        How much of the data had been read at each point: 1 is all of it, once.
    seconds : ndarray, shape (m,)
        Processor time of this process until there, reading rows and taking notes included;
        without the pass that finds the MLE. It belongs to this machine and this run.
    history : History
        Mean NLL, distance and coefficients at the same points.
    least_squares : LeastSquares
        The MLE that the distances are measured from.
    plateau : float or None
        Distance at which it must come to rest, in standard errors, Eqs. (13.4) to (13.6), at
        the ends of passes; None where nothing is predicted: all rows in each step, rates that
        change, rows in order, implicit steps, or an average that has the start in it.
    """

    label: str
    optimizer: SGD
    names: tuple[str, ...]
    passes: F64
    seconds: F64
    history: History
    least_squares: LeastSquares
    plateau: float | None


def watch(
    optimizer: SGD,
    X: Any,
    y: Any,
    /,
    *,
    intercept: bool = True,
    names: Any = None,
    start: Any = None,
    label: str | None = None,
    points: int = 100,
) -> Run:
    """Run a descent and note where it is, and when, about ``points`` times in each pass.

    Parameters
    ----------
    optimizer : SGD
        What to run. Its steps are those of ``ml.fit``, to the last bit.
    X : array, shape (n, k)
        Regressors.
    y : array, shape (n,)
        Responses, with Gaussian noise.
    intercept : bool
        Whether a column of ones is put before X.
    names : sequence of str, optional
        Names of the columns of X.
    start : array, shape (p,), optional
        Coefficients to begin at, in the order of the columns, the intercept first; zeros by
        default.
    label : str, optional
        What it is called in a figure; by default after its batch size.
    points : int
        How often to look in each pass; no more often than there are minibatches.

    Returns
    -------
    Run
        Until its steps leave floating point, if they do.

    Raises
    ------
    InvalidType
        An optimizer that is not `SGD`: the history of any ``Fit`` can be drawn as it is.
    InvalidInput
        Data or a start that `mlreg.fit` would refuse; ``points`` below one.
    RankDeficient
        Where there is no unique MLE.

    Examples
    --------
    >>> import mlreg as ml
    >>> data = ml.datasets.norris()
    >>> x = (data.X - data.X.mean()) / data.X.std()
    >>> run = ml.plots.watch(ml.SGD(0.1, batch_size=4, epochs=2), x, data.y)
    >>> len(run.passes), float(run.passes[-1])  # the start, and 2 passes of 9 minibatches
    (19, 2.0)
    """
    if not isinstance(optimizer, SGD):
        raise InvalidType(
            f"watch runs SGD(), not {type(optimizer).__name__}; the figures take the fits of other "
            "optimizers as they are"
        )
    per_pass = whole(points, "points", 1)
    likelihood = LinearLikelihood.from_source(ArraySource(X, y, intercept=intercept, names=names))
    return _watch(optimizer, likelihood, start, label or _label(optimizer), per_pass)


def textbook_runs(
    X: Any,
    y: Any,
    /,
    *,
    intercept: bool = True,
    names: Any = None,
    start: Any = None,
    passes: int = 10,
    sampling: Any = "reshuffle",
    seed: int = 0,
) -> tuple[Run, ...]:
    """The textbook's four descents: all rows, one, ten and a hundred in each step.

    Every one has half of the largest learning rate that is safe for its batch size: half of
    Eq. (4.4) for gradient descent, Eq. (4.7), half of Eq. (4.6) for minibatches, Eqs. (4.8)
    and (4.2). So none was tuned, and none depends on units.

    Parameters
    ----------
    X, y, intercept, names, start
        As for `watch`. Batch sizes of more rows than there are, are left out.
    passes : int
        How often each reads the data.
    sampling, seed
        As of `SGD`.

    Returns
    -------
    tuple of Run
    """
    source = ArraySource(X, y, intercept=intercept, names=names)
    likelihood = LinearLikelihood.from_source(source)
    rows = likelihood.triangle.n_rows
    sizes: list[Any] = ["full", *(size for size in (1, 10, 100) if size < rows)]
    found = []
    for size in sizes:
        kind: Any = "reshuffle" if size == "full" else "replacement"
        rate = 0.5 * stable_learning_rate(likelihood, batch_size=size, sampling=kind)
        if not 0 < rate < math.inf:
            raise InvalidInput(
                "no learning rate is safe in these units: change those of the columns of X"
            )
        sgd = SGD(rate, batch_size=size, epochs=passes, sampling=sampling, seed=seed)
        # what is done for the first time takes longer: that is not the descent's
        _watch(replace(sgd, epochs=1), likelihood, start, "", 100)
        found.append(_watch(sgd, likelihood, start, _label(sgd), 100))
    return tuple(found)


def _watch(
    optimizer: SGD, likelihood: LinearLikelihood, start: Any, label: str, points: int
) -> Run:
    ls = least_squares(likelihood)
    config = replace(optimizer, checkpoint=None)  # nothing is skipped, and nothing written
    descent = _Watched(config, likelihood, check_start(likelihood, start), points)
    descent.run()
    with np.errstate(all="ignore"):
        far = [norm(ls.contrast(point)) for point in descent.points]
    # of what follows the loss, a square, would overflow
    end = next((i for i, error in enumerate(far) if not error < 1e150), len(far)) or 1
    way = descent.points[:end]
    history = finish(likelihood, ls, way[-1], way, "epoch", likelihood.reads).history
    return Run(
        label,
        optimizer,
        tuple(likelihood.source.names),
        np.array(descent.passes[:end]),
        np.array(descent.seconds[:end]),
        history,
        ls,
        _plateau(config, likelihood),
    )


def _plateau(config: SGD, likelihood: LinearLikelihood) -> float | None:
    schedule, size = config.schedule, config.batch_size
    known = isinstance(schedule, Constant) and config.update == "explicit"
    if size == "full" or config.sampling == "in-order" or config.average == "all" or not known:
        return None
    over = config.epochs - config.epochs // 2 if config.average == "tail" else 0
    return predicted_plateau(
        likelihood,
        float(schedule(np.zeros(1))[0]),
        batch_size=size,
        sampling=config.sampling,
        average_over=over,
    )


def _label(optimizer: SGD) -> str:
    size = optimizer.batch_size
    return {"full": "gradient descent", 1: "SGD, one row"}.get(size, f"minibatches of {size}")


class _Watched(Descent):
    """A descent that takes fewer rows at a time, and notes where it is after each of them."""

    def __init__(
        self, config: SGD, likelihood: LinearLikelihood, start: F64, per_pass: int
    ) -> None:
        super().__init__(config, likelihood, start)
        self.per_pass = per_pass
        self.points, self.passes, self.seconds = [start], [0.0], [0.0]
        self.began: float | None = None

    def _chunk(self) -> int:
        steps = self.likelihood.triangle.n_rows / self.size
        return self.size * max(1, round(steps / self.per_pass))

    def _begin_epoch(self) -> None:
        self.began = time.process_time() if self.began is None else self.began
        super()._begin_epoch()

    def _take(self, block: Block | None) -> None:
        super()._take(block)
        walk = self.walk
        point = walk.total / walk.averaged if self.averaging else walk.params
        if np.isfinite(point).all():
            assert self.began is not None
            self.points.append(point.copy())
            self.passes.append(
                self.epoch + self.step / math.ceil(self.likelihood.triangle.n_rows / self.size)
            )
            self.seconds.append(time.process_time() - self.began)
