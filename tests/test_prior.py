"""A normal prior: ridge regression by scikit-learn's formula, and posteriors of any noise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

import mlreg as ml
from mlreg.certificate import certificate

NOISES = [ml.Gaussian(), ml.Logistic(), ml.StudentT(4), ml.Huber()]


def problem(seed, n=60, p=4):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p))
    return X, 5 + X @ np.arange(1.0, p + 1) / p + rng.standard_normal(n), rng


def ridge(X, y, penalty, k=1.0):
    """The textbook's formula, the intercept not penalised."""
    X1 = np.column_stack([np.ones(len(y)), X])
    D = np.diag([0.0, *[penalty] * X.shape[1]])
    W = np.broadcast_to(k, len(y))
    return np.linalg.solve(X1.T @ (W[:, None] * X1) + D, X1.T @ (W * y))


@settings(max_examples=30)
@given(
    seed=st.integers(0, 2**32 - 1),
    sd=st.sampled_from([0.01, 0.3, 1.0, 10.0, 1e4]),
    weighted=st.booleans(),
)
def test_gaussian_noise_is_ridge_regression(seed, sd, weighted):
    X, y, rng = problem(seed)
    k = rng.integers(0, 4, len(y)) if weighted else np.ones(len(y), dtype=int)
    fit = ml.fit(X, y, prior=ml.NormalPrior(sd), frequency_weights=k if weighted else None)
    assert fit.status.code == "converged", fit.status
    assert "posterior mode" in str(fit.certificate)
    expected = ridge(X, y, fit.ridge, k)
    assert (np.abs(fit.params - expected) <= 1e-5 * fit.std_errors).all()
    assert fit.ridge == pytest.approx((fit.sigma / sd) ** 2, rel=1e-14)
    r = y - fit.params[0] - X @ fit.params[1:]
    assert fit.sigma == pytest.approx(np.sqrt(k @ r**2 / k.sum()), rel=1e-6)
    # Σ d²/(d² + λ) over the singular values of the centred columns, and one for the intercept
    centred = (X - k @ X / k.sum()) * np.sqrt(k)[:, None]
    d = np.linalg.svd(centred, compute_uv=False)
    assert fit.effective_df == pytest.approx(1 + np.sum(d**2 / (d**2 + fit.ridge)), rel=1e-9)
    assert fit.nll == pytest.approx(-(k @ stats.norm.logpdf(r, scale=fit.sigma)), rel=1e-9)


def test_scikit_learn():
    linear_model = pytest.importorskip("sklearn.linear_model")
    X, y, _ = problem(1)
    fit = ml.fit(X, y, prior=ml.NormalPrior(0.5))
    theirs = linear_model.Ridge(alpha=fit.ridge).fit(X, y)
    assert np.append(theirs.intercept_, theirs.coef_) == pytest.approx(fit.params, rel=1e-7)


def test_statsmodels_penalised_least_squares():
    import statsmodels.api as sm

    X, y, _ = problem(2)
    X, y = X - X.mean(axis=0), y - y.mean()
    fit = ml.fit(X, y, intercept=False, prior=ml.NormalPrior(0.5))
    # its penalty is on the average loss
    theirs = sm.OLS(y, X).fit_regularized(alpha=fit.ridge / len(y), L1_wt=0.0)
    assert theirs.params == pytest.approx(fit.params, rel=1e-7)


@pytest.mark.parametrize("noise", NOISES[:3], ids=repr)
@pytest.mark.parametrize("unit", [1.0, 1e8])
def test_the_mode_is_that_of_scipy(noise, unit):
    X, y, _ = problem(3)
    density = {0: stats.norm, 1: stats.logistic, 2: stats.t(4)}[NOISES.index(noise)]
    prior = ml.NormalPrior(0.4 / unit)
    fit = ml.fit(X * unit, y, noise=noise, prior=prior)
    assert fit.status.code == "converged"

    def minus_log_posterior(x):
        z = (y - x[0] - X @ x[1:-1]) * np.exp(-x[-1])
        value = -np.sum(density.logpdf(z) - x[-1])
        return value - np.sum(stats.norm.logpdf(x[1:-1], scale=0.4))

    ours = np.append(fit.params * np.r_[1, [unit] * 4], np.log(fit.sigma))
    theirs = optimize.minimize(minus_log_posterior, ours + 0.01, method="BFGS")
    assert minus_log_posterior(ours) <= theirs.fun + 1e-9 * abs(theirs.fun)
    assert theirs.x == pytest.approx(ours, abs=1e-4)
    H = optimize.approx_fprime(
        ours, lambda x: optimize.approx_fprime(x, minus_log_posterior, 1e-5), 1e-4
    )
    # the observed and the expected curvature agree to the noise of 60 rows
    observed = np.sqrt(np.diag(np.linalg.inv(H)))[:-1]
    assert observed == pytest.approx(fit.std_errors * np.r_[1, [unit] * 4], rel=0.5)


@pytest.mark.parametrize("noise", NOISES, ids=repr)
def test_its_limits_are_the_mle_and_the_constant(noise):
    X, y, _ = problem(4)
    mle, loose = ml.fit(X, y, noise=noise), ml.fit(X, y, noise=noise, prior=ml.NormalPrior(1e8))
    assert (np.abs(loose.params - mle.params) <= 1e-5 * mle.std_errors).all()
    assert loose.effective_df == pytest.approx(5, rel=1e-9)
    tight = ml.fit(X, y, noise=noise, prior=ml.NormalPrior(1e-8))
    constant = ml.fit(np.ones((60, 1)), y, intercept=False, noise=noise)
    assert (np.abs(tight.params[1:]) <= 1e-8).all()
    assert abs(tight.params[0] - constant.params[0]) <= 1e-5 * constant.std_errors[0]
    assert tight.effective_df == pytest.approx(1, rel=1e-9)


@pytest.mark.parametrize("noise", NOISES, ids=repr)
def test_what_the_data_do_not_determine_the_prior_does(noise):
    X, y, _ = problem(5)
    twice = np.column_stack([X, X[:, 0]])
    fit = ml.fit(twice, y, noise=noise, prior=ml.NormalPrior(0.7))
    assert fit.status.code == "converged"
    assert fit.params[1] == pytest.approx(fit.params[5], rel=1e-6)
    assert np.isfinite(fit.std_errors).all()
    # two halves with the prior of each are one with twice its variance
    whole = ml.fit(X, y, noise=noise, prior=ml.NormalPrior(0.7))
    assert whole.effective_df <= fit.effective_df <= 5
    with pytest.raises(ml.RankDeficient):
        ml.fit(twice, y, noise=noise)


@pytest.mark.parametrize("noise", NOISES, ids=repr)
@settings(max_examples=10)
@given(seed=st.integers(0, 2**32 - 1), far=st.floats(0.005, 0.05))
def test_the_certificate_counts_in_posterior_deviations(noise, seed, far):
    X, y, rng = problem(seed, n=200)
    X = np.column_stack([np.ones(200), X])
    prior = ml.NormalPrior(0.1)
    likelihood = ml.LinearLikelihood(X, y, noise=noise, prior=prior)
    best = ml.Newton().minimize(likelihood)
    information = likelihood.information(best.theta)[:5, :5]
    information += np.diag(likelihood.prior_precision)
    step = rng.standard_normal(5)
    step *= far / np.sqrt(step @ information @ step)
    found = certificate(likelihood, best.theta[:5] + step)
    assert abs(found.distance - far) <= 0.15 * far + 1e-5
    assert found.posterior
    assert "posterior standard deviations" in str(found)


def test_with_as_many_columns_as_rows_there_is_no_mode():
    X, y, _ = problem(6, n=6, p=8)
    with pytest.warns(ml.NumericalWarning, match="no mode"):
        fit = ml.fit(X, y, prior=ml.NormalPrior(1.0))
    assert fit.status.code == "unbounded"
    assert "posterior has no mode" in fit.status.message


def test_units_weights_scale_and_transform_go_with_it():
    X, y, _ = problem(7)
    base = ml.fit(X, y, prior=ml.NormalPrior(0.5))
    other = ml.fit(X * 1e-9, -1e3 * y, prior=ml.NormalPrior(0.5e12))
    units = np.r_[1, [1e9] * 4] * -1e3
    assert (np.abs(other.params - base.params * units) <= 1e-5 * base.std_errors * -units).all()
    assert other.effective_df == pytest.approx(base.effective_df, rel=1e-6)
    both = ml.fit(X, y, prior=ml.NormalPrior(0.5), scale=X[:, :1])
    assert both.status.code == "converged"
    with pytest.raises(ml.InvalidInput, match="differs from row to row"):
        _ = both.ridge
    logs = ml.fit(X, np.exp(y), prior=ml.NormalPrior(0.5), transform="log")
    assert logs.params == pytest.approx(base.params, rel=1e-8)
    assert logs.nll == pytest.approx(base.nll + y.sum(), rel=1e-9)


def test_a_mode_is_no_maximum_of_the_likelihood(tmp_path):
    X, y, _ = problem(8)
    fit, mle = ml.fit(X, y, prior=ml.NormalPrior(0.1)), ml.fit(X, y)
    assert fit.log_likelihood < mle.log_likelihood
    for name in ("aic", "bic", "p_values"):
        with pytest.raises(ml.InvalidInput, match="mode of a posterior"):
            getattr(fit, name)
    text = fit.summary()
    assert "mode of the posterior (MAP), not the MLE" in text
    assert "but Intercept" in text
    assert "p value" not in text
    assert "AIC" not in text
    assert mle.ridge == 0
    assert mle.effective_df == 5
    fit.save(tmp_path / "fit.json")
    assert ml.load(tmp_path / "fit.json").summary() == text
    assert list(fit.to_frame().columns) == ["estimate", "std_error", "lower", "upper"]


@pytest.mark.parametrize("sd", [0.0, -1.0, np.nan, np.inf, 1e-200, 1e200, "a", True])
def test_priors_that_are_none(sd):
    if sd is True:
        assert ml.NormalPrior(sd).sd == 1.0
        return
    with pytest.raises((ml.InvalidInput, ml.InvalidType), match="prior's sd"):
        ml.NormalPrior(sd)


def test_optimizers_that_know_of_no_prior_say_so():
    X, y, _ = problem(9)
    for optimizer in (ml.Exact(), ml.Scipy(), ml.SGD(0.01)):
        with pytest.raises(ml.InvalidInput, match="prior"):
            ml.fit(X, y, prior=ml.NormalPrior(1.0), optimizer=optimizer)
    with pytest.raises(ml.InvalidInput, match="prior must be a NormalPrior"):
        ml.fit(X, y, prior=2.0)
    with pytest.raises(ml.InvalidInput, match="leave out prior"):
        ml.fit(ml.SufficientStatistics().update(X, y), prior=ml.NormalPrior(1.0))


def test_a_column_of_zeros_is_no_intercept():
    X, y, _ = problem(6)
    zeros = np.column_stack([np.zeros(len(y)), X])
    fit = ml.fit(zeros, y, intercept=False, prior=ml.NormalPrior(2.0))
    assert fit.status.code == "converged"
    assert fit.params[0] == 0
    assert fit.std_errors[0] == 2  # the data say nothing of it
    without = ml.fit(X, y, intercept=False, prior=ml.NormalPrior(2.0))
    assert (np.abs(fit.params[1:] - without.params) <= 1e-6 * without.std_errors).all()


@pytest.mark.parametrize("noise", NOISES, ids=repr)
def test_a_response_of_zeros_has_no_mode_with_a_column_of_zeros_too(noise):
    X = np.column_stack([np.arange(9.0), np.zeros(9)])
    with pytest.warns(ml.NumericalWarning, match="no mode"):
        fit = ml.fit(X, np.zeros(9), noise=noise, prior=ml.NormalPrior(1.0))
    assert fit.status.code == "unbounded"
    assert fit.nll == -np.inf
