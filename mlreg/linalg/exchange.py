"""Least absolute deviations in memory: vertex exchange, and a descent that comes near to it.

Both minimise f(u) = Σ cᵢ|rᵢ − wᵢᵀu| − gᵀu, the linear term being the rows whose sign is known.
A minimum lies at a vertex, where p rows have no residual. From one vertex the loss falls
along an edge, on which one of these rows is let go, until so many residuals have changed their
sign that it rises; the row that does it takes the place of the one let go (Barrodale and
Roberts, 1973). Where no edge goes down, the vertex is a minimum, for f is convex.

More than p residuals may be zero at a vertex, and then an exchange need not move. So that
none is made twice, the rᵢ count as rᵢ + ε·eᵢ with an infinitesimal ε and random eᵢ: among
residuals that are zero the second term decides.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack

from mlreg.linalg.triangle import norm

__all__ = ["Vertex", "near_vertex", "vertex"]

F64 = NDArray[np.float64]
Index = NDArray[np.intp]
U = 2.0**-53
FLAT = 1e-11  # a cosine so small between a row and an edge is rounding
FRESH = 40  # exchanges after which everything is computed anew


@dataclass(frozen=True, eq=False)
class Vertex:
    """A vertex that is a minimum.

    Attributes
    ----------
    basis : ndarray of int, shape (p,)
        The rows without residual that define it.
    inverse : ndarray, shape (p, p)
        Of those rows.
    multipliers : ndarray, shape (p,)
        What times these rows makes the gradient of all others vanish; none exceeds the weight of
        its row by more than ``slack``.
    slack : ndarray, shape (p,)
        About what rounding does to the multipliers.
    exchanges : int
        How many it took.
    """

    basis: Index
    inverse: F64
    multipliers: F64
    slack: F64
    exchanges: int


def vertex(W: F64, r: F64, c: F64, g: F64, blur: F64, noise: F64) -> Vertex | None:
    """The minimum of f, from near u = 0; or None where f has none, or rounding hides it.

    Parameters
    ----------
    W : ndarray, shape (m, p)
        Rows, in coordinates in which they are well conditioned.
    r, c : ndarray, shape (m,)
        Residuals at u = 0, and positive weights.
    g : ndarray, shape (p,)
        The linear term.
    blur : ndarray, shape (m,)
        What is zero of the residuals, to rounding.
    noise : ndarray, shape (p,)
        What rounding does to the gradient.
    """
    basis = _start(W, r)
    if basis is None:
        return None
    state = _State(W, r, c, g, blur, basis)
    for count in range(50 * sum(W.shape) + 1000):
        multipliers = -(state.gradient @ state.inverse)
        slack = noise @ np.abs(state.inverse)
        excess = np.abs(multipliers) - c[state.basis]
        down = (excess - slack) / state.lengths
        j = int(np.argmax(down))
        if down[j] <= 0:
            return Vertex(state.basis, state.inverse, multipliers, slack, count)
        if not state.exchange(j, float(multipliers[j]), float(excess[j])):
            return None
        if count % FRESH == FRESH - 1:
            try:
                state = _State(W, r, c, g, blur, state.basis)
            except np.linalg.LinAlgError:
                return None
    return None


class _State:
    """A vertex on the way: residuals with their signs, and the gradient of the others' loss."""

    def __init__(self, W: F64, r: F64, c: F64, g: F64, blur: F64, basis: Index) -> None:
        self.W, self.c, self.basis = W, c, basis.copy()
        self.sizes = np.sqrt(np.einsum("ij,ij->i", W, W))
        self.inverse: F64 = np.asarray(np.linalg.inv(W[basis]), dtype=np.float64)
        self.lengths = np.sqrt(np.einsum("ij,ij->j", self.inverse, self.inverse))
        e = np.random.default_rng(0).uniform(1, 2, len(r))
        u = self.inverse @ np.column_stack([r[basis], e[basis]])
        self.r, self.e = r - W @ u[:, 0], e - W @ u[:, 1]
        self.r[basis], self.e[basis] = 0, 0
        self.blur = blur + 4 * U * (np.abs(r) + self.sizes * norm(u[:, 0]))
        self.zero = np.abs(self.r) <= self.blur
        self.sign = np.sign(np.where(self.zero, self.e, self.r))
        self.sign[basis] = 0
        self.gradient = (c * self.sign) @ W + g  # minus that of the loss

    def exchange(self, j: int, multiplier: float, excess: float) -> bool:
        """Let go of the row at place j of the basis; False where nothing stops the descent."""
        W, c, leaving = self.W, self.c, self.basis[j]
        side = 1.0 if multiplier > 0 else -1.0
        v = W @ (-side * self.inverse[:, j])  # what the residuals lose along the edge
        speed = np.abs(v)
        ahead = np.flatnonzero((self.sign * v > 0) & (speed > FLAT * self.sizes * self.lengths[j]))
        if not len(ahead):
            return False
        t = np.where(self.zero[ahead], 0.0, self.r[ahead] / v[ahead])
        turn = 2 * c[ahead] * speed[ahead]
        order = np.argsort(t)
        slope = np.cumsum(turn[order]) - excess
        last = int(np.searchsorted(slope, 0.0))  # the slope only grows
        if last == len(order):
            return False
        stop = float(t[order[last]])
        # rows that are met at once are met in the order of their second terms
        reach = self.blur[ahead] + 4 * U * speed[ahead] * stop
        at = np.abs(t - stop) * speed[ahead] <= reach
        at[order[last]] = True
        passed = (t < stop) & ~at
        ties = np.flatnonzero(at)
        ties = ties[np.argsort(self.e[ahead[ties]] / v[ahead[ties]])]
        slope = turn[passed].sum() - excess + np.cumsum(turn[ties])
        k = min(int(np.searchsorted(slope, 0.0)), len(ties) - 1)
        entering = ahead[ties[k]]
        crossed = np.concatenate([ahead[passed], ahead[ties[:k]]])
        self.gradient -= 2 * (c[crossed] * self.sign[crossed]) @ W[crossed]
        self.sign[crossed] *= -1
        self.gradient -= c[entering] * self.sign[entering] * W[entering]
        self.gradient += c[leaving] * side * W[leaving]
        self.sign[entering], self.sign[leaving] = 0, side
        step, second = stop, float(self.e[entering] / v[entering])
        v[self.basis], v[leaving] = 0, -side
        if step:
            self.r -= step * v
            self.blur += 4 * U * step * speed
        self.e -= second * v
        self.r[entering] = self.e[entering] = 0
        self.zero = np.abs(self.r) <= self.blur
        self.basis[j] = entering
        row = W[entering] @ self.inverse
        pivot = self.inverse[:, j] / row[j]
        row[j] = 0
        self.inverse -= np.outer(pivot, row)
        self.inverse[:, j] = pivot
        self.lengths = np.sqrt(np.einsum("ij,ij->j", self.inverse, self.inverse))
        return bool(np.isfinite(self.lengths).all())


def _start(W: F64, r: F64) -> Index | None:
    """p rows of small residuals that are independent; None where there are none."""
    m, p = W.shape
    if m < p:
        return None
    lengths = np.maximum(np.sqrt(np.einsum("ij,ij->i", W, W)), 1e-150)
    size = np.abs(r) / lengths
    few = min(m, 40 * p)
    near = np.argpartition(size, few - 1)[:few] if few < m else np.arange(m)
    ranked = np.sort(size[near])
    floor = max(float(ranked[p - 1]), 1e-8 * float(ranked[(few - 1) // 2]), 1e-300)
    for rows, weigh in ((near, True), (near, False), (np.arange(m), False)):
        A = W[rows].T / lengths[rows]
        if weigh:
            A = A * np.where(size[rows] > 0, 1e-3 * floor / (size[rows] + floor), 1.0)
        _, order, _, _, info = lapack.dgeqp3(np.asfortranarray(A), lwork=64 * (p + len(rows)))
        chosen: Index = rows[order[:p] - 1]
        unit = W[chosen] / lengths[chosen][:, None]
        if not info and np.linalg.svd(unit, compute_uv=False)[-1] > 1e-9:
            return chosen
    return None


def near_vertex(W: F64, r: F64, c: F64, g: F64, rows: int) -> tuple[F64, float]:
    """A point near the minimum of f, and a width that about so many residuals there do not exceed.

    Newton's method on a loss that is quadratic within a width h, as Huber's, which is made
    narrower until ``rows`` residuals are within. No more than a good start is asked for.
    """
    m, p = W.shape
    u, best = np.zeros(p), r
    lowest, there = float(c @ np.abs(r)), np.zeros(p)
    inside, h = m // 2, 0.0
    while inside >= rows:
        h = float(np.partition(np.abs(best), inside - 1)[inside - 1])
        if h == 0:
            break
        u = there
        for _ in range(4):
            left = r - W @ u
            clipped = np.clip(left / h, -1.0, 1.0)
            within = np.flatnonzero(np.abs(clipped) < 1)
            V = W[within]
            H = V.T @ (V * (c[within] / h)[:, None])
            H.flat[:: p + 1] += 1e-10 * np.trace(H) / p
            step = np.linalg.lstsq(H, (c * clipped) @ W + g, rcond=None)[0]
            u = u + step
            if np.abs(V @ step).max(initial=0.0) <= 0.1 * h:
                break
        left = r - W @ u
        value = float(c @ np.abs(left) - g @ u)
        if not value < lowest:
            break
        lowest, there, best = value, u, left
        inside //= 6
    few = min(m, rows) - 1
    return there, float(np.partition(np.abs(best), few)[few])
