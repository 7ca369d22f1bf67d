"""The pictures of page 12."""

import numpy as np
from draw import BLUE, GREY, ORANGE, RED
from matplotlib import pyplot as plt

import mlreg as ml
from mlreg.inference.prediction import leverage_root


def _influence(fit, X):
    """Leverage (12.8) and internally studentised residual (12.9) of each row."""
    h = leverage_root(fit.R.R[:2, :2], fit.R.exponent[:2], X) ** 2
    return h, fit.residuals() / fit.residual_std_error / np.sqrt(1 - h)


def two_kinds_of_outliers():
    """A wild response in the middle and a row far out, as lines and by Cook's distance (12.11)."""
    x = np.array([1, 2, 3, 4, 5, 6, 7, 4.5, 13.0])
    y = np.array([1.3, 1.7, 2.6, 2.9, 3.4, 4.4, 4.6, 6.3, 4.2])
    whole = ml.fit(x, y)
    h, internal = _influence(whole, np.column_stack([np.ones_like(x), x]))

    figure, axes = plt.subplots(1, 2, figsize=(6.8, 3.3))
    ends = np.array([0, 14.0])
    for fit, label, colour, dashes in (
        (whole, "all rows", "black", "-"),
        (ml.fit(np.delete(x, 7), np.delete(y, 7)), "without A", ORANGE, "--"),
        (ml.fit(np.delete(x, 8), np.delete(y, 8)), "without B", BLUE, "-."),
    ):
        mean = fit.predict(ends)
        axes[0].plot(ends, mean, color=colour, linestyle=dashes, label=label)
    axes[0].set(xlabel="$x$", ylabel="$y$", xlim=(0, 14), ylim=(0, 8.5))
    axes[0].legend(loc="lower right")
    places = (axes[0], x, y), (axes[1], h, internal)
    for ax, across, up in places:
        ax.plot(across[:7], up[:7], "o", color=GREY, markersize=5)
        for i, name, colour in ((7, "A", ORANGE), (8, "B", BLUE)):
            ax.plot(across[i], up[i], "o", color=colour, markersize=6)
            ax.annotate(name, (across[i], up[i]), (6, 5), textcoords="offset points")

    leverage = np.linspace(0.02, 0.95, 200)
    for distance in (0.1, 0.5, 1):
        edge = np.sqrt(2 * distance * (1 - leverage) / leverage)
        for sign in (1, -1):
            axes[1].plot(leverage, sign * edge, color=RED, linewidth=0.9)
        at = (0.55, np.sqrt(2 * distance * 0.45 / 0.55))
        paper = {"facecolor": "white", "edgecolor": "none", "pad": 1}
        axes[1].text(*at, f"{distance:g}", color=RED, ha="center", va="center", bbox=paper)
    axes[1].axhline(0, color=GREY, linewidth=0.6)
    axes[1].set(xlabel="leverage $h$", ylabel="internally studentised residual")
    axes[1].set(xlim=(0, 1.02), ylim=(-3, 3))
    return figure
