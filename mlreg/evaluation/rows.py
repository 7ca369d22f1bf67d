"""Data in any form that ``mlreg.fit`` takes, as rows of which some can be fitted or scored."""

import copy
import inspect
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlreg.data.arrays import as_matrix, as_vector
from mlreg.data.columns import as_number
from mlreg.data.design import responses
from mlreg.data.formula import FormulaDesign
from mlreg.data.front import source_of
from mlreg.data.scale import scale_rows
from mlreg.data.table import Table, as_table, is_tabular
from mlreg.errors import InvalidInput, InvalidType, NumericalWarning, RankDeficient
from mlreg.estimate import Fit
from mlreg.evaluation.measures import RowScores, score
from mlreg.evaluation.splits import group_of_rows
from mlreg.fitting import fit
from mlreg.likelihood.blocks import ArraySource, Block, check_weights
from mlreg.likelihood.transform import refuse_outside
from mlreg.sufficient import SufficientStatistics

__all__ = [
    "LONELY",
    "OF_DESIGN",
    "Rows",
    "about",
    "block_of",
    "heard",
    "held",
    "in_memory",
    "noted",
    "take",
    "weights_of",
]

F64 = NDArray[np.float64]
Index = NDArray[np.intp]
WEIGHTS = ("frequency_weights", "precision_weights")
OF_DESIGN = ("intercept", "names", "scale", "missing", "transform", *WEIGHTS)
"""Options of `mlreg.fit` that say what the rows are; the others say how they are fitted."""

LONELY = (
    ". If the rows all together determine it: take fewer folds, groups= or shuffle=True, merge "
    "rare levels, or leave the column out"
)


class Rows:
    """The rows of some data and the options that they are fitted with.

    Parameters
    ----------
    X, y
        Data in memory, as for `mlreg.fit`: arrays, a formula and a table, or an `ArraySource`.
    options : dict
        Keywords of `mlreg.fit`.

    Attributes
    ----------
    n_given : int
        Rows of the data as given.
    data : object
        What has them: X, or the table.
    usable : integer array
        Numbers of those that are used: no value missing, no weight zero.
    source : ArraySource
        The usable rows.
    table : Table or None
        The data, where columns of the design depend on the rows that are fitted, as ``center(x)``
        does: then each fit makes its own.

    Raises
    ------
    InvalidInput, InvalidType
        As `mlreg.fit`; data whose rows cannot be chosen.
    """

    def __init__(self, X: Any, y: Any, options: dict[str, Any]) -> None:
        self.options = _known(options)
        if isinstance(X, SufficientStatistics):
            raise InvalidInput("sufficient statistics hold no rows to choose from: give the data")
        self.formula = X if isinstance(X, str) else None
        self.data = X if self.formula is None else y if y is None else in_memory(y)
        weights = {name: options.get(name) for name in WEIGHTS}
        source, self.design = source_of(
            X,
            y if self.formula is None else self.data,
            options.get("intercept"),
            options.get("names"),
            weights,
            options.get("missing", "raise"),
            scale=options.get("scale"),
            transform=options.get("transform"),
        )
        if not isinstance(source, ArraySource):
            raise InvalidInput("rows of a source cannot be chosen: give arrays or a table")
        for _ in source.blocks():  # looks for NaN, while row numbers are those of the data
            pass
        self.source, self.n_given, self.usable = source, source.n_given, source.row_numbers
        self.table: Table | None = None
        if any(_depends(d) for d in (self.design, self.design.scale)):
            self.table = as_table(self.data)
            self.weights = {
                name: weights_of(w, name.partition("_")[0], self.data, self.n_given)
                for name, w in weights.items()
            }
            scale = options.get("scale")
            self.scale = None if isinstance(scale, (str, type(None))) else held(scale, "scale")

    def with_options(self, options: dict[str, Any]) -> "Rows":
        """The same rows with other options of `mlreg.fit` that do not change the design."""
        other = copy.copy(self)
        other.options = _known(options)
        return other

    def groups(self, labels: Any) -> NDArray[np.int64] | None:
        """Number of the group of each row as given, shape (n_given,)."""
        return group_of_rows(labels, self.data, self.n_given)

    def fit(self, rows: Index) -> Fit:
        """The fit of some usable rows, given by number."""
        if self.table is None:
            options = {name: v for name, v in self.options.items() if name not in OF_DESIGN}
            return replace(fit(self._subset(rows), **options), design=self.design)
        options = dict(self.options)
        for name, values in (("scale", self.scale), *self.weights.items()):
            if not isinstance(options.get(name), (str, type(None))):
                options[name] = take(values, rows)
        return fit(str(self.formula), take(self.table, rows), **options)

    def score(self, made: Fit, rows: Index, level: float) -> RowScores:
        """Score usable rows, given by number, with a fit of others."""
        if self.table is None:
            return score(made, self._subset(rows).blocks(), level)
        data, scale = take(self.table, rows), take(self.scale, rows)
        frequency, precision = (take(self.weights[name], rows) for name in WEIGHTS)
        return score(made, [block_of(made, data, frequency, precision, scale)], level)

    def statistics(self, rows: Index) -> SufficientStatistics:
        """Sufficient statistics of some usable rows."""
        return SufficientStatistics().update(self._subset(rows))

    def _subset(self, rows: Index) -> ArraySource:
        return self.source.subset(np.searchsorted(self.usable, rows))


def block_of(made: Fit, data: Any, frequency: Any, precision: Any, scale: Any) -> Block:
    """Rows of a fit's design from new data, with their responses and weights.

    Parameters
    ----------
    made : Fit
        The fit.
    data : (X, y) or table
        The response of a table is the column, or the expression, of the fit.
    frequency, precision : array, shape (m,), optional
        Weights, none of them zero.
    scale : array, optional
        Rows of the scale design, where the fit was given an array of them.
    """
    X = data[0] if isinstance(data, tuple) and len(data) == 2 else data
    rows = made.design.matrix(X)
    y = responses(made.design, data, len(rows))
    transform = made.design.transform
    if transform is not None:
        refuse_outside(transform, y, made.design.response)
        y = np.asarray(transform.forward(y))
    return Block(rows, y, frequency, precision, scale_rows(made.design, X, scale))


def held(values: Any, what: str) -> Any:
    """Values in a form that `take` takes rows of: a table, or an array."""
    if is_tabular(values):
        return as_table(values)
    array, names = as_matrix(values, what)
    return array if names is None else Table({names[0]: array[:, 0]}, len(array))


def take(values: Any, rows: Index) -> Any:
    """Some rows of what `held` returned."""
    if not isinstance(values, Table):
        return None if values is None else values[rows]
    return values.take(rows)


def weights_of(weights: Any, kind: str, data: Any, n: int) -> F64 | None:
    """Weights of one kind, shape (n,), by the name of a column of the data or as they are."""
    if weights is None:
        return None
    if isinstance(weights, str):
        if not is_tabular(data):
            raise InvalidInput(f"{kind}_weights={weights!r} names a column: the data has none")
        weights = as_number(as_table(data).column(weights), f"column {weights!r}")
    w = np.asarray(as_vector(weights, f"{kind}_weights", n), dtype=np.float64)
    check_weights(w, kind)
    return w


@contextmanager
def about(what: str, remedy: str = "") -> Iterator[None]:
    """Errors say which of many fits they are about; of dependent columns, what may help."""
    try:
        yield
    except RankDeficient as error:
        raise RankDeficient(f"{what}: {error}{remedy}", error.report) from error
    except (InvalidInput, InvalidType) as error:
        raise type(error)(f"{what}: {error}") from error


@contextmanager
def heard(said: list[str]) -> Iterator[None]:
    """Numerical warnings of many fits are collected."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for warning in caught:
        if issubclass(warning.category, NumericalWarning):
            said.append(str(warning.message))
        else:
            warnings.warn_explicit(
                warning.message, warning.category, warning.filename, warning.lineno
            )


def noted(said: list[str]) -> tuple[str, ...]:
    """At most one note: how many numerical warnings there were, and the first."""
    return (f"numerical warnings: {len(said)}, the first: {said[0]}",) if said else ()


def in_memory(data: Any) -> Any:
    """The data; what a path names is read, once."""
    return as_table(data) if isinstance(data, (str, os.PathLike)) else data


def _known(options: dict[str, Any]) -> dict[str, Any]:
    unknown = [name for name in options if name not in inspect.signature(fit).parameters]
    if unknown:
        raise InvalidType(f"there is no argument {', '.join(unknown)}, here or of mlreg.fit")
    return options


def _depends(design: Any) -> bool:
    """Whether columns of a design are no function of their own row alone."""
    return isinstance(design, FormulaDesign) and bool(design.transforms or design.row_bound)
