"""formulaic at work: the columns of some terms, from a frame without gaps."""

import copy
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlreg.data.columns import EXACT
from mlreg.data.names import first_line
from mlreg.errors import InvalidInput, MlregError

__all__ = ["Made", "evaluate", "refuse_nonfinite"]

F64 = NDArray[np.float64]


@dataclass(frozen=True)
class Made:
    """What formulaic made of some terms.

    Attributes
    ----------
    matrix : array, shape (m, p)
        The columns, float64.
    names : tuple of str
        Their names.
    transforms, encoders : dict
        The state of the transforms, and of the categorical encodings.
    categorical : bool
        Whether one of the terms is categorical.
    """

    matrix: F64
    names: tuple[str, ...]
    transforms: dict[str, Any]
    encoders: dict[str, Any]
    categorical: bool


def evaluate(
    terms: Any, frame: Any, formula: str, transforms: dict[str, Any], encoders: dict[str, Any]
) -> Made:
    """Let formulaic build the columns of some terms.

    Parameters
    ----------
    terms : formulaic.SimpleFormula
        The terms.
    frame : pandas.DataFrame
        Its m rows have no gaps.
    formula : str
        For messages.
    transforms, encoders : dict
        State from the data of the fit; empty at the fit. It is not modified.

    Raises
    ------
    InvalidInput
        What formulaic says, on one line; or a level that is not known.
    """
    from formulaic import ModelSpec
    from formulaic.errors import DataMismatchWarning
    from formulaic.materializers import PandasMaterializer
    from formulaic.parser.types import Factor

    spec = ModelSpec(
        formula=terms,
        output="numpy",
        na_action="ignore",
        transform_state=copy.deepcopy(transforms),
        encoder_state={
            name: (Factor.Kind(kind), copy.deepcopy(state))
            for name, (kind, state) in encoders.items()
        },
    )
    maker = PandasMaterializer(frame, context={"C": _category, "exp10": _exp10})
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            # formulaic warns of an unknown level and makes it all zeros: here it is an error.
            warnings.simplefilter("error", DataMismatchWarning)
            made = maker.get_model_matrix(spec)
            values = np.asarray(made.__wrapped__)
    except DataMismatchWarning as warning:
        _refuse_unknown(maker, encoders)
        outside = re.findall(r"\{.*\}", str(warning))
        raise InvalidInput(
            f"formula {formula!r}: values that are none of the levels of C(): {' '.join(outside)}"
        ) from None
    except Exception as error:
        if isinstance(error.__cause__, MlregError):
            raise error.__cause__ from None
        raise InvalidInput(f"formula {formula!r}: {first_line(error)}") from error
    if values.dtype.kind not in "biuf" or values.shape[0] != len(frame):
        raise InvalidInput(
            f"formula {formula!r} must give a real number for each of the {len(frame)} rows; it "
            f"gives {values.shape[0]} rows of type {values.dtype}"
        )
    new = made.model_spec
    found = {
        name: [kind.value, _without_contrasts(state)]
        for name, (kind, state) in sorted(new.encoder_state.items())
    }
    _refuse_unknown(maker, found)
    return Made(
        matrix=np.asarray(values, dtype=np.float64),
        names=tuple(map(str, new.column_names)),
        transforms=dict(sorted(new.transform_state.items())),
        encoders=found,
        categorical=any(kind == "categorical" for kind, _ in found.values()),
    )


def _without_contrasts(state: dict[Any, Any]) -> dict[Any, Any]:
    """State of an encoder less the contrasts, which the formula itself names."""
    return {
        key: _without_contrasts(value) if isinstance(value, dict) else value
        for key, value in state.items()
        if key != "contrasts"
    }


def _category(data: Any, *args: Any, **keywords: Any) -> Any:
    """Stand in for the C() of formulaic, naming whole numbers 1, 2 rather than 1.0, 2.0."""
    import pandas
    from formulaic.transforms import C

    values = np.asarray(data)
    if values.dtype.kind == "f" and np.isfinite(values).all() and (values == values.round()).all():
        if values.size and np.abs(values).max() >= EXACT:
            raise InvalidInput(
                "C() of whole numbers beyond 2**53, which float64 cannot tell apart: "
                "make the column text"
            )
        data = pandas.Series(values.astype(np.int64))
    return C(data, *args, **keywords)


def _exp10(x: Any) -> Any:
    """Ten to the power x; that of formulaic is x to the power ten."""
    return np.power(10.0, x)


def _refuse_unknown(maker: Any, encoders: dict[str, Any]) -> None:
    """Raise where a categorical factor has missing values or others than its levels."""
    import pandas

    for name, (_, state) in encoders.items():
        levels = state.get("categories")
        values = maker.factor_cache[name].values.__wrapped__
        if levels is None or np.ndim(values) != 1:
            continue
        if pandas.isna(values).any():
            raise InvalidInput(f"{name} has missing values, which no level stands for")
        known = set(levels)
        unknown = [v for v in pandas.unique(pandas.Series(values)) if v not in known]
        if unknown:
            row = int(np.flatnonzero(np.asarray(values) == unknown[0])[0])
            raise InvalidInput(
                f"{name} is {unknown[0]!s} at row {row}, which is none of its levels: "
                f"{', '.join(map(str, levels))}"
            )


def refuse_nonfinite(X: F64, names: Sequence[str], rows: NDArray[np.intp]) -> None:
    """Raise where terms of a formula are NaN or infinite; ``rows`` number the rows of X."""
    with np.errstate(all="ignore"):
        if np.isfinite(X.sum()):
            return  # a finite sum proves finite terms
    bad = ~np.isfinite(X)
    if bad.any():
        found = [
            f"{names[j]} in {bad[:, j].sum()} rows, first at row {rows[bad[:, j].argmax()]}"
            for j in np.flatnonzero(bad.any(axis=0)).tolist()
        ]
        raise InvalidInput(
            f"the formula gives NaN or infinity: {'; '.join(found)}; "
            "mend those rows, or change the term"
        )
