"""Labels of clusters: of every kind, in memory and out of core, however the rows are cut."""

import tracemalloc

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import csv, parquet

import mlreg as ml
from mlreg.likelihood.blocks import Block
from mlreg.verify.registry import U

N, P = 40, 3
rng = np.random.default_rng(3)
X, CODES, OTHER = rng.standard_normal((N, 2)), rng.permutation(N) % 9, rng.permutation(N) % 11
Y = 1 + X @ [1.0, -2.0] + rng.standard_normal(N) + rng.standard_normal(9)[CODES]
FIT = ml.fit(X, Y)
TEXT = np.array(list("abcdefghi"))[CODES]
DAYS = np.datetime64("2020-02-27") + CODES


def same(ours, theirs, n=N):
    """Equal but for the order of sums of n terms; p bounds their condition in these data."""
    errors = np.sqrt(np.diagonal(theirs))
    assert np.abs((ours - theirs) / np.outer(errors, errors)).max() <= 64 * n * P * U


ANY_LABELS = {
    "texts": TEXT,
    "a list": TEXT.tolist(),
    "bytes": TEXT.astype("S"),
    "small integers": CODES.astype(np.int8),
    "numbers": CODES + 0.5,
    "large numbers": np.uint64(2**63) + CODES.astype(np.uint64),
    "dates": DAYS,
    "objects": np.array([(c, "x") for c in CODES.tolist()] + [None], dtype=object)[:-1],
    "categories": pd.Series(TEXT, dtype="category"),
    "Categorical": pd.Categorical(TEXT, categories=list("ihgfedcbaz")),
    "pandas text": pd.Series(TEXT, dtype="string"),
    "pandas dates": pd.Series(DAYS).dt.tz_localize("UTC"),
    "nullable": pd.Series(CODES, dtype="Int64"),
    "polars": pl.Series(TEXT),
    "polars categories": pl.Series(TEXT, dtype=pl.Categorical),
    "polars dates": pl.Series(DAYS),
    "arrow": pa.chunked_array([TEXT[:7], TEXT[7:]]),
    "a column": CODES[:, None],
    "arrow integers": pa.array(CODES),
    "a table of one": pd.DataFrame({"firm": TEXT}),
}


@pytest.mark.parametrize("kind", ANY_LABELS)
def test_labels_of_any_kind(kind):
    same(FIT.covariance("cluster", groups=ANY_LABELS[kind]), reference(CODES))


def reference(labels, X=X, y=Y):
    """The clustered covariance by its formula, Eq. (12.7)."""
    D = np.column_stack([np.ones(len(y)), X])
    e = y - D @ np.linalg.lstsq(D, y, rcond=None)[0]
    found = np.unique(labels)
    S = np.array([(D * e[:, None])[labels == g].sum(axis=0) for g in found])
    bread, G, (n, p) = np.linalg.inv(D.T @ D), len(found), D.shape
    return bread @ (S.T @ S) @ bread * (G / (G - 1) * (n - 1) / (n - p))


TABLES = {
    "tuple": (TEXT, OTHER),
    "array": np.column_stack([CODES, OTHER]),
    "pandas": pd.DataFrame({"firm": TEXT, "year": OTHER}),
    "polars": pl.DataFrame({"firm": TEXT, "year": OTHER}),
    "arrow": pa.table({"firm": TEXT, "year": OTHER}),
}


@pytest.mark.parametrize("kind", TABLES)
def test_two_kinds(kind):
    pairs = CODES * 100 + OTHER
    expected = reference(CODES) + reference(OTHER) - reference(pairs)
    assert np.linalg.eigvalsh(expected)[0] > 0
    same(FIT.covariance("cluster", groups=TABLES[kind]), expected)
    assert (
        "clustered, by 9 and 11 groups"
        in FIT.with_covariance("cluster", groups=TABLES[kind]).summary()
    )


def without(labels, missing, row=5):
    return [missing if i == row else v for i, v in enumerate(labels)]


NAN = float("nan")


@pytest.mark.parametrize(
    "groups",
    [
        without(TEXT, None),
        without(TEXT, NAN),
        np.array(without(CODES, NAN)),
        np.array(without(DAYS, np.datetime64("NaT"))),
        pd.Series(without(TEXT, pd.NA), dtype="string"),
        pd.Series(without(TEXT, pd.NA), dtype=object),
        pd.Series(without(CODES, pd.NA), dtype="Int64"),
        pd.Categorical(without(TEXT, None)),
        pl.Series(without(TEXT, None)),
        pa.array(without(CODES.tolist(), None)),
        pd.DataFrame({"firm": without(TEXT, None)}),
    ],
)
def test_a_missing_label_is_an_error(groups):
    with pytest.raises(ml.InvalidInput, match="groups lacks the label of 1 rows, first at row 5"):
        FIT.covariance("cluster", groups=groups)


@pytest.mark.parametrize(
    ("groups", "error", "message"),
    [
        (CODES[:-1], ml.InvalidInput, "39 labels, and the data had 40 rows, of which 40 were used"),
        ([], ml.InvalidInput, "0 labels"),
        ((CODES, OTHER[:-1]), ml.InvalidInput, r"groups\[1\] has 39 labels"),
        ((CODES, OTHER, CODES), ml.InvalidInput, "clusters of 3 kinds"),
        (np.vstack([CODES, OTHER]), ml.InvalidInput, "clusters of 40 kinds"),
        ("firm", ml.InvalidInput, r"such as data\['firm'\]"),
        (("firm", "year"), ml.InvalidInput, r"such as data\['firm'\]"),
        (["firm", "year"], ml.InvalidInput, "2 labels"),
        (3, ml.InvalidType, "of type int"),
        ({"firm": 1}, ml.InvalidType, "of type dict"),
        (set(TEXT), ml.InvalidType, "of type set"),
        ((v for v in TEXT), ml.InvalidType, "of type generator"),
        ([[1], [2, 3]] * 20, ml.InvalidType, "do not compare"),
        (np.ma.masked_equal(CODES, 3), ml.InvalidType, "masked"),
        (CODES[:, None, None], ml.InvalidInput, "shape"),
        (np.zeros(N), ml.InvalidInput, "there is 1 cluster"),
        ((CODES, np.zeros(N)), ml.InvalidInput, "there is 1 cluster"),
        (None, ml.InvalidInput, "needs groups="),
    ],
)
def test_what_is_no_label_of_each_row_is_refused(groups, error, message):
    with pytest.raises(error, match=message):
        FIT.covariance("cluster", groups=groups)


def test_rows_are_paired_by_the_index_of_pandas():
    index = pd.Index(rng.permutation(N) + 100)
    frame = pd.DataFrame(X, columns=["a", "b"], index=index).assign(y=Y, firm=TEXT)
    for fit in (ml.fit(frame[["a", "b"]], frame["y"]), ml.fit("y ~ a + b", frame)):
        same(fit.covariance("cluster", groups=frame["firm"]), reference(CODES))
        same(fit.covariance("cluster", groups=frame["firm"].to_numpy()), reference(CODES))
        for groups in (frame["firm"].sort_index(), frame[["firm"]].reset_index(drop=True)):
            with pytest.raises(ml.InvalidInput, match="labelled differently"):
                fit.covariance("cluster", groups=groups)
    with pytest.raises(ml.InvalidInput, match="labelled differently"):
        FIT.covariance("cluster", groups=(frame["firm"], frame["firm"].sort_index()))


@pytest.mark.parametrize("door", ["arrays", "formula"])
def test_rows_that_were_left_out(door):
    gap, zero = [3, 17], [0, 20]
    used = np.setdiff1d(np.arange(N), gap + zero)
    A, k = X.copy(), np.ones(N)
    A[gap, 1], k[zero] = NAN, 0
    labels = np.array(without(TEXT, None, row=3), dtype=object)  # of a row that is not used
    if door == "arrays":
        fit = ml.fit(A, Y, missing="drop", frequency_weights=k)
    else:
        data = {"a": A[:, 0], "b": A[:, 1], "y": Y, "k": k}
        fit = ml.fit("y ~ a + b", data, missing="drop", frequency_weights="k")
    expected = reference(CODES[used], X[used], Y[used])
    for groups in (labels, TEXT[used]):
        same(fit.covariance("cluster", groups=groups), expected)
    with pytest.raises(ml.InvalidInput, match="40 rows, of which 36 were used"):
        fit.covariance("cluster", groups=TEXT[:-1])
    with pytest.raises(ml.InvalidInput, match="first at row 8"):
        fit.covariance("cluster", groups=without(TEXT, None, row=8))


# However the rows are cut


class Cut:
    """Rows in blocks of given lengths, and nothing else that a source may know."""

    names, n_rows, rereadable = ("Intercept", "a", "b"), None, True

    def __init__(self, at):
        self.at = [0, *sorted(at), N]

    def blocks(self, size=None, rng=None):
        D = np.column_stack([np.ones(N), X])
        for a, b in zip(self.at[:-1], self.at[1:], strict=True):
            if b > a:
                yield Block(D[a:b], Y[a:b])


@given(st.sets(st.integers(1, N - 1)), st.sampled_from(["HC0", "HC3", "cluster", "two", "HAC"]))
def test_blocks_do_not_matter(at, kind):
    asked = {
        "cluster": ("cluster", {"groups": TEXT}),
        "two": ("cluster", {"groups": (TEXT, OTHER)}),
    }
    asked["HAC"] = ("HAC", {"lags": 6})
    kind, given_ = asked.get(kind, (kind, {}))
    fit = ml.fit(Cut(at))
    same(fit.covariance(kind, **given_), FIT.covariance(kind, **given_))


def test_a_source_that_does_not_know_its_rows_counts_them():
    fit = ml.fit(Cut({7, 20}))
    for groups in (TEXT[:-1], np.append(TEXT, "a")):
        with pytest.raises(ml.InvalidInput, match="the data had 40 rows"):
            fit.covariance("cluster", groups=groups)


# Out of core


@pytest.fixture(params=["parquet", "csv"])
def stored(request, tmp_path):
    """A file of several batches: gaps, weights of zero, text labels and their years."""
    m = 6000
    own = np.random.default_rng(4)
    firm, year = own.integers(0, 50, m), own.integers(1990, 2030, m)
    a, b = own.standard_normal((2, m))
    y = 1 + a - 2 * b + own.standard_normal(m) + own.standard_normal(50)[firm]
    a[[5, 4000]] = np.nan
    k = np.where(np.arange(m) % 97 == 0, 0, 1 + np.arange(m) % 2)
    names = np.array([f"firm {i}" for i in range(50)])
    columns = {"y": y, "a": pa.array(a, from_pandas=True), "b": b, "k": k, "year": year}
    table = pa.table({**columns, "firm": names[firm]})
    path = tmp_path / f"rows.{request.param}"
    if request.param == "csv":
        csv.write_csv(table, path)
    else:
        parquet.write_table(table, path, row_group_size=700)
    return path, pd.DataFrame({**columns, "a": a, "firm": names[firm]})


def test_clusters_by_the_names_of_columns(stored):
    path, frame = stored
    options = {"frequency_weights": "k", "missing": "drop"}
    far = ml.fit(ml.read(path, "y ~ a + b", **options))
    near = ml.fit("y ~ a + b", frame, **options)
    n = int(frame["k"].sum())
    pairs = {"firm": frame["firm"], ("firm", "year"): (frame["firm"], frame["year"])}
    for names, labels in pairs.items():
        one, other = (
            f.with_covariance("cluster", groups=g) for f, g in ((far, names), (near, labels))
        )
        same(one.covariance(), other.covariance(), n)
        assert one.df_quantiles == other.df_quantiles == (49 if names == "firm" else 39)
    same(far.covariance("cluster", groups=["firm", "year"]), other.covariance(), n)
    for kind in ("HC0", "HC1", "HC2", "HC3"):
        same(far.covariance(kind), near.covariance(kind), n)
    used = (frame["k"] > 0) & frame["a"].notna()
    same(
        far.covariance("cluster", groups=frame["firm"][used].to_numpy()),
        near.covariance("cluster", groups=frame["firm"]),
        n,
    )
    with pytest.raises(ml.InvalidInput, match="no column 'form'; did you mean 'firm'"):
        far.covariance("cluster", groups="form")


def test_a_missing_label_out_of_core_is_an_error(tmp_path):
    labels = without(TEXT.tolist(), None, row=33)
    table = pa.table({"y": Y, "a": X[:, 0], "firm": pa.array(labels)})
    parquet.write_table(table, tmp_path / "rows.parquet")
    fit = ml.fit(ml.read(tmp_path / "rows.parquet", "y ~ a"))
    with pytest.raises(ml.InvalidInput, match="a missing label in 'firm', first at row 33"):
        fit.covariance("cluster", groups="firm")


def test_a_row_of_leverage_one_is_named_by_its_number_in_the_file(tmp_path):
    table = pa.table(
        {"y": Y, "a": pa.array(without(X[:, 0], None, row=3)), "only": (np.arange(N) == 20) * 1.0}
    )
    parquet.write_table(table, tmp_path / "rows.parquet")
    fit = ml.fit(ml.read(tmp_path / "rows.parquet", "y ~ a + only", missing="drop"))
    with pytest.raises(ml.InvalidInput, match=r"row 20 of .*rows\.parquet' has leverage 1"):
        fit.covariance("HC3")


def test_rows_that_could_be_read_once_only_are_gone():
    table = pa.table({"y": Y, "a": X[:, 0], "firm": TEXT})
    stream = pa.RecordBatchReader.from_batches(table.schema, table.to_batches(10))
    fit = ml.fit(ml.read(stream, "y ~ a"))
    for kind, groups in (("HC0", None), ("cluster", "firm"), ("cluster", TEXT)):
        with pytest.raises(ml.InvalidInput, match="can be read only once, and it has been read"):
            fit.covariance(kind, groups=groups)


def test_memory_grows_with_clusters_and_not_with_rows(tmp_path):
    peaks = []
    for m in (50_000, 400_000):
        own = np.random.default_rng(5)
        table = pa.table(
            {"y": own.standard_normal(m), "a": own.standard_normal(m), "firm": np.arange(m) % 100}
        )
        path = tmp_path / f"{m}.parquet"
        parquet.write_table(table, path, row_group_size=25_000)
        fit = ml.fit(ml.read(path, "y ~ a"))
        tracemalloc.start()
        fit.covariance("cluster", groups="firm")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]  # of eight times the rows
