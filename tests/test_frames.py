"""Results in the kind of table that the data came in."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import mlreg as ml
from mlreg.errors import DataNeeded, InvalidInput

MEASURES = ["fitted", "residual", "leverage", "studentised", "cooks_distance"]
N = 30


def columns(seed=1, n=N):
    rng = np.random.default_rng(seed)
    x, z = rng.normal(size=(2, n))
    return {"x": x, "z": z, "g": np.array(list("abc") * n)[:n], "y": 1 + x - z + rng.normal(size=n)}


def expected(fit):
    found = fit.influence()
    values = [fit.fitted_values(), fit.residuals(), found.leverage]
    values += [found.externally_studentised, found.cooks_distance]
    return dict(zip(MEASURES, values, strict=True))


def column(table, name):
    return np.asarray(table[name])


def assert_augmented(out, fit, rows=None):
    """All measures, those of the fit at its rows and NaN elsewhere, to the last bit."""
    for name, want in expected(fit).items():
        got = column(out, name)
        rows = np.arange(len(got)) if rows is None else rows
        assert np.array_equal(got[rows], want)
        assert np.isnan(np.delete(got, rows)).all()


INDICES = {
    "default": None,
    "text": [f"row {i}" for i in range(N)],
    "duplicate": [7, 7, 3] * 10,
    "multi": pd.MultiIndex.from_product([list("pq"), range(15)], names=["half", "i"]),
    "dates": pd.date_range("2024-01-31", periods=N, freq="ME"),
}


@pytest.mark.parametrize("index", INDICES.values(), ids=INDICES)
def test_pandas_keeps_its_index(index):
    data = pd.DataFrame(columns(), index=index)
    before = data.copy()
    fit = ml.fit("y ~ x + C(g)", data)
    out = fit.augment()
    assert type(out) is pd.DataFrame
    assert list(out) == ["x", "z", "g", "y", *MEASURES]
    assert out.index.equals(data.index)
    pd.testing.assert_frame_equal(out[list(data)], before)
    pd.testing.assert_frame_equal(data, before)
    assert_augmented(out, fit)
    prediction = fit.predict(data[:4], "prediction")
    frame = prediction.to_frame(like=data[:4])
    assert frame.index.equals(data.index[:4])
    assert list(frame) == ["mean", "lower", "upper"]
    assert np.array_equal(frame, np.c_[prediction.mean, prediction.lower, prediction.upper])


@pytest.mark.parametrize("kind", [pl.DataFrame, pa.table, dict])
def test_the_kind_stays(kind):
    data = kind(columns())
    fit = ml.fit("y ~ x + C(g)", data)
    out = fit.augment()
    assert type(out) is type(data)
    names = out.columns if kind is pl.DataFrame else getattr(out, "column_names", out)
    assert list(names) == ["x", "z", "g", "y", *MEASURES]
    assert_augmented(out, fit)
    prediction = fit.predict(data, "mean")
    frame = prediction.to_frame(like=data)
    assert type(frame) is type(data)
    assert np.array_equal(column(frame, "mean"), prediction.mean)


def test_arrays_and_lists_become_a_dict():
    c = columns()
    X = np.c_[c["x"], c["z"]]
    for given, y in [(X, c["y"]), (X.tolist(), c["y"].tolist())]:
        fit = ml.fit(given, y)
        out = fit.augment()
        assert list(out) == ["x1", "x2", "y", *MEASURES]
        assert np.array_equal(out["x2"], c["z"])
        assert_augmented(out, fit)
        assert_augmented(fit.augment(X), fit)
        frame = fit.predict(given, "mean").to_frame(like=given)
        assert list(frame) == ["mean", "lower", "upper"]
        assert type(frame) is dict
    with pytest.raises(InvalidInput, match="1 columns, and the fit 2: x1, x2"):
        fit.augment(X[:, :1])


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_columns_of_a_frame_and_a_response(frame):
    data = frame(columns())
    fit = ml.fit(data[["x", "z"]], data["y"])
    out = fit.augment()
    assert list(out.columns) == ["x", "z", "y", *MEASURES]
    assert_augmented(out, fit)
    # The whole frame, of which the fit knows some columns.
    wide = fit.augment(data)
    assert list(wide.columns) == ["x", "z", "g", "y", *MEASURES]
    assert_augmented(wide, fit)
    one = ml.fit(data["x"], data["y"])
    assert list(one.augment().columns) == ["x", "y", *MEASURES]
    assert_augmented(one.augment(), one)


def test_a_series_without_a_name():
    c = columns()
    fit = ml.fit(pd.Series(c["x"], index=range(N, 0, -1)), c["y"])
    out = fit.augment()
    assert list(out) == ["x1", "y", *MEASURES]
    assert list(out.index) == list(range(N, 0, -1))
    assert_augmented(out, fit)


def test_other_streams_and_paths_become_a_pyarrow_table(tmp_path):
    data = pd.DataFrame(columns())
    path = tmp_path / "data.csv"
    data.to_csv(path, index=False)
    fit = ml.fit("y ~ x", path)
    assert type(fit.augment()) is pa.Table
    assert_augmented(fit.augment(), fit)
    batch = pa.RecordBatch.from_pandas(data)
    assert type(ml.fit("y ~ x", batch).augment()) is pa.Table
    query = pytest.importorskip("duckdb").sql("select * from data order by x")
    fit = ml.fit("y ~ x", query)
    with pytest.raises(InvalidInput, match="a source or a stream"):
        fit.augment()
    assert_augmented(fit.augment(query.to_arrow_table()), fit)
    prediction = fit.predict(query, "mean")
    assert type(prediction.to_frame(like=query)) is pa.Table
    pickle.dumps(fit)


def gaps(kind):
    c = columns()
    c["x"] = c["x"].copy()
    c["x"][[0, 4]] = np.nan
    c["y"][5] = np.nan
    c["w"] = np.where(np.arange(N) == 9, 0, 2)
    return kind(c), np.delete(np.arange(N), [0, 4, 5, 9])


@pytest.mark.parametrize("kind", [pd.DataFrame, pl.DataFrame, pa.table, dict])
@pytest.mark.parametrize("weights", ["frequency_weights", "precision_weights"])
def test_rows_left_out_are_nan(kind, weights):
    data, rows = gaps(kind)
    fit = ml.fit("y ~ x", data, missing="drop", **{weights: "w"})
    assert_augmented(fit.augment(), fit, rows)
    assert_augmented(fit.augment(data), fit, rows)
    assert fit.n_missing == 3


@pytest.mark.parametrize("kind", [pd.DataFrame, pl.DataFrame])
def test_rows_left_out_of_arrays_are_nan(kind):
    data, rows = gaps(kind)
    fit = ml.fit(data[["x", "w"]], data["y"], missing="drop", precision_weights="w")
    assert fit.names == ("Intercept", "x")
    assert list(fit.augment().columns) == ["x", "w", "y", *MEASURES]
    assert_augmented(fit.augment(), fit, rows)
    array = ml.fit(data["x"].to_numpy(), data["y"].to_numpy(), missing="drop")
    assert_augmented(array.augment(), array, np.delete(np.arange(N), [0, 4, 5]))


@pytest.mark.parametrize("formula", ["log(y) ~ x", "y ~ x"])
def test_transforms_are_on_the_scale_of_the_model(formula):
    data = pd.DataFrame(columns())
    data["y"] = np.exp(data["y"])
    fit = ml.fit(formula, data, transform="log" if formula == "y ~ x" else None)
    out = fit.augment()
    assert_augmented(out, fit)
    assert np.array_equal(out["y"], data["y"])
    u, largest = 2.0**-53, np.abs(np.log(data["y"])).max() + np.abs(out["fitted"]).max()
    assert np.abs(out["fitted"] + out["residual"] - np.log(data["y"])).max() <= 4 * u * largest
    arrays = ml.fit(data[["x"]], data["y"], transform="log")
    assert_augmented(arrays.augment(data), arrays)


@pytest.mark.parametrize("terms", ["poly(x, 4)", "center(x) + scale(z)", "bs(x, df=5)"])
def test_terms_that_remember_the_rows(terms):
    data = pd.DataFrame(columns(n=300))
    fit = ml.fit(f"y ~ {terms}", data)
    assert_augmented(fit.augment(), fit)


def test_terms_that_depend_on_all_rows():
    data = pd.DataFrame(columns())
    fit = ml.fit("y ~ I(x - np.mean(x))", data)
    assert_augmented(fit.augment(), fit)
    with pytest.raises(InvalidInput, match="'y' differs, first at row 0"):
        fit.augment(data[::-1])


def test_other_noises_have_no_studentised_residual():
    data = pd.DataFrame(columns())
    fit = ml.fit("y ~ x", data, noise=ml.StudentT(4))
    out = fit.augment()
    assert list(out)[-3:] == ["fitted", "residual", "leverage"]
    assert np.array_equal(out["leverage"], fit.influence().leverage)
    scale = ml.fit("y ~ x", data, scale="~ z")
    assert np.array_equal(scale.augment()["residual"], scale.residuals())


def test_other_rows_are_refused():
    data = pd.DataFrame(columns())
    fit = ml.fit("y ~ x + C(g)", data)
    with pytest.raises(InvalidInput, match="29 rows, and the fit was made of 30"):
        fit.augment(data[1:])
    for other in [data.sample(frac=1, random_state=0), data.assign(x=data["x"] + 1e-6)]:
        with pytest.raises(InvalidInput, match=r"differs, first at row \d+"):
            fit.augment(other)
    with pytest.raises(InvalidInput, match="'y' differs, first at row 17"):
        fit.augment(data.assign(y=data["y"].where(data.index != 17, 0)))
    arrays = ml.fit(data[["x", "z"]].to_numpy(), data["y"].to_numpy())
    with pytest.raises(InvalidInput, match="'y' differs, first at row 0"):
        arrays.augment(data.assign(y=np.nextafter(data["y"], 99)))
    with pytest.raises(InvalidInput, match=r"none of the columns x1, x2, y of the fit"):
        arrays.augment(data[["x", "z"]])
    data["x"] = data["x"][::-1].to_numpy()  # the caller's own, after the fit
    with pytest.raises(InvalidInput, match="differs"):
        fit.augment()


@pytest.mark.parametrize("kind", [pd.DataFrame, pl.DataFrame, pa.table, dict])
def test_names_that_clash_are_refused(kind):
    data = columns() | {"fitted": np.zeros(N), "leverage": np.zeros(N)}
    fit = ml.fit("y ~ x", kind(data))
    with pytest.raises(InvalidInput, match="columns 'fitted', 'leverage' already: rename"):
        fit.augment()
    renamed = kind({name.upper() if name in MEASURES else name: v for name, v in data.items()})
    assert_augmented(fit.augment(renamed), fit)
    twice = ml.fit(pd.DataFrame({"y": data["x"]}), data["y"])
    with pytest.raises(InvalidInput, match="column 'y' already: 'y' is the response, too"):
        twice.augment()


def test_hostile_names():
    c = columns()
    data = pd.DataFrame({"self": c["x"], 0: c["z"], "": c["x"] ** 2})
    fit = ml.fit(data, pd.Series(c["y"], name="frame"))
    out = fit.augment()
    assert list(out) == ["self", 0, "", "frame", *MEASURES]
    assert_augmented(out, fit)
    data = pd.DataFrame(np.c_[c["x"], c["z"]], columns=pd.CategoricalIndex(["lo", "hi"]))
    fit = ml.fit(data, c["y"])
    assert list(fit.augment()) == ["lo", "hi", "y", *MEASURES]
    assert_augmented(fit.augment(), fit)
    data.columns = pd.MultiIndex.from_tuples([("u", "lo"), ("u", "hi")])
    fit = ml.fit(data, c["y"])
    assert_augmented(fit.augment(), fit)
    data.columns = pd.MultiIndex.from_tuples([("fitted", "lo"), ("u", "hi")])
    with pytest.raises(InvalidInput, match="'fitted' already"):
        ml.fit(data, c["y"]).augment()


def test_sizes_zero_and_one():
    one = ml.fit("y ~ 1", pd.DataFrame({"y": [3.0]}, index=["only"]))
    out = one.augment()
    assert list(out.index) == ["only"]
    assert (out["fitted"].item(), out["leverage"].item()) == (3.0, 1.0)
    assert np.isnan(out["studentised"]).all()
    data = pd.DataFrame(columns())
    fit = ml.fit("y ~ x", data)
    for m in (0, 1):
        for new in (data[:m], pl.DataFrame(columns())[:m], pa.table(columns())[:m]):
            frame = fit.predict(new, "prediction").to_frame(like=new)
            assert type(frame) is type(new)
            assert len(frame) == m
    assert fit.predict(data[:0], "mean").to_frame(like=data[:0]).index.equals(data.index[:0])


def test_prediction_without_like_and_of_other_rows():
    data = pd.DataFrame(columns(), index=range(10, 10 + N))
    prediction = ml.fit("y ~ x", data).predict(data, "mean")
    frame = prediction.to_frame()
    assert list(frame.index) == list(range(N))
    assert np.array_equal(frame["upper"], prediction.upper)
    for other in (data[1:], data["x"][1:], pl.DataFrame(columns())[1:], pa.table(columns())[1:]):
        with pytest.raises(InvalidInput, match="like has 29 rows, and there are 30"):
            prediction.to_frame(like=other)
    series = prediction.to_frame(like=data["x"])
    assert series.index.equals(data.index)


def test_without_rows_there_is_nothing_to_augment(tmp_path):
    data = pd.DataFrame(columns())
    fit = ml.fit("y ~ x", data)
    fit.save(tmp_path / "fit.json")
    with pytest.raises(DataNeeded, match="without its rows"):
        ml.load(tmp_path / "fit.json").augment(data)
    data.to_csv(tmp_path / "data.csv", index=False)
    lazy = ml.fit("y ~ x", ml.read(tmp_path / "data.csv"))
    with pytest.raises(InvalidInput, match=r"not in memory: take fit\.influence_blocks"):
        lazy.augment()


def test_a_fit_and_its_frame_survive_pickling():
    fit = ml.fit("y ~ x", pl.DataFrame(columns()))
    assert_augmented(pickle.loads(pickle.dumps(fit)).augment(), fit)
