"""Covariances of least squares that survive a wrong model of the noise, Eqs. (12.5) to (12.7).

All have the form R⁻¹MR⁻ᵀ. Where the noise is independent and equally large, M is s² times the
identity, in coordinates in which the columns are orthonormal. Where it is not, M is estimated from
the gradients of the rows, gᵢ = rᵢR⁻ᵀxᵢ: one by one (HC0 to HC3), summed over clusters, or
with their neighbours in time. One pass over the rows; nothing of size n × n.
"""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from mlreg.certificate import LeastSquares
from mlreg.errors import InvalidInput, NumericalWarning
from mlreg.inference.labels import Labels, labels_of
from mlreg.likelihood.blocks import ArraySource, to_numpy
from mlreg.likelihood.linear import LinearLikelihood
from mlreg.linalg.products import gram, square, times, whiten
from mlreg.linalg.triangle import scale_columns

__all__ = [
    "Clusters",
    "Independent",
    "Lags",
    "Meat",
    "OfLeastSquares",
    "Robust",
    "check_kind",
    "described",
    "meat_of",
    "refuse_frequencies",
    "robust",
    "root_of",
]

F64 = NDArray[np.float64]
Codes = NDArray[np.intp]
OfLeastSquares = Literal["HC0", "HC1", "HC2", "HC3", "cluster", "HAC"]

U = 2.0**-53
FREE = 1e-9
"""What is left of one by a leverage that counts as one."""


@dataclass(frozen=True, eq=False)
class Robust:
    """A covariance that a fit uses in the place of the model's own.

    Attributes
    ----------
    kind : str
        As of `Fit.covariance`.
    label : str
        In words, for the summary.
    root : ndarray, shape (rank, m)
        C of `mlreg.inference.combination`, in the scaled units of the fit's triangle.
    df : float
        Degrees of freedom of the quantiles: n − p, or the number of clusters less one.
    """

    kind: str
    label: str
    root: F64
    df: float


class Meat(Protocol):
    """Sums of gᵢgⱼᵀ over the pairs of rows that may be correlated, Eq. (12.7)."""

    def add(self, G: F64, k: F64 | None) -> None:
        """Rows gᵢ in their order, shape (m, p), with frequencies or None."""
        ...

    def total(self) -> F64:
        """M, shape (p, p)."""
        ...


class Independent:
    """M = Σ kᵢgᵢgᵢᵀ, Eq. (12.5): every row for itself."""

    def __init__(self, size: int) -> None:
        self._total = np.zeros((size, size))

    def add(self, G: F64, k: F64 | None) -> None:
        """See `Meat`."""
        self._total += square(G, np.ones(len(G)) if k is None else k)

    def total(self) -> F64:
        """See `Meat`."""
        return self._total


class Clusters:
    """M = Σ S_gS_gᵀ, S_g the sum of a cluster's gᵢ, Eq. (12.7); of two kinds, M₁ + M₂ − M₁₂.

    Memory grows with the number of clusters, not with that of the rows.

    Parameters
    ----------
    size : int
        p.
    labels : Labels
        Of one kind or two.
    """

    def __init__(self, size: int, labels: Labels) -> None:
        self._labels = labels
        self._sums = [_Sums(size) for _ in range(1 if labels.ways == 1 else 3)]

    def add(self, G: F64, k: F64 | None) -> None:
        """See `Meat`."""
        each = self._labels.take(len(G))
        weighted = G if k is None else G * k[:, None]
        for sums, labels in zip(
            self._sums, [*each, *([_joint(each)] * (len(each) > 1))], strict=True
        ):
            sums.add(labels, weighted)

    @property
    def counts(self) -> list[int]:
        """Number of clusters of each kind, and of those that both kinds make."""
        return [sums.count for sums in self._sums]

    def total(self) -> F64:
        """See `Meat`; with the factor G/(G − 1) of each kind."""
        parts = []
        for sums in self._sums:
            if sums.count < 2:
                raise InvalidInput(
                    f"there is {sums.count} cluster: what varies between clusters needs two, and "
                    "many more to be of use"
                )
            parts.append(sums.outer() * (sums.count / (sums.count - 1)))
        if len(parts) == 1:
            return parts[0]
        whole = parts[0] + parts[1] - parts[2]
        values, vectors = np.linalg.eigh(whole)
        if values[0] >= 0:
            return whole
        warnings.warn(
            "the covariance clustered two ways is not positive semidefinite, as happens with few "
            "clusters: its negative eigenvalues are set to zero",
            NumericalWarning,
            stacklevel=2,
        )
        return np.asarray((vectors * np.maximum(values, 0)) @ vectors.T)


class _Sums:
    """Sums of rows by their labels."""

    def __init__(self, size: int) -> None:
        self._place: dict[Any, int] = {}
        self._sums = np.zeros((64, size))

    @property
    def count(self) -> int:
        return len(self._place)

    def add(self, labels: Sequence[Any], G: F64) -> None:
        found, codes = _factorise(labels)
        place = np.array(
            [self._place.setdefault(v, len(self._place)) for v in found], dtype=np.intp
        )
        while len(self._place) > len(self._sums):
            self._sums = np.vstack([self._sums, np.zeros_like(self._sums)])
        order = np.argsort(codes, kind="stable")
        starts = np.searchsorted(codes[order], np.arange(len(found)))
        if len(found):
            self._sums[place] += np.add.reduceat(G[order], starts, axis=0)

    def outer(self) -> F64:
        used = self._sums[: len(self._place)]
        return np.asarray(used.T @ used)


def _factorise(labels: Any) -> tuple[list[Any], Codes]:
    """The different labels of some rows, and which of them each row has."""
    array = np.asarray(labels)
    if array.dtype == object:
        seen: dict[Any, int] = {}
        codes = np.array([seen.setdefault(v, len(seen)) for v in array.tolist()], dtype=np.intp)
        return list(seen), codes
    found, codes = np.unique(array, return_inverse=True)
    return found.tolist(), codes.reshape(-1)


def _joint(each: list[Any]) -> Any:
    """Pairs of labels, as labels."""
    pairs = np.empty(len(each[0]), dtype=object)
    pairs[:] = list(zip(*(np.asarray(part).tolist() for part in each), strict=True))
    return pairs


class Lags:
    """M = Γ₀ + Σ_l (1 − l/(L + 1)) (Γ_l + Γ_lᵀ), Eq. (12.7): Newey and West's.

    Γ_l is the sum of gᵢgᵢ₋ₗᵀ. The rows are in the order of time; the last L are kept.
    """

    def __init__(self, size: int, lags: int) -> None:
        self.lags, self._total = lags, np.zeros((size, size))
        self._tail = np.zeros((0, size))

    def add(self, G: F64, k: F64 | None) -> None:
        """See `Meat`."""
        assert k is None
        rows, before = np.vstack([self._tail, G]), len(self._tail)
        ones = np.ones(len(G))
        self._total += square(np.ascontiguousarray(G), ones)
        for lag in range(1, min(self.lags, len(rows) - 1) + 1):
            first = max(before, lag)  # the first row that has one so long before it
            now, then = rows[first:], rows[first - lag : len(rows) - lag]
            part = gram(np.ascontiguousarray(now), np.ones(len(now)), np.ascontiguousarray(then))
            self._total += (1 - lag / (self.lags + 1)) * (part + part.T)
        self._tail = rows[max(0, len(rows) - self.lags) :].copy() if self.lags else rows[:0]

    def total(self) -> F64:
        """See `Meat`."""
        return self._total


def default_lags(n: int) -> int:
    """⌊4 (n/100)^(2/9)⌋, Newey and West's rule."""
    return math.floor(4 * math.pow(n / 100, 2 / 9))


def meat_of(kind: str, size: int, n: int, labels: Labels | None, lags: int | None) -> Meat:
    """The sums that a kind of covariance needs."""
    if kind == "cluster":
        assert labels is not None
        return Clusters(size, labels)
    if kind == "HAC":
        return Lags(size, default_lags(n) if lags is None else lags)
    return Independent(size)


def robust(
    ls: LeastSquares,
    likelihood: LinearLikelihood,
    kind: str,
    groups: Any = None,
    lags: int | None = None,
) -> Robust:
    """A covariance of least squares that does not believe in s²(XᵀX)⁻¹; one pass over the rows.

    Parameters
    ----------
    ls : LeastSquares
        The MLE.
    likelihood : LinearLikelihood
        Its rows.
    kind : "HC0", "HC1", "HC2", "HC3", "cluster" or "HAC"
        Eqs. (12.5), (12.6) and (12.7).
    groups : array, or tuple of two
        Of ``cluster``; see `labels_of`.
    lags : int, optional
        Of ``HAC``; by Newey and West's rule where it is not given.

    Raises
    ------
    InvalidInput
        A perfect fit; a row of leverage one (HC2 and HC3); frequencies (HAC); labels that do not
        fit the rows.
    """
    n, p, R = ls.n_rows, len(ls.beta), ls.R
    if ls.perfect:
        raise InvalidInput("the data fit perfectly: residuals that are rounding have no covariance")
    labels = labels_of(likelihood.source, groups) if kind == "cluster" else None
    meat = meat_of(kind, p, n, labels, lags)
    exponent, at = ls.triangle.exponent, 0
    for block in likelihood.blocks():
        k = None if block.frequency is None else to_numpy(block.frequency)
        if k is not None:
            refuse_frequencies(meat)
        root = None if block.precision is None else np.sqrt(to_numpy(block.precision))
        A = scale_columns(to_numpy(block.X), -exponent[:-1])
        b = scale_columns(to_numpy(block.y), -exponent[-1])
        if root is not None:
            A, b = A * root[:, None], b * root
        r, W = b - times(A, ls.beta), whiten(R, A)
        if kind in ("HC2", "HC3"):
            rest = 1 - np.einsum("ij,ij->i", W, W)
            if (rest <= FREE).any():
                row = _row(likelihood, at + int((rest <= FREE).argmax()))
                raise InvalidInput(
                    f"row {row} has leverage 1: its residual is zero whatever its response, and "
                    f"{kind} divides by what is left. Use HC1, or leave out the row and the column "
                    "that only it determines"
                )
            r = r / (np.sqrt(rest) if kind == "HC2" else rest)
        meat.add(W * r[:, None], k)
        at += len(r)
    total = meat.total()
    if kind == "HC1":
        total = total * (n / (n - p))
    if kind == "cluster":
        total = total * ((n - 1) / (n - p))
    label, df = described(kind, meat, float(n - p))
    return Robust(kind, label, root_of(total), df)


def root_of(M: F64) -> F64:
    """C, CCᵀ = M, of a sum of outer products; its directions that are rounding are zero."""
    values, vectors = np.linalg.eigh(M)
    values[values <= 32 * len(M) * U * values.max(initial=0.0)] = 0.0
    return np.asarray(vectors * np.sqrt(values))


def described(kind: str, meat: Meat | None, df: float) -> tuple[str, float]:
    """What a covariance is called, and its degrees of freedom, ``df`` where it has none itself."""
    if isinstance(meat, Clusters):
        counts = meat.counts[:2]
        return f"clustered, by {' and '.join(map(str, counts))} groups", min(counts) - 1.0
    if isinstance(meat, Lags):
        return f"Newey-West's with {meat.lags} lags, the rows in order of time", df
    return {"sandwich": "HC0", "opg": "outer products of gradients"}.get(kind, kind), df


def check_kind(kind: str, groups: Any, lags: int | None, n: int, p: int) -> None:
    """Raise where the arguments of a covariance do not fit together."""
    if (groups is not None) != (kind == "cluster"):
        need = "needs groups=, a label for each row" if kind == "cluster" else "takes no groups"
        raise InvalidInput(f"kind={kind!r} {need}")
    if lags is not None and kind != "HAC":
        raise InvalidInput(f"kind={kind!r} takes no lags: they are of kind='HAC'")
    whole = isinstance(lags, (int, np.integer)) and not isinstance(lags, bool)
    if lags is not None and not (whole and 0 <= lags < n):
        raise InvalidInput(f"lags must be a whole number from 0 to {n - 1}, not {lags!r}")
    if kind in ("HC1", "cluster") and n <= p:
        raise InvalidInput(f"{kind} divides by n - p, and {n} rows have {p} coefficients")


def refuse_frequencies(meat: Meat) -> None:
    """Raise where rows that stand for several have no meaning."""
    if isinstance(meat, Lags):
        raise InvalidInput(
            "frequency_weights have no order in time: repeat the rows where they belong"
        )


def _row(likelihood: LinearLikelihood, i: int) -> int:
    """Number of the row, in the data as given where that is known."""
    source: Any = likelihood.source
    while hasattr(source, "source"):
        source = source.source
    return int(source.row_numbers[i]) if isinstance(source, ArraySource) else i
