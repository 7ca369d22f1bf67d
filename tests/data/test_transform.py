"""Where a transform of the response comes from: formulas, arrays, files."""

import json
import pickle

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from scipy import stats

import mlreg as ml
from mlreg.data.design import ArrayDesign, design_from_dict
from mlreg.data.front import source_of
from mlreg.data.progress import WatchedSource
from mlreg.errors import InvalidInput
from mlreg.likelihood.transform import Log, as_transform
from mlreg.likelihood.wrapped import CheckedSource, SelectedSource

NO_WEIGHTS = {"frequency_weights": None, "precision_weights": None}
N = 60
RNG = np.random.default_rng(7)
DATA = {
    "y": np.exp(RNG.normal(size=N)),
    "x": RNG.normal(size=N),
    "y y": np.arange(N) + 0.5,
    "g": np.array(["a", "b", "c"] * (N // 3)),
    "k": RNG.integers(0, 3, N),
}
FORMS = {
    "log(y) ~ x": "log",
    "log( y )~x": "log",
    "{log(y)} ~ x": "log",
    "log2(y) ~ x": "log2",
    "log10(y) ~ x": "log10",
    "np.log(y) ~ x": "log",
    "np.log2(y) ~ x": "log2",
    "np.log10(y) ~ x": "log10",
    "np.log1p(y) ~ x": "log1p",
    "np.arcsinh(y) ~ x": "arcsinh",
    "np.asinh(y) ~ x": "arcsinh",
    "log(`y y`) ~ x": "log",
    "log(y) ~ x + C(g)": "log",
    "log(y) ~ log(y)": "log",
    "log(y) ~ .": "log",
}
if not hasattr(np, "asinh"):
    del FORMS["np.asinh(y) ~ x"]
NO_FORMS = [
    "y ~ log(y)",
    "np.sqrt(y) ~ x",
    "log(y + 1) ~ x",
    "I(log(y)) ~ x",
    "I(np.log(y) / 2) ~ x",
    "np.log(np.exp(y)) ~ x",
    "exp(y) ~ x",
    "np.exp(y) ~ x",
    "log(y):x ~ g",
    "np.log(y, where=True) ~ x",
    "I(y / 2) ~ x",
]


def in_file(folder, data=None):
    pq.write_table(pa.table(DATA if data is None else data), folder / "rows.parquet")
    return ml.read(str(folder / "rows.parquet"))


def open_(X, y, transform=None, **options):
    return source_of(X, y, None, None, NO_WEIGHTS | options, "raise", transform=transform)


def responses(source):
    return np.concatenate([np.asarray(block.y) for block in source.blocks()])


@pytest.mark.parametrize("formula", FORMS)
def test_a_formula_says_its_transform(formula, tmp_path):
    transform = as_transform(FORMS[formula])
    column = "y y" if "`" in formula else "y"
    for data in (DATA, in_file(tmp_path)):
        source, design = open_(formula, data)
        assert source.transform == design.transform == transform
        assert design.response == column
        assert (responses(source) == transform.forward(DATA[column])).all()


@pytest.mark.parametrize("formula", NO_FORMS)
def test_other_left_hand_sides_are_a_response_of_that_name(formula, tmp_path):
    source, design = open_(formula, DATA)
    assert source.transform is design.transform is None
    assert design.response == formula.split(" ~")[0]
    lazy, same = open_(formula, in_file(tmp_path))
    assert lazy.transform is same.transform is None
    assert (responses(lazy) == responses(source)).all()


def test_the_keyword_is_the_same(tmp_path):
    expected = np.log10(DATA["y"])
    for formula, data in [("y ~ x", DATA), ("y ~ x + C(g)", DATA), ("y ~ x", in_file(tmp_path))]:
        source, design = open_(formula, data, transform="log10")
        assert source.transform == design.transform == Log(10)
        assert (responses(source) == expected).all()
    source, design = open_(DATA["x"], DATA["y"], transform="log10")
    assert source.transform == design.transform == Log(10)
    assert (responses(source) == expected).all()
    source, design = open_("np.sqrt(y) ~ x", DATA, transform="log")  # of sqrt(y), then
    assert design.response == "np.sqrt(y)"
    assert (responses(source) == np.log(np.sqrt(DATA["y"]))).all()


def test_twice_is_refused(tmp_path):
    for data in (DATA, in_file(tmp_path)):
        with pytest.raises(InvalidInput, match=r"log\(y\) ~ x' transforms its response already"):
            open_("log(y) ~ x", data, transform="log")
    with pytest.raises(InvalidInput, match="transform must be one of"):
        open_("y ~ x", DATA, transform="sqrt")
    with pytest.raises(InvalidInput, match="a Source holds its design: leave out transform"):
        open_(ml.ArraySource(np.ones((2, 1)), np.ones(2)), None, transform="log")


def test_sources_before_others_carry_it_on():
    source = ml.ArraySource(DATA["x"][:, None], DATA["y"], transform="log")
    for wrapped in (CheckedSource(source), SelectedSource(source, [0]), WatchedSource(source)):
        assert wrapped.transform == Log()
        assert ml.LinearLikelihood.from_source(wrapped).transform == Log()
    assert open_(source, None)[1].transform == Log()
    assert pickle.loads(pickle.dumps(source)).transform == Log()


def test_designs_come_back_and_old_ones_have_none():
    for _, design in (open_("log(y) ~ x", DATA), open_(DATA["x"], DATA["y"], "arcsinh")):
        saved = json.loads(json.dumps(design.to_dict()))
        assert design_from_dict(saved).transform == design.transform
        del saved["transform"]
        assert design_from_dict(saved).transform is None
        with pytest.raises(InvalidInput, match="transform must be one of"):
            design_from_dict(saved | {"transform": "sqrt"})
    assert ArrayDesign(("x",), False).transform is None


@pytest.mark.parametrize("formula", ["log(y) ~ x", "log(y) ~ x + C(g)"])
@pytest.mark.parametrize(
    ("options", "rows"),
    [({}, slice(None)), ({"frequency_weights": "k"}, DATA["k"] > 0)],
    ids=["plain", "weighted"],
)
def test_rows_of_files_are_those_in_memory(tmp_path, formula, options, rows):
    table = in_file(tmp_path)
    lazy = source_of(formula, table, None, None, NO_WEIGHTS | options, "raise")[0]
    assert (responses(lazy) == np.log(DATA["y"])[rows]).all()
    shuffled = np.concatenate([b.y for b in lazy.blocks(7, np.random.default_rng(0))])
    assert (np.sort(shuffled) == np.sort(np.log(DATA["y"])[rows])).all()
    here = source_of(formula, DATA, None, None, NO_WEIGHTS | options, "raise")[0]
    ours, theirs = (ml.LinearLikelihood.from_source(s) for s in (lazy, here))
    gap = abs(ours.log_jacobian - theirs.log_jacobian)
    assert gap <= 2 * N * 2.0**-53 * np.abs(np.log(DATA["y"])).sum() * 2


@pytest.mark.parametrize("formula", ["log(y) ~ x", "log(y) ~ x + C(g)"])
def test_responses_outside_are_named_with_their_place(tmp_path, formula):
    y = DATA["y"].copy()
    y[[4, 9]] = 0
    data = DATA | {"y": y, "k": np.arange(N) != 4}
    message = r"log\(y\) needs 'y' above 0: in 2 rows it is not, first 0 at row 4\..*np.log1p"
    with pytest.raises(InvalidInput, match=message):
        ml.fit(formula, data)
    with pytest.raises(InvalidInput, match=r"in .*rows.parquet': " + message):
        ml.fit(formula, in_file(tmp_path, data))
    one = r"in 1 rows it is not, first 0 at row 9\."
    data["k"] = data["k"].astype(float)
    with pytest.raises(InvalidInput, match=one):
        ml.fit(formula, data, precision_weights="k")
    with pytest.raises(InvalidInput, match=one):
        ml.fit(formula, in_file(tmp_path, data), precision_weights="k")
    with pytest.raises(InvalidInput, match=r"in 2 rows it is not, first 0 at row 4\."):
        ml.fit(DATA["x"], y, transform="log")


def test_gaps_are_left_out_before_the_response_is_looked_at(tmp_path):
    x, y = DATA["x"].copy(), DATA["y"].copy()
    x[3], y[3], y[8] = np.nan, -1.0, np.nan
    data = DATA | {"x": x, "y": y}
    whole = np.isfinite(x + y)
    expected = ml.fit(DATA["x"][whole], DATA["y"][whole], transform="log")
    fits = [
        ml.fit("log(y) ~ x", data, missing="drop"),
        ml.fit("y ~ x", data, missing="drop", transform="log"),
        ml.fit("log(y) ~ x", in_file(tmp_path, data), missing="drop"),
        ml.fit(x, y, missing="drop", transform="log"),
    ]
    for fit in fits:
        assert fit.n_missing == 2
        assert (fit.params == expected.params).all()
        bound = 4 * N * 2.0**-53 * np.abs(np.log(DATA["y"])).sum()
        assert abs(fit.log_jacobian - expected.log_jacobian) <= bound
    with pytest.raises(InvalidInput, match=r"missing values in .*'x' in 1 rows"):
        ml.fit("log(y) ~ x", data)
    with pytest.raises(InvalidInput, match=r"NaN or infinity in .*'y' in 1 rows, first at row 8"):
        ml.fit(x, np.abs(y), transform="log")


def test_text_is_no_response():
    with pytest.raises(InvalidInput, match=r"the response 'g' .* is text or categorical"):
        ml.fit("log(g) ~ x", DATA)
    with pytest.raises(InvalidInput, match="log1p"):  # not a function of formulas without np
        ml.fit("log1p(y) ~ x", DATA)


def test_csv(tmp_path):
    path = tmp_path / "rows.csv"
    pyarrow.csv.write_csv(pa.table({"y": [1, 2, 8, 0], "x": [1.0, 2, 4, 3]}), path)
    with pytest.raises(InvalidInput, match=r"rows.csv': log2\(y\) needs 'y' above 0.*at row 3\."):
        ml.fit("log2(y) ~ x", ml.read(str(path)))
    fit = ml.fit("np.log1p(y) ~ x", ml.read(str(path)))
    assert fit.design.transform == as_transform("log1p")


def test_with_a_design_of_the_scale(tmp_path):
    theta = np.array([0.2, -0.3, 0.1, 0.4])
    Z = np.column_stack([np.ones(N), DATA["x"]])
    X = np.column_stack([np.ones(N), DATA["x"]])
    t, log_sigma = np.log(DATA["y"]), Z @ theta[2:]
    each = stats.norm.logpdf(t, X @ theta[:2], np.exp(log_sigma)) - t
    sources = [
        source_of("log(y) ~ x", data, None, None, NO_WEIGHTS, "raise", scale="~ x", transform=None)
        for data in (DATA, in_file(tmp_path))
    ]
    sources.append(
        source_of(
            DATA["x"], DATA["y"], None, None, NO_WEIGHTS, "raise", scale=Z[:, 1:], transform="log"
        )
    )
    for source, design in sources:
        assert source.transform == design.transform == Log()
        assert design_from_dict(json.loads(json.dumps(design.to_dict()))).transform == Log()
        assert len(design.scale.names) == 2
        nll = ml.LinearLikelihood.from_source(source).nll(theta)
        assert abs(nll + each.sum()) <= 16 * N * 2.0**-53 * (np.abs(each) + np.abs(t) + 1).sum()
