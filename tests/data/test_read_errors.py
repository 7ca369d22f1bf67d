"""What `read` refuses, and how: by the file, the column and the row."""

import gzip
import re

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.dataset as ds
import pyarrow.parquet
import pytest

import mlreg as ml

N = 3000
RNG = np.random.default_rng(0)
TABLE = pa.table(
    {
        "y": RNG.normal(size=N),
        "x": RNG.normal(size=N),
        "k": np.arange(N) % 3,
        "g": ["u", "v"] * (N // 2),
    }
)


def parquet(table, path):
    pa.parquet.write_table(table, path, row_group_size=1000)
    return path


def put(table, name, row, value):
    column = table[name].to_pylist()
    column[row] = value
    return table.set_column(table.schema.names.index(name), name, pa.array(column))


def refused(message, data, formula="y ~ x", kind=ml.InvalidInput, **options):
    with pytest.raises(kind, match=message) as caught:
        ml.fit(ml.read(data, formula, **options))
    assert isinstance(caught.value, ml.MlregError)
    assert "\n" not in str(caught.value)


def test_paths(tmp_path):
    refused(r"there is no file '.*no\.csv'", tmp_path / "no.csv", kind=FileNotFoundError)
    refused(r"no file matches '.*no\*'; check", str(tmp_path / "no*"), kind=FileNotFoundError)
    refused("holds no files", tmp_path)
    (tmp_path / "note.txt").write_text("x")
    parquet(TABLE, tmp_path / "a.parquet")
    refused(r"note.txt' has no suffix that mlreg reads: it reads \.csv", tmp_path)
    (tmp_path / "empty.csv").touch()
    refused(r"empty\.csv' is empty", tmp_path / "empty.csv")
    (tmp_path / "h" / "g=1").mkdir(parents=True)
    parquet(TABLE.drop_columns(["g"]), tmp_path / "h" / "g=1" / "a.parquet")
    refused("is partitioned, first 'g=1': give .*partitioning='hive'", tmp_path / "h")
    fit = ml.fit(ml.read(ds.dataset(tmp_path / "h", partitioning="hive"), "y ~ x:g"))
    assert fit.n_rows == N


@pytest.mark.parametrize("data", [3.0, None, {"y": [1.0]}, [1.0, 2.0], np.ones((2, 2))])
def test_not_rows_at_all(data):
    refused("cannot be read|not record batches", data, kind=ml.InvalidType)


def test_no_batches():
    refused("the generator has no record batches", (b for b in ()))
    refused("the list has no record batches", [])


@pytest.mark.parametrize("keep", [0.5, 0.999])
@pytest.mark.parametrize("name", ["a.parquet", "file.arrow", "stream.arrow", "a.csv.gz"])
def test_truncated_files(tmp_path, name, keep):
    path = tmp_path / name
    if name == "a.parquet":
        parquet(TABLE, path)
    elif name == "a.csv.gz":
        pa.csv.write_csv(TABLE, tmp_path / "a.csv")
        path.write_bytes(gzip.compress((tmp_path / "a.csv").read_bytes()))
    else:
        make = pa.ipc.new_file if name == "file.arrow" else pa.ipc.new_stream
        with make(path, TABLE.schema) as out:
            out.write_table(TABLE, max_chunksize=500)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(keep * len(whole))])
    refused(rf"{name}' cannot be read.*truncated or damaged", path)


def test_files_of_another_format(tmp_path):
    for name in ("no.parquet", "no.feather", "no.arrow", "no.csv.gz"):
        (tmp_path / name).write_text("this is something else altogether")
        refused(f"{name}' cannot be read", tmp_path / name)
    (tmp_path / "latin.csv").write_bytes("y,m²\n1,2\n3,4\n".encode("latin-1"))
    refused("latin.csv' is not UTF-8", tmp_path / "latin.csv")


def test_a_damaged_page_of_parquet(tmp_path):
    path = tmp_path / "a.parquet"
    pa.parquet.write_table(TABLE, path, row_group_size=1000, write_page_checksum=True)
    data = bytearray(path.read_bytes())
    start = pa.parquet.ParquetFile(path).metadata.row_group(1).column(1).data_page_offset
    data[start + 200] ^= 0x10
    path.write_bytes(data)
    refused(r"a\.parquet' cannot be read from row \d+ on: .*checksum", path)


def test_lines_of_csv(tmp_path):
    lines = ["y,x,k"] + [f"{i}.5,{i}.25,{i % 3}" for i in range(400_000)]
    path = tmp_path / "a.csv"

    def write(at, line):
        path.write_text("\n".join([*lines[:at], line, *lines[at:]]))

    write(390_001, "1,n/a,2")
    at = r"a\.csv', row 390000 \(line 390002"
    refused(rf"{at}.*column 'x' holds 'n/a', after a beginning of numbers", path,
            kind=ml.InvalidType)  # fmt: skip
    refused(rf"{at}.*column 'x' holds", path, "y ~ C(k) + x", kind=ml.InvalidType)
    assert ml.fit(ml.read(path, "y ~ k")).n_rows == 400_001  # a column that is not used
    write(390_001, "1,2")
    refused(rf"{at}.*Expected 3 columns, got 2: 1,2", path)
    write(390_001, "1,2.5,1.5")  # a fraction after whole numbers is no error
    assert ml.fit(ml.read(path, "y ~ k")).n_rows == 400_001
    write(390_001, "1,,2")
    refused(r"missing value in 'x', first at row 390000 of the file '.*a\.csv'", path)
    write(390_001, "1,-inf,2")
    refused(r"infinity in 'x', first at row 390000 of the file '.*a\.csv'", path)


def test_files_that_differ(tmp_path):
    one, other = tmp_path / "1.csv", tmp_path / "2.csv"
    pa.csv.write_csv(TABLE, one)
    text = put(TABLE, "x", 5, None).to_pandas()
    text["x"] = text["x"].astype(object)
    text.loc[7, "x"] = "n/a"
    text.to_csv(other, index=False)
    refused(
        r"column 'x' is a number in the file '.*1\.csv' and text in the file '.*2\.csv', first "
        "'n/a' at row 7: give it one type",
        tmp_path,
        kind=ml.InvalidType,
    )
    pa.csv.write_csv(TABLE.drop_columns(["x"]), other)
    refused(r"2\.csv' has no column 'x', and .*1\.csv' has", tmp_path)
    # integers in one file and fractions in another are numbers; an empty column is anything
    pa.csv.write_csv(put(put(TABLE, "k", 0, 0.5), "g", 0, "w"), other)
    assert ml.fit(ml.read(tmp_path, "y ~ x + k + g")).n_rows == 2 * N
    empty = TABLE.set_column(3, "g", pa.nulls(N))
    pa.csv.write_csv(empty, one)
    assert ml.fit(ml.read(tmp_path, "y ~ x + k + g", missing="drop")).n_rows == N
    with_dates = TABLE.set_column(1, "x", pa.array([np.datetime64("2020-01-01", "s")] * N))
    refused(
        "column 'x' is a number in .* and a date in",
        [parquet(TABLE, tmp_path / "a.parquet"), parquet(with_dates, tmp_path / "b.parquet")],
        kind=ml.InvalidType,
    )


def test_batches_that_differ():
    found = TABLE.to_batches(max_chunksize=1000)
    bad = found[1].set_column(1, "x", pa.array(["a"] * 1000))
    at = "in the batch from row 1000 of the list on"
    says = f"column 'x' is text {at}, and a number before"
    refused(says, [found[0], bad], kind=ml.InvalidType)
    refused(f"no column 'x' {at}", [found[0], found[1].select(["y"])])
    whole = found[1].set_column(1, "x", pa.array(range(1000)))  # a number all the same
    assert ml.fit(ml.read([found[0], whole], "y ~ x")).n_rows == 2000


@pytest.mark.parametrize("formula", ["y ~ x + k", "y ~ x + C(k)", "y ~ x + g"])
@pytest.mark.parametrize(("value", "says"), [(None, "missing value"), (np.nan, "missing value"),
                                             (np.inf, "infinity")])  # fmt: skip
@pytest.mark.parametrize("name", ["x", "y"])
def test_gaps_and_infinity(tmp_path, formula, value, says, name):
    parquet(TABLE, tmp_path / "1.parquet")
    parquet(put(TABLE, name, 1234, value), tmp_path / "2.parquet")
    says = "infinity: " if says == "infinity" and formula != "y ~ x + k" else says
    refused(rf"{says}.*{name}.*first at row 1234.*|in the file.*2\.parquet'.*{says}.*row 1234",
            tmp_path, formula)  # fmt: skip
    if says != "missing value":
        refused("infinity", tmp_path, formula, missing="drop")


def test_a_gap_names_its_file(tmp_path):
    parquet(TABLE, tmp_path / "1.parquet")
    parquet(put(TABLE, "x", 1234, None), tmp_path / "2.parquet")
    message = (
        rf"a missing value in 'x', first at row 1234 of the file '{tmp_path}/2.parquet'; mend such "
        "rows, or leave them out with missing='drop'"
    )
    refused(message, tmp_path)
    refused(message, tmp_path, "y ~ I(x)")
    parquet(put(TABLE, "x", 1234, 0.0), tmp_path / "2.parquet")
    message = (
        rf"in the file '{tmp_path}/2.parquet': the formula gives NaN or infinity: I\(1 / x\) in 1 "
        "rows, first at row 1234"
    )
    refused(message, tmp_path, "y ~ I(1 / x)")


@pytest.mark.parametrize("formula", ["y ~ x", "y ~ C(k)"])
def test_weights_that_are_none(tmp_path, formula):
    table = TABLE.append_column("w", pa.array(np.ones(N)))
    path = parquet(put(table, "w", 2100, -2.0), tmp_path / "a.parquet")
    refused(
        r"in the file '.*a.parquet': precision_weights must be finite and not negative: 1 are not, "
        "first -2 at row 2100",
        path,
        formula,
        precision_weights="w",
    )
    parquet(put(table, "w", 2100, 0.5), path)
    refused("whole numbers.*first 0.5 at row 2100", path, formula, frequency_weights="w")
    refused("no column 'v'; ", path, formula, frequency_weights="v")
    refused("column 'g' is text: weights", path, formula, kind=ml.InvalidType,
            frequency_weights="g")  # fmt: skip
    nothing = table.set_column(4, "w", pa.array(np.zeros(N)))
    refused("weight zero", parquet(nothing, path), formula, frequency_weights="w")


def test_a_level_that_was_not_there(tmp_path):
    path = parquet(TABLE, tmp_path / "a.parquet")
    text, number = ml.read(path, "y ~ x + g"), ml.read(path, "y ~ x + C(k)")
    parquet(put(TABLE, "g", 2222, "w"), path)
    with pytest.raises(ml.InvalidInput, match=r"'g' holds 'w' at row 2222 of the file '.*a\.parq"):
        ml.fit(text)
    parquet(put(TABLE, "k", 2222, 7), path)
    with pytest.raises(ml.InvalidInput, match=r"'k' holds 7.0 at row 2222 of the file '.*a\.parq"):
        ml.fit(number)


def test_a_file_that_changes(tmp_path):
    path = parquet(TABLE, tmp_path / "a.parquet")
    source = ml.read(path, "y ~ x")
    parquet(TABLE.slice(0, 2000), path)
    with pytest.raises(ml.InvalidInput, match="said that they have 3000 rows, and 2000 were read"):
        ml.fit(source)
    parquet(TABLE.drop_columns(["x"]), path)
    with pytest.raises(ml.InvalidInput, match=r"a\.parquet' cannot be read"):
        ml.fit(source)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"a\.parquet' is not there; check the path"):
        ml.fit(source)


@pytest.mark.parametrize(
    "formula",
    ["y ~ center(x)", "y ~ scale(x)", "y ~ poly(x, 2)", "y ~ bs(x, df=4)", "y ~ lag(x)",
     "y ~ I(x - np.mean(x))", "y ~ I(x - x.mean())", "y ~ np.cumsum(x)", "y ~ np.add.reduce(x)",
     "y ~ I(x @ x)", "y ~ np.matmul(x, x)", "y ~ C(np.floor(x))", "y ~ hashed(g)", "y ~ I(x[0])",
     "center(y) ~ x", "y ~ np.sort(x)", "y ~ Q('x')"],
)  # fmt: skip
def test_terms_that_need_whole_columns(formula):
    refused("out of core .* is not known to need its own row alone.*fit in memory", TABLE, formula)


@pytest.mark.parametrize(
    "formula",
    ["y ~ np.log(x**2 + 1) + exp(x)", "y ~ I(x > 0) + I((x < 1) * k)", "np.arcsinh(y) ~ x + x:k",
     "y ~ np.where(x > np.pi / 9, x, -x)", "y ~ C(k, contr.treatment(1)) * x", "y ~ x*k - x",
     "y ~ np.minimum(x, 0.5) + np.clip(x, -1, 1)", "y ~ C(k):g + {x / 2}", "y ~ `x` + I(+k)"],
)  # fmt: skip
def test_terms_that_do_not(formula):
    fit, want = ml.fit(ml.read(TABLE, formula)), ml.fit(formula, TABLE)
    assert fit.names == want.names
    ml.verify.laws.blocks_do_not_matter(fit, want)


def test_columns_that_are_no_numbers():
    table = TABLE.append_column("t", pa.array([np.datetime64("2020-01-01", "s")] * N))
    table = table.append_column("l", pa.array([[1.0]] * N))
    table = table.append_column("s", pa.array(["1", "2", "x"] * 1000))
    refused("column 't' holds dates or times", table, "y ~ t", kind=ml.InvalidType)
    refused("column 'l' holds values of Arrow type list", table, "y ~ l", kind=ml.InvalidType)
    refused("'s' is text that reads as numbers but for 'x'", table, "y ~ s", kind=ml.InvalidType)
    assert ml.fit(ml.read(table, "y ~ C(s)")).rank == 3
    refused("the response 'g' .* is text or categorical", table, "g ~ x")
    refused("no column|not a column", table, "y ~ nope")
    refused("no columns", table, "y ~ 0")


def test_too_many_levels(monkeypatch):
    table = TABLE.append_column("id", pa.array([f"id{i}x" for i in range(N)]))
    refused("column 'id' has 3000 levels in 3000 rows", table, "y ~ id")
    monkeypatch.setattr("mlreg.data.levels.MOST", 500)
    refused("column 'id' has more than 500 levels by row 0 of the Table", table, "y ~ id")


def test_repeated_names(tmp_path):
    (tmp_path / "twice.csv").write_text("a,a\n1,2\n")
    refused(r"several columns of the file '.*twice\.csv' are named 'a'", tmp_path / "twice.csv")


def test_arguments(tmp_path):
    refused("missing must be one of 'raise', 'drop'", TABLE, missing="omit")
    with pytest.raises(ml.InvalidInput, match="missing goes with a formula"):
        ml.read(TABLE, missing="drop")
    with pytest.raises(ml.InvalidInput, match=r"a response is needed.*by a formula"):
        ml.fit(ml.read(TABLE), np.ones(N))
    with pytest.raises(ml.InvalidInput, match="a Source holds its design: leave out missing"):
        ml.fit(ml.read(TABLE, "y ~ x"), missing="drop")
    parquet(TABLE, tmp_path / "a.parquet")
    with pytest.raises(ml.InvalidInput, match=re.escape("or give mlreg.read(")):
        ml.fit("y ~ x", tmp_path)


def test_an_error_of_the_callers_generator_is_the_callers():
    def batches():
        yield TABLE.to_batches()[0]
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        ml.fit(ml.read(batches(), "y ~ x"))
