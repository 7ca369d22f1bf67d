"""Averages, implicit steps, checkpoints, reads of the data, warnings: all but the predictions."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mlreg as ml
from mlreg.likelihood.blocks import ArraySource, Block
from mlreg.optimizers import descent as loops
from mlreg.optimizers.descent import Descent
from mlreg.optimizers.stability import steepest

S = ml.schedules


def iterates(X, y, rates, size, update="explicit"):
    """All iterates of one pass in order from zero, by formula (4.2), or by solving for (13.2)."""
    params, way = np.zeros(X.shape[1]), []
    for t, start in enumerate(range(0, len(y), size)):
        x, r = X[start : start + size], y[start : start + size] - X[start : start + size] @ params
        if update == "explicit":
            params = params + rates[t] / size * r @ x
        else:  # β = β₀ + (η/|𝓑|) x'(y − xβ)
            A = np.eye(X.shape[1]) + rates[t] / size * x.T @ x
            params = params + np.linalg.solve(A, rates[t] / size * x.T @ r)
        way.append(params)
    return np.array(way)


@pytest.mark.parametrize("update", ["explicit", "implicit"])
@pytest.mark.parametrize("average", ["none", "all", "tail"])
@pytest.mark.parametrize("size", [1, 7, 50])
def test_iterates_and_their_averages_are_the_formulas(update, average, size):
    rng = np.random.default_rng(2)
    X = rng.standard_normal((50, 3))
    y = X.sum(axis=1) + rng.standard_normal(50)
    sgd = ml.SGD(
        0.1, batch_size=size, epochs=5, sampling="in-order", update=update, average=average
    )
    way, steps = [np.zeros(3)], -(-50 // size)
    for _ in range(5):
        start = way[-1]
        way += list(start + iterates(X, y - X @ start, np.full(steps, 0.1), size, update))
    first = {"none": -1, "all": 1, "tail": 1 + 2 * steps}[average]  # the third epoch of five
    found = ml.fit(X, y, intercept=False, optimizer=sgd)
    # each step rounds by a few u of the terms it sums; the steps contract, so errors do not grow
    assert np.abs(found.params - np.mean(way[first:], axis=0)).max() <= 1e-12


def test_an_implicit_descent_is_stable_at_any_rate_and_never_warned_of(textbook):
    X, y = textbook
    for rate in (1e2, 1e6, 1e12):
        sgd = ml.SGD(rate, batch_size=4, epochs=3, update="implicit")
        fit = ml.fit(X, y, optimizer=sgd)
        assert fit.status.code == "stopped"
        assert np.abs(fit.params - [4.2, 2, -3.4]).max() < 1  # it fits the last rows, of noise 0.01


def test_averages_of_one_pass_forget_less_than_the_tail():
    """The average over all keeps 1/(ηλT) of its start, Eq. (13.3), the tail nearly nothing."""
    X = np.ones((64, 1))
    y = np.tile([1.0, -1.0], 32)
    fits = {
        average: ml.fit(
            X, y, intercept=False, start=[100.0],
            optimizer=ml.SGD(0.125, batch_size=2, epochs=8, sampling="in-order", average=average),
        ).params[0]
        for average in ("all", "tail", "none")
    }  # fmt: skip
    q, T = 1 - 0.125, 8 * 32
    assert abs(fits["all"] - 100 * q * (1 - q**T) / (T * (1 - q))) <= 1e-11
    assert abs(fits["tail"]) <= 100 * q**128 * 1.01
    assert abs(fits["none"]) <= 100 * q**256 * 1.01


# Checkpoints


def problem(noise=None, n=200):
    rng = np.random.default_rng(3)
    X = rng.standard_normal((n, 3))
    return X, 1 + X @ [1.0, -2, 3] + (noise or ml.Gaussian()).sample(n, rng)


CONFIGS = [
    ml.SGD(0.05, batch_size=16),
    ml.SGD(0.05, batch_size=16, sampling="replacement", average="all"),
    ml.SGD(S.InverseTime(0.1, 0.5), batch_size=7, average="all", seed=4),
    ml.SGD(S.Exponential(0.1, 0.01, unit="step"), batch_size=16, sampling="in-order"),
    ml.SGD(0.5, batch_size=16, update="implicit"),
    ml.SGD(0.1, batch_size="full", average="all"),
    ml.SGD(0.05, batch_size=16, kernel="numba"),
]


@pytest.mark.parametrize("noise", [ml.Gaussian(), ml.Huber(), ml.Laplace()], ids=repr)
@pytest.mark.parametrize("sgd", CONFIGS, ids=repr)
def test_three_epochs_and_four_more_are_seven_bit_for_bit(tmp_path, sgd, noise):
    X, y = problem(noise)
    if sgd.update == "implicit" and type(noise) is not ml.Gaussian:
        sgd = replace(sgd, batch_size=1, learning_rate=0.05)
    whole = ml.fit(X, y, noise=noise, optimizer=replace(sgd, epochs=7))
    file = tmp_path / "state.json"
    part = ml.fit(X, y, noise=noise, optimizer=replace(sgd, epochs=3, checkpoint=file))
    rest = ml.fit(X, y, noise=noise, optimizer=replace(sgd, epochs=7, checkpoint=str(file)))
    assert (part.params != whole.params).any()
    assert (rest.params == whole.params).all()
    assert (rest.history.mean_nll == whole.history.mean_nll).all()
    assert (rest.history.distance == whole.history.distance).all()
    assert rest.status == whole.status
    assert [path.name for path in tmp_path.iterdir()] == ["state.json"]
    again = ml.fit(X, y, noise=noise, optimizer=replace(sgd, epochs=7, checkpoint=file))
    assert (again.params == whole.params).all()  # nothing left to do


@pytest.mark.parametrize("average", ["none", "tail"])
def test_an_interruption_loses_no_epoch_that_was_done(tmp_path, monkeypatch, average):
    X, y = problem()
    sgd = ml.SGD(0.05, batch_size=16, epochs=7, average=average, checkpoint=tmp_path / "state")
    whole = ml.fit(X, y, optimizer=replace(sgd, checkpoint=None))
    calls = []

    def interrupted(walk, *args):
        calls.append(1)
        step(walk, *args)
        if len(calls) == 5:  # in the middle of the fifth epoch, after some of its steps
            raise KeyboardInterrupt

    step = loops.descend
    monkeypatch.setattr(loops, "descend", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ml.fit(X, y, optimizer=sgd)
    assert json.loads((tmp_path / "state").read_text())["state"]["epoch"] == 4
    rest = ml.fit(X, y, optimizer=sgd)
    assert len(calls) == 5 + 3
    assert (rest.params == whole.params).all()
    assert (rest.history.distance == whole.history.distance).all()


def test_a_checkpoint_of_something_else_is_refused(tmp_path):
    X, y = problem()
    file = tmp_path / "state"
    sgd = ml.SGD(0.05, batch_size=16, epochs=3, checkpoint=file)
    ml.fit(X, y, optimizer=sgd)
    swapped = X[:, [1, 0, 2]]
    mixed = np.column_stack([X[::-1, 0], X[:, 1:]])  # the same columns, paired otherwise
    others = [
        (X, y, replace(sgd, learning_rate=0.06), "learning_rate was"),
        (X, y, replace(sgd, batch_size=8), "batch_size was 16 and is 8"),
        (X, y, replace(sgd, seed=1), "seed was 0 and is 1"),
        (X, y, replace(sgd, update="implicit"), "update was"),
        (X, y, replace(sgd, average="all"), "average was"),
        (X, y, replace(sgd, kernel="numba"), "kernel='numpy'"),
        (X, y, replace(sgd, epochs=2), "has gone 3 epochs"),
        (X[:199], y[:199], sgd, "another data set: lengths|another data set: rows"),
        (X, -y, sgd, "another data set: lengths of three mixtures"),
        (swapped, y, sgd, "another data set"),
        (mixed, y, sgd, "another data set"),
    ]
    for A, b, other, message in others:
        with pytest.raises(ml.InvalidInput, match=message):
            ml.fit(A, b, optimizer=other)
    with pytest.raises(ml.InvalidInput, match="start was"):
        ml.fit(X, y, optimizer=sgd, start=np.ones(4))
    with pytest.raises(ml.InvalidInput, match="noise was"):
        ml.fit(X, y, optimizer=sgd, noise=ml.Huber())
    for text in ("{}", "nonsense", '{"format": "mlreg.Fit", "version": 1}'):
        file.write_text(text)
        with pytest.raises(ml.InvalidInput):
            ml.fit(X, y, optimizer=sgd)
    with pytest.raises(ml.InvalidInput, match="does not exist"):
        ml.fit(X, y, optimizer=replace(sgd, checkpoint=tmp_path / "no" / "state"))


def test_a_tail_begins_where_it_was_said_to(tmp_path):
    X, y = problem()
    sgd = ml.SGD(0.05, batch_size=16, epochs=4, average="tail", checkpoint=tmp_path / "state")
    ml.fit(X, y, optimizer=sgd)
    with pytest.raises(ml.InvalidInput, match="epochs was 4 and is 6"):
        ml.fit(X, y, optimizer=replace(sgd, epochs=6))


def test_a_descent_goes_on_with_the_loop_that_it_began_with(tmp_path):
    """By itself a longer descent takes the compiled loop, whose rounding is another."""
    X, y = problem()
    file = tmp_path / "state"
    began = ml.SGD(0.05, batch_size=16, epochs=2, kernel="numba", checkpoint=file)
    ml.fit(X, y, optimizer=began)
    rest = ml.fit(X, y, optimizer=replace(began, epochs=5, kernel="auto"))
    whole = ml.fit(X, y, optimizer=replace(began, epochs=5, checkpoint=None))
    assert (rest.params == whole.params).all()


# Reads


@pytest.mark.parametrize("noise", [ml.Gaussian(), ml.Huber(), ml.Laplace()], ids=repr)
@pytest.mark.parametrize("sampling", ["reshuffle", "replacement", "in-order"])
def test_an_epoch_is_one_read(noise, sampling):
    X, y = problem(noise)
    likelihood = ml.LinearLikelihood(X, y, noise=noise)
    _ = likelihood.triangle
    before = likelihood.reads
    descent = Descent(ml.SGD(0.05, epochs=9, sampling=sampling), likelihood, np.zeros(3))
    descent.run()
    few = 0 if likelihood.exact else 1  # rows for sigma
    assert likelihood.reads - before == 9 + few


def test_reads_are_all_that_was_read():
    class Counting:
        """A source that counts the blocks that are taken from it."""

        names, n_rows, rereadable = ("x1", "x2", "x3"), 200, True

        def __init__(self, X, y):
            self.inner, self.rows = ArraySource(X, y), 0

        def blocks(self, size=None, rng=None):
            for block in self.inner.blocks(size, rng):
                self.rows += len(block.y)
                yield block

    for noise in (ml.Gaussian(), ml.Logistic(), ml.Laplace()):
        source = Counting(*problem(noise))
        fit = ml.fit(source, noise=noise, optimizer=ml.SGD(0.05, epochs=6))
        assert fit.reads == source.rows / 200
    big = np.random.default_rng(0).standard_normal((20_000, 6))  # not refined: n·p above 10⁵
    fit = ml.fit(big, big.sum(axis=1) + big[:, 0] ** 2, optimizer=ml.SGD(0.01, epochs=5))
    assert fit.reads == 5 + 1


def once(X, y, frequency=None, n_rows=None):
    """A source whose rows can be read a single time."""

    class Stream:
        names, rereadable = tuple(f"x{j}" for j in range(X.shape[1])), False

        def __init__(self):
            self.n_rows, self.left = n_rows, 1

        def blocks(self, size=None, rng=None):
            assert self.left, "read twice"
            self.left = 0
            for i in range(0, len(y), size or len(y)):
                rows = slice(i, i + (size or len(y)))
                yield Block(X[rows], y[rows], None if frequency is None else frequency[rows])

    return Stream()


def test_rows_that_are_read_once_are_descended_in_that_read():
    X, y = problem()
    sgd = ml.SGD(0.05, batch_size=16, epochs=1, sampling="in-order", average="all")
    held = ml.fit(X, y, intercept=False, optimizer=sgd)
    for frequency in (None, np.full(200, 4.0)):
        source = once(X, y, frequency)
        found = sgd.minimize(ml.LinearLikelihood.from_source(source))
        assert found.theta[:-1] == pytest.approx(held.params, rel=1e-12)  # chunks round
        assert found.reads == 1
    falling = S.InverseTime(0.1, 5.0)
    known = replace(sgd, learning_rate=falling)
    refusals = [
        (known, "counts epochs"),
        (replace(sgd, epochs=2), "read only once"),
        (replace(sgd, batch_size="full"), "read only once"),
        (replace(sgd, sampling="replacement"), "read only once"),
        (replace(sgd, batch_size=201), "batch_size=201 is more than the 200 rows"),
    ]
    for config, message in refusals:
        with pytest.raises(ml.InvalidInput, match=message):
            config.minimize(ml.LinearLikelihood.from_source(once(X, y)))
    with pytest.raises(ml.InvalidInput, match="sigma is found by further passes"):
        sgd.minimize(ml.LinearLikelihood.from_source(once(X, y), ml.Huber()))


# The warning before the run


@pytest.mark.parametrize("p", [1, 10, 100])
def test_the_textbooks_rate_on_standardised_columns_is_not_warned_of(p):
    rng = np.random.default_rng(0)
    X = np.exp(rng.standard_normal((1000, p)))  # long rows, too
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    ml.fit(X, X.sum(axis=1) + rng.standard_normal(1000), optimizer=ml.SGD(0.03, epochs=1))


@pytest.mark.parametrize("noise", [ml.Gaussian(), ml.Logistic()], ids=repr)
@pytest.mark.parametrize("sampling", ["reshuffle", "replacement", "in-order"])
@pytest.mark.parametrize("size", [1, 16, "full"])
def test_a_rate_that_cannot_be_sure_is_warned_of_before_the_first_step(noise, sampling, size):
    X, y = problem(noise)
    likelihood = ml.LinearLikelihood(X, y, noise=noise)
    known = ["replacement", "in-order"] if sampling == "reshuffle" else [sampling]
    bound = max(ml.stable_learning_rate(likelihood, batch_size=size, sampling=s) for s in known)
    bound /= steepest(noise)
    assert likelihood.reads == 1  # the triangle and the longest rows together
    sgd = ml.SGD(1.01 * bound, batch_size=size, sampling=sampling, epochs=1)
    with pytest.warns(ml.NumericalWarning, match="may be too large for this data: up to"):
        sgd.minimize(likelihood)
    falling = replace(sgd, learning_rate=S.Exponential(1.01 * bound, 5.0))  # the largest counts
    with pytest.warns(ml.NumericalWarning, match="may be too large"):
        falling.minimize(likelihood)
    replace(sgd, learning_rate=0.99 * bound).minimize(likelihood)
    if size != "full" and isinstance(noise, ml.Gaussian):
        replace(sgd, update="implicit").minimize(likelihood)


@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 3, 8, "full"]), st.booleans())
def test_the_rate_that_is_said_to_be_stable_is_never_warned_of(seed, size, weighted):
    rng = np.random.default_rng(seed)
    n, p = int(rng.integers(8, 30)), int(rng.integers(1, 5))
    X = rng.standard_normal((n, p)) * np.exp(rng.standard_normal((n, 1)) * rng.integers(0, 3))
    frequency = rng.integers(1, 9, n) * 1.0 if weighted else None
    source = ArraySource(X, X @ np.ones(p) + rng.standard_normal(n), frequency=frequency)
    likelihood = ml.LinearLikelihood.from_source(source)
    for sampling in ("reshuffle", "replacement", "in-order"):
        bound = ml.stable_learning_rate(likelihood, batch_size=size, sampling=sampling)
        ml.SGD(bound, batch_size=size, sampling=sampling, epochs=1).minimize(likelihood)


# Hostile inputs


@pytest.mark.parametrize("sampling", ["reshuffle", "replacement", "in-order"])
@pytest.mark.parametrize("kernel", ["numpy", "numba"])
def test_layout_and_precision_of_the_input_do_not_matter(sampling, kernel):
    X, y = problem()
    X, y = X.astype(np.float32), y.astype(np.float32)
    sgd = ml.SGD(0.05, batch_size=7, epochs=2, sampling=sampling, kernel=kernel, average="all")
    plain = ml.fit(X.astype(float), y.astype(float), optimizer=sgd)
    before = X.copy()
    for A, b in ((X, y), (np.asfortranarray(X), y[:, None]), (X[::-1][::-1], y[::-1][::-1])):
        # another layout may sum in another order: a few u of each term, in 58 contracting steps
        assert np.abs(ml.fit(A, b, optimizer=sgd).params - plain.params).max() <= 1e-13
    assert (X == before).all()


@pytest.mark.parametrize("average", ["none", "all", "tail"])
@pytest.mark.parametrize("sampling", ["reshuffle", "replacement", "in-order"])
def test_small_samples(average, sampling):
    X, y = np.arange(4.0)[:, None], np.array([1.0, 3, 2, 5])
    for size, epochs in ((1, 1), (3, 2), (4, 1), ("full", 3)):
        sgd = ml.SGD(0.05, batch_size=size, epochs=epochs, sampling=sampling, average=average)
        fit = ml.fit(X, y, optimizer=sgd)
        assert fit.status.code == "stopped"
        assert len(fit.history.distance) == epochs + 1
        with pytest.raises(ml.InvalidInput, match="batch_size=5 is more than the 4 rows"):
            ml.fit(X, y, optimizer=replace(sgd, batch_size=5))
        saturated = ml.fit(X[:2], y[:2], optimizer=replace(sgd, batch_size=1))
        assert saturated.status.code == "stopped"
        assert "fit perfectly" in saturated.status.message
    with pytest.raises(ml.RankDeficient, match="x1"):
        ml.fit(np.ones((4, 1)), y, optimizer=ml.SGD(0.05, batch_size=2))


def test_the_frequency_of_a_row_is_its_weight_in_the_mean_loss():
    X, y = problem(n=60)
    k = np.random.default_rng(1).integers(0, 4, 60)
    repeated = ml.fit(
        np.repeat(X, k, axis=0), np.repeat(y, k), optimizer=ml.SGD(0.4, batch_size="full")
    )
    weighted = ml.fit(X, y, frequency_weights=k, optimizer=ml.SGD(0.4, batch_size="full"))
    assert np.abs(repeated.params - weighted.params).max() <= 1e-13
    assert weighted.history.distance == pytest.approx(repeated.history.distance, rel=1e-11)
