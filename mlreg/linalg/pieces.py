"""Rows whose columns lie in several arrays, side by side."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Pieces"]

F64 = NDArray[np.float64]


class Pieces:
    """Rows whose columns lie in several arrays, side by side; they are not copied.

    Parameters
    ----------
    parts : sequence of float64 arrays, shape (m,) or (m, j), or numbers
        The columns, in order; a number is a column of it, and there is at least one array.
    """

    def __init__(self, parts: Sequence[Any]) -> None:
        self.parts = tuple(parts)
        self._m = next(len(part) for part in parts if not isinstance(part, float))
        self.width = sum(_width(part) for part in parts)

    def __len__(self) -> int:
        return self._m

    @cached_property
    def array(self) -> F64:
        """All columns in one array, shape (m, k): by columns where most of them came so."""
        if len(self.parts) == 1:
            whole: F64 = self.parts[0]
            return whole
        whole = np.empty((self._m, self.width), order="F" if self.by_columns else "C")
        for part, at in self._placed():
            whole[:, at] = part
        return whole

    @property
    def by_columns(self) -> bool:
        """Whether the largest part, the last of them, has its columns in one piece each."""
        largest = max(self.parts, key=_width)
        return _width(largest) == 1 or largest.strides[0] < largest.strides[1]

    @property
    def constant(self) -> set[int]:
        """Positions of the columns that are given as numbers."""
        return {at for part, at in self._placed() if isinstance(part, float)}  # type: ignore[misc]

    @property
    def first(self) -> Any:
        """Column 0: one number where it is that in every row, else the array."""
        part = self.parts[0]
        if isinstance(part, float):
            return part
        column = part if part.ndim == 1 else part[:, 0]
        return float(column[0]) if (column == column[0]).all() else column

    def minus(self, row: F64, out: F64) -> None:
        """Subtract the same numbers, shape (k,), from each row, into ``out``, shape (m, k)."""
        for part, at in self._placed():
            if isinstance(part, float) or part.ndim == 1:
                np.subtract(part, row[at], out=out[:, at])
            else:
                _subtract(part, row[at], out[:, at])

    def _placed(self) -> Iterator[tuple[Any, Any]]:
        """Each part, and the index of its column, or the slice of its columns."""
        at = 0
        for part in self.parts:
            width = _width(part)
            yield part, at if isinstance(part, float) or part.ndim == 1 else slice(at, at + width)
            at += width


def _width(part: Any) -> int:
    return 1 if isinstance(part, float) or part.ndim == 1 else int(part.shape[1])


def _subtract(rows: F64, row: F64, out: F64) -> None:
    """Subtract from each row; several rows at once where that can be, for loops should be long."""
    m, k = rows.shape
    whole = 0
    if k and rows.flags.c_contiguous and out.flags.c_contiguous:
        many = max(1, min(m, 512 // k))
        whole = m - m % many
        wide = (whole // many, many * k)
        np.subtract(rows[:whole].reshape(wide), np.tile(row, many), out=out[:whole].reshape(wide))
    np.subtract(rows[whole:], row, out=out[whole:])
