"""The door for scikit-learn: its own checks, and what they do not look at."""

import os
import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score, cross_validate
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, PolynomialFeatures, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import mlreg as ml
from mlreg.sklearn import MaximumLikelihoodRegressor

U = np.finfo(float).eps / 2

CONFIGURATIONS = [
    MaximumLikelihoodRegressor(),
    MaximumLikelihoodRegressor(weights="frequency", fit_intercept=False),
    MaximumLikelihoodRegressor(noise=ml.Laplace(), weights="frequency"),
    MaximumLikelihoodRegressor(noise=ml.Huber(), weights="frequency"),
    MaximumLikelihoodRegressor(prior=ml.NormalPrior(1.0)),
]


# scikit-learn's data have more columns than rows now and then, and constant ones
@pytest.mark.filterwarnings("ignore::mlreg.errors.NumericalWarning")
@parametrize_with_checks(CONFIGURATIONS)
def test_scikit_learns_checks(estimator, check):
    check(estimator)


def test_no_check_is_skipped():
    program = (
        "from mlreg.sklearn import MaximumLikelihoodRegressor as M\n"
        "from sklearn.utils.estimator_checks import check_estimator\n"
        "results = check_estimator(M(), on_skip=None)\n"
        "print({r['status'] for r in results}, len(results) >= 50)"
    )
    env = {**os.environ, "SCIPY_ARRAY_API": "1"}  # read when SciPy is imported
    command = [sys.executable, "-W", "ignore", "-c", program]
    out = subprocess.run(command, capture_output=True, text=True, env=env)
    assert out.returncode == 0, out.stderr
    assert out.stdout.strip() == "{'passed'} True"


@pytest.fixture
def rows():
    rng = np.random.default_rng(7)
    X = rng.normal(size=(200, 3))
    return X, X @ [1.0, -2.0, 0.5] + 3 + rng.normal(size=200)


def agree(one, other):
    """Whether two fits of the same rows agree as far as rounding lets them."""
    assert one.n_rows == other.n_rows
    bound = one.certificate.rounding + other.certificate.rounding
    assert bound.max() < 1e-6  # or the next line says nothing
    assert (np.abs(one.params - other.params) <= bound * other.std_errors).all()
    # sigma: |r| is wrong by no more than the triangle, in units of its own
    epsilon = one.R.epsilon + other.R.epsilon
    slack = epsilon * (1 + other.least_squares.norm_y / other.least_squares.norm_r)
    assert abs(one.sigma / other.sigma - 1) <= slack < 1e-6


# What is fitted


def test_it_is_the_fit_of_mlreg(rows):
    X, y = rows
    regressor = MaximumLikelihoodRegressor().fit(X, y)
    fit = ml.fit(X, y)
    assert regressor.intercept_ == fit.params[0]
    assert (regressor.coef_ == fit.params[1:]).all()
    assert regressor.sigma_ == fit.sigma
    assert regressor.fit_.status.code == "converged"
    assert (regressor.predict(X) == fit.predict(X)).all()
    assert abs(regressor.score(X, y) - fit.r_squared) <= 8 * len(y) * U
    without = MaximumLikelihoodRegressor(fit_intercept=False).fit(X, y)
    assert (without.coef_ == ml.fit(X, y, intercept=False).params).all()
    assert without.intercept_ == 0.0


@pytest.mark.parametrize("noise", [ml.Laplace(), ml.StudentT(4), ml.Logistic()])
def test_noise_prior_and_optimizer_reach_the_fit(rows, noise):
    X, y = rows
    regressor = MaximumLikelihoodRegressor(noise=noise).fit(X, y)
    assert (regressor.coef_ == ml.fit(X, y, noise=noise).params[1:]).all()
    prior = ml.NormalPrior(0.5)
    assert MaximumLikelihoodRegressor(prior=prior).fit(X, y).fit_.prior == prior
    scipy = MaximumLikelihoodRegressor(optimizer=ml.Scipy("BFGS")).fit(X, y)
    assert scipy.fit_.optimizer == repr(ml.Scipy("BFGS"))


def test_an_optimizer_that_has_not_arrived_says_so(rows):
    sgd = MaximumLikelihoodRegressor(optimizer=ml.SGD(0.001, epochs=1))
    with pytest.warns(ml.NumericalWarning, match="standard errors from the MLE"):
        sgd.fit(*rows)


def test_a_dependent_column_is_left_out_with_a_warning(rows):
    X, y = rows
    wide = pd.DataFrame(np.column_stack([X, X[:, 0] + 2 * X[:, 1]]), columns=list("abcd"))
    regressor = MaximumLikelihoodRegressor()
    with pytest.warns(ml.NumericalWarning, match=r"d = a \+ 2.*coefficient 0: d\. "):
        regressor.fit(wide, y)
    assert regressor.coef_[3] == 0
    assert np.isnan(regressor.fit_.params[4])
    by_hand = wide.to_numpy() @ regressor.coef_ + regressor.intercept_
    terms = np.abs(wide.to_numpy()) @ np.abs(regressor.coef_) + abs(regressor.intercept_)
    assert (np.abs(by_hand - regressor.predict(wide)) <= 2 * 5 * U * terms).all()
    with pytest.raises(ml.RankDeficient, match=r"d = a \+ 2"):
        clone(regressor).set_params(rank_deficient="raise").fit(wide, y)
    kept = clone(regressor).set_params(prior=ml.NormalPrior(1.0)).fit(wide, y)
    assert (kept.coef_ != 0).all()  # a prior determines it


def test_too_few_rows(rows):
    X, y = rows
    with pytest.warns(ml.NumericalWarning, match="3 rows cannot determine 4 coef.*0: x3"):
        MaximumLikelihoodRegressor().fit(X[:3], y[:3])


# Weights


def test_weights_are_precisions_or_frequencies(rows):
    X, y = rows
    w = np.arange(len(y)) % 4
    precise = MaximumLikelihoodRegressor().fit(X, y, sample_weight=w)
    frequent = MaximumLikelihoodRegressor(weights="frequency").fit(X, y, sample_weight=w)
    assert precise.fit_.n_rows == np.count_nonzero(w)
    assert frequent.fit_.n_rows == w.sum()
    agree(frequent.fit_, ml.fit(X.repeat(w, axis=0), y.repeat(w)))
    agree(precise.fit_, ml.fit(X[w > 0], y[w > 0], precision_weights=w[w > 0]))
    bound = precise.fit_.certificate.rounding + frequent.fit_.certificate.rounding
    gap = np.abs(precise.fit_.params - frequent.fit_.params)
    assert (gap <= bound * precise.fit_.std_errors).all()
    assert (frequent.fit_.std_errors < precise.fit_.std_errors).all()


def test_bad_weights_are_refused(rows):
    X, y = rows
    with pytest.raises(ValueError, match="whole numbers"):
        MaximumLikelihoodRegressor(weights="frequency").fit(X, y, sample_weight=y**2)
    for w in (-np.ones(len(y)), np.full(len(y), np.nan), np.ones(3)):
        with pytest.raises(ValueError, match="weight"):
            MaximumLikelihoodRegressor().fit(X, y, sample_weight=w)


# partial_fit


@pytest.mark.parametrize("weights", [None, "precision", "frequency"])
@pytest.mark.parametrize("sizes", [(50, 50, 100), (199, 1), (40,) + (1,) * 160])
def test_partial_fit_is_the_fit_of_all_rows(rows, sizes, weights):
    X, y = rows
    w = None if weights is None else np.arange(len(y)) % 4 + 1
    regressor = MaximumLikelihoodRegressor(weights=weights or "precision")
    for part in np.split(np.arange(len(y)), np.cumsum(sizes)[:-1]):
        regressor.partial_fit(X[part], y[part], None if w is None else w[part])
    agree(regressor.fit_, clone(regressor).fit(X, y, w).fit_)
    assert regressor.score(X, y) > 0.8


def test_partial_fit_from_fewer_rows_than_columns(rows):
    X, y = rows
    regressor = MaximumLikelihoodRegressor()
    with pytest.warns(ml.NumericalWarning, match="2 rows cannot determine"):
        regressor.partial_fit(X[:2], y[:2])
    agree(regressor.partial_fit(X[2:], y[2:]).fit_, ml.fit(X, y))


@pytest.mark.parametrize("weights", ["precision", "frequency"])
def test_partial_fit_goes_on_from_fit_and_fit_begins_anew(rows, weights):
    X, y = rows
    w = np.arange(len(y)) % 3
    regressor = MaximumLikelihoodRegressor(weights=weights, fit_intercept=weights == "precision")
    regressor.fit(X[:120], y[:120], w[:120])
    whole = clone(regressor).fit(X, y, w)
    agree(regressor.partial_fit(X[120:], y[120:], w[120:]).fit_, whole.fit_)
    assert (regressor.fit(X[:50], y[:50]).coef_ == clone(regressor).fit(X[:50], y[:50]).coef_).all()


def test_partial_fit_after_a_pickle(rows):
    X, y = rows
    begun = MaximumLikelihoodRegressor().partial_fit(X[:100], y[:100])
    again = pickle.loads(pickle.dumps(begun)).partial_fit(X[100:], y[100:])
    agree(again.fit_, ml.fit(X, y))
    without_rows = pickle.loads(pickle.dumps(MaximumLikelihoodRegressor().fit(X, y)))
    with pytest.raises(ml.DataNeeded, match="without its rows"):
        without_rows.partial_fit(X, y)


def test_rows_that_are_refused_leave_no_trace(rows):
    X, y = rows
    regressor = MaximumLikelihoodRegressor().partial_fit(X[:100], y[:100])
    bad = y[100:].copy()
    bad[3] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        regressor.partial_fit(X[100:], bad)
    regressor.partial_fit(X[100:], y[100:])
    assert regressor.fit_.n_rows == len(y)


@pytest.mark.parametrize(
    "setting",
    [{"noise": ml.Laplace()}, {"prior": ml.NormalPrior(1.0)}, {"optimizer": ml.SGD(0.01)}],
)
def test_partial_fit_is_for_least_squares(rows, setting):
    regressor = MaximumLikelihoodRegressor(**setting)
    assert not hasattr(regressor, "partial_fit")
    with pytest.raises(AttributeError, match="partial_fit") as caught:
        regressor.partial_fit(*rows)
    assert "needs all rows at once: use fit" in str(caught.value.__cause__)


# Predictions


def test_return_std_is_that_of_a_new_observation():
    x = np.tile([-1.0, 1.0], 20)
    y = 2 + 3 * x + np.repeat([1.0, -1.0], 20)
    regressor = MaximumLikelihoodRegressor().fit(x[:, None], y)
    mean, std = regressor.predict([[0.0], [2.0]], return_std=True)
    leverage = np.array([1.0, 5.0]) / 40  # (1 + x**2)/n, for the columns are orthogonal
    expected = np.sqrt(40 / 38 * (1 + leverage))  # every residual is one
    assert (np.abs(std / expected - 1) <= 100 * U).all()
    assert (mean == regressor.predict([[0.0], [2.0]])).all()
    perfect = regressor.fit(x[:, None], 2 + 3 * x)
    assert np.isnan(perfect.predict([[0.0]], return_std=True)[1]).all()


def test_return_std_with_a_prior_is_of_the_normal_limits(rows):
    X, y = rows
    regressor = MaximumLikelihoodRegressor(prior=ml.NormalPrior(0.2)).fit(X, y)
    std = regressor.predict(X, return_std=True)[1]
    lower, upper = regressor.predict_interval(X).T
    # ml.Prediction promises ten digits of its limits
    assert (np.abs((upper - lower) / 2 / 1.959963984540054 / std - 1) < 1e-9).all()


def test_return_std_is_refused_for_other_noise(rows):
    regressor = MaximumLikelihoodRegressor(noise=ml.StudentT(1.5)).fit(*rows)
    with pytest.raises(ml.InvalidInput, match=r"Gaussian noise.*predict_interval"):
        regressor.predict(rows[0], return_std=True)


@pytest.mark.parametrize("kind", ["mean", "prediction"])
def test_predict_interval(rows, kind):
    X, y = rows
    regressor = MaximumLikelihoodRegressor(noise=ml.Logistic()).fit(X, y)
    expected = regressor.fit_.predict(X, kind, 0.8)
    limits = regressor.predict_interval(X, 0.8, kind)
    assert (limits == np.column_stack([expected.lower, expected.upper])).all()
    with pytest.raises(ml.InvalidInput, match="'prediction' or 'mean'"):
        regressor.predict_interval(X, kind=None)


# Within scikit-learn


def test_parameters_are_those_given_and_can_be_cloned():
    given = {
        "noise": ml.StudentT(4),
        "optimizer": ml.Newton(),
        "prior": ml.NormalPrior(2.0),
        "fit_intercept": False,
        "rank_deficient": "raise",
        "weights": "frequency",
    }
    regressor = MaximumLikelihoodRegressor(**given)
    assert regressor.get_params() == given
    assert clone(regressor).get_params() == given
    assert repr(MaximumLikelihoodRegressor(noise=ml.Laplace())) == (
        "MaximumLikelihoodRegressor(noise=Laplace())"
    )


@pytest.mark.parametrize("prior", [None, ml.NormalPrior(1.0)])
@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"weights": "ones"}, "weights must be 'precision' or 'frequency', not 'ones'"),
        ({"rank_deficient": None}, "rank_deficient must be 'drop' or 'raise', not None"),
        ({"fit_intercept": None}, "fit_intercept must be True or False, not None"),
    ],
)
def test_a_setting_without_meaning_is_refused(rows, setting, said, prior):
    with pytest.raises(ml.InvalidInput, match=said):
        MaximumLikelihoodRegressor(**setting, prior=prior).fit(*rows)


def test_rows_labelled_differently_are_refused(rows):
    X, y = rows
    data, response = pd.DataFrame(X), pd.Series(y)
    with pytest.raises(ml.InvalidInput, match="rows of X and of y are labelled differently"):
        MaximumLikelihoodRegressor().fit(data, response[::-1])
    with pytest.raises(ml.InvalidInput, match="rows of X and of sample_weight are"):
        MaximumLikelihoodRegressor().fit(data, y, sample_weight=response[::-1] ** 2)


def test_before_fit_there_is_nothing(rows):
    for method in ("predict", "predict_interval"):
        with pytest.raises(NotFittedError):
            getattr(MaximumLikelihoodRegressor(), method)(rows[0])


def test_grid_search_over_noise_and_prior(rows):
    X, y = rows
    grid = {
        "maximumlikelihoodregressor__noise": [None, ml.Laplace(), ml.StudentT(5)],
        "polynomialfeatures__degree": [1, 2],
    }
    pipeline = make_pipeline(
        StandardScaler(), PolynomialFeatures(include_bias=False), MaximumLikelihoodRegressor()
    )
    search = GridSearchCV(pipeline, grid, cv=3, scoring="neg_mean_absolute_error").fit(X, y)
    assert len(search.cv_results_["params"]) == 6
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_params_["polynomialfeatures__degree"] == 1  # there is no curvature


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_columns_keep_their_names_through_a_pipeline(library):
    frame = {"town": ["a", "b", "c", "a", "b", "c", "a"], "area": [1.0, 2, 4, 5, 7, 8, 9]}
    data = pd.DataFrame(frame) if library == "pandas" else pl.DataFrame(frame)
    y = data["area"] * 2 + np.array([0, 1, 3, 0.5, 1, 3, 0])
    columns = make_column_transformer(
        (OneHotEncoder(sparse_output=False), ["town"]), ("passthrough", ["area"])
    )
    pipeline = make_pipeline(columns, MaximumLikelihoodRegressor()).set_output(transform=library)
    with pytest.warns(ml.NumericalWarning, match="onehotencoder__town_c"):
        pipeline.fit(data, y)
    names = ["onehotencoder__town_a", "onehotencoder__town_b", "onehotencoder__town_c"]
    last = pipeline[-1]
    assert list(last.feature_names_in_) == [*names, "passthrough__area"]
    assert last.fit_.names == ("Intercept", *names, "passthrough__area")
    assert type(pipeline.predict(data)) is np.ndarray


def test_a_dataframe_with_other_columns_is_refused(rows):
    X, y = rows
    data = pd.DataFrame(X, columns=list("abc"))
    regressor = MaximumLikelihoodRegressor().fit(data, pd.Series(y))
    with pytest.raises(ValueError, match="same order"):
        regressor.predict(data[["c", "b", "a"]])


def test_sample_weight_is_routed(rows):
    X, y = rows
    w = np.arange(len(y)) % 3 + 1.0
    with sklearn.config_context(enable_metadata_routing=True):
        regressor = MaximumLikelihoodRegressor().set_fit_request(sample_weight=True)
        pipeline = make_pipeline(StandardScaler().set_fit_request(sample_weight=False), regressor)
        pipeline.fit(X, y, sample_weight=w)
        regressor.set_score_request(sample_weight=False)
        weights = {"sample_weight": w}
        result = cross_validate(regressor, X, y, params=weights, cv=2, return_estimator=True)
    assert pipeline[-1].fit_.log_precision == ml.fit(X, y, precision_weights=w).log_precision
    second = ml.fit(X[100:], y[100:], precision_weights=w[100:])  # tested on the first half
    agree(result["estimator"][0].fit_, second)


def test_cross_validation_is_that_of_least_squares(rows):
    X, y = rows
    scores = cross_val_score(MaximumLikelihoodRegressor(), X, y, cv=4)
    fit = ml.fit(X[50:], y[50:])
    residual, centred = y[:50] - fit.predict(X[:50]), y[:50] - y[:50].mean()
    expected = 1 - residual @ residual / (centred @ centred)
    assert abs(scores[0] - expected) <= 8 * 50 * U


def test_several_responses_one_at_a_time(rows):
    X, y = rows
    both = np.column_stack([y, -y])
    with pytest.raises(ml.InvalidInput, match=r"2 columns.*MultiOutputRegressor"):
        MaximumLikelihoodRegressor().fit(X, both)
    wrapped = MultiOutputRegressor(MaximumLikelihoodRegressor()).fit(X, both)
    assert (wrapped.estimators_[1].coef_ == -wrapped.estimators_[0].coef_).all()


def test_float32_is_read_as_it_is(rows):
    X, y = (a.astype(np.float32) for a in rows)
    regressor = MaximumLikelihoodRegressor().fit(X, y)
    assert (regressor.coef_ == ml.fit(X.astype(float), y.astype(float)).params[1:]).all()
    assert regressor.predict(X).dtype == np.float64


def test_a_pickle_is_without_the_rows(rows):
    X, y = rows
    regressor = MaximumLikelihoodRegressor().fit(X, y)
    assert len(regressor.fit_.residuals()) == len(y)
    stored = pickle.dumps(regressor)
    assert X[7].tobytes() not in stored
    again = pickle.loads(stored)
    assert (again.predict(X) == regressor.predict(X)).all()
    assert again.fit_.summary() == regressor.fit_.summary()
    with pytest.raises(ml.DataNeeded):
        again.fit_.residuals()
    assert regressor.fit_.source is not None
