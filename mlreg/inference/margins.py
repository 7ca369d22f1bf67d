"""Average predictions over the rows of a table, some of its columns being set to given values."""

import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from mlreg.data.table import Table, as_table, is_tabular, read_column, suggest
from mlreg.errors import InvalidInput
from mlreg.inference.hypothesis import Contrasts, contrasts
from mlreg.inference.predict import check_dependence

if TYPE_CHECKING:  # a fit comes after inference, not the other way round
    from mlreg.estimate import Fit

__all__ = ["by_name", "margins"]


def margins(fit: "Fit", data: Any, at: Mapping[str, Any], level: float) -> Contrasts:
    """`Fit.margins`."""
    if not isinstance(at, Mapping) or not at:
        raise InvalidInput("at names columns and their values, such as {'x1': [0, 1]}")
    table = by_name(fit, data)
    if not table.n_rows:
        raise InvalidInput("an average over no rows: the data is empty")
    used = [name for name in getattr(fit.design, "columns", fit.names) if name != "Intercept"]
    for name in at:
        if name not in used:
            raise InvalidInput(f"the model has no column {name!r}; {suggest(str(name), used)}")
    grid = {name: _values(name, values) for name, values in at.items()}
    lost = [d.column for d in fit.rank_report.dependent]
    rows, names = [], []
    for chosen in itertools.product(*grid.values()):
        columns: dict[str, Any] = dict(table.columns)
        for name, value in zip(grid, chosen, strict=True):
            columns[name] = read_column(np.full(table.n_rows, value), f"column {name!r}")
        X = fit.design.matrix(Table(columns, table.n_rows))
        check_dependence(fit, X)
        mean = X.mean(axis=0)
        mean[lost] = 0.0  # what was left out is ignored, as in predictions
        rows.append(mean)
        names.append(", ".join(f"{n} = {v}" for n, v in zip(grid, chosen, strict=True)))
    found = contrasts(fit, np.array(rows), level, False)
    return Contrasts(**{**vars(found), "names": tuple(names)})


def by_name(fit: "Fit", data: Any) -> Table:
    """A table as it is; the columns of an array by the names that they have in the fit."""
    if is_tabular(data):
        return as_table(data)
    X = fit.design.matrix(data)
    slopes = [j for j, name in enumerate(fit.names) if name != "Intercept"]
    return Table({fit.names[j]: X[:, j] for j in slopes}, len(X))


def _values(name: str, values: Any) -> list[Any]:
    try:
        array = np.atleast_1d(np.asarray(values))
    except ValueError:  # lists of unlike lengths
        array = np.zeros((0,))
    if array.ndim != 1 or not array.size:
        raise InvalidInput(f"at[{name!r}] must be a value, or a list of values; not {values!r}")
    return list(array)
