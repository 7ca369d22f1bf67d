"""What anybody's negative log-likelihood of a linear model promises."""

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations, pairwise
from math import comb, exp, log
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy import integrate

from mlreg.errors import InvalidInput, InvalidType
from mlreg.verify.kit import Promise, called, promise, run
from mlreg.verify.points import Likelihood, Point, Scale, code, points
from mlreg.verify.registry import U, ratio_of
from mlreg.verify.report import Report

__all__ = ["LIKELIHOOD", "Likelihood", "check_likelihood"]

F64 = NDArray[np.float64]

LIKELIHOOD: list[Promise] = []
"""The laws of a likelihood."""


def check_likelihood(
    nll: Callable[..., Any],
    gradient: Callable[..., Any] | None = None,
    hessian: Callable[..., Any] | None = None,
    *,
    scale: Scale = "log sigma",
    weights: Literal["frequency", "precision"] | None = None,
    convex: bool = False,
    examples: int = 50,
    seed: int = 0,
    shrink: bool = True,
    laws: Sequence[str] | None = None,
    expect_fail: Mapping[str, str] | None = None,
) -> Report:
    """Hold anybody's negative log-likelihood of y = Xβ + σε to what the mathematics promises.

    Parameters
    ----------
    nll : callable
        From (θ, X, y) to the sum over rows of −log f; θ is (β, log σ), shape (p + 1,).
    gradient, hessian : callable, optional
        Its derivatives by θ, shapes (p + 1,) and (p + 1, p + 1).
    scale : "log sigma", "sigma" or "1/sigma"
        What the last entry of θ is; with the last θ = (β/σ, 1/σ), Eq. (3.10).
    weights : "frequency" or "precision", optional
        What a fourth argument of these functions means: rows that stand for several, or of
        variance σ²/w.
    convex : bool
        Whether it is declared to be convex in θ. That of normal noise is in (β/σ, 1/σ), but not in
        (β, log σ), Eq. (3.12).
    examples : int
        Number of points for each law.
    seed : int
        Of the points.
    shrink : bool
        Whether the smallest counterexample is looked for, which takes time, or the first one shown.
    laws : sequence of str, optional
        Which laws to try, by name; all of them where it is not said.
    expect_fail : mapping, optional
        Names of laws that it is known to break, with the reasons.

    Examples
    --------
    >>> import numpy as np
    >>> from mlreg import verify
    >>> def half_squares(theta, X, y):  # no constants: it is no density
    ...     z = (y - X @ theta[:-1]) / np.exp(theta[-1])
    ...     return 0.5 * z @ z + len(y) * theta[-1]
    >>> verify.check_likelihood(half_squares, examples=5).broken
    ('density_integrates_to_one',)
    """
    for name, function in (("nll", nll), ("gradient", gradient), ("hessian", hessian)):
        if not callable(function) and not (function is None and name != "nll"):
            raise InvalidType(f"{name} must be a function of theta, X and y, not {function!r}")
    if scale not in get_args(Scale):
        raise InvalidInput(f"scale must be 'log sigma', 'sigma' or '1/sigma', not {scale!r}")
    if weights not in (None, "frequency", "precision"):
        raise InvalidInput(f"weights must be 'frequency' or 'precision', not {weights!r}")
    if not isinstance(convex, bool):
        raise InvalidType(f"convex must be True or False, not {convex!r}")
    subject = Likelihood(nll, gradient, hessian, scale, weights, convex)
    return run(called(nll), subject, LIKELIHOOD, laws, examples, seed, expect_fail, shrink)


def _terms(subject: Likelihood, point: Point, theta: F64 | None = None) -> F64:
    """The NLL of each row."""
    theta = point.theta if theta is None else theta
    rows = range(len(point.y))
    each = [subject.nll(theta, point.X[i : i + 1], point.y[i : i + 1]) for i in rows]
    return np.array(each, dtype=np.float64)


def _slack(terms: F64) -> float:
    """What rounding may do to a sum of terms, each of which is some numbers itself."""
    return float(8 * (len(terms) + 32) * U * (np.abs(terms).sum() + 8 * len(terms)))


@promise(
    "bounded", "1.2", mathematics="∫ exp(−nll(θ; x, y)) dy = 1", into=LIKELIHOOD,
    draw=points(), code=code,
)  # fmt: skip
def density_integrates_to_one(subject: Likelihood, point: Point) -> Any:
    """The NLL of one row is minus the logarithm of a density, its constants included."""
    value, error = _over_y(subject, point, lambda theta, x, y: np.ones(1))
    return ratio_of(value - 1, 10 * error + 1e-8)


def _over_y(
    subject: Likelihood, point: Point, f: Callable[[F64, F64, F64], F64]
) -> tuple[F64, float]:
    """∫ f exp(−nll) dy of the first row, and the quadrature's own estimate of its error."""
    x, theta = point.X[:1], point.theta
    beta, log_sigma = subject.split(theta)
    centre, sigma = float(x[0] @ beta), exp(log_sigma)
    middle = np.array([centre + sigma / 1024])

    def inside(u: float) -> F64:  # y = centre + σ sinh(u): tails of any power become exponential
        y = np.array([centre + sigma * np.sinh(u)])
        weight = np.exp(-float(subject.nll(theta, x, y))) * sigma * np.cosh(u)
        return np.asarray(f(theta, x, y) * weight if weight else 0 * f(theta, x, middle))

    # a tail of |y|^-2, whose moments are the scale's, has 1e-13 left at 30
    parts = [
        integrate.quad_vec(inside, *ends, epsabs=1e-10, epsrel=1e-10, norm="max", limit=60)[:2]
        for ends in ((-30.0, 0.0), (0.0, 30.0))
    ]
    return parts[0][0] + parts[1][0], float(parts[0][1] + parts[1][1])


@promise(
    "bounded", "1.3", mathematics="nll(θ; X, y) = nll(θ; X₁, y₁) + nll(θ; X₂, y₂)",
    into=LIKELIHOOD, draw=points("cut"), code=code,
)  # fmt: skip
def rows_add_up(subject: Likelihood, point: Point) -> Any:
    """The NLL of rows is the sum of the NLLs of any parts of them."""
    X, y, theta, cut = point
    parts = subject.nll(theta, X[:cut], y[:cut]) + subject.nll(theta, X[cut:], y[cut:])
    terms = _terms(subject, point)
    whole = subject.nll(theta, X, y)
    return ratio_of([whole - parts, whole - terms.sum()], _slack(terms))


@promise(
    "bounded", "1.3", mathematics="nll(θ; PX, Py) = nll(θ; X, y)", into=LIKELIHOOD,
    draw=points("order"), code=code,
)  # fmt: skip
def rows_in_any_order(subject: Likelihood, point: Point) -> Any:
    """The order of independent rows does not matter."""
    X, y, theta, order = point
    order = list(order)
    gap = subject.nll(theta, X, y) - subject.nll(theta, X[order], y[order])
    return ratio_of(gap, _slack(_terms(subject, point)))


@promise(
    "bounded", "1.2", mathematics="nll(cβ, cσ; X, cy) = nll(β, σ; X, y) + n log c",
    into=LIKELIHOOD, draw=points("unit"), code=code,
)  # fmt: skip
def units_add_their_logarithm(subject: Likelihood, point: Point) -> Any:
    """In another unit of the response the NLL changes by n times its logarithm: the Jacobian."""
    X, y, theta, power = point
    c = 2.0**power
    beta, log_sigma = subject.split(theta)
    moved = subject.nll(subject.theta(c * beta, log_sigma + log(c)), X, c * y)
    terms = _terms(subject, point)
    n = len(y)
    slack = _slack(terms) + 8 * n * U * (1 + abs(power)) + _off_scale(subject, point, power)
    return ratio_of(moved - subject.nll(theta, X, y) - n * power * log(2), slack)


def _off_scale(subject: Likelihood, point: Point, power: float) -> float:
    """What the rounding of log σ does to z²."""
    beta, log_sigma = subject.split(point.theta)
    z = (np.abs(point.y) + np.abs(point.X) @ np.abs(beta)) / exp(min(log_sigma, 0.0))
    return float(32 * U * (1 + abs(log_sigma) + abs(power)) * (1 + z @ z))


@promise(
    "bounded", "1.2", mathematics="nll(β + d, σ; X, y + Xd) = nll(β, σ; X, y)", into=LIKELIHOOD,
    draw=points("shift"), code=code,
)  # fmt: skip
def only_residuals_count(subject: Likelihood, point: Point) -> Any:
    """A combination of the columns, added to response and coefficients, changes nothing."""
    X, y, theta, shift = point
    d = np.array(shift, dtype=np.float64)
    beta, log_sigma = subject.split(theta)
    moved, y_moved = subject.theta(beta + d, log_sigma), y + X @ d
    size = (np.abs(y_moved) + np.abs(X) @ (np.abs(beta + d) + np.abs(d))) / exp(log_sigma)
    slack = _slack(_terms(subject, point)) + 32 * U * float(size @ (1 + size))
    return ratio_of(subject.nll(moved, X, y_moved) - subject.nll(theta, X, y), slack)


def _needs(*names: str) -> Callable[[Likelihood], str]:
    def why_not(subject: Likelihood) -> str:
        missing = [name for name in names if getattr(subject, name) is None]
        return f"it has no {missing[0]}" if missing else ""

    return why_not


def _derivative(f: Callable[[float], F64]) -> tuple[F64, F64]:
    """f′(0) by central differences, extrapolated (Richardson), and an estimate of its error.

    Where f is smooth, the gap between differences ahead and behind halves with the step, and what
    central differences change by quarters. What is left over is a kink of f or f′ within the steps.
    """
    steps = [2.0**-k for k in range(10, 15)]
    middle = np.asarray(f(0.0))
    ends = [(np.asarray(f(h)), np.asarray(f(-h))) for h in steps]
    gaps = [(a - 2 * middle + b) / h for (a, b), h in zip(ends, steps, strict=True)]
    kink = np.max([np.abs(2 * finer - gap) for gap, finer in pairwise(gaps)], axis=0)
    row = [(a - b) / (2 * h) for (a, b), h in zip(ends, steps, strict=True)]
    changes = [finer - wide for wide, finer in pairwise(row)]
    bend = np.max([np.abs(4 * finer - change) for change, finer in pairwise(changes)], axis=0)
    best, error = row[-1], np.abs(row[-1] - row[-2])
    for k in range(1, len(steps)):
        row = [(4**k * finer - wide) / (4**k - 1) for wide, finer in pairwise(row)]
        off = np.abs(row[-1] - best)
        best, error = np.where(off < error, row[-1], best), np.minimum(off, error)
    return np.asarray(best), np.asarray(error + kink + bend)


@promise(
    "bounded", "3.1", "3.2", "3.5", mathematics="gradient = ∂nll/∂θ", into=LIKELIHOOD,
    draw=points(), code=code, why_not=_needs("gradient"),
)  # fmt: skip
def gradient_is_the_derivative(subject: Likelihood, point: Point) -> Any:
    """The gradient is the derivative of the NLL, by extrapolated differences."""
    assert subject.gradient is not None
    X, y, theta, _ = point
    got = np.asarray(subject.gradient(theta, X, y))
    return _against(subject, point, subject.nll, got)


@promise(
    "bounded", "3.3", "3.7", mathematics="Hessian = ∂gradient/∂θ", into=LIKELIHOOD,
    draw=points(), code=code, why_not=_needs("gradient", "hessian"),
)  # fmt: skip
def hessian_is_the_derivative(subject: Likelihood, point: Point) -> Any:
    """The Hessian is the derivative of the gradient, by extrapolated differences."""
    assert subject.gradient is not None
    assert subject.hessian is not None
    X, y, theta, _ = point
    got = np.asarray(subject.hessian(theta, X, y))
    return _against(subject, point, subject.gradient, got)


def _least(subject: Likelihood, point: Point) -> float:
    """σ, or 1 where that is less."""
    return exp(min(subject.split(point.theta)[1], 0.0))


def _sizes(subject: Likelihood, point: Point) -> float:
    """What the NLL and its derivatives are made of, roughly: the scale of their rounding."""
    beta, log_sigma = subject.split(point.theta)
    z = (np.abs(point.y) + np.abs(point.X) @ np.abs(beta)) / exp(log_sigma)
    x = 1 + np.abs(point.X).max() / _least(subject, point)
    return float(np.sum((1 + z) ** 2) * x**2)


def _against(subject: Likelihood, point: Point, f: Callable[..., Any], got: F64) -> Any:
    X, y, theta, _ = point
    steps = np.ones(len(theta))
    if subject.scale != "log sigma":
        steps[-1] = theta[-1]  # a scale stays positive
    each = []
    for j, step in enumerate(np.diag(steps)):
        derivative, error = _derivative(
            lambda h, step=step: np.asarray(f(theta + h * step, X, y))  # type: ignore[misc]
        )
        slack = 20 * error / steps[j] + 1e5 * U * _sizes(subject, point)
        each.append(ratio_of(derivative / steps[j] - got[j], slack))
    return np.array(each)


@promise(
    "exact", "3.3", "3.7", mathematics="H = Hᵀ", into=LIKELIHOOD, draw=points(), code=code,
    why_not=_needs("hessian"),
)  # fmt: skip
def hessian_equals_its_transpose(subject: Likelihood, point: Point) -> Any:
    """The Hessian is symmetric, to the last bit."""
    assert subject.hessian is not None
    H = np.asarray(subject.hessian(point.theta, point.X, point.y))
    return ratio_of(H - H.T, 0.0)


@promise(
    "bounded", "3.10", "3.11", "3.12", mathematics="declared convex ⇒ λ_min(H) ≥ 0",
    into=LIKELIHOOD, draw=points(), code=code,
    why_not=lambda s: _needs("hessian")(s) or ("" if s.convex else "convex= does not say so"),
)  # fmt: skip
def declared_convex_is_convex(subject: Likelihood, point: Point) -> Any:
    """Where the NLL is said to be convex, the Hessian has no negative eigenvalue."""
    assert subject.hessian is not None
    H = np.asarray(subject.hessian(point.theta, point.X, point.y))
    below = max(-float(np.linalg.eigvalsh(H)[0]), 0.0)
    n, p = point.X.shape  # entries are sums over rows; their sizes are on the diagonal
    return ratio_of(below, 8 * (n + p + 8) * U * np.abs(np.diagonal(H)).sum())


@promise(
    "bounded", "3.4", mathematics="∫ ∂nll/∂θ exp(−nll) dy = 0", into=LIKELIHOOD, draw=points(),
    code=code, why_not=_needs("gradient"),
)  # fmt: skip
def mean_gradient_is_zero(subject: Likelihood, point: Point) -> Any:
    """Where the model is true the gradient is zero in the mean."""
    assert subject.gradient is not None
    gradient = subject.gradient
    size = 1 + np.abs(point.X[0]).max() / _least(subject, point)
    value, error = _over_y(subject, point, lambda *at: np.asarray(gradient(*at)))
    return ratio_of(value, 10 * error + 1e-7 * size)


@promise(
    "bounded", "3.4", mathematics="∫ ggᵀ exp(−nll) dy = ∫ H exp(−nll) dy", into=LIKELIHOOD,
    draw=points(), code=code, why_not=_needs("gradient", "hessian"),
)  # fmt: skip
def information_has_two_faces(subject: Likelihood, point: Point) -> Any:
    """Outer products of the gradient and the Hessian are the same in the mean: the information."""
    assert subject.gradient is not None
    assert subject.hessian is not None
    gradient, hessian = subject.gradient, subject.hessian
    size = (1 + np.abs(point.X[0]).max() / _least(subject, point)) ** 2

    def gap(*at: F64) -> F64:
        g = np.asarray(gradient(*at))
        return np.asarray(np.outer(g, g) - np.asarray(hessian(*at)))

    value, error = _over_y(subject, point, gap)
    return ratio_of(value, 10 * error + 1e-7 * size)


@promise(
    "bounded", "4.3", mathematics="Σ over minibatches of g_B = C(n − 1, m − 1) g", into=LIKELIHOOD,
    draw=points("size"), code=code, why_not=_needs("gradient"),
)  # fmt: skip
def minibatch_gradients_add_up(subject: Likelihood, point: Point) -> Any:
    """Gradients of all minibatches of a size add up to a multiple of that of all rows."""
    assert subject.gradient is not None
    X, y, theta, m = point
    n = len(y)
    parts = [
        np.asarray(subject.gradient(theta, X[list(rows)], y[list(rows)]))
        for rows in combinations(range(n), m)
    ]
    each = [np.asarray(subject.gradient(theta, X[i : i + 1], y[i : i + 1])) for i in range(n)]
    want = comb(n - 1, m - 1) * np.asarray(subject.gradient(theta, X, y))
    sizes = np.abs(each).sum(axis=0) + _sizes(subject, point)
    return ratio_of(np.sum(parts, axis=0) - want, 64 * len(parts) * n * U * sizes)


def _unless(*kinds: str) -> Callable[[Likelihood], str]:
    def why_not(subject: Likelihood) -> str:
        if subject.weights is None:
            return "weights= does not say what its weights mean"
        return "" if subject.weights in kinds else f"its weights mean {subject.weights}"

    return why_not


@promise(
    "bounded", "1.5", mathematics="nll with frequencies k is nll of k copies of each row",
    into=LIKELIHOOD, draw=points("copies"), code=code, why_not=_unless("frequency"),
)  # fmt: skip
def frequencies_are_copies(subject: Likelihood, point: Point) -> Any:
    """A row of frequency k is k equal rows, and of frequency 0 none."""
    X, y, theta, copies = point
    k = np.array(copies)
    repeated = np.repeat(X, k, axis=0), np.repeat(y, k)
    terms = _terms(subject, Point(*repeated, theta))
    gap = subject.nll(theta, X, y, k.astype(float)) - subject.nll(theta, *repeated)
    return ratio_of(gap, _slack(terms))


@promise(
    "bounded", "1.5", mathematics="nll with precisions w is Σ nll(β, σ/√wᵢ; xᵢ, yᵢ), w > 0",
    into=LIKELIHOOD, draw=points("copies"), code=code, why_not=_unless("precision"),
)  # fmt: skip
def precisions_divide_the_variance(subject: Likelihood, point: Point) -> Any:
    """A row of precision w has the noise of variance σ²/w, its own constant included."""
    X, y, theta, copies = point
    w = 4.0 ** np.array(copies)
    moved = np.array([
        subject.nll(_narrower(subject, theta, v), X[i : i + 1], y[i : i + 1])
        for i, v in enumerate(w)
    ])  # fmt: skip
    slack = _slack(moved) + _off_scale(subject, point, 6.0) * float(w.max())
    return ratio_of(subject.nll(theta, X, y, w) - moved.sum(), slack)


def _narrower(subject: Likelihood, theta: F64, w: float) -> F64:
    beta, log_sigma = subject.split(theta)
    return subject.theta(beta, log_sigma - 0.5 * log(w))
