"""The laws that maximum-likelihood linear regression obeys, each written once.

A law is a function that takes what it judges and returns the largest ratio of
an observed deviation to the allowed one; above one it raises `LawViolation`.
Its decorator says which of three kinds it is:

- *exact*: ``==``, no rounding is possible; the ratio is zero.
- *bounded*: the deviation is compared with a bound on rounding, invariant to units.
- *stochastic*: a stated probability of a false alarm.

`LAWS` lists them all. Those of noises are written in `mlreg.verify.noise_laws`, and are
here by name like the others; those that anybody's regressor, likelihood, optimizer or intervals
are held to are beside the functions that do so, as in `mlreg.verify.regressors`.
"""

import math
from collections.abc import Callable
from fractions import Fraction
from itertools import combinations, product
from math import comb
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from mlreg.certificate import Certificate
from mlreg.estimate import Fit
from mlreg.likelihood.blocks import Block, Source
from mlreg.likelihood.linear import LinearLikelihood
from mlreg.linalg.bounds import coefficient_bound
from mlreg.optimizers.solution import Solution
from mlreg.verify import intervals, likelihoods, optimizers, regressors  # noqa: F401, for LAWS
from mlreg.verify.exact import Rational
from mlreg.verify.noise_laws import (
    cdf_is_integral,
    fisher_is_mean_product,
    gradient_and_hessian_are_derivatives,
    information_is_mean_product,
    log_concave_noise_is_convex,
    mgf_is_mean_exponential,
    psi_and_dpsi_are_derivatives,
    quantile_inverts_cdf,
    symmetric_noise_is_even,
)
from mlreg.verify.registry import LAWS, Law, LawViolation, U, law, ratio_of
from mlreg.verify.stochastic import distance, dkw

__all__ = [
    "LAWS",
    "Law",
    "LawViolation",
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


def _float(value: Any) -> F64:
    return np.asarray(value, dtype=np.float64)


# The likelihood


@law("bounded", "1.2", "1.3", "1.4")
def nll_is_minus_log_density(nll: float, log_densities: F64) -> Any:
    """The NLL is minus the sum of the log densities, constants included.

    ``log_densities`` come from a reference, such as ``scipy.stats``.
    """
    n = len(log_densities)
    return ratio_of(nll + log_densities.sum(), (n + 32) * U * (np.abs(log_densities).sum() + n))


@law("bounded", "3.1", "3.2", "3.5")
def gradient_is_complex_step(
    nll: Callable[[Any], Any], gradient: F64, theta: F64, size: F64
) -> Any:
    """The gradient is the complex-step derivative Im nll(θ + ih)/h of the NLL.

    ``size`` is Σ |terms| of each entry, the scale of its rounding.
    """
    h = 2.0**-600  # a power of two: the step itself is exact
    step = [np.imag(nll(theta + 1j * h * e)) / h for e in np.eye(len(theta))]
    return ratio_of(np.array(step) - gradient, 64 * len(theta) * U * size)


@law("bounded", "3.3", "3.7")
def hessian_is_complex_step(
    gradient: Callable[[Any], Any], hessian: F64, theta: F64, size: F64
) -> Any:
    """The Hessian is the complex-step derivative of the gradient."""
    h = 2.0**-600  # a power of two: the step itself is exact
    step = [np.imag(gradient(theta + 1j * h * e)) / h for e in np.eye(len(theta))]
    return ratio_of(np.array(step) - hessian, 64 * len(theta) * U * size)


@law("exact", "3.3", "3.7")
def hessian_is_symmetric(hessian: F64) -> Any:
    """The Hessian equals its transpose."""
    return ratio_of(hessian - hessian.T, 0.0)


@law("exact", "4.3")
def minibatch_gradients_sum(likelihood: LinearLikelihood, theta: F64, m: int) -> Any:
    """The gradients of all C(n, m) minibatches sum to C(n−1, m−1) times the full gradient.

    For integer data and θ = (integers, 0), whose sums are exact. Every row is
    in C(n−1, m−1) of the minibatches, so that minibatch SGD is unbiased.
    """
    (block,) = list(likelihood.source.blocks(size=likelihood.n_rows))
    n = block.y.shape[0]
    total = np.zeros(len(theta))
    for chosen in combinations(range(n), m):
        rows = np.array(chosen)
        frequency = None if block.frequency is None else block.frequency[rows]
        precision = None if block.precision is None else block.precision[rows]
        part = Block(block.X[rows], block.y[rows], frequency, precision)
        total += likelihood.term(theta, part)[1]
    return ratio_of(total - comb(n - 1, m - 1) * likelihood.gradient(theta), 0.0)


@law("exact", "4.2")
def epoch_covers_each_row_once(source: Source, size: int, seed: int) -> Any:
    """A reshuffled epoch has each row exactly once, in minibatches of the size asked for.

    The rows must be distinct in their response.
    """
    ordered = np.concatenate([np.asarray(b.y) for b in source.blocks(size)])
    batches = [np.asarray(b.y) for b in source.blocks(size, np.random.default_rng(seed))]
    sizes = [len(b) for b in batches]
    whole = all(s == size for s in sizes[:-1]) and 0 < sizes[-1] <= size
    same = np.array_equal(np.sort(np.concatenate(batches)), np.sort(ordered))
    return ratio_of(float(not (whole and same)), 0.0)


@law("bounded", "1.4", "1.5", "3.5")
def namespaces_agree(likelihood: LinearLikelihood, other: LinearLikelihood, theta: F64) -> Any:
    """NLL and gradient are the same in every array namespace, to rounding."""
    block = next(iter(likelihood.source.blocks(size=likelihood.n_rows)))
    X, y = np.abs(block.X), np.abs(block.y)
    beta, sigma = np.abs(theta[:-1]), np.exp(theta[-1])
    z = (y + X @ beta) / sigma
    n, k = X.shape
    bound = 8 * (n + k + 8) * U * np.append(X.T @ (z / sigma), (1 + z * z).sum())
    value = 8 * (n + k + 8) * U * (z * z + 1 + abs(theta[-1])).sum()
    return np.append(
        ratio_of(likelihood.gradient(theta) - other.gradient(theta), bound),
        ratio_of(likelihood.nll(theta) - other.nll(theta), value),
    )


# The maximum-likelihood estimate


@law("bounded", "2.2", "2.6", "5.7")
def params_within_rounding(fit: Fit, exact: Rational) -> Any:
    """Each coefficient is within its stated rounding bound of the exact rational solution."""
    params = [Fraction(b) for b in fit.params.tolist()]
    error = [b - e for b, e in zip(params, exact.params, strict=True)]
    last = _in_std_errors([b * Fraction(U) for b in params], exact, fit.df_resid)  # one rounding
    return ratio_of(_in_std_errors(error, exact, fit.df_resid), fit.certificate.rounding + last)


def _in_std_errors(lengths: list[Fraction], exact: Rational, df_resid: int) -> F64:
    """Lengths in each coefficient's standard error; rational up to the root, whatever the units."""
    s2 = exact.rss / df_resid
    return _float([_root(v * v / (s2 * exact.inverse[j][j])) for j, v in enumerate(lengths)])


def _root(value: Fraction) -> float:
    """Square root of a fraction that may itself be too large or too small for a float."""
    half = (value.numerator.bit_length() - value.denominator.bit_length()) // 2
    return math.ldexp(math.sqrt(value / Fraction(4) ** half), half)


@law("bounded", "2.3", "2.6")
def sigma_is_rss_over_n(fit: Fit, exact: Rational, norm_y: float, columns: F64) -> Any:
    """σ̂² = RSS/n, RSS from the exact rational solution."""
    # ‖r‖ is a minimum: either solution bounds its change, with its own coefficients, one from above
    # and one from below
    sizes = columns @ np.abs(np.column_stack([_float(exact.params), fit.params]))
    slack = fit.R.epsilon * (norm_y + sizes.max())
    truth = np.sqrt(float(exact.rss))
    observed = abs(fit.sigma * np.sqrt(fit.n_rows) - truth)
    return ratio_of(observed, slack + 8 * U * truth)


@law("bounded", "2.2", "2.8")
def residuals_are_orthogonal(X: F64, y: F64, params: F64, epsilon: float) -> Any:
    """The residuals of the MLE are orthogonal to every column: Xᵀ(y − Xβ̂) = 0."""
    norms = np.linalg.norm(X, axis=0)
    r = y - X @ params
    size = np.linalg.norm(r) + np.linalg.norm(y) + norms @ np.abs(params)
    return ratio_of(X.T @ r, epsilon * norms * size)


@law("bounded", "2.2")
def fits_agree(a: Fit, b_params: F64, b_std_errors: F64, b_epsilon: float, b_power: int = 1) -> Any:
    """Two backward-stable least-squares solvers agree within the sum of their rounding bounds.

    ``b_epsilon`` is the columnwise backward error of the other solver, and the
    condition number to the power ``b_power`` is what its standard errors lose.
    """
    bound = (a.certificate.rounding + _worst_case(a, b_epsilon)) * a.std_errors
    spread = 8 * (a.R.epsilon + b_epsilon) * (_conditioning(a) ** b_power + _residual_loss(a))
    return np.append(
        ratio_of(a.params - b_params, bound),
        ratio_of(a.std_errors - b_std_errors, spread * a.std_errors),
    )


@law("bounded", "2.4", "2.11", "3.4")
def std_errors_within_rounding(fit: Fit, exact: Rational) -> Any:
    """Standard errors are s·√diag((XᵀX)⁻¹) of the exact rational solution, to rounding."""
    s = np.sqrt(float(exact.rss / fit.df_resid))
    se = s * np.sqrt(_float([float(exact.inverse[j][j]) for j in range(len(exact.params))]))
    spread = 8 * fit.R.epsilon * (_conditioning(fit) + _residual_loss(fit))
    return ratio_of(fit.std_errors - se, spread * se)


def _worst_case(fit: Fit, epsilon: float) -> F64:
    """What a relative change ``epsilon`` of every column can do, in standard errors, Eq. (5.7)."""
    ls = fit.least_squares
    assert ls is not None
    return coefficient_bound(ls.R, ls.beta, ls.norm_y, ls.norm_r, epsilon) / ls.s


def _conditioning(fit: Fit) -> float:
    R = fit.R.R[:-1, :-1]
    return float(np.linalg.cond(R / np.linalg.norm(R, axis=0)) * np.sqrt(len(R)))


def _residual_loss(fit: Fit) -> float:
    """How many times the response, and what cancels in it, exceed the residual."""
    ls = fit.least_squares
    assert ls is not None
    R, beta = fit.R.R, ls.beta
    size = np.linalg.norm(R[:, -1]) + np.linalg.norm(R[:, :-1], axis=0) @ np.abs(beta)
    return float(size / abs(ls.norm_r))


@law("bounded", "5.1", "5.2", "5.3")
def certificate_is_true_distance(
    certificate: Certificate, params: F64, X: F64, exact: Rational, df_resid: int
) -> Any:
    """The certified distance equals ‖X(params − β̂)‖/s of the exact rational solution.

    Within 1 %, and twice the sum of the rounding that the certificate owns up to.
    """
    delta = [Fraction(b) - e for b, e in zip(params.tolist(), exact.params, strict=True)]
    true = _root(exact.squared_distance(params.tolist(), X) / (exact.rss / df_resid))
    each = np.append(_in_std_errors(delta, exact, df_resid), true)
    observed = np.append(certificate.per_param, certificate.distance) - each
    return ratio_of(observed, 0.01 * each + 2 * certificate.rounding.sum())


@law("bounded", "5.4")
def gap_is_missing_likelihood(
    certificate: Certificate, params: F64, X: F64, exact: Rational, df_resid: int
) -> Any:
    """The log-likelihood gap is (n/2) log(RSS/RSS_min) of the exact rational solution.

    To what an error of 1 % of the distance, and the rounding that the certificate owns up to, make.
    """
    squared = exact.squared_distance(params.tolist(), X) / (exact.rss / df_resid)
    distance, n = _root(squared), len(X)
    off = 0.01 * distance + 2 * certificate.rounding.sum()

    def gap(far: float) -> float:
        return 0.5 * n * math.log1p(far * far / df_resid)

    allowed = gap(distance + off) - gap(distance) + 8 * n * U
    return ratio_of(certificate.log_likelihood_gap - gap(distance), allowed)


@law("bounded", "5.5")
def sigma_distance_is_log_ratio(fit: Fit, certificate: Certificate, sigma: float) -> Any:
    """The distance of a noise scale from its MLE is √(2n)·|log(σ/σ̂)|.

    ``fit`` is the MLE, ``certificate`` the verdict on ``sigma``.
    """
    n = fit.n_rows
    want = math.sqrt(2 * n) * abs(math.log(sigma) - math.log(fit.sigma))
    slack = fit.R.epsilon * _residual_loss(fit) + 8 * U
    return ratio_of(certificate.sigma_distance - want, math.sqrt(2 * n) * slack + 8 * U * want)


@law("bounded", "2.7")
def blocks_do_not_matter(one: Fit, other: Fit) -> Any:
    """Order and chunking of the rows, and merging, change a fit by rounding only."""
    bound = one.certificate.rounding + other.certificate.rounding
    gap = ratio_of(one.params - other.params, bound * one.std_errors)
    spread = 8 * (one.R.epsilon + other.R.epsilon) * (_conditioning(one) + _residual_loss(one))
    return np.append(gap, ratio_of(one.std_errors - other.std_errors, spread * one.std_errors))


@law("bounded", "1.5")
def weights_are_repetition(weighted: Fit, repeated: Fit) -> Any:
    """A row of frequency k is k equal rows, in every number: estimates, errors, likelihood, df."""
    if (weighted.n_rows, weighted.df_resid) != (repeated.n_rows, repeated.df_resid):
        return np.inf
    each = blocks_do_not_matter(weighted, repeated)
    spread = (weighted.R.epsilon + repeated.R.epsilon) * _residual_loss(weighted)
    n = weighted.n_rows
    return np.append(
        each, ratio_of(weighted.nll - repeated.nll, 8 * n * (spread + U * abs(weighted.nll)))
    )


@law("bounded", "2.2")
def equivariant(base: Fit, moved: Fit, c: float, shift: F64, scale: F64) -> Any:
    """With X·D and c·y + Xb the MLE becomes D⁻¹(c·β̂ + b), and σ̂ becomes |c|·σ̂.

    ``scale`` is the diagonal of D, ``shift`` is b.
    """
    expected = (c * base.params + shift) / scale
    se = np.abs(c / scale) * base.std_errors
    rounding = base.certificate.rounding + moved.certificate.rounding
    bound = (rounding + _worst_case(moved, 4 * U)) * se  # the data of the other fit are rounded
    loss = base.R.epsilon * _residual_loss(base) + moved.R.epsilon * _residual_loss(moved)
    return np.append(
        ratio_of(
            moved.params - expected, bound + 4 * U * (np.abs(expected) + np.abs(shift / scale))
        ),
        ratio_of(moved.sigma - abs(c) * base.sigma, loss * abs(c) * base.sigma),
    )


@law("bounded", "2.2")
def fitted_values_are_unique(dropped: Fit, full_rank: Fit, column: int) -> Any:
    """With a dependent column left out, everything is as if it had never been there."""
    if not np.isnan(dropped.params[column]):
        return np.inf
    kept = np.delete(dropped.params, column)
    bound = (dropped.certificate.rounding + full_rank.certificate.rounding) * full_rank.std_errors
    return np.append(
        ratio_of(kept - full_rank.params, bound),
        ratio_of(dropped.df_resid - full_rank.df_resid, 0.0),
    )


# The optimizers


@law("exact", "5.1")
def never_claims_too_much(fit: Fit | Solution, tolerance: float = 0.1) -> Any:
    """An optimizer says converged only within the tolerance, and its numbers are finite.

    All but log σ where the likelihood has no maximum: that is −∞.
    """
    claims = fit.status.code == "converged"
    within = fit.certificate.distance <= tolerance and fit.certificate.sigma_distance <= tolerance
    within = within and fit.certificate.definite
    theta = fit.theta if isinstance(fit, Solution) else fit.solution.theta
    if fit.status.code == "unbounded":
        theta = theta[:-1]
    finite = bool(np.isfinite(theta).all())
    return ratio_of(float(not finite or (claims and not within)), 0.0)


@law("bounded", "4.4", "4.5", "4.6")
def stable_rate_does_not_expand(
    X: F64,
    rate: float,
    batch_size: int | Literal["full"],
    sampling: Literal["reshuffle", "replacement"],
) -> Any:
    """A stable learning rate lets no minibatch step drive two trajectories apart.

    Every minibatch of the rows of X is tried, the ragged ones too; drawn with
    replacement they may expand one by one, but not in mean square.
    """
    n, p = X.shape
    m = n if batch_size == "full" else batch_size

    def step(rows: tuple[int, ...]) -> F64:
        part = X[list(rows)]
        return _float(np.eye(p) - rate / m * part.T @ part)

    if sampling == "replacement" and batch_size != "full":
        steps = [step(rows) for rows in product(range(n), repeat=m)]
        worst = [float(np.linalg.eigvalsh(sum(s @ s for s in steps) / len(steps))[-1])]
    else:
        sizes = [n] if batch_size == "full" else range(1, m + 1)
        batches = (rows for size in sizes for rows in combinations(range(n), size))
        worst = [float(np.linalg.norm(step(rows), 2)) for rows in batches]
    return ratio_of(worst, 1 + 50 * n * U)


# Inference


@law("stochastic", "2.5")
def covers(hits: int, trials: int, level: float, false_alarm: float = 1e-9) -> Any:
    """Intervals of a level contain the truth with that probability.

    Fails with probability ``false_alarm`` where the law holds: the exact binomial test.
    """
    p_value = stats.binomtest(hits, trials, level).pvalue
    return ratio_of(false_alarm, p_value)


@law("stochastic", "2.5")
def follows(sample: F64, cdf: Callable[[F64], F64], false_alarm: float = 1e-9) -> Any:
    """A sample follows a distribution, by the Dvoretzky-Kiefer-Wolfowitz-Massart inequality.

    Fails with probability ``false_alarm`` at most where the law holds; sees every
    distribution whose cdf differs somewhere by more than twice the allowed distance.
    """
    return ratio_of(distance(sample, cdf), dkw(len(sample), false_alarm))
