"""Least absolute deviations against rational arithmetic, linear programming and the median."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

import mlreg as ml
from mlreg.likelihood.blocks import ArraySource, Block
from mlreg.subgradient import least_absolute

U = 2.0**-53


def exact(X, y, **weights):
    likelihood = ml.LinearLikelihood.from_source(ArraySource(X, y, **weights), ml.Laplace())
    return ml.Exact().minimize(likelihood), likelihood


def loss(X, y, beta, c=1.0):
    return float(np.sum(c * np.abs(y - X @ beta)))


def solve(A, b):
    """Of p rational equations; None where there is no unique solution."""
    p, rows = len(A), [[*row, v] for row, v in zip(A, b, strict=True)]
    for j in range(p):
        pivot = next((i for i in range(j, p) if rows[i][j]), None)
        if pivot is None:
            return None
        rows[j], rows[pivot] = rows[pivot], rows[j]
        rows[j] = [v / rows[j][j] for v in rows[j]]
        for i in range(p):
            if i != j and rows[i][j]:
                rows[i] = [v - rows[i][j] * w for v, w in zip(rows[i], rows[j], strict=True)]
    return tuple(row[-1] for row in rows)


def rational(X, y, c):
    """Least loss, and all vertices that have it, by trying all vertices."""
    A = [[Fraction(v) for v in row] for row in X.tolist()]
    b, c = [Fraction(v) for v in y.tolist()], [Fraction(v) for v in np.asarray(c).tolist()]
    found = {}
    for chosen in itertools.combinations(range(len(b)), X.shape[1]):
        beta = solve([A[i] for i in chosen], [b[i] for i in chosen])
        if beta is not None and beta not in found:
            left = (v - sum(map(Fraction.__mul__, row, beta)) for row, v in zip(A, b, strict=True))
            found[beta] = sum((k * abs(r) for k, r in zip(c, left, strict=True)), Fraction(0))
    least = min(found.values())
    return least, [beta for beta, value in found.items() if value == least]


@st.composite
def small(draw):
    """Whole numbers, of which many are equal: ties, degenerate vertices, several solutions."""
    p, n = draw(st.integers(1, 3)), draw(st.integers(1, 9))
    most = draw(st.sampled_from([1, 2, 9]))
    X = np.array(draw(st.lists(st.lists(st.integers(-most, most), min_size=p, max_size=p),
                               min_size=n, max_size=n)), dtype=float)  # fmt: skip
    y = np.array(draw(st.lists(st.integers(-most, most), min_size=n, max_size=n)), dtype=float)
    k = np.ones(n)
    if draw(st.booleans()):
        k = np.array(draw(st.lists(st.integers(1, 4), min_size=n, max_size=n)), dtype=float)
    return X, y, k


@settings(max_examples=300)
@given(problem=small())
def test_of_whole_numbers_it_is_the_rational_solution(problem):
    X, y, k = problem
    if len(y) < X.shape[1] or np.linalg.matrix_rank(X) < X.shape[1]:
        return
    found, likelihood = exact(X, y, frequency=k)
    least, vertices = rational(X, y, k)
    if not least:
        assert found.status.code == "perfect-fit"
        return
    if found.status.code == "perfect-fit":  # as many observations as coefficients
        assert k.sum() <= X.shape[1]
        return
    assert found.status.code == "converged", found.status
    assert found.certificate.converged
    solution = least_absolute(likelihood, found.theta[:-1])
    assert solution.unique == (len(vertices) == 1)
    for j in range(X.shape[1]):
        values = [vertex[j] for vertex in vertices]
        for got, true in zip(solution.limits[j], (min(values), max(values)), strict=True):
            assert abs(Fraction(got) - true) <= Fraction(solution.bound[j])
        assert solution.limits[j][0] <= found.theta[j] <= solution.limits[j][1]
    # the point that is given is optimal: roundings of p terms in each row
    size = float(np.sum(k * (np.abs(y) + np.abs(X) @ np.abs(found.theta[:-1]))))
    assert abs(loss(X, y, found.theta[:-1], k) - float(least)) <= 16 * U * size
    assert abs(found.theta[-1] - math.log(float(least) / k.sum())) <= 16 * U * size / float(least)


def linear_program(X, y, c):
    n, p = X.shape
    A = np.hstack([X, np.eye(n), -np.eye(n)])
    bounds = [(None, None)] * p + [(0, None)] * (2 * n)
    return linprog(np.r_[np.zeros(p), c, c], A_eq=A, b_eq=y, bounds=bounds).fun


KINDS = ["laplace", "cauchy", "whole", "skew", "outliers", "dummies"]


def problem(kind, seed, n, p):
    rng = np.random.default_rng(seed)
    X = np.column_stack([np.ones(n), rng.standard_normal((n, p - 1))])
    y = X.sum(axis=1) + rng.laplace(size=n)
    if kind == "cauchy":
        y = X.sum(axis=1) + rng.standard_cauchy(n)
    if kind == "whole":
        X[:, 1:], y = rng.integers(0, 4, (n, p - 1)), rng.integers(0, 5, n).astype(float)
    if kind == "skew":
        X[:, 1:] = np.exp(2 * X[:, 1:])
        y = X.sum(axis=1) + rng.laplace(size=n)
    if kind == "outliers":
        y[: n // 10] = rng.choice([-1e15, 1e15, 3e12], n // 10)
    if kind == "dummies":
        X[:, 1:] = rng.integers(0, p, n)[:, None] == np.arange(1, p)
        y = np.round(2 * y)
    return X, y, rng


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(5, 2), (40, 4), (400, 7)])
@settings(max_examples=4)
@given(seed=st.integers(0, 2**32 - 1), weighted=st.booleans())
def test_no_larger_than_a_linear_program_finds(kind, shape, seed, weighted):
    X, y, rng = problem(kind, seed, *shape)
    if np.linalg.matrix_rank(X) < shape[1]:
        return
    weights, c = {}, np.ones(len(y))
    if weighted:
        weights = {
            "frequency": rng.integers(1, 4, len(y)),
            "precision": rng.uniform(0.1, 9, len(y)),
        }
        c = weights["frequency"] * np.sqrt(weights["precision"])
    found, likelihood = exact(X, y, **weights)
    if found.status.code == "perfect-fit":
        return
    assert found.status.code == "converged", found.status
    value, theirs = loss(X, y, found.theta[:-1], c), linear_program(X, y, c)
    size = float(np.sum(c * (np.abs(y) + np.abs(X) @ np.abs(found.theta[:-1]))))
    assert value <= theirs + 1e-7 * size  # HiGHS' own tolerance
    assert value >= theirs - 1e-7 * size
    mean = likelihood.nll(found.theta) / likelihood.n_rows
    assert abs(mean - found.history.mean_nll[-1]) <= 1e-9 * (1 + abs(mean))
    assert found.reads == likelihood.reads - 1


def proof(X, y, c, beta, basis=None):
    """Bound on what is missing: by numbers in [−c, c], orthogonal to X, that NumPy finds alone."""
    r = y - X @ beta
    zero = np.argsort(np.abs(r))[: X.shape[1]] if basis is None else basis
    u = c * np.sign(r)
    u[zero] = 0
    u[zero] = np.linalg.solve(X[zero].T, -X.T @ u)
    return float(np.max(np.abs(u) - c)), float(c @ np.abs(r) - u @ y)


@pytest.mark.parametrize("kind", ["laplace", "cauchy", "skew", "outliers"])
@pytest.mark.parametrize("shape", [(1000, 3), (4000, 3), (60_000, 12)])
def test_multipliers_prove_it_of_many_rows(kind, shape):
    X, y, _ = problem(kind, 1, *shape)
    found, likelihood = exact(X, y)
    assert found.status.code == "converged", found.status
    beyond, missing = proof(X, y, np.ones(len(y)), found.theta[:-1])
    assert beyond <= 1e-6  # the conditions hold to the rounding of a sum over the rows
    size = float(np.sum(np.abs(y)))
    assert abs(missing) <= 1e-9 * size
    assert likelihood.reads <= 12


def test_statsmodels_has_no_smaller_loss():
    quantile = pytest.importorskip("statsmodels.regression.quantile_regression")
    X, y, _ = problem("laplace", 3, 500, 5)
    theirs = quantile.QuantReg(y, X).fit(q=0.5).params
    found, _ = exact(X, y)
    assert loss(X, y, found.theta[:-1]) <= loss(X, y, theirs) * (1 + 1e-12)
    assert found.theta[:-1] == pytest.approx(theirs, abs=1e-4)  # where its iteration stops


@pytest.mark.parametrize("n", [1, 2, 3, 10, 11, 1999, 5000])
def test_of_a_constant_it_is_the_median(n):
    y = np.random.default_rng(n).standard_cauchy(n)
    found, _ = exact(np.ones((n, 1)), y)
    if n == 1:
        assert found.status.code == "perfect-fit"
        return
    middle = np.sort(y)[[(n - 1) // 2, n // 2]].tolist()
    assert abs(found.theta[0] - np.median(y)) <= 2 * U * max(map(abs, middle))
    said = f"'x1' from {middle[0]!r} to {middle[1]!r}"
    assert (said in found.status.message) == (n % 2 == 0)


@given(
    k=st.lists(st.integers(1, 10**7), min_size=2, max_size=30),
    seed=st.integers(0, 2**32 - 1),
)
def test_of_weighted_constants_it_is_the_weighted_median(k, seed):
    y = np.random.default_rng(seed).permutation(len(k)).astype(float)
    found, likelihood = exact(np.ones((len(k), 1)), y, frequency=np.array(k))
    order = np.argsort(y)
    below = np.cumsum(np.array(k)[order])
    low = y[order][np.searchsorted(2 * below, below[-1])]
    high = y[order][np.searchsorted(2 * below, below[-1], side="right")]
    assert found.status.code == "converged", found.status
    assert least_absolute(likelihood, np.zeros(1)).limits[0].tolist() == [low, high]


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_of_frequency_k_is_k_rows(kind):
    X, y, rng = problem(kind, 5, 60, 4)
    k = rng.integers(1, 5, 60)
    one, many = exact(X, y, frequency=k)[0], exact(np.repeat(X, k, axis=0), np.repeat(y, k))[0]
    scale = np.exp(one.theta[-1]) if kind != "outliers" else 1
    assert one.theta == pytest.approx(many.theta, abs=1e-12 * scale)


@pytest.mark.parametrize("kind", ["laplace", "cauchy", "skew"])
@pytest.mark.parametrize("n", [50, 5000])
def test_shifts_units_and_the_order_of_rows_do_not_matter(kind, n):
    X, y, rng = problem(kind, 6, n, 3)
    base, _ = exact(X, y)
    D, shift, b = np.array([1.0, 1e9, 1e-9]), np.array([8.0, -2.0, 4.0]), -1024.0
    order = rng.permutation(n)
    moved, _ = exact((X * D)[order], (X @ shift + b * y)[order])
    assert moved.status.code == base.status.code == "converged"
    # X·shift is rounded, which may move a vertex by that much
    expected = (b * base.theta[:-1] + shift) / D
    size = np.abs(X).max() * 16 + 1024 * np.abs(y).max()
    assert (np.abs(moved.theta[:-1] - expected) * D <= 1e3 * U * size).all()


class Cut:
    """A source that can only be read in blocks of some size, and counts what is held."""

    def __init__(self, X, y, size):
        self.X, self.y, self.size = X, y, size
        self.names = tuple(f"x{j}" for j in range(X.shape[1]))
        self.n_rows, self.rereadable = None, True

    def blocks(self, size=None, rng=None):
        for start in range(0, len(self.y), self.size):
            rows = slice(start, start + self.size)
            yield Block(self.X[rows].copy(), self.y[rows].copy())


@pytest.mark.parametrize("kind", ["laplace", "skew", "whole"])
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_blocks_do_not_matter(kind, size):
    X, y, _ = problem(kind, 7, 2000, 3)
    whole, _ = exact(X, y)
    likelihood = ml.LinearLikelihood.from_source(Cut(X, y, size), ml.Laplace())
    parts = ml.Exact().minimize(likelihood)
    assert parts.status.code == whole.status.code
    assert parts.theta == pytest.approx(whole.theta, abs=1e-12)


def test_memory_is_a_few_blocks_and_a_band():
    import tracemalloc

    rng = np.random.default_rng(0)
    X = rng.standard_normal((500_000, 8))
    y = X.sum(axis=1) + rng.laplace(size=500_000)
    likelihood = ml.LinearLikelihood(X, y, noise=ml.Laplace())
    tracemalloc.start()
    found = ml.Exact().minimize(likelihood)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.status.code == "converged"
    assert peak < 0.7 * X.nbytes


def test_several_solutions_of_a_design():
    # two groups of an even number each: any pair of medians
    X = np.column_stack([np.ones(8), np.repeat([0.0, 1.0], 4)])
    y = np.array([1.0, 2, 4, 9, 0, 5, 6, 20])
    found, _ = exact(X, y)
    assert "not unique" in found.status.message
    assert "'x1' from 2.0 to 4.0; 'x2' from 1.0 to 4.0" in found.status.message
    assert 2 <= found.theta[0] <= 4
    assert 5 <= found.theta[:2].sum() <= 6
    assert found.theta[-1] == pytest.approx(np.log((1 + 2 + 7 + 5 + 1 + 15) / 8), abs=1e-12)


def test_hostile_designs():
    X, y, rng = problem("laplace", 8, 40, 3)
    near = X.copy()
    near[:, 2] = near[:, 1] + 1e-8 * near[:, 2]
    for y_of in (X[:, 1] + rng.laplace(size=40), rng.standard_cauchy(40)):
        found, _ = exact(near, y_of)
        assert found.status.code == "converged", found.status
        beyond, missing = proof(near, y_of, np.ones(40), found.theta[:-1])
        assert beyond <= 1e-5
        assert abs(missing) <= 1e-6 * np.abs(y_of).sum()
    far = X + np.array([0, 1e9, 0])
    assert exact(far, y)[0].status.code == "converged"
    single = exact(X.astype(np.float32), y.astype(np.float32))[0]
    assert single.theta == pytest.approx(exact(X, y)[0].theta, abs=1e-4)
    for tiny in (1e-200, 1e200):
        assert exact(X * tiny, y)[0].theta[:-1] * tiny == pytest.approx(exact(X, y)[0].theta[:-1])
        assert exact(X, y * tiny)[0].theta[:-1] / tiny == pytest.approx(exact(X, y)[0].theta[:-1])
    for w in (1e-280, 1e280):
        found = exact(X, y, precision=np.full(40, w))[0]
        assert found.status.code == "converged"
        assert found.theta[:-1] == pytest.approx(exact(X, y)[0].theta[:-1], abs=1e-12)
    assert exact(X, np.full(40, 3.0))[0].status.code == "perfect-fit"
    assert exact(X, X @ [1.0, 2.0, 3.0])[0].status.code == "perfect-fit"
    assert exact(X[:3], y[:3])[0].status.code == "perfect-fit"
    assert exact(X[:4], y[:4])[0].status.code == "converged"
    with pytest.raises(ml.RankDeficient, match="2 rows cannot determine"):
        exact(X[:2], y[:2])
    with pytest.raises(ml.RankDeficient, match="x3 = x2"):
        exact(X[:, [0, 1, 1]], y)


@pytest.mark.parametrize("n", [60, 6000])
def test_weights_over_decades_and_in_the_millions(n):
    X, y, rng = problem("laplace", 9, n, 3)
    precision, k = 10.0 ** rng.uniform(-6, 6, n), rng.integers(1, 5_000_000, n)
    found, _ = exact(X, y, precision=precision, frequency=k)
    assert found.status.code == "converged", found.status
    c = k * np.sqrt(precision)
    beyond, missing = proof(X, y, c, found.theta[:-1])
    assert beyond <= 1e-10 * c.sum()
    assert abs(missing) <= 1e-10 * float(c @ np.abs(y))


def test_rare_levels_are_not_in_a_sample():
    rng = np.random.default_rng(10)
    n = 20_000
    X = np.column_stack([np.ones(n), np.zeros((n, 3))])
    for j in range(3):
        X[10 * j : 10 * j + 4 + j, 1 + j] = 1
    y = rng.standard_cauchy(n)
    found, likelihood = exact(X, y)
    assert found.status.code == "converged", found.status
    limits = least_absolute(likelihood, found.theta[:-1]).limits
    for j in range(4):  # a median of each group
        rows = y[(X[:, 1:] == np.eye(4)[j, 1:]).all(axis=1)]
        low, high = np.sort(rows)[[(len(rows) - 1) // 2, len(rows) // 2]]
        assert low - 1e-9 <= found.theta[j] + (found.theta[0] if j else 0) <= high + 1e-9
    assert (limits[:, 0] <= found.theta[:-1]).all()


def test_other_noise_with_kinks_is_refused():
    class Own(ml.Laplace):
        pass

    X, y, _ = problem("laplace", 11, 20, 2)
    for noise, said in ((Own(), "this likelihood has"), (ml.Logistic(), r"Newton\(\) minimises")):
        with pytest.raises(ml.InvalidInput, match=said):
            ml.Exact().minimize(ml.LinearLikelihood(X, y, noise=noise))
    for optimizer in (ml.Newton(), ml.Scipy()):
        with pytest.raises(ml.InvalidInput, match=r"Exact\(\) finds the MLE of Laplace\(\)"):
            optimizer.minimize(ml.LinearLikelihood(X, y, noise=ml.Laplace()))


@pytest.mark.parametrize("seed", [1627, 3735, 1, 3])  # the first two once went on for ever
def test_a_solution_of_zeros_is_found(seed):
    """Most responses are zero, and the coefficients with them: nothing is left to halve."""
    rng = np.random.default_rng(seed)
    n, p = int(rng.integers(6, 40)), int(rng.integers(1, 6))
    X = rng.standard_normal((n, p))
    y = np.where(rng.random(n) < 0.65, 0.0, rng.laplace(size=n))
    solution = ml.Exact().minimize(ml.LinearLikelihood(X, y, noise=ml.Laplace()))
    assert solution.status.code == "converged", solution.status
    assert np.abs(y - X @ solution.theta[:-1]).sum() <= np.abs(y).sum() * (1 + 1e-12)


def test_two_vertices_that_are_minima_are_not_visited_in_turn():
    X, y, _ = problem("dummies", 157, 400, 7)
    found, _ = exact(X, y)
    assert found.status.code == "converged", found.status
    assert "not unique" in found.status.message
