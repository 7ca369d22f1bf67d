"""Quantiles of ε + rN, by equations and integrals that do not share a line with the code.

The bound is the docstring's: the probability at the quantile is q, to a relative 1e-10.
"""

from itertools import pairwise

import numpy as np
import pytest
from scipy import integrate, special, stats

import mlreg as ml
from mlreg.inference.convolution import convolved_quantile
from mlreg.inference.prediction import new_observation
from mlreg.verify import laws

BOUND = 1e-10
TAILS = [1e-6, 0.025, 0.3, 0.4999]
RATIOS = np.array([1e-6, 1e-3, 0.05, 0.3, 1.0, 4.0, 100.0])
HUBER = ml.Huber(1.345)


class Gumbel:
    """Noise that is not symmetric; only what a convolution asks of it."""

    symmetric = False

    def rho(self, z):
        with np.errstate(over="ignore"):
            return z + np.exp(-z)

    def cdf(self, z):
        with np.errstate(over="ignore"):
            return np.exp(-np.exp(-z))

    def quantile(self, q):
        return -np.log(-np.log(q))


def laplace_and_normal(t, r):
    """P(ε + rN ≤ t), in closed form; the normal function by its logarithm, against overflow."""
    up, down = (np.exp(0.5 * r * r + s * t + special.log_ndtr(-s * t / r - r)) / 2 for s in (1, -1))
    return special.ndtr(t / r) + up - down


def integral(f, low, high, around, scales):
    """∫ f in pieces, by adaptive quadrature, and the error it admits."""
    cuts = np.add.outer(around, np.concatenate([-scales, [0.0], scales])).ravel()
    cuts = np.unique([low, *cuts[(cuts > low) & (cuts < high)], high])
    pieces = [
        integrate.quad(f, a, b, epsabs=1e-20, epsrel=1e-12, limit=200, full_output=1)[:2]
        for a, b in pairwise(cuts)
    ]
    return np.sum(pieces, axis=0)


DECADES = 10.0 ** np.arange(-2, 13)


@pytest.mark.parametrize("q", TAILS)
def test_laplace_and_normal_noise_in_closed_form(q):
    for t, sign in (
        (convolved_quantile(ml.Laplace(), q, RATIOS), 1),
        (convolved_quantile(ml.Laplace(), 1 - q, RATIOS), -1),
    ):
        below = [laplace_and_normal(sign * a, r) for a, r in zip(t, RATIOS, strict=True)]
        tail = q if sign == 1 else 1 - (1 - q)
        assert (np.abs(np.array(below) / tail - 1) <= BOUND).all()


@pytest.mark.parametrize("q", TAILS)
def test_cauchy_and_normal_noise_are_voigts_profile(q):
    for t, r in zip(convolved_quantile(ml.StudentT(1), q, RATIOS), RATIOS, strict=True):
        # on a scale where the function is one panel's: beyond 1e12 it is a power, 1/(π|x|)
        below, error = integral(
            lambda x, r=r: special.voigt_profile(x, r, 1.0), -1e12, t, [0.0, t], DECADES
        )
        assert abs(below + 1e-12 / np.pi - q) <= BOUND * q + error


@pytest.mark.parametrize(
    ("noise", "density", "kinks"),
    [
        (ml.StudentT(4), stats.t(4).pdf, ()),
        (ml.Logistic(), stats.logistic.pdf, ()),
        (HUBER, lambda z: np.exp(-HUBER.rho(np.array(z))), (-1.345, 1.345)),
        (Gumbel(), lambda z: np.exp(-Gumbel().rho(z)), ()),
    ],
    ids=["t", "logistic", "Huber", "Gumbel"],
)
def test_any_noise_is_an_integral_over_its_density(noise, density, kinks):
    for q in (1e-6, 0.3, 0.975):
        for t, r in zip(convolved_quantile(noise, q, RATIOS), RATIOS, strict=True):
            below, error = integral(
                lambda e, t=t, r=r: density(e) * special.ndtr((t - e) / r),
                *(-1e6, t + 9 * r),
                [0.0, t, *kinks],
                np.concatenate([DECADES, 2 * DECADES, r * np.array([0.5, 1, 2, 4, 8])]),
            )
            missed = stats.t(4).cdf(-1e6)  # of the heaviest tail among them
            assert error + missed <= BOUND  # the reference is one
            assert abs(below - q) <= BOUND * min(q, 0.5) + error + missed, (q, r)


def test_what_is_known_without_an_integral():
    noises = [ml.Gaussian(), ml.Laplace(), ml.StudentT(3), ml.Logistic(), HUBER, Gumbel()]
    for noise in noises:
        q = np.array(0.9)
        zero, nan, infinite = convolved_quantile(noise, 0.9, [0.0, np.nan, np.inf])
        assert zero == noise.quantile(q)
        assert np.isnan(nan)
        assert infinite == np.inf
    gaussian = convolved_quantile(ml.Gaussian(), 0.9, RATIOS)
    assert gaussian == pytest.approx(stats.norm.ppf(0.9) * np.sqrt(1 + RATIOS**2), rel=4e-16)
    for noise in noises[:-1]:
        assert (convolved_quantile(noise, 0.5, [*RATIOS, np.inf]) == 0).all()
        upper, lower = (convolved_quantile(noise, p, RATIOS) for p in (0.75, 0.25))
        assert (upper == -lower).all()
        assert (np.diff(upper) > 0).all()  # more error, wider
    assert convolved_quantile(ml.Laplace(), 0.9, np.empty(0)).shape == (0,)


def test_the_nearly_normal_is_nearly_normal():
    for noise in (ml.Huber(9.0), ml.StudentT(1e12)):
        other = convolved_quantile(noise, 0.975, RATIOS)
        # 1e-12 degrees of freedom, or exp(-40), away from it; and of the code's own bound
        assert other == pytest.approx(convolved_quantile(ml.Gaussian(), 0.975, RATIOS), rel=BOUND)


@pytest.mark.parametrize("noise", [ml.Laplace(), ml.StudentT(1), HUBER, Gumbel()], ids=repr)
@pytest.mark.parametrize("q", [1e-6, 0.025, 0.6])
def test_many_ratios_are_interpolated_without_loss(noise, q):
    rng = np.random.default_rng(0)
    many = np.exp(rng.uniform(np.log(1e-3), np.log(30.0), 400))
    together = convolved_quantile(noise, q, many)
    some = many[:8]  # so few that each is solved for
    alone = convolved_quantile(noise, q, some)
    slack = 4e-11 * np.maximum(np.abs(alone), np.hypot(1, some))  # twice AGREE, and one more
    assert (np.abs(together[:8] - alone) <= slack).all()
    assert (together[[5, 7, 5]] == convolved_quantile(noise, q, many)[[5, 7, 5]]).all()


def test_coverage_where_the_error_is_normal_and_one_that_ignores_it_is_seen():
    """False alarm 1e-9 for each noise; the width without r misses one in twenty, or more."""
    rng = np.random.default_rng(3)
    n, r = 200_000, 1.5
    for noise in (ml.Laplace(), ml.StudentT(2), ml.Logistic(), HUBER):
        drawn = noise.sample(n, rng) + r * rng.standard_normal(n)
        wide, narrow = (float(convolved_quantile(noise, 0.95, [s])[0]) for s in (r, 0.0))
        laws.covers(int((np.abs(drawn) <= wide).sum()), n, 0.9)
        with pytest.raises(laws.LawViolation):
            laws.covers(int((np.abs(drawn) <= narrow).sum()), n, 0.9)


@pytest.mark.parametrize(
    ("q", "ratio", "message"),
    [
        (0.0, [1.0], "q must be between 0 and 1"),
        (95, [1.0], "q must be between 0 and 1"),
        (np.nan, [1.0], "q must be between 0 and 1"),
        (0.9, [1.0, -0.5], "it is -0.5 at row 1"),
    ],
)
def test_misuse(q, ratio, message):
    with pytest.raises(ml.InvalidInput, match=message):
        convolved_quantile(ml.Laplace(), q, ratio)


def a_fit(noise, seed=0, n=400, **more):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, 2))
    size = np.exp(0.4 * X[:, 0]) if more else 1.0
    return ml.fit(X, 1 + X @ [1.0, -2.0] + size * noise.sample(n, rng), noise=noise, **more)


@pytest.mark.parametrize("noise", [ml.StudentT(3), ml.Logistic(), HUBER], ids=repr)
def test_limits_of_a_new_observation_are_the_convolution(noise):
    fit, rows = a_fit(noise), np.array([[0.0, 0.0], [3.0, -1.0], [300.0, 0.0]])
    design = np.column_stack([np.ones(3), rows])
    error = np.sqrt(np.einsum("ij,jk,ik->i", design, fit.covariance(), design))
    limits = fit.predict(rows, "prediction", 0.9)
    assert limits.kind == "asymptotic"
    assert fit.predict(rows, "mean").kind == "asymptotic"
    below = convolved_quantile(noise, 0.05, error / fit.sigma) * fit.sigma
    # the errors are a product of five matrices, of condition below 10: a hundred roundings
    assert limits.lower == pytest.approx(design @ fit.params + below, rel=1e-13)
    assert limits.upper == pytest.approx(design @ fit.params - below, rel=1e-13)


def test_a_scale_design_widens_row_by_row_and_gaussian_limits_stay_exact():
    fit, rows = a_fit(ml.Gaussian(), scale="~ x1"), np.array([[-2.0, 0.0], [2.0, 0.0]])
    limits = fit.predict(rows, "prediction")
    mean = fit.predict(rows, "mean")
    error = (mean.upper - mean.lower) / 2
    noise = stats.norm.ppf(0.975) * fit.predict_scale(rows)
    assert (limits.upper - limits.lower) / 2 == pytest.approx(np.hypot(error, noise), rel=1e-13)
    assert limits.kind == "asymptotic"
    assert a_fit(ml.Gaussian()).predict(rows, "prediction").kind == "exact"


def test_a_new_observation_is_covered_and_limits_that_ignore_the_error_do_not_cover():
    """At a row far out, r = 2.5; a false alarm of 1e-9 for the mean of 200 replicates, as normal.

    Of each fit the coverage is known, by the true noise. What is asymptotic in it is of the order
    of p/n = 0.03.
    """
    noise, row, mu = ml.StudentT(3), np.array([[20.0, 0.0]]), 21.0
    found = {"convolved": [], "noise alone": []}
    for seed in range(200):
        fit = a_fit(noise, seed, n=100)
        limits = fit.predict(row, "prediction", 0.9)
        half = stats.t(3).ppf(0.95) * fit.sigma
        ways = {"convolved": (limits.lower, limits.upper)}
        ways["noise alone"] = (limits.mean - half, limits.mean + half)
        for name, (lower, upper) in ways.items():
            found[name].append(float(stats.t(3).cdf(upper - mu)[0] - stats.t(3).cdf(lower - mu)[0]))
    allowed = 0.03 + 6.2 * np.std(found["convolved"]) / np.sqrt(200)
    assert abs(np.mean(found["convolved"]) - 0.9) <= allowed
    assert abs(np.mean(found["noise alone"]) - 0.9) > 2 * allowed


@pytest.mark.parametrize("noise", [ml.Logistic(), ml.StudentT(1)], ids=repr)
def test_where_sigma_underflows_or_overflows_limits_are_those_of_the_location_or_infinite(noise):
    error = np.array([2.0, 2.0, 1.0, 0.0, 0.0])
    sigma = np.array([0.0, 1e-308, np.inf, 0.0, 2.0])
    half = new_observation(noise, 0.9, error, sigma)
    normal, own = stats.norm.ppf(0.95), float(noise.quantile(np.array(0.95)))
    expected = [2 * normal, 2 * normal, np.inf, 0.0, 2 * own]
    assert half == pytest.approx(expected, rel=1e-10)
