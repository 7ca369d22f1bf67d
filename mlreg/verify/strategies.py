"""Hypothesis strategies for regression problems: exact, conditioned, in any units.

Small integers and a seed are drawn and NumPy expands them, so that examples are
made quickly and shrink well. Nothing is drawn and then rejected for its
conditioning: the designs are constructed.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from mlreg.verify.exact import Rational, least_squares

__all__ = [
    "Dependent",
    "Problem",
    "dependent_designs",
    "designs",
    "exact_ols",
    "frequency_weights",
    "precision_weights",
]

F64 = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Problem:
    """A regression problem; its exact solution is worked out when asked for.

    Attributes
    ----------
    X : ndarray, shape (n, p)
        Design matrix; column 0 is all ones.
    y : ndarray, shape (n,)
        Response.
    known : Rational, optional
        The exact solution, where the construction knows it.
    """

    X: F64
    y: F64
    known: Rational | None = None

    @property
    def exact(self) -> Rational:
        """Exact least-squares solution of the float64 numbers in X and y."""
        return self.known or least_squares(self.X, self.y)

    def __repr__(self) -> str:  # what Hypothesis prints: pasteable
        return f"Problem(X=np.array({self.X.tolist()}), y=np.array({self.y.tolist()}))"


def _hadamard(n: int) -> NDArray[np.int64]:
    """Sylvester's matrix of ±1 with orthogonal columns, n a power of two."""
    H = np.ones((1, 1), dtype=np.int64)
    while len(H) < n:
        H = np.block([[H, H], [H, -H]])
    return H


@st.composite
def exact_ols(draw: Any, max_shear: int = 1000) -> Problem:
    """Integer designs whose MLE, RSS and covariance are known exactly.

    X = H_S·M with H_S columns of a Hadamard matrix and M a product of integer
    shears, y = H_S b + H_rest e: then β̂ = M⁻¹b, RSS = n·eᵀe, (XᵀX)⁻¹ = M⁻¹M⁻ᵀ/n.
    The shears set the conditioning, and put offsets on the columns.

    Parameters
    ----------
    max_shear : int
        Largest multiple of one column that is added to another.
    """
    n = 2 ** draw(st.integers(1, 5))
    p = draw(st.integers(1, min(n - 1, 5)))
    H = _hadamard(n)
    M, inverse = np.eye(p, dtype=object), np.eye(p, dtype=object)
    for _ in range(draw(st.integers(0, 4)) if p > 1 else 0):
        j, i = draw(st.permutations(range(p)))[:2]
        if j == 0:
            continue  # column 0 stays the column of ones
        c = draw(st.sampled_from([1, -1, 2, -3, 10, max_shear]))
        M[:, j] = M[:, j] + c * M[:, i]
        inverse[i] = inverse[i] - c * inverse[j]
    b = np.array(draw(st.lists(st.integers(-100, 100), min_size=p, max_size=p)), dtype=object)
    e = np.array(draw(st.lists(st.integers(-9, 9), min_size=n - p, max_size=n - p)), dtype=object)
    if not e.any():
        e[0] = 1
    X = H[:, :p].astype(object) @ M
    y = H[:, :p].astype(object) @ b + H[:, p:].astype(object) @ e

    G = inverse @ inverse.T
    known = Rational(
        tuple(Fraction(int(v)) for v in inverse @ b),
        Fraction(n * int(e @ e)),
        tuple(tuple(Fraction(int(g), n) for g in row) for row in G),
    )
    return Problem(X.astype(np.float64), y.astype(np.float64), known)


@st.composite
def designs(
    draw: Any,
    max_log_condition: float = 6.0,
    max_log_unit: int = 9,
    max_offset: float = 0.0,
    max_rows: int = 40,
) -> Problem:
    """Designs of a given conditioning, in any units, about any offset.

    Parameters
    ----------
    max_log_condition : float
        The condition number of the columns, before offsets and units, is up to ten to this power.
    max_log_unit : int
        The columns and the response are in units of ten to the power ± this.
    max_offset : float
        Means of the columns, in standard deviations.
    max_rows : int
        Largest number of rows.
    """
    k = draw(st.integers(1, 4))
    n = draw(st.integers(k + 3, max_rows))
    log_condition = draw(st.floats(0, max_log_condition))
    units = [10.0 ** draw(st.integers(-max_log_unit, max_log_unit)) for _ in range(k + 1)]
    offset = draw(st.floats(0, max_offset))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    left, _ = np.linalg.qr(rng.standard_normal((n, k)))
    right, _ = np.linalg.qr(rng.standard_normal((k, k)))
    columns = np.sqrt(n) * (left * np.logspace(0, -log_condition, k)) @ right + offset
    slopes = rng.standard_normal(k)
    noise = 10.0 ** draw(st.integers(-3, 2)) * rng.standard_normal(n)
    y = (rng.standard_normal() + columns @ slopes + noise) * units[-1]
    X = np.column_stack([np.ones(n), columns * units[:-1]])
    return Problem(X, y)


@dataclass(frozen=True, eq=False)
class Dependent:
    """A design with one dependent column more than a problem of full rank.

    Attributes
    ----------
    problem : Problem
        The columns without it.
    X : ndarray, shape (n, p + 1)
        The columns with it.
    column : int
        Where it stands.
    """

    problem: Problem
    X: F64
    column: int


@st.composite
def dependent_designs(draw: Any) -> Dependent:
    """Integer designs with a column that is an exact integer combination of earlier ones."""
    problem = draw(exact_ols(max_shear=10))
    p = problem.X.shape[1]
    column = draw(st.integers(1, p))
    combination = draw(st.lists(st.integers(-3, 3), min_size=column, max_size=column))
    extra = problem.X[:, :column] @ np.array(combination, dtype=float)
    X = np.column_stack([problem.X[:, :column], extra, problem.X[:, column:]])
    return Dependent(problem, X, column)


@st.composite
def frequency_weights(draw: Any, n: int, largest: int = 4) -> F64:
    """Whole numbers, zeros among them, that leave at least half of the rows."""
    w = np.array(draw(st.lists(st.integers(0, largest), min_size=n, max_size=n)), dtype=float)
    w[: (n + 1) // 2] = np.maximum(w[: (n + 1) // 2], 1)
    return w


@st.composite
def precision_weights(draw: Any, n: int) -> F64:
    """Positive weights over twelve decades."""
    powers = draw(st.lists(st.integers(-6, 6), min_size=n, max_size=n))
    return np.asarray(10.0 ** np.array(powers, dtype=float))
