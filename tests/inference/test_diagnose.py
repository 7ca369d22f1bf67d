"""It says nothing of clean data, and finds what was planted."""

import json

import numpy as np
import pytest
from scipy.stats import binom, norm, t

import mlreg as ml
from mlreg.inference.diagnose import holm


def about(fit, **options):
    return [finding.about for finding in fit.diagnose(**options).findings]


def clean(rng, n=100):
    X = rng.normal(size=(n, 2))
    return X, X @ [1.0, -1.0], rng.normal(size=n)


def false_alarms(n, times):
    rng, found = np.random.default_rng(5), 0
    for _ in range(times):
        X, mean, e = clean(rng, n)
        found += not ml.fit(X, mean + e).diagnose(time_ordered=True).ok
    return found


def test_it_does_not_cry_wolf():
    # more than 5 % in truth of 60: a false alarm of this test has probability below 1e-4
    assert false_alarms(60, 60) <= binom.isf(1e-4, 60, 0.05)


@pytest.mark.slow
@pytest.mark.parametrize("n", [20, 100, 1000])
def test_it_does_not_cry_wolf_in_many_sets(n):
    assert false_alarms(n, 600) <= binom.isf(1e-4, 600, 0.05)


PLANTED = {
    "heteroscedasticity": lambda X, e: e * np.exp(0.7 * X[:, 0]),
    "nonlinearity": lambda X, e: e + 0.5 * (X @ [1.0, -1.0]) ** 2,
    "heavy tails": lambda X, e: t.ppf(norm.cdf(e), 3),
    "skewed noise": lambda X, e: np.exp(e),
    "outliers": lambda X, e: e + 8 * (np.arange(len(e)) == 17),
    "autocorrelation": lambda X, e: e + 0.9 * np.roll(e, 1),
}


@pytest.mark.parametrize("fault", PLANTED)
def test_it_finds_what_is_planted(fault):
    rng, found = np.random.default_rng(11), 0
    for _ in range(10):
        X, mean, e = clean(rng, 200)
        fit = ml.fit(X, mean + PLANTED[fault](X, e))
        found += fault in about(fit, time_ordered=fault == "autocorrelation")
    assert found >= 8  # the power is above 0.95 (measured): a false alarm below 0.02 of seeds


def test_each_statement_has_its_number_and_a_remedy():
    X, mean, e = clean(np.random.default_rng(0), 300)
    y = mean + e * np.exp(X[:, 0])
    found = ml.fit(X, y).diagnose()
    text = str(found)
    assert [f.about for f in found.findings] == ["outliers", "heteroscedasticity", "heavy tails"]
    assert "2. heteroscedasticity: the variance of the noise changes" in text
    (row,) = ml.fit(X, y).influence().largest(1, by="externally_studentised").rows
    assert f"rows {row} (t = " in text
    assert 'fit.with_covariance("HC3")' in text
    assert 'scale="~ x1 + x2"' in text
    assert "not looked at: autocorrelation: say time_ordered=True" in text
    plain = json.loads(json.dumps(found.to_dict()))
    assert plain["findings"][1]["about"] == "heteroscedasticity"
    assert plain["findings"][1]["p_value"] == found.findings[1].p_value
    assert plain["tests"][0]["name"] == "breusch-pagan"
    # what it recommends finds nothing more of the kind
    assert about(ml.fit(X, y, scale="~ x1 + x2")) == []


def test_rows_are_named_as_the_user_knows_them():
    X, mean, e = clean(np.random.default_rng(2), 100)
    e[50] += 9
    gaps = X.copy()
    gaps[:30, 0] = np.nan
    (finding,) = [
        f
        for f in ml.fit(gaps, mean + e, missing="drop").diagnose().findings
        if f.about == "outliers"
    ]
    assert "row 50 (t = " in finding.statement
    table = {"x": gaps[:, 0], "y": mean + e}
    assert "row 50 (t = " in str(ml.fit("y ~ x", table, missing="drop").diagnose())


def test_the_design_and_the_optimizer_are_looked_at():
    rng = np.random.default_rng(3)
    X, mean, e = clean(rng, 100)
    near = np.column_stack([X, X[:, 0] + 0.1 * rng.normal(size=100)])
    found = ml.fit(near, mean + e).diagnose()
    assert [f.about for f in found.findings] == ["collinearity"]
    assert "x1 (" in found.findings[0].statement
    assert "x3 (" in found.findings[0].statement
    assert about(ml.fit(X + 1e4, mean + e)) == []  # an offset is no collinearity
    alone = X.copy()
    alone[:, 1] = np.arange(100) == 40
    found = ml.fit(alone, mean + e).diagnose()
    assert [f.about for f in found.findings] == ["leverage 1"]
    assert "such as 40" in found.findings[0].statement
    assert about(ml.fit(X[:8], (mean + e)[:8])) == ["few rows"]
    assert about(ml.fit(X[:3], (mean + e)[:3]))[:2] == ["perfect fit", "few rows"]
    perfect = ml.fit(X, mean).diagnose()
    assert [f.about for f in perfect.findings] == ["perfect fit"]
    assert "fit perfectly" in str(perfect)
    stopped = ml.fit(X, mean + e, optimizer=ml.SGD(0.01, epochs=1)).diagnose()
    assert [f.about for f in stopped.findings] == ["not the MLE"]
    assert "standard errors from it" in stopped.findings[0].statement


def test_what_cannot_be_looked_at_is_said(tmp_path):
    X, mean, e = clean(np.random.default_rng(4))
    fit = ml.fit(X, mean + e)
    fit.save(tmp_path / "fit.json")
    loaded = ml.load(tmp_path / "fit.json").diagnose()
    assert loaded.ok
    assert "jarque-bera, reset, leverage and outliers: this fit is without its rows" in str(loaded)

    robust = ml.fit(X, mean + e, noise=ml.StudentT(4)).diagnose()
    assert robust.ok
    assert "StudentT" in dict(robust.not_looked_at)["leverage and outliers"]
    with pytest.raises(ml.InvalidInput, match="level must be"):
        fit.diagnose(level=5)


def test_holm_by_hand():
    assert (holm(np.array([0.04, 0.01, 0.03])) == [0.06, 0.03, 0.06]).all()
    assert holm(np.zeros(0)).shape == (0,)


def test_it_does_not_advise_what_has_been_done():
    rng = np.random.default_rng(3)
    X = rng.standard_normal((300, 2))
    fit = ml.fit(X, X.sum(axis=1) + np.exp(X[:, 0]) * rng.standard_normal(300))
    assert 'fit.with_covariance("HC3")' in str(fit.diagnose())
    assert "of this fit, HC2, allow for it" in str(fit.with_covariance("HC2").diagnose())
    assert 'fit.with_covariance("HC3")' in str(fit.with_covariance("observed").diagnose())
