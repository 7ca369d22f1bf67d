"""The pictures of page 2."""

import numpy as np
from draw import BLUE, GREEN, GREY, ORANGE, RED
from matplotlib import pyplot as plt

import mlreg as ml
from mlreg.likelihood import gaussian

# The page's four points, x counted from its mean: the best intercept is then the same for
# every slope, and the slope means what it did.
FOUR_X, FOUR_Y = np.arange(4.0) - 1.5, np.array([1.0, 3.0, 2.0, 4.0])
FOUR = np.column_stack([np.ones(4), FOUR_X])


def _four():
    return ml.fit(FOUR_X, FOUR_Y)


def _nll(slope, sigma):
    return gaussian.nll(np.array([_four().params[0], slope]), float(sigma), FOUR, FOUR_Y)


def squared_loss_and_scale():
    """The NLL of the four points in the slope, for three scales: one minimiser."""
    figure, ax = plt.subplots()
    best = _four().params[1]
    slopes = np.linspace(best - 2.2, best + 2.2, 201)
    styles = zip((0.4, 0.8, 2.0), (BLUE, ORANGE, GREEN), ("-", "--", "-."), "os^", strict=True)
    for sigma, colour, dashes, marker in styles:
        values = [_nll(w, sigma) for w in slopes]
        label = rf"$\sigma = {sigma}$"
        ax.plot(slopes, values, color=colour, linestyle=dashes, label=label)
        ax.plot([best], [_nll(best, sigma)], marker, color=colour, markersize=7)
    ax.axvline(best, color=GREY, linewidth=1, linestyle=":", zorder=0)
    ax.text(best + 0.04, 0.5, f"slope {best:.1f}", color=GREY)
    ax.set(xlabel="slope", ylabel="NLL", ylim=(0, 20), xlim=(slopes[0], slopes[-1]))
    ax.set_yticks(range(0, 21, 5))
    ax.legend(loc="lower left")
    return figure


def projection():
    """The response, its nearest point in the plane of two columns, and another point."""
    X = np.array([[3.2, 0.5], [0.4, 2.6], [0.0, 0.0]])
    y = np.array([2.6, 1.9, 2.1])
    fit = ml.fit(X, y, intercept=False)
    near, other = fit.fitted_values(), X @ (fit.params + np.array([0.62, -0.38]))

    def at(v):  # an oblique view: x to the right, y away to the upper right, z up
        return np.array([v[0] + 0.62 * v[1], 0.42 * v[1] + v[2] - 0.10 * v[0]])

    def line(a, b, **style):
        (x0, y0), (x1, y1) = at(a), at(b)
        ax.plot([x0, x1], [y0, y1], **{"solid_capstyle": "round", **style})

    def arrow(a, b, colour, width=2.0):
        style = {"arrowstyle": "-|>", "color": colour, "linewidth": width}
        style |= {"shrinkA": 0, "shrinkB": 0, "mutation_scale": 13}
        ax.annotate("", xy=at(b), xytext=at(a), arrowprops=style)

    def corner(p, a, b, size=0.2):  # the mark of a right angle at p
        u, v = (size * (q - p) / np.linalg.norm(q - p) for q in (a, b))
        line(p + u, p + u + v, color="black", linewidth=1)
        line(p + v, p + u + v, color="black", linewidth=1)

    figure, ax = plt.subplots(figsize=(6.8, 3.5))
    zero = np.zeros(3)
    plane = [np.array([a, b, 0.0]) for a, b in ((-0.5, -0.7), (5.6, -0.7), (5.6, 3.3), (-0.5, 3.3))]
    ax.fill(*np.array([at(v) for v in plane]).T, color=BLUE, alpha=0.12, linewidth=0)
    for column in X.T:
        arrow(zero, column, GREY, 1.6)
    arrow(zero, y, "black")
    arrow(zero, near, BLUE)
    line(near, y, color=RED, linestyle="--")
    line(other, y, color=GREY, linewidth=1.2, linestyle=":")
    line(near, other, color=GREEN, linewidth=1.6, linestyle="-.")
    corner(near, y, other)
    corner(near, y, zero)
    ax.plot(*at(near), "o", color=BLUE, markersize=6)
    ax.plot(*at(other), "s", color=GREEN, markersize=5)
    ax.plot(*at(y), "o", color="black", markersize=5)
    words = (
        (y, (0, 9), "$y$", "black", "center"),
        (near, (-14, -20), r"$X\hat{\beta} = Py$", BLUE, "center"),
        (other, (9, -4), r"$X\beta$", GREEN, "left"),
        ((near + y) / 2, (-8, 4), r"$y - X\hat{\beta}$", RED, "right"),
        ((near + other) / 2, (-2, -27), r"$X(\beta - \hat{\beta})$", GREEN, "center"),
        ((other + y) / 2, (8, 4), r"$y - X\beta$", GREY, "left"),
        (X[:, 0], (-4, -15), "first column", GREY, "right"),
        (X[:, 1], (5, 1), "second column", GREY, "left"),
    )
    for place, offset, text, colour, align in words:
        style = {"xytext": offset, "textcoords": "offset points", "color": colour, "ha": align}
        ax.annotate(text, at(place), fontsize=13 if "$" in text else 10, **style)
    ax.set_aspect("equal")
    ax.axis("off")
    return figure


def profile_likelihood():
    """The NLL of the four points in the slope and log sigma; the ridge, and what it is worth."""
    fit, n = _four(), len(FOUR_Y)
    best = fit.params[1]
    figure, (left, right) = plt.subplots(1, 2, figsize=(6.8, 3.3))
    slopes, gammas = np.linspace(best - 2.2, best + 2.2, 61), np.linspace(-1.3, 1.7, 51)
    above = np.array([[_nll(w, np.exp(g)) for w in slopes] for g in gammas]) - fit.nll
    levels = [0.5, 1, 2, 3, 4, 6, 8]
    left.contour(slopes, gammas, above, levels=levels, colors=GREY, linewidths=0.9)
    fine = np.linspace(slopes[0], slopes[-1], 201)
    rss = [np.sum((FOUR_Y - FOUR @ np.array([fit.params[0], w])) ** 2) for w in fine]
    ridge = np.sqrt(np.array(rss) / n)
    left.plot(fine, np.log(ridge), color=BLUE, label="best $\\sigma$ for each slope")
    left.axhline(np.log(fit.sigma), color=ORANGE, linestyle="--", label=r"$\sigma = \hat\sigma$")
    left.plot([best], [np.log(fit.sigma)], "o", color="black", label="MLE")
    left.set(xlabel="slope", ylabel=r"$\gamma = \log\sigma$", ylim=(-1.3, 1.7))
    profile = [_nll(w, s) for w, s in zip(fine, ridge, strict=True)]
    cut = [_nll(w, fit.sigma) for w in fine]
    right.plot(fine, profile, color=BLUE)
    right.plot(fine, cut, color=ORANGE, linestyle="--")
    right.plot([best], [fit.nll], "o", color="black")
    right.set(xlabel="slope", ylabel="NLL", ylim=(2, 18))
    figure.legend(loc="outside upper center", ncols=3)
    return figure


def sixty_intervals():
    """Intervals of the slope from sixty data sets of four points: by t, and by the normal law."""
    rng, true = np.random.default_rng(3), 0.8
    figure, axes = plt.subplots(1, 2, sharey=True, figsize=(6.8, 3.3))
    limits = [[], []]
    for _ in range(60):
        fit = ml.fit(FOUR_X, FOUR @ [2.5, true] + 0.9 * rng.normal(size=4))
        half = 1.96 * fit.std_errors[1] * fit.sigma / fit.residual_std_error
        limits[0].append(fit.conf_int()[1])
        limits[1].append([fit.params[1] - half, fit.params[1] + half])
    titles = ("quantile of t(2), and $s$", r"quantile of $N(0, 1)$, and $\hat{\sigma}$")
    for ax, ends, title in zip(axes, np.array(limits), titles, strict=True):
        missed = (ends[:, 0] > true) | (ends[:, 1] < true)
        for miss, colour, marker in ((False, BLUE, ""), (True, RED, "s")):
            chosen = np.flatnonzero(missed == miss)
            ax.vlines(chosen, *ends[chosen].T, color=colour, linewidth=1.6)
            if marker:
                ax.plot(chosen, ends[chosen].mean(axis=1), marker, color=colour, markersize=3.5)
        ax.axhline(true, color="black", linewidth=1)
        ax.set(title=f"{title}: {missed.sum()} miss", xlabel="data set", ylim=(-4.5, 6))
    axes[0].set(ylabel="slope")
    return figure
