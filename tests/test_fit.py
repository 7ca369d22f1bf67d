import copy
import json
import pickle
import re

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mlreg as ml
from mlreg.inference.elsewhere import ELSEWHERE
from mlreg.likelihood import gaussian
from mlreg.likelihood.blocks import ArraySource, Block
from mlreg.verify import laws
from mlreg.verify.exact import least_squares
from mlreg.verify.strategies import dependent_designs, designs, exact_ols, frequency_weights

# Some of the designs drawn are so nearly collinear that the fit says so: that is no failure here.
nearly_collinear = pytest.mark.filterwarnings("ignore::mlreg.errors.NumericalWarning")


U = 2.0**-53


class Chunks:
    """The rows of a problem in blocks of given sizes, in a given order."""

    rereadable = True

    def __init__(self, problem, order, size):
        self.source = ArraySource(problem.X[order], problem.y[order])
        self.names, self.n_rows, self.size = self.source.names, len(problem.y), size

    def blocks(self, size=None, rng=None):
        return self.source.blocks(self.size, rng)


def usable(fit):
    return fit.status.code == "converged" and fit.certificate.rounding.max() < 0.01


@nearly_collinear
@given(st.one_of(exact_ols(), designs()), st.data())
def test_order_and_chunking_change_rounding_only(problem, data):
    order = data.draw(st.permutations(range(len(problem.y))))
    size = data.draw(st.integers(1, len(problem.y)))
    one = ml.fit(problem.X, problem.y, intercept=False)
    other = ml.fit(Chunks(problem, order, size))
    if usable(one) and usable(other):
        laws.blocks_do_not_matter(one, other)
        laws.params_within_rounding(other, problem.exact)


@nearly_collinear
@given(st.one_of(exact_ols(), designs(max_log_condition=3)), st.data())
def test_weights_are_repetition(problem, data):
    k = data.draw(frequency_weights(len(problem.y)))
    rows = np.repeat(np.arange(len(k)), k.astype(int))
    try:
        repeated = ml.fit(problem.X[rows], problem.y[rows], intercept=False)
    except ml.RankDeficient:
        with pytest.raises(ml.RankDeficient):
            ml.fit(problem.X, problem.y, intercept=False, frequency_weights=k)
        return
    weighted = ml.fit(problem.X, problem.y, intercept=False, frequency_weights=k)
    if usable(weighted) and usable(repeated):
        laws.weights_are_repetition(weighted, repeated)


@nearly_collinear
@given(exact_ols(), st.data())
def test_a_row_of_precision_zero_is_no_row(problem, data):
    keep = np.array(
        data.draw(st.lists(st.booleans(), min_size=len(problem.y), max_size=len(problem.y)))
    )
    if not keep.any():
        return
    for kind in ("frequency_weights", "precision_weights"):
        try:
            without = ml.fit(problem.X[keep], problem.y[keep], intercept=False)
        except ml.RankDeficient:
            continue
        weighted = ml.fit(problem.X, problem.y, intercept=False, **{kind: keep.astype(float)})
        assert (weighted.params == without.params).all()
        assert weighted.nll == without.nll
        assert weighted.df_resid == without.df_resid


@nearly_collinear
@given(designs(max_log_condition=4), st.data())
def test_equivariance(problem, data):
    p = problem.X.shape[1]
    c = data.draw(st.sampled_from([-3.0, 0.1, 1e9, 1e-9]))
    scale = 10.0 ** np.array(data.draw(st.lists(st.integers(-9, 9), min_size=p, max_size=p)))
    base = ml.fit(problem.X, problem.y, intercept=False)
    shift = np.array(data.draw(st.lists(st.integers(-9, 9), min_size=p, max_size=p)))
    shift = shift * c * np.abs(base.params)
    moved = ml.fit(problem.X * scale, c * problem.y + problem.X @ shift, intercept=False)
    if usable(base) and usable(moved):
        laws.equivariant(base, moved, c, shift, scale)


@nearly_collinear
@given(st.one_of(exact_ols(), designs()))
def test_sigma_is_the_mle_and_residuals_are_orthogonal(problem):
    fit = ml.fit(problem.X, problem.y, intercept=False)
    X, y = problem.X, problem.y
    laws.sigma_is_rss_over_n(fit, problem.exact, np.linalg.norm(y), np.linalg.norm(X, axis=0))
    laws.residuals_are_orthogonal(X, y, fit.params, fit.R.epsilon + len(y) * U)
    if usable(fit):
        assert fit.residual_std_error == pytest.approx(
            fit.sigma * np.sqrt(fit.n_rows / fit.df_resid), rel=8 * U
        )


@nearly_collinear
@given(exact_ols(max_shear=10), st.data())
def test_nll_is_that_of_the_plain_function(problem, data):
    fit = ml.fit(problem.X, problem.y, intercept=False)
    if not usable(fit):
        return
    value = gaussian.nll(fit.params, fit.sigma, problem.X, problem.y)
    n = len(problem.y)
    slack = fit.R.epsilon * laws._residual_loss(fit)
    assert abs(fit.nll - value) <= 8 * n * (slack + U * (1 + abs(value)))
    assert fit.aic == 2 * fit.nll + 2 * (fit.rank + 1)
    assert fit.bic == 2 * fit.nll + np.log(n) * (fit.rank + 1)
    # no other sigma and no other params are more likely
    for sigma in (0.9, 1.1):
        assert gaussian.nll(fit.params, sigma * fit.sigma, problem.X, problem.y) > value
    d = fit.std_errors * data.draw(st.sampled_from([-1, 1]))
    assert gaussian.nll(fit.params + d, fit.sigma, problem.X, problem.y) > value


@nearly_collinear
@given(exact_ols())
def test_the_construction_knows_its_solution(problem):
    """`exact_ols` against the rational solver: two roads to the same fractions."""
    assert problem.known == least_squares(problem.X, problem.y)


# Hostile inputs (the table of peers' failures: here each is right, or a clear error)

rng = np.random.default_rng(0)
x, z, e = rng.standard_normal((3, 30))
Y = 1 + 2 * x - z + 0.1 * e
XZ = np.column_stack([x, z])


def rational(X, y):
    return least_squares(np.column_stack([np.ones(len(X)), X]).astype(float), y)


@pytest.mark.parametrize(
    ("X", "y"),
    [
        pytest.param(XZ, Y, id="plain"),
        pytest.param(XZ * 1e300, Y, id="X of 1e300"),
        pytest.param(XZ * 1e200, Y * 1e200, id="X and y of 1e200"),
        pytest.param(XZ * 1e-200, Y, id="X of 1e-200"),
        pytest.param(XZ, Y * 1e300, id="y of 1e300"),
        pytest.param(XZ, Y * 1e-300, id="y of 1e-300"),
        pytest.param(XZ * [1e8, 1], Y, id="units 1e8 apart"),
        pytest.param(XZ * [1e9, 1e-9], Y, id="units 1e18 apart"),
        pytest.param((1e9 + x)[:, None], Y, id="x = 1e9 + N(0, 1)"),
        pytest.param((1.7e9 + 86400.0 * np.arange(30))[:, None], Y, id="timestamps in s"),
        pytest.param((1.7e18 + 86400e9 * np.arange(30))[:, None], Y, id="timestamps in ns"),
        pytest.param(np.column_stack([x, x + 1e-9 * z]), Y, id="collinear to 1e-9"),
        pytest.param(XZ, np.where(np.arange(30) == 0, 1e12, Y), id="outlier of 1e12"),
        pytest.param((XZ * 2**61).astype(np.int64) // 512 * 512, Y, id="int64 near 2**62"),
        pytest.param(XZ.astype(object), Y, id="object"),
        pytest.param(XZ > 0, Y, id="bool"),
        pytest.param(XZ.astype(np.float32), Y, id="float32"),
        pytest.param(np.zeros((30, 0)), Y, id="intercept only"),
        pytest.param(XZ[:4], Y[:4], id="one degree of freedom"),
    ],
)
def test_hostile_numbers_are_right_within_the_stated_bound(X, y):
    fit = ml.fit(X, y)
    exact = rational(X, y)
    assert fit.status.code == "converged"
    laws.params_within_rounding(fit, exact)
    assert fit.certificate.rounding.max() < 0.01
    assert np.isfinite(fit.std_errors).all()
    assert "nan" not in fit.summary()


@pytest.mark.parametrize(
    ("X", "y", "kwargs", "error", "message"),
    [
        (np.where(XZ == x[3], np.nan, XZ), Y, {}, ValueError, "'x1' in 1 rows, first at row 3"),
        (XZ, np.where(Y == Y[2], np.nan, Y), {}, ValueError, "'y' in 1 rows, first at row 2"),
        (XZ, np.where(Y == Y[2], np.inf, Y), {}, ValueError, "'y' in 1 rows, first at row 2"),
        (XZ, np.where(Y == Y[2], np.inf, Y), {"missing": "drop"}, ValueError, "first at row 2"),
        (XZ[:, [0, 0]], Y, {}, ml.RankDeficient, "x2 = x1"),
        (np.column_stack([x, np.full(30, 5)]), Y, {}, ml.RankDeficient, r"x2 = 5\*Intercept"),
        (np.column_stack([x, 0 * x]), Y, {}, ml.RankDeficient, "x2 is zero in every row"),
        (np.column_stack([x, z, x + 2 * z]), Y, {}, ml.RankDeficient, r"x3 = x1 \+ 2\*x2"),
        (XZ[:2], Y[:2], {}, ml.RankDeficient, "2 rows cannot determine 3 coefficients"),
        (XZ[:1], Y[:1], {}, ml.RankDeficient, "1 row cannot determine 3 coefficients"),
        (XZ * 1e-310, Y, {}, ValueError, "'x1' exceeds the largest floating-point number"),
        (XZ * 1e300, Y * 1e-200, {}, ValueError, "'x1' is below the smallest floating-point"),
        (XZ, Y, {"precision_weights": np.r_[-1, np.ones(29)]}, ValueError, "not negative"),
        (XZ, Y, {"precision_weights": np.zeros(30)}, ValueError, "are zero: no row is left"),
        (XZ, Y, {"precision_weights": np.full(30, np.nan)}, ValueError, "must be finite"),
        (XZ, Y, {"frequency_weights": np.full(30, 0.5)}, ValueError, "whole numbers"),
        (XZ + 0j, Y, {}, TypeError, "X is complex"),
        (XZ.astype(str), Y, {}, TypeError, "X holds text"),
        (np.ma.masked_array(XZ, XZ > 2), Y, {}, TypeError, "X is a masked array"),
        (XZ[:0], Y[:0], {}, ValueError, "there are no rows"),
        (XZ, np.column_stack([Y, Y]), {}, ValueError, "one at a time"),
        (XZ, Y[:5], {}, ValueError, "y has 5 values for 30 rows"),
        (np.zeros((30, 0)), Y, {"intercept": False}, ValueError, "no columns"),
        (None, Y, {}, TypeError, "X must be an array"),
        (XZ, None, {}, ValueError, "a response is needed"),
        (XZ, Y, {"missing": "ignore"}, ValueError, "missing must be"),
        (XZ, Y, {"rank_deficient": "ignore"}, ValueError, "rank_deficient must be"),
        (XZ, Y, {"intercept": 1}, ValueError, "intercept must be True or False"),
        (XZ, Y, {"optimizer": ml.SGD}, ValueError, "must be a configuration, such as Exact"),
        (XZ, Y, {"optimizer": "sgd"}, ValueError, "must be a configuration"),
        (XZ, Y, {"noise": "laplace"}, ValueError, "noise must be a noise, such as"),
        (XZ, Y, {"names": ["a"]}, ValueError, "1 names for the 2 columns"),
        (
            np.zeros((30, 1)),
            Y,
            {"intercept": False, "rank_deficient": "drop"},
            ValueError,
            "is zero",
        ),
    ],
)
def test_hostile_input_is_an_error_that_names_the_place(X, y, kwargs, error, message):
    with pytest.raises(error, match=message) as caught:
        ml.fit(X, y, **kwargs)
    assert isinstance(caught.value, ml.MlregError)


def test_integers_that_float64_cannot_hold_are_said():
    stamps = 1_700_000_000_000_000_000 + 1_000_001 * np.arange(30)
    with pytest.warns(ml.NumericalWarning) as caught:
        ml.fit(stamps[:, None], Y)
    said = " ".join(str(w.message) for w in caught)
    assert "29 of column 'x1'" in said
    assert "subtract an offset first" in said


def test_layouts_and_kinds_of_arrays_do_not_matter():
    base = ml.fit(XZ, Y)
    frozen = XZ.copy()
    frozen.flags.writeable = False
    wide = np.column_stack([x, e, z])
    for X in (np.asfortranarray(XZ), frozen, wide[:, ::2], XZ[::-1][::-1], XZ.astype(">f8"),
              XZ.tolist(), pd.DataFrame(XZ), pl.DataFrame(XZ)):  # fmt: skip
        for y in (Y, Y[:, None], Y.tolist(), pd.Series(Y), pl.Series(Y)):
            assert (ml.fit(X, y).params == base.params).all()


def test_perfect_fit_is_said_and_nothing_is_inferred():
    for X, y in ((XZ, 1 + 2 * x - z), (XZ[:3], Y[:3]), (XZ, np.zeros(30)), (XZ, np.full(30, 3.0))):
        fit = ml.fit(X, y)
        assert fit.status.code == "perfect-fit"
        assert fit.nll == -np.inf
        assert np.isnan(fit.std_errors).all()
        assert np.isnan(fit.p_values).all()
        assert np.isnan(fit.conf_int()).all()
        assert np.isnan(fit.f_test.statistic)
        fit.summary()
    assert "3 rows determine 3 coefficients" in ml.fit(XZ[:3], Y[:3]).status.message
    assert np.isnan(ml.fit(XZ, np.full(30, 3.0)).r_squared)


# Missing values, dependent columns


def test_missing_rows_are_dropped_when_told():
    X, y = XZ.copy(), Y.copy()
    X[3, 0] = y[7] = np.nan
    keep = np.setdiff1d(np.arange(30), [3, 7])
    fit, base = ml.fit(X, y, missing="drop"), ml.fit(XZ[keep], Y[keep])
    assert (fit.params == base.params).all()
    assert (fit.n_rows, fit.n_missing) == (28, 2)
    assert "left out for missing values: 2 rows" in fit.summary()
    assert len(fit.residuals()) == 28
    frame = pd.DataFrame({"y": y, "a": X[:, 0], "b": X[:, 1]})
    by_formula = ml.fit("y ~ a + b", frame, missing="drop")
    assert (by_formula.params == base.params).all()
    assert by_formula.n_missing == 2
    with pytest.raises(ml.InvalidInput, match=r"'a'|'y'"):
        ml.fit("y ~ a + b", frame)


def test_dependent_columns_are_dropped_when_told():
    X = np.column_stack([x, 2 * x + 1, z])
    fit, base = ml.fit(X, Y, rank_deficient="drop"), ml.fit(XZ, Y)
    assert np.isnan(fit.params[2])
    assert fit.params[[0, 1, 3]] == pytest.approx(base.params, rel=1e-13)
    assert fit.std_errors[[0, 1, 3]] == pytest.approx(base.std_errors, rel=1e-12)
    assert (fit.rank, fit.df_resid) == (3, 27)
    assert fit.nll == pytest.approx(base.nll, rel=1e-13)
    assert "left out as dependent: x2 = Intercept + 2*x1" in fit.summary()
    assert fit.predict(X) == pytest.approx(base.predict(XZ), rel=1e-12)
    assert fit.residuals() == pytest.approx(base.residuals(), abs=1e-12)
    for off in (0.0, 3 + 1e-7):
        with pytest.warns(ml.NumericalWarning, match="do not obey"):
            fit.predict([[1.0, off, 0.0]])
    fit.predict([[1.0, 3.0, 0.0]])
    assert fit.reads == 2  # the triangle, from which that of the columns left follows; certificate
    sgd = ml.fit(X, Y, rank_deficient="drop", optimizer=ml.SGD(0.1, batch_size=5, epochs=200))
    assert sgd.certificate.distance < 3
    started = ml.fit(X, Y, rank_deficient="drop", optimizer=ml.Scipy(), start=np.zeros(4))
    assert started.status.code == "converged"


@nearly_collinear
@given(dependent_designs())
def test_a_dependent_column_is_named_and_dropping_it_changes_nothing(case):
    y = case.problem.y
    base = ml.fit(case.problem.X, y, intercept=False)
    with pytest.raises(ml.RankDeficient, match=rf"\bx{case.column + 1} (=|is)"):
        ml.fit(case.X, y, intercept=False)
    if usable(base):
        dropped = ml.fit(case.X, y, intercept=False, rank_deficient="drop")
        laws.fitted_values_are_unique(dropped, base, case.column)


def test_fewer_rows_than_columns_drop_the_rest():
    wide = np.random.default_rng(1).standard_normal((4, 9))
    fit = ml.fit(wide, Y[:4], rank_deficient="drop")
    assert fit.rank == 4
    assert np.isnan(fit.params).tolist() == [False] * 4 + [True] * 6
    assert fit.status.code == "perfect-fit"


# Predictions


def test_predict_forms():
    fit = ml.fit(XZ, Y)
    rows = fit.predict(XZ)
    assert rows == pytest.approx(fit.fitted_values(), rel=1e-14)
    assert fit.predict(XZ[0]).shape == (1,)
    one = ml.fit(x, Y)
    assert one.predict([0.5, 1.5]).shape == (2,)
    frame = ml.fit(pd.DataFrame({"a": x, "b": z}), Y)
    assert frame.names == ("Intercept", "a", "b")
    shuffled = pl.DataFrame({"other": e, "b": z, "a": x})
    assert (frame.predict(shuffled) == rows).all()
    inner, outer = (fit.predict(XZ, kind) for kind in ("mean", "prediction"))
    assert (outer.lower < inner.lower).all()
    assert (inner.upper < outer.upper).all()
    for bad, message in (
        (np.ones((2, 3)), "columns"),
        ([[np.nan, 1.0]], "NaN"),
        ({"a": [1.0]}, "'b'"),
    ):
        with pytest.raises(ml.InvalidInput, match=message):
            (frame if isinstance(bad, dict) else fit).predict(bad)
    with pytest.raises(ml.InvalidInput, match="interval must be"):
        fit.predict(XZ, "confidence")
    for level in (0, 1, 95, "a"):
        with pytest.raises(ml.InvalidInput, match="level must be between 0 and 1"):
            fit.predict(XZ, "mean", level)


def test_prediction_in_extreme_units():
    base = ml.fit(XZ, Y).predict(XZ, "prediction")
    scaled = ml.fit(XZ * 2.0**900, Y * 2.0**600).predict(XZ * 2.0**900, "prediction")
    assert (scaled.lower * 2.0**-600 == base.lower).all()


# Formulas and tables


def test_formula_with_categories_and_transformations():
    table = {"y": Y, "x": x, "g": np.array(list("abc") * 10)}
    fit = ml.fit("y ~ x + C(g)", table)
    assert fit.names == ("Intercept", "x", "C(g)[T.b]", "C(g)[T.c]")
    dummies = np.column_stack([x, table["g"] == "b", table["g"] == "c"])
    assert (fit.params == ml.fit(dummies, Y).params).all()
    assert fit.predict({"x": [0.0], "g": ["c"]}) == pytest.approx(
        [fit.params[0] + fit.params[3]], rel=1e-14
    )
    with pytest.raises(ml.InvalidInput, match="d"):
        fit.predict({"x": [0.0], "g": ["d"]})
    none = ml.fit("y ~ x - 1", table)
    assert none.names == ("x",)
    assert none.constant is None
    with pytest.raises(ml.InvalidInput, match="leave out intercept="):
        ml.fit("y ~ x", table, intercept=True)
    with pytest.raises(ml.InvalidInput, match="needs data"):
        ml.fit("y ~ x")


def test_weights_by_column_name(tmp_path):
    w = np.arange(30) % 3
    frame = pd.DataFrame({"y": Y, "x": x, "w": w})
    frame.to_csv(tmp_path / "d.csv", index=False)
    base = ml.fit(x, Y, frequency_weights=w)
    for data in (frame, pl.from_pandas(frame), str(tmp_path / "d.csv"), tmp_path / "d.csv"):
        fit = ml.fit("y ~ x", data, frequency_weights="w")
        assert (fit.params == base.params).all()
        assert fit.n_rows == w.sum()
    assert "20 weighted rows" in base.summary()


def test_a_source_is_a_design():
    source = ArraySource(XZ, Y, intercept=True)
    fit = ml.fit(source)
    assert (fit.params == ml.fit(XZ, Y).params).all()
    assert fit.constant == 0
    with pytest.raises(ml.InvalidInput, match="leave out names"):
        ml.fit(source, names=["a", "b", "c"])


# Saving


def everything(fit):
    return json.dumps(fit.to_dict(), default=str)


@pytest.mark.parametrize("name", ["plain", "formula", "dropped", "perfect", "sgd", "weights"])
def test_save_and_load_are_exact(tmp_path, name):
    table = {"y": Y, "x": x, "z": z, "g": np.array(list("ab") * 15)}
    fit = {
        "plain": lambda: ml.fit(XZ, Y),
        "formula": lambda: ml.fit("y ~ poly(x, 2) + C(g) + center(z)", table),
        "dropped": lambda: ml.fit(np.column_stack([x, x, z]), Y, rank_deficient="drop"),
        "perfect": lambda: ml.fit(XZ, 1 + x),
        "sgd": lambda: ml.fit(XZ, Y, optimizer=ml.SGD(0.03, batch_size=5)),
        "weights": lambda: ml.fit(XZ, Y, precision_weights=np.exp(e)),
    }[name]()
    path = tmp_path / "fit.json"
    fit.save(path)
    loaded = ml.load(path)
    assert everything(loaded) == everything(fit)
    assert loaded.summary() == fit.summary()
    new = table if name == "formula" else np.column_stack([x, x, z]) if name == "dropped" else XZ
    assert (loaded.predict(new) == fit.predict(new)).all()
    with pytest.raises(ml.DataNeeded, match="without its rows"):
        loaded.residuals()
    for twin in (copy.deepcopy(fit), pickle.loads(pickle.dumps(fit)), copy.copy(fit)):
        assert everything(twin) == everything(fit)
    assert [p.name for p in tmp_path.iterdir()] == ["fit.json"]


def test_what_is_no_saved_fit_is_refused(tmp_path):
    path = tmp_path / "f.json"
    for text in ("{", "[]", "{}", '{"format": "mlreg.Fit"}'):
        path.write_text(text)
        with pytest.raises(ml.InvalidInput, match="not a file that mlreg saved"):
            ml.load(path)
    path.write_text('{"format": "mlreg.Fit", "version": 2}')
    with pytest.raises(ml.InvalidInput, match="is damaged: KeyError"):
        ml.load(path)
    path.write_text('{"format": "mlreg.Fit", "version": 99, "mlreg": "9.0"}')
    with pytest.raises(ml.InvalidInput, match=r"load it with mlreg 9.0"):
        ml.load(path)
    ml.fit(x, Y, noise=ml.StudentT(4)).save(path)
    saved = json.loads(path.read_text())
    saved["information"]["triangle"]["exponent"][0] = {"float": "inf"}
    path.write_text(json.dumps(saved))
    with pytest.raises(ml.InvalidInput, match="is damaged"):
        ml.load(path)
    with pytest.raises(FileNotFoundError, match="there is no file") as caught:
        ml.load(tmp_path / "none.json")
    assert isinstance(caught.value, ml.InvalidInput)


def test_a_failed_save_leaves_the_old_file_whole(tmp_path, monkeypatch):
    path = tmp_path / "fit.json"
    ml.fit(XZ, Y).save(path)
    before = path.read_text()
    monkeypatch.setattr("pathlib.Path.replace", lambda *a: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        ml.fit(x, Y).save(path)
    assert path.read_text() == before
    assert [p.name for p in tmp_path.iterdir()] == ["fit.json"]


# Reports


def test_summary_reads_like_a_regression_table():
    fit = ml.fit("y ~ x1 + x2 + x3 + x4 + x5 + x6", ml.datasets.longley())
    text = fit.summary(0.9)
    assert "5 %" in text
    assert "95 %" in text
    for certified in ("-3482258.635", "15.06187227", "890420.3836", "304.8540736", "0.9954790046",
                      "330.2853392"):  # fmt: skip
        assert certified in text
    assert "converged: every linear contrast is within" in text
    row = next(line for line in text.splitlines() if line.startswith("x6")).split()
    assert row[-2:] == [f"{v:.6g}" for v in fit.conf_int(0.9)[6]]
    assert "distance from the MLE" in text
    assert str(fit) == fit.summary()
    assert repr(fit) == "<Fit: 7 coefficients, 16 rows, converged>"


def test_to_frame():
    fit = ml.fit(XZ, Y)
    frame = fit.to_frame(level=0.5)
    assert list(frame.index) == ["Intercept", "x1", "x2"]
    assert (frame["estimate"].to_numpy() == fit.params).all()
    assert (frame[["lower", "upper"]].to_numpy() == fit.conf_int(0.5)).all()


def test_covariance_kinds():
    fit = ml.fit(XZ, Y)
    assert np.sqrt(np.diagonal(fit.covariance())) == pytest.approx(fit.std_errors, rel=1e-14)
    with pytest.raises(ml.InvalidInput, match="kind must be one of"):
        fit.covariance("HC9")


# Counting, where several things come together


def test_both_weights_together_are_repeated_rows_of_a_precision():
    k = np.arange(30) % 3
    w = np.exp(e)
    rows = np.repeat(np.arange(30), k)
    both = ml.fit(XZ, Y, frequency_weights=k, precision_weights=w)
    repeated = ml.fit(XZ[rows], Y[rows], precision_weights=w[rows])
    laws.weights_are_repetition(both, repeated)
    assert both.bic == pytest.approx(repeated.bic, rel=1e-12)
    assert both.r_squared == pytest.approx(repeated.r_squared, rel=1e-12)
    X1 = np.column_stack([np.ones(30), XZ])
    each = -gaussian.log_density(Y, X1 @ both.params, both.sigma / np.sqrt(w))
    assert both.nll == pytest.approx(float(k @ each), rel=1e-12)
    assert both.history.mean_nll[-1] == pytest.approx(both.nll / both.n_rows, rel=1e-12)


def test_criteria_count_the_columns_that_were_kept():
    dropped = ml.fit(np.column_stack([x, x, z]), Y, rank_deficient="drop")
    base = ml.fit(XZ, Y)
    assert dropped.aic == pytest.approx(base.aic, rel=1e-12)
    assert dropped.bic == pytest.approx(base.bic, rel=1e-12)
    assert dropped.r_squared_adj == pytest.approx(base.r_squared_adj, rel=1e-12)
    assert dropped.f_test.df_model == 2


def test_a_source_that_does_not_know_its_length_is_counted():
    from mlreg.likelihood.blocks import Block

    class Stream:
        names, n_rows, rereadable = ("one", "x"), None, True

        def blocks(self, size=None, rng=None):
            for i in range(0, 30, 7):
                rows = slice(i, i + 7)
                X = np.column_stack([np.ones(len(x[rows])), x[rows]])
                yield Block(X, Y[rows], frequency=np.full(len(X), 2.0))

    fit, base = ml.fit(Stream()), ml.fit(np.tile(x, 2), np.tile(Y, 2))
    assert fit.n_rows == 60
    assert fit.params == pytest.approx(base.params, rel=1e-12)
    assert fit.std_errors == pytest.approx(base.std_errors, rel=1e-12)
    assert fit.r_squared == pytest.approx(base.r_squared, rel=1e-12)  # "one" is seen to be constant


def test_reads_of_a_solution_are_its_own():
    likelihood = ml.LinearLikelihood(np.column_stack([np.ones(30), XZ]), Y)
    reads = ml.Exact().minimize(likelihood).reads
    assert 2 <= reads <= 4  # the triangle, and refinement to the last digit
    assert ml.Exact().minimize(likelihood).reads == 0  # all is known already


class Given:
    """A source of the blocks it is given, which can be told to yield them once."""

    def __init__(self, *blocks, once=False, names=("one", "x")):
        self.made, self.names, self.n_rows, self.rereadable = list(blocks), names, None, not once

    def blocks(self, size=None, rng=None):
        yield from self.made
        if not self.rereadable:
            self.made.clear()


def block(rows, **changes):
    from mlreg.likelihood.blocks import Block

    parts = {"X": np.column_stack([np.ones(len(x[rows])), x[rows]]), "y": Y[rows], **changes}
    return Block(**parts)


def test_others_sources_are_checked_block_by_block():
    a, b, none = block(slice(0, 9)), block(slice(9, 30)), block(slice(0, 0))
    base = ml.fit(x, Y)
    for source in (Given(a, b), Given(none, a, none, b), Given(a, b, once=True)):
        fit = ml.fit(source)
        assert fit.params == pytest.approx(base.params, rel=1e-12)
        assert (fit.n_rows, fit.constant) == (30, 0)
        assert fit.r_squared == pytest.approx(base.r_squared, rel=1e-12)
    bad = np.where(np.arange(21) == 4, np.nan, Y[9:])
    weights = np.where(np.arange(21) == 4, -1.0, 1.0)
    for wrong, message in (
        (block(slice(9, 30), y=bad), "row 9 on: NaN or infinity in 'y' in 1 rows, first at row 4"),
        (block(slice(9, 30), y=bad[:5]), r"block from row 9 on: y must be of shape \(21,\)"),
        (block(slice(9, 30), X=XZ[9:, :1]), r"X of shape \(21, 1\); its 2 columns are one, x"),
        (block(slice(9, 30), precision=weights), "precision_weights must be finite and not neg"),
    ):  # fmt: skip
        with pytest.raises(ml.InvalidInput, match=message):
            ml.fit(Given(a, wrong))
    for empty in (Given(), Given(none)):
        with pytest.raises(ml.InvalidInput, match="the source has no rows"):
            ml.fit(empty)
    ints = block(slice(9, 30), frequency=np.arange(21) % 2)
    assert ml.fit(Given(a, ints)).n_rows == 19
    for kind in ("frequency", "precision"):  # a block that does not count is no block
        nothing = block(slice(9, 30), **{kind: np.zeros(21)})
        assert ml.fit(Given(nothing, a, nothing, b)).n_rows == 30
        with pytest.raises(ml.InvalidInput, match="all of them have the weight zero"):
            ml.fit(Given(nothing))


def test_a_source_that_can_be_read_once():
    twice = np.column_stack([np.ones(30), x, 2 * x])
    once = Given(block(slice(0, 30), X=twice), once=True, names=("one", "x", "x2"))
    fit = ml.fit(once, rank_deficient="drop")
    assert fit.params[:2] == pytest.approx(ml.fit(x, Y).params, rel=1e-12)
    assert fit.reads == 1
    with pytest.raises(ml.InvalidInput, match="only once"):
        ml.fit(Given(block(slice(0, 30)), once=True), optimizer=ml.Scipy())


def test_weights_that_leave_floating_point_are_an_error_and_others_are_right():
    w = np.exp(e)
    base = ml.fit(XZ, Y, precision_weights=w)
    for factor in (1e300, 1e-300):
        fit = ml.fit(XZ, Y, precision_weights=w * factor)
        assert fit.params == pytest.approx(base.params, rel=1e-12)
        assert fit.std_errors == pytest.approx(base.std_errors, rel=1e-12)
        assert fit.nll == pytest.approx(base.nll, rel=1e-9)
    for unit, factor in ((1e200, 1e300), (1e-200, 1e-300)):
        with pytest.raises(ml.InvalidInput, match="divide them by their largest"):
            ml.fit(XZ * unit, Y, precision_weights=w * factor)
    with pytest.raises(ml.InvalidInput, match=r"whole numbers up to 2\*\*53"):
        ml.fit(XZ, Y, frequency_weights=np.full(30, 1e17))


def test_a_response_of_zeros():
    zero = np.zeros(30)
    fit = ml.fit(XZ, zero, optimizer=ml.SGD(0.1, batch_size=5), start=np.ones(3))
    assert np.isfinite(fit.solution.theta).all()
    assert fit.certificate.distance == np.inf
    assert ml.certify(np.zeros(3), XZ, zero).distance == 0


def test_a_source_is_counted_and_not_asked():
    class Liar(Given):
        def __init__(self, *blocks):
            super().__init__(*blocks)
            self.n_rows = 1000

    fit, base = ml.fit(Liar(block(slice(0, 30)))), ml.fit(x, Y)
    assert fit.n_rows == 30
    assert fit.std_errors == pytest.approx(base.std_errors, rel=1e-12)
    with pytest.raises(ml.InvalidInput, match="leave out missing"):
        ml.fit(Liar(block(slice(0, 30))), missing="drop")


def test_saving_to_a_folder_is_refused(tmp_path):
    with pytest.raises(ml.InvalidInput, match="is a folder"):
        ml.fit(x, Y).save(tmp_path)


@pytest.mark.parametrize(("n", "size"), [(5000, 50), (5000, 1000), (60_000, 100)])
def test_a_source_may_use_its_arrays_again(n, size):
    class Reused:
        names, n_rows, rereadable = ("Intercept", "x"), None, True

        def blocks(self, rows=None, rng=None):
            bx, by = np.empty((size, 2)), np.empty(size)
            for start in range(0, n, size):
                bx[:], by[:] = X[start : start + size], y[start : start + size]
                yield Block(bx, by)

    rng = np.random.default_rng(0)
    X = np.column_stack([np.ones(n), rng.normal(size=n)])
    y = X @ [1, 2] + rng.normal(size=n)
    found, want = ml.fit(Reused()), ml.fit(X, y, intercept=False)
    assert (np.abs(found.params - want.params) <= 1e-9 * want.std_errors).all()


def test_a_level_that_is_none_is_refused_by_the_summary_too():
    with pytest.raises(ml.InvalidInput, match="level must be between 0 and 1"):
        ml.fit([1.0, 2.0, 4.0], [1.0, 3.0, 2.0]).summary("a")


def test_names_of_other_packages_lead_to_ours():
    data = ml.datasets.norris()
    fit = ml.fit(data.X, data.y)
    for theirs, ours in ELSEWHERE.items():
        with pytest.raises(AttributeError, match=f"no attribute {theirs!r}: here it is"):
            getattr(fit, theirs)
        name = re.match(r"\w+", ours.removeprefix("mlreg."))[0]
        assert hasattr(ml if ours.startswith("mlreg.") else fit, name)
    with pytest.raises(AttributeError, match=r"no attribute 'parms'$"):
        _ = fit.parms
    assert pickle.loads(pickle.dumps(fit)).names == fit.names
    with pytest.raises(AttributeError, match="'SDG'; did you mean 'SGD'"):
        _ = ml.SDG
    with pytest.raises(AttributeError, match=r"fit\(X, y\) fits"):
        _ = ml.OrdinaryLeastSquares


def test_one_coefficient_is_said_in_the_singular():
    text = ml.fit(np.empty((5, 0)), np.arange(5.0)).summary()
    assert "5 observations, 1 coefficient, 4 residual" in text
