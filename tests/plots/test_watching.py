import numpy as np
import pytest

import mlreg as ml
from mlreg.plots import textbook_runs, watch


def data(n=200, noise=0.5, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 2))
    return X, X @ [2, -3.4] + 4.2 + noise * rng.normal(size=n)


@pytest.mark.parametrize(
    "optimizer",
    [
        ml.SGD(0.05, batch_size=1, epochs=2),
        ml.SGD(0.05, batch_size=7, epochs=3, seed=5),
        ml.SGD(0.05, batch_size=7, epochs=3, sampling="replacement"),
        ml.SGD(0.05, batch_size=32, epochs=4, average="tail"),
        ml.SGD(0.05, batch_size=32, epochs=2, sampling="in-order", update="implicit"),
        ml.SGD(0.5, batch_size="full", epochs=4),
        ml.SGD(ml.schedules.InverseTime(0.1, 1.0), batch_size=10, epochs=1),
    ],
    ids=repr,
)
def test_a_watched_descent_is_the_descent_of_fit_to_the_last_bit(optimizer):
    X, y = data()
    fit = ml.fit(X, y, optimizer=optimizer)
    run = watch(optimizer, X, y)
    at = np.flatnonzero(np.isin(run.passes, np.arange(optimizer.epochs + 1)))
    assert len(at) == optimizer.epochs + 1
    for name in ("params", "distance", "mean_nll"):
        assert np.array_equal(getattr(run.history, name)[at], getattr(fit.history, name)), name
    assert run.names == fit.names
    assert (np.diff(run.passes) > 0).all()
    assert (np.diff(run.seconds) >= 0).all()
    assert run.seconds[0] == 0


def test_it_looks_as_often_as_it_is_asked_to():
    X, y = data(1000)
    sgd = ml.SGD(0.01, batch_size=1, epochs=2)
    assert len(watch(sgd, X, y, points=50).passes) == 101
    assert len(watch(sgd, X, y, points=10**6).passes) == 2001
    assert len(watch(ml.SGD(0.01, batch_size="full"), X, y, points=50).passes) == 4


def test_a_watched_descent_that_diverges_ends_where_its_loss_is_finite():
    X, y = data()
    run = watch(ml.SGD(9.0, batch_size=1, epochs=5), X, y)
    assert run.passes[-1] < 5
    assert len(run.passes) == len(run.seconds) == len(run.history.params)
    for values in (run.history.mean_nll, run.history.distance, run.history.params):
        assert np.isfinite(values).all()
    assert run.history.distance[-1] > 1e10 * run.history.distance[0]


def test_checkpoints_are_neither_read_nor_written(tmp_path):
    X, y = data()
    path = tmp_path / "state.json"
    ml.fit(X, y, optimizer=ml.SGD(0.05, epochs=2, checkpoint=path))
    before = path.read_bytes()
    run = watch(ml.SGD(0.05, epochs=3, checkpoint=path), X, y)
    assert run.passes[-1] == 3
    assert np.array_equal(run.history.params[0], np.zeros(3))
    assert path.read_bytes() == before


def test_plateaus_are_those_of_predicted_plateau_and_only_where_there_is_one():
    X, y = data()
    likelihood = ml.LinearLikelihood(np.column_stack([np.ones(200), X]), y)
    sgd = ml.SGD(0.05, batch_size=10, epochs=3)
    assert watch(sgd, X, y).plateau == ml.predicted_plateau(likelihood, 0.05, batch_size=10)
    tail = watch(ml.SGD(0.05, batch_size=10, epochs=3, average="tail"), X, y)
    expected = ml.predicted_plateau(likelihood, 0.05, batch_size=10, average_over=2)
    assert tail.plateau == expected
    for other in (
        ml.SGD(0.05, batch_size="full"),
        ml.SGD(0.05, sampling="in-order"),
        ml.SGD(0.05, average="all"),
        ml.SGD(0.05, update="implicit"),
        ml.SGD(ml.schedules.InverseTime(0.1, 1.0)),
    ):
        assert watch(other, X, y).plateau is None, other


def test_the_textbooks_descents_have_half_the_rate_that_is_safe():
    X, y = data(300)
    runs = textbook_runs(X, y, passes=3, seed=2, start=[1, 1, 1])
    likelihood = ml.LinearLikelihood(np.column_stack([np.ones(300), X]), y)
    assert [r.optimizer.batch_size for r in runs] == ["full", 1, 10, 100]
    for run in runs:
        size = run.optimizer.batch_size
        kind = "reshuffle" if size == "full" else "replacement"
        safe = ml.stable_learning_rate(likelihood, batch_size=size, sampling=kind)
        assert run.optimizer.learning_rate == safe / 2
        assert (run.optimizer.epochs, run.optimizer.seed) == (3, 2)
        assert run.passes[-1] == 3
        assert run.history.params[0].tolist() == [1, 1, 1]
        assert run.history.distance[-1] < 0.5 * run.history.distance[0]
    few = textbook_runs(X[:8], y[:8], passes=1)
    assert [r.optimizer.batch_size for r in few] == ["full", 1]


def test_what_cannot_be_watched_is_refused():
    X, y = data()
    with pytest.raises(ml.MlregError, match="watch runs SGD"):
        watch(ml.Exact(), X, y)
    with pytest.raises(ml.InvalidInput, match="points must be"):
        watch(ml.SGD(0.1), X, y, points=0)
    with pytest.raises(ml.InvalidInput, match="start must be 3 finite numbers"):
        watch(ml.SGD(0.1), X, y, start=[0, 0])
    with pytest.raises(ml.InvalidInput, match="more than the 200 rows"):
        watch(ml.SGD(0.1, batch_size=201), X, y)
    with pytest.raises(ml.RankDeficient):
        watch(ml.SGD(0.1), X[:, [0, 0]], y)
