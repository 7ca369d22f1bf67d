"""The certificate for noise that is not Gaussian, against estimates found without this package."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mlreg as ml
from mlreg.certificate import certificate, local_certificate
from mlreg.likelihood.blocks import ArraySource
from mlreg.scoring import whitened

SMOOTH = [ml.Logistic(), ml.StudentT(1), ml.StudentT(2), ml.StudentT(4), ml.StudentT(30)]


def problem(seed, n=40, units=(1.0, 1.0, 1.0)):
    rng = np.random.default_rng(seed)
    X = np.column_stack([np.ones(n), rng.standard_normal((n, 2))])
    y = X @ [1.0, 2.0, -3.0] + rng.standard_t(5, n)
    return X * units, y, rng


@pytest.mark.parametrize("noise", SMOOTH, ids=repr)
@settings(max_examples=5)
@given(
    seed=st.integers(0, 2**32 - 1),
    far=st.floats(0.001, 0.1),
    unit=st.sampled_from([1e-6, 1.0, 1e6]),
    weighted=st.booleans(),
)
def test_the_distance_is_the_true_one(independent, noise, seed, far, unit, weighted):
    X, y, rng = problem(seed, units=(1.0, unit, 1 / unit))
    weights = {}
    if weighted:
        weights = {"frequency": rng.integers(0, 4, 40), "precision": rng.uniform(0.1, 9, 40)}
    best, log_sigma, value = independent.mle(X, y, noise, **weights)
    direction = rng.standard_normal(3) / np.array([1.0, unit, 1 / unit])
    direction *= far / independent.distance(X, noise, best + direction, best, log_sigma, **weights)
    likelihood = ml.LinearLikelihood.from_source(ArraySource(X, y, **weights), noise)
    found, gamma = local_certificate(likelihood, best + direction)
    true = independent.distance(X, noise, best + direction, best, log_sigma, **weights)
    assert abs(found.distance - true) <= 0.05 * true + 1e-5
    assert found.converged == (found.distance <= 0.1)
    assert not found.exact
    missing = likelihood.nll(np.append(best + direction, gamma)) - value
    assert abs(found.log_likelihood_gap - missing) <= 0.05 * missing + 1e-8
    there = certificate(likelihood, best)
    assert there.distance < 1e-4
    assert there.converged


@pytest.mark.parametrize("noise", [*SMOOTH, ml.Huber()], ids=repr)
def test_sigma_is_profiled_to_full_precision(noise):
    X, y, _ = problem(1)
    likelihood = ml.LinearLikelihood(X, y, noise=noise)
    params = np.linalg.lstsq(X, y, rcond=None)[0]
    judged, gamma = local_certificate(likelihood, params)
    assert abs(likelihood.gradient(np.append(params, gamma))[-1]) <= 1e-12
    for near in (gamma - 40, gamma + 40):
        assert local_certificate(likelihood, params, near=near)[1] == pytest.approx(
            gamma, abs=1e-13
        )
    given_sigma = certificate(likelihood, params, float(np.exp(gamma[0])))
    assert given_sigma.distance == pytest.approx(judged.distance, rel=1e-9)
    assert not certificate(likelihood, params, 3 * float(np.exp(gamma[0]))).converged


@pytest.mark.parametrize("noise", SMOOTH, ids=repr)
def test_sigma_is_judged_where_it_is_given(independent, noise):
    X, y, _ = problem(1)
    best, log_sigma, _ = independent.mle(X, y, noise)
    likelihood = ml.LinearLikelihood(X, y, noise=noise)
    found = certificate(likelihood, best, 1.01 * np.exp(log_sigma))
    true = np.sqrt(noise.fisher[2] * 40) * np.log(1.01)
    assert found.sigma_distance == pytest.approx(true, rel=0.05)
    assert found.distance <= 0.05 * true


@pytest.mark.parametrize("offset", [0.0, 1e6])
@pytest.mark.parametrize("collinear", [1.0, 1e-7])
@pytest.mark.parametrize("noise", [ml.Logistic(), ml.StudentT(3)], ids=repr)
def test_rounding_of_the_gradient_is_bounded(noise, offset, collinear):
    X, y, rng = problem(3)
    X[:, 2] = X[:, 1] + collinear * X[:, 2] + offset
    params = np.linalg.lstsq(X, y, rcond=None)[0] + rng.standard_normal(3) * [1, 0.1, 0.1]
    likelihood = ml.LinearLikelihood(X, y, noise=noise)
    space = whitened(likelihood)
    gamma = space.profile(space.scale(params))
    point = space.at(space.scale(params), gamma)
    R, gamma, root_b = point.R, gamma[0], np.sqrt(40) * space.root_b
    wide = np.longdouble
    assert np.finfo(wide).eps < 1e-18
    z = (y.astype(wide) - X.astype(wide) @ params.astype(wide)) * np.exp(-wide(gamma))
    psi = np.tanh(z / 2) if isinstance(noise, ml.Logistic) else 4 * z / (3 + z * z)
    right = X.astype(wide).T @ psi * np.exp(-wide(gamma))
    u = np.zeros(3, wide)
    for j in range(3):  # forward substitution in R'
        u[j] = (right[j] - R[:j, j].astype(wide) @ u[:j]) / wide(R[j, j])
    truth = np.append(-u, np.sum(1 - z * psi) / wide(root_b))
    off = np.abs(point.gradient - truth).astype(float)
    assert (off <= point.error).all()
    assert (point.error <= 1e6 * (off.max() + 1e-16)).all()  # and it is not idle


@pytest.mark.parametrize("noise", [*SMOOTH, ml.Huber()], ids=repr)
def test_units_offsets_and_shifts_do_not_matter(noise):
    X, y, _ = problem(5)
    params = np.array([1.1, 1.9, -3.1])
    base = certificate(ml.LinearLikelihood(X, y, noise=noise), params)
    D, c, b = np.array([1.0, 1e7, 1e-9]), np.array([10.0, -2.0, 3.0]), -1e5
    moved = certificate(
        ml.LinearLikelihood(X * D, X @ c + b * y, noise=noise), (b * params + c) / D
    )
    slack = 1e-9 * base.distance
    assert abs(moved.distance - base.distance) <= slack
    assert (np.abs(moved.per_param - base.per_param) <= slack).all()
    assert abs(moved.log_likelihood_gap - base.log_likelihood_gap) <= slack * base.distance
    assert (base.per_param <= base.distance * (1 + 1e-12)).all()


def test_far_is_said_to_be_far():
    X, y, _ = problem(6)
    for noise in SMOOTH:
        found = certificate(ml.LinearLikelihood(X, y, noise=noise), np.array([100.0, 0, 0]))
        assert "far (the local model says" in str(found)
        assert not found.converged
        absurd = certificate(ml.LinearLikelihood(X * 1e10, y, noise=noise), np.full(3, 1e300))
        assert absurd.distance > 1
        assert not np.isnan([*absurd.per_param, absurd.sigma_distance]).any()
        assert not absurd.converged


def test_a_saddle_between_two_maxima_is_no_minimum():
    y = np.array([-10.0, -9.9, -10.2, 10.0, 9.9, 10.2])
    likelihood = ml.LinearLikelihood(np.ones((6, 1)), y, noise=ml.StudentT(1))
    found = certificate(likelihood, np.zeros(1), sigma=0.2)
    assert found.distance < 1e-12
    assert not found.definite
    assert not found.converged
    assert "not positive definite" in str(found)


def test_where_sigma_runs_to_zero_nothing_is_near():
    y = np.r_[np.zeros(6), 1, 2, 3, 4.0]
    cauchy = ml.LinearLikelihood(np.ones((10, 1)), y, noise=ml.StudentT(1))
    found, gamma = local_certificate(cauchy, np.zeros(1))
    assert gamma == -np.inf
    assert found.distance == np.inf
    assert "no maximum of the likelihood" in str(found)
    # six of ten are too few for two degrees of freedom: 10·2/3 are needed
    assert certificate(
        ml.LinearLikelihood(np.ones((10, 1)), y, noise=ml.StudentT(2)), [0.0]
    ).definite


def test_perfect_data_leave_nothing_between():
    x = np.arange(10.0)
    X, y = np.column_stack([np.ones(10), x]), 1 + 2 * x
    for noise in SMOOTH:
        likelihood = ml.LinearLikelihood(X, y, noise=noise)
        assert certificate(likelihood, np.array([1.0, 2.0])).distance == 0
        assert certificate(likelihood, np.array([1.0, 2.001])).distance == np.inf


def test_what_has_no_certificate_is_named():
    X, y, _ = problem(7)

    class Skewed(ml.Logistic):
        symmetric, fisher = False, (1.0, 0.5, 1.0)

    class Kinked(ml.Laplace):
        """Somebody's noise with kinks."""

    with pytest.raises(ml.InvalidInput, match=r"Kinked\(\) has kinks"):
        certificate(ml.LinearLikelihood(X, y, noise=Kinked()), np.zeros(3))
    with pytest.raises(ml.InvalidInput, match="not symmetric"):
        certificate(ml.LinearLikelihood(X, y, noise=Skewed()), np.zeros(3))
    with pytest.raises(ml.RankDeficient, match="x2 = x1"):
        certificate(ml.LinearLikelihood(X[:, [0, 0]], y, noise=ml.Logistic()), np.zeros(2))
    with pytest.raises(ml.InvalidInput, match="sigma must be positive"):
        certificate(ml.LinearLikelihood(X, y, noise=ml.Logistic()), np.zeros(3), -1.0)


def test_any_namespace_and_float32():
    strict = pytest.importorskip("array_api_strict")
    X, y, _ = problem(8)
    X, y = X.astype(np.float32), y.astype(np.float32)
    params = np.array([1.0, 2.0, -3.0])
    plain = certificate(ml.LinearLikelihood(X, y, noise=ml.StudentT(3)), params)
    arrays = strict.asarray(X), strict.asarray(y)
    other = certificate(ml.LinearLikelihood(*arrays, noise=ml.StudentT(3)), params)
    assert other.distance == pytest.approx(plain.distance, rel=1e-12)
