import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats
from statsmodels.stats.anova import anova_lm

import mlreg as ml

rng = np.random.default_rng(2)
X = rng.standard_normal((60, 4))
Y = X @ [1.0, 0.0, 0.3, 0.0] + rng.standard_normal(60)
NESTED = (["x1"], ["x1", "x2"], ["x1", "x2", "x3", "x4"])


def test_anova_is_that_of_statsmodels_and_needs_no_rows():
    total = ml.SufficientStatistics().update(X, Y)
    table = ml.anova(*(ml.fit(total, columns=columns) for columns in NESTED))
    D = np.column_stack([np.ones(60), X])
    theirs = [sm.OLS(Y, D[:, : len(c) + 1]).fit() for c in NESTED]
    reference = anova_lm(*theirs)
    assert table.f_statistic[1:] == pytest.approx(reference["F"].to_numpy()[1:], rel=1e-10)
    assert table.p_value[2] == pytest.approx(reference["Pr(>F)"].iloc[2], rel=1e-10)
    # R takes the degrees of freedom from where the mean square comes from: the largest model
    assert table.p_value[1] == pytest.approx(stats.f.sf(table.f_statistic[1], 1, 55), rel=1e-12)
    assert table.rss == pytest.approx(reference["ssr"].to_numpy(), rel=1e-12)
    assert table.df_resid.tolist() == [58, 57, 55]
    assert table.aic == pytest.approx([fit.aic + 2 for fit in theirs], rel=1e-12)  # sigma counts
    assert table.bic == pytest.approx([fit.bic + np.log(60) for fit in theirs], rel=1e-12)
    assert table.added == (("Intercept", "x1"), ("x2",), ("x3", "x4"))
    assert "+ x3, x4" in str(table)


@pytest.mark.parametrize("unit", [1e-200, 1e200])
def test_units_do_not_matter(unit):
    fits = [ml.fit(X[:, :k], unit * Y) for k in (1, 4)]
    plain = [ml.fit(X[:, :k], Y) for k in (1, 4)]
    assert ml.anova(*fits).p_value[1] == pytest.approx(ml.anova(*plain).p_value[1], rel=1e-9)


def test_weighted_fits_are_those_of_repeated_rows():
    k = np.arange(60) % 3 + 1
    fits = [ml.fit(X[:, :j], Y, frequency_weights=k) for j in (1, 3)]
    again = [ml.fit(np.repeat(X, k, axis=0)[:, :j], np.repeat(Y, k)) for j in (1, 3)]
    assert ml.anova(*fits).p_value[1] == pytest.approx(ml.anova(*again).p_value[1], rel=1e-9)


@pytest.mark.parametrize(
    ("fits", "message"),
    [
        (lambda: [ml.fit(X, Y)], "two fits or more"),
        (lambda: [ml.fit(X, Y), ml.fit(X[:, :2], Y)], "lacks x3, x4"),
        (lambda: [ml.fit(X, Y), ml.fit(X, Y)], "no more columns"),
        (lambda: [ml.fit(X[:30, :1], Y[:30]), ml.fit(X, Y)], "other rows"),
        (lambda: [ml.fit(X[:, :1], 2 * Y), ml.fit(X, Y)], "another response"),
        (lambda: [ml.fit(X[:, [2]], Y), ml.fit(X[:, :2], Y)], "other columns by the same name"),
        (lambda: [ml.fit(X[:, :1], Y[::-1]), ml.fit(X[:, :2], Y)], "another response"),
        (lambda: [1, 2], "no Fit but int"),
        (lambda: [ml.fit(X[:, :1], Y), ml.fit(X, Y, noise=ml.StudentT(4))], "none of least squar"),
        (lambda: [ml.fit(X[:, :1], Y), ml.fit(X, Y, prior=ml.NormalPrior(1))], "none of least sq"),
        (
            lambda: [ml.fit(X[:, :1], Y), ml.fit(X, np.exp(Y), transform="log")],
            "transformed differently",
        ),
        (lambda: [ml.fit(X[:, :1], Y), ml.fit(X, Y, optimizer=ml.SGD(1e-4))], "not the MLE"),
    ],
)
def test_what_cannot_be_compared_is_refused(fits, message):
    with pytest.raises(ml.InvalidInput, match=message):
        ml.anova(*fits())


def test_one_of_the_fits_may_be_in_extreme_units():
    rng = np.random.default_rng(0)
    x1, x2 = rng.normal(size=(2, 200))
    y = 1 + x1 + rng.normal(size=200)
    small, *large = (
        ml.fit(X, y) for X in (x1[:, None], *(np.column_stack([x1, u * x2]) for u in (1.0, 1e40)))
    )
    one, other = (ml.anova(small, fit) for fit in large)
    assert other.f_statistic[1] == pytest.approx(one.f_statistic[1], rel=1e-9)
