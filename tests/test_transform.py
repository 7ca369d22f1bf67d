"""Fits of transformed responses, as a user sees them.

References: scipy.stats, statsmodels, and the same fit of a response transformed by hand.
"""

import copy
import json
import math
import pickle

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats

import mlreg as ml
from mlreg.cli import main
from mlreg.likelihood.transform import TRANSFORMS, Log

U = 2.0**-53
N = 80


def data(seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(N)
    return x, np.exp(0.5 - 0.7 * x + 0.4 * rng.standard_normal(N))


def rounding(*terms):
    """Of sums of so many terms, each with a few roundings."""
    return 8 * N * U * sum(np.abs(t).sum() for t in terms)


def test_aic_compares_a_log_normal_with_a_normal_model_as_scipy_does():
    x, y = data()
    log_normal, normal = ml.fit(x, y, transform="log"), ml.fit(x, y)
    X = np.column_stack([np.ones(N), x])
    theirs = []
    for fit, t in ((log_normal, np.log(y)), (normal, y)):
        beta = np.linalg.lstsq(X, t, rcond=None)[0]
        sigma = np.sqrt(np.mean((t - X @ beta) ** 2))
        mu = X @ beta
        law = stats.lognorm(sigma, scale=np.exp(mu)) if t is not y else stats.norm(mu, sigma)
        theirs.append(law.logpdf(y))
        assert abs(fit.log_likelihood - theirs[-1].sum()) <= rounding(theirs[-1], np.log(y))
    difference = 2 * (theirs[1].sum() - theirs[0].sum())
    assert log_normal.aic - normal.aic < -10  # these data are log-normal
    assert abs(log_normal.aic - normal.aic - difference) <= 4 * rounding(*theirs)
    without = ml.fit(x, np.log(y))
    assert abs(without.nll + np.log(y).sum() - log_normal.nll) <= rounding(np.log(y), theirs[0])


def test_the_rest_is_statsmodels_of_the_log():
    x, y = data(1)
    fit, theirs = ml.fit(x, y, transform="log"), sm.OLS(np.log(y), sm.add_constant(x)).fit()
    expected = theirs.llf - np.log(y).sum()
    assert abs(fit.log_likelihood - expected) <= rounding(np.log(y), [N, expected])
    assert abs(fit.aic - (theirs.aic + 2 + 2 * np.log(y).sum())) <= 4 * rounding(np.log(y), [N])
    for ours, other in (
        (fit.params, theirs.params),
        (fit.std_errors, theirs.bse),
        (fit.r_squared, theirs.rsquared),
        (fit.residuals(), theirs.resid),
        (fit.fitted_values(), theirs.fittedvalues),
    ):
        assert np.abs(ours - other).max() <= rounding(np.log(y))
    new = np.array([-1.0, 0.0, 2.0])
    table = theirs.get_prediction(sm.add_constant(new)).summary_frame(alpha=0.1)
    for interval, kind in (("mean", "mean_ci"), ("prediction", "obs_ci")):
        found = fit.predict(new, interval, 0.9)
        for ours, other in ((found.mean, "mean"), (found.lower, f"{kind}_lower")):
            assert np.abs(ours / np.exp(table[other]) - 1).max() <= rounding(np.log(y))
        assert np.abs(found.upper / np.exp(table[f"{kind}_upper"]) - 1).max() <= 1e3 * N * U


@pytest.mark.parametrize("name", TRANSFORMS)
def test_predictions_come_back(name):
    x, y = data(2)
    transform, new = TRANSFORMS[name], np.array([-1.0, 0.0, 0.5])
    fit, plain = ml.fit(x, y, transform=name), ml.fit(x, TRANSFORMS[name].forward(y))
    linear = plain.predict(new)
    assert (fit.predict(new, of="transformed") == linear).all()
    assert (fit.predict(new) == transform.inverse(linear)).all()
    mean = fit.predict(new, of="mean")
    assert (mean == transform.mean(linear, plain.sigma, ml.Gaussian())).all()
    assert (mean > fit.predict(new)).all()
    if name == "log":
        theirs = stats.lognorm(fit.sigma, scale=np.exp(linear)).mean()
        assert np.abs(mean / theirs - 1).max() <= 32 * U
    for interval in ("mean", "prediction"):
        expected = plain.predict(new, interval, 0.8)
        same = fit.predict(new, interval, 0.8, of="transformed")
        back = fit.predict(new, interval, level=0.8)
        for part in ("mean", "lower", "upper"):
            assert (getattr(same, part) == getattr(expected, part)).all()
            assert (getattr(back, part) == transform.inverse(getattr(expected, part))).all()
    with_mean = fit.predict(new, "prediction", 0.8, of="mean")
    assert (with_mean.mean == mean).all()
    assert (with_mean.upper == back.upper).all()


def test_what_predict_refuses():
    x, y = data(3)
    fit, plain = ml.fit(x, y, transform="log"), ml.fit(x, y)
    with pytest.raises(ml.InvalidInput, match="limits for the mean of a transformed response"):
        fit.predict(x, "mean", of="mean")
    with pytest.raises(ml.InvalidInput, match="of must be 'median', 'mean' or 'transformed'"):
        fit.predict(x, of="mode")
    for of in ("median", "mean", "transformed"):
        assert (plain.predict(x, of=of) == plain.predict(x)).all()
        assert (plain.predict(x, "mean", of=of).upper == plain.predict(x, "mean").upper).all()
    wild = ml.fit(x, np.exp(100 * np.log(y)), transform="log")
    with pytest.raises(ml.InvalidInput, match=r"or is beyond floating point.*take the median"):
        wild.predict(x, of="mean")


def test_every_way_in_is_the_same_fit(tmp_path):
    x, y = data(4)
    k, w = np.arange(N) % 3, 1 + x**2
    weights = {"frequency_weights": "k", "precision_weights": "w"}
    frame = pd.DataFrame({"y": y, "x": x, "k": k, "w": w})
    frame.to_parquet(tmp_path / "rows.parquet")
    lazy = ml.read(tmp_path / "rows.parquet")
    expected = ml.fit(x, y, frequency_weights=k, precision_weights=w, transform="log")
    rows = np.repeat(np.arange(N), k)
    arrays = {"precision_weights": w, "frequency_weights": k}
    parts = [
        ml.SufficientStatistics().update("log(y) ~ x", part, **weights)
        for part in (frame[:30], frame[30:])
    ]
    fits = [
        ml.fit("log(y) ~ x", frame, **weights),
        ml.fit("y ~ x", frame, transform="log", **weights),
        ml.fit("log(y) ~ x", lazy, **weights),
        ml.fit("y ~ x", lazy, transform="log", **weights),
        ml.fit(ml.read(tmp_path / "rows.parquet", "np.log(y) ~ x", **weights)),
        ml.fit(x[rows], y[rows], precision_weights=w[rows], transform=Log()),
        ml.fit(ml.SufficientStatistics().update(x, y, transform="log", **arrays)),
        ml.fit(ml.SufficientStatistics().update("y ~ x", lazy, transform="log", **weights)),
        ml.fit(parts[0] + parts[1]),
        ml.fit(x, y, transform="log", progress=True, **arrays),
    ]
    for fit in fits:
        assert fit.design.transform == Log()
        allowed = fit.certificate.rounding + expected.certificate.rounding + 16 * U
        moved = np.abs(fit.params - expected.params) / expected.std_errors
        assert (moved <= allowed).all()
        assert abs(fit.log_jacobian - expected.log_jacobian) <= rounding(np.log(y))
        assert abs(fit.nll - expected.nll) <= rounding(np.log(y), [expected.nll])
        new = [[0.5]] if fit.names[1] == "x1" else {"x": [0.5]}
        assert abs(fit.predict(new)[0] - expected.predict([[0.5]])[0]) <= rounding([1.0])
        assert fit.summary().startswith("Gaussian linear model of log(y), fitted by Exact()")
        assert "likelihood is that of y, by the Jacobian" in fit.summary().splitlines()[0]
    assert "Jacobian" not in ml.fit(x, y).summary()
    part = ml.fit(
        ml.SufficientStatistics().update(np.column_stack([x, x**2]), y, transform="log"),
        columns=["x2"],
    )
    assert part.design.transform == Log()
    assert abs(part.nll - ml.fit(x**2, y, transform="log").nll) <= rounding(np.log(y), [part.nll])


def test_statistics_of_different_transforms_do_not_mix(tmp_path):
    x, y = data(5)
    logs = ml.SufficientStatistics().update(x, y, transform="log")
    with pytest.raises(ml.InvalidInput, match=r"Intercept, x1, log\(y\) and Intercept, x1, y\."):
        logs + ml.SufficientStatistics().update(x, y)
    with pytest.raises(ml.InvalidInput, match="statistics of different columns"):
        logs.update(x, y, transform="log2")
    with pytest.raises(ml.InvalidInput, match="hold their design: leave out transform"):
        ml.fit(logs, transform="log")
    logs.save(tmp_path / "stats.json")
    again = ml.SufficientStatistics.load(tmp_path / "stats.json")
    assert again.transform == Log()
    assert ml.fit(again).nll == ml.fit(logs).nll
    # what an older version wrote
    old = json.loads((tmp_path / "stats.json").read_text())
    del old["log_jacobian"], old["design"]["transform"]
    (tmp_path / "old.json").write_text(json.dumps(old))
    before = ml.fit(ml.SufficientStatistics.load(tmp_path / "old.json"))
    assert before.design.transform is None
    assert before.nll == ml.fit(ml.SufficientStatistics().update(x, np.log(y))).nll
    (tmp_path / "bad.json").write_text(json.dumps(old | {"log_jacobian": "much"}))
    with pytest.raises(ml.InvalidInput, match="damaged"):
        ml.SufficientStatistics.load(tmp_path / "bad.json")


def test_save_and_load(tmp_path):
    x, y = data(6)
    fits = [ml.fit(x, y, transform="log1p"), ml.fit("np.arcsinh(y) ~ x", {"x": x, "y": y})]
    for fit in fits:
        fit.save(tmp_path / "fit.json")
        for again in (ml.load(tmp_path / "fit.json"), pickle.loads(pickle.dumps(fit))):
            assert again.nll == fit.nll
            assert again.log_jacobian == fit.log_jacobian != 0
            assert again.summary() == fit.summary()
            new = {fit.names[1]: [0.1, 0.2]}
            assert (again.predict(new, of="mean") == fit.predict(new, of="mean")).all()
        assert copy.deepcopy(fit).nll == fit.nll


def test_optimizers_and_certificates_are_those_of_the_transformed_response():
    x, y = data(7)
    fit = ml.fit(x, y, transform="log")
    sgd = ml.fit(x, y, transform="log", optimizer=ml.SGD(0.1, epochs=30))
    plain = ml.fit(x, np.log(y), optimizer=ml.SGD(0.1, epochs=30))
    assert (sgd.params == plain.params).all()
    each = np.log(y).sum() / N
    gap = sgd.history.mean_nll - plain.history.mean_nll - each
    assert np.abs(gap).max() <= rounding(np.log(y)) / N + 16 * U
    assert abs(sgd.history.mean_nll[-1] * N - sgd.nll) <= rounding(np.log(y), [sgd.nll])
    scipy = ml.fit(x, y, transform="log", optimizer=ml.Scipy("BFGS"))
    assert scipy.certificate.distance < 0.1
    assert ml.certify(fit.params, x, y, transform="log").distance <= 1e-12
    frame = {"x": x, "y": y}
    assert ml.certify(fit.params, "log(y) ~ x", frame).distance <= 1e-12
    assert ml.certify(fit.params, "y ~ x", frame, transform="log").distance <= 1e-12
    assert ml.certify(fit.params, x, y).distance > 1


def test_a_perfect_fit_and_dependent_columns():
    x = np.linspace(-1, 1, 9)
    fit = ml.fit(x, np.exp2(np.round(4 * x)), transform="log2")
    assert fit.n_rows == 9
    constant = ml.fit(np.ones((9, 1)), np.full(9, 8.0), intercept=False, transform="log2")
    assert constant.nll == -math.inf
    assert constant.predict([[1.0]], of="mean").tolist() == [8]
    X = np.column_stack([x, 2 * x])
    y = np.exp(x + 0.1 * np.cos(9 * x))
    dropped = ml.fit(X, y, transform="log", rank_deficient="drop")
    assert dropped.log_jacobian == ml.fit(x, y, transform="log").log_jacobian


def test_command_line(tmp_path, capsys):
    x, y = data(8)
    path = str(tmp_path / "rows.csv")
    pd.DataFrame({"x": x, "y": y}).to_csv(path, index=False)
    expected = ml.fit(x, y, transform="log")
    for command in (["log(y) ~ x"], ["y ~ x", "--transform", "log"]):
        assert main(["fit", path, *command, "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert told["transform"] == "log"
        assert abs(told["aic"] - expected.aic) <= 4 * rounding(np.log(y), [expected.nll])
    params = ",".join(map(repr, expected.params.tolist()))
    arguments = [path, "y ~ x", "--transform", "log", f"--params={params}"]
    assert main(["certify", *arguments]) == 0
    capsys.readouterr()
    assert main(["fit", path, "y ~ x", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["transform"] is None
    assert main(["fit", path, "y ~ x", "--transform", "sqrt"]) == 2
    assert "invalid choice: 'sqrt'" in capsys.readouterr().err
    assert main(["fit", path, "log(y) ~ x", "--transform", "log"]) == 2
    assert "transforms its response already" in capsys.readouterr().err


def test_a_cauchy_response_has_a_median_and_no_mean():
    x, y = data(9)
    fit = ml.fit(x, np.log(y), noise=ml.StudentT(1))
    assert np.isfinite(fit.predict(x[:3])).all()
    with pytest.raises(ml.InvalidInput, match="has no mean"):
        fit.predict(x[:3], of="mean")
    light = ml.fit(x, np.log(y), noise=ml.StudentT(3))
    assert (light.predict(x[:3], of="mean") == light.predict(x[:3])).all()
