"""Time of fits with other noise, in fits with Gaussian noise and beside other programs.

    python benchmarks/noise.py             # twelve minutes at most: others take their time
    python benchmarks/noise.py --quick     # smaller sizes, some minutes

Needs the package alone; statsmodels and scikit-learn are used where they are installed. Prints
Markdown.

Float64 in memory, two threads for everyone. Ours is `ml.fit(X, y, noise=...)` and its standard
errors, against `ml.fit(X, y)` and its standard errors in the same minute: ten times that is
the target at a million rows, for Laplace's and Student's noise. Least absolute deviations:
statsmodels' `QuantReg(y, X1).fit(q=0.5)` and scikit-learn's `QuantileRegressor(quantile=0.5,
alpha=0)`, each in a process of its own, which is stopped after `--patience` seconds: its ratio
is then a lower bound. Huber: scikit-learn's `HuberRegressor(alpha=0)`, whose loss is another
one, with a scale all the same. The noise is Laplace's for the median, Student's t with four
degrees of freedom for all others. The least time of some runs counts, ours of several, theirs
of one.
"""

import os

THREADS = 2
for variable in ("OPENBLAS", "OMP", "MKL"):  # read when NumPy is first imported
    os.environ[f"{variable}_NUM_THREADS"] = str(THREADS)

import argparse  # noqa: E402
import json  # noqa: E402
import subprocess  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
import warnings  # noqa: E402
from collections.abc import Callable  # noqa: E402
from importlib.util import find_spec  # noqa: E402
from typing import Any  # noqa: E402

import numpy as np  # noqa: E402

import mlreg as ml  # noqa: E402

TARGET = 10**6  # rows for which the targets are set
REST = 0.1  # seconds between runs: BLAS threads of the last one go on spinning for a moment
NOISES = {
    "Laplace()": ml.Laplace(),
    "StudentT(4)": ml.StudentT(4),
    "StudentT(), df estimated": None,
    "Logistic()": ml.Logistic(),
    "Huber()": ml.Huber(),
}
PEERS = {
    "statsmodels QuantReg": ("statsmodels", "Laplace()"),
    "scikit-learn QuantileRegressor": ("sklearn", "Laplace()"),
    "statsmodels RLM (Huber)": ("statsmodels", "Huber()"),
    "scikit-learn HuberRegressor": ("sklearn", "Huber()"),
}


def data(n: int, p: int, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Normal regressors and a response with that noise; seed 0."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, p))
    noise = rng.laplace(size=n) if name == "Laplace()" else rng.standard_t(4, n)
    return X, 1 + X @ np.linspace(-1, 1, p) + noise


def ours(X: np.ndarray, y: np.ndarray, name: str) -> Callable[[], Any]:
    noise = NOISES.get(name, ml.Gaussian())
    return lambda: ml.fit(X, y, noise=ml.StudentT() if noise is None else noise).std_errors


def theirs(X: np.ndarray, y: np.ndarray, peer: str) -> Callable[[], Any]:
    X1 = np.column_stack([np.ones(len(X)), X])
    if peer == "statsmodels QuantReg":
        from statsmodels.regression.quantile_regression import QuantReg

        return lambda: QuantReg(y, X1).fit(q=0.5).bse
    if peer == "statsmodels RLM (Huber)":
        import statsmodels.api as sm

        return lambda: sm.RLM(y, X1, M=sm.robust.norms.HuberT()).fit().bse
    from sklearn import linear_model

    if peer == "scikit-learn HuberRegressor":
        return lambda: linear_model.HuberRegressor(alpha=0, max_iter=1000).fit(X, y)
    return lambda: linear_model.QuantileRegressor(quantile=0.5, alpha=0, solver="highs").fit(X, y)


def seconds(call: Callable[[], Any]) -> float:
    """Time of one call."""
    time.sleep(REST)
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        call()
    return time.perf_counter() - start


def turns(calls: dict[str, Callable[[], Any]], times: int) -> dict[str, float]:
    """The least time of each, taking turns."""
    found = {name: seconds(call) for name, call in calls.items()}
    for _ in range(times - 1):
        for name, call in calls.items():
            found[name] = min(found[name], seconds(call))
    return found


def peer(name: str, n: int, p: int, patience: float) -> tuple[float, bool]:
    """Time of a peer in a process of its own, and whether it finished."""
    command = [sys.executable, __file__, "--peer", name, "--rows", str(n), "--columns", str(p)]
    start = time.perf_counter()
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=patience, check=True)
    except subprocess.TimeoutExpired:
        return time.perf_counter() - start, False
    return float(json.loads(done.stdout.splitlines()[-1])), True


def against_gaussian(n: int, p: int, times: int) -> dict[str, float]:
    """Print our times in those of a Gaussian fit; return them in seconds."""
    print(f"\n{n:,} × {p}, in fits with Gaussian noise of the same data:\n".replace(",", " "))
    print("| noise | fits | passes | status |\n|---|---|---|---|")
    found = {}
    for name in NOISES:
        X, y = data(n, p, name)
        took = turns({"gaussian": ours(X, y, ""), name: ours(X, y, name)}, times)
        noise = NOISES[name]
        fit = ml.fit(X, y, noise=ml.StudentT() if noise is None else noise)
        ratio = took[name] / took["gaussian"]
        judged = ""
        if n == TARGET and name in ("Laplace()", "StudentT(4)"):
            judged = " (≤ 10: met)" if ratio <= 10 else " (≤ 10: **missed**)"
        print(f"| {name} | {ratio:.3g}{judged} | {fit.reads} | {fit.status.code} |", flush=True)
        found[name] = took[name]
    return found


def against_peers(n: int, p: int, took: dict[str, float], patience: float) -> None:
    """Print the times of other programs over ours."""
    print(f"\n{n:,} × {p}, their time over ours:\n".replace(",", " "))
    print("| program | over ours |\n|---|---|")
    for name, (package, noise) in PEERS.items():
        if find_spec(package) is None:
            print(f"| {name} | not installed |")
            continue
        spent, finished = peer(name, n, p, patience)
        ratio = spent / took[noise]
        judged = "" if finished else f", not finished after {patience:.0f} s"
        if n == TARGET and noise == "Laplace()":
            judged += " (≥ 20: met)" if ratio >= 20 else " (≥ 20: **missed**)"
        print(f"| {name} | {'' if finished else '> '}{ratio:.3g}{judged} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="smaller sizes")
    parser.add_argument("--patience", type=float, default=240.0, help="seconds for a peer")
    parser.add_argument("--peer", help=argparse.SUPPRESS)
    parser.add_argument("--rows", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--columns", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peer:
        X, y = data(arguments.rows, arguments.columns, PEERS[arguments.peer][1])
        print(json.dumps(seconds(theirs(X, y, arguments.peer))))
        return
    small, times = (2 * 10**4, 5) if arguments.quick else (10**5, 3)
    took = against_gaussian(small, 20, times)
    against_peers(small, 20, took, arguments.patience)
    if not arguments.quick:
        took = against_gaussian(TARGET, 20, 4)
        against_peers(TARGET, 20, took, arguments.patience)


if __name__ == "__main__":
    main()
