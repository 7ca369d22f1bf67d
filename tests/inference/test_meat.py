"""The sums of robust covariances are the double sums that define them, Eqs. (12.5) and (12.7).

Rows are small integers, so that the sums over pairs of rows are exact; roots are taken of
factors, so that the products are right to a few roundings of the largest.
"""

import numpy as np
import pytest

import mlreg as ml
from mlreg.inference.labels import Labels
from mlreg.inference.robust import (
    Clusters,
    Independent,
    Lags,
    check_kind,
    default_lags,
    meat_of,
    root_of,
)

U = 2.0**-53
N, P = 300, 3


@pytest.fixture
def G():
    return np.random.default_rng(0).integers(-9, 10, (N, P)).astype(float)


def fed(meat, G, k=None, cuts=(1, 2, 77, 200)):
    for rows in np.split(np.arange(len(G)), cuts):
        meat.add(G[rows], None if k is None else k[rows])
    return meat.total()


def close(found, weight, G, k=None):
    """Σ weight(i, j) kᵢ kⱼ gᵢ gⱼᵀ, allowing for the rounding of sums of n products."""
    H = G if k is None else G * k[:, None]
    size = np.abs(H).T @ np.abs(weight) @ np.abs(H)
    return (np.abs(found - H.T @ weight @ H) <= 8 * len(G) * U * size).all()


def clusters(*codes):
    numbers = (np.unique(c, return_inverse=True)[1] for c in codes)
    return Clusters(P, Labels([iter([c]) for c in numbers]))


def together(codes):
    same = codes[:, None] == codes
    count = len(np.unique(codes))
    return same * (count / (count - 1))


def test_independent_rows_are_each_for_themselves(G):
    assert close(fed(Independent(P), G), np.eye(N), G)
    k = np.random.default_rng(1).integers(0, 4, N).astype(float)
    # k equal rows, and not k times one: they are independent
    repeated = np.repeat(G, k.astype(int), axis=0)
    assert close(fed(Independent(P), G, k), np.eye(len(repeated)), repeated)


@pytest.mark.parametrize("count", [2, 64, 65, 150])
def test_rows_of_a_cluster_are_summed_before_they_are_squared(G, count):
    codes = np.append(np.arange(count), np.random.default_rng(2).integers(0, count, N - count))
    meat = clusters(codes)
    assert close(fed(meat, G), together(codes), G)
    assert meat.counts == [count]
    k = np.random.default_rng(1).integers(0, 4, N).astype(float)
    assert close(fed(clusters(codes), G, k), together(codes), G, k)


def test_of_two_kinds_what_both_share_is_counted_once(G):
    rng = np.random.default_rng(3)
    a, b = rng.integers(0, 70, (2, N))
    weight = together(a) + together(b) - together(a * 1000 + b)
    whole = G.T @ weight @ G
    assert np.linalg.eigvalsh(whole)[0] > 0
    meat = clusters(a, b)
    assert close(fed(meat, G), weight, G)
    assert meat.counts[:2] == [len(np.unique(a)), len(np.unique(b))]


def test_a_negative_eigenvalue_is_set_to_zero_and_said(G):
    """Rows of mean zero in each cluster of either kind: only what both share is left, negative."""
    a, b = np.tile([0, 0, 1, 1], 10), np.tile([0, 1, 0, 1], 10)
    rows = np.array([1.0, -1, -1, 1] * 10)[:, None] * [1, 0, 0] + 3.0 * (a + b)[:, None] * [0, 1, 2]
    weight = together(a) + together(b) - together(2 * a + b)
    values, vectors = np.linalg.eigh(rows.T @ weight @ rows)
    assert values[0] < -1
    with pytest.warns(ml.NumericalWarning, match="clustered two ways is not positive semidefinite"):
        found = fed(clusters(a, b), rows, cuts=())
    expected = (vectors * np.maximum(values, 0)) @ vectors.T
    assert np.abs(found - expected).max() <= 1000 * U * np.abs(values).max()


def test_one_cluster_is_too_few(G):
    with pytest.raises(ml.InvalidInput, match=r"there is 1 cluster: .* many more to be of use"):
        fed(clusters(np.zeros(N, dtype=int)), G)


@pytest.mark.parametrize("lags", [0, 1, 5, 120])
def test_lags_weigh_pairs_by_how_far_they_are_apart(G, lags):
    apart = np.abs(np.subtract.outer(np.arange(N), np.arange(N)))
    weight = np.maximum(1 - apart / (lags + 1), 0)
    assert close(fed(meat_of("HAC", P, N, None, lags), G), weight, G)


@pytest.mark.parametrize(
    ("n", "lags"),
    [(1, 1), (50, 3), (100, 4), (272, 4), (273, 5), (10_000, 11)],
)
def test_lags_by_newey_and_west(n, lags):
    """⌊4 (n/100)^(2/9)⌋: 5 from n = 100 (5/4)^(9/2) = 272.97 on."""
    assert default_lags(n) == lags
    meat = meat_of("HAC", P, n, None, None)
    assert isinstance(meat, Lags)
    assert meat.lags == lags


def test_the_root_of_a_sum_gives_it_back_and_leaves_rounding_out(G):
    M = G.T @ G
    C = root_of(M)
    assert np.abs(C @ C.T - M).max() <= 100 * U * np.trace(M)
    v = G[:1]
    assert np.count_nonzero(root_of(v.T @ v).any(axis=0)) == 1
    assert root_of(np.zeros((0, 0))).shape == (0, 0)


@pytest.mark.parametrize(
    ("kind", "groups", "lags", "message"),
    [
        ("cluster", None, None, "^kind='cluster' needs groups=, a label for each row$"),
        ("HC1", [1], None, "^kind='HC1' takes no groups$"),
        ("HC1", None, 2, "^kind='HC1' takes no lags: they are of kind='HAC'$"),
        ("HAC", None, 10, "^lags must be a whole number from 0 to 9, not 10$"),
        ("HAC", None, -1, "from 0 to 9, not -1$"),
        ("HAC", None, True, "from 0 to 9, not True$"),
        ("HAC", None, 1.0, "from 0 to 9, not 1.0$"),
    ],
)
def test_arguments_that_do_not_fit_together_are_named(kind, groups, lags, message):
    with pytest.raises(ml.InvalidInput, match=message):
        check_kind(kind, groups, lags, 10, 2)


def test_arguments_that_fit_together_pass():
    for lags in (0, 9, np.int64(3), None):
        check_kind("HAC", None, lags, 10, 2)
    check_kind("cluster", [1], None, 3, 2)
    for kind in ("HC1", "cluster"):
        with pytest.raises(ml.InvalidInput, match=f"^{kind} divides by n - p, and 2 rows have 2 "):
            check_kind(kind, [1] if kind == "cluster" else None, None, 2, 2)


@pytest.mark.parametrize("n", [1, 2000])
def test_a_row_of_leverage_one_is_named_as_the_data_number_it(n):
    """Rows of weight zero, which are not used, count; so do those of blocks before."""
    x = np.zeros(n + 9)
    x[-3] = 1.0
    weights = np.ones(n + 9)
    weights[2:5] = 0
    fit = ml.fit(x[:, None], np.arange(n + 9.0) % 7, precision_weights=weights)
    with pytest.raises(ml.InvalidInput, match=f"^row {n + 6} has leverage 1: .* HC3 divides"):
        fit.with_covariance("HC3")


@pytest.mark.parametrize("kind", ["HC0", "HC1", "HC2", "HC3"])
@pytest.mark.parametrize("unit", [1.0, 2.0**600])
def test_a_frequency_is_so_many_equal_rows_in_any_unit_of_the_response(kind, unit):
    rng = np.random.default_rng(0)
    x, k = rng.standard_normal(40), rng.integers(1, 4, 40)
    y = (x + rng.standard_normal(40)) * unit
    fit = ml.fit(x[:, None], y, frequency_weights=k).with_covariance(kind)
    rows = np.repeat(np.arange(40), k)
    again = ml.fit(x[rows, None], y[rows] / unit).with_covariance(kind)
    # sums of 80 products, each of a few roundings, of a well-conditioned design
    assert np.abs(fit.std_errors / again.std_errors / unit - 1).max() <= 80 * 16 * U


def test_words_for_what_was_done_and_for_what_cannot_be(G):
    a, b = np.arange(N) % 7, np.arange(N) % 11
    fit = ml.fit(G[:, :1], G[:, 1]).with_covariance("cluster", groups=(a, b))
    assert "clustered, by 7 and 11 groups" in fit.summary()
    x = np.arange(9.0)
    with pytest.raises(ml.InvalidInput, match=r"^the data fit perfectly: residuals that are round"):
        ml.fit(x[:, None], 2 * x).with_covariance("HC1")
    weighted = ml.fit(x[:, None], x % 4, frequency_weights=np.ones(9, dtype=int))
    with pytest.raises(ml.InvalidInput, match=r"^frequency_weights have no order in time: repeat"):
        weighted.with_covariance("HAC")
