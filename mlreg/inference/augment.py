"""The rows of a fit beside what it says of them, in the caller's own kind of table."""

import os
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mlreg.data.arrays import as_matrix, as_vector, is_series
from mlreg.data.arrow import read_file
from mlreg.data.columns import as_number
from mlreg.data.design import ArrayDesign, responses
from mlreg.data.formula import FormulaDesign
from mlreg.data.table import Table, as_table, is_frame, is_tabular
from mlreg.errors import InvalidInput
from mlreg.frames import as_frame, refuse_clash, with_columns
from mlreg.inference.influence import influence
from mlreg.likelihood.blocks import ArraySource, to_numpy

if TYPE_CHECKING:  # a fit comes after inference, not the other way round
    from mlreg.estimate import Fit

__all__ = ["augment"]

F64 = NDArray[np.float64]
RENAME = "rename it there, which the fit does not mind if you give augment(data) the renamed data"
SLACK = 1e-9
"""Of a column's largest value: what is less is a rounding of its formula, not another row."""


def augment(fit: "Fit", data: Any = None) -> Any:
    """`Fit.augment`."""
    fit._kept_source()  # an error where there are no rows
    source = fit.source
    if not isinstance(source, ArraySource):
        raise InvalidInput(
            "the rows of this fit are not in memory: take fit.influence_blocks(), block by block"
        )
    frame = _given(fit, source) if data is None else _frame(data, _slopes(fit))
    measures = ["fitted", "residual", "leverage"]
    if fit.exact:
        measures += ["studentised", "cooks_distance"]
    refuse_clash(frame, measures, RENAME)
    rows = source.row_numbers
    _refuse_other_rows(fit, source, as_table(frame), rows, by_name=data is not None)
    found = influence(fit)
    values = [fit.fitted_values(), fit.residuals(), found.leverage]
    if fit.exact:
        values += [found.externally_studentised, found.cooks_distance]
    columns = {}
    for name, value in zip(measures, values, strict=True):
        columns[name] = np.full(source.n_given, np.nan)
        columns[name][rows] = value
    return with_columns(frame, columns)


def _slopes(fit: "Fit") -> tuple[str, ...]:
    return fit.design.names[int(fit.design.intercept) :]


def _given(fit: "Fit", source: ArraySource) -> Any:
    """The data that the fit was made of, with the response, as a frame."""
    if source.given is None:
        raise InvalidInput(
            "this fit has its rows of a source or a stream, and no table: give augment(data)"
        )
    X, y = source.given
    frame = _frame(X, _slopes(fit))
    if y is None:
        return frame
    response = fit.design.response
    refuse_clash(
        frame, [response], f"{response!r} is the response, too. Rename it, or give augment(data)"
    )
    return with_columns(frame, {response: as_vector(y, "y")})


def _frame(data: Any, names: tuple[str, ...]) -> Any:
    """Data of any form as a frame; columns of arrays are called as in the design."""
    if isinstance(data, (str, os.PathLike)):
        return read_file(data)
    if isinstance(data, Table):
        return dict(data.columns)
    if is_tabular(data) and not is_frame(data):
        return dict(getattr(data, "columns", data))
    if is_frame(data) or is_series(data):
        return as_frame(data, names[0] if names else "x1")
    a, _ = as_matrix(data, "the data")
    if a.shape[1] != len(names):
        raise InvalidInput(
            f"the data has {a.shape[1]} columns, and the fit {len(names)}: {', '.join(names)}"
        )
    return dict(zip(names, a.T, strict=True))


def _refuse_other_rows(
    fit: "Fit", source: ArraySource, table: Table, rows: Any, *, by_name: bool
) -> None:
    """Raise where the data are not those of the fit, row by row."""
    if table.n_rows != source.n_given:
        raise InvalidInput(
            f"the data has {table.n_rows} rows, and the fit was made of {source.n_given}: give "
            "the same data, those rows included that were left out"
        )
    used, design = table.take(rows), fit.design
    transform = design.transform
    pairs: list[tuple[str, Any, int]] = []  # what it is called, its values, its column in [X y]
    slack, p = 0.0, len(design.names)
    if isinstance(design, FormulaDesign):
        slack = SLACK
        if not design.row_bound:  # else its columns are known of the fit's rows only
            X = design.matrix(used)
            pairs += [(name, X[:, j], j) for j, name in enumerate(design.names)]
        pairs.append((design.response, responses(design, used, len(rows)), p))
    else:
        assert isinstance(design, ArrayDesign)
        for j, name in [*enumerate(design.names), (p, design.response)][int(design.intercept) :]:
            if name in used.columns:
                values = as_number(used.columns[name], f"column {name!r}")
                pairs.append((name, np.asarray(values, dtype=np.float64), j))
        if not pairs and by_name:
            raise InvalidInput(
                f"the data has none of the columns {', '.join((*_slopes(fit), design.response))} "
                "of the fit, so that nothing says that the rows are the same: fit with names=, or "
                "give a dataframe to the fit"
            )
    if transform is not None:
        with np.errstate(all="ignore"):
            pairs = [(n, np.asarray(transform.forward(v)) if j == p else v, j) for n, v, j in pairs]
    first = 0
    for block in source.blocks():
        X, y = to_numpy(block.X), to_numpy(block.y)
        part = slice(first, first + len(y))
        for name, values, j in pairs:
            want = y if j == p else X[:, j]
            with np.errstate(over="ignore", invalid="ignore"):
                other = ~(np.abs(values[part] - want) <= slack * np.abs(want).max())
            if other.any():
                row = int(rows[first + int(other.argmax())])
                raise InvalidInput(
                    f"the data is not that of the fit: {name!r} differs, first at row {row}. Give "
                    "the rows in the order that they had, unchanged"
                )
        first += len(y)
