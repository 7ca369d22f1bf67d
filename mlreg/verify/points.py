"""Anybody's likelihood: in which coordinates it is, and the points that it is tried at."""

from collections.abc import Callable
from dataclasses import dataclass
from math import exp, log
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlreg.verify.kit import called

__all__ = ["Likelihood", "Point", "Scale", "code", "points"]

F64 = NDArray[np.float64]
Scale = Literal["log sigma", "sigma", "1/sigma"]


@dataclass(frozen=True, eq=False)
class Likelihood:
    """Functions of (θ, X, y) to be held to the laws; θ = (β, log σ), or (β, σ).

    Attributes
    ----------
    nll, gradient, hessian : callable
        Sums over the rows; None where there is none.
    scale : str
        What θ is: (β, log σ), (β, σ) or (β/σ, 1/σ).
    weights : str or None
        What a fourth argument means.
    convex : bool
        Whether the NLL is declared to be a convex function of θ.
    """

    nll: Callable[..., Any]
    gradient: Callable[..., Any] | None
    hessian: Callable[..., Any] | None
    scale: Scale
    weights: Literal["frequency", "precision"] | None
    convex: bool

    def theta(self, beta: F64, log_sigma: float) -> F64:
        """θ of β and log σ."""
        if self.scale == "1/sigma":
            return np.append(beta, 1.0) * exp(-log_sigma)
        return np.append(beta, log_sigma if self.scale == "log sigma" else exp(log_sigma))

    def split(self, theta: F64) -> tuple[F64, float]:
        """β and log σ of θ."""
        if self.scale == "1/sigma":
            return theta[:-1] / theta[-1], -log(theta[-1])
        return theta[:-1], float(theta[-1]) if self.scale == "log sigma" else log(theta[-1])


class Point(NamedTuple):
    """Rows and parameters."""

    X: F64
    y: F64
    theta: F64
    moved: Any = None


def points(kind: str = "") -> Callable[[Likelihood], Any]:
    """A strategy of points: eighths, so that examples are short, and rarely on a kink."""

    def draw(subject: Likelihood) -> Any:
        from hypothesis import strategies as st

        eighths = st.integers(-40, 40).map(lambda k: k / 8 + 1 / 1024)

        @st.composite
        def each(draw: Any) -> Point:
            n, p = draw(st.integers(2, 6)), draw(st.integers(1, 3))
            X = [draw(st.lists(eighths, min_size=p, max_size=p)) for _ in range(n)]
            y = draw(st.lists(eighths, min_size=n, max_size=n))
            beta = draw(st.lists(eighths, min_size=p, max_size=p))
            theta = subject.theta(np.array(beta), draw(st.integers(-8, 8)) / 4)
            moved = {
                "": st.none(),
                "cut": st.integers(1, n - 1),
                "order": st.permutations(range(n)),
                "unit": st.integers(-10, 10),
                "shift": st.lists(st.integers(-3, 3), min_size=p, max_size=p),
                "copies": st.lists(st.integers(0, 3), min_size=n, max_size=n).map(
                    lambda k: k if any(k) else [1] * n
                ),
                "size": st.integers(1, n),
            }[kind]
            return Point(np.array(X), np.array(y), theta, draw(moved))

        return each()

    return draw


def code(subject: Likelihood, point: Point) -> str:
    """The point as code, for a reader to run."""
    lines = [
        "import numpy as np",
        f"X = np.array({point.X.tolist()})",
        f"y = np.array({point.y.tolist()})",
        f"theta = np.array({point.theta.tolist()})",
        f"{called(subject.nll)}(theta, X, y)",
    ]
    return "\n".join([*lines, *([] if point.moved is None else [f"# moved: {point.moved}"])])
