"""Points of figures: each of few rows; of many the outlying ones, and the density of the rest."""

from collections.abc import Sequence
from math import ceil
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mlreg.plots.style import COLOURS, GREY

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "BAND",
    "LABELLED",
    "SHOWN",
    "cells_of",
    "draw_points",
    "label_rows",
    "legend_strip",
    "outlying",
    "say",
    "settle",
]

F64 = NDArray[np.float64]

SHOWN = 3000
"""Points that are drawn one by one at most."""
LABELLED = 3  # rows that are named
BAND: dict[str, Any] = {"color": COLOURS[5], "alpha": 0.3, "linewidth": 0, "zorder": 0}
CELLS = 50  # that the density of more is drawn in, along each axis


def cells_of(x: F64, y: F64) -> tuple[NDArray[np.intp], F64, F64]:
    """The cell of each point, row by row from the lowest, and the edges of the cells in x and y."""
    cells, edges = np.zeros(len(x), dtype=np.intp), []
    for values in (y, x):
        low, size = values.min(), np.ptp(values) or 1.0
        cells = CELLS * cells + np.rint((CELLS - 1) * ((values - low) / size)).astype(np.intp)
        edges.append(low + size * (np.arange(CELLS + 1) - 0.5) / (CELLS - 1))
    return cells, edges[1], edges[0]


def outlying(cells: NDArray[np.intp], most: int = SHOWN) -> NDArray[np.bool_]:
    """Which points to draw one by one: those of the emptiest cells, whole cells at a time."""
    counts = np.bincount(cells, minlength=CELLS**2)
    order = np.argsort(counts, kind="stable")
    alone = np.zeros(CELLS**2, dtype=bool)
    alone[order[np.cumsum(counts[order]) <= most]] = True
    return np.asarray(alone[cells])


def draw_points(ax: "Axes", x: F64, y: F64) -> str:
    """Draw points at finite places, and say in words what is drawn, if it is not each of them."""
    finite = np.isfinite(x) & np.isfinite(y)
    x, y = x[finite], y[finite]
    n, told = len(x), ""
    if n > SHOWN:
        from matplotlib.colors import LogNorm

        cells, x_edges, y_edges = cells_of(x, y)
        alone = outlying(cells, SHOWN - 4)
        counts = np.bincount(cells[~alone], minlength=CELLS**2)
        shown = np.ma.masked_equal(counts.reshape(CELLS, CELLS), 0)
        norm = LogNorm(float(shown.min()) / 3, float(shown.max()))
        mesh = ax.pcolormesh(x_edges, y_edges, shown, norm=norm, cmap="Greys", zorder=1)
        mesh.sticky_edges.x.clear()
        mesh.sticky_edges.y.clear()
        alone[[x.argmin(), x.argmax(), y.argmin(), y.argmax()]] = True
        x, y = x[alone], y[alone]
        told = f"{n:,} rows: their density, and {len(x):,} outlying ones"
    size, alpha = (22, 0.75) if n <= 300 else (9 if n <= 1000 else 5, 0.5)
    ax.scatter(x, y, s=size, color=COLOURS[0], alpha=alpha, linewidths=0, zorder=2)
    return told


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
    room = max(20, int(ax.get_window_extent().width / ax.figure.dpi / 0.06))  # letters
    told = "\n".join(line for sentence in sentences for line in wrap(sentence, room))
    if told:
        ax.set_title(told, loc="left", fontsize="small", color=GREY)


def settle(ax: "Axes") -> None:
    """Let the layout find its places, and hold the limits."""
    ax.set(xlim=ax.get_xlim(), ylim=ax.get_ylim())
    ax.figure.figure.draw_without_rendering()
