"""Refinement against rational arithmetic."""

from fractions import Fraction
from math import ulp

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mlreg as ml
from mlreg import certificate
from mlreg.linalg import refine as module
from mlreg.linalg.refine import (
    _sum_along,
    _two_product,
    _two_sum,
    contraction,
    measured_contraction,
    refine,
)
from mlreg.linalg.triangle import of, solve_upper
from mlreg.verify import laws
from mlreg.verify.exact import least_squares
from mlreg.verify.strategies import designs

nearly_collinear = pytest.mark.filterwarnings("ignore::mlreg.errors.NumericalWarning")
numbers = st.floats(-1e6, 1e6)


@given(numbers, numbers)
def test_a_sum_and_a_product_and_what_they_leave_out_are_exact(a, b):
    for pair, exact in (
        (_two_sum(np.array(a), np.array(b)), Fraction(a) + Fraction(b)),
        (_two_product(np.array(a), np.array(b)), Fraction(a) * Fraction(b)),
    ):
        if exact == 0 or abs(exact) > 1e-250:  # a product's remainder must not underflow
            assert sum(Fraction(float(part)) for part in pair) == exact


@given(st.lists(numbers, min_size=1, max_size=40))
def test_sums_along_an_axis_have_twice_the_precision(values):
    high, low = _sum_along(np.array([values]), np.zeros((1, len(values))))
    exact = sum(map(Fraction, values))
    error = abs(Fraction(float(high[0])) + Fraction(float(low[0])) - exact)
    assert error <= len(values) * Fraction(2) ** -100 * sum(abs(Fraction(v)) for v in values)


def problem_in_units(problem):
    """Triangle, solution and rows of a problem, columns scaled by exact powers of two."""
    data = np.column_stack([problem.X, problem.y])
    triangle, p = of(data), problem.X.shape[1]
    rows = np.ldexp(data, -triangle.exponent)
    R = triangle.R[:p, :p]
    given = R, solve_upper(R, np.eye(p)), solve_upper(R, triangle.R[:p, p])
    return rows, given, float(np.linalg.norm(triangle.R[:, p])), triangle.epsilon


@given(designs(max_log_condition=10, max_log_unit=0, max_offset=1e4, max_rows=20), st.booleans())
def test_the_bound_holds_and_double_double_is_right_to_the_last_digit(problem, doubled):
    rows, given, norm_y, epsilon = problem_in_units(problem)
    X, y = rows[:, :-1], rows[:, -1]
    found = refine(lambda: [(X, y, [])], *given, norm_y, epsilon, doubled=doubled)
    if found is None:
        return
    exact = least_squares(X, y)
    for j, (b, low, truth) in enumerate(zip(found.beta, found.low, exact.params, strict=True)):
        spread = Fraction(np.linalg.norm(given[1][j]))  # the triangle's own, Eq. (7.6)
        bound = Fraction(found.bound[j]) * (1 + Fraction(2.0**-48))  # it is a rounded sum itself
        error = abs(Fraction(b) - truth) / spread
        assert error <= bound
        if doubled and np.linalg.cond(X / np.linalg.norm(X, axis=0)) < 1e7:  # to the last digit
            assert abs(Fraction(b) - truth) <= Fraction(np.spacing(abs(b))) / 2 * Fraction(1.001)
        # and known beyond it, as far as the bound says but for the last rounding
        beyond = abs(Fraction(b) + Fraction(low) - truth) / spread
        last = Fraction(2.0**-53 * abs(b)) / spread
        assert not doubled or beyond <= bound - last


def test_a_step_that_cannot_work_is_none():
    rng = np.random.default_rng(0)
    x = rng.standard_normal(20)
    X = np.column_stack([x, x + 1e-14 * rng.standard_normal(20)])
    R = np.linalg.qr(X)[1]
    inverse = np.linalg.inv(R)
    assert refine(lambda: [(X, x, [])], R, inverse, np.ones(2), 1.0, 1e-13, doubled=True) is None


def truly_contracted(X, inverse, weights):
    """‖I − V'X'WXV‖, exactly but for the last root."""
    A = [[Fraction(v) for v in row] for row in X.tolist()]
    V = [[Fraction(v) for v in row] for row in inverse.tolist()]
    p = range(len(V))
    rows = [[sum(a[k] * V[k][j] for k in p) for j in p] for a in A]
    gram = [
        [sum(w * r[i] * r[j] for w, r in zip(weights, rows, strict=True)) for j in p] for i in p
    ]
    return np.sqrt(float(sum((Fraction(i == j) - gram[i][j]) ** 2 for i in p for j in p)))


@given(designs(max_log_condition=13, max_log_unit=0, max_rows=20), st.integers(0, 2**32 - 1))
def test_the_measured_contraction_is_the_true_one_and_little_more(problem, seed):
    rows, (R, inverse, _), _, epsilon = problem_in_units(problem)
    X, y = rows[:, :-1], rows[:, -1]
    p = len(R)
    rng = np.random.default_rng(seed)
    few, wide = rng.integers(1, 3, len(y)).astype(float), rng.uniform(0.8, 1.2, len(y))
    for weights in ([], [few], [wide], [few, wide]):
        each = [Fraction(1)] * len(y)
        for w in weights:
            each = [a * Fraction(b) for a, b in zip(each, w.tolist(), strict=True)]
        true = truly_contracted(X, inverse, each)
        step = contraction(R, inverse, (p + 2) * 2.0**-53)  # its own rounding
        most = (true + 1e-13) + step * (1 + true + 1e-13)
        got = measured_contraction(lambda w=weights: [(X, y, w)], R, inverse)
        assert (true <= got <= most * (1 + 1e-12)) or (got == np.inf and most >= 0.5)
    got = measured_contraction(lambda: [(X, y, [])], R, inverse)
    assert got <= contraction(R, inverse, epsilon)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "AT_ONCE", 3 * p * p)
        halves = [(X[:2], y[:2], []), (X[2:], y[2:], [])]
        again = measured_contraction(lambda: halves, R, inverse)
    assert again == pytest.approx(got, rel=1e-9, abs=1e-14)


def test_a_matrix_that_whitens_nothing_contracts_nothing():
    X = np.random.default_rng(0).standard_normal((20, 2))
    R = np.linalg.qr(X)[1]
    inverse = np.linalg.inv(R)
    rows = [(X, X[:, 0], [])]
    assert measured_contraction(lambda: rows, R, inverse) < 1e-14
    assert measured_contraction(lambda: rows, R, 1.3 * inverse) == np.inf
    assert measured_contraction(lambda: rows, R, np.full((2, 2), np.nan)) == np.inf


@nearly_collinear
@given(designs(max_log_condition=14, max_log_unit=3, max_offset=10, max_rows=30))
def test_the_rounding_of_a_refined_fit_is_never_below_the_error_nor_far_above(problem):
    """Within a thousand times, where the error is more than the rounding of the result itself."""
    try:
        fit = ml.fit(problem.X, problem.y, intercept=False)
    except ml.RankDeficient:  # a solution that is all rounding
        return
    if fit.status.code == "perfect-fit":
        return
    assert fit.certificate.refined
    exact = problem.exact
    s2 = exact.rss / fit.df_resid
    for j, (b, truth) in enumerate(zip(fit.params.tolist(), exact.params, strict=True)):
        error = abs(Fraction(b) - truth)
        standard_error = Fraction(float(np.sqrt(float(s2 * exact.inverse[j][j]))))
        bound = Fraction(fit.certificate.rounding[j]) * standard_error
        assert error <= bound * Fraction(1 + 1e-12)
        assert error <= Fraction(ulp(b)) or bound <= 1000 * error


@pytest.mark.parametrize("power", [12, 13, 13.7])
def test_columns_that_pass_the_rank_test_by_little_are_right_to_the_last_digit(power):
    """Here the worst case of the triangle allows no refinement, and the rows do."""
    rng = np.random.default_rng(round(power))
    measured = 0
    for _ in range(5):
        left = np.linalg.qr(rng.standard_normal((30, 5)))[0]
        right = np.linalg.qr(rng.standard_normal((5, 5)))[0]
        X = left * np.logspace(0, -power, 5) @ right.T
        y = X.sum(axis=1) + 0.01 * rng.standard_normal(30)
        with pytest.warns(ml.NumericalWarning, match="nearly collinear"):
            fit = ml.fit(X, y, intercept=False)
        exact = least_squares(X, y)
        for j, (b, truth) in enumerate(zip(fit.params.tolist(), exact.params, strict=True)):
            assert abs(Fraction(b) - truth) <= Fraction(ulp(b)) * Fraction(0.51)
            square = exact.rss / 25 * exact.inverse[j][j]
            assert abs(Fraction(fit.std_errors[j]) ** 2 / square - 1) < Fraction(1, 10**14)
        R, epsilon = fit.least_squares.R, fit.least_squares.triangle.epsilon
        measured += contraction(R, fit.least_squares.inverse, epsilon) == np.inf
    assert measured == 5 or power < 13.5


def test_without_a_contraction_a_small_problem_keeps_its_worst_case(monkeypatch):
    monkeypatch.setattr(certificate, "measured_contraction", lambda *_: np.inf)
    x, z = np.random.default_rng(0).standard_normal((2, 30))
    with pytest.warns(ml.NumericalWarning):
        fit = ml.fit(np.column_stack([x, x + 1e-13 * z]), x + z)
    assert not fit.certificate.refined
    assert np.isinf(fit.certificate.rounding).all()


@nearly_collinear
@given(designs(max_log_condition=4, max_rows=30), st.integers(0, 2**32 - 1))
def test_weights_are_as_exact_as_rows(problem, seed):
    rng = np.random.default_rng(seed)
    n = len(problem.y)
    k, w = rng.integers(1, 5, n).astype(float), 10.0 ** rng.uniform(-3, 3, n)
    fit = ml.fit(problem.X, problem.y, intercept=False, frequency_weights=k, precision_weights=w)
    exact = least_squares(
        problem.X, problem.y, [Fraction(a) * Fraction(b) for a, b in zip(k, w, strict=True)]
    )
    assert fit.certificate.refined
    for b, truth in zip(fit.params, exact.params, strict=True):
        assert abs(Fraction(b) - truth) <= Fraction(np.spacing(abs(b))) * Fraction(0.51)


@nearly_collinear
@given(designs(max_log_condition=7, max_log_unit=3, max_rows=30))
def test_large_data_are_refined_in_one_more_pass_where_rounding_could_matter(problem):
    """The same problem as if it were large: its bound holds, and shrinks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(certificate, "SMALL", 0)
        patch.setattr(certificate, "TINY", 0)
        patch.setattr(certificate, "DOUBTFUL", 0.0)
        refined = ml.fit(problem.X, problem.y, intercept=False)
        laws.params_within_rounding(refined, problem.exact)
        patch.setattr(certificate, "DOUBTFUL", np.inf)
        plain = ml.fit(problem.X, problem.y, intercept=False)
        laws.params_within_rounding(plain, problem.exact)
    if plain.status.code == "converged":
        assert not plain.certificate.refined
        assert refined.certificate.refined
        assert (refined.certificate.rounding <= plain.certificate.rounding).all()


def test_standard_errors_to_the_last_digits():
    longley = ml.datasets.longley()
    fit = ml.fit(longley.X, longley.y)
    X = np.column_stack([np.ones(16), longley.X])
    exact = least_squares(X, longley.y)
    for j, se in enumerate(fit.std_errors):
        square = exact.rss / 9 * exact.inverse[j][j]
        assert abs(Fraction(se) ** 2 / square - 1) < Fraction(1, 10**15)


@pytest.mark.parametrize("doubled", [False, True])
@pytest.mark.parametrize("off", [0.0, 0.5])
def test_blocks_are_refined_as_their_rows_and_the_norm_of_the_residual_is_exact(doubled, off):
    """From a start that is off, too: the last step is taken out of the residual (Pythagoras)."""
    rng = np.random.default_rng(0)
    n = 60
    X = np.column_stack([np.ones(n), rng.integers(-9, 10, (n, 2))])
    y, weights = rng.integers(-9, 10, n).astype(float), rng.integers(1, 4, n).astype(float)
    exact = least_squares(X, y, [Fraction(w) for w in weights.tolist()])
    triangle = of(np.column_stack([X, y]) * np.sqrt(weights)[:, None])
    whole = np.ldexp(triangle.R, triangle.exponent)
    R, start = whole[:3, :3], solve_upper(whole[:3, :3], whole[:3, 3] + off)
    given = R, solve_upper(R, np.eye(3)), start, float(np.linalg.norm(whole[:, 3]))
    for parts in ([slice(None)], [slice(0, 1), slice(1, 30), slice(30, None)]):
        rows = [(X[i], y[i], [weights[i]]) for i in parts]
        found = refine(lambda rows=rows: rows, *given, triangle.epsilon, doubled=doubled)
        # sums of 60 terms; the start's distance is known as well as the triangle is
        unit = 2.0**-53 * (8 if doubled else 2 * n) + (0 if doubled else triangle.epsilon)
        assert abs(found.norm_r / np.sqrt(float(exact.rss)) - 1) <= unit
        for j, truth in enumerate(exact.params):
            error = abs(Fraction(found.beta[j]) - truth)
            assert error <= Fraction(found.bound[j] * np.linalg.norm(given[1][j]))
