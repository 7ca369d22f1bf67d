"""Covariances against statsmodels and against derivatives that this package did not compute."""

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.base.model import GenericLikelihoodModel

import mlreg as ml
from mlreg.inference.covariance import covariance
from mlreg.likelihood.blocks import ArraySource
from mlreg.likelihood.prior import NormalPrior

SMOOTH = [ml.Gaussian(), ml.Logistic(), ml.Huber(), ml.StudentT(3)]
KINDS = ["expected", "observed", "opg", "sandwich", "HC1"]


def problem(seed, n=80, q=0, skewed=False):
    rng = np.random.default_rng(seed)
    X = np.column_stack([np.ones(n), rng.standard_normal((n, 2))])
    noise = rng.exponential(size=n) - 1 if skewed else rng.standard_t(4, n)
    Z = np.column_stack([np.ones(n), rng.uniform(-1, 1, (n, q - 1))]) if q else None
    return X, X @ [1.0, 2.0, -3.0] + noise * (1 if Z is None else np.exp(Z @ np.full(q, 0.3))), Z


def solved(X, y, noise, Z=None, prior=None, **weights):
    source = ArraySource(X, y, scale=Z, **weights)
    likelihood = ml.LinearLikelihood.from_source(source, noise, prior)
    solution = ml.Newton().minimize(likelihood)
    assert solution.status.code == "converged", solution.status
    return likelihood, solution.theta


def correlated(covariance):
    """Standard errors, and correlations: what can be compared whatever the units."""
    errors = np.sqrt(np.diagonal(covariance))
    return errors, covariance / np.outer(errors, errors)


def same(ours, theirs, bound):
    """Whether two covariances agree to a bound, in units of the second's standard errors."""
    errors = np.sqrt(np.diagonal(theirs))
    assert np.abs((ours - theirs) / np.outer(errors, errors)).max() <= bound


def log_density(noise, z):
    """Minus ρ but for constants, of complex z too."""
    if isinstance(noise, ml.Gaussian):
        return -z * z / 2
    if isinstance(noise, ml.Logistic):
        return -2 * np.log(np.cosh(z / 2))
    if isinstance(noise, ml.StudentT):
        return -(noise.df + 1) / 2 * np.log(1 + z * z / noise.df)
    inside, sign = np.abs(z.real) <= noise.k, np.where(z.real > 0, 1, -1)
    return np.where(inside, -z * z / 2, -noise.k * sign * z + noise.k**2 / 2)


def derivatives(X, y, noise, theta, Z):
    """Gradient of each row by a complex step, to rounding; their sum's derivative by differences.

    The central difference of a gradient errs by h²/6 of its third derivative, and by rounding
    over h: 1e-9 at the h below for derivatives of order one.
    """
    p = X.shape[1]
    V = np.ones((len(y), 1)) if Z is None else Z

    def rows(theta):
        out = []
        for j in range(len(theta)):
            t = theta.astype(complex)
            t[j] += 1e-30j
            scale = V @ t[p:]
            value = scale - log_density(noise, (y - X @ t[:p]) * np.exp(-scale))
            out.append(value.imag / 1e-30)
        return np.array(out).T

    h = 1e-5
    steps = h * np.eye(len(theta))
    H = np.array([(rows(theta + s).sum(0) - rows(theta - s).sum(0)) / (2 * h) for s in steps])
    return rows(theta), (H + H.T) / 2


@pytest.mark.parametrize("q", [0, 2])
@pytest.mark.parametrize("noise", SMOOTH, ids=repr)
def test_they_are_made_of_derivatives_taken_otherwise(noise, q):
    X, y, Z = problem(1, q=q)
    likelihood, theta = solved(X, y, noise, Z)
    gradients, H = derivatives(X, y, noise, theta, Z)
    B, inverse = gradients.T @ gradients, np.linalg.inv(H)
    bound = 1e-7  # of the differences, through an inverse of condition below a hundred
    same(covariance(likelihood, theta, "observed"), inverse, bound)
    same(covariance(likelihood, theta, "opg"), np.linalg.inv(B), bound)
    same(covariance(likelihood, theta, "sandwich"), inverse @ B @ inverse, bound)
    same(covariance(likelihood, theta, "HC1"), inverse @ B @ inverse * 80 / 77, bound)
    same(covariance(likelihood, theta), np.linalg.inv(likelihood.information(theta)), 1e-12)
    assert np.array_equal(
        covariance(likelihood, theta, "HC0"), covariance(likelihood, theta, "sandwich")
    )


def outer(gradients, labels):
    """Sum over clusters of the outer product of their sums, with the factor G/(G − 1)."""
    found = np.unique(labels)
    sums = np.array([gradients[labels == g].sum(axis=0) for g in found])
    return sums.T @ sums * len(found) / (len(found) - 1)


@pytest.mark.parametrize("q", [0, 2])
@pytest.mark.parametrize("noise", SMOOTH, ids=repr)
def test_clusters_and_lags_are_sums_of_gradients(noise, q):
    """Eq. (12.7), of every pair of rows that may be correlated, one by one."""
    X, y, Z = problem(1, q=q)
    likelihood, theta = solved(X, y, noise, Z)
    gradients, H = derivatives(X, y, noise, theta, Z)
    inverse, bound = np.linalg.inv(H), 1e-7  # as above
    rng = np.random.default_rng(5)
    one, two = rng.integers(0, 60, 80), rng.integers(0, 50, 80)
    both = outer(gradients, one) + outer(gradients, two) - outer(gradients, one * 100 + two)
    ours = covariance(likelihood, theta, "cluster", (one, two))
    same(ours, inverse @ both @ inverse, bound)
    ours = covariance(likelihood, theta, "cluster", one)
    same(ours, inverse @ outer(gradients, one) @ inverse, bound)
    for lags in (0, 3, 20):
        apart = np.abs(np.subtract.outer(np.arange(80), np.arange(80)))
        weights = np.maximum(0, 1 - apart / (lags + 1))
        B = gradients.T @ weights @ gradients
        same(covariance(likelihood, theta, "HAC", lags=lags), inverse @ B @ inverse, bound)


@pytest.mark.parametrize("noise", SMOOTH[1:], ids=repr)
def test_a_fit_of_other_noise_uses_it(noise):
    X, y, _ = problem(1)
    fit, labels = ml.fit(X[:, 1:], y, noise=noise), np.arange(80) % 20
    likelihood, theta = solved(X, y, noise)
    for kind, groups, df in (("HC0", None, np.inf), ("HAC", None, np.inf), ("cluster", labels, 19)):
        V = covariance(likelihood, theta, kind, groups)
        other = fit.with_covariance(kind, groups=groups)
        same(other.covariance(), V[:3, :3], 1e-7)  # both at an optimum, within its tolerance
        assert other.df_quantiles == df
        assert other.std_errors == pytest.approx(np.sqrt(np.diagonal(V))[:3], rel=1e-7)
        assert other.scale_std_errors == pytest.approx(np.sqrt(V[3:, 3:])[0], rel=1e-7)
        assert other.test("x1 = 0").p_value == pytest.approx(other.p_values[1], rel=1e-9)
        said = "t quantiles, 19" if groups is not None else "normal quantiles"
        assert said in other.summary()
    for kind in ("HC2", "HC3"):
        with pytest.raises(ml.InvalidInput, match="a thing of least squares: use 'HC0' or 'HC1'"):
            fit.with_covariance(kind)
    k = np.arange(80) % 3
    one = ml.fit(X[:, 1:], y, noise=noise, frequency_weights=k)
    many = ml.fit(np.repeat(X[:, 1:], k, axis=0), np.repeat(y, k), noise=noise)
    ours = one.covariance("cluster", groups=labels)
    same(ours, many.covariance("cluster", groups=np.repeat(labels, k)), 1e-7)
    with pytest.raises(ml.InvalidInput, match="no order in time"):
        one.covariance("HAC")


def test_what_a_fit_does_not_have_is_refused_in_words():
    X, y, _ = problem(1)
    laplace, labels = ml.fit(X[:, 1:], y, noise=ml.Laplace()), np.arange(80) % 20
    for kind in ("HC0", "HC1", "cluster", "HAC"):
        with pytest.raises(ml.InvalidInput, match=r"has kinks.*means nothing"):
            laplace.covariance(kind, groups=labels if kind == "cluster" else None)
    for noise in (ml.Gaussian(), ml.Logistic()):
        map_ = ml.fit(X[:, 1:], y, noise=noise, prior=NormalPrior(1.0))
        with pytest.raises(ml.InvalidInput, match="is for maximum likelihood"):
            map_.with_covariance("cluster", groups=labels)


@pytest.mark.parametrize("skewed", [False, True])
def test_gaussian_sandwich_is_that_of_statsmodels(skewed):
    """Its β block exactly: at the MLE β and γ share no curvature, whatever their gradients."""
    X, y, _ = problem(2, skewed=skewed)
    likelihood, theta = solved(X, y, ml.Gaussian())
    ols = sm.OLS(y, X).fit()
    bound = 1e-12  # rounding, times a condition below a hundred
    for kind in ("HC0", "HC1"):
        ours = covariance(likelihood, theta, kind)
        same(ours[:3, :3], getattr(ols, f"cov_{kind}"), bound)
    # the block of beta and gamma is the third moment of the residuals, through the inverses
    r, n = ols.resid, len(y)
    third = np.linalg.inv(X.T @ X) @ X.T @ r**3 / (2 * n * np.exp(2 * theta[-1]))
    assert covariance(likelihood, theta, "HC0")[:3, 3] == pytest.approx(third, abs=1e-12)
    if skewed:
        assert np.abs(correlated(covariance(likelihood, theta, "HC0"))[1][:3, 3]).max() > 0.3
    same(covariance(likelihood, theta)[:3, :3], ols.cov_params() * 77 / 80, bound)
    # at the MLE of Gaussian noise of one scale, the Hessian is its mean
    same(covariance(likelihood, theta, "observed"), covariance(likelihood, theta), bound)


class StudentsT(GenericLikelihoodModel):
    """Student's t of three degrees of freedom: density by SciPy, derivatives by statsmodels."""

    def nloglikeobs(self, params):
        from scipy import stats

        return -stats.t.logpdf(self.endog, 3, loc=self.exog @ params[:-1], scale=np.exp(params[-1]))


def test_student_t_is_that_of_statsmodels():
    X, y, _ = problem(3, n=200)
    likelihood, theta = solved(X, y, ml.StudentT(3))
    model = StudentsT(y, X, extra_params_names=["log_sigma"])
    result = model.fit(start_params=theta, disp=0, method="bfgs", maxiter=0, warn_convergence=False)
    bound = 1e-3  # second differences of it, of step 1e-4: halves of its digits are left
    same(covariance(likelihood, theta, "observed"), result.cov_params(), bound)
    same(covariance(likelihood, theta, "opg"), result.covjac, bound)
    same(covariance(likelihood, theta, "sandwich"), result.covjhj, bound)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("noise", SMOOTH, ids=repr)
@settings(max_examples=10)
@given(seed=st.integers(0, 2**32 - 1), q=st.sampled_from([0, 2]))
def test_units_and_shifts_go_through(noise, kind, seed, q):
    X, y, Z = problem(seed, q=q)
    likelihood, theta = solved(X, y, noise, Z)
    before = covariance(likelihood, theta, kind)
    # y to 1e9 y + X b, columns to 1e-9 and 1e9 of their unit: β to 1e9(β/unit) + b, log σ + log 1e9
    unit, to_y = np.array([1.0, 1e-9, 1e9]), 1e9
    shift = np.array([3.0, -1.0, 2.0])
    other = to_y * (y + X @ shift)
    moved = np.append(to_y * (theta[:3] + shift) / unit, theta[3:])
    moved[3] += np.log(to_y)
    source = ArraySource(X * unit, other, scale=Z)
    after = covariance(ml.LinearLikelihood.from_source(source, noise), moved, kind)
    scale = np.append(to_y / unit, np.ones(len(theta) - 3))
    same(after / np.outer(scale, scale), before, 1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_nearly_collinear_columns_keep_their_digits(kind):
    """Of condition 1e8: against the same in columns that are far apart, taken there exactly."""
    rng = np.random.default_rng(4)
    A = rng.integers(-8, 9, (60, 2)) * 1.0
    y = A @ [1.0, 1.0] + rng.standard_t(4, 60)
    near = np.column_stack([A[:, 0], A[:, 0] + 2.0**-27 * A[:, 1]])  # exact: β₂ is 2^27 times it
    likelihood, theta = solved(A, y, ml.StudentT(4))
    other = ml.LinearLikelihood(near, y, noise=ml.StudentT(4))
    to = np.array([[1.0, -(2.0**27), 0], [0, 2.0**27, 0], [0, 0, 1]])
    there = covariance(other, to @ theta, kind)
    # 1e8 of condition takes eight digits of sixteen, and the residuals at θ there another one
    same(there, to @ covariance(likelihood, theta, kind) @ to.T, 1e-6)


@pytest.mark.parametrize("kind", ["expected", "observed", "opg", "sandwich"])
@pytest.mark.parametrize("q", [0, 2])
def test_a_frequency_is_so_many_rows(kind, q):
    X, y, Z = problem(5, q=q)
    k = np.arange(80) % 4
    likelihood, theta = solved(X, y, ml.Logistic(), Z, frequency=k)
    many = [None if a is None else np.repeat(a, k, axis=0) for a in (X, y, Z)]
    source = ArraySource(*many[:2], scale=many[2])
    other = ml.LinearLikelihood.from_source(source, ml.Logistic())
    same(covariance(likelihood, theta, kind), covariance(other, theta, kind), 1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_precision_is_a_scale(kind):
    X, y, _ = problem(6)
    w = np.random.default_rng(6).uniform(0.2, 5, 80)
    likelihood, theta = solved(X, y, ml.Logistic(), precision=w)
    root = np.sqrt(w)
    other = ml.LinearLikelihood(X * root[:, None], y * root, noise=ml.Logistic())
    same(covariance(likelihood, theta, kind), covariance(other, theta, kind), 1e-12)


class InBlocks:
    """Rows in blocks of another size."""

    rereadable = True

    def __init__(self, source, size):
        self.source, self.size = source, size
        self.names, self.n_rows, self.scale_names = source.names, source.n_rows, source.scale_names

    def blocks(self, size=None, rng=None):
        return self.source.blocks(self.size, rng)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [1, 7])
def test_the_size_of_blocks_does_not_matter(kind, size):
    X, y, Z = problem(7, q=2)
    likelihood, theta = solved(X, y, ml.StudentT(4), Z)
    source = InBlocks(ArraySource(X, y, scale=Z), size)
    other = ml.LinearLikelihood.from_source(source, ml.StudentT(4))
    same(covariance(other, theta, kind), covariance(likelihood, theta, kind), 1e-12)


def test_with_a_prior_it_is_that_of_the_posterior():
    X, y, _ = problem(8)
    likelihood, theta = solved(X, y, ml.Logistic(), prior=NormalPrior(0.5))
    precision = np.diag([0.0, 4.0, 4.0, 0.0])  # flat in the intercept and in log sigma
    plain = ml.LinearLikelihood(X, y, noise=ml.Logistic())
    information = plain.information(theta) + precision
    same(covariance(likelihood, theta), np.linalg.inv(information), 1e-12)
    hessian = plain.hessian(theta) + precision
    same(covariance(likelihood, theta, "observed"), np.linalg.inv(hessian), 1e-12)
    for kind in ("opg", "sandwich", "HC0", "HC1"):
        with pytest.raises(ml.InvalidInput, match=r"sd=0\.5.*'expected' or 'observed'"):
            covariance(likelihood, theta, kind)


def test_laplace_has_no_hessian():
    X, y, _ = problem(9)
    likelihood = ml.LinearLikelihood(X, y, noise=ml.Laplace())
    theta = np.array([1.0, 2.0, -3.0, 0.5])
    found = covariance(likelihood, theta)
    same(found[:3, :3], np.exp(2 * 0.5) * np.linalg.inv(X.T @ X), 1e-12)  # E psi^2 = 1
    assert found[3, 3] == pytest.approx(1 / 80, rel=1e-14)
    psi = np.sign(y - X @ theta[:3])
    g = np.column_stack(
        [X * (psi / np.exp(0.5))[:, None], np.abs(y - X @ theta[:3]) / np.exp(0.5) - 1]
    )
    same(covariance(likelihood, theta, "opg"), np.linalg.inv(g.T @ g), 1e-10)
    for kind in KINDS:
        if kind not in ("expected", "opg"):
            with pytest.raises(ml.InvalidInput, match=r"kinks.*'expected'"):
                covariance(likelihood, theta, kind)


@pytest.mark.parametrize("unit", [1e-100, 0.1, 3.0, 1e100])
def test_rows_that_laplace_fits_exactly_have_no_gradient_whatever_their_rounding(unit):
    X, y, _ = problem(9, n=30)
    fit = ml.fit(X[:, 1:], y, noise=ml.Laplace())
    r = fit.residuals()
    r[np.argsort(np.abs(r))[:3]] = 0  # as many as there are coefficients
    g = np.column_stack([X * np.sign(r)[:, None] / fit.sigma, np.abs(r) / fit.sigma - 1])
    other = ml.fit(X[:, 1:] * unit, y, noise=ml.Laplace())
    sizes = np.array([1, unit, unit])
    found = other.covariance("opg") * sizes[:, None] * sizes
    same(found, np.linalg.inv(g.T @ g)[:3, :3], 1e-10)


def test_what_does_not_exist_is_refused():
    X, y, _ = problem(10)
    likelihood, theta = solved(X, y, ml.StudentT(1))
    with pytest.raises(ml.InvalidInput, match=r"kind must be one of 'expected'.*not 'HC4'"):
        covariance(likelihood, theta, "HC4")
    with pytest.raises(ml.InvalidInput, match="4 finite numbers"):
        covariance(likelihood, np.append(theta[:3], -np.inf))
    with pytest.raises(ml.InvalidInput, match="4 finite numbers"):
        covariance(likelihood, theta[:3])
    with pytest.raises(ml.InvalidInput, match="not positive definite"):
        covariance(likelihood, theta + np.eye(4)[1] * 40, "observed")  # far out in the tails
    few = ml.LinearLikelihood(X[:3], y[:3], noise=ml.Logistic())
    theta[3] = 1.0
    with pytest.raises(ml.InvalidInput, match=r"singular.*as many"):
        covariance(few, theta, "opg")
    with pytest.raises(ml.InvalidInput, match="HC1 divides by n - p"):
        covariance(few, theta, "HC1")
    twice = ml.LinearLikelihood(X[:, [0, 1, 1]], y, noise=ml.Logistic())
    with pytest.raises(ml.RankDeficient, match="x3 = x2"):
        covariance(twice, theta)


def test_a_variance_that_is_zero_is_not_negative_by_rounding():
    # the intercept is that of one row, alone in its group: its gradient is zero, and so is White's
    # variance
    for seed in range(20):
        rng = np.random.default_rng(seed)
        others = np.append(np.ones(7), 0)
        fit = ml.fit(others, rng.standard_normal(8), noise=ml.Logistic())
        for kind in ("HC0", "HC1"):
            assert (np.diagonal(fit.covariance(kind)) >= 0).all()
