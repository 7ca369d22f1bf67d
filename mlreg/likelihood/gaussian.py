"""The Gaussian linear model, written out.

    y = X β + ε,    ε ~ N(0, σ²) independently for each row         Eq. (1.1)

Plain functions of arrays. X is taken as given: a model with an intercept has a
column of ones. Every function works on arrays of any array-API namespace
(NumPy, PyTorch, ...) and computes in double precision. ``nll`` is the sum over
rows, in natural logarithm, with all constants kept; its derivatives are with
respect to (β, γ) where γ = log σ, in which σ is positive by construction.
"""

import math
from typing import Any

import numpy as np
from array_api_compat import device, is_array_api_obj

from mlreg.errors import InvalidInput
from mlreg.likelihood.blocks import as_float, namespace

__all__ = ["fisher_information", "gradient", "hessian", "log_density", "nll"]

Array = Any
LOG_2PI = math.log(2 * math.pi)


def log_density(y: Array, mean: Array, sigma: Array) -> Array:
    """Log density of each observation, Eq. (1.2): −½ log 2π − log σ − ½ ((y − μ)/σ)².

    Parameters
    ----------
    y : array, shape (n,)
        Observations.
    mean : array, shape (n,), or number
        Their expectations μ, in the units of y.
    sigma : array, shape (n,), or number
        Standard deviation of the noise, positive, in the units of y.

    Returns
    -------
    array, shape (n,)
        In natural logarithm, per unit of y.

    Raises
    ------
    InvalidInput
        Shapes that would broadcast, such as (n,) against (n, 1); sigma not positive.

    Examples
    --------
    >>> import numpy as np
    >>> log_density(np.array([0.0, 1.0]), 0.0, 1.0).round(4).tolist()
    [-0.9189, -1.4189]
    """
    xp, y, mean, sigma = _arrays(y, mean, sigma)
    for name, a in (("mean", mean), ("sigma", sigma)):
        if a.ndim and a.shape != y.shape:
            raise InvalidInput(
                f"{name} has shape {tuple(a.shape)} and y {tuple(y.shape)}: give {name} the "
                "shape of y, or one number (shapes that differ would broadcast silently)"
            )
    _check_positive(xp, sigma)
    z = (y - mean) / sigma
    return -0.5 * z * z - xp.log(sigma) - 0.5 * LOG_2PI


def nll(params: Array, sigma: Array, X: Array, y: Array) -> Array:
    """Negative log-likelihood of the data, Eq. (1.4): n log σ + (n/2) log 2π + ‖y − Xβ‖²/(2σ²).

    Parameters
    ----------
    params : array, shape (p,)
        Coefficients β.
    sigma : number
        Standard deviation of the noise, positive.
    X : array, shape (n, p)
        Design matrix, as given: no intercept is added.
    y : array, shape (n,)
        Observations.

    Returns
    -------
    scalar
        The sum over rows; differentiable where the namespace differentiates.

    Raises
    ------
    InvalidInput
        Shapes that do not fit together; sigma not positive.
    """
    xp, params, sigma, X, y = _model(params, sigma, X, y)
    return -xp.sum(log_density(y, X @ params, sigma))


def gradient(params: Array, sigma: Array, X: Array, y: Array) -> Array:
    """Gradient of `nll` in (β, log σ), Eqs. (3.1) and (3.2).

    Parameters are those of `nll`.

    Returns
    -------
    array, shape (p + 1,)
        −Xᵀ(y − Xβ)/σ², then n − ‖y − Xβ‖²/σ².
    """
    xp, params, sigma, X, y = _model(params, sigma, X, y)
    z = (y - X @ params) / sigma  # σ is divided by twice: its square can leave floating point
    by_beta = -(X.T @ z) / sigma
    by_log_sigma = y.shape[0] - xp.sum(z * z)
    return xp.concat([by_beta, xp.reshape(by_log_sigma, (1,))])


def hessian(params: Array, sigma: Array, X: Array, y: Array) -> Array:
    """Hessian of `nll` in (β, log σ), Eq. (3.3); far from the MLE it is indefinite, Eq. (3.12).

    Parameters are those of `nll`.

    Returns
    -------
    array, shape (p + 1, p + 1)
        XᵀX/σ² for β; 2Xᵀ(y − Xβ)/σ² across; 2‖y − Xβ‖²/σ² for log σ.
    """
    xp, params, sigma, X, y = _model(params, sigma, X, y)
    z, scaled = (y - X @ params) / sigma, X / sigma
    return _bordered(xp, scaled.T @ scaled, 2 * (scaled.T @ z), 2 * xp.sum(z * z))


def fisher_information(params: Array, sigma: Array, X: Array) -> Array:
    """Expected (Fisher) information of (β, log σ), Eqs. (3.4) and (3.9).

    Parameters are those of `nll`; the observations are averaged out.

    Returns
    -------
    array, shape (p + 1, p + 1)
        XᵀX/σ² for β, zero across, 2n for log σ.
    """
    xp, params, sigma, X = _model(params, sigma, X)
    zero = 0 * params / sigma
    two_n = 0 * sigma + 2 * X.shape[0]
    scaled = X / sigma
    return _bordered(xp, scaled.T @ scaled, zero, two_n)


def _bordered(xp: Any, square: Array, side: Array, corner: Array) -> Array:
    """[[square, side], [sideᵀ, corner]]."""
    p = side.shape[0]
    top = xp.concat([square, xp.reshape(side, (p, 1))], axis=1)
    bottom = xp.concat([side, xp.reshape(corner, (1,))])
    return xp.concat([top, xp.reshape(bottom, (1, p + 1))], axis=0)


def _arrays(*values: Array) -> tuple[Any, ...]:
    """Namespace, and the values as its float64 (or complex128) arrays."""
    given = [np.asarray(v) if isinstance(v, (list, tuple)) else v for v in values]
    # Python numbers and NumPy scalars (a fit's sigma, say) go with arrays of any kind.
    arrays = [a for a in given if is_array_api_obj(a) and not isinstance(a, np.generic)]
    xp = namespace(*(arrays or [np.zeros(0)]))
    where = device(arrays[0]) if arrays else None
    out = []
    for a in given:
        if not is_array_api_obj(a) or isinstance(a, np.generic):
            number = complex(a)
            # the dtype is said: PyTorch's default would be single precision
            if number.imag:
                a = xp.asarray(number, dtype=xp.complex128, device=where)
            else:
                a = xp.asarray(number.real, dtype=xp.float64, device=where)
        out.append(as_float(xp, a))
    return xp, *out


def _model(params: Array, sigma: Array, X: Array, y: Array | None = None) -> tuple[Any, ...]:
    """The arguments as float64 arrays of one namespace, their shapes checked."""
    xp, params, sigma, X, *rest = _arrays(params, sigma, X, *([] if y is None else [y]))
    if X.ndim != 2:
        raise InvalidInput(f"X must have shape (n, p); it has {tuple(X.shape)}")
    n, p = X.shape
    if params.shape != (p,):
        raise InvalidInput(
            f"params must have shape ({p},), one for each column of X; it has {tuple(params.shape)}"
        )
    if rest and rest[0].shape != (n,):
        raise InvalidInput(
            f"y must have shape ({n},), one for each row of X; it has {tuple(rest[0].shape)}"
        )
    if sigma.ndim:
        raise InvalidInput(f"sigma must be one number; it has shape {tuple(sigma.shape)}")
    _check_positive(xp, sigma)
    return xp, params, sigma, X, *rest


def _check_positive(xp: Any, sigma: Array) -> None:
    real = xp.real(sigma) if sigma.dtype == xp.complex128 else sigma
    if not bool(xp.all(real > 0)):
        raise InvalidInput("sigma, the noise's standard deviation, must be positive")
