"""The pictures of page 10."""

import numpy as np
from draw import BLUE, GREEN, GREY, ORANGE, RED
from matplotlib import pyplot as plt

import mlreg as ml


def _path(X, y, lambdas):
    """The ridge regressions of some penalties, from augmented rows, (10.3)."""
    p = X.shape[1]
    rows = [np.vstack([X, np.sqrt(v) * np.eye(p)]) for v in lambdas]
    seen = np.append(y, np.zeros(p))
    return np.array([ml.fit(A, seen, intercept=False).params for A in rows])


def what_a_belief_pulls():
    """From the MLE to zero in the plane of two slopes, and what is left of each direction."""
    figure, axes = plt.subplots(1, 2, figsize=(6.8, 3.4))
    left, right = axes
    rng = np.random.default_rng(2)
    x = rng.normal(size=(30, 1))
    X = np.column_stack([x, 0.85 * x + 0.4 * rng.normal(size=(30, 1))])
    y = X @ [0.4, 1.5] + rng.normal(size=30)
    lambdas = np.concatenate([[1e-9], np.logspace(-2, 4, 61)])
    path = _path(X, y, lambdas)
    grid = np.linspace(-0.9, 2.1, 121), np.linspace(-0.4, 2.6, 121)
    a, b = np.meshgrid(*grid)
    away = np.stack([a - path[0, 0], b - path[0, 1]], axis=-1)
    distance = np.sqrt(((away @ np.linalg.qr(X)[1].T) ** 2).sum(-1))
    left.contour(*grid, distance, levels=[1, 2, 3, 4], colors=BLUE, linewidths=1.0)
    left.contour(
        *grid, np.hypot(a, b), levels=[0.4, 0.8, 1.2], colors=ORANGE, linestyles="--", linewidths=1
    )
    left.plot(*path.T, color="black")
    for value in (1.0, 10.0, 100.0):
        at = _path(X, y, [value])[0]
        left.plot(*at, "o", color="black", markersize=4)
        left.text(
            at[0] + 0.1,
            at[1] + 0.04,
            rf"$\lambda = {value:g}$",
            fontsize=9,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5, "alpha": 0.8},
        )
    left.plot(*path[0], "o", color=BLUE)
    left.plot(0, 0, "o", color=ORANGE)
    left.set(xlabel=r"$\beta_1$", ylabel=r"$\beta_2$", xticks=[0, 1, 2], yticks=[0, 1, 2])
    left.set_aspect("equal")
    d = np.linalg.svd(X, compute_uv=False)
    shown = np.logspace(-2, 4, 200)
    for size, colour, dashes in zip(d, (GREEN, RED), ("-", "--"), strict=True):
        kept = size**2 / (size**2 + shown)
        right.semilogx(shown, kept, color=colour, linestyle=dashes, label=f"$d = {size:.1f}$")
    right.axhline(0.5, color=GREY, linewidth=0.8, linestyle=":")
    right.set(xlabel=r"$\lambda$", title=r"factor $d^2/(d^2 + \lambda)$", ylim=(0, 1.03))
    right.legend(loc="lower left")
    return figure


def line_and_curve():
    """Both sides of the equation for lambda, of data that suit the prior and that do not."""
    figure, axes = plt.subplots(1, 2)
    x = np.array([1.0, -1.0, 1.0])
    lambdas = np.logspace(-4, 3, 400)
    for ax, slope, title in zip(axes, (2.0, 5.0), ("one mode", "two modes"), strict=True):
        y = x * slope + np.array([-0.3, 0.0, 0.3])
        beta = (x @ y) / (x @ x + lambdas)
        rss = ((y[:, None] - x[:, None] * beta) ** 2).sum(axis=0)
        line = 3 * lambdas
        ax.loglog(lambdas, rss, color=BLUE, label=r"$\|y - X\hat{\beta}_\lambda\|^2$")
        ax.loglog(lambdas, line, color=ORANGE, linestyle="--", label=r"$n\tau^2\lambda$")
        for k in np.flatnonzero(np.diff(np.sign(rss - line))):
            ax.plot(lambdas[k], line[k], "o", color="black", markersize=5)
        ax.set(xlabel=r"$\lambda$", title=title, xlim=(1e-2, 1e3), ylim=(2e-2, 3e3))
    axes[0].legend(loc="lower right")
    return figure
