"""Covariances of least squares that survive a wrong model of the noise, Eqs. (12.5) to (12.7).

All have the form R⁻¹MR⁻ᵀ. Where the noise is independent and equally large, M is s² times the
identity, in coordinates in which the columns are orthonormal. Where it is not, M is estimated from
the gradients of the rows, gᵢ = rᵢR⁻ᵀxᵢ: one by one (HC0 to HC3), summed over clusters, or
with their neighbours in time. One pass over the rows; nothing of size n × n.
"""

import math
import warnings
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from mlreg.certificate import LeastSquares
from mlreg.data.streamed import StreamedSource
from mlreg.errors import InvalidInput, NumericalWarning
from mlreg.inference.labels import Labels, labels_of
from mlreg.inference.rows import scaled_rows
from mlreg.likelihood.blocks import ArraySource
from mlreg.likelihood.linear import LinearLikelihood
from mlreg.linalg.products import square, whiten

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
OfLeastSquares = Literal["HC0", "HC1", "HC2", "HC3", "cluster", "HAC"]

ROUNDED = 1e-14
"""Part of the largest eigenvalue of sums of outer products that is rounding."""

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
    scale_std_errors : ndarray, shape (q,), or None
        Of the coefficients of the scale; None for least squares.
    """

    kind: str
    label: str
    root: F64
    df: float
    scale_std_errors: F64 | None = None


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
        self._sums = [np.zeros((64, size)) for _ in range(1 if labels.ways == 1 else 3)]
        self.counts = [0] * len(self._sums)
        """Number of clusters of each kind, and of those that both kinds make."""

    def add(self, G: F64, k: F64 | None) -> None:
        """See `Meat`."""
        if not len(G):
            return
        weighted = G if k is None else G * k[:, None]
        for i, codes in enumerate(self._labels.take(len(G))):
            self.counts[i] = max(self.counts[i], int(codes.max()) + 1)
            if self.counts[i] > len(self._sums[i]):
                more = np.zeros((2 * self.counts[i] - len(self._sums[i]), G.shape[1]))
                self._sums[i] = np.vstack([self._sums[i], more])
            order = np.argsort(codes, kind="stable")
            first = np.flatnonzero(np.diff(codes[order], prepend=-1))
            self._sums[i][codes[order[first]]] += np.add.reduceat(weighted[order], first, axis=0)

    def total(self) -> F64:
        """See `Meat`; with the factor G/(G − 1) of each kind."""
        parts = []
        for sums, count in zip(self._sums, self.counts, strict=True):
            if count < 2:
                raise InvalidInput(
                    f"there is {count} cluster: what varies between clusters needs two, and "
                    "many more to be of use"
                )
            parts.append(square(sums[:count], np.full(count, count / (count - 1))))
        if len(parts) == 1:
            return parts[0]
        whole = parts[0] + parts[1] - parts[2]
        values, vectors = np.linalg.eigh(whole)
        if values[0] >= -ROUNDED * values[-1]:
            return whole
        warnings.warn(
            "the covariance clustered two ways is not positive semidefinite, as happens with few "
            "clusters: its negative eigenvalues are set to zero",
            NumericalWarning,
            stacklevel=2,
        )
        return np.asarray((vectors * np.maximum(values, 0)) @ vectors.T)


class Lags:
    """M = Γ₀ + Σ_l (1 − l/(L + 1)) (Γ_l + Γ_lᵀ), Eq. (12.7): Newey and West's.

    Γ_l is the sum of gᵢgᵢ₋ₗᵀ. That is Σ S_tS_tᵀ/(L + 1), S_t the sum of the L + 1 neighbours up to
    t, where a pair that is l apart occurs L + 1 − l times. Rows are in the order of time; the last
    L are kept.
    """

    def __init__(self, size: int, lags: int) -> None:
        self.lags, self._total = lags, np.zeros((size, size))
        self._tail = np.zeros((lags, size))

    def add(self, G: F64, k: F64 | None) -> None:
        """See `Meat`."""
        assert k is None
        rows = np.vstack([self._tail, G])
        self._total += self._of(rows)
        self._tail = rows[len(G) :].copy()

    def total(self) -> F64:
        """See `Meat`."""
        end = self._of(np.vstack([self._tail, np.zeros_like(self._tail)]))
        return (self._total + end) / (self.lags + 1)

    def _of(self, rows: F64) -> F64:
        """Of the neighbours that end in each row but the first L."""
        sums = np.cumsum(rows, axis=0)
        last = sums[self.lags :].copy()
        last[1:] -= sums[: len(last) - 1]
        return square(last, np.ones(len(last)))


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
    for rows in scaled_rows(likelihood.blocks(), ls.triangle.exponent, ls.beta):
        if rows.k is not None:
            refuse_frequencies(meat)
        r, W = rows.e, whiten(R, rows.A)
        if kind in ("HC2", "HC3"):
            rest = 1 - np.einsum("ij,ij->i", W, W)
            if (rest <= FREE).any():
                row = _row(likelihood, rows.first + int((rest <= FREE).argmax()))
                raise InvalidInput(
                    f"{row} has leverage 1: its residual is zero whatever its response, and "
                    f"{kind} divides by what is left. Use HC1, or leave out the row and the column "
                    "that only it determines"
                )
            r = r / (np.sqrt(rest) if kind == "HC2" else rest)
        meat.add(W * r[:, None], rows.k)
    total = meat.total()
    if kind == "HC1":
        total = total * (n / (n - p))
    if kind == "cluster":
        total = total * ((n - 1) / (n - p))
    label, df = described(kind, meat, float(n - p))
    return Robust(kind, label, root_of(total), df)


def root_of(M: F64) -> F64:
    """C, CCᵀ = M of Eq. (12.5), a sum of outer products; directions that are rounding are zero."""
    values, vectors = np.linalg.eigh(M)
    values[values <= ROUNDED * len(M) * values.max(initial=0.0)] = 0.0
    return np.asarray(vectors * np.sqrt(values))


def described(kind: str, meat: Meat | None, df: float) -> tuple[str, float]:
    """What a covariance is called, and its degrees of freedom, ``df`` where it has none itself."""
    if isinstance(meat, Clusters):
        counts = meat.counts[:2]
        return f"clustered, by {' and '.join(map(str, counts))} groups", min(counts) - 1.0
    if isinstance(meat, Lags):
        return f"Newey-West's with {meat.lags} lags, the rows in order of time", df
    return {
        "sandwich": "HC0",
        "opg": "outer products of gradients",
        "observed": "by the observed Hessian",
    }.get(kind, kind), df


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


def _row(likelihood: LinearLikelihood, i: int) -> str:
    """Which row it is, in the data as given where that is known."""
    source: Any = likelihood.source
    while hasattr(source, "source"):
        source = source.source
    if isinstance(source, ArraySource):
        return f"row {source.row_numbers[i]}"
    return source.place(i) if isinstance(source, StreamedSource) else f"row {i} of those in use"
