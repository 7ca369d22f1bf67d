"""docs/coming-from.md: every expression runs, and its numbers are true."""

import importlib.util
import re
import sys
from pathlib import Path

import mpmath
import numpy as np
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf
from scipy import stats

import mlreg as ml


@pytest.fixture(scope="module")
def table():
    path = Path(__file__).with_name("coming_from.py")
    spec = importlib.util.spec_from_file_location("coming_from", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look for it
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.fixture(scope="module")
def page(table):
    return table.PAGE.read_text("utf-8")


@pytest.fixture(scope="module")
def rows(table, page):
    return table.read(page)[0]


ELSEWHERE = 100  # times the rounding of the machine that wrote the page, as the page says


def test_every_difference_is_rounding_and_no_more_than_the_page_says(table, rows):
    seen = list(table.compared(rows))
    assert len(seen) > 200
    for row, column, found, may in seen:
        where = f"{row.theirs[0]}, {column}: {found:.2g} apart"
        assert found <= may, f"{where}, and rounding explains {may:.2g}"
        said = row.cells[column]
        assert said, f"{where}: python tests/inference/coming_from.py writes the page"
        assert found <= (0 if said == "=" else ELSEWHERE * float(said)), (
            f"{where}, and the page says {said}"
        )


def test_the_page_is_what_rewriting_makes_of_it_but_for_the_numbers(table, page):
    numbers = r"(?<=\| )1e-\d\d(?= \|)"
    assert re.sub(numbers, "1", table.rewrite(page)) == re.sub(numbers, "1", page)


def test_a_difference_that_is_no_rounding_is_not_written(table, page):
    wrong = page.replace("| `res.aic` | `fit.aic - 2` |", "| `res.aic` | `fit.aic` |")
    assert wrong != page
    with pytest.raises(AssertionError, match=r"res\.aic, Longley: 2 apart"):
        table.rewrite(wrong)


@pytest.mark.parametrize("section", ["results", "influence", "predictions"])
def test_every_public_name_of_statsmodels_is_in_the_table(table, rows, section):
    X = np.random.default_rng(0).standard_normal((9, 2))
    results = sm.OLS(X.sum(1) + X[:, 0] ** 2, X).fit()
    variable, thing = {
        "results": ("res", results),
        "influence": ("infl", results.get_influence()),
        "predictions": ("pred", results.get_prediction()),
    }[section]
    public = {name for name in dir(thing) if not name.startswith("_")}
    code = " ".join(c for r in rows if r.section == f"statsmodels: {section}" for c in r.theirs)
    assert public - set(re.findall(rf"\b{variable}\.(\w+)", code)) == set()


def test_every_number_of_r_is_in_the_table(table, rows):
    compared = {
        r.theirs[0] for r in rows if r.section == table.R and r.unit not in ("", table.NONE)
    }
    assert compared == set(table.SAID)


def test_expressions_that_nothing_is_compared_with_run(table, rows):
    others = [r for r in rows if r.ours and r.unit in ("", table.NONE)]
    column = {table.R: "macro", table.SKLEARN: "difference"}
    spaces = table.namespaces()
    assert len(others) > 50
    for row in others:
        names = spaces[row.section, column.get(row.section, "weights")]
        if names is None:
            continue
        try:
            eval(row.ours, dict(names))
        except Exception as error:
            raise AssertionError(f"{row.ours}: {error}") from error


def test_what_is_said_of_fits_without_a_constant(table):
    data = table.sixty_rows(np.random.default_rng(3))
    for formula, same in (("y ~ 0 + x1", True), ("y ~ 0 + C(g) + x1", False)):
        res, fit = smf.ols(formula, data).fit(), ml.fit(formula, data)
        about_zero = fit.rss / np.sum(data["y"] ** 2)
        assert abs(1 - fit.r_squared - about_zero) <= table.bound(fit)
        assert (abs(res.rsquared - fit.r_squared) <= table.bound(fit)) == same
        assert (res.df_model == fit.f_test.df_model) == same


def test_what_is_said_of_longleys_data_beside_arithmetic_of_60_digits():
    longley = ml.datasets.longley()
    fit = ml.fit(longley.X, longley.y)
    with mpmath.workdps(60):
        X = mpmath.matrix([[1, *map(float, row)] for row in longley.X])
        y = mpmath.matrix([*map(float, longley.y)])
        P = (X.T * X) ** -1 * X.T
        residuals, leverage = y - X * (P * y), [(X[i, :] * P[:, i])[0] for i in range(16)]
        s = mpmath.norm(residuals) / 3
        e = [(residuals[i] / (1 - leverage[i])) for i in range(16)]
        hc3 = [mpmath.norm([P[j, i] * e[i] for i in range(16)]) for j in range(7)]
        mean = [s * mpmath.sqrt(h) for h in leverage]
        truth = [np.array([*map(float, v)]) for v in (residuals, leverage, hc3, mean)]
    limits, quantile = fit.predict(longley.X, "mean"), stats.t.ppf(0.975, 9)
    found = [
        fit.residuals(),
        fit.influence().leverage,
        fit.with_covariance("HC3").std_errors,
        (limits.upper - limits.lower) / 2 / quantile,
    ]
    for ours, exact in zip(found, truth, strict=True):
        size = np.max(exact) if exact is truth[0] else exact  # a residual may be next to nothing
        assert np.max(np.abs(ours - exact) / size) <= 1e-10
