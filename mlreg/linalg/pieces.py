"""Rows whose columns lie in several arrays, side by side."""

from collections.abc import Sequence
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
    parts : sequence of float64 arrays, shape (m,) or (m, j), or of numbers
        The columns, in order; a number is a column of it, and the last one is an array.
    """

    def __init__(self, parts: Sequence[Any]) -> None:
        self.parts = tuple(parts)
        self._at: list[Any] = []  # the column of each part, or the slice of its columns
        self.width = 0
        for part in parts:
            if isinstance(part, float) or part.ndim == 1:
                self._at.append(self.width)
                self.width += 1
            else:
                self._at.append(slice(self.width, self.width + part.shape[1]))
                self.width += part.shape[1]

    def __len__(self) -> int:
        return len(self.parts[-1])

    @cached_property
    def array(self) -> F64:
        """All columns in one array, shape (m, k)."""
        if len(self.parts) == 1 and self.parts[0].ndim == 2:
            whole: F64 = self.parts[0]
            return whole
        whole = np.empty((len(self), self.width), order="F" if self.by_columns else "C")
        for part, at in zip(self.parts, self._at, strict=True):
            whole[:, at] = part
        return whole

    @property
    def by_columns(self) -> bool:
        """Whether each column is in one piece, and not each row."""
        matrices = (part for part in self.parts if not isinstance(part, float) and part.ndim == 2)
        return all(part.strides[0] < part.strides[1] for part in matrices)

    @property
    def constant(self) -> set[int]:
        """Positions of the columns that are given as numbers."""
        given = zip(self.parts, self._at, strict=True)
        return {at for part, at in given if isinstance(part, float)}

    @property
    def first(self) -> Any:
        """Column 0: one number where it is the same in every row, else the array."""
        part = self.parts[0]
        if isinstance(part, float):
            return part
        column = part if part.ndim == 1 else part[:, 0]
        return float(column[0]) if (column == column[0]).all() else column

    def minus(self, row: F64, out: F64) -> None:
        """Subtract the same numbers, shape (k,), from each row, into ``out``, shape (m, k)."""
        for part, at in zip(self.parts, self._at, strict=True):
            if isinstance(at, int):
                np.subtract(part, row[at], out=out[:, at])
            else:
                _subtract(part, row[at], out[:, at])


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
