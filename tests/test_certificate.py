"""The certificate against the true distance, which nothing of this package computes."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mlreg as ml
from mlreg.likelihood import gaussian
from mlreg.verify import laws
from mlreg.verify.exact import least_squares
from mlreg.verify.strategies import designs, exact_ols

# Some of the designs drawn are so nearly collinear that the fit says so: that is no failure here.
nearly_collinear = pytest.mark.filterwarnings("ignore::mlreg.errors.NumericalWarning")


def true_distance(params, X, y):
    """Worst contrast and each coefficient, by an independent least-squares solution."""
    best, rss, *_ = np.linalg.lstsq(X, y, rcond=None)
    s = np.sqrt(rss[0] / (len(y) - X.shape[1]))
    se = s * np.sqrt(np.diagonal(np.linalg.inv(X.T @ X)))
    return np.linalg.norm(X @ (params - best)) / s, np.abs(params - best) / se


def test_textbook_run_looks_finished_and_is_a_thousand_standard_errors_away(textbook):
    X, y = textbook
    fit = ml.fit(X, y, optimizer=ml.SGD(0.03, batch_size=32, epochs=3))
    distance, each = true_distance(fit.params, np.column_stack([np.ones(1000), X]), y)
    assert 800 < distance < 1200
    assert fit.certificate.distance == pytest.approx(distance, rel=1e-9)
    assert fit.certificate.per_param == pytest.approx(each, rel=1e-9)
    assert fit.status.code == "stopped"
    assert fit.r_squared > 0.99  # the loss curve looks finished


@pytest.mark.parametrize("shift", [0.001, 0.09, 1.0, 30.0, 1000.0, 1e9])
def test_certificate_after_shifts(textbook, shift):
    X, y = textbook
    fit = ml.fit(X, y)
    direction = np.array([1.0, -2.0, 0.5])
    moved = fit.params + shift * direction / np.linalg.norm(direction) * fit.std_errors
    found = ml.certify(moved, X, y)
    distance, each = true_distance(moved, np.column_stack([np.ones(1000), X]), y)
    slack = found.rounding.max()
    assert abs(found.distance - distance) <= 0.01 * distance + slack
    assert (np.abs(found.per_param - each) <= 0.01 * each + slack).all()
    assert found.converged == (shift < 0.1)


@nearly_collinear
@given(st.one_of(exact_ols(), designs()), st.floats(-3, 3), st.integers(0, 2**32 - 1))
def test_certificate_is_the_true_distance_of_the_rational_solution(problem, log_shift, seed):
    n, p = problem.X.shape
    fit = ml.fit(problem.X, problem.y, intercept=False)
    if fit.status.code == "perfect-fit":
        return
    direction = np.random.default_rng(seed).standard_normal(p)
    params = fit.params + 10.0**log_shift * direction * fit.std_errors
    found = ml.certify(params, problem.X, problem.y, intercept=False)
    laws.certificate_is_true_distance(found, params, problem.X, problem.exact, n - p)
    laws.gap_is_missing_likelihood(found, params, problem.X, problem.exact, n - p)
    sigma = fit.sigma * 10.0**log_shift
    with_sigma = ml.certify(params, problem.X, problem.y, intercept=False, sigma=sigma)
    laws.sigma_distance_is_log_ratio(fit, with_sigma, sigma)


def test_laws_of_the_certificate_see_one_per_cent_of_the_residuals(textbook):
    X, y = textbook[0][:30], textbook[1][:30]
    fit = ml.fit(X, y)
    params = fit.params + 3 * fit.std_errors
    found, X1 = ml.certify(params, X, y, sigma=2 * fit.sigma), np.column_stack([np.ones(30), X])
    exact = least_squares(X1, y)
    wrong = replace(found, log_likelihood_gap=1.05 * found.log_likelihood_gap)
    with pytest.raises(laws.LawViolation):
        laws.gap_is_missing_likelihood(wrong, params, X1, exact, 27)
    wrong = replace(found, sigma_distance=found.sigma_distance + 1e-9)
    with pytest.raises(laws.LawViolation):
        laws.sigma_distance_is_log_ratio(fit, wrong, 2 * fit.sigma)


def test_at_the_mle_the_distance_is_rounding(textbook):
    X, y = textbook
    certificate = ml.fit(X, y).certificate
    assert certificate.distance <= certificate.rounding.max() * np.sqrt(3)
    assert certificate.converged
    assert certificate.exact


def test_torch_linear_layer_trained_outside(textbook):
    torch = pytest.importorskip("torch")
    X, y = textbook
    torch.manual_seed(0)
    layer = torch.nn.Linear(2, 1)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.015)
    inputs = torch.tensor(X, dtype=torch.float32)
    targets = torch.tensor(y, dtype=torch.float32)[:, None]
    for _ in range(3):
        for rows in torch.randperm(1000).split(32):
            optimizer.zero_grad()
            torch.nn.functional.mse_loss(layer(inputs[rows]), targets[rows]).backward()
            optimizer.step()
    found = ml.certify(layer.weight, X, y, intercept=layer.bias)
    params = np.append(layer.bias.detach().numpy(), layer.weight.detach().numpy()).astype(float)
    distance, each = true_distance(params, np.column_stack([np.ones(1000), X]), y)
    assert distance > 10
    assert found.distance == pytest.approx(distance, rel=1e-9)
    assert found.per_param == pytest.approx(each, rel=1e-9)


def test_the_distance_bounds_every_contrast_and_one_attains_it(textbook):
    X, y = textbook
    fit = ml.fit(X, y)
    moved = fit.params + np.array([3.0, -1.0, 2.0]) * fit.std_errors
    found = ml.certify(moved, X, y)
    delta, covariance = moved - fit.params, fit.covariance()
    contrasts = np.random.default_rng(1).standard_normal((1000, 3))
    contrasts[0] = np.linalg.solve(covariance, delta)
    errors = np.abs(contrasts @ delta)
    errors /= np.sqrt(np.einsum("ij,jk,ik->i", contrasts, covariance, contrasts))
    assert errors.max() <= found.distance * (1 + 1e-9)
    assert errors[0] == pytest.approx(found.distance, rel=1e-9)


def test_sigma_and_gap(textbook):
    X, y = textbook
    fit = ml.fit(X, y)
    moved = fit.params + np.array([0, 5, 0]) * fit.std_errors
    profiled = ml.certify(moved, X, y)
    design = np.column_stack([np.ones(1000), X])
    rss, best = np.sum((y - design @ moved) ** 2), fit.rss
    assert profiled.log_likelihood_gap == pytest.approx(500 * np.log(rss / best), rel=1e-9)
    assert profiled.sigma_distance == pytest.approx(
        np.sqrt(2000) * 0.5 * np.log(rss / best), rel=1e-9
    )
    given_sigma = ml.certify(fit.params, X, y, sigma=2 * fit.sigma)
    assert given_sigma.sigma_distance == pytest.approx(np.sqrt(2000) * np.log(2), rel=1e-9)
    assert not given_sigma.converged
    nll = [gaussian.nll(fit.params, k * fit.sigma, design, y) for k in (1, 2)]
    assert given_sigma.log_likelihood_gap == pytest.approx(nll[1] - nll[0], rel=1e-9)
    elsewhere = ml.certify(moved, X, y, sigma=3 * fit.sigma)
    gap = gaussian.nll(moved, 3 * fit.sigma, design, y) - nll[0]
    assert elsewhere.log_likelihood_gap == pytest.approx(gap, rel=1e-9)
    assert given_sigma.distance < 1e-6


def test_forms_of_params_and_intercept(textbook):
    X, y = textbook
    data = {"y": y, "a": X[:, 0], "b": X[:, 1]}
    params = np.array([4.0, 2.0, -3.0])
    base = ml.certify(params, X, y)
    same = [
        ml.certify(params[1:], X, y, intercept=4.0),
        ml.certify(params[1:], X, y, intercept=4),
        ml.certify(params[None, 1:], X, y, intercept=np.float32(4)),
        ml.certify(params, np.column_stack([np.ones(1000), X]), y, intercept=False),
        ml.certify(list(params), "y ~ a + b", data),
        ml.certify({"b": -3, "Intercept": 4, "a": 2}, "y ~ a + b", data),
    ]
    for other in same:
        assert other.distance == base.distance
        assert (other.per_param == base.per_param).all()
    one = ml.certify([y.mean()], np.zeros((1000, 0)), y)
    assert one.distance < 1e-9


@pytest.mark.parametrize(
    ("params", "kwargs", "message"),
    [
        ([1.0, 2.0], {}, "params has 2 numbers for the 3 columns Intercept, x1, x2"),
        ([1.0, np.nan, 2.0], {}, "coefficient of 'x1' is NaN"),
        ([1.0, 2.0, np.inf], {}, "coefficient of 'x2' is NaN or infinite"),
        ([1.0, 2.0, 3.0], {"sigma": 0.0}, "sigma must be positive"),
        ([1.0, 2.0, 3.0], {"sigma": -1.0}, "sigma must be positive"),
        ([1.0, 2.0, 3.0], {"sigma": "x"}, "sigma must be one finite number"),
        ([1.0, 2.0, 3.0], {"noise": "cauchy"}, "noise must be a noise"),
        ([2.0, 3.0], {"intercept": "yes"}, "intercept must be one finite number"),
        ({"Intercept": 1, "x1": 1, "x3": 1}, {}, r"missing \['x2'\], unknown \['x3'\]"),
    ],
)  # fmt: skip
def test_misuse_is_named(textbook, params, kwargs, message):
    with pytest.raises(ml.MlregError, match=message):
        ml.certify(params, *textbook, **kwargs)


def test_no_certificate_without_a_unique_mle(textbook):
    X, y = textbook
    with pytest.raises(ml.RankDeficient, match="x2 = x1"):
        ml.certify(np.zeros(3), X[:, [0, 0]], y)


def test_perfect_data_make_every_error_infinite():
    X = np.arange(10.0)[:, None]
    right = ml.certify([1.0, 2.0], X, 1 + 2 * X[:, 0])
    wrong = ml.certify([1.0, 2.001], X, 1 + 2 * X[:, 0])
    assert (right.distance, wrong.distance) == (0.0, np.inf)
    assert "infinitely many" in str(wrong)


def test_absurd_params_are_infinitely_far_not_nan(textbook):
    X, y = textbook
    found = ml.certify(np.full(3, 1e300), X * 1e10, y)
    assert found.distance > 1e290
    assert not np.isnan(found.per_param).any()
    assert not np.isnan([found.sigma_distance, found.log_likelihood_gap]).any()


def test_text_says_how_far(textbook):
    X, y = textbook
    text = str(ml.certify([4.2, 2.0, -3.0], X, y))
    assert "standard errors, over all linear contrasts" in text
    assert "worst coefficient: x2" in text


@nearly_collinear
@given(exact_ols())
def test_rounding_bounds_the_true_error(problem):
    fit = ml.fit(problem.X, problem.y, intercept=False)
    if fit.status.code != "perfect-fit":
        laws.params_within_rounding(fit, problem.exact)


# Where a fit is perfect, and where it is not


def test_nearly_perfect_fits_are_told_from_perfect_ones():
    rng = np.random.default_rng(0)
    x, e = rng.standard_normal((2, 30))
    assert ml.fit(x, 1 + 2 * x + 3e-12 * e).status.code == "converged"
    assert ml.fit(x, 1 + 2 * x).status.code == "perfect-fit"
    # the terms are a million times the response: residuals of 1e-10 are rounding here
    stamps = 1e6 + np.arange(30.0)
    assert ml.fit(stamps, stamps * 0.1 - 1e5).status.code == "perfect-fit"
    # the worst-case bound reaches the residuals of collinear columns, which are no rounding
    with pytest.warns(ml.NumericalWarning):
        fit = ml.fit(np.column_stack([x, x + 1e-13 * e]), rng.standard_normal(30))
    assert fit.status.code != "perfect-fit"


def test_perfect_data_judge_each_coefficient_and_sigma():
    X = np.arange(10.0)[:, None]
    y = 1 + 2 * X[:, 0]
    wrong = ml.certify([1.0, 2.001], X, y)
    assert wrong.per_param.tolist() == [0.0, np.inf]
    assert wrong.log_likelihood_gap == np.inf
    assert ml.certify([1.0, 2.0], X, y).sigma_distance == 0
    assert ml.certify([1.0, 2.0], X, y, sigma=1.0).sigma_distance == np.inf
    assert not ml.certify([1.0, 2.0], X, y, sigma=1.0).converged


def test_gap_of_estimates_beyond_squaring(textbook):
    X, y = textbook
    fit = ml.fit(X, y)
    found = ml.certify([1e200, 0.0, 0.0], X, y)
    ratio = np.log(1e200) + 0.5 * np.log(1000 / fit.rss)
    assert found.log_likelihood_gap == pytest.approx(1000 * ratio, rel=1e-9)
    assert found.sigma_distance == pytest.approx(np.sqrt(2000) * ratio, rel=1e-9)


def test_a_pandas_series_is_matched_by_its_labels(textbook):
    import pandas as pd
    import statsmodels.formula.api as smf

    X, y = textbook
    frame = pd.DataFrame({"y": y, "x": X[:, 0], "g": np.where(X[:, 1] > 0, "a", "b")})
    theirs = smf.ols("y ~ x*C(g)", frame).fit().params
    assert ml.certify(theirs, "y ~ x*C(g)", frame).distance < 1e-6
    assert ml.certify(theirs[::-1], "y ~ x*C(g)", frame).distance < 1e-6
    series = pd.Series(ml.fit(X, y).params, index=["const", "x1", "x2"])
    assert ml.certify(series, X, y).distance < 1e-6
    assert ml.certify(pd.Series(series.to_numpy()), X, y).distance < 1e-6
    with pytest.raises(ml.InvalidInput, match="missing"):
        ml.certify(series.rename({"x1": "z"}), X, y)


def test_what_a_layer_is_not(textbook):
    X, y = textbook
    with pytest.raises(ml.InvalidInput, match="slopes alone, give intercept=VALUE"):
        ml.certify([2.0, -3.4], X, y)
    torch = pytest.importorskip("torch")
    layer = torch.nn.Linear(2, 1)
    with pytest.raises(ml.InvalidType, match="weight and bias go in as params and intercept"):
        ml.certify(list(layer.parameters()), X, y)
    with pytest.raises(ml.MlregError):
        ml.certify(layer, X, y)


def test_text_says_what_is_measured_in_which_unit_and_how_the_rounding_is_known(textbook):
    found = replace(ml.fit(*textbook).certificate, distance=1.0)
    assert str(found).startswith("distance from the MLE: 1 standard errors, over all")
    assert str(found).endswith(" standard errors (refined)")
    assert str(replace(found, refined=False)).endswith(" standard errors (worst case)")
    map_ = str(replace(found, posterior=True))
    assert map_.startswith("distance from the posterior mode (MAP): 1 posterior standard dev")
    assert map_.endswith(" posterior standard deviations (refined)")
    assert "; log-posterior gap: " in map_
    # the quadratic model of a local certificate is taken at its word up to one standard error
    assert str(replace(found, exact=False)).split("\n")[0] == str(found).split("\n")[0]
    text = str(replace(found, exact=False, distance=1.01))
    assert ": far (the local model says 1.01 standard errors), over" in text


def test_an_infinite_distance_still_names_its_columns(textbook):
    found = ml.certify([1e308, 1e308, -1e308], *textbook)
    assert found.distance == np.inf
    assert found.names == ("Intercept", "x1", "x2")
    assert found.exact
    assert "worst coefficient: Intercept, inf" in str(found)


def test_a_fit_for_its_params_is_said_to_be_one():
    data = ml.datasets.norris()
    fit = ml.fit(data.X, data.y)
    with pytest.raises(ml.InvalidInput, match=r"give its fit\.params"):
        ml.certify(fit, data.X, data.y)
