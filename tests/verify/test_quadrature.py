"""Quadrature, against integrals that are known: what it admits is more than what it misses."""

import math

import numpy as np
import pytest
from scipy import special

from mlreg.verify.quadrature import integral, over_line

ENDS = np.array([0.0, 1.0, 2.0])


@pytest.mark.parametrize(
    ("f", "exact", "admitted"),
    [
        (np.exp, math.exp(2) - 1, 1e-13),
        (lambda x: np.abs(x - 1 / 3), (1 / 9 + 25 / 9) / 2, 1e-13),  # a kink
        (lambda x: np.where(x < math.sqrt(2), 1.0, -1.0), 2 * math.sqrt(2) - 2, 1e-12),  # a jump
        (lambda x: np.cos(400 * x), math.sin(800) / 400, 1e-12),
        (np.sqrt, 2 / 3 * 2**1.5, 1e-12),
    ],
)
def test_the_error_is_admitted(f, exact, admitted):
    (found,), error = integral(f, ENDS, 1e-14)
    assert abs(found - exact) <= error <= admitted


def test_several_numbers_at_once():
    found, error = integral(lambda x: [np.ones_like(x), x, x**41], ENDS, 1e-300)
    assert (np.abs(found - [2.0, 2.0, 2.0**42 / 42]) <= error).all()


def test_what_is_no_number_is_no_integral():
    found, error = integral(lambda x: np.where(x < 0.5, np.nan, x), ENDS, 1e-14)
    assert np.isnan(found).all()
    assert np.isnan(error)


def test_what_cannot_be_had_is_admitted():
    found, error = integral(lambda x: np.sin(1e9 * x), ENDS, 1e-14)
    assert abs(found - (1 - math.cos(2e9)) / 1e9) <= error
    assert error > 1e-3


@pytest.mark.parametrize("kinks", [(), (-0.7, 1.1)])
def test_along_a_line_with_long_tails(kinks):
    (whole, part), error = over_line(
        lambda z: [1 / (1 + z * z), np.clip(z, -0.7, 1.1) / (1 + z * z)],
        -1e150,
        1e150,
        1e-15,
        kinks,
    )
    assert abs(whole - math.pi) <= error <= 1e-12
    tails = 1.1 * math.atan(1 / 1.1) - 0.7 * math.atan(1 / 0.7)
    assert abs(part - tails - 0.5 * math.log((1 + 1.21) / (1 + 0.49))) <= error


def test_a_tail_has_digits():
    (found,), error = over_line(lambda z: np.exp(-z * z / 2), 10.0, 1e3)
    exact = special.erfc(10 / math.sqrt(2)) * math.sqrt(math.pi / 2)
    # SciPy's erfc is good to some units in the last place, here times the condition of its argument
    assert abs(found - exact) <= error + 256 * 2.0**-53 * exact
    assert error <= 1e-12 * exact
