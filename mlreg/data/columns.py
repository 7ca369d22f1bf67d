"""What one column can hold, and the gate that lets only real numbers through.

A column is a NumPy array (numbers, dates, or an object array of text), a
`Categories`, or an `Unusable` kind of value, which only hurts when it is used.
"""

import math
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from numbers import Real
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mlreg.errors import InvalidInput, InvalidType, NumericalWarning

__all__ = [
    "Categories",
    "Column",
    "Unusable",
    "as_number",
    "is_text",
    "missing_rows",
    "normalise",
    "pick",
]

EXACT = 2**53
"""Integers beyond this magnitude need not have a float64 of their own."""

NUMERAL = re.compile(
    r"\s*[-+]?\s*[$€£¥]?\s*[-+]?(\d[\d.,'\s]*|\.\d+)(e[-+]?\d+)?\s*[%$€£¥]?\s*", re.IGNORECASE
)
"""Numbers as people write them: with separators, in percent, in money; dates with dots, too."""


@dataclass(frozen=True, eq=False)
class Categories:
    """A column of categories whose levels have an order of their own.

    Attributes
    ----------
    codes : integer array, shape (n,)
        Position of each row's level; -1 where the value is missing.
    levels : tuple of str, int, float or bool
        The levels, in order; some may be unused.
    """

    codes: NDArray[np.int64]
    levels: tuple[Any, ...]

    def __len__(self) -> int:
        return len(self.codes)


@dataclass(frozen=True)
class Unusable:
    """A column of a kind that no model can use, such as lists or bytes."""

    kind: str
    size: int

    def __len__(self) -> int:
        return self.size


Column: TypeAlias = NDArray[Any] | Categories | Unusable


def pick(column: Column, rows: Any) -> Column:
    """Some rows of a column."""
    if isinstance(column, Unusable):
        return Unusable(column.kind, len(rows))
    if isinstance(column, Categories):
        return Categories(column.codes[rows], column.levels)
    return np.asarray(column[rows])


def is_missing(value: object) -> bool:
    """Whether one object stands for "no value": None, NaN, or the NA of pandas."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, (float, np.floating, Decimal)) and math.isnan(value)


def normalise(a: NDArray[Any]) -> Column:
    """One-dimensional array as a column: text and missing objects in their one form.

    Text of any NumPy kind becomes an object array of str with None for missing.
    """
    if a.dtype.kind in "UT":
        a = a.astype(object)
    if a.dtype.kind in "SV":
        return Unusable("bytes" if a.dtype.kind == "S" else "records", len(a))
    if a.dtype.kind == "O":
        out = np.empty(len(a), dtype=object)
        out[:] = [None if is_missing(v) else v for v in a]
        return out
    return a


def is_text(column: Column) -> bool:
    """Whether the column is an object array that holds at least one text."""
    return (
        isinstance(column, np.ndarray)
        and column.dtype.kind == "O"
        and any(isinstance(v, str) for v in column)
    )


def missing_rows(column: Column) -> NDArray[np.bool_]:
    """True for the rows without a value, shape (n,)."""
    if isinstance(column, Categories):
        return np.asarray(column.codes < 0)
    if isinstance(column, Unusable):
        return np.zeros(len(column), dtype=bool)
    if column.dtype.kind == "O":
        return np.array([v is None for v in column], dtype=bool)
    if column.dtype.kind in "fc":
        return np.asarray(np.isnan(column))
    if column.dtype.kind in "mM":
        return np.asarray(np.isnat(column))
    return np.zeros(len(column), dtype=bool)


def as_number(column: Column, what: str, names: Sequence[str] | None = None) -> NDArray[Any]:
    """The column, or a matrix of columns, as real numbers in their own precision.

    Parameters
    ----------
    column : Column or array, shape (n,) or (n, k)
        Values to let through.
    what : str
        How messages call them, such as ``"y"`` or ``"column 'x1'"``.
    names : sequence of str, optional
        Names of the k columns, for messages; ``x1``, ``x2``, ... by default.

    Returns
    -------
    array, of the shape of ``column``
        Boolean, integer or floating, in native byte order; objects become
        float64, missing ones NaN. The array itself wherever it already is that.

    Raises
    ------
    InvalidType
        Text, categories, dates, complex numbers, records, or other objects.

    Warns
    -----
    NumericalWarning
        Where integers beyond 2**53, or extended precision, change in float64.
    """
    if isinstance(column, Categories):
        raise InvalidType(
            f"{what} is categorical (levels {_some(column.levels)}), not a number: "
            "write C(column) in a formula, or turn it into numbers"
        )
    if isinstance(column, Unusable):
        raise InvalidType(
            f"{what} holds {column.kind}, not numbers: leave it out or convert it, "
            "as to text by .astype(str)"
        )
    kind = column.dtype.kind
    exact: NDArray[np.bool_] | None
    if kind in "SUT":
        _refuse_text(column.astype(object), what, names)
    if kind == "c":
        raise InvalidType(
            f"{what} is complex: the model is for real numbers; give its .real and .imag as columns"
        )
    if kind in "mM":
        raise InvalidType(
            f"{what} holds {'dates or times' if kind == 'M' else 'time differences'}, not numbers: "
            "turn them into numbers, such as seconds since a start"
        )
    if kind == "V":
        raise InvalidType(f"{what} is an array of records: give a plain array, or a table by name")
    if kind == "O":
        column, exact = _from_objects(column, what, names)
    else:
        if not column.dtype.isnative:
            column = column.astype(column.dtype.newbyteorder("="))
        exact = _unchanged_by_float64(column)
    if exact is not None and not exact.all():
        _warn_of_change(~exact, column.dtype, what, names)
    return column


def _some(values: Sequence[Any], at_most: int = 5) -> str:
    """The first few of several values, for a message."""
    shown = ", ".join(repr(v) for v in values[:at_most])
    return shown + (", ..." if len(values) > at_most else "")


def _place(index: tuple[int, ...], names: Sequence[str] | None) -> str:
    """Row, and column of a matrix, of one element, for a message."""
    if len(index) == 1:
        return f"row {index[0]}"
    return f"row {index[0]}, column {names[index[1]] if names else f'x{index[1] + 1}'!r}"


def reads_as_number(text: object) -> bool:
    """Whether a text is a numeral, such as ``"1.5"``, ``"$1,200"``, ``"0,8 %"`` or ``"1e3"``."""
    plain = text.decode("utf-8", "ignore") if isinstance(text, bytes) else text
    return isinstance(plain, str) and NUMERAL.fullmatch(plain) is not None


def _refuse_text(a: NDArray[Any], what: str, names: Sequence[str] | None) -> None:
    texts = [i for i in np.ndindex(a.shape) if isinstance(a[i], (str, bytes))]
    # In a column of numbers that was read as text, the stray word is what to look for.
    index = next((i for i in texts if not reads_as_number(a[i])), texts[0] if texts else None)
    found = "" if index is None else f", first {a[index]!r} at {_place(index, names)}"
    raise InvalidType(
        f"{what} holds text{found}: give numbers; for categories use a formula with C(column)"
    )


def _from_objects(
    a: NDArray[Any], what: str, names: Sequence[str] | None
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Object array of real numbers as float64, and where that changed no integer."""
    out = np.empty(a.shape)
    exact = np.ones(a.shape, dtype=bool)
    for index in np.ndindex(a.shape):
        value = a[index]
        if is_missing(value):
            out[index] = math.nan
            continue
        if isinstance(value, (str, bytes)):
            _refuse_text(a, what, names)
        if not isinstance(value, (Real, Decimal, np.bool_)):
            raise InvalidType(
                f"{what} holds {type(value).__name__}, first {value!r} at {_place(index, names)}: "
                "only real numbers can be used"
            )
        try:
            out[index] = float(value)
        except OverflowError:
            raise InvalidInput(
                f"{what} holds a number beyond the range of float64 at {_place(index, names)}: "
                "rescale it"
            ) from None
        if isinstance(value, int):
            exact[index] = int(out[index]) == value
    return out, exact


def _unchanged_by_float64(a: NDArray[Any]) -> NDArray[np.bool_] | None:
    """Where the elements survive float64; None, without a look, where the type says all do."""
    if a.dtype.itemsize < 8 or a.size == 0 or a.dtype == np.float64:
        return None
    if a.dtype.kind in "iu" and -EXACT <= int(a.min()) and int(a.max()) <= EXACT:
        return None
    with np.errstate(invalid="ignore", over="ignore"):
        as_float = a.astype(np.float64)
        same = (as_float.astype(a.dtype) == a) | (a != a)
    if a.dtype.kind in "iu":  # what rounds up to 2**63 or 2**64 does not come back
        same &= as_float < float(np.iinfo(a.dtype).max)
    return np.asarray(same)


def warn_of_integers(what: str) -> None:
    """Warn that some integers of ``what`` have no float64 of their own."""
    warnings.warn(
        f"integers beyond 2**53 change when read as float64: some of {what}; "
        "subtract an offset first to keep their digits",
        NumericalWarning,
        stacklevel=4,
    )


def _warn_of_change(
    changed: NDArray[np.bool_], dtype: np.dtype[Any], what: str, names: Sequence[str] | None
) -> None:
    kind = "extended-precision numbers" if dtype == np.longdouble else "integers beyond 2**53"
    if dtype == np.float64:
        kind = "integers beyond 2**53"
    if changed.ndim == 2:
        columns = [
            f"{int(c)} of column {names[j] if names else f'x{j + 1}'!r}"
            for j, c in enumerate(changed.sum(axis=0))
            if c
        ]
        count = " and ".join(columns) + f" of {what}"
    else:
        count = f"{int(changed.sum())} of {what}"
    warnings.warn(
        f"{kind} change when read as float64: {count}; "
        "subtract an offset first to keep their digits",
        NumericalWarning,
        stacklevel=4,
    )
