import array_api_strict
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

import mlreg as ml
from mlreg.likelihood import gaussian
from mlreg.verify import laws


@st.composite
def points(draw):
    n, p = draw(st.integers(1, 12)), draw(st.integers(1, 5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    unit = 10.0 ** draw(st.integers(-9, 9))
    X, y = rng.standard_normal((n, p)) * unit, rng.standard_normal(n)
    sigma = 10.0 ** draw(st.integers(-3, 3))
    return rng.standard_normal(p) / unit, sigma, X, y


def sizes(params, sigma, X, y):
    """Sum of |terms| of each entry of the gradient."""
    z = (np.abs(y) + np.abs(X) @ np.abs(params)) / sigma
    return np.append(np.abs(X).T @ z / sigma, (1 + z * z).sum())


@given(points())
def test_nll_agrees_with_scipy_constants_included(point):
    params, sigma, X, y = point
    logpdf = norm.logpdf(y, X @ params, sigma)
    laws.nll_is_minus_log_density(float(gaussian.nll(params, sigma, X, y)), logpdf)
    laws.nll_is_minus_log_density(-float(gaussian.log_density(y, X @ params, sigma).sum()), logpdf)


@given(points())
def test_gradient_and_hessian_are_complex_steps(point):
    params, sigma, X, y = point
    theta = np.append(params, np.log(sigma))
    size = sizes(*point)

    def split(function):
        return lambda t: function(t[:-1], np.exp(t[-1]), X, y)

    gradient = gaussian.gradient(*point)
    laws.gradient_is_complex_step(split(gaussian.nll), gradient, theta, size)
    hessian = gaussian.hessian(*point)
    laws.hessian_is_symmetric(hessian)
    big = np.abs(np.column_stack([X, np.ones(len(y))]))
    z = (np.abs(y) + np.abs(X) @ np.abs(params)) / sigma
    scale = np.append(np.full(len(params), 1 / sigma), 1.0)
    size2 = 2 * (big * scale).T @ ((1 + z * z)[:, None] * (big * scale))
    laws.hessian_is_complex_step(split(gaussian.gradient), hessian, theta, size2)


@given(points())
def test_linear_likelihood_is_the_plain_functions(point):
    params, sigma, X, y = point
    theta = np.append(params, np.log(sigma))
    likelihood = ml.LinearLikelihood(X, y)
    bound = 64 * len(y) * 2.0**-53 * sizes(*point)
    assert (np.abs(likelihood.gradient(theta) - gaussian.gradient(*point)) <= bound).all()
    assert abs(likelihood.nll(theta) - gaussian.nll(*point)) <= bound[-1]
    information = gaussian.fisher_information(params, sigma, X)
    d = np.sqrt(np.diagonal(information))
    d[d == 0] = 1
    gap = np.abs(likelihood.information(theta) - information) / np.outer(d, d)
    assert gap.max() <= (16 * len(d) + 2 * len(y)) * 2.0**-53
    gap = np.abs(likelihood.hessian(theta) - gaussian.hessian(*point)) / np.outer(d, d)
    z2 = (sizes(*point)[-1]) * 64 * len(d) * 2.0**-53
    assert gap.max() <= z2


def namespaces():
    yield pytest.param(array_api_strict.asarray, id="array-api-strict")
    try:
        import torch
    except ImportError:
        return
    yield pytest.param(torch.tensor, id="torch")


@pytest.mark.parametrize("convert", list(namespaces()))
@given(points())
def test_namespaces_agree(convert, point):
    params, sigma, X, y = point
    theta = np.append(params, np.log(sigma))
    other = ml.LinearLikelihood(convert(X), convert(y))
    laws.namespaces_agree(ml.LinearLikelihood(X, y), other, theta)
    bound = 64 * len(y) * 2.0**-53 * sizes(*point)
    value = gaussian.nll(convert(params), sigma, convert(X), convert(y))
    assert type(value) is type(convert(y))
    assert abs(float(value) - gaussian.nll(*point)) <= bound[-1]
    gradient = np.asarray(gaussian.gradient(convert(params), sigma, convert(X), convert(y)))
    assert (np.abs(gradient - gaussian.gradient(*point)) <= bound).all()
    for function in (gaussian.hessian, gaussian.fisher_information):
        args = (params, sigma, X, y)[: 4 if function is gaussian.hessian else 3]
        converted = [a if np.isscalar(a) else convert(a) for a in args]
        matrix = np.asarray(function(*converted))
        d = np.sqrt(np.append((X * X).sum(axis=0) / sigma**2, 2 * sizes(*point)[-1]))
        assert (np.abs(matrix - function(*args)) <= 1e3 * len(y) * 2.0**-53 * np.outer(d, d)).all()


def test_torch_differentiates_the_nll():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(3)
    X, y, params = rng.standard_normal((9, 2)), rng.standard_normal(9), rng.standard_normal(2)
    leaf = torch.tensor(params, requires_grad=True)
    log_sigma = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    gaussian.nll(leaf, torch.exp(log_sigma), torch.tensor(X), torch.tensor(y)).backward()
    expected = gaussian.gradient(params, np.exp(0.3), X, y)
    found = np.append(leaf.grad.numpy(), log_sigma.grad.numpy())
    bound = 1e3 * 2.0**-53 * sizes(params, np.exp(0.3), X, y)
    assert (np.abs(found - expected) <= bound).all()
    graph = torch.tensor(np.append(params, 0.3), requires_grad=True)
    likelihood = ml.LinearLikelihood(torch.tensor(X), torch.tensor(y))
    assert likelihood.nll(graph) == likelihood.nll(np.append(params, 0.3))
    assert likelihood.gradient(graph) == pytest.approx(expected, rel=1e-12)


def test_float32_and_integers_are_computed_in_double_precision():
    X32 = np.array([[1, 0.1], [1, 0.2], [1, 0.7]], dtype=np.float32)
    y = np.array([1, 2, 3])
    assert gaussian.nll([1, 2], 0.5, X32, y) == gaussian.nll(
        np.array([1.0, 2.0]), 0.5, X32.astype(np.float64), y.astype(np.float64)
    )


@pytest.mark.parametrize("function", [gaussian.nll, gaussian.gradient, gaussian.hessian])
def test_wrong_shapes_are_refused_not_broadcast(function):
    X, y = np.ones((3, 2)), np.ones(3)
    with pytest.raises(ml.InvalidInput, match=r"y must have shape \(3,\)"):
        function(np.ones(2), 1.0, X, y[:, None])
    with pytest.raises(ml.InvalidInput, match=r"params must have shape \(2,\)"):
        function(np.ones(3), 1.0, X, y)
    with pytest.raises(ml.InvalidInput, match=r"X must have shape \(n, p\)"):
        function(np.ones(1), 1.0, y, y)
    with pytest.raises(ml.InvalidInput, match="sigma must be one number"):
        function(np.ones(2), np.ones(3), X, y)
    for bad in (0.0, -1.0, np.nan):
        with pytest.raises(ml.InvalidInput, match="must be positive"):
            function(np.ones(2), bad, X, y)


def test_log_density_refuses_to_broadcast():
    with pytest.raises(ml.InvalidInput, match="would broadcast silently"):
        gaussian.log_density(np.ones(3), np.ones((3, 1)), 1.0)
    sigma = np.array([1.0, 2.0, 3.0])
    expected = norm.logpdf(np.ones(3), 0.5, sigma)
    found = gaussian.log_density(np.ones(3), 0.5, sigma)
    assert (np.abs(found - expected) <= 8 * 2.0**-53 * np.abs(expected)).all()


def test_arrays_of_different_kinds_are_refused():
    with pytest.raises(ml.InvalidInput, match="different kinds"):
        gaussian.nll(np.ones(2), 1.0, array_api_strict.ones((3, 2)), np.ones(3))
