"""The array door: whatever holds numbers in rows, as NumPy arrays."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlreg.data.columns import as_number
from mlreg.data.table import Table, as_table, is_frame, raw_array, read_column
from mlreg.errors import InvalidInput, InvalidType

__all__ = ["as_matrix", "as_vector", "check_labels"]

Array = NDArray[Any]


def as_matrix(X: Any, what: str = "X") -> tuple[Array, list[str] | None]:
    """Rows of numbers as a NumPy array, with the names of its columns where it has them.

    Parameters
    ----------
    X : array-like, shape (n, k) or (n,)
        A NumPy, PyTorch or other array-API array, a list, a pandas or polars
        DataFrame or Series, or anything with an Arrow C stream. One dimension
        is one column.
    what : str
        How messages call it.

    Returns
    -------
    X : array, shape (n, k)
        Of its own precision; not copied where it is an array of numbers.
        Objects become float64; null, None and NA become NaN.
    names : list of str or None
        Names of the columns.

    Raises
    ------
    InvalidType
        Masked, sparse, complex, text, dates, categories, or not an array.
    InvalidInput
        More than two dimensions.

    Warns
    -----
    NumericalWarning
        Where integers beyond 2**53 change in float64.
    """
    if isinstance(X, Table) or is_frame(X):
        return matrix_of(as_table(X), what)
    if isinstance(X, (Mapping, str, bytes)):
        raise InvalidType(
            f"{what} must be an array of numbers; it is a {type(X).__name__}: for a table of named "
            "columns use a formula"
        )
    if is_series(X):
        name = response_name(X, "")
        return as_vector(X, what)[:, None], [name] if name else None
    a = raw_array(X, what)
    if a.ndim > 2:
        raise InvalidInput(f"{what} must have two dimensions, rows and columns; it has {a.ndim}")
    a = as_number(a, what)
    return (a[:, None] if a.ndim == 1 else a), None


def as_vector(y: Any, what: str = "y", n: int | None = None) -> Array:
    """Return one number for each row, as a one-dimensional NumPy array.

    Parameters
    ----------
    y : array-like, shape (n,) or (n, 1)
        As in `as_matrix`.
    what : str
        How messages call it.
    n : int, optional
        The length that it must have.

    Returns
    -------
    array, shape (n,)
        Of its own precision, not copied where it is an array of numbers.

    Raises
    ------
    InvalidType
        As in `as_matrix`.
    InvalidInput
        Several columns, or another length than n.
    """
    if is_series(y):
        a = as_number(read_column(y, what), what)
    elif isinstance(y, Table) or is_frame(y):
        a = matrix_of(as_table(y), what)[0]
    elif isinstance(y, (Mapping, str, bytes)):
        raise InvalidType(f"{what} must be an array of numbers; it is a {type(y).__name__}")
    else:
        a = raw_array(y, what)
        a = as_number(a, what) if a.ndim <= 2 else a
    if a.ndim == 2 and a.shape[1] == 1:
        a = a[:, 0]
    if a.ndim != 1:
        raise InvalidInput(
            f"{what} must hold one number for each row; its shape is {a.shape}"
            + (": fit several responses one at a time" if a.ndim == 2 else "")
        )
    if n is not None and len(a) != n:
        raise InvalidInput(f"{what} has {len(a)} values for {n} rows: give one for each row")
    return a


def matrix_of(table: Table, what: str) -> tuple[Array, list[str]]:
    """All columns of a table side by side, in the precision that holds them all; shape (n, k)."""
    names = list(table.columns)
    columns = [as_number(table.columns[name], f"column {name!r} of {what}") for name in names]
    dtype = np.result_type(*columns) if columns else np.dtype(np.float64)
    out = np.empty((table.n_rows, len(names)), dtype=dtype, order="F")
    for j, column in enumerate(columns):
        out[:, j] = column
    return out, names


def response_name(y: Any, default: str = "y") -> str:
    """Name that a Series or a dataframe of one column carries, else the default."""
    name = getattr(y, "name", None)
    if name is None and not isinstance(y, np.ndarray) and is_frame(y):
        names = list(as_table(y).columns)
        name = names[0] if len(names) == 1 else None
    return name if isinstance(name, str) and name else default


def is_series(values: Any) -> bool:
    """Whether the object is one column of a dataframe library or of Arrow."""
    if isinstance(values, Table) or is_frame(values):
        return False
    return (
        hasattr(values, "__arrow_c_stream__")
        or (hasattr(values, "to_numpy") and hasattr(values, "dtype"))
        or hasattr(values, "__arrow_c_array__")
    )


def check_labels(what: str, X: Any, others: Mapping[str, Any]) -> Any:
    """Raise where pandas objects side by side label their rows differently; their index, or None.

    Parameters
    ----------
    what : str
        How messages call X.
    X : object
        Of any kind.
    others : mapping
        What has the same rows, by its name; the first that has labels stands for an X without.
    """
    index: Any = getattr(X, "index", None)
    for name, other in others.items():
        labels: Any = getattr(other, "index", None)
        if not hasattr(labels, "equals"):
            continue
        if not hasattr(index, "equals"):
            what, index = name, labels
        elif len(index) == len(labels) and not index.equals(labels):
            row = int(np.argmax(np.asarray(index) != np.asarray(labels)))
            raise InvalidInput(
                f"the rows of {what} and of {name} are labelled differently, first "
                f"{index[row]!r} and {labels[row]!r} at row {row}: align them, as by "
                f"{name}.loc[{what if what.isidentifier() else 'X'}.index], or take rows as they "
                f"come, by {name}.to_numpy()"
            )
    return index if hasattr(index, "equals") else None
