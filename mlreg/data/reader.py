"""`mlreg.read`: files and streams, out of core; with a formula they become a source."""

from typing import Any, Literal, overload

from mlreg.data.lazy import LazyTable, open_table
from mlreg.data.streamed import StreamedSource
from mlreg.errors import InvalidInput

__all__ = ["read"]

Missing = Literal["raise", "drop"]


@overload
def read(data: Any, /, *, progress: bool | None = None) -> LazyTable: ...
@overload
def read(
    data: Any,
    formula: str,
    /,
    *,
    frequency_weights: str | None = None,
    precision_weights: str | None = None,
    missing: Missing = "raise",
    progress: bool | None = None,
) -> StreamedSource: ...
def read(
    data: Any,
    formula: str | None = None,
    /,
    *,
    frequency_weights: str | None = None,
    precision_weights: str | None = None,
    missing: Missing = "raise",
    progress: bool | None = None,
) -> LazyTable | StreamedSource:
    """Open rows that need not fit in memory, to be read a batch at a time.

    ``fit("y ~ x", read(path))`` and ``fit(read(path, "y ~ x"))`` are the same fit, in
    the memory of a few blocks whatever the number of rows.

    Parameters
    ----------
    data : path, list of paths, pyarrow.dataset, stream or function
        A Parquet, CSV, TSV or Arrow file, a folder of them, a glob, or a list of
        these; a ``pyarrow.dataset.Dataset``; anything with an Arrow C stream (a
        result of DuckDB or ADBC, a dataframe), a polars LazyFrame, or an iterable
        of record batches. A stream can be read once; a function that returns
        a new one each time can be read as often as is needed.
    formula : str, optional
        As for `fit`. Levels of categories are collected by one pass over their
        columns. Terms that need whole columns, such as ``center(x)``, are refused.
    frequency_weights, precision_weights : str, optional
        Names of the columns that hold weights.
    missing : "raise" or "drop"
        What to do with rows in which a value is missing (NaN or null).
    progress : bool, optional
        Whether the pass for the levels is shown on stderr; by default on a terminal.

    Returns
    -------
    LazyTable, or with a formula StreamedSource
        Data for ``fit(formula, data)``, or a source for ``fit(source)``.

    Raises
    ------
    InvalidInput, InvalidType
        Files that cannot be read or that differ in their columns; a formula that
        does not fit them; a stream whose levels would need a second pass.
    MissingDependency
        Without pyarrow, or formulaic for a formula.

    Notes
    -----
    Whole numbers of CSV files are read as float64, and the first 4 MB of such
    a file settle which columns are numbers; a missing cell is empty or NA. In
    a folder, files whose names begin with a dot or an underscore are left out.

    What needs the rows again is refused of a stream that can be read once:
    `SGD`, `Scipy`, ``residuals()``, and a certificate from the residuals. The exact fit
    needs one pass, and its rounding bound is then the worst case.
    """
    table = open_table(data)
    if formula is None:
        given = {"frequency_weights": frequency_weights, "precision_weights": precision_weights}
        named = [name for name, value in given.items() if value is not None]
        if named or missing != "raise":
            raise InvalidInput(
                f"{', '.join(named) or 'missing'} goes with a formula: give it to fit, or to "
                "read(data, formula)"
            )
        return table
    return StreamedSource(
        table,
        formula,
        frequency_weights=frequency_weights,
        precision_weights=precision_weights,
        missing=missing,
        progress=progress,
    )
