"""What least squares promises of single columns and rows: their own part, R² and the leverages."""

import math
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlreg.verify.exact import Rational, least_squares
from mlreg.verify.kit import Promise, promise
from mlreg.verify.registry import U, ratio_of
from mlreg.verify.subject import (
    Case,
    Fitted,
    Regressor,
    bound,
    cases,
    code,
    floats,
    moved,
    unless_least_squares,
    unless_says,
)

__all__ = ["COLUMNS"]

F64 = NDArray[np.float64]

COLUMNS: list[Promise] = []
"""The laws of columns and leverages, of a regressor."""


@promise(
    "bounded", "12.17", mathematics="β̂ⱼ = x̃ⱼᵀy / ‖x̃ⱼ‖², x̃ⱼ what is left of xⱼ by the others",
    into=COLUMNS, draw=moved("columns"), code=code, why_not=unless_least_squares,
)  # fmt: skip
def own_part_has_the_coefficient(subject: Regressor, case: Case) -> Any:
    """The part of a column that the others do not explain has its coefficient (Frisch, Waugh)."""
    if not case.moved:
        return 0.0
    X, y, j = case.X, case.y, case.moved[0]
    own, times = _own_part(X, case.exact, j)
    if not np.abs(own).max() < 2**53:  # it would be rounded
        return 0.0
    alone = np.column_stack([np.ones(len(y)), own])
    whole = subject.fit(X, y, intercept=case.intercept).params[j]
    part = subject.fit(alone, y, intercept=case.intercept).params[1] * times
    there = bound(subject, alone, y, least_squares(alone, y))[1] * times
    return ratio_of(whole - part, bound(subject, X, y, case.exact)[j] + there + 4 * U * abs(whole))


def _own_part(X: F64, exact: Rational, j: int) -> tuple[F64, float]:
    """A multiple of x̃ⱼ of whole numbers, and of what: the columns times column j of G are one."""
    g = [row[j] for row in exact.inverse]
    each = [
        sum((Fraction(a) * b for a, b in zip(row, g, strict=True)), Fraction(0))
        for row in X.tolist()
    ]
    scale = math.lcm(*(v.denominator for v in each))
    whole = [int(v * scale) for v in each]
    common = math.gcd(*whole)
    return np.array([v // common for v in whole], float), float(Fraction(scale, common) * g[j])


@promise(
    "bounded", "7.8", mathematics="R²(X, y) ≥ R²(X without its last column, y)", into=COLUMNS,
    draw=cases("integers"), code=code, why_not=unless_least_squares,
)  # fmt: skip
def another_column_does_not_lower_r_squared(subject: Regressor, case: Case) -> Any:
    """R² does not fall when a column is added."""
    X, y = case.X, case.y
    total = least_squares(np.ones((len(y), 1)), y).rss
    if X.shape[1] < 3 or not total:  # no estimator is asked to fit no column
        return 0.0
    found, slack = [], 0.0
    for columns, exact in ((X[:, :-1], least_squares(X[:, :-1], y)), (X, case.exact)):
        fitted = subject.fit(columns, y, intercept=case.intercept)
        found.append(_r_squared(fitted, columns, y, float(total)))
        slack += _off(subject, columns, y, exact, float(total))
    return ratio_of(max(found[0] - found[1], 0.0), slack) if slack < np.inf else 0.0


def _r_squared(fitted: Fitted, X: F64, y: F64, total: float) -> float:
    """What it says itself, or what its predictions say."""
    if fitted.r_squared is not None:
        return fitted.r_squared()
    return 1 - float(np.sum((y - fitted.predict(X)) ** 2)) / total


def _off(subject: Regressor, X: F64, y: F64, exact: Rational, total: float) -> float:
    """What rounding may do to R²: to the residuals, and to the mean of the response."""
    n, p = X.shape
    lengths = np.linalg.norm(X, axis=0)
    size = float(np.linalg.norm(y) + lengths @ np.abs(floats(exact.params)))
    r = float(lengths @ bound(subject, X, y, exact)) + (n * p + 16) * U * size
    mean = (n + 16) * U * float(np.linalg.norm(y))
    roots = math.sqrt(float(exact.rss)), math.sqrt(total)
    return math.fsum(d * (2 * root + d) for d, root in zip((r, mean), roots, strict=True)) / total


@promise(
    "bounded", "12.8", mathematics="hᵢ = xᵢᵀGxᵢ, 0 ≤ hᵢ ≤ 1, Σ hᵢ = p", into=COLUMNS,
    draw=cases("integers"), code=code, why_not=unless_says("leverage", "leverages"),
)  # fmt: skip
def leverages_add_up_to_the_columns(subject: Regressor, case: Case) -> Any:
    """Leverages are those of rational arithmetic, between 0 and 1, and add up to p."""
    X, (n, p) = case.X, case.X.shape
    fitted = subject.fit(X, case.y, intercept=case.intercept)
    if np.isinf(bound(subject, X, case.y, case.exact)).any():
        return 0.0
    assert fitted.leverage is not None
    h = fitted.leverage()
    G = case.exact.inverse
    rows = [[Fraction(v) for v in row] for row in X.tolist()]
    want = [
        sum((x[j] * G[j][k] * x[k] for j in range(p) for k in range(p)), Fraction(0)) for x in rows
    ]
    lengths = np.linalg.norm(X, axis=0)
    condition = math.sqrt(p * sum(float(G[j][j]) * lengths[j] ** 2 for j in range(p)))
    loose = condition if subject.solver == "normal equations" else 1.0
    slack = 8 * (n * p + 16) * U * loose * condition
    outside = np.maximum(np.maximum(-h, h - 1), 0.0)
    gaps = np.concatenate([h - floats(want), outside, [(h.sum() - p) / n]])
    return ratio_of(gaps, slack)
