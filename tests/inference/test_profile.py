"""Profile-likelihood intervals against closed forms and against minima that others find."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

import mlreg as ml
from mlreg.inference.covariance import covariance
from mlreg.inference.profile import _Profile, chi2_quantile, profile_df, profile_interval
from mlreg.likelihood.blocks import ArraySource
from mlreg.likelihood.prior import NormalPrior
from mlreg.optimizers.start import Start

SMOOTH = [ml.Gaussian(), ml.Logistic(), ml.Huber(), ml.StudentT(2), ml.StudentT(5)]
HALF = stats.chi2.ppf(0.95, 1) / 2


def problem(seed, n=40, q=0):
    rng = np.random.default_rng(seed)
    X = np.column_stack([np.ones(n), rng.standard_normal((n, 2))])
    Z = np.column_stack([np.ones(n), rng.uniform(-1, 1, (n, q - 1))]) if q else None
    spread = 1 if Z is None else np.exp(Z @ np.full(q, 0.3))
    return X, X @ [1.0, 2.0, -3.0] + spread * rng.standard_t(4, n), Z


def solved(X, y, noise, Z=None, **weights):
    likelihood = ml.LinearLikelihood.from_source(ArraySource(X, y, scale=Z, **weights), noise)
    return likelihood, ml.Newton().minimize(likelihood)


def minimum_of_others(likelihood, j, value, start):
    """The smallest NLL with one parameter held, by SciPy's BFGS in orthonormal coordinates."""
    others = np.delete(np.arange(len(start)), j)
    R = likelihood.factor(start)[np.ix_(others, others)]  # an upper triangle less a row and column

    def theta(u):
        full = start.copy()
        full[j] = value
        full[others] += np.linalg.solve(R, u)
        return full

    def both(u):
        nll, gradient = likelihood.nll_and_gradient(theta(u))
        return nll, np.linalg.solve(R.T, gradient[others])

    u = np.zeros(len(others))
    for _ in range(3):  # again from where rounding of the NLL stopped it
        u = optimize.minimize(both, u, jac=True, method="BFGS", options={"gtol": 1e-8}).x
    nll, gradient = both(u)
    assert np.linalg.norm(gradient) <= 1e-5  # and so the NLL is right to 1e-10
    return nll


@pytest.mark.parametrize("q", [0, 2])
@pytest.mark.parametrize("noise", SMOOTH, ids=repr)
def test_at_both_ends_the_smallest_nll_is_on_target(noise, q):
    X, y, Z = problem(1, q=q)
    likelihood, solution = solved(X, y, noise, Z)
    least = likelihood.nll(solution.theta)
    for j in range(len(solution.theta)):
        lower, upper = profile_interval(likelihood, solution, j)
        assert lower < solution.theta[j] < upper
        for end in (lower, upper):
            rise = minimum_of_others(likelihood, j, end, solution.theta) - least
            # CLOSE, and the rounding of sums of forty numbers
            assert rise == pytest.approx(HALF, abs=3e-9)


@pytest.mark.parametrize("level", [0.5, 0.95, 0.9999])
@pytest.mark.parametrize("n", [8, 40, 1000])
def test_iteration_finds_what_can_be_written_down(n, level):
    X, y, _ = problem(2, n)
    likelihood, solution = solved(X, y, ml.Gaussian())
    half = chi2_quantile(level) / 2
    for j in range(4):
        closed = profile_interval(likelihood, solution, j, level)
        iterated = _Profile.of(likelihood, solution, j).interval(half)
        width = closed[1] - closed[0]
        # the NLL is right to 1e-9, and at the end of a 50 % interval its slope is 0.67
        assert iterated == pytest.approx(closed, abs=2e-9 * width)
    sigma = profile_interval(likelihood, solution, "sigma", level)
    assert sigma == pytest.approx(np.exp(profile_interval(likelihood, solution, 3, level)))


def test_gaussian_intervals_invert_the_test():
    """The profile of least squares by least squares: the column's multiple goes to the response."""
    X, y, _ = problem(3)
    likelihood, solution = solved(X, y, ml.Gaussian())
    rss = np.sum((y - X @ np.linalg.lstsq(X, y, rcond=None)[0]) ** 2)
    for end in profile_interval(likelihood, solution, "x2"):
        rest = y - end * X[:, 1]
        b = np.linalg.lstsq(X[:, [0, 2]], rest, rcond=None)[0]
        ratio = np.sum((rest - X[:, [0, 2]] @ b) ** 2) / rss
        assert 20 * math.log(ratio) == pytest.approx(HALF, rel=1e-12)
    s = math.exp(solution.theta[-1])
    for sigma in profile_interval(likelihood, solution, "sigma"):
        rise = 40 * math.log(sigma / s) + 20 * ((s / sigma) ** 2 - 1)
        assert rise == pytest.approx(HALF, rel=1e-12)


@pytest.mark.parametrize("noise", SMOOTH, ids=repr)
@settings(max_examples=8)
@given(seed=st.integers(0, 2**32 - 1), q=st.sampled_from([0, 2]), j=st.integers(0, 3))
def test_units_and_shifts_go_through(noise, seed, q, j):
    X, y, Z = problem(seed, q=q)
    likelihood, solution = solved(X, y, noise, Z)
    unit, shift, to_y = np.array([1.0, 2.0**-30, 2.0**30]), np.array([3.0, -1.0, 2.0]), 2.0**30
    other, found = solved(X * unit, to_y * (y + X @ shift), noise, Z)
    refused = ""
    try:
        before = np.array(profile_interval(likelihood, solution, j))
        after = np.array(profile_interval(other, found, j))
    except ml.InvalidInput as error:
        refused = str(error)
    if refused:
        assert isinstance(noise, ml.StudentT)
        assert "not the MLE" in refused
        return
    if j < 3:
        expected = to_y * (before + shift[j]) / unit[j]
    else:
        expected = before + math.log(to_y)
    # each end to 1e-9 in the NLL, whose slope there may be small
    assert after == pytest.approx(expected, abs=1e-6 * (expected[1] - expected[0]))


def test_frequencies_blocks_and_precisions():
    X, y, Z = problem(4, n=60, q=2)
    rng = np.random.default_rng(4)
    k, w = rng.integers(0, 3, 60), rng.uniform(0.3, 3, 60)
    likelihood, solution = solved(X, y, ml.Logistic(), Z, frequency=k, precision=w)
    many = [np.repeat(a, k, axis=0) for a in (X, y, Z)]
    root = np.repeat(np.sqrt(w), k)
    other = solved(many[0] * root[:, None], many[1] * root, ml.Logistic(), many[2])
    for j in range(5):
        ours, theirs = profile_interval(likelihood, solution, j), profile_interval(*other, j)
        assert ours == pytest.approx(theirs, abs=1e-8 * (theirs[1] - theirs[0]))


def test_it_comes_to_be_that_of_the_standard_error():
    """Half-widths less z·(standard error) are of relative order 1/n, the middle of 1/√n."""
    off = {}
    for n in (100, 10_000):
        X, y, _ = problem(5, n)
        likelihood, solution = solved(X, y, ml.StudentT(4))
        errors = np.sqrt(np.diagonal(covariance(likelihood, solution.theta, "observed")))
        ends = np.array([profile_interval(likelihood, solution, j) for j in range(4)])
        wald = solution.theta + np.outer([-1, 1], errors) * stats.norm.ppf(0.975)
        off[n] = np.abs((ends.T - wald) / errors).max()
    assert off[10_000] <= 2 / math.sqrt(10_000)
    assert off[10_000] < off[100] / 3


def test_nearly_collinear_columns():
    rng = np.random.default_rng(6)
    A = rng.integers(-8, 9, (60, 2)) * 1.0
    y = A @ [1.0, 1.0] + rng.standard_t(4, 60)
    near = np.column_stack([A[:, 0], A[:, 0] + 2.0**-27 * A[:, 1]])
    one = profile_interval(*solved(A, y, ml.StudentT(4)), 1)
    other = profile_interval(*solved(near, y, ml.StudentT(4)), 1)
    assert np.array(other) * 2.0**-27 == pytest.approx(one, rel=1e-6)  # condition 1e8


def test_laplace_sigma():
    """At its MLE S/n the NLL n log σ + S/σ: what is held of σ does not move the coefficients."""
    rng = np.random.default_rng(7)
    y = rng.laplace(size=31)
    likelihood = ml.LinearLikelihood(np.ones((31, 1)), y, noise=ml.Laplace())
    total = np.abs(y - np.median(y)).sum()
    solution = made(likelihood, [np.median(y), math.log(total / 31)])
    lower, upper = profile_interval(likelihood, solution, "sigma")
    assert lower < total / 31 < upper
    for sigma in (lower, upper):
        rise = 31 * math.log(sigma * 31 / total) + total / sigma - 31
        assert rise == pytest.approx(HALF, rel=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_laplace_coefficients(weighted):
    """With a coefficient held, the others are least absolute deviations of what is left."""
    from scipy.optimize import linprog

    rng = np.random.default_rng(8)
    n = 40
    X = np.column_stack([np.ones(n), rng.standard_normal((n, 2))])
    y = X @ [1.0, 2.0, -3.0] + rng.laplace(size=n)
    k = rng.integers(1, 4, n) if weighted else np.ones(n, dtype=int)
    w = rng.uniform(0.1, 9, n) if weighted else np.ones(n)
    weights = {"frequency_weights": k, "precision_weights": w} if weighted else {}
    fit = ml.fit(X, y, intercept=False, noise=ml.Laplace(), **weights)

    def loss(j, value):
        """The least loss of the other columns, by a linear program."""
        others = np.delete(X, j, axis=1)
        rest, c = y - value * X[:, j], k * np.sqrt(w)
        A = np.hstack([others, np.eye(n), -np.eye(n)])
        bounds = [(None, None)] * 2 + [(0, None)] * (2 * n)
        return linprog(np.r_[0, 0, c, c], A_eq=A, b_eq=rest, bounds=bounds).fun

    least = fit.sigma * k.sum()
    for j, name in enumerate(fit.names):
        lower, upper = fit.profile_interval(name)
        assert lower < fit.params[j] < upper
        for end in (lower, upper):
            rise = k.sum() * math.log(loss(j, end) / least)
            assert rise == pytest.approx(HALF, rel=1e-5)  # HiGHS is good to about 1e-7
    alone = ml.fit(np.ones(n), y, intercept=False, noise=ml.Laplace())
    lower, upper = alone.profile_interval("x1")
    for end in (lower, upper):
        rise = n * math.log(np.abs(y - end).sum() / np.abs(y - np.median(y)).sum())
        assert rise == pytest.approx(HALF, rel=1e-6)
    uneven = ml.fit(X, y, intercept=False, noise=ml.Laplace(), scale=X[:, 1])
    with pytest.raises(ml.InvalidInput, match="kinks"):
        uneven.profile_interval(0)


def made(likelihood, theta, code="converged"):
    """A solution that nobody computed."""
    from types import SimpleNamespace

    status = SimpleNamespace(code=code)
    return SimpleNamespace(theta=np.array(theta), noise=likelihood.noise, status=status)


@pytest.mark.parametrize("unit", [1e-300, 1e300])
def test_laplace_coefficients_in_extreme_units(unit):
    rng = np.random.default_rng(8)
    X = rng.standard_normal((30, 2))
    y = X @ [1.0, 2.0] + rng.laplace(size=30)
    expected = ml.fit(X, y, noise=ml.Laplace()).profile_interval("x1")
    columns = ml.fit(X * unit, y, noise=ml.Laplace()).profile_interval("x1")
    response = ml.fit(X, y * unit, noise=ml.Laplace()).profile_interval("x1")
    # an end is found to 1e-9 of a standard error, which are no longer than the interval
    bound = 2e-9 * (expected[1] - expected[0])
    for ends in (np.array(columns) * unit, np.array(response) / unit):
        assert (np.abs(ends - expected) <= bound).all()


def test_what_has_no_profile_is_refused():
    X, y, Z = problem(8, q=2)
    likelihood, solution = solved(X, y, ml.Logistic())
    with pytest.raises(ml.InvalidInput, match="called 'x9': the parameters are x1, x2, x3, sigma"):
        profile_interval(likelihood, solution, "x9")
    with pytest.raises(ml.InvalidInput, match="no position 4"):
        profile_interval(likelihood, solution, 4)
    with pytest.raises(ml.InvalidInput, match="level must be between"):
        profile_interval(likelihood, solution, 0, 95)
    with pytest.raises(ml.InvalidInput, match="this fit is stopped"):
        profile_interval(likelihood, made(likelihood, solution.theta, "stopped"), 0)
    with pytest.raises(ml.InvalidInput, match="row to row"):
        profile_interval(*solved(X, y, ml.Logistic(), Z), "sigma")
    source = ArraySource(X, y, scale=Z, scale_names=["c", "x2"])
    both = ml.LinearLikelihood.from_source(source, ml.Logistic())
    solution = ml.Newton().minimize(both)
    with pytest.raises(ml.InvalidInput, match="position in theta, 1 or 4"):
        profile_interval(both, solution, "x2")
    assert profile_interval(both, solution, "c") == profile_interval(both, solution, 3)
    prior = ml.LinearLikelihood(X, y, noise=ml.Logistic(), prior=NormalPrior(1.0))
    with pytest.raises(ml.InvalidInput, match="posterior"):
        profile_interval(prior, ml.Newton().minimize(prior), 0)


def test_a_better_maximum_on_the_way_is_said():
    """Two clusters: from the smaller one's location the profile passes the larger one's."""
    y = np.concatenate([np.linspace(-0.1, 0.1, 9), np.linspace(1.9, 2.1, 12)])
    # of Cauchy noise location and scale have one maximum only, of heavier tails several
    likelihood = ml.LinearLikelihood(np.ones((21, 1)), y, noise=ml.StudentT(0.5))
    near = Start("the smaller cluster", np.zeros(1), np.array([-2.0]))
    worse = ml.Newton().minimize_from(likelihood, near)
    better = ml.Newton().minimize(likelihood)
    assert worse.theta[0] < 0.1 < 1.9 < better.theta[0]
    with pytest.raises(ml.InvalidInput, match="below that of this fit"):
        profile_interval(likelihood, worse, 0, 0.999999)
    lower, upper = profile_interval(likelihood, better, 0, 0.9)
    assert 1.8 < lower < better.theta[0] < upper < 2.2


def test_an_estimate_that_is_not_quite_the_mle_has_the_interval_of_the_mle():
    X, y, _ = problem(9)
    likelihood, solution = solved(X, y, ml.Logistic())
    near = made(likelihood, solution.theta + 0.01)
    mine, its = (profile_interval(likelihood, s, 1) for s in (near, solution))
    assert mine == pytest.approx(its, abs=1e-8 * (its[1] - its[0]))


def test_degrees_of_freedom():
    """Of a NLL whose profile in df is known: q(log df − log 4)², and its limit."""

    def minimum(df):
        return 7 + 2 * (math.log(df / 4) ** 2 if df < math.inf else 1e9)

    lower, upper = profile_df(minimum, 4.0)
    root = math.sqrt(HALF / 2)
    assert (lower, upper) == pytest.approx((4 * math.exp(-root), 4 * math.exp(root)), rel=1e-6)
    lower, upper = profile_df(lambda df: 7 + 30 / df, math.inf)
    assert lower == pytest.approx(30 / HALF, rel=1e-6)
    assert upper == math.inf
    with pytest.raises(ml.InvalidInput, match="below the"):
        profile_df(minimum, 9.0)
    with pytest.raises(ml.InvalidInput, match=r"below 0\.001"):
        profile_df(lambda df: 7 + 1e-9 * df if df < math.inf else 99, 2.0)


@pytest.mark.slow
def test_intervals_cover():
    """Of a t with four degrees of freedom at n = 30, in 2000 samples.

    The profile interval covers less than 95 % at so few rows, by a percent or two: the bounds
    are 0.90 and 0.97, each at least five standard errors of the count from the 93 % there are: a
    false alarm has a probability below 1e-6.
    """
    rng = np.random.default_rng(10)
    covered = np.zeros(2)
    for _ in range(2000):
        X = np.column_stack([np.ones(30), rng.standard_normal(30)])
        y = X @ [1.0, 2.0] + rng.standard_t(4, 30)
        likelihood, solution = solved(X, y, ml.StudentT(4))
        for i, (which, true) in enumerate([("x2", 2.0), ("sigma", 1.0)]):
            lower, upper = profile_interval(likelihood, solution, which)
            covered[i] += lower <= true <= upper
    assert (0.90 * 2000 <= covered).all(), covered
    assert (covered <= 0.97 * 2000).all(), covered
