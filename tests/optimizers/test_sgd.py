import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize

import mlreg as ml
from mlreg.likelihood.blocks import ArraySource, Block
from mlreg.optimizers.descent import Descent
from mlreg.optimizers.sgd_status import squared, status
from mlreg.verify import laws

too_large = pytest.mark.filterwarnings("ignore:the learning rate .* may be too large")


def design(X):
    return np.column_stack([np.ones(len(X)), X])


@pytest.mark.parametrize("sampling", ["reshuffle", "replacement"])
@pytest.mark.parametrize("size", [1, 32, 300])
def test_steps_are_the_textbooks(textbook, sampling, size):
    X, y = textbook
    rate, epochs, seed = 0.01, 2, 5
    fit = ml.fit(
        X, y,
        optimizer=ml.SGD(rate, batch_size=size, epochs=epochs, sampling=sampling, seed=seed),
    )  # fmt: skip
    # The textbook's loop, row by row in plain NumPy, over the same random rows.
    rng, D, params = np.random.default_rng(seed), design(X), np.zeros(3)
    for _ in range(epochs):
        if sampling == "reshuffle":
            order = rng.permutation(1000)
            batches = [order[i : i + size] for i in range(0, 1000, size)]
        else:
            batches = [rng.integers(1000, size=size) for _ in range(-(-1000 // size))]
        for rows in batches:
            gradient = sum((D[i] @ params - y[i]) * D[i] for i in rows) / size
            params = params - rate * gradient
    # each step rounds by a few u of the terms it sums; the steps contract, so errors do not grow
    assert np.abs(fit.params - params).max() <= 1e-12


def test_full_batch_is_gradient_descent_in_closed_form(textbook):
    X, y = textbook
    rate, epochs = 0.5, 7
    fit = ml.fit(X, y, optimizer=ml.SGD(rate, batch_size="full", epochs=epochs))
    D = design(X)
    values, vectors = np.linalg.eigh(D.T @ D / 1000)
    best = np.linalg.lstsq(D, y, rcond=None)[0]
    left = vectors @ ((1 - rate * values) ** epochs * (vectors.T @ best))
    assert np.abs(fit.params - (best - left)).max() <= 1e-12


def test_a_seed_replays_bit_for_bit_and_another_does_not(textbook):
    runs = [ml.fit(*textbook, optimizer=ml.SGD(0.03, seed=s)) for s in (1, 1, 2)]
    assert (runs[0].params == runs[1].params).all()
    assert (runs[0].params != runs[2].params).all()


def test_history_is_the_mean_nll_with_sigma_profiled(textbook):
    X, y = textbook
    fit = ml.fit(X, y, optimizer=ml.SGD(0.03, epochs=4))
    assert fit.history.unit == "epoch"
    assert len(fit.history.mean_nll) == 5
    sigma0 = np.sqrt(np.mean(y**2))  # at the start, zero
    from mlreg.likelihood import gaussian

    start = gaussian.nll(np.zeros(3), sigma0, design(X), y) / 1000
    end = gaussian.nll(fit.params, fit.sigma, design(X), y) / 1000
    assert fit.history.mean_nll[0] == pytest.approx(start, rel=1e-12)
    assert fit.history.mean_nll[-1] == pytest.approx(end, rel=1e-12)
    assert fit.history.distance[-1] == pytest.approx(fit.certificate.distance, rel=1e-9)
    assert (np.diff(fit.history.mean_nll) < 0).all()


def test_status_descending_plateau_and_converged(textbook):
    told = [
        ml.fit(*textbook, optimizer=o).status
        for o in (
            ml.SGD(0.03),
            ml.SGD(0.03, epochs=100, sampling="replacement"),
            ml.SGD(0.9, batch_size="full", epochs=300),
            ml.SGD(1e-9, batch_size="full"),
        )
    ]
    assert [t.code for t in told] == ["stopped", "stopped", "converged", "stopped"]
    assert "still descending: at this pace at least" in told[0].message
    assert "no longer descending: the noise of minibatches of 32" in told[1].message
    assert "is too small for this data" in told[3].message


@too_large
@pytest.mark.parametrize("sampling", ["reshuffle", "replacement"])
@pytest.mark.parametrize("size", [1, 32, "full"])
@pytest.mark.parametrize("rate", [10.0, 1e5, 1e300])
def test_divergence_is_a_status_that_names_a_bound_that_holds(textbook, sampling, size, rate):
    X, y = textbook
    optimizer = ml.SGD(rate, batch_size=size, sampling=sampling, epochs=20)
    fit = ml.fit(X, y, optimizer=optimizer)
    assert fit.status.code == "diverged"
    assert np.isfinite(fit.params).all()
    laws.never_claims_too_much(fit)
    bound = float(fit.status.message.split("Up to ")[1].split(" ")[0])
    source = ArraySource(X, y, intercept=True)
    likelihood = ml.LinearLikelihood.from_source(source)
    exact = ml.stable_learning_rate(likelihood, batch_size=size, sampling=sampling)
    assert 0.98 * exact <= bound <= exact
    safe = ml.SGD(bound, batch_size=size, sampling=sampling, epochs=20)
    assert ml.fit(X, y, optimizer=safe).status.code != "diverged"


@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 3, 8, "full"]), st.booleans())
def test_below_the_bound_no_step_expands_the_error(seed, size, weighted):
    """Without noise every epoch brings the descent nearer, whatever the order of the rows."""
    rng = np.random.default_rng(seed)
    n, p = int(rng.integers(8, 30)), int(rng.integers(1, 4))
    X = (
        rng.standard_normal((n, p))
        * 10.0 ** rng.integers(-3, 4)
        * np.exp(rng.standard_normal((n, 1)))
    )
    precision = np.exp(rng.standard_normal(n)) if weighted else None
    frequency = rng.integers(1, 4, n) * 1.0 if weighted else None
    source = ArraySource(X, X @ np.ones(p), precision=precision, frequency=frequency)
    likelihood = ml.LinearLikelihood.from_source(source)
    rate = ml.stable_learning_rate(likelihood, batch_size=size) * (1 - 1e-12)
    descent = Descent(ml.SGD(rate, batch_size=size, epochs=5, seed=seed), likelihood, np.zeros(p))
    descent.run()
    errors = [np.linalg.norm(point - 1) for point in descent.way]
    assert not descent.overflow
    assert all(b <= a * (1 + 1e-12) for a, b in pairwise(errors))


@too_large
def test_full_batch_bound_is_sharp(textbook):
    X, y = textbook
    likelihood = ml.LinearLikelihood.from_source(ArraySource(X, y, intercept=True))
    bound = ml.stable_learning_rate(likelihood, batch_size="full")
    D = design(X)
    assert bound == pytest.approx(2 / np.linalg.eigvalsh(D.T @ D / 1000)[-1], rel=1e-12)
    above = ml.fit(X, y, optimizer=ml.SGD(1.01 * bound, batch_size="full", epochs=2000))
    assert above.status.code == "diverged"
    below = ml.fit(X, y, optimizer=ml.SGD(0.99 * bound, batch_size="full", epochs=2000))
    assert below.status.code == "converged"


@pytest.mark.parametrize("sampling", ["reshuffle", "replacement"])
@pytest.mark.parametrize("size", [1, 2, 3, "full"])
def test_at_the_bound_no_minibatch_expands(size, sampling):
    rng = np.random.default_rng(3)
    X = rng.standard_normal((5, 2)) * np.array([[3.0], [1], [1], [0.2], [1]])
    likelihood = ml.LinearLikelihood(X, np.zeros(5))
    rate = ml.stable_learning_rate(likelihood, batch_size=size, sampling=sampling)
    laws.stable_rate_does_not_expand(X, rate, size, sampling)
    if size == "full":  # where the bound is sharp
        with pytest.raises(laws.LawViolation):
            laws.stable_rate_does_not_expand(X, 1.0001 * rate, size, sampling)


def test_ragged_last_batch_weighs_no_row_more():
    """With |B| in the denominator, an epoch of tiny steps is a full gradient step."""
    rng = np.random.default_rng(1)
    X, y = rng.standard_normal((10, 2)), rng.standard_normal(10)
    rate = 1e-9
    fit = ml.fit(X, y, intercept=False, optimizer=ml.SGD(rate, batch_size=4, epochs=1))
    full = rate / 4 * X.T @ y  # 10 rows in batches of 4, each divided by 4
    assert np.abs(fit.params - full).max() <= 1e-6 * np.abs(full).max()


def test_weights_weigh(textbook):
    X, y = textbook
    X, y = X[:50], y[:50]
    w = np.tile([1.0, 3.0], 25)
    optimizer = ml.SGD(0.5, batch_size="full", epochs=500)
    for kind in ("frequency_weights", "precision_weights"):
        fit = ml.fit(X, y, optimizer=optimizer, **{kind: w})
        exact = ml.fit(X, y, **{kind: w})
        assert fit.status.code == "converged"
        assert (np.abs(fit.params - exact.params) <= 0.01 * exact.std_errors).all()


def test_starts_where_told(textbook):
    best = ml.fit(*textbook).params
    fit = ml.fit(*textbook, optimizer=ml.SGD(1e-6, epochs=1), start=best)
    assert fit.status.code == "converged"
    assert fit.history.distance[0] < 1e-6


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"learning_rate": 0}, "learning_rate must be positive"),
        ({"learning_rate": float("nan")}, "learning_rate must be positive"),
        ({"learning_rate": "fast"}, "learning_rate must be positive"),
        ({"learning_rate": True}, "learning_rate must be positive"),
        ({"batch_size": 0}, "batch_size must be a whole number"),
        ({"batch_size": 3.5}, "batch_size must be a whole number"),
        ({"batch_size": "all"}, "or 'full'"),
        ({"epochs": 0}, "epochs must be"),
        ({"sampling": "shuffle"}, "sampling must be 'reshuffle', 'replacement' or 'in-order'"),
        ({"seed": -1}, "seed must be"),
        ({"seed": None}, "seed must be"),
    ],
)
def test_configuration_is_checked(kwargs, message):
    with pytest.raises(ml.InvalidInput, match=message):
        ml.SGD(**{"learning_rate": 0.1, **kwargs})


def test_misuse_with_data(textbook):
    X, y = textbook
    with pytest.raises(ml.InvalidInput, match="batch_size=32 is more than the 10 rows"):
        ml.fit(X[:10], y[:10], optimizer=ml.SGD(0.1))
    with pytest.raises(TypeError):
        ml.SGD()

    class Stream:
        names, n_rows, rereadable = ("x",), 4, True

        def blocks(self, size=None, rng=None):
            yield Block(np.arange(4.0)[:, None], np.array([1.0, 3, 2, 5]))

    with pytest.raises(ml.InvalidInput, match="rows can be picked"):
        ml.fit(Stream(), optimizer=ml.SGD(0.1, batch_size=2, sampling="replacement"))


@too_large
def test_units_without_a_safe_rate_are_said(textbook):
    X, y = textbook
    fit = ml.fit(X * 1e200, y, optimizer=ml.SGD(0.1))
    assert fit.status.code == "diverged"
    assert "rescale the columns" in fit.status.message
    assert np.isfinite(fit.params).all()


def test_bound_does_not_change_when_every_row_counts_three_times(textbook):
    X, y = textbook
    three = np.full(1000, 3.0)
    one = ml.LinearLikelihood.from_source(ArraySource(X, y))
    thrice = ml.LinearLikelihood.from_source(ArraySource(X, y, frequency=three))
    for kwargs in ({}, {"sampling": "replacement"}, {"batch_size": "full"}):
        bound = ml.stable_learning_rate(one, **kwargs)
        assert ml.stable_learning_rate(thrice, **kwargs) == pytest.approx(bound, rel=1e-12)


@too_large
def test_divergence_from_the_mle_itself_is_divergence(textbook):
    best = ml.fit(*textbook).params
    fit = ml.fit(*textbook, optimizer=ml.SGD(1e300), start=best)
    assert fit.status.code == "diverged"
    assert (fit.params == best).all()


@too_large
def test_a_loss_beyond_floating_point_is_an_overflow(textbook):
    X, y = textbook
    fit = ml.fit(X * 1e10, y, optimizer=ml.SGD(1e291, batch_size="full", epochs=1))
    assert fit.status.code == "diverged"
    assert np.isfinite(fit.solution.theta).all()


def test_epochs_to_go_follow_the_pace_and_a_rise_is_no_descent(textbook):
    from mlreg.certificate import least_squares

    likelihood = ml.LinearLikelihood.from_source(ArraySource(*textbook, intercept=True))
    ls = least_squares(likelihood)
    sgd = ml.SGD(0.03, epochs=6)

    def message(distances):
        course = squared(ls, [d * ls.s for d in distances], False)
        return status(sgd, likelihood, course, 32).message

    halving = [800.0 * 0.5**k for k in range(7)]  # 12.5 after six; seven more halvings to 0.1
    assert "at least 7 more epochs" in message(halving)
    assert "no longer descending" in message([800, 20, 8, 7.9, 7.85, 7.8, 7.79])
    assert "no longer descending" in message([800, 400, 200, 20, 2, 1, 1.1])


def test_fit_statistics_are_those_of_the_estimate_not_of_the_mle(textbook):
    X, y = textbook
    fit, exact = ml.fit(X, y, optimizer=ml.SGD(0.03)), ml.fit(X, y)
    residuals = y - design(X) @ fit.params
    total = np.sum((y - y.mean()) ** 2)
    assert fit.rss == pytest.approx(residuals @ residuals, rel=1e-9)
    assert fit.sigma == pytest.approx(np.sqrt(fit.rss / 1000), rel=1e-12)
    assert fit.r_squared == pytest.approx(1 - fit.rss / total, rel=1e-9)
    f = (total / fit.rss - 1) / 2 * 997
    assert fit.f_test.statistic == pytest.approx(f, rel=1e-9)
    assert (fit.std_errors == exact.std_errors).all()  # those of the MLE


@pytest.mark.parametrize(("rate", "size"), [(1e-20, 32), (1e-4, 32), (1e-300, "full")])
def test_a_rate_that_is_too_small_is_not_blamed_on_noise(textbook, rate, size):
    X, y = textbook
    status = ml.fit(X[:200], y[:200], optimizer=ml.SGD(rate, batch_size=size, epochs=10)).status
    assert "is too small for this data" in status.message
    assert "noise" not in status.message


@too_large
def test_noise_around_the_mle_is_no_divergence_and_growth_is():
    rng = np.random.default_rng(1)
    X = rng.standard_normal((200, 2))
    y = X @ [1, 2] + 3 + rng.standard_normal(200)
    best = ml.fit(X, y).params
    for epochs in (1, 5, 100):
        noisy = ml.fit(X, y, optimizer=ml.SGD(0.2, batch_size=1, epochs=epochs), start=best)
        assert noisy.status.code == "stopped"
    D = design(X)
    limit = 2 / np.linalg.eigvalsh(D.T @ D / 200).max()
    slow = ml.fit(X, y, optimizer=ml.SGD(1.02 * limit, batch_size="full", epochs=3), start=best + 1)
    assert (
        slow.status.code == "diverged"
    )  # gradient descent above the limit: it is a matter of time
    grown = ml.SGD(1.02 * limit, batch_size="full", epochs=200)
    assert ml.fit(X, y, optimizer=grown, start=best + 1).status.code == "diverged"


def test_raw_units_are_too_slow_not_too_noisy():
    data = ml.datasets.norris()
    fit = ml.fit(data.X, data.y, optimizer=ml.SGD(1e-6, batch_size=4, epochs=20))
    assert "is too small for this data" in fit.status.message
    assert "standardise" in fit.status.message


def test_extremes_of_the_status():
    rng = np.random.default_rng(0)
    y = rng.standard_normal(64)
    one_step = ml.SGD(1.0, batch_size="full", epochs=3)  # lands on the mean of y, exactly or nearly
    fit = ml.fit(np.ones((64, 1)), y, intercept=False, optimizer=one_step)
    assert fit.status.code == "converged"
    exact = ml.fit(np.ones((4, 1)), [1.0, 2, 4, 5], intercept=False, optimizer=one_step)
    assert (exact.params == 3).all()
    assert exact.status.code == "converged"
    slow = ml.SGD(5e-324, batch_size="full", epochs=3)
    far = ml.fit(np.ones((64, 1)), y, intercept=False, optimizer=slow, start=[1e140])
    assert "too small for this data" in far.status.message
    tiny = rng.standard_normal((64, 1)) * 1e-200
    wild = ml.fit(tiny, y, intercept=False, optimizer=ml.SGD(1e308, batch_size=8), start=[1e308])
    assert np.isfinite(wild.solution.theta).all()


OTHER = [ml.Logistic(), ml.Huber(), ml.StudentT(4)]


@pytest.mark.parametrize("noise", OTHER, ids=repr)
@pytest.mark.parametrize("weighted", [False, True])
def test_other_noise_is_descended_too(noise, weighted):
    rng = np.random.default_rng(5)
    X = rng.standard_normal((600, 2))
    y = 1 + X @ [2.0, -3.0] + noise.sample(600, rng)
    weights = {"frequency_weights": rng.integers(0, 4, 600)} if weighted else {}
    mle = ml.fit(X, y, noise=noise, **weights)
    config = ml.SGD(0.5, batch_size="full", epochs=100)
    full = ml.fit(X, y, noise=noise, optimizer=config, **weights)
    assert full.status.code == "converged", full.status
    assert (np.abs(full.params - mle.params) <= 1e-3 * mle.std_errors).all()
    assert abs(full.nll - mle.nll) <= 1e-6
    small = ml.SGD(0.02, batch_size=32, epochs=40, seed=3)
    fit, again = (ml.fit(X, y, noise=noise, optimizer=small, **weights) for _ in range(2))
    assert (fit.params == again.params).all()
    assert fit.history.unit == "epoch"
    assert len(fit.history.mean_nll) == 41
    assert fit.history.mean_nll[-1] < fit.history.mean_nll[0]
    # the history's distance is from its own end, whose own distance is added
    true = np.linalg.norm(np.linalg.cholesky(np.linalg.inv(mle.covariance())).T
                          @ (fit.params - mle.params))  # fmt: skip
    assert abs(fit.certificate.distance - true) <= 0.15 * true + 0.01
    assert fit.certificate.distance <= 2  # the noise of minibatches at this learning rate


def test_the_first_step_under_other_noise_is_the_formula():
    rng = np.random.default_rng(6)
    X, y = rng.standard_normal((8, 2)), 5 * rng.standard_normal(8)
    for noise in OTHER:
        likelihood = ml.LinearLikelihood(X, y, noise=noise)
        start = np.array([0.3, -0.2])
        one = ml.SGD(0.1, batch_size="full", epochs=1).minimize(likelihood, start)
        r = y - X @ start
        sigma = np.exp(
            optimize.brentq(lambda g, r=r, n=noise: np.mean(r * np.exp(-g) * n.psi(r * np.exp(-g)))
                            - 1, -20, 20, xtol=1e-12)
        )  # fmt: skip
        step = 0.1 * X.T @ (sigma * noise.psi(r / sigma)) / 8
        assert one.theta[:2] == pytest.approx(start + step, rel=1e-6)


@too_large
def test_other_noise_that_diverges_says_so():
    rng = np.random.default_rng(7)
    X = rng.standard_normal((200, 2))
    y = X.sum(axis=1) + rng.standard_normal(200)
    fit = ml.fit(X, y, noise=ml.Huber(), optimizer=ml.SGD(50.0, epochs=3))
    assert fit.status.code == "diverged"
    assert "too large for this data" in fit.status.message


def test_laplace_is_descended_and_its_distance_is_exact():
    rng = np.random.default_rng(8)
    X = rng.standard_normal((500, 2))
    y = 1 + X @ [2.0, -3.0] + rng.laplace(size=500)
    mle = ml.fit(X, y, noise=ml.Laplace())
    fit = ml.fit(X, y, noise=ml.Laplace(), optimizer=ml.SGD(0.02, epochs=20))
    D = design(X)
    r = y - D @ fit.params
    assert fit.sigma == pytest.approx(np.mean(np.abs(r)), rel=1e-12)
    true = np.linalg.norm(D @ (fit.params - mle.params)) / mle.sigma
    assert fit.certificate.distance == pytest.approx(true, rel=1e-9)
    assert fit.certificate.exact
    assert fit.history.distance[0] > 50
    assert fit.history.distance[-1] == fit.certificate.distance
    assert fit.status.ok == (true <= 0.1)
    assert fit.nll >= mle.nll
    assert fit.log_likelihood == pytest.approx(
        -np.sum(np.abs(r) / fit.sigma + np.log(2 * fit.sigma)), rel=1e-12
    )


def test_the_advice_of_the_status_leads_to_the_mle(textbook):
    """What it says would come within 0.1 does: with the schedule, and with the average."""
    X, y = textbook
    told = ml.fit(X, y, optimizer=ml.SGD(0.03)).status.message
    rates, begin = re.search(r"Piecewise\(\[(.*?)\], \[(\d+)\]\)", told).groups()
    more = int(re.search(r"go on from there for (\d+) epochs", told)[1])
    whole = int(re.search(r"average the second half of (\d+) epochs", told)[1])
    schedule = ml.schedules.Piecewise(list(map(float, rates.split(", "))), [int(begin)])
    for seed in range(5):
        for config in (
            ml.SGD(schedule, epochs=int(begin) + more, seed=seed),
            ml.SGD(0.03, epochs=whole, average="tail", seed=seed),
        ):
            assert ml.fit(X, y, optimizer=config).status.code == "converged"
