"""Many more problems than a test run has, fresh ones, on everything that is right.

    python tests/verify/nightly.py                     100 000 checks
    python tests/verify/nightly.py --minutes 4 --seed 7

A check is a law tried on a problem. Whatever is tried here is right, so a law that breaks is a
false alarm of its bound, or a fault of ours: the problem is printed, and the exit status is 1. The
worst ratio of each law, observed over allowed, says how much room its bound has left.
"""

import argparse
import secrets
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np

import mlreg as ml
from mlreg import verify
from mlreg.likelihood.blocks import ArraySource
from mlreg.verify import exact
from mlreg.verify.recognise import CHECKS


def ours(X: Any, y: Any, k: Any = None) -> Any:
    """This package's fit, of frequencies."""
    return ml.fit(X, y, intercept=False, frequency_weights=k)


def rational(X: Any, y: Any, w: Any = None) -> Any:
    """The same in rational arithmetic."""
    found = exact.least_squares(X, y, None if w is None else w.tolist())
    n = len(y) if w is None else int(w.sum())
    p = len(found.params)
    errors = None
    if n > p:
        s2 = found.rss / (n - p)
        errors = [float(s2 * row[j]) ** 0.5 for j, row in enumerate(found.inverse)]
    return SimpleNamespace(params=[float(b) for b in found.params], std_errors=errors)


def of_noise(noise: Any, weights: str) -> list[Callable[..., Any]]:
    """The NLL of a noise, its gradient and, where it is smooth, its Hessian."""

    def of(part: str) -> Callable[..., Any]:
        def function(theta: Any, X: Any, y: Any, w: Any = None) -> Any:
            given = {} if w is None else {weights: w}
            source = ArraySource(X, y, **given)
            return getattr(ml.LinearLikelihood.from_source(source, noise), part)(theta)

        return function

    return [of(part) for part in ("nll", "gradient", "hessian")[: 3 if noise.smooth else 2]]


def t_intervals(X: Any, y: Any, level: float) -> Any:
    """This package's intervals."""
    return ml.fit(X, y, intercept=False).conf_int(level)


def but(kind: str, *names: str) -> list[str]:
    """The laws of a kind without some."""
    return [p.law.name for p in CHECKS[kind][1] if p.law.name not in names]


def subjects(rng: np.random.Generator) -> Iterator[tuple[str, str, Any, dict[str, Any]]]:
    """(name, kind, object, options) of everything that is right, in shapes drawn anew."""
    from mlreg.sklearn import MaximumLikelihoodRegressor

    k, df = round(rng.uniform(0.3, 4), 3), round(rng.uniform(1, 30), 3)
    for noise in (ml.Gaussian(), ml.Laplace(), ml.Logistic(), ml.Huber(k), ml.StudentT(df)):
        yield repr(noise), "noise", noise, {}
        for weights in ("frequency", "precision"):
            parts = of_noise(noise, weights)
            more = dict(zip(("gradient", "hessian"), parts[1:], strict=False))
            yield f"{noise!r}, {weights}", "likelihood", parts[0], {**more, "weights": weights}
    for optimizer in (ml.Exact(), ml.Newton(), ml.Scipy(), ml.AutoSGD(seed=int(rng.integers(99)))):
        yield repr(optimizer), "optimizer", optimizer, {}
    sgd = ml.SGD(0.02, batch_size=2, epochs=3)  # it need not arrive, but must not say so
    yield repr(sgd), "optimizer", sgd, {"laws": but("optimizer", "easy_problems_are_solved")}
    yield "fit", "regressor", ours, {"weights": "frequency"}
    for weights in ("precision", "frequency"):
        estimator = MaximumLikelihoodRegressor(weights=weights)
        yield repr(estimator), "regressor", estimator, {"weights": weights}
    full_rank = but("regressor", "fitted_values_survive_dependent_columns")
    yield "rational", "regressor", rational, {"weights": "frequency", "laws": full_rank}
    level = round(rng.uniform(0.5, 0.99), 3)
    yield f"intervals of {level}", "intervals", t_intervals, {"level": level, "replicates": 2000}


EXAMPLES = {"likelihood": 20, "optimizer": 25, "regressor": 60}


def main(argv: list[str]) -> int:
    """Rounds of checks, each with a seed of its own, until there are enough."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--checks", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=None, help="drawn anew where it is not given")
    parser.add_argument("--minutes", type=float, default=np.inf, help="stop then at the latest")
    given = parser.parse_args(argv)
    seed = secrets.randbelow(2**32) if given.seed is None else given.seed
    rng = np.random.default_rng(seed)
    tried: Counter[str] = Counter()
    worst: dict[str, float] = {}
    alarms, start = 0, time.perf_counter()

    def enough() -> bool:
        late = time.perf_counter() - start > 60 * given.minutes
        return late or tried.total() >= given.checks

    while not enough():
        all_of_them = list(subjects(rng))
        rng.shuffle(all_of_them)  # so that a short run has some of each
        for name, kind, subject, options in all_of_them:
            more = {"examples": EXAMPLES[kind], "shrink": False} if kind in EXAMPLES else {}
            if kind != "noise":
                more["seed"] = int(rng.integers(2**32))
            for outcome in verify.check(subject, kind, **options, **more):  # type: ignore[arg-type]
                tried[outcome.law] += outcome.tried
                worst[outcome.law] = max(worst.get(outcome.law, 0.0), outcome.ratio)
                if outcome.verdict == "broken":
                    alarms += 1
                    print(f"{name}, seed {more.get('seed')}:\n{outcome}", flush=True)
            if enough():
                break
    width = max(map(len, tried))
    for law_name, ratio in sorted(worst.items(), key=lambda item: -item[1]):
        print(f"{law_name:<{width}}  {tried[law_name]:>7}  {ratio:.2g}")
    seconds = time.perf_counter() - start
    print(f"seed {seed}: {tried.total()} checks, {alarms} false alarms, {seconds:.0f} s")
    return int(alarms > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
