"""The table of docs/coming-from.md: its rows, what they are evaluated on, and its differences.

The page is the table: its cells hold the expressions, and this reads them, evaluates both sides and
writes the differences, where they are within their bound. Run it to rewrite the page::

    python tests/inference/coming_from.py
"""

import importlib.util
import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import statsmodels.api as sm

import mlreg as ml

PAGE = Path(__file__).parents[2] / "docs" / "coming-from.md"
RESULTS, INFLUENCE, PREDICTIONS = (
    f"statsmodels: {k}" for k in ("results", "influence", "predictions")
)
R, SKLEARN = "R: lm and its extractors", "scikit-learn"
CASES = ("Longley", "weights", "categories")
NONE, EQUAL = "—", "="
U = 2.0**-53


@dataclass(frozen=True)
class Row:
    """A row of a table: code of theirs and of ours, and the cells of the differences by name."""

    line: int
    section: str
    theirs: list[str]
    ours: str
    unit: str
    cells: dict[str, str]


def read(text):
    """The rows of the tables, and the code under each heading."""
    rows, code, section, header, fence = [], {}, "", [], None
    for number, line in enumerate(text.split("\n")):
        if line.startswith("```"):
            if fence is not None:
                code.setdefault(section, []).append("\n".join(fence))
            fence = [] if fence is None else None
        elif fence is not None:
            fence.append(line)
        elif line.startswith("## "):
            section, header = line[3:], []
        elif line.startswith("| ") and section:
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            if not header:
                header = cells
                continue
            named = dict(zip(header, cells, strict=True))
            theirs, ours = (re.findall(r"`(.+?)`", cells[k]) for k in (0, 1))
            compared = {k: v for k, v in named.items() if k in (*CASES, "difference")}
            rows.append(Row(number, section, theirs, "".join(ours), named["unit"], compared))
    return rows, code


# What the expressions are evaluated on


def sixty_rows(rng):
    """Two columns, categories, weights and a response."""
    x1, x2 = rng.standard_normal((2, 60))
    g, w = np.array(["a", "b", "c"])[np.arange(60) % 3], rng.uniform(0.2, 5, 60)
    y = 3 + x1 - 0.5 * x2 + (g == "b") + rng.standard_normal(60) / np.sqrt(w)
    return pd.DataFrame({"y": y, "x1": x1, "x2": x2, "g": g, "w": w})


def beside_statsmodels(case, code):
    """Names of the three sections about statsmodels: the page's own code, on one of the cases."""
    names = {}
    setting, fits = code[""]
    exec(setting, names)
    names["w"] = np.ones(16)
    if case != "Longley":
        data = sixty_rows(np.random.default_rng(7))
        names |= {"data": data, "new": data[:5], "w": data["w"].to_numpy()}
        names |= {"formula": "y ~ x1 + x2", "smaller": "y ~ x1"}
    if case == "weights":
        fits = re.sub(r"smf\.ols\((\w+), data\)", r"smf.wls(\1, data, weights=w)", fits)
        fits = re.sub(r"ml\.fit\((\w+), data\)", r"ml.fit(\1, data, precision_weights=w)", fits)
    if case == "categories":
        b, c = "C(g)[T.b]", "C(g)[T.c]"
        names |= {"formula": "y ~ C(g) + x1", "smaller": "y ~ C(g)", "w": np.ones(60)}
        names |= {"tested": f"{b} = {c}", "pairs": [b, c, f"{c} - {b}"]}
    exec(fits, names)
    for section in (INFLUENCE, PREDICTIONS):
        if (case, section) != ("weights", INFLUENCE):  # statsmodels has it for OLS only
            exec(code[section][0], names)
    return names


def beside_r():
    """Names for the rows of R, by the name of the data."""
    d = sm.datasets.macrodata.load_pandas().data
    ginv, ggdp = (400 * np.diff(np.log(d[k])) for k in ("realinv", "realgdp"))
    macro = {"ginv": ginv, "ggdp": ggdp, "lint": d["realint"].to_numpy()[:-1]}
    longley = ml.datasets.longley()
    w = np.arange(1, 8)
    grunfeld = sm.datasets.grunfeld.load_pandas().data[:200]
    single = {k: np.float64(np.float32(grunfeld[k])) for k in ("invest", "value", "capital")}
    days = [0, 2, 1, 3, 0, 2, 0, 5, 6, 8, 2, 4, 7, 12, 15, 4, 3, 1, 5, 20, 15, 10, 8, 5, 25, 16, 7]
    days += [30, 3, 27, 0, 1, 1, 0, 4, 2, 7, 4, 0, 3, 5, 3, 2, 0, 1, 1, 3, 6, 7, 9, 10, 8, 12, 3]
    kidney = {"y": np.log1p([*days, 7, 15, 4, 9, 6, 1])}
    kidney |= {"a": np.repeat(["1", "2"], 30), "b": np.tile(np.repeat(["1", "2", "3"], 10), 2)}
    nested = [ml.fit(f"y ~ {x}", kidney) for x in ("1", "C(a)", "C(a) + C(b)", "C(a) * C(b)")]
    fits = {
        "macro": ml.fit("ginv ~ ggdp + lint", macro),
        "longley": ml.fit(longley.X, longley.y),
        "seven": ml.fit(w[:, None], [1, 3, 4, 5, 2, 3, 4], precision_weights=w),
        "grunfeld": ml.fit("invest ~ value + capital", single),
        "kidney": nested[-1],
    }
    fit0 = ml.fit("ginv ~ ggdp", macro)
    out = {}
    for name, fit in fits.items():
        influence = fit.influence()
        out[name] = {
            "ml": ml, "np": np, "fit": fit, "fit0": fit0, "influence": influence, "data": macro,
            "n": fit.n_rows, "p": fit.rank, "s": fit.residual_std_error, "nested": nested,
            "r": influence.internally_studentised, "t": influence.externally_studentised,
            "h": influence.leverage, "groups": grunfeld["firm"].to_numpy(),
            "new": {k: v[:5] for k, v in macro.items()}, "X_new": np.eye(fit.rank),
        }  # fmt: skip
    return out


def beside_sklearn(code):
    """Names for the rows of scikit-learn, by the page's own code; None without it."""
    if importlib.util.find_spec("sklearn") is None:
        return None
    data = sixty_rows(np.random.default_rng(7))
    names = {"ml": ml, "np": np, "data": data}
    exec(code[SKLEARN][0], names)
    return names


# What R says, with the digits that it gave: the data, the file of statsmodels' tests that keeps the
# numbers, and the numbers; of values by row those of rows 1, 2 and 202.

ROWS = [0, 1, 201]
DIAGNOSTIC = "stats/tests/test_diagnostic.py"  # TestDiagnosticG
LSDIAG = "stats/tests/results/influence_lsdiag_R.json"
MEASURES = "stats/tests/results/influence_measures_R.csv"
LONGLEY = "regression/tests/results/results_regression.py"
REGRESSION = "regression/tests/test_regression.py"
SAID = {
    "coef(m)": ("macro", DIAGNOSTIC, "-9.48167277465485 4.3742216647032 -0.613996969478989"),
    "sigma(m)": ("macro", LSDIAG, "10.7037959322668"),
    "summary(m)$coefficients[, 2]": (
        "macro", LSDIAG, "1.06849580666268 0.214694110888404 0.284668053608957"
    ),
    "vcov(m)": (
        "macro", LSDIAG,
        "1.14168328885573 -0.139929170659961 -0.103126372374865 -0.139929170659961 "
        "0.0460935612501624 -0.00228616599155909 -0.103126372374865 -0.00228616599155909 "
        "0.0810359007455123",
    ),
    "summary(m)$cov.unscaled": (
        "macro", LSDIAG,
        "0.00996483249651867 -0.00122132885767367 -0.000900106918197171 -0.00122132885767367 "
        "0.000402313515060946 -1.9954098818383e-05 -0.000900106918197171 -1.9954098818383e-05 "
        "0.000707297010489554",
    ),
    "hatvalues(m)": (
        "macro", LSDIAG, "0.0256401118204194 0.0102912791219414 0.0195808581702544"
    ),
    "rstandard(m)": (
        "macro", LSDIAG, "-0.196316563909338 -1.58040782007861 0.339220971502577"
    ),
    "rstudent(m)": (
        "macro", LSDIAG, "-0.195841650155928 -1.58641911384379 0.338465456283954"
    ),
    "cooks.distance(m)": (
        "macro", LSDIAG, "0.000338059505147097 0.00865723178904938 0.000766062268694792"
    ),
    "dffits(m)": (
        "macro", LSDIAG, "-0.0317691297817947 -0.161770345833471 0.047832636682972"
    ),
    "dfbetas(m)": (
        "macro", MEASURES,
        "0.00441265074628045 -0.0276220080672388 0.00820003383763133 -0.157853502778310 "
        "0.113535527733652 0.0220165237589744 0.0324754262532597 -0.000909627767790876 "
        "-0.0412732756994127",
    ),
    "covratio(m)": ("macro", MEASURES, "1.04133845994251 0.987643068137894 1.03370893954323"),
    "residuals(m)": (
        "longley",
        LONGLEY,
        "267.34003 -94.01394 46.28717 -410.11462 309.71459 -249.31122 -164.04896 -13.18036 "
        "14.30477 455.39409 -17.26893 -39.05504 -155.54997 -85.67131 341.93151 -206.75783",
    ),
    "summary(m)$coefficients[, 4]": (
        "longley",
        LONGLEY,
        "0.0035604 0.86314083 0.31268106 0.00253509 0.00094437 0.8262118 0.0030368",
    ),
    "sandwich::vcovHC(m)": (
        "longley",
        LONGLEY,
        "1799477 91.11939 0.05562 0.82213 0.29879 0.32491 922.80784",
    ),
    "logLik(m)": ("macro", DIAGNOSTIC, "-763.9752181602237"),
    "anova(m0, m)$F[2]": ("macro", DIAGNOSTIC, "4.65216373312492"),
    "anova(m0, m)$Pr[2]": ("macro", DIAGNOSTIC, "0.03221346195239025"),
    "lmtest::lrtest(m0, m)": ("macro", DIAGNOSTIC, "4.66794408358942"),
    "lmtest::bptest(m)": ("macro", DIAGNOSTIC, "0.709924388395087"),
    "sandwich::NeweyWest(m, lag = 4, prewhite = FALSE)": (
        "macro", DIAGNOSTIC,
        "1.385551290884014 -0.3133096102522685 -0.0597207976835705 -0.3133096102522685 "
        "0.1081011690351306 0.000389440793564336 -0.0597207976835705 0.000389440793564339 "
        "0.0862118527405036",
    ),
    "anova(m)$F": ("kidney", "stats/tests/test_anova.py", "4.358293 15.80674 0.5920404"),
    'car::linearHypothesis(m, c("x2 = x3", "x5 = x6"))': (
        "longley", REGRESSION, "9.7404618732968196"
    ),
    'car::linearHypothesis(m, "x5 = x6")': ("longley", REGRESSION, "-4.0167754636397284"),
    "summary(m)$fstatistic[1]": ("seven", REGRESSION, "0.127337843215"),
    "lm(weights = w)": ("seven", REGRESSION, "2.44608530786"),
    "sandwich::vcovCL(m, cluster = g)": (
        "grunfeld", "regression/tests/results/results_grunfeld_ols_robust_cluster.py",
        "20.425202580078 .01589433647768 .08496711097464",
    ),
}  # fmt: skip


# How far two answers may be apart


def scale(unit, fit, ours):
    """What a difference is divided by, to broadcast against our value."""
    if unit == "se":
        se = fit.std_errors
        if ours.shape == (fit.rank, fit.rank):
            return np.outer(se, se)
        return se[:, None] if ours.shape == (fit.rank, 2) else se
    size = np.abs(ours)
    return {"s": fit.residual_std_error, "1": 1.0, "rel": np.max(size), "each": size}[unit]


def bound(fit):
    """What rounding may do to statsmodels' numbers, or to R's, in the units of the table.

    A solver that is stable by columns has the solution of columns that are off by c·u of their
    lengths, c = (n + p)p: then every contrast is off by c·u·κ·‖y‖/s standard errors at most, with
    κ of columns at unit length. QR is one; the pseudo-inverse is asked to be as good. All else may
    be off by 10·n/(1 − h)² times as much: log-likelihoods, F and the logarithms of p values change
    by up to n times the change of s, studentised residuals by 1/(1 − h) times that of leverages h.
    """
    X = np.concatenate([np.asarray(block.X) for block in fit.source.blocks()])
    (n, p), influence = X.shape, fit.influence()
    root = np.ones(n) if influence.root_precision is None else influence.root_precision
    X = root[:, None] * X
    response = np.linalg.norm(root * (fit.fitted_values() + fit.residuals()))
    condition = np.linalg.cond(X / np.linalg.norm(X, axis=0))
    off = (n + p) * p * U * condition * response / fit.residual_std_error
    return float(10 * n / (1 - influence.leverage.max()) ** 2 * off)


def power_of_ten(found):
    """What the page says: rounded up, and 1e-15 or more."""
    return 10.0 ** max(math.ceil(math.log10(max(found, U))), -15)


def differences(row, names):
    """Largest difference of a row in its unit, and what rounding may explain of it."""
    if row.section == R:
        words = SAID[row.theirs[0]][2].split()
        theirs = [np.array(words, float)]
        printed = np.array([0.5 * 10.0 ** last_digit(word) for word in words])
    else:
        theirs = [np.asarray(eval(code, names), float) for code in row.theirs]
        printed = np.zeros(theirs[0].size)
    ours = np.asarray(eval(row.ours, names), float)
    if row.section == R and ours.ndim and len(ours) == 202:
        ours = ours[ROWS]
    apart = np.abs([each.reshape(ours.shape) - ours for each in theirs])
    if row.unit == EQUAL:
        return float(np.max(apart)), 0.0
    divisor = scale(row.unit, names["fit"], ours)
    may = bound(names["fit"]) + np.max(printed.reshape(ours.shape) / divisor)
    return float(np.max(apart / divisor)), float(may)


def last_digit(word):
    """Power of ten of the last digit of a decimal number."""
    mantissa, _, exponent = word.partition("e")
    return int(exponent or 0) - len(mantissa.partition(".")[2])


def namespaces():
    """What each column of each table is evaluated on; None: it cannot be, here."""
    _, code = read(PAGE.read_text("utf-8"))
    out = {(SKLEARN, "difference"): beside_sklearn(code)}
    for case in CASES:
        names = beside_statsmodels(case, code)
        out |= {(section, case): names for section in (RESULTS, INFLUENCE, PREDICTIONS)}
    return out | {(R, data): names for data, names in beside_r().items()}


def compared(rows):
    """Every cell that holds a difference: row, column, what was found, and what it may be."""
    spaces = namespaces()
    for row in rows:
        for column, cell in row.cells.items():
            if row.unit in ("", NONE) or cell == NONE:
                continue
            names = spaces[row.section, SAID[row.theirs[0]][0] if row.section == R else column]
            if names is not None:
                yield row, column, *differences(row, names)


def rewrite(text):
    """The page with its differences as they are found; an error where one is no rounding."""
    rows, _ = read(text)
    lines = text.split("\n")
    for row, column, found, may in compared(rows):
        if not found <= may:
            raise AssertionError(f"{row.theirs[0]}, {column}: {found:.2g} apart, {may:.2g} allowed")
        row.cells[column] = EQUAL if row.unit == EQUAL else f"{power_of_ten(found):.0e}"
        cells = lines[row.line].strip("|").split("|")
        first = 3  # after theirs, ours and the unit
        cells[first : first + len(row.cells)] = [f" {cell} " for cell in row.cells.values()]
        lines[row.line] = "|" + "|".join(cells) + "|"
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.write_text(rewrite(PAGE.read_text("utf-8")), "utf-8")
