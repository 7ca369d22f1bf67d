"""Robust covariances of least squares against statsmodels, and against what Stata, R and SAS print.

Differences are judged in products of standard errors. Two sound computations of the same sums
differ by the rounding of n products in each entry, which inverting the Gram of columns of unit
length (as statsmodels does) multiplies by the square of their condition number.
"""

import numpy as np
import pytest
import statsmodels.api as sm
from statsmodels.datasets import grunfeld, macrodata
from statsmodels.datasets import longley as longley_data
from statsmodels.stats.sandwich_covariance import cov_cluster_2groups, cov_hac

import mlreg as ml
from mlreg.verify.registry import U

N = 90


def problem(seed=0, n=N):
    """Rows with an offset, unequal noise, and labels of two kinds."""
    rng = np.random.default_rng(seed)
    X = np.column_stack([rng.standard_normal(n), rng.uniform(5, 9, n), rng.exponential(size=n)])
    firm, year = rng.integers(0, 20, n), rng.integers(0, 15, n)
    noise = rng.standard_normal(n) * (0.5 + X[:, 2]) + rng.standard_normal(20)[firm]
    return X, 1 + X @ [2.0, -1.0, 0.5] + noise, firm, year


X, Y, FIRM, YEAR = problem()
D = np.column_stack([np.ones(N), X])
W = np.random.default_rng(1).uniform(0.2, 3, N)


def rounding(design, weights=None):
    """The bound of the module's docstring."""
    design = design if weights is None else design * np.sqrt(weights)[:, None]
    n, p = design.shape
    return 64 * n * p * U * np.linalg.cond(design / np.linalg.norm(design, axis=0)) ** 2


def distance(ours, theirs):
    """Largest difference of two covariances, in products of the second's standard errors."""
    errors = np.sqrt(np.diagonal(theirs))
    return np.abs((ours - theirs) / np.outer(errors, errors)).max()


KINDS = {
    **{kind: ({}, {}) for kind in ("HC0", "HC1", "HC2", "HC3")},
    "cluster": ({"groups": FIRM}, {"groups": FIRM, "use_correction": True}),
    "cluster of two kinds": (
        {"groups": (FIRM, YEAR)},
        {"groups": (FIRM, YEAR), "use_correction": True},
    ),
    "HAC 0": ({"lags": 0}, {"maxlags": 0, "use_correction": False}),
    "HAC 3": ({"lags": 3}, {"maxlags": 3, "use_correction": False}),
    "HAC all": ({"lags": N - 1}, {"maxlags": N - 1, "use_correction": False}),
}


@pytest.mark.parametrize("weights", [None, W], ids=["equal", "precision"])
@pytest.mark.parametrize("name", KINDS)
def test_least_squares_is_that_of_statsmodels(name, weights):
    kind = name.split()[0]
    ours, theirs = KINDS[name]
    plain = sm.OLS(Y, D) if weights is None else sm.WLS(Y, D, weights)
    reference = plain.fit().get_robustcov_results(kind, use_t=True, **theirs)
    fit = ml.fit(X, Y, precision_weights=weights).with_covariance(kind, **ours)
    bound = rounding(D, weights)
    assert distance(fit.covariance(), reference.cov_params()) <= bound
    assert np.abs(fit.std_errors / reference.bse - 1).max() <= bound
    df = {"cluster": 19, "cluster of two kinds": 14}.get(name, N - 4)
    assert fit.df_quantiles == df
    # a t of 30 and more moves its log p by df times what it moves itself, at most
    slack = bound * (1 + np.abs(reference.tvalues).max()) * (df + 1)
    assert np.abs(fit.t_values / reference.tvalues - 1).max() <= slack
    assert np.abs(fit.p_values / reference.pvalues - 1).max() <= slack
    limits = np.abs(fit.conf_int(0.9) - reference.conf_int(0.1)) / reference.bse[:, None]
    assert limits.max() <= slack
    whole = reference.f_test(np.eye(4)[1:])
    assert fit.f_test.statistic == pytest.approx(float(whole.fvalue), rel=slack)
    assert (fit.f_test.df_model, fit.f_test.df_resid) == (3, df)
    assert fit.f_test.p_value == pytest.approx(float(whole.pvalue), rel=slack * 10)


def test_functions_of_statsmodels_give_the_same():
    fit, plain, bound = ml.fit(X, Y), sm.OLS(Y, D).fit(), rounding(D)
    two = cov_cluster_2groups(plain, FIRM, YEAR)[0]
    assert distance(fit.covariance("cluster", groups=(FIRM, YEAR)), two) <= bound
    by_rule = cov_hac(
        plain, use_correction=False
    )  # the same rule for the number of lags: 3 of 90 rows
    assert distance(fit.covariance("HAC"), by_rule) <= bound
    assert "Newey-West's with 3 lags" in fit.with_covariance("HAC").summary()
    assert np.array_equal(fit.covariance("sandwich"), fit.covariance("HC0"))


@pytest.mark.parametrize("name", [name for name in KINDS if "HAC" not in name])
def test_a_frequency_is_so_many_rows(name):
    kind = name.split()[0]
    k = np.arange(N) % 4
    rows = np.repeat(np.arange(N), k)
    groups = KINDS[name][0].get("groups")
    one = ml.fit(X, Y, frequency_weights=k, precision_weights=W)
    other = ml.fit(X[rows], Y[rows], precision_weights=W[rows])
    again = groups
    if groups is not None:
        again = tuple(g[rows] for g in groups) if isinstance(groups, tuple) else groups[rows]
    one, other = (
        one.with_covariance(kind, groups=groups),
        other.with_covariance(kind, groups=again),
    )
    assert distance(one.covariance(), other.covariance()) <= rounding(D[rows], W[rows])
    assert one.df_quantiles == other.df_quantiles
    assert one.f_test.statistic == pytest.approx(
        other.f_test.statistic, rel=rounding(D[rows], W[rows]) * 10
    )


def test_rows_that_stand_for_several_have_no_order_in_time():
    fit = ml.fit(X, Y, frequency_weights=np.arange(N) % 4)
    with pytest.raises(ml.InvalidInput, match="frequency_weights have no order in time"):
        fit.covariance("HAC")


# What other programs print: numbers as text, so that their digits count. A unit of the last digit
# is allowed, for a program that has rounded its own sums; and, of statistics that solve with the
# covariance, the rounding that is told at the top.


def printed(texts):
    """Numbers, and a unit of the last digit of each."""
    numbers = np.array([float(t) for t in texts])
    digits = [len(t.split(".")[1]) if "." in t else 0 for t in texts]
    return numbers, 10.0 ** -np.array(digits)


def check(ours, texts, precision=0.0):
    numbers, unit = printed(texts)
    excess = np.abs(np.asarray(ours) - numbers) / (unit + precision * np.abs(numbers))
    assert excess.max() <= 1, (ours, texts, excess)


def quarters():
    """US investment growth, and a constant, the growth of output and the real interest rate."""
    data = macrodata.load_pandas().data
    output, investment = (400 * np.diff(np.log(data[name])) for name in ("realgdp", "realinv"))
    return np.column_stack([np.ones(202), output, data["realint"].to_numpy()[:-1]]), investment


MACRO, INVESTMENT = quarters()


def macro():
    return ml.fit(MACRO[:, 1:], INVESTMENT)


def test_stata_regress_robust():
    # statsmodels/regression/tests/results/results_macro_ols_robust.py, results_hc0:
    # regress g_realinv g_realgdp L.realint, vce(robust)
    fit = macro().with_covariance("HC1")
    check(fit.std_errors, ["1.3690593206013", ".32355452428856", ".32772840315987"])
    check([fit.f_test.statistic], ["92.94502024547633"], rounding(MACRO))
    check(fit.conf_int()[:, 0], ["-12.181398261383", "3.7361862031101", "-1.2602631388273"])
    check(fit.conf_int()[:, 1], ["-6.7819472879264", "5.0122571262963", ".0322691998693"])
    check(fit.p_values[[2]], [".06246625509181"])
    # results_ivhc0_large: ivreg2 ..., robust
    check(
        macro().with_covariance("HC0").std_errors,
        ["1.3588550094989", ".32114290415293", ".32528567293437"],
    )


def test_r_newey_west():
    # statsmodels/stats/tests/test_diagnostic.py: NeweyWest(fm, lag = 4 and 10, prewhite = FALSE)
    fit = macro()
    four = [
        [1.385551290884014, -0.3133096102522685, -0.0597207976835705],
        [-0.3133096102522685, 0.1081011690351306, 0.000389440793564336],
        [-0.0597207976835705, 0.000389440793564336, 0.0862118527405036],
    ]
    ten = [
        [1.257386180080192, -0.2871560199899846, -0.03958300024627573],
        [-0.2871560199899846, 0.1049107028987101, 0.0003896205316866944],
        [-0.03958300024627573, 0.0003896205316866944, 0.0985539340694839],
    ]
    assert distance(fit.covariance("HAC", lags=4), np.array(four)) <= rounding(MACRO)
    assert distance(fit.covariance("HAC", lags=10), np.array(ten)) <= rounding(MACRO)


def test_stata_newey():
    # results_newey4: newey g_realinv g_realgdp L.realint, lag(4), with Stata's factor n/(n - p)
    errors = macro().with_covariance("HAC", lags=4).std_errors * np.sqrt(202 / 199)
    check(errors, ["1.1859338087713", ".33125644884286", ".29582347593197"])


def firms():
    """Grunfeld's investment of ten firms in twenty years, in single precision as Stata has it."""
    data = grunfeld.data.load_pandas().data[:200]
    numbers = data[["value", "capital", "invest"]].to_numpy(dtype=np.float32)
    return numbers[:, :2], numbers[:, 2], data["firm"], data


def test_stata_regress_cluster():
    # results_grunfeld_ols_robust_cluster.py, results_cluster:
    # regress invest mvalue kstock, vce(cluster company)
    M, y, firm, _ = firms()
    fit = ml.fit(M, y).with_covariance("cluster", groups=firm)
    check(fit.std_errors, ["20.425202580078", ".01589433647768", ".08496711097464"])
    check(
        [fit.f_test.statistic], ["51.59060716590177"], rounding(np.column_stack([np.ones(200), M]))
    )
    check(fit.p_values, [".06604843284516", "4.710548549e-05", ".02380515903536"])
    assert fit.df_quantiles == 9


def test_stata_cluster_two_ways():
    # results_cluster_2groups_small: ivreg2 invest mvalue kstock, cluster(company time) small. It
    # takes the smaller of the two numbers of clusters for each kind, which the sums do not share:
    # so the covariances without factors are compared.
    M, y, firm, data = firms()
    plain = ml.fit(M, y)
    parts = {
        "firm": (plain.covariance("cluster", groups=firm), 10),
        "year": (plain.covariance("cluster", groups=data["year"]), 20),
        "both": (plain.covariance("cluster", groups=np.arange(200)), 200),
    }
    bare = {name: V * (count - 1) / count for name, (V, count) in parts.items()}
    V = (bare["firm"] + bare["year"] - bare["both"]) * 10 / 9
    check(np.sqrt(np.diagonal(V)), ["19.505607409785", ".01635175387097", ".07847391274682"])
    ours = plain.covariance("cluster", groups=(firm, data["year"]))
    sum_ = parts["firm"][0] + parts["year"][0] - parts["both"][0]
    assert distance(ours, sum_) <= rounding(np.column_stack([np.ones(200), M]))


def test_stata_with_analytic_weights():
    # results_hc1_wls_small: regress invest mvalue kstock [aw=1/mvalue], robust;
    # results_cluster_wls_small: the same, vce(cluster company)
    M, y, firm, _ = firms()
    fit = ml.fit(M, y, precision_weights=1 / M[:, 0].astype(float))
    check(
        fit.with_covariance("HC1").std_errors,
        ["2.3458404391932", ".00768545583365", ".00986959606725"],
    )
    check(
        fit.with_covariance("cluster", groups=firm).std_errors,
        ["5.7204731422962", ".02609630113434", ".02285882773869"],
    )


def test_longley_with_leverage():
    # statsmodels/regression/tests/results/results_regression.py, Longley: HC0_se to HC3_se, R's
    data = longley_data.load_pandas()
    fit = ml.fit(data.exog.to_numpy(), data.endog.to_numpy())
    for kind, texts in {
        "HC0": "832212 51.22035 0.02458 0.38324 0.14625 0.15821 428.38438",
        "HC1": "1109615 68.29380 0.03277 0.51099 0.19499 0.21094 571.17917",
        "HC2": "1202370 67.49208 0.03653 0.55334 0.20522 0.22324 617.59295",
        "HC3": "1799477 91.11939 0.05562 0.82213 0.29879 0.32491 922.80784",
    }.items():
        check(fit.with_covariance(kind).std_errors, texts.split())
