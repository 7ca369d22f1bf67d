"""The pictures of page 1."""

import numpy as np
from draw import BLUE, GREEN, GREY, ORANGE, RED
from matplotlib import pyplot as plt

import mlreg as ml
from mlreg.likelihood import gaussian


def normal_densities():
    """The normal densities of the textbook: shift the mean, widen the scale."""
    figure, ax = plt.subplots()
    x = np.linspace(-7, 7, 400)
    for (mean, sigma), colour, dashes in zip(
        [(0, 1), (0, 2), (3, 1)], (BLUE, ORANGE, GREEN), ("-", "--", "-."), strict=True
    ):
        density = np.exp(gaussian.log_density(x, float(mean), float(sigma)))
        label = rf"$\mu = {mean},\ \sigma = {sigma}$"
        ax.plot(x, density, color=colour, linestyle=dashes, label=label)
    ax.set(xlabel="$x$", ylabel="density $p(x)$", ylim=(0, None), xlim=(-7, 7))
    ax.legend(loc="upper left")
    return figure


def likelihood_of_a_line():
    """Observations as draws from a normal density about each point of a line: good and bad."""
    figure, axes = plt.subplots(1, 2, sharey=True)
    x = np.array([0.6, 1.4, 2.2, 3.0, 3.8])
    y = 1.6 * np.array([1.3, 1.85, 1.8, 2.9, 2.75])
    fit = ml.fit(x, y)
    X = np.column_stack([np.ones(5), x])
    for ax, params, title in (
        (axes[0], fit.params, "the most likely line"),
        (axes[1], fit.params + np.array([1.68, -0.88]), "an unlikely line"),
    ):
        loss = gaussian.nll(params, fit.sigma, X, y)
        ends = np.array([0.2, 4.8])
        ax.plot(ends, params[0] + params[1] * ends, color=GREY)
        for mean, xi, yi in zip(X @ params, x, y, strict=True):
            t = mean + fit.sigma * np.linspace(-3.2, 3.2, 80)
            density = 0.3 * np.exp(gaussian.log_density(t, mean, fit.sigma))
            ax.fill_betweenx(t, xi, xi + density, color=BLUE, alpha=0.25, linewidth=0)
            at_y = 0.3 * np.exp(gaussian.log_density(np.array([yi]), mean, fit.sigma))[0]
            ax.plot([xi, xi + at_y], [yi, yi], color=RED, linewidth=2.5)
        ax.plot(x, y, "o", color="black", markersize=4)
        ax.set(xlabel="$x$", title=f"{title}: NLL {loss:.1f}", xlim=(0.2, 4.8))
    axes[0].set(ylabel="$y$")
    return figure
