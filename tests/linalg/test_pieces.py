"""Columns in several arrays are the same columns in one."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mlreg.linalg.fold import fold
from mlreg.linalg.pieces import Pieces


@st.composite
def pieces(draw):
    """Numbers, vectors and matrices of either order and any stride, and their columns as one."""
    m, rng = draw(st.integers(1, 70)), np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kinds = draw(st.lists(st.sampled_from(["number", "vector", "C", "F", "strided"]), max_size=4))
    parts = []
    for kind in kinds:
        wide = rng.standard_normal((2 * m, 2 * int(rng.integers(1, 9))))
        parts.append(
            {
                "number": float(wide[0, 0]),
                "vector": wide[:m, 0],
                "C": np.ascontiguousarray(wide[:m]),
                "F": np.asfortranarray(wide[:m]),
                "strided": wide[::2, ::-2],
            }[kind]
        )
    return [*parts, rng.standard_normal(m)]


def whole(parts):
    m = len(parts[-1])
    return np.column_stack([np.full(m, p) if isinstance(p, float) else p for p in parts])


@given(pieces())
def test_pieces_are_their_columns(parts):
    rows, array = Pieces(parts), whole(parts)
    assert (len(rows), rows.width) == array.shape
    assert (rows.array == array).all()
    assert all((array[:, j] == array[0, j]).all() for j in rows.constant)
    assert len(rows.constant) == sum(isinstance(p, float) for p in parts)
    same = (array[:, 0] == array[0, 0]).all()
    assert isinstance(rows.first, float) == same
    assert np.all(rows.first == array[:, 0])


@given(pieces(), st.sampled_from("CF"))
def test_a_row_is_subtracted_from_each(parts, order):
    rows, array = Pieces(parts), whole(parts)
    row = np.arange(1.0, rows.width + 1)
    out = np.full(array.shape, np.nan, order=order)
    rows.minus(row, out)
    assert (out == array - row).all()


def test_a_fold_of_pieces_is_that_of_the_array():
    rng = np.random.default_rng(0)
    X, y = 5 + rng.standard_normal((3000, 4)), rng.standard_normal(3000)
    array = np.column_stack([np.ones(3000), X, y])
    for parts in ([1.0, X, y], [1.0, np.asfortranarray(X), y], [1.0, *X.T, y], [array]):
        cut = [
            Pieces([p if isinstance(p, float) else p[some] for p in parts])
            for some in (slice(0, 100), slice(100, 1500), slice(1500, 1500), slice(1500, 3000))
        ]
        found, want = fold(cut, 6), fold([array], 6)
        R, S = (np.ldexp(t.R, t.exponent) for t in (found, want))
        slack = 2 * (found.epsilon + want.epsilon) * np.linalg.norm(S, axis=0)
        assert (np.abs(R - S) <= 100 * slack).all()  # the condition of these columns is below 100
        assert found.n_rows == 3000
