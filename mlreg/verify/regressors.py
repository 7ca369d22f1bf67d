"""What anybody's linear regressor promises, held against rational arithmetic and itself."""

import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlreg.errors import InvalidInput, InvalidType
from mlreg.verify.columns import COLUMNS
from mlreg.verify.exact import Rational, least_squares
from mlreg.verify.kit import Promise, called, promise, run
from mlreg.verify.registry import U, ratio_of
from mlreg.verify.report import Report
from mlreg.verify.scatter import SCATTER
from mlreg.verify.subject import (
    Case,
    Fitted,
    Regressor,
    Solver,
    Weights,
    bound,
    cases,
    code,
    floats,
    misses,
    moved,
    of_estimator,
    unless_least_squares,
    unless_says,
)

__all__ = ["REGRESSOR", "Fitted", "Regressor", "check_regressor"]

F64 = NDArray[np.float64]

REGRESSOR: list[Promise] = []
"""The laws of a regressor, in the order in which they are tried."""


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
        ``(X, y) -> coefficients``, whose result may also be an object with ``params`` and, where
        it has them, ``std_errors`` (or ``bse``), ``r_squared``, ``leverage`` and ``sigma``, the
        MLE. The columns that a function gets contain one of ones.
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


# The laws


def _coefficients(subject: Regressor, case: Case) -> Any:
    off = bound(subject, case.X, case.y, case.exact)
    if np.isinf(off).any():  # it may refuse, or be wrong
        return 0.0
    found = subject.fit(case.X, case.y, intercept=case.intercept)
    return ratio_of(misses(found.params, case.exact), off + 2 * U * np.abs(found.params))


@promise(
    "bounded", "2.2", "5.7", mathematics="|β̂ − β| ≤ ε(√Gⱼⱼ S + Σₖ |Gⱼₖ| ‖xₖ‖ ‖r‖)", into=REGRESSOR,
    draw=cases("integers"), code=code, why_not=unless_least_squares,
)  # fmt: skip
def coefficients_are_exact(subject: Regressor, case: Case) -> Any:
    """Coefficients are those of rational arithmetic, to what rounding of the data would change."""
    return _coefficients(subject, case)


@promise(
    "bounded", "2.2", "5.7", mathematics="the same, columns in units from 1e-9 to 1e9",
    into=REGRESSOR, draw=cases("units"), code=code, why_not=unless_least_squares,
)  # fmt: skip
def coefficients_are_exact_in_any_units(subject: Regressor, case: Case) -> Any:
    """No unit of a column or of the response costs digits."""
    return _coefficients(subject, case)


@promise(
    "bounded", "2.2", "5.7", mathematics="the same, means up to 1e8 standard deviations from zero",
    into=REGRESSOR, draw=cases("offsets"), code=code, why_not=unless_least_squares,
)  # fmt: skip
def coefficients_are_exact_far_from_zero(subject: Regressor, case: Case) -> Any:
    """Columns far from zero, as timestamps are, cost no more digits than they must."""
    return _coefficients(subject, case)


@promise(
    "bounded", "2.2", "2.8", mathematics="|xⱼᵀ(y − Xβ̂)| ≤ ε‖xⱼ‖(‖r‖ + S)", into=REGRESSOR,
    draw=cases("integers"), code=code, why_not=unless_least_squares,
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
    draw=cases("integers"), code=code, why_not=unless_says("std_errors", "standard errors"),
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
    size = np.linalg.norm(case.y) + lengths @ np.abs(floats(case.exact.params))
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
    draw=moved("rows"), code=code,
)  # fmt: skip
def order_of_rows_does_not_matter(subject: Regressor, case: Case) -> Any:
    """Rows in another order have the same coefficients."""
    order = list(case.moved)
    return _together(subject, case, case.X[order], case.y[order], case.exact, lambda b: b)


@promise(
    "bounded", "2.2", mathematics="β̂(XP, y) = Pᵀβ̂(X, y)", into=REGRESSOR,
    draw=moved("columns"), code=code,
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
    into=REGRESSOR, draw=moved("units"), code=code, why_not=unless_least_squares,
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
    draw=moved("shift"), code=code, why_not=unless_least_squares,
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
    draw=cases("units"), code=code,
)  # fmt: skip
def predictions_are_linear(subject: Regressor, case: Case) -> Any:
    """Predictions are the rows times the coefficients."""
    found = subject.fit(case.X, case.y, intercept=case.intercept)
    sizes = np.abs(case.X) @ np.abs(found.params)
    want = case.X @ found.params
    return ratio_of(found.predict(case.X) - want, 4 * (len(found.params) + 2) * U * sizes)


@promise(
    "exact", "2.2", mathematics="X and y after fit(X, y) are X and y before", into=REGRESSOR,
    draw=cases("integers"), code=code,
)  # fmt: skip
def data_are_left_alone(subject: Regressor, case: Case) -> Any:
    """Fitting changes no array that it was given."""
    X, y = case.X.copy(), case.y.copy()
    subject.fit(X, y, intercept=case.intercept)
    changed = not (np.array_equal(X, case.X) and np.array_equal(y, case.y))
    return ratio_of(float(changed), 0.0)


@promise(
    "bounded", "2.2", mathematics="β̂ is one function of the numbers in X and y", into=REGRESSOR,
    draw=cases("integers"), code=code,
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
    draw=cases("integers"), code=code,
    why_not=lambda s: "" if hasattr(s.what, "fit") else "a function keeps nothing",
)  # fmt: skip
def the_past_is_forgotten(subject: Regressor, case: Case) -> Any:
    """An estimator that has been fitted before fits as a new one."""
    model = subject.fresh(case.intercept)
    rows = case.X[:, 1:] if case.intercept else case.X
    once = of_estimator(_done(model, rows, case.y), case.intercept).params
    _done(model, rows[::-1] + 1, -case.y)
    again = of_estimator(_done(model, rows, case.y), case.intercept).params
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
    into=REGRESSOR, draw=moved("copies"), code=code,
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
    "bounded", "1.5", mathematics="weight 0 is no row", into=REGRESSOR, draw=moved("zero"),
    code=code, why_not=_unless_weights("frequency", "precision"),
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
    into=REGRESSOR, draw=moved("precision"), code=code,
    why_not=lambda s: _unless_weights("frequency", "precision")(s) or unless_least_squares(s),
)  # fmt: skip
def weights_are_precisions(subject: Regressor, case: Case) -> Any:
    """Coefficients with weights w are those of exact least squares in which they count w times."""
    w = 4.0 ** np.array(case.moved)
    exact = least_squares(case.X, case.y, w.tolist())
    found = subject.fit(case.X, case.y, w, intercept=case.intercept)
    root = np.sqrt(w)
    off = bound(subject, case.X * root[:, None], case.y * root, exact)
    return ratio_of(misses(found.params, exact), off + 2 * U * np.abs(found.params))


@promise(
    "bounded", "12.10", mathematics="y − xᵀβ̂₍ᵢ₎ = (y − xᵀβ̂)/(1 − h)", into=REGRESSOR,
    draw=moved("row"), code=code, why_not=unless_least_squares,
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
    into=REGRESSOR, draw=moved("cut"), code=code,
    why_not=lambda s: "" if hasattr(s.what, "partial_fit") else "it has no partial_fit",
)  # fmt: skip
def parts_are_the_whole(subject: Regressor, case: Case) -> Any:
    """Rows given in two parts have the coefficients that they have together."""
    rows = case.X[:, 1:] if case.intercept else case.X
    model = subject.fresh(case.intercept)
    for part in (slice(None, case.moved), slice(case.moved, None)):
        model.partial_fit(rows[part], case.y[part])
    whole = subject.fit(case.X, case.y, intercept=case.intercept).params
    found = of_estimator(model, case.intercept).params
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
    draw=_dependent, code=code, why_not=unless_least_squares,
)  # fmt: skip
def fitted_values_survive_dependent_columns(subject: Regressor, case: Case) -> Any:
    """Where columns are dependent a fit says so, or its fitted values are the unique ones."""
    try:
        found = subject.fit(case.X, case.y, intercept=case.intercept)
    except Exception as error:  # a refusal is an honest answer, whatever it is called
        return 0.0 if str(error) else np.inf
    smaller = case.moved
    want = smaller @ floats(case.exact.params)
    used = np.where(np.isfinite(found.params), found.params, 0.0)  # what is left out is NaN
    sizes = np.abs(case.X) @ np.abs(used)
    off = np.abs(smaller) @ bound(subject, smaller, case.y, case.exact)
    loose = float(np.linalg.norm(case.X)) / max(float(np.linalg.norm(smaller[:, 0])), 1.0)
    n, p = case.X.shape
    allowed = loose * off + (n * p + 16) * U * (sizes + np.abs(want))
    return ratio_of(case.X @ used - want, allowed)


REGRESSOR += [*COLUMNS, *SCATTER]
