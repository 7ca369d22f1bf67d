"""Time and memory of an exact fit beside other programs, side by side in one run.

    python benchmarks/exact.py             # some minutes, and about 5 GB of memory
    python benchmarks/exact.py --quick     # smaller sizes, less than a minute
    python benchmarks/exact.py --parquet   # a file of 2e7 rows, 3.4 GB of disk; --rows for fewer

Needs the package alone; statsmodels, scikit-learn, scikit-learn-intelex, polars-ds (with polars),
duckdb and threadpoolctl are used where they are installed, pyarrow by --parquet. Prints Markdown.

Float64 in memory, two threads for everyone. Ours is `ml.fit(X, y)` and its standard errors, which
come with the intercept, the check for NaN, the rank report, the bound on rounding and refinement
where that is due; of statsmodels, `OLS(y, X1).fit().bse`, its column of ones made beforehand;
of scikit-learn, `LinearRegression().fit(X, y)`, which has no standard errors. The programs take
turns, so that a busy moment of the machine meets each of them, and the least time of each counts.
Only ratios are printed: seconds say more about the machine.
"""

import os

THREADS = 2
for variable in ("OPENBLAS", "OMP", "MKL", "POLARS_MAX"):  # read when NumPy is first imported
    name = f"{variable}_THREADS" if variable == "POLARS_MAX" else f"{variable}_NUM_THREADS"
    os.environ[name] = str(THREADS)

import argparse  # noqa: E402
import importlib  # noqa: E402
import json  # noqa: E402
import subprocess  # noqa: E402
import sys  # noqa: E402
import tempfile  # noqa: E402
import time  # noqa: E402
import warnings  # noqa: E402
from collections.abc import Callable  # noqa: E402
from contextlib import suppress  # noqa: E402
from dataclasses import dataclass, field  # noqa: E402
from importlib.metadata import PackageNotFoundError, version  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import numpy as np  # noqa: E402

import mlreg as ml  # noqa: E402

CHUNK = 2**12  # rows that are made at a time, so that making data needs little memory
REST = 0.1  # seconds between runs: BLAS threads of the last one go on spinning for a moment
SHORT = 0.02  # seconds that a timed run takes at least: quick calls are repeated within it


def spaced(n: int) -> str:
    """Groups of three digits: 1 000 000."""
    return f"{n:,}".replace(",", " ")


@dataclass(frozen=True)
class Case:
    """A size, how often each program runs, and the targets.

    ``statsmodels`` and ``sklearn`` are their times over ours, at least; ``gram`` is ours over
    that of a bare ``X.T @ X``, at most.
    """

    n: int
    p: int
    condition: float = 1.0
    repeats: dict[str, int] = field(default_factory=dict)
    statsmodels: float | None = None
    sklearn: float | None = None
    gram: float | None = None

    @property
    def label(self) -> str:
        """What a table shows."""
        condition = f", condition {self.condition:.0e}".replace("e+0", "e")
        return f"{spaced(self.n)} × {self.p}{condition if self.condition > 1 else ''}"


FEW = {"mlreg": 4, "gram": 8, "sklearn": 2, "statsmodels": 1, "sklearnex": 4}
SOME = {"mlreg": 10, "gram": 20, "sklearn": 4, "statsmodels": 2}
MANY = {"mlreg": 10, "gram": 10, "sklearn": 10, "statsmodels": 5}
FULL = (
    Case(10**6, 100, 1.0, FEW, 15, 7, 3),
    Case(10**6, 100, 1e8, FEW, 10, 4, 5),
    Case(10**6, 20, 1.0, SOME, 8, 5, 5),
    Case(10**5, 20, 1.0, MANY, 6, 2, None),
    Case(2 * 10**4, 1000, 1.0, FEW, 5, 1.5, 3),
    Case(100, 5, 1.0, MANY, 1 / 5, 1 / 2, None),
)
QUICK = (
    Case(10**5, 100, 1.0, FEW),
    Case(10**5, 100, 1e8, FEW),
    Case(10**5, 20, 1.0, MANY, 6, 2, None),
    Case(4000, 400, 1.0, FEW),
    Case(100, 5, 1.0, MANY, 1 / 5, 1 / 2, None),
)


# --- data --------------------------------------------------------------------------------------


def data(
    n: int, p: int, condition: float = 1.0, *, ones: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Normal regressors, after a column of ones if wanted, and y with noise 1; seed 0."""
    rng = np.random.default_rng(0)
    turn = np.linalg.qr(rng.normal(size=(p, p)))[0]
    mix = turn * np.geomspace(1, 1 / condition, p) @ turn.T
    beta = rng.normal(size=p)
    X, y = np.empty((n, p + ones)), np.empty(n)
    X[:, :ones] = 1.0
    for start in range(0, n, CHUNK):
        part = rng.normal(size=(min(CHUNK, n - start), p))
        rows = slice(start, start + len(part))
        X[rows, int(ones) :] = part @ mix if condition > 1 else part
        y[rows] = X[rows, int(ones) :] @ beta + rng.normal(size=len(part))
    return X, y


# --- the programs ------------------------------------------------------------------------------


def mlreg(X: np.ndarray, y: np.ndarray) -> Callable[[], Any]:
    return lambda: ml.fit(X, y).std_errors


def gram(X: np.ndarray, y: np.ndarray) -> Callable[[], Any]:
    return lambda: X.T @ X


def statsmodels(X: np.ndarray, y: np.ndarray) -> Callable[[], Any]:
    from statsmodels.api import OLS

    X1 = np.column_stack([np.ones(len(X)), X])
    return lambda: OLS(y, X1).fit().bse


def sklearn(X: np.ndarray, y: np.ndarray) -> Callable[[], Any]:
    from sklearn.linear_model import LinearRegression

    return lambda: LinearRegression().fit(X, y)


def sklearnex(X: np.ndarray, y: np.ndarray) -> Callable[[], Any]:
    import daal4py
    from sklearnex.linear_model import LinearRegression

    daal4py.daalinit(nthreads=THREADS)
    return lambda: LinearRegression().fit(X, y)


def polars_ds(X: np.ndarray, y: np.ndarray) -> Callable[[], Any]:
    import polars as pl
    import polars_ds as pds

    names = [f"x{j + 1}" for j in range(X.shape[1])]
    frame = pl.DataFrame({n: X[:, j] for j, n in enumerate(names)} | {"y": y})
    return lambda: frame.select(pds.lin_reg(*names, target="y", add_bias=True))


def duckdb(X: np.ndarray, y: np.ndarray) -> Callable[[], Any]:
    """DuckDB has regression on one column alone: the first."""
    import duckdb as db

    connection = db.connect(config={"threads": THREADS})
    x, y = np.ascontiguousarray(X[:, 0]), y
    connection.register("rows_in_memory", {"x": x, "y": y})
    connection.execute("create table t as select * from rows_in_memory")
    query = "select regr_slope(y, x), regr_intercept(y, x), regr_r2(y, x) from t"
    return lambda: connection.execute(query).fetchall()


PROGRAMS: dict[str, Callable[[np.ndarray, np.ndarray], Callable[[], Any]]] = {
    "mlreg": mlreg,
    "gram": gram,
    "sklearn": sklearn,
    "statsmodels": statsmodels,
    "sklearnex": sklearnex,
    "polars_ds": polars_ds,
    "duckdb": duckdb,
}
PACKAGES = {
    "mlreg": "mlreg",
    "numpy": "numpy",
    "scipy": "scipy",
    "statsmodels": "statsmodels",
    "sklearn": "scikit-learn",
    "sklearnex": "scikit-learn-intelex",
    "polars": "polars",
    "polars_ds": "polars-ds",
    "duckdb": "duckdb",
    "pyarrow": "pyarrow",
    "threadpoolctl": "threadpoolctl",
}


def installed() -> set[str]:
    """Modules that import; the rest is named."""
    there, missing = {"gram"}, []
    for module, package in PACKAGES.items():
        try:
            importlib.import_module(module)
        except ImportError:
            missing.append(package)
        else:
            there.add(module)
    found = ", ".join(f"{p} {_version(p)}" for m, p in PACKAGES.items() if m in there)
    print(f"{found}; {THREADS} threads, {os.cpu_count()} processors")
    if missing:
        print(f"\nLeft out, for they are not installed: {', '.join(missing)}.")
    return there


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # run from a working copy
        return ml.__version__ if package == "mlreg" else "?"


# --- times -------------------------------------------------------------------------------------


def seconds(call: Callable[[], Any], times: int) -> float:
    start = time.perf_counter()
    for _ in range(times):
        call()
    return (time.perf_counter() - start) / times


def least(calls: dict[str, Callable[[], Any]], repeats: dict[str, int]) -> dict[str, float]:
    """Least time of each call; rounds go through all of them."""
    found = dict.fromkeys(calls, np.inf)
    times = dict.fromkeys(calls, 1)
    for turn in range(max(repeats.get(name, 3) for name in calls)):
        for name, call in calls.items():
            if turn >= repeats.get(name, 3):
                continue
            time.sleep(REST)
            took = seconds(call, times[name])
            if times[name] == 1 and took < SHORT:  # too short to time alone, and a first call
                times[name] = int(np.ceil(SHORT / took))
                took = seconds(call, times[name])
            found[name] = min(found[name], took)
    return found


def warm_up(names: set[str], p: int) -> None:
    """Imports, threads and buffers are not what is timed."""
    X, y = data(4 * p + 100, p)
    for name in names:
        PROGRAMS[name](X, y)()


def verdict(ratio: float | None, target: float | None, *, most: bool = False) -> str:
    if ratio is None:
        return "–"
    shown = f"{ratio:.3g}"
    if target is None:
        return shown
    met = ratio <= target if most else ratio >= target
    return f"{shown} ({'≤' if most else '≥'} {target:.3g}: {'met' if met else '**missed**'})"


def times(cases: tuple[Case, ...], there: set[str]) -> None:
    main = {"mlreg", "gram", "sklearn", "statsmodels"} & there
    print("\n## Time\n")
    print(
        "Their time over ours: above 1, we are faster. The last ratio is our time over that of "
        "NumPy's `X.T @ X`. In brackets what was asked for, and whether it is met.\n"
    )
    print("| n × p | statsmodels | scikit-learn | ours over X.T @ X | passes | warned |")
    print("|---|---|---|---|---|---|")
    for case in cases:
        X, y = data(case.n, case.p, case.condition)
        warm_up(main, case.p)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ml.NumericalWarning)
            reads = ml.fit(X, y).reads
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            calls = {name: PROGRAMS[name](X, y) for name in PROGRAMS if name in main}
            took = least(calls, case.repeats)
        ours = took["mlreg"]
        over = {name: value / ours for name, value in took.items()}
        print(
            f"| {case.label} | {verdict(over.get('statsmodels'), case.statsmodels)} "
            f"| {verdict(over.get('sklearn'), case.sklearn)} "
            f"| {verdict(1 / over['gram'], case.gram, most=True) if case.n > 100 else '–'} "
            f"| {reads} | {'yes' if caught else 'no'} |",
            flush=True,
        )
        del calls, X, y


def others(there: set[str], *, quick: bool) -> None:
    """Programs for which there is no target."""
    more = [name for name in ("sklearnex", "polars_ds", "duckdb") if name in there]
    if not more:
        return
    big = 10**5 if quick else 10**6
    print("\n## Others\n")
    print(
        "Their time over ours. scikit-learn-intelex and polars-ds report coefficients alone; "
        "DuckDB regresses on one column, and reports slope, intercept and R².\n"
    )
    print(f"| n × p | {' | '.join(PACKAGES[m] for m in more)} |\n|---{'|---' * len(more)}|")
    for n, p in (*([] if quick else [(big, 100)]), (big, 20), (big, 1), (100, 5)):
        some = [name for name in more if (name != "duckdb" or p == 1)]
        X, y = data(n, p)
        warm_up({"mlreg", *some}, p)
        found = least({name: PROGRAMS[name](X, y) for name in ("mlreg", *some)}, {"mlreg": 4})
        cells = [f"{found[m] / found['mlreg']:.3g}" if m in found else "–" for m in more]
        print(f"| {Case(n, p).label} | {' | '.join(cells)} |", flush=True)


# --- memory ------------------------------------------------------------------------------------


def resident() -> float:
    """Most memory that this process had so far, or since `reset`, in MB."""
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss would begin with that of the process that started this one
        line = next(t for t in status.read_text().splitlines() if t.startswith("VmHWM"))
        return int(line.split()[1]) * 1024 / 1e6
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6  # bytes, on macOS


def reset() -> None:
    """Forget the peak that making the data left behind, where the system can."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def child(*arguments: object) -> dict[str, float]:
    """Run this script in a process of its own: memory is measured per process."""
    command = [sys.executable, __file__, "--child", *map(str, arguments)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    answer: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return answer


def memory_of(name: str, n: int, p: int) -> dict[str, float]:
    warm_up({name}, p)
    if name == "statsmodels":  # its column of ones belongs to the data
        from statsmodels.api import OLS

        X, y = data(n, p, ones=True)
        reset()
        before = resident()
        OLS(y, X).fit().bse  # noqa: B018
    else:
        X, y = data(n, p)
        reset()
        before = resident()
        PROGRAMS[name](X, y)()
    return {"extra": resident() - before, "data": (X.nbytes + y.nbytes) / 1e6}


def memory(n: int, p: int, there: set[str], *, judged: bool) -> None:
    print("\n## Memory\n")
    print(f"Growth of the largest resident set, over data in memory, at {Case(n, p).label}.\n")
    print("| | MB beside the data | times the data |\n|---|---|---|")
    for name in ("mlreg", "sklearn", "statsmodels"):
        if name in there:
            got = child("memory", name, n, p)
            shown = verdict(got["extra"], 150 if judged and name == "mlreg" else None, most=True)
            print(f"| {PACKAGES[name]} | {shown} | {got['extra'] / got['data']:.2g} |", flush=True)


# --- Parquet -----------------------------------------------------------------------------------

COLUMNS = 20


def write(path: Path, rows: int) -> None:
    """Row groups of 2**20 rows, with pyarrow's defaults."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(0)
    beta = rng.normal(size=COLUMNS)
    names = ["y", *(f"x{j + 1}" for j in range(COLUMNS))]
    schema = pa.schema([(name, pa.float64()) for name in names])
    with pq.ParquetWriter(path, schema) as writer:
        for start in range(0, rows, 2**20):
            X = rng.normal(size=(COLUMNS, min(2**20, rows - start)))
            y = beta @ X + rng.normal(size=X.shape[1])
            writer.write_table(pa.table([y, *X], schema=schema))


def parquet_child(what: str, path: str) -> dict[str, float]:
    import pyarrow as pa
    import pyarrow.dataset as ds

    pa.set_cpu_count(THREADS)
    pa.set_io_thread_count(THREADS)
    names = [f"x{j + 1}" for j in range(COLUMNS)]
    start = time.perf_counter()
    if what == "scan":
        dataset = ds.dataset(path)
        rows = sum(batch.num_rows for batch in dataset.to_batches(columns=["y", *names]))
    else:
        source = ml.read(path, "y ~ " + " + ".join(names))
        fit = ml.fit(source, progress=False)
        rows = fit.n_rows
        assert np.isfinite(fit.std_errors).all()
    took = time.perf_counter() - start
    return {"rate": rows / took, "resident": resident()}


def parquet(rows: int) -> None:
    print(f"\n## Parquet: {spaced(rows)} rows, {COLUMNS} regressors\n")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.parquet"
        write(path, rows)
        rate, peak = {"scan": 0.0, "fit": 0.0}, {"scan": 0.0, "fit": 0.0}
        child("parquet", "scan", path)  # now the file is in the system's cache
        for _ in range(3):
            for what in rate:
                got = child("parquet", what, path)
                rate[what] = max(rate[what], got["rate"])
                peak[what] = max(peak[what], got["resident"])
    print(
        f"{rows:.3g} rows; `ml.fit(ml.read(path, 'y ~ x1 + ...'))` beside a scan of the same "
        "columns of the same file by pyarrow, the file in the system's cache; the best of three.\n"
    )
    print("| | rows per second, pyarrow's scan = 1 | largest resident set, MB |\n|---|---|---|")
    print(f"| pyarrow scan | 1 | {peak['scan']:.0f} |")
    print(
        f"| mlreg | {verdict(rate['fit'] / rate['scan'], 0.5)} "
        f"| {verdict(round(peak['fit']), 1000, most=True)} |"
    )


# --- the command line --------------------------------------------------------------------------


def main() -> None:
    parser = argparse.ArgumentParser(description="Time and memory of an exact fit beside others.")
    parser.add_argument("--quick", action="store_true", help="smaller sizes")
    parser.add_argument("--parquet", action="store_true", help="a Parquet file, instead")
    parser.add_argument("--rows", type=float, default=2e7, help="rows of that file")
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    with suppress(ImportError):
        from threadpoolctl import threadpool_limits

        threadpool_limits(THREADS)
    if options.child:
        what, name, *rest = options.child
        if what == "memory":
            print(json.dumps(memory_of(name, *map(int, rest))))
        else:
            print(json.dumps(parquet_child(name, *rest)))
        return
    there = installed()
    if options.parquet:
        parquet(int(options.rows))
        return
    times(QUICK if options.quick else FULL, there)
    memory(10**5 if options.quick else 10**6, 100, there, judged=not options.quick)
    others(there, quick=options.quick)


if __name__ == "__main__":
    main()
