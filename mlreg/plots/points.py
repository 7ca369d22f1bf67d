"""Points of figures: each of few rows; of many the outlying ones, and the density of the rest."""

from collections.abc import Sequence
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mlreg.plots.style import COLOURS, GREY

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["SHOWN", "draw_points", "label_rows", "legend_strip", "outlying", "say"]

F64 = NDArray[np.float64]

SHOWN = 3000
"""Points that are drawn one by one at most."""


def outlying(x: F64, y: F64, most: int = SHOWN) -> NDArray[np.bool_]:
    """Which of many points to draw one by one: those where there are fewest, and the extremes.

    The plane is cut into 50 by 50 cells; whole cells are taken, the emptiest first.
    """
    cells = np.zeros(len(x), dtype=np.intp)
    for values in (x, y):
        low, size = values.min(), np.ptp(values) or 1.0
        cells = 50 * cells + np.minimum((50 * ((values - low) / size)).astype(np.intp), 49)
    counts = np.bincount(cells, minlength=2500)
    order = np.argsort(counts, kind="stable")
    alone = np.zeros(2500, dtype=bool)
    alone[order[np.cumsum(counts[order]) <= most - 4]] = True
    chosen = alone[cells]
    chosen[[x.argmin(), x.argmax(), y.argmin(), y.argmax()]] = True
    return np.asarray(chosen)


def draw_points(ax: "Axes", x: F64, y: F64, **style: Any) -> str:
    """Draw points at finite places, and say in words what is drawn, if it is not each of them."""
    finite = np.isfinite(x) & np.isfinite(y)
    x, y = x[finite], y[finite]
    if not len(x):
        return ""
    few = len(x) <= SHOWN
    chosen = np.ones(len(x), dtype=bool) if few else outlying(x, y)
    if not few:
        ax.hexbin(
            x[~chosen], y[~chosen], gridsize=45, bins="log", mincnt=1, cmap="Greys", linewidths=0.1,
            vmin=0.3, zorder=1,
        )  # fmt: skip
    size = 22 if len(x) <= 300 else 9 if len(x) <= 1000 else 5
    marks = {"s": size, "color": COLOURS[0], "alpha": 0.75 if len(x) <= 300 else 0.5}
    ax.scatter(x[chosen], y[chosen], linewidths=0, zorder=2, **{**marks, **style})
    if few:
        return ""
    return f"{len(x):,} rows: their density, and {int(chosen.sum()):,} outlying ones"


def label_rows(ax: "Axes", x: F64, y: F64, texts: Sequence[str]) -> None:
    """Texts beside points, toward the middle of the axes, moved up or down where two would meet.

    The limits of the axes are final.
    """
    placed: list[tuple[float, float, float]] = []  # left and right end, height, in points
    to_points = 72 / ax.figure.dpi
    box = ax.get_window_extent()
    for xi, yi, text in zip(x, y, texts, strict=True):
        px, py = ax.transData.transform((xi, yi)) * to_points
        left = px > to_points * (box.x0 + box.x1) / 2
        inward = -1.0 if py > to_points * (box.y0 + box.y1) / 2 else 1.0
        shift, width = 0.0, 6.0 * len(text)
        start = px - 6 - width if left else px + 6
        while any(
            start < end and begin < start + width and abs(py + shift - at) < 11
            for begin, end, at in placed
        ):
            shift += 11 * inward
        placed.append((start, start + width, py + shift))
        ax.annotate(
            text, (xi, yi), (-6 if left else 6, shift), textcoords="offset points",
            ha="right" if left else "left", va="center", fontsize="small", color="black",
            arrowprops={"arrowstyle": "-", "color": GREY, "linewidth": 0.5} if shift else None,
            zorder=5,
        )  # fmt: skip


def legend_strip(ax: "Axes") -> None:
    """A legend in a strip of its own at the top, in as many columns as there is room for."""
    texts = [str(label) for label in ax.get_legend_handles_labels()[1]]
    box, dpi = ax.get_window_extent(), ax.figure.dpi
    width, height = float(box.width) / dpi, float(box.height) / dpi  # inches
    columns = int(np.clip(0.9 * width / (0.075 * max(map(len, texts)) + 0.55), 1, len(texts)))
    strip = min(0.19 * ceil(len(texts) / columns) + 0.08, 0.4 * height)
    low, high = ax.get_ylim()
    ax.set_ylim(low, high + (high - low) * strip / (height - strip))
    legend = ax.legend(frameon=False, fontsize="small", ncols=columns, loc="upper left")
    legend.set_in_layout(False)  # it takes no room from the axes


def say(ax: "Axes", *sentences: str) -> None:
    """A caption above the axes, in small letters, a line for each sentence that is not empty."""
    told = "\n".join(sentence for sentence in sentences if sentence)
    if told:
        ax.set_title(told, loc="left", fontsize="small", color=GREY)
