"""One pass of preconditioned minibatches, its average, and the correction by its end points."""

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from mlreg.likelihood.blocks import Block, to_numpy, weights
from mlreg.likelihood.linear import LinearLikelihood
from mlreg.likelihood.noise import Noise
from mlreg.optimizers.minibatch import Step, Walk, descend
from mlreg.optimizers.start import Start
from mlreg.scoring import HUGE

__all__ = ["AveragedDescent", "on_host"]

F64 = NDArray[np.float64]


class AveragedDescent:
    """Minibatches from a start, β ← β + ηPg, Eq. (13.9), and their average, Eq. (13.7).

    Parameters
    ----------
    likelihood : LinearLikelihood
        Where the rows come from.
    noise : Noise
        Its noise; with its df, where that is estimated.
    start : Start
        With γ, which stays what it is during the descent.
    T : ndarray, shape (p, p)
        TTᵀ = P.
    rate : float
        η.
    batch_size : int
        Rows of a minibatch.
    """

    def __init__(
        self,
        likelihood: LinearLikelihood,
        noise: Noise,
        start: Start,
        T: F64,
        rate: float,
        batch_size: int,
    ) -> None:
        assert start.gamma is not None
        self.likelihood, self.noise, self.start, self.rate = likelihood, noise, start.gamma, rate
        one = likelihood.exact or likelihood.scale_names
        sigma = 1.0 if one else math.exp(start.gamma[0])
        self.step = Step(noise, batch_size, sigma=sigma, average=True, precondition=T, guard=True)
        self.walk = Walk(start.beta.copy(), np.zeros_like(start.beta))
        q = len(start.gamma)
        self._gradient, self._hessian = np.zeros(q), np.zeros((q, q))

    def burn_in(self, block: Block) -> None:
        """Steps that are not averaged."""
        self._take(on_host(block))

    def _take(self, block: Block) -> None:
        rates = np.full(math.ceil(len(block.y) / self.step.batch_size), self.rate)
        descend(self.walk, _spread(block, self.start), rates, self.step)

    def average(self, blocks: Iterator[Block]) -> Iterator[Block]:
        """The same blocks, which are all rows; before each goes on, the descent has read it."""
        walk, size = self.walk, self.step.batch_size
        walk.total[:], walk.averaged, walk.clipped = 0.0, 0, 0
        begin, batches, short = walk.params.copy(), 0.0, np.zeros_like(walk.params)
        for block in blocks:
            rows = on_host(block)
            if not self.likelihood.exact:
                self._scale(rows)
            m = len(rows.y)
            whole = m - m % size
            if whole:
                self._take(_rows(rows, slice(0, whole)))
            if whole < m:  # a short minibatch: its iterate counts for less, Eq. (13.7)
                short += (1 - (m - whole) / size) * walk.params
                self._take(_rows(rows, slice(whole, m)))
            batches += m / size
            yield block
        moved = walk.params - begin
        # of the iterates before each step, not after it
        mean = (walk.total - moved - short) / batches
        self.mean = mean + moved / (self.rate * batches)

    def _scale(self, rows: Block) -> None:
        """Gradient and Hessian of γ at the start's, Eq. (9.3), at coefficients of the moment."""
        Z = np.ones((len(rows.y), 1)) if rows.Z is None else rows.Z
        k, w = weights(rows)
        z = (rows.y - rows.X @ self.walk.params) * np.sqrt(w) * np.exp(-(Z @ self.start))
        z = np.clip(z, -HUGE, HUGE)
        psi = self.noise.psi(z)
        self._gradient += Z.T @ (k * (1 - z * psi))
        if self.noise.smooth:
            self._hessian += (Z.T * (k * z * (psi + z * self.noise.dpsi(z)))) @ Z

    @property
    def gamma(self) -> F64:
        """γ after a Newton step, Eq. (11.1), with residuals of the moment; else as it was.

        These are too large by what the iterate strays: near enough for a start.
        """
        try:
            step = np.linalg.solve(self._hessian, self._gradient)
        except np.linalg.LinAlgError:
            return self.start
        near = np.isfinite(step).all() and np.abs(step).max() < 1
        return self.start - step if near else self.start


def on_host(block: Block) -> Block:
    """The block, of NumPy arrays."""
    return block if isinstance(block.y, np.ndarray) else block.each(to_numpy)


def _rows(block: Block, rows: slice) -> Block:
    return block if rows == slice(0, len(block.y)) else block.each(lambda a: a[rows])


def _spread(block: Block, gamma: F64) -> Block:
    """Rows over their σᵢ, as if that were a precision, Eq. (9.7); as they are without a design."""
    if block.Z is None:
        return block
    precision = np.exp(-2 * (block.Z @ gamma))
    if block.precision is not None:
        precision = precision * block.precision
    return Block(block.X, block.y, block.frequency, precision)
