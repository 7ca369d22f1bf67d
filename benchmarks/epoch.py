"""Time of one epoch of minibatch SGD beside other programs, side by side in one run.

    python benchmarks/epoch.py             # about five minutes, and 2 GB of memory
    python benchmarks/epoch.py --quick     # without the millions of rows

Needs the package with its extra ``fast``; scikit-learn and PyTorch are used where they are
installed. Prints Markdown.

The same least-squares descent for everyone: rows reshuffled before each epoch, an intercept, a
constant rate, no penalty, float64 in memory, one thread. Minibatches of 64; scikit-learn's has no
minibatches, and takes a step for each row. An epoch is the difference between a run of many epochs
and a run of few, over their number: what a run costs once is not in it, nor is compilation. The
programs take turns, and the least time of each counts. Of PyTorch's loop a few hundred minibatches
are timed and multiplied. Only ratios are printed: seconds say more about the machine.
"""

import os

for variable in ("OPENBLAS", "OMP", "MKL"):  # read when NumPy is first imported
    os.environ[f"{variable}_NUM_THREADS"] = "1"

import argparse  # noqa: E402
import itertools  # noqa: E402
import math  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable  # noqa: E402
from importlib.metadata import PackageNotFoundError, version  # noqa: E402

import numpy as np  # noqa: E402

import mlreg as ml  # noqa: E402
from mlreg.likelihood.blocks import ArraySource  # noqa: E402

BATCH, BLOCK_BATCH, TURNS = 64, 256, 5
ENOUGH = 0.3  # seconds that the epochs of the longer run take, about
Run = Callable[[int], float]  # of a number of epochs: seconds


def data(n: int, p: int) -> tuple[np.ndarray, np.ndarray]:
    """Normal regressors, and y with noise 1; seed 0."""
    rng = np.random.default_rng(0)
    X, y = np.empty((n, p)), np.empty(n)
    for start in range(0, n, 2**14):
        rows = slice(start, min(start + 2**14, n))
        X[rows] = rng.standard_normal((rows.stop - start, p))
        y[rows] = 1 + X[rows].sum(axis=1) / math.sqrt(p) + rng.standard_normal(rows.stop - start)
    return X, y


def rate(p: int) -> float:
    """Stable for a minibatch of one, and so for all."""
    return 0.1 / (p + 3)


def seconds(run: Callable[[], object]) -> float:
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


# --- the programs ------------------------------------------------------------------------------


def ours(X: np.ndarray, y: np.ndarray, kernel: str, **options: object) -> Run:
    likelihood = ml.LinearLikelihood.from_source(ArraySource(X, y, intercept=True))
    options = {"batch_size": BATCH, "kernel": kernel, **options}

    def run(epochs: int) -> float:
        optimizer = ml.SGD(rate(X.shape[1]), epochs=epochs, **options)  # type: ignore[arg-type]
        return seconds(lambda: optimizer.minimize(likelihood))

    return run


def numpy_loop(X: np.ndarray, y: np.ndarray) -> Run:
    """As one writes it by hand."""

    def descend(epochs: int) -> None:
        rng, (n, p) = np.random.default_rng(0), X.shape
        w, b, step = np.zeros(p), 0.0, rate(p) / BATCH
        for _ in range(epochs):
            order = rng.permutation(n)
            for start in range(0, n, BATCH):
                rows = order[start : start + BATCH]
                x = X[rows]
                r = y[rows] - x @ w - b
                w += step * (r @ x)
                b += step * r.sum()

    return lambda epochs: seconds(lambda: descend(epochs))


def sklearn(X: np.ndarray, y: np.ndarray) -> Run:
    from sklearn.linear_model import SGDRegressor

    def run(epochs: int) -> float:
        model = SGDRegressor(
            penalty=None, learning_rate="constant", eta0=rate(X.shape[1]), shuffle=True,
            max_iter=epochs, tol=None, random_state=0,
        )  # fmt: skip
        return seconds(lambda: model.fit(X, y))

    return run


def torch_loop(X: np.ndarray, y: np.ndarray) -> Run:
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    torch.set_num_threads(1)
    rows = TensorDataset(torch.from_numpy(X), torch.from_numpy(y)[:, None])
    n, p = X.shape
    per_epoch = math.ceil(n / BATCH)
    first, last = 20, min(320, per_epoch)

    def run(epochs: int) -> float:
        """Minibatches from the 20th to the 320th, so many times as an epoch has them."""
        model = torch.nn.Linear(p, 1, dtype=torch.float64)
        optimizer = torch.optim.SGD(model.parameters(), lr=rate(p))
        begin = 0.0
        batches = DataLoader(rows, batch_size=BATCH, shuffle=True)
        for i, (x, response) in enumerate(itertools.islice(batches, last)):
            if i == first:
                begin = time.perf_counter()
            optimizer.zero_grad()
            torch.nn.functional.mse_loss(model(x), response).backward()
            optimizer.step()
        return (time.perf_counter() - begin) / (last - first) * per_epoch * epochs

    return run


# --- times -------------------------------------------------------------------------------------


def epochs_of(runs: dict[str, Run]) -> dict[str, float]:
    """Seconds of an epoch of each program, which take turns."""
    many, best = {}, {name: [math.inf, math.inf] for name in runs}
    for name, run in runs.items():
        run(1)  # memory is warm, code compiled
        many[name] = 2 if name == "torch" else 1 + min(50, math.ceil(ENOUGH / max(run(1), 1e-3)))
    for _ in range(TURNS):
        for name, run in runs.items():
            for i, epochs in enumerate((1, many[name])):
                best[name][i] = min(best[name][i], run(epochs))
    return {name: (b - a) / (many[name] - 1) for name, (a, b) in best.items()}


def found(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def verdict(ratio: float, least: float) -> str:
    return f"{ratio:.3g} ({'met' if ratio >= least else 'missed'}: ≥ {least:g})"


def row_of(n: int, p: int, peers: set[str]) -> str:
    X, y = data(n, p)
    runs = {
        "numba": ours(X, y, "numba"),
        "loop": ours(X, y, "numpy"),
        "hand": numpy_loop(X, y),
    }
    if "scikit-learn" in peers:
        runs["sklearn"] = sklearn(X, y)
    if "torch" in peers:
        runs["torch"] = torch_loop(X, y)
    took = epochs_of(runs)
    own = took["numba"]
    cells = [f"10^{round(math.log10(n))} × {p}", f"{own / n / (p + 1) * 1e9:.2g}"]
    cells += [f"{took[name] / own:.3g}" for name in ("loop", "hand")]
    cells.append(verdict(took["sklearn"] / own, 3 if p == 100 else 1) if "sklearn" in took else "–")
    cells.append(verdict(took["torch"] / own, 100) if "torch" in took else "–")
    return "| " + " | ".join(cells) + " |"


def block_order(n: int, p: int) -> str:
    """An epoch over rows as they lie, in reads of them by `X.sum()`."""
    X, y = data(n, p)

    def read(epochs: int) -> float:
        return seconds(lambda: [X.sum() for _ in range(epochs)])

    runs = {
        "numba": ours(X, y, "numba", batch_size=BLOCK_BATCH, sampling="in-order"),
        "sum": read,
    }
    took = epochs_of(runs)
    ratio = took["numba"] / took["sum"]
    told = "met" if ratio <= 1.5 else "missed"
    return (
        f"In block order, minibatches of {BLOCK_BATCH}, {n:.0e} × {p}: {ratio:.3g} times `X.sum()` "
        f"({told}: ≤ 1.5)."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Time of one epoch of minibatch SGD.")
    parser.add_argument("--quick", action="store_true", help="without the millions of rows")
    quick = parser.parse_args().quick
    peers = {name for name in ("scikit-learn", "torch") if found(name)}
    names = ("numpy", "numba", "scikit-learn", "torch")
    told = ", ".join(f"{name} {found(name)}" if found(name) else f"no {name}" for name in names)
    print(f"{told}; one thread; minibatches of {BATCH}.\n")
    print(
        "| rows × columns | ours, ns per number of [1 X] | our NumPy loop | a NumPy loop by hand "
        "| SGDRegressor | PyTorch DataLoader |"
    )
    print("|---|---|---|---|---|---|")
    for n in (10**4, 10**5) if quick else (10**4, 10**5, 10**6):
        for p in (2, 10, 100):
            print(row_of(n, p, peers), flush=True)
    print("\n" + block_order(10**5 if quick else 10**6, 100))


if __name__ == "__main__":
    main()
