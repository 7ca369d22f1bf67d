"""One fit on rows that it has not seen: ``evaluate`` and ``hold_out``."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlreg.data.arrays import as_vector, check_labels
from mlreg.errors import InvalidInput
from mlreg.estimate import Fit
from mlreg.evaluation.measures import NAMES, Measures, RowScores, measures, score, table_of
from mlreg.evaluation.rows import LONELY, Rows, about, block_of, held, in_memory, take, weights_of
from mlreg.evaluation.splits import held_out
from mlreg.files import plain
from mlreg.frames import data_frame
from mlreg.inference.intervals import t_quantile
from mlreg.likelihood.blocks import ArraySource, Block, to_numpy

__all__ = ["Evaluation", "evaluate", "evaluation_of", "hold_out"]

F64 = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Evaluation(Measures):
    """What rows that a fit has not seen say of it; see `Measures` for the numbers.

    Attributes
    ----------
    fit : Fit
        The fit.
    n_rows : int
        Observations that it was evaluated on.
    level : float
        Probability of the prediction intervals whose coverage was counted.
    notes : tuple of str
        What must be known to read the numbers.
    """

    fit: Fit
    n_rows: int
    level: float
    notes: tuple[str, ...]

    def __str__(self) -> str:
        head = f"{self.n_rows} unseen observations, {self.fit.n_rows} fitted"
        return "\n".join([head, *table_of(self, self.level), *self.notes])

    def to_frame(self) -> Any:
        """The measures as a pandas DataFrame, a row each: ``value`` and ``std_error``."""
        rows = np.array([getattr(self, name) for name in NAMES])
        return data_frame({"value": rows[:, 0], "std_error": rows[:, 1]}, NAMES, "measure")

    def to_dict(self) -> dict[str, Any]:
        """Everything but the fit, as plain numbers and strings."""
        numbers = {name: getattr(self, name)._asdict() for name in NAMES}
        return dict(
            plain({"n_rows": self.n_rows, "level": self.level, **numbers, "notes": self.notes})
        )


def evaluate(
    fit: Fit,
    data: Any,
    /,
    *,
    frequency_weights: Any = None,
    precision_weights: Any = None,
    scale: Any = None,
    level: float = 0.95,
) -> Evaluation:
    """How well a fit foretells rows that it has not seen, Eq. (13.14).

    Parameters
    ----------
    fit : Fit
        Of any noise, scale, prior and transform; converged or not.
    data : (X, y), or table
        Other rows than those of the fit. Columns of a table are taken by name, the response too.
        The response is on its own scale, before any transform.
    frequency_weights, precision_weights : array, shape (m,), or column name, optional
        As for `mlreg.fit`. The noise of a row of precision w has the scale σ/√w.
    scale : array, shape (m,) or (m, q), optional
        Rows of the scale design, where the fit was given an array of them.
    level : float
        Probability of the prediction intervals whose coverage is counted.

    Returns
    -------
    Evaluation
        Means over observations with standard errors. These are of independent rows: of rows that
        come in groups, or in time, they are too small.

    Raises
    ------
    InvalidInput, InvalidType
        No rows, columns that are missing, NaN, levels that the fit has not seen.

    Examples
    --------
    >>> import numpy as np, mlreg as ml
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 2))
    >>> y = X @ [2, -3.4] + 4.2 + 0.5 * rng.normal(size=200)
    >>> found = ml.evaluate(ml.fit(X[:100], y[:100]), (X[100:], y[100:]))
    >>> round(found.rmse.value, 2), round(found.rmse.std_error, 2)
    (0.46, 0.03)
    """
    if not isinstance(fit, Fit):
        raise InvalidInput(f"evaluate takes a Fit first, and then data; not {type(fit).__name__}")
    t_quantile(level, 1)  # an error for a level that is none
    block = _block(fit, data, frequency_weights, precision_weights, scale)
    again, notes = _seen(fit, block), []
    if again:
        notes.append(
            f"{again} of these {len(block.y)} rows are among those of the fit (same regressors, "
            "same response): unless such rows repeat by chance, this is not unseen data, and the "
            "numbers flatter"
        )
    return evaluation_of(fit, score(fit, [block], level), level, notes)


def hold_out(
    X: Any,
    y: Any = None,
    /,
    *,
    test: float = 0.25,
    groups: Any = None,
    shuffle: bool = True,
    seed: int = 0,
    level: float = 0.95,
    **options: Any,
) -> Evaluation:
    """Fit some of the rows and evaluate the fit on the others.

    Parameters
    ----------
    X, y
        Data in memory, as for `mlreg.fit`.
    test : float
        Share of the rows that are held out, between 0 and 1.
    groups : array of labels, shape (n,), or column name, optional
        Rows of a group are held out together, as where each group is a person.
    shuffle : bool
        Whether the rows are drawn at random; False holds out the last ones, as of a time series.
    seed : int
        The same rows are drawn at every call with the same seed and the same number of rows.
    level : float
        Probability of the prediction intervals whose coverage is counted.
    **options
        As for `mlreg.fit`.

    Returns
    -------
    Evaluation
        Its ``fit`` is that of the rows that were not held out.

    Examples
    --------
    >>> import mlreg as ml
    >>> longley = ml.datasets.longley()
    >>> found = ml.hold_out(longley.X[:, :2], longley.y)
    >>> found.fit.n_rows, found.n_rows
    (12, 4)
    """
    t_quantile(level, 1)
    rows = Rows(X, y, options)
    out = held_out(rows.n_given, test, rows.groups(groups), shuffle, seed)[rows.usable]
    if out.all() or not out.any():
        raise InvalidInput(
            "every row that can be used is on one side of the split: another seed=, or test="
        )
    with about("the rows that are not held out", LONELY):
        made = rows.fit(rows.usable[~out])
    return evaluation_of(made, rows.score(made, rows.usable[out], level), level)


def evaluation_of(fit: Fit, rows: RowScores, level: float, notes: Sequence[str] = ()) -> Evaluation:
    """What scored rows say of a fit, with notes on them and then on the fit."""
    told = (*notes, *_notes_of(fit))
    return Evaluation(**vars(measures(rows)), fit=fit, n_rows=rows.n, level=level, notes=told)


def _block(fit: Fit, data: Any, frequency: Any, precision: Any, scale: Any) -> Block:
    """The data as rows of the fit's design, without those of weight zero."""
    data = in_memory(data)
    pair = isinstance(data, tuple) and len(data) == 2
    if pair:
        check_labels("X", data[0], {"y": data[1]})
    whole = held(data[0] if pair else data, "X of the data")
    if not pair and not hasattr(whole, "columns"):
        raise InvalidInput(
            f"the data must be (X, y) or a table with the response {fit.design.response!r}, not "
            f"{type(data).__name__}"
        )
    n = whole.n_rows if hasattr(whole, "n_rows") else len(whole)
    if not n:
        raise InvalidInput("the data has no rows: give at least one that the fit has not seen")
    k = weights_of(frequency, "frequency", whole, n)
    w = weights_of(precision, "precision", whole, n)
    there = [weights > 0 for weights in (k, w) if weights is not None]
    rows = np.flatnonzero(np.all(there, axis=0)) if there else np.arange(n)
    if not len(rows):
        raise InvalidInput("every row of the data has weight zero: none is left")
    scale = None if scale is None else held(scale, "scale")
    if len(rows) < n:
        whole, scale = take(whole, rows), take(scale, rows)
        data = (whole, as_vector(data[1], "y of the data", n)[rows]) if pair else whole
    return block_of(fit, data, take(k, rows), take(w, rows), scale)


def _notes_of(fit: Fit) -> list[str]:
    """What must be known of a fit to read what unseen rows say of it."""
    code = fit.status.code
    if code == "perfect-fit":
        return [
            "the rows of the fit leave no residual: it says nothing of the noise, so that there "
            "is no NLL and no coverage"
        ]
    notes = [] if code == "converged" else [f"the fit is not the MLE ({code})"]
    if not fit.exact:
        notes.append("prediction intervals are asymptotic: their level holds as the fit's n grows")
    return notes


def _seen(fit: Fit, block: Block) -> int:
    """How many rows are among those of the fit; 0 where that cannot be told."""
    if not isinstance(fit.source, ArraySource):
        return 0
    mine = _keys(block)
    wanted, found = set(mine), set[bytes]()
    for other in fit.source.blocks():
        found |= wanted.intersection(_keys(other))
    return sum(key in found for key in mine)


def _keys(block: Block) -> list[bytes]:
    rows = np.column_stack([to_numpy(block.X), to_numpy(block.y)]) + 0.0  # there is one zero
    return [row.tobytes() for row in rows]
