"""The laws of a noise: what its nine members owe each other. Anyone's noise can be held to them.

    >>> from mlreg import Laplace
    >>> fisher_is_mean_product(Laplace()) <= 1
    True

Means and integrals are adaptive quadrature, not simulation: there are no false alarms. The
variable is x in z = sinh x, in which exponential tails end soon and those of a power law are
exponential; so that every decade of z is seen.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from mlreg.likelihood.blocks import Block, to_numpy, weights
from mlreg.likelihood.linear import LinearLikelihood
from mlreg.likelihood.noise import Noise
from mlreg.verify.quadrature import KNOTS, integral, over_line
from mlreg.verify.registry import U, law, ratio_of

__all__ = [
    "cdf_is_integral",
    "fisher_is_mean_product",
    "gradient_and_hessian_are_derivatives",
    "information_is_mean_product",
    "log_concave_noise_is_convex",
    "mgf_is_mean_exponential",
    "psi_and_dpsi_are_derivatives",
    "quantile_inverts_cdf",
    "symmetric_noise_is_even",
]

F64 = NDArray[np.float64]
_HALF = np.array([1e-9, 1e-3, 0.1, 0.5, 1.0, 1.7, 3.0, 6.0, 12.0, 30.0, 1e3])
POINTS: F64 = np.concatenate([-_HALF[::-1], [0.0], _HALF])
"""Where the laws look, where the caller does not say: in the middle and far out on both sides.

Of a ψ with a kink within a thousandth of a point, ask at other points: quadrature may not see it.
"""
ROUNDINGS = 64 * U
"""Relative errors that a formula in floating point may make, times its condition."""


def _density(noise: Noise, z: F64, s: float = 0.0) -> Any:
    """Density of ε times exp(s·z)."""
    with np.errstate(over="ignore"):  # an infinite ρ is no density, and a wrong one may overflow
        return np.exp(s * z - noise.rho(z))


def _support(noise: Noise, s: float = 0.0) -> tuple[float, float]:
    """Where `_density` is not zero in floating point, to the next knot outwards."""

    def end(sign: float) -> float:
        there = (k for k in KNOTS[1:] if not _density(noise, sign * np.sinh(np.array([k])), s)[0])
        return float(sign * np.sinh(next(there, KNOTS[-1])))

    return end(-1.0), end(1.0)


def _mean(
    noise: Noise, f: Callable[[F64], Any], absolute: float = 1e-16, kinks: Sequence[float] = ()
) -> tuple[F64, float]:
    """E f(ε), f giving a vector, and the error of the quadrature; ``kinks`` spare it a search."""
    with np.errstate(over="ignore", invalid="ignore"):  # of a wrong noise: no number, no pass
        ends = _support(noise)
        return over_line(lambda z: np.asarray(f(z)) * _density(noise, z), *ends, absolute, kinks)


@law("bounded", "3.6", "3.9", "8.11", "8.12", "8.13", "8.14")
def fisher_is_mean_product(noise: Noise) -> Any:
    """The mean gradient is zero, and the Fisher constants are the mean products of gradients.

    Expectations under the noise's own density, whose area must be one.
    """

    def products(z: F64) -> Any:
        location = noise.psi(z)
        scale = z * location - 1
        one = np.ones_like(z)
        return [one, location, scale, location**2, location * scale, scale**2]

    stated = np.array([1.0, 0.0, 0.0, *noise.fisher])
    found, error = _mean(noise, products)
    return ratio_of(found - stated, error + 1000 * U * (1 + np.abs(stated)))


@law("bounded", "3.5", "3.7", "8.5")
def psi_and_dpsi_are_derivatives(
    noise: Noise, points: F64 = POINTS, jumps: tuple[float, ...] = (0.0,)
) -> Any:
    """ψ integrates to ρ, and ψ′ to ψ, between any two of the points.

    Stated as integrals, it holds across kinks too. The ψ of a noise that is not smooth may jump
    at ``jumps``, and only there.
    """
    rho, psi, dpsi = (np.asarray(f(points)) for f in (noise.rho, noise.psi, noise.dpsi))
    reach = np.abs(points) * (1 + np.arcsinh(np.abs(points)))  # sinh(arcsinh z) is not quite z
    of_rho = np.abs(rho) + reach * np.abs(psi)
    of_psi = np.abs(psi) + reach * np.abs(dpsi)
    ratios: list[Any] = []
    for i, (low, high) in enumerate(pairwise(points)):
        value, error = over_line(noise.psi, low, high)
        allowed = error + ROUNDINGS * (of_rho[i] + of_rho[i + 1])
        ratios.append(ratio_of(rho[i + 1] - rho[i] - value[0], allowed))
        if noise.smooth or not any(low <= jump <= high for jump in jumps):
            value, error = over_line(noise.dpsi, low, high)
            allowed = error + ROUNDINGS * (of_psi[i] + of_psi[i + 1])
            ratios.append(ratio_of(psi[i + 1] - psi[i] - value[0], allowed))
    return ratios


@law("bounded", "8.1", "8.4", "8.7", "8.8")
def cdf_is_integral(noise: Noise, points: F64 = POINTS) -> Any:
    """The cdf is the integral of the density from minus infinity, to full relative accuracy."""
    low = min(_support(noise)[0], float(points[0]))
    total, missed, ratios = 0.0, 0.0, []
    for start, z in pairwise([low, *points]):
        value, error = over_line(lambda t: _density(noise, t), start, z)
        total, missed = total + float(value[0]), missed + error
        at = np.array([z])
        condition = 1 + np.abs(noise.rho(at)[0]) + np.abs(z * noise.psi(at)[0])
        found = float(noise.cdf(at)[0])
        ratios.append(ratio_of(found - total, missed + ROUNDINGS * total * condition))
    return ratios


@law("bounded", "8.1", "8.4", "8.7", "8.8")
def quantile_inverts_cdf(noise: Noise) -> Any:
    """cdf(quantile(q)) is q, in both tails; quantiles ascend; outside [0, 1] there is none."""
    tail = 10.0 ** -np.array([300.0, 100.0, 30.0, 16.0, 8.0, 3.0, 1.0])
    q = np.concatenate([tail, [0.25, 0.4, 0.5, 0.5 + 1e-9, 0.6, 0.75], 1 - tail[:2:-1]])
    q.sort()
    z = np.asarray(noise.quantile(q))
    finite = np.isfinite(z)
    inside, at = z[finite], q[finite]
    slope = np.abs(inside) * _density(noise, inside)  # what an error of z makes of q
    there = ratio_of(noise.cdf(inside) - at, ROUNDINGS * (at * (1 + np.abs(np.log(at))) + slope))
    # a quantile may be infinite only where no finite number would do
    extreme = np.copysign(np.finfo(float).max, z[~finite])
    beyond = ratio_of((noise.cdf(extreme) - q[~finite]) * np.sign(extreme) > 0, 0.0)
    edges = np.asarray(noise.quantile(np.array([0.0, 1.0])))
    none = np.asarray(noise.quantile(np.array([-0.1, 1.1, np.nan])))
    return [
        *there,
        *beyond,
        *ratio_of(np.minimum(np.diff(inside), 0.0), 0.0),
        *ratio_of(np.asarray(noise.cdf(edges)) - [0.0, 1.0], 0.0),
        *ratio_of(~np.isnan(none), 0.0),
    ]


@law("bounded", "3.6")
def symmetric_noise_is_even(noise: Noise, points: F64 = POINTS) -> Any:
    """A noise that says it is symmetric has even ρ, odd ψ, no cross information, and median zero.

    Of a noise that does not say so the law asks nothing.
    """
    if not noise.symmetric:
        return 0.0
    z = np.abs(points)
    one = np.ones(len(z))
    return [
        *ratio_of(noise.rho(-z) - noise.rho(z), 0.0),
        *ratio_of(noise.psi(-z) + noise.psi(z), 0.0),
        *ratio_of(noise.dpsi(-z) - noise.dpsi(z), 0.0),
        *ratio_of(noise.cdf(-z) + noise.cdf(z) - 1, ROUNDINGS * one),
        *ratio_of(noise.quantile(0.5 * one[:1]), 4 * U),
        ratio_of(noise.fisher[1], 0.0),
    ]


@law("bounded", "3.13")
def log_concave_noise_is_convex(noise: Noise) -> Any:
    """A noise that says it is log-concave has a ψ that never falls, and no negative ψ′.

    Of a noise that does not say so the law asks nothing.
    """
    if not noise.log_concave:
        return 0.0
    z = np.sinh(np.linspace(-8, 8, 801))
    psi, dpsi = np.asarray(noise.psi(z)), np.asarray(noise.dpsi(z))
    falls = np.minimum(np.diff(psi), 0.0)
    return [
        *ratio_of(falls, 4 * U * np.abs(psi[1:])),
        *ratio_of(np.minimum(dpsi, 0.0), 0.0),
    ]


_S = np.array([1e-3, 0.05, 0.3, 0.9, 1.0, 1.3, 5.9])
SLOPES: F64 = np.concatenate([-_S[::-1], [0.0], _S])
"""Where the law of the moment generating function looks, where the caller does not say."""


@law("bounded")
def mgf_is_mean_exponential(noise: Noise, slopes: F64 = SLOPES) -> Any:
    """The moment generating function at s is the integral of exp(s·z − ρ(z)), where it is finite.

    Where it is infinite, the integrand must not fall as fast as 1/z. Of a noise without an ``mgf``
    the law asks nothing.
    """
    mgf: Callable[[F64], F64] | None = getattr(noise, "mgf", None)
    if mgf is None:
        return 0.0
    ratios: list[Any] = []
    for s, stated in zip(slopes, np.asarray(mgf(slopes)), strict=True):
        far = np.copysign(np.sinh(KNOTS[-1:]), s)
        with np.errstate(over="ignore"):  # whether z times the integrand still counts so far out
            endless = (s * far - noise.rho(far))[0] + KNOTS[-1] > 0
        if endless or not np.isfinite(stated):
            ratios.append(ratio_of(float(endless and stated == np.inf) - 1, 0.0))
            continue

        def parts(z: F64, s: float = s) -> Any:
            value = _density(noise, z, s)  # and what the rounding of its exponent makes of it
            there = value > 0
            size = np.zeros_like(z)
            size[there] = 1 + np.abs(s * z[there]) + np.abs(noise.rho(z[there]))
            return [value, value * size]

        (found, size), error = over_line(parts, *_support(noise, s), 1e-15 * abs(stated) + 1e-300)
        ratios.append(ratio_of(found - stated, error + ROUNDINGS * size))
    return ratios


@law("bounded", "3.5", "3.7")
def gradient_and_hessian_are_derivatives(
    likelihood: LinearLikelihood, start: F64, stop: F64
) -> Any:
    """Along a line the gradient integrates to the NLL, and the Hessian to the gradient.

    Of noises of every kind, whose ρ may have kinks; the Hessian of smooth noises only.
    """
    way, noise = np.asarray(stop) - np.asarray(start), likelihood.noise

    def slope(t: float) -> Any:
        theta = start + t * way
        slope = [likelihood.gradient(theta) @ way]
        return np.append(slope, likelihood.hessian(theta) @ way if noise.smooth else [])

    def along(points: F64) -> Any:
        return np.transpose([slope(t) for t in points])

    # A kink that one division into pieces does not see, between two nodes, the other will; and
    # those that are found beforehand are ends of pieces.
    bends = _bends(likelihood, np.asarray(start), way)
    (found, error), (again, _) = (
        integral(along, np.union1d(np.linspace(0, 1, m), bends), 1e-13) for m in (9, 10)
    )
    allowed = error + 2 * np.abs(found - again)
    change = np.array([likelihood.nll(stop) - likelihood.nll(start)])
    if noise.smooth:
        change = np.append(change, likelihood.gradient(stop) - likelihood.gradient(start))
    sizes = np.max([_sizes(likelihood, start + t * way) for t in (0, 0.25, 0.5, 0.75, 1)], axis=0)
    sizes[0] += np.abs(way) @ sizes[1:]
    n = likelihood.n_rows + 2 * likelihood.n_params
    return ratio_of(found - change, allowed + n * ROUNDINGS * sizes[: len(found)])


def _jumps(noise: Any) -> list[float]:
    """Where ψ or ψ′ jumps, as far as steps of 5e-4 between ±50 show it."""
    grid, found = np.linspace(-50, 50, 200_002), []
    for f in (noise.psi, noise.dpsi):
        values = f(grid)
        for i in np.flatnonzero(np.abs(np.diff(values)) > 0.05 * np.abs(values).max()):
            low, high = grid[i], grid[i + 1]
            for _ in range(60):  # halve, keeping the jump between the two
                middle = 0.5 * (low + high)
                near = abs(f(np.array([middle]))[0] - values[i])
                if near < abs(f(np.array([middle]))[0] - values[i + 1]):
                    low = middle
                else:
                    high = middle
            found.append(float(high))
    return found


def _bends(likelihood: LinearLikelihood, start: F64, way: F64) -> list[float]:
    """Where, on the way from 0 to 1, the residual of a row meets a jump of ψ or ψ′."""
    jumps, bends = _jumps(likelihood.noise), []
    p = likelihood.n_params
    for X, y, _, w, Z in _rows(likelihood) if jumps else ():

        def z(t: float, X: F64 = X, y: float = y, w: float = w, Z: F64 = Z) -> float:
            theta = start + t * way
            return float(np.sqrt(w) * (y - X @ theta[:p]) * np.exp(-(Z @ theta[p:])))

        knots = np.linspace(0, 1, 65)
        values = np.array([z(t) for t in knots])
        for jump in jumps:
            for i in np.flatnonzero((values[:-1] - jump) * (values[1:] - jump) < 0):
                bends.append(
                    brentq(lambda t, z=z, c=jump: z(t) - c, knots[i], knots[i + 1], xtol=1e-15)
                )
    return bends


def _sizes(likelihood: LinearLikelihood, theta: F64) -> F64:
    """Sums of |terms|, before any cancellation, of the NLL and of its gradient."""
    noise, total = likelihood.noise, np.zeros(len(theta) + 1)
    beta, gamma = theta[: likelihood.n_params], theta[likelihood.n_params :]
    for X, y, k, w, Z in _rows(likelihood):
        unit, log_size = np.sqrt(w) * np.exp(-(Z @ gamma)), float(np.abs(Z) @ np.abs(gamma))
        z = np.array([unit * (y - X @ beta)])
        reach = unit * (abs(y) + np.abs(X) @ np.abs(beta)) * (1 + log_size)
        pull = abs(noise.psi(z)[0]) + reach * abs(noise.dpsi(z)[0])
        cost = abs(noise.rho(z)[0]) + pull * reach + log_size + abs(np.log(w))
        by_gamma = np.abs(Z) * (1 + reach * pull)
        total += k * np.array([cost, *(np.abs(X) * unit * pull), *by_gamma])
    return total


def _rows(likelihood: LinearLikelihood) -> Iterator[tuple[F64, float, float, float, F64]]:
    """Each row with its response, frequency, precision, and its row of the scale design."""
    for block in likelihood.source.blocks():
        k, w = weights(block)
        Z = np.ones((len(k), 1)) if block.Z is None else to_numpy(block.Z)
        yield from zip(to_numpy(block.X), to_numpy(block.y), k, w, Z, strict=True)


class _OneRow:
    """A source of one row, which may change: made once, for making one takes longer than a sum."""

    n_rows: int | None = 1
    rereadable, checked = True, True

    def __init__(self, likelihood: LinearLikelihood) -> None:
        self.names, self.scale_names = likelihood.source.names, likelihood.scale_names
        self.block: Block | None = None

    def blocks(self, size: int | None = None, rng: Any = None) -> Iterator[Block]:
        assert self.block is not None
        yield self.block


@law("bounded", "3.4", "3.6", "3.9")
def information_is_mean_product(likelihood: LinearLikelihood, theta: F64) -> Any:
    """The information is the mean of the gradient's products, and of a smooth noise's Hessians.

    Over responses that the model makes, row by row; the gradient's own mean is zero.
    """
    noise, k = likelihood.noise, len(theta)
    stated = likelihood.information(theta)
    products, hessians, mean = np.zeros((k, k)), np.zeros((k, k)), np.zeros(k)
    missed, loss = 0.0, 1.0
    unit = np.sqrt(np.diagonal(stated))
    unit = np.where(unit > 0, unit, 1.0)  # a column of zeros has no information
    p, scaled = likelihood.n_params, bool(likelihood.scale_names)
    row, jumps = _OneRow(likelihood), _jumps(noise)
    one = LinearLikelihood.from_source(row, noise)
    for X, _, frequency, w, Z in _rows(likelihood):
        centre, scale = float(X @ theta[:p]), float(np.exp(Z @ theta[p:]) / np.sqrt(w))
        fixed = X[None, :], np.array([w]), Z[None, :] if scaled else None

        def parts(z: F64, fixed: Any = fixed, at: Any = (centre, scale)) -> Any:
            found = []
            for y in at[0] + at[1] * z:
                row.block = Block(fixed[0], np.array([y]), None, *fixed[1:])
                g = one.gradient(theta) / unit
                h = one.hessian(theta) / np.outer(unit, unit) if noise.smooth else np.zeros(0)
                found.append(np.concatenate([np.outer(g, g).ravel(), g, h.ravel()]))
            return np.transpose(found)

        found, error = _mean(noise, parts, 1e-11, jumps)
        products += frequency * found[: k * k].reshape(k, k)
        mean += frequency * found[k * k : k * k + k]
        if noise.smooth:
            hessians += frequency * found[k * k + k :].reshape(k, k)
        missed += frequency * error
        loss = max(loss, abs(centre) / scale)  # of y − xβ, in z
    shown = stated / np.outer(unit, unit)
    allowed = missed + 16 * ROUNDINGS * (likelihood.n_rows + k) * loss
    return [
        *ratio_of(products - shown, allowed).ravel(),
        *ratio_of(mean, allowed),
        *(ratio_of(hessians - shown, allowed).ravel() if noise.smooth else ()),
    ]
