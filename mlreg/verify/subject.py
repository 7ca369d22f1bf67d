"""Anybody's linear regressor: how it is called, what it says, and the problems that it is given."""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlreg.verify.exact import Rational
from mlreg.verify.kit import called
from mlreg.verify.registry import U

__all__ = [
    "Case",
    "Fitted",
    "Regressor",
    "Solver",
    "Weights",
    "bound",
    "cases",
    "code",
    "floats",
    "misses",
    "moved",
    "of_estimator",
    "unless_least_squares",
    "unless_says",
]

F64 = NDArray[np.float64]
Solver = Literal["backward stable", "normal equations", "iterative"]
Weights = Literal["frequency", "precision"]

LOST = 0.1
"""κε from which on the coefficients are anybody's guess, and no number is held against them."""


@dataclass(frozen=True, eq=False)
class Fitted:
    """What a regressor has made of rows: coefficients, in the order of the columns, and the rest.

    Attributes
    ----------
    params : ndarray, shape (p,)
        Coefficients, of the column of ones too.
    predict : callable
        From rows with a column of ones to predictions.
    std_errors : ndarray, shape (p,), or None
        Standard errors, where it has any.
    r_squared : callable or None
        To its R².
    leverage : callable or None
        To the leverages of the rows, shape (n,).
    sigma : float or None
        The maximum-likelihood estimate σ̂.
    """

    params: F64
    predict: Callable[[F64], F64]
    std_errors: F64 | None = None
    r_squared: Callable[[], float] | None = None
    leverage: Callable[[], F64] | None = None
    sigma: float | None = None


@dataclass(frozen=True, eq=False)
class Regressor:
    """An object to be held to the laws of a regressor.

    Attributes
    ----------
    what : object
        An estimator with ``fit`` and ``predict``, or a function from (X, y) to coefficients or to
        an object with ``params``.
    solver : str
        What accuracy it claims.
    weights : str or None
        What its sample weights mean.
    tolerance : float
        Of an iterative solver, in standard errors.
    is_least_squares : bool
        Whether its coefficients are those of least squares.
    """

    what: Any
    solver: Solver = "backward stable"
    weights: Weights | None = None
    tolerance: float = 0.01
    is_least_squares: bool = True

    @property
    def modes(self) -> list[bool]:
        """Whether it adds an intercept itself: what it can be told."""
        parameters = self.what.get_params() if hasattr(self.what, "get_params") else {}
        if "fit_intercept" in parameters:
            return [True, False]
        return [bool(hasattr(self.what, "fit") and hasattr(self.what, "predict"))]

    def fresh(self, intercept: bool) -> Any:
        """An unfitted copy."""
        model = copy.deepcopy(self.what)
        if hasattr(model, "get_params") and "fit_intercept" in model.get_params():
            model.set_params(fit_intercept=intercept)
        return model

    def fit(self, X: Any, y: Any, weights: Any = None, *, intercept: bool) -> Fitted:
        """Fit rows whose first column is all ones; it is left out where it is added."""
        model = self.fresh(intercept)
        rows = X[:, 1:] if intercept else X
        given = () if weights is None else (weights,)
        if not hasattr(model, "fit"):
            return _of_function(model(rows, y, *given))
        named = {"sample_weight": weights} if given else {}
        fitted = model.fit(rows, y, **named)
        model = model if fitted is None else fitted
        found = of_estimator(model, intercept)
        score = getattr(model, "score", None)
        return found if score is None else replace(found, r_squared=lambda: float(score(rows, y)))


def _of_function(found: Any) -> Fitted:
    params = np.asarray(getattr(found, "params", found), dtype=np.float64).ravel()
    errors = getattr(found, "std_errors", getattr(found, "bse", None))
    errors = None if errors is None else np.asarray(errors, dtype=np.float64)
    named = next((name for name in ("r_squared", "rsquared") if hasattr(found, name)), None)
    return Fitted(
        params,
        lambda X: X @ params,
        errors,
        None if named is None else lambda: float(getattr(found, named)),
        _leverage(found),
        float(found.sigma) if hasattr(found, "sigma") else None,
    )


def _leverage(found: Any) -> Callable[[], F64] | None:
    """As this package has it, or statsmodels; or an array of that name."""
    if hasattr(found, "influence"):
        return lambda: np.asarray(found.influence().leverage)
    if hasattr(found, "get_influence"):
        return lambda: np.asarray(found.get_influence().hat_matrix_diag)
    return (lambda: np.asarray(found.leverage)) if hasattr(found, "leverage") else None


def of_estimator(model: Any, intercept: bool) -> Fitted:
    """What an estimator has found, the intercept first where it has added one."""
    slopes = np.asarray(model.coef_, dtype=np.float64).ravel()
    if not intercept:
        return Fitted(slopes, lambda X: np.asarray(model.predict(X)).ravel())
    params = np.append(np.asarray(model.intercept_, dtype=np.float64).ravel()[:1], slopes)
    return Fitted(params, lambda X: np.asarray(model.predict(X[:, 1:])).ravel())


class Case(NamedTuple):
    """A problem, how it is given, and what is done to it."""

    X: F64
    y: F64
    exact: Rational
    intercept: bool
    moved: Any = None


# Bounds


def bound(subject: Regressor, X: F64, y: F64, exact: Rational) -> F64:
    """What such a solver may be off, Eq. (5.7), shape (p,); infinite where nothing is held."""
    n, p = X.shape
    lengths = np.linalg.norm(X, axis=0)
    beta = np.abs(floats(exact.params))
    G = np.array([[float(v) for v in row] for row in exact.inverse])
    norm_r = math.sqrt(float(exact.rss))
    condition = math.sqrt(p * float(np.diagonal(G) @ lengths**2))
    epsilon = (n * p + 16) * U
    if subject.solver == "normal equations":
        epsilon *= condition
    if not condition * epsilon < LOST:
        return np.full(p, np.inf)
    spread = np.sqrt(np.diagonal(G))
    size = np.linalg.norm(y) + lengths @ beta
    off = epsilon * (spread * size + np.abs(G) @ lengths * norm_r) / (1 - condition * epsilon)
    if subject.solver == "iterative":
        off += subject.tolerance * spread * norm_r / math.sqrt(max(n - p, 1))
    return np.asarray(off)


def floats(values: Any) -> F64:
    """Fractions, each rounded."""
    return np.array([float(v) for v in values])


def misses(params: F64, exact: Rational) -> F64:
    """β̂ − β, subtracted exactly, rounded once."""
    if not np.isfinite(params).all():
        return np.full(len(params), np.inf)
    pairs = zip(params.tolist(), exact.params, strict=True)
    return np.array([float(Fraction(b) - e) for b, e in pairs])


# How problems are drawn, and written


def cases(kind: str) -> Callable[[Regressor], Any]:
    """A strategy of problems: of small integers, in hostile units, or far from zero."""

    def draw(subject: Regressor) -> Any:
        from hypothesis import strategies as st

        from mlreg.verify.strategies import designs, exact_ols

        problems = {
            "integers": exact_ols(max_shear=1000),
            "units": designs(max_rows=20),
            "offsets": designs(1.0, 0, 1e8, max_rows=20),
        }[kind]

        def case(problem: Any, mode: bool) -> Case:
            own = mode and problem.X.shape[1] > 1  # no estimator is asked to fit no column
            return Case(problem.X, problem.y, problem.exact, own or subject.modes == [True])

        if subject.modes == [True]:
            problems = problems.filter(lambda problem: problem.X.shape[1] > 1)
        return st.builds(case, problems, st.sampled_from(subject.modes))

    return draw


def moved(kind: str) -> Callable[[Regressor], Any]:
    """The same with something that is done to it, drawn too."""

    def draw(subject: Regressor) -> Any:
        from hypothesis import strategies as st

        def more(case: Case) -> Any:
            n, p = case.X.shape
            whole = st.integers(-3, 3)
            what = {
                "rows": st.permutations(range(n)),
                "columns": st.permutations(range(1, p)),
                "units": st.lists(st.integers(-30, 30), min_size=p + 1, max_size=p + 1),
                "shift": st.lists(whole, min_size=p, max_size=p),
                "copies": st.lists(st.integers(1, 3), min_size=n, max_size=n),
                "zero": st.integers(0, n - 1),
                "precision": st.lists(st.integers(0, 2), min_size=n, max_size=n),
                "row": st.integers(0, n - 1),
                "cut": st.integers(1, n - 1),
            }[kind]
            return what.map(lambda moved: case._replace(moved=moved))

        return cases("integers")(subject).flatmap(more)

    return draw


def code(subject: Regressor, case: Case) -> str:
    """The problem as code, for a reader to run."""
    rows = case.X[:, 1:] if case.intercept else case.X
    what, imports = subject.fresh(case.intercept), ["import numpy as np"]
    if hasattr(what, "fit"):
        module = ".".join(
            part for part in type(what).__module__.split(".") if not part.startswith("_")
        )
        imports.append(f"from {module} import {type(what).__name__}")
        call = f"{called(what)}.fit(X, y)"
    else:
        call = f"{called(what)}(X, y)"
    truth = ", ".join(str(v) if len(str(v)) < 20 else repr(float(v)) for v in case.exact.params)
    note = "the intercept first: " if case.intercept else ""
    return "\n".join(
        [
            *imports,
            f"X = np.array({rows.tolist()})",
            f"y = np.array({case.y.tolist()})",
            f"fitted = {call}  # exactly, {note}{truth}",
            *([f"# moved: {case.moved}"] if case.moved is not None else []),
        ]
    )


def unless_least_squares(subject: Regressor) -> str:
    """Why a law of least squares does not apply, or ""."""
    return "" if subject.is_least_squares else "it is not least squares"


def unless_says(attribute: str, words: str) -> Callable[[Regressor], str]:
    """Why a law of something that few say does not apply, found by trying."""

    def why_not(subject: Regressor) -> str:
        X, y = np.column_stack([np.ones(4), [1.0, 2.0, 3.0, 5.0]]), np.array([1.0, 0.0, 2.0, 1.0])
        found = subject.fit(X, y, intercept=subject.modes[0])
        if getattr(found, attribute) is None:
            return f"it has no {words}"
        return unless_least_squares(subject)

    return why_not
