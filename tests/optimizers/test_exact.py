import math
from fractions import Fraction

import numpy as np
import pytest

import mlreg as ml
from mlreg.likelihood.blocks import ArraySource
from mlreg.verify.exact import least_squares

S = ml.SufficientStatistics


def test_one_pass_to_solve_and_one_to_certify(textbook):
    fit = ml.fit(*textbook)
    assert fit.reads == 2
    assert fit.status.code == "converged"


def test_at_a_million_rows_no_copy_is_made():
    import tracemalloc

    rng = np.random.default_rng(0)
    X = rng.standard_normal((1_000_000, 5))
    y = X.sum(axis=1) + rng.standard_normal(1_000_000)
    tracemalloc.start()
    fit = ml.fit(X, y)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < X.nbytes / 10
    assert (np.abs(fit.params - [0, 1, 1, 1, 1, 1]) < 6 * fit.std_errors).all()


def test_direct_use_without_fit(textbook):
    X, y = textbook
    likelihood = ml.LinearLikelihood.from_source(ArraySource(X, y, intercept=True))
    solution = ml.Exact().minimize(likelihood)
    assert (solution.theta[:-1] == ml.fit(X, y).params).all()
    assert solution.reads == 2


def test_dependent_columns_are_refused_without_fit_too():
    likelihood = ml.LinearLikelihood(np.ones((4, 2)), np.arange(4.0))
    with pytest.raises(ml.RankDeficient, match="x2 = x1"):
        ml.Exact().minimize(likelihood)


def test_rounding_that_moves_the_solution_is_said():
    rng = np.random.default_rng(0)
    x, z = rng.standard_normal((2, 30))
    X = np.column_stack([x, x + 1e-13 * z])
    y = x + 0.1 * z
    with pytest.warns(ml.NumericalWarning) as caught:
        fit = ml.fit(S().update(X, y))
    said = " ".join(str(w.message) for w in caught)
    assert "nearly collinear" in said
    assert "rounding may have moved" in said
    assert fit.certificate.rounding.max() > 0.1
    with pytest.warns(ml.NumericalWarning) as caught:  # the rows can be asked again
        fit = ml.fit(X, y)
    said = " ".join(str(w.message) for w in caught)
    assert "nearly collinear" in said
    assert "right to the last digit of float64, and that digit is worth" in said
    assert fit.certificate.refined
    truth = least_squares(np.column_stack([np.ones(30), X]), y).params
    for value, exact in zip(fit.params.tolist(), truth, strict=True):
        assert abs(Fraction(value) - exact) <= Fraction(math.ulp(value))


def test_where_rounding_has_no_bound_nothing_is_claimed():
    rng = np.random.default_rng(1)
    x, z = rng.standard_normal((2, 30))
    X, y = np.column_stack([x, x + 3e-14 * z]), x + rng.standard_normal(30)
    with pytest.warns(ml.NumericalWarning, match="nearly collinear"):
        assert ml.fit(X, y).status.code == "converged"  # with the rows there is one
    with pytest.warns(ml.NumericalWarning):
        fit = ml.fit(S().update(X, y))
    assert np.isinf(fit.certificate.rounding).all()
    assert fit.status.code == "stopped"
    assert "rounding has moved the solution" in fit.status.message
