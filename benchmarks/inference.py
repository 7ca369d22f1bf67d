"""Time and memory of HC3 standard errors, influence and diagnostics beside statsmodels.

    python benchmarks/inference.py            # a minute, and about 2 GB of memory
    python benchmarks/inference.py --quick    # smaller

Needs the package and statsmodels. Prints Markdown.

Float64 in memory, two threads for both, each measurement in a process of its own, from the data to
the answer, the fit included; the least time of three runs counts, and the growth of the largest
resident set during the first. Ours of influence has leverage, both studentised residuals, Cook's
distance, DFFITS and leave-one-out residuals. statsmodels' has leverage, internally studentised
residuals and Cook's distance alone: for the external ones and for DFFITS it makes n regressions. Of
statsmodels the column of ones is made beforehand.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from exact import Case, data, reset, resident, spaced, verdict  # sets the threads: before NumPy

import mlreg as ml

FASTER, EXTRA = 3.0, 300.0  # targets at a million rows: times statsmodels' speed, and MB
TARGET = 10**6
WHAT = {
    "hc3": "HC3 standard errors",
    "influence": "influence of every row",
    "dfbetas": "DFBETAS of every row, by blocks",
    "diagnose": "`fit.diagnose()`",
}
BOTH = ("hc3", "influence")


def ours(what: str, X: Any, y: Any) -> Callable[[], Any]:
    def influence() -> Any:
        found = ml.fit(X, y).influence()
        studentised = found.internally_studentised, found.externally_studentised
        return found.leverage, studentised, found.cooks_distance, found.dffits, found.leave_one_out

    def dfbetas() -> Any:
        return max(abs(part.dfbetas()).max() for part in ml.fit(X, y).influence_blocks())

    return {
        "hc3": lambda: ml.fit(X, y).covariance("HC3").diagonal() ** 0.5,
        "influence": influence,
        "dfbetas": dfbetas,
        "diagnose": lambda: ml.fit(X, y).diagnose(time_ordered=True),
    }[what]


def theirs(what: str, X: Any, y: Any) -> Callable[[], Any]:
    from statsmodels.api import OLS

    def influence() -> Any:
        found = OLS(y, X).fit().get_influence()
        return found.hat_matrix_diag, found.resid_studentized_internal, found.cooks_distance

    return {"hc3": lambda: OLS(y, X).fit().HC3_se, "influence": influence}[what]


def measure(who: str, what: str, n: int, p: int) -> dict[str, Any]:
    make = ours if who == "mlreg" else theirs
    ones = who != "mlreg"
    make(what, *data(4000, p, ones=ones))()  # imports, threads and buffers are not what is timed
    call = make(what, *data(n, p, ones=ones))
    reset()
    before, took = resident(), []
    for _ in range(3):
        start = time.perf_counter()
        call()
        took.append(time.perf_counter() - start)
        if len(took) == 1:
            extra = resident() - before
    return {"seconds": min(took), "extra": extra}


def child(*arguments: object) -> dict[str, Any] | None:
    """A measurement in a process of its own; None where it fails, with the reason on stderr."""
    command = [sys.executable, __file__, "--child", *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    return None if done.returncode else json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows")
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        who, what, n, p = options.child
        print(json.dumps(measure(who, what, int(n), int(p))))
        return
    n, p = TARGET // 10 if options.quick else TARGET, 20
    size = spaced(n * (p + 1) * 8 // 10**6)
    print(f"\n## Inference at {Case(n, p).label}, whose data take {size} MB\n")
    print("| | statsmodels' time over ours | ours, MB beside the data | statsmodels |")
    print("|---|---|---|---|")
    for what, label in WHAT.items():
        mine = child("mlreg", what, n, p)
        other = child("statsmodels", what, n, p) if what in BOTH else None
        ratio = other["seconds"] / mine["seconds"] if mine and other else None
        judged = n == TARGET and what in BOTH
        extra = verdict(mine and mine["extra"], EXTRA if judged else None, most=True)
        print(
            f"| {label} | {verdict(ratio, FASTER if judged else None)} | {extra} "
            f"| {verdict(other and other['extra'], None)} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
