import array_api_strict
import numpy as np
import pytest
from scipy import stats

import mlreg as ml
from mlreg.verify import laws

GAUSSIAN = ml.Gaussian()


@pytest.mark.parametrize("z", [-3.5, -1e-9, 0.0, 0.7, 1e10, 1e160])
def test_psi_and_dpsi_are_derivatives_of_rho(z):
    h = 2.0**-600
    with np.errstate(over="ignore"):
        assert np.imag(GAUSSIAN.rho(z + 1j * h)) / h == GAUSSIAN.psi(z)
        assert np.imag(GAUSSIAN.psi(z + 1j * h)) / h == GAUSSIAN.dpsi(z)


def test_cdf_and_quantile_are_scipys_in_every_namespace():
    z = np.array([-40.0, -1.0, 0.0, 2.5])
    assert (GAUSSIAN.cdf(z) == stats.norm.cdf(z)).all()
    assert (GAUSSIAN.quantile(stats.norm.cdf(z[1:])) == stats.norm.ppf(stats.norm.cdf(z[1:]))).all()
    strict = GAUSSIAN.cdf(array_api_strict.asarray(z))
    assert isinstance(strict, type(array_api_strict.asarray(z)))
    assert (np.asarray(strict) == stats.norm.cdf(z)).all()
    assert GAUSSIAN.quantile(np.array([0.0, 1.0])).tolist() == [-np.inf, np.inf]


def test_samples_follow_the_distribution():
    sample = GAUSSIAN.sample(20_000, np.random.default_rng(11))
    laws.follows(sample, stats.norm.cdf)
    with pytest.raises(laws.LawViolation):  # power: a scale off by 10 % is seen
        laws.follows(1.1 * GAUSSIAN.sample(60_000, np.random.default_rng(12)), stats.norm.cdf)


def test_density_and_fisher_constants_are_true_means():
    laws.fisher_is_mean_product(GAUSSIAN)

    class Wrong(ml.Gaussian):
        fisher = (1.0, 0.0, 2.0 + 1e-9)

    class Unnormalised(ml.Gaussian):
        def rho(self, z):
            return super().rho(z) + 1e-9

    for noise in (Wrong(), Unnormalised()):
        with pytest.raises(laws.LawViolation):
            laws.fisher_is_mean_product(noise)
