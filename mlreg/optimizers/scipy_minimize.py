"""The NLL handed to any method of ``scipy.optimize.minimize``."""

import math
import threading
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from mlreg.certificate import CONVERGED, LeastSquares, least_squares
from mlreg.errors import InvalidInput, MlregError
from mlreg.likelihood.linear import LinearLikelihood
from mlreg.linalg.triangle import norm, solve_upper
from mlreg.optimizers.solution import Solution, Status, check_noise, check_start, finish

__all__ = ["Scipy"]

F64 = NDArray[np.float64]

# What each method can use: no derivative, the gradient, or the Hessian as well. dogleg needs the
# second derivative positive definite, which the expected information is and the Hessian is not.
USES = {
    **dict.fromkeys(["nelder-mead", "powell", "cobyla", "cobyqa"], ""),
    **dict.fromkeys(["cg", "bfgs", "l-bfgs-b", "tnc", "slsqp"], "gradient"),
    **dict.fromkeys(
        ["newton-cg", "trust-ncg", "trust-krylov", "trust-exact", "trust-constr"], "hessian"
    ),
    "dogleg": "information",
}


_ONE_AT_A_TIME = threading.Lock()  # what warnings.catch_warnings changes is the whole process's


@dataclass(frozen=True)
class Scipy:
    """Minimise the NLL in θ = (β, log σ) by a method of ``scipy.optimize.minimize``.

    The method gets exactly the derivatives that it can use, in coordinates in
    which the expected information at the start is the identity, Eq. (3.8),
    whatever the units and the collinearity of X. Where it stops far from the MLE it is
    started again from there, in coordinates made anew, as long as that halves
    the distance (and unless ``options`` set a limit). The coordinates come from
    the triangle of the design (one pass), so that for Gaussian noise this is a
    check of `Exact` by another road, not a faster one.

    Parameters
    ----------
    method : str
        ``"trust-exact"``, ``"BFGS"``, ``"Nelder-Mead"``, ...: any that needs no constraints.
    options : mapping, optional
        Passed on to the method, over its defaults.
    """

    method: str = "trust-exact"
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.method, str) or self.method.lower() not in USES:
            raise InvalidInput(
                f"method must be one of {', '.join(sorted(USES))}; not {self.method!r}"
            )

    def minimize(self, likelihood: LinearLikelihood, start: F64 | None = None) -> Solution:
        """Minimise from the coefficients ``start``, shape (p,), zeros by default.

        Raises
        ------
        InvalidInput
            Noise without a certificate; options that the method does not know.
        RankDeficient
            Where the coefficients are not unique.
        """
        check_noise(likelihood, "Scipy() measures its result against least squares")
        before = likelihood.reads
        beta = check_start(likelihood, start)
        ls = least_squares(likelihood)
        if ls.perfect:  # the NLL has no minimum: σ → 0
            return finish(likelihood, ls, ls.params, [ls.params], "iteration", before)
        way, distance = [beta], norm(ls.contrast(beta)) / ls.s
        while True:
            objective = _Objective(likelihood, ls, way[-1])
            found, message = self._run(objective)
            way += [*objective.way, objective.params(found)]
            before_round, distance = distance, norm(ls.contrast(way[-1])) / ls.s
            if self._limited or distance <= CONVERGED or not distance < 0.5 * before_round:
                break
        params = way[-1]
        status = Status(
            "stopped",
            f"{self.method} stopped {distance:.3g} standard errors from the MLE, saying "
            f"{message!r}: raise its iteration limit in options, start nearer, or try trust-exact",
        )
        return finish(likelihood, ls, params, way, "iteration", before, status)

    @property
    def _limited(self) -> bool:
        """Whether the caller set a limit, which a restart would overrun."""
        return any(str(name).startswith("max") for name in self.options)

    def _run(self, objective: "_Objective") -> tuple[F64, str]:
        method = self.method.lower()
        uses = USES[method]
        with _ONE_AT_A_TIME, warnings.catch_warnings(), np.errstate(all="ignore"):
            # What these warn of (precision, overflow on a trial step) the certificate measures.
            warnings.simplefilter("ignore", RuntimeWarning)
            warnings.simplefilter("ignore", optimize.OptimizeWarning)
            warnings.filterwarnings("ignore", "delta_grad == 0.0", UserWarning)
            warnings.filterwarnings("error", "Unknown solver options", optimize.OptimizeWarning)
            second = {"hessian": objective.hessian, "information": objective.information}
            try:
                result = optimize.minimize(
                    objective.value_and_gradient if uses else objective.value,
                    np.zeros(objective.k),
                    method=self.method,
                    jac=bool(uses) or None,
                    hess=second.get(uses),
                    callback=objective.record,
                    options=dict(self.options),
                )
            except MlregError:
                raise
            except (optimize.OptimizeWarning, TypeError) as error:
                if not self.options:
                    raise
                raise InvalidInput(f"options of {self.method}: {error}") from error
            except ValueError as error:  # it met an overflow: where it got to is an outcome
                return objective.last, str(error)
        return np.asarray(result.x, dtype=np.float64), str(result.message).strip()


class _Objective:
    """The NLL in whitened coordinates: β = β₀ + σ₀ R⁻¹u, log σ = log σ₀ + v/√(2n), Eq. (3.8).

    σ₀ is the scale profiled at the start β₀: there the expected information is the identity.
    """

    def __init__(self, likelihood: LinearLikelihood, ls: LeastSquares, beta: F64) -> None:
        self.likelihood, self.ls, self.beta = likelihood, ls, beta
        self.k = len(beta) + 1
        error = norm(ls.contrast(beta))
        self.gamma = ls.log_sigma(error)
        self.per_gamma = math.sqrt(2 * ls.n_rows)
        sigma = math.hypot(ls.norm_r, error) / math.sqrt(ls.n_rows)
        J = sigma * solve_upper(ls.R, np.eye(self.k - 1))
        self.J = np.array([ls.unscale(column) for column in J.T]).T  # ∂β/∂u
        self.way: list[F64] = []
        self.last = np.zeros(self.k)

    def params(self, x: F64) -> F64:
        return np.asarray(self.beta + self.J @ x[:-1])

    def theta(self, x: F64) -> F64:
        return np.append(self.params(x), self.gamma + x[-1] / self.per_gamma)

    def value(self, x: F64) -> float:
        value = self.likelihood.nll(self.theta(x))
        return value if math.isfinite(value) else math.inf

    def value_and_gradient(self, x: F64) -> tuple[float, F64]:
        value, g = self.likelihood.nll_and_gradient(self.theta(x))
        gradient = np.append(self.J.T @ g[:-1], g[-1] / self.per_gamma)
        return (value if math.isfinite(value) else math.inf), gradient

    def hessian(self, x: F64) -> F64:
        return self._pull_back(self.likelihood.hessian(self.theta(x)))

    def information(self, x: F64) -> F64:
        return self._pull_back(self.likelihood.information(self.theta(x)))

    def _pull_back(self, H: F64) -> F64:
        out = np.empty_like(H)
        out[:-1, :-1] = self.J.T @ H[:-1, :-1] @ self.J
        out[:-1, -1] = out[-1, :-1] = self.J.T @ H[:-1, -1] / self.per_gamma
        out[-1, -1] = H[-1, -1] / self.per_gamma**2
        return out

    def record(self, x: F64, _state: object = None) -> None:
        self.last = np.array(x, dtype=np.float64)
        self.way.append(self.params(self.last))
