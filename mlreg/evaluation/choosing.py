"""``select``: a setting is chosen on validation rows, and test rows stay out of it."""

import math
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mlreg.errors import InvalidInput
from mlreg.evaluation.folds import Run, run
from mlreg.evaluation.measures import mean_of
from mlreg.evaluation.rows import OF_DESIGN, Rows, about, in_memory
from mlreg.evaluation.selection import Aside, Selection
from mlreg.evaluation.splits import fold_of_rows, held_out
from mlreg.inference.intervals import t_quantile

__all__ = ["grid", "select"]

F64 = NDArray[np.float64]
Setting = Mapping[str, Any]


def grid(**values: Sequence[Any]) -> list[dict[str, Any]]:
    """All combinations of some values for each keyword, the last keyword changing fastest.

    Parameters
    ----------
    **values : sequence
        Values of keywords of `mlreg.fit`.

    Examples
    --------
    >>> import mlreg as ml
    >>> rates = [ml.SGD(rate, batch_size=b) for rate in (0.01, 0.1) for b in (10, 100)]
    >>> len(ml.grid(optimizer=rates, transform=[None, "log"]))
    8
    """
    for name, several in values.items():
        if isinstance(several, str) or not isinstance(several, (Sequence, np.ndarray)):
            raise InvalidInput(f"{name} must be a list of values, not {several!r}")
    return [dict(zip(values, these, strict=True)) for these in product(*values.values())]


def select(
    X: Any,
    y: Any = None,
    /,
    *,
    settings: Sequence[Setting] | Mapping[str, Setting],
    criterion: Literal["nll", "mse"] = "nll",
    folds: int | None = 5,
    validation: float = 0.25,
    test: float | None = 0.2,
    groups: Any = None,
    shuffle: bool = True,
    seed: int = 0,
    level: float = 0.95,
    **options: Any,
) -> Selection:
    """Choose a setting of `mlreg.fit` on validation rows; test rows stay out of it.

    Rows are set aside for the test first. On the others each setting is fitted and scored, by
    cross-validation or on one part that is held out. `Selection.test` fits the chosen one to all of
    them and scores it on the test rows.

    Parameters
    ----------
    X, y
        Data in memory, as for `mlreg.fit`.
    settings : list of dict, or mapping from label to dict
        Keywords of `mlreg.fit`: ``optimizer``, ``noise``, ``prior``, ``scale``, ``transform``, ...;
        also ``formula``, in the place of X. Give the simplest first. `grid` makes all combinations.
    criterion : "nll" or "mse"
        What is compared: the mean NLL per row of the response on its own scale, or its squared
        error.
    folds : int or None
        Folds of the validation; None holds out one part.
    validation : float
        Share of that part, where folds is None.
    test : float or None
        Share of the rows that are set aside.
    groups : array of labels, shape (n,), or column name, optional
        Rows of a group stay together.
    shuffle : bool
        Whether rows are drawn at random; False takes blocks of neighbours, the last for the test.
    seed : int
        The same rows are set aside at every call with the same seed and number of rows: those of
        a test stay unseen over several selections until the first `Selection.test`.
    level : float
        Probability of the prediction intervals whose coverage the test counts.
    **options
        What all settings have in common.

    Returns
    -------
    Selection

    Raises
    ------
    InvalidInput, InvalidType, RankDeficient
        As `mlreg.fit`, with the setting; settings that use different rows, as where values are
        missing in some of the columns.

    Examples
    --------
    >>> import numpy as np, mlreg as ml
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(1000, 2))
    >>> y = X @ [2, -3.4] + 4.2 + 0.01 * rng.normal(size=1000)
    >>> rates = [ml.SGD(rate, batch_size=32, epochs=3) for rate in (0.003, 0.03, 0.3, 3.0)]
    >>> chosen = ml.select(X, y, settings=ml.grid(optimizer=rates))
    >>> rates[chosen.best].learning_rate, chosen.status[3][0]
    (0.3, 'diverged')
    >>> chosen.test().n_rows
    200
    """
    if criterion not in ("nll", "mse"):
        raise InvalidInput(f"criterion must be 'nll' or 'mse', not {criterion!r}")
    t_quantile(level, 1)
    labels, each = _settings(settings)
    rows = _rows(X, y, labels, each, options)
    n, usable, numbers = rows[0].n_given, rows[0].usable, rows[0].groups(groups)
    out = np.zeros(n, dtype=bool)
    if test is not None:
        out = held_out(n, test, numbers, shuffle, seed)
    rest = np.flatnonzero(~out)
    if numbers is not None:
        numbers = np.unique(numbers[rest], return_inverse=True)[1]
    fold = np.full(n, -1)
    if folds is None:
        fold[rest] = ~held_out(len(rest), validation, numbers, shuffle, seed)
    else:
        fold[rest] = fold_of_rows(len(rest), folds, numbers, shuffle, seed)
    fold[np.setdiff1d(np.arange(n), usable)] = -1
    runs = []
    for label, data in zip(labels, rows, strict=True):
        with about(label):
            runs.append(run(data, fold, folds or 2, level, folds or 1))
    score, error, difference, difference_error = _compared(runs, criterion)
    pairs = zip(labels, runs, strict=True)
    warned = [f"{label}: {note}" for label, r in pairs for note in r.warned]
    return Selection(
        labels=labels,
        settings=each,
        criterion=criterion,
        score=score,
        std_error=error,
        difference=difference,
        difference_error=difference_error,
        status=tuple(r.status for r in runs),
        n_validation=runs[0].pooled.n,
        n_test=int(out[usable].sum()),
        folds=len(runs[0].scores),
        notes=(
            f"the best of {len(runs)} was chosen for its low score, which is therefore optimistic",
            *warned,
        ),
        _aside=Aside(rows, usable[~out[usable]], usable[out[usable]], level),
    )


def _settings(
    settings: Sequence[Setting] | Mapping[str, Setting],
) -> tuple[tuple[str, ...], tuple[dict[str, Any], ...]]:
    """Labels and settings, looked at."""
    if not settings or isinstance(settings, str):
        raise InvalidInput("settings must be a list of dictionaries, one for each; it is empty")
    named = isinstance(settings, Mapping)
    each: list[Any] = [*settings.values()] if isinstance(settings, Mapping) else [*settings]
    for setting in each:
        if not isinstance(setting, Mapping):
            raise InvalidInput(
                "each of the settings must be a dictionary of keywords of mlreg.fit, not "
                f"{setting!r}; grid(keyword=[...]) makes them"
            )
    texts = [", ".join(f"{k}={v!r}" for k, v in s.items()) or "as given" for s in each]
    labels = list(map(str, settings)) if named else texts
    repeated = sorted({label for label in labels if labels.count(label) > 1})
    if repeated:
        raise InvalidInput(f"several settings are {repeated[0]!r}: leave out all but one")
    return tuple(labels), tuple(map(dict, each))


def _rows(
    X: Any, y: Any, labels: Sequence[str], settings: Sequence[Setting], options: dict[str, Any]
) -> list[Rows]:
    """The rows under each setting; a design that several have in common is made once."""
    made: dict[Any, Rows] = {}
    rows: list[Rows] = []
    data = y if y is None or not isinstance(X, str) else in_memory(y)
    for label, setting in zip(labels, settings, strict=True):
        given = {**options, **setting}
        formula = given.pop("formula", X)
        key = (id(formula), *(id(given.get(name)) for name in OF_DESIGN))
        with about(label):
            if formula is not X and not isinstance(X, str):
                raise InvalidInput("formula= needs a formula in the place of X, and a table")
            if key not in made:
                made[key] = Rows(formula, data, given)
            rows.append(made[key].with_options(given))
        here, first = rows[-1], rows[0]
        if here.n_given != first.n_given or not np.array_equal(here.usable, first.usable):
            raise InvalidInput(
                f"{label} and {labels[0]} use different rows, so that their scores do not compare: "
                "leave out rows with missing values, or of weight zero, beforehand"
            )
    return rows


def _compared(runs: Sequence[Run], criterion: str) -> tuple[F64, F64, F64, F64]:
    """Scores, their standard errors, and the differences from the best with theirs."""
    pooled, fold = [r.pooled for r in runs], runs[0].fold
    values = [p.nll if criterion == "nll" else p.precision * p.error**2 for p in pooled]
    found = [mean_of(p, v, fold) for p, v in zip(pooled, values, strict=True)]
    score = np.array([m.value for m in found])
    diverged = np.array(["diverged" in r.status for r in runs])
    lost = diverged | ~np.isfinite(score)
    score[lost] = math.inf
    best = values[int(np.argmin(score))]
    with np.errstate(all="ignore"):
        behind = [mean_of(p, v - best, fold) for p, v in zip(pooled, values, strict=True)]
    difference, error = np.array(behind).T
    difference[lost] = math.inf
    errors = np.array([m.std_error for m in found])
    errors[lost] = error[lost] = math.nan
    return score, errors, difference, error
