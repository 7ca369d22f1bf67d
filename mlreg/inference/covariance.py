"""Covariance of the estimates (β, γ) under any noise, in four ways.

The expected information asks of the model what such data are worth, the observed Hessian asks
these data, and the outer products of the rows' gradients ask how much these vary. Where the model
is true, all three agree as n grows, Eq. (3.9). The sandwich of the last two is right in large
samples whether it is true or not. All are computed in the whitened coordinates of Eq. (3.8), in
which they are near the identity, and only the result is taken to the units of the data.
"""

import math
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from mlreg.certificate import require_full_rank
from mlreg.errors import InvalidInput
from mlreg.inference.combination import lengths
from mlreg.inference.labels import labels_of
from mlreg.inference.robust import (
    Independent,
    Meat,
    Robust,
    check_kind,
    described,
    meat_of,
    refuse_frequencies,
    root_of,
)
from mlreg.likelihood.linear import LinearLikelihood
from mlreg.linalg.products import whiten
from mlreg.linalg.triangle import qr_triangle, scale_columns, solve_upper
from mlreg.scoring import DEFINITE, HUGE, Point, Whitened, whitened

__all__ = ["Kind", "covariance", "robust_covariance"]

F64 = NDArray[np.float64]
Kind = Literal[
    "expected", "observed", "opg", "sandwich", "HC0", "HC1", "HC2", "HC3", "cluster", "HAC"
]


def covariance(
    likelihood: LinearLikelihood,
    theta: F64,
    kind: Kind = "expected",
    groups: Any = None,
    lags: int | None = None,
) -> F64:
    """Joint covariance of the coefficients and of γ, at θ, in large samples.

    Parameters
    ----------
    likelihood : LinearLikelihood
        Of any symmetric noise; with columns that are independent.
    theta : ndarray, shape (p + q,)
        (β, γ), the MLE or the mode of the posterior.
    kind : str
        ``expected``: the inverse of the information I, Eqs. (3.4) and (3.6), for every noise.
        ``observed``: the inverse of the Hessian H, Eq. (3.7). ``opg``: the inverse of the outer
        products B = Σ k gᵢgᵢᵀ of the gradients of the rows, Eq. (3.5). ``sandwich`` or ``HC0``:
        H⁻¹BH⁻¹, Eq. (12.5). ``HC1``: that times n/(n − p), Eq. (12.6). ``cluster`` and ``HAC``:
        with B the outer products of sums over clusters, or with neighbours in time, Eq. (12.7).
        ``HC2`` and ``HC3`` are of least squares: see `mlreg.inference.robust`.
    groups : array, or tuple of two
        Of ``cluster``: labels, see `mlreg.inference.labels.labels_of`.
    lags : int, optional
        Of ``HAC``, the rows being in order of time; ⌊4 (n/100)^(2/9)⌋ by default.

    Returns
    -------
    ndarray, shape (p + q, p + q)
        In the units of the products of the parameters; γ has none.

    Raises
    ------
    InvalidInput
        Another kind; a kind that the noise does not have, its ψ having jumps, or that a prior
        does not allow; a Hessian, or a B, that is not positive definite.
    RankDeficient
        Where the coefficients are not unique.

    Notes
    -----
    With a prior, its precision is added to I or H: the covariance of the normal approximation to
    the posterior. For Gaussian noise of one scale, H is block diagonal at the MLE, by the normal
    equations, Eq. (2.2): so the β block of ``HC0`` is White's, whatever the skewness of the
    residuals, which shows in the covariance of β and γ only. With a scale design it need not be.

    ``expected`` contains the MLE of σ; `Fit.covariance`, for least squares, s² in the place of it.

    Examples
    --------
    >>> import mlreg as ml
    >>> data = ml.datasets.norris()
    >>> likelihood = ml.LinearLikelihood(data.X, data.y, noise=ml.Logistic())
    >>> theta = ml.Newton().minimize(likelihood).theta
    >>> covariance(likelihood, theta, "HC0").shape
    (2, 2)
    """
    theta = _check(likelihood, theta, kind, groups, lags)
    if kind == "expected":
        return _expected(likelihood, theta)
    space, point, root, _ = _root(likelihood, theta, kind, groups, lags)
    return _of_data(space, point, root)


def robust_covariance(
    likelihood: LinearLikelihood,
    theta: F64,
    kind: Kind,
    R: F64,
    exponent: NDArray[np.int64],
    groups: Any = None,
    lags: int | None = None,
) -> Robust:
    """The same of the coefficients alone, with what a fit that uses it has to say of it.

    ``R`` and ``exponent`` are the triangle of the fit's information, and what was taken out of it.
    """
    theta = _check(likelihood, theta, kind, groups, lags)
    space, point, root, meat = _root(likelihood, theta, kind, groups, lags)
    shift = space.exponent - exponent
    own = scale_columns(point.R, shift[:-1] - shift[-1])  # in the units of R
    across = solve_upper(own, R.T, transpose=True).T
    label, df = described(kind, meat, math.inf)
    by_scale = lengths(space.S_inverse / space.root_b @ root[space.p :])
    return Robust(kind, label, across @ root[: space.p], df, by_scale)


def _root(
    likelihood: LinearLikelihood, theta: F64, kind: Kind, groups: Any, lags: int | None
) -> tuple[Whitened, Point, F64, Meat | None]:
    """C, CCᵀ the covariance of (u, v) at the point of θ, and the sums that it was made of."""
    meat: Meat | None = None
    p, kinks = likelihood.n_params, not likelihood.noise.smooth
    space = Whitened(likelihood, kinks=True) if kinks else whitened(likelihood)
    known = np.eye(len(theta)) if kind == "opg" else None  # no Hessian is asked for
    point = space.at(space.scale(theta[:p]), theta[p:], bounds=False, hessian=known)
    if not point.finite:
        raise InvalidInput("the derivatives of the likelihood overflow at this theta")
    if kind == "opg":
        root = _inverse_root(outer_products(space, point))
        if root is None:
            raise InvalidInput(
                f"the outer products of the gradients of {space.n} rows are singular: kind='opg' "
                f"needs as many different rows as there are parameters, {space.p + space.q}, and "
                "many more to be of use; kind='expected' needs none"
            )
        return space, point, root, None
    root = _inverse_root(point.hessian)
    if root is None:
        raise InvalidInput(
            f"the observed Hessian is not positive definite at this theta, so that kind={kind!r} "
            "does not exist: either theta is no minimum (see the certificate), or the "
            "likelihood is flat there; kind='expected' exists"
        )
    if kind != "observed":
        labels = labels_of(likelihood.source, groups) if kind == "cluster" else None
        meat = meat_of(kind, space.p + space.q, space.n, labels, lags)
        root = root @ root.T @ root_of(outer_products(space, point, meat))
    if kind == "HC1":
        root = root * math.sqrt(space.n / (space.n - p))
    return space, point, root, meat


def _check(
    likelihood: LinearLikelihood, theta: F64, kind: str, groups: Any, lags: int | None
) -> F64:
    """θ as an array; an error where there is no such covariance."""
    if kind not in get_args(Kind):
        kinds = ", ".join(map(repr, get_args(Kind)))
        raise InvalidInput(f"kind must be one of {kinds}; not {kind!r}")
    noise, size = likelihood.noise, likelihood.n_params + likelihood.n_scale
    if not noise.smooth and kind not in ("expected", "opg"):
        raise InvalidInput(
            f"{noise} has kinks: its Hessian is not that of the likelihood, and kind={kind!r} "
            "means nothing. Use kind='expected' or 'opg', or a profile-likelihood interval, or "
            "the bootstrap"
        )
    if kind in ("HC2", "HC3"):
        raise InvalidInput(
            f"kind={kind!r} corrects residuals for their leverage, which is a thing of least "
            "squares: use 'HC0' or 'HC1'"
        )
    if likelihood.prior is not None and kind not in ("expected", "observed"):
        raise InvalidInput(
            f"kind={kind!r} is for maximum likelihood: with {likelihood.prior} use 'expected' or "
            "'observed', the covariance of the posterior"
        )
    theta = np.asarray(theta, dtype=np.float64)
    if theta.shape != (size,) or not np.isfinite(theta).all():
        raise InvalidInput(
            f"theta must be {size} finite numbers, the coefficients and gamma, not "
            f"{theta}: where sigma is zero, no covariance exists"
        )
    check_kind(kind, groups, lags, likelihood.n_rows, likelihood.n_params)
    if likelihood.prior is None:
        require_full_rank(likelihood)
    return theta


def _expected(likelihood: LinearLikelihood, theta: F64) -> F64:
    """The inverse of the information, from its triangle, Eq. (3.6)."""
    R, p = likelihood.factor(theta), likelihood.n_params
    if likelihood.prior is not None:
        prior = np.diag(np.sqrt(likelihood.prior_precision))
        R[:p, :p] = qr_triangle(np.vstack([R[:p, :p], prior]))
    inverse = solve_upper(R, np.eye(len(R)))
    with np.errstate(over="ignore", under="ignore"):
        return np.asarray(inverse @ inverse.T)


def outer_products(space: Whitened, point: Point, meat: Meat | None = None) -> F64:
    """Σ k gᵢgᵢᵀ of the gradients of the rows, Eq. (3.5), in the coordinates of the point.

    Or other sums of them, a ``meat``. A row of frequency k is k rows. One pass over the data; shape
    (p + q, p + q).
    """
    meat = Independent(space.p + space.q) if meat is None else meat
    to, kinks = space.S_inverse / space.root_b, not space.noise.smooth
    weighted = False
    for rows, r, reach in space.residuals(point.beta):
        if kinks:  # a row that is fitted exactly has no sign: its gradient is zero
            r = np.where(np.abs(r) <= reach, 0.0, r)
        shrink = np.exp(-space.log_sigma(rows, point.gamma))
        z = np.clip(r * shrink, -HUGE, HUGE)
        psi = space.noise.psi(z)
        V = np.ones((len(z), 1)) if rows.Z is None else rows.Z
        by_u = whiten(point.R, rows.A) * (-psi * shrink)[:, None]
        by_v = (V @ to) * (1 - z * psi)[:, None]
        weighted = weighted or bool((rows.k != 1).any())
        if weighted:
            refuse_frequencies(meat)
        meat.add(np.hstack([by_u, by_v]), rows.k if weighted else None)
    return meat.total()


def _inverse_root(matrix: F64) -> F64 | None:
    """C, CCᵀ the inverse of a matrix that is the identity in the mean; None: it is not positive."""
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray(vectors / np.sqrt(values)) if values[0] > DEFINITE else None


def _of_data(space: Whitened, point: Point, root: F64) -> F64:
    """CCᵀ, a covariance of (u, v) at the point, as one of (β, γ) in the units of the data.

    By its root C, so that no variance is negative, by rounding, where it is zero.
    """
    p = space.p
    by = np.zeros_like(root)
    by[:p, :p] = scale_columns(point.inverse.T, space.exponent[-1] - space.exponent[:-1]).T
    by[p:, p:] = space.S_inverse / space.root_b
    with np.errstate(over="ignore", under="ignore"):
        rows = by @ root
        return np.asarray(rows @ rows.T)
