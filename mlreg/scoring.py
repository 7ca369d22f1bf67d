"""NLL, gradient and Hessian at a point, in coordinates in which the information is the identity.

With R the triangle of the rows [√w X] over σᵢ, S that of the scale design, and a and b the noise's
Fisher constants of location and scale, the expected information at (β, γ) is block diagonal, Eqs.
(3.6) and (9.5), aRᵀR and bSᵀS. So β moves by R⁻¹u/√a and γ by S⁻¹v/√b: Eqs. (3.8) and (11.4). A
length in (u, v) is a number of standard errors, whatever the units of X and y, and however nearly
collinear the columns: that is what Newton's method and the certificate count in. The scoring step
−I⁻¹g is
simply minus the gradient here. Where there is a prior, its precision is added to the information,
its penalty to the NLL, Eqs. (10.1) and (10.11): lengths are in posterior standard deviations.

β inside is in the scaled units of the triangle, as in `mlreg.certificate.LeastSquares`; γ is in
those of the data.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlreg.errors import InvalidInput
from mlreg.likelihood.blocks import to_numpy
from mlreg.likelihood.linear import LinearLikelihood
from mlreg.linalg.products import gram, square, times, times_transposed, whiten
from mlreg.linalg.triangle import norm, plain, qr_triangle, scale_columns, solve_upper, unit_columns

__all__ = ["Point", "Rows", "Whitened", "whitened"]

F64 = NDArray[np.float64]
U = 2.0**-53

DEFINITE = 1e-8
"""Curvature, as a fraction of the expected, below which it counts as none."""

HUGE = 1e150
"""Standardised residuals are cut off here: their squares stay finite."""

TAME = 1e-3
"""Smallest singular value of the columns, of unit length, down to which they are not whitened."""

SPREAD = 1e-9
"""Reciprocal condition of the information in old coordinates, below which new ones are made."""


class Rows(NamedTuple):
    """A block of rows, scaled: √w X, √w y, Eq. (1.5), frequencies k, the scale design or None."""

    A: F64
    b: F64
    k: F64
    Z: F64 | None


@dataclass(frozen=True, eq=False)
class Point:
    """NLL and derivatives in (u, v), Eq. (11.4), at (β, γ).

    Attributes
    ----------
    beta : ndarray, shape (p,)
        The coefficients, scaled.
    gamma : ndarray, shape (q,)
        log σ, or the coefficients of the scale design.
    R : ndarray, shape (p, p)
        Upper triangle with u = RΔβ.
    nll : float
        In the units of the data; with the penalty of the prior, Eq. (10.1), if there is one.
    gradient : ndarray, shape (p + q,)
        Of the NLL, Eqs. (3.5) and (9.3).
    hessian : ndarray, shape (p + q, p + q)
        Eqs. (3.7) and (9.4); its mean is the identity.
    error : ndarray, shape (p + q,)
        Bound on what rounding does to the gradient; zero where it was not asked for.
    noise_of_nll : float
        About what rounding does to the NLL.
    exact : float
        Number of observations whose residual is rounding.
    sunk : float
        Number of observations whose σ is below the rounding of their residual.
    bounded : bool
        Whether `error` was asked for.
    """

    beta: F64
    gamma: F64
    R: F64
    nll: float
    gradient: F64
    hessian: F64
    error: F64
    noise_of_nll: float
    exact: float
    sunk: float
    bounded: bool

    @cached_property
    def finite(self) -> bool:
        """Whether nothing has overflowed."""
        return bool(np.isfinite(self.nll) and np.isfinite(self.gradient).all()) and bool(
            np.isfinite(self.hessian).all()
        )

    @cached_property
    def inverse(self) -> F64:
        """R⁻¹, shape (p, p): β moves by R⁻¹u, Eq. (11.4)."""
        return solve_upper(self.R, np.eye(len(self.beta)))

    @cached_property
    def spread(self) -> F64:
        """Standard error of each coefficient, scaled, Eq. (2.11), shape (p,)."""
        return np.asarray(np.linalg.norm(self.inverse, axis=1))

    @cached_property
    def _eigen(self) -> tuple[F64, F64]:
        values, vectors = np.linalg.eigh(self.hessian)
        return values, vectors

    @property
    def flattest(self) -> tuple[float, F64]:
        """Smallest curvature and its direction, turned downhill, Eq. (11.12)."""
        values, vectors = self._eigen
        along = vectors[:, 0]
        return float(values[0]), (-along if along @ self.gradient > 0 else along)

    @cached_property
    def definite(self) -> bool:
        """Whether the observed Hessian is positive definite: the ground is a bowl here."""
        return self.finite and bool(self._eigen[0][0] > DEFINITE)

    @cached_property
    def step(self) -> F64:
        """Newton's step where the Hessian is positive definite, else the scoring step.

        Eqs. (11.1) and (11.3).
        """
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
    kinks : bool
        Whether a noise with kinks will do, of which only the scale is profiled.

    Raises
    ------
    InvalidInput
        For a noise with kinks, or one that is not symmetric.
    """

    def __init__(self, likelihood: LinearLikelihood, *, kinks: bool = False) -> None:
        noise = likelihood.noise
        if not (noise.smooth or kinks):
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
        self.n, self.p, self.q = likelihood.n_rows, likelihood.n_params, likelihood.n_scale
        self.location, self.root_b = location, math.sqrt(scale)
        triangle = plain(likelihood.triangle)
        self.exponent, self.epsilon = triangle.exponent, triangle.epsilon
        self.log_unit = int(self.exponent[-1]) * math.log(2)  # log σ of the data less the scaled
        self.base, self._of_rows = self._start(triangle.R)
        self._lengths = np.linalg.norm(triangle.R, axis=0)  # no entry of a column is larger
        by_scale = likelihood.scale_triangle
        self.S = scale_columns(by_scale.R, by_scale.exponent)
        self.S_inverse = solve_upper(self.S, np.eye(self.q))
        # the largest zψ(z): infinite for log-concave noise, df + 1 for Student's t
        far = np.array([HUGE])
        self.limit = math.inf if noise.log_concave else float(far[0] * noise.psi(far)[0])

    def _start(self, triangle: F64) -> tuple[F64, F64 | None]:
        """Triangle that the rows are whitened with; RᵀR of the rows in it, where it is not I.

        With a prior, rows of size σ/τ are put under those of the data: Eqs. (2.7) and (10.3).
        """
        R, p = triangle[: self.p, : self.p], self.p
        self.penalty = np.zeros(p)
        rough = max(abs(triangle[-1, -1]), 1e-8 * norm(triangle[:, -1])) / math.sqrt(self.n)
        self.rough = rough or 1.0  # of a response of zeros
        if self.likelihood.prior is None:
            return R, None
        with np.errstate(over="ignore"):
            unit = np.ldexp(1.0, 2 * (self.exponent[-1] - self.exponent[:-1]))
        self.penalty = self.likelihood.prior_precision * unit
        base = qr_triangle(np.vstack([R, self.rough * self._prior_rows]))
        W = solve_upper(base, R.T, transpose=True)
        return base, W @ W.T

    @property
    def _prior_rows(self) -> F64:
        """What stands for the prior under the rows of the data where σ is one."""
        return np.diag(np.sqrt(self.penalty / self.location))

    @cached_property
    def inverse(self) -> F64:
        """Inverse of the triangle that the rows are whitened with."""
        return solve_upper(self.base, np.eye(self.p))

    @cached_property
    def _tame(self) -> bool:
        """Whether products of the columns themselves keep enough digits for a step."""
        least = np.linalg.svd(unit_columns(self.base)[0], compute_uv=False)[-1]
        return bool(least > TAME)

    @cached_property
    def contraction(self) -> float:
        """What the rounding of that triangle can do, relative, as in Eq. (5.7)."""
        spread = np.linalg.norm(np.linalg.norm(self.base, axis=0)[:, None] * self.inverse)
        return float(self.epsilon * spread * math.sqrt(self.p))

    def scale(self, params: F64) -> F64:
        """From coefficients in the units of the data to scaled ones."""
        return scale_columns(params, self.exponent[:-1] - self.exponent[-1])

    def unscale(self, beta: F64) -> F64:
        """The inverse of `scale`."""
        return scale_columns(beta, self.exponent[-1] - self.exponent[:-1])

    def move(self, point: Point, step: F64) -> tuple[F64, F64]:
        """(β, γ) a step (u, v) from a point, Eq. (11.4)."""
        u, v = step[: self.p], step[self.p :]
        return point.beta + point.inverse @ u, point.gamma + self.S_inverse @ v / self.root_b

    def apart(self, point: Point, beta: F64) -> float:
        """Distance of coefficients from those of a point, in its standard errors, Eq. (11.4)."""
        with np.errstate(all="ignore"):
            far = norm(point.R @ (beta - point.beta))
        return float(far) if np.isfinite(far) else math.inf

    def rows(self) -> Iterator[Rows]:
        """Blocks of √w X and √w y, Eq. (1.5), scaled, with k and Z; one pass over the data."""
        for block in self.likelihood.blocks():
            X, y = to_numpy(block.X), to_numpy(block.y)
            k = np.ones(len(y)) if block.frequency is None else to_numpy(block.frequency)
            if block.precision is not None:
                root = np.sqrt(to_numpy(block.precision))
                X, y = X * root[:, None], y * root
            yield Rows(
                scale_columns(X, -self.exponent[:-1]),
                scale_columns(y[:, None], -self.exponent[-1:])[:, 0],
                k,
                None if block.Z is None else to_numpy(block.Z),
            )

    def residuals(self, beta: F64) -> Iterator[tuple[Rows, F64, F64]]:
        """Like `rows`, with the residuals and a bound on the rounding of each."""
        for rows in self.rows():
            yield rows, rows.b - times(rows.A, beta), self._reach(rows, beta)

    def _reach(self, rows: Rows, beta: F64) -> F64:
        """Bound on the rounding of each residual; not zero, for σ may sink to zero there too."""
        size = np.abs(rows.b) + times(np.abs(rows.A), np.abs(beta))
        return np.asarray(np.maximum((self.p + 3) * U * size, 1e-300))

    def _by_gamma(self, rows: Rows) -> F64:
        """∂ log σ/∂v of each row, shape (m, q), Eq. (3.8)."""
        if rows.Z is None:
            return np.full((len(rows.k), 1), 1 / (self.S[0, 0] * self.root_b))
        return whiten(self.S, rows.Z) / self.root_b

    def log_sigma(self, rows: Rows, gamma: F64) -> F64:
        """log σ of each row, shape (m,), or of all, shape (), scaled."""
        return (gamma[0] if rows.Z is None else rows.Z @ gamma) - self.log_unit

    def at(
        self, beta: F64, gamma: F64, *, bounds: bool = True, hessian: F64 | None = None
    ) -> Point:
        """NLL and derivatives at a point, Eq. (11.4); one pass over the data.

        Without ``bounds``, `Point.error` is zero. With a ``hessian``, that of a point near by, it
        is taken for the one here. Either saves time. Where σᵢ spreads so far that the coordinates
        are bad ones, it makes new ones, by two more passes.
        """
        with np.errstate(all="ignore"):  # overflow is an outcome, seen in `Point.finite`
            point = self._at(beta, gamma, bounds, hessian)
            if point is None and self.likelihood.scale_names and np.isfinite(gamma).all():
                triangle = self.likelihood.spread_triangle(gamma)
                R = scale_columns(triangle.R, triangle.exponent - self.exponent)
                R = R[: self.p, : self.p] * math.exp(self.log_unit)
                self.base = qr_triangle(np.vstack([R, self._prior_rows]))
                for made in ("inverse", "contraction", "_tame"):
                    vars(self).pop(made, None)
                point = self._at(beta, gamma, bounds, hessian)
            return self._nowhere(beta, gamma) if point is None else point

    def _nowhere(self, beta: F64, gamma: F64) -> Point:
        size, zeros = self.p + self.q, np.zeros(self.p + self.q)
        nan = np.full((size, size), math.nan)
        R = np.eye(self.p)
        nowhere = zeros * math.nan
        return Point(beta, gamma, R, math.inf, nowhere, nan, zeros, 0.0, 0.0, 0.0, True)

    def _at(self, beta: F64, gamma: F64, bounds: bool, hessian: F64 | None) -> Point | None:
        """`at`, or None where the information is too far from the identity for its digits."""
        noise, p, q, one = self.noise, self.p, self.q, not self.likelihood.scale_names
        values: list[float] = []
        sizes, logs, exact, sunk, longest, blocks = 0.0, 0.0, 0.0, 0.0, 0, 0
        pulled = np.zeros(2)
        by_x, by_v, size_x, size_v = np.zeros(p), np.zeros(q), np.zeros(p), np.zeros(q)
        H, J, moved = np.zeros((p + q, p + q)), np.zeros((p, p)), np.zeros(p + q)
        farthest = (p + 3) * U * float(self._lengths @ np.append(np.abs(beta), 1.0))
        for rows in self.rows():
            A, b, k, Z = rows
            V = self._by_gamma(rows)
            scale = self.log_sigma(rows, gamma)
            shrink = np.exp(-scale)
            r = b - times(A, beta)
            z = np.clip(r * shrink, -HUGE, HUGE)
            rho, psi = noise.rho(z), noise.psi(z)
            pull = z * psi
            curved = bounds or hessian is None
            W = A if self._tame or not (curved or Z is not None) else whiten(self.base, A)
            logs += float(k.sum()) * float(scale) if one else float(k @ scale)
            values.append(float(k @ rho))
            sizes += float(k @ np.abs(rho))
            pulls = k * psi * shrink
            pulled += np.array([np.sum(pulls * pulls), np.sum((pulls * b) ** 2)])
            by_x += times_transposed(A, pulls)
            by_v += times_transposed(V, k * (1 - pull))
            if curved:
                dpsi = noise.dpsi(z)
                bend = psi + z * dpsi
            if hessian is None:
                H[:p, :p] += square(W, k * dpsi * shrink**2)
                H[:p, p:] += gram(W, k * bend * shrink, V)
                H[p:, p:] += gram(V, k * z * bend, V)
            if not one:
                J += square(W, k * shrink**2)
            bottomless = not one or self.likelihood.prior is not None
            near = (bottomless or math.isfinite(self.limit)) and bool(
                (np.abs(r) <= farthest).any() or (not one and np.max(shrink) >= 1 / farthest)
            )
            if bounds or near:
                reach = self._reach(rows, beta)
                exact += float(k @ (np.abs(r) <= reach))
                sunk += 0.0 if one else float(k @ (reach * shrink >= 1))
            if bounds:
                size, pulls = np.abs(W), np.abs(pulls)
                reached = abs(gamma[0]) if Z is None else np.abs(Z) @ np.abs(gamma)
                blur = (q + 4) * U * (1 + abs(self.log_unit) + reached)
                dz = k * (reach * shrink + blur * np.abs(z))
                size_x += times_transposed(np.abs(A), pulls)
                size_v += times_transposed(np.abs(V), k * (1 + 3 * np.abs(pull)))
                moved[:p] += times_transposed(size, pulls * blur + np.abs(dpsi) * shrink * dz)
                moved[p:] += times_transposed(np.abs(V), np.abs(bend) * dz)
            longest, blocks = max(longest, len(k)), blocks + 1
        if self._tame:
            H[:p, :p] = self.inverse.T @ H[:p, :p] @ self.inverse
            H[:p, p:] = self.inverse.T @ H[:p, p:]
            J = self.inverse.T @ J @ self.inverse
            moved[:p] = np.abs(self.inverse).T @ moved[:p]
        if one:
            J = np.exp(-2 * scale) * (np.eye(p) if self._of_rows is None else self._of_rows)
        D = np.sqrt(self.penalty)[:, None] * self.inverse
        inner = _factor(self.location * J + D.T @ D)
        if inner is None:
            return None
        by_x -= self.penalty * beta
        size_x += self.penalty * np.abs(beta)
        H[:p, :p] += D.T @ D
        H[p:, :p] = H[:p, p:].T
        # from the coordinates of the rows to those of the information
        to = np.zeros((p + q, p + q))
        to[:p, :p] = solve_upper(inner, np.eye(p))
        to[p:, p:] = np.eye(q)
        whole = np.append(-solve_upper(self.base, by_x, transpose=True), by_v)
        gradient = to.T @ whole
        row = float(self._lengths[:p] @ np.abs(beta)) / math.sqrt(self.n)  # |A||β| of most rows
        wide = float(np.sqrt(pulled) @ np.array([row, 1.0]))
        if hessian is None:
            hessian = to.T @ H @ to
            hessian = (hessian + hessian.T) / 2
        roundings = (longest + blocks + p + 16) * U
        through = np.append(np.abs(self.inverse).T @ size_x, size_v) * roundings
        penalty = 0.5 * float(self.penalty @ (beta * beta))
        total = logs + self.n * self.log_unit + penalty
        total -= 0.5 * self.likelihood.log_precision + self.likelihood.log_jacobian
        return Point(
            beta=beta,
            gamma=gamma,
            R=inner @ self.base,
            nll=math.fsum(values) + total if np.isfinite(values).all() else math.inf,
            gradient=gradient,
            hessian=hessian,
            error=np.abs(to).T @ (through + moved),
            # of the sums, and of residuals, whose roundings go either way
            noise_of_nll=U * (16 * (sizes + abs(total)) + wide),
            exact=exact,
            sunk=sunk,
            bounded=bounds,
        )

    def falls(self, point: Point) -> bool:
        """Whether the NLL falls for ever from here, as σ, or that of some rows, goes to zero.

        Eqs. (8.6) and (9.9).
        """
        return point.sunk > 0 if self.likelihood.scale_names else self.too_many(point.exact)

    @property
    def convex(self) -> bool:
        """Whether every stationary point is the MLE, convex as the NLL may be, Eq. (3.13)."""
        one_scale = not self.likelihood.scale_names and self.likelihood.prior is None
        return self.noise.log_concave and one_scale

    def too_many(self, exact: float) -> bool:
        """Whether σ → 0 lowers the NLL for ever where so many residuals are zero.

        Each of the n observations adds log σ to the NLL, and each of the others takes up to
        zψ(z) times that away: Student's t no more than df + 1, Eq. (8.6).
        """
        return exact >= self.just_enough

    @property
    def just_enough(self) -> float:
        """So many exact observations that `too_many` holds: n df/(df + 1) for a t, Eq. (8.6)."""
        if math.isinf(self.limit):
            return float(self.n)
        return self.n * (self.limit - 1) / self.limit * (1 - 1e-12)

    def profile(
        self, beta: F64, gamma: F64 | None = None, *, tolerance: float = 8 * U
    ) -> F64 | None:
        """The γ that minimises the NLL at fixed β, Eqs. (9.6), (11.7); None where there is none.

        That is where σ, or that of some rows, goes to zero. One γ is found to full precision,
        several to a millionth of a standard error.

        Parameters
        ----------
        beta : ndarray, shape (p,)
            Scaled coefficients.
        gamma : ndarray, shape (q,), optional
            Where to begin.
        tolerance : float
            How far one log σ may be off, about.
        """
        with np.errstate(all="ignore"):
            if self.likelihood.scale_names:
                return self._profile_scale(beta, self._regress(beta) if gamma is None else gamma)
            exact, logs = 0.0, 0.0
            for rows, r, reach in self.residuals(beta):
                exact += float(rows.k @ (np.abs(r) <= reach))
                size = np.maximum(np.maximum(np.abs(r), reach), 1e-300)
                logs += float(rows.k @ np.log(size))
            if not math.isfinite(logs):
                return np.array([math.inf])
            if self.too_many(exact):
                return None
            # the geometric mean of the residuals: outliers hardly move it
            start = logs / self.n + self.log_unit if gamma is None else float(gamma[0])
            return np.array([self._root(beta, start, tolerance)])

    def _root(self, beta: F64, gamma: float, tolerance: float) -> float:
        """Where the mean of zψ(z) is one: Newton's method in its logarithm, Eq. (11.7).

        That falls as γ grows, and is nearly straight where the tails of ρ are a power of z. The
        steps are kept within a bracket.
        """
        low, high = -math.inf, math.inf
        for _ in range(200):
            pull, slope = 0.0, 0.0
            for A, b, k, _Z in self.rows():
                z = np.clip((b - times(A, beta)) * np.exp(self.log_unit - gamma), -HUGE, HUGE)
                psi, dpsi = self.noise.psi(z), self.noise.dpsi(z)
                pull += float(k @ (z * psi))
                slope += float(k @ (z * (psi + z * dpsi)))
            if 0 < pull < math.inf:
                height = math.log(pull / self.n)
            else:  # σ so large, or so small, that z leaves floating point
                height = 800.0 if pull > 0 else -800.0
            if abs(height) <= tolerance:
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

    def _regress(self, beta: F64) -> F64:
        """Least squares of log|r| on the scale design: its slopes are consistent, Eq. (9.8)."""
        right = np.zeros(self.q)
        for rows, r, reach in self.residuals(beta):
            assert rows.Z is not None
            size = np.maximum(np.maximum(np.abs(r), reach), 1e-300)
            V = whiten(self.S, rows.Z)
            right += times_transposed(V, rows.k * (np.log(size) + self.log_unit))
        return np.asarray(self.S_inverse @ right)

    def _profile_scale(self, beta: F64, gamma: F64) -> F64 | None:
        """Newton's method in γ, of which the NLL at fixed β is a convex function, Eq. (9.6).

        It is where zψ(z) does not fall as |z| grows, as for every noise of this package.
        """
        value, gradient, H, sunk = self._by_scale(beta, gamma)
        for _ in range(100):
            if not math.isfinite(value):
                return np.full(self.q, math.inf)
            if sunk:
                return None
            values, vectors = np.linalg.eigh(H)
            along = vectors.T @ gradient
            # where it is nearly straight, a step of the expected curvature
            step = -vectors @ (along / np.where(values > DEFINITE, values, 1.0))
            if norm(step) <= 1e-6:  # in standard errors; Newton's method does the rest
                return gamma
            share = 1.0
            while share > 1e-6:
                trial = gamma + share * (self.S_inverse @ step) / self.root_b
                found = self._by_scale(beta, trial)
                if found[0] <= value + 1e-4 * share * float(gradient @ step):
                    break
                share /= 2
            else:
                return gamma  # rounding holds it there
            gamma, (value, gradient, H, sunk) = trial, found
        return gamma

    def _by_scale(self, beta: F64, gamma: F64) -> tuple[float, F64, F64, float]:
        """NLL but for constants, its gradient and Hessian in v; and observations of σ too small."""
        value, gradient, H, sunk = 0.0, np.zeros(self.q), np.zeros((self.q, self.q)), 0.0
        for rows, r, reach in self.residuals(beta):
            assert rows.Z is not None
            scale = self.log_sigma(rows, gamma)
            z = np.clip(r * np.exp(-scale), -HUGE, HUGE)
            psi, dpsi = self.noise.psi(z), self.noise.dpsi(z)
            value += float(rows.k @ (self.noise.rho(z) + scale))
            V = self._by_gamma(rows)
            gradient += times_transposed(V, rows.k * (1 - z * psi))
            H += gram(V, rows.k * z * (psi + z * dpsi), V)
            sunk += float(rows.k @ (reach >= np.exp(scale)))
        return value, gradient, (H + H.T) / 2, sunk


def _factor(information: F64) -> F64 | None:
    """Upper C with CᵀC the information; None where it is not finite, or ill-conditioned."""
    if not np.isfinite(information).all():
        return None
    unit = 1 / np.sqrt(np.maximum(np.diagonal(information), 1e-300))
    if np.linalg.eigvalsh(information * np.outer(unit, unit))[0] < SPREAD:
        return None
    return np.asarray(np.linalg.cholesky(information).T)


def whitened(likelihood: LinearLikelihood) -> Whitened:
    """The `Whitened` of a likelihood of full rank, kept."""
    known: Whitened | None = likelihood.memo.get("whitened")
    if known is None:
        known = likelihood.memo["whitened"] = Whitened(likelihood)
    return known
