"""The plots that show what is wrong with a fit: by residuals, their scale, their law, single rows.

Points of more than a few thousand rows are drawn one by one where there are fewest, and their
density elsewhere. Bands are simultaneous: if the model is right, what is drawn is inside at every
place at once with the probability that the legend states, Eq. (12.16).
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from mlreg.errors import InvalidInput
from mlreg.estimate import Fit
from mlreg.inference.bands import outside
from mlreg.plots.fit_rows import FitRows, Smooth, require_fit, rows_of
from mlreg.plots.points import (
    BAND,
    LABELLED,
    draw_points,
    label_rows,
    legend_strip,
    say,
    settle,
)
from mlreg.plots.quantiles import draw_qq
from mlreg.plots.style import COLOURS, GREY, axes_for

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["diagnostics", "influence", "leverage", "residuals", "scale_location"]

F64 = NDArray[np.float64]


def residuals(fit: Fit, *, level: float = 0.95, ax: "Axes | None" = None) -> "Axes":
    """Residuals over fitted values, with a smooth that should be flat, Eq. (12.9).

    The band is about zero: where the smooth (local lines) stays, as a whole, if the model of the
    mean is right and noise is normal with one scale. For residuals are independent of the fitted
    values, Eq. (12.3), the level is exact, whatever the columns and however few the rows, Eq.
    (12.16).

    Parameters
    ----------
    fit : Fit
        With its rows.
    level : float
        Probability that all of the smooth is inside the band.
    ax : matplotlib Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib Axes
        Residuals √w (y − Xβ) from the MLE, in units of y; of a transformed response on the scale of
        the model. Labels are numbers of rows, from 0.

    Raises
    ------
    InvalidInput, InvalidType
        A fit without residuals to speak of (as many coefficients as rows, or perfect); not a fit.
    DataNeeded
        A fit without its rows.
    MissingDependency
        Without matplotlib.
    """
    return _residuals(rows_of(fit), level, axes_for(ax))


def scale_location(fit: Fit, *, level: float = 0.95, ax: "Axes | None" = None) -> "Axes":
    """Roots of the sizes of the standardised residuals over fitted values: flat if σ is one.

    The band is about their mean where it is: r²/(n − p) is a beta variable, Eq. (12.9). The level
    is exact up to 2000 rows, Eq. (12.16), and more than was asked for beyond.

    Parameters
    ----------
    fit, level, ax
        As of `residuals`.

    Returns
    -------
    matplotlib Axes
        Of internally studentised residuals; of other than least squares e/σ̂.

    Raises
    ------
    InvalidInput, InvalidType, DataNeeded, MissingDependency
        As of `residuals`.
    """
    return _scale_location(rows_of(fit), level, axes_for(ax))


def leverage(fit: Fit, *, ax: "Axes | None" = None) -> "Axes":
    """Studentised residuals over leverage, with contours of Cook's distance, Eq. (12.11).

    Parameters
    ----------
    fit, ax
        As of `residuals`; least squares only.

    Returns
    -------
    matplotlib Axes
        Its lines are zero and the contours ½ and 1, above and below, as far as they are in sight.

    Raises
    ------
    InvalidInput
        Also of a fit that is not least squares.
    InvalidType, DataNeeded, MissingDependency
        As of `residuals`.
    """
    return _leverage(rows_of(fit), axes_for(ax))


def influence(
    fit: Fit,
    *,
    kind: Literal["bubble", "index"] = "bubble",
    top: int = 5,
    ax: "Axes | None" = None,
) -> "Axes":
    """Which rows matter, by Cook's distance, Eq. (12.11).

    Parameters
    ----------
    fit, ax
        As of `leverage`.
    kind : "bubble" or "index"
        Externally studentised residuals over leverage, Eq. (12.10), the area of a point being
        Cook's distance; or Cook's distance over the number of the row.
    top : int
        How many rows are labelled with their numbers.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InvalidInput, InvalidType, DataNeeded, MissingDependency
        As of `leverage`.
    """
    if kind not in ("bubble", "index"):
        raise InvalidInput(f"kind must be 'bubble' or 'index', not {kind!r}")
    if isinstance(top, bool) or not isinstance(top, (int, np.integer)) or top < 0:
        raise InvalidInput(f"top must be a number of rows, not {top!r}")
    rows = rows_of(fit)
    found, cook = rows.influence, rows.influence.cooks_distance
    ax = axes_for(ax)
    if kind == "index":
        x, y = found.rows.astype(float), cook
        told = draw_points(ax, x, y)
        if len(x) <= 300:
            ax.vlines(x, 0, y, color=COLOURS[0], linewidth=0.8, zorder=1)
        ax.set_ylim(bottom=0)
        ax.set(xlabel="row", ylabel="Cook's distance")
    else:
        x, y = found.leverage, found.externally_studentised
        largest = np.nanmax(cook, initial=0.0) or 1.0
        area = 10 + 500 * np.nan_to_num(cook) / largest
        known = np.isfinite(x) & np.isfinite(y)
        told = ""
        if known.sum() <= 1000:
            ax.scatter(
                x[known], y[known], s=area[known], color=COLOURS[0], alpha=0.45, linewidths=0.8,
                edgecolors=COLOURS[0],
            )  # fmt: skip
        else:
            told = draw_points(ax, x, y)
        ax.axhline(0, color=GREY, linewidth=0.8, zorder=0)
        ax.margins(0.1)
        ax.set(xlabel="leverage", ylabel="externally studentised residual")
        told = told or f"area: Cook's distance, the largest {largest:.3g}"
    say(ax, told, *found.notes)
    _label(ax, rows, x, y, cook, int(top))
    return ax


def diagnostics(fit: Fit, *, level: float = 0.95) -> "Figure":
    """The page of `residuals`, `qq`, `scale_location` and `leverage`; `Fit.plot` calls it.

    Parameters
    ----------
    fit, level
        As of `residuals`.

    Returns
    -------
    matplotlib Figure
        Where a plot is not defined for the fit, its place says why.

    Raises
    ------
    InvalidType, DataNeeded, MissingDependency
        As of `residuals`.
    """
    fit = require_fit(fit)
    outside(level)
    figure: Any = axes_for(None, (9.6, 7.6)).figure
    figure.clear()
    try:
        rows = rows_of(fit)
    except InvalidInput as refusal:
        _words(figure.add_subplot(), str(refusal))
        return figure  # type: ignore[no-any-return]
    panels: list[Callable[[Axes], Axes]] = [
        lambda ax: _residuals(rows, level, ax),
        lambda ax: draw_qq(rows, level, ax),
        lambda ax: _scale_location(rows, level, ax),
        lambda ax: _leverage(rows, ax),
    ]
    for panel, ax in zip(panels, figure.subplots(2, 2).flat, strict=True):
        ax.spines[["top", "right"]].set_visible(False)
        try:
            panel(ax)
        except InvalidInput as refusal:
            _words(ax, str(refusal))
    return figure  # type: ignore[no-any-return]


# The plots, of rows


def _residuals(rows: FitRows, level: float, ax: "Axes") -> "Axes":
    outside(level)
    weighted = rows.influence.root_precision is not None
    e = rows.influence.residuals
    told = draw_points(ax, rows.fitted, e)
    ax.axhline(0, color=GREY, linewidth=0.8, zorder=0)
    smooth = rows.smooth(level)
    _draw_smooth(ax, smooth, level)
    ax.set(xlabel=rows.fitted_label, ylabel="weighted residual" if weighted else "residual")
    say(ax, told, _about(rows, smooth))
    _label(ax, rows, rows.fitted, e, np.abs(e))
    return ax


def _scale_location(rows: FitRows, level: float, ax: "Axes") -> "Axes":
    outside(level)
    root = np.sqrt(np.abs(rows.standardised))
    told = draw_points(ax, rows.fitted, root)
    smooth = rows.smooth_root(level)
    _draw_smooth(ax, smooth, level)
    ax.set_ylim(bottom=0)
    kind = "studentised" if rows.fit.exact else "standardised"
    ax.set(xlabel=rows.fitted_label, ylabel=f"$\\sqrt{{|\\mathrm{{{kind}\\ residual}}|}}$")
    say(ax, told, _about(rows, smooth), _without(rows))
    _label(ax, rows, rows.fitted, root, root)
    return ax


def _leverage(rows: FitRows, ax: "Axes") -> "Axes":
    found, p = rows.influence, rows.fit.rank
    h, r = found.leverage, found.internally_studentised  # or it says why they are none
    told = draw_points(ax, h, r)
    ax.axhline(0, color=GREY, linewidth=0.8, zorder=0)
    known = np.isfinite(r)
    top = 1.15 * np.abs(r[known]).max(initial=1.0)
    right = min(1.0, 1.12 * h[known].max(initial=0.0)) or 1.0
    grid = np.linspace(1e-3, 1, 400)[:-1] * right
    for far, dashes in ((0.5, (0, (5, 1.5))), (1.0, "-")):
        limit = np.sqrt(far * p * (1 - grid) / grid)
        inside = limit <= top
        for sign in (1, -1) if inside.any() else ():
            ax.plot(
                grid[inside], sign * limit[inside], color=COLOURS[1], linewidth=1,
                linestyle=dashes, label=f"Cook's distance {far:g}" if sign > 0 else None, zorder=1,
            )  # fmt: skip
    ax.set(xlim=(0, right), ylim=(-top, top))
    ax.set(xlabel="leverage", ylabel="studentised residual")
    if len(ax.lines) > 1:
        legend_strip(ax)
    say(ax, told, *found.notes)
    _label(ax, rows, h, r, found.cooks_distance)
    return ax


# Parts of them


def _draw_smooth(ax: "Axes", smooth: Smooth | None, level: float) -> None:
    if smooth is None:
        return
    if smooth.lower is not None and smooth.upper is not None:
        told = f"{100 * level:g} % band of the smooth"
        ax.fill_between(smooth.x, smooth.lower, smooth.upper, label=told, **BAND)
    ax.plot(smooth.x, smooth.y, color=COLOURS[1], linewidth=1.6, label="smooth", zorder=3)
    legend_strip(ax)


def _about(rows: FitRows, smooth: Smooth | None) -> str:
    return "no smooth: fewer than five fitted values" if smooth is None else rows.no_band


def _without(rows: FitRows) -> str:
    """How many rows have no studentised residual."""
    lost = int((rows.influence.leverage == 1).sum()) if rows.fit.exact else 0
    return (
        f"without {lost} rows of leverage 1" if lost > 1 else "without the row of leverage 1" * lost
    )


def _label(ax: "Axes", rows: FitRows, x: F64, y: F64, size: F64, most: int = LABELLED) -> None:
    """Number the rows that are largest by a measure."""
    known = np.flatnonzero(np.isfinite(x) & np.isfinite(y) & (size > 0))
    far = known[np.argsort(-size[known], kind="stable")[:most]]
    settle(ax)
    label_rows(ax, x[far], y[far], [str(rows.influence.rows[i]) for i in far])


def _words(ax: "Axes", text: str) -> None:
    """A text where a plot would be."""
    ax.set_axis_off()
    ax.text(0.5, 0.5, text, transform=ax.transAxes, ha="center", va="center", wrap=True, color=GREY)
