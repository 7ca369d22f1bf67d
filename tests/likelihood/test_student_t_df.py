"""Student's t with its degrees of freedom unknown: derivatives in them, and what it refuses."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import digamma, polygamma

import mlreg as ml
from mlreg.likelihood.student_t_df import by_kappa, shape_information

U = 2.0**-53


def test_a_t_without_df_is_no_density_yet():
    free = ml.StudentT()
    assert repr(free) == "StudentT()"
    assert repr(ml.StudentT(at_least=2)) == "StudentT(at_least=2.0)"
    assert free != ml.StudentT(1)
    z = np.zeros(3)
    asked = [free.rho, free.psi, free.dpsi, free.cdf, free.quantile]
    for ask in [*(lambda f=f: f(z + 0.3) for f in asked), lambda: free.fisher]:
        with pytest.raises(ml.InvalidInput, match="an optimizer estimates them"):
            ask()
    with pytest.raises(ml.InvalidInput, match="an optimizer estimates them"):
        free.sample(3, np.random.default_rng(0))
    likelihood = ml.LinearLikelihood(np.ones((4, 1)), np.arange(4.0), noise=free)
    with pytest.raises(ml.InvalidInput, match="no degrees of freedom yet"):
        likelihood.nll([0.0, 0.0])
    with pytest.raises(ml.InvalidInput, match="at_least must be positive"):
        ml.StudentT(at_least=0)
    with pytest.raises(ml.InvalidInput, match="df is given"):
        ml.StudentT(4, at_least=2)


@given(kappa=st.floats(1e-3, 20), z=st.floats(-1e4, 1e4), power=st.integers(-3, 3))
def test_slopes_are_differences(kappa, z, power):
    # of order h², with digits lost of 1/h: at h = 1e-5 relative both are below 1e-9 of the terms
    z = np.array([z * 10.0**power])
    h = 1e-5 * kappa
    above, below = ml.StudentT(1 / (kappa + h)), ml.StudentT(1 / (kappa - h))
    here = by_kappa(kappa, z)
    x = float(z[0] ** 2)
    terms = (1 + kappa) * np.log1p(kappa * x) / kappa + 4
    bound = 1e-9 * terms / kappa * (1 + 1 / kappa)
    assert abs((above.rho(z) - below.rho(z))[0] / (2 * h) - here.rho[0]) <= bound
    slopes = by_kappa(kappa + h, z).rho - by_kappa(kappa - h, z).rho
    assert abs(slopes[0] / (2 * h) - here.rho_twice[0]) <= bound / kappa
    pulls = (above.psi(z) - below.psi(z))[0] / (2 * h)
    pull = (1 + kappa) * abs(float(z[0])) / (1 + kappa * x)
    assert abs(pulls - here.psi[0]) <= 1e-9 * pull / kappa * (1 + 1 / kappa)


def test_the_normal_end_is_exact_and_smooth():
    z = np.array([0.0, 0.5, 1.0, 2.0, -3.0, 8.0])
    end = by_kappa(0.0, z)
    assert (end.rho == -(z**4 - 2 * z**2 - 1) / 4).all()
    assert (end.psi == z - z**3).all()
    size = (1 + z * z) ** 4
    assert (np.abs(end.rho_twice - (z**6 / 3 - z**4 / 2)) <= 4 * U * size).all()
    # by Taylor: the next derivatives are below (1 + z²)⁴
    for kappa in (1e-12, 1e-9, 1e-6):
        near = by_kappa(kappa, z)
        step = end.rho + kappa * end.rho_twice
        assert (np.abs(near.rho - step) <= (kappa**2 + 8 * U) * size).all()
        assert (np.abs(near.rho_twice - end.rho_twice) <= (8 * kappa + 8 * U / 1e-4) * size).all()


@pytest.mark.parametrize("kappa", [0.004, 0.00999, 0.01, 0.01001, 0.3, 1.0, 7.0])
def test_the_constant_by_scipys_digamma(kappa):
    a = 0.5 / kappa
    cancelled = digamma(a + 0.5) - digamma(a)
    slope = 2 * a * a * (cancelled - 1 / (2 * a))
    lost = 16 * U * (1 + np.log(1 + a)) * 2 * a * a
    assert abs(by_kappa(kappa, np.zeros(1)).rho[0] - slope) <= lost + 8 * U
    bend = polygamma(1, a + 0.5) - polygamma(1, a) + 1 / (2 * a * a)
    bend = -4 * a**3 * (2 * (cancelled - 1 / (2 * a)) + a * bend)
    assert abs(by_kappa(kappa, np.zeros(1)).rho_twice[0] - bend) <= 32 * U * a**3 * (
        1 + np.log(1 + a)
    )


def test_far_residuals_overflow_nothing():
    z = np.array([1e150, -1e100, 1e20])
    found = by_kappa(0.2, z)
    # (1 + κ)/(2κ)·(L + κL′)-terms: log(κz²) alone is left of them
    log = 2 * np.log(np.abs(z)) + np.log(0.2)
    expected = 0.5 / 0.2 - (log - 1) / (2 * 0.2**2) + by_kappa(0.2, np.zeros(1)).rho
    assert np.abs(found.rho / expected - 1).max() <= 16 * U
    assert np.isfinite(found.rho_twice).all()
    assert np.isfinite(found.psi).all()


@pytest.mark.parametrize("df", [3.0, 5.0, 20.0, 99.0, 101.0, 1000.0])
def test_information_is_the_mean_product(df):
    nodes, weights = np.polynomial.legendre.leggauss(300)
    angle = nodes * np.pi / 2  # z = √df·tan(angle)
    z, noise = np.sqrt(df) * np.tan(angle), ml.StudentT(df)
    mass = weights * np.pi / 2 * np.sqrt(df) / np.cos(angle) ** 2 * np.exp(-noise.rho(z))
    scores = np.array([1 - z * noise.psi(z), by_kappa(1 / df, z).rho])
    found = (mass * scores) @ scores.T
    # the rule's own error, seen between 300 and 600 nodes, is below 1e-9 from df = 3 on
    assert np.abs(found - shape_information(1 / df)).max() <= 1e-9
    assert np.abs(mass @ scores.T).max() <= 1e-9  # a score has mean zero
    assert abs(shape_information(1 / df)[0, 0] - noise.fisher[2]) <= 4 * U
    assert abs(mass @ (noise.psi(z) * scores[1])) <= 1e-13  # the location shares none of it


def test_information_at_the_normal_end():
    # E[(z² − 1)²], E[(1 − z²)·−(z⁴ − 2z² − 1)/4] and E[(z⁴ − 2z² − 1)²]/16 by the normal's moments
    assert (shape_information(0.0) == [[2, 2], [2, 3.5]]).all()
    near = shape_information(1e-9)
    assert np.abs(near - [[2, 2], [2, 3.5]]).max() <= 1e-7
