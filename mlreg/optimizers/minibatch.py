"""TEMP."""

from dataclasses import dataclass
import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]


@dataclass
class Walk:
    params: F64
    total: F64
    averaged: int = 0
    clipped: int = 0


@dataclass(frozen=True, eq=False)
class Step:
    noise: object
    batch_size: int
    sigma: float = 1.0
    update: str = "explicit"
    average: bool = False
    precondition: F64 | None = None
    guard: bool = False


def descend(walk, block, rates, step, kernel="numpy"):
    B = step.batch_size
    T = step.precondition
    s = step.sigma
    beta = walk.params
    for j, a in enumerate(range(0, len(block.y), B)):
        X = block.X[a : a + B]
        y = block.y[a : a + B]
        root = None if block.precision is None else np.sqrt(block.precision[a : a + B])
        z = y - X @ beta
        if root is not None:
            z = z * root
        v = step.noise.psi(z / s) * s
        if root is not None:
            v = v * root
        if block.frequency is not None:
            v = v * block.frequency[a : a + B]
        g = v @ X / B
        h = T.T @ g
        d = T @ h
        c2 = X @ d
        if root is not None:
            c2 = c2 * root
        w = c2 * c2
        if block.frequency is not None:
            w = w * block.frequency[a : a + B]
        hh = h @ h
        c = w.sum() / B / hh if hh > 0 else 0
        rate = rates[j]
        if rate * c > 1:
            rate = 1 / c
            walk.clipped += 1
        beta = beta + rate * d
        if step.average:
            walk.total += beta
            walk.averaged += 1
    walk.params = beta
