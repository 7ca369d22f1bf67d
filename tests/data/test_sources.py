"""The front door: arrays, weights and missing values become a source and a design."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from mlreg.data.design import ArrayDesign
from mlreg.data.sources import build_source, build_source_from_formula
from mlreg.errors import InvalidInput, InvalidType

X = np.array([[1.0, 2.0], [3.0, 5.0], [4.0, 9.0], [0.0, 1.0]])
y = np.array([1.0, 2.0, 4.0, 3.0])
GAPS = X.copy()
GAPS[1, 0] = np.nan
TABLE = {"y": y, "a": X[:, 0], "b": X[:, 1], "w": np.array([1.0, 0.0, 2.0, 3.0])}


def block(source):
    (out,) = source.blocks(10**6)
    return out


def test_arrays():
    source, design = build_source(X, y)
    assert source.names == ("Intercept", "x1", "x2")
    assert design == ArrayDesign(source.names, True, "y")
    assert np.array_equal(block(source).X, np.column_stack([np.ones(4), X]))
    assert np.array_equal(block(source).y, y)
    assert source.n_rows == 4
    source, design = build_source(X, y, intercept=False, names=["a", "b"])
    assert source.names == design.names == ("a", "b")
    assert not design.intercept
    assert np.array_equal(block(source).X, X)


@pytest.mark.parametrize("dtype", ["f4", "i8", "u1", "?", "f2", ">f8", object])
def test_every_precision_gives_its_own_values(dtype):
    A = (X > 2).astype(dtype)
    source, _ = build_source(A, y.astype("f4"), intercept=False)
    assert block(source).X.dtype == np.float64
    assert np.array_equal(block(source).X, (X > 2).astype(float))


def test_no_copy_and_no_change():
    A, b = X.copy(), y.copy()
    A.flags.writeable = b.flags.writeable = False
    source, _ = build_source(A, b, intercept=False)
    assert np.shares_memory(block(source).X, A)
    assert np.shares_memory(block(source).y, b)
    source, _ = build_source(np.where(A == 1, np.nan, A), b, missing="drop")
    assert np.array_equal(A, X)


@pytest.mark.parametrize("library", [pd, pl])
def test_dataframes(library):
    frame = library.DataFrame({"a": X[:, 0], "b": X[:, 1]})
    source, design = build_source(
        frame, library.Series(y, name="out") if library is pd else pl.Series("out", y)
    )
    assert source.names == design.names == ("Intercept", "a", "b")
    assert design.response == "out"
    assert np.array_equal(block(source).X[:, 1:], X)
    assert build_source(frame, y, names=["u", "v"])[1].names == ("Intercept", "u", "v")


def test_weights_of_both_kinds():
    f, w = [1, 0, 2, 1], np.array([0.5, 1.0, 2.0, 0.0])
    out, _ = build_source(X, y, frequency_weights=f, precision_weights=w)
    assert out.n_rows == 3
    assert np.array_equal(block(out).X[:, 1:], X[[0, 2]])
    assert np.array_equal(block(out).frequency, [1, 2])
    assert np.array_equal(block(out).precision, [0.5, 2])


@pytest.mark.parametrize("holder", [pd.DataFrame, pl.DataFrame])
def test_weights_by_name_are_no_regressors(holder):
    frame = holder({"a": X[:, 0], "w": TABLE["w"], "v": [1, 1, 2, 1]})
    source, design = build_source(frame, y, frequency_weights="v", precision_weights="w")
    assert design.names == ("Intercept", "a")
    assert np.array_equal(block(source).precision, [1.0, 2.0, 3.0])
    assert np.array_equal(block(source).frequency, [1.0, 2.0, 1.0])
    with pytest.raises(InvalidInput, match="no column 'nope'"):
        build_source(frame, y, frequency_weights="nope")
    with pytest.raises(InvalidInput, match="only where X is a dataframe"):
        build_source(X, y, frequency_weights="w")


def test_weights_in_the_formula_door():
    by_name, _ = build_source_from_formula("y ~ a", TABLE, precision_weights="w")
    by_array, _ = build_source_from_formula("y ~ a", TABLE, precision_weights=TABLE["w"])
    for source in (by_name, by_array):
        assert source.n_rows == 3
        assert np.array_equal(block(source).X[:, 1], X[[0, 2, 3], 0])
        assert np.array_equal(block(source).precision, [1.0, 2.0, 3.0])
    source, _ = build_source_from_formula("y ~ a", TABLE, frequency_weights="w")
    assert source.n_rows == 6


@pytest.mark.parametrize("kind", ["frequency_weights", "precision_weights"])
@pytest.mark.parametrize(
    ("w", "message"),
    [
        ([1, 1, np.nan, 1], "_weights must be finite.*1 are not, first nan at row 2"),
        ([1, -1, -2, 1], "2 are not, first -1 at row 1"),
        ([1, np.inf, 1, 1], "first inf at row 1"),
        ([0, 0, 0, 0], "all .*_weights are zero"),
        ([1, 1], "_weights has 2 values for 4 rows"),
        (np.ones((4, 2)), "_weights must hold one number for each row"),
    ],
)
def test_weights_refused(kind, w, message):
    for missing in ("raise", "drop"):
        with pytest.raises(InvalidInput, match=message):
            build_source(X, y, **{kind: w}, missing=missing)
        with pytest.raises(InvalidInput, match=message):
            build_source_from_formula("y ~ a", TABLE, **{kind: w}, missing=missing)


def test_fractional_frequencies_are_refused():
    with pytest.raises(
        InvalidInput,
        match=r"whole numbers up to 2\*\*53: 1 are not, first 0.5 at row 1; for variances",
    ):
        build_source(X, y, frequency_weights=[1, 0.5, 1, 1])
    assert build_source(X, y, precision_weights=[1, 0.5, 1, 1])[0].n_rows == 4


def test_bad_weights_are_refused_in_rows_that_are_dropped():
    with pytest.raises(InvalidInput, match="first nan at row 1"):
        build_source(GAPS, y, precision_weights=[1, np.nan, 1, 1], missing="drop")
    with pytest.raises(InvalidType, match="column 'g' holds text"):
        build_source_from_formula("y ~ a", {**TABLE, "g": ["u"] * 4}, precision_weights="g")


@pytest.mark.parametrize("convert", [np.asarray, pd.DataFrame, np.asfortranarray])
def test_missing_rows(convert):
    with pytest.raises(
        InvalidInput, match=r"NaN or infinity in .* in 1 rows, first at row 1.*missing='drop'"
    ):
        build_source(convert(GAPS), y)
    b = np.array([1.0, 2.0, 4.0, np.nan])
    source, _ = build_source(convert(GAPS), b, precision_weights=[1, 2, 3, 4], missing="drop")
    assert source.n_rows == 2
    assert np.array_equal(block(source).X[:, 1:], X[[0, 2]])
    assert np.array_equal(block(source).y, [1.0, 4.0])
    assert np.array_equal(block(source).precision, [1.0, 3.0])


def test_missing_rows_in_every_block():
    rng = np.random.default_rng(3)
    A, b = rng.normal(size=(5000, 3)), rng.normal(size=5000)
    A[rng.integers(5000, size=50), rng.integers(3, size=50)] = np.nan
    b[rng.integers(5000, size=50)] = np.nan
    keep = ~np.isnan(np.column_stack([A, b])).any(axis=1)
    source, _ = build_source(A, b, intercept=False, missing="drop")
    assert np.array_equal(block(source).X, A[keep])
    assert np.array_equal(block(source).y, b[keep])


def test_infinity_is_not_missing():
    A = GAPS.copy()
    A[3, 1] = np.inf
    with pytest.raises(InvalidInput, match="'x2' in 1 rows, first at row 3"):
        build_source(A, y, missing="drop")


def test_nothing_to_drop_keeps_the_plain_source():
    source, _ = build_source(X, y, intercept=False, missing="drop")
    assert np.shares_memory(block(source).X, X)
    assert build_source(X.astype(int), y.astype(int), missing="drop")[0].n_rows == 4


def test_gaps_in_rows_of_weight_zero_do_not_count():
    assert build_source(GAPS, y, frequency_weights=[1, 0, 1, 1])[0].n_rows == 3
    table = {**TABLE, "a": GAPS[:, 0], "g": ["u", "only", "v", "v"]}
    source, design = build_source_from_formula("y ~ a + g", table, precision_weights="w")
    assert source.n_rows == 3
    assert design.columns["g"] == ("u", "v")


@pytest.mark.parametrize("holder", [dict, pd.DataFrame, pl.DataFrame])
def test_missing_values_in_a_table(holder):
    table = holder(
        {
            "y": [1.0, 2, 3, None, 5, 6],
            "a": [1, 2, None, 4, 5, None],
            "g": ["u", "v", "u", "v", None, "v"],
        }
    )
    message = (
        "missing values in 'y' in 1 rows, first at row 3; 'a' in 2 rows, first at row 2; "
        "'g' in 1 rows, first at row 4; mend those rows, or leave them out with missing='drop'"
    )
    with pytest.raises(InvalidInput, match=message):
        build_source_from_formula("y ~ a + g", table)
    source, design = build_source_from_formula("y ~ a + g", table, missing="drop")
    assert np.array_equal(block(source).X, [[1.0, 1.0, 0.0], [1.0, 2.0, 1.0]])
    assert design.columns == {"a": None, "g": ("u", "v")}
    # Columns that the formula does not use may have gaps.
    assert build_source_from_formula("y ~ 1", table, missing="drop")[0].n_rows == 5


def test_no_row_left():
    with pytest.raises(InvalidInput, match="no row is complete"):
        build_source(np.full((2, 1), np.nan), [1.0, 2.0], missing="drop")
    with pytest.raises(InvalidInput, match="no row is left"):
        build_source_from_formula("y ~ a", {"y": [1.0], "a": [None]}, missing="drop")
    with pytest.raises(InvalidInput, match="no row is left"):
        build_source_from_formula("y ~ a", {"y": [], "a": []})
    with pytest.raises(InvalidInput, match="there are no rows"):
        build_source(np.empty((0, 2)), np.empty(0))


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"missing": "omit"}, InvalidInput, "missing must be one of 'raise', 'drop'; it is 'omit'"),
        ({"names": "ab"}, InvalidType, "names must be a list of names; it is the text 'ab'"),
        ({"names": ["a"]}, InvalidInput, "1 names for the 2 columns"),
        ({"names": ["a", "a"]}, InvalidInput, "same name: 'a'"),
        ({"names": ["a", "Intercept"]}, InvalidInput, "same name: 'Intercept'"),
    ],
)
def test_arguments_refused(arguments, kind, message):
    with pytest.raises(kind, match=message):
        build_source(X, y, **arguments)


def test_other_refusals():
    with pytest.raises(InvalidInput, match="missing must be one of"):
        build_source_from_formula("y ~ a", TABLE, missing=None)
    with pytest.raises(InvalidInput, match="y has 3 values for 4 rows"):
        build_source(X, y[:3])
    with pytest.raises(InvalidInput, match="fit several responses one at a time"):
        build_source(X, X)
    with pytest.raises(InvalidType, match="for arrays use X and y"):
        build_source_from_formula("y ~ a", X)
    with pytest.raises(InvalidInput, match="the design has no columns"):
        build_source(np.empty((4, 0)), y, intercept=False)


# What new users met


def test_rows_that_pandas_labels_differently_are_not_paired_by_position():
    frame = pd.DataFrame({"x": [1.0, 2.0, 4.0], "y": [1.0, 3.0, 2.0], "k": [1, 2, 1]})
    shuffled = frame.loc[[2, 0, 1]]
    with pytest.raises(InvalidInput, match="rows of X and of y are labelled differently"):
        build_source(frame[["x"]], shuffled["y"])
    with pytest.raises(InvalidInput, match="of X and of precision_weights are labelled"):
        build_source(frame[["x"]], frame["y"], precision_weights=shuffled["k"])
    with pytest.raises(InvalidInput, match="of the data and of frequency_weights are labelled"):
        build_source_from_formula("y ~ x", frame, frequency_weights=shuffled["k"])
    with pytest.raises(InvalidInput, match="of y and of frequency_weights are labelled"):
        build_source(frame[["x"]].to_numpy(), frame["y"], frequency_weights=shuffled["k"])
    build_source(shuffled[["x"]], shuffled["y"], frequency_weights=shuffled["k"])
    build_source(frame[["x"]], shuffled["y"].to_numpy())


def test_a_transposed_matrix_is_recognised():
    with pytest.raises(InvalidInput, match=r"X has shape \(2, 5\) for 5 responses.*X\.T"):
        build_source(np.ones((2, 5)), np.ones(5))


@pytest.mark.parametrize("text", ["$1,200", "0.8%", "166,5", "18.02.2023", "1 000", "-€ 3", "1e3"])
def test_text_that_reads_as_numbers_is_no_category_unasked(text):
    table = {"y": [1.0, 2.0, 4.0, 3.0], "x": [text, "n/a", text, "n/a"]}
    with pytest.raises(InvalidType, match="reads as numbers but for 'n/a'"):
        build_source_from_formula("y ~ x", table)
    source, _ = build_source_from_formula("y ~ C(x)", table)
    assert len(source.names) == 2


@pytest.mark.parametrize("formula", ["y ~ C(x)", "y ~ z + C(x)", "y ~ C(number)"])
def test_as_many_levels_as_rows_are_refused_before_a_matrix_is_built(formula):
    n = 50_000
    table = {
        "y": np.arange(float(n)),
        "z": np.arange(float(n)) ** 2,
        "x": np.array([f"id {i}" for i in range(n)], dtype=object),
        "number": np.arange(n),
    }
    with pytest.raises(InvalidInput, match="has 50000 levels in 50000 rows"):
        build_source_from_formula(formula, table)


def test_a_file_that_is_not_utf8_is_said(tmp_path):
    path = tmp_path / "latin.csv"
    path.write_bytes("y,m²\n1,2\n3,4\n".encode("latin-1"))
    with pytest.raises(InvalidInput, match="is not UTF-8"):
        build_source_from_formula("y ~ x", path)
