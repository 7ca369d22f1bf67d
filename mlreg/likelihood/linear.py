"""The NLL of y = Xβ + σ·ε for any noise, as sums over blocks of rows.

A noise knows the density of z = (y − Xβ)/σ and two derivatives; the chain rule
to θ = (β, γ) is here and nowhere else. γ is log σ; or, with a scale design Z, the
coefficients of log σᵢ = ζᵢᵀγ, which differs from row to row, Eq. (9.1). A row of precision w has
the scale σ/√w; a row of frequency k counts k times.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from array_api_compat import device, is_array_api_obj, is_numpy_array
from numpy.typing import NDArray

from mlreg.errors import InvalidInput
from mlreg.likelihood.blocks import (
    ArraySource,
    Block,
    PiecedBlock,
    Source,
    as_float,
    namespace,
    to_numpy,
)
from mlreg.likelihood.noise import Gaussian, Noise
from mlreg.likelihood.prior import NormalPrior
from mlreg.likelihood.transform import as_transform
from mlreg.likelihood.wrapped import CheckedSource, SelectedSource
from mlreg.linalg.fold import fold
from mlreg.linalg.pieces import Pieces
from mlreg.linalg.rank import RankReport, rank_report
from mlreg.linalg.triangle import Triangle, merge, scale_columns, select

__all__ = ["LinearLikelihood", "Summary"]

F64 = NDArray[np.float64]
Array = Any


@dataclass(frozen=True, eq=False)
class Summary:
    """What one pass over the rows finds: all that a Gaussian model needs to know of them.

    Attributes
    ----------
    triangle : Triangle
        Of [√w X, √w y], Eq. (2.6), rows repeated by their frequency.
    n_rows : int
        Number of observations: the sum of the frequency weights.
    log_precision : float
        Σ log w over the observations, Eq. (1.5).
    first : ndarray, shape (p,)
        The first row of X.
    constant : tuple of int
        Columns of X that are the same number in every row.
    log_jacobian : float
        Sum of log g'(y) over the observations, where y was transformed by g.
    """

    triangle: Triangle
    n_rows: int
    log_precision: float
    first: F64
    constant: tuple[int, ...]
    log_jacobian: float = 0.0

    def __add__(self, other: "Summary") -> "Summary":
        """Of the rows of both, Eq. (2.7)."""
        both = sorted(set(self.constant) & set(other.constant))
        return Summary(
            merge(self.triangle, other.triangle),
            self.n_rows + other.n_rows,
            self.log_precision + other.log_precision,
            self.first,
            tuple(j for j in both if self.first[j] == other.first[j]),
            self.log_jacobian + other.log_jacobian,
        )

    def select(self, keep: Sequence[int]) -> "Summary":
        """Of some of the columns, in the order given."""
        columns = [*keep, len(self.first)]
        constant = tuple(i for i, j in enumerate(keep) if j in self.constant)
        triangle = select(self.triangle, columns)
        return replace(self, triangle=triangle, first=self.first[list(keep)], constant=constant)


class LinearLikelihood:
    """Likelihood of a linear model, a function of θ = (β, γ), where γ = log σ or log σᵢ = ζᵢᵀγ.

    Parameters
    ----------
    X : array, shape (n, p)
        Design matrix, as given: a model with an intercept has a column of ones.
    y : array, shape (n,)
        Responses, of the same array namespace.
    noise : Noise
        Density of the standardised residual.
    scale : array, shape (n, q), optional
        Scale design Z as given, Eq. (9.1); without it σ is the same in every row, and q = 1.
    prior : NormalPrior, optional
        What is believed of the coefficients beforehand. It is no part of `nll`; optimizers add
        it, and find the mode of the posterior.

    Notes
    -----
    Sums over rows, Eq. (1.5), run in the arrays' own namespace, block by block; what
    comes back is a float or a NumPy array. `reads` counts the passes over the data.

    Where the source has a ``transform`` g, the model is one of g(y), and the NLL one of y: that of
    g(y) less the sum of log g'(y). Gradient, Hessian and information are not changed by it.

    Examples
    --------
    >>> import numpy as np
    >>> likelihood = LinearLikelihood(np.ones((2, 1)), np.array([-1.0, 1.0]))
    >>> round(likelihood.nll([0.0, 0.0]), 4)
    2.8379
    """

    def __init__(
        self,
        X: Array,
        y: Array,
        *,
        noise: Noise | None = None,
        scale: Array | None = None,
        prior: NormalPrior | None = None,
    ) -> None:
        self._bind(ArraySource(X, y, scale=scale), noise, prior)

    @classmethod
    def from_source(
        cls, source: Source, noise: Noise | None = None, prior: NormalPrior | None = None
    ) -> "LinearLikelihood":
        """Likelihood of the rows of a `Source`, with its weights."""
        self = cls.__new__(cls)
        self._bind(source, noise, prior)
        return self

    @classmethod
    def from_summary(
        cls,
        source: Source,
        summary: Summary,
        noise: Noise | None = None,
        prior: NormalPrior | None = None,
    ) -> "LinearLikelihood":
        """Likelihood of rows of which the summary is known already."""
        self = cls.from_source(source, noise, prior)
        self.__dict__["summary"] = summary
        return self

    def _bind(self, source: Source, noise: Noise | None, prior: NormalPrior | None = None) -> None:
        trusted = isinstance(source, (ArraySource, CheckedSource, SelectedSource))
        trusted = trusted or getattr(source, "checked", False)
        self.source = source if trusted else CheckedSource(source)
        self.noise: Noise = Gaussian() if noise is None else noise
        self.prior = prior
        self.transform = as_transform(getattr(self.source, "transform", None))
        self.reads: float = 0
        self.memo: dict[str, Any] = {}  # what others have found out about it

    @property
    def n_params(self) -> int:
        """Number of coefficients p, the intercept included."""
        return len(self.source.names)

    @property
    def scale_names(self) -> tuple[str, ...]:
        """Names of the columns of the scale design; empty where σ is the same in every row."""
        return tuple(getattr(self.source, "scale_names", ()))

    @property
    def n_scale(self) -> int:
        """Number of parameters q of the scale."""
        return len(self.scale_names) or 1

    @property
    def exact(self) -> bool:
        """Whether least squares is the estimate: Gaussian noise of one scale, and no prior."""
        plain = not self.scale_names and self.prior is None
        return plain and isinstance(self.noise, Gaussian)

    @cached_property
    def prior_precision(self) -> F64:
        """1/τ² of each coefficient, shape (p,), Eq. (10.1); zero where there is no prior."""
        if self.prior is None:
            return np.zeros(self.n_params)
        precision = np.full(self.n_params, self.prior.sd**-2.0)
        if self.constant is not None:
            precision[self.constant] = 0.0
        return precision

    @property
    def n_rows(self) -> int:
        """Number of observations: the sum of the frequency weights."""
        n = self.source.n_rows
        return self.summary.n_rows if n is None else n

    @property
    def log_precision(self) -> float:
        """Σ log w over the observations: minus twice what it adds to the NLL, Eq. (1.5)."""
        return self.summary.log_precision

    @property
    def log_jacobian(self) -> float:
        """Sum of log g'(y) over the observations, Eq. (9.11): minus what g adds to the NLL."""
        return self.summary.log_jacobian

    @property
    def triangle(self) -> Triangle:
        """Triangle of [√w X, √w y], Eq. (2.6), rows repeated by their frequency; one pass, kept."""
        return self.summary.triangle

    @cached_property
    def rank_report(self) -> RankReport:
        """Which columns of the design depend on earlier ones."""
        p, triangle = self.n_params, self.triangle
        return rank_report(
            triangle.R[:p, :p], triangle.exponent[:p], triangle.n_rows, triangle.blur
        )

    @cached_property
    def scale_triangle(self) -> Triangle:
        """Triangle of √k Z, Eq. (2.6), rows repeated by their frequency; one pass, kept.

        Raises
        ------
        InvalidInput
            Where columns of the scale design depend on each other: γ is not unique then.
        """
        if not self.scale_names:
            return Triangle(np.full((1, 1), math.sqrt(self.n_rows)), np.zeros(1, dtype=np.int64))

        def rows() -> Iterator[Pieces]:
            for block in self.blocks():
                Z = to_numpy(block.Z)
                k = 1.0 if block.frequency is None else np.sqrt(to_numpy(block.frequency))[:, None]
                yield Pieces([Z * k])

        triangle = fold(rows(), self.n_scale)
        report = rank_report(triangle.R, triangle.exponent, triangle.n_rows, triangle.blur)
        if report.dependent:
            raise InvalidInput(
                "the columns of the scale design are linearly dependent, so that its coefficients "
                f"are not unique: {report.describe(self.scale_names)}. Remove columns (an array of "
                "the scale is given without a column of ones)"
            )
        return triangle

    @property
    def constant(self) -> int | None:
        """Position of the first column that is the same number, not zero, in every row, if any."""
        summary = self.summary
        return next((j for j in summary.constant if summary.first[j] != 0), None)

    @cached_property
    def summary(self) -> Summary:
        """What one pass over the rows finds; kept."""
        return self.summarise(self.blocks())

    def summarise(self, blocks: Iterable[Block]) -> Summary:
        """The same, of blocks that are all rows of the source, each once, in any order."""
        n_rows, log_precision, log_jacobian = 0.0, [], []
        first = np.full(self.n_params, np.nan)
        constant = set(range(self.n_params))

        def rows() -> Iterator[Pieces]:
            nonlocal n_rows, first
            for block in blocks:
                m = block.y.shape[0]
                k = None if block.frequency is None else to_numpy(block.frequency)
                if block.precision is not None:
                    logs = np.log(to_numpy(block.precision))
                    log_precision.append(float(np.sum(logs if k is None else k * logs)))
                if self.transform is not None:
                    logs = to_numpy(self.transform.log_slope(block.y))
                    log_jacobian.append(float(np.sum(logs if k is None else k * logs)))
                pieces = pieces_of(block)
                if m and not n_rows:
                    first = to_numpy(block.X)[0].copy()
                doubtful = sorted(constant - pieces.constant)
                if m and doubtful:
                    varies = (to_numpy(block.X)[:, doubtful] != first[doubtful]).any(axis=0)
                    constant.difference_update(np.array(doubtful)[varies].tolist())
                n_rows += m if k is None else float(k.sum())
                yield pieces

        triangle = fold(rows(), self.n_params + 1)
        constant = constant if n_rows else set()
        return Summary(
            triangle,
            int(n_rows),
            math.fsum(log_precision),
            first,
            tuple(sorted(constant)),
            math.fsum(log_jacobian),
        )

    def exhaust(self, blocks: Iterable[Block]) -> None:
        """Go through the blocks of a pass for their side effects, which reads all rows.

        The same pass makes the `summary`, as `summarise` does, unless that is known.
        """
        if "summary" in vars(self):
            for _ in blocks:
                pass
        else:
            self.summary = self.summarise(blocks)

    def select(self, keep: Sequence[int]) -> "LinearLikelihood":
        """The likelihood of some of the columns; what one pass has found is not read again."""
        source = SelectedSource(self.source, keep)
        other = LinearLikelihood.from_source(source, self.noise, self.prior)
        other.__dict__["summary"] = self.summary.select(keep)
        other.reads = self.reads
        return other

    def with_noise(self, noise: Noise) -> "LinearLikelihood":
        """The likelihood of the same rows and another noise; what is known is not read again."""
        other = LinearLikelihood.from_source(self.source, noise, self.prior)
        known = ("summary", "rank_report", "scale_triangle")  # nothing of the noise in these
        other.__dict__.update({name: vars(self)[name] for name in known if name in vars(self)})
        if "least_squares" in self.memo:
            other.memo["least_squares"] = self.memo["least_squares"]
        other.reads = self.reads
        return other

    def rows(self) -> Iterator[F64]:
        """Blocks of [√w X, √w y], Eq. (1.5), rows of frequency k times √k, as NumPy: one pass."""
        return map(weighted_rows, self.blocks())

    def blocks(
        self, size: int | None = None, rng: np.random.Generator | None = None
    ) -> Iterator[Block]:
        """Blocks of the source, as `Source.blocks` gives them; counted as one pass."""
        if self.reads and not self.source.rereadable:
            raise InvalidInput(
                "this source can be read only once, and it has been read: what needs its rows "
                "again (SGD, Scipy, residuals) needs a source that can be read again"
            )
        self.reads += 1
        return self.source.blocks(size, rng)

    def term(self, theta: Array, block: Block) -> tuple[Array, Array]:
        """NLL of one block of rows, and its gradient: what minibatch SGD samples.

        Parameters
        ----------
        theta : array, shape (p + q,)
            (β, γ).
        block : Block
            Rows of the design.

        Returns
        -------
        nll : scalar
            Σ k [ρ(z) + log σ − ½ log w − log g'(y)], Eqs. (1.4), (1.5), (9.2) and (9.11).
        gradient : array, shape (p + q,)
            Eqs. (3.5) and (9.3), in the namespace of the block.
        """
        xp, log_sigma, z, k, root_w = self._standardise(theta, block)
        psi = self.noise.psi(z)
        value = self.noise.rho(z) + log_sigma - xp.log(root_w)
        if self.transform is not None:
            value = value - self.transform.log_slope(block.y)
        pull = k * (1 - z * psi)
        if block.Z is None:  # σ is taken out of the sum
            by_beta = -(block.X.T @ (k * root_w * psi)) * xp.exp(-log_sigma)
            by_gamma = xp.reshape(xp.sum(pull), (1,))
        else:
            by_beta = -(block.X.T @ (k * root_w * psi * xp.exp(-log_sigma)))
            by_gamma = block.Z.T @ pull
        return xp.sum(k * value), xp.concat([by_beta, by_gamma])

    def _standardise(self, theta: Array, block: Block) -> tuple[Any, ...]:
        """Namespace, log σ, z = √w (y − Xβ)/σ, frequencies k and √w, all of one block."""
        xp = namespace(block.X, block.y)
        if not is_array_api_obj(theta) or (is_numpy_array(theta) and not is_numpy_array(block.X)):
            theta = xp.asarray(np.asarray(theta), device=device(block.X))
        theta = as_float(xp, theta)
        p, q = block.X.shape[1], 1 if block.Z is None else block.Z.shape[1]
        if theta.shape != (p + q,):
            scale = "log sigma" if block.Z is None else f"the {q} of the scale"
            raise InvalidInput(
                f"theta must have shape ({p + q},), the {p} coefficients and {scale}; "
                f"it has {tuple(theta.shape)}"
            )
        beta = theta[:p]
        log_sigma = theta[p] if block.Z is None else block.Z @ theta[p:]
        ones = xp.ones(block.y.shape, dtype=xp.float64, device=device(block.y))
        k = ones if block.frequency is None else block.frequency
        root_w = ones if block.precision is None else xp.sqrt(block.precision)
        z = root_w * (block.y - block.X @ beta) * xp.exp(-log_sigma)
        return xp, log_sigma, z, k, root_w

    def nll(self, theta: Array) -> float:
        """Negative log-likelihood with all constants, a sum over rows, Eqs. (1.4), (1.5) and (9.2).

        Parameters
        ----------
        theta : array, shape (p + q,)
            (β, γ).
        """
        return math.fsum(float(to_numpy(self.term(theta, block)[0])) for block in self.blocks())

    def gradient(self, theta: Array) -> F64:
        """Gradient of `nll`, shape (p + q,), Eqs. (3.5) and (9.3)."""
        return self.nll_and_gradient(theta)[1]

    def nll_and_gradient(self, theta: Array) -> tuple[float, F64]:
        """`nll` and `gradient` in one pass over the data."""
        values, total = [], np.zeros(self.n_params + self.n_scale)
        for block in self.blocks():
            value, gradient = self.term(theta, block)
            values.append(float(to_numpy(value)))
            total += to_numpy(gradient)
        return math.fsum(values), total

    def hessian(self, theta: Array) -> F64:
        """Second derivative of `nll`, shape (p + q, p + q), Eqs. (3.7) and (9.4)."""
        p = self.n_params
        total = np.zeros((p + self.n_scale,) * 2)
        for block in self.blocks():
            xp, log_sigma, z, k, root_w = self._standardise(theta, block)
            psi, dpsi = self.noise.psi(z), self.noise.dpsi(z)
            curvature = xp.reshape(k * root_w**2 * dpsi, (-1, 1))
            # before the product, which could overflow
            X = block.X * xp.reshape(xp.exp(-log_sigma), (-1, 1))
            Z = xp.ones_like(X[:, :1]) if block.Z is None else block.Z
            bend = xp.reshape(k * (psi + z * dpsi), (-1, 1))
            total[:p, :p] += to_numpy(X.T @ (curvature * X))
            total[p:, :p] += to_numpy((xp.reshape(root_w, (-1, 1)) * bend * Z).T @ X)
            total[p:, p:] += to_numpy(Z.T @ (xp.reshape(z, (-1, 1)) * bend * Z))
        total[:p, p:] = total[p:, :p].T
        return np.asarray((total + total.T) / 2)  # the product above rounds its halves differently

    def information(self, theta: Array) -> F64:
        """Expected (Fisher) information, shape (p + q, p + q), Eqs. (3.4), (3.6) and (9.5)."""
        R = self.factor(theta)
        return np.asarray(R.T @ R)

    def factor(self, theta: Array) -> F64:
        """Upper triangular R with RᵀR = I(θ), Eqs. (3.6) and (9.5), shape (p + q, p + q), by QR.

        Raises
        ------
        InvalidInput
            For a noise that is not symmetric: location and scale then share information.
        """
        location, cross, scale = self.noise.fisher
        if cross:
            raise InvalidInput(f"{self.noise}: the factor is available for symmetric noises only")
        p = self.n_params
        gamma = np.asarray(theta, dtype=np.float64)[p:]
        R = np.zeros((p + len(gamma),) * 2)
        design = self.spread_triangle(gamma)
        R[:p, :p] = math.sqrt(location) * scale_columns(design.R[:p, :p], design.exponent[:p])
        if not self.scale_names:
            R[:p, :p] *= math.exp(-gamma[0])
        by_scale = self.scale_triangle
        R[p:, p:] = math.sqrt(scale) * scale_columns(by_scale.R, by_scale.exponent)
        return R

    def spread_triangle(self, gamma: F64) -> Triangle:
        """Triangle of [√w X, √w y] with row i over σᵢ, Eq. (9.7); over 1 where all σᵢ are the same.

        One pass for each γ; none where there is no scale design.
        """
        if not self.scale_names:
            return self.triangle

        def rows() -> Iterator[Pieces]:
            for block in self.blocks():
                with np.errstate(over="ignore"):
                    shrink = np.exp(-(to_numpy(block.Z) @ gamma))[:, None]
                    found = weighted_rows(block) * shrink
                if not np.isfinite(found).all():
                    raise InvalidInput(
                        "sigma of some row is so small that the row leaves floating point: "
                        "divide the columns of the scale design by their size"
                    )
                yield Pieces([found])

        return fold(rows(), self.n_params + 1)


def pieces_of(block: Block) -> Pieces:
    """`weighted_rows`, not copied where there are no weights."""
    if block.frequency is not None or block.precision is not None:
        return Pieces([weighted_rows(block)])
    if isinstance(block, PiecedBlock):
        return block.pieces
    return Pieces([to_numpy(block.X), to_numpy(block.y)])


def weighted_rows(block: Block) -> F64:
    """[√w X, √w y] of a block, a row of frequency k times √k: z of Eq. (1.5) but for σ."""
    rows = np.column_stack([to_numpy(block.X), to_numpy(block.y)])
    weights = [w for w in (block.precision, block.frequency) if w is not None]
    if weights:
        there = rows.any(axis=0)
        with np.errstate(over="ignore", under="ignore"):
            for weight in weights:
                rows *= np.sqrt(to_numpy(weight))[:, None]
        if not np.isfinite(rows).all() or (rows.any(axis=0) != there).any():
            raise InvalidInput(
                "the weights take the data out of the range of floating point: divide them by "
                "their largest (for precision weights that rescales sigma only)"
            )
    return rows
