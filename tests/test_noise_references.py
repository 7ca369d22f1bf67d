"""Fits with other noise against programs that nobody here wrote: what theory says they share."""

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

import mlreg as ml


@pytest.fixture(scope="module")
def stackloss():
    frame = sm.datasets.stackloss.load_pandas()
    return frame.exog.to_numpy(), frame.endog.to_numpy()


@pytest.fixture(scope="module")
def engel():
    frame = sm.datasets.engel.load_pandas().data
    return frame["income"].to_numpy()[:, None], frame["foodexp"].to_numpy()


@pytest.mark.parametrize(
    ("noise", "family"),
    [
        (ml.Gaussian(), stats.norm),
        (ml.Laplace(), stats.laplace),
        (ml.Logistic(), stats.logistic),
    ],
)
def test_a_constant_alone_is_the_fit_of_scipy(noise, family):
    y = np.random.default_rng(0).standard_t(5, 301) * 2 + 7
    location, scale = family.fit(y)
    fit = ml.fit(np.ones((301, 1)), y, intercept=False, noise=noise)
    # SciPy solves some of these by iteration: never a larger likelihood, and near it
    theirs = family.logpdf(y, location, scale).sum()
    assert fit.log_likelihood >= theirs - 1e-9 * abs(theirs)
    assert fit.log_likelihood == pytest.approx(theirs, abs=1e-6)
    assert abs(fit.params[0] - location) <= 0.01 * fit.std_errors[0]
    ours = family.logpdf(y, fit.params[0], fit.sigma).sum()
    assert fit.log_likelihood == pytest.approx(ours, rel=1e-12)


def test_students_t_of_scipy():
    y = np.random.default_rng(1).standard_t(4, 500) * 2 + 7
    df, location, scale = stats.t.fit(y)
    fit = ml.fit(np.ones((500, 1)), y, intercept=False, noise=ml.StudentT())
    theirs = stats.t.logpdf(y, df, location, scale).sum()
    assert theirs - 1e-9 * abs(theirs) <= fit.log_likelihood <= theirs + 1e-3
    assert fit.noise.df == pytest.approx(df, rel=0.01)


def test_the_median_regression_of_engels_data(engel):
    """Koenker and Bassett (1982): 81.4822 and 0.5602."""
    X, y = engel
    fit = ml.fit(X, y, noise=ml.Laplace())
    assert fit.params == pytest.approx([81.4822, 0.5602], abs=5e-5)
    theirs = sm.QuantReg(y, sm.add_constant(X)).fit(q=0.5)
    loss = lambda beta: np.abs(y - sm.add_constant(X) @ beta).sum()  # noqa: E731
    assert loss(fit.params) <= loss(theirs.params) * (1 + 1e-12)
    assert theirs.params == pytest.approx(fit.params, rel=1e-4)  # it iterates to 1e-6
    assert ml.certify(theirs.params, X, y, noise=ml.Laplace()).distance <= 0.01


@pytest.mark.parametrize("k", [0.5, 1.345, 2.5])
def test_hubers_equations_by_statsmodels(stackloss, k):
    """With σ given, its M-estimate and ours solve the same equations."""
    X, y = stackloss
    fit = ml.fit(X, y, noise=ml.Huber(k))
    D = sm.add_constant(X)
    norm = sm.robust.norms.HuberT(k)
    z = (y - D @ fit.params) / fit.sigma
    # a gradient below this is a step below 1e-6 standard errors
    limit = 1e-6 * np.sqrt(fit.noise.fisher[0]) * np.linalg.norm(D, axis=0)
    assert (np.abs(D.T @ norm.psi(z)) <= 10 * limit).all()
    assert fit.nll == pytest.approx(
        np.sum(norm.rho(z)) + 21 * (np.log(fit.noise.constant) + np.log(fit.sigma)), rel=1e-12
    )
    # their own scale is another one, the median of absolute residuals: of the same size
    theirs = sm.RLM(y, D, M=norm).fit()
    assert np.abs((theirs.params - fit.params) / fit.std_errors).max() <= 2


def test_hubers_loss_of_scikit_learn(stackloss):
    """Huber's joint criterion has the same minimum in β where its σ is given as ours is."""
    linear_model = pytest.importorskip("sklearn.linear_model")
    X, y = stackloss
    theirs = linear_model.HuberRegressor(epsilon=1.345, alpha=0, max_iter=10_000, tol=1e-8)
    theirs.fit((X - X.mean(axis=0)) / X.std(axis=0), y)
    slopes = theirs.coef_ / X.std(axis=0)
    params = np.append(theirs.intercept_ - X.mean(axis=0) @ slopes, slopes)
    # at their σ, the gradient of our NLL in β vanishes; that in log σ does not
    likelihood = ml.LinearLikelihood(sm.add_constant(X), y, noise=ml.Huber(1.345))
    g = likelihood.gradient(np.append(params, np.log(theirs.scale_)))
    R = likelihood.factor(np.append(params, np.log(theirs.scale_)))
    assert np.linalg.norm(np.linalg.solve(R[:4, :4].T, g[:4])) <= 0.01  # standard errors
    assert abs(g[4]) > 0.1


def test_student_t_of_statsmodels(stackloss):
    from statsmodels.miscmodels.tmodel import TLinearModel

    X, y = stackloss
    D = sm.add_constant(X)
    fit = ml.fit(X, y, noise=ml.StudentT(4))
    model = TLinearModel(y, D, fix_df=4.0)
    model.df = 4.0
    start = np.append(fit.params, fit.sigma)
    theirs = model.fit(start_params=start, method="bfgs", disp=False, maxiter=500)
    assert fit.log_likelihood >= theirs.llf - 1e-8
    assert theirs.params == pytest.approx(start, rel=1e-3)
    assert fit.log_likelihood == pytest.approx(model.loglike(start), rel=1e-12)


def test_precision_weights_are_those_of_a_glm(stackloss):
    X, y = stackloss
    w = np.random.default_rng(2).uniform(0.1, 5, 21)
    theirs = sm.GLM(y, sm.add_constant(X), var_weights=w).fit(scale="X2")
    fit = ml.fit(X, y, precision_weights=w)
    assert fit.params == pytest.approx(theirs.params, rel=1e-9)
    assert fit.std_errors == pytest.approx(theirs.bse, rel=1e-9)
    uneven = ml.fit(X, y, noise=ml.StudentT(1e8), precision_weights=w)  # all but normal
    assert uneven.params == pytest.approx(theirs.params, rel=1e-5)


@pytest.mark.parametrize("noise", [ml.Laplace(), ml.Logistic(), ml.StudentT(4)], ids=repr)
def test_robust_fits_of_stackloss_agree_on_its_outliers(stackloss, noise):
    """Rows 1, 3, 4 and 21 are the outliers that the literature finds in these data."""
    X, y = stackloss
    fit = ml.fit(X, y, noise=noise)
    z = np.abs(fit.residuals()) / fit.sigma
    assert {3, 20} <= set(np.argsort(z)[-4:].tolist())
    assert fit.status.code == "converged"
