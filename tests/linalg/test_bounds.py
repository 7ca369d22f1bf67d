import numpy as np
import pytest

from mlreg.linalg.bounds import coefficient_bound, residual_bound
from mlreg.linalg.triangle import merge, of, scale_columns

U = 2.0**-53


def test_bound_is_the_formula_and_free_of_units():
    rng = np.random.default_rng(0)
    R = np.linalg.qr(rng.standard_normal((9, 3)), mode="r")
    # ε = 2⁻⁴³ as a factor, for it is exact: pytest's own absolute tolerance is above 1e-13
    beta, norm_y, norm_r, epsilon = rng.standard_normal(3), 7.0, 2.0, 2.0**-43
    G, norms = np.linalg.inv(R.T @ R), np.linalg.norm(R, axis=0)
    size = norm_y + norms @ np.abs(beta)
    assert residual_bound(R, beta, norm_y, epsilon) / epsilon == pytest.approx(size, rel=1e-14)
    expected = size + np.abs(G) @ norms * norm_r / np.sqrt(np.diagonal(G))
    found = coefficient_bound(R, beta, norm_y, norm_r, epsilon)
    assert found / epsilon == pytest.approx(expected, rel=1e-9)  # 1/(1 - κ), κ of 1e-12 here
    scaled = coefficient_bound(R * [1, 1024, 0.25], beta / [1, 1024, 0.25], norm_y, norm_r, epsilon)
    assert scaled / epsilon == pytest.approx(found / epsilon, rel=1e-13)


def test_an_inverse_that_is_known_is_taken():
    R = np.array([[2.0, 1.0], [0.0, 0.5]])
    known = np.array([[0.5, -1.0], [0.0, 2.0]])
    usual = coefficient_bound(R, np.ones(2), 1.0, 3.0, 0.01)
    assert (coefficient_bound(R, np.ones(2), 1.0, 3.0, 0.01, known) == usual).all()
    # the bound grows with it: a larger one is seen
    assert (coefficient_bound(R, np.ones(2), 1.0, 3.0, 0.01, 2 * known) > usual).all()
    # one column of unit norm: κ is ε itself
    one = np.ones((1, 1))
    assert np.isinf(coefficient_bound(one, np.ones(1), 1.0, 1.0, 0.5))
    assert np.isfinite(coefficient_bound(one, np.ones(1), 1.0, 1.0, 0.5 - U))


def test_higher_orders_are_allowed_for_and_then_nothing_is_claimed():
    R = np.array([[1.0, 1.0], [0.0, 1e-6]])
    unit = R / np.linalg.norm(R, axis=0)
    kappa = np.linalg.norm(np.linalg.inv(unit)) * np.sqrt(2)
    small, half = 1e-12, 0.5 / kappa
    first = coefficient_bound(R, np.ones(2), 1.0, 1.0, small) / small * (1 - small * kappa)
    near = coefficient_bound(R, np.ones(2), 1.0, 1.0, 0.49 / kappa) / (0.49 / kappa)
    assert near == pytest.approx(first / 0.51, rel=1e-9)
    assert np.isinf(coefficient_bound(R, np.ones(2), 1.0, 1.0, half * 1.001)).all()
    assert np.isinf(coefficient_bound(R, np.ones(2), 1.0, 1.0, np.nan)).all()


def test_epsilon_counts_columns_and_rows():
    a, b = (of(np.ones((rows, 3))) for rows in (5, 9))
    assert a.epsilon == a.blur == (16 * 3 + 5) * U
    assert merge(a, b).epsilon == (16 * 3 + 9 + 16 * 3) * U


def test_scaling_further_than_one_shift_reaches():
    a = np.array([2.0**-1000, 3 * 2.0**-990])
    assert (scale_columns(a, np.array([2001, 2000])) == [2.0**1001, 3 * 2.0**1010]).all()
    assert (
        scale_columns(scale_columns(a, np.array([2001, 2000])), -np.array([2001, 2000])) == a
    ).all()
