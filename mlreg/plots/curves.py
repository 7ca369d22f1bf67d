"""What a figure of descents needs of a fit, a solution or a run."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlreg.certificate import LeastSquares
from mlreg.errors import InvalidInput, InvalidType
from mlreg.estimate import Fit
from mlreg.optimizers.solution import History, Solution
from mlreg.plots.watching import Run

__all__ = ["Curve", "Result", "curves_of"]

F64 = NDArray[np.float64]
Result = Fit | Solution | Run


@dataclass(frozen=True, eq=False)
class Curve:
    """One line of a figure.

    Attributes
    ----------
    label, unit : str
        What it is, and what one step of ``x`` is.
    x : ndarray, shape (m,)
        Steps, or passes.
    history : History
        What is drawn, at the same points.
    names : tuple of str
        Of the coefficients.
    seconds, least_squares, plateau
        As of a `Run`; None where they are not known.
    """

    label: str
    unit: str
    x: F64
    history: History
    names: tuple[str, ...]
    seconds: F64 | None = None
    least_squares: LeastSquares | None = None
    plateau: float | None = None

    @property
    def whole(self) -> NDArray[np.intp]:
        """Points at the end of a step or pass, and the last one."""
        at_end = self.x == np.round(self.x)
        at_end[-1] = True
        return np.flatnonzero(at_end)

    @property
    def minimum(self) -> float | None:
        """Mean NLL of the MLE, which the distance of any point tells, Eqs. (5.4) and (5.1)."""
        ls, past = self.least_squares, self.history
        if ls is None or ls.perfect or not math.isfinite(past.mean_nll[-1]):
            return None
        gap = math.log(math.hypot(1, past.distance[-1] / math.sqrt(ls.df_resid)))
        return float(past.mean_nll[-1]) - gap


def curves_of(results: Sequence[Result], labels: Sequence[str] | None) -> list[Curve]:
    """The lines of a figure, with labels that are given or made up.

    Raises
    ------
    InvalidInput
        No result, or not a label for each.
    InvalidType
        Something that is no result.
    """
    if not results:
        raise InvalidInput("there is nothing to draw: give fits, solutions, or runs of watch")
    if labels is not None and (isinstance(labels, str) or len(labels) != len(results)):
        raise InvalidInput(f"labels must be {len(results)} texts, one for each result")
    named = [str(label) for label in labels] if labels is not None else _labels(results)
    return [_curve(result, label) for result, label in zip(results, named, strict=True)]


def _labels(results: Sequence[Result]) -> list[str]:
    """Names of the optimizers, numbered where they repeat."""
    plain = [
        r.label
        if isinstance(r, Run)
        else r.optimizer.split("(")[0]
        if isinstance(r, Fit)
        else "fit"
        for r in results
    ]
    often, seen = Counter(plain), Counter[str]()
    for i, name in enumerate(plain):
        if often[name] > 1:
            seen[name] += 1
            plain[i] = f"{name} ({seen[name]})"
    return plain


def _curve(result: Result, label: str) -> Curve:
    if isinstance(result, Run):
        return Curve(
            label, "pass", result.passes, result.history, result.names, result.seconds,
            result.least_squares, result.plateau,
        )  # fmt: skip
    if not isinstance(result, (Fit, Solution)):
        raise InvalidType(
            f"a figure takes fits, solutions, or runs of watch; not {type(result).__name__}"
        )
    past = result.history
    ls = result.least_squares if isinstance(result, Fit) else None
    x = np.arange(len(past.mean_nll), dtype=np.float64)
    return Curve(label, past.unit, x, past, result.certificate.names, least_squares=ls)
