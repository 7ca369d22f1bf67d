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

from mlreg.certificate import CONVERGED, LeastSquares, least_squares, local_certificate
from mlreg.errors import InvalidInput, MlregError
from mlreg.likelihood.linear import LinearLikelihood
from mlreg.linalg.triangle import norm
from mlreg.optimizers.shape import fit_df, has_free_df
from mlreg.optimizers.solution import Solution, Status, check_start, finish, finish_locally
from mlreg.optimizers.start import Start
from mlreg.scoring import Whitened, whitened

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
    """Minimise the NLL in θ = (β, γ) by a method of ``scipy.optimize.minimize``.

    The method gets exactly the derivatives that it can use, in coordinates in
    which the expected information at the start is the identity, Eq. (3.8),
    whatever the units and the collinearity of X. Where it stops far from the MLE it is
    started again from there, in coordinates made anew, as long as that halves
    the distance (and unless ``options`` set a limit). The coordinates come from
    the triangle of the design (one pass), so that for Gaussian noise this is a
    check of `Exact` by another road, not a faster one, and for other smooth noises one of
    `Newton`.

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
        """Minimise from the coefficients ``start``, shape (p,).

        By default these are zeros for Gaussian noise, and least squares for others, whose
        certificate holds near a maximum only.

        Raises
        ------
        InvalidInput
            Noise with kinks, or not symmetric; options that the method does not know.
        RankDeficient
            Where the coefficients are not unique.
        """
        beta = check_start(likelihood, start)
        given = None if start is None else Start("the start that was given", beta)
        if has_free_df(likelihood.noise):
            return fit_df(likelihood, self.minimize_from, given)
        return self.minimize_from(likelihood, given)

    def minimize_from(self, likelihood: LinearLikelihood, given: Start | None = None) -> Solution:
        """`minimize` for a noise that is given, perhaps from known scale parameters too."""
        if not likelihood.noise.smooth:
            Whitened(likelihood)  # says why not, before the data are read
        before = likelihood.reads
        if likelihood.prior is not None:
            raise InvalidInput(
                "Scipy() minimises the NLL, and there is a prior: Newton() finds the posterior mode"
            )
        ls = least_squares(likelihood)
        if ls.perfect:  # the NLL has no minimum: σ → 0
            return finish(likelihood, ls, ls.params, [ls.params], "iteration", before)
        if not likelihood.exact:
            start = Start("least squares", ls.params) if given is None else given
            return self._minimize(likelihood, start, before)
        beta = np.zeros(likelihood.n_params) if given is None else given.beta
        way, distance = [beta], norm(ls.contrast(beta)) / ls.s
        while True:
            objective = _Objective.of_least_squares(likelihood, ls, way[-1])
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

    def _minimize(self, likelihood: LinearLikelihood, start: Start, before: float) -> Solution:
        """The same for noise of which least squares is not the MLE."""
        history: list[tuple[F64, float]] = []
        params, message, distance = start.beta, "", math.inf
        _, gamma = local_certificate(likelihood, params, near=start.gamma)
        while np.isfinite(gamma).all():
            objective = _Objective.of_point(likelihood, params, gamma)
            value = likelihood.nll(np.append(params, gamma))
            found, message = self._run(objective)
            points = [(params, value)] if not history else []
            points += zip(objective.way, objective.values, strict=True)
            end = objective.params(found)
            history += [*points, (end, objective.value(found))]
            # what it ended at: where the scale is profiled again, and the goal is near or not
            params = end
            near = objective.theta(found)[len(params) :]
            judged, gamma = local_certificate(likelihood, params, near=near)
            far, distance = distance, max(judged.distance, judged.sigma_distance)
            if self._limited or judged.converged or not distance < 0.5 * far:
                break
        history = history or [(params, -math.inf)]
        why = (
            f"{self.method} stopped there, saying {message!r}: raise its iteration limit in "
            "options, start nearer, or try Newton()"
        )
        convex = whitened(likelihood).convex
        where = "" if convex else f"a stationary point, reached from one start ({start.name})"
        bounded = None if np.isneginf(gamma).any() else gamma
        return finish_locally(likelihood, history, bounded, before, why=why, where=where)

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
            except UnboundLocalError:  # of trust-exact, whose subproblem ran out of iterations
                return objective.last, "the subproblem of a step was not solved"
        return np.asarray(result.x, dtype=np.float64), str(result.message).strip()


class _Objective:
    """The NLL in whitened coordinates x = (u, v), Eq. (3.8): θ = origin + to·x.

    There the expected information at the origin is the identity, Eq. (3.6).
    """

    def __init__(self, likelihood: LinearLikelihood, origin: F64, to: F64, values: bool) -> None:
        self.likelihood, self.origin, self.to = likelihood, origin, to
        self.p, self.k = likelihood.n_params, len(origin)
        self.way: list[F64] = []
        self.values: list[float] = []
        self.last = np.zeros(self.k)
        self.keeps_values = values  # for Gaussian noise the way alone tells them
        self._seen = (np.full(self.k, np.nan), math.nan)  # a point, and its value

    @classmethod
    def of_least_squares(
        cls, likelihood: LinearLikelihood, ls: LeastSquares, beta: F64
    ) -> "_Objective":
        """Origin at β, σ profiled there."""
        error, p = norm(ls.contrast(beta)), len(beta)
        to = np.zeros((p + 1, p + 1))
        sigma = math.hypot(ls.norm_r, error) / math.sqrt(ls.n_rows)
        to[:p, :p] = np.array([ls.unscale(u) for u in (sigma * ls.inverse).T]).T  # ∂β/∂u
        to[p, p] = 1 / math.sqrt(2 * ls.n_rows)
        return cls(likelihood, np.append(beta, ls.log_sigma(error)), to, False)

    @classmethod
    def of_point(cls, likelihood: LinearLikelihood, beta: F64, gamma: F64) -> "_Objective":
        """Origin at (β, γ), any smooth noise."""
        space, p = whitened(likelihood), len(beta)
        point = space.at(space.scale(beta), gamma, bounds=False)
        to = np.zeros((p + space.q,) * 2)
        to[:p, :p] = np.array([space.unscale(u) for u in point.inverse.T]).T
        to[p:, p:] = space.S_inverse / space.root_b
        return cls(likelihood, np.append(beta, gamma), to, True)

    def params(self, x: F64) -> F64:
        return self.theta(x)[: self.p]

    def theta(self, x: F64) -> F64:
        return np.asarray(self.origin + self.to @ x)

    def value(self, x: F64) -> float:
        if not (x == self._seen[0]).all():
            self._seen = (np.array(x), self.likelihood.nll(self.theta(x)))
        value = self._seen[1]
        return value if math.isfinite(value) else math.inf

    def value_and_gradient(self, x: F64) -> tuple[float, F64]:
        value, g = self.likelihood.nll_and_gradient(self.theta(x))
        self._seen = (np.array(x), value)
        return (value if math.isfinite(value) else math.inf), self.to.T @ g

    def hessian(self, x: F64) -> F64:
        return np.asarray(self.to.T @ self.likelihood.hessian(self.theta(x)) @ self.to)

    def information(self, x: F64) -> F64:
        return np.asarray(self.to.T @ self.likelihood.information(self.theta(x)) @ self.to)

    def record(self, x: F64, _state: object = None) -> None:
        self.last = np.array(x, dtype=np.float64)
        self.way.append(self.params(self.last))
        if self.keeps_values:
            self.values.append(self.value(self.last))
