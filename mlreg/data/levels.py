"""The levels of categorical columns that are read a batch at a time."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlreg.data.columns import Categories, as_number, reads_as_number
from mlreg.data.evaluate import evaluate
from mlreg.data.formula import FormulaDesign, has_intercept, response_of
from mlreg.data.lazy import Rows, columns_of_batch
from mlreg.data.names import Parsed, beyond_its_row
from mlreg.data.table import Table
from mlreg.errors import InvalidInput, InvalidType

__all__ = [
    "Picked",
    "WholeColumns",
    "collect_levels",
    "design_from_levels",
    "levels_of_first",
    "refuse_numerals",
    "refuse_unseen",
    "refuse_whole_columns",
]

MOST = 10_000
"""Levels beyond which a column is no category: its coefficients alone would need gigabytes."""


class WholeColumns(InvalidInput):
    """A term of the formula needs all rows at once, and out of core there are only some."""


Picked = tuple[Rows, Table, NDArray[np.intp]]
"""A batch, its columns, and which of its rows count."""


def collect_levels(batches: Iterable[Picked], kinds: Mapping[str, str]) -> dict[str, list[Any]]:
    """Levels that the rows hold, for each column of ``kinds``: one pass.

    Those of text and of numbers are sorted; those of an Arrow dictionary keep its order.

    Raises
    ------
    InvalidInput
        If a column has too many.
    """
    seen: dict[str, set[Any]] = {name: set() for name in kinds}
    order: dict[str, dict[Any, None]] = {name: {} for name in kinds}
    n = 0
    for place, table, rows in batches:
        n += len(rows)
        for name in kinds:
            found = _levels_in(table, name, rows)
            seen[name].update(found)
            column = table.column(name)
            order[name].update(
                dict.fromkeys(column.levels if isinstance(column, Categories) else found)
            )
            if len(seen[name]) > MOST:
                raise InvalidInput(
                    f"column {name!r} has more than {MOST} levels by {place.place(0)}: a "
                    "coefficient for each cannot be estimated. Make it numbers, or leave it out"
                )
    for name, levels in seen.items():
        if len(levels) >= max(n, 100):
            raise InvalidInput(
                f"column {name!r} has {len(levels)} levels in {n} rows: a coefficient for each "
                "cannot be estimated. Make it numbers, or leave it out"
            )
    return {
        name: [v for v in order[name] if v in levels]
        if kinds[name] == "category"
        else sorted(levels)
        for name, levels in seen.items()
    }


def levels_of_first(batch: Any, kinds: Mapping[str, str]) -> dict[str, list[Any]]:
    """Levels that the first batch of a stream, which is read only once, says there are.

    Raises
    ------
    InvalidInput
        If it does not: only dictionaries know levels that no row has shown.
    """
    unknown = [name for name, kind in kinds.items() if kind != "category"]
    if unknown or batch is None:
        raise InvalidInput(
            f"the levels of {', '.join(map(repr, unknown or kinds))} are not known before the rows "
            "have been read, and this stream can be read only once: give a function that returns a "
            "new stream each time, make the column dictionary-encoded, or write the rows to Parquet"
        )
    columns = columns_of_batch(batch)
    found = {name: columns.column(name) for name in kinds}
    return {name: list(c.levels) for name, c in found.items() if isinstance(c, Categories)}


def _levels_in(table: Table, name: str, rows: NDArray[np.intp]) -> dict[Any, int]:
    """Levels that some rows hold, each with the first row that holds it."""
    column = table.column(name)
    if isinstance(column, Categories):
        at = np.full(len(column.levels), -1)
        at[column.codes[rows[::-1]]] = rows[::-1]  # of equal ones the first row stays
        return {v: i for v, i in zip(column.levels, at.tolist(), strict=True) if i >= 0}
    values, where = np.unique(as_number(column, f"column {name!r}")[rows], return_index=True)
    numbers = values.astype(np.float64).tolist()
    return dict(zip(numbers, rows[where].tolist(), strict=True))


def refuse_unseen(picked: Picked, known: Mapping[str, frozenset[Any]]) -> None:
    """Raise where rows hold a level that was not collected."""
    place, table, rows = picked
    for name, levels in known.items():
        found = _levels_in(table, name, rows)
        unseen = {v: i for v, i in found.items() if v not in levels}
        if unseen:
            value, row = min(unseen.items(), key=lambda item: item[1])
            raise InvalidInput(
                f"column {name!r} holds {value!r} at {place.place(row)}, which is none of its "
                f"{len(levels)} levels: the file has changed since they were collected, or the "
                "first batch of a stream did not know it"
            )


def refuse_numerals(name: str, levels: Sequence[Any]) -> None:
    """Raise where text outside of C() reads as numbers: it would become a category unasked."""
    numerals = [level for level in levels if reads_as_number(level)]
    if numerals:
        word = next((level for level in levels if level not in numerals), None)
        but = f" but for {word!r}" if word is not None else f", such as {numerals[0]!r}"
        raise InvalidType(
            f"column {name!r} is text that reads as numbers{but}: make it numbers (missing cells "
            f"of a file are empty or NA), or write C({name}) if these are categories"
        )


def refuse_whole_columns(parsed: Parsed, formula: str) -> None:
    """Raise where a term might need more than its own row."""
    term = beyond_its_row([*parsed.response, *parsed.terms])
    if term is not None:
        raise _whole_columns(formula, f"{term!r} is not known to need its own row alone")


def _whole_columns(formula: str, why: str) -> WholeColumns:
    return WholeColumns(
        f"formula {formula!r}: out of core {why} (and C() takes the name of a column). Make it a "
        "column of the data, or fit in memory: fit(formula, dataframe)"
    )


def design_from_levels(
    parsed: Parsed,
    formula: str,
    kinds: Mapping[str, str],
    used: Sequence[str],
    levels: Mapping[str, Sequence[Any]],
) -> FormulaDesign:
    """The design of a formula, from the levels alone.

    Parameters
    ----------
    parsed : Parsed
        The formula, taken apart; no term needs other rows than its own.
    formula : str
        Its text.
    kinds : dict
        For each column of both sides its kind, as of `LazyTable`.
    used : sequence of str
        Columns of the right-hand side.
    levels : dict
        Levels of the categorical columns, and of the numbers in C().
    """
    import pandas

    # No term reads other rows, so that any rows with all levels make the same columns.
    n = max([2, *map(len, levels.values())])
    data: dict[str, Any] = {}
    for name, kind in kinds.items():
        codes = np.arange(n) % max(len(levels.get(name, ())), 1)
        if name not in levels:
            data[name] = np.ones(n)
        elif kind in ("text", "category"):
            data[name] = pandas.Categorical.from_codes(codes, categories=list(levels[name]))
        else:
            data[name] = np.asarray(levels[name], dtype=np.float64)[codes]
    frame = pandas.DataFrame(data, index=range(n))
    response_of(parsed, frame, formula)
    made = evaluate(parsed.terms, frame, formula, {}, {})
    if made.transforms:
        raise _whole_columns(formula, f"{next(iter(made.transforms))!r} needs the whole column")
    return FormulaDesign(
        formula=formula,
        names=made.names,
        intercept=has_intercept(parsed),
        response=str(parsed.response[0]),
        columns={
            name: tuple(levels[name]) if kinds[name] in ("text", "category") else None
            for name in used
        },
        transforms={},
        encoders=made.encoders,
        transform=parsed.transform,
    )
