from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
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


NOISES = {
    ml.Gaussian(): stats.norm,
    ml.Laplace(): stats.laplace,
    ml.Logistic(): stats.logistic,
    ml.StudentT(1): stats.t(1),
    ml.StudentT(4.5): stats.t(4.5),
    ml.Huber(0.5): None,
    ml.Huber(): None,
}


@pytest.mark.parametrize("noise", [noise for noise in NOISES if NOISES[noise]], ids=repr)
@given(problems())
def test_nll_is_scipys_log_density_with_loc_and_scale(noise, problem):
    source, theta = problem
    (block,) = source.blocks()
    sigma = np.exp(theta[-1]) / (1.0 if block.precision is None else np.sqrt(block.precision))
    where = {"loc": block.X @ theta[:-1], "scale": sigma}
    kind, shape = NOISES[noise], ()
    if isinstance(noise, ml.StudentT):
        kind, shape = stats.t, (noise.df,)
    logpdf = kind.logpdf(block.y, *shape, **where)
    if block.frequency is not None:
        logpdf = np.repeat(logpdf, block.frequency.astype(int))
    value = ml.LinearLikelihood.from_source(source, noise).nll(theta)
    laws.nll_is_minus_log_density(value, np.append(logpdf, np.zeros(3 * len(logpdf))))


@pytest.mark.parametrize("noise", NOISES, ids=repr)
@given(problems(), st.integers(0, 2**32 - 1))
@settings(max_examples=4)
def test_gradient_and_hessian_integrate_back_for_every_noise(noise, problem, seed):
    source, theta = problem
    likelihood = ml.LinearLikelihood.from_source(source, noise)
    stop = theta + 0.5 * np.random.default_rng(seed).standard_normal(len(theta))
    laws.gradient_and_hessian_are_derivatives(likelihood, theta, stop)


@pytest.mark.parametrize("noise", NOISES, ids=repr)
def test_gradient_is_a_central_difference_for_every_noise(noise):
    rng = np.random.default_rng(4)
    X, y, theta = rng.standard_normal((9, 2)), rng.standard_normal(9), np.array([0.3, -0.2, 0.4])
    likelihood, h = ml.LinearLikelihood(X, y, noise=noise), 1e-5
    z = (y - X @ theta[:2]) / np.exp(theta[2])
    kinks = [0.0] if not noise.smooth else [noise.k, -noise.k] if hasattr(noise, "k") else [np.inf]
    assert min(abs(z - kink).min() for kink in kinks) > 1e-3  # none within reach of the step
    by_difference = np.array(
        [likelihood.nll(theta + h * e) - likelihood.nll(theta - h * e) for e in np.eye(3)]
    )
    # h²/6 times third derivatives, at most 100 here, and the rounding of two values of some 20
    bound = 100 / 6 * h**2 + 40 * 2.0**-53 * 20 / h
    assert np.abs(by_difference / (2 * h) - likelihood.gradient(theta)).max() <= bound
    by_difference = np.array(
        [likelihood.gradient(theta + h * e) - likelihood.gradient(theta - h * e) for e in np.eye(3)]
    )
    assert np.abs(by_difference / (2 * h) - likelihood.hessian(theta)).max() <= bound


@pytest.mark.parametrize("noise", NOISES, ids=repr)
def test_information_is_the_mean_product_for_every_noise(noise):
    rng = np.random.default_rng(5)
    weights = {"frequency": np.array([1.0, 3.0]), "precision": np.array([0.5, 4.0])}
    X, y = rng.standard_normal((2, 2)), rng.standard_normal(2)
    source = ArraySource(X, y, **weights)
    likelihood = ml.LinearLikelihood.from_source(source, noise)
    laws.information_is_mean_product(likelihood, np.array([0.5, -1.0, 0.2]))
    uneven = ArraySource(X, y, scale=np.column_stack([np.ones(2), [0.3, -1.0]]), **weights)
    likelihood = ml.LinearLikelihood.from_source(uneven, noise)
    laws.information_is_mean_product(likelihood, np.array([0.5, -1.0, 0.2, 0.4]))


@pytest.mark.parametrize("noise", NOISES, ids=repr)
def test_laws_of_a_scale_design_for_every_noise(noise, monkeypatch):
    rng = np.random.default_rng(6)
    X, y, Z = (rng.standard_normal((8, k)) for k in (2, 1, 2))
    likelihood = ml.LinearLikelihood(X, y[:, 0], noise=noise, scale=Z)
    start, stop = np.array([0.3, -0.2, 0.1, 0.4]), np.array([0.1, 0.5, -0.3, 0.2])
    laws.gradient_and_hessian_are_derivatives(likelihood, start, stop)
    right = ml.LinearLikelihood.gradient

    def wrong(self, theta):
        return right(self, theta) * np.array([1, 1, 1, 1 + 1e-6])

    monkeypatch.setattr(ml.LinearLikelihood, "gradient", wrong)
    with pytest.raises(laws.LawViolation):
        laws.gradient_and_hessian_are_derivatives(likelihood, start, stop)


def broken(member, by):
    """A likelihood one of whose members is wrong."""

    def wrong(self, *arguments):
        return by(getattr(ml.LinearLikelihood, member)(self, *arguments))

    return type("Wrong", (ml.LinearLikelihood,), {member: wrong})


@pytest.mark.parametrize("noise", [ml.Laplace(), ml.StudentT(4)], ids=repr)
def test_laws_of_the_likelihood_can_fail(noise):
    rng = np.random.default_rng(6)
    source = ArraySource(rng.standard_normal((2, 1)), rng.standard_normal(2))
    start, stop = np.array([0.1, 0.2]), np.array([0.6, -0.1])
    for member in ("nll", "gradient", "hessian"):
        wrong = broken(member, lambda value: value * (1 + 1e-9)).from_source(source, noise)
        if member == "hessian" and not noise.smooth:
            continue
        with pytest.raises(laws.LawViolation):
            laws.gradient_and_hessian_are_derivatives(wrong, start, stop)
    wrong = broken("information", lambda value: value * (1 + 1e-9)).from_source(source, noise)
    with pytest.raises(laws.LawViolation):
        laws.information_is_mean_product(wrong, start)


@pytest.mark.parametrize("noise", NOISES, ids=repr)
def test_torch_differentiates_the_nll_of_every_noise(noise):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(3)
    X, y, theta = rng.standard_normal((9, 2)), rng.standard_normal(9), np.array([0.3, -0.2, 0.4])
    likelihood = ml.LinearLikelihood(torch.tensor(X), torch.tensor(y), noise=noise)
    (block,) = likelihood.blocks()
    at = torch.tensor(theta)
    gradient = torch.func.grad(lambda t: likelihood.term(t, block)[0])(at)
    assert np.abs(gradient.numpy() - likelihood.gradient(theta)).max() <= 1e3 * 2.0**-53
    hessian = torch.func.jacrev(lambda t: likelihood.term(t, block)[1])(at)
    assert np.abs(hessian.numpy() - likelihood.hessian(theta)).max() <= 1e4 * 2.0**-53


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
