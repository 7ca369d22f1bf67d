"""What a fit remembers of its design, so as to build rows of it from new data."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mlreg.data.arrays import Array, as_vector, is_series, matrix_of
from mlreg.data.columns import as_number
from mlreg.data.formula import FormulaDesign
from mlreg.data.table import Table, as_table, is_tabular, raw_array, suggest
from mlreg.errors import InvalidInput
from mlreg.likelihood.transform import Transform, as_transform

__all__ = ["ArrayDesign", "Design", "design_from_dict", "responses"]

F64 = NDArray[np.float64]


class Design(Protocol):
    """What a fit needs to make rows of its design matrix for new data.

    Attributes
    ----------
    names : tuple of str
        Names of the p columns, ``Intercept`` first if there is one.
    intercept : bool
        Whether the first column is the intercept.
    response : str
        Name of the response.
    scale : Design or None
        The design of the scale of the noise, where it differs from row to row.
    transform : Transform or None
        Of the response: the model is linear in ``transform.forward(response)``.
    """

    @property
    def names(self) -> tuple[str, ...]:  # noqa: D102
        ...

    @property
    def intercept(self) -> bool:  # noqa: D102
        ...

    @property
    def response(self) -> str:  # noqa: D102
        ...

    @property
    def scale(self) -> "Design | None":  # noqa: D102
        ...

    @property
    def transform(self) -> Transform | None:  # noqa: D102
        ...

    def matrix(self, X_new: Any) -> F64:
        """Rows of the design for new data, shape (m, p)."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Everything, in types of JSON; `design_from_dict` is the inverse."""
        ...


@dataclass(frozen=True)
class ArrayDesign:
    """The design of a fit to arrays or to the columns of a dataframe, as they are.

    Attributes
    ----------
    names : tuple of str
        Names of the p columns, ``Intercept`` first if there is one.
    intercept : bool
        Whether there is a column of ones before the others.
    response : str
        Name of the response.
    scale : Design or None
        The design of the scale of the noise, where it differs from row to row.
    transform : Transform or None
        Of the response: the model is linear in ``transform.forward(response)``.
    """

    names: tuple[str, ...]
    intercept: bool
    response: str = "y"
    scale: Any = None
    transform: Transform | None = None

    def matrix(self, X_new: Any) -> F64:
        """Rows of the design matrix for new data, the intercept as a column of ones, Eq. (6.2).

        Parameters
        ----------
        X_new : array-like, table or path
            An array of the k columns of the fit, in order; of one dimension, k
            numbers are one row, and with k = 1 each number is a row. The columns
            of a table are taken by name, others than those of the fit ignored.

        Returns
        -------
        array, shape (m, p)
            float64, the column of ones included.

        Raises
        ------
        InvalidInput
            A column that is missing, another number of columns, NaN or infinity.
        InvalidType
            As in `mlreg.data.arrays.as_matrix`.
        """
        slopes = self.names[1:] if self.intercept else self.names
        a = self._by_name(X_new, slopes) if is_tabular(X_new) else _by_position(X_new, slopes)
        refuse_nonfinite(a, slopes)
        out = np.ones((len(a), len(self.names)))
        out[:, int(self.intercept) :] = a
        return out

    def _by_name(self, data: Any, slopes: tuple[str, ...]) -> Array:
        table = as_table(data)
        missing = [name for name in slopes if name not in table.columns]
        if missing:
            raise InvalidInput(
                f"the new data lacks {', '.join(map(repr, missing))} of the fit: "
                f"{suggest(missing[0], table.columns)}. Rename them, or give an array with the "
                f"columns {', '.join(slopes)} in this order"
            )
        kept = Table({name: table.columns[name] for name in slopes}, table.n_rows)
        return matrix_of(kept, "the new data")[0]

    def to_dict(self) -> dict[str, Any]:
        """Everything, in types of JSON."""
        return {
            "kind": "array",
            "names": list(self.names),
            "intercept": self.intercept,
            "response": self.response,
            "scale": None if self.scale is None else self.scale.to_dict(),
            "transform": None if self.transform is None else self.transform.name,
        }


def _by_position(data: Any, slopes: tuple[str, ...]) -> Array:
    k = len(slopes)
    if k > 1 and is_series(data):
        raise InvalidInput(
            f"the new data must have {k} columns ({', '.join(slopes)}); it is a Series, "
            "which is one: for one row give a dataframe, such as frame.iloc[[0]]"
        )
    a = as_number(raw_array(data, "the new data"), "the new data", slopes)
    if a.ndim == 1:
        a = a[:, None] if k == 1 else a[None, :]
    if a.ndim != 2 or a.shape[1] != k:
        raise InvalidInput(
            f"the new data must have {k} columns ({', '.join(slopes)}), without the intercept; "
            f"its shape is {np.shape(data)}"
        )
    return a


def refuse_nonfinite(a: Array, names: tuple[str, ...]) -> None:
    """Raise where a matrix of new data, shape (m, k), holds NaN or infinity."""
    bad = ~np.isfinite(a)
    if bad.any():
        found = [
            f"{names[j]!r} in {bad[:, j].sum()} rows, first at row {bad[:, j].argmax()}"
            for j in np.flatnonzero(bad.any(axis=0))
        ]
        raise InvalidInput(
            f"NaN or infinity in {'; '.join(found)} of the new data: mend or remove those rows"
        )


def _scale_from_dict(d: Mapping[str, Any]) -> Any:
    return None if d.get("scale") is None else design_from_dict(d["scale"])


def responses(design: Design, data: Any, n: int) -> F64:
    """Responses of new data, before any transform, shape (n,).

    Parameters
    ----------
    design : Design
        Of the fit.
    data : (X, y) or table
        Where the response is y, or the column or expression of the fit.
    n : int
        Number of rows.

    Raises
    ------
    InvalidInput
        Without the response, or where it is NaN or infinite.
    """
    if isinstance(data, tuple) and len(data) == 2:
        y = as_vector(data[1], "y of the data", n)
    elif not is_tabular(data):
        raise InvalidInput(
            f"the data must be (X, y) or a table with the response {design.response!r}, not "
            f"{type(data).__name__}"
        )
    else:
        table = as_table(data)
        if isinstance(design, FormulaDesign):
            y = design.response_values(table)
        else:
            y = as_number(table.column(design.response), f"column {design.response!r}")
    y = np.asarray(y, dtype=np.float64)
    refuse_nonfinite(y[:, None], (design.response,))
    return y


def design_from_dict(d: Mapping[str, Any]) -> ArrayDesign | FormulaDesign:
    """Restore a design from its `to_dict`.

    Raises
    ------
    InvalidInput
        If the dictionary is not one of a design.
    """
    kind = d.get("kind")
    try:
        if kind == "array":
            design = ArrayDesign(tuple(d["names"]), bool(d["intercept"]), str(d["response"]))
            transform = as_transform(d.get("transform"))
            return replace(design, scale=_scale_from_dict(d), transform=transform)
        if kind == "formula":
            return replace(FormulaDesign.from_dict(d), scale=_scale_from_dict(d))
    except (KeyError, TypeError) as error:
        raise InvalidInput(f"the saved design is damaged: {error!r}") from error
    raise InvalidInput(
        f"the saved design is of unknown kind {kind!r}; save it again by this version"
    )
