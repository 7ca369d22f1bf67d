"""What a minibatch size costs and what it buys, side by side in one run.

    python benchmarks/batch_size.py

Needs the package alone. Data: 4096 rows, 50 standard normal columns and a column of ones, noise
0.1, seed 0. For each batch size: the time that SGD takes for one row, relative to the best of
them; the largest safe learning rate of sampling with replacement, Eq. (4.6), relative to that
of single rows, which is Eq. (4.12); and the distance from the MLE, in standard errors, that one
pass from zero reaches at that rate and at half of it. Only the times differ between runs.
"""

import time
from collections.abc import Callable

import numpy as np

import mlreg as ml
from mlreg.likelihood.linear import LinearLikelihood
from mlreg.optimizers.sgd import stable_learning_rate

N, COLUMNS, NOISE = 4096, 50, 0.1
SIZES = (1, 8, 32, 128, 256, 1024, N)
EPOCHS = {size: max(2, min(200, size)) for size in SIZES}  # of a long run: cheap ones go on longer
REPEATS = 5


def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N, COLUMNS))
    beta = rng.normal(size=COLUMNS + 1)
    return X, beta[0] + X @ beta[1:] + NOISE * rng.normal(size=N)


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def main() -> None:
    X, y = data()
    likelihood = LinearLikelihood(np.column_stack([np.ones(N), X]), y)
    rates = {
        size: stable_learning_rate(likelihood, batch_size=size, sampling="replacement")
        for size in SIZES
    }

    def sgd(size: int, factor: float = 0.5, epochs: int = 1) -> ml.SGD:
        rate = factor * rates[size]
        return ml.SGD(rate, batch_size=size, epochs=epochs, sampling="replacement")

    # An epoch is what a long run takes more than a short one. Rounds go through all sizes, so
    # that a busy moment of the machine meets each of them; the least time of a size counts.
    short, long = dict.fromkeys(SIZES, np.inf), dict.fromkeys(SIZES, np.inf)
    for _ in range(REPEATS):
        for size in SIZES:
            for least, epochs in ((short, 1), (long, 1 + EPOCHS[size])):
                optimizer = sgd(size, epochs=epochs)
                took = seconds(lambda run=optimizer: run.minimize(likelihood))
                least[size] = min(least[size], took)
    per_row = {size: (long[size] - short[size]) / (EPOCHS[size] * N) for size in SIZES}
    best = min(per_row.values())

    squares = 1 + np.sum(X**2, axis=1)
    top = np.linalg.eigvalsh(likelihood.information(np.zeros(COLUMNS + 2))[:-1, :-1] / N)[-1]
    start = ml.SGD(1e-12, batch_size="full", epochs=1).minimize(likelihood)
    print(f"{N} rows, {COLUMNS} columns and ones, noise {NOISE}")
    print(f"B* = 1 + R^2/lambda_max = {1 + squares.max() / top:.0f}")
    print(f"the start is {start.certificate.distance:.3g} standard errors from the MLE\n")
    print("batch size  time per row  safe rate   distance after one pass")
    print("            (best = 1)    (|B|=1: 1)  at that rate  at half of it")
    for size in SIZES:
        reached = [
            ml.fit(X, y, optimizer=sgd(size, factor)).certificate.distance for factor in (1.0, 0.5)
        ]
        print(
            f"{size:10d}  {per_row[size] / best:12.3g}  {rates[size] / rates[1]:10.3g}"
            f"  {reached[0]:12.3g}  {reached[1]:13.3g}"
        )


if __name__ == "__main__":
    main()
