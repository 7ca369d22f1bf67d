"""Results as dataframes, in the kind and with the row labels of what the caller gave.

No dataframe library is needed: each is imported where an object of its own asks for it, and pandas
where a method promises a DataFrame of pandas.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from mlreg.errors import InvalidInput, MissingDependency

__all__ = ["alongside", "as_frame", "data_frame", "lasting", "refuse_clash", "with_columns"]


def data_frame(columns: Mapping[str, Any], index: Any, name: str) -> Any:
    """A DataFrame of columns by name, its rows labelled by ``index``, which is called ``name``."""
    try:
        import pandas as pd
    except ImportError as error:
        raise MissingDependency("to_frame needs pandas: pip install pandas") from error
    return pd.DataFrame(columns, index=pd.Index(index, name=name))


def library(data: Any) -> str:
    """The library whose frame or column it is: pandas, polars or pyarrow; or nothing."""
    roots = [cls.__module__.partition(".")[0] for cls in type(data).__mro__]
    return next((root for root in roots if root in ("pandas", "polars", "pyarrow")), "")


def lasting(data: Any) -> bool:
    """Whether the data can be read again and pickled; streams cannot, as those of a query."""
    stream = hasattr(data, "__arrow_c_stream__")
    return not stream or (bool(library(data)) and hasattr(data, "__len__"))


def as_frame(data: Any, name: str) -> Any:
    """What `with_columns` can add to.

    Parameters
    ----------
    data : dataframe, Series, Arrow table or stream, or mapping
        Of one column or of several.
    name : str
        Of a single column that has none.

    Returns
    -------
    pandas or polars DataFrame, pyarrow Table, or dict
        An Arrow stream that is none of these, such as a result of DuckDB, becomes a Table.
    """
    if isinstance(data, Mapping):
        return dict(data)
    kind = library(data)
    if kind in ("pandas", "polars"):
        if not hasattr(data, "columns"):
            label = data.name
            data = data.to_frame(name if label is None or label == "" else label)
        return data
    import pyarrow as pa

    if hasattr(data, "columns") or hasattr(data, "schema"):
        return data if isinstance(data, pa.Table) else pa.table(data)
    return pa.table({name: data})


def refuse_clash(frame: Any, names: Iterable[str], remedy: str) -> None:
    """Raise where a frame of `as_frame` has columns that are to be added to it."""
    there = frame.column_names if library(frame) == "pyarrow" else getattr(frame, "columns", frame)
    known = {str(column[0] if isinstance(column, tuple) else column) for column in there}
    clash = [name for name in names if name in known]
    if clash:
        some = "a column" if len(clash) == 1 else "columns"
        raise InvalidInput(f"the data has {some} {', '.join(map(repr, clash))} already: {remedy}")


def with_columns(frame: Any, columns: Mapping[str, Any]) -> Any:
    """A frame of `as_frame` with further columns, its kind and its row labels kept.

    Parameters
    ----------
    frame : pandas or polars DataFrame, pyarrow Table, or dict
        It is not changed.
    columns : mapping from str to array, shape (n,)
        Row by row, whatever the labels are.
    """
    kind = library(frame)
    if kind == "pandas":
        if frame.columns.dtype == "category":  # which takes no new name
            frame = frame.set_axis(frame.columns.astype(object), axis=1)
        frame, rest = frame.copy(), ("",) * (frame.columns.nlevels - 1)
        for name, values in columns.items():
            frame[(name, *rest) if rest else name] = values
        return frame
    if kind == "polars":
        import polars as pl

        return frame.with_columns([pl.Series(name, values) for name, values in columns.items()])
    if kind == "pyarrow":
        import pyarrow as pa

        for name, values in columns.items():
            frame = frame.append_column(name, pa.array(values))
        return frame
    return {**frame, **columns}


def alongside(data: Any, columns: Mapping[str, Any]) -> Any:
    """Columns alone, in the kind of ``data`` and with its row labels; a dict for arrays and lists.

    Parameters
    ----------
    data : any
        Has a row for each of them.
    columns : mapping from str to array, shape (m,)
        By name.

    Raises
    ------
    InvalidInput
        A dataframe or Series of another number of rows.
    """
    kind, n = library(data), len(next(iter(columns.values())))
    if kind and hasattr(data, "__len__") and len(data) != n:
        raise InvalidInput(
            f"like has {len(data)} rows, and there are {n} predictions: give the data that they "
            "were made of"
        )
    if kind == "pandas":
        import pandas as pd

        return pd.DataFrame(columns, index=data.index)
    if kind == "polars":
        import polars as pl

        return pl.DataFrame(columns)
    if kind == "pyarrow" or (not isinstance(data, Mapping) and hasattr(data, "__arrow_c_stream__")):
        import pyarrow as pa

        return pa.table(dict(columns))
    return dict(columns)
