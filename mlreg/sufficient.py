"""Sufficient statistics: all that the Gaussian model needs to know of the rows.

The triangle of [X y], Eq. (2.6), with the number of rows, determines every
Gaussian fit of y on any of the columns: coefficients, standard errors,
likelihood, tests, Eq. (7.8). It is made in one pass, two of them merge into one, Eq. (2.7),
and it is as small as a page, however many rows went in.
"""

import math
import operator
import os
from collections.abc import Iterator, Sequence
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlreg._version import __version__
from mlreg.data.design import Design, design_from_dict
from mlreg.data.front import source_of
from mlreg.errors import DataNeeded, InvalidInput
from mlreg.files import plain, read, write
from mlreg.likelihood.blocks import Block
from mlreg.likelihood.linear import LinearLikelihood, Summary
from mlreg.likelihood.transform import Transform, label
from mlreg.linalg.triangle import Triangle

__all__ = ["SufficientStatistics"]

F64 = NDArray[np.float64]
FORMAT, VERSION = "mlreg.SufficientStatistics", 1


class SufficientStatistics:
    """What the Gaussian linear model needs to know of the rows, gathered in one pass.

    Attributes
    ----------
    design : Design or None
        Makes rows of the design from new data; None before the first update.
    n_missing : int
        Rows that were left out for missing values.

    Notes
    -----
    A row counts once, whichever `update` brought it. Order, chunks and merging
    change results by rounding only, within ``triangle.epsilon``. Refinement needs
    the rows: `mlreg.fit` of the data is right to the last digit, `mlreg.fit` of
    their statistics to the rounding that its certificate states.

    Examples
    --------
    >>> import numpy as np, mlreg as ml
    >>> rng = np.random.default_rng(0)
    >>> X, y = rng.normal(size=(100, 2)), rng.normal(size=100)
    >>> here = ml.SufficientStatistics().update(X[:60], y[:60])
    >>> there = ml.SufficientStatistics().update(X[60:], y[60:])
    >>> fit = ml.fit(here + there, columns=["x1"])
    >>> bool(np.allclose(fit.params, ml.fit(X[:, :1], y).params, rtol=1e-12))
    True
    """

    def __init__(self) -> None:
        self.design: Design | None = None
        self.n_missing = 0
        # Entry i sums up 2**i updates or none, the oldest last: like the digits of a counter, so
        # that n updates round no more than log2(n) times.
        self._parts: list[Summary | None] = []

    @property
    def _summary(self) -> Summary | None:
        there = [part for part in reversed(self._parts) if part is not None]
        return reduce(operator.add, there) if there else None

    def update(
        self,
        X: Any,
        y: Any = None,
        /,
        *,
        intercept: bool | None = None,
        names: Sequence[str] | None = None,
        frequency_weights: Any = None,
        precision_weights: Any = None,
        missing: str = "raise",
        transform: Transform | str | None = None,
    ) -> "SufficientStatistics":
        """Add rows; the arguments are those of `mlreg.fit`.

        Parameters
        ----------
        X, y
            Arrays or a dataframe and a response; or a formula and a table; or a source.
        intercept, names, frequency_weights, precision_weights, missing, transform
            As for `mlreg.fit`.

        Returns
        -------
        SufficientStatistics
            Itself, for chaining.

        Raises
        ------
        InvalidInput
            As `mlreg.fit`; columns other than those before. Nothing is added then.
        """
        weights = {"frequency_weights": frequency_weights, "precision_weights": precision_weights}
        source, design = source_of(X, y, intercept, names, weights, missing, transform=transform)
        likelihood = LinearLikelihood.from_source(source)
        if likelihood.scale_names:
            raise InvalidInput(
                f"sigma of this source depends on {', '.join(likelihood.scale_names)}, and "
                "sufficient statistics are of one sigma: fit the rows, or give a source without "
                "a scale design"
            )
        new = SufficientStatistics()
        new.design, carry = design, likelihood.summary
        self._check_same(new)
        parts, i = list(self._parts), 0  # its own: a copy of these statistics keeps the old one
        while i < len(parts) and (before := parts[i]) is not None:
            parts[i], carry, i = None, before + carry, i + 1
        parts[i : i + 1] = [carry]
        self.design, self._parts = self.design or design, parts
        self.n_missing += getattr(source, "left_out", 0)
        return self

    def __add__(self, other: "SufficientStatistics") -> "SufficientStatistics":
        if not isinstance(other, SufficientStatistics):
            return NotImplemented
        self._check_same(other)
        total = SufficientStatistics()
        total.design = self.design or other.design
        total.n_missing = self.n_missing + other.n_missing
        there = [part for part in (self._summary, other._summary) if part is not None]
        total._parts = [reduce(operator.add, there)] if there else []
        return total

    def _check_same(self, other: "SufficientStatistics") -> None:
        """Raise where the columns of two statistics are not the same."""
        if self.design is None or other.design is None:
            return
        here, there = (
            (*part.names, label(part.transform, part.response)) for part in (self, other)
        )
        if here != there:
            raise InvalidInput(
                f"statistics of different columns: {', '.join(here)} and {', '.join(there)}. Give "
                "both the same columns, in the same order, by the same names"
            )
        if self._design() != other._design():
            raise InvalidInput(
                "the formula came to mean different columns in the two parts: levels of a category "
                "or a transform of whole columns, such as center, differ. Read all parts at once "
                "by mlreg.read([...]), or make these columns beforehand, the same way in each part"
            )

    def _design(self) -> Any:
        return None if self.design is None else plain(self.design.to_dict())

    @property
    def names(self) -> tuple[str, ...]:
        """Columns of the design, the intercept among them; empty before the first update."""
        return () if self.design is None else tuple(self.design.names)

    @property
    def response(self) -> str:
        """Name of the response."""
        return "y" if self.design is None else self.design.response

    @property
    def transform(self) -> Transform | None:
        """What the response was transformed by."""
        return None if self.design is None else self.design.transform

    @property
    def n_rows(self) -> int:
        """Observations so far: the sum of the frequency weights."""
        return sum(part.n_rows for part in self._parts if part is not None)

    @property
    def triangle(self) -> Triangle:
        """Triangular factor of [X y], Eq. (2.6)."""
        return self._known.triangle

    @property
    def _known(self) -> Summary:
        summary = self._summary
        if summary is None:
            raise InvalidInput("these statistics hold no rows yet: update(X, y) first")
        return summary

    def __repr__(self) -> str:
        return f"<SufficientStatistics: {self.n_rows} rows of {', '.join(self.names) or 'nothing'}>"

    def likelihood(
        self, columns: Sequence[str] | None = None, *, intercept: bool | None = None
    ) -> LinearLikelihood:
        """Gaussian likelihood of some of the columns, without rows, Eq. (7.8).

        Parameters
        ----------
        columns : sequence of str, optional
            Names of regressors, all by default; the intercept need not be named.
        intercept : bool, optional
            Whether the intercept stays; by default where there is one.
        """
        known = self._known
        if isinstance(columns, str):
            raise InvalidInput(f"columns must be a list of names; it is the text {columns!r}")
        wanted = [n for n in self.names if n != "Intercept"] if columns is None else list(columns)
        unknown = [name for name in wanted if name not in self.names]
        if unknown:
            raise InvalidInput(
                f"no column {', '.join(map(repr, unknown))} among {', '.join(self.names)}"
            )
        repeated = sorted({str(name) for name in wanted if wanted.count(name) > 1})
        if repeated:
            raise InvalidInput(f"columns names {', '.join(repeated)} twice")
        if intercept and "Intercept" not in self.names:
            raise InvalidInput("these statistics have no intercept: update with intercept=True")
        has = "Intercept" in self.names if intercept is None else intercept
        wanted = [*(["Intercept"] if has else []), *(n for n in wanted if n != "Intercept")]
        if not wanted:
            raise InvalidInput("no column is left to fit: name one, or keep the intercept")
        keep = [self.names.index(name) for name in wanted]
        source = _NoRows(tuple(wanted), known.n_rows, self)
        return LinearLikelihood.from_summary(source, known.select(keep))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a small JSON file, from which `load` restores the statistics exactly."""
        known = self._known
        head = {"format": FORMAT, "version": VERSION, "mlreg": __version__}
        counted = {"n_missing": self.n_missing}
        write(path, {**head, "design": self._design(), **counted, **plain(known)})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "SufficientStatistics":
        """Restore what `save` wrote.

        Raises
        ------
        InvalidInput
            Not such a file, or a damaged one.
        """
        d = read(path, FORMAT, VERSION)
        self = cls()
        try:
            self.design = design_from_dict(d["design"])
            self._parts = [_summary(d, len(self.names))]
            self.n_missing = d.get("n_missing", 0)  # which older files do not know
            if type(self.n_missing) is not int or self.n_missing < 0:
                raise ValueError(f"n_missing is {self.n_missing!r}")
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidInput(f"{os.fspath(path)!r} is damaged: {error!r}") from error
        return self


def _summary(d: dict[str, Any], p: int) -> Summary:
    """What `SufficientStatistics.save` wrote, looked at."""
    t = d["triangle"]
    R, first = (np.array(a, dtype=np.float64) for a in (t["R"], d["first"]))
    counts = [d["n_rows"], t["n_rows"], *t["exponent"], *d["constant"]]
    log_jacobian = d.get("log_jacobian", 0.0)  # older files know of no transform
    numbers = [d["log_precision"], log_jacobian, t["epsilon"], t["blur"]]
    good = (
        (R.shape, len(t["exponent"]), first.shape) == ((p + 1, p + 1), p + 1, (p,))
        and all(type(count) is int for count in counts)
        and all(type(number) in (int, float) and math.isfinite(number) for number in numbers)
        and 0 < t["n_rows"] <= d["n_rows"]
        and all(0 <= j < p for j in d["constant"])
        and min(t["epsilon"], t["blur"]) >= 0
        and np.isfinite(R).all()
        and not np.tril(R, -1).any()
        and (np.diagonal(R) >= 0).all()
    )
    if not good:
        raise ValueError("a part of it is missing, of another size, or not a number")
    triangle = Triangle(**{**t, "R": R, "exponent": np.array(t["exponent"], dtype=np.int64)})
    return Summary(
        triangle,
        d["n_rows"],
        float(d["log_precision"]),
        first,
        tuple(d["constant"]),
        float(log_jacobian),
    )


class _NoRows:
    """The source of a likelihood that has sufficient statistics and no rows."""

    rereadable = False

    def __init__(self, names: tuple[str, ...], n_rows: int, of: SufficientStatistics) -> None:
        self.names, self.response, self.transform = names, of.response, of.transform
        self.n_rows: int | None = n_rows

    def blocks(
        self, size: int | None = None, rng: np.random.Generator | None = None
    ) -> Iterator[Block]:
        """Refused: there are none."""
        raise DataNeeded(
            "these are sufficient statistics, without rows: Exact() fits them; whatever reads rows "
            "(SGD, Scipy, residuals, refinement) needs the data"
        )
