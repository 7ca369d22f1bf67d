"""Hypotheses in words: names that look like something else, and text that is none."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mlreg as ml
from mlreg.inference.equations import hypotheses

ODD = ("Intercept", "x", "x.1", "x 2", "1", "2nd", "2*x", "", "x=1", "é", "C(g, 'a,b')[T.=]")


@given(st.lists(st.sampled_from(ODD), min_size=1), st.data())
def test_a_sum_of_any_names_in_backticks_is_read(names, data):
    factors = data.draw(st.lists(st.integers(-9, 9), min_size=len(names), max_size=len(names)))
    terms = [f"{'+-'[f < 0]} {abs(f)}*`{name}`" for f, name in zip(factors, names, strict=True)]
    want = [sum(f for f, n in zip(factors, names, strict=True) if n == name) for name in ODD]
    text = f"{' '.join(terms)} = -2.5"
    if not any(want):
        with pytest.raises(ml.InvalidInput, match="says nothing"):
            hypotheses(ODD, text)
        return
    L, c, _ = hypotheses(ODD, text)
    assert L.tolist() == [want]
    assert c.tolist() == [-2.5]


@pytest.mark.parametrize(
    ("text", "row", "right"),
    [
        ("`1` = 1", {"1": 1}, 1),
        ("x=1", {"x=1": 1}, 0),
        ("x = 1", {"x": 1}, 1),
        ("x.1", {"x.1": 1}, 0),
        ("x 2 = 3", {"x 2": 1}, 3),
        ("2nd - 1 = 0", {"2nd": 1}, 1),
        ("2*x", {"2*x": 1}, 0),
        ("2 * x", {"x": 2}, 0),
        ("`` = 1", {"": 1}, 1),
        ("-é", {"é": -1}, 0),
        ("C(g, 'a,b')[T.=] = 2", {"C(g, 'a,b')[T.=]": 1}, 2),
    ],
)
def test_the_longest_name_counts_but_a_number_is_a_number(text, row, right):
    L, c, _ = hypotheses(ODD, text)
    assert L.tolist() == [[row.get(name, 0) for name in ODD]]
    assert c.tolist() == [right]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0 x", "no linear hypothesis"),
        ("x - x é = 0", "no linear hypothesis"),
        ("2x", "no linear hypothesis"),
        ("1 = 0", "says nothing about a coefficient"),
        ("1e999*x", "1e999 in .* too large or small"),
        ("x = 1e999", "too large or small"),
        ("x + 1e-400*é", "too large or small"),
        ("x/1e-400", "too large or small"),
        ("*".join(["1e150"] * 3) + "*x", "no linear hypothesis"),
        ("٣*x", "is no coefficient"),
        ("x²", "is no coefficient"),
        ("x = 1 = 2", "says nothing"),
    ],
)
def test_nothing_is_read_as_what_it_is_not(text, message):
    with pytest.raises(ml.InvalidInput, match=message):
        hypotheses(ODD, text)


@given(st.text(max_size=12) | st.text(alphabet="x12nd.e=,`+-*/ '()", max_size=14))
def test_any_text_is_read_or_refused(text):
    try:
        L, c, said = hypotheses(ODD, text)
    except ml.InvalidInput:
        return
    assert L.any(axis=1).all()
    assert np.isfinite(L).all()
    assert np.isfinite(c).all()
    assert len(said) == len(L) == len(c)


@pytest.mark.parametrize(
    "what", [["x1", 3], {"x1": 0}, [["a"]], b"x1", [[1], [1, 2]], np.array([[1j, 0, 0]]), {"x1"}]
)
def test_what_is_neither_words_nor_numbers_is_refused(what):
    rng = np.random.default_rng(0)
    fit = ml.fit(rng.standard_normal((20, 2)), rng.standard_normal(20))
    for call in (fit.test, fit.contrasts):
        with pytest.raises(ml.InvalidType, match="hypotheses in words, or a matrix of numbers"):
            call(what)
    with pytest.raises(ml.InvalidType, match="a point, as numbers"):
        fit.confidence_region("x1").contains(["a"])
