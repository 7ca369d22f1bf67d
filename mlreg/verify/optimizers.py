"""What anybody's minimiser promises, on likelihoods whose minimum is known exactly."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import log, sqrt
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlreg.errors import InvalidType
from mlreg.likelihood.linear import LinearLikelihood
from mlreg.verify.exact import Rational
from mlreg.verify.kit import Promise, called, promise, run
from mlreg.verify.registry import ratio_of
from mlreg.verify.report import Report

__all__ = ["OPTIMIZER", "Found", "Minimiser", "check_optimizer"]

F64 = NDArray[np.float64]

OPTIMIZER: list[Promise] = []
"""The laws of an optimizer."""


class Found(NamedTuple):
    """Where an optimizer ended, what it claims, and how far it says that it is, or NaN."""

    theta: F64
    converged: bool
    distance: float


@dataclass(frozen=True, eq=False)
class Minimiser:
    """An optimizer to be held to the laws.

    Attributes
    ----------
    what : object or callable
        With ``minimize(likelihood, start)``; or a function of (nll, gradient, start).
    tolerance : float
        Within how many standard errors of the MLE it says that it has converged.
    """

    what: Any
    tolerance: float

    def run(self, X: F64, y: F64, start: F64) -> Found:
        """From a start (β, log σ) to where it ends."""
        likelihood = LinearLikelihood(X, y)
        if hasattr(self.what, "minimize"):
            solution = self.what.minimize(likelihood, start[:-1])
            near = solution.certificate.distance
            return Found(solution.theta, solution.status.code == "converged", float(near))
        found = self.what(likelihood.nll, likelihood.gradient, start)
        theta = np.asarray(getattr(found, "x", found), dtype=np.float64)
        return Found(theta, bool(getattr(found, "success", True)), float("nan"))


class Task(NamedTuple):
    """Rows, their exact solution, and a start in standard errors from it."""

    X: F64
    y: F64
    exact: Rational
    start: F64
    moved: Any = None

    def distance(self, theta: F64) -> float:
        """‖X(β − β̂)‖/s, in rational arithmetic up to the root; infinite where θ is not finite."""
        if not np.isfinite(theta[:-1]).all():
            return float("inf")
        total = self.exact.squared_distance(theta[:-1].tolist(), self.X)
        n, p = self.X.shape
        return sqrt(float(total * (n - p) / self.exact.rss))

    def sigma_distance(self, theta: F64) -> float:
        """√(2n)|log σ − log σ̂|."""
        n = len(self.y)
        return abs(float(theta[-1]) - 0.5 * log(float(self.exact.rss) / n)) * sqrt(2 * n)


def check_optimizer(
    minimize: Any,
    *,
    tolerance: float = 0.1,
    examples: int = 50,
    seed: int = 0,
    shrink: bool = True,
    laws: Sequence[str] | None = None,
    expect_fail: Mapping[str, str] | None = None,
) -> Report:
    """Hold anybody's optimizer to what it must not get wrong.

    Parameters
    ----------
    minimize : object or callable
        An optimizer of this package or made like one, with ``minimize(likelihood, start)``; or a
        function of the NLL, its gradient and a start (β, log σ), which returns the minimum, or an
        object with ``x`` and ``success``.
    tolerance : float
        Within how many standard errors of the MLE it says that it has converged.
    examples : int
        Number of problems for each law.
    seed : int
        Of the problems.
    shrink : bool
        Whether the smallest counterexample is looked for, which takes time, or the first one shown.
    laws : sequence of str, optional
        Which laws to try, by name; all of them where it is not said.
    expect_fail : mapping, optional
        Names of laws that it is known to break, with the reasons.

    Examples
    --------
    >>> from scipy.optimize import minimize
    >>> from mlreg import verify
    >>> def bfgs(nll, gradient, start):
    ...     return minimize(nll, start, jac=gradient, method="BFGS")
    >>> verify.check_optimizer(bfgs, examples=5)["start_is_left_alone"].verdict
    'kept'
    """
    minimize = minimize() if isinstance(minimize, type) else minimize
    if not callable(minimize) and not hasattr(minimize, "minimize"):
        raise InvalidType(
            "an optimizer has minimize(likelihood, start), or is a function of the NLL, its "
            f"gradient and a start; this is {type(minimize).__name__}"
        )
    subject = Minimiser(minimize, tolerance)
    return run(called(minimize), subject, OPTIMIZER, laws, examples, seed, expect_fail, shrink)


def _tasks(kind: str) -> Callable[[Minimiser], Any]:
    """A strategy of tasks: columns that are orthogonal or nearly, or hundreds of others added."""

    def draw(subject: Minimiser) -> Any:
        from hypothesis import strategies as st

        from mlreg.verify.strategies import exact_ols

        @st.composite
        def tasks(draw: Any) -> Task:
            problem = draw(exact_ols(max_shear=1 if kind == "easy" else 300))
            while len(problem.y) < problem.X.shape[1] + 3:  # room for a scale
                problem = draw(exact_ols(max_shear=1))
            n, p = problem.X.shape
            exact = problem.exact
            s = sqrt(float(exact.rss) / (n - p))
            z = draw(st.lists(st.integers(-3, 3), min_size=p, max_size=p))
            spread = [sqrt(float(row[j])) * s for j, row in enumerate(exact.inverse)]
            beta = [float(b) + k * d for b, k, d in zip(exact.params, z, spread, strict=True)]
            start = np.array([*beta, log(s) + draw(st.integers(-1, 1)) / 2])
            return Task(problem.X, problem.y, exact, start, draw(st.integers(-6, 6)))

        return tasks()

    return draw


def _code(subject: Minimiser, task: Task) -> str:
    truth = ", ".join(str(b) for b in task.exact.params)
    own = hasattr(subject.what, "minimize")
    start = task.start[:-1] if own else task.start
    how = ".minimize(likelihood, start)" if own else "(likelihood.nll, likelihood.gradient, start)"
    call = called(subject.what) + how
    return "\n".join(
        [
            "import numpy as np",
            "import mlreg as ml",
            f"X = np.array({task.X.tolist()})",
            f"y = np.array({task.y.tolist()})",
            "likelihood = ml.LinearLikelihood(X, y)",
            f"start = np.array({start.tolist()})",
            f"{call}  # exactly, {truth}",
        ]
    )


@promise(
    "bounded", "5.1", mathematics="converged ⇒ ‖X(β − β̂)‖/s ≤ tolerance", into=OPTIMIZER,
    draw=_tasks("hard"), code=_code,
)  # fmt: skip
def converged_means_near(subject: Minimiser, task: Task) -> Any:
    """What says that it has converged is near the MLE, in standard errors."""
    found = subject.run(task.X, task.y, task.start)
    if not found.converged:
        return 0.0
    return ratio_of(task.distance(found.theta), subject.tolerance)


@promise(
    "bounded", "5.5", mathematics="converged ⇒ √(2n)|log σ − log σ̂| ≤ tolerance", into=OPTIMIZER,
    draw=_tasks("hard"), code=_code,
)  # fmt: skip
def converged_means_near_in_scale(subject: Minimiser, task: Task) -> Any:
    """The same of the scale of the noise."""
    found = subject.run(task.X, task.y, task.start)
    if not found.converged:
        return 0.0
    return ratio_of(task.sigma_distance(found.theta), subject.tolerance)


@promise(
    "bounded", "5.1", mathematics="‖X(β − β̂)‖/s ≤ tolerance, columns orthogonal or nearly",
    into=OPTIMIZER, draw=_tasks("easy"), code=_code,
)  # fmt: skip
def easy_problems_are_solved(subject: Minimiser, task: Task) -> Any:
    """Where nothing is in the way, it arrives."""
    found = subject.run(task.X, task.y, task.start)
    return ratio_of(task.distance(found.theta), subject.tolerance)


@promise(
    "bounded", "5.1", "5.2", mathematics="the distance that is stated is the true one, to 1 %",
    into=OPTIMIZER, draw=_tasks("hard"), code=_code,
    why_not=lambda s: "" if hasattr(s.what, "minimize") else "it states no distance",
)  # fmt: skip
def stated_distance_is_true(subject: Minimiser, task: Task) -> Any:
    """How far it says that it is from the MLE is how far it is."""
    found = subject.run(task.X, task.y, task.start)
    true = task.distance(found.theta)
    return ratio_of(found.distance - true, 0.01 * true + 1e-9)


@promise(
    "bounded", "5.1", mathematics="converged from θ₀ and from θ₁ ⇒ within two tolerances",
    into=OPTIMIZER, draw=_tasks("easy"), code=_code,
)  # fmt: skip
def start_is_forgotten(subject: Minimiser, task: Task) -> Any:
    """Where it ends does not depend on where it began."""
    ends = [
        subject.run(task.X, task.y, start)
        for start in (task.start, np.append(np.zeros(task.X.shape[1]), 0.0))
    ]
    if not all(end.converged for end in ends):
        return 0.0
    n, p = task.X.shape
    gap = np.linalg.norm(task.X @ (ends[0].theta - ends[1].theta)[:-1])
    return ratio_of(gap / sqrt(float(task.exact.rss) / (n - p)), 2 * subject.tolerance)


@promise(
    "exact", "5.1", mathematics="θ₀ after minimize(θ₀) is θ₀ before", into=OPTIMIZER,
    draw=_tasks("easy"), code=_code,
)  # fmt: skip
def start_is_left_alone(subject: Minimiser, task: Task) -> Any:
    """Neither the start nor the data are changed."""
    X, y, start = task.X.copy(), task.y.copy(), task.start.copy()
    subject.run(X, y, start)
    same = (X == task.X).all() and (y == task.y).all() and (start == task.start).all()
    return ratio_of(float(not same), 0.0)


@promise(
    "bounded", "5.1", mathematics="converged on (X, cy) ⇒ near cβ̂, c a power of two",
    into=OPTIMIZER, draw=_tasks("easy"), code=_code,
)  # fmt: skip
def unit_of_the_response_does_not_matter(subject: Minimiser, task: Task) -> Any:
    """In another unit of the response it is near too, or does not say so."""
    c = 2.0**task.moved
    start = np.append(c * task.start[:-1], task.start[-1] + log(c))
    found = subject.run(task.X, c * task.y, start)
    if not found.converged:
        return 0.0
    back = np.append(found.theta[:-1] / c, found.theta[-1] - log(c))
    return ratio_of(task.distance(back), subject.tolerance)
