"""Products by one BLAS are those of NumPy, whatever the order in memory.

Entries are small integers and weights squares: every product is exact, and so is the comparison.
"""

import numpy as np
import pytest

from mlreg.linalg.products import gram, square, times, times_transposed, whiten


@pytest.fixture(params=["C", "F", "rows of a larger one"])
def ordered(request):
    def order(A):
        if request.param == "rows of a larger one":
            return np.repeat(A, 2, axis=0)[::2]
        return np.array(A, order=request.param)

    return order


@pytest.fixture
def A():
    return np.random.default_rng(0).integers(-9, 10, (7, 3)).astype(float)


def test_products_with_a_vector(A, ordered):
    for B, axis in ((ordered(A), 3), (ordered(A[:, :1]), 1)):
        b, k = np.arange(1.0, axis + 1), np.arange(2.0, 9.0)
        assert (times(B, b) == np.asarray(B) @ b).all()
        assert (times_transposed(B, k) == np.asarray(B).T @ k).all()


def test_gram_takes_each_matrix_on_its_side(A, ordered):
    B, weight = A[:, :2] + 1, np.array([1.0, 4, 0, 9, -1, 16, 25])
    expected = np.array([[sum(weight * a * b) for b in B.T] for a in A.T])
    assert (gram(ordered(A), weight, ordered(B)) == expected).all()
    assert (gram(ordered(A), weight, np.array(B)) == expected).all()
    assert (gram(np.array(A), weight, ordered(B)) == expected).all()


@pytest.mark.parametrize("below", [[], [4], [0, 6]])
def test_square_is_symmetric_with_weights_of_either_sign(A, ordered, below):
    weight = np.array([1.0, 4, 0, 9, 1, 16, 25])
    weight[below] *= -1
    assert (square(ordered(A), weight) == A.T @ np.diag(weight) @ A).all()


def test_whitened_rows_times_the_triangle_are_the_rows(A, ordered):
    R = np.array([[2.0, 1, -3], [0, 4, 5], [0, 0, -1]])
    below = R + np.tril(np.ones((3, 3)), -1)  # what lies below the diagonal is not read
    for triangle in (R, below):
        for order in "CF":
            found = whiten(np.array(triangle, order=order), ordered(A))
            assert (found @ R == A).all()


def test_nothing_times_something_is_zero():
    rows, columns = np.zeros((0, 3)), np.zeros((5, 0))
    assert times(rows, np.ones(3)).shape == (0,)
    assert (times(columns, np.ones(0)) == np.zeros(5)).all()
    assert (times_transposed(rows, np.ones(0)) == np.zeros(3)).all()
    assert times_transposed(columns, np.ones(5)).shape == (0,)
    assert (gram(rows, np.ones(0), np.ones((0, 2))) == np.zeros((3, 2))).all()
    assert gram(columns, np.ones(5), np.ones((5, 2))).shape == (0, 2)
    assert gram(np.ones((5, 2)), np.ones(5), columns).shape == (2, 0)
    assert (square(rows, np.ones(0)) == np.zeros((3, 3))).all()
    assert square(columns, np.ones(5)).shape == (0, 0)
    assert whiten(np.eye(3), rows).shape == (0, 3)
    assert whiten(np.zeros((0, 0)), columns).shape == (5, 0)
