"""Collinearity beside statsmodels, its definitions, and its edges."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.api import OLS
from statsmodels.stats.outliers_influence import variance_inflation_factor

import mlreg as ml

U = 2.0**-53


@given(st.integers(0, 2**32 - 1), st.booleans(), st.sampled_from([0.0, 1e3]))
def test_inflation_is_that_of_statsmodels_whatever_the_units(seed, intercept, offset):
    rng = np.random.default_rng(seed)
    n, p = 30, int(rng.integers(2, 5))
    X = rng.normal(size=(n, p)) @ (np.eye(p) + rng.uniform(-0.5, 0.5, (p, p)))
    y, scale = rng.normal(size=n), 10.0 ** rng.integers(-9, 10, p)
    shift = offset * intercept
    fit = ml.fit((X + shift) * scale, y, intercept=intercept)
    ours = fit.collinearity().vif[int(intercept) :]
    exog = np.column_stack([np.ones(n), X]) if intercept else X
    if intercept:
        theirs = [variance_inflation_factor(exog, j) for j in range(1, exog.shape[1])]
    else:  # its newer versions centre the columns all the same: the regressions that it stands for
        each = [OLS(X[:, j], np.delete(X, j, axis=1)).fit() for j in range(p)]
        theirs = [1 / (1 - of_others.rsquared) for of_others in each]
    # X moved by its rounding, and statsmodels' own least squares, as columns of that condition
    condition = np.linalg.cond(exog)
    bound = 200 * U * condition**2 * (1 + abs(shift) / np.linalg.norm(X, axis=0).min())
    assert (np.abs(ours - theirs) <= bound * np.square(theirs)).all()
    assert fit.collinearity(centred=True).vif.shape == (p,)


def test_condition_indices_and_proportions_are_by_their_definition():
    d = ml.datasets.longley()
    fit = ml.fit(d.X, d.y)
    found = fit.collinearity()
    X = np.column_stack([np.ones(16), d.X])
    unit = X / np.linalg.norm(X, axis=0)
    values, vectors = np.linalg.eigh(unit.T @ unit)
    index = np.sqrt(values[-1] / values[::-1])
    # the eigenvalues of a product are right to u times the largest: to u·index² each
    assert (np.abs(found.condition_indices - index) <= 100 * U * index**3).all()
    assert np.abs(found.proportions.sum(axis=0) - 1).max() <= 16 * U
    parts = vectors.T[::-1] ** 2 / values[::-1, None]
    assert np.abs(found.proportions - parts / parts.sum(axis=0)).max() <= 100 * U * index[-1] ** 2
    # the published diagnosis: Longley's condition index is 43 275
    assert round(found.condition_indices[-1]) == 43275
    inflation = fit.std_errors**2 / fit.residual_std_error**2 * np.sum((X - X.mean(0)) ** 2, 0)
    assert np.abs(found.vif / inflation - 1)[1:].max() <= fit.R.epsilon * index[-1]
    assert "x6" in str(found)


def test_a_centred_design_does_not_know_the_offset():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(50, 2)), rng.normal(size=50)
    near, far = (ml.fit(X + c, y).collinearity(centred=True) for c in (0, 2.0**20))
    assert near.names == far.names == ("x1", "x2")
    assert far.condition_indices[-1] < 2
    assert np.abs(near.condition_indices - far.condition_indices).max() <= 2**20 * 1000 * U
    assert ml.fit(X + 2.0**20, y).collinearity().condition_indices[-1] > 1e5


def test_terms_of_several_columns_have_one_inflation():
    pytest.importorskip("formulaic")
    rng = np.random.default_rng(1)
    group = np.array(list("abcd"))[rng.integers(0, 4, 200)]
    x = rng.normal(size=200) + (group == "b")
    table = {"y": rng.normal(size=200), "x": x, "g": group}
    fit = ml.fit("y ~ x + C(g)", table)
    found = fit.collinearity()
    assert found.terms == ("Intercept", "x", *["C(g)"] * 3)
    assert list(found.term_df) == [1, 1, 3, 3, 3]
    C = np.corrcoef(np.column_stack([x, *(group == level for level in "bcd")]).T)
    gvif = np.linalg.det(C[1:, 1:]) / np.linalg.det(C)
    assert np.abs(found.gvif[1:] / gvif - 1).max() <= 1e-13  # determinants of order one
    # two terms inflate each other equally, and no choice of the base level changes it
    assert abs(found.gvif[1] / found.vif[1] - 1) <= 1e-13
    other = ml.fit("y ~ x + C(g, contr.treatment(base='c'))", table).collinearity()
    assert abs(other.gvif[2] / gvif - 1) <= 1e-13
    assert "GVIF" in str(found)


def test_what_was_left_out_and_what_is_loaded(tmp_path):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 2))
    X = np.column_stack([X, X @ [1.0, 1.0]])
    fit = ml.fit(X, rng.normal(size=40), rank_deficient="drop")
    found = fit.collinearity()
    assert found.names == ("Intercept", "x1", "x2")
    assert (found.vif[1:] < 2).all()
    fit.save(tmp_path / "fit.json")
    assert (ml.load(tmp_path / "fit.json").collinearity().vif[1:] == found.vif[1:]).all()
    alone = ml.fit(np.ones((5, 1)), np.arange(5.0), intercept=False).collinearity(centred=True)
    assert alone.names == ()
    assert "largest condition index" in str(alone)
    robust = ml.fit(X[:, :2], rng.normal(size=40), noise=ml.Logistic()).collinearity()
    assert np.abs(robust.vif - found.vif)[1:].max() <= 1e-13


def test_columns_that_only_a_prior_tells_apart():
    rng = np.random.default_rng(0)
    x = rng.normal(size=40)
    fit = ml.fit(np.column_stack([x, x]), rng.normal(size=40), prior=ml.NormalPrior(1.0))
    with pytest.raises(ml.InvalidInput, match="only the prior tells them apart"):
        fit.collinearity()
    assert "only the prior" in dict(fit.diagnose().not_looked_at)["collinearity"]
