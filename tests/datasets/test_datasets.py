"""The shipped data sets: complete, exact, and reproduced by their formulas."""

from fractions import Fraction

import numpy as np
import pytest

from mlreg import datasets
from mlreg.data.sources import build_source_from_formula
from mlreg.errors import InvalidInput

SIZES = {
    "longley": (16, 6, "higher"),
    "filip": (82, 10, "higher"),
    "norris": (36, 1, "lower"),
    "pontius": (40, 2, "lower"),
    "noint1": (11, 1, "average"),
    "noint2": (3, 1, "average"),
    **{f"wampler{i}": (21, 5, "higher") for i in range(1, 6)},
}


def test_names():
    assert datasets.names() == list(SIZES)
    for name in SIZES:
        assert getattr(datasets, name)().name.lower() == name
        assert datasets.load(name.upper()).name.lower() == name
    with pytest.raises(InvalidInput, match="no data set 'iris'; there are longley, filip, "):
        datasets.load("iris")


@pytest.mark.parametrize("name", SIZES)
def test_shapes_and_provenance(name):
    data = datasets.load(name)
    n, k, difficulty = SIZES[name]
    assert data.X.shape == (n, k)
    assert data.y.shape == (n,)
    assert data.difficulty == difficulty
    assert data.source.startswith("NIST/ITL StRD Linear")
    assert "https://www.itl.nist.gov/div898/strd/lls/" in data.source
    assert data.description
    assert data.intercept == (not name.startswith("noint"))
    assert data.certified["params"].shape == data.certified["se"].shape == (k + data.intercept,)
    for key, text in data.certified_text.items():
        assert np.array_equal(np.array(text, dtype=float), data.certified[key])
    assert repr(data) == f"<Dataset {data.name}: {n} rows, {data.formula}>"


@pytest.mark.parametrize("name", SIZES)
def test_the_formula_makes_the_regressors(name):
    data = datasets.load(name)
    source, design = build_source_from_formula(data.formula, data)
    (block,) = source.blocks(1000)
    assert design.intercept == data.intercept
    assert np.array_equal(block.X[:, int(data.intercept) :], data.X)
    assert np.array_equal(block.y, data.y)


def solve(A, b):
    """Exact solution of a square system of fractions."""
    rows = [[*row, value] for row, value in zip(A, b, strict=True)]
    for i in range(len(rows)):
        pivot = next(r for r in range(i, len(rows)) if rows[r][i])
        rows[i], rows[pivot] = rows[pivot], rows[i]
        rows[i] = [v / rows[i][i] for v in rows[i]]
        for r in range(len(rows)):
            if r != i:
                rows[r] = [v - rows[r][i] * w for v, w in zip(rows[r], rows[i], strict=True)]
    return [row[-1] for row in rows]


@pytest.mark.parametrize("name", [name for name in SIZES if name != "filip"])
def test_certified_values_belong_to_the_data(name):
    """The exact solution for the decimal data, rounded, is what NIST prints."""
    import json
    from importlib import resources

    sets = json.loads(resources.files(datasets).joinpath("nist.json").read_text())
    raw = next(d for d in sets if d["name"].lower() == name)
    x = [[Fraction(v) for v in column] for column in raw["X"]]
    y = [Fraction(v) for v in raw["y"]]
    columns = [[Fraction(1)] * len(y)] * raw["intercept"]
    columns += [[v**k for v in c] for c in x for k in range(1, raw["degree"] + 1)]
    gram = [[sum(a * b for a, b in zip(u, v, strict=True)) for v in columns] for u in columns]
    right = [sum(a * b for a, b in zip(u, y, strict=True)) for u in columns]
    exact = solve(gram, right)
    for value, text in zip(exact, raw["certified"]["params"], strict=True):
        mantissa, _, exponent = text.partition("E")
        unit = Fraction(10) ** (int(exponent or 0) - len(mantissa.partition(".")[2]))
        assert abs(value - Fraction(text)) <= unit / 2


def test_what_nist_prints():
    assert datasets.longley().certified_text["params"][0] == "-3482258.63459582"
    assert datasets.longley().certified["sigma"] == 304.854073561965
    assert datasets.longley().columns["x6"].tolist() == list(range(1947, 1963))
    assert datasets.wampler1().certified["f"] == np.inf
    assert datasets.noint1().formula == "y ~ x - 1"
    assert datasets.pontius().formula == "y ~ x + I(x**2)"
    assert "employment" in datasets.longley().description
