import pickle

import array_api_strict
import numpy as np
import pytest

import mlreg as ml
from mlreg.likelihood.blocks import ArraySource
from mlreg.likelihood.wrapped import SelectedSource
from mlreg.verify import laws

X = np.arange(12.0).reshape(6, 2) ** 2
Y = np.array([3.0, 1.0, 4.0, 1.5, 5.0, 9.0])


def collect(source, **kwargs):
    blocks = list(source.blocks(**kwargs))
    return np.concatenate([np.column_stack([b.X, b.y]) for b in blocks]), [len(b.y) for b in blocks]


@pytest.mark.parametrize("size", [1, 4, 6, 100])
def test_blocks_hold_the_rows_in_order(size):
    rows, sizes = collect(ArraySource(X, Y, intercept=True), size=size)
    assert np.array_equal(rows, np.column_stack([np.ones(6), X, Y]))
    assert sizes == [min(size, 6 - start) for start in range(0, 6, size)]


@pytest.mark.parametrize("size", [1, 4, 6])
@pytest.mark.parametrize("rows", [None, [5, 0, 3, 2]])
def test_an_epoch_covers_each_row_once(size, rows):
    laws.epoch_covers_each_row_once(ArraySource(X, Y, rows=rows), size, seed=7)


def test_shuffling_is_random_and_replays():
    source = ArraySource(X, Y)
    orders = {
        tuple(collect(source, size=2, rng=np.random.default_rng(s))[0][:, -1]) for s in range(50)
    }
    assert len(orders) > 30
    again = [collect(source, size=2, rng=np.random.default_rng(3))[0] for _ in range(2)]
    assert np.array_equal(*again)


def test_sampling_draws_with_replacement_and_uniformly():
    source = ArraySource(X, Y, rows=[1, 2, 4])
    drawn = source.sample(30_000, np.random.default_rng(5)).y
    values, counts = np.unique(drawn, return_counts=True)
    assert set(values) == {1.0, 4.0, 5.0}
    for count in counts:
        laws.covers(int(count), 30_000, 1 / 3)


@pytest.mark.parametrize(
    "X_", [
        X.astype(np.float32), X.astype(np.int8), X.astype(np.int64), X > 3, np.asfortranarray(X),
        np.repeat(X, 2, axis=0)[::2], X.astype(">f8"), array_api_strict.asarray(X),
    ],
)  # fmt: skip
def test_every_kind_of_array_becomes_float64_block_by_block(X_):
    y = array_api_strict.asarray(Y) if not isinstance(X_, np.ndarray) else Y
    block = next(iter(ArraySource(X_, y).blocks()))
    assert np.asarray(block.X).dtype == np.float64
    assert np.array_equal(np.asarray(block.X), np.asarray(X_).astype(np.float64))


def test_inputs_are_not_copied_and_not_changed():
    frozen, y = X.copy(), Y.copy()
    frozen.flags.writeable = y.flags.writeable = False
    source = ArraySource(frozen, y)
    assert next(iter(source.blocks())).X.base is frozen
    ml.Exact().minimize(ml.LinearLikelihood.from_source(source))
    assert np.array_equal(frozen, X)


def test_rows_of_zero_weight_are_left_out():
    w = np.array([1.0, 0, 2, 0, 1, 3])
    source = ArraySource(X, Y, frequency=w)
    assert source.n_rows == 7
    assert collect(source)[0][:, -1].tolist() == [3.0, 4.0, 5.0, 9.0]
    both = ArraySource(X, Y, frequency=w, precision=np.array([1.0, 1, 0, 1, 1, 1]))
    assert both.n_rows == 5
    assert collect(both)[0][:, -1].tolist() == [3.0, 5.0, 9.0]


BAD = np.where(X == X[2, 1], np.nan, X)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"X": X[:, 0]}, "X must have two dimensions"),
        ({"y": Y[:5]}, r"y must be of shape \(6,\)"),
        ({"y": Y[:, None]}, r"y must be of shape \(6,\)"),
        ({"names": ["a"]}, "1 names for the 2 columns"),
        ({"names": ["a", "a"]}, "two columns have the same name: 'a'"),
        ({"names": ["Intercept", "b"], "intercept": True}, "same name: 'Intercept'"),
        ({"X": BAD}, "NaN or infinity in 'x2' in 1 rows, first at row 2"),
        ({"X": BAD, "rows": [5, 4, 2]}, "'x2' in 1 rows, first at row 2"),
        ({"y": np.where(Y > 3, np.inf, Y)}, "'y' in 3 rows, first at row 2"),
        ({"X": np.zeros((6, 0))}, "the design has no columns"),
        ({"X": X[:0], "y": Y[:0]}, "there are no rows"),
        ({"frequency": Y - 2}, "frequency_weights must be finite and not negative, whole numbers"),
        ({"frequency": Y}, "1 are not, first 1.5 at row 3"),
        ({"precision": np.where(Y > 3, -1.0, Y)}, "3 are not, first -1 at row 2"),
        ({"precision": np.full(6, np.nan)}, "precision_weights must be finite"),
        ({"precision": np.zeros(6)}, "all precision_weights are zero"),
        ({"frequency": np.array([1, 0, 0, 0, 0, 0]), "precision": 1.0 - np.eye(6)[0]}, "no rows"),
        ({"precision": np.ones(5)}, r"precision_weights must be of shape \(6,\)"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_by_name(kwargs, message):
    with pytest.raises(ml.InvalidInput, match=message):
        ArraySource(**{"X": X, "y": Y, **kwargs})


def test_large_finite_numbers_are_not_mistaken_for_infinities():
    big = np.full((4, 1), 1e308)
    assert ArraySource(big, np.full(4, -1e308)).n_rows == 4


def test_selected_columns():
    source = SelectedSource(ArraySource(X, Y, intercept=True), [0, 2])
    assert source.names == ("Intercept", "x2")
    assert np.array_equal(collect(source)[0], np.column_stack([np.ones(6), X[:, 1], Y]))
    assert source.sample(3, np.random.default_rng(0)).X.shape == (3, 2)


def test_a_source_pickles():
    source = pickle.loads(pickle.dumps(ArraySource(X, Y, intercept=True)))
    assert np.array_equal(collect(source)[0], np.column_stack([np.ones(6), X, Y]))


def test_values_are_looked_at_while_they_are_read():
    """With check=False NaN is found by the first pass, each time, also after one that was cut."""
    n = 3000
    x = np.arange(2.0 * n).reshape(n, 2)
    x[n - 2, 1] = np.nan
    for X in (x, np.asfortranarray(x), np.column_stack([x, x])[:, 1::2], x.astype(np.float32)):
        source = ArraySource(X, np.ones(n), intercept=True, check=False)
        next(iter(source.blocks(size=50)))  # interrupted
        for _ in range(2):
            with pytest.raises(ml.InvalidInput, match=f"first at row {n - 2}"):
                list(source.blocks(size=50))
            with pytest.raises(ml.InvalidInput, match=f"first at row {n - 2}"):
                source.sample(3, np.random.default_rng(0))
    good = ArraySource(np.full((n, 2), 1e300), np.ones(n), check=False)  # only squares overflow
    assert sum(len(b.y) for b in good.blocks(size=50)) == n
    assert len(good.sample(3, np.random.default_rng(0)).y) == 3
