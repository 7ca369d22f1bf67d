"""Hypotheses in words, contrasts, joint regions and predictive margins."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import mlreg as ml
from mlreg.inference.equations import hypotheses
from mlreg.verify import laws

NAMES = ("Intercept", "x1", "x2", "C(g)[T.b]", "x1:x2", "log(x)", "a-b")


def data(n=40, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, 3))
    return X, 1 + X @ [1.0, -1.0, 0.2] + rng.standard_normal(n) * np.exp(0.3 * X[:, 0])


@pytest.fixture(scope="module")
def pair():
    X, y = data()
    return ml.fit(X, y), sm.OLS(y, sm.add_constant(X)).fit()


# How they are read


@pytest.mark.parametrize(
    ("text", "rows", "rights"),
    [
        ("x1", [{"x1": 1}], [0]),
        ("x1 = x2 = 0", [{"x1": 1}, {"x2": 1}], [0, 0]),
        ("x1 = x2", [{"x1": 1, "x2": -1}], [0]),
        ("2*x1 + x2 = 3, Intercept = 0", [{"x1": 2, "x2": 1}, {"Intercept": 1}], [3, 0]),
        ("-x1/4 - 1.5e1*x2 + 2 = -1", [{"x1": -0.25, "x2": -15}], [-3]),
        ("x1*2/4 = .5", [{"x1": 0.5}], [0.5]),
        ("C(g)[T.b] = 1", [{"C(g)[T.b]": 1}], [1]),
        ("x1:x2 = x1", [{"x1:x2": 1, "x1": -1}], [0]),
        ("log(x) = - - 2", [{"log(x)": 1}], [2]),
        ("`a-b` = 0", [{"a-b": 1}], [0]),
        ("a-b = 0", [{"a-b": 1}], [0]),
        ("3 = x1 + x1", [{"x1": -2}], [-3]),
    ],
)
def test_words_are_read_as_they_stand(text, rows, rights):
    L, c, said = hypotheses(NAMES, text)
    want = [[row.get(name, 0) for name in NAMES] for row in rows]
    assert L.tolist() == want
    assert c.tolist() == rights
    assert len(said) == len(rows)


def test_what_is_said_reads_back_as_the_same():
    for text in ("2*x1 + x2 = 3, Intercept = 0", "`a-b` - x1:x2 = 1", "x1 = x2 = log(x) = 4"):
        L, c, said = hypotheses(NAMES, text)
        again = hypotheses(NAMES, said)
        assert (L == again[0]).all()
        assert (c == again[1]).all()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x9 = 0", "'x9'.*no coefficient"),
        ("x1 = ", "empty"),
        ("x1 = 0,", "empty"),
        ("", "empty"),
        ("x1 x2 = 0", "no linear hypothesis"),
        ("x1*x2 = 0", "no linear hypothesis"),
        ("2/x1 = 0", "no linear hypothesis"),
        ("x1/0 = 0", "no linear hypothesis"),
        ("x1 + = 0", "no linear hypothesis"),
        ("1 = 1", "says nothing about a coefficient"),
        ("x1 = x1", "says nothing about a coefficient"),
        ("`x1 = 0", "backtick"),
        ("`nobody` = 0", "'nobody'.*is no coefficient"),
        ("x1 > 0", "no coefficient"),
        ([], "no hypothesis|matrix"),
        ([[1, 2]], "matrix of 4 finite columns"),
        ([[0, np.nan, 0, 0]], "finite"),
        ([[0, 0, 0, 0]], "row of zeros says nothing"),
    ],
)
def test_what_is_no_hypothesis_is_said_so(pair, text, message):
    with pytest.raises(ml.InvalidInput, match=message):
        pair[0].test(text)


@given(st.text(alphabet="x12+-*/=,. `aeE()[]:", max_size=14))
def test_any_text_is_read_or_refused(text):
    try:
        L, c, _ = hypotheses(NAMES, text)
    except ml.InvalidInput:
        return
    assert L.shape == (len(c), len(NAMES))
    assert L.any(axis=1).all()
    assert np.isfinite(L).all() or "e" in text.lower()


# Wald tests


def slack(fit):
    """What rounding may do to a statistic, relative: that of a variance, by both programs."""
    return 1e3 * fit.R.epsilon * np.linalg.cond(fit.R.R[:-1, :-1])


@pytest.mark.parametrize("kind", [None, "HC1", "HC3"])
@pytest.mark.parametrize("text", ["x1 = x2 = 0", "2*x1 + x2 = 3, Intercept = 0", "x1 = x2", "x3"])
def test_tests_are_those_of_statsmodels(pair, kind, text):
    fit, theirs = pair
    if kind is not None:
        fit, theirs = fit.with_covariance(kind), theirs.get_robustcov_results(kind)
    found = fit.test(text)
    L, c, _ = hypotheses(fit.names, text)
    want = theirs.f_test((L, c))
    assert found.statistic == pytest.approx(float(want.fvalue), rel=slack(fit))
    assert found.p_value == pytest.approx(float(want.pvalue), rel=100 * slack(fit))
    assert (found.df, found.df_resid) == (len(c), 36)
    assert found.exact == (kind is None)
    assert found.estimate == pytest.approx(L @ theirs.params - c, rel=1e-10)
    assert found.std_error == pytest.approx(
        np.sqrt(np.diag(L @ theirs.cov_params() @ L.T)), rel=slack(fit)
    )
    by_matrix = fit.test(L)
    if not c.any():
        assert by_matrix.statistic == found.statistic
    for part in text.split(","):
        assert part.split("=")[-1].strip() in str(found)


def test_of_one_coefficient_f_is_t_squared(pair):
    fit, _ = pair
    for fitted in (fit, fit.with_covariance("HC2")):
        for j, name in enumerate(fit.names):
            assert fitted.test(name).statistic == pytest.approx(
                fitted.t_values[j] ** 2, rel=slack(fit)
            )
            assert fitted.test(name).p_value == pytest.approx(
                fitted.p_values[j], rel=100 * slack(fit)
            )


def test_all_slopes_together_are_the_f_test(pair):
    for fit in (pair[0], pair[0].with_covariance("HC3")):
        assert fit.test("x1 = x2 = x3 = 0").statistic == pytest.approx(
            fit.f_test.statistic, rel=slack(fit)
        )


def test_other_noise_is_chi_squared():
    X, y = data(200)
    fit = ml.fit(X, y, noise=ml.StudentT(4))
    found = fit.test("x1 = 1, x3 = 0")
    d = np.array([fit.params[1] - 1, fit.params[3]])
    V = fit.covariance()[np.ix_([1, 3], [1, 3])]
    want = d @ np.linalg.solve(V, d)
    assert 2 * found.statistic == pytest.approx(want, rel=1e-9)
    assert found.p_value == pytest.approx(stats.chi2(2).sf(want), rel=1e-8)
    assert np.isinf(found.df_resid)
    assert "chi-squared" in str(found)


@pytest.mark.parametrize(
    "text", ["x1 = 0, x1 = 1", "x1 = x2, x2 = x3, x1 = x3", "x1, x2, x3, Intercept, x1 + x2"]
)
def test_hypotheses_that_follow_from_each_other_are_refused(pair, text):
    with pytest.raises(ml.InvalidInput, match="follow from the others"):
        pair[0].test(text)


def test_more_hypotheses_than_clusters_are_refused(pair):
    fit = pair[0].with_covariance("cluster", groups=np.arange(40) % 3)
    assert fit.test("x1 = x2 = 0").df_resid == 2
    with pytest.raises(ml.InvalidInput, match="fewer clusters"):
        fit.test("x1 = x2 = x3 = 0")


def test_nothing_is_said_of_what_was_left_out():
    X, y = data()
    fit = ml.fit(np.column_stack([X, X[:, 0]]), y, rank_deficient="drop")
    assert fit.test("x1 = 1").df == 1
    for call in (fit.test, fit.contrasts):
        with pytest.raises(ml.InvalidInput, match="'x4' was left out as dependent"):
            call("x1 = x4")
    with pytest.raises(ml.InvalidInput, match="left out"):
        fit.confidence_region(["x1", "x4"])


def test_a_prior_and_a_perfect_fit_have_no_tests():
    X, y = data()
    with pytest.raises(ml.InvalidInput, match="posterior is not about a hypothesis"):
        ml.fit(X, y, prior=ml.NormalPrior(1.0)).test("x1 = 0")
    of_posterior = ml.fit(X, y, prior=ml.NormalPrior(1.0)).contrasts("x1 - x2")
    assert np.isfinite(of_posterior.lower).all()
    assert np.isnan(of_posterior.p_value).all()
    perfect = ml.fit(X, X.sum(axis=1))
    for call in (perfect.test, perfect.contrasts, perfect.confidence_region):
        with pytest.raises(ml.InvalidInput, match="no standard errors"):
            call("x1")


def test_a_year_beside_a_constant_costs_no_digits():
    """Against 60-digit arithmetic; L V Lᵀ of the covariance itself keeps seven digits."""
    mpmath = pytest.importorskip("mpmath")
    rng = np.random.default_rng(3)
    t = 1.7e9 + np.sort(rng.uniform(0, 1e5, 30))
    y = 3 + 1e-4 * (t - 1.7e9) + rng.standard_normal(30)
    fit = ml.fit(t[:, None], y)
    with mpmath.workdps(60):
        A = mpmath.matrix([[1, mpmath.mpf(v)] for v in t])
        G = (A.T * A) ** -1
        beta = G * (A.T * mpmath.matrix(y.tolist()))
        r = mpmath.matrix(y.tolist()) - A * beta
        s2 = sum(v**2 for v in r) / 28
        x = mpmath.matrix([[1, mpmath.mpf(t[7])]])
        error = mpmath.sqrt((x * G * x.T)[0] * s2)
        F = (beta.T * G**-1 * beta)[0] / s2 / 2
        M = mpmath.matrix(2, 2)
        for i in range(30):
            h = (A[i, :] * G * A[i, :].T)[0]
            M += A[i, :].T * A[i, :] * (r[i] / (1 - h)) ** 2
        robust = mpmath.sqrt((x * G * M * G * x.T)[0])
    row = np.array([[1.0, t[7]]])
    # the condition of the columns is 6e4, times a hundred for the number of operations
    assert fit.contrasts(row).std_error[0] == pytest.approx(float(error), rel=1e-9)
    assert fit.test("Intercept = x1 = 0").statistic == pytest.approx(float(F), rel=1e-9)
    hc3 = fit.with_covariance("HC3")
    assert hc3.contrasts(row).std_error[0] == pytest.approx(float(robust), rel=1e-9)
    limits = hc3.predict(t[7:8, None], interval="mean")
    half = float(limits.upper[0] - limits.mean[0])
    assert half == pytest.approx(float(robust) * stats.t(28).isf(0.025), rel=1e-9)


# Contrasts and regions


@pytest.mark.parametrize("kind", [None, "HC3"])
def test_contrasts_are_those_of_statsmodels(pair, kind):
    fit, theirs = pair
    if kind is not None:
        fit, theirs = fit.with_covariance(kind), theirs.get_robustcov_results(kind)
    L = np.array([[0, 1, -1, 0], [1, 2, 0, 0.5]])
    found, want = fit.contrasts(L, level=0.9), theirs.t_test(L)
    near = {"rel": 100 * slack(fit)}
    assert found.estimate == pytest.approx(want.effect, **near)
    assert found.std_error == pytest.approx(want.sd.ravel(), **near)
    assert found.t_value == pytest.approx(want.tvalue.ravel(), **near)
    assert found.p_value == pytest.approx(want.pvalue, **near)
    assert np.column_stack([found.lower, found.upper]) == pytest.approx(want.conf_int(0.1), **near)
    assert found.names == ("x1 -x2", "Intercept +2*x1 +0.5*x3")
    words = fit.contrasts(["x1 - x2", "Intercept + 2*x1 + 0.5*x3"], level=0.9)
    assert (words.estimate == found.estimate).all()
    assert words.names == ("x1 - x2", "Intercept + 2*x1 + 0.5*x3")
    assert "x1 - x2" in str(words)
    assert "90 % limits" in str(words)


def test_a_contrast_may_have_a_constant(pair):
    fit, _ = pair
    assert fit.contrasts("x1 = 1").estimate[0] == pytest.approx(fit.params[1] - 1, rel=1e-14)


def test_scheffe_covers_the_worst_of_all_contrasts():
    """The largest |t| over a space of contrasts is √(q F): the limits of that one touch zero."""
    X, _ = data()
    fit = ml.fit(X, np.random.default_rng(9).standard_normal(40))
    level = 1 - fit.test("x1 = x2 = x3 = 0").p_value
    V = fit.covariance()[1:, 1:]
    worst = np.append(0, np.linalg.solve(V, fit.params[1:]))
    others = np.eye(4)[1:]
    found = fit.contrasts(np.vstack([worst, others[:2]]), level, simultaneous=True)
    assert found.lower[0] == pytest.approx(0, abs=1e-8 * found.std_error[0])
    single = fit.contrasts(worst[None, :], level)
    assert found.lower[0] < single.lower[0]
    assert "(all together)" in str(found)


@pytest.mark.parametrize("unit", [1e-120, 1e20])
def test_simultaneous_limits_count_contrasts_whatever_their_units(pair, unit):
    found = pair[0].contrasts([[0, unit, 0, 0], [0, 0, 1, 0]], simultaneous=True)
    half = (found.upper - found.lower) / 2 / found.std_error
    assert half == pytest.approx(np.sqrt(2 * stats.f(2, 36).ppf(0.95)), rel=1e-12)
    alike = pair[0].contrasts([[0, unit, 0, 0], [0, 2, 0, 0]], simultaneous=True)
    half = (alike.upper - alike.lower) / 2 / alike.std_error
    assert half == pytest.approx(stats.t(36).ppf(0.975), rel=1e-12)  # one, said twice


@pytest.mark.parametrize("kind", [None, "HC1"])
@pytest.mark.parametrize("level", [0.5, 0.95])
def test_a_region_is_what_the_test_does_not_reject(pair, kind, level):
    fit = pair[0] if kind is None else pair[0].with_covariance(kind)
    region = fit.confidence_region(["x1", "x3"], level)
    for angle in np.linspace(0, 6, 7):
        for far in (0.999, 1.001):
            move = region.boundary(2000)[int(angle * 300)] - region.centre
            point = region.centre + far * move
            p = fit.test(f"x1 = {float(point[0])!r}, x3 = {float(point[1])!r}").p_value
            assert (p > 1 - level) == (far < 1) == region.contains(point)
    edge = region.boundary(4001)
    box = np.column_stack([edge.min(axis=0), edge.max(axis=0)])
    # a polygon of 4000 corners misses a curve by (2π/4000)²/8 of its size
    assert box == pytest.approx(region.limits, abs=1e-6 * np.ptp(region.limits))
    one = fit.confidence_region("x1", level)
    assert one.limits[0] == pytest.approx(fit.conf_int(level)[1], rel=1e-9)


def test_regions_ask_for_coefficients(pair):
    fit, _ = pair
    for names in (["x1", "x9"], ["x1", "x1"], [], 3, None):
        with pytest.raises(ml.InvalidInput, match="name different coefficients"):
            fit.confidence_region(names)
    with pytest.raises(ml.InvalidInput, match="2 numbers"):
        fit.confidence_region(["x1", "x2"]).contains([1])
    with pytest.raises(ml.InvalidInput, match="two coefficients, not 3"):
        fit.confidence_region(["x1", "x2", "x3"]).boundary()
    for level in (0, 1, 95, np.nan):
        with pytest.raises(ml.InvalidInput, match="level"):
            fit.confidence_region("x1", level)
        with pytest.raises(ml.InvalidInput, match="level"):
            fit.contrasts("x1", level)


# Margins


def frame(n=60, seed=5):
    rng = np.random.default_rng(seed)
    table = pd.DataFrame({"x": rng.standard_normal(n), "g": rng.choice(list("abc"), n)})
    table["y"] = 2 + table.x * (table.g == "b") + (table.g == "c") + rng.standard_normal(n)
    return table


def test_margins_are_means_of_predictions():
    table = frame()
    fit = ml.fit("y ~ x * C(g)", table)
    found = fit.margins(table, {"g": ["a", "b", "c"], "x": [0.0, 1.0]})
    assert found.names[1] == "g = a, x = 1.0"
    for k, (g, x) in enumerate((g, x) for g in "abc" for x in (0.0, 1.0)):
        rows = table.assign(g=g, x=x)
        assert found.estimate[k] == pytest.approx(fit.predict(rows).mean(), rel=1e-12)
        limits = fit.predict(rows, interval="mean")  # all rows are alike
        assert [found.lower[k], found.upper[k]] == pytest.approx(
            [limits.lower[0], limits.upper[0]], rel=1e-10
        )
    only = fit.margins(table, {"g": "b"})
    rows = fit.design.matrix(table.assign(g="b")).mean(axis=0)
    assert only.std_error[0] == pytest.approx(np.sqrt(rows @ fit.covariance() @ rows), rel=1e-9)


def test_margins_of_arrays_and_robust_fits():
    X, y = data()
    fit = ml.fit(X, y).with_covariance("HC3")
    found = fit.margins(X, {"x1": [0, 1]})
    rows = np.column_stack([np.ones(40), np.zeros(40), X[:, 1:]]).mean(axis=0)
    assert found.estimate[0] == pytest.approx(rows @ fit.params, rel=1e-12)
    assert found.std_error[0] == pytest.approx(np.sqrt(rows @ fit.covariance() @ rows), rel=1e-9)
    assert found.estimate[1] - found.estimate[0] == pytest.approx(fit.params[1], rel=1e-10)


def test_margins_of_fits_with_dependent_columns_leave_them_out_as_predictions_do():
    X, y = data()
    both = np.column_stack([X, 2 * X[:, 1]])
    fit, whole = ml.fit(both, y, rank_deficient="drop"), ml.fit(X, y)
    found, want = fit.margins(both, {"x1": [0, 1]}), whole.margins(X, {"x1": [0, 1]})
    assert found.estimate == pytest.approx(want.estimate, rel=1e-10)
    assert found.std_error == pytest.approx(want.std_error, rel=1e-9)
    with pytest.warns(ml.NumericalWarning, match="do not obey"):
        fit.margins(both, {"x2": 0})


def test_margins_set_only_what_the_model_has():
    """Another column would change nothing, and so look as if it had no effect."""
    table = frame().assign(z=1.0)
    for fit in (ml.fit("y ~ x", table), ml.fit(table[["x"]], table["y"])):
        for name in ("z", "y", "Intercept", 1):
            with pytest.raises(ml.InvalidInput, match="the model has no column"):
                fit.margins(table, {name: [0, 1]})
        found = fit.margins(table[["z"]], {"x": [0.0]})  # a column that is set need not be there
        assert found.estimate[0] == pytest.approx(fit.params[0], rel=1e-14)


def test_margins_refuse():
    table = frame()
    fit = ml.fit("y ~ x + C(g)", table)
    for at, message in (
        ({}, "names columns and their values"),
        ({"z": 1}, "no column 'z'"),
        ({"x": []}, "a value, or a list of values"),
        ({"x": [[1], [1, 2]]}, "a value, or a list of values"),
        ({"g": "q"}, "q"),
        ({"x": np.nan}, "missing|NaN|nan"),
    ):
        with pytest.raises(ml.InvalidInput, match=message):
            fit.margins(table, at)
    with pytest.raises(ml.InvalidInput, match="no rows"):
        fit.margins(table[:0], {"x": 1})


# Exactly, at small n

N, P, FITS = 10, 3, 3000


@pytest.fixture(scope="module")
def small():
    """p values of a true hypothesis, whether regions and simultaneous limits cover."""
    rng = np.random.default_rng(20)
    X = rng.standard_normal((N, P))
    truth = np.array([1.0, 2.0, -1.0, 0.0])
    L = np.array([[0, 1, 1, 0], [0, 0, 1, -2.0]])
    p, in_region, in_limits = [], 0, 0
    for _ in range(FITS):
        y = truth[0] + X @ truth[1:] + rng.standard_normal(N)
        fit = ml.fit(X, y)
        p.append(fit.test("x1 = 2, x2 + x3 = -1").p_value)
        in_region += fit.confidence_region(["x1", "x2"], 0.9).contains(truth[1:3])
        both = fit.contrasts(L, 0.9, simultaneous=True)
        in_limits += bool(((both.lower <= L @ truth) & (L @ truth <= both.upper)).all())
    return np.array(p), in_region, in_limits


def test_p_values_are_uniform(small):
    """False alarm 1e-9; sees distributions 0.12 away, as χ² in the place of F is (0.15)."""
    laws.follows(small[0], stats.uniform.cdf)
    as_chi2 = stats.chi2(2).sf(2 * stats.f(2, N - P - 1).isf(small[0]))
    with pytest.raises(laws.LawViolation):
        laws.follows(as_chi2, stats.uniform.cdf)


def test_regions_cover(small):
    """False alarm 1e-9; by χ² in the place of F 0.80 would be covered."""
    laws.covers(small[1], FITS, 0.9)
    with pytest.raises(laws.LawViolation):
        laws.covers(int(0.83 * FITS), FITS, 0.9)


def test_simultaneous_limits_cover_at_least(small):
    """Scheffé's are for all combinations; two alone are covered more often than 0.9."""
    assert small[2] >= stats.binom(FITS, 0.9).ppf(1e-9)
    assert small[2] <= FITS * 0.97


# Robust covariances and what compares sums of squares


def test_anova_and_likelihood_ratios_refuse_robust_fits():
    X, y = data()
    small, large = ml.fit(X[:, :1], y), ml.fit(X, y)
    for fits in ((small, large.with_covariance("HC3")), (small.with_covariance("HC1"), large)):
        for compare in (ml.anova, ml.likelihood_ratio):
            with pytest.raises(ml.InvalidInput, match=r"do not believe.*fit\.test"):
                compare(*fits)
    assert ml.anova(small, large.with_covariance("HC3").with_covariance("expected"))
