"""What is wrong with a fit, in words: each statement with its number, its test and a remedy."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

from mlreg.errors import DataNeeded, InvalidInput, MissingDependency
from mlreg.files import plain
from mlreg.inference.intervals import t_quantile
from mlreg.inference.specification import (
    NUMBERS,
    SpecificationKind,
    SpecificationTest,
    specification_test,
)

if TYPE_CHECKING:  # a fit comes after inference, not the other way round
    from mlreg.estimate import Fit

__all__ = ["Diagnosis", "Finding", "diagnose", "holm"]

F64 = NDArray[np.float64]

INFLATED = 10.0
"""Variance inflation above which columns are collinear: standard errors are three times larger."""

FEW_DF = 10
"""Residual degrees of freedom below which the scale of the noise is hardly known."""

ROWS_PER_COLUMN = 10
"""Rows that White's test has for each of its columns, at least, for χ² to be near."""

LOUD = 0.1
"""Rounding, in standard errors, that is worth a word."""

MOVED = 3.0
"""Standard errors, in normal samples, by which the median has moved where noise is lopsided."""

SHOWN = 5

OUTLIERS = "outliers"


@dataclass(frozen=True)
class Finding:
    """Something that is wrong.

    Attributes
    ----------
    about : str
        Such as "heteroscedasticity".
    statement : str
        What is the case, with its number.
    remedy : str
        What can be done.
    p_value : float
        Of the test that found it, adjusted for all tests (Holm); NaN where it is no test.
    """

    about: str
    statement: str
    remedy: str
    p_value: float = math.nan

    def __str__(self) -> str:
        p = "" if math.isnan(self.p_value) else f" (p value {self.p_value:.2g}, all tests counted)"
        return f"{self.about}: {self.statement}{p}\n    {self.remedy}"


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """What was looked at, and what was found.

    Attributes
    ----------
    findings : tuple of Finding
        What is wrong; empty where nothing was found.
    looked_at : tuple of str
        What was looked at.
    not_looked_at : tuple of (str, str)
        What was not, and why.
    tests : tuple of SpecificationTest
        The tests of the residuals.
    level : float
        Probability of a finding by any of the tests where the model is right, at most.
    """

    findings: tuple[Finding, ...]
    looked_at: tuple[str, ...]
    not_looked_at: tuple[tuple[str, str], ...]
    tests: tuple[SpecificationTest, ...]
    level: float

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    def __str__(self) -> str:
        lines = [f"{i + 1}. {finding}" for i, finding in enumerate(self.findings)]
        lines = lines or ["nothing wrong was found"]
        tests = f"; all tests together give a false alarm in {self.level:.2g} of cases at most"
        lines.append(f"looked at: {', '.join(self.looked_at)}{tests if self.tests else ''}")
        for why in dict.fromkeys(why for _, why in self.not_looked_at):
            whats = [what for what, reason in self.not_looked_at if reason == why]
            lines.append(f"not looked at: {', '.join(whats)}: {why}")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Everything, as plain numbers and strings."""
        return dict(
            plain(
                {
                    "findings": [vars(finding) for finding in self.findings],
                    "looked_at": self.looked_at,
                    "not_looked_at": dict(self.not_looked_at),
                    "tests": [vars(test) for test in self.tests],
                    "level": self.level,
                }
            )
        )


def holm(p_values: F64) -> F64:
    """Adjusted p values, shape (m,), of Holm: at most α of them is the chance of any false one.

    The smallest times m, the next times m − 1, and so on, none below the one before.
    """
    order, m = np.argsort(p_values), len(p_values)
    adjusted = np.empty(m)
    adjusted[order] = np.maximum.accumulate(p_values[order] * np.arange(m, 0, -1))
    return np.minimum(adjusted, 1.0)


def diagnose(fit: "Fit", *, time_ordered: bool = False, level: float = 0.05) -> Diagnosis:
    """See `Fit.diagnose`."""
    if isinstance(level, bool) or not (isinstance(level, float) and 0 < level < 1):
        raise InvalidInput(f"level must be a probability, such as 0.05; not {level!r}")
    findings = list(_of_the_estimate(fit))
    looked_at = ["convergence", "rounding", "residual degrees of freedom"]
    skipped: list[tuple[str, str]] = []
    try:
        findings += _of_the_columns(fit)
        looked_at.append("collinearity")
    except InvalidInput as error:
        skipped.append(("collinearity", str(error)))
    tests: list[SpecificationTest] = []
    kinds: list[SpecificationKind] = ["breusch-pagan", "white", "jarque-bera", "reset"]
    if time_ordered:
        kinds.append("durbin-watson")
    else:
        skipped.append(("autocorrelation", "say time_ordered=True if rows are in order of time"))
    for kind in kinds:
        try:
            tests.append(_test(fit, kind))
        except (InvalidInput, DataNeeded, MissingDependency) as error:
            skipped.append((kind, str(error)))
    worst: list[Row] = []
    try:
        worst, alone = _rows(fit)
        looked_at.append("leverage")
        findings += alone
    except (InvalidInput, DataNeeded) as error:
        skipped.append(("leverage and outliers", str(error)))
    if worst:
        looked_at.append(OUTLIERS)
    ps = [test.p_value for test in tests] + [row.p_value for row in worst[:1]]
    adjusted = holm(np.array(ps))
    if worst and adjusted[-1] <= level:  # first, for the tests below may have seen only these rows
        findings.append(_of_outliers(worst, float(adjusted[-1]), level / len(ps)))
    for test, p in zip(tests, adjusted, strict=False):
        if p <= level and not (test.name == "white" and _found(findings, UNEQUAL)):
            findings.append(_of_test(fit, test, float(p)))
    looked_at += [test.name for test in tests]
    return Diagnosis(tuple(findings), tuple(looked_at), tuple(skipped), tuple(tests), level)


UNEQUAL = "heteroscedasticity"


def _found(findings: list[Finding], about: str) -> bool:
    return any(finding.about == about for finding in findings)


def _test(fit: "Fit", kind: SpecificationKind) -> SpecificationTest:
    """A test, where there are rows enough for its distribution to be right."""
    width = fit.rank * (fit.rank + 1) // 2
    if kind == "white" and min(fit.n_rows, NUMBERS // width) < ROWS_PER_COLUMN * width:
        raise InvalidInput(f"it needs {ROWS_PER_COLUMN} rows for each of {width} columns")
    return specification_test(fit, kind)


def _of_the_estimate(fit: "Fit") -> Iterator[Finding]:
    """Whether this is the MLE, to how many digits, and by how many rows."""
    code, message = fit.status.code, fit.status.message
    if code == "perfect-fit":
        yield Finding(
            "perfect fit",
            "the residuals are rounding, so that there is no noise to estimate",
            "look for a column that is the response in other units; else there is nothing to infer",
        )
    elif not fit.certificate.converged:
        yield Finding(
            "not the MLE",
            f"{fit.certificate.distance:.3g} standard errors from it; {message}",
            "go on, or take the default optimizer",
        )
    rounding = float(np.max(fit.certificate.rounding, initial=0.0))
    if rounding > LOUD:
        yield Finding(
            "rounding",
            f"it may have moved a coefficient by {rounding:.2g} of its standard errors",
            "centre the columns, or subtract a common offset",
        )
    df = fit.df_resid
    if df < FEW_DF:
        t = t_quantile(0.95, df)
        known = f"95 % intervals are {t:.3g} standard errors wide to each side, not 1.96"
        yield Finding(
            "few rows",
            f"{df} residual degrees of freedom: "
            + (known if df > 0 else "nothing tells the noise"),
            "find more rows, or leave out columns",
        )


def _of_the_columns(fit: "Fit") -> Iterator[Finding]:
    """Collinearity."""
    found = fit.collinearity()
    root = found.gvif ** (1 / found.term_df)  # as large as the VIF of a single column would be
    high = [j for j in np.argsort(-np.nan_to_num(root)) if root[j] > INFLATED]
    if high:
        terms = list(dict.fromkeys(found.terms[j] for j in high))
        shown = ", ".join(f"{term} ({root[found.terms.index(term)]:.3g})" for term in terms[:SHOWN])
        yield Finding(
            "collinearity",
            f"variance inflation above {INFLATED:g}: {shown}{' ...' if len(terms) > SHOWN else ''}",
            "their coefficients are hard to tell apart, their sum is not: see fit.collinearity(); "
            "leave out a column, or take a prior",
        )


def _of_test(fit: "Fit", test: SpecificationTest, p: float) -> Finding:
    """What a test that rejects means."""
    names = [n for j, n in enumerate(fit.names) if j in fit.rank_report.kept]
    if fit.constant is not None:
        del names[fit.constant]
    shown = f"{test.name} {test.statistic:.4g}"
    if test.name in ("breusch-pagan", "white"):
        columns = " + ".join(names[:SHOWN]) + (" + ..." if len(names) > SHOWN else "")
        return Finding(
            UNEQUAL,
            f"the variance of the noise changes with the columns, {shown}",
            _allowed(fit, "HC3") + f'; scale="~ {columns}" models it',
            p,
        )
    if test.name == "reset":
        return Finding(
            "nonlinearity",
            f"powers of the fitted values explain more than the columns do, F {test.statistic:.4g}",
            "add squares, products or a spline of the columns, or transform the response",
            p,
        )
    if test.name == "durbin-watson":
        sign = "positively" if test.statistic < 2 else "negatively"
        return Finding(
            "autocorrelation",
            f"noise correlates {sign} with that of the row before, d = {test.statistic:.4g}, not 2",
            _allowed(fit, "HAC") + "; a lagged column or a trend may explain it",
            p,
        )
    return _of_shape(test, p)


def _allowed(fit: "Fit", kind: str) -> str:
    """Which standard errors allow for what was found."""
    enough = {"HAC"} if kind == "HAC" else {"HC0", "HC1", "HC2", "HC3", "cluster", "HAC"}
    if fit.robust is not None and fit.robust.kind in enough:
        return f"the standard errors of this fit, {fit.robust.label}, allow for it"
    return f'fit.with_covariance("{kind}") has standard errors that allow for it'


def _of_shape(test: SpecificationTest, p: float) -> Finding:
    """What is not normal about the residuals."""
    skewness, kurtosis, n = test.details["skewness"], test.details["kurtosis"], test.n_used
    numbers = f"skewness {skewness:.3g}, not 0, and kurtosis {kurtosis:.3g}, not 3"
    clear = abs(skewness) / math.sqrt(6 / n) > abs(kurtosis - 3) / math.sqrt(24 / n)
    # a few rows far out make both large; only where noise is lopsided does the median move, too
    moved = abs(test.details["median"]) * math.sqrt(n / (math.pi / 2 - 1))
    if clear or moved > MOVED:
        remedy = 'a transform of the response, such as transform="log", may straighten it'
        return Finding("skewed noise", numbers, remedy + "; compare by ml.compare", p)
    if kurtosis > 3:
        remedy = "noise=ml.StudentT() takes such rows for what they are; compare by ml.compare"
        return Finding("heavy tails", numbers, remedy, p)
    remedy = "rows may be of several kinds that no column tells apart; predictions are too wide"
    return Finding("light tails", numbers, remedy, p)


# Rows


@dataclass(frozen=True)
class Row:
    """A row that the others do not foretell; its p value counts how many rows there are."""

    number: int
    t: float
    cooks_distance: float
    p_value: float


def _rows(fit: "Fit") -> tuple[list[Row], list[Finding]]:
    """The rows of largest externally studentised residual, and what rows of leverage 1 mean."""
    if fit.least_squares is None:
        raise InvalidInput(f"they are judged in least squares, and this fit has {fit._kind}")
    worst: list[Row] = []
    alone: list[int] = []
    n, df = fit.n_rows, fit.df_resid - 1
    for part in fit.influence_blocks():
        ones = part.leverage == 1
        alone += part.rows[ones].tolist()
        top = part.largest(SHOWN, by="externally_studentised")
        numbers = zip(top.rows, top.externally_studentised, top.cooks_distance, strict=True)
        for row, t, distance in numbers:
            if not math.isnan(t):
                p = min(1.0, 2 * n * float(stdtr(df, -abs(t))))
                worst.append(Row(int(row), float(t), float(distance), p))
        worst = sorted(worst, key=lambda row: -abs(row.t))[:SHOWN]
    if not alone or fit.df_resid <= 0:
        return worst, []
    finding = Finding(
        "leverage 1",
        f"{len(alone)} rows, such as {', '.join(map(str, alone[:SHOWN]))}, are fitted exactly, "
        "whatever their response",
        "a column or level has no other row: what it says rests on that row, which nothing checks",
    )
    return worst, [finding]


def _of_outliers(worst: list[Row], p: float, limit: float) -> Finding:
    """The rows that are too far from what the others say."""
    limit = max(limit, worst[0].p_value)
    far = [row for row in worst if row.p_value <= limit]
    shown = ", ".join(
        f"{row.number} (t = {row.t:.3g}, Cook's distance {row.cooks_distance:.2g})" for row in far
    )
    return Finding(
        OUTLIERS,
        f"far from what the other rows say: row{'s' * (len(far) > 1)} {shown}",
        "look at them: fit.influence().largest(); noise=ml.StudentT() gives them less weight; what "
        "the tests below find may be their doing",
        p,
    )
