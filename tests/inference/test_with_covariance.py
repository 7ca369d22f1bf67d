"""A fit that uses another covariance: everything that follows from it, and the edges."""

import json

import numpy as np
import pytest
from scipy import stats

import mlreg as ml
from mlreg.verify.registry import U

N = 60
rng = np.random.default_rng(8)
X = rng.standard_normal((N, 2)) * [1.0, 3.0]
Y = 2 + X @ [1.0, -0.5] + rng.standard_normal(N) * (0.3 + np.abs(X[:, 0]))
D = np.column_stack([np.ones(N), X])
FIRM = np.arange(N) % 10
PLAIN = ml.fit(X, Y)
CASES = {"HC3": ({}, N - 3), "cluster": ({"groups": FIRM}, 9), "HAC": ({"lags": 2}, N - 3)}
EPS = 256 * N * 3 * U  # of sums of N products, solved for three well-conditioned coefficients


@pytest.mark.parametrize("kind", CASES)
def test_all_that_follows_uses_it(kind):
    options, df = CASES[kind]
    V = PLAIN.covariance(kind, **options)
    fit = PLAIN.with_covariance(kind, **options)
    assert fit.robust.kind == kind
    assert fit.df_quantiles == df
    assert np.array_equal(fit.params, PLAIN.params)
    assert np.array_equal(fit.covariance(), V)
    se = np.sqrt(np.diagonal(V))
    assert fit.std_errors == pytest.approx(se, rel=EPS)
    assert not np.allclose(fit.std_errors, PLAIN.std_errors, rtol=0.01)
    t, q = fit.params / se, stats.t.ppf(0.95, df)
    assert fit.t_values == pytest.approx(t, rel=EPS)
    assert fit.p_values == pytest.approx(2 * stats.t.sf(abs(t), df), rel=EPS * 100)
    limits = np.column_stack([fit.params - q * se, fit.params + q * se])
    assert np.abs(fit.conf_int(0.9) - limits).max() <= EPS * (1 + np.abs(limits).max())
    b, inner = fit.params[1:], V[1:, 1:]
    F = b @ np.linalg.solve(inner, b) / 2
    for found in (fit.f_test, fit.test("x1 = x2 = 0")):
        assert found.statistic == pytest.approx(F, rel=EPS * np.linalg.cond(inner))
        assert found.df_resid == df
        assert found.p_value == pytest.approx(stats.f.sf(F, 2, df), rel=1e4 * EPS)
    assert not fit.test("x1 = 0").exact
    assert PLAIN.test("x1 = 0").exact
    new = np.array([[0.5, -1.0], [2.0, 4.0]])
    rows = np.column_stack([np.ones(2), new])
    error = np.sqrt(np.einsum("ij,jk,ik->i", rows, V, rows))
    mean = fit.predict(new, "mean", 0.9)
    assert mean.upper - mean.mean == pytest.approx(q * error, rel=EPS * 10)
    assert fit.contrasts(rows).std_error == pytest.approx(error, rel=EPS * 10)
    assert fit.margins(new, {"x1": [0.0]}).std_error[0] == pytest.approx(
        np.sqrt(np.array([1, 0, 1.5]) @ V @ [1, 0, 1.5]), rel=EPS * 10
    )
    region = fit.confidence_region(["x1", "x2"], 0.9)
    K = region.root
    assert np.abs(K @ K.T - inner).max() <= EPS * np.abs(inner).max()
    assert region.radius == pytest.approx(np.sqrt(2 * stats.f.ppf(0.9, 2, df)), rel=1e-12)
    table = fit.to_frame(0.9)
    assert np.array_equal(table["std_error"], fit.std_errors)
    assert np.array_equal(table["lower"], fit.conf_int(0.9)[:, 0])
    said = {"HC3": "HC3", "cluster": "clustered, by 10 groups", "HAC": "Newey-West's with 2 lags"}
    text = fit.summary()
    assert f"standard errors: {said[kind]}" in text
    assert f"t quantiles, {df} degrees of freedom" in text
    assert f"{fit.std_errors[1]:.10g}" in text
    assert "standard errors:" not in PLAIN.summary()


@pytest.mark.parametrize("kind", CASES)
def test_the_likelihood_and_the_certificate_are_those_of_the_model(kind):
    fit = PLAIN.with_covariance(kind, **CASES[kind][0])
    for name in ("nll", "aic", "sigma", "residual_std_error", "r_squared", "certificate"):
        assert getattr(fit, name) == getattr(PLAIN, name)


@pytest.mark.parametrize("kind", CASES)
def test_it_is_saved_and_loaded(kind, tmp_path):
    fit = PLAIN.with_covariance(kind, **CASES[kind][0])
    fit.save(tmp_path / "fit.json")
    json.loads((tmp_path / "fit.json").read_text())
    again = ml.load(tmp_path / "fit.json")
    assert again.summary() == fit.summary()
    assert np.array_equal(again.covariance(), fit.covariance())
    assert again.df_quantiles == fit.df_quantiles
    assert again.test("x1 = 2*x2").p_value == fit.test("x1 = 2*x2").p_value
    other = again.with_covariance("expected")
    assert np.array_equal(other.std_errors, PLAIN.std_errors)
    with pytest.raises(ml.DataNeeded, match="without its rows"):
        again.covariance("HC0")


def test_back_to_the_model_and_one_after_the_other():
    fit = PLAIN.with_covariance("cluster", groups=FIRM)
    back = fit.with_covariance("expected")
    assert back.robust is None
    assert back.df_quantiles == N - 3
    assert np.array_equal(back.conf_int(), PLAIN.conf_int())
    assert np.array_equal(fit.covariance("expected"), PLAIN.covariance())
    assert np.array_equal(
        fit.with_covariance("HC1").std_errors, PLAIN.with_covariance("HC1").std_errors
    )


def test_clusters_change_prediction_intervals_of_new_rows_by_the_mean_alone():
    new = X[:3]
    for fit in (PLAIN, PLAIN.with_covariance("HC1")):
        mean, new_row = fit.predict(new, "mean"), fit.predict(new, "prediction")
        q = stats.t.ppf(0.975, N - 3)
        half = np.hypot(mean.upper - mean.mean, q * fit.residual_std_error)
        assert new_row.upper - new_row.mean == pytest.approx(half, rel=EPS * 10)


def test_without_rows_it_says_so():
    total = ml.SufficientStatistics().update(X, Y)
    fit = ml.fit(total)
    for kind in ("HC0", "HC3", "HAC", "sandwich"):
        with pytest.raises(ml.DataNeeded, match="without its rows"):
            fit.covariance(kind)
    with pytest.raises(ml.DataNeeded, match="without its rows"):
        fit.with_covariance("cluster", groups=FIRM)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("HC4",), "kind must be one of"),
        ((3,), "kind must be one of"),
        (("HC0", FIRM), "kind='HC0' takes no groups"),
        (("expected", FIRM), "takes no groups"),
        (("HC0", None, 3), "takes no lags"),
        (("HAC", None, -1), "from 0 to 59, not -1"),
        (("HAC", None, N), "from 0 to 59, not 60"),
        (("HAC", None, 2.5), "not 2.5"),
        (("HAC", None, True), "not True"),
        (("HAC", FIRM), "takes no groups"),
        (("cluster", FIRM, 2), "takes no lags"),
    ],
)
def test_arguments_that_do_not_fit_together_are_refused(arguments, message):
    kind, groups, lags = (*arguments, None, None)[:3]
    for method in (PLAIN.covariance, PLAIN.with_covariance):
        with pytest.raises(ml.InvalidInput, match=message):
            method(kind, groups=groups, lags=lags)


def test_groups_without_a_kind_are_refused():
    for fit in (PLAIN, PLAIN.with_covariance("HC0")):
        with pytest.raises(ml.InvalidInput, match="takes no groups"):
            fit.covariance(groups=FIRM)


# Edges


def test_clusters_of_one_row_are_hc0_up_to_factors():
    one = PLAIN.covariance("cluster", groups=np.arange(N))
    factor = N / (N - 1) * (N - 1) / (N - 3)
    assert np.abs(one / (PLAIN.covariance("HC0") * factor) - 1).max() <= EPS
    assert np.abs(one / PLAIN.covariance("HC1") - 1).max() <= EPS


def test_two_ways_with_few_clusters_may_have_no_positive_sum():
    few = (np.arange(N) % 3, np.arange(N) // 20)
    V = sum(
        sign * PLAIN.covariance("cluster", groups=g)
        for sign, g in ((1, few[0]), (1, few[1]), (-1, few[0] * 3 + few[1]))
    )
    assert np.linalg.eigvalsh(V)[0] < 0
    with pytest.warns(ml.NumericalWarning, match="not positive semidefinite"):
        fit = PLAIN.with_covariance("cluster", groups=few)
    values = np.linalg.eigvalsh(fit.covariance())
    assert values[0] >= -EPS * values[-1]
    # nothing is taken from a variance: what is set to zero was below it
    assert (fit.std_errors**2 >= np.diagonal(V) - EPS * values[-1]).all()
    assert fit.df_quantiles == 2


def test_no_lags_are_hc0():
    same = PLAIN.covariance("HAC", lags=0) / PLAIN.covariance("HC0")
    assert np.abs(same - 1).max() <= EPS


def test_leverage_one():
    dummy = np.zeros(N)
    dummy[7] = 1
    fit = ml.fit(np.column_stack([X, dummy]), Y, names=["a", "b", "only"])
    for kind in ("HC2", "HC3"):
        with pytest.raises(ml.InvalidInput, match=r"row 7 has leverage 1.*Use HC1"):
            fit.covariance(kind)
    V = fit.covariance("HC0")
    rest = np.setdiff1d(np.arange(N), [7])
    other = ml.fit(X[rest], Y[rest]).covariance("HC0")
    assert np.abs(V[:3, :3] - other).max() <= EPS * np.abs(other).max()
    # the row that is left out because of its gap is counted, and so the number is that of the data
    A = np.column_stack([X, dummy])
    A[2, 0] = np.nan
    with pytest.raises(ml.InvalidInput, match="row 7 has leverage 1"):
        ml.fit(A, Y, missing="drop").covariance("HC3")


def test_a_perfect_fit_has_none():
    fit = ml.fit(X, D @ [1.0, 2.0, 3.0])
    for kind in ("HC0", "HC3", "HAC"):
        with pytest.raises(ml.InvalidInput, match="fit perfectly"):
            fit.covariance(kind)


def test_as_many_rows_as_coefficients():
    fit = ml.fit(X[:3], Y[:3])
    for kind, options in (("HC1", {}), ("HC0", {}), ("cluster", {"groups": [1, 2, 3]})):
        with pytest.raises(ml.InvalidInput, match=r"fit perfectly|divides by n - p"):
            fit.covariance(kind, **options)


def test_dropped_columns_are_nan_and_the_others_as_without_them():
    A = np.column_stack([X[:, 0], X[:, 0] * 2, X[:, 1]])
    fit = ml.fit(A, Y, names=["a", "twice", "b"], rank_deficient="drop")
    for kind, (options, _) in CASES.items():
        V, expected = fit.covariance(kind, **options), PLAIN.covariance(kind, **options)
        assert np.isnan(V[2]).all()
        assert np.isnan(V[:, 2]).all()
        kept = V[np.ix_([0, 1, 3], [0, 1, 3])]
        assert np.abs(kept - expected).max() <= EPS * np.abs(expected).max()
        robust = fit.with_covariance(kind, **options)
        assert robust.test("a = b = 0").statistic == pytest.approx(
            PLAIN.with_covariance(kind, **options).f_test.statistic, rel=EPS * 100
        )


@pytest.mark.parametrize("unit", [1e-9, 1e9, 2.0**-600, 2.0**500])
@pytest.mark.parametrize("kind", CASES)
def test_units_go_through(kind, unit):
    options = CASES[kind][0]
    a, b = ml.fit(X * [unit, 1.0], Y).with_covariance(kind, **options), PLAIN
    b = b.with_covariance(kind, **options)
    scaled = a.std_errors * [1, unit, 1]
    assert np.abs(scaled / b.std_errors - 1).max() <= EPS
    assert a.f_test.statistic == pytest.approx(b.f_test.statistic, rel=EPS * 10)
    of_y = ml.fit(X, Y * unit).with_covariance(kind, **options)
    assert np.abs(of_y.std_errors / unit / b.std_errors - 1).max() <= EPS
    found = of_y.predict(X[:2], "mean")
    expected = b.predict(X[:2], "mean")
    half, theirs = found.upper - found.lower, expected.upper - expected.lower
    assert np.abs(half / unit / theirs - 1).max() <= EPS * 100


@pytest.mark.parametrize("kind", CASES)
def test_timestamps_with_an_intercept(kind):
    options = CASES[kind][0]
    seconds = 1.7e9 + np.arange(N) * 60.0
    near = ml.fit(np.arange(N) * 60.0, Y).with_covariance(kind, **options)
    far = ml.fit(seconds, Y).with_covariance(kind, **options)
    # the columns are collinear to 1e-6: what rounding does to the slope it does a million times
    slack = EPS * 1.7e9 / (seconds.std())
    assert far.std_errors[1] == pytest.approx(near.std_errors[1], rel=slack)
    at = far.predict([seconds[3]], "mean"), near.predict([180.0], "mean")
    half = [float(p.upper[0] - p.lower[0]) for p in at]
    assert half[0] == pytest.approx(half[1], rel=slack)


@pytest.mark.parametrize(
    "given",
    [
        X.astype(np.float32).astype(float),
        np.asfortranarray(X),
        X[::-1][::-1],
        np.round(X * 10).astype(np.int16),
    ],
    ids=["float32", "Fortran", "strides", "integers"],
)
def test_arrays_of_any_kind_and_read_only(given):
    copy = given.astype(np.float32) if given.dtype == np.int16 else given.copy(order="K")
    given.setflags(write=False)
    reference_ = ml.fit(np.ascontiguousarray(copy, dtype=float), Y)
    for kind, (options, _) in CASES.items():
        ours, theirs = (f.covariance(kind, **options) for f in (ml.fit(given, Y), reference_))
        assert np.abs(ours - theirs).max() <= EPS * np.abs(theirs).max()


def test_float32_is_read_as_it_is():
    single = X.astype(np.float32)
    for kind, (options, _) in CASES.items():
        ours = ml.fit(single, Y).covariance(kind, **options)
        assert np.array_equal(ours, ml.fit(single.astype(float), Y).covariance(kind, **options))


def test_fewer_clusters_than_slopes_leave_out_the_test_of_all_and_nothing_else():
    rng = np.random.default_rng(8)
    X = rng.standard_normal((60, 5))
    fit = ml.fit(X, X.sum(axis=1) + rng.standard_normal(60))
    few = fit.with_covariance("cluster", groups=np.arange(60) % 3)
    assert np.isnan(few.f_test.statistic)
    assert np.isfinite(few.std_errors).all()
    assert "clustered, by 3 groups" in few.summary()
    assert "F: " not in few.summary()
    with pytest.raises(ml.InvalidInput, match="fewer clusters"):
        few.test("x1 = x2 = x3 = 0")
