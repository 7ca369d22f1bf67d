"""What all figures share: axes of their own, colours, labels that do not overlap, thin lines."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mlreg.errors import InvalidType, MissingDependency

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["GREY", "axes_for", "label_ends", "require_matplotlib", "styles", "thin", "written"]

F64 = NDArray[np.float64]

# Of Okabe and Ito's colours, which colour-blind readers tell apart, those that show on white
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (4, 1.2, 1, 1.2)), (0, (1.2, 1.2)))
MARKERS = "os^Dv*P"
GREY = "#666666"

POINTS = 2000
"""Points of a line that are drawn; of longer ones the ends and the extremes in between."""


def require_matplotlib() -> None:
    """Raise `MissingDependency` without matplotlib."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise MissingDependency("figures need matplotlib: pip install 'mlreg[plots]'") from error


def axes_for(ax: Any, size: tuple[float, float] = (6.0, 3.9)) -> "Axes":
    """The given Axes, or those of a new figure of so many inches that pyplot knows nothing of."""
    require_matplotlib()
    from matplotlib.axes import Axes
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    if ax is None:
        figure = Figure(figsize=size, layout="constrained", facecolor="white")
        FigureCanvasAgg(figure)
        new: Axes = figure.add_subplot()
        new.spines[["top", "right"]].set_visible(False)
        return new
    if not isinstance(ax, Axes):
        raise InvalidType(f"ax must be a matplotlib Axes, not {type(ax).__name__}")
    return ax


def written(name: str, room: int = 40) -> str:
    """A name of a column as a label: no mathematics, one line, and cut where it is very long."""
    name = " ".join(str(name).split()).replace("$", r"\$")
    return name if len(name) <= room else f"{name[: room - 12]} … {name[-9:]}"


def styles(count: int) -> list[dict[str, Any]]:
    """Colour, dashes and marker of so many lines; no two of the first 28 are alike."""
    return [
        {
            "color": COLOURS[i % len(COLOURS)],
            "linestyle": DASHES[i % len(DASHES)],
            "marker": MARKERS[i % len(MARKERS)],
        }
        for i in range(count)
    ]


def thin(*columns: F64) -> NDArray[np.intp]:
    """Which of the points to draw: all of few; of many the ends, and the extremes of each part.

    Parameters
    ----------
    *columns : ndarray, shape (m,)
        Coordinates whose extremes are kept.
    """
    m = len(columns[0])
    if m <= POINTS:
        return np.arange(m)
    parts = np.array_split(np.arange(m), POINTS // (2 * len(columns)))
    kept = {0, m - 1}
    for part in parts:
        for values in columns:
            there = part[np.isfinite(values[part])]
            if len(there):
                kept |= {int(there[values[there].argmin()]), int(there[values[there].argmax()])}
    return np.array(sorted(kept), dtype=np.intp)


def label_ends(ax: "Axes", marks: Sequence[tuple[float, str, str]]) -> None:
    """Texts beside the right end of the axes, each (height, text, colour), moved apart if needed.

    Heights are in the units of the y axis, whose limits are final.
    """
    size = 0.9 * float(ax.yaxis.get_ticklabels()[0].get_fontsize())  # points
    height = 72 * ax.get_window_extent().height / ax.figure.dpi  # the layout may make it less
    lines = max(text.count("\n") for _, text, _ in marks) + 1
    gap = 1.35 * size * (lines + 0.3) / max(height, 1.0)
    to_fraction = ax.transData + ax.transAxes.inverted()
    at = [float(to_fraction.transform((1.0, y))[1]) for y, _, _ in marks]
    order = np.argsort(at)
    places = spread([min(max(at[i], 0.0), 1.0) for i in order], gap)
    for i, place in zip(order, places, strict=True):
        _, text, colour = marks[i]
        ax.annotate(
            text, (1, place), (6, 0), xycoords="axes fraction", textcoords="offset points",
            color=colour, va="center", fontsize=size, annotation_clip=False,
        )  # fmt: skip


def spread(places: Sequence[float], gap: float) -> list[float]:
    """Ascending places in [0, 1], moved no more than needed to be ``gap`` apart, if there is room.

    Neighbours that are too near become a group about the mean of where its members wanted to be.
    """
    gap = min(gap, 1 / max(1, len(places) - 1)) if len(places) > 1 else gap
    groups: list[tuple[float, int]] = []  # centre, count
    for place in places:
        centre, count = place, 1
        while groups and centre - groups[-1][0] < gap * (count + groups[-1][1]) / 2:
            other, more = groups.pop()
            centre = (centre * count + other * more) / (count + more)
            count += more
            half = gap * (count - 1) / 2
            centre = min(max(centre, half), 1 - half)
        groups.append((centre, count))
    return [centre + gap * (k - (count - 1) / 2) for centre, count in groups for k in range(count)]
