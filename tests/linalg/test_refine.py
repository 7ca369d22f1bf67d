"""Refinement against rational arithmetic."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mlreg as ml
from mlreg import certificate
from mlreg.linalg.refine import _sum_along, _two_product, _two_sum, refine
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
        spread = Fraction(np.sqrt(float(exact.inverse[j][j])))
        error = abs(Fraction(b) - truth) / spread
        assert error <= Fraction(found.bound[j]) * Fraction(1 + 1e-9)
        if doubled and np.linalg.cond(X / np.linalg.norm(X, axis=0)) < 1e7:  # to the last digit
            assert abs(Fraction(b) - truth) <= Fraction(np.spacing(abs(b))) / 2 * Fraction(1.001)
        # and known beyond it, as far as the bound says but for the last rounding
        beyond = abs(Fraction(b) + Fraction(low) - truth) / spread
        last = Fraction(2.0**-53 * abs(b)) / spread
        assert not doubled or beyond <= (Fraction(found.bound[j]) - last) * Fraction(1 + 1e-6)


def test_a_step_that_cannot_work_is_none():
    rng = np.random.default_rng(0)
    x = rng.standard_normal(20)
    X = np.column_stack([x, x + 1e-14 * rng.standard_normal(20)])
    R = np.linalg.qr(X)[1]
    inverse = np.linalg.inv(R)
    assert refine(lambda: [(X, x, [])], R, inverse, np.ones(2), 1.0, 1e-13, doubled=True) is None


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
