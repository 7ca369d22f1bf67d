"""Formulas: "y ~ x1 + C(group)" through formulaic, with missing values and levels checked here.

formulaic and pandas are imported only when a formula is used.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlreg.data.columns import Categories, Column, as_number, is_text, missing_rows, reads_as_number
from mlreg.data.evaluate import evaluate, refuse_nonfinite
from mlreg.data.names import Parsed, bare_columns, columns_of, parse, reads_other_rows
from mlreg.data.state import decode, encode
from mlreg.data.table import Table, as_table
from mlreg.errors import InvalidInput, InvalidType
from mlreg.likelihood.transform import Transform, as_transform, refuse_outside

__all__ = [
    "FormulaDesign",
    "fit_formula",
    "frame_of",
    "has_intercept",
    "response_of",
    "rows_with_gaps",
]

F64 = NDArray[np.float64]
Levels = tuple[Any, ...] | None  # of a column; None where it is a number


@dataclass(frozen=True, eq=False)
class FormulaDesign:
    """The design of a fit to a formula, with the levels and transforms of its data.

    Attributes
    ----------
    formula : str
        As it was given.
    names : tuple of str
        Names of the p columns of the design, ``Intercept`` first if there is one.
    intercept : bool
        Whether the formula has an intercept.
    response : str
        The left-hand side, without its transform.
    columns : dict
        For each column of the table that the right-hand side uses: the levels
        of a category, in order, or None for a number.
    transforms, encoders : dict
        What formulaic keeps of the data, such as the mean for ``center(x)``.
    row_bound : tuple of str
        Columns of the design that are no function of their own row alone,
        such as ``x - np.mean(x)``; they cannot be built for new data.
    scale : Design or None
        The design of the scale of the noise, where it differs from row to row.
    transform : Transform or None
        Of the response: the model is linear in ``transform.forward(response)``.
    """

    formula: str
    names: tuple[str, ...]
    intercept: bool
    response: str
    columns: dict[str, Levels]
    transforms: dict[str, Any]
    encoders: dict[str, Any]
    row_bound: tuple[str, ...] = ()
    scale: Any = None
    transform: Transform | None = None

    def matrix(self, X_new: Any) -> F64:
        """Rows of the design matrix for new data; the response is not needed.

        Parameters
        ----------
        X_new : table
            Anything that `as_table` takes, with the columns that the
            right-hand side of the formula uses.

        Returns
        -------
        array, shape (m, p)
            float64, the intercept included, by the levels and the transforms
            of the fit.

        Raises
        ------
        InvalidInput
            A column that is missing, NaN, a level that the fit has not seen,
            or a formula whose terms depend on other rows.
        """
        if self.row_bound:
            raise InvalidInput(
                f"{', '.join(self.row_bound)} depends on all rows of the fit, so that it has no "
                "value for new data: use center(), scale() or poly(), which remember the fit, or "
                "make it a column of the table"
            )
        table = as_table(X_new)
        gaps = rows_with_gaps(table, list(self.columns))
        if gaps:
            raise InvalidInput(
                f"missing values in the new data: {describe_gaps(gaps)}; mend or remove those rows"
            )
        X = self.rows(frame_of(table, self.columns))
        refuse_nonfinite(X, self.names, np.arange(table.n_rows))
        return X

    def rows(self, frame: Any) -> F64:
        """Rows of the design for a frame of `frame_of`, shape (m, p), not looked at."""
        parsed = parse(self.formula, self.columns)
        # A saved formula is a stranger's: only columns and known functions are evaluated.
        columns_of(parsed.terms, list(self.columns), self.formula)
        if len(frame) == 0:
            return np.empty((0, len(self.names)))
        made = evaluate(parsed.terms, frame, self.formula, self.transforms, self.encoders)
        if made.names != self.names:
            raise InvalidInput(
                f"formula {self.formula!r} makes other columns of the new data than of the fit's: "
                f"{', '.join(set(made.names) ^ set(self.names))}"
            )
        return made.matrix

    def response_values(self, table: Table) -> F64:
        """The left-hand side for new data, before any transform, shape (m,)."""
        parsed = parse(self.formula, self.columns)
        used = columns_of(parsed.response, list(table.columns), self.formula)
        gaps = rows_with_gaps(table, used)
        if gaps:
            raise InvalidInput(
                f"missing values in the new data: {describe_gaps(gaps)}; mend or remove those rows"
            )
        return response_of(parsed, frame_of(table, dict.fromkeys(used)), self.formula)

    def to_dict(self) -> dict[str, Any]:
        """Everything, in types of JSON.

        Raises
        ------
        InvalidType
            If a transform keeps something that JSON cannot hold.
        """
        what = f"formula {self.formula!r}"
        return {
            "kind": "formula",
            "formula": self.formula,
            "names": list(self.names),
            "intercept": self.intercept,
            "response": self.response,
            "columns": [[name, encode(levels, what)] for name, levels in self.columns.items()],
            "transforms": encode(self.transforms, what),
            "encoders": encode(self.encoders, what),
            "row_bound": list(self.row_bound),
            "scale": None if self.scale is None else self.scale.to_dict(),
            "transform": None if self.transform is None else self.transform.name,
        }

    @classmethod
    def from_dict(cls, d: Mapping[str, Any]) -> "FormulaDesign":
        """Restore a design from its `to_dict`."""
        return cls(
            formula=str(d["formula"]),
            names=tuple(d["names"]),
            intercept=bool(d["intercept"]),
            response=str(d["response"]),
            columns={name: None if v is None else tuple(v) for name, v in d["columns"]},
            transforms=decode(d["transforms"]),
            encoders=decode(d["encoders"]),
            row_bound=tuple(d["row_bound"]),
            transform=as_transform(d.get("transform")),
        )


def fit_formula(
    formula: str, parsed: Parsed, table: Table, rows: NDArray[np.intp]
) -> tuple[FormulaDesign, F64, F64]:
    """Build design matrix and response of a formula, from rows without gaps.

    Parameters
    ----------
    formula : str
        Its text.
    parsed : Parsed
        What `parse` made of it.
    table : Table
        The data.
    rows : integer array, shape (m,)
        The rows to use.

    Returns
    -------
    design : FormulaDesign
    X : array, shape (m, p)
    y : array, shape (m,)
        The response, not yet transformed.

    Raises
    ------
    InvalidInput, InvalidType
        If the formula does not fit the table, or gives values that are not finite.
    """
    available = list(table.columns)
    used = columns_of(parsed.terms, available, formula)
    both = {
        name: levels_of(table.columns[name], rows, name)
        for name in dict.fromkeys([*columns_of(parsed.response, available, formula), *used])
    }
    bare = bare_columns([*parsed.response, *parsed.terms], list(both))
    for name in used:
        if name not in bare or both[name] is not None:
            _refuse_many_levels(table.columns[name], both[name], rows, name, formula)
    for name in bare:
        _refuse_numerals(table.columns[name], both[name], rows, name)
    frame = frame_of(table, both, rows)
    response = str(parsed.response[0])
    y = response_of(parsed, frame, formula)
    refuse_nonfinite(y[:, None], (response,), rows)
    if parsed.transform is not None:
        refuse_outside(parsed.transform, y, response, rows)
    made = evaluate(parsed.terms, frame, formula, {}, {})
    refuse_nonfinite(made.matrix, made.names, rows)
    design = FormulaDesign(
        formula=formula,
        names=made.names,
        intercept=has_intercept(parsed),
        response=response,
        columns={name: both[name] for name in used},
        transforms=made.transforms,
        encoders=made.encoders,
        transform=parsed.transform,
    )
    if reads_other_rows(parsed.terms):
        bound = _row_bound(design, frame, made.matrix)
        design = FormulaDesign(**{**design.__dict__, "row_bound": bound})
    return design, made.matrix, y


def has_intercept(parsed: Parsed) -> bool:
    """Whether a term of the right-hand side is a constant."""
    return any(
        all(factor.eval_method.value == "literal" for factor in term.factors)
        for term in parsed.terms
    )


def rows_with_gaps(table: Table, names: Sequence[str]) -> dict[str, NDArray[np.bool_]]:
    """Rows without a value, for each of the named columns that has some."""
    found = {name: missing_rows(table.column(name)) for name in names}
    return {name: gaps for name, gaps in found.items() if gaps.any()}


def describe_gaps(gaps: Mapping[str, NDArray[np.bool_]]) -> str:
    """For a message: how many rows each column lacks, and the first of them."""
    parts = [f"{name!r} in {m.sum()} rows, first at row {m.argmax()}" for name, m in gaps.items()]
    return "; ".join(parts)


def levels_of(column: Column, rows: NDArray[np.intp], name: str) -> Levels:
    """Levels that the rows of a column use, in order; None where the column is a number."""
    if isinstance(column, Categories):
        present = set(column.codes[rows].tolist())
        return tuple(level for i, level in enumerate(column.levels) if i in present)
    if not is_text(column):
        return None
    assert isinstance(column, np.ndarray)
    values = set(column[rows].tolist())
    odd = next((i for i in rows if not isinstance(column[i], str)), None)
    if odd is not None:
        raise InvalidType(
            f"column {name!r} mixes text with other values, first {column[odd]!r} at row {odd}: "
            "make it all numbers, or all text"
        )
    return tuple(sorted(values))


def frame_of(
    table: Table, columns: Mapping[str, Levels], rows: NDArray[np.intp] | None = None
) -> Any:
    """The rows of the named columns as a pandas DataFrame of float64 and categories.

    Every number becomes float64: powers and products of short integers would overflow.
    """
    import pandas

    picked = slice(None) if rows is None else rows
    n = table.n_rows if rows is None else len(rows)
    data: dict[str, Any] = {}
    for name, levels in columns.items():
        column = table.column(name)
        if levels is None:
            data[name] = as_number(column, f"column {name!r}")[picked].astype(np.float64)
        else:
            codes = _codes(_take(column, picked), levels, name)
            data[name] = pandas.Categorical.from_codes(codes, categories=list(levels))
    return pandas.DataFrame(data, index=range(n))


def _take(column: Column, rows: Any) -> Column:
    if isinstance(column, Categories):
        return Categories(column.codes[rows], column.levels)
    return column[rows] if isinstance(column, np.ndarray) else column


def _refuse_many_levels(
    column: Column, levels: Levels, rows: NDArray[np.intp], name: str, formula: str
) -> None:
    """Raise, before a wide matrix is built, for as many categories as there are rows."""
    if levels is None and re.search(rf"\bC\(\s*{re.escape(name)}\s*[,)]", formula):
        values = column if isinstance(column, np.ndarray) else as_number(column, f"column {name!r}")
        levels = tuple(np.unique(values[rows]).tolist())
    # Of fewer the rank report can speak: their matrix is quickly made.
    if levels is not None and len(levels) >= max(len(rows), 100):
        raise InvalidInput(
            f"column {name!r} has {len(levels)} levels in {len(rows)} rows, first {levels[0]!r}: a "
            "coefficient for each cannot be estimated. Make it numbers, or leave it out"
        )


def _refuse_numerals(column: Column, levels: Levels, rows: NDArray[np.intp], name: str) -> None:
    """Raise where text outside of C() reads as numbers: it would become a category unasked."""
    if levels is None or isinstance(column, Categories):
        return
    assert isinstance(column, np.ndarray)
    numerals = {level for level in levels if reads_as_number(level)}
    if numerals:
        stray = next((i for i in rows if column[i] not in numerals), None)
        found = (
            f"reads as numbers, first {column[rows[0]]!r} at row {rows[0]}"
            if stray is None
            else f"reads as numbers but for {column[stray]!r}, first at row {stray}"
        )
        raise InvalidType(
            f"column {name!r} is text that {found}: make it numbers (missing cells of a file are "
            f"empty or NA), or write C({name}) if these are categories"
        )


def _codes(column: Column, levels: tuple[Any, ...], name: str) -> NDArray[np.int64]:
    """Position of each row's level, shape (n,); -1 for a missing value."""
    position: dict[Any, int] = {level: i for i, level in enumerate(levels)}
    if isinstance(column, Categories):
        table = np.array([*(position.get(v, -2) for v in column.levels), -1], dtype=np.int64)
        codes = table[column.codes]
        value_at: Any = lambda i: column.levels[column.codes[i]]  # noqa: E731
    else:
        if not is_text(column):
            column = as_number(column, f"column {name!r}")
        assert isinstance(column, np.ndarray)
        values = column.tolist()
        codes = np.array([-1 if v is None else position.get(v, -2) for v in values], dtype=np.int64)
        value_at = values.__getitem__
    unseen = codes == -2
    if unseen.any():
        first = int(unseen.argmax())
        raise InvalidInput(
            f"column {name!r} holds {value_at(first)!r} at row {first}, a level that the fit has "
            f"not seen (in {unseen.sum()} rows are such); it knows {', '.join(map(repr, levels))}"
        )
    return codes


def response_of(parsed: Parsed, frame: Any, formula: str) -> F64:
    """Evaluate the left-hand side but for its transform, shape (m,)."""
    made = evaluate(parsed.response, frame, formula, {}, {})
    name = str(parsed.response[0])
    if made.categorical:
        raise InvalidInput(
            f"the response {name!r} of formula {formula!r} is text or categorical: "
            "linear regression needs a number"
        )
    if made.matrix.shape[1] != 1 or made.names == ("Intercept",):
        raise InvalidInput(
            f"the response {name!r} of formula {formula!r} must be one column of numbers; "
            f"it is {', '.join(made.names) or 'none'}"
        )
    return np.ascontiguousarray(made.matrix[:, 0])


def _row_bound(design: FormulaDesign, frame: Any, X: F64) -> tuple[str, ...]:
    """Columns of the design that come out otherwise when a row is built on its own."""
    n = len(X)
    scale = np.abs(X).max(axis=0)
    bound = np.zeros(X.shape[1], dtype=bool)
    for i in sorted({0, n // 4, n // 2, 3 * n // 4, n - 1}):
        try:
            alone = design.rows(frame.iloc[[i]].reset_index(drop=True))[0]
        except InvalidInput:
            return design.names
        bound |= ~(np.abs(alone - X[i]) <= 1e-8 * scale)
    return tuple(name for name, b in zip(design.names, bound, strict=True) if b)
