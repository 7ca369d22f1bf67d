"""Against references that no one here wrote: NIST's certified values and statsmodels."""

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st

import mlreg as ml
from mlreg.verify import laws
from mlreg.verify.exact import least_squares
from mlreg.verify.strategies import designs, exact_ols

# Some of the designs drawn are so nearly collinear that the fit says so: that is no failure here.
nearly_collinear = pytest.mark.filterwarnings("ignore::mlreg.errors.NumericalWarning")


U = 2.0**-53
SETS = ml.datasets.names()

# Correct digits of Householder QR on each set, parameters and standard errors, less half a digit:
# what a backward-stable solver in double precision attains there. (Filip: rounding its powers to
# float64 alone costs all but 7.6 digits.)
DIGITS = {
    "norris": (11.6, 13.0), "pontius": (11.7, 12.9), "noint1": (14.4, 13.8),
    "noint2": (14.4, 14.3), "filip": (7.1, 7.1), "longley": (10.3, 11.5), "wampler1": (8.7, None),
    "wampler2": (12.7, None), "wampler3": (8.7, 9.7), "wampler4": (7.2, 9.7),
    "wampler5": (5.4, 9.7),
}  # fmt: skip


def digits(found, certified):
    """Log relative error: the number of correct digits."""
    found, certified = np.asarray(found, float), np.asarray(certified, float)
    with np.errstate(divide="ignore"):
        return -np.log10(np.abs(found - certified) / np.abs(certified)).min()


@pytest.mark.parametrize("name", SETS)
def test_nist_certified_values(name):
    data = ml.datasets.load(name)
    fit = ml.fit(data.X, data.y, intercept=data.intercept)
    params, errors = DIGITS[name]
    assert digits(fit.params, data.certified["params"]) >= params
    if errors is None:  # no residual at all: the data are a polynomial
        assert fit.status.code == "perfect-fit"
        assert np.isnan(fit.std_errors).all()
        assert fit.r_squared == 1.0
        assert fit.nll == -np.inf
        return
    assert fit.status.code == "converged"
    assert digits(fit.std_errors, data.certified["se"]) >= errors
    assert digits(fit.residual_std_error, data.certified["sigma"]) >= errors
    assert digits(fit.rss, data.certified["ss_resid"]) >= errors - 0.5
    assert digits(fit.f_test.statistic, data.certified["f"]) >= errors - 0.5
    # R-squared is certified about the mean where there is an intercept, about zero elsewhere
    unexplained = 1 - data.certified["r2"]
    assert abs(fit.r_squared - data.certified["r2"]) <= unexplained * 10 ** (0.5 - errors) + 1e-14


@pytest.mark.parametrize("name", SETS)
def test_nist_by_formula_is_nist_by_array(name):
    data = ml.datasets.load(name)
    by_formula = ml.fit(data.formula, data)
    by_array = ml.fit(data.X, data.y, intercept=data.intercept)
    assert (by_formula.params == by_array.params).all()


@pytest.mark.parametrize("name", SETS)
def test_nist_rounding_bound_holds_against_the_rational_solution(name):
    data = ml.datasets.load(name)
    X = np.column_stack([np.ones(len(data.y)), data.X]) if data.intercept else data.X
    fit = ml.fit(data.X, data.y, intercept=data.intercept)
    if fit.status.code == "converged":
        exact = least_squares(X, data.y)
        laws.params_within_rounding(fit, exact)
        laws.sigma_is_rss_over_n(fit, exact, np.linalg.norm(data.y), np.linalg.norm(X, axis=0))


def agree_with_statsmodels(problem, weights=None):
    X, y = problem.X, problem.y
    fit = ml.fit(X, y, intercept=False, precision_weights=weights)
    if fit.status.code == "perfect-fit":
        return
    if weights is None:
        laws.params_within_rounding(fit, problem.exact)
        laws.std_errors_within_rounding(fit, problem.exact)
    # statsmodels inverts RᵀR for its standard errors, which squares the condition number: it gets
    # its columns in comparable units, by exact powers of two, which are put back afterwards.
    unit = 2.0 ** np.frexp(np.linalg.norm(X, axis=0))[1]
    scaled = X / unit
    if np.linalg.cond(scaled) ** 2 * U > 1e-2:  # then it finds them singular, or negative variances
        return
    reference = (sm.OLS(y, scaled) if weights is None else sm.WLS(y, scaled, weights)).fit(
        method="qr"
    )
    n, p = X.shape
    other = (16 * p + n) * U
    laws.fits_agree(fit, reference.params / unit, reference.bse / unit, other, b_power=2)
    slack = laws._residual_loss(fit) * (fit.R.epsilon + other)
    if slack > 0.01:  # nothing of the residual is left in double precision
        return
    assert abs(fit.log_likelihood - reference.llf) <= 8 * n * (slack + U * abs(reference.llf / n))
    assert abs(fit.rss - reference.ssr) <= 8 * slack * fit.rss
    assert fit.df_resid == reference.df_resid
    assert abs(fit.aic - reference.aic - 2) <= 32 * n * slack + 8 * U * abs(fit.aic)  # sigma counts
    total = fit.rss / (1 - fit.r_squared) if fit.r_squared < 1 else np.inf
    assert (
        abs(fit.r_squared - reference.rsquared) <= 8 * slack * min(1, fit.rss / total) + 64 * n * U
    )
    assert fit.constant == 0


@nearly_collinear
@given(designs())
def test_statsmodels_from_well_conditioned_to_collinear_in_any_units(problem):
    agree_with_statsmodels(problem)


@nearly_collinear
@given(exact_ols())
def test_statsmodels_on_integer_designs(problem):
    agree_with_statsmodels(problem)


@nearly_collinear
@given(designs(max_log_condition=1, max_offset=1e6))
def test_statsmodels_about_large_offsets(problem):
    agree_with_statsmodels(problem)


@nearly_collinear
@given(designs(max_log_condition=3), st.integers(0, 2**32 - 1))
def test_statsmodels_with_precision_weights(problem, seed):
    w = np.exp(np.random.default_rng(seed).standard_normal(len(problem.y)))
    agree_with_statsmodels(problem, w)


def test_statsmodels_inference_and_prediction():
    # Norris: well enough conditioned that statsmodels keeps 12 digits of its standard errors
    data = ml.datasets.norris()
    fit = ml.fit(data.X, data.y)
    reference = sm.OLS(data.y, sm.add_constant(data.X)).fit(method="qr")
    assert fit.t_values == pytest.approx(reference.tvalues, rel=1e-9)
    assert fit.p_values == pytest.approx(reference.pvalues, rel=1e-8)
    for level in (0.5, 0.95, 0.999):
        assert fit.conf_int(level) == pytest.approx(reference.conf_int(1 - level), rel=1e-8)
    scale = np.sqrt(np.outer(reference.bse, reference.bse))
    assert np.abs((fit.covariance() - reference.cov_params()) / scale**2).max() <= 1e-8
    assert fit.r_squared_adj == pytest.approx(reference.rsquared_adj, rel=1e-12)
    assert fit.f_test.statistic == pytest.approx(reference.fvalue, rel=1e-9)
    assert fit.f_test.p_value == pytest.approx(reference.f_pvalue, rel=1e-8)
    assert fit.bic == pytest.approx(reference.bic + np.log(36), rel=1e-12)
    new = data.X[:5] * 1.01
    frame = reference.get_prediction(sm.add_constant(new, has_constant="add")).summary_frame(0.1)
    mean = fit.predict(new, "mean", 0.9)
    one = fit.predict(new, "prediction", 0.9)
    assert mean.mean == pytest.approx(frame["mean"].to_numpy(), rel=1e-9)
    assert mean.lower == pytest.approx(frame["mean_ci_lower"].to_numpy(), rel=1e-9)
    assert one.lower == pytest.approx(frame["obs_ci_lower"].to_numpy(), rel=1e-9)
    assert one.upper == pytest.approx(frame["obs_ci_upper"].to_numpy(), rel=1e-9)
    assert fit.residuals() == pytest.approx(reference.resid, abs=1e-6 * fit.sigma)
    assert fit.fitted_values() == pytest.approx(reference.fittedvalues, rel=1e-12)


def test_statsmodels_centres_about_a_constant_column_too():
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.standard_normal(20), np.full(20, 7.0)])
    y = rng.standard_normal(20) + 3
    fit = ml.fit(X, y, intercept=False)
    assert fit.constant == 1
    assert fit.r_squared == pytest.approx(sm.OLS(y, X).fit().rsquared, rel=1e-12)
    assert "centred: x2 is constant" in fit.summary()
    none = ml.fit(X[:, :1], y, intercept=False)
    assert none.constant is None
    reference = sm.OLS(y, X[:, :1]).fit()
    assert none.r_squared == pytest.approx(reference.rsquared, rel=1e-12)
    assert none.r_squared_adj == pytest.approx(reference.rsquared_adj, rel=1e-12)
    assert none.f_test.statistic == pytest.approx(reference.fvalue, rel=1e-10)
    assert "about zero: there is no constant column" in none.summary()
