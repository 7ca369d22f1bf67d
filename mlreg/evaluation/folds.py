"""K-fold cross-validation of any way of fitting: every row is foretold by a fit without it."""

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlreg.errors import InvalidInput, RankDeficient
from mlreg.estimate import Fit
from mlreg.evaluation.measures import NAMES, Measures, RowScores, join, measures, table_of
from mlreg.evaluation.rows import LONELY, OF_DESIGN, Rows, about, heard, noted
from mlreg.evaluation.splits import Folds, fold_of_rows
from mlreg.files import plain
from mlreg.fitting import fit
from mlreg.frames import data_frame
from mlreg.inference.intervals import t_quantile
from mlreg.likelihood.noise import Gaussian
from mlreg.optimizers.exact import Exact
from mlreg.sufficient import SufficientStatistics

__all__ = ["CrossValidation", "Run", "cross_validate", "run"]

F64 = NDArray[np.float64]

DOUBTFUL = 0.01
"""Standard errors of rounding from which on a fold is fitted to its rows, not to statistics."""


@dataclass(frozen=True, eq=False)
class Run:
    """Fits of all folds but one, each scored on that one.

    Attributes
    ----------
    scores : tuple of RowScores
        One for each fold.
    status : tuple of str
        Why the optimizer stopped, for each.
    warned : tuple of str
        At most one note: how many numerical warnings there were, and the first.
    """

    scores: tuple[RowScores, ...]
    status: tuple[str, ...]
    warned: tuple[str, ...]

    @property
    def pooled(self) -> RowScores:
        """The rows of all folds."""
        return join(self.scores)

    @property
    def fold(self) -> Folds | None:
        """Fold of each of these rows; None where there is one."""
        count = len(self.scores)
        return np.repeat(np.arange(count), [len(s.y) for s in self.scores]) if count > 1 else None


@dataclass(frozen=True, eq=False)
class CrossValidation(Measures):
    """What the held-out rows of all folds say; see `Measures` for the numbers.

    Their standard errors are approximate: those of independent folds. They are not independent,
    for any two fits share most of their rows, and no unbiased estimate of the error exists.

    Attributes
    ----------
    fold : ndarray of int, shape (n,)
        Fold of each row of the data as given; −1 of a row that was not used.
    n_rows : ndarray of int, shape (folds,)
        Observations held out in each fold.
    fold_nll, fold_rmse, fold_coverage : ndarray, shape (folds,)
        Mean NLL, RMSE and coverage of each.
    status : tuple of str
        Why each fit's optimizer stopped.
    level : float
        Probability of the prediction intervals.
    notes : tuple of str
        What must be known to read the numbers.
    """

    fold: Folds
    n_rows: NDArray[np.int64]
    fold_nll: F64
    fold_rmse: F64
    fold_coverage: F64
    status: tuple[str, ...]
    level: float
    notes: tuple[str, ...]

    @property
    def converged(self) -> bool:
        """Whether the fits of all folds are the MLE."""
        return set(self.status) == {"converged"}

    def __str__(self) -> str:
        n, count = int(self.n_rows.sum()), len(self.n_rows)
        head = f"{n} observations in {count} folds, each foretold by a fit of the others"
        lines = [head, *table_of(self, self.level)]
        if count <= 20:
            lines.append(
                f"{'fold':>4}{'rows':>8}{'mean NLL':>12}{'RMSE':>12}{'coverage':>10}  status"
            )
            columns = (self.n_rows, self.fold_nll, self.fold_rmse, self.fold_coverage, self.status)
            for k, (m, nll, rmse, coverage, status) in enumerate(zip(*columns, strict=True)):
                lines.append(f"{k:>4}{m:>8}{nll:>12.5g}{rmse:>12.5g}{coverage:>10.3f}  {status}")
        return "\n".join([*lines, *self.notes])

    def to_frame(self) -> Any:
        """A row for each fold: ``n_rows``, ``nll``, ``rmse``, ``coverage``, ``status``."""
        columns = {
            "n_rows": self.n_rows,
            "nll": self.fold_nll,
            "rmse": self.fold_rmse,
            "coverage": self.fold_coverage,
            "status": list(self.status),
        }
        return data_frame(columns, range(len(self.n_rows)), "fold")

    def to_dict(self) -> dict[str, Any]:
        """Everything, as plain numbers and strings."""
        numbers = {name: getattr(self, name)._asdict() for name in NAMES}
        return dict(plain({**vars(self), **numbers}))


def cross_validate(
    X: Any,
    y: Any = None,
    /,
    *,
    folds: int = 5,
    groups: Any = None,
    shuffle: bool = True,
    seed: int = 0,
    level: float = 0.95,
    **options: Any,
) -> CrossValidation:
    """K-fold cross-validation of any setting of `mlreg.fit`, Eq. (13.14).

    The rows are parted into folds; each fold is foretold by the fit of all the others. The mean
    over all rows estimates the loss on unseen data of fits of n·(K − 1)/K rows.

    Parameters
    ----------
    X, y
        Data in memory, as for `mlreg.fit`: arrays, or a formula and a table.
    folds : int
        K, at least 2; the number of rows leaves out one row at a time.
    groups : array of labels, shape (n,), or column name, optional
        Rows of a group are in the same fold.
    shuffle : bool
        Whether rows are drawn at random; False makes blocks of neighbours, as of a time series.
        Then fits know the future of the rows that they foretell, though not their neighbours.
    seed : int
        A row is in the same fold at every call with the same seed and number of rows.
    level : float
        Probability of the prediction intervals whose coverage is counted.
    **options
        As for `mlreg.fit`: ``noise``, ``optimizer``, ``prior``, ``scale``, weights and the others.

    Returns
    -------
    CrossValidation

    Raises
    ------
    InvalidInput, InvalidType, RankDeficient
        As `mlreg.fit`, with the fold; a level of a category that one fold alone has.

    Notes
    -----
    Least squares takes one pass over the rows, whatever K: the triangles of the folds are made,
    Eq. (2.6), and the triangle of all but one is the merge of the others, Eq. (2.7). Nothing is
    subtracted, so that it is what a fit of those rows would find, but for rounding. A second pass
    scores the rows. Where rounding could matter, and for every other model, each fold is fitted to
    its rows.

    Examples
    --------
    >>> import mlreg as ml
    >>> longley = ml.datasets.longley()
    >>> one_out = ml.cross_validate(longley.X[:, 1:3], longley.y, folds=16)
    >>> round(one_out.rmse.value), round(ml.fit(longley.X[:, 1:3], longley.y).residual_std_error)
    (563, 525)
    """
    t_quantile(level, 1)
    rows = Rows(X, y, options)
    fold = fold_of_rows(rows.n_given, folds, rows.groups(groups), shuffle, seed)
    used = np.full(rows.n_given, -1)
    used[rows.usable] = fold[rows.usable]
    done = run(rows, used, int(folds), level)
    each = [measures(scores) for scores in done.scores]
    return CrossValidation(
        **vars(measures(done.pooled, done.fold)),
        fold=used,
        n_rows=np.array([scores.n for scores in done.scores]),
        fold_nll=np.array([m.nll.value for m in each]),
        fold_rmse=np.array([m.rmse.value for m in each]),
        fold_coverage=np.array([m.coverage.value for m in each]),
        status=done.status,
        level=level,
        notes=(
            "standard errors are approximate: folds share the rows of their fits",
            *(
                f"{times} of {folds} fits are not the MLE ({code})"
                for code, times in Counter(done.status).items()
                if code != "converged"
            ),
            *done.warned,
        ),
    )


def run(rows: Rows, fold: Folds, folds: int, level: float, scored: int | None = None) -> Run:
    """Fit all folds but one and score that one, for each of them, or the first few.

    Parameters
    ----------
    rows : Rows
        The data.
    fold : integer array, shape (n_given,)
        Fold of each row; −1 of rows that are in none.
    folds : int
        How many there are.
    level : float
        Probability of the prediction intervals.
    scored : int, optional
        How many of them are scored, by default all.
    """
    scored = folds if scored is None else scored
    size = np.bincount(fold[fold >= 0], minlength=folds)
    if not size.all():
        raise InvalidInput(
            f"fold {int(size.argmin())} has no rows that can be used: take fewer folds, or "
            "another seed"
        )
    said: list[str] = []
    scores, status = [], []
    for k, made in zip(range(scored), _fits(rows, fold, folds, said), strict=False):
        with heard(said), about(f"fold {k}, its rows counted from 0"):
            scores.append(rows.score(made, np.flatnonzero(fold == k), level))
        status.append(made.status.code)
    return Run(tuple(scores), tuple(status), noted(said))


def _fits(rows: Rows, fold: Folds, folds: int, said: list[str]) -> Iterator[Fit]:
    """The fit of all folds but k, for k = 0, 1, ..."""
    quick = _leave_one_out(rows, fold, folds, said) if _least_squares(rows) else None
    for k in range(folds):
        made = None if quick is None else next(quick)
        if made is None:
            with heard(said), about(f"without fold {k}", LONELY):
                made = rows.fit(np.flatnonzero((fold >= 0) & (fold != k)))
        yield made


def _least_squares(rows: Rows) -> bool:
    """Whether triangles tell all."""
    given = {name: value for name, value in rows.options.items() if value is not None}
    noise, optimizer = given.get("noise", Gaussian()), given.get("optimizer", Exact())
    others = given.keys() - {*OF_DESIGN, "noise", "optimizer", "rank_deficient", "progress"}
    plain_model = not others and "scale" not in given and rows.table is None
    return plain_model and isinstance(noise, Gaussian) and isinstance(optimizer, Exact)


def _leave_one_out(rows: Rows, fold: Folds, folds: int, said: list[str]) -> Iterator[Fit | None]:
    """The same from sufficient statistics; None where the rows should be asked."""
    none = SufficientStatistics()
    each = [rows.statistics(np.flatnonzero(fold == k)) for k in range(folds)]
    after = [none]
    for part in each[:0:-1]:
        after.append(part + after[-1])
    before = none
    for part, rest in zip(each, reversed(after), strict=True):
        made: Fit | None = None
        heard_here: list[str] = []
        with heard(heard_here), suppress(RankDeficient):  # the fit of the rows will say it
            made = fit(before + rest)
        sure = made is not None and bool((made.certificate.rounding <= DOUBTFUL).all())
        said += heard_here if sure else []
        yield made if sure else None
        before = before + part
