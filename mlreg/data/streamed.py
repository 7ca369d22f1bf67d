"""`StreamedSource`: the design of a formula, out of core."""

import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlreg.data.arrow import from_array
from mlreg.data.columns import as_number, missing_rows
from mlreg.data.evaluate import refuse_nonfinite
from mlreg.data.formula import frame_of, response_of
from mlreg.data.lazy import LazyTable, Rows, columns_of_batch
from mlreg.data.levels import (
    Picked,
    collect_levels,
    design_from_levels,
    levels_of_first,
    refuse_numerals,
    refuse_unseen,
    refuse_whole_columns,
)
from mlreg.data.names import bare_columns, categorised, columns_of, parse, plain_columns
from mlreg.data.progress import Bar, shown
from mlreg.data.rechunk import coalesce, rechunk, shuffle
from mlreg.errors import InvalidInput, InvalidType
from mlreg.likelihood.blocks import Block, PiecedBlock, check_weights, surely_finite
from mlreg.likelihood.transform import Transform, refuse_outside
from mlreg.linalg.pieces import Pieces

__all__ = ["StreamedSource"]

F64 = NDArray[np.float64]

BLOCK_BYTES = 1 << 21
"""Size of a block: it stays in a processor's cache, and calls per block cost little beside it."""


class StreamedSource:
    """The design of a formula, block by block from a `LazyTable`: a `Source`.

    Parameters
    ----------
    table : LazyTable
        Where the rows come from.
    formula, frequency_weights, precision_weights, missing, progress
        As for `read`.
    transform : str or Transform, optional
        Of the response; a formula says it itself by ``log(y) ~ x``.

    Attributes
    ----------
    names : tuple of str
        Names of the columns of the design.
    n_rows : int or None
        Number of observations where the files tell; None with weights or
        ``missing="drop"``, and of CSV files.
    rereadable : bool
        Whether the rows can be read again.
    design : FormulaDesign
        Makes rows of the design from new data.
    left_out : int
        Rows that the last complete pass left out for missing values.
    rows_in_all : int or None
        Rows of the table, with those that are left out.
    transform : Transform or None
        What the responses of the blocks have been transformed by.
    checked : bool
        True: its blocks are finite, and weights are weights.
    """

    checked = True

    def __init__(
        self,
        table: LazyTable,
        formula: str,
        *,
        frequency_weights: str | None = None,
        precision_weights: str | None = None,
        missing: str = "raise",
        progress: bool | None = None,
        transform: Transform | str | None = None,
    ) -> None:
        if missing not in ("raise", "drop"):
            raise InvalidInput(f"missing must be one of 'raise', 'drop'; it is {missing!r}")
        self.table, self.missing = table, missing
        self._weights = _weight_columns(table, frequency_weights, precision_weights)
        spoken_for = set(self._weights.values())
        # A dot in the formula stands for every column but the weights.
        parsed = parse(formula, [n for n in table.names if n not in spoken_for], transform)
        self.transform = parsed.transform
        left = columns_of(parsed.response, table.names, formula)
        right = columns_of(parsed.terms, table.names, formula)
        self._used = list(dict.fromkeys([*left, *right]))
        refuse_whole_columns(parsed, formula)
        self._parsed = parsed
        self._levels = self._collect(progress)
        kinds = {name: table.kinds[name] for name in self._used}
        self.design = design_from_levels(parsed, formula, kinds, right, self._levels)
        self._known = {name: frozenset(levels) for name, levels in self._levels.items()}
        self._plain = self._fast_columns()
        if not self.design.names:
            raise InvalidInput(f"formula {formula!r} has no columns: add one, or an intercept")
        self._columns = {
            name: tuple(self._levels[name]) if kind in ("text", "category") else None
            for name, kind in kinds.items()
        }
        self.names = self.design.names
        self.rereadable = table.rereadable
        self.rows_in_all = table.n_rows
        counted = missing == "raise" and not self._weights
        self.n_rows: int | None = table.n_rows if counted else None
        self.left_out = 0

    def __repr__(self) -> str:
        return f"<StreamedSource: {self.design.formula} of {self.table!r}>"

    def blocks(
        self, size: int | None = None, rng: np.random.Generator | None = None
    ) -> Iterator[Block]:
        """Each row once, in order; ``size`` rows at a time, or about 2 MB.

        With ``rng`` they come in one random order, each of the n! as likely as another, however the
        files are sorted. Where they take more than some 64 MB, that is by way of temporary files,
        in which the rows of the design take 8 bytes a number; see `shuffle`.
        """
        columns = [*self._used, *self._weights.values()]
        natural = max(1024, BLOCK_BYTES // (8 * (len(self.names) + 1)))
        batches = self.table.batches(list(dict.fromkeys(columns)), natural)
        blocks = coalesce(self._blocks(batches), natural // 2)
        if rng is not None:
            blocks = shuffle(blocks, rng)
        return blocks if size is None else rechunk(blocks, size)

    def _blocks(self, batches: Iterable[Rows]) -> Iterator[Block]:
        n = left_out = 0
        said: set[str] = set()
        for rows in batches:
            with _once(said):
                block, gaps = self._fast_block(rows) if self._plain else self._block(rows)
            left_out += gaps
            n += len(block.y)
            yield block
        if not n:
            raise InvalidInput(
                "no row is left: there are none, or every row lacks a value or has weight zero"
            )
        if self.n_rows not in (None, n):
            raise InvalidInput(
                f"the files said that they have {self.n_rows} rows, and {n} were read: they have "
                "changed; read them anew"
            )
        self.left_out = left_out

    def labels(self, name: str) -> Iterator[Any]:
        """A column of the same rows in order, as it is; missing values are an error. One pass."""
        self.table.kind(name)  # an error where there is none of that name
        columns = list(dict.fromkeys([*self._used, *self._weights.values(), name]))
        natural = max(1024, BLOCK_BYTES // (8 * (len(columns) + 1)))
        for rows in self.table.batches(columns, natural):
            (_, _, picked), _, _ = self._pick(rows, self._used)
            column = rows.batch.column(name)
            lacking = missing_rows(from_array(column))[picked]
            if lacking.any():
                place = rows.place(int(picked[int(lacking.argmax())]))
                raise InvalidInput(f"a missing label in {name!r}, first at {place}")
            yield column.to_numpy(zero_copy_only=False)[picked]

    def place(self, i: int) -> str:
        """Where row i of those in use is, for a message; it reads them up to there."""
        columns = list(dict.fromkeys([*self._used, *self._weights.values()]))
        for rows in self.table.batches(columns, 2**16):
            (_, _, picked), _, _ = self._pick(rows, self._used)
            if i < len(picked):
                return rows.place(int(picked[i]))
            i -= len(picked)
        raise AssertionError("there are fewer rows")

    # One batch

    def _pick(self, rows: Rows, names: Sequence[str]) -> tuple[Picked, dict[str, F64], int]:
        """The rows of a batch that count, their weights, and how many lack a value."""
        table = columns_of_batch(rows.batch)
        keep, weights = self._weighted(rows)
        gaps = np.zeros(table.n_rows, dtype=bool)
        for name in names:
            lacking = missing_rows(table.column(name)) & keep
            if lacking.any():
                self._refuse_gap(name, rows, int(lacking.argmax()))
                gaps |= lacking
        picked = np.flatnonzero(keep & ~gaps)
        return (rows, table, picked), {k: w[picked] for k, w in weights.items()}, int(gaps.sum())

    def _weighted(self, rows: Rows) -> tuple[NDArray[np.bool_], dict[str, F64]]:
        """Where no weight is zero (that is the row removed), and the weights."""
        keep, weights = np.ones(rows.batch.num_rows, dtype=bool), {}
        for kind, name in self._weights.items():
            w = _number(rows.batch.column(name), name).astype(np.float64)
            with _in(rows):
                check_weights(w, kind, some=True, first_row=rows.first)
            keep &= w > 0
            weights[kind] = w
        return keep, weights

    def _refuse_gap(self, name: str, rows: Rows, row: int) -> None:
        if self.missing == "raise":
            raise InvalidInput(
                f"a missing value in {name!r}, first at {rows.place(row)}; mend such rows, or "
                "leave them out with missing='drop'"
            )

    def _block(self, rows: Rows) -> tuple[Block, int]:
        """Any formula: formulaic builds the rows."""
        picked, weights, gaps = self._pick(rows, self._used)
        _, table, kept = picked
        refuse_unseen(picked, self._known)
        design = self.design
        if not len(kept):
            return Block(np.empty((0, len(self.names))), np.empty(0)), gaps
        with _in(rows):
            frame = frame_of(table, self._columns, kept)
            X, y = design.rows(frame), response_of(self._parsed, frame, design.formula)
            refuse_nonfinite(y[:, None], (design.response,), kept + rows.first)
            refuse_nonfinite(X, design.names, kept + rows.first)
        return Block(X, self._transformed(y, rows, kept), **weights), gaps

    def _transformed(self, y: F64, rows: Rows, at: NDArray[np.intp] | None = None) -> F64:
        """The responses of a batch, or of its rows ``at``, transformed."""
        if self.transform is None:
            return y
        with _in(rows):
            refuse_outside(self.transform, y, self.design.response, at, rows.first)
        return np.asarray(self.transform.forward(y))

    def _fast_columns(self) -> list[str]:
        """Columns of X and y, where the formula is a sum of columns of numbers; else none."""
        terms = plain_columns(self._parsed.terms)
        response = plain_columns(self._parsed.response)
        numbers = all(self.table.kinds[name] in ("number", "empty") for name in self._used)
        if terms is None or not response or not numbers:
            return []
        return [*terms, *response]

    def _fast_block(self, rows: Rows) -> tuple[Block, int]:
        """A sum of columns: they are taken as they are, and nothing else is done."""
        numbers = (_number(rows.batch.column(name), name) for name in self._plain)
        columns = [column.astype(np.float64, copy=False) for column in numbers]
        ones = [1.0] * self.design.intercept
        if not self._weights and all(map(surely_finite, columns)):
            y = self._transformed(columns.pop(), rows)
            return PiecedBlock(Pieces([*ones, *columns, y])), 0
        keep, weights = self._weighted(rows)
        values = Pieces([*ones, *columns]).array[keep]
        at, weights = np.flatnonzero(keep), {k: w[keep] for k, w in weights.items()}
        gaps = 0
        if not surely_finite(values):
            whole = self._complete(values, rows, at)
            gaps = len(values) - int(whole.sum())
            values, at, weights = (
                values[whole],
                at[whole],
                {k: w[whole] for k, w in weights.items()},
            )
        return Block(values[:, :-1], self._transformed(values[:, -1], rows, at), **weights), gaps

    def _complete(self, values: F64, rows: Rows, at: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Rows without NaN; infinity is an error, and NaN too unless it is to be dropped."""
        names = ["Intercept"] * self.design.intercept + self._plain
        for name, column in zip(names, values.T, strict=True):
            for bad, what in ((np.isnan(column), "NaN"), (np.isinf(column), "infinity")):
                if bad.any():
                    row = int(at[bad.argmax()])
                    if what == "NaN":
                        self._refuse_gap(name, rows, row)
                        continue
                    raise InvalidInput(
                        f"{what} in {name!r}, first at {rows.place(row)}; mend such rows"
                    )
        return np.asarray(~np.isnan(values).any(axis=1))

    # Levels

    def _collect(self, progress: bool | None) -> dict[str, list[Any]]:
        """Levels of the categorical columns, by one pass over what they need."""
        kinds, table = {}, self.table
        terms = [*self._parsed.response, *self._parsed.terms]
        counted = categorised(terms)
        for name in self._used:
            kind = table.kinds[name]
            if kind in ("text", "category") or name in counted:
                kinds[name] = kind
        if not kinds:
            return {}
        # Rows that will be left out have no say in which levels there are.
        look_at = self._used if self.missing == "drop" else list(kinds)
        columns = list(dict.fromkeys([*look_at, *self._weights.values()]))
        if not table.rereadable:
            levels = levels_of_first(getattr(table.parts[0], "first", None), kinds)
        elif shown(progress, True):
            with Bar("levels", table.n_rows) as bar:
                levels = collect_levels(self._picks(columns, look_at, bar), kinds)
        else:
            levels = collect_levels(self._picks(columns, look_at), kinds)
        for name, found in levels.items():
            if not found:
                raise InvalidInput(
                    f"column {name!r} has no levels: there are no rows, or every row lacks a "
                    "value or has weight zero"
                )
            if kinds[name] == "text" and name in bare_columns(terms, [name]):
                refuse_numerals(name, found)
        return levels

    def _picks(
        self, columns: Sequence[str], look_at: Sequence[str], bar: Bar | None = None
    ) -> Iterator[Picked]:
        said: set[str] = set()
        for rows in self.table.batches(columns, 1 << 16):
            with _once(said):
                picked, _, _ = self._pick(rows, look_at)
            yield picked
            if bar is not None:
                bar.add(rows.batch.num_rows)


def _weight_columns(table: LazyTable, frequency: Any, precision: Any) -> dict[str, str]:
    found = {}
    for kind, name in (("frequency", frequency), ("precision", precision)):
        if name is None:
            continue
        if not isinstance(name, str):
            raise InvalidType(
                f"out of core {kind}_weights is the name of a column, not of type "
                f"{type(name).__name__}"
            )
        if table.kind(name) not in ("number", "empty"):
            raise InvalidType(f"column {name!r} is {table.kind(name)}: weights are numbers")
        found[kind] = name
    return found


def _number(values: Any, name: str) -> Any:
    """A column of numbers."""
    column = from_array(values)
    if isinstance(column, np.ndarray) and column.dtype == np.float64:
        return column
    return as_number(column, f"column {name!r}")


@contextmanager
def _once(said: set[str]) -> Iterator[None]:
    """Warn of integers that lose digits once, and not of each batch."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for warning in caught:
        text = re.sub(r"\b\d+ of column", "some of column", str(warning.message))
        if text not in said:
            said.add(text)
            warnings.warn(text, warning.category, stacklevel=2)


@contextmanager
def _in(rows: Rows) -> Iterator[None]:
    """Errors about rows that are numbered within a file get its name."""
    try:
        yield
    except (InvalidInput, InvalidType) as error:
        raise type(error)(f"in {rows.part}: {error}") from error
