"""Faults that people make, planted one by one, and the law that must catch each.

``python tests/verify/faulty.py`` writes the kill matrix, docs/kill-matrix.md, anew.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from scipy import optimize, stats

import mlreg as ml
from mlreg import verify
from mlreg.verify.recognise import CHECKS

PAGE = Path(__file__).resolve().parents[2] / "docs/kill-matrix.md"


@dataclass(frozen=True)
class Fault:
    """A fault, what it was planted in, and the law that must name it."""

    name: str
    kind: str
    law: str
    subject: Callable[[], Any]
    options: dict[str, Any] = field(default_factory=dict)


FAULTS: list[Fault] = []


def fault(kind: str, name: str, law: str, **options: Any) -> Callable[[Any], Any]:
    """Register a class, to be made anew each time, or a function."""

    def register(subject: Any) -> Any:
        make = subject if isinstance(subject, type) else lambda: subject
        FAULTS.append(Fault(name, kind, law, make, options))
        return subject

    return register


# Noises: the normal, each with one thing wrong


def noise(name: str, law: str, **wrong: Any) -> None:
    class Wrong(type(ml.Gaussian())):  # type: ignore[misc]
        def __repr__(self) -> str:
            return "Gaussian()"

    for attribute, value in wrong.items():
        setattr(Wrong, attribute, value)
    FAULTS.append(Fault(name, "noise", law, Wrong))


ROOT = np.sqrt(2 * np.pi)
noise(
    "ρ without its ½", "psi_and_dpsi_are_derivatives",
    rho=lambda self, z: z**2 + np.log(ROOT),
)  # fmt: skip
noise("ρ without log √2π", "cdf_is_integral", rho=lambda self, z: z**2 / 2)
noise("ψ of the other sign", "psi_and_dpsi_are_derivatives", psi=lambda self, z: -z)
noise("ψ′ of absolute loss", "psi_and_dpsi_are_derivatives", dpsi=lambda self, z: np.zeros_like(z))
noise("cdf of the logistic", "cdf_is_integral", cdf=lambda self, z: 1 / (1 + np.exp(-1.702 * z)))
noise(
    "quantile to seven digits", "quantile_inverts_cdf",
    quantile=lambda self, u: np.round(stats.norm.ppf(u), 7),
)  # fmt: skip
noise("information of σ for that of log σ", "fisher_is_mean_product", fisher=(1.0, 0.0, 1.0))
noise(
    "called even, and is skewed", "symmetric_noise_is_even",
    rho=lambda self, z: z**2 / 2 + np.log(ROOT) + 0.01 * np.tanh(z),
)  # fmt: skip
noise("mgf without its ½", "mgf_is_mean_exponential", mgf=lambda self, t: np.exp(t * t))


@fault("noise", "called log-concave, and is Student's t", "log_concave_noise_is_convex")
class TailedButConcave(ml.StudentT):
    log_concave = True

    def __init__(self) -> None:
        super().__init__(4.0)


# Likelihoods: θ = (β, log σ), right but for one thing


def pieces(theta: Any, X: Any, y: Any) -> Any:
    beta, log_sigma = theta[:-1], theta[-1]
    return beta, log_sigma, (y - X @ beta) / np.exp(log_sigma)


def right_nll(theta: Any, X: Any, y: Any, k: Any = None) -> Any:
    _, log_sigma, z = pieces(theta, X, y)
    each = z**2 / 2 + log_sigma + np.log(ROOT)
    return each.sum() if k is None else (k * each).sum()


def right_gradient(theta: Any, X: Any, y: Any) -> Any:
    _, log_sigma, z = pieces(theta, X, y)
    return np.append(-X.T @ z / np.exp(log_sigma), len(y) - z @ z)


def right_hessian(theta: Any, X: Any, y: Any) -> Any:
    _, log_sigma, z = pieces(theta, X, y)
    s = np.exp(log_sigma)
    across = 2 * X.T @ z / s
    inner = np.tril(X.T @ X) / s**2
    inner = inner + np.tril(inner, -1).T
    return np.block([[inner, across[:, None]], [across[None, :], np.array([[2 * z @ z]])]])


def likelihood(name: str, law: str, **options: Any) -> Callable[[Any], Any]:
    """Register a function that returns the parts (nll, gradient, hessian) that are wrong."""

    def register(make: Callable[[], dict[str, Any]]) -> Any:
        parts = {"nll": right_nll, "gradient": right_gradient, "hessian": right_hessian} | make()
        nll = parts.pop("nll")
        FAULTS.append(Fault(name, "likelihood", law, lambda: nll, {**parts, **options}))
        return make

    return register


@likelihood("NLL without its ½", "density_integrates_to_one")
def _() -> Any:
    return {"nll": lambda t, X, y: right_nll(t, X, y) + (pieces(t, X, y)[2] ** 2).sum() / 2}


@likelihood("NLL without n log √2π", "density_integrates_to_one")
def _() -> Any:
    return {"nll": lambda t, X, y: right_nll(t, X, y) - len(y) * np.log(ROOT)}


@likelihood("NLL without n log σ", "units_add_their_logarithm")
def _() -> Any:
    return {"nll": lambda t, X, y: right_nll(t, X, y) - len(y) * t[-1]}


@likelihood("mean for sum", "rows_add_up")
def _() -> Any:
    return {"nll": lambda t, X, y: right_nll(t, X, y) / len(y)}


@likelihood("(n − p) log σ, of the restricted likelihood", "rows_add_up")
def _() -> Any:
    return {"nll": lambda t, X, y: right_nll(t, X, y) - X.shape[1] * t[-1]}


@likelihood("a forgotten ridge", "only_residuals_count")
def _() -> Any:
    return {"nll": lambda t, X, y: right_nll(t, X, y) + 1e-6 * t[:-1] @ t[:-1]}


@likelihood("single precision inside", "rows_add_up")
def _() -> Any:
    return {"nll": lambda t, X, y: float(np.float32(right_nll(t, X, y)))}


@likelihood("rows weighted by where they stand", "rows_in_any_order")
def _() -> Any:
    def nll(t: Any, X: Any, y: Any) -> Any:
        return right_nll(t, X, y) + 1e-9 * np.arange(len(y)) @ y

    return {"nll": nll}


@likelihood("sign of the scale gradient", "gradient_is_the_derivative")
def _() -> Any:
    def gradient(t: Any, X: Any, y: Any) -> Any:
        g = right_gradient(t, X, y)
        return np.append(g[:-1], -g[-1])

    return {"gradient": gradient}


@likelihood("gradient by σ for that by log σ", "gradient_is_the_derivative")
def _() -> Any:
    def gradient(t: Any, X: Any, y: Any) -> Any:
        g = right_gradient(t, X, y)
        return np.append(g[:-1], g[-1] / np.exp(t[-1]))

    return {"gradient": gradient}


@likelihood("gradient of the mean", "minibatch_gradients_add_up")
def _() -> Any:
    return {"gradient": lambda t, X, y: right_gradient(t, X, y) / len(y)}


@likelihood("gradient without the scale's constant", "mean_gradient_is_zero")
def _() -> Any:
    def gradient(t: Any, X: Any, y: Any) -> Any:
        g = right_gradient(t, X, y)
        return np.append(g[:-1], g[-1] - len(y))

    return {"gradient": gradient}


@likelihood("Hessian without its cross terms", "hessian_is_the_derivative")
def _() -> Any:
    def hessian(t: Any, X: Any, y: Any) -> Any:
        H = right_hessian(t, X, y)
        H[-1, :-1] = H[:-1, -1] = 0
        return H

    return {"hessian": hessian}


@likelihood("Hessian that is the information of one row", "information_has_two_faces")
def _() -> Any:
    def hessian(t: Any, X: Any, y: Any) -> Any:
        H = right_hessian(t, X, y)
        H[-1, -1] = 1.0
        return H

    return {"hessian": hessian}


@likelihood("Hessian with rounding on one side", "hessian_equals_its_transpose")
def _() -> Any:
    def hessian(t: Any, X: Any, y: Any) -> Any:
        H = right_hessian(t, X, y)
        H[0, -1] = H[0, -1] * (1 + 2.0**-52) + 2.0**-60
        return H

    return {"hessian": hessian}


@likelihood("√w for w", "frequencies_are_copies", weights="frequency")
def _() -> Any:
    def nll(t: Any, X: Any, y: Any, k: Any = None) -> Any:
        return right_nll(t, X, y, None if k is None else np.sqrt(k))

    return {"nll": nll}


@likelihood("precisions without ½ Σ log w", "precisions_divide_the_variance", weights="precision")
def _() -> Any:
    def nll(t: Any, X: Any, y: Any, w: Any = None) -> Any:
        root = 1.0 if w is None else np.sqrt(w)
        _, log_sigma, z = pieces(t, X, y)
        return (root**2 * z**2 / 2 + log_sigma + np.log(ROOT)).sum()

    return {"nll": nll}


# Optimizers


@fault("optimizer", "stops where the loss looks flat", "converged_means_near")
def plateau(nll: Any, gradient: Any, start: Any) -> Any:
    theta, before = start.copy(), np.inf
    for _ in range(500):
        g = gradient(theta)
        step = 0.1 / (1 + np.linalg.norm(g))
        theta = theta - step * g
        now = nll(theta)
        if abs(before - now) < 1e-2 * abs(now):
            break
        before = now
    return SimpleNamespace(x=theta, success=True)


@fault("optimizer", "returns its start, and is content", "easy_problems_are_solved")
def lazy(nll: Any, gradient: Any, start: Any) -> Any:
    return start


@fault("optimizer", "σ from the residuals of the start", "converged_means_near_in_scale")
def running_residuals(nll: Any, gradient: Any, start: Any) -> Any:
    x = optimize.minimize(nll, start, jac=gradient, method="BFGS").x
    g = gradient(np.append(start[:-1], 0.0))  # n − Σ r² of the start, at σ = 1
    n = gradient(np.append(x[:-1], 50.0))[-1]
    return np.append(x[:-1], 0.5 * np.log((n - g[-1]) / n))


@fault("optimizer", "works on the caller's array", "start_is_left_alone")
def in_place(nll: Any, gradient: Any, start: Any) -> Any:
    start[:] = optimize.minimize(nll, start, jac=gradient, method="BFGS").x
    return start.copy()


@fault("optimizer", "diverges to NaN, and says converged", "easy_problems_are_solved")
def diverges(nll: Any, gradient: Any, start: Any) -> Any:
    theta = start.copy()
    with np.errstate(all="ignore"):
        for _ in range(100):
            theta = theta - 10.0 * gradient(theta)
    return theta


@fault("optimizer", "an absolute tolerance on the gradient", "unit_of_the_response_does_not_matter")
def absolute(nll: Any, gradient: Any, start: Any) -> Any:
    x = start.copy()
    for _ in range(300):
        g = gradient(x)
        if np.abs(g[:-1]).max(initial=0.0) < 0.1:
            break
        x = optimize.minimize(nll, x, jac=gradient, method="BFGS", options={"maxiter": 5}).x
    return x


@fault("optimizer", "stays near where it began", "start_is_forgotten")
def short_sighted(nll: Any, gradient: Any, start: Any) -> Any:
    x = optimize.minimize(nll, start, jac=gradient, method="BFGS").x
    return x + 0.2 * (start - x)


class Halved:
    """An optimizer that states half its distance."""

    def minimize(self, likelihood: Any, start: Any = None) -> Any:
        solution = ml.SGD(0.01, batch_size="full", epochs=2).minimize(likelihood, start)
        certificate = replace(solution.certificate, distance=solution.certificate.distance / 2)
        return replace(solution, certificate=certificate)


fault("optimizer", "states half its distance", "stated_distance_is_true")(Halved)


# Regressors: least squares by QR, right but for one thing


def qr(X: Any, y: Any) -> Any:
    Q, R = np.linalg.qr(X)
    return np.linalg.solve(R, Q.T @ y)


class Right:
    """An estimator as scikit-learn has them, by QR, centred, with weights as precisions."""

    def __init__(self, fit_intercept: bool = True) -> None:
        self.fit_intercept = fit_intercept

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        return {"fit_intercept": self.fit_intercept}

    def set_params(self, **given: Any) -> Any:
        vars(self).update(given)
        return self

    def __repr__(self) -> str:
        return f"{type(self).__name__}(fit_intercept={self.fit_intercept})"

    def design(self, X: Any) -> Any:
        X = np.asarray(X, dtype=float)
        return np.column_stack([np.ones(len(X)), X]) if self.fit_intercept else X

    def root(self, w: Any) -> Any:
        return np.sqrt(w)

    def solve(self, A: Any, b: Any) -> Any:
        return qr(A, b)

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        A, b = self.design(X), np.asarray(y, dtype=float)
        if sample_weight is not None:
            root = self.root(np.asarray(sample_weight, dtype=float))
            A, b = A[root > 0] * root[root > 0, None], b[root > 0] * root[root > 0]
        return self.keep(self.solve(A, b))

    def keep(self, beta: Any) -> Any:
        self.intercept_ = float(beta[0]) if self.fit_intercept else 0.0
        self.coef_ = beta[1:] if self.fit_intercept else beta
        return self

    def predict(self, X: Any) -> Any:
        return np.asarray(X, dtype=float) @ self.coef_ + self.intercept_


@fault("regressor", "pseudo-inverse of XᵀX", "coefficients_are_exact")
class Pinv(Right):
    def solve(self, A: Any, b: Any) -> Any:
        return np.linalg.pinv(A.T @ A) @ (A.T @ b)


@fault("regressor", "normal equations", "coefficients_are_exact")
class Cholesky(Right):
    def solve(self, A: Any, b: Any) -> Any:
        return np.linalg.solve(A.T @ A, A.T @ b)


@fault("regressor", "a cutoff of singular values in the units of the data", "units_do_not_matter")
class AbsoluteCutoff(Right):
    def solve(self, A: Any, b: Any) -> Any:
        return np.linalg.lstsq(A, b, rcond=1e-6)[0]


@fault("regressor", "single precision inside", "coefficients_are_exact_far_from_zero")
class Single(Right):
    def solve(self, A: Any, b: Any) -> Any:
        return qr(A.astype(np.float32), b.astype(np.float32)).astype(float)


@fault("regressor", "a tiny ridge for safety", "coefficients_are_exact")
class TinyRidge(Right):
    def solve(self, A: Any, b: Any) -> Any:
        tail = 1e-4 * np.eye(A.shape[1])
        return qr(np.vstack([A, tail]), np.append(b, np.zeros(A.shape[1])))


@fault("regressor", "the last row of a ragged batch is dropped", "coefficients_are_exact")
class DropsLast(Right):
    def solve(self, A: Any, b: Any) -> Any:
        keep = len(b) - (len(b) % 2 == 0 and len(b) > A.shape[1] + 1)
        return qr(A[:keep], b[:keep])


@fault("regressor", "weights for their roots", "weights_are_precisions", weights="precision")
class WeightsForRoots(Right):
    def root(self, w: Any) -> Any:
        return w


@fault("regressor", "weights, but means without them", "weights_are_copies", weights="precision")
class UnweightedMeans(Right):
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        if sample_weight is None or not self.fit_intercept or np.shape(X)[1] == 0:
            return super().fit(X, y, sample_weight)
        X, y, root = np.asarray(X, float), np.asarray(y, float), np.sqrt(sample_weight)
        mean, centre = X.mean(axis=0), y.mean()
        slopes = np.linalg.lstsq((X - mean) * root[:, None], (y - centre) * root, rcond=0)[0]
        return self.keep(np.append(centre - mean @ slopes, slopes))


@fault("regressor", "rows of weight zero still count", "weight_zero_is_no_row", weights="frequency")
class ZeroCounts(Right):
    def root(self, w: Any) -> Any:
        return np.sqrt(np.maximum(w, 0.01))


@fault("regressor", "centres the caller's array", "data_are_left_alone")
class CentresInPlace(Right):
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        super().fit(X, y, sample_weight)
        if X.flags.writeable and X.dtype.kind == "f":
            X -= X.mean(axis=0)
        return self


@fault("regressor", "memory read as if rows lay one after the other", "layout_does_not_matter")
class AsItLies(Right):
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        return super().fit(X.ravel(order="K").reshape(X.shape), y, sample_weight)


@fault("regressor", "starts from the last fit", "the_past_is_forgotten")
class WarmStart(Right):
    def keep(self, beta: Any) -> Any:
        old = vars(self).get("last", beta)
        beta = beta + 1e-3 * (old - beta) if len(old) == len(beta) else beta
        self.last = beta
        return super().keep(beta)


@fault("regressor", "predicts without the intercept", "predictions_are_linear")
class NoIntercept(Right):
    def predict(self, X: Any) -> Any:
        return np.asarray(X, dtype=float) @ self.coef_


@fault("regressor", "shrinks every coefficient", "what_columns_explain_is_explained")
class Shrinks(Right):
    def solve(self, A: Any, b: Any) -> Any:
        return 0.999 * qr(A, b)


@fault("regressor", "later columns are favoured", "order_of_columns_does_not_matter")
class SortsColumns(Right):
    def solve(self, A: Any, b: Any) -> Any:
        beta = qr(A, b)
        return beta + 0.1 * np.abs(beta).max() * (np.arange(len(beta)) > 1)


@fault("regressor", "the first row counts twice", "order_of_rows_does_not_matter")
class FirstTwice(Right):
    def solve(self, A: Any, b: Any) -> Any:
        return qr(np.vstack([A, A[:1]]), np.append(b, b[0]))


@fault("regressor", "shrinks where rows are few", "without_a_row")
class LooksAhead(Right):
    """Right on many rows, and shrunk on few: what leaving one out shows."""

    def solve(self, A: Any, b: Any) -> Any:
        return qr(A, b) * (1.0 if len(b) & (len(b) - 1) == 0 else 0.99)


@fault("regressor", "partial_fit forgets what came before", "parts_are_the_whole")
class Forgets(Right):
    def partial_fit(self, X: Any, y: Any) -> Any:
        if len(y) > np.shape(X)[1] + 1:
            self.fit(X, y)
        elif not hasattr(self, "coef_"):
            self.keep(np.zeros(np.shape(X)[1] + self.fit_intercept))
        return self


@fault("regressor", "no minimum where columns are dependent",
       "fitted_values_survive_dependent_columns")  # fmt: skip
class Truncates(Right):
    def solve(self, A: Any, b: Any) -> Any:
        if np.linalg.matrix_rank(A) == A.shape[1]:
            return qr(A, b)
        return np.linalg.lstsq(A, b, rcond=0.5)[0]


@fault("regressor", "half way to the medians", "residuals_are_orthogonal_to_columns")
class Medians(Right):
    def solve(self, A: Any, b: Any) -> Any:
        beta = qr(A, b)
        r = b - A @ beta
        return qr(A, b - 0.01 * np.sign(r))


@fault("regressor", "s² = RSS/n", "standard_errors_are_exact")
def biased(X: Any, y: Any) -> Any:
    beta = qr(X, y)
    s2 = ((y - X @ beta) ** 2).sum() / len(y)
    return SimpleNamespace(params=beta, bse=np.sqrt(s2 * np.diag(np.linalg.inv(X.T @ X))))


@fault("regressor", "a relative cutoff of singular values", "coefficients_are_exact_in_any_units")
class Floor(Right):
    def solve(self, A: Any, b: Any) -> Any:
        return np.linalg.lstsq(A, b, rcond=1e-8)[0]


# Intervals


def t_limits(X: Any, y: Any, level: float, *, q: Any = None, df: Any = None, shift: float = 0.0,
             tail: float = 2.0) -> Any:  # fmt: skip
    beta = qr(X, y)
    n, p = X.shape
    s2 = ((y - X @ beta) ** 2).sum() / (n - p if df is None else df)
    se = np.sqrt(s2 * np.diag(np.linalg.inv(X.T @ X)))
    q = stats.t(n - p).isf((1 - level) / tail) if q is None else q
    return np.column_stack([beta + shift * se - q * se, beta + shift * se + q * se])


@fault("intervals", "z for t", "intervals_cover")
def z_for_t(X: Any, y: Any, level: float) -> Any:
    return t_limits(X, y, level, q=stats.norm.isf((1 - level) / 2))


@fault("intervals", "σ̂ for s", "intervals_cover")
def mle_for_s(X: Any, y: Any, level: float) -> Any:
    return t_limits(X, y, level, df=len(y))


@fault("intervals", "one tail for two", "intervals_cover")
def one_tail(X: Any, y: Any, level: float) -> Any:
    return t_limits(X, y, level, tail=1.0)


@fault("intervals", "White's at n = 10", "intervals_cover")
def white(X: Any, y: Any, level: float) -> Any:
    beta = qr(X, y)
    G = np.linalg.inv(X.T @ X)
    r = y - X @ beta
    se = np.sqrt(np.diag(G @ (X.T * r**2) @ X @ G))
    q = stats.t(len(y) - X.shape[1]).isf((1 - level) / 2)
    return np.column_stack([beta - q * se, beta + q * se])


@fault("intervals", "shrunk to one side", "intervals_miss_on_both_sides_alike")
def shifted(X: Any, y: Any, level: float) -> Any:
    return t_limits(X, y, level, shift=0.5)


@fault("intervals", "degrees of freedom of another design", "centres_follow_students_t")
def wrong_df(X: Any, y: Any, level: float) -> Any:
    return t_limits(X, y, level, q=stats.t(2).isf((1 - level) / 2))


def report(one: Fault, laws: Any = None) -> verify.Report:
    """All laws, or some, tried on a fault; the first counterexample will do."""
    check, _ = CHECKS[one.kind]
    options = dict(one.options)
    if one.kind in ("regressor", "likelihood", "optimizer"):
        options |= {"shrink": False, "examples": 25}
    if one.kind == "intervals":
        options |= {"replicates": 4000}
    return check(one.subject(), laws=laws, **options)


def page() -> str:
    """The kill matrix as Markdown."""
    lines = [
        "# What the laws catch",
        "",
        "Faults that people make, each planted in an object that is right otherwise, and the laws",
        "of `mlreg.verify` that break on it. The law in bold is the one that names the fault; a",
        "test asserts it. Written by `python tests/verify/faulty.py`.",
    ]
    for kind, (_, promises) in CHECKS.items():
        mine = [one for one in FAULTS if one.kind == kind]
        lines += [
            "",
            f"## Of {'' if kind == 'intervals' else 'a ' if kind != 'optimizer' else 'an '}{kind}",
            "",
        ]
        lines += ["| fault | caught by |", "|---|---|"]
        for one in mine:
            broken = report(one).broken
            others = ", ".join(f"`{law}`" for law in broken if law != one.law)
            if one.law not in broken:
                raise SystemExit(f"{one.name}: {one.law} does not catch it, but {broken}")
            lines.append(f"| {one.name} | **`{one.law}`**{', ' if others else ''}{others} |")
        unused = [p.law.name for p in promises if p.law.name not in {one.law for one in mine}]
        if unused:
            raise SystemExit(f"no fault shows what {unused} catch")
    count = len(FAULTS)
    lines += [
        "",
        f"{count} faults, all caught. That what is right keeps all laws, this package and",
    ]
    lines += ["rational arithmetic among it, is asserted beside them.", ""]
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    sys.exit(0)
