"""Real data with certified answers: the linear sets of NIST's Statistical Reference Datasets.

``longley()`` and the others read one set; ``load("longley")`` does so by name.
"""

import json
from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlreg.errors import InvalidInput

__all__ = [
    "Dataset",
    "filip",
    "load",
    "longley",
    "names",
    "noint1",
    "noint2",
    "norris",
    "pontius",
    "wampler1",
    "wampler2",
    "wampler3",
    "wampler4",
    "wampler5",
]

F64 = NDArray[np.float64]
NAMES = (
    "longley",
    "filip",
    "norris",
    "pontius",
    "noint1",
    "noint2",
    "wampler1",
    "wampler2",
    "wampler3",
    "wampler4",
    "wampler5",
)


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set with a model and its certified answers.

    Attributes
    ----------
    name : str
        Its name.
    description : str
        What the columns are.
    source : str
        Where the numbers come from.
    difficulty : str
        NIST's word: lower, average or higher.
    formula : str
        The model, such as ``"y ~ x + I(x**2)"``.
    intercept : bool
        Whether the model has one.
    columns : dict of str to array, shape (n,)
        The data, float64; ``y`` is the response.
    degree : int
        Highest power of x in the model.
    certified : dict
        NIST's answers: params and se, arrays of shape (p,), the intercept
        first; sigma (the residual standard error, divisor n - p), r2, f,
        ss_model, ms_model, ss_resid, ms_resid.
    certified_text : dict
        The same as NIST prints them, decimal texts.
    """

    name: str
    description: str
    source: str
    difficulty: str
    formula: str
    intercept: bool
    columns: dict[str, F64]
    degree: int
    certified: dict[str, Any]
    certified_text: dict[str, Any]

    def __repr__(self) -> str:
        return f"<Dataset {self.name}: {len(self.y)} rows, {self.formula}>"

    @property
    def X(self) -> F64:
        """Regressors of the model without the intercept, shape (n, k); powers as ``x**k``."""
        x = [column for name, column in self.columns.items() if name != "y"]
        return np.column_stack([c**k for c in x for k in range(1, self.degree + 1)])

    @property
    def y(self) -> F64:
        """Responses, shape (n,)."""
        return self.columns["y"]


def names() -> list[str]:
    """Names that `load` knows."""
    return list(NAMES)


def load(name: str) -> Dataset:
    """Read one data set.

    Parameters
    ----------
    name : str
        One of `names`, in any case.

    Returns
    -------
    Dataset

    Raises
    ------
    InvalidInput
        If there is none of that name.
    """
    if name.lower() not in NAMES:
        raise InvalidInput(f"there is no data set {name!r}; there are {', '.join(NAMES)}")
    text = resources.files(__name__).joinpath("nist.json").read_text(encoding="utf-8")
    d = next(d for d in json.loads(text) if d["name"].lower() == name.lower())
    columns = {x: _floats(values) for x, values in zip(d["x_names"], d["X"], strict=True)}
    powers = [f"I(x**{k})" for k in range(2, d["degree"] + 1)]
    formula = "y ~ " + " + ".join([*d["x_names"], *powers]) + ("" if d["intercept"] else " - 1")
    return Dataset(
        name=d["name"],
        description=d["description"],
        source=d["source"],
        difficulty=d["difficulty"],
        formula=formula,
        intercept=d["intercept"],
        columns={**columns, "y": _floats(d["y"])},
        degree=d["degree"],
        certified={key: _floats(value) for key, value in d["certified"].items()},
        certified_text=d["certified"],
    )


def _floats(text: Any) -> Any:
    """Decimal text, or a list of them, as the nearest float64."""
    return np.array([float(t) for t in text]) if isinstance(text, list) else float(text)


def longley() -> Dataset:
    """US employment 1947 to 1962, six nearly collinear regressors."""
    return load("longley")


def filip() -> Dataset:
    """A polynomial of degree 10, the hardest of the sets."""
    return load("filip")


def norris() -> Dataset:
    """Calibration of ozone monitors, a straight line."""
    return load("norris")


def pontius() -> Dataset:
    """Calibration of load cells, a parabola."""
    return load("pontius")


def noint1() -> Dataset:
    """Eleven points, a line through the origin."""
    return load("noint1")


def noint2() -> Dataset:
    """Three points, a line through the origin."""
    return load("noint2")


def wampler1() -> Dataset:
    """A polynomial of degree 5 without noise."""
    return load("wampler1")


def wampler2() -> Dataset:
    """A polynomial of degree 5 without noise, coefficients of falling size."""
    return load("wampler2")


def wampler3() -> Dataset:
    """A polynomial of degree 5 with noise."""
    return load("wampler3")


def wampler4() -> Dataset:
    """A polynomial of degree 5 with a hundred times the noise of wampler3."""
    return load("wampler4")


def wampler5() -> Dataset:
    """A polynomial of degree 5 with ten thousand times the noise of wampler3."""
    return load("wampler5")
