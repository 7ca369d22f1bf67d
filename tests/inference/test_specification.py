"""Specification tests beside statsmodels, their laws under the null, power, and refusals."""

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.stats import kstest
from statsmodels.stats.diagnostic import het_breuschpagan, het_white, linear_reset
from statsmodels.stats.stattools import durbin_watson, jarque_bera

import mlreg as ml
from mlreg.inference import specification
from mlreg.inference.specification import DRAWS

U = 2.0**-53
KINDS = ["breusch-pagan", "white", "jarque-bera", "durbin-watson", "reset"]


def problem(seed=0, n=60):
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, (n, 2))
    return X, X @ [1.0, -2.0] + (1 + X[:, 0] / 2) * rng.standard_t(4, n)


@pytest.mark.parametrize("weighted", [False, True])
def test_they_are_statsmodels_tests_whatever_the_units(weighted):
    X, y = problem()
    w = np.random.default_rng(1).uniform(0.5, 2, 60) if weighted else np.ones(60)
    X1, root = np.column_stack([np.ones(60), X]), np.sqrt(w)
    theirs = sm.OLS(y * root, X1 * root[:, None]).fit()
    bp, white = (test(theirs.resid, X1) for test in (het_breuschpagan, het_white))
    jb, reset = jarque_bera(theirs.resid), linear_reset(theirs, use_f=True)
    far = (X + 100) * [1e-7, 1e6]  # digits of X that rounding takes: 100 of them
    given = {"precision_weights": w} if weighted else {}
    fit = ml.fit(far, y * 1e5 + 1e6, **given)
    found = {kind: fit.specification_test(kind) for kind in KINDS}
    bound = 1e5 * U  # a thousand roundings, at a hundred times the unit
    for kind, statistic, p_value in (
        ("breusch-pagan", bp[0], bp[1]),
        ("white", white[0], white[1]),
        ("jarque-bera", jb[0], None),
        ("durbin-watson", durbin_watson(theirs.resid), None),
        ("reset", float(reset.statistic), float(reset.pvalue)),
    ):
        if kind == "reset" and weighted:
            continue  # its powers are of the response without its mean
        assert abs(found[kind].statistic - statistic) <= bound * (1 + statistic), kind
        if p_value is not None:
            assert abs(found[kind].p_value - p_value) <= bound * 10 * (1 + statistic), kind
    assert found["breusch-pagan"].df == (2,)
    assert found["white"].df == (5,)
    assert found["reset"].df == (2, 55)
    assert abs(found["jarque-bera"].details["chi2_p_value"] - jb[1]) <= bound * (1 + jb[0])
    assert "equal" not in str(found["reset"])
    assert "the mean is linear" in str(found["reset"])


def test_white_counts_the_columns_that_differ():
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.integers(0, 2, 200), rng.normal(size=200)]).astype(float)
    # of the five squares and products of a dummy d and x, d² is d
    assert ml.fit(X, rng.normal(size=200)).specification_test("white").df == (4,)


def test_mean_and_variance_of_durbin_watson_are_those_of_the_matrices():
    rng = np.random.default_rng(0)
    n, p = 12, 3
    X = np.column_stack([np.ones(n), np.cumsum(rng.normal(size=(n, 2)), axis=0)])
    D = np.diff(np.eye(n), axis=0)
    A, M = D.T @ D, np.eye(n) - X @ np.linalg.pinv(X)
    mean = np.trace(M @ A) / (n - p)
    MA = M @ A
    variance = 2 * (np.trace(MA @ MA) - mean**2 * (n - p)) / ((n - p) * (n - p + 2))
    from scipy.stats import beta

    size = mean / 4 * (1 - mean / 4) / (variance / 16) - 1
    for seed in range(5):
        y = np.random.default_rng(seed).normal(size=n)
        found = ml.fit(X[:, 1:], y).specification_test("durbin-watson")
        below = beta.cdf(found.statistic / 4, mean / 4 * size, (1 - mean / 4) * size)
        assert abs(found.p_value - 2 * min(below, 1 - below)) <= 1e-11


def test_blocks_do_not_change_durbin_watson(tmp_path):
    pq, pa = pytest.importorskip("pyarrow.parquet"), pytest.importorskip("pyarrow")
    X, y = problem(n=3000)
    pq.write_table(
        pa.table({"a": X[:, 0], "b": X[:, 1], "y": y}), tmp_path / "t.parquet", row_group_size=700
    )
    found = ml.fit(ml.read(tmp_path / "t.parquet", "y ~ a + b"))
    memory = ml.fit(X, y)
    for kind in KINDS:
        ours, theirs = (fit.specification_test(kind) for fit in (found, memory))
        assert abs(ours.statistic - theirs.statistic) <= 1e-11 * (1 + theirs.statistic), kind
    blocks = [len(b.y) for b in memory.source.blocks()]
    assert len(blocks) > 1 or len(y) <= blocks[0]


def test_frequencies_are_repeated_rows():
    X, y = problem()
    k = np.random.default_rng(0).integers(0, 4, 60)
    found, repeated = ml.fit(X, y, frequency_weights=k), ml.fit(X.repeat(k, 0), y.repeat(k))
    for kind in ("breusch-pagan", "white", "jarque-bera", "reset"):
        ours, theirs = (fit.specification_test(kind) for fit in (found, repeated))
        assert ours.n_used == k.sum()
        assert abs(ours.statistic - theirs.statistic) <= 1e-11 * (1 + theirs.statistic), kind
    with pytest.raises(ml.InvalidInput, match="in order of time"):
        found.specification_test("durbin-watson")


def test_of_many_rows_it_takes_a_sample(monkeypatch):
    X, y = problem(n=4000)
    k = np.random.default_rng(0).integers(1, 4, 4000)
    for given in ({}, {"frequency_weights": k}):
        fit = ml.fit(X, y, **given)
        monkeypatch.setattr(specification, "NUMBERS", 6000)
        sampled = fit.specification_test("breusch-pagan")
        assert sampled.n_used == 2000
        assert sampled.p_value < 1e-6  # the variance goes from 1/4 to 9/4
        assert sampled == fit.specification_test("breusch-pagan")
        monkeypatch.undo()


def test_refusals_say_why():
    X, y = problem()
    fit = ml.fit(X, y)
    with pytest.raises(ml.InvalidInput, match="kind must be one of 'breusch-pagan'"):
        fit.specification_test("levene")
    with pytest.raises(ml.InvalidInput, match="this fit has Logistic"):
        ml.fit(X, y, noise=ml.Logistic()).specification_test("reset")
    with pytest.raises(ml.InvalidInput, match="fit perfectly"):
        ml.fit(X, X @ [1.0, 2.0]).specification_test("jarque-bera")
    with pytest.raises(ml.InvalidInput, match="a constant only"):
        ml.fit(np.ones((9, 1)), y[:9], intercept=False).specification_test("breusch-pagan")
    with pytest.raises(ml.InvalidInput, match="are too few"):
        ml.fit(X[:6], y[:6]).specification_test("white")
    with pytest.raises(ml.InvalidInput, match="'reset' has nothing to add"):
        ml.fit((X[:, :1] > 0).astype(float), y).specification_test("reset")
    with pytest.raises(ml.InvalidInput, match="3 residual degrees of freedom; there are 2"):
        ml.fit(X[:5], y[:5]).specification_test("durbin-watson")
    stats = ml.SufficientStatistics().update(X, y)
    with pytest.raises(ml.DataNeeded):
        ml.fit(stats).specification_test("reset")


def p_values(kind, n, times, seed, of=lambda X, e: e):
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(times):
        X, e = rng.normal(size=(n, 2)), rng.normal(size=n)
        found.append(ml.fit(X, X @ [1.0, -1.0] + of(X, e)).specification_test(kind).p_value)
    return np.array(found)


@pytest.mark.parametrize(
    ("kind", "of"),
    [
        ("breusch-pagan", lambda X, e: e * np.exp(0.7 * X[:, 0])),
        ("white", lambda X, e: e * (0.3 + X[:, 0] ** 2)),
        ("jarque-bera", lambda X, e: e / np.sqrt(np.abs(e[::-1]) + 0.05)),
        ("durbin-watson", lambda X, e: e + 0.9 * np.roll(e, 1)),
        ("reset", lambda X, e: e + (X @ [1.0, -1.0]) ** 2),
    ],
)
def test_each_finds_what_it_is_for(kind, of):
    # of 20 sets of 200 rows at least 15 have p < 1e-3: the power is above 0.95 (measured), so that
    # a false alarm has probability below 1e-3
    assert (p_values(kind, 200, 20, 1, of) <= 1.5e-3).sum() >= 15


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_p_values_are_uniform_under_the_null(kind):
    # RESET and Jarque-Bera are exact at any n, Durbin-Watson nearly; the others as n grows
    n = {"breusch-pagan": 400, "white": 800}.get(kind, 25)
    p = p_values(kind, n, 2000, 7)
    if kind == "jarque-bera":  # uniform on 1/1000, 2/1000, ...
        p = p - np.random.default_rng(0).uniform(0, 1 / (1 + DRAWS), len(p))
    assert kstest(p, "uniform").pvalue > 1e-4  # the false-alarm probability
