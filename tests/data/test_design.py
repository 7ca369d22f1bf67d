"""Rows of a design for new data, and designs as JSON."""

import json
import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest

from mlreg.data.design import ArrayDesign, design_from_dict
from mlreg.data.table import as_table
from mlreg.errors import InvalidInput, InvalidType

TWO = ArrayDesign(("Intercept", "a", "b"), True, "y")
ONE = ArrayDesign(("a",), False, "y")
WANT = np.array([[1.0, 2.0, 3.0], [1.0, 4.0, 5.0]])


@pytest.mark.parametrize(
    "new",
    [
        np.array([[2, 3], [4, 5]]),
        np.array([[2, 3], [4, 5]], dtype="f4", order="F"),
        [[2, 3], [4, 5]],
        np.array([[2, 3], [4, 5]], dtype=object),
        pd.DataFrame({"b": [3, 5], "z": ["u", "v"], "a": [2.0, 4.0]}, index=[8, 9]),
        pl.DataFrame({"b": [3, 5], "z": [None, "v"], "a": [2.0, 4.0]}),
        {"b": [3, 5], "a": [2, 4]},
        as_table({"b": [3, 5], "a": [2, 4]}),
    ],
)
def test_rows_by_position_and_by_name(new):
    out = TWO.matrix(new)
    assert out.dtype == np.float64
    assert np.array_equal(out, WANT)


def test_a_path_is_a_table(tmp_path):
    (tmp_path / "new.csv").write_text("b,a\n3,2\n5,4\n")
    assert np.array_equal(TWO.matrix(tmp_path / "new.csv"), WANT)


def test_one_dimension():
    assert np.array_equal(TWO.matrix([2, 3]), WANT[:1])
    assert np.array_equal(ONE.matrix([2, 3, 4]), [[2.0], [3.0], [4.0]])
    assert np.array_equal(ONE.matrix(pd.Series([2.0])), [[2.0]])
    with pytest.raises(
        InvalidInput, match=r"must have 2 columns \(a, b\), without .*shape is \(3,\)"
    ):
        TWO.matrix([1, 2, 3])


def test_no_rows_and_no_columns():
    assert TWO.matrix(np.empty((0, 2))).shape == (0, 3)
    only = ArrayDesign(("Intercept",), True)
    assert np.array_equal(only.matrix(np.empty((2, 0))), [[1.0], [1.0]])
    assert np.array_equal(only.matrix({"z": [5, 6]}), [[1.0], [1.0]])


def test_new_data_is_not_modified_or_aliased():
    new = np.array([[2.0], [3.0]])
    out = ONE.matrix(new)
    out[:] = 0
    assert np.array_equal(new, [[2.0], [3.0]])


@pytest.mark.parametrize(
    ("new", "kind", "message"),
    [
        (np.ones((2, 3)), InvalidInput, r"must have 2 columns .*shape is \(2, 3\)"),
        (np.ones((2, 2, 2)), InvalidInput, r"must have 2 columns"),
        (
            {"a": [1]},
            InvalidInput,
            "new data lacks 'b' of the fit: the columns are: a. Rename them, or",
        ),
        (pd.DataFrame({"A": [1], "b": [1]}), InvalidInput, "lacks 'a'.*columns a, b in this order"),
        (
            [[1, np.nan], [np.inf, 2], [1, np.inf]],
            InvalidInput,
            "in 'a' in 1 rows, first at row 1; 'b' in 2 rows, first at row 0 of the new data",
        ),
        (
            {"a": [1, None], "b": [1, 1]},
            InvalidInput,
            "'a' in 1 rows, first at row 1 of the new data",
        ),
        ({"a": ["u"], "b": [1]}, InvalidType, "column 'a' of the new data holds text, first 'u'"),
        ([["u", 1]], InvalidType, "the new data holds text, first 'u' at row 0, column 'a'"),
        (pd.Series({"b": 3, "a": 2}), InvalidInput, r"is a Series, .*frame\.iloc\[\[0\]\]"),
        (None, InvalidType, "the new data must be an array of numbers; it is None"),
        (3.0, InvalidType, "it is a float"),
    ],
)
def test_refused(new, kind, message):
    with pytest.raises(kind, match=message):
        TWO.matrix(new)


@pytest.mark.parametrize("design", [TWO, ONE])
def test_json_and_pickle(design):
    assert design_from_dict(json.loads(json.dumps(design.to_dict()))) == design
    assert pickle.loads(pickle.dumps(design)) == design


def test_damaged_designs():
    with pytest.raises(InvalidInput, match="unknown kind None"):
        design_from_dict({})
    with pytest.raises(InvalidInput, match="damaged: KeyError"):
        design_from_dict({"kind": "array"})
    with pytest.raises(InvalidInput, match="damaged: KeyError"):
        design_from_dict({"kind": "formula", "formula": "y ~ x"})
