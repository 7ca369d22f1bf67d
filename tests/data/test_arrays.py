"""The array door: what it lets through unchanged, what it converts, what it refuses by name."""

import decimal
import fractions
import subprocess
import sys
import warnings

import array_api_strict
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse

from mlreg.data.arrays import as_matrix, as_vector, response_name
from mlreg.data.table import as_table
from mlreg.errors import InvalidInput, InvalidType, NumericalWarning

BIG = 2**53


def same(a, b):
    """Equal in type, shape and every value, NaN included."""
    b = np.asarray(b)
    return (
        a.dtype == b.dtype
        and a.shape == b.shape
        and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
    )


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i1", "i4", "i8", "u1", "u8", "?"])
def test_arrays_of_numbers_pass_as_they_are(dtype):
    X = np.array([[1, 0], [0, 1], [1, 1]], dtype=dtype)
    out, names = as_matrix(X)
    assert out is X
    assert names is None


@pytest.mark.parametrize(
    "X",
    [
        np.asfortranarray(np.arange(6.0).reshape(3, 2)),
        np.arange(24.0).reshape(6, 4)[::2, ::2],
        np.arange(6.0).reshape(3, 2)[::-1],
    ],
    ids=["Fortran", "strided", "reversed"],
)
def test_no_layout_is_copied(X):
    assert np.shares_memory(as_matrix(X)[0], X)


def test_read_only_arrays_pass():
    X = np.arange(6.0).reshape(3, 2)
    X.flags.writeable = False
    assert as_matrix(X)[0] is X


def test_other_byte_order_is_converted():
    X = np.array([[1.5, 2], [3, 4]])
    out, _ = as_matrix(X.astype(">f8"))
    assert same(out, X)
    assert out.dtype.isnative


def test_one_dimension_is_one_column():
    out, _ = as_matrix(np.array([1.0, 2.0]))
    assert same(out, [[1.0], [2.0]])


def test_lists_and_subclasses():
    assert same(as_matrix([[1, 2], [3, 4]])[0], [[1, 2], [3, 4]])
    assert same(as_matrix(((1.5,), (2,)))[0], [[1.5], [2.0]])
    assert same(as_matrix([[1, None], [3, 4]])[0], [[1.0, np.nan], [3.0, 4.0]])
    assert same(as_vector(range(3)), [0, 1, 2])


def test_strict_array_api():
    X = array_api_strict.asarray([[1.0, 2.0], [3.0, 4.0]])
    assert same(as_matrix(X)[0], [[1.0, 2.0], [3.0, 4.0]])


def test_torch_tensors():
    torch = pytest.importorskip("torch")
    X = torch.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    assert same(as_matrix(X)[0], np.array([[1, 2], [3, 4]], dtype="f4"))
    assert same(as_vector(torch.arange(3)), [0, 1, 2])
    with pytest.raises(InvalidType, match="X is a Tensor that cannot be read as an array"):
        as_matrix(torch.eye(2).to_sparse())
    with pytest.raises(InvalidType, match="cannot be read as an array"):
        as_matrix(torch.ones((2, 2), dtype=torch.bfloat16))


def test_objects_become_float64():
    X = np.array(
        [[1, True, fractions.Fraction(1, 3)], [None, decimal.Decimal("0.1"), np.float32(0.5)]],
        dtype=object,
    )
    out, _ = as_matrix(X)
    assert same(out, [[1.0, 1.0, 1 / 3], [np.nan, 0.1, 0.5]])
    assert X[1, 0] is None
    assert same(
        as_vector(np.array([pd.NA, np.nan, np.bool_(True)], dtype=object)), [np.nan, np.nan, 1.0]
    )
    assert same(as_vector(np.array([decimal.Decimal("NaN")], dtype=object)), [np.nan])


@pytest.mark.parametrize(
    ("frame", "dtype"),
    [
        (pd.DataFrame({"a": [1, 2], "b": [3, 4]}), "i8"),
        (pd.DataFrame({"a": [1.0, np.nan], "b": [3, 4]}), "f8"),
        (pd.DataFrame({"a": [1.0, np.nan], "b": [3, 4]}, dtype="f4"), "f4"),
        (pl.DataFrame({"a": [1.0, None], "b": [3, 4]}), "f8"),
        (pl.DataFrame({"a": [True, False], "b": [True, True]}), "?"),
        (pl.DataFrame({"a": [1, None], "b": [3, 4]}), "f8"),
        (pa.table({"a": pa.array([True, None]), "b": [3, 4]}), "f8"),
        (pa.table({"a": pa.nulls(2), "b": pa.array([3, 4], pa.float32())}), "f8"),
        (pd.DataFrame({"a": pd.array([1, None], dtype="Int64"), "b": [3.0, 4.0]}), "f8"),
    ],
)
def test_frames_keep_names_and_turn_nulls_to_nan(frame, dtype):
    X, names = as_matrix(frame)
    assert names == ["a", "b"]
    assert X.dtype == dtype
    want = np.column_stack([frame[c].to_numpy() for c in "ab"]).astype(object)
    want = [[np.nan if v is None or v is pd.NA else float(v) for v in row] for row in want]
    assert np.array_equal(X.astype(float), want, equal_nan=True)


def test_the_index_of_pandas_is_no_regressor():
    frame = pd.DataFrame({"a": [1.0, 2.0, 3.0]})[lambda d: d.a != 2]
    assert as_matrix(frame)[1] == ["a"]
    assert as_matrix(frame.set_index(pd.Index([5, 6], name="day")))[1] == ["a"]
    assert as_matrix(pa.table(frame))[1] == ["a"]


def test_streams_without_a_dataframe():
    reader = pa.table({"a": [1.0, 2.0], "b": [3.0, 4.0]}).to_reader()
    X, names = as_matrix(reader)
    assert names == ["a", "b"]
    assert same(X, [[1.0, 3.0], [2.0, 4.0]])
    assert same(as_matrix(as_table({"u": [1, 2]}))[0], [[1], [2]])


def test_decimals_are_rounded_correctly():
    values = [decimal.Decimal("0.1"), decimal.Decimal("12345678.90123456789012345678"), None]
    table = pa.table({"a": pa.array(values, pa.decimal128(38, 20))})
    assert same(as_matrix(table)[0][:, 0], [0.1, 12345678.90123456789, np.nan])


@pytest.mark.parametrize(
    "y",
    [
        pd.Series([1.0, np.nan], name="out"),
        pl.Series("out", [1.0, None]),
        pd.DataFrame({"out": [1.0, np.nan]}),
        pl.DataFrame({"out": [1.0, None]}),
        pd.Series([1, None], name="out", dtype="Int64"),
    ],
)
def test_series_as_response(y):
    assert same(as_vector(y), [1.0, np.nan])
    assert response_name(y) == "out"
    X, names = as_matrix(y)
    assert X.shape == (2, 1)
    assert names == ["out"]


def test_names_of_the_response():
    assert response_name(np.ones(3)) == "y"
    assert response_name(pd.Series([1.0])) == "y"
    assert response_name(pd.Series([1.0], name=3)) == "y"
    assert response_name(pa.chunked_array([[1.0]])) == "y"


def test_arrow_arrays_as_response():
    assert same(as_vector(pa.array([1, None])), [1.0, np.nan])
    assert same(as_vector(pa.chunked_array([[1.5], [2.5]])), [1.5, 2.5])


def test_column_vectors_and_lengths():
    assert same(as_vector(np.ones((3, 1))), np.ones(3))
    with pytest.raises(
        InvalidInput, match=r"y must hold one number .* \(3, 2\): fit several responses one"
    ):
        as_vector(np.ones((3, 2)))
    with pytest.raises(InvalidInput, match=r"shape is \(3, 2, 1\)$"):
        as_vector(np.ones((3, 2, 1)))
    with pytest.raises(InvalidInput, match="y has 3 values for 4 rows"):
        as_vector(np.ones(3), n=4)
    with pytest.raises(InvalidInput, match=r"X must have two dimensions.*it has 3"):
        as_matrix(np.ones((3, 2, 1)))


REFUSED = [
    (np.ma.masked_array([[1.0]], [[False]]), "masked array.*filled.*compressed"),
    (np.array([[1 + 2j]]), "complex.*real and .imag"),
    ([[1 + 2j]], "complex"),
    (np.array([["1.5", "n/a"]]), "holds text, first 'n/a' at row 0, column 'x2': .*C\\(column\\)"),
    (np.array([["1.5", "2"]]), "holds text, first '1.5' at row 0, column 'x1'"),
    (np.array([[1, "a"]], dtype=object), "holds text, first 'a' at row 0, column 'x2'"),
    ([["a"]], "holds text"),
    (np.array([[b"a"]]), "holds text, first b'a'"),
    (np.array([["2020-01-01"]], dtype="M8[D]"), "dates or times.*seconds since a start"),
    (np.array([[5]], dtype="m8[s]"), "time differences"),
    (np.zeros(2, dtype=[("a", "f8")]), "records"),
    (np.array([[[1], 2]], dtype=object), "holds list, first \\[1\\] at row 0, column 'x1'"),
    (np.array([[1j, 2]], dtype=object), "holds complex, first 1j"),
    (scipy.sparse.eye_array(2), "sparse.*toarray"),
    (scipy.sparse.csr_matrix(np.eye(2)), "sparse.*toarray"),
    (None, "must be an array of numbers; it is None"),
    (3.5, "it is a float"),
    ({1, 2}, "it is a set"),
    ((i for i in range(3)), "it is a generator"),
    ({"a": [1]}, "it is a dict"),
    ("abc", "it is a str"),
    (object(), "it is a object"),
    (pl.LazyFrame({"a": [1]}), r"LazyFrame.*\.collect\(\)"),
]


@pytest.mark.parametrize("door", [as_matrix, as_vector])
@pytest.mark.parametrize(("X", "message"), REFUSED, ids=[m[:12] for _, m in REFUSED])
def test_refused_by_name(door, X, message):
    if door is as_vector:
        message = message.split(", column")[0]
        X = X.ravel() if type(X) is np.ndarray and X.size == 1 else X
    with pytest.raises(InvalidType, match=message):
        door(X)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pd.DataFrame({"a": [1], "g": ["u"]}), "column 'g' of X holds text, first 'u' at row 0"),
        (pl.DataFrame({"g": ["1", "n/a"]}), "column 'g' of X holds text, first 'n/a' at row 1"),
        (
            pd.DataFrame({"g": pd.Categorical(["u", "v"])}),
            "column 'g' of X is categorical .*'u', 'v'",
        ),
        (
            pd.DataFrame({"t": pd.to_datetime(["2020-01-01"])}),
            "column 't' of X holds dates or times",
        ),
        (pl.DataFrame({"t": [[1, 2]]}), "column 't' of X holds values of Arrow type .*list"),
        (pd.DataFrame({"z": [1 + 2j]}), "column 'z' of X is complex"),
        (pd.DataFrame({"m": [1, "u"]}), "column 'm' of X holds text, first 'u' at row 1"),
    ],
)
def test_columns_refused_by_name(frame, message):
    with pytest.raises(InvalidType, match=message):
        as_matrix(frame)


def test_objects_in_pandas_that_arrow_cannot_hold():
    frame = pd.DataFrame({"a": [fractions.Fraction(1, 4), 2], "b": [1.0, 2.0]})
    assert same(as_matrix(frame)[0], [[0.25, 1.0], [2.0, 2.0]])


def test_ragged_lists():
    with pytest.raises(InvalidInput, match="X has rows of different lengths"):
        as_matrix([[1, 2], [3]])


def test_numbers_beyond_float64():
    with pytest.raises(InvalidInput, match="beyond the range of float64 at row 1"):
        as_vector([1, 10**400])


def test_integers_that_change_are_counted():
    X = np.array([[1, BIG + 1, BIG + 2], [2, BIG + 3, BIG]])
    message = r"integers beyond 2\*\*53 change .*: 2 of column 'x2' of X; subtract an offset"
    with pytest.warns(NumericalWarning, match=message):
        assert as_matrix(X)[0] is X
    with pytest.warns(NumericalWarning, match="1 of y"):
        as_vector(np.array([-BIG - 1, 5]))
    with pytest.warns(NumericalWarning, match="1 of y"):
        as_vector(np.array([2**64 - 1, 2**63], dtype="u8"))
    with pytest.warns(NumericalWarning, match="1 of y"):
        as_vector(np.array([2**63 - 1, -(2**63)]))
    with pytest.warns(NumericalWarning, match="2 of y"):
        as_vector(np.array([BIG + 1, 10**30, 2**100, None], dtype=object))
    with pytest.warns(NumericalWarning, match="1 of column 'a' of X"):
        as_matrix(pa.table({"a": pa.array([BIG + 1, None])}))


@pytest.mark.skipif(np.dtype(np.longdouble).itemsize <= 8, reason="longdouble is float64 here")
def test_extended_precision_that_changes():
    exact = np.array([0.5, np.nan], dtype=np.longdouble)
    assert as_vector(exact) is exact
    with pytest.warns(NumericalWarning, match=r"extended-precision numbers change.*1 of y"):
        as_vector(np.array([np.longdouble(1) / 3, 0.25]))


def test_integers_that_do_not_change_are_silent():
    for X in (np.array([BIG, -BIG]), np.array([2**62, -(2**63)]), np.array([2**63], dtype="u8")):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert as_vector(X) is X


NOTHING_HEAVY = """
import sys
import mlreg.data.sources, mlreg.datasets
found = {"pyarrow", "formulaic", "pandas", "polars", "hypothesis", "torch"} & set(sys.modules)
assert not found, found
"""

WITHOUT_PYARROW = """
import sys, warnings
warnings.simplefilter("error")
sys.modules["pyarrow"] = None
import numpy as np, pandas as pd, polars as pl
from mlreg.data.arrays import as_matrix, as_vector
from mlreg.data.sources import build_source, build_source_from_formula
from mlreg.data.table import as_table
from mlreg.errors import MissingDependency
frame = pd.DataFrame({"a": [1.0, 2.0, 4.0], "b": [3, 4, 4]}, index=[7, 8, 9])
for f in (frame, pl.DataFrame({"a": [1.0, 2.0, 4.0], "b": [3, 4, 4]})):
    X, names = as_matrix(f)
    assert names == ["a", "b"] and (X == [[1, 3], [2, 4], [4, 4]]).all(), X
    assert (as_vector(f["a"]) == [1, 2, 4]).all()
    source, design = build_source(f, f["a"])
    assert source.names == ("Intercept", "a", "b") and design.response == "a"
frame["g"] = pd.Categorical(["v", "u", "v"], categories=["w", "v", "u"])
frame["s"] = ["p", "q", "p"]
for data in (frame, frame.to_dict("list")):
    source, design = build_source_from_formula("a ~ b + s", data)
    assert source.names == ("Intercept", "b", "s[T.q]"), source.names
assert as_table(frame).columns["g"].levels == ("w", "v", "u")
assert build_source_from_formula("a ~ g", frame)[0].names == ("Intercept", "g[T.u]")
try:
    as_table(pl.DataFrame({"e": pl.Series(["v", "u"], dtype=pl.Enum(["w", "v", "u"]))}))
except TypeError as error:
    assert "column 'e' is categorical, which polars gives only through Arrow" in str(error), error
else:
    raise AssertionError
class Stream:
    schema = None
    def __arrow_c_stream__(self, requested_schema=None): raise AssertionError
for call in (lambda: as_table(Stream()), lambda: as_table(sys.argv[1])):
    try:
        call()
    except MissingDependency as error:
        assert "pip install 'mlreg[table]'" in str(error), error
    else:
        raise AssertionError
sys.modules["formulaic"] = None
try:
    build_source_from_formula("a ~ b", frame)
except MissingDependency as error:
    assert "pip install 'mlreg[formula]'" in str(error), error
else:
    raise AssertionError
"""


def test_the_doors_import_nothing_optional():
    subprocess.run([sys.executable, "-c", NOTHING_HEAVY], check=True)


def test_without_pyarrow(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("a\n1\n")
    subprocess.run([sys.executable, "-c", WITHOUT_PYARROW, str(path)], check=True)
