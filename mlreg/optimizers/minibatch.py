"""The loop of minibatch SGD, to be read: one step for each minibatch of a chunk of rows.

A chunk is some rows in the order in which they are to be used. `descend` takes one step for each
minibatch of them, in NumPy; `mlreg.optimizers.compiled` does the same in machine code.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mlreg.errors import InvalidInput
from mlreg.likelihood.blocks import Block, to_numpy
from mlreg.likelihood.noise import Noise
from mlreg.optimizers.proximal import proximal_step

__all__ = ["Kernel", "Step", "Walk", "descend"]

F64 = NDArray[np.float64]
Kernel = Literal["auto", "numpy", "numba"]


@dataclass
class Walk:
    """Where a descent is; it is changed in place.

    Attributes
    ----------
    params : ndarray, shape (p,)
        β.
    total : ndarray, shape (p,)
        Sum of the iterates that are averaged, Eq. (13.3).
    averaged : int
        How many they are.
    clipped : int
        Steps that the guard has shortened, Eq. (13.11).
    """

    params: F64
    total: F64
    averaged: int = 0
    clipped: int = 0


@dataclass(frozen=True, eq=False)
class Step:
    """What all steps of a descent have in common.

    Attributes
    ----------
    noise : Noise
        Its ψ pulls at the rows.
    batch_size : int
        |𝓑|, by which the sum over a short minibatch is divided, too, Eq. (13.8).
    sigma : float
        σ, for noise that is not Gaussian; of Gaussian noise σψ(r/σ) = r.
    update : "explicit" or "implicit"
        Whether the gradient is taken before the step, Eq. (4.2), or after it, Eq. (13.2).
    average : bool
        Whether the iterates are summed.
    precondition : ndarray, shape (p, p), optional
        T: the gradient g becomes TTᵀg, Eq. (13.9).
    guard : bool
        With it, whether the rate is at most one over the curvature of the minibatch along the
        step, Eq. (13.11).
    """

    noise: Noise
    batch_size: int
    sigma: float = 1.0
    update: Literal["explicit", "implicit"] = "explicit"
    average: bool = False
    precondition: F64 | None = None
    guard: bool = False

    def __post_init__(self) -> None:
        if self.update == "implicit" and self.precondition is not None:
            raise InvalidInput(
                "the implicit step is defined in the columns' own metric: precondition the "
                "columns, or take update='explicit'"
            )


def descend(
    walk: Walk, block: Block, rates: F64, step: Step, kernel: Literal["numpy", "numba"] = "numpy"
) -> None:
    """One step for each minibatch of some rows, Eq. (4.2): β ← β + (η/|𝓑|) Σ k√w σψ(√w r/σ) x.

    Parameters
    ----------
    walk : Walk
        Changed in place. An overflow makes it NaN or infinite, and is nobody's error here.
    block : Block
        Rows in the order of their use.
    rates : ndarray, shape (steps,)
        η of each minibatch.
    step : Step
        What they have in common.
    kernel : "numpy" or "numba"
        The loop below, or the compiled one, which has no implicit step.

    Raises
    ------
    InvalidInput
        What the compiled loop does not know, or a noise without an implicit step.
    MissingDependency
        ``"numba"`` is not installed.
    """
    if kernel == "numba":
        from mlreg.optimizers.compiled import descend_compiled

        descend_compiled(walk, block, rates, step)
        return
    X, y = to_numpy(block.X), to_numpy(block.y)
    root = None if block.precision is None else np.sqrt(to_numpy(block.precision))
    k = None if block.frequency is None else to_numpy(block.frequency)
    size = step.batch_size
    for rate, start in zip(rates.tolist(), range(0, len(y), size), strict=True):
        rows = slice(start, start + size)
        weights = (None if root is None else root[rows], None if k is None else k[rows])
        if step.update == "implicit":
            walk.params = walk.params + proximal_step(
                X[rows], y[rows] - X[rows] @ walk.params, *weights, rate / size, step
            )
        else:
            walk.params = walk.params + _explicit_step(walk, X[rows], y[rows], *weights, rate, step)
        if step.average:
            walk.total += walk.params
            walk.averaged += 1


def _explicit_step(
    walk: Walk, X: F64, y: F64, root: F64 | None, k: F64 | None, rate: float, step: Step
) -> F64:
    """η/|𝓑| times the sum of the pulls of a minibatch, preconditioned."""
    r, sigma = y - X @ walk.params, step.sigma
    z = r / sigma if root is None else root * r / sigma
    pull = sigma * step.noise.psi(z)
    if root is not None:
        pull = pull * root
    if k is not None:
        pull = pull * k
    mean = (pull @ X) / step.batch_size
    T = step.precondition
    if T is None:
        return np.asarray(rate * mean)
    inner = mean @ T
    direction = T @ inner
    if step.guard:
        curved = X @ direction if root is None else root * (X @ direction)
        squares = curved * curved if k is None else k * curved * curved
        steep, length = float(np.sum(squares)) / step.batch_size, float(inner @ inner)
        if rate * steep > length:
            walk.clipped += 1
            rate = length / steep if math.isfinite(steep) else 0.0
    return np.asarray(rate * direction)
