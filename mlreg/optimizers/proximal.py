"""The implicit step of minibatch SGD: the gradient is taken where the step ends, Eq. (13.2).

β⁺ is the minimum of ½‖β⁺ − β‖² + (η/|𝓑|) Σ kσ²ρ(√w(y − xᵀβ⁺)/σ): near β, and good for the
minibatch. However large η is, it goes no further than to the minibatch's own minimum.
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mlreg.errors import InvalidInput
from mlreg.likelihood.noise import Gaussian, Laplace, Noise

if TYPE_CHECKING:
    from mlreg.optimizers.minibatch import Step

__all__ = ["proximal_step", "require_proximal"]

F64 = NDArray[np.float64]

STEPS = 100
"""Newton steps to the end point, at most."""

CLOSE = 1e-12
"""Newton's step, as a share of the whole one, at which it is found."""

ROUNDING = 1e-14
"""Relative growth of the loss that is none: near the end it cannot tell good steps from bad."""


def require_proximal(noise: Noise, batch_size: int) -> None:
    """Raise for a noise without an implicit step here."""
    if isinstance(noise, Laplace):
        if batch_size > 1:
            raise InvalidInput(
                "an implicit step under Laplace noise is known for one row at a time: take "
                "batch_size=1, or update='explicit'"
            )
    elif not (noise.smooth and noise.log_concave):
        raise InvalidInput(
            f"an implicit step needs a noise that is smooth and log-concave, such as Logistic(): "
            f"under {noise} its end point is not unique. Take update='explicit'"
        )


def proximal_step(
    X: F64, r: F64, root: F64 | None, k: F64 | None, rate: float, step: "Step"
) -> F64:
    """β⁺ − β for a minibatch with residuals r at β; ``rate`` is η/|𝓑|, Eq. (13.2).

    For Gaussian noise ηXᵀ(|𝓑|I + ηXXᵀ)⁻¹r; under Laplace noise, of one row, the clipped residual.
    """
    noise, sigma = step.noise, step.sigma
    w = np.ones(len(r)) if root is None else root
    k = np.ones(len(r)) if k is None else k
    if rate == 0:
        return np.zeros(X.shape[1])
    if isinstance(noise, Gaussian):
        root = np.sqrt(k) * w
        return _least_squares(root[:, None] * X, root * r, rate)
    if isinstance(noise, Laplace):  # one row: to its own line and no further, or by all of the pull
        x, square = X[0], float(X[0] @ X[0])
        most = rate * sigma * float(k[0] * w[0])
        return np.asarray(x * np.clip(r[0] / square, -most, most)) if square > 0 else 0 * x

    def loss(move: F64) -> float:
        z = w * (r - X @ move) / sigma
        return float(0.5 * (move @ move) / rate + sigma * sigma * (k @ noise.rho(z)))

    move, value = np.zeros(X.shape[1]), loss(np.zeros(X.shape[1]))
    for _ in range(STEPS):
        z = w * (r - X @ move) / sigma
        gradient = X.T @ (k * w * sigma * noise.psi(z)) - move / rate
        newton = _solve(X, k * w * w * noise.dpsi(z), rate, gradient)
        share, most = 1.0, value + ROUNDING * abs(value)
        while share > 1e-9 and not loss(move + share * newton) <= most:
            share /= 2
        if share <= 1e-9:  # rounding holds it there
            return move
        move = move + share * newton
        value = loss(move)
        if np.linalg.norm(newton) <= CLOSE * np.linalg.norm(move):
            break
    return move


def _least_squares(X: F64, r: F64, rate: float) -> F64:
    """(I/rate + XᵀX)⁻¹Xᵀr, of the smaller size; no difference, which a large rate would cancel."""
    m, p = X.shape
    if p <= m:
        return np.asarray(np.linalg.solve(np.eye(p) + rate * (X.T @ X), rate * (X.T @ r)))
    return np.asarray(rate * (X.T @ np.linalg.solve(np.eye(m) + rate * (X @ X.T), r)))


def _solve(X: F64, d: F64, rate: float, b: F64) -> F64:
    """(I/rate + XᵀDX)⁻¹b, D the diagonal matrix of d ≥ 0; of the smaller size, rows or columns."""
    m, p = X.shape
    if p <= m:
        return np.asarray(np.linalg.solve(np.eye(p) + rate * (X.T @ (d[:, None] * X)), rate * b))
    rows = np.sqrt(d)[:, None] * X
    inner = np.linalg.solve(np.eye(m) + rate * (rows @ rows.T), rows @ b)
    return np.asarray(rate * (b - rate * (rows.T @ inner)))
