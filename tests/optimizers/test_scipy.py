import numpy as np
import pytest

import mlreg as ml
from mlreg.optimizers.scipy_minimize import USES
from mlreg.verify import laws


@pytest.mark.parametrize("method", USES)
@pytest.mark.parametrize("sigma", [1.0, 1e-3])
def test_every_method_reaches_the_mle_from_zero(method, sigma):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, 2)) * [1e6, 1e-3]  # raw units
    y = X @ [2e-6, -3400] + 4.2 + sigma * rng.standard_normal(300)
    fit = ml.fit(X, y, optimizer=ml.Scipy(method))
    exact = ml.fit(X, y)
    assert fit.status.code == "converged", fit.status
    assert (np.abs(fit.params - exact.params) <= 0.1 * exact.std_errors).all()
    laws.never_claims_too_much(fit)
    # sigma too: the NLL was minimised jointly
    assert abs(np.log(fit.sigma / exact.sigma)) * np.sqrt(600) <= 0.1


def test_every_method_of_scipy_is_known():
    from scipy.optimize._minimize import MINIMIZE_METHODS

    assert set(USES) == {m.lower() for m in MINIMIZE_METHODS}


@pytest.mark.parametrize("method", ["trust-exact", "BFGS", "Newton-CG"])
def test_collinear_columns_are_no_obstacle(method):
    rng = np.random.default_rng(4)
    x = rng.standard_normal(80)
    X = np.column_stack([x, x + 1e-7 * rng.standard_normal(80)])
    y = X @ [1, 2] + rng.standard_normal(80)
    assert ml.fit(X, y, optimizer=ml.Scipy(method)).status.code == "converged"


def test_an_iteration_limit_is_kept_and_told(textbook):
    fit = ml.fit(*textbook, optimizer=ml.Scipy("BFGS", options={"maxiter": 2}))
    assert fit.status.code == "stopped"
    assert "standard errors from the MLE, saying" in fit.status.message
    assert len(fit.history.distance) <= 4
    laws.never_claims_too_much(fit)


def test_history_descends(textbook):
    fit = ml.fit(*textbook, optimizer=ml.Scipy())
    assert fit.history.unit == "iteration"
    assert fit.history.distance[0] > 1e4
    assert fit.history.distance[-1] < 1e-3
    assert fit.history.mean_nll[-1] == fit.history.mean_nll.min()


def test_start_and_reads(textbook):
    best = ml.fit(*textbook).params
    fit = ml.fit(*textbook, optimizer=ml.Scipy("BFGS"), start=best)
    assert fit.history.distance[0] < 1e-6
    assert fit.reads < 10


def test_perfect_fit_has_no_minimum_and_no_crash():
    X = np.arange(12.0)[:, None]
    fit = ml.fit(X, 1 + 2 * X[:, 0], optimizer=ml.Scipy())
    assert fit.status.code == "perfect-fit"
    assert fit.nll == -np.inf


def test_weights(textbook):
    X, y = textbook
    k = np.random.default_rng(0).integers(0, 4, 1000)
    w = np.random.default_rng(1).uniform(0.1, 9, 1000)
    kwargs = {"frequency_weights": k, "precision_weights": w}
    fit, exact = ml.fit(X, y, optimizer=ml.Scipy(), **kwargs), ml.fit(X, y, **kwargs)
    assert (np.abs(fit.params - exact.params) <= 1e-4 * exact.std_errors).all()
    assert fit.nll == pytest.approx(exact.nll, rel=1e-12)


def test_misuse():
    with pytest.raises(ml.InvalidInput, match="method must be one of bfgs"):
        ml.Scipy("gradient")
    with pytest.raises(ml.InvalidInput, match="start must"):
        ml.fit(np.ones((3, 1)), [1, 2, 3.5], intercept=False, optimizer=ml.Scipy(), start=[1, 2])


def test_coordinates_make_the_information_the_identity_and_follow_the_chain_rule(textbook):
    from mlreg.certificate import least_squares
    from mlreg.likelihood.blocks import ArraySource
    from mlreg.optimizers.scipy_minimize import _Objective

    X, y = textbook
    likelihood = ml.LinearLikelihood.from_source(ArraySource(X * [1e6, 1e-3], y, intercept=True))
    objective = _Objective.of_least_squares(
        likelihood, least_squares(likelihood), np.array([1.0, 0, 100.0])
    )
    zero = np.zeros(4)
    assert np.abs(objective.information(zero) - np.eye(4)).max() <= 1e-12
    at = np.array([0.3, -1.0, 2.0, 0.5])
    T = objective.to
    assert T[3, 3] == 1 / np.sqrt(2000)
    theta = objective.theta(at)
    assert objective.value(at) == likelihood.nll(theta)
    assert objective.value_and_gradient(at)[1] == pytest.approx(
        T.T @ likelihood.gradient(theta), rel=1e-10, abs=1e-9
    )
    assert objective.hessian(at) == pytest.approx(
        T.T @ likelihood.hessian(theta) @ T, rel=1e-10, abs=1e-10
    )
    with np.errstate(all="ignore"):
        assert objective.value(np.array([1e300, 0, 0, -1e6])) == np.inf


@pytest.mark.parametrize("options", [{"nonsense": 1}, {"gtol": "small"}])
def test_options_that_the_method_does_not_take_are_an_error(textbook, options):
    with pytest.raises(ml.InvalidInput, match="options of BFGS"):
        ml.fit(*textbook, optimizer=ml.Scipy("BFGS", options=options))


def test_a_method_that_fails_on_the_way_is_a_status(textbook, monkeypatch):
    def fails(fun, x0, *, callback, **kwargs):
        callback(x0 + 1.0)
        raise ValueError("array must not contain infs or NaNs")

    monkeypatch.setattr("scipy.optimize.minimize", fails)
    fit = ml.fit(*textbook, optimizer=ml.Scipy())
    assert fit.status.code == "stopped"
    assert "must not contain infs" in fit.status.message


@pytest.mark.parametrize("method", USES)
@pytest.mark.parametrize("noise", [ml.Logistic(), ml.StudentT(3)], ids=repr)
def test_every_method_reaches_the_minimum_for_other_noise(method, noise):
    rng = np.random.default_rng(0)
    X = np.column_stack([np.ones(100), rng.standard_normal((100, 2)) * [1e6, 1e-3]])
    y = X @ [4.2, 2e-6, -3400] + rng.standard_t(3, 100)
    likelihood = ml.LinearLikelihood(X, y, noise=noise)
    found = ml.Scipy(method).minimize(likelihood)
    newton = ml.Newton().minimize(likelihood)
    assert found.status.code == "converged", found.status
    se = np.exp(newton.theta[-1]) / np.sqrt(100 * noise.fisher[0]) / [1, 1e6, 1e-3]
    assert (np.abs(found.theta - newton.theta)[:-1] <= 0.15 * se).all()
    assert len(found.history.mean_nll) == len(found.history.distance)
    assert found.history.mean_nll[-1] <= found.history.mean_nll[0]


def test_other_noise_without_a_maximum_and_with_a_limit():
    y = np.r_[np.zeros(6), 1.0, 2.0, 3.0, 4.0]
    cauchy = ml.LinearLikelihood(np.ones((10, 1)), y, noise=ml.StudentT(1))
    assert ml.Scipy().minimize(cauchy, np.zeros(1)).status.code == "unbounded"
    X = np.column_stack([np.ones(40), np.arange(40.0)])
    y = np.random.default_rng(0).standard_t(1, 40)
    likelihood = ml.LinearLikelihood(X, y, noise=ml.StudentT(2))
    short = ml.Scipy("BFGS", options={"maxiter": 1}).minimize(likelihood, np.full(2, 50.0))
    assert short.status.code == "stopped"
    assert "try Newton()" in short.status.message


def test_a_subproblem_that_trust_exact_does_not_solve_is_a_status(textbook, monkeypatch):
    def unsolved(*args, **kwargs):  # of nearly collinear columns it has returned what it never set
        raise UnboundLocalError("cannot access local variable 'p'")

    monkeypatch.setattr("scipy.optimize.minimize", unsolved)
    fit = ml.fit(*textbook, optimizer=ml.Scipy())
    assert fit.status.code == "stopped"
    assert "subproblem" in fit.status.message
