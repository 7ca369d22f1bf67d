"""Formulas: the design they make, what they remember for new data, what they refuse."""

import json
import pickle
import re

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import mlreg as ml
from mlreg.data.design import design_from_dict
from mlreg.data.sources import build_source_from_formula as build
from mlreg.data.state import decode, encode
from mlreg.errors import InvalidInput, InvalidType, NumericalWarning
from mlreg.likelihood.transform import label

N = 40
RNG = np.random.default_rng(20)
DATA = {
    "y": RNG.normal(size=N),
    "x": RNG.normal(size=N),
    "z": RNG.uniform(1, 9, size=N),
    "k": RNG.integers(1, 4, size=N),
    "g": RNG.permutation(np.array(["b", "a", "c", "a"] * (N // 4))),
    "flag": RNG.permutation(np.arange(N) % 2 == 0),
    "a b": RNG.normal(size=N),
}


def rows(source):
    """The whole design and response of a source."""
    (block,) = source.blocks(10**6)
    return block.X, block.y


def dummy(*levels, column="g"):
    return [(DATA[column] == level).astype(float) for level in levels]


one, x, z, k = np.ones(N), DATA["x"], DATA["z"], DATA["k"].astype(float)

DESIGNS = {
    "y ~ x": (["Intercept", "x"], [one, x]),
    "y ~ 1": (["Intercept"], [one]),
    "y ~ x - 1": (["x"], [x]),
    "y ~ 0 + x": (["x"], [x]),
    "y ~ x + I(x**2) + log(z)": (
        ["Intercept", "x", "I(x ** 2)", "log(z)"],
        [one, x, x**2, np.log(z)],
    ),
    "y ~ g": (["Intercept", "g[T.b]", "g[T.c]"], [one, *dummy("b", "c")]),
    "y ~ g - 1": (["g[a]", "g[b]", "g[c]"], dummy("a", "b", "c")),
    "y ~ C(g, Treatment('b'))": (
        ["Intercept", "C(g, Treatment('b'))[T.a]", "C(g, Treatment('b'))[T.c]"],
        [one, *dummy("a", "c")],
    ),
    "y ~ C(k)": (["Intercept", "C(k)[T.2]", "C(k)[T.3]"], [one, *dummy(2, 3, column="k")]),
    "y ~ k": (["Intercept", "k"], [one, k]),
    "y ~ flag": (["Intercept", "flag"], [one, DATA["flag"].astype(float)]),
    "y ~ x:z + x": (["Intercept", "x", "x:z"], [one, x, x * z]),
    "y ~ x*z": (["Intercept", "x", "z", "x:z"], [one, x, z, x * z]),
    "y ~ g:x": (
        ["Intercept", "g[a]:x", "g[b]:x", "g[c]:x"],
        [one, *(d * x for d in dummy("a", "b", "c"))],
    ),
    "y ~ `a b`": (["Intercept", "a b"], [one, DATA["a b"]]),
    "y ~ Q('a b')": (["Intercept", "Q('a b')"], [one, DATA["a b"]]),
    "y ~ I(g == 'a')": (["Intercept", "I(g == 'a')"], [one, *dummy("a")]),
    "y ~ np.exp(x)": (["Intercept", "np.exp(x)"], [one, np.exp(x)]),
    "y ~ exp10(x)": (["Intercept", "exp10(x)"], [one, np.power(10.0, x)]),
    "y ~ x.clip(0, 1)": (["Intercept", "x.clip(0, 1)"], [one, x.clip(0, 1)]),
    "y ~ {x + 1}": (["Intercept", "x + 1"], [one, x + 1]),
    "y ~ center(x)": (["Intercept", "center(x)"], [one, x - x.mean()]),
    "log(z) ~ x": (["Intercept", "x"], [one, x]),
}


@pytest.mark.parametrize("formula", DESIGNS)
@pytest.mark.parametrize("holder", [dict, pd.DataFrame, pl.DataFrame, pa.table])
def test_designs(formula, holder):
    names, columns = DESIGNS[formula]
    source, design = build(formula, holder(DATA))
    X, y = rows(source)
    assert list(source.names) == list(design.names) == names
    assert label(design.transform, design.response) == formula.split(" ~")[0]
    assert design.intercept == (names[0] == "Intercept")
    assert np.array_equal(X, np.column_stack(columns))
    assert np.array_equal(y, np.log(z) if formula.startswith("log") else DATA["y"])


def test_the_dot_is_every_column_but_response_and_weights():
    data = {"y": [1.0, 2, 4], "x": [1.0, 2, 3], "w": [1.0, 2, 1], "z": [5.0, 5, 6]}
    source, design = build("y ~ .", data, precision_weights="w")
    assert source.names == ("Intercept", "x", "z")
    assert np.array_equal(design.matrix({"z": [1], "x": [2]}), [[1.0, 2.0, 1.0]])
    assert build("y ~ . - x", data)[1].matrix({"z": [1], "w": [2]}).tolist() == [[1.0, 2.0, 1.0]]


def test_short_integers_do_not_overflow():
    data = {
        "y": np.arange(3.0),
        "x": np.array([100, 50, 2], dtype="i1"),
        "k": np.array([9, 9, 3], "u1"),
    }
    X, _ = rows(build("y ~ 0 + I(x**3) + x:k", data)[0])
    assert X.tolist() == [[10**6, 900.0], [125000.0, 450.0], [8.0, 6.0]]
    big = {"y": np.arange(3.0), "x": np.array([10**10, 1, 2])}
    assert rows(build("y ~ 0 + I(x**2)", big)[0])[0][0, 0] == 1e20


def test_booleans_add_as_numbers():
    data = {"y": [1.0, 2.0, 3.0], "a": [True, True, False], "b": [True, False, False]}
    assert rows(build("y ~ 0 + I(a + b)", data)[0])[0].tolist() == [[2.0], [1.0], [0.0]]


def test_level_order_and_unused_levels():
    g = pd.Categorical(["v", "u", "v"], categories=["w", "v", "u"])
    data = pd.DataFrame({"y": [1.0, 2.0, 3.0], "g": g})
    source, design = build("y ~ g", data)
    assert source.names == ("Intercept", "g[T.u]")
    assert design.columns == {"g": ("v", "u")}
    assert design.matrix(data).tolist() == [[1, 0], [1, 1], [1, 0]]
    with pytest.raises(
        InvalidInput, match=r"column 'g' holds 'w' at row 1, a level that .*not seen"
    ):
        design.matrix({"g": ["v", "w"]})


STATEFUL = (
    "y ~ poly(x, 3) + center(z) + scale(x) + standardize(z) + bs(z, df=5)"
    " + C(g, Treatment('b')):x + C(g, contr.sum) + C(k)"
    " + C(k > 1) + C(g, {'first': [1, 0, 0], 'second': [0, 1, -1]}) + C(g, levels=['c', 'b', 'a'])"
    " + hashed(g, levels=4) + scale(x, center=0.1) + flag + log(z) + `a b`"
)


def test_new_data_by_the_state_of_the_fit():
    source, design = build(STATEFUL, DATA)
    X, _ = rows(source)
    saved = json.loads(json.dumps(design.to_dict()))
    restored = design_from_dict(saved)
    assert restored.to_dict() == saved
    assert restored.names == design.names
    for some in ([3], [N - 1, 0, 7], range(N)):
        new = {name: values[list(some)] for name, values in DATA.items() if name != "y"}
        for d in (design, restored, pickle.loads(pickle.dumps(design))):
            assert np.array_equal(d.matrix(new), X[list(some)])
    # The state of the fit is not touched by new data.
    assert design.to_dict() == saved


def test_splines_by_matrix_products_come_back_to_rounding():
    source, design = build("y ~ cr(x, df=4) + cc(z, df=5, constraints='center')", DATA)
    X, _ = rows(source)
    restored = design_from_dict(json.loads(json.dumps(design.to_dict())))
    for i in range(N):
        row = restored.matrix({"x": x[i : i + 1], "z": z[i : i + 1]})[0]
        # Dot products of at most 7 terms, in another order: 7 roundings of terms up to max |X|.
        assert (np.abs(row - X[i]) <= 7 * np.finfo(float).eps * np.abs(X).max()).all()


def test_rows_that_are_dropped_leave_no_trace():
    data = {name: values.copy() for name, values in DATA.items()}
    data["x"][5] = np.nan
    data["g"] = data["g"].astype(object)
    data["g"][5] = "only here"
    data["z"][5] = 1e6
    rest = {name: np.delete(values, 5) for name, values in DATA.items()}
    formula = "y ~ center(z) + g + x"
    a, da = build(formula, data, missing="drop")
    b, db = build(formula, rest)
    assert da.to_dict() == db.to_dict()
    assert all(map(np.array_equal, rows(a), rows(b)))
    data["x"][5] = 0.0
    weights = np.arange(N) != 5
    c, dc = build(formula, data, frequency_weights=weights)
    assert dc.to_dict() == db.to_dict()
    assert all(map(np.array_equal, rows(c), rows(b)))


def test_no_new_rows():
    design = build("y ~ poly(x, 2) + g", DATA)[1]
    assert design.matrix({"x": np.empty(0), "g": np.empty(0, dtype=object)}).shape == (0, 5)


@pytest.mark.parametrize(
    ("new", "kind", "message"),
    [
        ({"x": [1.0]}, InvalidInput, "no column 'k'; the columns are: x"),
        (
            {"x": [1.0, np.nan], "g": ["a", "a"], "k": [1, 1]},
            InvalidInput,
            "new data: 'x' in 1 rows, first at row 1",
        ),
        ({"x": [1.0], "g": [None], "k": [1]}, InvalidInput, "missing values in the new data: 'g'"),
        ({"x": [np.inf], "g": ["a"], "k": [1]}, InvalidInput, "gives NaN or infinity: x in 1 rows"),
        (
            {"x": [1.0, 2], "g": ["a", "q"], "k": [1, 1]},
            InvalidInput,
            "'g' holds 'q' at row 1.*knows 'a', 'b', 'c'",
        ),
        ({"x": [1.0], "g": [1], "k": [1]}, InvalidInput, "column 'g' holds 1 at row 0, a level"),
        (
            {"x": [1.0, 1], "g": ["a", "b"], "k": [1, 4]},
            InvalidInput,
            r"C\(k\) is 4 at row 1, .*levels: 1, 2, 3",
        ),
        ({"x": [1.0, 1], "g": ["a", "b"], "k": [1, 1.5]}, InvalidInput, r"C\(k\) is 1.5 at row 1"),
        (
            {"x": ["1.0", "oops"], "g": ["a", "b"], "k": [1, 1]},
            InvalidType,
            "'x' holds text, first 'oops' at row 1",
        ),
        (
            {"x": pd.Categorical([1.0]), "g": ["a"], "k": [1]},
            InvalidType,
            "column 'x' is categorical",
        ),
        (np.ones((2, 3)), InvalidType, "ndarray is not a table"),
    ],
)
def test_new_data_refused(new, kind, message):
    design = build("y ~ x + g + C(k)", DATA)[1]
    with pytest.raises(kind, match=message):
        design.matrix(new)


@pytest.mark.parametrize(
    "term", ["I(x - np.mean(x))", "C(x > np.median(x))", "x.cumsum()", "I(x / x.max())"]
)
def test_terms_that_depend_on_other_rows_are_not_predicted(term):
    design = build(f"y ~ z + {term}", DATA)[1]
    assert len(design.row_bound) == 1
    for d in (design, design_from_dict(design.to_dict())):
        with pytest.raises(InvalidInput, match=r"depends on all rows of the fit.*center\(\)"):
            d.matrix(DATA)


def test_a_name_in_backticks_twice_does_not_lose_its_state_unseen():
    design = build("y ~ I(center(`a b`) * center(`a b`))", DATA)[1]
    with pytest.raises(InvalidInput, match="depends on all rows"):
        design.matrix(DATA)
    assert build("y ~ center(`a b`)", DATA)[1].row_bound == ()


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        ("x", "has no response: write it before a ~"),
        ("~ x", "has no response"),
        ("", "has no response"),
        ("y - y ~ x", "has no response"),
        ("y + z ~ x", r"has 2 responses: .*I\(a \+ b\)"),
        ("poly(y, 2) ~ x", r"must be one column of numbers; it is poly\(y, 2\)\[1\], poly"),
        ("1 ~ x", "the response '1' .* must be one column"),
        ("g ~ x", "the response 'g' .* is text or categorical"),
        ("C(k) ~ x", "the response .* is text or categorical"),
        ("y ~ x | z", "has several parts"),
        ("y ~ x +", r"formula 'y ~ x \+': Operator .*misplaced; a formula"),
        ("y ~ (x", "Could not find matching"),
        ("y ~ I(x", "Formula ended before"),
        ("y ~ a b", "Missing operator"),
        ("y ~ I(x +)", "invalid syntax"),
        ("y ~ zz", "uses 'zz', which is not a column; did you mean 'z'"),
        (
            "y ~ log(nope)",
            "uses 'nope', which is not a column; the columns are: y, x, z, k, g, flag, a b",
        ),
        ("y ~ Q('nope')", "uses 'nope'"),
        ("nope ~ x", "uses 'nope'"),
        ("y ~ N", "uses 'N', which is not a column"),
        ("y ~ I(x * N)", "uses 'N', which is not a column"),
        ("y ~ log", "uses 'log', which is not a column"),
        ("y ~ abs(x)", r"calls abs\(\), which formulas do not know; they know C, .*NumPy as np"),
        ("y ~ I(__import__('os').getcwd())", r"calls __import__\(\)"),
        ("y ~ I(x.__class__)", "may not use the attribute '__class__'"),
        ("y ~ np.mean(x)", "formula 'y ~ np.mean"),
        ("y ~ np.emath.sqrt(x)", "must give a real number for each of the 40 rows; .*complex128"),
        ("y ~ log(g)", r"Unable to evaluate factor `log\(g\)`"),
        ("y ~ C(g, Treatment('q'))", "'q'` for .* is not among the provided levels"),
        ("y ~ C(g, levels=['a', 'b'])", r"none of the levels of C\(\): \{'c'\}"),
        ("y ~ 0", "the design has no columns"),
        ("y ~ lag(x)", r"gives NaN or infinity: lag\(x\) in 1 rows, first at row 0"),
    ],
)
def test_formulas_refused(formula, message):
    with pytest.raises(InvalidInput, match=message) as caught:
        build(formula, DATA)
    assert "\n" not in str(caught.value)


def test_a_column_that_hides_a_function_is_named():
    with pytest.raises(InvalidInput, match="'C' too, which hides the function: rename the column"):
        build("y ~ C(g)", {**DATA, "C": DATA["x"]})
    assert build("y ~ C", {**DATA, "C": DATA["x"]})[1].names == ("Intercept", "C")


def test_a_formula_is_text():
    with pytest.raises(InvalidType, match="not of type int"):
        build(3, DATA)


def test_values_that_a_transform_makes_infinite_are_named():
    data = {"y": [1.0, 2, 3, 4, 5], "x": [1.0, np.nan, -1, 0, 2]}
    message = r"infinity: log\(x\) in 2 rows, first at row 2; mend those rows, or change the term"
    with pytest.raises(InvalidInput, match=message):
        build("y ~ log(x)", data, missing="drop")
    with pytest.raises(InvalidInput, match=r"log\(x\) needs 'x' above 0: in 2 rows it is"):
        build("log(x) ~ y", data, missing="drop")
    with pytest.raises(InvalidInput, match="infinity: x in 1 rows, first at row 1"):
        build("y ~ x", {"y": [1.0, 2], "x": [1, np.inf]}, missing="drop")


def test_sums_that_overflow_are_no_infinity():
    data = {"y": [1e308, 1e308, -1e308], "x": [1e308, 1.7e308, -1e308]}
    X, y = rows(build("y ~ 0 + x", data)[0])
    assert X[:, 0].tolist() == data["x"]
    assert y.tolist() == data["y"]


def test_text_that_reads_as_numbers_is_no_category_unasked(tmp_path):
    (tmp_path / "a.csv").write_text("y,x,g\n1,1.5,u\n2,2.5,v\n4,n/a,u\n3,0.5,v\n")
    message = r"'x' is text that reads as numbers but for 'n/a', first at row 2: .*write C\(x\)"
    for formula in ("y ~ x", "y ~ log(x)", "x ~ y", "y ~ C(x) + x"):
        with pytest.raises(InvalidType, match=message):
            build(formula, tmp_path / "a.csv")
    assert len(build("y ~ C(x)", tmp_path / "a.csv")[0].names) == 4
    with pytest.raises(InvalidType, match="'x' is text that reads as numbers, first '1' at row 0"):
        build("y ~ x", {"y": [1.0, 2], "x": ["1", "2"]})


def test_columns_of_other_kinds_are_refused():
    y = [1.0, 2.0, 3.0]
    days = np.array(["2020-01-01", "2020-01-02", "2020-01-05"], dtype="M8[D]")
    with pytest.raises(InvalidType, match=r"column 't' holds dates or times.*seconds since"):
        build("y ~ t", {"y": y, "t": days})
    with pytest.raises(
        InvalidType, match="column 'g' mixes text with other values, first 2 at row 1"
    ):
        build("y ~ g", {"y": y, "g": np.array(["a", 2, "b"], dtype=object)})
    with pytest.raises(InvalidType, match="column 'l' holds values of Arrow type"):
        build("y ~ l", pl.DataFrame({"y": y, "l": [[1], [2], [3]]}))
    assert build("y ~ 1", pl.DataFrame({"y": y, "l": [[1], [2], [3]]}))[0].n_rows == 3


def test_integers_beyond_float64():
    data = {"y": [1.0, 2.0, 3.0], "id": [2**53 + 1, 2**53 + 2, 2**53 + 3]}
    with pytest.warns(NumericalWarning, match="2 of column 'id'"):
        build("y ~ id", data)
    with (
        pytest.warns(NumericalWarning, match="column 'id'"),
        pytest.raises(InvalidInput, match=r"C\(\) of whole numbers beyond 2\*\*53"),
    ):
        build("y ~ C(id)", data)


def test_the_inputs_are_not_modified():
    frame = pd.DataFrame(DATA)
    before = frame.copy(deep=True)
    build(STATEFUL, frame)
    pd.testing.assert_frame_equal(frame, before)


def test_state_as_json():
    state = {
        "a": {0: np.float64(0.1), 1: None},
        "m": np.array([[1.0, 1 / 3]]),
        "i": np.arange(3),
        "l": [1.5, (True, "u")],
    }
    out = decode(json.loads(json.dumps(encode(state, "it"))))
    assert out["a"] == {0: 0.1, 1: None}
    assert out["l"] == [1.5, [True, "u"]]
    for name in "mi":
        assert np.array_equal(out[name], state[name])
        assert out[name].dtype == state[name].dtype
    with pytest.raises(
        InvalidType, match="the state of formula 'f' cannot be saved: it holds a set"
    ):
        encode({"a": {1, 2}}, "formula 'f'")
    with pytest.raises(InvalidInput, match="damaged near"):
        decode({"what": 1})


@pytest.mark.parametrize(
    ("formula", "remedy"),
    [
        ("y ~ x + x**2", "I(x**2)"),
        ("y ~ x^3", "I(x**3)"),
        ("y ~ `two words`**2", "I(`two words`**2)"),
        ("y ~ log(x)**2", "I(log(x)**2)"),
    ],
)
def test_a_power_that_would_be_lost_is_refused(formula, remedy):
    table = {"y": [1.0, 2, 4], "x": [1.0, 2, 3], "two words": [1.0, 5, 2]}
    with pytest.raises(InvalidInput, match=re.escape(f"write {remedy} for the power")):
        ml.fit(formula, table)


def test_powers_of_sums_and_of_numbers_are_kept():
    rng = np.random.default_rng(0)
    table = dict(zip("yab", rng.normal(size=(3, 20)), strict=True))
    assert ml.fit("y ~ (a + b)**2", table).names == ("Intercept", "a", "b", "a:b")
    assert ml.fit("y ~ I(a**2)", table).names == ("Intercept", "I(a ** 2)")


@pytest.mark.parametrize("formula", ["y = x", "y ~ first sale", "y x"])
def test_what_is_no_formula_is_told_how_one_is_written(formula):
    with pytest.raises(InvalidInput, match=r"response ~ terms, joined by .*backticks"):
        ml.fit(formula, {"y": [1.0, 2], "x": [1.0, 2]})
