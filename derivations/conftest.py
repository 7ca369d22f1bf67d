"""The loop: each page is a test. A display is read, and the Python below it holds it to account.

In a page's Python, ``side``, ``size``, ``holds`` and ``agree`` speak of the display last read;
``eq("1.4")`` speaks of any other. See latex.py for what they compute.
"""

import importlib.util
import math
import os
import re
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import sympy as sp
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sybil import Document, Example, Sybil
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser

HERE = Path(__file__).resolve().parent
HEADING = re.compile(r"^### \((\d+\.\d+)\) ", re.MULTILINE)
U = 2.0**-53  # unit roundoff of float64
DIGITS = 60  # of the exact values: what agrees to 1e-40 is the same

_spec = importlib.util.spec_from_file_location("derivations_latex", HERE / "latex.py")
assert _spec is not None
assert _spec.loader is not None
latex = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(latex)


def exact(a: Any) -> Any:
    """Floats, without rounding, as SymPy numbers of 60 digits; arrays as matrices."""
    if isinstance(a, dict):
        return {k: exact(v) for k, v in a.items()}
    if isinstance(a, np.ndarray) and a.ndim:
        return sp.Matrix(a.tolist()).applyfunc(lambda v: sp.Float(v, DIGITS))
    return sp.Float(float(a), DIGITS) if isinstance(a, (float, np.floating)) else a


def names(X: Any, y: Any, beta: Any, **others: Any) -> dict[str, Any]:
    """What the displays call the parts of a model; x is the rows of X, as columns."""
    n, p = X.shape
    rows = [X[i, :].T for i in range(n)]
    return {"X": X, "y": y, "beta": beta, "x": rows, "n": n, "p": p, "m": n, **others}


def symbolic(n: int = 3, p: int = 2) -> dict[str, Any]:
    """A model of symbols; sigma is exp(gamma), so that SymPy differentiates in gamma."""
    X = sp.Matrix(n, p, lambda i, j: sp.Symbol(f"x{i}{j}", real=True))
    y = sp.Matrix(n, 1, lambda i, _: sp.Symbol(f"y{i}", real=True))
    beta = sp.Matrix(p, 1, lambda j, _: sp.Symbol(f"b{j}", real=True))
    gamma = sp.Symbol("gamma", real=True)
    return names(X, y, beta, gamma=gamma, sigma=sp.exp(gamma))


# A page's check runs at points that Hypothesis chooses: the same ones each time, or, with
# HYPOTHESIS_PROFILE=nightly, many and new ones. Shrinking could not make a seed any simpler.
NIGHTLY = os.environ.get("HYPOTHESIS_PROFILE") == "nightly"
MOST = 1000  # points of one check at most
seeds = st.integers(0, 2**32 - 1)


def for_all(
    *strategies: Any, examples: int = 3
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Run the function below at once, at random points of these strategies."""

    def run(check: Callable[..., None]) -> Callable[..., None]:
        settings(
            max_examples=min(50 * examples if NIGHTLY else examples, MOST),
            derandomize=not NIGHTLY,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        )(given(*strategies)(check))()
        return check

    return run


class Model(SimpleNamespace):
    """A model whose name says how to make it again."""

    def __repr__(self) -> str:
        return f"{self.made_by}({self.seed}, n={len(self.y)}, p={len(self.beta)})"


def models(n: int = 6, p: int = 3) -> Any:
    """Models of random numbers: float64 arrays for mlreg, and the same exactly for the display.

    ``by_sigma`` takes σ as given and γ = log σ; ``by_gamma`` takes γ as given and σ = exp γ.
    ``k`` and ``w`` are frequency and precision weights. Column 0 is all ones.
    """
    return seeds.map(lambda seed: model(seed, n, p))


@lru_cache(maxsize=512)
def model(seed: int, n: int = 6, p: int = 3) -> Model:
    """One of ``models``."""
    rng = np.random.default_rng(seed)
    X = np.column_stack([np.ones(n), rng.normal(size=(n, p - 1))])
    beta, y = rng.normal(size=p), rng.normal(size=n)
    sigma = float(rng.uniform(0.5, 2))
    gamma = math.log(sigma)
    k, w = rng.integers(1, 5, n).astype(float), rng.uniform(0.5, 2, n)
    parts = exact({"X": X, "y": y, "beta": beta, "k": k, "w": w})
    by_sigma = names(**parts, sigma=exact(sigma), gamma=sp.log(exact(sigma)))
    by_gamma = names(**parts, gamma=exact(gamma), sigma=sp.exp(exact(gamma)))
    theta = np.append(beta, gamma)
    return Model(
        seed=seed,
        made_by="model",
        **{"X": X, "y": y, "beta": beta, "sigma": sigma, "theta": theta, "k": k, "w": w},
        **{"by_sigma": by_sigma, "by_gamma": by_gamma, "solved": _solve(by_sigma)},
    )


def whole_models(n: int = 7, p: int = 2) -> Any:
    """The same of whole numbers, whose sums float64 holds exactly: X, y, beta, and ``exactly``."""
    return seeds.map(lambda seed: whole_model(seed, n, p))


@lru_cache(maxsize=512)
def whole_model(seed: int, n: int = 7, p: int = 2) -> Model:
    """One of ``whole_models``."""
    rng = np.random.default_rng(seed)
    while True:
        X = np.column_stack([np.ones(n), rng.integers(-4, 5, (n, p - 1))])
        y, beta = (rng.integers(-4, 5, m).astype(float) for m in (n, p))
        if np.linalg.matrix_rank(np.column_stack([X, y])) == p + 1:
            break
    exactly = names(*(sp.Matrix(a.astype(int).tolist()) for a in (X, y, beta)))
    return Model(seed=seed, made_by="whole_model", X=X, y=y, beta=beta, exactly=exactly)


def solved(c: SimpleNamespace) -> dict[str, Any]:
    """The names of a case with the exact least-squares solution, and what follows from it."""
    return dict(c.solved)


def _solve(point: dict[str, Any]) -> dict[str, Any]:
    X, y, beta = (point[name] for name in ("X", "y", "beta"))
    n, p = X.shape
    G = (X.T * X).inv()
    best = G * X.T * y
    RSS = ((y - X * best).T * (y - X * best))[0]
    return point | {
        "beta_hat": best,
        "Delta": beta - best,
        "r": y - X * beta,
        "R": (X.T * X).cholesky().T,
        "G": G,
        "RSS_min": RSS,
        "s": sp.sqrt(RSS / (n - p)),
    }


def rounding_of(c: SimpleNamespace, epsilon: float) -> float:
    """Relative error of lengths that come from columns of relative error epsilon, first order.

    The columns' condition, times what beta and y exceed the residuals by: these cancel.
    """
    point = solved(c)
    terms = point["y"].norm() + (abs(point["X"]) * abs(point["beta"])).norm()
    excess = 1 + terms / sp.sqrt(point["RSS_min"])
    return float(20 * np.linalg.cond(c.X) * epsilon * excess)


def zero(a: Any) -> bool:
    """Whether every entry vanishes identically."""
    entries = list(a) if isinstance(a, sp.MatrixBase) else [a]
    return all(sp.expand(sp.expand_log(sp.sympify(v), force=True)) == 0 for v in entries)


def near(code: Any, value: Any, bound: Any) -> bool:
    """Whether |code − value| ≤ bound, entry by entry; code is float64, value exact."""
    got, want, most = (_entries(a) for a in (code, value, bound))
    most = most * len(got) if len(most) == 1 else most
    assert len(got) == len(want) == len(most), (len(got), len(want), len(most))
    return all(abs(g - v) <= b for g, v, b in zip(got, want, most, strict=True))


def _entries(a: Any) -> list[Any]:
    if isinstance(a, (sp.MatrixBase, np.ndarray, list, tuple)):
        return [sp.N(exact(v), DIGITS) for v in (a.ravel() if isinstance(a, np.ndarray) else a)]
    return [sp.N(exact(a), DIGITS)]


def _agree(text: str, code: Any, k: int, /, *, roundings: float, **values: Any) -> bool:
    """Code equals side k up to ``roundings`` relative errors u in each of its terms."""
    most = latex.size(text, k, **values) * roundings * U
    return near(code, latex.side(text, k, **values), most)


def display(text: str) -> dict[str, Any]:
    """The functions that speak of one display."""
    latex.sides(text)  # readable at all
    functions = {f: partial(getattr(latex, f), text) for f in ("side", "size", "holds")}
    return {"latex": text, "agree": partial(_agree, text), **functions}


@lru_cache
def eq(number: str) -> SimpleNamespace:
    """The display of another equation."""
    for page in HERE.glob("[0-9]*-*.md"):
        _, *parts = HEADING.split(page.read_text(encoding="utf-8"))
        if number in parts[::2]:
            section = parts[2 * parts[::2].index(number) + 1]
            return SimpleNamespace(**display(section.split("```math\n")[1].split("```")[0]))
    raise KeyError(number)


def _read(example: Example) -> None:
    example.namespace.update(display(str(example.parsed)))


def _setup(namespace: dict[str, Any]) -> None:
    helpers = (exact, names, symbolic, for_all, models, whole_models, model, whole_model)
    helpers += (solved, rounding_of, zero, near, eq)
    namespace.update({h.__name__: h for h in helpers}, np=np, sp=sp, st=st, U=U)


sybil = Sybil(
    parsers=[CodeBlockParser("math", _read), PythonCodeBlockParser()],
    patterns=["*.md"],
    setup=_setup,
)
pytest_collect_file = sybil.pytest()


def run_page(path: Path) -> Iterator[tuple[Document, Example]]:
    """The examples of a page, for a caller that evaluates them itself."""
    document = sybil.parse(path)
    _setup(document.namespace)
    for example in document.examples():
        yield document, example
