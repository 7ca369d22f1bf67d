"""Descents as the textbook draws them: the loss, the distance from the MLE, the path."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from mlreg.certificate import CONVERGED, LeastSquares
from mlreg.checks import positive
from mlreg.errors import InvalidInput
from mlreg.plots.curves import Curve, Result, curves_of
from mlreg.plots.style import GREY, axes_for, label_ends, styles, thin, written

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["distance", "loss", "path"]

F64 = NDArray[np.float64]


def loss(
    *results: Result,
    against: Literal["passes", "seconds"] = "passes",
    labels: Sequence[str] | None = None,
    ax: "Axes | None" = None,
) -> "Axes":
    """Mean NLL along descents, Eq. (2.9), against passes over the data or against time.

    With σ profiled, as in `History`, the mean NLL of Gaussian noise is the logarithm of the root of
    the squared loss and a constant: an axis of it is the squared loss's, logarithmic.

    Parameters
    ----------
    *results : Fit, Solution or Run
        What to draw, a line for each; all of the same data.
    against : "passes" or "seconds"
        Epochs or iterations; or processor time, which was measured while the descents ran, and
        which only a `Run` knows.
    labels : sequence of str, optional
        What to call them.
    ax : matplotlib Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib Axes
        The first lines are the results, in their order; the last one, where there is a `Run` or a
        Gaussian `Fit`, is at the NLL of the MLE.

    Raises
    ------
    InvalidInput, InvalidType
        Nothing to draw, or not what can be drawn; a result without seconds.
    MissingDependency
        Without matplotlib.

    Examples
    --------
    >>> import numpy as np, mlreg as ml
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(1000, 2))
    >>> y = X @ [2, -3.4] + 4.2 + rng.normal(scale=0.01, size=1000)
    >>> ax = ml.plots.loss(*ml.plots.textbook_runs(X, y), against="seconds")
    >>> ax.get_xlabel()
    'processor time of these runs, seconds'
    """
    curves = curves_of(results, labels)
    if against not in ("passes", "seconds"):
        raise InvalidInput(f"against must be 'passes' or 'seconds', not {against!r}")
    for curve in curves:
        if against == "seconds" and curve.seconds is None:
            raise InvalidInput(
                f"{curve.label!r} has no times: only what ml.plots.watch ran has. Draw it against "
                "passes"
            )
    ax = axes_for(ax)
    bottom, top = _heights(curves)
    for curve, style in zip(curves, styles(len(curves)), strict=True):
        x = curve.x if curve.seconds is None or against == "passes" else curve.seconds
        y = curve.history.mean_nll
        keep = thin(x, y)
        ends = np.isfinite(y[-1]) and y[-1] <= top
        label = curve.label if ends else f"{curve.label}, off the scale"
        ax.plot(x[keep], y[keep], label=label, **_marked(style, len(y)))
    if against == "seconds":
        ax.set_xscale("log", nonpositive="mask")  # the start, at zero, has no place there
    else:
        ax.set_xlim(left=0)
    minimum = next((c.minimum for c in curves if c.minimum is not None), None)
    ax.set_ylim(bottom, top)
    if minimum is not None:
        ax.axhline(minimum, color=GREY, linewidth=0.8, zorder=1)
        ax.annotate(
            "the MLE", (1, minimum), (-2, -3), xycoords=("axes fraction", "data"),
            textcoords="offset points", ha="right", va="top", color=GREY, fontsize="small",
        )  # fmt: skip
    told = "processor time of these runs, seconds" if against == "seconds" else _unit(curves)
    ax.set(xlabel=told, ylabel="mean negative log-likelihood")
    ax.legend(frameon=False, loc="upper right", handlelength=2.6)
    return ax


def distance(
    *results: Result,
    plateaus: Sequence[float | None] | None = None,
    labels: Sequence[str] | None = None,
    ax: "Axes | None" = None,
) -> "Axes":
    """Distance from the MLE in standard errors, Eq. (5.1), against passes; what a loss hides.

    Parameters
    ----------
    *results : Fit, Solution or Run
        What to draw, a line for each; of a `Run` the ends of its passes.
    plateaus : sequence of float or None, optional
        Where each must come to rest, in standard errors, of `mlreg.predicted_plateau`, Eqs. (13.4)
        to (13.6): a thin line of the same colour. A `Run` brings its own.
    labels : sequence of str, optional
        What to call them.
    ax : matplotlib Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib Axes
        The first lines are the results, in their order; then the plateaus, and last the line of
        0.1 standard errors, below which a fit has converged.

    Raises
    ------
    InvalidInput, InvalidType
        Nothing to draw: no result, or none with a distance that is finite and not zero.
    MissingDependency
        Without matplotlib.
    """
    curves = curves_of(results, labels)
    known: list[float | None] = [curve.plateau for curve in curves]
    if plateaus is not None:
        if len(plateaus) != len(curves):
            raise InvalidInput(f"{len(curves)} results and {len(plateaus)} plateaus: give one each")
        known = list(plateaus)
    ends = [(c.x[c.whole], c.history.distance[c.whole]) for c in curves]
    drawable = np.concatenate([d[np.isfinite(d) & (d > 0)] for _, d in ends])
    if not len(drawable):
        raise InvalidInput(
            "there is no distance to draw, for each is zero or infinite: the data fit perfectly, "
            "or the start is the MLE"
        )
    ax = axes_for(ax)
    ax.set_yscale("log")
    lines = []
    for curve, (x, d), style in zip(curves, ends, styles(len(curves)), strict=True):
        shown = np.where(d > 0, d, np.nan)  # zero has no logarithm
        keep = thin(x, shown)
        lines += ax.plot(x[keep], shown[keep], label=curve.label, **_marked(style, len(x)))
    top = 3 * max((d[0] for _, d in ends if np.isfinite(d[0])), default=drawable.max())
    top = max(top, 10 * CONVERGED)
    ax.set(ylim=(0.6 * min(max(drawable.min(), 1e-4), CONVERGED), top), xlim=(0, None))
    marks = []
    for curve, line, height, (_, d) in zip(curves, lines, known, ends, strict=True):
        colour, text, at = str(line.get_color()), curve.label, float(d[-1])
        if not at <= top:
            text, at = f"{text}\noff the scale", top
        elif height is not None and np.isfinite(height):
            text, at = f"{text}\npredicted plateau {height:.2g}", height
        if height is not None and np.isfinite(height):
            ax.axhline(height, color=colour, linewidth=0.9, linestyle=":", zorder=1)
        marks.append((at, text, colour))
    ax.axhline(CONVERGED, color=GREY, linewidth=0.9, zorder=1)
    ax.annotate(
        f"converged: {CONVERGED:g}", (0, CONVERGED), (3, 3), textcoords="offset points",
        xycoords=("axes fraction", "data"), color=GREY, fontsize="small",
    )  # fmt: skip
    ax.set(xlabel=_unit(curves), ylabel="standard errors from the MLE")
    label_ends(ax, marks)
    return ax


def path(
    *results: Result,
    which: tuple[int | str, int | str] | None = None,
    within: float | None = None,
    labels: Sequence[str] | None = None,
    ax: "Axes | None" = None,
) -> "Axes":
    """The way of two coefficients over the NLL, whose contours are ellipses in standard errors.

    A contour is where the NLL, the other coefficients being at their best, is that of a distance
    (5.1) from the MLE: with C the block of the two in the covariance s²(XᵀX)⁻¹ of Eq. (2.11) and Δ
    their errors, ΔᵀC⁻¹Δ is the square of it. A point is at least as far as its contour says.

    Parameters
    ----------
    *results : Fit, Solution or Run
        What to draw, a line for each, of the same data. At least one is a `Run`, or a `Fit` of
        Gaussian noise with one scale: the MLE and the ellipses are its.
    which : two of int or str, optional
        The coefficients, by number or name; the last two by default.
    within : float, optional
        Show what is within so many standard errors of the MLE; everything by default, but for what
        a divergent descent leaves far behind.
    labels : sequence of str, optional
        What to call them.
    ax : matplotlib Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib Axes
        Its lines are the results, in their order, and the MLE.

    Raises
    ------
    InvalidInput, InvalidType
        One coefficient only; a name that there is not; no Gaussian fit; coefficients that were not
        kept, as by a fit that an earlier version saved.
    MissingDependency
        Without matplotlib.
    """
    curves = curves_of(results, labels)
    about = next((c for c in curves if c.least_squares is not None), None)
    if about is None or about.least_squares is None:
        raise InvalidInput(
            "path needs the fit, or the run, of Gaussian noise with one scale to know the MLE and "
            "its ellipses"
        )
    first, second = _two(which, about.names)
    for curve in curves:
        if curve.history.params is None:
            raise InvalidInput(f"{curve.label!r} has not kept the coefficients of its way")
        if curve.history.params.shape[1] != len(about.names):
            raise InvalidInput(
                f"{curve.label!r} has {curve.history.params.shape[1]} coefficients and "
                f"{about.label!r} {len(about.names)}: a path is over one surface"
            )
    if within is not None:
        positive(within, "within")
    centre, root = _block(about.least_squares, first, second)
    if about.least_squares.perfect or not np.isfinite(root).all():
        raise InvalidInput("the data fit perfectly: there is no standard error to measure in")
    ways = [np.asarray(c.history.params)[:, [first, second]] for c in curves]
    ax = axes_for(ax, (6, 4.6))
    frame, reach = _frame(ways, centre, root, within)
    for curve, way, style in zip(curves, ways, styles(len(curves)), strict=True):
        keep = thin(way[:, 0], way[:, 1])
        few = len(keep) <= 200
        ax.plot(
            *way[keep].T, color=style["color"], linewidth=1.3 if few else 0.6, label=curve.label,
            marker=style["marker"], markersize=5, markeredgecolor="white", markeredgewidth=0.6,
            markevery=np.flatnonzero(np.isin(keep, curve.whole)).tolist(), zorder=2.5,
        )  # fmt: skip
    ax.plot(*centre, "+", color="black", markersize=12, markeredgewidth=1.8, zorder=5, label="MLE")
    _ellipses(ax, ways, centre, root, frame, reach)
    names = about.names
    told = [f"coefficient of {written(names[j])}" for j in (first, second)]
    ax.set(xlabel=told[0], ylabel=told[1])
    ax.set(xlim=frame[:, 0], ylim=frame[:, 1])
    # outside, where it hides no part of a path
    columns = min(3, max(1, round(ax.get_window_extent().width / ax.figure.dpi / 1.5)))
    ax.legend(
        loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, frameon=False, fontsize="small",
        handlelength=1.8, columnspacing=1.4, borderaxespad=0.2,
    )  # fmt: skip
    return ax


def _marked(style: dict[str, Any], count: int) -> dict[str, Any]:
    """The style of a line, with markers where its points are few."""
    marker = style["marker"] if count <= 25 else None
    return {**style, "marker": marker, "markersize": 4, "linewidth": 1.6}


def _unit(curves: Sequence[Curve]) -> str:
    plural = {"pass": "passes", "epoch": "epochs", "iteration": "iterations", "solve": "solutions"}
    units = dict.fromkeys(plural.get(curve.unit, curve.unit) for curve in curves)
    return " or ".join(units) + (" over the data" if [*units] == ["passes"] else "")


def _heights(curves: Sequence[Curve]) -> tuple[float, float]:
    """From below the lowest loss to above the highest start: what diverges leaves the picture."""
    finite = [c.history.mean_nll[np.isfinite(c.history.mean_nll)] for c in curves]
    if not any(map(len, finite)):
        raise InvalidInput("there is no loss to draw, for each is infinite: the data fit perfectly")
    lowest = [float(v.min()) for v in finite if len(v)]
    lowest += [c.minimum for c in curves if c.minimum is not None]
    low, high = min(lowest), max(float(v[0]) for v in finite if len(v))
    room = 0.08 * (high - low) or 0.5
    return low - room, high + room


def _two(which: tuple[int | str, int | str] | None, names: tuple[str, ...]) -> tuple[int, int]:
    """Numbers of the two coefficients."""
    if len(names) < 2:
        raise InvalidInput(
            f"path is over the surface of two coefficients, and there is one, {names[0]!r}: draw "
            "loss or distance"
        )
    found = []
    for one in (-2, -1) if which is None else which:
        if isinstance(one, str) and one in names:
            found.append(names.index(one))
        elif isinstance(one, (int, np.integer)) and -len(names) <= one < len(names):
            found.append(int(one) % len(names))
        else:
            raise InvalidInput(f"there is no coefficient {one!r}; there are {', '.join(names)}")
    if len(found) != 2 or found[0] == found[1]:
        raise InvalidInput(f"which must be two different coefficients, not {which!r}")
    return found[0], found[1]


def _block(ls: LeastSquares, *which: int) -> tuple[F64, F64]:
    """The MLE of some coefficients, and a root A of their covariance s²(XᵀX)⁻¹ = AAᵀ."""
    root = np.array([ls.unscale(column) for column in ls.inverse.T]).T * ls.s
    pick = list(which)
    # the block of AA' has a triangle of its own, in which a circle becomes the ellipse
    return ls.params[pick], np.linalg.qr(root[pick].T)[1].T


def _far(way: F64, centre: F64, root: F64) -> F64:
    """Distance of points, shape (m, 2), by the two coefficients alone, in standard errors."""
    with np.errstate(all="ignore"):
        return np.asarray(np.linalg.norm(np.linalg.solve(root, (way - centre).T), axis=0))


def _frame(ways: Sequence[F64], centre: F64, root: F64, within: float | None) -> tuple[F64, float]:
    """Corners (low, high) of what is shown, shape (2, 2), and the standard errors it spans."""
    if within is not None:
        half = within * np.linalg.norm(root, axis=1)
        return np.array([centre - half, centre + half]), within
    starts = _far(np.array([way[0] for way in ways]), centre, root)
    reach = float(starts.max()) or max(float(_far(way, centre, root).max()) for way in ways) or 1.0
    # of what leaves for infinity the beginning is enough
    shown = [way[_far(way, centre, root) <= 2 * reach] for way in ways]
    points = np.vstack([centre, *shown])
    low, high = points.min(axis=0), points.max(axis=0)
    spread = np.linalg.norm(root, axis=1) * reach
    room = np.maximum(0.12 * (high - low), 0.06 * spread)
    return np.array([low - room, high + room]), reach


def _ellipses(
    ax: "Axes", ways: Sequence[F64], centre: F64, root: F64, frame: F64, reach: float
) -> None:
    """Contours at round numbers of standard errors, each labelled where there is most room."""
    angle = np.linspace(0, 2 * np.pi, 181)
    circle = np.array([np.cos(angle), np.sin(angle)])
    unit = 10 ** np.floor(np.log10(reach))
    step = unit * max(k for k in (0.2, 0.5, 1, 2) if 3.9 * k * unit <= reach)
    size = frame[1] - frame[0]
    taken = np.vstack([way[:: max(1, len(way) // 300)] for way in ways])
    taken = np.vstack([centre, taken])[:, None] / size
    for k, level in enumerate(step * np.arange(1, int(reach / step) + 1)):
        ellipse = (centre[:, None] + level * (root @ circle)).T
        told = "contours: standard errors" if k == 0 else None
        ax.plot(*ellipse.T, color=GREY, linewidth=0.8, zorder=3, label=told)
        inside = ((ellipse > frame[0] + 0.05 * size) & (ellipse < frame[1] - 0.05 * size)).all(1)
        if not inside.any():
            continue
        room = np.linalg.norm(ellipse[inside] / size - taken, axis=2).min(axis=0)
        spot = ellipse[inside][room.argmax()]
        taken = np.vstack([taken, (spot / size)[None, None]])
        ax.annotate(
            f"{level:g}", spot, ha="center", va="center", fontsize="small", color="#444444",
            bbox={"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none"},
            zorder=3.5,
        )  # fmt: skip
