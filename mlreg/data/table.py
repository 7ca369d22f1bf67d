"""`Table`: named columns of one length, from whatever holds them."""

import difflib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlreg.data.arrow import (
    ArrowColumns,
    has_pyarrow,
    read_file,
    stream_column,
    stream_table,
)
from mlreg.data.columns import Categories, Column, Unusable, normalise, pick
from mlreg.errors import InvalidInput, InvalidType, MlregError
from mlreg.likelihood.blocks import to_numpy

__all__ = ["Table", "as_table"]


@dataclass(frozen=True, eq=False)
class Table:
    """Named columns, all of one length.

    Attributes
    ----------
    columns : mapping from str to column
        Numbers are NumPy arrays of their own type; text is an object array of
        str, None where missing; categories are `Categories`, which keep the
        order of their levels; dates are datetime64 arrays.
    n_rows : int
        Number of rows.
    """

    columns: Mapping[str, Column]
    n_rows: int

    def __repr__(self) -> str:
        return f"<Table: {self.n_rows} rows of {', '.join(self.columns)}>"

    def take(self, rows: Any) -> "Table":
        """Some of the rows, by number."""
        return Table({name: pick(c, rows) for name, c in self.columns.items()}, len(rows))

    def column(self, name: str) -> Column:
        """Return one column.

        Raises
        ------
        InvalidInput
            If there is none of that name; the message suggests one.
        """
        if name not in self.columns:
            raise InvalidInput(f"there is no column {name!r}; {suggest(name, self.columns)}")
        return self.columns[name]


def suggest(name: str, columns: Iterable[str]) -> str:
    """For a message: the column that was probably meant, and those that exist."""
    columns = list(columns)
    close = difflib.get_close_matches(name, columns, n=1)
    shown = ", ".join(columns[:20]) + (", ..." if len(columns) > 20 else "")
    meant = f"did you mean {close[0]!r}? " if close else ""
    return f"{meant}the columns are: {shown or 'none at all'}"


def is_frame(data: Any) -> bool:
    """Whether the object is a table of named columns by its methods: a dataframe or a stream."""
    if type(data).__name__ == "LazyFrame":
        raise InvalidType(
            "the LazyFrame has no rows yet: give its .collect(), or mlreg.read(frame) for a formula"
        )
    if type(data).__name__ == "LazyTable":
        raise InvalidType(
            "a table that is read lazily can be fitted by a formula, fit('y ~ x', table), and not "
            "used here: give a dataframe, or the path of a file, which is read whole"
        )
    if hasattr(data, "__arrow_c_stream__"):
        return hasattr(data, "columns") or hasattr(data, "schema")
    return hasattr(data, "columns") and hasattr(data, "to_numpy")


def is_tabular(data: Any) -> bool:
    """Whether `as_table` is the door for the object, rather than that of arrays."""
    if isinstance(data, (Table, Mapping, str, os.PathLike)) or is_frame(data):
        return True
    return isinstance(getattr(data, "columns", None), Mapping)


def as_table(data: Any) -> Table:
    """Named columns of ``data``, whatever holds them.

    Parameters
    ----------
    data : Table, mapping, dataframe, Arrow stream, data set or path
        A mapping from names to one-dimensional columns; a pandas or polars
        DataFrame, pyarrow Table or other object with an Arrow C stream; a data
        set of `mlreg.datasets`; or the path of a file (.csv, .tsv, either with
        .gz, .parquet, .feather, .arrow), which is read whole.

    Returns
    -------
    Table
        Its columns are converted when they are first used. The index of a
        pandas DataFrame is not a column: use ``reset_index()``.

    Raises
    ------
    InvalidInput
        Columns of unequal length or of the same name, or a file that cannot be read.
    InvalidType
        Not a table.
    MissingDependency
        Where pyarrow is needed and not installed. Without it a dataframe that
        has ``to_numpy`` is read column by column.
    """
    if isinstance(data, Table):
        return data
    if isinstance(data, (str, os.PathLike)):
        try:
            return _from_arrow_table(read_file(data))
        except UnicodeDecodeError as error:
            raise InvalidInput(
                f"{os.fspath(data)!r} is not UTF-8 ({error.reason} in a column's name): save it as "
                "UTF-8, or read it with pandas.read_csv(..., encoding=...) and give the dataframe"
            ) from error
    if isinstance(data, Mapping):
        return _from_mapping(data)
    if is_frame(data):
        return _from_frame(data)
    columns = getattr(data, "columns", None)
    if isinstance(columns, Mapping):
        return _from_mapping(columns)
    raise InvalidType(
        f"{type(data).__name__} is not a table: give a dataframe, a dict of columns, an Arrow "
        "table or the path of a file; for arrays use X and y"
    )


def _refuse_repeated(names: Iterable[Any]) -> None:
    names = list(names)
    repeated = sorted({str(name) for name in names if names.count(name) > 1})
    if repeated:
        raise InvalidInput(
            f"several columns are named {', '.join(map(repr, repeated))}: rename them"
        )


def _from_arrow_table(table: Any) -> Table:
    _refuse_repeated(table.schema.names)
    return Table(ArrowColumns(table), table.num_rows)


def _from_frame(frame: Any) -> Table:
    by_name = hasattr(frame, "to_numpy") and hasattr(frame, "columns")
    if by_name:
        _refuse_repeated(frame.columns)
    if hasattr(frame, "__arrow_c_stream__") and (has_pyarrow() or not by_name):
        try:
            return _from_arrow_table(stream_table(frame))
        except InvalidType:
            if not by_name:
                raise
    # Without pyarrow, or where Arrow cannot hold a column (mixed objects, complex numbers).
    return _from_mapping({str(name): frame[name] for name in frame.columns})


def _from_mapping(data: Mapping[Any, Any]) -> Table:
    columns = {str(name): read_column(values, f"column {name!r}") for name, values in data.items()}
    sizes = {name: len(column) for name, column in columns.items()}
    if len(set(sizes.values())) > 1:
        shown = ", ".join(f"{name!r} has {size}" for name, size in list(sizes.items())[:5])
        raise InvalidInput(f"the columns differ in length: {shown}; give one value for each row")
    return Table(columns, next(iter(sizes.values()), 0))


def read_column(values: Any, what: str) -> Column:
    """One column from a Series, Arrow array, tensor, NumPy array or list.

    Raises
    ------
    InvalidInput, InvalidType
        If the values are not one-dimensional, or of a kind refused by name.
    """
    if isinstance(values, (Categories, Unusable)):
        return values
    levels = getattr(getattr(values, "dtype", None), "categories", None)
    if hasattr(values, "__arrow_c_stream__") or hasattr(values, "__arrow_c_array__"):
        by_numpy = hasattr(values, "to_numpy")
        if has_pyarrow() or not by_numpy:
            try:
                return stream_column(values)
            except InvalidType:
                if not by_numpy:
                    raise
    codes = getattr(getattr(values, "cat", values), "codes", None)
    if levels is not None:
        # A pandas Categorical, or a Series of one; an Enum of polars has no codes.
        if codes is None:
            library = type(values).__module__.partition(".")[0]
            raise InvalidType(
                f"{what} is categorical, which {library} gives only through Arrow: "
                "pip install 'mlreg[table]', or make it text"
            )
        known = tuple(levels)
        strange = [v for v in known if not isinstance(v, (str, int, float))]
        if strange:
            return Unusable(f"categories such as {strange[0]!r}", len(codes))
        return Categories(np.asarray(codes, dtype=np.int64), known)
    a = raw_array(values, what)
    if a.ndim != 1:
        raise InvalidInput(
            f"{what} must be one-dimensional, a value for each row; its shape is {a.shape}"
        )
    return normalise(a)


def raw_array(values: Any, what: str) -> Any:
    """The values as a NumPy array of whatever type, the hopeless refused by name."""
    if isinstance(values, np.ma.MaskedArray):
        raise InvalidType(
            f"{what} is a masked array: fill it with .filled(numpy.nan) or take its .compressed() "
            "rows"
        )
    if hasattr(values, "toarray") and hasattr(values, "nnz"):
        raise InvalidType(f"{what} is sparse: mlreg reads dense arrays; give its .toarray()")
    try:
        if isinstance(values, (np.ndarray, list, tuple)):
            a = np.asarray(values)
        elif hasattr(values, "detach") or hasattr(values, "__dlpack__"):
            a = np.asarray(to_numpy(values))
        else:
            a = np.asarray(values.to_numpy() if hasattr(values, "to_numpy") else values)
    except MlregError:
        raise
    except Exception as error:
        if isinstance(values, (list, tuple)):
            raise InvalidInput(f"{what} has rows of different lengths: {error}") from error
        raise InvalidType(
            f"{what} is a {type(values).__name__} that cannot be read as an array: {error}"
        ) from error
    if a.ndim == 0:
        given = "None" if values is None else f"a {type(values).__name__}"
        raise InvalidType(f"{what} must be an array of numbers; it is {given}")
    return a
