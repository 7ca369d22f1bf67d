"""Transforms of the response, and the likelihood of the response before them.

References: scipy.stats, mpmath, quadrature, central differences.
"""

import math
import pickle
from functools import partial
from itertools import pairwise

import array_api_strict
import mpmath
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import integrate, stats

import mlreg as ml
from mlreg.likelihood.blocks import Block
from mlreg.likelihood.transform import TRANSFORMS, Log, as_transform, label, refuse_outside
from mlreg.verify import laws

U = 2.0**-53
NAMES = [*TRANSFORMS]
# (g, its inverse, log g' at t) by mpmath
EXACT = {
    "log": (mpmath.log, mpmath.exp, lambda y: -mpmath.log(y)),
    "log2": (
        lambda y: mpmath.log(y) / mpmath.log(2),
        lambda t: mpmath.mpf(2) ** t,
        lambda y: -mpmath.log(y * mpmath.log(2)),
    ),
    "log10": (
        mpmath.log10,
        lambda t: mpmath.mpf(10) ** t,
        lambda y: -mpmath.log(y * mpmath.log(10)),
    ),
    "log1p": (mpmath.log1p, mpmath.expm1, lambda y: -mpmath.log1p(y)),
    "arcsinh": (mpmath.asinh, mpmath.sinh, lambda y: -mpmath.log1p(y * y) / 2),
}
by_name = pytest.mark.parametrize("name", NAMES)


@by_name
@given(t=st.one_of(st.floats(-300, 300), st.floats(-1e-3, 1e-3)))
@example(t=0.0)
@example(t=5e-324)
def test_members_are_right_to_rounding(name, t):
    transform, (g, inverse, log_slope) = TRANSFORMS[name], EXACT[name]
    with mpmath.workdps(700):  # of 1 + exp(-300) too
        exact = inverse(mpmath.mpf(t))
        y = transform.inverse(np.array([t]))[0]
        assert abs(y - exact) <= 8 * U * abs(exact) + 1e-307  # below it digits are lost
        slope = transform.log_slope(np.array([t]))[0]
        size = abs(log_slope(exact)) + (name in ("log2", "log10"))  # a difference
        assert abs(slope - log_slope(exact)) <= 8 * U * size + 1e-307
        if y > transform.lower:
            back = transform.forward(np.array([y]))[0]
            assert abs(back - g(mpmath.mpf(y))) <= 8 * U * abs(back) + 1e-307


@by_name
def test_far_out_nothing_is_nan_and_nothing_warns(name):
    transform = TRANSFORMS[name]
    largest = np.finfo(float).max
    t = transform.forward(np.array([largest]))
    assert np.isfinite(t).all()
    assert np.isfinite(transform.log_slope(t)).all()
    assert transform.inverse(np.array([1e9])).tolist() == [np.inf]
    assert np.isfinite(transform.log_slope(np.array([1e300, -1e300]))).all()


@by_name
def test_log_slope_is_the_derivative(name):
    transform, h = TRANSFORMS[name], 1e-4
    y = transform.inverse(np.array([-1.5, -0.3, 0.2, 1.1, 2.0]))
    y = y[y - h > transform.lower]
    t = transform.forward(y)
    steps = transform.forward(y + h) - transform.forward(y - h)
    # h²/6 times the third derivative, 2(distance to the edge)⁻³ at most, and rounding
    edge = np.ones(len(y)) if name == "arcsinh" else y - h - transform.lower
    bound = h * h / 3 / edge**3 / math.log(2) + 4 * U * np.abs(t).max() / h
    assert (np.abs(steps / (2 * h) - np.exp(transform.log_slope(t))) <= bound).all()


def test_values():
    assert TRANSFORMS["log2"].forward([1, 8.0]).tolist() == [0, 3]
    assert TRANSFORMS["log10"].forward(np.float32(100)) == 2
    assert TRANSFORMS["log10"].inverse(3) == 1000
    assert TRANSFORMS["log"] == Log() == as_transform("log") == as_transform(Log())
    assert as_transform(None) is None
    assert label(Log(2), "price") == "log2(price)"
    assert label(None, "price") == "price"
    assert len({*TRANSFORMS.values(), Log()}) == 5
    for transform in TRANSFORMS.values():
        assert pickle.loads(pickle.dumps(transform)) == transform


@pytest.mark.parametrize("wrong", ["sqrt", "boxcox", "", 3, np.log, Log, True])
def test_other_transforms_are_refused(wrong):
    with pytest.raises(ml.InvalidInput, match="transform must be one of 'log', 'log2', 'log10'"):
        ml.ArraySource(np.ones((3, 1)), np.ones(3), transform=wrong)
    with pytest.raises(ml.InvalidInput, match="base must be"):
        Log(3)


def namespaces():
    yield pytest.param(array_api_strict.asarray, id="array-api-strict")
    try:
        import torch
    except ImportError:
        return
    yield pytest.param(partial(torch.tensor, dtype=torch.float64), id="torch")


@pytest.mark.parametrize("convert", list(namespaces()))
@by_name
def test_namespaces_agree(name, convert):
    transform = TRANSFORMS[name]
    t, y = np.array([-3.0, -0.1, 0.0, 0.2, 5.0]), np.array([1e-9, 0.1, 1.0, 20.0, 1e200])
    for member, a in (("forward", y), ("inverse", t), ("log_slope", t)):
        found, expected = getattr(transform, member)(convert(a)), getattr(transform, member)(a)
        assert type(found) is type(convert(a))
        # elementary functions differ by a rounding or two from library to library
        assert (np.abs(np.asarray(found) - expected) <= 8 * U * np.abs(expected)).all()
    noise = ml.Logistic()
    for sigma in (0.3, np.full(5, 0.3)):
        given = sigma if isinstance(sigma, float) else convert(sigma)
        found, expected = transform.mean(convert(t), given, noise), transform.mean(t, sigma, noise)
        assert type(found) is type(convert(t))
        allowed = 32 * U * (1 + np.abs(expected))
        assert (np.abs(np.asarray(found) - expected) <= allowed).all()
    X, w = np.column_stack([np.ones(5), t]), np.array([1.0, 0.0, 2.0, 1.0, 3.0])
    y = np.array([0.5, 1, 2, 3, 4])
    sources = [
        ml.ArraySource(c(X), c(y), frequency=c(w), transform=name) for c in (np.asarray, convert)
    ]
    ours, other = (ml.LinearLikelihood.from_source(source) for source in sources)
    theta = np.array([0.3, -0.2, 0.1])
    laws.namespaces_agree(ours, other, theta)
    gap = abs(ours.log_jacobian - other.log_jacobian)
    assert gap <= 32 * U * np.abs(ours.transform.log_slope(ours.transform.forward(y)) * w).sum()


# The likelihood


def problem(seed=0, n=40):
    rng = np.random.default_rng(seed)
    X = np.column_stack([np.ones(n), rng.standard_normal(n)])
    t = X @ [0.4, -0.3] + 0.5 * rng.standard_normal(n)
    return X, t, np.array([0.5, -0.2, -0.6])


SCIPY = {
    ml.Gaussian(): lambda mu, s: stats.lognorm(s, scale=np.exp(mu)),
    ml.Laplace(): lambda mu, s: stats.loglaplace(1 / s, scale=np.exp(mu)),
    ml.Logistic(): lambda mu, s: stats.fisk(1 / s, scale=np.exp(mu)),
}


@pytest.mark.parametrize("noise", SCIPY, ids=repr)
def test_nll_of_the_log_is_scipys_of_the_response(noise):
    X, t, theta = problem()
    y = np.exp(t)
    likelihood = ml.LinearLikelihood.from_source(ml.ArraySource(X, y, transform="log"), noise)
    log_density = SCIPY[noise](X @ theta[:2], np.exp(theta[2])).logpdf(y)
    laws.nll_is_minus_log_density(likelihood.nll(theta), np.append(log_density, np.zeros(3 * 40)))


@by_name
@pytest.mark.parametrize("noise", [ml.Gaussian(), ml.StudentT(4), ml.Huber()], ids=repr)
def test_density_of_the_response_has_area_one_and_the_cdf_of_the_noise(name, noise):
    transform, theta = TRANSFORMS[name], np.array([0.3, -0.4])

    def density(y):
        source = ml.ArraySource(np.ones((1, 1)), np.array([y]), transform=transform)
        return math.exp(-ml.LinearLikelihood.from_source(source, noise).nll(theta))

    low, high = transform.inverse(np.array([-1.0, 1.5]))
    area, error = integrate.quad(density, low, high, epsabs=1e-12, limit=200)
    z = (np.array([-1.0, 1.5]) - theta[0]) / np.exp(theta[1])
    below, above = noise.cdf(z)
    assert abs(area - (above - below)) <= error + 1e-12


@by_name
@pytest.mark.parametrize("noise", [ml.Gaussian(), ml.Logistic(), ml.StudentT(4)], ids=repr)
def test_nll_is_by_change_of_variables_with_weights(name, noise):
    X, t, theta = problem(1)
    transform, rng = TRANSFORMS[name], np.random.default_rng(2)
    y = transform.inverse(t)
    k, w = rng.integers(0, 4, 40).astype(float), rng.uniform(0.5, 2, 40)
    source = ml.ArraySource(X, y, frequency=k, precision=w, transform=name)
    likelihood = ml.LinearLikelihood.from_source(source, noise)
    kind = {"Gaussian": stats.norm, "Logistic": stats.logistic, "StudentT": stats.t(4)}
    theirs = kind[type(noise).__name__]
    scale = np.exp(theta[2]) / np.sqrt(w)
    z = (transform.forward(y) - X @ theta[:2]) / scale
    slope = [float(EXACT[name][2](mpmath.mpf(v))) for v in y]
    each = np.stack([theirs.logpdf(z), -np.log(scale), slope], axis=1) * k[:, None]
    laws.nll_is_minus_log_density(likelihood.nll(theta), np.append(each.ravel(), np.zeros(120)))
    assert likelihood.n_rows == k.sum()
    assert abs(likelihood.log_jacobian - each[:, 2].sum()) <= 64 * U * np.abs(each).sum()
    rows = np.repeat(np.arange(40), k.astype(int))
    repeated = ml.ArraySource(X[rows], y[rows], precision=w[rows], transform=name)
    again = ml.LinearLikelihood.from_source(repeated, noise)
    assert abs(again.nll(theta) - likelihood.nll(theta)) <= 256 * U * np.abs(each).sum()


def test_gradient_hessian_and_information_are_those_of_the_transformed_response():
    X, t, theta = problem(3)
    y = np.exp(t)
    ours = ml.LinearLikelihood.from_source(ml.ArraySource(X, y, transform="log"), ml.Logistic())
    plain = ml.LinearLikelihood(X, np.log(y), noise=ml.Logistic())
    assert (ours.gradient(theta) == plain.gradient(theta)).all()
    assert (ours.hessian(theta) == plain.hessian(theta)).all()
    assert (ours.information(theta) == plain.information(theta)).all()
    assert abs(ours.nll(theta) - plain.nll(theta) - np.log(y).sum()) <= 64 * U * np.abs(t).sum()
    laws.gradient_and_hessian_are_derivatives(ours, theta, theta + np.array([0.3, -0.2, 0.4]))
    (block,) = ours.blocks()
    size = np.append(np.abs(X).T @ np.ones(40), 40) * 100  # z is below 10 here
    smooth = ml.LinearLikelihood.from_source(ours.source)
    laws.gradient_is_complex_step(
        lambda at: smooth.term(at, block)[0], smooth.gradient(theta), theta, size
    )


def test_summaries_add_up_and_keep_the_jacobian_in_a_selection():
    X, t, _ = problem(4)
    y = np.exp(t)
    whole, head, tail = (
        ml.LinearLikelihood.from_source(ml.ArraySource(X[rows], y[rows], transform="log"))
        for rows in (slice(None), slice(9), slice(9, None))
    )
    both = head.summary + tail.summary
    assert abs(both.log_jacobian - whole.log_jacobian) <= 64 * U * np.abs(t).sum()
    part = whole.select([1])
    assert part.log_jacobian == whole.log_jacobian
    assert part.transform == whole.transform == Log()
    assert whole.reads == 1
    fresh = ml.LinearLikelihood.from_source(part.source)
    assert fresh.log_jacobian == whole.log_jacobian


def test_single_precision_is_cast_before_it_is_transformed():
    X, t, _ = problem(5)
    y = np.exp(t).astype(np.float32)
    (block,) = ml.ArraySource(X, y, transform="log").blocks()
    assert block.y.dtype == np.float64
    assert (block.y == np.log(y.astype(np.float64))).all()
    counts = np.arange(5)
    (block,) = ml.ArraySource(np.ones((5, 1)), counts, transform="log1p").blocks()
    assert (block.y == np.log1p(counts)).all()
    assert counts.tolist() == [0, 1, 2, 3, 4]  # the caller's array is not written to


def test_a_source_of_ones_own_says_what_it_has_done():
    class Own:
        names, n_rows, rereadable = ("one",), None, True

        def blocks(self, size=None, rng=None):
            yield Block(np.ones((3, 1)), np.log([1.0, 2.0, 4.0]))

    own, theta = Own(), np.array([0.2, 0.1])
    plain = ml.LinearLikelihood.from_source(own).nll(theta)
    own.transform = "log"
    likelihood = ml.LinearLikelihood.from_source(own)
    assert likelihood.transform == Log()
    assert abs(likelihood.nll(theta) - plain - math.log(8)) <= 16 * U * 10
    own.transform = "sqrt"
    with pytest.raises(ml.InvalidInput, match="transform must be one of"):
        ml.LinearLikelihood.from_source(own)


@pytest.mark.parametrize("noise", [ml.Logistic(), ml.StudentT(5)], ids=repr)
def test_newton_counts_the_jacobian(noise):
    X, t, _ = problem(6)
    source = ml.ArraySource(X, np.exp(t), transform="log")
    ours = ml.Newton().minimize(ml.LinearLikelihood.from_source(source, noise))
    plain = ml.Newton().minimize(ml.LinearLikelihood(X, np.log(np.exp(t)), noise=noise))
    assert (ours.theta == plain.theta).all()
    per_row = (ours.history.mean_nll[-1] - plain.history.mean_nll[-1]) * 40
    assert abs(per_row - t.sum()) <= 1024 * U * np.abs(t).sum()


# Domains


@pytest.mark.parametrize(
    ("name", "y", "message"),
    [
        ("log", [1, 0, 2, 0], r"log\(y\) needs 'y' above 0: in 2 rows.*first 0 at row 1\..*log1p"),
        ("log", [1, 2, -3, 0], r"in 2 rows it is not, first -3 at row 2\..*arcsinh"),
        ("log2", [1, 2, 3, -0.5], r"log2\(y\) needs 'y' above 0: in 1 rows"),
        ("log1p", [1, 2, -1, 0], r"log1p\(y\) needs 'y' above -1: in 1 rows.*first -1 at row 2"),
    ],
)
def test_responses_outside_are_named(name, y, message):
    y = np.array(y, dtype=float)
    with pytest.raises(ml.InvalidInput, match=message):
        ml.ArraySource(np.ones((4, 1)), y, transform=name)
    strict = array_api_strict.asarray
    with pytest.raises(ml.InvalidInput, match=message):
        ml.ArraySource(strict(np.ones((4, 1))), strict(y), transform=name)


def test_rows_that_do_not_count_may_be_outside_and_keep_their_numbers():
    X, y = np.ones((5, 1)), np.array([0.0, 2.0, np.nan, 3.0, -1.0])
    w = np.array([0.0, 1.0, 0.0, 1.0, 0.0])
    (block,) = ml.ArraySource(X, y, precision=w, transform="log").blocks()
    assert (block.y == np.log([2.0, 3.0])).all()
    with pytest.raises(ml.InvalidInput, match="in 1 rows it is not, first -1 at row 4"):
        ml.ArraySource(X, y, rows=[1, 3, 4], transform="log")
    with pytest.raises(ml.InvalidInput, match="NaN or infinity in 'y' in 1 rows, first at row 2"):
        ml.ArraySource(X, y, rows=[1, 2, 3], transform="log")
    for bad in (np.inf, -np.inf):
        with pytest.raises(ml.InvalidInput, match="NaN or infinity in 'y' in 1 rows"):
            ml.ArraySource(X[:2], np.array([1.0, bad]), transform="log")
    with pytest.raises(ml.InvalidType, match="must be real"):
        ml.ArraySource(X[:1], np.array([1j]), transform="log")
    refuse_outside(Log(), np.array([1.0, np.nan]), "y")


# The mean


NOISES = [ml.Gaussian(), ml.Laplace(), ml.Logistic(), ml.Huber(), ml.Huber(4)]


@by_name
@pytest.mark.parametrize("noise", NOISES, ids=repr)
@given(mu=st.floats(-3, 3), sigma=st.floats(0.01, 0.35))
@example(mu=0.0, sigma=0.28313975057617746)
def test_mean_is_the_integral_of_the_inverse(name, noise, mu, sigma):
    transform = TRANSFORMS[name]

    def parts(z):  # by half lines, so that the kinks are no matter
        return transform.inverse(mu + sigma * z) * np.exp(-noise.rho(z))

    kinks = sorted({-getattr(noise, "k", 1.0), 0.0, getattr(noise, "k", 1.0)})
    cuts = [-200.0, -40.0, -9.0, *kinks, 9.0, 40.0, 200.0]
    total, other = (
        math.fsum(integrate.fixed_quad(parts, *ends, n=n)[0] for ends in pairwise(cuts))
        for n in (120, 90)
    )
    error = abs(total - other)  # that of the shorter rule
    mean = transform.mean(mu, sigma, noise)
    scale = np.cosh(abs(mu) * math.log(10)) * 10  # of the terms that may cancel
    # beyond ±200 there is less than exp(-200 (1 - 0.35 log 10)), 1e-16
    assert abs(mean - total) <= error + 1e-12 + 512 * U * scale
    assert error <= 64 * U * scale


def test_mean_is_scipys():
    for mu, sigma in [(0.3, 0.5), (-2.0, 1.5), (4.0, 0.01)]:
        expected = stats.lognorm(sigma, scale=np.exp(mu)).mean()
        assert abs(Log().mean(mu, sigma, ml.Gaussian()) - expected) <= 16 * U * expected
    expected = stats.fisk(4, scale=np.exp(1)).mean()
    assert abs(Log().mean(1.0, 0.25, ml.Logistic()) - expected) <= 32 * U * expected
    found = TRANSFORMS["arcsinh"].mean(np.array([0.0, 1e-9]), 0.5, ml.Gaussian())
    assert found[0] == 0
    assert abs(found[1] - 1e-9 * np.exp(0.125)) <= 8 * U * 1e-9


def test_means_broadcast():
    mu, sigma = np.zeros((3, 1)), np.array([0.1, 0.2])
    for transform in TRANSFORMS.values():
        found = transform.mean(mu, sigma, ml.Laplace())
        assert found.shape == (3, 2)
        assert found[1, 1] == transform.mean(0.0, 0.2, ml.Laplace())


class WithoutMgf:
    def __repr__(self):
        return "WithoutMgf()"


@pytest.mark.parametrize(
    ("name", "sigma", "noise", "message"),
    [
        ("log", 0.01, ml.StudentT(9), r"does not exist under StudentT\(df=9.0\).*take the median"),
        ("log", 1.0, ml.Laplace(), r"does not exist under Laplace\(\).*where sigma is 1 "),
        ("log10", 0.5, ml.Logistic(), r"Logistic\(\)"),
        ("log1p", 2.0, ml.Huber(), r"Huber\(k=1.345\)"),
        ("arcsinh", 1.0, ml.Logistic(), r"Logistic\(\)"),
        ("log", 50.0, ml.Gaussian(), "or is beyond floating point"),
        ("log", 0.1, WithoutMgf(), r"WithoutMgf\(\) has no method mgf.*take the median"),
        ("log", np.array([0.1, 1.5, 2.0]), ml.Laplace(), "where sigma is 1.5 "),
    ],
)
def test_a_mean_that_does_not_exist_is_refused(name, sigma, noise, message):
    with pytest.raises(ml.InvalidInput, match=message):
        TRANSFORMS[name].mean(np.zeros(3), sigma, noise)


def test_without_scale_the_mean_is_the_median():
    mu = np.array([-1.0, 0.0, 2.0])
    for transform in TRANSFORMS.values():
        for noise in (*NOISES, ml.StudentT(2)):
            gap = np.abs(transform.mean(mu, 0.0, noise) - transform.inverse(mu))
            assert (gap <= 8 * U * (1 + np.abs(transform.inverse(mu)))).all()
