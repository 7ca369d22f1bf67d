"""What one pass remembers of its averages, for an interval by random scaling, Eq. (13.12)."""

from dataclasses import dataclass, field

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
    """

    origin: F64
    points: int = 0
    steps: int = 0
    squares: F64 = field(init=False)
    products: F64 = field(init=False)
    counts: float = 0.0
    last: F64 = field(init=False)

    def __post_init__(self) -> None:
        zeros = np.zeros_like(self.origin)
        self.squares, self.products, self.last = zeros.copy(), zeros.copy(), zeros.copy()

    def add(self, steps: int, total: F64) -> None:
        """After ``steps`` minibatches in all, whose iterates sum to ``total``, shape (p,)."""
        moved = total - steps * self.origin
        self.squares += moved * moved
        self.products += steps * moved
        self.counts += float(steps) ** 2
        self.points, self.steps, self.last = self.points + 1, steps, moved

    @property
    def std_errors(self) -> F64 | None:
        """√V, shape (p,), Eq. (13.12); None of a path too short for its limit law."""
        if self.points < POINTS // 5:
            return None
        mean = self.last / self.steps
        spread = self.squares - 2 * mean * self.products + mean * mean * self.counts
        return np.sqrt(np.maximum(spread, 0.0) / self.points) / self.steps
