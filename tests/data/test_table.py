"""Tables from every holder of columns, and files read whole."""

import datetime
import gzip

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest

import mlreg as ml
from mlreg import datasets
from mlreg.data.columns import Categories, Unusable
from mlreg.data.table import Table, as_table
from mlreg.errors import InvalidInput, InvalidType, MlregError

COLUMNS = {"x": [1.5, 2.5, 3.5], "k": [1, 2, 3], "g": ["u", None, "v"], "b": [True, False, True]}


def check(table):
    assert isinstance(table, Table)
    assert table.n_rows == 3
    assert list(table.columns) == ["x", "k", "g", "b"]
    assert table.columns["x"].dtype == np.float64
    assert table.columns["x"].tolist() == [1.5, 2.5, 3.5]
    assert table.columns["k"].dtype == np.int64
    assert table.columns["k"].tolist() == [1, 2, 3]
    assert table.columns["g"].dtype == object
    assert table.columns["g"].tolist() == ["u", None, "v"]
    assert table.columns["b"].dtype == bool
    assert table.columns["b"].tolist() == [True, False, True]


@pytest.mark.parametrize(
    "data",
    [
        COLUMNS,
        {name: np.array(values) for name, values in COLUMNS.items()},
        pd.DataFrame(COLUMNS),
        pd.DataFrame(COLUMNS, index=[3, 3, 4]),
        {name: pd.Series(values) for name, values in COLUMNS.items()},
        pl.DataFrame(COLUMNS),
        {name: pl.Series(values) for name, values in COLUMNS.items()},
        pa.table(COLUMNS),
        pa.table(COLUMNS).to_reader(),
        pa.concat_tables([pa.table(COLUMNS).slice(0, 1), pa.table(COLUMNS).slice(1)]),
        pa.RecordBatch.from_pydict(COLUMNS),
    ],
)
def test_every_holder(data):
    table = as_table(data)
    check(table)
    assert as_table(table) is table
    assert repr(table) == "<Table: 3 rows of x, k, g, b>"


def test_files(tmp_path):
    table = pa.table(COLUMNS)
    text = "x,k,g,b\n1.5,1,u,true\n2.5,2,,false\n3.5,3,v,true\n"
    (tmp_path / "a.csv").write_text(text)
    (tmp_path / "A.TSV").write_text(text.replace(",", "\t"))
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(text.encode()))
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    pyarrow.feather.write_feather(table, tmp_path / "a.feather")
    with pa.ipc.new_file(tmp_path / "file.arrow", table.schema) as out:
        out.write_table(table)
    with pa.ipc.new_stream(tmp_path / "stream.arrow", table.schema) as out:
        out.write_table(table)
    paths = sorted(tmp_path.iterdir())
    assert len(paths) == 7
    for path in paths:
        check(as_table(path))
        check(as_table(str(path)))


def test_parquet_gives_back_every_bit(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=1000) * 10.0 ** rng.integers(-300, 300, 1000)
    f = rng.normal(size=1000).astype("f4")
    pd.DataFrame({"x": x, "f": f}).to_parquet(tmp_path / "a.parquet")
    table = as_table(tmp_path / "a.parquet")
    assert np.array_equal(table.columns["x"], x)
    assert np.array_equal(table.columns["f"], f)
    assert table.columns["f"].dtype == np.float32


def test_csv_gives_back_every_bit(tmp_path):
    rng = np.random.default_rng(1)
    x = rng.normal(size=1000) * 10.0 ** rng.integers(-300, 300, 1000)
    (tmp_path / "a.csv").write_text("x\n" + "\n".join(map(repr, x.tolist())))
    assert np.array_equal(as_table(tmp_path / "a.csv").columns["x"], x)


def test_missing_cells_of_csv(tmp_path):
    (tmp_path / "a.csv").write_text("x,k,g\n1,,\nNaN,2,NA\nNA,3,u\n")
    columns = as_table(tmp_path / "a.csv").columns
    assert np.array_equal(columns["x"], [1, np.nan, np.nan], equal_nan=True)
    assert np.array_equal(columns["k"], [np.nan, 2, 3], equal_nan=True)
    assert columns["g"].tolist() == [None, None, "u"]


def test_stray_words_make_a_column_text_however_late(tmp_path):
    (tmp_path / "a.csv").write_text("x\n" + "1\n" * 700_000 + "n/a\n")
    column = as_table(tmp_path / "a.csv").columns["x"]
    assert column.dtype == object
    assert column[-1] == "n/a"


def test_categories_keep_the_order_of_their_levels():
    want = (["w", "v", "u"], [1, 2, 1, -1])
    values = ["v", "u", "v", None]
    frames = [
        pd.DataFrame({"g": pd.Categorical(values, categories=want[0])}),
        pl.DataFrame({"g": pl.Series(values, dtype=pl.Enum(want[0]))}),
        pa.table(
            {"g": pa.DictionaryArray.from_arrays(pa.array([1, 2, 1, None], pa.uint8()), want[0])}
        ),
    ]
    frames.append({"g": frames[0]["g"]})
    for frame in frames:
        column = as_table(frame).columns["g"]
        assert isinstance(column, Categories)
        assert len(column) == 4
        assert column.codes.tolist() == want[1]
        assert list(column.levels) == want[0]


def test_chunks_with_other_dictionaries():
    a = pa.array(["u", "v"]).dictionary_encode()
    b = pa.DictionaryArray.from_arrays(pa.array([0, 1, 2], pa.int32()), pa.array(["v", None, "w"]))
    column = as_table(pa.table({"g": pa.chunked_array([a, b])})).columns["g"]
    assert column.levels == ("u", "v", "w")
    assert column.codes.tolist() == [0, 1, 1, -1, 2]


def test_numeric_categories():
    column = as_table(pd.DataFrame({"g": pd.Categorical([3, 1])})).columns["g"]
    assert column.levels == (1, 3)
    assert column.codes.tolist() == [1, 0]


def test_dates_stay_dates():
    day = datetime.date(2020, 1, 2)
    for frame in (
        pd.DataFrame({"t": pd.to_datetime([day])}),
        pl.DataFrame({"t": [day]}),
        {"t": np.array([day], dtype="M8[s]")},
    ):
        column = as_table(frame).columns["t"]
        assert column.dtype.kind == "M"
        assert column[0] == np.datetime64("2020-01-02")


def test_unusable_columns_hurt_only_when_used():
    table = as_table(pl.DataFrame({"x": [1.0, 2.0], "l": [[1], [2]], "t": [datetime.time(1)] * 2}))
    assert isinstance(table.columns["l"], Unusable)
    assert isinstance(table.columns["t"], Unusable)
    assert len(table.columns["l"]) == 2
    assert table.columns["x"].tolist() == [1.0, 2.0]


def test_data_sets_are_tables():
    table = as_table(datasets.norris())
    assert list(table.columns) == ["x", "y"]
    assert table.n_rows == 36


def test_lookup_suggests():
    table = as_table({"income": [1.0], "age": [2.0]})
    assert table.column("age").tolist() == [2.0]
    with pytest.raises(
        InvalidInput, match=r"no column 'incom'; did you mean 'income'.*are: income, age"
    ):
        table.column("incom")


def test_arrays_are_copied_only_to_be_converted():
    x = np.arange(3.0)
    assert as_table({"x": x}).columns["x"] is x


@pytest.mark.parametrize(
    ("data", "kind", "message"),
    [
        ({"a": [1], "b": [1, 2]}, InvalidInput, "differ in length: 'a' has 1, 'b' has 2"),
        ({"a": 1.0}, InvalidType, "column 'a' must be an array of numbers; it is a float"),
        ({"a": [[1, 2]]}, InvalidInput, r"column 'a' must be one-dimensional.*\(1, 2\)"),
        ({"a": np.ma.masked_array([1.0])}, InvalidType, "column 'a' is a masked array"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), InvalidInput, "several columns are named 'a'"),
        (pa.table([[1], [2]], names=["a", "a"]), InvalidInput, "several columns are named 'a'"),
        (pl.LazyFrame({"a": [1]}), InvalidType, r"give its \.collect\(\)"),
        (np.ones((2, 2)), InvalidType, "ndarray is not a table.*for arrays use X and y"),
        (None, InvalidType, "NoneType is not a table"),
        ([1, 2], InvalidType, "list is not a table"),
    ],
)
def test_refused(data, kind, message):
    with pytest.raises(kind, match=message):
        as_table(data)


def test_files_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no file '.*no\.csv'") as caught:
        as_table(tmp_path / "no.csv")
    assert isinstance(caught.value, MlregError)
    with pytest.raises(InvalidInput, match="is a folder"):
        as_table(tmp_path)
    (tmp_path / "a.xlsx").write_text("x")
    with pytest.raises(InvalidInput, match=r"no suffix that mlreg reads: it reads \.csv"):
        as_table(tmp_path / "a.xlsx")
    (tmp_path / "empty.csv").touch()
    with pytest.raises(InvalidInput, match="is empty"):
        as_table(tmp_path / "empty.csv")
    (tmp_path / "twice.csv").write_text("a,a\n1,2\n")
    with pytest.raises(InvalidInput, match="several columns are named 'a'"):
        as_table(tmp_path / "twice.csv")
    (tmp_path / "ragged.csv").write_text("a,b\n1,2\n3\n")
    with pytest.raises(InvalidInput, match=r"cannot be read: .*Expected 2 columns, got 1"):
        as_table(tmp_path / "ragged.csv")
    for name in ("no.parquet", "no.feather", "no.arrow", "no.csv.gz"):
        (tmp_path / name).write_text("this is something else altogether")
        with pytest.raises(InvalidInput, match=f"{name}' cannot be read"):
            as_table(tmp_path / name)


LEVELS = {
    "tuples": [(1, 2), (3, 4), (1, 2), (3, 4)],
    "mixed": pd.Index(["a", (1, 2), "a", (1, 2)], dtype=object),
    "intervals": pd.cut([1, 2, 3, 4], 2),
}


@pytest.mark.parametrize("holder", [dict, pd.DataFrame])
@pytest.mark.parametrize("formula", ["y ~ g", "y ~ C(g)"])
@pytest.mark.parametrize("levels", LEVELS.values(), ids=LEVELS)
def test_categories_that_are_neither_text_nor_numbers(levels, formula, holder):
    data = holder({"y": [1.0, 2, 3, 5], "g": pd.Categorical(levels)})
    with pytest.raises(InvalidType, match=r"'g' holds categories .* to text by \.astype"):
        ml.fit(formula, data)
