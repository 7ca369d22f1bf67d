"""The fold against Householder QR of all rows at once, where its shortcuts could go wrong."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlreg.linalg import fold as module
from mlreg.linalg.fold import LEAST, Fold, _Gram, _unit, eigenvalue_bound, fold
from mlreg.linalg.rank import rank_report
from mlreg.linalg.triangle import merge, of, scale_columns

U = 2.0**-53


def in_units(triangle):
    return scale_columns(triangle.R, triangle.exponent)


def assert_same_inner_products(triangle, rows):
    """RᵀR is AᵀA within epsilon, column by column, judged in extended precision."""
    R, A = in_units(triangle).astype(np.longdouble), rows.astype(np.longdouble)
    lengths = np.sqrt((A * A).sum(axis=0))
    error = np.abs(R.T @ R - A.T @ A)
    allowed = (2 * triangle.epsilon + len(rows) * 2.0**-63) * np.outer(lengths, lengths)
    assert (error <= allowed).all()


def by_gram(blocks, k, monkeypatch=None):
    """Fold, and how many blocks took the fast path."""
    folding = Fold(k)
    for block in blocks:
        folding.add(block)
    return folding.triangle(), 0 if folding._gram is None else folding._gram.n_calls


def correlated(rng, n, k, condition):
    left, _ = np.linalg.qr(rng.standard_normal((k, k)))
    right, _ = np.linalg.qr(rng.standard_normal((k, k)))
    return rng.standard_normal((n, k)) @ (left * np.logspace(0, -np.log10(condition), k)) @ right


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("condition", [1, 1e4, 1e8, 1e11])
def test_the_gram_path_is_as_accurate_as_qr(condition, order):
    rng = np.random.default_rng(int(np.log10(condition)))
    A = np.column_stack([np.ones(6000), correlated(rng, 6000, 6, condition)])
    A[:, -1] += A[:, 1:-1].sum(axis=1)
    given = np.array_split(A, 12)
    blocks = [np.asarray(block, order=order) for block in given]
    triangle, fast = by_gram(blocks, 7)
    assert fast == 12  # all, or all but the first 28 rows
    assert all((a == b).all() for a, b in zip(blocks, given, strict=True))  # and left as they were
    assert_same_inner_products(triangle, A)
    # pivot by pivot, which inner products do not see where columns are nearly collinear
    R, Q = in_units(triangle), np.linalg.qr(A)[1]
    unit = A / np.linalg.norm(A, axis=0)
    slack = 4 * triangle.epsilon * np.linalg.cond(unit) * np.linalg.norm(A, axis=0)
    assert (np.abs(np.abs(R) - np.abs(Q)) <= slack + 4000 * U * np.abs(Q).max(axis=0)).all()


@given(st.integers(0, 2**32 - 1), st.integers(2, 6), st.floats(0, 12), st.integers(1, 400))
def test_any_blocks_of_any_design(seed, k, log_condition, size):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(0, 1200))
    A = correlated(rng, n, k, 10**log_condition) * 10.0 ** rng.integers(-9, 10, k)
    A += rng.integers(0, 2) * 10.0 ** rng.integers(-3, 4, k)
    A[rng.random(n) < 0.05] *= 1e6
    triangle = fold((A[i : i + size] for i in range(0, n, size)), k)
    assert triangle.n_rows == n
    assert (np.tril(triangle.R, -1) == 0).all()
    assert (np.diagonal(triangle.R) >= 0).all()
    assert_same_inner_products(triangle, A)


def hostile():
    rng = np.random.default_rng(7)
    n, t = 4000, np.arange(4000.0)
    base = np.column_stack([np.ones(n), rng.standard_normal((n, 2))])
    dummies = np.eye(8)[(8 * t // n).astype(int)]  # sorted: each group in its own blocks
    late = np.where(t > 3900, rng.standard_normal(n), 0.0)
    spike = np.zeros(n)
    spike[2500] = 1e12
    return {
        "trend": np.column_stack([base, t, 1.7e18 + 1e9 * t, base @ [1, 2, 3]]),
        "sorted groups": np.column_stack([base, dummies[:, 1:], t]),
        "zero until late": np.column_stack([base, late, t]),
        "tiny late": np.column_stack([base, 1e-250 * late, t]),
        "no intercept": np.column_stack([base[:, 1:], 1e6 + t]),
        "outlier": np.column_stack([base, spike, t]),
        "tiny and huge": np.column_stack([1e-300 * base, 1e300 * base[:, 1:], t]),
        "growing": np.column_stack([base, np.exp(t / 100), t]),
        "one row times 1e150": np.where((t == 3000)[:, None], 1e150, 1.0) * base,
        "noiseless": np.column_stack([base, base @ [1.0, 2.0, 3.0]]),
        "all the same": np.ones((n, 3)),
        "zeros": np.zeros((n, 3)),
    }


@pytest.mark.parametrize("case", hostile())
@pytest.mark.parametrize("size", [50, 500])
def test_hostile_rows_are_folded_to_the_stated_bound(case, size):
    A = hostile()[case]
    triangle = fold((A[i : i + size] for i in range(0, len(A), size)), A.shape[1])
    assert np.isfinite(triangle.R).all()
    # columns at unit length, by exact powers of two: their squares stay in range
    exponent = -np.frexp(np.abs(A).max(axis=0))[1].astype(np.int64)
    R = scale_columns(scale_columns(triangle.R, triangle.exponent), exponent)
    scaled = scale_columns(A, exponent).astype(np.longdouble)
    lengths = np.sqrt((scaled * scaled).sum(axis=0))
    error = np.abs(R.T.astype(np.longdouble) @ R - scaled.T @ scaled)
    assert (error <= 2 * triangle.epsilon * np.outer(lengths, lengths)).all()


def test_halves_that_are_nearly_collinear_each_and_not_together():
    rng = np.random.default_rng(1)
    x, n = rng.standard_normal(3000), 3000
    first = np.column_stack([np.ones(n), x, x + 1e-12 * rng.standard_normal(n), x])
    second = np.column_stack([np.ones(n), x, -x + 1e-12 * rng.standard_normal(n), x])
    halves = [fold(np.array_split(half, 6), 4) for half in (first, second)]
    both = np.concatenate([first, second])
    for triangle in (merge(*halves), fold(np.array_split(both, 12), 4)):
        assert_same_inner_products(triangle, both)
        unit = triangle.R[:3, :3] / np.linalg.norm(triangle.R[:3, :3], axis=0)
        assert np.linalg.cond(unit) < 2


@pytest.mark.parametrize("n", [3_000, 300_000])
def test_dependent_columns_are_seen_in_any_number_of_rows(n):
    rng = np.random.default_rng(n)
    x, z = rng.standard_normal((2, n))
    A = np.column_stack([np.ones(n), 1000 + x, z, 0.1 * (1000 + x) - 0.3 * z, z])
    triangle = fold((A[i : i + 1000] for i in range(0, n, 1000)), 5)
    report = rank_report(triangle.R[:4, :4], triangle.exponent[:4], n, triangle.blur)
    assert report.kept == (0, 1, 2)
    assert triangle.blur < 1e-12


def test_nearly_dependent_columns_are_kept():
    rng = np.random.default_rng(0)
    x, e = rng.standard_normal((2, 300_000))
    A = np.column_stack([np.ones(len(x)), x, x + 1e-9 * e, e])
    triangle = fold((A[i : i + 1000] for i in range(0, len(A), 1000)), 4)
    report = rank_report(triangle.R[:3, :3], triangle.exponent[:3], len(A), triangle.blur)
    assert report.kept == (0, 1, 2)
    assert not report.doubtful


def test_a_block_that_breaks_the_condition_changes_nothing(monkeypatch):
    """Where the Gram path is refused altogether, QR gives the same."""
    rng = np.random.default_rng(3)
    blocks = np.array_split(correlated(rng, 3000, 4, 1e3), 10)
    fast = fold(blocks, 4)
    monkeypatch.setattr(module, "LEAST", 2.0)
    slow = fold(blocks, 4)
    lengths = np.linalg.norm(in_units(slow), axis=0)
    slack = 1e3 * (fast.epsilon + slow.epsilon) * lengths
    assert (np.abs(in_units(fast) - in_units(slow)) <= slack).all()
    assert slow.n_rows == fast.n_rows == 3000
    assert of(blocks[0]).epsilon < slow.epsilon


@pytest.mark.parametrize("power", [149, 150, 151, 153])
def test_squares_beyond_floating_point_are_folded_otherwise(power):
    rng = np.random.default_rng(0)
    A = np.column_stack([np.ones(3000), rng.standard_normal((3000, 2))])
    A[1000:2000, 2] *= 10.0**power
    A[2000:, 2] *= 10.0 ** (power + 3)
    triangle = fold(np.split(A, 3), 3)
    assert np.isfinite(triangle.R).all()
    scaled = A * [1.0, 1.0, 10.0 ** -(power + 3)]
    R = scale_columns(triangle.R, triangle.exponent) * [1.0, 1.0, 10.0 ** -(power + 3)]
    lengths = np.linalg.norm(scaled, axis=0)
    allowed = (2 * triangle.epsilon + 3000 * U) * np.outer(lengths, lengths)
    assert (np.abs(R.T @ R - scaled.T @ scaled) <= allowed).all()


@given(st.integers(0, 2**32 - 1), st.integers(2, 6), st.floats(0, 8), st.booleans())
def test_what_is_not_looked_at_again_is_well_conditioned(seed, k, log_condition, centre):
    """Whether the condition is looked at or not, a Gram matrix that is accepted has it."""
    rng = np.random.default_rng(seed)
    A = correlated(rng, 600, k, 10**log_condition) * np.exp(rng.normal(size=(600, 1)) * 2)
    A[:, 0] = 1.0
    gram = _Gram.of_rows(A[:40]) if centre else _Gram.on(of(A[:40]))
    for start in range(40, 600, 10) if gram is not None else ():
        if gram.add(A[start : start + 10]):
            half = np.triu(_unit(gram.G)[0])
            assert np.linalg.eigvalsh(half, UPLO="U")[0] >= LEAST - 20 * k * U


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.floats(0, 7))
def test_the_bound_of_the_smallest_eigenvalue_is_one_and_is_near(seed, k, log_condition):
    A = correlated(np.random.default_rng(seed), k + 20, k, 10 ** (log_condition / 2))
    unit, _ = _unit(np.asfortranarray(A.T @ A))
    found, true = eigenvalue_bound(unit), np.linalg.eigvalsh(unit)[0]
    assert found <= true + 20 * k * U  # eigvalsh rounds, too
    assert found >= 0.3 * true - 3 * k * (k + 1) * U


@pytest.mark.parametrize("correlation", [0.0, 0.9, 0.99])
def test_what_is_allowed_for_rounding_grows_with_the_correlation_as_it_has_to(correlation):
    """Eq. (7.4): k(m + b + k + 3)u/2λ for b blocks of m rows, λ the least eigenvalue."""
    rng = np.random.default_rng(0)
    m, blocks, k = 1000, 20, 4
    x, z, e = rng.standard_normal((3, m * blocks))
    z = correlation * x + np.sqrt(1 - correlation**2) * z
    rows = np.column_stack([np.ones(m * blocks), x, z, e])
    least = np.linalg.eigvalsh(np.corrcoef(rows[:, 1:].T))[0]
    gram = k * (m + blocks + k + 3) * 2.0**-53 / (2 * least)
    solve = 2 * k * np.sqrt(k / least) * 2.0**-53
    epsilon = fold(np.split(rows, blocks), k).epsilon
    # λ is that of a centre from 256 rows, off by a few per cent, and bounded to a factor of 0.49
    assert 0.8 * gram <= epsilon <= 1.2 * (gram + solve) / 0.49
