import numpy as np
import pytest
from scipy.special import bdtr, betaincinv
from scipy.stats import beta, kstest

import mlreg as ml
from mlreg.inference.bands import (
    DRAWS,
    draw_residuals,
    in_order,
    many_in_order,
    order_band,
    order_level,
    outside,
    root_moments,
    smoother,
)

NEVER = 1e-9  # probability of a false alarm of a stochastic test


def whitened(n, p, seed=0):
    rng = np.random.default_rng(seed)
    X = np.column_stack([np.ones(n), rng.standard_t(3, size=(n, p - 1))])
    return np.linalg.qr(X)[0]


def studentised(W, rng, draws):
    """Internally studentised residuals of noise, by the textbook; shape (n, draws)."""
    n, p = W.shape
    noise = rng.normal(size=(n, draws))
    r = noise - W @ (W.T @ noise)
    s = np.sqrt(np.sum(r**2, axis=0) / (n - p))
    return r / s / np.sqrt(1 - np.sum(W**2, axis=1))[:, None]


def test_limits_are_those_of_the_order_statistics():
    i = np.arange(1.0, 8)
    lower, upper = order_band(0.1, i, 7)
    law = beta(i, 8 - i)
    # a probability is computed to 1e-13 of itself, the limits to 1e-14
    assert np.abs(law.cdf(lower) - 0.05).max() < 1e-12
    assert np.abs(law.sf(upper) - 0.05).max() < 1e-12
    assert np.abs(lower + upper[::-1] - 1).max() < 1e-14  # from the other end


@pytest.mark.parametrize(("n", "p"), [(5, 3), (12, 2), (60, 8)])
def test_the_band_of_order_statistics_has_its_level(n, p):
    W, data = whitened(n, p), np.random.default_rng(1)
    i, chosen = np.arange(1.0, n + 1), np.arange(n)
    pictures, outs = 300, 0
    for seed in range(pictures):
        rng = np.random.default_rng(1000 + seed)
        draws, squares = draw_residuals(W, np.ones(n), rng, 99)
        r = draws / np.sqrt(np.outer(1 - np.sum(W**2, axis=1), squares / (n - p)))
        local = order_level(in_order(r, n - p, chosen), i, n, 0.8)
        lower, upper = order_band(local, i, n)
        u = in_order(studentised(W, data, 1), n - p, chosen)[0]
        outs += bool(((u < lower) | (u > upper)).any())
    # 20 of 100 draws leave the band: so do the data, independently, with probability 0.2
    assert bdtr(outs, pictures, 0.2) > NEVER
    assert bdtr(outs - 1, pictures, 0.2) < 1 - NEVER
    assert bdtr(outs, pictures, 0.4) < 1e-6  # what it would say of a level of 0.6


def test_many_rows_have_the_band_of_each_row_drawn():
    n, p = 1500, 3
    W, chosen = whitened(n, p), np.array([0, 1, 10, 100, 400, 750, 1100, 1400, 1490, 1498, 1499])
    one = in_order(studentised(W, np.random.default_rng(0), DRAWS), n - p, chosen)
    many = many_in_order(n, np.arange(0, n), np.random.default_rng(1), (True, True))[:, chosen]
    free = many_in_order(n, np.arange(0, n), np.random.default_rng(1), (False, False))[:, chosen]
    # two samples of one law; p/n is far below what 999 draws can tell
    assert min(kstest(a, b).pvalue for a, b in zip(one.T, many.T, strict=True)) > NEVER / 11
    assert (
        kstest(one[:, 5], free[:, 5]).pvalue < NEVER
    )  # the median of independent draws moves more


def test_chosen_gaps_make_the_same_law_as_all():
    n, chosen = 400, np.unique(np.r_[0:40, 40:360:8, 360:400])
    some = many_in_order(n, chosen, np.random.default_rng(0), (True, True))
    every = many_in_order(n, np.arange(n), np.random.default_rng(1), (True, True))[:, chosen]
    chances = [kstest(a, b).pvalue for a, b in zip(some.T, every.T, strict=True)]
    assert min(chances) > NEVER / len(chosen)


@pytest.mark.parametrize("size", [1, 4])
def test_groups_of_rows_have_the_law_of_their_residuals(size):
    n, p, draws = 24, 3, 4000
    W, m = whitened(n, p), n // size
    group = np.arange(n) // size
    to = (group[:, None] == np.arange(m)).astype(float) / np.sqrt(size)
    got, squares = draw_residuals(
        to.T @ W, np.full(m, float(size)), np.random.default_rng(0), draws
    )
    want = np.eye(m) - to.T @ W @ W.T @ to
    off = got @ got.T / draws - want
    # entries have a standard deviation of at most √(2/draws) = 0.022; 7 of these
    assert np.abs(off).max() < 0.16
    assert np.abs(to.T @ W @ (to.T @ W).T).max() > 0.16  # or there would be nothing to see
    assert kstest(squares, "chi2", (n - p,)).pvalue > NEVER
    # RSS and the parts of it that the groups see are drawn together
    seen = np.sum(got**2, axis=0)
    assert (squares >= seen * (1 - 1e-12)).all()
    assert abs(np.mean(squares - seen) - (n - p - np.trace(want))) < 7 * np.sqrt(2 * n / draws)


def test_moments_of_a_studentised_residual():
    for df in (2, 3, 10, 1000):
        mean, variance = root_moments(df)
        x = betaincinv(0.5, (df - 1) / 2, (np.arange(100_000) + 0.5) / 100_000)
        root = (df * x) ** 0.25
        # the midpoint rule: the quantile function is monotone, so off by its range/100,000 at most
        assert abs(root.mean() - mean) < df**0.25 / 1e5
        assert abs(root.var() - variance) < 4 * df**0.5 / 1e5
    assert root_moments(1) == pytest.approx((1, 0), abs=1e-15)  # of one coordinate the size is 1


def test_a_smooth_keeps_lines_and_bends_with_the_data():
    x = np.sort(np.random.default_rng(0).normal(size=50))
    S = smoother(x, np.ones(50), np.linspace(-1, 1, 9))
    assert np.abs(S @ (2 + 3 * x) - (2 + 3 * np.linspace(-1, 1, 9))).max() < 1e-12
    assert np.abs(S @ x**2).max() > 0.1
    weight = np.tile([1.0, 2.0], 25)
    twice = smoother(np.repeat(x, weight.astype(int)), np.ones(75), x)
    assert (
        np.abs(smoother(x, weight, x) @ x**2 - twice @ np.repeat(x, weight.astype(int)) ** 2).max()
        < 1e-12
    )


def test_levels_are_checked():
    assert outside(0.95) == 50
    assert outside(0.9, 99) == 10
    for level in (0, 1, 1.5, "95", 0.9999):
        with pytest.raises(ml.MlregError, match="level must be"):
            outside(level)
