"""The MLE under Laplace noise, least absolute deviations, Eq. (8.2), and its certificate.

At the MLE the gradient jumps over zero: Σ cᵢuᵢxᵢ = 0 with c = k√w, where uᵢ is the sign of a
residual, and any number in [−1, 1] for one that is zero, Eq. (11.13). Such uᵢ prove that no β has a
smaller loss, Eq. (11.14): Σ cᵢ|yᵢ − xᵢᵀβ| ≥ Σ cᵢuᵢ(yᵢ − xᵢᵀβ) = Σ cᵢuᵢyᵢ, that of the MLE. So a
point is judged by its distance from the MLE itself, however far it is.

Where a |uᵢ| of a zero residual is 1, too, that residual may become one of its sign at no loss, and
the MLE need not be unique, Eq. (11.17).

Everything inside is in the scaled units of the triangle, as in `mlreg.certificate.LeastSquares`.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from mlreg.likelihood.blocks import to_numpy
from mlreg.likelihood.linear import LinearLikelihood
from mlreg.linalg.deviations import Deviations, Point, Rows
from mlreg.linalg.triangle import norm, plain, scale_columns, solve_upper

__all__ = ["LeastAbsolute", "Verdict", "least_absolute"]

F64 = NDArray[np.float64]
U = 2.0**-53


class Verdict(NamedTuple):
    """What a certificate says of a point; lengths are in standard errors, Eq. (8.11)."""

    distance: float
    per_param: F64
    sigma_distance: float
    log_likelihood_gap: float


@dataclass(frozen=True, eq=False)
class LeastAbsolute:
    """The Laplace MLE, Eqs. (8.2) and (11.13), and what a certificate needs of it.

    Attributes
    ----------
    deviations : Deviations
        The loss, as a sum over the rows.
    exponent : ndarray of int, shape (p + 1,)
        Coefficient j of the data is ``beta[j] * 2**(exponent[-1] - exponent[j])``.
    n_rows : int
        Number of observations.
    high, low : ndarray, shape (p,)
        The coefficients, rounded, and what the rounding left out.
    loss : float
        Σ cᵢ|rᵢ|, Eq. (8.2).
    bound : ndarray, shape (p,)
        Bound on the rounding error of ``high``.
    corners : ndarray, shape (m, p)
        Vertices that are MLEs, one where it is unique. Each coefficient is least at one of them,
        and greatest at one, among all MLEs; the mean of them is taken for the MLE.
    closed : bool
        Whether these limits are known, or only that the MLE is not unique.
    """

    deviations: Deviations
    exponent: NDArray[np.int64]
    n_rows: int
    high: F64
    low: F64
    loss: float
    bound: F64
    corners: F64
    closed: bool = True

    @property
    def unique(self) -> bool:
        """Whether there is no other MLE, to rounding."""
        return self.closed and len(self.corners) == 1

    @property
    def params(self) -> F64:
        """The coefficients in the units of the data, shape (p,), Eq. (11.13)."""
        return self.unscale(self.high).copy()

    @property
    def limits(self) -> F64:
        """Least and greatest value of each coefficient of all MLEs, shape (p, 2), Eq. (11.17)."""
        ends = self.corners.min(axis=0), self.corners.max(axis=0)
        return np.column_stack([self.unscale(end) for end in ends])

    def unscale(self, beta: F64) -> F64:
        """From scaled coefficients to those of the data."""
        return scale_columns(beta, self.exponent[-1] - self.exponent[:-1])

    def scale(self, params: F64) -> F64:
        """The inverse of `unscale`."""
        return scale_columns(params, self.exponent[:-1] - self.exponent[-1])

    @property
    def sigma(self) -> float:
        """Scale σ̂ = Σ cᵢ|rᵢ|/n, Eq. (8.2), scaled."""
        return self.loss / self.n_rows

    @cached_property
    def spread(self) -> F64:
        """√Gⱼⱼ of Eq. (2.11): times σ̂ they are the standard errors, Eq. (8.11)."""
        return np.asarray(np.linalg.norm(self.deviations.inverse, axis=1))

    @property
    def rounding(self) -> F64:
        """Bound on the rounding error of each coefficient, in standard errors."""
        return np.asarray(self.bound / (self.spread * self.sigma))

    def loss_at(self, params: F64) -> float:
        """Σ cᵢ|rᵢ|, Eq. (8.2), scaled, at coefficients of the data; a pass, if they are others."""
        beta = self.scale(params)
        return self.loss if (beta == self.high).all() else self.deviations.loss(beta)

    def log_sigma(self, loss: float) -> float:
        """log(loss/n), Eq. (8.2), in the units of the data."""
        return math.log(loss) - math.log(self.n_rows) + int(self.exponent[-1]) * math.log(2)

    def distance(self, params: F64) -> float:
        """`Verdict.distance`, of coefficients of the data; nothing is read."""
        with np.errstate(all="ignore"):  # absurd params overflow: they are infinitely far
            far = norm(self.deviations.R @ self._shortest(self.scale(params))) / self.sigma
        return far if math.isfinite(far) else math.inf

    def judge(self, params: F64, sigma: float | None = None) -> Verdict:
        """Distance from the MLE, from the nearest one that is known, and the gap of Eq. (11.15)."""
        far = math.inf
        with np.errstate(all="ignore"):  # absurd params overflow: they are infinitely far
            loss = self.loss_at(params)
            delta = self._shortest(self.scale(params))
            contrast = self.deviations.R @ delta
        if not (np.isfinite(contrast).all() and math.isfinite(loss)):
            return Verdict(far, np.full(len(params), far), far, far)
        excess = max(0.0, (loss - self.loss) / self.loss)
        if not self.unique and self.is_least(loss, self.scale(params)):
            delta, contrast, excess = 0 * delta, 0 * contrast, 0.0  # zero is a subgradient there
        log_ratio, gap = math.log1p(excess), self.n_rows * math.log1p(excess)
        if sigma is not None:  # the NLL at (params, sigma) less that at the MLE, Eq. (8.2)
            more, log_ratio = log_ratio, math.log(sigma) - self.log_sigma(self.loss)
            over = more - log_ratio
            gap = self.n_rows * (log_ratio + math.expm1(over)) if over < 700 else far
        return Verdict(
            distance=norm(contrast) / self.sigma,
            per_param=np.abs(delta) / (self.spread * self.sigma),
            sigma_distance=math.sqrt(self.n_rows) * abs(log_ratio),
            log_likelihood_gap=gap,
        )

    def is_least(self, loss: float, beta: F64) -> bool:
        """Whether a loss is that of the MLE, to about what rounding does to it."""
        return loss - self.loss <= 64 * U * (self.loss + self.deviations.size(beta))

    def _shortest(self, beta: F64) -> F64:
        """The way from the nearest mean of the corners."""
        if self.unique:
            return beta - self.high - self.low
        way = (beta - self.corners) @ self.deviations.R.T
        size = max(float(np.abs(way).max()), 1e-300)
        # the nearest point of a hull: weights ≥ 0 whose sum, being weighty, is one
        A = np.vstack([way.T / size, np.full(len(way), 1e4)])
        weights, _ = nnls(A, np.append(np.zeros(len(beta)), 1e4))
        return np.asarray(beta - weights / weights.sum() @ self.corners)


def least_absolute(
    likelihood: LinearLikelihood, start: F64, gamma: F64 | None = None
) -> LeastAbsolute | None:
    """The Laplace MLE of a likelihood of full rank, Eq. (11.13); what has been found is kept.

    With a scale design, ``gamma`` are its coefficients, shape (q,), and it is the MLE given these.

    It is None where rounding hides it. ``start`` are coefficients from which the search begins,
    which has no influence on what it finds where the MLE is unique.
    """
    if gamma is not None:
        return _solve(likelihood, start, gamma)
    if "least_absolute" not in likelihood.memo:
        likelihood.memo["least_absolute"] = _solve(likelihood, start)
    known: LeastAbsolute | None = likelihood.memo["least_absolute"]
    return known


def _solve(
    likelihood: LinearLikelihood, start: F64, gamma: F64 | None = None
) -> LeastAbsolute | None:
    triangle = plain(likelihood.triangle)
    R, n = triangle.R[:-1, :-1], likelihood.n_rows
    unit = int(triangle.exponent[-1]) * math.log(2)  # log σ of the data less the scaled
    if gamma is not None:
        spread = likelihood.spread_triangle(gamma)
        R = scale_columns(spread.R, spread.exponent - triangle.exponent)[:-1, :-1] * math.exp(unit)
    # precision weights of an extreme size change places with the rows they belong to
    half = round(likelihood.log_precision / n / math.log(4))
    exponent = triangle.exponent - half

    def rows() -> Iterator[Rows]:
        for block in likelihood.blocks():
            X, y = to_numpy(block.X), to_numpy(block.y)
            c = np.ones(len(y)) if block.frequency is None else to_numpy(block.frequency)
            if block.precision is not None:
                c = c * np.sqrt(np.ldexp(to_numpy(block.precision), -2 * half))
            if gamma is not None:
                c = c * np.exp(unit - to_numpy(block.Z) @ gamma)
            yield scale_columns(X, -exponent[:-1]), scale_columns(y, -exponent[-1:]), c

    with np.errstate(all="ignore"):  # what overflows is not found
        deviations = Deviations(rows, R, n, triangle.n_rows)
        beta = scale_columns(start, triangle.exponent[:-1] - triangle.exponent[-1])
        point = deviations.solve(beta)
        if point is None or not np.isfinite(point.high).all():
            return None
        found = LeastAbsolute(
            deviations=deviations,
            exponent=triangle.exponent,
            n_rows=n,
            high=point.high,
            low=point.low,
            loss=deviations.loss(point.high),
            bound=_bound(deviations, point),
            corners=point.high[None],
        )
        return _corners(found, point)


def _bound(deviations: Deviations, point: Point) -> F64:
    """Bound on the error of the coefficients, rounded to float64."""
    return np.asarray(np.abs(deviations.inverse) @ point.reach + U * np.abs(point.high))


def _corners(found: LeastAbsolute, point: Point) -> LeastAbsolute:
    """The same with all that is to be said where the MLE is not unique.

    A coefficient is least where the loss with a small multiple of it added is: exactly so, if that
    vertex is a minimum of the loss alone.
    """
    vertex, weights, deviations = point.vertex, point.weights, found.deviations
    assert vertex is not None
    assert weights is not None
    room = weights - np.abs(vertex.multipliers)
    if (room > 4 * vertex.slack).all():
        return found
    ends, closed = [point], True
    for j in range(deviations.p):
        for side in (1.0, -1.0):
            tilt = np.zeros(deviations.p)
            tilt[j] = side
            tilt /= np.abs(solve_upper(deviations.R, tilt, transpose=True) @ vertex.inverse).max()
            end = _end(found, point, tilt * float(weights.min()))
            if end is None:
                closed = False
            elif not any(deviations.stands(other, end) for other in ends):
                ends.append(end)
    corners = np.array([end.high for end in ends])
    if closed and len(corners) == 1:
        return found
    mean = np.mean(corners, axis=0)
    bound = np.max([_bound(deviations, end) for end in ends], axis=0)
    return replace(
        found,
        high=mean,
        low=np.zeros(deviations.p),
        bound=bound + 4 * U * np.abs(corners).max(axis=0),
        corners=corners,
        closed=closed,
    )


def _end(found: LeastAbsolute, point: Point, tilt: F64) -> Point | None:
    """Where, among all MLEs, the tilt is greatest; None where rounding hides it."""
    for power in (-3, -5, -7, -9):
        end = found.deviations.tilted(point, tilt * 10.0**power)
        if end is not None and found.is_least(found.deviations.loss(end.high), end.high):
            return end
    return None
