"""The pictures of page 6."""

import numpy as np
from draw import BLUE, GREEN, GREY, ORANGE, RED
from matplotlib import pyplot as plt
from matplotlib.patches import Circle

import mlreg as ml
from mlreg.likelihood import gaussian
from mlreg.likelihood.linear import LinearLikelihood

LIGHT = "#F2F2F2"


def _node(ax, at, text, colour="black", fill="white"):
    ax.add_patch(Circle(at, 0.46, facecolor=fill, edgecolor=colour, linewidth=1.6, zorder=3))
    ax.text(*at, text, ha="center", va="center", fontsize=14, color=colour, zorder=4)


def _edge(ax, start, end, forward, backward, where=0.5):
    """From circle to circle and back, side by side, with a label on each side."""
    a, b = np.array(start, dtype=float), np.array(end, dtype=float)
    along = (b - a) / np.linalg.norm(b - a)
    left = np.array([-along[1], along[0]])
    angle = np.degrees(np.arctan2(along[1], along[0]))
    head = "-|>,head_length=0.5,head_width=0.2"
    for side, label, style in (
        (1, forward, {"color": BLUE, "linewidth": 1.8}),
        (-1, backward, {"color": RED, "linewidth": 1.3, "linestyle": (0, (4, 2.5))}),
    ):
        ends = [a + 0.56 * along + 0.1 * side * left, b - 0.56 * along + 0.1 * side * left]
        style |= {"arrowstyle": head, "shrinkA": 0, "shrinkB": 0}
        ax.annotate("", xy=ends[side > 0], xytext=ends[side < 0], arrowprops=style, zorder=2)
        spot = a + where * (b - a) + 0.42 * side * left
        kind = {"rotation": angle, "rotation_mode": "anchor", "ha": "center"}
        ax.text(*spot, label, color=style["color"], fontsize=13, va="center_baseline", **kind)


def the_network():
    """The layer of (6.1) with its loss, forward and backward."""
    figure, ax = plt.subplots(figsize=(6.8, 4.9))
    o, loss, y = (5.8, 3.6), (9.9, 3.6), (9.9, 0.9)
    for name, weight, height in (
        ("x_1", "w_1", 7.2),
        ("x_2", "w_2", 5.0),
        ("x_d", "w_d", 2.2),
        ("1", "b", 0.0),
    ):
        derivative = rf"$\partial L / \partial {weight}$"
        _edge(ax, (0, height), o, f"${weight}$", derivative, where=0.33)
        _node(ax, (0, height), f"${name}$", GREY if name == "1" else "black", LIGHT)
    ax.text(0, 3.6, r"$\vdots$", fontsize=18, ha="center", va="center")
    _edge(ax, o, loss, "", r"$\partial L / \partial o$")
    style = {"arrowstyle": "-|>,head_length=0.5,head_width=0.2", "shrinkA": 0, "shrinkB": 0}
    style |= {"color": BLUE, "linewidth": 1.8}
    ax.annotate("", xy=(9.9, 3.04), xytext=(9.9, 1.46), arrowprops=style)
    _node(ax, o, "$o$")
    _node(ax, loss, "$L$")
    _node(ax, y, "$y$", fill=LIGHT)
    ax.text(6.0, 4.4, r"$o = w^{\!\top}\!\! x + b$", fontsize=13, ha="left")
    ax.text(9.9, 4.4, r"$L = (o - y)^2 / 2$", fontsize=13, ha="center")
    ax.set(xlim=(-0.7, 11.5), ylim=(-0.7, 7.9), aspect="equal")
    ax.axis("off")
    return figure


def two_layer_valley():
    """The loss of one weight and of two in a row: a minimum, and a valley."""
    rng = np.random.default_rng(6)
    x = rng.normal(size=40)
    y = 1.0 * x + 0.6 * rng.normal(size=40)
    fit = ml.fit(x, y, intercept=False)
    constant = 40 / 2 * np.log(2 * np.pi)

    def loss(w):  # (6.3) at sigma = 1
        return (float(gaussian.nll(np.array([w]), 1.0, x[:, None], y)) - constant) / 40

    figure, (left, right) = plt.subplots(1, 2, figsize=(6.8, 3.4), width_ratios=(1, 1.25))
    best = float(fit.params[0])
    w = np.linspace(best - 2.2, best + 2.2, 120)
    left.plot(w, [loss(v) for v in w], color=BLUE)
    left.plot(best, loss(best), "o", color=RED, markersize=6)
    left.annotate(r"$\hat{w}$", (best, loss(best)), xytext=(0, 9), textcoords="offset points",
                  color=RED, fontsize=13, ha="center")  # fmt: skip
    left.set(xlabel="$w$", ylabel="loss $L$", title="one layer: $o = wx$", ylim=(0, None))

    reach = 2.6
    axis = np.linspace(-reach, reach, 61)
    surface = np.array([[loss(a * b) for a in axis] for b in axis])
    levels = loss(best) + np.array([0.05, 0.3, 0.9, 2, 4, 8])
    right.contour(axis, axis, surface, levels=levels, colors=GREY, linewidths=0.7)
    for sign in (-1, 1):
        arm = sign * np.geomspace(best / reach, reach, 60)
        right.plot(arm, best / arm, color=RED, linestyle="--")
    likelihood = LinearLikelihood(x[:, None], y)
    starts = [(-0.3, 1.9), (2.3, -0.25), (0.3, 0.2), (-2.2, -1.6)]
    for start, colour in zip(starts, (BLUE, GREEN, ORANGE, BLUE), strict=True):
        way = [np.array(start)]
        for _ in range(200):
            a, b = way[-1]
            slope = likelihood.gradient([a * b, 0.0])[0] / 40
            way.append(way[-1] - 0.05 * slope * np.array([b, a]))
        way = np.array(way)
        right.plot(*way.T, color=colour)
        right.plot(*way[0], "o", color=colour, markersize=5, markerfacecolor="white")
        right.plot(*way[-1], "o", color=colour, markersize=5)
    box = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
    right.text(1.75, 1.55, r"$w_1 w_2 = \hat{w}$", color=RED, fontsize=12, ha="center", bbox=box)
    right.plot(0, 0, "x", color="black")
    right.set(xlabel="$w_1$", ylabel="$w_2$", title="two layers: $o = w_2 w_1 x$", aspect="equal")
    return figure
