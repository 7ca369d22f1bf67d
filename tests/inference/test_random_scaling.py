"""Random scaling: its law against published quantiles, its intervals against simulation."""

import numpy as np
import pytest

import mlreg as ml
from mlreg.inference.random_scaling import critical_value, upper_tail
from mlreg.optimizers.path import Path


@pytest.mark.parametrize(
    ("level", "value"), [(0.8, 3.875), (0.9, 5.323), (0.95, 6.747), (0.98, 8.613)]
)
def test_quantiles_are_the_published_ones(level, value):
    """Abadir and Paruolo, Econometrica 65 (1997), Table 1."""
    assert round(critical_value(level), 3) == value
    assert upper_tail(critical_value(level)) == pytest.approx((1 - level) / 2, abs=1e-11)
    assert upper_tail(0.0) == 0.5
    for bad in (0.0, 1.0, -1.0, np.nan):
        with pytest.raises(ml.InvalidInput, match="level must be between 0 and 1"):
            critical_value(bad)


def test_the_sums_are_the_definition():
    rng = np.random.default_rng(0)
    iterates = rng.standard_normal((400, 2)) + np.array([5.0, -3.0])
    path_ = Path.begin(np.array([5.0, -3.0]))
    total = np.cumsum(iterates, axis=0)
    for s in range(1, 401):
        path_.add(s, total[s - 1])
    means = total / np.arange(1, 401)[:, None]
    s = np.arange(1, 401)[:, None]
    V = np.sum((s * (means - means[-1])) ** 2, axis=0) / 400**2 / 400
    assert path_.std_errors == pytest.approx(np.sqrt(V), rel=1e-12)


def data(seed, n=4000, spread=False):
    rng = np.random.default_rng([5, seed])
    X = rng.standard_normal((n, 2))
    noise = rng.standard_normal(n) * (np.exp(0.5 * X[:, 0]) if spread else 1.0)
    return X, X @ [1.0, -2.0] + 3 + noise


ONE_PASS = ml.SGD(0.05, epochs=1, batch_size=8, average="all")


def test_it_is_of_one_pass_alone_and_survives_a_file(tmp_path):
    X, y = data(0)
    fit = ml.fit(X, y, optimizer=ONE_PASS, start=[3, 1, -2])
    limits = fit.random_scaling_interval()
    assert limits.mean(axis=1) == pytest.approx(fit.params, rel=1e-9)
    assert (np.diff(fit.random_scaling_interval(0.5)) < np.diff(limits)).all()
    fit.save(tmp_path / "fit.json")
    again = ml.load(tmp_path / "fit.json")
    assert (again.random_scaling_interval() == limits).all()
    for other in (ml.Exact(), ml.SGD(0.05, epochs=2, average="all"), ml.SGD(0.05, epochs=1)):
        with pytest.raises(ml.InvalidInput, match="After several passes a path shows"):
            ml.fit(X, y, optimizer=other).random_scaling_interval()
    short = ml.SGD(0.05, epochs=1, batch_size=64, average="all")
    with pytest.raises(ml.InvalidInput, match="too few for its limit law"):
        ml.fit(X, y, optimizer=short).random_scaling_interval()


@pytest.mark.slow
@pytest.mark.parametrize("spread", [False, True])
def test_coverage_is_near_its_level(spread):
    """Asymptotic: of 1000 intervals at 95 %, 90 to 97 % may cover.

    Its standard error is 0.7 %, so that intervals that cover 94 % fail once in 10⁶ tests, and such
    as are shorter by a quarter (which cover 88 %) in 97 %.
    """
    hits = 0
    for seed in range(1000):
        X, y = data(seed, spread=spread)
        fit = ml.fit(X, y, optimizer=ONE_PASS, start=[3, 1, -2])
        low, high = fit.random_scaling_interval()[1]
        hits += low <= 1.0 <= high
    assert 900 <= hits <= 970


@pytest.mark.slow
@pytest.mark.parametrize("spread", [False, True])
def test_plug_in_and_sandwich_of_an_averaged_descent(spread):
    """The average of a tail is the MLE to a tenth: its intervals cover as the MLE's do.

    1000 intervals at 95 %: 3.5 standard errors of the share, false alarms once in 2000.
    """
    hits = 0
    tail = ml.SGD(0.03, epochs=12, batch_size=32, average="tail", kernel="numba")
    for seed in range(1000):
        X, y = data(seed, n=1000, spread=spread)
        fit = ml.fit(X, y, optimizer=tail, start=[3, 1, -2])
        if spread:
            error = np.sqrt(np.diag(fit.covariance("HC0")))[1]
        else:
            error = fit.std_errors[1]
        hits += abs(fit.params[1] - 1.0) <= 1.96 * error
    assert abs(hits / 1000 - 0.95) <= 3.5 * np.sqrt(0.95 * 0.05 / 1000)
