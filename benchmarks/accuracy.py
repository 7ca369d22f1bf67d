"""Correct digits beside those of other programs, against answers without rounding.

    python benchmarks/accuracy.py

Needs the package alone; scikit-learn and statsmodels are shown where they are installed. Prints
Markdown: the eleven linear sets of NIST, a sweep over condition numbers, hostile inputs.
Nothing is timed, so that two runs with the same versions print the same.

The reference is the exact rational solution of the float64 numbers that every program is given
(`mlreg.verify.exact`), and for NIST's sets their certified values too. Correct digits are
-log10 of the relative error, the worst coefficient counts, and 16 is the most that is shown: it
stands for an error below half a unit of the last place or so. Where the exact value is zero, the
error itself is taken.
"""

import importlib
import math
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import scipy.linalg

import mlreg as ml
from mlreg.verify.exact import least_squares

MOST = 16.0
ENOUGH = 4.0
"""Digits below which a coefficient counts as wrong: fewer than a printed table shows."""

NO_NUMBER = -1.0
"""Stands for the digits of an answer that is not finite."""

MATRICES = 10
"""Random matrices for each condition number; the worst is shown."""

Answer = tuple[Any, Any]  # coefficients, and standard errors or None


# --- the programs ------------------------------------------------------------------------------
# Each takes the regressors without a column of ones, y, and whether there is an intercept.


def design(X: np.ndarray, intercept: bool) -> np.ndarray:
    return np.column_stack([np.ones(len(X)), X]) if intercept else X


def by_fit(X: np.ndarray, y: np.ndarray, intercept: bool) -> Answer:
    fit = ml.fit(X, y, intercept=intercept)
    return fit.params, fit.std_errors


def by_statistics(X: np.ndarray, y: np.ndarray, intercept: bool) -> Answer:
    fit = ml.fit(ml.SufficientStatistics().update(X, y, intercept=intercept))
    return fit.params, fit.std_errors


def by_numpy(X: np.ndarray, y: np.ndarray, intercept: bool) -> Answer:
    return np.linalg.lstsq(design(X, intercept), y)[0], None


def by_scipy(X: np.ndarray, y: np.ndarray, intercept: bool) -> Answer:
    return scipy.linalg.lstsq(design(X, intercept), y)[0], None


def by_sklearn(X: np.ndarray, y: np.ndarray, intercept: bool) -> Answer:
    from sklearn.linear_model import LinearRegression

    fit = LinearRegression(fit_intercept=intercept).fit(X, y)
    return (np.append(fit.intercept_, fit.coef_) if intercept else fit.coef_), None


def by_statsmodels(method: str) -> Callable[[np.ndarray, np.ndarray, bool], Answer]:
    def solve(X: np.ndarray, y: np.ndarray, intercept: bool) -> Answer:
        from statsmodels.api import OLS

        fit = OLS(y, design(X, intercept)).fit(method=method)
        return fit.params, fit.bse

    return solve


PROGRAMS: dict[str, tuple[str, Callable[[np.ndarray, np.ndarray, bool], Answer]]] = {
    "mlreg": ("mlreg", by_fit),
    "mlreg, statistics": ("mlreg", by_statistics),
    "numpy lstsq": ("numpy", by_numpy),
    "scipy lstsq": ("scipy", by_scipy),
    "scikit-learn": ("sklearn", by_sklearn),
    "statsmodels pinv": ("statsmodels", by_statsmodels("pinv")),
    "statsmodels qr": ("statsmodels", by_statsmodels("qr")),
}
CEILING = "ceiling"
WITH_ERRORS = (CEILING, "mlreg", "mlreg, statistics", "statsmodels pinv", "statsmodels qr")
"""Columns that have standard errors."""


def installed() -> list[str]:
    there = []
    for name, (module, _) in PROGRAMS.items():
        try:
            importlib.import_module(module)
        except ImportError:
            print(f"{name}: left out, {module} is not installed")
        else:
            there.append(name)
    return there


# --- the reference -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Truth:
    """Answers to 60 digits, the range of the exponent unlimited for all practical purposes."""

    params: tuple[Decimal, ...]
    std_errors: tuple[Decimal, ...]


def exact(X: np.ndarray, y: np.ndarray, intercept: bool) -> Truth:
    found = least_squares(design(X, intercept), y)
    df = len(y) - len(found.params)
    inverse = [row[j] for j, row in enumerate(found.inverse)]
    with localcontext(prec=60):
        spread = tuple(_decimal(found.rss * g / df).sqrt() for g in inverse)
        return Truth(tuple(map(_decimal, found.params)), spread)


def _decimal(value: Fraction) -> Decimal:
    return Decimal(value.numerator) / Decimal(value.denominator)


def digits(values: Iterable[Any] | None, truth: Sequence[Decimal]) -> float:
    """Correct digits of the worst value; NaN for no values."""
    if values is None:
        return math.nan
    return min(_digits(float(v), t) for v, t in zip(values, truth, strict=True))


def _digits(value: float, truth: Decimal) -> float:
    if not math.isfinite(value):
        return NO_NUMBER
    with localcontext(prec=60):
        error = abs(Decimal(value) - truth)
        if truth:
            error /= abs(truth)
        return min(MOST, max(0.0, -float(error.log10()))) if error else MOST


# --- what a program made of a problem ----------------------------------------------------------


@dataclass(frozen=True)
class Outcome:
    """Correct digits (NaN where there is nothing to count), or an error, and whether it warned."""

    params: float
    std_errors: float
    warned: bool = False
    error: bool = False

    def cell(self, which: str, *, judged: bool) -> str:
        """What a table shows of ``which``; ``judged``: whether too few digits are called wrong."""
        if self.error:
            return "error"
        value = getattr(self, which)
        shown = "–" if math.isnan(value) else "NaN" if value < 0 else f"{value:.1f}"
        if judged and value < ENOUGH:
            return f"wrong, warned ({shown})" if self.warned else f"**SILENT** ({shown})"
        return shown + " w" * self.warned


@contextmanager
def quiet() -> Iterator[None]:
    """Keep LAPACK's own complaints, which go past Python, out of the tables."""
    sys.stdout.flush()
    kept = os.dup(1)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def solve(name: str, X: Any, y: Any, intercept: bool, truth: Truth | None) -> Outcome:
    """Run a program; without a truth, any answer counts as no right digit."""
    with warnings.catch_warnings(record=True) as caught, quiet():
        warnings.simplefilter("always")
        try:
            params, std_errors = PROGRAMS[name][1](X, y, intercept)
        except Exception:  # whatever it is, the caller hears of it
            return Outcome(math.nan, math.nan, error=True)
    old = (DeprecationWarning, PendingDeprecationWarning, FutureWarning)  # of the code, not the fit
    warned = any(not issubclass(w.category, old) for w in caught)
    if truth is None:
        return Outcome(0.0, 0.0, warned)
    right = digits(params, truth.params), digits(std_errors, truth.std_errors)
    return Outcome(*right, warned)


def table(corner: str, columns: Sequence[str], rows: Iterable[tuple[str, Sequence[str]]]) -> None:
    print(f"| {corner} | " + " | ".join(columns) + " |")
    print("|---" * (len(columns) + 1) + "|")
    for name, cells in rows:
        print(f"| {name} | " + " | ".join(cells) + " |")
    print()


def both(rows: dict[str, dict[str, Outcome]], *, corner: str, judged: bool) -> None:
    """A table of the coefficients and one of the standard errors."""
    names = list(next(iter(rows.values())))
    for which, some in views(names):
        cells = ([found[n].cell(which, judged=judged) for n in some] for found in rows.values())
        table(corner, some, zip(rows, cells, strict=True))


def views(names: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Coefficients of everyone, then the standard errors of those who report them."""
    print("Coefficients:\n")
    yield "params", list(names)
    print("Standard errors:\n")
    yield "std_errors", [n for n in names if n in WITH_ERRORS]


# --- the three parts ---------------------------------------------------------------------------


def nist(names: Sequence[str]) -> None:
    against_exact: dict[str, dict[str, Outcome]] = {}
    against_certified: dict[str, dict[str, Outcome]] = {}
    for set_ in ml.datasets.names():
        d = ml.datasets.load(set_)
        texts = d.certified_text
        certified = Truth(tuple(map(Decimal, texts["params"])), tuple(map(Decimal, texts["se"])))
        best = exact(d.X, d.y, d.intercept)
        ceiling = Outcome(
            digits(best.params, certified.params), digits(best.std_errors, certified.std_errors)
        )
        problem = (d.X, d.y, d.intercept)
        against_exact[set_] = {n: solve(n, *problem, best) for n in names}
        against_certified[set_] = {
            CEILING: ceiling,
            **{n: solve(n, *problem, certified) for n in names},
        }
    print("## NIST's linear sets, against the exact solution of the same float64 numbers\n")
    both(against_exact, corner="set", judged=False)
    print("## NIST's linear sets, against the certified values\n")
    print(
        "NIST prints 15 digits of the solution of its decimal data. Rounding those data to float64 "
        "moves the solution itself: a program that is given the float64 matrix has no right to "
        "more digits than its exact solution has, the ceiling, unless by luck.\n"
    )
    both(against_certified, corner="set", judged=False)


def matrix(condition: float, rng: np.random.Generator) -> np.ndarray:
    """30 x 5, singular values evenly spread on a log scale."""
    left = np.linalg.qr(rng.normal(size=(30, 5)))[0]
    right = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    return left * np.geomspace(1, 1 / condition, 5) @ right.T


def sweep(names: Sequence[str]) -> None:
    print("## Condition numbers: 30 rows, 5 columns, no intercept\n")
    print(
        f"The worst of {MATRICES} random matrices each. 'k errors' are not among the digits: "
        "that program refused k of them.\n"
    )
    tables: dict[str, dict[str, dict[str, str]]] = {"params": {}, "std_errors": {}}
    for power in range(2, 16):
        rng = np.random.default_rng(power)
        problems = []
        for _ in range(MATRICES):
            X = matrix(10.0**power, rng)
            y = X.sum(axis=1) + 0.01 * rng.normal(size=30)
            problems.append((X, y, exact(X, y, False)))
        for rows in tables.values():
            rows[f"1e{power}"] = {}
        for name in names:
            found = [solve(name, X, y, False, truth) for X, y, truth in problems]
            for which, rows in tables.items():
                rows[f"1e{power}"][name] = worst(found, which)
    for which, some in views(names):
        rows = tables[which]
        table("condition", some, ((r, [cells[n] for n in some]) for r, cells in rows.items()))


def worst(found: Sequence[Outcome], which: str) -> str:
    """One cell for several matrices: the worst silent answer, else the worst of all."""
    answers = [f for f in found if not f.error]
    if not answers:
        return "error"
    silent = [f for f in answers if getattr(f, which) < ENOUGH and not f.warned]
    low = min(silent or answers, key=lambda f: getattr(f, which))
    text = low.cell(which, judged=True)
    errors = len(found) - len(answers)
    return text + (f", {errors} error{'s' * (errors > 1)}" if errors else "")


def hostile(names: Sequence[str]) -> None:
    rng = np.random.default_rng(0)
    n = 30
    x, z, e = rng.normal(size=n), rng.normal(size=n), 0.1 * rng.normal(size=n)
    y, day = 1 + 2 * x - z + e, np.arange(n)
    two = np.column_stack([x, z])

    def columns(*c: np.ndarray) -> np.ndarray:
        return np.column_stack(c)

    def changed(a: np.ndarray, value: float) -> np.ndarray:
        copy = a.copy()
        copy[(3, *([0] * (a.ndim - 1)))] = value
        return copy

    unique = {
        "nothing special": (two, y),
        "X times 1e-300": (two * 1e-300, y),
        "X times 1e-200": (two * 1e-200, y),
        "X times 1e200": (two * 1e200, y),
        "X times 1e300": (two * 1e300, y),
        "one column times 1e-300, one times 1e300": (two * [1e-300, 1e300], y),
        "y times 1e-300": (two, y * 1e-300),
        "y times 1e300": (two, y * 1e300),
        "X and y times 1e200": (two * 1e200, y * 1e200),
        "X and y times 1e-200": (two * 1e-200, y * 1e-200),
        "units 1e7 apart": (two * [1e7, 1], y),
        "units 1e16 apart": (two * [1e8, 1e-8], y),
        "offset 1e9": (columns(1e9 + x, z), y),
        "Unix time in s, a row a day": (columns(1.7e9 + 86400.0 * day, z), y),
        "Unix time in ns, a row a day": (columns(1.7e18 + 86400e9 * day, z), y),
        "Unix time in ns, a row a second": (columns(1.7e18 + 1e9 * day, z), y),
        "Unix time in ns, a row a millisecond": (columns(1.7e18 + 1e6 * day, z), y),
        "columns 1e-9 apart": (columns(x, x + 1e-9 * z), y),
        "columns 1e-12 apart": (columns(x, x + 1e-12 * z), y),
        "columns 1e-14 apart": (columns(x, x + 1e-14 * z), y),
        "outlier 1e12 in y": (two, changed(y, 1e12)),
        "outlier 1e12 in X": (changed(two, 1e12), y),
        "X times 1e-310: coefficients beyond 1e308": (two * 1e-310, y),
    }
    none = {
        "a column twice": (columns(x, z, x), y),
        "a constant column beside the intercept": (columns(x, np.full(n, 5.0)), y),
        "x3 = x1 + 2 x2": (columns(x, z, x + 2 * z), y),
        "fewer rows than columns": (rng.normal(size=(3, 5)), y[:3]),
        "NaN in X": (changed(two, np.nan), y),
        "NaN in y": (two, changed(y, np.nan)),
        "infinity in y": (two, changed(y, np.inf)),
    }
    print("## Hostile inputs: 30 rows, an intercept\n")
    rows = {}
    for label, (X, response) in unique.items():
        truth = exact(X, response, True)
        rows[label] = {name: solve(name, X, response, True, truth) for name in names}
    both(rows, corner="input", judged=True)
    print(
        "Inputs without a unique finite answer. An error or a warning is right; 'SILENT' is an "
        "answer, such as the shortest of all solutions or NaN, without either:\n"
    )
    shown = []
    for label, (X, response) in none.items():
        found = [solve(name, X, response, True, None) for name in names]
        cells = ["error" if f.error else "warned" if f.warned else "**SILENT**" for f in found]
        shown.append((label, cells))
    table("input", names, shown)


def main() -> None:
    names = installed()
    versions = []
    for package in ("mlreg", "numpy", "scipy", "scikit-learn", "statsmodels"):
        try:
            versions.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    print(", ".join(versions) + "\n")
    print(
        "Correct digits of the worst coefficient, 16 at most. 'w': it warned. "
        "'error': it raised an exception. 'NaN': "
        "the answer is not finite. From the condition numbers on, fewer than "
        f"{ENOUGH:g} right digits are 'wrong, warned', or **SILENT** where nothing was said.\n"
    )
    nist(names)
    sweep(names)
    hostile(names)


if __name__ == "__main__":
    main()
