"""What anybody's linear regressor promises, held against rational arithmetic and itself."""

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlreg.errors import InvalidInput, InvalidType
from mlreg.verify.exact import Rational, least_squares
from mlreg.verify.kit import Promise, called, promise, run
from mlreg.verify.registry import U, ratio_of
from mlreg.verify.report import Report

__all__ = ["REGRESSOR", "Fitted", "Regressor", "check_regressor"]

F64 = NDArray[np.float64]
Solver = Literal["backward stable", "normal equations", "iterative"]
Weights = Literal["frequency", "precision"]

REGRESSOR: list[Promise] = []
"""The laws of a regressor, in the order in which they are tried."""

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
    """

    params: F64
    predict: Callable[[F64], F64]
    std_errors: F64 | None = None


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
        return _of_estimator(model, intercept)


def _of_function(found: Any) -> Fitted:
    params = np.asarray(getattr(found, "params", found), dtype=np.float64).ravel()
    errors = getattr(found, "std_errors", getattr(found, "bse", None))
    errors = None if errors is None else np.asarray(errors, dtype=np.float64)
    return Fitted(params, lambda X: X @ params, errors)


def _of_estimator(model: Any, intercept: bool) -> Fitted:
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


def check_regressor(
    estimator: Any,
    *,
    weights: Weights | None = None,
    solver: Solver = "backward stable",
    tolerance: float = 0.01,
    is_least_squares: bool = True,
    examples: int = 100,
    seed: int = 0,
    shrink: bool = True,
    laws: Sequence[str] | None = None,
    expect_fail: Mapping[str, str] | None = None,
) -> Report:
    """Hold anybody's linear regressor to what the mathematics promises.

    Parameters
    ----------
    estimator : object or callable
        An estimator as scikit-learn has them (``fit``, ``predict``, ``coef_``, ``intercept_``; with
        a parameter ``fit_intercept`` both settings are tried), its class, or a function
        ``(X, y) -> coefficients``, whose result may also be an object with ``params`` and
        ``std_errors`` (or ``bse``). The columns that a function gets contain one of ones.
    weights : "frequency" or "precision", optional
        What its ``sample_weight`` (of a function, its third argument) means; without it weights are
        not tried.
    solver : "backward stable", "normal equations" or "iterative"
        The accuracy that it claims: what a QR decomposition keeps, Eq. (5.7); that times the
        condition number; or `tolerance`.
    tolerance : float
        Of an iterative solver: how many standard errors a coefficient may be off.
    is_least_squares : bool
        False for ridge, robust and other regression: only laws that these obey too are tried.
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

    Returns
    -------
    Report
        Printed, it is a table, with the smallest counterexamples as code; ``report.passed``.

    Examples
    --------
    >>> import numpy as np
    >>> from mlreg import verify
    >>> report = verify.check_regressor(lambda X, y: np.linalg.lstsq(X, y, rcond=0)[0], examples=5)
    >>> report["coefficients_are_exact"].verdict
    'kept'
    """
    if isinstance(estimator, type):
        estimator = estimator()
    has_methods = hasattr(estimator, "fit") and hasattr(estimator, "predict")
    if not callable(estimator) and not has_methods:
        raise InvalidType(
            "a regressor has fit and predict, or is a function from X and y to coefficients; "
            f"this is {type(estimator).__name__}"
        )
    if solver not in ("backward stable", "normal equations", "iterative"):
        raise InvalidInput(
            f"solver must be 'backward stable', 'normal equations' or 'iterative'; not {solver!r}"
        )
    if weights not in (None, "frequency", "precision"):
        raise InvalidInput(f"weights must be 'frequency' or 'precision'; not {weights!r}")
    subject = Regressor(estimator, solver, weights, tolerance, is_least_squares)
    return run(called(estimator), subject, REGRESSOR, laws, examples, seed, expect_fail, shrink)


# Bounds


def bound(subject: Regressor, X: F64, y: F64, exact: Rational) -> F64:
    """What such a solver may be off, Eq. (5.7), shape (p,); infinite where nothing is held."""
    n, p = X.shape
    lengths = np.linalg.norm(X, axis=0)
    beta = np.abs(_floats(exact.params))
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


def _floats(values: Any) -> F64:
    return np.array([float(v) for v in values])


def _misses(params: F64, exact: Rational) -> F64:
    """β̂ − β, subtracted exactly, rounded once."""
    if not np.isfinite(params).all():
        return np.full(len(params), np.inf)
    pairs = zip(params.tolist(), exact.params, strict=True)
    return np.array([float(Fraction(b) - e) for b, e in pairs])


# How problems are drawn, and written


def _cases(kind: str) -> Callable[[Regressor], Any]:
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


def _moved(kind: str) -> Callable[[Regressor], Any]:
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

        return _cases("integers")(subject).flatmap(more)

    return draw


def _code(subject: Regressor, case: Case, weights: str = "") -> str:
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


def _unless_least_squares(subject: Regressor) -> str:
    return "" if subject.is_least_squares else "it is not least squares"


def _unless_errors(subject: Regressor) -> str:
    X, y = np.column_stack([np.ones(4), [1.0, 2.0, 3.0, 5.0]]), np.array([1.0, 0.0, 2.0, 1.0])
    found = subject.fit(X, y, intercept=subject.modes[0])
    if found.std_errors is None:
        return "it has no standard errors"
    return _unless_least_squares(subject)


# The laws


def _coefficients(subject: Regressor, case: Case) -> Any:
    off = bound(subject, case.X, case.y, case.exact)
    if np.isinf(off).any():  # it may refuse, or be wrong
        return 0.0
    found = subject.fit(case.X, case.y, intercept=case.intercept)
    return ratio_of(_misses(found.params, case.exact), off + 2 * U * np.abs(found.params))


@promise(
    "bounded", "2.2", "5.7", mathematics="|β̂ − β| ≤ ε(√Gⱼⱼ S + Σₖ |Gⱼₖ| ‖xₖ‖ ‖r‖)", into=REGRESSOR,
    draw=_cases("integers"), code=_code, why_not=_unless_least_squares,
)  # fmt: skip
def coefficients_are_exact(subject: Regressor, case: Case) -> Any:
    """Coefficients are those of rational arithmetic, to what rounding of the data would change."""
    return _coefficients(subject, case)


@promise(
    "bounded", "2.2", "5.7", mathematics="the same, columns in units from 1e-9 to 1e9",
    into=REGRESSOR, draw=_cases("units"), code=_code, why_not=_unless_least_squares,
)  # fmt: skip
def coefficients_are_exact_in_any_units(subject: Regressor, case: Case) -> Any:
    """No unit of a column or of the response costs digits."""
    return _coefficients(subject, case)


@promise(
    "bounded", "2.2", "5.7", mathematics="the same, means up to 1e8 standard deviations from zero",
    into=REGRESSOR, draw=_cases("offsets"), code=_code, why_not=_unless_least_squares,
)  # fmt: skip
def coefficients_are_exact_far_from_zero(subject: Regressor, case: Case) -> Any:
    """Columns far from zero, as timestamps are, cost no more digits than they must."""
    return _coefficients(subject, case)


@promise(
    "bounded", "2.2", "2.8", mathematics="|xⱼᵀ(y − Xβ̂)| ≤ ε‖xⱼ‖(‖r‖ + S)", into=REGRESSOR,
    draw=_cases("integers"), code=_code, why_not=_unless_least_squares,
)  # fmt: skip
def residuals_are_orthogonal_to_columns(subject: Regressor, case: Case) -> Any:
    """The residuals of least squares are orthogonal to every column."""
    X, y, exact = case.X, case.y, case.exact
    found = subject.fit(X, y, intercept=case.intercept).params
    if not np.isfinite(found).all():
        return np.inf
    lengths = np.linalg.norm(X, axis=0)
    off = bound(subject, X, y, exact)
    if np.isinf(off).any():
        return 0.0
    beta = [Fraction(b) for b in found.tolist()]
    r = [
        Fraction(v) - sum((Fraction(a) * b for a, b in zip(row, beta, strict=True)), Fraction(0))
        for row, v in zip(X.tolist(), y.tolist(), strict=True)
    ]
    products = [
        float(sum((Fraction(a) * e for a, e in zip(x, r, strict=True)), Fraction(0)))
        for x in X.T.tolist()
    ]
    n, p = X.shape
    norm_r = math.sqrt(float(exact.rss))
    allowed = (n * p + 16) * U * lengths * (norm_r + np.linalg.norm(y) + lengths @ np.abs(found))
    if subject.solver != "backward stable":
        allowed += np.abs(X.T @ X) @ off
    return ratio_of(products, allowed)


@promise(
    "bounded", "2.4", "2.11", mathematics="se(β̂ⱼ) = s√Gⱼⱼ, s² = RSS/(n − p)", into=REGRESSOR,
    draw=_cases("integers"), code=_code, why_not=_unless_errors,
)  # fmt: skip
def standard_errors_are_exact(subject: Regressor, case: Case) -> Any:
    """Standard errors, where there are any, are those of rational arithmetic."""
    n, p = case.X.shape
    found = subject.fit(case.X, case.y, intercept=case.intercept)
    if found.std_errors is None:
        return np.inf
    off = bound(subject, case.X, case.y, case.exact)
    G = np.array([float(row[j]) for j, row in enumerate(case.exact.inverse)])
    norm_r = math.sqrt(float(case.exact.rss))
    want = norm_r / math.sqrt(n - p) * np.sqrt(G)
    lengths = np.linalg.norm(case.X, axis=0)
    size = np.linalg.norm(case.y) + lengths @ np.abs(_floats(case.exact.params))
    condition = math.sqrt(p * float(G @ lengths**2))
    loose = condition if subject.solver == "normal equations" else 1.0
    loss = 8 * (n * p + 16) * U * loose * (condition + size / norm_r)
    return np.where(np.isinf(off), 0.0, ratio_of(found.std_errors - want, loss * want))


def _together(
    subject: Regressor, case: Case, X: F64, y: F64, exact: Rational, back: Callable[[F64], F64],
    weights: Any = None, other_weights: Any = None,
) -> Any:  # fmt: skip
    """Deviation of two fits, the second taken back to the units of the first, in both bounds."""
    one = subject.fit(case.X, case.y, weights, intercept=case.intercept)
    other = subject.fit(X, y, other_weights, intercept=case.intercept)
    here = bound(subject, case.X, case.y, case.exact)
    there = bound(subject, X, y, exact)
    allowed = here + np.abs(back(there))
    gap = one.params - back(other.params)
    return ratio_of(gap, allowed + 4 * U * np.abs(one.params))


@promise(
    "bounded", "2.2", mathematics="β̂(PX, Py) = β̂(X, y)", into=REGRESSOR,
    draw=_moved("rows"), code=_code,
)  # fmt: skip
def order_of_rows_does_not_matter(subject: Regressor, case: Case) -> Any:
    """Rows in another order have the same coefficients."""
    order = list(case.moved)
    return _together(subject, case, case.X[order], case.y[order], case.exact, lambda b: b)


@promise(
    "bounded", "2.2", mathematics="β̂(XP, y) = Pᵀβ̂(X, y)", into=REGRESSOR,
    draw=_moved("columns"), code=_code,
)  # fmt: skip
def order_of_columns_does_not_matter(subject: Regressor, case: Case) -> Any:
    """Columns in another order have their own coefficients."""
    order = [0, *case.moved]
    inverse = np.argsort(order)
    exact = _permuted(case.exact, order)
    return _together(subject, case, case.X[:, order], case.y, exact, lambda b: b[inverse])


def _permuted(exact: Rational, order: list[int]) -> Rational:
    inverse = tuple(tuple(exact.inverse[i][j] for j in order) for i in order)
    return Rational(tuple(exact.params[j] for j in order), exact.rss, inverse)


@promise(
    "bounded", "2.2", mathematics="β̂(XD, cy) = cD⁻¹β̂(X, y), D and c powers of two",
    into=REGRESSOR, draw=_moved("units"), code=_code, why_not=_unless_least_squares,
)  # fmt: skip
def units_do_not_matter(subject: Regressor, case: Case) -> Any:
    """Another unit of a column, or of the response, is another unit of the coefficients."""
    powers = np.array(case.moved)
    powers[0] = 0  # the column of ones
    scale, c = np.exp2(powers[:-1]), float(np.exp2(powers[-1]))
    D, factor = [Fraction(v) for v in scale.tolist()], Fraction(c)
    exact = Rational(
        tuple(b * factor / d for b, d in zip(case.exact.params, D, strict=True)),
        case.exact.rss * factor**2,
        tuple(
            tuple(g / D[i] / D[j] for j, g in enumerate(row))
            for i, row in enumerate(case.exact.inverse)
        ),
    )
    return _together(subject, case, case.X * scale, case.y * c, exact, lambda b: b * scale / c)


@promise(
    "bounded", "2.2", mathematics="β̂(X, y + Xd) = β̂(X, y) + d", into=REGRESSOR,
    draw=_moved("shift"), code=_code, why_not=_unless_least_squares,
)  # fmt: skip
def what_columns_explain_is_explained(subject: Regressor, case: Case) -> Any:
    """A combination of the columns, added to the response, is added to the coefficients."""
    d = np.array(case.moved, dtype=np.float64)
    y = case.y + case.X @ d  # integers: exact
    exact = Rational(
        tuple(b + Fraction(v) for b, v in zip(case.exact.params, d.tolist(), strict=True)),
        case.exact.rss,
        case.exact.inverse,
    )
    one = subject.fit(case.X, case.y, intercept=case.intercept)
    other = subject.fit(case.X, y, intercept=case.intercept)
    allowed = bound(subject, case.X, case.y, case.exact) + bound(subject, case.X, y, exact)
    sizes = np.abs(one.params) + np.abs(other.params)
    return ratio_of(other.params - one.params - d, allowed + 4 * U * sizes)


@promise(
    "bounded", "2.8", mathematics="predict(X) = Xβ̂", into=REGRESSOR,
    draw=_cases("units"), code=_code,
)  # fmt: skip
def predictions_are_linear(subject: Regressor, case: Case) -> Any:
    """Predictions are the rows times the coefficients."""
    found = subject.fit(case.X, case.y, intercept=case.intercept)
    sizes = np.abs(case.X) @ np.abs(found.params)
    want = case.X @ found.params
    return ratio_of(found.predict(case.X) - want, 4 * (len(found.params) + 2) * U * sizes)


@promise(
    "exact", "2.2", mathematics="X and y after fit(X, y) are X and y before", into=REGRESSOR,
    draw=_cases("integers"), code=_code,
)  # fmt: skip
def data_are_left_alone(subject: Regressor, case: Case) -> Any:
    """Fitting changes no array that it was given."""
    X, y = case.X.copy(), case.y.copy()
    subject.fit(X, y, intercept=case.intercept)
    changed = not (np.array_equal(X, case.X) and np.array_equal(y, case.y))
    return ratio_of(float(changed), 0.0)


@promise(
    "bounded", "2.2", mathematics="β̂ is one function of the numbers in X and y", into=REGRESSOR,
    draw=_cases("integers"), code=_code,
)  # fmt: skip
def layout_does_not_matter(subject: Regressor, case: Case) -> Any:
    """Whole numbers as integers, in columns, read-only or with gaps between have one answer."""
    X, y = case.X, case.y
    gaps = np.zeros((2 * len(X), X.shape[1]))[::2]
    gaps[:] = X
    gaps_y = np.zeros(2 * len(y))[::2]
    gaps_y[:] = y
    frozen, frozen_y = X.copy(), y.copy()
    frozen.flags.writeable = frozen_y.flags.writeable = False
    forms = [
        (np.asfortranarray(X), y),
        (X.astype(np.int64), y.astype(np.int64)),
        (gaps, gaps_y),
        (frozen, frozen_y),
    ]
    base = subject.fit(X, y, intercept=case.intercept).params
    allowed = 2 * bound(subject, X, y, case.exact) + 4 * U * np.abs(base)
    each = [subject.fit(*form, intercept=case.intercept).params - base for form in forms]
    return [ratio_of(gap, allowed) for gap in each]


@promise(
    "exact", "2.2", mathematics="fit(X, y) after fit(X′, y′) is fit(X, y)", into=REGRESSOR,
    draw=_cases("integers"), code=_code,
    why_not=lambda s: "" if hasattr(s.what, "fit") else "a function keeps nothing",
)  # fmt: skip
def the_past_is_forgotten(subject: Regressor, case: Case) -> Any:
    """An estimator that has been fitted before fits as a new one."""
    model = subject.fresh(case.intercept)
    rows = case.X[:, 1:] if case.intercept else case.X
    once = _of_estimator(_done(model, rows, case.y), case.intercept).params
    _done(model, rows[::-1] + 1, -case.y)
    again = _of_estimator(_done(model, rows, case.y), case.intercept).params
    return ratio_of(float(not np.array_equal(once, again)), 0.0)


def _done(model: Any, X: F64, y: F64) -> Any:
    fitted = model.fit(X.copy(), y.copy())
    return model if fitted is None else fitted


def _unless_weights(*kinds: str) -> Callable[[Regressor], str]:
    def why_not(subject: Regressor) -> str:
        if subject.weights is None:
            return "weights= does not say what its weights mean"
        return "" if subject.weights in kinds else f"its weights mean {subject.weights}"

    return why_not


@promise(
    "bounded", "1.5", mathematics="β̂ with weights k is β̂ of k copies of each row",
    into=REGRESSOR, draw=_moved("copies"), code=_code,
    why_not=_unless_weights("frequency", "precision"),
)  # fmt: skip
def weights_are_copies(subject: Regressor, case: Case) -> Any:
    """Coefficients with whole weights are those of rows that are repeated so often."""
    k = np.array(case.moved)
    X, y = np.repeat(case.X, k, axis=0), np.repeat(case.y, k)
    exact = least_squares(case.X, case.y, case.moved)
    weighted = subject.fit(case.X, case.y, k.astype(np.float64), intercept=case.intercept)
    ones = np.ones(len(y))
    repeated = subject.fit(X, y, ones, intercept=case.intercept)
    allowed = 2 * bound(subject, X, y, exact) + 4 * U * np.abs(repeated.params)
    gaps = [ratio_of(weighted.params - repeated.params, allowed)]
    if subject.weights == "frequency" and repeated.std_errors is not None and len(y) > X.shape[1]:
        errors = repeated.std_errors
        loss = np.sqrt(allowed / (np.abs(repeated.params) + errors)) + 1e-9
        ours = np.nan if weighted.std_errors is None else weighted.std_errors
        gaps.append(ratio_of(ours - errors, loss * errors))
    return np.concatenate(gaps)


@promise(
    "bounded", "1.5", mathematics="weight 0 is no row", into=REGRESSOR, draw=_moved("zero"),
    code=_code, why_not=_unless_weights("frequency", "precision"),
)  # fmt: skip
def weight_zero_is_no_row(subject: Regressor, case: Case) -> Any:
    """A row of weight zero is as if it were not there."""
    n, p = case.X.shape
    w = np.ones(n)
    w[case.moved] = 0
    keep = w > 0
    if np.linalg.matrix_rank(case.X[keep]) < p:
        return 0.0
    exact = least_squares(case.X[keep], case.y[keep])
    one = subject.fit(case.X, case.y, w, intercept=case.intercept)
    other = subject.fit(case.X[keep], case.y[keep], w[keep], intercept=case.intercept)
    allowed = 2 * bound(subject, case.X[keep], case.y[keep], exact)
    lengths = np.linalg.norm(case.X, axis=0)  # what the row leaves behind in a scale of columns
    within = np.linalg.norm(case.X[keep], axis=0)
    loose = float((lengths / np.where(within > 0, within, 1.0)).max())
    return ratio_of(one.params - other.params, loose * allowed + 4 * U * np.abs(other.params))


@promise(
    "bounded", "1.5", mathematics="β̂ with weights w is β̂ of √w(X, y), w powers of four",
    into=REGRESSOR, draw=_moved("precision"), code=_code,
    why_not=lambda s: _unless_weights("frequency", "precision")(s) or _unless_least_squares(s),
)  # fmt: skip
def weights_are_precisions(subject: Regressor, case: Case) -> Any:
    """Coefficients with weights w are those of exact least squares in which they count w times."""
    w = 4.0 ** np.array(case.moved)
    exact = least_squares(case.X, case.y, w.tolist())
    found = subject.fit(case.X, case.y, w, intercept=case.intercept)
    root = np.sqrt(w)
    off = bound(subject, case.X * root[:, None], case.y * root, exact)
    return ratio_of(_misses(found.params, exact), off + 2 * U * np.abs(found.params))


@promise(
    "bounded", "12.10", mathematics="y − xᵀβ̂₍ᵢ₎ = (y − xᵀβ̂)/(1 − h)", into=REGRESSOR,
    draw=_moved("row"), code=_code, why_not=_unless_least_squares,
)  # fmt: skip
def without_a_row(subject: Regressor, case: Case) -> Any:
    """The residual of a row from a fit without it is its residual over one less its leverage."""
    X, y, i = case.X, case.y, case.moved
    rest = np.arange(len(y)) != i
    x = [Fraction(v) for v in X[i].tolist()]
    G, p = case.exact.inverse, X.shape[1]
    h = sum((x[j] * G[j][k] * x[k] for j in range(p) for k in range(p)), Fraction(0))
    if h == 1 or float(1 - h) < 1e-6:
        return 0.0
    smaller = least_squares(X[rest], y[rest])
    fitted = sum((a * b for a, b in zip(x, case.exact.params, strict=True)), Fraction(0))
    want = float((Fraction(float(y[i])) - fitted) / (1 - h))
    found = subject.fit(X[rest], y[rest], intercept=case.intercept)
    off = bound(subject, X[rest], y[rest], smaller) @ np.abs(X[i])
    size = abs(y[i]) + np.abs(X[i]) @ np.abs(found.params)
    return ratio_of(float(y[i]) - found.predict(X[i : i + 1]) - want, off + 8 * (p + 2) * U * size)


@promise(
    "bounded", "2.7", mathematics="partial_fit over parts of the rows is fit over all",
    into=REGRESSOR, draw=_moved("cut"), code=_code,
    why_not=lambda s: "" if hasattr(s.what, "partial_fit") else "it has no partial_fit",
)  # fmt: skip
def parts_are_the_whole(subject: Regressor, case: Case) -> Any:
    """Rows given in two parts have the coefficients that they have together."""
    rows = case.X[:, 1:] if case.intercept else case.X
    model = subject.fresh(case.intercept)
    for part in (slice(None, case.moved), slice(case.moved, None)):
        model.partial_fit(rows[part], case.y[part])
    whole = subject.fit(case.X, case.y, intercept=case.intercept).params
    found = _of_estimator(model, case.intercept).params
    allowed = 2 * bound(subject, case.X, case.y, case.exact) + 4 * U * np.abs(whole)
    return ratio_of(found - whole, allowed)


def _dependent(subject: Regressor) -> Any:
    from hypothesis import strategies as st

    from mlreg.verify.strategies import dependent_designs

    def case(dependent: Any, mode: bool) -> Case:
        problem = dependent.problem
        return Case(dependent.X, problem.y, problem.exact, mode, problem.X)

    return st.builds(case, dependent_designs(), st.sampled_from(subject.modes))


@promise(
    "bounded", "2.8", mathematics="Xβ̂ is unique, whichever β̂ is taken", into=REGRESSOR,
    draw=_dependent, code=_code, why_not=_unless_least_squares,
)  # fmt: skip
def fitted_values_survive_dependent_columns(subject: Regressor, case: Case) -> Any:
    """Where columns are dependent a fit says so, or its fitted values are the unique ones."""
    try:
        found = subject.fit(case.X, case.y, intercept=case.intercept)
    except Exception as error:  # a refusal is an honest answer, whatever it is called
        return 0.0 if str(error) else np.inf
    smaller = case.moved
    want = smaller @ _floats(case.exact.params)
    used = np.where(np.isfinite(found.params), found.params, 0.0)  # what is left out is NaN
    sizes = np.abs(case.X) @ np.abs(used)
    off = np.abs(smaller) @ bound(subject, smaller, case.y, case.exact)
    loose = float(np.linalg.norm(case.X)) / max(float(np.linalg.norm(smaller[:, 0])), 1.0)
    n, p = case.X.shape
    allowed = loose * off + (n * p + 16) * U * (sizes + np.abs(want))
    return ratio_of(case.X @ used - want, allowed)
