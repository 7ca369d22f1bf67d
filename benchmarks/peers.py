"""Which laws of `mlreg.verify` other programs keep, and the smallest problems that break them.

    python benchmarks/peers.py            a few minutes; writes docs/peers.md
    python benchmarks/peers.py --quick    few problems, and prints only

Each program is held to what it claims: the accuracy of its method (`solver=`), whether it is least
squares at all, what its weights mean. What is not installed is left out, and named. Laws about
chance are left out too: whoever has the exact coefficients keeps them.
"""

import argparse
import datetime
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import scipy.linalg
from scipy import optimize

import mlreg as ml
from mlreg import verify
from mlreg.verify.recognise import CHECKS

PAGE = Path(__file__).resolve().parents[1] / "docs/peers.md"
STABLE, NORMAL, ITERATIVE = "backward stable", "normal equations", "iterative"


@dataclass(frozen=True)
class Peer:
    """A program's object, and what it claims.

    Attributes
    ----------
    package, name : str
        What it is called.
    claim : str
        What it is held to, in words.
    subject : callable or object
        What `mlreg.verify.check` takes.
    kind : str
        "regressor" or "optimizer".
    options : dict
        Of the check.
    """

    package: str
    name: str
    claim: str
    subject: Any
    kind: str = "regressor"
    options: dict[str, Any] = field(default_factory=dict)


def regressor(
    package: str, name: str, subject: Any, solver: str = STABLE, *,
    least_squares: bool = True, weights: str | None = None, tolerance: float = 0.1,
    without: tuple[str, ...] = (),
) -> Peer:  # fmt: skip
    """A regressor, and the claim in words."""
    words = {STABLE: "least squares, to rounding", NORMAL: "least squares, by normal equations",
             ITERATIVE: f"least squares, to {tolerance:g} standard errors"}[solver]  # fmt: skip
    claim = words if least_squares else "no least squares: only what all regression keeps"
    chance = {p.law.name for p in CHECKS["regressor"][1] if p.law.kind == "stochastic"}
    laws = [p.law.name for p in CHECKS["regressor"][1] if p.law.name not in {*chance, *without}]
    options = {"solver": solver, "is_least_squares": least_squares, "weights": weights}
    options |= {"tolerance": tolerance, "laws": laws}
    return Peer(package, name, claim, subject, "regressor", options)


def optimizer(package: str, name: str, subject: Any) -> Peer:
    """An optimizer, of a Gaussian likelihood."""
    return Peer(package, name, "the MLE, to 0.1 standard errors where it says converged", subject,
                "optimizer", {"tolerance": 0.1})  # fmt: skip


# What is tried


def of_mlreg() -> Iterator[Peer]:
    from mlreg.sklearn import MaximumLikelihoodRegressor

    def fit(X: Any, y: Any, k: Any = None) -> Any:
        return ml.fit(X, y, intercept=False, frequency_weights=k)

    yield regressor("mlreg", "fit", fit, weights="frequency")
    estimator = MaximumLikelihoodRegressor()
    yield regressor("mlreg", "sklearn.MaximumLikelihoodRegressor", estimator, weights="precision")
    for one in (ml.Exact(), ml.Newton(), ml.Scipy(), ml.AutoSGD(seed=1)):
        yield optimizer("mlreg", type(one).__name__, one)


def of_numpy() -> Iterator[Peer]:
    def lstsq(X: Any, y: Any) -> Any:
        return np.linalg.lstsq(X, y)[0]

    def lstsq_0(X: Any, y: Any) -> Any:
        return np.linalg.lstsq(X, y, rcond=0)[0]

    def solve(X: Any, y: Any) -> Any:
        return np.linalg.solve(X.T @ X, X.T @ y)

    yield regressor("numpy", "linalg.lstsq", lstsq)
    yield regressor("numpy", "linalg.lstsq(rcond=0)", lstsq_0)
    yield regressor("numpy", "linalg.solve(X.T @ X, X.T @ y)", solve, NORMAL)


def of_scipy() -> Iterator[Peer]:
    def driver(name: str) -> Callable[[Any, Any], Any]:
        def lstsq(X: Any, y: Any) -> Any:
            return scipy.linalg.lstsq(X, y, lapack_driver=name)[0]

        return lstsq

    def least_squares(X: Any, y: Any) -> Any:
        start = np.zeros(X.shape[1])
        return optimize.least_squares(lambda b: X @ b - y, start, jac=lambda b: X).x

    def scaled(X: Any, y: Any) -> Any:
        start = np.zeros(X.shape[1])
        found = optimize.least_squares(lambda b: X @ b - y, start, lambda b: X, x_scale="jac")
        return found.x

    for name in ("gelsd", "gelsy", "gelss"):
        yield regressor("scipy", f"linalg.lstsq({name})", driver(name))
    yield regressor("scipy", "optimize.least_squares", least_squares, ITERATIVE)
    yield regressor("scipy", 'optimize.least_squares(x_scale="jac")', scaled, ITERATIVE)

    def method(name: str) -> Callable[[Any, Any, Any], Any]:
        def minimize(nll: Any, gradient: Any, start: Any) -> Any:
            jac = None if name == "Nelder-Mead" else gradient
            return optimize.minimize(nll, start, jac=jac, method=name)

        return minimize

    for name in ("BFGS", "L-BFGS-B", "CG", "TNC", "SLSQP", "Newton-CG", "Nelder-Mead"):
        yield optimizer("scipy", f"optimize.minimize({name})", method(name))


def of_sklearn() -> Iterator[Peer]:
    linear = import_module("sklearn.linear_model")
    orders = ("order_of_rows_does_not_matter", "order_of_columns_does_not_matter")
    forgets = ("parts_are_the_whole",)  # of stochastic descent nobody says that it is so
    for text, solver, least, more in (
        ("LinearRegression()", STABLE, True, {"weights": "precision"}),
        ("LinearRegression(tol=0)", STABLE, True, {"weights": "precision"}),
        ('Ridge(alpha=0, solver="svd")', STABLE, True, {"weights": "precision"}),
        ('Ridge(alpha=0, solver="cholesky")', NORMAL, True, {"weights": "precision"}),
        ("Ridge()", NORMAL, False, {}),
        ("SGDRegressor(penalty=None, random_state=0)", ITERATIVE, True,
         {"tolerance": 1.0, "without": forgets}),
        ("HuberRegressor(alpha=0)", ITERATIVE, False, {}),
        # medians may be many: which is found is no promise
        ("QuantileRegressor(alpha=0)", ITERATIVE, False, {"without": orders}),
        ("BayesianRidge()", ITERATIVE, False, {}),
        ("TweedieRegressor(power=0, alpha=0)", ITERATIVE, True, {}),
    ):  # fmt: skip
        subject = eval(text, vars(linear))
        yield regressor("scikit-learn", text, subject, solver, least_squares=least, **more)  # type: ignore[arg-type]


def of_statsmodels() -> Iterator[Peer]:
    sm = import_module("statsmodels.api")

    def OLS(X: Any, y: Any) -> Any:
        return sm.OLS(y, X).fit()

    def OLS_qr(X: Any, y: Any) -> Any:
        return sm.OLS(y, X).fit(method="qr")

    def WLS_qr(X: Any, y: Any, w: Any = None) -> Any:
        return sm.WLS(y, X, 1.0 if w is None else w).fit(method="qr")

    def GLM(X: Any, y: Any, k: Any = None) -> Any:
        return sm.GLM(y, X, freq_weights=k).fit()

    def RLM(X: Any, y: Any) -> Any:
        return sm.RLM(y, X).fit().params

    yield regressor("statsmodels", "OLS", OLS)
    yield regressor("statsmodels", 'OLS, fit(method="qr")', OLS_qr)
    yield regressor("statsmodels", 'WLS, fit(method="qr")', WLS_qr, weights="precision")
    yield regressor("statsmodels", "GLM", GLM, weights="frequency")
    yield regressor("statsmodels", "RLM", RLM, ITERATIVE, least_squares=False)


def of_glum() -> Iterator[Peer]:
    glum = import_module("glum")
    subject = glum.GeneralizedLinearRegressor(family="normal", alpha=0)
    yield regressor("glum", 'GeneralizedLinearRegressor(family="normal", alpha=0)', subject, NORMAL)


def of_linearmodels() -> Iterator[Peer]:
    iv = import_module("linearmodels.iv")

    def IV2SLS(X: Any, y: Any) -> Any:
        found = iv.IV2SLS(y, X, None, None).fit(cov_type="unadjusted", debiased=True)
        return SimpleNamespace(
            params=found.params, std_errors=found.std_errors, r_squared=found.rsquared
        )

    yield regressor("linearmodels", "IV2SLS without instruments", IV2SLS, NORMAL)


def of_pyfixest() -> Iterator[Peer]:
    pf, pd = import_module("pyfixest"), import_module("pandas")

    def feols(X: Any, y: Any) -> Any:
        names = [f"x{j}" for j in range(X.shape[1])]
        data = pd.DataFrame(X, columns=names).assign(y=y)
        found = pf.feols(f"y ~ {' + '.join(names)} - 1", data).coef()
        return found.reindex(names).to_numpy()  # what it leaves out is NaN

    yield regressor("pyfixest", "feols", feols, NORMAL)


PACKAGES: dict[str, Callable[[], Iterator[Peer]]] = {
    "mlreg": of_mlreg,
    "numpy": of_numpy,
    "scipy": of_scipy,
    "scikit-learn": of_sklearn,
    "statsmodels": of_statsmodels,
    "glum": of_glum,
    "linearmodels": of_linearmodels,
    "pyfixest": of_pyfixest,
}


# How it is shown

COLUMNS = ("program", "held to", "laws kept", "worst ratio", "breaks")


INTRODUCTION = """\
# What other programs keep

The laws of [`mlreg.verify`](verify.md), held against programs that many use. Each is held to what
it claims: an accuracy, and least squares or not. Most of them do what they promise on the data that
they are meant for. What is tried here is harder than usual: columns a thousand standard deviations
from zero and more, units from 10⁻⁹ to 10⁹, dependent columns. Allowed is what rounding of the data
alone would change, Eq. (5.7), times what the claim allows.

A ratio above 1 is a deviation above the allowed one. It need not be large: who has a ratio of 3 has
lost half a digit. A law may also be broken by design: a cutoff of singular values protects against
columns that are nearly dependent, and takes columns in small units for such; and LAPACK promises
errors that are small beside the whole matrix, not beside each column, which is what is asked here.
Where a setting mends most of it, that is in the table too: `tol=0` of `LinearRegression`,
`fit(method="qr")` of statsmodels. A refusal with a message counts as broken here, and is a better
answer than a wrong number.
"""


def cells(peer: Peer, report: verify.Report) -> tuple[str, ...]:
    """A row of the table."""
    tried = [o for o in report if o.verdict != "not applicable"]
    worst = max(o.ratio for o in tried)
    ratio = "refused, or no number" if worst == np.inf else f"{worst:.2g}"
    broken = ", ".join(f"`{name}`" for name in report.broken)
    name = f"{peer.package} `{peer.name}`"
    return name, peer.claim, f"{len(tried) - len(report.broken)} of {len(tried)}", ratio, broken


def row(entries: tuple[str, ...]) -> str:
    """A line of a Markdown table."""
    return "| " + " | ".join(entry or "–" for entry in entries) + " |"


def smallest(peer: Peer, report: verify.Report) -> list[str]:
    """The counterexample with the fewest numbers, folded."""
    shown = [o for o in report if o.verdict == "broken" and o.counterexample]
    if not shown:
        return []
    least = min(shown, key=lambda o: len(o.counterexample))
    said = [least.reason, ""] if least.reason else []
    return [
        f"<details><summary>{peer.package} <code>{peer.name}</code>: <code>{least.law}</code>"
        "</summary>",
        "",
        f"{least.statement} Observed over allowed: {least.ratio:.2g}.",
        "",
        *said,
        "```text",
        least.counterexample,
        "```",
        "",
        "</details>",
        "",
    ]


def page(found: list[tuple[Peer, verify.Report]], versions: str, absent: list[str]) -> str:
    """docs/peers.md."""
    day = datetime.datetime.now(datetime.UTC).date().isoformat()
    lines = [
        INTRODUCTION,
        f"Run on {day} with {versions}.",
        *([f"Not installed, so not tried: {', '.join(absent)}."] if absent else []),
        "Written by `python benchmarks/peers.py`; the problems are the same each time.",
        "",
        row(COLUMNS),
        "|" + "---|" * len(COLUMNS),
        *(row(cells(peer, report)) for peer, report in found),
        "",
        "## The smallest counterexamples",
        "",
        "Of each, the shortest of those that Hypothesis found.",
        "",
    ]
    for peer, report in found:
        lines += smallest(peer, report)
    return "\n".join(lines).rstrip() + "\n"


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few problems, and write nothing")
    quick = parser.parse_args(argv).quick
    found, absent = [], []
    print(row((*COLUMNS, "seconds")), "|" + "---|" * (len(COLUMNS) + 1), sep="\n")
    for package, peers in PACKAGES.items():
        try:
            tried = list(peers())
        except ImportError:
            absent.append(package)
            continue
        for peer in tried:
            start = time.perf_counter()
            effort = {"examples": 8, "shrink": False} if quick else {"examples": 20}
            report = verify.check(peer.subject, peer.kind, **peer.options, **effort)  # type: ignore[arg-type]
            found.append((peer, report))
            print(row((*cells(peer, report), f"{time.perf_counter() - start:.1f}")), flush=True)
    versions = ", ".join(f"{name} {_version(name)}" for name in PACKAGES if name not in absent)
    print(f"\n{versions}", *([f"absent: {', '.join(absent)}"] if absent else []), sep="\n")
    if not quick:
        PAGE.write_text(page(found, versions, absent), encoding="utf-8")
    return 0


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return str(ml.__version__)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
