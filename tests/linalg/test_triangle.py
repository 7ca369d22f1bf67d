import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlreg.linalg.fold import fold
from mlreg.linalg.triangle import (
    norm,
    qr_triangle,
    scale_columns,
    solve_upper,
    unit_columns,
)

U = 2.0**-53


@st.composite
def matrices(draw):
    n, k = draw(st.integers(0, 30)), draw(st.integers(1, 5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return rng.standard_normal((n, k)) * 10.0 ** rng.integers(-9, 10, k)


def folded(a, cuts):
    return fold(np.split(a, sorted(cuts)), a.shape[1])


@given(matrices(), st.lists(st.integers(0, 30), max_size=4))
def test_any_chunking_gives_the_same_inner_products(a, cuts):
    triangle = folded(a, [min(c, len(a)) for c in cuts])
    R = scale_columns(triangle.R, triangle.exponent)
    assert triangle.n_rows == len(a)
    norms = np.linalg.norm(a, axis=0)
    bound = 2 * (triangle.epsilon + len(a) * U) * np.outer(norms, norms)
    assert (np.abs(R.T @ R - a.T @ a) <= bound).all()
    assert (np.tril(R, -1) == 0).all()
    assert (np.diagonal(R) >= 0).all()


@pytest.mark.parametrize("power", [-1060, -700, 0, 700, 1020])
def test_powers_of_two_change_the_exponents_only(power):
    a = np.random.default_rng(1).standard_normal((9, 3))
    small = scale_columns(a, np.array([power, 0, 0]))
    if power == -1060:  # subnormal numbers have lost digits already: take what is left
        a = scale_columns(small, np.array([-power, 0, 0]))
    one, other = folded(a, [4]), folded(small, [4])
    assert (one.R == other.R).all()
    assert (other.exponent - one.exponent).tolist() == [power, 0, 0]


def test_rows_of_very_different_size_meet():
    a = np.array([[1e-200, 1.0], [3.0, 1e200]])
    triangle = folded(a, [1])
    R = scale_columns(triangle.R, triangle.exponent)
    assert R[0, 0] == 3.0
    assert abs(R[0, 1] - 1e200) <= 4 * U * 1e200
    assert np.isfinite(R).all()


def test_qr_triangle_of_degenerate_shapes():
    assert qr_triangle(np.zeros((0, 3))).shape == (0, 3)
    assert qr_triangle(np.ones((1, 3))).tolist() == [[1.0, 1.0, 1.0]]
    assert qr_triangle(np.zeros((4, 2))).tolist() == [[0.0, 0.0], [0.0, 0.0]]


def test_solve_upper():
    R = np.array([[2.0, 1.0], [0.0, 4.0]])
    assert solve_upper(R, np.array([4.0, 8.0])).tolist() == [1.0, 2.0]
    assert solve_upper(R, np.array([4.0, 10.0]), transpose=True).tolist() == [2.0, 2.0]
    assert solve_upper(np.zeros((0, 0)), np.zeros(0)).shape == (0,)


def test_norm_does_not_overflow():
    assert norm(np.array([3e200, 4e200])) == pytest.approx(5e200, rel=4 * U)
    assert norm(np.array([3e-200, 4e-200])) == pytest.approx(5e-200, rel=4 * U)
    assert norm(np.zeros(3)) == 0
    assert norm(np.array([np.inf, 1.0])) == np.inf
    assert norm(np.zeros(0)) == 0


def test_unit_columns_leave_a_zero_column():
    unit, norms = unit_columns(np.array([[3.0, 0.0], [4.0, 0.0]]))
    assert unit.tolist() == [[0.6, 0.0], [0.8, 0.0]]
    assert norms.tolist() == [5.0, 1.0]


@pytest.mark.parametrize("n", [1, 63, 64, 500])
@pytest.mark.parametrize("size", [1e-200, 1.0, 1e200])
def test_norm_of_equal_entries_is_their_size_times_the_root_of_their_number(n, size):
    assert abs(norm(np.full(n, -size)) / size / np.sqrt(n) - 1) <= (n + 4) * U


def test_norm_of_many_entries_at_the_ends_of_the_range():
    assert norm(np.zeros(100)) == 0
    assert norm(np.full(100, 1e308)) == np.inf
    assert norm(np.append(np.ones(100), np.inf)) == np.inf
    assert np.isnan(norm(np.append(np.ones(100), np.nan)))


def test_a_pivot_of_zero_is_named():
    with pytest.raises(np.linalg.LinAlgError, match="pivot 2 of the triangle is zero"):
        solve_upper(np.array([[1.0, 2.0], [0.0, 0.0]]), np.ones(2))


def test_scaling_is_silent_whatever_the_caller_has_numpy_say():
    with np.errstate(all="raise"):
        assert scale_columns(np.ones(2), np.array([-1080, 1030])).tolist() == [0, np.inf]
        assert scale_columns(np.full(2, 1e-300), np.array([-900, 0])).tolist() == [0, 1e-300]
        assert norm(np.full(100, 1e308)) == np.inf
