"""NLL, gradient and Hessian at a point, in coordinates in which the information is the identity.

With the triangle R of the weighted design, β = β₀ + σ₀R⁻¹u/√a and γ = γ₀ + v/√(bn), where a
and b are the noise's Fisher constants of location and scale: Eq. (3.8), for any symmetric noise
by Eq. (3.6). A length in (u, v) is a number of standard errors, whatever the units of X and y,
and however nearly collinear the columns: that is what Newton's method and the certificate
count in. The scoring step −I⁻¹g is simply minus the gradient here.

Everything inside is in the scaled units of the triangle, as in `mlreg.certificate.LeastSquares`.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mlreg.errors import InvalidInput
from mlreg.likelihood.blocks import to_numpy
from mlreg.likelihood.linear import LinearLikelihood
from mlreg.linalg.triangle import norm, plain, scale_columns, solve_upper

__all__ = ["Point", "Whitened", "whitened"]

F64 = NDArray[np.float64]
U = 2.0**-53

DEFINITE = 1e-8
"""Curvature, as a fraction of the expected, below which it counts as none."""

HUGE = 1e150
"""Standardised residuals are cut off here: their squares stay finite."""


@dataclass(frozen=True, eq=False)
class Point:
    """NLL and derivatives in (u, v) at (β, γ).

    Attributes
    ----------
    beta : ndarray, shape (p,)
        The coefficients, scaled.
    gamma : float
        log σ, scaled.
    nll : float
        In the units of the data.
    gradient : ndarray, shape (p + 1,)
        Of the NLL, Eq. (3.5).
    hessian : ndarray, shape (p + 1, p + 1)
        Eq. (3.7); its mean is the identity.
    error : ndarray, shape (p + 1,)
        Bound on what rounding does to the gradient; zero where it was not asked for.
    noise_of_nll : float
        About what rounding does to the NLL.
    exact : float
        Number of observations whose residual is rounding.
    """

    beta: F64
    gamma: float
    nll: float
    gradient: F64
    hessian: F64
    error: F64
    noise_of_nll: float
    exact: float

    @cached_property
    def finite(self) -> bool:
        """Whether nothing has overflowed."""
        return bool(np.isfinite(self.nll) and np.isfinite(self.gradient).all()) and bool(
            np.isfinite(self.hessian).all()
        )

    @cached_property
    def _eigen(self) -> tuple[F64, F64]:
        values, vectors = np.linalg.eigh(self.hessian)
        return values, vectors

    @property
    def flattest(self) -> tuple[float, F64]:
        """Smallest curvature and its direction, turned downhill."""
        values, vectors = self._eigen
        along = vectors[:, 0]
        return float(values[0]), (-along if along @ self.gradient > 0 else along)

    @cached_property
    def definite(self) -> bool:
        """Whether the observed Hessian is positive definite: the ground is a bowl here."""
        return self.finite and bool(self._eigen[0][0] > DEFINITE)

    @cached_property
    def step(self) -> F64:
        """Newton's step where the Hessian is positive definite, the scoring step elsewhere."""
        return -self.solve(self.gradient) if self.definite else -self.gradient

    def solve(self, b: F64) -> F64:
        """H⁻¹b, the Hessian of Eq. (3.7) being positive definite."""
        values, vectors = self._eigen
        return np.asarray(vectors @ ((vectors.T @ b) / values))

    @cached_property
    def reach(self) -> F64:
        """Bound on what the rounding of the gradient does to the step."""
        if not self.definite:
            return self.error
        values, vectors = self._eigen
        return np.asarray(np.abs((vectors / values) @ vectors.T) @ self.error)


class Whitened:
    """The NLL of a likelihood in whitened coordinates; its columns must be independent.

    Parameters
    ----------
    likelihood : LinearLikelihood
        With a smooth, symmetric noise.

    Raises
    ------
    InvalidInput
        For a noise with kinks, or one that is not symmetric.
    """

    def __init__(self, likelihood: LinearLikelihood) -> None:
        noise = likelihood.noise
        if not noise.smooth:
            raise InvalidInput(
                f"{noise} has kinks: at its MLE the gradient jumps over zero, so that neither "
                "Newton's method nor a certificate made of the gradient applies to it. Exact() "
                "finds the MLE of Laplace(); a smooth noise, as Logistic() or Huber(), is judged"
            )
        location, cross, scale = noise.fisher
        if cross or not noise.symmetric:
            raise InvalidInput(
                f"{noise} is not symmetric: location and scale then share information, and a "
                "certificate of their own exists for symmetric noises only"
            )
        self.likelihood, self.noise = likelihood, noise
        self.n, self.p = likelihood.n_rows, likelihood.n_params
        triangle = plain(likelihood.triangle)
        self.exponent = triangle.exponent
        self.R = triangle.R[: self.p, : self.p]
        self.inverse = solve_upper(self.R, np.eye(self.p))
        self.root_a, self.root_b = math.sqrt(location), math.sqrt(scale * self.n)
        self.log_unit = int(self.exponent[-1]) * math.log(2)  # log σ of the data less the scaled
        # the largest zψ(z): infinite for log-concave noise, df + 1 for Student's t
        far = np.array([HUGE])
        self.limit = math.inf if noise.log_concave else float(far[0] * noise.psi(far)[0])
        # what the rounding of R itself can do, relative, as in Eq. (5.7)
        spread = np.linalg.norm(np.linalg.norm(self.R, axis=0)[:, None] * self.inverse)
        self.contraction = float(triangle.epsilon * spread * math.sqrt(self.p))

    @cached_property
    def spread(self) -> F64:
        """√Gⱼⱼ, shape (p,), of Eq. (2.11)."""
        return np.asarray(np.linalg.norm(self.inverse, axis=1))

    def scale(self, params: F64) -> F64:
        """From coefficients in the units of the data to scaled ones."""
        return scale_columns(params, self.exponent[:-1] - self.exponent[-1])

    def unscale(self, beta: F64) -> F64:
        """The inverse of `scale`."""
        return scale_columns(beta, self.exponent[-1] - self.exponent[:-1])

    def move(self, point: Point, step: F64) -> tuple[F64, float]:
        """(β, γ) a step (u, v) from a point."""
        u = self.inverse @ step[:-1] * (math.exp(point.gamma) / self.root_a)
        return point.beta + u, point.gamma + float(step[-1]) / self.root_b

    def apart(self, beta: F64, other: F64, gamma: float) -> float:
        """Distance of two vectors of coefficients in standard errors at the scale γ, Eq. (5.1)."""
        with np.errstate(all="ignore"):
            contrast = self.R @ (beta - other)
            far = norm(contrast) * self.root_a * np.exp(-gamma)
        return float(far) if np.isfinite(far) else math.inf

    def rows(self) -> Iterator[tuple[F64, F64, F64]]:
        """Blocks of √w X and √w y, Eq. (1.5), scaled, and frequencies k; one pass over the data."""
        for block in self.likelihood.blocks():
            X, y = to_numpy(block.X), to_numpy(block.y)
            k = np.ones(len(y)) if block.frequency is None else to_numpy(block.frequency)
            if block.precision is not None:
                root = np.sqrt(to_numpy(block.precision))
                X, y = X * root[:, None], y * root
            yield (
                scale_columns(X, -self.exponent[:-1]),
                scale_columns(y[:, None], -self.exponent[-1:])[:, 0],
                k,
            )

    def residuals(self, beta: F64) -> Iterator[tuple[F64, F64, F64, F64, F64]]:
        """Like `rows`, with the residuals and a bound on the rounding of each."""
        for A, b, k in self.rows():
            yield A, b, k, b - A @ beta, self._reach(A, b, beta)

    def _reach(self, A: F64, b: F64, beta: F64) -> F64:
        """Bound on the rounding of each residual."""
        return np.asarray((self.p + 3) * U * (np.abs(b) + np.abs(A) @ np.abs(beta)))

    def at(self, beta: F64, gamma: float, *, bounds: bool = True) -> Point:
        """NLL and derivatives at a point; one pass over the data.

        Without ``bounds``, `Point.error` is zero, and it takes half of the time.
        """
        noise, p = self.noise, self.p
        values: list[float] = []
        sizes, exact, longest, blocks = 0.0, 0.0, 0, 0
        by_x, by_v, size_x, size_v = np.zeros(p), 0.0, np.zeros(p), 0.0
        H, moved = np.zeros((p + 1, p + 1)), np.zeros(p + 1)
        with np.errstate(all="ignore"):  # overflow is an outcome, seen in `Point.finite`
            shrink = np.exp(-gamma)
            for A, b, k in self.rows():
                r = b - A @ beta
                z = np.clip(r * shrink, -HUGE, HUGE)
                rho, psi, dpsi = noise.rho(z), noise.psi(z), noise.dpsi(z)
                bend, pull = psi + z * dpsi, z * psi
                W = solve_upper(self.R, A.T, transpose=True).T  # A R⁻¹, by substitution
                values.append(float(k @ rho))
                sizes += float(k @ np.abs(rho))
                by_x += A.T @ (k * psi)
                by_v += float(k @ (1 - pull))
                H[:p, :p] += W.T @ ((k * dpsi)[:, None] * W)
                H[:p, p] += W.T @ (k * bend)
                H[p, p] += float(k @ (z * bend))
                if bounds or math.isfinite(self.limit):
                    reach = self._reach(A, b, beta)
                    exact += float(k @ (np.abs(r) <= reach))
                if bounds:
                    size_x += np.abs(A).T @ (k * np.abs(psi))
                    size_v += float(k @ (1 + 3 * np.abs(pull)))
                    dz = k * (reach * shrink + 3 * U * np.abs(z))
                    moved[:p] += np.abs(W).T @ (np.abs(dpsi) * dz)
                    moved[p] += float(np.abs(bend) @ dz)
                longest, blocks = max(longest, len(k)), blocks + 1
            H[p, :p] = H[:p, p]
            H = (H + H.T) / 2
            root = np.append(np.full(p, self.root_a), self.root_b)
            gradient = np.append(-solve_upper(self.R, by_x, transpose=True), by_v) / root
            roundings = (longest + blocks + p + 16) * U
            through = np.append(np.abs(self.inverse).T @ size_x, size_v) * roundings
            total = self.n * (gamma + self.log_unit) - 0.5 * self.likelihood.log_precision
            return Point(
                beta=beta,
                gamma=gamma,
                nll=math.fsum(values) + total if np.isfinite(values).all() else math.inf,
                gradient=gradient,
                hessian=H / np.outer(root, root),
                error=(through + moved) / root,
                noise_of_nll=16 * U * (sizes + abs(total)) + float(np.abs(gradient[:-1]).sum()) * U,
                exact=exact,
            )

    def falls(self, exact: float) -> bool:
        """Whether σ → 0 lowers the NLL for ever where so many residuals are zero.

        Each of the n observations adds log σ to the NLL, and each of the others takes up to
        zψ(z) times that away: Student's t no more than df + 1, Eq. (8.6).
        """
        return exact >= self.just_enough

    @property
    def just_enough(self) -> float:
        """So many exact observations that `falls` holds: n df/(df + 1) for a t, Eq. (8.6)."""
        if math.isinf(self.limit):
            return float(self.n)
        return self.n * (self.limit - 1) / self.limit * (1 - 1e-12)

    def profile(self, beta: F64, gamma: float | None = None) -> float:
        """The γ that minimises the NLL at fixed β, to full precision; −inf where there is none.

        There the mean of zψ(z) is one, Eq. (3.5). The logarithm of that mean falls as γ grows,
        and is nearly straight where the tails of ρ are a power of z: Newton's method in it, kept
        within a bracket.

        Parameters
        ----------
        beta : ndarray, shape (p,)
            Scaled coefficients.
        gamma : float, optional
            Where to begin.
        """
        exact, logs = 0.0, 0.0
        with np.errstate(all="ignore"):
            for _, _, k, r, reach in self.residuals(beta):
                exact += float(k @ (np.abs(r) <= reach))
                logs += float(k @ np.log(np.maximum(np.maximum(np.abs(r), reach), 1e-300)))
            if not math.isfinite(logs):
                return math.inf
            if self.falls(exact):
                return -math.inf
            # the geometric mean of the residuals: outliers hardly move it
            return self._root(beta, logs / self.n if gamma is None else gamma)

    def _root(self, beta: F64, gamma: float) -> float:
        low, high = -math.inf, math.inf
        for _ in range(200):
            pull, slope = 0.0, 0.0
            for A, b, k in self.rows():
                z = np.clip((b - A @ beta) * np.exp(-gamma), -HUGE, HUGE)
                psi, dpsi = self.noise.psi(z), self.noise.dpsi(z)
                pull += float(k @ (z * psi))
                slope += float(k @ (z * (psi + z * dpsi)))
            if 0 < pull < math.inf:
                height = math.log(pull / self.n)
            else:  # σ so large, or so small, that z leaves floating point
                height = 800.0 if pull > 0 else -800.0
            if abs(height) <= 8 * U:
                return gamma
            low, high = (gamma, high) if height > 0 else (low, gamma)
            step = height * pull / slope if slope > 0 else math.nan
            step = max(-20.0, min(20.0, step)) if math.isfinite(step) else math.copysign(5, height)
            if not low < gamma + step < high:
                wide = math.isinf(high - low)
                step = math.copysign(5, height) if wide else (low + high) / 2 - gamma
            gamma += step
            if abs(step) <= 4 * U * max(1.0, abs(gamma)):
                return gamma
        return gamma


def whitened(likelihood: LinearLikelihood) -> Whitened:
    """The `Whitened` of a likelihood of full rank, kept."""
    known: Whitened | None = likelihood.memo.get("whitened")
    if known is None:
        known = likelihood.memo["whitened"] = Whitened(likelihood)
    return known
