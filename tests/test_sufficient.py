"""Sufficient statistics: every fit from them is the fit of the rows."""

import copy
import json
import math
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mlreg as ml
from mlreg.likelihood.blocks import ArraySource
from mlreg.verify import laws
from mlreg.verify.strategies import designs, frequency_weights, precision_weights

nearly_collinear = pytest.mark.filterwarnings("ignore::mlreg.errors.NumericalWarning")
rng = np.random.default_rng(5)
X = rng.standard_normal((3000, 4)) + np.array([0, 10, 0, -3])
X[:, 3] += X[:, 0]
Y = X @ [1.0, -2.0, 0.0, 0.5] + 3 + rng.standard_normal(3000)


def in_parts(X, y, sizes=(700, 1, 1200, 1099), **weights):
    total, at = ml.SufficientStatistics(), 0
    for size in sizes:
        rows = slice(at, at + size)
        part = {k: w[rows] for k, w in weights.items()}
        total.update(X[rows], y[rows], **part)
        at += size
    return total


@nearly_collinear
@given(designs(max_log_condition=6, max_rows=60), st.data())
def test_a_fit_of_the_statistics_is_a_fit_of_the_rows(problem, data):
    n = len(problem.y)
    weights = {}
    if data.draw(st.booleans()):
        weights["frequency_weights"] = data.draw(frequency_weights(n))
    if data.draw(st.booleans()):
        weights["precision_weights"] = data.draw(precision_weights(n))
    cuts = sorted({0, *data.draw(st.lists(st.integers(1, n - 1), max_size=3)), n})
    total = ml.SufficientStatistics()
    for a, b in pairwise(cuts):
        part = {k: w[a:b] for k, w in weights.items()}
        if not part or np.prod(list(part.values()), axis=0).any():
            total += ml.SufficientStatistics().update(problem.X[a:b, 1:], problem.y[a:b], **part)
    if np.count_nonzero(weights.get("frequency_weights", np.ones(n))) < problem.X.shape[1]:
        with pytest.raises(ml.RankDeficient, match="cannot determine"):
            ml.fit(problem.X[:, 1:], problem.y, **weights)
        with pytest.raises(ml.RankDeficient, match="cannot determine"):
            ml.fit(total)
        return
    whole, fit = ml.fit(problem.X[:, 1:], problem.y, **weights), ml.fit(total)
    assert fit.n_rows == whole.n_rows
    if whole.status.code == fit.status.code == "converged":
        laws.blocks_do_not_matter(fit, whole)
        assert fit.nll == pytest.approx(whole.nll, rel=1e-6, abs=1e-6 * fit.n_rows)
        assert fit.r_squared == pytest.approx(whole.r_squared, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("k", [1, 2, 3])
def test_every_subset_of_columns(k, intercept):
    total = in_parts(X, Y)
    for columns in combinations(range(4), k):
        names = [f"x{j + 1}" for j in columns]
        fit = ml.fit(total, columns=names, intercept=intercept)
        whole = ml.fit(X[:, columns], Y, names=names, intercept=intercept)
        assert fit.names == whole.names
        laws.blocks_do_not_matter(fit, whole)
        for value in ("nll", "aic", "bic", "r_squared", "rss", "sigma"):
            assert getattr(fit, value) == pytest.approx(getattr(whole, value), rel=1e-10)
        assert fit.f_test.statistic == pytest.approx(whole.f_test.statistic, rel=1e-9)
        mean = fit.predict(X[:5, columns], interval="mean")
        assert mean.lower == pytest.approx(whole.predict(X[:5, columns], interval="mean").lower)
        assert not fit.certificate.refined
        assert fit.reads == 0


def test_order_of_columns_and_ten_machines(tmp_path):
    files = []
    for i, rows in enumerate(np.array_split(np.arange(3000), 10)):
        files.append(tmp_path / f"part{i}.json")
        ml.SufficientStatistics().update(X[rows], Y[rows]).save(files[-1])
    total = ml.SufficientStatistics()
    for file in files:
        total += ml.SufficientStatistics.load(file)
    assert total.n_rows == 3000
    fit = ml.fit(total, columns=["x3", "x1"])
    assert fit.names == ("Intercept", "x3", "x1")
    laws.blocks_do_not_matter(fit, ml.fit(X[:, [2, 0]], Y))
    fit.save(tmp_path / "fit.json")
    again = ml.load(tmp_path / "fit.json")
    assert (again.params == fit.params).all()
    assert (again.std_errors == fit.std_errors).all()


def test_many_small_updates_round_as_little_as_a_tree_of_them():
    total = ml.SufficientStatistics()
    for rows in np.split(np.arange(3000), 600):
        total.update(X[rows], Y[rows])
    assert total.n_rows == 3000
    one, merged = 16 * 6 + 5, 16 * 6 * (math.ceil(math.log2(600)) + 10)  # see triangle.of and merge
    assert total.triangle.epsilon <= (one + merged) * 2.0**-53
    laws.blocks_do_not_matter(ml.fit(total), ml.fit(X, Y))
    assert (total._known.first == [1, *X[0]]).all()  # the oldest


def test_a_copy_stays_as_it_is():
    total = ml.SufficientStatistics().update(X[:1000], Y[:1000])
    other = copy.copy(total).update(X[1000:], Y[1000:])
    assert (total.n_rows, other.n_rows) == (1000, 3000)


def test_saved_statistics_are_exact_and_small(tmp_path):
    total = in_parts(X, Y, frequency_weights=np.arange(3000) % 4 + 1)
    total.save(tmp_path / "s.json")
    again = ml.SufficientStatistics.load(tmp_path / "s.json")
    assert (again.triangle.R == total.triangle.R).all()
    assert (ml.fit(again).params == ml.fit(total).params).all()
    assert ml.fit(again).constant == ml.fit(total).constant
    assert (tmp_path / "s.json").stat().st_size < 5000
    assert (again + again).n_rows == 2 * total.n_rows


def test_rows_left_out_are_counted(tmp_path):
    gaps = X.copy()
    gaps[[3, 5, 2000], 0] = np.nan
    parts = [
        ml.SufficientStatistics().update(gaps[rows], Y[rows], missing="drop")
        for rows in (slice(0, 1000), slice(1000, 3000))
    ]
    total = parts[0] + parts[1]
    total.save(tmp_path / "s.json")
    again = ml.SufficientStatistics.load(tmp_path / "s.json")
    assert [s.n_missing for s in (*parts, total, again)] == [2, 1, 3, 3]
    assert total.update(gaps[:4], Y[:4], missing="drop").n_missing == 4
    fit = ml.fit(again, columns=["x1"])
    assert fit.n_missing == 3
    assert "left out for missing values: 3 rows" in fit.summary()
    older = json.loads((tmp_path / "s.json").read_text())
    del older["n_missing"]  # files of before
    (tmp_path / "s.json").write_text(json.dumps(older))
    assert ml.SufficientStatistics.load(tmp_path / "s.json").n_missing == 0


def test_a_formula_and_a_source():
    table = {"y": Y, "a": X[:, 0], "g": np.array(["u", "v", "w"] * 1000)}
    total = ml.SufficientStatistics().update("y ~ a + C(g)", table)
    whole = ml.fit("y ~ a + C(g)", table)
    laws.blocks_do_not_matter(ml.fit(total), whole)
    source = ArraySource(X, Y, intercept=True)
    laws.blocks_do_not_matter(ml.fit(ml.SufficientStatistics().update(source)), ml.fit(X, Y))


def test_dependent_columns_are_named():
    total = ml.SufficientStatistics().update(np.column_stack([X, X[:, 0] + X[:, 1]]), Y)
    with pytest.raises(ml.RankDeficient, match=r"x5 = x1 \+ x2"):
        ml.fit(total)
    assert np.isnan(ml.fit(total, rank_deficient="drop").params[5])
    assert np.isfinite(ml.fit(total, columns=["x1", "x5"]).params).all()


def test_a_constant_column_stays_constant_over_parts():
    """R-squared is about the mean where any column is constant, and about zero elsewhere."""
    ones = np.ones((3000, 1))
    for second, constant in (
        (ones, 4),
        (ones * np.where(np.arange(3000) < 700, 1, 2)[:, None], None),
    ):
        total = ml.SufficientStatistics()
        for rows in (slice(0, 700), slice(700, 3000)):
            total.update(np.column_stack([X, second])[rows], Y[rows], intercept=False)
        fit = ml.fit(total)
        assert fit.constant == constant
        assert fit.r_squared == pytest.approx(
            ml.fit(np.column_stack([X, second]), Y, intercept=False).r_squared, rel=1e-12
        )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda s: ml.fit(ml.SufficientStatistics()), "no rows yet"),
        (lambda s: ml.SufficientStatistics().save("x.json"), "no rows yet"),
        (lambda s: ml.fit(s, columns=["x9"]), "no column 'x9' among Intercept, x1"),
        (lambda s: ml.fit(s, columns=["x1", "x1"]), "x1 twice"),
        (lambda s: ml.fit(s, columns="x1"), "list of names"),
        (lambda s: ml.fit(s, columns=[], intercept=False), "no column is left"),
        (lambda s: ml.fit(s, Y), "leave out y"),
        (lambda s: ml.fit(X, Y, columns=["x1"]), "give the columns themselves"),
        (lambda s: s.update(X[:, :2], Y), "different columns"),
        (lambda s: s.update(X, np.where(np.arange(3000) == 5, np.nan, Y)), "NaN"),
        (lambda s: s + ml.SufficientStatistics().update(X, Y, intercept=False), "different col"),
        (lambda s: ml.fit(s).residuals(), "rows"),
        (lambda s: ml.fit(s, optimizer=ml.SGD(0.01)), "needs the data"),
        (lambda s: ml.fit(s, optimizer=ml.Scipy()), "needs the data"),
        (
            lambda s: ml.SufficientStatistics().update(
                ArraySource(X, Y, scale=X[:, :3], scale_names=["z1", "z2", "z3"])
            ),
            "sigma of this source depends on z1",
        ),
        (lambda s: ml.SufficientStatistics.load("nowhere.json"), "there is no file"),
    ],
)
def test_misuse_says_what_to_do_and_changes_nothing(call, message):
    total = in_parts(X, Y)
    before = total.triangle.R.copy()
    with pytest.raises(ml.MlregError, match=message):
        call(total)
    assert (total.triangle.R == before).all()
    assert total.n_rows == 3000


def test_without_an_intercept_none_can_be_asked_for():
    total = ml.SufficientStatistics().update(X, Y, intercept=False)
    assert ml.fit(total).names == ("x1", "x2", "x3", "x4")
    with pytest.raises(ml.InvalidInput, match="no intercept"):
        ml.fit(total, intercept=True)
    assert ml.fit(ml.SufficientStatistics().update(X, Y), intercept=False).names[0] == "x1"


def test_a_damaged_file_is_said_to_be(tmp_path):
    path = tmp_path / "s.json"
    in_parts(X, Y).save(path)
    saved = json.loads(path.read_text())
    t = saved["triangle"]
    for change in (
        {"design": {}},
        {"triangle": {}},
        {"triangle": {**t, "exponent": [0.5] * 5}},
        {"triangle": {**t, "epsilon": None}},
        {"triangle": {**t, "R": np.array(t["R"]).T.tolist()}},
        {"first": None},
        {"n_rows": "many"},
        {"n_rows": -5},
        {"constant": [17]},
        {"log_precision": "none"},
        {"n_missing": -1},
        {"n_missing": 1.5},
    ):
        path.write_text(json.dumps({**saved, **change}))
        with pytest.raises(ml.InvalidInput, match="damaged"):
            ml.SufficientStatistics.load(path)
    path.write_text("no")
    with pytest.raises(ml.InvalidInput, match="not a file"):
        ml.SufficientStatistics.load(path)
    with pytest.raises(ml.InvalidInput, match=r"mlreg\.SufficientStatistics"):
        ml.load(_saved(tmp_path))


def _saved(folder):
    in_parts(X, Y).save(folder / "again.json")
    return folder / "again.json"


def test_one_row_and_fewer_rows_than_columns():
    total = ml.SufficientStatistics().update(X[:1], Y[:1])
    with pytest.raises(ml.RankDeficient, match="1 row cannot determine 5"):
        ml.fit(total)
    assert ml.fit(total.update(X[1:50], Y[1:50])).n_rows == 50
    assert repr(total) == "<SufficientStatistics: 50 rows of Intercept, x1, x2, x3, x4>"
