"""The front door for rows: arrays or a formula become a source and the design behind it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlreg.data.arrays import Array, as_matrix, as_vector, check_labels, response_name
from mlreg.data.columns import as_number
from mlreg.data.design import ArrayDesign
from mlreg.data.evaluate import refuse_nonfinite
from mlreg.data.formula import FormulaDesign, describe_gaps, fit_formula, rows_with_gaps
from mlreg.data.names import columns_of, parse, require_formulaic
from mlreg.data.scale import ScaleFormula, given_scale
from mlreg.data.table import Table, as_table, is_frame
from mlreg.errors import InvalidInput, InvalidType
from mlreg.frames import lasting
from mlreg.likelihood.blocks import BLOCK_ROWS, ArraySource, check_weights
from mlreg.likelihood.transform import Transform

__all__ = ["build_source", "build_source_from_formula"]

MISSING = ("raise", "drop")


def build_source(
    X: Any,
    y: Any,
    *,
    intercept: bool = True,
    names: Sequence[str] | None = None,
    frequency_weights: Any = None,
    precision_weights: Any = None,
    scale: Any = None,
    missing: str = "raise",
    transform: Transform | str | None = None,
    check: bool = True,
) -> tuple[ArraySource, ArrayDesign]:
    """Make a source of arrays or dataframes, which are referred to and not copied.

    Parameters
    ----------
    X : array-like, shape (n, k) or (n,)
        Regressors; see `mlreg.data.arrays.as_matrix`.
    y : array-like, shape (n,) or (n, 1)
        Response.
    intercept : bool
        Whether a column of ones is put before X.
    names : sequence of str, optional
        Names of the k columns; by default those of the dataframe, or x1, x2, ...
    frequency_weights, precision_weights : array-like, shape (n,), or str, optional
        Weights of the rows; with a dataframe X also the name of a column of it,
        which is then no regressor.
    scale : array-like, shape (n,) or (n, q), or formula about the columns of X, optional
        What log σ depends on; see `mlreg.fit`.
    missing : {"raise", "drop"}
        What to do with rows that have NaN in X, y or scale. Infinity always raises.
    transform : str or Transform, optional
        Of the response, as for `ArraySource`.
    check : bool
        As for `ArraySource`.

    Returns
    -------
    source : ArraySource
    design : ArrayDesign

    Raises
    ------
    InvalidInput
        Shapes that do not agree, NaN or infinity, weights that are none.
    InvalidType
        Masked, sparse, complex, text and other arrays that are refused by name.
    """
    _check_missing(missing)
    made_of = X, y
    if isinstance(frequency_weights, str) or isinstance(precision_weights, str):
        X, frequency_weights, precision_weights = _take_weights(
            X, frequency_weights, precision_weights
        )
    given = {"y": y, "frequency_weights": frequency_weights, "precision_weights": precision_weights}
    index = check_labels("X", X, {**given, "scale": scale})
    a, found = as_matrix(X)
    if len(a) != a.shape[1] and tuple(getattr(y, "shape", ())) == a.shape[1:]:
        raise InvalidInput(
            f"X has shape {a.shape} for {a.shape[1]} responses: one row for each is needed, X.T"
        )
    b = as_vector(y, n=len(a))
    if isinstance(names, str):
        raise InvalidType(f"names must be a list of names; it is the text {names!r}")
    frequency = _weights(frequency_weights, "frequency", len(a))
    precision = _weights(precision_weights, "precision", len(a))
    rows, response = None, response_name(y)
    columns = [f"x{j + 1}" for j in range(a.shape[1])] if found is None else found
    by_formula = isinstance(scale, str)
    scale_design: Any = None
    Z: Any = None
    if scale is not None and not by_formula:
        scale_design, Z = given_scale(scale, len(a))
    if missing == "drop":
        complete = _complete(a, b)
        if Z is not None:
            complete &= ~np.isnan(Z).any(axis=1)
        if not complete.any():
            raise InvalidInput("no row is complete: each has NaN in X or y")
        rows = None if complete.all() else np.flatnonzero(complete)
    if by_formula:
        used = _counted(len(a), rows, frequency, precision)
        table = Table(dict(zip(columns if names is None else names, a.T, strict=True)), len(a))
        refuse_nonfinite(a[used], list(table.columns), used)
        scale_design, part = ScaleFormula(scale, table).rows(used)
        Z = np.zeros((len(a), part.shape[1]))
        Z[used] = part
    source = ArraySource(
        a,
        b,
        intercept=intercept,
        names=columns if names is None else names,
        frequency=frequency,
        precision=precision,
        scale=Z,
        scale_names=None if scale_design is None else scale_design.names,
        rows=rows,
        response=response,
        left_out=0 if rows is None else len(b) - len(rows),
        transform=transform,
        check=check,
    )
    source.index = index
    if all(map(lasting, made_of)):
        source.given = made_of
    transformed = source.transform
    return source, ArrayDesign(source.names, bool(intercept), response, scale_design, transformed)


def build_source_from_formula(
    formula: str,
    data: Any,
    *,
    frequency_weights: Any = None,
    precision_weights: Any = None,
    scale: Any = None,
    missing: str = "raise",
    transform: Transform | str | None = None,
) -> tuple[ArraySource, FormulaDesign]:
    """Make a source of a formula and a table.

    Parameters
    ----------
    formula : str
        One response ~ terms; it says itself whether there is an intercept.
    data : table
        See `mlreg.data.table.as_table`.
    frequency_weights, precision_weights : array-like, shape (n,), or str, optional
        Weights of the rows, or the name of a column that holds them.
    scale : formula without a response, or array-like, shape (n,) or (n, q), optional
        What log σ depends on; see `mlreg.fit`.
    missing : {"raise", "drop"}
        What to do with rows that lack a value in a column that the formula uses.
    transform : str or Transform, optional
        Of the response; a formula says it itself by ``log(y) ~ x``.

    Returns
    -------
    source : ArraySource
    design : FormulaDesign

    Raises
    ------
    InvalidInput
        A formula that is none or that does not fit the table, missing values,
        values that a transform makes infinite, weights that are none.
    InvalidType
        Columns of a kind that cannot be used.
    MissingDependency
        Without formulaic, or pyarrow where the table needs it.
    """
    _check_missing(missing)
    require_formulaic()
    table = as_table(data)
    weights = {"frequency_weights": frequency_weights, "precision_weights": precision_weights}
    index = check_labels("the data", data, {**weights, "scale": scale})
    frequency = _weights(_named(frequency_weights, table), "frequency", table.n_rows)
    precision = _weights(_named(precision_weights, table), "precision", table.n_rows)
    spoken_for = {w for w in (frequency_weights, precision_weights) if isinstance(w, str)}
    # A dot in the formula stands for every column but the weights.
    parsed = parse(formula, [n for n in table.columns if n not in spoken_for], transform)
    available = list(table.columns)
    used = [
        *columns_of(parsed.response, available, formula),
        *columns_of(parsed.terms, available, formula),
    ]
    scale_formula: ScaleFormula | None = None
    scale_design: Any = None
    Z: Any = None
    if isinstance(scale, str):
        response = columns_of(parsed.response, available, formula)
        scale_formula = ScaleFormula(scale, table, {*spoken_for, *response})
        used += [name for name in scale_formula.used if name not in used]
    elif scale is not None:
        scale_design, Z = given_scale(scale, table.n_rows)
    keep = np.ones(table.n_rows, dtype=bool)
    for w in (frequency, precision):
        if w is not None:
            keep &= w != 0  # weight zero is the row removed: its gaps and levels do not count
    found = rows_with_gaps(table, used)
    if Z is not None and np.isnan(Z).any():
        found["scale"] = np.asarray(np.isnan(Z).any(axis=1))
    gaps = {name: m & keep for name, m in found.items() if (m & keep).any()}
    if gaps and missing == "raise":
        raise InvalidInput(
            f"missing values in {describe_gaps(gaps)}; mend those rows, or leave them out with "
            "missing='drop'"
        )
    for m in gaps.values():
        keep &= ~m
    rows = np.flatnonzero(keep)
    if not len(rows):
        raise InvalidInput(
            "no row is left: the table is empty, or every row lacks a value or has weight zero"
        )
    design, X, y = fit_formula(formula, parsed, table, rows)
    if scale_formula is not None:
        scale_design, Z = scale_formula.rows(rows)
    elif Z is not None:
        Z = Z[rows]
    design = replace(design, scale=scale_design)
    source = ArraySource(
        X,
        y,
        names=design.names,
        frequency=None if frequency is None else frequency[rows],
        precision=None if precision is None else precision[rows],
        scale=Z,
        scale_names=None if scale_design is None else scale_design.names,
        response=design.response,
        transform=design.transform,
        left_out=int(np.any(list(gaps.values()), axis=0).sum()) if gaps else 0,
        origin=None if len(rows) == table.n_rows else rows,
        n_given=table.n_rows,
    )
    source.index = index
    if lasting(data):
        source.given = (data, None)
    return source, design


def _counted(
    n: int, rows: NDArray[np.intp] | None, frequency: Array | None, precision: Array | None
) -> NDArray[np.intp]:
    """Rows that are used: those of weight zero are removed."""
    keep = np.zeros(n, dtype=bool)
    keep[slice(None) if rows is None else rows] = True
    for w in (frequency, precision):
        if w is not None:
            keep &= w > 0
    return np.flatnonzero(keep)


def _check_missing(missing: str) -> None:
    if missing not in MISSING:
        raise InvalidInput(
            f"missing must be one of {', '.join(map(repr, MISSING))}; it is {missing!r}"
        )


def _named(weights: Any, table: Table) -> Any:
    """Weights, looked up in the table where they are the name of a column."""
    if isinstance(weights, str):
        return as_number(table.column(weights), f"column {weights!r}")
    return weights


def _take_weights(X: Any, frequency: Any, precision: Any) -> tuple[Table, Any, Any]:
    """Split columns that hold weights off a dataframe of regressors."""
    if not (isinstance(X, Table) or is_frame(X)):
        raise InvalidInput(
            "weights can be the name of a column only where X is a dataframe: "
            "give an array of weights"
        )
    table = as_table(X)
    named = [w for w in (frequency, precision) if isinstance(w, str)]
    taken = _named(frequency, table), _named(precision, table)
    rest = {name: table.columns[name] for name in table.columns if name not in named}
    return Table(rest, table.n_rows), *taken


def _weights(weights: Any, kind: str, n: int) -> Array | None:
    """Weights of one kind, checked in full, rows that will be dropped included; shape (n,)."""
    if weights is None:
        return None
    w = as_vector(weights, f"{kind}_weights", n).astype(np.float64)
    check_weights(w, kind)
    return w


def _complete(X: Array, y: Array) -> NDArray[np.bool_]:
    """Rows without NaN, shape (n,); a block at a time, for the memory of one block."""
    complete = ~np.isnan(y)
    if X.dtype.kind == "f":
        for start in range(0, len(y), BLOCK_ROWS):
            rows = slice(start, start + BLOCK_ROWS)
            complete[rows] &= ~np.isnan(X[rows]).any(axis=1)
    return complete
