"""Least absolute deviations of any number of rows, exactly, in a few passes.

Nearly all rows enter the minimum by the sign of their residual alone (Portnoy and Koenker, 1997).
From a point that is near, found from a sample, rows of small residual, the *band*, are looked at
one by one, and all others are one vector, the sum of their signed rows. The minimum of that smaller
problem is a vertex, which p rows define. Then all rows are read at the vertex: if it is the minimum
with the signs that are found there, it is that of all rows, Eq. (11.16), for the loss is convex;
nothing that was hoped for on the way matters.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mlreg.linalg.exchange import Vertex, near_vertex, vertex
from mlreg.linalg.refine import doubled_residual
from mlreg.linalg.triangle import norm, solve_upper

__all__ = ["Deviations", "Point"]

F64 = NDArray[np.float64]
Rows = tuple[F64, F64, F64]  # A (m, p), b (m,), weights c (m,)
U = 2.0**-53

FEW = 1500
"""Rows that are solved as they are."""

BAND = 20
"""Rows for each column that a band has, where the point is thought to be near."""

WIDE = 3.0
"""Times the error of a sample's solution that the first band is wide."""


@dataclass(frozen=True, eq=False)
class Point:
    """Coefficients in twice the precision, and how far rounding has left them from a vertex.

    Attributes
    ----------
    high, low : ndarray, shape (p,)
        Their sum are the coefficients.
    reach : ndarray, shape (p,)
        Bound on the distance from the vertex in whitened coordinates; infinite where it is none.
    vertex : Vertex, optional
        As it was found; its rows may be others at the next pass, where more than p pass through it.
    rows : tuple of ndarray, optional
        A (p, p) and b (p,) of the rows that define it.
    weights : ndarray, shape (p,), optional
        Their weights.
    width : float
        That of the band.
    """

    high: F64
    low: F64
    reach: F64
    vertex: Vertex | None = None
    rows: tuple[F64, F64] | None = None
    weights: F64 | None = None
    width: float = math.inf


@dataclass(frozen=True, eq=False)
class Band:
    """Rows of small residuals at a point, and the sum over all others, Eq. (11.16).

    Attributes
    ----------
    rows : tuple of ndarray
        A (m, p), b (m,) and c (m,).
    gradient : ndarray, shape (p,)
        Σ cᵢ sign(rᵢ) aᵢ over the other rows.
    loss : float
        Σ cᵢ|rᵢ| over all rows.
    """

    rows: Rows
    gradient: F64
    loss: float


class Deviations:
    """Σ cᵢ|bᵢ − aᵢᵀβ|, Eq. (8.2), to be minimised.

    Parameters
    ----------
    rows : callable
        Gives A (m, p), b (m,) and positive weights c (m,), block by block, every time it is called.
    R : ndarray, shape (p, p)
        Triangle whose inverse makes the rows well conditioned: that of cᵢaᵢ, or nearly.
    n : float
        About Σ c.
    count : int
        Number of rows.
    """

    def __init__(
        self,
        rows: Callable[[], Iterable[Rows]],
        R: F64,
        n: float,
        count: int,
    ) -> None:
        self.rows, self.R, self.n, self.count = rows, R, n, count
        self.p = len(R)
        self.nowhere = np.full(self.p, math.inf)
        self.tiny = 0.0  # a residual that is nothing beside the responses, and may underflow
        self.inverse = solve_upper(R, np.eye(self.p))
        self.norms = np.linalg.norm(R, axis=0)
        self.per_square = 1 / np.maximum(self.norms * self.norms, 1e-300)
        # sums of a few thousand rows, one after the other: about what their rounding comes to
        long = 64 * U * math.sqrt(min(count, 4096) * n / count)
        self.noise = np.abs(self.inverse).T @ self.norms * long

    def within(self, rows: Rows) -> "Deviations":
        """The same for rows in memory."""
        other = Deviations(lambda: [rows], self.R, float(rows[2].sum()), len(rows[1]))
        other.tiny = max(self.tiny, U * U * U * float(np.abs(rows[1]).max(initial=0.0)))
        return other

    def solve(self, start: F64) -> Point | None:
        """The minimum, from anywhere; None where rounding hides it."""
        origin = Point(start, np.zeros(self.p), self.nowhere)
        if self.count <= max(FEW, 2 * BAND * self.p):
            A, b, c = (np.concatenate(part) for part in zip(*self.rows(), strict=True))
            few = self.within((A, b, c)).settle((A, b, c), np.zeros(self.p), origin)
            return few and replace(few, width=math.inf)
        most = 2 * int(self.p ** (1 / 3) * self.count ** (2 / 3))
        stride = max(4, self.count // max(most, FEW // 2))
        sample = self.sample(stride, start)
        near = sample.solve(start) or origin
        A, b, _ = next(iter(sample.rows()))
        self.tiny = sample.tiny
        size = np.sort(np.abs(b - A @ near.high) / self.leverage(A))
        share = min(1.0, WIDE * math.sqrt(self.p / len(b)))
        width = float(size[int(share * (len(b) - 1))])
        return self.descend(near, width, np.zeros(self.p), self.minimise)

    def sample(self, stride: int, start: F64) -> "Deviations":
        """Every so many rows, and as many weak ones as there are columns that hold it at a start.

        Without these a sample need not determine all coefficients.
        """
        parts: list[Rows] = []
        at = stride // 2
        for A, b, c in self.rows():
            if at < len(b):
                parts.append((A[at::stride].copy(), b[at::stride].copy(), c[at::stride].copy()))
            at = (at - len(b)) % stride
        A, b, c = (np.concatenate(part) for part in zip(*parts, strict=True))
        weak = np.full(self.p, 1e-3 * float(c.sum()) / math.sqrt(self.count))
        rows = np.vstack([A, self.R]), np.append(b, self.R @ start), np.append(c, weak)
        return self.within(rows)

    def leverage(self, A: F64) -> F64:
        """About how much a residual changes from one near solution to another."""
        return np.asarray(np.sqrt((A * A) @ self.per_square) + 1e-150)

    def look(self, beta: F64, width: float) -> Band:
        """The rows of a residual no larger than that, in units of `leverage`, or of no sure sign.

        One pass.
        """
        # |aᵢⱼ| is at most the leverage times the norm of the column: so is the rounding bounded
        width = max(width, 4 * (self.p + 6) * U * float(self.norms @ np.abs(beta)))
        gradient, losses, near = np.zeros(self.p), [], []
        for A, b, c in self.rows():
            r = b - A @ beta
            size = np.abs(r)
            rows = np.flatnonzero(size <= width * self.leverage(A))
            signed = np.copysign(c, r)
            signed[rows] = 0
            gradient += signed @ A
            losses.append(float(c @ size))
            if len(rows):
                near.append((A[rows], b[rows], c[rows]))
        if not near:
            near = [(np.zeros((0, self.p)), np.zeros(0), np.zeros(0))]
        A, b, c = (np.concatenate(part) for part in zip(*near, strict=True))
        return Band((A, b, c), gradient, math.fsum(losses))

    def size(self, beta: F64) -> float:
        """About Σ cᵢ|aᵢ|ᵀ|β|, beside which Eq. (8.2) is rounded."""
        return math.sqrt(self.n) * float(self.norms @ np.abs(beta))

    def loss(self, beta: F64) -> float:
        """Σ cᵢ|rᵢ|, Eq. (8.2); one pass."""
        return math.fsum(float(c @ np.abs(b - A @ beta)) for A, b, c in self.rows())

    def descend(
        self,
        point: Point,
        width: float,
        tilt: F64,
        solve: Callable[[Rows, F64, Point], Point | None],
    ) -> Point | None:
        """The minimum from a point, in bands; ``tilt`` is a linear term beside the loss."""
        for turn in range(100):
            band = self.look(point.high, width)
            A, b, _ = band.rows
            found = solve(band.rows, band.gradient + tilt, point)
            whole = len(b) == self.count
            if found is None:
                if whole:
                    return None
                width = max(4 * width, 1e-6 * band.loss / math.sqrt(self.n * self.p))
                continue
            found = replace(found, width=width)
            if self.stands(point, found):
                return replace(found, high=point.high, low=point.low, reach=point.reach)
            if whole:
                return found
            point, few = found, min(len(b), BAND * self.p) - 1
            size = np.abs(b - A @ point.high) / self.leverage(A)
            narrow = float(np.partition(size, few)[few])
            width = narrow if turn == 0 else max(narrow, 4 * width)
        return None

    def tilted(self, point: Point, tilt: F64) -> Point | None:
        """The minimum of the loss less tiltᵀβ, from a minimum of the loss, Eq. (11.17)."""
        return self.descend(point, point.width, tilt, self.minimise)

    def stands(self, point: Point, found: Point) -> bool:
        """Whether the vertex that has been found is where the search for it began."""
        if found.rows is None or not math.isfinite(point.reach[0]):
            return False
        A, b = found.rows
        r, _ = doubled_residual(A, b, point.high, point.low)
        return bool((np.abs(r) <= self.blur(A, b, point)).all())

    def minimise(self, rows: Rows, tilt: F64, point: Point) -> Point | None:
        """The minimum over rows in memory and a linear term."""
        A, b, c = rows
        if len(b) <= max(FEW, 2 * BAND * self.p):
            return self.settle(rows, tilt, point)
        q = self.leverage(A)
        W, r = self.whiten(A / q[:, None]), (b - A @ point.high) / q
        u, width = near_vertex(W, r, c * q, self.whiten(tilt), BAND * self.p)
        near = Point(point.high + self.inverse @ u, point.low, self.nowhere)
        return self.within(rows).descend(near, width, tilt, self.settle)

    def whiten(self, A: F64) -> F64:
        """AR⁻¹, by substitution, Eq. (3.8)."""
        return np.ascontiguousarray(solve_upper(self.R, A.T, transpose=True).T)

    def settle(self, rows: Rows, tilt: F64, point: Point) -> Point | None:
        """The vertex that is the minimum over a few rows, in twice the precision."""
        A, b, c = rows
        if len(b) < self.p:
            return None
        W, g = self.whiten(A), self.whiten(tilt)
        last: Vertex | None = None
        for _ in range(30):
            r, _ = doubled_residual(A, b, point.high, point.low)
            blur = self.blur(A, b, point, W)
            r[np.abs(r) <= blur] = 0
            found = vertex(W, r, c, g, np.minimum(blur, np.abs(r)), self.noise)
            if found is None:
                return None
            B = found.basis
            if math.isfinite(point.reach[0]) and not r[B].any():
                return replace(point, vertex=found, rows=(A[B], b[B]), weights=c[B])
            if last is not None and math.isfinite(point.reach[0]):
                u = found.inverse @ r[B]
                gain = W @ u * np.where(r < 0, -1.0, 1.0)  # of |r|, a row that keeps its sign
                gain = np.where(gain <= np.abs(r), gain, 2 * np.abs(r) - gain)
                gain[r == 0] = -np.abs(W[r == 0] @ u)
                blurred = 64 * U * float(c @ np.abs(gain) + np.abs(g) @ np.abs(u))
                if float(c @ gain + g @ u) <= blurred:  # another minimum, no lower: stay here
                    B = last.basis
                    return replace(point, vertex=last, rows=(A[B], b[B]), weights=c[B])
            point, last = self._polish(A[B], b[B], found.inverse, point), found
            if not np.isfinite(point.high).all():
                return None
        return None

    def blur(self, A: F64, b: F64, point: Point, W: F64 | None = None) -> F64:
        """Bound on the residual, in twice the precision, of a row through the vertex at a point."""
        unit = 8 * U * U * (self.p + 4)
        size = unit * (np.abs(b) + np.abs(A) @ np.abs(point.high)) + self.tiny
        if math.isfinite(point.reach[0]):
            size += np.abs(self.whiten(A) if W is None else W) @ point.reach
        return np.asarray(size)

    def _polish(self, A: F64, b: F64, inverse: F64, point: Point) -> Point:
        """The solution of p equations in twice the precision, from a point nearby."""
        high, low = point.high, point.low
        last, shrinks = math.inf, False
        for _ in range(40):
            r = np.add(*doubled_residual(A, b, high, low))
            step = inverse @ r
            size = norm(step)
            if not size < 0.5 * last:
                shrinks = shrinks or bool((np.abs(r) <= self.tiny).all())
                break
            shrinks, last = math.isfinite(last) or not size, size
            change = self.inverse @ step
            total = high + change
            low = low + ((high - total) + change)
            high = total + low
            low = low - (high - total)
            if not size:
                break
        left = np.abs(inverse) @ (np.abs(r) + self.blur(A, b, Point(high, low, self.nowhere)))
        return Point(high, low, 2 * left if shrinks else self.nowhere)
