"""The scale design: which columns the size of the noise depends on, log σᵢ = zᵢᵀγ."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlreg.data.arrays import as_matrix, check_labels
from mlreg.data.design import ArrayDesign, Design
from mlreg.data.formula import FormulaDesign, fit_formula
from mlreg.data.names import columns_of, parse, require_formulaic
from mlreg.data.table import Table, is_tabular
from mlreg.errors import InvalidInput

__all__ = ["ScaleFormula", "given_scale", "scale_rows"]

F64 = NDArray[np.float64]
LEFT = "_log_sigma_"  # stands before the ~ of a formula that has no response


class ScaleFormula:
    """A formula without a response, such as ``"~ x1 + C(group)"``, about the columns of a table.

    Parameters
    ----------
    text : str
        The formula.
    table : Table
        The data.
    spoken_for : iterable of str
        Columns that a ``.`` does not stand for: the response, and weights.

    Attributes
    ----------
    used : list of str
        Columns of the table that it uses.
    """

    def __init__(self, text: str, table: Table, spoken_for: Any = ()) -> None:
        if not text.strip().startswith("~"):
            raise InvalidInput(
                f"scale must be a formula without a response, such as '~ x1', or an array; it is "
                f"{text!r}"
            )
        require_formulaic()
        self.formula = f"{LEFT} {text.strip()}"
        self.table = Table({**table.columns, LEFT: np.zeros(table.n_rows)}, table.n_rows)
        left_over = [name for name in table.columns if name not in set(spoken_for)]
        self.parsed = parse(self.formula, [*left_over, LEFT])
        self.used = columns_of(self.parsed.terms, list(table.columns), text)

    def rows(self, rows: NDArray[np.intp]) -> tuple[FormulaDesign, F64]:
        """The design, and its matrix for some rows, shape (m, q)."""
        design, Z, _ = fit_formula(self.formula, self.parsed, self.table, rows)
        if not design.names:
            raise InvalidInput("the scale formula has no columns: add one, or an intercept")
        return design, Z


def given_scale(scale: Any, n: int) -> tuple[ArrayDesign, F64]:
    """The scale design of an array, shape (n,) or (n, q): a column of ones is put first."""
    values, names = as_matrix(scale, "scale")
    if len(values) != n:
        raise InvalidInput(f"scale has {len(values)} rows for {n} rows: give one for each row")
    names = [f"z{j + 1}" for j in range(values.shape[1])] if names is None else names
    Z = np.column_stack([np.ones(n), np.asarray(values, dtype=np.float64)])
    design = ArrayDesign(("Intercept", *names), True, LEFT)
    if len(set(design.names)) < len(design.names):
        raise InvalidInput(f"two columns of scale have the same name: {', '.join(design.names)}")
    return design, Z


def scale_rows(design: Design, X_new: Any, scale: Any = None) -> F64 | None:
    """Rows of the scale design for new data, shape (m, q); None where there is none.

    Parameters
    ----------
    design : Design
        Of the fit.
    X_new : array-like or table
        The new data.
    scale : array-like, optional
        Its rows, where the fit was given an array.
    """
    of_scale = design.scale
    if of_scale is None:
        if scale is not None:
            raise InvalidInput("this fit has one sigma for all rows: leave out scale=")
        return None
    if isinstance(of_scale, FormulaDesign):
        if scale is not None:
            raise InvalidInput("the scale of this fit is a formula: leave out scale=")
        if not is_tabular(X_new):  # the columns of an array have the names that the fit gave them
            rows, names = design.matrix(X_new), design.names
            X_new = Table(dict(zip(names, rows.T, strict=True)), len(rows))
        return of_scale.matrix(X_new)
    if scale is None:
        raise InvalidInput(
            f"sigma depends on {', '.join(of_scale.names[1:])}, which the fit was given as an "
            "array: give their values for the new rows, scale=..."
        )
    check_labels("the new data", X_new, {"scale": scale})
    Z = of_scale.matrix(scale)
    n = len(design.matrix(X_new))
    if len(Z) != n:
        raise InvalidInput(f"scale has {len(Z)} rows for {n} new rows: give one for each row")
    return Z
