"""The QQ plot: residuals in order over the quantiles that they should have."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv, ndtr, stdtrit

from mlreg.errors import InvalidInput
from mlreg.estimate import Fit
from mlreg.inference.bands import in_order, many_in_order, order_band, order_level, outside
from mlreg.plots.fit_rows import EXACT_ROWS, FitRows, rows_of
from mlreg.plots.points import BAND, LABELLED, label_rows, legend_strip, say, settle
from mlreg.plots.style import COLOURS, GREY, axes_for

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_qq", "qq"]

F64 = NDArray[np.float64]


def qq(fit: Fit, *, level: float = 0.95, ax: "Axes | None" = None) -> "Axes":
    """Residuals in order over the quantiles that they should have, with a simultaneous band.

    Least squares: externally studentised residuals over quantiles of Student's t with n − p − 1
    degrees of freedom, Eq. (12.10). Each order statistic has a band of the same local level,
    Eq. (12.16), all of them together the level. It is exact up to 2000 rows; of more, residuals
    are taken for draws of which mean and scale are taken off.

    Other noises: e/σ̂ over the noise's own quantiles; the band is that of independent draws, and
    too wide, for what was estimated makes residuals keep nearer to their quantiles.

    Parameters
    ----------
    fit, level, ax
        As of `mlreg.plots.residuals`.

    Returns
    -------
    matplotlib Axes
        The first points are those inside the band, the second those outside, if there are any. Of
        many rows all of the tails, and some between.

    Raises
    ------
    InvalidInput, InvalidType, DataNeeded, MissingDependency
        As of `mlreg.plots.residuals`.
    """
    return draw_qq(rows_of(fit), level, axes_for(ax))


def draw_qq(rows: FitRows, level: float, ax: "Axes") -> "Axes":
    """`qq`, of rows."""
    outside(level)
    fit, found = rows.fit, rows.influence
    exact = fit.exact
    if exact and fit.df_resid < 2:
        raise InvalidInput(
            "one residual degree of freedom: without a row none is left, and no residual is "
            "studentised. A QQ plot needs two"
        )
    z = found.externally_studentised if exact else rows.standardised
    known = np.flatnonzero(np.isfinite(z))
    order = known[np.argsort(z[known], kind="stable")]
    n = len(order)
    chosen = _spread(n)
    y, labelled = z[order][chosen], order[chosen]
    frequency = found.frequency
    banded = frequency is None and not (exact and rows.no_band)
    if frequency is None:
        place = betaincinv(chosen + 1.0, n - chosen, 0.5)  # the median of that order statistic
    else:
        total = np.cumsum(frequency[order])
        place = ((total - 0.5 * frequency[order]) / total[-1])[chosen]

    def quantile(u: F64) -> F64:
        return np.asarray(stdtrit(fit.df_resid - 1, u) if exact else fit.noise.quantile(u))

    x = quantile(place)
    out = np.zeros(len(x), dtype=bool)
    told = f"of {n:,} rows {len(chosen):,} are drawn, the outermost all" if len(chosen) < n else ""
    if banded:
        lower, upper = (quantile(u) for u in _order_limits(rows, known, chosen, level))
        kind = "band" if exact else "band of independent draws"
        ax.fill_between(x, lower, upper, label=f"{100 * level:g} % {kind}", **BAND)
        out = (y < lower) | (y > upper)
    ends = np.array([x[0], x[-1]])
    ax.plot(ends, ends, color=GREY, linewidth=0.8, zorder=1)
    size = 22 if n <= 300 else 9
    ax.scatter(x[~out], y[~out], s=size, color=COLOURS[0], alpha=0.75, linewidths=0, zorder=2)
    if out.any():
        ax.scatter(
            x[out], y[out], s=size + 4, color=COLOURS[1], marker="D", linewidths=0, zorder=3,
            label=f"outside: {int(out.sum())} of {len(out)}",
        )  # fmt: skip
    if banded:
        legend_strip(ax)
    law = f"Student's t, {fit.df_resid - 1} df" if exact else str(fit.noise)
    kind = "externally studentised residual" if exact else "standardised residual"
    ax.set(xlabel=f"quantile of {law}", ylabel=kind)
    say(ax, told, "" if banded else rows.no_band, *(found.notes if exact else ()))
    far = np.argsort(-np.abs(y), kind="stable")[:LABELLED]
    settle(ax)
    label_rows(ax, x[far], y[far], [str(found.rows[i]) for i in labelled[far]])
    return ax


def _order_limits(
    rows: FitRows, known: NDArray[np.intp], chosen: NDArray[np.intp], level: float
) -> tuple[F64, F64]:
    """Limits of chosen order statistics of the known rows, as probabilities."""
    fit, n = rows.fit, len(known)
    if fit.exact and len(rows.fitted) <= EXACT_ROWS:
        at = in_order(rows.draws()[known], fit.df_resid, chosen)
    else:
        fitted = (fit.exact and fit.constant is not None, fit.exact)
        at = many_in_order(n, chosen, np.random.default_rng(0), fitted)
    i: F64 = chosen + np.float64(1)
    return order_band(order_level(at, i, n, level), i, n)


def _spread(n: int) -> NDArray[np.intp]:
    """Which of n order statistics to draw, from 0: all of few, of many the tails and some."""
    if n <= 500:
        return np.arange(n)
    tail = np.arange(100)
    between = np.floor(n * ndtr(np.linspace(-4, 4, 300))).astype(np.intp)
    return np.unique(np.concatenate([tail, n - 1 - tail, np.clip(between, 0, n - 1)]))
