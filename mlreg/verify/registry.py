"""What a law is, and the list of all of them.

A law is a function that takes what it judges and returns the largest ratio of
an observed deviation to the allowed one; above one it raises `LawViolation`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, Literal, ParamSpec

import numpy as np
from numpy.typing import NDArray

__all__ = ["LAWS", "Law", "LawViolation"]

F64 = NDArray[np.float64]
P = ParamSpec("P")
U = 2.0**-53
Kind = Literal["exact", "bounded", "stochastic"]


class LawViolation(AssertionError):
    """A law does not hold; the message has the law, the ratio and where."""


@dataclass(frozen=True)
class Law:
    """A law by name: its statement, its kind, the equations that it tests, and its check.

    ``check`` returns the largest of the ratios that ``ratios`` computes, or raises.
    """

    name: str
    statement: str
    kind: Kind
    equations: tuple[str, ...]
    check: Callable[..., float]
    ratios: Callable[..., Any]


LAWS: dict[str, Law] = {}


def law(kind: Kind, *equations: str) -> Callable[[Callable[P, Any]], Callable[P, float]]:
    """Register a law; its docstring's first line is the statement."""

    def register(function: Callable[P, Any]) -> Callable[P, float]:
        statement = (function.__doc__ or "").splitlines()[0]

        @wraps(function)
        def check(*args: P.args, **kwargs: P.kwargs) -> float:
            ratio = np.asarray(function(*args, **kwargs), dtype=np.float64)
            worst = float(ratio.max(initial=0.0))
            if not worst <= 1:  # NaN is a violation too
                where = np.argwhere(~(ratio <= 1))[0].tolist()
                raise LawViolation(
                    f"{function.__name__} ({kind}): {statement} "
                    f"Observed over allowed: {worst:.3g}, at {where}"
                )
            return worst

        LAWS[function.__name__] = Law(
            function.__name__, statement, kind, equations, check, function
        )
        return check

    return register


def ratio_of(observed: Any, allowed: Any) -> F64:
    """Observed over allowed deviation; 0/0 is 0, so that exact agreement always passes."""
    observed, allowed = np.broadcast_arrays(np.abs(observed), np.abs(allowed))
    out = np.zeros(observed.shape)
    np.divide(observed, allowed, out=out, where=(observed != 0) & (allowed != 0))
    return np.where((observed != 0) & (allowed == 0), np.inf, out)
