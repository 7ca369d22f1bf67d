"""Reads of the data until an estimate is within 0.1 standard errors of the MLE, beside others.

    python benchmarks/sgd.py               # some minutes
    python benchmarks/sgd.py --quick       # 20 000 rows

Needs the package alone; scikit-learn is used where it is installed. Prints Markdown.

Twenty columns, the intercept included, of 100 000 rows: normal regressors whose matrix has
condition number 1, 30 or 1000, standardised for everybody, as the textbook asks; Gaussian noise,
and Student's t with four degrees of freedom. A read is one pass over the rows; the certificate's
and those of a part of the rows are counted. The distance is the largest error over all linear
contrasts, in standard errors of the MLE, `ml.certify`'s, whoever found the estimate.

- `AutoSGD()`: as it comes.
- `SGD(...)`: ours, minibatches of 32, the best of several learning rates chosen by somebody who
  knows the answer, plain and with the average of the second half of the iterates; `CAP` epochs.
- `SGDRegressor`: scikit-learn's with its defaults, and with `average=True`. Its penalty is off,
  for it is to find the same estimate.
- `Ridge(solver="sag")`, whose penalty is zero, until it stops by itself with `tol=1e-6`.
- `Scipy("L-BFGS-B")`: ours, which is whitened by the triangle of the data beforehand, so that
  the condition number does not matter to it; and SciPy's own L-BFGS on the mean NLL.

Where an estimate is not there at the end, the reads are those that were spent.
"""

import argparse
import math
import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np
from scipy import optimize

import mlreg as ml

CAP = 100  # epochs that others get
RATES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3)
NEAR = 0.1


class Row(NamedTuple):
    """What one program did."""

    name: str
    reads: float
    distance: float
    claims: str


def data(n: int, condition: float, noise: Any, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    Q = np.linalg.qr(rng.standard_normal((19, 19)))[0]
    X = rng.standard_normal((n, 19)) @ (Q * np.geomspace(1, 1 / condition, 19)) @ Q.T
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    return X, X @ rng.standard_normal(19) + 1 + noise.sample(n, rng)


def ours(X: np.ndarray, y: np.ndarray, noise: Any) -> Iterator[Row]:
    fit = ml.fit(X, y, noise=noise, optimizer=ml.AutoSGD())
    by = ", ".join(f"{what} {reads:.2f}" for what, reads in fit.solution.reads_by.items() if reads)
    yield Row(f"AutoSGD() ({by})", fit.solution.reads, far(fit.params, X, y, noise), said(fit))
    for average in ("none", "tail"):
        yield best_of_rates(X, y, noise, average)
    fit = ml.fit(X, y, noise=noise, optimizer=ml.Scipy("L-BFGS-B"))
    yield Row('Scipy("L-BFGS-B")', fit.solution.reads, far(fit.params, X, y, noise), said(fit))
    yield plain_lbfgs(X, y, noise)


def best_of_rates(X: np.ndarray, y: np.ndarray, noise: Any, average: str) -> Row:
    """The rate that comes within `NEAR` first, or nearest at the end."""
    found: list[tuple[float, float, str, float]] = []
    for rate in RATES:
        optimizer = ml.SGD(rate, batch_size=32, epochs=CAP, average=average)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a rate that is too large says so
            fit = ml.fit(X, y, noise=noise, optimizer=optimizer)
        distance = np.where(np.isfinite(fit.history.distance), fit.history.distance, np.inf)
        there = np.flatnonzero(distance <= NEAR)
        reads = float(there[0]) if there.size else float(CAP)
        found.append((reads, float(distance[int(reads) if there.size else -1]), said(fit), rate))
    reads, distance, claim, rate = min(found)
    kind = "plain" if average == "none" else f"average: {average}"
    return Row(f"SGD({rate:g}), {kind}, best rate", reads, distance, claim)


def plain_lbfgs(X: np.ndarray, y: np.ndarray, noise: Any) -> Row:
    likelihood = ml.LinearLikelihood(np.column_stack([np.ones(len(y)), X]), y, noise=noise)
    start = np.append(np.zeros(20), math.log(np.std(y)))

    def objective(theta: np.ndarray) -> tuple[float, np.ndarray]:
        return likelihood.nll(theta) / len(y), likelihood.gradient(theta) / len(y)

    result = optimize.minimize(objective, start, jac=True, method="L-BFGS-B")
    distance = far(result.x[:-1], X, y, noise)
    return Row("SciPy's L-BFGS-B, its defaults", result.nfev, distance, result.message.lower())


def theirs(X: np.ndarray, y: np.ndarray) -> Iterator[Row]:
    if find_spec("sklearn") is None:
        print("scikit-learn is not installed")
        return
    from sklearn.linear_model import Ridge, SGDRegressor

    for name, more in (("defaults", {}), ("average=True", {"average": True})):
        model = SGDRegressor(penalty=None, random_state=0, max_iter=CAP * 10, **more).fit(X, y)
        params = np.append(model.intercept_, model.coef_)
        yield Row(f"SGDRegressor, {name}", model.n_iter_, far(params, X, y), "stopped by itself")
    model = Ridge(alpha=0.0, solver="sag", tol=1e-6, max_iter=1000, random_state=0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, y)
    params = np.append(model.intercept_, model.coef_)
    claim = "max_iter reached" if caught else "stopped by itself"
    yield Row("Ridge(alpha=0, solver='sag')", int(model.n_iter_[0]), far(params, X, y), claim)


def far(params: np.ndarray, X: np.ndarray, y: np.ndarray, noise: Any = None) -> float:
    """Distance from the MLE that Newton's method, or least squares, finds."""
    exact = ml.fit(X, y, noise=ml.Gaussian() if noise is None else noise)
    error = np.column_stack([np.ones(len(y)), X]) @ (params - exact.params)
    s = exact.residual_std_error if noise in (None, ml.Gaussian()) else exact.sigma
    return float(np.linalg.norm(error) / s * math.sqrt(exact.noise.fisher[0]))


def said(fit: Any) -> str:
    return str(fit.status.code)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--quick", action="store_true")
    n = 20_000 if parser.parse_args().quick else 100_000
    for noise in (ml.Gaussian(), ml.StudentT(4)):
        for condition in (1, 30, 1000):
            print(f"\n{noise}, condition {condition}, {n} x 20\n")
            print("| program | reads | standard errors from the MLE | it says |\n|---|---|---|---|")
            X, y = data(n, condition, noise)
            rows = list(ours(X, y, noise))
            if noise == ml.Gaussian():
                rows += list(theirs(X, y))
            for row in rows:
                print(
                    f"| {row.name} | {row.reads:.3g} | {row.distance:.2g} | {row.claims} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
