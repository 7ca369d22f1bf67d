from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

import mlreg as ml
from mlreg.likelihood.blocks import ArraySource, Block
from mlreg.verify import laws


@dataclass(frozen=True)
class Logistic:
    """A noise from outside the package, to prove the contract: f₀(z) = e⁻ᶻ/(1 + e⁻ᶻ)²."""

    smooth: ClassVar[bool] = True
    log_concave: ClassVar[bool] = True
    symmetric: ClassVar[bool] = True
    fisher: tuple[float, float, float] = (1 / 3, 0.0, (3 + np.pi**2) / 9)

    def rho(self, z):
        return z + 2 * np.log(1 + np.exp(-z))

    def psi(self, z):
        return np.tanh(z / 2)

    def dpsi(self, z):
        return 0.5 * (1 - np.tanh(z / 2) ** 2)


@st.composite
def problems(draw):
    n, p = draw(st.integers(1, 9)), draw(st.integers(1, 3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    frequency = rng.integers(1, 4, n).astype(float) if draw(st.booleans()) else None
    precision = np.exp(rng.standard_normal(n)) if draw(st.booleans()) else None
    source = ArraySource(
        rng.standard_normal((n, p)),
        rng.standard_normal(n),
        frequency=frequency,
        precision=precision,
    )
    return source, rng.standard_normal(p + 1)


@pytest.mark.parametrize("noise", [ml.Gaussian(), Logistic()])
@given(problems())
def test_chain_rule_by_complex_step_for_any_noise(noise, problem):
    source, theta = problem
    likelihood = ml.LinearLikelihood.from_source(source, noise)
    (block,) = source.blocks()
    frequency = 1.0 if block.frequency is None else block.frequency
    root_w = 1.0 if block.precision is None else np.sqrt(block.precision)
    z = root_w * (np.abs(block.y) + np.abs(block.X) @ np.abs(theta[:-1])) / np.exp(theta[-1])
    rows = np.column_stack([np.abs(block.X) * np.exp(-theta[-1]), np.ones(len(z))])
    size = rows.T @ (frequency * np.maximum(root_w, 1) ** 2 * (1 + z * z) * (2 + abs(theta[-1])))
    laws.gradient_is_complex_step(
        lambda t: likelihood.term(t, block)[0], likelihood.gradient(theta), theta, size
    )
    hessian = likelihood.hessian(theta)
    laws.hessian_is_symmetric(hessian)
    weight = frequency * np.maximum(root_w, 1) ** 2 * (1 + z * z) ** 2
    size = 4 * rows.T @ (np.atleast_1d(weight)[:, None] * rows)
    laws.hessian_is_complex_step(lambda t: likelihood.term(t, block)[1], hessian, theta, size)


@given(problems())
def test_weighted_nll_is_the_log_density_of_the_weighted_noise(problem):
    source, theta = problem
    (block,) = source.blocks()
    sigma = np.exp(theta[-1]) / (1.0 if block.precision is None else np.sqrt(block.precision))
    logpdf = stats.norm.logpdf(block.y, block.X @ theta[:-1], sigma)
    if block.frequency is not None:
        logpdf = np.repeat(logpdf, block.frequency.astype(int))
    value = ml.LinearLikelihood.from_source(source).nll(theta)
    laws.nll_is_minus_log_density(value, np.append(logpdf, np.zeros(len(logpdf))))


@given(problems())
def test_information_is_the_expected_hessian(problem):
    source, theta = problem
    likelihood = ml.LinearLikelihood.from_source(source, Logistic())
    (block,) = source.blocks()
    frequency = np.ones(len(block.y)) if block.frequency is None else block.frequency
    root_w = np.ones(len(block.y)) if block.precision is None else np.sqrt(block.precision)
    sigma, noise = np.exp(theta[-1]), Logistic()

    def mean(function):
        return integrate.quad(lambda z: function(z) * np.exp(-noise.rho(z)), -40, 40, epsabs=1e-12)[
            0
        ]

    a = mean(noise.dpsi)
    c = mean(lambda z: z * noise.psi(z) + z * z * noise.dpsi(z))
    X = block.X * (np.sqrt(frequency) * root_w / sigma)[:, None]
    p = len(theta) - 1
    found = likelihood.information(theta)
    norms = np.linalg.norm(X, axis=0)
    norms[norms == 0] = 1
    # quadrature is asked for 1e-12; the fold keeps (16p + n + 1)u, far below
    assert (np.abs(found[:p, :p] - a * X.T @ X) <= 1e-11 * np.outer(norms, norms)).all()
    assert abs(found[p, p] - c * frequency.sum()) <= 1e-10 * frequency.sum()
    assert not found[p, :p].any()


@given(st.data())
def test_all_minibatch_gradients_sum_to_the_full_gradient(data):
    n, p = data.draw(st.integers(1, 8)), data.draw(st.integers(1, 3))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    X, y = rng.integers(-9, 10, (n, p)).astype(float), rng.integers(-9, 10, n).astype(float)
    frequency = rng.integers(1, 4, n).astype(float) if data.draw(st.booleans()) else None
    likelihood = ml.LinearLikelihood.from_source(ArraySource(X, y, frequency=frequency))
    theta = np.append(rng.integers(-9, 10, p), 0.0)
    laws.minibatch_gradients_sum(likelihood, theta, data.draw(st.integers(1, n)))


def test_a_law_that_is_broken_is_seen():
    class Wrong(ml.LinearLikelihood):
        def term(self, theta, block):
            value, gradient = super().term(theta, block)
            return value, gradient / len(block.y)  # mean, not sum

    X, y = np.arange(8.0).reshape(4, 2), np.arange(4.0)
    likelihood = Wrong.from_source(ArraySource(X, y))
    with pytest.raises(laws.LawViolation, match="minibatch_gradients_sum"):
        laws.minibatch_gradients_sum(likelihood, np.zeros(3), 2)


def test_theta_of_the_wrong_length_is_refused():
    likelihood = ml.LinearLikelihood(np.ones((3, 2)), np.ones(3))
    with pytest.raises(ml.InvalidInput, match="the 2 coefficients and log sigma"):
        likelihood.nll(np.zeros(2))


def test_a_source_that_can_be_read_once_is_read_once():
    class Stream:
        names, n_rows, rereadable = ("x",), None, False

        def blocks(self, size=None, rng=None):
            yield Block(np.array([[1.0], [2.0]]), np.array([1.0, 3.0]))

    likelihood = ml.LinearLikelihood.from_source(Stream())
    assert likelihood.n_rows == 2
    with pytest.raises(ml.InvalidInput, match="only once"):
        likelihood.nll(np.zeros(2))


def test_likelihood_of_extreme_units_does_not_overflow():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((20, 2)) * 1e200, rng.standard_normal(20) * 1e200
    theta = np.array([0.1, 0.2, 200 * np.log(10)])
    likelihood = ml.LinearLikelihood(X, y)
    assert np.isfinite(likelihood.hessian(theta)).all()
    assert np.isfinite(likelihood.information(theta)).all()
    assert np.isfinite(likelihood.gradient(theta)).all()
