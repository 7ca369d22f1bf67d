import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlreg.linalg.fold import fold
from mlreg.linalg.rank import rank_report, readable
from mlreg.linalg.triangle import of


def report(X):
    t = of(np.asarray(X, dtype=float))
    return rank_report(t.R, t.exponent, t.n_rows, t.blur)


@given(st.data())
def test_dependent_columns_are_found_with_their_combination(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    n, p = data.draw(st.integers(6, 30)), data.draw(st.integers(1, 4))
    X = rng.standard_normal((n, p)) * 10.0 ** rng.integers(-9, 10, p)
    coefficients = rng.integers(1, 9, p) / np.abs(X).max(axis=0)
    at = data.draw(st.integers(1, p)) if p > 1 else 1
    extra = X[:, :at] @ coefficients[:at]
    found = report(np.column_stack([X[:, :at], extra, X[:, at:]]))
    assert found.rank == p
    assert [d.column for d in found.dependent] == [at]
    terms = {j: c for c, j in found.dependent[0].terms}
    assert sorted(terms) == list(range(at))
    parts = np.column_stack([terms[j] * X[:, j] for j in range(at)])
    size = np.linalg.norm(extra) + np.linalg.norm(parts, axis=0).sum()
    bound = (16 * (p + 1) + 2 * n) * 2.0**-53 * size / found.smallest
    assert np.linalg.norm(extra - parts.sum(axis=1)) <= bound


def test_the_first_columns_stay():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 12))
    X = np.column_stack([np.ones(12), np.full(12, 5.0), a, 0 * a, b, a - 2 * b, 3 * a])
    found = report(X)
    assert found.kept == (0, 2, 4)
    names = ["Intercept", "c", "a", "zero", "b", "d", "e"]
    assert found.describe(names) == (
        "c is constant, c = 5*Intercept; zero is zero in every row; d = a - 2*b; e = 3*a"
    )


def test_fewer_rows_than_columns():
    found = report(np.random.default_rng(1).standard_normal((3, 50)))
    assert found.rank == 3
    assert found.kept == (0, 1, 2)
    assert found.n_rows == 3


def test_kahans_matrix_has_no_small_pivot_and_is_still_seen():
    n, theta = 90, 1.2
    s, c = np.sin(theta), np.cos(theta)
    kahan = np.diag(s ** np.arange(n)) @ (np.eye(n) - c * np.triu(np.ones((n, n)), 1))
    unit = kahan / np.linalg.norm(kahan, axis=0)
    assert np.linalg.svd(unit, compute_uv=False)[-1] < 16 * n * 2.0**-53
    found = report(kahan)
    assert found.rank < n
    assert found.smallest > found.cutoff


@pytest.mark.parametrize(
    ("angle", "rank", "doubtful"), [(1e-15, 1, False), (1e-13, 2, True), (1e-9, 2, False)]
)
def test_cutoff_and_doubt(angle, rank, doubtful):
    rng = np.random.default_rng(2)
    q, _ = np.linalg.qr(rng.standard_normal((20, 2)))
    found = report(np.column_stack([q[:, 0], q[:, 0] + angle * q[:, 1]]))
    assert (found.rank, found.doubtful) == (rank, doubtful)


@pytest.mark.parametrize(
    ("value", "text"),
    [(2.0, "2"), (1 / 3, "1/3"), (0.25, "0.25"), (1000.5, "1000.5"), (np.pi, "3.14159"),
     (0.0, "0"), (1.5, "1.5"), (1e-7, "1e-07"), (2 - 1e-14, "2"),
     (1 / 6, "1/6"), (2 / 7, "2/7"), (4 / 9, "4/9"), (5 / 12, "5/12"), (0.4, "0.4"),
     (0.37, "0.37"), (12.345, "12.345"), (99999 / 7, "14285.6"), (np.inf, "inf"), (np.nan, "nan")],
)  # fmt: skip
def test_readable(value, text):
    assert readable(value) == text


@pytest.mark.parametrize("n", [1000, 20_000, 300_000])
def test_dependent_columns_are_found_at_any_length(n):
    """Rounding of the fold grows with the rows; the cutoff has to keep above it."""
    rng = np.random.default_rng(n)
    x, z = rng.standard_normal((2, n))
    town = rng.integers(0, 3, n)
    ones = np.ones(n)
    for columns in (
        [ones, x, ones],
        [ones, x, town == 0, town == 1, town == 2],
        [ones, x, z, x - 2 * z],
        [ones, 1e9 + x, z, 2e9 + 2 * x],
        [ones, x, 1e-9 * x, z],
    ):
        X = np.column_stack(columns).astype(float)
        t = fold(np.array_split(X, max(1, n // 1024)), X.shape[1])
        found = rank_report(t.R, t.exponent, t.n_rows, t.blur)
        assert found.rank == X.shape[1] - 1
        assert not found.doubtful


@pytest.mark.parametrize("n", [60, 5000])
def test_offsets_do_not_hide_which_column_is_redundant(n):
    """Left to right, and what is said of the columns is true."""
    rng = np.random.default_rng(n)
    t, z = rng.integers(0, 50, n).astype(float), rng.integers(-5, 5, n).astype(float)
    one, year = np.ones(n), 2000.0 + t
    for columns, redundant in (
        ([one, year, year**2, t], 3),
        ([one, 1e8 + z, z], 2),
        ([one, z, 1e8 + z], 2),
        ([one, year, z, year - z, t], 3),
    ):
        X = np.column_stack(columns)
        found = report(X)
        dependence = found.dependent[0]
        assert dependence.column == redundant
        parts = np.column_stack([c * X[:, j] for c, j in dependence.terms])
        size = np.linalg.norm(parts, axis=0).sum()
        assert np.linalg.norm(X[:, redundant] - parts.sum(axis=1)) <= 1e-9 * size


def test_combinations_that_begin_with_a_minus_or_are_many():
    a, b = np.random.default_rng(0).standard_normal((2, 12))
    found = report(np.column_stack([a, b, b - 2 * a, -a]))
    assert found.describe("abcd") == "c = -2*a + b; d = -a"
    found = report(np.column_stack([a, *(k * a for k in range(2, 12))]))
    text = found.describe("abcdefghijk")
    assert text.startswith("b = 2*a; c = 3*a; ")
    assert text.endswith("; i = 9*a; and 2 more")


def test_columns_of_zeros_leave_nothing():
    found = report(np.zeros((5, 2)))
    assert (found.rank, found.kept, found.smallest, found.doubtful) == (0, (), 1.0, False)


@pytest.mark.parametrize("p", [3, 32, 33, 60])
@pytest.mark.parametrize("angle", [1.0, 1e-2, 1e-5])
def test_the_smallest_singular_value_is_that_of_unit_columns(p, angle):
    """Far from any cutoff to a few per cent and never below; nearer, to its rounding."""
    X = np.random.default_rng(p).standard_normal((100, p))
    X[:, -1] = X[:, 0] + angle * X[:, -1]
    X *= 10.0 ** np.linspace(-5, 5, p)
    true = np.linalg.svd(X / np.linalg.norm(X, axis=0), compute_uv=False)[-1]
    error = 16 * (p + 100) * 2.0**-53  # of the singular values of unit columns, absolute
    near = 0.05 * true if p > 32 and true > 1e-3 else 0.0
    assert -error <= report(X).smallest - true <= near + error
