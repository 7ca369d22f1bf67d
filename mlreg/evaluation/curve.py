"""Learning curves: the loss on unseen rows against the number of rows that were fitted."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma

from mlreg.checks import whole
from mlreg.errors import InvalidInput
from mlreg.estimate import Fit
from mlreg.evaluation.measures import Measure, measures
from mlreg.evaluation.rows import Rows, about, heard, noted
from mlreg.evaluation.splits import held_out
from mlreg.files import plain
from mlreg.frames import data_frame

__all__ = ["LearningCurve", "excess_nll", "excess_square", "learning_curve"]

F64 = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LearningCurve:
    """Loss on unseen rows against the number of rows that were fitted, Eq. (13.13).

    As n grows the loss is limit + slope/n. The slope is fitted to the curve, and beside it stands
    what the theory of a model that is true says; the two apart by several standard errors are a
    sign that the model is not. The standard errors are from the repeats, which share their rows:
    they are approximate.

    Attributes
    ----------
    sizes : ndarray of int, shape (m,)
        Rows fitted.
    nll, mse : ndarray, shape (repeats, m)
        Mean NLL and mean squared error, on the same unseen rows for all sizes of a repeat.
    nll_slope, mse_slope : Measure
        Fitted slopes.
    nll_limit, mse_limit : float
        Fitted losses at n = ∞.
    expected_nll_slope : float
        (p + q)/2: coefficients and parameters of the noise, whatever the noise. NaN with a prior.
    expected_mse_slope : float
        σ²p/a, a the Fisher constant of the noise's location, 1 for the Gaussian; σ² is estimated
        at the largest size. NaN with a prior, a scale design or a transform.
    not_converged : int
        Fits that are not the MLE of their rows.
    notes : tuple of str
        What must be known to read the numbers.
    """

    sizes: NDArray[np.int64]
    nll: F64
    mse: F64
    nll_slope: Measure
    mse_slope: Measure
    nll_limit: float
    mse_limit: float
    expected_nll_slope: float
    expected_mse_slope: float
    not_converged: int
    notes: tuple[str, ...]

    @property
    def rmse(self) -> F64:
        """Root of `mse`, shape (repeats, m)."""
        return np.sqrt(self.mse)

    def __str__(self) -> str:
        columns = self._columns()
        lines = [f"{'rows':>8}{'mean NLL':>13}{'std. error':>12}{'MSE':>13}{'std. error':>12}"]
        for row in zip(*columns.values(), strict=True):
            n, nll, nll_error, mse, mse_error = row
            lines.append(f"{n:>8}{nll:>13.5g}{nll_error:>12.2g}{mse:>13.5g}{mse_error:>12.2g}")
        for name, slope, limit, expected in (
            ("mean NLL", self.nll_slope, self.nll_limit, self.expected_nll_slope),
            ("MSE", self.mse_slope, self.mse_limit, self.expected_mse_slope),
        ):
            text = f"{name} as n grows: {limit:.5g} + {slope.value:.3g}/n"
            text += f" (slope give or take {slope.std_error:.2g}"
            theory = math.isfinite(expected)
            lines.append(text + (f"; in theory {expected:.3g})" if theory else ")"))
        return "\n".join([*lines, *self.notes])

    def _columns(self) -> dict[str, Any]:
        count = np.sqrt(len(self.nll))
        with np.errstate(all="ignore"):
            columns: dict[str, Any] = {"n_rows": self.sizes}
            for name, values in (("nll", self.nll), ("mse", self.mse)):
                columns[name] = values.mean(axis=0)
                spread = values.std(axis=0, ddof=1) if len(values) > 1 else values[0] * math.nan
                columns[f"{name}_std_error"] = spread / count
        return columns

    def to_frame(self) -> Any:
        """A row for each size: means over the repeats, and their standard errors."""
        columns = self._columns()
        return data_frame(columns, columns.pop("n_rows"), "n_rows")

    def to_dict(self) -> dict[str, Any]:
        """Everything, as plain numbers and strings."""
        slopes = {n: getattr(self, n)._asdict() for n in ("nll_slope", "mse_slope")}
        return dict(plain({**vars(self), **slopes}))


def learning_curve(
    X: Any,
    y: Any = None,
    /,
    *,
    sizes: int | Sequence[int] = 8,
    repeats: int = 10,
    test: float = 0.25,
    groups: Any = None,
    seed: int = 0,
    **options: Any,
) -> LearningCurve:
    """Loss on unseen rows against the number of rows that were fitted, Eq. (13.13).

    In each repeat rows are held out at random, and larger and larger parts of the others, each with
    the one before in it, are fitted and evaluated on them.

    Parameters
    ----------
    X, y
        Data in memory, as for `mlreg.fit`.
    sizes : int, or sequence of int
        Numbers of rows to fit; or how many sizes, evenly spaced on a logarithmic scale from ten
        rows for each column to all that are not held out.
    repeats : int
        How often rows are held out anew.
    test : float
        Share of the rows that is held out, between 0 and 1.
    groups : array of labels, shape (n,), or column name, optional
        Rows of a group are held out together.
    seed : int
        Of the order of the rows.
    **options
        As for `mlreg.fit`.

    Returns
    -------
    LearningCurve

    Raises
    ------
    InvalidInput, InvalidType, RankDeficient
        As `mlreg.fit`, with the size at which it happened.

    Notes
    -----
    Slope and limit of each repeat are those of the least-squares line through its losses against
    the excess loss that theory says: `excess_nll` and `excess_square`.

    Examples
    --------
    >>> import numpy as np, mlreg as ml
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(4000, 9))
    >>> y = X.sum(axis=1) + 2 * rng.normal(size=4000)
    >>> curve = ml.learning_curve(X, y, repeats=40)
    >>> round(curve.mse_slope.value), round(curve.mse_slope.std_error)
    (41, 3)
    >>> round(curve.expected_mse_slope)  # ten coefficients, and a variance of about four
    42
    """
    seeds = np.random.SeedSequence(whole(seed, "seed", 0))
    each = seeds.generate_state(2 * whole(repeats, "repeats", 1)).reshape(-1, 2).tolist()
    rows = Rows(X, y, options)
    numbers = rows.groups(groups)
    parts = []
    for of_test, of_order in each:
        out = held_out(rows.n_given, test, numbers, True, of_test)[rows.usable]
        order = np.random.default_rng(of_order).permutation(rows.usable[~out])
        parts.append((order, rows.usable[out]))
    most, p = min(len(order) for order, _ in parts), len(rows.source.names)
    at = _sizes(sizes, p, most)
    nll, mse = np.empty((repeats, len(at))), np.empty((repeats, len(at)))
    said: list[str] = []
    last, odd = [], 0
    for r, (order, test_rows) in enumerate(parts):
        for i, n in enumerate(at):
            with heard(said), about(f"repeat {r}, {n} rows", ". Begin with more rows, by sizes="):
                made = rows.fit(np.sort(order[:n]))
                found = measures(rows.score(made, test_rows, 0.95))
            nll[r, i], mse[r, i] = found.nll.value, found.mse.value
            odd += made.status.code != "converged"
        last.append(made)
    notes = [f"{odd} of {nll.size} fits are not the MLE of their rows"] if odd else []
    d, variance = last[0].n_parameters, float(np.mean([_variance(made) for made in last]))
    p = last[0].rank
    exact = last[0].exact
    nll_ratio, nll_limit = _lines(nll, [excess_nll(int(n), p, d, exact) for n in at])
    mse_ratio, mse_limit = _lines(mse, [excess_square(int(n), p, exact) for n in at])
    return LearningCurve(
        sizes=at,
        nll=nll,
        mse=mse,
        nll_slope=Measure(nll_ratio.value * d / 2, nll_ratio.std_error * d / 2),
        mse_slope=Measure(mse_ratio.value * p, mse_ratio.std_error * p),
        nll_limit=nll_limit,
        mse_limit=mse_limit,
        expected_nll_slope=math.nan if last[0].prior is not None else d / 2,
        expected_mse_slope=p * variance,
        not_converged=odd,
        notes=(*notes, *noted(said)),
    )


def excess_square(n: int, p: int, exact: bool = True) -> float:
    """Excess squared error of p coefficients from n rows, in units of σ², Eq. (13.13).

    p/(n − p − 1) for least squares, which is exact where the rows of X are normal; else p/n.
    """
    return p / (n - p - 1 if exact else n)


def excess_nll(n: int, p: int, d: int, exact: bool = True) -> float:
    """Excess mean NLL of d parameters, p of them coefficients, from n rows, Eq. (13.13).

    Its second line for least squares, σ̂ included, which is exact where the rows of X are normal;
    else d/(2n), which it tends to as n grows.
    """
    if not exact:
        return d / (2 * n)
    of_sigma = 0.5 * (float(digamma((n - p) / 2)) + math.log(2 / n))
    return of_sigma + 0.5 * n / (n - p - 2) * (1 + excess_square(n, p)) - 0.5


def _sizes(sizes: int | Sequence[int], p: int, most: int) -> NDArray[np.int64]:
    least = p + 3  # below, no excess has a mean
    if isinstance(sizes, (int, float, np.generic)):
        count = whole(sizes, "sizes", 1)
        first = max(10 * p, least)
        if first >= most:
            raise InvalidInput(
                f"{most} rows are fitted at most, and a curve begins with ten for each of the {p} "
                "columns: give sizes=, a smaller test=, or more data"
            )
        return np.unique(np.geomspace(first, most, count).astype(np.int64))
    at = np.asarray(sizes)
    if at.dtype.kind not in "iu" or at.ndim != 1 or not len(at):
        raise InvalidInput(f"sizes must be whole numbers of rows, not {sizes!r}")
    if at.min() < least or at.max() > most or len(np.unique(at)) < len(at):
        raise InvalidInput(
            f"sizes must be different numbers from {least}, three more than the columns, to "
            f"{most}, the rows that are not held out; they are {', '.join(map(str, at))}"
        )
    return np.sort(at).astype(np.int64)


def _variance(made: Fit) -> float:
    """σ²/a of Eq. (13.13), unbiased for least squares; NaN where theory says nothing."""
    if made.prior is not None or made.scale_names or made.design.transform is not None:
        return math.nan
    if made.exact:
        return made.residual_std_error**2
    return made.sigma**2 / made.noise.fisher[0]


def _lines(loss: F64, excess: Sequence[float]) -> tuple[Measure, float]:
    """Slope, over the repeats, of the line through each one's losses; mean intercept."""
    x = np.asarray(excess)
    if len(x) < 2:
        return Measure(math.nan, math.nan), math.nan
    off = x - x.mean()
    with np.errstate(all="ignore"):
        slopes = loss @ off / (off @ off)
        error = slopes.std(ddof=1) / math.sqrt(len(slopes)) if len(slopes) > 1 else math.nan
        limit = float(np.mean(loss.mean(axis=1) - slopes * x.mean()))
    return Measure(float(slopes.mean()), float(error)), limit
