"""`read`: whatever holds the rows, out of core and in memory are the same fit."""

import itertools
import pickle
import subprocess
import sys

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute
import pyarrow.csv
import pyarrow.dataset as ds
import pyarrow.feather
import pyarrow.parquet
import pytest
from scipy import stats

import mlreg as ml
from mlreg.data.lazy import LazyTable
from mlreg.data.rechunk import shuffle
from mlreg.data.streamed import StreamedSource
from mlreg.likelihood.blocks import Block
from mlreg.verify.laws import blocks_do_not_matter

N = 5000
NUMERIC, MIXED = "y ~ x1 + x2 + k", "y ~ x1 + np.log(w) + x2:g + C(k) + C(g, Sum)"


def make_table(n=N, seed=0):
    rng = np.random.default_rng(seed)
    g = rng.choice(["u", "v", "w"], n)
    g = np.where(g == "w", "u", g)
    g[-9:] = "w"  # a level that first appears at the end
    x = rng.normal(size=(n, 2))
    k = rng.integers(0, 4, n)
    y = 1 + x @ [2, -3.4] + (g == "v") * 0.3 + 0.1 * k + rng.normal(size=n)
    w = rng.uniform(0.5, 2, n)
    f = rng.integers(0, 3, n)
    columns = {"y": y, "x1": x[:, 0], "x2": x[:, 1], "k": k, "w": w, "f": f, "g": g.tolist()}
    return pa.table(columns)


TABLE = make_table()


def batches(table, size=700):
    return iter(table.to_batches(max_chunksize=size))


def parquet(table, path):
    pa.parquet.write_table(table, path, row_group_size=1300)
    return path


def holders(table, folder):
    """The same rows in every form, by name; how many times each can be read."""
    half = table.num_rows // 2
    one, other = table.slice(0, half), table.slice(half)
    pa.csv.write_csv(table, folder / "a.csv")
    table.to_pandas().to_csv(folder / "a.tsv.gz", sep="\t", index=False)
    with pa.ipc.new_file(folder / "file.arrow", table.schema) as out:
        out.write_table(table, max_chunksize=900)
    with pa.ipc.new_stream(folder / "stream.arrow", table.schema) as out:
        out.write_table(table, max_chunksize=900)
    pa.feather.write_feather(table, folder / "a.feather", chunksize=800)
    (folder / "parts" / "below").mkdir(parents=True)
    parquet(one, folder / "parts" / "1.parquet")
    parquet(other, folder / "parts" / "below" / "2.parquet")
    (folder / "parts" / "_SUCCESS").touch()
    (folder / "texts").mkdir()
    pa.csv.write_csv(one, folder / "texts" / "1.csv")
    pa.csv.write_csv(other, folder / "texts" / "2.csv")
    whole = parquet(table, folder / "a.parquet")
    return {
        "parquet": whole,
        "path as text": str(whole),
        "csv": folder / "a.csv",
        "tsv.gz": folder / "a.tsv.gz",
        "arrow file": folder / "file.arrow",
        "arrow stream": folder / "stream.arrow",
        "feather": folder / "a.feather",
        "folder": folder / "parts",
        "glob": str(folder / "texts" / "*.csv"),
        "list": [folder / "parts" / "1.parquet", folder / "texts" / "2.csv"],
        "dataset": ds.dataset(folder / "parts"),
        "filtered dataset": ds.dataset(folder / "parts").filter(ds.field("w") > 0),
        "dataset in memory": ds.dataset(table),
        "pyarrow table": table,
        "pandas": table.to_pandas(),
        "polars": pl.DataFrame(table),
        "polars lazy": pl.LazyFrame(pl.DataFrame(table)),
        "polars scan": pl.scan_parquet(whole),
        "function": lambda: batches(table),
        "list of batches": list(batches(table)),
    }


HOLDERS = ["parquet", "path as text", "csv", "tsv.gz", "arrow file", "arrow stream", "feather",
           "folder", "glob", "list", "dataset", "filtered dataset", "dataset in memory",
           "pyarrow table", "pandas", "polars", "polars lazy", "polars scan", "function",
           "list of batches"]  # fmt: skip


@pytest.fixture(scope="module")
def held(tmp_path_factory):
    found = holders(TABLE, tmp_path_factory.mktemp("held"))
    assert list(found) == HOLDERS
    return found


def same(one, other):
    assert one.names == other.names
    assert one.n_rows == other.n_rows
    assert one.n_missing == other.n_missing
    blocks_do_not_matter(one, other)


@pytest.fixture(scope="module")
def in_memory():
    return {f: ml.fit(f, TABLE) for f in (NUMERIC, MIXED)}


@pytest.mark.parametrize("formula", [NUMERIC, MIXED])
@pytest.mark.parametrize("holder", HOLDERS)
def test_every_holder_gives_the_fit_of_memory(held, in_memory, holder, formula):
    data = held[holder]
    if isinstance(data, pl.LazyFrame) and not hasattr(data, "collect_batches"):
        pytest.skip("this polars has no LazyFrame.collect_batches")
    source = ml.read(data, formula)
    assert isinstance(source, StreamedSource)
    assert source.rereadable
    fit = ml.fit(source)
    same(fit, in_memory[formula])
    assert fit.reads == 2
    lazy = ml.read(data)
    assert isinstance(lazy, LazyTable)
    assert set(lazy.names) == set(TABLE.schema.names)
    again = ml.fit(formula, lazy)
    assert np.array_equal(again.params, fit.params)


@pytest.mark.parametrize(
    "formula", [NUMERIC, "y ~ .", "y ~ x1 - 1", "y ~ 1", "y ~ `x1` + x2 + k:w"]
)
def test_more_formulas(held, formula):
    table = TABLE.drop_columns(["g"])
    same(ml.fit(formula, ml.read(table)), ml.fit(formula, table))


def test_streams_are_read_once(held):
    duckdb = pytest.importorskip("duckdb")
    path = held["parquet"]
    found = duckdb.sql(f"select * from '{path}'")
    fit = ml.fit(ml.read(found.to_arrow_reader(512), NUMERIC))
    same(fit, ml.fit(NUMERIC, TABLE))
    assert fit.reads == 1
    same(ml.fit(ml.read(found, NUMERIC)), fit)
    again = ml.fit(ml.read(lambda: duckdb.sql(f"select * from '{path}'"), MIXED))
    same(again, ml.fit(MIXED, TABLE))
    assert again.reads == 2


@pytest.mark.parametrize(
    "stream", [lambda t: batches(t), lambda t: t.to_reader(300), lambda t: iter([pl.DataFrame(t)])]
)
def test_a_stream_says_what_it_cannot_give(stream):
    source = ml.read(stream(TABLE), NUMERIC)
    assert not source.rereadable
    fit = ml.fit(source)
    same(fit, ml.fit(NUMERIC, TABLE))
    assert fit.reads == 1
    assert fit.status.code == "converged"
    with pytest.raises(ml.InvalidInput, match=r"only once.*a function that returns a new stream"):
        fit.residuals()
    with pytest.raises(ml.InvalidInput, match=r"read only once.*take epochs=1"):
        ml.fit(ml.read(stream(TABLE), NUMERIC), optimizer=ml.SGD(0.01))
    with pytest.raises(ml.InvalidInput, match=r"read only once.*SGD, Scipy, residuals"):
        ml.fit(ml.read(stream(TABLE), NUMERIC), optimizer=ml.Scipy("BFGS"), noise=ml.Logistic())
    with pytest.raises(ml.InvalidInput, match=r"sigma is found by further passes"):
        ml.fit(ml.read(stream(TABLE), NUMERIC), optimizer=ml.SGD(1, epochs=1), noise=ml.Logistic())
    once = ml.SGD(0.01, epochs=1, batch_size=8, average="all", sampling="in-order")
    streamed = ml.fit(ml.read(stream(TABLE), NUMERIC), optimizer=once)
    assert streamed.reads == 1  # descent, triangle and certificate
    again = ml.fit(NUMERIC, TABLE, optimizer=once)
    assert streamed.params == pytest.approx(again.params, rel=1e-12)
    assert streamed.certificate.distance == pytest.approx(again.certificate.distance, rel=1e-6)
    with pytest.raises(ml.InvalidInput, match=r"levels of 'k', 'g' are not known before.*Parquet"):
        ml.read(stream(TABLE), MIXED)
    with pytest.raises(TypeError, match="only once"):
        pickle.dumps(fit)


def test_dictionaries_of_a_stream_know_their_levels():
    table = TABLE.set_column(6, "g", TABLE["g"].combine_chunks().dictionary_encode())
    fit = ml.fit(ml.read(table.to_reader(100), "y ~ x1 + g"))
    same(fit, ml.fit("y ~ x1 + g", table))


def test_dictionaries_that_differ_by_batch():
    parts = [pa.array(["u", "v"] * 50), pa.array(["w", "u", "x"] * 40), pa.array(["x"] * 30)]
    rng = np.random.default_rng(1)
    found = [
        pa.RecordBatch.from_pydict(
            {"y": rng.normal(size=len(p)), "x": rng.normal(size=len(p)), "g": p.dictionary_encode()}
        )
        for p in parts
    ]
    whole = pa.Table.from_batches(found).unify_dictionaries()
    same(ml.fit(ml.read(found, "y ~ x + g")), ml.fit("y ~ x + g", whole))
    with pytest.raises(ml.InvalidInput, match="holds 'w' at row 100 of the"):
        ml.fit(ml.read(iter(found), "y ~ x + g"))


@pytest.mark.parametrize("convert", [pa.int8(), pa.int64(), pa.float32(), pa.uint16(), pa.bool_(),
                                     pa.decimal128(30, 3), pa.float16()])  # fmt: skip
@pytest.mark.parametrize("formula", ["y ~ x1 + k", "y ~ x1 + I(k * 2)"])
def test_every_type_of_number(convert, formula, tmp_path):
    k = TABLE["k"] if convert != pa.bool_() else pa.compute.greater(TABLE["k"], 1)
    if convert == pa.float16():
        k = pa.chunked_array([k.to_numpy().astype("f2")])
    table = TABLE.set_column(3, "k", k.cast(convert))
    with pa.ipc.new_file(tmp_path / "a.arrow", table.schema) as out:
        out.write_table(table)
    same(ml.fit(ml.read(tmp_path / "a.arrow", formula)), ml.fit(formula, table))


def test_large_integers_warn_once(tmp_path):
    k = np.arange(N) + 2**60
    table = TABLE.set_column(3, "k", pa.array(k))
    with pytest.warns(ml.NumericalWarning, match=r"beyond 2\*\*53 .* column 'k'") as caught:
        list(ml.read(batches(table, 100), "y ~ k").blocks(10))
    assert len(caught) == 1
    with pytest.warns(ml.NumericalWarning, match=r"beyond 2\*\*53 .* column 'k'") as caught:
        list(ml.read(batches(table, 100), "y ~ I(k / 2)").blocks(10))
    assert len(caught) == 1
    pa.csv.write_csv(table, tmp_path / "a.csv")
    with pytest.warns(ml.NumericalWarning, match=r"beyond 2\*\*53 .* column 'k'") as caught:
        list(ml.read(tmp_path / "a.csv", "y ~ k").blocks(10))
    assert len(caught) == 1


def test_weights(held):
    options = {"frequency_weights": "f", "precision_weights": "w"}
    for formula in (NUMERIC, "y ~ x1 + C(k)", "y ~ x1 + x2 + k + I(x1**2)"):
        want = ml.fit(formula, TABLE, **options)
        same(ml.fit(ml.read(held["folder"], formula, **options)), want)
        same(ml.fit(formula, ml.read(held["csv"]), **options), want)
    source = ml.read(held["parquet"], "y ~ . - g", **options)
    assert not {"f", "w"} & set(source.names)
    assert source.n_rows is None
    with pytest.raises(ml.InvalidType, match="is the name of a column, not of type ndarray"):
        ml.fit(NUMERIC, ml.read(held["parquet"]), frequency_weights=np.ones(N))


def gappy():
    rng = np.random.default_rng(2)
    columns = {name: TABLE[name].to_pylist() for name in TABLE.schema.names}
    for name in ("y", "x1", "k", "g"):
        for i in rng.integers(0, N, 40):
            columns[name][i] = None
    columns["x2"][17] = float("nan")
    columns["g"][-1] = "only here"
    columns["y"][-1] = None  # so that this is no level
    return pa.table(columns)


@pytest.mark.parametrize("formula", [NUMERIC, MIXED])
def test_rows_with_gaps(tmp_path, formula):
    table = gappy()
    path = parquet(table, tmp_path / "a.parquet")
    pa.csv.write_csv(table, tmp_path / "a.csv")
    want = ml.fit(formula, table, missing="drop")
    assert want.n_missing > 100
    for data in (path, tmp_path / "a.csv"):
        fit = ml.fit(ml.read(data, formula, missing="drop"))
        same(fit, want)
        assert fit.design.matrix(TABLE.slice(0, 3)).shape == (3, len(fit.names))
        options = {"precision_weights": "w", "missing": "drop"}
        same(ml.fit(formula, ml.read(data), **options), ml.fit(formula, table, **options))


def test_gaps_in_rows_of_weight_zero_do_not_count(held):
    table = TABLE.set_column(2, "x2", pa.compute.if_else(pa.compute.equal(TABLE["f"], 0),
                                                         float("nan"), TABLE["x2"]))  # fmt: skip
    for formula in (NUMERIC, "y ~ x2 + C(k)"):
        same(
            ml.fit(ml.read(table, formula, frequency_weights="f")),
            ml.fit(formula, table, frequency_weights="f"),
        )


def test_predictions_of_a_fit_from_files(held, in_memory):
    fit = ml.fit(ml.read(held["folder"], MIXED))
    new = TABLE.slice(0, 20)
    bound = (in_memory[MIXED].certificate.rounding + fit.certificate.rounding) * fit.std_errors
    X = fit.design.matrix(new)
    assert (np.abs(fit.predict(new) - in_memory[MIXED].predict(new)) <= 2 * np.abs(X) @ bound).all()
    assert fit.predict(new, interval="prediction").lower.shape == (20,)
    assert fit.residuals().shape == (N,)
    with pytest.raises(ml.InvalidInput, match=r"'z' at row 0, a level that the fit has not"):
        fit.predict(new.slice(0, 1).set_column(6, "g", pa.array(["z"])))
    with pytest.raises(ml.InvalidType, match=r"read lazily.*path of a file"):
        fit.predict(ml.read(held["csv"]))


def test_saved_and_pickled(held, tmp_path):
    fit = ml.fit(ml.read(held["csv"], MIXED))
    fit.save(tmp_path / "fit.json")
    again = ml.load(tmp_path / "fit.json")
    new = TABLE.slice(0, 20)
    assert np.array_equal(again.predict(new), fit.predict(new))
    for holder in ("csv", "folder", "dataset", "arrow stream", "pandas", "list of batches"):
        fit = ml.fit(ml.read(held[holder], NUMERIC))
        copy = pickle.loads(pickle.dumps(fit))
        assert np.array_equal(copy.residuals(), fit.residuals())


def test_a_certificate_out_of_core(held, in_memory):
    params = in_memory[MIXED].params
    certificate = ml.certify(params, MIXED, ml.read(held["folder"]))
    assert certificate.distance < 1e-6
    assert ml.certify(params, ml.read(held["folder"], MIXED), None).distance < 1e-6


@pytest.mark.parametrize("size", [1, 7, 1300, N, 10 * N])
@pytest.mark.parametrize("weights", [{}, {"frequency_weights": "f", "precision_weights": "w"}])
def test_blocks_of_any_size_hold_every_row_once(held, size, weights):
    source = ml.read(held["folder"], NUMERIC, **weights)
    rng = np.random.default_rng(3)
    whole = list(source.blocks())
    want = np.concatenate([np.column_stack([b.X, b.y]) for b in whole])
    for given in (None, rng):
        found = list(source.blocks(size, given))
        assert {len(b.y) for b in found[:-1]} <= {size}
        rows = np.concatenate([np.column_stack([b.X, b.y]) for b in found])
        assert rows.shape == want.shape
        if given is None:
            assert np.array_equal(rows, want)
        else:
            assert not np.array_equal(rows, want)
            order, back = np.lexsort(want.T), np.lexsort(rows.T)
            assert np.array_equal(rows[back], want[order])
        if weights:
            assert (np.concatenate([b.precision for b in found]) > 0).all()


@pytest.mark.parametrize("n", [400, 6500, 150_000])  # in memory; by files; by files of files
def test_rows_come_in_a_uniformly_random_order_in_bounded_memory(monkeypatch, n):
    monkeypatch.setattr("mlreg.data.rechunk.BUFFER_BYTES", 8 * 4 * 1000)
    table = pa.table(
        {"y": np.arange(n), "a": np.arange(n) + 0.5, "b": -np.arange(n), "w": 1.0 + np.arange(n)}
    )
    source = ml.read(table.to_batches(max_chunksize=300), "y ~ a + b - 1", precision_weights="w")
    monkeypatch.setattr("mlreg.data.streamed.BLOCK_BYTES", 0)  # blocks are smaller than the buffer
    whole = list(source.blocks(None, np.random.default_rng(0)))
    assert max(len(b.y) for b in whole) <= 1000
    y, place = np.concatenate([b.y for b in whole]), np.arange(n)
    assert np.array_equal(np.sort(y), place)
    for block in whole:  # a row keeps together
        assert np.array_equal(block.X, np.column_stack([block.y + 0.5, -block.y]))
        assert np.array_equal(block.precision, 1 + block.y)
    # Where a row goes tells nothing of where it was: of a table of 10 x 10 tenths the statistic is
    # about chi-squared with 81 degrees of freedom, and fails a right shuffle once in a million.
    counts = np.histogram2d(place, y, bins=10)[0]
    assert np.sum((counts - n / 100) ** 2 / (n / 100)) <= stats.chi2.isf(1e-6, 81)
    # nor where its neighbour goes: 5.1 standard deviations, exceeded three times in ten million
    assert abs(np.corrcoef(y[:-1], y[1:])[0, 1]) <= 5.1 / np.sqrt(n)


def test_each_order_is_as_likely_as_another(monkeypatch):
    """Of 4 rows, one of which fits the buffer: 24 orders, chi-squared with 23 degrees, 1e-6."""
    monkeypatch.setattr("mlreg.data.rechunk.BUFFER_BYTES", 1)
    monkeypatch.setattr("mlreg.data.rechunk.PARTS", 2)
    rng, seen = np.random.default_rng(0), {}
    block, runs = Block(np.ones((4, 1)), np.arange(4.0)), 2400
    for _ in range(runs):
        order = tuple(np.concatenate([b.y for b in shuffle([block], rng)]).tolist())
        seen[order] = seen.get(order, 0) + 1
    counts = np.array([seen.get(order, 0) for order in itertools.permutations([0.0, 1, 2, 3])])
    assert np.sum((counts - runs / 24) ** 2 / (runs / 24)) <= stats.chi2.isf(1e-6, 23)


def test_no_room_for_temporary_files_is_said(monkeypatch):
    def full(**options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mlreg.data.rechunk.BUFFER_BYTES", 1)
    monkeypatch.setattr("mlreg.data.rechunk.TemporaryFile", full)
    with pytest.raises(ml.InvalidInput, match=r"No space left on device.*set TMPDIR"):
        list(shuffle([Block(np.ones((4, 1)), np.arange(4.0))], np.random.default_rng(0)))


@pytest.mark.parametrize("row_group", [5000, 100_000])
def test_a_file_sorted_by_y_is_no_trap(monkeypatch, tmp_path, row_group):
    """Rows in order, or permuted in a buffer only, end hundreds of standard errors away."""
    monkeypatch.setattr("mlreg.data.rechunk.BUFFER_BYTES", 8 * 4 * 10_000)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100_000, 2))
    y = 1 + X @ [2, -1] + rng.normal(size=100_000)
    table = pa.table({"y": y, "a": X[:, 0], "b": X[:, 1]}).sort_by("y")
    pa.parquet.write_table(table, tmp_path / "sorted.parquet", row_group_size=row_group)
    source = ml.read(tmp_path / "sorted.parquet", "y ~ a + b")
    rate, size = 0.02, 64
    fit = ml.fit(source, optimizer=ml.SGD(rate, batch_size=size, epochs=4))
    # Of an isotropic design the iterate hovers with n c standard errors squared per coefficient,
    # Eq. (13.4), here 3 of them; chi-squared with 3 degrees is above 31 once in a million.
    hover = 100_000 * rate / (2 * size - rate * (size + 4))
    assert fit.certificate.distance <= np.sqrt(31 * hover)
    in_order = ml.fit(
        source, optimizer=ml.SGD(rate, batch_size=size, epochs=4, sampling="in-order")
    )
    assert in_order.certificate.distance > 10 * np.sqrt(31 * hover)
    assert ml.fit(source, optimizer=ml.AutoSGD()).certificate.distance <= 0.1


def test_small_batches_are_put_together():
    table = TABLE.slice(0, 600)
    tiny = table.to_batches(max_chunksize=3)
    assert len(tiny) == 200
    for formula in (NUMERIC, "y ~ x1 + C(k)"):
        source = ml.read(tiny, formula)
        assert len(list(source.blocks())) == 1
        same(ml.fit(source), ml.fit(formula, table))


def test_blocks_do_not_share_memory(held):
    one, other = list(ml.read(held["folder"], NUMERIC).blocks(1000))[:2]
    assert not np.shares_memory(one.X, other.X)


def test_sgd_out_of_core(held):
    sgd = ml.SGD(0.05, batch_size=64, epochs=2, seed=1)
    fit = ml.fit(ml.read(held["folder"], NUMERIC), optimizer=sgd)
    again = ml.fit(NUMERIC, ml.read(held["folder"]), optimizer=sgd)
    assert np.array_equal(fit.params, again.params)
    assert fit.certificate.distance < 20
    assert ml.fit(ml.read(held["csv"], NUMERIC), optimizer=ml.Scipy()).status.ok
    with pytest.raises(ml.InvalidInput, match="use sampling='reshuffle'"):
        ml.fit(ml.read(held["folder"], NUMERIC), optimizer=ml.SGD(0.05, sampling="replacement"))


def test_small_tables(tmp_path):
    one = TABLE.slice(0, 1)
    source = ml.read(parquet(one, tmp_path / "one.parquet"), "y ~ 1")
    assert ml.fit(source).status.code == "perfect-fit"
    empty = parquet(TABLE.slice(0, 0), tmp_path / "empty.parquet")
    for formula in (NUMERIC, "y ~ I(x1)"):
        with pytest.raises(ml.InvalidInput, match="no row is left: there are none"):
            ml.fit(ml.read(empty, formula))
    with pytest.raises(ml.InvalidInput, match="column 'g' has no levels: there are no rows"):
        ml.read(empty, "y ~ g")
    # row groups, batches and files without rows
    with pa.parquet.ParquetWriter(tmp_path / "gaps.parquet", TABLE.schema) as out:
        for part in (TABLE.slice(0, 0), TABLE, TABLE.slice(0, 0)):
            out.write_table(part)
    zero = TABLE.slice(0, 0).to_batches() or [pa.RecordBatch.from_pylist([], schema=TABLE.schema)]
    for data in (
        tmp_path / "gaps.parquet",
        [*zero, *TABLE.to_batches(), *zero],
        [tmp_path / "empty.parquet", tmp_path / "gaps.parquet"],
    ):
        same(ml.fit(ml.read(data, MIXED)), ml.fit(MIXED, TABLE))


def test_what_it_says_of_itself(held):
    assert repr(ml.read(held["folder"])).startswith("<LazyTable: 5000 rows of y, x1")
    assert repr(ml.read(held["csv"])).startswith("<LazyTable: an unknown number of rows of y, x1")
    assert repr(ml.read(held["csv"], "y ~ x1")).startswith("<StreamedSource: y ~ x1 of <LazyTable")
    assert ml.read(held["folder"], NUMERIC).n_rows == N
    assert ml.read(held["folder"], NUMERIC, missing="drop").n_rows is None


@pytest.mark.parametrize("formula", ["y ~ a + b + c", "y ~ a + g"])
def test_memory_does_not_grow_with_the_rows(tmp_path, formula):
    """Eight million rows, whose design is 320 MB, in the memory of two million."""
    rng = np.random.default_rng(0)
    part = pa.table({name: rng.normal(size=50_000) for name in ("y", "a", "b", "c")})
    part = part.append_column("g", pa.array(rng.choice(["u", "v"], 50_000)))
    with pa.parquet.ParquetWriter(tmp_path / "a.parquet", part.schema) as out:
        for _ in range(20):
            out.write_table(part)
    program = (
        "import sys, resource, mlreg as ml\n"
        "source = ml.read([sys.argv[1]] * int(sys.argv[3]), sys.argv[2])\n"
        "n = sum(len(b.y) for b in source.blocks())\n"
        "print(n, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)"
    )
    peaks = []
    for times in (2, 8):
        command = [sys.executable, "-c", program, tmp_path / "a.parquet", formula, str(times)]
        out = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        assert int(out[0]) == times * 1_000_000
        peaks.append(int(out[1]))
    assert peaks[1] <= peaks[0] + 100
