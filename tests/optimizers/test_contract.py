"""What every optimizer promises."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mlreg as ml
from mlreg.certificate import certificate
from mlreg.likelihood.blocks import ArraySource
from mlreg.verify import laws
from mlreg.verify.strategies import designs

# Some of the designs drawn are so nearly collinear that the fit says so: that is no failure here.
nearly_collinear = pytest.mark.filterwarnings("ignore::mlreg.errors.NumericalWarning")


too_large = pytest.mark.filterwarnings("ignore:the learning rate .* may be too large")

OPTIMIZERS = [
    ml.Exact(),
    ml.Newton(),
    ml.AutoSGD(),
    ml.AutoSGD(1e-6, batch_size=8),
    ml.Scipy(),
    ml.Scipy("L-BFGS-B"),
    ml.SGD(0.1, batch_size=3),
    ml.SGD(1e3, batch_size=2, epochs=30),
    ml.SGD(0.1, batch_size="full", epochs=50),
    ml.SGD(0.01, batch_size=1, sampling="replacement"),
]


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
@nearly_collinear
@given(problem=designs(max_log_condition=5, max_offset=1e3), seed=st.integers(0, 99))
def test_never_claims_too_much_and_the_distance_is_true(optimizer, problem, seed):
    if isinstance(optimizer, ml.SGD):
        optimizer = dataclasses.replace(optimizer, seed=seed)
    n, p = problem.X.shape
    fit = ml.fit(problem.X, problem.y, intercept=False, optimizer=optimizer)
    laws.never_claims_too_much(fit)
    if fit.status.code == "perfect-fit" or not np.isfinite(fit.certificate.distance):
        return
    laws.certificate_is_true_distance(fit.certificate, fit.params, problem.X, problem.exact, n - p)
    assert fit.history.distance[-1] == pytest.approx(
        fit.certificate.distance, rel=1e-6, abs=4 * fit.certificate.rounding.sum()
    )


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
@too_large
def test_configurations_are_frozen_and_results_say_who(optimizer, textbook):
    with pytest.raises(dataclasses.FrozenInstanceError):
        optimizer.anything = 1
    fit = ml.fit(textbook[0][:40], textbook[1][:40], optimizer=optimizer)
    assert fit.optimizer == repr(optimizer)
    assert fit.optimizer in fit.summary()
    assert fit.reads >= 2


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
@too_large
def test_the_likelihood_may_be_of_any_namespace(optimizer, textbook):
    strict = pytest.importorskip("array_api_strict")
    X, y = textbook[0][:40], textbook[1][:40]
    plain = optimizer.minimize(ml.LinearLikelihood(X, y))
    other = optimizer.minimize(ml.LinearLikelihood(strict.asarray(X), strict.asarray(y)))
    if plain.status.code != "diverged":
        assert other.theta == pytest.approx(plain.theta, rel=1e-9)


ANY_SMOOTH = (ml.Newton, ml.Scipy, ml.AutoSGD)


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_other_noise_is_refused(optimizer):
    class Kinked(ml.Laplace):
        """Somebody's noise with kinks."""

    refused = Kinked() if not isinstance(optimizer, ml.Exact) else ml.StudentT(1)
    likelihood = ml.LinearLikelihood(np.ones((4, 1)), np.arange(4.0), noise=refused)
    with pytest.raises(ml.InvalidInput, match=r"kinks|Newton\(\) minimises its NLL"):
        optimizer.minimize(likelihood)
    assert likelihood.reads == 0


@pytest.mark.parametrize(
    "optimizer", [o for o in OPTIMIZERS if isinstance(o, ANY_SMOOTH)], ids=repr
)
@pytest.mark.parametrize("noise", [ml.Logistic(), ml.Huber(), ml.StudentT(1), ml.StudentT(5)])
@nearly_collinear
@settings(max_examples=10)
@given(problem=designs(max_log_condition=5, max_offset=1e3))
def test_never_claims_too_much_of_any_noise(optimizer, noise, problem):
    likelihood = ml.LinearLikelihood(problem.X, problem.y, noise=noise)
    solution = optimizer.minimize(likelihood)
    laws.never_claims_too_much(solution)
    assert solution.reads == likelihood.reads
    if solution.status.code in ("unbounded", "perfect-fit"):
        return
    judged = certificate(likelihood, solution.theta[:-1], float(np.exp(solution.theta[-1])))
    slack = 4 * judged.rounding.sum() + 1e-9
    assert abs(judged.distance - solution.certificate.distance) <= slack
    assert solution.history.distance[-1] == solution.certificate.distance
    newton = ml.Newton().minimize(likelihood)
    if noise.log_concave and solution.status.code == newton.status.code == "converged":
        apart = np.linalg.norm(problem.X @ (solution.theta - newton.theta)[:-1])
        apart *= np.sqrt(noise.fisher[0]) * np.exp(-newton.theta[-1])
        assert apart <= 1.1 * solution.certificate.distance + 0.01


def test_full_batches_take_no_more_memory_than_blocks():
    import tracemalloc

    rng = np.random.default_rng(0)
    X = rng.standard_normal((200_000, 10))
    source = ArraySource(X, X.sum(axis=1) + rng.standard_normal(200_000), intercept=True)
    tracemalloc.start()
    ml.fit(source, optimizer=ml.SGD(0.5, batch_size="full", epochs=2))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < X.nbytes / 5
