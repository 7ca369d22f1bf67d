"""What one pass remembers of its averages, for an interval by random scaling, Eq. (13.12)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["POINTS", "Path"]

F64 = NDArray[np.float64]

POINTS = 1000
"""Averages θ̄_s that a path remembers, about; with fewer than a fifth of it there is no interval."""


@dataclass
class Path:
    """Sums over the averages of a growing number of iterates, Eq. (13.12).

    Attributes
    ----------
    origin : ndarray, shape (p,)
        What the iterates are measured from, so that no digits are lost.
    squares, products : ndarray, shape (p,)
        Sums of (s(θ̄_s − origin))², and of s times s(θ̄_s − origin).
    last : ndarray, shape (p,)
        The last s(θ̄_s − origin).
    counts : float
        Sum of s².
    points, steps : int
        How many averages there were, and s of the last.
    """

    origin: F64
    squares: F64
    products: F64
    last: F64
    counts: float = 0.0
    points: int = 0
    steps: int = 0

    @classmethod
    def begin(cls, origin: F64) -> "Path":
        """One without points."""
        zeros = np.zeros_like(origin)
        return cls(origin, zeros, zeros, zeros)

    def add(self, steps: int, total: F64) -> None:
        """After ``steps`` minibatches in all, whose iterates sum to ``total``, shape (p,)."""
        moved = total - steps * self.origin
        self.squares = self.squares + moved * moved
        self.products = self.products + steps * moved
        self.counts += float(steps) ** 2
        self.points, self.steps, self.last = self.points + 1, steps, moved

    @property
    def std_errors(self) -> F64 | None:
        """√V, shape (p,), Eq. (13.12); None of a path too short for its limit law."""
        if self.points < POINTS // 5:
            return None
        mean = self.last / self.steps
        spread = self.squares - 2 * mean * self.products + mean * mean * self.counts
        return np.asarray(np.sqrt(np.maximum(spread, 0.0) / self.points) / self.steps)
